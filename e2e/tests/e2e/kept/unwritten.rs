//! Pages whose store cannot be opened, or takes nothing.

use reapply_e2e::{Browser, Host, Page, Proxy};
use serde_json::json;

use super::{assert_exactly_once, assert_nothing_is_kept, increment, opened, start_behind_proxy};
use crate::{LIVE, SETTLED};

#[tokio::test]
async fn without_a_database_everything_works_as_long_as_the_page_lives() {
    let (host, browser, proxy, url) = start_behind_proxy("counter", "none").await;
    let page = browser.blank().await;
    page.before_each_page("Object.defineProperty(window, 'indexedDB', { value: undefined })").await;
    page.goto(&url).await;
    page.until(LIVE).await;
    assert_eq!(page.value("room.durable").await, false);
    works_offline(&host, &proxy, &page, "counter/none").await;
    assert_one_warning(&browser).await;
}

#[tokio::test]
async fn a_full_disk_does_not_keep_anyone_from_working() {
    let (host, browser, proxy, url) = start_behind_proxy("counter", "full").await;
    let page = browser.open(&proxy.url("/shared/icon.svg")).await;
    page.limit_storage(1).await;
    page.goto(&url).await;
    page.until(LIVE).await;
    works_offline(&host, &proxy, &page, "counter/full").await;
    assert_eq!(page.value("room.durable").await, false);
    assert_one_warning(&browser).await;
}

#[tokio::test]
async fn what_arrived_while_nothing_could_be_written_is_not_applied_again() {
    let (host, browser, proxy, url) = start_behind_proxy("counter", "unwritten").await;
    let page = opened(&browser, &url).await;
    proxy.cut();
    page.until("room.status === 'offline'").await;
    increment(&page, 5).await;
    // From here on the database claims, wrongly, that these were never sent.
    page.run("IDBObjectStore.prototype.put = IDBObjectStore.prototype.delete = () => {}").await;
    proxy.restore();
    page.until(&format!("{SETTLED} && room.view.count === 5")).await;
    page.close().await;

    let next = browser.open(&url).await;
    next.until(&format!("{SETTLED} && room.durable")).await;
    assert_exactly_once(&host, "counter/unwritten", 5);
    assert_nothing_is_kept(&next).await;
}

/// Checks that the page works without a connection, and everything arrives once there is one again.
async fn works_offline(host: &Host, proxy: &Proxy, page: &Page<'_>, room: &str) {
    proxy.cut();
    page.until("room.status === 'offline'").await;
    increment(page, 8).await;
    assert_eq!(page.value("[room.view.count, room.pending]").await, json!([8, 8]));
    proxy.restore();
    page.until(&format!("{SETTLED} && room.view.count === 8")).await;
    assert_exactly_once(host, room, 8);
}

async fn assert_one_warning(browser: &Browser) {
    let console = browser.console().await;
    let warnings = console.iter().filter(|line| line.contains("are kept in this page only")).count();
    assert_eq!(warnings, 1, "{console:#?}");
}
