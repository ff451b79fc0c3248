//! How fast a render is, beside kustomize's own program; prints a table.
//!
//! `cargo bench --bench render -- DIR …` builds each directory with both programs by turns: wall time, CPU time and peak
//! memory, process start included. The reference is `$KUSTOMIZE`, else `kustomize` on the PATH
//! (`cd tests/kustomize-reference && go build -o … sigs.k8s.io/kustomize/kustomize/v5`). Without directories a tree of a
//! hundred applications is written and built. `-- monorepo` renders a thousand applications of one repository as the daemon
//! does: cold, and after a commit that touches one.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench panics where it can't go on, and prints its result"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use leeboard::git::{LocalRepositories, Mirrors, RepoUrl};
use leeboard::in_order;
use leeboard::kustomize::{Bases, Options, build_recorded};
use leeboard::source::snapshot::SnapshotFiles;
use leeboard::source::{ReadSet, Recording, TreePath};

#[path = "../tests/harness/monorepo.rs"]
#[allow(unreachable_pub, dead_code, reason = "tests use it, too")]
mod monorepo;
#[path = "../tests/harness/repo.rs"]
#[allow(unreachable_pub, dead_code, reason = "tests use it, too")]
mod repo;

use repo::Repo;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if wanted.iter().any(|word| word == "monorepo") {
        return thousand_applications();
    }
    println!("{:<24} {:>26} {:>26} {:>8} {:>8} {:>8}", "", "leeboard", "kustomize", "wall", "CPU", "memory");
    if wanted.is_empty() {
        let directory = tempfile::tempdir().unwrap();
        write_tree(directory.path(), 100);
        return pair("100 applications", directory.path());
    }
    for directory in &wanted {
        pair(directory, Path::new(directory));
    }
}

/// What one run of a program took.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    wall: Duration,
    cpu: Duration,
    /// In MiB.
    peak: f64,
}

/// Runs both programs by turns, the slow one less often, and prints medians with their ratios.
fn pair(name: &str, directory: &Path) {
    let reference = std::env::var("KUSTOMIZE").unwrap_or_else(|_| "kustomize".into());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    while theirs.len() < 7 && (theirs.is_empty() || begun.elapsed() < Duration::from_secs(60)) {
        for _ in 0..3 {
            ours.push(run(env!("CARGO_BIN_EXE_leeboard"), directory));
        }
        theirs.push(run(&reference, directory));
    }
    let (ours, theirs) = (median(&ours), median(&theirs));
    let shown = |cost: Cost| {
        let (wall, cpu) = (cost.wall.as_secs_f64() * 1e3, cost.cpu.as_secs_f64() * 1e3);
        format!("{wall:.1} ms {cpu:.0} ms {:.0} MiB", cost.peak)
    };
    let ratio = |ours: f64, theirs: f64| format!("{:.1}×", theirs / ours);
    let label: String = name.chars().rev().take(24).collect::<Vec<char>>().into_iter().rev().collect();
    println!(
        "{label:<24} {:>26} {:>26} {:>8} {:>8} {:>8}",
        shown(ours),
        shown(theirs),
        ratio(ours.wall.as_secs_f64(), theirs.wall.as_secs_f64()),
        ratio(ours.cpu.as_secs_f64(), theirs.cpu.as_secs_f64()),
        ratio(ours.peak, theirs.peak),
    );
}

