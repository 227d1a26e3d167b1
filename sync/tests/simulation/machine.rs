//! The machine under simulation, native: like a wasmtime instance it loses every state when it breaks.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use reapply_simulation::{Place, Random, Scenario};
use reapply_sync::limits::TRANSITION_BYTES_MAX;
use reapply_sync::{Alarm, ApplyError, CodecError, Event, Fault, LoadError, Machine, Timestamp};

use crate::book::{Book, LONG, What};

/// Rooms of books. The book is already a plain function, so it is its own model.
pub(crate) struct Books {
    membership: bool,
}

impl Scenario for Books {
    type Machine = Native;
    type What = What;
    type Model = Book;

    const NAME: &'static str = "book";

    fn new(random: &mut Random) -> Self {
        Self { membership: random.percent(50) }
    }

    fn machine(&self, place: Place) -> Native {
        Native::new(place, place == Place::Replica || self.membership)
    }

    fn act(&mut self, _client: usize, _shown: Option<&Handle>, random: &mut Random) -> What {
        match random.below(20) {
            0..4 => What::Append,
            4..7 => What::Earn(random.below(4)),
            7..10 => What::Spend(random.below(4)),
            10..14 => {
                // A guess at the current entry, so that replicas predict success and lose races.
                let (key, expected, value) = (random.below(2) as u8, random.below(2), random.below(2));
                What::Swap { key, expected, value }
            }
            14..16 => What::Roll,
            16 if random.percent(5) => What::RingLong { after: random.below(2_000_000) },
            16 => What::Ring { after: random.below(2_000_000), times: random.below(4) as u8 },
            17 => What::Trap,
            18 => What::TrapIfOdd,
            _ => What::Exhaust,
        }
    }

    fn ballast(bytes: usize) -> What {
        What::Pad(vec![7; bytes].into())
    }

    fn corrupt(&mut self, state: &Handle, _random: &mut Random) -> bool {
        state.book.borrow_mut().counter ^= 1 << 20;
        true
    }

    fn genesis() -> Book {
        Book::default()
    }

    fn expected(book: &Book, event: &Event) -> Result<Book, ApplyError> {
        book.apply(event)
    }

    fn alarm(book: &Book) -> Option<Timestamp> {
        book.ring.map(|(at, _)| Timestamp(at))
    }

    fn check_shown(state: &Handle) {
        state.book.borrow().check_shown();
    }

    fn agrees(book: &Book, state: &Handle) -> bool {
        *state.book.borrow() == *book
    }
}

/// A transition that is longer than the limit.
const TOO_LONG: &[u8] = &[b'r'; TRANSITION_BYTES_MAX + 1];

#[derive(Debug)]
pub(crate) struct Native {
    place: Place,
    membership: bool,
    /// The number of the machine's start; a state of an earlier one is lost.
    start: u64,
    is_broken: bool,
}

/// A handle. The cell lets the simulation corrupt a state.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    start: u64,
    book: Rc<RefCell<Book>>,
}

impl Native {
    fn new(place: Place, membership: bool) -> Self {
        Self { place, membership, start: 0, is_broken: false }
    }

    fn handle(&self, book: Book) -> Handle {
        assert!(!self.is_broken, "a machine was used after it had broken off");
        Handle { start: self.start, book: Rc::new(RefCell::new(book)) }
    }

    fn check(&self, state: &Handle) {
        assert!(!self.is_broken, "a machine was used after it had broken off");
        assert_eq!(state.start, self.start, "a state was used that its machine had lost");
    }
}

impl Machine for Native {
    type State = Handle;

    fn create(&mut self, _options: &str) -> Result<Handle, LoadError> {
        Ok(self.handle(Book::default()))
    }

    fn restore(&mut self, snapshot: &[u8], state_version: u32) -> Result<Handle, LoadError> {
        assert_eq!(state_version, 3);
        let book = postcard::from_bytes(snapshot).map_err(|error| LoadError::Refused(error.to_string()))?;
        Ok(self.handle(book))
    }

    fn apply(&mut self, state: &Handle, event: &Event) -> Result<Handle, ApplyError> {
        self.check(state);
        let applied = state.book.borrow().apply(event);
        match applied {
            Ok(book) => Ok(self.handle(book)),
            Err(ApplyError::Fault(Fault::Exhausted(_))) if self.place == Place::Replica => {
                Ok(self.handle(state.book.borrow().clone()))
            }
            Err(no) => {
                self.is_broken = matches!(no, ApplyError::Fault(_));
                Err(no)
            }
        }
    }

    fn snapshot(&mut self, state: &Handle) -> Result<Bytes, Fault> {
        self.check(state);
        Ok(postcard::to_allocvec(&*state.book.borrow()).unwrap().into())
    }

    fn alarm(&mut self, state: &Handle) -> Result<Option<Alarm>, Fault> {
        self.check(state);
        let ring = state.book.borrow().ring;
        let transition = |times| if times == LONG { TOO_LONG } else { b"ring" };
        Ok(ring.map(|(at, times)| Alarm { at: Timestamp(at), transition: Bytes::from_static(transition(times)) }))
    }

    /// Fails always: the simulation's builds do the encoding.
    fn encode(&mut self, json: &str) -> Result<Bytes, CodecError> {
        Err(CodecError::Refused(json.to_owned()))
    }

    fn decode(&mut self, _transition: &[u8]) -> Result<String, CodecError> {
        Err(CodecError::Refused(String::new()))
    }

    fn state_version(&self) -> u32 {
        3
    }

    fn membership(&self) -> bool {
        self.membership
    }

    fn reset(&mut self) -> Result<(), Fault> {
        self.is_broken = false;
        self.start += 1;
        Ok(())
    }
}
