//! [`Binaries`]: the programs of a control plane, built once from Go modules.
//!
//! `tests/cluster/go.mod` names them as tools and `tests/cluster/go.sum` pins every byte they are made of. Both are
//! embedded, so that the demo needs no checkout. What is built lies in a cache, under the hash of all that went in.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::error::Error;

const GO_MOD: &str = include_str!("../../tests/cluster/go.mod");
const GO_SUM: &str = include_str!("../../tests/cluster/go.sum");

/// Name of the program, Go package that it is built from.
const PROGRAMS: [(&str, &str); 6] = [
    ("etcd", "go.etcd.io/etcd/server/v3"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
];

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The store.
    pub etcd: PathBuf,
    /// The API server.
    pub kube_apiserver: PathBuf,
    /// Deployments, Jobs, garbage collection and all that.
    pub kube_controller_manager: PathBuf,
    /// Gives pods their nodes.
    pub kube_scheduler: PathBuf,
    /// The command line, for people and tests.
    pub kubectl: PathBuf,
    /// Plays nodes and pods.
    pub kwok: PathBuf,
}

/// How far a build is; a first one takes minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Another process builds the same; its result is waited for.
    Waiting,
    /// Source code comes from the module proxy: so many modules until now.
    Downloading {
        /// Modules whose download has begun.
        modules: usize,
    },
    /// Packages are compiled and linked.
    Compiling {
        /// Packages done.
        done: usize,
        /// Packages that were not in Go's own cache at the beginning.
        total: usize,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Progress::Waiting => f.write_str("waiting for another process that builds the control plane"),
            Progress::Downloading { modules } => write!(f, "downloading the control plane: {modules} modules"),
            Progress::Compiling { done, total } => write!(f, "building the control plane: {done} of {total} packages"),
        }
    }
}

impl Binaries {
    /// Finds the programs in `KUBEBUILDER_ASSETS` and the cache, and builds those that are in neither.
    ///
    /// The cache is `LEEBOARD_CACHE`, or `leeboard` in `XDG_CACHE_HOME` or `~/.cache`. Blocks while it builds.
    /// `report` is called at every step of a build and never when there is nothing to build.
    ///
    /// # Errors
    /// [`Error::NoGo`], [`Error::GoTooOld`] or [`Error::Build`] when something has to be built and cannot be.
    pub fn find_or_build(report: impl FnMut(Progress)) -> Result<Binaries, Error> {
        let assets = env::var_os("KUBEBUILDER_ASSETS").filter(|assets| !assets.is_empty()).map(PathBuf::from);
        Workshop { go: "go".into(), assets, cache: cache_directory()? }.find_or_build(report)
    }

    /// Those in one directory, all of which must be there.
    fn at(path_of: impl Fn(&str) -> PathBuf) -> Binaries {
        Binaries {
            etcd: path_of("etcd"),
            kube_apiserver: path_of("kube-apiserver"),
            kube_controller_manager: path_of("kube-controller-manager"),
            kube_scheduler: path_of("kube-scheduler"),
            kubectl: path_of("kubectl"),
            kwok: path_of("kwok"),
        }
    }
}

/// The directory for what can be made again.
pub(super) fn cache_directory() -> Result<PathBuf, Error> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("LEEBOARD_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("leeboard")))
        .or_else(|| Some(set("HOME")?.join(".cache/leeboard")))
        .ok_or(Error::NoCache)
}

/// What a build needs to know of its surroundings.
struct Workshop {
    go: PathBuf,
    assets: Option<PathBuf>,
    cache: PathBuf,
}

impl Workshop {
    fn find_or_build(&self, mut report: impl FnMut(Progress)) -> Result<Binaries, Error> {
        let directory = self.cache.join("control-plane").join(build_key());
        if !self.missing(&directory).is_empty() {
            self.build(&directory, &mut report)?;
        }
        Ok(Binaries::at(|name| self.asset(name).unwrap_or_else(|| directory.join(name))))
    }

