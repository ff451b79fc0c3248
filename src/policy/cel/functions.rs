//! The functions of the language, and of Kubernetes' libraries.

use std::sync::Arc;

use super::evaluate::{Budget, Fault, NO_OVERLOAD};
use super::format::Format;
use super::network::{self, Cidr, Url};
use super::pattern::{self, Patterns};
use super::value::{Key, Value, written};
use super::{lists, strings, time};
use crate::object::quantity::Quantity;

type Answer = Result<Value, Fault>;

/// The name of a type, where it is one.
pub(super) fn type_named(name: &str) -> Option<&'static str> {
    const NAMES: &[&str] =
        &["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type", "optional_type"];
    NAMES.iter().copied().find(|known| *known == name)
}

/// What a function says of values that are known.
pub(super) fn call(
    name: &str,
    of: Option<&Value>,
    arguments: &[Value],
    budget: &mut Budget,
    patterns: &mut Patterns,
) -> Answer {
    let all: Vec<&Value> = of.into_iter().chain(arguments).collect();
    // These look at no more than the outside.
    if !matches!(name, "size" | "type" | "dyn" | "hasValue" | "value" | "optional.of") {
        all.iter().try_for_each(|value| budget.weigh(value))?;
    }
    let answer = match (name, all.as_slice()) {
        ("_==_", [a, b]) => return equal(a, b),
        ("_!=_", [a, b]) => return equal(a, b).map(|is_equal| Value::Bool(is_equal != Value::Bool(true))),
        ("_<_", [a, b]) => ordered(a, b, |order| order.is_lt()),
        ("_<=_", [a, b]) => ordered(a, b, |order| order.is_le()),
        ("_>_", [a, b]) => ordered(a, b, |order| order.is_gt()),
        ("_>=_", [a, b]) => ordered(a, b, |order| order.is_ge()),
        ("_+_" | "_-_" | "_*_" | "_/_" | "_%_", [a, b]) => return arithmetic(name, a, b),
        ("-_", [Value::Int(int)]) => return int.checked_neg().map(Value::Int).ok_or_else(overflow),
        ("-_", [Value::Double(double)]) => Some(Value::Double(-double)),
        ("@in", [key, Value::List(items)]) => Some(Value::Bool(items.contains(key))),
        ("@in", [key, Value::Map(entries)]) => {
            Some(Value::Bool(Key::of(key).is_some_and(|key| entries.contains_key(&key))))
        }
        ("size", [value]) => size(value),
        ("type", [value]) => Some(Value::Type(value.type_name())),
        ("dyn", [value]) => Some((*value).clone()),
        ("optional.of", [value]) => Some(Value::some((*value).clone())),
        ("optional.ofNonZeroValue", [value]) => {
            Some(if value.is_zero() { Value::NONE } else { Value::some((*value).clone()) })
        }
        ("optional.none", []) => Some(Value::NONE),
        ("hasValue", [Value::Optional(value)]) => Some(Value::Bool(value.is_some())),
        ("value", [Value::Optional(value)]) => match value {
            Some(value) => Some(value.as_ref().clone()),
            None => return Fault::error("optional.none() dereference"),
        },
        ("bool" | "int" | "uint" | "double" | "string" | "bytes", [value]) => return conversion(name, value),
        ("math.greatest" | "math.least", _) => greatest(name == "math.greatest", arguments),
        _ => None,
    };
    if let Some(answer) = answer {
        return Ok(answer);
    }
    if let Some(answer) = pattern::call(name, &all, budget, patterns)? {
        return Ok(answer);
    }
    let rooms = [strings::call, lists::call, time::call, kubernetes];
    for room in rooms {
        if let Some(answer) = room(name, &all, budget)? {
            return Ok(answer);
        }
    }
    if KNOWN.contains(&name) {
        return Fault::error(NO_OVERLOAD);
    }
    Fault::unknown(format!("the function `{name}` is not known here"))
}

/// Those that exist, for other values.
const KNOWN: &[&str] = &[
    "_<_",
    "_<=_",
    "_>_",
    "_>=_",
    "-_",
    "@in",
    "size",
    "hasValue",
    "value",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "find",
    "findAll",
    "charAt",
    "indexOf",
    "lastIndexOf",
    "join",
    "lowerAscii",
    "upperAscii",
    "replace",
    "split",
    "substring",
    "trim",
    "isSorted",
    "sum",
    "min",
    "max",
    "quantity",
    "isQuantity",
    "isLessThan",
    "isGreaterThan",
    "compareTo",
    "asInteger",
    "isInteger",
    "sign",
    "add",
    "sub",
    "url",
    "isURL",
    "ip",
    "isIP",
    "cidr",
    "isCIDR",
    "duration",
    "timestamp",
    "validate",
];

