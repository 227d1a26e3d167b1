//! A replica that gets any messages, in any order, never panics: a page must survive its server.

use proptest::collection::vec;
use proptest::prelude::*;
use reapply_sync::{ClientKey, Fault, Number, Replica, ServerMessage, Start, Timestamp};

use crate::messages::{server_message, welcome};
use crate::tally::{Tally, digest, transition};

#[derive(Clone, Debug)]
enum Call {
    Message(Box<ServerMessage>),
    Connected,
    Disconnected,
    Machine,
    Apply(u64),
    Fault,
    Settle,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let fitting_welcome = (welcome(), vec(any::<(u64, u64, u64)>(), 0..3)).prop_map(|(mut welcome, applied)| {
        welcome.digest = digest();
        if let Start::Snapshot { state, .. } = &mut welcome.start {
            *state = postcard::to_allocvec(&applied).unwrap().into();
        }
        ServerMessage::Welcome(welcome)
    });
    let call = prop_oneof![
        4 => server_message().prop_map(|message| Call::Message(Box::new(message))),
        4 => fitting_welcome.prop_map(|message| Call::Message(Box::new(message))),
        2 => Just(Call::Connected),
        1 => Just(Call::Disconnected),
        2 => Just(Call::Machine),
        4 => (0..30u64).prop_map(Call::Apply),
        1 => Just(Call::Fault),
        2 => Just(Call::Settle),
    ];
    vec(call, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_messages_in_any_order_do_no_harm(calls in calls()) {
        let mut replica = Replica::new(ClientKey([1; 16]), Number(0));
        let (mut applied, mut outcomes) = (0, 0);
        for call in calls {
            match call {
                Call::Message(message) => replica.handle_frame(&message.encode()).unwrap(),
                Call::Connected => replica.handle_connected(),
                Call::Disconnected => replica.handle_disconnected(),
                Call::Machine => replica.handle_machine(digest(), Tally::default()),
                Call::Apply(value) => {
                    applied += usize::from(replica.apply(transition(value), Timestamp(value), value).is_ok());
                }
                Call::Fault => replica.handle_fault(&Fault::Trapped("a view".to_owned())),
                Call::Settle => replica.settle(),
            }
            while replica.poll_transmit().is_some() {}
            outcomes += std::iter::from_fn(|| replica.poll_outcome()).count();
            prop_assert_eq!(applied, outcomes + replica.pending(), "each is pending or has its outcome");
            prop_assert_eq!(replica.confirmed().is_some(), replica.confirmed_at().is_some());
        }
    }
}
