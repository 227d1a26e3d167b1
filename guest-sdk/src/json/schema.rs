//! Schemas that match the JSON face.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};

/// Returns the schema for reading a `T`.
pub(crate) fn schema_read<T: JsonSchema>() -> Schema {
    schema_by::<T>(SchemaSettings::draft2020_12())
}

/// Returns the schema for writing a `T`.
pub(crate) fn schema_written<T: JsonSchema>() -> Schema {
    schema_by::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn schema_by<T: JsonSchema>(settings: SchemaSettings) -> Schema {
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    if let Some(object) = schema.as_object_mut() {
        wide_integers_as_strings(object);
    }
    schema
}

/// schemars' names for the integers that the JSON face writes as strings.
pub(super) const WIDE: [&str; 6] = ["int", "uint", "int64", "uint64", "int128", "uint128"];

/// The keywords that hold data and not schemas.
const DATA: [&str; 4] = ["const", "default", "enum", "examples"];

fn wide_integers_as_strings(schema: &mut Map<String, Value>) {
    for (_, value) in schema.iter_mut().filter(|(keyword, _)| !DATA.contains(&keyword.as_str())) {
        within(value);
    }
    let Some(Value::String(format)) = schema.get("format") else { return };
    if !WIDE.contains(&format.as_str()) {
        return;
    }
    let pattern = if format.starts_with('u') { "^[0-9]+$" } else { "^-?[0-9]+$" };
    match schema.get_mut("type") {
        Some(Value::String(kind)) if kind == "integer" => *kind = "string".to_owned(),
        Some(Value::Array(kinds)) => {
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

fn within(value: &mut Value) {
    match value {
        Value::Object(schema) => wide_integers_as_strings(schema),
        Value::Array(values) => values.iter_mut().for_each(within),
        _ => {}
    }
}
