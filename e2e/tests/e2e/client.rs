//! The browser's client when its environment fails, and the work that it saves the page.

use reapply_e2e::{Browser, Host, Page, Proxy, until};
use serde_json::json;

use crate::{LIVE, SETTLED, start};

/// For pages: `join(options)` connects to `ROOM` in this page.
const JOIN: &str =
    "import('/reapply.js').then(({ connect }) => { window.join = (options) => connect(ROOM, options); })";

/// A page of the host that joins no room by itself.
async fn idle<'a>(browser: &'a Browser, host: &Host, room: &str) -> Page<'a> {
    let page = browser.open(&host.url("/shared/icon.svg")).await;
    page.run(&format!("window.ROOM = '/rooms/counter/{room}'; {JOIN}")).await;
    page.until("window.join !== undefined").await;
    page
}

#[tokio::test]
async fn a_failed_fetch_of_the_clients_own_code_is_tried_again() {
    let (host, browser) = start(&["counter"]).await;
    let page = browser.blank().await;
    page.before_each_page(
        "const fetched = window.fetch;
        window.failures = 2;
        window.fetch = (what, ...rest) => {
            const isClient = `${what?.url ?? what}`.includes('_bg.wasm');
            return isClient && failures-- > 0 ? Promise.reject(new TypeError('Failed to fetch')) : fetched(what, ...rest);
        };",
    )
    .await;
    page.goto(&host.url("/counter/?room=fetched")).await;
    page.until(LIVE).await;
    assert!(page.value("window.failures").await.as_i64() < Some(0), "nothing failed");
    assert_eq!(page.value("room.reason ?? null").await, json!(null));
}

#[tokio::test]
async fn a_socket_that_cannot_be_made_is_tried_again_and_says_why() {
    let (host, browser) = start(&["counter"]).await;
    let page = idle(&browser, &host, "thrown").await;
    page.run(
        "window.reasons = [];
        window.tries = 0;
        const socket = (url, protocol) => {
            tries += 1;
            if (tries < 4) throw new Error('there are no more sockets');
            return new WebSocket(url, protocol);
        };
        window.room = join({ socket, backoff: { first_ms: 1 } });
        room.subscribe(() => reasons.push(`${room.status}: ${room.reason}`));",
    )
    .await;
    page.until(LIVE).await;
    let reasons = page.value("reasons").await;
    assert_eq!(reasons[0], "offline: there are no more sockets", "{reasons}");
    assert_eq!(page.value("[tries, room.reason ?? null]").await, json!([4, null]));
}

#[tokio::test]
async fn messages_of_another_realm_are_messages() {
    let (host, browser) = start(&["counter"]).await;
    let page = idle(&browser, &host, "realm").await;
    page.run(
        "const frame = document.documentElement.appendChild(document.createElementNS('http://www.w3.org/1999/xhtml', 'iframe'));
        window.foreign = 0;
        const socket = (url, protocol) => {
            const made = new frame.contentWindow.WebSocket(url, protocol);
            made.addEventListener('message', ({ data }) => { foreign += data instanceof ArrayBuffer ? 0 : 1; });
            return made;
        };
        window.room = join({ socket });",
    )
    .await;
    page.until(LIVE).await;
    assert!(page.value("foreign").await.as_u64() > Some(0), "the messages were of this realm");
}

#[tokio::test]
async fn a_goodbye_that_comes_before_the_client_is_loaded_is_heard() {
    let (host, browser) = start(&["counter"]).await;
    let page = idle(&browser, &host, "early").await;
    // Tag 7 is a goodbye, and its case 6 says that something is full.
    page.run(
        "const text = new TextEncoder().encode('the host is full');
        const goodbye = new Uint8Array([7, 6, text.length, ...text]).buffer;
        let first = true;
        const refused = () => {
            const socket = { send() {}, close() {} };
            queueMicrotask(() => {
                socket.onopen();
                socket.onmessage({ data: goodbye });
                socket.onclose();
            });
            return socket;
        };
        const socket = (url, protocol) => {
            const made = first ? refused() : new WebSocket(url, protocol);
            first = false;
            return made;
        };
        window.reasons = [];
        window.room = join({ socket, backoff: { first_ms: 60_000, max_ms: 60_000 } });
        room.subscribe(() => reasons.push(room.reason));",
    )
    .await;
    page.until("room.reason !== undefined").await;
    assert_eq!(page.value("room.reason").await, "the host is full");
    page.run("dispatchEvent(new Event('online'))").await;
    page.until(LIVE).await;
}

