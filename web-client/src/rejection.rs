//! How a rejection is told to a page.

use reapply_sync::Rejection;

/// The name that pages know this kind of rejection by; the host's HTTP errors use the same ones.
#[must_use]
pub fn kind(rejection: &Rejection) -> &'static str {
    match rejection {
        Rejection::Malformed(_) => "malformed",
        Rejection::Conflict(_) => "conflict",
        Rejection::Exhausted(_) => "exhausted",
        Rejection::Trapped(_) => "trapped",
        Rejection::Forbidden(_) => "forbidden",
        Rejection::TooLarge { .. } => "too-large",
        Rejection::TooFast { .. } => TOO_FAST,
        Rejection::Forgotten => "forgotten",
    }
}

/// More than can be taken on now: the same transition may be taken later.
pub const TOO_FAST: &str = "too-fast";

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
        assert_eq!((kind(&conflict_rejection), conflict(&conflict_rejection)), ("conflict", Some("\"BelowZero\"")));
        let too_large = Rejection::TooLarge { bytes: 2, bytes_max: 1 };
        assert_eq!((kind(&too_large), conflict(&too_large)), ("too-large", None));
    }
}
