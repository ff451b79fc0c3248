//! What no reader may see, over a whole preview at once.
//!
//! **In:** a preview's objects, as they are. **Out:** bodies and texts in which each secret value is a mark;
//! [`Masks::finish`] makes the marks of a finished text readable: `••• 1`, `••• 2`, numbered by first appearance, so
//! equal values show as equal. **May not:** let a value, its length or a plain hash of it through (G7).
//!
//! Marks are characters of Unicode's private use area, which [`Masks`] takes out of everything else it is given. An
//! object is a Secret by its own group and kind. What is masked: values of Secrets, wherever they come up again
//! ([`known`]); fields and texts that are secrets by their look ([`looks`]); cipher texts and hashes of contents, of
//! which only is said whether they change.

mod answer;
mod known;
mod looks;
mod mark;
mod veil;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use serde_json::{Map, Value};
use smol_str::SmolStr;

use crate::object::secret::{self, Masked};
use crate::object::{Object, ObjectKey};

pub(super) use self::answer::without_values;
use self::known::Known;
pub use self::looks::FieldRule;
pub(super) use self::mark::Finishing;
use self::mark::{END, VALUE, is_marked, unmark};
use self::veil::{ENCRYPTED, Veil, Veiled, veil_of};
use super::phrase::Phrase;
use super::{Change, Preview, escape, generated, risk, shape};

/// What is hidden, and under which number.
pub struct Masks {
    values: RefCell<IndexMap<Masked, ()>>,
    veils: RefCell<IndexMap<Veil, ()>>,
    known: Known,
    rules: Vec<FieldRule>,
    /// Secrets whose name ends in a hash of their contents, with the rest of the name.
    hashed: BTreeMap<SmolStr, String>,
}

/// A change whose bodies may be shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shown {
    /// As the base renders it.
    pub before: Option<Value>,
    /// As the merge result renders it.
    pub after: Option<Value>,
}

impl Masks {
    /// For all that a preview holds; `rules` are the project's own (`previews.mask`), taken from the base branch.
    pub fn of(preview: &Preview, rules: Vec<FieldRule>) -> Self {
        let mut values: Vec<Masked> = Vec::new();
        let mut hashed: BTreeMap<SmolStr, String> = BTreeMap::new();
        let mut public: BTreeSet<SmolStr> = BTreeSet::new();
        let mut see = |object: &Object| {
            let ObjectKey { kind, namespace, name, .. } = &object.key;
            public.extend([Some(kind), namespace.as_ref(), Some(name)].into_iter().flatten().cloned());
            public.extend(risk::images(&object.body).flat_map(|image| image.split(['/', ':', '@'])).map(SmolStr::new));
            if secret::is_secret(&object.key) {
                values.extend(values_of(object));
                if let Some(stem) = generated::stem(&object.key) {
                    hashed.insert(name.clone(), format!("{stem}*"));
                }
            }
        };
        for environment in &preview.environments {
            environment.facts.base.iter().chain(&environment.facts.merged).for_each(|object| see(object));
            for change in environment.applications.iter().flat_map(|application| application.outcome.changes()) {
                [&change.before, &change.after].into_iter().flatten().for_each(|object| see(object));
                if let Some(live) = change.live()
                    && let Ok(object) = Object::from_value(live.clone(), None)
                {
                    see(&object);
                }
            }
        }
        // What an object or an image is called is in the open already: hidden elsewhere, nothing of the preview could
        // be read where a user of a database is called like the database.
        values.retain(|value| value.expose_text().is_none_or(|text| !public.contains(text)));
        let numbers: IndexMap<Masked, ()> = values.into_iter().map(|value| (value, ())).collect();
        let known = Known::of(numbers.keys());
        Masks { values: RefCell::new(numbers), veils: RefCell::default(), known, rules, hashed }
    }

    /// Both sides of a change, without what is not git's to say.
    pub fn change(&self, change: &Change) -> Shown {
        let side = |body: Option<&Value>| body.map(|body| self.body(&change.key, body));
        let (mut before, mut after) = (side(change.before_body()), side(change.after_body()));
        self.settle(before.as_mut(), after.as_mut());
        Shown { before, after }
    }

    /// The live body of a changed object.
    pub(super) fn live(&self, change: &Change, live: &Value) -> Value {
        let mut body = self.body(&change.key, live);
        self.settle_alone(&mut body);
        body
    }

