//! `reapply retain`: shows or sets how much of its rooms' past a machine keeps.

use std::time::Duration;

use anyhow::{Context, anyhow};
use reapply_sync::Name;
use serde_json::{Value, json};

use super::print;
use super::remote::Remote;

/// The longest time the host may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Arguments of `reapply retain`. With only a machine, the current setting is printed; otherwise options that are left out get their
/// defaults.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the machine.
    machine: String,
    /// Keep all events and snapshots forever. This is the default.
    #[arg(long, conflicts_with = "trim")]
    keep_all: bool,
    /// Remove the events before the last checkpoint, once they are proved to lead to its snapshot.
    #[arg(long)]
    trim: bool,
    /// Take a snapshot after this many events.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    snapshot_events: Option<u64>,
    /// Take a snapshot after this many bytes of events.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    snapshot_bytes: Option<u64>,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let Args { keep_all, trim, snapshot_events, snapshot_bytes, remote, .. } = args;
    let machine: Name = args.machine.parse()?;
    let sets = *keep_all || *trim || snapshot_events.is_some() || snapshot_bytes.is_some();
    let retention = if sets {
        let wanted = json!({ "snapshot_events": snapshot_events, "snapshot_bytes": snapshot_bytes, "trim": trim });
        let request = remote.request("PUT", &format!("/machines/{machine}/retention"));
        let request = request.header("content-type", "application/json").body(wanted.to_string())?;
        remote.ask(request, ANSWER_WITHIN)?
    } else {
        remote.ask(remote.request("GET", &format!("/machines/{machine}")).body(())?, ANSWER_WITHIN)?
    };
    let retention =
        retention.get("retention").ok_or_else(|| anyhow!("the host is too old: it does not report a retention"))?;
    let described = describe(retention).context("the host's answer lacks a field of the retention")?;
    print::line(format!("{machine}: {described}"))
}

fn describe(retention: &Value) -> Option<String> {
    let kept = if retention["trim"].as_bool()? {
        "removes events before the last proved checkpoint"
    } else {
        "keeps all events"
    };
    let events = retention["snapshot_events"].as_u64().map(|events| format!("{events} events"));
    let bytes = retention["snapshot_bytes"].as_u64().map(|bytes| format!("{bytes} bytes of events"));
    let after: Vec<String> = events.into_iter().chain(bytes).collect();
    let snapshots =
        if after.is_empty() { "when the host sees fit".to_owned() } else { format!("after {}", after.join(" or ")) };
    Some(format!("{kept}; takes snapshots {snapshots}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_told_in_words() {
        let told = |retention: Value| describe(&retention);
        let all = json!({ "snapshot_events": null, "snapshot_bytes": null, "trim": false });
        assert_eq!(told(all).unwrap(), "keeps all events; takes snapshots when the host sees fit");
        let trimmed = json!({ "snapshot_events": 100, "snapshot_bytes": 4096, "trim": true });
        assert_eq!(
            told(trimmed).unwrap(),
            "removes events before the last proved checkpoint; takes snapshots after 100 events or 4096 bytes of events"
        );
        assert_eq!(told(json!({})), None);
    }
}
