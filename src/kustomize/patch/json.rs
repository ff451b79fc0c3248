//! JSON 6902: a list of operations on paths, as evanphx/json-patch 4 executes them.
//!
//! Where that library goes beyond RFC 6902 or falls behind it, so does this: negative indices count from the end, and
//! `replace` adds a key that is missing in a mapping that is there.

use smol_str::SmolStr;

use crate::kustomize::error::{Error, Problem};
use crate::kustomize::resource::{count, depth};
use crate::yaml::{self, Entry, Node, Plain, Resolve};

/// One operation.
#[derive(Clone, Debug)]
pub(in crate::kustomize) struct Operation {
    what: What,
    path: String,
    /// Where it was written.
    at: Node,
}

#[derive(Clone, Debug)]
enum What {
    Add(Node),
    Remove,
    Replace(Node),
    Move(String),
    Copy(String),
    Test(Option<Node>),
}

impl What {
    fn name(&self) -> &'static str {
        match self {
            What::Add(_) => "add",
            What::Remove => "remove",
            What::Replace(_) => "replace",
            What::Move(_) => "move",
            What::Copy(_) => "copy",
            What::Test(_) => "test",
        }
    }
}

/// The operations that a list says; `None` when it is no list of operations.
pub(in crate::kustomize) fn operations(list: &Node) -> Option<Vec<Operation>> {
    list.as_sequence()?.iter().map(operation).collect()
}

fn operation(node: &Node) -> Option<Operation> {
    // Of a field that is there twice the last one holds.
    let get = |field: &str| Some(&node.as_mapping()?.iter().rev().find(|entry| entry.is_under(field))?.value);
    let text = |field| Some(get(field)?.as_str()?.to_owned());
    let value = |field| -> Option<Node> {
        let written = get(field)?;
        Some(Node::from_value(&written.to_value(Resolve::V2).ok()?).at_place_of(written))
    };
    let value_or_null = || value("value").unwrap_or_else(Node::null);
    let what = match get("op")?.as_str()? {
        "add" => What::Add(value_or_null()),
        "remove" => What::Remove,
        "replace" => What::Replace(value_or_null()),
        "move" => What::Move(text("from")?),
        "copy" => What::Copy(text("from")?),
        "test" => What::Test(value("value")),
        _ => return None,
    };
    let at = get("path").map_or_else(|| node.clone(), |path| Node::string("").at_place_of(path));
    Some(Operation { what, path: text("path")?, at })
}

/// Executes the operations one after the other.
///
/// # Errors
/// When one has nothing to work on, or a test fails.
pub(in crate::kustomize) fn apply(object: &mut Node, operations: &[Operation]) -> Result<(), Error> {
    for operation in operations {
        operation.execute(object).map_err(|reason| {
            let problem = Problem::Operation {
                operation: operation.what.name(),
                path: operation.path.clone(),
                reason: reason.to_string(),
            };
            Error::at(&operation.at, problem)
        })?;
    }
    settle(object);
    Ok(())
}

/// How deep an object may get by operations.
const MAX_DEPTH: usize = 500;

/// How many values one `copy` may copy: each can double an object.
const MAX_COPIED: usize = 10_000;

/// Why an operation fails.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
enum Failure {
    #[error("there is no `{0}`")]
    NoParent(String),
    #[error("`{0}` is missing")]
    NoKey(String),
    #[error("the list has no place {0}")]
    NoIndex(String),
    #[error("the whole object can't be the target")]
    Whole,
    #[error("the value is another one")]
    Differs,
    #[error("what it makes is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    #[error("it copies more than {MAX_COPIED} values")]
    TooMuch,
}

