//! (g) `apply` of each building block as it grows, in the sandbox and as native code.

use anyhow::ensure;
use blocks::{BlocksTransition, Room, WRITER, delete_of_writer, insert_after_writer, item};
use reapply_guest::{
    AtomTransition, CharId, Counter, CounterTransition, Id, ListTransition, MapTransition, Place, SetTransition,
    TextTransition,
};
use reapply_sync::{Event, Seq};

use super::apply::{event, in_sandbox, natively};
use crate::host::Bench;
use crate::report::{Table, medians};

/// The number of entries of a block at the beginning. `apply` is logarithmic if a thousand times more cost little more.
const ENTRIES: [u32; 3] = [10, 1_000, 100_000];

/// The number of events in a row. Events that make a block grow alternate with events that shrink it, so that it stays about the same size.
const EVENTS: u32 = 200;

/// One kind of transition: the options that create the block, and a transition for each number, for a block with a given number of entries.
struct Kind {
    name: &'static str,
    options: &'static str,
    transition: fn(u32, u32) -> BlocksTransition,
}

const KINDS: [Kind; 14] = [
    Kind {
        name: "`Atom`: replace",
        options: "",
        transition: |n, _| BlocksTransition::Atom(AtomTransition::Replace(n)),
    },
    Kind {
        name: "`Counter`: add",
        options: "",
        transition: |_, _| BlocksTransition::Counter(CounterTransition::Add(1)),
    },
    Kind {
        name: "`AtomRc`: a neighbour changes",
        options: r#""of":"AtomRc","#,
        transition: |_, _| BlocksTransition::Counter(CounterTransition::Add(1)),
    },
    Kind {
        name: "`Map`: set",
        options: r#""of":"Map","#,
        transition: |n, entries| BlocksTransition::Map(MapTransition::Set(any(n, entries), Counter::from(1))),
    },
    Kind {
        name: "`Map`: set again, delete",
        options: r#""of":"Map","#,
        transition: |n, entries| {
            let key = entries + any(n.div_ceil(2), entries);
            BlocksTransition::Map(match n.is_multiple_of(2) {
                false => MapTransition::Set(key, Counter::from(1)),
                true => MapTransition::Delete(key),
            })
        },
    },
    Kind {
        name: "`Map`: transition of a value",
        options: r#""of":"Map","#,
        transition: |n, entries| {
            BlocksTransition::Map(MapTransition::Value(any(n, entries), CounterTransition::Add(1)))
        },
    },
    Kind {
        name: "`Set`: insert, delete",
        options: r#""of":"Set","#,
        transition: |n, entries| {
            let key = entries + any(n.div_ceil(2), entries);
            BlocksTransition::Set(match n.is_multiple_of(2) {
                false => SetTransition::Insert(key),
                true => SetTransition::Delete(key),
            })
        },
    },
    Kind {
        name: "`List`: append, delete",
        options: r#""of":"List","#,
        transition: |n, _| insert_or_delete(n, Place::Last),
    },
    Kind {
        name: "`List`: insert anywhere, delete",
        options: r#""of":"List","#,
        transition: |n, entries| insert_or_delete(n, Place::After(item(any(n, entries)))),
    },
    Kind {
        name: "`List`: insert at one place",
        options: r#""of":"List","#,
        transition: |n, _| {
            let place = Place::After(item(0));
            BlocksTransition::List(ListTransition::Insert { id: Id::from_bits(n.into()), place, item: n.into() })
        },
    },
    Kind {
        name: "`List`: move",
        options: r#""of":"List","#,
        transition: |n, entries| {
            let place = Place::After(item(any(n + 1, entries)));
            BlocksTransition::List(ListTransition::Move { id: item(any(n, entries)), place })
        },
    },
    Kind {
        name: "`List`: transition of an item",
        options: r#""of":"List","#,
        transition: |n, entries| {
            BlocksTransition::List(ListTransition::Item(item(any(n, entries)), AtomTransition::Replace(n)))
        },
    },
    Kind {
        name: "`Text`: insert and delete 5 characters anywhere",
        options: r#""of":"Text","edits":10000,"#,
        transition: |n, entries| {
            let offset = any(n, entries - 5);
            BlocksTransition::Text(match n.is_multiple_of(2) {
                true => insert_after_writer(offset, Id::from_bits(n.into())),
                false => delete_of_writer(offset),
            })
        },
    },
    Kind {
        name: "`Text`: type, one character after the other",
        options: r#""of":"Text","edits":10000,"#,
        transition: |n, entries| {
            let typist = Id::from_bits(7);
            let middle = CharId { id: WRITER, offset: entries / 2 };
            let after = n.checked_sub(2).map_or(middle, |offset| CharId { id: typist, offset });
            BlocksTransition::Text(TextTransition::Insert {
                id: typist,
                offset: n - 1,
                after: Some(after),
                text: "x".into(),
            })
        },
    },
];

pub(crate) fn run(bench: &Bench) -> anyhow::Result<()> {
    let headings = ["block", "10", "1 000", "100 000", "100 000 : 1 000", "native at 100 000", "sandbox : native"];
    let table = Table::new("(g) `apply` of the building blocks by number of entries, in the host's sandbox", &headings);
    for kind in &KINDS {
        row(bench, &table, kind)?;
    }
    Ok(())
}

fn row(bench: &Bench, table: &Table, kind: &Kind) -> anyhow::Result<()> {
    let mut runs = Vec::new();
    for _ in 0..bench.scale.runs {
        let mut sandboxed = [0.0; 3];
        let mut native = [0.0; 3];
        for (index, entries) in ENTRIES.into_iter().enumerate() {
            let options = format!("{{{}\"entries\":{entries}}}", kind.options);
            let events = events(kind, entries)?;
            let (in_wasm, snapshot) = in_sandbox(bench, "blocks", &options, &events)?;
            let (in_native, expected) = natively::<Room>(bench, &options, &events)?;
            ensure!(snapshot == expected, "{}, {entries} entries: sandbox and native code disagree", kind.name);
            (sandboxed[index], native[index]) = (in_wasm, in_native);
        }
        let [few, many, most] = sandboxed;
        runs.push([few, many, most, most / many, native[2], most / native[2]]);
    }
    let [few, many, most, growth, native, ratio] = medians(&runs);
    let nanos = |value: f64| format!("{value:.0} ns");
    let ratios = [growth, ratio].map(|ratio| format!("{ratio:.1}"));
    let [growth, ratio] = ratios;
    table.row(&[kind.name.into(), nanos(few), nanos(many), nanos(most), growth, nanos(native), ratio]);
    Ok(())
}

fn events(kind: &Kind, entries: u32) -> anyhow::Result<Vec<Event>> {
    (1..=EVENTS)
        .map(|number| {
            let transition = postcard::to_allocvec(&(kind.transition)(number, entries))?;
            Ok(event(Seq(number.into()), transition))
        })
        .collect()
}

/// Returns a number below `entries`, far from its neighbours.
fn any(number: u32, entries: u32) -> u32 {
    (u64::from(number) * 7_919 % u64::from(entries)) as u32
}

/// Returns an insert for each odd number, and the deletion of the same item for the even number after it.
fn insert_or_delete(number: u32, place: Place) -> BlocksTransition {
    let id = Id::from_bits(number.div_ceil(2).into());
    BlocksTransition::List(match number.is_multiple_of(2) {
        false => ListTransition::Insert { id, place, item: number.into() },
        true => ListTransition::Delete(id),
    })
}
