//! What the lists of a kustomization file hold, entry by entry.

use smol_str::SmolStr;

use super::field::{Fields, Text};
use super::resource::{Behavior, Gvk};
use crate::yaml::Node;

/// One entry of `labels`.
#[derive(Clone, Debug)]
pub(super) struct Labels {
    pub(super) pairs: Vec<(SmolStr, Text)>,
    pub(super) include_selectors: bool,
    pub(super) include_templates: bool,
    pub(super) include_claims: bool,
    pub(super) fields: Vec<FieldSpec>,
    pub(super) at: Node,
}

pub(super) const LABELS: &[&str] =
    &["pairs", "includeSelectors", "includeTemplates", "includeVolumeClaimTemplates", "fields"];

impl Labels {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Labels {
            pairs: fields.pairs("pairs"),
            include_selectors: fields.flag("includeSelectors"),
            include_templates: fields.flag("includeTemplates"),
            include_claims: fields.flag("includeVolumeClaimTemplates"),
            fields: FieldSpec::list(fields, "fields"),
            at: fields.node.place(),
        }
    }
}

/// Where in objects of which kind a transformer works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSpec {
    pub(super) gvk: Gvk,
    /// Fields, separated by slashes.
    pub(super) path: SmolStr,
    /// True when what is missing on the way is made.
    pub(super) create: bool,
}

pub(super) const FIELD_SPEC: &[&str] = &["group", "version", "kind", "path", "create"];

impl FieldSpec {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        FieldSpec { gvk: gvk(fields), path: fields.word("path"), create: fields.flag("create") }
    }

    pub(super) fn list(fields: &mut Fields<'_>, name: &str) -> Vec<Self> {
        fields.each(name, "a field spec", FIELD_SPEC, FieldSpec::read)
    }
}

/// One entry of `images`.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pub(super) name: SmolStr,
    pub(super) new_name: SmolStr,
    pub(super) new_tag: SmolStr,
    pub(super) tag_suffix: SmolStr,
    pub(super) digest: SmolStr,
    pub(super) at: Option<Node>,
}

pub(super) const IMAGE: &[&str] = &["name", "newName", "tagSuffix", "newTag", "digest"];

impl Image {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Image {
            name: fields.word("name"),
            new_name: fields.part_word("newName"),
            new_tag: fields.part_word("newTag"),
            tag_suffix: fields.part_word("tagSuffix"),
            digest: fields.part_word("digest"),
            at: Some(fields.node.place()),
        }
    }
}

/// One entry of `replicas`.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub(super) name: SmolStr,
    pub(super) count: i64,
    pub(super) at: Node,
}

pub(super) const REPLICA: &[&str] = &["name", "count"];

impl Replica {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Replica {
            name: fields.word("name"),
            count: fields.integer("count").unwrap_or_default(),
            at: fields.node.place(),
        }
    }
}

/// One entry of `patches` or `patchesJson6902`.
#[derive(Clone, Debug)]
pub(super) struct Patch {
    pub(super) path: Option<Text>,
    pub(super) patch: Option<Text>,
    pub(super) target: Option<Selector>,
    pub(super) allow_name_change: bool,
    pub(super) allow_kind_change: bool,
    pub(super) at: Node,
}

pub(super) const PATCH: &[&str] = &["path", "patch", "target", "options"];

impl Patch {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let mut options =
            fields.open_field("options", "the options of a patch", &["allowNameChange", "allowKindChange"]);
        let mut flag = |name| options.as_mut().is_some_and(|options| options.flag(name));
        let (allow_name_change, allow_kind_change) = (flag("allowNameChange"), flag("allowKindChange"));
        Patch {
            path: fields.filled("path"),
            patch: fields.filled("patch"),
            target: Selector::field(fields, "target"),
            allow_name_change,
            allow_kind_change,
            at: fields.node.place(),
        }
    }
}

/// Which objects are meant. Empty parts are open.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    pub(super) gvk: Gvk,
    pub(super) name: SmolStr,
    pub(super) namespace: SmolStr,
    pub(super) labels: SmolStr,
    pub(super) annotations: SmolStr,
    pub(super) at: Option<Node>,
}

const SELECTOR: &[&str] = &["group", "version", "kind", "name", "namespace", "labelSelector", "annotationSelector"];

