//! A room that is upgraded under its pages: they continue, with their pending changes, and nobody reloads.

use reapply_e2e::{Host, Page, Proxy};
use serde_json::{Value, json};

use crate::{LIVE, OUTCOMES, SETTLED, start};

/// The number of edits of each page while it is offline.
const EDITS: usize = 5;

/// A value that a reload would lose.
const MARK: &str = "window.mark = 'not reloaded'";

#[tokio::test]
async fn pages_with_edits_from_offline_follow_an_upgrade_and_nobody_reloads() {
    let (host, browser) = start(&[]).await;
    let old = host.deploy_as("notes", "notes-v1");
    let proxies = [Proxy::to(host.address()), Proxy::to(host.address())];
    let [ada, bob] = [join(&browser, &proxies[0]).await, join(&browser, &proxies[1]).await];
    ada.run("act({ Add: 'sow' })").await;
    bob.run("act({ Add: 'reap' })").await;
    for page in [&ada, &bob] {
        page.until("room.confirmed.notes.length === 2 && room.pending === 0").await;
        page.run("outcomes.length = 0").await;
    }

    // While both are away, each adds notes, and one uses a transition that the next build does not have.
    for (page, proxy) in [(&ada, &proxies[0]), (&bob, &proxies[1])] {
        proxy.cut();
        page.until("room.status === 'offline'").await;
    }
    for (page, name) in [(&ada, "ada"), (&bob, "bob")] {
        page.run(&format!("for (let n = 1; n <= {EDITS}; n += 1) act({{ Add: `{name} ${{n}}` }})")).await;
    }
    ada.run("act({ Toggle: 0 })").await;
    ada.run("act({ Add: 'ada, last' })").await;
    let folder = tempfile::tempdir().unwrap();
    let before = folder.path().join("before.reapply").to_string_lossy().into_owned();
    run(&host, "export", &["notes/garden", "--out", &before]);
    let new = host.deploy_as("notes", "notes-v2");
    upgrade(&host);
    assert_eq!(host.room("notes/garden")["digest"], new.as_str());
    assert_eq!(ada.value("[room.digest, room.view.notes[0].done]").await, json!([old, true]));

    for proxy in &proxies {
        proxy.restore();
    }
    ada.until(&format!("{SETTLED} && outcomes.length === {}", EDITS + 2)).await;
    bob.until(&format!("{SETTLED} && outcomes.length === {EDITS}")).await;
    let rejected = ada.value("outcomes.filter(({ status }) => status !== 'accepted')").await;
    let [rejected] = rejected.as_array().unwrap().as_slice() else { panic!("one edit is rejected: {rejected}") };
    assert_eq!((&rejected["status"], &rejected["kind"]), (&json!("rejected"), &json!("malformed")), "{rejected}");
    assert_eq!(bob.value("outcomes.every(({ status }) => status === 'accepted')").await, true);

    // A transition that only the new build has works at once, for both.
    bob.run("act({ Finish: 1 })").await;
    bob.until(&format!("{SETTLED} && room.confirmed.done === 1")).await;
    ada.until(&format!("{SETTLED} && room.confirmed.done === 1")).await;
    let view = assert_together(&host, &[&ada, &bob], &new).await;
    let own = |name: &str| (1..=EDITS).map(|n| format!("{name} {n}")).collect::<Vec<_>>();
    assert_eq!(texts(&view, "ada"), [own("ada"), vec!["ada, last".to_owned()]].concat());
    assert_eq!(texts(&view, "bob"), own("bob"));
    assert_eq!(view["notes"].as_array().unwrap().len(), 2 + 2 * EDITS + 1);
    // The past before the upgrade is shown by the build of that time, in the page as on the host.
    let past = ada.promised("room.at(2).then(({ seq, view }) => ({ seq, view }))").await;
    assert_eq!(past, json!({ "seq": 2, "view": host.room("notes/garden?seq=2")["view"] }));
    assert_eq!(view["notes"][0], json!({ "initial": "s", "text": "sow", "done": false }));
    // The log is proved with both builds, and the export from before the upgrade with the first.
    let proved = run(&host, "verify", &["notes/garden"]);
    assert!(proved.contains(&old) && proved.contains(&new), "{proved}");
    let proved = run(&host, "verify", &[&before]);
    assert!(proved.contains(&old) && !proved.contains(&new), "{proved}");
    assert_eq!(browser_errors(&browser.console().await), Vec::<String>::new());
}

