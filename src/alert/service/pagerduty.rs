//! Events of PagerDuty (<https://developer.pagerduty.com/docs/send-alert-event>).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::{Accepted, Content, Delivery, post};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::alert) struct PagerDuty {
    #[serde(default)]
    service_keys: BTreeMap<String, String>,
    /// Where accounts of the EU send theirs; not Argo CD's.
    #[serde(rename = "apiURL", default = "events")]
    api_url: String,
}

fn events() -> String {
    "https://events.pagerduty.com".to_owned()
}

impl PagerDuty {
    pub(super) fn delivery(&self, recipient: &str, content: &Content<'_>) -> Result<Delivery, String> {
        let key = self.service_keys.get(recipient).ok_or_else(|| format!("`serviceKeys` has no `{recipient}`"))?;
        let summary = content.text("summary").ok_or("the template has no `pagerdutyv2.summary`")?;
        let mut payload = json!({"summary": summary});
        payload["severity"] = content.text("severity").unwrap_or("error").trim().into();
        payload["source"] = content.text("source").unwrap_or("leeboard").into();
        for name in ["component", "group", "class"] {
            if let Some(text) = content.text(name) {
                payload[name] = text.into();
            }
        }
        let mut event =
            json!({"routing_key": key, "event_action": "trigger", "client": "Leeboard", "payload": payload});
        for (name, field) in [("dedupKey", "dedup_key"), ("url", "client_url")] {
            if let Some(text) = content.text(name) {
                event[field] = text.into();
            }
        }
        let url = format!("{}/v2/enqueue", self.api_url.trim_end_matches('/'));
        Ok(Delivery::Requests(vec![post(&url, &event, false, Accepted::ByStatus)]))
    }
}
