//! One layer after the other: a kustomization's resources, generators and components, then its transformers.

use std::sync::Arc;

use smol_str::SmolStr;

use super::Options;
use super::error::{Error, Problem};
use super::field::Text;
use super::file::{Kind, Kustomization, Labels};
use super::generate::{self, Generates};
use super::load::{Found, Loader};
use super::patch::Prepared;
use super::patch::schema::Schemas;
use super::set::Set;
use super::transform::name::Affix;
use super::transform::namespace::{Namespace, Subjects};
use super::transform::specs::Specs;
use super::transform::{images, labels, name, replicas};
use crate::error::Diagnostic;
use crate::source::TreePath;

/// How deep bases may be nested.
const MAX_DEPTH: usize = 64;

/// What a kustomization has made of its resources.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) set: Set,
    pub(super) specs: Arc<Specs>,
}

impl Layer {
    fn new() -> Self {
        Layer { set: Set::default(), specs: Specs::built_in() }
    }
}

/// A build under way.
pub(super) struct Build<'a> {
    pub(super) loader: Loader<'a>,
    pub(super) options: &'a Options,
    pub(super) warnings: Vec<Diagnostic>,
    /// The directories that are being built, outermost first.
    stack: Vec<TreePath>,
}

/// A kustomization and where it stands.
pub(super) struct Target {
    pub(super) directory: TreePath,
    pub(super) file: TreePath,
    pub(super) kustomization: Kustomization,
}

impl<'a> Build<'a> {
    pub(super) fn new(loader: Loader<'a>, options: &'a Options) -> Self {
        Build { loader, options, warnings: Vec::new(), stack: Vec::new() }
    }

    /// Reads the kustomization of a directory.
    ///
    /// # Errors
    /// When there is none, or something in it is wrong.
    pub(super) fn target(&mut self, directory: &TreePath) -> Result<Target, Vec<Error>> {
        let (file, node) = self.loader.kustomization(directory).map_err(|error| vec![error])?;
        let kustomization = Kustomization::read(&node)?;
        for deprecated in &kustomization.deprecated {
            let problem = Problem::Deprecated { field: deprecated.field, successor: deprecated.successor };
            self.warnings.push(Error::at(&deprecated.node, problem).diagnostic());
        }
        Ok(Target { directory: directory.clone(), file, kustomization })
    }

