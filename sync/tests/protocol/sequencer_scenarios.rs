//! A sequencer in situations that chance would rarely meet.

use std::sync::Arc;

use reapply_sync::limits::{REJECTIONS_HELD_MAX, TRANSITION_BYTES_MAX};
use reapply_sync::{
    Author, Chain, ClientId, ClientKey, ClientMessage, Hello, Limits, Number, OpenError, Rejected, Rejection, Replica,
    Report, Resume, Seq, Sequencer, ServerMessage, SessionId, Start, Submit, Timestamp,
};

use crate::tally::{TRAP, Tally, genesis, transition};

const KEY: ClientKey = ClientKey([1; 16]);

fn open() -> Sequencer<Tally> {
    Sequencer::open(|_| Ok(Tally::default()), genesis().log_id(), genesis(), None, []).unwrap()
}

fn submit(sequencer: &mut Sequencer<Tally>, client: ClientId, number: u64, value: u64) {
    let (author, number, transition) = (Author("a".into()), Number(number), transition(value));
    sequencer.handle_submit(Submit { author, client, number, upgraded: Seq(0), transition }, Timestamp(10), 7);
}

fn append(sequencer: &mut Sequencer<Tally>) {
    while sequencer.poll_batch().is_some() {
        sequencer.handle_appended();
    }
}

#[test]
fn a_rejection_waits_for_what_it_rests_on_and_is_repeated_when_asked_again() {
    let (mut sequencer, client) = (open(), KEY.client_id());
    submit(&mut sequencer, client, 1, 2);
    submit(&mut sequencer, client, 2, 4);
    let _in_flight = sequencer.poll_batch().unwrap();
    assert_eq!(sequencer.poll_rejected(), None, "the value it conflicts with is not durable yet");
    sequencer.handle_appended();
    let rejected = sequencer.poll_rejected().unwrap();
    let why = Rejection::Conflict("even again".to_owned());
    let (author, number) = (Author("a".into()), Number(2));
    assert_eq!(rejected, Rejected { author, client, number, why, is_repeated: false });
    submit(&mut sequencer, client, 2, 4);
    assert_eq!(sequencer.poll_rejected(), Some(Rejected { is_repeated: true, ..rejected.clone() }));
    assert_eq!(sequencer.poll_rejected(), None);
    let hello = Hello::new(KEY, None);
    let (welcome, _) = sequencer.welcome(&hello, SessionId(1), Author("a".into()), Timestamp(10));
    assert_eq!(welcome.rejected, [(rejected.number, rejected.why)]);
    assert_eq!((welcome.decided, welcome.taken, welcome.head), (Number(2), Number(2), Seq(1)));
}

#[test]
fn nothing_is_seen_of_a_batch_that_was_not_stored() {
    let (mut sequencer, client) = (open(), KEY.client_id());
    submit(&mut sequencer, client, 1, 1);
    append(&mut sequencer);
    submit(&mut sequencer, client, 2, 2);
    let _in_flight = sequencer.poll_batch().unwrap();
    submit(&mut sequencer, client, 3, 4);
    submit(&mut sequencer, client, 4, 3);
    sequencer.handle_joined(Author("late".into()), Timestamp(1_000), 7);
    sequencer.handle_append_failed();
    assert_eq!(sequencer.present().count(), 0);
    assert!(sequencer.is_settled());
    assert_eq!(sequencer.poll_rejected(), None);
    let hello = Hello::new(KEY, None);
    let (welcome, _) = sequencer.welcome(&hello, SessionId(1), Author("a".into()), Timestamp(10));
    assert_eq!((welcome.decided, welcome.taken, welcome.head), (Number(1), Number(1), Seq(1)));
    // A transition that conflicted with the lost value does not conflict any more.
    submit(&mut sequencer, client, 3, 4);
    append(&mut sequencer);
    let applied = sequencer.durable().1.applied.iter().map(|&(value, _, time)| (value, time)).collect::<Vec<_>>();
    assert_eq!(applied, [(1, 10), (4, 10)], "the room's clock went back to the last durable event's");
}

#[test]
fn an_alarm_refused_on_a_state_that_was_not_stored_is_tried_again() {
    let (mut sequencer, client) = (open(), KEY.client_id());
    // With three values there is an alarm. After a refused one it is spent, until the state that refused it is gone.
    for (number, value) in [(1, 1), (2, 3), (3, 5)] {
        submit(&mut sequencer, client, number, value);
    }
    append(&mut sequencer);
    sequencer.durable().0.refuses_alarms = true;
    assert!(sequencer.alarm_at().is_some());
    sequencer.handle_alarm(Timestamp(10), 1);
    assert!(matches!(sequencer.poll_report(), Some(Report::AlarmFailed { .. })));
    assert_eq!(sequencer.alarm_at(), None);
    sequencer.handle_append_failed();
    assert!(sequencer.alarm_at().is_some());
}

