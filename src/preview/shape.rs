//! How one object changes, as lines: what stays, what goes, what comes.
//!
//! **In:** two bodies, values masked. **Out:** [`Lines`], and from them hunks of a unified diff. **May not:** know a
//! schema. What differs is found on the values, not on a text of them: items of a list are the same one when they have
//! the same name, so an inserted container is an insertion; a text of many lines is compared line by line.

mod drift;
mod scalar;

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::{Map, Value};
use similar::{Algorithm, DiffTag, TextDiff, capture_diff_slices};

use crate::object::{annotation, content_hash};

pub use self::drift::drifted;
use super::escape;
use super::phrase::grouped;

/// What of `metadata` only the API server writes.
const SERVER_FIELDS: [&str; 7] =
    ["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "deletionTimestamp", "selfLink"];
/// Annotations that say how an object came to be, not what it is.
const BOOKKEEPING: [&str; 3] =
    ["kubectl.kubernetes.io/last-applied-configuration", annotation::TRACKING_ID, annotation::PLAN];
/// By which field the items of a list are told apart: the first that all have, and no two alike.
const KEYS: [&str; 9] = ["mountPath", "name", "key", "containerPort", "port", "ip", "host", "type", "id"];
/// Texts with more lines are not compared line by line: that may take the square of their number.
const MOST_LINES: usize = 5_000;
/// Nor are longer lists item by item.
const MOST_ITEMS: usize = 5_000;

/// Without what is not git's to say: what the API server writes, and what is stamped on each object.
pub fn readable(body: &Value) -> Value {
    let mut body = body.clone();
    let Value::Object(map) = &mut body else { return body };
    map.shift_remove("status");
    if let Some(Value::Object(metadata)) = map.get_mut("metadata") {
        for field in SERVER_FIELDS {
            metadata.shift_remove(field);
        }
        without(metadata, "annotations", &BOOKKEEPING);
        without(metadata, "labels", &[annotation::PART_OF]);
    }
    body
}

/// Removes entries, and the mapping itself when nothing is left of it.
fn without(metadata: &mut Map<String, Value>, field: &str, names: &[&str]) {
    let Some(Value::Object(map)) = metadata.get_mut(field) else { return };
    for name in names {
        map.shift_remove(*name);
    }
    if map.is_empty() {
        metadata.shift_remove(field);
    }
}

/// What a line is to a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sign {
    /// Before and after.
    Same,
    /// Only before.
    Removed,
    /// Only after.
    Added,
}

/// How long texts are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texts {
    /// Line by line.
    Whole,
    /// By their size before and after.
    Sizes,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is to the change.
    pub sign: Sign,
    /// Without its sign, with its indentation.
    pub text: String,
    /// The place in [`Lines::paths`] of the mapping or list that it is in.
    path: usize,
}

/// A whole object, line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// In order.
    pub lines: Vec<Line>,
    /// `spec.template.spec.containers[web]`.
    paths: Vec<String>,
}

/// The lines of a change; without one side, all of the other.
pub fn lines(before: Option<&Value>, after: Option<&Value>, texts: Texts) -> Lines {
    let mut writer = Writer { lines: vec![], paths: vec![String::new()], path: 0, dash: None, texts };
    match (before, after) {
        (Some(before), Some(after)) => writer.values(before, after, 0),
        (Some(before), None) => writer.value(Sign::Removed, before, 0),
        (None, Some(after)) => writer.value(Sign::Added, after, 0),
        (None, None) => {}
    }
    Lines { lines: writer.lines, paths: writer.paths }
}

impl Lines {
    /// Lines that go, and lines that come.
    pub fn counts(&self) -> (usize, usize) {
        let count = |sign| self.lines.iter().filter(|line| line.sign == sign).count();
        (count(Sign::Removed), count(Sign::Added))
    }

    /// The lines that differ, with the place each is in: equal for changes that read the same anywhere.
    pub fn essence(&self) -> impl Iterator<Item = (Sign, &str, &str)> {
        let changed = self.lines.iter().filter(|line| line.sign != Sign::Same);
        changed.map(|line| (line.sign, line.text.as_str(), self.path(line)))
    }

    fn path(&self, line: &Line) -> &str {
        self.paths.get(line.path).map(String::as_str).unwrap_or_default()
    }

