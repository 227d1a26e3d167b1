//! Who may administer a host (deploy, upgrade, import, fork, back up, set policies), and which pages may use it.
//!
//! Administration takes the deploy token, whoever asks and from wherever: behind a proxy every request comes from this machine, under
//! whatever name the proxy chose. A page is recognised by the `Origin` that its browser sends. Pages of the host's own address and of the
//! origins that the operator allows may use the host. All others are told so, in a way that the page can read.

use std::net::SocketAddr;
use std::str::FromStr;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use reapply_sync::Goodbye;
use tracing::warn;

use super::error::HttpError;
use super::token::DeployToken;
use super::{Served, socket};

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

/// A request that presents the deploy token. Handlers take it before anything else, a body above all.
#[derive(Clone, Copy, Debug)]
pub struct Administrator {
    /// Where the request comes from, for the operator's log.
    pub peer: SocketAddr,
}

impl FromRequestParts<Served> for Administrator {
    type Rejection = HttpError;

    async fn from_request_parts(parts: &mut Parts, served: &Served) -> Result<Self, HttpError> {
        if !served.guard.deploy_token.is_presented_in(&parts.headers) {
            let message = "this needs the host's deploy token: set REAPPLY_DEPLOY_TOKEN, or pass --token; where the operator set none, \
                the host keeps it in the file deploy-token in its data directory, and --data names that directory";
            return Err(HttpError::new(StatusCode::UNAUTHORIZED, "unauthorized", message));
        }
        let peer = ConnectInfo::<SocketAddr>::from_request_parts(parts, served).await;
        let ConnectInfo(peer) = peer.map_err(|error| HttpError::host_fault(error.to_string()))?;
        Ok(Self { peer })
    }
}

impl Guard {
    fn allows(&self, origin: &str, headers: &HeaderMap) -> bool {
        let is_own = origin.split_once("://").is_some_and(|(_, authority)| authority == host(headers));
        is_own || self.origins.iter().any(|allowed| allowed.includes(origin))
    }

    /// The page's origin, if pages from there may not use the host.
    fn refused<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
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

/// Lets pages of allowed origins use the host, and no others. Requests that come from no page carry no origin.
pub async fn cross_origin(State(served): State<Served>, request: Request, next: Next) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else { return next.run(request).await };
    if request.uri().path().starts_with("/components/") {
        return next.run(request).await;
    }
    // A preflight changes nothing. It succeeds for every origin, since a page can read a refusal only of the request that follows.
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else if served.guard.refused(request.headers()).is_some() {
        refuse(request).await
    } else {
        next.run(request).await
    };
    let headers: [(HeaderName, HeaderValue); 4] = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin),
        (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, PUT, POST")),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("content-type, authorization, reapply-client, reapply-number"),
        ),
        (header::VARY, HeaderValue::from_static("origin")),
    ];
    response.headers_mut().extend(headers);
    response
}

/// Refuses a page's request: by a goodbye where it asks for a WebSocket, since a page cannot read why a handshake failed.
async fn refuse(request: Request) -> Response {
    let [origin, host] = [header::ORIGIN, header::HOST].map(|name| text(request.headers(), &name));
    let path = request.uri().path();
    warn!(%origin, %host, path, "a page was refused: its origin is neither the host's own address nor allowed by --allow-origin");
    let message = format!(
        "pages of {origin} may not use this host, which was addressed as {host}: \
        start it with --allow-origin {origin}, or have the proxy in front of it pass on the Host header"
    );
    let error = HttpError::new(StatusCode::FORBIDDEN, "forbidden", message.clone());
    socket::refuse(request, Goodbye::Refused { why: message, retry: true }, error).await
}

/// A header's value for people, of a bounded length.
fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    let value = headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    value.unwrap_or_default().chars().take(ORIGIN_CHARS_MAX).collect()
}

/// Characters of a stranger's `Origin` that are repeated to anyone.
const ORIGIN_CHARS_MAX: usize = 200;

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
