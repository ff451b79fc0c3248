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
use std::process::{Child, Command, Stdio};
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

/// What a run of a program takes.
#[derive(Clone, Copy, Debug)]
struct Cost {
    /// The median.
    wall: f64,
    /// The mean, of all its threads.
    cpu: f64,
    /// The largest resident memory in MiB, of one run.
    peak: f64,
}

/// Runs both programs by turns, the slow one less often, and prints what they cost with the ratios.
fn pair(name: &str, directory: &Path) {
    let reference = std::env::var("KUSTOMIZE").unwrap_or_else(|_| "kustomize".into());
    let ours = Program { path: env!("CARGO_BIN_EXE_leeboard").into(), directory };
    let theirs = Program { path: reference, directory };
    let (mut our_runs, mut their_runs) = (Runs::default(), Runs::default());
    let begun = Instant::now();
    while their_runs.walls.len() < 9 && (their_runs.walls.is_empty() || begun.elapsed() < Duration::from_secs(60)) {
        (0..3).for_each(|_| our_runs.add(&ours));
        their_runs.add(&theirs);
    }
    let (ours, theirs) = (our_runs.cost(ours.peak()), their_runs.cost(theirs.peak()));
    let shown = |cost: Cost| format!("{:.1} ms {:.0} ms {:.0} MiB", cost.wall * 1e3, cost.cpu * 1e3, cost.peak);
    let ratio = |value: fn(&Cost) -> f64| format!("{:.1}×", value(&theirs) / value(&ours));
    let label: String = name.chars().rev().take(24).collect::<Vec<char>>().into_iter().rev().collect();
    println!(
        "{label:<24} {:>26} {:>26} {:>8} {:>8} {:>8}",
        shown(ours),
        shown(theirs),
        ratio(|cost| cost.wall),
        ratio(|cost| cost.cpu),
        ratio(|cost| cost.peak),
    );
}

struct Program<'a> {
    path: String,
    directory: &'a Path,
}

impl Program<'_> {
    fn spawn(&self) -> Child {
        let mut command = Command::new(&self.path);
        command.arg("build").arg(self.directory).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the program is there: see the head of this file")
    }

    fn end(&self, mut child: Child) {
        assert!(child.wait().unwrap().success(), "{} fails on {}", self.path, self.directory.display());
    }

    /// Looked up again and again in a run of its own, which that slows down.
    fn peak(&self) -> f64 {
        let child = self.spawn();
        let mut peak = 0.0_f64;
        loop {
            let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let of = |line: &str| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok();
            match status.lines().find_map(of) {
                Some(kilobytes) => peak = peak.max(kilobytes / 1024.0),
                // The memory of a process that has ended is no longer told.
                None => break,
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        self.end(child);
        peak
    }
}

#[derive(Default)]
struct Runs {
    walls: Vec<f64>,
    ticks: u64,
}

impl Runs {
    fn add(&mut self, program: &Program<'_>) {
        let ticks = ticks_of_children();
        let begun = Instant::now();
        program.end(program.spawn());
        self.walls.push(begun.elapsed().as_secs_f64());
        self.ticks += ticks_of_children() - ticks;
    }

    fn cost(mut self, peak: f64) -> Cost {
        self.walls.sort_by(f64::total_cmp);
        let runs = f64::from(u32::try_from(self.walls.len()).unwrap());
        let ticks = f64::from(u32::try_from(self.ticks).unwrap());
        Cost { wall: self.walls[self.walls.len() / 2], cpu: ticks * 0.01 / runs, peak }
    }
}

/// User and system time of all processes that were waited for, in hundredths of a second.
fn ticks_of_children() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // Behind the name: state, ppid, pgrp, session, tty, tpgid, flags, 4 of faults, utime, stime, cutime, cstime.
    fields.skip(13).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
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
