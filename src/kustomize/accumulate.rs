//! One layer after the other: a kustomization's resources, generators and components, then its transformers.

mod bases;
mod turns;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::base::{Bases, Met};
use super::entry::GeneratorArgs;
use super::error::{Error, Problem};
use super::field::Text;
use super::file::{Kind, Kustomization};
use super::generate::{self, Generates};
use super::load::{Found, Loader};
use super::origin::{BuildOrigin, Shown};
use super::patch::schema::{BuiltIn, Schemas};
use super::plugin::Generator;
use super::resource::{Behavior, Resource};
use super::set::Set;
use super::story::{self, Before, By};
use super::transform::specs::Specs;
use super::transform::variables::{self, Variables};
use super::{configuration, plugin, validate};
use crate::error::{Diagnostic, Origin};
use crate::source::TreePath;
use turns::Turn;

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
    /// Before this, the build had asked for the built-in schema.
    kept_built_in_before: bool,
    /// The places and titles of the warnings that have been told.
    told: HashSet<(Option<Origin>, String)>,
    schema: GivenSchema,
    /// How paths are shown, when `buildMetadata` wants to know what came from where.
    shown: Option<Shown>,
    /// True when objects are to know what became of their fields.
    tells: bool,
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
            kept_built_in_before: false,
            told: HashSet::new(),
            schema: GivenSchema::None,
            shown: None,
            tells: false,
        }
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
        let document = path.map(|path| self.loader.document(&target.directory, path)).transpose()?;
        self.met.brings_schema |= path.is_some() || version.is_some();
        if !self.schema.is_none() {
            return Ok(());
        }
        match (path, document, version) {
            (Some(path), Some(_), Some(_)) => {
                Err(Error::at(&path.node, Problem::Exclusive { one: "path", other: "version" }))
            }
            (Some(path), Some(document), None) => {
                // The built-in kinds are known once one that is not among them had to be looked up.
                let built_in = if self.keeps_built_in() { BuiltIn::Kept } else { BuiltIn::Replaced };
                let schemas = document.and_then(|document| Schemas::from_openapi(&document.root, built_in));
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

    fn keeps_built_in(&self) -> bool {
        self.kept_built_in_before || self.met.keeps_built_in
    }

    /// Keeps track of where objects come from, shown from this directory.
    pub(super) fn trace(&mut self, from: &TreePath) {
        self.shown = Some(Shown::from(from));
    }

    /// Keeps track of what becomes of each field.
    pub(super) fn tell_stories(&mut self) {
        self.tells = true;
    }

    /// A file that an entry of the kustomization at hand names, as origins show it.
    fn shown(&self, entry: &str) -> Option<String> {
        self.shown.as_ref().map(|shown| shown.file(entry))
    }

    /// How paths are shown in a directory that an entry names.
    fn shown_below(&self, path: &TreePath, entry: &Text) -> Option<Shown> {
        let is_local = self.stack.last().is_none_or(|above| above.join(entry.as_str()).as_ref() == Ok(path));
        self.shown.as_ref().map(|shown| if is_local { shown.below(entry.as_str()) } else { shown.elsewhere(path) })
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
        let file = self.shown(target.file.file_name());
        let mut turns = turns::turns(target, &self.loader, &layer.specs, file.as_deref())?;
        turns.extend(self.configured(target, &kustomization.transformers)?);
        for turn in turns {
            self.transform(turn, &mut layer)?;
        }
        for validator in self.configured(target, &kustomization.validators)? {
            // Only objects that can be told apart can be compared.
            layer.set.check().map_err(|error| vec![error])?;
            validate::run(&validator.transformer, &layer.set, self.schemas())?;
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
        let before = self.before(layer);
        let origin = self.shown(entry.as_str()).map(|file| Arc::new(BuildOrigin::File(file)));
        for resource in self.loader.objects(&target.directory, path, entry)? {
            self.look_up(&resource);
            if origin.is_some() {
                // kustomize notes there where it comes from.
                errors.extend(resource.check_marks("annotations").err());
            }
            errors.extend(layer.set.append(Resource { build_origin: origin.clone(), ..resource }).err());
        }
        self.tell(before, layer, &By::file());
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Keeps track of what is looked for in the schema as soon as it is read.
    fn look_up(&mut self, resource: &Resource) {
        let gvk = resource.gvk();
        self.met.keeps_built_in |= !gvk.is_cluster_scoped() && !Schemas::built_in().is_known(&gvk);
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
                let shown = self.shown_below(&path, entry);
                let above = std::mem::replace(&mut self.shown, shown);
                let layer = self.layer(&component, Some(layer));
                self.shown = above;
                let mut layer = layer?;
                layer.set.check().map_err(|error| vec![error])?;
                Ok(layer)
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
            self.shown(target.file.file_name()).map(|file| Arc::new(BuildOrigin::builtin(file, kind)))
        };
        let mut all: Vec<(Generator, Option<Arc<BuildOrigin>>, By)> = Vec::new();
        for (what, name, list) in [
            (Generates::ConfigMap, "configMapGenerator", &kustomization.config_maps),
            (Generates::Secret, "secretGenerator", &kustomization.secrets),
        ] {
            all.extend(list.iter().map(|args| {
                (Generator::Data(what, Box::new(with_defaults(args))), field(what), By::field(name, &args.at))
            }));
        }
        for config in self.configs(target, &kustomization.generators)? {
            let origin = config.origin_of_made();
            all.push((plugin::generator(&config)?, origin, By::plugin(&config)));
        }
        let mut errors = Vec::new();
        for (generator, origin, by) in all {
            let before = self.before(layer);
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
            self.tell(before, layer, &by);
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
                    let origin = self.shown(target.file.file_name()).map(|file| Arc::new(BuildOrigin::File(file)));
                    for resource in resources {
                        self.look_up(&resource);
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

    fn configured(&mut self, target: &Target, entries: &[Text]) -> Result<Vec<Turn>, Vec<Error>> {
        let mut configured = Vec::new();
        for config in self.configs(target, entries)? {
            let transformers = plugin::transformers(&self.loader, &target.directory, &config)?;
            let origin = config.origin_of_made();
            // Several that one object configures count as one: the last of them notes it.
            let last = transformers.len().saturating_sub(1);
            let noted = |at| if at == last { origin.clone() } else { None };
            configured.extend(transformers.into_iter().enumerate().map(|(at, transformer)| Turn {
                transformer,
                noted: noted(at),
                by: By::plugin(&config),
            }));
        }
        Ok(configured)
    }

    fn transform(&mut self, turn: Turn, layer: &mut Layer) -> Result<(), Vec<Error>> {
        if !self.keeps_built_in() {
            self.met.keeps_built_in = turn.transformer.asks_for_schema(&layer.set);
        }
        let before = self.before(layer);
        turn.transformer.apply(&mut layer.set, self.schemas(), self.workers)?;
        if let Some(origin) = turn.noted {
            for resource in layer.set.bodies_mut(|_| true) {
                resource.unshare_annotations();
                if resource.build_origin.is_none() {
                    resource.build_origin = Some(origin.clone());
                } else {
                    resource.transformations.push(origin.clone());
                }
            }
        }
        self.tell(before, layer, &turn.by);
        Ok(())
    }

    /// The objects before a step, when the build is to be explained.
    pub(super) fn before(&self, layer: &Layer) -> Option<Before> {
        self.tells.then(|| layer.set.shared().to_vec())
    }

    /// Tells who has done what to the objects.
    pub(super) fn tell(&self, before: Option<Before>, layer: &mut Layer, by: &By) {
        if let Some(before) = before {
            story::tell(&mut layer.set, &before, by);
        }
    }

    fn schemas(&self) -> &Schemas {
        match &self.schema {
            GivenSchema::Own(schemas) => schemas,
            GivenSchema::None | GivenSchema::BuiltIn => Schemas::built_in(),
        }
    }
}
