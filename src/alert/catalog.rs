//! What there is without a word of configuration: triggers and templates under the names of Argo CD's catalog.

use std::collections::BTreeMap;

use super::config::Configuration;

/// Key and text, as they would stand in the ConfigMap.
const ENTRIES: [(&str, &str); 17] = [
    ("defaultTriggers", "[on-deployed, on-sync-failed, on-health-degraded]"),
    ("trigger.on-created", "{when: 'true', oncePer: app.metadata.name, send: [app-created]}"),
    (
        "trigger.on-deleted",
        "{when: app.metadata.deletionTimestamp != nil, oncePer: app.metadata.name, send: [app-deleted]}",
    ),
    (
        "trigger.on-deployed",
        "when: app.status?.operationState?.phase == 'Succeeded' and app.status.sync.status == 'Synced' and \
         app.status.health.status == 'Healthy'\n\
         oncePer: app.status.operationState?.syncResult?.revision\n\
         send: [app-deployed]",
    ),
    (
        "trigger.on-health-degraded",
        "when: app.status?.health?.status == 'Degraded'\n\
         oncePer: app.status?.operationState?.syncResult?.revision\n\
         send: [app-health-degraded]",
    ),
    (
        "trigger.on-sync-failed",
        "when: app.status?.operationState?.phase in ['Error', 'Failed']\n\
         oncePer: app.status?.operationState?.syncResult?.revision\n\
         send: [app-sync-failed]",
    ),
    (
        "trigger.on-sync-running",
        "when: app.status?.operationState?.phase == 'Running'\n\
         oncePer: app.status?.operationState?.syncResult?.revision\n\
         send: [app-sync-running]",
    ),
    (
        "trigger.on-sync-status-unknown",
        "when: app.status?.sync?.status == 'Unknown'\n\
         oncePer: app.status?.operationState?.syncResult?.revision\n\
         send: [app-sync-status-unknown]",
    ),
    (
        "trigger.on-sync-succeeded",
        "when: app.status?.operationState?.phase == 'Succeeded'\n\
         oncePer: app.status?.operationState?.syncResult?.revision\n\
         send: [app-sync-succeeded]",
    ),
    ("template.app-created", include_str!("catalog/app-created.yaml")),
    ("template.app-deleted", include_str!("catalog/app-deleted.yaml")),
    ("template.app-deployed", include_str!("catalog/app-deployed.yaml")),
    ("template.app-health-degraded", include_str!("catalog/app-health-degraded.yaml")),
    ("template.app-sync-failed", include_str!("catalog/app-sync-failed.yaml")),
    ("template.app-sync-running", include_str!("catalog/app-sync-running.yaml")),
    ("template.app-sync-status-unknown", include_str!("catalog/app-sync-status-unknown.yaml")),
    ("template.app-sync-succeeded", include_str!("catalog/app-sync-succeeded.yaml")),
];

/// A configuration of nothing else.
pub(super) fn configuration() -> Configuration {
    let mut config = Configuration::default();
    for (key, text) in ENTRIES {
        // Each of them can be read: a test does.
        let read = config.take_in(key, text, &BTreeMap::new());
        debug_assert_eq!(read, Ok(()), "{key}");
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::names::Scene;
    use crate::alert::notified::Notified;
    use crate::alert::{due, subscription};
    use jiff::Timestamp;
    use serde_json::{Value as Json, json};
    use std::collections::BTreeSet;

    #[test]
    fn the_catalog_can_be_read() {
        let mut config = Configuration::default();
        for (key, text) in ENTRIES {
            assert_eq!(config.take_in(key, text, &BTreeMap::new()), Ok(()), "{key}");
        }
        let (_, mistakes) = Configuration::read(&BTreeMap::new(), &BTreeMap::new());
        assert_eq!(mistakes, []);
    }

    const SERVICES: [(&str, &str); 7] = [
        ("service.slack", "token: a"),
        ("service.teams", "recipientUrls: {ops: https://teams.example}"),
        ("service.teams-workflows", "recipientUrls: {ops: https://flow.example}"),
        ("service.email", "{host: mail.example.com, from: a@example.com}"),
        ("service.webhook.hook", "url: https://hooks.example"),
        ("service.pagerdutyv2", "serviceKeys: {ops: a}"),
        ("service.alertmanager", "{}"),
    ];

    /// The triggers that an application sets off, each of which every service can be told of.
    fn set_off(app: Json) -> BTreeSet<String> {
        let data = SERVICES.map(|(key, text)| (key.to_owned(), text.to_owned())).into_iter().collect();
        let (config, mistakes) = Configuration::read(&data, &BTreeMap::new());
        assert_eq!(mistakes, []);
        let triggers = ENTRIES.iter().filter_map(|(key, _)| key.strip_prefix("trigger."));
        let services = ["slack", "teams", "teams-workflows", "email", "hook", "pagerdutyv2", "alertmanager"];
        let annotations: Vec<String> = triggers
            .flat_map(|trigger| {
                services.map(|service| format!("notifications.argoproj.io/subscribe.{trigger}.{service}"))
            })
            .collect();
        let annotations = annotations.iter().map(|key| (key.as_str(), "ops"));
        let destinations = subscription::destinations(&config, annotations, &BTreeMap::new());
        let now = Timestamp::UNIX_EPOCH;
        let names = config.names(&Scene { app, project: json!({}), commits: Vec::new(), now });
        let looked = due::look(&config, &destinations, &names, &mut Notified::default(), now);
        assert_eq!(looked.mistakes, []);
        for due in &looked.due {
            let delivery = due::delivery(&config, due, &names, now);
            assert!(delivery.is_ok(), "{due:?}: {delivery:?}");
        }
        looked.due.into_iter().map(|due| due.trigger).collect()
    }

    #[test]
    fn each_trigger_is_set_off_by_what_its_name_says_and_every_service_can_tell_it() {
        let app = |sync: &str, health: &str, phase: &str| {
            json!({"metadata": {"name": "web"}, "status": {
                "sync": {"status": sync, "revision": "abc"},
                "health": {"status": health, "message": "it says \"no\""},
                "conditions": [{"type": "SyncError", "message": "one\ntwo"}],
                "operationState": {"phase": phase, "startedAt": "2026-11-22T10:00:00Z", "syncResult": {"revision": "abc"}},
            }})
        };
        let gone = json!({"metadata": {"name": "web", "deletionTimestamp": "2026-11-22T10:00:00Z"}});
        let cases = [
            (json!({"metadata": {"name": "web"}}), vec![]),
            (gone, vec!["on-deleted"]),
            (app("OutOfSync", "Healthy", "Running"), vec!["on-sync-running"]),
            (app("OutOfSync", "Healthy", "Failed"), vec!["on-sync-failed"]),
            (app("OutOfSync", "Healthy", "Error"), vec!["on-sync-failed"]),
            (app("Synced", "Progressing", "Succeeded"), vec!["on-sync-succeeded"]),
            (app("Synced", "Healthy", "Succeeded"), vec!["on-deployed", "on-sync-succeeded"]),
            (app("Synced", "Degraded", "Succeeded"), vec!["on-health-degraded", "on-sync-succeeded"]),
            (app("Unknown", "Healthy", "Succeeded"), vec!["on-sync-status-unknown", "on-sync-succeeded"]),
        ];
        for (app, mut expected) in cases {
            expected.insert(0, "on-created");
            let found = set_off(app.clone());
            assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{app}");
        }
    }
}
