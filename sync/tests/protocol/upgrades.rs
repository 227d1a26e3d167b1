//! Upgrades, checkpoints and forks: their effects on a room's state, its log and its participants.

use reapply_sync::{
    Author, Batch, Chain, ClientKey, ClientMessage, Digest, Event, ForgottenClient, Hello, Input, Number, OpenError,
    Outcome, Rejection, Replay, ReplayError, Replica, Seq, Sequencer, ServerMessage, SessionId, Snapshot,
    SnapshotPolicy, Submit, Timestamp, Tried, UpgradeError, Welcome,
};

use crate::replica_scenarios::{self, send, sent};
use crate::tally::{Tally, digest, genesis, transition, try_snapshot};

const KEY: ClientKey = ClientKey([1; 16]);

fn next_digest() -> Digest {
    Digest::of(b"the next tally")
}

fn builds(_digest: Digest) -> Result<Tally, String> {
    Ok(Tally::default())
}

fn open(batches: Vec<Batch>) -> Sequencer<Tally> {
    Sequencer::open(builds, genesis().log_id(), genesis(), None, batches).unwrap()
}

fn submit(sequencer: &mut Sequencer<Tally>, upgraded: Seq, number: u64, value: u64) {
    let (author, client, transition) = (Author("a".into()), KEY.client_id(), transition(value));
    let submit = Submit { author, client, number: Number(number), upgraded, transition };
    sequencer.handle_submit(submit, Timestamp(10), 7);
}

/// Stores everything that waits, and returns it.
fn append(sequencer: &mut Sequencer<Tally>) -> Vec<Batch> {
    let mut batches = Vec::new();
    while let Some(batch) = sequencer.poll_batch() {
        batches.push((*batch).clone());
        sequencer.handle_appended();
        try_snapshot(sequencer);
    }
    batches
}

fn values(sequencer: &mut Sequencer<Tally>) -> Vec<u64> {
    sequencer.durable().1.applied.iter().map(|&(value, ..)| value).collect()
}

fn welcome(sequencer: &mut Sequencer<Tally>) -> Welcome {
    let hello = Hello::new(KEY, None);
    sequencer.welcome(&hello, SessionId(1), Author("a".into()), Timestamp(10)).0
}

/// Creates an upgraded room with a value, and returns it with all of its batches.
fn upgraded() -> (Sequencer<Tally>, Vec<Batch>) {
    let mut sequencer = open(Vec::new());
    submit(&mut sequencer, Seq(0), 1, 1);
    let mut batches = append(&mut sequencer);
    sequencer.begin_upgrade(Tally::default(), next_digest(), Timestamp(10)).unwrap();
    batches.extend(append(&mut sequencer));
    (sequencer, batches)
}

#[test]
fn an_upgrade_is_alone_in_its_batch_and_a_snapshot_and_its_checkpoint_follow_at_once() {
    let (mut sequencer, batches) = upgraded();
    let inputs: Vec<_> =
        batches.iter().map(|batch| batch.events.iter().map(|event| &event.input).collect::<Vec<_>>()).collect();
    assert_eq!(inputs[1], [&Input::Upgraded(next_digest())]);
    let snapshot = sequencer.poll_snapshot().unwrap();
    assert_eq!((snapshot.seq, snapshot.digest), (Seq(2), next_digest()));
    assert_eq!(inputs[2], [&Input::Checkpoint { seq: Seq(2), hash: snapshot.state_hash() }]);
    assert_eq!((sequencer.digest(), sequencer.upgraded()), (next_digest(), Seq(2)));
    assert_eq!(welcome(&mut sequencer).digest, next_digest());
}

#[test]
fn a_room_opens_under_the_build_that_its_log_ends_with_though_no_snapshot_was_stored() {
    let (mut sequencer, batches) = upgraded();
    let mut reopened = open(batches[..2].to_vec());
    assert_eq!(reopened.digest(), next_digest());
    assert_eq!(values(&mut reopened), values(&mut sequencer));
    let snapshot = reopened.poll_trial().expect("an upgrade's snapshot is taken again");
    assert_eq!((snapshot.seq, snapshot.digest), (Seq(2), next_digest()));
    assert!(reopened.poll_snapshot().is_none(), "it is stored before it was tried");
    reopened.handle_tried(Seq(2), Tried::Restored);
    assert_eq!(reopened.poll_snapshot(), Some(snapshot));
    // A fault after it starts from that snapshot, which the current build wrote.
    reopened.handle_fault("view", reapply_sync::Fault::Trapped("once".to_owned()));
    assert!(!reopened.is_broken());
    assert_eq!(values(&mut reopened), [1]);
}

