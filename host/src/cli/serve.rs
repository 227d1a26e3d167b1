//! `reapply serve`: runs a host until it is told to stop.

use std::io::{IsTerminal, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::{info, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use super::nearby::Note;
use super::reports::{REPORTS_WINDOW, Reports};
use crate::http::guard::{AllowedOrigin, Guard};
use crate::http::limits::{LOG_FOLLOWERS_MAX, SESSIONS_MAX, SUBMITS_PER_SECOND_MAX};
use crate::http::server::{self, ConnectionLimits};
use crate::http::token::DeployToken;
use crate::http::{self, Options};
use crate::journal::{Journal, LostLog, Proving, SqliteJournal};
use crate::machine::{Engine, Machines};
use crate::room::{Rooms, RoomsOptions};

/// How long a stopping host waits for its rooms to store their events.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);

/// How long it then waits for its sessions to take their leave.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);

/// How long it then waits for work that cannot be interrupted, such as a compilation. What is left of it ends with the process.
const WORK_WITHIN: Duration = Duration::from_secs(2);

/// Arguments of `reapply serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where logs, snapshots and components are kept. Made if it is not there.
    #[arg(long, value_name = "DIR", env = "REAPPLY_DATA", default_value = "data")]
    data: PathBuf,
    /// Go on though the journal's write-ahead log is lost. What was acknowledged last is gone then, without a trace.
    #[arg(long)]
    accept_lost_log: bool,
    /// The address to listen on. Port 0 takes a free one; the address is printed.
    #[arg(long, value_name = "ADDR", env = "REAPPLY_LISTEN", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Folder on another disk for the copies that backups make. By default they are made in the data directory.
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Static pages to serve at `/`.
    #[arg(long, value_name = "DIR")]
    pages: Option<PathBuf>,
    /// An origin whose pages may use this host besides its own, such as `https://app.example`; `*` for all. May be given again.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<AllowedOrigin>,
    /// The secret that administration takes. Without one the host makes its own, and keeps it in its data directory.
    #[arg(long, value_name = "TOKEN", env = "REAPPLY_DEPLOY_TOKEN", hide_env_values = true)]
    deploy_token: Option<DeployToken>,
    /// The address of a proxy in front of this host, whose connections are many people's. May be given again.
    #[arg(long, value_name = "IP")]
    proxy: Vec<IpAddr>,
    /// A room that nobody has used for so long goes to sleep; not before 10ms.
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    sleep_after: humantime::Duration,
    /// Transitions a second that one session may submit. It is read no faster than that.
    #[arg(long, value_name = "N", default_value_t = SUBMITS_PER_SECOND_MAX)]
    submits_per_second: u32,
}

pub(super) fn main(args: Args) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_env("REAPPLY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let reports = Reports::default();
    reports.subscriber(filter, colours, std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let told = reports.clone();
    runtime.spawn(async move {
        loop {
            tokio::time::sleep(REPORTS_WINDOW).await;
            told.tell_left_out();
        }
    });
    let served = runtime.block_on(serve(args));
    // Blocking work cannot be stopped, and nobody waits for it any more. Everything durable is stored by now.
    runtime.shutdown_timeout(WORK_WITHIN);
    reports.tell_left_out();
    served
}

async fn serve(args: Args) -> anyhow::Result<()> {
    if let Some(pages) = args.pages.as_deref().filter(|pages| !pages.is_dir()) {
        anyhow::bail!("--pages: {} is no folder", pages.display());
    }
    crate::clock::start()?;
    let listener = TcpListener::bind(&args.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", args.listen))?;
    let journal: Arc<dyn Journal> = Arc::new(open_journal(&args.data, args.accept_lost_log).await?);
    // A host that ended in the middle of a backup has left its copy there. The journal's lock makes the folder ours.
    let scratch = scratch(&args)?;
    if let Err(error) = std::fs::remove_dir_all(&scratch)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        warn!(folder = %scratch.display(), %error, "a folder for temporary files cannot be emptied");
    }
    let engine = Engine::new(Some(&args.data.join("cache")))?;
    let machines = Machines::new(engine, journal);
    let rooms = Rooms::new(machines, RoomsOptions { sleep_after: args.sleep_after.into() });
    let deploy_token = match args.deploy_token {
        Some(token) => token,
        None => DeployToken::open(&args.data)?,
    };
    let options = Options {
        guard: Guard { deploy_token, origins: args.allow_origin },
        pages: args.pages,
        scratch,
        submits_per_second_max: args.submits_per_second,
    };
    let sessions = Arc::new(Semaphore::new(SESSIONS_MAX));
    let followers = Arc::new(Semaphore::new(LOG_FOLLOWERS_MAX));
    let looked_after = rooms.clone();
    tokio::spawn(async move { looked_after.look_after().await });
    let router = http::router(rooms.clone(), options, Arc::clone(&sessions), Arc::clone(&followers));
    let limits = ConnectionLimits::new(raise_descriptors()?, args.proxy);
    let stopped = stop_signal()?;
    let address = listener.local_addr()?;
    let note = Note::leave(address, &args.data);
    // Nobody may be reading it.
    let _ = writeln!(std::io::stdout(), "listening on http://{address}");

    tokio::select! {
        never = server::serve(listener, router, limits) => match never {},
        () = stopped => {}
    }
    info!("stopping");
    drop(note);
    if tokio::time::timeout(SETTLE_WITHIN, rooms.stop()).await.is_err() {
        warn!("some rooms did not settle in time; what they had not stored, nobody was told of");
    }
    let left = async {
        all_back(&sessions, SESSIONS_MAX).await;
        all_back(&followers, LOG_FOLLOWERS_MAX).await;
    };
    let _some_still_reading = tokio::time::timeout(LEAVE_WITHIN, left).await;
    info!("stopped");
    Ok(())
}

/// Raises the number of descriptors that this process may open to what the system allows it. Gives that number.
fn raise_descriptors() -> anyhow::Result<u64> {
    rlimit::increase_nofile_limit(u64::MAX).context("the number of files that may be open cannot be read")
}

/// The folder for copies. It is emptied, so it is one of this data directory's own.
fn scratch(args: &Args) -> anyhow::Result<PathBuf> {
    let Some(scratch) = &args.scratch else { return Ok(args.data.join("scratch")) };
    anyhow::ensure!(scratch.is_dir(), "--scratch: {} is not a folder", scratch.display());
    let data = std::fs::canonicalize(&args.data)?;
    let name = blake3::hash(data.as_os_str().as_encoded_bytes()).to_hex();
    Ok(scratch.join(format!("reapply-{}", &name[..16])))
}

/// Waits until all `count` permits are free.
async fn all_back(permits: &Semaphore, count: usize) {
    let _never_closed = permits.acquire_many(u32::try_from(count).unwrap_or(u32::MAX)).await;
}

async fn open_journal(data: &std::path::Path, accept_lost_log: bool) -> anyhow::Result<SqliteJournal> {
    let data = data.to_owned();
    let lost_log = if accept_lost_log { LostLog::Accepted } else { LostLog::Refused };
    let opened =
        tokio::task::spawn_blocking(move || SqliteJournal::open_with(&data, lost_log, Proving::WhenUsed)).await??;
    for warning in &opened.warnings {
        warn!("{warning}");
    }
    Ok(opened.journal)
}

/// Ends on SIGTERM, or on Ctrl-C. Both are heeded from this call on, whenever the future is first polled.
#[cfg(unix)]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

/// Ends on Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
