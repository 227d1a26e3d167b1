//! The machine for the benchmarks: an ordered map of numbers, which participants set one at a time.

use std::collections::BTreeMap;
use std::fmt;

use imbl::OrdMap;
use reapply_guest::{Event, Input, Program, export};
use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The limit of ids, so that a full map fits well into a machine's memory.
pub const CELLS_MAX: u32 = 1_000_000;

/// The map. States share their equal parts, so the cost of `apply` does not depend on the number of cells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cells {
    // imbl itself would reserve memory for as many entries as the bytes claim to hold.
    #[serde(deserialize_with = "from_entries")]
    #[schemars(with = "BTreeMap<u32, u64>")]
    cells: OrdMap<u32, u64>,
}

/// The initial content of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// The number of cells that are set: those with the lowest ids.
    pub entries: u32,
    /// A number to add to their initial values: large values take more bytes.
    pub first: u64,
}

/// The transitions of participants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Transition {
    /// Sets the value of a cell.
    Set {
        /// The id of the cell.
        id: u32,
        /// The new value.
        value: u64,
    },
}

/// The conflicts of the cells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Conflict {
    /// No cell has that id.
    NoSuchCell {
        /// The limit of ids.
        limit: u32,
    },
}

/// A summary that costs nothing: the cells themselves are in the snapshot.
#[derive(Serialize, JsonSchema)]
struct View {
    /// The number of cells that are set.
    entries: u32,
}

impl Cells {
    /// Returns a cell's value, if it is set.
    #[must_use]
    pub fn value(&self, id: u32) -> Option<u64> {
        self.cells.get(&id).copied()
    }
}

impl Program for Cells {
    type Options = Options;
    type Transition = Transition;
    type Conflict = Conflict;

    fn create(Options { entries, first }: Options) -> Result<Self, String> {
        if entries > CELLS_MAX {
            return Err(format!("entries: {entries} is above the limit of {CELLS_MAX}"));
        }
        Ok(Self { cells: (0..entries).map(|id| (id, first_value(id).wrapping_add(first))).collect() })
    }

    fn apply(&self, event: &Event<Transition>) -> Result<Self, Conflict> {
        let Input::Transition { transition: Transition::Set { id, value }, .. } = &event.input else {
            return Ok(self.clone());
        };
        if *id >= CELLS_MAX {
            return Err(Conflict::NoSuchCell { limit: CELLS_MAX });
        }
        Ok(Self { cells: self.cells.update(*id, *value) })
    }

    fn view(&self) -> impl Serialize + JsonSchema {
        View { entries: u32::try_from(self.cells.len()).unwrap_or(u32::MAX) }
    }
}

fn from_entries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OrdMap<u32, u64>, D::Error> {
    deserializer.deserialize_map(Entries)
}

/// Reads entries one after the other.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = OrdMap<u32, u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of cells")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut cells = OrdMap::new();
        while let Some((id, value)) = entries.next_entry()? {
            cells.insert(id, value);
        }
        Ok(cells)
    }
}

/// Values of typical width, so that the sizes of snapshots are realistic.
fn first_value(id: u32) -> u64 {
    u64::from(id) * 1_000_003
}

export!(Cells);
