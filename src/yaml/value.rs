//! From trees to plain values and back.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Number, Value};
use smol_str::SmolStr;

use super::borrowed::{Borrowed, Form};
use super::error::{Error, Problem};
use super::folded;
use super::node::{CollectionStyle, Content, Entry, Mapping, Node, Scalar, ScalarStyle};
use super::number::{number_from_f64, push_float, push_number};
use super::parts::is_control;
use super::resolve::{self, Plain, Resolve};

/// A key that stands twice in one mapping.
#[derive(Clone, Copy, Debug)]
pub struct DuplicateKey<'a> {
    /// The earlier one.
    pub first: &'a Node,
    /// The later one.
    pub second: &'a Node,
}

impl DuplicateKey<'_> {
    /// As a problem, at the later one.
    pub fn error(&self) -> Error {
        let first = self.first.origin().map_or(0, |origin| origin.line);
        let key = self.second.as_str().unwrap_or_default().to_owned();
        self.second.error(Problem::DuplicateKey { key, first })
    }
}

/// The comments that go-yaml's writer has been given and has not written yet.
#[derive(Default)]
struct Waiting {
    /// One behind a key: where braces follow it waits for the next value that stands on lines below its key, or for a
    /// scalar.
    of_key: bool,
    /// One behind the braces in which a patch had what stands on lines of its own now: it is the next key's, or stands
    /// behind the `-` of the next item.
    of_lines: bool,
}

impl Waiting {
    /// True for a value that comes to stand in a line below its key and a comment, where nobody finds it: in braces there
    /// is no place for a comment in front of a collection, outside of them none in front of one that is empty and was in
    /// no braces where it was read.
    fn hides(&mut self, key: &Node, value: &Node, in_flow: bool) -> bool {
        if in_flow {
            return key.line_comment().is_some() && !value.is_scalar();
        }
        self.of_key |= std::mem::take(&mut self.of_lines) | key.line_comment().is_some();
        if !self.of_key || value.is_in_braces() || (value.is_scalar() && value.line_comment().is_some()) {
            return false;
        }
        self.of_key = false;
        value.is_empty_collection()
    }

    /// True for an item that comes to stand behind a comment.
    fn hides_item(&mut self, item: &Node, in_flow: bool) -> bool {
        !in_flow && std::mem::take(&mut self.of_lines) && (item.is_in_braces() || item.is_empty_collection())
    }

    /// Behind a value, as an item or under a key.
    fn leave(&mut self, value: &Node, in_flow: bool) {
        let is_on_lines = !in_flow && !value.is_scalar() && !value.is_in_braces() && !value.is_empty_collection();
        self.of_lines |= is_on_lines && value.line_comment().is_some();
    }
}

impl Node {
    /// What a scalar means; `None` for other nodes.
    ///
    /// # Errors
    /// When its tag and its text contradict each other.
    pub fn resolve(&self, mode: Resolve) -> Result<Option<Plain>, Error> {
        resolve::scalar(self, mode).map_err(|problem| self.error(problem))
    }

    /// The plain value, as JSON has it.
    ///
    /// [`Resolve::V3`] refuses duplicate and non-string keys as kustomize does; with [`Resolve::V2`] the last one wins
    /// and keys become strings.
    ///
    /// # Errors
    /// The first thing in it that has no value in this reading.
    pub fn to_value(&self, mode: Resolve) -> Result<Value, Error> {
        match self.closed_to_comment() {
            Some(written) if mode == Resolve::V3 => written.value(mode, false, &mut Waiting::default()),
            _ => self.value(mode, false, &mut Waiting::default()),
        }
    }

