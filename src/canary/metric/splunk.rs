//! Splunk Observability (SignalFx): a SignalFlow program over HTTP, whose answer is a stream of events.
//!
//! Documentation: <https://dev.splunk.com/observability/reference/api/signalflow/latest>. Secret: `sf_token_key`. The
//! address is that of the stream (`wss://stream.us1.signalfx.com`, also as `https`). The value is the last one; more than one series is an
//! error. Cannot: follow a program that never ends, hence `immediate=true` and an end.

use serde_json::Value;

use super::{Ask, Error, Problem, Provider, Reading, Request, excerpt, shape};

const EXPECTED: &str = "a stream of SignalFlow events";

/// See the module.
pub(super) struct Splunk;

impl Provider for Splunk {
    fn request(&self, ask: &Ask<'_>) -> Result<Request, Error> {
        let address = ask.address_or("")?;
        let address = match address.split_once("://") {
            Some(("wss", rest)) => format!("https://{rest}"),
            Some(("ws", rest)) => format!("http://{rest}"),
            _ => address.to_owned(),
        };
        let address = address.trim_end_matches("/v2/signalflow");
        let (start, end) = ask.window();
        let url = format!(
            "{address}/v2/signalflow/execute?start={}&stop={}&immediate=true",
            start.saturating_mul(1000),
            end.saturating_mul(1000)
        );
        Ok(Request::post(url, "text/plain", ask.query.to_owned())
            .with_header("X-SF-Token", ask.secret("sf_token_key")?)
            .with_header("Accept", "text/event-stream"))
    }

    fn read(&self, body: &[u8]) -> Reading {
        let Ok(text) = std::str::from_utf8(body) else { return shape(body, EXPECTED) };
        let mut last = None;
        for event in text.replace("\r\n", "\n").split("\n\n") {
            let data: String = fields(event, "data:").collect();
            match fields(event, "event:").next() {
                Some("data") => {
                    let Ok(data) = serde_json::from_str::<Value>(&data) else { return shape(body, EXPECTED) };
                    let Some(points) = data["data"].as_array() else { return shape(body, EXPECTED) };
                    match points.as_slice() {
                        [] => {}
                        [one] => last = one["value"].as_f64(),
                        [first, second, ..] => {
                            return Reading::Error(Problem::ManySeries {
                                count: points.len(),
                                first: first["tsId"].to_string(),
                                second: second["tsId"].to_string(),
                            });
                        }
                    }
                }
                Some("error") => return Reading::Error(Problem::Refused { message: excerpt(data.as_bytes()) }),
                _ => {}
            }
        }
        if last.is_none() && !text.contains("event:") && !text.trim().is_empty() {
            return shape(body, EXPECTED);
        }
        last.map_or(Reading::NoData, Reading::of)
    }
}

/// The values of an event's lines that begin so.
fn fields<'a>(event: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    event.lines().filter_map(move |line| line.strip_prefix(name)).map(str::trim)
}
