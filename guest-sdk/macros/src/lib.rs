//! The macros of `reapply-guest`, which re-exports them. Their output names only that crate and `core`.

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

mod derive;
mod enums;
mod input;
mod names;
mod versions;

/// Makes a machine of machines.
///
/// Every field of a struct, and the content of every variant of an enum, is a machine itself: a building block such as
/// `Atom` or `List`, or another type that implements `StateMachine`. Values that belong together go into one `Atom`: if two
/// people set two atoms at once, both changes apply; if they set the same one, the later wins.
///
/// The type itself derives the traits that every state needs: `Clone`, `Serialize`, `Deserialize` and `JsonSchema`. An
/// item of a `List` or a value of a `Map` also needs `Debug` and `PartialEq`.
///
/// # Structs
///
/// ```
/// use reapply_guest::{Atom, AtomTransition, Counter, CounterTransition, StateMachine};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
/// pub struct Proposal {
///     /// What is proposed.
///     pub text: Atom<String>,
///     /// How many are for it.
///     pub votes: Counter,
/// }
///
/// let empty = Proposal::default();
///
/// // `map_votes` turns a transition of the field into one of the whole.
/// let vote = empty.map_votes(|_votes| CounterTransition::Add(1));
/// assert_eq!(vote, ProposalTransition::Votes(CounterTransition::Add(1)));
///
/// // So two people who change two fields at once never disturb each other.
/// let rename = empty.map_text(|text| text.replace("Lunch at noon".to_owned()));
/// let proposal = empty.apply(&vote).unwrap().apply(&rename).unwrap();
/// assert_eq!(proposal.text.value(), "Lunch at noon");
/// ```
///
/// For a `Proposal`, the derive generates:
///
/// - `enum ProposalTransition`, with a variant for each field: `Text(AtomTransition<String>)`,
///   `Votes(CounterTransition)`. In JSON,
///   `{"Votes": {"Add": 1}}`.
/// - `enum ProposalConflict`, with a variant for each field, for that field's conflicts;
/// - `map_text`, `map_votes`, as visible as the field;
/// - `impl StateMachine for Proposal`.
///
/// The docs of a field become those of its variants, and so appear in the schemas too. In a tuple the variants are `Field0`,
/// `Field1`, and the functions `map_0`, `map_1`. Renaming a field changes the JSON. Moving a field changes the encoding, so
/// raise the state version (see [`machine`](macro@machine)) for it.
///
/// # Enums
///
/// An enum is one of several machines at a time. Each variant holds one.
///
/// ```
/// # use reapply_guest::{Atom, AtomTransition, Counter, CounterTransition, StateMachine};
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
/// pub enum Answer {
///     Words(Atom<String>),
///     Number(Counter),
/// }
///
/// let answer = Answer::Number(Counter::default());
/// let words = answer.apply(&AnswerTransition::Become(Answer::Words("About ten".to_owned().into()))).unwrap();
///
/// // A transition for the number is now too late, and the conflict says why.
/// assert_eq!(
///     words.apply(&AnswerTransition::Number(CounterTransition::Add(1))),
///     Err(AnswerConflict::IsNot { wanted: AnswerVariant::Number, is: AnswerVariant::Words }),
/// );
/// ```
///
/// Besides a variant for each of the enum's own, the transition has `Become`, which replaces the state, and the conflict has
/// `IsNot`. `enum AnswerVariant` names the variants without their contents. Since `Become` holds a whole state, the
/// enum derives `Debug` and `PartialEq` as well.
///
/// # Type parameters
///
/// Type parameters need no bounds: `struct Pair<A, B> { left: A, right: B }` is a machine if `A` and `B` are.
#[proc_macro_derive(StateMachine, attributes(machine))]
pub fn derive_state_machine(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    match input::Machine::parse(input) {
        Ok(machine) => derive::expand(&machine).into(),
        Err(error) => error.into_compile_error().into(),
    }
}

