//! Times in states and views.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds: a duration, or a time since the Unix epoch, such as the time of an [`Event`](crate::Event).
///
/// A JSON number, unlike a plain `u64`: the integers that JavaScript keeps exactly last until the year 2255. Results above
/// [`Micros::MAX`] or below zero are clamped.
///
/// ```
/// use reapply_guest::Micros;
///
/// let due = Micros::new(1_700_000_000_000_000) + Micros::from_secs(90);
/// assert_eq!(due.get(), 1_700_000_090_000_000);
/// assert_eq!(Micros::from_secs(1) - Micros::from_secs(2), Micros::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(u64);

impl Micros {
    /// Zero microseconds.
    pub const ZERO: Self = Self(0);

    /// The largest value: the largest integer that JavaScript keeps exactly.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// Creates a time from microseconds, at most [`Micros::MAX`].
    #[must_use]
    pub const fn new(micros: u64) -> Self {
        if micros > Self::MAX.0 { Self::MAX } else { Self(micros) }
    }

    /// Creates a time from milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self::new(millis.saturating_mul(1_000))
    }

    /// Creates a time from seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self::new(seconds.saturating_mul(1_000_000))
    }

    /// Returns the number of microseconds.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Add for Micros {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::new(self.0 + other.0)
    }
}

impl Sub for Micros {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<Micros> for Duration {
    fn from(micros: Micros) -> Self {
        Self::from_micros(micros.0)
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A float is a JSON number, and exact in this range; a u64 would become a string.
        if serializer.is_human_readable() {
            serializer.serialize_f64(self.0 as f64)
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Micros {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_f64(NumberVisitor)
        } else {
            deserializer.deserialize_u64(NumberVisitor)
        }
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Micros;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a whole number of microseconds, from 0 to {}", Micros::MAX.0)
    }

    fn visit_u64<E: Error>(self, micros: u64) -> Result<Micros, E> {
        if micros > Micros::MAX.0 {
            return Err(E::invalid_value(Unexpected::Unsigned(micros), &self));
        }
        Ok(Micros(micros))
    }

    fn visit_f64<E: Error>(self, micros: f64) -> Result<Micros, E> {
        if micros < 0.0 || micros.fract() != 0.0 || micros > Micros::MAX.0 as f64 {
            return Err(E::invalid_value(Unexpected::Float(micros), &self));
        }
        Ok(Micros(micros as u64))
    }
}

impl JsonSchema for Micros {
    fn schema_name() -> Cow<'static, str> {
        "Micros".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Microseconds; a time is counted from the Unix epoch.",
            "type": "integer",
            "format": "micros",
            "minimum": 0,
            "maximum": Self::MAX.0,
        })
    }
}
