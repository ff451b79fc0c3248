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

    #[test]
    fn the_catalog_can_be_read() {
        let mut config = Configuration::default();
        for (key, text) in ENTRIES {
            assert_eq!(config.take_in(key, text, &BTreeMap::new()), Ok(()), "{key}");
        }
        let (_, mistakes) = Configuration::read(&BTreeMap::new(), &BTreeMap::new());
        assert_eq!(mistakes, []);
    }
}
