//! SQLite's write-ahead log, read before SQLite does.
//!
//! After a crash SQLite recovers the log up to the last whole transaction, and does not report what it drops. That is
//! right for a record that was being written, which nobody had been told about. It would be wrong for a damaged record with
//! others after it. [`inspect`] tells the two apart. Each transaction is synced before the next is written, so a
//! broken frame before a later transaction was whole once. A frame belongs to the log if its salts say so or its checksum
//! continues that of the frame before. So no single broken field hides the frames after it. (In the last transaction a torn write and later
//! damage look the same, unless only one half of a frame's salts is wrong.)
//!
//! The layout is SQLite's file format, section 4: a header of 32 bytes, then frames of a 24-byte header and a page. The
//! header's salts mark the frames that belong to it, since the file is written again from its start after each checkpoint. Each
//! frame's checksum continues that of the frame before it, and a frame with a database size ends a transaction.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::Path;

use crate::directory::private;

/// The number of frames after which the log is moved: 8 MiB.
pub(super) const CHECKPOINT_FRAMES: u64 = 2048;

/// The number of frames for which the log is laid out beforehand: those that it has when it is moved, and those that are added meanwhile.
pub(super) const LAID_OUT_FRAMES: u64 = CHECKPOINT_FRAMES + CHECKPOINT_FRAMES / 2;

/// The number of bytes of the file's header.
const HEADER_BYTES: usize = 32;

/// The number of bytes before each page.
pub(super) const FRAME_HEADER_BYTES: usize = 24;

/// The header's first bytes; the last bit says that checksums are taken over big-endian words.
const MAGIC: u32 = 0x377f_0682;

/// SQLite's page sizes.
const PAGE_BYTES: std::ops::RangeInclusive<u32> = 512..=65_536;

/// The content of a write-ahead log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct WalReport {
    /// The number of frames of whole transactions, which recovery keeps.
    pub(super) frames_committed: u64,
    /// The number of bytes of an unfinished or torn last transaction, which recovery drops.
    pub(super) bytes_torn: u64,
    /// Whether there is a log at all, rather than no file, or a file that was laid out and not used yet.
    pub(super) is_begun: bool,
}

/// The reasons why a log cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub(super) enum WalError {
    /// The log cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A transaction that was durable is broken.
    #[error("{what}")]
    Damaged { place: String, what: &'static str },
}

/// Reads the log at `path`, if there is one, and finds its whole part.
pub(super) fn inspect(path: &Path) -> Result<WalReport, WalError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(WalReport::default()),
        Err(error) => return Err(error.into()),
    };
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut bytes = [0; HEADER_BYTES];
    if fill(&mut reader, &mut bytes)? < HEADER_BYTES || bytes == [0; HEADER_BYTES] {
        // Not begun, or laid out in advance and not used yet.
        return Ok(WalReport::default());
    }
    let header = Header::read(&bytes)
        .ok_or(WalError::Damaged { place: "its header".to_owned(), what: "the header's checksum does not match" })?;
    walk(&mut reader, &header)
}

/// Lays out an empty log of `frames` frames, so that commits overwrite existing blocks of the file: making those durable
/// needs no change to the file system's metadata. To SQLite an all-zero header means that the log is empty.
pub(super) fn lay_out(path: &Path, frames: u64, page_bytes: u64) -> io::Result<()> {
    static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
    let mut file = private(OpenOptions::new().write(true).create_new(true)).open(path)?;
    let mut left = HEADER_BYTES as u64 + frames * (FRAME_HEADER_BYTES as u64 + page_bytes);
    let filled = (|| {
        while left > 0 {
            let count = left.min(ZEROS.len() as u64);
            file.write_all(&ZEROS[..count as usize])?;
            left -= count;
        }
        file.sync_all()
    })();
    if filled.is_err() {
        // Such scarce space is better left to the records.
        fs::remove_file(path)?;
    }
    filled
}

