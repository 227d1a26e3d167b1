//! A running machine: the names of its faults, its state after them, and the content of its handles.

use bytes::Bytes;
use reapply_machine::{Build, Engine, Instance, State, check};
use reapply_sync::{
    ApplyError, Author, ClientId, Event, Fault, Input, LoadError, Machine, Number, Refusal, Seq, Timestamp,
};
use reapply_testing::machine_wat::MachineWat;

fn build(wat: &MachineWat) -> Build {
    check(&Engine::new(None).unwrap(), &wat.component()).unwrap().build
}

fn event(transition: &[u8]) -> Event {
    let input = Input::Transition {
        author: Author("ada".into()),
        client: ClientId([1; 16]),
        number: Number(1),
        transition: Bytes::copy_from_slice(transition),
    };
    Event { seq: Seq(1), time: Timestamp(2), entropy: 3, input }
}

/// Returns the state's number, by its snapshot.
fn number(instance: &mut Instance, state: &State) -> u32 {
    u32::from_le_bytes(instance.snapshot(state).unwrap().as_ref().try_into().unwrap())
}

/// Returns the fault of a transition of one byte, after a check that the machine works as before once it is reset.
fn fault_of(wat: MachineWat) -> Fault {
    let mut instance = build(&wat).instantiate().unwrap();
    let state = instance.create("").unwrap();
    let snapshot = instance.snapshot(&state).unwrap();
    let Err(ApplyError::Fault(fault)) = instance.apply(&state, &event(b"x")) else { panic!("it did not fault") };

    let Err(ApplyError::Fault(Fault::Trapped(why))) = instance.apply(&state, &event(b"")) else { panic!("it went on") };
    assert!(why.contains("not reset"), "{why}");
    instance.reset().unwrap();
    let restored = instance.restore(&snapshot, 1).unwrap();
    let next = instance.apply(&restored, &event(b"")).unwrap();
    assert_eq!(instance.snapshot(&next).unwrap(), snapshot);

    // The state from before the reset is inert: useless and harmless.
    let Err(Fault::Trapped(why)) = instance.snapshot(&state) else { panic!("a lost state answered") };
    assert!(why.contains("lost"), "{why}");
    drop(state);
    assert_eq!(instance.snapshot(&next).unwrap(), snapshot);
    fault
}

/// Does `harm` when the transition has a byte.
fn harmful(harm: &'static str) -> MachineWat {
    MachineWat { apply: harm, ..MachineWat::default() }
}

#[test]
fn a_panic_is_a_trap() {
    let fault =
        fault_of(harmful("(if (local.get $length) (then unreachable)) (call $ok (call $new (local.get $state)))"));
    assert_eq!(fault, Fault::Trapped("it panicked, or `unreachable` was executed otherwise".into()));
}

#[test]
fn an_endless_loop_exhausts_the_fuel() {
    let fault =
        fault_of(harmful("(if (local.get $length) (then (loop (br 0)))) (call $ok (call $new (local.get $state)))"));
    assert!(matches!(&fault, Fault::Exhausted(what) if what.contains("fuel")), "{fault}");
}

#[test]
fn a_loop_of_bulk_instructions_exhausts_the_fuel_as_well() {
    let fault = fault_of(harmful(
        "(if (local.get $length)
           (then (loop (memory.fill (i32.const 65536) (i32.const 0) (i32.const 65536)) (br 0))))
         (call $ok (call $new (local.get $state)))",
    ));
    assert!(matches!(&fault, Fault::Exhausted(what) if what.contains("fuel")), "{fault}");
}

#[test]
fn memory_is_exhausted_at_the_growth_and_not_after() {
    // The machine would answer 0xffffffff if it saw the refusal, which a browser might not give.
    let fault = fault_of(harmful(
        "(local $grown i32)
         (if (local.get $length)
           (then (loop
             (local.set $grown (memory.grow (i32.const 100)))
             (br_if 0 (i32.ne (local.get $grown) (i32.const -1))))
             (return (call $ok (call $new (local.get $grown))))))
         (call $ok (call $new (local.get $state)))",
    ));
    assert_eq!(fault, Fault::Exhausted("memory (64 MiB)".into()));
}

