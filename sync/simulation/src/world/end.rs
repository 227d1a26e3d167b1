//! The end of a run: everyone has the state that the log makes, and so has whoever opens the room again.

use std::collections::BTreeSet;
use std::sync::Arc;

use reapply_client_core::Status;
use reapply_sync::room::Effect;
use reapply_sync::{Machine, Sequencer, Snapshot, Tried};

use super::World;
use crate::scenario::Scenario;

/// Maximum number of snapshots from which a run's log is replayed once more at its end.
const SNAPSHOTS_CHECKED_MAX: usize = 60;

impl<S: Scenario> World<S> {
    /// Checks everything at the end of a run.
    pub(super) fn check_end(&mut self) {
        self.auditor.check_log(self.coverage.restarts + self.coverage.slept > 0 || self.conditions.forgets);
        let mut opened = self.journal.open(&self.scenario, None).expect("the room opens");
        let alarm_at = opened.alarm_at();
        assert!(self.auditor.is_alarm_settled(alarm_at), "the alarm of {alarm_at:?} never went off");
        let from_genesis = self.check_at_rest(at_rest(opened));
        for tab in 0..self.tabs.len() {
            self.check_tab_end(tab, &from_genesis);
        }
        let is_delivering = self.pages.iter().any(|page| page.courier_of.is_some() && page.driver.is_some());
        assert!(!is_delivering, "a courier has not left");
        self.check_presence();
        for snapshot in &self.some_snapshots() {
            self.auditor.check_clients(snapshot);
            let reopened = self.journal.open(&self.scenario, Some(snapshot)).expect("the room opens");
            let reopened = self.check_at_rest(at_rest(reopened));
            assert_eq!(reopened, from_genesis, "reopened from {} the room is another", snapshot.seq);
        }
        let shell = self.room.as_ref().expect("the clients are there");
        assert!(shell.room.sequencer().is_settled() && !shell.room.sequencer().is_broken());
        self.auditor.check_all_answered(&BTreeSet::new());
        assert!(!self.is_upgrading, "somebody waits for an upgrade");
        let living = self.with_room(|shell, now| {
            shell.room.set_slice(None);
            shell.room.handle_lost();
            shell.room.write_snapshot(now)
        });
        let living = living.flatten();
        let living = self.check_at_rest(living.expect("the room writes its state"));
        assert_eq!(living, from_genesis, "the living room is not its log");
        self.stop_room();
    }

    /// Stops the room, which first stores everything that it still has to.
    fn stop_room(&mut self) {
        self.with_room(|shell, _| shell.room.handle_stop());
        let mut last = None;
        while let Some(effect) = self.with_room(|shell, now| shell.room.poll_effect(now)).flatten() {
            match &effect {
                Effect::Append { .. } => drop(self.with_room(|shell, now| shell.room.handle_appended(now))),
                Effect::TrySnapshot(snapshot) => {
                    self.with_room(|shell, _| shell.room.handle_tried(snapshot.seq, Tried::Restored));
                }
                _ => {}
            }
            last = Some(effect);
        }
        assert!(matches!(last, Some(Effect::Sleep { .. })), "the room does not stop: {last:?}");
    }

    fn check_tab_end(&mut self, tab: usize, from_genesis: &Snapshot) {
        let index = self.tabs[tab].page.expect("everybody comes");
        let page = self.audited(index).expect("everybody is somebody at the end");
        let undecided = self.auditor.undecided(page);
        let driver = self.pages[index].driver.as_mut().expect("the page is there");
        assert_eq!(driver.status(), Status::Live, "tab {tab} is not live");
        assert_eq!((driver.pending(), undecided), (0, 0), "tab {tab} still waits");
        let seq = driver.replica().and_then(|replica| replica.confirmed_at()).map(|(seq, _)| seq);
        assert_eq!(seq, Some(self.auditor.head()));
        let (machine, state) = driver.confirmed().expect("a live replica has a state");
        let model = self.auditor.newest();
        assert!(S::agrees(model, state), "tab {tab} ends with\n{state:?}\nwhere the log makes it\n{model:?}");
        let bytes = machine.snapshot(state).expect("a state has its bytes");
        assert_eq!(bytes, from_genesis.state, "tab {tab} has other bytes than the room");
        let (_, state) = driver.optimistic().expect("a live replica has a state");
        assert!(S::agrees(model, state), "tab {tab} shows\n{state:?}\nwhere the log makes it\n{model:?}");
    }

    /// Returns all snapshots that were stored, or a random choice of them if there are too many.
    fn some_snapshots(&mut self) -> Vec<Arc<Snapshot>> {
        let mut snapshots = self.journal.snapshots.clone();
        while snapshots.len() > SNAPSHOTS_CHECKED_MAX {
            snapshots.swap_remove(self.random.index(snapshots.len()));
        }
        snapshots
    }

    /// Returns everything that a room at rest would go on from, except for its clients. Those depend on when the room was awake, and are
    /// checked separately.
    fn check_at_rest(&self, snapshot: Snapshot) -> Snapshot {
        self.auditor.check_clients(&snapshot);
        Snapshot { clients: Vec::new(), forgotten: None, ..snapshot }
    }
}

fn at_rest<M: Machine>(mut sequencer: Sequencer<M>) -> Snapshot {
    sequencer.write_snapshot().expect("the room writes its state")
}
