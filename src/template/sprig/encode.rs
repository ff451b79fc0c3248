//! JSON, base64, hashes, paths.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

use super::super::function::{Arguments, Table};
use super::super::value::Value;

pub(super) const TABLE: Table = &[
    ("toJson", 1, |a| Ok(html_safe(&a.last()?.to_json().to_string()).into())),
    ("mustToJson", 1, |a| Ok(html_safe(&a.last()?.to_json().to_string()).into())),
    ("toRawJson", 1, |a| Ok(a.last()?.to_json().to_string().into())),
    ("mustToRawJson", 1, |a| Ok(a.last()?.to_json().to_string().into())),
    ("toPrettyJson", 1, pretty),
    ("mustToPrettyJson", 1, pretty),
    // What is no JSON is nothing; only the other says what is wrong.
    ("fromJson", 1, |a| {
        Ok(serde_json::from_str(a.text(0)?).map_or(Value::Nil, |json: serde_json::Value| Value::from(&json)))
    }),
    ("mustFromJson", 1, |a| {
        let json: serde_json::Value = serde_json::from_str(a.text(0)?).map_err(|error| error.to_string())?;
        Ok(Value::from(&json))
    }),
    ("b64enc", 1, |a| Ok(STANDARD.encode(a.text(0)?).into())),
    ("b64dec", 1, |a| match STANDARD.decode(a.text(0)?) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned().into()),
        Err(error) => Ok(error.to_string().into()),
    }),
    ("sha1sum", 1, |a| Ok(hex(&sha1::Sha1::digest(a.text(0)?)).into())),
    ("sha256sum", 1, |a| Ok(hex(&sha2::Sha256::digest(a.text(0)?)).into())),
    ("sha512sum", 1, |a| Ok(hex(&sha2::Sha512::digest(a.text(0)?)).into())),
    ("base", 1, |a| {
        let path = a.text(0)?;
        let bare = path.trim_end_matches('/');
        Ok(match (path, bare) {
            ("", _) => ".",
            (_, "") => "/",
            (_, bare) => bare.rsplit('/').next().unwrap_or(bare),
        }
        .into())
    }),
    ("ext", 1, |a| {
        let name = a.text(0)?.rsplit('/').next().unwrap_or_default();
        Ok(name.rfind('.').map_or("", |dot| &name[dot..]).into())
    }),
];

fn pretty(a: &Arguments<'_>) -> Result<Value, String> {
    // A value has no keys that are no texts: it can be written.
    let text = serde_json::to_string_pretty(&a.last()?.to_json()).map_err(|error| error.to_string())?;
    Ok(html_safe(&text).into())
}

/// As Go's encoder writes it: safe inside of HTML.
fn html_safe(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