#[test]
fn a_memorys_own_maximum_is_the_machines_to_handle() {
    let wat = MachineWat { memory: "2 3", apply: GROW, ..MachineWat::default() };
    let mut instance = build(&wat).instantiate().unwrap();
    let state = instance.create("").unwrap();
    let state = instance.apply(&state, &event(b"x")).unwrap();
    assert_eq!(number(&mut instance, &state), u32::MAX);
}

const GROW: &str = "(call $ok (call $new (memory.grow (i32.const 100))))";

#[test]
fn endless_recursion_is_a_trap_of_the_stack() {
    let fault = fault_of(MachineWat {
        more: "(func $deep (param i32) (result i32) (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))",
        ..harmful(
            "(if (local.get $length) (then (drop (call $deep (i32.const 0)))))
             (call $ok (call $new (local.get $state)))",
        )
    });
    assert_eq!(fault, Fault::Trapped("its stack overflowed".into()));
}

#[test]
fn a_result_that_is_none_is_a_trap() {
    // A string that is not UTF-8, a list out of bounds, and a result out of bounds.
    for body in [
        "(i32.store (i32.const 16) (i32.const -1)) (return (call $conflict (i32.const 16) (i32.const 4)))",
        "(return (call $conflict (i32.const 16) (i32.const 0x7fffffff)))",
        "(return (i32.const -4))",
    ] {
        let apply = format!("(if (local.get $length) (then {body})) (call $ok (call $new (local.get $state)))");
        let fault = fault_of(harmful(apply.leak()));
        assert!(matches!(fault, Fault::Trapped(_)), "{fault}");
    }
}

#[test]
fn a_fault_in_a_states_destructor_shows_at_the_next_call() {
    let wat = MachineWat {
        drop: "(if (i32.eq (local.get $state) (i32.const 1)) (then unreachable))",
        ..MachineWat::default()
    };
    let mut instance = build(&wat).instantiate().unwrap();
    let state = instance.create("").unwrap();
    drop(instance.apply(&state, &event(b"x")).unwrap());
    assert!(matches!(instance.snapshot(&state), Err(Fault::Trapped(_))));
    instance.reset().unwrap();
    assert!(instance.create("").is_ok());
}

#[test]
fn a_replay_has_more_fuel_for_destructors_than_a_judgement() {
    // Each drop takes one and a half times the fuel that judging new events leaves for drops.
    let wat = MachineWat {
        drop: "(local $left i32) (local.set $left (i32.const 1500))
               (loop
                 (memory.fill (i32.const 65536) (i32.const 0) (i32.const 2000000))
                 (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                 (br_if 0 (local.get $left)))",
        memory: "40",
        ..MachineWat::default()
    };
    let mut instance = build(&wat).instantiate().unwrap();
    let state = instance.create("").unwrap();
    let state = instance.reapply(&state, &event(b"x")).unwrap();
    let state = instance.reapply(&state, &event(b"x")).unwrap();
    assert!(instance.snapshot(&state).is_ok());
    let next = instance.apply(&state, &event(b"x")).unwrap();
    drop(state);
    assert!(matches!(instance.apply(&next, &event(b"x")), Err(ApplyError::Fault(Fault::Exhausted(_)))));
}

#[test]
fn a_refusal_leaves_the_machine_and_the_state_as_they_were() {
    let conflict = "(if (i32.eq (local.get $length) (i32.const 9))
        (then (i32.store (i32.const 16) (i32.const 0x7b7d7b7d)) (return (call $conflict (i32.const 18) (i32.const 2)))))
      (call $ok (call $new (i32.add (local.get $state) (local.get $length))))";
    let mut instance = build(&harmful(conflict)).instantiate().unwrap();
    let zero = instance.create("").unwrap();
    let two = instance.apply(&zero, &event(b"xx")).unwrap();
    let refused = instance.apply(&two, &event(b"123456789")).err().unwrap();
    assert_eq!(refused, ApplyError::Refused(Refusal::Conflict("}{".into())));
    let three = instance.apply(&two, &event(b"x")).unwrap();
    // Both handles still mean the same states.
    let numbers = [&zero, &two, &three].map(|state| number(&mut instance, state));
    assert_eq!(numbers, [0, 2, 3]);
}

