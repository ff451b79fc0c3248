//! One layer after the other: a kustomization's resources, generators and components, then its transformers.

use std::collections::HashSet;
use std::sync::Arc;

use smol_str::SmolStr;

use super::entry::{FieldSpec, GeneratorArgs, Labels};
use super::error::{Error, Problem};
use super::field::Text;
use super::file::{Kind, Kustomization};
use super::generate::{self, Generates};
use super::load::{Found, Loader};
use super::origin::{BuildOrigin, relative};
use super::patch::Prepared;
use super::patch::schema::{BuiltIn, Schemas};
use super::plugin::Generator;
use super::resource::{Behavior, Resource};
use super::set::Set;
use super::transform::Transformer;
use super::transform::name::Affix;
use super::transform::namespace::{Namespace, Subjects};
use super::transform::specs::{Conflict, Specs, merge_all};
use super::transform::variables::{self, Variables};
use super::{configuration, plugin, validate};
use crate::error::Diagnostic;
use crate::source::TreePath;

/// How deep bases may be nested.
const MAX_DEPTH: usize = 64;

/// How many bases and components one build takes, the same one counted again where it is listed again: where each lists
/// two and these the same two, and so on, every level doubles the work without giving an object.
const MAX_LAYERS: usize = 10_000;

/// What a kustomization has made of its resources.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) set: Set,
    pub(super) specs: Arc<Specs>,
    pub(super) variables: Variables,
}

impl Layer {
    fn new() -> Self {
        Layer { set: Set::default(), specs: Specs::none(), variables: Variables::new() }
    }
}

/// A build under way.
pub(super) struct Build<'a> {
    pub(super) loader: Loader<'a>,
    pub(super) warnings: Vec<Diagnostic>,
    /// The directories that are being built, outermost first.
    stack: Vec<TreePath>,
    /// How many have been built or are being built.
    layers: usize,
    /// The files whose warnings have been told.
    warned_of: HashSet<TreePath>,
    /// The first schema that a kustomization brings holds for the whole build.
    schemas: Option<Arc<Schemas>>,
    schema_is_set: bool,
    met_unknown_kind: bool,
    /// The directory from which paths are shown, when `buildMetadata` wants to know what came from where.
    traced_from: Option<TreePath>,
}

/// A kustomization and where it stands.
pub(super) struct Target {
    pub(super) directory: TreePath,
    pub(super) file: TreePath,
    pub(super) kustomization: Kustomization,
}

impl<'a> Build<'a> {
    pub(super) fn new(loader: Loader<'a>) -> Self {
        Build {
            loader,
            warnings: Vec::new(),
            stack: Vec::new(),
            layers: 0,
            warned_of: HashSet::new(),
            schemas: None,
            schema_is_set: false,
            met_unknown_kind: false,
            traced_from: None,
        }
    }

    /// Reads the kustomization of a directory.
    ///
    /// # Errors
    /// When there is none, or something in it is wrong.
    pub(super) fn target(&mut self, directory: &TreePath) -> Result<Target, Vec<Error>> {
        let (file, node) = self.loader.kustomization(directory).map_err(|error| vec![error])?;
        let kustomization = Kustomization::read(&node)?;
        if self.warned_of.insert(file.clone()) {
            self.warnings.extend(kustomization.deprecated.iter().map(|deprecated| {
                let problem = Problem::Deprecated { field: deprecated.field, successor: deprecated.successor };
                Error::at(&deprecated.node, problem).diagnostic()
            }));
        }
        let target = Target { directory: directory.clone(), file, kustomization };
        self.schema(&target).map_err(|error| vec![error])?;
        Ok(target)
    }

    /// Takes over the schema that a kustomization brings, if it is the first one.
    fn schema(&mut self, target: &Target) -> Result<(), Error> {
        let given = |name: &str| target.kustomization.openapi.iter().find(|(key, _)| key == name).map(|(_, text)| text);
        let (path, version) = (given("path"), given("version"));
        let documents = path.map(|path| self.loader.documents(&target.directory, path)).transpose()?;
        if self.schema_is_set {
            return Ok(());
        }
        match (path, documents, version) {
            (Some(path), Some(_), Some(_)) => {
                Err(Error::at(&path.node, Problem::Exclusive { one: "path", other: "version" }))
            }
            (Some(path), Some(documents), None) => {
                // The built-in kinds are known once one that is not among them had to be looked up.
                let built_in = if self.met_unknown_kind { BuiltIn::Kept } else { BuiltIn::Replaced };
                let schemas = documents.first().and_then(|document| Schemas::from_openapi(&document.root, built_in));
                let wrong = || Error::at(&path.node, Problem::Schema { path: path.value.to_string() });
                self.schemas = Some(Arc::new(schemas.ok_or_else(wrong)?));
                self.schema_is_set = true;
                Ok(())
            }
            (_, _, Some(version)) if version.as_str() == Schemas::BUILT_IN_VERSION => {
                self.schema_is_set = true;
                Ok(())
            }
            (_, _, Some(version)) if !version.value.is_empty() => {
                Err(Error::at(&version.node, Problem::SchemaVersion { version: version.value.to_string() }))
            }
            _ => Ok(()),
        }
    }

