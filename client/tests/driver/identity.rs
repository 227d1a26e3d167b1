//! The identity of a page: its questions, and its conclusions from the answers.

use reapply_client_core::identity::Patience;
use reapply_client_core::*;
use reapply_sync::ClientKey;

const OWN: ClientKey = ClientKey([1; 16]);
const OTHER: ClientKey = ClientKey([2; 16]);

/// Gives these answers in order. Returns the identity at the end.
fn arrive(wish: Wish, has_locks: bool, answers: &[(Ask, Answer)]) -> Option<Identity> {
    let (mut arrival, mut step) = Arrival::begin(wish, has_locks, &mut || 7);
    for (expected, answer) in answers {
        let Step::Ask(ask) = step else { panic!("{expected:?} is not asked: {step:?}") };
        assert_eq!(ask, *expected);
        step = arrival.answer(answer.clone(), &mut || 7);
    }
    let Step::End(identity) = step else { panic!("not the end: {step:?}") };
    identity
}

fn drawn() -> ClientKey {
    ClientKey(((7_u128 << 64) | 7).to_be_bytes())
}

fn left() -> Left {
    Left { reserved: 5, entries: Vec::new() }
}

fn be_new() -> [(Ask, Answer); 2] {
    [
        (Ask::LockKey(drawn(), Patience::Endless), Answer::Is(true)),
        (Ask::LockRoom(drawn(), Patience::Steal), Answer::Is(true)),
    ]
}

#[test]
fn a_tab_is_its_own_client_with_what_that_has_left() {
    let identity = arrive(
        Wish::Tab,
        true,
        &[
            (Ask::OpenStore, Answer::Is(true)),
            (Ask::TabKey, Answer::Key(Some(OWN))),
            (Ask::LockRoom(OWN, Patience::Steal), Answer::Is(true)),
            (Ask::Read(OWN), Answer::Left(Some(left()))),
        ],
    );
    let identity = identity.unwrap();
    assert_eq!((identity.key, identity.is_own, identity.store, identity.left), (OWN, true, Store::Open, Some(left())));
}

#[test]
fn a_tab_that_cannot_know_its_numbers_is_a_new_client() {
    let silent = [
        (Ask::OpenStore, Answer::Is(false)),
        (Ask::TabKey, Answer::Key(Some(OWN))),
        (Ask::LockRoom(OWN, Patience::Steal), Answer::Is(true)),
        (Ask::Unlock(OWN), Answer::Done),
    ];
    let identity = arrive(Wish::Tab, true, &[&silent[..], &be_new()].concat()).unwrap();
    assert_eq!((identity.key, identity.store), (drawn(), Store::Closed));
    let unreadable = [
        (Ask::OpenStore, Answer::Is(true)),
        (Ask::TabKey, Answer::Key(Some(OWN))),
        (Ask::LockRoom(OWN, Patience::Steal), Answer::Is(true)),
        (Ask::Read(OWN), Answer::Left(None)),
        (Ask::Unlock(OWN), Answer::Done),
    ];
    let identity = arrive(Wish::Tab, true, &[&unreadable[..], &be_new()].concat()).unwrap();
    assert_eq!((identity.key, identity.store), (drawn(), Store::Closed));
}

#[test]
fn without_locks_nothing_is_kept() {
    let identity = arrive(Wish::Tab, false, &[(Ask::TabKey, Answer::Key(Some(OWN)))]).unwrap();
    assert_eq!((identity.key, identity.is_own, identity.store), (OWN, false, Store::None));
    let identity = arrive(Wish::Given(OTHER), false, &[]).unwrap();
    assert_eq!((identity.key, identity.is_own, identity.store), (OTHER, false, Store::None));
    assert!(arrive(Wish::Orphan(Vec::new()), false, &[]).is_none());
}

