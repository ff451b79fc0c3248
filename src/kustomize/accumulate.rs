//! One layer after the other: a kustomization's resources, generators and components, then its transformers.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use smol_str::SmolStr;

use super::base::{Base, Bases, Met};
use super::entry::{FieldSpec, GeneratorArgs, Labels};
use super::error::{Error, Problem};
use super::field::Text;
use super::file::{Kind, Kustomization};
use super::generate::{self, Generates};
use super::in_order::in_order;
use super::load::{Found, Loader, Tree};
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
use crate::error::{Diagnostic, Origin};
use crate::source::{Recording, TreePath};

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

/// A build under way: of the root, or of one base for it.
pub(super) struct Build<'a> {
    pub(super) loader: Loader<'a>,
    bases: &'a Bases,
    /// How many threads may work on the bases of one kustomization; 0 and 1: this one alone.
    workers: usize,
    /// The directories that are being built, outermost first.
    stack: Vec<TreePath>,
    met: Met,
    /// How many layers the whole build has, those of failed attempts too.
    layers: Arc<AtomicUsize>,
    /// Before this, the build came across an object of a kind that is not built in.
    unknown_kind_before: bool,
    /// The places and titles of the warnings that have been told.
    told: HashSet<(Option<Origin>, String)>,
    schema: GivenSchema,
    /// The directory from which paths are shown, when `buildMetadata` wants to know what came from where.
    traced_from: Option<TreePath>,
}

/// The first schema that a kustomization brings holds for the whole build.
#[derive(Clone, Default)]
enum GivenSchema {
    /// None so far.
    #[default]
    None,
    /// That which is built in, by its name.
    BuiltIn,
    Own(Arc<Schemas>),
}

impl GivenSchema {
    fn is_none(&self) -> bool {
        matches!(self, GivenSchema::None)
    }
}

/// What is there of a base before its turn.
type Ahead = Option<Result<Base, Vec<Error>>>;

/// A kustomization and where it stands.
pub(super) struct Target {
    pub(super) directory: TreePath,
    pub(super) file: TreePath,
    pub(super) kustomization: Kustomization,
}

impl<'a> Build<'a> {
    pub(super) fn new(loader: Loader<'a>, bases: &'a Bases, workers: usize) -> Self {
        Build {
            loader,
            bases,
            workers,
            stack: Vec::new(),
            met: Met::default(),
            layers: Arc::default(),
            unknown_kind_before: false,
            told: HashSet::new(),
            schema: GivenSchema::None,
            traced_from: None,
        }
    }

    /// How many threads may work on it.
    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    /// What a person should know although it was built.
    pub(super) fn into_warnings(self) -> Vec<Diagnostic> {
        self.met.warnings
    }

    /// Tells what a person should know.
    pub(super) fn warn(&mut self, warnings: impl IntoIterator<Item = Diagnostic>) {
        for warning in warnings {
            if self.told.insert((warning.origin.clone(), warning.title.clone())) {
                self.met.warnings.push(warning);
            }
        }
    }

    /// Reads the kustomization of a directory.
    ///
    /// # Errors
    /// When there is none, or something in it is wrong.
    pub(super) fn target(&mut self, directory: &TreePath) -> Result<Target, Vec<Error>> {
        let (file, node) = self.loader.kustomization(directory).map_err(|error| vec![error])?;
        let kustomization = Kustomization::read(&node)?;
        self.warn(kustomization.deprecated.iter().map(|deprecated| {
            let problem = Problem::Deprecated { field: deprecated.field, successor: deprecated.successor };
            Error::at(&deprecated.node, problem).diagnostic()
        }));
        let target = Target { directory: directory.clone(), file, kustomization };
        self.schema(&target).map_err(|error| vec![error])?;
        Ok(target)
    }

