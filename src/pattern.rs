//! Regular expressions as Go reads them (RE2), in the words of our own engine.
//!
//! Classes such as `\d` are of ASCII; no class is part of another or taken from one; a `{` that begins no repetition is itself,
//! and what is repeated is not repeated again. Where both engines agree a pattern stays what it is, mistakes too: they are
//! found when it is built.

use std::iter::Peekable;
use std::str::Chars;

/// How often Go repeats something at most.
const MOST: u32 = 1000;

/// No name in a pattern, and no count, is longer: how far is looked ahead.
const LONGEST: usize = 64;

/// The classes with a name.
const CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

/// Why Go refuses a pattern that our own engine would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// `a**`, `a{2}{3}`.
    #[error("what is repeated is repeated again")]
    RepeatedAgain,
    /// `a{1001}`.
    #[error("nothing is repeated more than {MOST} times")]
    TooOften,
    /// `(?x)`, `(?=a)`.
    #[error("there is no such group")]
    Group,
    /// `[[:word-like:]]`.
    #[error("there is no such class")]
    Class,
    /// `\Q` without its end.
    #[error("a `\\Q` is not ended")]
    Quote,
    /// `\h`, `\1`.
    #[error("there is no `\\{0}`")]
    Escape(char),
}

/// The same pattern in the words of our own engine.
///
/// # Errors
/// When Go refuses it and our own engine would not.
pub fn translated(pattern: &str) -> Result<String, Refused> {
    let mut out =
        Translation { text: String::with_capacity(pattern.len()), rest: pattern.chars().peekable(), repeated: false };
    // A class, and whether anything is in it yet: a bracket that closes comes first as itself.
    let mut class: Option<bool> = None;
    while let Some(letter) = out.rest.next() {
        match class {
            None => {
                if letter == '[' {
                    class = Some(false);
                }
                out.outside(letter)?;
            }
            Some(has_some) => {
                class = if letter == ']' && has_some { None } else { Some(true) };
                out.inside(letter, class)?;
            }
        }
    }
    Ok(out.text)
}

struct Translation<'a> {
    text: String,
    rest: Peekable<Chars<'a>>,
    /// What stands in front is a repetition.
    repeated: bool,
}

