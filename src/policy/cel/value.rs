//! What an expression computes with.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::network::{Cidr, Url};
use crate::object::quantity::Quantity;

/// A value of the language. Copies are cheap: what is large is shared.
#[derive(Clone, Debug)]
pub enum Value {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// `1`
    Int(i64),
    /// `1u`
    Uint(u64),
    /// `1.0`
    Double(f64),
    /// `'a'`
    String(Arc<str>),
    /// `b'a'`
    Bytes(Arc<[u8]>),
    /// `[1, 2]`
    List(Arc<Vec<Value>>),
    /// `{'a': 1}`
    Map(Arc<BTreeMap<Key, Value>>),
    /// `optional.of(1)`
    Optional(Option<Arc<Value>>),
    /// `duration('1h')`
    Duration(SignedDuration),
    /// `timestamp('2026-01-01T00:00:00Z')`
    Timestamp(Timestamp),
    /// `quantity('1Gi')`
    Quantity(Quantity),
    /// `ip('10.0.0.1')`
    Ip(IpAddr),
    /// `cidr('10.0.0.0/8')`
    Cidr(Cidr),
    /// `url('https://…')`
    Url(Arc<Url>),
    /// `format.dns1123Label()`
    Format(super::format::Format),
    /// `int`, or what `type(…)` says.
    Type(&'static str),
    /// Nobody knows it here, and why: whatever depends on it is not known either.
    Unknown(&'static str),
}

/// What a map may be looked up by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// `true`, `false`
    Bool(bool),
    /// Also for an unsigned one and a whole floating one: they are equal.
    Int(i128),
    /// Nearly all.
    String(Arc<str>),
}

impl Key {
    pub(super) fn of(value: &Value) -> Option<Key> {
        match value {
            Value::Bool(bool) => Some(Key::Bool(*bool)),
            Value::Int(int) => Some(Key::Int((*int).into())),
            Value::Uint(uint) => Some(Key::Int((*uint).into())),
            Value::Double(double) if double.fract() == 0.0 && double.abs() < 9e15 => Some(Key::Int(*double as i128)),
            Value::String(text) => Some(Key::String(text.clone())),
            _ => None,
        }
    }

    pub(super) fn value(&self) -> Value {
        match self {
            Key::Bool(bool) => Value::Bool(*bool),
            Key::Int(int) => match i64::try_from(*int) {
                Ok(int) => Value::Int(int),
                Err(_) => Value::Uint(u64::try_from(*int).unwrap_or(u64::MAX)),
            },
            Key::String(text) => Value::String(text.clone()),
        }
    }
}

impl Value {
    /// A text.
    pub fn text(text: impl AsRef<str>) -> Self {
        Value::String(text.as_ref().into())
    }

    /// A map whose keys are texts.
    pub fn map<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        Value::Map(Arc::new(entries.into_iter().map(|(key, value)| (Key::String(key.into()), value)).collect()))
    }

    pub(super) fn list(items: Vec<Value>) -> Self {
        Value::List(Arc::new(items))
    }

    pub(super) fn some(value: Value) -> Self {
        Value::Optional(Some(Arc::new(value)))
    }

    pub(super) const NONE: Value = Value::Optional(None);

    /// The name of its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null_type",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Uint(_) => "uint",
            Value::Double(_) => "double",
            Value::String(_) => "string",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Optional(_) => "optional_type",
            Value::Duration(_) => "google.protobuf.Duration",
            Value::Timestamp(_) => "google.protobuf.Timestamp",
            Value::Quantity(_) => "kubernetes.Quantity",
            Value::Ip(_) => "net.IP",
            Value::Cidr(_) => "net.CIDR",
            Value::Url(_) => "kubernetes.URL",
            Value::Format(_) => "kubernetes.NamedFormat",
            Value::Type(_) => "type",
            Value::Unknown(_) => "unknown",
        }
    }

    /// The zero of its type.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Value::Null => true,
            Value::Bool(bool) => !bool,
            Value::Int(int) => *int == 0,
            Value::Uint(uint) => *uint == 0,
            Value::Double(double) => *double == 0.0,
            Value::String(text) => text.is_empty(),
            Value::Bytes(bytes) => bytes.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
            Value::Optional(value) => value.is_none(),
            Value::Duration(duration) => duration.is_zero(),
            _ => false,
        }
    }

    /// The order of two values; `None` when there is none.
    pub(super) fn order(&self, other: &Value) -> Option<Ordering> {
        Some(match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
            (Value::Duration(a), Value::Duration(b)) => a.cmp(b),
            (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
            (Value::Double(a), Value::Double(b)) => return a.partial_cmp(b),
            (Value::Double(a), b) => return order_of_double(*a, b.whole()?),
            (a, Value::Double(b)) => return order_of_double(*b, a.whole()?).map(Ordering::reverse),
            (a, b) => a.whole()?.cmp(&b.whole()?),
        })
    }

    fn whole(&self) -> Option<i128> {
        match self {
            Value::Int(int) => Some((*int).into()),
            Value::Uint(uint) => Some((*uint).into()),
            _ => None,
        }
    }
}

