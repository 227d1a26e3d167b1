//! A connection as the driver knows it, and the number of times that another session of the same client has replaced it.

use reapply_sync::room::Ticks;

use super::effect::ConnectionId;
use crate::limits::{GOOD_AFTER_MICROS, HEARTBEAT_MICROS, REPLACED_MAX, REPLACED_WITHIN_MICROS, SILENCE_MAX_MICROS};

/// A connection that is being opened, or is open.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: ConnectionId,
    since: Ticks,
    /// The time when the room was asked for a sign of life, if it has not given one since.
    asked_at: Option<Ticks>,
    check_at: Ticks,
    /// Whether the connection has brought a part of a snapshot, which the next connection need not fetch again.
    has_brought: bool,
}

/// The next step for a connection after a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Nothing is to be done.
    Fine,
    /// Ask for a sign of life.
    Ask,
    /// Give the connection up.
    Dead,
}

impl Link {
    /// Returns a connection that is being opened. That it opens is the first sign of life that is waited for.
    pub(super) fn new(id: ConnectionId, now: Ticks) -> Self {
        Self { id, since: now, asked_at: Some(now), check_at: now.after(HEARTBEAT_MICROS), has_brought: false }
    }

    /// Returns the connection, now open.
    pub(super) fn opened(self, now: Ticks) -> Self {
        Self { since: now, asked_at: None, ..self }
    }

    /// Notes that a frame has arrived.
    pub(super) fn handle_life(&mut self) {
        self.asked_at = None;
    }

    /// Notes that something has arrived that need not be sent again.
    pub(super) fn handle_brought(&mut self) {
        self.has_brought = true;
    }

    /// Notes that the room is being asked for a sign of life.
    pub(super) fn ask(&mut self, now: Ticks) {
        self.asked_at.get_or_insert(now);
    }

    /// Checks the connection, if a check is due.
    pub(super) fn check(&mut self, now: Ticks) -> Life {
        if now < self.check_at {
            return Life::Fine;
        }
        self.check_at = now.after(HEARTBEAT_MICROS);
        match self.asked_at {
            None => Life::Ask,
            Some(asked_at) if now >= asked_at.after(SILENCE_MAX_MICROS) => Life::Dead,
            Some(_) => Life::Fine,
        }
    }

    /// Returns the time of the next check.
    pub(super) fn check_at(&self) -> Ticks {
        self.check_at
    }

    /// Returns whether the open connection has lasted long enough, or has brought something that stays.
    pub(super) fn was_good(&self, now: Ticks) -> bool {
        self.has_brought || now >= self.since.after(GOOD_AFTER_MICROS)
    }
}

/// The number of times in a row that another session of this client has replaced the one here.
#[derive(Debug, Default)]
pub(super) struct Replacements {
    count: u32,
    last_at: Ticks,
}

impl Replacements {
    /// Notes one more replacement. Returns whether to connect again after it.
    pub(super) fn may_return(&mut self, now: Ticks) -> bool {
        let is_in_a_row = now < self.last_at.after(REPLACED_WITHIN_MICROS);
        self.count = if is_in_a_row { self.count + 1 } else { 1 };
        self.last_at = now;
        self.count <= REPLACED_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(micros: u64) -> Ticks {
        Ticks(1_000).after(micros)
    }

    #[test]
    fn a_connection_that_does_not_open_is_given_up() {
        let mut link = Link::new(ConnectionId(1), after(0));
        assert_eq!(link.check(after(HEARTBEAT_MICROS - 1)), Life::Fine);
        assert_eq!(link.check(after(HEARTBEAT_MICROS)), Life::Fine);
        assert_eq!(link.check(after(SILENCE_MAX_MICROS)), Life::Dead);
    }

    #[test]
    fn a_silent_connection_is_asked_and_then_given_up() {
        let mut link = Link::new(ConnectionId(1), after(0)).opened(after(1));
        assert_eq!(link.check(after(HEARTBEAT_MICROS)), Life::Ask);
        link.ask(after(HEARTBEAT_MICROS));
        link.handle_life();
        assert_eq!(link.check(after(2 * HEARTBEAT_MICROS)), Life::Ask);
        link.ask(after(2 * HEARTBEAT_MICROS));
        assert_eq!(link.check(after(3 * HEARTBEAT_MICROS)), Life::Fine);
        assert_eq!(link.check(after(4 * HEARTBEAT_MICROS)), Life::Dead);
    }

    #[test]
    fn a_connection_that_has_brought_something_was_a_good_one() {
        let mut link = Link::new(ConnectionId(1), after(0)).opened(after(1));
        assert!(!link.was_good(after(2)));
        link.handle_brought();
        assert!(link.was_good(after(2)));
    }

    #[test]
    fn a_session_that_is_replaced_again_and_again_is_used_elsewhere() {
        let mut replacements = Replacements::default();
        let now = Ticks(10 * REPLACED_WITHIN_MICROS);
        assert!((0..REPLACED_MAX).all(|_| replacements.may_return(now)));
        assert!(!replacements.may_return(now.after(REPLACED_WITHIN_MICROS - 1)));
        assert!(replacements.may_return(now.after(2 * REPLACED_WITHIN_MICROS)));
    }
}
