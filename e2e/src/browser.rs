//! A headless Chromium with any number of windows, and the actions of a test in a page.

use fantoccini::actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
pub use fantoccini::key::Key;
use fantoccini::wd::WindowHandle;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reapply_testing::{http, until};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::driver::{Driver, Extension};

/// A browser with a fresh profile. It is closed on drop; the console output of its pages is printed if the test failed.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    session_url: String,
    /// The window that commands go to.
    current: Mutex<Option<WindowHandle>>,
    /// The window that the browser began with, until a page is opened in it.
    first: Mutex<Option<WindowHandle>>,
    _driver: Driver,
    _profile: TempDir,
}

/// A window with a page in it.
#[derive(Debug)]
pub struct Page<'a> {
    browser: &'a Browser,
    window: WindowHandle,
}

impl Browser {
    /// Starts a browser.
    ///
    /// # Panics
    ///
    /// Chromium or its driver is missing, or does not start.
    pub async fn start() -> Self {
        let driver = Driver::start();
        let profile = TempDir::new().expect("a temporary directory can be made");
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(Driver::capabilities(profile.path()));
        let client = builder.connect(&driver.url()).await.expect("Chromium starts");
        let session = client.session_id().await.ok().flatten().expect("a session has an id");
        let session_url = format!("{}/session/{session}", driver.url());
        let first = client.window().await.expect("a browser has a window");
        Self {
            client,
            session_url,
            current: Mutex::new(Some(first.clone())),
            first: Mutex::new(Some(first)),
            _driver: driver,
            _profile: profile,
        }
    }

