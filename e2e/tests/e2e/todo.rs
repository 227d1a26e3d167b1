//! The to-do list: two people's changes merge, deletions are reported, and nobody's typing is disturbed.

use reapply_e2e::{Browser, Host, Key, Page, Proxy};
use serde_json::{Value, json};

use crate::{LIVE, SETTLED, start};

/// Returns the labels as the page shows them, with a tick on those that are done.
const SHOWN: &str = "[...document.querySelectorAll('#items > li')].map((row) =>
    row.querySelector('[data-part=label]').value + (row.querySelector('[data-part=done]').checked ? ' ✓' : ''))";

#[tokio::test]
async fn changes_of_two_people_who_do_not_see_each_other_merge() {
    let (host, browser) = start(&["todo"]).await;
    let proxy = Proxy::to(host.address());
    let [ada, bob] = two(&host, &proxy, &browser, "merge", &["milk", "bread", "tea"]).await;

    // Ada hears nothing: she renames the milk and adds jam, while Bob ticks the milk, moves it down, and adds ham.
    proxy.hold();
    rename(&ada, 0, "oat milk").await;
    add(&ada, "jam").await;
    assert_eq!(ada.value(SHOWN).await, json!(["oat milk", "bread", "tea", "jam"]));
    ada.until("document.querySelectorAll('#items > .predicted').length === 2").await;
    bob.until("document.querySelectorAll('#items > li').length === 4").await;
    bob.click(&format!("{} [data-part=done]", row(0))).await;
    bob.press(&format!("{}{}", Key::Alt, Key::Down)).await;
    add(&bob, "ham").await;
    bob.until(SETTLED).await;

    proxy.release();
    let together = json!(["bread", "oat milk ✓", "tea", "jam", "ham"]);
    for page in [&ada, &bob] {
        page.until(&format!("{SETTLED} && JSON.stringify({SHOWN}) === '{together}'")).await;
        page.until("document.querySelectorAll('#items > .predicted').length === 0").await;
    }
    assert_eq!(ada.value("document.querySelector('#situation').textContent").await, "4 of 5 to do");
    assert_eq!(host.room("todo/merge")["view"]["items"][1]["item"], json!({ "label": "oat milk", "done": true }));
}

#[tokio::test]
async fn whoever_changes_what_somebody_else_has_deleted_is_told() {
    let (host, browser) = start(&["todo"]).await;
    let proxy = Proxy::to(host.address());
    let [ada, bob] = two(&host, &proxy, &browser, "gone", &["milk", "bread"]).await;

    proxy.cut();
    ada.until("room.status === 'offline'").await;
    rename(&ada, 0, "oat milk").await;
    add(&ada, "jam").await;
    ada.until("room.pending === 2").await;
    bob.click(&format!("{} [data-action=delete]", row(0))).await;
    bob.until(SETTLED).await;

    proxy.restore();
    ada.until(&format!("{SETTLED} && JSON.stringify({SHOWN}) === '[\"bread\",\"jam\"]'")).await;
    ada.until("document.querySelector('#toast.shown')?.textContent.includes('Somebody has deleted “')").await;
    ada.until("document.querySelector('#timeline > .rejected')?.textContent.includes('could not rename an item to “oat milk”')").await;
    let asked: Vec<Value> = host.events("todo/gone").iter().map(|event| event["transition"].clone()).collect();
    assert!(asked.iter().all(|transition| transition["Items"]["Item"].is_null()), "{asked:?}");
}

#[tokio::test]
async fn what_somebody_types_is_left_alone_while_others_work() {
    let (host, browser) = start(&["todo"]).await;
    let proxy = Proxy::to(host.address());
    let [ada, bob] = two(&host, &proxy, &browser, "typing", &["milk", "bread", "tea"]).await;
    ada.click(&label(1)).await;
    ada.press(&format!("{} and ", Key::End)).await;

    // Bob moves that item, renames it, and ticks another one.
    bob.click(&label(1)).await;
    bob.press(&format!("{}{}", Key::Alt, Key::Up)).await;
    rename(&bob, 0, "rye bread").await;
    bob.click(&format!("{} [data-part=done]", row(1))).await;
    ada.until(&format!("room.view.items[0].item.label === 'rye bread' && {SHOWN}[1] === 'milk ✓'")).await;

    // The row has moved, and Ada still types in it.
    ada.press("butter").await;
    assert_eq!(ada.value("document.activeElement.value").await, "bread and butter");
    assert_eq!(ada.value(&format!("document.activeElement === document.querySelector('{}')", label(0))).await, true);
    ada.press(&Key::Enter.to_string()).await;
    for page in [&ada, &bob] {
        page.until(&format!("{SETTLED} && {SHOWN}[0] === 'bread and butter'")).await;
    }

    // The item is deleted while Ada types in it: it disappears, and she is told.
    ada.press(" and jam").await;
    bob.click(&format!("{} [data-action=delete]", row(0))).await;
    ada.until(
        "document.querySelector('#toast.shown')?.textContent.includes('Somebody has deleted “bread and butter”')",
    )
    .await;
}

