//! The two pattern languages of Argo CD's fields, each as Argo CD reads it.
//!
//! *Globs* (`gobwas/glob`): `*` anything but separators, `**` anything, `?` one character, `[a-z]`, `[!a]`,
//! `{a,b}`, `\` quotes. *Paths* (Go's `filepath.Match`): `*` anything but `/`, `?`, `[a-z]`, `[^a]`, `\` quotes.
//!
//! Patterns and texts are a stranger's: the time is linear in both, whatever they say.

/// What separates the segments that a single `*` does not cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// `*` crosses everything.
    None,
    /// `*` stops at `/`.
    Slash,
}

/// True when the glob matches the whole text; one that is malformed matches nothing, as in Argo CD.
pub fn matches(pattern: &str, text: &str, separator: Separator) -> bool {
    Glob::new(pattern, separator).is_ok_and(|glob| glob.matches(text))
}

/// True when the path pattern matches the whole text; one that is malformed matches nothing.
pub fn matches_path(pattern: &str, text: &str) -> bool {
    Glob::read(pattern, Language::Path).is_ok_and(|glob| glob.matches(text))
}

/// Longer ones are no names of anything.
const MAX_BYTES: usize = 4096;

/// Braces inside of braces, deeper than any person writes them.
const MAX_DEPTH: usize = 32;

/// A pattern that is ready to be asked.
#[derive(Clone, Debug)]
pub struct Glob {
    tokens: Vec<Token>,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// More than any name has.
    #[error("it is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// A `{` without its `}`.
    #[error("a `{{` is not closed")]
    Braces,
    /// Braces in braces in braces.
    #[error("braces are nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A `[` without its `]`, or with nothing in between.
    #[error("a `[` is not closed, or empty")]
    Class,
    /// A range that ends before it begins: `[z-a]`.
    #[error("a range is empty")]
    Range,
    /// Nothing follows the last `\`.
    #[error("it ends with a backslash")]
    Backslash,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    Glob(Separator),
    Path,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Literal(char),
    /// One character, no separator.
    One(Separator),
    /// Any number of characters, no separator among them.
    Many(Separator),
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    Either(Vec<Vec<Token>>),
}

impl Glob {
    /// Reads a glob.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn new(pattern: &str, separator: Separator) -> Result<Self, Malformed> {
        Glob::read(pattern, Language::Glob(separator))
    }

    fn read(pattern: &str, language: Language) -> Result<Self, Malformed> {
        if pattern.len() > MAX_BYTES {
            return Err(Malformed::TooLong);
        }
        let pattern: Vec<char> = pattern.chars().collect();
        tokens(&pattern, language, 0).map(|(tokens, _)| Glob { tokens })
    }

    /// True when it matches the whole text.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let mut start = vec![false; text.len() + 1];
        start[0] = true;
        advance(&self.tokens, &text, start)[text.len()]
    }
}

/// The places in the text that the tokens lead to from those in `places`. There is a flag for each place, the end
/// included, so that each token looks at each place once.
fn advance(tokens: &[Token], text: &[char], places: Vec<bool>) -> Vec<bool> {
    tokens.iter().fold(places, |places, token| token.advance(text, &places))
}

impl Token {
    fn advance(&self, text: &[char], places: &[bool]) -> Vec<bool> {
        let one = |fits: &dyn Fn(char) -> bool| -> Vec<bool> {
            let steps = text.iter().zip(places).map(|(character, here)| *here && fits(*character));
            std::iter::once(false).chain(steps).collect()
        };
        match self {
            Token::Literal(literal) => one(&|character| character == *literal),
            Token::One(separator) => one(&|character| !separates(*separator, character)),
            Token::Class { negated, ranges } => {
                one(&|character| ranges.iter().any(|(low, high)| (*low..=*high).contains(&character)) != *negated)
            }
            Token::Many(separator) => {
                let mut reached = places.to_vec();
                for (at, character) in text.iter().enumerate() {
                    reached[at + 1] |= reached[at] && !separates(*separator, *character);
                }
                reached
            }
            Token::Either(branches) => {
                let mut reached = vec![false; places.len()];
                for branch in branches {
                    let ends = advance(branch, text, places.to_vec());
                    reached.iter_mut().zip(ends).for_each(|(place, end)| *place |= end);
                }
                reached
            }
        }
    }
}

fn separates(separator: Separator, character: char) -> bool {
    separator == Separator::Slash && character == '/'
}

/// Reads tokens up to the end, or inside braces up to `,` or `}`; returns what is left.
fn tokens(pattern: &[char], language: Language, depth: usize) -> Result<(Vec<Token>, &[char]), Malformed> {
    let (separator, negation, is_glob) = match language {
        Language::Glob(separator) => (separator, '!', true),
        Language::Path => (Separator::Slash, '^', false),
    };
    let mut tokens = Vec::new();
    let mut rest = pattern;
    loop {
        let token;
        (token, rest) = match rest {
            [] => return Ok((tokens, rest)),
            [',' | '}', ..] if depth > 0 => return Ok((tokens, rest)),
            ['*', '*', rest @ ..] if is_glob => (Token::Many(Separator::None), rest),
            ['*', rest @ ..] => (Token::Many(separator), rest),
            ['?', rest @ ..] => (Token::One(separator), rest),
            ['[', rest @ ..] => class(rest, negation)?,
            ['{', rest @ ..] if is_glob => either(rest, language, depth + 1)?,
            ['\\', quoted, rest @ ..] => (Token::Literal(*quoted), rest),
            ['\\'] => return Err(Malformed::Backslash),
            [literal, rest @ ..] => (Token::Literal(*literal), rest),
        };
        if let Token::Class { ranges, .. } = &token
            && is_glob
            && ranges.iter().any(|(low, high)| low > high)
        {
            return Err(Malformed::Range);
        }
        tokens.push(token);
    }
}

