//! JSON Schemas (draft 2020-12) of a machine's inputs and outputs, as schemars and people write them.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use regex_lite::Regex;
use serde_json::Value;

/// A root schema, with its patterns compiled.
pub(crate) struct Schema {
    root: Value,
    patterns: HashMap<String, Regex>,
    /// Unknown keywords, which are not checked.
    pub(crate) unknown: BTreeSet<String>,
    /// The parts that have no values, by address, as far as they were computed.
    impossible: RefCell<HashMap<usize, bool>>,
}

/// The maximum number of references that are followed in a row: a schema that refers only to itself has no meaning.
const REFERENCES_MAX: usize = 64;

/// Keywords whose value is a schema, a list of schemas, or an object of schemas.
const IN_ONE: [&str; 4] = ["items", "additionalProperties", "propertyNames", "not"];
const IN_LIST: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
const IN_OBJECT: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];

/// The other known keywords, and those without an effect.
const UNDERSTOOD: [&str; 30] = [
    "$ref",
    "$schema",
    "$id",
    "$comment",
    "const",
    "default",
    "deprecated",
    "description",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maximum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "minimum",
    "minItems",
    "minLength",
    "minProperties",
    "multipleOf",
    "pattern",
    "readOnly",
    "required",
    "title",
    "type",
    "uniqueItems",
    "writeOnly",
    "contentMediaType",
];

impl Schema {
    pub(crate) fn new(root: Value) -> Self {
        let mut schema = Self {
            patterns: HashMap::new(),
            unknown: BTreeSet::new(),
            root: Value::Null,
            impossible: RefCell::default(),
        };
        schema.note(&root);
        schema.root = root;
        schema
    }

    pub(crate) fn root(&self) -> &Value {
        &self.root
    }

    /// Returns the target of a `$ref`, if it exists.
    pub(crate) fn referent(&self, reference: &str) -> Option<&Value> {
        self.root.pointer(reference.strip_prefix('#')?)
    }

    /// Returns the schema, or the target if the schema is only a reference.
    pub(crate) fn follow<'a>(&'a self, mut schema: &'a Value) -> &'a Value {
        for _ in 0..REFERENCES_MAX {
            let referent = schema.get("$ref").and_then(Value::as_str).and_then(|reference| self.referent(reference));
            match referent {
                Some(referent) if !constrains(schema) => schema = referent,
                _ => break,
            }
        }
        schema
    }

    /// Returns whether the schema has no values, like an enum without variants and any type that must contain one.
    pub(crate) fn is_impossible(&self, schema: &Value) -> bool {
        let schema = self.follow(schema);
        let address = std::ptr::from_ref(schema).addr();
        if let Some(known) = self.impossible.borrow().get(&address) {
            return *known;
        }
        // A recursive type is possible, as far as the recursion goes.
        self.impossible.borrow_mut().insert(address, false);
        let not = schema.get("not");
        let list = |name: &str| schema.get(name).and_then(Value::as_array);
        let is_impossible = |inner: &Value| self.is_impossible(inner);
        let required = list("required").into_iter().flatten().filter_map(Value::as_str);
        let mut needed = required.filter_map(|name| schema.get("properties")?.get(name));
        let found = schema == &Value::Bool(false)
            || not
                .is_some_and(|not| not == &Value::Bool(true) || not.as_object().is_some_and(serde_json::Map::is_empty))
            || list("enum").is_some_and(Vec::is_empty)
            || ["oneOf", "anyOf"].into_iter().filter_map(list).any(|branches| branches.iter().all(is_impossible))
            || ["prefixItems", "allOf"].into_iter().filter_map(list).flatten().any(is_impossible)
            || needed.any(is_impossible);
        self.impossible.borrow_mut().insert(address, found);
        found
    }

    pub(crate) fn matches(&self, pattern: &str, text: &str) -> bool {
        // A pattern that does not compile was recorded as unknown.
        self.patterns.get(pattern).is_none_or(|regex| regex.is_match(text))
    }

    /// Returns the examples that do not match their own schema.
    pub(crate) fn wrong_examples(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut waiting = vec![&self.root];
        while let Some(schema) = waiting.pop() {
            waiting.extend(inner(schema));
            for example in schema.get("examples").and_then(Value::as_array).into_iter().flatten() {
                if let Err(why) = self.validate_as(schema, example) {
                    wrong.push(format!("the example {example} is not what the schema says: {why}"));
                }
            }
        }
        wrong
    }

