//! `reapply serve`: runs a host until it is told to stop.

use std::io::{IsTerminal, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use super::nearby::Note;
use super::reports::{REPORTS_WINDOW, Reports};
use reapply_host::host::{Config, Host};
use reapply_host::http::guard::AllowedOrigin;
use reapply_host::http::limits::SUBMITS_PER_SECOND_MAX;
use reapply_host::http::server::ConnectionLimits;
use reapply_host::http::token::DeployToken;
use reapply_journal::LostLog;

/// How long a host that has stopped waits for work that cannot be interrupted, such as a compilation. What is left of it ends with the process.
const WORK_WITHIN: Duration = Duration::from_secs(2);

/// Arguments of `reapply serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
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
    let listener = TcpListener::bind(&args.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", args.listen))?;
    let config = Config {
        lost_log: if args.accept_lost_log { LostLog::Accepted } else { LostLog::Refused },
        scratch: args.scratch,
        pages: args.pages,
        deploy_token: args.deploy_token,
        origins: args.allow_origin,
        sleep_after: args.sleep_after.into(),
        submits_per_second_max: args.submits_per_second,
        ..Config::new(&args.data)
    };
    let host = Host::open(config).await?;
    let limits = ConnectionLimits::new(raise_descriptors()?, args.proxy);
    let stopped = stop_signal()?;
    let address = listener.local_addr()?;
    let note = Note::leave(address, &args.data);
    // Nobody may be reading it.
    let _ = writeln!(std::io::stdout(), "listening on http://{address}");

    tokio::select! {
        never = host.serve(listener, limits) => match never {},
        () = stopped => {}
    }
    drop(note);
    host.stop().await;
    Ok(())
}

/// Raises the number of descriptors that this process may open to what the system allows it. Gives that number.
fn raise_descriptors() -> anyhow::Result<u64> {
    rlimit::increase_nofile_limit(u64::MAX).context("the number of files that may be open cannot be read")
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
