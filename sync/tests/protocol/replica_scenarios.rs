//! A replica in situations that chance would rarely meet.

use bytes::Bytes;
use reapply_sync::limits::{COUNT_MAX, PENDING_BYTES_MAX, PENDING_MAX, TRANSITION_BYTES_MAX, WAITING_BYTES_MAX};
use reapply_sync::{
    Author, Capabilities, Chain, ClientId, ClientKey, ClientMessage, Digest, Event, Goodbye, Input, LogId, Machine,
    Number, Outcome, Phase, Presence, Rejection, Replica, Resume, Seq, ServerMessage, SessionId, Start, SubmitError,
    Timestamp, VERSION, Welcome,
};

use crate::tally::{Applied, TRAP, Tally, digest, transition};

const KEY: ClientKey = ClientKey([4; 16]);
const LOG: LogId = LogId([1; 16]);

/// Returns the start from a snapshot with these values.
pub(crate) fn snapshot(seq: u64, values: &[u64]) -> Start {
    let applied: Applied = values.iter().map(|&value| (value, 0, 0)).collect();
    let state: Bytes = postcard::to_allocvec(&applied).unwrap().into();
    Start::Snapshot { seq: Seq(seq), state_version: 1, time: Timestamp(5), chain: CHAIN, state }
}

/// The chain that all snapshots here have.
const CHAIN: Chain = Chain([3; 32]);

pub(crate) fn welcome(start: Start, head: u64, decided: u64) -> Welcome {
    Welcome {
        version: VERSION,
        capabilities: Capabilities::OURS,
        session: SessionId(1),
        participant: Author("me".into()),
        log: LOG,
        digest: digest(),
        start,
        head: Seq(head),
        decided: Number(decided),
        taken: Number(decided),
        rejected: Vec::new(),
        forgotten: None,
        time: Timestamp(5),
    }
}

pub(crate) fn event(seq: u64, client: ClientId, number: u64, value: u64) -> Event {
    let (author, transition) = (Author("x".into()), transition(value));
    let input = Input::Transition { author, client, number: Number(number), transition };
    Event { seq: Seq(seq), time: Timestamp(5), entropy: 0, input }
}

pub(crate) fn foreign(seq: u64, value: u64) -> Event {
    event(seq, ClientId([9; 16]), seq, value)
}

pub(crate) fn send<M: Machine>(replica: &mut Replica<M>, message: &ServerMessage) {
    replica.handle_frame(&message.encode()).unwrap();
}

pub(crate) fn sent(replica: &mut Replica<Tally>) -> Vec<ClientMessage> {
    std::iter::from_fn(|| replica.poll_transmit()).map(|frame| ClientMessage::decode(&frame).unwrap()).collect()
}

fn resumes(messages: &[ClientMessage]) -> Vec<Option<Resume>> {
    let hello = |message: &ClientMessage| match message {
        ClientMessage::Hello(hello) => Some(hello.resume),
        _ => None,
    };
    messages.iter().filter_map(hello).collect()
}

fn values(applied: &Applied) -> Vec<u64> {
    applied.iter().map(|&(value, ..)| value).collect()
}

fn optimistic(replica: &mut Replica<Tally>) -> Vec<u64> {
    replica.settle();
    values(&replica.optimistic().unwrap().1.applied)
}

fn apply(replica: &mut Replica<Tally>, value: u64) -> Number {
    replica.apply(transition(value), Timestamp(5), 0).unwrap()
}

/// Returns a replica that is live at `seq` with these values.
fn live(seq: u64, held: &[u64]) -> Replica<Tally> {
    let mut replica = Replica::new(KEY, Number(0));
    replica.handle_connected();
    send(&mut replica, &ServerMessage::Welcome(welcome(snapshot(seq, held), seq, 0)));
    assert_eq!(replica.needs_machine(), Some(digest()));
    replica.handle_machine(digest(), Tally::default());
    assert_eq!(replica.phase(), Phase::Live);
    sent(&mut replica);
    replica
}

