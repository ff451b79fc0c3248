//! Texts.

use regex::{Regex, RegexBuilder};

use super::super::function::{ANY, Arguments, Table};
use super::super::print::quoted;
use super::super::value::Value;
use super::{int_of, text_of};

/// What a compiled pattern may take.
const PATTERN: usize = 1 << 20;

pub(super) const TABLE: Table = &[
    ("trim", 1, |a| Ok(a.text(0)?.trim().into())),
    ("trimAll", 2, |a| Ok(a.text(1)?.trim_matches(|c| a.text(0).is_ok_and(|set| set.contains(c))).into())),
    ("trimall", 2, |a| Ok(a.text(1)?.trim_matches(|c| a.text(0).is_ok_and(|set| set.contains(c))).into())),
    ("trimPrefix", 2, |a| Ok(a.text(1)?.strip_prefix(a.text(0)?).unwrap_or(a.text(1)?).into())),
    ("trimSuffix", 2, |a| Ok(a.text(1)?.strip_suffix(a.text(0)?).unwrap_or(a.text(1)?).into())),
    ("upper", 1, |a| Ok(a.text(0)?.to_uppercase().into())),
    ("lower", 1, |a| Ok(a.text(0)?.to_lowercase().into())),
    ("title", 1, |a| Ok(first_letters(a.text(0)?, |c| c.to_uppercase().collect()).into())),
    ("untitle", 1, |a| Ok(first_letters(a.text(0)?, |c| c.to_lowercase().collect()).into())),
    ("nospace", 1, |a| Ok(a.text(0)?.chars().filter(|c| !c.is_whitespace()).collect::<String>().into())),
    ("initials", 1, |a| {
        let words = a.text(0)?.split_whitespace();
        Ok(words.filter_map(|word| word.chars().next()).collect::<String>().into())
    }),
    ("repeat", 2, |a| {
        let times = usize::try_from(a.int(0)?).map_err(|_| "negative Repeat count".to_owned())?;
        let text = a.text(1)?;
        a.fits(text.len().saturating_mul(times))?;
        Ok(text.repeat(times).into())
    }),
    ("substr", 3, |a| {
        let (from, to, text) = (a.int(0)?, a.int(1)?, a.text(2)?);
        let end = text.len() as i64;
        let (from, to) = match (from, to) {
            (from, to) if from < 0 => (0, to),
            (from, to) if to < 0 || to > end => (from, end),
            range => range,
        };
        part(text, from, to)
    }),
    ("trunc", 2, |a| {
        let (most, text) = (a.int(0)?, a.text(1)?);
        let end = text.len() as i64;
        match most {
            most if most < 0 && end + most > 0 => part(text, end + most, end),
            most if most >= 0 && end > most => part(text, 0, most),
            _ => Ok(text.into()),
        }
    }),
    ("abbrev", 2, |a| {
        let (most, text) = (a.int(0)?, a.text(1)?);
        match usize::try_from(most) {
            Ok(most) if most >= 4 && text.len() > most => {
                Ok(format!("{}...", &text[..boundary(text, most - 3)]).into())
            }
            _ => Ok(text.into()),
        }
    }),
    ("contains", 2, |a| Ok(a.text(1)?.contains(a.text(0)?).into())),
    ("hasPrefix", 2, |a| Ok(a.text(1)?.starts_with(a.text(0)?).into())),
    ("hasSuffix", 2, |a| Ok(a.text(1)?.ends_with(a.text(0)?).into())),
    ("quote", ANY, |a| Ok(each(a, |text| quoted(&text)).into())),
    ("squote", ANY, |a| Ok(each(a, |text| format!("'{text}'")).into())),
    ("cat", ANY, |a| Ok(each(a, |text| text).into())),
    ("indent", 2, |a| Ok(indented(a)?.into())),
    ("nindent", 2, |a| Ok(format!("\n{}", indented(a)?).into())),
    ("replace", 3, |a| {
        let (old, new, text) = (a.text(0)?, a.text(1)?, a.text(2)?);
        a.fits(text.len() + text.matches(old).count().saturating_mul(new.len()))?;
        Ok(text.replace(old, new).into())
    }),
    ("plural", 3, |a| Ok(if a.int(2)? == 1 { a.any(0)? } else { a.any(1)? }.clone())),
    ("splitList", 2, |a| Ok(pieces(a.text(1)?, a.text(0)?).into())),
    ("split", 2, |a| Ok(numbered(pieces(a.text(1)?, a.text(0)?)))),
    ("splitn", 3, |a| {
        let most = usize::try_from(a.int(1)?).unwrap_or(usize::MAX);
        Ok(numbered(a.text(2)?.splitn(most, a.text(0)?).map(Value::from).collect()))
    }),
    ("join", 2, |a| {
        let separator = a.text(0)?;
        let texts: Vec<String> = match a.any(1)? {
            Value::List(list) => list.iter().filter(|value| **value != Value::Nil).map(text_of).collect(),
            Value::Nil => Vec::new(),
            other => vec![text_of(other)],
        };
        a.fits(texts.iter().map(String::len).sum::<usize>() + separator.len().saturating_mul(texts.len()))?;
        Ok(texts.join(separator).into())
    }),
    ("toString", 1, |a| Ok(text_of(a.any(0)?).into())),
    ("toStrings", 1, |a| Ok(a.list(0)?.iter().map(|value| text_of(value).into()).collect::<Vec<Value>>().into())),
    ("wrap", 2, |a| wrapped(a, "\n")),
    ("regexMatch", 2, |a| Ok(pattern(a.text(0)?)?.is_match(a.text(1)?).into())),
    ("mustRegexMatch", 2, |a| Ok(pattern(a.text(0)?)?.is_match(a.text(1)?).into())),
    ("regexFind", 2, find),
    ("mustRegexFind", 2, find),
    ("regexFindAll", 3, find_all),
    ("mustRegexFindAll", 3, find_all),
    ("regexReplaceAll", 3, |a| replaced(a, Replacement::Expanded)),
    ("mustRegexReplaceAll", 3, |a| replaced(a, Replacement::Expanded)),
    ("regexReplaceAllLiteral", 3, |a| replaced(a, Replacement::Literal)),
    ("mustRegexReplaceAllLiteral", 3, |a| replaced(a, Replacement::Literal)),
    ("regexSplit", 3, regex_split),
    ("mustRegexSplit", 3, regex_split),
    ("regexQuoteMeta", 1, |a| {
        let quoted =
            a.text(0)?.chars().flat_map(|c| r"\.+*?()|[]{}^$".contains(c).then_some('\\').into_iter().chain([c]));
        Ok(quoted.collect::<String>().into())
    }),
];

