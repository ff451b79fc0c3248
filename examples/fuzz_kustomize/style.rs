//! Writes values as YAML in every style that people (and generators) use.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::random::Random;

/// Before a text that stands in the file as it is: a plain scalar that means something, or a tag.
const AS_WRITTEN: char = '\u{e000}';

/// A scalar that is written as it is given.
pub(crate) fn plain(text: &str) -> Value {
    Value::String(format!("{AS_WRITTEN}{text}"))
}

pub(crate) fn is_plain(text: &str) -> bool {
    text.starts_with(AS_WRITTEN)
}

/// How much of the more unusual ways of writing a text has.
#[derive(Clone, Copy)]
pub(crate) enum Taste {
    /// Comments, anchors, flow, all kinds of scalars, and texts that are folded to something else now and then.
    Wild,
    /// As wild, but every text means what it is.
    Exact,
    /// Blocks, and quotes where they are needed: for texts inside of others.
    Plain,
}

/// One document.
pub(crate) fn document(random: &mut Random, value: &Value, taste: Taste) -> String {
    let step = if random.chance(80) { 2 } else { 4 };
    let indented_lists = random.chance(30);
    let mut writer = Writer { random, taste, out: String::new(), anchors: Vec::new(), step, indented_lists };
    writer.root(value);
    writer.out
}

struct Writer<'a> {
    random: &'a mut Random,
    taste: Taste,
    out: String,
    anchors: Vec<(String, Value)>,
    step: usize,
    indented_lists: bool,
}

