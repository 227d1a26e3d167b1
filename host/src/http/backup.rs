//! Backups: the whole journal as one file, while it is in use.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use reapply_journal::JournalError;
use reapply_journal::directory::create_private;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::OwnedSemaphorePermit;
use tracing::{info, warn};

use super::archive::{CHUNK_BYTES, permit};
use super::error::HttpError;
use super::guard::Administrator;
use super::state::HttpState;

/// The header that carries the BLAKE3 hash of a backup.
pub const HASH_HEADER: &str = "reapply-blake3";

/// Handles `GET /backup`.
pub async fn backup(
    State(served): State<HttpState>,
    Administrator { peer }: Administrator,
) -> Result<Response, HttpError> {
    let permit = permit(&served)?;
    let failed = |error: io::Error| HttpError::host_fault(format!("the backup failed: {error}"));
    create_private(&served.scratch).map_err(failed)?;
    let copy = Copy { path: served.scratch.join(format!("backup-{:016x}", rand::random::<u64>())), _permit: permit };
    let journal = Arc::clone(&served.logs.journal);
    // In a task of its own: if the client disconnects, the backup keeps its permit, and its file is removed when it is done.
    let made = tokio::spawn(async move {
        journal.backup(&copy.path).await?;
        Ok::<_, JournalError>(copy)
    });
    let copy = made.await.map_err(|error| HttpError::host_fault(error.to_string()))??;
    let path = copy.path.clone();
    let hashed = tokio::task::spawn_blocking(move || hash(&path)).await;
    let (hash, bytes) = hashed.map_err(|error| HttpError::host_fault(error.to_string()))?.map_err(failed)?;
    let file = File::open(&copy.path).await.map_err(failed)?;
    info!(%peer, bytes, "backed up");
    let chunks = stream::unfold((file, copy), |(mut file, copy)| async {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        match file.read_buf(&mut chunk).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(Bytes::from(chunk)), (file, copy))),
            Err(error) => Some((Err(error), (file, copy))),
        }
    });
    let headers = [
        (header::CONTENT_TYPE.as_str(), "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH.as_str(), bytes.to_string()),
        (HASH_HEADER, hash.to_string()),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

/// A copy of the journal. Its file is removed on drop.
struct Copy {
    path: PathBuf,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Copy {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                warn!(file = %self.path.display(), %error, "a backup's file could not be removed; it stays until the next start");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

fn hash(path: &Path) -> io::Result<(blake3::Hash, u64)> {
    let mut file = std::fs::File::open(path)?;
    let (mut hasher, mut buffer, mut bytes) = (blake3::Hasher::new(), vec![0; CHUNK_BYTES], 0);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((hasher.finalize(), bytes));
        }
        hasher.update(&buffer[..count]);
        bytes += count as u64;
    }
}