    fn asset(&self, name: &str) -> Option<PathBuf> {
        self.assets.as_ref().map(|assets| assets.join(name)).filter(|path| path.is_file())
    }

    fn missing(&self, directory: &Path) -> Vec<(&'static str, &'static str)> {
        PROGRAMS.into_iter().filter(|(name, _)| self.asset(name).is_none() && !directory.join(name).is_file()).collect()
    }

    /// Builds what is missing. One process at a time: the others wait for its result.
    fn build(&self, directory: &Path, report: &mut impl FnMut(Progress)) -> Result<(), Error> {
        fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
        let path = directory.join("lock");
        let lock = File::create(&path).map_err(Error::io("write", &path))?;
        if lock.try_lock().is_err() {
            report(Progress::Waiting);
            lock.lock().map_err(Error::io("lock", &path))?;
        }
        let missing = self.missing(directory);
        if missing.is_empty() {
            return Ok(());
        }
        let module = directory.join("module");
        // A Go that a killed build has left behind may still write: not to the directory of this build.
        let fresh = directory.join(format!("fresh-{}", std::process::id()));
        remove_left_behind(directory)?;
        for directory in [&module, &fresh] {
            fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
        }
        for (name, text) in [("go.mod", GO_MOD), ("go.sum", GO_SUM)] {
            let path = module.join(name);
            fs::write(&path, text).map_err(Error::io("write", &path))?;
        }
        self.check_version(&module)?;

        let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
        let total = self.count_stale(&module, &packages, report)?;
        self.compile(&module, &packages, &fresh, total, report)?;

        for (name, package) in missing {
            // Go names a program after the last part of its package that is no version.
            let built = fresh.join(package.rsplit('/').find(|part| *part != "v3").unwrap_or(package));
            let path = directory.join(name);
            // From its place in the same file system: whoever sees the name sees the whole program.
            fs::rename(&built, &path).map_err(Error::io("move", &built))?;
        }
        for directory in [&module, &fresh] {
            fs::remove_dir_all(directory).map_err(Error::io("remove", directory))?;
        }
        Ok(())
    }

    /// Fails in plain words where Go would speak of toolchains.
    fn check_version(&self, module: &Path) -> Result<(), Error> {
        let needed = GO_MOD.lines().find_map(|line| line.strip_prefix("go ")).unwrap_or_default();
        // Inside the module: a Go that may fetch a newer one does so here, and one that may not refuses.
        let output = self.go(module, ["version"]).output().map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Error::NoGo { program: self.go.clone() },
            _ => Error::Io { action: "run", path: self.go.clone(), source },
        })?;
        let said = String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr });
        let found = said.trim().to_owned();
        let version = found.strip_prefix("go version go").and_then(|rest| rest.split(' ').next()).map(release);
        match version {
            Some(version) if version >= release(needed) => Ok(()),
            _ => Err(Error::GoTooOld { found, needed: needed.into() }),
        }
    }

    /// Downloads the modules, and counts the packages that Go has not compiled before.
    fn count_stale(&self, module: &Path, packages: &[&str], report: &mut impl FnMut(Progress)) -> Result<usize, Error> {
        let mut command = self.go(module, ["list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"]);
        command.args(compiler_flags()).args(packages).stdout(Stdio::piped());
        let mut modules = 0;
        let listed = follow(command, |line| {
            if line.starts_with("go: downloading ") {
                modules += 1;
                report(Progress::Downloading { modules });
            }
        })?;
        Ok(listed.lines().filter(|line| !line.is_empty()).count())
    }

    fn compile(
        &self,
        module: &Path,
        packages: &[&str],
        into: &Path,
        total: usize,
        report: &mut impl FnMut(Progress),
    ) -> Result<(), Error> {
        let mut command = self.go(module, ["build", "-v"]);
        command.args(compiler_flags()).arg("-o").arg(into).args(packages).stdout(Stdio::null());
        report(Progress::Compiling { done: 0, total });
        let mut done = 0;
        follow(command, |line| {
            if !line.starts_with("go: ") && done < total {
                done += 1;
                report(Progress::Compiling { done, total });
            }
        })?;
        report(Progress::Compiling { done: total, total });
        Ok(())
    }

    fn go<const N: usize>(&self, module: &Path, arguments: [&str; N]) -> Command {
        let mut command = Command::new(&self.go);
        command.args(arguments).current_dir(module).stdin(Stdio::null());
        // A workspace around the cache, or flags of the person's own projects, are not about this module.
        command.env("CGO_ENABLED", "0").env("GOWORK", "off").env("GOFLAGS", "");
        command
    }
}

