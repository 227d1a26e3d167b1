//! Pages: each is the shell of a shipped driver. Their sockets, store and timers are the simulation's.

use reapply_client_core::{
    Backoff, ConnectionId, Decision, Driver, Effect, MachineFailure, NotTakenOn, Role, Status, Wish, Written,
};
use reapply_sync::room::{Now, Ticks};
use reapply_sync::{ClientMessage, Digest, Number, Phase, Rejection, Seq, SubmitError, Timestamp};

use super::World;
use super::browser::Fate;
use super::page::Page;
use super::signal_book::Heard;
use super::task::Task;
use crate::auditor;
use crate::build::{Build, from_json, number_of};
use crate::faults::{Doing, FaultRates, Faults};
use crate::network::Connection;
use crate::scenario::{Place, Scenario};

impl<S: Scenario> World<S> {
    /// Loads a page in a tab.
    pub(super) fn load(&mut self, tab: usize) {
        let index = self.new_page(tab, None);
        self.tabs[tab].page = Some(index);
        let wish = match &self.tabs[tab].given {
            Some(key) => Wish::Given(key.clone()),
            None if self.random.percent(5) => Wish::New,
            None => Wish::Tab,
        };
        self.begin_arrival(index, wish);
        self.begin_driver(index, Role::Participant);
    }

    fn new_page(&mut self, tab: usize, courier_of: Option<usize>) -> usize {
        let is_courier = courier_of.is_some();
        let is_store_silent = !self.is_calm && !is_courier && self.random.percent(self.conditions.store_silent_percent);
        self.coverage.stores_silent += u64::from(is_store_silent);
        let rates =
            if self.is_calm || self.is_long_over() { FaultRates::default() } else { self.conditions.page_faults };
        let faults = Faults::new(rates, self.conditions.bloats && !self.is_calm, &mut self.random);
        let index = self.pages.len();
        self.pages.push(Page {
            tab,
            driver: None,
            arrival: None,
            tab_key: None,
            ask: None,
            client: None,
            epoch: 0,
            confirmed: None,
            opening: None,
            connection: None,
            timer_at: None,
            courier_of,
            is_lost: false,
            is_store_silent,
            has_failed_write: false,
            is_corrupted: false,
            heard: Heard::default(),
            faults,
            has_applied_badly: false,
        });
        index
    }

    pub(super) fn begin_driver(&mut self, index: usize, role: Role) {
        let (ticks, time) = (Ticks(self.now), self.page_clock());
        let mut draw = || self.random.bits();
        let driver = Driver::new(role, Backoff::new(20_000, 2_000_000), &mut Now { ticks, time, entropy: &mut draw });
        self.pages[index].driver = Some(driver);
        self.pump_page(index);
    }

    /// Draws the time of a client's own clock.
    fn page_clock(&mut self) -> Timestamp {
        Timestamp(self.random.below(self.now * 2))
    }

    /// Calls a page's driver, and performs all effects that follow.
    pub(super) fn drive<T>(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut Driver<Build<S::Machine>>, &mut Now<'_>) -> T,
    ) -> Option<T> {
        let result = self.tell(index, act);
        self.pump_page(index);
        result
    }

    /// Calls a page's driver as `drive` does, but leaves the effects for later.
    pub(super) fn tell<T>(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut Driver<Build<S::Machine>>, &mut Now<'_>) -> T,
    ) -> Option<T> {
        let (ticks, time) = (Ticks(self.now), self.page_clock());
        let mut draw = || self.random.bits();
        let driver = self.pages[index].driver.as_mut()?;
        Some(act(driver, &mut Now { ticks, time, entropy: &mut draw }))
    }

    /// Returns the epoch that a page is told about. A page that joins is told about its transitions before it has a state of that log, and may
    /// have lost the connection by then.
    fn epoch_heard(&self, index: usize) -> usize {
        let page = &self.pages[index];
        let replica = page.driver.as_ref().and_then(|driver| driver.replica());
        let is_joining =
            replica.is_some_and(|replica| replica.phase() == Phase::Joining || replica.confirmed_at().is_none());
        match page.connection {
            Some((_, connection)) if is_joining => self.connections[connection].epoch,
            _ => page.epoch,
        }
    }

