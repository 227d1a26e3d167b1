//! Plain requests to a host, and through them the room's state and log.

use std::sync::LazyLock;

use serde_json::Value;
use ureq::Agent;
use ureq::http::{HeaderMap, Request};

use crate::DEADLINE;

/// An answer to a request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, unchanged.
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns a header's value; empty if it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Returns the body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the body as JSON; `null` if it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the body's lines, each as JSON.
    #[must_use]
    pub fn json_lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap_or_default()).collect()
    }

    /// Returns the kind and the message of the error.
    ///
    /// # Panics
    ///
    /// The body is not an error in the usual form.
    #[must_use]
    pub fn error(&self) -> (String, String) {
        let error = &self.json()["error"];
        match (error["kind"].as_str(), error["message"].as_str()) {
            (Some(kind), Some(message)) => (kind.to_owned(), message.to_owned()),
            _ => panic!("an error as JSON was expected, and {} came with: {}", self.status, self.text()),
        }
    }
}

/// `GET url`.
#[must_use]
pub fn get(url: &str) -> Answer {
    send("GET", url, &[], None)
}

/// `POST url` with this body.
#[must_use]
pub fn post(url: &str, body: &str) -> Answer {
    send("POST", url, &[], Some(body.as_bytes()))
}

/// `PUT url` with this body.
#[must_use]
pub fn put(url: &str, body: &[u8]) -> Answer {
    send("PUT", url, &[], Some(body))
}

/// Sends any request.
///
/// # Panics
///
/// There is no answer.
#[must_use]
pub fn send(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
    match try_send(method, url, headers, body) {
        Ok(answer) => answer,
        Err(error) => panic!("{method} {url}: {error}"),
    }
}

/// Sends any request that may get no answer.
///
/// # Errors
///
/// There is no answer; the text says why.
pub fn try_send(method: &str, url: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Result<Answer, ureq::Error> {
    static AGENT: LazyLock<Agent> = LazyLock::new(|| {
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(DEADLINE));
        // A pooled connection may be one to a host that was killed since.
        config.max_idle_connections(0).build().into()
    });
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = match body {
        Some(body) => AGENT.run(request.body(body)?)?,
        None => AGENT.run(request.body(())?)?,
    };
    let body = response.body_mut().with_config().limit(u64::MAX).read_to_vec()?;
    Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), body })
}
