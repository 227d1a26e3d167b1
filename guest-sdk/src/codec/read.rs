//! Reads postcard strictly: each value has one encoding.
//!
//! postcard itself accepts `80 00` for the `00` that it writes, so that two snapshots would be one state. It also trusts the length that
//! bytes claim, for which collections then reserve memory, and follows any nesting, even deeper than the stack allows. This reader accepts
//! only the bytes that postcard writes.

use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};

/// Reads a `T` from the beginning of `bytes`, with a limit on nesting, and returns it with the rest.
pub(super) fn take<T: DeserializeOwned>(bytes: &[u8], levels_max: usize) -> Result<(T, &[u8]), Error> {
    let mut reader = Reader { rest: bytes, levels_left: levels_max };
    let value = T::deserialize(&mut reader)?;
    Ok((value, reader.rest))
}

/// The reasons why bytes cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// The bytes end too soon.
    End,
    /// A number takes more bytes than it needs.
    Long,
    /// A number is larger than its type.
    Large,
    /// The byte of an option or a boolean is neither 0 nor 1.
    Flag(u8),
    /// A text is not UTF-8, or is not exactly one character where a `char` is expected.
    Text,
    /// The value nests more deeply than allowed.
    Deep,
    /// The type needs names or types, which the bytes do not have.
    Untold,
    /// The type refuses the value.
    Refused(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End => f.write_str("they end too soon"),
            Self::Long => f.write_str("a number takes more bytes than it needs"),
            Self::Large => f.write_str("a number is larger than its type"),
            Self::Flag(byte) => write!(f, "a byte that must be 0 or 1 is {byte}"),
            Self::Text => f.write_str("a text is not UTF-8"),
            Self::Deep => write!(f, "they nest deeper than {} levels", crate::NESTING_MAX),
            Self::Untold => f.write_str(
                "the type needs names, which bytes do not have: leave out serde's `untagged`, `flatten` and `tag`",
            ),
            Self::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(why: T) -> Self {
        Self::Refused(why.to_string())
    }

    // Shows values by way of serde_json: serde formats floats with code of the standard library that is larger than all of this crate.
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(serde_json::Error::invalid_type(found, expected))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(serde_json::Error::invalid_value(found, expected))
    }
}

struct Reader<'de> {
    rest: &'de [u8],
    /// The number of lists, maps, structs and variants that may still begin inside one another.
    levels_left: usize,
}

impl<'de> Reader<'de> {
    fn take(&mut self, count: usize) -> Result<&'de [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Error::End)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Error::End)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Error> {
        self.array().map(|[byte]| byte)
    }

    fn flag(&mut self) -> Result<bool, Error> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Error::Flag(other)),
        }
    }

    fn length(&mut self) -> Result<usize, Error> {
        usize::try_from(self.number(64)?).map_err(|_| Error::Large)
    }

    fn text(&mut self) -> Result<&'de str, Error> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Error::Text)
    }

    /// Reads a value that is some levels further in.
    fn within<T>(&mut self, levels: usize, read: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        self.levels_left = self.levels_left.checked_sub(levels).ok_or(Error::Deep)?;
        let value = read(self)?;
        self.levels_left += levels;
        Ok(value)
    }

    fn items<V: Visitor<'de>>(&mut self, count: usize, levels: usize, visitor: V) -> Result<V::Value, Error> {
        self.within(levels, |reader| visitor.visit_seq(Items { reader, left: count }))
    }
}

/// Reads a number of the given size: seven bits in a byte, the lowest first, without an empty byte at the end.
macro_rules! varint {
    ($($name:ident $kind:ty;)*) => { impl Reader<'_> { $(
        fn $name(&mut self, bits: u32) -> Result<$kind, Error> {
            let (mut number, mut shift) = (0, 0);
            loop {
                let byte = self.byte()?;
                let part = <$kind>::from(byte & 0x7f);
                if shift >= bits || part >> (bits - shift).min(7) != 0 {
                    return Err(Error::Large);
                }
                number |= part << shift;
                if byte < 0x80 {
                    return if byte == 0 && shift > 0 { Err(Error::Long) } else { Ok(number) };
                }
                shift += 7;
            }
        }
    )* } };
}

varint! { number u64; huge u128; }

macro_rules! numbers {
    ($($method:ident $visit:ident $read:ident $kind:ty;)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            // The number fits its type, so nothing is lost.
            visitor.$visit(self.$read(<$kind>::BITS)? as $kind)
        }
    )* };
}

/// Decodes a signed number, whose lowest bit is the sign.
macro_rules! signed {
    ($($method:ident $visit:ident $read:ident $kind:ty;)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let number = self.$read(<$kind>::BITS)?;
            visitor.$visit((number >> 1) as $kind ^ -((number & 1) as $kind))
        }
    )* };
}

macro_rules! untold {
    ($($method:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::Untold)
        }
    )* };
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    numbers! {
        deserialize_u16 visit_u16 number u16;
        deserialize_u32 visit_u32 number u32;
        deserialize_u64 visit_u64 number u64;
        deserialize_u128 visit_u128 huge u128;
    }

    signed! {
        deserialize_i16 visit_i16 number i16;
        deserialize_i32 visit_i32 number i32;
        deserialize_i64 visit_i64 number i64;
        deserialize_i128 visit_i128 huge i128;
    }

    untold! { deserialize_any deserialize_identifier deserialize_ignored_any }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.flag()?)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u8(self.byte()?)
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_i8(self.byte()? as i8)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f32(f32::from_le_bytes(self.array()?))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(f64::from_le_bytes(self.array()?))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut characters = self.text()?.chars();
        match (characters.next(), characters.next()) {
            (Some(character), None) => visitor.visit_char(character),
            _ => Err(Error::custom("expected exactly one character")),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let length = self.length()?;
        visitor.visit_borrowed_bytes(self.take(length)?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.flag()? { visitor.visit_some(self) } else { visitor.visit_none() }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let count = self.length()?;
        self.items(count, 1, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Error> {
        self.items(count, 1, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.items(count, 1, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let left = self.length()?;
        self.within(1, |reader| visitor.visit_map(Items { reader, left }))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.items(fields.len(), 1, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self)
    }
}

/// The remaining elements of a list, a map, a struct or a tuple.
struct Items<'a, 'de> {
    reader: &'a mut Reader<'de>,
    left: usize,
}

impl Items<'_, '_> {
    /// The size hint: no more than the remaining bytes, whatever length they claim.
    fn hint(&self) -> Option<usize> {
        Some(self.left.min(self.reader.rest.len()))
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

impl<'de> EnumAccess<'de> for &mut Reader<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Error> {
        let index = self.number(u32::BITS)? as u32;
        seed.deserialize(index.into_deserializer()).map(|variant| (variant, self))
    }
}

impl<'de> VariantAccess<'de> for &mut Reader<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.within(1, |reader| seed.deserialize(reader))
    }

    fn tuple_variant<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Error> {
        self.items(count, 2, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.items(fields.len(), 2, visitor)
    }
}
