//! Transformers and generators that are given as objects: `apiVersion: builtin`, and the kind says which.

use smol_str::SmolStr;

use super::entry::{
    FieldSpec, GeneratorArgs, IMAGE, Image, Patch, REPLICA, Replacement, ReplacementField, Replica, Selector,
};
use super::error::{Error, Problem};
use super::field::{Fields, Text, Unknown};
use super::generate::Generates;
use super::load::{Loader, objects};
use super::patch::Prepared;
use super::resource::Resource;
use super::transform::Transformer;
use super::transform::name::Affix;
use super::transform::namespace::{Namespace, Subjects};
use super::transform::value_add::{Target, ValueAdd};
use crate::source::TreePath;
use crate::yaml::{self, Node, Resolve};

/// The transformers that an object configures, most often one.
///
/// # Errors
/// When it is none that is built in, or its configuration is wrong.
pub(super) fn transformers(
    loader: &Loader<'_>,
    directory: &TreePath,
    config: &Resource,
) -> Result<Vec<Transformer>, Vec<Error>> {
    let kind = built_in(config)?;
    let node = &handed_over(config)?;
    let mut errors = Vec::new();
    let mut open = Fields::open(node, "the configuration of a transformer", &[], Unknown::Ignored, &mut errors);
    let fields = &mut open;
    let one = |error| vec![error];
    let transformers = match kind {
        "PrefixTransformer" | "SuffixTransformer" => {
            let (affix, field) =
                if kind == "PrefixTransformer" { (Affix::Prefix, "prefix") } else { (Affix::Suffix, "suffix") };
            if fields.node("fieldSpecs").is_none() {
                fields.missing("fieldSpecs");
            }
            vec![Transformer::Affix(affix, fields.part_word(field), FieldSpec::list(fields, "fieldSpecs"))]
        }
        "PrefixSuffixTransformer" => {
            if fields.node("fieldSpecs").is_none() {
                fields.missing("fieldSpecs");
            }
            let specs = FieldSpec::list(fields, "fieldSpecs");
            vec![
                Transformer::Affix(Affix::Prefix, fields.part_word("prefix"), specs.clone()),
                Transformer::Affix(Affix::Suffix, fields.part_word("suffix"), specs),
            ]
        }
        "NamespaceTransformer" => vec![Transformer::Namespace(namespace(fields))],
        "LabelTransformer" => {
            vec![Transformer::Marks(words(fields.pairs("labels")), FieldSpec::list(fields, "fieldSpecs"))]
        }
        "AnnotationsTransformer" => {
            vec![Transformer::Marks(words(fields.pairs("annotations")), FieldSpec::list(fields, "fieldSpecs"))]
        }
        "ImageTagTransformer" => {
            let image = fields.open_field("imageTag", "an image", IMAGE).map(|mut fields| Image::read(&mut fields));
            vec![Transformer::Image(image.unwrap_or_default(), FieldSpec::list(fields, "fieldSpecs"))]
        }
        "ReplicaCountTransformer" => {
            let replica = fields.open_field("replica", "a count", REPLICA).map(|mut fields| Replica::read(&mut fields));
            let replica = replica.unwrap_or_else(|| Replica { name: "".into(), count: 0, at: node.clone() });
            vec![Transformer::Replicas(replica, FieldSpec::list(fields, "fieldSpecs"))]
        }
        "PatchTransformer" => {
            let patch = Patch::read(fields);
            vec![Transformer::Patches(vec![Prepared::new(loader, directory, &patch).map_err(one)?])]
        }
        "PatchJson6902Transformer" => {
            let patch = Patch { patch: fields.filled("jsonOp"), ..Patch::read(fields) };
            vec![Transformer::Patches(vec![Prepared::operations(loader, directory, &patch).map_err(one)?])]
        }
        "PatchStrategicMergeTransformer" => {
            let mut entries = fields.texts("paths");
            entries.extend(fields.filled("patches"));
            let patches = strategic(loader, directory, &entries, node)?;
            vec![Transformer::Patches(patches)]
        }
        "ReplacementTransformer" => {
            let list = ReplacementField::list(fields, "replacements");
            vec![Transformer::Replacements(replacements(loader, directory, &list)?)]
        }
        "ValueAddTransformer" => vec![Transformer::ValueAdd(value_add(loader, directory, fields))],
        "HashTransformer" => vec![Transformer::Hash],
        _ => return Err(vec![unknown(config)]),
    };
    if errors.is_empty() { Ok(transformers) } else { Err(errors) }
}

