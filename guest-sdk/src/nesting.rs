//! States that may hold themselves, and how deep that may go.

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

/// The variant that a machine's conflicts have besides its own, where its state may hold itself.
const NESTED_TOO_DEEP: &str = "NestedTooDeep";

/// The conflict of an event whose state would nest too deeply, as JSON; nothing where the state may be.
pub(crate) fn conflict_of<P: Serialize + JsonSchema + 'static>(state: &P) -> Option<String> {
    let is_too_deep = holds_itself::<P>() && nests_too_deeply(state);
    is_too_deep.then(|| json!({ NESTED_TOO_DEEP: { "max": NESTING_MAX } }).to_string())
}

/// The schema of a machine's conflicts, with the one that this module adds.
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
        // What is said of the whole stays outside, so that references to it lead where they did.
        let outside = ["$schema", "$defs", "title"].map(|name| (name, keywords.remove(name)));
        let mut root = Map::from_iter([("anyOf".to_owned(), json!([keywords, added]))]);
        root.extend(outside.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        own = Value::Object(root);
    }
    own.try_into().unwrap_or_default()
}

/// Whether values of the type may be inside one another without end.
fn holds_itself<T: JsonSchema + 'static>() -> bool {
    // What holds itself has it on the heap, and frees it when dropped. So this is known of many a small machine when it is compiled, and
    // leaves all of this module out of it.
    needs_drop::<T>() && refers_to_itself::<T>()
}

/// Whether the schema of the type says so: there, a type that holds itself refers to itself.
fn refers_to_itself<T: JsonSchema + 'static>() -> bool {
    thread_local! {
        /// A machine has one state, so this is looked up after every event and made once.
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

/// Whether a reference inside `schema` leads to something that it is inside of. What was looked through is in `done`.
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
            // The definitions are looked at where they are referred to; those of data are not schemas.
            let parts = keywords
                .iter()
                .filter(|(name, _)| !["$defs", "const", "default", "enum", "examples"].contains(&name.as_str()));
            by_reference || parts.into_iter().any(|(_, part)| leads_back(root, part, inside, done))
        }
        _ => false,
    }
}
