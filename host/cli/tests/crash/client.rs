//! A client that loads a room: a replica that runs the real machine, a socket, a pace. It reconnects by itself, forever.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::FutureExt;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use reapply_machine::Instance;
use reapply_sync::{
    ClientId, ClientKey, Digest, Machine, Number, Phase, Replica, RoomId, Seq, ServerMessage, Timestamp,
};
use reapply_testing::Socket;
use tokio::net::TcpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::crowd::{Builds, Kind};
use crate::ledger::Ledger;

/// The pause between two attempts to connect.
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// The pause between two bursts of transitions.
const PACE: Duration = Duration::from_millis(4);

/// The maximum number of transitions in one burst.
const BURST_MAX: u32 = 6;

/// The maximum number of transitions that wait for their answer.
const PENDING_MAX: usize = 24;

/// The address that clients connect from. A socket with the host's own address could take its port while the host is down, by
/// connecting to itself.
const OWN_ADDRESS: &str = "127.0.0.2:0";

/// An order for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Submit, without end.
    Press,
    /// Stop submitting, and report the state once everything is decided.
    Settle,
    /// Leave.
    End,
}

/// The state of a settled client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The last event in its state.
    pub(crate) seq: Seq,
    /// The hash of its state's snapshot.
    pub(crate) hash: Digest,
    /// The view of its state.
    pub(crate) view: serde_json::Value,
    /// The last number that it used.
    pub(crate) last_number: Number,
}

/// A running client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) room: RoomId,
    pub(crate) id: ClientId,
    orders: watch::Sender<Order>,
    standing: watch::Receiver<Option<Standing>>,
    task: JoinHandle<()>,
}

impl Client {
    /// Starts a new client in a room.
    pub(crate) fn start(host: SocketAddr, kind: Kind, builds: &Builds, ledger: &Ledger, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let key = ClientKey(rng.random());
        let (orders, orders_receiver) = watch::channel(Order::Settle);
        let (standing_sender, standing) = watch::channel(None);
        let (room, id) = (kind.room(), key.client_id());
        let worker = Worker {
            host,
            kind,
            room: room.clone(),
            id,
            replica: Replica::new(key, Number(0)),
            builds: builds.clone(),
            ledger: ledger.clone(),
            orders: orders_receiver,
            standing: standing_sender,
            rng,
        };
        Self { room, id, orders, standing, task: tokio::spawn(worker.run()) }
    }

    /// Gives an order.
    pub(crate) fn order(&self, order: Order) {
        self.orders.send_replace(order);
    }

    /// Returns the client's state, once it has settled.
    pub(crate) fn standing(&self) -> Option<Standing> {
        self.standing.borrow().clone()
    }

    /// Makes the client leave, and waits for it.
    pub(crate) async fn end(self) {
        self.order(Order::End);
        self.task.await.expect("a client does not panic");
    }
}

struct Worker {
    host: SocketAddr,
    kind: Kind,
    room: RoomId,
    id: ClientId,
    replica: Replica<Instance>,
    builds: Builds,
    ledger: Ledger,
    orders: watch::Receiver<Order>,
    standing: watch::Sender<Option<Standing>>,
    rng: StdRng,
}

/// The connection is gone, or must end.
struct Lost;

