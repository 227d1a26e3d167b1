//! The shared text: concurrent typing is all there, carets stay in their words, and undo affects only one's own edits.

use reapply_e2e::{Browser, Host, Key, Page, Proxy};
use serde_json::{Value, json};

use crate::{LIVE, SETTLED, start};

const AREA: &str = "document.querySelector('#text')";

#[tokio::test]
async fn what_two_people_type_in_one_place_at_once_is_all_there_and_the_same_for_both() {
    let (host, browser) = start(&["text"]).await;
    let proxy = Proxy::to(host.address());
    let [ada, bob] = two(&host, &proxy, &browser, "both", "Dear all, goodbye").await;
    for page in [&ada, &bob] {
        put_caret(page, 9).await;
    }
    // Ada sees nothing of Bob's text while she types, and Bob sees hers late.
    proxy.hold();
    bob.run("network.delay_ms = 50").await;
    for (one, other) in [("hel", "wel"), ("lo ", "come")] {
        ada.press(one).await;
        bob.press(other).await;
    }
    insert(&ada, "😀").await;
    ada.press("!").await;
    bob.press(",").await;
    assert_eq!(ada.value(&format!("{AREA}.value")).await, "Dear all,hello 😀! goodbye");
    ada.until("document.querySelector('#mirror .predicted')?.textContent === 'hello 😀!'").await;
    proxy.release();
    agree(&[&ada, &bob], "document.querySelector('#mirror .predicted') === null").await;
    let text = text_of(&host, "both");
    assert!(
        ["hello 😀!welcome,", "welcome,hello 😀!"].iter().any(|both| text == format!("Dear all,{both} goodbye")),
        "{text}"
    );
    // Consecutive keys become one run, not one for each key.
    let runs = host.room("text/both")["view"]["body"]["runs"].as_array().map(Vec::len);
    assert_eq!(runs, Some(4), "before, the two, and after");
}

#[tokio::test]
async fn a_caret_and_a_selection_stay_where_they_are_in_the_text() {
    let (host, browser) = start(&["text"]).await;
    let proxy = Proxy::to(host.address());
    let [ada, bob] = two(&host, &proxy, &browser, "caret", "one 😀 three four").await;
    put_caret(&ada, 12).await;
    put_caret(&bob, 0).await;
    insert(&bob, "zero 🎂, ").await;
    ada.until(&format!("{AREA}.value === 'zero 🎂, one 😀 three four'")).await;
    assert_eq!(ada.value(&format!("{AREA}.selectionStart")).await, 21, "nine units more, of eight characters");
    ada.press("!").await;
    bob.until(&format!("{AREA}.value === 'zero 🎂, one 😀 three! four'")).await;

    // Ada selects text of which Bob then deletes a part; and her caret moves to its old place.
    ada.run(&format!("{AREA}.setSelectionRange(9, 21, 'backward')")).await;
    bob.run(&format!("{AREA}.setSelectionRange(5, 15)")).await;
    bob.press(&Key::Delete.to_string()).await;
    ada.until(&format!("{AREA}.value === 'zero  three! four'")).await;
    let selection = format!("[{AREA}.selectionStart, {AREA}.selectionEnd, {AREA}.selectionDirection]");
    assert_eq!(ada.value(&selection).await, json!([5, 11, "backward"]));
    ada.press("two").await;
    agree(&[&ada, &bob], &format!("{AREA}.value === 'zero two! four'")).await;
    assert_eq!(text_of(&host, "caret"), "zero two! four");
}

#[tokio::test]
async fn each_sees_where_the_other_writes() {
    let (host, browser) = start(&["text"]).await;
    let proxy = Proxy::to(host.address());
    let [ada, bob] = two(&host, &proxy, &browser, "carets", "one two").await;
    put_caret(&ada, 3).await;
    let id = ada.value("room.participant").await;
    let before = "((range, caret) => caret && (range.setEndBefore(caret), range.toString()))(
        (() => { const range = new Range(); range.setStart(document.querySelector('#mirror'), 0); return range; })(),
        document.querySelector('[data-caret]'))";
    bob.until(&format!("document.querySelector('[data-caret]')?.dataset.caret === {id} && {before} === 'one'")).await;
    put_caret(&bob, 0).await;
    bob.press("zero ").await;
    bob.until(&format!("{before} === 'zero one'")).await;
    ada.press(" and").await;
    bob.until(&format!("{before} === 'zero one and'")).await;
    // A newcomer is told too, and the caret goes with its owner.
    let eve = browser.open(&host.url("/text/?room=carets")).await;
    eve.until("document.querySelectorAll('[data-caret]').length === 2").await;
    ada.run("room.close()").await;
    bob.until(&format!("room.participantCount === 2 && document.querySelector('[data-caret={id}]') === null")).await;
}

