//! The answers of a component, computed natively.

use std::collections::BTreeMap;

use reapply_guest::contract::{self, Alarm, Event, Input, Rejection, Submission};
use reapply_guest::{NESTING_MAX, Program, StateMachine, export, from_snapshot};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A state machine that takes every default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Words {
    words: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
enum Say {
    Word(String),
    Words { many: Vec<String> },
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "why")]
enum Refused {
    Silence,
}

impl StateMachine for Words {
    type Transition = Say;
    type Conflict = Refused;

    fn apply(&self, transition: &Say) -> Result<Self, Refused> {
        let said = match transition {
            Say::Word(word) => std::slice::from_ref(word),
            Say::Words { many } => many,
        };
        if said.iter().all(String::is_empty) {
            return Err(Refused::Silence);
        }
        Ok(Self { words: self.words.iter().chain(said).cloned().collect() })
    }
}

/// A program that replaces every default.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Diary {
    title: String,
    lines: Vec<String>,
    due: Option<u64>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct DiaryOptions {
    title: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
enum Write {
    Line(String),
    RemindIn(u64),
}

#[derive(Serialize, JsonSchema)]
struct NoConflictInJson {
    keys: BTreeMap<(u8, u8), u8>,
}

#[derive(Serialize, JsonSchema)]
struct DiaryView<'a> {
    title: &'a str,
    last: Option<&'a str>,
}

impl Program for Diary {
    type Options = DiaryOptions;
    type Transition = Write;
    type Conflict = NoConflictInJson;

    const STATE_VERSION: u32 = 2;
    const MEMBERSHIP: bool = true;

    fn create(DiaryOptions { title }: DiaryOptions) -> Result<Self, String> {
        if title.len() > 10 { Err("the title is too long".to_owned()) } else { Ok(Self { title, ..Self::default() }) }
    }

    fn apply(&self, event: &reapply_guest::Event<Write>) -> Result<Self, NoConflictInJson> {
        use reapply_guest::Input;
        let who = event.author().unwrap_or("alarm");
        let (line, due) = match &event.input {
            Input::Transition { transition: Write::Line(line), .. } if line.is_empty() => {
                return Err(NoConflictInJson { keys: BTreeMap::from([((0, 0), 0)]) });
            }
            Input::Transition { transition: Write::Line(line), .. } | Input::Alarm(Write::Line(line)) => {
                (line.as_str(), None)
            }
            Input::Transition { transition: Write::RemindIn(time), .. } | Input::Alarm(Write::RemindIn(time)) => {
                ("remind", Some(event.time + time))
            }
            Input::Joined(_) => ("joined", self.due),
            Input::Left(_) => ("left", self.due),
        };
        let line = format!("{} {} {} {who}: {line}", event.seq, event.time, event.entropy);
        let lines = self.lines.iter().cloned().chain([line]).collect();
        Ok(Self { title: self.title.clone(), lines, due })
    }

    fn alarm(&self) -> Option<reapply_guest::Alarm<Write>> {
        self.due.map(|at| reapply_guest::Alarm { at, transition: Write::Line("now".to_owned()) })
    }

    fn view(&self) -> impl Serialize + JsonSchema {
        DiaryView { title: &self.title, last: self.lines.last().map(String::as_str) }
    }

    fn restore(snapshot: &[u8], state_version: u32) -> Result<Self, String> {
        match state_version {
            1 => from_snapshot::<Vec<String>>(snapshot).map(|lines| Self { lines, ..Self::default() }),
            2 => from_snapshot(snapshot),
            other => Err(format!("state version {other} is from the future")),
        }
    }
}

export!(Words);

fn event(input: Input) -> Event {
    Event { seq: 4, time: 5, entropy: 6, input }
}

fn transition<P: Program>(author: &str, json: &str) -> Event {
    event(Input::Transition(Submission { author: author.to_owned(), transition: contract::encode::<P>(json).unwrap() }))
}

fn say(state: &Words, json: &str) -> Result<Words, Rejection> {
    contract::apply(state, transition::<Words>("ada", json))
}

