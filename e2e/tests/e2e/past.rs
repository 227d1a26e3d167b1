//! The past of a room, made again in the page by the same builds, and the slider that shows it.

use reapply_e2e::{Host, Page};
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
    // To and fro, so that what is kept is used from both sides.
    for seq in [EDITS, 0, 1, EDITS / 2, EDITS / 2 - 1, 17, EDITS - 1] {
        assert_same_moment(&host, &page, "counter/past", seq).await;
    }
    let time = host.room(&format!("counter/past?seq={}", EDITS / 2))["time"].clone();
    let at_time = page.promised(&format!("room.at({{ time: {time} }}).then(({{ view }}) => view.count)")).await;
    assert_eq!(at_time, host.room(&format!("counter/past?time={}", time.as_str().unwrap()))["view"]["count"]);
    let beyond = page.promised("room.at(1e9).then(() => 'there', (error) => error.message)").await;
    assert!(beyond.as_str().is_some_and(|why| why.contains("ends at")), "{beyond}");
    assert!(browser.console().await.iter().all(|line| line.contains("404")), "{:?}", browser.console().await);
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
        page.press(&"\u{e012}".repeat(5)).await;
        page.until("document.querySelector('#value').textContent === '70'").await;
        page.press("\u{e011}").await;
        page.until("document.querySelector('#value').textContent === '0'").await;
        // What others do meanwhile does not show, and is not lost.
        assert_eq!(host.submit(&format!("counter/{room}"), "{\"Increment\":5}").status, 200);
        page.until("room.confirmed.count === 125").await;
        assert_eq!(page.value("document.querySelector('#value').textContent").await, "0");
        page.press("\u{e00c}").await;
        page.until("document.querySelector('#value').textContent === '125'").await;
        let overflow = page.value("document.documentElement.scrollWidth <= innerWidth").await;
        assert_eq!(overflow, true, "nothing is cut off at {width}");
    }
    let complaints = browser.console().await;
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// The page makes of `seq` what the host makes of it.
async fn assert_same_moment(host: &Host, page: &Page<'_>, room: &str, seq: u64) {
    let theirs = host.room(&format!("{room}?seq={seq}"));
    let ours = page.promised(&format!("room.at({seq}).then(({{ seq, view }}) => ({{ seq, view }}))")).await;
    assert_eq!(ours, json!({ "seq": seq, "view": theirs["view"] }));
}