    /// The hunks of a unified diff. A hunk that does not begin at the top says where it is.
    pub fn hunks(&self, context: usize) -> String {
        let mut shown: BTreeSet<usize> = BTreeSet::new();
        for (at, _) in self.lines.iter().enumerate().filter(|(_, line)| line.sign != Sign::Same) {
            shown.extend(at.saturating_sub(context)..(at + context + 1).min(self.lines.len()));
        }
        let mut text = String::new();
        let mut next = 0;
        for at in shown {
            let line = &self.lines[at];
            if at != next {
                let path = self.path(line);
                text.push_str(&if path.is_empty() { "@@\n".to_owned() } else { format!("@@ {path} @@\n") });
            }
            let sign = match line.sign {
                Sign::Same => ' ',
                Sign::Removed => '-',
                Sign::Added => '+',
            };
            let whole = format!("{sign}{}", line.text);
            text.push_str(&escape::guarded(&escape::cut(&whole, escape::LONGEST_LINE)));
            text.push('\n');
            next = at + 1;
        }
        text
    }
}

struct Writer {
    lines: Vec<Line>,
    paths: Vec<String>,
    /// Where the next line is.
    path: usize,
    /// The next line at this indentation begins an item of a list.
    dash: Option<usize>,
    texts: Texts,
}

impl Writer {
    /// Runs `write` one place further down.
    fn below(&mut self, step: &str, write: impl FnOnce(&mut Self)) {
        let outer = self.path;
        let path = format!("{}{step}", self.paths[outer]);
        self.paths.push(path.trim_start_matches('.').to_owned());
        self.path = self.paths.len() - 1;
        write(self);
        self.path = outer;
    }

    fn push(&mut self, sign: Sign, indent: usize, text: &str) {
        let mut line = " ".repeat(indent);
        if let Some(dash) = self.dash.take() {
            line.replace_range(dash..(dash + 2).min(line.len()), "- ");
        }
        line.push_str(&escape::visible(text));
        self.lines.push(Line { sign, text: line, path: self.path });
    }

    /// Both sides of one value; `indent` is where its lines begin.
    fn values(&mut self, before: &Value, after: &Value, indent: usize) {
        match (before, after) {
            (Value::Object(before), Value::Object(after)) if !before.is_empty() && !after.is_empty() => {
                self.mappings(before, after, indent, None);
            }
            (Value::Array(before), Value::Array(after)) if !before.is_empty() && !after.is_empty() => {
                self.lists(before, after, indent);
            }
            _ if before == after => self.value(Sign::Same, before, indent),
            _ => {
                let dash = self.dash;
                self.value(Sign::Removed, before, indent);
                self.dash = dash;
                self.value(Sign::Added, after, indent);
            }
        }
    }

    /// Entries in the order of their keys, but for the one that tells items of a list apart.
    fn mappings(
        &mut self,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
        indent: usize,
        first: Option<&str>,
    ) {
        let mut names: Vec<&String> =
            before.keys().chain(after.keys().filter(|key| !before.contains_key(*key))).collect();
        names.sort_by_key(|name| (Some(name.as_str()) != first, name.as_str()));
        for name in names {
            match (before.get(name), after.get(name)) {
                (Some(before), Some(after)) => self.entries(name, before, after, indent),
                (Some(before), None) => self.entry(Sign::Removed, name, before, indent),
                (None, Some(after)) => self.entry(Sign::Added, name, after, indent),
                (None, None) => {}
            }
        }
    }

    /// Both sides of one entry of a mapping.
    fn entries(&mut self, name: &str, before: &Value, after: &Value, indent: usize) {
        let key = scalar::key(name);
        if before == after {
            self.entry(Sign::Same, name, before, indent);
            return;
        }
        let inner = |value: &Value| match value {
            Value::Array(_) => indent,
            _ => indent + 2,
        };
        match (before, after) {
            (Value::Object(left), Value::Object(right)) if !left.is_empty() && !right.is_empty() => {
                self.push(Sign::Same, indent, &format!("{key}:"));
                self.below(&step(name), |writer| writer.values(before, after, inner(before)));
            }
            (Value::Array(left), Value::Array(right)) if !left.is_empty() && !right.is_empty() => {
                self.push(Sign::Same, indent, &format!("{key}:"));
                self.below(&step(name), |writer| writer.values(before, after, inner(before)));
            }
            (Value::String(left), Value::String(right)) => self.texts(name, left, right, indent),
            _ => {
                let dash = self.dash;
                self.entry(Sign::Removed, name, before, indent);
                self.dash = dash;
                self.entry(Sign::Added, name, after, indent);
            }
        }
    }

