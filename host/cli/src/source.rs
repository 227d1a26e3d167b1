//! The input of a command: an export in a file, or a room, whose export the host makes on request.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read};

use anyhow::{Context, anyhow};
use reapply_sync::{RoomId, RoomIdError};

use super::remote::Remote;
use reapply_host::clock;

/// Opens the export that `name` means: a file of that name if there is one, or else a room.
///
/// # Errors
///
/// `name` is neither a file nor a room that can be read.
pub(super) fn open(name: &str, remote: &Remote) -> anyhow::Result<Box<dyn Read + Send>> {
    let no_file = match fs::metadata(name) {
        // A folder may have the name of a room.
        Ok(found) if found.is_dir() => format!("{name} is a folder"),
        Ok(_) => {
            let file = File::open(name).with_context(|| format!("cannot read {name}"))?;
            return Ok(Box::new(BufReader::new(file)));
        }
        Err(error) => no_file(name, &error),
    };
    let room = parse_room(name).map_err(|why| anyhow!("{no_file}, and no room has such a name: {why}"))?;
    let export = request_export(&room, remote);
    Ok(Box::new(export.with_context(|| format!("{no_file}, and the room could not be read"))?))
}

/// Returns the reason why there is no file to read.
fn no_file(name: &str, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => format!("there is no file {name}"),
        _ => format!("the file {name} cannot be read ({error})"),
    }
}

/// Requests the export of a room from its host.
///
/// # Errors
///
/// No host answers, or the host does not have the room.
pub(super) fn request_export(room: &RoomId, remote: &Remote) -> anyhow::Result<impl Read + Send + use<>> {
    let request = remote.request("GET", &format!("/rooms/{room}/export")).body(())?;
    let answer = remote.accepted(remote.send(request, None)?)?;
    Ok(answer.into_body().into_reader())
}

/// Reads a room's address, `machine/room`, from the command line.
///
/// # Errors
///
/// The text is not such an address.
pub(super) fn parse_room(text: &str) -> Result<RoomId, String> {
    text.parse().map_err(|error: RoomIdError| error.to_string())
}

/// A place in a log, as the command line names it: a seq, or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// The place after this event.
    Seq(reapply_sync::Seq),
    /// The place after the last event up to this time.
    Time(reapply_sync::Timestamp),
}

impl At {
    /// Parses a place from the command line.
    ///
    /// # Errors
    ///
    /// The text is neither a number nor a time.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(seq) = text.parse() {
            return Ok(Self::Seq(reapply_sync::Seq(seq)));
        }
        match clock::parse_rfc3339(text) {
            Some(time) => Ok(Self::Time(time)),
            None => Err("give the number of an event, or a time such as 2026-01-31T12:00:00Z".to_owned()),
        }
    }
}
