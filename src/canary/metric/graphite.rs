//! Graphite: its render API as JSON.
//!
//! Documentation: <https://graphite.readthedocs.io/en/latest/render_api.html>. Secret: `username` and `password`. The
//! template's query is the query string itself (`target=…&from=-1min`). The value is the last point that is not null
//! of the last target.

use super::{Ask, Error, Provider, Reading, Request, json, shape};

const EXPECTED: &str = "an answer of Graphite's render API";

/// See the module.
pub(super) struct Graphite;

impl Provider for Graphite {
    fn request(&self, ask: &Ask<'_>) -> Result<Request, Error> {
        let address = ask.address_or("")?;
        let query: String = ask.query.split_whitespace().collect();
        let request = Request::get(format!("{address}/render?{}&format=json", query.trim_start_matches('?')));
        ask.logged_in(request)
    }

    fn read(&self, body: &[u8]) -> Reading {
        let answer = match json(body, EXPECTED) {
            Ok(answer) => answer,
            Err(reading) => return reading,
        };
        let Some(targets) = answer.as_array() else { return shape(body, EXPECTED) };
        let Some(last) = targets.last() else { return Reading::NoData };
        let Some(points) = last["datapoints"].as_array() else { return shape(body, EXPECTED) };
        let value = points.iter().rev().find_map(|point| point[0].as_f64());
        value.map_or(Reading::NoData, Reading::of)
    }
}
