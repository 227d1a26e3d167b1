//! The memory of rooms, with shares that have no rooms behind them.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::*;

fn id(room: &str) -> RoomId {
    RoomId { machine: "counter".parse().unwrap(), room: room.parse().unwrap() }
}

/// Returns a room that is open and holds these bytes, and the queue of its task.
async fn open(memory: &RoomsMemory, room: &str, bytes: usize, usage: Usage) -> (Share, mpsc::Receiver<Command>) {
    let share = memory.admit(&id(room), 0).await.unwrap();
    let (controls, asked) = mpsc::channel(8);
    share.open(controls);
    share.note(bytes - ROOM_BYTES, usage);
    (share, asked)
}

/// The bytes of each room.
const LARGE: usize = 1 << 20;

/// Bytes that the process holds, so that what is counted decides and not what is resident.
fn ballast() -> Vec<u8> {
    std::hint::black_box(vec![1; 16 * LARGE])
}

/// Returns memory for two rooms, and the name of a room that was refused before because it needs as much as they do.
fn memory_for_two() -> (RoomsMemory, RoomId) {
    let memory = RoomsMemory::new(2 * LARGE);
    let newcomer = id("newcomer");
    memory.needs().insert(newcomer.clone(), Need { bytes: LARGE, since: Instant::now() });
    (memory, newcomer)
}

