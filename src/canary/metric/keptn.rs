//! Keptn: the value that its metrics operator keeps in a KeptnMetric, or the verdict of an Analysis, 1 or 0.
//!
//! Documentation: <https://keptn.sh/stable/docs/guides/evaluatemetrics/>, <https://keptn.sh/stable/docs/guides/slo/>. The
//! template's query is `keptnmetric/<namespace>/<name>` or `analysis/<namespace>/<AnalysisDefinition>/<last>/<key=value;…>`.
//! An Analysis is made for each question, and deleted when it has ended.

use std::time::Duration;

use serde_json::Map;
use sha2::{Digest as _, Sha256};

use super::{Ask, Encoded, Error, Provider, Reading, Request, To, json, number, shape};
use crate::object::Object;

const EXPECTED: &str = "a KeptnMetric or an Analysis";
const QUERY: &str = "keptnmetric/<namespace>/<name> or analysis/<namespace>/<definition>/<duration>/<key=value;…>";
/// What an Analysis looks back at when the query does not say.
const LAST: &str = "1m";
/// How long an Analysis may take; Flagger's.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Keptn;

impl Provider for Keptn {
    fn request(&self, ask: &Ask<'_>) -> Result<Request, Error> {
        let wrong = || Error::Query { expected: QUERY, query: ask.query.to_owned() };
        let mut parts = ask.query.trim().split('/');
        let mut part = || parts.next().filter(|part| !part.is_empty());
        let (kind, namespace, name) = (part(), part(), part());
        let (Some(kind), Some(namespace), Some(name)) = (kind, namespace, name) else { return Err(wrong()) };
        if !is_name(namespace) || !is_name(name) {
            return Err(wrong());
        }
        match &*kind.to_ascii_lowercase() {
            "keptnmetric" | "keptnmetrics" => {
                let path = format!(
                    "/apis/metrics.keptn.sh/v1/namespaces/{}/keptnmetrics/{}",
                    Encoded(namespace),
                    Encoded(name)
                );
                Ok(Request { to: To::ApiServer(path), ..Request::get(String::new()) })
            }
            "analysis" | "analyses" => {
                let last = part().unwrap_or(LAST);
                let made = analysis(ask, namespace, name, last, part().unwrap_or_default()).ok_or_else(wrong)?;
                Ok(Request { to: To::Made(Box::new(made)), timeout: PATIENCE, ..Request::get(String::new()) })
            }
            _ => Err(wrong()),
        }
    }

    fn read(&self, body: &[u8]) -> Reading {
        let object = match json(body, EXPECTED) {
            Ok(object) => object,
            Err(reading) => return reading,
        };
        let status = &object["status"];
        if object["kind"] == "Analysis" {
            return match status["state"].as_str() {
                // A verdict that is `false` is left out.
                Some("Completed") => Reading::of(if status["pass"] == true { 1.0 } else { 0.0 }),
                _ => Reading::NoData,
            };
        }
        match &status["value"] {
            serde_json::Value::Null if object["kind"] == "KeptnMetric" => Reading::NoData,
            serde_json::Value::String(text) if text.is_empty() => Reading::NoData,
            value => number(value).map_or_else(|| shape(body, EXPECTED), Reading::of),
        }
    }
}

/// What stands in a path as it is.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '.')
}

/// One that looks back from now; it has a name of its own each time.
fn analysis(ask: &Ask<'_>, namespace: &str, definition: &str, last: &str, arguments: &str) -> Option<Object> {
    let digest = Sha256::digest(format!("{}\n{}", ask.query, ask.now));
    let suffix: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let pairs = arguments.split(';').filter_map(|pair| pair.split_once('='));
    let arguments: Map<_, _> = pairs.map(|(key, value)| (key.to_owned(), value.into())).collect();
    let body = serde_json::json!({
        "apiVersion": "metrics.keptn.sh/v1", "kind": "Analysis",
        "metadata": {"name": format!("{definition}-{suffix}"), "namespace": namespace},
        "spec": {"analysisDefinition": {"name": definition}, "timeframe": {"recent": last}, "args": arguments},
    });
    Object::from_value(body, None).ok()
}
