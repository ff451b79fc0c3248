//! The functions that conditions may call by name.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::template::{Value, parse_duration, parse_rfc3339};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builtin {
    /// Looks at each element by a predicate.
    Each(Each),
    Plain(Plain),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Each {
    All,
    Any,
    None,
    One,
    Filter,
    Map,
    Count,
    Find,
    FindIndex,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    Len,
    Lower,
    Upper,
    Trim,
    TrimPrefix,
    TrimSuffix,
    Split,
    Join,
    Replace,
    HasPrefix,
    HasSuffix,
    IndexOf,
    Int,
    Float,
    String,
    Type,
    Abs,
    Keys,
    Values,
    First,
    Last,
    Get,
    Now,
    Duration,
    Date,
    FromJson,
    ToJson,
}

impl Builtin {
    pub(super) fn find(name: &str) -> Option<Self> {
        use Each::{All, Any, Count, Filter, Find, FindIndex, Map, One};
        Some(match name {
            "all" => Builtin::Each(All),
            "any" => Builtin::Each(Any),
            "none" => Builtin::Each(Each::None),
            "one" => Builtin::Each(One),
            "filter" => Builtin::Each(Filter),
            "map" => Builtin::Each(Map),
            "count" => Builtin::Each(Count),
            "find" => Builtin::Each(Find),
            "findIndex" => Builtin::Each(FindIndex),
            "len" => Builtin::Plain(Plain::Len),
            "lower" => Builtin::Plain(Plain::Lower),
            "upper" => Builtin::Plain(Plain::Upper),
            "trim" => Builtin::Plain(Plain::Trim),
            "trimPrefix" => Builtin::Plain(Plain::TrimPrefix),
            "trimSuffix" => Builtin::Plain(Plain::TrimSuffix),
            "split" => Builtin::Plain(Plain::Split),
            "join" => Builtin::Plain(Plain::Join),
            "replace" => Builtin::Plain(Plain::Replace),
            "hasPrefix" => Builtin::Plain(Plain::HasPrefix),
            "hasSuffix" => Builtin::Plain(Plain::HasSuffix),
            "indexOf" => Builtin::Plain(Plain::IndexOf),
            "int" => Builtin::Plain(Plain::Int),
            "float" => Builtin::Plain(Plain::Float),
            "string" => Builtin::Plain(Plain::String),
            "type" => Builtin::Plain(Plain::Type),
            "abs" => Builtin::Plain(Plain::Abs),
            "keys" => Builtin::Plain(Plain::Keys),
            "values" => Builtin::Plain(Plain::Values),
            "first" => Builtin::Plain(Plain::First),
            "last" => Builtin::Plain(Plain::Last),
            "get" => Builtin::Plain(Plain::Get),
            "now" => Builtin::Plain(Plain::Now),
            "duration" => Builtin::Plain(Plain::Duration),
            "date" => Builtin::Plain(Plain::Date),
            "fromJSON" => Builtin::Plain(Plain::FromJson),
            "toJSON" => Builtin::Plain(Plain::ToJson),
            _ => return None,
        })
    }

    pub(super) fn has_predicate(self) -> bool {
        matches!(self, Builtin::Each(_))
    }

    /// Whether it takes so many arguments.
    pub(super) fn check(self, given: usize, with_predicate: bool) -> Result<(), String> {
        let (least, most) = match self {
            Builtin::Each(Each::Count) => (1, 1),
            Builtin::Each(_) if with_predicate => (1, 1),
            Builtin::Each(_) => return Err("a predicate is missing".to_owned()),
            Builtin::Plain(plain) => match plain {
                Plain::Now => (0, 0),
                Plain::Join => (1, 2),
                Plain::Replace => (3, 3),
                Plain::TrimPrefix | Plain::TrimSuffix | Plain::Split | Plain::HasPrefix => (2, 2),
                Plain::HasSuffix | Plain::IndexOf | Plain::Get => (2, 2),
                _ => (1, 1),
            },
        };
        if (least..=most).contains(&given) { Ok(()) } else { Err(format!("{least} arguments are needed, not {given}")) }
    }
}