    /// A text of somebody else's, such as a name in a sentence, an image, a path.
    pub fn text(&self, text: &str) -> String {
        self.unveiled(&self.masked(text))
    }

    /// The same of each name in a sentence.
    pub fn phrase(&self, phrase: &Phrase) -> Phrase {
        phrase.map_names(|name| self.text(name))
    }

    /// The name of an object: without the hash of a Secret's contents.
    pub fn name(&self, key: &ObjectKey) -> String {
        match generated::stem(key).filter(|_| secret::is_secret(key)) {
            Some(stem) => format!("{stem}*"),
            None => escape::unmarked(&key.name).into_owned(),
        }
    }

    /// What an API server answered about an object.
    pub fn answer(&self, about: &ObjectKey, text: &str) -> String {
        self.text(&answer::without_values(about, text))
    }

    /// A finished text: each mark becomes `••• n`, in the order in which they come up.
    pub fn finish(&self, text: &str) -> String {
        Finishing::default().finish(text)
    }

    /// The most bytes that a text with marks can have when it is finished.
    pub(super) fn bound(&self, text: &str) -> usize {
        const LONGER: usize = 10;
        text.len() + text.matches(VALUE).count() * LONGER
    }

    fn body(&self, key: &ObjectKey, body: &Value) -> Value {
        let mut body = shape::readable(body);
        unmark(&mut body);
        if secret::is_secret(key) {
            self.secret(&mut body);
        }
        let is_encrypted = body.get("sops").is_some_and(Value::is_object);
        let place = Place { key, is_encrypted, veil: None };
        self.walk(&mut body, &place, &mut Vec::new());
        body
    }

    /// Each value of a Secret, in whatever shape it is.
    fn secret(&self, body: &mut Value) {
        for field in ["data", "stringData"] {
            match body.get_mut(field) {
                None | Some(Value::Null) => {}
                Some(Value::Object(values)) => {
                    for value in values.values_mut().filter(|value| !value.is_null()) {
                        *value = self.mark(&decoded(value, field)).into();
                    }
                    let is_key = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
                    if !values.keys().all(|name| is_key(name)) {
                        let name = |name: String| if is_key(&name) { name } else { self.mark(name.as_bytes()) };
                        *values = std::mem::take(values).into_iter().map(|(key, value)| (name(key), value)).collect();
                    }
                }
                // No mapping: whatever it is, it may hold a value.
                Some(other) => *other = self.mark(other.to_string().as_bytes()).into(),
            }
        }
        // As the API server has it: what is written plain stands with the rest, and wins.
        if let Value::Object(map) = body
            && let Some(Value::Object(mut plain)) = map.shift_remove("stringData")
        {
            match map.entry("data").or_insert_with(|| Value::Object(Map::new())) {
                Value::Object(data) => data.append(&mut plain),
                other => *other = plain.into(),
            }
        }
    }

    fn mark(&self, value: &[u8]) -> String {
        let mut values = self.values.borrow_mut();
        let number = values.insert_full(Masked::new(value), ()).0;
        format!("{VALUE}{number}{END}")
    }

    fn walk(&self, value: &mut Value, place: &Place<'_>, path: &mut Vec<SmolStr>) {
        match value {
            Value::Object(map) => self.walk_mapping(map, place, path),
            Value::Array(items) => {
                for item in items {
                    path.push("*".into());
                    self.walk(item, place, path);
                    path.pop();
                }
            }
            Value::String(text) if is_marked(text) => {}
            Value::String(text) => {
                if let Some(shown) = self.leaf(text, place, path) {
                    *text = shown;
                }
            }
            Value::Number(number) if looks::is_secret_path(path) || self.is_ruled(place.key, path) => {
                *value = self.mark(number.to_string().as_bytes()).into();
            }
            Value::Number(_) | Value::Bool(_) | Value::Null => {}
        }
    }

    fn walk_mapping(&self, map: &mut Map<String, Value>, place: &Place<'_>, path: &mut Vec<SmolStr>) {
        // `{name: DB_PASSWORD, value: …}`: the name tells what the value is.
        let named_secret = map.get("name").and_then(Value::as_str).is_some_and(looks::is_secret_name);
        if named_secret
            && let Some(Value::String(text)) = map.get_mut("value")
            && !text.is_empty()
            && !is_marked(text)
        {
            *text = self.mark(text.as_bytes());
        }
        let has_odd_keys = map.keys().any(|name| self.masked(name) != *name && !is_marked(name));
        if has_odd_keys {
            let name = |name: String| if is_marked(&name) { name } else { self.unveiled(&self.masked(&name)) };
            *map = std::mem::take(map).into_iter().map(|(key, value)| (name(key), value)).collect();
        }
        for (name, value) in map.iter_mut() {
            path.push(name.into());
            let veil = veil_of(place, path);
            self.walk(value, &Place { veil: veil.or(place.veil), ..*place }, path);
            path.pop();
        }
    }

