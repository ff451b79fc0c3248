//! A sentence whose names stay apart from its words: names come from git or a cluster and may hold anything.

use std::fmt;

/// Words of our own, and names that are only ever shown as code.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phrase(Vec<Bit>);

/// A part of a [`Phrase`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bit {
    /// Written here.
    Words(String),
    /// Written by somebody else.
    Name(String),
}

/// The sentence of a template: each `{}` is the next name.
pub fn say(template: &str, names: &[&dyn fmt::Display]) -> Phrase {
    let mut names = names.iter();
    let mut phrase = Phrase::default();
    for (at, words) in template.split("{}").enumerate() {
        if at > 0
            && let Some(name) = names.next()
        {
            phrase.0.push(Bit::Name(name.to_string()));
        }
        if !words.is_empty() {
            phrase.0.push(Bit::Words(words.to_owned()));
        }
    }
    phrase
}

impl Phrase {
    /// Its parts, in order.
    pub fn bits(&self) -> &[Bit] {
        &self.0
    }

    /// The same with each name as `change` makes it.
    pub fn map_names(&self, change: impl Fn(&str) -> String) -> Phrase {
        let bits = self.0.iter().map(|bit| match bit {
            Bit::Words(words) => Bit::Words(words.clone()),
            Bit::Name(name) => Bit::Name(change(name)),
        });
        Phrase(bits.collect())
    }

    /// One sentence after another.
    pub fn then(mut self, next: Phrase) -> Phrase {
        self.0.extend(next.0);
        self
    }
}

/// Names in backticks: for a terminal, never for a forge.
impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|bit| match bit {
            Bit::Words(words) => f.write_str(words),
            Bit::Name(name) => write!(f, "`{name}`"),
        })
    }
}

/// The first seven digits of a commit.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// `1 pod`, `12 pods`.
pub(crate) fn counted(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{} {one}s", grouped(count)),
    }
}

/// `4,120`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `a`, `a and b`, `a, b and 3 more`.
pub(super) fn listed(names: &[String], most: usize) -> Phrase {
    let shown = names.len().min(most);
    let rest = names.len() - shown;
    let mut phrase = Phrase::default();
    for (at, name) in names[..shown].iter().enumerate() {
        let is_last = at + 1 == shown && rest == 0;
        phrase.0.extend(match at {
            0 => None,
            _ if is_last => Some(Bit::Words(" and ".into())),
            _ => Some(Bit::Words(", ".into())),
        });
        phrase.0.push(Bit::Name(name.clone()));
    }
    if rest > 0 {
        phrase.0.push(Bit::Words(format!(" and {rest} more")));
    }
    phrase
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_apart_from_words() {
        let phrase = say("deletes {} of {}", &[&"a{}b", &3]);
        assert_eq!(phrase.to_string(), "deletes `a{}b` of `3`");
        assert_eq!(phrase.bits().len(), 4);
    }

    #[test]
    fn numbers_and_lists_read_as_people_write_them() {
        assert_eq!(
            (counted(1, "pod"), counted(0, "pod"), counted(4120, "pod")),
            ("1 pod".into(), "0 pods".into(), "4,120 pods".into())
        );
        let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        assert_eq!(listed(&names[..1], 2).to_string(), "`a`");
        assert_eq!(listed(&names, 3).to_string(), "`a`, `b` and `c`");
        assert_eq!(listed(&names, 2).to_string(), "`a`, `b` and 1 more");
    }
}
