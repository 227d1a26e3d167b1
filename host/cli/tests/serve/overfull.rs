//! A room whose machine writes snapshots above the limit: it refuses transitions once its log has outgrown what a recovery may cost, and goes on
//! when a snapshot succeeds.

use std::path::Path;

use reapply_sync::limits::{OVERFULL_TAIL_BYTES_MIN, SNAPSHOT_BYTES_MAX, TRANSITION_BYTES_MAX};
use reapply_sync::{Event, Input, Rejection, ServerMessage};
use reapply_testing::machine_wat::MachineWat;
use reapply_testing::{Host, until};
use serde_json::json;

use crate::PROGRAM;
use crate::unrestorable::{deploy, snapshots};
use reapply_testing::Session;

/// Transitions that are submitted before their answers are awaited.
const AT_ONCE: u64 = 32;

/// A machine that collects garbage and writes it into its snapshots, which so have one byte more than the limit. An instance in which the room was
/// opened again, by many events at once, has none when it writes its first snapshot after that of the empty state.
fn careless() -> MachineWat {
    const { assert!(SNAPSHOT_BYTES_MAX == 67_108_864, "the snapshot below has one byte more") };
    MachineWat {
        more: "(global $applied (mut i32) (i32.const 0)) (global $written (mut i32) (i32.const 0))",
        apply: "(global.set $applied (i32.add (global.get $applied) (i32.const 1)))
            (call $ok (call $new (i32.add (local.get $state) (local.get $length))))",
        snapshot: "(global.set $written (i32.add (global.get $written) (i32.const 1)))
            (if (result i32)
                (i32.or
                    (i32.eqz (local.get $state))
                    (i32.and (i32.eq (global.get $written) (i32.const 2)) (i32.gt_u (global.get $applied) (i32.const 400))))
                (then (i32.store (i32.const 16) (local.get $state)) (call $bytes (i32.const 16) (i32.const 4)))
                (else
                    (if (i32.lt_u (memory.size) (i32.const 1030))
                        (then (drop (memory.grow (i32.const 1030)))))
                    (call $bytes (i32.const 131072) (i32.const 67108865))))",
        ..MachineWat::default()
    }
}

/// Reads until the number is accepted, or returns why it was rejected.
pub(crate) async fn decided(session: &mut Session, number: u64) -> Result<(), Rejection> {
    let is_own = |event: &Event| matches!(event.input, Input::Transition { number: found, .. } if found.0 == number);
    loop {
        match session.next().await.expect("the session goes on") {
            ServerMessage::Events(events) if events.iter().any(is_own) => return Ok(()),
            ServerMessage::Rejected { number: found, why } if found.0 == number => return Err(why),
            _ => {}
        }
    }
}

/// Submits the largest transitions until one is rejected. Returns why.
async fn fill(session: &mut Session) -> Rejection {
    let most = (OVERFULL_TAIL_BYTES_MIN / TRANSITION_BYTES_MAX) as u64 + 2 * AT_ONCE;
    for last in (AT_ONCE..=most).step_by(AT_ONCE as usize) {
        for number in last - AT_ONCE + 1..=last {
            session.submit(number, vec![b'x'; TRANSITION_BYTES_MAX]).await;
        }
        if let Err(why) = decided(session, last).await {
            return why;
        }
    }
    panic!("{most} transitions were accepted without a snapshot");
}

#[tokio::test]
async fn a_room_that_cannot_take_a_snapshot_refuses_transitions_until_it_can() {
    let mut host = Host::start_program(Path::new(PROGRAM), &[]);
    deploy(&host, &careless());
    let mut session = Session::join(&host, "wat/lobby", 1).await;
    let why = fill(&mut session).await;
    let Rejection::Overfull { bytes, bytes_max } = why else { panic!("{why}") };
    assert_eq!(bytes_max, OVERFULL_TAIL_BYTES_MIN as u64);
    assert!((bytes_max..bytes_max + 2 * AT_ONCE * TRANSITION_BYTES_MAX as u64).contains(&bytes), "{bytes}");
    host.wait_for_log("until it can it takes no more transitions");
    // Each is answered so, with its own name, and leaves no trace in the log. The room can be read and entered.
    let transition = json!("edit").to_string();
    let head = host.room("wat/lobby")["seq"].as_u64().unwrap();
    for _ in 0..3 {
        let answer = host.submit("wat/lobby", &transition);
        assert_eq!(answer.status, 507, "{}", answer.text());
        let (kind, message) = answer.error();
        assert_eq!(kind, "overfull");
        assert!(message.contains(&format!("the limit is {OVERFULL_TAIL_BYTES_MIN}")), "{message}");
    }
    assert_eq!((host.room("wat/lobby")["seq"].as_u64(), snapshots(&host, "lobby")), (Some(head), vec![]));
    drop(Session::join(&host, "wat/lobby", 2).await);
    drop(session);
    // After a start a snapshot succeeds, and the room goes on from there.
    host.stop();
    host.restart();
    until("the room takes transitions", async || {
        let answer = host.submit("wat/lobby", &transition);
        if answer.status == 200 { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    host.stop();
    assert_eq!(snapshots(&host, "lobby").len(), 1);
}
