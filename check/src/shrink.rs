//! Makes a history that breaks a rule as short and plain as possible.

use std::time::Instant;

use serde_json::Value;

use crate::script::{Act, Script, Step};
use crate::validate::is_uuid;

/// The maximum number of attempts.
const TRIALS_MAX: usize = 4000;

/// Returns a shorter script for which `fails` still holds. The search ends at the given time.
pub(crate) fn shrink(script: Script, until: Instant, fails: impl FnMut(&Script) -> bool) -> Script {
    let mut shrinker = Shrinker { best: script, fails, trials_left: TRIALS_MAX, until };
    loop {
        let before = shrinker.best.clone();
        shrinker.part_pairs();
        shrinker.remove_steps();
        shrinker.plain_steps();
        shrinker.plain_names();
        if shrinker.best == before || shrinker.is_spent() {
            return shrinker.best;
        }
    }
}

struct Shrinker<F> {
    best: Script,
    fails: F,
    trials_left: usize,
    until: Instant,
}

impl<F: FnMut(&Script) -> bool> Shrinker<F> {
    fn is_spent(&self) -> bool {
        self.trials_left == 0 || Instant::now() >= self.until
    }

    /// Keeps the script if it still fails.
    fn attempt(&mut self, script: Script) -> bool {
        if self.is_spent() || script == self.best {
            return false;
        }
        self.trials_left -= 1;
        let fails = (self.fails)(&script);
        if fails {
            self.best = script;
        }
        fails
    }

    /// Removes steps, many at once at first.
    fn remove_steps(&mut self) {
        let mut count = self.best.steps.len();
        while count > 0 {
            let mut end = self.best.steps.len();
            while end > 0 {
                let start = end.saturating_sub(count);
                let mut script = self.best.clone();
                script.steps.drain(start..end);
                self.attempt(script);
                end = start.min(self.best.steps.len());
            }
            count /= 2;
        }
    }

    /// Replaces two transitions at once by one after the other, if that fails as well.
    fn part_pairs(&mut self) {
        let mut index = 0;
        while let Some(step) = self.best.steps.get(index).cloned() {
            if let Act::AtOnce { authors: [a, b], transitions: [one, other] } = step.act {
                let submit = |author, transition| Step { act: Act::Submit { author, transition }, ..step };
                let (first, second) = (submit(a, one), submit(b, other));
                for parted in [[first.clone(), second.clone()], [second, first]] {
                    let mut script = self.best.clone();
                    script.steps.splice(index..=index, parted);
                    if self.attempt(script) {
                        break;
                    }
                }
            }
            index += 1;
        }
    }

    fn plain_steps(&mut self) {
        self.attempt(Script { options: None, ..self.best.clone() });
        if let Some(options) = self.best.options.clone() {
            self.plain_value(options, |script, options| script.options = Some(options));
        }
        for index in 0..self.best.steps.len() {
            for simpler in [0, 1] {
                let mut script = self.best.clone();
                script.steps[index].after = script.steps[index].after.min(simpler);
                if self.attempt(script) {
                    break;
                }
            }
            let mut script = self.best.clone();
            script.steps[index].entropy = 0;
            self.attempt(script);
            match self.best.steps[index].act.clone() {
                Act::Submit { transition, .. } => self.plain_value(transition, |script, plain| {
                    if let Act::Submit { transition, .. } = &mut script.steps[index].act {
                        *transition = plain;
                    }
                }),
                Act::AtOnce { transitions, .. } => {
                    for (which, transition) in transitions.into_iter().enumerate() {
                        self.plain_value(transition, |script, plain| {
                            if let Act::AtOnce { transitions, .. } = &mut script.steps[index].act {
                                transitions[which] = plain;
                            }
                        });
                    }
                }
                Act::SubmitBytes { .. } | Act::RestoreBytes { .. } => self.plain_bytes(index),
                Act::Alarm | Act::Joined { .. } | Act::Left { .. } => {}
            }
        }
    }

