//! Counts how deeply a value nests, without writing it.

use std::fmt;

use serde::ser::{
    Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

/// Returns whether `value` nests more than `levels_max` lists, maps, structs and variants. Stops counting there.
pub(super) fn exceed<T: Serialize>(value: &T, levels_max: usize) -> bool {
    // A value that cannot be serialized has no encoding either; that error is reported where the encoding is made.
    matches!(value.serialize(Levels { left: levels_max }), Err(Stop::Deep))
}

/// A counter inside some levels, with the number of levels that are still allowed.
#[derive(Clone, Copy)]
struct Levels {
    left: usize,
}

impl Levels {
    fn within(self, levels: usize) -> Result<Self, Stop> {
        self.left.checked_sub(levels).map(|left| Self { left }).ok_or(Stop::Deep)
    }

    fn look<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Stop> {
        value.serialize(self)
    }
}

/// The reasons why the counting ends early.
#[derive(Debug)]
enum Stop {
    Deep,
    Refused,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for Stop {}

impl serde::ser::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Refused
    }
}

macro_rules! leaves {
    ($($method:ident $kind:ty;)*) => { $(
        fn $method(self, _: $kind) -> Result<(), Stop> {
            Ok(())
        }
    )* };
}

impl Serializer for Levels {
    type Ok = ();
    type Error = Stop;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    leaves! {
        serialize_bool bool; serialize_char char; serialize_str &str; serialize_bytes &[u8];
        serialize_i8 i8; serialize_i16 i16; serialize_i32 i32; serialize_i64 i64; serialize_i128 i128;
        serialize_u8 u8; serialize_u16 u16; serialize_u32 u32; serialize_u64 u64; serialize_u128 u128;
        serialize_f32 f32; serialize_f64 f64; serialize_unit_struct &'static str;
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<(), Stop> {
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Stop> {
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), Stop> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Stop> {
        self.look(value)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Stop> {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Stop> {
        self.look(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Stop> {
        self.within(1)?.look(value)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Stop> {
        self.within(1)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Stop> {
        self.within(1)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Stop> {
        self.within(1)
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self, Stop> {
        self.within(2)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Stop> {
        self.within(1)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Stop> {
        self.within(1)
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, _: &'static str, _: usize) -> Result<Self, Stop> {
        self.within(2)
    }
}

macro_rules! compounds {
    ($($kind:ident $method:ident ($($key:ident: $key_type:ty)?);)*) => { $(
        impl $kind for Levels {
            type Ok = ();
            type Error = Stop;

            fn $method<T: Serialize + ?Sized>(&mut self, $($key: $key_type,)? value: &T) -> Result<(), Stop> {
                $(let _ = $key;)?
                self.look(value)
            }

            fn end(self) -> Result<(), Stop> {
                Ok(())
            }
        }
    )* };
}

compounds! {
    SerializeSeq serialize_element ();
    SerializeTuple serialize_element ();
    SerializeTupleStruct serialize_field ();
    SerializeTupleVariant serialize_field ();
    SerializeStruct serialize_field (name: &'static str);
    SerializeStructVariant serialize_field (name: &'static str);
}

impl SerializeMap for Levels {
    type Ok = ();
    type Error = Stop;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Stop> {
        self.look(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Stop> {
        self.look(value)
    }

    fn end(self) -> Result<(), Stop> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize)]
    enum Tree {
        Leaf,
        Many(Vec<Tree>),
        Pair(Box<Tree>, Box<Tree>),
        Named { inner: BTreeMap<u8, Tree> },
    }

    /// The same number of levels as JSON would have.
    #[test]
    fn levels_are_those_of_json() {
        let tree =
            Tree::Many(vec![Tree::Leaf, Tree::Pair(Box::new(Tree::Leaf), Box::new(Tree::Many(vec![Tree::Leaf])))]);
        let named = Tree::Named { inner: BTreeMap::from([(1, tree)]) };
        let json = serde_json::to_string(&named).unwrap();
        let mut deepest = 0;
        json.chars().fold(0_i32, |open, character| {
            let open = open + i32::from("[{".contains(character)) - i32::from("]}".contains(character));
            deepest = deepest.max(open);
            open
        });
        let deepest = usize::try_from(deepest).unwrap();
        assert!(!exceed(&named, deepest), "{json}");
        assert!(exceed(&named, deepest - 1), "{json}");
        let bytes = postcard::to_allocvec(&named).unwrap();
        assert!(super::super::read::take::<Tree>(&bytes, deepest).is_ok());
        assert!(super::super::read::take::<Tree>(&bytes, deepest - 1).is_err());
    }
}
