//! Connections: accepted within limits, ended when they stand still, and counted as long as their socket is open.
//!
//! ```text
//!  accept ─▶ Connections::admit ─┬─ within the limits ─▶ the router        (headers within HEADERS_WITHIN, also between requests)
//!                                ├─ over them ─────────▶ one readable refusal, for REFUSALS_MAX at a time
//!                                └─ over those too ────▶ closed
//! ```
//!
//! So strangers who open silent connections cannot lock out other addresses, nor the journal, which has descriptors of its own.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use reapply_sync::Goodbye;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tracing::{debug, warn};

use super::error::HttpError;
use super::handshake;
use super::limits::{
    ACCEPT_AGAIN_AFTER, ADDRESS_SHARE, CONNECTIONS_MAX, DESCRIPTORS_KEPT, HEADERS_WITHIN, REFUSALS_MAX, WRITE_WITHIN,
};

/// The maximum numbers of connections.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    in_all: usize,
    of_an_address: usize,
    proxies: Vec<IpAddr>,
}

impl ConnectionLimits {
    /// Returns the limits of a process with this many descriptors. A proxy's connections belong to many people, so only their total is
    /// limited.
    #[must_use]
    pub fn new(descriptors: u64, proxies: Vec<IpAddr>) -> Self {
        let kept = DESCRIPTORS_KEPT.min(descriptors / 2);
        let in_all = usize::try_from(descriptors - kept).unwrap_or(usize::MAX).min(CONNECTIONS_MAX);
        Self { in_all, of_an_address: (in_all / ADDRESS_SHARE).max(1), proxies }
    }
}

/// Serves connections as long as the future is polled. Connections that were accepted live on after it.
pub async fn serve(listener: TcpListener, router: Router, limits: ConnectionLimits) -> Infallible {
    let connections = Arc::new(Connections { limits, open: Mutex::default() });
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                warn!(%error, "connections cannot be accepted at the moment; the next attempt follows");
                tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
                continue;
            }
        };
        // A confirmation is small, and must not wait for more to send.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "a connection may delay small frames");
        }
        match Connections::admit(&connections, peer.ip()) {
            Ok(place) => {
                let connection = Connection { stream, stall: None, _place: place };
                tokio::spawn(answer(connection, peer, router.clone()));
            }
            Err((place, why)) => {
                warn!(address = %peer.ip(), why, "a connection was refused");
                if let Some(place) = place {
                    tokio::spawn(refuse(Connection { stream, stall: None, _place: place }, why));
                }
            }
        }
    }
}

/// Serves a connection's requests, one at a time.
async fn answer(connection: Connection, peer: SocketAddr, router: Router) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.call(request)
    });
    let serving = builder().serve_connection(TokioIo::new(connection), service).with_upgrades();
    if let Err(error) = serving.await {
        debug!(%peer, %error, "a connection ended early");
    }
}

/// Refuses a connection's first request, and closes.
async fn refuse(connection: Connection, why: &'static str) {
    let service = service_fn(async |request: Request<Incoming>| {
        let error = HttpError::unavailable(why);
        let mut answer = handshake::refuse(request.map(Body::new), Goodbye::Full(why.to_owned()), error).await;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok::<_, Infallible>(answer)
    });
    let serving = builder().serve_connection(TokioIo::new(connection), service).with_upgrades();
    // A connection without a request in time is closed without an answer.
    let _timed_out = tokio::time::timeout(HEADERS_WITHIN, serving).await;
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
    builder
}

