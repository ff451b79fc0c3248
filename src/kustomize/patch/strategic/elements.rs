//! Lists that merge by key: which element of a patch goes to which one of the object, and in what order they stand then.
//!
//! kustomize takes the values of the merge keys one after the other, those of the patch first, and changes its list while
//! it looks through it; an element without its merge key sweeps others away.

use std::collections::HashSet;

use smol_str::SmolStr;

use super::{Outcome, Patch, walk};
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::patch::schema::Schema;
use crate::kustomize::place::{settle_untyped, untyped};
use crate::kustomize::resource::written_text;
use crate::yaml::Node;

/// Merging by key compares each element with each.
const MAX_ELEMENTS: usize = 4_000;

/// Where the elements stand that a list is merged with.
pub(super) enum ElementsOf<'a> {
    /// In this list of the patch.
    Patch(&'a mut Node),
    /// In the list itself, which came from the patch.
    Same,
    /// The patch says nothing about the list.
    Nothing,
}

/// An element of `Lists::nodes`.
type Number = usize;

/// The lists that are merged. An element stands in several of them, and twice in one: what is changed is changed
/// everywhere.
struct Lists<'a> {
    nodes: Vec<Node>,
    /// The object's elements.
    object: Vec<Number>,
    /// Those that the patch has; `None` where the object's list came from the patch.
    said: Option<Vec<Number>>,
    /// Those that have been merged.
    merged: Vec<Number>,
    keys: Vec<&'a SmolStr>,
}

/// Merges the elements of a list.
pub(super) fn merge_elements(
    dest: &mut Node,
    mut of: ElementsOf<'_>,
    keys: &[SmolStr],
    schema: Schema<'_>,
) -> Result<(), Error> {
    let len = |node: &Node| node.as_sequence().map_or(0, <[Node]>::len);
    let too_many = len(dest) > MAX_ELEMENTS || matches!(&of, ElementsOf::Patch(said) if len(said) > MAX_ELEMENTS);
    if too_many {
        return Err(Error::at(dest, Problem::ListTooLong { limit: MAX_ELEMENTS }));
    }
    let mut none = Vec::new();
    let said = match &mut of {
        ElementsOf::Patch(said) => said.as_sequence_mut().unwrap_or(&mut none),
        ElementsOf::Same | ElementsOf::Nothing => &mut none,
    };
    let Some(elements) = dest.as_sequence_mut() else { return Ok(()) };
    if keys.is_empty() {
        return unite_scalars(elements, said, schema);
    }
    let mut values: Vec<Vec<SmolStr>> = Vec::new();
    let mut known = HashSet::new();
    for element in said.iter().chain(elements.iter()) {
        let value = values_of(element, keys);
        if known.insert(value.clone()) {
            values.push(value);
        }
    }
    if values.is_empty() {
        return Ok(());
    }
    if keys.len() > 1 {
        fill_gaps(&mut values);
    }
    let has_value = |key: &usize| values.iter().any(|value| value.get(*key).is_some_and(|text| !text.is_empty()));
    let used: Vec<usize> = (0..keys.len()).filter(has_value).collect();
    let used: Vec<usize> = if used.is_empty() { (0..keys.len()).collect() } else { used };

    let (in_object, in_patch) = (elements.len(), said.len());
    let mut lists = Lists {
        nodes: elements.drain(..).chain(said.drain(..)).collect(),
        object: (0..in_object).collect(),
        said: (!matches!(of, ElementsOf::Same)).then(|| (in_object..in_object + in_patch).collect()),
        merged: Vec::new(),
        keys: used.iter().filter_map(|key| keys.get(*key)).collect(),
    };
    for value in &values {
        let valid: Vec<SmolStr> = used.iter().filter_map(|key| value.get(*key).cloned()).collect();
        lists.merge_with_keys(&valid, schema)?;
    }
    lists.append_rest()?;
    let mut handed_out = HandedOut::of(lists.nodes, [&lists.merged, lists.said.as_ref().unwrap_or(&Vec::new())]);
    *elements = handed_out.elements(&lists.merged);
    if let (ElementsOf::Patch(patch), Some(said)) = (of, &lists.said)
        && let Some(elements) = patch.as_sequence_mut()
    {
        *elements = handed_out.elements(said);
    }
    Ok(())
}

