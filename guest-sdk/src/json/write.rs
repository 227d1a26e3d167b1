//! Writing: a formatter for serde_json, which calls it by the number's type.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter};

/// Whole floats up to here are exact, and look the same as whole numbers do.
const WHOLE_MAX: f64 = 9_007_199_254_740_991.0;

pub(super) fn to_string<T: Serialize>(value: &T) -> serde_json::Result<String> {
    let mut json = Vec::with_capacity(128);
    value.serialize(&mut Serializer::with_formatter(&mut json, Face { in_string: false }))?;
    String::from_utf8(json).map_err(serde::ser::Error::custom)
}

struct Face {
    /// A key of an object stands in quotes already.
    in_string: bool,
}

impl Face {
    fn write_digits<W: ?Sized + Write>(&self, writer: &mut W, digits: impl std::fmt::Display) -> io::Result<()> {
        if self.in_string { write!(writer, "{digits}") } else { write!(writer, "\"{digits}\"") }
    }
}

impl Formatter for Face {
    fn write_u64<W: ?Sized + Write>(&mut self, writer: &mut W, value: u64) -> io::Result<()> {
        self.write_digits(writer, value)
    }

    fn write_i64<W: ?Sized + Write>(&mut self, writer: &mut W, value: i64) -> io::Result<()> {
        self.write_digits(writer, value)
    }

    fn write_u128<W: ?Sized + Write>(&mut self, writer: &mut W, value: u128) -> io::Result<()> {
        self.write_digits(writer, value)
    }

    fn write_i128<W: ?Sized + Write>(&mut self, writer: &mut W, value: i128) -> io::Result<()> {
        self.write_digits(writer, value)
    }

    fn write_f32<W: ?Sized + Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        if is_whole(value.into()) {
            write!(writer, "{}", value as i64)
        } else {
            CompactFormatter.write_f32(writer, value)
        }
    }

    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        if is_whole(value) { write!(writer, "{}", value as i64) } else { CompactFormatter.write_f64(writer, value) }
    }

    fn begin_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.in_string = true;
        writer.write_all(b"\"")
    }

    fn end_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.in_string = false;
        writer.write_all(b"\"")
    }
}

fn is_whole(value: f64) -> bool {
    value.fract() == 0.0 && value.abs() <= WHOLE_MAX && !(value == 0.0 && value.is_sign_negative())
}