#[test]
fn nothing_is_decided_between_an_upgrade_and_its_durability_and_a_failed_one_leaves_no_trace() {
    let mut sequencer = open(Vec::new());
    submit(&mut sequencer, Seq(0), 1, 1);
    assert_eq!(
        sequencer.begin_upgrade(Tally::default(), next_digest(), Timestamp(10)),
        Err(UpgradeError::NotSettled),
        "a batch waits"
    );
    append(&mut sequencer);
    assert_eq!(sequencer.begin_upgrade(Tally::default(), digest(), Timestamp(10)), Err(UpgradeError::IsCurrent));
    sequencer.begin_upgrade(Tally::default(), next_digest(), Timestamp(10)).unwrap();
    assert!(sequencer.is_full());
    submit(&mut sequencer, Seq(0), 2, 3);
    let batch = sequencer.poll_batch().unwrap();
    assert_eq!(batch.upgrade(), Some(next_digest()));
    submit(&mut sequencer, Seq(0), 3, 5);
    assert_eq!((welcome(&mut sequencer).digest, welcome(&mut sequencer).taken), (digest(), Number(1)));
    sequencer.handle_append_failed();
    assert!(sequencer.is_settled() && !sequencer.is_full());
    assert_eq!((sequencer.digest(), sequencer.upgraded()), (digest(), Seq(0)));
    submit(&mut sequencer, Seq(0), 2, 3);
    append(&mut sequencer);
    assert_eq!(values(&mut sequencer), [1, 3]);
}

#[test]
fn what_speaks_an_older_build_is_dropped_undecided_even_when_the_room_went_back_to_that_build() {
    let (mut sequencer, _) = upgraded();
    submit(&mut sequencer, Seq(0), 2, 3);
    assert_eq!(welcome(&mut sequencer).taken, Number(1));
    sequencer.begin_upgrade(Tally::default(), digest(), Timestamp(10)).unwrap();
    append(&mut sequencer);
    submit(&mut sequencer, Seq(0), 3, 5);
    assert_eq!(welcome(&mut sequencer).taken, Number(1), "number 2 was dropped, so 3 must not overtake it");
    let upgraded = sequencer.upgraded();
    submit(&mut sequencer, upgraded, 2, 3);
    append(&mut sequencer);
    assert_eq!(values(&mut sequencer), [1, 3]);
}

#[test]
fn a_build_that_does_not_take_the_state_over_leaves_the_room_as_it_was() {
    let mut sequencer = open(Vec::new());
    submit(&mut sequencer, Seq(0), 1, 1);
    append(&mut sequencer);
    let picky = Tally { refuses_snapshots: true, ..Tally::default() };
    let refused = sequencer.begin_upgrade(picky, next_digest(), Timestamp(10));
    assert!(matches!(refused, Err(UpgradeError::Restore(_))), "{refused:?}");
    assert!(sequencer.is_settled());
    submit(&mut sequencer, Seq(0), 2, 3);
    append(&mut sequencer);
    assert_eq!((sequencer.digest(), values(&mut sequencer)), (digest(), vec![1, 3]));
}

#[test]
fn the_alarm_of_a_room_outlives_its_upgrade() {
    let mut sequencer = open(Vec::new());
    // With three values there is an alarm.
    for (number, value) in [(1, 1), (2, 3), (3, 5)] {
        submit(&mut sequencer, Seq(0), number, value);
    }
    append(&mut sequencer);
    let due = sequencer.alarm_at();
    assert!(due.is_some());
    sequencer.begin_upgrade(Tally::default(), next_digest(), Timestamp(10)).unwrap();
    assert_eq!((sequencer.alarm_at(), sequencer.alarm_rings_at()), (due, None), "while the upgrade is on its way");
    sequencer.handle_alarm(Timestamp(20), 1);
    assert_eq!(append(&mut sequencer)[0].events.len(), 1, "it does not go off before the new build is there");
    assert_eq!((sequencer.alarm_at(), sequencer.alarm_rings_at()), (due, due));
    sequencer.handle_alarm(Timestamp(20), 1);
    append(&mut sequencer);
    assert_eq!(values(&mut sequencer).len(), 4);
}

