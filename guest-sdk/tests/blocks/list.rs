//! Lists.

use proptest::prelude::*;
use reapply_guest::{
    Atom, AtomRc, Constant, Counter, CounterConflict, CounterTransition, Id, List, ListConflict, ListTransition, Map,
    Place, Set, StateMachine, contract,
};

use crate::common::{
    ABSURD_LENGTH, check_garbage, check_snapshot, id, restore, schema, snapshot, transition_json, view,
};

type Numbers = List<Counter>;
type Transition = ListTransition<Counter>;
type Conflict = ListConflict<Counter>;

fn numbers(items: &[(u128, i32)]) -> Numbers {
    List::from_items(items.iter().map(|(bits, number)| (id(*bits), Counter::from(*number)))).unwrap()
}

#[test]
fn a_list_is_made_of_items_with_ids_of_their_own() {
    let list = numbers(&[(2, 20), (1, 10)]);
    assert!(list.iter().eq([(id(2), &Counter::from(20)), (id(1), &Counter::from(10))]));
    assert!(list.iter().rev().eq([(id(1), &Counter::from(10)), (id(2), &Counter::from(20))]));
    let doubles = [(id(1), Counter::from(0)), (id(2), Counter::from(0)), (id(1), Counter::from(0))];
    assert_eq!(Numbers::from_items(doubles), Err(ListConflict::IdTaken(id(1))));
}

#[test]
fn constructors_say_what_they_are_named_for() {
    let list = numbers(&[(1, 10), (2, 20)]);
    let (new, number) = (id(3), Counter::from(30));
    let insert = |place| ListTransition::Insert { id: new, place, item: number };
    assert_eq!(list.append(new, number), insert(Place::Last));
    assert_eq!(list.prepend(new, number), insert(Place::First));
    assert_eq!(list.insert_after(new, id(1), number), insert(Place::After(id(1))));
    assert_eq!(list.insert_before(new, id(1), number), insert(Place::Before(id(1))));
    assert_eq!(list.insert_between(new, id(1), id(2), number), insert(Place::Between(id(1), id(2))));
    assert_eq!(list.delete(id(1)), ListTransition::Delete(id(1)));
    assert_eq!(list.move_to(id(1), Place::Last), ListTransition::Move { id: id(1), place: Place::Last });
    let halve = |item: &Counter| item.add(-(item.value() as i32) / 2);
    assert_eq!(list.map_item(id(2), halve), Some(ListTransition::Item(id(2), CounterTransition::Add(-10))));
    assert_eq!(list.map_item(id(3), halve), None);
}