#[test]
fn what_a_snapshot_may_include_is_not_shown_twice_nor_called_rejected_later() {
    let mut replica = live(1, &[1]);
    let number = apply(&mut replica, 3);
    replica.handle_connected();
    // It was accepted at 2, which the snapshot includes; events up to 4 are still to come when the line is cut again.
    send(&mut replica, &ServerMessage::Welcome(welcome(snapshot(2, &[1, 3]), 4, 1)));
    assert_eq!(optimistic(&mut replica), [1, 3]);
    assert_eq!((replica.pending(), replica.phase()), (1, Phase::CatchingUp));
    replica.handle_connected();
    let resume = Resume { log: LOG, digest: digest(), seq: Seq(2), chain: CHAIN };
    assert_eq!(resumes(&sent(&mut replica)), [Some(resume)]);
    send(&mut replica, &ServerMessage::Welcome(welcome(Start::Tail, 4, 1)));
    send(&mut replica, &ServerMessage::Events(vec![foreign(3, 5), foreign(4, 7)]));
    assert_eq!(replica.poll_outcome(), Some((number, Outcome::Decided)));
    assert_eq!(optimistic(&mut replica), [1, 3, 5, 7]);
    assert_eq!(replica.phase(), Phase::Live);
}

#[test]
fn a_rejection_that_was_missed_comes_with_its_reason_however_the_replica_comes_back() {
    for start in [Start::Tail, snapshot(1, &[1])] {
        let mut replica = live(1, &[1]);
        let number = apply(&mut replica, 3);
        replica.handle_connected();
        let why = Rejection::Conflict("late".to_owned());
        let rejected = vec![(number, why.clone())];
        send(&mut replica, &ServerMessage::Welcome(Welcome { rejected, ..welcome(start, 1, 1) }));
        assert_eq!(replica.poll_outcome(), Some((number, Outcome::Rejected(why))));
        assert_eq!((replica.poll_outcome(), replica.pending()), (None, 0));
        assert_eq!(optimistic(&mut replica), [1]);
    }
}

#[test]
fn a_pending_transition_that_traps_is_tried_once_and_waits_for_its_verdict() {
    let mut replica = live(2, &[1, 3]);
    let number = apply(&mut replica, TRAP);
    let other = apply(&mut replica, 5);
    // With one value more in the way, its prediction traps, and the machine's states are lost.
    send(&mut replica, &ServerMessage::Events(vec![foreign(3, 7)]));
    replica.settle();
    assert!(replica.confirmed().is_none());
    assert_eq!(resumes(&sent(&mut replica)), [None]);
    send(&mut replica, &ServerMessage::Welcome(welcome(snapshot(3, &[1, 3, 7]), 3, 0)));
    assert_eq!(optimistic(&mut replica), [1, 3, 7, 5]);
    assert_eq!(resumes(&sent(&mut replica)), [], "it does not fault again");
    let why = Rejection::Trapped("13".to_owned());
    send(&mut replica, &ServerMessage::Rejected { number, why: why.clone() });
    send(&mut replica, &ServerMessage::Events(vec![event(4, KEY.client_id(), other.0, 5)]));
    assert_eq!(replica.poll_outcome(), Some((number, Outcome::Rejected(why))));
    assert!(matches!(replica.poll_outcome(), Some((number, Outcome::Accepted { .. })) if number == other));
    assert_eq!(optimistic(&mut replica), [1, 3, 7, 5]);
}

