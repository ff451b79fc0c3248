//! One value or another.

use super::super::function::{ANY, Table};
use super::super::value::Value;

pub(super) const TABLE: Table = &[
    ("default", ANY, |a| {
        a.count(1, usize::MAX)?;
        Ok(a.values.get(1).filter(|given| given.is_true()).unwrap_or(a.any(0)?).clone())
    }),
    ("empty", 1, |a| Ok((!a.any(0)?.is_true()).into())),
    ("coalesce", ANY, |a| Ok(a.values.iter().find(|value| value.is_true()).cloned().unwrap_or(Value::Nil))),
    ("all", ANY, |a| Ok(a.values.iter().all(Value::is_true).into())),
    ("any", ANY, |a| Ok(a.values.iter().any(Value::is_true).into())),
    ("ternary", 3, |a| match a.any(2)? {
        Value::Bool(true) => Ok(a.any(0)?.clone()),
        Value::Bool(false) => Ok(a.any(1)?.clone()),
        other => Err(super::expected("bool", other)),
    }),
    ("fail", 1, |a| Err(a.text(0)?.to_owned())),
];
