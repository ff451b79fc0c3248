//! Go's `fmt`: `print` and the verbs of `printf`.

use super::function::{Arguments, LONGEST};
use super::value::{Value, float_text};

/// The values one after another; a blank stands between two that are both no text.
pub(super) fn print(values: &[Value]) -> String {
    let mut out = String::new();
    let mut was_text = true;
    for value in values {
        let is_text = value.as_text().is_some();
        if !is_text && !was_text {
            out.push(' ');
        }
        out.push_str(&value.to_string());
        was_text = is_text;
    }
    out
}

/// More digits behind the point no float has.
const DIGITS: usize = 1100;

#[derive(Default)]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

pub(super) fn printf(a: &Arguments<'_>) -> Result<String, String> {
    let format = a.text(0)?;
    let mut arguments = a.values[1..].iter();
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let mut flags = Flags::default();
        while let Some(c) = rest.chars().next() {
            match c {
                '-' => flags.minus = true,
                '+' => flags.plus = true,
                '#' => flags.sharp = true,
                ' ' => flags.space = true,
                '0' => flags.zero = true,
                _ => break,
            }
            rest = &rest[1..];
        }
        flags.width = number(&mut rest)?;
        if let Some(behind) = rest.strip_prefix('.') {
            rest = behind;
            flags.precision = Some(number(&mut rest)?.unwrap_or(0));
        }
        let Some(verb) = rest.chars().next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        rest = &rest[verb.len_utf8()..];
        let piece = match (verb, arguments.next()) {
            ('%', taken) => {
                // It takes no argument: the one that was taken goes back.
                if taken.is_some() {
                    arguments = a.values[a.values.len() - arguments.len() - 1..].iter();
                }
                "%".to_owned()
            }
            (verb, None) => format!("%!{verb}(MISSING)"),
            (verb, Some(value)) => one(&flags, verb, value),
        };
        a.fits(out.len() + piece.len())?;
        out.push_str(&piece);
    }
    out.push_str(rest);
    let extra: Vec<String> = arguments.map(described).collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(out)
}

/// A width or a precision; one that no text needs is refused before it is filled up.
fn number(rest: &mut &str) -> Result<Option<usize>, String> {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, behind) = rest.split_at(end);
    *rest = behind;
    if digits.is_empty() {
        return Ok(None);
    }
    let number = digits.parse().ok().filter(|number| *number <= LONGEST);
    number.map(Some).ok_or_else(|| format!("a width of {digits} is too much"))
}

fn described(value: &Value) -> String {
    match value {
        Value::Nil => "<nil>".to_owned(),
        Value::List(_) => format!("[]interface {{}}={value}"),
        Value::Map(_) => format!("map[string]interface {{}}={value}"),
        value => format!("{}={value}", value.kind()),
    }
}

/// A value by a verb: of lists and maps each element is by itself.
fn one(flags: &Flags, verb: char, value: &Value) -> String {
    match (verb, value) {
        ('T', value) => pad(flags, verb, value.kind().to_owned()),
        (verb, Value::List(list)) => {
            let inner: Vec<String> = list.iter().map(|value| one(flags, verb, value)).collect();
            format!("[{}]", inner.join(" "))
        }
        (verb, Value::Map(map)) => {
            let inner = map.iter().map(|(key, value)| {
                format!("{}:{}", one(flags, verb, &Value::from(key.as_str())), one(flags, verb, value))
            });
            format!("map[{}]", inner.collect::<Vec<_>>().join(" "))
        }
        (verb, value) => match plain(flags, verb, value) {
            Some(text) => pad(flags, verb, text),
            None if *value == Value::Nil => format!("%!{verb}(<nil>)"),
            None => format!("%!{verb}({})", described(value)),
        },
    }
}

