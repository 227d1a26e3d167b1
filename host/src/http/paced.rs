//! Large bodies, which go out a portion at a time. Between two portions the thread serves others, and even clients on a very fast line leave it time
//! for that: no connection gets more than a gigabit line carries.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;

use super::limits::{PORTION_BYTES, PORTION_PAUSE};

/// Returns a body of these parts, one after the other. Its length is not known to it, so the response must say it.
pub(super) fn body(parts: impl IntoIterator<Item = Bytes>) -> Body {
    let rest = Rest { parts: parts.into_iter().filter(|part| !part.is_empty()).collect(), sent: 0 };
    let portions = futures_util::stream::unfold(rest, |mut rest| async {
        let part = rest.parts.front_mut()?;
        if rest.sent >= PORTION_BYTES {
            tokio::time::sleep(PORTION_PAUSE).await;
            rest.sent = 0;
        }
        let portion = part.split_to(part.len().min(PORTION_BYTES - rest.sent));
        if part.is_empty() {
            rest.parts.pop_front();
        }
        rest.sent += portion.len();
        Some((Ok::<_, Infallible>(portion), rest))
    });
    // A server may ask again after the end.
    Body::from_stream(portions.fuse())
}

/// The parts that are still to be sent.
struct Rest {
    parts: VecDeque<Bytes>,
    /// The bytes since the last pause.
    sent: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_parts_go_out_in_portions() {
        let large: Bytes = (0..3 * PORTION_BYTES + 7).map(|index| (index / 1_000) as u8).collect::<Vec<_>>().into();
        let parts = [Bytes::from_static(b"head"), large.clone(), Bytes::new(), Bytes::from_static(b"end")];
        let mut stream = body(parts).into_data_stream();
        let mut portions = Vec::new();
        while let Some(portion) = stream.next().await {
            portions.push(portion.unwrap());
        }
        assert!(stream.next().await.is_none(), "the end is told again to whoever asks again");
        assert!(portions.iter().all(|portion| !portion.is_empty() && portion.len() <= PORTION_BYTES));
        assert_eq!(portions.concat(), [b"head", &large[..], b"end"].concat());
        assert_eq!(portions.len(), 6, "the pauses come after whole portions");
    }
}