/// Declares the version of the state that this build writes, and how it reads the states of earlier builds.
///
/// A state's encoding has no field names. When a field is added, removed, moved or given another type, keep the old
/// type, raise `state_version`, and convert the old type into the new one with `From`, or with `TryFrom` if that can fail:
///
/// ```
/// use reapply_guest::{Atom, StateMachine};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
/// #[machine(state_version = 3, migrate_from = [Version1, Version2])]
/// pub struct Task {
///     pub label: Atom<String>,
///     pub priority: Atom<u8>,
/// }
///
/// /// The first version of a task.
/// #[derive(Deserialize)]
/// struct Version1 {
///     label: Atom<String>,
/// }
///
/// impl From<Version1> for Task {
///     fn from(old: Version1) -> Self {
///         Self { label: old.label, priority: 1.into() }
///     }
/// }
///
/// /// The version whose priorities were words.
/// #[derive(Deserialize)]
/// struct Version2 {
///     label: Atom<String>,
///     priority: Atom<String>,
/// }
///
/// impl TryFrom<Version2> for Task {
///     type Error = String;
///
///     fn try_from(old: Version2) -> Result<Self, String> {
///         let priority = match old.priority.as_str() {
///             "low" => 0,
///             "high" => 2,
///             other => return Err(format!("no priority is called {other:?}")),
///         };
///         Ok(Self { label: old.label, priority: priority.into() })
///     }
/// }
///
/// let snapshot = b"\x07Go home\x04high";
/// let task = <Task as StateMachine>::restore(snapshot, 2).unwrap();
/// assert_eq!((task.label.value().as_str(), *task.priority.value()), ("Go home", 2));
/// ```
///
/// `migrate_from` lists the type of every earlier version, from version 1 on; a single one needs no brackets. A missing
/// version is a compile error, and so is a type that does not convert into the state.
///
/// A room's state has one version, that of the outermost machine. On a machine inside another one the attribute would have no effect, so
/// it does not compile:
///
/// ```compile_fail
/// # use reapply_guest::{Atom, List, StateMachine};
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Deserialize)]
/// # struct Version1(u32);
/// # impl From<Version1> for Item { fn from(old: Version1) -> Self { Self { count: (old.0 as i32).into() } } }
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
/// #[machine(state_version = 2, migrate_from = Version1)]
/// pub struct Item {
///     count: Atom<i32>,
/// }
///
/// #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, StateMachine)]
/// pub struct Items {
///     items: List<Item>, // a room would read an old 3 as -2
/// }
///
/// # use reapply_guest::contract;
/// let room: Items = contract::create("").unwrap();
/// contract::restore::<Items>(&contract::snapshot(&room).unwrap(), 1).unwrap();
/// ```
///
/// A machine whose `StateMachine` or `Program` is written by hand has the attribute on the `impl`. It adds
/// `STATE_VERSION` and `restore` to it:
///
/// ```
/// # use reapply_guest::{Event, NoOptions, Program, machine};
/// # use schemars::JsonSchema;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Default, Serialize, Deserialize, JsonSchema)]
/// # struct Clicks(u64);
/// # #[derive(Deserialize)]
/// # struct Version1(u8);
/// # impl From<Version1> for Clicks {
/// #     fn from(old: Version1) -> Self {
/// #         Self(old.0.into())
/// #     }
/// # }
/// # #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
/// # struct Click;
/// # #[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
/// # enum Never {}
/// #[machine(state_version = 2, migrate_from = Version1)]
/// impl Program for Clicks {
///     // ...
/// #     type Options = NoOptions;
/// #     type Transition = Click;
/// #     type Conflict = Never;
/// #     fn apply(&self, _: &Event<Click>) -> Result<Self, Never> {
/// #         Ok(Self(self.0 + 1))
/// #     }
/// }
/// # assert_eq!(Clicks::restore(&[5], 1).unwrap().0, 5);
/// ```
#[proc_macro_attribute]
pub fn machine(arguments: TokenStream, item: TokenStream) -> TokenStream {
    versions::expand_on_impl(arguments.into(), item.into()).into()
}
