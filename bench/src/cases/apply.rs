//! (f) `apply` in the sandbox against the same machine as native code: both take the event's bytes and drop the state before.

use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use cells::Cells;
use counter::Counter;
use reapply_guest::{Program, contract};
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

/// Returns the nanoseconds for each event, and the snapshot after one round of all events.
pub(super) fn in_sandbox(bench: &Bench, name: &str, options: &str, events: &[Event]) -> anyhow::Result<(f64, Vec<u8>)> {
    let component = std::fs::read(guest_components::component(name))?;
    let mut instance = check(&Engine::new(None)?, &component)?.build.instantiate()?;
    let first = instance.create(options)?;
    let mut state = events.iter().try_fold(instance.create(options)?, |state, event| instance.apply(&state, event))?;
    let snapshot = instance.snapshot(&state)?.to_vec();
    let nanos = nanos_each(bench, events, |event, is_first| {
        state = instance.apply(if is_first { &first } else { &state }, event)?;
        Ok(())
    })?;
    Ok((nanos, snapshot))
}

pub(super) fn natively<P: Program>(bench: &Bench, options: &str, events: &[Event]) -> anyhow::Result<(f64, Vec<u8>)> {
    let create = || contract::create::<P>(options).map_err(|error| anyhow!(error));
    let apply = |state: &P, event: &Event| {
        contract::apply(state, lower(event)).map_err(|rejection| anyhow!("rejected: {rejection}"))
    };
    let first = create()?;
    let mut state = events.iter().try_fold(create()?, |state, event| apply(&state, event))?;
    let snapshot = contract::snapshot(&state).map_err(|error| anyhow!(error))?;
    let nanos = nanos_each(bench, events, |event, is_first| {
        state = apply(if is_first { &first } else { &state }, event)?;
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

/// Returns the event as a component gets it: with strings and lists of its own.
fn lower(event: &Event) -> contract::Event {
    let input = match &event.input {
        Input::Transition { author, transition, .. } => contract::Input::Transition(contract::Submission {
            author: author.0.to_string(),
            transition: transition.to_vec(),
        }),
        Input::Alarm(transition) => contract::Input::Alarm(transition.to_vec()),
        Input::Joined(author) => contract::Input::Joined(author.0.to_string()),
        Input::Left(author) => contract::Input::Left(author.0.to_string()),
        Input::Upgraded(_) | Input::Checkpoint { .. } | Input::Forked { .. } => {
            unreachable!("these events are made here, as transitions")
        }
    };
    contract::Event { seq: event.seq.0, time: event.time.0, entropy: event.entropy, input }
}