fn run(program: &str, directory: &Path) -> Cost {
    let begun = Instant::now();
    let mut child = Command::new(program)
        .args(["build", &directory.display().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program is there: see the head of this file");
    let mut cost = Cost::default();
    // The kernel keeps the counts of a process that has ended until it is waited for, but not its memory.
    loop {
        let read = |file: &str| fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap_or_default();
        let status = read("status");
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        cost.peak = cost.peak.max(peak.unwrap_or_default() / 1024.0);
        if status.lines().any(|line| line.starts_with("State:") && line.contains('Z')) {
            cost.wall = begun.elapsed();
            cost.cpu = cpu(&read("schedstat"), &read("stat"));
            break;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    assert!(child.wait().unwrap().success(), "{program} fails on {}", directory.display());
    cost
}

/// User and system time of all threads, in ticks of 10 ms; that of the only thread exactly, where there is one.
fn cpu(exact: &str, stat: &str) -> Duration {
    let fields: Vec<u64> =
        stat.rsplit(')').next().unwrap_or_default().split(' ').filter_map(|field| field.parse().ok()).collect();
    // Behind the name and the state: ppid, pgrp, session, tty, tpgid, flags, 4 of faults, utime, stime.
    let ticks = fields.get(10).zip(fields.get(11)).map_or(0, |(user, system)| user + system);
    let exact = exact.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default();
    Duration::from_millis(ticks * 10).max(Duration::from_nanos(exact))
}

fn median(costs: &[Cost]) -> Cost {
    let of = |value: fn(&Cost) -> f64| {
        let mut all: Vec<f64> = costs.iter().map(value).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    Cost {
        wall: Duration::from_secs_f64(of(|cost| cost.wall.as_secs_f64())),
        cpu: Duration::from_secs_f64(of(|cost| cost.cpu.as_secs_f64())),
        peak: of(|cost| cost.peak),
    }
}

fn write_tree(directory: &Path, apps: usize) {
    for (path, text) in monorepo::files(apps) {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().expect("a file is in a directory")).unwrap();
        fs::write(path, text).unwrap();
    }
    let overlays: Vec<String> = (0..apps).map(monorepo::overlay).collect();
    fs::write(directory.join("kustomization.yaml"), format!("resources: [{}]\n", overlays.join(", "))).unwrap();
}

fn thousand_applications() {
    const APPS: usize = 1_000;
    let (repo, data) = (Repo::new(), tempfile::tempdir().unwrap());
    let files = monorepo::files(APPS);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    repo.commit("main", &files);
    let mirror =
        Mirrors::new(data.path().to_owned(), LocalRepositories::Allowed).mirror(&RepoUrl::parse(&repo.url()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let snapshot = || {
        let refreshed = runtime.block_on(mirror.refresh(&["main".to_owned()])).unwrap();
        SnapshotFiles::new(mirror.snapshot(&refreshed.commit("main").unwrap().clone().unwrap()).unwrap())
    };
    let bases = Bases::default();
    let render = |tree: &SnapshotFiles, app: usize| -> (usize, ReadSet) {
        let recording = Recording::new(tree);
        let root = TreePath::new(&monorepo::overlay(app)).unwrap();
        let rendered = build_recorded(&recording, &root, &Options::default(), &bases).unwrap();
        (rendered.objects.len(), recording.into_read_set())
    };
    let apps: Vec<usize> = (0..APPS).collect();
    let tree = snapshot();
    let begun = Instant::now();
    let mut renders = in_order::map(in_order::workers(), &apps, |app| render(&tree, *app));
    let cold = begun.elapsed();
    let objects: usize = renders.iter().map(|(objects, _)| objects).sum();
    println!("cold, {APPS} applications with {objects} objects: {:.0} ms", cold.as_secs_f64() * 1e3);

    let mut times = Vec::new();
    for commit in 0..21 {
        let app = commit * 37 % APPS;
        let path = format!("{}/web.yaml", monorepo::base(app));
        let text = fs::read_to_string(repo.clone_path().join(&path)).unwrap();
        repo.commit("main", &[(&path, &format!("{text}# {commit}\n"))]);
        let tree = snapshot();
        let begun = Instant::now();
        let touched: Vec<usize> = apps.iter().copied().filter(|app| !renders[*app].1.is_valid_for(&tree)).collect();
        for app in &touched {
            renders[*app] = render(&tree, *app);
        }
        times.push(begun.elapsed());
        assert_eq!(touched, [app]);
    }
    times.sort();
    let (half, most) = (times[times.len() / 2], times[times.len() - 1]);
    println!(
        "after a commit that touches one, all read sets compared: p50 {:.1} ms, max {:.1} ms",
        half.as_secs_f64() * 1e3,
        most.as_secs_f64() * 1e3
    );
}