    /// Everything that a kustomization makes, on top of what its parent has so far if it is a component.
    ///
    /// # Errors
    /// All problems of the first step that has any.
    pub(super) fn layer(&mut self, target: &Target, onto: Option<Layer>) -> Result<Layer, Vec<Error>> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(vec![Error::of_file(&target.file, Problem::TooDeep { limit: MAX_DEPTH })]);
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
        self.generators(target, &mut layer)?;
        for entry in &kustomization.components {
            layer = self.component(target, entry, layer)?;
        }
        self.transformers(target, &mut layer)?;
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
                errors.extend(resources.iter().filter_map(|resource| layer.set.append(resource.clone()).err()));
            }
            Found::Directory(path) => {
                let base = self.directory(&path, entry, Kind::Kustomization)?;
                let base = self.layer(&base, None)?;
                errors.extend(base.set.into_vec().into_iter().filter_map(|resource| layer.set.append(resource).err()));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// The kustomization of a directory that an entry names.
    fn directory(&mut self, path: &TreePath, entry: &Text, expected: Kind) -> Result<Target, Vec<Error>> {
        let at = |problem| vec![Error::at(&entry.node, problem)];
        let path_text = || entry.value.to_string();
        // A directory above one that is being built counts as being built.
        if let Some(current) = self.stack.last().filter(|current| current.is_within(path)) {
            let mut chain = self.stack.clone();
            chain.push(path.clone());
            let _ = current;
            return Err(at(Problem::Cycle { path: path_text(), chain }));
        }
        if self.stack.iter().any(|visited| visited.is_within(path)) {
            let mut chain = self.stack.clone();
            chain.push(path.clone());
            return Err(at(Problem::Cycle { path: path_text(), chain }));
        }
        let target = self.target(path).map_err(|errors| {
            errors
                .into_iter()
                .map(|error| match error.problem {
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
        let config_maps = kustomization.config_maps.iter().map(|args| (Generates::ConfigMap, args));
        let secrets = kustomization.secrets.iter().map(|args| (Generates::Secret, args));
        let mut errors = Vec::new();
        for (what, args) in config_maps.chain(secrets) {
            let mut args = args.clone();
            args.options = args.options.with_defaults(&kustomization.generator_options);
            let made = generate::generate(what, &args, &self.loader, &target.directory);
            errors.extend(made.and_then(|made| layer.set.absorb(made, args.behavior)).err());
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    fn transformers(&mut self, target: &Target, layer: &mut Layer) -> Result<(), Vec<Error>> {
        let kustomization = &target.kustomization;
        let specs = Arc::clone(&layer.specs);
        let one = |error| vec![error];
        // All patches are read before the first one is applied, so that every mistake in them is found.
        let mut errors = Vec::new();
        let mut prepared = |made: Vec<Result<Prepared, Error>>| -> Vec<Prepared> {
            made.into_iter().filter_map(|made| made.map_err(|error| errors.push(error)).ok()).collect()
        };
        let (loader, directory) = (&self.loader, &target.directory);
        let strategic = kustomization.patches_strategic_merge.iter();
        let strategic = prepared(strategic.map(|entry| Prepared::strategic(loader, directory, entry)).collect());
        let patches = kustomization.patches.iter();
        let patches = prepared(patches.map(|patch| Prepared::new(loader, directory, patch)).collect());
        let operations = kustomization.patches_json6902.iter();
        let operations = prepared(operations.map(|patch| Prepared::operations(loader, directory, patch)).collect());
        if let Some(entry) = kustomization.patches_strategic_merge.first()
            && errors.is_empty()
            && strategic.iter().all(Prepared::is_empty)
        {
            errors.push(Error::at(&entry.node, Problem::EmptyPatch));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let schemas = Schemas::built_in();
        apply_patches(&mut layer.set, schemas, &strategic)?;
        apply_patches(&mut layer.set, schemas, &patches)?;
        if let Some(namespace) = &kustomization.namespace {
            let transformer = Namespace {
                namespace: namespace.value.clone(),
                specs: specs.namespace.clone(),
                subjects: Subjects::Default,
                unset_only: false,
            };
            transformer.apply(&mut layer.set).map_err(one)?;
        }
        if let Some(prefix) = &kustomization.name_prefix {
            name::apply(&mut layer.set, Affix::Prefix, &prefix.value, &specs.name_prefix).map_err(one)?;
        }
        if let Some(suffix) = &kustomization.name_suffix {
            name::apply(&mut layer.set, Affix::Suffix, &suffix.value, &specs.name_suffix).map_err(one)?;
        }
        for entry in &kustomization.labels {
            let fields = label_fields(entry, &specs);
            labels::apply(&mut layer.set, &values(&entry.pairs), &fields).map_err(one)?;
        }
        labels::apply(&mut layer.set, &values(&kustomization.common_labels), &specs.common_labels).map_err(one)?;
        let annotations = values(&kustomization.common_annotations);
        labels::apply(&mut layer.set, &annotations, &specs.common_annotations).map_err(one)?;
        apply_patches(&mut layer.set, schemas, &operations)?;
        for replica in &kustomization.replicas {
            replicas::apply(&mut layer.set, replica, &specs.replicas).map_err(one)?;
        }
        for image in &kustomization.images {
            images::apply(&mut layer.set, image, &specs.images).map_err(one)?;
        }
        Ok(())
    }
}

fn apply_patches(set: &mut Set, schemas: &Schemas, patches: &[Prepared]) -> Result<(), Vec<Error>> {
    let mut errors = Vec::new();
    for patch in patches {
        if let Err(more) = patch.apply(set, schemas) {
            errors.extend(more);
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Where the pairs of an entry of `labels` go.
fn label_fields(entry: &Labels, specs: &Specs) -> Vec<super::file::FieldSpec> {
    let mut fields = entry.fields.clone();
    fields.extend(specs.labels.iter().cloned());
    if entry.include_selectors {
        fields.extend(specs.common_labels.iter().cloned());
        return fields;
    }
    if entry.include_templates {
        fields.extend(specs.template_labels.iter().cloned());
    }
    if entry.include_claims {
        fields.extend(specs.claim_labels.iter().cloned());
    }
    fields.push(super::file::FieldSpec { gvk: Default::default(), path: "metadata/labels".into(), create: true });
    fields
}

fn values(pairs: &[(SmolStr, Text)]) -> Vec<(SmolStr, SmolStr)> {
    pairs.iter().map(|(key, text)| (key.clone(), text.value.clone())).collect()
}
