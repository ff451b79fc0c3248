//! What the differential fuzzer (`examples/fuzz_kustomize`) has found: each tree once differed from `kustomize build`
//! 5.8.2, which prints what stands here.

mod generators;
mod marks;
mod names;
mod operations;
mod patches;
mod paths;
mod reading;
mod replacements;

use leeboard::kustomize::{Options, build};
use leeboard::source::TreePath;

use super::trees::{Tree, printed};

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n";

/// What it is about, files, and what is printed.
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

/// What a build of the tree's root prints; `refused` when it does not.
fn outcome(files: &[(&str, &str)]) -> String {
    build(&Tree::new(files), &TreePath::root(), &Options::default())
        .map_or_else(|_| "refused".into(), |rendered| printed(&rendered))
}

fn check(cases: &[Case<'_>]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(about, files, expected)| (about, outcome(files), expected))
        .filter(|(_, printed, expected)| printed != *expected)
        .map(|(about, printed, expected)| format!("{about}\nexpected {expected}\nbut      {printed}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