#[tokio::test]
async fn a_database_that_the_browser_has_closed_is_opened_again() {
    let (host, browser) = start(&["counter"]).await;
    let proxy = Proxy::to(host.address());
    let _stays = browser.blank().await;
    let url = proxy.url("/counter/?room=closed");
    let page = browser.open(&url).await;
    page.until(&format!("{LIVE} && room.durable")).await;
    proxy.cut();
    page.until("room.status === 'offline'").await;
    page.run("room.apply({ Increment: 1 })").await;
    page.clear_databases().await;
    page.run("for (const by of [10, 100]) room.apply({ Increment: by })").await;
    page.until("room.durable && room.pending === 3").await;

    page.goto("about:blank").await;
    proxy.restore();
    page.goto(&url).await;
    page.until(&format!("{SETTLED} && room.view.count === 111")).await;
    assert_eq!(host.events("counter/closed").len(), 3);
}

/// Makes the browser's database silent until `answer()` is called.
const SILENT: &str = "if (location.search.includes('silent')) {
    const open = indexedDB.open.bind(indexedDB);
    indexedDB.open = (...rest) => {
        const request = {};
        window.answer = () => {
            const real = open(...rest);
            for (const name of ['onupgradeneeded', 'onsuccess', 'onerror'])
                real[name] = () => { request.result = real.result; request.error = real.error; request[name]?.(); };
        };
        return request;
    };
}";

/// Returns whether the browser would ask before it leaves the page.
const ASKS: &str = "!dispatchEvent(new Event('beforeunload', { cancelable: true }))";

#[tokio::test]
async fn a_database_that_answers_late_is_shown_as_missing_and_then_taken_up() {
    let (host, browser) = start(&["counter"]).await;
    let proxy = Proxy::to(host.address());
    let page = browser.blank().await;
    page.before_each_page(SILENT).await;
    page.goto(&proxy.url("/counter/?room=late-database&silent")).await;
    page.until(LIVE).await;
    assert_eq!(page.value(&format!("[room.durable, {ASKS}]")).await, json!([false, false]));
    proxy.cut();
    page.until("room.status === 'offline'").await;
    page.run("for (const by of [1, 10, 100]) room.apply({ Increment: by })").await;
    assert_eq!(page.value(&format!("[room.pending, room.durable, {ASKS}]")).await, json!([3, false, true]));

    page.run("answer()").await;
    page.until("room.durable").await;
    assert_eq!(page.value(&format!("[room.pending, {ASKS}]")).await, json!([3, false]));
    page.goto("about:blank").await;
    proxy.restore();
    page.goto(&proxy.url("/counter/?room=late-database")).await;
    page.until(&format!("{SETTLED} && room.view.count === 111")).await;
    assert_eq!(host.events("counter/late-database").len(), 3);
}

#[tokio::test]
async fn a_room_that_is_left_at_once_leaves_its_identity_to_the_next() {
    let (host, browser) = start(&["counter"]).await;
    let page = browser.open(&host.url("/shared/icon.svg")).await;
    let mut participants = Vec::new();
    for _ in 0..3 {
        page.run(&format!("window.ROOM = '/rooms/counter/strict'; {JOIN}")).await;
        page.until("window.join !== undefined").await;
        // As a framework does in development: it mounts, unmounts and mounts again.
        page.run("join().close(); join().close(); window.room = join();").await;
        page.until(LIVE).await;
        participants.push(page.value("room.participant").await);
        page.goto(&host.url("/shared/icon.svg")).await;
    }
    assert!(participants.iter().all(|participant| *participant == participants[0]), "{participants:?}");
}

/// Records each call of a subscriber that was passed without its room.
const COUNT_CALLS: &str = "
    window.calls = 0;
    pongs = 0;
    const { subscribe } = room;
    subscribe(() => { calls += 1; });
";

/// Counts the pongs that arrive.
const COUNT_PONGS: &str = "
    window.pongs = 0;
    window.WebSocket = class extends WebSocket {
        constructor(...rest) {
            super(...rest);
            this.addEventListener('message', ({ data }) => { pongs += new Uint8Array(data)[0] === 6 ? 1 : 0; });
        }
    };
";

