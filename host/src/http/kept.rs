//! Files that never change, kept in memory in the form in which they are sent. They are bounded in bytes, with those that are being sent.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use reapply_sync::Digest;

use super::compress::Encoding;
use super::error::HttpError;
use super::limits::{COMPONENTS_BYTES_MAX, COMPONENTS_RETRY_AFTER};

/// The files of components that were sent lately. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeptFiles(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Held while a file is made: one at a time.
    making: Arc<tokio::sync::Mutex<()>>,
    files: Mutex<Files>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Files {
    by_name: HashMap<FileName, File>,
    /// The number of times that a file was taken.
    taken: u64,
}

#[derive(Debug)]
struct File {
    bytes: Bytes,
    /// The value of [`Files::taken`] when this file was last taken.
    last_taken: u64,
}

/// The name of a file: of which component it is, and in what form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FileName {
    pub(super) digest: Digest,
    pub(super) kind: FileKind,
    /// The way in which the file is compressed, if it is.
    pub(super) encoding: Option<Encoding>,
}

/// The content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FileKind {
    Component,
    Plan,
}

impl Default for KeptFiles {
    fn default() -> Self {
        Self::new(COMPONENTS_BYTES_MAX)
    }
}

impl KeptFiles {
    fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Shared { making: Arc::default(), files: Mutex::default(), bytes_max }))
    }

    /// Returns a file: the one that is kept, or else the one that `make` returns. A file that is being made is made to its end, also if nobody waits
    /// for it any more, so that no more than one is made at a time.
    ///
    /// # Errors
    ///
    /// The file cannot be made, or there is no memory for it besides the files that are being sent.
    pub(super) async fn get(
        &self,
        name: FileName,
        make: impl Future<Output = Result<Bytes, HttpError>> + Send + 'static,
    ) -> Result<Bytes, HttpError> {
        if let Some(bytes) = self.files().take(name) {
            return Ok(bytes);
        }
        let turn = Arc::clone(&self.0.making).lock_owned().await;
        if let Some(bytes) = self.files().take(name) {
            return Ok(bytes);
        }
        let kept = self.clone();
        let made = tokio::spawn(async move {
            let _turn = turn;
            let bytes = make.await?;
            kept.files().keep(name, bytes, kept.0.bytes_max)
        });
        made.await.map_err(|error| HttpError::host_fault(error.to_string()))?
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files {
    fn take(&mut self, name: FileName) -> Option<Bytes> {
        let file = self.by_name.get_mut(&name)?;
        self.taken += 1;
        file.last_taken = self.taken;
        Some(file.bytes.clone())
    }

    /// Keeps a file, and returns it. Drops others for it that are not being sent, those first that were not taken for longest.
    fn keep(&mut self, name: FileName, bytes: Bytes, bytes_max: usize) -> Result<Bytes, HttpError> {
        while self.bytes() + bytes.len() > bytes_max {
            let idle = self.by_name.iter().filter(|(_, file)| file.bytes.is_unique());
            let Some((&oldest, _)) = idle.min_by_key(|(_, file)| file.last_taken) else {
                let message = format!(
                    "components of {bytes_max} bytes are being sent, which is the host's limit; try again later"
                );
                return Err(HttpError::unavailable(message).retry_after(COMPONENTS_RETRY_AFTER));
            };
            self.by_name.remove(&oldest);
        }
        self.taken += 1;
        self.by_name.insert(name, File { bytes: bytes.clone(), last_taken: self.taken });
        Ok(bytes)
    }

    fn bytes(&self) -> usize {
        self.by_name.values().map(|file| file.bytes.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn name(byte: u8) -> FileName {
        FileName { digest: Digest([byte; 32]), kind: FileKind::Component, encoding: None }
    }

    async fn get(kept: &KeptFiles, byte: u8, length: usize) -> Result<Bytes, HttpError> {
        kept.get(name(byte), async move { Ok(vec![byte; length].into()) }).await
    }

    #[tokio::test]
    async fn a_file_is_made_once_for_all_who_ask_at_once() {
        let (kept, made) = (KeptFiles::new(100), Arc::new(AtomicUsize::new(0)));
        let asked = (0..20).map(|_| {
            let made = Arc::clone(&made);
            kept.get(name(1), async move {
                made.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok(vec![1; 10].into())
            })
        });
        let got = futures_util::future::join_all(asked).await;
        assert_eq!(made.load(Ordering::SeqCst), 1);
        let places: Vec<_> = got.into_iter().map(|bytes| bytes.unwrap().as_ptr()).collect();
        assert!(places.iter().all(|place| *place == places[0]), "the bytes were copied");
    }

    #[tokio::test]
    async fn files_are_bounded_in_bytes_with_those_that_are_being_sent() {
        let kept = KeptFiles::new(100);
        let sent = get(&kept, 1, 60).await.unwrap();
        drop(get(&kept, 2, 40).await.unwrap());
        // The first file was taken longer ago, but is still being sent.
        drop(get(&kept, 3, 40).await.unwrap());
        let names = |kept: &KeptFiles| {
            let mut names: Vec<_> = kept.files().by_name.keys().map(|name| name.digest.0[0]).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(names(&kept), [1, 3]);
        let refused = get(&kept, 4, 50).await.unwrap_err().to_string();
        assert!(refused.contains("try again later"), "{refused}");
        drop(sent);
        drop(get(&kept, 4, 50).await.unwrap());
        assert_eq!(names(&kept), [4]);
        assert!(kept.files().bytes() <= 100);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_made_is_not_kept() {
        let kept = KeptFiles::new(100);
        let failed = kept.get(name(1), async { Err(HttpError::not_found("nothing")) }).await;
        assert_eq!(failed.unwrap_err().to_string(), "nothing");
        assert_eq!(get(&kept, 1, 10).await.unwrap().len(), 10);
    }
}