impl Selector {
    pub(super) fn field(fields: &mut Fields<'_>, name: &str) -> Option<Self> {
        fields.open_field(name, "a selector", SELECTOR).map(|mut fields| Selector::read(&mut fields))
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Selector {
            gvk: gvk(fields),
            name: fields.word("name"),
            namespace: fields.word("namespace"),
            labels: fields.word("labelSelector"),
            annotations: fields.word("annotationSelector"),
            at: Some(fields.node.place()),
        }
    }
}

/// One entry of `replacements`.
#[derive(Clone, Debug)]
pub(super) struct ReplacementField {
    pub(super) path: Option<Text>,
    pub(super) replacement: Replacement,
}

pub(super) const REPLACEMENT_FIELD: &[&str] = &["path", "source", "sourceValue", "targets"];

impl ReplacementField {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        ReplacementField { path: fields.filled("path"), replacement: Replacement::read(fields) }
    }

    /// The field of a ReplacementTransformer.
    pub(super) fn list(fields: &mut Fields<'_>, name: &str) -> Vec<Self> {
        fields.each(name, "a replacement", REPLACEMENT_FIELD, ReplacementField::read)
    }
}

/// A value and where it goes.
#[derive(Clone, Debug)]
pub(super) struct Replacement {
    pub(super) source: Option<ReplacementSource>,
    pub(super) source_value: Option<Text>,
    pub(super) targets: Vec<ReplacementTarget>,
    pub(super) at: Node,
}

impl Replacement {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        const SOURCE: &[&str] = &["group", "version", "kind", "name", "namespace", "fieldPath", "options"];
        const TARGET: &[&str] = &["select", "reject", "fieldPaths", "options"];
        let source = fields.open_field("source", "the source of a replacement", SOURCE).map(|mut fields| {
            let fields = &mut fields;
            ReplacementSource {
                selector: Selector {
                    gvk: gvk(fields),
                    name: fields.word("name"),
                    namespace: fields.word("namespace"),
                    at: Some(fields.node.place()),
                    ..Selector::default()
                },
                field_path: fields.word("fieldPath"),
                options: FieldOptions::read(fields),
            }
        });
        let targets = fields.each("targets", "a target of a replacement", TARGET, |fields| ReplacementTarget {
            select: Selector::field(fields, "select"),
            reject: fields.each("reject", "a selector", SELECTOR, Selector::read),
            field_paths: fields.texts("fieldPaths"),
            options: FieldOptions::read(fields),
            at: fields.node.place(),
        });
        Replacement { source, source_value: fields.text("sourceValue"), targets, at: fields.node.place() }
    }
}

/// Where the value of a replacement comes from.
#[derive(Clone, Debug)]
pub(super) struct ReplacementSource {
    pub(super) selector: Selector,
    pub(super) field_path: SmolStr,
    pub(super) options: FieldOptions,
}

/// Where the value of a replacement goes.
#[derive(Clone, Debug)]
pub(super) struct ReplacementTarget {
    pub(super) select: Option<Selector>,
    pub(super) reject: Vec<Selector>,
    pub(super) field_paths: Vec<Text>,
    pub(super) options: FieldOptions,
    pub(super) at: Node,
}

/// How a replacement reads or writes a field.
#[derive(Clone, Debug, Default)]
pub(super) struct FieldOptions {
    pub(super) delimiter: SmolStr,
    pub(super) index: i64,
    pub(super) create: bool,
}

impl FieldOptions {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        const OPTIONS: &[&str] = &["delimiter", "index", "encoding", "create"];
        let Some(mut fields) = fields.open_field("options", "the options of a replacement", OPTIONS) else {
            return FieldOptions::default();
        };
        FieldOptions {
            delimiter: fields.word("delimiter"),
            index: fields.integer("index").unwrap_or_default(),
            create: fields.flag("create"),
        }
    }
}

/// One entry of `vars`.
#[derive(Clone, Debug)]
pub(super) struct Var {
    pub(super) name: SmolStr,
    pub(super) gvk: Gvk,
    pub(super) object: SmolStr,
    pub(super) namespace: SmolStr,
    pub(super) field_path: SmolStr,
    pub(super) at: Node,
}

pub(super) const VAR: &[&str] = &["name", "objref", "fieldref"];

