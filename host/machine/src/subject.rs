//! An instance as the subject of `reapply check`.

use reapply_check::{Description, Subject, Usage};
use reapply_sync::Fault;

use super::instance::Instance;
use super::running::State;

impl Subject for Instance {
    fn describe(&mut self) -> Result<Description, Fault> {
        let description = self.build().description();
        Ok(Description { name: description.name.to_string(), schemas: description.schemas.clone() })
    }

    fn view(&mut self, state: &State) -> Result<String, Fault> {
        Self::view(self, state)
    }

    fn usage(&self) -> Option<Usage> {
        self.used().map(|(fuel, memory_bytes)| Usage { fuel, memory_bytes: memory_bytes as u64 })
    }
}
