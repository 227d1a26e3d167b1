//! Joining a room whose state is large, over a connection that does not last.

use reapply_e2e::Proxy;
use serde_json::json;

use crate::{LIVE, start};

/// Bytes of each of the things on the list.
const ITEM_BYTES: usize = 50_000;

/// The number of items: with them, the state is as large as the demo's list may be.
const ITEMS: usize = 20;

/// Bytes that each connection passes, the handshake among them: several parts, and a fraction of the state.
const CONNECTION_BYTES: usize = 120_000;

#[tokio::test]
async fn a_large_state_arrives_though_every_connection_breaks_before_it_has() {
    let (mut host, browser) = start(&["todo"]).await;
    for number in 0..ITEMS {
        let item = json!({ "label": "x".repeat(ITEM_BYTES), "done": false });
        let id = format!("00000000-0000-4000-8000-{number:012}");
        let insert = json!({ "Items": { "Insert": { "id": id, "place": "Last", "item": item } } });
        let answer = host.submit("todo/slow", &insert.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    // A room that has stored all of its state before it sleeps starts newcomers from that.
    let retained = host.command("retain", &["todo", "--snapshot-events", "1"]);
    assert!(retained.status.success(), "{retained:?}");
    host.stop();
    host.restart();
    let proxy = Proxy::to(host.address());
    proxy.break_after(1);
    let page = browser.open(&proxy.url("/todo/?room=slow")).await;
    page.run("window.seen = []; room.subscribe(() => seen.push(room.progress));").await;
    proxy.break_after(CONNECTION_BYTES);
    page.until(LIVE).await;

    let shortest = ITEMS * ITEM_BYTES / CONNECTION_BYTES;
    assert!(proxy.broken() >= shortest, "{} connections were broken off", proxy.broken());
    assert_eq!(page.value("[room.view.items.length, room.progress ?? null]").await, json!([ITEMS, null]));
    let seen = page.value("seen.filter(Boolean)").await;
    let seen = seen.as_array().unwrap();
    let received = |progress: &serde_json::Value| progress["received"].as_u64().unwrap();
    assert!(seen.len() >= shortest, "{seen:?}");
    assert!(seen.iter().all(|progress| progress["bytes"].as_u64().unwrap() > (ITEMS * ITEM_BYTES) as u64));
    assert!(seen.is_sorted_by_key(received), "what had arrived was lost: {seen:?}");
}
