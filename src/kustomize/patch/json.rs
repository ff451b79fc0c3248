//! JSON 6902: a list of operations on paths, as evanphx/json-patch 4 executes them.
//!
//! Where that library goes beyond RFC 6902 or falls behind it, so does this: negative indices count from the end, and
//! `replace` adds a key that is missing in a mapping that is there.

use std::collections::HashMap;

use serde_json::Value;
use smol_str::SmolStr;

use crate::kustomize::error::{Error, Problem};
use crate::kustomize::go_json;
use crate::kustomize::place::{is_untyped, typed};
use crate::kustomize::resource::{count, depth};
use crate::yaml::emit::Traits;
use crate::yaml::{self, CollectionStyle, Content, Entry, Node, Plain, Resolve, ScalarStyle};

/// One operation.
#[derive(Clone, Debug)]
pub(in crate::kustomize) struct Operation {
    what: What,
    path: Option<String>,
    /// Where it was written.
    at: Node,
}

#[derive(Clone, Debug)]
enum What {
    Add(Node),
    Remove,
    Replace(Node),
    Move(Option<String>),
    Copy(Option<String>),
    Test(Option<Expected>),
    /// Something else, which is refused when it is executed.
    Other(String),
}

/// The value of a test, which is compared as text.
#[derive(Clone, Debug)]
struct Expected {
    value: Node,
    language: Language,
}

/// What a patch is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kustomize) enum Language {
    Json,
    Yaml,
}

impl What {
    fn name(&self) -> &str {
        match self {
            What::Add(_) => "add",
            What::Remove => "remove",
            What::Replace(_) => "replace",
            What::Move(_) => "move",
            What::Copy(_) => "copy",
            What::Test(_) => "test",
            What::Other(name) => name,
        }
    }
}

/// The operations that a list says; `None` when it is no list of operations.
pub(in crate::kustomize) fn operations(list: &Node, language: Language) -> Option<Vec<Operation>> {
    list.as_sequence()?.iter().map(|node| operation(node, language)).collect()
}

fn operation(node: &Node, language: Language) -> Option<Operation> {
    if !node.is_mapping() {
        return None;
    }
    // Of a field that is there twice the last one holds.
    let get = |field: &str| Some(&node.as_mapping()?.iter().rev().find(|entry| entry.is_under(field))?.value);
    let text = |field| Some(get(field)?.as_str()?.to_owned());
    let value = |field| -> Option<Node> {
        let written = get(field)?;
        Some(Node::from_value_of(&written.to_value(Resolve::V2).ok()?, written))
    };
    let value_or_null = || value("value").unwrap_or_else(Node::null);
    let what = match get("op").and_then(Node::as_str).unwrap_or_default() {
        "add" => What::Add(value_or_null()),
        "remove" => What::Remove,
        "replace" => What::Replace(value_or_null()),
        "move" => What::Move(text("from")),
        "copy" => What::Copy(text("from")),
        "test" => What::Test(get("value").map(|value| Expected { value: value.clone(), language })),
        other => What::Other(other.to_owned()),
    };
    let at = get("path").map_or_else(|| node.clone(), |path| Node::string("").at_place_of(path));
    Some(Operation { what, path: text("path"), at })
}

/// Executes the operations one after the other.
///
/// # Errors
/// When one has nothing to work on, a test fails, or the object holds what has no form in JSON.
pub(in crate::kustomize) fn apply(object: &mut Node, operations: &[Operation]) -> Result<(), Error> {
    // It becomes JSON before the first operation, which can't take out any more what has no form in that.
    object.to_value(Resolve::V3)?;
    object.close_to_comment();
    for operation in operations {
        operation.execute(object).map_err(|reason| {
            let problem = Problem::Operation {
                operation: operation.what.name().to_owned(),
                path: operation.path.clone().unwrap_or_default(),
                reason: reason.to_string(),
            };
            Error::at(&operation.at, problem)
        })?;
    }
    settle(object, CollectionStyle::Block);
    Ok(())
}

/// How deep an object may get by operations.
const MAX_DEPTH: usize = 500;