    /// A text as it may be shown, when it is not to be shown as it is.
    fn leaf(&self, text: &str, place: &Place<'_>, path: &[SmolStr]) -> Option<String> {
        if text.is_empty() || is_identity(path) {
            return self.hashed.get(text).filter(|_| secret::is_secret(place.key)).cloned();
        }
        if let Some(Veiled { shown, changed }) = place.veil {
            return Some(self.veil(text, shown, changed));
        }
        if text.starts_with("ENC[") {
            return Some(self.veil(text, ENCRYPTED.shown, ENCRYPTED.changed));
        }
        if looks::is_secret_path(path) || self.is_ruled(place.key, path) {
            return Some(self.mark(text.as_bytes()));
        }
        if path.first().is_some_and(|first| first == "binaryData") {
            let shown = match STANDARD.decode(text) {
                Ok(bytes) => format!("binary, {} bytes", bytes.len()),
                Err(_) => "binary".into(),
            };
            return Some(self.veil(text, &shown, &format!("{shown}, changed")));
        }
        let shown = self.masked(text);
        (shown != text).then_some(shown)
    }

    fn is_ruled(&self, key: &ObjectKey, path: &[SmolStr]) -> bool {
        self.rules.iter().any(|rule| rule.covers(key, path))
    }

    /// A text in which the values of Secrets, and what looks like a secret, are marks.
    fn masked(&self, text: &str) -> String {
        let text = escape::unmarked(text);
        let mark = |value: &[u8]| self.mark(value);
        let text = looks::masked(&text, &mark);
        let text = self.known.masked(&text, &|number| format!("{VALUE}{number}{END}"));
        self.without_hashes(&text)
    }

    /// The names of generated Secrets without their hashes.
    fn without_hashes(&self, text: &str) -> String {
        if self.hashed.is_empty() {
            return text.to_owned();
        }
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(is_part) {
            shown.push_str(&rest[..at]);
            let end = rest[at..].find(|c| !is_part(c)).map_or(rest.len(), |length| at + length);
            let word = &rest[at..end];
            match self.hashed.get(word) {
                Some(stem) => shown.push_str(&self.veil(word, stem, &format!("{stem} (changed)"))),
                None => shown.push_str(word),
            }
            rest = &rest[end..];
        }
        shown + rest
    }
}

/// Where in an object a value is.
#[derive(Clone, Copy)]
struct Place<'a> {
    key: &'a ObjectKey,
    is_encrypted: bool,
    veil: Option<Veiled>,
}

/// What says which object it is, or of which kind: known to whoever sees that there is one.
fn is_identity(path: &[SmolStr]) -> bool {
    match path {
        [field] => field == "apiVersion" || field == "kind",
        [metadata, field] => metadata == "metadata" && (field == "name" || field == "namespace"),
        _ => false,
    }
}

/// The bytes that a field of a Secret stands for: the same value is the same in both fields.
fn decoded(value: &Value, field: &str) -> Vec<u8> {
    match value {
        Value::String(text) if field == "data" => {
            let compact: String = text.split_ascii_whitespace().collect();
            STANDARD.decode(compact).unwrap_or_else(|_| text.clone().into_bytes())
        }
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    }
}

/// All that a Secret holds, and what is inside where a value is JSON itself, as registry credentials are.
fn values_of(object: &Object) -> Vec<Masked> {
    let mut values = secret::values(object);
    let inner: Vec<Masked> = values
        .iter()
        .filter_map(|value| serde_json::from_slice::<Value>(value.expose()).ok())
        .filter(|value| value.is_object() || value.is_array())
        .flat_map(|value| {
            let mut texts = Vec::new();
            texts_of(&value, &mut texts);
            texts
        })
        .collect();
    values.extend(inner);
    values
}

fn texts_of(value: &Value, into: &mut Vec<Masked>) {
    match value {
        Value::Object(map) => map.values().for_each(|value| texts_of(value, into)),
        Value::Array(items) => items.iter().for_each(|value| texts_of(value, into)),
        Value::String(text) => into.push(Masked::new(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
