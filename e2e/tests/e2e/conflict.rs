//! Lost races: a wrong prediction is undone, and the page is told why.

use reapply_e2e::{Browser, Host, Page, Proxy, until};
use serde_json::json;

use crate::{LIVE, OUTCOMES, SETTLED, start};

const LOST_DISC: &str = "document.querySelector('[data-cell=\"5,3\"]')";

#[tokio::test]
async fn a_disc_that_lost_its_race_is_taken_back_and_says_why() {
    let (host, browser) = start(&["drop-four"]).await;
    let proxy = Proxy::to(host.address());
    let [ada, bob] = seat_two(&host, &proxy, &browser, "race").await;

    // Bob leaves, and Ada is not told: for her it is still her turn.
    proxy.hold();
    bob.click("[data-action=leave]").await;
    bob.until(SETTLED).await;
    ada.click("[data-col='3']").await;
    ada.until("room.pending === 1").await;
    let drawn = ada.value(&format!("[{LOST_DISC}.dataset.disc, {LOST_DISC}.classList.contains('predicted')]")).await;
    assert_eq!(drawn, json!(["0", true]));
    assert_eq!(ada.value("[room.view.board[5][3], room.confirmed.board[5][3]]").await, json!([0, null]));

    proxy.release();
    ada.until(SETTLED).await;
    ada.until(&format!("{LOST_DISC}.dataset.disc === ''")).await;
    ada.until("document.querySelector('#toast.shown')?.textContent.includes('The other seat is empty')").await;
    ada.until("document.querySelector('#timeline > .rejected') !== null").await;
    assert_eq!(ada.value("room.view.board[5][3]").await, json!(null));
    // It left no trace in the log: two joins and one leave.
    let kinds: Vec<_> = host.events("drop-four/race").iter().map(|event| event["transition"].clone()).collect();
    assert_eq!(kinds, [json!("Join"), json!("Join"), json!("Leave")]);
}

#[tokio::test]
async fn of_two_who_want_the_last_seat_one_is_told_that_it_is_taken() {
    let (host, browser) = start(&["drop-four"]).await;
    assert_eq!(host.submit("drop-four/seats", "\"Join\"").status, 200);
    let proxy = Proxy::to(host.address());
    let late = browser.open(&proxy.url("/drop-four/?room=seats")).await;
    late.until(LIVE).await;
    let early = browser.open(&host.url("/drop-four/?room=seats")).await;
    early.until(LIVE).await;

    proxy.hold();
    early.click("[data-seat='1'] [data-action=join]").await;
    early.until(SETTLED).await;
    late.run(OUTCOMES).await;
    late.run("act('Join')").await;
    assert_eq!(late.value("[room.view.players[1] === room.participant, room.pending]").await, json!([true, 1]));

    proxy.release();
    late.until("outcomes.length === 1").await;
    let outcome = late.value("outcomes[0]").await;
    assert_eq!(outcome["status"], "rejected", "{outcome}");
    assert_eq!((&outcome["kind"], &outcome["conflict"]), (&json!("conflict"), &json!("SeatTaken")), "{outcome}");
    assert_eq!(outcome["predicted"], false, "{outcome}");
    let seated = early.value("room.participant").await;
    assert_eq!(late.value("room.view.players[1]").await, seated);
    assert_eq!(host.room("drop-four/seats")["view"]["players"][1], seated);
}

#[tokio::test]
async fn transitions_after_a_rejected_one_are_applied_again_without_it() {
    let (host, browser) = start(&["counter"]).await;
    let proxy = Proxy::to(host.address());
    let page = browser.open(&proxy.url("/counter/?room=rebase")).await;
    page.until(LIVE).await;
    page.run(OUTCOMES).await;
    page.run("act({ Increment: 3 })").await;
    page.until(SETTLED).await;

    // Somebody else takes the three away first, so that only the middle transition conflicts.
    proxy.hold();
    assert_eq!(host.submit("counter/rebase", "{\"Decrement\":3}").status, 200);
    page.run("act({ Increment: 1 }); act({ Decrement: 3 }); act({ Increment: 10 })").await;
    assert_eq!(page.value("[room.view.count, room.confirmed.count, room.pending]").await, json!([11, 3, 3]));
    until("the host has decided all of them", async || {
        let seq = host.room("counter/rebase")["seq"].clone();
        if seq == 4 { Ok(()) } else { Err(format!("seq {seq}")) }
    })
    .await;

    proxy.release();
    page.until("outcomes.length === 4").await;
    page.until(SETTLED).await;
    let decided = page.value("outcomes.map(({ status, conflict }) => conflict ?? status).sort()").await;
    assert_eq!(decided, json!(["BelowZero", "accepted", "accepted", "accepted"]));
    assert_eq!(page.value("[room.view.count, room.confirmed.count]").await, json!([11, 11]));
    assert_eq!(host.room("counter/rebase")["view"]["count"], 11);
}

/// Opens two pages with seats at the board, the first one behind the proxy and to move.
async fn seat_two<'a>(host: &Host, proxy: &Proxy, browser: &'a Browser, room: &str) -> [Page<'a>; 2] {
    let path = format!("/drop-four/?room={room}");
    let first = browser.open(&proxy.url(&path)).await;
    first.until(LIVE).await;
    first.click("[data-seat='0'] [data-action=join]").await;
    first.until(SETTLED).await;
    let second = browser.open(&host.url(&path)).await;
    second.until(LIVE).await;
    second.click("[data-seat='1'] [data-action=join]").await;
    second.until(SETTLED).await;
    first
        .until("room.view.players[1] !== null && document.querySelector('#situation').textContent === 'Your turn'")
        .await;
    [first, second]
}
