//! Plays a history on a machine, and checks the rules at every step.
//!
//! Three instances take part. `main` runs the room as a host does. `twin` gets the same events and no other calls. `scratch` is for
//! restoring states, translating transitions, and trying invalid bytes.

use std::collections::BTreeSet;

use bytes::Bytes;
use reapply_sync::limits::TRANSITION_BYTES_MAX;
use reapply_sync::{ApplyError, Author, ClientId, Event, Fault, Input, Number, Refusal, Seq, Timestamp};
use serde_json::Value;

use crate::contract::Contract;
use crate::player::{GARBAGE_EVERY, Moment, Outcome, Player, START};
use crate::rules::{check_nonsense, check_schema, restore, while_malformed};
use crate::script::{Act, Step, from_hex};
use crate::subject::{Subject, Usage};
use crate::verdict::{Breach, Checked, Rule, answered, json_differs, unbroken};

impl<'a, S: Subject> Player<'a, S> {
    /// Creates the room. Returns `None` if the machine refuses its options.
    pub(crate) fn begin(
        contract: &'a Contract,
        start: &dyn Fn() -> Result<S, Fault>,
        options: Option<&Value>,
    ) -> Checked<Option<Self>> {
        let instance = || unbroken("start", start());
        let (mut main, mut twin, mut scratch) = (instance()?, instance()?, instance()?);
        check_nonsense(&mut scratch, contract.state_version)?;
        let options = options.map(Value::to_string).unwrap_or_default();
        // The twin has played other events before: the traces of a call in an instance must not show in the next.
        answered("create", twin.create(""))?.ok();
        let twin_state = match answered("create", twin.create(&options))? {
            Ok(state) => state,
            Err(why) if options.is_empty() => {
                return Err(Breach::new(Rule::Trap, format!("`create` refused the default options: {why}")));
            }
            Err(_) => return Ok(None),
        };
        let state = answered("create", main.create(&options))?.map_err(|why| {
            Breach::new(Rule::Deterministic, format!("`create` refused options that another instance took: {why}"))
        })?;
        let now = look(contract, &mut main, state)?;
        Self::of([main, twin, scratch], contract, now, twin_state).map(Some)
    }

    /// Continues a room of an earlier build: each instance gets its snapshot.
    pub(crate) fn migrate(
        contract: &'a Contract,
        start: &dyn Fn() -> Result<S, Fault>,
        snapshot: &[u8],
        state_version: u32,
    ) -> Checked<Self> {
        let migrated = || -> Checked<(S, S::State)> {
            let mut machine = unbroken("start", start())?;
            let of_version = |what| Breach::new(Rule::Migrate, format!("a state of version {state_version}: {what}"));
            let restored = answered("restore", machine.restore(snapshot, state_version));
            let state = restored.map_err(|breach| of_version(breach.what))?;
            let state = state.map_err(|why| of_version(format!("`restore` refused it: {why}")))?;
            Ok((machine, state))
        };
        let ((mut main, state), (twin, twin_state)) = (migrated()?, migrated()?);
        let scratch = unbroken("start", start())?;
        let now = look(contract, &mut main, state)?;
        Self::of([main, twin, scratch], contract, now, twin_state)
    }

    fn of(
        [main, twin, mut scratch]: [S; 3],
        contract: &'a Contract,
        now: Moment<S::State>,
        twin_state: S::State,
    ) -> Checked<Self> {
        let restored = restore(contract, &mut scratch, &now.snapshot)?;
        let (seq, time, applied) = (0, START, None);
        let (present, last_transition) = (BTreeSet::new(), Bytes::new());
        let mut player = Self {
            contract,
            main,
            twin,
            scratch,
            now,
            twin_state,
            restored,
            seq,
            time,
            present,
            last_transition,
            applied,
            sounded: Value::Null,
        };
        player.check_twin()?;
        player.check_restored(0)?;
        Ok(player)
    }

