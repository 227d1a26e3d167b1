//! The same log and the same component give the same snapshot in the host and in the browser: checkpoints compare their hashes.

use reapply_e2e::Page;
use serde_json::json;

use crate::{LIVE, SETTLED, start};

/// Counts the frames that a page receives by their first byte, which says what message it is.
const COUNT_FRAMES: &str = "
    window.received = {};
    window.WebSocket = class extends WebSocket {
        constructor(...rest) {
            super(...rest);
            this.addEventListener('message', ({ data }) => {
                const [tag] = new Uint8Array(data);
                received[tag] = (received[tag] ?? 0) + 1;
            });
        }
    };
";

/// The first byte of `Checkpoint`.
const CHECKPOINTS: &str = "(received[3] ?? 0)";

#[tokio::test]
async fn checkpoints_of_a_long_room_find_no_difference() {
    let (host, browser) = start(&["counter"]).await;
    let page = browser.blank().await;
    page.before_each_page(COUNT_FRAMES).await;
    page.goto(&host.url("/counter/?room=long")).await;
    page.until(LIVE).await;
    // Two checkpoints' worth of events, at 32 KiB each.
    page.run("for (let n = 0; n < 3000; n += 1) room.apply({ Increment: n })").await;
    page.until(SETTLED).await;
    assert_agreement(&page, 2).await;
    assert_eq!(page.value("room.confirmed.count").await, 3000 * 2999 / 2);
    assert!(!host.log().contains("diverged"), "{}", host.log());
    assert!(browser.console().await.is_empty());
}

#[tokio::test]
async fn host_and_browser_agree_on_the_bits_of_every_nan() {
    let (host, browser) = start(&["floats"]).await;
    let page = browser.blank().await;
    page.before_each_page(COUNT_FRAMES).await;
    page.goto(&host.url("/room.html?machine=floats&room=nan")).await;
    page.until(LIVE).await;
    page.run(COMPUTE_ALL).await;
    page.until(SETTLED).await;

    let seen = page.value("room.confirmed").await;
    let results = seen.as_array().map(Vec::len).unwrap_or_default();
    assert_eq!(results, 12 * OPERANDS * OPERANDS);
    let nans = page.value("room.confirmed.filter(([bits]) => /^[7f]ff[8-f]/.test(bits)).length").await;
    assert!(nans.as_u64() >= Some(300), "only {nans} of the results are NaNs");
    assert_eq!(host.room("floats/nan")["view"], seen);
    assert_agreement(&page, 1).await;
    assert!(!host.log().contains("diverged"), "{}", host.log());
    assert!(browser.console().await.is_empty());

    // And what the host computes from the log alone, from the start, is what it had then.
    let head = host.room("floats/nan")["seq"].clone();
    assert_eq!(host.room(&format!("floats/nan?seq={head}"))["view"], json!(seen));
}

const OPERANDS: usize = 9;

/// Every operation on every pair of odd operands: quiet and signalling NaNs of both signs, infinities, zeros, and numbers.
const COMPUTE_ALL: &str = "
    const operations = ['Add', 'Subtract', 'Multiply', 'Divide', 'Minimum', 'Maximum', 'SquareRoot', 'Ceiling', 'Floor', 'Truncate', 'Nearest', 'Convert'];
    const highs = [0x7ff80000, 0xfff80000, 0x7ff00001, 0xffc12345, 0x7fa00001, 0x7ff00000, 0xff800000, 0x80000000, 0x3ff80000];
    for (const operation of operations)
        for (const a of highs)
            for (const b of highs) room.apply({ operation, a: [a, 0], b: [b, 0] });
";

async fn assert_agreement(page: &Page<'_>, checkpoints_min: u64) {
    page.until(&format!("{CHECKPOINTS} >= {checkpoints_min}")).await;
}