    /// Keeps track of where objects come from, shown from this directory.
    pub(super) fn trace(&mut self, from: &TreePath) {
        self.traced_from = Some(from.clone());
    }

    fn shown(&self, path: &TreePath) -> Option<String> {
        self.traced_from.as_ref().map(|from| relative(from, path))
    }

    /// Everything that a kustomization makes, on top of what its parent has so far if it is a component.
    ///
    /// # Errors
    /// All problems of the first step that has any.
    pub(super) fn layer(&mut self, target: &Target, onto: Option<Layer>) -> Result<Layer, Vec<Error>> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(vec![Error::of_file(&target.file, Problem::TooDeep { limit: MAX_DEPTH })]);
        }
        self.layers += 1;
        if self.layers > MAX_LAYERS {
            return Err(vec![Error::of_file(&target.file, Problem::TooManyLayers { limit: MAX_LAYERS })]);
        }
        self.stack.push(target.directory.clone());
        let layer = self.steps(target, onto.unwrap_or_else(Layer::new));
        self.stack.pop();
        layer
    }

    fn steps(&mut self, target: &Target, mut layer: Layer) -> Result<Layer, Vec<Error>> {
        let kustomization = &target.kustomization;
        if let Some(helm) = &kustomization.helm {
            return Err(vec![Error::at(helm, Problem::Helm)]);
        }
        self.resources(target, &kustomization.resources, &mut layer)?;
        let directory = &target.directory;
        let specs = configuration::configurations(&self.loader, directory, &kustomization.configurations)?;
        let at = kustomization.configurations.first().cloned().unwrap_or_else(|| Text::new(""));
        layer.specs = configuration::merge(&layer.specs, &specs, &at)?;
        if let Some(at) = kustomization.crds.first() {
            let specs = configuration::crds(&self.loader, directory, &kustomization.crds)?;
            layer.specs = configuration::merge(&layer.specs, &specs, at)?;
        }
        self.generators(target, &mut layer)?;
        for entry in &kustomization.components {
            layer = self.component(target, entry, layer)?;
        }
        for (transformer, origin) in self.transformers(target, &layer.specs)? {
            self.transform(&transformer, origin, &mut layer)?;
        }
        for (transformer, _) in self.configured(target, &kustomization.validators)? {
            validate::run(&transformer, &layer.set, self.schemas())?;
        }
        variables::define(&mut layer.set, &mut layer.variables, &kustomization.vars)?;
        Ok(layer)
    }

    /// Adds what entries of `resources` name: files with objects, and directories with kustomizations.
    ///
    /// # Errors
    /// Every entry that is missing, is not YAML, or brings an object twice.
    pub(super) fn resources(&mut self, target: &Target, entries: &[Text], layer: &mut Layer) -> Result<(), Vec<Error>> {
        let mut errors = Vec::new();
        for entry in entries {
            if let Err(more) = self.resource(target, entry, layer) {
                errors.extend(more);
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn resource(&mut self, target: &Target, entry: &Text, layer: &mut Layer) -> Result<(), Vec<Error>> {
        let mut errors = Vec::new();
        match self.loader.find(&target.directory, entry).map_err(|error| vec![error])? {
            Found::File(path) => {
                let resources = self.loader.objects(&target.directory, &path, entry)?;
                let origin = self.shown(&path).map(BuildOrigin::File);
                for resource in resources.iter() {
                    let gvk = resource.gvk();
                    self.met_unknown_kind |= !gvk.is_cluster_scoped() && !Schemas::built_in().is_known(&gvk);
                    let resource = Resource { build_origin: origin.clone(), ..resource.clone() };
                    errors.extend(layer.set.append(resource).err());
                }
            }
            Found::Directory(path) => {
                let base = self.directory(&path, entry, Kind::Kustomization)?;
                let base = self.layer(&base, None)?;
                errors.extend(base.set.into_vec().into_iter().filter_map(|resource| layer.set.append(resource).err()));
                layer.specs = configuration::merge(&layer.specs, &base.specs, entry)?;
                variables::merge(&mut layer.variables, &base.variables)?;
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// The kustomization of a directory that an entry names.
    fn directory(&mut self, path: &TreePath, entry: &Text, expected: Kind) -> Result<Target, Vec<Error>> {
        let at = |problem| vec![Error::at(&entry.node, problem)];
        let path_text = || entry.value.to_string();
        // A directory above one that is being built counts as being built.
        if self.stack.iter().any(|visited| visited.is_within(path)) {
            let mut chain = self.stack.clone();
            chain.push(path.clone());
            return Err(at(Problem::Cycle { path: path_text(), chain }));
        }
        let target = self.target(path).map_err(|errors| {
            errors
                .into_iter()
                .map(|error| match *error.problem {
                    Problem::NoKustomization { .. } => Error::at(&entry.node, Problem::NotABase { path: path_text() }),
                    _ => error,
                })
                .collect::<Vec<Error>>()
        })?;
        match (expected, target.kustomization.kind) {
            (Kind::Kustomization, Kind::Component) => Err(at(Problem::ComponentAsResource { path: path_text() })),
            (Kind::Component, Kind::Kustomization) => Err(at(Problem::ResourceAsComponent { path: path_text() })),
            _ => Ok(target),
        }
    }

    fn component(&mut self, target: &Target, entry: &Text, layer: Layer) -> Result<Layer, Vec<Error>> {
        match self.loader.find(&target.directory, entry).map_err(|error| vec![error])? {
            Found::Directory(path) => {
                let component = self.directory(&path, entry, Kind::Component)?;
                self.layer(&component, Some(layer))
            }
            Found::File(_) => {
                let path = entry.value.to_string();
                Err(vec![Error::at(&entry.node, Problem::NotABase { path })])
            }
        }
    }

    fn generators(&mut self, target: &Target, layer: &mut Layer) -> Result<(), Vec<Error>> {
        let kustomization = &target.kustomization;
        let defaults = &kustomization.generator_options;
        let with_defaults =
            |args: &GeneratorArgs| GeneratorArgs { options: args.options.with_defaults(defaults), ..args.clone() };
        let field = |what: Generates| {
            let kind = if what == Generates::Secret { "SecretGenerator" } else { "ConfigMapGenerator" };
            self.shown(&target.file).map(|file| BuildOrigin::builtin(file, kind))
        };
        let mut all: Vec<(Generator, Option<BuildOrigin>)> = Vec::new();
        for (what, list) in
            [(Generates::ConfigMap, &kustomization.config_maps), (Generates::Secret, &kustomization.secrets)]
        {
            all.extend(list.iter().map(|args| (Generator::Data(what, Box::new(with_defaults(args))), field(what))));
        }
        for config in self.configs(target, &kustomization.generators)? {
            let origin = config.origin_of_made();
            all.push((plugin::generator(&config)?, origin));
        }
        let mut errors = Vec::new();
        for (generator, origin) in all {
            let made = match generator {
                Generator::Data(what, args) => {
                    let made = generate::generate(what, &args, &self.loader, &target.directory, &mut self.warnings);
                    made.map(|made| (made, args.behavior))
                }
                Generator::Object(made) => Ok((*made, Behavior::Create)),
            };
            let absorbed = made.and_then(|(made, behavior)| {
                generate::absorb(&mut layer.set, Resource { build_origin: origin, ..made }, behavior)
            });
            errors.extend(absorbed.err());
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// The objects that entries of `generators`, `transformers` or `validators` give: as text, or in files and
    /// directories.
    fn configs(&mut self, target: &Target, entries: &[Text]) -> Result<Vec<Resource>, Vec<Error>> {
        let mut layer = Layer::new();
        let mut paths = Vec::new();
        for entry in entries {
            match plugin::inline(entry) {
                Some(resources) => {
                    let origin = self.shown(&target.file).map(BuildOrigin::File);
                    for resource in resources {
                        let resource = Resource { build_origin: origin.clone(), ..resource };
                        layer.set.append(resource).map_err(|error| vec![error])?;
                    }
                }
                None => paths.push(entry.clone()),
            }
        }
        self.resources(target, &paths, &mut layer)?;
        Ok(layer.set.into_vec())
    }

    fn configured(
        &mut self,
        target: &Target,
        entries: &[Text],
    ) -> Result<Vec<(Transformer, Option<BuildOrigin>)>, Vec<Error>> {
        let mut configured = Vec::new();
        for config in self.configs(target, entries)? {
            let transformers = plugin::transformers(&self.loader, &target.directory, &config)?;
            let origin = config.origin_of_made();
            // Several that one object configures count as one: the last of them notes it.
            let last = transformers.len().saturating_sub(1);
            let noted = |at| if at == last { origin.clone() } else { None };
            configured.extend(transformers.into_iter().enumerate().map(|(at, made)| (made, noted(at))));
        }
        Ok(configured)
    }

    fn transform(
        &self,
        transformer: &Transformer,
        origin: Option<BuildOrigin>,
        layer: &mut Layer,
    ) -> Result<(), Vec<Error>> {
        transformer.apply(&mut layer.set, self.schemas())?;
        if let Some(origin) = origin {
            for resource in layer.set.bodies_mut() {
                if resource.build_origin.is_none() {
                    resource.build_origin = Some(origin.clone());
                } else {
                    resource.transformations.push(origin.clone());
                }
            }
        }
        Ok(())
    }

    fn schemas(&self) -> &Schemas {
        self.schemas.as_deref().unwrap_or_else(|| Schemas::built_in())
    }

    /// The transformers of a kustomization in the order in which they work. All that they need is read before the
    /// first one is applied.
    fn transformers(
        &mut self,
        target: &Target,
        specs: &Specs,
    ) -> Result<Vec<(Transformer, Option<BuildOrigin>)>, Vec<Error>> {
        let kustomization = &target.kustomization;
        let (loader, directory) = (&self.loader, &target.directory);
        let mut errors = Vec::new();
        let mut all: Vec<(Transformer, &'static str)> = Vec::new();
        if let Some(first) = kustomization.patches_strategic_merge.first() {
            match plugin::strategic(loader, directory, &kustomization.patches_strategic_merge, &first.node) {
                Ok(patches) => all.push((Transformer::Patches(patches), "PatchStrategicMergeTransformer")),
                Err(more) => errors.extend(more),
            }
        }
        for patch in &kustomization.patches {
            match Prepared::new(loader, directory, patch) {
                Ok(patch) => all.push((Transformer::Patches(vec![patch]), "PatchTransformer")),
                Err(error) => errors.push(error),
            }
        }
        if let Some(namespace) = &kustomization.namespace {
            let namespace = Namespace {
                namespace: namespace.value.clone(),
                specs: specs.namespace.clone(),
                subjects: Subjects::Default,
                unset_only: false,
            };
            all.push((Transformer::Namespace(namespace), "NamespaceTransformer"));
        }
        if let Some(prefix) = &kustomization.name_prefix {
            let specs = specs.name_prefix.clone();
            all.push((Transformer::Affix(Affix::Prefix, prefix.value.clone(), specs), "PrefixTransformer"));
        }
        if let Some(suffix) = &kustomization.name_suffix {
            let specs = specs.name_suffix.clone();
            all.push((Transformer::Affix(Affix::Suffix, suffix.value.clone(), specs), "SuffixTransformer"));
        }
        for entry in &kustomization.labels {
            match label_fields(entry, specs) {
                Ok(fields) => all.push((Transformer::Marks(values(&entry.pairs), fields), "LabelTransformer")),
                Err(Conflict(path)) => {
                    let problem = Problem::FieldSpecConflict { path: path.to_string() };
                    errors.push(Error::at(&entry.at, problem));
                }
            }
        }
        if !(kustomization.labels.is_empty() && kustomization.common_labels.is_empty()) {
            let pairs = values(&kustomization.common_labels);
            all.push((Transformer::Marks(pairs, specs.common_labels.clone()), "LabelTransformer"));
        }
        if !kustomization.common_annotations.is_empty() {
            let pairs = values(&kustomization.common_annotations);
            all.push((Transformer::Marks(pairs, specs.common_annotations.clone()), "AnnotationsTransformer"));
        }
        for patch in &kustomization.patches_json6902 {
            match Prepared::operations(loader, directory, patch) {
                Ok(patch) => all.push((Transformer::Patches(vec![patch]), "PatchJson6902Transformer")),
                Err(error) => errors.push(error),
            }
        }
        let replicas = kustomization.replicas.iter().cloned();
        all.extend(
            replicas.map(|replica| (Transformer::Replicas(replica, specs.replicas.clone()), "ReplicaCountTransformer")),
        );
        let images = kustomization.images.iter().cloned();
        all.extend(images.map(|image| (Transformer::Image(image, specs.images.clone()), "ImageTagTransformer")));
        if !kustomization.replacements.is_empty() {
            match plugin::replacements(loader, directory, &kustomization.replacements) {
                Ok(replacements) => all.push((Transformer::Replacements(replacements), "ReplacementTransformer")),
                Err(more) => errors.extend(more),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let file = self.shown(&target.file);
        let origin = |kind: &str| file.as_ref().map(|file| BuildOrigin::builtin(file.clone(), kind));
        let mut all: Vec<(Transformer, Option<BuildOrigin>)> =
            all.into_iter().map(|(transformer, kind)| (transformer, origin(kind))).collect();
        all.extend(self.configured(target, &kustomization.transformers)?);
        Ok(all)
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
