//! Checks a value against a schema.
//!
//! The crate `jsonschema` does not replace this. It checks the standard, where `format` is only a note; in the schemas of machines the `format` of an
//! integer is its range (`uint8`). Kinds of transitions are checked against parts of a schema, and the generator reads schemas with the same code. And
//! machines have this crate among their dev-dependencies, so it stays small.

use serde_json::{Map, Value};

use crate::schema::{Schema, whole_range};

impl Schema {
    /// Returns what is wrong with `value`, and where, if it does not match this schema.
    pub(crate) fn validate(&self, value: &Value) -> Result<(), String> {
        self.validate_as(self.root(), value)
    }

    /// Does the same for a part of this schema.
    pub(crate) fn validate_as(&self, part: &Value, value: &Value) -> Result<(), String> {
        Validation { schema: self }.value(part, value, "", 0)
    }
}

/// The maximum number of steps inside a schema without a step into the value. A sound schema needs fewer; one that refers only to itself
/// never ends.
const DEPTH_MAX: usize = 256;

struct Validation<'a> {
    schema: &'a Schema,
}

type Valid = Result<(), String>;

impl Validation<'_> {
    fn value(&self, schema: &Value, value: &Value, at: &str, depth: usize) -> Valid {
        let keywords = match schema {
            Value::Bool(true) => return Ok(()),
            Value::Object(keywords) if depth < DEPTH_MAX => keywords,
            Value::Object(_) => return Err(wrong(at, "the schema refers to itself without end", value)),
            _ => return Err(wrong(at, "nothing is allowed here", value)),
        };
        if let Some(reference) = keywords.get("$ref").and_then(Value::as_str) {
            let referent = self.schema.referent(reference);
            let referent = referent.ok_or_else(|| format!("the schema refers to `{reference}`, which is not there"))?;
            self.value(referent, value, at, depth + 1)?;
        }
        self.general(keywords, value, at)?;
        self.combined(keywords, value, at, depth)?;
        match value {
            Value::Number(_) => number(keywords, value, at),
            Value::String(text) => self.text(keywords, text, value, at),
            Value::Array(items) => self.array(keywords, items, value, at),
            Value::Object(properties) => self.object(keywords, properties, value, at, depth),
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }

    fn general(&self, keywords: &Map<String, Value>, value: &Value, at: &str) -> Valid {
        let allowed = match keywords.get("type") {
            Some(Value::String(name)) => is_type(name, value),
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).any(|name| is_type(name, value)),
            _ => true,
        };
        if !allowed {
            return Err(wrong(at, &format!("expected the type {}", keywords["type"]), value));
        }
        if let Some(constant) = keywords.get("const").filter(|constant| !equal(constant, value)) {
            return Err(wrong(at, &format!("expected {constant}"), value));
        }
        match keywords.get("enum").and_then(Value::as_array) {
            Some(values) if !values.iter().any(|allowed| equal(allowed, value)) => {
                Err(wrong(at, &format!("expected one of {}", keywords["enum"]), value))
            }
            _ => Ok(()),
        }
    }

    fn combined(&self, keywords: &Map<String, Value>, value: &Value, at: &str, depth: usize) -> Valid {
        let branches = |keyword| keywords.get(keyword).and_then(Value::as_array);
        for branch in branches("allOf").into_iter().flatten() {
            self.value(branch, value, at, depth + 1)?;
        }
        for (keyword, matching_max) in [("anyOf", usize::MAX), ("oneOf", 1)] {
            let Some(branches) = branches(keyword) else { continue };
            let tried: Vec<Valid> = branches.iter().map(|branch| self.value(branch, value, at, depth + 1)).collect();
            let matching = tried.iter().filter(|tried| tried.is_ok()).count();
            if matching == 0 {
                // The error that lies deepest in the value belongs to the intended branch.
                let nearest = tried
                    .into_iter()
                    .filter_map(Result::err)
                    .max_by_key(|error| error.split(": ").next().map(|place| place.matches('/').count()));
                return Err(nearest.unwrap_or_else(|| wrong(at, "nothing is allowed here", value)));
            }
            if matching > matching_max {
                return Err(wrong(at, &format!("{matching} of the schema's variants fit, and just one should"), value));
            }
        }
        match keywords.get("not") {
            Some(not) if self.value(not, value, at, depth + 1).is_ok() => {
                Err(wrong(at, "the schema rules this out", value))
            }
            _ => Ok(()),
        }
    }

    fn text(&self, keywords: &Map<String, Value>, text: &str, value: &Value, at: &str) -> Valid {
        check_size(keywords, ["minLength", "maxLength"], text.chars().count(), "characters", at, value)?;
        if let Some(pattern) = keywords.get("pattern").and_then(Value::as_str)
            && !self.schema.matches(pattern, text)
        {
            return Err(wrong(at, &format!("expected a text that matches {pattern}"), value));
        }
        match keywords.get("format").and_then(Value::as_str) {
            Some("uuid") if !is_uuid(text) => Err(wrong(at, "expected a UUID", value)),
            Some(format) => match whole_range(format) {
                Some((least, most)) if !text.parse().is_ok_and(|whole: i128| (least..=most).contains(&whole)) => {
                    Err(wrong(at, &format!("expected the digits of an {format}"), value))
                }
                _ => Ok(()),
            },
            None => Ok(()),
        }
    }

    fn array(&self, keywords: &Map<String, Value>, items: &[Value], value: &Value, at: &str) -> Valid {
        check_size(keywords, ["minItems", "maxItems"], items.len(), "items", at, value)?;
        let first = keywords.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let rest = keywords.get("items");
        for (index, item) in items.iter().enumerate() {
            if let Some(schema) = first.get(index).or(rest) {
                self.value(schema, item, &format!("{at}/{index}"), 0)?;
            }
        }
        let unique = keywords.get("uniqueItems") == Some(&Value::Bool(true));
        if unique && items.iter().enumerate().any(|(index, item)| items[..index].iter().any(|other| equal(other, item)))
        {
            return Err(wrong(at, "expected no item twice", value));
        }
        Ok(())
    }

    fn object(
        &self,
        keywords: &Map<String, Value>,
        properties: &Map<String, Value>,
        value: &Value,
        at: &str,
        depth: usize,
    ) -> Valid {
        check_size(keywords, ["minProperties", "maxProperties"], properties.len(), "properties", at, value)?;
        let required = keywords.get("required").and_then(Value::as_array).into_iter().flatten();
        if let Some(missing) = required.filter_map(Value::as_str).find(|name| !properties.contains_key(*name)) {
            return Err(wrong(at, &format!("the property `{missing}` is missing"), value));
        }
        let known = keywords.get("properties").and_then(Value::as_object);
        let patterns = keywords.get("patternProperties").and_then(Value::as_object);
        for (name, property) in properties {
            let place = format!("{at}/{name}");
            if let Some(names) = keywords.get("propertyNames") {
                self.value(names, &Value::String(name.clone()), &place, depth + 1)?;
            }
            let by_name = known.and_then(|known| known.get(name));
            let by_pattern = patterns.into_iter().flatten().filter(|(pattern, _)| self.schema.matches(pattern, name));
            let mut schemas: Vec<&Value> = by_name.into_iter().chain(by_pattern.map(|(_, schema)| schema)).collect();
            if schemas.is_empty() {
                schemas.extend(keywords.get("additionalProperties"));
            }
            for schema in schemas {
                self.value(schema, property, &place, 0)?;
            }
        }
        Ok(())
    }
}

