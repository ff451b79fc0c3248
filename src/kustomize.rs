//! The native kustomize engine: from a directory with a kustomization to the objects that `kustomize build` prints.
//!
//! **In:** [`Files`], the directory, [`Options`]. **Out:** [`Rendered`], or every problem that was found with file,
//! line and column. **May not:** run a program, reach the network, or read anything but through `Files`.
//!
//! The reference is kustomize 5.8.2, oddities included, as outputs depend on them. Read `file` and `entry` (what can be said),
//! `accumulate` (in which order it is done), then `transform`, `patch` and `generate`.

mod accumulate;
mod base;
mod configuration;
mod entry;
mod error;
pub mod explained;
mod field;
mod file;
mod generate;
mod go_json;
mod load;
mod order;
mod origin;
mod overrides;
mod patch;
mod place;
mod plugin;
mod resource;
mod selector;
mod set;
mod story;
mod transform;
mod validate;

pub use base::Bases;
pub use error::{Error, Problem};
pub use explained::Explained;
pub use load::LoadRestrictor;
pub use order::Reorder;
pub use overrides::{OverridePatch, OverrideTarget, Overrides};
pub use story::Step;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use smol_str::SmolStr;

use crate::error::Diagnostic;
use crate::in_order;
use crate::object::Object;
use crate::source::{Files, Recording, TreePath};
use accumulate::Build;
use field::Text;
use load::{Loader, Tree};
use resource::{Gvk, Id, Resource};
use story::By;

/// What is asked of a build.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where files may lie.
    pub load_restrictor: LoadRestrictor,
    /// The order of the output, where the caller has asked for one and the kustomization does not say it.
    pub reorder: Option<Reorder>,
    /// What an Application adds to the kustomization.
    pub overrides: Overrides,
    /// Of more than one, all of this machine's threads may work on it; 0 and 1: the caller's alone.
    pub workers: usize,
}

/// What a build gives.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// The objects in the order in which they are printed.
    pub objects: Vec<Object>,
    /// What a person should know although it rendered.
    pub warnings: Vec<Diagnostic>,
}

/// Renders the kustomization in a directory.
///
/// # Errors
/// Every problem that was found, in the order in which they were met.
pub fn build(files: &dyn Files, root: &TreePath, options: &Options) -> Result<Rendered, Vec<Diagnostic>> {
    build_tree(Tree::Files(files), root, options, &Bases::of_one_build())
}

/// True when kustomize takes the object's kind for one that lives in no namespace: it knows the built-in ones.
pub fn is_cluster_scoped(object: &Object) -> bool {
    Gvk::new(&object.key.group, &object.version, &object.key.kind).is_cluster_scoped()
}

/// Renders the kustomization in a directory, notes what it reads, and uses the bases that other builds have left.
///
/// # Errors
/// Every problem that was found, in the order in which they were met.
pub fn build_recorded(
    files: &Recording<'_>,
    root: &TreePath,
    options: &Options,
    bases: &Bases,
) -> Result<Rendered, Vec<Diagnostic>> {
    build_tree(Tree::Recorded(files), root, options, bases)
}

fn build_tree(tree: Tree<'_>, root: &TreePath, options: &Options, bases: &Bases) -> Result<Rendered, Vec<Diagnostic>> {
    let mut build = Build::new(Loader::new(tree, options.load_restrictor), bases, options.workers);
    let objects = render(&mut build, root, options, Resource::to_object).map_err(|errors| told(&errors))?;
    Ok(Rendered { objects, warnings: build.into_warnings() })
}

/// The text of a kustomization, as `kustomize build` prints it.
#[derive(Clone, Debug, Default)]
pub struct Printed {
    /// One for each object, to be written one behind the other.
    pub documents: Vec<String>,
    /// What a person should know although it rendered.
    pub warnings: Vec<Diagnostic>,
}

/// Prints the kustomization in a directory: as [`build`], without keeping the objects.
///
/// # Errors
/// As [`build`].
pub fn print(files: &dyn Files, root: &TreePath, options: &Options) -> Result<Printed, Vec<Diagnostic>> {
    const SEPARATOR: &str = "---\n";
    /// Most objects are smaller.
    const ROOM: usize = 1 << 10;
    let bases = Bases::of_one_build();
    let mut build = Build::new(Loader::new(Tree::Files(files), options.load_restrictor), &bases, options.workers);
    let text = |resource: &Resource| {
        // Each finds room where the tree of one before it was.
        let mut text = String::with_capacity(ROOM);
        text.push_str(SEPARATOR);
        resource.push_text(&mut text)?;
        text.shrink_to_fit();
        Ok(text)
    };
    let mut documents = render(&mut build, root, options, text).map_err(|errors| told(&errors))?;
    if let Some(first) = documents.first_mut() {
        first.drain(..SEPARATOR.len());
    }
    Ok(Printed { documents, warnings: build.into_warnings() })
}