/// The letter that begins each word, changed.
fn first_letters(text: &str, change: fn(char) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_first = true;
    for c in text.chars() {
        if is_first {
            out.push_str(&change(c));
        } else {
            out.push(c);
        }
        // What Go takes for the end of a word: anything but letters, digits and underscores in ASCII, blanks elsewhere.
        is_first = if c.is_ascii() { !(c.is_ascii_alphanumeric() || c == '_') } else { c.is_whitespace() };
    }
    out
}

/// Bytes of a text; a letter that is cut in two is left away.
fn part(text: &str, from: i64, to: i64) -> Result<Value, String> {
    let at = |index: i64| usize::try_from(index).ok().filter(|index| *index <= text.len());
    match (at(from), at(to)) {
        (Some(from), Some(to)) if from <= to => Ok(text[boundary(text, from)..boundary(text, to)].into()),
        _ => Err(format!("slice bounds out of range [{from}:{to}]")),
    }
}

fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Every argument that is something, through a filter, with blanks between.
fn each(a: &Arguments<'_>, filter: fn(String) -> String) -> String {
    let texts = a.values.iter().filter(|value| **value != Value::Nil).map(|value| filter(text_of(value)));
    texts.collect::<Vec<_>>().join(" ")
}

fn indented(a: &Arguments<'_>) -> Result<String, String> {
    let (by, text) = (usize::try_from(a.int(0)?).map_err(|_| "negative Repeat count".to_owned())?, a.text(1)?);
    a.fits(text.len() + (text.matches('\n').count() + 1).saturating_mul(by))?;
    let pad = " ".repeat(by);
    Ok(format!("{pad}{}", text.replace('\n', &format!("\n{pad}"))))
}

/// The pieces between separators; without a separator each letter, as Go has it.
fn pieces(text: &str, separator: &str) -> Vec<Value> {
    match separator {
        "" => text.chars().map(|c| Value::from(c.to_string())).collect(),
        separator => text.split(separator).map(Value::from).collect(),
    }
}

/// `_0`, `_1` and so on.
fn numbered(pieces: Vec<Value>) -> Value {
    let entries = pieces.into_iter().enumerate().map(|(index, piece)| (format!("_{index}"), piece));
    entries.collect::<std::collections::BTreeMap<_, _>>().into()
}

fn wrapped(a: &Arguments<'_>, newline: &str) -> Result<Value, String> {
    let (width, text) = (usize::try_from(a.int(0)?).unwrap_or(0).max(1), a.text(1)?);
    a.fits(text.len() * 2)?;
    let mut out = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width {
            out.push_str(newline);
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column = match word.rfind('\n') {
            Some(at) => word[at + 1..].chars().count(),
            None => column + length,
        };
    }
    Ok(out.into())
}

fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(PATTERN).build().map_err(|error| error.to_string())
}

fn find(a: &Arguments<'_>) -> Result<Value, String> {
    Ok(pattern(a.text(0)?)?.find(a.text(1)?).map_or("", |found| found.as_str()).into())
}

fn limit(value: &Value) -> usize {
    usize::try_from(int_of(value)).unwrap_or(usize::MAX)
}

fn find_all(a: &Arguments<'_>) -> Result<Value, String> {
    let pattern = pattern(a.text(0)?)?;
    let found = pattern.find_iter(a.text(1)?).take(limit(a.any(2)?));
    Ok(found.map(|found| Value::from(found.as_str())).collect::<Vec<_>>().into())
}

#[derive(Clone, Copy)]
enum Replacement {
    /// `$1` stands for a group.
    Expanded,
    /// As it is written.
    Literal,
}

fn replaced(a: &Arguments<'_>, how: Replacement) -> Result<Value, String> {
    let (pattern, text, with) = (pattern(a.text(0)?)?, a.text(1)?, a.text(2)?);
    let times = pattern.find_iter(text).count();
    // Each `$` may bring in all that was found, but all together no more than there is.
    let groups = text.len().saturating_mul(1 + with.matches('$').count());
    a.fits(groups.saturating_add(times.saturating_mul(with.len())))?;
    Ok(match how {
        Replacement::Expanded => pattern.replace_all(text, with),
        Replacement::Literal => pattern.replace_all(text, regex::NoExpand(with)),
    }
    .as_ref()
    .into())
}

fn regex_split(a: &Arguments<'_>) -> Result<Value, String> {
    let (pattern, text, most) = (pattern(a.text(0)?)?, a.text(1)?, limit(a.any(2)?));
    Ok(pattern.splitn(text, most).map(Value::from).collect::<Vec<_>>().into())
}
