//! (k) A good room beside rooms that work as hard as they may: one writer's latency, against the same room alone in the same run.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, ensure};
use reapply_testing::machine_wat::{MachineWat, describe};

use crate::histogram::Histogram;
use crate::host::{Bench, ENTRIES, Host};
use crate::report::{Table, count, medians, ms};
use crate::session::Session;

/// The number of rooms that each kind of attacker works in at once, with one request outstanding in each.
const ROOMS: usize = 4;

/// The number of transitions that make a room expensive to recover before its machine traps.
const TAIL: usize = 8;

/// A load on the host beside the good room.
struct Attack {
    what: &'static str,
    machine: fn() -> MachineWat,
    /// The transitions that each room begins with.
    prepare: &'static [&'static str],
    ask: Ask,
}

#[derive(Clone, Copy)]
enum Ask {
    Nothing,
    /// Submits this, each time as another participant.
    Submit(&'static str),
    /// Submits a transition, and looks at the room.
    View,
    /// Asks for the machine.
    Describe,
}

const ATTACKS: [Attack; 6] = [
    Attack { what: "alone", machine: MachineWat::default, prepare: &[], ask: Ask::Nothing },
    Attack { what: "transitions without end", machine: spinning, prepare: &["1"; TAIL], ask: Ask::Submit("123456789") },
    Attack { what: "traps after a dear tail", machine: trapping, prepare: &["1"; TAIL], ask: Ask::Submit("123456789") },
    Attack { what: "views of about 0.8 s", machine: showing, prepare: &["1"], ask: Ask::View },
    Attack { what: "dear destructors", machine: dropping, prepare: &["1"; 2], ask: Ask::Submit("1") },
    Attack { what: "schemas of 1 MiB", machine: describing, prepare: &["1"], ask: Ask::Describe },
];

/// Counts to some millions: about 20 million units of fuel.
const COUNT: &str = "(local $left i32) (local.set $left (i32.const 4000000))
    (loop $count (br_if $count (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))";

const ADD: &str = "(call $ok (call $new (i32.add (local.get $state) (local.get $length))))";

fn spinning() -> MachineWat {
    let apply = format!("(if (i32.eq (local.get $length) (i32.const 9)) (then (loop $spin (br $spin)))) {ADD}");
    MachineWat { apply: apply.leak(), ..MachineWat::default() }
}

fn trapping() -> MachineWat {
    let apply = format!("{COUNT} (if (i32.eq (local.get $length) (i32.const 9)) (then (unreachable))) {ADD}");
    MachineWat { apply: apply.leak(), ..MachineWat::default() }
}

fn showing() -> MachineWat {
    let plain = MachineWat::default();
    let view = format!("{} {}", COUNT.replace("4000000", "240000000"), plain.view);
    MachineWat { view: view.leak(), ..plain }
}

fn dropping() -> MachineWat {
    MachineWat { drop: COUNT.replace("4000000", "40000000").leak(), ..MachineWat::default() }
}

fn describing() -> MachineWat {
    let schemas = format!("{{\"options\":\"{}\"}}", "x".repeat((1 << 20) - 14));
    MachineWat { describe: describe("attacker", 1, &schemas), memory: "40", ..MachineWat::default() }
}

pub(crate) async fn run(bench: &Bench) -> anyhow::Result<()> {
    let title = "(k) One writer beside rooms that work as hard as they may";
    let table = Table::new(title, &["beside", "p50", "p99", "p99 against alone", "their requests per second"]);
    let mut runs = vec![Vec::new(); ATTACKS.len()];
    for _ in 0..bench.scale.runs {
        let mut alone = 0.0;
        for (attack, runs) in ATTACKS.iter().zip(&mut runs) {
            let [p50, p99, asked] = measure(bench, attack).await.context(attack.what)?;
            if matches!(attack.ask, Ask::Nothing) {
                alone = p99;
            }
            runs.push([p50, p99, p99 / alone, asked]);
        }
    }
    for (attack, runs) in ATTACKS.iter().zip(&runs) {
        let [p50, p99, ratio, asked] = medians(runs);
        table.row(&[attack.what.into(), ms(p50), ms(p99), format!("{ratio:.1}"), count(asked)]);
    }
    Ok(())
}

async fn measure(bench: &Bench, attack: &Attack) -> anyhow::Result<[f64; 3]> {
    let data = bench.directory()?;
    let host = bench.start(data.path(), &[])?;
    deploy(bench, &host, data.path(), &(attack.machine)())?;
    let room = bench.new_room();
    host.create_room(&room, ENTRIES)?;
    let mut session = Session::enter(host.address, &room).await?;
    for index in 0..ROOMS {
        attack.prepare.iter().try_for_each(|transition| submit(&host.url(), index, transition).map(drop))?;
    }
    let attackers = Attackers::start(&host, attack.ask);
    let (mut histogram, began) = (Histogram::default(), Instant::now());
    while began.elapsed() < bench.scale.load_for || (attackers.asked() == 0 && !matches!(attack.ask, Ask::Nothing)) {
        let submitted = Instant::now();
        session.push_submit(0);
        session.socket.flush().await?;
        while session.outstanding() > 0 {
            session.read(|_| {}).await?;
        }
        histogram.record(submitted.elapsed());
    }
    let per_second = attackers.asked() as f64 / began.elapsed().as_secs_f64();
    attackers.stop();
    ensure!(host.head(&room)? >= histogram.count(), "the room's log has fewer events than were confirmed");
    Ok([histogram.quantile_ms(0.5), histogram.quantile_ms(0.99), per_second])
}

fn deploy(bench: &Bench, host: &Host, data: &Path, machine: &MachineWat) -> anyhow::Result<()> {
    let file = data.join("attacker.wasm");
    std::fs::write(&file, machine.component())?;
    bench.deploy_as(host, "attacker", &file)
}

/// Threads that send requests, one after the other.
struct Attackers {
    is_over: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
}

impl Attackers {
    fn start(host: &Host, ask: Ask) -> Self {
        let attackers = Self { is_over: Arc::default(), asked: Arc::default() };
        let rooms = if matches!(ask, Ask::Nothing) { 0 } else { ROOMS };
        for room in 0..rooms {
            let (url, is_over, asked) = (host.url(), attackers.is_over.clone(), attackers.asked.clone());
            // The threads end with the host, if not before.
            thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) && put(&url, room, ask).is_ok() {
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        attackers
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    fn stop(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn put(url: &str, room: usize, ask: Ask) -> anyhow::Result<()> {
    match ask {
        Ask::Nothing => Ok(()),
        Ask::Submit(transition) => submit(url, room, transition),
        Ask::View => {
            submit(url, room, "1")?;
            get(&format!("{url}/rooms/attacker/{room}"))
        }
        Ask::Describe => get(&format!("{url}/machines/attacker")),
    }
}

/// Submits as a new participant. A rejection is an answer as well.
fn submit(url: &str, room: usize, transition: &str) -> anyhow::Result<()> {
    answered(ureq::post(format!("{url}/rooms/attacker/{room}")).send(transition))
}

fn get(url: &str) -> anyhow::Result<()> {
    answered(ureq::get(url).call())
}

fn answered(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> anyhow::Result<()> {
    match answer {
        Ok(mut answer) => drop(answer.body_mut().read_to_vec()?),
        Err(ureq::Error::StatusCode(409..=429)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
