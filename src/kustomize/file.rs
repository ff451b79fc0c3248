//! A kustomization file, as typed fields with their places.

use smol_str::SmolStr;

use super::error::{Error, Problem};
use super::field::{Fields, Text, Unknown};
use super::resource::{Behavior, Gvk};
use crate::yaml::Node;

/// The names that a kustomization file can have.
pub(super) const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Which of the two kinds a kustomization file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Works on its own resources.
    #[default]
    Kustomization,
    /// Works on those of whoever lists it.
    Component,
}

/// Everything that a kustomization file can say.
#[derive(Clone, Debug, Default)]
pub(super) struct Kustomization {
    pub(super) kind: Kind,
    pub(super) resources: Vec<Text>,
    pub(super) components: Vec<Text>,
    pub(super) configurations: Vec<Text>,
    pub(super) crds: Vec<Text>,
    pub(super) openapi: Vec<(SmolStr, Text)>,
    pub(super) generators: Vec<Text>,
    pub(super) transformers: Vec<Text>,
    pub(super) validators: Vec<Text>,
    pub(super) config_maps: Vec<GeneratorArgs>,
    pub(super) secrets: Vec<GeneratorArgs>,
    pub(super) generator_options: GeneratorOptions,
    pub(super) patches_strategic_merge: Vec<Text>,
    pub(super) patches: Vec<Patch>,
    pub(super) patches_json6902: Vec<Patch>,
    pub(super) namespace: Option<Text>,
    pub(super) name_prefix: Option<Text>,
    pub(super) name_suffix: Option<Text>,
    pub(super) labels: Vec<Labels>,
    pub(super) common_labels: Vec<(SmolStr, Text)>,
    pub(super) common_annotations: Vec<(SmolStr, Text)>,
    pub(super) replicas: Vec<Replica>,
    pub(super) images: Vec<Image>,
    pub(super) replacements: Vec<ReplacementField>,
    pub(super) vars: Vec<Var>,
    pub(super) sort_options: Option<SortOptions>,
    pub(super) build_metadata: Vec<Text>,
    /// Where `helmCharts` or its predecessor stands.
    pub(super) helm: Option<Node>,
    /// Fields that are there but not what should be written today.
    pub(super) deprecated: Vec<Deprecated>,
}

/// A field that should not be used any more.
#[derive(Clone, Debug)]
pub(super) struct Deprecated {
    pub(super) field: &'static str,
    pub(super) successor: &'static str,
    pub(super) node: Node,
}

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

/// Where in objects of which kind a transformer works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSpec {
    pub(super) gvk: Gvk,
    /// Fields, separated by slashes.
    pub(super) path: SmolStr,
    /// True when what is missing on the way is made.
    pub(super) create: bool,
}

/// One entry of `images`.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pub(super) name: SmolStr,
    pub(super) new_name: SmolStr,
    pub(super) new_tag: SmolStr,
    pub(super) tag_suffix: SmolStr,
    pub(super) digest: SmolStr,
}

/// One entry of `replicas`.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub(super) name: SmolStr,
    pub(super) count: i64,
    pub(super) at: Node,
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

/// One entry of `replacements`.
#[derive(Clone, Debug)]
pub(super) struct ReplacementField {
    pub(super) path: Option<Text>,
    pub(super) replacement: Replacement,
}

/// A value and where it goes.
#[derive(Clone, Debug)]
pub(super) struct Replacement {
    pub(super) source: Option<ReplacementSource>,
    pub(super) source_value: Option<Text>,
    pub(super) targets: Vec<ReplacementTarget>,
    pub(super) at: Node,
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

/// What generated objects have besides their data.
#[derive(Clone, Debug, Default)]
pub(super) struct GeneratorOptions {
    pub(super) labels: Vec<(SmolStr, Text)>,
    pub(super) annotations: Vec<(SmolStr, Text)>,
    pub(super) disable_name_suffix_hash: bool,
    pub(super) immutable: bool,
}

/// `sortOptions`.
#[derive(Clone, Debug)]
pub(super) struct SortOptions {
    pub(super) order: Option<Text>,
    /// Kinds that go first and last; both lists are replaced when this is given.
    pub(super) legacy: Option<(Vec<SmolStr>, Vec<SmolStr>)>,
    pub(super) at: Node,
}

const FIELDS: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "openapi",
    "namePrefix",
    "nameSuffix",
    "namespace",
    "commonLabels",
    "labels",
    "commonAnnotations",
    "patchesStrategicMerge",
    "patchesJson6902",
    "patches",
    "images",
    "imageTags",
    "replacements",
    "replicas",
    "vars",
    "sortOptions",
    "resources",
    "components",
    "crds",
    "bases",
    "configMapGenerator",
    "secretGenerator",
    "helmGlobals",
    "helmCharts",
    "helmChartInflationGenerator",
    "generatorOptions",
    "configurations",
    "generators",
    "transformers",
    "validators",
    "buildMetadata",
];

const DEPRECATED: [(&str, &str); 6] = [
    ("bases", "resources"),
    ("commonLabels", "labels"),
    ("imageTags", "images"),
    ("patchesJson6902", "patches"),
    ("patchesStrategicMerge", "patches"),
    ("vars", "replacements"),
];

