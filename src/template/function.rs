//! What a template may call, by name; and the arguments as a function sees them.

use std::cell::Cell;

use jiff::Timestamp;

use super::value::Value;
use super::{builtin, sprig};

/// The longest text that a function may make.
pub(super) const LONGEST: usize = 1 << 20;

/// A function of a template.
#[derive(Clone, Copy)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) run: Run,
}

/// `and` and `or` evaluate their arguments as they need them: they are the evaluator's own.
#[derive(Clone, Copy)]
pub(super) enum Run {
    And,
    Or,
    /// So many arguments, and the function.
    Plain(usize, Plain),
}

pub(super) type Plain = fn(&Arguments<'_>) -> Result<Value, String>;

/// A table of functions: name, number of arguments, what it does.
pub(super) type Table = &'static [(&'static str, usize, Plain)];

/// The number of arguments of a function that looks at it itself.
pub(super) const ANY: usize = usize::MAX;

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The function of this name, or what is said of one that there is not.
pub(super) fn find(name: &str) -> Result<Function, String> {
    match name {
        "and" => return Ok(Function { name: "and", run: Run::And }),
        "or" => return Ok(Function { name: "or", run: Run::Or }),
        "env" | "expandenv" | "getHostByName" => {
            return Err(format!("function {name:?} is refused: a template sees nothing of the machine"));
        }
        _ => {}
    }
    let tables = [builtin::TABLE].into_iter().chain(sprig::tables());
    let found = tables.flatten().find(|(known, ..)| *known == name);
    let (name, count, run) = found.ok_or_else(|| format!("function {name:?} not defined"))?;
    Ok(Function { name, run: Run::Plain(*count, *run) })
}

/// What a function is called with.
pub(super) struct Arguments<'a> {
    pub(super) values: &'a [Value],
    pub(super) now: Timestamp,
    /// What is left of the budget of the whole rendering.
    pub(super) budget: &'a Cell<usize>,
}

impl<'a> Arguments<'a> {
    /// Fails when there are fewer, or more.
    pub(super) fn count(&self, least: usize, most: usize) -> Result<(), String> {
        let given = self.values.len();
        if (least..=most).contains(&given) {
            return Ok(());
        }
        let want = match () {
            () if least == most => least.to_string(),
            () if most == usize::MAX => format!("at least {least}"),
            () => format!("{least} to {most}"),
        };
        Err(format!("wrong number of args: want {want} got {given}"))
    }

    pub(super) fn any(&self, index: usize) -> Result<&'a Value, String> {
        self.values
            .get(index)
            .ok_or_else(|| format!("wrong number of args: want {} got {}", index + 1, self.values.len()))
    }

    pub(super) fn last(&self) -> Result<&'a Value, String> {
        self.values.last().ok_or_else(|| "wrong number of args: want at least 1 got 0".to_owned())
    }

    pub(super) fn text(&self, index: usize) -> Result<&'a str, String> {
        let value = self.any(index)?;
        value.as_text().ok_or_else(|| expected("string", value))
    }

    pub(super) fn int(&self, index: usize) -> Result<i64, String> {
        match self.any(index)? {
            Value::Int(int) => Ok(*int),
            value => Err(expected("int", value)),
        }
    }

    pub(super) fn list(&self, index: usize) -> Result<&'a [Value], String> {
        match self.any(index)? {
            Value::List(list) => Ok(list),
            value => Err(expected("list", value)),
        }
    }

    pub(super) fn map(&self, index: usize) -> Result<&'a std::collections::BTreeMap<String, Value>, String> {
        match self.any(index)? {
            Value::Map(map) => Ok(map),
            value => Err(expected("map", value)),
        }
    }

    /// Fails before a text is made that is too long.
    pub(super) fn fits(&self, length: usize) -> Result<(), String> {
        if length > LONGEST {
            return Err(format!("the result would be longer than {} KiB", LONGEST >> 10));
        }
        self.spend(length / 32)
    }

    /// Takes something from the budget.
    pub(super) fn spend(&self, cost: usize) -> Result<(), String> {
        spend(self.budget, cost)
    }
}

/// Takes something from a budget.
pub(super) fn spend(budget: &Cell<usize>, cost: usize) -> Result<(), String> {
    match budget.get().checked_sub(cost) {
        Some(left) => {
            budget.set(left);
            Ok(())
        }
        None => {
            budget.set(0);
            Err("the template does too much: it was stopped".to_owned())
        }
    }
}

pub(super) fn expected(what: &str, found: &Value) -> String {
    match found {
        Value::Nil => format!("invalid value; expected {what}"),
        found => format!("wrong type for value; expected {what}; got {}", found.kind()),
    }
}
