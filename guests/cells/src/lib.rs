//! The machine under benchmark: an ordered map of numbers, of which participants set one at a time.

use std::collections::BTreeMap;
use std::fmt;

use imbl::OrdMap;
use reapply_guest::{Event, Input, Program, export};
use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Ids are below this, so that a full map fits well into a machine's memory.
pub const CELLS_MAX: u32 = 1_000_000;

/// The map. Two states share what is the same in both, so `apply` costs the same however many cells there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cells {
    // imbl itself would make room for as many entries as the bytes claim to hold.
    #[serde(deserialize_with = "from_entries")]
    #[schemars(with = "BTreeMap<u32, u64>")]
    cells: OrdMap<u32, u64>,
}

/// How a room begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// How many cells are set: those with the lowest ids.
    pub entries: u32,
    /// Added to the values that they have at first: large ones take more bytes.
    pub first: u64,
}

/// What a participant may ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Transition {
    /// Gives a cell a value.
    Set {
        /// Which cell.
        id: u32,
        /// Its new value.
        value: u64,
    },
}

/// Why a transition cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Conflict {
    /// There is no cell with that id.
    NoSuchCell {
        /// Ids are below this.
        limit: u32,
    },
}

/// A summary that costs nothing: the cells themselves are in the snapshot.
#[derive(Serialize, JsonSchema)]
struct View {
    /// How many cells are set.
    entries: u32,
}

impl Cells {
    /// A cell's value, if it is set.
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

/// Takes in entries one after the other, as they come.
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

/// Values of ordinary width, so that a snapshot's size does not flatter us.
fn first_value(id: u32) -> u64 {
    u64::from(id) * 1_000_003
}

export!(Cells);
