//! Each way in which a new build can fail in a room, planted in a hand-written machine. The gate names the step and the place.

use std::path::Path;

use reapply_testing::machine_wat::MachineWat;
use reapply_testing::{Host, http};
use serde_json::json;

use crate::{PROGRAM, build_of, refused, submit};

/// A build that works in a new room, whose state is 0, and fails in a room whose state is 3.
struct Failing {
    machine: MachineWat,
    /// The gate's expected message.
    says: &'static str,
}

fn failing() -> Vec<Failing> {
    let case = |says, machine| Failing { machine, says };
    let well = MachineWat::default;
    vec![
        case(
            "the new build cannot restore the state at 3: too old",
            MachineWat {
                more: "(data (i32.const 8) \"too old\")",
                restore: "(if (i32.eq (i32.load (local.get $snapshot)) (i32.const 3))
                            (then (return (call $err (i32.const 8) (i32.const 7)))))
                          (call $ok (call $new (i32.load (local.get $snapshot))))",
                ..well()
            },
        ),
        case(
            "the new build cannot restore the state at 3: the machine exhausted its fuel",
            MachineWat {
                restore: "(loop $again (br_if $again (i32.eq (i32.load (local.get $snapshot)) (i32.const 3))))
                          (call $ok (call $new (i32.load (local.get $snapshot))))",
                ..well()
            },
        ),
        case(
            "the new build cannot play the event at 2: the machine trapped",
            MachineWat {
                apply: "(if (i32.eq (local.get $state) (i32.const 1)) (then unreachable))
                        (call $ok (call $new (i32.add (local.get $state) (local.get $length))))",
                ..well()
            },
        ),
        case(
            "the new build cannot play the event at 3: the machine exhausted its fuel",
            MachineWat {
                apply: "(loop $again (br_if $again (i32.eq (local.get $state) (i32.const 2))))
                        (call $ok (call $new (i32.add (local.get $state) (local.get $length))))",
                ..well()
            },
        ),
        case(
            "the new build cannot show the state at 3: the machine trapped",
            MachineWat {
                view: "(if (i32.eq (local.get $state) (i32.const 3)) (then unreachable))
                       (i32.store8 (i32.const 16) (i32.const 48)) (call $bytes (i32.const 16) (i32.const 1))",
                ..well()
            },
        ),
        case(
            "the new build cannot take a snapshot of the state at 3: the machine trapped",
            MachineWat {
                snapshot: "(if (i32.eq (local.get $state) (i32.const 3)) (then unreachable))
                           (i32.store (i32.const 16) (local.get $state)) (call $bytes (i32.const 16) (i32.const 4))",
                ..well()
            },
        ),
        case(
            "the new build cannot tell the alarm of the state at 3: the machine trapped",
            MachineWat {
                alarm: "(if (i32.eq (local.get $state) (i32.const 3)) (then unreachable))
                        (i64.store (i32.const 96) (i64.const 0)) (i32.const 96)",
                ..well()
            },
        ),
    ]
}

#[test]
fn each_way_to_fail_a_room_is_found_and_named_with_its_place() {
    let host = Host::start_program(Path::new(PROGRAM), &[]);
    let folder = tempfile::tempdir().unwrap();
    let deploy = |machine: &MachineWat| {
        let file = folder.path().join("machine.wasm");
        std::fs::write(&file, machine.component()).unwrap();
        host.deploy_file("wat", &file)
    };
    let well = deploy(&MachineWat::default());
    for _ in 0..3 {
        submit(&host, "wat/a", &json!(1));
    }
    let events = host.events("wat/a");
    for Failing { machine, says } in &failing() {
        let digest = deploy(machine);
        let told = refused(&host, &["wat", "--to", &digest]);
        assert!(told.contains(&format!("fails    wat/a: {says}")), "{says:?} is missing: {told}");
        assert_eq!((build_of(&host, "wat/a"), host.events("wat/a")), (well.clone(), events.clone()));
    }
    // A room whose state is still below 3 can be upgraded to any of them.
    assert_eq!(http::put(&host.url("/rooms/wat/new"), b"").status, 201);
    crate::upgrade(&host, &["wat/new", "--to", &well]);
    assert_eq!(build_of(&host, "wat/new"), well);
}
