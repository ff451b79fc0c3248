//! The field specs of all transformers: what kustomize has built in, and what `configurations` and `crds` add.

use std::sync::{Arc, LazyLock};

use crate::kustomize::file::FieldSpec;
use crate::kustomize::resource::Gvk;

/// Where each transformer works.
#[derive(Clone, Debug, Default)]
pub(in crate::kustomize) struct Specs {
    pub(in crate::kustomize) name_prefix: Vec<FieldSpec>,
    pub(in crate::kustomize) name_suffix: Vec<FieldSpec>,
    pub(in crate::kustomize) namespace: Vec<FieldSpec>,
    pub(in crate::kustomize) common_labels: Vec<FieldSpec>,
    pub(in crate::kustomize) labels: Vec<FieldSpec>,
    pub(in crate::kustomize) template_labels: Vec<FieldSpec>,
    pub(in crate::kustomize) claim_labels: Vec<FieldSpec>,
    pub(in crate::kustomize) common_annotations: Vec<FieldSpec>,
    pub(in crate::kustomize) images: Vec<FieldSpec>,
    pub(in crate::kustomize) replicas: Vec<FieldSpec>,
    pub(in crate::kustomize) variables: Vec<FieldSpec>,
    pub(in crate::kustomize) references: Vec<References>,
}

/// The fields that hold the name of a kind of object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::kustomize) struct References {
    pub(in crate::kustomize) target: Gvk,
    pub(in crate::kustomize) from: Vec<FieldSpec>,
}

impl Specs {
    /// What is built in; shared, as few builds add to it.
    pub(in crate::kustomize) fn built_in() -> Arc<Specs> {
        static BUILT_IN: LazyLock<Arc<Specs>> = LazyLock::new(|| Arc::new(parse()));
        Arc::clone(&BUILT_IN)
    }
}

/// `group/version/kind`, `*` standing for any.
fn gvk(text: &str) -> Gvk {
    let mut parts = text.split('/').map(|part| if part == "*" { "" } else { part });
    let mut next = || parts.next().unwrap_or_default();
    Gvk::new(next(), next(), next())
}

/// A path; `+` says that it is created.
fn spec(gvk: &Gvk, path: &str) -> FieldSpec {
    let (path, create) = path.strip_prefix('+').map_or((path, false), |path| (path, true));
    FieldSpec { gvk: gvk.clone(), path: path.into(), create }
}

/// The kinds that hold a pod, with the path to its spec.
const PODS: [(&str, &str); 8] = [
    ("*/v1/Pod", "spec"),
    ("*/*/PodTemplate", "template/spec"),
    ("*/*/Deployment", "spec/template/spec"),
    ("*/*/ReplicaSet", "spec/template/spec"),
    ("*/*/DaemonSet", "spec/template/spec"),
    ("*/*/StatefulSet", "spec/template/spec"),
    ("*/*/Job", "spec/template/spec"),
    ("*/*/CronJob", "spec/jobTemplate/spec/template/spec"),
];

/// Another list of the same: what refers to accounts, claims and priority classes.
const WORKLOADS: [(&str, &str); 7] = [
    ("*/*/Pod", "spec"),
    ("*/*/StatefulSet", "spec/template/spec"),
    ("*/*/Deployment", "spec/template/spec"),
    ("*/*/ReplicationController", "spec/template/spec"),
    ("*/*/CronJob", "spec/jobTemplate/spec/template/spec"),
    ("*/*/Job", "spec/template/spec"),
    ("*/*/DaemonSet", "spec/template/spec"),
];

/// And what variables are put into.
const EXPANDED: [(&str, &str); 7] = [
    ("*/*/CronJob", "spec/jobTemplate/spec/template/spec"),
    ("*/*/DaemonSet", "spec/template/spec"),
    ("*/*/Deployment", "spec/template/spec"),
    ("*/*/Job", "spec/template/spec"),
    ("*/*/Pod", "spec"),
    ("*/*/ReplicaSet", "spec/template/spec"),
    ("*/*/StatefulSet", "spec/template/spec"),
];

fn parse() -> Specs {
    let mut specs = Specs::default();
    let mut section = "";
    for line in include_str!("specs.txt").lines().map(str::trim_end) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            if let Some(target) = section.strip_prefix("reference ") {
                specs.references.push(References { target: gvk(target), from: Vec::new() });
            }
            continue;
        }
        let Some((kinds, path)) = line.split_once(' ') else { continue };
        let list = match section {
            "namePrefix" => &mut specs.name_prefix,
            "nameSuffix" => &mut specs.name_suffix,
            "namespace" => &mut specs.namespace,
            "commonLabels" => &mut specs.common_labels,
            "templateLabels" => &mut specs.template_labels,
            "volumeClaimTemplateLabels" => &mut specs.claim_labels,
            "commonAnnotations" => &mut specs.common_annotations,
            "images" => &mut specs.images,
            "replicas" => &mut specs.replicas,
            "varReference" => &mut specs.variables,
            _ => match specs.references.last_mut() {
                Some(references) => &mut references.from,
                None => continue,
            },
        };
        let pods: &[(&str, &str)] = match kinds {
            "PODS" => &PODS,
            "WORKLOADS" => &WORKLOADS,
            "EXPANDED" => &EXPANDED,
            kind => {
                list.push(spec(&gvk(kind), path));
                continue;
            }
        };
        list.extend(pods.iter().map(|(kind, prefix)| spec(&gvk(kind), &format!("{prefix}/{path}"))));
    }
    specs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_all_sections() {
        let specs = Specs::built_in();
        let counts = [
            // section, field specs
            (specs.name_prefix.len(), 1),
            (specs.namespace.len(), 3),
            (specs.common_labels.len(), 32),
            (specs.template_labels.len(), 9),
            (specs.common_annotations.len(), 9),
            (specs.images.len(), 7),
            (specs.replicas.len(), 4),
            (specs.references.len(), 14),
        ];
        for (at, (found, expected)) in counts.into_iter().enumerate() {
            assert_eq!(found, expected, "section {at}");
        }
        let secrets = specs.references.iter().find(|references| references.target.kind == "Secret").unwrap();
        assert!(
            secrets
                .from
                .contains(&spec(&gvk("*/*/CronJob"), "spec/jobTemplate/spec/template/spec/imagePullSecrets/name"))
        );
    }
}
