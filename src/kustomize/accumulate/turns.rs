//! Whose turn it is: the transformers of a kustomization in the order in which they work.

use std::sync::Arc;

use smol_str::SmolStr;

use super::Target;
use crate::kustomize::entry::{FieldSpec, Labels};
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::field::Text;
use crate::kustomize::load::Loader;
use crate::kustomize::origin::BuildOrigin;
use crate::kustomize::patch::Prepared;
use crate::kustomize::plugin;
use crate::kustomize::story::By;
use crate::kustomize::transform::Transformer;
use crate::kustomize::transform::name::Affix;
use crate::kustomize::transform::namespace::{Namespace, Subjects};
use crate::kustomize::transform::specs::{Conflict, Specs, merge_all};
use crate::yaml::Node;

/// A transformer, and what is told of it.
pub(super) struct Turn {
    pub(super) transformer: Transformer,
    /// What `buildMetadata` calls it, when it wants to know.
    pub(super) noted: Option<Arc<BuildOrigin>>,
    /// The entry that asks for it.
    pub(super) by: By,
}

/// The transformers that the fields of a kustomization ask for. All that they need is read before the first one is
/// applied. `file`: what `buildMetadata` calls the kustomization, when it wants to know.
///
/// # Errors
/// Every entry that can't be read or makes no sense.
pub(super) fn turns(
    target: &Target,
    loader: &Loader<'_>,
    specs: &Specs,
    file: Option<&str>,
) -> Result<Vec<Turn>, Vec<Error>> {
    let kustomization = &target.kustomization;
    let directory = &target.directory;
    let mut errors = Vec::new();
    let mut turns = Turns { file, turns: Vec::new() };
    if let Some(first) = kustomization.patches_strategic_merge.first() {
        match plugin::strategic(loader, directory, &kustomization.patches_strategic_merge, &first.node) {
            Ok(patches) => turns.add("patchesStrategicMerge", &first.node, Transformer::Patches(patches)),
            Err(more) => errors.extend(more),
        }
    }
    for patch in &kustomization.patches {
        match Prepared::new(loader, directory, patch) {
            Ok(prepared) => turns.add("patches", &patch.at, Transformer::Patches(vec![prepared])),
            Err(error) => errors.push(error),
        }
    }
    if let Some(text) = &kustomization.namespace {
        let namespace = Namespace {
            namespace: text.value.clone(),
            specs: specs.namespace.clone(),
            subjects: Subjects::Default,
            unset_only: false,
        };
        turns.add("namespace", &text.node, Transformer::Namespace(namespace));
    }
    if let Some(prefix) = &kustomization.name_prefix {
        let affix = Transformer::Affix(Affix::Prefix, prefix.value.clone(), specs.name_prefix.clone());
        turns.add("namePrefix", &prefix.node, affix);
    }
    if let Some(suffix) = &kustomization.name_suffix {
        let affix = Transformer::Affix(Affix::Suffix, suffix.value.clone(), specs.name_suffix.clone());
        turns.add("nameSuffix", &suffix.node, affix);
    }
    for entry in &kustomization.labels {
        match label_fields(entry, specs) {
            Ok(fields) => turns.add("labels", &entry.at, Transformer::Marks(values(&entry.pairs), fields)),
            Err(Conflict(path)) => {
                let problem = Problem::FieldSpecConflict { path: path.to_string() };
                errors.push(Error::at(&entry.at, problem));
            }
        }
    }
    let nowhere = Node::mapping();
    let first_of = |pairs: &[(SmolStr, Text)]| pairs.first().map_or(nowhere.clone(), |(_, text)| text.node.clone());
    if !(kustomization.labels.is_empty() && kustomization.common_labels.is_empty()) {
        let marks = Transformer::Marks(values(&kustomization.common_labels), specs.common_labels.clone());
        turns.add("commonLabels", &first_of(&kustomization.common_labels), marks);
    }
    if !kustomization.common_annotations.is_empty() {
        let marks = Transformer::Marks(values(&kustomization.common_annotations), specs.common_annotations.clone());
        turns.add("commonAnnotations", &first_of(&kustomization.common_annotations), marks);
    }
    for patch in &kustomization.patches_json6902 {
        match Prepared::operations(loader, directory, patch) {
            Ok(prepared) => turns.add("patchesJson6902", &patch.at, Transformer::Patches(vec![prepared])),
            Err(error) => errors.push(error),
        }
    }
    for replica in &kustomization.replicas {
        turns.add("replicas", &replica.at, Transformer::Replicas(replica.clone(), specs.replicas.clone()));
    }
    for image in &kustomization.images {
        let at = image.at.as_ref().unwrap_or(&nowhere);
        turns.add("images", at, Transformer::Image(image.clone(), specs.images.clone()));
    }
    if let Some(first) = kustomization.replacements.first() {
        match plugin::replacements(loader, directory, &kustomization.replacements) {
            Ok(replacements) => {
                turns.add("replacements", &first.replacement.at, Transformer::Replacements(replacements));
            }
            Err(more) => errors.extend(more),
        }
    }
    if errors.is_empty() { Ok(turns.turns) } else { Err(errors) }
}

struct Turns<'a> {
    file: Option<&'a str>,
    turns: Vec<Turn>,
}

impl Turns<'_> {
    fn add(&mut self, field: &'static str, at: &Node, transformer: Transformer) {
        let noted = self.file.map(|file| Arc::new(BuildOrigin::builtin(file.to_owned(), plugin_of(field))));
        self.turns.push(Turn { transformer, noted, by: By::field(field, at) });
    }
}

/// The plugin that does in kustomize what a field asks for.
fn plugin_of(field: &str) -> &'static str {
    match field {
        "patchesStrategicMerge" => "PatchStrategicMergeTransformer",
        "patches" => "PatchTransformer",
        "namespace" => "NamespaceTransformer",
        "namePrefix" => "PrefixTransformer",
        "nameSuffix" => "SuffixTransformer",
        "labels" | "commonLabels" => "LabelTransformer",
        "commonAnnotations" => "AnnotationsTransformer",
        "patchesJson6902" => "PatchJson6902Transformer",
        "replicas" => "ReplicaCountTransformer",
        "images" => "ImageTagTransformer",
        _ => "ReplacementTransformer",
    }
}

/// Where the pairs of an entry of `labels` go.
fn label_fields(entry: &Labels, specs: &Specs) -> Result<Vec<FieldSpec>, Conflict> {
    let mut fields = entry.fields.clone();
    merge_all(&mut fields, &specs.labels)?;
    if entry.include_selectors {
        merge_all(&mut fields, &specs.common_labels)?;
        return Ok(fields);
    }
    if entry.include_templates {
        merge_all(&mut fields, &specs.template_labels)?;
    }
    if entry.include_claims {
        merge_all(&mut fields, &specs.claim_labels)?;
    }
    let everywhere = FieldSpec { path: "metadata/labels".into(), create: true, ..FieldSpec::default() };
    merge_all(&mut fields, &[everywhere])?;
    Ok(fields)
}

fn values(pairs: &[(SmolStr, Text)]) -> Vec<(SmolStr, SmolStr)> {
    pairs.iter().map(|(key, text)| (key.clone(), text.value.clone())).collect()
}
