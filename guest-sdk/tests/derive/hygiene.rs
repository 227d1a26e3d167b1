//! Names that could clash with the generated code.

use reapply_guest::{Counter, CounterTransition};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod core {}
mod std {}

/// The author's own types, with the names that the expansion uses.
#[allow(dead_code)]
mod shadows {
    use super::{Counter, Deserialize, JsonSchema, Serialize};

    pub(super) struct Result;
    pub(super) struct Ok;
    pub(super) struct Err;
    pub(super) struct String;
    pub(super) trait FnOnce {}
    pub(super) trait StateMachine {}

    #[derive(Clone, Serialize, Deserialize, JsonSchema, reapply_guest::StateMachine)]
    pub(super) struct Shadowed {
        pub(super) transition: Counter,
        pub(super) field: Counter,
        pub(super) next: Counter,
        pub(super) make: Counter,
        pub(super) state: Counter,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, reapply_guest::StateMachine)]
    #[machine(state_version = 1)]
    pub(super) enum Option {
        Some(Counter),
        Ok(Counter),
    }
}

/// Fields and a type that are keywords, and a parameter that is named like an associated type.
#[allow(non_snake_case)]
#[derive(Clone, Serialize, Deserialize, JsonSchema, reapply_guest::StateMachine)]
struct Keywords<Transition> {
    r#type: Counter,
    r#fn: Transition,
    self_: Counter,
    _unused: Counter,
    camelCase: Counter,
}

#[allow(non_camel_case_types)]
#[derive(Clone, Serialize, Deserialize, JsonSchema, reapply_guest::StateMachine)]
struct r#struct(Counter);

#[test]
fn local_names_do_not_collide_with_fields() {
    let one = Counter::default;
    let state = shadows::Shadowed { transition: one(), field: one(), next: one(), make: one(), state: one() };
    let add = state.map_next(|next| next.add(1));
    let state = reapply_guest::StateMachine::apply(&state, &add).ok().unwrap();
    assert_eq!((state.next.value(), state.field.value()), (1, 0));
    let option = shadows::Option::Ok(one());
    let add = shadows::OptionTransition::Ok(CounterTransition::Add(1));
    assert!(matches!(reapply_guest::StateMachine::apply(&option, &add), Ok(shadows::Option::Ok(_))));
}

#[test]
fn keywords_make_good_names() {
    let one = Counter::default;
    let state = Keywords { r#type: one(), r#fn: one(), self_: one(), _unused: one(), camelCase: one() };
    assert_eq!(state.map_type(|counter| counter.add(1)), KeywordsTransition::Type(CounterTransition::Add(1)));
    assert_eq!(state.map_fn(|counter| counter.add(1)), KeywordsTransition::Fn(CounterTransition::Add(1)));
    assert_eq!(state.map_self_(|counter| counter.add(1)), KeywordsTransition::Self_(CounterTransition::Add(1)));
    assert_eq!(state.map__unused(|counter| counter.add(1)), KeywordsTransition::Unused(CounterTransition::Add(1)));
    assert_eq!(state.map_camelCase(|counter| counter.add(1)), KeywordsTransition::CamelCase(CounterTransition::Add(1)));
    assert_eq!(r#struct(one()).map_0(|counter| counter.add(1)), structTransition::Field0(CounterTransition::Add(1)));
}
