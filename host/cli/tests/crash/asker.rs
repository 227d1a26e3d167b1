//! A client over plain HTTP: one request after the other, each repeated under its number until it is answered.

use std::net::SocketAddr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reapply_sync::{ClientId, ClientKey, Number, Outcome, RoomId, Seq, Timestamp};
use reapply_testing::http;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::Order;
use crate::ledger::Ledger;

/// The pause between two requests.
const PAUSE: Duration = Duration::from_millis(5);

/// A running client. Its room is the counter's, and only its own.
#[derive(Debug)]
pub(crate) struct Asker {
    orders: watch::Sender<Order>,
    answered: watch::Receiver<Option<u64>>,
    task: JoinHandle<()>,
}

impl Asker {
    /// Starts a new client.
    pub(crate) fn start(host: SocketAddr, ledger: &Ledger, seed: u64) -> Self {
        let key = ClientKey(StdRng::seed_from_u64(seed).random());
        let (orders, orders_receiver) = watch::channel(Order::Settle);
        let (answered_sender, answered) = watch::channel(None);
        let worker = Worker {
            url: format!("http://{host}/rooms/{}", Self::room()),
            key: key.0.iter().map(|byte| format!("{byte:02x}")).collect(),
            id: key.client_id(),
            ledger: ledger.clone(),
            orders: orders_receiver,
        };
        Self { orders, answered, task: tokio::task::spawn_blocking(move || worker.run(&answered_sender)) }
    }

    /// Returns the room that it submits to.
    pub(crate) fn room() -> RoomId {
        let name = |text: &str| text.parse().expect("it is a name");
        RoomId { machine: name("counter"), room: name("asked") }
    }

    /// Gives an order.
    pub(crate) fn order(&self, order: Order) {
        self.orders.send_replace(order);
    }

    /// Returns the number of its answered requests, once all are answered.
    pub(crate) fn answered(&self) -> Option<u64> {
        *self.answered.borrow()
    }

    /// Makes the client end, and waits for it.
    pub(crate) async fn end(self) {
        self.order(Order::End);
        self.task.await.expect("a client does not panic");
    }
}

struct Worker {
    url: String,
    key: String,
    id: ClientId,
    ledger: Ledger,
    orders: watch::Receiver<Order>,
}

impl Worker {
    fn run(self, answered: &watch::Sender<Option<u64>>) {
        let mut number = 0;
        while !self.is_left() {
            let order = *self.orders.borrow();
            match order {
                Order::Press => {
                    answered.send_replace(None);
                    number += 1;
                    self.ask(number);
                }
                Order::Settle => drop(answered.send_replace(Some(number))),
                Order::End => {}
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Returns whether nobody waits for this client any more: it must end, or its test has ended.
    fn is_left(&self) -> bool {
        *self.orders.borrow() == Order::End || self.orders.has_changed().is_err()
    }

    /// Submits a transition until the host has answered with its outcome.
    fn ask(&self, number: u64) {
        let room = Asker::room();
        let headers = [("reapply-client", self.key.as_str()), ("reapply-number", &number.to_string())];
        while !self.is_left() {
            match http::try_send("POST", &self.url, &headers, Some(br#"{"Increment":1}"#)) {
                Ok(answer) if answer.status == 200 => {
                    let seq = Seq(answer.json()["seq"].as_u64().unwrap_or_default());
                    let accepted = Outcome::Accepted { seq, time: Timestamp(0) };
                    self.ledger.decided(&room, self.id, Number(number), accepted);
                    return;
                }
                Ok(answer) if matches!(answer.status, 429 | 500 | 503) => {}
                Ok(answer) => {
                    self.ledger.complain(format!("{room}: {number} was answered {}: {}", answer.status, answer.text()));
                    return;
                }
                Err(_) => {}
            }
            std::thread::sleep(PAUSE);
        }
    }
}