impl Worker {
    async fn run(mut self) {
        while *self.orders.borrow() != Order::End {
            let Err(Lost) = self.session().await else { return };
            self.replica.handle_disconnected();
            self.standing.send_replace(None);
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    /// Runs one connection, until it is lost or the client must end.
    async fn session(&mut self) -> Result<(), Lost> {
        let mut socket = connect(self.host, &self.room).await?;
        self.replica.handle_connected();
        let mut pace = tokio::time::interval(PACE);
        loop {
            self.transmit(&mut socket).await?;
            let mut read = Ok(());
            tokio::select! {
                frame = socket.receive() => {
                    read = self.handle_frame(frame);
                    while read.is_ok() && let Some(frame) = socket.receive().now_or_never() {
                        read = self.handle_frame(frame);
                    }
                }
                _ = self.orders.changed() => {}
                _ = pace.tick() => self.press(),
            }
            if let Some(digest) = self.replica.needs_machine() {
                let machine = self.builds.instance(self.host, digest).await.ok_or(Lost)?;
                self.replica.handle_machine(digest, machine);
            }
            self.replica.settle();
            self.note();
            if let Some(goodbye) = self.replica.goodbye() {
                self.ledger.goodbye(&self.room, goodbye.clone());
                return Err(Lost);
            }
            // Not before: a goodbye and the close arrive together.
            read?;
            if *self.orders.borrow() == Order::End {
                return Ok(());
            }
            self.stand();
        }
    }

    async fn transmit(&mut self, socket: &mut Socket) -> Result<(), Lost> {
        while let Some(frame) = self.replica.poll_transmit() {
            socket.feed(frame).await.map_err(|_| Lost)?;
        }
        socket.flush().await.map_err(|_| Lost)
    }

    fn handle_frame(&mut self, frame: Option<Bytes>) -> Result<(), Lost> {
        let frame = frame.ok_or(Lost)?;
        match ServerMessage::decode(&frame) {
            Ok(ServerMessage::Events(events)) => self.ledger.told(&self.room, &events),
            Ok(ServerMessage::Welcome(welcome)) => self.ledger.head(&self.room, welcome.head),
            _ => {}
        }
        self.replica.handle_frame(&frame).map_err(|error| {
            self.ledger.complain(format!("{}: the host sent no message: {error}", self.room));
            Lost
        })
    }

    /// Submits a burst.
    fn press(&mut self) {
        if *self.orders.borrow() != Order::Press || !self.rng.random_bool(self.kind.eagerness()) {
            return;
        }
        for _ in 0..self.rng.random_range(1..=BURST_MAX) {
            if self.replica.pending() >= PENDING_MAX {
                return;
            }
            let Some(machine) = self.replica.machine() else { return };
            let transition = machine.encode(&self.kind.transition(&mut self.rng));
            let entropy = self.rng.next_u64();
            // A transition that the prediction refuses is not submitted.
            let _conflict = self.replica.apply(transition.expect("the transition is well formed"), now(), entropy);
        }
    }

    /// Records what the replica has learnt.
    fn note(&mut self) {
        while let Some((number, outcome)) = self.replica.poll_outcome() {
            self.ledger.decided(&self.room, self.id, number, outcome);
        }
        while let Some(divergence) = self.replica.poll_divergence() {
            self.ledger.complain(format!("{}: {divergence}", self.room));
        }
    }

    /// Reports its state, if this is requested and possible.
    fn stand(&mut self) {
        let is_settled = *self.orders.borrow() == Order::Settle
            && self.replica.phase() == Phase::Live
            && self.replica.pending() == 0;
        let Some((seq, _)) = self.replica.confirmed_at().filter(|_| is_settled) else {
            self.standing.send_if_modified(|standing| standing.take().is_some());
            return;
        };
        if self.standing.borrow().as_ref().is_some_and(|standing| standing.seq == seq) {
            return;
        }
        let last_number = self.replica.last_number();
        let Some((machine, state)) = self.replica.confirmed() else { return };
        let snapshot = machine.snapshot(state).expect("the machine makes snapshots");
        let view = machine.view(state).expect("the machine shows its state");
        let view = serde_json::from_str(&view).expect("a view is JSON");
        self.standing.send_replace(Some(Standing { seq, hash: Digest::of(&snapshot), view, last_number }));
    }
}

async fn connect(host: SocketAddr, room: &RoomId) -> Result<Socket, Lost> {
    let socket = TcpSocket::new_v4().map_err(|_| Lost)?;
    socket.bind(OWN_ADDRESS.parse().expect("it is an address")).map_err(|_| Lost)?;
    let stream = socket.connect(host).await.map_err(|_| Lost)?;
    Socket::over(stream, &format!("/rooms/{room}"), &[]).await.map_err(|_| Lost)
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_micros()).unwrap_or_default())
}