    /// Makes a value plainer for as long as possible.
    fn plain_value(&mut self, mut value: Value, put: impl Fn(&mut Script, Value)) {
        'plainer: loop {
            for plainer in plainer(&value) {
                let mut script = self.best.clone();
                put(&mut script, plainer.clone());
                if self.attempt(script) {
                    value = plainer;
                    continue 'plainer;
                }
            }
            return;
        }
    }

    /// Removes bytes, two digits each.
    fn plain_bytes(&mut self, index: usize) {
        let length = |script: &Script| match &script.steps[index].act {
            Act::SubmitBytes { bytes, .. } | Act::RestoreBytes { bytes } => bytes.len(),
            _ => 0,
        };
        let mut count = length(&self.best) / 2;
        while count > 0 {
            let mut start = 0;
            while start + 2 * count <= length(&self.best) {
                let mut script = self.best.clone();
                if let Act::SubmitBytes { bytes, .. } | Act::RestoreBytes { bytes } = &mut script.steps[index].act {
                    bytes.replace_range(start..start + 2 * count, "");
                }
                if !self.attempt(script) {
                    start += 2 * count;
                }
            }
            count /= 2;
        }
    }

    /// Replaces ids by small numbers, everywhere at once.
    fn plain_names(&mut self) {
        let mut ids = Vec::new();
        for step in &self.best.steps {
            match &step.act {
                Act::Submit { transition, .. } => collect_ids(transition, &mut ids),
                Act::AtOnce { transitions, .. } => transitions.iter().for_each(|one| collect_ids(one, &mut ids)),
                _ => {}
            }
        }
        for (index, id) in ids.iter().enumerate() {
            let plain = format!("00000000-0000-0000-0000-{:012x}", index + 1);
            let text = serde_json::to_string(&self.best).unwrap_or_default();
            if let Ok(script) = serde_json::from_str(&text.replace(id.as_str(), &plain)) {
                self.attempt(script);
            }
        }
    }
}

/// Returns values a little plainer than this one, the plainest first.
fn plainer(value: &Value) -> Vec<Value> {
    match value {
        Value::Null | Value::Bool(false) => Vec::new(),
        Value::Bool(true) => vec![false.into()],
        Value::Number(number) => match number.as_i64() {
            Some(0) => Vec::new(),
            Some(whole) => [0, whole / 2, whole - whole.signum()].map(Value::from).to_vec(),
            None => vec![0.into(), number.as_f64().map_or(0.0, f64::trunc).into()],
        },
        Value::String(text) if is_uuid(text) => Vec::new(),
        Value::String(text) => {
            let half = text.chars().take(text.chars().count() / 2).collect::<String>();
            let plain = ["", "0", "a"].map(str::to_owned).into_iter().chain([half]);
            // Of equally short texts, one is the plainest: otherwise this would never end.
            plain
                .filter(|plain| (plain.len(), plain.as_str()) < (text.len(), text.as_str()))
                .map(Value::String)
                .collect()
        }
        Value::Array(items) => {
            let without = (0..items.len()).map(|index| {
                let mut fewer = items.clone();
                fewer.remove(index);
                Value::Array(fewer)
            });
            let within = items.iter().enumerate().flat_map(|(index, item)| {
                plainer(item).into_iter().map(move |plainer| {
                    let mut items = items.clone();
                    items[index] = plainer;
                    Value::Array(items)
                })
            });
            without.chain(within).collect()
        }
        Value::Object(properties) => {
            let without = properties.keys().map(|name| {
                let mut fewer = properties.clone();
                fewer.remove(name);
                Value::Object(fewer)
            });
            let within = properties.iter().flat_map(|(name, property)| {
                plainer(property).into_iter().map(move |plainer| {
                    let mut properties = properties.clone();
                    properties.insert(name.clone(), plainer);
                    Value::Object(properties)
                })
            });
            without.chain(within).collect()
        }
    }
}

fn collect_ids(value: &Value, ids: &mut Vec<String>) {
    match value {
        Value::String(text) if is_uuid(text) && !ids.contains(text) => ids.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect_ids(item, ids)),
        Value::Object(properties) => properties.values().for_each(|property| collect_ids(property, ids)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn in_a_minute() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    fn submit(transition: Value) -> Step {
        Step { act: Act::Submit { author: "ada".to_owned(), transition }, after: 77, entropy: 5 }
    }

    #[test]
    fn what_matters_is_left() {
        let id = "01234567-89ab-cdef-0123-456789abcdef";
        let noise = (0..40).map(|number| submit(json!({ "Noise": number })));
        let steps =
            noise.clone().chain([submit(json!({ "Add": [id, 900, "long text", true] }))]).chain(noise).collect();
        let fails = |script: &Script| {
            script.steps.iter().any(|step| match &step.act {
                Act::Submit { transition, .. } => transition["Add"][1].as_i64().is_some_and(|number| number > 12),
                _ => false,
            })
        };
        let script = shrink(Script { options: Some(json!({ "a": 1 })), steps }, in_a_minute(), fails);
        let transition = json!({ "Add": ["00000000-0000-0000-0000-000000000001", 13] });
        let step = Step { after: 0, entropy: 0, ..submit(transition) };
        assert_eq!(script, Script { options: None, steps: vec![step] });
    }

    #[test]
    fn bytes_are_shortened() {
        let step = Step { act: Act::RestoreBytes { bytes: "0011223344".to_owned() }, after: 0, entropy: 0 };
        let script = shrink(Script { options: None, steps: vec![step] }, in_a_minute(), |script| {
            script.steps.iter().any(|step| matches!(&step.act, Act::RestoreBytes { bytes } if bytes.contains("22")))
        });
        assert_eq!(script.steps[0].act, Act::RestoreBytes { bytes: "22".to_owned() });
    }
}
