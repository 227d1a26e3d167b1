//! The identity of a page in a room: which client it is, and which transitions that client has left. Two pages must never be one client at a
//! time, and a number must never name two transitions. So a page is a client only while it holds the locks, and only if it knows which numbers
//! are used up. A page that must be a certain client and cannot know that begins far above the numbers that the room has seen.
//!
//! [`Arrival`] and [`TabKey`] ask for one thing at a time. Their owner performs it and answers, until there is an [`Identity`].

use reapply_sync::ClientKey;

use crate::queue::{Left, Store};

/// The client that a page is.
#[derive(Debug)]
pub struct Identity {
    /// The client's key.
    pub key: ClientKey,
    /// Whether the application has chosen the key.
    pub is_given: bool,
    /// Whether no other page of this browser can be this client now.
    pub is_own: bool,
    /// The store in which the client's transitions are kept.
    pub store: Store,
    /// The transitions and numbers of earlier pages. `None` if they are unknown.
    pub left: Option<Left>,
}

/// The client that a page asks to be.
#[derive(Clone, Debug)]
pub enum Wish {
    /// The client with this key, which the application has chosen. The latest page with the key is that client.
    Given(ClientKey),
    /// The client of this tab.
    Tab,
    /// A new client, because the tab's is already in use.
    New,
    /// A client that has left transitions and is not in use by any page, except for these.
    Orphan(Vec<ClientKey>),
}

/// One question or task for the owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Opens the store, within the time that a page waits. The answer is [`Answer::Is`]: whether it is open.
    OpenStore,
    /// Asks for the tab's key: [`TabKey`] finds it, once for all rooms of a page. The answer is [`Answer::Key`].
    TabKey,
    /// Asks for the key that this tab has kept from an earlier page. The answer is [`Answer::Key`].
    KeptKey,
    /// Keeps the tab's key for later pages, where that is possible. The answer is [`Answer::Done`].
    KeepKey(ClientKey),
    /// Locks a key for as long as this page lives, or until this room is left. The answer is [`Answer::Is`]: whether it is locked.
    LockKey(ClientKey, Patience),
    /// Locks a client in this room. The answer is [`Answer::Is`]: whether it is locked.
    LockRoom(ClientKey, Patience),
    /// Unlocks the client in this room: this page becomes another one. The answer is [`Answer::Done`].
    Unlock(ClientKey),
    /// Asks for the clients that have left transitions in this room. The answer is [`Answer::Clients`].
    Orphans,
    /// Reads the transitions that a client has left in this room. The answer is [`Answer::Left`], with `None` if they cannot be read.
    Read(ClientKey),
}

/// The effort to get a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// The lock is taken only if it is free.
    None,
    /// The lock is waited for briefly: a reloaded page waits for the page before it to end. Only a duplicated tab waits without success.
    Moment,
    /// The lock is waited for without limit.
    Endless,
    /// The lock is taken from its holder.
    Steal,
}

/// The owner's answer to an [`Ask`].
#[derive(Clone, Debug)]
pub enum Answer {
    /// The task is done; there is nothing to report.
    Done,
    /// Yes or no.
    Is(bool),
    /// A key, if there is one.
    Key(Option<ClientKey>),
    /// The clients that have left transitions.
    Clients(Vec<KnownClient>),
    /// The transitions that a client has left.
    Left(Option<Left>),
}

/// A client that has left transitions in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownClient {
    /// The client's key.
    pub key: ClientKey,
    /// Whether the application has chosen the key. No tab takes such a key for its own.
    pub is_given: bool,
}

/// The next step.
#[derive(Debug)]
pub enum Step<T> {
    /// The owner performs this and answers; then it goes on.
    Ask(Ask),
    /// The result. `None` means that there is no client which this page could be.
    End(Option<T>),
}

/// Finds out which client a page is in a room. See the module's documentation.
#[derive(Debug)]
pub struct Arrival {
    wish: Wish,
    /// Pages of plain http have no locks.
    has_locks: bool,
    store: Store,
    key: Option<ClientKey>,
    /// Orphans that were not tried yet; the next one is last.
    candidates: Vec<KnownClient>,
    is_orphan_given: bool,
    asked: Option<Ask>,
}

