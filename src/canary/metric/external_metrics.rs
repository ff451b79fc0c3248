//! Kubernetes' external metrics API, which adapters such as KEDA's serve.
//!
//! Documentation: <https://kubernetes.io/docs/reference/external-api/external-metrics.v1beta1/>. The template's query
//! is `<namespace>/<metric>?labelSelector=…`. Secret: `token`, for an address of its own. The value is the first item.

use super::{Ask, Error, Provider, Reading, Request, To, json, shape};
use crate::object::quantity::Quantity;

const EXPECTED: &str = "an ExternalMetricValueList";

/// See the module.
pub(super) struct ExternalMetrics;

impl Provider for ExternalMetrics {
    fn request(&self, ask: &Ask<'_>) -> Result<Request, Error> {
        let query: String = ask.query.split_whitespace().collect();
        let Some((namespace, metric)) =
            query.split_once('/').filter(|(left, right)| !left.is_empty() && !right.is_empty())
        else {
            let expected = "<namespace>/<metric>?labelSelector=…";
            return Err(Error::Query { expected, query: ask.query.to_owned() });
        };
        // The daemon may read more of the API server than whoever wrote the query.
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
        let name = metric.split_once('?').map_or(metric, |(name, _)| name);
        let is_plain = |part: &str| !part.starts_with('.') && part.chars().all(plain);
        if !is_plain(namespace) || !is_plain(name) || metric.contains('#') {
            let expected = "<namespace>/<metric>?labelSelector=…";
            return Err(Error::Query { expected, query: ask.query.to_owned() });
        }
        let path = format!("/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}");
        if ask.address.is_empty() {
            return Ok(Request { to: To::ApiServer(path), ..Request::get(String::new()) });
        }
        let request = Request::get(format!("{}{path}", ask.address_or("")?));
        Ok(match ask.optional_secret("token") {
            Some(token) => request.with_header("Authorization", format!("Bearer {token}")),
            None => request,
        })
    }

    fn read(&self, body: &[u8]) -> Reading {
        let list = match json(body, EXPECTED) {
            Ok(list) => list,
            Err(reading) => return reading,
        };
        let Some(items) = list["items"].as_array() else { return shape(body, EXPECTED) };
        let Some(first) = items.first() else { return Reading::NoData };
        let quantity = Quantity::from_value(&first["value"]);
        quantity.map_or_else(|| shape(body, EXPECTED), |quantity| Reading::of(quantity.billionths() as f64 / 1e9))
    }
}
