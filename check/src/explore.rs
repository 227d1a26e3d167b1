//! Chooses the next step of a history.

use bytes::Bytes;
use reapply_sync::limits::TRANSITION_BYTES_MAX;
use reapply_sync::{ApplyError, CodecError};
use serde_json::Value;

use crate::contract::Contract;
use crate::generate::Generator;
use crate::player::Player;
use crate::random::Random;
use crate::schema::Schema;
use crate::script::{Act, Step, to_hex};
use crate::subject::Subject;

/// The participants of histories; each history has the first few of them.
const AUTHORS: [&str; 5] = ["ada", "bob", "cyd", "dee", "eve"];

/// The number of transitions that are kept for repetition.
const KEPT_MAX: usize = 32;

/// Percentages of steps: joins before the first transition, leaves after it, bytes that are not a transition or a snapshot, and repeated
/// transitions.
const JOINED: usize = 60;
const LEFT: usize = 5;
const MALFORMED: usize = 10;
const BYTES: usize = 3;
const AGAIN: usize = 8;

/// Percentages of alarms that go off at once, and of those that go off when the next event would come after them. The others come late.
const ALARM_NOW: usize = 15;
const ALARM_DUE: usize = 85;

/// Percentages of two participants who send at once, and of transitions that are delayed; and the maximum number of steps of the delay.
const AT_ONCE: usize = 6;
const LATE: usize = 12;
const LATE_BY_MAX: usize = 8;

const MS: u64 = 1000;
const DAY: u64 = 24 * 3600 * 1000 * MS;

/// The percentage of transitions that are tried beforehand, so that most are accepted and histories lead somewhere; and the number of
/// tries.
const ADVISED: usize = 60;
const TRIED_MAX: usize = 6;

/// The maker of one history, step by step.
pub(crate) struct Explorer<'a, S: Subject> {
    contract: &'a Contract,
    generator: Generator<'a>,
    random: Random,
    authors: &'static [&'static str],
    asked: Vec<Value>,
    /// The snapshot of the state whose view the generator has seen last.
    looked_at: Bytes,
    advisor: Advisor<S>,
    /// Delayed transitions, each with the number of steps until it arrives.
    on_their_way: Vec<(Act, usize)>,
}

impl<'a, S: Subject> Explorer<'a, S> {
    pub(crate) fn new(contract: &'a Contract, advisor: S, mut random: Random) -> Self {
        let authors = &AUTHORS[..2 + random.below(AUTHORS.len() - 1)];
        let mut generator = Generator::new(&contract.transition, Random::new(random.bits(), 1));
        authors.iter().for_each(|author| generator.pool.keep_author(author, &mut random));
        let advisor = Advisor { machine: advisor, snapshot: Bytes::new(), state: None };
        Self {
            contract,
            generator,
            random,
            authors,
            asked: Vec::new(),
            looked_at: Bytes::new(),
            advisor,
            on_their_way: Vec::new(),
        }
    }

    /// Returns the next step, and whether it was made for an earlier state.
    pub(crate) fn next(&mut self, player: &Player<'_, S>) -> (Step, bool) {
        if *player.snapshot() != self.looked_at {
            self.looked_at = player.snapshot().clone();
            self.generator.pool.look(player.view(), &mut self.random);
        }
        let after = self.gap();
        // Small numbers now and then, so that machines that use them as dice see both ends.
        let entropy = if self.random.percent(20) { self.random.bits() % 8 } else { self.random.bits() };
        if let Some(act) = self.arrived() {
            return (Step { act, after, entropy }, true);
        }
        let mut step = Step { act: self.act(player, after), after, entropy };
        match step.act {
            Act::Alarm if self.random.percent(70) => step.after = 0,
            Act::Submit { .. } if self.random.percent(ADVISED) => {
                for _ in 0..TRIED_MAX {
                    if self.advisor.welcomes(self.contract, player, &step) {
                        break;
                    }
                    step.act = self.submit();
                }
            }
            _ => {}
        }
        if matches!(step.act, Act::Submit { .. }) && self.random.percent(LATE) {
            // The author sees this state, and the transition arrives after others.
            let by = 2 + self.random.below(LATE_BY_MAX - 1);
            let act = std::mem::replace(&mut step.act, self.submit());
            self.on_their_way.push((act, by));
        }
        (step, false)
    }

    /// Returns a delayed transition that is due.
    fn arrived(&mut self) -> Option<Act> {
        self.on_their_way.iter_mut().for_each(|(_, left)| *left = left.saturating_sub(1));
        let index = self.on_their_way.iter().position(|(_, left)| *left == 0)?;
        Some(self.on_their_way.remove(index).0)
    }

    fn act(&mut self, player: &Player<'_, S>, after: u64) -> Act {
        if let Some(left) = player.alarm_in() {
            let share = if after >= left { ALARM_DUE } else { ALARM_NOW };
            if self.random.percent(share) {
                return Act::Alarm;
            }
        }
        if self.contract.membership {
            let author = self.author();
            let is_present = player.is_present(&author);
            if self.random.percent(if is_present { LEFT } else { JOINED }) {
                return if is_present { Act::Left { author } } else { Act::Joined { author } };
            }
        }
        if self.random.percent(BYTES) {
            return if self.random.percent(50) {
                let bytes = to_hex(&spoil(player.last_transition(), &mut self.random));
                Act::SubmitBytes { author: self.author(), bytes }
            } else {
                Act::RestoreBytes { bytes: to_hex(&spoil(player.snapshot(), &mut self.random)) }
            };
        }
        if self.random.percent(AT_ONCE) {
            return self.at_once(player);
        }
        self.submit()
    }