    /// What `look` makes of the same, where nobody keeps it.
    ///
    /// # Errors
    /// As [`Node::to_value`].
    pub fn with_value<T>(&self, mode: Resolve, look: impl FnOnce(&Borrowed<'_>) -> T) -> Result<T, Error> {
        match self.closed_to_comment() {
            Some(written) if mode == Resolve::V3 => {
                written.value(mode, false, &mut Waiting::default()).map(|value| look(&value))
            }
            _ => self.value(mode, false, &mut Waiting::default()).map(|value| look(&value)),
        }
    }

    /// The same for what stands inside of a collection of this style.
    ///
    /// # Errors
    /// As [`Node::to_value`].
    pub fn to_value_within(&self, mode: Resolve, around: CollectionStyle) -> Result<Value, Error> {
        self.value(mode, around == CollectionStyle::Flow, &mut Waiting::default())
    }

    /// `in_flow`: kustomize writes trees back before it reads values, and quotes what holds a `:` inside of braces, and
    /// what holds nothing; a time in there is a string from then on, and so is nothing.
    fn value<'n, F: Form<'n>>(&'n self, mode: Resolve, in_flow: bool, waiting: &mut Waiting) -> Result<F, Error> {
        match &self.content {
            Content::Scalar(scalar) => self.scalar_value(scalar, mode, in_flow),
            Content::Sequence(sequence) => {
                let in_flow = in_flow || sequence.style == CollectionStyle::Flow;
                let items = sequence.items.iter().map(|item| {
                    if mode == Resolve::V3 && waiting.hides_item(item, in_flow) {
                        return Err(item.error(Problem::CommentOfItem));
                    }
                    let value = item.value(mode, in_flow, waiting);
                    waiting.leave(item, in_flow);
                    value
                });
                items.collect::<Result<_, Error>>().map(F::list)
            }
            Content::Mapping(mapping) => {
                let in_flow = in_flow || mapping.style == CollectionStyle::Flow;
                let mut map = F::map(mapping.entries.len());
                for Entry { key, value } in &mapping.entries {
                    let name = key.key_name(mode, in_flow)?;
                    if mode == Resolve::V3 && waiting.hides(key, value, in_flow) {
                        return Err(key.error(Problem::Comment { key: name.into_owned() }));
                    }
                    let read = value.value(mode, in_flow, waiting)?;
                    waiting.leave(value, in_flow);
                    if F::put(&mut map, name, read) && mode == Resolve::V3 {
                        return Err(duplicate_of(mapping, key));
                    }
                }
                Ok(F::end(map))
            }
        }
    }

    /// True for a null for which its file has no text at all.
    pub fn is_unwritten(&self) -> bool {
        self.is_null() && self.text().is_some_and(|text| text.slice(self.span()).trim().is_empty())
    }

    fn holds_nothing(&self, scalar: &Scalar) -> bool {
        self.is_unwritten() || (self.text().is_none() && scalar.text.is_empty())
    }

    fn scalar_value<'n, F: Form<'n>>(&'n self, scalar: &'n Scalar, mode: Resolve, in_flow: bool) -> Result<F, Error> {
        let text = |text: Cow<'n, str>| {
            if mode == Resolve::V3 {
                self.refuse_control_characters(&text)?
            }
            Ok(F::text(text))
        };
        let own = || Cow::Borrowed(scalar.text.as_str());
        if mode == Resolve::V3 && !in_flow && scalar.text.starts_with('\t') && is_written_as_block(scalar) {
            return Err(self.error(Problem::LeadingTab));
        }
        if scalar.style == ScalarStyle::Folded && mode == Resolve::V3 && !in_flow && self.tag().is_none() {
            return text(folded::written_and_read(&scalar.text));
        }
        if scalar.style != ScalarStyle::Plain && self.tag().is_none() {
            return text(own());
        }
        match self.resolve(mode)? {
            Some(Plain::Null) if in_flow && mode == Resolve::V3 && self.holds_nothing(scalar) => text("".into()),
            None | Some(Plain::Null) => Ok(F::null()),
            Some(Plain::Bool(value)) => Ok(F::bool(value)),
            Some(Plain::Int(number)) => Ok(F::number(number.into())),
            Some(Plain::Uint(number)) => Ok(F::number(number.into())),
            Some(Plain::Float(number)) => match number_from_f64(number) {
                Some(Value::Number(number)) => Ok(F::number(number)),
                _ => Err(self.error(Problem::NotFinite { text: scalar.text.to_string() })),
            },
            Some(Plain::Time(_)) if in_flow && scalar.text.contains(':') => text(own()),
            Some(Plain::Time(time)) => Ok(F::text(time.into())),
            Some(Plain::Text) => text(own()),
            Some(Plain::Decoded(decoded)) => text(decoded.into()),
        }
    }

