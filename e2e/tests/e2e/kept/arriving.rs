//! The transitions of a page that is gone arrive through a later one.

use std::collections::HashSet;

use reapply_e2e::Proxy;
use serde_json::json;

use super::{
    DURABLE, assert_exactly_once, assert_nothing_is_kept, increment, opened, start_behind_proxy, until_events,
};
use crate::{SETTLED, start};

/// For pages: the outcomes of earlier pages' transitions, as they are reported.
const RETURNED: &str = "
    window.returned = [];
    const shown = room.onreturn;
    room.onreturn = (one) => { returned.push(one); shown?.(one); };
";

#[tokio::test]
async fn what_was_done_offline_arrives_after_its_tab_was_closed() {
    let (host, browser, proxy, url) = start_behind_proxy("counter", "closed").await;
    let page = opened(&browser, &url).await;
    let participant = page.value("room.participant").await;
    proxy.cut();
    page.until("room.status === 'offline'").await;
    increment(&page, 20).await;
    page.close().await;
    proxy.restore();

    let next = browser.open(&url).await;
    next.until(&format!("{SETTLED} && room.view.count === 20")).await;
    assert_exactly_once(&host, "counter/closed", 20);
    // The tab has taken over the closed tab's client, and reports the outcome of each of its transitions.
    assert_eq!(next.value("room.participant").await, participant);
    next.until("document.querySelector('#returned').textContent === 'From before: 20 applied.'").await;
    assert_nothing_is_kept(&next).await;
}

#[tokio::test]
async fn what_the_host_had_taken_already_is_not_applied_again() {
    let (host, browser, proxy, url) = start_behind_proxy("counter", "taken").await;
    let page = opened(&browser, &url).await;
    proxy.hold();
    increment(&page, 10).await;
    until_events(&host, "counter/taken", 10).await;
    // The page closes without having been told, and with others that were never sent.
    proxy.cut();
    page.until("room.status === 'offline'").await;
    increment(&page, 5).await;
    assert_eq!(page.value("room.pending").await, json!(15));
    page.close().await;
    proxy.release();
    proxy.restore();

    let next = browser.open(&url).await;
    next.until(&format!("{SETTLED} && room.view.count === 15")).await;
    assert_exactly_once(&host, "counter/taken", 15);
    assert_nothing_is_kept(&next).await;
}

#[tokio::test]
async fn a_crash_of_the_page_loses_and_doubles_nothing() {
    let (host, browser, proxy, url) = start_behind_proxy("counter", "crashed").await;
    let page = opened(&browser, &url).await;
    proxy.hold();
    increment(&page, 10).await;
    until_events(&host, "counter/crashed", 10).await;
    proxy.cut();
    page.until("room.status === 'offline'").await;
    increment(&page, 7).await;
    page.crash().await;
    proxy.release();
    proxy.restore();

    let next = browser.open(&url).await;
    next.until(&format!("{SETTLED} && room.view.count === 17")).await;
    assert_exactly_once(&host, "counter/crashed", 17);
    assert_nothing_is_kept(&next).await;
}

#[tokio::test]
async fn of_two_tabs_that_were_closed_both_queues_arrive_when_one_is_opened() {
    let (host, browser, proxy, url) = start_behind_proxy("counter", "two").await;
    let [ada, bob] = [opened(&browser, &url).await, opened(&browser, &url).await];
    proxy.cut();
    for (page, count) in [(&ada, 5), (&bob, 7)] {
        page.until("room.status === 'offline'").await;
        increment(page, count).await;
    }
    ada.close().await;
    bob.close().await;
    proxy.restore();

    let next = browser.open(&url).await;
    next.until(&format!("{SETTLED} && room.view.count === 12")).await;
    next.until("document.querySelector('#returned').textContent === 'From before: 12 applied.'").await;
    assert_exactly_once(&host, "counter/two", 12);
    let authors: HashSet<_> = host.events("counter/two").iter().map(|event| event["author"].to_string()).collect();
    assert_eq!(authors.len(), 2, "each is delivered as whoever made it");
    assert_nothing_is_kept(&next).await;
    // The delivering session has left.
    next.until("room.participantCount === 1").await;
}

