//! The nesting limit for states of recursive types.

use std::any::TypeId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::mem::needs_drop;

use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::NESTING_MAX;
use crate::codec::nests_too_deeply;
use crate::json::schema_written;

/// The conflict that a machine with a recursive state has besides its own.
const NESTED_TOO_DEEP: &str = "NestedTooDeep";

/// Returns the conflict, as JSON, of an event whose state would nest too deeply; `None` if the state is within the limit.
pub(crate) fn conflict_of<P: Serialize + JsonSchema + 'static>(state: &P) -> Option<String> {
    let is_too_deep = holds_itself::<P>() && nests_too_deeply(state);
    is_too_deep.then(|| json!({ NESTED_TOO_DEEP: { "max": NESTING_MAX } }).to_string())
}

/// Returns the schema of a machine's conflicts, including the one that this module adds.
pub(crate) fn conflict_schema<P: JsonSchema + 'static>(own: Schema) -> Schema {
    if !holds_itself::<P>() {
        return own;
    }
    let added = json!({
        "description": format!("The state would nest deeper than {NESTING_MAX} levels."),
        "type": "object",
        "properties": { NESTED_TOO_DEEP: {
            "type": "object",
            "properties": { "max": { "type": "integer", "const": NESTING_MAX } },
            "required": ["max"],
        } },
        "required": [NESTED_TOO_DEEP],
        "additionalProperties": false,
    });
    let mut own = own.to_value();
    if let Some(variants) = own.get_mut("oneOf").and_then(Value::as_array_mut) {
        variants.push(added);
    } else if let Value::Object(keywords) = &mut own {
        // The definitions stay at the top, so that references to them still resolve.
        let outside = ["$schema", "$defs", "title"].map(|name| (name, keywords.remove(name)));
        let mut root = Map::from_iter([("anyOf".to_owned(), json!([keywords, added]))]);
        root.extend(outside.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        own = Value::Object(root);
    }
    own.try_into().unwrap_or_default()
}

/// Returns whether values of the type can nest without limit.
fn holds_itself<T: JsonSchema + 'static>() -> bool {
    // A recursive type keeps itself on the heap, and frees it when dropped. So for many small machines the compiler knows the answer, and
    // removes all of this module.
    needs_drop::<T>() && refers_to_itself::<T>()
}

/// Returns whether the schema of the type is recursive: a recursive type refers to itself there.
fn refers_to_itself<T: JsonSchema + 'static>() -> bool {
    thread_local! {
        /// A machine has one state type, so the answer is computed once and read after every event.
        static KNOWN: RefCell<BTreeMap<TypeId, bool>> = const { RefCell::new(BTreeMap::new()) };
    }
    let id = TypeId::of::<T>();
    if let Some(known) = KNOWN.with_borrow(|known| known.get(&id).copied()) {
        return known;
    }
    let root = schema_written::<T>().to_value();
    let found = leads_back(&root, &root, &mut vec!["#".to_owned()], &mut Vec::new());
    KNOWN.with_borrow_mut(|known| known.insert(id, found));
    found
}

/// Returns whether a reference inside `schema` leads to a schema that contains it. `done` holds the schemas that are already checked.
fn leads_back(root: &Value, schema: &Value, inside: &mut Vec<String>, done: &mut Vec<String>) -> bool {
    match schema {
        Value::Array(parts) => parts.iter().any(|part| leads_back(root, part, inside, done)),
        Value::Object(keywords) => {
            let by_reference = match keywords.get("$ref").and_then(Value::as_str) {
                Some(reference) if inside.iter().any(|other| other == reference) => true,
                Some(reference) if !done.iter().any(|other| other == reference) => {
                    let referent = reference.strip_prefix('#').and_then(|path| root.pointer(path));
                    inside.push(reference.to_owned());
                    let found = referent.is_some_and(|referent| leads_back(root, referent, inside, done));
                    done.extend(inside.pop());
                    found
                }
                _ => false,
            };
            // Definitions are checked where they are referred to; those of data are not schemas.
            let parts = keywords
                .iter()
                .filter(|(name, _)| !["$defs", "const", "default", "enum", "examples"].contains(&name.as_str()));
            by_reference || parts.into_iter().any(|(_, part)| leads_back(root, part, inside, done))
        }
        _ => false,
    }
}
