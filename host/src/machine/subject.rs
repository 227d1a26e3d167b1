//! An instance as `reapply check` asks it.

use bytes::Bytes;
use reapply_check::{Description, Subject, Usage};
use reapply_sync::{CodecError, Fault};

use super::instance::{Instance, State};

impl Subject for Instance {
    fn describe(&mut self) -> Result<Description, Fault> {
        let description = self.build().description();
        Ok(Description { name: description.name.to_string(), schemas: description.schemas.clone() })
    }

    fn encode(&mut self, json: &str) -> Result<Bytes, CodecError> {
        Self::encode(self, json)
    }

    fn decode(&mut self, transition: &[u8]) -> Result<String, CodecError> {
        Self::decode(self, transition)
    }

    fn view(&mut self, state: &State) -> Result<String, Fault> {
        Self::view(self, state)
    }

    fn usage(&self) -> Option<Usage> {
        self.used().map(|(fuel, memory_bytes)| Usage { fuel, memory_bytes: memory_bytes as u64 })
    }
}
