//! One room on both builds, side by side: pure computation over events, for a thread that may block.

use bytes::Bytes;
use reapply_machine::{Build, Instance, Stack, State};
use reapply_sync::limits::{SNAPSHOT_BYTES_MAX, TRANSITION_BYTES_MAX};
use reapply_sync::{ApplyError, CodecError, Digest, Event, Input, LoadError, Machine, Replay, Seq};

use super::diff::{NamedView, diff};
use super::limits::TRANSITION_SHOWN_BYTES_MAX;
use super::report::{Differences, Failure, Refused, Step, UpgradeEffect};

/// A trial of a build. It plays a room's log on its own build, and from some event on also on the new build.
pub(super) struct Trial<B> {
    old: Replay<Instance, B>,
    new: Instance,
    /// The new build's own state, once the replay has reached its beginning.
    state: Option<State>,
    begins_at: Seq,
    replayed: u64,
    refused: Option<Refused>,
}

impl<B: FnMut(Digest) -> Result<Instance, String>> Trial<B> {
    /// Creates a trial of `to`, which plays the events after `begins_at`; `old` is there or before it.
    pub(super) fn new(old: Replay<Instance, B>, to: &Build, begins_at: Seq) -> Result<Self, Failure> {
        let new = to.instantiate_with(Stack::Replaying).map_err(|fault| failure(Step::Start, begins_at, fault))?;
        let mut trial = Self { old, new, state: None, begins_at, replayed: 0, refused: None };
        if trial.old.seq() == begins_at {
            trial.begin()?;
        }
        Ok(trial)
    }

    /// Plays the next event.
    pub(super) fn apply(&mut self, event: &Event) -> Result<(), Failure> {
        self.old.apply(event).map_err(|error| failure(Step::Past, event.seq, error))?;
        // An earlier upgrade changed the room's state, so the comparison begins again.
        let is_upgrade = matches!(event.input, Input::Upgraded(_)) && self.state.is_some();
        if is_upgrade || event.seq == self.begins_at {
            return self.begin();
        }
        let Some(state) = self.state.take() else { return Ok(()) };
        self.state = Some(self.follow(state, event)?);
        Ok(())
    }

    /// Returns the finding, with the current state on both builds.
    pub(super) fn finish(mut self) -> Result<UpgradeEffect, Failure> {
        let seq = self.old.seq();
        // The snapshot is taken first: a view that faults costs the instance.
        let restored = self.restore()?;
        let (machine, state) = self.old.state();
        let now = machine.view(state).unwrap_or_else(|fault| fault.to_string());
        let upgraded = self.view(&restored)?;
        let snapshot = self.new.snapshot(&restored).map_err(|fault| failure(Step::Snapshot, seq, fault))?;
        if snapshot.len() > SNAPSHOT_BYTES_MAX {
            let why = format!("it has {} bytes; the limit is {SNAPSHOT_BYTES_MAX}", snapshot.len());
            return Err(Failure { step: Step::Snapshot, seq, why });
        }
        self.new.alarm(&restored).map_err(|fault| failure(Step::Alarm, seq, fault))?;
        // The upgraded room would continue from that snapshot.
        let again = self.new.restore(&snapshot, self.new.state_version());
        again.map_err(|error| failure(Step::Restore, seq, format!("it does not restore its own snapshot: {error}")))?;
        let replayed = match self.state.take() {
            Some(state) => self.view(&state)?,
            None => upgraded.clone(),
        };

        let now = NamedView { name: "now", json: &now };
        let upgraded = NamedView { name: "upgraded", json: &upgraded };
        let differences = Differences {
            replayed: self.replayed,
            view: diff(now, upgraded),
            replay: diff(upgraded, NamedView { name: "replayed on the new build", json: &replayed }),
            refused: self.refused,
        };
        Ok(match differences {
            Differences { replayed, view: None, replay: None, refused: None } => UpgradeEffect::Same { replayed },
            differences => UpgradeEffect::Differs(differences),
        })
    }

    /// Restores the current state on the new build, as an upgrade at this place would.
    fn begin(&mut self) -> Result<(), Failure> {
        self.state = Some(self.restore()?);
        self.replayed = 0;
        self.refused = None;
        Ok(())
    }