#[test]
fn a_state_machine_has_every_default() {
    let created: Words = contract::create("").unwrap();
    assert_eq!(created, contract::create("{}").unwrap());
    let state = say(&created, r#"{"Word":"hello"}"#).unwrap();
    assert_eq!(contract::view(&state).unwrap(), r#"{"words":["hello"]}"#);
    assert_eq!(contract::alarm(&state).unwrap(), None);
    let description = contract::describe::<Words>("words").unwrap();
    assert_eq!((description.name.as_str(), description.state_version, description.membership), ("words", 1, false));
    assert_eq!(contract::apply(&state, event(Input::Joined("bob".to_owned()))).unwrap(), state);
    assert_eq!(contract::apply(&state, event(Input::Left("bob".to_owned()))).unwrap(), state);
}

#[test]
fn a_conflict_is_json_and_changes_nothing() {
    let state = say(&Words::default(), r#"{"Word":"a"}"#).unwrap();
    let refused = say(&state, r#"{"Words":{"many":[""]}}"#);
    assert_eq!(refused, Err(Rejection::Conflict(r#"{"why":"Silence"}"#.to_owned())));
    assert_eq!(state.words, ["a"]);
}

#[test]
fn transitions_go_from_json_to_bytes_and_back() {
    let json = r#"{"Words":{"many":["a","b"]}}"#;
    let bytes = contract::encode::<Words>(json).unwrap();
    assert_eq!(contract::decode::<Words>(&bytes).unwrap(), json);
    let error = contract::encode::<Words>(r#"{"Shout":"a"}"#).unwrap_err();
    assert!(error.starts_with("the JSON is no transition of this machine: unknown variant `Shout`"), "{error}");
    let error = contract::encode::<Words>(r#"{"Word":"a"} x"#).unwrap_err();
    assert!(error.contains("trailing characters at line 1"), "{error}");
}

#[test]
fn left_over_bytes_are_refused() {
    let mut bytes = contract::encode::<Words>(r#"{"Word":"a"}"#).unwrap();
    bytes.extend([0, 0]);
    let error = "2 bytes are left over after the transition".to_owned();
    assert_eq!(contract::decode::<Words>(&bytes), Err(error.clone()));
    let input = Input::Transition(Submission { author: "ada".to_owned(), transition: bytes });
    assert_eq!(contract::apply(&Words::default(), event(input)), Err(Rejection::Malformed(error)));

    let mut snapshot = contract::snapshot(&Words::default()).unwrap();
    snapshot.push(0);
    let error = contract::restore::<Words>(&snapshot, 1).unwrap_err();
    assert_eq!(error, "1 bytes are left over after the snapshot");
}

#[test]
fn garbage_is_refused_without_the_memory_it_claims() {
    // A list of 2^63 - 1 strings, of which the first has 2^63 - 1 bytes.
    let list = [255, 255, 255, 255, 255, 255, 255, 255, 127, 255, 255, 255, 255, 255, 255, 255, 255, 127, 0];
    for end in 0..=list.len() {
        let transition = [&[1], &list[..end]].concat();
        assert!(contract::decode::<Words>(&transition).is_err(), "{end}");
        assert!(contract::restore::<Words>(&list[..end], 1).is_err(), "{end}");
    }
    assert!(contract::decode::<Words>(&[7]).unwrap_err().starts_with("the bytes are no transition of this machine"));
}

#[test]
fn a_snapshot_of_another_version_is_refused_where_nobody_migrates_it() {
    let snapshot = contract::snapshot(&Words::default()).unwrap();
    let error = contract::restore::<Words>(&snapshot, 2).unwrap_err();
    assert_eq!(error, "the snapshot has state version 2, and this build reads only 1");
}

#[test]
fn options_are_read_strictly() {
    let diary: Diary = contract::create(r#"{"title":"May"}"#).unwrap();
    assert_eq!(contract::view(&diary).unwrap(), r#"{"title":"May","last":null}"#);
    assert_eq!(contract::create::<Diary>(r#"{"title":"Much too long"}"#), Err("the title is too long".to_owned()));
    assert!(contract::create::<Diary>(r#"{"titel":"May"}"#).unwrap_err().contains("unknown field `titel`"));
    assert!(contract::create::<Words>(r#"{"title":"May"}"#).unwrap_err().contains("unknown field `title`"));
}

#[test]
fn a_program_sees_the_whole_event() {
    let last = |state: &Diary| state.lines.last().cloned().unwrap();
    let diary: Diary = contract::create("").unwrap();
    let diary = contract::apply(&diary, transition::<Diary>("ada", r#"{"Line":"hi"}"#)).unwrap();
    assert_eq!(last(&diary), "4 5 6 ada: hi");
    let diary = contract::apply(&diary, event(Input::Joined("bob".to_owned()))).unwrap();
    assert_eq!(last(&diary), "4 5 6 bob: joined");
    let diary = contract::apply(&diary, event(Input::Left("bob".to_owned()))).unwrap();
    assert_eq!(last(&diary), "4 5 6 bob: left");
    assert!(contract::describe::<Diary>("diary").unwrap().membership);
}

#[test]
fn an_alarm_goes_off_with_the_transition_it_was_set_for() {
    let diary: Diary = contract::create("").unwrap();
    let diary = contract::apply(&diary, transition::<Diary>("ada", r#"{"RemindIn":10}"#)).unwrap();
    let alarm = contract::alarm(&diary).unwrap().unwrap();
    assert_eq!(alarm, Alarm { at: 15, transition: contract::encode::<Diary>(r#"{"Line":"now"}"#).unwrap() });
    let diary = contract::apply(&diary, event(Input::Alarm(alarm.transition))).unwrap();
    assert_eq!(diary.lines.last().unwrap(), "4 5 6 alarm: now");
    assert_eq!(contract::alarm(&diary).unwrap(), None);
}

#[test]
fn an_earlier_snapshot_is_migrated() {
    let snapshot = contract::snapshot(&Words { words: vec!["old".to_owned()] }).unwrap();
    let diary: Diary = contract::restore(&snapshot, 1).unwrap();
    assert_eq!(diary.lines, ["old"]);
    assert_eq!(contract::restore::<Diary>(&contract::snapshot(&diary).unwrap(), 2).unwrap(), diary);
    assert_eq!(contract::restore::<Diary>(&snapshot, 3), Err("state version 3 is from the future".to_owned()));
}

#[test]
fn a_conflict_beyond_json_is_still_a_conflict_and_json() {
    let rejection = contract::apply(&Diary::default(), transition::<Diary>("ada", r#"{"Line":""}"#));
    let Err(Rejection::Conflict(json)) = rejection else { panic!("{rejection:?}") };
    let text = serde_json::from_str::<Value>(&json).unwrap();
    assert!(text.as_str().unwrap().starts_with("the conflict has no JSON form"), "{text}");
}

#[test]
fn the_schemas_are_one_json_object_of_four() {
    let description = contract::describe::<Diary>("diary").unwrap();
    let schemas: BTreeMap<String, Value> = serde_json::from_str(&description.schemas).unwrap();
    assert_eq!(schemas.keys().collect::<Vec<_>>(), ["conflict", "options", "transition", "view"]);
    assert_eq!(schemas["view"]["title"], "DiaryView");
    assert_eq!(schemas["transition"]["oneOf"][0]["required"][0], "Line");
}

#[test]
fn each_transition_has_one_encoding() {
    let bytes = contract::encode::<Words>(r#"{"Word":"a"}"#).unwrap();
    assert_eq!(bytes, [0, 1, b'a']);
    for longer in [&[0x80, 0, 1, b'a'][..], &[0, 0x81, 0, b'a'], &[0x80, 0x80, 0, 1, b'a']] {
        let error = contract::decode::<Words>(longer).unwrap_err();
        assert_eq!(error, "the bytes are no transition of this machine: a number takes more bytes than it needs");
        let input = Input::Transition(Submission { author: "ada".to_owned(), transition: longer.to_vec() });
        assert_eq!(contract::apply(&Words::default(), event(input)), Err(Rejection::Malformed(error)));
    }
    let error = contract::restore::<Words>(&[0x81, 0, 0], 1).unwrap_err();
    assert!(error.ends_with("a number takes more bytes than it needs"), "{error}");
}

/// Every kind of value that bytes can hold, as postcard writes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Everything {
    flags: (bool, Option<u8>, Option<()>),
    whole: (u8, u16, u32, u64, u128, i8, i16, i32, i64, i128),
    floats: (f32, f64),
    texts: (char, String, Vec<String>),
    map: BTreeMap<u64, Vec<Choice>>,
    bytes: [u8; 4],
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
enum Choice {
    Unit,
    Newtype(i64),
    Tuple(u8, String),
    Struct { a: Option<Box<Choice>> },
}

#[test]
fn what_postcard_writes_is_read_and_nothing_that_is_spoiled() {
    let choices = |number: i64| {
        let inner = Choice::Struct { a: Some(Box::new(Choice::Tuple(255, "é".to_owned()))) };
        vec![Choice::Unit, Choice::Newtype(number), inner, Choice::Struct { a: None }]
    };
    let most = Everything {
        flags: (true, Some(128), Some(())),
        whole: (u8::MAX, u16::MAX, u32::MAX, u64::MAX, u128::MAX, i8::MIN, i16::MIN, i32::MIN, i64::MIN, i128::MIN),
        floats: (f32::MIN_POSITIVE, f64::MAX),
        texts: ('𝄞', "text".to_owned(), vec![String::new(), "ü".repeat(100)]),
        map: BTreeMap::from([(0, choices(i64::MAX)), (127, choices(-64)), (128, choices(64)), (u64::MAX, Vec::new())]),
        bytes: [0, 127, 128, 255],
    };
    let least = Everything { floats: (1.5, 2.5), texts: ('a', String::new(), Vec::new()), ..Everything::default() };
    for value in [least, most] {
        let bytes = postcard::to_allocvec(&value).unwrap();
        assert_eq!(from_snapshot::<Everything>(&bytes).as_ref(), Ok(&value));
        for end in 0..bytes.len() {
            assert!(from_snapshot::<Everything>(&bytes[..end]).is_err(), "broken off at {end}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                if let Ok(read) = from_snapshot::<Everything>(&changed) {
                    assert_ne!(read, value, "bit {bit} of byte {at}: two encodings of one value");
                }
            }
        }
    }
}

/// Comments below comments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Comment {
    text: String,
    replies: Vec<Comment>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
enum Answer {
    /// A reply to the newest comment.
    Newest(String),
    /// A reply to the first comment.
    First(String),
    /// The thread itself.
    Thread(Box<Comment>),
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
enum Silence {
    Empty,
}

impl StateMachine for Comment {
    type Transition = Answer;
    type Conflict = Silence;

    fn apply(&self, answer: &Answer) -> Result<Self, Silence> {
        let mut next = self.clone();
        match answer {
            Answer::Newest(text) | Answer::First(text) if text.is_empty() => return Err(Silence::Empty),
            Answer::Newest(text) => {
                let mut newest = &mut next;
                while !newest.replies.is_empty() {
                    newest = newest.replies.last_mut().expect("it is not empty");
                }
                newest.replies.push(Self { text: text.clone(), replies: Vec::new() });
            }
            Answer::First(text) => next.replies.push(Self { text: text.clone(), replies: Vec::new() }),
            Answer::Thread(thread) => next.replies.push((**thread).clone()),
        }
        Ok(next)
    }
}

fn answer(state: &Comment, json: &str) -> Result<Comment, Rejection> {
    contract::apply(state, transition::<Comment>("ada", json))
}

#[test]
fn a_state_that_holds_itself_is_bounded_and_opens_again() {
    let newest = r#"{"Newest":"a"}"#;
    let mut state = Comment::default();
    let mut answers = 0;
    let refused = loop {
        match answer(&state, newest) {
            Ok(next) => state = next,
            Err(rejection) => break rejection,
        }
        answers += 1;
        assert!(answers < 1000, "it nests without end");
        let snapshot = contract::snapshot(&state).unwrap();
        assert_eq!(contract::restore::<Comment>(&snapshot, 1).as_ref(), Ok(&state));
        assert!(serde_json::from_str::<Value>(&contract::view(&state).unwrap()).is_ok(), "{answers}");
    };
    assert_eq!(refused, Rejection::Conflict(r#"{"NestedTooDeep":{"max":120}}"#.to_owned()));
    assert_eq!(answers, NESTING_MAX / 2 - 1, "a comment and its list of replies are two levels");
    // Elsewhere there is room.
    assert!(answer(&state, r#"{"First":"b"}"#).is_ok());
    assert_eq!(answer(&state, r#"{"First":""}"#), Err(Rejection::Conflict(r#""Empty""#.to_owned())));
}

#[test]
fn a_transition_that_nests_without_end_is_malformed() {
    let thread = |depth: usize| (0..depth).fold(vec![0, 0], |inner, _| [vec![0, 1], inner].concat());
    let transition = |depth| [vec![2], thread(depth)].concat();
    assert!(contract::decode::<Comment>(&transition(50)).is_ok());
    for depth in [60, 30_000] {
        let error = contract::decode::<Comment>(&transition(depth)).unwrap_err();
        assert_eq!(error, "the bytes are no transition of this machine: they nest deeper than 120 levels");
    }
}

#[test]
fn only_the_schema_of_a_machine_that_holds_itself_has_the_conflict_for_it() {
    let conflict = |schemas: String| serde_json::from_str::<Value>(&schemas).unwrap()["conflict"].to_string();
    let bounded = conflict(contract::describe::<Comment>("comments").unwrap().schemas);
    assert!(bounded.contains("NestedTooDeep") && bounded.contains("Empty"), "{bounded}");
    let flat = conflict(contract::describe::<Words>("words").unwrap().schemas);
    assert!(!flat.contains("NestedTooDeep"), "{flat}");
}
