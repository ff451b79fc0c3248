//! Alerts of an Alertmanager (<https://prometheus.io/docs/alerting/latest/alerts_api/>). Of several targets, which are a
//! cluster, one has to take it.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{Accepted, BasicAuth, Content, Delivery, post};
use crate::object::secret::Masked;
use crate::template::Value;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::alert) struct Alertmanager {
    targets: Vec<String>,
    scheme: String,
    api_path: String,
    basic_auth: Option<BasicAuth>,
    bearer_token: String,
    insecure_skip_verify: bool,
}

impl Default for Alertmanager {
    fn default() -> Self {
        Alertmanager {
            targets: vec!["127.0.0.1:9093".to_owned()],
            scheme: "http".to_owned(),
            api_path: "/api/v2/alerts".to_owned(),
            basic_auth: None,
            bearer_token: String::new(),
            insecure_skip_verify: false,
        }
    }
}

impl Alertmanager {
    pub(super) fn delivery(&self, content: &Content<'_>, names: &Value, now: Timestamp) -> Result<Delivery, String> {
        let section = content.section;
        if section["labels"].as_object().is_none_or(serde_json::Map::is_empty) {
            return Err("the template has no `alertmanager.labels`".to_owned());
        }
        let app = names_json(names);
        let repository = app.pointer("/spec/source/repoURL").and_then(Json::as_str);
        let mut alert = json!({"labels": section["labels"], "startsAt": now.to_string()});
        if section["annotations"].is_object() {
            alert["annotations"] = section["annotations"].clone();
        }
        let generator = content.text("generatorURL").or(repository).filter(|url| url.starts_with("http"));
        if let Some(url) = generator {
            alert["generatorURL"] = url.into();
        }
        let calls = self.targets.iter().map(|target| {
            let url = format!("{}://{target}{}", self.scheme, self.api_path);
            let mut call = post(&url, &json!([alert]), self.insecure_skip_verify, Accepted::ByStatus);
            call.headers.extend(self.basic_auth.as_ref().map(BasicAuth::header));
            if !self.bearer_token.is_empty() {
                let token = Masked::new(format!("Bearer {}", self.bearer_token));
                call.headers.push(("Authorization".to_owned(), token));
            }
            call
        });
        Ok(Delivery::Requests(calls.collect()))
    }
}

/// The application among the names.
pub(super) fn names_json(names: &Value) -> Json {
    match names {
        Value::Map(map) => map.get("app").map(Value::to_json).unwrap_or_default(),
        _ => Json::Null,
    }
}