/// What a generator object asks for.
pub(super) enum Generator {
    /// A ConfigMap or a Secret.
    Data(Generates, Box<GeneratorArgs>),
    /// An object that needs nothing to be read.
    Object(Box<Resource>),
}

/// The generator that an object configures.
///
/// # Errors
/// When it is none that is built in, or its configuration is wrong.
pub(super) fn generator(config: &Resource) -> Result<Generator, Vec<Error>> {
    let kind = built_in(config)?;
    let node = &handed_over(config)?;
    let what = match kind {
        "ConfigMapGenerator" => Generates::ConfigMap,
        "SecretGenerator" => Generates::Secret,
        "IAMPolicyGenerator" => return service_account(config).map(|made| Generator::Object(Box::new(made))),
        "HelmChartInflationGenerator" => return Err(vec![Error::at(&config.node, Problem::Helm)]),
        _ => return Err(vec![unknown(config)]),
    };
    let mut errors = Vec::new();
    let mut fields = Fields::open(node, "the configuration of a generator", &[], Unknown::Ignored, &mut errors);
    let mut args = GeneratorArgs::read(&mut fields);
    // The old field `env` is one of kustomization files only.
    args.envs = fields.texts("envs");
    if args.name.is_empty() {
        args.name = config.name();
    }
    if args.namespace.is_empty() {
        args.namespace = config.namespace();
    }
    if errors.is_empty() { Ok(Generator::Data(what, Box::new(args))) } else { Err(errors) }
}

/// A service account of Kubernetes that stands for one of Google's cloud.
fn service_account(config: &Resource) -> Result<Resource, Vec<Error>> {
    let mut errors = Vec::new();
    let mut fields = Fields::open(&config.node, "an IAM policy generator", &[], Unknown::Ignored, &mut errors);
    let cloud = fields.word("cloud");
    if cloud != "gke" {
        fields.report("cloud", Problem::WrongValue { field: "cloud".into(), value: cloud.into(), expected: "`gke`" });
    }
    let mut words = |field: &str, keys: [&str; 2]| {
        let found = fields.open_field(field, "an account", &[]);
        found.map(|mut fields| keys.map(|key| fields.word(key))).unwrap_or_default()
    };
    let [name, namespace] = words("kubernetesService", ["name", "namespace"]);
    let [account, project] = words("serviceAccount", ["name", "projectId"]);
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut node = Node::mapping();
    node.insert("apiVersion", Node::string("v1"));
    node.insert("kind", Node::string("ServiceAccount"));
    let mut made = Resource::new(node);
    made.origin = config.origin.clone();
    made.set_name(&name);
    made.set_namespace(&namespace);
    made.set_mark(
        "annotations",
        "iam.gke.io/gcp-service-account",
        &format!("{account}@{project}.iam.gserviceaccount.com"),
    );
    Ok(made)
}

/// The objects that an entry holds itself, of which nothing is none; `None` when it is a path.
pub(super) fn inline(entry: &Text) -> Option<Vec<Resource>> {
    let file = entry.node.file().cloned().unwrap_or_else(|| "inline object".into());
    let documents = yaml::parse(&file, entry.value.as_bytes()).ok()?;
    objects(documents, entry.value.as_bytes()).ok()
}

/// The configuration as a plugin gets it, which is as JSON.
///
/// # Errors
/// When it has no form in that.
fn handed_over(config: &Resource) -> Result<Node, Vec<Error>> {
    config.node.to_value(Resolve::V3).map_err(|error| vec![error.into()])?;
    Ok(config.node.with_settled_texts())
}

fn built_in(config: &Resource) -> Result<&str, Vec<Error>> {
    let gvk = config.gvk();
    if gvk.group.is_empty() && gvk.version == "builtin" {
        return Ok(config.kind());
    }
    let function = ["config.kubernetes.io/function", "config.k8s.io/function"];
    if function.into_iter().any(|name| config.annotation(name).is_some()) {
        return Err(vec![Error::at(&config.node, Problem::Program { what: "functions" })]);
    }
    Err(vec![Error::at(&config.node, Problem::Program { what: "plugins other than those built in" })])
}

fn unknown(config: &Resource) -> Error {
    Error::at(&config.node, Problem::UnknownPlugin { kind: config.kind().into() })
}

