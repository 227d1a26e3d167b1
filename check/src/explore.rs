//! Chooses what happens next in a history.

use reapply_sync::limits::TRANSITION_BYTES_MAX;
use serde_json::Value;

use crate::contract::Contract;
use crate::generate::Generator;
use crate::play::Player;
use crate::random::Random;
use crate::schema::Schema;
use crate::script::{Act, Step, to_hex};
use crate::subject::Subject;

/// The participants of histories; each history has the first few of them.
const AUTHORS: [&str; 5] = ["ada", "bob", "cyd", "dee", "eve"];

/// Transitions that are kept to be asked for again.
const KEPT_MAX: usize = 32;

/// Shares in percent: of joining before the first transition and of leaving after it, of bytes that are no transition or no snapshot, and of what was asked for before.
const JOINED: usize = 60;
const LEFT: usize = 5;
const BYTES: usize = 3;
const AGAIN: usize = 8;

/// Of alarms that go off at once, and of those that go off when the next event would come after them. The others come late.
const ALARM_NOW: usize = 15;
const ALARM_DUE: usize = 85;

const MS: u64 = 1000;
const DAY: u64 = 24 * 3600 * 1000 * MS;

/// Makes one history, step by step.
pub(crate) struct Explorer<'a> {
    generator: Generator<'a>,
    random: Random,
    authors: &'static [&'static str],
    asked: Vec<Value>,
    /// The view that the generator has looked at last.
    seen: String,
}

impl<'a> Explorer<'a> {
    pub(crate) fn new(contract: &'a Contract, mut random: Random) -> Self {
        let authors = &AUTHORS[..2 + random.below(AUTHORS.len() - 1)];
        let mut generator = Generator::new(&contract.transition, Random::new(random.bits(), 1));
        authors.iter().for_each(|author| generator.pool.keep_author(author, &mut random));
        Self { generator, random, authors, asked: Vec::new(), seen: String::new() }
    }

    pub(crate) fn next<S: Subject>(&mut self, player: &Player<'_, S>, membership: bool) -> Step {
        self.look(player.view());
        let after = self.gap();
        // Small numbers now and then, so that machines that take them for dice see both ends.
        let entropy = if self.random.percent(20) { self.random.bits() % 8 } else { self.random.bits() };
        let act = self.act(player, membership, after);
        let late = if self.random.percent(70) { 0 } else { after };
        Step { after: if act == Act::Alarm { late } else { after }, act, entropy }
    }

    fn act<S: Subject>(&mut self, player: &Player<'_, S>, membership: bool, after: u64) -> Act {
        if let Some(left) = player.alarm_in() {
            let share = if after >= left { ALARM_DUE } else { ALARM_NOW };
            if self.random.percent(share) {
                return Act::Alarm;
            }
        }
        let author = self.random.pick(self.authors).map_or("ada", |author| *author).to_owned();
        let is_present = player.is_present(&author);
        if membership && self.random.percent(if is_present { LEFT } else { JOINED }) {
            return if is_present { Act::Left { author } } else { Act::Joined { author } };
        }
        if self.random.percent(BYTES) {
            return if self.random.percent(50) {
                let bytes = spoil(player.last_transition(), &mut self.random);
                Act::SubmitBytes { author, bytes: to_hex(&bytes) }
            } else {
                Act::RestoreBytes { bytes: to_hex(&spoil(player.snapshot(), &mut self.random)) }
            };
        }
        if self.random.percent(AGAIN)
            && let Some(transition) = self.random.pick(&self.asked).cloned()
        {
            return Act::Submit { author, transition };
        }
        let transition = self.generator.generate();
        if self.asked.len() < KEPT_MAX {
            self.asked.push(transition.clone());
        } else {
            let index = self.random.below(KEPT_MAX);
            self.asked[index] = transition.clone();
        }
        Act::Submit { author, transition }
    }

    fn look(&mut self, view: &str) {
        if view != self.seen {
            view.clone_into(&mut self.seen);
            let view = serde_json::from_str(view).unwrap_or_default();
            self.generator.pool.look(&view, &mut self.random);
        }
    }

    /// Microseconds until the next event: often none or few, sometimes days.
    fn gap(&mut self) -> u64 {
        let scale = [0, 0, 1, MS, 50 * MS, 1000 * MS, 20_000 * MS, 600_000 * MS, DAY];
        let most = *self.random.pick(&scale).unwrap_or(&0);
        u64::try_from(self.random.between(0, most.into())).unwrap_or(0)
    }
}

/// Options for a room, as the schema describes them; mostly the defaults.
pub(crate) fn options(schema: &Schema, random: &mut Random) -> Option<Value> {
    let random = Random::new(random.bits(), 2);
    let mut generator = Generator::new(schema, random);
    generator.random.percent(40).then(|| generator.generate())
}

/// The longest bytes that are made up from nothing.
const MADE_UP_BYTES: usize = 40;

/// Bytes near those that are right, or far from them: random, broken off, changed, or with a length in them that nothing has.
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
