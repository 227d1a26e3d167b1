//! Single scenarios of a room that chance would rarely meet: askers who wait, participants who leave, and conditions for sleep.

use std::collections::VecDeque;

use bytes::Bytes;
use reapply_sync::room::limits::{
    BACKOFF_MICROS_MAX, BACKOFF_MICROS_MIN, HELD_AT_ONCE_MAX, HELD_MAX, ROOM_SESSIONS_MAX, STORAGE_RETRY_MICROS,
};
use reapply_sync::room::{Asker, Effect, Note, Now, SubmitOnce, Ticks, Verdict, Waking};
use reapply_sync::{
    Author, ClientId, ClientKey, Goodbye, Hello, Input, Number, Rejection, Room, Seq, Sequencer, SessionId, Timestamp,
};

use crate::tally::{TRAP, Tally, digest, genesis, transition};

const SLEEP_AFTER: u64 = 10_000_000;

/// A transition that no build accepts.
const NONSENSE: Bytes = Bytes::from_static(&[0x80]);

/// A room with its owner, who stores everything that the room asks for.
struct Owner {
    room: Room<Tally>,
    ticks: u64,
}

impl Owner {
    fn new() -> Self {
        Self::of(Tally::default)
    }

    fn of(machine: impl Fn() -> Tally) -> Self {
        let genesis = genesis();
        let sequencer = Sequencer::open(|_| Ok(machine()), genesis.log_id(), genesis, None, []).unwrap();
        let waking = Waking { noted: Note::default(), is_used: true, sleep_after_micros: SLEEP_AFTER };
        let mut draw = || 7;
        let mut now = Now { ticks: Ticks(0), time: Timestamp(1_000), entropy: &mut draw };
        Self { room: Room::new(sequencer, waking, &mut now), ticks: 0 }
    }