fn equal(a: &Value, b: &Value) -> Answer {
    // What is inside may be unknown too: then nobody can say that it is the same.
    match (has_unknown(a), has_unknown(b)) {
        (None, None) => Ok(Value::Bool(a == b)),
        (Some(why), _) | (_, Some(why)) => Fault::unknown(why),
    }
}

fn has_unknown(value: &Value) -> Option<&'static str> {
    match value {
        Value::Unknown(why) => Some(why),
        Value::List(items) => items.iter().find_map(has_unknown),
        Value::Map(entries) => entries.values().find_map(has_unknown),
        Value::Optional(Some(value)) => has_unknown(value),
        _ => None,
    }
}

fn ordered(a: &Value, b: &Value, is_it: impl Fn(std::cmp::Ordering) -> bool) -> Option<Value> {
    let is_nan = |value: &Value| matches!(value, Value::Double(double) if double.is_nan());
    match a.order(b) {
        Some(order) => Some(Value::Bool(is_it(order))),
        None if is_nan(a) || is_nan(b) => Some(Value::Bool(false)),
        None => None,
    }
}

fn overflow() -> Fault {
    Fault::Error("integer overflow".into())
}

fn arithmetic(name: &str, a: &Value, b: &Value) -> Answer {
    let whole = |result: Option<Value>| result.ok_or_else(overflow);
    match (name, a, b) {
        ("_/_", Value::Int(_), Value::Int(0)) | ("_/_", Value::Uint(_), Value::Uint(0)) => {
            Fault::error("division by zero")
        }
        ("_%_", Value::Int(_), Value::Int(0)) | ("_%_", Value::Uint(_), Value::Uint(0)) => {
            Fault::error("modulus by zero")
        }
        (_, Value::Int(a), Value::Int(b)) => whole(
            match name {
                "_+_" => a.checked_add(*b),
                "_-_" => a.checked_sub(*b),
                "_*_" => a.checked_mul(*b),
                "_/_" => a.checked_div(*b),
                _ => a.checked_rem(*b),
            }
            .map(Value::Int),
        ),
        (_, Value::Uint(a), Value::Uint(b)) => whole(
            match name {
                "_+_" => a.checked_add(*b),
                "_-_" => a.checked_sub(*b),
                "_*_" => a.checked_mul(*b),
                "_/_" => a.checked_div(*b),
                _ => a.checked_rem(*b),
            }
            .map(Value::Uint),
        ),
        ("_+_", Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        ("_-_", Value::Double(a), Value::Double(b)) => Ok(Value::Double(a - b)),
        ("_*_", Value::Double(a), Value::Double(b)) => Ok(Value::Double(a * b)),
        ("_/_", Value::Double(a), Value::Double(b)) => Ok(Value::Double(a / b)),
        ("_+_", Value::String(a), Value::String(b)) => Ok(Value::text(format!("{a}{b}"))),
        ("_+_", Value::Bytes(a), Value::Bytes(b)) => Ok(Value::Bytes(a.iter().chain(b.iter()).copied().collect())),
        ("_+_", Value::List(a), Value::List(b)) => Ok(Value::list(a.iter().chain(b.iter()).cloned().collect())),
        _ => match time::arithmetic(name, a, b) {
            Some(answer) => answer,
            None => Fault::error(NO_OVERLOAD),
        },
    }
}

fn size(value: &Value) -> Option<Value> {
    let size = match value {
        Value::String(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.len(),
        Value::Map(entries) => entries.len(),
        _ => return None,
    };
    i64::try_from(size).ok().map(Value::Int)
}

fn conversion(to: &str, value: &Value) -> Answer {
    let out_of_range = || Fault::Error("integer overflow".into());
    let unfit = || Fault::Error(format!("type conversion error from '{}' to '{to}'", value.type_name()));
    match (to, value) {
        ("bool", Value::Bool(_))
        | ("int", Value::Int(_))
        | ("uint", Value::Uint(_))
        | ("double", Value::Double(_))
        | ("string", Value::String(_))
        | ("bytes", Value::Bytes(_)) => Ok(value.clone()),
        ("bool", Value::String(text)) => match &**text {
            "true" | "True" | "TRUE" | "t" | "1" => Ok(Value::Bool(true)),
            "false" | "False" | "FALSE" | "f" | "0" => Ok(Value::Bool(false)),
            _ => Err(unfit()),
        },
        ("int", Value::Uint(uint)) => i64::try_from(*uint).map(Value::Int).map_err(|_| out_of_range()),
        ("int", Value::Double(double)) if double.abs() < 9.2e18 => Ok(Value::Int(*double as i64)),
        ("int", Value::String(text)) => text.parse().map(Value::Int).map_err(|_| unfit()),
        ("int", Value::Timestamp(timestamp)) => Ok(Value::Int(timestamp.as_second())),
        ("uint", Value::Int(int)) => u64::try_from(*int).map(Value::Uint).map_err(|_| out_of_range()),
        ("uint", Value::Double(double)) if (0.0..1.8e19).contains(double) => Ok(Value::Uint(*double as u64)),
        ("uint", Value::String(text)) => text.parse().map(Value::Uint).map_err(|_| unfit()),
        ("int" | "uint", Value::Double(_)) => Err(out_of_range()),
        ("double", Value::Int(int)) => Ok(Value::Double(*int as f64)),
        ("double", Value::Uint(uint)) => Ok(Value::Double(*uint as f64)),
        ("double", Value::String(text)) => text.parse().map(Value::Double).map_err(|_| unfit()),
        ("bytes", Value::String(text)) => Ok(Value::Bytes(text.as_bytes().into())),
        ("string", Value::List(_) | Value::Map(_) | Value::Null) => Err(unfit()),
        ("string", _) => written(value).map(Value::text).ok_or_else(unfit),
        _ => Fault::error(NO_OVERLOAD),
    }
}

fn greatest(is_greatest: bool, arguments: &[Value]) -> Option<Value> {
    let items = match arguments {
        [Value::List(items)] => items.as_slice(),
        some => some,
    };
    items.iter().cloned().reduce(|best, next| match next.order(&best) {
        Some(order) if order.is_gt() == is_greatest && order.is_ne() => next,
        _ => best,
    })
}

/// Quantities, addresses, formats.
fn kubernetes(name: &str, all: &[&Value], _: &mut Budget) -> Result<Option<Value>, Fault> {
    let bool = |is_so: bool| Ok(Some(Value::Bool(is_so)));
    let parsed = |value: Option<Value>, what: &str, text: &str| match value {
        Some(value) => Ok(Some(value)),
        None => Fault::error(format!("{what} parse error: `{text}`")),
    };
    match (name, all) {
        ("isQuantity", [Value::String(text)]) => bool(Quantity::parse(text).is_some()),
        ("quantity", [Value::String(text)]) => match Quantity::parse(text) {
            Some(quantity) => Ok(Some(Value::Quantity(quantity))),
            None => Fault::error(
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            ),
        },
        ("isLessThan", [Value::Quantity(a), Value::Quantity(b)]) => bool(a < b),
        ("isGreaterThan", [Value::Quantity(a), Value::Quantity(b)]) => bool(a > b),
        ("compareTo", [Value::Quantity(a), Value::Quantity(b)]) => Ok(Some(Value::Int(a.cmp(b) as i64))),
        ("sign", [Value::Quantity(a)]) => Ok(Some(Value::Int(a.billionths().signum() as i64))),
        ("isInteger", [Value::Quantity(a)]) => bool(integer(a).is_some()),
        ("asInteger", [Value::Quantity(a)]) => match integer(a) {
            Some(int) => Ok(Some(Value::Int(int))),
            None => Fault::error("cannot convert value to integer"),
        },
        ("asApproximateFloat", [Value::Quantity(a)]) => Ok(Some(Value::Double(a.billionths() as f64 / 1e9))),
        ("add" | "sub", [Value::Quantity(a), b]) => {
            let b = match b {
                Value::Quantity(b) => b.billionths(),
                Value::Int(b) => i128::from(*b) * 1_000_000_000,
                _ => return Ok(None),
            };
            let sum = if name == "add" { a.billionths() + b } else { a.billionths() - b };
            Ok(Quantity::parse(&format!("{sum}n")).map(Value::Quantity))
        }
        ("isIP", [Value::String(text)]) => bool(network::ip(text).is_some()),
        ("ip", [Value::String(text)]) => parsed(network::ip(text).map(Value::Ip), "IP Address", text),
        ("ip.isCanonical", [Value::String(text)]) => match network::ip(text) {
            Some(ip) => bool(ip.to_string() == **text),
            None => Fault::error(format!("IP Address `{text}` parse error during conversion from string")),
        },
        ("family", [Value::Ip(ip)]) => Ok(Some(Value::Int(if ip.is_ipv4() { 4 } else { 6 }))),
        ("isUnspecified", [Value::Ip(ip)]) => bool(ip.is_unspecified()),
        ("isLoopback", [Value::Ip(ip)]) => bool(ip.is_loopback()),
        ("isLinkLocalMulticast", [Value::Ip(ip)]) => bool(match ip {
            std::net::IpAddr::V4(four) => four.octets()[..3] == [224, 0, 0],
            std::net::IpAddr::V6(six) => six.segments()[0] & 0xff0f == 0xff02,
        }),
        ("isLinkLocalUnicast", [Value::Ip(ip)]) => bool(is_link_local(ip)),
        ("isGlobalUnicast", [Value::Ip(ip)]) => {
            let is_broadcast = matches!(ip, std::net::IpAddr::V4(four) if four.is_broadcast());
            let is_other = ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || is_link_local(ip);
            bool(!is_broadcast && !is_other)
        }
        ("isCIDR", [Value::String(text)]) => bool(Cidr::parse(text).is_some()),
        ("cidr", [Value::String(text)]) => parsed(Cidr::parse(text).map(Value::Cidr), "network address", text),
        ("ip", [Value::Cidr(cidr)]) => Ok(Some(Value::Ip(cidr.ip))),
        ("masked", [Value::Cidr(cidr)]) => Ok(Some(Value::Cidr(cidr.masked()))),
        ("prefixLength", [Value::Cidr(cidr)]) => Ok(Some(Value::Int(cidr.prefix.into()))),
        ("containsIP", [Value::Cidr(cidr), Value::Ip(ip)]) => bool(cidr.contains(*ip)),
        ("containsIP", [Value::Cidr(cidr), Value::String(text)]) => match network::ip(text) {
            Some(ip) => bool(cidr.contains(ip)),
            None => Fault::error(format!("IP Address `{text}` parse error during conversion from string")),
        },
        ("containsCIDR", [Value::Cidr(cidr), Value::Cidr(other)]) => bool(cidr.covers(*other)),
        ("containsCIDR", [Value::Cidr(cidr), Value::String(text)]) => match Cidr::parse(text) {
            Some(other) => bool(cidr.covers(other)),
            None => Fault::error(format!("network address parse error during conversion from string: `{text}`")),
        },
        ("isURL", [Value::String(text)]) => bool(Url::parse(text).is_some()),
        ("url", [Value::String(text)]) => match Url::parse(text) {
            Some(url) => Ok(Some(Value::Url(Arc::new(url)))),
            None => Fault::error(format!("URL parse error during conversion from string: `{text}`")),
        },
        ("getScheme", [Value::Url(url)]) => Ok(Some(Value::text(&url.scheme))),
        ("getHost", [Value::Url(url)]) => Ok(Some(Value::text(&url.host))),
        ("getHostname", [Value::Url(url)]) => Ok(Some(Value::text(url.hostname()))),
        ("getPort", [Value::Url(url)]) => Ok(Some(Value::text(url.port()))),
        ("getEscapedPath", [Value::Url(url)]) => Ok(Some(Value::text(&url.path))),
        ("getQuery", [Value::Url(url)]) => {
            let list = |values: Vec<String>| Value::list(values.into_iter().map(Value::text).collect());
            let query = url.query().into_iter().map(|(key, values)| (Key::String(key.into()), list(values)));
            Ok(Some(Value::Map(Arc::new(query.collect()))))
        }
        ("format.named", [Value::String(text)]) => {
            let found = Format::named(&format!("format.{text}")).map(Value::Format);
            Ok(Some(found.map_or(Value::NONE, Value::some)))
        }
        ("validate", [Value::Format(format), Value::String(text)]) => {
            let faults: Vec<Value> = format.faults(text).into_iter().map(Value::text).collect();
            Ok(Some(if faults.is_empty() { Value::NONE } else { Value::some(Value::list(faults)) }))
        }
        (name, []) => Ok(Format::named(name).map(Value::Format)),
        _ => Ok(None),
    }
}

fn is_link_local(ip: &std::net::IpAddr) -> bool {
    match ip {
        std::net::IpAddr::V4(four) => four.is_link_local(),
        std::net::IpAddr::V6(six) => six.segments()[0] & 0xffc0 == 0xfe80,
    }
}

fn integer(quantity: &Quantity) -> Option<i64> {
    let billionths = quantity.billionths();
    (billionths % 1_000_000_000 == 0).then(|| i64::try_from(billionths / 1_000_000_000).ok()).flatten()
}
