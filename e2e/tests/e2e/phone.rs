//! Layout: a phone, a small laptop, and elements that lie over others.

use reapply_e2e::{Key, Page};

use crate::{LIVE, SETTLED, start};

#[tokio::test]
async fn the_boards_and_their_buttons_fit_a_small_laptop() {
    let (host, browser) = start(&["drop-four", "tic-tac-toe", "whiteboard"]).await;
    for (guest, last) in
        [("drop-four", "[data-action=rematch]"), ("tic-tac-toe", "[data-action=rematch]"), ("whiteboard", "#keys")]
    {
        let page = browser.blank().await;
        page.resize(1280, 800).await;
        for query in ["room=fits", "room=fits&beside"] {
            page.goto(&host.url(&format!("/{guest}/?{query}"))).await;
            page.until("room.status === 'live' && (!frames.length || frames[0].room?.status === 'live')").await;
            let bottom = format!("document.querySelector('{last}').getBoundingClientRect().bottom");
            page.until(&format!("{bottom} <= innerHeight")).await;
            page.run("document.body.classList.add('hood')").await;
            page.until(&format!("{bottom} <= innerHeight")).await;
        }
    }
}

#[tokio::test]
async fn a_toast_lies_over_nothing_that_is_used() {
    let (host, browser) = start(&["drop-four"]).await;
    let page = browser.blank().await;
    page.resize(1280, 800).await;
    page.goto(&host.url("/drop-four/?room=toast&beside")).await;
    page.until("room.status === 'live' && frames[0]?.room?.status === 'live'").await;
    for window in ["window", "frames[0]"] {
        page.run(&format!("{window}.document.querySelector('[data-col=\"3\"]').click()")).await;
        // The element has come to rest at its place.
        page.until(&format!(
            "((toast) => toast?.getAnimations().length === 0 && {window}.getComputedStyle(toast).opacity === '1')({window}.document.querySelector('#toast.shown'))"
        ))
        .await;
        let covered = format!(
            "((toast) => [...{window}.document.querySelectorAll('.stage :is(button, [data-player])')].filter((used) => {{
                const {{ top, bottom, left, right }} = used.getBoundingClientRect();
                return top < toast.bottom && bottom > toast.top && left < toast.right && right > toast.left;
            }}).length)({window}.document.querySelector('#toast').getBoundingClientRect())"
        );
        assert_eq!(page.value(&covered).await, 0, "{window}");
    }
}

#[tokio::test]
async fn names_and_titles_are_whole_on_a_phone() {
    let (host, browser) = start(&["drop-four"]).await;
    let url = host.url("/drop-four/?room=a-room-with-rather-a-long-name-that-somebody-has-chosen");
    let pages = [browser.open(&url).await, browser.open(&url).await];
    for page in &pages {
        page.resize(390, 844).await;
        page.until(LIVE).await;
        page.run("room.apply('Join')").await;
        page.until(SETTLED).await;
    }
    for page in &pages {
        page.until("!room.view.players.includes(null) && document.querySelectorAll('#timeline > li').length === 2")
            .await;
        let cut = "[...document.querySelectorAll('h1 > *, #participants > li, [data-player], .what')].filter((shown) =>
            !shown.checkVisibility() || shown.scrollWidth > shown.clientWidth + 1 && getComputedStyle(shown).display !== 'inline' ||
            shown.getBoundingClientRect().right > innerWidth).map(({ textContent }) => textContent)";
        assert_eq!(page.value(cut).await, serde_json::json!([]));
        let heading = "document.querySelector('h1').innerText";
        assert_eq!(page.value(heading).await, "Drop four a-room-with-rather-a-long-name-that-somebody-has-chosen");
    }
}

#[tokio::test]
async fn a_long_item_is_read_whole_on_a_phone() {
    let (host, browser) = start(&["todo"]).await;
    let page = browser.blank().await;
    page.resize(390, 844).await;
    page.goto(&host.url("/todo/?room=long")).await;
    page.until(LIVE).await;
    let item = "Ask whether the bicycles may stay in the cellar until the end of the month, and who has the key to it";
    page.fill("#label", item).await;
    page.press(&Key::Enter.to_string()).await;
    page.until(&format!("{SETTLED} && document.querySelectorAll('#items > li').length === 1")).await;
    let label = "document.querySelector('#items [data-part=label]')";
    let is_whole = format!(
        "(({{ scrollHeight, clientHeight, scrollWidth, clientWidth }}) => clientHeight > 60 &&
        scrollHeight <= clientHeight && scrollWidth <= clientWidth)({label})"
    );
    assert_eq!(page.value(&is_whole).await, true);
    // The field grows with its text, and stays one line whatever is pasted.
    page.run(&format!("{label}.focus(); {label}.select(); document.execCommand('insertText', false, 'one\\ntwo')"))
        .await;
    page.press(&Key::Enter.to_string()).await;
    page.until(&format!("{SETTLED} && room.view.items[0].item.label === 'one two' && {label}.value === 'one two'"))
        .await;
    page.until(&format!("{label}.clientHeight < 60")).await;
}

#[tokio::test]
async fn the_name_at_a_caret_lies_over_no_line() {
    let (host, browser) = start(&["text"]).await;
    let url = host.url("/text/?room=names");
    let (ada, bob) = (browser.open(&url).await, browser.open(&url).await);
    for page in [&ada, &bob] {
        page.until(LIVE).await;
    }
    ada.run("document.querySelector('#text').focus(); document.execCommand('insertText', false, 'jumping quickly\\njumping quickly')").await;
    bob.until("document.querySelector('[data-caret] b') !== null").await;
    let covers = "((name) => {
        const range = new Range();
        range.setStart(document.querySelector('#mirror').firstChild, 0);
        range.setEnd(document.querySelector('#mirror').firstChild, 'jumping quickly'.length);
        return name.top < range.getBoundingClientRect().bottom - 1;
    })(document.querySelector('[data-caret] b').getBoundingClientRect())";
    assert_eq!(bob.value(covers).await, false, "the line above is to be read");
    assert_visible(&bob, "[data-caret] b").await;
}

async fn assert_visible(page: &Page<'_>, css: &str) {
    assert_eq!(page.value(&format!("document.querySelector('{css}').checkVisibility()")).await, true, "{css}");
}