    fn with<T>(&mut self, f: impl FnOnce(&mut Room<Tally>, &mut Now<'_>) -> T) -> T {
        let mut draw = || 7;
        let (ticks, time) = (Ticks(self.ticks), Timestamp(1_000 + self.ticks));
        f(&mut self.room, &mut Now { ticks, time, entropy: &mut draw })
    }

    fn enter(&mut self, session: u64, key: u128) -> Result<(), Goodbye> {
        let hello = Hello::new(ClientKey(key.to_be_bytes()), None);
        let author = author(key);
        self.with(|room, now| room.handle_enter(SessionId(session), &hello, author, now)).map(drop)
    }

    fn ask(&mut self, asker: u64, number: u64, transition: Bytes) {
        let (client, number) = (client(1), Number(number));
        let submit = SubmitOnce { author: author(1), client, number, digest: digest(), transition };
        self.with(|room, now| room.handle_submit_once(Asker(asker), submit, now));
    }

    /// Asks with a transition that the machine cannot encode.
    fn ask_unreadable(&mut self, asker: u64, number: u64) {
        let (client, number) = (client(1), Number(number));
        let submit = SubmitOnce { author: author(1), client, number, digest: digest(), transition: Bytes::new() };
        let why = Rejection::Malformed("unreadable".to_owned());
        self.with(|room, now| room.handle_unreadable_once(Asker(asker), submit, why, now));
    }

    /// Returns the room's current effects, except for counts and news.
    fn effects(&mut self) -> VecDeque<Effect> {
        let mut effects = VecDeque::new();
        while let Some(effect) = self.with(|room, now| room.poll_effect(now)) {
            if !matches!(effect, Effect::CountRejection(_) | Effect::Head(_) | Effect::Note(_)) {
                effects.push_back(effect);
            }
        }
        effects
    }

    /// Returns the inputs of the batch that the room wants to store, and the answers to askers.
    fn stored_and_answered(&mut self) -> (Vec<Input>, Vec<(u64, Verdict)>) {
        let (mut inputs, mut answered) = (Vec::new(), Vec::new());
        for effect in self.effects() {
            match effect {
                Effect::Append { batch, .. } => inputs.extend(batch.events.iter().map(|event| event.input.clone())),
                Effect::Answer { asker, verdict } => answered.push((asker.0, verdict)),
                _ => {}
            }
        }
        (inputs, answered)
    }
}

fn client(key: u128) -> ClientId {
    ClientKey(key.to_be_bytes()).client_id()
}

fn author(key: u128) -> Author {
    Author(format!("author {key}").into())
}

#[test]
fn each_asker_gets_one_verdict_in_whatever_order_they_are_decided() {
    let mut owner = Owner::new();
    owner.ask(1, 1, NONSENSE);
    owner.ask(2, 2, transition(5));
    owner.ask(3, 2, transition(5));
    owner.ask(4, 1, NONSENSE);
    let (inputs, answered) = owner.stored_and_answered();
    assert_eq!(inputs.len(), 1);
    assert!(matches!(&answered[..], [(1, Verdict::Rejected(_)), (4, Verdict::Rejected(_))]), "{answered:?}");
    owner.with(|room, now| room.handle_appended(now));
    let (_, answered) = owner.stored_and_answered();
    let accepted = |verdict: &Verdict| matches!(verdict, Verdict::Accepted { seq: Seq(1), .. });
    assert!(matches!(&answered[..], [(2, a), (3, b)] if accepted(a) && accepted(b)), "{answered:?}");
    // A number that was left out will never be decided; one that was accepted has its place.
    owner.ask(5, 4, transition(6));
    owner.ask(6, 3, transition(7));
    owner.ask(7, 2, transition(5));
    let (_, answered) = owner.stored_and_answered();
    assert_eq!(answered, [(7, Verdict::DecidedBefore { seq: Some(Seq(1)) })]);
    owner.with(|room, now| room.handle_appended(now));
    let (_, mut answered) = owner.stored_and_answered();
    answered.sort_by_key(|(asker, _)| *asker);
    assert!(matches!(answered[0], (5, Verdict::Accepted { seq: Seq(2), .. })), "{answered:?}");
    assert_eq!(answered[1..], [(6, Verdict::DecidedBefore { seq: None })]);
}

#[test]
fn a_number_is_looked_up_though_the_machine_cannot_encode_the_transition() {
    let mut owner = Owner::new();
    // Undecided: rejected, and undecided still.
    owner.ask_unreadable(1, 1);
    let (inputs, answered) = owner.stored_and_answered();
    assert_eq!(inputs, []);
    assert_eq!(answered, [(1, Verdict::Rejected(Rejection::Malformed("unreadable".to_owned())))]);
    owner.ask(2, 1, transition(3));
    let (inputs, answered) = owner.stored_and_answered();
    assert_eq!((inputs.len(), answered.len()), (1, 0));
    // Being stored: answered with the others.
    owner.ask_unreadable(3, 1);
    assert_eq!(owner.stored_and_answered().1, []);
    owner.with(|room, now| room.handle_appended(now));
    let (_, answered) = owner.stored_and_answered();
    let is_accepted = |verdict: &Verdict| matches!(verdict, Verdict::Accepted { seq: Seq(1), .. });
    assert!(answered.len() == 2 && answered.iter().all(|(_, verdict)| is_accepted(verdict)), "{answered:?}");
    owner.ask_unreadable(4, 1);
    assert_eq!(owner.stored_and_answered().1, [(4, Verdict::DecidedBefore { seq: Some(Seq(1)) })]);
}

#[test]
fn whoever_leaves_while_nothing_is_stored_leaves_once_that_works_again() {
    let mut owner = Owner::new();
    owner.enter(1, 1).unwrap();
    owner.enter(2, 2).unwrap();
    assert_eq!(owner.stored_and_answered().0, [Input::Joined(author(1)), Input::Joined(author(2))]);
    owner.with(|room, now| room.handle_appended(now));
    owner.effects();
    owner.with(|room, now| room.handle_leave(SessionId(1), now));
    assert_eq!(owner.stored_and_answered().0, [Input::Left(author(1))]);
    owner.with(|room, now| room.handle_append_failed(now));
    assert!(owner.effects().iter().all(|effect| matches!(effect, Effect::End { why: Goodbye::StorageFailed, .. })));
    // Nobody asks for the leave, so it waits. Then both leave, and nobody who is gone stays a member.
    owner.ticks = STORAGE_RETRY_MICROS - 1;
    owner.with(|room, now| room.handle_timer(now));
    assert!(owner.stored_and_answered().0.is_empty());
    let wake_at = owner.with(|room, now| room.wake_at(now));
    assert_eq!(wake_at, Some(Ticks(STORAGE_RETRY_MICROS)));
    owner.ticks = STORAGE_RETRY_MICROS;
    owner.with(|room, now| room.handle_timer(now));
    assert_eq!(owner.stored_and_answered().0, [Input::Left(author(1)), Input::Left(author(2))]);
}

#[test]
fn a_full_room_takes_the_client_that_connects_anew_and_no_other() {
    let mut owner = Owner::new();
    for session in 0..ROOM_SESSIONS_MAX as u64 {
        owner.enter(session, session.into()).unwrap();
    }
    assert!(matches!(owner.enter(20_000, 20_000), Err(Goodbye::Full(_))));
    owner.enter(20_001, 5).unwrap();
    let replaced = |effect: &Effect| matches!(effect, Effect::End { session: SessionId(5), why: Goodbye::Replaced });
    assert_eq!(owner.effects().iter().filter(|effect| replaced(effect)).count(), 1);
}

#[test]
fn a_room_that_lets_go_decides_nothing_more_and_answers_everyone() {
    let mut owner = Owner::new();
    owner.enter(1, 1).unwrap();
    owner.ask(1, 1, transition(5));
    owner.effects();
    let upgrade = owner.with(|room, now| room.handle_upgrade(Tally::default(), digest(), now));
    assert!(upgrade.is_ok());
    owner.with(|room, now| room.handle_append_lost(now));
    let effects = owner.effects();
    let appends = effects.iter().filter(|effect| matches!(effect, Effect::Append { .. }));
    assert_eq!(appends.count(), 0, "{effects:?}");
    let answered = |effect: &Effect| matches!(effect, Effect::Answer { verdict: Verdict::NotStored, .. });
    assert!(effects.iter().any(answered), "{effects:?}");
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Upgraded(Err(_)))), "{effects:?}");
    assert!(matches!(effects.back(), Some(Effect::Sleep { .. })), "{effects:?}");
    let submit = |room: &mut Room<Tally>, now: &mut Now<'_>| {
        room.handle_submit(SessionId(1), Number(9), Bytes::new(), now);
        room.poll_effect(now).is_none()
    };
    assert!(owner.with(submit), "a room that sleeps does nothing more");
}