#[test]
fn an_answer_to_an_earlier_hello_is_passed_over() {
    let mut replica = live(1, &[1]);
    replica.handle_connected();
    // While the first Hello is in flight, the machine breaks off: the state in that Hello does not exist any more.
    let trapped = replica.apply(transition(TRAP), Timestamp(5), 0);
    assert!(matches!(trapped, Err(SubmitError::Rejected(Rejection::Trapped(_)))));
    assert_eq!(
        resumes(&sent(&mut replica)),
        [Some(Resume { log: LOG, digest: digest(), seq: Seq(1), chain: CHAIN }), None]
    );
    send(&mut replica, &ServerMessage::Welcome(welcome(Start::Tail, 2, 0)));
    send(&mut replica, &ServerMessage::Events(vec![foreign(2, 3)]));
    assert_eq!((replica.phase(), replica.goodbye()), (Phase::Joining, None));
    send(&mut replica, &ServerMessage::Welcome(welcome(snapshot(1, &[1]), 2, 0)));
    send(&mut replica, &ServerMessage::Events(vec![foreign(2, 3)]));
    assert_eq!((optimistic(&mut replica), replica.phase()), (vec![1, 3], Phase::Live));
}

#[test]
fn a_resume_carries_the_chain_over_the_events_that_the_replica_has_followed() {
    let mut replica = live(1, &[1]);
    let events = vec![foreign(2, 3), foreign(3, 5)];
    let chain = events.iter().fold(CHAIN, |chain, event| chain.after_event(event));
    send(&mut replica, &ServerMessage::Events(events));
    replica.handle_connected();
    assert_eq!(resumes(&sent(&mut replica)), [Some(Resume { log: LOG, digest: digest(), seq: Seq(3), chain })]);
}

#[test]
fn a_client_that_has_used_its_last_number_is_told_so_and_never_uses_one_twice() {
    let mut replica = Replica::new(KEY, Number(COUNT_MAX - 1));
    replica.handle_connected();
    send(&mut replica, &ServerMessage::Welcome(welcome(snapshot(1, &[1]), 1, 0)));
    replica.handle_machine(digest(), Tally::default());
    assert_eq!(replica.apply(transition(3), Timestamp(5), 0), Ok(Number(COUNT_MAX)));
    let refused = replica.apply(transition(5), Timestamp(5), 0).unwrap_err();
    assert_eq!((&refused, refused.kind()), (&SubmitError::NumbersUsedUp, "used-up"));
    assert!(refused.to_string().contains("9007199254740991"), "{refused}");
    assert_eq!(optimistic(&mut replica), [1, 3]);
    for number in [0, COUNT_MAX + 1, u64::MAX] {
        let restored = replica.restore_pending(Number(number), "7".to_owned(), Timestamp(5), 0, None);
        assert_eq!(restored.unwrap_err().number, number);
    }
}

#[test]
fn an_event_that_comes_twice_is_applied_once() {
    let mut replica = live(1, &[1]);
    send(&mut replica, &ServerMessage::Events(vec![foreign(2, 3)]));
    send(&mut replica, &ServerMessage::Events(vec![foreign(2, 3), foreign(3, 5)]));
    assert_eq!(optimistic(&mut replica), [1, 3, 5]);
    assert!(replica.poll_divergence().is_none());
}

#[test]
fn a_replica_that_diverged_says_so_and_heals_once() {
    let mut replica = live(1, &[1]);
    let number = apply(&mut replica, 3);
    sent(&mut replica);
    let theirs = Digest::of(b"another state");
    send(&mut replica, &ServerMessage::Checkpoint { seq: Seq(1), hash: theirs });
    let divergence = replica.poll_divergence().unwrap();
    assert_eq!((divergence.seq, divergence.digest, divergence.theirs), (Seq(1), digest(), Some(theirs)));
    let messages = sent(&mut replica);
    assert!(matches!(messages[0], ClientMessage::Diverged { seq: Seq(1), ours } if ours == divergence.ours));
    assert_eq!(resumes(&messages), [None]);
    assert_eq!(optimistic(&mut replica), [1, 3], "the old state is shown meanwhile");
    send(&mut replica, &ServerMessage::Welcome(welcome(snapshot(1, &[9]), 1, 0)));
    assert_eq!(optimistic(&mut replica), [9, 3]);
    assert!(matches!(sent(&mut replica)[..], [ClientMessage::Submit { number: n, .. }] if n == number));
}

