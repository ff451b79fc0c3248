//! Prometheus: an instant query of its HTTP API.
//!
//! Documentation: <https://prometheus.io/docs/prometheus/latest/querying/api/>. Secret: `token`, or `username` and
//! `password`. Cannot: take a range (a matrix is refused).

use serde_json::Value;

use super::{Ask, Encoded, Error, Problem, Provider, Reading, Request, excerpt, json, number, shape, squeezed};

const EXPECTED: &str = "an answer of Prometheus' query API";

/// See the module.
pub(super) struct Prometheus;

impl Provider for Prometheus {
    fn request(&self, ask: &Ask<'_>) -> Result<Request, Error> {
        let address = ask.address_or("")?;
        let query = squeezed(ask.query);
        let request = Request::get(format!("{address}/api/v1/query?query={}", Encoded(&query)));
        let request = request.with_headers(ask.own_headers());
        if let Some(token) = ask.optional_secret("token") {
            return Ok(request.with_header("Authorization", format!("Bearer {token}")));
        }
        ask.logged_in(request)
    }

    fn read(&self, body: &[u8]) -> Reading {
        let answer = match json(body, EXPECTED) {
            Ok(answer) => answer,
            Err(reading) => return reading,
        };
        if answer["status"] == "error" {
            return Reading::Error(Problem::Refused { message: own_words(&answer, body) });
        }
        let result = &answer["data"]["result"];
        match (answer["data"]["resultType"].as_str(), result.as_array()) {
            (Some("vector"), Some(series)) => match series.as_slice() {
                [] => Reading::NoData,
                [one] => number(&one["value"][1]).map_or_else(|| shape(body, EXPECTED), Reading::of),
                [first, second, ..] => Reading::Error(Problem::ManySeries {
                    count: series.len(),
                    first: first["metric"].to_string(),
                    second: second["metric"].to_string(),
                }),
            },
            (Some("scalar"), Some(pair)) => {
                pair.get(1).and_then(number).map_or_else(|| shape(body, EXPECTED), Reading::of)
            }
            (Some("matrix"), _) => Reading::Error(Problem::Refused {
                message: "query returned multiple values: a range, no instant".into(),
            }),
            (Some("string"), _) => Reading::Error(Problem::Refused { message: "query returned a text".into() }),
            _ => shape(body, EXPECTED),
        }
    }

    fn read_refusal(&self, status: u16, body: &[u8]) -> Reading {
        let message =
            serde_json::from_slice::<Value>(body).map_or_else(|_| excerpt(body), |answer| own_words(&answer, body));
        Reading::Error(Problem::Status { status, message })
    }
}

/// `bad_data: parse error …`
fn own_words(answer: &Value, body: &[u8]) -> String {
    match (answer["errorType"].as_str(), answer["error"].as_str()) {
        (Some(kind), Some(error)) => format!("{kind}: {error}"),
        (None, Some(error)) => error.to_owned(),
        _ => excerpt(body),
    }
}