#[test]
fn whoever_makes_the_machine_fault_waits_longer_each_time_and_nobody_else_waits() {
    // An alarm would change what traps.
    let mut owner = Owner::of(|| Tally { refuses_alarms: true, ..Tally::default() });
    owner.enter(1, 1).unwrap();
    owner.enter(2, 2).unwrap();
    let submit = |owner: &mut Owner, session: u64, number: u64, value: u64| {
        let (session, number) = (SessionId(session), Number(number));
        owner.with(|room, now| room.handle_submit(session, number, transition(value), now));
    };
    // Two have joined, and after an odd number of events a trap is possible.
    submit(&mut owner, 2, 1, 1);
    owner.effects();
    owner.with(|room, now| room.handle_appended(now));
    owner.effects();
    let slowed = |effect: &Effect| match effect {
        Effect::Slow { session: SessionId(1), until } => Some(until.0),
        _ => None,
    };
    let mut waits = Vec::new();
    for round in 1..=12 {
        submit(&mut owner, 1, 2 * round - 1, TRAP);
        submit(&mut owner, 1, 2 * round, TRAP);
        let effects = owner.effects();
        let until = effects.iter().find_map(slowed).expect("the session is slowed");
        let told = effects.iter().filter(|effect| matches!(effect, Effect::Send { session: SessionId(1), .. }));
        assert_eq!(told.count(), 1, "the second one waits: {effects:?}");
        // The same participant waits over HTTP as well. Another one does not.
        owner.ask(round, 100 + round, transition(1));
        submit(&mut owner, 2, 2 * round, 3);
        submit(&mut owner, 2, 2 * round + 1, 5);
        let (inputs, answered) = owner.stored_and_answered();
        let micros = until - owner.ticks;
        assert_eq!((inputs.len(), answered), (2, vec![(round, Verdict::MustWait { micros })]));
        owner.with(|room, now| room.handle_appended(now));
        owner.effects();
        assert!(owner.with(|room, now| room.wake_at(now)).is_some_and(|at| at.0 <= until), "the room sleeps over it");
        owner.with(|room, now| room.handle_timer(now));
        assert_eq!(owner.effects().iter().find_map(slowed), None, "it was decided before its time");
        waits.push(until - owner.ticks);
        owner.ticks = until;
        owner.with(|room, now| room.handle_timer(now));
        let until = owner.effects().iter().find_map(slowed).expect("the one that waited was decided, and trapped");
        waits.push(until - owner.ticks);
        owner.ticks = until;
    }
    assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]) && waits[0] < waits[23], "{waits:?}");
    assert_eq!((waits[0], waits[23]), (BACKOFF_MICROS_MIN, BACKOFF_MICROS_MAX));
    // The participant does no harm until the fault is forgiven.
    owner.ticks += 2 * BACKOFF_MICROS_MAX;
    submit(&mut owner, 1, 25, TRAP);
    let until = owner.effects().iter().find_map(slowed).unwrap();
    assert_eq!(until - owner.ticks, BACKOFF_MICROS_MIN);
}