    /// Notes where the page's state comes from, after a frame or the new build that a frame had waited for.
    pub(super) fn note_epoch(&mut self, index: usize) {
        let page = &mut self.pages[index];
        let Some((_, connection)) = page.connection else { return };
        let Some(replica) = page.driver.as_ref().and_then(|driver| driver.replica()) else { return };
        let confirmed = replica.confirmed_at().map(|(seq, _)| seq);
        // A replica may have got its state, and have begun to join again.
        let has_moved = std::mem::replace(&mut page.confirmed, confirmed) != confirmed;
        if has_moved || matches!(replica.phase(), Phase::CatchingUp | Phase::Live) {
            page.epoch = self.connections[connection].epoch;
        }
    }

    pub(super) fn pump_page(&mut self, index: usize) {
        self.note_epoch(index);
        loop {
            let effect = self.tell(index, |driver, now| driver.poll_effect(now)).flatten();
            self.note_numbers(index);
            self.note_faults(index);
            let Some(effect) = effect else { break };
            self.perform_for(index, effect);
        }
        self.pages[index].has_applied_badly = false;
        self.set_timer(index);
        self.check_heard(index);
        self.check_page(index);
    }

    /// Returns the page as the auditor knows it, once the page is a client.
    pub(super) fn audited(&self, index: usize) -> Option<auditor::Page> {
        self.pages[index].client.as_ref().map(|(key, _, life)| (key.client_id(), *life))
    }

    /// Tells the auditor of each transition that has a number now.
    fn note_numbers(&mut self, index: usize) {
        let Some(page) = self.audited(index) else { return };
        let Some(driver) = &self.pages[index].driver else { return };
        let seen = driver.replica().and_then(|replica| replica.confirmed_at()).map_or(Seq(0), |(seq, _)| seq);
        let unknown = driver.undecided().filter(|(number, _)| !self.auditor.knows(page, *number));
        let unknown: Vec<_> = unknown.map(|(number, json)| (number, from_json(json))).collect();
        for (number, transition) in unknown {
            self.auditor.note_applied(page, number, transition, seen, self.pages[index].epoch);
        }
        self.note_marked(index, page);
    }

    /// Notes the transitions as sent that wait for the store to record so, whether or not they are sent in the end.
    fn note_marked(&mut self, index: usize, page: auditor::Page) {
        let Some(driver) = &self.pages[index].driver else { return };
        let Some(replica) = driver.replica() else { return };
        let sent = driver.undecided().filter_map(|(number, _)| Some((number, replica.sent_at(number)?)));
        let is_new = |number, head| self.auditor.sent(page, number).is_none_or(|sent| head < sent);
        let marked: Vec<_> = sent.filter(|(number, head)| is_new(*number, *head)).collect();
        for (number, head) in marked {
            self.auditor.note_sent(page, number, head);
        }
    }

    fn note_faults(&mut self, index: usize) {
        let struck = self.pages[index].faults.take();
        self.coverage.page_faults += struck.len() as u64;
        self.pages[index].has_applied_badly |= struck.iter().any(|(doing, _)| *doing == Doing::Apply);
    }

    fn set_timer(&mut self, index: usize) {
        let page = &mut self.pages[index];
        let Some(driver) = &mut page.driver else { return };
        // A live page waits only for the next heartbeat. With heartbeats a run would never come to rest.
        let is_at_rest = driver.status() == Status::Live && !page.has_failed_write;
        let Some(at) = driver.wake_at().filter(|_| !is_at_rest || self.now < self.heartbeats_until) else { return };
        let at = at.0.max(self.now);
        if page.timer_at.is_none_or(|timer_at| at < timer_at) {
            page.timer_at = Some(at);
            self.schedule(at - self.now, Task::PageTimer { page: index });
        }
    }

    pub(super) fn page_timer(&mut self, index: usize) {
        // A timer that an earlier one has replaced does nothing, or it would begin again forever.
        if self.pages[index].timer_at.take_if(|at| *at == self.now).is_none() {
            return;
        }
        self.drive(index, |driver, now| driver.handle_timer(now));
    }

