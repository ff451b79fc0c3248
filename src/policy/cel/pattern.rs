//! Regular expressions: RE2's, for that is what policies are written for.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::evaluate::{Budget, Fault};
use super::value::Value;

/// What a pattern may take once it is compiled.
const LARGEST: usize = 256 << 10;
/// Steps for making a pattern ready: it takes as long as so many.
const READING: u64 = 20_000;

/// Patterns that were made ready.
#[derive(Default)]
pub(super) struct Patterns {
    known: BTreeMap<Arc<str>, Regex>,
}

impl Patterns {
    fn get(&mut self, pattern: &Arc<str>, text: &str, budget: &mut Budget) -> Result<&Regex, Fault> {
        if !self.known.contains_key(pattern) {
            budget.spend(READING + pattern.len() as u64)?;
            let built = RegexBuilder::new(&translated(pattern)).size_limit(LARGEST).dfa_size_limit(LARGEST).build();
            let built = built.map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => Fault::Exhausted,
                _ => Fault::Unknown(format!("the pattern `{pattern}` is not understood here")),
            })?;
            self.known.insert(pattern.clone(), built);
        }
        // A large pattern looks at each character more than once.
        budget.spend(4 * text.len() as u64)?;
        self.known.get(pattern).ok_or(Fault::Exhausted)
    }
}

pub(super) fn call(
    name: &str,
    all: &[&Value],
    budget: &mut Budget,
    patterns: &mut Patterns,
) -> Result<Option<Value>, Fault> {
    let [Value::String(text), Value::String(pattern), most @ ..] = all else { return Ok(None) };
    if !matches!(name, "matches" | "find" | "findAll") {
        return Ok(None);
    }
    let pattern = patterns.get(pattern, text, budget)?;
    let most = match most {
        [] => usize::MAX,
        [Value::Int(most)] => usize::try_from(*most).unwrap_or(usize::MAX),
        _ => return Ok(None),
    };
    Ok(match name {
        "matches" => Some(Value::Bool(pattern.is_match(text))),
        "find" => Some(Value::text(pattern.find(text).map_or("", |found| found.as_str()))),
        _ => Some(Value::list(pattern.find_iter(text).take(most).map(|found| Value::text(found.as_str())).collect())),
    })
}

/// The same pattern in the words of our own engine: classes are of ASCII, and no class is part of another.
fn translated(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    // Where a class begins, and whether anything is in it yet: a bracket that closes comes first as itself.
    let mut class: Option<bool> = None;
    while let Some(c) = rest.next() {
        match (c, class) {
            ('\\', _) => {
                class = class.map(|_| true);
                match rest.next() {
                    Some('d') => text.push_str("[0-9]"),
                    Some('D') => text.push_str("[^0-9]"),
                    Some('w') => text.push_str("[0-9A-Za-z_]"),
                    Some('W') => text.push_str("[^0-9A-Za-z_]"),
                    Some('s') => text.push_str("[\\t\\n\\f\\r ]"),
                    Some('S') => text.push_str("[^\\t\\n\\f\\r ]"),
                    Some(b @ ('b' | 'B')) if class.is_none() => text.push_str(&format!("(?-u:\\{b})")),
                    Some(other) => text.extend(['\\', other]),
                    None => text.push('\\'),
                }
            }
            ('[', None) => {
                class = Some(false);
                text.push('[');
                text.extend(rest.next_if_eq(&'^'));
            }
            // `[:alpha:]`
            ('[', Some(_)) if rest.peek() == Some(&':') => {
                class = Some(true);
                text.push('[');
                for c in rest.by_ref() {
                    text.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            (']', Some(true)) => {
                class = None;
                text.push(']');
            }
            ('[' | ']' | '&' | '~', Some(_)) => {
                class = Some(true);
                text.extend(['\\', c]);
            }
            (c, _) => {
                class = class.map(|_| true);
                text.push(c);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_kubernetes() {
        let cases = [
            // pattern, text, is it one?
            (r"^\d+$", "12", true),
            (r"^\d+$", "١٢", false),
            (r"^[\w.-]+$", "a_b.c-1", true),
            (r"^[\w.-]+$", "é", false),
            (r"^[^\s]+$", "ab", true),
            (r"^[[&]+$", "[&", true),
            (r"^[]a]+$", "]a", true),
            (r"^[^]a]+$", "]", false),
            (r"^[[:alpha:]_]+$", "ab_", true),
            (r"^[a\]]+$", "a]", true),
            (r"\bweb\b", "a web b", true),
            (r"\bweb\b", "cobweb", false),
            (r"^.$", "é", true),
        ];
        for (pattern, text, expected) in cases {
            let mut patterns = Patterns::default();
            let found = patterns.get(&pattern.into(), text, &mut Budget::of(100_000)).unwrap();
            assert_eq!(found.is_match(text), expected, "{pattern} on {text}");
        }
    }
}
