//! Request bodies: limits on the size of each, on its pace, and on the bytes of all that the host holds at once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body as Unread, BodyDataStream, HttpBody};
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use super::error::HttpError;
use super::limits::{
    BODIES_BYTES_MAX, BODY_BYTES_PER_SECOND_MIN, BODY_GRACE, BODY_SILENCE_MAX, DRAIN_WITHIN, DRAINED_BYTES_MAX,
};

/// The number of bytes that one permit of [`Bodies`] stands for.
const PERMIT_BYTES: usize = 1024;

/// The memory for bodies that are being read or handled. Bodies beyond [`BODIES_BYTES_MAX`] are refused.
#[derive(Clone, Debug)]
pub struct Bodies(Arc<Semaphore>);

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(BODIES_BYTES_MAX / PERMIT_BYTES)))
    }
}

/// A request's body, of at most `BYTES_MAX` bytes. It takes space in [`Bodies`] until it is dropped.
#[derive(Debug)]
pub struct Body<const BYTES_MAX: usize> {
    bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl<const BYTES_MAX: usize> Body<BYTES_MAX> {
    /// Returns the body.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the body as text.
    ///
    /// # Errors
    ///
    /// The body is not UTF-8.
    pub fn text(&self) -> Result<&str, HttpError> {
        std::str::from_utf8(&self.bytes).map_err(|_| HttpError::bad_request("the body is not UTF-8"))
    }

    /// Returns the body, which is a JSON object. `shape` is the beginning of the error, and says what is expected.
    ///
    /// # Errors
    ///
    /// The body is something else, or has other fields.
    pub fn object<T: DeserializeOwned>(&self, shape: &str) -> Result<T, HttpError> {
        let text = self.text()?.trim();
        // Otherwise an array would count as the fields in their order.
        if !text.starts_with('{') {
            return Err(HttpError::bad_request(format!("{shape}: the body is not a JSON object")));
        }
        serde_json::from_str(text).map_err(|error| HttpError::bad_request(format!("{shape}: {error}")))
    }
}

impl<const BYTES_MAX: usize, S> FromRequest<S> for Body<BYTES_MAX>
where
    Bodies: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &S) -> Result<Self, HttpError> {
        let bodies = Bodies::from_ref(state);
        let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let announced = announced.and_then(|length| length.parse::<u64>().ok());
        let too_large = |bytes: Option<u64>| {
            let message = match bytes {
                Some(bytes) => format!("the body has {bytes} bytes; the limit is {BYTES_MAX}"),
                None => format!("the body has more bytes than the limit, which is {BYTES_MAX}"),
            };
            HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message)
        };
        if announced.is_some_and(|bytes| bytes > BYTES_MAX as u64) {
            return Err(too_large(announced));
        }
        let mut permit = bodies.first_permit()?;
        let (mut pace, mut chunks) = (Pace::begin(), request.into_body().into_data_stream());
        let mut bytes = Vec::new();
        while let Some(chunk) = pace.next(&mut chunks).await? {
            if bytes.len() + chunk.len() > BYTES_MAX {
                return Err(too_large(None));
            }
            permit.merge(bodies.permit(permit.num_permits(), bytes.len() + chunk.len())?);
            bytes.extend_from_slice(&chunk);
        }
        Ok(Self { bytes: bytes.into(), _permit: permit })
    }
}

impl Bodies {
    fn first_permit(&self) -> Result<OwnedSemaphorePermit, HttpError> {
        self.permit(0, 1)
    }

    /// Returns the missing permits for a body of `bytes` bytes, if `held` permits are held already.
    fn permit(&self, held: usize, bytes: usize) -> Result<OwnedSemaphorePermit, HttpError> {
        let missing = bytes.div_ceil(PERMIT_BYTES).saturating_sub(held);
        let permit = Arc::clone(&self.0).try_acquire_many_owned(u32::try_from(missing).unwrap_or(u32::MAX));
        permit.map_err(|_| {
            let message = format!("the host holds {BODIES_BYTES_MAX} bytes of request bodies, which is its limit");
            HttpError::unavailable(message + "; try again later")
        })
    }
}