#[test]
fn a_policy_says_when_snapshots_are_taken() {
    let mut sequencer = open(Vec::new());
    sequencer.set_snapshot_policy(SnapshotPolicy { events: Some(3), bytes: None });
    let mut checkpoints = Vec::new();
    for number in 1..=20 {
        submit(&mut sequencer, Seq(0), number, 2 * number + 1);
        let batches = append(&mut sequencer);
        let inputs = batches.iter().flat_map(|batch| &batch.events).map(|event| &event.input);
        checkpoints.extend(inputs.filter(|input| matches!(input, Input::Checkpoint { .. })).cloned());
    }
    assert_eq!(checkpoints.len(), 20 / 3, "{checkpoints:?}");
}

/// Returns a log with checkpoints, in batches of a few events.
fn log_with_checkpoints() -> Vec<Batch> {
    let mut sequencer = open(Vec::new());
    sequencer.set_snapshot_policy(SnapshotPolicy { events: Some(5), bytes: None });
    let mut batches = Vec::new();
    for number in 1..=60 {
        submit(&mut sequencer, Seq(0), number, 2 * number + 101);
        // Events since the last batch are in this one; events while it is stored come before the checkpoint that it may cause.
        if number % 4 == 0
            && let Some(batch) = sequencer.poll_batch()
        {
            submit(&mut sequencer, Seq(0), number + 1, 2 * number + 103);
            batches.push((*batch).clone());
            sequencer.handle_appended();
            try_snapshot(&mut sequencer);
        }
    }
    batches.extend(append(&mut sequencer));
    batches
}

fn check(batches: &[Batch]) -> Result<u64, ReplayError> {
    let mut replay = Replay::from_genesis(builds, &genesis())?;
    replay.check_checkpoints(true);
    let mut checkpoints = 0;
    for batch in batches {
        for event in &batch.events {
            replay.apply(event)?;
            checkpoints += u64::from(matches!(event.input, Input::Checkpoint { .. }));
        }
        replay.end_batch();
    }
    Ok(checkpoints)
}

#[test]
fn a_replay_compares_every_checkpoint_with_the_state_that_it_speaks_of() {
    let batches = log_with_checkpoints();
    let count = check(&batches).unwrap();
    assert!(count >= 4, "{count}");
    let mut found = 0;
    for (index, batch) in batches.iter().enumerate() {
        for place in 0..batch.events.len() {
            let mut forged = batches.clone();
            let Input::Checkpoint { hash, .. } = &mut forged[index].events[place].input else { continue };
            hash.0[7] ^= 1;
            let error = check(&forged).unwrap_err();
            let ReplayError::Checkpoint { event, .. } = error else { panic!("{error}") };
            assert_eq!(event, batch.events[place].seq);
            found += 1;
        }
    }
    assert_eq!(found, count);
}

#[test]
fn a_checkpoint_of_a_state_that_no_batch_ended_on_is_named() {
    let mut batches = log_with_checkpoints();
    for event in batches.iter_mut().flat_map(|batch| &mut batch.events) {
        if let Input::Checkpoint { seq, .. } = &mut event.input {
            *seq = Seq(1);
        }
    }
    let error = check(&batches).unwrap_err().to_string();
    assert!(error.contains("no batch ends there"), "{error}");
}

#[test]
fn a_log_whose_build_is_gone_does_not_open_and_says_which() {
    let (_, batches) = upgraded();
    let only_first =
        |wanted| if wanted == digest() { Ok(Tally::default()) } else { Err("it is not at hand".to_owned()) };
    let opened = Sequencer::open(only_first, genesis().log_id(), genesis(), None, batches);
    let Err(OpenError::Replay(ReplayError::Build { digest, .. })) = opened else { panic!("{opened:?}") };
    assert_eq!(digest, next_digest());
}

fn joined() -> Replica<Tally> {
    let mut replica = Replica::new(KEY, Number(0));
    replica.handle_connected();
    send(&mut replica, &ServerMessage::Welcome(welcome_at(0, &[])));
    replica.handle_machine(digest(), Tally::default());
    sent(&mut replica);
    replica
}