impl Lists<'_> {
    /// Merges the elements that have these values under the keys.
    fn merge_with_keys(&mut self, values: &[SmolStr], schema: Schema<'_>) -> Result<(), Error> {
        let in_object = self.find(&self.object, values);
        let in_patch = self.said.as_ref().and_then(|said| self.find(said, values));
        let (object, said) = match (in_object, in_patch) {
            (Some(object), Some(said)) => match self.nodes.get_disjoint_mut([object, said]) {
                Ok([object, said]) => (Some(object), Patch::Says(said)),
                Err(_) => return Ok(()),
            },
            (None, Some(said)) => (None, self.nodes.get_mut(said).map_or(Patch::Silent, Patch::Says)),
            (Some(object), None) if self.said.is_none() => (self.nodes.get_mut(object), Patch::Same),
            (Some(object), None) => (self.nodes.get_mut(object), Patch::Silent),
            (None, None) => (None, Patch::Silent),
        };
        let merged = match walk(object, said, schema.elements())? {
            Outcome::Keep => in_object,
            Outcome::Take => in_patch,
            Outcome::Clear => None,
            Outcome::Set(node) => {
                self.nodes.push(node);
                self.nodes.len().checked_sub(1)
            }
        };
        let merged = merged.filter(|merged| self.nodes.get(*merged).is_some_and(|node| !is_empty(node)));
        let Some(merged) = merged else {
            self.object = self.with_element(&self.object, None, values)?;
            return Ok(());
        };
        if let Some(node) = self.nodes.get_mut(merged) {
            for (key, value) in self.keys.iter().zip(values) {
                if !value.is_empty() && node.get(key).is_none() {
                    let mut made = untyped(value.clone());
                    settle_untyped(&mut made);
                    node.insert((*key).clone(), made);
                }
            }
        }
        self.merged = self.with_element(&self.merged, Some(merged), values)?;
        Ok(())
    }

    /// Adds the object's own elements: in the place of merged ones with the same keys, else at the end.
    fn append_rest(&mut self) -> Result<(), Error> {
        for element in self.object.clone() {
            let Some(node) = self.nodes.get(element) else { continue };
            if !node.is_mapping() && !node.is_null() {
                return Err(Error::at(node, Problem::ElementKind { found: node.describe() }));
            }
            let mut values = Vec::new();
            for key in &self.keys {
                match node.get(key) {
                    Some(value) => values.push(written_text(value)),
                    // For each key that it lacks it is added once more.
                    None => self.merged.push(element),
                }
            }
            if self.keys.len() > 1 {
                self.merged = self.with_element(&self.merged, None, &values)?;
            }
            self.merged = self.with_element(&self.merged, Some(element), &values)?;
        }
        Ok(())
    }

    /// The first element in which the keys that have values have exactly these.
    fn find(&self, list: &[Number], values: &[SmolStr]) -> Option<Number> {
        let none_given = values.iter().all(|value| value.is_empty());
        // What nothing is written for, and what is no scalar, is empty text here.
        let holds = |node: &Node, key: &str, value: &str| node.get(key).is_some_and(|node| written_text(node) == value);
        list.iter().copied().find(|element| {
            let mut pairs = self.keys.iter().zip(values).filter(|(_, value)| none_given || !value.is_empty());
            self.nodes
                .get(*element)
                .is_some_and(|node| node.is_mapping() && pairs.all(|(key, value)| holds(node, key, value)))
        })
    }

    /// A list without the elements that have these values under the keys, and with another one in the place of each of
    /// them, or at the end. Where values are missing the last one is all that counts; without any, no element stays.
    fn with_element(&self, list: &[Number], element: Option<Number>, values: &[SmolStr]) -> Result<Vec<Number>, Error> {
        let is_of_maps = values.first().is_some_and(|value| !value.is_empty());
        let mut new = Vec::with_capacity(list.len() + 1);
        let mut is_there = false;
        for number in list {
            let Some(node) = self.nodes.get(*number).filter(|node| !is_empty(node)) else { continue };
            if !node.is_mapping() {
                if is_of_maps {
                    new.push(*number);
                } else if !values.is_empty() {
                    return Err(Error::at(node, Problem::ElementKind { found: node.describe() }));
                }
                continue;
            }
            if values.is_empty() {
                continue;
            }
            let has_all = self.keys.iter().zip(values).all(|(key, value)| matches(node, key, value));
            if !has_all {
                new.push(*number);
                continue;
            }
            is_there = true;
            new.extend(element);
        }
        let is_null = |number: &Number| self.nodes.get(*number).is_none_or(Node::is_null);
        if !is_there {
            new.extend(element.filter(|number| !is_null(number)));
        }
        Ok(new)
    }
}

/// Elements that go back into lists: the last list that has one gets it, the others a copy.
struct HandedOut {
    nodes: Vec<Option<Node>>,
    left: Vec<usize>,
}

impl HandedOut {
    fn of(nodes: Vec<Node>, lists: [&Vec<Number>; 2]) -> Self {
        let mut left = vec![0_usize; nodes.len()];
        for number in lists.into_iter().flatten() {
            if let Some(left) = left.get_mut(*number) {
                *left += 1;
            }
        }
        HandedOut { nodes: nodes.into_iter().map(Some).collect(), left }
    }

    fn elements(&mut self, list: &[Number]) -> Vec<Node> {
        let hand_out = |number: &Number| {
            let (node, left) = (self.nodes.get_mut(*number)?, self.left.get_mut(*number)?);
            *left = left.checked_sub(1)?;
            if *left == 0 { node.take() } else { node.clone() }
        };
        list.iter().filter_map(hand_out).collect()
    }
}

