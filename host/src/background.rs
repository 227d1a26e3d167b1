//! Work that may wait, such as searching a log or compressing a section. Anyone may request a lot of it at once, while rooms must
//! continue to decide.
//!
//! So each portion of it takes a slot, and there are slots for half of the processors. Waiting requests are served in turn, so many small
//! ones do not wait for a single large one.

use std::sync::LazyLock;
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The number of processors for each slot.
const PROCESSORS_PER_SLOT: usize = 2;

/// The slots. The process has one set of them, since it has one set of processors.
static SLOTS: LazyLock<Semaphore> = LazyLock::new(|| {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    Semaphore::new((processors / PROCESSORS_PER_SLOT).max(1))
});

/// The right to work on one portion, until it is dropped. `None` would mean that the slots are closed, which they never are.
#[must_use]
pub(crate) struct Slot {
    _permit: Option<SemaphorePermit<'static>>,
}

/// Waits for a slot.
pub(crate) async fn slot() -> Slot {
    Slot { _permit: SLOTS.acquire().await.ok() }
}

/// Waits like [`slot`], on a thread that may block. Without a runtime there are no other requests.
pub(crate) fn slot_blocking() -> Slot {
    Handle::try_current().map_or(Slot { _permit: None }, |runtime| runtime.block_on(slot()))
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn no_more_work_at_once_than_there_are_slots_and_who_waits_comes_in_turn() {
        let mut held = Vec::new();
        while SLOTS.available_permits() > 0 {
            held.push(slot().await);
        }
        assert!(!held.is_empty(), "there is a slot");
        let (mut first, mut second) = (pin!(slot()), pin!(slot()));
        let mut poll = async |first_ready: bool, second_ready: bool| {
            let polled = std::future::poll_fn(|context| {
                let both = (first.as_mut().poll(context).is_ready(), second.as_mut().poll(context).is_ready());
                Poll::Ready(both)
            });
            assert_eq!(polled.await, (first_ready, second_ready));
        };
        poll(false, false).await;
        held.pop();
        poll(true, false).await;
    }
}