/// The pace of a body: it must not be silent for long, nor too slow on average. Only the time during which the host waits for the body counts, not
/// the time that the host takes to process it.
#[derive(Debug)]
pub(super) struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    pub(super) fn begin() -> Self {
        Self { waited: Duration::ZERO, bytes: 0 }
    }

    /// Returns the maximum time to wait for the next part.
    fn patience(&self) -> Duration {
        let on_the_whole = BODY_GRACE + Duration::from_secs(self.bytes / BODY_BYTES_PER_SECOND_MIN);
        on_the_whole.saturating_sub(self.waited).min(BODY_SILENCE_MAX)
    }

    /// Returns the next part of a body; `None` at its end.
    ///
    /// # Errors
    ///
    /// The body ended early, or is too slow.
    pub(super) async fn next(&mut self, chunks: &mut BodyDataStream) -> Result<Option<Bytes>, HttpError> {
        let from = Instant::now();
        let next = timeout_at(from + self.patience(), chunks.next()).await;
        self.waited += from.elapsed();
        match next {
            Ok(Some(Ok(chunk))) => {
                self.bytes += chunk.len() as u64;
                Ok(Some(chunk))
            }
            Ok(Some(Err(error))) => Err(HttpError::bad_request(format!("the body ended early: {error}"))),
            Ok(None) => Ok(None),
            Err(_) => {
                let message = format!(
                    "the body is too slow: it may be silent for {} s, and must bring {BODY_BYTES_PER_SECOND_MIN} bytes a second after {} s",
                    BODY_SILENCE_MAX.as_secs(),
                    BODY_GRACE.as_secs()
                );
                Err(HttpError::new(StatusCode::REQUEST_TIMEOUT, "too-slow", message))
            }
        }
    }
}

/// Reads and drops the part of a body that its handler left, since a client that is still sending does not read the answer. A client that
/// waits for a go-ahead before it sends (`Expect`) is not asked to send.
pub(super) async fn drain(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let waits = request.headers().contains_key(header::EXPECT);
    let (give_back, given_back) = oneshot::channel();
    let lent = |body: Unread| {
        let lender = Some((body.into_data_stream(), give_back));
        Unread::from_stream(Lent { lender, was_read: false })
    };
    let response = next.run(request.map(lent)).await;
    let mut given_back = given_back;
    if let Ok((mut rest, was_read)) = given_back.try_recv()
        && (was_read || !waits)
    {
        let drained = async {
            let mut bytes = 0;
            while let Some(Ok(chunk)) = rest.next().await {
                bytes += chunk.len();
                if bytes > DRAINED_BYTES_MAX {
                    break;
                }
            }
        };
        let _still_sending = tokio::time::timeout(DRAIN_WITHIN, drained).await;
    }
    response
}

/// A body that comes back when its reader drops it.
struct Lent {
    lender: Option<(BodyDataStream, oneshot::Sender<(BodyDataStream, bool)>)>,
    was_read: bool,
}

impl Stream for Lent {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.was_read = true;
        let Some((body, _)) = &mut self.lender else { return Poll::Ready(None) };
        let next = body.poll_next_unpin(context);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self.lender = None;
        }
        next
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some((body, give_back)) = self.lender.take() {
            let _nobody_waits = give_back.send((body, self.was_read));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn stream_of(parts: Vec<Bytes>) -> BodyDataStream {
        Unread::from_stream(stream::iter(parts.into_iter().map(Ok::<_, axum::Error>))).into_data_stream()
    }

    #[tokio::test]
    async fn only_the_time_for_which_the_host_waits_counts() {
        let mut pace = Pace::begin();
        let mut chunks = stream_of(vec![Bytes::from_static(b"x"); 3]);
        while pace.next(&mut chunks).await.unwrap().is_some() {
            // The body is available at once, so processing time does not count.
            assert!(pace.waited < BODY_GRACE && pace.patience() > Duration::ZERO);
        }
        assert_eq!(pace.bytes, 3);
        let pace = Pace { waited: BODY_GRACE, bytes: 0 };
        assert_eq!(pace.patience(), Duration::ZERO);
        let pace = Pace { waited: BODY_GRACE, bytes: 3 * BODY_BYTES_PER_SECOND_MIN };
        assert_eq!(pace.patience(), Duration::from_secs(3).min(BODY_SILENCE_MAX));
    }

    #[tokio::test]
    async fn a_body_that_has_used_up_its_time_is_refused() {
        let mut pace = Pace { waited: BODY_GRACE, bytes: 0 };
        let mut silent = Unread::from_stream(stream::pending::<Result<Bytes, axum::Error>>()).into_data_stream();
        let refused = pace.next(&mut silent).await.unwrap_err();
        assert!(refused.to_string().contains("too slow"), "{refused}");
    }
}
