//! A room's past, restored in the page by the same builds, and the slider that shows it.

use reapply_e2e::{Host, Key, Page};
use serde_json::json;

use crate::{LIVE, OUTCOMES, SETTLED, start};

/// More events than one part of the past, or the distance between kept states, holds.
const EDITS: u64 = 400;

/// The slider of the demo's pages.
const SLIDER: &str = "document.querySelector('reapply-scrubber').shadowRoot.querySelector('input')";

#[tokio::test]
async fn any_moment_is_in_the_page_what_it_is_on_the_host() {
    let (host, browser) = start(&["counter"]).await;
    let page = browser.open(&host.url("/counter/?room=past")).await;
    page.until(LIVE).await;
    page.run(OUTCOMES).await;
    page.run(&format!("for (let n = 0; n < {EDITS}; n += 1) act({{ Increment: 1 + n % 3 }})")).await;
    page.until(&format!("{SETTLED} && outcomes.length === {EDITS}")).await;
    // Back and forth, so that kept states are used from both sides.
    for seq in [EDITS, 0, 1, EDITS / 2, EDITS / 2 - 1, 17, EDITS - 1] {
        assert_same_moment(&host, &page, "counter/past", seq).await;
    }
    let time = host.room(&format!("counter/past?seq={}", EDITS / 2))["time"].clone();
    let at_time = page.promised(&format!("room.at({{ time: {time} }}).then(({{ view }}) => view.count)")).await;
    assert_eq!(at_time, host.room(&format!("counter/past?time={}", time.as_str().unwrap()))["view"]["count"]);
    let beyond = page.promised("room.at(1e9).then(() => 'there', (error) => error.message)").await;
    assert!(beyond.as_str().is_some_and(|why| why.contains("ends at")), "{beyond}");
    assert!(browser.complaints().await.iter().all(|line| line.contains("404")), "{:?}", browser.complaints().await);
}

