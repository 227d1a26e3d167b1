//! Upgrades of one room, from build to build, of a machine with any number of builds that all behave the same.

use reapply_testing::Host;
use reapply_testing::machine_wat::{MachineWat, describe};

use crate::crowd::Kind;

/// The number of events after which the room takes a snapshot: so few that its log is trimmed several times in a round.
const SNAPSHOT_EVENTS: &str = "60";

/// The builds that the room was upgraded to.
#[derive(Debug)]
pub(crate) struct Upgrades {
    /// The number of the last deployed build.
    last: u32,
    /// The digest of the build that the room is known to run.
    acknowledged: String,
    /// The digest of the build that it may run: its upgrade was cut short.
    tried: Option<String>,
}

impl Upgrades {
    /// Deploys the machine's first build. Of its rooms' past, only the events after the last checkpoint are kept.
    pub(crate) fn begin(host: &Host) -> Self {
        let acknowledged = deploy(host, 0);
        let retained =
            host.command("retain", &[Kind::Changing.machine(), "--trim", "--snapshot-events", SNAPSHOT_EVENTS]);
        assert!(retained.status.success(), "{}", String::from_utf8_lossy(&retained.stderr));
        Self { last: 0, acknowledged, tried: None }
    }

    /// Deploys a new build, and upgrades the room to it.
    ///
    /// # Errors
    ///
    /// The upgrade is not acknowledged; the error is the command's output.
    pub(crate) fn upgrade(&mut self, host: &Host) -> Result<(), String> {
        self.last += 1;
        let digest = deploy(host, self.last);
        self.tried = Some(digest.clone());
        let output = host.command("upgrade", &[&Kind::Changing.room().to_string()]);
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        self.acknowledged = digest;
        self.tried = None;
        Ok(())
    }

    /// Checks that the room runs the build that it was upgraded to, and that it can be upgraded once more.
    pub(crate) fn check(&mut self, host: &Host) {
        let shown = host.room(&Kind::Changing.room().to_string());
        let digest = shown["digest"].as_str().unwrap_or_default().to_owned();
        let may_run = digest == self.acknowledged || Some(&digest) == self.tried.as_ref();
        assert!(may_run, "the room runs {digest}; {} was acknowledged", self.acknowledged);
        if let Err(refusal) = self.upgrade(host) {
            panic!("the room is not upgraded once more: {refusal}");
        }
        assert_eq!(host.room(&Kind::Changing.room().to_string())["digest"], self.acknowledged);
    }
}

/// Deploys one of the builds, and returns its digest.
fn deploy(host: &Host, number: u32) -> String {
    let name = Kind::Changing.machine();
    let describe = describe(name, 1, &format!(r#"{{"number":{number}}}"#));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), MachineWat { describe, ..MachineWat::default() }.component()).unwrap();
    host.deploy_file(name, file.path())
}
