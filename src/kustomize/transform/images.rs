//! `images`: renames images and sets their tags and digests.

use regex::Regex;

use crate::kustomize::entry::{FieldSpec, Image};
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::place::{Make, Place, check_scalar, write_text};
use crate::kustomize::resource::Gvk;
use crate::kustomize::set::Set;
use crate::pattern::translated;
use crate::yaml::Node;

/// Changes the image wherever it is used: where the field specs say, and in everything that looks like a list of
/// containers. Where both lead to the same field it is changed twice, which shows with `tagSuffix`.
///
/// # Errors
/// When a field spec leads through a scalar, or an image or a container is none.
pub(in crate::kustomize) fn apply(set: &mut Set, image: &Image, specs: &[FieldSpec]) -> Result<(), Error> {
    let Some(change) = Change::new(image) else { return Ok(()) };
    let places = Place::all(specs);
    for resource in set.bodies_mut(|resource| resource.kind() != "CustomResourceDefinition") {
        let gvk = resource.gvk();
        for place in places.iter().filter(|place| gvk.is_selected_by(&place.spec.gvk)) {
            place.visit(&mut resource.node, Make::Nothing, &mut |node| {
                check_scalar(node, &place.spec.path, &gvk)?;
                change.apply(node);
                Ok(())
            })?;
        }
        change.apply_to_containers(&mut resource.node, &gvk)?;
    }
    Ok(())
}

struct Change<'a> {
    image: &'a Image,
    pattern: Pattern<'a>,
}

/// What a whole reference has to look like: the name is a regular expression in kustomize, and hardly ever meant so.
enum Pattern<'a> {
    /// A name in which the dots alone mean something: any character.
    Name(&'a str),
    /// Everything else.
    Regex(Box<Regex>),
}

impl<'a> Pattern<'a> {
    /// `None` when the name is an expression that can't match anything.
    fn new(name: &'a str) -> Option<Self> {
        const REST: &str = "(:[a-zA-Z0-9_.{}-]*)?(@[a-zA-Z0-9]+([.+_-][a-zA-Z0-9]+)*:[a-zA-Z0-9_.{}-]*)?$";
        if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/' | b':' | b'.')) {
            return Some(Pattern::Name(name));
        }
        Regex::new(&format!("^{}{REST}", translated(name).ok()?)).ok().map(|regex| Pattern::Regex(Box::new(regex)))
    }

    fn matches(&self, reference: &str) -> bool {
        let name = match self {
            Pattern::Regex(regex) => return regex.is_match(reference),
            Pattern::Name(name) => name,
        };
        let mut rest = reference.chars();
        let is_named = name.chars().all(|wanted| match (wanted, rest.next()) {
            ('.', Some(found)) => found != '\n',
            (wanted, found) => found == Some(wanted),
        });
        is_named && is_version(rest.as_str())
    }
}

/// A tag, a digest, both or neither: what may stand behind a name.
fn is_version(text: &str) -> bool {
    let is_tag = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'{' | b'}' | b'-'))
    };
    let (tag, digest) = match text.split_once('@') {
        Some((tag, digest)) => (tag, Some(digest)),
        None => (text, None),
    };
    let is_algorithm = |text: &str| {
        let words = text.split(['.', '+', '_', '-']);
        words.into_iter().all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    };
    (tag.is_empty() || tag.strip_prefix(':').is_some_and(is_tag))
        && digest.is_none_or(|digest| {
            digest.split_once(':').is_some_and(|(algorithm, hash)| is_algorithm(algorithm) && is_tag(hash))
        })
}

impl<'a> Change<'a> {
    /// `None` when the name is an expression that can't match anything.
    fn new(image: &'a Image) -> Option<Self> {
        Some(Change { image, pattern: Pattern::new(&image.name)? })
    }

    fn apply(&self, node: &mut Node) {
        let Some(reference) = node.as_str().filter(|_| !node.is_null()) else { return };
        if self.pattern.matches(reference) {
            let changed = changed(reference, self.image);
            write_text(node, changed);
        }
    }

