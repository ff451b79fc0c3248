//! Alerts of an Alertmanager.
//!
//! Documentation: <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>. What is silenced or inhibited
//! wakes nobody and fails nothing.

use std::fmt;

use serde::Deserialize;

use super::super::metric::Encoded;
use super::super::settings::Refusal;
use super::super::world::Reading;
use super::{Unfit, annotation, excerpt, firing, refused};
use crate::api::flagger::Canary;

/// Annotation: the address of the Alertmanager.
const ADDRESS: &str = "canary.leeboard.dev/alertmanager";
/// Annotation: which of its alerts are about this canary, as `app=web,severity=~"page|critical"`.
const MATCHERS: &str = "canary.leeboard.dev/alert-matchers";
/// Which alerts are looked at, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alertmanager {
    address: String,
    matchers: Vec<Matcher>,
}

/// One condition on an alert's labels.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Matcher {
    label: String,
    operator: &'static str,
    value: String,
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.replace('\\', "\\\\").replace('"', "\\\"");
        write!(f, "{}{}\"{value}\"", self.label, self.operator)
    }
}

impl Alertmanager {
    /// What a Canary says of alerts, if it does.
    ///
    /// # Errors
    /// When the address is no URL, or it is not said which alerts are meant: all alerts would be, also those that always
    /// fire.
    pub(super) fn of(canary: &Canary) -> Result<Option<Self>, Refusal> {
        let (address, text) = (annotation(canary, ADDRESS), annotation(canary, MATCHERS));
        if address.is_empty() {
            return Ok(None);
        }
        match Alertmanager::new(address, text) {
            Ok(alertmanager) => Ok(Some(alertmanager)),
            Err(Unfit::Address(expected)) => Err(refused(ADDRESS, address, expected)),
            Err(Unfit::Which(expected) | Unfit::Secret(expected)) => Err(refused(MATCHERS, text, expected)),
        }
    }

    /// The alerts at an address that these matchers mean.
    ///
    /// # Errors
    /// What would be right, where something is not.
    pub fn new(address: &str, text: &str) -> Result<Self, Unfit> {
        let address = address.trim_end_matches('/');
        if !address.starts_with("http://") && !address.starts_with("https://") {
            return Err(Unfit::Address("an address as `http://alertmanager:9093`"));
        }
        let matchers = matchers(text).filter(|matchers| !matchers.is_empty());
        let matchers = matchers.ok_or(Unfit::Which("labels of alerts as `app=web,severity=page`"))?;
        Ok(Alertmanager { address: address.to_owned(), matchers })
    }

    /// What is asked of it.
    pub(super) fn url(&self) -> String {
        let filters: String =
            self.matchers.iter().map(|matcher| format!("&filter={}", Encoded(&matcher.to_string()))).collect();
        format!("{}/api/v2/alerts?active=true&silenced=false&inhibited=false{filters}", self.address)
    }
}

/// Reads `name="value",other=~value`; nothing when it is no such list.
fn matchers(text: &str) -> Option<Vec<Matcher>> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let at = rest.find(['=', '!'])?;
        let label = rest[..at].trim();
        let is_label = |label: &str| {
            let mut letters = label.chars();
            letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
                && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        };
        if !is_label(label) {
            return None;
        }
        // The longer ones first.
        let operator = ["=~", "!~", "!=", "="].into_iter().find(|operator| rest[at..].starts_with(operator))?;
        let (value, after) = value(rest[at + operator.len()..].trim_start())?;
        found.push(Matcher { label: label.to_owned(), operator, value });
        rest = match after.trim_start().strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if after.trim().is_empty() => "",
            None => return None,
        };
    }
    Some(found)
}

/// A value and what comes after it: in quotes, or up to the next comma.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let plain = text[..end].trim();
        // A comma was forgotten.
        let is_one = !plain.contains(|letter: char| letter.is_whitespace() || letter == '=' || letter == '"');
        return is_one.then(|| (plain.to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            letter => value.push(letter),
        }
    }
    None
}

/// As much of an alert as is of interest.
#[derive(Deserialize)]
struct GettableAlert {
    labels: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    status: Option<AlertStatus>,
}

#[derive(Deserialize)]
struct AlertStatus {
    state: String,
}

impl GettableAlert {
    /// `HighErrorRate (5 % of requests fail)`.
    fn name(&self) -> String {
        let name = self.labels.get("alertname").map_or("an alert without a name", String::as_str);
        let words = ["summary", "description", "message"].iter().find_map(|key| self.annotations.get(*key));
        match words.map(|words| words.trim()).filter(|words| !words.is_empty()) {
            Some(words) => format!("{name} ({words})"),
            None => name.to_owned(),
        }
    }
}

