//! A history in written form: the inputs of a machine, so that they can be repeated.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A room's whole history: its options and its steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// The room's options, as JSON; `None` for the defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Value>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// One step of a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The action.
    #[serde(flatten)]
    pub act: Act,
    /// Microseconds since the step before, or since the alarm's time for an alarm that comes late.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub after: u64,
    /// The event's random bits, in decimal digits.
    #[serde(default, skip_serializing_if = "is_zero", with = "digits")]
    pub entropy: u64,
}

/// An action in a room, or a test of a machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// A participant sends a transition.
    Submit {
        /// The participant.
        author: String,
        /// The transition, as JSON.
        transition: Value,
    },
    /// Two participants send transitions at once. Both orders are tried, and the room continues as if they had not.
    AtOnce {
        /// The participants.
        authors: [String; 2],
        /// Their transitions, as JSON.
        transitions: [Value; 2],
    },
    /// A participant sends bytes that may not be a transition.
    SubmitBytes {
        /// The participant.
        author: String,
        /// The bytes, in hexadecimal.
        bytes: String,
    },
    /// The state's alarm goes off. Does nothing if the state has set none.
    Alarm,
    /// A participant joins.
    Joined {
        /// The participant.
        author: String,
    },
    /// A participant leaves.
    Left {
        /// The participant.
        author: String,
    },
    /// `restore` gets bytes that may not be a snapshot. The room continues as if it had not.
    RestoreBytes {
        /// The bytes, in hexadecimal.
        bytes: String,
    },
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the bytes; `None` if the text is not hexadecimal.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.bytes().map(|digit| char::from(digit).to_digit(16)).collect::<Option<Vec<_>>>()?;
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| <[u32; 2]>::try_from(pair).ok().and_then(|[high, low]| u8::try_from(high << 4 | low).ok()))
        .collect()
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// JSON readers keep 53 bits of a number, so these are text.
mod digits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_readable_json_and_comes_back_from_it() {
        let submit = Act::Submit { author: "ada".to_owned(), transition: serde_json::json!({ "Add": 0.1 }) };
        let step = Step { act: submit, after: 0, entropy: u64::MAX };
        let alarm = Step { act: Act::Alarm, after: 7, entropy: 0 };
        let script = Script { options: None, steps: vec![step, alarm] };
        let json = serde_json::to_string(&script).unwrap();
        let text = r#"{"steps":[{"act":"submit","author":"ada","transition":{"Add":0.1},"entropy":"18446744073709551615"},{"act":"alarm","after":7}]}"#;
        assert_eq!(json, text);
        assert_eq!(serde_json::from_str::<Script>(&json).unwrap(), script);
    }

    #[test]
    fn bytes_go_through_hexadecimal() {
        assert_eq!(to_hex(&[0, 255, 16]), "00ff10");
        assert_eq!(from_hex("00ff10"), Some(vec![0, 255, 16]));
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("0x"), None);
    }
}
