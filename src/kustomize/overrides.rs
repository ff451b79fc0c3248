//! What an Application's `spec.source.kustomize` adds to the kustomization that it renders.
//!
//! Argo CD runs `kustomize edit` on the file before it builds it; here the same edits are made to what was read of
//! the file.

use smol_str::SmolStr;

use super::entry::{Image, Labels, Patch, Replica, Selector};
use super::error::{Error, Problem};
use super::field::Text;
use super::file::Kustomization;
use super::load::{Found, Loader};
use super::resource::Gvk;
use crate::error::Origin;
use crate::source::TreePath;
use crate::yaml::Node;

/// Edits to the root kustomization, in the words of Argo CD's `kustomize` section. Variables of the build environment
/// have been put in before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// Takes the place of the file's.
    pub name_prefix: Option<String>,
    /// Takes the place of the file's.
    pub name_suffix: Option<String>,
    /// Takes the place of the file's.
    pub namespace: Option<String>,
    /// `[old=]name[:tag][@digest]`; entries of the file for the same old name are replaced.
    pub images: Vec<String>,
    /// Name and count; entries of the file for the same name are replaced.
    pub replicas: Vec<(String, String)>,
    /// Set on all objects.
    pub common_labels: Vec<(String, String)>,
    /// True when a label that the file sets may be set again.
    pub force_common_labels: bool,
    /// True when labels do not go into selectors.
    pub label_without_selector: bool,
    /// True when labels go into pod templates though not into selectors.
    pub label_include_templates: bool,
    /// Set on all objects.
    pub common_annotations: Vec<(String, String)>,
    /// True when an annotation that the file sets may be set again.
    pub force_common_annotations: bool,
    /// Added to the file's.
    pub patches: Vec<OverridePatch>,
    /// Added to the file's.
    pub components: Vec<String>,
    /// True when components whose directory does not exist are left out.
    pub ignore_missing_components: bool,
}

/// A patch of an Application.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OverridePatch {
    /// A file, from the directory that is rendered.
    pub path: String,
    /// The text of the patch.
    pub patch: String,
    /// The objects that it is for.
    pub target: Option<OverrideTarget>,
    /// The option `allowNameChange`.
    pub allow_name_change: bool,
    /// The option `allowKindChange`.
    pub allow_kind_change: bool,
}

/// The objects that a patch of an Application is for; empty parts are open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OverrideTarget {
    /// API group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// As kubectl takes it.
    pub label_selector: String,
    /// As kubectl takes it.
    pub annotation_selector: String,
}