#[test]
fn a_given_key_is_used_whatever_the_store_says() {
    let lock = (Ask::LockRoom(OTHER, Patience::Steal), Answer::Is(true));
    let silent = [(Ask::OpenStore, Answer::Is(false)), lock.clone()];
    let identity = arrive(Wish::Given(OTHER), true, &silent).unwrap();
    assert_eq!((identity.key, identity.store, identity.left), (OTHER, Store::None, None));
    let unreadable = [(Ask::OpenStore, Answer::Is(true)), lock, (Ask::Read(OTHER), Answer::Left(None))];
    let identity = arrive(Wish::Given(OTHER), true, &unreadable).unwrap();
    assert_eq!((identity.key, identity.store, identity.left), (OTHER, Store::None, None));
}

#[test]
fn a_courier_takes_the_first_client_that_nobody_is() {
    let keys = [3, 4, 5, 6].map(|byte| ClientKey([byte; 16]));
    let clients = keys.iter().map(|key| KnownClient { key: key.clone(), is_given: true }).collect();
    let [served, held, unreadable, free] = keys;
    let identity = arrive(
        Wish::Orphan(vec![served]),
        true,
        &[
            (Ask::OpenStore, Answer::Is(true)),
            (Ask::Orphans, Answer::Clients(clients)),
            (Ask::LockRoom(held, Patience::None), Answer::Is(false)),
            (Ask::LockRoom(unreadable.clone(), Patience::None), Answer::Is(true)),
            (Ask::Read(unreadable.clone()), Answer::Left(None)),
            (Ask::Unlock(unreadable), Answer::Done),
            (Ask::LockRoom(free.clone(), Patience::None), Answer::Is(true)),
            (Ask::Read(free.clone()), Answer::Left(Some(left()))),
        ],
    );
    let identity = identity.unwrap();
    assert_eq!((identity.key, identity.store, identity.left), (free, Store::Open, Some(left())));
    assert!(identity.is_given, "it stays an application's");
}

/// Gives these answers in order. Returns the tab's key at the end.
fn find_key(has_locks: bool, answers: &[(Ask, Answer)]) -> Option<ClientKey> {
    let (mut tab_key, mut step) = TabKey::begin(has_locks);
    for (expected, answer) in answers {
        let Step::Ask(ask) = step else { panic!("{expected:?} is not asked: {step:?}") };
        assert_eq!(ask, *expected);
        step = tab_key.answer(answer.clone(), &mut || 7);
    }
    let Step::End(key) = step else { panic!("not the end: {step:?}") };
    key
}

#[test]
fn a_reloaded_tab_has_the_key_that_it_had() {
    let key = find_key(
        true,
        &[(Ask::KeptKey, Answer::Key(Some(OWN))), (Ask::LockKey(OWN, Patience::Moment), Answer::Is(true))],
    );
    assert_eq!(key, Some(OWN));
    assert_eq!(find_key(false, &[(Ask::KeptKey, Answer::Key(Some(OWN)))]), Some(OWN));
}

#[test]
fn a_new_tab_takes_over_a_client_that_is_gone_but_no_given_one() {
    let given = KnownClient { key: OWN, is_given: true };
    let clients = [given, KnownClient { key: OTHER, is_given: false }];
    let key = find_key(
        true,
        &[
            (Ask::KeptKey, Answer::Key(Some(OWN))),
            (Ask::LockKey(OWN, Patience::Moment), Answer::Is(false)),
            (Ask::Orphans, Answer::Clients(clients.to_vec())),
            (Ask::LockKey(OTHER, Patience::None), Answer::Is(true)),
            (Ask::KeepKey(OTHER), Answer::Done),
        ],
    );
    assert_eq!(key, Some(OTHER));
}

#[test]
fn a_tab_that_finds_no_key_draws_one() {
    let key = find_key(
        true,
        &[
            (Ask::KeptKey, Answer::Key(None)),
            (Ask::Orphans, Answer::Clients(vec![KnownClient { key: OTHER, is_given: false }])),
            (Ask::LockKey(OTHER, Patience::None), Answer::Is(false)),
            (Ask::LockKey(drawn(), Patience::Endless), Answer::Is(true)),
            (Ask::KeepKey(drawn()), Answer::Done),
        ],
    );
    assert_eq!(key, Some(drawn()));
}