    /// Takes over the schema that a kustomization brings, if it is the first one.
    fn schema(&mut self, target: &Target) -> Result<(), Error> {
        let given = |name: &str| target.kustomization.openapi.iter().find(|(key, _)| key == name).map(|(_, text)| text);
        let (path, version) = (given("path"), given("version"));
        let documents = path.map(|path| self.loader.documents(&target.directory, path)).transpose()?;
        self.met.brings_schema |= path.is_some() || version.is_some();
        if !self.schema.is_none() {
            return Ok(());
        }
        match (path, documents, version) {
            (Some(path), Some(_), Some(_)) => {
                Err(Error::at(&path.node, Problem::Exclusive { one: "path", other: "version" }))
            }
            (Some(path), Some(documents), None) => {
                // The built-in kinds are known once one that is not among them had to be looked up.
                let built_in = if self.knows_unknown_kind() { BuiltIn::Kept } else { BuiltIn::Replaced };
                let schemas = documents.first().and_then(|document| Schemas::from_openapi(&document.root, built_in));
                let wrong = || Error::at(&path.node, Problem::Schema { path: path.value.to_string() });
                self.schema = GivenSchema::Own(Arc::new(schemas.ok_or_else(wrong)?));
                Ok(())
            }
            (_, _, Some(version)) if version.as_str() == Schemas::BUILT_IN_VERSION => {
                self.schema = GivenSchema::BuiltIn;
                Ok(())
            }
            (_, _, Some(version)) if !version.value.is_empty() => {
                Err(Error::at(&version.node, Problem::SchemaVersion { version: version.value.to_string() }))
            }
            _ => Ok(()),
        }
    }

    fn knows_unknown_kind(&self) -> bool {
        self.unknown_kind_before || self.met.unknown_kind
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
        self.met.directories.insert(target.directory.clone());
        self.count_layers(1, target)?;
        self.stack.push(target.directory.clone());
        self.met.depth = self.met.depth.max(self.stack.len());
        let layer = self.steps(target, onto.unwrap_or_else(Layer::new));
        self.stack.pop();
        layer
    }

