//! What an Application says does not count as a difference (`spec.ignoreDifferences`).

use serde_json::Value;

use crate::api::argo::IgnoreDifference;
use crate::object::ObjectKey;

/// The rules that are about one object.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    pointers: Vec<Vec<String>>,
    paths: Vec<Vec<Segment>>,
    /// Managers whose changes do not count.
    pub(super) managers: Vec<String>,
}

impl Ignored {
    pub(super) fn of(rules: &[IgnoreDifference], key: &ObjectKey) -> Self {
        let mut ignored = Ignored::default();
        let concerns = |rule: &&IgnoreDifference| {
            is_match(&rule.group, &key.group)
                && is_match(&rule.kind, &key.kind)
                && rule.name.as_deref().is_none_or(|name| name == key.name)
                && rule.namespace.as_deref().is_none_or(|namespace| Some(namespace) == key.namespace.as_deref())
        };
        for rule in rules.iter().filter(concerns) {
            ignored.pointers.extend(rule.json_pointers.iter().map(|pointer| tokens(pointer)));
            // One that is not understood hides nothing.
            ignored.paths.extend(rule.jq_path_expressions.iter().filter_map(|path| parse(path)));
            ignored.managers.extend(rule.managed_fields_managers.iter().cloned());
        }
        ignored
    }

    /// The object without what is ignored.
    pub(super) fn take_out(&self, body: &mut Value) {
        for pointer in &self.pointers {
            remove(body, pointer);
        }
        for path in &self.paths {
            // One that fails on this object hides nothing of it.
            if let Some(found) = select(body, path) {
                for pointer in found.iter().rev() {
                    remove(body, pointer);
                }
            }
        }
    }
}

/// RFC 6901.
fn tokens(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect()
}

fn remove(body: &mut Value, pointer: &[String]) {
    let Some((last, before)) = pointer.split_last() else { return };
    let mut at = body;
    for token in before {
        let next = match at {
            Value::Object(map) => map.get_mut(token),
            Value::Array(items) => token.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
            _ => None,
        };
        let Some(next) = next else { return };
        at = next;
    }
    match at {
        Value::Object(map) => drop(map.shift_remove(last)),
        Value::Array(items) => {
            if let Some(index) = last.parse::<usize>().ok().filter(|index| *index < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

/// A glob in which `*` is any text and `?` any character.
fn is_match(glob: &str, text: &str) -> bool {
    fn from(glob: &[char], text: &[char]) -> bool {
        match glob.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skipped| from(rest, &text[skipped..])),
            Some(('?', rest)) => !text.is_empty() && from(rest, &text[1..]),
            Some((c, rest)) => text.first() == Some(c) && from(rest, &text[1..]),
        }
    }
    let chars = |text: &str| text.chars().collect::<Vec<char>>();
    from(&chars(glob), &chars(text))
}

/// One step of a jq path.
#[derive(Clone, Debug, PartialEq)]
enum Segment {
    /// `.name`, `."na/me"`, `["name"]`
    Field(String),
    /// `[2]`
    Index(usize),
    /// `[]`
    Each,
    /// `select(.path == value)`
    Select { path: Vec<Segment>, equals: bool, value: Value },
}

/// The paths that people write: fields, items, and `select` with a comparison.
fn parse(text: &str) -> Option<Vec<Segment>> {
    let mut segments = Vec::new();
    for part in text.split('|').map(str::trim) {
        if let Some(condition) = part.strip_prefix("select(").and_then(|rest| rest.strip_suffix(')')) {
            let (path, equals, value) = match condition.split_once("==") {
                Some((path, value)) => (path, true, value),
                None => condition.split_once("!=").map(|(path, value)| (path, false, value))?,
            };
            let value = serde_json::from_str(value.trim()).ok()?;
            segments.push(Segment::Select { path: parse_path(path.trim())?, equals, value });
        } else {
            segments.extend(parse_path(part)?);
        }
    }
    Some(segments)
}

fn parse_path(text: &str) -> Option<Vec<Segment>> {
    let mut segments = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        rest = rest.strip_prefix('?').unwrap_or(rest);
        if let Some(inside) = rest.strip_prefix('[') {
            let (inside, after) = inside.split_once(']')?;
            segments.push(match inside.trim() {
                "" => Segment::Each,
                number if number.bytes().all(|c| c.is_ascii_digit()) => Segment::Index(number.parse().ok()?),
                name => Segment::Field(serde_json::from_str(name).ok()?),
            });
            rest = after;
        } else if let Some(after) = rest.strip_prefix('.') {
            if let Some(quoted) = after.strip_prefix('"') {
                let (name, after) = quoted.split_once('"')?;
                segments.push(Segment::Field(name.to_owned()));
                rest = after;
            } else {
                let end = after.find(['.', '[', '?']).unwrap_or(after.len());
                let name = &after[..end];
                if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                    return None;
                }
                if !name.is_empty() {
                    segments.push(Segment::Field(name.to_owned()));
                }
                rest = &after[end..];
            }
        } else if !rest.is_empty() {
            return None;
        }
    }
    Some(segments)
}

