//! The search for a page's client in a room, step by step: `js/reapply/client.ts` has the locks and the database.

use js_sys::{Array, Reflect};
use reapply_client_core as core;
use reapply_client_core::identity::Patience;
use reapply_client_core::{Answer, Ask, Entry, Identity, KnownClient, Left, Step, TabKey, Wish};
use reapply_sync::limits::COUNT_MAX;
use reapply_sync::{ClientKey, Number, Seq, Timestamp};
use wasm_bindgen::prelude::*;

use crate::surroundings::Entropy;

/// The search for a page's client in a room, or for the key of its tab. While `ask` names a request, the page carries it out and answers.
#[wasm_bindgen]
pub struct Arrival {
    stage: Stage,
    entropy: Entropy,
    ask: Option<Ask>,
}

enum Stage {
    Client(core::Arrival),
    Tab(TabKey),
    Identity(Option<Identity>),
    Key(Option<ClientKey>),
}

#[wasm_bindgen]
impl Arrival {
    /// Starts the search for the client with this key. Without a key it is the tab's client, or a new one.
    ///
    /// # Errors
    ///
    /// The key is not 32 hexadecimal digits.
    pub fn begin(key: Option<String>, is_new: bool, has_locks: bool) -> Result<Arrival, JsError> {
        let key = key.map(|key| key.parse::<ClientKey>()).transpose();
        let key = key.map_err(|error| JsError::new(&format!("the client key is not valid: {error}")))?;
        let wish = match key {
            Some(key) => Wish::Given(key),
            None if is_new => Wish::New,
            None => Wish::Tab,
        };
        Ok(Self::begin_client(wish, has_locks))
    }

    /// Starts the search for the key of this tab.
    #[wasm_bindgen(js_name = beginTab)]
    pub fn begin_tab(has_locks: bool) -> Arrival {
        let (tab, step) = TabKey::begin(has_locks);
        let mut arrival = Self { stage: Stage::Tab(tab), entropy: Entropy::new(), ask: None };
        arrival.follow_key(step);
        arrival
    }

    /// Returns the request that the page must carry out now; nothing at the end.
    #[wasm_bindgen(getter, unchecked_return_type = "Ask | undefined")]
    pub fn ask(&self) -> Option<String> {
        let name = match self.ask.as_ref()? {
            Ask::OpenStore => "openStore",
            Ask::TabKey => "tabKey",
            Ask::KeptKey => "keptKey",
            Ask::KeepKey(_) => "keepKey",
            Ask::LockKey(..) => "lockKey",
            Ask::LockRoom(..) => "lockRoom",
            Ask::Unlock(_) => "unlock",
            Ask::Orphans => "orphans",
            Ask::Read(_) => "read",
        };
        Some(name.to_owned())
    }

