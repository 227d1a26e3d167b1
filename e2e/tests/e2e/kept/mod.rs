//! Undecided transitions outlive their page, and arrive exactly once.

mod arriving;
mod clients;
mod unwritten;

use std::collections::HashSet;

use reapply_e2e::{Browser, Host, Page, Proxy, until};
use serde_json::{Value, json};

use crate::start;

/// A page that stores its transitions.
const DURABLE: &str = "room.status === 'live' && room.durable";

/// Starts a host with this guest and a browser with a window that stays open, and returns a proxy and the URL of a room's page through it.
async fn start_behind_proxy(guest: &str, room: &str) -> (Host, Browser, Proxy, String) {
    let (host, browser) = start(&[guest]).await;
    let proxy = Proxy::to(host.address());
    let url = proxy.url(&format!("/{guest}/?room={room}"));
    let _stays = browser.blank().await;
    (host, browser, proxy, url)
}

async fn opened<'a>(browser: &'a Browser, url: &str) -> Page<'a> {
    let page = browser.open(url).await;
    page.until(DURABLE).await;
    page
}

async fn increment(page: &Page<'_>, count: usize) {
    page.run(&format!("for (let n = 0; n < {count}; n += 1) room.apply({{ Increment: 1 }})")).await;
}

async fn until_events(host: &Host, room: &str, count: usize) {
    until("the host has them all", async || match host.events(room).len() {
        found if found == count => Ok(()),
        found => Err(format!("{found} events")),
    })
    .await;
}

/// Checks that there are exactly this many transitions, one after the other, none of them twice.
fn assert_exactly_once(host: &Host, room: &str, count: usize) {
    let events = host.events(room);
    let transitions: Vec<&Value> = events.iter().filter(|event| event["kind"] == "transition").collect();
    assert_eq!(transitions.len(), count, "{events:#?}");
    let names: HashSet<_> =
        transitions.iter().map(|event| format!("{} {}", event["client"], event["number"])).collect();
    assert_eq!(names.len(), count, "a number names two transitions");
}

/// Waits until the browser's database holds no transition any more.
async fn assert_nothing_is_kept(page: &Page<'_>) {
    page.run(
        "window.kept = undefined;
        const opening = indexedDB.open('reapply');
        opening.onsuccess = () => {
            const entries = opening.result.transaction('entries').objectStore('entries').getAll();
            entries.onsuccess = () => { window.kept = entries.result; opening.result.close(); };
        };",
    )
    .await;
    page.until("window.kept !== undefined").await;
    assert_eq!(page.value("kept").await, json!([]));
}
