//! Single scenarios of a room that chance would rarely meet: who waits for what, who leaves when, and what sleep waits for.

use std::collections::VecDeque;

use bytes::Bytes;
use reapply_sync::room::limits::{ROOM_SESSIONS_MAX, STORAGE_RETRY_MICROS};
use reapply_sync::room::{Asker, Effect, Now, SubmitOnce, Ticks, Verdict, Waking};
use reapply_sync::{
    Author, ClientId, ClientKey, Goodbye, Hello, Input, Number, Room, Seq, Sequencer, SessionId, Timestamp,
};

use crate::tally::{Tally, digest, genesis, transition};

const SLEEP_AFTER: u64 = 10_000_000;

/// What no build takes.
const NONSENSE: Bytes = Bytes::from_static(&[0x80]);

/// A room with its owner, who stores what he is told to.
struct Owner {
    room: Room<Tally>,
    ticks: u64,
}

impl Owner {
    fn new() -> Self {
        let genesis = genesis();
        let sequencer = Sequencer::open(|_| Ok(Tally::default()), genesis.log_id(), genesis, None, []).unwrap();
        let waking = Waking { noted_alarm: None, is_used: true, sleep_after_micros: SLEEP_AFTER };
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

    /// All that the room wants now, but for counts and news.
    fn effects(&mut self) -> VecDeque<Effect> {
        let mut effects = VecDeque::new();
        while let Some(effect) = self.with(|room, now| room.poll_effect(now)) {
            if !matches!(effect, Effect::CountRejection(_) | Effect::Head(_) | Effect::NoteAlarm(_)) {
                effects.push_back(effect);
            }
        }
        effects
    }

    /// The inputs of the batch that the room wants to store, and who was answered.
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
    // Nobody asks for it, so it waits; then both leave, and nobody who is gone stays a member.
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
