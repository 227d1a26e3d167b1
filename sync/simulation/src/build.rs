//! Builds of one machine that differ only in their encodings. If another build reads a transition or a state than the one that wrote it, and it
//! was not converted, that is detected at once.

use bytes::Bytes;
use reapply_sync::{Alarm, ApplyError, CodecError, Digest, Event, Fault, Input, LoadError, Machine, Refusal};

use crate::faults::{BLOAT_BYTES, Doing, Faults};
use crate::slices::Slices;

/// The number of builds.
pub(crate) const BUILDS: u8 = 4;

/// The build that sets no alarms.
const SILENT: u8 = 1;

/// The build that does not ask for membership.
const UNASKING: u8 = 2;

/// The error of a machine that did not start again.
pub(crate) const DEAD: &str = "it did not start again";

/// The mark of an oversized state, in a snapshot's last byte beside the build's number.
const BLOATED: u8 = 0x80;

/// One build. Its transitions begin with its number, and its snapshots end with it. After it has broken off, it must be reset before it is used
/// again.
#[derive(Debug)]
pub(crate) struct Build<M> {
    machine: M,
    number: u8,
    faults: Faults,
    slices: Slices,
    health: Health,
}

#[derive(Debug, PartialEq, Eq)]
enum Health {
    Well,
    /// The machine has broken off, and must not be called before a reset.
    Broken,
    /// The machine did not start again, and all of its calls fail.
    Dead,
}

impl<M> Build<M> {
    pub(crate) fn new(machine: M, number: u8, faults: Faults) -> Self {
        Self { machine, number, faults, slices: Slices::default(), health: Health::Well }
    }

    /// Goes on with a call, or breaks it off.
    pub(crate) fn go_on(&mut self, doing: Doing) -> Result<(), Fault> {
        assert_ne!(self.health, Health::Broken, "a machine was used after it had broken off");
        if self.health == Health::Dead {
            return Err(Fault::Trapped(DEAD.to_owned()));
        }
        let gone_on = self.faults.strike(doing).map_or_else(|| self.slices.call(), Err);
        gone_on.inspect_err(|_| self.health = Health::Broken)
    }

    /// Returns a transition in this build's own encoding.
    pub(crate) fn write(&self, transition: &[u8]) -> Bytes {
        [&[self.number], transition].concat().into()
    }

    /// Returns whether the build has no such transition. Each build lacks some others.
    fn lacks(&self, transition: &[u8]) -> bool {
        let sum: u32 = transition.iter().map(|&byte| u32::from(byte)).sum();
        sum % 16 == u32::from(self.number)
    }

    fn read<'a>(&self, transition: &'a [u8]) -> Result<&'a [u8], Refusal> {
        match transition.split_first() {
            Some((&number, plain)) if number == self.number => Ok(plain),
            _ => Err(Refusal::Malformed(format!("written by another build than {}", self.number))),
        }
    }
}

/// Returns whether a build sets alarms.
pub(crate) fn sets_alarms(number: u8) -> bool {
    number != SILENT
}

/// Returns the digest of a build of the machine `name`.
pub(crate) fn digest_of(name: &str, number: u8) -> Digest {
    Digest::of(format!("{name} {number}").as_bytes())
}

/// Returns the number of the build with this digest.
pub(crate) fn number_of(name: &str, digest: Digest) -> u8 {
    (0..BUILDS).find(|&number| digest_of(name, number) == digest).expect("a digest that no build has")
}

/// Returns the event without its build's mark.
pub(crate) fn plain(event: &Event, number: u8) -> Event {
    let strip = |transition: &Bytes| {
        assert_eq!(transition.first(), Some(&number), "event {} was written by another build", event.seq);
        transition.slice(1..)
    };
    let mut plain = event.clone();
    match &mut plain.input {
        Input::Transition { transition, .. } | Input::Alarm(transition) => *transition = strip(transition),
        _ => {}
    }
    plain
}

impl<M: Machine> Machine for Build<M> {
    type State = M::State;

