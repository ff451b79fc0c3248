//! What a scalar means.
//!
//! The rules are go-yaml's (v3 3.0.4; v2 as sigs.k8s.io/yaml 1.6.0 carries it), which are those of no YAML version:
//! integers as Go's `ParseInt` with base 0 reads them, floats by a pattern, no base 60, times only in v3.

use base64::Engine as _;
use base64::engine::GeneralPurpose;

use super::error::Problem;
use super::node::{Content, Node, ScalarStyle, is_null_text};

/// Whose reading of YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolve {
    /// go-yaml v3: kustomize reading resources.
    V3,
    /// sigs.k8s.io/yaml (go-yaml v2): kubectl and Argo CD reading manifests, kustomize reading its own files.
    V2,
}

/// What a scalar means.
#[derive(Clone, Debug, PartialEq)]
pub enum Plain {
    /// `~`
    Null,
    /// `true`
    Bool(bool),
    /// An integer of 64 bits.
    Int(i64),
    /// An integer beyond `i64`.
    Uint(u64),
    /// Any other number; may be infinite or no number.
    Float(f64),
    /// A date or time as Go writes it in JSON (v3 only).
    Time(String),
    /// The scalar's text.
    Text,
    /// Another text than the scalar's: what `!!binary` decodes to.
    Decoded(String),
}

impl Plain {
    /// What it is, in a word with its article.
    pub fn describe(&self) -> &'static str {
        match self {
            Plain::Null => "null",
            Plain::Bool(_) => "a boolean",
            Plain::Int(_) | Plain::Uint(_) | Plain::Float(_) => "a number",
            Plain::Time(_) => "a time",
            Plain::Text | Plain::Decoded(_) => "a string",
        }
    }
}

/// What plain text without a tag means to this reader.
pub fn plain(text: &str, mode: Resolve) -> Plain {
    let Some(first) = text.bytes().next() else { return Plain::Null };
    match first {
        b'0'..=b'9' | b'+' | b'-' => match number(text) {
            _ if is_time(text) => match mode {
                Resolve::V3 => time(text).map_or(Plain::Text, Plain::Time),
                Resolve::V2 => Plain::Text,
            },
            Some(number) => number,
            None => Plain::Text,
        },
        b'.' => float_word(text).or_else(|| go_float(text)).map_or(Plain::Text, Plain::Float),
        b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'y' | b'Y' | b'o' | b'O' => word(text, mode),
        _ => Plain::Text,
    }
}

/// What a scalar node means; `None` for a sequence or a mapping.
pub(super) fn scalar(node: &Node, mode: Resolve) -> Result<Option<Plain>, Problem> {
    let Content::Scalar(scalar) = &node.content else { return Ok(None) };
    let meaning = match node.tag() {
        None | Some("!") if scalar.style == ScalarStyle::Plain => plain(&scalar.text, mode),
        None | Some("!" | "!!str") => Plain::Text,
        Some("!!binary") => binary(&scalar.text)?,
        Some(tag @ ("!!null" | "!!bool" | "!!int" | "!!float" | "!!timestamp")) => tagged(tag, &scalar.text, mode)?,
        Some(_) => Plain::Text,
    };
    Ok(Some(meaning))
}

/// A tag of the core schema demands a meaning; the text decides whether it can have it.
fn tagged(tag: &str, text: &str, mode: Resolve) -> Result<Plain, Problem> {
    let found = match tag {
        "!!timestamp" => time(text).map_or(Plain::Text, Plain::Time),
        // A tag other than this keeps digits with dashes from being times.
        _ => match plain(text, mode) {
            Plain::Time(_) => Plain::Text,
            found => found,
        },
    };
    match (tag, found) {
        ("!!null", found @ Plain::Null)
        | ("!!bool", found @ Plain::Bool(_))
        | ("!!int", found @ (Plain::Int(_) | Plain::Uint(_)))
        | ("!!float", found @ Plain::Float(_)) => Ok(found),
        ("!!float", Plain::Int(number)) => Ok(Plain::Float(number as f64)),
        ("!!float", Plain::Uint(number)) => Ok(Plain::Float(number as f64)),
        ("!!timestamp", Plain::Time(time)) => Ok(match mode {
            Resolve::V3 => Plain::Time(time),
            Resolve::V2 => Plain::Text,
        }),
        _ => Err(Problem::Tag { text: text.to_owned(), tag: tag.to_owned() }),
    }
}

/// Go accepts padded base64 with line breaks; what it decodes to need not be text.
fn binary(text: &str) -> Result<Plain, Problem> {
    const GO: GeneralPurpose = base64::engine::general_purpose::STANDARD;
    let bare: String = text.chars().filter(|character| !matches!(character, '\n' | '\r')).collect();
    let bytes = GO.decode(bare).map_err(|_| Problem::Tag { text: text.to_owned(), tag: "!!binary".to_owned() })?;
    Ok(Plain::Decoded(String::from_utf8_lossy(&bytes).into_owned()))
}

