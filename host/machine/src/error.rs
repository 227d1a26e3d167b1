//! Why a component is not deployed.

use reapply_component::ComponentError;
use reapply_sync::Fault;

/// The reason for which a component is not deployed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeployError {
    /// The component's bytes are refused, before anything is run.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// It is of another world.
    #[error("the component is no state machine: it does not export `{0}`")]
    MissingExport(String),
    /// It is of another world: a function has the right name and another type.
    #[error("the component is no state machine of this contract: the type of `{function}` differs ({cause})")]
    OtherType {
        /// The function.
        function: String,
        /// Where its type differs.
        cause: String,
    },
    /// What it says of itself is unusable.
    #[error("the machine's description has a bad `{field}`: {cause}")]
    BadDescription {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// It broke off in its trial.
    #[error("`{call}` failed: {fault}")]
    Faulted {
        /// The function that was called.
        call: &'static str,
        /// How it broke off.
        fault: Fault,
    },
    /// It refused what it must accept.
    #[error("`{call}` refused {what}: {why}")]
    Refused {
        /// The function that was called.
        call: &'static str,
        /// What it was given.
        what: &'static str,
        /// What it said.
        why: String,
    },
    /// Its snapshots lose something.
    #[error(
        "a new state and the state restored from its snapshot have different snapshots ({created} and {restored} bytes)"
    )]
    UnstableSnapshot {
        /// Bytes of the new state's snapshot.
        created: usize,
        /// Bytes of the restored state's snapshot.
        restored: usize,
    },
    /// The pages' adapter cannot start it.
    #[error("pages cannot run the component: {0}")]
    Plan(String),
    /// It is not the component's fault: the check itself broke off.
    #[error("the host failed while it checked the component: {0}")]
    Internal(String),
}

impl From<Fault> for DeployError {
    fn from(fault: Fault) -> Self {
        Self::Faulted { call: "start", fault }
    }
}
