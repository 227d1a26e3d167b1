//! `reapply log`: prints a room's log, or follows it.

use std::io::Read;

use anyhow::{Context, anyhow};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::print;
use super::remote::Remote;
use super::source::parse_room;
use reapply_host::http::log::LOG_BEGINS;

/// The number of bytes that are read from the host and printed at a time.
const PRINT_BYTES: usize = 64 * 1024;

/// Arguments of `reapply log`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Room to print, as MACHINE/ROOM.
    room: String,
    /// Only events of this participant. May be repeated.
    #[arg(long, value_name = "AUTHOR")]
    author: Vec<String>,
    /// Only events at or after this time, such as 2026-11-23T09:00:00Z or 2026-11-23 (in UTC).
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only events before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only events of this kind: transition, alarm, joined, left, upgraded, checkpoint or forked; or transitions of one name, as in
    /// transition:Increment. May be repeated.
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Only events after this one.
    #[arg(long, value_name = "SEQ")]
    after: Option<String>,
    /// Maximum number of events.
    #[arg(long, value_name = "COUNT")]
    limit: Option<String>,
    /// Output format: jsonl (a JSON object on each line) or csv.
    #[arg(long, default_value = "jsonl")]
    format: String,
    /// Print new events as they happen, until interrupted.
    #[arg(long)]
    follow: bool,
    /// Print rejection counts by author and kind instead of the log.
    #[arg(long, conflicts_with_all = ["author", "from", "to", "kind", "after", "limit", "follow"])]
    rejections: bool,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let room = parse_room(&args.room).map_err(|why| anyhow!("{:?} is not a room: {why}", args.room))?;
    let mut query = vec![("format", args.format.as_str())];
    let options = [("from", &args.from), ("to", &args.to), ("after", &args.after), ("limit", &args.limit)];
    query.extend(options.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))));
    query.extend(args.author.iter().map(|author| ("author", author.as_str())));
    query.extend(args.kind.iter().map(|kind| ("kind", kind.as_str())));
    if args.follow {
        query.push(("follow", "true"));
    }
    let what = if args.rejections { "rejections" } else { "log" };
    let request = args.remote.request("GET", &format!("/rooms/{room}/{what}?{}", encode(&query))).body(())?;
    let answer = args.remote.accepted(args.remote.send(request, None)?)?;
    if let Some(begins) = answer.headers().get(LOG_BEGINS).and_then(|begins| begins.to_str().ok()) {
        print::note(format!(
            "reapply: the log of {room} begins after event {begins}; earlier events are no longer kept"
        ));
    }
    print_as_it_comes(answer.into_body().into_reader())
}

/// Returns a query string, with every special character escaped. ureq escapes queries only in requests of its own. Ours are of the crate `http`,
/// since a command may use any method.
fn encode(query: &[(&str, &str)]) -> String {
    let escape = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
    pairs.join("&")
}

/// Prints the answer as it arrives.
fn print_as_it_comes(mut answer: impl Read) -> anyhow::Result<()> {
    let mut part = vec![0; PRINT_BYTES];
    let mut parts = print::Parts::default();
    loop {
        match answer.read(&mut part).context("the host's answer is incomplete")? {
            0 => return Ok(()),
            count => parts.print(&part[..count])?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_escaped() {
        let query = [("kind", "transition:Add"), ("author", "a&b=ü +%")];
        assert_eq!(encode(&query), "kind=transition%3AAdd&author=a%26b%3D%C3%BC%20%2B%25");
    }
}
