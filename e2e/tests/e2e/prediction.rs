//! The page's view before the host has answered, and the view of all pages in the end.

use reapply_e2e::{Proxy, until};
use serde_json::json;

use crate::{LIVE, SETTLED, start};

#[tokio::test]
async fn an_optimistic_change_shows_before_the_host_has_answered() {
    let (host, browser) = start(&["counter"]).await;
    let proxy = Proxy::to(host.address());
    let page = browser.open(&proxy.url("/counter/?room=held")).await;
    page.until(LIVE).await;

    proxy.hold();
    page.click("[data-action=increment]").await;
    page.until("document.querySelector('#value').textContent === '1'").await;
    until("the host has the event, and its answer is held back", async || {
        let (seq, held) = (host.room("counter/held")["seq"].clone(), proxy.held_bytes());
        if seq == 1 && held > 0 { Ok(()) } else { Err(format!("seq {seq}, {held} bytes held")) }
    })
    .await;
    assert_eq!(page.value(SHOWN).await, json!([1, 0, 1, 0, "1", "0", true]));

    proxy.release();
    page.until(SETTLED).await;
    assert_eq!(page.value(SHOWN).await, json!([1, 1, 0, 1, "1", "1", false]));
}

/// The counter's page: optimistic and confirmed, pending, seq; then as it is drawn, and whether that looks like a guess.
const SHOWN: &str = "[room.view.count, room.confirmed.count, room.pending, room.seq,
    document.querySelector('#value').textContent, document.querySelector('#confirmed').textContent,
    document.querySelector('#value').classList.contains('predicted')]";

#[tokio::test]
async fn the_view_has_changed_when_apply_returns() {
    let (host, browser) = start(&["counter"]).await;
    let page = browser.open(&host.url("/counter/?room=tick")).await;
    page.until(LIVE).await;
    let applied =
        page.run("room.apply({ Increment: 5 }); return [room.view.count, room.confirmed.count, room.pending]").await;
    assert_eq!(applied, json!([5, 0, 1]));

    // A transition that conflicts is refused here, at once, and never sent.
    let foreseen = page.run("return room.apply({ Decrement: 6 })").await;
    assert_eq!(foreseen["status"], "rejected", "{foreseen}");
    assert_eq!(foreseen["predicted"], true, "{foreseen}");
    assert_eq!(foreseen["conflict"], "BelowZero", "{foreseen}");
    page.until(SETTLED).await;
    assert_eq!(host.events("counter/tick").len(), 1);
}

#[tokio::test]
async fn two_pages_end_equal_after_many_interleaved_changes() {
    let (host, browser) = start(&["counter"]).await;
    let ada = browser.open(&host.url("/counter/?room=both")).await;
    let bob = browser.open(&host.url("/counter/?room=both")).await;
    ada.until(&format!("{LIVE} && room.participantCount === 2")).await;
    bob.until(LIVE).await;
    assert_ne!(ada.value("room.participant").await, bob.value("room.participant").await);

    let seed = std::time::UNIX_EPOCH.elapsed().expect("it is later than 1970").as_nanos() as u64;
    println!("seed {seed}");
    let mut random = seed | 1;
    for page in [&ada, &bob].into_iter().cycle().take(60) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Delays make the two differ for a while; a reset makes the order matter.
        let script = format!(
            "network.delay_ms = {};
             for (const action of ['increment', 'increment', 'decrement', '{}', 'increment'])
                 document.querySelector(`[data-action=${{action}}]`).click();",
            random % 40,
            if random.is_multiple_of(7) { "reset" } else { "increment" },
        );
        page.run(&script).await;
    }
    ada.until(SETTLED).await;
    bob.until(SETTLED).await;

    let events = host.events("counter/both");
    let head = events.len();
    for page in [&ada, &bob] {
        page.until(&format!("room.seq === {head}")).await;
    }
    let expected = json!({ "count": replay(&events) });
    println!("{head} events lead to {expected}");
    assert!(head >= 200, "there are {head} events only");
    assert_eq!(host.room("counter/both")["view"], expected);
    for page in [&ada, &bob] {
        assert_eq!(page.value("[room.view, room.confirmed]").await, json!([expected, expected]));
    }
}

/// The counter's rule again, as a model.
fn replay(events: &[serde_json::Value]) -> u64 {
    events.iter().fold(0, |count, event| match &event["transition"] {
        reset if reset == "Reset" => 0,
        change => {
            let by = |name: &str| change[name].as_u64().unwrap_or(0);
            (count + by("Increment")).checked_sub(by("Decrement")).expect("no event takes the count below zero")
        }
    })
}