    fn apply_to_containers(&self, node: &mut Node, of: &Gvk) -> Result<(), Error> {
        if let Some(items) = node.as_sequence_mut() {
            return items.iter_mut().try_for_each(|item| self.apply_to_containers(item, of));
        }
        for entry in node.as_mapping_mut().into_iter().flatten() {
            self.apply_to_containers(&mut entry.value, of)?;
            let field = match entry.name() {
                Some("containers") => "containers",
                Some("initContainers") => "initContainers",
                _ => continue,
            };
            for container in entry.value.as_sequence_mut().into_iter().flatten() {
                if !container.is_mapping() && !container.is_null() {
                    let (field, of, found) = (field.into(), of.to_string(), container.describe());
                    return Err(Error::at(container, Problem::FieldKind { field, of, found, expected: "mappings" }));
                }
                if let Some(image) = container.get_mut("image") {
                    check_scalar(image, "image", of)?;
                    self.apply(image);
                }
            }
        }
        Ok(())
    }
}

fn changed(reference: &str, image: &Image) -> String {
    let (name, mut tag, mut digest) = parts(reference);
    let name = if image.new_name.is_empty() { name } else { &image.new_name };
    let suffixed;
    match (image.new_tag.is_empty(), image.digest.is_empty()) {
        (false, _) => (tag, digest) = (&image.new_tag, &image.digest),
        (true, false) => (tag, digest) = ("", &image.digest),
        (true, true) if !image.tag_suffix.is_empty() => {
            suffixed = format!("{tag}{}", image.tag_suffix);
            (tag, digest) = (&suffixed, "");
        }
        (true, true) => {}
    }
    let mut text = name.to_owned();
    for (separator, part) in [(':', tag), ('@', digest)] {
        if !part.is_empty() {
            text.push(separator);
            text.push_str(part);
        }
    }
    text
}

/// Name, tag and digest. A colon before the first slash belongs to a port.
fn parts(reference: &str) -> (&str, &str, &str) {
    let after_host = reference.find('/').unwrap_or(0);
    let rest = reference.get(after_host..).unwrap_or_default();
    let (before_digest, digest) = match rest.find('@') {
        Some(at) => (at, reference.get(after_host + at + 1..).unwrap_or_default()),
        None => (rest.len(), ""),
    };
    let tagged = rest.get(..before_digest).unwrap_or_default();
    match tagged.find(':') {
        Some(at) => {
            (reference.get(..after_host + at).unwrap_or_default(), tagged.get(at + 1..).unwrap_or_default(), digest)
        }
        None => (reference.get(..after_host + before_digest).unwrap_or_default(), "", digest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_changed_part_by_part() {
        let image = |name: &str, new_name: &str, new_tag: &str, digest: &str| Image {
            name: name.into(),
            new_name: new_name.into(),
            new_tag: new_tag.into(),
            digest: digest.into(),
            ..Image::default()
        };
        let cases = [
            // reference, change, result
            ("nginx", image("nginx", "", "2", ""), "nginx:2"),
            ("nginx:1", image("nginx", "web", "", ""), "web:1"),
            ("nginx:1@sha256:ab", image("nginx", "web", "", ""), "web:1@sha256:ab"),
            ("nginx:1@sha256:ab", image("nginx", "", "2", ""), "nginx:2"),
            ("nginx:1", image("nginx", "", "", "sha256:cd"), "nginx@sha256:cd"),
            ("nginx:1", image("nginx", "", "2", "sha256:cd"), "nginx:2@sha256:cd"),
            ("foo/nginx:1", image("nginx", "", "2", ""), "foo/nginx:1"),
            ("host:5000/nginx", image("host:5000/nginx", "", "2", ""), "host:5000/nginx:2"),
            ("nginx:1", image("ng(", "", "2", ""), "nginx:1"),
            ("nginx:1", image("ng[hi]nx", "", "2", ""), "nginx:2"),
            ("a-b/nginx", image("a.b/nginx", "", "2", ""), "a-b/nginx:2"),
            ("nginx:1/x", image("nginx", "", "2", ""), "nginx:1/x"),
            ("nginx@sha", image("nginx", "", "2", ""), "nginx@sha"),
            ("nginx:@sha256+b64u:ab", image("nginx", "", "2", ""), "nginx:2"),
            ("nginx@sha256..b:ab", image("nginx", "", "2", ""), "nginx@sha256..b:ab"),
        ];
        for (reference, image, expected) in cases {
            let mut node = Node::plain(reference);
            if let Some(change) = Change::new(&image) {
                change.apply(&mut node);
            }
            assert_eq!(node.as_str(), Some(expected), "{reference} {image:?}");
        }
    }
}
