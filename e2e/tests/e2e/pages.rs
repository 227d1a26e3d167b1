//! The demo's pages, and the bytes that they run.

use reapply_e2e::{Key, Page, http};
use serde_json::json;

use crate::{LIVE, start};

/// The guests that have a page of their own.
pub(crate) const GUESTS: [&str; 8] =
    ["auction", "counter", "drop-four", "text", "tic-tac-toe", "timer", "todo", "whiteboard"];

#[tokio::test]
async fn the_pages_fit_a_phone_and_a_desktop_and_complain_of_nothing() {
    let (host, browser) = start(&GUESTS).await;
    for (width, height) in [(390, 844), (1280, 800)] {
        let page = browser.blank().await;
        page.resize(width, height).await;
        let own = GUESTS.map(|guest| format!("/{guest}/?room=look"));
        for path in own.into_iter().chain(["/room.html?machine=counter&room=look".to_owned()]) {
            page.goto(&host.url(&path)).await;
            page.until(LIVE).await;
            page.until("document.querySelector('#status').textContent === 'live'").await;
            assert_fits(&page, &path, width).await;
        }
        page.goto(&host.url("/")).await;
        for list in ["rooms", "machines"] {
            page.until(&format!("document.querySelectorAll('#{list} > li').length === {}", GUESTS.len())).await;
        }
        // Each has a page of its own, and the start page leads there.
        let links = page.value("[...document.querySelectorAll('#rooms a')].map((link) => link.pathname).sort()").await;
        assert_eq!(links, json!(GUESTS.map(|guest| format!("/{guest}/"))));
        let keys = "[...document.querySelectorAll('#rooms > li, #machines > li')].map(({ dataset }) => dataset.key)";
        let keys = page.value(keys).await;
        for guest in GUESTS {
            let listed = |key: String| keys.as_array().is_some_and(|keys| keys.contains(&json!(key)));
            assert!(listed(guest.to_owned()) && listed(format!("{guest}/look")), "{guest}: {keys}");
        }
        assert_fits(&page, "/", width).await;
    }
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "the pages wrote to the console: {complaints:#?}");
}

async fn assert_fits(page: &Page<'_>, path: &str, width: u32) {
    assert_eq!(page.value("innerWidth").await, width, "{path}");
    let scrolled = page.value("document.documentElement.scrollWidth").await;
    let beyond = page.value(BEYOND).await;
    assert!(scrolled.as_u64() <= Some(width.into()), "{path} is {scrolled} wide on a screen of {width}: {beyond:#}");
}

/// Returns the elements that reach beyond the screen's edge.
const BEYOND: &str = "[...document.querySelectorAll('body *')]
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
    .map((element) => `${element.tagName} ${element.id} ${element.className}`)";

#[tokio::test]
async fn two_participants_play_side_by_side_in_one_tab() {
    let (host, browser) = start(&["drop-four"]).await;
    let page = browser.open(&host.url("/drop-four/?room=beside&beside")).await;
    page.until(LIVE).await;
    page.until("frames[0]?.room?.status === 'live' && room.participantCount === 2").await;
    page.run("room.apply('Join')").await;
    page.until("frames[0].room.view.players[0] !== null").await;
    page.run("frames[0].room.apply('Join')").await;
    page.until("room.view.players[1] !== null").await;
    page.click("[data-col='2']").await;
    page.until("frames[0].document.querySelector('[data-cell=\"5,2\"]').dataset.disc === '0'").await;
    assert_eq!(host.room("drop-four/beside")["view"]["board"][5][2], 0);
}

#[tokio::test]
async fn a_page_runs_the_very_component_that_the_host_reports() {
    let (host, browser) = start(&[]).await;
    let deployed = host.deploy("counter");
    let page = browser.open(&host.url("/counter/?room=digest")).await;
    page.until(LIVE).await;
    assert_eq!(page.value("room.digest").await, json!(deployed));
    assert_eq!(host.room("counter/digest")["digest"], json!(deployed));
    assert_eq!(http::get(&host.url("/machines/counter")).json()["digest"], json!(deployed));

    let loaded = "performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname).filter((path) => path.startsWith('/components/')).sort()";
    let paths = [format!("/components/{deployed}.json"), format!("/components/{deployed}.wasm")];
    assert_eq!(page.value(loaded).await, json!(paths));
    let bytes = http::get(&host.url(&paths[1])).body;
    assert_eq!(blake3::hash(&bytes).to_string(), deployed);
}

#[tokio::test]
async fn a_page_of_a_machine_that_is_not_there_says_so() {
    let (host, browser) = start(&[]).await;
    let page = browser.open(&host.url("/counter/?room=none")).await;
    page.until("room.status === 'closed'").await;
    page.until("document.querySelector('#notice').textContent.includes('there is no machine counter')").await;
}

#[tokio::test]
async fn a_reloaded_page_is_the_same_participant_and_a_new_one_is_another() {
    let (host, browser) = start(&["counter"]).await;
    let url = host.url("/counter/?room=again");
    let page = browser.open(&url).await;
    page.until(LIVE).await;
    let participant = page.value("room.participant").await;
    page.goto(&url).await;
    page.until(LIVE).await;
    assert_eq!(page.value("room.participant").await, participant);
    let other = browser.open(&url).await;
    other.until(LIVE).await;
    assert_ne!(other.value("room.participant").await, participant);
}

#[tokio::test]
async fn the_counter_is_used_by_keyboard() {
    let (host, browser) = start(&["counter"]).await;
    let url = host.url("/counter/?room=keys");
    let (page, other) = (browser.open(&url).await, browser.open(&url).await);
    for page in [&page, &other] {
        page.until(LIVE).await;
    }
    for keys in [Key::Up.to_string(), "+".to_owned(), Key::Up.to_string(), "-".to_owned()] {
        page.press(&keys).await;
    }
    other.until("room.confirmed.count === 2").await;
    other.press(&Key::Down.to_string()).await;
    for page in [&page, &other] {
        page.until("room.pending === 0 && document.querySelector('#confirmed').textContent === '1'").await;
    }
    assert_eq!(host.events("counter/keys").len(), 5);
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[tokio::test]
async fn drop_four_is_played_by_keyboard() {
    let (host, browser) = start(&["drop-four"]).await;
    let url = host.url("/drop-four/?room=keys");
    let (ada, bob) = (browser.open(&url).await, browser.open(&url).await);
    for (seat, page) in [&ada, &bob].into_iter().enumerate() {
        page.until(LIVE).await;
        page.until(&format!("room.view.players.indexOf(null) === {seat}")).await;
        page.run(&format!("document.querySelector('[data-seat=\"{seat}\"] [data-action=join]').focus()")).await;
        page.press(&Key::Enter.to_string()).await;
        page.until(&format!("room.confirmed.players[{seat}] === room.participant")).await;
    }
    ada.until("!room.confirmed.players.includes(null)").await;
    ada.press("3").await;
    bob.until("room.confirmed.board[5][2] === 0").await;
    // The arrows move from column to column, and Enter drops.
    bob.run("document.querySelector('[data-col=\"2\"]').focus()").await;
    bob.press(&Key::Right.to_string()).await;
    bob.press(&Key::Enter.to_string()).await;
    ada.until("room.confirmed.board[5][3] === 1").await;
    assert_eq!(host.events("drop-four/keys").len(), 4);
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "{complaints:#?}");
}
