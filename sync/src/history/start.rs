//! The start of a session: the tail after the state that its replica holds, or a snapshot, in one piece or in parts.

use super::reader::Reader;
use super::{History, Inner};
use crate::id::Seq;
use crate::limits::SNAPSHOT_TAIL_BYTES_MIN;
use crate::message::{Hello, PARTS_SINCE, Resume, Start};
use crate::snapshot::Snapshot;

impl History {
    /// Returns the start for a session, and the reader of what follows. The session gets the tail if four conditions hold: the replica's state
    /// is of this log and build, its chain equals the log's chain there, the events that it lacks are in memory, and they are no longer than a
    /// snapshot would be.
    #[must_use]
    pub fn start(&self, hello: &Hello) -> (Start, Reader) {
        let client = hello.key.client_id();
        let tail = self.with(|inner| hello.resume.filter(|resume| resume.log == self.log && inner.has_tail(resume)));
        self.with_mut(|inner| {
            if let Some(resume) = tail {
                inner.begun.forget(client);
                return (Start::Tail, Reader::new(client, None, resume.seq));
            }
            if hello.version < PARTS_SINCE || !inner.begun.is_due(&inner.base) {
                inner.begun.forget(client);
                return (inner.start_from_base(), Reader::new(client, None, inner.base.seq));
            }
            let held = hello.held.and_then(|held| Some((inner.begun.resume(held.hash, client)?, held.bytes)));
            let (parts, held) = held.unwrap_or_else(|| {
                let (hash, tail_bytes) = (inner.base_hash, inner.bytes_after_base);
                let parts = inner.begun.begin(&inner.base, hash, tail_bytes, client);
                let held = hello.held.filter(|held| held.hash == parts.hash());
                (parts, held.map_or(0, |held| held.bytes))
            });
            let (start, next) = parts.start(held);
            let after = parts.seq();
            (start, Reader::new(client, Some((parts, next)), after))
        })
    }
}

impl Inner {
    fn start_from_base(&self) -> Start {
        let Snapshot { seq, state_version, time, chain, state, .. } = &*self.base;
        Start::Snapshot { seq: *seq, state_version: *state_version, time: *time, chain: *chain, state: state.clone() }
    }

    /// Returns whether a replica that resumes there gets the events that it lacks instead of a snapshot.
    fn has_tail(&self, resume: &Resume) -> bool {
        let is_known = self.floor.max(self.upgraded) <= resume.seq && resume.seq <= self.head();
        is_known
            && resume.digest == self.base.digest
            && self.chain_at(resume.seq) == resume.chain
            && self.is_tail_cheaper(resume.seq)
    }

    /// Returns whether the events that a replica at `after` lacks take fewer bytes than the snapshot.
    fn is_tail_cheaper(&self, after: Seq) -> bool {
        let bytes_max = self.base.state.len().max(SNAPSHOT_TAIL_BYTES_MIN);
        let mut bytes = 0;
        let mut fits = self.range(after, self.base.seq.max(after)).map(|event| {
            bytes += event.len();
            bytes <= bytes_max
        });
        fits.all(|fits| fits)
    }
}
