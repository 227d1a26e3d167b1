//! The bytes on the wire and in storage, one by one. They are in logs, in chains, and in pages that were loaded before the host was upgraded:
//! see `How it grows` in `reapply_sync::message`. If a test here fails, old data and older peers are not understood any more. Changing the
//! bytes below is never the answer.

use bytes::Bytes;
use reapply_sync::{
    Author, Batch, Capabilities, Chain, ClientId, ClientKey, ClientMessage, Digest, Event, Forgotten, ForgottenClient,
    Genesis, Goodbye, HeldSnapshot, Hello, Input, KnownClient, LogId, Number, Origin, Past, PastRecord, Presence,
    Rejection, Resume, RoomId, Seq, ServerMessage, SessionId, Signal, Snapshot, SnapshotInParts, Start, Timestamp,
    Welcome,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Asserts that `value` is written as these bytes, and that they are read as `value`.
#[track_caller]
fn check<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T, golden: &str) {
    let bytes = postcard::to_allocvec(value).unwrap();
    assert_eq!(hex(&bytes), golden, "{value:?}");
    assert_eq!(&postcard::from_bytes::<T>(&bytes).unwrap(), value);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn author() -> Author {
    Author("ada".into())
}

fn room() -> RoomId {
    RoomId { machine: "counter".parse().unwrap(), room: "lobby".parse().unwrap() }
}

fn genesis() -> Genesis {
    Genesis { room: room(), digest: Digest([1; 32]), options: "{}".to_owned(), time: Timestamp(300), nonce: 7 }
}

fn text() -> String {
    "no".to_owned()
}

#[test]
fn ids_are_what_they_were() {
    let id = ClientKey([7; 16]).client_id();
    assert_eq!(id.to_string(), "0093d1b01393383465c6c0ce3954a8a6");
    assert_eq!(id.anonymous_author().0.to_string(), format!("anon-{id}"));
    assert_eq!(Digest::of(b"reapply").to_string(), "66977a06fb4ab53970324793de38a8e2b9858946a8c22cc55badbf93d1e5bd58");
    assert_eq!(genesis().log_id().to_string(), "1667bf4cfa03165ff559aee19ee8d511");
    check(
        &genesis(),
        "07636f756e746572056c6f6262790101010101010101010101010101010101010101010101010101010101010101027b7dac0207",
    );
    check(&id, "0093d1b01393383465c6c0ce3954a8a6");
    check(&room(), "07636f756e746572056c6f626279");
}

#[test]
fn events_and_their_chain_are_what_they_were() {
    let (client, number, transition) = (ClientId([9; 16]), Number(400), Bytes::from_static(&[1, 2, 3]));
    let inputs = [
        (
            Input::Transition { author: author(), client, number, transition: transition.clone() },
            "018080808080808002ffffffffffffffffff01000361646109090909090909090909090909090909900303010203",
        ),
        (Input::Alarm(transition), "028080808080808002ffffffffffffffffff010103010203"),
        (Input::Joined(author()), "038080808080808002ffffffffffffffffff010203616461"),
        (Input::Left(author()), "048080808080808002ffffffffffffffffff010303616461"),
        (
            Input::Upgraded(Digest([2; 32])),
            "058080808080808002ffffffffffffffffff01040202020202020202020202020202020202020202020202020202020202020202",
        ),
        (
            Input::Checkpoint { seq: Seq(200), hash: Digest([3; 32]) },
            "068080808080808002ffffffffffffffffff0105c8010303030303030303030303030303030303030303030303030303030303030303",
        ),
        (
            Input::Forked { room: room(), nonce: u64::MAX },
            "078080808080808002ffffffffffffffffff010607636f756e746572056c6f626279ffffffffffffffffff01",
        ),
    ];
    let mut chain = genesis().chain();
    let mut body = Vec::new();
    for (seq, (input, golden)) in (1..).zip(inputs) {
        let event = Event { seq: Seq(seq), time: Timestamp(1 << 50), entropy: u64::MAX, input };
        check(&event, golden);
        chain = chain.after_event(&event);
        body.extend(postcard::to_allocvec(&event).unwrap());
    }
    assert_eq!(hex(&chain.0), "6518a67b06444504dd44efa238c39f1008421d733ea63fe38071fa44ab702f08");
    let batch = Batch::decode(Seq(0), genesis().chain(), body.into(), chain).unwrap();
    assert_eq!((batch.last(), batch.encoded.len()), (Seq(7), 7));
}

#[test]
fn what_clients_send_is_what_it_was() {
    let (key, seq) = (ClientKey([7; 16]), Seq(300));
    let resume = Resume { log: LogId([4; 16]), digest: Digest([5; 32]), seq, chain: Chain([6; 32]) };
    let hello = |resume, held| Hello { version: 2, capabilities: Capabilities(128), key: key.clone(), resume, held };
    let held = HeldSnapshot { hash: Digest([9; 32]), bytes: 300 };
    let messages = [
        (ClientMessage::Hello(hello(None, None)), "00028001070707070707070707070707070707070000"),
        (
            ClientMessage::Hello(hello(None, Some(held))),
            "000280010707070707070707070707070707070700010909090909090909090909090909090909090909090909090909090909090909ac02",
        ),
        (
            ClientMessage::Hello(hello(Some(resume), None)),
            "000280010707070707070707070707070707070701040404040404040404040404040404040505050505050505050505050505050505050505050505050505050505050505ac02060606060606060606060606060606060606060606060606060606060606060600",
        ),
        (ClientMessage::Submit { number: Number(400), transition: Bytes::from_static(&[1, 2, 3]) }, "01900303010203"),
        (ClientMessage::Signal(Bytes::from_static(&[1])), "020101"),
        (ClientMessage::Ping(128), "038001"),
        (
            ClientMessage::Diverged { seq, ours: Some(Digest([8; 32])) },
            "04ac02010808080808080808080808080808080808080808080808080808080808080808",
        ),
        (ClientMessage::Diverged { seq, ours: None }, "04ac0200"),
        (ClientMessage::Upgraded(seq), "05ac02"),
        (ClientMessage::Arrived(Digest([8; 32])), "060808080808080808080808080808080808080808080808080808080808080808"),
    ];
    for (message, golden) in messages {
        check(&message, golden);
        assert_eq!(hex(&message.encode()), golden);
    }
    // These are the bytes of version 1.
    for (resume, golden) in [
        (None, "000180010707070707070707070707070707070700"),
        (
            Some(resume),
            "000180010707070707070707070707070707070701040404040404040404040404040404040505050505050505050505050505050505050505050505050505050505050505ac020606060606060606060606060606060606060606060606060606060606060606",
        ),
    ] {
        let expected = Hello { version: 1, ..hello(resume, None) };
        assert_eq!(ClientMessage::decode(&unhex(golden)), Ok(ClientMessage::Hello(expected)));
        assert!(ClientMessage::decode(&unhex(&golden[..golden.len() - 2])).is_err(), "cut");
    }
}

#[test]
fn what_rooms_send_is_what_it_was() {
    let start = Start::Snapshot {
        seq: Seq(1),
        state_version: 2,
        time: Timestamp(3),
        chain: Chain([4; 32]),
        state: Bytes::from_static(&[5, 6]),
    };
    let welcome = Welcome {
        version: 1,
        capabilities: Capabilities(2),
        session: SessionId(3),
        participant: author(),
        log: LogId([4; 16]),
        digest: Digest([5; 32]),
        start,
        head: Seq(6),
        decided: Number(7),
        taken: Number(8),
        rejected: vec![(Number(9), Rejection::Forgotten)],
        forgotten: Some(Box::new(ForgottenClient { seq: Seq(10), number: Number(11), known_from: Some(Number(12)) })),
        time: Timestamp(13),
    };
    let snapshot = SnapshotInParts {
        seq: Seq(1),
        state_version: 2,
        time: Timestamp(3),
        chain: Chain([4; 32]),
        hash: Digest([5; 32]),
        bytes: 300,
        from: 200,
    };
    let start = Start::Parts(Box::new(snapshot));
    let parts = Welcome { version: 2, start, forgotten: None, rejected: Vec::new(), ..welcome.clone() };
    let tail = Welcome { start: Start::Tail, forgotten: None, rejected: Vec::new(), ..welcome.clone() };
    let event = Event { seq: Seq(1), time: Timestamp(2), entropy: 3, input: Input::Joined(author()) };
    let signal = Signal { participant: author(), session: SessionId(1), body: Bytes::from_static(&[2]) };
    let messages = [
        (
            ServerMessage::Welcome(welcome),
            "0001020303616461040404040404040404040404040404040505050505050505050505050505050505050505050505050505050505050505010102030404040404040404040404040404040404040404040404040404040404040404020506060708010907010a0b010c0d",
        ),
        (
            ServerMessage::Welcome(tail),
            "00010203036164610404040404040404040404040404040405050505050505050505050505050505050505050505050505050505050505050006070800000d",
        ),
        (
            ServerMessage::Welcome(parts),
            "00020203036164610404040404040404040404040404040405050505050505050505050505050505050505050505050505050505050505050201020304040404040404040404040404040404040404040404040404040404040404040505050505050505050505050505050505050505050505050505050505050505ac02c80106070800000d",
        ),
        (ServerMessage::Part { at: 300, bytes: Bytes::from_static(&[1, 2]) }, "08ac02020102"),
        (ServerMessage::Events(vec![event.clone(), event]), "010201020302036164610102030203616461"),
        (ServerMessage::Rejected { number: Number(300), why: Rejection::Forgotten }, "02ac0207"),
        (
            ServerMessage::Checkpoint { seq: Seq(300), hash: Digest([1; 32]) },
            "03ac020101010101010101010101010101010101010101010101010101010101010101",
        ),
        (ServerMessage::Presence(Presence { count: 300, participants: vec![author()] }), "04ac020103616461"),
        (ServerMessage::Signals(vec![signal]), "050103616461010102"),
        (ServerMessage::Pong(300), "06ac02"),
        (ServerMessage::Goodbye(Goodbye::ShuttingDown), "0700"),
    ];
    for (message, golden) in messages {
        check(&message, golden);
        assert_eq!(hex(&message.encode()), golden);
    }
}

#[test]
fn reasons_are_what_they_were() {
    let rejections = [
        (Rejection::Malformed(text()), "00026e6f"),
        (Rejection::Conflict(text()), "01026e6f"),
        (Rejection::Exhausted(text()), "02026e6f"),
        (Rejection::Trapped(text()), "03026e6f"),
        (Rejection::Forbidden(text()), "04026e6f"),
        (Rejection::TooLarge { bytes: 300, bytes_max: 2 }, "05ac0202"),
        (Rejection::TooFast { per_second_max: 300 }, "06ac02"),
        (Rejection::Forgotten, "07"),
        (Rejection::Overfull { bytes: 300, bytes_max: 2 }, "08ac0202"),
    ];
    rejections.iter().for_each(|(rejection, golden)| check(rejection, golden));
    let goodbyes = [
        (Goodbye::ShuttingDown, "00"),
        (Goodbye::Replaced, "01"),
        (Goodbye::BadMessage(text()), "02026e6f"),
        (Goodbye::TooSlow, "03"),
        (Goodbye::StorageFailed, "04"),
        (Goodbye::RoomFailed(text()), "05026e6f"),
        (Goodbye::Full(text()), "06026e6f"),
        (Goodbye::Silent(text()), "07026e6f"),
    ];
    goodbyes.iter().for_each(|(goodbye, golden)| check(goodbye, golden));
}

#[test]
fn snapshots_and_pasts_are_what_they_were() {
    let known = KnownClient {
        client: ClientId([1; 16]),
        known_from: Number(2),
        number: Number(3),
        seq: Seq(4),
        time: Timestamp(5),
    };
    let snapshot = Snapshot {
        seq: Seq(300),
        digest: Digest([1; 32]),
        state_version: 2,
        time: Timestamp(3),
        chain: Chain([4; 32]),
        clients: vec![known],
        forgotten: Some(Forgotten { seq: Seq(5), number: Number(6) }),
        present: vec![author()],
        state: Bytes::from_static(&[7, 8]),
    };
    check(
        &snapshot,
        "ac020101010101010101010101010101010101010101010101010101010101010101020304040404040404040404040404040404040404040404040404040404040404040101010101010101010101010101010101020304050105060103616461020708",
    );
    assert_eq!(snapshot.state_hash().to_string(), "d241b5ab32d2206564b51c8ec05944f6af6d7622c2f607f34c0622223a2b3cd7");
    let record = PastRecord { expected: Seq(1), last: Seq(2), body: Bytes::from_static(&[3]) };
    let past = |origin| Past { log: LogId([4; 16]), seq: Seq(5), head: Seq(6), origin, records: vec![record.clone()] };
    check(
        &past(Origin::Genesis(genesis())),
        "0404040404040404040404040404040405060007636f756e746572056c6f6262790101010101010101010101010101010101010101010101010101010101010101027b7dac02070101020103",
    );
    check(
        &past(Origin::from(snapshot)),
        "04040404040404040404040404040404050601ac020101010101010101010101010101010101010101010101010101010101010101020304040404040404040404040404040404040404040404040404040404040404040000000207080101020103",
    );
    check(&past(Origin::Held(Seq(300))), "04040404040404040404040404040404050602ac020101020103");
}
