//! The only place where the host reads the clock.
//!
//! A room's time never goes backwards. So if the system clock jumped ahead by mistake, even for a moment, every room in use at the time
//! would stay ahead by the width of the jump. Therefore the host's time follows the system's clock, but not its jumps: if the two differ by
//! more than [`STEP_FOLLOWED_MAX`], the host's time runs at twice the speed, or at half, until they agree again. A restart takes the
//! system's clock as it is.

use std::sync::{Mutex, OnceLock, PoisonError};
#[cfg(not(target_os = "linux"))]
use std::time::Instant;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reapply_sync::Timestamp;
use tracing::{info, warn};

/// The largest step of the system's clock that the host's time follows at once.
pub const STEP_FOLLOWED_MAX: Duration = Duration::from_secs(5);

/// The factor by which the host's time is faster while it is behind the system's clock, and slower while it is ahead.
const PACE: u64 = 2;

/// The error of a system clock before 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the system's clock is before the year 1970, so events would have no time: set the clock, then start the host again"
)]
pub struct BeforeEpoch;

/// Reads the system's clock for the first time.
///
/// # Errors
///
/// The clock is before 1970.
pub fn start() -> Result<(), BeforeEpoch> {
    SystemTime::now().duration_since(UNIX_EPOCH).map_err(|_| BeforeEpoch)?;
    let _first = now();
    Ok(())
}

/// Returns the present, in the host's time.
#[must_use]
pub fn now() -> Timestamp {
    static CLOCK: OnceLock<Mutex<Clock>> = OnceLock::new();
    let (wall, passed) = (wall_micros(), passed_micros());
    let clock = CLOCK.get_or_init(|| Mutex::new(Clock::new(wall, passed)));
    let (time, change) = clock.lock().unwrap_or_else(PoisonError::into_inner).advance(wall, passed);
    if let Some(change) = change {
        tell(change);
    }
    Timestamp(time)
}

/// The host's time: microseconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Clock {
    time: u64,
    passed: u64,
    is_apart: bool,
}

/// The system's clock and the host's time have separated, or joined again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Ahead(Duration),
    Behind(Duration),
    Together,
}

impl Clock {
    fn new(wall: u64, passed: u64) -> Self {
        Self { time: wall, passed, is_apart: false }
    }

    /// Moves to the readings `wall` of the system's clock and `passed` of its count of elapsed time. Never goes backwards.
    fn advance(&mut self, wall: u64, passed: u64) -> (u64, Option<Change>) {
        let since = passed.saturating_sub(self.passed);
        let expected = self.time.saturating_add(since);
        let apart = Duration::from_micros(wall.abs_diff(expected));
        let is_apart = apart > STEP_FOLLOWED_MAX;
        let time = match is_apart {
            false => wall,
            true if wall > expected => self.time.saturating_add(since.saturating_mul(PACE)),
            true => self.time.saturating_add(since / PACE),
        };
        self.time = self.time.max(time);
        self.passed = self.passed.max(passed);
        let was_apart = std::mem::replace(&mut self.is_apart, is_apart);
        let change = match (was_apart, is_apart) {
            (false, true) if wall > expected => Some(Change::Ahead(apart)),
            (false, true) => Some(Change::Behind(apart)),
            (true, false) => Some(Change::Together),
            _ => None,
        };
        (self.time, change)
    }
}

fn tell(change: Change) {
    let advice =
        "rooms' time follows slowly; if the system's clock is right now, restart the host to take it over at once";
    match change {
        Change::Ahead(by) => warn!(by = %humantime::format_duration(by), "the system's clock was set ahead: {advice}"),
        Change::Behind(by) => warn!(by = %humantime::format_duration(by), "the system's clock was set back: {advice}"),
        Change::Together => info!("rooms' time and the system's clock agree again"),
    }
}

