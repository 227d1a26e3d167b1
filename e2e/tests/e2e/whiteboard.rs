//! The whiteboard: lines grow live, undo affects only one's own strokes, and clearing ends unfinished ones.

use reapply_e2e::{Browser, Host, Key, Page, Proxy};
use serde_json::json;

use crate::{LIVE, SETTLED, start};

/// Returns the number of points of each stroke.
const POINTS: &str = "room.view.strokes.map(({ item }) => item.points.length)";

#[tokio::test]
async fn two_people_draw_at_once_and_see_each_others_lines() {
    let (host, browser) = start(&["whiteboard"]).await;
    let proxy = Proxy::to(host.address());
    let [ada, bob] = two(&host, &proxy, &browser, "both").await;
    proxy.hold();
    ada.click("[data-ink=Red] input").await;
    draw(&ada, &[(0.2, 0.2), (0.5, 0.3), (0.8, 0.2)]).await;
    bob.click("[data-width=Thick] input").await;
    draw(&bob, &[(0.2, 0.8), (0.5, 0.7), (0.8, 0.8)]).await;
    assert_eq!(ada.value("[room.view.strokes.length, room.confirmed.strokes.length]").await, json!([1, 0]));

    proxy.release();
    for page in [&ada, &bob] {
        page.until(&format!("{SETTLED} && room.view.strokes.length === 2")).await;
        // Both lines are visible, each in its colour.
        page.until(&format!("{} && {}", is_drawn(0.2, 0.2), is_drawn(0.2, 0.8))).await;
        assert_eq!(page.value(&is_drawn(0.5, 0.5)).await, false);
    }
    let inks = ada.value("room.view.strokes.map(({ item }) => `${item.ink} ${item.width}`).sort()").await;
    assert_eq!(inks, json!(["Plain 72", "Red 12"]));
    assert_eq!(ada.value("room.view").await, bob.value("room.view").await);
}

#[tokio::test]
async fn a_line_grows_in_the_other_page_while_it_is_drawn_by_keyboard() {
    let (host, browser) = start(&["whiteboard"]).await;
    let proxy = Proxy::to(host.address());
    let [ada, bob] = two(&host, &proxy, &browser, "live").await;
    ada.run("document.querySelector('canvas').focus()").await;
    ada.press(&format!("{}{}", Key::Up, Key::Left)).await;
    bob.until("document.querySelector('[data-cursor]') !== null").await;
    ada.press(" ").await;
    bob.until(&format!("JSON.stringify({POINTS}) === '[1]'")).await;
    ada.press(&format!("{}{}{}", Key::Right, Key::Right, Key::Down)).await;
    bob.until(&format!("JSON.stringify({POINTS}) === '[4]'")).await;
    assert!(
        ada.value("document.querySelector('#situation').textContent")
            .await
            .as_str()
            .unwrap()
            .starts_with("Pen down, 52 %")
    );
    ada.press(" ").await;
    ada.press(&Key::Right.to_string()).await;
    ada.until(&format!("{SETTLED} && document.querySelector('#situation').textContent.startsWith('Pen up')")).await;
    let points = json!([[1984, 1472], [2048, 1472], [2112, 1472], [2112, 1536]]);
    assert_eq!(bob.value("room.view.strokes[0].item.points").await, points);
    assert_eq!(host.room("whiteboard/live")["view"]["strokes"][0]["item"]["points"], points);

    // The cursor goes with its owner.
    ada.run("room.close()").await;
    bob.until("room.participantCount === 1 && document.querySelector('[data-cursor]') === null").await;
}

#[tokio::test]
async fn undoing_takes_ones_own_last_stroke() {
    let (host, browser) = start(&["whiteboard"]).await;
    let proxy = Proxy::to(host.address());
    let [ada, bob] = two(&host, &proxy, &browser, "undo").await;
    for (page, y) in [(&ada, 0.2), (&ada, 0.4), (&bob, 0.6)] {
        draw(page, &[(0.2, y), (0.6, y)]).await;
        page.until(SETTLED).await;
    }
    ada.until(&format!("room.view.strokes.length === 3 && {}", is_drawn(0.4, 0.6))).await;
    ada.press(&format!("{}z", Key::Control)).await;
    for page in [&ada, &bob] {
        page.until(&format!("{SETTLED} && room.view.strokes.length === 2 && !{}", is_drawn(0.4, 0.4))).await;
        assert_eq!(page.value(&format!("[{}, {}]", is_drawn(0.4, 0.2), is_drawn(0.4, 0.6))).await, json!([true, true]));
    }
    bob.click("[data-action=undo]").await;
    bob.until(&format!("{SETTLED} && document.querySelector('[data-action=undo]').disabled")).await;
}

