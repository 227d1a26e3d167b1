//! The one place where the host reads the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reapply_sync::Timestamp;

/// The present. A clock that stands before 1970 reads as 1970; rooms never let time go backwards anyway.
#[must_use]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
}

/// A time for people: RFC 3339, UTC, with microseconds. What lies beyond the year 9999 is shown as that year's end.
#[must_use]
pub fn rfc3339(time: Timestamp) -> String {
    const LAST_MICROS: u64 = 253_402_300_799_999_999;
    let time = UNIX_EPOCH + Duration::from_micros(time.0.min(LAST_MICROS));
    humantime::format_rfc3339_micros(time).to_string()
}

/// A time that a person wrote: RFC 3339 in UTC, with or without fractions of a second and the zone; or a date alone, which is its first moment.
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
