//! Dynatrace: its metrics API, version 2.
//!
//! Documentation: <https://docs.dynatrace.com/docs/dynatrace-api/environment-api/metric-v2/get-data-points>. Secret:
//! `dynatrace_token`. With `resolution=Inf` each series has one point; the value is the first of the last series.

use super::{Ask, Encoded, Error, Provider, Reading, Request, json, shape};

const EXPECTED: &str = "an answer of Dynatrace's metrics API";

/// See the module.
pub(super) struct Dynatrace;

impl Provider for Dynatrace {
    fn request(&self, ask: &Ask<'_>) -> Result<Request, Error> {
        let address = ask.address_or("")?;
        let (from, to) = ask.window();
        let url = format!(
            "{address}/api/v2/metrics/query?metricSelector={}&resolution=Inf&from={}&to={}",
            Encoded(ask.query.trim()),
            from.saturating_mul(1000),
            to.saturating_mul(1000)
        );
        Ok(Request::get(url).with_header("Authorization", format!("Api-Token {}", ask.secret("dynatrace_token")?)))
    }

    fn read(&self, body: &[u8]) -> Reading {
        let answer = match json(body, EXPECTED) {
            Ok(answer) => answer,
            Err(reading) => return reading,
        };
        let Some(results) = answer["result"].as_array() else { return shape(body, EXPECTED) };
        let data = results.iter().filter_map(|result| result["data"].as_array()).flatten();
        match data.last().map(|last| &last["values"][0]) {
            None | Some(serde_json::Value::Null) => Reading::NoData,
            Some(value) => value.as_f64().map_or_else(|| shape(body, EXPECTED), Reading::of),
        }
    }
}
