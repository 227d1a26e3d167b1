//! `reapply verify`: proves a room, or an export.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::Context;
use reapply_machine::Engine;
use reapply_sync::Digest;

use super::print;
use super::remote::Remote;
use super::source;
use reapply_host::archive::{self, Proof};
use reapply_host::clock::rfc3339;

/// Arguments of `reapply verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File that `reapply export` wrote, or room, as machine/room.
    #[arg(value_name = "ROOM|FILE")]
    subject: String,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let Args { subject, remote } = args;
    let engine = Engine::for_replays()?;
    let export = source::open(subject, remote)?;
    let began = Instant::now();
    let proof =
        archive::verify(export, &engine, &mut |_| ControlFlow::Continue(())).with_context(|| subject.clone())?;
    print::text(&report(subject, &proof, began.elapsed()))
}

fn report(subject: &str, proof: &Proof, took: Duration) -> String {
    let Proof { header, counts, checkpoints, builds, builds_total, bytes, .. } = proof;
    let seconds = took.as_secs_f64();
    let per_second = counts.events as f64 / seconds.max(f64::EPSILON);
    let mut lines = vec![
        format!("{subject} is whole: the log of {}, created {}", header.room, rfc3339(header.genesis.time)),
        format!("  events       {} in {} records, each applied again", counts.events, counts.records),
        format!("  snapshots    {}, each the state that the log leads to", counts.snapshots),
        format!("  checkpoints  {checkpoints}, each with the hash of its state"),
    ];
    let unnamed = builds_total - builds.len() as u64;
    lines.extend((unnamed > 0).then(|| format!("  builds       {unnamed} before these")));
    lines.extend(builds.iter().map(|digest| format!("  build        {digest}")));
    if let Some(base) = &header.base {
        lines.push(format!(
            "  trimmed      the log begins with the snapshot at {}; earlier events are neither kept nor proved",
            base.seq
        ));
    }
    lines.push(format!("  head         {}, at {}", header.head, rfc3339(header.time)));
    lines.push(format!("  chain        {}", Digest(header.chain.0)));
    lines.push(format!("  took         {seconds:.2} s: {per_second:.0} events/s, {bytes} bytes\n"));
    lines.join("\n")
}
