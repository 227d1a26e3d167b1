//! Who a page is in a room: which client, and what that one has left. Two pages must never be one client at a time, and a number must never
//! name two transitions; so a page is a client only while it holds the locks, and only where it knows which numbers are used up.
//!
//! [`Arrival`] and [`TabKey`] ask for one thing at a time. Their owner performs it and answers, until there is an [`Identity`].

use reapply_sync::ClientKey;

use crate::queue::{Left, Store};

/// A client, as a page is it.
#[derive(Debug)]
pub struct Identity {
    /// The client's key.
    pub key: ClientKey,
    /// Whether an application has chosen the key.
    pub is_given: bool,
    /// Whether no other page of this browser can be this client now.
    pub is_own: bool,
    /// The store that the client's transitions are kept in.
    pub store: Store,
    /// What earlier pages have left.
    pub left: Left,
}

/// Who a page would be.
#[derive(Clone, Debug)]
pub enum Wish {
    /// The client with this key, which the application has chosen. Whoever comes last is that client.
    Given(ClientKey),
    /// The client of this tab.
    Tab,
    /// A new client: the tab's is taken already.
    New,
    /// A client that has left something and that no page is now, but none of these.
    Orphan(Vec<ClientKey>),
}

/// One thing for the owner to find out or to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Opens the store, within the time that a page waits. [`Answer::Is`] whether it is open.
    OpenStore,
    /// Asks for the tab's key: [`TabKey`] finds it, once for all rooms of a page. [`Answer::Key`].
    TabKey,
    /// Asks for the key that this tab has kept from an earlier page. [`Answer::Key`].
    KeptKey,
    /// Keeps the tab's key for later pages, where that is possible. [`Answer::Done`].
    KeepKey(ClientKey),
    /// Locks a key for as long as this page lives, or until this room is left. [`Answer::Is`] whether it is locked.
    LockKey(ClientKey, Patience),
    /// Locks a client in this room. [`Answer::Is`] whether it is locked.
    LockRoom(ClientKey, Patience),
    /// Unlocks the client in this room: another will be this page's. [`Answer::Done`].
    Unlock(ClientKey),
    /// Asks for the clients that have left something in this room. [`Answer::Clients`].
    Orphans,
    /// Reads what a client has left in this room. [`Answer::Left`], none where it cannot be read.
    Read(ClientKey),
}

/// How much is done for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// It is taken if nobody has it.
    None,
    /// A reloaded page waits a moment for the page before it. Only a duplicated tab waits in vain.
    Moment,
    /// It is waited for.
    Endless,
    /// It is taken from whoever has it.
    Steal,
}

/// What the owner has found out.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Nothing is to be told.
    Done,
    /// Yes or no.
    Is(bool),
    /// A key, if there is one.
    Key(Option<ClientKey>),
    /// Clients that have left something.
    Clients(Vec<KnownClient>),
    /// What a client has left.
    Left(Option<Left>),
}

/// A client that has left something in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownClient {
    /// The client's key.
    pub key: ClientKey,
    /// Whether an application has chosen it. No tab takes such a key for its own.
    pub is_given: bool,
}

/// How it goes on.
#[derive(Debug)]
pub enum Step<T> {
    /// After the answer to this.
    Ask(Ask),
    /// This is who it is. None: there is nobody whom this page could be.
    End(Option<T>),
}

/// Finds out who a page is in a room. See the module's documentation.
#[derive(Debug)]
pub struct Arrival {
    wish: Wish,
    /// Pages of plain http have no locks.
    has_locks: bool,
    store: Store,
    key: Option<ClientKey>,
    /// Orphans that were not tried yet, the next one last.
    candidates: Vec<KnownClient>,
    is_orphan_given: bool,
    asked: Option<Ask>,
}

impl Arrival {
    /// Begins, and says what is to be asked first.
    pub fn begin(wish: Wish, has_locks: bool, draw: &mut dyn FnMut() -> u64) -> (Self, Step<Identity>) {
        let mut arrival = Self {
            wish,
            has_locks,
            store: Store::None,
            key: None,
            candidates: Vec::new(),
            is_orphan_given: false,
            asked: None,
        };
        let step = match &arrival.wish {
            Wish::New => arrival.be_new(draw),
            _ if has_locks => arrival.ask(Ask::OpenStore),
            // Without locks nobody could say which tab's the entries are.
            Wish::Tab => arrival.ask(Ask::TabKey),
            Wish::Given(key) => arrival.lock(key.clone(), Patience::Steal),
            Wish::Orphan(_) => Step::End(None),
        };
        (arrival, step)
    }

