//! A room's alarm, and the [`Note`] that the journal keeps beside the log: the reason to wake a room that sleeps.
//!
//! The note only says when to look: a room that is woken too early notes a better time and sleeps again. A room without a note is not woken, so
//! a note is only removed when the alarm is gone or has failed. If a room opens with an alarm but without a note, the alarm has failed before.
//! In the same way, a note that somebody is present causes the room to be woken after a crash, so that its log records that they have left.

use super::{Effect, Note, Now, Room, Ticks};
use crate::machine::Machine;

impl<M: Machine> Room<M> {
    /// Handles that somebody woke the room because of its note, and waits for [`Effect::Rung`].
    pub fn handle_ring(&mut self, now: &mut Now<'_>) {
        self.let_alarm_go_off(now);
        self.notes.is_rung = true;
    }

    /// Handles the journal's answer to [`Effect::Note`]: whether the note is stored.
    pub fn handle_noted(&mut self, is_stored: bool) {
        self.notes.is_refused = !is_stored;
    }

    /// Sets the alarm off, if it is due. Like all input, the alarm waits while the room is not open. Otherwise, where one alarm follows
    /// another, an upgrade or the room's end would never come.
    pub(super) fn let_alarm_go_off(&mut self, now: &mut Now<'_>) {
        let may_go_off = self.failing_until.is_none_or(|until| until <= now.ticks);
        if may_go_off && self.is_open() {
            let entropy = now.draw();
            self.sequencer.handle_alarm(now.time, entropy);
        }
    }

    /// Returns the time when the alarm goes off, unless somebody sets the wall clock meanwhile.
    pub(super) fn alarm_wake_at(&mut self, now: &Now<'_>) -> Option<Ticks> {
        if !self.is_open() {
            return None;
        }
        let wait_micros = self.sequencer.alarm_rings_at()?.0.saturating_sub(now.time.0);
        let at = now.ticks.after(wait_micros);
        Some(self.failing_until.map_or(at, |until| until.max(at)))
    }

    /// Returns whether the alarm is so near that falling asleep is not worth it. An alarm that is held back keeps no room awake.
    pub(super) fn is_alarm_near(&mut self, now: &Now<'_>) -> bool {
        let near = now.time.0.saturating_add(self.sleep_after_micros);
        self.sequencer.alarm_rings_at().is_some_and(|at| at.0 <= near)
    }

    /// Returns the note that goes with the batch that was just closed.
    pub(super) fn note_with_batch(&mut self) -> Note {
        let note = self.note();
        (self.notes.handed, self.notes.is_refused) = (note, false);
        note
    }

    /// Hands in a note that changed without a batch: the alarm has failed, or the room is new. Then reports [`Effect::Rung`] if somebody waits
    /// for it.
    pub(super) fn note_at_rest(&mut self) {
        if !self.sequencer.is_settled() || self.is_letting_go() || self.sequencer.is_broken() {
            return;
        }
        let note = self.note();
        if self.notes.handed != note {
            self.hand_in(note);
        }
        if std::mem::take(&mut self.notes.is_rung) {
            self.effects.push_back(Effect::Rung);
        }
    }

    /// Hands in the note once more if the journal refused it, since the room will not be awake to do so later. Returns the note.
    pub(super) fn note_for_sleep(&mut self) -> Note {
        if self.sequencer.is_broken() {
            // The machine of a broken room cannot be asked, so the note stays as it is.
            return self.notes.handed;
        }
        let note = self.note();
        if (self.notes.handed != note || self.notes.is_refused) && !self.is_letting_go() {
            self.hand_in(note);
        }
        note
    }

    /// Returns the note for the newest event.
    fn note(&mut self) -> Note {
        Note { alarm: self.sequencer.alarm_at(), is_occupied: self.sequencer.is_occupied() }
    }

    fn hand_in(&mut self, note: Note) {
        (self.notes.handed, self.notes.is_refused) = (note, false);
        self.effects.push_back(Effect::Note(note));
    }
}
