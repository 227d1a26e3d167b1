//! The report of a check: what was tried, and its cost.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::subject::{Limits, Usage};

/// The percentage of a limit above which a report warns: a room that lives for years will see more than a test did.
const HEADROOM: u64 = 50;

/// The report of a check that found no fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The machine's name.
    pub machine: String,
    /// The seed of all histories.
    pub seed: u64,
    /// The number of histories that were played.
    pub histories: u64,
    /// The number of histories that were requested. Fewer are played if the time runs out.
    pub histories_asked: u64,
    /// The number of rooms whose options the machine refused. They continued with the defaults.
    pub options_refused: u64,
    /// The transitions that were tried, by kind.
    pub transitions: Vec<Kind>,
    /// The conflicts, by kind.
    pub conflicts: Vec<Count>,
    /// The pairs of kinds that two people sent at once, whose two orders were both tried.
    pub pairs: Vec<Pair>,
    /// The number of transitions that were made for an earlier state.
    pub late: u64,
    /// The number of alarms that went off.
    pub alarms: u64,
    /// The number of invalid transitions in bytes, which were all refused.
    pub malformed: u64,
    /// The fuel of one `apply`, if it is measured.
    pub fuel: Option<Figures>,
    /// The most linear memory of an instance, if it is measured.
    pub memory_bytes: Option<u64>,
    /// The size of a snapshot in bytes.
    pub snapshot_bytes: Figures,
    /// The host's limits, if they are set.
    #[serde(skip)]
    pub limits: Option<Limits>,
    /// Findings that deserve a look although no rule is broken.
    pub warnings: Vec<String>,
}

/// The results of one kind of transition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// The variants, as `Item.Done`.
    pub kind: String,
    /// The number of times it was applied, by participants or by an alarm.
    pub accepted: u64,
    /// The number of conflicts.
    pub conflict: u64,
    /// The number of values that the schema allows and `encode` refuses, or that are too long for a room.
    pub malformed: u64,
}

/// The results of two transitions at once, in both orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// Their kinds.
    pub kinds: [String; 2],
    /// The number of times both orders were tried.
    pub tried: u64,
    /// The number of times these led to different states.
    pub differ: u64,
    /// The shortest example of that.
    pub example: Option<String>,
}

/// A count of something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The thing that is counted.
    pub kind: String,
    /// The number of times it occurred.
    pub count: u64,
}

/// A distribution of sizes: the median, the 99th percentile and the maximum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// The median.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The largest.
    pub max: u64,
}

impl Figures {
    pub(crate) fn of(mut samples: Vec<u64>) -> Self {
        samples.sort_unstable();
        let at = |percent: usize| samples.get((samples.len() * percent / 100).min(samples.len().max(1) - 1));
        let [p50, p99, max] = [50, 99, 100].map(|percent| at(percent).copied().unwrap_or(0));
        Self { p50, p99, max }
    }
}

/// The data from which a report is made.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) histories: u64,
    pub(crate) options_refused: u64,
    pub(crate) alarms: u64,
    pub(crate) malformed: u64,
    pub(crate) late: u64,
    pairs: BTreeMap<[String; 2], Pair>,
    pub(crate) transitions: Vec<Kind>,
    pub(crate) conflicts: Vec<Count>,
    fuel: Vec<u64>,
    memory_bytes: Option<u64>,
    snapshot_bytes: Vec<u64>,
}

impl Tally {
    pub(crate) fn new(transitions: Vec<String>, conflicts: Vec<String>) -> Self {
        let transitions = transitions.into_iter().map(Kind::new).collect();
        let conflicts = conflicts.into_iter().map(|kind| Count { kind, count: 0 }).collect();
        Self { transitions, conflicts, ..Self::default() }
    }

    /// Returns the count of a transition's kind.
    pub(crate) fn transition(&mut self, kind: String) -> &mut Kind {
        let index = self.transitions.iter().position(|known| known.kind == kind).unwrap_or_else(|| {
            self.transitions.push(Kind::new(kind));
            self.transitions.len() - 1
        });
        &mut self.transitions[index]
    }