    fn note(&mut self, schema: &Value) {
        inner(schema).for_each(|schema| self.note(schema));
        let Value::Object(keywords) = schema else { return };
        for keyword in keywords.keys().map(String::as_str) {
            let known = [&IN_ONE[..], &IN_LIST, &IN_OBJECT, &UNDERSTOOD].iter().any(|known| known.contains(&keyword));
            if !known && !keyword.starts_with("x-") {
                self.unknown.insert(keyword.to_owned());
            }
        }
        let pattern = keywords.get("pattern").and_then(Value::as_str);
        let keys = keywords.get("patternProperties").and_then(Value::as_object);
        for pattern in pattern.into_iter().chain(keys.into_iter().flatten().map(|(pattern, _)| pattern.as_str())) {
            match Regex::new(pattern) {
                Ok(regex) => _ = self.patterns.insert(pattern.to_owned(), regex),
                Err(_) => _ = self.unknown.insert(format!("pattern {pattern}")),
            }
        }
    }
}

/// Returns the schemas directly inside a schema.
fn inner(schema: &Value) -> impl Iterator<Item = &Value> {
    let keywords = |keywords: &'static [&str]| keywords.iter().filter_map(|keyword| schema.get(keyword));
    let in_lists = keywords(&IN_LIST).filter_map(Value::as_array).flatten();
    let in_objects = keywords(&IN_OBJECT).filter_map(Value::as_object).flat_map(|schemas| schemas.values());
    keywords(&IN_ONE).chain(in_lists).chain(in_objects)
}

/// Returns whether a schema requires more than its `$ref` does.
pub(crate) fn constrains(schema: &Value) -> bool {
    const SILENT: [&str; 13] = [
        "$ref",
        "$schema",
        "$id",
        "$comment",
        "$defs",
        "definitions",
        "default",
        "deprecated",
        "description",
        "examples",
        "readOnly",
        "title",
        "writeOnly",
    ];
    schema.as_object().is_none_or(|keywords| keywords.keys().any(|keyword| !SILENT.contains(&keyword.as_str())))
}

/// Returns the whole numbers that a `format` such as `uint8` or `int64` allows.
pub(crate) fn whole_range(format: &str) -> Option<(i128, i128)> {
    let (signed, bits) = match format.strip_prefix('u') {
        Some(rest) => (false, rest.strip_prefix("int")?),
        None => (true, format.strip_prefix("int")?),
    };
    let bits: u32 = if bits.is_empty() { 64 } else { bits.parse().ok()? };
    match (signed, bits) {
        // A u128 goes beyond an i128; its upper half is left out.
        (_, 128) => Some((if signed { i128::MIN } else { 0 }, i128::MAX)),
        (true, 8..=64) => Some((-(1 << (bits - 1)), (1 << (bits - 1)) - 1)),
        (false, 8..=64) => Some((0, (1 << bits) - 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_format_has_its_range() {
        assert_eq!(whole_range("uint8"), Some((0, 255)));
        assert_eq!(whole_range("int64"), Some((i64::MIN.into(), i64::MAX.into())));
        assert_eq!(whole_range("uint"), Some((0, u64::MAX.into())));
        assert_eq!(whole_range("int128"), Some((i128::MIN, i128::MAX)));
        assert_eq!((whole_range("uuid"), whole_range("interval"), whole_range("int7")), (None, None, None));
    }

    #[test]
    fn references_are_followed_and_circles_end() {
        let schema = Schema::new(json!({
            "$defs": { "A": { "$ref": "#/$defs/B", "title": "a" }, "B": { "type": "null" }, "C": { "$ref": "#/$defs/C" } }
        }));
        assert_eq!(schema.follow(&json!({ "$ref": "#/$defs/A" })), &json!({ "type": "null" }));
        assert_eq!(schema.follow(&json!({ "$ref": "#/$defs/C" })), &json!({ "$ref": "#/$defs/C" }));
        let more = json!({ "$ref": "#/$defs/B", "type": "object" });
        assert_eq!(schema.follow(&more), &more);
    }

    #[test]
    fn an_example_that_is_none_is_told() {
        let schema = Schema::new(json!({ "anyOf": [{ "type": "null", "examples": [null, 7] }] }));
        let wrong = "the example 7 is not what the schema says: /: expected the type \"null\", and found 7";
        assert_eq!(schema.wrong_examples(), [wrong]);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let schema = Schema::new(json!({ "items": { "contains": true }, "x-own": 1, "pattern": "(?=a)" }));
        assert_eq!(schema.unknown.iter().collect::<Vec<_>>(), ["contains", "pattern (?=a)"]);
    }
}
