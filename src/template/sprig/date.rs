//! Times.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::super::function::{Arguments, Table};
use super::super::moment::{self, Duration, parse_duration};
use super::super::value::Value;
use super::int_of;

pub(super) const TABLE: Table = &[
    ("now", 0, |a| Ok(now(a).into())),
    ("date", 2, |a| Ok(moment::format(&time(a, a.any(1)?), a.text(0)?).into())),
    ("dateInZone", 3, in_zone),
    ("date_in_zone", 3, in_zone),
    ("htmlDate", 1, |a| Ok(moment::format(&time(a, a.any(0)?), "2006-01-02").into())),
    ("dateModify", 2, modified),
    ("date_modify", 2, modified),
    ("mustDateModify", 2, modified),
    ("must_date_modify", 2, modified),
    ("unixEpoch", 1, |a| Ok(time(a, a.any(0)?).timestamp().as_second().to_string().into())),
    ("ago", 1, |a| {
        let passed = moment::since(&now(a), &time(a, a.any(0)?));
        let rounded = (passed.0 as f64 / 1e9).round() * 1e9;
        Ok(Duration(rounded as i64).to_string().into())
    }),
    ("duration", 1, |a| {
        let seconds = match a.any(0)? {
            value @ (Value::Int(_) | Value::Text(_)) => int_of(value),
            _ => 0,
        };
        Ok(Duration(seconds.saturating_mul(1_000_000_000)).to_string().into())
    }),
];

fn now(a: &Arguments<'_>) -> Zoned {
    a.now.to_zoned(TimeZone::system())
}

/// A time, or the seconds since 1970; anything else is now, as sprig has it.
fn time(a: &Arguments<'_>, value: &Value) -> Zoned {
    match value {
        Value::Time(time) => (**time).clone(),
        Value::Int(seconds) => {
            Timestamp::from_second(*seconds).map_or_else(|_| now(a), |time| time.to_zoned(TimeZone::system()))
        }
        _ => now(a),
    }
}

fn in_zone(a: &Arguments<'_>) -> Result<Value, String> {
    let zone = match a.text(2)? {
        "Local" => TimeZone::system(),
        // Whose name nobody knows is UTC.
        name => TimeZone::get(name).unwrap_or(TimeZone::UTC),
    };
    Ok(moment::format(&time(a, a.any(1)?).with_time_zone(zone), a.text(0)?).into())
}

fn modified(a: &Arguments<'_>) -> Result<Value, String> {
    let by =
        parse_duration(a.text(0)?).ok_or_else(|| format!("invalid duration {:?}", a.text(0).unwrap_or_default()))?;
    moment::later(&time(a, a.any(1)?), by)
}
