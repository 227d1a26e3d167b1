//! Options that serde reads from a buffer of its own.
//!
//! For `flatten`, `tag` and `untagged`, serde first keeps values without a type, and reads them afterwards, without this crate's
//! deserializer. It then refuses a `"7"` for a `u64`, although the schema asks for one. So the schema tells which texts are numbers,
//! and the options are read again with numbers in their place. Only options need this: transitions also travel as bytes, which such
//! types cannot do.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

use super::numbers::EXACT_MAX;
use super::schema::{WIDE, schema_read};

/// The maximum number of references that are followed in a row: a schema may refer to itself.
const REFERENCES_MAX: usize = 64;

/// Reads the options, with numbers where the schema of `T` has integers. Returns `None` if the result is still not a `T`.
pub(super) fn from_str<T: DeserializeOwned + JsonSchema>(json: &str) -> Option<T> {
    let mut value: Value = serde_json::from_str(json).ok()?;
    let root = schema_read::<T>().to_value();
    Numbers { root: &root }.put(&root, &mut value, 0);
    super::read::from_value(value).ok()
}

struct Numbers<'a> {
    root: &'a Value,
}

impl Numbers<'_> {
    /// Puts numbers into `value` where `schema` says that they belong.
    fn put(&self, schema: &Value, value: &mut Value, references: usize) {
        let Some(keywords) = schema.as_object().filter(|_| references < REFERENCES_MAX) else { return };
        if let Some(referent) = self.referent(keywords) {
            self.put(referent, value, references + 1);
        }
        list(keywords, "allOf").for_each(|part| self.put(part, value, references + 1));
        for branch in list(keywords, "oneOf").chain(list(keywords, "anyOf")) {
            if self.is_meant(branch, value, references + 1) {
                self.put(branch, value, references + 1);
            }
        }
        match value {
            Value::String(digits) if is_wide(keywords) && !digits.starts_with('+') => {
                let number = digits.parse().map(u64::into).or_else(|_| digits.parse().map(i64::into));
                *value = number.map_or_else(|_| Value::String(std::mem::take(digits)), Value::Number);
            }
            Value::Number(number) if is_wide(keywords) || has_type(keywords, "integer") => {
                let whole = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= EXACT_MAX);
                if let (true, Some(whole)) = (number.is_f64(), whole) {
                    *value = Number::from(whole as i64).into();
                }
            }
            Value::Array(items) => {
                let rest = std::iter::repeat(keywords.get("items"));
                let schemas = list(keywords, "prefixItems").map(Some).chain(rest);
                for (item, schema) in items.iter_mut().zip(schemas) {
                    schema.into_iter().for_each(|schema| self.put(schema, item, 0));
                }
            }
            Value::Object(properties) => {
                for (name, property) in properties {
                    let named = keywords.get("properties").and_then(|schemas| schemas.get(name));
                    let schema = named.or_else(|| keywords.get("additionalProperties"));
                    schema.into_iter().for_each(|schema| self.put(schema, property, 0));
                }
            }
            _ => {}
        }
    }

    fn referent(&self, keywords: &Map<String, Value>) -> Option<&Value> {
        keywords.get("$ref")?.as_str()?.strip_prefix('#').and_then(|path| self.root.pointer(path))
    }

    /// Returns whether a branch may describe `value`, by its type, its constants and its required properties.
    fn is_meant(&self, branch: &Value, value: &Value, references: usize) -> bool {
        let Some(keywords) = branch.as_object().filter(|_| references < REFERENCES_MAX) else { return false };
        let meant = |schema: &Value, value: &Value| self.is_meant(schema, value, references + 1);
        let by_reference = self.referent(keywords).is_none_or(|referent| meant(referent, value));
        let constant = keywords.get("const").is_none_or(|constant| constant == value);
        let listed = keywords.get("enum").and_then(Value::as_array).is_none_or(|values| values.contains(value));
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is_type = !keywords.contains_key("type") || has_type(keywords, kind) || value.is_number();
        let required = list(keywords, "required").filter_map(Value::as_str).all(|name| value.get(name).is_some());
        let properties = keywords.get("properties").and_then(Value::as_object).into_iter().flatten();
        let tags = properties.filter(|(_, schema)| schema.get("const").or_else(|| schema.get("enum")).is_some());
        let tagged = tags.into_iter().all(|(name, schema)| value.get(name).is_none_or(|value| meant(schema, value)));
        by_reference && constant && listed && is_type && required && tagged
    }
}

fn list<'a>(keywords: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    keywords.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn has_type(keywords: &Map<String, Value>, name: &str) -> bool {
    match keywords.get("type") {
        Some(Value::Array(names)) => names.iter().any(|other| other == name),
        Some(only) => only == name,
        None => false,
    }
}

/// Returns whether the JSON face writes this integer as a string.
fn is_wide(keywords: &Map<String, Value>) -> bool {
    let format = keywords.get("format").and_then(Value::as_str);
    format.is_some_and(|format| WIDE.contains(&format)) && has_type(keywords, "string")
}
