//! (g) The largest fuel of one insert, in a block that grows by one entry after the other. Fuel is exact: every run gives the same figures.

use std::ops::Range;

use anyhow::Context;
use blocks::growth::{Growth, Side};
use reapply_machine::limits::FUEL_PER_EVENT;
use reapply_machine::{Build, Engine, Instance, State, check};
use reapply_sync::{Machine, Seq};

use super::apply::event;
use crate::host::Bench;
use crate::report::{Table, count};

/// The numbers of entries up to which the largest fuel is shown.
const ENTRIES: [u32; 3] = [1_000, 10_000, 100_000];

/// The same, at a small scale.
const ENTRIES_QUICK: [u32; 3] = [10, 100, 1_000];

/// The number of inserts after a restore: enough for each node near the place of the inserts to be divided.
const AFTER_RESTORE: u32 = 1_000;

/// The largest fuels of a block with a given number of entries.
struct Largest {
    /// Of all inserts up to here.
    insert: u64,
    /// Of the inserts after a restore.
    insert_restored: u64,
}

pub(crate) fn run(bench: &Bench) -> anyhow::Result<()> {
    let sizes = bench.scale.pick(ENTRIES, ENTRIES_QUICK);
    let title = format!("(g) The largest fuel of one insert, of {}", count(FUEL_PER_EVENT as f64));
    let [few, many, most] = sizes.map(|size| count(size.into()));
    let restored = [&few, &many, &most].map(|size| format!("after a restore at {size}"));
    let table = Table::new(&title, &["block", &few, &many, &most, &restored[0], &restored[1], &restored[2]]);
    let component = std::fs::read(guest_components::component("blocks"))?;
    let build = check(&Engine::new(None)?, &component)?.build;
    for growth in Growth::ALL {
        let largest = grow(growth, sizes, &build)?;
        let at = match growth.at {
            Side::End => "append",
            Side::AfterFirst => "insert after the first",
        };
        let inserts = largest.iter().map(|largest| largest.insert);
        let restored = largest.iter().map(|largest| largest.insert_restored);
        let mut row = vec![format!("`{:?}`: {at}", growth.of)];
        row.extend(inserts.chain(restored).map(|fuel| count(fuel as f64)));
        table.row(&row);
    }
    Ok(())
}

/// Grows a block up to each of the sizes, and there goes on with a restored state as well, which is then dropped.
fn grow(growth: Growth, sizes: [u32; 3], build: &Build) -> anyhow::Result<[Largest; 3]> {
    let mut machine = build.instantiate()?;
    let mut state = machine.create(&growth.options())?;
    let (mut insert, mut entries) = (0, 0);
    let mut all = Vec::new();
    for size in sizes {
        let grown = add(&mut machine, state, growth, entries..size)?;
        (state, insert, entries) = (grown.0, insert.max(grown.1), size);
        let snapshot = machine.snapshot(&state)?;
        let mut other = build.instantiate()?;
        // An instance prepares something when it makes its first state, and that is not the cost of an insert.
        other.create(&growth.options())?;
        let restored = other.restore(&snapshot, machine.state_version())?;
        let (_, insert_restored) = add(&mut other, restored, growth, size..size + AFTER_RESTORE)?;
        all.push(Largest { insert, insert_restored });
    }
    all.try_into().ok().context("a size is missing")
}

/// Adds the entries with these numbers. Returns the state, and the largest fuel of one of them.
fn add(machine: &mut Instance, mut state: State, growth: Growth, numbers: Range<u32>) -> anyhow::Result<(State, u64)> {
    let mut largest = 0;
    for number in numbers {
        let event = event(Seq(u64::from(number) + 1), postcard::to_allocvec(&growth.transition(number))?);
        let _before = machine.take_cost();
        state = machine.apply(&state, &event)?;
        largest = largest.max(machine.take_cost());
    }
    Ok((state, largest))
}
