//! Several clients in several rooms of one host, and a check that they and the host agree in the end.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use reapply_machine::{Build, Engine, Instance};
use reapply_sync::{ClientId, Digest, Goodbye, RoomId, Seq};
use reapply_testing::{Host, http, until};

use crate::asker::Asker;
use crate::client::{Client, Order, Standing};
use crate::ledger::Ledger;
use crate::upgrades::Upgrades;

/// The number of clients in each room.
const CLIENTS_PER_ROOM: usize = 3;

/// The number of sessions that must end before storage counts as failing: two for each room.
const SESSIONS_ENDED_MIN: usize = 2 * Kind::ALL.len();

/// A machine under load, in a single room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The state is the number of applied transitions.
    Counter,
    /// The state grows, and so do its snapshots.
    Cells,
    /// The machine has alarms, and conflicts that only the host can detect.
    Timer,
    /// The room is upgraded again and again, and has membership events. The state is the number of applied transitions.
    Changing,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Counter, Self::Cells, Self::Timer, Self::Changing];

    /// Returns the machine's name, which is also the guest's if it is one.
    pub(crate) fn machine(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Cells => "cells",
            Self::Timer => "timer",
            Self::Changing => "changing",
        }
    }

    pub(crate) fn room(self) -> RoomId {
        let name = |text: &str| text.parse().expect("it is a name");
        RoomId { machine: name(self.machine()), room: name("pressed") }
    }

    /// Returns the number of submissions of a client in its turn.
    pub(crate) fn eagerness(self) -> f64 {
        match self {
            Self::Counter | Self::Cells => 1.0,
            Self::Timer => 0.05,
            Self::Changing => 0.3,
        }
    }

    /// Returns a transition, as JSON.
    pub(crate) fn transition(self, rng: &mut StdRng) -> String {
        match self {
            Self::Counter => r#"{"Increment":1}"#.to_owned(),
            Self::Cells => {
                let (id, value) = (rng.random_range(0..20_000_u32), rng.next_u64());
                format!(r#"{{"Set":{{"id":{id},"value":{value}}}}}"#)
            }
            Self::Timer => match rng.random_range(0..8) {
                0 => r#""Reset""#.to_owned(),
                1 => r#""Stop""#.to_owned(),
                2..=4 => r#"{"Set":{"seconds":1,"repeats":true}}"#.to_owned(),
                _ => r#""Start""#.to_owned(),
            },
            Self::Changing => "1".to_owned(),
        }
    }
}

/// The builds of clients, fetched from the host by digest and compiled once.
#[derive(Clone)]
pub(crate) struct Builds {
    engine: Engine,
    compiled: Arc<Mutex<HashMap<Digest, Build>>>,
}

impl Builds {
    pub(crate) fn new() -> Self {
        Self { engine: Engine::new(None).expect("the engine runs here"), compiled: Arc::default() }
    }

    /// Returns a running instance of this build; `None` if the host does not answer.
    pub(crate) async fn instance(&self, host: SocketAddr, digest: Digest) -> Option<Instance> {
        let builds = self.clone();
        let started = tokio::task::spawn_blocking(move || {
            let mut compiled = builds.compiled.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(build) = compiled.get(&digest) {
                return Some(build.instantiate().expect("the machine starts"));
            }
            let url = format!("http://{host}/components/{digest}.wasm");
            let answer = http::try_send("GET", &url, &[], None).ok().filter(|answer| answer.status == 200)?;
            assert_eq!(Digest::of(&answer.body), digest, "the host serves other bytes under this digest");
            let build = Build::load(&builds.engine, answer.body.into()).expect("what the host runs, runs here");
            let instance = build.instantiate().expect("the machine starts");
            compiled.insert(digest, build);
            Some(instance)
        });
        started.await.expect("loading a build does not panic")
    }
}

/// The clients of one host.
pub(crate) struct Crowd {
    host: SocketAddr,
    builds: Builds,
    pub(crate) ledger: Ledger,
    pub(crate) upgrades: Upgrades,
    clients: Vec<Client>,
    asker: Asker,
}