/// `None` when the verb is for other values.
fn plain(flags: &Flags, verb: char, value: &Value) -> Option<String> {
    Some(match (verb, value) {
        ('v', Value::Text(text)) if flags.sharp => quoted(text),
        ('v', Value::Float(float)) => signed(flags, float_text(*float)),
        ('v' | 'd', Value::Int(int)) => integer(flags, *int, |int| int.to_string(), ""),
        ('d', Value::Duration(duration)) => duration.0.to_string(),
        ('v' | 's', Value::Text(text)) => cut(flags, text).to_owned(),
        ('v', value) | ('s', value @ (Value::Duration(_) | Value::Time(_))) => value.to_string(),
        ('q', Value::Text(text)) => quoted(cut(flags, text)),
        ('q', Value::Int(int)) => format!("'{}'", letter(*int).escape_debug()),
        ('x' | 'X', Value::Text(text)) => {
            let text = &text.as_bytes()[..flags.precision.unwrap_or(text.len()).min(text.len())];
            let digits: String = text.iter().map(|byte| format!("{byte:02x}")).collect();
            let prefix = if flags.sharp && !digits.is_empty() { "0x" } else { "" };
            let all = format!("{prefix}{digits}");
            if verb == 'X' { all.to_uppercase() } else { all }
        }
        ('x', Value::Int(int)) => integer(flags, *int, |int| format!("{int:x}"), "0x"),
        ('X', Value::Int(int)) => integer(flags, *int, |int| format!("{int:X}"), "0X"),
        ('o', Value::Int(int)) => integer(flags, *int, |int| format!("{int:o}"), "0"),
        ('b', Value::Int(int)) => integer(flags, *int, |int| format!("{int:b}"), "0b"),
        ('c', Value::Int(int)) => letter(*int).to_string(),
        ('U', Value::Int(int)) => format!("U+{int:04X}"),
        ('t', Value::Bool(value)) => value.to_string(),
        ('f' | 'F', Value::Float(float)) => {
            signed(flags, format!("{float:.*}", flags.precision.unwrap_or(6).min(DIGITS)))
        }
        ('e' | 'E', Value::Float(float)) => {
            let text = format!("{float:.*e}", flags.precision.unwrap_or(6).min(DIGITS));
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let exponent: i32 = exponent.parse().unwrap_or(0);
            let sign = if exponent < 0 { '-' } else { '+' };
            signed(flags, format!("{digits}{verb}{sign}{:02}", exponent.abs()))
        }
        ('g' | 'G', Value::Float(float)) => signed(flags, float_text(*float)),
        _ => return None,
    })
}

fn letter(code: i64) -> char {
    u32::try_from(code).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn cut<'a>(flags: &Flags, text: &'a str) -> &'a str {
    let end = flags.precision.and_then(|most| text.char_indices().nth(most)).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

fn signed(flags: &Flags, text: String) -> String {
    match text.starts_with(['-', '+']) {
        false if flags.plus => format!("+{text}"),
        false if flags.space => format!(" {text}"),
        _ => text,
    }
}

fn integer(flags: &Flags, int: i64, digits: impl Fn(u64) -> String, prefix: &str) -> String {
    let mut text = digits(int.unsigned_abs());
    if let Some(least) = flags.precision {
        text = format!("{}{text}", "0".repeat(least.saturating_sub(text.len())));
    }
    if flags.sharp {
        text = format!("{prefix}{text}");
    }
    signed(flags, if int < 0 { format!("-{text}") } else { text })
}

fn pad(flags: &Flags, verb: char, text: String) -> String {
    let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    if flags.minus {
        return text + &" ".repeat(missing);
    }
    let is_number = text.trim_start_matches(['-', '+', ' ']).starts_with(|c: char| c.is_ascii_digit());
    if flags.zero && (!matches!(verb, 'd' | 'f' | 'e' | 'g' | 'v' | 'x' | 'X' | 'o' | 'b') || is_number) {
        let at = usize::from(is_number && text.starts_with(['-', '+', ' ']));
        return format!("{}{}{}", &text[..at], "0".repeat(missing), &text[at..]);
    }
    " ".repeat(missing) + &text
}

/// As Go quotes a text.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