/// How many objects one thread takes at a time when the work on each is small.
const PIECE: usize = 32;

/// The label that says which tool made an object, when `buildMetadata` asks for it.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "kustomize-v5.8.2");

/// Texts are shared between objects until they are written: one of a megabyte that goes to ten thousand places costs
/// nothing before.
///
/// # Errors
/// When the objects hold more text than memory should.
fn check_size(resources: &[Arc<Resource>]) -> Result<(), Error> {
    const MAX_TEXT: usize = 256 << 20;
    let mut left = MAX_TEXT;
    for resource in resources {
        let texts = resource::text_length(&resource.node);
        left = left
            .checked_sub(texts)
            .ok_or_else(|| Error::at(&resource.node, Problem::TooMuchText { limit: MAX_TEXT }))?;
    }
    Ok(())
}

/// The objects of a kustomization, as they were accumulated, in the order in which they are printed.
fn resources(
    build: &mut Build<'_>,
    root: &TreePath,
    options: &Options,
) -> Result<(Vec<Arc<Resource>>, Finish), Vec<Error>> {
    let mut target = build.target(root)?;
    options.overrides.apply(&mut target.kustomization, &target.file, &build.loader)?;
    let attribute = |errors: Vec<Error>| -> Vec<Error> {
        errors.into_iter().map(|error| overrides::attribute(error, &target.file)).collect()
    };
    let metadata = &target.kustomization.build_metadata;
    if !metadata.is_empty() {
        build.trace(root);
    }
    let mut layer = build.layer(&target, None).map_err(attribute)?;
    let before = build.before(&layer);
    generate::hash::apply(&mut layer.set)?;
    build.tell(before, &mut layer, &By::build("hash of the content"));
    build.warn(generate::hash::too_long(&layer.set).map(|warning| warning.diagnostic()));
    let before = build.before(&layer);
    transform::references::apply(&mut layer.set, &layer.specs, options.workers)?;
    build.tell(before, &mut layer, &By::build("name of another object"));
    let before = build.before(&layer);
    let unused = transform::variables::resolve(&mut layer.set, &layer.variables, &layer.specs.variables)?;
    build.tell(before, &mut layer, &By::build("vars"));
    build.warn(unused.iter().map(Error::diagnostic));
    let mut resources = layer.set.into_vec();
    // A patch may have taken away what every object needs.
    let nameless: Vec<Error> = resources.iter().filter_map(|resource| load::check(&resource.node).err()).collect();
    if !nameless.is_empty() {
        return Err(nameless);
    }
    let sort_options = target.kustomization.sort_options.as_ref();
    let keeps_local = drop_local(&mut resources)?;
    if keeps_local && order::is_by_kind(sort_options, options.reorder.unwrap_or_default()) {
        refuse_twins(resources.iter())?;
    }
    if let (Some(sort_options), Some(_)) = (sort_options, options.reorder) {
        build.warn([Error::at(&sort_options.at, Problem::OrderTwice).diagnostic()]);
    }
    order::sort(&mut resources, sort_options, options.reorder.unwrap_or_default()).map_err(|error| vec![error])?;
    check_size(&resources).map_err(|error| vec![error])?;
    Ok((resources, Finish::new(metadata)))
}

/// What `each` makes of the objects.
fn render<T: Send>(
    build: &mut Build<'_>,
    root: &TreePath,
    options: &Options,
    each: impl Fn(&Resource) -> Result<T, Error> + Send + Sync,
) -> Result<Vec<T>, Vec<Error>> {
    let (resources, finish) = resources(build, root, options)?;
    // Each is given up as soon as it is finished: two forms of all objects would take twice the room.
    let mut pieces = Vec::new();
    let mut rest = resources.into_iter();
    loop {
        let piece: Vec<Arc<Resource>> = rest.by_ref().take(PIECE).collect();
        if piece.is_empty() {
            break;
        }
        pieces.push(Mutex::new(piece));
    }
    let finished = in_order::map(options.workers, &pieces, |piece| {
        let objects = std::mem::take(&mut *piece.lock()).into_iter().map(|mut resource| {
            let resource = Arc::make_mut(&mut resource);
            finish.apply(resource)?;
            each(resource)
        });
        all_or_errors(objects)
    });
    let (pieces, errors): (Vec<_>, Vec<_>) = finished.into_iter().partition(Result::is_ok);
    let errors: Vec<Error> = errors.into_iter().filter_map(Result::err).flatten().collect();
    if errors.is_empty() { Ok(pieces.into_iter().flatten().flatten().collect()) } else { Err(errors) }
}

