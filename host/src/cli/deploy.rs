//! `reapply deploy`: sends a component to a running host.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use reapply_sync::Name;

use super::build;

/// How long a host may take to check and compile a component.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// Arguments of `reapply deploy`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A component, or the folder of a machine's crate, which is built first.
    #[arg(default_value = ".")]
    machine: PathBuf,
    /// The machine's name on the host; by default the name that it gives itself.
    #[arg(long)]
    name: Option<Name>,
    /// The host.
    #[arg(long, value_name = "URL", env = "REAPPLY_HOST", default_value = "http://127.0.0.1:8080")]
    host: String,
    /// The host's deploy token, where it asks for one.
    #[arg(long, env = "REAPPLY_DEPLOY_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let (file, component) = build::read_component(&args.machine)?;
    let host = args.host.trim_end_matches('/');
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWER_WITHIN)).build().into();
    let mut request = match &args.name {
        Some(name) => agent.put(format!("{host}/machines/{name}")),
        None => agent.post(format!("{host}/machines")),
    };
    if let Some(token) = &args.token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let mut response = request.header("content-type", "application/wasm").send(&component[..]).with_context(|| {
        format!("no host answers at {host}: start one with `reapply serve`, or name another with --host")
    })?;
    let status = response.status();
    let body = response.body_mut().read_to_string().context("the host's answer broke off")?;
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    if !status.is_success() {
        match answer["error"]["message"].as_str() {
            Some(message) => bail!("{}: {message}", file.display()),
            None => bail!("{host} answered {status}, and is perhaps no Reapply host"),
        }
    }
    let text = |field: &str| answer[field].as_str().unwrap_or("?").to_owned();
    println!("deployed {} as {} ({} bytes)", text("name"), text("digest"), component.len());
    Ok(())
}
