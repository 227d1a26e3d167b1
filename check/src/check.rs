//! The check of one machine: its settings, and the loop over its histories.

use std::time::{Duration, Instant};

use reapply_sync::Fault;

use crate::contract::Contract;
use crate::explore::{Explorer, options};
use crate::failure::Failure;
use crate::play::{Outcome, Player};
use crate::random::Random;
use crate::report::{Report, Tally};
use crate::script::{Act, Script, Step};
use crate::shrink::shrink;
use crate::subject::{Limits, Subject};
use crate::verdict::{Breach, Checked, Rule, unbroken};

/// Histories that are played unless it is said otherwise.
pub const HISTORIES: u64 = 2000;

/// Steps of the longest history, unless it is said otherwise.
pub const LENGTH: u32 = 60;

/// The seed, unless it is said otherwise: the same check gives the same answer.
pub const SEED: u64 = 1;

/// No history is begun after this time, unless it is said otherwise.
pub const TIME_MAX: Duration = Duration::from_secs(60);

/// A check that is being set up. [`Check::run`] runs it; in a test, [`Check::assert`].
#[must_use = "nothing is checked before `run` or `assert`"]
pub struct Check<S> {
    pub(crate) start: Box<dyn Fn() -> Result<S, Fault>>,
    pub(crate) histories: u64,
    pub(crate) length: u32,
    pub(crate) seed: u64,
    pub(crate) time_max: Duration,
    limits: Option<Limits>,
    commuting: Vec<[String; 2]>,
}

/// A history that broke a rule, as it was found.
struct Found {
    script: Script,
    breach: Breach,
}

/// How many shorter histories are tried when one has failed, and how long shortening may take.
const SHORTER_TRIED: u64 = 500;
pub(crate) const SHORTEN_TIME_MAX: Duration = Duration::from_secs(20);

impl<S: Subject> Check<S> {
    /// A check of the machine of which `start` makes fresh instances.
    pub fn new(start: impl Fn() -> Result<S, Fault> + 'static) -> Self {
        let start = Box::new(start);
        let commuting = Vec::new();
        Self { start, histories: HISTORIES, length: LENGTH, seed: SEED, time_max: TIME_MAX, limits: None, commuting }
    }

    /// How many histories to play; [`HISTORIES`] by default.
    pub fn histories(self, histories: u64) -> Self {
        Self { histories, ..self }
    }

    /// How many steps the longest of them has; [`LENGTH`] by default.
    pub fn length(self, length: u32) -> Self {
        Self { length, ..self }
    }

    /// Which histories to play; [`SEED`] by default.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// When to begin no more of them; [`TIME_MAX`] by default.
    pub fn time_max(self, time_max: Duration) -> Self {
        Self { time_max, ..self }
    }

