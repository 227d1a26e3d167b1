//! Tic-tac-toe: a game by keyboard, and a play outside the board.

use reapply_e2e::{Key, Page, Proxy, http};
use serde_json::json;

use crate::{LIVE, SETTLED, start};

#[tokio::test]
async fn two_play_by_keyboard_until_one_wins_and_then_again() {
    let (host, browser) = start(&["tic-tac-toe"]).await;
    let url = host.url("/tic-tac-toe/?room=keys");
    let [ada, bob] = [browser.open(&url).await, browser.open(&url).await];
    sit(&ada, "X").await;
    sit(&bob, "O").await;

    for (page, other, key, cell) in
        [(&ada, &bob, "5", 4), (&bob, &ada, "1", 0), (&ada, &bob, "3", 2), (&bob, &ada, "2", 1)]
    {
        page.until("document.querySelector('#situation').textContent === 'Your turn'").await;
        page.press(key).await;
        other.until(&format!("document.querySelector('[data-cell=\"{cell}\"]').dataset.mark !== ''")).await;
    }
    // From the middle to the corner by arrows.
    ada.until("document.querySelector('#situation').textContent === 'Your turn'").await;
    ada.run("document.querySelector('[data-cell=\"4\"]').focus()").await;
    let keys = [Key::Down, Key::Left, Key::Enter].map(|key| key.to_string()).concat();
    ada.press(&keys).await;
    ada.until("document.querySelector('#situation').textContent === 'You win!'").await;
    for page in [&ada, &bob] {
        let line =
            "[...document.querySelectorAll('#board .line')].map(({ dataset }) => dataset.cell).join() === '2,4,6'";
        page.until(line).await;
    }
    let label = bob.value("document.querySelector('[data-cell=\"6\"]').ariaLabel").await;
    assert_eq!(label, "Row 3, column 1: cross");

    bob.press("r").await;
    bob.until("document.querySelector('#situation').textContent === 'Your turn'").await;
    ada.until("document.querySelector('[data-action=rematch]').disabled").await;
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[tokio::test]
async fn a_play_beyond_the_board_is_explained_and_leaves_no_trace() {
    let (host, browser) = start(&["tic-tac-toe"]).await;
    let url = host.url("/tic-tac-toe/?room=beyond");
    let [ada, bob] = [browser.open(&format!("{url}&key={KEY}")).await, browser.open(&url).await];
    sit(&ada, "X").await;
    sit(&bob, "O").await;
    ada.until("document.querySelector('#situation').textContent === 'Your turn'").await;
    ada.click("[data-action=hood]").await;
    ada.click("[data-action=beyond]").await;
    ada.until("document.querySelector('#toast.shown')?.textContent.includes('There is no cell 10')").await;

    // The host answers the same when no replica checks first.
    let room = host.url("/rooms/tic-tac-toe/beyond");
    let headers = [("reapply-client", KEY), ("reapply-number", "3")];
    let refused = http::send("POST", &room, &headers, Some(br#"{"Play":9}"#));
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains(r#"{"NoSuchCell":9}"#), "{}", refused.text());

    let asked: Vec<_> = host.events("tic-tac-toe/beyond").iter().map(|event| event["transition"].clone()).collect();
    assert_eq!(asked, [json!("Join"), json!("Join")]);
}

#[tokio::test]
async fn a_mark_that_lost_its_race_is_taken_back() {
    let (host, browser) = start(&["tic-tac-toe"]).await;
    let proxy = Proxy::to(host.address());
    let ada = browser.open(&proxy.url("/tic-tac-toe/?room=race")).await;
    let bob = browser.open(&host.url("/tic-tac-toe/?room=race")).await;
    sit(&ada, "X").await;
    sit(&bob, "O").await;
    ada.until("document.querySelector('#situation').textContent === 'Your turn'").await;

    proxy.hold();
    bob.click("[data-action=leave]").await;
    bob.until(SETTLED).await;
    ada.click("[data-cell='8']").await;
    ada.until("document.querySelector('[data-cell=\"8\"].predicted')?.dataset.mark === 'X'").await;
    proxy.release();
    ada.until("document.querySelector('[data-cell=\"8\"]').dataset.mark === ''").await;
    ada.until("document.querySelector('#toast.shown')?.textContent.includes('The other seat is empty')").await;
}

/// A client's key.
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Takes the seat with this mark.
async fn sit(page: &Page<'_>, mark: &str) {
    page.until(LIVE).await;
    page.until(&format!("!document.querySelector('[data-seat={mark}] [data-action=join]').hidden")).await;
    page.click(&format!("[data-seat={mark}] [data-action=join]")).await;
    page.until(SETTLED).await;
    page.until(&format!("room.view.players.{mark} === room.participant")).await;
}
