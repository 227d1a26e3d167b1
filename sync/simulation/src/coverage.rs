//! Counts of the situations that runs came across.

use crate::room::RoomCounts;

/// The outcomes that pages were told, by kind.
#[derive(Default)]
pub(crate) struct OutcomeCounts {
    pub(crate) accepted: u64,
    pub(crate) conflicts: u64,
    pub(crate) faulted: u64,
    pub(crate) forgotten: u64,
    pub(crate) decided: u64,
    pub(crate) unknown: u64,
}

impl OutcomeCounts {
    fn all(&self) -> u64 {
        self.accepted + self.conflicts + self.faulted + self.forgotten + self.decided + self.unknown
    }
}

/// The situations that a run came across. All runs together must have come across every one.
#[derive(Default)]
pub(crate) struct Coverage {
    pub(crate) room: RoomCounts,
    pub(crate) outcomes: OutcomeCounts,
    pub(crate) restarts: u64,
    pub(crate) reloads: u64,
    pub(crate) corruptions: u64,
    pub(crate) divergences: u64,
    pub(crate) local_traps: u64,
    pub(crate) snapshots: u64,
    pub(crate) alarms: u64,
    pub(crate) left: u64,
    pub(crate) upgrades: u64,
    pub(crate) restored: u64,
    pub(crate) forgotten: u64,
    pub(crate) clock_steps: u64,
    pub(crate) submitted_once: u64,
    pub(crate) waited: u64,
    pub(crate) backups_restored: u64,
    pub(crate) strangers: u64,
    pub(crate) strangers_rejected: u64,
    pub(crate) hellos: u64,
    pub(crate) slept: u64,
    pub(crate) slept_with_alarm: u64,
    pub(crate) woken_for_alarm: u64,
    pub(crate) woken_to_leave: u64,
    pub(crate) appends_lost: u64,
    pub(crate) rejections_counted: u64,
    pub(crate) verdicts: u64,
    pub(crate) slowed: u64,
    pub(crate) interrupted: u64,
    pub(crate) stores_silent: u64,
    pub(crate) writes_failed: u64,
    pub(crate) taken_over: u64,
    pub(crate) delivered: u64,
    pub(crate) views: u64,
    pub(crate) functions_faulted: u64,
    pub(crate) snapshots_too_large: u64,
    pub(crate) alarms_faulted: u64,
    pub(crate) alarms_too_long: u64,
    pub(crate) broken: u64,
    pub(crate) starts_failed: u64,
    pub(crate) trials_failed: u64,
    pub(crate) trials_not_made: u64,
    pub(crate) slept_before_trial: u64,
    pub(crate) openings_failed: u64,
    pub(crate) upgrades_refused: u64,
    pub(crate) page_faults: u64,
    /// The numbers of signals that the room gave out, and that pages received.
    pub(crate) signals: (u64, u64),
    pub(crate) bad_frames: u64,
    pub(crate) bad_beginnings: u64,
    pub(crate) other_greetings: u64,
    pub(crate) goodbyes_to_strangers: u64,
    pub(crate) read_by_strangers: u64,
}

impl RoomCounts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.faults += other.faults;
        self.alarms_refused += other.alarms_refused;
        self.fall_backs += other.fall_backs;
        self.trimmed += other.trimmed;
        self.tails += other.tails;
        self.by_snapshot += other.by_snapshot;
        self.by_parts += other.by_parts;
        self.by_parts_resumed += other.by_parts_resumed;
        self.divergences += other.divergences;
        self.replaced += other.replaced;
        self.unreachable += other.unreachable;
        self.full += other.full;
    }
}

