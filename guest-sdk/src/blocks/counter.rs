//! A number that many may add to.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::StateMachine;

/// A number that everyone may add to: for votes, scores and stocks.
///
/// It stays within the integers that JavaScript's numbers hold exactly, from [`Counter::MIN`] to [`Counter::MAX`], so it is a number in
/// JSON.
///
/// # Two people at once
///
/// - Two people add at once: both count.
/// - One adds and another resets at once: the addition is lost if the reset is decided later, and stays if it is
///   decided earlier.
///
/// ```
/// use reapply_guest::{Counter, StateMachine};
///
/// let votes = Counter::default();
/// let (ada, bob) = (votes.add(2), votes.add(-1));
/// let votes = votes.apply(&ada)?.apply(&bob)?;
/// assert_eq!(votes.value(), 1);
/// # Ok::<(), reapply_guest::CounterConflict>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counter(i64);

/// The transitions of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CounterTransition {
    /// Adds this number, which may be negative.
    Add(i32),
    /// Sets the number to zero.
    Reset,
}

/// The conflicts of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum CounterConflict {
    /// The result would be outside the range of a counter.
    Overflow,
}

impl Counter {
    /// The largest number.
    pub const MAX: i64 = (1 << 53) - 1;

    /// The smallest number.
    pub const MIN: i64 = -Self::MAX;

    /// Creates a counter with this value, if it is in range.
    #[must_use]
    pub const fn new(value: i64) -> Option<Self> {
        if value < Self::MIN || value > Self::MAX { None } else { Some(Self(value)) }
    }

    /// Returns the counter's value.
    #[must_use]
    pub const fn value(self) -> i64 {
        self.0
    }

    /// Returns the transition that adds `number`.
    #[must_use]
    pub fn add(&self, number: i32) -> CounterTransition {
        CounterTransition::Add(number)
    }

    /// Returns the transition that resets the counter to zero.
    #[must_use]
    pub fn reset(&self) -> CounterTransition {
        CounterTransition::Reset
    }
}

impl StateMachine for Counter {
    type Transition = CounterTransition;
    type Conflict = CounterConflict;

    fn apply(&self, transition: &CounterTransition) -> Result<Self, CounterConflict> {
        match transition {
            // The sum of a counter and 32 bits is far from the bounds of 64.
            CounterTransition::Add(number) => Self::new(self.0 + i64::from(*number)).ok_or(CounterConflict::Overflow),
            CounterTransition::Reset => Ok(Self(0)),
        }
    }
}

impl From<i32> for Counter {
    fn from(value: i32) -> Self {
        Self(value.into())
    }
}

impl Serialize for Counter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A float is a JSON number, and exact in this range; an i64 would become a string.
        if serializer.is_human_readable() {
            serializer.serialize_f64(self.0 as f64)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Counter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_f64(CounterVisitor)
        } else {
            deserializer.deserialize_i64(CounterVisitor)
        }
    }
}

impl JsonSchema for Counter {
    fn schema_name() -> Cow<'static, str> {
        "Counter".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": Self::MIN, "maximum": Self::MAX })
    }
}

struct CounterVisitor;

impl Visitor<'_> for CounterVisitor {
    type Value = Counter;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a whole number from {} to {}", Counter::MIN, Counter::MAX)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Counter, E> {
        Counter::new(value).ok_or_else(|| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Counter, E> {
        let counter = i64::try_from(value).ok().and_then(Counter::new);
        counter.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Counter, E> {
        // The conversion saturates, which is outside a counter's range as well.
        let counter = Some(value as i64).filter(|_| value.fract() == 0.0).and_then(Counter::new);
        counter.ok_or_else(|| E::invalid_value(Unexpected::Float(value), &self))
    }
}
