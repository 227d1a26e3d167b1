//! Reading: serde_json's deserializer, with digits in strings for integers of 64 bits or more, and errors that name the place.
//!
//! Every deserializer, visitor and access that serde passes around is wrapped, down to the leaves. Each step down is recorded, and
//! removed when it succeeds; so after an error, the remaining steps are the path to it.

use std::cell::RefCell;
use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde_json::Value;

use super::levels::too_deep;
use super::numbers::{Whole, Wide};
use crate::limits::WAY_CHARS_MAX;

/// Reads all of `json` as a `T`.
pub(super) fn from_str<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let way = Way::default();
    let read = T::deserialize(Reader { inner: &mut deserializer, way: &way, name: None });
    let read = read.and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| {
        let reason = match error.to_string() {
            reason if reason.starts_with("recursion limit exceeded") => too_deep(),
            reason => reason,
        };
        match way.text() {
            way if way.is_empty() => reason,
            way => format!("at {way}: {reason}"),
        }
    })
}

/// Reads a value as a `T`.
pub(super) fn from_value<T: DeserializeOwned>(value: Value) -> serde_json::Result<T> {
    T::deserialize(Reader { inner: value, way: &Way::default(), name: None })
}

/// The steps from the outermost value to the current one.
#[derive(Default)]
struct Way(RefCell<Vec<Step>>);

enum Step {
    Item(usize),
    Entry(String),
}

impl Way {
    fn walk<T, E>(&self, step: Step, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.0.borrow_mut().push(step);
        let read = read()?;
        self.0.borrow_mut().pop();
        Ok(read)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for step in &*self.0.borrow() {
            match step {
                Step::Item(index) => text += &format!("[{index}]"),
                Step::Entry(name) => text.extend([".", name]),
            }
        }
        if let Some((end, _)) = text.char_indices().nth(WAY_CHARS_MAX) {
            text.truncate(end);
            text.push('…');
        }
        text
    }
}

/// A wrapper around a deserializer.
struct Reader<'w, D> {
    inner: D,
    way: &'w Way,
    /// The slot for a name while it is read: the name of a property or a variant.
    name: Option<&'w mut String>,
}

macro_rules! forward {
    ($($method:ident($($argument:ident: $kind:ty),*);)*) => { $(
        fn $method<V: Visitor<'de>>(self, $($argument: $kind,)* visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method($($argument,)* Watch { inner: visitor, way: self.way, name: self.name })
        }
    )* };
}

macro_rules! whole {
    ($($method:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            let Self { inner, way, name } = self;
            match name {
                // A key is a text, which has only one form.
                Some(_) => inner.$method(Watch { inner: visitor, way, name }),
                None => inner.$method(Watch { inner: Whole(visitor), way, name }),
            }
        }
    )* };
}

macro_rules! wide {
    ($($method:ident: $is_huge:literal)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            let watch = Watch { inner: Wide::<V, $is_huge>(visitor), way: self.way, name: self.name };
            self.inner.deserialize_any(watch)
        }
    )* };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Reader<'_, D> {
    type Error = D::Error;

    forward! {
        deserialize_any();
        deserialize_bool();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }

    whole! {
        deserialize_i8
        deserialize_i16
        deserialize_i32
        deserialize_u8
        deserialize_u16
        deserialize_u32
    }

    wide! {
        deserialize_u64: false
        deserialize_i64: false
        deserialize_u128: true
        deserialize_i128: true
    }
}

/// A wrapper around the visitor, for the values that serde passes to it.
struct Watch<'w, V> {
    inner: V,
    way: &'w Way,
    name: Option<&'w mut String>,
}

macro_rules! leaves {
    ($($visit:ident: $kind:ty)*) => { $(
        fn $visit<E: Error>(self, value: $kind) -> Result<V::Value, E> {
            self.inner.$visit(value)
        }
    )* };
}

macro_rules! named_leaves {
    ($($visit:ident: $kind:ty)*) => { $(
        fn $visit<E: Error>(self, value: $kind) -> Result<V::Value, E> {
            if let Some(name) = self.name {
                *name = value.to_string();
            }
            self.inner.$visit(value)
        }
    )* };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Watch<'_, V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    leaves! {
        visit_bool: bool
        visit_u128: u128
        visit_i128: i128
        visit_bytes: &[u8]
        visit_borrowed_bytes: &'de [u8]
        visit_byte_buf: Vec<u8>
    }

    /// Turns a negative zero into zero, as it is written.
    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        self.inner.visit_f64(value + 0.0)
    }

    named_leaves! {
        visit_u64: u64
        visit_i64: i64
        visit_str: &str
        visit_borrowed_str: &'de str
        visit_string: String
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Reader { inner, way: self.way, name: self.name })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Reader { inner, way: self.way, name: self.name })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(Items { inner, way: self.way, index: 0 })
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Entries { inner, way: self.way, key: String::new() })
    }

    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Tagged { inner, way: self.way, variant: String::new(), name: self.name })
    }
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Watch<'_, T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<T::Value, D::Error> {
        self.inner.deserialize(Reader { inner, way: self.way, name: self.name })
    }
}

struct Items<'w, A> {
    inner: A,
    way: &'w Way,
    index: usize,
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Items<'_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        let step = Step::Item(self.index);
        self.index += 1;
        self.way.walk(step, || self.inner.next_element_seed(Watch { inner: seed, way: self.way, name: None }))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

struct Entries<'w, A> {
    inner: A,
    way: &'w Way,
    key: String,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.key.clear();
        self.inner.next_key_seed(Watch { inner: seed, way: self.way, name: Some(&mut self.key) })
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        let step = Step::Entry(std::mem::take(&mut self.key));
        self.way.walk(step, || self.inner.next_value_seed(Watch { inner: seed, way: self.way, name: None }))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

struct Tagged<'w, A> {
    inner: A,
    way: &'w Way,
    variant: String,
    name: Option<&'w mut String>,
}

impl<'de, 'w, A: EnumAccess<'de>> EnumAccess<'de> for Tagged<'w, A> {
    type Error = A::Error;
    type Variant = Tagged<'w, A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self::Variant), A::Error> {
        let Self { inner, way, mut variant, name } = self;
        let (value, inner) = inner.variant_seed(Watch { inner: seed, way, name: Some(&mut variant) })?;
        if let Some(name) = name {
            name.clone_from(&variant);
        }
        Ok((value, Tagged { inner, way, variant, name: None }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Tagged<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        let Self { inner, way, variant, .. } = self;
        way.walk(Step::Entry(variant), || inner.newtype_variant_seed(Watch { inner: seed, way, name: None }))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let Self { inner, way, variant, .. } = self;
        way.walk(Step::Entry(variant), || inner.tuple_variant(len, Watch { inner: visitor, way, name: None }))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let Self { inner, way, variant, .. } = self;
        way.walk(Step::Entry(variant), || inner.struct_variant(fields, Watch { inner: visitor, way, name: None }))
    }
}
