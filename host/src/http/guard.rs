//! The rules on administration of a host (deploy, upgrade, import, fork, back up, set policies), and on pages that may use it.
//!
//! Administration always takes the deploy token. The request's address is not enough: behind a proxy every request comes from this machine, under
//! the name that the proxy chose. A page is recognised by the `Origin` that its browser sends. Pages of the host's own address and of the
//! origins that the operator allows may use the host (`super::origins`).

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::error::HttpError;
use super::token::DeployToken;

/// The host's rules.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The secret that administration takes.
    pub deploy_token: DeployToken,
    /// Origins of other sites whose pages may use the host.
    pub origins: Vec<AllowedOrigin>,
}

/// An origin whose pages may use the host, such as `https://app.example`; `*` is all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// Pages of every origin.
    Any,
    /// Pages of this one, written as browsers write it.
    Only(String),
}

/// A request that presents the deploy token. Handlers extract it before the body, so that the body of any other request is not read.
#[derive(Clone, Copy, Debug)]
pub struct Administrator {
    /// The address that the request comes from.
    pub peer: Peer,
}

/// The address that a request comes from, for the operator's log. An application that the host is mounted in may leave it out.
#[derive(Clone, Copy, Debug)]
pub struct Peer(Option<SocketAddr>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

impl<S> FromRequestParts<S> for Administrator
where
    Arc<Guard>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, HttpError> {
        if !Arc::<Guard>::from_ref(state).deploy_token.is_presented_in(&parts.headers) {
            let message = "this needs the host's deploy token: set REAPPLY_DEPLOY_TOKEN, or pass --token; where the operator set none, \
                the host keeps it in the file deploy-token in its data directory, and --data names that directory";
            return Err(HttpError::new(StatusCode::UNAUTHORIZED, "unauthorized", message));
        }
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self { peer: Peer(peer.map(|ConnectInfo(address)| *address)) })
    }
}

impl Guard {
    fn allows(&self, origin: &str, headers: &HeaderMap) -> bool {
        let is_own = origin.split_once("://").is_some_and(|(_, authority)| authority == host(headers));
        is_own || self.origins.iter().any(|allowed| allowed.includes(origin))
    }

    /// Returns the page's origin, if pages from there may not use the host.
    pub(super) fn refused<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let is_allowed = origin.to_str().is_ok_and(|origin| self.allows(origin, headers));
        (!is_allowed).then_some(origin)
    }
}

impl AllowedOrigin {
    fn includes(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Only(only) => only == origin,
        }
    }
}

impl FromStr for AllowedOrigin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let wrong = || {
            format!("{text:?} is not an origin: write it as https://app.example or http://localhost:5173, or * for all")
        };
        let lower = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
        let (scheme, authority) = lower.split_once("://").ok_or_else(wrong)?;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if scheme.is_empty() || authority.is_empty() || !authority.bytes().all(is_plain) {
            return Err(wrong());
        }
        // Browsers leave out the port that the scheme implies.
        let implied = match scheme {
            "https" => ":443",
            "http" => ":80",
            _ => "",
        };
        Ok(Self::Only(format!("{scheme}://{}", authority.strip_suffix(implied).unwrap_or(authority))))
    }
}

fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(origins: &[&str]) -> Guard {
        let origins = origins.iter().map(|origin| origin.parse().unwrap()).collect();
        Guard { deploy_token: "secret".parse().unwrap(), origins }
    }

    #[test]
    fn pages_of_other_sites_are_let_in_by_name() {
        let guard = guard(&["https://app.example"]);
        let here = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("localhost:8080"))]);
        assert!(guard.allows("http://localhost:8080", &here));
        assert!(guard.allows("https://app.example", &here));
        for other in ["https://evil.example", "null", "http://app.example", "https://app.example:8443", ""] {
            assert!(!guard.allows(other, &here), "{other}");
        }
        assert!(self::guard(&["*"]).allows("https://evil.example", &here));
    }

    #[test]
    fn an_origin_is_read_as_browsers_write_it() {
        let only = |text: &str| match text.parse::<AllowedOrigin>() {
            Ok(AllowedOrigin::Only(only)) => only,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(only("https://App.Example/"), "https://app.example");
        assert_eq!(only("https://app.example:443"), "https://app.example");
        assert_eq!(only("http://localhost:5173"), "http://localhost:5173");
        assert_eq!(only("http://[::1]:80"), "http://[::1]");
        for bad in ["", "app.example", "https://", "https://app.example/path", "https://a b", "https://a?x", "**"] {
            assert!(bad.parse::<AllowedOrigin>().is_err(), "{bad}");
        }
    }
}