impl Coverage {
    /// Returns all counts by name, to be added up and shown.
    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        let counts = [self.of_outcomes(), self.of_host(), self.of_faults(), self.of_sessions(), self.of_strangers()];
        [counts.concat(), vec![("seeds", 1), ("outcomes", self.outcomes.all())]].concat()
    }

    /// Returns the counts of the transitions' outcomes.
    fn of_outcomes(&self) -> Vec<(&'static str, u64)> {
        let Self { outcomes, .. } = self;
        vec![
            ("outcome: accepted", outcomes.accepted),
            ("outcome: conflict", outcomes.conflicts),
            ("outcome: fault or refused by the host", outcomes.faulted),
            ("outcome: forgotten", outcomes.forgotten),
            ("outcome: decided", outcomes.decided),
            ("outcome: unknown", outcomes.unknown),
            ("submitted without a session", self.submitted_once),
            ("verdict on what came without a session", self.verdicts),
            ("rejection counted", self.rejections_counted),
        ]
    }

    /// Returns the counts of the host and its room's life.
    fn of_host(&self) -> Vec<(&'static str, u64)> {
        let Self { room, .. } = self;
        vec![
            ("clock was set", self.clock_steps),
            ("input waited for a full room", self.waited),
            ("backup restored", self.backups_restored),
            ("room upgraded", self.upgrades),
            ("append failed", room.fall_backs),
            ("append ended unknown", self.appends_lost),
            ("host crashed", self.restarts),
            ("snapshot taken", self.snapshots),
            ("room fell asleep", self.slept),
            ("room fell asleep with an alarm", self.slept_with_alarm),
            ("room woken for its alarm", self.woken_for_alarm),
            ("room woken so that participants leave", self.woken_to_leave),
            ("room forgot a client", self.forgotten),
            ("alarm went off", self.alarms),
            ("alarm refused", room.alarms_refused),
            ("participant left", self.left),
            ("state was looked at", self.views),
        ]
    }

    /// Returns the counts of machines that break off, and of the consequences.
    fn of_faults(&self) -> Vec<(&'static str, u64)> {
        let Self { room, .. } = self;
        vec![
            ("machine broke off in the room", room.faults),
            ("machine broke off in a replica", self.local_traps),
            ("machine broke off in a page", self.page_faults),
            ("machine broke off outside of apply", self.functions_faulted),
            ("call waited for states that a slice had cost", self.interrupted),
            ("session was slowed after a fault", self.slowed),
            ("snapshot over its limit", self.snapshots_too_large),
            ("alarm broke the machine", self.alarms_faulted),
            ("alarm too long", self.alarms_too_long),
            ("room broke", self.broken),
            ("snapshot tried in vain", self.trials_failed),
            ("trial of a snapshot not made", self.trials_not_made),
            ("room fell asleep before the trial of its snapshot", self.slept_before_trial),
            ("snapshot not restored, an earlier one taken", self.starts_failed),
            ("room did not open", self.openings_failed),
            ("upgrade refused", self.upgrades_refused),
            ("replica corrupted", self.corruptions),
            ("replica diverged", self.divergences),
            ("room heard of a divergence", room.divergences),
        ]
    }

    /// Returns the counts of sessions and pages.
    fn of_sessions(&self) -> Vec<(&'static str, u64)> {
        let Self { room, .. } = self;
        vec![
            ("session began, or began anew", self.hellos),
            ("session replaced", room.replaced),
            ("session too slow for its own messages", room.unreachable),
            ("room full of sessions", room.full),
            ("reader trimmed", room.trimmed),
            ("joined by tail", room.tails),
            ("joined by snapshot", room.by_snapshot),
            ("snapshot begun in parts", room.by_parts),
            ("snapshot in parts went on where it broke off", room.by_parts_resumed),
            ("page reloaded", self.reloads),
            ("transition restored from a queue", self.restored),
            ("page found its store silent", self.stores_silent),
            ("page could not write", self.writes_failed),
            ("page took over another's client", self.taken_over),
            ("courier delivered", self.delivered),
            ("signal given out", self.signals.0),
            ("signal shown in a page", self.signals.1),
        ]
    }

    /// Returns the counts of strangers.
    fn of_strangers(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("stranger came", self.strangers),
            ("stranger heard of a rejection", self.strangers_rejected),
            ("frame that is no message", self.bad_frames),
            ("connection that does not begin with a greeting", self.bad_beginnings),
            ("greeting in another client's session", self.other_greetings),
            ("stranger heard goodbye for a bad message", self.goodbyes_to_strangers),
            ("event read by a stranger", self.read_by_strangers),
        ]
    }
}
