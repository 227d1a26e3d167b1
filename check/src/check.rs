//! The check of one machine: its settings, and the loop over its histories.

use std::time::{Duration, Instant};

use reapply_sync::Fault;

use crate::contract::Contract;
use crate::explore::{Explorer, options};
use crate::failure::Failure;
use crate::player::{Outcome, Player};
use crate::random::Random;
use crate::report::{Report, Tally};
use crate::script::{Act, Script, Step};
use crate::shrink::shrink;
use crate::subject::{Limits, Subject};
use crate::verdict::{Breach, Checked, Rule, unbroken};

/// The default number of histories to play.
pub const HISTORIES: u64 = 2000;

/// The default number of steps of the longest history.
pub const LENGTH: u32 = 60;

/// The default seed: the same check gives the same answer.
pub const SEED: u64 = 1;

/// The default time after which no new history begins.
pub const TIME_MAX: Duration = Duration::from_secs(60);

/// The builder of a check. [`Check::run`] runs it; a test uses [`Check::assert`].
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

/// A history that broke a rule, before it is shortened.
struct Found {
    script: Script,
    breach: Breach,
}

/// The number of shorter histories to try after a failure, and the maximum time for shortening.
const SHORTER_TRIED: u64 = 500;
pub(crate) const SHORTEN_TIME_MAX: Duration = Duration::from_secs(20);

impl<S: Subject> Check<S> {
    /// Creates a check of a machine. `start` makes fresh instances of it.
    pub fn new(start: impl Fn() -> Result<S, Fault> + 'static) -> Self {
        let start = Box::new(start);
        let commuting = Vec::new();
        Self { start, histories: HISTORIES, length: LENGTH, seed: SEED, time_max: TIME_MAX, limits: None, commuting }
    }

    /// Sets the number of histories to play; [`HISTORIES`] by default.
    pub fn histories(self, histories: u64) -> Self {
        Self { histories, ..self }
    }

    /// Sets the number of steps of the longest history; [`LENGTH`] by default.
    pub fn length(self, length: u32) -> Self {
        Self { length, ..self }
    }

    /// Sets the seed of the histories; [`SEED`] by default.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets the time after which no new history begins; [`TIME_MAX`] by default.
    pub fn time_max(self, time_max: Duration) -> Self {
        Self { time_max, ..self }
    }

    /// Sets the host's limits, for comparison in the report.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits: Some(limits), ..self }
    }

    /// Declares that two people may send transitions of these kinds at once, and the state is the same in either order. Kinds are named as
    /// in the report; `Item` includes `Item.Done`.
    pub fn commutes(mut self, kind: &str, other: &str) -> Self {
        self.commuting.push([kind, other].map(str::to_owned));
        self
    }

    /// Returns the first kind that was declared to commute although no transition is of that kind, and the kinds that there are.
    ///
    /// # Errors
    ///
    /// The machine does not describe itself as it must.
    pub fn unknown_kind(&self) -> Result<Option<(String, Vec<String>)>, Box<Failure>> {
        let contract = self.contract()?;
        let unknown = contract.unknown_kinds().next().map(|kind| (kind.clone(), contract.transition.kinds()));
        Ok(unknown)
    }

    /// Plays the histories until one breaks a rule.
    ///
    /// # Errors
    ///
    /// A rule was broken. The error has the shortest history that was found to break it.
    pub fn run(&self) -> Result<Report, Box<Failure>> {
        let contract = self.contract()?;
        let mut tally = Tally::new(contract.transition.kinds(), contract.conflict.kinds());
        let begun = Instant::now();
        let mut warnings = contract.warnings();
        for index in 0..self.histories {
            // At least one history is played, or nothing would be checked.
            if index > 0 && begun.elapsed() >= self.time_max {
                let seconds = self.time_max.as_secs();
                warnings.push(format!("{index} of {} histories were played in {seconds} s", self.histories));
                break;
            }
            let mut random = Random::new(self.seed, index);
            // Short histories too: a fault that shows at once should be found in the first steps of one.
            let most = self.length as usize;
            let length = if random.percent(50) { most } else { 1 + random.below(most) };
            if let Err(found) = self.explore(&contract, random, length, &mut tally) {
                return Err(Box::new(self.shorten(&contract, index, *found)));
            }
            tally.histories += 1;
        }
        Ok(tally.report(contract.machine, self.seed, self.histories, self.limits, warnings))
    }

    /// Plays one recorded history.
    ///
    /// # Errors
    ///
    /// The history breaks a rule.
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

    /// Makes a history while playing it.
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

    /// Removes unnecessary steps, and then looks for another history that is shorter from the start. For example, of two payments that
    /// together overdraw an account neither can be removed, but one large payment would do.
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
        // The report describes the shortened history.
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
