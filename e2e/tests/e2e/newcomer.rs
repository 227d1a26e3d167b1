//! The first visit: the start page, fields with proposals, and one switch for how it all works.

use reapply_e2e::{Key, Page, http, npm_package};
use serde_json::{Value, json};

use crate::pages::GUESTS;
use crate::{LIVE, SETTLED, start};

#[tokio::test]
async fn the_start_page_shows_every_demo_with_a_picture_before_the_rooms() {
    let (host, browser) = start(&["counter"]).await;
    let page = browser.blank().await;
    page.resize(1280, 800).await;
    page.goto(&host.url("/")).await;
    page.until("document.querySelectorAll('#demos .missing').length === 7").await;
    let shown =
        page.value("[...document.querySelectorAll('#demos > li')].map((card) => card.dataset.machine).sort()").await;
    assert_eq!(shown, json!(GUESTS));
    let whole = "[...document.querySelectorAll('#demos > li')].every((card) => card.querySelector('svg') &&
        card.querySelector('span').textContent.endsWith('.') && card.getBoundingClientRect().bottom <= innerHeight)";
    assert_eq!(page.value(whole).await, true, "all of them are seen without scrolling");
    let order = "document.querySelector('#rooms-title').getBoundingClientRect().top >
        document.querySelector('#demos').getBoundingClientRect().bottom";
    assert_eq!(page.value(order).await, true);
    page.click("#demos [data-machine=counter] a").await;
    page.until("location.pathname === '/counter/' && globalThis.room?.status === 'live'").await;
    assert_eq!(page.value("document.querySelector('h1').innerText").await, "Counter lobby");
}

#[tokio::test]
async fn a_room_is_called_what_a_name_can_be_made_of_and_the_rule_is_said() {
    let (host, browser) = start(&["counter"]).await;
    let page = browser.open(&host.url("/")).await;
    page.until("document.querySelector('#new-room select').value === 'counter'").await;
    let rule = "document.querySelector('#name-rule').textContent";
    page.until(&format!("{rule} === 'A name is 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit.'"))
        .await;
    for (typed, name) in [("Friday game!", "friday-game"), ("  Café n° 5 ", "cafe-n-5"), ("--__x", "x")] {
        page.fill("[name=room]", typed).await;
        page.until(&format!("{rule} === 'The room will be called {name}.'")).await;
    }
    page.fill("[name=room]", "???").await;
    page.press(&Key::Enter.to_string()).await;
    page.until("document.querySelector('#name-rule.bad') !== null && location.pathname === '/'").await;
    page.fill("[name=room]", "Friday game!").await;
    page.press(&Key::Enter.to_string()).await;
    page.until("location.search === '?room=friday-game' && globalThis.room?.status === 'live'").await;
}

#[tokio::test]
async fn how_it_works_is_behind_one_switch_that_is_remembered() {
    let (host, browser) = start(&["tic-tac-toe", "timer"]).await;
    let page = browser.open(&host.url("/tic-tac-toe/?room=hood&beside")).await;
    let other = browser.open(&host.url("/timer/?room=hood")).await;
    page.until("room.status === 'live' && frames[0]?.room?.status === 'live'").await;
    let hidden = ["#latency", "#seq", "#pending", "[data-net=delay]", "[data-lane]", "[data-action=beyond]", ".tries"];
    let shown = |there: &str, is: bool| {
        let all = json!(hidden);
        format!("{all}.every((css) => ({there}.querySelector(css).getClientRects().length > 0) === {is})")
    };
    assert_eq!(page.value(&shown("document", false)).await, true, "nothing of that at first");
    assert_eq!(page.value("document.querySelector('#status').checkVisibility()").await, true);
    assert_eq!(other.value("document.querySelector('#late').checkVisibility()").await, false);
    page.click("[data-action=hood]").await;
    page.until(&shown("document", true)).await;
    page.until("frames[0].document.querySelector('#latency').checkVisibility()").await;
    other.until("document.querySelector('#late').checkVisibility()").await;
    page.goto(&host.url("/tic-tac-toe/?room=another")).await;
    page.until(LIVE).await;
    assert_eq!(page.value(&shown("document", true)).await, true);
    assert_eq!(page.value("document.querySelector('[data-action=hood]').ariaPressed").await, "true");
    page.click("[data-action=hood]").await;
    other.until("!document.querySelector('#late').checkVisibility()").await;
}

#[tokio::test]
async fn what_is_typed_into_a_proposal_takes_its_place() {
    let (host, browser) = start(&["auction"]).await;
    let url = host.url("/auction/?room=proposals");
    let (sue, bob) = (browser.open(&url).await, browser.open(&url).await);
    for page in [&sue, &bob] {
        page.until(LIVE).await;
    }
    sue.click("[name=item]").await;
    sue.press("A blue vase").await;
    sue.click("[name=seconds]").await;
    sue.press(&format!("3600{}", Key::Enter)).await;
    bob.until("document.querySelector('#item').textContent === 'A blue vase'").await;
    bob.click("#most").await;
    bob.press(&format!("20{}", Key::Enter)).await;
    bob.until("document.querySelector('#own').textContent === 'You would pay up to 20'").await;
    // The next proposal comes while Bob is still in the field.
    bob.until("document.querySelector('#most').value === '12'").await;
    bob.press(&format!("50{}", Key::Enter)).await;
    bob.until("document.querySelector('#own').textContent === 'You would pay up to 50'").await;
    bob.until(SETTLED).await;
}