/// Returns the welcome of a room whose newest snapshot is that of its head, with these values.
fn welcome_at(head: u64, values: &[u64]) -> Welcome {
    replica_scenarios::welcome(replica_scenarios::snapshot(head, values), head, 0)
}

fn event(seq: u64, input: Input) -> Event {
    Event { seq: Seq(seq), time: Timestamp(5), entropy: 0, input }
}

fn others(seq: u64, value: u64) -> Event {
    let (author, client) = (Author("b".into()), ClientKey([2; 16]).client_id());
    event(seq, Input::Transition { author, client, number: Number(seq), transition: transition(value) })
}

fn shown(replica: &mut Replica<Tally>) -> Vec<u64> {
    replica.settle();
    replica.optimistic().unwrap().1.applied.iter().map(|&(value, ..)| value).collect()
}

#[test]
fn a_replica_shows_the_old_build_until_the_new_one_is_there_and_then_sends_again_what_is_pending() {
    let mut replica = joined();
    let number = replica.apply(transition(3), Timestamp(5), 0).unwrap();
    sent(&mut replica);
    send(
        &mut replica,
        &ServerMessage::Events(vec![others(1, 1), event(2, Input::Upgraded(next_digest())), others(3, 5)]),
    );
    assert_eq!(replica.needs_machine(), Some(next_digest()));
    assert_eq!(shown(&mut replica), [1, 3], "up to the upgrade, and its own");
    let second = replica.apply(transition(7), Timestamp(5), 0).unwrap();
    sent(&mut replica);
    send(&mut replica, &ServerMessage::Events(vec![others(4, 9)]));
    replica.handle_machine(next_digest(), Tally::default());
    assert_eq!(shown(&mut replica), [1, 5, 9, 3, 7]);
    assert_eq!(
        sent(&mut replica),
        [
            ClientMessage::Upgraded(Seq(2)),
            ClientMessage::Submit { number, transition: transition(3) },
            ClientMessage::Submit { number: second, transition: transition(7) },
        ]
    );
    assert_eq!(replica.poll_outcome(), None);
}

#[test]
fn what_the_new_build_does_not_know_is_rejected_as_malformed_and_the_rest_goes_on() {
    let mut replica = joined();
    let lost = replica.apply(transition(3), Timestamp(5), 0).unwrap();
    let kept = replica.apply(transition(5), Timestamp(5), 0).unwrap();
    sent(&mut replica);
    send(&mut replica, &ServerMessage::Events(vec![event(1, Input::Upgraded(next_digest()))]));
    replica.handle_machine(next_digest(), Tally { unknown: Some(3), ..Tally::default() });
    let outcome = replica.poll_outcome();
    assert!(
        matches!(&outcome, Some((number, Outcome::Rejected(Rejection::Malformed(_)))) if *number == lost),
        "{outcome:?}"
    );
    assert_eq!(shown(&mut replica), [5]);
    assert_eq!(sent(&mut replica).last(), Some(&ClientMessage::Submit { number: kept, transition: transition(5) }));
}

#[test]
fn a_replica_whose_migration_fails_asks_for_a_snapshot_and_keeps_what_is_pending() {
    let mut replica = joined();
    let number = replica.apply(transition(3), Timestamp(5), 0).unwrap();
    sent(&mut replica);
    send(&mut replica, &ServerMessage::Events(vec![event(1, Input::Upgraded(next_digest()))]));
    replica.handle_machine(next_digest(), Tally { refuses_snapshots: true, ..Tally::default() });
    let [ClientMessage::Hello(hello)] = &sent(&mut replica)[..] else { panic!("no hello") };
    assert_eq!((hello.resume, replica.pending()), (None, 1));
    assert_eq!((replica.sent_at(Number(9)), replica.sent_at(number)), (None, Some(Seq(0))));
}