/// How many values one `copy` may copy: each can double an object.
const MAX_COPIED: usize = 10_000;

/// Why an operation fails.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
enum Failure {
    #[error("there is no such operation")]
    Unknown,
    #[error("it has no `{0}`")]
    NoField(&'static str),
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
        let path = self.path.as_deref().ok_or(Failure::NoField("path"));
        let source = |from: &Option<String>| from.clone().ok_or(Failure::NoField("from"));
        match &self.what {
            What::Add(value) => add(object, path?, value.clone()),
            What::Remove => remove(object, path?).map(drop),
            What::Replace(value) => replace(object, path?, value.clone()),
            What::Move(from) => {
                let from = source(from)?;
                let around = style_around(object, &from);
                let mut value = remove(object, &from)?;
                settle_nothing(&mut value, around);
                add(object, path?, value)
            }
            What::Copy(from) => {
                let from = source(from)?;
                let around = style_around(object, &from);
                let value = get(object, &from)?;
                if value.is_some_and(|value| count(value) > MAX_COPIED) {
                    return Err(Failure::TooMuch);
                }
                let mut value = value.cloned().unwrap_or_else(Node::null);
                settle_nothing(&mut value, around);
                add(object, path?, value)
            }
            What::Test(expected) => {
                let found = get(object, path?)?;
                let same = match (found.filter(|found| !found.is_null()), expected) {
                    (None, None) => true,
                    (None, Some(expected)) => expected.value.is_null(),
                    (Some(_), None) => false,
                    (Some(found), Some(expected)) => expected.is(found),
                };
                if same { Ok(()) } else { Err(Failure::Differs) }
            }
            What::Other(_) => Err(Failure::Unknown),
        }
    }
}

impl Expected {
    /// Scalars are compared by the JSON that they are written in: `1.0` is not `1`, and `"\u00e9"` not `"é"`.
    fn is(&self, found: &Node) -> bool {
        let Ok(found) = found.to_value(Resolve::V3) else { return false };
        match self.language {
            Language::Json => written_like(&self.value, &found),
            Language::Yaml => self.value.to_value(Resolve::V2).is_ok_and(|expected| same_value(&found, &expected)),
        }
    }
}