    fn perform_for(&mut self, index: usize, effect: Effect) {
        match effect {
            Effect::Connect(connection) => {
                assert!(self.pages[index].opening.replace(connection).is_none(), "two connections at once");
                let after = self.random.below(100_000);
                self.schedule(after, Task::Connect { page: index, connection });
            }
            Effect::Disconnect(connection) => self.disconnect(index, connection),
            Effect::Send { connection, frame } => self.send_from(index, connection, &frame),
            Effect::Load(digest) => {
                let after = self.random.below(500_000);
                self.schedule(after, Task::MachineLoaded { page: index, digest });
            }
            Effect::Write { write, changes } => {
                let Some((key, is_given, _)) = self.pages[index].client.clone() else { panic!("nobody writes") };
                let fate = self.draw_fate();
                let browser = self.browser_of(index);
                self.browsers[browser].write(index, (key.0, is_given), (write, changes), fate);
                let after = self.random.below(50_000);
                self.schedule(after, Task::Written { browser });
            }
            Effect::OpenStore => {
                let after = self.random.below(50_000);
                self.schedule(after, Task::StoreOpens { page: index });
            }
            Effect::Decided { decision, .. } | Effect::Returned { decision, .. } => self.decided(index, decision),
            Effect::Signal(signal) => self.check_signal(index, &signal),
            Effect::Joined => {}
            Effect::FindOrphan => {
                let courier = self.new_page(self.pages[index].tab, Some(index));
                let served = self.pages[index].driver.as_ref().map(|driver| driver.served().to_vec());
                self.begin_arrival(courier, Wish::Orphan(served.unwrap_or_default()));
            }
            Effect::Diverged(divergence) => {
                self.coverage.divergences += 1;
                let has_faulted = divergence.ours.is_none() && self.pages[index].has_applied_badly;
                assert!(self.pages[index].is_corrupted || has_faulted, "a sound replica diverged");
            }
            Effect::Report(why) => panic!("{why}"),
            Effect::Closed { why } => self.closed(index, &why),
        }
    }

    fn draw_fate(&mut self) -> Fate {
        if self.is_calm || !self.random.percent(self.conditions.write_failures_percent) {
            return Fate::Stored;
        }
        self.coverage.writes_failed += 1;
        if self.random.percent(50) { Fate::Lost } else { Fate::Unanswered { is_stored: self.random.percent(50) } }
    }

    fn decided(&mut self, index: usize, decision: Decision) {
        match decision {
            Decision::Decided(number, outcome) => {
                let page = self.audited(index).expect("an outcome for nobody");
                self.auditor.note_outcome(page, number, outcome, self.epoch_heard(index));
            }
            Decision::Refused(NotTakenOn::NotSubmitted(SubmitError::Rejected(Rejection::Trapped(_)))) => {
                self.coverage.local_traps += 1;
            }
            Decision::Refused(NotTakenOn::NotSubmitted(SubmitError::Rejected(_) | SubmitError::NotReady)) => {}
            Decision::Refused(other) => panic!("{other}"),
        }
    }

    fn send_from(&mut self, index: usize, id: ConnectionId, frame: &bytes::Bytes) {
        let Some((_, connection)) = self.pages[index].connection.filter(|(open, _)| *open == id) else {
            panic!("sent on a connection that is not open")
        };
        if let Ok(ClientMessage::Submit { number, .. }) = ClientMessage::decode(frame) {
            self.note_sent(index, connection, number);
        }
        if let Some(at) = self.connections[connection].up.arrival(self.now, &mut self.random) {
            self.schedule(at - self.now, Task::Up { connection, frame: frame.clone() });
        }
    }

    fn note_sent(&mut self, index: usize, connection: usize, number: Number) {
        let page = self.audited(index).expect("nobody submits");
        // The transition may have been sent before the last welcome that came.
        let welcomed_at = self.connections[connection].welcomed_at;
        let sent_at = self.pages[index].driver.as_ref().and_then(|driver| driver.replica()?.sent_at(number));
        self.auditor.note_sent(page, number, sent_at.map_or(welcomed_at, |sent_at| sent_at.min(welcomed_at)));
    }

