//! Conversions of blocks, for migrations of the machines inside them.

use std::fmt::Debug;

use crate::{Key, List, Map, StateMachine};

impl<T: StateMachine, const ENTRIES: u32, const BYTES: u32> List<T, ENTRIES, BYTES> {
    /// Returns a list with the same ids in the same order, and each item converted.
    pub fn convert<U: StateMachine>(&self, mut convert: impl FnMut(&T) -> U) -> List<U, ENTRIES, BYTES> {
        let items = self.iter().map(|(id, item)| (id, convert(item)));
        // Ids that differ in one list differ in the other.
        List::from_items(items).unwrap_or_else(|_| unreachable!("no two items have one id"))
    }
}

impl<K: Key, V: StateMachine, const ENTRIES: u32, const BYTES: u32> Map<K, V, ENTRIES, BYTES> {
    /// Returns a map with the same keys, and each value converted.
    pub fn convert<U>(&self, mut convert: impl FnMut(&V) -> U) -> Map<K, U, ENTRIES, BYTES>
    where
        U: StateMachine + Debug + PartialEq,
    {
        self.iter().map(|(key, value)| (key.clone(), convert(value))).collect()
    }
}