    /// The name of a key. v3 has keys of other types, which JSON then refuses; v2 makes them strings.
    fn key_name(&self, mode: Resolve, in_flow: bool) -> Result<Cow<'_, str>, Error> {
        let refused = |found| {
            let key = self.as_str().unwrap_or("?").to_owned();
            let was_quoted = self.text().is_some_and(|text| text.slice(self.span()).starts_with(['"', '\'']));
            Err(self.error(match was_quoted {
                true => Problem::KeyWithoutQuotes { key, found },
                false => Problem::KeyNotString { key, found },
            }))
        };
        let Some(meaning) = self.resolve(mode)? else { return refused(self.describe()) };
        let text = self.as_str().unwrap_or_default();
        match (mode, meaning) {
            (Resolve::V3, Plain::Text | Plain::Decoded(_)) if self.has_own_type() => refused("text of another type"),
            (_, Plain::Text) => {
                if mode == Resolve::V3 {
                    self.refuse_control_characters(text)?;
                    if text.contains('\u{85}') {
                        // On the way through JSON this would be a line break inside of a key.
                        return Err(self.error(Problem::ControlCharacter { character: 0x85 }));
                    }
                }
                Ok(text.into())
            }
            (_, Plain::Decoded(decoded)) => Ok(decoded.into()),
            // go-yaml writes a key that is nothing as an empty text.
            (Resolve::V3, Plain::Null) if self.is_unwritten() => Ok("".into()),
            (Resolve::V3, Plain::Time(_)) if in_flow && text.contains(':') => Ok(text.into()),
            (Resolve::V2, Plain::Bool(value)) => Ok(value.to_string().into()),
            (Resolve::V2, Plain::Int(number)) => Ok(number.to_string().into()),
            (Resolve::V2, Plain::Float(number)) if number.is_finite() => {
                let mut name = String::new();
                push_float(&mut name, number);
                Ok(name.into())
            }
            (_, meaning) => refused(meaning.describe()),
        }
    }

    /// True for a tag other than that of text, which its file has.
    fn has_own_type(&self) -> bool {
        self.text().is_some() && self.tag().is_some_and(|tag| !matches!(tag, "!" | "!!str"))
    }

    /// kustomize passes each value through JSON and back; the reader on the way back refuses these.
    fn refuse_control_characters(&self, text: &str) -> Result<(), Error> {
        if text.is_ascii() && !text.contains('\u{7f}') {
            return Ok(());
        }
        // JSON escapes what is below the space; the reader sees the others raw.
        match text.chars().find(|character| *character >= ' ' && is_control(*character)) {
            None => Ok(()),
            Some(character) => Err(self.error(Problem::ControlCharacter { character: character.into() })),
        }
    }

    /// A problem at this node.
    fn error(&self, problem: Problem) -> Error {
        let origin = self.origin().unwrap_or_else(|| crate::error::Origin::file(""));
        Error { problem, origin, line: self.line_text().map(Into::into) }
    }

    /// A tree with the same meaning in either reading, that no file says.
    pub fn from_value(value: &Value) -> Node {
        match value {
            Value::Null => Node::null(),
            Value::Bool(value) => Node::bool(*value),
            Value::Number(number) => Node::plain(number_text(number)),
            Value::String(text) => Node::string(text),
            Value::Array(items) => Node::sequence(items.iter().map(Node::from_value).collect()),
            Value::Object(map) => {
                let entries = map.iter().map(|(key, value)| Entry::new(key, Node::from_value(value))).collect();
                Node::new(Content::Mapping(Mapping { entries, style: CollectionStyle::Block }))
            }
        }
    }

    /// The tree of a value that was taken from another tree: what is in both stands where it was written there.
    pub fn from_value_of(value: &Value, written: &Node) -> Node {
        let mut node = Node::from_value(value);
        node.take_places(written);
        node
    }

    /// A null stays without a place: its own says whether it was written at all.
    fn take_places(&mut self, written: &Node) {
        if self.is_null() {
            return;
        }
        self.move_to(written);
        match (&mut self.content, &written.content) {
            (Content::Sequence(new), Content::Sequence(old)) => {
                new.items.iter_mut().zip(&old.items).for_each(|(new, old)| new.take_places(old));
            }
            (Content::Mapping(new), Content::Mapping(old)) => {
                let old: HashMap<&str, &Entry> =
                    old.entries.iter().filter_map(|entry| Some((entry.name()?, entry))).collect();
                for entry in &mut new.entries {
                    if let Some(old) = entry.name().and_then(|name| old.get(name)) {
                        entry.key.move_to(&old.key);
                        entry.value.take_places(&old.value);
                    }
                }
            }
            _ => {}
        }
    }

    /// Makes each text what it is once the tree has been written and read again; what has no value stays as it is.
    #[must_use]
    pub fn with_settled_texts(&self) -> Node {
        let mut node = self.closed_to_comment().unwrap_or_else(|| self.clone());
        node.settle_texts(false);
        node
    }

    fn settle_texts(&mut self, in_flow: bool) {
        match &mut self.content {
            Content::Scalar(scalar) => {
                let scalar = scalar.clone();
                if let Ok(Value::String(text)) = self.scalar_value(&scalar, Resolve::V3, in_flow)
                    && text != scalar.text
                {
                    *self = Node::string(text).at_place_of(self);
                }
            }
            Content::Sequence(sequence) => {
                let in_flow = in_flow || sequence.style == CollectionStyle::Flow;
                sequence.items.iter_mut().for_each(|item| item.settle_texts(in_flow));
            }
            Content::Mapping(mapping) => {
                let in_flow = in_flow || mapping.style == CollectionStyle::Flow;
                mapping.entries.iter_mut().for_each(|entry| entry.value.settle_texts(in_flow));
            }
        }
    }

    /// All keys below this node that occur more than once in their mapping.
    pub fn duplicate_keys(&self) -> Vec<DuplicateKey<'_>> {
        let mut found = Vec::new();
        self.find_duplicate_keys(&mut found);
        found
    }

    fn find_duplicate_keys<'a>(&'a self, found: &mut Vec<DuplicateKey<'a>>) {
        match &self.content {
            Content::Scalar(_) => {}
            Content::Sequence(sequence) => sequence.items.iter().for_each(|item| item.find_duplicate_keys(found)),
            Content::Mapping(mapping) => {
                if has_duplicate_keys(&mapping.entries) {
                    let mut first: HashMap<&str, &Node> = HashMap::new();
                    for Entry { key, .. } in &mapping.entries {
                        match key.as_str().map(|name| first.entry(name).or_insert(key)) {
                            Some(first) if !std::ptr::eq(*first, key) => {
                                found.push(DuplicateKey { first, second: key });
                            }
                            _ => {}
                        }
                    }
                }
                mapping.entries.iter().for_each(|entry| entry.value.find_duplicate_keys(found));
            }
        }
    }
}

