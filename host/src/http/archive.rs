//! A room's log as a file: out, and in again; and rooms that share their past.

use std::io::{self, Read, Write};
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
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
use super::limits::{BODY_BYTES_MAX, EXPORT_CHUNKS_MAX, TRANSFER_SILENCE_MAX};
use super::rooms::place;
use super::state::HttpState;
use crate::archive::limits::EXPORT_BYTES_MAX;
use crate::archive::{self, Finding, ImportError, ReadError, VerifyError, format::SUFFIX};
use crate::clock::rfc3339;
use crate::log::Logs;
use crate::room::{OpenRoomError, seq_at};

/// Answers `GET /rooms/{machine}/{room}/export`. The file is made as it is sent.
pub async fn export(State(served): State<HttpState>, RoomPath(id): RoomPath) -> Result<Response, HttpError> {
    let permit = Arc::clone(&served.exports).try_acquire_owned();
    let permit =
        permit.map_err(|_| HttpError::unavailable("as many exports are under way as may be; try again later"))?;
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

/// Answers `POST /rooms/{machine}/{room}/import`: the body, an export, becomes the room.
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
    let Logs { journal, machines } = served.logs.clone();
    let runtime = Handle::current();
    let mut upload = Upload {
        runtime: runtime.clone(),
        body: request.into_body().into_data_stream(),
        pace: Pace::begin(),
        chunk: Bytes::new(),
        bytes: 0,
    };
    let (to, scratch) = (id.clone(), Arc::clone(&served.scratch));
    let imported = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        archive::import(journal.as_ref(), &runtime, machines.engine(), &to, &scratch, &mut upload)
    });
    let imported = imported.await.map_err(|error| HttpError::host_fault(error.to_string()))??;
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

/// Asks for a fork.
#[derive(Debug, Deserialize)]
struct Fork {
    /// The new room, as `machine/room`: of the same machine.
    to: String,
    /// The last event that both have; the newest one if it is left out.
    seq: Option<u64>,
    /// Or its time.
    time: Option<String>,
}

/// Answers `POST /rooms/{machine}/{room}/fork`.
pub async fn fork(
    State(served): State<HttpState>,
    Administrator { peer }: Administrator,
    RoomPath(id): RoomPath,
    body: body::Body<BODY_BYTES_MAX>,
) -> Result<Response, HttpError> {
    let asked: Fork = serde_json::from_str(body.text()?)
        .map_err(|error| HttpError::bad_request(format!("the body says which fork, as JSON: {error}")))?;
    let to: RoomId = asked.to.parse().map_err(|error| HttpError::bad_request(format!("`to`: {error}")))?;
    if to.machine != id.machine {
        let message = format!("a fork of {id} runs the same machine: name it {}/{}", id.machine, to.room);
        return Err(HttpError::bad_request(message));
    }
    let permit = permit(&served)?;
    let record = served.rooms.settled(&id).await?;
    let seq = seq_at(&served.logs, &record, place(asked.seq, asked.time.as_deref())?).await?;
    let (logs, new) = (served.logs.clone(), to.clone());
    // Beside this request: should who asks go, it is still one of those under way.
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

/// Bytes of an export that are sent at a time.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

pub(super) fn permit(served: &HttpState) -> Result<OwnedSemaphorePermit, HttpError> {
    let permit = Arc::clone(&served.archives).try_acquire_owned();
    permit.map_err(|_| {
        HttpError::unavailable("as many imports, forks and backups are under way as may be; try again later")
    })
}

/// Where an export goes: to a body that is read at its reader's pace.
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
                Err(io::Error::new(io::ErrorKind::TimedOut, "its reader stands still"))
            }
            Err(SendTimeoutError::Closed(_)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "its reader is gone")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where an import comes from: a body, read by a thread that may block.
struct Upload {
    runtime: Handle,
    body: BodyDataStream,
    pace: Pace,
    chunk: Bytes,
    bytes: u64,
}

impl Upload {
    /// Whether there was another one.
    fn next_chunk(&mut self) -> io::Result<bool> {
        match self.runtime.block_on(self.pace.next(&mut self.body)).map_err(io::Error::other)? {
            Some(chunk) => {
                self.bytes += chunk.len() as u64;
                self.chunk = chunk;
                if self.bytes > EXPORT_BYTES_MAX {
                    return Err(io::Error::other(format!(
                        "it has more bytes than the limit, which is {EXPORT_BYTES_MAX}"
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
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unproven", format!("the export is not taken in: {error}"))
            }
        }
    }
}
