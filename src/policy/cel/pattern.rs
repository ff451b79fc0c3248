//! Regular expressions: RE2's, for that is what policies are written for.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::evaluate::{Budget, Fault};
use super::value::Value;
use crate::pattern::translated;

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
            let unknown = || Fault::Unknown(format!("the pattern `{pattern}` is not understood here"));
            let translated = translated(pattern).map_err(|_| unknown())?;
            let built = RegexBuilder::new(&translated).size_limit(LARGEST).dfa_size_limit(LARGEST).build();
            let built = built.map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => Fault::Exhausted,
                _ => unknown(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_kubernetes() {
        let cases = [
            // pattern, text, is it one?
            (r"^\d+$", "١٢", Some(false)),
            (r"^[[&]+$", "[&", Some(true)),
            (r"^a{,2}$", "a{,2}", Some(true)),
            (r"a**", "a", None),
        ];
        for (pattern, text, expected) in cases {
            let mut patterns = Patterns::default();
            let found = patterns.get(&pattern.into(), text, &mut Budget::of(100_000)).ok();
            assert_eq!(found.map(|found| found.is_match(text)), expected, "{pattern} on {text}");
        }
    }
}