#[test]
fn an_item_has_conflicts_of_its_own() {
    let full = Numbers::from_items([(id(1), Counter::new(Counter::MAX).unwrap())]).unwrap();
    let conflict = full.apply(&ListTransition::Item(id(1), CounterTransition::Add(1))).unwrap_err();
    assert_eq!(conflict, ListConflict::Item(id(1), CounterConflict::Overflow));
    let name = "00000000-0000-0000-0000-000000000001";
    assert_eq!(serde_json::to_string(&conflict).unwrap(), format!(r#"{{"Item":["{name}","Overflow"]}}"#));
    let gone = Conflict::NoSuchItem(id(1));
    assert_eq!(serde_json::to_string(&gone).unwrap(), format!(r#"{{"NoSuchItem":"{name}"}}"#));
}

#[test]
fn the_json_is_an_array_of_ids_and_items() {
    let name = |bits: u128| format!(r#""00000000-0000-0000-0000-0000000000{bits:02x}""#);
    let list = numbers(&[(0xab, 5), (1, -5)]);
    assert_eq!(view(&list), format!(r#"[{{"id":{},"item":5}},{{"id":{},"item":-5}}]"#, name(0xab), name(1)));

    let json = |transition: &Transition| transition_json::<Numbers>(transition);
    let place = format!(r#"{{"Between":[{},{}]}}"#, name(1), name(2));
    let insert = format!(r#"{{"Insert":{{"id":{},"place":{place},"item":7}}}}"#, name(3));
    assert_eq!(json(&list.insert_between(id(3), id(1), id(2), 7.into())), insert);
    assert_eq!(json(&list.delete(id(1))), format!(r#"{{"Delete":{}}}"#, name(1)));
    let moved = list.move_to(id(1), Place::First);
    assert_eq!(json(&moved), format!(r#"{{"Move":{{"id":{},"place":"First"}}}}"#, name(1)));
    let changed = ListTransition::Item(id(1), CounterTransition::Add(1));
    assert_eq!(json(&changed), format!(r#"{{"Item":[{},{{"Add":1}}]}}"#, name(1)));

    let doubles = format!(r#"[{{"id":{0},"item":1}},{{"id":{0},"item":1}}]"#, name(1));
    assert!(serde_json::from_str::<Numbers>(&doubles).unwrap_err().to_string().contains("the same id"));
}

#[test]
fn the_schema_is_an_arrays() {
    let schema = schema::<Numbers>("view");
    assert_eq!(schema["type"], "array", "{schema}");
    let item = schema["items"]["$ref"].as_str().unwrap().strip_prefix("#/").unwrap();
    let properties = &schema.pointer(&format!("/{item}")).unwrap()["properties"];
    assert_eq!(
        (&properties["id"]["$ref"], &properties["item"]["$ref"]),
        (&"#/$defs/Id".into(), &"#/$defs/Counter".into())
    );
}

#[test]
fn schemas_are_named_for_what_they_hold() {
    let transition = schema::<List<Set<u64>>>("transition");
    assert_eq!(transition["title"], "ListTransition_of_Set_of_uint64");
    let names: Vec<_> = transition["$defs"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["Id", "Place", "SetTransition_of_uint64"]);

    let conflict = schema::<Map<String, List<AtomRc<bool>>>>("conflict");
    assert_eq!(conflict["title"], "MapConflict_from_string_to_List_of_boolean");
    let names: Vec<_> = conflict["$defs"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["Id", "ListConflict_of_boolean", "Never"]);
}

#[test]
fn a_snapshot_holds_ids_and_items_and_no_positions() {
    let mut list: List<Constant<u8>> = List::default();
    for bits in 0..100 {
        list = list.apply(&list.prepend(id(bits), 7.into())).unwrap();
    }
    assert_eq!(snapshot(&list).len(), 1 + 100 * (16 + 1));
    check_snapshot(&list);
}

#[test]
fn malformed_snapshots_are_refused() {
    let item = |bits: u128| [&bits.to_be_bytes()[..], &[0]].concat();
    let list = |length: &[u8], items: &[u128]| {
        [length, &items.iter().flat_map(|bits| item(*bits)).collect::<Vec<_>>()].concat()
    };
    assert_eq!(restore::<Numbers>(&list(&[2], &[2, 1])).unwrap(), numbers(&[(2, 0), (1, 0)]));
    assert!(restore::<Numbers>(&list(&[2], &[1, 1])).is_err(), "an id twice");
    assert!(restore::<Numbers>(&list(&[3], &[1, 2])).is_err(), "too short");
    assert!(restore::<Numbers>(&list(&[1], &[1, 2])).is_err(), "too long");
    assert!(restore::<Numbers>(&list(&ABSURD_LENGTH, &[])).is_err(), "absurd");
    assert!(restore::<Numbers>(&list(&ABSURD_LENGTH, &[1, 2, 3])).is_err(), "absurd, with items");
    let nested = [&[0][..], &[0; 16], &[1], &list(&ABSURD_LENGTH, &[1])].concat();
    assert!(contract::decode::<List<Numbers>>(&nested).is_err(), "absurd, in a transition");
}

#[test]
fn ten_thousand_inserts_at_one_place_keep_order() {
    let mut list = numbers(&[(0, 0), (1, 0)]);
    for bits in 2..10_002 {
        list = list.apply(&list.insert_between(id(bits), id(0), id(1), 0.into())).unwrap();
    }
    let expected = [0].into_iter().chain((2..10_002).rev()).chain([1]);
    assert!(list.iter().map(|(id, _)| id.bits()).eq(expected));
    assert!((0..10_002).all(|bits| list.get(id(bits)).is_some()));
    let restored: Numbers = restore(&snapshot(&list)).unwrap();
    assert_eq!(restored, list);
}

#[test]
fn lists_nest_and_share() {
    let inner: List<Atom<String>> = List::from_items([(id(1), "a".to_owned().into())]).unwrap();
    let lists: List<List<Atom<String>>> = List::from_items([(id(7), inner.clone()), (id(8), inner)]).unwrap();
    let append = lists.map_item(id(8), |inner| inner.append(id(2), "b".to_owned().into())).unwrap();
    let lists = lists.apply(&append).unwrap();
    assert_eq!(lists.iter().map(|(_, inner)| inner.len()).collect::<Vec<_>>(), [1, 2]);
    transition_json::<List<List<Atom<String>>>>(&append);
    check_snapshot(&lists);
}

/// A few ids, so that they are often taken or gone.
fn name() -> impl Strategy<Value = Id> {
    (0..12u128).prop_map(id)
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        Just(Place::First),
        Just(Place::Last),
        name().prop_map(Place::After),
        name().prop_map(Place::Before),
        (name(), name()).prop_map(|(a, b)| Place::Between(a, b)),
    ]
}

fn transition() -> impl Strategy<Value = Transition> {
    prop_oneof![
        3 => (name(), place(), any::<i32>()).prop_map(|(id, place, number)| {
            ListTransition::Insert { id, place, item: number.into() }
        }),
        1 => name().prop_map(ListTransition::Delete),
        2 => (name(), place()).prop_map(|(id, place)| ListTransition::Move { id, place }),
        2 => (name(), any::<i32>()).prop_map(|(id, number)| ListTransition::Item(id, CounterTransition::Add(number))),
    ]
}

/// A list as a plain `Vec`.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model(Vec<(Id, i64)>);

impl Model {
    fn index(&self, id: Id) -> Result<usize, Conflict> {
        self.0.iter().position(|item| item.0 == id).ok_or(ListConflict::NoSuchItem(id))
    }

    fn index_of_place(&self, place: Place) -> Result<usize, Conflict> {
        match place {
            Place::First => Ok(0),
            Place::Last => Ok(self.0.len()),
            Place::After(anchor) => Ok(self.index(anchor)? + 1),
            Place::Before(anchor) => self.index(anchor),
            Place::Between(a, b) => {
                self.index(a).map(|index| index + 1).or_else(|gone| self.index(b).map_err(|_| gone))
            }
        }
    }

    fn apply(&mut self, transition: &Transition) -> Result<(), Conflict> {
        match transition {
            ListTransition::Insert { id, .. } if self.index(*id).is_ok() => return Err(ListConflict::IdTaken(*id)),
            ListTransition::Insert { id, place, item } => {
                let index = self.index_of_place(*place)?;
                self.0.insert(index, (*id, item.value()));
            }
            ListTransition::Delete(id) => {
                let index = self.index(*id)?;
                self.0.remove(index);
            }
            ListTransition::Move { id, place } => {
                let (from, to) = (self.index(*id)?, self.index_of_place(*place)?);
                let item = self.0.remove(from);
                self.0.insert(if to > from { to - 1 } else { to }, item);
            }
            ListTransition::Item(id, CounterTransition::Add(number)) => {
                let index = self.index(*id)?;
                self.0[index].1 += i64::from(*number);
            }
            ListTransition::Item(_, CounterTransition::Reset) => unreachable!("no test resets"),
        }
        Ok(())
    }
}

fn as_model(list: &Numbers) -> Model {
    Model(list.iter().map(|(id, item)| (id, item.value())).collect())
}

proptest! {
    #[test]
    fn behaves_like_a_vec(transitions in prop::collection::vec(transition(), 0..250)) {
        let mut list = Numbers::default();
        let mut model = Model::default();
        for transition in transitions {
            transition_json::<Numbers>(&transition);
            let before = model.clone();
            let expected = model.apply(&transition);
            let applied = list.apply(&transition);
            prop_assert_eq!(&as_model(&list), &before, "the old state changed");
            match applied {
                Ok(next) => { prop_assert_eq!(expected, Ok(())); list = next }
                Err(conflict) => prop_assert_eq!(Err(conflict), expected),
            }
            prop_assert_eq!(as_model(&list), model.clone());
            prop_assert_eq!((list.len(), list.is_empty()), (model.0.len(), model.0.is_empty()));
            for bits in 0..12 {
                let expected = model.index(id(bits)).ok().map(|index| model.0[index].1);
                prop_assert_eq!(list.get(id(bits)).map(|item| item.value()), expected);
                prop_assert_eq!(list.contains(id(bits)), expected.is_some());
            }
        }
        check_snapshot(&list);
        let items = model.0.iter().map(|(id, value)| (*id, Counter::new(*value).unwrap()));
        let anew = Numbers::from_items(items).unwrap();
        prop_assert_eq!(&anew, &list);
        prop_assert_eq!(snapshot(&anew), snapshot(&list));
    }

    #[test]
    fn garbage_is_refused(length in 0..6u8, mut bytes in prop::collection::vec(prop_oneof![6 => Just(0u8), 1 => 0..3u8], 0..90)) {
        bytes.insert(0, length);
        check_garbage::<Numbers>(&bytes);
        check_garbage::<List<Numbers>>(&bytes);
        let _ = contract::decode::<List<Numbers>>(&bytes);
    }
}