    fn count_layers(&mut self, more: usize, target: &Target) -> Result<(), Vec<Error>> {
        self.met.layers += more;
        if self.layers.fetch_add(more, Ordering::Relaxed) + more > MAX_LAYERS {
            return Err(vec![Error::of_file(&target.file, Problem::TooManyLayers { limit: MAX_LAYERS })]);
        }
        Ok(())
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
        let found: Vec<Result<Found, Error>> =
            entries.iter().map(|entry| self.loader.find(&target.directory, entry)).collect();
        let ahead = self.bases_ahead(entries, &found);
        let mut errors = Vec::new();
        for ((entry, found), ahead) in entries.iter().zip(found).zip(ahead) {
            let added = match found {
                Ok(Found::File(path)) => self.file(target, &path, entry, layer),
                Ok(Found::Directory(path)) => self.take_base(target, &path, entry, ahead, layer),
                Err(error) => Err(vec![error]),
            };
            errors.extend(added.err().into_iter().flatten());
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn file(&mut self, target: &Target, path: &TreePath, entry: &Text, layer: &mut Layer) -> Result<(), Vec<Error>> {
        let mut errors = Vec::new();
        let origin = self.shown(path).map(BuildOrigin::File);
        for resource in self.loader.objects(&target.directory, path, entry)? {
            let gvk = resource.gvk();
            self.met.unknown_kind |= !gvk.is_cluster_scoped() && !Schemas::built_in().is_known(&gvk);
            errors.extend(layer.set.append(Resource { build_origin: origin.clone(), ..resource }).err());
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Adds what a base gives: as it was known before, as it was built ahead, or built now.
    fn take_base(
        &mut self,
        target: &Target,
        path: &TreePath,
        entry: &Text,
        ahead: Ahead,
        layer: &mut Layer,
    ) -> Result<(), Vec<Error>> {
        let base = match self.known_base(path) {
            Some(base) => {
                self.count_layers(base.met.layers, target)?;
                base
            }
            None => {
                // Another schema than the one that it was built with may be in force by now.
                let holds = |base: &Result<Base, _>| base.as_ref().is_ok_and(|base| !base.met.brings_schema);
                let ahead = ahead.filter(|base| self.schema.is_none() && (base.is_err() || holds(base)));
                let base = Arc::new(ahead.unwrap_or_else(|| self.built_base(path, entry))?);
                self.met.layers += base.met.layers;
                if self.is_shared(&base.met) {
                    self.bases.built(path, self.loader.restrictor(), &base);
                }
                base
            }
        };
        self.absorb(&base);
        let Layer { set, specs, variables } = match Arc::try_unwrap(base) {
            Ok(base) => base.layer,
            Err(shared) => shared.layer.clone(),
        };
        let errors: Vec<Error> =
            set.into_vec().into_iter().filter_map(|resource| layer.set.append(resource).err()).collect();
        layer.specs = configuration::merge(&layer.specs, &specs, entry)?;
        variables::merge(&mut layer.variables, &variables)?;
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// True when what was built is the same for everybody.
    fn is_shared(&self, met: &Met) -> bool {
        self.schema.is_none() && !met.brings_schema && self.traced_from.is_none()
    }

    /// A base from before that is the one which would be built now.
    fn known_base(&self, path: &TreePath) -> Option<Arc<Base>> {
        if !self.schema.is_none() || self.traced_from.is_some() {
            return None;
        }
        let base = self.bases.find(path, self.loader.restrictor(), self.loader.tree().identified())?;
        let leads_back = |built: &TreePath| self.stack.iter().any(|visited| visited.is_within(built));
        let fits = self.stack.len() + base.met.depth <= MAX_DEPTH && !base.met.directories.iter().any(leads_back);
        fits.then_some(base)
    }

    /// Builds a base from nothing but its directory.
    fn built_base(&mut self, path: &TreePath, entry: &Text) -> Result<Base, Vec<Error>> {
        let (base, schema) = self.base_by_itself(path, entry)?;
        self.schema = schema;
        Ok(base)
    }

    fn base_by_itself(&self, path: &TreePath, entry: &Text) -> Result<(Base, GivenSchema), Vec<Error>> {
        let recording = self.loader.tree().recording().map(Recording::part);
        let tree = recording.as_ref().map_or(self.loader.tree(), Tree::Recorded);
        let mut build = Build {
            loader: Loader::new(tree, self.loader.restrictor()),
            bases: self.bases,
            workers: 0,
            stack: self.stack.clone(),
            met: Met::default(),
            layers: Arc::clone(&self.layers),
            unknown_kind_before: self.knows_unknown_kind(),
            told: HashSet::new(),
            schema: self.schema.clone(),
            traced_from: self.traced_from.clone(),
        };
        let built = build.directory(path, entry, Kind::Kustomization).and_then(|target| build.layer(&target, None));
        let Build { mut met, schema, .. } = build;
        met.depth = met.depth.saturating_sub(self.stack.len());
        let read_set = recording.map(Recording::into_read_set);
        match built {
            Ok(layer) => Ok((Base { layer, met, read_set }, schema)),
            Err(errors) => {
                if let (Some(recording), Some(read_set)) = (self.loader.tree().recording(), &read_set) {
                    recording.absorb(read_set);
                }
                Err(errors)
            }
        }
    }

    /// Builds the bases among the entries side by side, each as if it was the first.
    fn bases_ahead(&self, entries: &[Text], found: &[Result<Found, Error>]) -> Vec<Ahead> {
        let mut ahead: Vec<Ahead> = found.iter().map(|_| None).collect();
        let bases: Vec<(usize, &TreePath, &Text)> = found
            .iter()
            .zip(entries)
            .enumerate()
            .filter_map(|(at, (found, entry))| match found {
                Ok(Found::Directory(path)) => Some((at, path, entry)),
                _ => None,
            })
            .collect();
        if self.workers < 2 || bases.len() < 2 || !self.schema.is_none() {
            return ahead;
        }
        let built = in_order(self.workers, &bases, |(_, path, entry)| {
            self.known_base(path).is_none().then(|| self.base_by_itself(path, entry).map(|(base, _)| base))
        });
        for ((at, ..), built) in bases.into_iter().zip(built) {
            if let Some(place) = ahead.get_mut(at) {
                *place = built;
            }
        }
        ahead
    }

    /// Takes over what building a base came across.
    fn absorb(&mut self, base: &Base) {
        self.warn(base.met.warnings.iter().cloned());
        self.met.directories.extend(base.met.directories.iter().cloned());
        self.met.depth = self.met.depth.max(self.stack.len() + base.met.depth);
        self.met.brings_schema |= base.met.brings_schema;
        self.met.unknown_kind |= base.met.unknown_kind;
        if let (Some(recording), Some(read_set)) = (self.loader.tree().recording(), &base.read_set) {
            recording.absorb(read_set);
        }
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
                    let mut warnings = Vec::new();
                    let made = generate::generate(what, &args, &self.loader, &target.directory, &mut warnings);
                    self.warn(warnings);
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
    fn configs(&mut self, target: &Target, entries: &[Text]) -> Result<Vec<Arc<Resource>>, Vec<Error>> {
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
            for resource in layer.set.bodies_mut(|_| true) {
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
        match &self.schema {
            GivenSchema::Own(schemas) => schemas,
            GivenSchema::None | GivenSchema::BuiltIn => Schemas::built_in(),
        }
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
