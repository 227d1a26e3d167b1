//! The machine's description of itself, read once for all histories.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::schema::Schema;
use crate::subject::Subject;
use crate::verdict::{Breach, Checked, Rule, unbroken};

/// A machine's name and schemas.
pub(crate) struct Contract {
    pub(crate) machine: String,
    pub(crate) membership: bool,
    pub(crate) state_version: u32,
    pub(crate) options: Schema,
    pub(crate) transition: Schema,
    pub(crate) conflict: Schema,
    pub(crate) view: Schema,
    /// Pairs of kinds of transitions that are declared to commute.
    pub(crate) commuting: Vec<[String; 2]>,
}

impl Contract {
    pub(crate) fn read<S: Subject>(machine: &mut S) -> Checked<Self> {
        let description = unbroken("describe", machine.describe())?;
        let schemas: BTreeMap<String, Value> = serde_json::from_str(&description.schemas)
            .map_err(|error| Breach::new(Rule::Schema, format!("the schemas are not a JSON object: {error}")))?;
        let schema = |name: &str| {
            let missing = || Breach::new(Rule::Schema, format!("the schemas lack `{name}`"));
            schemas.get(name).cloned().map(Schema::new).ok_or_else(missing)
        };
        Ok(Self {
            machine: description.name,
            membership: machine.membership(),
            state_version: machine.state_version(),
            options: schema("options")?,
            transition: schema("transition")?,
            conflict: schema("conflict")?,
            view: schema("view")?,
            commuting: Vec::new(),
        })
    }

    /// Returns whether transitions of these kinds are declared to lead to the same state in either order. `Item` includes `Item.Done`.
    pub(crate) fn commute(&self, kinds: [&str; 2]) -> bool {
        let [one, other] = kinds;
        self.commuting.iter().any(|[a, b]| covers(a, one) && covers(b, other) || covers(a, other) && covers(b, one))
    }

    /// Returns the kinds that are declared to commute although no transition is of that kind.
    pub(crate) fn unknown_kinds(&self) -> impl Iterator<Item = &String> {
        let kinds = self.transition.kinds();
        self.commuting.iter().flatten().filter(move |said| !kinds.iter().any(|kind| covers(said, kind)))
    }

    /// Returns warnings about keywords in the schemas that cannot be checked, and about invalid examples.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let schemas = [
            ("options", &self.options),
            ("transition", &self.transition),
            ("conflict", &self.conflict),
            ("view", &self.view),
        ];
        let warn = |(name, schema): (&str, &Schema)| {
            let unknown = schema.unknown.iter().map(|word| format!("`{word}` is not understood and not checked"));
            let warnings = unknown.chain(schema.wrong_examples());
            warnings.map(|warning| format!("in the schema of {name}, {warning}")).collect::<Vec<_>>()
        };
        let unknown =
            self.unknown_kinds().map(|said| format!("no transition is of the kind `{said}`, which is said to commute"));
        schemas.into_iter().flat_map(warn).chain(unknown).collect()
    }
}

fn covers(said: &str, kind: &str) -> bool {
    kind.strip_prefix(said).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