async fn waits(future: Pin<&mut impl Future>) -> bool {
    let mut future = future;
    std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

#[tokio::test]
async fn newcomers_wait_for_rooms_that_are_falling_asleep() {
    let _ballast = ballast();
    let (memory, newcomer) = memory_for_two();
    let (_used, _) = open(&memory, "used", LARGE, Usage::InUse).await;
    let (ending, mut asked) = open(&memory, "ending", LARGE, Usage::Ending).await;
    let mut admitted = pin!(memory.admit(&newcomer, 0));
    assert!(waits(admitted.as_mut()).await, "the newcomer is refused");
    assert!(asked.try_recv().is_err(), "a room that is falling asleep was asked to");
    drop(ending);
    assert!(admitted.await.is_ok());
}

#[tokio::test]
async fn newcomers_wait_for_a_room_that_was_asked_to_sleep_for_another() {
    let _ballast = ballast();
    let (memory, newcomer) = memory_for_two();
    let (_used, _) = open(&memory, "used", LARGE, Usage::InUse).await;
    let (unused, mut asked) = open(&memory, "unused", LARGE, Usage::Unused(Instant::now())).await;
    let small = id("small");
    let mut first = pin!(memory.admit(&newcomer, 0));
    let mut second = pin!(memory.admit(&small, 0));
    assert!(waits(first.as_mut()).await && waits(second.as_mut()).await, "a newcomer is refused");
    assert!(matches!(asked.try_recv(), Ok(Command::MakeSpace)));
    assert!(asked.try_recv().is_err(), "the room was asked twice");
    // It is used after all, and so is not waited for any longer.
    unused.note(LARGE - ROOM_BYTES, Usage::InUse);
    assert!(first.await.is_err());
    drop(unused);
    assert!(second.await.is_ok());
}

#[tokio::test]
async fn newcomers_wait_for_rooms_that_are_used_for_a_moment_or_being_opened() {
    let _ballast = ballast();
    let (memory, newcomer) = memory_for_two();
    let (passing, mut asked) = open(&memory, "passing", LARGE, Usage::Passing).await;
    let opening = memory.admit(&id("opening"), 0).await.unwrap();
    let mut admitted = pin!(memory.admit(&newcomer, 0));
    assert!(waits(admitted.as_mut()).await, "the newcomer is refused");
    passing.note(LARGE - ROOM_BYTES, Usage::Unused(Instant::now()));
    while asked.try_recv().is_err() {
        assert!(waits(admitted.as_mut()).await, "the newcomer is refused");
        tokio::task::yield_now().await;
    }
    passing.note(LARGE - ROOM_BYTES, Usage::InUse);
    drop(opening);
    assert!(admitted.await.is_ok(), "a room that was not opened still counts");
}

#[tokio::test]
async fn a_room_that_somebody_is_about_to_use_is_not_asked_to_sleep() {
    let _ballast = ballast();
    let (memory, newcomer) = memory_for_two();
    let (_used, _) = open(&memory, "used", LARGE, Usage::InUse).await;
    let just_now = Instant::now() + HANDLE_USED_WITHIN;
    let (unused, mut asked) = open(&memory, "unused", LARGE, Usage::Unused(just_now)).await;
    let controls = memory.holders()[&id("unused")].controls.clone().unwrap();
    let handles = [controls.clone(), controls];
    let mut admitted = pin!(memory.admit(&newcomer, 0));
    assert!(waits(admitted.as_mut()).await && asked.try_recv().is_err());
    drop(handles);
    let asleep = async {
        assert!(matches!(asked.recv().await, Some(Command::MakeSpace)));
        drop(unused);
    };
    let ((), admitted) = tokio::join!(asleep, admitted);
    assert!(admitted.is_ok());
}

#[tokio::test]
async fn nobody_waits_for_memory_once_the_host_stops() {
    let _ballast = ballast();
    let (memory, newcomer) = memory_for_two();
    let (_ending, _) = open(&memory, "ending", 2 * LARGE, Usage::Ending).await;
    let mut admitted = pin!(memory.admit(&newcomer, 0));
    assert!(waits(admitted.as_mut()).await);
    memory.stop();
    assert!(!waits(admitted).await);
    memory.keep().await;
}

#[tokio::test]
async fn unused_rooms_stay_awake_if_their_sleep_would_not_help() {
    let memory = RoomsMemory::new(1 << 20);
    // The process holds more than the budget, as if the newcomer were open.
    let machine = vec![1_u8; 100 << 20];
    let (_unused, mut asked) = open(&memory, "unused", 500 << 10, Usage::Unused(Instant::now())).await;
    let mut newcomer = memory.admit(&id("newcomer"), 0).await.unwrap();
    assert!(newcomer.take(machine.len()).await.is_err());
    assert!(asked.try_recv().is_err(), "a room was asked to sleep for one that does not fit");
    // A remembered need is refused before the room is opened.
    drop(newcomer);
    assert!(memory.admit(&id("newcomer"), 0).await.is_err());
    assert!(memory.admit(&id("another"), 0).await.is_ok());
    drop(std::hint::black_box(machine));
}

#[tokio::test]
async fn rooms_that_are_opened_at_once_count_what_they_are_expected_to_need() {
    let _ballast = ballast();
    let memory = RoomsMemory::new(2 * LARGE);
    let (large, third) = (LARGE - ROOM_BYTES, id("third"));
    let mut first = memory.admit(&id("first"), large).await.unwrap();
    let _second = memory.admit(&id("second"), large).await.unwrap();
    let mut admitted = pin!(memory.admit(&third, large / 2));
    assert!(waits(admitted.as_mut()).await, "three are opened in memory for two");
    // It needs less than expected.
    first.take(large / 3).await.unwrap();
    let third = admitted.await.unwrap();
    assert_eq!(memory.of(&id("first")), large / 3 + ROOM_BYTES);
    assert_eq!(memory.budget().counted(), large / 3 + large / 2 + 2 * ROOM_BYTES + LARGE);
    drop((first, third));
    assert_eq!(memory.budget().counted(), LARGE);
}

#[tokio::test]
async fn rooms_that_are_expected_to_need_too_much_are_opened_one_after_the_other() {
    let _ballast = ballast();
    let memory = RoomsMemory::new(2 * LARGE);
    let (_used, _) = open(&memory, "used", LARGE, Usage::InUse).await;
    let (second, small) = (id("second"), id("small"));
    let mut first = memory.admit(&id("first"), 4 * LARGE).await.expect("it may need less than expected");
    let mut admitted = pin!(memory.admit(&second, 4 * LARGE));
    assert!(waits(admitted.as_mut()).await, "two are opened that may need more than there is");
    // A small room waits for neither.
    drop(memory.admit(&small, LARGE / 2).await.unwrap());
    first.take(LARGE / 2).await.unwrap();
    let mut second = admitted.await.unwrap();
    assert!(second.take(LARGE).await.is_err());
}

#[tokio::test]
async fn a_room_is_refused_for_what_it_needed_only_for_a_while() {
    // No process is as small as this.
    let memory = RoomsMemory::new(2 * ROOM_BYTES);
    let mut newcomer = memory.admit(&id("newcomer"), 0).await.unwrap();
    assert!(newcomer.take(1 << 30).await.is_err());
    drop(newcomer);
    let refused_since = |ago: Duration| {
        let since = Instant::now().checked_sub(ago).expect("the system runs for longer than that");
        memory.needs().get_mut(&id("newcomer")).unwrap().since = since;
    };
    // Half of the time is left.
    refused_since(NEED_REMEMBERED_FOR / 2);
    let refused = memory.admit(&id("newcomer"), 0).await.unwrap_err();
    assert!(refused.needed > 1 << 30, "{refused:?}");
    refused_since(NEED_REMEMBERED_FOR);
    let mut share = memory.admit(&id("newcomer"), 0).await.unwrap();
    // A room that fits now needs no memory of the past.
    share.take(0).await.unwrap();
    assert!(memory.needs().is_empty());
}

#[tokio::test]
async fn newcomers_who_wait_for_a_place_to_look_from_take_what_is_free() {
    let _ballast = ballast();
    let (memory, newcomer) = memory_for_two();
    let (_used, _) = open(&memory, "used", LARGE, Usage::InUse).await;
    let (other, _) = open(&memory, "other", LARGE, Usage::InUse).await;
    let places = u32::try_from(MAKE_SPACE_AT_ONCE).unwrap();
    let _places = memory.0.looking.acquire_many(places).await.unwrap();
    let mut admitted = pin!(memory.admit(&newcomer, 0));
    assert!(waits(admitted.as_mut()).await, "the newcomer is refused");
    drop(other);
    assert!(!waits(admitted.as_mut()).await, "the newcomer waits for a place although there is memory");
}

#[tokio::test]
async fn memory_that_became_free_during_the_look_at_the_rooms_is_found() {
    let memory = RoomsMemory::new(LARGE);
    let looks = std::cell::Cell::new(0);
    let fits = || looks.replace(looks.get() + 1) > 0;
    assert!(memory.make_space(Wanted::NOTHING, Hope::Passing, in_time(), fits).await, "it is refused");
}