#[tokio::test]
async fn the_timeline_tells_what_was_done_in_one_line_for_what_was_typed_in_a_row() {
    let (host, browser) = start(&["text", "counter"]).await;
    let page = browser.open(&host.url("/text/?room=told")).await;
    page.until(LIVE).await;
    page.run("document.querySelector('#text').focus()").await;
    // Five keystrokes of one moment travel together.
    page.run("for (const key of 'hello') document.execCommand('insertText', false, key)").await;
    page.until(&format!("{SETTLED} && room.confirmed.body.text === 'hello'")).await;
    assert_eq!(host.events("text/told").len(), 1);
    page.run("document.execCommand('insertText', false, ' you')").await;
    page.until(&format!("{SETTLED} && room.seq === 2")).await;
    let told = "[...document.querySelectorAll('#timeline .what')].map((line) => line.textContent).join('; ')";
    page.until(&format!("{told} === 'You wrote “hello you”'")).await;

    let page = browser.open(&host.url("/counter/?room=told")).await;
    page.until(LIVE).await;
    for action in ["increment", "increment", "decrement", "reset"] {
        page.click(&format!(".counter [data-action={action}]")).await;
    }
    page.until(&format!("{told} === 'You reset the counter; You took away 1; You added 2'")).await;
}

#[tokio::test]
async fn no_two_of_those_who_are_here_have_one_colour() {
    let (host, browser) = start(&["counter"]).await;
    let page = browser.open(&host.url("/counter/?room=colours")).await;
    page.until(LIVE).await;
    // Among so many ids there are four with the same favourite.
    let alike = "const ids = Array.from({ length: 100 }, (_, n) => `anon-${n}`);
        const alike = Object.values(Object.groupBy(ids, hueOf)).find((group) => group.length >= 4).slice(0, 4);";
    let colours = page
        .promised(&format!(
            "import('/shared/names.js').then(({{ colour, hueOf }}) => {{
                {alike}
                const one = (colour(alike), alike.map(hueOf));
                const other = (colour(alike.toReversed()), alike.map(hueOf));
                return {{ one, other }};
            }})"
        ))
        .await;
    assert_eq!(colours["one"], colours["other"], "everyone sees the same");
    let mut hues: Vec<i64> = colours["one"].as_array().unwrap().iter().filter_map(Value::as_i64).collect();
    hues.sort_unstable();
    assert!(hues.len() == 4 && hues.windows(2).all(|pair| pair[1] - pair[0] >= 45), "{hues:?}");
}

#[tokio::test]
async fn each_page_names_at_once_what_it_loads_and_says_that_it_needs_javascript() {
    let (host, browser) = start(&GUESTS).await;
    let own = GUESTS.map(|guest| format!("/{guest}/?room=loads"));
    for path in own.into_iter().chain(["/room.html?machine=counter&room=loads".to_owned(), "/".to_owned()]) {
        let page = browser.open(&host.url(&path)).await;
        if path != "/" {
            page.until(LIVE).await;
        }
        // The host's own client loads parts of itself, which do not count.
        let loaded = "[...new Set(performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname))]
            .filter((path) => path.endsWith('.js') && !/^\\/(reapply\\/[0-9a-f]{16}|components)\\//.test(path)).sort()";
        let named = "[...document.querySelectorAll('link[rel=modulepreload], script[src]')]
            .map(({ href, src }) => new URL(href ?? src).pathname).sort()";
        assert_eq!(page.value(loaded).await, page.value(named).await, "{path}");
        let html = http::get(&host.url(&path)).text();
        assert!(html.contains("<noscript>"), "{path}");
        page.goto("about:blank").await;
    }
}

#[tokio::test]
async fn the_pages_are_accessible_as_far_as_a_program_can_tell() {
    let Some(axe) = npm_package(env!("CARGO_TARGET_TMPDIR"), "axe-core@4.14.1") else { return };
    let axe = std::fs::read_to_string(axe.join("axe.min.js")).unwrap();
    let (host, browser) = start(&GUESTS).await;
    let own = GUESTS.map(|guest| format!("/{guest}/?room=look"));
    let others = ["/", "/room.html?machine=counter&room=look", "/room.html?machine=nosuch&room=look"];
    for (width, height) in [(390, 844), (1280, 800)] {
        for path in own.iter().map(String::as_str).chain(others) {
            let page = browser.blank().await;
            page.resize(width, height).await;
            page.goto(&host.url(path)).await;
            page.until("!globalThis.room || ['live', 'closed'].includes(room.status)").await;
            for hood in [false, true] {
                page.run(&format!("document.body.classList.toggle('hood', {hood})")).await;
                assert_eq!(
                    violations(&page, &axe).await,
                    Value::Array(Vec::new()),
                    "{path}, {width} wide, hood {hood}"
                );
            }
            page.goto("about:blank").await;
        }
    }
}

/// Returns axe's findings in a page: rules, and where they are broken.
async fn violations(page: &Page<'_>, axe: &str) -> Value {
    page.run(axe).await;
    let run = "axe.run({ resultTypes: ['violations'] }).then(({ violations }) =>
        violations.map(({ id, nodes }) => ({ id, nodes: nodes.map(({ html, failureSummary }) => `${html}: ${failureSummary}`) })))";
    page.promised(run).await
}