    /// Goes on after an answer.
    pub fn answer(&mut self, answer: Answer, draw: &mut dyn FnMut() -> u64) -> Step<Identity> {
        let Some(asked) = self.asked.take() else { return Step::End(None) };
        match (asked, answer) {
            (Ask::OpenStore, Answer::Is(is_open)) => self.handle_store(is_open),
            (Ask::TabKey, Answer::Key(Some(key))) => self.lock(key, Patience::Steal),
            (Ask::LockKey(key, _), Answer::Is(_)) => self.lock(key, Patience::Steal),
            (Ask::LockRoom(key, _), Answer::Is(is_locked)) => self.handle_lock(key, is_locked, draw),
            (Ask::Read(key), Answer::Left(left)) => self.handle_read(key, left),
            (Ask::Orphans, Answer::Clients(clients)) => {
                self.candidates = clients.into_iter().rev().collect();
                self.try_next_orphan()
            }
            (Ask::Unlock(_), _) if matches!(self.wish, Wish::Orphan(_)) => self.try_next_orphan(),
            (Ask::Unlock(_), _) => self.be_new(draw),
            // The owner does not answer what was asked.
            _ => Step::End(None),
        }
    }

    fn handle_store(&mut self, is_open: bool) -> Step<Identity> {
        match &self.wish {
            Wish::Orphan(_) if !is_open => Step::End(None),
            wish => {
                self.store = if is_open { Store::Open } else { Store::None };
                match wish {
                    Wish::Given(key) => self.lock(key.clone(), Patience::Steal),
                    Wish::Orphan(_) => self.ask(Ask::Orphans),
                    Wish::Tab | Wish::New => self.ask(Ask::TabKey),
                }
            }
        }
    }

    fn lock(&mut self, key: ClientKey, patience: Patience) -> Step<Identity> {
        self.key = Some(key.clone());
        if self.has_locks { self.ask(Ask::LockRoom(key, patience)) } else { self.end() }
    }

    fn handle_lock(&mut self, key: ClientKey, is_locked: bool, draw: &mut dyn FnMut() -> u64) -> Step<Identity> {
        match (&self.wish, is_locked) {
            (Wish::Orphan(_), false) => self.try_next_orphan(),
            // Nobody knows which of the client's numbers another page uses.
            (Wish::Tab, false) => self.be_new(draw),
            (Wish::Given(_), false) => {
                self.store = Store::None;
                self.end()
            }
            // The store takes up what this client has when it opens, or says that it is open.
            (Wish::New, _) => {
                self.store = Store::Closed;
                self.end()
            }
            // A number of the tab's client that is used again would name two transitions, and the room take one of them for decided.
            (Wish::Tab, true) if self.store == Store::None => self.ask(Ask::Unlock(key)),
            (Wish::Given(_), true) if self.store == Store::None => self.end(),
            (_, true) => self.ask(Ask::Read(key)),
        }
    }

    fn handle_read(&mut self, key: ClientKey, left: Option<Left>) -> Step<Identity> {
        let Some(left) = left else {
            // What is there cannot be read, and must not be written over.
            self.store = Store::None;
            return if matches!(self.wish, Wish::Given(_)) { self.end() } else { self.ask(Ask::Unlock(key)) };
        };
        let is_given = self.is_given();
        Step::End(Some(Identity { key, is_given, is_own: true, store: self.store, left }))
    }

    fn try_next_orphan(&mut self) -> Step<Identity> {
        let Wish::Orphan(except) = &self.wish else { return Step::End(None) };
        // A read that failed says nothing of the next one.
        self.store = Store::Open;
        while let Some(KnownClient { key, is_given }) = self.candidates.pop() {
            if !except.contains(&key) {
                self.is_orphan_given = is_given;
                return self.lock(key, Patience::None);
            }
        }
        Step::End(None)
    }

