//! Waiting for a condition, by polling until it holds or the deadline has passed.

use std::time::{Duration, Instant};

/// The deadline for everything. Far more than necessary: these tests share small machines with others.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// The pause between two polls.
const PAUSE: Duration = Duration::from_millis(20);

/// Polls until the answer is `Ok`.
///
/// # Panics
///
/// The deadline has passed. The message has the awaited condition, and the last `Err`.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        let found = match ask().await {
            Ok(answer) => return answer,
            Err(found) => found,
        };
        give_up_after_deadline(began, what, &found);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Polls like [`until`], outside of async code.
///
/// # Panics
///
/// The deadline has passed.
pub fn until_blocking<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let began = Instant::now();
    loop {
        let found = match ask() {
            Ok(answer) => return answer,
            Err(found) => found,
        };
        give_up_after_deadline(began, what, &found);
        std::thread::sleep(PAUSE);
    }
}

fn give_up_after_deadline(began: Instant, what: &str, found: &str) {
    let waited = began.elapsed();
    assert!(waited < DEADLINE, "waited {} s for this: {what}\nfound instead: {found}", waited.as_secs());
}
