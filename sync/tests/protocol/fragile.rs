//! A machine that breaks off where a test wants it to, and the reactions of rooms and replicas.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use reapply_sync::room::{Asker, Effect, Note, Now, SubmitOnce, Ticks, Verdict, Waking};
use reapply_sync::{
    Alarm, ApplyError, Author, ClientKey, ClientMessage, CodecError, Digest, Event, Fault, Goodbye, Hello, Input,
    LoadError, Machine, Number, Outcome, Rejection, Replica, Report, Room, Seq, Sequencer, ServerMessage, SessionId,
    Timestamp,
};

use crate::replica_scenarios::{send, snapshot, welcome};
use crate::tally::{Handle, TRAP, Tally, digest, genesis, transition};

const KEY: ClientKey = ClientKey([1; 16]);

/// The function that breaks off at its next call.
type Breaks = Rc<Cell<Option<&'static str>>>;

struct Fragile {
    tally: Tally,
    breaks: Breaks,
}

impl Fragile {
    fn new(breaks: &Breaks) -> Self {
        Self { tally: Tally::default(), breaks: Rc::clone(breaks) }
    }

    fn go_on(&mut self, function: &'static str) -> Result<(), Fault> {
        assert!(!self.tally.is_broken, "{function}: a machine was used after it had broken off");
        if self.breaks.get() != Some(function) {
            return Ok(());
        }
        self.breaks.set(None);
        self.tally.is_broken = true;
        Err(Fault::Trapped(function.to_owned()))
    }
}

impl Machine for Fragile {
    type State = Handle;

    fn create(&mut self, options: &str) -> Result<Handle, LoadError> {
        self.tally.create(options)
    }

    fn restore(&mut self, snapshot: &[u8], state_version: u32) -> Result<Handle, LoadError> {
        self.go_on("restore")?;
        self.tally.restore(snapshot, state_version)
    }

    fn apply(&mut self, state: &Handle, event: &Event) -> Result<Handle, ApplyError> {
        self.go_on("apply")?;
        self.tally.apply(state, event)
    }

    fn snapshot(&mut self, state: &Handle) -> Result<Bytes, Fault> {
        self.go_on("snapshot")?;
        self.tally.snapshot(state)
    }

    fn alarm(&mut self, state: &Handle) -> Result<Option<Alarm>, Fault> {
        self.go_on("alarm")?;
        self.tally.alarm(state)
    }

    fn encode(&mut self, json: &str) -> Result<Bytes, CodecError> {
        self.go_on("encode")?;
        self.tally.encode(json)
    }

    fn decode(&mut self, transition: &[u8]) -> Result<String, CodecError> {
        self.go_on("decode")?;
        self.tally.decode(transition)
    }

    fn state_version(&self) -> u32 {
        self.tally.state_version()
    }

    fn membership(&self) -> bool {
        false
    }

    fn reset(&mut self) -> Result<(), Fault> {
        if self.breaks.get() == Some("reset") {
            return Err(Fault::Trapped("reset".to_owned()));
        }
        self.tally.reset()
    }
}

/// A room with one session, and its owner, who stores everything that the room asks for.
struct Owner {
    room: Room<Fragile>,
    breaks: Breaks,
    ticks: u64,
}

impl Owner {
    fn new(noted_alarm: Option<Timestamp>) -> Self {
        let (breaks, genesis) = (Breaks::default(), genesis());
        let builds = |_| Ok(Fragile::new(&breaks));
        let sequencer = Sequencer::open(builds, genesis.log_id(), genesis, None, []).unwrap();
        let noted = Note { alarm: noted_alarm, is_occupied: false };
        let waking = Waking { noted, is_used: true, sleep_after_micros: 1_000 };
        let mut draw = || 7;
        let mut now = Now { ticks: Ticks(0), time: Timestamp(1_000), entropy: &mut draw };
        let mut owner = Self { room: Room::new(sequencer, waking, &mut now), breaks, ticks: 0 };
        let hello = Hello::new(KEY, None);
        owner.with(|room, now| room.handle_enter(SessionId(1), &hello, Author("a".into()), now)).unwrap();
        owner
    }