#[tokio::test]
async fn pages_that_edit_all_the_time_follow_upgrades_to_and_fro() {
    let (host, browser) = start(&[]).await;
    let old = host.deploy_as("notes", "notes-v1");
    let proxies = [Proxy::to(host.address()), Proxy::to(host.address())];
    let pages = [join(&browser, &proxies[0]).await, join(&browser, &proxies[1]).await];
    for (page, name) in pages.iter().zip(["ada", "bob"]) {
        let edit = format!(
            "window.made = 0; window.editing = setInterval(() => act({{ Add: `{name} ${{(made += 1)}}` }}), 10)"
        );
        page.run(&edit).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut builds = vec![old];
    for (guest, more) in [("notes-v1", 1_u8), ("notes-v1", 2), ("notes-v2", 0)] {
        for page in &pages {
            page.until(&format!("outcomes.length > {}", builds.len() * 20)).await;
        }
        let component = std::fs::read(reapply_e2e::component(reapply_e2e::reapply(), guest)).unwrap();
        let file = folder.path().join("anew.wasm");
        std::fs::write(&file, anew(component, more)).unwrap();
        let new = host.deploy_file("notes", &file);
        upgrade(&host);
        builds.push(new.clone());
        for page in &pages {
            page.until(&format!("room.digest === '{new}'")).await;
        }
    }
    for page in &pages {
        page.run("clearInterval(editing)").await;
        page.until(&format!("{SETTLED} && outcomes.length === made")).await;
        assert_eq!(page.value("outcomes.filter(({ status }) => status === 'rejected')").await, json!([]));
    }
    let view = assert_together(&host, &[&pages[0], &pages[1]], &builds[3]).await;
    for (page, name) in pages.iter().zip(["ada", "bob"]) {
        let made = page.value("made").await.as_u64().unwrap();
        let expected: Vec<String> = (1..=made).map(|n| format!("{name} {n}")).collect();
        assert_eq!(texts(&view, name), expected, "each edit is there once, in its order");
    }
    let events = host.events("notes/garden");
    let upgrades =
        events.iter().filter(|event| event["kind"] == "upgraded").map(|event| event["digest"].as_str().unwrap());
    assert_eq!(upgrades.collect::<Vec<_>>(), builds[1..]);
    assert_eq!(browser_errors(&browser.console().await), Vec::<String>::new());
}

/// The room `notes/garden`, on the page for any machine.
async fn join<'a>(browser: &'a reapply_e2e::Browser, proxy: &Proxy) -> Page<'a> {
    let page = browser.open(&proxy.url("/room.html?machine=notes&room=garden")).await;
    page.until(LIVE).await;
    page.run(&format!("{OUTCOMES} {MARK}")).await;
    page
}

fn upgrade(host: &Host) {
    run(host, "upgrade", &["notes/garden"]);
}

/// Returns the output of a command, which must succeed.
fn run(host: &Host, command: &str, arguments: &[&str]) -> String {
    let output = host.command(command, arguments);
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Checks that the host and the pages show the same, on the same build, without reloads or healing. Returns the common view.
async fn assert_together(host: &Host, pages: &[&Page<'_>], digest: &str) -> Value {
    let room = host.room("notes/garden");
    assert_eq!(room["digest"], digest);
    for page in pages {
        page.until(&format!("room.seq === {}", room["seq"])).await;
        assert_eq!(
            page.value("[room.digest, room.view, room.confirmed]").await,
            json!([digest, room["view"], room["view"]])
        );
        assert_eq!(page.value("window.mark").await, "not reloaded");
    }
    assert!(!host.log().contains("diverged"), "a replica diverged");
    room["view"].clone()
}

/// Returns the notes of one page, in order.
fn texts(view: &Value, name: &str) -> Vec<String> {
    let texts = view["notes"].as_array().unwrap().iter().map(|note| note["text"].as_str().unwrap().to_owned());
    texts.filter(|text| text.starts_with(name)).collect()
}

/// Returns a component with the same behaviour and another digest: it has types that nothing uses.
fn anew(component: Vec<u8>, more: u8) -> Vec<u8> {
    const TYPE_SECTION: u8 = 7;
    const BOOL: u8 = 0x7f;
    let section = [vec![TYPE_SECTION, 1 + more, more], vec![BOOL; usize::from(more)]].concat();
    if more == 0 { component } else { [component, section].concat() }
}

/// Returns the pages' complaints, except those about connections that the test has cut.
fn browser_errors(console: &[String]) -> Vec<String> {
    console.iter().filter(|line| !line.contains("WebSocket") && !line.contains("net::ERR_")).cloned().collect()
}
