//! The address of a host, as people type it.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use ureq::http::Uri;

/// The URL of a host, without a trailing slash. An address without a scheme is read as `http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostUrl(String);

/// The error for a text that is not the address of a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the address of a host: {why}; give one such as localhost:8080 or https://rooms.example")]
pub(super) struct HostUrlError {
    text: String,
    why: &'static str,
}

impl HostUrl {
    /// Returns this URL with `address` in the place of the host's name and port.
    pub(super) fn at(&self, address: SocketAddr) -> String {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("http", &self.0));
        let path = rest.find('/').map_or("", |slash| &rest[slash..]);
        format!("{scheme}://{address}{path}")
    }
}

impl FromStr for HostUrl {
    type Err = HostUrlError;

    fn from_str(text: &str) -> Result<Self, HostUrlError> {
        let wrong = |why| HostUrlError { text: text.to_owned(), why };
        let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let parsed: Uri = url.parse().map_err(|_| wrong("it cannot be read as a URL"))?;
        if !matches!(parsed.scheme_str(), Some("http" | "https")) {
            return Err(wrong("its scheme is neither http nor https"));
        }
        let authority = parsed.authority().map(|authority| authority.as_str()).unwrap_or_default();
        let host = parsed.host().unwrap_or_default();
        if host.is_empty() || authority.contains('@') {
            return Err(wrong("it does not name a host"));
        }
        // Anything after the host's name is a port, and `Uri` accepts ports that do not exist.
        let port = authority.get(host.len()..).unwrap_or_default();
        if !port.is_empty() && parsed.port_u16().is_none_or(|port| port == 0) {
            return Err(wrong("its port is not a number from 1 to 65535"));
        }
        if parsed.query().is_some() || text.contains('#') {
            return Err(wrong("there is more after its path"));
        }
        Ok(Self(url.trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for HostUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        text.parse().map(|url: HostUrl| url.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_needs_no_scheme() {
        for (text, url) in [
            ("localhost:18300", "http://localhost:18300"),
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("[::1]:8080", "http://[::1]:8080"),
            ("rooms.example", "http://rooms.example"),
            ("rooms.example/reapply/", "http://rooms.example/reapply"),
            ("http://localhost:8080/", "http://localhost:8080"),
            ("https://rooms.example", "https://rooms.example"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(url), "{text}");
        }
    }

    #[test]
    fn what_is_not_an_address_is_refused_with_an_example() {
        for (text, why) in [
            ("", "cannot be read"),
            ("localhost:", "port"),
            ("localhost:0", "port"),
            ("localhost:80800", "port"),
            ("local host:8080", "cannot be read"),
            ("ftp://localhost:8080", "neither http nor https"),
            ("http://", "cannot be read"),
            ("ada@localhost:8080", "does not name a host"),
            ("localhost:8080/?room=lobby", "more after its path"),
            ("localhost:8080/#lobby", "more after its path"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(why) && error.contains("such as localhost:8080"), "{text}: {error}");
        }
    }

    #[test]
    fn a_name_gives_way_to_an_address() {
        let url: HostUrl = "localhost:8080/reapply".parse().unwrap();
        assert_eq!(url.at("[::1]:8080".parse().unwrap()), "http://[::1]:8080/reapply");
        let url: HostUrl = "localhost".parse().unwrap();
        assert_eq!(url.at("127.0.0.1:80".parse().unwrap()), "http://127.0.0.1:80");
    }
}
