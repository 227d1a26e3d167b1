//! Writing: a formatter for serde_json, which calls it by the number's type.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use super::levels::too_deep;
use crate::limits::JSON_LEVELS_MAX;

pub(super) fn to_string<T: Serialize>(value: &T) -> serde_json::Result<String> {
    let mut json = Vec::with_capacity(128);
    value.serialize(&mut Serializer::with_formatter(&mut json, Face::default()))?;
    String::from_utf8(json).map_err(serde::ser::Error::custom)
}

#[derive(Default)]
struct Face {
    /// Whether a key of an object is being written, which is already in quotes.
    in_string: bool,
    /// The number of open arrays and objects.
    open: usize,
}

impl Face {
    fn write_digits<W: ?Sized + Write>(&self, writer: &mut W, digits: impl std::fmt::Display) -> io::Result<()> {
        if self.in_string { write!(writer, "{digits}") } else { write!(writer, "\"{digits}\"") }
    }

    /// Opens an array or an object. Serde's calls nest as deeply as these do, so this bounds the stack as well.
    fn open(&mut self) -> io::Result<()> {
        self.open += 1;
        if self.open > JSON_LEVELS_MAX { Err(io::Error::other(too_deep())) } else { Ok(()) }
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

    // serde_json writes a float that is not finite as `null`, and does not call this.
    fn write_f32<W: ?Sized + Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        writer.write_all(ryu_js::Buffer::new().format_finite(value).as_bytes())
    }

    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(ryu_js::Buffer::new().format_finite(value).as_bytes())
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open()?;
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open -= 1;
        writer.write_all(b"]")
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open()?;
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open -= 1;
        writer.write_all(b"}")
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
