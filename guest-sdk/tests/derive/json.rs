//! The form for user interfaces: JSON and schemas.

use reapply_guest::{Id, StateMachine, contract};
use schemars::schema_for;
use serde_json::{Value, json};

use crate::enums::{Answer, AnswerConflict, AnswerVariant};
use crate::structs::{Board, Todo};

#[track_caller]
fn there_and_back<M: StateMachine + Default>(transition: &Value) -> Vec<u8> {
    let bytes = contract::encode::<M>(&transition.to_string()).unwrap();
    let back: Value = serde_json::from_str(&contract::decode::<M>(&bytes).unwrap()).unwrap();
    assert_eq!(&back, transition);
    bytes
}

#[test]
fn transitions_are_objects_with_one_property() {
    there_and_back::<Todo>(&json!({ "Label": { "Replace": "reap" } }));
    there_and_back::<Todo>(&json!({ "Visits": "Reset" }));
    let id = Id::from_bits(1).to_string();
    there_and_back::<Board>(&json!({ "Todos": { "Item": [id, { "Done": { "Replace": true } }] } }));
    there_and_back::<Board>(&json!({ "ByName": { "Delete": "first" } }));
}

#[test]
fn bytes_are_the_number_of_the_field_and_its_transition() {
    assert_eq!(there_and_back::<Todo>(&json!({ "Done": { "Replace": true } })), [1, 0, 1]);
}

#[test]
fn a_field_that_is_not_there_is_named_in_the_error() {
    let error = contract::encode::<Todo>(&json!({ "Lable": { "Replace": "reap" } }).to_string()).unwrap_err();
    assert!(error.contains("Lable") && error.contains("Label"), "{error}");
    contract::decode::<Todo>(&[9, 0, 1]).unwrap_err();
}

#[test]
fn conflicts_name_variants() {
    let conflict = AnswerConflict::IsNot { wanted: AnswerVariant::Number, is: AnswerVariant::Words };
    assert_eq!(serde_json::to_value(conflict).unwrap(), json!({ "IsNot": { "wanted": "Number", "is": "Words" } }));
}

#[test]
fn schemas_have_the_docs_of_the_fields() {
    let schema = serde_json::to_value(schema_for!(<Todo as StateMachine>::Transition)).unwrap();
    let variants = schema["oneOf"].as_array().unwrap();
    let shapes: Vec<_> = variants.iter().map(|variant| (&variant["required"][0], &variant["description"])).collect();
    let expected = [
        (json!("Label"), json!("The text of a task.")),
        (json!("Done"), json!("A transition of `done`.")),
        (json!("Visits"), json!("A transition of `visits`.")),
    ];
    assert_eq!(shapes, expected.iter().map(|(name, doc)| (name, doc)).collect::<Vec<_>>());
    assert!(variants.iter().all(|variant| variant["additionalProperties"] == json!(false)));
}

#[test]
fn the_schema_of_an_enum_has_become_and_is_not() {
    let schema = |schema: schemars::Schema| serde_json::to_value(schema).unwrap();
    let transition = schema(schema_for!(<Answer as StateMachine>::Transition));
    let become_answer = &transition["oneOf"][2]["properties"]["Become"];
    assert_eq!(become_answer["$ref"], "#/$defs/Answer");
    assert_eq!(transition["oneOf"][0]["description"], "In words.");

    let conflict = schema(schema_for!(<Answer as StateMachine>::Conflict));
    let is_not = &conflict["oneOf"][2]["properties"]["IsNot"];
    assert_eq!(is_not["required"], json!(["wanted", "is"]));
    assert_eq!(is_not["properties"]["wanted"]["$ref"], "#/$defs/AnswerVariant");
}
