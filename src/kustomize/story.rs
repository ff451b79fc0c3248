//! What became of each field on its way through the layers: who wrote it, and who changed it.
//!
//! A build that is to be explained compares the objects before and after each step, and notes at each field the step
//! that changed it. Fields of lists are followed by the names of their elements, so that an element which a patch puts
//! in front does not get the story of the one behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smol_str::{SmolStr, format_smolstr};

use super::resource::Resource;
use super::set::Set;
use crate::error::Origin;
use crate::yaml::{Content, Node};

/// One step in the life of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What did it: a field of a kustomization, the kind of a plugin, or a word for what every build does.
    pub by: SmolStr,
    /// The entry that asked for it.
    pub at: Option<Origin>,
    /// Where the value is written, when that is somewhere else: in the file of a patch.
    pub written_at: Option<Origin>,
    /// The text of the value; `None` when the step took the field away.
    pub value: Option<SmolStr>,
}

/// The steps of each field, first one first. Fields are written as in `fieldPaths` of a replacement.
pub(super) type Story = BTreeMap<SmolStr, Vec<Step>>;

/// Who does something.
#[derive(Clone, Debug)]
pub(super) struct By {
    what: SmolStr,
    at: Option<Node>,
}

impl By {
    /// An entry of a field of a kustomization.
    pub(super) fn field(field: &'static str, at: &Node) -> Self {
        By { what: SmolStr::new_static(field), at: Some(at.place()) }
    }

    /// A plugin that an object configures.
    pub(super) fn plugin(config: &Resource) -> Self {
        By { what: config.kind().into(), at: Some(config.node.place()) }
    }

    /// What every build does.
    pub(super) fn build(what: &'static str) -> Self {
        By { what: SmolStr::new_static(what), at: None }
    }

    /// A file with objects.
    pub(super) fn file() -> Self {
        By::build("written")
    }

    fn step(&self, node: Option<&Node>, before: Option<&Node>) -> Step {
        let at = self.at.as_ref().and_then(Node::origin);
        let place = |node: Option<&Node>| node.and_then(Node::origin);
        let written_at =
            place(node).filter(|origin| Some(origin) != at.as_ref() && place(before).as_ref() != Some(origin));
        Step { by: self.what.clone(), at, written_at, value: node.map(text_of) }
    }
}

/// The objects before a step.
pub(super) type Before = Vec<Arc<Resource>>;

/// Tells of what a step has made of objects.
pub(super) fn tell(set: &mut Set, before: &Before, by: &By) {
    let mut next = 0;
    for resource in set.shared_mut() {
        let rest = before.get(next..).unwrap_or_default();
        if rest.first().is_some_and(|old| Arc::ptr_eq(old, resource)) {
            next += 1;
            continue;
        }
        // Steps take objects out and add some, but never change their order.
        let found = rest.iter().position(|old| old.original_id() == resource.original_id());
        let old = found.and_then(|at| rest.get(at));
        next += found.map_or(0, |at| at + 1);
        let story = match old {
            Some(old) => retold(old, &resource.node, by),
            None => Teller::new(by).made(&resource.node),
        };
        Arc::make_mut(resource).story = Some(Arc::new(story));
    }
}

/// The story of an object that a step has changed into this.
pub(super) fn retold(old: &Resource, new: &Node, by: &By) -> Story {
    let empty = Story::default();
    let story = old.story.as_deref().unwrap_or(&empty);
    let mut teller = Teller { by, old: story, new: Story::default(), kept: BTreeSet::new() };
    teller.compare(Some((&old.node, SmolStr::default())), new, &SmolStr::default());
    for (path, steps) in story {
        let is_value = |step: &Step| step.value.as_ref().is_none_or(|value| !matches!(value.as_str(), "{}" | "[]"));
        // An empty collection that was filled is no field that went away.
        if !teller.kept.contains(path) && !teller.new.contains_key(path) && steps.last().is_some_and(is_value) {
            let mut steps = steps.clone();
            if steps.last().is_some_and(|last| last.value.is_some()) {
                steps.push(by.step(None, None));
            }
            teller.new.insert(path.clone(), steps);
        }
    }
    teller.new
}

struct Teller<'a> {
    by: &'a By,
    old: &'a Story,
    new: Story,
    /// The fields of before that are there after the step.
    kept: BTreeSet<SmolStr>,
}

impl<'a> Teller<'a> {
    fn new(by: &'a By) -> Self {
        static NOTHING: Story = Story::new();
        Teller { by, old: &NOTHING, new: Story::default(), kept: BTreeSet::new() }
    }

    fn made(mut self, node: &Node) -> Story {
        self.compare(None, node, &SmolStr::default());
        self.new
    }