#[tokio::test]
async fn undoing_takes_back_ones_own_edits_only() {
    let (host, browser) = start(&["text"]).await;
    let proxy = Proxy::to(host.address());
    let [ada, bob] = two(&host, &proxy, &browser, "undo", "The cat sat.").await;
    let shows = |text: &str| format!("{AREA}.value === {}", json!(text));
    ada.run(&format!("{AREA}.focus(); {AREA}.setSelectionRange(4, 7)")).await;
    ada.press("dog").await;
    put_caret(&bob, 5).await;
    bob.until(&shows("The dog sat.")).await;
    put_caret(&bob, 6).await;
    bob.press("-x-").await;
    ada.until(&shows("The do-x-g sat.")).await;

    ada.press(&format!("{}z", Key::Control)).await;
    agree(&[&ada, &bob], &shows("The cat-x- sat.")).await;
    ada.press(&format!("{}{}z", Key::Control, Key::Shift)).await;
    agree(&[&ada, &bob], &shows("The dog-x- sat.")).await;
    ada.click("[data-action=undo]").await;
    agree(&[&ada, &bob], &shows("The cat-x- sat.")).await;
    bob.press(&format!("{}z", Key::Control)).await;
    agree(&[&ada, &bob], &shows("The cat sat.")).await;
    // Undo from the browser's menu does the same, and there is nothing left.
    bob.run(&format!(
        "{AREA}.dispatchEvent(new InputEvent('beforeinput', {{ inputType: 'historyUndo', cancelable: true }}))"
    ))
    .await;
    agree(&[&ada, &bob], &shows("The cat sat.")).await;
    assert_eq!(bob.value("document.querySelector('[data-action=undo]').disabled").await, true);
}

#[tokio::test]
async fn what_is_being_composed_is_left_to_the_input_method() {
    let (host, browser) = start(&["text"]).await;
    let proxy = Proxy::to(host.address());
    let [ada, bob] = two(&host, &proxy, &browser, "compose", "日記").await;
    // As with an input method: the text is in the area before it is chosen.
    let compose = |text: &str| {
        format!(
            "{AREA}.setRangeText('{text}', 1, {AREA}.selectionEnd, 'end');
             {AREA}.dispatchEvent(new InputEvent('input', {{ inputType: 'insertCompositionText', isComposing: true }}))"
        )
    };
    put_caret(&ada, 1).await;
    ada.run(&format!("{AREA}.dispatchEvent(new CompositionEvent('compositionstart'))")).await;
    ada.run(&compose("ほ")).await;
    put_caret(&bob, 0).await;
    bob.press("my ").await;
    ada.until("room.view.body.text === 'my 日記'").await;
    assert_eq!(ada.value(&format!("{AREA}.value")).await, "日ほ記", "nobody interferes");
    ada.run(&compose("本")).await;
    ada.run(&format!("{AREA}.dispatchEvent(new CompositionEvent('compositionend', {{ data: '本' }}))")).await;
    agree(&[&ada, &bob], &format!("{AREA}.value === 'my 日本記'")).await;
    assert_eq!(ada.value(&format!("{AREA}.selectionStart")).await, 5);
}

#[tokio::test]
async fn what_is_written_offline_arrives_once_and_in_its_place() {
    let (host, browser) = start(&["text"]).await;
    let proxy = Proxy::to(host.address());
    let [ada, bob] = two(&host, &proxy, &browser, "offline", "First. Second. Third.").await;
    proxy.cut();
    ada.until("room.status === 'offline'").await;
    put_caret(&ada, 13).await;
    ada.press(", mine").await;
    ada.run(&format!("{AREA}.setSelectionRange(0, 5)")).await;
    ada.press("1st").await;
    // Bob deletes everything around it.
    bob.run(&format!("{AREA}.focus(); {AREA}.setSelectionRange(6, 14)")).await;
    bob.press(&Key::Backspace.to_string()).await;
    bob.until(SETTLED).await;
    proxy.restore();
    agree(&[&ada, &bob], &format!("{AREA}.value === '1st., mine Third.'")).await;
    assert_eq!(text_of(&host, "offline"), "1st., mine Third.");
}

