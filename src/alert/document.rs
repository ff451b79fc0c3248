//! YAML in a value of a ConfigMap, with places for errors.

use std::fmt::Display;

use serde_json::Value;

use crate::template;
use crate::yaml::{self, Node, Resolve, ScalarStyle};

/// The one document of a text; nothing when it is empty.
pub(super) fn document(text: &str) -> Result<Option<Node>, String> {
    let mut documents = yaml::parse(&"".into(), text.as_bytes())
        .map_err(|error| format!("line {}, column {}: {}", error.origin.line, error.origin.column, error.problem))?;
    match documents.len() {
        0 => Ok(None),
        1 => Ok(documents.pop().map(|document| document.root).filter(|root| !root.is_null())),
        _ => Err("more than one YAML document".to_owned()),
    }
}

/// An error at a node.
pub(super) fn at(node: &Node, message: impl Display) -> String {
    match node.origin() {
        Some(origin) => format!("line {}, column {}: {message}", origin.line, origin.column),
        None => message.to_string(),
    }
}

/// An error within the text of a scalar.
pub(super) fn within(node: &Node, path: &str, error: &template::Error) -> String {
    // Written as it is read: the place in the file is known.
    let is_as_written = node.as_scalar().is_some_and(|scalar| match scalar.style {
        ScalarStyle::Literal => true,
        ScalarStyle::Plain => node.line_text().is_some_and(|line| line.contains(scalar.text.as_str())),
        _ => false,
    });
    match node.origin() {
        Some(origin) if is_as_written => {
            let line = origin.line as usize + error.line - 1;
            let column = origin.column as usize + error.column - 1;
            format!("line {line}, column {column}: {path}: {}", error.message)
        }
        _ => at(node, format!("{path}: {error}")),
    }
}

/// The text of a scalar, whatever it would mean.
pub(super) fn text(node: &Node) -> Result<String, String> {
    match node.as_scalar() {
        Some(scalar) => Ok(scalar.text.to_string()),
        None => Err(at(node, format!("a text is needed, not {}", node.describe()))),
    }
}

/// The texts of a list, or the one of a scalar.
pub(super) fn texts(node: &Node) -> Result<Vec<String>, String> {
    match node.as_sequence() {
        Some(items) => items.iter().map(text).collect(),
        None => Ok(vec![text(node)?]),
    }
}

/// As JSON.
pub(super) fn value(node: &Node) -> Result<Value, String> {
    node.to_value(Resolve::V2).map_err(|error| at(node, error.problem))
}
