//! The process under test: started on a fresh data directory on a real disk, measured from outside, and ended.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::scale::Scale;

/// The number of cells of each room under load.
pub(crate) const ENTRIES: u32 = 10_000;

/// A rate limit that never holds back the client.
const SUBMITS_PER_SECOND: &str = "10000000";

/// Clock ticks per second, the unit in which Linux reports processor time. It is 100 on every system there is.
const TICKS_PER_SECOND: u64 = 100;

/// The setup that every case needs.
#[derive(Debug)]
pub(crate) struct Bench {
    host_bin: PathBuf,
    /// The machine under test, as a component.
    cells: PathBuf,
    next_room: AtomicU64,
    pub(crate) scale: Scale,
}

/// The kinds of process that a load is put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// The host.
    Reapply,
    /// The least that any host must do.
    Baseline,
}

/// A running host.
#[derive(Debug)]
pub(crate) struct Host {
    process: Child,
    /// The data directory of the host, where its deploy token is.
    data: PathBuf,
    pub(crate) address: SocketAddr,
}

/// The resources that a process has used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Processor time so far, in user and in system mode.
    pub(crate) cpu: Duration,
    /// Bytes of resident memory.
    pub(crate) rss: f64,
    /// The same, with shared memory divided by the number of processes that share it.
    pub(crate) pss: f64,
    /// The part of it that is not backed by a file, which the process has allocated itself.
    pub(crate) pss_anon: f64,
}

impl Bench {
    pub(crate) fn new(host_bin: PathBuf, scale: Scale) -> anyhow::Result<Self> {
        let host_bin = host_bin.canonicalize()?;
        let cells = guest_components::component("cells");
        Ok(Self { host_bin, cells, next_room: AtomicU64::new(0), scale })
    }

    /// Returns an empty directory beside the host's program: on a disk, since a temporary directory may be in memory.
    pub(crate) fn directory(&self) -> anyhow::Result<TempDir> {
        let beside = self.host_bin.parent().context("the host's program lies nowhere")?;
        Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(beside)?)
    }

    /// Starts a host, or the baseline, on `data`.
    pub(crate) fn start_server(&self, server: Server, data: &Path) -> anyhow::Result<Host> {
        match server {
            Server::Reapply => self.start(data, &[]),
            Server::Baseline => spawn(Command::new(std::env::current_exe()?).arg("--baseline").arg(data), data),
        }
    }

    /// Starts a host on `data`, and deploys `cells` to it.
    pub(crate) fn start(&self, data: &Path, options: &[&str]) -> anyhow::Result<Host> {
        let host = self.launch(data, options)?;
        self.deploy_component(&host, &self.cells)?;
        Ok(host)
    }

    /// Starts a host on `data`, and returns once it listens.
    pub(crate) fn launch(&self, data: &Path, options: &[&str]) -> anyhow::Result<Host> {
        let mut command = Command::new(&self.host_bin);
        command
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--submits-per-second",
                SUBMITS_PER_SECOND,
                "--proxy",
                "127.0.0.1",
                "--data",
            ])
            .arg(data)
            .args(options)
            .env("REAPPLY_LOG", "warn");
        spawn(&mut command, data)
    }

    /// Deploys another guest.
    pub(crate) fn deploy(&self, host: &Host, guest: &str) -> anyhow::Result<()> {
        self.deploy_component(host, &guest_components::component(guest))
    }

    /// Runs one of the program's commands.
    pub(crate) fn command(&self, args: &[&str]) -> anyhow::Result<()> {
        let output = Command::new(&self.host_bin).args(args).output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "`reapply {}` failed: {complaint}", args.join(" "));
        Ok(())
    }

    /// Returns a room of `cells` that was not used before.
    pub(crate) fn new_room(&self) -> String {
        format!("cells/room-{}", self.next_room.fetch_add(1, Ordering::Relaxed))
    }

    /// Deploys a component under a name.
    pub(crate) fn deploy_as(&self, host: &Host, name: &str, component: &Path) -> anyhow::Result<()> {
        let (component, data) = (component.to_string_lossy(), host.data.to_string_lossy());
        self.command(&["deploy", &component, "--name", name, "--host", &host.url(), "--data", &data])
    }

    fn deploy_component(&self, host: &Host, component: &Path) -> anyhow::Result<()> {
        let (component, data) = (component.to_string_lossy(), host.data.to_string_lossy());
        self.command(&["deploy", &component, "--host", &host.url(), "--data", &data])
    }
}

