//! Hosts on this machine: finds the deploy token of the host that a command talks to.
//!
//! On start-up a host leaves a note for its own user: the data directory that belongs to its address. A command that talks to
//! that address reads the note, and then the token in that directory. So the file system decides who may administer, just as it decides who
//! may read the data. A note counts only while a host holds the directory's lock, so that a later listener on the port is never sent a
//! token.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::path::{Path, PathBuf};

use tracing::debug;
use ureq::http::Uri;

use reapply_host::http::token::DeployToken;
use reapply_journal::directory;

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

/// Finds the host at `url` among those on this machine whose data this user can read: the one that uses `data`, or the one that left a
/// note. Returns its own address and its deploy token. The token is for that address alone: a name such as `localhost` leads to several,
/// and somebody else may listen on another.
///
/// # Errors
///
/// No such host is found. The error has the reason, unless nothing led to a data directory.
pub(super) fn find(url: &str, data: Option<&Path>) -> Result<(SocketAddr, DeployToken), Option<String>> {
    if let Some(data) = data {
        // The entry `.` can be looked up only in a directory whose files can be read.
        fs::metadata(data.join(".")).map_err(|error| Some(unreadable(data, &error)))?;
    }
    let addresses = local_addresses(url);
    let Some((address, found)) = locate(&addresses, data, read_note) else {
        return Err(data.map(|data| match addresses[..] {
            [] => format!("{url} is not on this machine, so the deploy token in {} was not sent", data.display()),
            _ => format!(
                "it is unknown which address the host with the data in {} has; name it, as in --host 127.0.0.1:8080",
                data.display()
            ),
        }));
    };
    if !directory::is_in_use(&found) {
        return Err(Some(format!("no host is using the data directory {}", found.display())));
    }
    match DeployToken::read(&found) {
        Ok(Some(token)) => Ok((address, token)),
        Ok(None) => Err(Some(format!("the data directory {} does not hold a deploy token", found.display()))),
        Err(error) => Err(Some(error.to_string())),
    }
}

/// Returns the reason why no token is read from the data directory that the command line names.
fn unreadable(data: &Path, error: &io::Error) -> String {
    let data = data.display();
    match error.kind() {
        ErrorKind::NotFound => format!("there is no data directory {data}"),
        ErrorKind::NotADirectory => format!("{data} is not a data directory, but a file"),
        _ => format!("the data directory {data} cannot be read ({error})"),
    }
}

/// Chooses the one address among `addresses` where the host with its data in `data` listens, or the first host that left a note. Without
/// a note, `data` counts only if there is a single address.
fn locate(
    addresses: &[SocketAddr],
    data: Option<&Path>,
    note: impl Fn(SocketAddr) -> Option<PathBuf>,
) -> Option<(SocketAddr, PathBuf)> {
    let noted = |address: &SocketAddr| candidates(*address).find_map(&note).map(|data| (*address, data));
    let wanted = data.map(|data| std::path::absolute(data).unwrap_or_else(|_| data.to_owned()));
    let fits = |(_, noted): &(SocketAddr, PathBuf)| wanted.as_ref().is_none_or(|wanted| wanted == noted);
    addresses.iter().filter_map(noted).find(fits).or_else(|| match addresses {
        [only] => Some((*only, wanted?)),
        _ => None,
    })
}

/// Returns whether a request goes to a numbered address of this machine.
pub(super) fn is_on_this_machine(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host.parse().is_ok_and(is_local)
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

/// Returns the addresses that a host may listen on when `address` reaches it: `[::]` accepts connections of both families, `0.0.0.0` of its own.
fn candidates(address: SocketAddr) -> impl Iterator<Item = SocketAddr> {
    let v4 = address.is_ipv4().then_some(Ipv4Addr::UNSPECIFIED.into());
    let any = v4.into_iter().chain([Ipv6Addr::UNSPECIFIED.into()]);
    std::iter::once(address).chain(any.map(move |ip: IpAddr| SocketAddr::new(ip, address.port())))
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
        // An address that is reserved for documentation does not belong to any machine.
        for elsewhere in ["http://192.0.2.1:8080", "https://127.0.0.1:8080", "127.0.0.1:8080", "nonsense", ""] {
            assert!(local_addresses(elsewhere).is_empty(), "{elsewhere}");
        }
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_told_with_the_reason() {
        let told = |kind: ErrorKind| unreadable(Path::new("/data"), &kind.into());
        assert_eq!(told(ErrorKind::NotFound), "there is no data directory /data");
        assert_eq!(told(ErrorKind::NotADirectory), "/data is not a data directory, but a file");
        assert_eq!(told(ErrorKind::PermissionDenied), "the data directory /data cannot be read (permission denied)");
    }

    #[test]
    fn a_token_is_for_one_address() {
        let (v6, v4) = ("[::1]:80".parse().unwrap(), "127.0.0.1:80".parse().unwrap());
        let found = |data: Option<&str>, notes: &[(&str, &str)]| {
            let note = |address: SocketAddr| {
                notes.iter().find(|(at, _)| at.parse() == Ok(address)).map(|(_, data)| PathBuf::from(data))
            };
            locate(&[v6, v4], data.map(Path::new), note).map(|(address, _)| address)
        };
        assert_eq!(found(None, &[("127.0.0.1:80", "/a")]), Some(v4));
        assert_eq!(found(None, &[("[::1]:80", "/a")]), Some(v6));
        // A host on 0.0.0.0 does not accept connections over IPv6.
        assert_eq!(found(None, &[("0.0.0.0:80", "/a")]), Some(v4));
        assert_eq!(found(None, &[("[::]:80", "/a")]), Some(v6));
        // Of two hosts the one that uses the data is chosen. Of two unknown hosts none is.
        assert_eq!(found(Some("/b"), &[("[::1]:80", "/a"), ("127.0.0.1:80", "/b")]), Some(v4));
        assert_eq!(found(Some("/b"), &[("[::1]:80", "/a")]), None);
        assert_eq!(found(None, &[]), None);
        assert_eq!(locate(&[v4], Some(Path::new("/b")), |_| None).map(|(address, _)| address), Some(v4));
    }
}