impl Kustomization {
    /// Reads a kustomization file's first document.
    ///
    /// # Errors
    /// Every field that is unknown or has a value of the wrong type, in the order of the file.
    pub(super) fn read(node: &Node) -> Result<Self, Vec<Error>> {
        let mut errors = Vec::new();
        let mut fields = Fields::open(node, "a Kustomization", FIELDS, Unknown::Refused, &mut errors);
        let kustomization = Kustomization::from_fields(&mut fields);
        if errors.len() > 1 {
            // With unknown fields only, these are what is wrong.
            errors.retain(|error| *error.problem != Problem::EmptyKustomization);
        }
        if errors.is_empty() { Ok(kustomization) } else { Err(errors) }
    }

    fn from_fields(fields: &mut Fields<'_>) -> Self {
        let kind = kind(fields);
        let says_something = FIELDS.iter().skip(2).any(|field| {
            fields.node(field).is_some_and(|node| node.as_scalar().is_none_or(|scalar| !scalar.text.is_empty()))
        });
        if !says_something {
            fields.report("", Problem::EmptyKustomization);
        }
        fields.check("metadata", "metadata", &["name", "namespace", "labels", "annotations"]);
        let mut resources = fields.texts("resources");
        resources.extend(fields.texts("bases"));
        let mut images = read_images(fields, "images");
        images.extend(read_images(fields, "imageTags"));
        Kustomization {
            kind,
            resources,
            components: fields.texts("components"),
            configurations: fields.texts("configurations"),
            crds: fields.texts("crds"),
            openapi: fields.pairs("openapi"),
            generators: fields.texts("generators"),
            transformers: fields.texts("transformers"),
            validators: fields.texts("validators"),
            config_maps: each(fields, "configMapGenerator", "a ConfigMap generator", CONFIG_MAP, GeneratorArgs::read),
            secrets: each(fields, "secretGenerator", "a Secret generator", SECRET, GeneratorArgs::read),
            generator_options: GeneratorOptions::read(fields, "generatorOptions"),
            patches_strategic_merge: fields.texts("patchesStrategicMerge"),
            patches: each(fields, "patches", "a patch", PATCH, Patch::read),
            patches_json6902: each(fields, "patchesJson6902", "a patch", PATCH, Patch::read),
            namespace: fields.filled("namespace"),
            name_prefix: fields.filled("namePrefix"),
            name_suffix: fields.filled("nameSuffix"),
            labels: each(fields, "labels", "an entry of `labels`", LABELS, Labels::read),
            common_labels: fields.pairs("commonLabels"),
            common_annotations: fields.pairs("commonAnnotations"),
            replicas: each(fields, "replicas", "an entry of `replicas`", REPLICA, Replica::read),
            images,
            replacements: each(fields, "replacements", "a replacement", REPLACEMENT_FIELD, ReplacementField::read),
            vars: each(fields, "vars", "a variable", VAR, Var::read),
            sort_options: SortOptions::read(fields),
            build_metadata: fields.texts("buildMetadata"),
            helm: ["helmCharts", "helmChartInflationGenerator"]
                .into_iter()
                .find_map(|field| fields.node(field))
                .filter(|node| node.as_sequence().is_none_or(|items| !items.is_empty()))
                .cloned(),
            deprecated: DEPRECATED
                .into_iter()
                .filter_map(|(field, successor)| {
                    let node = fields.node(field)?.clone();
                    Some(Deprecated { field, successor, node })
                })
                .collect(),
        }
    }
}

fn kind(fields: &mut Fields<'_>) -> Kind {
    const VERSION: &str = "kustomize.config.k8s.io/v1beta1";
    const COMPONENT_VERSION: &str = "kustomize.config.k8s.io/v1alpha1";
    let (kind, version) = match fields.word("kind").as_str() {
        "" | "Kustomization" => (Kind::Kustomization, VERSION),
        "Component" => (Kind::Component, COMPONENT_VERSION),
        other => {
            let expected = "`Kustomization` or `Component`";
            fields.report("kind", Problem::WrongValue { field: "kind".into(), value: other.into(), expected });
            (Kind::Kustomization, VERSION)
        }
    };
    let found = fields.word("apiVersion");
    if !found.is_empty() && found != version {
        let problem = Problem::WrongValue { field: "apiVersion".into(), value: found.into(), expected: version };
        fields.report("apiVersion", problem);
    }
    kind
}

/// Reads each item of a list.
fn each<T>(
    fields: &mut Fields<'_>,
    name: &str,
    of: &'static str,
    known: &[&'static str],
    read: impl Fn(&mut Fields<'_>) -> T,
) -> Vec<T> {
    let items = fields.items(name);
    items.iter().map(|item| read(&mut fields.open_item(item, of, known))).collect()
}

fn read_images(fields: &mut Fields<'_>, name: &str) -> Vec<Image> {
    each(fields, name, "an entry of `images`", IMAGE, Image::read)
}

pub(super) const IMAGE: &[&str] = &["name", "newName", "tagSuffix", "newTag", "digest"];

impl Image {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Image {
            name: fields.word("name"),
            new_name: fields.word("newName"),
            new_tag: fields.word("newTag"),
            tag_suffix: fields.word("tagSuffix"),
            digest: fields.word("digest"),
        }
    }
}

pub(super) const REPLICA: &[&str] = &["name", "count"];

impl Replica {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Replica {
            name: fields.word("name"),
            count: fields.integer("count").unwrap_or_default(),
            at: fields.node.clone(),
        }
    }
}