#[tokio::test]
async fn the_slider_goes_through_the_past_by_keyboard_and_comes_back_to_the_present() {
    let (host, browser) = start(&["counter"]).await;
    for (width, height) in [(390, 844), (1_280, 800)] {
        let room = format!("slider-{width}");
        let page = browser.open(&host.url(&format!("/counter/?room={room}"))).await;
        page.resize(width, height).await;
        page.until(LIVE).await;
        page.run(OUTCOMES).await;
        page.run("for (let n = 0; n < 12; n += 1) act({ Increment: 10 })").await;
        page.until(&format!("{SETTLED} && room.view.count === 120")).await;

        page.run("document.querySelector('reapply-scrubber').closest('details').open = true").await;
        page.run(&format!("{SLIDER}.focus()")).await;
        page.until(&format!("{SLIDER}.max === '12'")).await;
        page.press(&Key::Left.to_string().repeat(5)).await;
        page.until("document.querySelector('#value').textContent === '70'").await;
        page.press(&Key::Home.to_string()).await;
        page.until("document.querySelector('#value').textContent === '0'").await;
        // Changes of others meanwhile do not show, and are not lost.
        assert_eq!(host.submit(&format!("counter/{room}"), "{\"Increment\":5}").status, 200);
        page.until("room.confirmed.count === 125").await;
        assert_eq!(page.value("document.querySelector('#value').textContent").await, "0");
        page.press(&Key::Escape.to_string()).await;
        page.until("document.querySelector('#value').textContent === '125'").await;
        let overflow = page.value("document.documentElement.scrollWidth <= innerWidth").await;
        assert_eq!(overflow, true, "nothing is cut off at {width}");
    }
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[tokio::test]
async fn whatever_is_looked_at_in_whatever_order_is_what_the_host_makes_of_it() {
    let (host, browser) = start(&["whiteboard"]).await;
    let page = browser.open(&host.url("/whiteboard/?room=past")).await;
    page.until(LIVE).await;
    // Enough for several snapshots, so that the page needs stretches between different ones.
    page.run(
        "for (let n = 0; n < 900; n += 1) {
            const id = crypto.randomUUID();
            const points = Array.from({ length: 12 }, (_, i) => [(n * 37 + i * 11) % 4096, (n * 53 + i * 7) % 3072]);
            room.apply({ Start: { id, ink: 'Red', width: 12, points } });
            room.apply({ Extend: { id, points } });
            if (n % 3 === 0) room.apply('Undo');
        }",
    )
    .await;
    page.until(SETTLED).await;
    let head = page.value("room.seq").await.as_u64().expect("a seq is a number");
    let kinds = host.events("whiteboard/past");
    let snapshots = kinds.iter().filter(|event| event["kind"] == "checkpoint").count();
    assert!(snapshots >= 2, "the room took {snapshots} snapshots in {head} events");
    for seq in [head, 0, head / 2, head / 2 + 1, head / 3, head / 2 - 1, 1, head - 1] {
        assert_same_moment(&host, &page, "whiteboard/past", seq).await;
    }
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    println!("seed {seed}");
    let mut random = seed as u64;
    for _ in 0..12 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        assert_same_moment(&host, &page, "whiteboard/past", (random >> 33) % (head + 1)).await;
    }
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[tokio::test]
async fn what_is_no_moment_is_refused_with_the_reason() {
    let (host, browser) = start(&["counter"]).await;
    let page = browser.open(&host.url("/counter/?room=none")).await;
    page.until(LIVE).await;
    for (asked, why) in [
        ("99", "ends at 0"),
        ("-1", "a seq is a whole number from 0, and not -1"),
        ("1.5", "a seq is a whole number from 0, and not 1.5"),
        ("{ time: 'soon' }", "`time` is a time such as"),
        ("{ time: NaN }", "NaN is not a time"),
        ("{ time: new Date(0) }", "the room counter/none began at"),
    ] {
        let told = page.promised(&format!("room.at({asked}).then(() => 'there', ({{ message }}) => message)")).await;
        assert!(told.as_str().is_some_and(|message| message.contains(why)), "{asked}: {told}");
    }
}

#[tokio::test]
async fn playing_shows_every_moment_and_ends_in_the_present() {
    let (host, browser) = start(&["counter"]).await;
    let page = browser.open(&host.url("/counter/?room=play")).await;
    page.until(LIVE).await;
    page.run("for (let n = 0; n < 15; n += 1) room.apply({ Increment: 1 })").await;
    page.until(&format!("{SETTLED} && room.seq === 15")).await;
    // From the summary, which opens it, to the button, which plays.
    page.run("document.querySelector('.past summary').focus()").await;
    page.press(&Key::Enter.to_string()).await;
    page.press(&Key::Tab.to_string()).await;
    assert_eq!(page.value("document.activeElement.tagName").await, "REAPPLY-SCRUBBER");
    page.run(
        "window.shown = [];
        document.querySelector('reapply-scrubber').addEventListener('moment', ({ detail }) => shown.push(detail.view.count))",
    )
    .await;
    page.press(" ").await;
    page.until("document.querySelector('reapply-scrubber').isLive && shown.length > 0").await;
    assert_eq!(page.value("shown").await, json!((0..=15).collect::<Vec<_>>()));
    assert_eq!(page.value("document.querySelector('.stage').inert").await, false);
    assert_eq!(host.events("counter/play").len(), 15, "the keys were the slider's alone");
}

/// Checks that the page computes the same state at `seq` as the host.
async fn assert_same_moment(host: &Host, page: &Page<'_>, room: &str, seq: u64) {
    let theirs = host.room(&format!("{room}?seq={seq}"));
    let ours = page.promised(&format!("room.at({seq}).then(({{ seq, view }}) => ({{ seq, view }}))")).await;
    assert_eq!(ours, json!({ "seq": seq, "view": theirs["view"] }));
}
