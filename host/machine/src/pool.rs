//! The threads that run machines, as long as that takes. They do nothing else, they leave one processor to all other threads, these run before
//! them on the others, and most of them have a lower priority as well.
//!
//! Each [`Lane`] has a few threads of its own, so that jobs which are likely to be quick do not wait behind slow ones. The system shares the
//! processors among the threads, a few milliseconds at a time. Jobs begin in the order of their arrival. A room has one job for its turns at a
//! time, and a replay has one job for each portion of its log, so none gets more turns than another.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;
use tracing::warn;

use super::limits::{
    POOL_IMPORT_THREADS, POOL_LANE_THREADS_MIN, POOL_LANE_THREADS_PER_PROCESSOR, POOL_NICENESS, POOL_STACK_BYTES,
};
use super::priority;

/// The queue of a job, by its purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A room's turn that is likely to be short.
    Quick,
    /// A room's turn in proportion to its state, or of a room whose turns have been long.
    Slow,
    /// A translation between a transition's bytes and its JSON, for a request.
    Aside,
    /// The trial of a snapshot, for which a room waits before it sleeps. Trials do not wait for requests, and requests do not wait for trials.
    Trial,
    /// A portion of a log that is applied again: for a past state, the proof before a trim, or the gate of an upgrade.
    Replay,
    /// Loading a stored build. A job of any other lane may wait for it, and it waits for no other lane.
    Load,
    /// The check of a component that is to be deployed.
    Deploy,
    /// The proof of an imported export. It also waits for the sender.
    Import,
}

/// All lanes, in the order of their declaration.
const LANES: [Lane; 8] =
    [Lane::Quick, Lane::Slow, Lane::Aside, Lane::Trial, Lane::Replay, Lane::Load, Lane::Deploy, Lane::Import];

/// A pool of threads that run machines. Cheap to clone.
#[derive(Clone)]
pub struct MachinePool {
    lanes: Arc<[Arc<Threads>; LANES.len()]>,
}

/// A job panicked, which is a bug of the host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a thread for machines panicked: {0}")]
pub struct JobPanicked(String);

type Job = Box<dyn FnOnce() + Send>;

/// The threads of one lane. They are started when they are needed, and stay.
struct Threads {
    lane: Lane,
    max: usize,
    queue: Mutex<Queue>,
    has_job: Condvar,
}

#[derive(Default)]
struct Queue {
    /// The jobs that have not begun, by their numbers.
    jobs: BTreeMap<u64, Job>,
    /// The number of the last job.
    last: u64,
    threads: usize,
    idle: usize,
}

/// A job's place in its queue. Dropping it removes the job, with everything that the job holds, unless it has begun.
struct Place {
    threads: Arc<Threads>,
    number: u64,
}

impl Lane {
    /// Returns the name of the lane's threads, which systems cut after 15 bytes.
    fn name(self) -> &'static str {
        match self {
            Self::Quick => "machines-quick",
            Self::Slow => "machines-slow",
            Self::Aside => "machines-aside",
            Self::Trial => "machines-trial",
            Self::Replay => "machines-replay",
            Self::Load => "machines-load",
            Self::Deploy => "machines-deploy",
            Self::Import => "machines-import",
        }
    }

    /// Returns whether the lane's threads give way to all others.
    fn gives_way(self) -> bool {
        self != Self::Quick
    }

    /// Returns the maximum number of the lane's threads, if other lanes have `others`.
    fn threads(self, others: usize) -> usize {
        // An import takes a thread for as long as its sender takes to send it.
        if self == Self::Import { POOL_IMPORT_THREADS } else { others }
    }
}

impl JobPanicked {
    fn new(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        Self(text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default())
    }
}

impl Default for MachinePool {
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self::with_threads((processors * POOL_LANE_THREADS_PER_PROCESSOR).max(POOL_LANE_THREADS_MIN))
    }
}

impl MachinePool {
    /// Creates a pool with at most `max` threads in each lane, except for the lane of imports.
    #[must_use]
    pub fn with_threads(max: usize) -> Self {
        let threads = |lane: Lane| {
            let (max, queue, has_job) = (lane.threads(max), Mutex::default(), Condvar::new());
            Arc::new(Threads { lane, max, queue, has_job })
        };
        Self { lanes: Arc::new(LANES.map(threads)) }
    }

