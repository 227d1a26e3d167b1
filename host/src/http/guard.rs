//! Who may deploy (and upgrade, import, fork, back up, set policies), and from which pages a browser may use the host.
//!
//! A host with a deploy token asks for it. One without lets only this machine deploy: the connection must be local, and so must be the name
//! that it was addressed by, so that no web page can reach it through a name of its own (DNS rebinding).

use std::net::SocketAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Served;
use super::error::HttpError;

/// The host's rules.
#[derive(Clone, Default)]
pub struct Guard {
    /// What a deployment must present, if anything.
    pub deploy_token: Option<String>,
    /// Origins of other sites whose pages may use the host, such as `https://app.example`; `*` is all.
    pub origins: Vec<String>,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let deploy_token = self.deploy_token.as_ref().map(|_| "..");
        f.debug_struct("Guard").field("deploy_token", &deploy_token).field("origins", &self.origins).finish()
    }
}

impl Guard {
    /// Whether this request may deploy.
    ///
    /// # Errors
    ///
    /// 401 or 403, with what to do about it.
    pub fn may_deploy(&self, peer: SocketAddr, headers: &HeaderMap) -> Result<(), HttpError> {
        let Some(token) = &self.deploy_token else {
            if peer.ip().is_loopback() && is_local_name(host(headers)) {
                return Ok(());
            }
            let message = "this host lets only its own machine do this: start it with REAPPLY_DEPLOY_TOKEN set, and pass that with --token";
            return Err(HttpError::new(StatusCode::FORBIDDEN, "forbidden", message));
        };
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        // Hashes compare in constant time.
        if bearer.is_some_and(|bearer| blake3::hash(bearer.as_bytes()) == blake3::hash(token.as_bytes())) {
            return Ok(());
        }
        let message = "this needs the host's deploy token: set REAPPLY_DEPLOY_TOKEN, or pass --token";
        Err(HttpError::new(StatusCode::UNAUTHORIZED, "unauthorized", message))
    }

    fn allows(&self, origin: &str, headers: &HeaderMap) -> bool {
        let is_same_site = origin.split_once("://").is_some_and(|(_, authority)| authority == host(headers));
        is_same_site || self.origins.iter().any(|allowed| allowed == "*" || allowed == origin)
    }
}

/// Lets pages of allowed origins use the host, and no others. Requests that come from no page carry no origin.
pub async fn cross_origin(State(served): State<Served>, request: Request, next: Next) -> Response {
    let Some(origin) = request.headers().get(header::ORIGIN).cloned() else { return next.run(request).await };
    let is_public = request.uri().path().starts_with("/components/");
    let is_allowed = origin.to_str().is_ok_and(|origin| served.guard.allows(origin, request.headers()));
    if is_public {
        return next.run(request).await;
    }
    if !is_allowed {
        let origin = origin.to_str().unwrap_or("?");
        let message = format!("pages of {origin} may not use this host: start it with --allow-origin {origin}");
        return HttpError::new(StatusCode::FORBIDDEN, "forbidden", message).into_response();
    }
    let mut response = if request.method() == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
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

fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

fn is_local_name(host: &str) -> bool {
    let is_port = |port: &str| port.is_empty() || port.starts_with(':');
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| host.strip_prefix(name).is_some_and(is_port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn without_a_token_only_this_machine_deploys() {
        let guard = Guard::default();
        let local: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let remote: SocketAddr = "192.0.2.1:9".parse().unwrap();
        assert!(guard.may_deploy(local, &headers(&[(header::HOST, "localhost:8080")])).is_ok());
        assert!(guard.may_deploy(local, &headers(&[(header::HOST, "[::1]:8080")])).is_ok());
        assert!(guard.may_deploy(remote, &headers(&[(header::HOST, "localhost:8080")])).is_err());
        assert!(guard.may_deploy(local, &headers(&[(header::HOST, "evil.example:8080")])).is_err());
        assert!(guard.may_deploy(local, &headers(&[(header::HOST, "localhost.evil.example")])).is_err());
    }

    #[test]
    fn a_token_is_asked_for_even_here_and_never_shown() {
        let guard = Guard { deploy_token: Some("secret".into()), origins: vec![] };
        let local: SocketAddr = "127.0.0.1:9".parse().unwrap();
        assert!(guard.may_deploy(local, &headers(&[(header::HOST, "localhost")])).is_err());
        assert!(guard.may_deploy(local, &headers(&[(header::AUTHORIZATION, "Bearer secret")])).is_ok());
        assert!(guard.may_deploy(local, &headers(&[(header::AUTHORIZATION, "Bearer wrong")])).is_err());
        assert!(!format!("{guard:?}").contains("secret"));
    }

    #[test]
    fn pages_of_other_sites_are_let_in_by_name() {
        let guard = Guard { deploy_token: None, origins: vec!["https://app.example".into()] };
        let here = headers(&[(header::HOST, "localhost:8080")]);
        assert!(guard.allows("http://localhost:8080", &here));
        assert!(guard.allows("https://app.example", &here));
        assert!(!guard.allows("https://evil.example", &here));
        assert!(!guard.allows("null", &here));
    }
}
