//! A TCP proxy between a browser and a host: holds the host's frames back, cuts connections, restores them.
//!
//! Plain requests pass whenever connections do; only the host's frames on WebSockets can be held back.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The number of bytes that are passed on at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// A proxy in front of one host. It is closed on drop.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    gate: Arc<Gate>,
}

impl Proxy {
    /// Starts a proxy to the host at `upstream`, on a free port.
    ///
    /// # Panics
    ///
    /// No port is free.
    #[must_use]
    pub fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let gate = Arc::<Gate>::default();
        let shared = Arc::clone(&gate);
        std::thread::spawn(move || {
            for browser in listener.incoming().map_while(Result::ok) {
                match shared.state().mode {
                    Mode::Closed => return,
                    Mode::Cut => continue,
                    Mode::Open => {}
                }
                if let Ok(host) = TcpStream::connect(upstream) {
                    Connection::start(&shared, browser, host);
                }
            }
        });
        Self { address, gate }
    }

    /// Returns the URL of a path through this proxy.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Holds back the host's frames on WebSockets from now on.
    pub fn hold(&self) {
        self.gate.state().held = true;
    }

    /// Breaks each WebSocket that is opened from now on off, once this many bytes of the host's have passed.
    pub fn break_after(&self, bytes: usize) {
        self.gate.state().break_after = Some(bytes);
    }

    /// Returns how many WebSockets were broken off because of [`Proxy::break_after`].
    #[must_use]
    pub fn broken(&self) -> usize {
        self.gate.state().broken
    }

    /// Returns how many bytes of the host's are being held back, at least.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.gate.state().connections.values().map(|streams| streams.held_bytes).sum()
    }

    /// Passes on the frames that were held back, and all that follow.
    pub fn release(&self) {
        self.gate.state().held = false;
        self.gate.changed.notify_all();
    }

    /// Breaks all connections off, with the held frames in them, and refuses new ones.
    pub fn cut(&self) {
        self.gate.close(Mode::Cut);
    }

    /// Accepts connections again.
    pub fn restore(&self) {
        self.gate.state().mode = Mode::Open;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.gate.close(Mode::Closed);
        // Wakes the listener, which then sees that it must end.
        let _unheard = TcpStream::connect(self.address);
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Open,
    Cut,
    Closed,
}

#[derive(Debug, Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    mode: Mode,
    held: bool,
    break_after: Option<usize>,
    broken: usize,
    connections: HashMap<u64, Streams>,
    next_connection: u64,
}

#[derive(Debug)]
struct Streams {
    browser: TcpStream,
    host: TcpStream,
    held_bytes: usize,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, mode: Mode) {
        let mut state = self.state();
        state.mode = mode;
        for (_, streams) in state.connections.drain() {
            let _closed_already = streams.browser.shutdown(Shutdown::Both);
            let _closed_already = streams.host.shutdown(Shutdown::Both);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits while the host's frames are held back. Returns `false` if the connection was cut meanwhile.
    fn pass(&self, id: u64, bytes: usize) -> bool {
        let mut state = self.state();
        if state.held
            && let Some(streams) = state.connections.get_mut(&id)
        {
            streams.held_bytes += bytes;
        }
        let waits = |state: &mut State| state.held && state.connections.contains_key(&id);
        state = self.changed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner);
        state.connections.get_mut(&id).map(|streams| streams.held_bytes = 0).is_some()
    }
}

/// One connection through the proxy: two threads, one for each direction.
#[derive(Clone)]
struct Connection {
    id: u64,
    gate: Arc<Gate>,
    is_websocket: Arc<AtomicBool>,
}

impl Connection {
    fn start(gate: &Arc<Gate>, browser: TcpStream, host: TcpStream) {
        let clones = || {
            browser.set_nodelay(true)?;
            host.set_nodelay(true)?;
            let kept = Streams { browser: browser.try_clone()?, host: host.try_clone()?, held_bytes: 0 };
            Ok::<_, std::io::Error>((kept, browser.try_clone()?, host.try_clone()?))
        };
        let Ok((kept, browser_again, host_again)) = clones() else { return };
        let mut state = gate.state();
        // The connection may have been cut since it was accepted.
        if state.mode != Mode::Open {
            return;
        }
        let id = state.next_connection;
        state.next_connection += 1;
        state.connections.insert(id, kept);
        drop(state);
        let connection = Self { id, gate: Arc::clone(gate), is_websocket: Arc::default() };
        let downward = connection.clone();
        std::thread::spawn(move || connection.upward(browser, host));
        std::thread::spawn(move || downward.downward(host_again, browser_again));
    }

    /// From the browser to the host.
    fn upward(&self, mut browser: TcpStream, mut host: TcpStream) {
        let mut chunk = vec![0; CHUNK_BYTES];
        while let Some(count) = browser.read(&mut chunk).ok().filter(|count| *count > 0) {
            // A browser requests each WebSocket on a connection of its own, and its request fits into one segment.
            let request = String::from_utf8_lossy(&chunk[..count]).to_ascii_lowercase();
            if request.starts_with("get ") && request.contains("upgrade: websocket") {
                self.is_websocket.store(true, Ordering::SeqCst);
            }
            if host.write_all(&chunk[..count]).is_err() {
                break;
            }
        }
        self.end();
    }

    /// From the host to the browser.
    fn downward(&self, mut host: TcpStream, mut browser: TcpStream) {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut left = None;
        while let Some(count) = host.read(&mut chunk).ok().filter(|count| *count > 0) {
            let is_websocket = self.is_websocket.load(Ordering::SeqCst);
            if is_websocket && !self.gate.pass(self.id, count) {
                break;
            }
            let left = left.get_or_insert_with(|| self.gate.state().break_after.filter(|_| is_websocket));
            let passing = left.map_or(count, |left| count.min(left));
            if browser.write_all(&chunk[..passing]).is_err() {
                break;
            }
            if let Some(left) = left {
                *left -= passing;
                if *left == 0 {
                    self.gate.state().broken += 1;
                    break;
                }
            }
        }
        self.end();
    }

    fn end(&self) {
        if let Some(streams) = self.gate.state().connections.remove(&self.id) {
            let _closed_already = streams.browser.shutdown(Shutdown::Both);
            let _closed_already = streams.host.shutdown(Shutdown::Both);
        }
        self.gate.changed.notify_all();
    }
}
