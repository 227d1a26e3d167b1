//! The journal of the simulation: the data that survives when the host crashes.

use std::sync::Arc;

use bytes::Bytes;
use reapply_sync::room::Note;
use reapply_sync::{
    Batch, Chain, Genesis, Input, Limits, OpenError, RoomId, Seq, Sequencer, Snapshot, SnapshotPolicy, Timestamp,
};

use crate::build::{Build, digest_of, number_of};
use crate::conditions::Conditions;
use crate::faults::Faults;
use crate::random::Random;
use crate::scenario::{Place, Scenario};

/// The data that outlives the host's process.
pub(crate) struct Journal {
    pub(crate) genesis: Genesis,
    /// Each record: the seq before it, its bytes, the chain after it, and its note.
    records: Vec<(Seq, Bytes, Chain, Note)>,
    pub(crate) snapshots: Vec<Arc<Snapshot>>,
    /// The current note about the room.
    pub(crate) note: Note,
    /// The limits within which the room is opened.
    limits: Limits,
    snapshot_policy: SnapshotPolicy,
    /// The faults of the machines that open the room.
    pub(crate) faults: Faults,
}

impl Journal {
    pub(crate) fn new(machine: &str, nonce: u64, conditions: &Conditions, faults: Faults) -> Self {
        let digest = digest_of(machine, 0);
        let room = RoomId { machine: machine.parse().unwrap(), room: "simulated".parse().unwrap() };
        let genesis = Genesis { room, digest, options: String::new(), time: Timestamp(1_000_000), nonce };
        Self {
            genesis,
            records: Vec::new(),
            snapshots: Vec::new(),
            note: Note::default(),
            limits: conditions.limits,
            snapshot_policy: conditions.snapshot_policy,
            faults,
        }
    }

    pub(crate) fn store(&mut self, batch: &Batch, note: Note) {
        self.note = note;
        self.records.push((batch.expected, batch.body.clone(), batch.chain, note));
    }

    /// Goes back to an earlier moment, as if a backup from then had been restored. Returns the log's head.
    pub(crate) fn restore(&mut self, random: &mut Random) -> Seq {
        self.records.truncate(random.index(self.records.len() + 1));
        let ends = |(expected, body, ..): &(Seq, Bytes, Chain, Note)| {
            expected.0 + Batch::read(*expected, body).expect("the log reads back").len() as u64
        };
        let head = Seq(self.records.last().map_or(0, ends));
        self.note = self.records.last().map(|(.., note)| *note).unwrap_or_default();
        self.snapshots.retain(|snapshot| snapshot.seq <= head);
        head
    }

    /// Returns whether the log has a checkpoint of this snapshot. A snapshot that follows an upgrade is stored before its checkpoint.
    pub(crate) fn binds(&self, snapshot: &Snapshot) -> bool {
        let checkpoint = Input::Checkpoint { seq: snapshot.seq, hash: snapshot.state_hash() };
        let near = self.records.iter().rev().take_while(|(expected, ..)| expected.next() >= snapshot.seq);
        near.flat_map(|(expected, body, ..)| Batch::read(*expected, body).expect("the log reads back")).any(|event| {
            let is_upgrade = event.seq == snapshot.seq && matches!(event.input, Input::Upgraded(_));
            is_upgrade || event.input == checkpoint
        })
    }

    /// Opens the room as a host does: from a snapshot, if there is one, and the records after it.
    pub(crate) fn open<S: Scenario>(
        &self,
        scenario: &S,
        snapshot: Option<&Snapshot>,
    ) -> Result<Sequencer<Build<S::Machine>>, OpenError> {
        let mut chain = self.genesis.chain();
        let mut batches = Vec::new();
        for (expected, body, chain_after, _) in &self.records {
            let batch = Batch::decode(*expected, chain, body.clone(), *chain_after).expect("the log reads back");
            chain = batch.chain;
            if snapshot.is_none_or(|snapshot| snapshot.seq <= *expected) {
                batches.push(batch);
            }
        }
        let builds = |digest| Ok(self.build(scenario, number_of(S::NAME, digest)));
        let (log, genesis) = (self.genesis.log_id(), self.genesis.clone());
        let mut sequencer = Sequencer::open_within(self.limits, builds, log, genesis, snapshot.cloned(), batches)?;
        sequencer.set_snapshot_policy(self.snapshot_policy);
        Ok(sequencer)
    }

    /// Returns a build that does not break off.
    pub(crate) fn sound_build<S: Scenario>(&self, scenario: &S, number: u8) -> Build<S::Machine> {
        Build::new(scenario.machine(Place::Replica), number, self.faults.without())
    }

    /// Returns a build as the host runs it.
    pub(crate) fn build<S: Scenario>(&self, scenario: &S, number: u8) -> Build<S::Machine> {
        Build::new(scenario.machine(Place::Host), number, self.faults.clone())
    }

    /// Opens the room to wake it. An alarm that the journal does not note has failed; a new room begins with its first alarm noted. If nobody
    /// is noted as present, nobody is.
    pub(crate) fn wake<S: Scenario>(
        &mut self,
        scenario: &S,
        snapshot: Option<&Snapshot>,
    ) -> Result<Sequencer<Build<S::Machine>>, OpenError> {
        let mut sequencer = self.open(scenario, snapshot)?;
        if self.records.is_empty() {
            self.note.alarm = sequencer.alarm_at();
        } else if self.note.alarm.is_none() {
            sequencer.spend_alarm();
        }
        assert!(
            self.note.is_occupied || !sequencer.is_occupied(),
            "somebody is present, and the journal does not note it"
        );
        Ok(sequencer)
    }
}
