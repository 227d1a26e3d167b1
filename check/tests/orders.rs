//! Two transitions at once, late arrivals, migrations and growth: the findings beyond the rules for single steps.

use reapply_check::{Act, Rule, check};
use reapply_guest::{Atom, Counter, List, Map, Never, StateMachine};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The packing list of the book that removes things by their place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Packing(Vec<String>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
enum Pack {
    Add(String),
    TakeOut { index: u32 },
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
struct NoSuchPlace;

impl StateMachine for Packing {
    type Transition = Pack;
    type Conflict = NoSuchPlace;

    fn apply(&self, transition: &Pack) -> Result<Self, NoSuchPlace> {
        let mut things = self.0.clone();
        match transition {
            Pack::Add(thing) => things.push(thing.clone()),
            Pack::TakeOut { index } if (*index as usize) < things.len() => drop(things.remove(*index as usize)),
            Pack::TakeOut { .. } => return Err(NoSuchPlace),
        }
        Ok(Self(things))
    }
}

#[test]
fn it_is_told_for_which_pairs_it_matters_who_is_first() {
    let report = check::<Packing>().histories(200).run().unwrap_or_else(|failure| panic!("{failure}"));
    let take_outs = report.pairs.iter().find(|pair| pair.kinds == ["TakeOut", "TakeOut"]).expect("the pair is tried");
    assert!(take_outs.differ > 0 && take_outs.differ < take_outs.tried, "{report}");
    assert!(take_outs.example.as_ref().is_some_and(|example| example.contains("TakeOut")), "{report}");
    assert!(report.to_string().contains("TakeOut and TakeOut: "), "{report}");
    assert!(report.late > 100, "{report}");

    let report = check::<Counter>().histories(200).run().unwrap_or_else(|failure| panic!("{failure}"));
    let adds = report.pairs.iter().find(|pair| pair.kinds == ["Add", "Add"]).expect("the pair is tried");
    assert_eq!(adds.differ, 0, "{report}");
}

#[test]
fn what_is_said_to_commute_and_does_not_is_a_failure_that_can_be_played_again() {
    let said = || check::<Packing>().commutes("TakeOut", "TakeOut");
    let failure = *said().run().expect_err("whoever is first takes another thing out");
    assert_eq!(failure.rule, Rule::Order, "{failure}");
    let at_once = failure.script.steps.last().map(|step| &step.act);
    assert!(matches!(at_once, Some(Act::AtOnce { .. })), "{failure}");
    assert!(failure.script.steps.len() <= 4, "{failure}");
    let json = serde_json::to_string(&failure.script).unwrap();
    let again =
        said().replay(&serde_json::from_str(&json).unwrap()).expect_err("it is the same when it is played again");
    assert_eq!(again.what, failure.what);
    assert!(check::<Packing>().replay(&failure.script).is_ok(), "nothing is said of orders there");

    check::<List<Atom<String>>>().histories(200).commutes("Delete", "Delete").commutes("Item", "Move").assert();
    check::<Counter>().histories(100).commutes("Add", "Add").assert();
    let report = check::<Counter>().histories(1).commutes("Add", "Subtract").run().unwrap();
    assert!(report.warnings[0].contains("no transition is of the kind `Subtract`"), "{report}");
}

/// A list of numbers, and its earlier version, in which these could not be negative.
mod versions {
    use reapply_guest::{Event, NoOptions, Program};

    use super::{Deserialize, JsonSchema, Never, Serialize};

    #[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
    pub(super) struct Old(Vec<u32>);

    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    pub(super) enum Ask {
        Add(u32),
        Clear,
    }

    impl Program for Old {
        type Options = NoOptions;
        type Transition = Ask;
        type Conflict = Never;

        fn apply(&self, event: &Event<Ask>) -> Result<Self, Never> {
            let mut next = self.clone();
            match asked(event) {
                Some(Ask::Add(number)) => next.0.push(*number),
                Some(Ask::Clear) => next.0.clear(),
                None => {}
            }
            Ok(next)
        }
    }

    fn asked<T>(event: &Event<T>) -> Option<&T> {
        match &event.input {
            reapply_guest::Input::Transition { transition, .. } | reapply_guest::Input::Alarm(transition) => {
                Some(transition)
            }
            _ => None,
        }
    }

    #[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
    pub(super) struct New<const SOUND: bool>(Vec<i64>);

    #[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
    pub(super) enum AskAnew {
        Add(i64),
    }

    impl<const SOUND: bool> Program for New<SOUND> {
        type Options = NoOptions;
        type Transition = AskAnew;
        type Conflict = Never;

        const STATE_VERSION: u32 = 2;

        fn apply(&self, event: &Event<AskAnew>) -> Result<Self, Never> {
            let mut next = self.clone();
            next.0.extend(asked(event).map(|AskAnew::Add(number)| *number));
            Ok(next)
        }

        fn restore(snapshot: &[u8], state_version: u32) -> Result<Self, String> {
            if state_version == 2 {
                return reapply_guest::from_snapshot(snapshot).map(Self);
            }
            let Old(numbers) = reapply_guest::from_snapshot(snapshot)?;
            // The fault of the unsound build: it does not expect large numbers.
            match numbers.iter().find(|number| !SOUND && **number > 1_000_000) {
                Some(number) => Err(format!("{number} is too large")),
                None => Ok(Self(numbers.into_iter().map(i64::from).collect())),
            }
        }
    }
}

#[test]
fn rooms_of_an_earlier_build_are_migrated_and_go_on() {
    let old = check::<versions::Old>().histories(200);
    let migrations =
        check::<versions::New<true>>().histories(200).run_from(&old).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!((migrations.from_version, migrations.rooms), (1, 200), "{migrations}");
    assert!(migrations.transitions > 1000, "{migrations}");
    let [unknown] = migrations.unknown.as_slice() else { panic!("{migrations}") };
    assert_eq!(unknown.kind, "Clear");

    let new = || check::<versions::New<false>>().histories(200);
    let failure = *new().run_from(&old).expect_err("a state is refused");
    assert_eq!(failure.rule, Rule::Migrate, "{failure}");
    assert!(
        failure.what.contains("a state of version 1: `restore` refused it: ") && failure.what.contains("is too large"),
        "{failure}"
    );
    assert_eq!(failure.script.steps.len(), 1, "{failure}");
    let again = new().replay_from(&old, &failure.script).expect_err("it is the same when it is played again");
    assert_eq!(again.what, failure.what);
}

/// A stack that cannot be read any more when it is high.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
struct Stack(Vec<u8>);

impl<'de> Deserialize<'de> for Stack {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::deserialize(deserializer)?;
        if items.len() > 300 { Err(serde::de::Error::custom("it is too high")) } else { Ok(Self(items)) }
    }
}

impl StateMachine for Stack {
    type Transition = u8;
    type Conflict = Never;

    fn apply(&self, item: &u8) -> Result<Self, Never> {
        Ok(Self(self.0.iter().copied().chain([*item]).collect()))
    }
}

/// Comments below comments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Comment {
    replies: Vec<Comment>,
}

