//! A room's alarm, and the [`Note`] that the journal keeps beside the log: it says why to wake a room that sleeps.
//!
//! The note says when to look, and no more: a room that is woken too early notes a better time and sleeps again. Nobody looks where there is no
//! note, so a note is only taken away when the alarm is gone or was tried in vain. A room that opens with an alarm and no note knows by that.
//! In the same way a note that somebody is present has the room woken after a crash, so that its log says that they have left.

use super::{Effect, Note, Now, Room, Ticks};
use crate::machine::Machine;

/// What the journal notes of a room, as far as the room knows.
#[derive(Debug)]
pub(super) struct Notes {
    /// The last note that was handed to the journal, which takes one thing after the other.
    handed: Note,
    /// Whether the journal refused that note, and so still has another one.
    is_refused: bool,
    /// Whether somebody woke the room for its alarm, and waits until that is settled.
    is_rung: bool,
}

impl Notes {
    /// The note that the journal has when the room is opened.
    pub(super) fn new(noted: Note) -> Self {
        Self { handed: noted, is_refused: false, is_rung: false }
    }

    /// The note went with a batch that was not stored.
    pub(super) fn handle_refused(&mut self) {
        self.is_refused = true;
    }
}

impl<M: Machine> Room<M> {
    /// Somebody woke the room for what the journal notes of it, and waits for [`Effect::Rung`].
    pub fn handle_ring(&mut self, now: &mut Now<'_>) {
        self.let_alarm_go_off(now);
        self.notes.is_rung = true;
    }

    /// The journal has answered [`Effect::Note`]: the note is stored, or it is not.
    pub fn handle_noted(&mut self, is_stored: bool) {
        self.notes.is_refused = !is_stored;
    }

    /// Lets the alarm go off, if it is due. Like everything else it waits while the room takes nothing in: where one alarm follows on another,
    /// an upgrade or the room's end would never come.
    pub(super) fn let_alarm_go_off(&mut self, now: &mut Now<'_>) {
        let may_go_off = self.failing_until.is_none_or(|until| until <= now.ticks);
        if may_go_off && self.is_open() {
            let entropy = now.draw();
            self.sequencer.handle_alarm(now.time, entropy);
        }
    }

    /// When the alarm goes off, as long as nobody sets the wall clock.
    pub(super) fn alarm_wake_at(&mut self, now: &Now<'_>) -> Option<Ticks> {
        if !self.is_open() {
            return None;
        }
        let wait_micros = self.sequencer.alarm_rings_at()?.0.saturating_sub(now.time.0);
        let at = now.ticks.after(wait_micros);
        Some(self.failing_until.map_or(at, |until| until.max(at)))
    }

    /// Whether the alarm is so near that falling asleep is not worth it.
    pub(super) fn is_alarm_near(&mut self, now: &Now<'_>) -> bool {
        let near = now.time.0.saturating_add(self.sleep_after_micros);
        self.sequencer.alarm_at().is_some_and(|at| at.0 <= near)
    }

    /// The note that goes with the batch that was just closed.
    pub(super) fn note_with_batch(&mut self) -> Note {
        let note = self.note();
        (self.notes.handed, self.notes.is_refused) = (note, false);
        note
    }

    /// Notes what has changed without a batch: the alarm was tried in vain, or the room is new.
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

    /// Hands the note in once more where the journal refused it, since the room will not be awake for it. Returns the note.
    pub(super) fn note_for_sleep(&mut self) -> Note {
        if self.sequencer.is_broken() {
            // Its machine cannot be asked, so the note stays as it is.
            return self.notes.handed;
        }
        let note = self.note();
        if (self.notes.handed != note || self.notes.is_refused) && !self.is_letting_go() {
            self.hand_in(note);
        }
        note
    }

    /// What the journal is to note after the newest event.
    fn note(&mut self) -> Note {
        Note { alarm: self.sequencer.alarm_at(), is_occupied: self.sequencer.is_occupied() }
    }

    fn hand_in(&mut self, note: Note) {
        (self.notes.handed, self.notes.is_refused) = (note, false);
        self.effects.push_back(Effect::Note(note));
    }
}
