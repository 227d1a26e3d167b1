//! Machines that are deployed only to check whether they are accepted and kept.

use std::collections::BTreeMap;

use reapply_testing::machine_wat::{MachineWat, describe};
use reapply_testing::{Host, http};
use serde_json::Value;

/// The prefix of the names of such machines.
const PREFIX: &str = "probe-";

/// The machines whose deployment was acknowledged, with their digests.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    acknowledged: BTreeMap<String, String>,
}

impl Probes {
    /// Deploys a machine that was never deployed before.
    ///
    /// # Errors
    ///
    /// The deployment is not acknowledged; the error is the command's output.
    pub(crate) fn deploy(&mut self, host: &Host) -> Result<(), String> {
        let name = format!("{PREFIX}{}", self.acknowledged.len());
        let machine = MachineWat { describe: describe(&name, 1, "{}"), ..MachineWat::default() };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), machine.component()).unwrap();
        let digest = host.try_deploy_file(&name, file.path())?;
        self.acknowledged.insert(name, digest);
        Ok(())
    }

    /// Checks that the host has exactly the machines that it acknowledged, and accepts one more.
    pub(crate) fn check(&mut self, host: &Host) {
        let listed = http::get(&host.url("/machines")).json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let machines = listed["machines"].as_array().cloned().unwrap_or_default();
        let found: BTreeMap<String, String> = machines
            .iter()
            .map(|machine| (text(&machine["name"]), text(&machine["digest"])))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        assert_eq!(
            found, self.acknowledged,
            "the machines that are there, and those whose deployment was acknowledged"
        );
        if let Err(refusal) = self.deploy(host) {
            panic!("one more machine is not taken: {refusal}");
        }
    }
}
