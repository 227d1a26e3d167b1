//! Structs of machines: each transition changes one field, and conflicts come from that field.

use reapply_guest::{
    Atom, AtomTransition, Constant, Counter, CounterConflict, CounterTransition, Id, List, ListConflict, Map, Never,
    StateMachine,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
pub(crate) struct Todo {
    /// The text of a task.
    pub label: Atom<String>,
    pub done: Atom<bool>,
    visits: Counter,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
pub(crate) struct Board {
    pub todos: List<Todo>,
    pub by_name: Map<String, Todo>,
}

/// A tuple, with a transition that can never be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
struct Tuple(Counter, pub Atom<char>, Constant<u8>);

fn todo(label: &str) -> Todo {
    Todo { label: label.to_owned().into(), ..Todo::default() }
}

#[test]
fn a_transition_changes_its_field_and_nothing_else() {
    let before = todo("sow");
    let relabel = before.map_label(|label| label.replace("reap".to_owned()));
    assert_eq!(relabel, TodoTransition::Label(AtomTransition::Replace("reap".to_owned())));

    let after = before.apply(&relabel).unwrap();
    assert_eq!(after, todo("reap"));
    assert_eq!(before, todo("sow"), "the old state stays");

    let after = after.apply(&after.map_done(|done| done.replace(true))).unwrap();
    assert_eq!((after.label.as_str(), *after.done, after.visits.value()), ("reap", true, 0));
}

#[test]
fn map_shows_the_field_as_it_is() {
    let shout = todo("sow").map_label(|label| label.replace(label.to_uppercase()));
    assert_eq!(shout, TodoTransition::Label(AtomTransition::Replace("SOW".to_owned())));
}

#[test]
fn two_people_who_change_two_fields_both_have_their_way() {
    let start = todo("sow");
    let label = start.map_label(|label| label.replace("reap".to_owned()));
    let done = start.map_done(|done| done.replace(true));
    let one = start.apply(&label).unwrap().apply(&done).unwrap();
    let other = start.apply(&done).unwrap().apply(&label).unwrap();
    assert_eq!(one, other);
    assert_eq!((one.label.as_str(), *one.done), ("reap", true));
}

#[test]
fn a_conflict_says_whose_it_is() {
    let mut full = todo("count");
    full.visits = Counter::new(Counter::MAX).unwrap();
    let visit = full.map_visits(|visits| visits.add(1));
    assert_eq!(visit, TodoTransition::Visits(CounterTransition::Add(1)));
    let Err(TodoConflict::Visits(CounterConflict::Overflow)) = full.apply(&visit) else {
        panic!("a full counter took one more")
    };
}

#[test]
fn the_conflict_of_what_cannot_conflict_has_no_value() {
    fn none(conflict: &TodoConflict) -> CounterConflict {
        match conflict {
            TodoConflict::Visits(conflict) => *conflict,
            TodoConflict::Label(never) | TodoConflict::Done(never) => {
                let never: Never = *never;
                match never {}
            }
        }
    }
    let overflow = CounterConflict::Overflow;
    assert_eq!(none(&TodoConflict::Visits(overflow)), overflow);
}

#[test]
fn the_fields_of_tuples_are_numbered() {
    let tuple = Tuple(Counter::default(), 'a'.into(), 7.into());
    let next = tuple.apply(&TupleTransition::Field0(CounterTransition::Add(2))).unwrap();
    let next = next.apply(&next.map_1(|letter| letter.replace('b'))).unwrap();
    assert_eq!((next.0.value(), *next.1, *next.2), (2, 'b', 7));
    assert_eq!(tuple.map_0(|counter| counter.add(2)), TupleTransition::Field0(CounterTransition::Add(2)));
}

#[test]
fn machines_nest_in_lists_and_maps() {
    let id = Id::from_bits(1);
    let board = Board::default();
    let board = board.apply(&board.map_todos(|todos| todos.append(id, todo("sow")))).unwrap();
    let board = board.apply(&board.map_by_name(|todos| todos.set("first".to_owned(), todo("reap")))).unwrap();

    let finish = |todo: &Todo| todo.map_done(|done| done.replace(true));
    let finish_listed = board.todos.map_item(id, finish).map(BoardTransition::Todos).unwrap();
    let finish_named = board.by_name.map_value("first", finish).map(BoardTransition::ByName).unwrap();
    let board = board.apply(&finish_listed).unwrap().apply(&finish_named).unwrap();
    assert!(*board.todos.get(id).unwrap().done);
    assert!(*board.by_name.get("first").unwrap().done);

    let gone = board.apply(&board.map_todos(|todos| todos.delete(id))).unwrap();
    assert_eq!(gone.apply(&finish_listed), Err(BoardConflict::Todos(ListConflict::NoSuchItem(id))));
}

#[test]
fn what_is_generated_prints_as_a_derived_debug_would() {
    let add = TodoTransition::Visits(CounterTransition::Add(1));
    assert_eq!(format!("{add:?}"), "Visits(Add(1))");
    assert_eq!(add, add.clone());
    assert_ne!(add, TodoTransition::Visits(CounterTransition::Add(2)));
    assert_ne!(add, TodoTransition::Done(AtomTransition::Replace(true)));
}