/// An element of a list of scalars, as it was before it was touched.
#[derive(Clone)]
struct Single {
    node: Node,
    text: SmolStr,
    is_null: bool,
    is_empty: bool,
}

impl Single {
    fn new(node: Node) -> Self {
        Single { text: written_text(&node), is_null: node.is_null(), is_empty: is_empty(&node), node }
    }
}

/// The patch's scalars first, then those of the object that it does not name; those that both have are written as in
/// the object. A collection goes for an empty text.
fn unite_scalars(elements: &mut Vec<Node>, said: &[Node], schema: Schema<'_>) -> Result<(), Error> {
    let mut own: Vec<Single> = elements.iter().cloned().map(Single::new).collect();
    let mut said: Vec<Single> = said.iter().cloned().map(Single::new).collect();
    let mut known = HashSet::new();
    let texts: Vec<SmolStr> = said.iter().chain(&own).map(|single| single.text.clone()).collect();
    let mut united = Vec::with_capacity(texts.len());
    for text in texts.into_iter().filter(|text| known.insert(text.clone())) {
        let in_own = own.iter_mut().find(|single| single.text == text);
        let in_said = said.iter_mut().find(|single| single.text == text);
        let merged = match (in_own, in_said) {
            (Some(own), Some(said)) if !own.node.is_scalar() || !said.node.is_scalar() => {
                match walk(Some(&mut own.node), Patch::Says(&mut said.node), schema.elements())? {
                    Outcome::Keep => Some(Single::new(own.node.clone())),
                    Outcome::Take => Some(Single::new(said.node.clone())),
                    Outcome::Clear => None,
                    Outcome::Set(node) => Some(Single::new(node)),
                }
            }
            (own, said) => {
                let mut merged = said.or(own);
                // kustomize writes it again, but none that is empty.
                if let Some(single) = merged.as_mut().filter(|single| !single.is_empty && !single.text.is_empty()) {
                    single.node.set_tag(None);
                }
                merged.cloned()
            }
        };
        match merged.filter(|merged| !merged.is_empty) {
            Some(merged) => put(&mut united, Some(&merged), &text)?,
            None => put(&mut own, None, &text)?,
        }
    }
    for single in own {
        put(&mut united, Some(&single), &single.text)?;
    }
    *elements = united.into_iter().map(|single| single.node).collect();
    Ok(())
}

/// Puts a scalar in the place of those with this text, or at the end; without one these go. What is empty goes in any case.
fn put(list: &mut Vec<Single>, single: Option<&Single>, text: &str) -> Result<(), Error> {
    list.retain(|other| !other.is_empty);
    if let Some(other) = list.iter().find(|other| !other.node.is_scalar()) {
        return Err(Error::at(&other.node, Problem::ElementKind { found: other.node.describe() }));
    }
    let Some(single) = single else {
        list.retain(|other| other.text != text);
        return Ok(());
    };
    let mut is_there = false;
    for other in list.iter_mut().filter(|other| other.text == text) {
        is_there = true;
        other.clone_from(single);
    }
    if !is_there && !single.is_null {
        list.push(single.clone());
    }
    Ok(())
}

/// The values of an element's merge keys; empty for those that are absent.
fn values_of(element: &Node, keys: &[SmolStr]) -> Vec<SmolStr> {
    keys.iter()
        .map(|key| match element.get(key) {
            Some(value) if !value.is_null() => value.as_str().map(SmolStr::new).unwrap_or_default(),
            _ => SmolStr::default(),
        })
        .collect()
}

/// Of two elements that agree in one key, one that lacks another key takes it from the other one.
fn fill_gaps(values: &mut [Vec<SmolStr>]) {
    for one in 0..values.len() {
        let Some(first) = values.get(one).cloned() else { continue };
        for other in 0..values.len() {
            let Some(filled) = values.get(other).and_then(|second| united(&first, second)) else { continue };
            if let Some(place) = values.get_mut(one) {
                place.clone_from(&filled);
            }
            if let Some(place) = values.get_mut(other) {
                *place = filled;
            }
        }
    }
}

fn united(one: &[SmolStr], other: &[SmolStr]) -> Option<Vec<SmolStr>> {
    let mut agree = false;
    let mut filled = Vec::with_capacity(one.len());
    for (one, other) in one.iter().zip(other) {
        if one == other {
            agree = true;
            filled.push(one.clone());
        } else if one.is_empty() || other.is_empty() {
            filled.push(if one.is_empty() { other.clone() } else { one.clone() });
        } else {
            return None;
        }
    }
    agree.then_some(filled)
}

/// True when the element has the key with this value; with any value if none is asked for.
fn matches(element: &Node, key: &str, value: &str) -> bool {
    element.get(key).is_some_and(|node| value.is_empty() || written_text(node) == value)
}

pub(super) fn is_empty(node: &Node) -> bool {
    node.is_null() || node.as_mapping().is_some_and(|entries| entries.is_empty())
}
