//! Typed fields out of a tree, with every problem collected.
//!
//! kustomize reads its own files as YAML 1.1 and then through Go's JSON decoder: names match in any case, the last of
//! two equal keys wins, null is as good as absent, and a bool where a string is wanted is refused.

use std::borrow::Cow;

use smol_str::SmolStr;

use super::error::{Error, Problem, nearest};
use crate::yaml::emit::without_next_line;
use crate::yaml::{Node, Plain, Resolve, ScalarStyle};

/// Text with its place.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) value: SmolStr,
    pub(super) node: Node,
    /// True for a block literal: its lines are lines of the file.
    pub(super) is_literal: bool,
}

impl Text {
    /// Text that no file says.
    pub(super) fn new(value: impl Into<SmolStr>) -> Self {
        let value = value.into();
        Text { node: Node::string(value.clone()), value, is_literal: false }
    }

    /// The text of a node that has been found to be a string.
    pub(super) fn of(value: SmolStr, node: &Node) -> Self {
        let is_literal = node.as_scalar().is_some_and(|scalar| scalar.style == ScalarStyle::Literal);
        Text { value, node: node.place(), is_literal }
    }

    /// The text as the part of kustomize gets it that it is for.
    pub(super) fn handed_over(&self) -> Text {
        let value = handed_over(&self.value);
        Text {
            is_literal: self.is_literal && value == self.value.as_str(),
            value: value.into(),
            node: self.node.clone(),
        }
    }

    /// The text without what surrounds it; one that began with a line break stands at no place of its own.
    pub(super) fn trimmed(&self) -> Text {
        let value = self.value.trim();
        Text {
            value: value.into(),
            node: self.node.clone(),
            is_literal: self.is_literal && self.value.starts_with(value),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.value
    }
}

/// A text of a kustomization as the part of kustomize gets it that it is for: as YAML, which folds the character U+0085.
pub(super) fn handed_over(text: &str) -> Cow<'_, str> {
    without_next_line(text)
}

/// Whether a field that is not known is a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// In kustomization files.
    Refused,
    /// In objects that configure a built-in plugin.
    Ignored,
}

/// The fields of one mapping.
pub(super) struct Fields<'a> {
    pub(super) node: &'a Node,
    /// What it is, with its article: `a Kustomization`.
    of: &'static str,
    unknown: Unknown,
    errors: &'a mut Vec<Error>,
}

impl<'a> Fields<'a> {
    /// Opens a mapping; reports fields other than these.
    pub(super) fn open(
        node: &'a Node,
        of: &'static str,
        known: &[&'static str],
        unknown: Unknown,
        errors: &'a mut Vec<Error>,
    ) -> Self {
        if !node.is_mapping() && !node.is_null() {
            let problem = Problem::NotAMapping { of, found: describe(node) };
            errors.push(Error::at(node, problem));
        }
        if unknown == Unknown::Refused {
            for entry in node.as_mapping().unwrap_or_default() {
                let name = entry.name().unwrap_or_default();
                if !known.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                    let near = nearest(name, known.iter().copied());
                    let nearest = known.iter().copied().find(|known| Some(*known) == near);
                    let problem = Problem::UnknownField { field: name.into(), of, nearest };
                    errors.push(Error::at(&entry.key, problem));
                }
            }
        }
        Fields { node, of, unknown, errors }
    }

    /// A problem of a field, or of the mapping when the field is absent.
    pub(super) fn report(&mut self, field: &str, problem: Problem) {
        let error = Error::at(self.find(field).unwrap_or(self.node), problem);
        self.errors.push(error);
    }

    /// A problem that was found elsewhere.
    pub(super) fn push(&mut self, error: Error) {
        self.errors.push(error);
    }

