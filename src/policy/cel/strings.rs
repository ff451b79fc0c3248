//! Functions over texts. Positions count characters.

use super::evaluate::{Budget, Fault};
use super::value::{Value, written};

pub(super) fn call(name: &str, all: &[&Value], budget: &mut Budget) -> Result<Option<Value>, Fault> {
    let [Value::String(text), arguments @ ..] = all else { return Ok(None) };
    let text: &str = text;
    let value = match (name, arguments) {
        ("contains", [Value::String(part)]) => Value::Bool(text.contains(&**part)),
        ("startsWith", [Value::String(part)]) => Value::Bool(text.starts_with(&**part)),
        ("endsWith", [Value::String(part)]) => Value::Bool(text.ends_with(&**part)),
        ("charAt", [Value::Int(at)]) => match usize::try_from(*at) {
            Ok(at) if at == text.chars().count() => Value::text(""),
            Ok(at) if at < text.chars().count() => Value::text(text.chars().skip(at).take(1).collect::<String>()),
            _ => return Fault::error(format!("index out of range: {at}")),
        },
        ("indexOf", [Value::String(part)]) => position(text, part, 0, budget)?,
        ("indexOf", [Value::String(part), Value::Int(from)]) => position(text, part, *from, budget)?,
        ("lastIndexOf", [Value::String(part)]) => text.rfind(&**part).map_or(Value::Int(-1), |at| count(&text[..at])),
        ("lowerAscii", []) => Value::text(text.to_ascii_lowercase()),
        ("upperAscii", []) => Value::text(text.to_ascii_uppercase()),
        ("trim", []) => Value::text(text.trim()),
        ("reverse", []) => Value::text(text.chars().rev().collect::<String>()),
        ("replace", [Value::String(from), Value::String(to)]) => replaced(text, from, to, usize::MAX, budget)?,
        ("replace", [Value::String(from), Value::String(to), Value::Int(most)]) => {
            replaced(text, from, to, usize::try_from(*most).unwrap_or(usize::MAX), budget)?
        }
        ("split", [Value::String(by)]) => split(text, by, usize::MAX),
        ("split", [Value::String(by), Value::Int(most)]) => match *most {
            0 => Value::list(vec![]),
            most => split(text, by, usize::try_from(most).unwrap_or(usize::MAX)),
        },
        ("substring", [Value::Int(from)]) => part(text, *from, None)?,
        ("substring", [Value::Int(from), Value::Int(to)]) => part(text, *from, Some(*to))?,
        ("format", [Value::List(values)]) => formatted(text, values)?,
        _ => return Ok(None),
    };
    Ok(Some(value))
}

fn count(text: &str) -> Value {
    Value::Int(i64::try_from(text.chars().count()).unwrap_or(i64::MAX))
}

/// Where the character is that so many stand before.
fn byte_of(text: &str, at: i64) -> Result<usize, Fault> {
    let out = || Fault::Error(format!("index out of range: {at}"));
    let wanted = usize::try_from(at).map_err(|_| out())?;
    text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(wanted).ok_or_else(out)
}

fn position(text: &str, part: &str, from: i64, budget: &mut Budget) -> Result<Value, Fault> {
    budget.spend(text.len() as u64 / 8)?;
    let from = byte_of(text, from)?;
    Ok(text[from..].find(part).map_or(Value::Int(-1), |at| count(&text[..from + at])))
}

fn replaced(text: &str, from: &str, to: &str, most: usize, budget: &mut Budget) -> Result<Value, Fault> {
    let times = text.matches(from).take(most).count() as u64;
    budget.spend(times.saturating_mul(1 + to.len() as u64))?;
    Ok(Value::text(text.replacen(from, to, most)))
}

fn split(text: &str, by: &str, most: usize) -> Value {
    let parts: Vec<Value> = match by {
        // Between all characters, but not around them.
        "" => {
            let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
            let ends = ends.take(most.saturating_sub(1)).chain([text.len()]);
            let parts = ends.scan(0, |from, end| Some(&text[std::mem::replace(from, end)..end]));
            parts.filter(|part| !part.is_empty()).map(Value::text).collect()
        }
        by => text.splitn(most, by).map(Value::text).collect(),
    };
    Value::list(parts)
}

fn part(text: &str, from: i64, to: Option<i64>) -> Result<Value, Fault> {
    let begin = byte_of(text, from)?;
    let end = to.map_or(Ok(text.len()), |to| byte_of(text, to))?;
    match text.get(begin..end) {
        Some(part) => Ok(Value::text(part)),
        None => Fault::error(format!("invalid substring range. start: {from}, end: {}", to.unwrap_or_default())),
    }
}

/// `'%s has %d'.format([name, count])`
fn formatted(template: &str, values: &[Value]) -> Result<Value, Fault> {
    let mut text = String::new();
    let mut values = values.iter();
    let mut rest = template.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        let mut precision = None;
        if rest.peek() == Some(&'.') {
            rest.next();
            let mut digits = 0usize;
            while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10)) {
                digits = (digits * 10 + digit as usize).min(100);
                rest.next();
            }
            precision = Some(digits);
        }
        let verb = rest.next();
        if verb == Some('%') {
            text.push('%');
            continue;
        }
        let Some(value) = values.next() else { return Fault::error("index out of range") };
        let written = match (verb, value) {
            (Some('s'), value) => written(value),
            (Some('d'), Value::Int(_) | Value::Uint(_)) => written(value),
            (Some('f'), Value::Double(double)) => Some(format!("{double:.*}", precision.unwrap_or(6))),
            (Some('x'), Value::Int(int)) => Some(format!("{int:x}")),
            (Some('x'), Value::String(text)) => Some(text.bytes().map(|byte| format!("{byte:02x}")).collect()),
            (Some('X'), Value::Int(int)) => Some(format!("{int:X}")),
            (Some('o'), Value::Int(int)) => Some(format!("{int:o}")),
            (Some('b'), Value::Int(int)) => Some(format!("{int:b}")),
            _ => None,
        };
        match written {
            Some(written) => text.push_str(&written),
            None => return Fault::unknown("a text is formatted in a way that is not known here"),
        }
    }
    Ok(Value::text(text))
}
