//! Undecided transitions outlive their page, and arrive exactly once.

use std::collections::HashSet;

use reapply_e2e::{Browser, Host, Page, Proxy, until};
use serde_json::{Value, json};

use crate::{LIVE, SETTLED, start};

/// A page that stores its transitions.
const DURABLE: &str = "room.status === 'live' && room.durable";

/// For pages: the outcomes of earlier pages' transitions, as they are reported.
const RETURNED: &str = "
    window.returned = [];
    const shown = room.onreturn;
    room.onreturn = (one) => { returned.push(one); shown?.(one); };
";

/// For pages: `join(options)` joins the page's room once more.
const IMPORTED: &str = "
    const room = new URLSearchParams(location.search).get('room');
    import('/reapply.js').then(({ connect }) => { window.join = (options) => connect(`/rooms/counter/${room}`, options); });
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

#[tokio::test]
async fn without_a_database_everything_works_as_long_as_the_page_lives() {
    let (host, browser, proxy, url) = start_behind_proxy("counter", "none").await;
    let page = browser.blank().await;
    page.before_each_page("Object.defineProperty(window, 'indexedDB', { value: undefined })").await;
    page.goto(&url).await;
    page.until(LIVE).await;
    assert_eq!(page.value("room.durable").await, false);
    works_offline(&host, &proxy, &page, "counter/none").await;
    assert_one_warning(&browser).await;
}

#[tokio::test]
async fn a_full_disk_does_not_keep_anyone_from_working() {
    let (host, browser, proxy, url) = start_behind_proxy("counter", "full").await;
    let page = browser.open(&proxy.url("/shared/icon.svg")).await;
    page.limit_storage(1).await;
    page.goto(&url).await;
    page.until(LIVE).await;
    works_offline(&host, &proxy, &page, "counter/full").await;
    assert_eq!(page.value("room.durable").await, false);
    assert_one_warning(&browser).await;
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
async fn what_arrived_while_nothing_could_be_written_is_not_applied_again() {
    let (host, browser, proxy, url) = start_behind_proxy("counter", "unwritten").await;
    let page = opened(&browser, &url).await;
    proxy.cut();
    page.until("room.status === 'offline'").await;
    increment(&page, 5).await;
    // From here on the database claims, wrongly, that these were never sent.
    page.run("IDBObjectStore.prototype.put = IDBObjectStore.prototype.delete = () => {}").await;
    proxy.restore();
    page.until(&format!("{SETTLED} && room.view.count === 5")).await;
    page.close().await;

    let next = browser.open(&url).await;
    next.until(&format!("{SETTLED} && room.durable")).await;
    assert_exactly_once(&host, "counter/unwritten", 5);
    assert_nothing_is_kept(&next).await;
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

/// Checks that the page works without a connection, and everything arrives once there is one again.
async fn works_offline(host: &Host, proxy: &Proxy, page: &Page<'_>, room: &str) {
    proxy.cut();
    page.until("room.status === 'offline'").await;
    increment(page, 8).await;
    assert_eq!(page.value("[room.view.count, room.pending]").await, json!([8, 8]));
    proxy.restore();
    page.until(&format!("{SETTLED} && room.view.count === 8")).await;
    assert_exactly_once(host, room, 8);
}

async fn assert_one_warning(browser: &Browser) {
    let console = browser.console().await;
    let warnings = console.iter().filter(|line| line.contains("are kept in this page only")).count();
    assert_eq!(warnings, 1, "{console:#?}");
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