    /// Returns two transitions by two participants. If possible, the machine would accept each of them alone.
    fn at_once(&mut self, player: &Player<'_, S>) -> Act {
        let mut welcome = || {
            let mut act = self.submit();
            for _ in 0..TRIED_MAX {
                if self.advisor.welcomes(self.contract, player, &Step { act: act.clone(), after: 0, entropy: 0 }) {
                    break;
                }
                act = self.submit();
            }
            act
        };
        let mut asked = [welcome(), welcome()].map(|act| match act {
            Act::Submit { author, transition } => (author, transition),
            _ => (String::new(), Value::Null),
        });
        if asked[0].0 == asked[1].0 {
            let other = self.authors.iter().find(|author| **author != asked[0].0);
            asked[1].0 = other.map_or_else(String::new, |author| (*author).to_owned());
        }
        let [(a, one), (b, other)] = asked;
        Act::AtOnce { authors: [a, b], transitions: [one, other] }
    }

    fn submit(&mut self) -> Act {
        let author = self.author();
        if self.random.percent(AGAIN)
            && let Some(transition) = self.random.pick(&self.asked).cloned()
        {
            return Act::Submit { author, transition };
        }
        let mut transition = self.generator.generate();
        // Some types refuse more than a schema can express. Each refused value is tried once, and most of the following steps are
        // transitions.
        if !self.random.percent(MALFORMED) && self.advisor.is_malformed(&transition) {
            transition = self.generator.generate_carefully();
        }
        if self.asked.len() < KEPT_MAX {
            self.asked.push(transition.clone());
        } else {
            let index = self.random.below(KEPT_MAX);
            self.asked[index] = transition.clone();
        }
        Act::Submit { author, transition }
    }

    fn author(&mut self) -> String {
        self.random.pick(self.authors).map_or("ada", |author| *author).to_owned()
    }

    /// Returns the microseconds until the next event: often none or few, sometimes days.
    fn gap(&mut self) -> u64 {
        let scale = [0, 0, 1, MS, 50 * MS, 1000 * MS, 20_000 * MS, 600_000 * MS, DAY];
        let most = *self.random.pick(&scale).unwrap_or(&0);
        u64::try_from(self.random.between(0, most.into())).unwrap_or(0)
    }
}

/// A separate instance to try transitions on, which leaves no trace in the checked instances.
struct Advisor<S: Subject> {
    machine: S,
    snapshot: Bytes,
    state: Option<S::State>,
}

impl<S: Subject> Advisor<S> {
    fn is_malformed(&mut self, transition: &Value) -> bool {
        matches!(self.machine.encode(&transition.to_string()), Err(CodecError::Refused(_)))
    }

    /// Returns whether the machine would accept the step, or break off at it, which is just as useful.
    fn welcomes(&mut self, contract: &Contract, player: &Player<'_, S>, step: &Step) -> bool {
        let Act::Submit { author, transition } = &step.act else { return true };
        if self.state.is_none() || *player.snapshot() != self.snapshot {
            self.state = None;
            self.snapshot = player.snapshot().clone();
            self.state = self.machine.restore(&self.snapshot, contract.state_version).ok();
        }
        let Some(state) = &self.state else { return true };
        let bytes = match self.machine.encode(&transition.to_string()) {
            Ok(bytes) => bytes,
            Err(CodecError::Refused(_)) => return false,
            Err(CodecError::Fault(_)) => return true,
        };
        let event = player.event(author, bytes, step.after, step.entropy);
        !matches!(self.machine.apply(state, &event), Err(ApplyError::Refused(_)))
    }
}

/// Returns options for a room, as the schema describes them; mostly the defaults.
pub(crate) fn options(schema: &Schema, random: &mut Random) -> Option<Value> {
    let random = Random::new(random.bits(), 2);
    let mut generator = Generator::new(schema, random);
    generator.random.percent(40).then(|| generator.generate())
}

/// The maximum number of random bytes.
const MADE_UP_BYTES: usize = 40;

/// Returns bytes near valid ones, or far from them: random, truncated, changed, or with a length that is too large.
fn spoil(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    const LENGTH: [u8; 10] = [255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
    let at = random.below(bytes.len() + 1);
    let mut spoiled = match random.below(6) {
        0 => (0..random.below(MADE_UP_BYTES)).map(|_| random.bits().to_le_bytes()[0]).collect(),
        1 => bytes[..at].to_vec(),
        2 => [&bytes[..at], &LENGTH, &bytes[at..]].concat(),
        3 => [&bytes[..at], &LENGTH[..5], &[15; 3], &bytes[at..]].concat(),
        4 => [bytes, bytes].concat(),
        _ => {
            let mut changed = bytes.to_vec();
            if let Some(byte) = changed.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
            changed
        }
    };
    spoiled.truncate(TRANSITION_BYTES_MAX);
    spoiled
}