#[test]
fn what_waits_after_a_fault_is_bounded_and_ends_with_its_session() {
    let mut owner = Owner::new();
    owner.enter(1, 1).unwrap();
    let mut numbers = (1..).map(Number);
    let mut submit = |owner: &mut Owner, value: u64| {
        let number = numbers.next().unwrap();
        owner.with(|room, now| room.handle_submit(SessionId(1), number, transition(value), now));
    };
    for _ in 0..=HELD_MAX {
        submit(&mut owner, TRAP);
    }
    assert!(!owner.effects().iter().any(|effect| matches!(effect, Effect::End { .. })));
    submit(&mut owner, TRAP);
    let ended = |effect: &Effect| matches!(effect, Effect::End { session: SessionId(1), why: Goodbye::Full(_) });
    let effects = owner.effects();
    assert!(effects.iter().any(ended), "{effects:?}");
    owner.ticks += 2 * BACKOFF_MICROS_MAX;
    owner.with(|room, now| room.handle_timer(now));
    let slows = owner.effects().iter().filter(|effect| matches!(effect, Effect::Slow { .. })).count();
    assert_eq!(slows, 0, "what its session had handed in was decided after it");
}

#[test]
fn what_waited_after_a_fault_is_decided_a_portion_at_a_time() {
    let mut owner = Owner::of(|| Tally { refuses_alarms: true, ..Tally::default() });
    owner.enter(1, 1).unwrap();
    let held = 2 * HELD_AT_ONCE_MAX as u64 + 1;
    for number in 1..=held + 1 {
        let value = if number == 1 { TRAP } else { 2 * number + 101 };
        owner.with(|room, now| room.handle_submit(SessionId(1), Number(number), transition(value), now));
    }
    owner.effects();
    owner.with(|room, now| room.handle_appended(now));
    owner.effects();
    owner.ticks = owner.with(|room, now| room.wake_at(now)).unwrap().0;
    let mut portions = Vec::new();
    while owner.with(|room, now| room.wake_at(now)).is_some_and(|at| at.0 <= owner.ticks) {
        owner.with(|room, now| room.handle_timer(now));
        let is_transition = |input: &&Input| matches!(input, Input::Transition { .. });
        portions.push(owner.stored_and_answered().0.iter().filter(is_transition).count());
        owner.with(|room, now| room.handle_appended(now));
        owner.effects();
    }
    assert_eq!(portions, [HELD_AT_ONCE_MAX, HELD_AT_ONCE_MAX, 1]);
}
