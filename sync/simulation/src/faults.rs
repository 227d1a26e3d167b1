//! Faults of machines outside of `apply`, which a scenario's own inputs cannot cause: a machine that breaks off while it restores, writes or
//! starts again, and states whose snapshots are over the limit.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use reapply_sync::Fault;

use crate::random::Random;

/// Bytes by which a snapshot of an oversized state is longer than the machine's own.
pub(crate) const BLOAT_BYTES: usize = 70_000;

/// The limit of a room whose states can be oversized.
pub(crate) const BLOATED_SNAPSHOT_BYTES_MAX: usize = 60_000;

/// The call in which a machine broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Doing {
    Restore,
    Apply,
    Snapshot,
    Alarm,
    Codec,
    Reset,
    View,
}

/// The rates at which machines of a run break off, in thousandths of their calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FaultRates {
    pub(crate) restore: u64,
    pub(crate) apply: u64,
    pub(crate) snapshot: u64,
    pub(crate) alarm: u64,
    pub(crate) codec: u64,
    pub(crate) reset: u64,
    pub(crate) view: u64,
}

/// The faults of all machines at one place.
#[derive(Clone, Debug)]
pub(crate) struct Faults(Rc<RefCell<Inner>>);

#[derive(Debug)]
struct Inner {
    random: Random,
    rates: FaultRates,
    bloats: bool,
    made: u64,
    /// The faults since the last call of `take`.
    fresh: Vec<(Doing, String)>,
}

impl Faults {
    pub(crate) fn new(rates: FaultRates, bloats: bool, random: &mut Random) -> Self {
        let random = Random::new(random.bits());
        Self(Rc::new(RefCell::new(Inner { random, rates, bloats, made: 0, fresh: Vec::new() })))
    }

    /// Returns faults of the same run that never strike.
    pub(crate) fn without(&self) -> Self {
        let inner = self.0.borrow();
        Self::new(FaultRates::default(), inner.bloats, &mut Random::new(0))
    }

    /// Returns a fault, if the machine breaks off now. Its text is unique at this place.
    pub(crate) fn strike(&self, doing: Doing) -> Option<Fault> {
        let mut inner = self.0.borrow_mut();
        let FaultRates { restore, apply, snapshot, alarm, codec, reset, view } = inner.rates;
        let rate = match doing {
            Doing::Restore => restore,
            Doing::Apply => apply,
            Doing::Snapshot => snapshot,
            Doing::Alarm => alarm,
            Doing::Codec => codec,
            Doing::Reset => reset,
            Doing::View => view,
        };
        if rate == 0 || inner.random.below(1_000) >= rate {
            return None;
        }
        inner.made += 1;
        let text = format!("struck {} in {doing:?}.", inner.made);
        inner.fresh.push((doing, text.clone()));
        Some(Fault::Trapped(text))
    }

    /// Returns whether a state with these bytes is oversized.
    pub(crate) fn bloats(&self, plain: &[u8]) -> bool {
        let sum: u32 = plain.iter().map(|&byte| u32::from(byte)).sum();
        self.0.borrow().bloats && sum % 8 == 3
    }

    /// Returns the faults since the last call.
    pub(crate) fn take(&self) -> Vec<(Doing, String)> {
        std::mem::take(&mut self.0.borrow_mut().fresh)
    }

    /// Ends the faults: no machine breaks off any more, and no state is oversized.
    pub(crate) fn cease(&self) {
        self.0.borrow_mut().bloats = false;
        self.cease_to_strike();
    }

    /// Ends the faults of calls. States stay oversized.
    pub(crate) fn cease_to_strike(&self) {
        self.0.borrow_mut().rates = FaultRates::default();
    }
}

/// The bookkeeping of reported faults. The operator or the caller must be told about each fault in its exact words, and about no other.
#[derive(Default)]
pub(crate) struct Ledger {
    struck: BTreeSet<String>,
    reported: BTreeSet<String>,
    told: BTreeSet<String>,
    pub(crate) faults: u64,
}

impl Ledger {
    pub(crate) fn note_struck(&mut self, struck: Vec<(Doing, String)>) {
        self.faults += struck.len() as u64;
        self.struck.extend(struck.into_iter().map(|(_, text)| text));
    }

    /// Notes that somebody heard the words of a fault. Returns whether there was such a fault.
    pub(crate) fn note_told(&mut self, words: &str) -> bool {
        let meant: Vec<String> = self.struck.iter().filter(|text| words.contains(text.as_str())).cloned().collect();
        self.told.extend(meant.iter().cloned());
        !meant.is_empty()
    }

    /// Notes that the operator was told about a fault by itself, which must happen once.
    pub(crate) fn note_reported(&mut self, words: &str) {
        assert!(self.note_told(words), "a report of what did not happen: {words}");
        assert!(self.reported.insert(words.to_owned()), "reported twice: {words}");
    }

    /// Checks the conditions that hold whenever the room has finished its work.
    pub(crate) fn check(&self) {
        let unheard: Vec<_> = self.struck.difference(&self.told).collect();
        assert!(unheard.is_empty(), "nobody was told of {unheard:?}");
    }

    /// Notes that the process is gone, and with it all faults that it had not reported yet.
    pub(crate) fn note_crash(&mut self) {
        self.told.extend(self.struck.iter().cloned());
    }
}