fn namespace(fields: &mut Fields<'_>) -> Namespace {
    let subjects = match fields.word("setRoleBindingSubjects").as_str() {
        "" | "defaultOnly" => Subjects::Default,
        "allServiceAccounts" => Subjects::ServiceAccounts,
        "none" => Subjects::None,
        other => {
            let field = "setRoleBindingSubjects";
            let expected = "`defaultOnly`, `allServiceAccounts` or `none`";
            fields.report(field, Problem::WrongValue { field: field.into(), value: other.into(), expected });
            Subjects::Default
        }
    };
    // A `namespace` beside the metadata says nothing to kustomize.
    let metadata = fields.open_field("metadata", "metadata", &[]).map(|mut fields| fields.word("namespace"));
    Namespace {
        namespace: metadata.unwrap_or_default(),
        specs: FieldSpec::list(fields, "fieldSpecs"),
        subjects,
        unset_only: fields.flag("unsetOnly"),
    }
}

fn value_add(loader: &Loader<'_>, directory: &TreePath, fields: &mut Fields<'_>) -> ValueAdd {
    let value = SmolStr::new(fields.part_word("value").trim());
    let value = if value.is_empty() { directory.file_name().into() } else { value };
    let mut targets = value_targets(fields);
    if let Some(path) = fields.filled("targetFilePath") {
        match loader.document(directory, &path) {
            Ok(Some(document)) => {
                targets.extend(value_targets(&mut fields.open_item(&document.root, "targets", &[])));
            }
            Ok(None) => {}
            Err(error) => fields.push(error),
        }
    }
    if targets.is_empty() {
        fields.missing("targets");
    }
    ValueAdd { value, targets }
}

fn value_targets(fields: &mut Fields<'_>) -> Vec<Target> {
    let items = fields.items("targets");
    let target = |item| {
        let mut fields = fields.open_item(item, "a target", &[]);
        let field_path = fields.word("fieldPath");
        if field_path.is_empty() {
            fields.missing("fieldPath");
        }
        Target {
            selector: Selector::field(&mut fields, "selector"),
            field_path,
            file_path_position: fields.integer("filePathPosition").unwrap_or_default(),
        }
    };
    items.iter().map(target).collect()
}

fn words(pairs: Vec<(SmolStr, Text)>) -> Vec<(SmolStr, SmolStr)> {
    pairs.into_iter().map(|(key, text)| (key, text.value)).collect()
}

/// Strategic merge patches, of which at least one must say something.
///
/// # Errors
/// When one can't be read, or none says anything.
pub(super) fn strategic(
    loader: &Loader<'_>,
    directory: &TreePath,
    entries: &[Text],
    at: &Node,
) -> Result<Vec<Prepared>, Vec<Error>> {
    let mut errors = Vec::new();
    let made = entries.iter().map(|entry| Prepared::strategic(loader, directory, entry));
    let patches: Vec<Prepared> = made.filter_map(|made| made.map_err(|error| errors.push(error)).ok()).collect();
    if errors.is_empty() && patches.iter().all(Prepared::is_empty) {
        errors.push(Error::at(at, Problem::EmptyPatch));
    }
    if errors.is_empty() { Ok(patches) } else { Err(errors) }
}

/// Replacements, those in files of their own included.
///
/// # Errors
/// When a file can't be read, or holds something else.
pub(super) fn replacements(
    loader: &Loader<'_>,
    directory: &TreePath,
    entries: &[ReplacementField],
) -> Result<Vec<Replacement>, Vec<Error>> {
    let mut all = Vec::new();
    let mut errors = Vec::new();
    for entry in entries {
        let Some(path) = &entry.path else {
            all.push(entry.replacement.clone());
            continue;
        };
        if entry.replacement.source.is_some() || !entry.replacement.targets.is_empty() {
            errors.push(Error::at(&path.node, Problem::Exclusive { one: "path", other: "source" }));
            continue;
        }
        match loader.document(directory, path) {
            Ok(None) => errors.push(Error::at(&path.node, Problem::EmptyPatch)),
            Ok(Some(document)) => {
                let items = document.root.as_sequence().unwrap_or(std::slice::from_ref(&document.root));
                for item in items {
                    let mut fields = Fields::open(item, "a replacement", &[], Unknown::Ignored, &mut errors);
                    all.push(Replacement::read(&mut fields));
                }
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(all) } else { Err(errors) }
}