    fn find(&self, name: &str) -> Option<&'a Node> {
        let entries = self.node.as_mapping()?;
        let entry =
            entries.iter().rev().find(|entry| entry.name().is_some_and(|key| key.eq_ignore_ascii_case(name)))?;
        Some(&entry.value)
    }

    /// Whatever is there, unless it is null.
    pub(super) fn node(&self, name: &str) -> Option<&'a Node> {
        self.find(name).filter(|node| !node.is_null())
    }

    fn wrong(&mut self, field: &str, node: &Node, expected: &'static str) {
        let problem = Problem::WrongType { field: field.into(), expected, found: describe(node) };
        self.errors.push(Error::at(node, problem));
    }

    fn text_of(&mut self, field: &str, node: &Node) -> Option<Text> {
        let scalar = node.as_scalar();
        if let (Unknown::Ignored, Some(scalar)) = (self.unknown, scalar) {
            // The configuration of a plugin has been printed and read again; its reader makes text of what is none.
            return match node.resolve(Resolve::V3) {
                Ok(Some(Plain::Null)) => None,
                Ok(Some(Plain::Bool(value))) => Some(Text::of(if value { "true" } else { "false" }.into(), node)),
                Ok(Some(Plain::Int(value))) => Some(Text::of(smol_str::format_smolstr!("{value}"), node)),
                _ => Some(Text::of(scalar.text.clone(), node)),
            };
        }
        match (scalar, node.resolve(Resolve::V2)) {
            (Some(scalar), Ok(Some(Plain::Text | Plain::Time(_)))) => Some(Text::of(scalar.text.clone(), node)),
            (Some(_), Ok(Some(Plain::Null))) => None,
            _ => {
                self.wrong(field, node, "a string");
                None
            }
        }
    }

    /// A string.
    pub(super) fn text(&mut self, name: &str) -> Option<Text> {
        let node = self.node(name)?;
        self.text_of(name, node)
    }

    /// A string that is worth nothing when it is empty.
    pub(super) fn filled(&mut self, name: &str) -> Option<Text> {
        self.text(name).filter(|text| !text.value.is_empty())
    }

    /// A string, empty when absent.
    pub(super) fn word(&mut self, name: &str) -> SmolStr {
        self.text(name).map(|text| text.value).unwrap_or_default()
    }

    /// A string of which many objects get copies as parts of other texts: too much, if it were long.
    pub(super) fn part(&mut self, name: &str) -> Option<Text> {
        const LIMIT: usize = 10_000;
        let text = self.filled(name)?;
        let length = text.value.len();
        if length > LIMIT {
            self.report(name, Problem::TooLong { field: name.into(), length, limit: LIMIT });
        }
        Some(text)
    }

    /// The same, empty when absent.
    pub(super) fn part_word(&mut self, name: &str) -> SmolStr {
        self.part(name).map(|text| text.value).unwrap_or_default()
    }

    /// A bool, false when absent.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        let Some(node) = self.node(name) else { return false };
        match node.resolve(Resolve::V2) {
            Ok(Some(Plain::Bool(value))) => value,
            _ => {
                self.wrong(name, node, "true or false");
                false
            }
        }
    }

    /// An integer.
    pub(super) fn integer(&mut self, name: &str) -> Option<i64> {
        let node = self.node(name)?;
        match node.resolve(Resolve::V2) {
            Ok(Some(Plain::Int(value))) => Some(value),
            // Through JSON an integral float is an integer.
            #[expect(clippy::cast_possible_truncation, reason = "compared with the float that it came from")]
            Ok(Some(Plain::Float(value))) if (value as i64) as f64 == value => Some(value as i64),
            _ => {
                self.wrong(name, node, "an integer");
                None
            }
        }
    }

    /// The items of a list.
    pub(super) fn items(&mut self, name: &str) -> &'a [Node] {
        let Some(node) = self.node(name) else { return &[] };
        match node.as_sequence() {
            Some(items) => items,
            None => {
                self.wrong(name, node, "a list");
                &[]
            }
        }
    }

    /// A list of strings; null items are empty strings.
    pub(super) fn texts(&mut self, name: &str) -> Vec<Text> {
        let items = self.items(name);
        items
            .iter()
            .filter_map(|item| if item.is_null() { Some(Text::of("".into(), item)) } else { self.text_of(name, item) })
            .collect()
    }

    /// A mapping of strings, in the order of its keys.
    pub(super) fn pairs(&mut self, name: &str) -> Vec<(SmolStr, Text)> {
        let Some(node) = self.node(name) else { return Vec::new() };
        let Some(entries) = node.as_mapping() else {
            self.wrong(name, node, "a mapping of strings");
            return Vec::new();
        };
        let mut pairs: Vec<(SmolStr, Text)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(key) = entry.key.as_scalar() else {
                self.wrong(name, &entry.key, "a string");
                continue;
            };
            let value = if entry.value.is_null() {
                Some(Text::of("".into(), &entry.value))
            } else {
                self.text_of(name, &entry.value)
            };
            if let Some(value) = value {
                // YAML 1.1: an unquoted `y` is a bool, and as JSON's key it is the text `true`.
                let key = match entry.key.resolve(Resolve::V2) {
                    Ok(Some(Plain::Bool(value))) => SmolStr::new(if value { "true" } else { "false" }),
                    _ => key.text.clone(),
                };
                pairs.retain(|(known, _)| *known != key);
                pairs.push((key, value));
            }
        }
        pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        pairs
    }

    /// A mapping inside, opened by the same rules; `None` when absent.
    pub(super) fn open_field(&mut self, name: &str, of: &'static str, known: &[&'static str]) -> Option<Fields<'_>> {
        let node = self.node(name)?;
        Some(Fields::open(node, of, known, self.unknown, self.errors))
    }

    /// Reports what is wrong in a mapping that is not read.
    pub(super) fn check(&mut self, name: &str, of: &'static str, known: &[&'static str]) {
        if let Some(node) = self.node(name) {
            Fields::open(node, of, known, self.unknown, self.errors);
        }
    }

    /// Reads each item of a list, opened by the same rules.
    pub(super) fn each<T>(
        &mut self,
        name: &str,
        of: &'static str,
        known: &[&'static str],
        read: impl Fn(&mut Fields<'_>) -> T,
    ) -> Vec<T> {
        let items = self.items(name);
        items.iter().map(|item| read(&mut self.open_item(item, of, known))).collect()
    }

    /// An item of a list, opened by the same rules.
    pub(super) fn open_item<'b>(&'b mut self, item: &'b Node, of: &'static str, known: &[&'static str]) -> Fields<'b> {
        Fields::open(item, of, known, self.unknown, self.errors)
    }

    /// Reports a field that must be there.
    pub(super) fn missing(&mut self, field: &'static str) {
        let problem = Problem::MissingField { field, of: self.of };
        self.errors.push(Error::at(self.node, problem));
    }
}

/// What a node is, as this reader takes it.
fn describe(node: &Node) -> String {
    match node.resolve(Resolve::V2) {
        Ok(Some(Plain::Bool(_))) => "a boolean".into(),
        Ok(Some(Plain::Int(_) | Plain::Uint(_) | Plain::Float(_))) => "a number".into(),
        Ok(Some(Plain::Text | Plain::Time(_))) => "a string".into(),
        _ => node.describe().into(),
    }
}
