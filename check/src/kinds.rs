//! The kinds of transition that a schema has: the variants of its enum, and of the enums inside.

use serde_json::Value;

use crate::schema::Schema;

/// The maximum depth of kinds: `Item.Done.Replace` is specific enough.
const DEPTH_MAX: usize = 4;

/// The kind of a transition whose type is not an enum.
const ONLY: &str = "(any)";

impl Schema {
    /// Returns all kinds, in the schema's order.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let mut kinds = Vec::new();
        self.collect(self.root(), "", 0, &mut kinds);
        if kinds == [""] { vec![ONLY.to_owned()] } else { kinds }
    }

    /// Returns the kind of a transition.
    pub(crate) fn kind(&self, transition: &Value) -> String {
        let mut names = Vec::new();
        let (mut schema, mut value) = (self.root(), transition);
        while let Some(variants) = self.variants(schema).filter(|_| names.len() < DEPTH_MAX) {
            let name = match value {
                Value::String(name) => name,
                Value::Object(properties) if properties.len() == 1 => match properties.keys().next() {
                    Some(name) => name,
                    None => break,
                },
                _ => break,
            };
            let Some((name, inner)) = variants.into_iter().find(|(variant, _)| variant == name) else { break };
            names.push(name);
            let (Some(inner), Some(inside)) = (inner, value.get(name)) else { break };
            (schema, value) = self.innermost(inner, inside);
        }
        if names.is_empty() { ONLY.to_owned() } else { names.join(".") }
    }

    fn collect(&self, schema: &Value, path: &str, depth: usize, kinds: &mut Vec<String>) {
        if self.is_impossible(schema) {
            return;
        }
        let Some(variants) = self.variants(schema).filter(|_| depth < DEPTH_MAX) else {
            kinds.push(path.to_owned());
            return;
        };
        let possible = |(_, inner): &(&str, Option<&Value>)| !inner.is_some_and(|inner| self.is_impossible(inner));
        for (name, inner) in variants.into_iter().filter(possible) {
            let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            match inner {
                Some(inner) => self.collect(self.innermost(inner, &Value::Null).0, &path, depth + 1, kinds),
                None => kinds.push(path),
            }
        }
    }

    /// Returns the variants of an enum as serde writes them: a string for each without content, an object of one property for each other.
    /// Returns `None` if the schema does not have that form.
    fn variants<'a>(&'a self, schema: &'a Value) -> Option<Vec<(&'a str, Option<&'a Value>)>> {
        let schema = self.follow(schema);
        let branches = schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array);
        let Some(branches) = branches else { return unit_variants(schema) };
        let mut variants = Vec::new();
        for branch in branches.iter().map(|branch| self.follow(branch)) {
            match (unit_variants(branch), only_property(branch)) {
                (Some(units), _) => variants.extend(units),
                (None, Some((name, inner))) => variants.push((name, Some(inner))),
                (None, None) => return None,
            }
        }
        Some(variants)
    }

    /// Returns the place of the enum inside a variant: the content itself, or the last of several fields, as in `Item(id, transition)`.
    fn innermost<'a>(&'a self, schema: &'a Value, value: &'a Value) -> (&'a Value, &'a Value) {
        let fields = self.follow(schema).get("prefixItems").and_then(Value::as_array);
        match fields.and_then(|fields| fields.last().zip(Some(fields.len() - 1))) {
            Some((last, index)) => (last, value.get(index).unwrap_or(&Value::Null)),
            None => (schema, value),
        }
    }
}

fn unit_variants(schema: &Value) -> Option<Vec<(&str, Option<&Value>)>> {
    let constant = schema.get("const").and_then(Value::as_str);
    let listed = schema.get("enum").and_then(Value::as_array);
    match (constant, listed) {
        (Some(name), _) => Some(vec![(name, None)]),
        (None, Some(names)) => names.iter().map(|name| name.as_str().map(|name| (name, None))).collect(),
        (None, None) => None,
    }
}

fn only_property(schema: &Value) -> Option<(&str, &Value)> {
    let properties = schema.get("properties")?.as_object()?;
    let required = schema.get("required")?.as_array()?;
    match (properties.iter().next(), required.as_slice()) {
        (Some((name, inner)), [Value::String(only)]) if properties.len() == 1 && only == name => Some((name, inner)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, schema_for};
    use serde_json::json;

    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    enum Todos {
        Clear,
        /// A variant with a description, so that schemars writes it apart.
        Insert {
            id: u8,
            label: String,
        },
        Item(u8, Todo),
        Either(Option<u8>),
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    enum Todo {
        Done(Atom),
        Reset,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is used")]
    enum Atom {
        Replace(bool),
    }

    #[test]
    fn an_enum_has_a_kind_for_each_variant_and_for_those_inside() {
        let schema = Schema::new(schema_for!(Todos).into());
        assert_eq!(schema.kinds(), ["Clear", "Insert", "Item.Reset", "Item.Done.Replace", "Either"]);
        let kind = |transition| schema.kind(&transition);
        assert_eq!(kind(json!("Clear")), "Clear");
        assert_eq!(kind(json!({ "Insert": { "id": 1, "label": "Clear" } })), "Insert");
        assert_eq!(kind(json!({ "Item": [1, { "Done": { "Replace": true } }] })), "Item.Done.Replace");
        assert_eq!(kind(json!({ "Item": [1, "Reset"] })), "Item.Reset");
        assert_eq!(kind(json!({ "Either": null })), "Either");
    }

    #[test]
    fn what_has_no_values_has_no_kinds() {
        assert_eq!(Schema::new(json!({ "not": {} })).kinds(), [""; 0]);
        assert_eq!(Schema::new(json!(false)).kinds(), [""; 0]);
    }

    #[test]
    fn what_is_no_enum_has_one_kind() {
        let schema = Schema::new(schema_for!((u8, String)).into());
        assert_eq!(schema.kinds(), ["(any)"]);
        assert_eq!(schema.kind(&json!([1, "a"])), "(any)");
    }
}
