//! Machines without a fault pass, and the report shows what was tried.

use reapply_check::check;
use reapply_guest::{Event, Input, Program};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A program that uses everything: options, authors, membership, times, alarms, entropy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Party {
    limit: u8,
    guests: Vec<String>,
    toast: Option<u64>,
    dice: Vec<u8>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Options {
    #[schemars(range(max = 3))]
    limit: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(example = Ask::Open("open sesame".to_owned()))]
enum Ask {
    Roll,
    ToastIn { seconds: u16 },
    Toast,
    Open(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
enum Conflict {
    NotHere,
    WrongWord,
    TooSoon,
}

impl Program for Party {
    type Options = Options;
    type Transition = Ask;
    type Conflict = Conflict;

    const MEMBERSHIP: bool = true;

    fn create(options: Options) -> Result<Self, String> {
        match options.limit {
            Some(0) => Err("a party of nobody".to_owned()),
            limit => Ok(Self { limit: limit.unwrap_or(5), ..Self::default() }),
        }
    }

    fn apply(&self, event: &Event<Ask>) -> Result<Self, Conflict> {
        let mut next = self.clone();
        match &event.input {
            Input::Joined(guest) if next.guests.len() < self.limit.into() => next.guests.push(guest.clone()),
            Input::Joined(_) => {}
            Input::Left(guest) => next.guests.retain(|other| other != guest),
            Input::Transition { author, .. } if !self.guests.contains(author) => return Err(Conflict::NotHere),
            Input::Transition { transition: Ask::Roll, .. } => next.dice.push((event.entropy % 6) as u8 + 1),
            Input::Transition { transition: Ask::Open(word), .. } if word != "open sesame" => {
                return Err(Conflict::WrongWord);
            }
            Input::Transition { transition: Ask::Open(_), .. } => next.dice.clear(),
            Input::Transition { transition: Ask::ToastIn { seconds: 0 }, .. } => return Err(Conflict::TooSoon),
            Input::Transition { transition: Ask::ToastIn { seconds }, .. } => {
                next.toast = Some(event.time + u64::from(*seconds) * 1_000_000);
            }
            Input::Transition { transition: Ask::Toast, .. } | Input::Alarm(_) => next.toast = None,
        }
        Ok(next)
    }

    fn alarm(&self) -> Option<reapply_guest::Alarm<Ask>> {
        self.toast.map(|at| reapply_guest::Alarm { at, transition: Ask::Toast })
    }
}

#[test]
fn everything_of_a_program_is_tried() {
    let report = check::<Party>().histories(300).run().unwrap_or_else(|failure| panic!("{failure}"));
    println!("{report}");
    assert_eq!((report.machine.as_str(), report.histories, report.warnings.len()), ("Party", 300, 0), "{report}");
    let kinds: Vec<&str> = report.transitions.iter().map(|kind| kind.kind.as_str()).collect();
    assert_eq!(kinds, ["Roll", "Toast", "ToastIn", "Open"]);
    assert!(report.transitions.iter().all(|kind| kind.accepted > 50 && kind.conflict > 50), "{report}");
    let conflicts: Vec<&str> = report.conflicts.iter().map(|count| count.kind.as_str()).collect();
    assert_eq!(conflicts, ["NotHere", "WrongWord", "TooSoon"]);
    assert!(report.conflicts.iter().all(|count| count.count > 10), "{report}");
    assert!(report.alarms > 50 && report.malformed > 10 && report.options_refused > 5, "{report}");
    assert!(report.snapshot_bytes.max > report.snapshot_bytes.p50 && report.fuel.is_none(), "{report}");
}

/// Checks that an example machine keeps every rule, and accepts every kind of transition.
fn guest<P: Program>(histories: u64) {
    let report = check::<P>().histories(histories).run().unwrap_or_else(|failure| panic!("{failure}"));
    println!("{report}");
    assert_eq!(report.warnings, [""; 0], "{report}");
}

#[test]
fn the_guests_keep_every_rule() {
    guest::<auction::Auction>(200);
    guest::<cells::Cells>(100);
    guest::<counter::Counter>(100);
    guest::<drop_four::DropFour>(400);
    guest::<text::Room>(100);
    guest::<tic_tac_toe::TicTacToe>(400);
    guest::<timer::Timer>(200);
    guest::<todo::Todo>(100);
    guest::<whiteboard::Whiteboard>(100);
}