#[tokio::test]
async fn clearing_ends_a_line_that_is_being_drawn_and_says_so() {
    let (host, browser) = start(&["whiteboard"]).await;
    let proxy = Proxy::to(host.address());
    let [ada, bob] = two(&host, &proxy, &browser, "clear").await;
    ada.run("document.querySelector('canvas').focus()").await;
    ada.press(&format!(" {}", Key::Right)).await;
    ada.until(&format!("{SETTLED} && JSON.stringify({POINTS}) === '[2]'")).await;
    proxy.cut();
    ada.until("room.status === 'offline'").await;
    bob.until(&format!("JSON.stringify({POINTS}) === '[2]'")).await;
    bob.click("[data-action=clear]").await;
    bob.until(SETTLED).await;
    // Ada continues her line, and begins another, without hearing of it.
    ada.press(&Key::Right.to_string()).await;
    ada.press(" ").await;
    ada.press(&format!("{} {}", Key::Down, Key::Down)).await;
    ada.press(" ").await;
    ada.until(&format!("JSON.stringify({POINTS}) === '[3,2]'")).await;

    proxy.restore();
    for page in [&ada, &bob] {
        page.until(&format!("{SETTLED} && JSON.stringify({POINTS}) === '[2]'")).await;
    }
    ada.until("document.querySelector('#toast.shown')?.textContent.includes('taken away while you drew it')").await;
    let kinds = host.events("whiteboard/clear");
    let extends = kinds.iter().filter(|event| !event["transition"]["Extend"].is_null()).count();
    assert_eq!(extends, 2, "one before, and one of the new line: {kinds:?}");
}

#[tokio::test]
async fn the_board_is_as_sharp_as_the_screen_whatever_its_size() {
    let (host, browser) = start(&["whiteboard"]).await;
    let page = browser.open(&host.url("/whiteboard/?room=size")).await;
    page.until(LIVE).await;
    page.resize(1280, 1000).await;
    draw(&page, &[(0.2, 0.2), (0.8, 0.8)]).await;
    for width in [390, 1280] {
        page.resize(width, 1000).await;
        page.until(
            "(({ width, height, clientWidth, clientHeight }) =>
            width === Math.round(clientWidth * devicePixelRatio) && height === Math.round(clientHeight * devicePixelRatio))(document.querySelector('canvas'))",
        )
        .await;
        page.until(&is_drawn(0.5, 0.5)).await;
    }
}

/// Opens two pages on one board, the first one behind the proxy.
async fn two<'a>(host: &Host, proxy: &Proxy, browser: &'a Browser, room: &str) -> [Page<'a>; 2] {
    let path = format!("/whiteboard/?room={room}");
    let pages = [browser.open(&proxy.url(&path)).await, browser.open(&host.url(&path)).await];
    for page in &pages {
        page.resize(1280, 1000).await;
        page.until(LIVE).await;
    }
    pages[0].until("room.participantCount === 2").await;
    pages
}

/// Draws with the mouse, over places in parts of the board's width and height.
async fn draw(page: &Page<'_>, places: &[(f64, f64)]) {
    let rect = "(({ left, top, width, height }) => [left, top, width, height])(document.querySelector('canvas').getBoundingClientRect())";
    let rect = page.value(rect).await;
    let side = |index: usize| rect[index].as_f64().expect("a rectangle has numbers");
    let places = places.iter().map(|(x, y)| ((side(0) + x * side(2)) as i64, (side(1) + y * side(3)) as i64));
    page.drag(&places.collect::<Vec<_>>()).await;
}

/// Returns whether there is ink near a place, in parts of the board's width and height.
fn is_drawn(x: f64, y: f64) -> String {
    format!(
        "((canvas) => canvas.getContext('2d')
            .getImageData({x} * canvas.width - 4, {y} * canvas.height - 4, 9, 9).data.some((value) => value > 0)
        )(document.querySelector('canvas'))"
    )
}