#[test]
fn an_alarm_that_was_spent_before_the_room_was_opened_stays_so_until_it_changes() {
    let (mut sequencer, client) = (open(), KEY.client_id());
    for (number, value) in [(1, 1), (2, 3), (3, 5)] {
        submit(&mut sequencer, client, number, value);
    }
    append(&mut sequencer);
    sequencer.spend_alarm();
    assert_eq!(sequencer.alarm_at(), None);
    sequencer.handle_alarm(Timestamp(u64::MAX), 1);
    assert!(sequencer.is_settled());
    for (number, value) in [(4, 7), (5, 9), (6, 11), (7, 13)] {
        let (author, number, transition) = (Author("a".into()), Number(number), transition(value));
        sequencer.handle_submit(Submit { author, client, number, upgraded: Seq(0), transition }, Timestamp(20), 7);
    }
    assert_eq!(sequencer.alarm_at(), Some(Timestamp(20)), "another alarm is another matter");
}

#[test]
fn an_alarm_that_is_longer_than_a_transition_may_be_is_reported_and_never_goes_off() {
    let (mut sequencer, client) = (open(), KEY.client_id());
    sequencer.durable().0.alarm_bytes = TRANSITION_BYTES_MAX + 1;
    for (number, value) in [(1, 1), (2, 3), (3, 5)] {
        submit(&mut sequencer, client, number, value);
    }
    append(&mut sequencer);
    for _ in 0..2 {
        assert_eq!(sequencer.alarm_at(), None);
        sequencer.handle_alarm(Timestamp(u64::MAX), 1);
    }
    assert!(sequencer.is_settled());
    let Some(Report::AlarmFailed { alarm, why }) = sequencer.poll_report() else { panic!("nothing was reported") };
    assert!(alarm.transition.len() <= TRANSITION_BYTES_MAX, "a report of any size");
    assert!(why.to_string().contains("it has 65537 bytes; the limit is 65536"), "{why}");
    assert_eq!(sequencer.poll_report(), None);
}

#[test]
fn a_trap_costs_its_own_transition_and_nothing_else() {
    let (mut sequencer, client) = (open(), KEY.client_id());
    submit(&mut sequencer, client, 1, 1);
    append(&mut sequencer);
    submit(&mut sequencer, client, 2, 3);
    let _in_flight = sequencer.poll_batch().unwrap();
    submit(&mut sequencer, client, 3, 5);
    submit(&mut sequencer, client, 4, TRAP);
    assert!(matches!(sequencer.poll_report(), Some(Report::Faulted { .. })));
    submit(&mut sequencer, client, 5, 7);
    sequencer.handle_appended();
    append(&mut sequencer);
    assert!(matches!(sequencer.poll_rejected(), Some(Rejected { number: Number(4), why: Rejection::Trapped(_), .. })));
    assert_eq!(sequencer.durable().1.applied.iter().map(|&(value, ..)| value).collect::<Vec<_>>(), [1, 3, 5, 7]);
}

#[test]
fn rejections_that_are_held_back_are_bounded() {
    let (mut sequencer, client) = (open(), KEY.client_id());
    submit(&mut sequencer, client, 1, 2);
    let _in_flight = sequencer.poll_batch().unwrap();
    for number in 2..REJECTIONS_HELD_MAX as u64 + 2 {
        assert!(!sequencer.is_full());
        submit(&mut sequencer, client, number, 2);
    }
    assert!(sequencer.is_full());
    sequencer.handle_appended();
    while sequencer.poll_rejected().is_some() {}
    assert!(!sequencer.is_full());
}

#[test]
fn a_log_with_a_gap_does_not_open() {
    let (mut sequencer, client) = (open(), KEY.client_id());
    let mut batches = Vec::new();
    for number in 1..=2 {
        submit(&mut sequencer, client, number, 1);
        batches.push(Arc::unwrap_or_clone(sequencer.poll_batch().unwrap()));
        sequencer.handle_appended();
    }
    let opened = Sequencer::open(|_| Ok(Tally::default()), genesis().log_id(), genesis(), None, batches.split_off(1));
    assert_eq!(opened.unwrap_err(), OpenError::Disordered { expected: Seq(1), head: Seq(0) });
}

