//! The building block `Text`.

mod concurrency;
mod encoding;
mod fragmented;
mod histories;
mod limits;
mod model;
mod typing;

use reapply_guest::{CharId, Id, StateMachine, Text, TextConflict, TextTransition, contract};

const ADA: Id = Id::from_bits(0xada);
const BOB: Id = Id::from_bits(0xb0b);

/// Returns a text that Ada typed.
fn text(content: &str) -> Text {
    apply_all(&Text::default(), &[Text::default().insert(ADA, 0, content)])
}

/// Returns the text after transitions that were all made without knowing of each other, in this order.
fn apply_all(text: &Text, transitions: &[TextTransition]) -> Text {
    transitions.iter().fold(text.clone(), |text, transition| text.apply(transition).unwrap())
}

fn snapshot(text: &Text) -> Vec<u8> {
    contract::snapshot(text).unwrap()
}

fn restored(text: &Text) -> Text {
    contract::restore(&snapshot(text), <Text as StateMachine>::STATE_VERSION).unwrap()
}

fn char_id(id: Id, offset: u32) -> CharId {
    CharId { id, offset }
}

fn conflict(text: &Text, transition: &TextTransition) -> TextConflict {
    text.apply(transition).unwrap_err()
}