#[tokio::test]
async fn words_are_marked_by_keyboard_and_by_button() {
    let (host, browser) = start(&["text"]).await;
    let proxy = Proxy::to(host.address());
    let [ada, bob] = two(&host, &proxy, &browser, "marks", "so it is").await;
    assert_eq!(ada.value("document.querySelector('[data-mark=underline]').disabled").await, true);
    ada.run(&format!("{AREA}.focus(); {AREA}.setSelectionRange(3, 5)")).await;
    ada.press(&format!("{}u", Key::Control)).await;
    agree(&[&ada, &bob], "document.querySelector('[data-mark_underline]')?.textContent === 'it'").await;
    ada.click("[data-mark=highlight]").await;
    agree(&[&ada, &bob], "document.querySelector('[data-mark_underline][data-mark_highlight]') !== null").await;
    ada.until("document.querySelector('[data-mark=highlight]').ariaPressed === 'true'").await;
    ada.press(&format!("{}u", Key::Control)).await;
    agree(&[&ada, &bob], "document.querySelector('[data-mark_underline]') === null").await;
    let highlighted =
        "[...document.querySelectorAll('[data-mark_highlight]')].map((piece) => piece.textContent).join('')";
    // Text typed inside marked text is marked.
    put_caret(&bob, 4).await;
    bob.press("'").await;
    agree(&[&ada, &bob], &format!("{highlighted} === \"i't\"")).await;
    // A mark that this page does not know does no harm, whatever its name.
    let runs = host.room("text/marks")["view"]["body"]["runs"].clone();
    let range = json!({ "id": runs[0]["id"], "offset": runs[0]["offset"], "length": 1 });
    let mark = json!({ "Body": { "Mark": { "ranges": [range], "mark": "<b> \"", "value": "x" } } });
    assert_eq!(host.submit("text/marks", &mark.to_string()).status, 200);
    agree(&[&ada, &bob], "room.view.body.runs[0].marks !== undefined").await;
}

/// Waits until both pages have everything decided, the same text, and this condition.
async fn agree(pages: &[&Page<'_>], condition: &str) {
    for page in pages {
        page.until(&format!("{SETTLED} && {AREA}.value === room.view.body.text && {condition}")).await;
    }
    let [ada, bob] = pages else { panic!("two pages agree") };
    let texts = [ada.value("room.view").await, bob.value("room.view").await];
    assert_eq!(texts[0], texts[1]);
}

/// Opens two pages on one text, the first one behind the proxy.
async fn two<'a>(host: &Host, proxy: &Proxy, browser: &'a Browser, room: &str, text: &str) -> [Page<'a>; 2] {
    let path = format!("/text/?room={room}");
    let pages = [browser.open(&proxy.url(&path)).await, browser.open(&host.url(&path)).await];
    for page in &pages {
        page.until(LIVE).await;
    }
    let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let insert = json!({ "Body": { "Insert": { "id": id, "offset": 0, "after": null, "text": text } } });
    assert_eq!(host.submit(&format!("text/{room}"), &insert.to_string()).status, 200);
    for page in &pages {
        page.until(&format!("room.participantCount === 2 && {AREA}.value === {}", json!(text))).await;
        // A page that nobody has touched has no caret of its own yet.
        page.click("#text").await;
    }
    pages
}

/// Inserts text that no key types, as an emoji menu would.
async fn insert(page: &Page<'_>, text: &str) {
    assert_eq!(page.run(&format!("return document.execCommand('insertText', false, {})", json!(text))).await, true);
}

async fn put_caret(page: &Page<'_>, place: usize) {
    page.run(&format!("{AREA}.focus(); {AREA}.setSelectionRange({place}, {place})")).await;
}

fn text_of(host: &Host, room: &str) -> String {
    match &host.room(&format!("text/{room}"))["view"]["body"]["text"] {
        Value::String(text) => text.clone(),
        other => panic!("{room} has no text: {other}"),
    }
}