    pub(crate) fn count_conflict(&mut self, kind: String) {
        match self.conflicts.iter_mut().find(|known| known.kind == kind) {
            Some(known) => known.count += 1,
            None => self.conflicts.push(Count { kind, count: 1 }),
        }
    }

    /// Counts two transitions whose orders were tried.
    pub(crate) fn pair(&mut self, mut kinds: [String; 2], differ: bool, example: impl FnOnce() -> String) {
        kinds.sort_unstable();
        let new = Pair { kinds: kinds.clone(), tried: 0, differ: 0, example: None };
        let pair = self.pairs.entry(kinds).or_insert(new);
        pair.tried += 1;
        if differ {
            pair.differ += 1;
            let example = example();
            if pair.example.as_ref().is_none_or(|shortest| example.len() < shortest.len()) {
                pair.example = Some(example);
            }
        }
    }

    pub(crate) fn measure(&mut self, snapshot_bytes: usize, usage: Option<Usage>) {
        self.snapshot_bytes.push(snapshot_bytes as u64);
        if let Some(usage) = usage {
            self.fuel.push(usage.fuel);
            self.memory_bytes = self.memory_bytes.max(Some(usage.memory_bytes));
        }
    }

    pub(crate) fn report(
        self,
        machine: String,
        seed: u64,
        histories_asked: u64,
        limits: Option<Limits>,
        mut warnings: Vec<String>,
    ) -> Report {
        let never = self.transitions.iter().filter(|kind| kind.accepted == 0);
        warnings.extend(never.map(|kind| {
            format!(
                "`{}` was never accepted: give examples of it with `#[schemars(example = ..)]`, or more histories",
                kind.kind
            )
        }));
        let fuel = (!self.fuel.is_empty()).then(|| Figures::of(self.fuel));
        let pairs = limits.map(|limits| {
            let fuel = fuel.map(|fuel| ("fuel", fuel.max, limits.fuel_per_apply));
            let memory = self.memory_bytes.map(|bytes| ("bytes of memory", bytes, limits.memory_bytes));
            [fuel, memory]
        });
        for (what, used, limit) in pairs.into_iter().flatten().flatten() {
            if used > limit / 100 * HEADROOM {
                warnings.push(format!("{used} of {limit} {what} were used: more than {HEADROOM} %"));
            }
        }
        Report {
            machine,
            seed,
            histories: self.histories,
            histories_asked,
            options_refused: self.options_refused,
            transitions: self.transitions,
            conflicts: self.conflicts,
            pairs: self.pairs.into_values().collect(),
            late: self.late,
            alarms: self.alarms,
            malformed: self.malformed,
            fuel,
            memory_bytes: self.memory_bytes,
            snapshot_bytes: Figures::of(self.snapshot_bytes),
            limits,
            warnings,
        }
    }
}