    /// Notes the fields of `after`, given what stood in their place.
    fn compare(&mut self, before: Option<(&Node, SmolStr)>, after: &Node, path: &SmolStr) {
        match &after.content {
            Content::Mapping(mapping) if !mapping.entries.is_empty() => {
                for entry in &mapping.entries {
                    let name = entry.name().unwrap_or_default();
                    let old = before.as_ref().and_then(|(node, path)| Some((node.get(name)?, below(path, name))));
                    self.compare(old, &entry.value, &below(path, name));
                }
            }
            Content::Sequence(sequence) if !sequence.items.is_empty() => {
                let items = before.as_ref().and_then(|(node, _)| node.as_sequence()).unwrap_or_default();
                for (at, item) in sequence.items.iter().enumerate() {
                    let partner = partner(items, &sequence.items, at);
                    let old = partner.zip(before.as_ref()).and_then(|(partner, (_, path))| {
                        Some((items.get(partner)?, below(path, &label(items, partner))))
                    });
                    self.compare(old, item, &below(path, &label(&sequence.items, at)));
                }
            }
            _ => self.leaf(before, after, path),
        }
    }

    fn leaf(&mut self, before: Option<(&Node, SmolStr)>, after: &Node, path: &SmolStr) {
        let known = before.as_ref().and_then(|(_, path)| self.old.get(path));
        let mut steps = known.cloned().unwrap_or_default();
        if let Some((_, path)) = &before {
            self.kept.insert(path.clone());
        }
        let old = before.map(|(node, _)| node);
        let text = text_of(after);
        if steps.last().and_then(|last| last.value.as_ref()) != Some(&text) {
            steps.push(self.by.step(Some(after), old));
        }
        self.new.insert(path.clone(), steps);
    }
}

/// The fields by which elements of a list are known.
const NAMES: [&str; 8] = ["name", "key", "mountPath", "containerPort", "port", "ip", "host", "path"];

fn named(item: &Node) -> Option<(&'static str, &str)> {
    NAMES.into_iter().find_map(|field| Some((field, item.get(field)?.as_str()?)))
}

/// Which of the elements before is the one at this place now.
fn partner(before: &[Node], now: &[Node], at: usize) -> Option<usize> {
    let item = now.get(at)?;
    if let Some(name) = named(item) {
        return before.iter().position(|old| named(old) == Some(name));
    }
    if let Some(text) = item.as_str() {
        let same = before.iter().position(|old| old.as_str() == Some(text));
        return same.or_else(|| (before.len() == now.len()).then_some(at));
    }
    (at < before.len()).then_some(at)
}

/// An element in a path: by its name when no other has it, else by its number.
fn label(items: &[Node], at: usize) -> SmolStr {
    let name = items.get(at).and_then(named);
    match name {
        Some((field, value)) if items.iter().filter(|item| named(item) == name).count() == 1 => {
            format_smolstr!("[{field}={value}]")
        }
        _ => format_smolstr!("{at}"),
    }
}

fn below(path: &str, name: &str) -> SmolStr {
    let name = if name.contains('.') && !name.starts_with('[') { format_smolstr!("[{name}]") } else { name.into() };
    if path.is_empty() { name } else { format_smolstr!("{path}.{name}") }
}

/// A leaf as a person reads it.
fn text_of(node: &Node) -> SmolStr {
    match &node.content {
        Content::Scalar(scalar) => scalar.text.clone(),
        Content::Sequence(_) => SmolStr::new_static("[]"),
        Content::Mapping(_) => SmolStr::new_static("{}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml;

    fn node(text: &str) -> Node {
        yaml::parse(&"a.yaml".into(), text.as_bytes()).unwrap().remove(0).root
    }

    /// The fields of a story with what each step made of them.
    fn told(story: &Story) -> Vec<String> {
        let value = |step: &Step| format!("{}={}", step.by, step.value.as_deref().unwrap_or("gone"));
        story
            .iter()
            .map(|(path, steps)| format!("{path}: {}", steps.iter().map(value).collect::<Vec<_>>().join(" ")))
            .collect()
    }

    #[test]
    fn each_field_knows_who_changed_it() {
        let before =
            node("spec:\n  replicas: 1\n  gone: x\n  containers:\n  - name: web\n    image: web:1\n  args: [a, b]\n");
        let after = node(
            "spec:\n  replicas: 3\n  containers:\n  - name: proxy\n    image: proxy\n  - name: web\n    image: web:1\n  args: [z, a, b]\n",
        );
        let mut resource = Resource::new(before);
        resource.story = Some(Arc::new(Teller::new(&By::file()).made(&resource.node)));
        let story = retold(&resource, &after, &By::build("patches"));
        assert_eq!(
            told(&story),
            [
                "spec.args.0: patches=z",
                "spec.args.1: written=a",
                "spec.args.2: written=b",
                "spec.containers.[name=proxy].image: patches=proxy",
                "spec.containers.[name=proxy].name: patches=proxy",
                "spec.containers.[name=web].image: written=web:1",
                "spec.containers.[name=web].name: written=web",
                "spec.gone: written=x patches=gone",
                "spec.replicas: written=1 patches=3",
            ]
        );
    }
}
