//! A Kubernetes Event: what `kubectl get events` and `kubectl describe` show of an object.

use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::{Object, ObjectKey};

/// The longest message that the API server takes.
const MAX_MESSAGE: usize = 1024;

/// Which object it is told of; the Event stands in its namespace.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// `apiVersion` of the object.
    pub api_version: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its uid: `kubectl describe` shows only the Events of this very object.
    pub uid: &'a str,
}

/// Whether a person should act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It is as it should be.
    Normal,
    /// It is not.
    Warning,
}

impl Severity {
    /// As the field `type` has it.
    fn as_str(self) -> &'static str {
        match self {
            Severity::Normal => "Normal",
            Severity::Warning => "Warning",
        }
    }
}

/// One thing told.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// Of which object.
    pub about: About<'a>,
    /// In CamelCase, for programs.
    pub reason: &'a str,
    /// What was done about it, where a reason alone does not say it.
    pub action: Option<&'a str>,
    /// Whether a person should act.
    pub severity: Severity,
    /// For people; what is too long for the API server is cut off.
    pub message: &'a str,
}

impl Event<'_> {
    /// The object to create. Its name is unique by the time in nanoseconds, as client-go's are.
    pub fn at(&self, now: Timestamp) -> Object {
        let About { api_version, kind, name, namespace, uid } = self.about;
        let time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let own_name = format!("{name}.{:x}", now.as_nanosecond());
        let mut body = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": own_name, "namespace": namespace},
            "involvedObject": {
                "apiVersion": api_version, "kind": kind, "name": name, "namespace": namespace, "uid": uid,
            },
            "reason": self.reason,
            "message": shortened(self.message),
            "type": self.severity.as_str(),
            "source": {"component": "leeboard"},
            "reportingComponent": "leeboard",
            "reportingInstance": "leeboard",
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
        });
        if let Some(action) = self.action {
            body["action"] = action.into();
        }
        let key = ObjectKey {
            group: "".into(),
            kind: "Event".into(),
            namespace: Some(namespace.into()),
            name: own_name.as_str().into(),
        };
        Object { key, version: "v1".into(), body, origin: None }
    }
}

fn shortened(message: &str) -> String {
    const ELLIPSIS: &str = "…";
    if message.len() <= MAX_MESSAGE {
        return message.to_owned();
    }
    format!("{}{ELLIPSIS}", &message[..message.floor_char_boundary(MAX_MESSAGE - ELLIPSIS.len())])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About<'static> = About {
        api_version: "argoproj.io/v1alpha1",
        kind: "Application",
        name: "shop",
        namespace: "leeboard",
        uid: "u",
    };

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let message = "é".repeat(3000);
        let event =
            Event { about: ABOUT, reason: "Failed", action: None, severity: Severity::Warning, message: &message };
        let event = event.at(Timestamp::UNIX_EPOCH).body;
        let message = event["message"].as_str().unwrap();
        assert!(message.len() <= MAX_MESSAGE && message.ends_with("é…"), "{}", message.len());
        assert_eq!(event["type"], "Warning");
    }

    #[test]
    fn its_key_is_that_of_its_body() {
        let event =
            Event { about: ABOUT, reason: "Synced", action: Some("Go"), severity: Severity::Normal, message: "" };
        let object = event.at(Timestamp::UNIX_EPOCH);
        assert_eq!(Object::from_value(object.body.clone(), None).unwrap().key, object.key);
        assert_eq!(object.body["action"], "Go");
    }
}
