//! The troubles of rooms: problems that last longer than one request.
//!
//! A trouble is reported to the operator once, not for each request. Everybody who asks for the room gets the same text, and the room is not opened
//! again for each request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use reapply_sync::RoomId;
use tracing::{error, info, warn};

use super::limits::{TROUBLE_RETRY_AFTER, TROUBLES_MAX};

/// The kind of a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The room does not open, or broke.
    Closed,
    /// The room's snapshots cannot be restored, so they are not stored.
    Unsaved,
}

/// The troubles of all rooms of a host, up to a limit.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<BTreeMap<(RoomId, Kind), Trouble>>);

#[derive(Debug)]
struct Trouble {
    cause: Arc<str>,
    since: Instant,
}

impl Troubles {
    /// Remembers a trouble, and reports it to the operator if the room did not have it yet. Returns the cause.
    pub(super) fn note(&self, room: &RoomId, kind: Kind, cause: &str) -> Arc<str> {
        let trouble = Trouble { cause: cause.into(), since: Instant::now() };
        let noted = Arc::clone(&trouble.cause);
        let former = {
            let mut troubles = self.lock();
            if troubles.len() >= TROUBLES_MAX && !troubles.contains_key(&(room.clone(), kind)) {
                let oldest = troubles.iter().min_by_key(|(_, trouble)| trouble.since).map(|(key, _)| key.clone());
                oldest.map(|key| troubles.remove(&key));
            }
            troubles.insert((room.clone(), kind), trouble)
        };
        if former.is_none_or(|former| former.cause != noted) {
            match kind {
                Kind::Closed => error!(%room, "{cause}"),
                Kind::Unsaved => warn!(%room, "{cause}"),
            }
        }
        noted
    }

    /// Forgets a trouble of a room, since it is over.
    pub(super) fn clear(&self, room: &RoomId, kind: Kind) {
        let cleared = self.lock().remove(&(room.clone(), kind));
        match kind {
            Kind::Closed if cleared.is_some() => info!(%room, "the room opens again"),
            Kind::Unsaved if cleared.is_some() => info!(%room, "the room's snapshot can be restored again"),
            Kind::Closed | Kind::Unsaved => {}
        }
    }

    /// Returns the reason why the room is not opened now, if an attempt failed a moment ago.
    pub(super) fn closed(&self, room: &RoomId) -> Option<Arc<str>> {
        let troubles = self.lock();
        let trouble = troubles.get(&(room.clone(), Kind::Closed))?;
        (trouble.since.elapsed() < TROUBLE_RETRY_AFTER).then(|| Arc::clone(&trouble.cause))
    }

    /// Returns the causes of all troubles that a room has.
    pub(super) fn of(&self, room: &RoomId) -> Vec<Arc<str>> {
        let troubles = self.lock();
        let of_room = troubles.range((room.clone(), Kind::Closed)..=(room.clone(), Kind::Unsaved));
        of_room.map(|(_, trouble)| Arc::clone(&trouble.cause)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(RoomId, Kind), Trouble>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(index: usize) -> RoomId {
        format!("counter/room-{index}").parse().unwrap()
    }

    #[test]
    fn each_trouble_is_kept_for_its_room_until_it_is_over() {
        let troubles = Troubles::default();
        assert_eq!(&*troubles.note(&room(1), Kind::Closed, "too deep"), "too deep");
        troubles.note(&room(1), Kind::Unsaved, "not restored");
        troubles.note(&room(2), Kind::Unsaved, "not restored");
        assert_eq!(troubles.of(&room(1)), ["too deep".into(), "not restored".into()]);
        assert_eq!((troubles.closed(&room(1)), troubles.closed(&room(2))), (Some("too deep".into()), None));
        troubles.note(&room(1), Kind::Closed, "damaged");
        assert_eq!(troubles.closed(&room(1)), Some("damaged".into()));
        troubles.clear(&room(1), Kind::Closed);
        assert_eq!((troubles.closed(&room(1)), troubles.of(&room(1))), (None, vec!["not restored".into()]));
        assert!(troubles.of(&room(3)).is_empty());
    }

    #[test]
    fn the_oldest_trouble_is_forgotten_for_a_new_one() {
        let troubles = Troubles::default();
        for index in 0..=TROUBLES_MAX {
            troubles.note(&room(index), Kind::Closed, "too deep");
        }
        assert!(troubles.of(&room(0)).is_empty());
        assert!((1..=TROUBLES_MAX).all(|index| !troubles.of(&room(index)).is_empty()));
    }
}
