//! The same log and the same component give the same snapshot in the host and in the browser: checkpoints compare their hashes.

use reapply_e2e::{Page, http};
use reapply_web_bundle::erase::erase;
use serde_json::json;

use crate::{LIVE, SETTLED, start};

/// Counts the frames that a page receives by their first byte, which is the kind of message.
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
    assert!(browser.complaints().await.is_empty());
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
    assert!(browser.complaints().await.is_empty());

    // The host's replay of the log from the start gives the same snapshot as then.
    let head = host.room("floats/nan")["seq"].clone();
    assert_eq!(host.room(&format!("floats/nan?seq={head}"))["view"], json!(seen));
}

const OPERANDS: usize = 9;

/// Every operation on every pair of special operands: quiet and signalling NaNs of both signs, infinities, zeros, and numbers.
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

#[tokio::test]
async fn a_machines_names_are_never_code() {
    let (host, browser) = start(&["counter"]).await;
    let page = browser.open(&host.url("/counter/?room=names")).await;
    page.until(LIVE).await;
    page.run(&format!("window.adapter = {}", json!(erase(ADAPTER).unwrap()))).await;
    let described = page.promised(RUN_WITH_ODD_NAMES).await;
    assert_eq!(described, json!({ "stateVersion": 1, "pwned": false }));

    // Nothing that a page runs comes from a machine: all scripts are the client's own and the page's.
    let scripts = "performance.getEntriesByType('resource').filter(({ name }) => new URL(name).pathname.startsWith('/components/')).every(({ initiatorType }) => initiatorType === 'fetch')";
    assert_eq!(page.value(scripts).await, true);
    let script = http::get(&host.url(&format!("/components/{}.js", page.value("room.digest").await.as_str().unwrap())));
    assert_eq!(script.status, 404);
}

/// The client's adapter, as a module of its own.
const ADAPTER: &str = include_str!("../../../web-client/js/reapply/adapter.ts");

/// Runs the component in that adapter, with a name in its modules that would end a string in JavaScript and continue as code.
const RUN_WITH_ODD_NAMES: &str = "(async () => {
    const fetched = async (kind) => await fetch(`/components/${room.digest}.${kind}`);
    const bytes = new Uint8Array(await (await fetched('wasm')).arrayBuffer());
    const [name, attack] = ['reapply:machine/machine@0.1.0#describe', `x'];globalThis.PWNED='yes';//////////'`];
    let replaced = 0;
    for (let at = 0; at + name.length < bytes.length; at += 1) {
        if (![...name].every((character, index) => bytes[at + index] === character.charCodeAt(0))) continue;
        bytes.set(new TextEncoder().encode(attack), at);
        replaced += 1;
    }
    const { Instance, compile } = await import(URL.createObjectURL(new Blob([adapter], { type: 'text/javascript' })));
    const plan = await (await fetched('json')).json();
    const memory = new WebAssembly.Memory({ initial: 1 });
    const instance = new Instance(plan, await compile(plan, bytes), memory);
    if (replaced < 2) throw new Error(`the name stands in ${replaced} places`);
    return { stateVersion: instance.describe()?.stateVersion, pwned: 'PWNED' in globalThis };
})()";
