//! Passes the driver's effects to the page's script.

use js_sys::Uint8Array;
use reapply_client_core::{Change, Decision, Effect, Entry, Ticket};
use reapply_sync::{Digest, Divergence, Outcome, Rejection};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// The receiver of effects: `Effects` of `js/reapply/effects.ts`. Its methods only note them. They must neither throw nor call the driver.
    #[wasm_bindgen(typescript_type = "Effects")]
    pub type Effects;

    #[wasm_bindgen(method)]
    fn connect(this: &Effects, connection: f64);
    #[wasm_bindgen(method)]
    fn disconnect(this: &Effects, connection: f64);
    #[wasm_bindgen(method)]
    fn send(this: &Effects, connection: f64, frame: Uint8Array);
    #[wasm_bindgen(method)]
    fn load(this: &Effects, digest: &str);
    #[wasm_bindgen(method)]
    fn put(this: &Effects, order: f64, number: f64, json: &str, time_ms: f64, sent_at: Option<f64>);
    #[wasm_bindgen(method)]
    fn delete(this: &Effects, order: f64);
    #[wasm_bindgen(method)]
    fn reserve(this: &Effects, last: f64);
    #[wasm_bindgen(method)]
    fn write(this: &Effects, write: f64);
    #[wasm_bindgen(method, js_name = openStore)]
    fn open_store(this: &Effects);
    #[wasm_bindgen(method)]
    fn accepted(this: &Effects, ticket: f64, seq: f64, time_ms: f64);
    #[wasm_bindgen(method)]
    fn rejected(this: &Effects, ticket: f64, kind: &str, message: &str, conflict: Option<&str>, predicted: bool);
    #[wasm_bindgen(method)]
    fn decided(this: &Effects, ticket: f64);
    #[wasm_bindgen(method)]
    fn unknown(this: &Effects, ticket: f64);
    #[wasm_bindgen(method)]
    fn returned(this: &Effects, json: &str, time_ms: f64);
    #[wasm_bindgen(method)]
    fn signal(this: &Effects, participant: &str, session: f64, body: Uint8Array);
    #[wasm_bindgen(method)]
    fn joined(this: &Effects);
    #[wasm_bindgen(method, js_name = findOrphan)]
    fn find_orphan(this: &Effects);
    #[wasm_bindgen(method)]
    fn diverged(this: &Effects, seq: f64, digest: &str, ours: &str, theirs: &str);
    #[wasm_bindgen(method)]
    fn report(this: &Effects, why: &str);
    #[wasm_bindgen(method)]
    fn closed(this: &Effects, why: &str);
}

/// The number in the store of a transition that has none yet.
pub(crate) const NO_NUMBER: f64 = 0.0;

/// Passes on one effect.
pub(crate) fn note(effects: &Effects, effect: Effect) {
    match effect {
        Effect::Connect(connection) => effects.connect(connection.0 as f64),
        Effect::Disconnect(connection) => effects.disconnect(connection.0 as f64),
        Effect::Send { connection, frame } => effects.send(connection.0 as f64, Uint8Array::from(&frame[..])),
        Effect::Load(digest) => effects.load(&digest.to_string()),
        Effect::Write { write, changes } => {
            changes.iter().for_each(|change| note_change(effects, change));
            effects.write(write.0 as f64);
        }
        Effect::OpenStore => effects.open_store(),
        Effect::Decided { ticket, decision } => note_decision(effects, ticket, &decision),
        Effect::Returned { ticket, returned, decision } => {
            effects.returned(&returned.json, returned.time.0 as f64 / 1_000.0);
            note_decision(effects, ticket, &decision);
        }
        Effect::Signal(signal) => {
            effects.signal(&signal.participant.0, signal.session.0 as f64, Uint8Array::from(&signal.body[..]));
        }
        Effect::Joined => effects.joined(),
        Effect::FindOrphan => effects.find_orphan(),
        Effect::Diverged(Divergence { seq, digest, ours, theirs }) => {
            let hash = |digest: Option<Digest>| digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string());
            effects.diverged(seq.0 as f64, &digest.to_string(), &hash(ours), &hash(theirs));
        }
        Effect::Report(why) => effects.report(&why),
        Effect::Closed { why } => effects.closed(&why),
    }
}

fn note_change(effects: &Effects, change: &Change) {
    match change {
        Change::Put(Entry { order, number, json, time, sent_at }) => {
            let number = number.map_or(NO_NUMBER, |number| number.0 as f64);
            effects.put(*order as f64, number, json, time.0 as f64 / 1_000.0, sent_at.map(|seq| seq.0 as f64));
        }
        Change::Delete(order) => effects.delete(*order as f64),
        Change::Reserve(last) => effects.reserve(*last as f64),
    }
}

fn note_decision(effects: &Effects, ticket: Ticket, decision: &Decision) {
    let id = ticket.0 as f64;
    match decision {
        Decision::Decided(_, Outcome::Accepted { seq, time }) => {
            effects.accepted(id, seq.0 as f64, time.0 as f64 / 1_000.0);
        }
        Decision::Decided(_, Outcome::Rejected(why)) => {
            effects.rejected(id, why.kind(), &why.to_string(), conflict(why), false);
        }
        Decision::Decided(_, Outcome::Decided) => effects.decided(id),
        Decision::Decided(_, Outcome::Unknown) => effects.unknown(id),
        Decision::Refused(why) => effects.rejected(id, why.kind(), &why.to_string(), why.conflict(), true),
    }
}

/// Returns the machine's conflict, as JSON.
fn conflict(rejection: &Rejection) -> Option<&str> {
    match rejection {
        Rejection::Conflict(json) => Some(json),
        _ => None,
    }
}
