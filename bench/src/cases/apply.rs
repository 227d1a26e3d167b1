//! (f) `apply` in the sandbox against the same machine as native code: both take the event's bytes and drop the state before.

use std::time::{Duration, Instant};

use anyhow::ensure;
use cells::Cells;
use counter::Counter;
use reapply_check::Native;
use reapply_guest::Program;
use reapply_machine::{Engine, check};
use reapply_sync::{Author, ClientId, Event, Input, Machine, Number, Seq, Timestamp};

use crate::host::{Bench, ENTRIES};
use crate::report::{Table, medians};

/// The number of events in a row, so that the clock is read seldom.
const EVENTS_PER_ROUND: u64 = 1_000;

pub(crate) fn run(bench: &Bench) -> anyhow::Result<()> {
    let table =
        Table::new("(f) `apply`, and drop of the state before", &["machine", "host's sandbox", "native", "ratio"]);
    let set = |number: u64| {
        let id = (number.wrapping_mul(7_919) % u64::from(ENTRIES)) as u32;
        postcard::to_allocvec(&cells::Transition::Set { id, value: number })
    };
    let increment = |_| postcard::to_allocvec(&counter::Transition::Increment(1));
    let options = format!("{{\"entries\":{ENTRIES}}}");
    row::<Cells>(bench, &table, "cells", &options, set)?;
    row::<Counter>(bench, &table, "counter", "", increment)?;
    Ok(())
}

fn row<P: Program>(
    bench: &Bench,
    table: &Table,
    name: &str,
    options: &str,
    transition: impl Fn(u64) -> postcard::Result<Vec<u8>>,
) -> anyhow::Result<()> {
    let transitions = (1..=EVENTS_PER_ROUND).map(transition).collect::<postcard::Result<Vec<_>>>()?;
    let events: Vec<Event> = (1..).map(Seq).zip(transitions).map(|(seq, transition)| event(seq, transition)).collect();
    let mut runs = Vec::new();
    for _ in 0..bench.scale.runs {
        let (sandboxed, snapshot) = in_sandbox(bench, name, options, &events)?;
        let (native, expected) = natively::<P>(bench, options, &events)?;
        ensure!(snapshot == expected, "{name}: sandbox and native code disagree");
        runs.push([sandboxed, native, sandboxed / native]);
    }
    let [sandboxed, native, ratio] = medians(&runs);
    table.row(&[format!("`{name}`"), format!("{sandboxed:.0} ns"), format!("{native:.0} ns"), format!("{ratio:.1}")]);
    Ok(())
}

pub(super) fn in_sandbox(bench: &Bench, name: &str, options: &str, events: &[Event]) -> anyhow::Result<(f64, Vec<u8>)> {
    let component = std::fs::read(guest_components::component(name))?;
    measure(bench, check(&Engine::new(None)?, &component)?.build.instantiate()?, options, events)
}

pub(super) fn natively<P: Program>(bench: &Bench, options: &str, events: &[Event]) -> anyhow::Result<(f64, Vec<u8>)> {
    measure(bench, Native::<P>::default(), options, events)
}

/// Returns the nanoseconds for each event, and the snapshot after one round of all events.
fn measure(
    bench: &Bench,
    mut machine: impl Machine,
    options: &str,
    events: &[Event],
) -> anyhow::Result<(f64, Vec<u8>)> {
    let first = machine.create(options)?;
    let mut state = events.iter().try_fold(machine.create(options)?, |state, event| machine.apply(&state, event))?;
    let snapshot = machine.snapshot(&state)?.to_vec();
    let nanos = nanos_each(bench, events, |event, is_first| {
        state = machine.apply(if is_first { &first } else { &state }, event)?;
        Ok(())
    })?;
    Ok((nanos, snapshot))
}

/// Applies all events again and again, each round from the first state.
fn nanos_each(
    bench: &Bench,
    events: &[Event],
    mut apply: impl FnMut(&Event, bool) -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let apply_for = bench.scale.pick(Duration::from_secs(1), Duration::from_millis(20));
    let began = Instant::now();
    let mut applied = 0;
    while applied == 0 || began.elapsed() < apply_for {
        for (index, event) in events.iter().enumerate() {
            apply(event, index == 0)?;
        }
        applied += events.len();
    }
    Ok(began.elapsed().as_nanos() as f64 / applied as f64)
}

pub(super) fn event(seq: Seq, transition: Vec<u8>) -> Event {
    let client = ClientId([7; 16]);
    let author: Author = client.anonymous_author();
    let input = Input::Transition { author, client, number: Number(seq.0), transition: transition.into() };
    Event { seq, time: Timestamp(1_700_000_000_000_000), entropy: 0x9e37_79b9_7f4a_7c15, input }
}
