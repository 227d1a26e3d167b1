//! A sequencer that is called in any order, with any arguments, keeps its promises and never panics.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use reapply_sync::limits::CLIENT_REMEMBERED_MICROS;
use reapply_sync::{
    Author, Batch, ClientId, ClientKey, Fault, Hello, Input, LogId, Number, Rejection, Resume, Seq, Sequencer,
    SessionId, Snapshot, SnapshotPolicy, Submit, Timestamp, Tried,
};

use crate::tally::{Tally, digest, genesis, transition};

#[derive(Clone, Debug)]
enum Call {
    Submit { client: u8, number: u64, transition: Bytes },
    Refused { client: u8, number: u64 },
    Joined(u8),
    Left(u8),
    Alarm,
    Appended,
    AppendFailed,
    Batch,
    Rejected,
    Snapshot,
    Tried(Tried),
    RetryTrial,
    Fault,
    Welcome { client: u8, resume: Option<(bool, u64)> },
    Read(u64),
}

fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 0..12u64, 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

fn calls() -> impl Strategy<Value = Vec<(Call, u64)>> {
    let transitions = prop_oneof![
        9 => (0..30u64).prop_map(transition),
        1 => vec(any::<u8>(), 0..20).prop_map(Bytes::from),
        1 => (60_000..70_000usize).prop_map(|length| vec![0; length].into()),
    ];
    let call = prop_oneof![
        8 => (0..4u8, numbers(), transitions)
            .prop_map(|(client, number, transition)| Call::Submit { client, number, transition }),
        1 => (0..4u8, numbers()).prop_map(|(client, number)| Call::Refused { client, number }),
        1 => (0..3u8).prop_map(Call::Joined),
        1 => (0..3u8).prop_map(Call::Left),
        1 => Just(Call::Alarm),
        4 => Just(Call::Appended),
        1 => Just(Call::AppendFailed),
        4 => Just(Call::Batch),
        3 => Just(Call::Rejected),
        1 => Just(Call::Snapshot),
        2 => Just(Call::Tried(Tried::Restored)),
        1 => prop_oneof![Just(Tried::Failed("no".to_owned())), Just(Tried::NotTried)].prop_map(Call::Tried),
        1 => Just(Call::RetryTrial),
        1 => Just(Call::Fault),
        1 => (0..4u8, any::<Option<(bool, u64)>>()).prop_map(|(client, resume)| Call::Welcome { client, resume }),
        1 => numbers().prop_map(Call::Read),
    ];
    // Nobody is silent for so long that the room's memory would depend on when it took snapshots.
    let times = prop_oneof![9 => 0..1000u64, 1 => 0..CLIENT_REMEMBERED_MICROS];
    vec((call, times), 0..150)
}

/// The sequencer's effects as the outside world has seen them.
struct Seen {
    sequencer: Sequencer<Tally>,
    in_flight: Option<Arc<Batch>>,
    log: Vec<Arc<Batch>>,
    logged: BTreeSet<(ClientId, Number)>,
    rejected: BTreeSet<(ClientId, Number)>,
    snapshots: Vec<Arc<Snapshot>>,
    on_trial: Option<Seq>,
    last_time: Timestamp,
}

impl Seen {
    fn call(&mut self, call: Call, now: Timestamp) {
        let author = |index: u8| Author(format!("author {index}").into());
        let client_id = |index: u8| ClientKey([index; 16]).client_id();
        let sequencer = &mut self.sequencer;
        match call {
            Call::Submit { client, number, transition } => {
                let (author, client) = (author(client % 3), client_id(client));
                sequencer.handle_submit(
                    Submit { author, client, number: Number(number), upgraded: Seq(0), transition },
                    now,
                    number,
                );
            }
            Call::Refused { client, number } => {
                let (author, client, number) = (author(client), client_id(client), Number(number));
                let refused = Submit { author, client, number, upgraded: Seq(0), transition: Bytes::new() };
                sequencer.handle_refused(&refused, Rejection::Forbidden("no".to_owned()));
            }
            Call::Joined(index) => sequencer.handle_joined(author(index), now, 1),
            Call::Left(index) => sequencer.handle_left(author(index), now, 1),
            Call::Alarm => sequencer.handle_alarm(now, 1),
            Call::Appended => self.appended(),
            Call::AppendFailed => {
                sequencer.handle_append_failed();
                self.in_flight = None;
            }
            Call::Batch => {
                if let Some(batch) = sequencer.poll_batch() {
                    assert!(self.in_flight.replace(batch).is_none(), "two batches at once");
                }
            }
            Call::Rejected => {
                if let Some(rejected) = sequencer.poll_rejected() {
                    let name = (rejected.client, rejected.number);
                    assert!(!self.logged.contains(&name), "{name:?} is in the log, and was rejected");
                    self.rejected.insert(name);
                }
            }
            Call::Snapshot => self.snapshots.extend(sequencer.write_snapshot().map(Arc::new)),
            Call::Tried(tried) => {
                if let Some(seq) = self.on_trial.take() {
                    sequencer.handle_tried(seq, tried);
                }
            }
            Call::RetryTrial => sequencer.retry_trial(),
            Call::Fault => drop(sequencer.handle_fault("view", Fault::Trapped("a view".to_owned()))),
            Call::Welcome { client, resume } => self.welcome(client, resume, now),
            Call::Read(after) => drop(sequencer.history().read(Seq(after))),
        }
        if let Some(snapshot) = self.sequencer.poll_trial() {
            self.on_trial = Some(snapshot.seq);
        }
        self.snapshots.extend(self.sequencer.poll_snapshot());
        while self.sequencer.poll_report().is_some() {}
        assert!(!self.sequencer.is_broken());
    }

