//! The host that a command talks to.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use ureq::http::{Request, Response, StatusCode, request};
use ureq::{Agent, AsSendBody, Body};

use super::host_url::HostUrl;
use super::nearby;
use reapply_host::http::token::DeployToken;

/// The longest time a host may take to accept a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// The host to talk to, and its deploy token.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Remote {
    /// Address of the host, such as `localhost:8080` or `https://rooms.example`.
    #[arg(long, value_name = "URL", env = "REAPPLY_HOST", default_value = "http://127.0.0.1:8080")]
    host: HostUrl,
    /// Deploy token of the host. Not needed for a host that this user runs on this machine.
    #[arg(long, env = "REAPPLY_DEPLOY_TOKEN", hide_env_values = true)]
    token: Option<DeployToken>,
    /// Data directory of a host on this machine, where its deploy token is.
    #[arg(long, value_name = "DIR", env = "REAPPLY_DATA")]
    data: Option<PathBuf>,
}

impl Remote {
    /// Creates a request for a path such as `/rooms`, to which headers and a body can be added. A token that was found on this machine is
    /// sent only to the address that it was found for.
    pub(super) fn request(&self, method: &str, path: &str) -> request::Builder {
        let url = self.host.to_string();
        let (url, token) = match &self.token {
            Some(token) => (url, Some(token.clone())),
            None => match nearby::find(&url, self.data.as_deref()) {
                Ok((address, token)) => (self.host.at(address), Some(token)),
                Err(_) => (url, None),
            },
        };
        let request = Request::builder().method(method).uri(format!("{url}{path}"));
        match token {
            Some(token) => request.header("authorization", token.bearer()),
            None => request,
        }
    }

    /// Sends a request, and reads the head of the answer, whatever its status. `within` limits the whole exchange.
    ///
    /// # Errors
    ///
    /// No host answers.
    pub(super) fn send(
        &self,
        request: Request<impl AsSendBody>,
        within: Option<Duration>,
    ) -> anyhow::Result<Response<Body>> {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_WITHIN))
            .timeout_global(within);
        // A proxy that the environment names is for other machines.
        if nearby::is_on_this_machine(request.uri()) {
            config = config.proxy(None);
        }
        let agent: Agent = config.build().into();
        let host = &self.host;
        agent.run(request).with_context(|| {
            format!("no host answers at {host}: start one with `reapply serve`, or name another with --host")
        })
    }

    /// Returns the answer if its status is a success.
    ///
    /// # Errors
    ///
    /// The host refused; the message is the host's own.
    pub(super) fn accepted(&self, mut response: Response<Body>) -> anyhow::Result<Response<Body>> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.body_mut().read_to_string().context("the host's answer is incomplete")?;
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        match answer["error"]["message"].as_str() {
            Some(message) if status == StatusCode::UNAUTHORIZED => match self.token_trouble() {
                Some(trouble) => bail!("{trouble}; {message}"),
                None => bail!("{message}"),
            },
            Some(message) => bail!("{message}"),
            None => bail!("{} answered {status} without a message; check that this is a Reapply host", self.host),
        }
    }

    /// Returns the reason why a request without a valid token was sent, if the command line or a host of this user led to one.
    fn token_trouble(&self) -> Option<String> {
        if self.token.is_some() {
            return Some("the host refused the deploy token from --token or REAPPLY_DEPLOY_TOKEN".to_owned());
        }
        match nearby::find(&self.host.to_string(), self.data.as_deref()) {
            Ok(_) => Some(
                "the host refused the deploy token in its data directory, since it was started with another".to_owned(),
            ),
            Err(why) => why,
        }
    }

    /// Sends a request with [`Remote::send`] and [`Remote::accepted`], and returns the answer as JSON.
    ///
    /// # Errors
    ///
    /// No host answers, the host refuses, or the answer is incomplete.
    pub(super) fn ask(&self, request: Request<impl AsSendBody>, within: Duration) -> anyhow::Result<Value> {
        let mut response = self.accepted(self.send(request, Some(within))?)?;
        let body = response.body_mut().read_to_string().context("the host's answer is incomplete")?;
        serde_json::from_str(&body)
            .with_context(|| format!("{} did not answer with JSON; check that this is a Reapply host", self.host))
    }
}
