//! What templates and conditions are evaluated over: JSON, and beside it times, durations and functions.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use jiff::Zoned;
use serde_json::Number;

use super::moment::{self, Duration};

/// A value, cheap to clone.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing: a null, or a key that is not there.
    #[default]
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(Arc<str>),
    /// Several, in order.
    List(Arc<Vec<Value>>),
    /// Several, by key.
    Map(Arc<BTreeMap<String, Value>>),
    /// A moment, in a time zone.
    Time(Arc<Zoned>),
    /// A span of time.
    Duration(Duration),
    /// Something that can be called.
    Function(Native),
}

/// A function that whoever renders gives to a template.
#[derive(Clone)]
pub struct Native {
    name: &'static str,
    run: Arc<Run>,
}

type Run = dyn Fn(&[Value]) -> Result<Value, String> + Send + Sync;

impl Native {
    /// A function under the name by which errors speak of it.
    pub fn new(name: &'static str, run: impl Fn(&[Value]) -> Result<Value, String> + Send + Sync + 'static) -> Self {
        Native { name, run: Arc::new(run) }
    }

    /// Calls it.
    ///
    /// # Errors
    /// What it says, with its name.
    pub fn call(&self, arguments: &[Value]) -> Result<Value, String> {
        (self.run)(arguments).map_err(|why| format!("{}: {why}", self.name))
    }
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Native {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.run, &other.run)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Float(value)
    }
}

impl From<Zoned> for Value {
    fn from(value: Zoned) -> Self {
        Value::Time(Arc::new(value))
    }
}

impl From<Vec<Value>> for Value {
    fn from(list: Vec<Value>) -> Self {
        Value::List(Arc::new(list))
    }
}

impl From<BTreeMap<String, Value>> for Value {
    fn from(map: BTreeMap<String, Value>) -> Self {
        Value::Map(Arc::new(map))
    }
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Value::Nil,
            serde_json::Value::Bool(value) => Value::Bool(*value),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(int) => Value::Int(int),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Value::from(text.as_str()),
            serde_json::Value::Array(list) => list.iter().map(Value::from).collect::<Vec<_>>().into(),
            serde_json::Value::Object(map) => {
                map.iter().map(|(key, value)| (key.clone(), Value::from(value))).collect::<BTreeMap<_, _>>().into()
            }
        }
    }
}

impl Value {
    /// A map of these entries.
    pub fn map<const N: usize>(entries: [(&str, Value); N]) -> Self {
        entries.map(|(key, value)| (key.to_owned(), value)).into_iter().collect::<BTreeMap<_, _>>().into()
    }

    /// As JSON; functions are nothing there.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Value::Nil | Value::Function(_) => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(int) => Json::Number((*int).into()),
            // As Go writes a float that is whole.
            Value::Float(float) if float.fract() == 0.0 && float.abs() < 9e15 => Json::Number((*float as i64).into()),
            Value::Float(float) => Number::from_f64(*float).map_or(Json::Null, Json::Number),
            Value::Text(text) => Json::String((**text).to_owned()),
            Value::List(list) => Json::Array(list.iter().map(Value::to_json).collect()),
            Value::Map(map) => Json::Object(map.iter().map(|(key, value)| (key.clone(), value.to_json())).collect()),
            Value::Time(time) => Json::String(moment::format(time, moment::RFC3339_NANO)),
            Value::Duration(duration) => Json::Number(duration.0.into()),
        }
    }

    /// Whether `if` takes it for true: what is not empty, and no zero.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(value) => *value,
            Value::Int(int) => *int != 0,
            Value::Float(float) => *float != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Map(map) => !map.is_empty(),
            Value::Duration(duration) => duration.0 != 0,
            Value::Time(_) | Value::Function(_) => true,
        }
    }

    /// What errors call it.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float64",
            Value::Text(_) => "string",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Time(_) => "time",
            Value::Duration(_) => "duration",
            Value::Function(_) => "function",
        }
    }

    /// The text, where it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// How much of a budget it takes to look at all of it; stops counting at `most`.
    pub(super) fn weight(&self, most: usize) -> usize {
        match self {
            Value::Text(text) => 1 + text.len() / 32,
            Value::List(list) => weight_of(list.iter(), most),
            Value::Map(map) => weight_of(map.values(), most) + map.len(),
            _ => 1,
        }
    }
}

fn weight_of<'a>(mut values: impl Iterator<Item = &'a Value>, most: usize) -> usize {
    let sum = values.try_fold(1_usize, |sum, value| {
        let sum = sum + value.weight(most - sum.min(most));
        if sum > most { Err(sum) } else { Ok(sum) }
    });
    sum.unwrap_or_else(|over| over)
}

/// What a template prints of a value: Go's `%v`, but for nothing at all.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => f.write_str("<nil>"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(int) => write!(f, "{int}"),
            Value::Float(float) => f.write_str(&float_text(*float)),
            Value::Text(text) => f.write_str(text),
            Value::List(list) => {
                f.write_char('[')?;
                for (index, value) in list.iter().enumerate() {
                    if index > 0 {
                        f.write_char(' ')?;
                    }
                    write!(f, "{value}")?;
                }
                f.write_char(']')
            }
            Value::Map(map) => {
                f.write_str("map[")?;
                for (index, (key, value)) in map.iter().enumerate() {
                    if index > 0 {
                        f.write_char(' ')?;
                    }
                    write!(f, "{key}:{value}")?;
                }
                f.write_char(']')
            }
            Value::Time(time) => f.write_str(&moment::format(time, moment::PRINTED)),
            Value::Duration(duration) => write!(f, "{duration}"),
            Value::Function(function) => write!(f, "{function:?}"),
        }
    }
}

/// A float as Go's `%v` has it: the shortest digits, an exponent when it is small or large.
pub(super) fn float_text(float: f64) -> String {
    if float.is_nan() {
        return "NaN".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if float != 0.0 && !(-4..21).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    format!("{float}")
}

/// A method of a value, as Go's types have them: those of times and durations.
/// `None` when its kind has no such method.
pub fn method(receiver: &Value, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    match receiver {
        Value::Time(time) => moment::time_method(time, name, arguments),
        Value::Duration(duration) => moment::duration_method(*duration, name, arguments),
        _ => None,
    }
}
