//! Times and durations as Go writes them, and the methods that they have.

use std::fmt;

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};

use super::function::expected;
use super::value::Value;

pub(super) const RFC3339_NANO: &str = "2006-01-02T15:04:05.999999999Z07:00";
/// How Go prints a time that nobody formats.
pub(super) const PRINTED: &str = "2006-01-02 15:04:05.999999999 -0700 MST";

/// A span of time, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub i64);

impl Duration {
    /// One second.
    pub const SECOND: Duration = Duration(1_000_000_000);

    fn as_seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl fmt::Display for Duration {
    /// `1h2m3.5s`, below a second in its own unit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        let fraction = |whole: u64, part: u64, digits: usize| {
            let text = format!("{part:0digits$}");
            let text = text.trim_end_matches('0');
            if text.is_empty() { whole.to_string() } else { format!("{whole}.{text}") }
        };
        match nanos {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{sign}{nanos}ns"),
            1_000..1_000_000 => write!(f, "{sign}{}µs", fraction(nanos / 1_000, nanos % 1_000, 3)),
            1_000_000..1_000_000_000 => write!(f, "{sign}{}ms", fraction(nanos / 1_000_000, nanos % 1_000_000, 6)),
            _ => {
                let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
                let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
                f.write_str(sign)?;
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if hours > 0 || minutes > 0 {
                    write!(f, "{minutes}m")?;
                }
                write!(f, "{}s", fraction(seconds % 60, rest, 9))
            }
        }
    }
}

/// Reads a duration as Go does: `1h30m`, `-1.5s`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(Duration(0));
    }
    let mut sum = 0.0_f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        rest = &rest[end..];
        sum += number * unit;
    }
    (sum < 9.2e18).then_some(Duration((sign * sum).round() as i64))
}

/// Reads a time as RFC 3339 has it, with the offset that it was written with.
pub fn parse_rfc3339(text: &str) -> Option<Zoned> {
    let timestamp: Timestamp = text.parse().ok()?;
    let zone = match text.strip_suffix(['Z', 'z']) {
        Some(_) => TimeZone::UTC,
        None => {
            let at = text.rfind(['+', '-'])?;
            let (hours, minutes) = text[at + 1..].split_once(':')?;
            let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
            let sign = if text[at..].starts_with('-') { -1 } else { 1 };
            TimeZone::fixed(Offset::from_seconds(sign * seconds).ok()?)
        }
    };
    Some(timestamp.to_zoned(zone))
}

/// What of a layout stands for a part of the time. The longer ones stand before those that they begin with.
const PARTS: [&str; 33] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "Z07:00:00",
    "Z070000",
    "Z07:00",
    "Z0700",
    "Z07",
    "-07:00:00",
    "-070000",
    "-07:00",
    "-0700",
    "-07",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "__2",
    "_2",
    "15",
    "PM",
    "pm",
    "1",
    "2",
    "3",
    "4",
    "5",
];