#[tokio::test]
async fn subscribers_hear_of_nothing_that_cannot_be_seen() {
    let (host, browser) = start(&["counter"]).await;
    let page = browser.blank().await;
    page.before_each_page(COUNT_PONGS).await;
    page.goto(&host.url("/counter/?room=quiet")).await;
    let other = browser.open(&host.url("/counter/?room=quiet")).await;
    for page in [&page, &other] {
        page.until(&format!("{SETTLED} && room.participantCount === 2 && room.durable && room.latency > 0")).await;
    }
    page.run(COUNT_CALLS).await;
    for count in 1..=3 {
        page.run("dispatchEvent(new Event('online'))").await;
        page.until(&format!("pongs >= {count}")).await;
    }
    page.run("window.signals = 0; room.onsignal = () => { signals += 1; };").await;
    for count in 1..=20 {
        other.run("room.signal('here')").await;
        page.until(&format!("signals === {count}")).await;
    }
    assert_eq!(page.value("calls").await, 0);
    other.run("room.apply({ Increment: 7 })").await;
    page.until("room.view.count === 7").await;
    assert!(page.value("calls").await.as_u64() > Some(0), "nobody was told of the event");
}

/// Makes each call of `view` fail in this page only; counts the snapshots that the room sends.
const BROKEN_VIEW: &str = "
    const fetched = window.fetch;
    window.fetch = async (what, ...rest) => {
        const response = await fetched(what, ...rest);
        if (!/[/]components[/].*[.]json$/.test(`${what}`)) return response;
        const plan = await response.json();
        plan.functions[8].call = plan.memory;
        return new Response(JSON.stringify(plan));
    };
    window.welcomes = 0;
    window.WebSocket = class extends WebSocket {
        constructor(...rest) {
            super(...rest);
            this.addEventListener('message', ({ data }) => { welcomes += new Uint8Array(data)[0] === 0 ? 1 : 0; });
        }
    };
";

#[tokio::test]
async fn a_view_that_faults_here_is_no_divergence_and_costs_no_snapshot_an_event() {
    let (host, browser) = start(&["counter"]).await;
    let page = browser.blank().await;
    page.before_each_page(BROKEN_VIEW).await;
    page.goto(&host.url("/room.html?machine=counter&room=view")).await;
    page.until(LIVE).await;
    page.run("room.subscribe(() => room.view)").await;
    for count in 1..=50 {
        assert_eq!(host.submit("counter/view", r#"{"Increment":1}"#).status, 200);
        page.until(&format!("room.seq === {count}")).await;
    }
    let welcomes = page.value("welcomes").await;
    assert!(welcomes.as_u64() < Some(12), "{welcomes} snapshots for 50 events");
    assert!(!host.log().contains("diverged"), "{}", host.log());
    until("the console says why", async || {
        let console = browser.console().await;
        let warned = console.iter().any(|line| line.contains("the view could not be made here"));
        if warned { Ok(()) } else { Err(console.join("\n")) }
    })
    .await;
}

#[tokio::test]
async fn a_page_of_another_origin_is_told_why_it_is_kept_out() {
    let (host, browser) = start(&["counter"]).await;
    let elsewhere = Host::start();
    let page = browser.open(&elsewhere.url("/shared/icon.svg")).await;
    page.run(&format!("window.ROOM = {}; {JOIN}", json!(host.url("/rooms/counter/other")))).await;
    page.until("window.join !== undefined").await;
    browser.console().await;
    page.run("window.room = join();").await;
    page.until("room.reason?.includes('--allow-origin')").await;
    assert_ne!(page.value("room.status").await, "live");
    // The page needed no HTTP request to find that out, so nothing failed in the console.
    let asked = format!(
        "performance.getEntriesByType('resource').filter(({{ name }}) => name.startsWith({}))",
        json!(host.url("/"))
    );
    assert_eq!(page.value(&asked).await, json!([]));
    assert_eq!(browser.console().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_machine_that_cannot_be_loaded_says_why_and_is_tried_again() {
    let (host, browser) = start(&["counter"]).await;
    let page = browser.blank().await;
    page.before_each_page(
        "const fetched = window.fetch;
        window.isRefused = true;
        window.fetch = (what, ...rest) => {
            if (!isRefused || !/[/]components[/].*[.]json$/.test(`${what}`)) return fetched(what, ...rest);
            const error = { code: 'not-found', message: 'pages cannot run the component: it is odd' };
            return Promise.resolve(new Response(JSON.stringify({ error }), { status: 404 }));
        };",
    )
    .await;
    page.goto(&host.url("/counter/?room=odd")).await;
    page.until("room.reason === 'the machine could not be loaded: pages cannot run the component: it is odd'").await;
    page.run("isRefused = false").await;
    page.until(LIVE).await;
    assert_eq!(page.value("room.reason ?? null").await, json!(null));
}
