//! Edits without a connection: kept, and sent exactly once.

use std::collections::HashSet;

use reapply_e2e::{Proxy, until};
use serde_json::json;

use crate::{LIVE, OUTCOMES, SETTLED, start};

#[tokio::test]
async fn offline_edits_arrive_exactly_once_after_reconnect() {
    let (host, browser) = start(&["counter"]).await;
    let proxy = Proxy::to(host.address());
    let page = browser.open(&proxy.url("/counter/?room=away")).await;
    page.until(LIVE).await;
    page.run(OUTCOMES).await;

    proxy.cut();
    page.until("room.status === 'offline'").await;
    page.run("for (let n = 0; n < 20; n += 1) act({ Increment: 1 })").await;
    assert_eq!(page.value("[room.view.count, room.confirmed.count, room.pending]").await, json!([20, 0, 20]));
    assert_eq!(host.events("counter/away").len(), 0);

    proxy.restore();
    page.until(&format!("{SETTLED} && outcomes.length === 20")).await;
    assert_eq!(page.value("outcomes.every(({ status }) => status === 'accepted')").await, true);
    assert_exactly_once(&host.events("counter/away"), 20);
    assert_eq!(page.value("room.view.count").await, 20);
}

#[tokio::test]
async fn edits_whose_answers_were_lost_are_not_applied_again() {
    let (host, browser) = start(&["counter"]).await;
    let proxy = Proxy::to(host.address());
    let page = browser.open(&proxy.url("/counter/?room=lost")).await;
    page.until(LIVE).await;
    page.run(OUTCOMES).await;

    // The host accepts these, and says so; then the connection breaks before any answer arrives.
    proxy.hold();
    page.run("for (let n = 0; n < 10; n += 1) act({ Increment: 1 })").await;
    until("the host has them all", async || match host.events("counter/lost").len() {
        10 => Ok(()),
        count => Err(format!("{count} events")),
    })
    .await;
    proxy.cut();
    proxy.release();
    page.until("room.status === 'offline'").await;
    page.run("for (let n = 0; n < 5; n += 1) act({ Increment: 1 })").await;
    assert_eq!(page.value("[room.view.count, room.confirmed.count, room.pending]").await, json!([15, 0, 15]));

    proxy.restore();
    page.until(&format!("{SETTLED} && outcomes.length === 15")).await;
    assert_exactly_once(&host.events("counter/lost"), 15);
    assert_eq!(page.value("[room.view.count, room.confirmed.count]").await, json!([15, 15]));
    let rejected = page.value("outcomes.filter(({ status }) => status === 'rejected').length").await;
    assert_eq!(rejected, 0);
}

#[tokio::test]
async fn edits_survive_a_connection_that_breaks_again_and_again() {
    let (host, browser) = start(&["counter"]).await;
    let proxy = Proxy::to(host.address());
    let page = browser.open(&proxy.url("/counter/?room=shaky")).await;
    page.until(LIVE).await;
    page.run(OUTCOMES).await;
    for round in 1..=5 {
        // Some of them are on their way when it breaks, others come after.
        page.run("for (let n = 0; n < 20; n += 1) act({ Increment: 1 })").await;
        proxy.cut();
        page.run("for (let n = 0; n < 5; n += 1) act({ Increment: 1 })").await;
        page.until("room.status === 'offline'").await;
        proxy.restore();
        page.until(&format!("{LIVE} && room.view.count === {}", round * 25)).await;
    }
    page.until(&format!("{SETTLED} && outcomes.length === 125")).await;
    assert_exactly_once(&host.events("counter/shaky"), 125);
    assert_eq!(page.value("room.confirmed.count").await, 125);
}

/// Checks that there are exactly this many events, one after the other, none of them twice.
fn assert_exactly_once(events: &[serde_json::Value], count: usize) {
    let seqs: Vec<_> = events.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert_eq!(seqs, (1..=count as u64).collect::<Vec<_>>());
    let names: HashSet<_> = events.iter().map(|event| format!("{} {}", event["client"], event["number"])).collect();
    assert_eq!(names.len(), count, "a transition was applied twice");
}
