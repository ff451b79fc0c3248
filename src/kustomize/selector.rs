//! Which objects a patch or a replacement is for.

use regex::Regex;
use smol_str::SmolStr;

use super::entry::Selector;
use super::error::{Error, Problem};
use super::resource::{Id, Resource};
use super::set::Set;
use crate::pattern::translated;
use crate::yaml::Node;

/// A regular expression that must match the whole text; most are plain words, which need no machine.
#[derive(Clone, Debug)]
pub(super) enum Pattern {
    /// Nothing was asked for.
    Any,
    /// Text without a meaning beyond itself.
    Word(SmolStr),
    /// Everything else.
    Regex(Box<Regex>),
}

impl Pattern {
    /// # Errors
    /// When the text is no regular expression.
    pub(super) fn new(text: &SmolStr, at: Option<&Node>) -> Result<Self, Error> {
        if text.is_empty() {
            return Ok(Pattern::Any);
        }
        if text.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '/')) {
            return Ok(Pattern::Word(text.clone()));
        }
        match anchored(text) {
            Ok(regex) => Ok(Pattern::Regex(Box::new(regex))),
            Err(reason) => {
                let problem = Problem::Regex { pattern: text.to_string(), reason };
                Err(at.map_or_else(|| Error::from_origin(None, problem.clone()), |at| Error::at(at, problem.clone())))
            }
        }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Word(word) => word == text,
            Pattern::Regex(regex) => regex.is_match(text),
        }
    }
}

/// An expression of Go's that must match the whole text; else why it is none.
fn anchored(text: &str) -> Result<Regex, String> {
    let translated = translated(text).map_err(|error| error.to_string())?;
    let last_line = |error: regex::Error| error.to_string().lines().last().unwrap_or_default().to_owned();
    Regex::new(&format!("^(?:{translated})$")).map_err(last_line)
}

/// A selector that is ready to be asked.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    group: Pattern,
    version: Pattern,
    kind: Pattern,
    name: Pattern,
    namespace: Pattern,
    /// A selector that makes no sense is refused only when there is an object to ask it about.
    labels: Result<Vec<Requirement>, Error>,
    annotations: Result<Vec<Requirement>, Error>,
}

impl Matcher {
    /// # Errors
    /// When a part is no regular expression.
    pub(super) fn new(selector: &Selector) -> Result<Self, Error> {
        let at = selector.at.as_ref();
        Ok(Matcher {
            group: Pattern::new(&selector.gvk.group, at)?,
            version: Pattern::new(&selector.gvk.version, at)?,
            kind: Pattern::new(&selector.gvk.kind, at)?,
            name: Pattern::new(&selector.name, at)?,
            namespace: Pattern::new(&selector.namespace, at)?,
            labels: requirements(&selector.labels, at),
            annotations: requirements(&selector.annotations, at),
        })
    }

    /// True when the object is meant, by what it is or was first called.
    ///
    /// # Errors
    /// When what is asked of its labels or annotations makes no sense.
    pub(super) fn selects(&self, resource: &Resource) -> Result<bool, Error> {
        let gvk = resource.gvk();
        if !(self.kind.matches(&gvk.kind) && self.group.matches(&gvk.group) && self.version.matches(&gvk.version)) {
            return Ok(false);
        }
        if !matches!((&self.name, &self.namespace), (Pattern::Any, Pattern::Any)) {
            let (now, first) = (resource.id(), resource.original_id());
            let name = self.name.matches(&first.name) || self.name.matches(&now.name);
            let namespace = self.namespace.matches(&first.effective_namespace())
                || self.namespace.matches(&now.effective_namespace());
            if !(name && namespace) {
                return Ok(false);
            }
        }
        self.selects_marks(resource)
    }

    /// True when this is what the object may be called; labels and annotations are not asked for. No namespace is not
    /// `default` here.
    pub(super) fn selects_id(&self, id: &Id) -> bool {
        self.kind.matches(&id.gvk.kind)
            && self.group.matches(&id.gvk.group)
            && self.version.matches(&id.gvk.version)
            && self.name.matches(&id.name)
            && self.namespace.matches(&id.namespace)
    }

