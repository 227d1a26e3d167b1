//! Delivery for clients that are gone.

use reapply_client_core::*;
use reapply_sync::ClientKey;

use crate::rig::Rig;

#[test]
fn orphans_are_delivered_one_after_the_other_until_there_is_none() {
    let mut rig = Rig::new();
    rig.identify(Store::Open);
    rig.open();
    rig.converse();
    let searches = |rig: &Rig| rig.told.iter().filter(|told| *told == "find an orphan").count();
    assert_eq!(searches(&rig), 1);
    rig.call(|driver, now| driver.handle_orphan(Some(ClientKey([9; 16])), now));
    // While one client is being delivered for, no search begins.
    rig.call(|driver, _| driver.handle_store_opened());
    assert_eq!(searches(&rig), 1);
    rig.call(|driver, _| driver.handle_delivered());
    assert_eq!((searches(&rig), rig.driver.served()), (2, &[ClientKey([9; 16])][..]));
    rig.call(|driver, now| driver.handle_orphan(None, now));
    rig.call(|driver, _| driver.handle_delivered());
    assert_eq!(searches(&rig), 2);
    // A store that opens again may hold entries of other clients.
    rig.call(|driver, _| driver.handle_store_opened());
    assert_eq!((searches(&rig), rig.driver.served().len()), (3, 0));
    // And a tab may have been closed since.
    rig.call(|driver, now| driver.handle_orphan(None, now));
    let found_at = rig.now;
    while searches(&rig) == 3 {
        rig.wait();
        rig.converse();
    }
    assert_eq!((searches(&rig), rig.now), (4, found_at + limits::ORPHANS_AGAIN_MICROS));
}

#[test]
fn a_courier_leaves_when_everything_is_delivered() {
    let mut rig = Rig::new();
    rig.identify(Store::Open);
    rig.apply(1);
    let stored = std::mem::take(&mut rig.stored);
    let mut rig = Rig::with(Role::Courier);
    rig.stored = stored;
    rig.identify(Store::Open);
    rig.open();
    rig.converse();
    assert_eq!(rig.told, ["joined", "returned 1 accepted as 1001 at 1", "closed: everything is delivered"]);
    assert!(rig.stored.entries.is_empty());
}
