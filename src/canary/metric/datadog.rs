//! Datadog: its timeseries query API, version 1.
//!
//! Documentation: <https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-points>. Secret:
//! `datadog_api_key`, `datadog_application_key`. The value is the oldest point of the first series, as Flagger takes it.

use super::{Ask, Encoded, Error, Problem, Provider, Reading, Request, json, shape};

const EXPECTED: &str = "an answer of Datadog's query API";

/// See the module.
pub(super) struct Datadog;

impl Provider for Datadog {
    fn request(&self, ask: &Ask<'_>) -> Result<Request, Error> {
        let address = ask.address_or("https://api.datadoghq.com")?;
        let (from, to) = ask.window();
        let url = format!("{address}/api/v1/query?query={}&from={from}&to={to}", Encoded(ask.query.trim()));
        Ok(Request::get(url)
            .with_header("DD-API-KEY", ask.secret("datadog_api_key")?)
            .with_header("DD-APPLICATION-KEY", ask.secret("datadog_application_key")?))
    }

    fn read(&self, body: &[u8]) -> Reading {
        let answer = match json(body, EXPECTED) {
            Ok(answer) => answer,
            Err(reading) => return reading,
        };
        if answer["status"] == "error" {
            let message = answer["error"].as_str().unwrap_or("Datadog says only that there is an error");
            return Reading::Error(Problem::Refused { message: message.to_owned() });
        }
        let Some(series) = answer["series"].as_array() else { return shape(body, EXPECTED) };
        let Some(point) = series.first().and_then(|first| first["pointlist"].get(0)) else { return Reading::NoData };
        match &point[1] {
            serde_json::Value::Null => Reading::NoData,
            value => value.as_f64().map_or_else(|| shape(body, EXPECTED), Reading::of),
        }
    }
}