/// Returns whether the error belongs to the accepted connection, and not to the host.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// All open connections.
#[derive(Debug)]
struct Connections {
    limits: ConnectionLimits,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    in_all: usize,
    refused: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place among the open ones. It is free again on drop.
#[derive(Debug)]
struct ConnectionSlot {
    connections: Arc<Connections>,
    /// The address; `None` for a connection that only gets its refusal.
    address: Option<IpAddr>,
}

const FULL: &str = "the host is at its limit of connections; try again later";
const ADDRESS_FULL: &str = "this address is at its limit of connections to the host; try again later. \
    If it is a proxy, the host's operator names it with --proxy";

impl Connections {
    /// Returns a place for a connection from this address.
    ///
    /// # Errors
    ///
    /// A limit is reached: its name, and a place for the refusal, if there is one.
    fn admit(
        connections: &Arc<Self>,
        address: IpAddr,
    ) -> Result<ConnectionSlot, (Option<ConnectionSlot>, &'static str)> {
        let (limits, address) = (&connections.limits, address.to_canonical());
        let place = |address| ConnectionSlot { connections: Arc::clone(connections), address };
        let source = source(address);
        let mut open = connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = open.by_address.get(&source).copied().unwrap_or_default();
        let why = if open.in_all >= limits.in_all {
            FULL
        } else if of_address >= limits.of_an_address && !limits.proxies.contains(&address) {
            ADDRESS_FULL
        } else {
            open.in_all += 1;
            open.by_address.insert(source, of_address + 1);
            return Ok(place(Some(source)));
        };
        if open.refused >= REFUSALS_MAX {
            return Err((None, why));
        }
        open.refused += 1;
        Err((Some(place(None)), why))
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(address) = self.address else {
            open.refused -= 1;
            return;
        };
        open.in_all -= 1;
        match open.by_address.get_mut(&address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.by_address.remove(&address)),
        }
    }
}

/// Returns the address, or its network with IPv6, since there each person has a whole network.
fn source(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// An open socket with its place. If the other side does not read for [`WRITE_WITHIN`], the socket is closed.
struct Connection {
    stream: TcpStream,
    /// The time when a waiting write is given up.
    stall: Option<Pin<Box<Sleep>>>,
    _place: ConnectionSlot,
}

impl Connection {
    /// Passes on the result of a write, and ends a write that has waited too long.
    fn within<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_WITHIN)));
        stall.as_mut().poll(context).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.within(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.within(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(descriptors: u64, proxies: &[&str]) -> Arc<Connections> {
        let proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
        Arc::new(Connections { limits: ConnectionLimits::new(descriptors, proxies), open: Mutex::default() })
    }

    fn admit(connections: &Arc<Connections>, address: &str, count: usize) -> Vec<ConnectionSlot> {
        (0..count).map_while(|_| Connections::admit(connections, address.parse().unwrap()).ok()).collect()
    }

    #[test]
    fn limits_leave_descriptors_for_the_journal() {
        let in_all = |descriptors| ConnectionLimits::new(descriptors, Vec::new()).in_all;
        assert_eq!(in_all(1_024), 1_024 - DESCRIPTORS_KEPT as usize);
        assert_eq!(in_all(100), 50);
        assert_eq!(in_all(u64::MAX), CONNECTIONS_MAX);
    }

    #[test]
    fn an_address_has_its_share_and_a_proxy_all() {
        let connections = connections(1_024, &["10.0.0.1"]);
        let Connections { limits: ConnectionLimits { in_all, of_an_address, .. }, .. } = *connections;
        let one = admit(&connections, "192.0.2.1", in_all);
        assert_eq!(one.len(), of_an_address);
        let mapped = admit(&connections, "::ffff:192.0.2.1", 1);
        assert!(mapped.is_empty(), "the same address in another form");
        // The owner of an IPv6 network counts as one.
        let network = admit(&connections, "2001:db8::1", of_an_address);
        assert_eq!(network.len(), of_an_address);
        assert!(admit(&connections, "2001:db8::2", 1).is_empty());
        assert_eq!(admit(&connections, "2001:db8:0:1::1", 1).len(), 1);
        let proxied = admit(&connections, "10.0.0.1", in_all);
        assert_eq!(proxied.len(), in_all - 2 * of_an_address);
        assert_eq!(Connections::admit(&connections, "192.0.2.9".parse().unwrap()).unwrap_err().1, FULL);
        drop((one, network, proxied));
        assert!(connections.open.lock().unwrap().by_address.is_empty());
        assert_eq!(admit(&connections, "192.0.2.1", in_all).len(), of_an_address);
    }

    #[test]
    fn refusals_are_limited_as_well() {
        let connections = connections(8, &[]);
        let held = admit(&connections, "192.0.2.1", 1);
        let refuse = || Connections::admit(&connections, "192.0.2.1".parse().unwrap()).unwrap_err().0;
        let refused: Vec<_> = std::iter::repeat_with(refuse).take(REFUSALS_MAX + 1).collect();
        assert_eq!(refused.iter().flatten().count(), REFUSALS_MAX);
        drop(refused);
        assert!(refuse().is_some());
        drop(held);
    }
}