fn number(keywords: &Map<String, Value>, value: &Value, at: &str) -> Valid {
    let bound = |keyword| keywords.get(keyword).filter(|bound| bound.is_number());
    let below = |a: &Value, b: &Value| match (whole(a), whole(b)) {
        (Some(a), Some(b)) => a < b,
        _ => a.as_f64() < b.as_f64(),
    };
    let broken = bound("minimum").filter(|least| below(value, least)).map(|least| ("at least", least));
    let broken = broken.or(bound("maximum").filter(|most| below(most, value)).map(|most| ("at most", most)));
    let broken =
        broken.or(bound("exclusiveMinimum").filter(|least| !below(least, value)).map(|least| ("above", least)));
    let broken = broken.or(bound("exclusiveMaximum").filter(|most| !below(value, most)).map(|most| ("below", most)));
    if let Some((relation, bound)) = broken {
        return Err(wrong(at, &format!("expected a number {relation} {bound}"), value));
    }
    if let (Some(step), Some(number)) = (bound("multipleOf").and_then(Value::as_f64), value.as_f64())
        && step > 0.0
        && number % step != 0.0
    {
        return Err(wrong(at, &format!("expected a multiple of {step}"), value));
    }
    let range = keywords.get("format").and_then(Value::as_str).and_then(whole_range);
    match (range, whole(value)) {
        (Some((least, most)), Some(number)) if !(least..=most).contains(&number) => {
            Err(wrong(at, &format!("expected a number from {least} to {most}"), value))
        }
        _ => Ok(()),
    }
}

