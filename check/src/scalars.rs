//! Random numbers and texts that a schema describes.

use serde_json::{Map, Number, Value};

use crate::generate::Generator;
use crate::pattern::matching;
use crate::schema::whole_range;
use crate::validate::is_uuid;

/// Texts that machines often fail on.
const TEXTS: [&str; 12] = [
    "",
    "a",
    "b",
    " ",
    "hello",
    "0",
    "-1",
    "é",
    "\u{1f469}\u{200d}\u{1f680}",
    "e\u{301}\u{202e}x",
    "\u{0}\n\"\\",
    "a/b?c=d&<e>",
];

/// A character for long texts.
const LONG_OF: &str = "ä";
const LONG_CHARS: [usize; 4] = [33, 129, 1000, 5000];

impl Generator<'_> {
    pub(crate) fn integer(&mut self, keywords: &Map<String, Value>) -> Value {
        let (least, most) = bounds(keywords);
        let whole = self.whole(least, most);
        Number::from_i128(whole).map_or(Value::Null, Value::Number)
    }

    fn whole(&mut self, least: i128, most: i128) -> i128 {
        let whole = match self.random.below(10) {
            0 => *self.random.pick(&[0, 1, -1, 2, least, most, most - 1]).unwrap_or(&0),
            1..=3 => {
                let near = [0, 0, 0, 1, -1][self.random.below(5)];
                self.pool.number(&mut self.random).unwrap_or(0).saturating_add(near)
            }
            4 => {
                let bits = self.random.below(64);
                let magnitude = self.random.between(0, 1 << bits);
                if self.random.percent(50) { magnitude } else { -magnitude }
            }
            _ => self.random.between(least.max(-10), most.min(10).max(least)),
        };
        if (least..=most).contains(&whole) {
            whole
        } else {
            self.random.between(least, most.min(least.saturating_add(100)))
        }
    }

    pub(crate) fn number(&mut self, keywords: &Map<String, Value>) -> Value {
        let bound = |names: [&str; 2]| names.into_iter().find_map(|name| keywords.get(name)?.as_f64());
        let least = bound(["minimum", "exclusiveMinimum"]).unwrap_or(f64::MIN);
        let most = bound(["maximum", "exclusiveMaximum"]).unwrap_or(f64::MAX);
        let share = self.random.below(1 << 20) as f64 / f64::from(1 << 20);
        let number = match self.random.below(8) {
            0 => *self.random.pick(&[0.0, -0.0, 1.0, -1.0, 0.1, 1e-7, least, most]).unwrap_or(&0.0),
            1..=3 => share * 1000.0,
            _ => least.max(-1000.0) + share * (most.min(1000.0) - least.max(-1000.0)),
        };
        let single = keywords.get("format").and_then(Value::as_str) == Some("float");
        let number = if single { f64::from(number.clamp(f32::MIN.into(), f32::MAX.into()) as f32) } else { number };
        Number::from_f64(if (least..=most).contains(&number) { number } else { least.max(0.0).min(most) })
            .map_or(Value::Null, Value::Number)
    }

    pub(crate) fn text(&mut self, keywords: &Map<String, Value>) -> Value {
        let format = keywords.get("format").and_then(Value::as_str).unwrap_or_default();
        if format == "uuid" {
            let seen = if self.random.percent(65) { self.pool.id(&mut self.random) } else { None };
            return Value::String(seen.unwrap_or_else(|| self.uuid()));
        }
        if let Some((least, most)) = whole_range(format) {
            return Value::String(self.whole(least, most).to_string());
        }
        let pattern = keywords.get("pattern").and_then(Value::as_str);
        if let Some(text) = pattern.and_then(|pattern| matching(pattern, &mut self.random)) {
            return Value::String(text);
        }
        let text = match self.random.below(8) {
            0..=2 => self.pool.text(&mut self.random),
            3 if self.random.percent(25) => self.random.pick(&LONG_CHARS).map(|chars| LONG_OF.repeat(*chars)),
            _ => None,
        };
        let text = text.or_else(|| self.random.pick(&TEXTS).map(|text| (*text).to_owned())).unwrap_or_default();
        Value::String(fit(text, keywords))
    }

    fn uuid(&mut self) -> String {
        let bits = u128::from(self.random.bits()) << 64 | u128::from(self.random.bits());
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// Returns another value of the same sort.
    pub(crate) fn other(&mut self, value: &Value) -> Value {
        match value {
            Value::Bool(is) => Value::Bool(!is),
            Value::String(text) if is_uuid(text) => self.text(&Map::from_iter([("format".into(), "uuid".into())])),
            Value::String(text) if text.parse::<i128>().is_ok() => {
                Value::String(self.whole(0, i64::MAX.into()).to_string())
            }
            Value::String(_) => self.text(&Map::new()),
            Value::Number(number) if number.is_f64() => self.number(&Map::new()),
            Value::Number(number) => {
                let least = if number.is_u64() { 0 } else { i64::MIN.into() };
                Number::from_i128(self.whole(least, i64::MAX.into())).map_or(Value::Null, Value::Number)
            }
            other => other.clone(),
        }
    }
}

/// Returns the whole numbers that a schema allows.
fn bounds(keywords: &Map<String, Value>) -> (i128, i128) {
    let format = keywords.get("format").and_then(Value::as_str).and_then(whole_range);
    let (least, most) = format.unwrap_or((i64::MIN.into(), i64::MAX.into()));
    let bound = |name| {
        let number: &Value = keywords.get(name)?;
        let whole = number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
        whole.or(number.as_f64().map(|number| number as i128))
    };
    let least = least.max(bound("minimum").or(bound("exclusiveMinimum").map(|bound| bound + 1)).unwrap_or(least));
    let most = most.min(bound("maximum").or(bound("exclusiveMaximum").map(|bound| bound - 1)).unwrap_or(most));
    (least, most.max(least))
}

/// Returns the text, as long as the schema allows.
fn fit(text: String, keywords: &Map<String, Value>) -> String {
    let [least, most] = ["minLength", "maxLength"].map(|bound| keywords.get(bound).and_then(Value::as_u64));
    let chars = text.chars().count();
    let least = least.and_then(|least| usize::try_from(least).ok()).unwrap_or(0);
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    if chars < least {
        text + &"a".repeat(least - chars)
    } else if chars > most {
        text.chars().take(most).collect()
    } else {
        text
    }
}
