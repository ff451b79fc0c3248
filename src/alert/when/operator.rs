//! Operators: how tightly they bind, and what they make of two values.

use std::cmp::Ordering;

use crate::template::{Duration, Value, method};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unary {
    Not,
    Minus,
    Plus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    Pipe,
    Or,
    And,
    Equal,
    Differs,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    In,
    Matches,
    Contains,
    StartsWith,
    EndsWith,
    Range,
    Plus,
    Minus,
    Times,
    Divided,
    Modulo,
    Power,
    Coalesce,
}

pub(super) fn unary(word: &str) -> Option<Unary> {
    Some(match word {
        "not" | "!" => Unary::Not,
        "-" => Unary::Minus,
        "+" => Unary::Plus,
        _ => return None,
    })
}

pub(super) fn binary(word: &str) -> Option<Binary> {
    Some(match word {
        "|" => Binary::Pipe,
        "or" | "||" => Binary::Or,
        "and" | "&&" => Binary::And,
        "==" => Binary::Equal,
        "!=" => Binary::Differs,
        "<" => Binary::Less,
        "<=" => Binary::LessOrEqual,
        ">" => Binary::More,
        ">=" => Binary::MoreOrEqual,
        "in" => Binary::In,
        "matches" => Binary::Matches,
        "contains" => Binary::Contains,
        "startsWith" => Binary::StartsWith,
        "endsWith" => Binary::EndsWith,
        ".." => Binary::Range,
        "+" => Binary::Plus,
        "-" => Binary::Minus,
        "*" => Binary::Times,
        "/" => Binary::Divided,
        "%" => Binary::Modulo,
        "**" | "^" => Binary::Power,
        "??" => Binary::Coalesce,
        _ => return None,
    })
}

impl Unary {
    pub(super) fn precedence(self) -> u16 {
        if self == Unary::Not { 50 } else { 90 }
    }
}

impl Binary {
    pub(super) fn precedence(self) -> u16 {
        match self {
            Binary::Pipe => 0,
            Binary::Or => 10,
            Binary::And => 15,
            Binary::Range => 25,
            Binary::Plus | Binary::Minus => 30,
            Binary::Times | Binary::Divided | Binary::Modulo => 60,
            Binary::Power => 100,
            Binary::Coalesce => 500,
            _ => 20,
        }
    }

    pub(super) fn is_right(self) -> bool {
        self == Binary::Power
    }

    /// Whether `not` may stand before it: `not in`.
    pub(super) fn may_be_negated(self) -> bool {
        matches!(self, Binary::In | Binary::Matches | Binary::Contains | Binary::StartsWith | Binary::EndsWith)
    }
}

pub(super) fn negative(value: &Value) -> Result<Value, String> {
    match value {
        Value::Int(int) => Ok(Value::Int(int.wrapping_neg())),
        Value::Float(float) => Ok(Value::Float(-float)),
        Value::Duration(duration) => Ok(Value::Duration(Duration(duration.0.wrapping_neg()))),
        other => Err(format!("- is not for {}", other.kind())),
    }
}

/// Equal, also where one number is whole and the other is not.
pub(super) fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Int(int), Value::Float(float)) | (Value::Float(float), Value::Int(int)) => *int as f64 == *float,
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other.iter()).all(|(one, other)| equal(one, other))
        }
        (one, other) => one == other,
    }
}

fn order(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Int(one), Value::Int(other)) => Some(one.cmp(other)),
        (Value::Float(one), Value::Float(other)) => one.partial_cmp(other),
        (Value::Int(one), Value::Float(other)) => (*one as f64).partial_cmp(other),
        (Value::Float(one), Value::Int(other)) => one.partial_cmp(&(*other as f64)),
        (Value::Text(one), Value::Text(other)) => Some(one.cmp(other)),
        (Value::Time(one), Value::Time(other)) => Some(one.cmp(other)),
        (Value::Duration(one), Value::Duration(other)) => Some(one.cmp(other)),
        _ => None,
    }
}