    fn create(&mut self, options: &str) -> Result<M::State, LoadError> {
        self.machine.create(options)
    }

    fn restore(&mut self, snapshot: &[u8], state_version: u32) -> Result<M::State, LoadError> {
        self.go_on(Doing::Restore)?;
        let (mark, mut plain) = snapshot.split_last().expect("a snapshot has the mark of its build");
        assert_eq!(u32::from(mark & !BLOATED), state_version >> 16, "a snapshot has lost its version");
        if mark & BLOATED != 0 {
            plain = &plain[..plain.len() - BLOAT_BYTES];
        }
        self.machine.restore(plain, state_version & 0xffff)
    }

    fn apply(&mut self, state: &M::State, event: &Event) -> Result<M::State, ApplyError> {
        assert!(event.input.is_for_machine(), "a machine was given {:?}", event.input);
        let is_membership = matches!(event.input, Input::Joined(_) | Input::Left(_));
        assert!(
            !is_membership || self.number != UNASKING,
            "a build that asks for no membership was given {:?}",
            event.input
        );
        if let Input::Transition { transition, .. } | Input::Alarm(transition) = &event.input {
            self.read(transition)?;
        }
        self.go_on(Doing::Apply)?;
        self.machine.apply(state, &plain(event, self.number))
    }

    fn snapshot(&mut self, state: &M::State) -> Result<Bytes, Fault> {
        self.go_on(Doing::Snapshot)?;
        let plain = self.machine.snapshot(state)?;
        if self.faults.bloats(&plain) {
            return Ok([&plain[..], &[0; BLOAT_BYTES], &[self.number | BLOATED]].concat().into());
        }
        Ok([&plain[..], &[self.number]].concat().into())
    }

    fn alarm(&mut self, state: &M::State) -> Result<Option<Alarm>, Fault> {
        self.go_on(Doing::Alarm)?;
        let alarm = self.machine.alarm(state)?.filter(|_| sets_alarms(self.number));
        Ok(alarm.map(|alarm| Alarm { transition: self.write(&alarm.transition), ..alarm }))
    }

    /// Fails for some transitions: not every build accepts, or shows, every one.
    fn encode(&mut self, json: &str) -> Result<Bytes, CodecError> {
        self.go_on(Doing::Codec)?;
        if self.lacks(json.as_bytes()) {
            return Err(CodecError::Refused("this build has no such transition".to_owned()));
        }
        Ok(self.write(&from_json(json)))
    }

    fn decode(&mut self, transition: &[u8]) -> Result<String, CodecError> {
        self.go_on(Doing::Codec)?;
        let plain = self.read(transition).map_err(|refusal| CodecError::Refused(refusal.to_string()))?;
        if self.lacks(plain) {
            return Err(CodecError::Refused("this build cannot show that transition".to_owned()));
        }
        Ok(to_json(plain))
    }

    fn state_version(&self) -> u32 {
        self.machine.state_version() | u32::from(self.number) << 16
    }

    fn membership(&self) -> bool {
        self.machine.membership() && self.number != UNASKING
    }

    fn take_cost(&mut self) -> u64 {
        self.slices.take_cost()
    }

    fn set_slice(&mut self, cost_max: Option<u64>) {
        self.slices.set(cost_max);
    }

    fn is_interrupted(&self) -> bool {
        self.slices.is_interrupted()
    }

    fn reset(&mut self) -> Result<(), Fault> {
        self.slices.reset();
        self.health = Health::Dead;
        if let Some(fault) = self.faults.strike(Doing::Reset) {
            return Err(fault);
        }
        self.machine.reset()?;
        self.health = Health::Well;
        Ok(())
    }
}

/// Returns the transition that this JSON stands for.
pub(crate) fn from_json(json: &str) -> Bytes {
    let digit = |byte: u8| (byte as char).to_digit(16).expect("JSON that was made here") as u8;
    json.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Returns a transition as JSON, which all builds read.
pub(crate) fn to_json(transition: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    transition.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}