    /// Returns the key that the request is about; at the end the key that was found.
    #[wasm_bindgen(getter)]
    pub fn key(&self) -> Option<String> {
        let key = match &self.ask {
            Some(
                Ask::KeepKey(key) | Ask::LockKey(key, _) | Ask::LockRoom(key, _) | Ask::Unlock(key) | Ask::Read(key),
            ) => key.clone(),
            _ => self.client_key()?,
        };
        Some(key.0.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Returns how persistently a lock is requested.
    #[wasm_bindgen(getter, unchecked_return_type = "Patience | undefined")]
    pub fn patience(&self) -> Option<String> {
        let Some(Ask::LockKey(_, patience) | Ask::LockRoom(_, patience)) = &self.ask else { return None };
        let name = match patience {
            Patience::None => "none",
            Patience::Moment => "moment",
            Patience::Endless => "endless",
            Patience::Steal => "steal",
        };
        Some(name.to_owned())
    }

    /// Returns whether an application has chosen the key that was found.
    #[wasm_bindgen(getter, js_name = isGiven)]
    pub fn is_given(&self) -> bool {
        matches!(&self.stage, Stage::Identity(Some(identity)) if identity.is_given)
    }

    /// Returns whether a client was found that no other page of this browser is.
    #[wasm_bindgen(getter, js_name = isAnybody)]
    pub fn is_anybody(&self) -> bool {
        self.client_key().is_some()
    }

    /// Takes the answer to the request: a truth value, a key, the clients, or the transitions that a client has left.
    pub fn answer(&mut self, #[wasm_bindgen(unchecked_param_type = "unknown")] answer: &JsValue) {
        let Some(ask) = self.ask.take() else { return };
        let answer = match ask {
            Ask::OpenStore | Ask::LockKey(..) | Ask::LockRoom(..) => Answer::Is(answer.is_truthy()),
            Ask::TabKey | Ask::KeptKey => Answer::Key(answer.as_string().and_then(|key| key.parse().ok())),
            Ask::KeepKey(_) | Ask::Unlock(_) => Answer::Done,
            Ask::Orphans => Answer::Clients(Array::from(answer).iter().filter_map(|client| known(&client)).collect()),
            Ask::Read(_) => Answer::Left(left(answer)),
        };
        let draw = &mut || self.entropy.draw();
        match &mut self.stage {
            Stage::Client(arrival) => {
                let step = arrival.answer(answer, draw);
                self.follow_identity(step);
            }
            Stage::Tab(tab) => {
                let step = tab.answer(answer, draw);
                self.follow_key(step);
            }
            Stage::Identity(_) | Stage::Key(_) => {}
        }
    }
}

impl Arrival {
    pub(crate) fn begin_orphan(served: Vec<ClientKey>, has_locks: bool) -> Self {
        Self::begin_client(Wish::Orphan(served), has_locks)
    }

    pub(crate) fn into_identity(self) -> Option<Identity> {
        if let Stage::Identity(identity) = self.stage { identity } else { None }
    }

    /// Returns the key that was found.
    pub(crate) fn client_key(&self) -> Option<ClientKey> {
        match &self.stage {
            Stage::Identity(identity) => identity.as_ref().map(|identity| identity.key.clone()),
            Stage::Key(key) => key.clone(),
            Stage::Client(_) | Stage::Tab(_) => None,
        }
    }

    fn begin_client(wish: Wish, has_locks: bool) -> Self {
        let mut entropy = Entropy::new();
        let (arrival, step) = core::Arrival::begin(wish, has_locks, &mut || entropy.draw());
        let mut arrival = Self { stage: Stage::Client(arrival), entropy, ask: None };
        arrival.follow_identity(step);
        arrival
    }

    fn follow_identity(&mut self, step: Step<Identity>) {
        match step {
            Step::Ask(ask) => self.ask = Some(ask),
            Step::End(identity) => self.stage = Stage::Identity(identity),
        }
    }

    fn follow_key(&mut self, step: Step<ClientKey>) {
        match step {
            Step::Ask(ask) => self.ask = Some(ask),
            Step::End(key) => self.stage = Stage::Key(key),
        }
    }
}

fn known(client: &JsValue) -> Option<KnownClient> {
    let key = field(client, "key")?.as_string()?.parse().ok()?;
    Some(KnownClient { key, is_given: field(client, "given")?.is_truthy() })
}

/// Reads the database's record of a client; `None` if a client has not written it in this form.
fn left(found: &JsValue) -> Option<Left> {
    let reserved = whole(field(found, "reserved")?.as_f64()?)?;
    let entries = Array::from(&field(found, "entries")?);
    let entries = entries.iter().map(|kept| entry(&kept)).collect::<Option<Vec<_>>>()?;
    Some(Left { reserved, entries })
}

fn entry(kept: &JsValue) -> Option<Entry> {
    let count = |name| field(kept, name).and_then(|value| value.as_f64());
    let number = whole(count("number")?)?;
    let is_sent = field(kept, "sent")?.is_truthy();
    Some(Entry {
        order: whole(count("order")?)?,
        number: (number > 0).then_some(Number(number)),
        json: field(kept, "json")?.as_string()?.into(),
        time: Timestamp((count("time")? * 1_000.0) as u64),
        sent_at: if is_sent { Some(Seq(whole(count("head").unwrap_or(0.0))?)) } else { None },
    })
}

fn field(object: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(object, &JsValue::from_str(name)).ok()
}

/// Returns a count, if it is an integer that JavaScript represents exactly.
fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..=COUNT_MAX as f64).contains(&number)).then_some(number as u64)
}
