//! `reapply serve`: runs a host until it is told to stop.

use std::io::{IsTerminal, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use bytesize::ByteSize;
use reapply_journal::LostLog;
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
use reapply_host::room::limits::SLEEP_AFTER_MIN;

/// The maximum time that a stopped host waits for work that cannot be interrupted, such as a compilation. Then the work ends with the process.
const WORK_WITHIN: Duration = Duration::from_secs(2);

/// The longest time without use after which a room goes to sleep.
const SLEEP_AFTER_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The least memory for rooms: one page of a machine's memory. No room fits into less.
const ROOMS_MEMORY_MIN: ByteSize = ByteSize::kib(64);

/// The most memory for rooms, which is more than any machine has.
const ROOMS_MEMORY_MAX: ByteSize = ByteSize::pib(1);

/// Arguments of `reapply serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder for logs, snapshots and components. Created if it is missing.
    #[arg(long, value_name = "DIR", env = "REAPPLY_DATA", default_value = "data")]
    data: PathBuf,
    /// Serve although the journal's write-ahead log is lost. The newest acknowledged events are lost then.
    #[arg(long)]
    accept_lost_log: bool,
    /// Address to listen on. With port 0 the system chooses a free one. The address is printed.
    #[arg(long, value_name = "ADDR", env = "REAPPLY_LISTEN", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Folder on another disk for the copies that backups make. By default, they are made in the data directory.
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Folder of static pages to serve at `/`.
    #[arg(long, value_name = "DIR")]
    pages: Option<PathBuf>,
    /// Origin whose pages may use this host besides its own, such as `https://app.example`; `*` for all. May be repeated.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<AllowedOrigin>,
    /// Secret for administration. By default, the host makes one, and keeps it in its data directory.
    #[arg(long, value_name = "TOKEN", env = "REAPPLY_DEPLOY_TOKEN", hide_env_values = true)]
    deploy_token: Option<DeployToken>,
    /// Address of a proxy in front of this host, whose connections belong to many people. May be repeated.
    #[arg(long, value_name = "IP")]
    proxy: Vec<IpAddr>,
    /// Time without use after which a room goes to sleep, from 10ms to 365days.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_sleep_after)]
    sleep_after: humantime::Duration,
    /// Memory for all rooms that are awake, such as `2GiB`. Beyond it unused rooms sleep, and then no further room wakes. By default half of the
    /// memory of this machine or of its cgroup, and at least 256MiB.
    #[arg(long, value_name = "SIZE", env = "REAPPLY_ROOMS_MEMORY", value_parser = parse_rooms_memory)]
    rooms_memory: Option<ByteSize>,
    /// Maximum number of transitions that one session may submit in a second. A faster session is read more slowly.
    #[arg(long, value_name = "N", default_value_t = SUBMITS_PER_SECOND_MAX, value_parser = clap::value_parser!(u32).range(1..))]
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
    // Blocking work cannot be stopped, and nobody waits for its result. All accepted events are stored by now.
    runtime.shutdown_timeout(WORK_WITHIN);
    reports.tell_left_out();
    served
}

async fn serve(args: Args) -> anyhow::Result<()> {
    let listener = TcpListener::bind(&args.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", args.listen))?;
    let mut config = Config {
        lost_log: if args.accept_lost_log { LostLog::Accepted } else { LostLog::Refused },
        scratch: args.scratch,
        pages: args.pages,
        deploy_token: args.deploy_token,
        origins: args.allow_origin,
        sleep_after: args.sleep_after.into(),
        submits_per_second_max: args.submits_per_second,
        ..Config::new(&args.data)
    };
    if let Some(ByteSize(bytes)) = args.rooms_memory {
        config.rooms_memory_bytes_max = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    let host = Host::open(config).await?;
    let limits = ConnectionLimits::new(raise_descriptors()?, args.proxy);
    let stopped = stop_signal()?;
    let address = listener.local_addr()?;
    let note = Note::leave(address, &args.data);
    // Standard output may be closed.
    let _ = writeln!(std::io::stdout(), "listening on http://{address}");

    tokio::select! {
        never = host.serve(listener, limits) => match never {},
        () = stopped => {}
    }
    drop(note);
    host.stop().await;
    Ok(())
}

/// Parses a time for `--sleep-after`.
fn parse_sleep_after(text: &str) -> Result<humantime::Duration, String> {
    let time: humantime::Duration = text.parse().map_err(|error: humantime::DurationError| error.to_string())?;
    if (SLEEP_AFTER_MIN..=SLEEP_AFTER_MAX).contains(&*time) {
        return Ok(time);
    }
    Err("give a time from 10ms to 365days".to_owned())
}

/// Parses a size for `--rooms-memory`.
fn parse_rooms_memory(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    if (ROOMS_MEMORY_MIN..=ROOMS_MEMORY_MAX).contains(&size) {
        return Ok(size);
    }
    Err("give a size from 64KiB to 1PiB".to_owned())
}

/// Raises the number of descriptors that this process may open to the system's limit, and returns it.
fn raise_descriptors() -> anyhow::Result<u64> {
    rlimit::increase_nofile_limit(u64::MAX).context("the number of files that may be open cannot be read")
}

/// Returns a future that ends on SIGTERM, or on Ctrl-C. Signals count from this call on, even before the future is first polled.
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

/// Returns a future that ends on Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Serve {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn options_without_sense_are_refused_with_their_bounds() {
        let parse = |option: &str, value: &str| Serve::try_parse_from(["serve", &format!("{option}={value}")]);
        for (option, values, bound) in [
            ("--sleep-after", ["0", "5ms", "366days"], "from 10ms to 365days"),
            ("--submits-per-second", ["0", "-1", "4294967296"], "1..=4294967295"),
            ("--rooms-memory", ["1B", "63KiB", "99999999999TiB"], "from 64KiB to 1PiB"),
        ] {
            for value in values {
                let refusal = parse(option, value).unwrap_err().to_string();
                assert!(refusal.contains(bound), "{option} {value}: {refusal}");
            }
        }
        let largest =
            [("--sleep-after", "365days"), ("--submits-per-second", "4294967295"), ("--rooms-memory", "1PiB")];
        let least = [("--sleep-after", "10ms"), ("--submits-per-second", "1"), ("--rooms-memory", "64KiB")];
        for (option, value) in largest.into_iter().chain(least) {
            parse(option, value).unwrap();
        }
    }
}
