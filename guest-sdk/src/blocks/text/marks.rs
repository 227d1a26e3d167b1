//! The marks of characters, shared by all runs that have the same marks.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Names and values. Most characters have no marks, which costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Marks(Option<Arc<BTreeMap<String, String>>>);

impl Marks {
    pub(super) fn map(&self) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.0.as_deref().unwrap_or(&NONE)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the bytes of all names and values.
    pub(super) fn bytes(&self) -> u32 {
        self.map().iter().map(|(name, value)| (name.len() + value.len()) as u32).sum()
    }

    /// Returns these marks with one set or removed.
    pub(super) fn with(&self, name: &str, value: Option<&str>) -> Self {
        if self.map().get(name).map(String::as_str) == value {
            return self.clone();
        }
        let mut marks = self.map().clone();
        match value {
            Some(value) => marks.insert(name.to_owned(), value.to_owned()),
            None => marks.remove(name),
        };
        marks.into()
    }

    /// Returns the marks that are in both.
    pub(super) fn shared(&self, other: &Self) -> Self {
        if self == other {
            return self.clone();
        }
        let shared = self.map().iter().filter(|(name, value)| other.map().get(*name) == Some(*value));
        shared.map(|(name, value)| (name.clone(), value.clone())).collect::<BTreeMap<_, _>>().into()
    }
}

impl From<BTreeMap<String, String>> for Marks {
    fn from(marks: BTreeMap<String, String>) -> Self {
        Self((!marks.is_empty()).then(|| Arc::new(marks)))
    }
}