fn check_size(
    keywords: &Map<String, Value>,
    bounds: [&str; 2],
    size: usize,
    of: &str,
    at: &str,
    value: &Value,
) -> Valid {
    let [least, most] = bounds.map(|bound| keywords.get(bound).and_then(Value::as_u64));
    let size = size as u64;
    match (least, most) {
        (Some(least), _) if size < least => Err(wrong(at, &format!("expected at least {least} {of}"), value)),
        (_, Some(most)) if size > most => Err(wrong(at, &format!("expected at most {most} {of}"), value)),
        _ => Ok(()),
    }
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => whole(value).is_some() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

fn whole(value: &Value) -> Option<i128> {
    value.as_i64().map(i128::from).or_else(|| value.as_u64().map(i128::from))
}

/// JSON's equality: 1 and 1.0 are the same number.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => match (whole(a), whole(b)) {
            (Some(a), Some(b)) => a == b,
            _ => a.as_f64() == b.as_f64(),
        },
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

pub(crate) fn is_uuid(text: &str) -> bool {
    let hyphens = [8, 13, 18, 23];
    text.len() == 36
        && text.bytes().enumerate().all(
            |(index, byte)| {
                if hyphens.contains(&index) { byte == b'-' } else { byte.is_ascii_hexdigit() }
            },
        )
}

/// The maximum length of a value in an error.
const SHOWN_CHARS_MAX: usize = 80;