impl Host {
    /// Returns the address of the host.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends the host as an operator does: its rooms take their snapshots, and its journal is left tidy.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let asked = Command::new("kill").arg("-TERM").arg(self.process.id().to_string()).status()?;
        ensure!(asked.success(), "the host could not be asked to stop");
        let status = self.process.wait()?;
        ensure!(status.success(), "the host did not stop well: {status}");
        Ok(())
    }

    /// Creates a room with the given number of cells set.
    pub(crate) fn create_room(&self, room: &str, entries: u32) -> anyhow::Result<()> {
        self.create_room_with(room, &format!("{{\"entries\":{entries}}}"))
    }

    /// Creates a room with these options.
    pub(crate) fn create_room_with(&self, room: &str, options: &str) -> anyhow::Result<()> {
        let url = format!("http://{}/rooms/{room}", self.address);
        ureq::put(url).send(options).context("the room was not created")?;
        Ok(())
    }

    /// Returns the last event of a room, as the host reports it.
    pub(crate) fn head(&self, room: &str) -> anyhow::Result<u64> {
        let body = self.get(&format!("/rooms/{room}"), &[])?;
        let shown: serde_json::Value = serde_json::from_slice(&body)?;
        shown["seq"].as_u64().context("the room has no seq")
    }

    /// Returns the answer for a path, as it comes over the wire.
    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> anyhow::Result<Vec<u8>> {
        let mut request = ureq::get(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.call().with_context(|| format!("GET {path}"))?;
        Ok(answer.body_mut().read_to_vec()?)
    }

    /// Returns the progress of the host's background proof.
    pub(crate) fn scrub(&self) -> anyhow::Result<serde_json::Value> {
        let token = fs::read_to_string(self.data.join("deploy-token")).context("the host has no deploy token")?;
        let answer = self.get("/scrub", &[("authorization", &format!("Bearer {}", token.trim()))])?;
        Ok(serde_json::from_slice(&answer)?)
    }

    pub(crate) fn usage(&self) -> anyhow::Result<Usage> {
        usage(&self.process.id().to_string())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Everything it confirmed is durable, so it can simply be killed.
        let _ended_already = self.process.kill();
        let _ended_already = self.process.wait();
    }
}

/// Returns the resources that this process, the client, has used.
pub(crate) fn own_usage() -> anyhow::Result<Usage> {
    usage("self")
}

/// Starts a program that says where it listens.
fn spawn(command: &mut Command, data: &Path) -> anyhow::Result<Host> {
    let started = command.stdout(Stdio::piped()).spawn();
    let mut process = started.with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    let mut said = String::new();
    if let Some(stdout) = process.stdout.take() {
        BufReader::new(stdout).read_line(&mut said)?;
    }
    let Some(address) = said.trim().strip_prefix("listening on http://") else {
        let _ended_already = process.kill();
        process.wait()?;
        bail!("the host did not start; it said {said:?}");
    };
    Ok(Host { address: address.parse()?, process, data: data.to_owned() })
}

fn usage(process: &str) -> anyhow::Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).context("the host is gone")?;
    // The second field is the program's name in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat has no name")?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    let cpu = Duration::from_millis((ticks(11) + ticks(12)) * 1000 / TICKS_PER_SECOND);
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let bytes = |name: &str| -> f64 {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or_default() * 1024.0
    };
    Ok(Usage { cpu, rss: bytes("Rss:"), pss: bytes("Pss:"), pss_anon: bytes("Pss_Anon:") })
}