    /// Opens a page in a window of its own.
    ///
    /// # Panics
    ///
    /// The browser fails, as always below.
    pub async fn open(&self, url: &str) -> Page<'_> {
        let page = self.blank().await;
        page.goto(url).await;
        page
    }

    /// Opens an empty window, to prepare it before a page is loaded.
    ///
    /// # Panics
    ///
    /// As above.
    pub async fn blank(&self) -> Page<'_> {
        let window = match self.first.lock().await.take() {
            Some(first) => first,
            None => {
                let opened = self.client.new_window(false).await.expect("a window opens");
                opened.handle
            }
        };
        Page { browser: self, window }
    }

    /// Returns the console output of all pages since the last call, as `LEVEL message`, including the browser's own complaints.
    ///
    /// # Panics
    ///
    /// As above.
    pub async fn console(&self) -> Vec<String> {
        let command = Extension { path: "se/log", body: json!({ "type": "browser" }) };
        lines(&self.client.issue_cmd(command).await.expect("the browser keeps a log"))
    }

    /// Returns the console output as [`Browser::console`] does, without the warning that the browser's database is slow. Pages warn of that
    /// after three seconds, which may pass on a busy machine, and they take the database up again when it answers.
    ///
    /// # Panics
    ///
    /// As above.
    pub async fn complaints(&self) -> Vec<String> {
        let is_slow = |line: &String| line.contains("the browser's database does not answer");
        self.console().await.into_iter().filter(|line| !is_slow(line)).collect()
    }

    /// Opens a page from a script of `opener`. The new tab gets a copy of its storage.
    ///
    /// # Panics
    ///
    /// As above.
    pub async fn open_from(&self, opener: &Page<'_>, url: &str) -> Page<'_> {
        let before = self.client.windows().await.expect("a browser has windows");
        opener.run(&format!("window.open({})", json!(url))).await;
        let window = until("the window is open", async || {
            let windows = self.client.windows().await.map_err(|error| error.to_string())?;
            windows.into_iter().find(|window| !before.contains(window)).ok_or_else(|| "no window more".to_owned())
        });
        Page { browser: self, window: window.await }
    }

    /// Switches to another window than this one, which is about to end: the driver must always have one.
    async fn other_than(&self, window: &WindowHandle) -> WindowHandle {
        let windows = self.client.windows().await.expect("a browser has windows");
        let other = windows.into_iter().find(|other| other != window).expect("another window is open");
        self.client.switch_to_window(other.clone()).await.expect("the window is there");
        other
    }

    async fn client_at(&self, window: &WindowHandle) -> (tokio::sync::MutexGuard<'_, Option<WindowHandle>>, &Client) {
        let mut current = self.current.lock().await;
        if current.as_ref() != Some(window) {
            self.client.switch_to_window(window.clone()).await.expect("the window is there");
            *current = Some(window.clone());
        }
        (current, &self.client)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log =
                http::try_send("POST", &format!("{}/se/log", self.session_url), &[], Some(br#"{"type":"browser"}"#));
            let log = log.map(|answer| lines(&answer.json()["value"]).join("\n"));
            eprintln!("--- the browser's console ---\n{}\n--- end of the console ---", log.unwrap_or_default());
        }
        let _gone = http::try_send("DELETE", &self.session_url, &[], None);
    }
}

impl Page<'_> {
    /// Loads a page, and waits until it has loaded.
    ///
    /// # Panics
    ///
    /// As above.
    pub async fn goto(&self, url: &str) {
        let (_turn, client) = self.browser.client_at(&self.window).await;
        client.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// Runs a script before the scripts of each page that is loaded here from now on.
    ///
    /// # Panics
    ///
    /// As above.
    pub async fn before_each_page(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await;
    }

    /// Closes the window, as a person would. The browser ends with its last window.
    ///
    /// # Panics
    ///
    /// As above.
    pub async fn close(self) {
        let (mut current, client) = self.browser.client_at(&self.window).await;
        client.close_window().await.expect("the window closes");
        *current = Some(self.browser.other_than(&self.window).await);
    }

    /// Crashes the page's process. The window then shows an error instead of a page.
    ///
    /// # Panics
    ///
    /// As above.
    pub async fn crash(self) {
        let (mut current, client) = self.browser.client_at(&self.window).await;
        let body = json!({ "cmd": "Page.crash", "params": {} });
        let answered = client.issue_cmd(Extension { path: "goog/cdp/execute", body }).await;
        // A crashing page does not answer, and the driver reports that.
        assert!(answered.is_err(), "the page did not crash");
        *current = Some(self.browser.other_than(&self.window).await);
    }

    /// Limits the storage of this page's origin to the given number of bytes.
    ///
    /// # Panics
    ///
    /// As above.
    pub async fn limit_storage(&self, bytes: u64) {
        let origin = self.value("location.origin").await;
        self.devtools("Storage.overrideQuotaForOrigin", json!({ "origin": origin, "quotaSize": bytes })).await;
    }

    /// Clears the databases of this page's origin, as a person would. The browser closes those that pages have open.
    ///
    /// # Panics
    ///
    /// As above.
    pub async fn clear_databases(&self) {
        let origin = self.value("location.origin").await;
        let what = json!({ "origin": origin, "storageTypes": "indexeddb" });
        self.devtools("Storage.clearDataForOrigin", what).await;
    }

    /// Sets the size of the page's screen.
    ///
    /// # Panics
    ///
    /// As above.
    pub async fn resize(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Runs the body of a function in the page, and returns its result.
    ///
    /// # Panics
    ///
    /// The function throws.
    pub async fn run(&self, script: &str) -> Value {
        self.try_run(script).await.unwrap_or_else(|error| panic!("{script}\n{error}"))
    }

    /// Returns the value of an expression, as the page's own JSON.
    ///
    /// # Panics
    ///
    /// The expression throws.
    pub async fn value(&self, expression: &str) -> Value {
        let json = self.run(&format!("return JSON.stringify({expression}) ?? 'null'")).await;
        serde_json::from_str(json.as_str().unwrap_or_default()).unwrap_or_default()
    }

    /// Returns the value of a promise, as the page's own JSON.
    ///
    /// # Panics
    ///
    /// The promise is rejected, or does not settle within the deadline.
    pub async fn promised(&self, promise: &str) -> Value {
        self.run(&format!(
            "window.promised = undefined; ({promise}).then((value) => {{ window.promised = {{ value }}; }}, (error) => {{ window.promised = {{ error: `${{error}}` }}; }})"
        ))
        .await;
        self.until("window.promised !== undefined").await;
        let mut settled = self.value("window.promised").await;
        assert_eq!(settled["error"], Value::Null, "{promise}");
        settled["value"].take()
    }

    /// Waits until a condition holds in the page.
    ///
    /// # Panics
    ///
    /// The condition does not hold within the deadline; the message shows the room as the page sees it.
    pub async fn until(&self, condition: &str) {
        until(condition, async || {
            let found = self.try_run(&format!("return Boolean({condition}) || ({SEEN})")).await?;
            if found == true { Ok(()) } else { Err(found.to_string()) }
        })
        .await;
    }

    /// Clicks the single element that this selector finds, as a person would.
    ///
    /// # Panics
    ///
    /// There is no such element, or it cannot be clicked.
    pub async fn click(&self, css: &str) {
        let (_turn, client) = self.browser.client_at(&self.window).await;
        let element = client.find(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"));
        element.click().await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Types into the element that has the focus, as a person would. [`Key`] has the keys that write no character.
    ///
    /// # Panics
    ///
    /// As above.
    pub async fn press(&self, keys: &str) {
        let (_turn, client) = self.browser.client_at(&self.window).await;
        let focused = client.active_element().await.unwrap_or_else(|error| panic!("{keys:?}: {error}"));
        focused.send_keys(keys).await.unwrap_or_else(|error| panic!("{keys:?}: {error}"));
    }

    /// Replaces the content of the single field that this selector finds.
    ///
    /// # Panics
    ///
    /// There is no such field, or it cannot be changed.
    pub async fn fill(&self, css: &str, text: &str) {
        let (_turn, client) = self.browser.client_at(&self.window).await;
        let field = client.find(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"));
        field.clear().await.unwrap_or_else(|error| panic!("{css}: {error}"));
        field.send_keys(text).await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Presses the mouse at the first of these places, moves it over the others, and releases it at the last. In pixels from the
    /// upper left corner of the visible part of the page.
    ///
    /// # Panics
    ///
    /// As above.
    pub async fn drag(&self, places: &[(i64, i64)]) {
        let (_turn, client) = self.browser.client_at(&self.window).await;
        let mut mouse = MouseActions::new("mouse".to_owned());
        for (index, (x, y)) in places.iter().enumerate() {
            mouse = mouse.then(PointerAction::MoveTo { duration: None, x: *x as f64, y: *y as f64 });
            if index == 0 {
                mouse = mouse.then(PointerAction::Down { button: MOUSE_BUTTON_LEFT });
            }
        }
        let mouse = mouse.then(PointerAction::Up { button: MOUSE_BUTTON_LEFT });
        client.perform_actions(mouse).await.unwrap_or_else(|error| panic!("{places:?}: {error}"));
    }

    /// Returns a picture of the window, as PNG.
    ///
    /// # Panics
    ///
    /// As above.
    pub async fn screenshot(&self) -> Vec<u8> {
        let (_turn, client) = self.browser.client_at(&self.window).await;
        client.screenshot().await.expect("a picture is taken")
    }

    async fn try_run(&self, script: &str) -> Result<Value, String> {
        let (_turn, client) = self.browser.client_at(&self.window).await;
        client.execute(script, Vec::new()).await.map_err(|error| error.to_string())
    }

    async fn devtools(&self, command: &str, params: Value) {
        let (_turn, client) = self.browser.client_at(&self.window).await;
        let body = json!({ "cmd": command, "params": params });
        let done = client.issue_cmd(Extension { path: "goog/cdp/execute", body }).await;
        done.unwrap_or_else(|error| panic!("{command}: {error}"));
    }
}

/// A description of the page's room, for conditions that do not come true.
const SEEN: &str = r#"`${location.href}: ${globalThis.room ? JSON.stringify({
    status: room.status, reason: room.reason, seq: room.seq, pending: room.pending, view: room.view, confirmed: room.confirmed,
}) : "there is no room"}`"#;

fn lines(entries: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = entries.as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().map(|entry| format!("{} {}", text(&entry["level"]), text(&entry["message"]))).collect()
}