    /// True when labels and annotations are as asked for.
    ///
    /// # Errors
    /// When what is asked of them makes no sense.
    pub(super) fn selects_marks(&self, resource: &Resource) -> Result<bool, Error> {
        for (requirements, field) in [(&self.labels, "labels"), (&self.annotations, "annotations")] {
            let requirements = requirements.as_ref().map_err(Error::clone)?;
            if !requirements.is_empty() {
                let pairs = resource.pairs(field);
                if !requirements.iter().all(|requirement| requirement.is_met_by(&pairs)) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The objects that are meant.
    ///
    /// # Errors
    /// When what is asked of labels or annotations makes no sense.
    pub(super) fn select(&self, set: &Set) -> Result<Vec<usize>, Error> {
        let selected = set.iter().enumerate().filter_map(|(at, resource)| match self.selects(resource) {
            Ok(selected) => selected.then_some(Ok(at)),
            Err(error) => Some(Err(error)),
        });
        selected.collect()
    }
}

/// One part of a label selector.
#[derive(Clone, Debug, PartialEq)]
struct Requirement {
    key: SmolStr,
    wants: Wants,
}

#[derive(Clone, Debug, PartialEq)]
enum Wants {
    Exists,
    Absent,
    OneOf(Vec<SmolStr>),
    NoneOf(Vec<SmolStr>),
    Above(i64),
    Below(i64),
}

impl Requirement {
    fn is_met_by(&self, pairs: &[(SmolStr, SmolStr)]) -> bool {
        let value = pairs.iter().find(|(key, _)| *key == self.key).map(|(_, value)| value);
        match &self.wants {
            Wants::Exists => value.is_some(),
            Wants::Absent => value.is_none(),
            Wants::OneOf(values) => value.is_some_and(|value| values.contains(value)),
            Wants::NoneOf(values) => value.is_none_or(|value| !values.contains(value)),
            Wants::Above(limit) => {
                value.and_then(|value| value.parse::<i64>().ok()).is_some_and(|value| value > *limit)
            }
            Wants::Below(limit) => {
                value.and_then(|value| value.parse::<i64>().ok()).is_some_and(|value| value < *limit)
            }
        }
    }
}

/// `a=b,c!=d,e in (x,y),!f`
fn requirements(text: &str, at: Option<&Node>) -> Result<Vec<Requirement>, Error> {
    let refused = || {
        let problem = Problem::Selector { selector: text.to_owned() };
        at.map_or_else(|| Error::from_origin(None, problem.clone()), |at| Error::at(at, problem.clone()))
    };
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut depth = 0_i32;
    let parts = text.split(|letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    });
    parts.map(|part| requirement(part.trim()).ok_or_else(refused)).collect()
}

fn requirement(text: &str) -> Option<Requirement> {
    if let Some(key) = text.strip_prefix('!') {
        return Some(Requirement { key: key_of(key)?, wants: Wants::Absent });
    }
    let set = |rest: &str| -> Option<Vec<SmolStr>> {
        rest.trim().strip_prefix('(')?.strip_suffix(')')?.split(',').map(|value| value_of(value.trim())).collect()
    };
    if let Some((key, rest)) = text.split_once(char::is_whitespace) {
        if let Some(rest) = rest.trim_start().strip_prefix("in").filter(|rest| rest.trim_start().starts_with('(')) {
            return Some(Requirement { key: key_of(key)?, wants: Wants::OneOf(set(rest)?) });
        }
        if let Some(rest) = rest.trim_start().strip_prefix("notin").filter(|rest| rest.trim_start().starts_with('(')) {
            return Some(Requirement { key: key_of(key)?, wants: Wants::NoneOf(set(rest)?) });
        }
    }
    type Make = fn(&str) -> Option<Wants>;
    let operators: [(&str, Make); 5] = [
        ("!=", |value| Some(Wants::NoneOf(vec![value_of(value)?]))),
        ("==", |value| Some(Wants::OneOf(vec![value_of(value)?]))),
        ("=", |value| Some(Wants::OneOf(vec![value_of(value)?]))),
        (">", |value| value.parse().ok().map(Wants::Above)),
        ("<", |value| value.parse().ok().map(Wants::Below)),
    ];
    for (operator, wants) in operators {
        if let Some((key, value)) = text.split_once(operator) {
            return Some(Requirement { key: key_of(key.trim())?, wants: wants(value.trim())? });
        }
    }
    Some(Requirement { key: key_of(text)?, wants: Wants::Exists })
}

/// A label's name: a word of at most 63 characters, after an optional domain.
fn key_of(text: &str) -> Option<SmolStr> {
    let text = text.trim();
    let name = match text.split_once('/') {
        Some((domain, name)) => {
            let allowed =
                |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.".contains(letter);
            (!domain.is_empty() && domain.chars().all(allowed)).then_some(name)?
        }
        None => text,
    };
    (!name.is_empty()).then(|| value_of(name))??;
    Some(text.into())
}

/// A label's value: empty, or a word of at most 63 characters.
fn value_of(text: &str) -> Option<SmolStr> {
    let inside = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let edge = |letter: Option<char>| letter.is_none_or(|letter| letter.is_ascii_alphanumeric());
    let valid =
        text.len() <= 63 && text.chars().all(inside) && edge(text.chars().next()) && edge(text.chars().next_back());
    valid.then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_selectors_select() {
        let labels: Vec<(SmolStr, SmolStr)> = vec![("app".into(), "web".into()), ("tier".into(), "3".into())];
        let cases = [
            // selector, selects
            ("", Some(true)),
            ("app", Some(true)),
            ("!app", Some(false)),
            ("app=web,tier==3", Some(true)),
            ("app!=web", Some(false)),
            ("none!=web", Some(true)),
            ("app in (api, web)", Some(true)),
            ("app notin (api,web),tier", Some(false)),
            ("tier>2", Some(true)),
            ("tier<3", Some(false)),
            ("app=a b", None),
            ("app in web", None),
        ];
        for (text, expected) in cases {
            let found = requirements(text, None).ok().map(|all| all.iter().all(|one| one.is_met_by(&labels)));
            assert_eq!(found, expected, "{text}");
        }
    }
}