#[tokio::test]
async fn a_conflict_on_return_is_reported_for_that_transition_alone() {
    let (host, browser, proxy, url) = start_behind_proxy("counter", "conflict").await;
    assert_eq!(host.submit("counter/conflict", "{\"Increment\":3}").status, 200);
    let page = opened(&browser, &url).await;
    proxy.cut();
    page.until("room.status === 'offline'").await;
    page.run("for (const t of [{ Increment: 1 }, { Decrement: 4 }, { Increment: 10 }]) room.apply(t)").await;
    assert_eq!(page.value("[room.view.count, room.pending]").await, json!([10, 3]));
    page.close().await;
    assert_eq!(host.submit("counter/conflict", "{\"Decrement\":3}").status, 200);
    proxy.restore();

    let next = browser.blank().await;
    next.before_each_page(&format!("addEventListener('DOMContentLoaded', () => {{ {RETURNED} }})")).await;
    next.goto(&url).await;
    next.until(&format!("{SETTLED} && returned.length === 3")).await;
    let told = "returned.map(({ transition, outcome }) => [JSON.stringify(transition), outcome.conflict ?? outcome.status]).sort()";
    let expected =
        [[r#"{"Decrement":4}"#, "BelowZero"], [r#"{"Increment":10}"#, "accepted"], [r#"{"Increment":1}"#, "accepted"]];
    assert_eq!(next.value(told).await, json!(expected));
    assert_eq!(
        next.value("returned.every(({ time }) => time instanceof Date && time < Date.now() + 60_000)").await,
        true
    );
    next.until("document.querySelector('#returned').textContent === 'From before: 2 applied, 1 not applied.'").await;
    next.until(
        "document.querySelector('#toast').textContent.includes('While you were away: The counter cannot go below')",
    )
    .await;
    assert_eq!(host.room("counter/conflict")["view"]["count"], 11);
    assert_nothing_is_kept(&next).await;
}

#[tokio::test]
async fn what_is_done_before_the_room_is_joined_is_kept_as_well() {
    let (host, browser, proxy, url) = start_behind_proxy("counter", "slow").await;
    proxy.hold();
    let page = browser.open(&url).await;
    page.until("room.durable").await;
    increment(&page, 3).await;
    assert_eq!(page.value("[room.status, room.pending, room.seq]").await, json!(["connecting", 3, 0]));
    page.close().await;
    let again = browser.open(&url).await;
    again.until("room.durable && room.pending === 3").await;
    increment(&again, 2).await;
    assert!(host.events("counter/slow").is_empty());
    again.close().await;
    // The second page's transitions have not replaced those of the first.
    let last = browser.open(&url).await;
    last.until("room.durable && room.pending === 5").await;

    proxy.release();
    last.until(&format!("{SETTLED} && room.view.count === 5")).await;
    assert_exactly_once(&host, "counter/slow", 5);
    assert_nothing_is_kept(&last).await;
}

#[tokio::test]
async fn what_is_kept_arrives_at_a_later_build_in_its_own_encoding() {
    let (host, browser) = start(&[]).await;
    host.deploy_as("notes", "notes-v1");
    let proxy = Proxy::to(host.address());
    let url = proxy.url("/room.html?machine=notes&room=kept");
    let _stays = browser.blank().await;
    let page = opened(&browser, &url).await;
    // The host accepts one, without the page hearing of it; the others are never sent.
    proxy.hold();
    page.run("room.apply({ Add: 'sow' })").await;
    until_events(&host, "notes/kept", 1).await;
    proxy.cut();
    page.until("room.status === 'offline'").await;
    page.run("for (const t of [{ Add: 'water' }, { Toggle: 0 }, { Add: 'reap' }]) room.apply(t)").await;
    page.close().await;
    host.deploy_as("notes", "notes-v2");
    let upgraded = host.command("upgrade", &["notes/kept"]);
    assert!(upgraded.status.success(), "{}", String::from_utf8_lossy(&upgraded.stderr));
    proxy.release();
    proxy.restore();

    let next = browser.blank().await;
    next.before_each_page(&format!("addEventListener('DOMContentLoaded', () => {{ {RETURNED} }})")).await;
    next.goto(&url).await;
    next.until(&format!("{SETTLED} && returned.length === 4")).await;
    // The new build does not have this transition any more; it alone is lost, and the page is told.
    let refused = "returned.filter(({ outcome }) => outcome.status === 'rejected').map(({ transition, outcome }) => [transition, outcome.kind])";
    assert_eq!(next.value(refused).await, json!([[{ "Toggle": 0 }, "malformed"]]));
    let texts = "room.confirmed.notes.map(({ text, done }) => [text, done])";
    assert_eq!(next.value(texts).await, json!([["sow", false], ["water", false], ["reap", false]]));
    assert_exactly_once(&host, "notes/kept", 3);
    assert_nothing_is_kept(&next).await;
}

#[tokio::test]
async fn reloads_in_the_middle_of_a_stream_lose_and_double_nothing() {
    let (host, browser, _proxy, url) = start_behind_proxy("counter", "stream").await;
    let page = opened(&browser, &url).await;
    for _ in 0..6 {
        // Transitions are written at once, to storage that outlives the page.
        page.run(
            "setInterval(() => {
                localStorage.made = Number(localStorage.made ?? 0) + 1;
                room.apply({ Increment: 1 });
            }, 2)",
        )
        .await;
        let made = page.value("Number(localStorage.made ?? 0)").await.as_u64().unwrap_or(0);
        page.until(&format!("Number(localStorage.made) >= {}", made + 50)).await;
        page.goto(&url).await;
        page.until(DURABLE).await;
    }
    page.until(SETTLED).await;
    let made = page.value("Number(localStorage.made)").await.as_u64().expect("it is a number");
    page.until(&format!("room.view.count === {made}")).await;
    assert_exactly_once(&host, "counter/stream", made as usize);
    assert_nothing_is_kept(&page).await;
}

#[tokio::test]
async fn a_room_that_is_left_and_joined_again_in_one_page_goes_on_with_what_was_pending() {
    let (host, browser, proxy, url) = start_behind_proxy("counter", "left").await;
    let page = opened(&browser, &url).await;
    proxy.cut();
    page.until("room.status === 'offline'").await;
    increment(&page, 4).await;
    page.run("room.close()").await;
    proxy.restore();
    page.run("import('/reapply.js').then(({ connect }) => { window.room = connect('/rooms/counter/left'); })").await;
    page.until(&format!("{SETTLED} && room.view?.count === 4")).await;
    assert_exactly_once(&host, "counter/left", 4);
    assert_nothing_is_kept(&page).await;
}