impl Arrival {
    /// Begins, and returns the first step.
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
            // Without locks it is unknown which tab the entries belong to.
            Wish::Tab => arrival.ask(Ask::TabKey),
            Wish::Given(key) => arrival.lock(key.clone(), Patience::Steal),
            Wish::Orphan(_) => Step::End(None),
        };
        (arrival, step)
    }

    /// Goes on after an answer. Returns the next step.
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
            // The owner has answered another question than the one that was asked.
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
            // It is unknown which of the client's numbers another page uses.
            (Wish::Tab, false) => self.be_new(draw),
            (Wish::Given(_), false) => {
                self.store = Store::None;
                self.end()
            }
            // The queue writes this client's entries when the store opens, or says that it is open.
            (Wish::New, _) => {
                self.store = Store::Closed;
                self.end()
            }
            // If the tab's client used a number again, it would name two transitions, and the room would take the second for decided.
            (Wish::Tab, true) if self.store == Store::None => self.ask(Ask::Unlock(key)),
            (Wish::Given(_), true) if self.store == Store::None => self.end(),
            (_, true) => self.ask(Ask::Read(key)),
        }
    }

    fn handle_read(&mut self, key: ClientKey, left: Option<Left>) -> Step<Identity> {
        let Some(left) = left else {
            // The entries cannot be read, and must not be overwritten.
            self.store = Store::None;
            return if matches!(self.wish, Wish::Given(_)) { self.end() } else { self.ask(Ask::Unlock(key)) };
        };
        let is_given = self.is_given();
        Step::End(Some(Identity { key, is_given, is_own: true, store: self.store, left: Some(left) }))
    }

    fn try_next_orphan(&mut self) -> Step<Identity> {
        let Wish::Orphan(except) = &self.wish else { return Step::End(None) };
        // A failed read says nothing about the next one.
        self.store = Store::Open;
        while let Some(KnownClient { key, is_given }) = self.candidates.pop() {
            if !except.contains(&key) {
                self.is_orphan_given = is_given;
                return self.lock(key, Patience::None);
            }
        }
        Step::End(None)
    }

    /// Becomes a client for this room alone. While it lives, no tab takes over its key as that of a closed tab.
    fn be_new(&mut self, draw: &mut dyn FnMut() -> u64) -> Step<Identity> {
        self.wish = Wish::New;
        let key = draw_key(draw);
        self.key = Some(key.clone());
        if self.has_locks { self.ask(Ask::LockKey(key, Patience::Endless)) } else { self.end() }
    }

    /// Becomes a client without entries in the store, or whose entries must not be used.
    fn end(&mut self) -> Step<Identity> {
        let left = matches!(self.wish, Wish::New).then(Left::default);
        let identity = self.key.take().map(|key| {
            let (is_given, is_own, store) = (self.is_given(), self.has_locks, self.store);
            Identity { key, is_given, is_own, store, left }
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

/// Finds the key of a tab. Two tabs never share one, though a browser that duplicates a tab copies its storage. A tab without a key takes over
/// that of a closed tab, with the transitions that it has left in this room.
#[derive(Debug)]
pub struct TabKey {
    has_locks: bool,
    candidates: Vec<KnownClient>,
    asked: Option<Ask>,
}

impl TabKey {
    /// Begins, and returns the first step.
    #[must_use]
    pub fn begin(has_locks: bool) -> (Self, Step<ClientKey>) {
        let mut tab_key = Self { has_locks, candidates: Vec::new(), asked: None };
        let step = tab_key.ask(Ask::KeptKey);
        (tab_key, step)
    }

    /// Goes on after an answer. Returns the next step.
    pub fn answer(&mut self, answer: Answer, draw: &mut dyn FnMut() -> u64) -> Step<ClientKey> {
        let Some(asked) = self.asked.take() else { return Step::End(None) };
        match (asked, answer) {
            // Without locks, pages take the risk of a shared key.
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