#[test]
fn an_event_that_never_applies_here_ends_in_a_goodbye_and_not_in_a_loop() {
    for value in [4, TRAP] {
        let mut replica = live(1, &[2]);
        for is_second in [false, true] {
            send(&mut replica, &ServerMessage::Events(vec![foreign(2, value)]));
            assert_eq!(replica.poll_divergence().map(|divergence| divergence.seq), Some(Seq(2)));
            assert_eq!(replica.goodbye().is_some(), is_second);
            assert_eq!(resumes(&sent(&mut replica)).len(), usize::from(!is_second));
            if !is_second {
                send(&mut replica, &ServerMessage::Welcome(welcome(snapshot(1, &[2]), 2, 0)));
            }
        }
        assert!(matches!(replica.goodbye(), Some(goodbye @ Goodbye::RoomFailed(_)) if goodbye.retry()));
        // The next connection does not resume a state that is known to be wrong.
        replica.handle_connected();
        assert_eq!(resumes(&sent(&mut replica)), [None]);
    }
}

#[test]
fn frames_that_wait_for_the_machine_are_bounded_and_the_rest_is_asked_for_again() {
    let mut replica = Replica::new(KEY, Number(0));
    replica.handle_connected();
    sent(&mut replica);
    send(&mut replica, &ServerMessage::Welcome(welcome(snapshot(1, &[1]), 1, 0)));
    let large = Event { input: Input::Alarm(vec![0; WAITING_BYTES_MAX / 3].into()), ..foreign(2, 3) };
    for seq in 2..=6 {
        let event = Event { seq: Seq(seq), ..large.clone() };
        send(&mut replica, &ServerMessage::Events(vec![event]));
    }
    replica.handle_machine(digest(), Tally::default());
    let [Some(resume)] = resumes(&sent(&mut replica))[..] else { panic!("nothing was asked for again") };
    assert_eq!(replica.confirmed_at().map(|(seq, _)| seq), Some(resume.seq));
    assert!(resume.seq < Seq(6) && resume.seq > Seq(1));
    send(&mut replica, &ServerMessage::Events(vec![Event { seq: Seq(7), ..large.clone() }]));
    send(&mut replica, &ServerMessage::Welcome(welcome(Start::Tail, 6, 0)));
    let rest = (resume.seq.0 + 1..=6).map(|seq| Event { seq: Seq(seq), ..large.clone() });
    send(&mut replica, &ServerMessage::Events(rest.collect()));
    assert_eq!((replica.phase(), replica.confirmed_at().unwrap().0), (Phase::Live, Seq(6)));
    assert!(replica.poll_divergence().is_none());
}

#[test]
fn behind_a_welcome_that_waits_for_the_machine_nothing_about_the_session_is_lost() {
    let mut replica = Replica::<Tally>::new(KEY, Number(0));
    replica.handle_connected();
    let large = Start::Snapshot {
        seq: Seq(1),
        state_version: 1,
        time: Timestamp(5),
        chain: Chain([0; 32]),
        state: vec![0; WAITING_BYTES_MAX + 1].into(),
    };
    send(&mut replica, &ServerMessage::Welcome(welcome(large, 1, 0)));
    let presence = Presence { count: 2, participants: vec![Author("me".into()), Author("you".into())] };
    send(&mut replica, &ServerMessage::Presence(presence.clone()));
    send(&mut replica, &ServerMessage::Pong(7));
    assert_eq!((replica.presence(), replica.needs_machine()), (&presence, Some(digest())));
    assert_eq!(replica.poll_pong(), Some(7));
    // The large message alone does not fill the space behind it.
    send(&mut replica, &ServerMessage::Events(vec![foreign(2, 3)]));
    send(&mut replica, &ServerMessage::Goodbye(Goodbye::TooSlow));
    assert_eq!(replica.goodbye(), Some(&Goodbye::TooSlow));
    replica.handle_disconnected();
    assert_eq!(replica.goodbye(), Some(&Goodbye::TooSlow));
}

