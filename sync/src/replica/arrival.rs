//! A snapshot that comes in parts, as far as it is here.

use bytes::Bytes;

use crate::id::Digest;
use crate::message::HeldSnapshot;

/// The beginning of a snapshot, or all of it.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) hash: Digest,
    /// The size of the whole snapshot in bytes.
    pub(super) bytes: u64,
    received: Received,
}

#[derive(Debug)]
enum Received {
    Beginning(Vec<u8>),
    /// The whole snapshot, proved by its hash.
    All(Bytes),
}

impl Arrival {
    /// Returns the snapshot with this hash and size, before its first byte.
    pub(super) fn begin(hash: Digest, bytes: u64) -> Self {
        Self { hash, bytes, received: Received::Beginning(Vec::new()) }
    }

    /// Returns the snapshot and the number of held bytes, for the greeting.
    pub(super) fn held(&self) -> HeldSnapshot {
        HeldSnapshot { hash: self.hash, bytes: self.received() }
    }

    /// Returns the number of bytes that are here.
    pub(super) fn received(&self) -> u64 {
        match &self.received {
            Received::Beginning(bytes) => bytes.len() as u64,
            Received::All(bytes) => bytes.len() as u64,
        }
    }

    /// Keeps only the first `bytes` bytes.
    pub(super) fn cut_to(&mut self, bytes: u64) {
        if bytes < self.received() {
            let kept = match &self.received {
                Received::Beginning(received) => &received[..bytes as usize],
                Received::All(received) => &received[..bytes as usize],
            };
            self.received = Received::Beginning(kept.to_vec());
        }
    }

    /// Adds the next part.
    pub(super) fn push(&mut self, at: u64, part: &[u8]) -> Result<(), String> {
        let received = self.received();
        if at != received {
            return Err(format!("byte {at} came where byte {received} was due"));
        }
        if received + part.len() as u64 > self.bytes {
            return Err(format!("more came than its {} bytes", self.bytes));
        }
        if let Received::Beginning(received) = &mut self.received {
            received.extend_from_slice(part);
        }
        Ok(())
    }

    /// Returns the whole snapshot, proved by its hash. Returns `None` while parts are missing.
    pub(super) fn whole(&mut self) -> Result<Option<Bytes>, String> {
        if let Received::Beginning(received) = &mut self.received
            && received.len() as u64 == self.bytes
        {
            let hash = Digest::of(received);
            if hash != self.hash {
                return Err(format!("its hash is {hash}, and the room named {}", self.hash));
            }
            self.received = Received::All(std::mem::take(received).into());
        }
        match &self.received {
            Received::Beginning(_) => Ok(None),
            Received::All(bytes) => Ok(Some(bytes.clone())),
        }
    }
}
