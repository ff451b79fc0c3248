//! The native kustomize engine: from a directory with a kustomization to the objects that `kustomize build` prints.
//!
//! **In:** [`Files`], the directory, [`Options`]. **Out:** [`Rendered`], or every problem that was found with file,
//! line and column. **May not:** run a program, reach the network, or read anything but through `Files`.
//!
//! The reference is kustomize 5.8.2, oddities included, as outputs depend on them. Read `file` and `entry` (what can be said),
//! `accumulate` (in which order it is done), then `transform`, `patch` and `generate`.

mod accumulate;
mod configuration;
mod entry;
mod error;
mod field;
mod file;
mod generate;
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
mod transform;

pub use error::{Error, Problem};
pub use load::LoadRestrictor;
pub use order::Reorder;
pub use overrides::{OverridePatch, OverrideTarget, Overrides};

use crate::error::Diagnostic;
use crate::object::Object;
use crate::source::{Files, TreePath};
use accumulate::Build;
use load::Loader;
use resource::Resource;
use std::collections::HashMap;

/// What is asked of a build.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where files may lie.
    pub load_restrictor: LoadRestrictor,
    /// The order of the output.
    pub reorder: Reorder,
    /// What an Application adds to the kustomization.
    pub overrides: Overrides,
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
    let mut build = Build::new(Loader::new(files, options.load_restrictor));
    let objects = render(&mut build, root, options)
        .map_err(|errors| errors.iter().map(Error::diagnostic).collect::<Vec<Diagnostic>>())?;
    Ok(Rendered { objects, warnings: build.warnings })
}

/// The label that says which tool made an object, when `buildMetadata` asks for it.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "kustomize-v5.8.2");

fn render(build: &mut Build<'_>, root: &TreePath, options: &Options) -> Result<Vec<Object>, Vec<Error>> {
    let mut target = build.target(root)?;
    options.overrides.apply(&mut target.kustomization, &target.file, &build.loader)?;
    let attribute = |errors: Vec<Error>| -> Vec<Error> {
        errors.into_iter().map(|error| overrides::attribute(error, &target.file)).collect()
    };
    let metadata = &target.kustomization.build_metadata;
    let wants = |what: &str| metadata.iter().any(|text| text.as_str() == what);
    if !metadata.is_empty() {
        build.trace(root);
    }
    let mut layer = build.layer(&target, None).map_err(attribute)?;
    generate::hash::apply(&mut layer.set)?;
    transform::references::apply(&mut layer.set, &layer.specs)?;
    transform::variables::resolve(&mut layer.set, &layer.variables, &layer.specs.variables)?;
    let mut resources = layer.set.into_vec();
    // A patch may have taken away what every object needs.
    let nameless: Vec<Error> = resources.iter().filter_map(|resource| load::check(&resource.node).err()).collect();
    if !nameless.is_empty() {
        return Err(nameless);
    }
    resources.retain(|resource| {
        resource.annotation("config.kubernetes.io/local-config").is_none_or(|value| value == "false")
    });
    refuse_twins(&resources)?;
    let sort_options = target.kustomization.sort_options.as_ref();
    order::sort(&mut resources, sort_options, options.reorder).map_err(|error| vec![error])?;
    let mut objects = Vec::with_capacity(resources.len());
    let mut errors = Vec::new();
    for mut resource in resources {
        if wants("managedByLabel") {
            resource.set_mark("labels", MANAGED_BY.0, MANAGED_BY.1);
        }
        resource.settle_annotations();
        if let Some(origin) = resource.build_origin.as_ref().filter(|_| wants("originAnnotations")) {
            let text = origin.text();
            resource.set_mark("annotations", "config.kubernetes.io/origin", &text);
        }
        if !resource.transformations.is_empty() && wants("transformerAnnotations") {
            let text = origin::list_text(&resource.transformations);
            resource.set_mark("annotations", "alpha.config.kubernetes.io/transformations", &text);
        }
        match resource.into_object() {
            Ok(object) => objects.push(object),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(objects) } else { Err(errors) }
}

/// # Errors
/// When two objects are called the same in the end, as replacements can bring about.
fn refuse_twins(resources: &[Resource]) -> Result<(), Vec<Error>> {
    let mut known = HashMap::with_capacity(resources.len());
    for resource in resources {
        let id = resource.id();
        if let Some(first) = known.insert(id, resource) {
            let problem = Problem::Duplicate { id: resource.id().to_string(), first: first.origin.clone() };
            return Err(vec![Error::at(&resource.node, problem)]);
        }
    }
    Ok(())
}
