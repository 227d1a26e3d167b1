//! How a rejection is told to a page.

use reapply_sync::Rejection;

/// The machine's own words on a conflict, as JSON.
#[must_use]
pub fn conflict(rejection: &Rejection) -> Option<&str> {
    match rejection {
        Rejection::Conflict(json) => Some(json),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_conflict_carries_json() {
        let conflict_rejection = Rejection::Conflict("\"BelowZero\"".into());
        assert_eq!(conflict(&conflict_rejection), Some("\"BelowZero\""));
        let too_large = Rejection::TooLarge { bytes: 2, bytes_max: 1 };
        assert_eq!(conflict(&too_large), None);
    }
}