fn word(text: &str, mode: Resolve) -> Plain {
    match text {
        "true" | "True" | "TRUE" => Plain::Bool(true),
        "false" | "False" | "FALSE" => Plain::Bool(false),
        _ if is_null_text(text) => Plain::Null,
        _ if mode == Resolve::V3 => Plain::Text,
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Plain::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Plain::Bool(false),
        _ => Plain::Text,
    }
}

/// An integer or a float that starts with a digit or a sign; underscores are ignored.
pub(super) fn number(text: &str) -> Option<Plain> {
    if let Some(float) = float_word(text) {
        return Some(Plain::Float(float));
    }
    let bare: std::borrow::Cow<'_, str> = if text.contains('_') { text.replace('_', "").into() } else { text.into() };
    integer(&bare).or_else(|| decimal_float(&bare).map(Plain::Float))
}

/// As Go's `ParseInt` and then `ParseUint` with base 0 read it.
fn integer(text: &str) -> Option<Plain> {
    let (negative, signed, digits) = match text.as_bytes().first()? {
        b'-' => (true, true, text.get(1..)?),
        b'+' => (false, true, text.get(1..)?),
        _ => (false, false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    // `from_str_radix` would take a second sign.
    if !digits.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    match i64::try_from(magnitude) {
        Ok(number) => Some(Plain::Int(if negative { -number } else { number })),
        Err(_) if negative && magnitude == i64::MIN.unsigned_abs() => Some(Plain::Int(i64::MIN)),
        Err(_) if signed => None,
        Err(_) => Some(Plain::Uint(magnitude)),
    }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, unless it is beyond a double.
fn decimal_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_fits = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let exponent_fits = exponent.is_none_or(|exponent| {
        let bare = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !bare.is_empty() && digits(bare)
    });
    if !mantissa_fits || !exponent_fits {
        return None;
    }
    text.parse().ok().filter(|float: &f64| float.is_finite())
}

/// What starts with a dot goes through Go's `ParseFloat`, which lets single underscores stand between digits.
fn go_float(text: &str) -> Option<f64> {
    if !text.contains('_') {
        return decimal_float(text);
    }
    let bytes = text.as_bytes();
    let digit_at = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let between_digits = bytes
        .iter()
        .enumerate()
        .all(|(at, byte)| *byte != b'_' || (digit_at(at.checked_sub(1)) && digit_at(Some(at + 1))));
    if between_digits { decimal_float(&text.replace('_', "")) } else { None }
}

/// `.inf`, `.nan` and their like.
pub(super) fn float_word(text: &str) -> Option<f64> {
    match text {
        ".nan" | ".NaN" | ".NAN" => Some(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// True for what go-yaml takes for a date, or a date and time.
pub(super) fn is_time(text: &str) -> bool {
    // Four digits and a dash: nearly all other scalars are refused by this.
    matches!(text.as_bytes(), [a, b, c, d, b'-', ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()))
        && time(text).is_some()
}

/// A time in the layouts of go-yaml, rewritten as Go's `time.Time` writes itself in JSON: RFC 3339 with the zone that was
/// given, trailing zeros of the fraction cut.
///
/// The layouts are Go's `2006-1-2`, `2006-1-2 15:4:5.999999999`, and `2006-1-2T15:4:5.999999999Z07:00` with either `T`.
fn time(text: &str) -> Option<String> {
    let mut rest = text;
    let year = take_digits(&mut rest, 4, 4)?;
    let month = after(&mut rest, '-').and_then(|()| take_digits(&mut rest, 1, 2))?;
    let day = after(&mut rest, '-').and_then(|()| take_digits(&mut rest, 1, 2))?;
    jiff::civil::Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    let date = format!("{year:04}-{month:02}-{day:02}");
    if rest.is_empty() {
        return Some(format!("{date}T00:00:00Z"));
    }
    let has_zone = match rest.chars().next()? {
        'T' | 't' => true,
        ' ' => false,
        _ => return None,
    };
    rest = rest.get(1..)?;
    let hour = take_digits(&mut rest, 1, 2)?;
    let minute = after(&mut rest, ':').and_then(|()| take_digits(&mut rest, 1, 2))?;
    let second = after(&mut rest, ':').and_then(|()| take_digits(&mut rest, 1, 2))?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = take_fraction(&mut rest);
    let zone = match (has_zone, rest) {
        (true, "Z") | (false, "") => "Z".to_owned(),
        (true, offset) => zone(offset)?,
        (false, _) => return None,
    };
    Some(format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"))
}

fn after(rest: &mut &str, separator: char) -> Option<()> {
    *rest = rest.strip_prefix(separator)?;
    Some(())
}

fn take_digits(rest: &mut &str, least: usize, most: usize) -> Option<u32> {
    let count = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let (digits, after) = rest.split_at_checked(count)?;
    if count < least {
        return None;
    }
    *rest = after;
    digits.parse().ok()
}

/// A dot or a comma and digits, cut to nanoseconds; Go ignores digits beyond the ninth.
fn take_fraction(rest: &mut &str) -> String {
    let Some(digits) = rest.strip_prefix(['.', ',']) else { return String::new() };
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    let Some((fraction, after)) = digits.split_at_checked(count).filter(|_| count > 0) else { return String::new() };
    *rest = after;
    let nanoseconds = fraction.get(..9).unwrap_or(fraction).trim_end_matches('0');
    if nanoseconds.is_empty() { String::new() } else { format!(".{nanoseconds}") }
}

/// `+02:00`; zero is written `Z`.
fn zone(offset: &str) -> Option<String> {
    let [b'+' | b'-', h1, h2, b':', m1, m2] = offset.as_bytes() else { return None };
    if ![h1, h2, m1, m2].iter().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: u32 = offset.get(1..3)?.parse().ok()?;
    let minutes: u32 = offset.get(4..6)?.parse().ok()?;
    match (hours, minutes) {
        (0, 0) => Some("Z".to_owned()),
        (..24, ..60) => Some(offset.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Plain {
        Plain::Time(text.to_owned())
    }

    #[test]
    fn a_plain_scalar_means_what_go_yaml_says() {
        use Plain::{Bool, Float, Int, Null, Text, Uint};
        let cases = [
            // text, v3, v2
            ("", Null, Null),
            ("~", Null, Null),
            ("Null", Null, Null),
            ("nULL", Text, Text),
            ("true", Bool(true), Bool(true)),
            ("FALSE", Bool(false), Bool(false)),
            ("tRue", Text, Text),
            ("yes", Text, Bool(true)),
            ("On", Text, Bool(true)),
            ("y", Text, Bool(true)),
            ("N", Text, Bool(false)),
            ("OFF", Text, Bool(false)),
            ("oFF", Text, Text),
            ("0", Int(0), Int(0)),
            ("00", Int(0), Int(0)),
            ("-0", Int(0), Int(0)),
            ("010", Int(8), Int(8)),
            ("08", Float(8.0), Float(8.0)),
            ("0o17", Int(15), Int(15)),
            ("0o8", Text, Text),
            ("0X1f", Int(31), Int(31)),
            ("-0x10", Int(-16), Int(-16)),
            ("+0x1", Int(1), Int(1)),
            ("0x-1", Text, Text),
            ("0x", Text, Text),
            ("0b2", Text, Text),
            ("0B11", Int(3), Int(3)),
            ("--1", Text, Text),
            ("+-1", Text, Text),
            ("-", Text, Text),
            ("1__0", Int(10), Int(10)),
            ("685_230.15", Float(685_230.15), Float(685_230.15)),
            ("_1", Text, Text),
            ("1,000", Text, Text),
            ("1.2.3", Text, Text),
            ("1e3", Float(1000.0), Float(1000.0)),
            ("12e03", Float(12000.0), Float(12000.0)),
            ("1e", Text, Text),
            ("1e+", Text, Text),
            ("5.", Float(5.0), Float(5.0)),
            (".5", Float(0.5), Float(0.5)),
            (".", Text, Text),
            ("..5", Text, Text),
            ("-.5", Float(-0.5), Float(-0.5)),
            ("+1.5", Float(1.5), Float(1.5)),
            ("1e400", Text, Text),
            ("9223372036854775807", Int(i64::MAX), Int(i64::MAX)),
            ("-9223372036854775808", Int(i64::MIN), Int(i64::MIN)),
            ("18446744073709551615", Uint(u64::MAX), Uint(u64::MAX)),
            ("+18446744073709551615", Float(1.844_674_407_370_955_2e19), Float(1.844_674_407_370_955_2e19)),
            ("18446744073709551616", Float(1.844_674_407_370_955_2e19), Float(1.844_674_407_370_955_2e19)),
            ("NaN", Text, Text),
            ("Infinity", Text, Text),
            ("infinity", Text, Text),
            (".INF2", Text, Text),
            ("-.inf", Float(f64::NEG_INFINITY), Float(f64::NEG_INFINITY)),
            ("1:30", Text, Text),
            ("=", Text, Text),
            ("<<", Text, Text),
            ("2020-01-01", time("2020-01-01T00:00:00Z"), Text),
            ("2020-1-1", time("2020-01-01T00:00:00Z"), Text),
            ("2020-13-01", Text, Text),
            ("2021-02-29", Text, Text),
            ("2020-01-01 10:00:00", time("2020-01-01T10:00:00Z"), Text),
            ("2020-01-01T10:00:00", Text, Text),
            ("2020-01-01 10:00:00 +2", Text, Text),
            ("2020-01-01 10:00:00Z", Text, Text),
            ("2001-12-14t21:59:43.10-05:00", time("2001-12-14T21:59:43.1-05:00"), Text),
            ("2001-12-14T21:59:43.000Z", time("2001-12-14T21:59:43Z"), Text),
            ("2001-12-14T21:59:43+00:00", time("2001-12-14T21:59:43Z"), Text),
            ("2001-12-14T24:59:43Z", Text, Text),
        ];
        for (text, v3, v2) in cases {
            assert_eq!(plain(text, Resolve::V3), v3, "{text:?} in v3");
            assert_eq!(plain(text, Resolve::V2), v2, "{text:?} in v2");
        }
        assert!(matches!(plain(".NaN", Resolve::V3), Plain::Float(number) if number.is_nan()));
    }
}
