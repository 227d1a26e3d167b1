//! The auction: bids by author, a view that hides something, and an alarm that ends it.

use reapply_e2e::{Browser, Host, Key, Page, Proxy, http};
use serde_json::json;

use crate::{LIVE, SETTLED, start};

#[tokio::test]
async fn bids_are_made_on_behalf_of_whoever_would_pay_more() {
    let (host, browser) = start(&["auction"]).await;
    let [sue, bob, ada] = three(&host, &browser, "bids").await;
    sue.fill("[name=item]", "A blue vase").await;
    sue.fill("[name=seconds]", "3600").await;
    sue.press(&Key::Enter.to_string()).await;
    for page in [&bob, &ada] {
        page.until("document.querySelector('#item').textContent === 'A blue vase'").await;
    }
    assert_eq!(sue.value("document.querySelector('#bid').hidden").await, true, "who sells does not bid");

    // By keyboard: b moves to the field, with its content selected.
    bob.press("b").await;
    bob.press(&format!("{MOST}{}", Key::Enter)).await;
    bob.until("document.querySelector('#own').textContent === 'You would pay up to 7,654,321'").await;
    ada.until("document.querySelector('#price').textContent === '10'").await;
    assert_eq!(ada.value(&format!("JSON.stringify(room.view).includes('{MOST}')")).await, false);
    assert!(!host.room("auction/bids")["view"].to_string().contains(MOST));

    ada.until("document.querySelector('[data-amount=\"62\"]') !== null").await;
    ada.click("[data-amount='62']").await;
    ada.press(&Key::Enter.to_string()).await;
    for page in [&sue, &bob, &ada] {
        page.until("document.querySelector('#price').textContent === '64'").await;
        page.until("document.querySelectorAll('#bids > li').length === 3").await;
    }
    bob.until("document.querySelector('#situation').textContent === 'You lead'").await;
    ada.until("document.querySelector('#own').textContent === 'You are outbid: you said up to 62'").await;

    ada.fill("#most", "65").await;
    ada.press(&Key::Enter.to_string()).await;
    ada.until("document.querySelector('#toast.shown')?.textContent.includes('Too low: the least bid is now 66')").await;
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[tokio::test]
async fn the_alarm_closes_the_lot_in_all_pages() {
    let (host, browser) = start(&["auction"]).await;
    let [sue, bob, ada] = three(&host, &browser, "close").await;
    // Bob's page bids as soon as it sees the lot, and Ada's records that she has to wait: no step of this test must be fast.
    bob.run(BID_ONCE).await;
    ada.run(NOTE_WAITING).await;
    sue.fill("[name=seconds]", "8").await;
    sue.click("#offer .main").await;
    bob.until("document.querySelector('#situation').textContent === 'You bought it!'").await;
    for page in [&sue, &ada] {
        page.until("document.querySelector('#situation').textContent.startsWith('Sold to ')").await;
        page.until("document.querySelector('#remaining').textContent === 'Closed'").await;
    }
    ada.until("waited").await;
    let events = host.events("auction/close");
    let kinds: Vec<_> = events.iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, ["transition", "transition", "alarm"], "{events:#?}");
    assert!(host.submit("auction/close", "{\"Bid\":{\"most\":99}}").text().contains("Ended"));
    assert_eq!(host.room("auction/close")["view"]["price"], 10);

    // The buyer may put up the next lot at once.
    bob.until("!document.querySelector('#offer').hidden").await;
    bob.fill("[name=item]", "The same, resold").await;
    bob.press(&Key::Enter.to_string()).await;
    sue.until("document.querySelector('#number').textContent.startsWith('Lot 2, from ')").await;
}

#[tokio::test]
async fn a_bid_that_came_second_is_told_the_new_least() {
    let (host, browser) = start(&["auction"]).await;
    let offer = r#"{"Offer":{"item":"A clock","seconds":3600}}"#;
    assert_eq!(host.submit("auction/race", offer).status, 200);
    let proxy = Proxy::to(host.address());
    let late = browser.open(&proxy.url("/auction/?room=race")).await;
    let early = browser.open(&host.url("/auction/?room=race")).await;
    for page in [&late, &early] {
        page.until(&format!("{LIVE} && room.view.phase === 'Open'")).await;
    }
    proxy.hold();
    early.click("#bid .main").await;
    early.until(&format!("{SETTLED} && room.view.leader === room.participant")).await;
    late.click("#bid .main").await;
    late.until("document.querySelector('.stage.predicted.leads') !== null").await;
    proxy.release();
    late.until("document.querySelector('#toast.shown')?.textContent.includes('the least bid is now 12')").await;
    late.until("document.querySelector('.stage:not(.predicted, .leads)') !== null").await;
    assert_eq!(late.value("room.view.leader").await, early.value("room.participant").await);
}

#[tokio::test]
async fn options_propose_the_first_lot() {
    let (host, browser) = start(&["auction"]).await;
    let room = host.url("/rooms/auction/options");
    let bad = http::put(&room, br#"{"reserve":0}"#);
    assert!(bad.text().contains("the reserve is 0; it must be from 1 to"), "{} {}", bad.status, bad.text());
    let made = http::put(&room, br#"{"item":"A map","reserve":70}"#);
    assert!((200..300).contains(&made.status), "{} {}", made.status, made.text());
    let page = browser.open(&host.url("/auction/?room=options")).await;
    page.until("document.querySelector('#item').textContent === 'A map'").await;
    let form = page.value("[...document.querySelectorAll('#offer input')].map(({ value }) => value)").await;
    assert_eq!(form, json!(["A map", "70", "2", "60"]));
}

/// Bob's maximum: a number that no time contains by chance.
const MOST: &str = "7654321";

/// Bids for the first open lot.
const BID_ONCE: &str = "
    const stop = room.subscribe(() => {
        if (room.view.phase !== 'Open') return;
        stop();
        room.apply({ Bid: { most: 50 } });
    });
";

/// Records in `waited` whether the page ever said that only others may put up the next lot.
const NOTE_WAITING: &str = "
    const [wait, offer] = ['#wait', '#offer'].map((css) => document.querySelector(css));
    room.subscribe(() => { window.waited ||= !wait.hidden && offer.hidden; });
";

/// Three pages in one room.
async fn three<'a>(host: &Host, browser: &'a Browser, room: &str) -> [Page<'a>; 3] {
    let url = host.url(&format!("/auction/?room={room}"));
    let pages = [browser.open(&url).await, browser.open(&url).await, browser.open(&url).await];
    for page in &pages {
        page.until(LIVE).await;
    }
    pages
}
