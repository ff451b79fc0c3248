//! New Relic: NRQL through the Insights query API.
//!
//! Documentation: <https://docs.newrelic.com/docs/apis/insights-apis/query-insights-event-data-api/>. Secret:
//! `newrelic_account_id`, `newrelic_query_key`. The query is to give one `result`.

use super::{Ask, Encoded, Error, Problem, Provider, Reading, Request, json, number, shape};

const EXPECTED: &str = "an answer of New Relic's query API";

/// See the module.
pub(super) struct NewRelic;

impl Provider for NewRelic {
    fn request(&self, ask: &Ask<'_>) -> Result<Request, Error> {
        let address = ask.address_or("https://insights-api.newrelic.com")?;
        let account = ask.secret("newrelic_account_id")?;
        let query = format!("{} SINCE {} seconds ago", ask.query.trim(), ask.interval.as_secs());
        let url = format!("{address}/v1/accounts/{}/query?nrql={}", Encoded(account), Encoded(&query));
        Ok(Request::get(url).with_header("X-Query-Key", ask.secret("newrelic_query_key")?))
    }

    fn read(&self, body: &[u8]) -> Reading {
        let answer = match json(body, EXPECTED) {
            Ok(answer) => answer,
            Err(reading) => return reading,
        };
        if let Some(message) = answer["error"].as_str() {
            return Reading::Error(Problem::Refused { message: message.to_owned() });
        }
        let Some(results) = answer["results"].as_array() else { return shape(body, EXPECTED) };
        match results.as_slice() {
            [] => Reading::NoData,
            [one] => match &one["result"] {
                serde_json::Value::Null if one.get("result").is_some() => Reading::NoData,
                value => number(value).map_or_else(|| shape(body, EXPECTED), Reading::of),
            },
            [first, second, ..] => Reading::Error(Problem::ManySeries {
                count: results.len(),
                first: first.to_string(),
                second: second.to_string(),
            }),
        }
    }
}
