//! Messages: each reads back as it was written, and no bytes do harm.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use reapply_sync::limits::COUNT_MAX;
use reapply_sync::{
    Author, Capabilities, Chain, ClientId, ClientKey, ClientMessage, Digest, Event, ForgottenClient, Goodbye,
    HeldSnapshot, Hello, Input, LogId, Number, Presence, Rejection, Resume, RoomId, Seq, ServerMessage, SessionId,
    Signal, SnapshotInParts, Start, Timestamp, VERSION, Welcome,
};

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn author() -> impl Strategy<Value = Author> {
    ".{0,12}".prop_map(|text| Author(text.into()))
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn input() -> impl Strategy<Value = Input> {
    let submission = (author(), any::<[u8; 16]>(), any::<u64>(), bytes());
    prop_oneof![
        submission.prop_map(|(author, client, number, transition)| {
            let (client, number) = (ClientId(client), Number(number));
            Input::Transition { author, client, number, transition }
        }),
        bytes().prop_map(Input::Alarm),
        author().prop_map(Input::Joined),
        author().prop_map(Input::Left),
        digest().prop_map(Input::Upgraded),
        (any::<u64>(), digest()).prop_map(|(seq, hash)| Input::Checkpoint { seq: Seq(seq), hash }),
        any::<u64>().prop_map(|nonce| {
            let room = RoomId { machine: "counter".parse().unwrap(), room: "other".parse().unwrap() };
            Input::Forked { room, nonce }
        }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    (any::<u64>(), any::<u64>(), any::<u64>(), input()).prop_map(|(seq, time, entropy, input)| Event {
        seq: Seq(seq),
        time: Timestamp(time),
        entropy,
        input,
    })
}

fn rejection() -> impl Strategy<Value = Rejection> {
    prop_oneof![
        ".{0,12}".prop_map(Rejection::Malformed),
        ".{0,12}".prop_map(Rejection::Conflict),
        ".{0,12}".prop_map(Rejection::Exhausted),
        ".{0,12}".prop_map(Rejection::Trapped),
        ".{0,12}".prop_map(Rejection::Forbidden),
        any::<(u64, u64)>().prop_map(|(bytes, bytes_max)| Rejection::TooLarge { bytes, bytes_max }),
        any::<u32>().prop_map(|per_second_max| Rejection::TooFast { per_second_max }),
        Just(Rejection::Forgotten),
        any::<(u64, u64)>().prop_map(|(bytes, bytes_max)| Rejection::Overfull { bytes, bytes_max }),
    ]
}

fn start() -> impl Strategy<Value = Start> {
    prop_oneof![
        Just(Start::Tail),
        (any::<u64>(), any::<u32>(), any::<u64>(), any::<[u8; 32]>(), bytes()).prop_map(
            |(seq, state_version, time, chain, state)| {
                let (seq, time, chain) = (Seq(seq), Timestamp(time), Chain(chain));
                Start::Snapshot { seq, state_version, time, chain, state }
            }
        ),
        (any::<[u64; 2]>(), any::<u32>(), any::<[u8; 32]>(), digest(), 0..20u64, 0..20u64).prop_map(
            |([seq, time], state_version, chain, hash, bytes, from)| {
                let (seq, time, chain) = (Seq(seq), Timestamp(time), Chain(chain));
                let snapshot = SnapshotInParts { seq, state_version, time, chain, hash, bytes, from };
                Start::Parts(Box::new(snapshot))
            }
        ),
    ]
}

pub(crate) fn welcome() -> impl Strategy<Value = Welcome> {
    let rejected = vec((any::<u64>().prop_map(Number), rejection()), 0..3);
    (any::<[u64; 5]>(), any::<[u8; 16]>(), author(), digest(), start(), rejected).prop_map(
        |([session, head, decided, taken, time], log, participant, digest, start, rejected)| Welcome {
            version: VERSION,
            capabilities: Capabilities::OURS,
            session: SessionId(session),
            participant,
            log: LogId(log),
            digest,
            start,
            head: Seq(head),
            decided: Number(decided),
            taken: Number(taken),
            rejected,
            forgotten: (session % 2 == 0).then(|| {
                Box::new(ForgottenClient {
                    seq: Seq(head),
                    number: Number(decided),
                    known_from: (session % 4 == 0).then_some(Number(taken)),
                })
            }),
            time: Timestamp(time),
        },
    )
}

fn goodbye() -> impl Strategy<Value = Goodbye> {
    prop_oneof![
        Just(Goodbye::ShuttingDown),
        Just(Goodbye::Replaced),
        Just(Goodbye::TooSlow),
        Just(Goodbye::StorageFailed),
        ".{0,12}".prop_map(Goodbye::BadMessage),
        ".{0,12}".prop_map(Goodbye::RoomFailed),
        ".{0,12}".prop_map(Goodbye::Full),
    ]
}

pub(crate) fn server_message() -> impl Strategy<Value = ServerMessage> {
    let signal = (author(), any::<u64>(), bytes()).prop_map(|(participant, session, body)| Signal {
        participant,
        session: SessionId(session),
        body,
    });
    prop_oneof![
        welcome().prop_map(ServerMessage::Welcome),
        vec(event(), 0..4).prop_map(ServerMessage::Events),
        (any::<u64>(), rejection()).prop_map(|(number, why)| ServerMessage::Rejected { number: Number(number), why }),
        (any::<u64>(), digest()).prop_map(|(seq, hash)| ServerMessage::Checkpoint { seq: Seq(seq), hash }),
        (any::<u64>(), vec(author(), 0..3))
            .prop_map(|(count, participants)| ServerMessage::Presence(Presence { count, participants })),
        vec(signal, 0..3).prop_map(ServerMessage::Signals),
        any::<u64>().prop_map(ServerMessage::Pong),
        goodbye().prop_map(ServerMessage::Goodbye),
        (0..20u64, bytes()).prop_map(|(at, bytes)| ServerMessage::Part { at, bytes }),
    ]
}

fn client_message() -> impl Strategy<Value = ClientMessage> {
    let resume = (any::<[u8; 16]>(), digest(), any::<u64>(), any::<[u8; 32]>())
        .prop_map(|(log, digest, seq, chain)| Resume { log: LogId(log), digest, seq: Seq(seq), chain: Chain(chain) });
    prop_oneof![
        (any::<[u8; 16]>(), proptest::option::of(resume), proptest::option::of((digest(), any::<u64>()))).prop_map(
            |(key, resume, held)| {
                let held = held.map(|(hash, bytes)| HeldSnapshot { hash, bytes });
                ClientMessage::Hello(Hello { held, ..Hello::new(ClientKey(key), resume) })
            }
        ),
        (1..=COUNT_MAX, bytes())
            .prop_map(|(number, transition)| ClientMessage::Submit { number: Number(number), transition }),
        bytes().prop_map(ClientMessage::Signal),
        any::<u64>().prop_map(ClientMessage::Ping),
        (any::<u64>(), proptest::option::of(digest()))
            .prop_map(|(seq, ours)| ClientMessage::Diverged { seq: Seq(seq), ours }),
        digest().prop_map(ClientMessage::Arrived),
    ]
}

/// The largest length that the encoding can express. A reader that believed it would ask for more memory than there is.
const ABSURD_LENGTH: [u8; 10] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];

/// A length for which a careless reader might get the memory.
const LARGE_LENGTH: [u8; 6] = [0x80, 0x80, 0x80, 0x80, 0x80, 0x20];

proptest! {
    #[test]
    fn a_client_message_reads_back_as_it_was_written(message in client_message()) {
        prop_assert_eq!(ClientMessage::decode(&message.encode()).unwrap(), message);
    }

    #[test]
    fn a_server_message_reads_back_as_it_was_written(message in server_message()) {
        prop_assert_eq!(ServerMessage::decode(&message.encode()).unwrap(), message);
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(frame in vec(any::<u8>(), 0..200), tag in 0..10u8) {
        let _ = (ClientMessage::decode(&frame), ServerMessage::decode(&frame));
        let tagged = [&[tag], &*frame].concat();
        let _ = (ClientMessage::decode(&tagged), ServerMessage::decode(&tagged));
    }

    #[test]
    fn lengths_that_lie_are_not_believed(
        client in client_message(),
        server in server_message(),
        at in any::<prop::sample::Index>(),
        is_absurd in any::<bool>(),
    ) {
        let lie: &[u8] = if is_absurd { &ABSURD_LENGTH } else { &LARGE_LENGTH };
        for frame in [client.encode(), server.encode()] {
            let (before, after) = frame.split_at(at.index(frame.len()));
            let frame = [before, lie, after].concat();
            let _ = (ClientMessage::decode(&frame), ServerMessage::decode(&frame));
        }
    }

    #[test]
    fn a_cut_frame_is_an_error(message in server_message(), at in any::<prop::sample::Index>()) {
        let frame = message.encode();
        prop_assert!(ServerMessage::decode(&frame[..at.index(frame.len())]).is_err());
    }
}
