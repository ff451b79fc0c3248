//! The functions of sprig that templates of notifications use.
//!
//! Documentation: <https://masterminds.github.io/sprig/>. Not there: what reads the machine (`env`, `expandenv`,
//! `getHostByName`), what draws random numbers or makes keys, what changes a dictionary in place (`set`, `unset`, `merge`),
//! reflection, versions, and the spellings of words (`snakecase` and its like).

mod choose;
mod collect;
mod date;
mod encode;
mod math;
mod text;

use super::function::{Table, expected};
use super::value::Value;

/// All functions, table by table.
pub(super) fn tables() -> [Table; 6] {
    [text::TABLE, choose::TABLE, collect::TABLE, math::TABLE, encode::TABLE, date::TABLE]
}

/// A text or anything else, as sprig makes a text of it.
fn text_of(value: &Value) -> String {
    value.to_string()
}

/// A number of texts and numbers, as sprig reads whole ones: what is none is zero.
fn int_of(value: &Value) -> i64 {
    match value {
        Value::Int(int) => *int,
        Value::Float(float) => *float as i64,
        Value::Bool(value) => i64::from(*value),
        Value::Duration(duration) => duration.0,
        Value::Text(text) => text.parse().unwrap_or(0),
        _ => 0,
    }
}

/// The same for any number.
fn float_of(value: &Value) -> f64 {
    match value {
        Value::Float(float) => *float,
        Value::Text(text) => text.parse().unwrap_or(0.0),
        other => int_of(other) as f64,
    }
}

/// A list, or nothing taken for an empty one where sprig does so.
fn list_of(value: &Value) -> Result<&[Value], String> {
    match value {
        Value::List(list) => Ok(list),
        other => Err(expected("list", other)),
    }
}
