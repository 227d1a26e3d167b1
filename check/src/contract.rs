//! What a machine says of itself, read once for all histories.

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
}

impl Contract {
    pub(crate) fn read<S: Subject>(machine: &mut S) -> Checked<Self> {
        let description = unbroken("describe", machine.describe())?;
        let schemas: BTreeMap<String, Value> = serde_json::from_str(&description.schemas)
            .map_err(|error| Breach::new(Rule::Schema, format!("the schemas are no JSON object: {error}")))?;
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
        })
    }

    /// What the schemas ask for that cannot be checked, and examples that are none.
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
        schemas.into_iter().flat_map(warn).collect()
    }
}