impl Entry {
    /// True when the key is an empty text, or nothing at all.
    pub fn is_nameless(&self) -> bool {
        self.name().is_some_and(str::is_empty) || self.key.is_unwritten()
    }
}

/// True when a key stands twice in a mapping. Small ones are compared pair by pair: nearly all are small, and a set costs
/// more than it saves.
pub fn has_duplicate_keys(entries: &[Entry]) -> bool {
    const SMALL: usize = 16;
    let names = || entries.iter().filter_map(Entry::name);
    if entries.len() <= SMALL {
        return names().enumerate().any(|(at, name)| names().take(at).any(|earlier| earlier == name));
    }
    let mut seen = HashSet::with_capacity(entries.len());
    !names().all(|name| seen.insert(name))
}

/// True for text that go-yaml v3 writes on lines of its own.
fn is_written_as_block(scalar: &Scalar) -> bool {
    let wants_lines = match scalar.style {
        ScalarStyle::Plain => scalar.text.contains('\n'),
        ScalarStyle::Literal | ScalarStyle::Folded => true,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => false,
    };
    wants_lines && folded::fits_a_block(&scalar.text)
}

fn duplicate_of(mapping: &Mapping, second: &Node) -> Error {
    let first = mapping.entries.iter().find(|entry| entry.key.as_str() == second.as_str());
    DuplicateKey { first: first.map_or(second, |entry| &entry.key), second }.error()
}

fn number_text(number: &Number) -> SmolStr {
    let mut text = String::new();
    push_number(&mut text, number);
    text.into()
}