    fn appended(&mut self) {
        self.sequencer.handle_appended();
        let Some(batch) = self.in_flight.take() else { return };
        for event in &batch.events {
            assert!(self.last_time <= event.time, "time went back");
            self.last_time = event.time;
            if let Input::Transition { client, number, .. } = event.input {
                assert!(self.logged.insert((client, number)), "{client}'s {number} is doubled");
                assert!(!self.rejected.contains(&(client, number)), "{client}'s {number} had been rejected");
            }
        }
        assert_eq!(batch.expected, self.log.last().map_or(Seq(0), |last| last.last()));
        self.log.push(batch);
        assert_eq!(self.sequencer.history().head(), self.log.last().unwrap().last());
    }

    fn welcome(&mut self, client: u8, resume: Option<(bool, u64)>, now: Timestamp) {
        let log = |is_same| if is_same { genesis().log_id() } else { LogId([0; 16]) };
        let resume = resume.map(|(same, seq)| Resume {
            log: log(same),
            digest: digest(),
            seq: Seq(seq % 40),
            chain: self.sequencer.history().chain(),
        });
        let hello = Hello::new(ClientKey([client; 16]), resume);
        let (welcome, reader) = self.sequencer.welcome(&hello, SessionId(1), Author("x".into()), now);
        assert!(welcome.decided <= welcome.taken && reader.after() <= welcome.head);
        assert!(self.sequencer.history().read(reader.after()).is_ok());
        let told = welcome.rejected.iter().map(|(number, _)| *number).max();
        assert!(told <= Some(welcome.decided), "what is rejected is decided");
    }

    /// Checks that the room is restored identically from any snapshot.
    fn check_reopening(&mut self) {
        let head = |sequencer: &mut Sequencer<Tally>| sequencer.write_snapshot().unwrap();
        let open = |snapshot: Option<Snapshot>| {
            let from = snapshot.as_ref().map_or(Seq(0), |snapshot| snapshot.seq);
            let batches = self.log.iter().filter(|batch| batch.expected >= from).map(|batch| (**batch).clone());
            head(
                &mut Sequencer::open(
                    |_| Ok(Tally::default()),
                    genesis().log_id(),
                    genesis(),
                    snapshot,
                    batches.collect::<Vec<_>>(),
                )
                .unwrap(),
            )
        };
        let from_genesis = open(None);
        for snapshot in &self.snapshots {
            assert_eq!(open(Some((**snapshot).clone())), from_genesis);
        }
        assert_eq!(head(&mut self.sequencer), from_genesis);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_calls_in_any_order_keep_the_promises(calls in calls()) {
        let mut seen = Seen {
            sequencer: Sequencer::open(|_| Ok(Tally::default()), genesis().log_id(), genesis(), None, []).unwrap(),
            in_flight: None,
            log: Vec::new(),
            logged: BTreeSet::new(),
            rejected: BTreeSet::new(),
            snapshots: Vec::new(),
            on_trial: None,
            last_time: Timestamp(0),
        };
        // This policy makes the room take some snapshots along the way.
        seen.sequencer.set_snapshot_policy(SnapshotPolicy { events: Some(3), bytes: None });
        for (call, time) in calls {
            seen.call(call, Timestamp(time));
        }
        seen.check_reopening();
    }
}
