//! Stretches of a room's log, and states between their events: the parts of a past that a page looks at.
//!
//! Fetched events are kept, within a limit, and a replay takes snapshots along the way, so that a slider can go back and forth.

use std::collections::BTreeMap;
use std::rc::Rc;

use reapply_sync::{Chain, Digest, Event, Input, LogId, Machine, Origin, Past, Replay, Seq, Snapshot, Timestamp};

use crate::limits::{LEAVE_EVENTS_MIN, LEAVE_PART};

/// Makes a machine of the build with a digest.
pub type Builds<M> = Rc<dyn Fn(Digest) -> Result<M, String>>;

type Replaying<M> = Replay<M, Box<dyn FnMut(Digest) -> Result<M, String>>>;

/// The machine, a state that was replayed, and its time.
pub type Reached<'a, M> = (&'a mut M, &'a <M as Machine>::State, Timestamp);

/// The past of one room, as far as it is known here.
pub struct Stretches<M: Machine> {
    builds: Builds<M>,
    log: Option<LogId>,
    stretches: Vec<Stretch>,
    /// The replay that was used last, and the event after which its stretch begins.
    replay: Option<(Seq, Replaying<M>)>,
    looks: u64,
    bytes_max: usize,
}

/// Events that follow each other.
struct Stretch {
    origin: Origin,
    from: Seq,
    events: Vec<Event>,
    /// Snapshots that replays have taken.
    left: BTreeMap<Seq, Snapshot>,
    /// Bytes of the events alone; below, bytes of all that is kept.
    events_bytes: usize,
    bytes: usize,
    /// Whether a snapshot did not fit any more. Taking another one only to see that again would cost as much as keeping it.
    is_full: bool,
    looked_at: u64,
}

impl<M: Machine + 'static> Stretches<M> {
    /// Returns an empty past that keeps at most `bytes_max` bytes.
    #[must_use]
    pub fn new(builds: Builds<M>, bytes_max: usize) -> Self {
        Self { builds, log: None, stretches: Vec::new(), replay: None, looks: 0, bytes_max }
    }

    /// Returns whether the state at `seq` can be replayed from what is here.
    #[must_use]
    pub fn has(&self, seq: Seq) -> bool {
        self.find(seq).is_some()
    }

    /// Returns the last event of the stretch that ends nearest before `seq`, if there is one.
    #[must_use]
    pub fn nearest(&self, seq: Seq) -> Option<Seq> {
        self.stretches.iter().map(Stretch::last).filter(|last| *last < seq).max()
    }

    /// Takes in the host's answer to a page that holds the events up to `held`. Returns the seq that was asked for.
    ///
    /// # Errors
    ///
    /// Fails if the answer is damaged, does not follow on what is here, or leads no further.
    pub fn take(&mut self, past: Past, held: Option<Seq>) -> Result<Seq, String> {
        let events = past.events().map_err(|damage| format!("the host's answer is damaged: {damage}"))?;
        let (asked, from, last) = (past.seq, past.from(), past.last());
        if last < asked && held.is_some_and(|held| last <= held) {
            return Err(format!("the host's answer ends at event {last}, and {asked} was asked for"));
        }
        if self.log.replace(past.log) != Some(past.log) {
            // The room was created again, so everything here belongs to the old one.
            self.stretches.clear();
            self.replay = None;
        }
        self.looks += 1;
        let events_bytes = past.records.iter().map(|record| record.body.len()).sum();
        if let Origin::Held(held) = past.origin {
            let stretch = self.stretches.iter_mut().find(|stretch| stretch.holds(held));
            let stretch =
                stretch.ok_or_else(|| format!("the host's answer follows on event {held}, which is not here"))?;
            stretch.extend(events, events_bytes);
            stretch.looked_at = self.looks;
        } else {
            self.stretches.push(Stretch::new(past.origin, from, events, events_bytes, self.looks));
        }
        self.forget_beyond_limit();
        Ok(asked)
    }

    /// Returns the builds that the state at `seq` needs, from the nearest state that is here.
    #[must_use]
    pub fn builds(&self, seq: Seq) -> Vec<Digest> {
        self.find(seq).map(|stretch| stretch.builds(seq)).unwrap_or_default()
    }

    /// Advances towards the state at `seq` by at most `events_max` events. Returns the machine, that state and its time once it is reached;
    /// until then, call it again.
    ///
    /// # Errors
    ///
    /// Fails if the state cannot be replayed here. The machines may have faulted: everything that is here is useless then.
    pub fn replay(&mut self, seq: Seq, events_max: usize) -> Result<Option<Reached<'_, M>>, String> {
        self.looks += 1;
        let Some(stretch) = self.stretches.iter_mut().find(|stretch| stretch.holds(seq)) else {
            return Err(format!("event {seq} is not here"));
        };
        stretch.looked_at = self.looks;
        let from = stretch.from;
        let nearest = stretch.nearest(seq);
        let is_near = |replay: &Replaying<M>| nearest <= replay.seq() && replay.seq() <= seq;
        let mut replay = match self.replay.take() {
            Some((begun, replay)) if begun == from && is_near(&replay) => replay,
            _ => stretch.begin(seq, &self.builds)?,
        };
        stretch.advance(&mut replay, seq, events_max, self.bytes_max)?;
        self.forget_beyond_limit();
        let (_, replay) = self.replay.insert((from, replay));
        if replay.seq() < seq {
            return Ok(None);
        }
        let time = replay.time();
        let (machine, state) = replay.state();
        Ok(Some((machine, state, time)))
    }

    fn find(&self, seq: Seq) -> Option<&Stretch> {
        self.stretches.iter().find(|stretch| stretch.holds(seq))
    }

    fn forget_beyond_limit(&mut self) {
        while self.stretches.len() > 1
            && self.stretches.iter().map(|stretch| stretch.bytes).sum::<usize>() > self.bytes_max
        {
            let oldest = self.stretches.iter().enumerate().min_by_key(|(_, stretch)| stretch.looked_at);
            let Some((index, _)) = oldest else { return };
            self.stretches.swap_remove(index);
        }
    }
}