    /// Performs one step, and checks everything that can be checked about it.
    pub(crate) fn step(&mut self, step: &Step) -> Checked<Outcome> {
        let input = match &step.act {
            Act::Submit { author, transition } => {
                let Some(bytes) = self.encode(transition, step.entropy)? else { return Ok(Outcome::Malformed) };
                self.time = self.time.saturating_add(step.after);
                let input = self.submission(author, bytes);
                return match self.apply(input, step.entropy)? {
                    Outcome::Malformed => Err(Breach::new(Rule::Codec, "`apply` calls malformed what `encode` made")),
                    outcome => Ok(outcome),
                };
            }
            Act::AtOnce { authors, transitions } => return self.at_once(authors, transitions, step),
            Act::SubmitBytes { author, bytes } => return self.submit_bytes(author, bytes, step),
            Act::RestoreBytes { bytes } => return self.restore_bytes(bytes),
            Act::Alarm => return self.sound_alarm(step),
            Act::Joined { author } if self.contract.membership && self.present.insert(author.clone()) => {
                Input::Joined(Author(author.as_str().into()))
            }
            Act::Left { author } if self.contract.membership && self.present.remove(author) => {
                Input::Left(Author(author.as_str().into()))
            }
            Act::Joined { .. } | Act::Left { .. } => return Ok(Outcome::Nothing),
        };
        self.time = self.time.saturating_add(step.after);
        self.apply(input, step.entropy)
    }

    /// Returns the view of the newest state.
    pub(crate) fn view(&self) -> &Value {
        &self.now.shown
    }

    /// Returns the state version, and the snapshot of the newest state.
    pub(crate) fn stored(&self) -> (u32, &Bytes) {
        (self.contract.state_version, &self.now.snapshot)
    }

    /// Returns the event for a transition that arrives after the given time.
    pub(crate) fn event(&self, author: &str, transition: Bytes, after: u64, entropy: u64) -> Event {
        let time = Timestamp(self.time.saturating_add(after));
        Event { seq: Seq(self.seq + 1), time, entropy, input: self.submission(author, transition) }
    }

    /// Returns the snapshot of the newest state.
    pub(crate) fn snapshot(&self) -> &Bytes {
        &self.now.snapshot
    }

    /// Returns the time until the alarm goes off, if one is set.
    pub(crate) fn alarm_in(&self) -> Option<u64> {
        self.now.alarm.as_ref().map(|alarm| alarm.at.0.saturating_sub(self.time))
    }

    /// Returns whether a participant has joined and not left.
    pub(crate) fn is_present(&self, author: &str) -> bool {
        self.present.contains(author)
    }

    /// Returns the last transition that was encoded.
    pub(crate) fn last_transition(&self) -> &Bytes {
        &self.last_transition
    }

    /// Returns the transition of the last alarm that went off.
    pub(crate) fn sounded(&self) -> &Value {
        &self.sounded
    }

