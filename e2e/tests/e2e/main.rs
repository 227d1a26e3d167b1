//! The product as its users see it: the real binary and a real browser with two pages.

mod agreement;
mod auction;
mod client;
mod conflict;
mod crash;
mod joining;
mod kept;
mod newcomer;
mod offline;
mod pages;
mod past;
mod phone;
mod prediction;
mod text;
mod tic_tac_toe;
mod timer;
mod todo;
mod upgrade;
mod whiteboard;

use reapply_e2e::{Browser, Host};

/// A host that runs these guests, and a browser.
async fn start(guests: &[&str]) -> (Host, Browser) {
    let host = Host::start();
    for guest in guests {
        host.deploy(guest);
    }
    (host, Browser::start().await)
}

/// A page that has joined its room.
const LIVE: &str = "room.status === 'live'";

/// A page that is back in its room, with everything decided.
const SETTLED: &str = "room.status === 'live' && room.pending === 0";

/// For pages: `act(transition)` applies it and keeps its outcome in `outcomes`.
const OUTCOMES: &str = "
    window.outcomes = [];
    window.act = (transition) => { room.apply(transition).then((outcome) => outcomes.push(outcome)); };
";
