//! Type parameters: with bounds, without any, and where a bound is on a type that is made of them.

use std::fmt::Debug;

use reapply_guest::{Atom, AtomTransition, Counter, CounterTransition, List, Map, StateMachine, contract};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
pub(crate) struct Pair<Left, Right> {
    pub left: Left,
    pub right: Right,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
struct Labelled<T> {
    label: Atom<T>,
    count: Counter,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
#[serde(bound = "")]
struct Shelf<T: StateMachine + PartialEq + Debug>
where
    T::Transition: Eq,
{
    items: List<T>,
    named: Map<String, T>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
enum Either<A, B> {
    This(A),
    That(B),
}

/// A machine of the test's own with a constant parameter: a counter that wraps around.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Wheel<const TEETH: u8>(u8);

impl<const TEETH: u8> StateMachine for Wheel<TEETH> {
    type Transition = u8;
    type Conflict = ();

    fn apply(&self, by: &u8) -> Result<Self, ()> {
        Ok(Self((self.0 + by) % TEETH))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
struct Clock<const HOURS: u8, T = Counter> {
    hour: Wheel<HOURS>,
    rest: T,
}

#[test]
fn a_pair_of_any_machines_is_a_machine() {
    type Numbers = Pair<Counter, Pair<Counter, Atom<u8>>>;
    let pair = Numbers::default();
    let add = pair.map_right(|pair| pair.map_left(|counter| counter.add(4)));
    assert_eq!(add, PairTransition::Right(PairTransition::Left(CounterTransition::Add(4))));
    let pair = pair.apply(&add).unwrap();
    assert_eq!((pair.left.value(), pair.right.left.value()), (0, 4));
}

/// Code that is generic over machines can use the generated items, with the usual bounds.
fn apply_twice<M: StateMachine + Default>(transition: &M::Transition) -> Pair<M, M> {
    let pair = Pair::<M, M>::default();
    let both = [pair.map_left(|_| transition.clone()), pair.map_right(|_| transition.clone())];
    both.iter().fold(pair, |pair, transition| pair.apply(transition).ok().unwrap())
}

#[test]
fn generic_code_uses_generic_machines() {
    let pair = apply_twice::<Counter>(&CounterTransition::Add(2));
    assert_eq!((pair.left.value(), pair.right.value()), (2, 2));
}

#[test]
fn a_parameter_need_not_be_a_machine() {
    let labelled = Labelled { label: "old".to_owned().into(), count: Counter::default() };
    let relabel = labelled.map_label(|label| label.replace("new".to_owned()));
    assert_eq!(relabel, LabelledTransition::<String>::Label(AtomTransition::Replace("new".to_owned())));
    assert_eq!(labelled.apply(&relabel).unwrap().label.as_str(), "new");
}

#[test]
fn bounds_and_where_clauses_of_the_author_are_kept() {
    let shelf = Shelf::<Counter> { items: List::default(), named: Map::default() };
    let shelf = shelf.apply(&shelf.map_named(|map| map.set("a".to_owned(), Counter::default()))).unwrap();
    let add = shelf.named.map_value("a", |counter| counter.add(1)).map(ShelfTransition::Named).unwrap();
    assert_eq!(shelf.apply(&add).unwrap().named.get("a").unwrap().value(), 1);
    assert!(shelf.items.is_empty());
}

#[test]
fn enums_have_parameters_too() {
    type Number = Either<Counter, Atom<bool>>;
    let number = Number::This(Counter::default());
    let switch = EitherTransition::Become(Number::That(true.into()));
    let add = EitherTransition::This(CounterTransition::Add(1));
    let switched = number.apply(&switch).unwrap();
    assert_eq!(
        switched.apply(&add),
        Err(EitherConflict::IsNot { wanted: EitherVariant::This, is: EitherVariant::That })
    );
}

#[test]
fn constants_are_parameters_and_parameters_have_defaults() {
    let clock = Clock::<12>::default();
    let clock = clock.apply(&ClockTransition::Hour(17)).unwrap();
    assert_eq!((clock.hour.0, clock.rest.value()), (5, 0));
}

#[test]
fn what_is_generic_travels_as_json_and_bytes() {
    type Numbers = Pair<Counter, Labelled<u8>>;
    let transition = json!({ "Right": { "Label": { "Replace": 5 } } });
    let bytes = contract::encode::<Numbers>(&transition.to_string()).unwrap();
    assert_eq!(bytes, [1, 0, 0, 5]);
    let back: Value = serde_json::from_str(&contract::decode::<Numbers>(&bytes).unwrap()).unwrap();
    assert_eq!(back, transition);
}

#[test]
fn schemas_of_different_parameters_have_different_names() {
    type Both = Pair<Labelled<u8>, Labelled<String>>;
    let schema = serde_json::to_value(schema_for!(<Both as StateMachine>::Transition)).unwrap();
    let names: Vec<_> = schema["$defs"].as_object().unwrap().keys().map(String::as_str).collect();
    for name in ["LabelledTransition_of_uint8", "LabelledTransition_of_string"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    assert_eq!(schema["title"], "PairTransition_of_Labelled_and_Labelled");
}
