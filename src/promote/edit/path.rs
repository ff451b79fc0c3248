//! [`FieldPath`]: which field of a file.

use std::fmt;
use std::str::FromStr;

use smol_str::SmolStr;

use crate::yaml::Node;

/// Which field of a file: a JSON pointer (`/image/tag`), or names with dots between (`image.tag`, `spec.sources[0].path`,
/// `spec.source.helm.parameters[name=image.tag].value`). A dot that belongs to a name has a backslash in front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    text: SmolStr,
    steps: Vec<Step>,
}

/// One step of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The value under a key.
    Key(SmolStr),
    /// The item with this number, or in a mapping the value under the key that is written like it.
    Number(usize),
    /// The first item that is a mapping with this value under this key.
    With(SmolStr, SmolStr),
}

/// Why a text is no way to a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` leads to no field: {why}")]
pub struct NotAPath {
    text: String,
    why: &'static str,
}

impl FieldPath {
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl FromStr for FieldPath {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        let steps = match text.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(pointed).collect(),
            None => dotted(text),
        };
        let steps = steps.map_err(|why| NotAPath { text: text.to_owned(), why })?;
        Ok(FieldPath { text: text.into(), steps })
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A part of a JSON pointer (RFC 6901).
fn pointed(part: &str) -> Result<Step, &'static str> {
    if part.split('~').skip(1).any(|behind| !behind.starts_with(['0', '1'])) {
        return Err("behind a `~` stands neither 0 nor 1");
    }
    let is_number = part == "0" || (!part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit()));
    match part.parse() {
        Ok(number) if is_number => Ok(Step::Number(number)),
        _ => Ok(Step::Key(part.replace("~1", "/").replace("~0", "~").into())),
    }
}

fn dotted(text: &str) -> Result<Vec<Step>, &'static str> {
    let mut steps = Vec::new();
    let mut rest = text;
    loop {
        let (name, behind) = name(rest)?;
        steps.push(Step::Key(name.into()));
        rest = behind;
        while let Some(inside) = rest.strip_prefix('[') {
            let (inside, behind) = inside.split_once(']').ok_or("a `[` has no `]`")?;
            steps.push(match (inside.parse(), inside.split_once('=')) {
                (Ok(number), _) => Step::Number(number),
                (_, Some((key, value))) if !key.is_empty() => Step::With(key.into(), value.into()),
                _ => return Err("in brackets stands a number, or a name, `=` and a value"),
            });
            rest = behind;
        }
        match rest.strip_prefix('.') {
            Some(behind) => rest = behind,
            None if rest.is_empty() => return Ok(steps),
            None => return Err("behind a `]` stands neither a dot nor a `[`"),
        }
    }
}

/// The name at the start, and what stands behind it.
fn name(text: &str) -> Result<(String, &str), &'static str> {
    let mut name = String::new();
    let mut characters = text.char_indices();
    let mut end = text.len();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => name.extend(characters.next().map(|(_, next)| next)),
            '.' | '[' => {
                end = at;
                break;
            }
            _ => name.push(character),
        }
    }
    if name.is_empty() {
        return Err("a name is empty");
    }
    Ok((name, text.get(end..).unwrap_or_default()))
}

impl Step {
    /// Where this step leads from a node: the key that it stands under, if there is one, and the node.
    pub(super) fn take<'a>(&self, from: &'a Node) -> Option<(Option<&'a Node>, &'a Node)> {
        let under = |key: &str| from.entry(key).map(|entry| (Some(&entry.key), &entry.value));
        match self {
            Step::Key(key) => under(key),
            Step::Number(number) => match from.as_sequence() {
                Some(items) => items.get(*number).map(|item| (None, item)),
                None => under(&number.to_string()),
            },
            Step::With(key, value) => {
                let has_it = |item: &&Node| item.get(key).and_then(Node::as_str) == Some(value);
                from.as_sequence()?.iter().find(has_it).map(|item| (None, item))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Step {
        Step::Key(name.into())
    }

    #[test]
    fn paths_are_pointers_or_names_with_dots() {
        let cases = [
            ("image.tag", vec![key("image"), key("tag")]),
            ("/image/tag", vec![key("image"), key("tag")]),
            ("/a~1b/m~0n/0/00", vec![key("a/b"), key("m~n"), Step::Number(0), key("00")]),
            (r"a\.b.c", vec![key("a.b"), key("c")]),
            ("spec.sources[1].path", vec![key("spec"), key("sources"), Step::Number(1), key("path")]),
            (
                "parameters[name=image.tag].value",
                vec![key("parameters"), Step::With("name".into(), "image.tag".into()), key("value")],
            ),
        ];
        for (text, expected) in cases {
            let path: FieldPath = text.parse().unwrap();
            assert_eq!((path.steps(), path.to_string().as_str()), (&expected[..], text));
        }
    }

    #[test]
    fn what_is_no_path_says_why() {
        let cases = [
            ("", "a name is empty"),
            ("a..b", "a name is empty"),
            ("a.", "a name is empty"),
            ("a[", "a `[` has no `]`"),
            ("a[x]", "in brackets stands a number, or a name, `=` and a value"),
            ("a[0]b", "behind a `]` stands neither a dot nor a `[`"),
            ("/a~2", "behind a `~` stands neither 0 nor 1"),
        ];
        for (text, why) in cases {
            let error = text.parse::<FieldPath>().unwrap_err();
            assert_eq!(error.to_string(), format!("`{text}` leads to no field: {why}"));
        }
    }
}