fn wall_micros() -> u64 {
    // The host does not start before 1970; a clock that is set there later reads as 1970.
    micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Returns the microseconds of a count that nobody can set. On Linux it continues while the machine is suspended.
#[cfg(target_os = "linux")]
fn passed_micros() -> u64 {
    let passed = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    micros(Duration::try_from(passed).unwrap_or_default())
}

/// Returns the microseconds of a count that nobody can set.
#[cfg(not(target_os = "linux"))]
fn passed_micros() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    micros(START.get_or_init(Instant::now).elapsed())
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Formats a time for people: RFC 3339, UTC, with microseconds. Times beyond the year 9999 are shown as that year's end.
#[must_use]
pub fn rfc3339(time: Timestamp) -> String {
    const LAST_MICROS: u64 = 253_402_300_799_999_999;
    let time = UNIX_EPOCH + Duration::from_micros(time.0.min(LAST_MICROS));
    humantime::format_rfc3339_micros(time).to_string()
}

/// Parses a time that a person wrote: RFC 3339 in UTC, with or without fractions of a second and the zone; or only a date, which is its
/// first moment.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    const DATE_CHARS: usize = "2000-02-29".len();
    let time = match text.len() {
        DATE_CHARS => humantime::parse_rfc3339(&format!("{text}T00:00:00Z")),
        _ => humantime::parse_rfc3339_weak(text),
    };
    let time = time.ok()?;
    let since_epoch = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since_epoch.as_micros()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;
    const YEAR: u64 = 365 * 24 * 60 * 60 * SECOND;

    #[test]
    fn small_steps_of_the_systems_clock_are_followed_and_time_never_goes_backwards() {
        let mut clock = Clock::new(YEAR, 0);
        assert_eq!(clock.advance(YEAR + 7, 7), (YEAR + 7, None));
        assert_eq!(clock.advance(YEAR + 4 * SECOND, 8), (YEAR + 4 * SECOND, None));
        assert_eq!(clock.advance(YEAR + SECOND, 9), (YEAR + 4 * SECOND, None));
        assert_eq!(clock.advance(YEAR + 5 * SECOND, 4 * SECOND), (YEAR + 5 * SECOND, None));
    }

    #[test]
    fn a_step_ahead_and_back_leaves_the_time_near_where_it_was() {
        let mut clock = Clock::new(YEAR, 0);
        let ahead = clock.advance(2 * YEAR, SECOND);
        assert_eq!(ahead, (YEAR + 2 * SECOND, Some(Change::Ahead(Duration::from_micros(YEAR - SECOND)))));
        assert_eq!(clock.advance(2 * YEAR + 59 * SECOND, 60 * SECOND), (YEAR + 120 * SECOND, None));
        // The operator corrects it: the host's time is a minute ahead, and waits for the system's.
        assert_eq!(clock.advance(YEAR + 62 * SECOND, 62 * SECOND), (YEAR + 121 * SECOND, None));
        let together = clock.advance(YEAR + 180 * SECOND, 180 * SECOND);
        assert_eq!(together.0, YEAR + 180 * SECOND);
        assert_eq!(clock.advance(YEAR + 181 * SECOND, 181 * SECOND), (YEAR + 181 * SECOND, Some(Change::Together)));
    }

    #[test]
    fn a_step_that_was_right_is_caught_up_with() {
        let (mut clock, hour) = (Clock::new(YEAR, 0), 3600 * SECOND);
        for second in 1..3596 {
            let (time, _) = clock.advance(YEAR + hour + second * SECOND, second * SECOND);
            assert_eq!(time, YEAR + 2 * second * SECOND);
        }
        let (time, change) = clock.advance(YEAR + hour + 3596 * SECOND, 3596 * SECOND);
        assert_eq!((time, change), (YEAR + hour + 3596 * SECOND, Some(Change::Together)));
    }

    #[test]
    fn a_step_back_slows_the_time_down_and_says_so() {
        let mut clock = Clock::new(2 * YEAR, 0);
        let (time, change) = clock.advance(YEAR, 10 * SECOND);
        assert_eq!(
            (time, change),
            (2 * YEAR + 5 * SECOND, Some(Change::Behind(Duration::from_micros(YEAR + 10 * SECOND))))
        );
        // A count of elapsed time that stands still, or goes back, moves nothing.
        assert_eq!(clock.advance(YEAR, 9 * SECOND).0, 2 * YEAR + 5 * SECOND);
    }

    #[test]
    fn times_that_are_printed_read_back() {
        let time = Timestamp(951_782_400_000_001);
        assert_eq!(parse_rfc3339(&rfc3339(time)), Some(time));
        assert_eq!(parse_rfc3339("2000-02-29 00:00:00"), Some(Timestamp(951_782_400_000_000)));
        assert_eq!(parse_rfc3339("2000-02-29"), Some(Timestamp(951_782_400_000_000)));
        assert_eq!(parse_rfc3339("1970-01-01T00:00:00.000001Z"), Some(Timestamp(1)));
        for bad in
            ["", "yesterday", "2000-02-30", "2000-02-30T00:00:00Z", "2000-02-29T00:00:00+02:00", "1969-12-31", "12"]
        {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_are_printed_as_rfc_3339() {
        assert_eq!(rfc3339(Timestamp(951_782_400_000_001)), "2000-02-29T00:00:00.000001Z");
        assert_eq!(rfc3339(Timestamp(u64::MAX)), "9999-12-31T23:59:59.999999Z");
    }
}