impl Translation<'_> {
    fn outside(&mut self, letter: char) -> Result<(), Refused> {
        let was_repeated = std::mem::take(&mut self.repeated);
        match letter {
            '*' | '+' | '?' => self.repetition(&letter.to_string(), was_repeated)?,
            '{' => match self.counts()? {
                Some(counts) => self.repetition(&counts, was_repeated)?,
                None => self.text.push_str("\\{"),
            },
            '(' => self.group()?,
            '[' => {
                self.text.push('[');
                self.text.extend(self.rest.next_if_eq(&'^'));
            }
            '\\' => self.escape(false)?,
            letter => self.text.push(letter),
        }
        Ok(())
    }

    fn inside(&mut self, letter: char, class: Option<bool>) -> Result<(), Refused> {
        match letter {
            '\\' => self.escape(true)?,
            '[' if self.rest.peek() == Some(&':') => {
                let name: String =
                    self.rest.clone().skip(1).take(LONGEST).take_while(|letter| *letter != ':').collect();
                if !CLASSES.contains(&name.trim_start_matches('^')) {
                    return Err(Refused::Class);
                }
                // Itself, the colons and the bracket.
                self.text.push('[');
                self.text.extend(self.rest.by_ref().take(name.len() + 3));
            }
            ']' if class.is_none() => self.text.push(']'),
            '[' | ']' | '&' | '~' => self.text.extend(['\\', letter]),
            // Two of them would take one class from another.
            '-' if self.text.ends_with('-') => self.text.push_str("\\-"),
            letter => self.text.push(letter),
        }
        Ok(())
    }

    /// What a group begins with. Its name does not matter to who asks only whether something matches.
    fn group(&mut self) -> Result<(), Refused> {
        self.text.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        if matches!(self.rest.peek(), Some('P' | '<')) {
            self.rest.next_if_eq(&'P');
            let inner: String = self.rest.clone().take(LONGEST).collect();
            let named = inner.strip_prefix('<').and_then(|inner| inner.split_once('>'));
            let is_of_name = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_';
            let Some((name, _)) = named.filter(|(name, _)| !name.is_empty() && name.bytes().all(is_of_name)) else {
                return Err(Refused::Group);
            };
            self.rest.nth(name.len() + 1);
            return Ok(());
        }
        self.text.push('?');
        for letter in self.rest.by_ref() {
            self.text.push(letter);
            match letter {
                ':' | ')' => return Ok(()),
                'i' | 'm' | 's' | 'U' | '-' => {}
                _ => break,
            }
        }
        Err(Refused::Group)
    }

    fn repetition(&mut self, text: &str, was_repeated: bool) -> Result<(), Refused> {
        if was_repeated {
            return Err(Refused::RepeatedAgain);
        }
        self.text.push_str(text);
        self.text.extend(self.rest.next_if_eq(&'?'));
        self.repeated = true;
        Ok(())
    }

    /// `{2}`, `{2,}` or `{2,3}` behind its bracket, consumed; `None` when something else stands there.
    fn counts(&mut self) -> Result<Option<String>, Refused> {
        let inner: String = self.rest.clone().take(LONGEST).take_while(|letter| *letter != '}').collect();
        let is_closed = self.rest.clone().nth(inner.chars().count()) == Some('}');
        let (least, most) = inner.split_once(',').unwrap_or((&inner, ""));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        if !is_closed || !is_number(least) || !(most.is_empty() || is_number(most)) {
            return Ok(None);
        }
        let is_too_often = |text: &str| !text.is_empty() && text.parse::<u32>().map_or(true, |times| times > MOST);
        if is_too_often(least) || is_too_often(most) {
            return Err(Refused::TooOften);
        }
        self.rest.nth(inner.len());
        Ok(Some(format!("{{{inner}}}")))
    }

    fn escape(&mut self, in_class: bool) -> Result<(), Refused> {
        match self.rest.next() {
            Some('d') => self.text.push_str("[0-9]"),
            Some('D') => self.text.push_str("[^0-9]"),
            Some('w') => self.text.push_str("[0-9A-Za-z_]"),
            Some('W') => self.text.push_str("[^0-9A-Za-z_]"),
            Some('s') => self.text.push_str("[\\t\\n\\f\\r ]"),
            Some('S') => self.text.push_str("[^\\t\\n\\f\\r ]"),
            Some(word @ ('b' | 'B')) if !in_class => {
                self.text.push_str("(?-u:\\");
                self.text.extend([word, ')']);
            }
            // All up to `\E` is itself.
            Some('Q') if !in_class => {
                let mut quoted = String::new();
                loop {
                    match self.rest.next() {
                        // It would go on behind what is put around the pattern.
                        None => return Err(Refused::Quote),
                        Some('\\') if self.rest.next_if_eq(&'E').is_some() => break,
                        Some(letter) => quoted.push(letter),
                    }
                }
                self.text.push_str(&regex::escape(&quoted));
            }
            // Brackets that belong to it begin nothing.
            Some(name @ ('p' | 'P' | 'x')) => {
                self.text.extend(['\\', name]);
                if let Some(bracket) = self.rest.next_if_eq(&'{') {
                    self.text.push(bracket);
                    for letter in self.rest.by_ref() {
                        self.text.push(letter);
                        if letter == '}' {
                            break;
                        }
                    }
                }
            }
            Some(digit @ '0'..='7') => {
                let more = self.rest.peek().is_some_and(|next| ('0'..='7').contains(next));
                if digit != '0' && !more {
                    return Err(Refused::Escape(digit));
                }
                let mut number = digit.to_digit(8).unwrap_or_default();
                for _ in 0..2 {
                    let next = self.rest.next_if(|next| ('0'..='7').contains(next));
                    number = next.and_then(|next| next.to_digit(8)).map_or(number, |next| number * 8 + next);
                }
                self.text.push_str(&format!("\\x{{{number:x}}}"));
            }
            Some(known @ ('a' | 'f' | 't' | 'n' | 'r' | 'v' | 'A' | 'z')) => self.text.extend(['\\', known]),
            Some(letter) if letter.is_ascii_alphanumeric() || !letter.is_ascii() => {
                return Err(Refused::Escape(letter));
            }
            // Our own engine has a meaning for `\<` and `\>`.
            Some(mark @ ('<' | '>')) => self.text.push(mark),
            Some(mark) => self.text.extend(['\\', mark]),
            None => self.text.push('\\'),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::{Refused, translated};

    #[test]
    fn patterns_mean_what_they_mean_to_go() {
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
            (r"^[a&&b]+$", "a&b", true),
            (r"^C{n$", "C{n", true),
            (r"^C{,2}$", "C{,2}", true),
            (r"^C{}}$", "C{}}", true),
            (r"^C{2}$", "CC", true),
            (r"^C{2,}?$", "CCC", true),
            (r"^C{2,3}$", "CCCC", false),
            (r"^\Qa.b*\E$", "a.b*", true),
            (r"^\<a\>$", "<a>", true),
            (r"^\101\x41\x{41}$", "AAA", true),
            (r"^\pL\p{Greek}$", "aα", true),
            (r"^(?:a|b)(?i)c$", "aC", true),
            (r"^(?P<name>a)?$", "a", true),
            (r"^(?<n>a)(?<n>b)$", "ab", true),
            (r"^[[:^alpha:]]$", "1", true),
        ];
        for (pattern, text, expected) in cases {
            let regex = Regex::new(&translated(pattern).unwrap()).unwrap();
            assert_eq!(regex.is_match(text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        let cases = [
            (r"a**", Refused::RepeatedAgain),
            (r"a{2}{3}", Refused::RepeatedAgain),
            (r"a+?*", Refused::RepeatedAgain),
            (r"a{1001}", Refused::TooOften),
            (r"a{1,99999999999}", Refused::TooOften),
            (r"\1", Refused::Escape('1')),
            (r"\h", Refused::Escape('h')),
            (r"\é", Refused::Escape('é')),
            (r"[\b]", Refused::Escape('b')),
            (r"\Qa", Refused::Quote),
            (r"(?x)a b", Refused::Group),
            (r"(?=a)", Refused::Group),
            (r"(?P<>a)", Refused::Group),
            (r"(?<n", Refused::Group),
            (r"[[:foo:]]", Refused::Class),
        ];
        for (pattern, expected) in cases {
            assert_eq!(translated(pattern), Err(expected), "{pattern}");
        }
        for pattern in ["(", "*a", "[a", "[b-a]", "a\\", "a{2,1}"] {
            assert!(Regex::new(&translated(pattern).unwrap()).is_err(), "{pattern}");
        }
    }
}
