//! The timer: alarms, as pages see them.

use reapply_e2e::{Browser, Host, Key, Page, Proxy};
use serde_json::json;

use crate::{LIVE, SETTLED, start};

#[tokio::test]
async fn the_alarm_rings_in_both_pages_and_nobody_asked_for_it() {
    let (host, browser) = start(&["timer"]).await;
    let [ada, bob] = two(&host, &browser, "ring").await;
    ada.click("[data-action=toggle]").await;
    for page in [&ada, &bob] {
        page.until(r"/^0:5\d\.\d$/.test(document.querySelector('#remaining').textContent)").await;
    }
    ada.until("document.querySelector('#situation').textContent === 'Running, started by you'").await;
    bob.until("/^Running, started by [A-Z]/.test(document.querySelector('#situation').textContent)").await;
    assert_eq!(bob.value("document.querySelector('[data-seconds=\"5\"]').disabled").await, true);
    bob.click("[data-action=reset]").await;

    ada.until("!document.querySelector('#time').disabled").await;
    ada.fill("#time", "0:01").await;
    ada.press(&Key::Enter.to_string()).await;
    bob.until("document.querySelector('#length').textContent === 'of 0:01'").await;
    bob.click("[data-action=toggle]").await;
    for page in [&ada, &bob] {
        page.until("document.querySelector('#rings').textContent.startsWith('It rang once')").await;
        page.until("document.querySelector('#situation').textContent === 'Ready'").await;
    }
    bob.until("document.querySelector('#rings').textContent.endsWith('You had started it.')").await;

    let events = host.events("timer/ring");
    let last = events.last().cloned().unwrap_or_default();
    assert_eq!((&last["kind"], &last["transition"]), (&json!("alarm"), &json!("Ring")), "{events:#?}");
    let ring = ada.value("room.view.last_ring").await;
    assert!(ring["at"].as_u64() >= ring["due"].as_u64(), "{ring}");
    assert_eq!(ada.value("room.view.last_ring.starter").await, bob.value("room.participant").await);
    let complaints = browser.complaints().await;
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[tokio::test]
async fn a_ring_that_was_due_while_the_host_was_down_is_late_and_says_so() {
    let (mut host, browser) = start(&["timer"]).await;
    let page = browser.open(&host.url("/timer/?room=late")).await;
    page.until(LIVE).await;
    page.run("room.apply({ Set: { seconds: 2, repeats: false } }); room.apply('Start')").await;
    page.until("room.seq >= 2").await;
    host.kill_9();
    page.until("room.status !== 'live'").await;
    // The page counts on by itself, down to nothing, and rings nothing.
    page.until("document.querySelector('#remaining').textContent === '0:00.0' || room.view.rings > 0").await;
    host.restart();
    page.until("document.querySelector('#rings').textContent.startsWith('It rang once')").await;
    page.until(SETTLED).await;
    let [due, at] = ["due", "at"].map(|time| format!("room.view.last_ring.{time}"));
    assert_eq!(page.value(&format!("{at} >= {due}")).await, true);
    assert_eq!(host.room("timer/late")["view"]["rings"], 1);
}

#[tokio::test]
async fn of_two_who_start_at_once_one_is_told_that_it_runs() {
    let (host, browser) = start(&["timer"]).await;
    let proxy = Proxy::to(host.address());
    let late = browser.open(&proxy.url("/timer/?room=race")).await;
    late.until(LIVE).await;
    let early = browser.open(&host.url("/timer/?room=race")).await;
    early.until(LIVE).await;

    proxy.hold();
    early.click("[data-action=toggle]").await;
    early.until(SETTLED).await;
    late.click("[data-action=toggle]").await;
    late.until("document.querySelector('.stage.running.predicted') !== null && room.pending === 1").await;
    proxy.release();
    late.until("document.querySelector('#toast.shown')?.textContent.includes('running already')").await;
    late.until(&format!("{SETTLED} && document.querySelector('.stage.running:not(.predicted)') !== null")).await;
    assert_eq!(late.value("room.view.phase.Running.starter").await, early.value("room.participant").await);
    assert_eq!(host.events("timer/race").len(), 1);
}

#[tokio::test]
async fn it_is_used_by_keyboard_and_bad_lengths_are_explained() {
    let (host, browser) = start(&["timer"]).await;
    let page = browser.open(&host.url("/timer/?room=keys")).await;
    page.until(LIVE).await;
    page.press(" ").await;
    page.until("room.confirmed.phase.Running !== undefined").await;
    page.press(" ").await;
    page.until("room.confirmed.phase.Stopped !== undefined && room.pending === 0").await;
    page.until("document.querySelector('#situation').textContent === 'Stopped'").await;
    page.press("r").await;
    page.until("document.querySelector('#situation').textContent === 'Ready'").await;

    page.fill("#time", "soon").await;
    page.press(&Key::Enter.to_string()).await;
    page.until("document.querySelector('#wrong').textContent.includes('1:30')").await;
    page.fill("#time", "0").await;
    page.press(&Key::Enter.to_string()).await;
    page.until("document.querySelector('#toast.shown')?.textContent.includes('1 second to 99:59:59')").await;
    // Letters typed into a field are not commands.
    page.fill("#time", "1:30:00").await;
    page.press(&Key::Enter.to_string()).await;
    page.until(&format!("{SETTLED} && room.confirmed.length === 5400e6")).await;
    page.until("document.querySelector('#remaining').textContent === '1:30:00'").await;
}

/// Opens two pages in one room.
async fn two<'a>(host: &Host, browser: &'a Browser, room: &str) -> [Page<'a>; 2] {
    let url = host.url(&format!("/timer/?room={room}"));
    let pages = [browser.open(&url).await, browser.open(&url).await];
    for page in &pages {
        page.until(LIVE).await;
    }
    pages
}

/// A page whose clock is an hour ahead.
const AHEAD: &str = "const now = Date.now; Date.now = () => now() + 3_600_000;";

#[tokio::test]
async fn a_page_whose_clock_is_wrong_predicts_at_the_hosts_time() {
    let (host, browser) = start(&["timer"]).await;
    let page = browser.open(&host.url("/timer/?room=clock")).await;
    page.until(LIVE).await;
    page.run(AHEAD).await;
    assert_eq!(page.value("Math.abs(Date.now() - room.now() - 3_600_000) < 60_000").await, true);
    page.run("room.apply('Start')").await;
    page.until(SETTLED).await;
    // By the page's own clock the time is up, and the machine would refuse to stop a timer that has rung.
    page.run("room.apply('Stop').then((outcome) => { window.stopped = outcome; })").await;
    page.until("window.stopped !== undefined").await;
    assert_eq!(page.value("stopped.status").await, "accepted", "{}", page.value("stopped").await);
    assert_eq!(page.value("room.view.rings").await, 0);
}
