//! Rooms of an earlier build, continued by this one.

use std::fmt;
use std::time::Instant;

use reapply_sync::{CodecError, Fault};
use serde::Serialize;
use serde_json::Value;

use crate::check::{Check, SHORTEN_TIME_MAX};
use crate::contract::Contract;
use crate::explore::Explorer;
use crate::failure::Failure;
use crate::player::Player;
use crate::random::Random;
use crate::report::{Count, Tally};
use crate::script::{Act, Script};
use crate::shrink::shrink;
use crate::subject::Subject;
use crate::verdict::{Breach, Checked, Rule};

/// The number of steps of the new build in each room of the earlier one.
const STEPS_AFTER: usize = 12;

/// The results for an earlier build's rooms and transitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Migrations {
    /// The state version that the earlier build writes.
    pub from_version: u32,
    /// The number of rooms that the earlier build left and this one continued.
    pub rooms: u64,
    /// The number of transitions of the earlier build that this one accepts too, converted to its encoding by way of JSON.
    pub transitions: u64,
    /// The transitions that it does not know, by kind: an offline page with one is told that it is malformed.
    pub unknown: Vec<Count>,
}

impl fmt::Display for Migrations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from_version, rooms, transitions, unknown } = self;
        writeln!(f, "{rooms} rooms of state version {from_version} were migrated and went on")?;
        writeln!(f, "{transitions} transitions of the earlier build are transitions of this one")?;
        unknown.iter().try_for_each(|Count { kind, count }| {
            writeln!(f, "warning: {count} of `{kind}` are not: whoever has one pending is told that it is malformed")
        })
    }
}

impl<S: Subject> Check<S> {
    /// Plays histories on an earlier build, and continues each on this one.
    ///
    /// # Errors
    ///
    /// A rule was broken. The error has the shortest history of the *earlier* build that leads to it.
    pub fn run_from<O: Subject>(&self, old: &Check<O>) -> Result<Migrations, Box<Failure>> {
        let (contract, old_contract) = (self.contract()?, old.contract()?);
        let mut migrations = Migrations { from_version: old_contract.state_version, ..Migrations::default() };
        let begun = Instant::now();
        for index in 0..self.histories {
            if index > 0 && begun.elapsed() >= self.time_max {
                break;
            }
            let mut random = Random::new(self.seed, index);
            let length = 1 + random.below(self.length as usize);
            let mut script = Script::default();
            old.explore_into(&old_contract, random.clone(), length, &mut Tally::default(), &mut script)
                .map_err(|breach| Box::new(old.failure(&old_contract, Some(index), script.clone(), breach)))?;
            if let Err(breach) = self.continue_after(&contract, old, &old_contract, &script, random.clone()) {
                let until = Instant::now() + SHORTEN_TIME_MAX;
                let after =
                    |script: &Script| self.continue_after(&contract, old, &old_contract, script, random.clone());
                let script =
                    shrink(script, until, |script| after(script).is_err_and(|found| found.rule == breach.rule));
                let breach = after(&script).err().unwrap_or(breach);
                return Err(Box::new(self.failure(&contract, Some(index), script, breach)));
            }
            migrations.rooms += 1;
            self.translate(old, &old_contract, &script, &mut migrations)
                .map_err(|breach| Box::new(self.failure(&contract, Some(index), script, breach)))?;
        }
        Ok(migrations)
    }

    /// Plays one recorded history of an earlier build, and continues on this one.
    ///
    /// # Errors
    ///
    /// A rule was broken.
    pub fn replay_from<O: Subject>(&self, old: &Check<O>, script: &Script) -> Result<(), Box<Failure>> {
        let (contract, old_contract) = (self.contract()?, old.contract()?);
        self.continue_after(&contract, old, &old_contract, script, Random::new(self.seed, 0))
            .map_err(|breach| Box::new(self.failure(&contract, None, script.clone(), breach)))
    }

    fn continue_after<O: Subject>(
        &self,
        contract: &Contract,
        old: &Check<O>,
        old_contract: &Contract,
        script: &Script,
        mut random: Random,
    ) -> Checked<()> {
        let Some((state_version, snapshot)) = old.left_by(old_contract, script)? else { return Ok(()) };
        let mut player = Player::migrate(contract, &*self.start, &snapshot, state_version)?;
        let mut explorer = Explorer::new(contract, self.instance()?, Random::new(random.bits(), 3));
        for _ in 0..STEPS_AFTER {
            let (step, _) = explorer.next(&player);
            player.step(&step).map_err(|Breach { rule, what }| {
                let step = serde_json::to_string(&step).unwrap_or_default();
                Breach::new(rule, format!("after the migration, at {step}: {what}"))
            })?;
        }
        Ok(())
    }

    /// Converts the earlier build's transitions to this one's encoding, as an upgrade does with pending ones.
    fn translate<O: Subject>(
        &self,
        old: &Check<O>,
        old_contract: &Contract,
        script: &Script,
        migrations: &mut Migrations,
    ) -> Checked<()> {
        let (mut before, mut after) = (old.instance()?, self.instance()?);
        for step in &script.steps {
            let Act::Submit { transition, .. } = &step.act else { continue };
            let Ok(bytes) = before.encode(&transition.to_string()) else { continue };
            let Ok(json) = before.decode(&bytes) else { continue };
            match after.encode(&json) {
                Ok(_) => migrations.transitions += 1,
                Err(CodecError::Fault(fault)) => return Err(fault_of(&fault, transition)),
                Err(CodecError::Refused(_)) => {
                    let kind = old_contract.transition.kind(transition);
                    match migrations.unknown.iter_mut().find(|known| known.kind == kind) {
                        Some(known) => known.count += 1,
                        None => migrations.unknown.push(Count { kind, count: 1 }),
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the version and the snapshot after a history; `None` if the history does not begin.
    fn left_by(&self, contract: &Contract, script: &Script) -> Checked<Option<(u32, Vec<u8>)>> {
        let Some(mut player) = Player::begin(contract, &*self.start, script.options.as_ref())? else { return Ok(None) };
        script.steps.iter().try_for_each(|step| player.step(step).map(drop))?;
        let (version, snapshot) = player.stored();
        Ok(Some((version, snapshot.to_vec())))
    }
}

fn fault_of(fault: &Fault, transition: &Value) -> Breach {
    Breach::new(Rule::Migrate, format!("`encode` of {transition}, which the earlier build took: {fault}"))
}