    /// Returns the cost of the room's last `apply`.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.applied
    }

    /// Returns the transition's bytes; `None` if it has none, or too many for a room.
    fn encode(&mut self, transition: &Value, entropy: u64) -> Checked<Option<Bytes>> {
        let Ok(bytes) = answered("encode", self.scratch.encode(&transition.to_string()))? else { return Ok(None) };
        if bytes.len() > TRANSITION_BYTES_MAX {
            return Ok(None);
        }
        let conforms = self.contract.transition.validate(transition).is_ok();
        let json = self.check_codec(&bytes, conforms)?;
        if entropy.is_multiple_of(GARBAGE_EVERY) {
            self.check_garbage(&bytes, &json)?;
        }
        self.last_transition = bytes.clone();
        Ok(Some(bytes))
    }

    fn submission(&self, author: &str, transition: Bytes) -> Input {
        let author = Author(author.into());
        Input::Transition { author, client: ClientId([0; 16]), number: Number(self.seq + 1), transition }
    }

    /// Tries two transitions in both orders, each with its own author and bits, at the same time.
    fn at_once(&mut self, authors: &[String; 2], transitions: &[Value; 2], step: &Step) -> Checked<Outcome> {
        let mut events = Vec::new();
        for (author, transition) in authors.iter().zip(transitions) {
            // This number is never a multiple of the one for invalid bytes, so no invalid bytes are tried here.
            let Some(bytes) = self.encode(transition, 1)? else { return Ok(Outcome::Malformed) };
            let entropy = step.entropy.rotate_left(events.len() as u32 * 32);
            events.push(self.event(author, bytes, step.after, entropy));
        }
        let mut ends = Vec::new();
        for order in [[0, 1], [1, 0]] {
            let mut state = restore(self.contract, &mut self.scratch, &self.now.snapshot)?;
            for (later, which) in (0..).zip(order) {
                let event = Event { seq: Seq(self.seq + 1 + later), ..events[which].clone() };
                if let Ok(next) = decided(self.scratch.apply(&state, &event))? {
                    state = next;
                }
            }
            let view = unbroken("view", self.scratch.view(&state))?;
            ends.push((unbroken("snapshot", self.scratch.snapshot(&state))?, view));
        }
        let differ = ends[0].0 != ends[1].0;
        let kinds = [0, 1].map(|which| self.contract.transition.kind(&transitions[which]));
        if differ && self.contract.commute([&kinds[0], &kinds[1]]) {
            let orders = [0, 1].map(|first| format!("{} first", authors[first]));
            let [one, other] = [&ends[0].1, &ends[1].1].map(String::as_str);
            let differs = json_differs([&orders[0], &orders[1]], [one, other]);
            let what = format!("`{}` and `{}` are said to commute, and do not: {differs}", kinds[0], kinds[1]);
            return Err(Breach::new(Rule::Order, what));
        }
        Ok(Outcome::Orders { differ })
    }

    fn submit_bytes(&mut self, author: &str, bytes: &str, step: &Step) -> Checked<Outcome> {
        let Some(bytes) = from_hex(bytes).filter(|bytes| bytes.len() <= TRANSITION_BYTES_MAX) else {
            return Ok(Outcome::Nothing);
        };
        let read = answered("decode", self.scratch.decode(&bytes)).map_err(while_malformed)?;
        self.time = self.time.saturating_add(step.after);
        let input = self.submission(author, bytes.into());
        let outcome = self.apply(input, step.entropy);
        match (read, outcome) {
            (Ok(_), Ok(Outcome::Malformed)) => {
                Err(Breach::new(Rule::Malformed, "`apply` calls malformed what `decode` reads"))
            }
            (Ok(_), outcome) => outcome,
            (Err(_), Err(breach)) => Err(while_malformed(breach)),
            (Err(_), Ok(Outcome::Malformed)) => Ok(Outcome::Malformed),
            (Err(why), Ok(_)) => {
                Err(Breach::new(Rule::Malformed, format!("`apply` took a transition that `decode` refuses: {why}")))
            }
        }
    }

    fn restore_bytes(&mut self, bytes: &str) -> Checked<Outcome> {
        let Some(bytes) = from_hex(bytes) else { return Ok(Outcome::Nothing) };
        let restored = self.scratch.restore(&bytes, self.contract.state_version);
        if let Ok(state) = answered("restore", restored).map_err(while_malformed)? {
            // The bytes may be a snapshot of this machine after all, and then all rules for snapshots apply.
            unbroken("snapshot", self.scratch.snapshot(&state)).map_err(while_malformed)?;
        }
        Ok(Outcome::Nothing)
    }

    fn sound_alarm(&mut self, step: &Step) -> Checked<Outcome> {
        let Some(alarm) = self.now.alarm.clone() else { return Ok(Outcome::Nothing) };
        let json = self.check_codec(&alarm.transition, true)?;
        self.sounded = serde_json::from_str(&json).unwrap_or_default();
        self.time = self.time.max(alarm.at.0).saturating_add(step.after);
        match self.apply(Input::Alarm(alarm.transition), step.entropy)? {
            Outcome::Conflict(conflict) => {
                let what = format!("the alarm that the state set was refused when it went off: {conflict}");
                Err(Breach::new(Rule::Alarm, what))
            }
            Outcome::Malformed => {
                Err(Breach::new(Rule::Alarm, "the alarm's transition is malformed to the machine that set it"))
            }
            outcome => Ok(outcome),
        }
    }

    fn apply(&mut self, input: Input, entropy: u64) -> Checked<Outcome> {
        let is_alarm = matches!(input, Input::Alarm(_));
        let event = Event { seq: Seq(self.seq + 1), time: Timestamp(self.time), entropy, input };
        let result = self.main.apply(&self.now.state, &event);
        self.applied = self.main.usage();
        let verdict = decided(result)?;
        self.check_unchanged(verdict.is_ok())?;
        let twins = decided(self.twin.apply(&self.twin_state, &event))?;
        let restoreds = decided(self.scratch.apply(&self.restored, &event))?;
        match (verdict, twins, restoreds) {
            (Ok(state), Ok(twins), Ok(restoreds)) => {
                let next = look(self.contract, &mut self.main, state)?;
                let before = std::mem::replace(&mut self.now, next).alarm;
                self.twin_state = twins;
                self.seq += 1;
                self.check_twin()?;
                self.check_went_on(&restoreds)?;
                self.restored = restore(self.contract, &mut self.scratch, &self.now.snapshot)?;
                self.check_restored(entropy)?;
                self.check_alarm(before.as_ref(), is_alarm)?;
                Ok(Outcome::Accepted)
            }
            (Err(verdict), Err(twins), Err(restoreds)) => {
                same_refusal(Rule::Deterministic, "the other instance", &verdict, &twins)?;
                same_refusal(Rule::Restore, "the restored state", &verdict, &restoreds)?;
                self.refused(verdict)
            }
            (verdict, twins, _) => {
                let is_twin = verdict.is_ok() != twins.is_ok();
                let (rule, other) = if is_twin {
                    (Rule::Deterministic, "another instance, given the same events,")
                } else {
                    (Rule::Restore, "the state restored from the snapshot")
                };
                let [one, two] = if verdict.is_ok() { ["accepted", "refused"] } else { ["refused", "accepted"] };
                Err(Breach::new(rule, format!("the event was {one}, and {other} {two} it")))
            }
        }
    }

    fn refused(&self, refusal: Refusal) -> Checked<Outcome> {
        let Refusal::Conflict(conflict) = refusal else { return Ok(Outcome::Malformed) };
        check_schema("conflict", &self.contract.conflict, &conflict)?;
        Ok(Outcome::Conflict(conflict))
    }
}

fn look<S: Subject>(contract: &Contract, machine: &mut S, state: S::State) -> Checked<Moment<S::State>> {
    let snapshot = unbroken("snapshot", machine.snapshot(&state))?;
    let view = unbroken("view", machine.view(&state))?;
    let shown = check_schema("view", &contract.view, &view)?;
    let alarm = unbroken("alarm", machine.alarm(&state))?;
    Ok(Moment { state, snapshot, view, shown, alarm })
}

fn decided<T>(result: Result<T, ApplyError>) -> Checked<Result<T, Refusal>> {
    match result {
        Ok(state) => Ok(Ok(state)),
        Err(ApplyError::Refused(refusal)) => Ok(Err(refusal)),
        Err(ApplyError::Fault(fault)) => Err(Breach::of_fault("apply", &fault)),
    }
}

fn same_refusal(rule: Rule, other: &str, one: &Refusal, two: &Refusal) -> Checked<()> {
    if one == two {
        return Ok(());
    }
    Err(Breach::new(rule, format!("the event was refused ({one}), and {other} refused it otherwise ({two})")))
}