/// The places that a path leads to; `None` when jq would fail on this object.
fn select(body: &Value, path: &[Segment]) -> Option<Vec<Vec<String>>> {
    let mut found: Vec<(Vec<String>, &Value)> = vec![(Vec::new(), body)];
    for segment in path {
        let mut next = Vec::new();
        for (pointer, value) in found {
            let mut push = |token: String, value| {
                let mut pointer = pointer.clone();
                pointer.push(token);
                next.push((pointer, value));
            };
            match (segment, value) {
                (_, Value::Null) => {}
                (Segment::Field(name), Value::Object(map)) => {
                    if let Some(value) = map.get(name) {
                        push(name.clone(), value);
                    }
                }
                (Segment::Index(index), Value::Array(items)) => {
                    if let Some(value) = items.get(*index) {
                        push(index.to_string(), value);
                    }
                }
                (Segment::Each, Value::Array(items)) => {
                    items.iter().enumerate().for_each(|(index, value)| push(index.to_string(), value));
                }
                (Segment::Each, Value::Object(map)) => map.iter().for_each(|(name, value)| push(name.clone(), value)),
                (Segment::Select { path, equals, value: wanted }, value) => {
                    let at = select(value, path)?;
                    let seen = at.first().and_then(|pointer| at_pointer(value, pointer)).unwrap_or(&Value::Null);
                    if (seen == wanted) == *equals {
                        next.push((pointer, value));
                    }
                }
                _ => return None,
            }
        }
        found = next;
    }
    Some(found.into_iter().map(|(pointer, _)| pointer).collect())
}

fn at_pointer<'a>(value: &'a Value, pointer: &[String]) -> Option<&'a Value> {
    pointer.iter().try_fold(value, |value, token| match value {
        Value::Object(map) => map.get(token),
        Value::Array(items) => items.get(token.parse::<usize>().ok()?),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_take_out_what_they_lead_to() {
        let body = json!({"spec": {"replicas": 2, "containers": [{"name": "web", "image": "a"}, {"name": "side", "image": "b"}]},
            "metadata": {"annotations": {"a/b": "1", "c": "2"}}});
        let cases = [
            // expression, what is gone
            (".spec.containers[] | select(.name == \"side\") | .image", "/spec/containers/1/image"),
            (".spec.containers[0].image", "/spec/containers/0/image"),
            (".metadata.annotations[\"a/b\"]", "/metadata/annotations/a~1b"),
            (".metadata.annotations.\"a/b\"", "/metadata/annotations/a~1b"),
        ];
        for (expression, gone) in cases {
            let path = parse(expression).unwrap();
            let mut left = body.clone();
            let ignored = Ignored { paths: vec![path], ..Ignored::default() };
            ignored.take_out(&mut left);
            assert!(left.pointer(gone).is_none(), "{expression}: {left}");
            let mut expected = body.clone();
            remove(&mut expected, &tokens(gone));
            assert_eq!(left, expected, "{expression}");
        }
        assert_eq!(select(&body, &parse(".spec.replicas[]").unwrap()), None, "numbers have no items");
        assert_eq!(parse("del(.spec)"), None);
    }

    #[test]
    fn globs_are_for_whole_texts() {
        for (glob, text, expected) in
            [("*", "apps", true), ("", "", true), ("", "apps", false), ("Stateful*", "StatefulSet", true)]
        {
            assert_eq!(is_match(glob, text), expected, "{glob}");
        }
    }
}