fn told(errors: &[Error]) -> Vec<Diagnostic> {
    errors.iter().map(Error::diagnostic).collect()
}

/// What is done to every object when all of them are there.
struct Finish {
    adds_managed_by: bool,
    adds_origin: bool,
    adds_transformations: bool,
}

impl Finish {
    /// As `buildMetadata` asks for it.
    fn new(metadata: &[Text]) -> Self {
        let wants = |what: &str| metadata.iter().any(|text| text.as_str() == what);
        Finish {
            adds_managed_by: wants("managedByLabel"),
            adds_origin: wants("originAnnotations"),
            adds_transformations: wants("transformerAnnotations"),
        }
    }

    /// # Errors
    /// When the object has something else in the place of its labels.
    fn apply(&self, resource: &mut Resource) -> Result<(), Error> {
        if self.adds_managed_by {
            resource.check_marks("labels")?;
            resource.set_mark("labels", MANAGED_BY.0, MANAGED_BY.1);
        }
        resource.settle_annotations()?;
        if let Some(origin) = resource.build_origin.as_ref().filter(|_| self.adds_origin) {
            let text = origin.text();
            resource.set_mark("annotations", origin::ORIGIN, &text);
        }
        if !resource.transformations.is_empty() && self.adds_transformations {
            let text = origin::list_text(&resource.transformations);
            resource.set_mark("annotations", "alpha.config.kubernetes.io/transformations", &text);
        }
        Ok(())
    }
}

/// Renders the kustomization in a directory, and tells for each field of each object which files and which transformers
/// gave it its value.
///
/// # Errors
/// As [`build`].
pub fn explain(files: &dyn Files, root: &TreePath, options: &Options) -> Result<Vec<Explained>, Vec<Diagnostic>> {
    let bases = Bases::of_one_build();
    let loader = Loader::new(Tree::Files(files), options.load_restrictor);
    let mut build = Build::new(loader, &bases, 1);
    build.tell_stories();
    let (resources, finish) = resources(&mut build, root, options).map_err(|errors| told(&errors))?;
    let explained = resources.into_iter().map(|before| {
        let mut resource = Resource::clone(&before);
        finish.apply(&mut resource)?;
        let story = story::retold(&before, &resource.node, &By::build("buildMetadata"));
        Ok(Explained {
            object: resource.to_object()?,
            former_names: before.formers.iter().map(|former| former.name.clone()).collect(),
            fields: story.into_iter().collect(),
        })
    });
    all_or_errors(explained).map_err(|errors| told(&errors))
}

fn all_or_errors<T>(results: impl Iterator<Item = Result<T, Error>>) -> Result<Vec<T>, Vec<Error>> {
    let mut all = Vec::with_capacity(results.size_hint().0);
    let mut errors = Vec::new();
    for result in results {
        match result {
            Ok(one) => all.push(one),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(all) } else { Err(errors) }
}

/// Takes out what says that it is for tools only. kustomize finds it by its name, and keeps what shares that with an
/// object that stays: true when there is such a one.
///
/// # Errors
/// When two objects that stay are called the same, or two that don't.
fn drop_local(resources: &mut Vec<Arc<Resource>>) -> Result<bool, Vec<Error>> {
    let is_local = |resource: &Resource| {
        resource.annotation("config.kubernetes.io/local-config").is_some_and(|value| value != "false")
    };
    if !resources.iter().any(|resource| is_local(resource)) {
        return refuse_twins(resources.iter()).map(|()| false);
    }
    refuse_twins(resources.iter().filter(|resource| !is_local(resource)))?;
    // Here no namespace is not `default`.
    let called = |resource: &Resource| (resource.namespace(), resource.id());
    let others: HashSet<(SmolStr, Id)> =
        resources.iter().filter(|resource| !is_local(resource)).map(|resource| called(resource)).collect();
    let goes = |resource: &Resource| is_local(resource) && !others.contains(&called(resource));
    refuse_twins(resources.iter().filter(|resource| goes(resource)))?;
    resources.retain(|resource| !goes(resource));
    Ok(resources.iter().any(|resource| is_local(resource)))
}

/// # Errors
/// When two objects are called the same in the end, as replacements can bring about.
fn refuse_twins<'a>(resources: impl Iterator<Item = &'a Arc<Resource>>) -> Result<(), Vec<Error>> {
    let mut known = HashMap::with_capacity(resources.size_hint().0);
    for resource in resources {
        let id = resource.id();
        if let Some(first) = known.insert(id, resource) {
            let problem = Problem::Duplicate { id: resource.id().to_string(), first: first.origin.clone() };
            return Err(vec![Error::at(&resource.node, problem)]);
        }
    }
    Ok(())
}
