//! The two pattern languages of AppProjects, each as Argo CD reads it.
//!
//! *Globs* (`gobwas/glob`): `*` anything but separators, `**` anything, `?` one character, `[a-z]`, `[!a]`,
//! `{a,b}`, `\` quotes. *Paths* (Go's `filepath.Match`): `*` anything but `/`, `?`, `[a-z]`, `[^a]`, `\` quotes.
//! A pattern that is malformed matches nothing.

/// What separates the segments that a single `*` does not cross.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Separator {
    /// `*` crosses everything.
    None,
    /// `*` stops at `/`.
    Slash,
}

/// True when the glob matches the whole text.
pub fn matches(pattern: &str, text: &str, separator: Separator) -> bool {
    Glob::parse(pattern, separator).is_some_and(|glob| glob.matches(text))
}

/// True when the path pattern matches the whole text.
pub fn matches_path(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    path_tokens(&pattern).is_some_and(|tokens| Glob { tokens }.matches(text))
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

struct Glob {
    tokens: Vec<Token>,
}

impl Glob {
    fn parse(pattern: &str, separator: Separator) -> Option<Self> {
        let pattern: Vec<char> = pattern.chars().collect();
        let (tokens, rest) = glob_tokens(&pattern, separator, false)?;
        rest.is_empty().then_some(Glob { tokens })
    }

    fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        // The positions that are reachable after each token: no backtracking, so no pattern is slow.
        let ends = advance(&self.tokens, &text, vec![0]);
        ends.contains(&text.len())
    }
}

/// The positions in the text at which the tokens can end, when they start at one of `starts`; ascending.
fn advance(tokens: &[Token], text: &[char], starts: Vec<usize>) -> Vec<usize> {
    let mut positions = starts;
    for token in tokens {
        let mut reached = vec![false; text.len() + 1];
        for at in positions {
            match token {
                Token::Literal(c) => mark(&mut reached, at + 1, text.get(at) == Some(c)),
                Token::One(separator) => {
                    mark(&mut reached, at + 1, text.get(at).is_some_and(|c| !separates(*separator, *c)));
                }
                Token::Class { negated, ranges } => {
                    let inside = |c: &char| ranges.iter().any(|(low, high)| (low..=high).contains(&c));
                    mark(&mut reached, at + 1, text.get(at).is_some_and(|c| inside(c) != *negated));
                }
                Token::Many(separator) => {
                    let span = text[at..].iter().take_while(|c| !separates(*separator, **c)).count();
                    reached[at..=at + span].fill(true);
                }
                Token::Either(branches) => {
                    for branch in branches {
                        advance(branch, text, vec![at]).into_iter().for_each(|end| reached[end] = true);
                    }
                }
            }
        }
        positions = (0..reached.len()).filter(|at| reached[*at]).collect();
    }
    positions
}

fn mark(reached: &mut [bool], at: usize, holds: bool) {
    if holds {
        reached[at] = true;
    }
}

fn separates(separator: Separator, c: char) -> bool {
    separator == Separator::Slash && c == '/'
}

/// Reads tokens up to the end, or inside braces up to `,` or `}`; returns what is left.
fn glob_tokens(pattern: &[char], separator: Separator, in_braces: bool) -> Option<(Vec<Token>, &[char])> {
    let mut tokens = Vec::new();
    let mut rest = pattern;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        tokens.push(match first {
            ',' | '}' if in_braces => return Some((tokens, &pattern[pattern.len() - after.len() - 1..])),
            '*' if rest.first() == Some(&'*') => {
                rest = &rest[1..];
                Token::Many(Separator::None)
            }
            '*' => Token::Many(separator),
            '?' => Token::One(separator),
            '[' => {
                let (class, after) = class(rest, '!')?;
                rest = after;
                class
            }
            '{' => {
                let mut branches = Vec::new();
                loop {
                    let (branch, after) = glob_tokens(rest, separator, true)?;
                    branches.push(branch);
                    let (end, after) = after.split_first()?;
                    rest = after;
                    if *end == '}' {
                        break Token::Either(branches);
                    }
                }
            }
            '\\' => {
                let (quoted, after) = rest.split_first()?;
                rest = after;
                Token::Literal(*quoted)
            }
            literal => Token::Literal(*literal),
        });
    }
    Some((tokens, rest))
}

fn path_tokens(pattern: &[char]) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = pattern;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        tokens.push(match first {
            '*' => Token::Many(Separator::Slash),
            '?' => Token::One(Separator::Slash),
            '[' => {
                let (class, after) = class(rest, '^')?;
                rest = after;
                class
            }
            '\\' => {
                let (quoted, after) = rest.split_first()?;
                rest = after;
                Token::Literal(*quoted)
            }
            literal => Token::Literal(*literal),
        });
    }
    Some(tokens)
}

/// Reads a class after its `[`.
fn class(pattern: &[char], negation: char) -> Option<(Token, &[char])> {
    let mut rest = pattern;
    let negated = rest.first() == Some(&negation);
    if negated {
        rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    loop {
        let (low, after) = member(rest)?;
        rest = after;
        let mut high = low;
        if rest.first() == Some(&'-') && rest.get(1) != Some(&']') {
            (high, rest) = member(&rest[1..])?;
        }
        ranges.push((low, high));
        if rest.first()? == &']' {
            return Some((Token::Class { negated, ranges }, &rest[1..]));
        }
    }
}

fn member(pattern: &[char]) -> Option<(char, &[char])> {
    match pattern {
        ['\\', quoted, rest @ ..] => Some((*quoted, rest)),
        [']', ..] => None,
        [c, rest @ ..] => Some((*c, rest)),
        [] => None,
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
}
