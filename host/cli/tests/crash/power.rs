//! A power cut: unsynced writes of a host are undone, all of them or any part, since a disk may have stored them or not.
//!
//! A disk stores whole sectors; after a failed sync the system drops whole pages.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use rand::RngExt;
use rand::rngs::StdRng;

const SECTOR_BYTES: u64 = 512;
const PAGE_BYTES: u64 = 4096;

/// The size of the head of an entry in `storage.c`'s record: five words.
const HEAD_BYTES: usize = 40;

/// The effects of a cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TakenBack {
    /// The number of sectors that were not durable.
    pub(crate) unsynced: usize,
    /// The number of them that were restored to their earlier content.
    pub(crate) lost: usize,
}

/// An action of the host on a file.
#[derive(Debug)]
enum Entry {
    /// A write of `length` bytes over `old`, which is shorter if the file ended there.
    Written {
        offset: u64,
        length: u64,
        old: Vec<u8>,
    },
    Synced,
    SyncFailed,
}

/// Undoes the writes to the files in `data` that were not durable according to the record in `unsynced`.
pub(crate) fn cut(data: &Path, unsynced: &Path, rng: &mut StdRng) -> TakenBack {
    let mut by_file = read(&fs::read(unsynced).unwrap());
    // A disk that stored nothing since the last sync, or some of it.
    let share_lost = if rng.random_bool(0.3) { 1.0 } else { rng.random() };
    let mut taken_back = TakenBack::default();
    for name in ["journal.db", "journal.db-wal"] {
        let Ok(metadata) = data.join(name).metadata() else { continue };
        let entries = by_file.remove(&metadata.ino()).unwrap_or_default();
        let cuts = choose(&entries, share_lost, rng, &mut taken_back);
        take_back(&data.join(name), &entries, &cuts);
    }
    taken_back
}

/// Returns the record's entries, by the inode of their file. The host may have died while it wrote the last one.
fn read(mut bytes: &[u8]) -> HashMap<u64, Vec<Entry>> {
    let mut by_file: HashMap<u64, Vec<Entry>> = HashMap::new();
    while let Some((head, rest)) = bytes.split_at_checked(HEAD_BYTES) {
        let word = |index: usize| u64::from_ne_bytes(head[8 * index..8 * index + 8].try_into().unwrap());
        let Some((old, rest)) = rest.split_at_checked(usize::try_from(word(4)).unwrap()) else { break };
        let entry = match word(0) {
            0 => Entry::Written { offset: word(2), length: word(3), old: old.to_vec() },
            1 => Entry::Synced,
            2 => Entry::SyncFailed,
            other => panic!("an entry of the unknown kind {other}"),
        };
        by_file.entry(word(1)).or_default().push(entry);
        bytes = rest;
    }
    by_file
}

/// Returns, for each sector that is to lose something, the index of the first entry that it loses.
fn choose(entries: &[Entry], share_lost: f64, rng: &mut StdRng, taken_back: &mut TakenBack) -> HashMap<u64, usize> {
    let mut cuts = HashMap::new();
    for (page, writes) in not_durable(entries) {
        for sector in (page * PAGE_BYTES..(page + 1) * PAGE_BYTES).step_by(SECTOR_BYTES as usize) {
            let touching: Vec<usize> =
                writes.iter().copied().filter(|&index| entries[index].overlap(sector).is_some()).collect();
            if touching.is_empty() {
                continue;
            }
            taken_back.unsynced += 1;
            if rng.random_bool(share_lost) {
                taken_back.lost += 1;
                let first = if share_lost < 1.0 { rng.random_range(0..touching.len()) } else { 0 };
                cuts.insert(sector, touching[first]);
            }
        }
    }
    cuts
}

/// Returns the pages that are not durable, each with the writes that it may lose.
fn not_durable(entries: &[Entry]) -> BTreeMap<u64, Vec<usize>> {
    #[derive(Default)]
    struct Page {
        writes: Vec<usize>,
        /// A sync of it has failed, and nothing has changed it since: the system considers it clean, and does not sync it again.
        forgotten: bool,
    }
    let mut pages: BTreeMap<u64, Page> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        match entry {
            Entry::Written { length: 0, .. } => {}
            Entry::Written { offset, length, .. } => {
                for page in offset / PAGE_BYTES..=(offset + length - 1) / PAGE_BYTES {
                    let page = pages.entry(page).or_default();
                    page.writes.push(index);
                    page.forgotten = false;
                }
            }
            Entry::Synced => pages.retain(|_, page| page.forgotten),
            Entry::SyncFailed => pages.values_mut().for_each(|page| page.forgotten = true),
        }
    }
    pages.into_iter().map(|(page, Page { writes, .. })| (page, writes)).collect()
}

fn take_back(file: &Path, entries: &[Entry], cuts: &HashMap<u64, usize>) {
    let file = OpenOptions::new().write(true).open(file).unwrap();
    for (index, entry) in entries.iter().enumerate().rev() {
        let Entry::Written { offset, length, .. } = entry else { continue };
        let sectors = offset / SECTOR_BYTES * SECTOR_BYTES..offset + length;
        for sector in sectors.step_by(SECTOR_BYTES as usize) {
            if cuts.get(&sector).is_some_and(|&first| first <= index)
                && let Some((at, old)) = entry.overlap(sector)
            {
                file.write_all_at(&old, at).unwrap();
            }
        }
    }
}

impl Entry {
    /// Returns the part of a sector that this write replaced: its beginning, and its content. Beyond the end of a file are zeros.
    fn overlap(&self, sector: u64) -> Option<(u64, Vec<u8>)> {
        let Self::Written { offset, length, old } = self else { return None };
        let from = sector.max(*offset);
        let to = (sector + SECTOR_BYTES).min(offset + length);
        let byte = |at: u64| old.get((at - offset) as usize).copied().unwrap_or(0);
        (from < to).then(|| (from, (from..to).map(byte).collect()))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn written(offset: u64, length: u64) -> Entry {
        Entry::Written { offset, length, old: vec![0; length as usize] }
    }

    #[test]
    fn a_sync_makes_durable_what_came_before_it() {
        let entries = [written(0, 10), Entry::Synced, written(PAGE_BYTES, 10)];
        assert_eq!(not_durable(&entries), [(1, vec![2])].into());
    }

    #[test]
    fn what_a_failed_sync_forgot_is_not_durable_until_it_is_written_and_synced_again() {
        let forgotten = vec![written(0, 10), Entry::SyncFailed, Entry::Synced];
        assert_eq!(not_durable(&forgotten), [(0, vec![0])].into());
        let again = [forgotten, vec![written(20, 10), Entry::Synced]].into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(not_durable(&again), BTreeMap::new());
    }

    #[test]
    fn a_whole_loss_brings_back_what_was_synced_last() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, [3; 3000]).unwrap();
        let older = Entry::Written { offset: 100, length: 2000, old: vec![1; 2000] };
        let newer = Entry::Written { offset: 1000, length: 2000, old: [vec![2; 1100], vec![1; 100]].concat() };
        let entries = [older, newer];
        let mut rng = StdRng::seed_from_u64(1);
        let mut taken_back = TakenBack::default();
        let cuts = choose(&entries, 1.0, &mut rng, &mut taken_back);
        take_back(&file, &entries, &cuts);
        assert_eq!(taken_back, TakenBack { unsynced: 6, lost: 6 });
        assert_eq!(fs::read(&file).unwrap(), [vec![3; 100], vec![1; 2100], vec![0; 800]].concat());
    }
}
