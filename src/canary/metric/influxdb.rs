//! InfluxDB 2: a Flux query; the answer is annotated CSV.
//!
//! Documentation: <https://docs.influxdata.com/influxdb/v2/reference/syntax/annotated-csv/>. Secret: `token`, `org`.
//! The value is `_value` of the first record and must be a `double`. No rows are no data (Flagger reads them as 0).

use std::time::Duration;

use super::{Ask, Encoded, Error, Problem, Provider, Reading, Request, shape};

const EXPECTED: &str = "annotated CSV with a column `_value` of type double";

/// See the module.
pub(super) struct InfluxDb;

impl Provider for InfluxDb {
    fn request(&self, ask: &Ask<'_>) -> Result<Request, Error> {
        let address = ask.address_or("")?;
        let url = format!("{address}/api/v2/query?org={}", Encoded(ask.secret("org")?));
        // Without the dialect the annotations are left out, and with them the types.
        let body = serde_json::json!({
            "query": ask.query,
            "type": "flux",
            "dialect": {"annotations": ["datatype", "group", "default"], "delimiter": ",", "header": true},
        });
        let request = Request::post(url, "application/json", body.to_string())
            .with_header("Authorization", format!("Token {}", ask.secret("token")?))
            .with_header("Accept", "text/csv");
        Ok(Request { timeout: Duration::from_secs(15), ..request })
    }

    fn read(&self, body: &[u8]) -> Reading {
        let Ok(text) = std::str::from_utf8(body) else { return shape(body, EXPECTED) };
        let (mut types, mut header): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for row in rows(text) {
            if row.iter().all(String::is_empty) {
                continue;
            }
            if row[0] == "#datatype" {
                (types, header) = (row, Vec::new());
            } else if row[0].starts_with('#') {
            } else if header.is_empty() {
                header = row;
            } else {
                return record(&types, &header, &row, body);
            }
        }
        Reading::NoData
    }
}

fn record(types: &[String], header: &[String], row: &[String], body: &[u8]) -> Reading {
    let column = |name: &str| header.iter().position(|column| column == name);
    if let Some(error) = column("error").and_then(|at| row.get(at)).filter(|text| !text.is_empty()) {
        return Reading::Error(Problem::Refused { message: error.clone() });
    }
    let Some(at) = column("_value") else { return shape(body, EXPECTED) };
    match (types.get(at).map(String::as_str), row.get(at).map(String::as_str)) {
        (Some("double") | None, Some("")) => Reading::NoData,
        (Some("double") | None, Some(text)) => text.parse().map_or_else(|_| shape(body, EXPECTED), Reading::of),
        _ => shape(body, EXPECTED),
    }
}

/// The fields of each line (RFC 4180).
fn rows(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut is_quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => row.push(std::mem::take(&mut field)),
            '\r' if !is_quoted => {}
            '\n' if !is_quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            other => field.push(other),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}