impl Operation {
    fn execute(&self, object: &mut Node) -> Result<(), Failure> {
        match &self.what {
            What::Add(value) => add(object, &self.path, value.clone()),
            What::Remove => remove(object, &self.path).map(drop),
            What::Replace(value) => replace(object, &self.path, value.clone()),
            What::Move(from) => {
                let value = remove(object, from)?;
                add(object, &self.path, value)
            }
            What::Copy(from) => {
                let value = get(object, from)?;
                if value.is_some_and(|value| count(value) > MAX_COPIED) {
                    return Err(Failure::TooMuch);
                }
                let value = value.cloned().unwrap_or_else(Node::null);
                add(object, &self.path, value)
            }
            What::Test(expected) => {
                let found = get(object, &self.path)?;
                let same = match (found.filter(|found| !found.is_null()), expected) {
                    (None, None) => true,
                    (None, Some(expected)) => expected.is_null(),
                    (Some(_), None) => false,
                    (Some(found), Some(expected)) => equal(found, expected),
                };
                if same { Ok(()) } else { Err(Failure::Differs) }
            }
        }
    }
}

/// The node that holds what the path's last part names, and that part.
fn parent<'a>(object: &'a mut Node, path: &str) -> Result<(&'a mut Node, SmolStr), Failure> {
    let (above, last) = path.rsplit_once('/').ok_or(Failure::Whole)?;
    let mut node = object;
    for part in above.split('/').skip(1) {
        node = child(node, &unescape(part)).ok_or_else(|| Failure::NoParent(above.to_owned()))?;
    }
    if node.is_scalar() {
        return Err(Failure::NoParent(above.to_owned()));
    }
    Ok((node, unescape(last)))
}

fn child<'a>(node: &'a mut Node, part: &str) -> Option<&'a mut Node> {
    if node.is_sequence() {
        let items = node.as_sequence_mut()?;
        let at = index(part, items.len())?;
        items.get_mut(at)
    } else {
        node.get_mut(part)
    }
}

/// A place in a list; negative numbers count from the end.
fn index(part: &str, length: usize) -> Option<usize> {
    let number: i64 = part.parse().ok()?;
    let length = i64::try_from(length).ok()?;
    let at = if number < 0 { number + length } else { number };
    usize::try_from(at).ok().filter(|_| at < length)
}

fn unescape(part: &str) -> SmolStr {
    if part.contains('~') { part.replace("~1", "/").replace("~0", "~").into() } else { part.into() }
}

fn get<'a>(object: &'a mut Node, path: &str) -> Result<Option<&'a Node>, Failure> {
    let (parent, last) = parent(object, path)?;
    if parent.is_sequence() {
        let found = child(parent, &last);
        return found.map(|found| Some(&*found)).ok_or_else(|| Failure::NoIndex(last.to_string()));
    }
    Ok(parent.get(&last))
}

fn add(object: &mut Node, path: &str, value: Node) -> Result<(), Failure> {
    check_depth(path, &value)?;
    let (parent, last) = parent(object, path)?;
    match parent.as_sequence_mut() {
        Some(items) if last == "-" => items.push(value),
        Some(items) => {
            let at = index(&last, items.len() + 1).ok_or_else(|| Failure::NoIndex(last.to_string()))?;
            items.insert(at, value);
        }
        None => set(parent, &last, value),
    }
    Ok(())
}

fn check_depth(path: &str, value: &Node) -> Result<(), Failure> {
    let above = path.split('/').count();
    if above + depth(value) > MAX_DEPTH { Err(Failure::TooDeep) } else { Ok(()) }
}

fn replace(object: &mut Node, path: &str, value: Node) -> Result<(), Failure> {
    check_depth(path, &value)?;
    let (parent, last) = parent(object, path)?;
    if parent.is_sequence() {
        let place = child(parent, &last).ok_or_else(|| Failure::NoIndex(last.to_string()))?;
        *place = value;
    } else {
        set(parent, &last, value);
    }
    Ok(())
}

fn remove(object: &mut Node, path: &str) -> Result<Node, Failure> {
    let (parent, last) = parent(object, path)?;
    match parent.as_sequence_mut() {
        Some(items) => {
            let at = index(&last, items.len()).ok_or_else(|| Failure::NoIndex(last.to_string()))?;
            Ok(items.remove(at))
        }
        None => parent.remove(&last).ok_or_else(|| Failure::NoKey(last.to_string())),
    }
}

fn set(parent: &mut Node, key: &str, value: Node) {
    if let Some(place) = parent.get_mut(key) {
        *place = value;
    } else if let Some(entries) = parent.as_mapping_mut() {
        entries.push(Entry::new(key, value));
    }
}

