//! A condition and values become a value.

use std::cell::Cell;

use jiff::Timestamp;

use super::Flaw;
use super::builtin::{Builtin, Each};
use super::operator::{self, Binary, Unary};
use super::parse::{Node, What};
use crate::template::{Value, method};

/// What one evaluation may cost: each node and each element that is looked at count.
const BUDGET: usize = 100_000;
/// The longest text that may come of it.
const LONGEST: usize = 1 << 20;

pub(super) fn evaluate(root: &Node, names: &Value, now: Timestamp) -> Result<Value, Flaw> {
    let eval = Eval { names, now, budget: Cell::new(BUDGET) };
    match eval.value(root, None) {
        Ok(value) => Ok(value),
        Err(Stop::Flaw(flaw)) => Err(flaw),
        // A chain catches it: nothing that has no chain stops so.
        Err(Stop::Nothing) => Ok(Value::Nil),
    }
}

enum Stop {
    Flaw(Flaw),
    /// A `?.` has found nothing: the rest of its chain is not looked at.
    Nothing,
}

struct Eval<'a> {
    names: &'a Value,
    now: Timestamp,
    budget: Cell<usize>,
}

fn wrong(at: usize, message: impl Into<String>) -> Stop {
    Stop::Flaw(Flaw::new(at, message))
}

impl Eval<'_> {
    fn spend(&self, at: usize, cost: usize) -> Result<(), Stop> {
        let left = self.budget.get().checked_sub(cost).ok_or_else(|| wrong(at, "the condition does too much"))?;
        self.budget.set(left);
        Ok(())
    }

    /// What a node is worth; `element` is what a predicate looks at.
    fn value(&self, node: &Node, element: Option<&Value>) -> Result<Value, Stop> {
        let at = node.at;
        self.spend(at, 1)?;
        let value = |node: &Node| self.value(node, element);
        let truth = |node: &Node| self.truth(node, element);
        match &node.what {
            What::Literal(literal) => Ok(literal.clone()),
            What::Element => Ok(element.cloned().unwrap_or(Value::Nil)),
            What::Name(name) => match self.names {
                Value::Map(map) => Ok(map.get(name).cloned().unwrap_or(Value::Nil)),
                _ => Ok(Value::Nil),
            },
            What::Array(list) => Ok(list.iter().map(value).collect::<Result<Vec<_>, _>>()?.into()),
            What::Map(entries) => {
                let entry = |(key, content): &(Node, Node)| Ok((value(key)?.to_string(), value(content)?));
                let map = entries.iter().map(entry).collect::<Result<std::collections::BTreeMap<_, _>, Stop>>()?;
                Ok(map.into())
            }
            What::Unary(Unary::Not, operand) => Ok(Value::Bool(!truth(operand)?)),
            What::Unary(Unary::Plus, operand) => value(operand),
            What::Unary(Unary::Minus, operand) => {
                operator::negative(&value(operand)?).map_err(|message| wrong(at, message))
            }
            What::Binary(Binary::And, one, other) => Ok(Value::Bool(truth(one)? && truth(other)?)),
            What::Binary(Binary::Or, one, other) => Ok(Value::Bool(truth(one)? || truth(other)?)),
            What::Binary(Binary::Coalesce, one, other) => match value(one)? {
                Value::Nil => value(other),
                found => Ok(found),
            },
            What::Binary(Binary::Range, one, other) => match (value(one)?, value(other)?) {
                (Value::Int(from), Value::Int(to)) => {
                    self.spend(at, usize::try_from(to.saturating_sub(from)).unwrap_or(0))?;
                    Ok((from..=to).map(Value::Int).collect::<Vec<_>>().into())
                }
                _ => Err(wrong(at, "a range is of whole numbers")),
            },
            What::Binary(operator, one, other) => {
                let (one, other) = (value(one)?, value(other)?);
                if let Value::List(list) = &other {
                    self.spend(at, list.len())?;
                }
                let result = operator::apply(*operator, &one, &other).map_err(|message| wrong(at, message))?;
                match result.as_text() {
                    Some(text) if text.len() > LONGEST => Err(wrong(at, "the text grows too long")),
                    _ => Ok(result),
                }
            }
            What::Choice(condition, yes, no) => value(if truth(condition)? { yes } else { no }),
            What::Member { base, key, is_optional } => {
                let base = value(base)?;
                if base == Value::Nil && *is_optional {
                    return Err(Stop::Nothing);
                }
                member(&base, &value(key)?).map_err(|message| wrong(at, message))
            }
            What::Slice { base, from, to } => {
                let bound = |node: &Option<Box<Node>>| node.as_ref().map(|node| value(node)).transpose();
                slice(&value(base)?, bound(from)?, bound(to)?).map_err(|message| wrong(at, message))
            }
            What::Method { base, name, arguments, is_optional } => {
                let base = value(base)?;
                if base == Value::Nil && *is_optional {
                    return Err(Stop::Nothing);
                }
                let arguments = arguments.iter().map(value).collect::<Result<Vec<_>, _>>()?;
                let result = match &base {
                    Value::Map(map) => match map.get(name) {
                        Some(Value::Function(function)) => function.call(&arguments),
                        _ => Err(format!("there is no function `{name}`")),
                    },
                    Value::Nil => Err(format!("cannot fetch {name} from nil")),
                    base => method(base, name, &arguments)
                        .unwrap_or_else(|| Err(format!("{} has no method `{name}`", base.kind()))),
                };
                result.map_err(|message| wrong(at, message))
            }
            What::Builtin { builtin, arguments, predicate } => {
                let arguments = arguments.iter().map(value).collect::<Result<Vec<_>, _>>()?;
                match builtin {
                    Builtin::Plain(plain) => plain.call(&arguments, self.now).map_err(|message| wrong(at, message)),
                    Builtin::Each(each) => self.each(at, *each, &arguments, predicate.as_deref()),
                }
            }
            What::Chain(inner) => match value(inner) {
                Err(Stop::Nothing) => Ok(Value::Nil),
                result => result,
            },
        }
    }

    fn truth(&self, node: &Node, element: Option<&Value>) -> Result<bool, Stop> {
        match self.value(node, element)? {
            Value::Bool(value) => Ok(value),
            other => Err(wrong(node.at, format!("a bool is needed, not {}", other.kind()))),
        }
    }

    fn each(&self, at: usize, each: Each, arguments: &[Value], predicate: Option<&Node>) -> Result<Value, Stop> {
        let Some(Value::List(list)) = arguments.first() else { return Err(wrong(at, "a list is needed")) };
        let holds = |element: &Value| match predicate {
            Some(predicate) => self.truth(predicate, Some(element)),
            None => Ok(*element == Value::Bool(true)),
        };
        if each == Each::Map {
            let made = list.iter().map(|element| match predicate {
                Some(predicate) => self.value(predicate, Some(element)),
                None => Ok(element.clone()),
            });
            return Ok(made.collect::<Result<Vec<_>, _>>()?.into());
        }
        let mut found = Vec::new();
        for (index, element) in list.iter().enumerate() {
            let holds = holds(element)?;
            match each {
                Each::All if !holds => return Ok(Value::Bool(false)),
                Each::Any if holds => return Ok(Value::Bool(true)),
                Each::None if holds => return Ok(Value::Bool(false)),
                Each::Find if holds => return Ok(element.clone()),
                Each::FindIndex if holds => return Ok(Value::Int(index as i64)),
                _ if holds => found.push(element.clone()),
                _ => {}
            }
        }
        Ok(match each {
            Each::All | Each::None => Value::Bool(true),
            Each::Any => Value::Bool(false),
            Each::One => Value::Bool(found.len() == 1),
            Each::Count => Value::Int(found.len() as i64),
            Each::Filter | Each::Map => found.into(),
            Each::Find | Each::FindIndex => Value::Nil,
        })
    }
}

