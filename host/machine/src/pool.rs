//! The threads that run machines, as long as that takes. They do nothing else. The threads for slow turns have a lower priority than all others.
//!
//! Each lane has a few threads of its own, so that jobs which are likely to be quick do not wait behind slow ones. The system shares the
//! processors among the threads, a few milliseconds at a time. A room has one job here at a time, and jobs begin in the order of their arrival,
//! so no room gets more turns than another.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;
use tracing::warn;

use super::limits::{POOL_LANE_THREADS_MIN, POOL_LANE_THREADS_PER_PROCESSOR, POOL_NICENESS, POOL_STACK_BYTES};

/// The queue of a job, by its purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A room's turn that is likely to be short.
    Quick,
    /// A room's turn in proportion to its state, or of a room whose turns have been long.
    Slow,
    /// Work outside of a room's turns: translating a request, or showing a past state.
    Aside,
    /// The trial of a snapshot, for which a room waits before it sleeps. Trials do not wait for requests, and requests do not wait for trials.
    Trial,
}

/// A pool of threads that run machines. Cheap to clone.
#[derive(Clone)]
pub struct MachinePool {
    quick: Arc<Threads>,
    slow: Arc<Threads>,
    aside: Arc<Threads>,
    trial: Arc<Threads>,
}

type Job = Box<dyn FnOnce() + Send>;

/// The threads of one lane. They are started when they are needed, and stay.
struct Threads {
    max: usize,
    niceness: i32,
    queue: Mutex<Queue>,
    has_job: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

impl Default for MachinePool {
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self::with_threads((processors * POOL_LANE_THREADS_PER_PROCESSOR).max(POOL_LANE_THREADS_MIN))
    }
}

impl MachinePool {
    /// Creates a pool with at most `max` threads in each lane.
    #[must_use]
    pub fn with_threads(max: usize) -> Self {
        let threads = |niceness| Arc::new(Threads { max, niceness, queue: Mutex::default(), has_job: Condvar::new() });
        Self {
            quick: threads(0),
            slow: threads(POOL_NICENESS),
            aside: threads(POOL_NICENESS),
            trial: threads(POOL_NICENESS),
        }
    }

    /// Runs a job, and waits for its result. If this future is dropped before the job begins, the job does not run.
    ///
    /// # Panics
    ///
    /// The job panicked.
    pub async fn run<T: Send + 'static>(&self, lane: Lane, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (reply, done) = oneshot::channel();
        let threads = match lane {
            Lane::Quick => &self.quick,
            Lane::Slow => &self.slow,
            Lane::Aside => &self.aside,
            Lane::Trial => &self.trial,
        };
        threads.push(Box::new(move || {
            if !reply.is_closed() {
                let _nobody_waits = reply.send(catch_unwind(AssertUnwindSafe(job)));
            }
        }));
        match done.await {
            Ok(Ok(done)) => done,
            Ok(Err(panic)) => resume_unwind(panic),
            // A job is dropped only after its caller stopped waiting.
            Err(_dropped) => std::future::pending().await,
        }
    }
}

impl Threads {
    fn push(self: &Arc<Self>, job: Job) {
        let mut queue = self.lock();
        queue.jobs.push_back(job);
        if queue.idle >= queue.jobs.len() || queue.threads == self.max {
            self.has_job.notify_one();
            return;
        }
        queue.threads += 1;
        drop(queue);
        let threads = Arc::clone(self);
        let started = thread::Builder::new().name("machines".to_owned()).stack_size(POOL_STACK_BYTES);
        if let Err(error) = started.spawn(move || threads.work()) {
            warn!(%error, "a thread for machines could not be started; other threads do its work");
            let mut queue = self.lock();
            queue.threads -= 1;
            // If there is no other thread, one of the runtime does the work.
            let job = if queue.threads == 0 { queue.jobs.pop_front() } else { None };
            drop(queue);
            job.map(tokio::task::spawn_blocking);
        }
    }