    fn with<T>(&mut self, f: impl FnOnce(&mut Room<Fragile>, &mut Now<'_>) -> T) -> T {
        let mut draw = || 7;
        let (ticks, time) = (Ticks(self.ticks), Timestamp(1_000 + self.ticks));
        f(&mut self.room, &mut Now { ticks, time, entropy: &mut draw })
    }

    fn submit(&mut self, number: u64, value: u64) {
        self.with(|room, now| room.handle_submit(SessionId(1), Number(number), transition(value), now));
    }

    fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.with(|room, now| room.poll_effect(now))).collect()
    }

    /// Stores three values, after which there is an alarm. Returns the effects.
    fn store_three(&mut self) -> Vec<Effect> {
        for (number, value) in [(1, 1), (2, 3), (3, 5)] {
            self.submit(number, value);
        }
        let mut effects = self.effects();
        self.with(|room, now| room.handle_appended(now));
        effects.extend(self.effects());
        effects
    }

    fn look(&mut self) {
        let view = |machine: &mut Fragile, _: &Handle| machine.go_on("view");
        let _fault = self.with(|room, now| room.show(view, now));
    }
}

#[test]
fn a_room_that_broke_stores_decides_and_notes_nothing_more_and_answers_everyone() {
    let mut owner = Owner::new(None);
    owner.store_three();
    // One value is on its way, one waits behind it, and a look at the room breaks it for good.
    owner.submit(4, 7);
    assert!(owner.effects().iter().any(|effect| matches!(effect, Effect::Append { .. })));
    let (author, client) = (Author("b".into()), ClientKey([2; 16]).client_id());
    let submit = SubmitOnce { author, client, number: Number(1), digest: digest(), transition: transition(9) };
    owner.with(|room, now| room.handle_submit_once(Asker(1), submit, now));
    owner.breaks.set(Some("reset"));
    let view = |machine: &mut Fragile, _: &Handle| {
        machine.tally.is_broken = true;
        Err::<(), _>(Fault::Trapped("view".to_owned()))
    };
    assert!(owner.with(|room, now| room.show(view, now)).is_err());
    owner.submit(5, 11);
    let effects = owner.effects();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Report(Report::Broken(_)))), "{effects:?}");
    let ends = |effect: &&Effect| matches!(effect, Effect::End { why: Goodbye::RoomFailed(_), .. });
    assert_eq!(effects.iter().filter(ends).count(), 1, "{effects:?}");
    owner.with(|room, now| room.handle_appended(now));
    let effects = owner.effects();
    for effect in &effects {
        let is_expected = match effect {
            Effect::Answer { asker, verdict } => (*asker, verdict) == (Asker(1), &Verdict::NotStored),
            Effect::Head(seq) => *seq == Seq(4),
            Effect::Sleep { .. } => true,
            _ => false,
        };
        assert!(is_expected, "{effects:?}");
    }
    assert_eq!(effects.len(), 3, "{effects:?}");
}

#[test]
fn a_rejection_that_rests_on_what_a_broken_room_drops_is_not_told() {
    let mut owner = Owner::new(None);
    owner.store_three();
    owner.submit(4, 7);
    assert!(owner.effects().iter().any(|effect| matches!(effect, Effect::Append { .. })));
    // This transition waits behind it, and is dropped with the room that breaks on the next one.
    owner.submit(5, 9);
    owner.breaks.set(Some("reset"));
    owner.submit(6, TRAP);
    let mut effects = owner.effects();
    owner.with(|room, now| room.handle_appended(now));
    effects.extend(owner.effects());
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Report(Report::Broken(_)))), "{effects:?}");
    let told = |effect: &Effect| matches!(effect, Effect::Send { .. } | Effect::CountRejection(_));
    assert!(!effects.iter().any(told), "{effects:?}");
}

#[test]
fn the_note_of_an_alarm_outlives_a_room_that_broke() {
    let mut owner = Owner::new(None);
    let noted = owner.store_three().into_iter().find_map(|effect| match effect {
        Effect::Append { note, .. } => note.alarm,
        _ => None,
    });
    assert!(noted.is_some());
    owner.breaks.set(Some("reset"));
    owner.room.decode(&[0x80]).unwrap_err();
    let view = |machine: &mut Fragile, _: &Handle| {
        machine.tally.is_broken = true;
        Err::<(), _>(Fault::Trapped("view".to_owned()))
    };
    assert!(owner.with(|room, now| room.show(view, now)).is_err());
    let effects = owner.effects();
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Note(_))), "{effects:?}");
    assert!(matches!(effects.last(), Some(Effect::Sleep { note: Note { alarm: Some(_), .. }, .. })), "{effects:?}");
}

#[test]
fn a_fault_over_the_alarm_of_a_room_that_lets_go_is_reported() {
    let mut owner = Owner::new(None);
    owner.store_three();
    owner.submit(4, 7);
    owner.effects();
    owner.with(|room, now| room.handle_append_lost(now));
    owner.breaks.set(Some("alarm"));
    let effects = owner.effects();
    let reported = |effect: &Effect| matches!(effect, Effect::Report(Report::FunctionFaulted { .. }));
    assert!(effects.iter().any(reported), "{effects:?}");
    assert!(matches!(effects.last(), Some(Effect::Sleep { .. })), "{effects:?}");
}