#[test]
fn a_newcomer_starts_from_the_snapshot_and_a_returning_one_from_its_place() {
    let (mut sequencer, client) = (open(), KEY.client_id());
    submit(&mut sequencer, client, 1, 1);
    append(&mut sequencer);
    let snapshot = sequencer.write_snapshot();
    let opened = Sequencer::open(|_| Ok(Tally::default()), genesis().log_id(), genesis(), snapshot, []);
    let mut sequencer = opened.unwrap();
    submit(&mut sequencer, client, 2, 3);
    append(&mut sequencer);
    let (log, digest, chain) = (sequencer.history().log_id(), genesis().digest, sequencer.history().chain());
    let mut start = |resume| {
        let hello = Hello::new(KEY, resume);
        let (welcome, reader) = sequencer.welcome(&hello, SessionId(1), Author("a".into()), Timestamp(10));
        (matches!(welcome.start, Start::Tail), reader.after())
    };
    assert_eq!(start(None), (false, Seq(1)));
    let resume = |seq, chain| Some(Resume { log, digest, seq: Seq(seq), chain });
    assert_eq!(start(resume(2, chain)), (true, Seq(2)));
    assert_eq!(start(resume(3, chain)), (false, Seq(1)));
    let other = Chain([9; 32]);
    assert_eq!(start(resume(2, other)), (false, Seq(1)), "its past is not the room's, though it is as long");
}

/// Returns a room that remembers two clients, and has just forgotten one.
fn forgetful() -> Sequencer<Tally> {
    let limits = Limits { clients_remembered_max: 2, ..Limits::default() };
    let genesis = genesis();
    let opened = Sequencer::open_within(limits, |_| Ok(Tally::default()), genesis.log_id(), genesis, None, []);
    let mut sequencer = opened.unwrap();
    for (key, value) in [(7, 1), (8, 3), (9, 5)] {
        submit(&mut sequencer, ClientKey([key; 16]).client_id(), 1, value);
        append(&mut sequencer);
    }
    sequencer
}

#[test]
fn a_client_that_has_begun_a_session_is_not_forgotten_before_it_has_ended() {
    let mut sequencer = forgetful();
    let strangers = |sequencer: &mut Sequencer<Tally>, from: u8| {
        for key in from..from + 40 {
            submit(sequencer, ClientKey([key; 16]).client_id(), 1, u64::from(key) * 2 + 1);
            append(sequencer);
        }
    };
    submit(&mut sequencer, KEY.client_id(), 1, 7);
    append(&mut sequencer);
    let hello = Hello::new(KEY, None);
    let (welcome, _) = sequencer.welcome(&hello, SessionId(1), Author("a".into()), Timestamp(10));
    assert_eq!((welcome.decided, welcome.forgotten), (Number(1), None));
    strangers(&mut sequencer, 20);
    let head = sequencer.history().head();
    submit(&mut sequencer, KEY.client_id(), 1, 7);
    append(&mut sequencer);
    assert_eq!(sequencer.history().head(), head, "what it sends again after its welcome is applied twice");
    sequencer.handle_session_ended(KEY.client_id(), SessionId(1));
    strangers(&mut sequencer, 60);
    let (welcome, _) = sequencer.welcome(&hello, SessionId(2), Author("a".into()), Timestamp(10));
    assert_eq!(welcome.decided, Number(0));
    assert!(welcome.forgotten.is_some_and(|forgotten| forgotten.known_from.is_none() && forgotten.number == Number(1)));
}

#[test]
fn a_newcomer_is_told_nothing_of_those_who_were_forgotten_before_it_came() {
    let mut sequencer = forgetful();
    let mut replica = Replica::new(KEY, Number(0));
    let join = |sequencer: &mut Sequencer<Tally>, replica: &mut Replica<Tally>, session| {
        replica.handle_connected();
        let Ok(ClientMessage::Hello(hello)) = ClientMessage::decode(&replica.poll_transmit().unwrap()) else {
            panic!()
        };
        let (welcome, _) = sequencer.welcome(&hello, SessionId(session), Author("a".into()), Timestamp(10));
        assert!(welcome.forgotten.is_some());
        replica.handle_frame(&ServerMessage::Welcome(welcome).encode()).unwrap();
        replica.handle_machine(genesis().digest, Tally::default());
        replica.settle();
    };
    join(&mut sequencer, &mut replica, 1);
    let number = replica.apply(transition(9), Timestamp(10), 0).unwrap();
    assert_eq!(number, Number(2), "numbers begin above those that were forgotten");
    assert!(replica.poll_transmit().is_some());
    // The connection broke before the message reached the room.
    sequencer.handle_session_ended(KEY.client_id(), SessionId(1));
    join(&mut sequencer, &mut replica, 2);
    assert_eq!(replica.poll_outcome(), None);
    let sent = ClientMessage::decode(&replica.poll_transmit().unwrap()).unwrap();
    assert_eq!(sent, ClientMessage::Submit { number, transition: transition(9) });
}
