//! A countdown that everyone in the room can set, start and stop. It ends by itself: the host's alarm rings it.
//!
//! All times come from the events, so a late ring shows how late it was, and no page's clock matters.

use reapply_guest::{Alarm, Event, Input, Micros, NoOptions, Program, export};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest countdown: a second less than 100 hours.
pub const SECONDS_MAX: u32 = 100 * 60 * 60 - 1;

/// The number of times that a repeating countdown rings before it stops by itself, so that a forgotten one lets its room sleep.
pub const RINGS_PER_START_MAX: u32 = 100;

/// A room's timer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timer {
    /// The length of a countdown.
    length: Micros,
    /// Whether the next countdown begins after a ring.
    repeats: bool,
    phase: Phase,
    /// The number of rings since the last reset.
    rings: u32,
    /// The last ring.
    last_ring: Option<Ring>,
}

/// The state of a timer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// The timer stands still.
    Stopped {
        /// The rest of the countdown, or all of it.
        remaining: Micros,
    },
    /// The timer counts down.
    Running {
        /// The time of the ring.
        due: Micros,
        /// The participant who started it.
        starter: String,
        /// The number of rings to come, including this countdown's.
        rings_left: u32,
    },
}

/// One ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ring {
    /// The participant who had started the countdown.
    starter: String,
    /// The time when it was due.
    due: Micros,
    /// The time when it rang: later than it was due, if the host was busy or down.
    at: Micros,
}

/// The transitions of participants, and of the alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = Transition::Set { seconds: 90, repeats: true })]
pub enum Transition {
    /// Set the length of the countdown, while the timer stands still.
    Set {
        /// The length.
        #[schemars(range(min = 1, max = SECONDS_MAX))]
        seconds: u32,
        /// Whether to begin again after each ring.
        repeats: bool,
    },
    /// Start, or continue, the countdown.
    Start,
    /// Stop, and keep the rest of the countdown.
    Stop,
    /// Stop, and go back to the full length, with no rings counted.
    Reset,
    /// The countdown is over. Only the alarm may send this.
    Ring,
}

/// The conflicts of the timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Conflict {
    /// The timer is counting down; stop it first.
    Running,
    /// The timer already stands still.
    NotRunning,
    /// The length is out of range.
    LengthOutOfRange {
        /// The shortest, in seconds.
        min: u32,
        /// The longest, in seconds.
        max: u32,
    },
    /// A participant cannot ring the timer.
    OnlyTheAlarmRings,
    /// The alarm went off, but there is nothing to ring.
    NotDue,
}

impl Program for Timer {
    type Options = NoOptions;
    type Transition = Transition;
    type Conflict = Conflict;

    fn apply(&self, event: &Event<Transition>) -> Result<Self, Conflict> {
        let now = Micros::new(event.time);
        let rung = self.rung_by(now);
        match &event.input {
            Input::Alarm(_) => rung.ok_or(Conflict::NotDue),
            // A ring that is due by now has rung, even if a participant was faster than the alarm: otherwise it would be in the past.
            Input::Transition { author, transition } => rung.as_ref().unwrap_or(self).handle(*transition, author, now),
            Input::Joined(_) | Input::Left(_) => Ok(self.clone()),
        }
    }

    fn alarm(&self) -> Option<Alarm<Transition>> {
        match self.phase {
            Phase::Running { due, .. } => Some(Alarm { at: due.get(), transition: Transition::Ring }),
            Phase::Stopped { .. } => None,
        }
    }
}

impl Timer {
    fn handle(&self, transition: Transition, author: &str, now: Micros) -> Result<Self, Conflict> {
        match (transition, &self.phase) {
            (Transition::Set { .. } | Transition::Start, Phase::Running { .. }) => Err(Conflict::Running),
            (Transition::Stop, Phase::Stopped { .. }) => Err(Conflict::NotRunning),
            (Transition::Ring, _) => Err(Conflict::OnlyTheAlarmRings),
            (Transition::Set { seconds, repeats }, Phase::Stopped { .. }) => self.with_length(seconds, repeats),
            (Transition::Start, Phase::Stopped { remaining }) => {
                let rings_left = if self.repeats { RINGS_PER_START_MAX } else { 1 };
                Ok(self.in_phase(Phase::Running { due: now + *remaining, starter: author.to_owned(), rings_left }))
            }
            (Transition::Stop, Phase::Running { due, .. }) => {
                Ok(self.in_phase(Phase::Stopped { remaining: *due - now }))
            }
            (Transition::Reset, _) => Ok(Self { rings: 0, last_ring: None, ..self.in_phase(self.full()) }),
        }
    }

    fn with_length(&self, seconds: u32, repeats: bool) -> Result<Self, Conflict> {
        if !(1..=SECONDS_MAX).contains(&seconds) {
            return Err(Conflict::LengthOutOfRange { min: 1, max: SECONDS_MAX });
        }
        let length = Micros::from_secs(seconds.into());
        Ok(Self { length, repeats, phase: Phase::Stopped { remaining: length }, ..self.clone() })
    }

    /// Returns the timer after the ring that was due by `now`, if there was one.
    fn rung_by(&self, now: Micros) -> Option<Self> {
        let Phase::Running { due, starter, rings_left } = &self.phase else { return None };
        if now < *due {
            return None;
        }
        let rings_left = rings_left.saturating_sub(1);
        let phase = match rings_left {
            0 => self.full(),
            _ => Phase::Running { due: self.beat_after(*due, now), starter: starter.clone(), rings_left },
        };
        let last_ring = Some(Ring { starter: starter.clone(), due: *due, at: now });
        Some(Self { rings: self.rings.saturating_add(1), last_ring, ..self.in_phase(phase) })
    }

    /// Returns the next time to ring: after a late ring the beat stays, and missed rings are not made up for.
    fn beat_after(&self, due: Micros, now: Micros) -> Micros {
        let length = self.length.get().max(1);
        let missed = (now - due).get() / length;
        due + Micros::new((missed + 1) * length)
    }

    fn full(&self) -> Phase {
        Phase::Stopped { remaining: self.length }
    }

    fn in_phase(&self, phase: Phase) -> Self {
        Self { phase, ..self.clone() }
    }
}

impl Default for Timer {
    /// One minute, once.
    fn default() -> Self {
        let length = Micros::from_secs(60);
        Self { length, repeats: false, phase: Phase::Stopped { remaining: length }, rings: 0, last_ring: None }
    }
}

export!(Timer);
