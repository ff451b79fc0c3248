//! An Application's `kustomize` section, as the edits that the engine makes before it builds.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::build_environment::Variables;
use crate::api::argo::{Kustomize, KustomizePatch, KustomizeSelector};
use crate::error::Diagnostic;
use crate::kustomize::{Options, OverridePatch, OverrideTarget, Overrides};
use crate::object::Object;

/// kustomize lets a list go without a name, and no cluster takes one.
///
/// # Errors
/// One problem for each object without a name.
pub(super) fn refuse_nameless(objects: &[Object]) -> Result<(), Vec<Diagnostic>> {
    let nameless = objects.iter().filter(|object| object.key.name.is_empty());
    let problems: Vec<Diagnostic> = nameless
        .map(|object| {
            let problem = Diagnostic::new(format!("an object of kind `{}` has no `metadata.name`", object.key.kind));
            match &object.origin {
                Some(origin) => problem.at(origin.clone()),
                None => problem,
            }
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// What to build, with the variables of the build environment put in where Argo CD does: into images, labels, and
/// annotations that ask for it.
pub(super) fn options(section: &Kustomize, variables: &Variables) -> Options {
    let substituted = |text: &String| variables.substitute(text);
    let annotation = |value: &String| match section.common_annotations_envsubst {
        true => variables.substitute(value),
        false => value.clone(),
    };
    let count = |count: &IntOrString| match count {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(text) => text.clone(),
    };
    let overrides = Overrides {
        name_prefix: section.name_prefix.clone(),
        name_suffix: section.name_suffix.clone(),
        namespace: section.namespace.clone(),
        images: section.images.iter().map(substituted).collect(),
        replicas: section.replicas.iter().map(|entry| (entry.name.clone(), count(&entry.count))).collect(),
        common_labels: section.common_labels.iter().map(|(key, value)| (key.clone(), substituted(value))).collect(),
        force_common_labels: section.force_common_labels,
        label_without_selector: section.label_without_selector,
        label_include_templates: section.label_include_templates,
        common_annotations: section
            .common_annotations
            .iter()
            .map(|(key, value)| (key.clone(), annotation(value)))
            .collect(),
        force_common_annotations: section.force_common_annotations,
        patches: section.patches.iter().map(patch).collect(),
        components: section.components.clone(),
        ignore_missing_components: section.ignore_missing_components,
    };
    Options { overrides, ..Options::default() }
}

fn patch(patch: &KustomizePatch) -> OverridePatch {
    let option = |name: &str| patch.options.get(name).copied().unwrap_or_default();
    OverridePatch {
        path: patch.path.clone().unwrap_or_default(),
        patch: patch.patch.clone().unwrap_or_default(),
        target: patch.target.as_ref().map(target),
        allow_name_change: option("allowNameChange"),
        allow_kind_change: option("allowKindChange"),
    }
}

fn target(target: &KustomizeSelector) -> OverrideTarget {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    OverrideTarget {
        group: text(&target.group),
        version: text(&target.version),
        kind: text(&target.kind),
        name: text(&target.name),
        namespace: text(&target.namespace),
        label_selector: text(&target.label_selector),
        annotation_selector: text(&target.annotation_selector),
    }
}
