//! Reading: serde_json's values, with digits in strings where a type of 64 bits or more is asked for, and errors that say where.

use std::fmt;
use std::str::FromStr;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Value;

/// A value that is being read.
pub(super) struct Reader<'de>(pub(super) &'de Value);

/// What is wrong, and the way there from the outermost value.
#[derive(Debug)]
pub(super) struct ReadError {
    path: String,
    what: String,
}

impl ReadError {
    fn under(mut self, step: impl fmt::Display) -> Self {
        self.path.insert_str(0, &format!("{step}"));
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.path {
            "" => formatter.write_str(&self.what),
            path => write!(formatter, "at {path}: {}", self.what),
        }
    }
}

impl std::error::Error for ReadError {}

impl serde::de::Error for ReadError {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self { path: String::new(), what: what.to_string() }
    }
}

macro_rules! wide_integers {
    ($($deserialize:ident $visit:ident)*) => { $(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            match self.0 {
                Value::String(digits) => {
                    let value = parse(digits, &visitor)?;
                    visitor.$visit(value)
                }
                _ => self.deserialize_any(visitor),
            }
        }
    )* };
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), ..) => visitor.visit_u64(value),
                (_, Some(value), _) => visitor.visit_i64(value),
                (.., value) => visitor.visit_f64(value.unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => {
                let mut left = Items { items: items.iter().enumerate() };
                let read = visitor.visit_seq(&mut left)?;
                match left.items.len() {
                    0 => Ok(read),
                    _ => Err(ReadError::invalid_length(items.len(), &"fewer elements")),
                }
            }
            Value::Object(entries) => visitor.visit_map(Entries { entries: entries.iter(), value: None }),
        }
    }

    wide_integers! {
        deserialize_u64 visit_u64 deserialize_i64 visit_i64 deserialize_u128 visit_u128 deserialize_i128 visit_i128
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let one = |entries: &'de serde_json::Map<_, _>| entries.iter().next().filter(|_| entries.len() == 1);
        if let Value::String(variant) = self.0 {
            return visitor.visit_enum(Tagged { variant, content: None });
        }
        let Some((variant, content)) = self.0.as_object().and_then(one) else {
            let variants = variants.join(", ");
            return Err(ReadError::custom(format_args!(
                "a {name} is one of {variants}: a string, or an object with that one property"
            )));
        };
        visitor.visit_enum(Tagged { variant, content: Some(content) })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 u8 u16 u32 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

/// Reads the digits of a number. Only what is written is read: no sign but `-`, no space.
fn parse<T: FromStr>(digits: &str, expected: &dyn Expected) -> Result<T, ReadError> {
    let is_number = digits.strip_prefix('-').unwrap_or(digits).bytes().all(|digit| digit.is_ascii_digit());
    let parsed = digits.parse().ok().filter(|_| is_number);
    parsed.ok_or_else(|| ReadError::invalid_value(Unexpected::Str(digits), expected))
}

struct Items<'de> {
    items: std::iter::Enumerate<std::slice::Iter<'de, Value>>,
}

impl<'de> SeqAccess<'de> for &mut Items<'de> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        let Some((index, item)) = self.items.next() else { return Ok(None) };
        seed.deserialize(Reader(item)).map(Some).map_err(|error| error.under(format_args!("[{index}]")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'de> {
    entries: serde_json::map::Iter<'de>,
    value: Option<(&'de str, &'de Value)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key, value));
        seed.deserialize(Key(key)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, ReadError> {
        let Some((key, value)) = self.value.take() else { return Err(ReadError::custom("a value without its key")) };
        seed.deserialize(Reader(value)).map_err(|error| error.under(format_args!(".{key}")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// A property's name: a string that a number may be asked of.
struct Key<'de>(&'de str);

macro_rules! number_keys {
    ($($deserialize:ident $visit:ident)*) => { $(
        fn $deserialize<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            let value = parse(self.0, &visitor)?;
            visitor.$visit(value)
        }
    )* };
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_borrowed_str(self.0)
    }

    number_keys! {
        deserialize_u8 visit_u8 deserialize_u16 visit_u16 deserialize_u32 visit_u32 deserialize_u64 visit_u64
        deserialize_u128 visit_u128 deserialize_i8 visit_i8 deserialize_i16 visit_i16 deserialize_i32 visit_i32
        deserialize_i64 visit_i64 deserialize_i128 visit_i128
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        BorrowedStrDeserializer::new(self.0).deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// An enum as serde writes it: the variant's name, or an object with its content under that name.
struct Tagged<'de> {
    variant: &'de str,
    content: Option<&'de Value>,
}

impl<'de> EnumAccess<'de> for Tagged<'de> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), ReadError> {
        let variant: BorrowedStrDeserializer<'_, ReadError> = BorrowedStrDeserializer::new(self.variant);
        Ok((seed.deserialize(variant.into_deserializer())?, self))
    }
}

impl<'de> Tagged<'de> {
    fn content(&self) -> Result<Reader<'de>, ReadError> {
        let missing = || ReadError::custom(format_args!("{0} has content: write {{\"{0}\": ...}}", self.variant));
        self.content.map(Reader).ok_or_else(missing)
    }

    fn under(variant: &str) -> impl Fn(ReadError) -> ReadError {
        move |error| error.under(format_args!(".{variant}"))
    }
}

impl<'de> VariantAccess<'de> for Tagged<'de> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self.content {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(ReadError::custom(format_args!("{0} has no content: write \"{0}\"", self.variant))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        seed.deserialize(self.content()?).map_err(Self::under(self.variant))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.content()?.deserialize_tuple(len, visitor).map_err(Self::under(self.variant))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.content()?.deserialize_struct("", fields, visitor).map_err(Self::under(self.variant))
    }
}
