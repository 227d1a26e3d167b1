//! Schemas that say what the JSON face does.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// The schema of what is read as a `T`.
pub(crate) fn schema_read<T: JsonSchema>() -> Schema {
    schema_by::<T>(SchemaSettings::draft2020_12())
}

/// The schema of what is written of a `T`.
pub(crate) fn schema_written<T: JsonSchema>() -> Schema {
    schema_by::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn schema_by<T: JsonSchema>(settings: SchemaSettings) -> Schema {
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    RecursiveTransform(wide_integers_as_strings).transform(&mut schema);
    schema
}

/// schemars' names for the integers that the JSON face writes as strings.
const WIDE: [&str; 6] = ["int", "uint", "int64", "uint64", "int128", "uint128"];

fn wide_integers_as_strings(schema: &mut Schema) {
    let Some(Value::String(format)) = schema.get("format") else { return };
    if !WIDE.contains(&format.as_str()) {
        return;
    }
    let pattern = if format.starts_with('u') { "^[0-9]+$" } else { "^-?[0-9]+$" };
    match schema.get_mut("type") {
        Some(Value::String(kind)) if kind == "integer" => *kind = "string".to_owned(),
        Some(Value::Array(kinds)) if kinds.iter().any(|kind| kind == "integer") => {
            for kind in kinds.iter_mut().filter(|kind| *kind == "integer") {
                *kind = "string".into();
            }
        }
        _ => return,
    }
    schema.remove("minimum");
    schema.remove("maximum");
    schema.insert("pattern".to_owned(), pattern.into());
}
