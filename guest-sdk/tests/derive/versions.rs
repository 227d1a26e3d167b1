//! `#[machine]`: versions 1, 2 and 3 of a state, in both places where the attribute may be.

use reapply_guest::{Atom, Counter, Event, NoOptions, Program, StateMachine, contract, machine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version 1 is a label, version 2 has a priority as a word, version 3 has it as a number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
#[machine(state_version = 3, migrate_from = [Version1, Version2])]
struct Task {
    label: Atom<String>,
    priority: Atom<u8>,
}

#[derive(Serialize, Deserialize)]
struct Version1 {
    label: String,
}

impl From<Version1> for Task {
    fn from(old: Version1) -> Self {
        Self { label: old.label.into(), priority: 1.into() }
    }
}

#[derive(Serialize, Deserialize)]
struct Version2 {
    label: String,
    priority: String,
}

impl TryFrom<Version2> for Task {
    type Error = String;

    fn try_from(old: Version2) -> Result<Self, String> {
        match old.priority.as_str() {
            "low" => Ok(Self { label: old.label.into(), priority: 0.into() }),
            other => Err(format!("no priority is called {other:?}")),
        }
    }
}

fn task(label: &str, priority: u8) -> Task {
    Task { label: label.to_owned().into(), priority: priority.into() }
}

fn bytes(state: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(state).unwrap()
}

/// Restores through the contract, as a host does.
fn restore(state: &impl Serialize, version: u32) -> Result<Task, String> {
    contract::restore::<Task>(&bytes(state), version)
}

#[test]
fn each_version_is_read_as_its_own_type() {
    assert_eq!(restore(&Version1 { label: "sow".to_owned() }, 1), Ok(task("sow", 1)));
    assert_eq!(restore(&Version2 { label: "sow".to_owned(), priority: "low".to_owned() }, 2), Ok(task("sow", 0)));
    assert_eq!(restore(&task("sow", 7), 3), Ok(task("sow", 7)));
}

#[test]
fn the_newest_version_is_what_the_build_writes() {
    assert_eq!(<Task as StateMachine>::STATE_VERSION, 3);
    assert_eq!(<Task as Program>::STATE_VERSION, 3);
    assert_eq!(contract::describe::<Task>("task").unwrap().state_version, 3);
}

#[test]
fn a_version_of_the_future_is_refused() {
    let refused = "the snapshot has state version 4, and this build reads 1 to 3";
    assert_eq!(restore(&task("sow", 7), 4), Err(refused.to_owned()));
    assert!(restore(&task("sow", 7), 0).is_err());
}

#[test]
fn a_migration_that_fails_says_why() {
    let old = Version2 { label: "sow".to_owned(), priority: "odd".to_owned() };
    let reason = "the snapshot of state version 2 cannot be migrated: no priority is called \"odd\"";
    assert_eq!(restore(&old, 2), Err(reason.to_owned()));
}

#[test]
fn bytes_of_another_version_are_refused_and_not_misread() {
    let error = restore(&Version2 { label: "sow".to_owned(), priority: "low".to_owned() }, 1).unwrap_err();
    assert!(error.contains("left over"), "{error}");
    let error = restore(&Version1 { label: "sow".to_owned() }, 3).unwrap_err();
    assert!(error.contains("no snapshot"), "{error}");
}

/// A hand-written `StateMachine` with options of its own version, and a single earlier type without brackets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Clicks(u64);

#[machine(state_version = 2, migrate_from = u8)]
impl StateMachine for Clicks {
    type Transition = ();
    type Conflict = ();

    fn apply(&self, (): &()) -> Result<Self, ()> {
        Ok(Self(self.0 + 1))
    }
}

impl From<u8> for Clicks {
    fn from(old: u8) -> Self {
        Self(old.into())
    }
}

#[test]
fn an_implementation_by_hand_has_versions_too() {
    assert_eq!(contract::restore::<Clicks>(&[5], 1), Ok(Clicks(5)));
    assert_eq!(contract::restore::<Clicks>(&bytes(&Clicks(300)), 2), Ok(Clicks(300)));
    assert_eq!(<Clicks as Program>::STATE_VERSION, 2);
}

/// A `Program` with a parameter, which its earlier version has as well.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Hall<T> {
    door: T,
    visits: u8,
}

#[reapply_guest::machine(migrate_from = [T], state_version = 2,)]
impl<T: StateMachine + Default> Program for Hall<T> {
    type Options = NoOptions;
    type Transition = ();
    type Conflict = ();

    fn apply(&self, _: &Event<()>) -> Result<Self, ()> {
        Ok(Self { door: self.door.clone(), visits: self.visits + 1 })
    }
}

impl<T> From<T> for Hall<T> {
    fn from(door: T) -> Self {
        Self { door, visits: 0 }
    }
}

#[test]
fn a_program_has_versions_too() {
    let door = Atom::from(true);
    assert_eq!(contract::restore::<Hall<Atom<bool>>>(&bytes(&door), 1), Ok(Hall { door, visits: 0 }));
    assert_eq!(contract::restore::<Hall<Atom<bool>>>(&[1, 9], 2), Ok(Hall { door, visits: 9 }));
}

/// The first version may have the attribute, without an effect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
#[machine(state_version = 1)]
struct First {
    count: Counter,
}

#[test]
fn the_first_version_has_nothing_to_migrate() {
    assert_eq!(contract::restore::<First>(&bytes(&First::default()), 1), Ok(First::default()));
    let refused = "the snapshot has state version 2, and this build reads only 1";
    assert_eq!(contract::restore::<First>(&bytes(&First::default()), 2), Err(refused.to_owned()));
}