#[test]
fn a_conflict_over_the_limit_is_still_json() {
    let long = "(memory.fill (i32.const 8192) (i32.const 49) (i32.const 5000)) (call $conflict (i32.const 8192) (i32.const 5000))";
    let mut instance = build(&harmful(long)).instantiate().unwrap();
    let state = instance.create("").unwrap();
    let Err(ApplyError::Refused(Refusal::Conflict(conflict))) = instance.apply(&state, &event(b"")) else { panic!() };
    let conflict: String = serde_json::from_str(&conflict).unwrap();
    assert_eq!(conflict, "the conflict has 5000 bytes; the limit is 4096");
}

#[test]
fn a_refused_load_is_no_fault() {
    let wat = MachineWat {
        create: "(if (local.get $options_length) (then (return (call $err (local.get $options) (local.get $options_length)))))
                 (call $ok (call $new (i32.const 0)))",
        ..MachineWat::default()
    };
    let mut instance = build(&wat).instantiate().unwrap();
    assert_eq!(instance.create("why").err().unwrap(), LoadError::Refused("why".into()));
    let LoadError::Refused(cut) = instance.create(&"ü".repeat(2000)).err().unwrap() else { panic!() };
    assert!(cut.len() < 1100 && cut.ends_with('…'));
    assert!(instance.create("").is_ok());
    assert_eq!(instance.encode("{}").unwrap(), Bytes::from_static(b"{}"));
    assert_eq!(instance.decode(b"[]").unwrap(), "[]");
}

#[test]
fn dropped_handles_free_the_machines_memory() {
    // Each state holds 64 KiB: a page that its destructor gives back to a list of free ones.
    let wat = MachineWat {
        more: r#"
          (global $free (mut i32) (i32.const 0))
          (func $page (result i32) (local $at i32)
            (if (result i32) (global.get $free)
              (then
                (local.set $at (global.get $free))
                (global.set $free (i32.load (local.get $at)))
                (local.get $at))
              (else (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))))"#,
        create: "(call $ok (call $new (call $page)))",
        restore: "(call $ok (call $new (call $page)))",
        apply: "(call $ok (call $new (call $page)))",
        snapshot: "(call $bytes (i32.const 16) (i32.const 4))",
        drop: "(i32.store (local.get $state) (global.get $free)) (global.set $free (local.get $state))",
        ..MachineWat::default()
    };
    let mut instance = build(&wat).instantiate().unwrap();
    let mut state = instance.create("").unwrap();
    for _ in 0..100_000 {
        state = instance.apply(&state, &event(b"x")).unwrap();
    }

    // Handles may be dropped elsewhere; and those that are kept do count.
    std::thread::spawn(move || drop(state)).join().unwrap();
    let state = instance.create("").unwrap();
    let mut kept = Vec::new();
    let fault = loop {
        match instance.apply(&state, &event(b"x")) {
            Ok(next) => kept.push(next),
            Err(error) => break error,
        }
    };
    assert_eq!(fault, ApplyError::Fault(Fault::Exhausted("memory (64 MiB)".into())));
    assert!(kept.len() > 900, "{}", kept.len());
}

#[test]
fn instances_share_nothing_and_go_to_any_thread() {
    let build = build(&MachineWat::default());
    let threads: Vec<_> = (0..8u32)
        .map(|count| {
            let build = build.clone();
            std::thread::spawn(move || {
                let mut instance = build.instantiate().unwrap();
                let mut state = instance.create("").unwrap();
                for _ in 0..count {
                    state = instance.apply(&state, &event(b"xyz")).unwrap();
                }
                number(&mut instance, &state)
            })
        })
        .collect();
    let numbers: Vec<u32> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(numbers, (0..8).map(|count| count * 3).collect::<Vec<_>>());
}

#[test]
fn a_state_that_could_be_made_can_be_made_again_however_large_it_has_become() {
    let component = std::fs::read(guest_components::component("cells")).unwrap();
    let build = check(&Engine::new(None).unwrap(), &component).unwrap().build;
    let mut instance = build.instantiate().unwrap();
    let state = instance.create("{\"entries\":900000}").unwrap();
    let snapshot = instance.snapshot(&state).unwrap();
    assert!(snapshot.len() > 5 << 20, "{}", snapshot.len());
    let state_version = instance.state_version();
    drop(state);
    let mut other = build.instantiate().unwrap();
    let restored = other.restore(&snapshot, state_version).unwrap();
    assert_eq!(other.snapshot(&restored).unwrap(), snapshot);
}
