//! Growing rooms: one kind of transition, again and again.

use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use reapply_sync::{ApplyError, Author, ClientId, CodecError, Event, Input, Number, Refusal, Seq, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::check::Check;
use crate::contract::Contract;
use crate::failure::Failure;
use crate::generate::Generator;
use crate::random::Random;
use crate::rules::check_schema;
use crate::script::{Act, Script, Step};
use crate::subject::Subject;
use crate::verdict::{Breach, Checked, Rule, answered, bytes_differ, unbroken};

/// The default number of events of one kind.
pub const GROW_EVENTS: u32 = 10_000;

/// The number of generated transitions until one is of the kind, and the number of those that are tried until one is accepted.
const MADE_UP_MAX: usize = 400;
const TRIED_MAX: usize = 40;

/// The number of events of other kinds that may come first, in case the kind needs something in the room.
const OTHERS_MAX: usize = 8;

/// The number of events after each restore whose fuel is measured.
const AFTER_RESTORE: usize = 4;

/// The result for a room of one kind of transition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Growth {
    /// The kind.
    pub kind: String,
    /// The number of accepted events of the kind.
    pub events: u32,
    /// The machine's answer when no more were accepted, if that happened.
    pub ended: Option<String>,
    /// The size of the last snapshot in bytes.
    pub snapshot_bytes: u64,
    /// The largest fuel of one `apply`, if it is measured.
    pub fuel_max: u64,
    /// The largest fuel of one `apply` right after a restore.
    pub fuel_max_restored: u64,
    /// The largest fuel of a `restore`.
    pub restore_fuel_max: u64,
}

impl fmt::Display for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, events, ended, snapshot_bytes, fuel_max, fuel_max_restored, restore_fuel_max } = self;
        write!(f, "{kind}: {events} events, {snapshot_bytes} bytes; largest fuel of an apply {fuel_max}")?;
        write!(f, ", after a restore {fuel_max_restored}; of a restore {restore_fuel_max}")?;
        match ended {
            Some(why) => write!(f, "; then no more were accepted: {why}"),
            None => Ok(()),
        }
    }
}

impl<S: Subject> Check<S> {
    /// Grows a room for each kind of transition, up to the given number of events. At 1, 2, 4, 8, ... events its state is restored, must be
    /// equal, and continues.
    ///
    /// # Errors
    ///
    /// A rule was broken. The error has the history up to that point.
    pub fn grow(&self, events_max: u32) -> Result<Vec<Growth>, Box<Failure>> {
        let contract = self.contract()?;
        let until = Instant::now() + self.time_max;
        let mut growths = Vec::new();
        for (part, kind) in (0..).zip(contract.transition.kinds()) {
            let random = Random::new(self.seed, part);
            let mut script = Script::default();
            let grown = self.instance().and_then(|main| {
                let scratch = self.instance()?;
                Room::new(&contract, main, scratch, random, &mut script)?.grow(&kind, events_max, until)
            });
            growths.push(grown.map_err(|breach| Box::new(self.failure(&contract, None, script, breach)))?);
        }
        Ok(growths)
    }
}

struct Room<'a, S: Subject> {
    contract: &'a Contract,
    main: S,
    scratch: S,
    generator: Generator<'a>,
    script: &'a mut Script,
    state: S::State,
    seq: u64,
    growth: Growth,
}

impl<'a, S: Subject> Room<'a, S> {
    fn new(contract: &'a Contract, mut main: S, scratch: S, random: Random, script: &'a mut Script) -> Checked<Self> {
        let state = answered("create", main.create(""))?;
        let state =
            state.map_err(|why| Breach::new(Rule::Trap, format!("`create` refused the default options: {why}")))?;
        let generator = Generator::new(&contract.transition, random);
        Ok(Self { contract, main, scratch, generator, script, state, seq: 0, growth: Growth::default() })
    }

    fn grow(mut self, kind: &str, events_max: u32, until: Instant) -> Checked<Growth> {
        self.growth.kind = kind.to_owned();
        let mut others = 0;
        while self.growth.events < events_max && Instant::now() < until {
            if self.add(Some(kind))? {
                self.growth.events += 1;
                if self.growth.events.is_power_of_two() {
                    self.look()?;
                }
            } else if self.growth.events == 0 && others < OTHERS_MAX && self.add(None)? {
                others += 1;
                self.look()?;
            } else {
                break;
            }
        }
        if self.growth.events == events_max {
            self.growth.ended = None;
        }
        self.look()?;
        Ok(self.growth)
    }

