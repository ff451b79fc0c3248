//! Keptn: the value that its metrics operator keeps in a KeptnMetric.
//!
//! Documentation: <https://keptn.sh/stable/docs/guides/evaluatemetrics/>. The template's query is
//! `keptnmetric/<namespace>/<name>/…`. Cannot: `analysis/…`, which is made, awaited and deleted, and so is no query.

use super::{Ask, Encoded, Error, Provider, Reading, Request, To, json, number, shape};

const EXPECTED: &str = "a KeptnMetric";

/// See the module.
pub(super) struct Keptn;

impl Provider for Keptn {
    fn request(&self, ask: &Ask<'_>) -> Result<Request, Error> {
        let mut parts = ask.query.trim().split('/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("keptnmetric"), Some(namespace), Some(name)) if !namespace.is_empty() && !name.is_empty() => {
                let path = format!(
                    "/apis/metrics.keptn.sh/v1/namespaces/{}/keptnmetrics/{}",
                    Encoded(namespace),
                    Encoded(name)
                );
                Ok(Request { to: To::ApiServer(path), ..Request::get(String::new()) })
            }
            _ => Err(Error::Query { expected: "keptnmetric/<namespace>/<name>", query: ask.query.to_owned() }),
        }
    }

    fn read(&self, body: &[u8]) -> Reading {
        let object = match json(body, EXPECTED) {
            Ok(object) => object,
            Err(reading) => return reading,
        };
        match &object["status"]["value"] {
            serde_json::Value::Null if object["kind"] == "KeptnMetric" => Reading::NoData,
            serde_json::Value::String(text) if text.is_empty() => Reading::NoData,
            value => number(value).map_or_else(|| shape(body, EXPECTED), Reading::of),
        }
    }
}
