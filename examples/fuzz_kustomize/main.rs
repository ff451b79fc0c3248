//! Compares the kustomize engine with the released kustomize on random trees, until they differ.
//!
//! The reference is built once, in `tests/kustomize-reference`:
//!
//! ```text
//! go build -o /somewhere/kustomize sigs.k8s.io/kustomize/kustomize/v5
//! cargo run --example fuzz_kustomize -- --reference /somewhere/kustomize --count 20000
//! ```
//!
//! Seed *i* always gives the same tree: `--seed` is the first one, `--count` how many, `--jobs` how many are built at
//! a time. Trees that render must print the same bytes, trees that one engine refuses the other must refuse as well
//! (in words of its own). Where they differ the tree is made as small as it gets and written to a folder
//! below `--keep`: the tree in `in`, what each of them printed beside it. With `--tree`, the tree of one seed is
//! written there and nothing is compared. The run ends with how many trees had each feature; it exits with 1 when
//! there was a difference.
//!
//! # What is left out, and why
//!
//! Of these the engines are known to differ, or may, and no person writes them:
//!
//! - Changing the kind of a ConfigMap or Secret: kustomize hashes of any other generated kind how its YAML is laid out.
//! - In patches, numbers, times and line separators of odd spelling; nulls are there. U+FEFF inside of texts.
//! - U+0085, U+2028, U+2029 and lone carriage returns that stand as themselves in YAML: to go-yaml they end lines.
//! - `$patch: replace` of a list, together with directives of its elements.
//! - Replacements of floating-point numbers, and those with a delimiter but without `fieldPaths`.
//! - An empty document in front of a file of `configurations`, `crds` or `replacements`.
//! - Wrong lines in files that configure transformers; in files of objects and patches they are rare.
//! - Operations that copy or move all annotations, and with them what kustomize notes there for itself.
//! - Trees on which kustomize panics, or says something else now and then, are counted by themselves.
//!
//! New seeds find a difference once in tens of thousands of trees, each for a cause of its own; what was found is mended and
//! stands in `tests/kustomize/differences`.
//!
//! Read `layer` for what a tree is made of, then the files that it uses; `style` says how that is written down.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it panics where it can't go on, and what it prints is for people"
)]

mod configurations;
mod fields;
mod generators;
mod judge;
mod layer;
mod mistakes;
mod objects;
mod patches;
mod places;
mod plugins;
mod random;
mod replacements;
mod scalars;
mod shrink;
mod style;
mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use judge::{Judge, Verdict};
use tree::Tree;

#[derive(Parser)]
struct Arguments {
    /// The kustomize to compare with
    #[arg(long)]
    reference: Option<PathBuf>,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds
    #[arg(long, default_value_t = 1000)]
    count: u64,
    /// Where trees are written on which the engines differ
    #[arg(long, default_value = "target/fuzz-kustomize")]
    keep: PathBuf,
    /// How many trees are compared at a time
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// How many trees are tried to make one smaller
    #[arg(long, default_value_t = 1500)]
    shrink: usize,
    /// Stop after so many differences
    #[arg(long, default_value_t = 10)]
    differences: usize,
    /// Only write the tree of the first seed
    #[arg(long)]
    tree: bool,
}