    /// Adds one event of the kind, or of any. Returns whether that was possible.
    fn add(&mut self, kind: Option<&str>) -> Checked<bool> {
        let mut tried = 0;
        for _ in 0..MADE_UP_MAX {
            let transition = self.generator.generate();
            if kind.is_some_and(|kind| self.contract.transition.kind(&transition) != kind) {
                continue;
            }
            tried += 1;
            let Some(event) = self.event(&transition)? else { continue };
            match self.main.apply(&self.state, &event) {
                Ok(next) => {
                    self.growth.fuel_max = self.growth.fuel_max.max(fuel(&self.main));
                    self.state = next;
                    self.seq += 1;
                    let act = Act::Submit { author: "ada".to_owned(), transition };
                    self.script.steps.push(Step { act, after: 1, entropy: self.seq });
                    return Ok(true);
                }
                Err(ApplyError::Refused(Refusal::Conflict(json) | Refusal::Malformed(json))) => {
                    self.growth.ended = Some(json);
                }
                Err(ApplyError::Fault(fault)) => {
                    let Breach { rule, what } = Breach::of_fault("apply", &fault);
                    return Err(self.told(rule, what));
                }
            }
            if tried >= TRIED_MAX {
                break;
            }
        }
        Ok(false)
    }

    /// Returns `None` if the machine cannot encode the transition.
    fn event(&mut self, transition: &Value) -> Checked<Option<Event>> {
        let bytes = match self.main.encode(&transition.to_string()) {
            Ok(bytes) => bytes,
            Err(CodecError::Refused(_)) => return Ok(None),
            Err(CodecError::Fault(fault)) => return Err(Breach::of_fault("encode", &fault)),
        };
        Ok(Some(self.next_event(bytes)))
    }

    fn next_event(&self, transition: Bytes) -> Event {
        let (seq, number) = (Seq(self.seq + 1), Number(self.seq + 1));
        let input = Input::Transition { author: Author("ada".into()), client: ClientId([0; 16]), number, transition };
        // Times and entropy as in the script.
        Event { seq, time: Timestamp(crate::player::START + seq.0), entropy: seq.0, input }
    }

    /// Restores the state, compares it with the kept one, and continues with it for a few events.
    fn look(&mut self) -> Checked<()> {
        let snapshot = unbroken("snapshot", self.main.snapshot(&self.state));
        let snapshot = snapshot.map_err(|breach| self.told(breach.rule, breach.what))?;
        self.growth.snapshot_bytes = snapshot.len() as u64;
        let restored = answered("restore", self.scratch.restore(&snapshot, self.contract.state_version));
        let restored = restored.map_err(|breach| self.told(Rule::Restore, breach.what))?;
        let mut restored = restored.map_err(|why| self.told(Rule::Restore, format!("`restore` refused it: {why}")))?;
        self.growth.restore_fuel_max = self.growth.restore_fuel_max.max(fuel(&self.scratch));
        let again = unbroken("snapshot", self.scratch.snapshot(&restored))?;
        if again != snapshot {
            let differ = bytes_differ(["state", "restored"], [&snapshot, &again]);
            return Err(self.told(Rule::Restore, format!("the state and what its snapshot restores: their {differ}")));
        }
        let view =
            unbroken("view", self.main.view(&self.state)).map_err(|breach| self.told(breach.rule, breach.what))?;
        let shown =
            check_schema("view", &self.contract.view, &view).map_err(|breach| self.told(breach.rule, breach.what))?;
        let mut random = Random::new(self.seq, 1);
        self.generator.pool.look(&shown, &mut random);
        for _ in 0..AFTER_RESTORE {
            let transition = self.generator.generate();
            let is_meant = self.contract.transition.kind(&transition) == self.growth.kind;
            let Some(event) = self.event(&transition)?.filter(|_| is_meant) else { continue };
            if let Ok(next) = self.scratch.apply(&restored, &event) {
                self.growth.fuel_max_restored = self.growth.fuel_max_restored.max(fuel(&self.scratch));
                restored = next;
            }
        }
        Ok(())
    }

    fn told(&self, rule: Rule, what: String) -> Breach {
        Breach::new(rule, format!("after {} events of `{}`: {what}", self.growth.events, self.growth.kind))
    }
}

fn fuel<S: Subject>(machine: &S) -> u64 {
    machine.usage().map_or(0, |usage| usage.fuel)
}