    fn restore(&mut self) -> Result<State, Failure> {
        let seq = self.old.seq();
        let (state_version, snapshot) = self.old.snapshot().map_err(|fault| failure(Step::Past, seq, fault))?;
        let error = match self.new.restore(&snapshot, state_version) {
            Ok(restored) => return Ok(restored),
            Err(error) => error,
        };
        // If the old build does not restore its own state either, the new one is not to blame.
        match self.restores_its_own(&snapshot, state_version) {
            Ok(()) => Err(failure(Step::Restore, seq, error)),
            Err(own) => Err(failure(Step::Past, seq, format!("it does not restore its own snapshot: {own}"))),
        }
    }

    /// Returns whether the room's own build restores a snapshot that it wrote.
    fn restores_its_own(&mut self, snapshot: &[u8], state_version: u32) -> Result<(), LoadError> {
        let (machine, _) = self.old.state();
        let mut fresh = machine.build().instantiate_with(Stack::Replaying)?;
        fresh.restore(snapshot, state_version).map(drop)
    }

    fn view(&mut self, state: &State) -> Result<String, Failure> {
        let seq = self.old.seq();
        self.new.view(state).map_err(|fault| failure(Step::View, seq, fault))
    }

    /// Returns the new build's state after an event that the old one has accepted; the same state if the new one refuses it.
    fn follow(&mut self, state: State, event: &Event) -> Result<State, Failure> {
        let translated = match &event.input {
            Input::Upgraded(_) | Input::Checkpoint { .. } | Input::Forked { .. } => return Ok(state),
            Input::Joined(_) | Input::Left(_) if !self.new.membership() => return Ok(state),
            Input::Joined(_) | Input::Left(_) => Ok(event.input.clone()),
            Input::Transition { author, client, number, transition } => {
                let (author, client, number) = (author.clone(), *client, *number);
                let translated = self.translate(event.seq, transition)?;
                translated.map(|transition| Input::Transition { author, client, number, transition })
            }
            Input::Alarm(transition) => self.translate(event.seq, transition)?.map(Input::Alarm),
        };
        self.replayed += 1;
        let input = match translated {
            Ok(input) => input,
            Err(why) => {
                self.refuse(event, format!("malformed transition: {why}"));
                return Ok(state);
            }
        };
        match self.new.reapply(&state, &Event { input, ..event.clone() }) {
            Ok(after) => Ok(after),
            Err(ApplyError::Refused(refusal)) => {
                self.refuse(event, refusal.to_string());
                Ok(state)
            }
            Err(ApplyError::Fault(fault)) => Err(failure(Step::Replay, event.seq, fault)),
        }
    }

    /// Converts a transition of the old build to the new one's encoding, by way of its JSON; the error says why that fails.
    fn translate(&mut self, seq: Seq, transition: &Bytes) -> Result<Result<Bytes, String>, Failure> {
        let (old, _) = self.old.state();
        let json = match old.decode(transition) {
            Ok(json) => json,
            Err(CodecError::Refused(why)) => return Ok(Err(why)),
            Err(CodecError::Fault(fault)) => return Err(failure(Step::Past, seq, fault)),
        };
        Ok(match self.new.encode(&json) {
            Ok(encoded) if encoded.len() > TRANSITION_BYTES_MAX => {
                Err(format!("it has {} bytes; the limit is {TRANSITION_BYTES_MAX}", encoded.len()))
            }
            Ok(encoded) => Ok(encoded),
            Err(CodecError::Refused(why)) => Err(why),
            Err(CodecError::Fault(fault)) => return Err(failure(Step::Replay, seq, fault)),
        })
    }

    fn refuse(&mut self, event: &Event, why: String) {
        if let Some(refused) = &mut self.refused {
            refused.count += 1;
            return;
        }
        let transition = match &event.input {
            Input::Transition { transition, .. } | Input::Alarm(transition) => {
                let (old, _) = self.old.state();
                old.decode(transition).map_or_else(|error| error.to_string(), shown)
            }
            input => format!("{input:?}"),
        };
        self.refused = Some(Refused { seq: event.seq, transition, why, count: 1 });
    }
}

fn failure(step: Step, seq: Seq, why: impl std::fmt::Display) -> Failure {
    Failure { step, seq, why: why.to_string() }
}

/// Returns a transition's JSON, cut to the maximum length in a message.
fn shown(mut json: String) -> String {
    if json.len() > TRANSITION_SHOWN_BYTES_MAX {
        json.truncate(json.floor_char_boundary(TRANSITION_SHOWN_BYTES_MAX));
        json.push('…');
    }
    json
}