impl Crowd {
    /// Deploys the machines to `host`, and starts clients in their rooms. They wait for orders.
    pub(crate) fn gather(host: &Host, builds: &Builds, rng: &mut StdRng) -> Self {
        let ledger = Ledger::default();
        let mut clients = Vec::new();
        let upgrades = Upgrades::begin(host);
        for kind in Kind::ALL {
            if kind != Kind::Changing {
                host.deploy(kind.machine());
            }
            for _ in 0..CLIENTS_PER_ROOM {
                clients.push(Client::start(host.address(), kind, builds, &ledger, rng.next_u64()));
            }
        }
        let asker = Asker::start(host.address(), &ledger, rng.next_u64());
        Self { host: host.address(), builds: builds.clone(), ledger, upgrades, clients, asker }
    }

    /// Makes everyone submit, without end.
    pub(crate) fn press(&self) {
        self.order(Order::Press);
    }

    /// Waits until this many more events are acknowledged.
    pub(crate) async fn pressed(&self, events: u64) {
        let enough = self.ledger.acknowledged() + events;
        until("clients are told of events", async || match self.ledger.acknowledged() {
            acknowledged if acknowledged >= enough => Ok(()),
            acknowledged => Err(format!("{acknowledged} of {enough}")),
        })
        .await;
    }

    /// Waits until sessions are ended because the host cannot store their submissions.
    pub(crate) async fn refused(&self) {
        self.ledger.take_goodbyes();
        let mut ended = 0;
        until("sessions are ended, and told why", async || {
            let goodbyes = self.ledger.take_goodbyes();
            ended += goodbyes.iter().filter(|(_, why)| *why == Goodbye::StorageFailed).count();
            if ended < SESSIONS_ENDED_MIN { Err(format!("{ended} by now")) } else { Ok(()) }
        })
        .await;
    }

    /// Waits until everyone has settled, and checks that all of them, a newcomer and the host show the same.
    pub(crate) async fn converge(&self, host: &Host) {
        self.order(Order::Settle);
        let answered = until("the client over HTTP is answered", async || {
            self.asker.answered().ok_or_else(|| "it is not".to_owned())
        })
        .await;
        if answered > 0 {
            let view = &host.room(&Asker::room().to_string())["view"];
            assert_eq!(view["count"], answered, "{}: each transition was applied once", Asker::room());
        }
        for kind in Kind::ALL {
            let newcomer = Client::start(self.host, kind, &self.builds, &self.ledger, rand::random());
            let room = kind.room();
            let own = || self.clients.iter().filter(|client| client.room == room);
            let standings = until("all clients of a room show the same", async || {
                agreement(own().chain([&newcomer]).map(|client| (client.id, client.standing())))
            })
            .await;
            let one = standings.values().next().expect("a room has clients");
            let there = host.room(&format!("{room}?seq={}", one.seq));
            assert_eq!(there["view"], one.view, "{room}: what the host shows of event {}", one.seq);
            // Not before: its leave may be an event, and cause another snapshot that the log is trimmed to.
            newcomer.end().await;
            // Each of its transitions adds one, and none can be refused.
            let submitted: u64 = standings.values().map(|standing| standing.last_number.0).sum();
            if kind == Kind::Counter {
                assert_eq!(one.view["count"], submitted, "{room}: each transition was applied once");
            }
            if kind == Kind::Changing {
                let snapshot = u32::try_from(submitted).unwrap().to_le_bytes();
                assert_eq!(one.hash, Digest::of(&snapshot), "{room}: each transition was applied once: {submitted}");
            }
        }
    }

    /// Makes everyone leave.
    pub(crate) async fn end(self) {
        for client in self.clients {
            client.end().await;
        }
        self.asker.end().await;
    }

    fn order(&self, order: Order) {
        self.clients.iter().for_each(|client| client.order(order));
        self.asker.order(order);
    }
}

/// Returns the common state of all, if they agree.
fn agreement(
    standings: impl Iterator<Item = (ClientId, Option<Standing>)>,
) -> Result<BTreeMap<ClientId, Standing>, String> {
    let standings: BTreeMap<_, _> = standings.collect();
    let places: Vec<Option<(Seq, Digest)>> =
        standings.values().map(|standing| standing.as_ref().map(|standing| (standing.seq, standing.hash))).collect();
    let is_agreed = places.iter().all(|place| place.is_some() && *place == places[0]);
    if !is_agreed {
        return Err(format!("{places:?}"));
    }
    Ok(standings.into_iter().filter_map(|(client, standing)| Some((client, standing?))).collect())
}
