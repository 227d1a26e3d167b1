//! A participant that builds no states: it checks that events come in order, and passes them on.

use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, bail, ensure};
use reapply_sync::{
    ClientId, ClientKey, ClientMessage, Hello, Number, Seq, ServerMessage, SnapshotInParts, Start, Welcome,
};

use crate::host::ENTRIES;
use crate::scan::{Scanned, scan};
use crate::socket::Socket;

/// A welcomed session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) socket: Socket,
    pub(crate) client: ClientId,
    pub(crate) welcome: Welcome,
    /// The last event that arrived.
    pub(crate) seq: Seq,
    /// The number of transitions among the events, from anyone.
    pub(crate) transitions: u64,
    /// The last transition that was submitted.
    submitted: u64,
    /// The last own transition that was confirmed.
    confirmed: u64,
}

impl Session {
    /// Connects to the room `machine/room` as a new client, and waits for the welcome.
    pub(crate) async fn enter(address: SocketAddr, room: &str) -> anyhow::Result<Self> {
        let key = ClientKey(rand::random());
        let client = key.client_id();
        let mut socket = Socket::connect(address, &format!("/rooms/{room}")).await?;
        socket.push(&ClientMessage::Hello(Hello::new(key, None)).encode());
        socket.flush().await?;
        let welcome = receive(&mut socket).await?;
        let Start::Snapshot { seq, .. } = welcome.start else { bail!("a new client was told to keep its state") };
        Ok(Self { socket, client, welcome, seq, transitions: 0, submitted: 0, confirmed: 0 })
    }

    /// Adds a transition that sets some cell to `value` to the next write.
    pub(crate) fn push_submit(&mut self, value: u64) {
        self.submitted += 1;
        self.socket.push(&submit(self.submitted, value));
    }

    /// Splits off a session that only reads, and its connection to write to.
    pub(crate) fn split_writer(self) -> anyhow::Result<(Self, TcpStream)> {
        let (socket, stream) = self.socket.split_writer()?;
        Ok((Self { socket, ..self }, stream))
    }

    /// Returns the number of submitted transitions that are not confirmed yet.
    pub(crate) fn outstanding(&self) -> u64 {
        self.submitted - self.confirmed
    }

    /// Returns the number of own transitions that are confirmed.
    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed
    }

    /// Reads what has arrived, waiting if necessary, and passes each transition's event to `f`. Returns the number of own transitions
    /// confirmed.
    ///
    /// # Errors
    ///
    /// An event is missing, doubled or out of order; or the host sent an unexpected message.
    pub(crate) async fn read(&mut self, mut f: impl FnMut(Scanned)) -> anyhow::Result<u64> {
        self.socket.fill().await?;
        let before = self.confirmed;
        let Self { socket, client, seq, transitions, confirmed, .. } = self;
        while let Some(message) = socket.next_message()? {
            let is_events = scan(message, |came, event| {
                *seq = seq.next();
                ensure!(came == seq.0, "event {came} came in place of event {seq}");
                let Some(event) = event else { return Ok(()) };
                *transitions += 1;
                if event.client == *client {
                    *confirmed += 1;
                    ensure!(event.number == *confirmed, "transition {} came back as number {confirmed}", event.number);
                }
                f(event);
                Ok(())
            })?;
            if !is_events {
                expect_harmless(message)?;
            }
        }
        Ok(self.confirmed - before)
    }

    /// Pings, and waits for the answer: the cost of a round trip without a room.
    pub(crate) async fn ping(&mut self, value: u64) -> anyhow::Result<()> {
        self.socket.push(&ClientMessage::Ping(value).encode());
        self.socket.flush().await?;
        let pong = ServerMessage::Pong(value).encode();
        loop {
            self.socket.fill().await?;
            while let Some(message) = self.socket.next_message()? {
                if message == pong {
                    return Ok(());
                }
                expect_harmless(message)?;
            }
        }
    }

    /// Returns the state's bytes from the welcome.
    pub(crate) fn snapshot(&self) -> anyhow::Result<(&[u8], u32)> {
        match &self.welcome.start {
            Start::Snapshot { state, state_version, .. } => Ok((state, *state_version)),
            Start::Tail | Start::Parts(_) => bail!("the welcome brought no state"),
        }
    }
}

/// Waits for the welcome, and for the whole state where that comes in parts.
async fn receive(socket: &mut Socket) -> anyhow::Result<Welcome> {
    let mut welcome: Option<Welcome> = None;
    let mut state = Vec::new();
    loop {
        if let Some(message) = socket.next_message()? {
            match ServerMessage::decode(message)? {
                ServerMessage::Welcome(came) => welcome = Some(came),
                ServerMessage::Part { bytes, .. } => state.extend_from_slice(&bytes),
                ServerMessage::Presence(_) if welcome.is_some() => {}
                other => bail!("expected a welcome, got {other:?}"),
            }
        } else {
            socket.fill().await?;
        }
        let Some(came) = &mut welcome else { continue };
        if let Start::Parts(snapshot) = &came.start {
            let SnapshotInParts { seq, state_version, time, chain, bytes, .. } = **snapshot;
            if (state.len() as u64) < bytes {
                continue;
            }
            let state = std::mem::take(&mut state).into();
            came.start = Start::Snapshot { seq, state_version, time, chain, state };
        }
        return welcome.context("the welcome is here");
    }
}

/// Returns a `Submit` message that sets some cell to `value`.
pub(crate) fn submit(number: u64, value: u64) -> Vec<u8> {
    // A prime step, so that neighbouring transitions touch distant cells.
    let id = (number.wrapping_mul(7_919) % u64::from(ENTRIES)) as u32;
    let transition = postcard::to_allocvec(&cells::Transition::Set { id, value }).unwrap_or_default();
    ClientMessage::Submit { number: Number(number), transition: transition.into() }.encode().into()
}

/// Skips messages that arrive by themselves and do not affect a figure.
fn expect_harmless(message: &[u8]) -> anyhow::Result<()> {
    match ServerMessage::decode(message).context("the host sent no message of the protocol")? {
        ServerMessage::Presence(_) | ServerMessage::Checkpoint { .. } => Ok(()),
        ServerMessage::Goodbye(why) => bail!("the host ended a session: {why}"),
        other => bail!("the host sent {other:?}"),
    }
}