impl Kind {
    fn new(kind: String) -> Self {
        Self { kind, accepted: 0, conflict: 0, malformed: 0 }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tried: u64 = self.transitions.iter().map(|kind| kind.accepted + kind.conflict + kind.malformed).sum();
        writeln!(
            f,
            "{}: every rule held in {} histories, {tried} transitions (seed {})\n",
            self.machine, self.histories, self.seed
        )?;
        let names =
            self.transitions.iter().map(|kind| &kind.kind).chain(self.conflicts.iter().map(|count| &count.kind));
        let width = names.map(|name| name.chars().count()).max().unwrap_or(0).max("conflicts".len());
        writeln!(
            f,
            "{:width$}  {:>9}  {:>9}  {:>9}",
            "transition",
            "accepted",
            "conflict",
            "malformed",
            width = width
        )?;
        for Kind { kind, accepted, conflict, malformed } in &self.transitions {
            writeln!(f, "{kind:width$}  {accepted:>9}  {conflict:>9}  {malformed:>9}")?;
        }
        if !self.conflicts.is_empty() {
            writeln!(f, "\n{:width$}  {:>9}", "conflict", "count")?;
        }
        for Count { kind, count } in &self.conflicts {
            writeln!(f, "{kind:width$}  {count:>9}")?;
        }
        self.write_pairs(f)?;
        self.write_figures(f, width)?;
        writeln!(f, "\nalarms that went off: {}; bytes that were no transition: {}", self.alarms, self.malformed)?;
        writeln!(f, "transitions made for an earlier state: {}", self.late)?;
        if self.options_refused > 0 {
            writeln!(f, "rooms whose options were refused: {}", self.options_refused)?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

/// The maximum number of pairs of kinds that are printed, and of characters of an example.
const PAIRS_SHOWN: usize = 12;
const EXAMPLE_CHARS: usize = 160;

impl Report {
    /// Returns the pairs for which the order matters.
    fn write_pairs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut differing: Vec<&Pair> = self.pairs.iter().filter(|pair| pair.differ > 0).collect();
        differing.sort_by_key(|pair| std::cmp::Reverse(pair.differ));
        let tried: u64 = self.pairs.iter().map(|pair| pair.tried).sum();
        match differing.len() {
            0 => writeln!(f, "\nat once, in both orders: {tried} pairs, and it never mattered who was first")?,
            _ => writeln!(f, "\nat once, in both orders: {tried} pairs; it mattered who was first for")?,
        }
        for Pair { kinds: [one, other], tried, differ, example } in differing.iter().take(PAIRS_SHOWN) {
            writeln!(f, "  {one} and {other}: {differ} of {tried}")?;
            let example = example.as_deref().unwrap_or_default();
            let shown: String = example.chars().take(EXAMPLE_CHARS).collect();
            writeln!(f, "    {shown}{}", if shown.len() < example.len() { "…" } else { "" })?;
        }
        match differing.len().saturating_sub(PAIRS_SHOWN) {
            0 => Ok(()),
            more => writeln!(f, "  … and {more} more, in --json"),
        }
    }

    fn write_figures(&self, f: &mut fmt::Formatter<'_>, width: usize) -> fmt::Result {
        let share = |used: u64, limit: Option<u64>| {
            limit.map_or_else(String::new, |limit| format!("  {:.1} % of {limit}", used as f64 * 100.0 / limit as f64))
        };
        writeln!(f, "\n{:width$}  {:>9}  {:>9}  {:>9}", "", "p50", "p99", "max")?;
        let mut line = |name: &str, Figures { p50, p99, max }: Figures, share: String| {
            writeln!(f, "{name:width$}  {p50:>9}  {p99:>9}  {max:>9}{share}")
        };
        if let Some(fuel) = self.fuel {
            line("fuel", fuel, share(fuel.max, self.limits.map(|limits| limits.fuel_per_apply)))?;
        }
        line("snapshot", self.snapshot_bytes, " bytes".to_owned())?;
        if let Some(bytes) = self.memory_bytes {
            let share = share(bytes, self.limits.map(|limits| limits.memory_bytes));
            writeln!(f, "{:width$}  {:>9}  {:>9}  {bytes:>9}{share}", "memory", "", "")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_percentiles() {
        assert_eq!(Figures::of((1..=200).collect()), Figures { p50: 101, p99: 199, max: 200 });
        assert_eq!(Figures::of(vec![7]), Figures { p50: 7, p99: 7, max: 7 });
        assert_eq!(Figures::of(vec![]), Figures::default());
    }

    #[test]
    fn what_comes_near_a_limit_or_never_happens_is_warned_of() {
        let mut tally = Tally::new(vec!["Add".into(), "Take".into()], vec![]);
        tally.transition("Add".into()).accepted += 1;
        tally.measure(3, Some(Usage { fuel: 51, memory_bytes: 10 }));
        let report = tally.report("m".into(), 1, 1, Some(Limits { fuel_per_apply: 100, memory_bytes: 100 }), vec![]);
        assert_eq!(report.warnings.len(), 2, "{:?}", report.warnings);
        assert!(report.warnings[0].starts_with("`Take` was never accepted"));
        assert_eq!(report.warnings[1], "51 of 100 fuel were used: more than 50 %");
    }
}