impl Writer<'_> {
    fn rarely(&mut self, percent: usize) -> bool {
        !matches!(self.taste, Taste::Plain) && self.random.chance(percent)
    }

    fn root(&mut self, value: &Value) {
        match value {
            Value::Object(map) if !map.is_empty() && !self.rarely(1) => self.block_map(map, 0, false),
            Value::Array(items) if !items.is_empty() && !self.rarely(3) => self.block_list(items, 0, false),
            other => {
                self.flow(other);
                self.out.push('\n');
            }
        }
    }

    fn indent(&mut self, columns: usize) {
        self.out.extend(std::iter::repeat_n(' ', columns));
    }

    /// The entries of a map, the first one on the current line if that has begun.
    fn block_map(&mut self, map: &Map<String, Value>, indent: usize, begun: bool) {
        let merged = self.merge(map);
        let mut begun = begun;
        let mut line = |writer: &mut Self| {
            if !std::mem::take(&mut begun) {
                if writer.rarely(2) {
                    writer.out.push_str(["\n", "# a remark\n", "   # another: one\n"][writer.random.below(3)]);
                }
                writer.indent(indent);
            }
        };
        if let Some(name) = &merged {
            line(self);
            let _ = writeln!(self.out, "<<: *{name}");
        }
        let covered = merged.and_then(|name| self.anchors.iter().find(|(known, _)| *known == name).cloned());
        let covered = covered.as_ref().and_then(|(_, value)| value.as_object());
        for (key, value) in map {
            if covered.is_some_and(|covered| covered.contains_key(key)) {
                continue;
            }
            line(self);
            let key = self.key(key);
            self.out.push_str(&key);
            self.out.push(':');
            self.value(value, indent, self.step, self.indented_lists);
        }
    }

    /// An anchored map whose entries are all among these.
    fn merge(&mut self, map: &Map<String, Value>) -> Option<String> {
        if !self.rarely(30) {
            return None;
        }
        let within = |value: &Value| {
            let known = value.as_object();
            known.is_some_and(|known| {
                !known.is_empty()
                    && known.len() < map.len()
                    && known.iter().all(|(key, value)| map.get(key) == Some(value))
            })
        };
        self.anchors.iter().find(|(_, value)| within(value)).map(|(name, _)| name.clone())
    }

    fn block_list(&mut self, items: &[Value], indent: usize, begun: bool) {
        let mut begun = begun;
        for item in items {
            if !std::mem::take(&mut begun) {
                if self.rarely(1) {
                    self.out.push_str("# an item\n");
                }
                self.indent(indent);
            }
            self.out.push('-');
            match item {
                Value::Object(map) if !map.is_empty() && !self.rarely(8) => {
                    self.out.push(' ');
                    self.block_map(map, indent + 2, true);
                }
                Value::Array(inner) if !inner.is_empty() && !self.rarely(20) => {
                    self.out.push(' ');
                    self.block_list(inner, indent + 2, true);
                }
                other => self.value(other, indent, 2, true),
            }
        }
    }

    /// A value after `key:` or `-`, with the end of its line.
    fn value(&mut self, value: &Value, indent: usize, step: usize, indented_lists: bool) {
        if let Some(name) = self.alias(value) {
            let _ = writeln!(self.out, " *{name}");
            return;
        }
        if self.is_worth_a_name(value) && self.rarely(4) {
            let name = format!("a{}", self.anchors.len());
            let _ = write!(self.out, " &{name}");
            self.anchors.push((name, value.clone()));
        }
        match value {
            Value::Object(map) if !map.is_empty() && !self.rarely(4) => {
                self.end_line();
                self.block_map(map, indent + step, false);
            }
            Value::Array(items) if !items.is_empty() && !self.rarely(8) => {
                self.end_line();
                self.block_list(items, indent + if indented_lists { step } else { 0 }, false);
            }
            Value::String(text) if !is_plain(text) => {
                self.out.push(' ');
                self.block_text(text, indent, step);
            }
            other => {
                let is_nothing = matches!(other, Value::Null);
                if is_nothing && self.rarely(50) {
                    self.end_line();
                } else {
                    self.out.push(' ');
                    self.flow(other);
                    self.end_line();
                }
            }
        }
    }

    fn end_line(&mut self) {
        if self.rarely(2) {
            self.out.push_str(" # why");
        }
        self.out.push('\n');
    }

    fn is_worth_a_name(&self, value: &Value) -> bool {
        match value {
            Value::Object(map) => !map.is_empty() && map.len() < 6,
            Value::Array(items) => !items.is_empty() && items.len() < 6,
            Value::String(text) => text.len() > 3 && !text.contains('\n'),
            _ => false,
        }
    }

    fn alias(&mut self, value: &Value) -> Option<String> {
        if !self.is_worth_a_name(value) {
            return None;
        }
        let found = self.anchors.iter().find(|(_, known)| known == value).map(|(name, _)| name.clone())?;
        self.rarely(70).then_some(found)
    }

    fn key(&mut self, key: &str) -> String {
        if let Some(written) = key.strip_prefix(AS_WRITTEN) {
            return written.to_owned();
        }
        if is_safe(key) && !self.rarely(2) { key.to_owned() } else { self.quoted(key, None) }
    }

    fn flow(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                let blank = if self.rarely(30) { " " } else { "" };
                self.out.push('{');
                self.out.push_str(blank);
                for (at, (key, value)) in map.iter().enumerate() {
                    if at > 0 {
                        self.out.push_str(", ");
                    }
                    let key = self.key(key);
                    self.out.push_str(&key);
                    self.out.push_str(": ");
                    self.flow(value);
                }
                self.out.push_str(blank);
                self.out.push('}');
            }
            Value::Array(items) => {
                self.out.push('[');
                for (at, value) in items.iter().enumerate() {
                    if at > 0 {
                        self.out.push_str(", ");
                    }
                    self.flow(value);
                }
                self.out.push(']');
            }
            Value::String(text) => {
                let text = match text.strip_prefix(AS_WRITTEN) {
                    Some(written) => written.to_owned(),
                    None if is_safe(text) && !self.rarely(20) => text.clone(),
                    None => self.quoted(text, None),
                };
                self.out.push_str(&text);
            }
            other => {
                let _ = write!(self.out, "{other}");
            }
        }
    }

    /// A text where a block may stand.
    fn block_text(&mut self, text: &str, parent: usize, step: usize) {
        let indent = parent + step;
        let printable =
            !text.chars().any(|char| (char.is_control() && char != '\n') || ('\u{2028}'..='\u{2029}').contains(&char));
        let has_lines = text.contains('\n');
        let literal = has_lines && !text.trim().is_empty() && printable;
        let wild = !matches!(self.taste, Taste::Plain);
        if literal && (!wild || self.random.chance(70)) {
            return self.literal(text, indent, step);
        }
        if matches!(self.taste, Taste::Wild)
            && printable
            && text.len() > 20
            && text.contains(' ')
            && !text.starts_with([' ', '\n'])
            && self.random.chance(20)
        {
            return self.folded(text, indent);
        }
        let written = if is_safe(text) && !self.rarely(20) { text.to_owned() } else { self.quoted(text, Some(indent)) };
        self.out.push_str(&written);
        self.end_line();
    }

    fn literal(&mut self, text: &str, indent: usize, step: usize) {
        self.out.push('|');
        if text.starts_with([' ', '\n']) {
            // The digit counts from the parent's indentation.
            let _ = write!(self.out, "{step}");
        }
        let body = text.trim_end_matches('\n');
        let chomp = match text.len() - body.len() {
            0 => "-",
            1 => "",
            _ => "+",
        };
        self.out.push_str(chomp);
        self.out.push('\n');
        for line in body.split('\n') {
            if !line.is_empty() {
                self.indent(indent);
            }
            self.out.push_str(line);
            self.out.push('\n');
        }
        for _ in 1..text.len() - body.len() {
            self.out.push('\n');
        }
    }

    /// A folded block of the text: it need not mean the same, only be read alike by both engines.
    fn folded(&mut self, text: &str, indent: usize) {
        self.out.push('>');
        self.out.push_str(["", "-", "+"][self.random.below(3)]);
        self.out.push('\n');
        for line in text.split('\n') {
            let mut line = line.to_owned();
            if let Some(at) = line.find(' ').filter(|_| self.random.chance(60)) {
                line.replace_range(at..=at, &format!("\n{}", " ".repeat(indent)));
            }
            if !line.is_empty() {
                self.indent(indent);
            }
            self.out.push_str(&line);
            self.out.push('\n');
        }
    }

    /// In quotes of either kind; broken over lines where there is an indentation to continue at.
    fn quoted(&mut self, text: &str, indent: Option<usize>) -> String {
        let needs_double = text.chars().any(|char| char.is_control() || ('\u{2028}'..='\u{2029}').contains(&char));
        let double = needs_double || self.random.chance(50);
        let quoted = if double { double_quoted(text) } else { format!("'{}'", text.replace('\'', "''")) };
        let Some(indent) = indent.filter(|_| self.rarely(15)) else { return quoted };
        let inner = quoted.len() - 1;
        let bytes = quoted.as_bytes();
        let is_single = |at: usize| {
            at > 1
                && at + 1 < inner
                && bytes[at] == b' '
                && bytes[at - 1].is_ascii_alphanumeric()
                && bytes[at + 1].is_ascii_alphanumeric()
        };
        match (0..quoted.len()).find(|at| is_single(*at)) {
            Some(at) => format!("{}\n{}{}", &quoted[..at], " ".repeat(indent), &quoted[at + 1..]),
            None => quoted,
        }
    }
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            char if char.is_control() || ('\u{2028}'..='\u{2029}').contains(&char) => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(char));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

/// True when the text means itself without quotes, in every reading of YAML.
fn is_safe(text: &str) -> bool {
    const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"];
    let first = text.chars().next().unwrap_or(' ');
    (first.is_ascii_alphabetic() || matches!(first, '/' | '$') && text.len() > 2 && !text.starts_with("$$"))
        && text.chars().all(|char| char.is_ascii_alphanumeric() || "-_./:=$()@+".contains(char))
        && !text.ends_with(':')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// True when nothing in the value needs YAML to be said.
pub(crate) fn is_json(value: &Value) -> bool {
    match value {
        Value::String(text) => !is_plain(text),
        Value::Array(items) => items.iter().all(is_json),
        Value::Object(map) => map.iter().all(|(key, value)| !is_plain(key) && is_json(value)),
        _ => true,
    }
}