/// What a run has seen.
#[derive(Default)]
struct Report {
    accepted: u64,
    refused: u64,
    /// Trees of which the reference itself makes different things.
    unstable: Vec<u64>,
    /// Trees on which the reference panics.
    panicking: Vec<u64>,
    differing: Vec<u64>,
    /// Trees that had a feature, and how many of them were accepted.
    features: BTreeMap<&'static str, (u64, u64)>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.tree {
        layer::tree(arguments.seed).write(&arguments.keep).unwrap();
        return ExitCode::SUCCESS;
    }
    let Some(reference) = arguments.reference.clone() else {
        println!(
            "nothing to compare with: give the path of a kustomize 5.8.2 as --reference; in tests/kustomize-reference \
             one is built by\n  go build -o /somewhere/kustomize sigs.k8s.io/kustomize/kustomize/v5"
        );
        return ExitCode::FAILURE;
    };
    let judge = Judge { reference };
    // A panic of the engine is a finding and is reported as one.
    std::panic::set_hook(Box::new(|_| {}));
    let report = Mutex::new(Report::default());
    let next = AtomicU64::new(arguments.seed);
    let end = arguments.seed + arguments.count;
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || report.lock().unwrap().differing.len() >= arguments.differences {
                        return;
                    }
                    compare(&judge, seed, &arguments, &report);
                }
            });
        }
    });
    let report = report.into_inner().unwrap();
    print(&report);
    if report.differing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn compare(judge: &Judge, seed: u64, arguments: &Arguments, report: &Mutex<Report>) {
    let tree = layer::tree(seed);
    let verdict = judge.verdict(&tree);
    let is_unstable = matches!(verdict, Verdict::Differs(_)) && judge.is_unstable(&tree);
    {
        let mut report = report.lock().unwrap();
        for feature in &tree.features {
            let counts = report.features.entry(feature).or_default();
            counts.0 += 1;
            counts.1 += u64::from(verdict == Verdict::Accepted);
        }
        match &verdict {
            Verdict::Accepted => report.accepted += 1,
            Verdict::Refused => report.refused += 1,
            Verdict::ReferencePanics => report.panicking.push(seed),
            Verdict::Differs(_) if is_unstable => report.unstable.push(seed),
            Verdict::Differs(_) => report.differing.push(seed),
        }
    }
    if let Verdict::Differs(difference) = verdict
        && !is_unstable
    {
        let small = shrink::shrink(judge, &tree, difference, arguments.shrink);
        let said = explain(judge, &small, &arguments.keep.join(seed.to_string()));
        let _report = report.lock().unwrap();
        println!("seed {seed}: {difference:?}\n{said}");
    }
}

/// Writes a tree and what the engines make of it to a folder; both as text.
fn explain(judge: &Judge, tree: &Tree, folder: &Path) -> String {
    let _ = fs::remove_dir_all(folder);
    tree.write(&folder.join("in")).unwrap();
    let words = |outcome: judge::Outcome| outcome.unwrap_or_else(|why| format!("refused: {why}\n"));
    let expected = words(judge.reference(tree));
    let actual = std::panic::catch_unwind(|| words(judge::ours(tree))).unwrap_or_else(|_| "panicked\n".into());
    fs::write(folder.join("expected"), &expected).unwrap();
    fs::write(folder.join("actual"), &actual).unwrap();
    let mut said = format!("root {} in {}\n", tree.root, folder.display());
    for (path, bytes) in &tree.files {
        said += &format!("  {path}\n");
        said.extend(String::from_utf8_lossy(bytes).lines().map(|line| format!("    {line}\n")));
    }
    said + &similar::TextDiff::from_lines(&expected, &actual).unified_diff().header("reference", "ours").to_string()
}

fn print(report: &Report) {
    for (feature, (all, accepted)) in &report.features {
        println!("{all:>7} {accepted:>7}  {feature}");
    }
    let others = [&report.differing, &report.unstable, &report.panicking].map(Vec::len);
    let count = report.accepted + report.refused + others.iter().sum::<usize>() as u64;
    let share = report.accepted as f64 * 100.0 / count.max(1) as f64;
    println!("{count} trees: {} accepted ({share:.1} %), {} refused", report.accepted, report.refused);
    for (what, seeds) in [("is of two minds about", &report.unstable), ("panics on", &report.panicking)] {
        if !seeds.is_empty() {
            println!("the reference {what} {} trees, which are not compared: {seeds:?}", seeds.len());
        }
    }
    println!("{} differ {:?}", report.differing.len(), report.differing);
}
