//! `kill -9` of the host, under edits from two pages.

use std::collections::HashSet;

use reapply_e2e::{Page, until};
use serde_json::{Value, json};

use crate::{LIVE, OUTCOMES, SETTLED, start};

/// The number of edits of each page.
const EDITS: u64 = 1500;

/// A page that edits by itself, connected or not, until it has made `edits` of them.
const EDIT: &str = "
    window.made = 0;
    const editing = setInterval(() => {
        made += 1;
        act({ Increment: 1 });
        if (made === edits) clearInterval(editing);
    }, 5);
";

#[tokio::test]
async fn after_kill_9_every_acknowledged_event_is_there_and_both_pages_carry_on() {
    let (mut host, browser) = start(&["counter"]).await;
    let ada = browser.open(&host.url("/counter/?room=crash")).await;
    let bob = browser.open(&host.url("/counter/?room=crash")).await;
    for page in [&ada, &bob] {
        page.until(LIVE).await;
        page.run(&format!("window.edits = {EDITS}; {OUTCOMES} {EDIT}")).await;
    }
    // Twice: the second time in the middle of the work recovered from the first.
    for acknowledged in [50, 200] {
        for page in [&ada, &bob] {
            page.until(&format!("outcomes.length > {acknowledged}")).await;
        }
        host.kill_9();
        for page in [&ada, &bob] {
            page.until("room.status !== 'live'").await;
        }
        let told = [acknowledged_seqs(&ada).await, acknowledged_seqs(&bob).await].concat();
        host.restart();
        let head = host.room("counter/crash")["seq"].as_u64().unwrap_or(0);
        let last = told.iter().max().copied().unwrap_or(0);
        assert!(last <= head, "event {last} was acknowledged, and the log ends at {head}");
    }

    for page in [&ada, &bob] {
        page.until(&format!("{SETTLED} && made === {EDITS} && outcomes.length === {EDITS}")).await;
    }
    let events = host.events("counter/crash");
    let edits = events.iter().filter(|event| event["kind"] == "transition").count();
    assert_eq!(edits as u64, 2 * EDITS, "each edit is in the log exactly once");
    for page in [&ada, &bob] {
        assert_acknowledged(page, &events).await;
        page.until(&format!("room.seq === {}", events.len())).await;
        assert_eq!(page.value("[room.view.count, room.confirmed.count]").await, json!([2 * EDITS, 2 * EDITS]));
    }
    assert_eq!(host.room("counter/crash")["view"]["count"], 2 * EDITS);
    assert!(!host.log().contains("diverged"), "a replica diverged");
}

#[tokio::test]
async fn a_page_that_is_open_while_the_host_is_away_for_long_carries_on_by_itself() {
    let (mut host, browser) = start(&["counter"]).await;
    let page = browser.open(&host.url("/counter/?room=away")).await;
    page.until(LIVE).await;
    page.run(OUTCOMES).await;
    assert!(host.stop().success());
    page.until("room.status === 'offline'").await;
    page.run("act({ Increment: 7 })").await;
    assert!(host.try_restart().is_ok());
    page.until(&format!("{SETTLED} && outcomes.length === 1")).await;
    until("the host shows the edit", async || match &host.room("counter/away")["view"]["count"] {
        seven if *seven == 7 => Ok(()),
        other => Err(other.to_string()),
    })
    .await;
}

async fn acknowledged_seqs(page: &Page<'_>) -> Vec<u64> {
    let seqs = page.value("outcomes.filter(({ status }) => status === 'accepted').map(({ seq }) => seq)").await;
    seqs.as_array().map(|seqs| seqs.iter().filter_map(Value::as_u64).collect()).unwrap_or_default()
}

/// Checks that every outcome of the page is in the log, at its seq and by this page, and nothing of the page is there twice.
async fn assert_acknowledged(page: &Page<'_>, events: &[Value]) {
    let author = page.value("room.participant").await;
    let seqs = acknowledged_seqs(page).await;
    for seq in &seqs {
        let event = &events[usize::try_from(*seq).expect("it is small") - 1];
        assert_eq!((&event["seq"], &event["author"]), (&json!(seq), &author));
    }
    assert_eq!(seqs.iter().collect::<HashSet<_>>().len(), seqs.len(), "two edits were told the same seq");
    let own: Vec<_> = events.iter().filter(|event| event["author"] == author).collect();
    let numbers: HashSet<_> = own.iter().map(|event| event["number"].to_string()).collect();
    assert_eq!((own.len() as u64, numbers.len() as u64), (EDITS, EDITS));
    // The rest was decided while the page was away, and its state came as a snapshot.
    let decided = page.value("outcomes.filter(({ status }) => status === 'decided').length").await;
    assert_eq!(seqs.len() as u64 + decided.as_u64().unwrap_or(0), EDITS, "some edit was rejected");
}
