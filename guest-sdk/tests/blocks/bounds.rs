//! The bounds of collections, each to the last entry and byte.

use std::fmt::Debug;

use reapply_guest::{
    Atom, Batch, Board, BoardConflict, Counter, Id, List, ListConflict, Map, MapConflict, OptionMachine, Place, Rng,
    Set, SetConflict, StateMachine, Text, TextTransition,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{id, restore, snapshot, transition_json};

/// Applies transitions in turn.
fn all<M: StateMachine>(state: M, transitions: impl IntoIterator<Item = M::Transition>) -> M {
    transitions.into_iter().fold(state, |state, transition| state.apply(&transition).unwrap())
}

/// Checks that a state counts the same after a restore as before, and about as many bytes as its snapshot has.
fn check_bytes<M: StateMachine + Default + Debug + PartialEq>(state: &M) {
    let bytes = snapshot(state);
    let restored: M = restore(&bytes).unwrap();
    assert_eq!(restored.stored_bytes(), state.stored_bytes());
    assert_eq!(state.stored_bytes(), bytes.len() as u64, "{state:?}");
}

#[test]
fn a_map_has_so_many_keys_and_bytes() {
    type Names = Map<u8, Atom<String>, 3, 20>;
    let full = MapConflict::Full { entries_max: 3, bytes_max: 20 };
    let names = Names::default();
    let set = |key, name: &str| names.set(key, name.to_owned().into());
    let names = all(names.clone(), [set(1, "a"), set(2, "b"), set(3, "c")]);
    check_bytes(&names);
    assert_eq!(names.apply(&set(4, "d")), Err(full.clone()));
    assert!(names.apply(&set(3, "d")).is_ok(), "one that is there may change");
    // Each entry is its key, the length of its name, and the name.
    let longest = "x".repeat(20 - 2 * 3 - 2);
    let names = all(names.clone(), [set(2, &longest)]);
    check_bytes(&names);
    for more in [set(2, &(longest.clone() + "x")), set(1, "aa")] {
        assert_eq!(names.apply(&more), Err(full.clone()));
    }
    let replaced = names.map_value(&1, |name| name.replace("aa".to_owned())).unwrap();
    assert_eq!(names.apply(&replaced), Err(full));
    assert!(all(names.clone(), [names.delete(2), set(1, "aa"), set(4, "d")]).contains_key(&4));
    assert_eq!(transition_json::<Names>(&set(1, "a")), r#"{"Set":[1,"a"]}"#);
}

#[test]
fn a_set_has_so_many_keys_and_bytes() {
    type Tags = Set<String, 3, 10>;
    let full = Err(SetConflict::Full { entries_max: 3, bytes_max: 10 });
    let tags = Tags::default();
    let insert = |tag: &str| tags.insert(tag.to_owned());
    let tags = all(tags.clone(), [insert("a"), insert("b"), insert("a"), insert("c")]);
    check_bytes(&tags);
    assert_eq!(tags.apply(&insert("d")), full);
    assert!(tags.apply(&insert("c")).is_ok(), "one that is there is no more");
    let fewer = all(tags.clone(), [tags.delete("c".to_owned()), tags.delete("c".to_owned())]);
    assert!(fewer.apply(&insert("fives")).is_ok());
    assert_eq!(fewer.apply(&insert("sixsix")), full);
}

#[test]
fn a_list_has_so_many_items_and_bytes() {
    type Names = List<Atom<String>, 3, 60>;
    let full: Result<Names, _> = Err(ListConflict::Full { entries_max: 3, bytes_max: 60 });
    let names = Names::default();
    let append = |bits, name: &str| names.append(id(bits), name.to_owned().into());
    let names = all(names.clone(), [append(1, "a"), append(2, "b"), append(3, "c")]);
    check_bytes(&names);
    assert_eq!(names.apply(&append(4, "d")), full);
    let rename = |name: &str| names.map_item(id(2), |item| item.replace(name.to_owned())).unwrap();
    // An item is 16 bytes of id, the length of its name, and the name.
    let longest = "x".repeat(60 - 3 * 17 - 2);
    let names = all(names.clone(), [rename(&longest)]);
    check_bytes(&names);
    assert_eq!(names.apply(&rename(&(longest + "x"))), full);
    assert!(names.apply(&names.move_to(id(2), Place::First)).is_ok());
    assert!(all(names.clone(), [names.delete(id(2)), append(4, "dd")]).contains(id(4)));
}

#[test]
fn a_board_has_so_many_items_and_bytes() {
    type Cards = Board<Atom<String>, Atom<String>, 4, 100>;
    let text = |text: &str| Atom::from(text.to_owned());
    let full: Result<Cards, _> = Err(BoardConflict::Full { entries_max: 4, bytes_max: 100 });
    let cards = Cards::default();
    let column = |bits| cards.insert_column(id(bits), Place::Last, text("c"));
    let insert = |bits, at, name: &str| cards.insert(id(bits), id(at), Place::Last, text(name));
    let cards = all(cards.clone(), [column(1), column(2), insert(3, 1, "a")]);
    check_bytes(&cards);
    let rename = |name: &str| cards.map_item(id(3), |item| item.replace(text(name).value().clone())).unwrap();
    // A column is 16 bytes of id, its title and its length of items; an item is 16 bytes of id and its name.
    let longest = "x".repeat(100 - 2 * 19 - 17);
    assert_eq!(cards.apply(&rename(&(longest.clone() + "x"))), full);
    let long = all(cards.clone(), [rename(&longest), cards.move_to(id(3), id(2), Place::First)]);
    check_bytes(&long);
    assert_eq!(long.apply(&insert(4, 1, "")), full);
    let four = all(cards.clone(), [insert(4, 2, "b")]);
    assert_eq!(four.apply(&insert(5, 2, "")), full);
    assert_eq!(four.apply(&column(5)), full);
    let fewer = all(four, [cards.delete(id(3)), cards.delete_column(id(1)), column(6)]);
    check_bytes(&fewer);
}

#[test]
fn options_and_batches_count_what_they_hold() {
    type Parts = List<Option<Batch<Map<u8, Counter>>>>;
    let map: Map<u8, Counter> = (0..9).map(|key| (key, Counter::from(1_000))).collect();
    let parts = Parts::from_items([(id(1), None), (id(2), Some(map.into()))]).unwrap();
    check_bytes(&parts);
    check_bytes(&all(parts.clone(), [parts.map_item(id(2), |part| part.clear()).unwrap()]));
}

/// Machines in machines.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
struct Card {
    title: Atom<String>,
    votes: Map<u8, Counter>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
enum Kind {
    Plain(Atom<bool>),
    Tagged(Set<String>),
}

impl Default for Kind {
    fn default() -> Self {
        Self::Plain(false.into())
    }
}

#[test]
fn bytes_count_through_all_that_an_entry_holds() {
    type Cards = List<Card, 10, 200>;
    let cards = Cards::default();
    let cards = all(cards.clone(), [cards.append(id(1), Card::default()), cards.append(id(2), Card::default())]);
    check_bytes(&cards);
    let tagged = Kind::Tagged(["a".to_owned()].into_iter().collect());
    let change = cards.map_item(id(2), |card| card.map_kind(|_| KindTransition::Become(tagged))).unwrap();
    let mut cards = all(cards, [change]);
    check_bytes(&cards);
    let mut votes = 0;
    let conflict = loop {
        let vote = cards.map_item(id(1), |card| card.map_votes(|map| map.set(votes, Counter::default()))).unwrap();
        match cards.apply(&vote) {
            Ok(next) => cards = next,
            Err(conflict) => break conflict,
        }
        check_bytes(&cards);
        votes += 1;
    };
    assert_eq!(conflict, ListConflict::Full { entries_max: 10, bytes_max: 200 });
    assert!(votes > 40 && snapshot(&cards).len() > 195, "{votes} votes");
}

#[test]
fn what_is_beyond_a_bound_stays_and_may_shrink() {
    type Wide = List<Atom<u8>>;
    type Narrow = List<Atom<u8>, 3, 1_000>;
    let wide = Wide::from_items((0..9).map(|bits| (id(bits), Atom::from(1)))).unwrap();
    let narrow: Narrow = restore(&snapshot(&wide)).unwrap();
    assert_eq!(narrow.len(), 9);
    assert!(narrow.apply(&narrow.append(id(9), 1.into())).is_err());
    assert!(narrow.apply(&narrow.map_item(id(3), |item| item.replace(2)).unwrap()).is_ok());
    assert_eq!(all(narrow.clone(), [narrow.delete(id(3))]).len(), 8);
}

#[test]
fn a_texts_bytes_depend_on_the_text_alone() {
    type Texts = Map<u8, Text, 10, 400>;
    let mut rng = Rng::from_seed(1);
    let mut texts = all(Texts::default(), [Texts::default().set(1, Text::default())]);
    let mut full = 0;
    for step in 0..300_u32 {
        let text = texts.get(&1).unwrap();
        let place = rng.below(text.len() as u64 + 1) as usize;
        let edit = match rng.below(4) {
            0 => text.delete(place..place + 3),
            1 => text.mark(place..place + 3, "bold", "true"),
            _ => text.insert(Id::from_bits(u128::from(step % 3)), place, "typed"),
        };
        let edit: TextTransition = edit;
        match texts.apply(&texts.map_value(&1, |_| edit).unwrap()) {
            Ok(next) => texts = next,
            Err(conflict) => {
                assert_eq!(conflict, MapConflict::Full { entries_max: 10, bytes_max: 400 });
                full += 1;
            }
        }
        let restored: Texts = restore(&snapshot(&texts)).unwrap();
        assert_eq!(restored.stored_bytes(), texts.stored_bytes(), "after step {step}");
        assert!(snapshot(&texts).len() < 2 * 400);
    }
    assert!(full > 50, "full {full} times");
}