impl StateMachine for Comment {
    type Transition = ();
    type Conflict = Never;

    fn apply(&self, (): &()) -> Result<Self, Never> {
        let below =
            self.replies.first().map_or_else(|| Ok(Self::default()), |reply| StateMachine::apply(reply, &()))?;
        Ok(Self { replies: vec![below] })
    }
}

#[test]
fn a_room_grows_until_it_cannot_be_opened_or_the_machine_says_no() {
    check::<Stack>().histories(50).run().unwrap_or_else(|failure| panic!("no history is so long: {failure}"));
    let failure = *check::<Stack>().grow(1000).expect_err("it cannot be restored");
    assert_eq!(failure.rule, Rule::Restore, "{failure}");
    assert!(failure.what.starts_with("after 512 events of `(any)`: `restore` refused it: "), "{failure}");
    assert_eq!(failure.script.steps.len(), 512);

    let growths = check::<Map<String, Counter>>().grow(200).unwrap_or_else(|failure| panic!("{failure}"));
    let kinds: Vec<&str> = growths.iter().map(|growth| growth.kind.as_str()).collect();
    assert!(kinds.contains(&"Set") && kinds.contains(&"Value.Add"), "{kinds:?}");
    assert!(growths.iter().any(|growth| growth.kind == "Set" && growth.events == 200), "{growths:?}");

    let growths = check::<Comment>().grow(1000).unwrap_or_else(|failure| panic!("{failure}"));
    let [comments] = growths.as_slice() else { panic!("{growths:?}") };
    assert_eq!(comments.ended.as_deref(), Some(r#"{"NestedTooDeep":{"max":120}}"#));
    assert_eq!(comments.events, 59);
}
