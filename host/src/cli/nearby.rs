//! Hosts on this machine: how a command finds the deploy token of the host that it talks to.
//!
//! On start-up a host leaves a note for its own user: the data directory that belongs to its address. A command that talks to
//! that address reads the note, and then the token in that directory. So the file system decides who may administer, just as it decides who
//! may read the data. A note counts only while a host holds the directory's lock, so that a later listener on the port is never sent a
//! token.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::{Path, PathBuf};

use tracing::debug;
use ureq::http::Uri;

use crate::http::token::DeployToken;
use crate::journal::directory;

/// The note of a running host. Dropping it removes the note.
#[derive(Debug)]
pub(super) struct Note(PathBuf);

impl Note {
    /// Leaves a note that the host at `address` keeps its data in `data`. Does nothing without a home directory.
    pub(super) fn leave(address: SocketAddr, data: &Path) -> Option<Self> {
        let file = notes()?.join(name(address));
        let written = std::path::absolute(data).and_then(|data| {
            fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
            fs::write(&file, data.as_os_str().as_encoded_bytes())
        });
        match written {
            Ok(()) => Some(Self(file)),
            Err(error) => {
                debug!(file = %file.display(), %error, "cannot leave a note for commands on this machine; they need --data to find the deploy token");
                None
            }
        }
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            debug!(file = %self.0.display(), %error, "cannot remove the note of this host; it no longer counts");
        }
    }
}

/// Finds the deploy token of the host at `url`, if the host runs on this machine and this user can read its data: the host that uses
/// `data`, or one that left a note.
pub(super) fn deploy_token(url: &str, data: Option<&Path>) -> Option<DeployToken> {
    let addresses = local_addresses(url);
    if addresses.is_empty() {
        return None;
    }
    let noted = || addresses.iter().flat_map(|address| candidates(*address)).find_map(read_note);
    let data = data.map(Path::to_owned).or_else(noted)?;
    if directory::is_in_use(&data) { DeployToken::read(&data).ok()? } else { None }
}

/// Returns the addresses of a URL that belong to this machine. A URL with TLS leads to a proxy.
fn local_addresses(url: &str) -> Vec<SocketAddr> {
    let Ok(url) = url.parse::<Uri>() else { return Vec::new() };
    if url.scheme_str() != Some("http") {
        return Vec::new();
    }
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let found = (host, url.port_u16().unwrap_or(80)).to_socket_addrs();
    found.map(|found| found.filter(|address| is_local(address.ip())).collect()).unwrap_or_default()
}

/// Returns whether an address belongs to this machine: only then can a socket be bound to it.
fn is_local(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Returns the addresses that a host may listen on when `address` reaches it.
fn candidates(address: SocketAddr) -> [SocketAddr; 3] {
    let any = |ip: IpAddr| SocketAddr::new(ip, address.port());
    [address, any(Ipv4Addr::UNSPECIFIED.into()), any(Ipv6Addr::UNSPECIFIED.into())]
}

fn read_note(address: SocketAddr) -> Option<PathBuf> {
    let text = fs::read_to_string(notes()?.join(name(address))).ok()?;
    Some(PathBuf::from(text)).filter(|data| data.is_absolute())
}

fn name(address: SocketAddr) -> String {
    format!("{}-{}", address.ip(), address.port()).replace(':', "_")
}

/// Returns the folder of this user's notes.
fn notes() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
    Some(state.or_else(|| set("LOCALAPPDATA"))?.join("reapply/hosts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machines_addresses_are_local() {
        assert_eq!(local_addresses("http://127.0.0.1:8080/"), ["127.0.0.1:8080".parse().unwrap()]);
        assert!(local_addresses("http://localhost:8080").contains(&"127.0.0.1:8080".parse().unwrap()));
        // An address reserved for documentation belongs to no machine.
        for elsewhere in ["http://192.0.2.1:8080", "https://127.0.0.1:8080", "127.0.0.1:8080", "nonsense", ""] {
            assert!(local_addresses(elsewhere).is_empty(), "{elsewhere}");
        }
    }
}