    /// What the host allows, so that the report can compare.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits: Some(limits), ..self }
    }

    /// Says that two people may ask for transitions of these kinds at once, and the state is the same whoever is first. A kind is named as in the
    /// report; `Item` speaks of `Item.Done` as well.
    pub fn commutes(mut self, kind: &str, other: &str) -> Self {
        self.commuting.push([kind, other].map(str::to_owned));
        self
    }

    /// Plays the histories until one breaks a rule.
    ///
    /// # Errors
    ///
    /// The rule that was broken, with the shortest history that was found to break it.
    pub fn run(&self) -> Result<Report, Box<Failure>> {
        let contract = self.contract()?;
        let mut tally = Tally::new(contract.transition.kinds(), contract.conflict.kinds());
        let begun = Instant::now();
        let mut warnings = contract.warnings();
        for index in 0..self.histories {
            // One is played in any case, or nothing would be checked.
            if index > 0 && begun.elapsed() >= self.time_max {
                let seconds = self.time_max.as_secs();
                warnings.push(format!("{index} of {} histories were played in {seconds} s", self.histories));
                break;
            }
            let mut random = Random::new(self.seed, index);
            // Short histories too: what goes wrong at once should be found in the first steps of one.
            let most = self.length as usize;
            let length = if random.percent(50) { most } else { 1 + random.below(most) };
            if let Err(found) = self.explore(&contract, random, length, &mut tally) {
                return Err(Box::new(self.shorten(&contract, index, *found)));
            }
            tally.histories += 1;
        }
        Ok(tally.report(contract.machine, self.seed, self.histories, self.limits, warnings))
    }

    /// Plays one history that was written down.
    ///
    /// # Errors
    ///
    /// The rule that it breaks.
    pub fn replay(&self, script: &Script) -> Result<(), Box<Failure>> {
        let contract = self.contract()?;
        self.play(&contract, script).map_err(|breach| Box::new(self.failure(&contract, None, script.clone(), breach)))
    }

    /// Plays the histories, for a test.
    ///
    /// # Panics
    ///
    /// A rule was broken. The message says which, and has the shortest history as JSON.
    #[track_caller]
    pub fn assert(&self) {
        if let Err(failure) = self.run() {
            let json = serde_json::to_string(&failure.script).unwrap_or_default();
            panic!("{failure}\nas a script for `Check::replay`:\n{json}\n");
        }
    }

    pub(crate) fn instance(&self) -> Checked<S> {
        unbroken("start", (self.start)())
    }

    pub(crate) fn contract(&self) -> Result<Contract, Box<Failure>> {
        let contract = self.instance().and_then(|mut machine| Contract::read(&mut machine));
        let contract = contract.map_err(|Breach { rule, what }| {
            let (machine, script) = ("the machine".to_owned(), Script::default());
            Box::new(Failure { machine, rule, what, seed: self.seed, history: None, script })
        })?;
        Ok(Contract { commuting: self.commuting.clone(), ..contract })
    }

    /// Makes a history and plays it as it is made.
    fn explore(&self, contract: &Contract, random: Random, length: usize, tally: &mut Tally) -> Result<(), Box<Found>> {
        let mut script = Script::default();
        self.explore_into(contract, random, length, tally, &mut script)
            .map_err(|breach| Box::new(Found { script, breach }))
    }

    pub(crate) fn explore_into(
        &self,
        contract: &Contract,
        mut random: Random,
        length: usize,
        tally: &mut Tally,
        script: &mut Script,
    ) -> Checked<()> {
        script.options = options(&contract.options, &mut random);
        let mut player = match Player::begin(contract, &*self.start, script.options.as_ref())? {
            Some(player) => player,
            None => {
                tally.options_refused += 1;
                script.options = None;
                let player = Player::begin(contract, &*self.start, None)?;
                player.ok_or_else(|| Breach::new(Rule::Deterministic, "`create` refused what it took before"))?
            }
        };
        let mut explorer = Explorer::new(contract, self.instance()?, random);
        for _ in 0..length {
            let (step, is_late) = explorer.next(&player);
            tally.late += u64::from(is_late);
            script.steps.push(step.clone());
            let outcome = player.step(&step)?;
            count(tally, contract, &player, &step, &outcome);
        }
        Ok(())
    }

    fn play(&self, contract: &Contract, script: &Script) -> Checked<()> {
        let Some(mut player) = Player::begin(contract, &*self.start, script.options.as_ref())? else { return Ok(()) };
        script.steps.iter().try_for_each(|step| player.step(step).map(drop))
    }

    /// Takes away what is not needed, and then looks for another history that is shorter from the start: of two payments that overdraw an
    /// account neither can be left out, and one large payment would do.
    fn shorten(&self, contract: &Contract, index: u64, Found { script, breach }: Found) -> Failure {
        let until = Instant::now() + SHORTEN_TIME_MAX;
        let fails = |script: &Script| self.play(contract, script).is_err_and(|found| found.rule == breach.rule);
        let mut shortest = shrink(script, until, fails);
        for part in 0..SHORTER_TRIED {
            let length = shortest.steps.len().saturating_sub(1);
            if length == 0 || Instant::now() >= until {
                break;
            }
            let random = Random::new(self.seed ^ index, part);
            match self.explore(contract, random, length, &mut Tally::default()) {
                Err(found) if found.breach.rule == breach.rule => shortest = shrink(found.script, until, fails),
                _ => {}
            }
        }
        // What is told is what the shortened history does.
        let breach = self.play(contract, &shortest).err().unwrap_or(breach);
        self.failure(contract, Some(index), shortest, breach)
    }

    pub(crate) fn failure(&self, contract: &Contract, history: Option<u64>, script: Script, breach: Breach) -> Failure {
        let Breach { rule, what } = breach;
        Failure { machine: contract.machine.clone(), rule, what, seed: self.seed, history, script }
    }
}

fn count<S: Subject>(tally: &mut Tally, contract: &Contract, player: &Player<'_, S>, step: &Step, outcome: &Outcome) {
    match (&step.act, outcome) {
        (Act::Submit { transition, .. }, outcome) => {
            let kind = tally.transition(contract.transition.kind(transition));
            match outcome {
                Outcome::Accepted => kind.accepted += 1,
                Outcome::Conflict(_) => kind.conflict += 1,
                Outcome::Malformed | Outcome::Nothing | Outcome::Orders { .. } => kind.malformed += 1,
            }
        }
        (Act::AtOnce { authors, transitions }, Outcome::Orders { differ }) => {
            let kinds = [0, 1].map(|which| contract.transition.kind(&transitions[which]));
            tally.pair(kinds, *differ, || {
                let [a, b] = [0, 1].map(|which| format!("{}: {}", authors[which], transitions[which]));
                format!("{a}, and {b}")
            });
        }
        (Act::Alarm, Outcome::Accepted) => {
            tally.alarms += 1;
            tally.transition(contract.transition.kind(player.sounded())).accepted += 1;
        }
        (Act::SubmitBytes { .. }, Outcome::Malformed) => tally.malformed += 1,
        _ => {}
    }
    match outcome {
        Outcome::Conflict(json) => {
            tally.count_conflict(contract.conflict.kind(&serde_json::from_str(json).unwrap_or_default()));
        }
        Outcome::Accepted => tally.measure(player.snapshot().len(), player.usage()),
        Outcome::Malformed | Outcome::Nothing | Outcome::Orders { .. } => {}
    }
}