#[test]
fn a_room_that_has_forgotten_a_client_gets_only_what_was_certainly_never_sent() {
    let mut replica = Replica::new(KEY, Number(50));
    replica.restore_pending(Number(3), "3".to_owned(), Timestamp(5), 0, Some(Seq(5))).unwrap();
    replica.restore_pending(Number(4), "5".to_owned(), Timestamp(5), 0, None).unwrap();
    replica.restore_pending(Number(5), "\"nonsense\"".to_owned(), Timestamp(5), 0, None).unwrap();
    assert_eq!(replica.pending(), 3);
    replica.handle_connected();
    let forgotten = ForgottenClient { seq: Seq(6), number: Number(60), known_from: None };
    let welcome = Welcome { forgotten: Some(Box::new(forgotten)), ..welcome_at(7, &[1]) };
    sent(&mut replica);
    send(&mut replica, &ServerMessage::Welcome(welcome));
    replica.handle_machine(digest(), Tally::default());
    assert_eq!(replica.poll_outcome(), Some((Number(3), Outcome::Unknown)));
    let outcome = replica.poll_outcome();
    assert!(matches!(&outcome, Some((Number(5), Outcome::Rejected(Rejection::Malformed(_))))), "{outcome:?}");
    assert_eq!(sent(&mut replica), [ClientMessage::Submit { number: Number(4), transition: transition(5) }]);
    assert_eq!(shown(&mut replica), [1, 5]);
    assert_eq!(
        replica.apply(transition(7), Timestamp(5), 0),
        Ok(Number(61)),
        "numbers that were forgotten are not used again"
    );
}

#[test]
fn a_part_of_a_batch_has_the_chain_that_the_whole_had_there() {
    let (_, batches) = upgraded();
    let whole = &log_with_checkpoints()[1];
    let before = Chain([4; 32]);
    let mut chain = before;
    for (count, encoded) in whole.encoded.iter().enumerate() {
        chain = chain.after(encoded);
        let part = whole.up_to(before, Seq(whole.expected.0 + count as u64 + 1));
        assert_eq!((part.events.len(), part.chain), (count + 1, chain));
        assert_eq!(&part.events[..], &whole.events[..=count]);
    }
    let fork = Input::Forked { room: genesis().room, nonce: 3 };
    let forked = Batch::of_one(batches[0].last(), batches[0].chain, Timestamp(9), fork);
    assert_eq!(forked.last(), batches[0].last().next());
    assert_ne!(forked.chain.log_id(), genesis().log_id());
}

#[test]
fn a_replay_from_a_snapshot_compares_the_checkpoint_of_its_first_state_and_none_of_earlier_ones() {
    let batches = log_with_checkpoints();
    let mut before = Replay::from_genesis(builds, &genesis()).unwrap();
    let mut of_first_states = 0;
    for (index, batch) in batches.iter().enumerate() {
        batch.events.iter().for_each(|event| before.apply(event).unwrap());
        let (state_version, state) = before.snapshot().unwrap();
        let snapshot = Snapshot {
            seq: before.seq(),
            digest: before.digest(),
            state_version,
            time: before.time(),
            chain: batch.chain,
            clients: Vec::new(),
            forgotten: None,
            present: Vec::new(),
            state,
        };
        let rest = || batches[index + 1..].iter().cloned();
        check_from(&snapshot, rest()).unwrap_or_else(|error| panic!("from {}: {error}", snapshot.seq));
        let mut forged: Vec<Batch> = rest().collect();
        for event in forged.iter_mut().flat_map(|batch| &mut batch.events) {
            if let Input::Checkpoint { seq, hash } = &mut event.input
                && *seq == snapshot.seq
            {
                hash.0[7] ^= 1;
                of_first_states += 1;
                assert!(matches!(check_from(&snapshot, forged), Err(ReplayError::Checkpoint { .. })));
                break;
            }
        }
        // A checkpoint that came two batches after its state, in a log that now begins with the batch between.
        let late = Input::Checkpoint { seq: Seq(snapshot.seq.0 - 1), hash: Digest([7; 32]) };
        let late = Batch::of_one(snapshot.seq, snapshot.chain, snapshot.time, late);
        check_from(&snapshot, [late]).unwrap();
    }
    assert!(of_first_states > 0, "no checkpoint spoke of a state that a replay began with");
}

fn check_from(snapshot: &Snapshot, batches: impl IntoIterator<Item = Batch>) -> Result<(), ReplayError> {
    let mut replay = Replay::from_snapshot(builds, snapshot)?;
    replay.check_checkpoints(true);
    for batch in batches {
        batch.events.iter().try_for_each(|event| replay.apply(event))?;
        replay.end_batch();
    }
    Ok(())
}