impl Plain {
    /// Calls it; the number of arguments was checked when it was read.
    pub(super) fn call(self, arguments: &[Value], now: Timestamp) -> Result<Value, String> {
        /// The longest text that is made.
        const LONGEST: usize = 1 << 20;
        let nil = Value::Nil;
        let first = arguments.first().unwrap_or(&nil);
        let text = |index: usize| {
            let value = arguments.get(index).unwrap_or(&nil);
            value.as_text().ok_or_else(|| format!("a text is needed, not {}", value.kind()))
        };
        let other = || Err(format!("not for {}", first.kind()));
        Ok(match self {
            Plain::Len => match first {
                // In bytes, as the version that Argo CD has.
                Value::Text(text) => Value::Int(text.len() as i64),
                Value::List(list) => Value::Int(list.len() as i64),
                Value::Map(map) => Value::Int(map.len() as i64),
                _ => return other(),
            },
            Plain::Lower => text(0)?.to_lowercase().into(),
            Plain::Upper => text(0)?.to_uppercase().into(),
            Plain::Trim => text(0)?.trim().into(),
            Plain::TrimPrefix => text(0)?.strip_prefix(text(1)?).unwrap_or(text(0)?).into(),
            Plain::TrimSuffix => text(0)?.strip_suffix(text(1)?).unwrap_or(text(0)?).into(),
            Plain::Split => text(0)?.split(text(1)?).map(Value::from).collect::<Vec<_>>().into(),
            Plain::Join => {
                let Value::List(list) = first else { return other() };
                let texts: Vec<&str> = list.iter().filter_map(Value::as_text).collect();
                let between = if arguments.len() > 1 { text(1)? } else { "" };
                let length = texts.iter().map(|text| text.len() + between.len()).sum::<usize>();
                if length > LONGEST {
                    return Err("the text would be too long".to_owned());
                }
                texts.join(between).into()
            }
            Plain::Replace => {
                let (whole, old, new) = (text(0)?, text(1)?, text(2)?);
                if whole.len() + whole.matches(old).count().saturating_mul(new.len()) > LONGEST {
                    return Err("the text would be too long".to_owned());
                }
                whole.replace(old, new).into()
            }
            Plain::HasPrefix => text(0)?.starts_with(text(1)?).into(),
            Plain::HasSuffix => text(0)?.ends_with(text(1)?).into(),
            Plain::IndexOf => Value::Int(text(0)?.find(text(1)?).map_or(-1, |at| at as i64)),
            Plain::Int => match first {
                Value::Int(int) => Value::Int(*int),
                Value::Float(float) => Value::Int(*float as i64),
                Value::Text(text) => Value::Int(text.parse().map_err(|_| format!("{text:?} is no number"))?),
                _ => return other(),
            },
            Plain::Float => match first {
                Value::Int(int) => Value::Float(*int as f64),
                Value::Float(float) => Value::Float(*float),
                Value::Text(text) => Value::Float(text.parse().map_err(|_| format!("{text:?} is no number"))?),
                _ => return other(),
            },
            Plain::String => first.to_string().into(),
            Plain::Type => first.kind().into(),
            Plain::Abs => match first {
                Value::Int(int) => Value::Int(int.wrapping_abs()),
                Value::Float(float) => Value::Float(float.abs()),
                _ => return other(),
            },
            Plain::Keys => match first {
                Value::Map(map) => map.keys().map(|key| Value::from(key.as_str())).collect::<Vec<_>>().into(),
                _ => return other(),
            },
            Plain::Values => match first {
                Value::Map(map) => map.values().cloned().collect::<Vec<_>>().into(),
                _ => return other(),
            },
            Plain::First => match first {
                Value::List(list) => list.first().cloned().unwrap_or(Value::Nil),
                _ => return other(),
            },
            Plain::Last => match first {
                Value::List(list) => list.last().cloned().unwrap_or(Value::Nil),
                _ => return other(),
            },
            Plain::Get => match (first, arguments.get(1)) {
                (Value::Map(map), Some(Value::Text(key))) => map.get(&**key).cloned().unwrap_or(Value::Nil),
                (Value::List(list), Some(Value::Int(at))) => {
                    usize::try_from(*at).ok().and_then(|at| list.get(at)).cloned().unwrap_or(Value::Nil)
                }
                _ => Value::Nil,
            },
            Plain::Now => now.to_zoned(TimeZone::system()).into(),
            Plain::Duration => {
                Value::Duration(parse_duration(text(0)?).ok_or_else(|| format!("{first} is no duration"))?)
            }
            Plain::Date => parse_rfc3339(text(0)?).ok_or_else(|| format!("{first} is no time"))?.into(),
            Plain::FromJson => {
                let json: serde_json::Value = serde_json::from_str(text(0)?).map_err(|error| error.to_string())?;
                Value::from(&json)
            }
            Plain::ToJson => serde_json::to_string_pretty(&first.to_json()).map_err(|error| error.to_string())?.into(),
        })
    }
}
