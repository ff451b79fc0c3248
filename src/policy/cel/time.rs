//! Points in time, and lengths of it.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::evaluate::{Budget, Fault};
use super::value::Value;
use crate::api::duration;

pub(super) fn call(name: &str, all: &[&Value], _: &mut Budget) -> Result<Option<Value>, Fault> {
    let value = match (name, all) {
        ("timestamp", [Value::Timestamp(timestamp)]) => Value::Timestamp(*timestamp),
        ("timestamp", [Value::String(text)]) => match text.parse() {
            Ok(timestamp) => Value::Timestamp(timestamp),
            Err(_) => return Fault::error("type conversion error from 'string' to 'google.protobuf.Timestamp'"),
        },
        ("timestamp", [Value::Int(seconds)]) => match Timestamp::from_second(*seconds) {
            Ok(timestamp) => Value::Timestamp(timestamp),
            Err(_) => return Fault::error("timestamp overflow"),
        },
        ("duration", [Value::Duration(length)]) => Value::Duration(*length),
        ("duration", [Value::String(text)]) => match length(text) {
            Some(length) => Value::Duration(length),
            None => return Fault::error("type conversion error from 'string' to 'google.protobuf.Duration'"),
        },
        ("getHours", [Value::Duration(length)]) => Value::Int(length.as_hours()),
        ("getMinutes", [Value::Duration(length)]) => Value::Int(length.as_mins()),
        ("getSeconds", [Value::Duration(length)]) => Value::Int(length.as_secs()),
        ("getMilliseconds", [Value::Duration(length)]) => Value::Int((length.subsec_millis()).into()),
        (name, [Value::Timestamp(timestamp), zone @ ..]) if name.starts_with("get") => {
            if !matches!(zone, [] | [Value::String(_)]) {
                return Ok(None);
            }
            if let [Value::String(zone)] = zone
                && &**zone != "UTC"
            {
                return Fault::unknown("times of other zones are not known here");
            }
            let at = timestamp.to_zoned(TimeZone::UTC);
            Value::Int(match name {
                "getFullYear" => at.year().into(),
                "getMonth" => i64::from(at.month()) - 1,
                "getDate" => at.day().into(),
                "getDayOfMonth" => i64::from(at.day()) - 1,
                "getDayOfWeek" => at.weekday().to_sunday_zero_offset().into(),
                "getDayOfYear" => i64::from(at.day_of_year()) - 1,
                "getHours" => at.hour().into(),
                "getMinutes" => at.minute().into(),
                "getSeconds" => at.second().into(),
                "getMilliseconds" => at.millisecond().into(),
                _ => return Ok(None),
            })
        }
        _ => return Ok(None),
    };
    Ok(Some(value))
}

/// As Go writes them, also less than nothing.
fn length(text: &str) -> Option<SignedDuration> {
    let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    if digits != "0" && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let length = SignedDuration::try_from(duration::parse(digits)?).ok()?;
    Some(if is_negative { -length } else { length })
}

/// What is added or taken away; `None` for what is no time.
pub(super) fn arithmetic(name: &str, a: &Value, b: &Value) -> Option<Result<Value, Fault>> {
    let overflow = || Fault::Error("timestamp overflow".into());
    Some(match (name, a, b) {
        ("_+_", Value::Duration(a), Value::Duration(b)) => a.checked_add(*b).map(Value::Duration).ok_or_else(overflow),
        ("_-_", Value::Duration(a), Value::Duration(b)) => a.checked_sub(*b).map(Value::Duration).ok_or_else(overflow),
        ("_+_", Value::Timestamp(at), Value::Duration(length))
        | ("_+_", Value::Duration(length), Value::Timestamp(at)) => {
            at.checked_add(*length).map(Value::Timestamp).map_err(|_| overflow())
        }
        ("_-_", Value::Timestamp(at), Value::Duration(length)) => {
            at.checked_sub(*length).map(Value::Timestamp).map_err(|_| overflow())
        }
        ("_-_", Value::Timestamp(a), Value::Timestamp(b)) => Ok(Value::Duration(a.duration_since(*b))),
        _ => return None,
    })
}
