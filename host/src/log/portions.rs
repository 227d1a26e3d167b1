//! Going through batches on the threads that run machines, a portion at a time.
//!
//! A machine decides how long its events take, and a log may have any number of them. So whoever applies them again gives its thread up after each
//! portion, and others who do the same have theirs in between.

use std::time::Instant;

use reapply_machine::{JobPanicked, Lane, MachinePool};
use reapply_sync::{Batch, Event};

use super::limits::PORTION_MAX;

/// A step through batches.
pub(crate) enum LogStep<'a> {
    /// The next event.
    Event(&'a Event),
    /// The end of a batch.
    BatchEnd,
}

/// Takes `standing` through the batches: calls `take` with each step, in order, until it fails.
///
/// # Errors
///
/// `take` failed, or panicked.
pub(crate) async fn go_through<S, E>(
    pool: &MachinePool,
    mut standing: S,
    batches: Vec<Batch>,
    take: impl Fn(&mut S, LogStep<'_>) -> Result<(), E> + Copy + Send + 'static,
) -> Result<S, E>
where
    S: Send + 'static,
    E: From<JobPanicked> + Send + 'static,
{
    let mut place = Place { batches, batch: 0, event: 0 };
    while !place.is_at_end() {
        let portion = move || {
            let began = Instant::now();
            while !place.is_at_end() && began.elapsed() < PORTION_MAX {
                place.step(|step| take(&mut standing, step))?;
            }
            Ok::<_, E>((standing, place))
        };
        (standing, place) = pool.try_run(Lane::Replay, portion).await??;
    }
    Ok(standing)
}

/// A place in batches that were read.
struct Place {
    batches: Vec<Batch>,
    batch: usize,
    event: usize,
}

impl Place {
    fn is_at_end(&self) -> bool {
        self.batch == self.batches.len()
    }

    fn step<E>(&mut self, take: impl FnOnce(LogStep<'_>) -> Result<(), E>) -> Result<(), E> {
        let batch = &self.batches[self.batch];
        match batch.events.get(self.event) {
            Some(event) => {
                self.event += 1;
                take(LogStep::Event(event))
            }
            None => {
                (self.batch, self.event) = (self.batch + 1, 0);
                take(LogStep::BatchEnd)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::Relaxed;
    use std::sync::{Arc, mpsc};
    use std::task::Poll;
    use std::thread;

    use reapply_journal::conformance::LogWriter;
    use reapply_sync::{Chain, Seq};

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Failed(String);

    impl From<JobPanicked> for Failed {
        fn from(panic: JobPanicked) -> Self {
            Self(panic.to_string())
        }
    }

    fn batches(sizes: &[u64]) -> Vec<Batch> {
        let mut log = LogWriter::new("counter", "portions");
        let mut chain: Chain = log.genesis.chain();
        let mut batches = Vec::new();
        for size in sizes {
            let batch = log.next(*size).decode(chain).unwrap();
            chain = batch.chain;
            batches.push(batch);
        }
        batches
    }

    fn take(seen: &mut Vec<Option<Seq>>, step: LogStep<'_>) -> Result<(), Failed> {
        seen.push(match step {
            LogStep::Event(event) => Some(event.seq),
            LogStep::BatchEnd => None,
        });
        Ok(())
    }

    #[tokio::test]
    async fn each_event_and_each_end_is_taken_once_and_in_order() {
        let pool = MachinePool::with_threads(1);
        let seen = go_through(&pool, Vec::new(), batches(&[2, 1]), take).await.unwrap();
        assert_eq!(seen, [Some(Seq(1)), Some(Seq(2)), None, Some(Seq(3)), None]);
        assert_eq!(go_through(&pool, Vec::new(), Vec::new(), take).await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn a_failure_ends_it_and_a_panic_is_one() {
        let pool = MachinePool::with_threads(1);
        let fail = |seen: &mut u64, _: LogStep<'_>| {
            *seen += 1;
            if *seen == 2 { Err(Failed("two".to_owned())) } else { Ok(()) }
        };
        assert_eq!(go_through(&pool, 0, batches(&[3]), fail).await, Err(Failed("two".to_owned())));
        let panic = |_: &mut u64, _: LogStep<'_>| -> Result<(), Failed> { panic!("on purpose") };
        let failed = go_through(&pool, 0, batches(&[1]), panic).await.unwrap_err();
        assert_eq!(failed.0, "a thread for machines panicked: on purpose");
    }

    async fn once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
        std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await
    }

    #[tokio::test]
    async fn others_have_their_portions_in_between() {
        let pool = MachinePool::with_threads(1);
        let (release, held) = mpsc::channel::<()>();
        let is_other_done = Arc::new(AtomicBool::new(false));
        let long = go_through(
            &pool,
            (held, Arc::clone(&is_other_done), 0),
            batches(&[2]),
            |(held, is_other_done, step), _| {
                *step += 1;
                match step {
                    // Another one waits by now, and this portion ends.
                    1 => {
                        held.recv().unwrap_err();
                        let began = Instant::now();
                        while began.elapsed() < PORTION_MAX {
                            thread::yield_now();
                        }
                    }
                    _ => assert!(is_other_done.load(Relaxed), "the second portion came before others had one"),
                }
                Ok::<(), Failed>(())
            },
        );
        let mut long = pin!(long);
        // The first portion is queued, and then the other one's.
        assert!(once(long.as_mut()).await.is_pending());
        let take = |done: &mut Arc<AtomicBool>, _: LogStep<'_>| -> Result<(), Failed> {
            done.store(true, Relaxed);
            Ok(())
        };
        let mut other = pin!(go_through(&pool, is_other_done, batches(&[1]), take));
        assert!(once(other.as_mut()).await.is_pending());
        drop(release);
        let (long, other) = tokio::join!(long, other);
        long.map(drop).unwrap();
        other.map(drop).unwrap();
    }
}