const LABELS: &[&str] = &["pairs", "includeSelectors", "includeTemplates", "includeVolumeClaimTemplates", "fields"];

impl Labels {
    fn read(fields: &mut Fields<'_>) -> Self {
        Labels {
            pairs: fields.pairs("pairs"),
            include_selectors: fields.flag("includeSelectors"),
            include_templates: fields.flag("includeTemplates"),
            include_claims: fields.flag("includeVolumeClaimTemplates"),
            fields: FieldSpec::list(fields, "fields"),
            at: fields.node.clone(),
        }
    }
}

pub(super) const FIELD_SPEC: &[&str] = &["group", "version", "kind", "path", "create"];

impl FieldSpec {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        FieldSpec { gvk: gvk(fields), path: fields.word("path"), create: fields.flag("create") }
    }

    pub(super) fn list(fields: &mut Fields<'_>, name: &str) -> Vec<Self> {
        each(fields, name, "a field spec", FIELD_SPEC, FieldSpec::read)
    }
}

pub(super) fn gvk(fields: &mut Fields<'_>) -> Gvk {
    Gvk { group: fields.word("group"), version: fields.word("version"), kind: fields.word("kind") }
}

const PATCH: &[&str] = &["path", "patch", "target", "options"];

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
            at: fields.node.clone(),
        }
    }
}

const SELECTOR: &[&str] = &["group", "version", "kind", "name", "namespace", "labelSelector", "annotationSelector"];

impl Selector {
    pub(super) fn field(fields: &mut Fields<'_>, name: &str) -> Option<Self> {
        fields.open_field(name, "a selector", SELECTOR).map(|mut fields| Selector::read(&mut fields))
    }

    fn read(fields: &mut Fields<'_>) -> Self {
        Selector {
            gvk: gvk(fields),
            name: fields.word("name"),
            namespace: fields.word("namespace"),
            labels: fields.word("labelSelector"),
            annotations: fields.word("annotationSelector"),
            at: Some(fields.node.clone()),
        }
    }
}

const REPLACEMENT_FIELD: &[&str] = &["path", "source", "sourceValue", "targets"];

impl ReplacementField {
    fn read(fields: &mut Fields<'_>) -> Self {
        ReplacementField { path: fields.filled("path"), replacement: Replacement::read(fields) }
    }

    /// The field of a ReplacementTransformer.
    pub(super) fn list(fields: &mut Fields<'_>, name: &str) -> Vec<Self> {
        each(fields, name, "a replacement", REPLACEMENT_FIELD, ReplacementField::read)
    }
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
                    at: Some(fields.node.clone()),
                    ..Selector::default()
                },
                field_path: fields.word("fieldPath"),
                options: FieldOptions::read(fields),
            }
        });
        let targets = each(fields, "targets", "a target of a replacement", TARGET, |fields| ReplacementTarget {
            select: Selector::field(fields, "select"),
            reject: each(fields, "reject", "a selector", SELECTOR, Selector::read),
            field_paths: fields.texts("fieldPaths"),
            options: FieldOptions::read(fields),
            at: fields.node.clone(),
        });
        Replacement { source, source_value: fields.text("sourceValue"), targets, at: fields.node.clone() }
    }
}

impl FieldOptions {
    fn read(fields: &mut Fields<'_>) -> Self {
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

const VAR: &[&str] = &["name", "objref", "fieldref"];

impl Var {
    fn read(fields: &mut Fields<'_>) -> Self {
        const OBJECT: &[&str] = &["apiVersion", "group", "version", "kind", "name", "namespace"];
        let name = fields.word("name");
        let at = fields.node.clone();
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

const CONFIG_MAP: &[&str] = &["namespace", "name", "behavior", "literals", "files", "envs", "env", "options"];
const SECRET: &[&str] = &["namespace", "name", "behavior", "literals", "files", "envs", "env", "options", "type"];

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
            at: fields.node.clone(),
        }
    }
}

impl GeneratorOptions {
    fn read(fields: &mut Fields<'_>, name: &str) -> Self {
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

impl SortOptions {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let mut fields = fields.open_field("sortOptions", "`sortOptions`", &["order", "legacySortOptions"])?;
        let order = fields.filled("order");
        let legacy = fields
            .open_field("legacySortOptions", "`legacySortOptions`", &["orderFirst", "orderLast"])
            .map(|mut fields| (words(fields.texts("orderFirst")), words(fields.texts("orderLast"))));
        Some(SortOptions { order, legacy, at: fields.node.clone() })
    }
}

fn words(texts: Vec<Text>) -> Vec<SmolStr> {
    texts.into_iter().map(|text| text.value).collect()
}
