//! The answer to a failed request: a status, and JSON that says what is wrong.

use std::time::Duration;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use reapply_component::ComponentError;
use reapply_journal::JournalError;
use reapply_machine::DeployError;
use reapply_sync::{ApplyError, Fault, Goodbye, NameError, Rejection};
use serde::Serialize;
use serde_json::value::RawValue;
use tracing::error;

use super::limits::ROOMS_RETRY_AFTER;
use super::log::QueryError;
use crate::machines::MachinesError;
use crate::room::{EnterError, OpenRoomError, PastError, ViewError};
use crate::upgrade::UpgradeJobError;

/// A failed request.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct HttpError {
    status: StatusCode,
    kind: &'static str,
    message: String,
    /// The machine's own conflict, as JSON.
    detail: Option<Box<RawValue>>,
    /// The time after which the same request may succeed.
    retry_after: Option<Duration>,
}

impl HttpError {
    /// Creates an error with this status. `kind` is for programs, `message` for people.
    #[must_use]
    pub fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), detail: None, retry_after: None }
    }

    /// Creates an error for a request that is wrong itself: status 400.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", message)
    }

    /// Creates an error for a request whose subject does not exist: status 404.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", message)
    }

    /// Creates an error for a failure of the host, and writes it to the operator's log: status 500. The request may be correct.
    #[must_use]
    pub fn host_fault(message: impl Into<String>) -> Self {
        let message = message.into();
        error!(%message, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "host-fault", message)
    }

    /// Creates an error for a request that was not carried out and may succeed later: status 503.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    /// Adds the time after which the same request may succeed.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Told {
            #[serde(skip_serializing_if = "Option::is_none")]
            detail: Option<Box<RawValue>>,
            kind: &'static str,
            message: String,
        }
        let Self { status, kind, message, detail, retry_after } = self;
        #[derive(Serialize)]
        struct Answer {
            error: Told,
        }
        let mut answer = (status, Json(Answer { error: Told { detail, kind, message } })).into_response();
        if let Some(wait) = retry_after {
            // Whole seconds, and not too early.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            answer.headers_mut().insert(header::RETRY_AFTER, seconds.max(1).into());
        }
        answer
    }
}

impl From<QueryError> for HttpError {
    fn from(error: QueryError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<NameError> for HttpError {
    fn from(error: NameError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<JournalError> for HttpError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::QueueFull { .. } | JournalError::Closed => Self::unavailable(error.to_string()),
            JournalError::NoSuchRoom(_) | JournalError::NoSuchMachine(_) | JournalError::NoSuchComponent(_) => {
                Self::not_found(error.to_string())
            }
            JournalError::RoomExists(_) | JournalError::RoomStaged(_) => {
                Self::new(StatusCode::CONFLICT, "exists", error.to_string())
            }
            JournalError::Trimmed { .. } => Self::new(StatusCode::GONE, "trimmed", error.to_string()),
            _ => Self::host_fault(error.to_string()),
        }
    }
}

impl From<DeployError> for HttpError {
    fn from(error: DeployError) -> Self {
        match error {
            DeployError::Component(ComponentError::TooLarge { .. }) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", error.to_string())
            }
            DeployError::Internal(_) => Self::host_fault(error.to_string()),
            _ => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", error.to_string()),
        }
    }
}

impl From<MachinesError> for HttpError {
    fn from(error: MachinesError) -> Self {
        match error {
            MachinesError::Refused(error) => error.into(),
            MachinesError::Journal(error) => error.into(),
            MachinesError::Busy => Self::unavailable(error.to_string()),
            MachinesError::Stored { .. } | MachinesError::NotStored(_) => Self::host_fault(error.to_string()),
        }
    }
}

impl From<OpenRoomError> for HttpError {
    fn from(error: OpenRoomError) -> Self {
        match error {
            OpenRoomError::NoSuchMachine(_) | OpenRoomError::NoSuchRoom(_) => Self::not_found(error.to_string()),
            OpenRoomError::RoomExists(_) => Self::new(StatusCode::CONFLICT, "exists", error.to_string()),
            OpenRoomError::OptionsTooLarge(_) => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", error.to_string())
            }
            OpenRoomError::OptionsRefused(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "refused", error.to_string())
            }
            OpenRoomError::Journal(error) => error.into(),
            OpenRoomError::NotStored(_) => {
                let message = error.to_string();
                error!(%message, "a room could not be stored");
                Self::unavailable(message)
            }
            OpenRoomError::Machines(error) => error.into(),
            _ => Self::host_fault(error.to_string()),
        }
    }
}

impl From<EnterError> for HttpError {
    fn from(error: EnterError) -> Self {
        match error {
            EnterError::Open(error) => error.into(),
            // The trouble was already reported to the operator, once.
            EnterError::Troubled(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "host-fault", error.to_string()),
            EnterError::Full => Self::unavailable(error.to_string()).retry_after(ROOMS_RETRY_AFTER),
            EnterError::NoMemory(_) => {
                let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "no-memory", error.to_string());
                error.retry_after(ROOMS_RETRY_AFTER)
            }
            EnterError::ShuttingDown => Self::unavailable(error.to_string()),
        }
    }
}

impl From<ViewError> for HttpError {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::Enter(error) => error.into(),
            ViewError::Fault(fault) => fault.into(),
        }
    }
}

impl From<PastError> for HttpError {
    fn from(error: PastError) -> Self {
        match error {
            PastError::Beyond { .. } | PastError::Unborn { .. } => Self::not_found(error.to_string()),
            PastError::Before { .. } => Self::new(StatusCode::GONE, "trimmed", error.to_string()),
            PastError::Open(error) => error.into(),
            _ => Self::host_fault(error.to_string()),
        }
    }
}

impl From<UpgradeJobError> for HttpError {
    fn from(error: UpgradeJobError) -> Self {
        match error {
            UpgradeJobError::NoSuchMachine(_) | UpgradeJobError::NoSuchRoom(_) | UpgradeJobError::NoSuchBuild(_) => {
                Self::not_found(error.to_string())
            }
            UpgradeJobError::NoDigest(_) | UpgradeJobError::Ambiguous { .. } => Self::bad_request(error.to_string()),
            UpgradeJobError::Busy => Self::unavailable(error.to_string()),
            UpgradeJobError::Machines(error) => error.into(),
            UpgradeJobError::Journal(error) => error.into(),
        }
    }
}

impl From<Rejection> for HttpError {
    fn from(why: Rejection) -> Self {
        let status = match &why {
            Rejection::Malformed(_) | Rejection::Exhausted(_) | Rejection::Trapped(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Rejection::Conflict(_) | Rejection::Forgotten => StatusCode::CONFLICT,
            Rejection::Forbidden(_) => StatusCode::FORBIDDEN,
            Rejection::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Rejection::TooFast { .. } => StatusCode::TOO_MANY_REQUESTS,
            Rejection::Overfull { .. } => StatusCode::INSUFFICIENT_STORAGE,
        };
        let mut error = Self::new(status, why.kind(), why.to_string());
        if let Rejection::Conflict(conflict) = &why {
            error.detail = RawValue::from_string(conflict.clone()).ok();
        }
        error
    }
}

impl From<Fault> for HttpError {
    fn from(fault: Fault) -> Self {
        Rejection::from(ApplyError::Fault(fault)).into()
    }
}

impl From<Goodbye> for HttpError {
    fn from(why: Goodbye) -> Self {
        Self::unavailable(why.to_string())
    }
}