    /// Two texts that differ.
    fn texts(&mut self, name: &str, before: &str, after: &str, indent: usize) {
        let key = scalar::key(name);
        if let (Some(left), Some(right)) = (parsed(before), parsed(after)) {
            self.push(Sign::Same, indent, &format!("{key}: # JSON"));
            self.below(&step(name), |writer| writer.values(&left, &right, indent + 2));
            return;
        }
        let is_long = |text: &str| text.contains('\n');
        let line_count = before.lines().count() + after.lines().count();
        let is_sized = (is_long(before) || is_long(after) || before.len().max(after.len()) > escape::LONGEST_LINE)
            && self.texts == Texts::Sizes;
        if is_sized || line_count > MOST_LINES {
            let sizes = (grouped(before.len() as u64), grouped(after.len() as u64));
            self.push(Sign::Added, indent, &format!("{key}: changed ({} → {} bytes)", sizes.0, sizes.1));
        } else if is_long(before) && is_long(after) {
            let heads = (scalar::block_mark(before), scalar::block_mark(after));
            if heads.0 == heads.1 {
                self.push(Sign::Same, indent, &format!("{key}: {}", heads.0));
            } else {
                let dash = self.dash;
                self.push(Sign::Removed, indent, &format!("{key}: {}", heads.0));
                self.dash = dash;
                self.push(Sign::Added, indent, &format!("{key}: {}", heads.1));
            }
            self.below(&step(name), |writer| writer.text_lines(before, after, indent + 2));
        } else {
            let dash = self.dash;
            self.entry(Sign::Removed, name, &before.into(), indent);
            self.dash = dash;
            self.entry(Sign::Added, name, &after.into(), indent);
        }
    }

    fn text_lines(&mut self, before: &str, after: &str, indent: usize) {
        let diff = TextDiff::from_lines(before, after);
        for change in diff.iter_all_changes() {
            let sign = match change.tag() {
                similar::ChangeTag::Equal => Sign::Same,
                similar::ChangeTag::Delete => Sign::Removed,
                similar::ChangeTag::Insert => Sign::Added,
            };
            self.push(sign, indent, change.value().trim_end_matches('\n'));
        }
    }

    fn lists(&mut self, before: &[Value], after: &[Value], indent: usize) {
        let key = key_of(before, after);
        let identity = |item: &Value| match key {
            Some(key) => item.get(key).map_or(0, content_hash),
            None => content_hash(item),
        };
        let identities = |items: &[Value]| items.iter().map(identity).collect::<Vec<u64>>();
        let (left, right) = (identities(before), identities(after));
        for (tag, old, new) in compared(&left, &right) {
            match tag {
                DiffTag::Equal => {
                    for (old, new) in before[old].iter().zip(&after[new]) {
                        self.items(old, new, key, indent);
                    }
                }
                // Items without a name that changed in place.
                DiffTag::Replace if key.is_none() && old.len() == new.len() => {
                    for (old, new) in before[old].iter().zip(&after[new]) {
                        self.items(old, new, key, indent);
                    }
                }
                DiffTag::Delete | DiffTag::Insert | DiffTag::Replace => {
                    before[old].iter().for_each(|item| self.item(Sign::Removed, item, key, indent));
                    after[new].iter().for_each(|item| self.item(Sign::Added, item, key, indent));
                }
            }
        }
    }

    /// Both sides of one item of a list.
    fn items(&mut self, before: &Value, after: &Value, key: Option<&str>, indent: usize) {
        if before == after {
            return self.item(Sign::Same, before, key, indent);
        }
        let label = key.and_then(|key| after.get(key)).map(scalar::plain).unwrap_or_default();
        self.dash = Some(indent);
        match (before, after) {
            (Value::Object(left), Value::Object(right)) if !left.is_empty() && !right.is_empty() => {
                self.below(&format!("[{label}]"), |writer| writer.mappings(left, right, indent + 2, key));
            }
            _ => self.values(before, after, indent + 2),
        }
    }

    fn item(&mut self, sign: Sign, item: &Value, key: Option<&str>, indent: usize) {
        self.dash = Some(indent);
        match item {
            Value::Object(map) if !map.is_empty() => self.mapping(sign, map, indent + 2, key),
            _ => self.value(sign, item, indent + 2),
        }
    }

