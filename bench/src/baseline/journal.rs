//! Appends to a file, in a thread of its own: one write and one `fdatasync` for all that waits.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use anyhow::Context;
use bytes::Bytes;
use tokio::sync::oneshot;

/// The file's size. The file is filled with zeros at the start, and overwritten from its beginning when it is full: each sync of a file that
/// grows would cost more.
const FILE_BYTES: usize = 64 * 1024 * 1024;

/// The way to the thread. Clones lead to the same file.
#[derive(Clone)]
pub(super) struct Journal(mpsc::Sender<(Bytes, oneshot::Sender<()>)>);

impl Journal {
    /// Lays out the file, and starts the thread.
    pub(super) fn create(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join("baseline.log");
        std::fs::write(&path, vec![0; FILE_BYTES]).with_context(|| format!("cannot write {}", path.display()))?;
        let file = File::options().write(true).open(&path)?;
        file.sync_all()?;
        let (append, appends) = mpsc::channel();
        thread::Builder::new().name("journal".to_owned()).spawn(move || write(file, &appends))?;
        Ok(Self(append))
    }

    /// Appends a batch; tells `stored` when it is durable, and drops it if it is not.
    pub(super) fn append(&self, batch: Bytes, stored: oneshot::Sender<()>) {
        let _thread_is_gone = self.0.send((batch, stored));
    }
}

fn write(mut file: File, appends: &mpsc::Receiver<(Bytes, oneshot::Sender<()>)>) -> std::io::Result<()> {
    let (mut bytes, mut told) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Ok(first) = appends.recv() {
        for (batch, stored) in std::iter::once(first).chain(appends.try_iter()) {
            bytes.extend_from_slice(&batch);
            told.push(stored);
        }
        if at + bytes.len() > FILE_BYTES {
            at = 0;
            file.seek(SeekFrom::Start(0))?;
        }
        file.write_all(&bytes)?;
        file.sync_data()?;
        at += bytes.len();
        bytes.clear();
        for stored in told.drain(..) {
            let _room_is_gone = stored.send(());
        }
    }
    Ok(())
}