/// What an answer says: no alert is a value of 0.
pub(super) fn read(status: u16, body: &[u8]) -> Reading {
    if !(200..300).contains(&status) {
        return Reading::Error(format!("Alertmanager: error response: {status}: {}", excerpt(body)));
    }
    let Ok(mut alerts) = serde_json::from_slice::<Vec<GettableAlert>>(body) else {
        return Reading::Error(format!("Alertmanager: the answer is not a list of alerts: {}", excerpt(body)));
    };
    alerts.retain(|alert| alert.status.as_ref().is_none_or(|status| status.state != "suppressed"));
    firing(alerts.iter().map(GettableAlert::name).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(annotations: &Value) -> Result<Option<String>, String> {
        let object = json!({"kind": "Canary", "metadata": {"name": "web", "namespace": "shop", "annotations": annotations},
            "spec": {"targetRef": {"kind": "Deployment", "name": "web"}, "service": {"port": 80}, "analysis": {}}});
        let alarms = Alertmanager::of(&crate::api::decode(&object).unwrap());
        alarms.map(|alarms| alarms.map(|alarms| alarms.url())).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn matchers_become_filters() {
        const ASK: &str = "http://am:9093/api/v2/alerts?active=true&silenced=false&inhibited=false";
        let cases = [
            // matchers, filters
            ("app=web", "&filter=app%3D%22web%22"),
            ("app = web , severity=page", "&filter=app%3D%22web%22&filter=severity%3D%22page%22"),
            ("severity=~\"page|critical\"", "&filter=severity%3D~%22page%7Ccritical%22"),
            ("team!=x,team!~y.*", "&filter=team%21%3D%22x%22&filter=team%21~%22y.%2A%22"),
            ("a=\"x,\\\"y\\\"\",b=", "&filter=a%3D%22x%2C%5C%22y%5C%22%22&filter=b%3D%22%22"),
        ];
        for (matchers, filters) in cases {
            let annotations = json!({ADDRESS: "http://am:9093/", MATCHERS: matchers});
            assert_eq!(of(&annotations), Ok(Some(format!("{ASK}{filters}"))), "{matchers}");
        }
    }

    #[test]
    fn what_names_no_alerts_is_refused() {
        assert_eq!(of(&json!({})), Ok(None));
        assert_eq!(of(&json!({MATCHERS: "app=web"})), Ok(None));
        for matchers in ["", " ", "app", "=web", "app=web severity", "app=\"web", "a-b=c", "app=\"a\"b=c"] {
            let refused = of(&json!({ADDRESS: "http://am:9093", MATCHERS: matchers})).unwrap_err();
            assert!(
                refused.ends_with("labels of alerts as `app=web,severity=page` is needed"),
                "{matchers}: {refused}"
            );
        }
        let refused = of(&json!({ADDRESS: "am:9093", MATCHERS: "app=web"})).unwrap_err();
        assert!(refused.contains("`am:9093`: an address as `http://alertmanager:9093` is needed"), "{refused}");
    }

    /// As Alertmanager 0.28 writes an alert.
    fn alert(name: &str, state: &str, annotations: &Value) -> Value {
        json!({
            "annotations": annotations, "endsAt": "2026-11-21T10:05:00.000Z", "fingerprint": "d83ad4d0f7d0e3a5",
            "receivers": [{"name": "on-call"}], "startsAt": "2026-11-21T10:00:00.000Z",
            "status": {"inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": state},
            "updatedAt": "2026-11-21T10:00:05.000Z", "generatorURL": "http://prometheus:9090/graph",
            "labels": {"alertname": name, "app": "web"},
        })
    }

    #[test]
    fn an_alert_that_fires_is_named() {
        let slow = || alert("Slow", "active", &json!({"summary": "p99 is 2 s"}));
        let firing = |text: &str| Reading::Firing(text.into());
        let cases = [
            // alerts, reading
            (json!([]), Reading::Value(0.0)),
            (json!([slow()]), firing("Slow (p99 is 2 s)")),
            (json!([slow(), alert("Broken", "unprocessed", &json!({}))]), firing("Broken and 1 more")),
            (json!([alert("Slow", "suppressed", &json!({}))]), Reading::Value(0.0)),
        ];
        for (alerts, expected) in cases {
            assert_eq!(read(200, alerts.to_string().as_bytes()), expected, "{alerts}");
        }
    }

    #[test]
    fn what_is_no_list_of_alerts_is_an_error() {
        let cases = [
            // status, body, error
            (400, "\"bad matcher format\"", "Alertmanager: error response: 400: \"bad matcher format\""),
            (200, "<html>", "Alertmanager: the answer is not a list of alerts: <html>"),
            (200, "[{}]", "Alertmanager: the answer is not a list of alerts: [{}]"),
        ];
        for (status, body, expected) in cases {
            assert_eq!(read(status, body.as_bytes()), Reading::Error(expected.into()));
        }
    }
}