/// What an operator makes of two values that both are there. `and`, `or` and `??` look at the second only when they must,
/// and `|` and `..` are the evaluator's.
pub(super) fn apply(operator: Binary, one: &Value, other: &Value) -> Result<Value, String> {
    let wrong = || format!("{} is not for {} and {}", name(operator), one.kind(), other.kind());
    let texts = || one.as_text().zip(other.as_text()).ok_or_else(wrong);
    let ordered = |is: fn(Ordering) -> bool| order(one, other).map(|order| Value::Bool(is(order))).ok_or_else(wrong);
    Ok(match operator {
        Binary::Equal => Value::Bool(equal(one, other)),
        Binary::Differs => Value::Bool(!equal(one, other)),
        Binary::Less => ordered(Ordering::is_lt)?,
        Binary::LessOrEqual => ordered(Ordering::is_le)?,
        Binary::More => ordered(Ordering::is_gt)?,
        Binary::MoreOrEqual => ordered(Ordering::is_ge)?,
        Binary::In => match other {
            Value::List(list) => Value::Bool(list.iter().any(|element| equal(element, one))),
            Value::Map(map) => Value::Bool(one.as_text().is_some_and(|key| map.contains_key(key))),
            Value::Nil => Value::Bool(false),
            _ => return Err(wrong()),
        },
        Binary::Matches => {
            let (text, pattern) = texts()?;
            let pattern = regex::RegexBuilder::new(pattern).size_limit(1 << 20).build();
            Value::Bool(pattern.map_err(|error| error.to_string())?.is_match(text))
        }
        Binary::Contains => texts().map(|(text, part)| Value::Bool(text.contains(part)))?,
        Binary::StartsWith => texts().map(|(text, part)| Value::Bool(text.starts_with(part)))?,
        Binary::EndsWith => texts().map(|(text, part)| Value::Bool(text.ends_with(part)))?,
        _ => return arithmetic(operator, one, other).unwrap_or_else(|| Err(wrong())),
    })
}

fn arithmetic(operator: Binary, one: &Value, other: &Value) -> Option<Result<Value, String>> {
    use Binary::{Divided, Minus, Modulo, Plus, Power, Times};
    let nanos = |duration: &Duration| duration.0;
    let span = |nanos: i64| Some(Ok(Value::Duration(Duration(nanos))));
    match (operator, one, other) {
        (Plus, Value::Text(one), Value::Text(other)) => return Some(Ok(format!("{one}{other}").into())),
        (Plus, Value::Time(_), by @ Value::Duration(_)) => return method(one, "Add", std::slice::from_ref(by)),
        (Plus, by @ Value::Duration(_), Value::Time(_)) => return method(other, "Add", std::slice::from_ref(by)),
        (Minus, Value::Time(_), Value::Time(_)) => return method(one, "Sub", std::slice::from_ref(other)),
        (Minus, Value::Time(_), Value::Duration(by)) => {
            return method(one, "Add", &[Value::Duration(Duration(by.0.wrapping_neg()))]);
        }
        (Plus, Value::Duration(one), Value::Duration(other)) => return span(nanos(one).saturating_add(nanos(other))),
        (Minus, Value::Duration(one), Value::Duration(other)) => return span(nanos(one).saturating_sub(nanos(other))),
        (Times, Value::Duration(span_), Value::Int(int)) | (Times, Value::Int(int), Value::Duration(span_)) => {
            return span(nanos(span_).saturating_mul(*int));
        }
        (Times, Value::Duration(span_), Value::Float(by)) | (Times, Value::Float(by), Value::Duration(span_)) => {
            return span((nanos(span_) as f64 * by) as i64);
        }
        (Plus, Value::Int(one), Value::Int(other)) => return Some(Ok(one.wrapping_add(*other).into())),
        (Minus, Value::Int(one), Value::Int(other)) => return Some(Ok(one.wrapping_sub(*other).into())),
        (Times, Value::Int(one), Value::Int(other)) => return Some(Ok(one.wrapping_mul(*other).into())),
        (Modulo, Value::Int(one), Value::Int(other)) => {
            return Some(one.checked_rem(*other).map(Value::Int).ok_or_else(|| "division by zero".to_owned()));
        }
        _ => {}
    }
    let float = |value: &Value| match value {
        Value::Int(int) => Some(*int as f64),
        Value::Float(float) => Some(*float),
        Value::Duration(duration) if operator == Divided => Some(duration.0 as f64),
        _ => None,
    };
    let (one, other) = (float(one)?, float(other)?);
    Some(Ok(Value::Float(match operator {
        Plus => one + other,
        Minus => one - other,
        Times => one * other,
        Divided => one / other,
        Power => one.powf(other),
        _ => return None,
    })))
}

fn name(operator: Binary) -> &'static str {
    match operator {
        Binary::Pipe => "|",
        Binary::Or => "or",
        Binary::And => "and",
        Binary::Equal => "==",
        Binary::Differs => "!=",
        Binary::Less => "<",
        Binary::LessOrEqual => "<=",
        Binary::More => ">",
        Binary::MoreOrEqual => ">=",
        Binary::In => "in",
        Binary::Matches => "matches",
        Binary::Contains => "contains",
        Binary::StartsWith => "startsWith",
        Binary::EndsWith => "endsWith",
        Binary::Range => "..",
        Binary::Plus => "+",
        Binary::Minus => "-",
        Binary::Times => "*",
        Binary::Divided => "/",
        Binary::Modulo => "%",
        Binary::Power => "**",
        Binary::Coalesce => "??",
    }
}
