//! One event as a line of output: a JSON object, or a row of a table.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use reapply_journal::RejectionCount;
use reapply_machine::{Build, Instance};
use reapply_sync::{Author, CodecError, Event, Input, Machine, Number, Seq};
use serde::Serialize;
use serde_json::Value;

use super::query::{Filter, Format, kind_name};
use crate::clock::rfc3339;
use crate::log::limits::PORTION_MAX;

/// The columns of a table: the fields of a JSON object, in the same order.
const COLUMNS: [&str; 13] = [
    "seq",
    "time",
    "kind",
    "author",
    "client",
    "number",
    "transition",
    "bytes",
    "digest",
    "at",
    "hash",
    "room",
    "entropy",
];

/// Events that one build decodes.
pub(super) struct BuildEvents {
    pub(super) build: Build,
    pub(super) events: Vec<Event>,
}

/// Returns the text before the first event.
pub(super) fn heading(format: Format) -> Bytes {
    match format {
        Format::JsonLines => Bytes::new(),
        Format::Csv => Bytes::from(COLUMNS.join(",") + "\n"),
    }
}

/// Events that become lines, a portion at a time: their machines may take long to decode them.
pub(super) struct Rendering {
    /// The events that are left, in order.
    events: VecDeque<Event>,
    decoder: Decoder,
    later: VecDeque<BuildEvents>,
    filter: Filter,
    lines: Lines,
    /// The number of lines so far.
    count: u64,
    count_max: u64,
}

impl Rendering {
    /// Returns a rendering of the events that match `filter`, of at most `count_max` lines. `None` if there are no events.
    pub(super) fn new(stretches: Vec<BuildEvents>, filter: Filter, format: Format, count_max: u64) -> Option<Self> {
        let mut later = VecDeque::from(stretches);
        let BuildEvents { build, events } = later.pop_front()?;
        let decoder = Decoder { build, instance: None };
        Some(Self { events: events.into(), decoder, later, filter, lines: Lines::new(format), count: 0, count_max })
    }

    /// Goes on for about as long as a portion may take. Returns whether there is more.
    ///
    /// Runs machines, so it belongs on their threads.
    pub(super) fn go_on(&mut self) -> bool {
        let began = Instant::now();
        while self.count < self.count_max {
            let Some(event) = self.events.pop_front() else {
                let Some(BuildEvents { build, events }) = self.later.pop_front() else { return false };
                (self.events, self.decoder) = (events.into(), Decoder { build, instance: None });
                continue;
            };
            self.render(&event);
            if began.elapsed() >= PORTION_MAX {
                return true;
            }
        }
        false
    }

    /// Returns the lines, and their number.
    pub(super) fn finish(self) -> (Bytes, u64) {
        (self.lines.finish(), self.count)
    }

    fn render(&mut self, event: &Event) {
        let decoded = transition(&event.input).and_then(|transition| self.decoder.decode(transition));
        if self.filter.admits_variant(&event.input, decoded.as_ref().and_then(variant)) {
            let line = Line::new(event, decoded);
            self.lines.push(&line, || line.row());
            self.count += 1;
        }
    }
}

/// Returns the lines of these counts, with their heading.
pub(super) fn render_rejections(counts: &[RejectionCount], format: Format) -> Bytes {
    let mut lines = Lines::new(format);
    if format == Format::Csv {
        lines.push(&(), || ["author", "kind", "count", "last"].map(str::to_owned));
    }
    for RejectionCount { author, kind, count, last } in counts {
        let line = CountLine { author, kind, count: *count, last: rfc3339(*last) };
        lines.push(&line, || [author.to_string(), kind.clone(), count.to_string(), line.last.clone()]);
    }
    lines.finish()
}

/// A build, and an instance of it once there is a transition to decode.
struct Decoder {
    build: Build,
    instance: Option<Instance>,
}

impl Decoder {
    /// Returns the transition as JSON; `None` if its machine cannot decode it.
    fn decode(&mut self, transition: &[u8]) -> Option<Value> {
        let mut instance = self.instance.take().or_else(|| self.build.instantiate().ok())?;
        let decoded = instance.decode(transition);
        // An instance that faulted must not be used again.
        if !matches!(decoded, Err(CodecError::Fault(_))) {
            self.instance = Some(instance);
        }
        serde_json::from_str(&decoded.ok()?).ok()
    }
}

fn transition(input: &Input) -> Option<&Bytes> {
    match input {
        Input::Transition { transition, .. } | Input::Alarm(transition) => Some(transition),
        _ => None,
    }
}

/// Returns the name of a transition's variant: the transition itself, or its single field.
fn variant(transition: &Value) -> Option<&str> {
    match transition {
        Value::String(name) => Some(name),
        Value::Object(fields) if fields.len() == 1 => fields.keys().next().map(String::as_str),
        _ => None,
    }
}

/// A collector of lines. Writing into memory does not fail; if it did, a line would lack its end.
enum Lines {
    Json(Vec<u8>),
    Csv(Box<csv::Writer<Vec<u8>>>),
}

impl Lines {
    fn new(format: Format) -> Self {
        match format {
            Format::JsonLines => Self::Json(Vec::new()),
            Format::Csv => Self::Csv(Box::new(csv::Writer::from_writer(Vec::new()))),
        }
    }