fn member(base: &Value, key: &Value) -> Result<Value, String> {
    match (base, key) {
        (Value::Map(map), Value::Text(key)) => Ok(map.get(&**key).cloned().unwrap_or(Value::Nil)),
        (Value::List(list), Value::Int(at)) => {
            let from_end = usize::try_from(at.saturating_neg()).unwrap_or(usize::MAX);
            let index = if *at < 0 { list.len().checked_sub(from_end) } else { usize::try_from(*at).ok() };
            index.and_then(|index| list.get(index)).cloned().ok_or_else(|| format!("index out of range: {at}"))
        }
        (Value::Nil, key) => Err(format!("cannot fetch {key} from nil")),
        (base, key) => Err(format!("cannot fetch {key} from {}", base.kind())),
    }
}

fn slice(base: &Value, from: Option<Value>, to: Option<Value>) -> Result<Value, String> {
    let length = match base {
        Value::List(list) => list.len(),
        Value::Text(text) => text.chars().count(),
        base => return Err(format!("cannot slice {}", base.kind())),
    };
    let bound = |bound: Option<Value>, default: usize| match bound {
        None => Ok(default),
        Some(Value::Int(at)) if at < 0 => {
            Ok(length.saturating_sub(usize::try_from(at.saturating_neg()).unwrap_or(usize::MAX)))
        }
        Some(Value::Int(at)) => Ok(usize::try_from(at).unwrap_or(usize::MAX).min(length)),
        Some(other) => Err(format!("cannot slice by {}", other.kind())),
    };
    let (from, to) = (bound(from, 0)?, bound(to, length)?);
    let count = to.saturating_sub(from);
    Ok(match base {
        Value::List(list) => list.iter().skip(from).take(count).cloned().collect::<Vec<_>>().into(),
        base => base.as_text().unwrap_or_default().chars().skip(from).take(count).collect::<String>().into(),
    })
}
