//! A room's front goes on while its machine takes long: signals, and the view of the newest state once that was made.
#![cfg(target_os = "linux")]

use std::path::Path;

use reapply_sync::ServerMessage;
use reapply_testing::machine_wat::MachineWat;
use reapply_testing::{Host, until};

use super::crowding::{deploy, ping, signal, until_it_lasts};
use super::stopping::processor_ticks;
use crate::PROGRAM;
use reapply_testing::Session;

/// Returns a machine that traps on a transition of nine bytes, and whose `restore`, with which a room recovers from that, counts to so many millions.
fn slow_to_recover(millions: usize) -> MachineWat {
    let restore = format!(
        "(local $left i32) (local.set $left (i32.const {millions}000000))
         (loop $count (br_if $count (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
         (call $ok (call $new (i32.load (local.get $snapshot))))"
    );
    MachineWat {
        restore: Box::leak(restore.into_boxed_str()),
        apply: "(if (i32.eq (local.get $length) (i32.const 9)) (then (unreachable)))
            (call $ok (call $new (i32.add (local.get $state) (local.get $length))))",
        ..MachineWat::default()
    }
}

/// Reads until `is_awaited`.
async fn read_until(session: &mut Session, is_awaited: impl Fn(&ServerMessage) -> bool) {
    while !is_awaited(&session.next().await.expect("the session goes on")) {}
}

/// Makes the room `slow/room` recover, has `go_on` do something meanwhile, and returns whether that was done before the recovery was.
async fn outlasts(millions: usize, go_on: impl AsyncFn(&Host, &mut Session, &mut Session)) -> bool {
    let host = Host::start_program(Path::new(PROGRAM), &[]);
    deploy(&host, "slow", &slow_to_recover(millions)).unwrap();
    let mut culprit = Session::join(&host, "slow/room", 1).await;
    let mut speaker = Session::join(&host, "slow/room", 2).await;
    let mut listener = Session::join(&host, "slow/room", 3).await;
    listener.events_to(3).await;
    assert_eq!(host.room("slow/room")["seq"], 3);
    let before = processor_ticks(&host);
    culprit.submit(1, vec![0; 9]).await;
    let told = tokio::spawn(async move { culprit.rejection().await });
    until("the room recovers", async || match processor_ticks(&host) - before {
        ticks if ticks > 3 || told.is_finished() => Ok(()),
        ticks => Err(format!("{ticks} ticks of processor time")),
    })
    .await;
    go_on(&host, &mut speaker, &mut listener).await;
    // What the host has written before this answer has come as well.
    speaker.say(&ping(1)).await;
    read_until(&mut speaker, |message| matches!(message, ServerMessage::Pong(1))).await;
    let is_recovering = !told.is_finished();
    told.await.unwrap();
    is_recovering
}

#[tokio::test]
async fn signals_do_not_wait_for_a_turn_of_their_room() {
    until_it_lasts(160, 320, async |millions| {
        outlasts(millions, async |_, speaker, listener| {
            for number in 0..10_u8 {
                speaker.say(&signal(vec![number])).await;
                let is_it = |message: &ServerMessage| matches!(message, ServerMessage::Signals(signals) if signals[0].body[..] == [number]);
                read_until(listener, is_it).await;
            }
        })
        .await
    })
    .await;
}

#[tokio::test]
async fn a_view_that_was_made_does_not_wait_for_a_turn_of_its_room() {
    until_it_lasts(160, 320, async |millions| {
        outlasts(millions, async |host, _, _| assert!(host.room("slow/room")["seq"].as_u64() >= Some(3))).await
    })
    .await;
}
