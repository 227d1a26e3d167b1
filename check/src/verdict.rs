//! The rules, and the results of checking them.

use std::fmt;

use reapply_sync::{CodecError, Fault, LoadError};
use serde::{Deserialize, Serialize};

/// The rules for every machine. Reports and docs use these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// Two instances that get the same events give the same answers and reach the same states.
    Deterministic,
    /// A state restored from its snapshot equals the original: it has the same snapshot, view and alarm, and continues in the same way.
    Restore,
    /// `apply` leaves the old state as it was, whether it succeeds or refuses.
    Unchanged,
    /// A transition survives the way through its bytes and through its JSON.
    Codec,
    /// Views, transitions and conflicts match the machine's schemas.
    Schema,
    /// Bytes that are not exactly a transition or a snapshot are refused.
    Malformed,
    /// No call breaks off.
    Trap,
    /// No call uses more fuel or memory than the host allows.
    Limits,
    /// An alarm is set for later, and can be applied when it goes off.
    Alarm,
    /// Kinds of transitions that are declared to commute lead to the same state in either order.
    Order,
    /// A state that an earlier build stored becomes a state of this one, and continues.
    Migrate,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deterministic => "deterministic",
            Self::Restore => "restore",
            Self::Unchanged => "unchanged",
            Self::Codec => "codec",
            Self::Schema => "schema",
            Self::Malformed => "malformed",
            Self::Trap => "trap",
            Self::Limits => "limits",
            Self::Alarm => "alarm",
            Self::Order => "order",
            Self::Migrate => "migrate",
        })
    }
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) rule: Rule,
    pub(crate) what: String,
}

pub(crate) type Checked<T> = Result<T, Breach>;

impl Breach {
    pub(crate) fn new(rule: Rule, what: impl Into<String>) -> Self {
        Self { rule, what: what.into() }
    }

    pub(crate) fn of_fault(call: &str, fault: &Fault) -> Self {
        let rule = match fault {
            Fault::Trapped(_) => Rule::Trap,
            Fault::Exhausted(_) => Rule::Limits,
        };
        Self::new(rule, format!("`{call}`: {fault}"))
    }
}

/// Returns the answer of a call that must not break off.
pub(crate) fn unbroken<T>(call: &str, answer: Result<T, Fault>) -> Checked<T> {
    answer.map_err(|fault| Breach::of_fault(call, &fault))
}

/// Returns the answer of a call that may refuse: its result, or the reason.
pub(crate) fn answered<T, E: Into<Answer>>(call: &str, answer: Result<T, E>) -> Checked<Result<T, String>> {
    match answer.map_err(Into::into) {
        Ok(value) => Ok(Ok(value)),
        Err(Answer::Refused(why)) => Ok(Err(why)),
        Err(Answer::Fault(fault)) => Err(Breach::of_fault(call, &fault)),
    }
}

/// The two ways in which a call gives no result.
pub(crate) enum Answer {
    Refused(String),
    Fault(Fault),
}

impl From<LoadError> for Answer {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Refused(why) => Self::Refused(why),
            LoadError::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl From<CodecError> for Answer {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::Refused(why) => Self::Refused(why),
            CodecError::Fault(fault) => Self::Fault(fault),
        }
    }
}

/// The number of bytes of a snapshot that are shown: before the first difference, and from there on.
const SHOWN_BEFORE: usize = 4;
const SHOWN_BYTES: usize = 24;

/// Returns the place where two snapshots differ, in hexadecimal.
pub(crate) fn bytes_differ(names: [&str; 2], bytes: [&[u8]; 2]) -> String {
    let same = bytes[0].iter().zip(bytes[1]).take_while(|(a, b)| a == b).count();
    let start = same.saturating_sub(SHOWN_BEFORE);
    let part = |bytes: &[u8]| {
        let end = bytes.len().min(start + SHOWN_BYTES);
        let more = if end < bytes.len() { "…" } else { "" };
        format!("{}{}{more}", if start > 0 { "…" } else { "" }, crate::script::to_hex(&bytes[start..end]))
    };
    let width = names[0].len().max(names[1].len());
    let line = |index: usize| {
        let (name, bytes) = (names[index], bytes[index]);
        format!("\n    {name:width$}  {} ({} bytes)", part(bytes), bytes.len())
    };
    format!("snapshots differ from byte {same} on{}{}", line(0), line(1))
}

/// Returns the place where two JSON texts differ.
pub(crate) fn json_differs(names: [&str; 2], texts: [&str; 2]) -> String {
    let [one, other] = texts.map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default());
    let mut place = String::new();
    let (one, other) = descend(&one, &other, &mut place);
    let place = if place.is_empty() { "/" } else { &place };
    let width = names[0].len().max(names[1].len());
    let cut = |value: Option<&serde_json::Value>| {
        let text = value.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        let shown: String = text.chars().take(SHOWN_CHARS).collect();
        if shown.len() < text.len() { shown + "…" } else { shown }
    };
    format!("they differ at {place}\n    {:width$}  {}\n    {:width$}  {}", names[0], cut(one), names[1], cut(other))
}

/// The number of characters that are shown of each of two different JSON values.
const SHOWN_CHARS: usize = 200;

type Sides<'a> = (Option<&'a serde_json::Value>, Option<&'a serde_json::Value>);

/// Descends into two values while they differ in one place only.
fn descend<'a>(one: &'a serde_json::Value, other: &'a serde_json::Value, place: &mut String) -> Sides<'a> {
    use serde_json::Value;
    let differing: Vec<(String, Sides<'a>)> = match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
            names.map(|name| (name.clone(), (a.get(name), b.get(name)))).filter(|(_, (a, b))| a != b).collect()
        }
        (Value::Array(a), Value::Array(b)) => (0..a.len().max(b.len()))
            .map(|index| (index.to_string(), (a.get(index), b.get(index))))
            .filter(|(_, (a, b))| a != b)
            .collect(),
        _ => Vec::new(),
    };
    match differing.as_slice() {
        [(name, (Some(a), Some(b)))] => {
            *place += &format!("/{name}");
            descend(a, b, place)
        }
        [(name, sides)] => {
            *place += &format!("/{name}");
            *sides
        }
        _ => (Some(one), Some(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_of_bytes_is_shown_where_it_is() {
        let text = bytes_differ(["old", "newer"], [&[1, 2, 3], &[1, 9]]);
        assert_eq!(text, "snapshots differ from byte 1 on\n    old    010203 (3 bytes)\n    newer  0109 (2 bytes)");
    }

    #[test]
    fn a_difference_of_json_is_shown_where_it_is() {
        let text = json_differs(["a", "b"], [r#"{"x":{"y":[1,2]},"z":0}"#, r#"{"x":{"y":[1,3]},"z":0}"#]);
        assert_eq!(text, "they differ at /x/y/1\n    a  2\n    b  3");
        let text = json_differs(["a", "b"], [r#"{"x":1}"#, "{}"]);
        assert_eq!(text, "they differ at /x\n    a  1\n    b  nothing");
    }
}
