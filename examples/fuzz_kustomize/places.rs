//! Where in an object things stand, in the three ways in which kustomize is told so.

use serde_json::Value;

use super::random::Random;

/// One step from a value to what it holds.
#[derive(Clone)]
pub(crate) enum Step {
    Field(String),
    /// A place in a list, and the name of what stands there if it has one.
    Item(usize, Option<String>),
}

/// A place in an object and what stands there.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) steps: Vec<Step>,
    pub(crate) value: Value,
}

/// All places below a value, outer ones first.
pub(crate) fn places(value: &Value) -> Vec<Place> {
    let mut found = Vec::new();
    walk(value, &mut Vec::new(), &mut found);
    found
}

fn walk(value: &Value, steps: &mut Vec<Step>, found: &mut Vec<Place>) {
    if !steps.is_empty() {
        found.push(Place { steps: steps.clone(), value: value.clone() });
    }
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                steps.push(Step::Field(key.clone()));
                walk(value, steps, found);
                steps.pop();
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                let name = item.get("name").and_then(Value::as_str).map(str::to_owned);
                steps.push(Step::Item(at, name));
                walk(item, steps, found);
                steps.pop();
            }
        }
        _ => {}
    }
}

impl Place {
    pub(crate) fn is_scalar(&self) -> bool {
        !self.value.is_object() && !self.value.is_array()
    }

    /// True for what identifies the object.
    pub(crate) fn is_identity(&self) -> bool {
        match self.steps.as_slice() {
            [Step::Field(field)] => field == "apiVersion" || field == "kind" || field == "metadata",
            [Step::Field(one), Step::Field(two)] => one == "metadata" && (two == "name" || two == "namespace"),
            _ => false,
        }
    }

    /// `/spec/containers/0/image`.
    pub(crate) fn pointer(&self) -> String {
        let part = |step: &Step| match step {
            Step::Field(field) => format!("/{}", field.replace('~', "~0").replace('/', "~1")),
            Step::Item(at, _) => format!("/{at}"),
        };
        self.steps.iter().map(part).collect()
    }

    /// `spec.containers.[name=main].image`, as replacements are told it.
    pub(crate) fn dotted(&self, random: &mut Random) -> String {
        let mut parts = Vec::new();
        for step in &self.steps {
            parts.push(match step {
                Step::Field(field) if field.contains('.') => match random.chance(5) {
                    true => format!("[{field}]"),
                    false => field.replace('.', "\\."),
                },
                Step::Field(field) => field.clone(),
                Step::Item(at, None) => at.to_string(),
                Step::Item(at, Some(name)) => match random.below(10) {
                    0 => "*".into(),
                    1 | 2 => at.to_string(),
                    _ => format!("[name={name}]"),
                },
            });
        }
        parts.join(".")
    }
}