fn equal(found: &Node, expected: &Node) -> bool {
    match (found.to_value(Resolve::V3), expected.to_value(Resolve::V3)) {
        (Ok(found), Ok(expected)) => same_value(&found, &expected),
        _ => false,
    }
}

fn same_value(one: &serde_json::Value, other: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (one, other) {
        (Number(one), Number(other)) => one.as_f64() == other.as_f64(),
        (Array(one), Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_value(one, other))
        }
        (Object(one), Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| same_value(one, other)))
        }
        _ => one == other,
    }
}

/// Integers that a float can't hold lose their last digits, also where no operation went: the whole object has been
/// through JSON, which has no other null than one that is written.
fn settle(node: &mut Node) {
    const EXACT: u64 = 1 << 53;
    if let Some(items) = node.as_sequence_mut() {
        items.iter_mut().for_each(settle);
    } else if let Some(entries) = node.as_mapping_mut() {
        entries.iter_mut().for_each(|entry| settle(&mut entry.value));
    } else if node.is_unwritten() {
        *node = Node::null();
    } else if node.as_str().is_some_and(|text| text.len() >= 14) {
        #[expect(clippy::cast_precision_loss, reason = "the loss is what is imitated")]
        let rounded = match node.resolve(Resolve::V3) {
            Ok(Some(Plain::Int(number))) if number.unsigned_abs() > EXACT => Some(number as f64),
            Ok(Some(Plain::Uint(number))) => Some(number as f64),
            _ => None,
        };
        if let Some(value) = rounded.and_then(yaml::number_from_f64) {
            *node = Node::from_value(&value).at_place_of(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Node {
        yaml::parse(&"test.yaml".into(), text.as_bytes()).unwrap().remove(0).root
    }

    #[test]
    fn operations_do_what_json_patch_does() {
        let object = "{a: {b: 1}, l: [x, y, z]}";
        let cases = [
            // operation, result
            ("[{op: add, path: /a/c, value: 2}]", Ok(r#"{"a":{"b":1,"c":2},"l":["x","y","z"]}"#)),
            ("[{op: add, path: /x, value: 2, path: /y}]", Ok(r#"{"a":{"b":1},"l":["x","y","z"],"y":2}"#)),
            ("[{op: add, path: /l/-, value: 2}]", Ok(r#"{"a":{"b":1},"l":["x","y","z",2]}"#)),
            ("[{op: add, path: /l/0, value: 2}]", Ok(r#"{"a":{"b":1},"l":[2,"x","y","z"]}"#)),
            ("[{op: remove, path: /l/-1}]", Ok(r#"{"a":{"b":1},"l":["x","y"]}"#)),
            ("[{op: remove, path: /l/7}]", Err("the list has no place 7")),
            ("[{op: remove, path: /n}]", Err("`n` is missing")),
            ("[{op: replace, path: /n, value: yes}]", Ok(r#"{"a":{"b":1},"l":["x","y","z"],"n":true}"#)),
            ("[{op: replace, path: /n/m, value: 1}]", Err("there is no `/n`")),
            ("[{op: move, from: /a/b, path: /b}]", Ok(r#"{"a":{},"l":["x","y","z"],"b":1}"#)),
            ("[{op: copy, from: /a, path: /c~1d}]", Ok(r#"{"a":{"b":1},"l":["x","y","z"],"c/d":{"b":1}}"#)),
            ("[{op: test, path: /a/b, value: 1}]", Ok(r#"{"a":{"b":1},"l":["x","y","z"]}"#)),
            ("[{op: test, path: /a/b, value: 2}]", Err("the value is another one")),
        ];
        for (patch, expected) in cases {
            let mut node = read(object);
            let result = apply(&mut node, &operations(&read(patch)).unwrap());
            let result = match result {
                Ok(()) => Ok(node.to_value(Resolve::V3).unwrap().to_string()),
                Err(error) => match *error.problem {
                    Problem::Operation { reason, .. } => Err(reason),
                    other => panic!("{other}"),
                },
            };
            assert_eq!(result.as_deref().map_err(String::as_str), expected, "{patch}");
        }
    }
}