/// Reads alternatives after their `{`.
fn either(pattern: &[char], language: Language, depth: usize) -> Result<(Token, &[char]), Malformed> {
    if depth > MAX_DEPTH {
        return Err(Malformed::TooDeep);
    }
    let mut branches = Vec::new();
    let mut rest = pattern;
    loop {
        let (branch, after) = tokens(rest, language, depth)?;
        branches.push(branch);
        rest = match after {
            ['}', rest @ ..] => return Ok((Token::Either(branches), rest)),
            [',', rest @ ..] => rest,
            _ => return Err(Malformed::Braces),
        };
    }
}

/// Reads a class after its `[`.
fn class(pattern: &[char], negation: char) -> Result<(Token, &[char]), Malformed> {
    let (negated, mut rest) = match pattern {
        [first, rest @ ..] if *first == negation => (true, rest),
        _ => (false, pattern),
    };
    let mut ranges = Vec::new();
    loop {
        let (low, after) = member(rest)?;
        let mut high = low;
        rest = match after {
            ['-', after @ ..] if after.first() != Some(&']') => {
                let (end, after) = member(after)?;
                high = end;
                after
            }
            _ => after,
        };
        ranges.push((low, high));
        if let [']', rest @ ..] = rest {
            return Ok((Token::Class { negated, ranges }, rest));
        }
    }
}

fn member(pattern: &[char]) -> Result<(char, &[char]), Malformed> {
    match pattern {
        ['\\', quoted, rest @ ..] => Ok((*quoted, rest)),
        [']', ..] | [] => Err(Malformed::Class),
        [character, rest @ ..] => Ok((*character, rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_those_of_argo_cd() {
        let (any, slash) = (Separator::None, Separator::Slash);
        let cases = [
            // pattern, text, separator, matches
            ("*", "", any, true),
            ("*", "https://a/b", any, true),
            ("*", "https://a/b", slash, false),
            ("**", "https://a/b", slash, true),
            ("a/*", "a/b", slash, true),
            ("a/*", "a/b/c", slash, false),
            ("a/**", "a/b/c", slash, true),
            ("team-?", "team-a", any, true),
            ("team-?", "team-", any, false),
            ("?", "/", slash, false),
            ("[a-c]x", "bx", any, true),
            ("[!a-c]x", "bx", any, false),
            ("[!a-c]x", "dx", any, true),
            ("{dev,int}-*", "int-1", any, true),
            ("{dev,int}-*", "prod-1", any, false),
            ("{a,{b,c}d}", "cd", any, true),
            (r"\*", "*", any, true),
            (r"\*", "a", any, false),
            ("a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", any, false),
            ("shop", "shop-2", any, false),
            ("", "", any, true),
            // malformed
            ("[a", "a", any, false),
            ("{a", "a", any, false),
            ("a\\", "a", any, false),
            ("[z-a]", "b", any, false),
            ("[]", "]", any, false),
        ];
        for (pattern, text, separator, expected) in cases {
            assert_eq!(matches(pattern, text, separator), expected, "{pattern} on {text:?}, {separator:?}");
        }
    }

    #[test]
    fn paths_are_those_of_go() {
        let cases = [
            // pattern, text, matches
            ("*", "apps", true),
            ("*", "a/b", false),
            ("*.k8s.io", "networking.k8s.io", true),
            ("ClusterRole*", "ClusterRoleBinding", true),
            ("[^A]*", "Role", true),
            ("[^R]*", "Role", false),
            ("{a,b}", "a", false),
            ("", "", true),
            ("[", "[", false),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(matches_path(pattern, text), expected, "{pattern} on {text:?}");
        }
    }

    /// `directory.include` and `directory.exclude`: slashes separate nothing.
    #[test]
    fn paths_below_a_source_fit_or_not() {
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
            ("a}b", "a}b", true),
        ];
        for (pattern, path, fits) in cases {
            let glob = Glob::new(pattern, Separator::None).unwrap();
            assert_eq!(glob.matches(path), fits, "{pattern} on {path}");
        }
    }

    #[test]
    fn what_is_malformed_says_why() {
        let deep = "{".repeat(MAX_BYTES);
        let long = "*".repeat(MAX_BYTES + 1);
        let cases = [
            ("{a", Malformed::Braces),
            ("{a,{b}", Malformed::Braces),
            ("[a", Malformed::Class),
            (r"a\", Malformed::Backslash),
            ("[z-a]", Malformed::Range),
            (&deep, Malformed::TooDeep),
            (&long, Malformed::TooLong),
        ];
        for (pattern, expected) in cases {
            assert_eq!(Glob::new(pattern, Separator::None).unwrap_err(), expected, "{pattern:.9}");
        }
    }

    #[test]
    fn a_pattern_that_could_branch_at_every_place_takes_linear_time() {
        let text = "a".repeat(4_000);
        let nested = (0..MAX_DEPTH).fold("a*".to_owned(), |inner, _| format!("{{*{inner},*a*}}"));
        let glob = Glob::new(&format!("{nested}b"), Separator::None).unwrap();
        assert!(!glob.matches(&text));
        assert!(glob.matches(&format!("{text}b")));
    }
}