/// A time by a layout of Go's: `2006-01-02 15:04`.
pub(super) fn format(time: &Zoned, layout: &str) -> String {
    let mut out = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        if let Some(length) = fraction(&mut out, time, rest) {
            rest = &rest[length..];
            continue;
        }
        // A word that only begins like a month is none: `Janet`; and `_2006` is a blank before a year.
        let is_part = |part: &&&str| match rest.strip_prefix(**part) {
            None => false,
            Some(behind) if matches!(**part, "Jan" | "Mon") => !behind.starts_with(|c: char| c.is_ascii_lowercase()),
            Some(behind) => !(**part == "_2" && behind.starts_with("006")),
        };
        match PARTS.iter().find(is_part) {
            Some(part) => {
                push_part(&mut out, time, part);
                rest = &rest[part.len()..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// `.000` and `.999`: so many digits of the second, the latter without zeros at the end. How long the part is.
fn fraction(out: &mut String, time: &Zoned, rest: &str) -> Option<usize> {
    let sign = rest.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let digit = rest[1..].chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let length = rest[1..].chars().take_while(|c| *c == digit).count();
    // In front of other digits it is a number of the text's own.
    if rest[1 + length..].starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let nanos = format!("{:09}", time.subsec_nanosecond());
    let digits = if length <= 9 { nanos[..length].to_owned() } else { format!("{nanos:0<length$}") };
    let digits = if digit == '9' { digits.trim_end_matches('0') } else { &digits };
    if !digits.is_empty() {
        out.push(sign);
        out.push_str(digits);
    }
    Some(1 + length)
}

fn push_part(out: &mut String, time: &Zoned, part: &str) {
    let hour12 = match time.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    let text = match part {
        "January" => time.strftime("%B").to_string(),
        "Jan" => time.strftime("%b").to_string(),
        "Monday" => time.strftime("%A").to_string(),
        "Mon" => time.strftime("%a").to_string(),
        "MST" => zone_name(time),
        "2006" => format!("{:04}", time.year()),
        "06" => format!("{:02}", time.year().rem_euclid(100)),
        "002" => format!("{:03}", time.day_of_year()),
        "01" => format!("{:02}", time.month()),
        "1" => time.month().to_string(),
        "02" => format!("{:02}", time.day()),
        "_2" => format!("{:2}", time.day()),
        "__2" => format!("{:3}", time.day_of_year()),
        "2" => time.day().to_string(),
        "15" => format!("{:02}", time.hour()),
        "03" => format!("{hour12:02}"),
        "3" => hour12.to_string(),
        "04" => format!("{:02}", time.minute()),
        "4" => time.minute().to_string(),
        "05" => format!("{:02}", time.second()),
        "5" => time.second().to_string(),
        "PM" => if time.hour() < 12 { "AM" } else { "PM" }.to_owned(),
        "pm" => if time.hour() < 12 { "am" } else { "pm" }.to_owned(),
        offset => offset_text(time.offset().seconds(), offset),
    };
    out.push_str(&text);
}

/// `UTC`, `CEST`; a zone that has no name is shown by its offset.
fn zone_name(time: &Zoned) -> String {
    let offset = time.offset().seconds();
    match time.time_zone().iana_name() {
        Some(_) => time.strftime("%Z").to_string(),
        None if offset == 0 => "UTC".to_owned(),
        None => offset_text(offset, "-0700"),
    }
}

fn offset_text(seconds: i32, layout: &str) -> String {
    if layout.starts_with('Z') && seconds == 0 {
        return "Z".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let all = seconds.unsigned_abs();
    let (hours, minutes, rest) = (all / 3600, all / 60 % 60, all % 60);
    match &layout[1..] {
        "07" => format!("{sign}{hours:02}"),
        "0700" => format!("{sign}{hours:02}{minutes:02}"),
        "07:00" => format!("{sign}{hours:02}:{minutes:02}"),
        "070000" => format!("{sign}{hours:02}{minutes:02}{rest:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{rest:02}"),
    }
}

/// From one time to another.
pub(super) fn since(later: &Zoned, earlier: &Zoned) -> Duration {
    let nanos = later.timestamp().as_nanosecond() - earlier.timestamp().as_nanosecond();
    // As Go: what does not fit is as long as can be.
    Duration(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
}

/// So much later.
pub(super) fn later(time: &Zoned, by: Duration) -> Result<Value, String> {
    let moved = time.checked_add(SignedDuration::from_nanos(by.0));
    moved.map(Value::from).map_err(|_| "there is no such time".to_owned())
}

fn a_time(arguments: &[Value]) -> Result<&Zoned, String> {
    match arguments {
        [Value::Time(time)] => Ok(time),
        [other] => Err(expected("time", other)),
        _ => Err(format!("wrong number of args: want 1 got {}", arguments.len())),
    }
}

pub(super) fn time_method(time: &Zoned, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    let other = || a_time(arguments);
    let plain = |value: Value| match arguments {
        [] => Ok(value),
        _ => Err(format!("wrong number of args for {name}: want 0 got {}", arguments.len())),
    };
    Some(match name {
        "Format" => match arguments {
            [Value::Text(layout)] => Ok(format(time, layout).into()),
            [other] => Err(expected("string", other)),
            _ => Err(format!("wrong number of args for Format: want 1 got {}", arguments.len())),
        },
        "String" => plain(format(time, PRINTED).into()),
        "Local" => plain(time.with_time_zone(TimeZone::system()).into()),
        "UTC" => plain(time.with_time_zone(TimeZone::UTC).into()),
        "Unix" => plain(Value::Int(time.timestamp().as_second())),
        "UnixMilli" => plain(Value::Int(time.timestamp().as_millisecond())),
        "UnixNano" => plain(i64::try_from(time.timestamp().as_nanosecond()).unwrap_or(i64::MAX).into()),
        "Year" => plain(Value::Int(time.year().into())),
        "Day" => plain(Value::Int(time.day().into())),
        "YearDay" => plain(Value::Int(time.day_of_year().into())),
        "Hour" => plain(Value::Int(time.hour().into())),
        "Minute" => plain(Value::Int(time.minute().into())),
        "Second" => plain(Value::Int(time.second().into())),
        "Month" => plain(format(time, "January").into()),
        "Weekday" => plain(format(time, "Monday").into()),
        "IsZero" => plain(Value::Bool(false)),
        "Add" => match arguments {
            [Value::Duration(by)] => later(time, *by),
            [Value::Int(by)] => later(time, Duration(*by)),
            [other] => Err(expected("duration", other)),
            _ => Err(format!("wrong number of args for Add: want 1 got {}", arguments.len())),
        },
        "Sub" => other().map(|other| Value::Duration(since(time, other))),
        "Before" => other().map(|other| Value::Bool(time < other)),
        "After" => other().map(|other| Value::Bool(time > other)),
        "Equal" => other().map(|other| Value::Bool(time == other)),
        "Compare" => other().map(|other| Value::Int(time.cmp(other) as i64)),
        _ => return None,
    })
}

pub(super) fn duration_method(duration: Duration, name: &str, arguments: &[Value]) -> Option<Result<Value, String>> {
    let value = match name {
        "Hours" => Value::Float(duration.as_seconds() / 3600.0),
        "Minutes" => Value::Float(duration.as_seconds() / 60.0),
        "Seconds" => Value::Float(duration.as_seconds()),
        "Milliseconds" => Value::Int(duration.0 / 1_000_000),
        "Microseconds" => Value::Int(duration.0 / 1_000),
        "Nanoseconds" => Value::Int(duration.0),
        "String" => duration.to_string().into(),
        _ => return None,
    };
    Some(match arguments {
        [] => Ok(value),
        _ => Err(format!("wrong number of args for {name}: want 0 got {}", arguments.len())),
    })
}
