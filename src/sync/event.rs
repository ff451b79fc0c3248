//! What a user of an application should know, as Kubernetes Events: the reasons.
//!
//! **May not:** name what is not worth a person's attention: at rest there are no Events.

use crate::object::event::Severity;

/// What happened; the one list of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A sync began.
    OperationStarted,
    /// A sync ended well.
    OperationCompleted,
    /// A sync failed; its message says why.
    OperationFailed,
    /// A newer commit took over.
    OperationSuperseded,
    /// Something changed in the cluster and was put back.
    DriftRepaired,
    /// Something changed in the cluster and is left as it is.
    DriftSeen,
    /// Git or the rendering failed; the last good state stays.
    ComparisonFailed,
    /// Prunes wait for a person.
    PruneRefused,
    /// The application's health changed.
    HealthChanged,
}

impl Reason {
    /// In CamelCase, as `kubectl get events` shows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::OperationStarted => "OperationStarted",
            Reason::OperationCompleted => "OperationCompleted",
            Reason::OperationFailed => "OperationFailed",
            Reason::OperationSuperseded => "OperationSuperseded",
            Reason::DriftRepaired => "DriftRepaired",
            Reason::DriftSeen => "DriftSeen",
            Reason::ComparisonFailed => "ComparisonFailed",
            Reason::PruneRefused => "PruneRefused",
            Reason::HealthChanged => "HealthChanged",
        }
    }

    /// A warning when a person should act.
    pub fn severity(self) -> Severity {
        match self {
            Reason::OperationFailed | Reason::ComparisonFailed | Reason::PruneRefused | Reason::DriftSeen => {
                Severity::Warning
            }
            _ => Severity::Normal,
        }
    }
}