    /// A client for this room alone. While it lives, no tab takes its key for that of a tab that is gone.
    fn be_new(&mut self, draw: &mut dyn FnMut() -> u64) -> Step<Identity> {
        self.wish = Wish::New;
        let key = draw_key(draw);
        self.key = Some(key.clone());
        if self.has_locks { self.ask(Ask::LockKey(key, Patience::Endless)) } else { self.end() }
    }

    /// Is a client of which nothing is in the store, or nothing that may be used.
    fn end(&mut self) -> Step<Identity> {
        let identity = self.key.take().map(|key| {
            let (is_given, is_own, store) = (self.is_given(), self.has_locks, self.store);
            Identity { key, is_given, is_own, store, left: Left::default() }
        });
        Step::End(identity)
    }

    fn is_given(&self) -> bool {
        match self.wish {
            Wish::Given(_) => true,
            Wish::Orphan(_) => self.is_orphan_given,
            Wish::Tab | Wish::New => false,
        }
    }

    fn ask(&mut self, ask: Ask) -> Step<Identity> {
        self.asked = Some(ask.clone());
        Step::Ask(ask)
    }
}

/// Finds the key of a tab. Two tabs never share one, though a browser that duplicates a tab copies its storage. A tab that has none takes
/// over that of a tab that is gone, with what that one has left in this room.
#[derive(Debug)]
pub struct TabKey {
    has_locks: bool,
    candidates: Vec<KnownClient>,
    asked: Option<Ask>,
}

impl TabKey {
    /// Begins, and says what is to be asked first.
    #[must_use]
    pub fn begin(has_locks: bool) -> (Self, Step<ClientKey>) {
        let mut tab_key = Self { has_locks, candidates: Vec::new(), asked: None };
        let step = tab_key.ask(Ask::KeptKey);
        (tab_key, step)
    }

    /// Goes on after an answer.
    pub fn answer(&mut self, answer: Answer, draw: &mut dyn FnMut() -> u64) -> Step<ClientKey> {
        let Some(asked) = self.asked.take() else { return Step::End(None) };
        match (asked, answer) {
            // Without locks pages take the risk.
            (Ask::KeptKey, Answer::Key(Some(key))) if !self.has_locks => Step::End(Some(key)),
            (Ask::KeptKey, Answer::Key(Some(key))) => self.ask(Ask::LockKey(key, Patience::Moment)),
            (Ask::KeptKey, _) => self.ask(Ask::Orphans),
            (Ask::LockKey(key, Patience::Moment), Answer::Is(true)) => Step::End(Some(key)),
            (Ask::LockKey(_, Patience::Moment), _) => self.ask(Ask::Orphans),
            (Ask::Orphans, Answer::Clients(clients)) if self.has_locks => {
                self.candidates = clients.into_iter().rev().filter(|client| !client.is_given).collect();
                self.try_next(draw)
            }
            (Ask::Orphans, _) => self.draw(draw),
            (Ask::LockKey(_, Patience::None), Answer::Is(false)) => self.try_next(draw),
            (Ask::LockKey(key, _), _) => self.ask(Ask::KeepKey(key)),
            (Ask::KeepKey(key), _) => Step::End(Some(key)),
            _ => Step::End(None),
        }
    }

    fn try_next(&mut self, draw: &mut dyn FnMut() -> u64) -> Step<ClientKey> {
        match self.candidates.pop() {
            Some(KnownClient { key, .. }) => self.ask(Ask::LockKey(key, Patience::None)),
            None => self.draw(draw),
        }
    }

    fn draw(&mut self, draw: &mut dyn FnMut() -> u64) -> Step<ClientKey> {
        let key = draw_key(draw);
        self.ask(if self.has_locks { Ask::LockKey(key, Patience::Endless) } else { Ask::KeepKey(key) })
    }

    fn ask(&mut self, ask: Ask) -> Step<ClientKey> {
        self.asked = Some(ask.clone());
        Step::Ask(ask)
    }
}

fn draw_key(draw: &mut dyn FnMut() -> u64) -> ClientKey {
    let bits = (u128::from(draw()) << 64) | u128::from(draw());
    ClientKey(bits.to_be_bytes())
}
