//! Kubernetes Events on what a user of an application should know.
//!
//! **In:** an Application, a [`Reason`], the sentence that its condition says too. **Out:** the Event object.
//! **May not:** send it, or say what is not worth a person's attention: at rest there are none.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

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

    /// `Warning` when a person should act.
    fn severity(self) -> &'static str {
        match self {
            Reason::OperationFailed | Reason::ComparisonFailed | Reason::PruneRefused | Reason::DriftSeen => "Warning",
            _ => "Normal",
        }
    }
}

/// Whom an Event is about.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// Name of the Application.
    pub name: &'a str,
    /// Its namespace, in which the Event stands too.
    pub namespace: &'a str,
    /// Its uid.
    pub uid: &'a str,
}

/// The longest message that the API server takes.
const MAX_MESSAGE: usize = 1024;

/// The Event; its name is unique by the time in nanoseconds, as client-go's are.
pub fn event(about: About<'_>, reason: Reason, message: &str, now: Timestamp) -> Value {
    let About { name, namespace, uid } = about;
    let time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let message = if message.len() <= MAX_MESSAGE {
        message.to_owned()
    } else {
        format!("{}…", &message[..message.floor_char_boundary(MAX_MESSAGE - "…".len())])
    };
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": { "name": format!("{name}.{:x}", now.as_nanosecond()), "namespace": namespace },
        "involvedObject": {
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "name": name, "namespace": namespace, "uid": uid,
        },
        "reason": reason.as_str(),
        "message": message,
        "type": reason.severity(),
        "source": { "component": "leeboard" },
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let about = About { name: "shop", namespace: "leeboard", uid: "u" };
        let event = event(about, Reason::OperationFailed, &"é".repeat(3000), Timestamp::UNIX_EPOCH);
        let message = event["message"].as_str().unwrap();
        assert!(message.len() <= MAX_MESSAGE && message.ends_with("é…"), "{}", message.len());
        assert_eq!(event["type"], "Warning");
    }
}