#[test]
fn offline_transitions_wait_in_order_and_are_bounded() {
    let mut replica = live(1, &[1]);
    replica.handle_disconnected();
    for _ in 0..PENDING_MAX {
        apply(&mut replica, 3);
    }
    let one_more = replica.apply(transition(3), Timestamp(5), 0);
    assert_eq!(one_more, Err(SubmitError::TooManyPending));
    assert_eq!(replica.last_number(), Number(PENDING_MAX as u64));
    assert!(sent(&mut replica).is_empty());
    replica.handle_connected();
    send(&mut replica, &ServerMessage::Welcome(welcome(Start::Tail, 1, 0)));
    let submitted = sent(&mut replica).into_iter().filter_map(|message| match message {
        ClientMessage::Submit { number, .. } => Some(number.0),
        _ => None,
    });
    assert!(submitted.eq(1..=PENDING_MAX as u64));
}

#[test]
fn offline_transitions_are_bounded_by_their_bytes_as_well() {
    let mut replica = live(1, &[1]);
    replica.handle_disconnected();
    let mut longest = transition(3).to_vec();
    longest.resize(TRANSITION_BYTES_MAX, 0);
    let longest = Bytes::from(longest);
    for _ in 0..PENDING_BYTES_MAX.div_ceil(TRANSITION_BYTES_MAX) {
        assert!(!replica.is_full());
        replica.apply(longest.clone(), Timestamp(5), 0).unwrap();
    }
    assert!(replica.is_full() && replica.pending() < PENDING_MAX);
    assert_eq!(replica.apply(transition(3), Timestamp(5), 0), Err(SubmitError::TooManyPending));
    // A transition that is decided frees its place.
    replica.handle_connected();
    send(&mut replica, &ServerMessage::Welcome(welcome(Start::Tail, 1, 0)));
    send(&mut replica, &ServerMessage::Rejected { number: Number(1), why: Rejection::Forgotten });
    assert!(!replica.is_full());
    replica.apply(longest, Timestamp(5), 0).unwrap();
}

#[test]
fn a_page_that_was_loaded_anew_goes_on_above_all_numbers_that_the_room_has_taken() {
    let mut replica = live(1, &[1]);
    replica.handle_connected();
    send(&mut replica, &ServerMessage::Welcome(Welcome { taken: Number(7), ..welcome(Start::Tail, 1, 3) }));
    assert_eq!(apply(&mut replica, 3), Number(8));
}

#[test]
fn the_hosts_time_is_the_latest_that_it_named_since_the_welcome() {
    let mut replica = Replica::<Tally>::new(KEY, Number(0));
    assert_eq!(replica.host_time(), None);
    replica.handle_connected();
    let welcome_at =
        |time| ServerMessage::Welcome(Welcome { time: Timestamp(time), ..welcome(snapshot(0, &[]), 0, 0) });
    send(&mut replica, &welcome_at(100));
    assert_eq!(replica.host_time(), Some(Timestamp(100)));
    let event_at = |seq, time| Event { time: Timestamp(time), ..foreign(seq, seq) };
    send(&mut replica, &ServerMessage::Events(vec![event_at(1, 90)]));
    assert_eq!(replica.host_time(), Some(Timestamp(100)), "an event of before the welcome says nothing new");
    send(&mut replica, &ServerMessage::Events(vec![event_at(2, 110), event_at(3, 120)]));
    assert_eq!(replica.host_time(), Some(Timestamp(120)));
    // Another host, whose clock is behind.
    replica.handle_disconnected();
    replica.handle_connected();
    send(&mut replica, &welcome_at(50));
    assert_eq!(replica.host_time(), Some(Timestamp(50)));
}