    /// One side of a value.
    fn value(&mut self, sign: Sign, value: &Value, indent: usize) {
        match value {
            Value::Object(map) if !map.is_empty() => self.mapping(sign, map, indent, None),
            Value::Array(items) if !items.is_empty() => {
                let key = key_of(items, &[]);
                items.iter().for_each(|item| self.item(sign, item, key, indent));
            }
            Value::String(text) if text.contains('\n') => {
                self.push(sign, indent, scalar::block_mark(text));
                text.lines().for_each(|line| self.push(sign, indent, line));
            }
            other => self.push(sign, indent, &scalar::plain(other)),
        }
    }

    fn mapping(&mut self, sign: Sign, map: &Map<String, Value>, indent: usize, first: Option<&str>) {
        let mut entries: Vec<(&String, &Value)> = map.iter().collect();
        entries.sort_by_key(|(name, _)| (Some(name.as_str()) != first, name.as_str()));
        entries.into_iter().for_each(|(name, value)| self.entry(sign, name, value, indent));
    }

    /// One side of an entry of a mapping.
    fn entry(&mut self, sign: Sign, name: &str, value: &Value, indent: usize) {
        let key = scalar::key(name);
        match value {
            Value::Object(map) if !map.is_empty() => {
                self.push(sign, indent, &format!("{key}:"));
                self.below(&step(name), |writer| writer.mapping(sign, map, indent + 2, None));
            }
            Value::Array(items) if !items.is_empty() => {
                self.push(sign, indent, &format!("{key}:"));
                self.below(&step(name), |writer| writer.value(sign, value, indent));
            }
            Value::String(text) if text.contains('\n') => {
                if self.texts == Texts::Sizes && sign != Sign::Same {
                    self.push(sign, indent, &format!("{key}: {} bytes", grouped(text.len() as u64)));
                    return;
                }
                self.push(sign, indent, &format!("{key}: {}", scalar::block_mark(text)));
                self.below(&step(name), |writer| text.lines().for_each(|line| writer.push(sign, indent + 2, line)));
            }
            other => self.push(sign, indent, &format!("{key}: {}", scalar::plain(other))),
        }
    }
}

/// Which parts of two lists are equal; of long lists only the beginning and the end.
fn compared(before: &[u64], after: &[u64]) -> Vec<(DiffTag, Range<usize>, Range<usize>)> {
    if before.len() + after.len() <= MOST_ITEMS {
        let ops = capture_diff_slices(Algorithm::Myers, before, after);
        return ops.iter().map(similar::DiffOp::as_tag_tuple).collect();
    }
    let equal = |pair: &(&u64, &u64)| pair.0 == pair.1;
    let first = before.iter().zip(after).take_while(equal).count();
    let last = before[first..].iter().rev().zip(after[first..].iter().rev()).take_while(equal).count();
    let (old, new) = (before.len() - last, after.len() - last);
    vec![
        (DiffTag::Equal, 0..first, 0..first),
        (DiffTag::Replace, first..old, first..new),
        (DiffTag::Equal, old..before.len(), new..after.len()),
    ]
}

/// A mapping or list that a text holds as JSON.
fn parsed(text: &str) -> Option<Value> {
    let is_json = text.trim_start().starts_with(['{', '[']);
    let value: Value = is_json.then(|| serde_json::from_str(text).ok()).flatten()?;
    let holds_something = match &value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    holds_something.then_some(value)
}

/// `.spec`, `["odd key"]`.
fn step(name: &str) -> String {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    let shown = escape::visible(name).replace('\n', "\\n");
    if is_plain { format!(".{shown}") } else { format!("[{}]", escape::cut(&shown, 63)) }
}

/// The field by which the items of both lists are told apart.
fn key_of(before: &[Value], after: &[Value]) -> Option<&'static str> {
    let tells_apart = |key: &&&str| {
        [before, after].into_iter().all(|items| {
            let mut seen = BTreeSet::new();
            items.iter().all(|item| match item.get(**key) {
                Some(name @ (Value::String(_) | Value::Number(_))) => seen.insert(name.to_string()),
                _ => false,
            })
        })
    };
    KEYS.iter().find(tells_apart).copied()
}

#[cfg(test)]
mod tests;
