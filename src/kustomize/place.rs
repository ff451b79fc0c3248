//! Fields by the paths of field specs: the walk to them, and what is written there.

mod step;

use smol_str::SmolStr;

use super::entry::FieldSpec;
use super::error::{Error, Problem};
use super::resource::Gvk;
use crate::yaml::{self, Document, Entry, Node, Plain, Resolve, ScalarStyle, Span, plain, push_entry};
pub(super) use step::Step;

/// What is made where the last field of a path is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Make {
    Nothing,
    Scalar,
    Mapping,
}

/// The fields of a path: separated by slashes, of which those inside a name are written `\/`. One in front separates
/// nothing; two side by side have a field without a name between them.
pub(super) fn split(path: &str) -> Vec<SmolStr> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut letters = path.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.peek() == Some(&'/') => {
                part.push('/');
                letters.next();
            }
            '/' => parts.push(std::mem::take(&mut part).into()),
            letter => part.push(letter),
        }
    }
    parts.push(part.into());
    if parts.len() > 1 && parts.first().is_some_and(SmolStr::is_empty) {
        parts.remove(0);
    }
    parts
}

/// A field spec with its path in parts.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) spec: FieldSpec,
    parts: Vec<SmolStr>,
}

impl Place {
    pub(super) fn new(spec: &FieldSpec) -> Self {
        Place { spec: spec.clone(), parts: split(&spec.path) }
    }

    /// The fields on the way.
    pub(super) fn parts(&self) -> &[SmolStr] {
        &self.parts
    }

    pub(super) fn all(specs: &[FieldSpec]) -> Vec<Self> {
        specs.iter().map(Place::new).collect()
    }

    /// Calls `change` on every node to which the path leads; lists on the way are entered.
    ///
    /// # Errors
    /// When the path leads through a scalar or to a field without a name, or `change` fails.
    pub(super) fn visit(
        &self,
        node: &mut Node,
        make: Make,
        change: &mut dyn FnMut(&mut Node) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let make = if self.spec.create { make } else { Make::Nothing };
        visit(node, &self.parts, make, change).map_err(|failure| match failure {
            Failure::Scalar(at) => {
                let problem = Problem::FieldKind {
                    field: self.spec.path.to_string(),
                    of: "the object".into(),
                    found: "a scalar",
                    expected: "a mapping or a list",
                };
                Error::at(&at, problem)
            }
            Failure::NoName(at) => Error::at(&at, Problem::FieldName { path: self.spec.path.to_string() }),
            Failure::NoList(at) => Error::at(&at, Problem::FieldElement { path: self.spec.path.to_string() }),
            Failure::Change(error) => *error,
        })
    }
}

enum Failure {
    /// The path goes on below a scalar.
    Scalar(Box<Node>),
    /// The path goes on below a mapping with a field that has no name.
    NoName(Box<Node>),
    /// The path goes on below a mapping with what only a list has.
    NoList(Box<Node>),
    Change(Box<Error>),
}

fn visit(
    node: &mut Node,
    parts: &[SmolStr],
    make: Make,
    change: &mut dyn FnMut(&mut Node) -> Result<(), Error>,
) -> Result<(), Failure> {
    let Some((part, rest)) = parts.split_first() else {
        return change(node).map_err(|error| Failure::Change(Box::new(error)));
    };
    if node.is_null() {
        return Ok(());
    }
    if let Some(items) = node.as_sequence_mut() {
        return items.iter_mut().try_for_each(|item| visit(item, parts, make, change));
    }
    if !node.is_mapping() {
        return Err(Failure::Scalar(Box::new(node.clone())));
    }
    let (part, is_list) = part.strip_suffix("[]").map_or((part.as_str(), false), |part| (part, true));
    let name = match Step::new(part) {
        Step::Field(name) => name,
        Step::Stay => return visit(node, rest, make, change),
        Step::Element => return Err(Failure::NoList(Box::new(node.clone()))),
        Step::Nameless => return Err(Failure::NoName(Box::new(node.clone()))),
    };
    let wanted = match (is_list, make, rest.is_empty()) {
        (true, _, _) => Some(Node::sequence(Vec::new())),
        (false, Make::Nothing, _) => None,
        (false, Make::Scalar, true) => Some(Node::scalar("", ScalarStyle::Plain)),
        (false, _, _) => Some(Node::mapping()),
    };
    let found = match (node.get(name).is_some(), wanted) {
        (true, wanted) => {
            let found = node.get_mut(name);
            match (found, wanted) {
                (Some(found), Some(wanted)) if found.is_null() && !wanted.is_scalar() => {
                    *found = wanted;
                    Some(found)
                }
                (found, _) => found,
            }
        }
        (false, Some(wanted)) if !is_list => {
            // Its name is written without quotes: one that reads as something else than a string is refused at the end of the
            // build, as kustomize does.
            if let Some(entries) = node.as_mapping_mut() {
                push_entry(entries, Entry::plain(name, wanted));
            }
            node.get_mut(name)
        }
        (false, _) => None,
    };
    match found {
        Some(found) => visit(found, rest, make, change),
        None => Ok(()),
    }
}