    /// Opens a connection, or fails to.
    pub(super) fn connect(&mut self, index: usize, id: ConnectionId) {
        let page = &mut self.pages[index];
        if page.driver.is_none() || page.opening.take_if(|opening| *opening == id).is_none() {
            return;
        }
        if self.is_down {
            self.drive(index, |driver, now| driver.handle_lost(id, None, now));
            return;
        }
        let (author, epoch) = (self.author_of(index), self.auditor.epoch());
        self.connections.push(Connection::new(index, author, self.host, epoch, &mut self.random));
        self.pages[index].connection = Some((id, self.connections.len() - 1));
        self.pages[index].heard = Heard::default();
        self.drive(index, |driver, now| driver.handle_opened(id, now));
    }

    fn disconnect(&mut self, index: usize, id: ConnectionId) {
        let page = &mut self.pages[index];
        page.opening.take_if(|opening| *opening == id);
        if let Some((_, connection)) = page.connection.take_if(|(open, _)| *open == id) {
            self.cut(connection);
        }
    }

    pub(super) fn machine_loaded(&mut self, index: usize, digest: Digest) {
        if self.random.percent(10) && !self.is_calm {
            let failure = MachineFailure::Unavailable("it could not be fetched".to_owned());
            self.drive(index, |driver, now| driver.handle_machine_failed(digest, failure, now));
            return;
        }
        let (plain, faults) = (self.scenario.machine(Place::Replica), self.pages[index].faults.clone());
        let machine = Build::new(plain, number_of(S::NAME, digest), faults);
        self.drive(index, |driver, _| driver.handle_machine(digest, machine));
    }

    /// Ends the oldest write in a browser.
    pub(super) fn written(&mut self, browser: usize) {
        let Some((page, write, written)) = self.browsers[browser].end_write() else { return };
        self.pages[page].has_failed_write |= written != Written::Yes;
        self.drive(page, |driver, now| driver.handle_written(write, written, now));
        if self.pages[page].driver.as_ref().is_some_and(Driver::is_durable) {
            self.pages[page].has_failed_write = false;
        }
    }

    /// Opens a page's store, unless the store still does not answer.
    pub(super) fn store_opens(&mut self, index: usize) {
        let stays_silent = self.pages[index].is_store_silent && !self.is_calm && self.random.percent(50);
        if stays_silent {
            self.drive(index, |driver, now| driver.handle_store_closed(now));
            return;
        }
        self.pages[index].is_store_silent = false;
        self.drive(index, |driver, _| driver.handle_store_opened());
    }

    fn closed(&mut self, index: usize, why: &str) {
        let is_courier = self.pages[index].courier_of.is_some();
        match why {
            "everything is delivered" if is_courier => self.coverage.delivered += 1,
            "another page is this client now" => self.coverage.taken_over += 1,
            "this client has connected from elsewhere" => {}
            other => panic!("{other}"),
        }
        self.end_page(index, true);
        if !is_courier {
            // Somebody loads the page again.
            let after = self.random.below(1_000_000);
            let tab = self.pages[index].tab;
            self.schedule(after, Task::Load { tab, page: Some(index) });
        }
    }

    /// Ends a page. If it ends in order, all of its writes are stored.
    pub(super) fn end_page(&mut self, index: usize, is_in_order: bool) {
        let browser = self.browser_of(index);
        let stored_max = if is_in_order { usize::MAX } else { self.random.index(4) };
        self.browsers[browser].end_page(index, stored_max);
        let page = &mut self.pages[index];
        (page.driver, page.arrival, page.ask, page.opening) = (None, None, None, None);
        if let Some((_, connection)) = page.connection.take() {
            self.cut(connection);
        }
        if let Some(parent) = self.pages[index].courier_of
            && is_in_order
        {
            self.drive(parent, |driver, _| driver.handle_delivered());
        }
        for courier in 0..self.pages.len() {
            let page = &self.pages[courier];
            if page.courier_of == Some(index) && (page.driver.is_some() || page.arrival.is_some()) {
                self.end_page(courier, false);
            }
        }
    }

    pub(super) fn browser_of(&self, index: usize) -> usize {
        self.tabs[self.pages[index].tab].browser
    }
}