/// Removes what builds that were killed have left in the cache.
fn remove_left_behind(directory: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(directory).map_err(Error::io("list", directory))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("fresh-") {
            fs::remove_dir_all(entry.path()).map_err(Error::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// Runs a command to its end and gives each line of its standard error; returns its standard output.
fn follow(mut command: Command, mut line_of: impl FnMut(&str)) -> Result<String, Error> {
    let program = PathBuf::from(command.get_program());
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(Error::io("run", &program))?;
    let output = child.stdout.take();
    // Both pipes are drained at once, so that neither fills up.
    let output = std::thread::spawn(move || output.map(std::io::read_to_string).transpose());
    let mut said = Vec::new();
    for line in child.stderr.take().map(BufReader::new).into_iter().flat_map(BufRead::lines) {
        let line = line.map_err(Error::io("read from", &program))?;
        line_of(&line);
        said.push(line);
    }
    let status = child.wait().map_err(Error::io("wait for", &program))?;
    if !status.success() {
        let failure = said.iter().filter(|line| !line.starts_with("go: downloading "));
        let failure: Vec<&str> = failure.map(String::as_str).collect();
        return Err(Error::Build { output: failure[failure.len().saturating_sub(20)..].join("\n") });
    }
    match output.join() {
        Ok(output) => Ok(output.map_err(Error::io("read from", &program))?.unwrap_or_default()),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Part of the build key: another flag is another build.
fn compiler_flags() -> Vec<String> {
    // Without these the API server calls itself v0.0.0-master.
    let version = kubernetes_version();
    let (major, minor) = {
        let mut parts = version.trim_start_matches('v').split('.');
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    };
    let package = "k8s.io/component-base/version";
    let stamps =
        format!("-X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}");
    ["-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags"]
        .into_iter()
        .map(String::from)
        .chain([format!("-s -w {stamps}")])
        .collect()
}

/// As go.mod pins it: `v1.36.3`.
fn kubernetes_version() -> &'static str {
    let requirement = GO_MOD.lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "));
    requirement.and_then(|rest| rest.split(' ').next()).unwrap_or_default()
}

/// Names the directory of a build: equal inputs, equal name.
fn build_key() -> String {
    let mut hash = Sha256::new();
    for part in [GO_MOD, GO_SUM, &compiler_flags().join(" "), env::consts::OS, env::consts::ARCH] {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The numbers of a Go version; `1.26rc1` counts as its release.
fn release(version: &str) -> (u32, u32, u32) {
    let mut numbers = version.split('.').map(|part| {
        let digits = part.find(|character: char| !character.is_ascii_digit()).unwrap_or(part.len());
        part[..digits].parse().unwrap_or(0)
    });
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A directory in which `go` is this script, and nothing is built yet.
    fn workshop(script: &str) -> (tempfile::TempDir, Workshop) {
        let folder = tempfile::tempdir().unwrap();
        let go = folder.path().join("go");
        fs::write(&go, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
        let cache = folder.path().join("cache");
        (folder, Workshop { go, assets: None, cache })
    }

    /// A Go whose version is right and whose builds make a program that prints its name.
    const GO: &str = r#"
        case $1 in
        version) echo "go version go1.26.8 linux/amd64";;
        list) echo "go: downloading k8s.io/kubernetes v1.36.3" >&2; echo a; echo; echo b;;
        build)
            while [ "$1" != -o ]; do shift; done
            into=$2; shift 2
            for package; do
                echo "$package" >&2
                echo "$package" >"$into/$(echo "$package" | sed 's,/v3$,,; s,.*/,,')"
            done;;
        esac"#;

    #[test]
    fn what_is_missing_is_built_once() {
        let (_folder, workshop) = workshop(GO);
        let left_behind = workshop.cache.join("control-plane").join(build_key()).join("fresh-0");
        fs::create_dir_all(&left_behind).unwrap();
        let mut seen = Vec::new();
        let binaries = workshop.find_or_build(|progress| seen.push(progress)).unwrap();
        assert_eq!(fs::read_to_string(&binaries.etcd).unwrap(), "go.etcd.io/etcd/server/v3\n");
        assert_eq!(fs::read_to_string(&binaries.kwok).unwrap(), "sigs.k8s.io/kwok/cmd/kwok\n");
        let compiling = |done| Progress::Compiling { done, total: 2 };
        let expected = [Progress::Downloading { modules: 1 }, compiling(0), compiling(1), compiling(2), compiling(2)];
        assert_eq!(seen, expected);
        assert!(!left_behind.exists());

        let mut again = Vec::new();
        workshop.find_or_build(|progress| again.push(progress)).unwrap();
        assert_eq!(again, []);
    }

    #[test]
    fn what_kubebuilder_assets_has_is_taken_and_the_rest_is_built() {
        let (folder, mut workshop) = workshop(GO);
        let assets = folder.path().join("assets");
        fs::create_dir(&assets).unwrap();
        fs::write(assets.join("etcd"), "").unwrap();
        workshop.assets = Some(assets.clone());
        let binaries = workshop.find_or_build(|_| {}).unwrap();
        assert_eq!(binaries.etcd, assets.join("etcd"));
        assert!(binaries.kwok.starts_with(&workshop.cache));
        assert!(!workshop.cache.join("control-plane").join(build_key()).join("etcd").exists());
    }

    #[test]
    fn a_go_that_cannot_build_is_named() {
        let cases = [
            // what `go` does                                           what a person reads
            ("echo go version go1.25.1 linux/amd64", "need Go 1.26.0, this is go version go1.25.1 linux/amd64"),
            (
                "echo 'go: go.mod requires go >= 1.26.0 (running go 1.25.1; GOTOOLCHAIN=local)' >&2; exit 1",
                "need Go 1.26.0, this is go: go.mod requires go >= 1.26.0 (running go 1.25.1; GOTOOLCHAIN=local)",
            ),
            (
                "[ $1 = version ] && echo go version go1.27rc1 x/y && exit; echo 'go: downloading x' >&2; echo 'no network' >&2; exit 1",
                "building the servers of the control plane failed: no network",
            ),
        ];
        for (script, expected) in cases {
            let (_folder, workshop) = workshop(script);
            let error = workshop.find_or_build(|_| {}).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{script}: {error}");
        }
    }

    #[test]
    fn a_missing_go_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let workshop = Workshop { go: "go-that-is-nowhere".into(), assets: None, cache: folder.path().into() };
        let error = workshop.find_or_build(|_| {}).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the servers of the control plane have to be built, and `go-that-is-nowhere` was not found"
        );
        assert!(error.hint().is_some());
    }

    #[test]
    fn go_versions_are_compared_by_number() {
        for (version, expected) in [("1.26.0", (1, 26, 0)), ("1.9", (1, 9, 0)), ("1.27rc1", (1, 27, 0))] {
            assert_eq!(release(version), expected, "{version}");
        }
    }

    #[test]
    fn the_module_names_every_program_as_a_tool() {
        for (_, package) in PROGRAMS {
            assert!(GO_MOD.lines().any(|line| line.trim() == package), "{package}");
        }
        assert!(kubernetes_version().starts_with("v1."), "{}", kubernetes_version());
    }
}