fn wrong(at: &str, what: &str, value: &Value) -> String {
    let text = value.to_string();
    let shown: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    let place = if at.is_empty() { "/" } else { at };
    format!("{place}: {what}, and found {shown}{more}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Returns what is wrong with the value; an empty text if nothing is.
    fn wrong_with(schema: Value, value: Value) -> String {
        Schema::new(schema).validate(&value).err().unwrap_or_default()
    }

    #[test]
    fn what_fits_is_valid() {
        let fits = [
            (json!(true), json!([1])),
            (json!({ "type": ["string", "null"] }), json!(null)),
            (json!({ "type": "integer" }), json!(2.0)),
            (json!({ "type": "integer", "format": "uint8", "minimum": 0, "maximum": 255 }), json!(255)),
            (json!({ "const": 1 }), json!(1.0)),
            (json!({ "enum": ["a", "b"] }), json!("b")),
            (json!({ "oneOf": [{ "type": "string" }, { "type": "null" }] }), json!("x")),
            (json!({ "anyOf": [{ "type": "number" }, { "type": "integer" }] }), json!(1)),
            (json!({ "allOf": [{ "minimum": 1 }, { "maximum": 3 }] }), json!(2)),
            (json!({ "$ref": "#/$defs/A", "$defs": { "A": { "type": "string" } } }), json!("x")),
            (json!({ "prefixItems": [{ "type": "string" }], "items": { "type": "null" } }), json!(["a", null, null])),
            (json!({ "properties": { "a": { "type": "null" } }, "additionalProperties": false }), json!({ "a": null })),
            (
                json!({ "patternProperties": { "^\\d+$": { "type": "null" } }, "additionalProperties": false }),
                json!({ "12": null }),
            ),
            (json!({ "type": "string", "format": "uuid" }), json!("01234567-89ab-cdef-0123-456789abcdef")),
            (json!({ "type": "string", "format": "int64", "pattern": "^-?[0-9]+$" }), json!("-9223372036854775808")),
        ];
        for (schema, value) in fits {
            assert_eq!(wrong_with(schema.clone(), value.clone()), "", "{schema} {value}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_place() {
        let cases = [
            (json!(false), json!(1), "/: nothing is allowed here, and found 1"),
            (json!({ "type": "integer" }), json!(1.5), "/: expected the type \"integer\", and found 1.5"),
            (json!({ "maximum": 3 }), json!(4), "/: expected a number at most 3, and found 4"),
            (json!({ "exclusiveMinimum": 3 }), json!(3), "/: expected a number above 3, and found 3"),
            (json!({ "format": "uint8" }), json!(-1), "/: expected a number from 0 to 255, and found -1"),
            (json!({ "enum": ["a"] }), json!("b"), "/: expected one of [\"a\"], and found \"b\""),
            (json!({ "minLength": 2 }), json!("é"), "/: expected at least 2 characters, and found \"é\""),
            (
                json!({ "format": "uint64" }),
                json!("18446744073709551616"),
                "/: expected the digits of an uint64, and found \"18446744073709551616\"",
            ),
            (json!({ "format": "uuid" }), json!("x"), "/: expected a UUID, and found \"x\""),
            (json!({ "items": { "type": "null" } }), json!([null, 1]), "/1: expected the type \"null\", and found 1"),
            (json!({ "uniqueItems": true }), json!([1, 1.0]), "/: expected no item twice, and found [1,1.0]"),
            (json!({ "required": ["a"] }), json!({}), "/: the property `a` is missing, and found {}"),
            (json!({ "additionalProperties": false }), json!({ "b": 1 }), "/b: nothing is allowed here, and found 1"),
            (
                json!({ "propertyNames": { "maxLength": 1 } }),
                json!({ "bb": 1 }),
                "/bb: expected at most 1 characters, and found \"bb\"",
            ),
            (
                json!({ "oneOf": [true, true] }),
                json!(1),
                "/: 2 of the schema's variants fit, and just one should, and found 1",
            ),
            (json!({ "not": { "type": "null" } }), json!(null), "/: the schema rules this out, and found null"),
            (json!({ "$ref": "#/$defs/A" }), json!(1), "the schema refers to `#/$defs/A`, which is not there"),
            (json!({ "$ref": "#" }), json!(1), "/: the schema refers to itself without end, and found 1"),
        ];
        for (schema, value, expected) in cases {
            assert_eq!(wrong_with(schema.clone(), value), expected, "{schema}");
        }
    }

    #[test]
    fn a_value_may_nest_as_deeply_as_json_does() {
        let schema = json!({ "anyOf": [{ "type": "null" }, { "type": "array", "items": { "$ref": "#" } }] });
        let nested = |innermost| (0..120).fold(innermost, |inner, _| json!([inner]));
        assert_eq!(wrong_with(schema.clone(), nested(json!(null))), "");
        let wrong = wrong_with(schema, nested(json!(7)));
        assert!(wrong.ends_with("/0/0: expected the type \"array\", and found 7"), "{wrong}");
    }

    #[test]
    fn of_an_enums_variants_the_one_that_was_meant_explains() {
        let variant =
            |name: &str| json!({ "type": "object", "properties": { name: { "type": "string" } }, "required": [name] });
        let wrong = wrong_with(json!({ "oneOf": [variant("Add"), variant("Take")] }), json!({ "Take": 1 }));
        assert_eq!(wrong, "/Take: expected the type \"string\", and found 1");
    }
}