    /// Runs a job, and waits for its result. If this future is dropped before the job begins, the job does not run, and is dropped
    /// at once.
    ///
    /// # Panics
    ///
    /// The job panicked.
    pub async fn run<T: Send + 'static>(&self, lane: Lane, job: impl FnOnce() -> T + Send + 'static) -> T {
        self.catch(lane, job).await.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Runs a job as [`MachinePool::run`] does, for a caller that survives its panic.
    ///
    /// # Errors
    ///
    /// The job panicked.
    pub async fn try_run<T: Send + 'static>(
        &self,
        lane: Lane,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JobPanicked> {
        self.catch(lane, job).await.map_err(|panic| JobPanicked::new(&*panic))
    }

    async fn catch<T: Send + 'static>(
        &self,
        lane: Lane,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> thread::Result<T> {
        let (reply, done) = oneshot::channel();
        let _place = self.threads(lane).push(Box::new(move || {
            if !reply.is_closed() {
                let _nobody_waits = reply.send(catch_unwind(AssertUnwindSafe(job)));
            }
        }));
        match done.await {
            Ok(done) => done,
            // A job is dropped only after its caller stopped waiting.
            Err(_dropped) => std::future::pending().await,
        }
    }

    fn threads(&self, lane: Lane) -> &Arc<Threads> {
        &self.lanes[lane as usize]
    }
}

impl Threads {
    fn push(self: &Arc<Self>, job: Job) -> Place {
        let mut queue = self.lock();
        queue.last += 1;
        let place = Place { threads: Arc::clone(self), number: queue.last };
        queue.jobs.insert(place.number, job);
        if queue.idle >= queue.jobs.len() || queue.threads == self.max {
            self.has_job.notify_one();
            return place;
        }
        queue.threads += 1;
        drop(queue);
        self.start_thread();
        place
    }

    /// Starts one more thread, which is counted already.
    fn start_thread(self: &Arc<Self>) {
        let threads = Arc::clone(self);
        let started = thread::Builder::new().name(self.lane.name().to_owned()).stack_size(POOL_STACK_BYTES);
        if let Err(error) = started.spawn(move || threads.work()) {
            warn!(%error, "a thread for machines could not be started; other threads do its work");
            let mut queue = self.lock();
            queue.threads -= 1;
            // If there is no other thread, one of the runtime does the work.
            let job = if queue.threads == 0 { queue.jobs.pop_first() } else { None };
            drop(queue);
            job.map(|(_, job)| tokio::task::spawn_blocking(job));
        }
    }

    fn work(&self) {
        priority::stay_behind(if self.lane.gives_way() { POOL_NICENESS } else { 0 });
        let mut queue = self.lock();
        loop {
            while let Some((_, job)) = queue.jobs.pop_first() {
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

impl Drop for Place {
    fn drop(&mut self) {
        let job = self.threads.lock().jobs.remove(&self.number);
        // What the job holds is freed while the queue is not locked.
        drop(job);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn lanes_are_found_by_their_place_and_their_names_are_whole() {
        for (place, lane) in LANES.into_iter().enumerate() {
            assert_eq!(lane as usize, place);
            assert!(lane.name().len() <= 15, "{}", lane.name());
        }
    }

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

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn jobs_leave_a_processor_to_others() {
        let pool = MachinePool::with_threads(2);
        let processors = || rustix::thread::sched_getaffinity(None).unwrap().count();
        let expected = if processors() > 1 { processors() - 1 } else { 1 };
        for lane in LANES {
            assert_eq!(pool.run(lane, processors).await, expected, "{lane:?}");
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
        for lane in LANES.into_iter().filter(|lane| *lane != Lane::Trial) {
            let done = tokio::time::timeout(PATIENCE, pool.run(lane, || 7)).await;
            assert_eq!(done, Ok(7), "{lane:?} waits for trials");
        }
        assert_eq!(pool.threads(Lane::Trial).lock().jobs.len(), 3);
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
        let told = pool.try_run(Lane::Aside, || panic!("on purpose")).await;
        assert_eq!(told.map(|()| 0).unwrap_err().to_string(), "a thread for machines panicked: on purpose");
        assert_eq!(pool.run(Lane::Aside, || 1).await, 1);
    }

    #[tokio::test]
    async fn a_job_that_nobody_waits_for_is_dropped_and_not_begun() {
        let pool = MachinePool::with_threads(1);
        let (hold, held) = mpsc::channel::<()>();
        let holding = pool.clone();
        let (start, started) = mpsc::channel();
        let holds = move || {
            start.send(()).unwrap();
            held.recv().unwrap_err()
        };
        let first = tokio::spawn(async move { holding.run(Lane::Slow, holds).await });
        while started.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        let (began, begun) = mpsc::channel();
        let input = Arc::new(());
        let kept = Arc::downgrade(&input);
        let waiting = pool.clone();
        let job = move || {
            began.send(()).unwrap();
            drop(input);
        };
        let second = tokio::spawn(async move { waiting.run(Lane::Slow, job).await });
        while pool.threads(Lane::Slow).lock().jobs.is_empty() {
            tokio::task::yield_now().await;
        }
        second.abort();
        assert!(second.await.unwrap_err().is_cancelled());
        assert!(kept.upgrade().is_none(), "what it holds is kept until a thread reaches it");
        assert!(pool.threads(Lane::Slow).lock().jobs.is_empty());
        drop(hold);
        first.await.unwrap();
        pool.run(Lane::Slow, || ()).await;
        assert!(begun.try_recv().is_err(), "it was begun");
    }
}
