//! Functions over lists.

use std::cmp::Ordering;

use super::evaluate::{Budget, Fault};
use super::value::Value;

pub(super) fn call(name: &str, all: &[&Value], budget: &mut Budget) -> Result<Option<Value>, Fault> {
    let [Value::List(items), arguments @ ..] = all else { return Ok(None) };
    let value = match (name, arguments) {
        ("isSorted", []) => Value::Bool(items.windows(2).all(|two| two[0].order(&two[1]).is_some_and(Ordering::is_le))),
        ("sum", []) => sum(items)?,
        ("min" | "max", []) => {
            let is_better = |order: Ordering| if name == "min" { order.is_lt() } else { order.is_gt() };
            let better = |best: Value, next: Value| match next.order(&best) {
                Some(order) if is_better(order) => next,
                _ => best,
            };
            match items.iter().cloned().reduce(better) {
                Some(best) => best,
                None => return Fault::error(format!("{name} called on empty list")),
            }
        }
        ("indexOf", [wanted]) => at(items.iter().position(|item| item == *wanted)),
        ("lastIndexOf", [wanted]) => at(items.iter().rposition(|item| item == *wanted)),
        ("join", []) => joined(items, "")?,
        ("join", [Value::String(by)]) => {
            budget.spend(items.len() as u64 * (1 + by.len() as u64 / 8))?;
            joined(items, by)?
        }
        ("sets.contains", [Value::List(others)]) => {
            budget.spend(items.len() as u64 * others.len() as u64)?;
            Value::Bool(others.iter().all(|other| items.contains(other)))
        }
        ("sets.equivalent", [Value::List(others)]) => {
            budget.spend(2 * items.len() as u64 * others.len() as u64)?;
            let covers = |one: &[Value], other: &[Value]| other.iter().all(|item| one.contains(item));
            Value::Bool(covers(items, others) && covers(others, items))
        }
        ("sets.intersects", [Value::List(others)]) => {
            budget.spend(items.len() as u64 * others.len() as u64)?;
            Value::Bool(others.iter().any(|other| items.contains(other)))
        }
        _ => return Ok(None),
    };
    Ok(Some(value))
}

fn at(position: Option<usize>) -> Value {
    Value::Int(position.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1))
}

fn sum(items: &[Value]) -> Result<Value, Fault> {
    let mut total: Option<Value> = None;
    for item in items {
        total = Some(match (total, item) {
            (None, Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::Duration(_)) => item.clone(),
            (Some(Value::Int(a)), Value::Int(b)) => match a.checked_add(*b) {
                Some(sum) => Value::Int(sum),
                None => return Fault::error("integer overflow"),
            },
            (Some(Value::Uint(a)), Value::Uint(b)) => match a.checked_add(*b) {
                Some(sum) => Value::Uint(sum),
                None => return Fault::error("integer overflow"),
            },
            (Some(Value::Double(a)), Value::Double(b)) => Value::Double(a + b),
            (Some(Value::Duration(a)), Value::Duration(b)) => match a.checked_add(*b) {
                Some(sum) => Value::Duration(sum),
                None => return Fault::error("integer overflow"),
            },
            _ => return Fault::error("no such overload"),
        });
    }
    Ok(total.unwrap_or(Value::Int(0)))
}

fn joined(items: &[Value], by: &str) -> Result<Value, Fault> {
    let mut texts: Vec<&str> = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Value::String(text) => texts.push(text),
            _ => return Fault::error("no such overload"),
        }
    }
    Ok(Value::text(texts.join(by)))
}
