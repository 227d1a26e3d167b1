//! A small machine whose answers depend on everything that they may depend on.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use reapply_sync::{
    Alarm, ApplyError, CodecError, Digest, Event, Fault, Genesis, Input, LoadError, Machine, Refusal, Sequencer,
    Timestamp, Tried,
};

/// The applied values, each with its event's entropy and time.
pub(crate) type Applied = Vec<(u64, u64, u64)>;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) start: u64,
    pub(crate) is_broken: bool,
    /// Whether the machine refuses every alarm.
    pub(crate) refuses_alarms: bool,
    /// The length of the alarm's transition.
    pub(crate) alarm_bytes: usize,
    /// Whether the machine refuses every snapshot.
    pub(crate) refuses_snapshots: bool,
    /// Whether the machine breaks off at every snapshot for now.
    pub(crate) snapshots_fail: Rc<Cell<bool>>,
    /// A value that is not a transition of this build.
    pub(crate) unknown: Option<u64>,
    /// The cost of all calls since the last time it was asked. An `apply` costs its value.
    pub(crate) cost: u64,
    /// The cost of writing a snapshot.
    pub(crate) snapshot_cost: u64,
    pub(crate) slice: Option<u64>,
    pub(crate) is_interrupted: bool,
}

/// A handle; lost when the machine breaks off.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    start: u64,
    pub(crate) applied: Applied,
}

pub(crate) const TRAP: u64 = 13;

/// Returns the values after an event. Two even values in a row are a conflict, and 13 traps after an odd number of values.
pub(crate) fn apply(applied: &Applied, event: &Event) -> Result<Applied, ApplyError> {
    let value = match &event.input {
        Input::Transition { transition, .. } => {
            postcard::from_bytes::<u64>(transition).map_err(|error| Refusal::Malformed(error.to_string()))?
        }
        Input::Alarm(_) => 1_000_001,
        Input::Joined(_) | Input::Left(_) => 1_000_003,
        Input::Upgraded(_) | Input::Checkpoint { .. } | Input::Forked { .. } => {
            return Err(Refusal::not_for_machines().into());
        }
    };
    if value == TRAP && applied.len() % 2 == 1 {
        return Err(Fault::Trapped("13".to_owned()).into());
    }
    if value % 2 == 0 && applied.last().is_some_and(|(last, _, _)| last % 2 == 0) {
        return Err(Refusal::Conflict("even again".to_owned()).into());
    }
    let mut applied = applied.clone();
    applied.push((value, event.entropy, event.time.0));
    Ok(applied)
}

pub(crate) fn transition(value: u64) -> Bytes {
    postcard::to_allocvec(&value).unwrap().into()
}

/// Returns the cost of applying an event. For a transition, that is its value.
fn cost(event: &Event) -> u64 {
    match &event.input {
        Input::Transition { transition, .. } => postcard::from_bytes(transition).unwrap_or(1),
        _ => 1,
    }
}

pub(crate) fn digest() -> Digest {
    Digest::of(b"tally")
}

/// Restores the snapshot on trial, as every build of this machine would.
pub(crate) fn try_snapshot(sequencer: &mut Sequencer<Tally>) {
    if let Some(snapshot) = sequencer.poll_trial() {
        sequencer.handle_tried(snapshot.seq, Tried::Restored);
    }
}

pub(crate) fn genesis() -> Genesis {
    let room = "tally/x".split_once('/').map(|(machine, room)| (machine.parse().unwrap(), room.parse().unwrap()));
    let (machine, room) = room.unwrap();
    let room = reapply_sync::RoomId { machine, room };
    Genesis { room, digest: digest(), options: String::new(), time: Timestamp(5), nonce: 1 }
}

impl Tally {
    fn handle(&self, applied: Applied) -> Handle {
        Handle { start: self.start, applied }
    }

    fn check(&self, state: &Handle) {
        assert!(!self.is_broken && state.start == self.start, "a state was used that its machine had lost");
    }
}

impl Machine for Tally {
    type State = Handle;

    fn create(&mut self, _options: &str) -> Result<Handle, LoadError> {
        Ok(self.handle(Vec::new()))
    }

    fn restore(&mut self, snapshot: &[u8], _state_version: u32) -> Result<Handle, LoadError> {
        if self.refuses_snapshots {
            return Err(LoadError::Refused("not mine".to_owned()));
        }
        let applied = postcard::from_bytes(snapshot).map_err(|error| LoadError::Refused(error.to_string()))?;
        Ok(self.handle(applied))
    }

    fn apply(&mut self, state: &Handle, event: &Event) -> Result<Handle, ApplyError> {
        self.check(state);
        let cost = cost(event);
        if let Some(slice) = self.slice.filter(|slice| *slice < cost) {
            self.cost += slice;
            (self.is_broken, self.is_interrupted) = (true, true);
            return Err(Fault::Exhausted("slice".to_owned()).into());
        }
        self.cost += cost;
        if self.refuses_alarms && matches!(event.input, Input::Alarm(_)) {
            return Err(Refusal::Conflict("not now".to_owned()).into());
        }
        let applied = apply(&state.applied, event);
        self.is_broken = matches!(applied, Err(ApplyError::Fault(_)));
        applied.map(|applied| self.handle(applied))
    }

    fn snapshot(&mut self, state: &Handle) -> Result<Bytes, Fault> {
        self.check(state);
        if self.snapshots_fail.get() {
            self.is_broken = true;
            return Err(Fault::Exhausted("time".to_owned()));
        }
        if self.slice == Some(0) {
            (self.is_broken, self.is_interrupted) = (true, true);
            return Err(Fault::Exhausted("slice".to_owned()));
        }
        self.cost += self.snapshot_cost;
        Ok(postcard::to_allocvec(&state.applied).unwrap().into())
    }

    fn alarm(&mut self, state: &Handle) -> Result<Option<Alarm>, Fault> {
        self.check(state);
        let bytes = self.alarm_bytes;
        let alarm = |&(_, _, time): &(u64, u64, u64)| Alarm { at: Timestamp(time), transition: vec![0; bytes].into() };
        Ok(state.applied.last().filter(|_| state.applied.len() % 4 == 3).map(alarm))
    }

    fn encode(&mut self, json: &str) -> Result<Bytes, CodecError> {
        let value = json.parse().map_err(|_| CodecError::Refused(format!("{json} is no whole number")))?;
        if self.unknown == Some(value) {
            return Err(CodecError::Refused(format!("{value} is not known to this build")));
        }
        Ok(transition(value))
    }

    fn decode(&mut self, transition: &[u8]) -> Result<String, CodecError> {
        let value = postcard::from_bytes::<u64>(transition).map_err(|error| CodecError::Refused(error.to_string()))?;
        Ok(value.to_string())
    }

    fn state_version(&self) -> u32 {
        1
    }

    fn membership(&self) -> bool {
        true
    }

    fn reset(&mut self) -> Result<(), Fault> {
        (self.is_broken, self.is_interrupted) = (false, false);
        self.start += 1;
        Ok(())
    }

    fn take_cost(&mut self) -> u64 {
        std::mem::take(&mut self.cost)
    }

    fn set_slice(&mut self, cost_max: Option<u64>) {
        self.slice = cost_max;
    }

    fn is_interrupted(&self) -> bool {
        self.is_interrupted
    }
}
