//! The rules, each as one check of the room.

use bytes::Bytes;
use reapply_sync::Alarm;
use serde_json::Value;

use crate::contract::Contract;
use crate::player::{GARBAGE_EVERY, Player};
use crate::schema::Schema;
use crate::subject::Subject;
use crate::verdict::{Breach, Checked, Rule, answered, bytes_differ, json_differs, unbroken};

/// The bytes that are appended to complete ones.
const GARBAGE: [&[u8]; 3] = [&[0], &[255], &[1, 2, 3, 4, 5, 6, 7, 8]];

/// The maximum nesting of arrays and objects that serde_json reads, as do hosts.
const JSON_LEVELS_MAX: usize = 127;

impl<S: Subject> Player<'_, S> {
    pub(crate) fn check_unchanged(&mut self, accepted: bool) -> Checked<()> {
        let when = if accepted { "made a new state" } else { "said no" };
        let snapshot = unbroken("snapshot", self.main.snapshot(&self.now.state))?;
        if snapshot != self.now.snapshot {
            let differ = bytes_differ(["before", "after"], [&self.now.snapshot, &snapshot]);
            let text = format!("`apply` {when}, and the old state is no longer as it was: its {differ}");
            return Err(Breach::new(Rule::Unchanged, text));
        }
        let view = unbroken("view", self.main.view(&self.now.state))?;
        if view != self.now.view {
            let differs = json_differs(["before", "after"], [&self.now.view, &view]);
            let text = format!("`apply` {when}, and the old state's view is no longer as it was: {differs}");
            return Err(Breach::new(Rule::Unchanged, text));
        }
        Ok(())
    }

    pub(crate) fn check_twin(&mut self) -> Checked<()> {
        let snapshot = unbroken("snapshot", self.twin.snapshot(&self.twin_state))?;
        if snapshot == self.now.snapshot {
            return Ok(());
        }
        let differ = bytes_differ(["one", "other"], [&self.now.snapshot, &snapshot]);
        let text = format!("two instances were given the same events, and their {differ}");
        Err(Breach::new(Rule::Deterministic, text))
    }

    pub(crate) fn check_restored(&mut self, entropy: u64) -> Checked<()> {
        let snapshot = unbroken("snapshot", self.scratch.snapshot(&self.restored))?;
        if snapshot != self.now.snapshot {
            let differ = bytes_differ(["state", "restored"], [&self.now.snapshot, &snapshot]);
            return Err(Breach::new(
                Rule::Restore,
                format!("the state and what its snapshot restores: their {differ}"),
            ));
        }
        let view = unbroken("view", self.scratch.view(&self.restored))?;
        if view != self.now.view {
            let differs = json_differs(["state", "restored"], [&self.now.view, &view]);
            let text = format!("the views of the state and of what its snapshot restores: {differs}");
            return Err(Breach::new(Rule::Restore, text));
        }
        let alarm = unbroken("alarm", self.scratch.alarm(&self.restored))?;
        if alarm != self.now.alarm {
            let text = "the state and what its snapshot restores have different alarms";
            return Err(Breach::new(Rule::Restore, text));
        }
        if entropy.is_multiple_of(GARBAGE_EVERY) { self.check_snapshot_garbage() } else { Ok(()) }
    }

    /// Checks that a restored state, after the same event, equals the room's state.
    pub(crate) fn check_went_on(&mut self, restored: &S::State) -> Checked<()> {
        let snapshot = unbroken("snapshot", self.scratch.snapshot(restored))?;
        if snapshot == self.now.snapshot {
            return Ok(());
        }
        let differ = bytes_differ(["kept", "restored"], [&self.now.snapshot, &snapshot]);
        let text =
            format!("after the same event, a state that was kept and one that was restored differ: their {differ}");
        Err(Breach::new(Rule::Restore, text))
    }

    /// Returns the transition's JSON. It must match the schema if it did before. A changed example need not: the machine may answer it
    /// with a conflict.
    pub(crate) fn check_codec(&mut self, bytes: &Bytes, conforms: bool) -> Checked<String> {
        let codec = |what: String| Breach::new(Rule::Codec, what);
        let json = answered("decode", self.scratch.decode(bytes))?
            .map_err(|why| codec(format!("`decode` refuses what the machine itself encoded: {why}")))?;
        if conforms {
            check_schema("transition", &self.contract.transition, &json)?;
        }
        let again = answered("encode", self.scratch.encode(&json))?
            .map_err(|why| codec(format!("`encode` refuses {json}, which `decode` made: {why}")))?;
        if again == bytes {
            return Ok(json);
        }
        let differ = bytes_differ(["first", "again"], [bytes, &again]).replacen("snapshots", "transitions", 1);
        Err(codec(format!("{json}, decoded and encoded again: the {differ}")))
    }

    /// Checks that the transition has no other bytes: appended or truncated ones must be refused.
    pub(crate) fn check_garbage(&mut self, bytes: &Bytes, json: &str) -> Checked<()> {
        for (what, bytes) in spoiled(bytes) {
            let read = answered("decode", self.scratch.decode(&bytes)).map_err(while_malformed)?;
            if read.is_ok_and(|read| read == json) {
                return Err(Breach::new(Rule::Malformed, format!("`decode` reads {json} although {what}")));
            }
        }
        Ok(())
    }

    /// Checks that an alarm set by an event is later than that event. One that went off and stays would go off forever.
    pub(crate) fn check_alarm(&self, before: Option<&Alarm>, went_off: bool) -> Checked<()> {
        let Some(alarm) = &self.now.alarm else { return Ok(()) };
        let is_new = went_off || before != Some(alarm);
        if !is_new || alarm.at.0 > self.time {
            return Ok(());
        }
        let early = self.time - alarm.at.0;
        let text = format!("the alarm is set for {early} µs before the event that set it, and it has to be after it");
        let text = if early == 0 {
            "the alarm is set for the time of the event that set it, and it has to be after it".into()
        } else {
            text
        };
        Err(Breach::new(Rule::Alarm, text))
    }

    fn check_snapshot_garbage(&mut self) -> Checked<()> {
        for (what, bytes) in spoiled(&self.now.snapshot) {
            let restored = self.scratch.restore(&bytes, self.contract.state_version);
            let Ok(state) = answered("restore", restored).map_err(while_malformed)? else { continue };
            let snapshot = unbroken("snapshot", self.scratch.snapshot(&state)).map_err(while_malformed)?;
            if snapshot == self.now.snapshot {
                return Err(Breach::new(Rule::Malformed, format!("`restore` reads the snapshot although {what}")));
            }
        }
        Ok(())
    }
}

