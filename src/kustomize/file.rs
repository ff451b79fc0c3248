//! A kustomization file, as typed fields with their places.

use smol_str::SmolStr;

use super::entry::{
    CONFIG_MAP, GeneratorArgs, GeneratorOptions, IMAGE, Image, LABELS, Labels, PATCH, Patch, REPLACEMENT_FIELD,
    REPLICA, ReplacementField, Replica, SECRET, VAR, Var,
};
use super::error::{Error, Problem};
use super::field::{Fields, Text, Unknown};
use crate::yaml::Node;

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
            config_maps: fields.each("configMapGenerator", "a ConfigMap generator", CONFIG_MAP, GeneratorArgs::read),
            secrets: fields.each("secretGenerator", "a Secret generator", SECRET, GeneratorArgs::read),
            generator_options: GeneratorOptions::read(fields, "generatorOptions"),
            patches_strategic_merge: fields.texts("patchesStrategicMerge"),
            patches: fields.each("patches", "a patch", PATCH, Patch::read),
            patches_json6902: fields.each("patchesJson6902", "a patch", PATCH, Patch::read),
            namespace: fields.filled("namespace"),
            name_prefix: fields.part("namePrefix"),
            name_suffix: fields.part("nameSuffix"),
            labels: fields.each("labels", "an entry of `labels`", LABELS, Labels::read),
            common_labels: fields.pairs("commonLabels"),
            common_annotations: fields.pairs("commonAnnotations"),
            replicas: fields.each("replicas", "an entry of `replicas`", REPLICA, Replica::read),
            images,
            replacements: fields.each("replacements", "a replacement", REPLACEMENT_FIELD, ReplacementField::read),
            vars: fields.each("vars", "a variable", VAR, Var::read),
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

fn read_images(fields: &mut Fields<'_>, name: &str) -> Vec<Image> {
    fields.each(name, "an entry of `images`", IMAGE, Image::read)
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
