//! Exports and imports of a room's log as a file, and forks, which share another room's past.

use std::io::{self, Read, Write};
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use reapply_machine::Lane;
use reapply_sync::{Digest, RoomId};
use serde::Deserialize;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tracing::{info, warn};

use super::body::{self, Pace};
use super::error::HttpError;
use super::extract::RoomPath;
use super::guard::Administrator;
use super::limits::{ARCHIVES_MAX, BODY_BYTES_MAX, EXPORT_CHUNKS_MAX, EXPORTS_MAX, TRANSFER_SILENCE_MAX};
use super::rooms::place;
use super::state::HttpState;
use crate::archive::limits::EXPORT_BYTES_MAX;
use crate::archive::{self, Finding, ImportError, ReadError, VerifyError, format::SUFFIX};
use crate::clock::rfc3339;
use crate::log::Logs;
use crate::room::{OpenRoomError, seq_at};

/// Handles `GET /rooms/{machine}/{room}/export`. The file is made while it is sent.
pub async fn export(State(served): State<HttpState>, RoomPath(id): RoomPath) -> Result<Response, HttpError> {
    let permit = Arc::clone(&served.exports).try_acquire_owned();
    let permit = permit.map_err(|_| {
        HttpError::unavailable(format!("too many exports are running (limit {EXPORTS_MAX}); try again later"))
    })?;
    let journal = Arc::clone(&served.logs.journal);
    served.rooms.settled(&id).await?;
    let file = format!("attachment; filename=\"{}-{}.{SUFFIX}\"", id.machine, id.room);
    let (sender, chunks) = mpsc::channel(EXPORT_CHUNKS_MAX);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let to = io::BufWriter::with_capacity(CHUNK_BYTES, Chunks { runtime: runtime.clone(), sender });
        match archive::export(&journal, &runtime, &id, to) {
            Ok(counts) => info!(room = %id, events = counts.events, "exported"),
            Err(error) => warn!(room = %id, %error, "an export ended early"),
        }
    });
    let headers = [(header::CONTENT_TYPE, "application/octet-stream".to_owned()), (header::CONTENT_DISPOSITION, file)];
    let chunks =
        stream::unfold(chunks, |mut chunks| async { Some((Ok::<Bytes, io::Error>(chunks.recv().await?), chunks)) });
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// Handles `POST /rooms/{machine}/{room}/import`: creates the room from the export in the body.
pub async fn import(
    State(served): State<HttpState>,
    Administrator { peer }: Administrator,
    RoomPath(id): RoomPath,
    request: Request,
) -> Result<Response, HttpError> {
    let permit = permit(&served)?;
    if served.logs.journal.room(&id).await?.is_some() {
        return Err(OpenRoomError::RoomExists(id).into());
    }
    let Logs { journal, machines, .. } = served.logs.clone();
    let runtime = Handle::current();
    let mut upload = Upload {
        runtime: runtime.clone(),
        body: request.into_body().into_data_stream(),
        pace: Pace::begin(),
        chunk: Bytes::new(),
        bytes: 0,
    };
    let (to, scratch) = (id.clone(), Arc::clone(&served.scratch));
    let pool = machines.pool().clone();
    let import = move || {
        let _permit = permit;
        archive::import(journal.as_ref(), &runtime, machines.engine(), &to, &scratch, &mut upload)
    };
    let imported = pool.try_run(Lane::Import, import).await;
    let imported = imported.map_err(|panic| HttpError::host_fault(panic.to_string()))??;
    served.rooms.look_for_absent();
    info!(room = %id, %peer, events = imported.proof.counts.events, "imported");
    let answer = json!({
        "machine": id.machine,
        "room": id.room,
        "seq": imported.head,
        "log": imported.log.to_string(),
        "chain": Digest(imported.chain.0).to_string(),
        "deployed": imported.deployed.map(|digest| digest.to_string()),
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// The request for a fork, in the body.
#[derive(Debug, Deserialize)]
struct Fork {
    /// The new room, as `machine/room`, of the same machine.
    to: String,
    /// The last event that both rooms share; by default the newest one.
    seq: Option<u64>,
    /// The time of that event, instead of `seq`.
    time: Option<String>,
}

/// Handles `POST /rooms/{machine}/{room}/fork`.
pub async fn fork(
    State(served): State<HttpState>,
    Administrator { peer }: Administrator,
    RoomPath(id): RoomPath,
    body: body::Body<BODY_BYTES_MAX>,
) -> Result<Response, HttpError> {
    let asked: Fork = body.object("the body must name the new room, as JSON such as {\"to\": \"machine/room\"}")?;
    let to: RoomId = asked.to.parse().map_err(|error| HttpError::bad_request(format!("`to`: {error}")))?;
    if to.machine != id.machine {
        let message = format!("a fork of {id} runs the same machine: name it {}/{}", id.machine, to.room);
        return Err(HttpError::bad_request(message));
    }
    let permit = permit(&served)?;
    let record = served.rooms.settled(&id).await?;
    let seq = seq_at(&served.logs, &record, place(asked.seq, asked.time.as_deref())?).await?;
    let (logs, new) = (served.logs.clone(), to.clone());
    // In a task of its own, so that the fork keeps its permit if the client disconnects.
    let forked = tokio::spawn(async move {
        let _permit = permit;
        archive::fork(&logs, &record, seq, &new).await
    });
    let forked = forked.await.map_err(|error| HttpError::host_fault(error.to_string()))??;
    served.rooms.look_for_absent();
    info!(room = %to, from = %id, at = %seq, %peer, "forked");
    let answer = json!({
        "machine": to.machine,
        "room": to.room,
        "at": seq,
        "time": rfc3339(forked.time),
        "log": forked.log.to_string(),
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// The number of bytes of an export that are sent at a time.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

pub(super) fn permit(served: &HttpState) -> Result<OwnedSemaphorePermit, HttpError> {
    let permit = Arc::clone(&served.archives).try_acquire_owned();
    permit.map_err(|_| {
        HttpError::unavailable(format!(
            "too many imports, forks and backups are running (limit {ARCHIVES_MAX}); try again later"
        ))
    })
}

/// The writer of an export. It fills a response's body at its reader's pace.
struct Chunks {
    runtime: Handle,
    sender: mpsc::Sender<Bytes>,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bytes = &bytes[..bytes.len().min(CHUNK_BYTES)];
        let sending = self.sender.send_timeout(Bytes::copy_from_slice(bytes), TRANSFER_SILENCE_MAX);
        match self.runtime.block_on(sending) {
            Ok(()) => Ok(bytes.len()),
            Err(SendTimeoutError::Timeout(_)) => {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the client stopped reading"))
            }
            Err(SendTimeoutError::Closed(_)) => {
                Err(io::Error::new(io::ErrorKind::BrokenPipe, "the client disconnected"))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The reader of an import's body, for a thread that may block.
struct Upload {
    runtime: Handle,
    body: BodyDataStream,
    pace: Pace,
    chunk: Bytes,
    bytes: u64,
}

impl Upload {
    /// Reads the next chunk. Returns `false` at the body's end.
    fn next_chunk(&mut self) -> io::Result<bool> {
        match self.runtime.block_on(self.pace.next(&mut self.body)).map_err(io::Error::other)? {
            Some(chunk) => {
                self.bytes += chunk.len() as u64;
                self.chunk = chunk;
                if self.bytes > EXPORT_BYTES_MAX {
                    return Err(io::Error::other(format!(
                        "the export has more bytes than the limit, which is {EXPORT_BYTES_MAX}"
                    )));
                }
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

impl Read for Upload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            if !self.next_chunk()? {
                return Ok(0);
            }
        }
        let count = self.chunk.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}

impl From<ImportError> for HttpError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Journal(error) => error.into(),
            ImportError::Unproven(VerifyError::Finding(Finding::File(ReadError::Io { .. }))) => {
                Self::bad_request(error.to_string())
            }
            ImportError::Unproven(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unproven", format!("the export is not imported: {error}"))
            }
        }
    }
}
