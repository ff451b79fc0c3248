//! The globs of `directory.include` and `directory.exclude`: one pattern on the path below the source.
//!
//! `*` is any text, slashes included, `?` one character, `[a-z]` and `[!a-z]` one of a set, `{a,b}` either, `\` takes
//! the next character as it is. A pattern becomes a regular expression that needs linear time whatever it says.

use regex::Regex;

use crate::error::Diagnostic;

/// Longer ones are no names of files.
const MAX_PATTERN_BYTES: usize = 4096;

/// A pattern for paths.
#[derive(Clone, Debug)]
pub(super) struct Glob(Regex);

impl Glob {
    /// Reads a pattern; `field` is what the person wrote it in.
    pub(super) fn new(field: &str, pattern: &str) -> Result<Self, Diagnostic> {
        let invalid = |reason: &str| {
            Diagnostic::new(format!("`{field}` is no pattern: `{pattern}`")).with_label(reason).with_note(reason)
        };
        if pattern.len() > MAX_PATTERN_BYTES {
            return Err(Diagnostic::new(format!("`{field}` is longer than {MAX_PATTERN_BYTES} bytes")));
        }
        let expression = expression(pattern).map_err(invalid)?;
        Regex::new(&expression).map(Glob).map_err(|_| invalid("it is too large or has an empty range"))
    }

    /// True when the whole path fits.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

fn expression(pattern: &str) -> Result<String, &'static str> {
    let mut expression = String::from("(?s)^");
    let mut depth = 0usize;
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        match character {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '[' => expression.push_str(&set(&mut rest)?),
            '{' => {
                depth += 1;
                expression.push_str("(?:");
            }
            '}' if depth > 0 => {
                depth -= 1;
                expression.push(')');
            }
            ',' if depth > 0 => expression.push('|'),
            '\\' => expression
                .push_str(&regex::escape(rest.next().ok_or("it ends with a backslash")?.encode_utf8(&mut [0; 4]))),
            other => expression.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    if depth > 0 {
        return Err("a `{` is not closed");
    }
    expression.push('$');
    Ok(expression)
}

/// What stands between `[` and `]`, as a set of a regular expression.
fn set(rest: &mut std::str::Chars<'_>) -> Result<String, &'static str> {
    let mut set = String::from("[");
    let mut first = true;
    loop {
        match rest.next().ok_or("a `[` is not closed")? {
            '!' | '^' if first => set.push('^'),
            ']' if !first => return Ok(set + "]"),
            '-' => set.push('-'),
            '\\' => push_escaped(&mut set, rest.next().ok_or("a `[` is not closed")?),
            other => push_escaped(&mut set, other),
        }
        first = false;
    }
}

fn push_escaped(set: &mut String, character: char) {
    if !character.is_alphanumeric() {
        set.push('\\');
    }
    set.push(character);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fit_or_not() {
        let cases = [
            // pattern          path                fits
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "sub/a.yaml", true),
            ("*.yaml", "a.yml", false),
            ("a.yaml", "xa.yaml", false),
            ("{a.yaml,b/*}", "a.yaml", true),
            ("{a.yaml,b/*}", "b/c/d.yaml", true),
            ("{a.yaml,b/*}", "c.yaml", false),
            ("a.yaml,b.yaml", "a.yaml,b.yaml", true),
            ("{a,{b,c}}.yaml", "c.yaml", true),
            ("?.yaml", "a.yaml", true),
            ("?.yaml", "aa.yaml", false),
            ("[a-c].yaml", "b.yaml", true),
            ("[!a-c].yaml", "b.yaml", false),
            ("[!a-c].yaml", "d.yaml", true),
            ("a+(b).yaml", "a+(b).yaml", true),
            (r"\*.yaml", "*.yaml", true),
            (r"\*.yaml", "a.yaml", false),
            ("ü*", "über.yaml", true),
        ];
        for (pattern, path, fits) in cases {
            assert_eq!(Glob::new("exclude", pattern).unwrap().matches(path), fits, "{pattern} on {path}");
        }
    }

    #[test]
    fn a_pattern_that_is_none_is_refused() {
        for pattern in ["{a", "[a", r"a\", "[z-a]"] {
            let error = Glob::new("directory.exclude", pattern).unwrap_err();
            assert!(error.title.contains("`directory.exclude` is no pattern"), "{pattern}: {error}");
        }
        assert!(Glob::new("include", &"*".repeat(MAX_PATTERN_BYTES + 1)).is_err());
    }
}