impl Overrides {
    /// Makes the edits.
    ///
    /// # Errors
    /// Every edit that can't be made.
    pub(super) fn apply(
        &self,
        kustomization: &mut Kustomization,
        file: &TreePath,
        loader: &Loader<'_>,
    ) -> Result<(), Vec<Error>> {
        let mut errors = Vec::new();
        let replace = |place: &mut Option<Text>, value: &Option<String>| {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                *place = Some(Text::new(value.as_str()));
            }
        };
        replace(&mut kustomization.name_prefix, &self.name_prefix);
        replace(&mut kustomization.name_suffix, &self.name_suffix);
        replace(&mut kustomization.namespace, &self.namespace);
        if !self.images.is_empty() {
            for text in &self.images {
                match image(text) {
                    Some(image) => set_image(&mut kustomization.images, image),
                    None => {
                        let expected = "`[name=]newName[:tag][@digest]`";
                        let problem = Problem::WrongValue { field: "images".into(), value: text.clone(), expected };
                        errors.push(Error::of_file(file, problem));
                    }
                }
            }
            kustomization.images.sort_by(|one, other| one.name.cmp(&other.name));
        }
        for (name, count) in &self.replicas {
            match count.parse() {
                Ok(count) => {
                    kustomization.replicas.retain(|replica| replica.name != *name);
                    let at = Node::string(name.as_str());
                    kustomization.replicas.push(Replica { name: name.into(), count, at });
                }
                Err(_) => {
                    let problem = Problem::OverrideReplicas { name: name.clone(), count: count.clone() };
                    errors.push(Error::of_file(file, problem));
                }
            }
        }
        let mut add = |pairs: &mut Vec<(SmolStr, Text)>, new: &[(String, String)], force: bool, what: &'static str| {
            for (key, value) in new {
                let known = pairs.iter().position(|(known, _)| known == key);
                match known {
                    Some(_) if !force => {
                        let problem = Problem::OverrideExists { what, key: key.clone() };
                        errors.push(Error::of_file(file, problem));
                        continue;
                    }
                    Some(at) => drop(pairs.remove(at)),
                    None => {}
                }
                pairs.push((key.into(), Text::new(value.as_str())));
            }
            pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        };
        if self.label_without_selector && !self.common_labels.is_empty() {
            let templates = self.label_include_templates;
            let same = |labels: &Labels| !labels.include_selectors && labels.include_templates == templates;
            if !kustomization.labels.iter().any(same) {
                let at = Node::mapping();
                kustomization.labels.push(Labels {
                    pairs: Vec::new(),
                    include_selectors: false,
                    include_templates: templates,
                    include_claims: false,
                    fields: Vec::new(),
                    at,
                });
            }
            if let Some(labels) = kustomization.labels.iter_mut().find(|labels| same(labels)) {
                add(&mut labels.pairs, &self.common_labels, self.force_common_labels, "label");
            }
        } else {
            add(&mut kustomization.common_labels, &self.common_labels, self.force_common_labels, "label");
        }
        let annotations = &mut kustomization.common_annotations;
        add(annotations, &self.common_annotations, self.force_common_annotations, "annotation");
        kustomization.patches.extend(self.patches.iter().map(patch));
        for component in &self.components {
            let entry = Text::new(component.as_str());
            let directory = file.parent().unwrap_or_default();
            let missing = !matches!(loader.find(&directory, &entry), Ok(Found::Directory(_)));
            let listed = kustomization.components.iter().any(|known| known.as_str() == component);
            if !(listed || (self.ignore_missing_components && missing)) {
                kustomization.components.push(entry);
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

/// `[old=]name[:tag][@digest]`; one of the three must be given.
fn image(text: &str) -> Option<Image> {
    let (old, new) = match text.split_once('=') {
        Some((old, new)) if !old.is_empty() && !new.is_empty() && !new.contains('=') => (Some(old), new),
        Some(_) => return None,
        None => (None, text),
    };
    let (new, digest) = new.split_once('@').unwrap_or((new, ""));
    let after_host = new.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match new.get(after_host..)?.split_once(':') {
        Some((_, tag)) => (new.get(..new.len() - tag.len() - 1)?, tag),
        None => (new, ""),
    };
    if name.is_empty() || (old.is_none() && tag.is_empty() && digest.is_empty()) {
        return None;
    }
    Some(Image {
        at: None,
        name: old.unwrap_or(name).into(),
        new_name: old.map(|_| name.into()).unwrap_or_default(),
        new_tag: tag.into(),
        digest: digest.into(),
        tag_suffix: SmolStr::default(),
    })
}

/// Replaces the entry of the same name; `*` keeps what it says.
fn set_image(images: &mut Vec<Image>, mut image: Image) {
    const KEEP: &str = "*";
    let old = images.iter().position(|known| known.name == image.name).map(|at| images.remove(at)).unwrap_or_default();
    for (new, old) in
        [(&mut image.new_name, old.new_name), (&mut image.new_tag, old.new_tag), (&mut image.digest, old.digest)]
    {
        if new == KEEP {
            *new = old;
        }
    }
    images.push(image);
}

fn patch(patch: &OverridePatch) -> Patch {
    let text = |text: &String| Some(Text::new(text.as_str())).filter(|text| !text.value.is_empty());
    Patch {
        path: text(&patch.path),
        patch: text(&patch.patch),
        target: patch.target.as_ref().map(|target| Selector {
            gvk: Gvk::new(&target.group, &target.version, &target.kind),
            name: target.name.as_str().into(),
            namespace: target.namespace.as_str().into(),
            labels: target.label_selector.as_str().into(),
            annotations: target.annotation_selector.as_str().into(),
            at: None,
        }),
        allow_name_change: patch.allow_name_change,
        allow_kind_change: patch.allow_kind_change,
        at: Node::mapping(),
    }
}

/// Says that a problem without a place comes from the Application.
pub(super) fn attribute(error: Error, file: &TreePath) -> Error {
    match error.origin {
        Some(_) => error,
        None => Error { origin: Some(Origin::file(file.to_string())), ..error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_read_as_kustomize_edit_reads_them() {
        let cases = [
            // text, name, new name, tag, digest
            ("nginx:2", Some(("nginx", "", "2", ""))),
            ("host:5000/nginx:2", Some(("host:5000/nginx", "", "2", ""))),
            ("web=nginx", Some(("web", "nginx", "", ""))),
            ("web=host:5000/nginx:2", Some(("web", "host:5000/nginx", "2", ""))),
            ("nginx@sha256:ab", Some(("nginx", "", "", "sha256:ab"))),
            ("web=nginx:2@sha256:ab", Some(("web", "nginx", "2", "sha256:ab"))),
            ("nginx", None),
            ("a=b=c", None),
            ("=b:1", None),
        ];
        for (text, expected) in cases {
            let found = image(text);
            let found = found.as_ref().map(|image| {
                (image.name.as_str(), image.new_name.as_str(), image.new_tag.as_str(), image.digest.as_str())
            });
            assert_eq!(found, expected, "{text}");
        }
    }
}
