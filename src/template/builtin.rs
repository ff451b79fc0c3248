//! The functions that text/template itself has.

use std::cmp::Ordering;
use std::fmt::Write as _;

use super::function::{ANY, Arguments, Table};
use super::print;
use super::value::Value;

pub(super) const TABLE: Table = &[
    ("not", 1, |a| {
        a.count(1, 1)?;
        Ok(Value::Bool(!a.any(0)?.is_true()))
    }),
    ("eq", ANY, |a| {
        let first = a.any(0)?;
        if a.values.len() < 2 {
            return Err("missing argument for comparison".to_owned());
        }
        for other in &a.values[1..] {
            if equal(first, other)? {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }),
    ("ne", 2, |a| {
        a.count(2, 2)?;
        Ok(Value::Bool(!equal(a.any(0)?, a.any(1)?)?))
    }),
    ("lt", ANY, |a| Ok(Value::Bool(order(a)? == Ordering::Less))),
    ("le", ANY, |a| Ok(Value::Bool(order(a)? != Ordering::Greater))),
    ("gt", ANY, |a| Ok(Value::Bool(order(a)? == Ordering::Greater))),
    ("ge", ANY, |a| Ok(Value::Bool(order(a)? != Ordering::Less))),
    ("print", ANY, |a| Ok(print::print(a.values).into())),
    ("println", ANY, |a| {
        let words: Vec<String> = a.values.iter().map(Value::to_string).collect();
        Ok(format!("{}\n", words.join(" ")).into())
    }),
    ("printf", ANY, |a| Ok(print::printf(a)?.into())),
    ("len", 1, |a| {
        a.count(1, 1)?;
        let length = match a.any(0)? {
            Value::Text(text) => text.len(),
            Value::List(list) => list.len(),
            Value::Map(map) => map.len(),
            Value::Nil => return Err("len of nil pointer".to_owned()),
            other => return Err(format!("len of type {}", other.kind())),
        };
        Ok(Value::Int(length as i64))
    }),
    ("index", ANY, index),
    ("slice", ANY, slice),
    ("html", ANY, |a| Ok(escaped(a, html).into())),
    ("js", ANY, |a| Ok(escaped(a, js).into())),
    ("urlquery", ANY, |a| Ok(escaped(a, urlquery).into())),
    ("call", ANY, |a| match a.any(0)? {
        Value::Function(function) => function.call(&a.values[1..]),
        Value::Nil => Err("call of nil".to_owned()),
        other => Err(format!("non-function of type {}", other.kind())),
    }),
];

fn equal(one: &Value, other: &Value) -> Result<bool, String> {
    let is_composed = |value: &Value| matches!(value, Value::List(_) | Value::Map(_) | Value::Function(_));
    match (one, other) {
        (Value::Nil, other) | (other, Value::Nil) => Ok(matches!(other, Value::Nil)),
        (one, other) if is_composed(one) || is_composed(other) => {
            Err(format!("non-comparable types {} and {}", one.kind(), other.kind()))
        }
        (one, other) if one.kind() != other.kind() => Err("incompatible types for comparison".to_owned()),
        (one, other) => Ok(one == other),
    }
}

fn order(a: &Arguments<'_>) -> Result<Ordering, String> {
    a.count(2, 2)?;
    match (a.any(0)?, a.any(1)?) {
        (Value::Int(one), Value::Int(other)) => Ok(one.cmp(other)),
        (Value::Duration(one), Value::Duration(other)) => Ok(one.cmp(other)),
        // What is no number is neither less nor equal: greater serves none of the four wrongly but `gt`.
        (Value::Float(one), Value::Float(other)) => one.partial_cmp(other).ok_or_else(|| "not a number".to_owned()),
        (Value::Text(one), Value::Text(other)) => Ok(one.cmp(other)),
        (one, other) if one.kind() == other.kind() => Err("invalid type for comparison".to_owned()),
        _ => Err("incompatible types for comparison".to_owned()),
    }
}

fn index(a: &Arguments<'_>) -> Result<Value, String> {
    let mut value = a.any(0)?.clone();
    for key in &a.values[1..] {
        value = match (&value, key) {
            (Value::List(list), Value::Int(at)) => {
                let found = usize::try_from(*at).ok().and_then(|at| list.get(at));
                found.cloned().ok_or_else(|| format!("index out of range: {at}"))?
            }
            (Value::Text(text), Value::Int(at)) => {
                let found = usize::try_from(*at).ok().and_then(|at| text.as_bytes().get(at));
                Value::Int(i64::from(*found.ok_or_else(|| format!("index out of range: {at}"))?))
            }
            (Value::Map(map), Value::Text(key)) => map.get(&**key).cloned().unwrap_or(Value::Nil),
            (Value::Nil, _) => return Err("index of untyped nil".to_owned()),
            (Value::List(_) | Value::Text(_), key) => {
                return Err(format!("cannot index slice/array with type {}", key.kind()));
            }
            (Value::Map(_), key) => return Err(format!("value has type {}; should be string", key.kind())),
            (other, _) => return Err(format!("can't index item of type {}", other.kind())),
        };
    }
    Ok(value)
}

fn slice(a: &Arguments<'_>) -> Result<Value, String> {
    a.count(1, 3)?;
    let length = match a.any(0)? {
        Value::List(list) => list.len(),
        Value::Text(text) => text.len(),
        other => return Err(format!("can't slice item of type {}", other.kind())),
    };
    let bound = |index: usize, default: usize| -> Result<usize, String> {
        if a.values.len() <= index {
            return Ok(default);
        }
        let at = a.int(index)?;
        usize::try_from(at).ok().filter(|at| *at <= length).ok_or_else(|| format!("index out of range: {at}"))
    };
    let (from, to) = (bound(1, 0)?, bound(2, length)?);
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    match a.any(0)? {
        Value::List(list) => Ok(list[from..to].to_vec().into()),
        value => {
            let text = value.as_text().unwrap_or_default();
            Ok(String::from_utf8_lossy(&text.as_bytes()[from..to]).into_owned().into())
        }
    }
}

/// What is printed of the arguments, through a filter.
fn escaped(a: &Arguments<'_>, filter: fn(&str) -> String) -> String {
    match a.values {
        [Value::Text(text)] => filter(text),
        values => filter(&print::print(values)),
    }
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' => out.push_str("\\u003C"),
            '>' => out.push_str("\\u003E"),
            '&' => out.push_str("\\u0026"),
            '=' => out.push_str("\\u003D"),
            // Writing to a String cannot fail.
            c if (c as u32) < 0x20 => drop(write!(out, "\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

/// As Go escapes what stands in a query.
pub(super) fn urlquery(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => out.push(char::from(byte)),
            byte => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}
