//! Google Cloud Monitoring: a query in MQL through `timeSeries:query`.
//!
//! Documentation: <https://cloud.google.com/monitoring/api/ref_v3/rest/v3/projects.timeSeries/query>. Secret:
//! `project`; `serviceAccountKey` (JSON) unless the daemon's own identity may read. The value is the first point of
//! the first series, a double or an integer.

use super::{Ask, Credentials, Encoded, Error, Problem, Provider, Reading, Request, json, number, shape};
use crate::object::secret::Masked;

const EXPECTED: &str = "an answer of Cloud Monitoring's query API";

/// See the module.
pub(super) struct Stackdriver;

impl Provider for Stackdriver {
    fn request(&self, ask: &Ask<'_>) -> Result<Request, Error> {
        let address = ask.address_or("https://monitoring.googleapis.com")?;
        let url = format!("{address}/v3/projects/{}/timeSeries:query", Encoded(ask.secret("project")?));
        let body = serde_json::json!({"query": ask.query}).to_string();
        let service_account_key = ask.optional_secret("serviceAccountKey").map(Masked::new);
        let credentials = Credentials::Google { service_account_key };
        Ok(Request { credentials, ..Request::post(url, "application/json", body) })
    }

    fn read(&self, body: &[u8]) -> Reading {
        let answer = match json(body, EXPECTED) {
            Ok(answer) => answer,
            Err(reading) => return reading,
        };
        if let Some(message) = answer["partialErrors"][0]["message"].as_str() {
            return Reading::Error(Problem::Refused { message: message.to_owned() });
        }
        // An empty list is left out of an answer.
        let Some(series) = answer["timeSeriesData"].get(0) else {
            return if answer.is_object() { Reading::NoData } else { shape(body, EXPECTED) };
        };
        let Some(point) = series["pointData"].get(0) else { return Reading::NoData };
        let value = &point["values"][0];
        let found = value.get("doubleValue").or_else(|| value.get("int64Value")).and_then(number);
        found.map_or_else(|| shape(body, EXPECTED), Reading::of)
    }
}