    fn work(&self) {
        if self.niceness > 0 {
            give_way(self.niceness);
        }
        let mut queue = self.lock();
        loop {
            while let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                job();
                queue = self.lock();
            }
            queue.idle += 1;
            queue = self.has_job.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lowers the priority of this thread, if the system has a priority for each thread.
fn give_way(niceness: i32) {
    // On other systems the priority belongs to the whole process.
    if cfg!(target_os = "linux")
        && let Err(error) = rustix::process::setpriority_process(None, niceness)
    {
        warn!(%error, "threads for slow machines run at normal priority");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_lane_that_is_full_holds_up_no_other_and_begins_its_jobs_in_order() {
        let pool = MachinePool::with_threads(2);
        let (order, begun) = mpsc::channel();
        let mut holds = Vec::new();
        let mut jobs = Vec::new();
        for job in 0..4 {
            let (hold, held) = mpsc::channel::<()>();
            let (pool, order) = (pool.clone(), order.clone());
            holds.push(hold);
            jobs.push(tokio::spawn(async move {
                let run = move || {
                    order.send(job).unwrap();
                    held.recv().unwrap_err();
                    job
                };
                pool.run(Lane::Slow, run).await
            }));
            // The test's runtime has one thread: the job is queued before the next one.
            tokio::task::yield_now().await;
        }
        let mut first = [begun.recv().unwrap(), begun.recv().unwrap()];
        first.sort_unstable();
        assert_eq!(first, [0, 1]);
        assert_eq!(pool.run(Lane::Quick, || 7).await, 7, "another lane waits");
        assert!(begun.try_recv().is_err(), "more run at once than there are threads");
        for (next, hold) in (2..4).zip(holds.drain(..2).collect::<Vec<_>>()) {
            drop(hold);
            assert_eq!(begun.recv().unwrap(), next);
        }
        drop(holds);
        for (job, run) in (0..).zip(jobs) {
            assert_eq!(run.await.unwrap(), job);
        }
    }

    /// Far longer than any job here takes.
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

    #[tokio::test]
    async fn trials_are_bounded_and_hold_up_no_turn_and_no_request() {
        let pool = MachinePool::with_threads(2);
        let (begin, begun) = mpsc::channel();
        let (hold, held) = mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let trials: Vec<_> = (0..5)
            .map(|_| {
                let (pool, begin, held) = (pool.clone(), begin.clone(), Arc::clone(&held));
                tokio::spawn(async move {
                    let trial = move || {
                        begin.send(()).unwrap();
                        held.lock().unwrap_or_else(PoisonError::into_inner).recv().unwrap_err();
                    };
                    pool.run(Lane::Trial, trial).await;
                })
            })
            .collect();
        for _ in 0..2 {
            while begun.try_recv().is_err() {
                tokio::task::yield_now().await;
            }
        }
        for lane in [Lane::Quick, Lane::Slow, Lane::Aside] {
            let done = tokio::time::timeout(PATIENCE, pool.run(lane, || 7)).await;
            assert_eq!(done, Ok(7), "{lane:?} waits for trials");
        }
        assert_eq!(pool.trial.lock().jobs.len(), 3);
        assert!(begun.try_recv().is_err(), "more are made at once than there are threads");
        drop(hold);
        for trial in trials {
            trial.await.unwrap();
        }
        assert_eq!(begun.try_iter().count(), 3);
    }

    #[tokio::test]
    async fn a_panic_reaches_the_one_who_waits_and_the_thread_goes_on() {
        let pool = MachinePool::with_threads(1);
        let panicking = pool.clone();
        let panicked = tokio::spawn(async move { panicking.run(Lane::Aside, || panic!("on purpose")).await }).await;
        assert!(panicked.unwrap_err().is_panic());
        assert_eq!(pool.run(Lane::Aside, || 1).await, 1);
    }

    #[tokio::test]
    async fn a_job_that_nobody_waits_for_is_not_begun() {
        let pool = MachinePool::with_threads(1);
        let (hold, held) = mpsc::channel::<()>();
        let holding = pool.clone();
        let first = tokio::spawn(async move { holding.run(Lane::Slow, move || held.recv().unwrap_err()).await });
        let (began, begun) = mpsc::channel();
        let waiting = pool.clone();
        let second = tokio::spawn(async move { waiting.run(Lane::Slow, move || began.send(()).unwrap()).await });
        while pool.slow.lock().jobs.is_empty() {
            tokio::task::yield_now().await;
        }
        second.abort();
        assert!(second.await.unwrap_err().is_cancelled());
        drop(hold);
        first.await.unwrap();
        pool.run(Lane::Slow, || ()).await;
        assert!(begun.try_recv().is_err(), "it was begun");
    }
}