impl Stretch {
    fn new(origin: Origin, from: Seq, events: Vec<Event>, events_bytes: usize, looked_at: u64) -> Self {
        let state_bytes = if let Origin::Snapshot(snapshot) = &origin { snapshot.state.len() } else { 0 };
        let bytes = events_bytes + state_bytes;
        Self { origin, from, events, left: BTreeMap::new(), events_bytes, bytes, is_full: false, looked_at }
    }

    fn extend(&mut self, events: Vec<Event>, bytes: usize) {
        let last = self.last();
        self.events.extend(events.into_iter().filter(|event| event.seq > last));
        self.events_bytes += bytes;
        self.bytes += bytes;
    }

    fn last(&self) -> Seq {
        Seq(self.from.0 + self.events.len() as u64)
    }

    fn holds(&self, seq: Seq) -> bool {
        (self.from..=self.last()).contains(&seq)
    }

    /// Returns the last event up to `seq` after which a state is here.
    fn nearest(&self, seq: Seq) -> Seq {
        self.left.range(..=seq).next_back().map_or(self.from, |(seq, _)| *seq)
    }

    /// Returns the events after one and up to another.
    fn between(&self, after: Seq, upto: Seq) -> &[Event] {
        let index = |seq: Seq| (seq.0.saturating_sub(self.from.0) as usize).min(self.events.len());
        self.events.get(index(after)..index(upto)).unwrap_or_default()
    }

    fn builds(&self, seq: Seq) -> Vec<Digest> {
        let nearest = self.nearest(seq);
        let first = match (self.left.get(&nearest), &self.origin) {
            (Some(snapshot), _) | (None, Origin::Snapshot(snapshot)) => Some(snapshot.digest),
            (None, Origin::Genesis(genesis)) => Some(genesis.digest),
            (None, Origin::Held(_)) => None,
        };
        let upgrades = self.between(nearest, seq).iter().filter_map(|event| match event.input {
            Input::Upgraded(digest) => Some(digest),
            _ => None,
        });
        first.into_iter().chain(upgrades).collect()
    }

    /// Returns a replay that begins at the nearest state up to `seq`.
    fn begin<M: Machine + 'static>(&self, seq: Seq, builds: &Builds<M>) -> Result<Replaying<M>, String> {
        let builds = Rc::clone(builds);
        let builds = Box::new(move |digest: Digest| builds(digest));
        let begun = match (self.left.get(&self.nearest(seq)), &self.origin) {
            (Some(snapshot), _) | (None, Origin::Snapshot(snapshot)) => Replaying::from_snapshot(builds, snapshot),
            (None, Origin::Genesis(genesis)) => Replaying::from_genesis(builds, genesis),
            (None, Origin::Held(_)) => return Err("there is no state to begin from".to_owned()),
        };
        begun.map_err(|error| error.to_string())
    }

    /// Applies at most `events_max` events up to `seq`, and takes snapshots where they are worth it.
    fn advance<M: Machine>(
        &mut self,
        replay: &mut Replaying<M>,
        seq: Seq,
        events_max: usize,
        bytes_max: usize,
    ) -> Result<(), String> {
        for _ in 0..events_max {
            let Some(event) = self.between(replay.seq(), seq).first() else { break };
            replay.apply(event).map_err(|error| error.to_string())?;
            if !self.is_full && self.is_due(replay.seq()) {
                self.leave(replay, bytes_max)?;
            }
        }
        Ok(())
    }

    /// Returns whether replaying the events since the nearest state would cost more than a snapshot here.
    fn is_due(&self, seq: Seq) -> bool {
        let nearest = self.nearest(seq);
        let count = (seq.0 - nearest.0) as usize;
        if count < LEAVE_EVENTS_MIN {
            return false;
        }
        let before = match (self.left.get(&nearest), &self.origin) {
            (Some(snapshot), _) | (None, Origin::Snapshot(snapshot)) => snapshot.state.len(),
            _ => 0,
        };
        let bytes = count.saturating_mul(self.events_bytes) / self.events.len().max(1);
        bytes >= before / LEAVE_PART
    }

    fn leave<M: Machine>(&mut self, replay: &mut Replaying<M>, bytes_max: usize) -> Result<(), String> {
        let (state_version, state) = replay.snapshot().map_err(|fault| fault.to_string())?;
        if self.bytes + state.len() > bytes_max {
            self.is_full = true;
            return Ok(());
        }
        self.bytes += state.len();
        // A replay needs nothing of what a room keeps in a snapshot for itself.
        let snapshot = Snapshot {
            seq: replay.seq(),
            digest: replay.digest(),
            state_version,
            time: replay.time(),
            chain: Chain([0; 32]),
            clients: Vec::new(),
            forgotten: None,
            present: Vec::new(),
            state,
        };
        self.left.insert(replay.seq(), snapshot);
        Ok(())
    }
}
