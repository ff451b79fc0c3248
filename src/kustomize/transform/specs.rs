//! The field specs of all transformers: what kustomize has built in, and what `configurations` and `crds` add.

use std::sync::{Arc, LazyLock};

use smol_str::SmolStr;

use crate::kustomize::entry::FieldSpec;
use crate::kustomize::order;
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
        static BUILT_IN: LazyLock<Arc<Specs>> = LazyLock::new(|| {
            let mut specs = parse();
            specs.sort();
            Arc::new(specs)
        });
        Arc::clone(&BUILT_IN)
    }

    /// Nothing at all: what a layer starts with.
    pub(in crate::kustomize) fn none() -> Arc<Specs> {
        static NONE: LazyLock<Arc<Specs>> = LazyLock::new(Arc::default);
        Arc::clone(&NONE)
    }

    /// Both, sorted by kind.
    ///
    /// A spec is left out when an earlier one has its path and is at least as specific. As specs for any kind are
    /// sorted last, one for a single kind can so switch off what is meant for all: kustomize does that too.
    ///
    /// # Errors
    /// When two specs for the same field differ in whether it is created.
    pub(in crate::kustomize) fn merge(one: &Arc<Specs>, other: &Arc<Specs>) -> Result<Arc<Specs>, Conflict> {
        let built_in = Specs::built_in();
        if Arc::ptr_eq(other, &built_in) && (Arc::ptr_eq(one, other) || Arc::ptr_eq(one, &Specs::none())) {
            return Ok(built_in);
        }
        let mut merged = Specs::clone(one);
        for (list, incoming) in merged.lists_mut().into_iter().zip(other.lists()) {
            merge_all(list, incoming)?;
        }
        for incoming in &other.references {
            match merged.references.iter_mut().find(|known| known.target == incoming.target) {
                Some(known) => merge_all(&mut known.from, &incoming.from)?,
                None => merged.references.push(incoming.clone()),
            }
        }
        merged.sort();
        Ok(Arc::new(merged))
    }

    /// Sorts every list by kind.
    pub(in crate::kustomize) fn sort(&mut self) {
        for list in self.lists_mut() {
            list.sort_by_cached_key(|spec| order::rank(&spec.gvk));
        }
        self.references.sort_by_cached_key(|references| order::rank(&references.target));
    }

    fn lists(&self) -> [&Vec<FieldSpec>; 11] {
        [
            &self.name_prefix,
            &self.name_suffix,
            &self.namespace,
            &self.common_labels,
            &self.labels,
            &self.template_labels,
            &self.claim_labels,
            &self.common_annotations,
            &self.images,
            &self.replicas,
            &self.variables,
        ]
    }

    fn lists_mut(&mut self) -> [&mut Vec<FieldSpec>; 11] {
        [
            &mut self.name_prefix,
            &mut self.name_suffix,
            &mut self.namespace,
            &mut self.common_labels,
            &mut self.labels,
            &mut self.template_labels,
            &mut self.claim_labels,
            &mut self.common_annotations,
            &mut self.images,
            &mut self.replicas,
            &mut self.variables,
        ]
    }

    /// The list of a section of a configuration file.
    pub(in crate::kustomize) fn section(&mut self, name: &str) -> Option<&mut Vec<FieldSpec>> {
        let at = SECTIONS.iter().position(|section| *section == name)?;
        self.lists_mut().into_iter().nth(at)
    }
}

/// The sections of a configuration file that are plain lists of field specs.
pub(in crate::kustomize) const SECTIONS: [&str; 11] = [
    "namePrefix",
    "nameSuffix",
    "namespace",
    "commonLabels",
    "labels",
    "templateLabels",
    "volumeClaimTemplateLabels",
    "commonAnnotations",
    "images",
    "replicas",
    "varReference",
];

/// The path of two field specs that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kustomize) struct Conflict(pub(in crate::kustomize) SmolStr);

/// Adds field specs to those that are there.
///
/// # Errors
/// When two specs for the same field differ in whether it is created.
pub(in crate::kustomize) fn merge_all(list: &mut Vec<FieldSpec>, incoming: &[FieldSpec]) -> Result<(), Conflict> {
    for spec in incoming {
        match list.iter().find(|known| known.path == spec.path && known.gvk.is_selected_by(&spec.gvk)) {
            Some(known) if known.create != spec.create => return Err(Conflict(spec.path.clone())),
            Some(_) => {}
            None => list.push(spec.clone()),
        }
    }
    Ok(())
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
        let list = match specs.references.last_mut() {
            Some(references) if section.starts_with("reference ") => &mut references.from,
            _ => match specs.section(section) {
                Some(list) => list,
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
            (specs.references.len(), 15),
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
