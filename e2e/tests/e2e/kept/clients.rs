//! The client that a page is. No two pages are one client, whatever happens to tabs, keys and stores.

use std::collections::HashSet;

use super::{
    DURABLE, assert_exactly_once, assert_nothing_is_kept, increment, opened, start_behind_proxy, until_events,
};
use crate::{LIVE, SETTLED};

/// For pages: `join(options)` joins the page's room once more.
const IMPORTED: &str = "
    const room = new URLSearchParams(location.search).get('room');
    import('/reapply.js').then(({ connect }) => { window.join = (options) => connect(`/rooms/counter/${room}`, options); });
";

#[tokio::test]
async fn tabs_never_share_a_client() {
    let (host, browser, proxy, url) = start_behind_proxy("counter", "apart").await;
    let gone = [opened(&browser, &url).await, opened(&browser, &url).await];
    proxy.cut();
    for page in &gone {
        page.until("room.status === 'offline'").await;
        increment(page, 3).await;
    }
    for page in gone {
        page.close().await;
    }
    proxy.restore();

    // Two tabs at once compete for the closed tabs' clients, and another has a copy of a tab's storage.
    let opener = browser.open(&proxy.url("/shared/icon.svg")).await;
    let pages = [browser.open_from(&opener, &url).await, browser.open_from(&opener, &url).await];
    for page in &pages {
        page.until(&format!("{SETTLED} && room.view.count === 6")).await;
    }
    let copy = browser.open_from(&pages[0], &url).await;
    copy.until(DURABLE).await;
    let mut participants = HashSet::new();
    for page in pages.iter().chain([&copy]) {
        participants.insert(page.value("room.participant").await.to_string());
        increment(page, 1).await;
    }
    assert_eq!(participants.len(), 3, "{participants:?}");
    for page in pages.iter().chain([&copy]) {
        page.until(&format!("{SETTLED} && room.view.count === 9")).await;
    }
    assert_exactly_once(&host, "counter/apart", 9);
}

#[tokio::test]
async fn a_late_greeting_of_a_connection_that_was_given_up_does_not_end_the_session_for_good() {
    let (host, browser, _proxy, url) = start_behind_proxy("counter", "late").await;
    let page = browser.blank().await;
    page.before_each_page(
        "const send = WebSocket.prototype.send;
        WebSocket.prototype.send = function (frame) { window.hello ??= frame.slice(); send.call(this, frame); };",
    )
    .await;
    page.goto(&url).await;
    page.until(DURABLE).await;
    page.run(
        "window.reasons = [];
        room.subscribe(() => reasons.push(room.reason ?? ''));
        window.late = new WebSocket(`ws://${location.host}/rooms/counter/late`, 'reapply.v2');
        late.onopen = () => late.send(hello);",
    )
    .await;
    page.until("reasons.some((reason) => reason.includes('connected from elsewhere'))").await;
    page.until(DURABLE).await;
    increment(&page, 2).await;
    page.until(SETTLED).await;
    assert_exactly_once(&host, "counter/late", 2);
}

#[tokio::test]
async fn a_page_with_the_same_key_closes_the_one_before_and_goes_on_with_its_queue() {
    let (host, browser, proxy, url) = start_behind_proxy("counter", "key").await;
    let pages = [opened(&browser, &url).await, opened(&browser, &url).await];
    for page in &pages {
        page.run(IMPORTED).await;
        page.until("window.join !== undefined").await;
    }
    let [former, later] = pages;
    former.run("window.own = join({ key: '00112233445566778899aabbccddeeff' })").await;
    former.until("own.status === 'live' && own.durable").await;
    proxy.cut();
    former.until("own.status === 'offline'").await;
    former.run("for (let n = 0; n < 3; n += 1) own.apply({ Increment: 1 })").await;
    // The same key in another notation.
    later.run("window.own = join({ key: '00112233445566778899AABBCCDDEEFF' })").await;
    later.until("own.durable && own.pending === 3").await;
    former.until("own.status === 'closed'").await;
    assert_eq!(former.value("own.reason").await, "another page is this client now");
    proxy.restore();

    later.until("own.status === 'live' && own.pending === 0 && own.view.count === 3").await;
    assert_exactly_once(&host, "counter/key", 3);
    assert_nothing_is_kept(&later).await;
}

#[tokio::test]
async fn no_tab_takes_over_the_client_of_a_second_room_in_a_page_that_lives() {
    let (host, browser, proxy, url) = start_behind_proxy("counter", "second").await;
    let page = opened(&browser, &url).await;
    page.run(IMPORTED).await;
    page.until("window.join !== undefined").await;
    page.run("window.second = join()").await;
    page.until("second.status === 'live' && second.durable").await;
    proxy.hold();
    page.run("for (let n = 0; n < 2; n += 1) second.apply({ Increment: 1 })").await;
    until_events(&host, "counter/second", 2).await;
    let other = browser.open(&url).await;
    other.until("room.durable").await;
    assert_eq!(other.value("room.pending").await, 0);
    proxy.release();

    other.until(&format!("{SETTLED} && room.view.count === 2")).await;
    page.until("second.status === 'live' && second.pending === 0 && second.view.count === 2").await;
    assert_exactly_once(&host, "counter/second", 2);
}

#[tokio::test]
async fn a_page_whose_database_does_not_answer_is_another_client() {
    let (host, browser, proxy, url) = start_behind_proxy("counter", "silent").await;
    let page = browser.blank().await;
    page.before_each_page("if (location.search.includes('silent-database')) indexedDB.open = () => ({})").await;
    page.goto(&url).await;
    page.until(DURABLE).await;
    let participant = page.value("room.participant").await;
    proxy.cut();
    page.until("room.status === 'offline'").await;
    increment(&page, 3).await;
    // The tab is gone before it hears that there is a connection again.
    page.goto("about:blank").await;
    proxy.restore();
    page.goto(&format!("{url}&silent-database")).await;
    page.until(LIVE).await;
    assert_ne!(page.value("room.participant").await, participant);
    increment(&page, 2).await;
    page.until(&format!("{SETTLED} && room.view.count === 2")).await;

    // The stored transitions have lost none of their numbers to others.
    page.goto(&url).await;
    page.until(&format!("{SETTLED} && room.view.count === 5")).await;
    assert_eq!(page.value("room.participant").await, participant);
    assert_exactly_once(&host, "counter/silent", 5);
    assert_nothing_is_kept(&page).await;
}

#[tokio::test]
async fn a_goodbye_to_a_page_that_has_not_greeted_yet_does_not_silence_it() {
    let (_host, browser, _proxy, url) = start_behind_proxy("counter", "hasty").await;
    let page = opened(&browser, &url).await;
    page.run(IMPORTED).await;
    page.until("window.join !== undefined").await;
    // The first connection speaks and ends before the page can know its identity.
    page.run(
        "let first = true;
        const hasty = () => {
            const socket = { send() {}, close() {} };
            queueMicrotask(() => {
                socket.onopen();
                socket.onmessage({ data: new ArrayBuffer(1) });
                socket.onclose();
            });
            return socket;
        };
        const socket = (url, protocol) => {
            const made = first ? hasty() : new WebSocket(url, protocol);
            first = false;
            return made;
        };
        window.own = join({ socket });",
    )
    .await;
    page.until("own.status === 'live'").await;
}
