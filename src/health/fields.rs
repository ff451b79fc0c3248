//! Reads fields of an object whose type is not known here; what is absent or of another type counts as absent.

use serde_json::Value;

/// An object, or a part of one.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a Value);

/// An entry of `status.conditions`.
#[derive(Clone, Copy)]
pub(super) struct Condition<'a> {
    pub(super) kind: &'a str,
    pub(super) status: &'a str,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
    /// All of it.
    pub(super) fields: Fields<'a>,
}

impl Condition<'_> {
    pub(super) fn is_true(&self) -> bool {
        self.status == "True"
    }

    pub(super) fn is_false(&self) -> bool {
        self.status == "False"
    }
}

impl<'a> Fields<'a> {
    /// The value at a dotted path.
    pub(super) fn at(self, path: &str) -> Option<&'a Value> {
        path.split('.').try_fold(self.0, |value, name| value.get(name)).filter(|value| !value.is_null())
    }

    /// The text there; empty when there is none.
    pub(super) fn text(self, path: &str) -> &'a str {
        self.at(path).and_then(Value::as_str).unwrap_or_default()
    }

    /// The integer there.
    pub(super) fn integer(self, path: &str) -> Option<i64> {
        self.at(path)?.as_i64()
    }

    /// The integer there; 0 when there is none.
    pub(super) fn count(self, path: &str) -> i64 {
        self.integer(path).unwrap_or(0)
    }

    pub(super) fn is_true(self, path: &str) -> bool {
        self.at(path) == Some(&Value::Bool(true))
    }

    /// The items of the list there.
    pub(super) fn list(self, path: &str) -> impl DoubleEndedIterator<Item = Fields<'a>> {
        self.at(path).and_then(Value::as_array).into_iter().flatten().map(Fields)
    }

    /// `apps`; empty for the core group.
    pub(super) fn group(self) -> &'a str {
        crate::object::split_api_version(self.text("apiVersion")).0
    }

    pub(super) fn kind(self) -> &'a str {
        self.text("kind")
    }

    pub(super) fn name(self) -> &'a str {
        self.text("metadata.name")
    }

    pub(super) fn is_deleting(self) -> bool {
        self.at("metadata.deletionTimestamp").is_some()
    }

    pub(super) fn has_finalizer(self, name: &str) -> bool {
        self.list("metadata.finalizers").any(|finalizer| finalizer.0 == name)
    }

    pub(super) fn annotation(self, name: &str) -> Option<&'a str> {
        self.at("metadata.annotations")?.get(name)?.as_str()
    }

    /// The controller has not seen the newest spec yet.
    pub(super) fn is_stale(self) -> bool {
        self.count("metadata.generation") > self.count("status.observedGeneration")
    }

    pub(super) fn conditions(self) -> impl DoubleEndedIterator<Item = Condition<'a>> {
        self.conditions_at("status.conditions")
    }

    /// Where a controller keeps them elsewhere, or of a part of the object.
    pub(super) fn conditions_at(self, path: &str) -> impl DoubleEndedIterator<Item = Condition<'a>> {
        self.list(path).map(|condition| Condition {
            kind: condition.text("type"),
            status: match condition.at("status") {
                // Some controllers write what YAML makes of an unquoted True.
                Some(Value::Bool(true)) => "True",
                Some(Value::Bool(false)) => "False",
                _ => condition.text("status"),
            },
            reason: condition.text("reason"),
            message: condition.text("message"),
            fields: condition,
        })
    }

    pub(super) fn condition(self, kind: &str) -> Option<Condition<'a>> {
        self.conditions().find(|condition| condition.kind == kind)
    }
}
