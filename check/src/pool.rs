//! Values that a history has shown so far, to draw from again: a random id hits nothing, but a known one hits an item.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::random::Random;
use crate::validate::is_uuid;

/// The maximum number of values of one sort. Further values replace earlier ones.
const KEPT_MAX: usize = 64;

/// The maximum number of parts of a view that are read.
const VIEW_NODES_MAX: usize = 4000;

/// The maximum length of a text that is kept.
const TEXT_BYTES_MAX: usize = 256;

/// The maximum number of properties of an object that is kept whole.
const OBJECT_PROPERTIES_MAX: usize = 8;

/// Values by sort, and by the place in the schema that they were made for.
#[derive(Default)]
pub(crate) struct Pool {
    submitted: Seen,
    shown: Seen,
    places: HashMap<usize, Vec<Value>>,
}

#[derive(Default)]
struct Seen {
    ids: Vec<String>,
    texts: Vec<String>,
    numbers: Vec<i128>,
    objects: Vec<Value>,
}

impl Pool {
    /// Keeps a value that was made for a place in the schema.
    pub(crate) fn keep(&mut self, place: &Value, value: &Value, random: &mut Random) {
        let values = self.places.entry(address(place)).or_default();
        if !values.contains(value) {
            keep(values, value.clone(), random);
        }
        self.submitted.learn(value, random);
    }

    /// Keeps a participant's name: machines put it into their states.
    pub(crate) fn keep_author(&mut self, author: &str, random: &mut Random) {
        keep(&mut self.submitted.texts, author.to_owned(), random);
    }

    /// Reads the machine's current view. Values from the view before are dropped, since they may be gone.
    pub(crate) fn look(&mut self, view: &Value, random: &mut Random) {
        self.shown = Seen::default();
        let mut waiting = vec![view];
        for _ in 0..VIEW_NODES_MAX {
            let Some(value) = waiting.pop() else { break };
            match value {
                Value::Array(items) => waiting.extend(items),
                Value::Object(properties) => {
                    properties.keys().for_each(|name| self.shown.learn_text(name, random));
                    waiting.extend(properties.values());
                    if properties.len() <= OBJECT_PROPERTIES_MAX {
                        keep(&mut self.shown.objects, value.clone(), random);
                    }
                }
                _ => self.shown.learn(value, random),
            }
        }
    }

    /// Returns an earlier value for this very place.
    pub(crate) fn again(&self, place: &Value, random: &mut Random) -> Option<Value> {
        self.places.get(&address(place)).and_then(|values| random.pick(values)).cloned()
    }

    /// Returns an object from the current view with the properties that a schema requires, and no unknown ones.
    pub(crate) fn object(&self, keywords: &Map<String, Value>, random: &mut Random) -> Option<Value> {
        let known = keywords.get("properties")?.as_object()?;
        let required = keywords.get("required").and_then(Value::as_array);
        let fits = |object: &&Value| {
            let has = |name: &Value| name.as_str().is_some_and(|name| object.get(name).is_some());
            required.is_none_or(|required| required.iter().all(has))
                && object.as_object().is_some_and(|properties| properties.keys().all(|name| known.contains_key(name)))
        };
        let fitting: Vec<&Value> = self.shown.objects.iter().filter(fits).collect();
        random.pick(&fitting).map(|object| (*object).clone())
    }

    pub(crate) fn id(&self, random: &mut Random) -> Option<String> {
        self.draw(|seen| &seen.ids, random)
    }

    pub(crate) fn text(&self, random: &mut Random) -> Option<String> {
        self.draw(|seen| &seen.texts, random)
    }

    pub(crate) fn number(&self, random: &mut Random) -> Option<i128> {
        self.draw(|seen| &seen.numbers, random)
    }

    // A value from the current view hits more often than one that was once sent.
    fn draw<T: Clone>(&self, sort: impl Fn(&Seen) -> &Vec<T>, random: &mut Random) -> Option<T> {
        let sources = if random.percent(75) { [&self.shown, &self.submitted] } else { [&self.submitted, &self.shown] };
        sources.into_iter().find_map(|seen| random.pick(sort(seen)).cloned())
    }
}

impl Seen {
    fn learn(&mut self, value: &Value, random: &mut Random) {
        match value {
            Value::String(text) => self.learn_text(text, random),
            Value::Number(number) => {
                if let Some(whole) = number.as_i64().map(i128::from).or(number.as_u64().map(i128::from)) {
                    keep(&mut self.numbers, whole, random);
                }
            }
            _ => {}
        }
    }

    fn learn_text(&mut self, text: &str, random: &mut Random) {
        if is_uuid(text) {
            keep(&mut self.ids, text.to_owned(), random);
        } else if let Ok(whole) = text.parse() {
            keep(&mut self.numbers, whole, random);
        } else if text.len() <= TEXT_BYTES_MAX {
            keep(&mut self.texts, text.to_owned(), random);
        }
    }
}

fn keep<T>(values: &mut Vec<T>, value: T, random: &mut Random) {
    if values.len() < KEPT_MAX {
        values.push(value);
    } else {
        let index = random.below(values.len());
        values[index] = value;
    }
}

/// Returns the address of a schema, which identifies its place: a schema does not move while a history is made.
fn address(place: &Value) -> usize {
    std::ptr::from_ref(place).addr()
}
