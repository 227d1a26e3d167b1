//! The right to upgrade, and the answers to wrong requests.

use std::collections::HashMap;
use std::path::Path;

use reapply_host::upgrade::limits::DIGEST_DIGITS_MIN;
use reapply_sync::Digest;
use reapply_testing::{Host, http, other_build};

use crate::{PROGRAM, add, build_of, notes_host, refused, submit};

#[test]
fn what_is_not_there_is_named() {
    let (host, digest) = notes_host(&[]);
    submit(&host, "notes/a", &add("sow"));
    let cases: [(&[&str], &str); 8] = [
        (&["nobody"], "there is no machine nobody"),
        (&["notes/nobody"], "there is no room notes/nobody"),
        (&["nobody/a"], "there is no machine nobody"),
        (
            &["notes", "--to", "0123456789"],
            "no build that was ever deployed here has a digest that begins with 0123456789",
        ),
        (&["notes", "--to", "xyz!"], "\"xyz!\" is not a digest"),
        (&["notes", "--to", &digest[..3]], "at least the first 4"),
        (&["notes", "--to", &format!("{digest}0")], "is not a digest"),
        (&["notes", "--host", "http://127.0.0.1:1"], "no host answers at http://127.0.0.1:1"),
    ];
    for (arguments, message) in cases {
        let told = refused(&host, arguments);
        assert!(told.starts_with("reapply: ") && told.contains(message), "{arguments:?}: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    let usage = host.command("upgrade", &["No Machine"]);
    assert_eq!(usage.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&usage.stderr).contains("is not a name"));
    assert_eq!(build_of(&host, "notes/a"), digest);
}

#[test]
fn a_question_that_makes_no_sense_is_answered_with_what_does() {
    let (host, _) = notes_host(&[]);
    for body in ["{", "[]x", "[]", "[null]", "null", "{\"dryrun\":true}", "{\"replay\":-1}", "{\"to\":7}"] {
        let answer = host.administer("POST", "/machines/notes/upgrade", body.as_bytes());
        let (kind, message) = answer.error();
        assert_eq!((answer.status, kind.as_str()), (400, "bad-request"), "{body}: {message}");
        assert!(message.contains("`to`, `dry_run`, `all_or_nothing` and `replay`"), "{body}: {message}");
    }
    assert_eq!(host.administer("POST", "/machines/No/upgrade", b"").status, 400);
    assert_eq!(host.administer("POST", "/rooms/notes/No/upgrade", b"").status, 400);
}

#[test]
fn only_who_may_deploy_may_upgrade() {
    let host = Host::start_program(Path::new(PROGRAM), &["--deploy-token", "sesame"]);
    let v1 = guest_components::component("notes-v1");
    let deployed = host.command("deploy", &[&v1.to_string_lossy(), "--name", "notes", "--token", "sesame"]);
    assert!(deployed.status.success());
    submit(&host, "notes/a", &add("sow"));
    for path in ["/machines/notes/upgrade", "/rooms/notes/a/upgrade"] {
        assert_eq!(http::post(&host.url(path), "").status, 401);
    }
    assert!(refused(&host, &["notes"]).contains("needs the host's deploy token"));
    assert!(host.command("upgrade", &["notes", "--token", "sesame"]).status.success());
}

#[test]
fn the_beginning_of_a_digest_is_enough_where_only_one_build_has_it() {
    let (host, digest) = notes_host(&[]);
    submit(&host, "notes/a", &add("sow"));
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = alike().map(|component| {
        let path = folder.path().join("variant.wasm");
        std::fs::write(&path, component).unwrap();
        host.deploy_file("notes", &path)
    });
    let told = refused(&host, &["notes", "--to", &one[..DIGEST_DIGITS_MIN]]);
    let mut both = [one.as_str(), &other];
    both.sort_unstable();
    let expected =
        format!("several builds have digests that begin with {}: {}; give more digits", &one[..4], both.join(", "));
    assert!(told.contains(&expected), "{told}");
    assert_eq!(build_of(&host, "notes/a"), digest);

    let digits = one.bytes().zip(other.bytes()).take_while(|(a, b)| a == b).count() + 1;
    crate::upgrade(&host, &["notes", "--to", &other[..digits].to_uppercase()]);
    assert_eq!(build_of(&host, "notes/a"), other);
}

/// Returns two components whose digests begin with the same few digits.
fn alike() -> [Vec<u8>; 2] {
    let component = std::fs::read(guest_components::component("notes-v1")).unwrap();
    let mut seen = HashMap::new();
    for number in 0..4096 {
        let variant = other_build(&component, number);
        let digest = Digest::of(&variant).to_string();
        if let Some(other) = seen.insert(digest[..DIGEST_DIGITS_MIN].to_owned(), variant.clone()) {
            return [other, variant];
        }
    }
    panic!("no two of 4096 digests begin alike")
}
