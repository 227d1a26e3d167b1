//! The reasons why a component is not deployed.

use reapply_component::ComponentError;
use reapply_sync::Fault;

/// The reason why a component is not deployed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeployError {
    /// The component's bytes are refused, before any of it runs.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The component does not implement the `state-machine` world.
    #[error("the component is not a state machine: it does not export `{0}`")]
    MissingExport(String),
    /// The component implements another world: a function has the right name, but another type.
    #[error("the component is not a state machine of this contract: the type of `{function}` differs ({cause})")]
    OtherType {
        /// The function.
        function: String,
        /// The difference.
        cause: String,
    },
    /// The machine's description of itself is unusable.
    #[error("the machine's description has a bad `{field}`: {cause}")]
    BadDescription {
        /// The field.
        field: &'static str,
        /// The problem.
        cause: String,
    },
    /// The machine faulted in its trial.
    #[error("`{call}` failed: {fault}")]
    Faulted {
        /// The function that was called.
        call: &'static str,
        /// The fault.
        fault: Fault,
    },
    /// The machine refused an input that it must accept.
    #[error("`{call}` refused {what}: {why}")]
    Refused {
        /// The function that was called.
        call: &'static str,
        /// The input.
        what: &'static str,
        /// The machine's reason.
        why: String,
    },
    /// The machine's snapshots lose something.
    #[error(
        "a new state and the state restored from its snapshot have different snapshots ({created} and {restored} bytes)"
    )]
    UnstableSnapshot {
        /// The number of bytes of the new state's snapshot.
        created: usize,
        /// The number of bytes of the restored state's snapshot.
        restored: usize,
    },
    /// The adapter of pages cannot start the component.
    #[error("pages cannot run the component: {0}")]
    Plan(String),
    /// The check itself failed, which is not the component's fault.
    #[error("the host failed while it checked the component: {0}")]
    Internal(String),
}

impl From<Fault> for DeployError {
    fn from(fault: Fault) -> Self {
        Self::Faulted { call: "start", fault }
    }
}
