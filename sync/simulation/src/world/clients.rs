//! The clients' side of a run: frames that reach them, and mischief on the way.

use reapply_sync::{Author, ClientKey, ServerMessage};

use super::World;
use super::stranger::STRANGER;
use super::task::Task;
use crate::build::to_json;
use crate::scenario::{Ask, Scenario};

impl<S: Scenario> World<S> {
    pub(super) fn frame_down(&mut self, connection: usize, frame: &[u8]) {
        let index = self.connections[connection].client;
        if index == STRANGER {
            return self.check_stranger(connection, frame);
        }
        let is_open = self.connections[connection].down.is_open(self.now);
        let Some((id, _)) = self.pages[index].connection.filter(|(_, open)| *open == connection && is_open) else {
            return;
        };
        if let Ok(ServerMessage::Welcome(welcome)) = ServerMessage::decode(frame) {
            self.connections[connection].welcomed_at = welcome.head;
        }
        self.note_heard(index, frame);
        self.tell(index, |driver, now| driver.handle_frame(id, frame, now));
        self.note_epoch(index);
        // The page may wait for more frames before it performs the effects.
        if self.random.percent(70) || self.is_calm {
            self.pump_page(index);
        } else {
            self.schedule(0, Task::Pump { page: index });
        }
    }

    /// Tells a client that a connection is gone.
    pub(super) fn client_closed(&mut self, connection: usize) {
        let index = self.connections[connection].client;
        if index == STRANGER {
            return;
        }
        if let Some((id, _)) = self.pages[index].connection.take_if(|(_, open)| *open == connection) {
            self.drive(index, |driver, now| driver.handle_lost(id, None, now));
        }
    }

    /// Cuts a connection: each end learns of it in its own time, and frames that are under way beyond that are lost.
    pub(super) fn cut(&mut self, connection: usize) {
        let up_at = self.connections[connection].up.cut(self.now, &mut self.random);
        let down_at = self.connections[connection].down.cut(self.now, &mut self.random);
        self.schedule(up_at.saturating_sub(self.now), Task::UpClosed { connection });
        self.schedule(down_at.saturating_sub(self.now), Task::DownClosed { connection });
    }

    /// Checks the conditions that hold whenever a page has performed all effects of its driver.
    pub(super) fn check_page(&mut self, index: usize) {
        let Some(audited) = self.audited(index) else { return };
        let undecided = self.auditor.undecided(audited);
        let page = &mut self.pages[index];
        let Some(driver) = &mut page.driver else { return };
        let Some(replica) = driver.replica() else { return };
        assert_eq!(replica.pending(), undecided, "pending is not what has no outcome");
        let Some((seq, _)) = replica.confirmed_at() else { return };
        if let Some((_, shown)) = driver.optimistic() {
            S::check_shown(shown);
        }
        let Some((_, state)) = driver.confirmed() else { return };
        let model = self.auditor.model(seq, page.epoch);
        if S::agrees(model, state) {
            page.is_corrupted = false;
        } else {
            assert!(page.is_corrupted, "the confirmed state at {seq} is\n{state:?}\nwhere the log makes it\n{model:?}");
        }
    }

    pub(super) fn act(&mut self, tab: usize) {
        let Some(index) = self.tabs[tab].page else { return };
        let what = if self.random.percent(self.pads_percent) {
            S::ballast(8_000)
        } else {
            let shown = self.pages[index].driver.as_mut().and_then(|driver| driver.optimistic());
            self.scenario.act(tab, shown.map(|(_, state)| state), &mut self.random)
        };
        self.apply(tab, what);
    }

    pub(super) fn apply(&mut self, tab: usize, what: S::What) {
        self.nonces += 1;
        let plain = Ask { nonce: self.nonces, what }.encode();
        let Some(index) = self.tabs[tab].page else { return };
        // A page that is gone asks for nothing.
        if let Some(applied) = self.drive(index, |driver, now| driver.apply(&to_json(&plain), now)) {
            applied.expect("a page that is there is not closed");
        }
    }

    pub(super) fn mischief(&mut self) {
        let tab = self.random.index(self.tabs.len());
        match self.random.below(14) {
            12.. => self.disturb_store(tab),
            10..12 => self.upgrade_room(),
            0..5 => {
                let connection = self.tabs[tab].page.and_then(|page| self.pages[page].connection);
                if let Some((_, connection)) = connection {
                    self.cut(connection);
                }
            }
            5..7 => self.crash_host(),
            7 => self.corrupt(tab),
            _ => self.reload(tab),
        }
    }

    /// Loads the page again. Only the entries that it has written are left of it, and the tab's own storage; in a new tab not even that.
    fn reload(&mut self, tab: usize) {
        let Some(index) = self.tabs[tab].page else { return };
        self.coverage.reloads += 1;
        let is_in_order = self.random.percent(50);
        self.end_page(index, is_in_order);
        match self.random.below(4) {
            0 => self.tabs[tab].kept_key = None,
            1 => {
                // A duplicated tab has a copy of another's storage.
                let other = self.random.index(self.tabs.len());
                if self.tabs[other].browser == self.tabs[tab].browser {
                    self.tabs[tab].kept_key = self.tabs[other].kept_key.clone();
                }
            }
            _ => {}
        }
        self.load(tab);
    }

    /// Closes a page's store for the browser, which may have lost everything in it.
    fn disturb_store(&mut self, tab: usize) {
        let Some(index) = self.tabs[tab].page else { return };
        if self.random.percent(20) {
            self.browsers[self.tabs[tab].browser].clear();
        }
        self.drive(index, |driver, now| driver.handle_store_closed(now));
        let after = self.random.below(3_000_000);
        self.schedule(after, Task::StoreOpens { page: index });
    }

    /// Flips something in a replica's confirmed state, as a bug of the machine or of its engine would.
    fn corrupt(&mut self, tab: usize) {
        let Some(index) = self.tabs[tab].page else { return };
        let page = &mut self.pages[index];
        // A second corruption could hide the first one.
        if page.is_corrupted {
            return;
        }
        let Some((_, state)) = page.driver.as_mut().and_then(|driver| driver.confirmed()) else { return };
        if self.scenario.corrupt(state, &mut self.random) {
            page.is_corrupted = true;
            self.coverage.corruptions += 1;
        }
    }

    /// Returns the participant of a page. Some participants have two tabs.
    pub(super) fn author_of(&self, index: usize) -> Author {
        Author(format!("participant {}", self.pages[index].tab % 5).into())
    }

    /// Returns the key that an application has chosen for one of its tabs.
    pub(super) fn given_key(tab: usize) -> ClientKey {
        ClientKey([tab as u8; 16])
    }
}