/// # Errors
/// When the field of an object is none that holds text.
pub(super) fn check_scalar(node: &Node, field: &str, of: &Gvk) -> Result<(), Error> {
    if node.is_scalar() {
        return Ok(());
    }
    let problem =
        Problem::FieldKind { field: field.into(), of: of.to_string(), found: node.describe(), expected: "a scalar" };
    Err(Error::at(node, problem))
}

/// The tag of text that a transformer has written without saying what it is: it means what it reads as, until a patch
/// passes by.
const UNTYPED: &str = "!";

/// A value whose type is written down: it keeps that whatever text is put in its place, and is refused at the end of the
/// build where the text is none of that type.
pub(super) fn typed(text: impl Into<SmolStr>, tag: &'static str) -> Node {
    let mut node = Node::plain(text);
    node.set_tag(Some(SmolStr::new_static(tag)));
    node
}

/// Text that nobody has given a type.
pub(super) fn untyped(text: impl Into<SmolStr>) -> Node {
    typed(text, UNTYPED)
}

/// The same as a field of its own has it: in quotes where YAML 1.1 would not take it for text.
pub(super) fn bare(text: &str) -> Node {
    let mut node = untyped(text);
    settle_untyped(&mut node);
    node
}

/// True for text that nobody has given a type.
pub(super) fn is_untyped(node: &Node) -> bool {
    node.tag() == Some(UNTYPED)
}

/// The tags of numbers and bools that a patch has written into quotes: strings once they are printed, but to kustomize they
/// are what they were in the patch.
const QUOTED: [(&str, &str); 3] = [("!int", "!!int"), ("!float", "!!float"), ("!bool", "!!bool")];

/// The tag of text that no file has and that was put into quotes because it needed them; it may have changed since.
const ONCE_QUOTED: &str = "!str";

/// The text of a scalar in quotes, with the type that it has without them.
///
/// # Errors
/// When its tag and its text contradict each other.
pub(super) fn quoted_as(node: &Node, style: ScalarStyle) -> Result<Node, Error> {
    let tag = match node.resolve(Resolve::V3)? {
        Some(Plain::Int(_) | Plain::Uint(_)) => Some("!int"),
        Some(Plain::Float(_)) => Some("!float"),
        Some(Plain::Bool(_)) => Some("!bool"),
        _ => None,
    };
    let text = node.as_scalar().map(|scalar| scalar.text.clone()).unwrap_or_default();
    let mut quoted = Node::scalar(text, style).at_place_of(node);
    quoted.set_tag(tag.map(SmolStr::new_static));
    Ok(quoted)
}

/// True for what is no string in quotes only because its file or a transformer says so.
pub(super) fn is_quoted_by_type(node: &Node) -> bool {
    let of_quotes = |tag: &str| tag == "!!str" || QUOTED.iter().any(|(quoted, _)| tag == *quoted);
    node.tag().is_some_and(|tag| !of_quotes(tag)) && !was_quoted_once(node)
}

/// What kustomize takes a scalar for before it is printed.
///
/// # Errors
/// When its tag and its text contradict each other.
pub(super) fn plain_type(node: &Node) -> Result<Option<Plain>, Error> {
    let quoted = QUOTED.iter().find(|(quoted, _)| node.tag() == Some(quoted));
    match (quoted, node.as_scalar()) {
        (Some((_, tag)), Some(scalar)) => Ok(typed(scalar.text.clone(), tag).resolve(Resolve::V3)?),
        _ => Ok(node.resolve(Resolve::V3)?),
    }
}

/// Where other text has been put into such quotes, which is of another type, the type is written down in their stead.
pub(super) fn settle_quoted(node: &mut Node) {
    let Some((_, tag)) = QUOTED.iter().find(|(quoted, _)| node.tag() == Some(quoted)) else { return };
    let Some(text) = node.as_scalar().map(|scalar| scalar.text.clone()) else { return };
    let is_of_type = match plain(&text, Resolve::V3) {
        Plain::Int(_) | Plain::Uint(_) => *tag == "!!int",
        Plain::Float(_) => *tag == "!!float",
        Plain::Bool(_) => *tag == "!!bool",
        _ => false,
    };
    if !is_of_type {
        *node = typed(text, tag).at_place_of(node);
    }
}

