//! CloudWatch: `GetMetricData` in its JSON protocol.
//!
//! Documentation: <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>. The
//! template's query is a JSON list of `MetricDataQuery`; `region` is required. It is sent signed ([`super::aws`]). The value is
//! the first of the first result, which is the newest.

use serde_json::{Value, json};

use super::{Ask, Credentials, Error, Problem, Provider, Reading, Request, shape};

const EXPECTED: &str = "an answer of GetMetricData";
const MAX_POINTS: u32 = 20;

/// See the module.
pub(super) struct CloudWatch;

impl Provider for CloudWatch {
    fn request(&self, ask: &Ask<'_>) -> Result<Request, Error> {
        if ask.region.is_empty() {
            return Err(Error::NoRegion);
        }
        let address = if ask.address.is_empty() {
            let domain = if ask.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("https://monitoring.{}.{domain}", ask.region)
        } else {
            ask.address_or("")?.to_owned()
        };
        let queries = match serde_json::from_str::<Value>(ask.query) {
            Ok(queries @ Value::Array(_)) => queries,
            _ => {
                let expected = "a JSON list of MetricDataQuery";
                return Err(Error::Query { expected, query: ask.query.to_owned() });
            }
        };
        let (start, end) = ask.window();
        let body = json!({
            "StartTime": start, "EndTime": end, "MaxDatapoints": MAX_POINTS, "MetricDataQueries": queries,
        });
        let request = Request::post(format!("{address}/"), "application/x-amz-json-1.0", body.to_string())
            .with_header("X-Amz-Target", "GraniteServiceVersion20100801.GetMetricData");
        let credentials = Credentials::AwsSignature { region: ask.region.to_owned(), service: "monitoring" };
        Ok(Request { credentials, ..request })
    }

    fn read(&self, body: &[u8]) -> Reading {
        let answer = match super::json(body, EXPECTED) {
            Ok(answer) => answer,
            Err(reading) => return reading,
        };
        let Some(results) = answer["MetricDataResults"].as_array() else { return shape(body, EXPECTED) };
        let Some(first) = results.first() else { return Reading::NoData };
        if let status @ ("InternalError" | "Forbidden") = first["StatusCode"].as_str().unwrap_or_default() {
            let words = first["Messages"][0]["Value"].as_str().unwrap_or("without a message");
            return Reading::Error(Problem::Refused { message: format!("{status}: {words}") });
        }
        match first["Values"].get(0) {
            None => Reading::NoData,
            Some(value) => value.as_f64().map_or_else(|| shape(body, EXPECTED), Reading::of),
        }
    }
}
