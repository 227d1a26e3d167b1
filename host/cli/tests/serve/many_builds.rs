//! Rooms that ran more builds than the reader of an export has at hand.

use std::fs;
use std::path::{Path, PathBuf};

use reapply_component::limits::COMPONENT_BYTES_MAX;
use reapply_host::archive::limits::COMPONENTS_WINDOW_BYTES;
use reapply_host::archive::{Part, Parts};
use reapply_testing::Host;
use reapply_testing::machine_wat::MachineWat;
use tempfile::TempDir;

use crate::PROGRAM;
use crate::exports::{Exported, succeeds};

/// The number of builds: with the last one they no longer fit.
const BUILDS: usize = COMPONENTS_WINDOW_BYTES / COMPONENT_BYTES_MAX + 1;

/// The bytes that fill a component, and differ from build to build.
const FILLER: &[u8] = b"--------";

/// Components of nearly the largest size, of the same machine.
struct Builds {
    folder: TempDir,
    component: Vec<u8>,
    /// The place of the filler in the component.
    place: usize,
}

impl Builds {
    fn new() -> Self {
        let filler = String::from_utf8(FILLER.repeat((COMPONENT_BYTES_MAX - 64 * 1024) / FILLER.len())).unwrap();
        let more = format!("(data $filler \"{filler}\")");
        let component = MachineWat { more: more.leak(), ..MachineWat::default() }.component();
        let place = component.windows(FILLER.len()).position(|window| window == FILLER).unwrap();
        Self { folder: TempDir::new().unwrap(), component, place }
    }

    fn build(&mut self, number: usize) -> PathBuf {
        let path = self.folder.path().join(format!("{number}.wasm"));
        self.component[self.place..][..FILLER.len()].copy_from_slice(format!("{number:08}").as_bytes());
        fs::write(&path, &self.component).unwrap();
        path
    }
}

/// Returns the number of bytes of the components of an export, and their digests.
fn components(exported: &Exported) -> (usize, Vec<String>) {
    let (mut bytes, mut digests) = (0, Vec::new());
    for part in Parts::new(&exported.bytes()[..]).unwrap() {
        if let Part::Component(digest, component) = part.unwrap() {
            bytes += component.len();
            digests.push(digest.to_string());
        }
    }
    (bytes, digests)
}

#[test]
fn a_room_with_more_builds_than_are_at_hand_is_proved_and_imported() {
    let mut builds = Builds::new();
    let mut first = Host::start_program(Path::new(PROGRAM), &[]);
    // The first one runs again at the end.
    let deployed: Vec<String> = (0..BUILDS)
        .chain([0])
        .map(|number| {
            let digest = first.deploy_file("wat", &builds.build(number));
            if number > 0 {
                succeeds(&first.command("upgrade", &["wat"]));
            }
            assert_eq!(first.submit("wat/long", "12").status, 200);
            digest
        })
        .collect();
    succeeds(&first.command("upgrade", &["wat"]));
    assert_eq!(first.submit("wat/long", "12").status, 200);

    let exported = Exported::of(&first, "wat/long");
    let (bytes, digests) = components(&exported);
    assert!(bytes > COMPONENTS_WINDOW_BYTES, "{bytes} bytes are still at hand");
    assert_eq!(digests, deployed, "the first one comes again");
    let (view, events) = (first.room("wat/long"), first.events("wat/long"));
    assert!(first.stop().success());
    let proved = succeeds(&first.command("verify", &[&exported.path()]));
    assert!(proved.contains(" is whole"), "{proved}");

    let second = Host::start_program(Path::new(PROGRAM), &[]);
    succeeds(&second.command("import", &[&exported.path()]));
    assert_eq!((second.room("wat/long"), second.events("wat/long")), (view, events));
    assert_eq!(fs::read_dir(second.data().join("scratch")).unwrap().count(), 0, "the import keeps no file");
    assert_eq!(second.submit("wat/long", "12").status, 200);
}