fn order_of_double(double: f64, whole: i128) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // Beyond all whole numbers of the language, which fit many times over.
    let floor = double.floor().clamp(-1e30, 1e30) as i128;
    Some(floor.cmp(&whole).then(if double.fract() == 0.0 { Ordering::Equal } else { Ordering::Greater }))
}

/// As the language compares: numbers by what they amount to, and nothing with something of another type.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::List(a), Value::List(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => a == b,
            (Value::Optional(a), Value::Optional(b)) => a == b,
            (Value::Quantity(a), Value::Quantity(b)) => a == b,
            (Value::Ip(a), Value::Ip(b)) => a == b,
            (Value::Cidr(a), Value::Cidr(b)) => a == b,
            (Value::Url(a), Value::Url(b)) => a == b,
            (Value::Type(a), Value::Type(b)) => a == b,
            (a, b) => a.order(b) == Some(Ordering::Equal),
        }
    }
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(bool) => Value::Bool(*bool),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(int), _) => Value::Int(int),
                (None, Some(uint)) => Value::Uint(uint),
                (None, None) => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Value::text(text),
            serde_json::Value::Array(items) => Value::list(items.iter().map(Value::from).collect()),
            serde_json::Value::Object(entries) => {
                Value::map(entries.iter().map(|(key, value)| (key.as_str(), Value::from(value))))
            }
        }
    }
}

/// As `string(…)` and `%s` write it; `None` for what has no text.
pub(super) fn written(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => "null".to_owned(),
        Value::Bool(bool) => bool.to_string(),
        Value::Int(int) => int.to_string(),
        Value::Uint(uint) => uint.to_string(),
        Value::Double(double) => written_double(*double),
        Value::String(text) => text.to_string(),
        Value::Bytes(bytes) => String::from_utf8(bytes.to_vec()).ok()?,
        Value::Duration(duration) => written_duration(*duration),
        Value::Timestamp(timestamp) => timestamp.to_string(),
        Value::Ip(ip) => ip.to_string(),
        Value::Cidr(cidr) => cidr.to_string(),
        Value::Type(name) => (*name).to_owned(),
        Value::List(items) => {
            let items: Option<Vec<String>> = items.iter().map(inside).collect();
            format!("[{}]", items?.join(", "))
        }
        Value::Map(entries) => {
            let mut text = String::from("{");
            for (at, (key, value)) in entries.iter().enumerate() {
                let comma = if at > 0 { ", " } else { "" };
                let _infallible = write!(text, "{comma}{}:{}", inside(&key.value())?, inside(value)?);
            }
            text + "}"
        }
        Value::Optional(_) | Value::Quantity(_) | Value::Url(_) | Value::Format(_) | Value::Unknown(_) => return None,
    })
}

/// The same in a list or a map: it says what it is.
fn inside(value: &Value) -> Option<String> {
    Some(match value {
        Value::String(text) => format!("{text:?}"),
        Value::Double(double) => format!("{double:.6}"),
        Value::Duration(duration) => format!("duration(\"{}\")", written_duration(*duration)),
        Value::Timestamp(timestamp) => format!("timestamp(\"{timestamp}\")"),
        value => written(value)?,
    })
}

fn written_double(double: f64) -> String {
    match double {
        _ if double.is_nan() => "NaN".into(),
        _ if double.is_infinite() => if double > 0.0 { "+Inf" } else { "-Inf" }.into(),
        _ if double != 0.0 && !(1e-4..1e21).contains(&double.abs()) => {
            // Go writes at least two digits of an exponent, and its sign.
            let text = format!("{double:e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        _ => double.to_string(),
    }
}

/// `5400s`, as the language does.
fn written_duration(duration: SignedDuration) -> String {
    let nanos = duration.subsec_nanos().unsigned_abs();
    let sign = if duration.is_negative() { "-" } else { "" };
    let seconds = duration.as_secs().unsigned_abs();
    match nanos {
        0 => format!("{sign}{seconds}s"),
        _ => format!("{sign}{seconds}.{}s", format!("{nanos:09}").trim_end_matches('0')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_by_what_they_amount_to() {
        let cases = [
            // left, right, order
            (Value::Int(1), Value::Uint(1), Some(Ordering::Equal)),
            (Value::Int(-1), Value::Uint(u64::MAX), Some(Ordering::Less)),
            (Value::Double(1.5), Value::Int(1), Some(Ordering::Greater)),
            (Value::Int(1), Value::Double(1.5), Some(Ordering::Less)),
            (Value::Double(-0.5), Value::Int(0), Some(Ordering::Less)),
            (Value::Double(f64::INFINITY), Value::Uint(u64::MAX), Some(Ordering::Greater)),
            (Value::Double(f64::NAN), Value::Int(0), None),
            (Value::Int(1), Value::text("1"), None),
        ];
        for (left, right, order) in cases {
            assert_eq!(left.order(&right), order, "{left:?} and {right:?}");
        }
    }
}
