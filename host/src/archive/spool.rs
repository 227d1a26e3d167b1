//! Components that wait on disk until the export that they came in is proved.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use reapply_sync::Digest;

use reapply_journal::directory::{create_private, private};
use reapply_journal::{Component, JournalError};

/// A temporary file of components. It is unlinked at once, so nothing of it stays when the process ends.
pub(super) struct Spool {
    folder: PathBuf,
    /// The file. It is created for the first component.
    file: Option<BufWriter<File>>,
    spooled: Vec<Spooled>,
    digests: BTreeSet<Digest>,
}

/// The place of a component in the file.
struct Spooled {
    digest: Digest,
    description_bytes: usize,
    bytes: usize,
}

impl Spool {
    /// Creates an empty spool in a folder for temporary files, which is made if it is missing.
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), file: None, spooled: Vec::new(), digests: BTreeSet::new() }
    }

    /// Adds a component, unless the spool has it already.
    pub(super) fn add(&mut self, component: &Component) -> Result<(), JournalError> {
        if self.digests.insert(component.digest) {
            self.write(component).map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    /// Calls `each` with every component, one at a time, in the order in which they came.
    pub(super) fn for_each(
        mut self,
        mut each: impl FnMut(Component) -> Result<(), JournalError>,
    ) -> Result<(), JournalError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let opened = file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|mut file| {
            file.rewind()?;
            Ok(BufReader::new(file))
        });
        let mut file = opened.map_err(|error| self.failed(&error))?;
        for spooled in &self.spooled {
            each(spooled.read(&mut file).map_err(|error| self.failed(&error))?)?;
        }
        Ok(())
    }

    fn write(&mut self, component: &Component) -> io::Result<()> {
        let Component { digest, bytes, description } = component;
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(BufWriter::new(create(&self.folder)?)),
        };
        file.write_all(description.as_bytes())?;
        file.write_all(bytes)?;
        let (description_bytes, bytes) = (description.len(), bytes.len());
        self.spooled.push(Spooled { digest: *digest, description_bytes, bytes });
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> JournalError {
        JournalError::Storage(format!("the components cannot be kept in {}: {error}", self.folder.display()))
    }
}

impl Spooled {
    fn read(&self, from: &mut impl Read) -> io::Result<Component> {
        let mut description = vec![0; self.description_bytes];
        from.read_exact(&mut description)?;
        let mut bytes = vec![0; self.bytes];
        from.read_exact(&mut bytes)?;
        let description = String::from_utf8(description).map_err(io::Error::other)?;
        Ok(Component { digest: self.digest, bytes: bytes.into(), description })
    }
}

fn create(folder: &Path) -> io::Result<File> {
    create_private(folder)?;
    let path = folder.join(format!("import-{:016x}", rand::random::<u64>()));
    let file = private(OpenOptions::new().read(true).write(true).create_new(true)).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(bytes: &'static [u8], description: &str) -> Component {
        Component { digest: Digest::of(bytes), bytes: bytes.into(), description: description.to_owned() }
    }

    #[test]
    fn components_come_back_once_each_in_order_and_the_folder_stays_empty() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("scratch");
        let mut spool = Spool::new(&folder);
        let (first, second) = (component(b"first", "{}"), component(b"", "a machine"));
        for component in [&first, &second, &first] {
            spool.add(component).unwrap();
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        let mut found = Vec::new();
        let mut keep = |component| {
            found.push(component);
            Ok(())
        };
        spool.for_each(&mut keep).unwrap();
        assert_eq!(found, [first, second]);
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Spool::new(file.path()).add(&component(b"first", "{}")).unwrap_err();
        assert!(error.to_string().contains(&file.path().display().to_string()), "{error}");
    }
}