/// Reads the frames after the header.
fn walk(reader: &mut impl Read, header: &Header) -> Result<WalReport, WalError> {
    let frame_bytes = FRAME_HEADER_BYTES + header.page_bytes;
    let mut frame = vec![0; frame_bytes];
    let mut report = WalReport { is_begun: true, ..WalReport::default() };
    // The values that the next frame's checksum may continue: the checksum of the frame before it, as it is stored and, if that frame is
    // broken, as it would have to be.
    let mut before = vec![header.checksum];
    let mut broken_at = None;
    let mut ended_transaction_after_break = false;
    for index in 0.. {
        let count = fill(reader, &mut frame)?;
        if count < frame_bytes {
            let begun = count > 0 && header.owns(&frame[..count]);
            report.bytes_torn += if begun { count as u64 } else { 0 };
            break;
        }
        let owned = header.owns(&frame);
        let follows = before.iter().any(|before| header.frame_follows(&frame, *before));
        if follows && (owned && ended_transaction_after_break || !owned && header.half_owns(&frame)) {
            let what = match ended_transaction_after_break {
                true => "it is not as it was written, and later transactions follow it",
                false => "its salts are not those of the log, and its checksum is",
            };
            return Err(WalError::Damaged { place: format!("frame {}", broken_at.unwrap_or(index) + 1), what });
        }
        let breaks = broken_at.is_none() && !(owned && follows);
        if breaks {
            broken_at = Some(index);
        }
        let ends_transaction = word(&frame, 4) != 0 || breaks && before.iter().any(|sum| header.ended(&frame, *sum));
        report.bytes_torn += if owned { frame_bytes as u64 } else { 0 };
        if broken_at.is_some() {
            ended_transaction_after_break = (owned || follows) && ends_transaction;
        } else if ends_transaction {
            report = WalReport { frames_committed: index + 1, bytes_torn: 0, is_begun: true };
        }
        let computed = before.first().filter(|_| breaks).map(|before| header.sum(&frame, *before));
        before = computed.into_iter().chain([(word(&frame, 16), word(&frame, 20))]).collect();
    }
    Ok(report)
}

struct Header {
    page_bytes: usize,
    salts: [u8; 8],
    big_endian: bool,
    checksum: (u32, u32),
}

impl Header {
    fn read(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let magic = word(bytes, 0);
        let page_bytes = word(bytes, 8);
        let big_endian = magic & 1 == 1;
        let checksum = checksum(big_endian, (0, 0), &bytes[..24]);
        let good = magic & !1 == MAGIC
            && PAGE_BYTES.contains(&page_bytes)
            && page_bytes.is_power_of_two()
            && checksum == (word(bytes, 24), word(bytes, 28));
        let salts = bytes[16..24].try_into().ok()?;
        good.then_some(Self { page_bytes: page_bytes as usize, salts, big_endian, checksum })
    }

    /// Returns whether a frame, or the existing part of one, was written after this header.
    fn owns(&self, frame: &[u8]) -> bool {
        frame.get(8..16).is_none_or(|salts| salts == self.salts)
    }

    /// Returns whether one half of a frame's salts belongs to this header and the other does not. Those of an older header differ in both.
    fn half_owns(&self, frame: &[u8]) -> bool {
        (frame[8..12] == self.salts[..4]) != (frame[12..16] == self.salts[4..])
    }

    fn frame_follows(&self, frame: &[u8], before: (u32, u32)) -> bool {
        word(frame, 0) != 0 && self.sum(frame, before) == (word(frame, 16), word(frame, 20))
    }

    /// Returns whether a frame that does not end a transaction did end one, before one bit of its size field was lost.
    fn ended(&self, frame: &[u8], before: (u32, u32)) -> bool {
        let mut mended = frame.to_vec();
        word(frame, 4) == 0
            && (0..32).any(|bit| {
                mended[4..8].copy_from_slice(&(1_u32 << bit).to_be_bytes());
                self.frame_follows(&mended, before)
            })
    }

    /// Returns the checksum that a frame must have after `before`. It does not cover the salts.
    fn sum(&self, frame: &[u8], before: (u32, u32)) -> (u32, u32) {
        let sum = checksum(self.big_endian, before, &frame[..8]);
        checksum(self.big_endian, sum, &frame[FRAME_HEADER_BYTES..])
    }
}

/// Returns SQLite's checksum, which continues from `seed`.
fn checksum(big_endian: bool, seed: (u32, u32), bytes: &[u8]) -> (u32, u32) {
    bytes.chunks_exact(8).fold(seed, |(first, second), pair| {
        let read = |at: usize| {
            let bytes = [pair[at], pair[at + 1], pair[at + 2], pair[at + 3]];
            if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
        };
        let first = first.wrapping_add(read(0)).wrapping_add(second);
        (first, second.wrapping_add(read(4)).wrapping_add(first))
    })
}

/// Returns the big-endian word at `at`, which every caller has made sure exists.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// Reads until `buffer` is full or the input ends, and returns the number of bytes.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