/// True when the JSON of a patch says what Go would write for the value.
fn written_like(expected: &Node, found: &Value) -> bool {
    match (&expected.content, found) {
        (Content::Sequence(expected), Value::Array(found)) => {
            expected.items.len() == found.len()
                && expected.items.iter().zip(found).all(|(expected, found)| written_like(expected, found))
        }
        (Content::Mapping(expected), Value::Object(found)) => {
            // Of keys that are there twice the last one holds.
            let expected: HashMap<&str, &Node> =
                expected.entries.iter().filter_map(|entry| Some((entry.name()?, &entry.value))).collect();
            expected.len() == found.len()
                && expected
                    .iter()
                    .all(|(name, expected)| found.get(*name).is_some_and(|found| written_like(expected, found)))
        }
        (Content::Scalar(_), found) => {
            let mut text = String::new();
            go_json::push(&mut text, found);
            expected.text().is_some_and(|file| file.slice(expected.span()) == text)
        }
        _ => false,
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

/// In what the value of a path was written: what nothing is written for is an empty text in braces, and stays one where
/// it is put.
fn style_around(object: &Node, path: &str) -> CollectionStyle {
    let mut node = object;
    for part in path.split('/').skip(1) {
        if node.is_in_braces() {
            return CollectionStyle::Flow;
        }
        let part = unescape(part);
        let below = match node.as_sequence() {
            Some(items) => index(&part, items.len()).and_then(|at| items.get(at)),
            None => node.get(&part),
        };
        let Some(below) = below else { break };
        node = below;
    }
    CollectionStyle::Block
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

fn same_value(one: &Value, other: &Value) -> bool {
    use Value::{Array, Number, Object};
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

/// The tag that `<<` has in go-yaml's eyes, wherever it stands.
pub(in crate::kustomize) const MERGE: &str = "!!merge";

/// The whole object has been through JSON, also where no operation went: nothing remembers how it was written, and only
/// what is empty is in braces. `around`: what it was written in before.
fn settle(node: &mut Node, around: CollectionStyle) {
    node.forget_comments();
    let settled = |style: &mut CollectionStyle, is_empty: bool| {
        let within = if around == CollectionStyle::Flow { around } else { *style };
        *style = if is_empty { CollectionStyle::Flow } else { CollectionStyle::Block };
        within
    };
    match &mut node.content {
        Content::Scalar(_) => settle_scalar(node, around),
        Content::Sequence(sequence) => {
            let within = settled(&mut sequence.style, sequence.items.is_empty());
            sequence.items.iter_mut().for_each(|item| settle(item, within));
        }
        Content::Mapping(mapping) => {
            let within = settled(&mut mapping.style, mapping.entries.is_empty());
            for entry in &mut mapping.entries {
                entry.key.forget_comments();
                settle(&mut entry.value, within);
            }
        }
    }
}

/// Makes what nothing is written for what it is where it was written, before it is put elsewhere.
fn settle_nothing(node: &mut Node, around: CollectionStyle) {
    let within = if node.is_in_braces() { CollectionStyle::Flow } else { around };
    if node.is_unwritten() {
        return settle_scalar(node, around);
    }
    match &mut node.content {
        Content::Scalar(_) => {}
        Content::Sequence(sequence) => sequence.items.iter_mut().for_each(|item| settle_nothing(item, within)),
        Content::Mapping(mapping) => {
            mapping.entries.iter_mut().for_each(|entry| settle_nothing(&mut entry.value, within));
        }
    }
}

/// There are no other numbers than floats: integers that one can't hold lose their last digits. A string is in quotes
/// where it would be none without, or another one.
fn settle_scalar(node: &mut Node, around: CollectionStyle) {
    let Some(scalar) = node.as_scalar() else { return };
    if node.tag().is_some_and(|tag| tag.starts_with("!!") && tag != "!!str") {
        return;
    }
    let is_empty = scalar.text.is_empty() && is_untyped(node);
    let is_small = |text: &str| (1..=6).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
    let is_bare = scalar.style == ScalarStyle::Plain && node.tag().is_none();
    if is_bare && is_small(&scalar.text) && !scalar.text.starts_with('0') {
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "the loss is what is imitated")]
    let float = match node.resolve(Resolve::V3) {
        Ok(Some(Plain::Int(number))) => number as f64,
        Ok(Some(Plain::Uint(number))) => number as f64,
        Ok(Some(Plain::Float(number))) => number,
        // Nothing can be written without quotes inside of braces: there it is an empty string.
        Ok(Some(Plain::Null)) if around == CollectionStyle::Flow && (node.is_unwritten() || is_empty) => {
            *node = Node::string("").at_place_of(node);
            return;
        }
        Ok(Some(Plain::Null)) => {
            *node = typed("null", "!!null");
            return;
        }
        Ok(Some(Plain::Bool(value))) => return *node = Node::bool(value).at_place_of(node),
        _ => return settle_string(node, around),
    };
    if float.is_finite() {
        *node = Node::plain(yaml::float_text(float)).at_place_of(node);
    }
}

fn settle_string(node: &mut Node, around: CollectionStyle) {
    let Ok(Value::String(text)) = node.to_value_within(Resolve::V3, around) else { return };
    if text == "<<" {
        *node = typed(text, MERGE).at_place_of(node);
        return;
    }
    let is_bare = |mode| matches!(yaml::plain(&text, mode), Plain::Text);
    let traits = Traits::of(&text);
    let style = if text.is_empty() || text.contains('\n') || !is_bare(Resolve::V2) || !is_bare(Resolve::V3) {
        ScalarStyle::DoubleQuoted
    } else if traits.plain {
        ScalarStyle::Plain
    } else if traits.single_quoted {
        ScalarStyle::SingleQuoted
    } else {
        ScalarStyle::DoubleQuoted
    };
    *node = Node::scalar(text, style).at_place_of(node);
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
            let result = apply(&mut node, &operations(&read(patch), Language::Yaml).unwrap());
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
