//! A room without a host: people do things in it, one at a time, and a machine's own tests say what must come of them.

use std::fmt::Debug;

use bytes::Bytes;
use reapply_guest::Program;
use reapply_sync::{Alarm, ApplyError, Author, ClientId, Event, Input, Machine, Number, Refusal, Seq, Timestamp};
use serde_json::Value;

use crate::native::Native;
use crate::subject::Subject;

/// The time in a new room.
const BEGINNING: u64 = 1_700_000_000_000_000;

/// One room of a machine, for its own tests: JSON goes in and JSON comes out, as for a page.
///
/// ```
/// # use reapply_guest::StateMachine;
/// # #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
/// # struct Total(u8);
/// # #[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
/// # struct TooMuch;
/// # impl StateMachine for Total {
/// #     type Transition = u8;
/// #     type Conflict = TooMuch;
/// #     fn apply(&self, add: &u8) -> Result<Self, TooMuch> { self.0.checked_add(*add).map(Total).ok_or(TooMuch) }
/// # }
/// use reapply_check::Room;
/// use serde_json::json;
///
/// let mut room = Room::<Total>::new("");
/// room.does("ada", json!(200));
/// room.cannot("bob", json!(100), json!(null));
/// assert_eq!(room.view(), json!(200));
/// room.restores();
/// ```
pub struct Room<P: Program> {
    state: P,
    seq: Seq,
    /// The time of the next event, in microseconds since 1970. Only the test moves it.
    pub now: u64,
}

impl<P: Program> Room<P> {
    /// Begins a room with these options, as JSON. An empty text means the default options.
    ///
    /// # Panics
    ///
    /// The machine refuses the options.
    #[must_use]
    pub fn new(options: &str) -> Self {
        let created = machine().create(options);
        Self::of(created.unwrap_or_else(|error| panic!("{options}: {error}")))
    }

    /// Begins a room with a state that is at hand.
    #[must_use]
    pub fn of(state: P) -> Self {
        Self { state, seq: Seq(0), now: BEGINNING }
    }

    /// Returns the state.
    pub fn state(&self) -> &P {
        &self.state
    }

    /// Applies a transition of `author`.
    ///
    /// # Errors
    ///
    /// The machine's conflict, as JSON.
    ///
    /// # Panics
    ///
    /// The transition is malformed, or the machine panics.
    pub fn tries(&mut self, author: &str, transition: &Value) -> Result<(), Value> {
        let transition = encode::<P>(transition);
        let (author, client, number) = (Author(author.into()), ClientId([1; 16]), Number(self.seq.next().0));
        self.handle(Input::Transition { author, client, number, transition })
    }

    /// Applies a transition of `author`, which must be accepted.
    ///
    /// # Panics
    ///
    /// The transition is a conflict or malformed, or the machine panics.
    #[track_caller]
    pub fn does(&mut self, author: &str, transition: Value) {
        assert_eq!(self.tries(author, &transition), Ok(()), "{author} {transition}");
    }

    /// Tries a transition of `author`, which must be this conflict and leave the state alone.
    ///
    /// # Panics
    ///
    /// The transition is accepted, malformed or another conflict, or the machine panics.
    #[track_caller]
    pub fn cannot(&mut self, author: &str, transition: Value, conflict: impl Into<Value>)
    where
        P: Clone + Debug + PartialEq,
    {
        let before = self.state.clone();
        assert_eq!(self.tries(author, &transition), Err(conflict.into()), "{author} {transition}");
        assert_eq!(self.state, before, "{author} {transition}");
    }

    /// Returns when the alarm is due, if one is set.
    ///
    /// # Panics
    ///
    /// The machine panics.
    pub fn alarm_at(&self) -> Option<u64> {
        self.alarm().map(|alarm| alarm.at.0)
    }

    /// Makes the alarm go off, so many microseconds after it was due.
    ///
    /// # Panics
    ///
    /// No alarm is set, or the machine refuses it.
    #[track_caller]
    pub fn rings(&mut self, late: u64) {
        let Alarm { at, transition } = self.alarm().expect("an alarm is set");
        self.now = at.0 + late;
        assert_eq!(self.handle(Input::Alarm(transition)), Ok(()), "the alarm");
    }

    /// Makes an alarm go off now, whatever is set.
    ///
    /// # Errors
    ///
    /// The machine's conflict, as JSON.
    ///
    /// # Panics
    ///
    /// The transition is malformed, or the machine panics.
    pub fn tries_to_ring(&mut self, transition: &Value) -> Result<(), Value> {
        let transition = encode::<P>(transition);
        self.handle(Input::Alarm(transition))
    }

    /// Returns what the machine shows of the state.
    ///
    /// # Panics
    ///
    /// The machine panics, or shows something other than JSON.
    pub fn view(&self) -> Value {
        let shown = machine().view(&self.state).unwrap_or_else(|fault| panic!("{fault}"));
        serde_json::from_str(&shown).expect("a view is JSON")
    }

    /// Goes on from the state that the snapshot restores, which must be the same one.
    ///
    /// # Panics
    ///
    /// The restored state, or its snapshot, differs.
    #[track_caller]
    pub fn restores(&mut self)
    where
        P: Debug + PartialEq,
    {
        let snapshot = self.snapshot();
        let restored = machine::<P>().restore(&snapshot, P::STATE_VERSION);
        let restored = restored.unwrap_or_else(|error| panic!("the snapshot is not restored: {error}"));
        assert_eq!(restored, self.state);
        self.state = restored;
        assert_eq!(self.snapshot(), snapshot, "the restored state has another snapshot");
    }

    fn snapshot(&self) -> Bytes {
        machine().snapshot(&self.state).unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn alarm(&self) -> Option<Alarm> {
        machine().alarm(&self.state).unwrap_or_else(|fault| panic!("{fault}"))
    }

    fn handle(&mut self, input: Input) -> Result<(), Value> {
        let (seq, time) = (self.seq.next(), Timestamp(self.now));
        match machine().apply(&self.state, &Event { seq, time, entropy: 0, input }) {
            Ok(state) => (self.state, self.seq) = (state, seq),
            Err(ApplyError::Refused(Refusal::Conflict(conflict))) => {
                return Err(serde_json::from_str(&conflict).expect("a conflict is JSON"));
            }
            Err(error) => panic!("{error}"),
        }
        assert!(self.alarm_at().is_none_or(|at| at > self.now), "the alarm must be later than the event that set it");
        Ok(())
    }
}

fn machine<P>() -> Native<P> {
    Native::default()
}

fn encode<P: Program>(transition: &Value) -> Bytes {
    let encoded = machine::<P>().encode(&transition.to_string());
    encoded.unwrap_or_else(|error| panic!("{transition}: {error}"))
}