/// Returns a state that is restored from its own snapshot.
pub(crate) fn restore<S: Subject>(contract: &Contract, machine: &mut S, snapshot: &[u8]) -> Checked<S::State> {
    answered("restore", machine.restore(snapshot, contract.state_version))?
        .map_err(|why| Breach::new(Rule::Restore, format!("`restore` refused the machine's own snapshot: {why}")))
}

/// Checks that invalid texts and bytes get an answer, whatever it is.
pub(crate) fn check_nonsense<S: Subject>(machine: &mut S, state_version: u32) -> Checked<()> {
    for text in ["{", "null", "[[[[", "\u{0}"] {
        answered("create", machine.create(text)).map_err(while_malformed)?.ok();
        answered("encode", machine.encode(text)).map_err(while_malformed)?.ok();
    }
    for bytes in [&[][..], &[255; 40]] {
        answered("decode", machine.decode(bytes)).map_err(while_malformed)?.ok();
        answered("restore", machine.restore(bytes, state_version)).map_err(while_malformed)?.ok();
    }
    Ok(())
}

/// Attributes a fault that invalid bytes caused to the rule about them.
pub(crate) fn while_malformed(breach: Breach) -> Breach {
    match breach.rule {
        Rule::Trap | Rule::Limits => Breach::new(Rule::Malformed, breach.what),
        _ => breach,
    }
}

/// Checks the JSON against the schema, and returns its value.
pub(crate) fn check_schema(name: &str, schema: &Schema, json: &str) -> Checked<Value> {
    let wrong = |what: String| Breach::new(Rule::Schema, what);
    let value = serde_json::from_str(json).map_err(|error| match error.to_string() {
        // It is JSON, but no reader can read it.
        error if error.starts_with("recursion limit exceeded") => {
            wrong(format!("the {name} nests deeper than {JSON_LEVELS_MAX} levels, the most that readers of JSON take"))
        }
        error => wrong(format!("the {name} is not JSON: {error}")),
    })?;
    schema.validate(&value).map_err(|what| wrong(format!("the {name} is not what its schema says: {what}")))?;
    Ok(value)
}

fn spoiled(bytes: &Bytes) -> impl Iterator<Item = (String, Vec<u8>)> + use<> {
    let appended = |garbage: &&[u8]| (format!("{} more bytes follow it", garbage.len()), [bytes, *garbage].concat());
    let shorter = bytes.split_last().map(|(_, rest)| ("its last byte is missing".to_owned(), rest.to_vec()));
    let spoiled: Vec<_> = GARBAGE.iter().map(appended).chain(shorter).collect();
    spoiled.into_iter()
}
