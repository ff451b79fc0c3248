//! Is everything but the version of the image what it was.

use super::path::{FieldPath, Step};
use super::{Image, Place, field, kustomization};
use crate::yaml::{Content, Document, Node};

/// The first place, in the file as it was, that reads otherwise now and was not to be changed.
pub(super) fn first_difference(before: &[Document], after: &[Document], place: &Place, image: &Image) -> Option<Node> {
    if let Some(document) = before.get(after.len()) {
        return Some(document.root.place());
    }
    let pairs = before.iter().zip(after);
    let mut differences = pairs.filter_map(|(before, after)| {
        let (mut before, mut after) = (before.root.clone(), after.root.clone());
        for root in [&mut before, &mut after] {
            match place {
                Place::Kustomization => kustomization::forget(root, image),
                Place::Field(path) => forget(root, path, image),
            }
        }
        difference(&before, &after).map(Node::place)
    });
    let first = differences.next();
    first.or_else(|| after.get(before.len()).map(|document| document.root.place()))
}

/// Takes out what the field says of the image.
fn forget(root: &mut Node, path: &FieldPath, image: &Image) {
    let mut node = root;
    for step in path.steps() {
        let next = match step {
            Step::Key(key) => node.get_mut(key),
            Step::Number(number) if node.is_sequence() => {
                node.as_sequence_mut().and_then(|items| items.get_mut(*number))
            }
            Step::Number(number) => node.get_mut(&number.to_string()),
            Step::With(key, value) => {
                let has_it = |item: &&mut Node| item.get(key).and_then(Node::as_str) == Some(value);
                node.as_sequence_mut().and_then(|items| items.iter_mut().find(has_it))
            }
        };
        let Some(next) = next else { return };
        node = next;
    }
    match &mut node.content {
        Content::Sequence(sequence) => sequence.items.retain(|item| !field::lists(item, image.name())),
        Content::Scalar(_) => *node = Node::null().at_place_of(node),
        Content::Mapping(_) => {}
    }
}

/// The first place at which two trees differ.
fn difference<'a>(before: &'a Node, after: &Node) -> Option<&'a Node> {
    if before.tag() != after.tag() {
        return Some(before);
    }
    match (&before.content, &after.content) {
        (Content::Scalar(a), Content::Scalar(b)) => (a.text != b.text || a.style != b.style).then_some(before),
        (Content::Sequence(a), Content::Sequence(b)) => {
            let mut pairs = a.items.iter().zip(&b.items);
            let first = pairs.find_map(|(a, b)| difference(a, b));
            first.or_else(|| (a.items.len() != b.items.len()).then_some(before))
        }
        (Content::Mapping(a), Content::Mapping(b)) => {
            let mut pairs = a.entries.iter().zip(&b.entries);
            let first = pairs.find_map(|(a, b)| difference(&a.key, &b.key).or_else(|| difference(&a.value, &b.value)));
            first.or_else(|| (a.entries.len() != b.entries.len()).then_some(before))
        }
        _ => Some(before),
    }
}