#[tokio::test]
async fn it_is_used_by_keyboard() {
    let (host, browser) = start(&["todo"]).await;
    let page = browser.open(&host.url("/todo/?room=keys")).await;
    page.until(LIVE).await;
    page.click("#title").await;
    page.press(&format!("Shopping{}", Key::Enter)).await;
    for item in ["milk", "bread", "tea"] {
        add(&page, item).await;
    }
    page.until(&format!("{SETTLED} && room.view.title === 'Shopping'")).await;

    // From the field for new items: the button, then the first row's checkbox, label and button.
    page.press(&Key::Tab.to_string()).await;
    page.press(&Key::Tab.to_string()).await;
    page.press(" ").await;
    page.press(&format!("{}{}", Key::Alt, Key::Down)).await;
    page.press(&format!("{}{}", Key::Alt, Key::Down)).await;
    page.until(&format!("JSON.stringify({SHOWN}) === '[\"bread\",\"tea\",\"milk ✓\"]'")).await;
    page.press(&Key::Tab.to_string()).await;
    page.press(&format!("x{}", Key::Escape)).await;
    page.press(&format!("{} and honey{}", Key::End, Key::Enter)).await;
    page.until(&format!("{SHOWN}[2] === 'milk and honey ✓'")).await;
    page.press(&Key::Tab.to_string()).await;
    page.press(" ").await;
    page.until(&format!("JSON.stringify({SHOWN}) === '[\"bread\",\"tea\"]'")).await;
    let focused = page.value("document.activeElement.getAttribute('aria-label')").await;
    assert_eq!(focused, "Delete tea", "the focus stays in the list");
    page.until(SETTLED).await;
}

#[tokio::test]
async fn items_are_dragged_to_their_place_and_what_is_done_is_cleared() {
    let (host, browser) = start(&["todo"]).await;
    let proxy = Proxy::to(host.address());
    let [ada, bob] = two(&host, &proxy, &browser, "drag", &["milk", "bread", "tea"]).await;
    ada.resize(1280, 1000).await;
    let middle = |index: usize, x: i64| {
        format!(
            "(({{ top, left, height }}) => [Math.round(left + {x}), Math.round(top + height / 2)])(document.querySelector('{}').getBoundingClientRect())",
            row(index)
        )
    };
    let [from, to] = [ada.value(&middle(0, 14)).await, ada.value(&middle(2, 14)).await];
    let place = |value: &Value| (value[0].as_i64().unwrap(), value[1].as_i64().unwrap());
    let (x, y) = place(&to);
    ada.drag(&[place(&from), (x, y - 10), (x, y + 10)]).await;
    for page in [&ada, &bob] {
        page.until(&format!("{SETTLED} && JSON.stringify({SHOWN}) === '[\"bread\",\"tea\",\"milk\"]'")).await;
    }
    for index in [0, 2] {
        bob.click(&format!("{} [data-part=done]", row(index))).await;
    }
    bob.click("[data-action=clear]").await;
    for page in [&ada, &bob] {
        page.until(&format!("{SETTLED} && JSON.stringify({SHOWN}) === '[\"tea\"]'")).await;
    }
}

/// Opens two pages with these items, the first one behind the proxy.
async fn two<'a>(host: &Host, proxy: &Proxy, browser: &'a Browser, room: &str, items: &[&str]) -> [Page<'a>; 2] {
    let path = format!("/todo/?room={room}");
    let pages = [browser.open(&proxy.url(&path)).await, browser.open(&host.url(&path)).await];
    for page in &pages {
        page.until(LIVE).await;
    }
    for item in items {
        add(&pages[0], item).await;
    }
    for page in &pages {
        page.until(&format!("{SETTLED} && document.querySelectorAll('#items > li').length === {}", items.len())).await;
    }
    pages
}

async fn add(page: &Page<'_>, item: &str) {
    page.fill("#label", item).await;
    page.press(&Key::Enter.to_string()).await;
}

async fn rename(page: &Page<'_>, index: usize, name: &str) {
    page.click(&label(index)).await;
    page.press(&format!("{}a{}{name}{}", Key::Control, Key::Null, Key::Enter)).await;
}

fn row(index: usize) -> String {
    format!("#items > :nth-child({})", index + 1)
}

fn label(index: usize) -> String {
    format!("{} [data-part=label]", row(index))
}