#[test]
fn a_view_that_breaks_off_costs_the_room_nothing_not_even_while_an_upgrade_is_stored() {
    for is_stored in [true, false] {
        let mut owner = Owner::new(None);
        owner.store_three();
        let next = Fragile::new(&owner.breaks);
        let asked = owner.with(|room, now| room.handle_upgrade(next, Digest::of(b"next"), now));
        assert!(asked.is_ok());
        assert!(owner.effects().iter().any(|effect| matches!(effect, Effect::Append { .. })));
        owner.breaks.set(Some("view"));
        owner.look();
        owner.with(|room, now| if is_stored { room.handle_appended(now) } else { room.handle_append_failed(now) });
        owner.effects();
        assert_eq!(owner.room.sequencer().digest() == digest(), !is_stored);
        // The machine itself says whether it still has the state.
        let shown = owner
            .with(|room, now| room.show(|machine, state| Ok((machine.snapshot(state)?, state.applied.len())), now));
        assert!(matches!(shown, Ok((_, 3))), "{shown:?}");
    }
}

#[test]
fn a_replica_that_followed_an_upgrade_and_then_came_anew_is_taken_at_its_last_word() {
    let mut owner = Owner::new(None);
    for (digest, number) in [(Digest::of(b"next"), 1), (digest(), 2)] {
        let next = Fragile::new(&owner.breaks);
        owner.with(|room, now| room.handle_upgrade(next, digest, now)).unwrap();
        owner.effects();
        owner.with(|room, now| room.handle_appended(now));
        owner.effects();
        owner.with(|room, now| room.handle_appended(now));
        owner.effects();
        assert_eq!(owner.room.sequencer().upgraded(), Seq(2 * number - 1));
    }
    let hello = Hello::new(KEY, None);
    assert!(owner.with(|room, now| room.handle_resync(SessionId(1), &hello, now)).is_some());
    // Its word of the first upgrade is older than its welcome after the second one.
    owner.with(|room, _| room.handle_followed(SessionId(1), Seq(1)));
    owner.submit(1, 1);
    assert!(owner.effects().iter().any(|effect| matches!(effect, Effect::Append { .. })));
}

/// Returns a replica in a room without events, and the switch that breaks its machines.
fn joined() -> (Replica<Fragile>, Breaks) {
    let breaks = Breaks::default();
    let mut replica = Replica::new(KEY, Number(0));
    replica.handle_connected();
    send(&mut replica, &ServerMessage::Welcome(welcome(snapshot(0, &[]), 0, 0)));
    replica.handle_machine(digest(), Fragile::new(&breaks));
    sent(&mut replica);
    (replica, breaks)
}

fn sent(replica: &mut Replica<Fragile>) -> Vec<ClientMessage> {
    std::iter::from_fn(|| replica.poll_transmit()).map(|frame| ClientMessage::decode(&frame).unwrap()).collect()
}

fn upgrade(replica: &mut Replica<Fragile>, breaks: &Breaks) {
    let input = Input::Upgraded(Digest::of(b"next"));
    let event = Event { seq: Seq(1), time: Timestamp(5), entropy: 0, input };
    replica.handle_frame(&ServerMessage::Events(vec![event]).encode()).unwrap();
    replica.handle_machine(Digest::of(b"next"), Fragile::new(breaks));
}

#[test]
fn a_replica_says_that_it_followed_an_upgrade_before_it_asks_for_a_snapshot() {
    let (mut replica, breaks) = joined();
    let number = replica.apply(transition(3), Timestamp(5), 0).unwrap();
    sent(&mut replica);
    breaks.set(Some("encode"));
    upgrade(&mut replica, &breaks);
    let sent = sent(&mut replica);
    assert!(matches!(&sent[..], [ClientMessage::Upgraded(Seq(1)), ClientMessage::Hello(_)]), "{sent:?}");
    let why = Rejection::Trapped("encode".to_owned());
    assert_eq!(replica.poll_outcome(), Some((number, Outcome::Rejected(why))));
}

#[test]
fn what_is_pending_outlives_a_machine_that_breaks_off_over_its_last_snapshot() {
    let (mut replica, breaks) = joined();
    replica.apply(transition(3), Timestamp(5), 0).unwrap();
    sent(&mut replica);
    breaks.set(Some("snapshot"));
    upgrade(&mut replica, &breaks);
    assert_eq!((replica.pending(), replica.poll_outcome()), (1, None));
    let sent = sent(&mut replica);
    assert!(matches!(&sent[..], [ClientMessage::Hello(hello)] if hello.resume.is_none()), "{sent:?}");
}
