//! The identity of a page: the locks and the storage of a browser, as the shipped [`Arrival`] asks for them.

use reapply_client_core::identity::{Patience, TabKey};
use reapply_client_core::{Answer, Arrival, Ask, Identity, Role, Step, Store, Wish};
use reapply_sync::ClientKey;

use super::World;
use super::browser::Lock;
use super::task::Task;
use crate::build::from_json;
use crate::scenario::Scenario;

impl<S: Scenario> World<S> {
    pub(super) fn begin_arrival(&mut self, index: usize, wish: Wish) {
        let (arrival, step) = Arrival::begin(wish, true, &mut || self.random.bits());
        self.pages[index].arrival = Some(arrival);
        self.follow(index, step);
    }

    fn follow(&mut self, index: usize, step: Step<Identity>) {
        match step {
            Step::Ask(ask) => self.ask_later(index, ask),
            Step::End(identity) => {
                self.pages[index].arrival = None;
                self.arrived(index, identity);
            }
        }
    }

    fn ask_later(&mut self, index: usize, ask: Ask) {
        self.pages[index].ask = Some(ask);
        let after = self.random.below(30_000);
        self.schedule(after, Task::Answer { page: index });
    }

    /// Gives a page's arrival the answer to its question.
    pub(super) fn answer(&mut self, index: usize) {
        let Some(ask) = self.pages[index].ask.take() else { return };
        if ask == Ask::TabKey {
            let (tab_key, step) = TabKey::begin(true);
            self.pages[index].tab_key = Some(tab_key);
            return self.follow_key(index, step);
        }
        let answer = self.find_out(index, ask);
        if let Some(mut tab_key) = self.pages[index].tab_key.take() {
            let step = tab_key.answer(answer, &mut || self.random.bits());
            self.pages[index].tab_key = Some(tab_key);
            return self.follow_key(index, step);
        }
        self.go_on(index, answer);
    }

    fn go_on(&mut self, index: usize, answer: Answer) {
        let Some(mut arrival) = self.pages[index].arrival.take() else { return };
        let step = arrival.answer(answer, &mut || self.random.bits());
        self.pages[index].arrival = Some(arrival);
        self.follow(index, step);
    }

    fn follow_key(&mut self, index: usize, step: Step<ClientKey>) {
        match step {
            Step::Ask(ask) => self.ask_later(index, ask),
            Step::End(key) => {
                self.pages[index].tab_key = None;
                self.go_on(index, Answer::Key(key));
            }
        }
    }

    fn find_out(&mut self, index: usize, ask: Ask) -> Answer {
        let (tab, browser) = (self.pages[index].tab, self.browser_of(index));
        match ask {
            Ask::OpenStore => {
                let is_silent = self.pages[index].is_store_silent;
                if is_silent {
                    let after = 1_000_000 + self.random.below(5_000_000);
                    self.schedule(after, Task::StoreOpens { page: index });
                }
                Answer::Is(!is_silent)
            }
            Ask::KeptKey => Answer::Key(self.tabs[tab].kept_key.clone()),
            Ask::KeepKey(key) => {
                self.tabs[tab].kept_key = Some(key);
                Answer::Done
            }
            Ask::LockKey(key, patience) => Answer::Is(self.lock(index, Lock::Key(key.0), patience)),
            Ask::LockRoom(key, patience) => Answer::Is(self.lock(index, Lock::Room(key.0), patience)),
            Ask::Unlock(key) => {
                self.browsers[browser].release(Lock::Room(key.0), index);
                Answer::Done
            }
            Ask::Orphans if self.pages[index].is_store_silent => Answer::Clients(Vec::new()),
            Ask::Orphans => Answer::Clients(self.browsers[browser].orphans()),
            Ask::Read(_) if self.random.percent(3) && !self.is_calm => Answer::Left(None),
            Ask::Read(key) => Answer::Left(Some(self.browsers[browser].read(&key))),
            Ask::TabKey => unreachable!("it is asked step by step"),
        }
    }

    fn lock(&mut self, index: usize, lock: Lock, patience: Patience) -> bool {
        let browser = self.browser_of(index);
        if self.browsers[browser].is_held(lock, index) && patience != Patience::Steal {
            return false;
        }
        if let Some(former) = self.browsers[browser].take(lock, index) {
            self.pages[former].is_lost = true;
            self.drive(former, |driver, _| driver.handle_identity_lost());
        }
        true
    }

    fn arrived(&mut self, index: usize, identity: Option<Identity>) {
        let Some(identity) = identity else {
            let parent = self.pages[index].courier_of.expect("every page is somebody");
            self.drive(parent, |driver, now| driver.handle_orphan(None, now));
            return;
        };
        if self.pages[index].is_lost {
            let parent = self.pages[index].courier_of.expect("a page that has lost its client is gone");
            self.drive(parent, |driver, now| driver.handle_orphan(Some(identity.key), now));
            return self.end_page(index, true);
        }
        let client = identity.key.client_id();
        let life = self.lives.entry(client).and_modify(|life| *life += 1).or_default();
        let page = (client, *life);
        self.pages[index].client = Some((identity.key.clone(), identity.is_given, *life));
        if identity.left.is_none() {
            self.auditor.note_blind(page);
        }
        for entry in identity.left.iter().flat_map(|left| &left.entries) {
            if let Some(number) = entry.number {
                self.auditor.note_restored(page, number, &from_json(&entry.json));
                self.coverage.restored += 1;
            } else {
                self.auditor.note_unnumbered(page, &from_json(&entry.json));
            }
        }
        if let Some(parent) = self.pages[index].courier_of {
            self.begin_driver(index, Role::Courier);
            self.drive(parent, |driver, now| driver.handle_orphan(Some(identity.key.clone()), now));
        }
        let is_late = identity.store == Store::Closed && !self.pages[index].is_store_silent;
        self.tell(index, |driver, now| driver.handle_identity(identity, now));
        if is_late {
            self.tell(index, |driver, _| driver.handle_store_opened());
        }
        self.pump_page(index);
    }
}
