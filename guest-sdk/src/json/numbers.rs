//! Integers in JSON: visitors around those of a type.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};

/// Accepts an integer by its value, however it is written: JSON has one kind of number.
pub(super) struct Whole<V>(pub(super) V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Whole<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(formatter)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<V::Value, E> {
        self.0.visit_u64(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<V::Value, E> {
        self.0.visit_i64(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        visit_whole(self.0, value)
    }
}

/// The largest safe integer. Above it, several integers are the same float, so the written one is unknown.
pub(super) const EXACT_MAX: f64 = 9_007_199_254_740_991.0;

fn visit_whole<'de, V: Visitor<'de>, E: Error>(visitor: V, value: f64) -> Result<V::Value, E> {
    if value.fract() != 0.0 {
        return Err(E::invalid_type(Unexpected::Float(value), &visitor));
    }
    if value.abs() > EXACT_MAX {
        let exact = "no fraction or exponent in what is too large to be exact; write the digits of the whole number";
        return Err(E::invalid_value(Unexpected::Float(value), &exact));
    }
    if value < 0.0 { visitor.visit_i64(value as i64) } else { visitor.visit_u64(value as u64) }
}

/// Accepts an integer as a number or as its digits. `HUGE` integers have 128 bits.
pub(super) struct Wide<V, const HUGE: bool>(pub(super) V);

impl<'de, V: Visitor<'de>, const HUGE: bool> Visitor<'de> for Wide<V, HUGE> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(formatter)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<V::Value, E> {
        self.0.visit_u64(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<V::Value, E> {
        self.0.visit_i64(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        visit_whole(self.0, value)
    }

    fn visit_str<E: Error>(self, digits: &str) -> Result<V::Value, E> {
        // No sign but `-`, and no space: only the written form is read.
        let is_number = digits.strip_prefix('-').unwrap_or(digits).bytes().all(|digit| digit.is_ascii_digit());
        if !is_number {
            return Err(E::invalid_value(Unexpected::Str(digits), &self));
        }
        if let Ok(value) = digits.parse() {
            return self.0.visit_u64(value);
        }
        if let Ok(value) = digits.parse() {
            return self.0.visit_i64(value);
        }
        if HUGE && let Ok(value) = digits.parse() {
            return self.0.visit_u128(value);
        }
        if HUGE && let Ok(value) = digits.parse() {
            return self.0.visit_i128(value);
        }
        Err(E::invalid_value(Unexpected::Str(digits), &self))
    }
}
