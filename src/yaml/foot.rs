//! What the comment below a document does to the text above it once go-yaml v3 has written both and read them again, as
//! kustomize does.
//!
//! It writes an empty line in front of such a comment. Where a block that keeps the line breaks at its end (`|+`, `>+`)
//! is the last thing in the document, that line is one of the block's.

use super::folded::fits_a_block;
use super::node::{CollectionStyle, Content, Node, Scalar, ScalarStyle};
use super::text::{Span, Text};

/// True for comments that an empty line keeps apart from the last node, to which they belong otherwise; so do those that are
/// further in than one below them.
pub(super) fn is_of_document(text: &Text, comments: Span) -> bool {
    let before = text.slice(Span { start: 0, end: comments.start });
    let lines = before.trim_end_matches([' ', '\t']);
    let stands_apart =
        lines.strip_suffix('\n').is_some_and(|lines| lines.trim_end_matches([' ', '\t']).ends_with('\n'));
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
    let is_further_out = |line: &str| line.trim_start().starts_with('#') && indentation(line) < column;
    stands_apart && !text.slice(comments).lines().skip(1).any(is_further_out)
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

impl Node {
    /// The document with the line break that the comment below it may add; `None` when there is no such comment.
    pub(super) fn closed_to_comment(&self) -> Option<Node> {
        self.foot_comment()?;
        let mut document = self.clone();
        document.close_to_comment();
        Some(document)
    }

    /// Adds the line break that the comment below the document may add, and takes the comment away.
    pub fn close_to_comment(&mut self) {
        let has_comment = self.foot_comment().is_some();
        self.forget_comments();
        if has_comment
            && let Some(scalar) = last_scalar(self)
            && keeps_breaks(scalar)
        {
            scalar.text = smol_str::format_smolstr!("{}\n", scalar.text);
        }
    }
}

fn keeps_breaks(scalar: &Scalar) -> bool {
    let text = scalar.text.as_str();
    // What a patch has set may have kept no style: text of several lines is then a literal.
    matches!(scalar.style, ScalarStyle::Literal | ScalarStyle::Folded | ScalarStyle::Plain)
        && (text == "\n" || text.ends_with("\n\n"))
        && fits_a_block(text)
}

/// The scalar on the last lines of a document, unless these are in braces.
fn last_scalar(node: &mut Node) -> Option<&mut Scalar> {
    match &mut node.content {
        Content::Scalar(scalar) => Some(scalar),
        Content::Sequence(sequence) if sequence.style == CollectionStyle::Block => {
            last_scalar(sequence.items.last_mut()?)
        }
        Content::Mapping(mapping) if mapping.style == CollectionStyle::Block => {
            last_scalar(&mut mapping.entries.last_mut()?.value)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::yaml::{Resolve, parse};

    #[test]
    fn a_comment_below_adds_an_empty_line_to_a_block_that_keeps_them() {
        let cases = [
            // document, value
            ("a: |+\n  x\n\n# foot\n", json!({"a": "x\n\n\n"})),
            ("a: |+\n  x\n\n", json!({"a": "x\n\n"})),
            ("a: |+\n\n# foot", json!({"a": "\n\n"})),
            ("a: |+\n  x\n\n # foot\n# below\n", json!({"a": "x\n\n"})),
            ("a:\n- b: |+\n    x\n\n# foot", json!({"a": [{"b": "x\n\n\n"}]})),
            ("a: >+\n  x\n\n# foot\n", json!({"a": "x\n\n\n\n"})),
            ("a: |+\n  x\n\nb: |\n  y\n\n# foot\n", json!({"a": "x\n\n", "b": "y\n"})),
            ("a: \"x\\n\\n\"\n# foot\n", json!({"a": "x\n\n"})),
        ];
        for (text, expected) in cases {
            let document = parse(&"a.yaml".into(), text.as_bytes()).unwrap().remove(0);
            assert_eq!(document.root.to_value(Resolve::V3).unwrap(), expected, "{text:?}");
        }
    }
}
