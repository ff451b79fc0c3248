//! Texts of which only is said whether they change: cipher texts, hashes of contents, names that end in one.

use serde_json::Value;
use smol_str::SmolStr;

use crate::object::secret::Masked;

use super::mark::{END, VEILED, is_number};
use super::{Masks, Place};

/// A text that says too much, and what is said instead.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Veil {
    text: Masked,
    shown: String,
    changed: String,
}

/// What is said of a text of which only is said whether it changes.
#[derive(Clone, Copy)]
pub(super) struct Veiled {
    pub(super) shown: &'static str,
    pub(super) changed: &'static str,
}

pub(super) const ENCRYPTED: Veiled = Veiled { shown: "(encrypted)", changed: "changed (encrypted)" };
/// A hash of contents is something to test guesses against.
const HASH: Veiled = Veiled { shown: "(a hash)", changed: "changed (a hash)" };

/// Which texts of an object are cipher texts or hashes.
pub(super) fn veil_of(place: &Place<'_>, path: &[SmolStr]) -> Option<Veiled> {
    let last = path.last()?.as_str();
    if last.starts_with("checksum/") {
        return Some(HASH);
    }
    if place.is_encrypted && path.first().is_some_and(|first| first == "sops") {
        return Some(ENCRYPTED);
    }
    (last.eq_ignore_ascii_case("encryptedData")
        && (place.key.kind == "SealedSecret" || place.key.kind == "EncryptedData"))
        .then_some(ENCRYPTED)
}

impl Masks {
    /// The mark of such a text.
    pub(super) fn veil(&self, text: &str, shown: &str, changed: &str) -> String {
        let veil = Veil { text: Masked::new(text), shown: shown.into(), changed: changed.into() };
        let number = self.veils.borrow_mut().insert_full(veil, ()).0;
        format!("{VEILED}{number}{END}")
    }

    /// Says of each veiled text whether it changes.
    pub(super) fn settle(&self, before: Option<&mut Value>, after: Option<&mut Value>) {
        match (before, after) {
            (Some(Value::Object(before)), Some(Value::Object(after))) => {
                for (name, value) in before.iter_mut() {
                    self.settle(Some(value), after.get_mut(name));
                }
                let alone = after.iter_mut().filter(|(name, _)| !before.contains_key(*name));
                alone.for_each(|(_, value)| self.settle_alone(value));
            }
            (Some(Value::Array(before)), Some(Value::Array(after))) => self.settle_lists(before, after),
            (Some(Value::String(before)), Some(Value::String(after))) => {
                let changes = before != after;
                *before = self.unveiled(before);
                *after = if changes { self.unveiled_as(after, |veil| &veil.changed) } else { self.unveiled(after) };
            }
            (before, after) => [before, after].into_iter().flatten().for_each(|value| self.settle_alone(value)),
        }
    }

    /// Items are paired by name where they have one: an insertion does not make all that follows a change.
    fn settle_lists(&self, before: &mut [Value], after: &mut [Value]) {
        let name = |item: &Value| item.get("name").and_then(Value::as_str).map(str::to_owned);
        const MOST: usize = 1_000;
        let is_named = before.len() <= MOST && before.iter().chain(after.iter()).all(|item| name(item).is_some());
        let mut settled = vec![false; after.len()];
        for (at, item) in before.iter_mut().enumerate() {
            let partner = match is_named {
                true => after.iter().position(|other| name(other) == name(item)),
                false => (at < after.len()).then_some(at),
            };
            let partner = partner.filter(|at| !std::mem::replace(&mut settled[*at], true));
            self.settle(Some(item), partner.and_then(|at| after.get_mut(at)));
        }
        let alone = after.iter_mut().zip(settled).filter(|(_, settled)| !settled);
        alone.for_each(|(item, _)| self.settle_alone(item));
    }

    pub(super) fn settle_alone(&self, value: &mut Value) {
        match value {
            Value::Object(map) => map.values_mut().for_each(|value| self.settle_alone(value)),
            Value::Array(items) => items.iter_mut().for_each(|value| self.settle_alone(value)),
            Value::String(text) => *text = self.unveiled(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    pub(super) fn unveiled(&self, text: &str) -> String {
        self.unveiled_as(text, |veil| &veil.shown)
    }

    fn unveiled_as(&self, text: &str, words: impl Fn(&Veil) -> &String) -> String {
        let veils = self.veils.borrow();
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, mark)) = rest.split_once(VEILED) {
            shown.push_str(before);
            let Some((number, after)) = mark.split_once(END).filter(|(number, _)| is_number(number)) else {
                rest = mark;
                continue;
            };
            if let Some((veil, ())) = number.parse().ok().and_then(|number| veils.get_index(number)) {
                shown.push_str(words(veil));
            }
            rest = after;
        }
        shown + rest
    }
}