    fn push<const COLUMNS: usize>(&mut self, line: &impl Serialize, row: impl FnOnce() -> [String; COLUMNS]) {
        match self {
            Self::Json(text) => {
                let _infallible = serde_json::to_writer(&mut *text, line);
                text.push(b'\n');
            }
            Self::Csv(rows) => {
                let _infallible = rows.write_record(row());
            }
        }
    }

    fn finish(self) -> Bytes {
        match self {
            Self::Json(text) => text.into(),
            Self::Csv(rows) => rows.into_inner().unwrap_or_default().into(),
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    seq: Seq,
    time: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<&'a Author>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<Number>,
    /// The transition, in the JSON of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    transition: Option<Value>,
    /// The transition in hexadecimal, if the machine cannot decode it.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
    /// The build that the room runs from here on.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// The event after which the state had this hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Seq>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    /// The room whose log this is from here on.
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
    entropy: String,
}

impl<'a> Line<'a> {
    fn new(event: &'a Event, transition: Option<Value>) -> Self {
        let undecoded = self::transition(&event.input).filter(|_| transition.is_none());
        let mut line = Self {
            seq: event.seq,
            time: rfc3339(event.time),
            kind: kind_name(&event.input),
            author: event.input.author(),
            client: None,
            number: None,
            transition,
            bytes: undecoded.map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
            digest: None,
            at: None,
            hash: None,
            room: None,
            entropy: format!("{:016x}", event.entropy),
        };
        match &event.input {
            Input::Transition { client, number, .. } => {
                (line.client, line.number) = (Some(client.to_string()), Some(*number));
            }
            Input::Upgraded(digest) => line.digest = Some(digest.to_string()),
            Input::Checkpoint { seq, hash } => (line.at, line.hash) = (Some(*seq), Some(hash.to_string())),
            Input::Forked { room, .. } => line.room = Some(room.to_string()),
            Input::Alarm(_) | Input::Joined(_) | Input::Left(_) => {}
        }
        line
    }

    fn row(&self) -> [String; COLUMNS.len()] {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        [
            self.seq.to_string(),
            self.time.clone(),
            self.kind.to_owned(),
            self.author.map(Author::to_string).unwrap_or_default(),
            text(&self.client),
            self.number.map(|number| number.to_string()).unwrap_or_default(),
            self.transition.as_ref().map(Value::to_string).unwrap_or_default(),
            text(&self.bytes),
            text(&self.digest),
            self.at.map(|seq| seq.to_string()).unwrap_or_default(),
            text(&self.hash),
            text(&self.room),
            self.entropy.clone(),
        ]
    }
}

#[derive(Serialize)]
struct CountLine<'a> {
    author: &'a Author,
    kind: &'a str,
    count: u64,
    last: String,
}

#[cfg(test)]
mod tests {
    use reapply_sync::{Digest, Timestamp};
    use serde_json::json;

    use super::*;

    fn line(input: &Input, transition: Option<Value>, format: Format) -> String {
        let event = Event { seq: Seq(7), time: Timestamp(1), entropy: 0xabc, input: input.clone() };
        let mut lines = Lines::new(format);
        let line = Line::new(&event, transition);
        lines.push(&line, || line.row());
        String::from_utf8(lines.finish().to_vec()).unwrap()
    }

    #[test]
    fn a_variant_is_a_name_or_an_only_field() {
        assert_eq!(variant(&json!("Reset")), Some("Reset"));
        assert_eq!(variant(&json!({"Increment": 1})), Some("Increment"));
        assert_eq!(variant(&json!({"x": 1, "y": 2})), None);
        assert_eq!(variant(&json!([1])), None);
    }

    #[test]
    fn each_input_is_told_in_its_own_fields() {
        let digest = Digest([0xab; 32]);
        let alarm = line(&Input::Alarm(Bytes::from_static(&[1, 0xff])), None, Format::JsonLines);
        let head = r#"{"seq":7,"time":"1970-01-01T00:00:00.000001Z""#;
        assert_eq!(alarm, format!("{head},\"kind\":\"alarm\",\"bytes\":\"01ff\",\"entropy\":\"0000000000000abc\"}}\n"));
        let upgraded: Value = serde_json::from_str(&line(&Input::Upgraded(digest), None, Format::JsonLines)).unwrap();
        assert_eq!((&upgraded["kind"], &upgraded["digest"]), (&json!("upgraded"), &json!(digest.to_string())));
        let checkpoint = Input::Checkpoint { seq: Seq(3), hash: digest };
        let checkpoint: Value = serde_json::from_str(&line(&checkpoint, None, Format::JsonLines)).unwrap();
        assert_eq!((&checkpoint["at"], &checkpoint["hash"]), (&json!(3), &json!(digest.to_string())));
    }

    #[test]
    fn a_row_quotes_what_has_commas_and_has_a_value_for_each_column() {
        let input = Input::Alarm(Bytes::new());
        let row = line(&input, Some(json!({"Add": ["a,b", "\"c\""]})), Format::Csv);
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(row.as_bytes());
        let record = reader.records().next().unwrap().unwrap();
        assert_eq!(record.len(), COLUMNS.len());
        assert_eq!(&record[6], r#"{"Add":["a,b","\"c\""]}"#);
        assert_eq!(
            heading(Format::Csv),
            Bytes::from_static(b"seq,time,kind,author,client,number,transition,bytes,digest,at,hash,room,entropy\n")
        );
    }
}