/// Makes what stands in quotes stay in them, whatever its text has become.
pub(super) fn stay_quoted(node: &mut Node) {
    if !is_quoted(node) && node.as_scalar().is_some_and(|scalar| scalar.style != ScalarStyle::Plain) {
        node.set_tag(Some(SmolStr::new_static(ONCE_QUOTED)));
    }
}

fn was_quoted_once(node: &Node) -> bool {
    node.text().is_none() && node.tag() == Some(ONCE_QUOTED)
}

/// Puts text into quotes that nobody has given a type, or that is a string without them, and that YAML 1.1 would not take
/// for one.
pub(super) fn settle_untyped(node: &mut Node) {
    let Some(scalar) = node.as_scalar() else { return };
    let is_bare = scalar.style == ScalarStyle::Plain;
    let is_taken_for_another = match node.tag() {
        Some(UNTYPED) => !is_string_unquoted(&scalar.text),
        Some("!!str") => is_bare && !is_tag_written(node) && !is_string_unquoted(&scalar.text),
        Some(_) => false,
        None => is_bare && is_bool_of_old(&scalar.text),
    };
    if is_taken_for_another {
        *node = Node::string(scalar.text.clone()).at_place_of(node);
    }
}

/// True for a tag that its file has: what no transformer has written.
pub(super) fn is_tag_written(node: &Node) -> bool {
    node.text().zip(node.tag()).is_some_and(|(text, tag)| {
        let before = Span { start: 0, end: node.span().start };
        text.slice(before).trim_end().ends_with(tag)
    })
}

/// True for the words that YAML 1.1 takes for a bool, and go-yaml v3 for text.
fn is_bool_of_old(text: &str) -> bool {
    text.len() <= "off".len()
        && matches!(plain(text, Resolve::V2), Plain::Bool(_))
        && matches!(plain(text, Resolve::V3), Plain::Text)
}

/// True for text in quotes, or in lines of its own. What no file says has been made by a transformer, which quotes what
/// would be no string without, and writes several lines as they are.
pub(super) fn is_quoted(node: &Node) -> bool {
    node.as_scalar().is_some_and(|scalar| {
        scalar.style != ScalarStyle::Plain
            && (node.text().is_some()
                || was_quoted_once(node)
                || scalar.text.contains('\n')
                || !is_string_unquoted(&scalar.text))
    })
}

/// True for text that YAML 1.1 reads as a string when it stands alone, or can't read at all.
fn is_string_unquoted(text: &str) -> bool {
    let is_word = text.starts_with(|first: char| first.is_ascii_alphanumeric()) && !text.contains([':', '\t']);
    if text.is_empty() || text.contains('\n') {
        return true;
    }
    if is_word {
        return matches!(plain(text, Resolve::V2), Plain::Text);
    }
    let Ok(documents) = yaml::parse_as(&"text".into(), text.as_bytes(), Resolve::V2) else { return true };
    let Some(Document { root, .. }) = documents.first() else { return false };
    matches!(root.resolve(Resolve::V2), Ok(Some(Plain::Text | Plain::Time(_) | Plain::Decoded(_))) | Err(_))
}

/// Writes text into a scalar; how it was quoted stays, so that text which was a string stays one.
pub(super) fn write_text(node: &mut Node, text: impl Into<SmolStr>) {
    let text = text.into();
    let style = node.as_scalar().filter(|_| is_quoted(node)).map_or(ScalarStyle::Plain, |scalar| scalar.style);
    *node = Node::scalar(text, style).at_place_of(node);
    if style == ScalarStyle::Plain {
        node.set_tag(Some(SmolStr::new_static(UNTYPED)));
    } else {
        stay_quoted(node);
    }
}

/// Writes a string into a scalar, whatever was there. What was made without quotes stays without them.
pub(super) fn write_string(node: &mut Node, text: impl Into<SmolStr>) {
    let was_quoted = is_quoted(node);
    let style = node.as_scalar().filter(|_| was_quoted).map_or(ScalarStyle::Plain, |scalar| scalar.style);
    *node = Node::scalar(text, style).at_place_of(node);
    node.set_tag(Some(SmolStr::new_static("!!str")));
    if was_quoted {
        stay_quoted(node);
    }
}

/// Sets an entry of labels or annotations. A key that is not there yet is written without quotes: one that reads as
/// something else than a string is refused at the end of the build, as kustomize does.
pub(super) fn write_mark(node: &mut Node, key: &SmolStr, value: &SmolStr) -> Written {
    if let Some(place) = node.get_mut(key) {
        write_string(place, value.clone());
        return Written::Changed;
    }
    if let Some(entries) = node.as_mapping_mut() {
        push_entry(entries, Entry::plain(key.clone(), Node::string(value.clone())));
    }
    Written::Made
}

/// Whether an entry was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Changed,
    Made,
}
