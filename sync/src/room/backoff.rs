//! Participants whose transitions made the machine fault: they are charged for the cost, and their further transitions wait.
//!
//! Recovering the states costs more than a transition may, and anyone can cause that again and again. So each fault makes its participant wait
//! for about as long as it cost, and at least twice as long as the time before. Other participants' transitions are decided meanwhile.

use std::collections::{BTreeMap, VecDeque};

use super::effect::Ticks;
use super::limits::{BACKOFF_MICROS_MAX, BACKOFF_MICROS_MIN, BACKOFFS_MAX, COST_PER_MICRO, HELD_BYTES_MAX, HELD_MAX};
use crate::id::{Author, SessionId};
use crate::sequencer::Submit;

/// The participants who wait, and their transitions.
#[derive(Debug, Default)]
pub(super) struct Backoffs {
    by_author: BTreeMap<Author, Backoff>,
    /// Transitions that wait, in the order in which they came.
    held: VecDeque<(SessionId, Submit)>,
    held_bytes: usize,
}

/// One participant's wait.
#[derive(Clone, Copy, Debug)]
struct Backoff {
    until: Ticks,
    micros: u64,
    /// The number of transitions that wait with the participant.
    held: usize,
}

impl Backoffs {
    /// Returns whether a transition of this participant must wait: for its time, or behind others of the same participant.
    pub(super) fn is_waiting(&self, author: &Author, now: Ticks) -> bool {
        self.by_author.get(author).is_some_and(|backoff| backoff.until > now || backoff.held > 0)
    }

    /// Returns the microseconds for which a transition of this participant must wait; `None` if it need not wait.
    pub(super) fn wait_micros(&self, author: &Author, now: Ticks) -> Option<u64> {
        self.is_waiting(author, now).then(|| self.until(author).0.saturating_sub(now.0))
    }

    /// Returns the bytes of the transitions that wait.
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    pub(super) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Returns the time when the first waiting participant has waited enough.
    pub(super) fn due(&self) -> Option<Ticks> {
        self.by_author.values().filter(|backoff| backoff.held > 0).map(|backoff| backoff.until).min()
    }

    /// Drops the waiting transitions of a session that has ended.
    pub(super) fn forget(&mut self, session: SessionId) {
        if !self.is_holding() {
            return;
        }
        let (gone, held) = std::mem::take(&mut self.held).into_iter().partition(|(from, _)| *from == session);
        self.held = held;
        self.let_go(&gone);
    }

    pub(super) fn forget_all(&mut self) {
        let gone = std::mem::take(&mut self.held);
        self.let_go(&gone);
    }

    /// Charges a participant for the cost of a fault. Returns the end of the participant's wait.
    pub(super) fn charge(&mut self, author: &Author, cost: u64, now: Ticks) -> Ticks {
        // A wait that has been over for as long as it lasted is forgotten.
        self.by_author.retain(|_, backoff| backoff.held > 0 || backoff.until.after(backoff.micros) > now);
        if self.by_author.len() >= BACKOFFS_MAX && !self.by_author.contains_key(author) {
            let idle = self.by_author.iter().filter(|(_, backoff)| backoff.held == 0);
            let first = idle.min_by_key(|(_, backoff)| backoff.until).map(|(author, _)| author.clone());
            first.map(|author| self.by_author.remove(&author));
        }
        let none = Backoff { until: now, micros: 0, held: 0 };
        let backoff = self.by_author.entry(author.clone()).or_insert(none);
        let micros = (cost / COST_PER_MICRO).max(backoff.micros * 2);
        backoff.micros = micros.clamp(BACKOFF_MICROS_MIN, BACKOFF_MICROS_MAX);
        backoff.until = now.after(backoff.micros);
        backoff.until
    }

    /// Keeps a transition. Returns `false` if there is no space.
    pub(super) fn hold(&mut self, session: SessionId, submit: Submit) -> bool {
        let bytes = self.held_bytes + submit.transition.len();
        if self.held.len() >= HELD_MAX || bytes > HELD_BYTES_MAX {
            return false;
        }
        self.held_bytes = bytes;
        if let Some(backoff) = self.by_author.get_mut(&submit.author) {
            backoff.held += 1;
        }
        self.held.push_back((session, submit));
        true
    }

    /// Takes the first transition whose participant has waited enough.
    pub(super) fn take(&mut self, now: Ticks) -> Option<Submit> {
        let index = self.held.iter().position(|(_, held)| self.until(&held.author) <= now)?;
        let (_, submit) = self.held.remove(index)?;
        self.note_let_go(&submit);
        Some(submit)
    }

    fn let_go(&mut self, gone: &VecDeque<(SessionId, Submit)>) {
        for (_, submit) in gone {
            self.note_let_go(submit);
        }
    }

    fn note_let_go(&mut self, submit: &Submit) {
        self.held_bytes -= submit.transition.len();
        if let Some(backoff) = self.by_author.get_mut(&submit.author) {
            backoff.held -= 1;
        }
    }

    fn until(&self, author: &Author) -> Ticks {
        self.by_author.get(author).map_or(Ticks(0), |backoff| backoff.until)
    }
}