impl Var {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        const OBJECT: &[&str] = &["apiVersion", "group", "version", "kind", "name", "namespace"];
        let name = fields.word("name");
        let at = fields.node.place();
        let (mut object, mut kind, mut namespace) = (SmolStr::default(), Gvk::default(), SmolStr::default());
        if let Some(mut fields) = fields.open_field("objref", "the object of a variable", OBJECT) {
            kind = gvk(&mut fields);
            let api_version = fields.word("apiVersion");
            if !api_version.is_empty() {
                let (group, version) = crate::object::split_api_version(&api_version);
                (kind.group, kind.version) = (group.into(), version.into());
            }
            object = fields.word("name");
            namespace = fields.word("namespace");
        }
        let field_path = fields
            .open_field("fieldref", "the field of a variable", &["fieldPath"])
            .map(|mut fields| fields.word("fieldPath"))
            .filter(|path| !path.is_empty())
            .unwrap_or_else(|| SmolStr::new_static("metadata.name"));
        Var { name, gvk: kind, object, namespace, field_path, at }
    }
}

/// One entry of `configMapGenerator` or `secretGenerator`.
#[derive(Clone, Debug)]
pub(super) struct GeneratorArgs {
    pub(super) name: SmolStr,
    pub(super) namespace: SmolStr,
    pub(super) behavior: Behavior,
    pub(super) literals: Vec<Text>,
    pub(super) files: Vec<Text>,
    pub(super) envs: Vec<Text>,
    /// Of a Secret.
    pub(super) secret_type: SmolStr,
    pub(super) options: GeneratorOptions,
    pub(super) at: Node,
}

pub(super) const CONFIG_MAP: &[&str] =
    &["namespace", "name", "behavior", "literals", "files", "envs", "env", "options"];
pub(super) const SECRET: &[&str] =
    &["namespace", "name", "behavior", "literals", "files", "envs", "env", "options", "type"];

impl GeneratorArgs {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let behavior = match fields.word("behavior").as_str() {
            "merge" => Behavior::Merge,
            "replace" => Behavior::Replace,
            // Words that it does not know are `create` for kustomize too.
            _ => Behavior::Create,
        };
        let mut envs = fields.texts("envs");
        envs.extend(fields.filled("env"));
        GeneratorArgs {
            name: fields.word("name"),
            namespace: fields.word("namespace"),
            behavior,
            literals: fields.texts("literals"),
            files: fields.texts("files"),
            envs,
            secret_type: fields.word("type"),
            options: GeneratorOptions::read(fields, "options"),
            at: fields.node.place(),
        }
    }
}

/// What generated objects have besides their data.
#[derive(Clone, Debug, Default)]
pub(super) struct GeneratorOptions {
    pub(super) labels: Vec<(SmolStr, Text)>,
    pub(super) annotations: Vec<(SmolStr, Text)>,
    pub(super) disable_name_suffix_hash: bool,
    pub(super) immutable: bool,
}

impl GeneratorOptions {
    pub(super) fn read(fields: &mut Fields<'_>, name: &str) -> Self {
        const OPTIONS: &[&str] = &["labels", "annotations", "disableNameSuffixHash", "immutable"];
        let Some(mut fields) = fields.open_field(name, "the options of a generator", OPTIONS) else {
            return GeneratorOptions::default();
        };
        GeneratorOptions {
            labels: fields.pairs("labels"),
            annotations: fields.pairs("annotations"),
            disable_name_suffix_hash: fields.flag("disableNameSuffixHash"),
            immutable: fields.flag("immutable"),
        }
    }

    /// These options with those of all generators where these are silent.
    pub(super) fn with_defaults(&self, all: &GeneratorOptions) -> GeneratorOptions {
        let united = |own: &[(SmolStr, Text)], all: &[(SmolStr, Text)]| {
            let inherited = all.iter().filter(|(key, _)| !own.iter().any(|(known, _)| known == key));
            own.iter().chain(inherited).cloned().collect()
        };
        GeneratorOptions {
            labels: united(&self.labels, &all.labels),
            annotations: united(&self.annotations, &all.annotations),
            disable_name_suffix_hash: self.disable_name_suffix_hash || all.disable_name_suffix_hash,
            immutable: self.immutable || all.immutable,
        }
    }
}

pub(super) fn gvk(fields: &mut Fields<'_>) -> Gvk {
    Gvk { group: fields.word("group"), version: fields.word("version"), kind: fields.word("kind") }
}
