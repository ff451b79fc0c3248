//! What is posted to hooks, word for word as Flagger posts it, since people's receivers read it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::settings::Subject;
use super::{Event, Revision};
use crate::api::flagger::{Phase, Webhook};

/// Who is asked about, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// `metadata.name` of the Canary.
    pub name: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Where it stands.
    pub phase: Phase,
    /// The version that was tried last; `None` before the first.
    pub revision: Option<&'a Revision>,
}

/// The body of a hook's call.
pub fn payload(about: About<'_>, hook: &Webhook) -> Value {
    body(about, &hook.metadata)
}

/// The body of the call of an `event` hook: what is told is in the metadata, the user's own beside it.
pub fn event_payload(about: About<'_>, hook: &Webhook, event: &Event, subject: &Subject, now: Timestamp) -> Value {
    let mut metadata = hook.metadata.clone();
    metadata.insert("eventMessage".into(), event.message(subject));
    metadata.insert("eventType".into(), if event.is_warning() { "Warning" } else { "Normal" }.into());
    metadata.insert("timestamp".into(), now.as_millisecond().to_string());
    body(about, &metadata)
}

fn body(about: About<'_>, metadata: &BTreeMap<String, String>) -> Value {
    let mut body = Map::new();
    body.insert("name".into(), about.name.into());
    body.insert("namespace".into(), about.namespace.into());
    body.insert("phase".into(), about.phase.as_str().into());
    body.insert("checksum".into(), about.revision.map(Revision::checksum).unwrap_or_default().into());
    if !metadata.is_empty() {
        body.insert("metadata".into(), json!(metadata));
    }
    body.into()
}

#[cfg(test)]
mod tests {
    use super::super::settings::TargetKind;
    use super::*;

    const ABOUT: About<'_> = About { name: "web", namespace: "shop", phase: Phase::Progressing, revision: None };

    #[test]
    fn metadata_is_left_out_when_there_is_none() {
        let plain = Webhook::default();
        let expected = json!({"name": "web", "namespace": "shop", "phase": "Progressing", "checksum": ""});
        assert_eq!(payload(ABOUT, &plain), expected);
        let full = Webhook { metadata: [("k".to_owned(), "v".to_owned())].into(), ..Webhook::default() };
        assert_eq!(payload(ABOUT, &full)["metadata"], json!({"k": "v"}));
    }

    #[test]
    fn an_event_is_told_in_the_metadata() {
        let subject = Subject { kind: TargetKind::Deployment, name: "web".into(), namespace: "shop".into() };
        let metadata = [("k".to_owned(), "v".to_owned()), ("eventType".to_owned(), "mine".to_owned())];
        let hook = Webhook { metadata: metadata.into(), ..Webhook::default() };
        let now = Timestamp::from_millisecond(1_795_246_833_910).unwrap();
        assert_eq!(
            event_payload(ABOUT, &hook, &Event::Initialized, &subject, now)["metadata"],
            json!({"k": "v", "eventMessage": "Initialization done! web.shop", "eventType": "Normal",
                   "timestamp": "1795246833910"}),
        );
    }

    #[test]
    fn a_checksum_is_ten_characters_of_the_version() {
        let revision = Revision::of(&json!({"image": "web:1"}), &BTreeMap::new());
        let about = About { revision: Some(&revision), ..ABOUT };
        assert_eq!(payload(about, &Webhook::default())["checksum"].as_str().unwrap().len(), 10);
    }
}
