//! The queue of commands that a room decides in order. It is bounded in messages and in bytes.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use super::budget::Budget;
use super::command::{Gone, Ordered, Space};
use super::limits::{ROOM_INBOX_BYTES_MAX, ROOM_INBOX_MAX, ROOM_MESSAGE_BYTES};

/// The sending end. Clones lead to the same queue.
#[derive(Clone, Debug)]
pub(super) struct Submits {
    queue: mpsc::Sender<Ordered>,
    space: Arc<Semaphore>,
    budget: Budget,
}

/// The queue has no space left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Submits {
    /// Creates a queue whose bytes count as memory of the rooms, and returns its ends.
    pub(super) fn new(budget: Budget) -> (Self, mpsc::Receiver<Ordered>) {
        let (queue, inbox) = mpsc::channel(ROOM_INBOX_MAX);
        (Self { queue, space: Arc::new(Semaphore::new(ROOM_INBOX_BYTES_MAX)), budget }, inbox)
    }

    /// Adds a command with `count` transitions of `bytes` bytes in all. Waits while there is no space.
    ///
    /// # Errors
    ///
    /// The room is gone.
    pub(super) async fn send(
        &self,
        count: usize,
        bytes: usize,
        command: impl FnOnce(Space) -> Ordered,
    ) -> Result<(), Gone> {
        let space = Arc::clone(&self.space).acquire_many_owned(space_of(count, bytes)).await.map_err(|_| Gone)?;
        self.send_small(command(Space(space, self.budget.charge(bytes)))).await
    }

    /// Adds a command without a transition. Waits while there is no space.
    ///
    /// # Errors
    ///
    /// The room is gone.
    pub(super) async fn send_small(&self, command: Ordered) -> Result<(), Gone> {
        self.queue.send(command).await.map_err(|_| Gone)
    }

    /// Adds a command with `count` transitions of `bytes` bytes in all, if there is space.
    ///
    /// # Errors
    ///
    /// The room is gone, or (in the inner result) there is no space.
    pub(super) fn try_send(
        &self,
        count: usize,
        bytes: usize,
        command: impl FnOnce(Space) -> Ordered,
    ) -> Result<Result<(), Full>, Gone> {
        let Ok(space) = Arc::clone(&self.space).try_acquire_many_owned(space_of(count, bytes)) else {
            return if self.queue.is_closed() { Err(Gone) } else { Ok(Err(Full)) };
        };
        match self.queue.try_send(command(Space(space, self.budget.charge(bytes)))) {
            Ok(()) => Ok(Ok(())),
            Err(mpsc::error::TrySendError::Full(_)) => Ok(Err(Full)),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Gone),
        }
    }
}

fn space_of(count: usize, bytes: usize) -> u32 {
    // A command larger than the whole queue could never be sent, but there is none.
    u32::try_from((bytes + count * ROOM_MESSAGE_BYTES).min(ROOM_INBOX_BYTES_MAX)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::Poll;

    use reapply_sync::limits::TRANSITION_BYTES_MAX;
    use reapply_sync::{Number, SessionId};

    use super::*;

    fn submit(space: Space) -> Ordered {
        let transitions = vec![(Number(1), vec![0; TRANSITION_BYTES_MAX].into())];
        Ordered::Transitions { session: SessionId(1), transitions, space }
    }

    /// Returns whether the queue takes the largest transition at once.
    async fn takes(submits: &Submits) -> bool {
        let mut sent = pin!(submits.send(1, TRANSITION_BYTES_MAX, submit));
        std::future::poll_fn(|context| Poll::Ready(sent.as_mut().poll(context).is_ready())).await
    }

    #[tokio::test]
    async fn what_waits_for_a_room_is_bounded_in_bytes() {
        let budget = Budget::new(0);
        let (submits, mut inbox) = Submits::new(budget.clone());
        let mut taken = 0;
        while takes(&submits).await {
            taken += 1;
        }
        assert!(taken * TRANSITION_BYTES_MAX <= ROOM_INBOX_BYTES_MAX, "{taken} were taken");
        assert_eq!(submits.try_send(1, TRANSITION_BYTES_MAX, submit), Ok(Err(Full)));
        let waiting = budget.counted();
        assert_eq!(waiting, taken * TRANSITION_BYTES_MAX, "what waits is not counted");
        // The space of handled commands is free again.
        drop(inbox.try_recv().unwrap());
        assert_eq!(budget.counted(), waiting - TRANSITION_BYTES_MAX);
        assert!(takes(&submits).await);
        assert!(!takes(&submits).await);
        drop(inbox);
        assert_eq!(budget.counted(), 0);
        assert_eq!(submits.try_send(1, TRANSITION_BYTES_MAX, submit), Err(Gone));
    }
}
