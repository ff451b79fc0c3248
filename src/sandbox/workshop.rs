//! [`Workshop`]: builds programs from Go modules, and copies files out of them, once.
//!
//! A [`Module`] pins every byte that its programs are made of, and is embedded, so that the demo needs no checkout. What is
//! built lies in a cache, under the hash of all that went in.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::error::Error;

/// Name in the cache, Go module, path in it.
pub(super) type Extract = (&'static str, &'static str, &'static str);

/// Programs that are built together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Module {
    /// Its directory in the cache.
    pub(super) directory: &'static str,
    /// As people call what it makes.
    pub(super) what: &'static str,
    /// `go.mod` first: it says which Go is needed.
    pub(super) files: &'static [(&'static str, &'static str)],
    /// Name of the program, Go package that it is built from.
    pub(super) programs: &'static [(&'static str, &'static str)],
    /// What is taken as it is: name in the cache, Go module, path in it, of a file or a directory.
    pub(super) copies: &'static [Extract],
    /// Build tags, separated by commas.
    pub(super) tags: &'static str,
    /// Flags of the C compiler, where a part is written in C.
    pub(super) c_flags: Option<&'static str>,
    /// What the linker is told to write into packages.
    pub(super) stamps: fn() -> String,
}

impl Module {
    /// The text of its `go.mod`.
    pub(super) fn definition(&self) -> &'static str {
        self.files.first().map_or("", |(_, text)| text)
    }

    /// Part of the build key: another flag is another build.
    fn compiler_flags(&self) -> Vec<String> {
        let mut flags = ["-mod=readonly", "-buildvcs=false", "-trimpath"].map(String::from).to_vec();
        if !self.tags.is_empty() {
            flags.extend(["-tags".into(), self.tags.into()]);
        }
        flags.extend(["-ldflags".into(), format!("-s -w {}", (self.stamps)()).trim_end().into()]);
        flags
    }

    /// Names the directory of a build: equal inputs, equal name.
    pub(super) fn build_key(&self) -> String {
        let mut hash = Sha256::new();
        let flags = self.compiler_flags().join(" ");
        let files = self.files.iter().map(|(_, text)| *text);
        let copies = self.copies.iter().map(|(_, _, path)| *path);
        let last = [flags.as_str(), env::consts::OS, env::consts::ARCH].into_iter().chain(self.c_flags);
        for part in files.chain(copies).chain(last) {
            hash.update(part);
            hash.update([0]);
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// How far a build is; a first one takes minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Another process builds the same; its result is waited for.
    Waiting {
        /// What is built, as people call it.
        what: &'static str,
    },
    /// Source code comes from the module proxy: so many modules until now.
    Downloading {
        /// What is built, as people call it.
        what: &'static str,
        /// Modules whose download has begun.
        modules: usize,
    },
    /// Packages are compiled and linked.
    Compiling {
        /// What is built, as people call it.
        what: &'static str,
        /// Packages done.
        done: usize,
        /// Packages that were not in Go's own cache at the beginning.
        total: usize,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Progress::Waiting { what } => write!(f, "waiting for another process that builds {what}"),
            Progress::Downloading { what, modules } => write!(f, "downloading {what}: {modules} modules"),
            Progress::Compiling { what, done, total } => write!(f, "building {what}: {done} of {total} packages"),
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
pub(super) struct Workshop {
    pub(super) go: PathBuf,
    /// Where programs may be that need not be built.
    pub(super) assets: Option<PathBuf>,
    pub(super) cache: PathBuf,
    pub(super) module: Module,
}

impl Workshop {
    /// The one in which this user's programs are built.
    pub(super) fn of(module: Module) -> Result<Workshop, Error> {
        Ok(Workshop { go: "go".into(), assets: None, cache: cache_directory()?, module })
    }

    /// Where each program is; those that are missing are built first.
    pub(super) fn find_or_build(&self, mut report: impl FnMut(Progress)) -> Result<impl Fn(&str) -> PathBuf, Error> {
        let directory = self.cache.join(self.module.directory).join(self.module.build_key());
        if !self.missing(&directory).is_empty() || !self.missing_copies(&directory).is_empty() {
            self.build(&directory, &mut report)?;
        }
        Ok(move |name: &str| self.asset(name).unwrap_or_else(|| directory.join(name)))
    }

    fn asset(&self, name: &str) -> Option<PathBuf> {
        self.assets.as_ref().map(|assets| assets.join(name)).filter(|path| path.is_file())
    }

    fn missing(&self, directory: &Path) -> Vec<(&'static str, &'static str)> {
        let is_missing = |name: &str| self.asset(name).is_none() && !directory.join(name).is_file();
        self.module.programs.iter().copied().filter(|(name, _)| is_missing(name)).collect()
    }

    fn missing_copies(&self, directory: &Path) -> Vec<Extract> {
        self.module.copies.iter().copied().filter(|(name, ..)| !directory.join(name).exists()).collect()
    }

    /// Builds what is missing. One process at a time: the others wait for its result.
    fn build(&self, directory: &Path, report: &mut impl FnMut(Progress)) -> Result<(), Error> {
        fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
        let path = directory.join("lock");
        let lock = File::create(&path).map_err(Error::io("write", &path))?;
        if lock.try_lock().is_err() {
            report(Progress::Waiting { what: self.module.what });
            lock.lock().map_err(Error::io("lock", &path))?;
        }
        let (missing, copies) = (self.missing(directory), self.missing_copies(directory));
        if missing.is_empty() && copies.is_empty() {
            return Ok(());
        }
        let module = directory.join("module");
        // A Go that a killed build has left behind may still write: not to the directory of this build.
        let fresh = directory.join(format!("fresh-{}", std::process::id()));
        remove_left_behind(directory)?;
        for directory in [&module, &fresh] {
            fs::create_dir_all(directory).map_err(Error::io("create", directory))?;
        }
        for (name, text) in self.module.files {
            let path = module.join(name);
            fs::write(&path, text).map_err(Error::io("write", &path))?;
        }
        self.check_version(&module)?;

        let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
        if !packages.is_empty() {
            let total = self.count_stale(&module, &packages, report)?;
            self.compile(&module, &packages, &fresh, total, report)?;
        }
        if !copies.is_empty() {
            self.copy(&module, &copies, &fresh, report)?;
        }

        for (name, package) in missing {
            // Go names a program after the last part of its package that is no version.
            let built = fresh.join(package.rsplit('/').find(|part| *part != "v3").unwrap_or(package));
            let path = directory.join(name);
            // From its place in the same file system: whoever sees the name sees the whole program.
            fs::rename(&built, &path).map_err(Error::io("move", &built))?;
        }
        for (name, ..) in copies {
            fs::rename(fresh.join(name), directory.join(name)).map_err(Error::io("move", &fresh.join(name)))?;
        }
        for directory in [&module, &fresh] {
            fs::remove_dir_all(directory).map_err(Error::io("remove", directory))?;
        }
        Ok(())
    }

    /// Fails in plain words where Go would speak of toolchains.
    fn check_version(&self, module: &Path) -> Result<(), Error> {
        let what = self.module.what;
        let needed = self.module.definition().lines().find_map(|line| line.strip_prefix("go ")).unwrap_or_default();
        // Inside the module: a Go that may fetch a newer one does so here, and one that may not refuses.
        let output = self.go(module, ["version"]).output().map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Error::NoGo { what, program: self.go.clone() },
            _ => Error::Io { action: "run", path: self.go.clone(), source },
        })?;
        let said = String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr });
        let found = said.trim().to_owned();
        let version = found.strip_prefix("go version go").and_then(|rest| rest.split(' ').next()).map(release);
        match version {
            Some(version) if version >= release(needed) => Ok(()),
            _ => Err(Error::GoTooOld { what, found, needed: needed.into() }),
        }
    }

    /// Downloads the modules, and counts the packages that Go has not compiled before.
    fn count_stale(&self, module: &Path, packages: &[&str], report: &mut impl FnMut(Progress)) -> Result<usize, Error> {
        let mut command = self.go(module, ["list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"]);
        command.args(self.module.compiler_flags()).args(packages).stdout(Stdio::piped());
        let mut modules = 0;
        let listed = follow(self.module.what, command, |line| {
            if line.starts_with("go: downloading ") {
                modules += 1;
                report(Progress::Downloading { what: self.module.what, modules });
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
        command.args(self.module.compiler_flags()).arg("-o").arg(into).args(packages).stdout(Stdio::null());
        let what = self.module.what;
        report(Progress::Compiling { what, done: 0, total });
        let mut done = 0;
        follow(what, command, |line| {
            if !line.starts_with("go: ") && done < total {
                done += 1;
                report(Progress::Compiling { what, done, total });
            }
        })?;
        report(Progress::Compiling { what, done: total, total });
        Ok(())
    }

    /// Downloads the modules of these files and copies them.
    fn copy(
        &self,
        module: &Path,
        copies: &[Extract],
        into: &Path,
        report: &mut impl FnMut(Progress),
    ) -> Result<(), Error> {
        let what = self.module.what;
        let modules: BTreeSet<&str> = copies.iter().map(|(_, module, _)| *module).collect();
        report(Progress::Downloading { what, modules: modules.len() });
        let mut download = self.go(module, ["mod", "download"]);
        download.args(&modules).stdout(Stdio::null());
        follow(what, download, |_| {})?;
        let mut list = self.go(module, ["list", "-m", "-f", "{{.Path}} {{.Dir}}"]);
        list.args(&modules).stdout(Stdio::piped());
        let listed = follow(what, list, |_| {})?;
        let folders: BTreeMap<&str, &str> = listed.lines().filter_map(|line| line.split_once(' ')).collect();
        for (name, module, path) in copies {
            let Some(folder) = folders.get(module) else {
                return Err(Error::Build { what, output: format!("Go does not say where {module} is") });
            };
            copy_bytes(&Path::new(folder).join(path), &into.join(name))?;
        }
        Ok(())
    }

    fn go<const N: usize>(&self, module: &Path, arguments: [&str; N]) -> Command {
        let mut command = Command::new(&self.go);
        command.args(arguments).current_dir(module).stdin(Stdio::null());
        // A workspace around the cache, or flags of the person's own projects, are not about this module.
        command.env("GOWORK", "off").env("GOFLAGS", "");
        match self.module.c_flags {
            Some(flags) => command.env("CGO_ENABLED", "1").env("CGO_CFLAGS", flags),
            None => command.env("CGO_ENABLED", "0"),
        };
        command
    }
}

/// Copies a file, or a directory with all that is in it, by its bytes: what Go has is read-only, and a cache is not.
fn copy_bytes(from: &Path, to: &Path) -> Result<(), Error> {
    if !from.is_dir() {
        let bytes = fs::read(from).map_err(Error::io("read", from))?;
        return fs::write(to, bytes).map_err(Error::io("write", to));
    }
    fs::create_dir_all(to).map_err(Error::io("create", to))?;
    for entry in fs::read_dir(from).map_err(Error::io("list", from))? {
        let entry = entry.map_err(Error::io("list", from))?;
        copy_bytes(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
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
fn follow(what: &'static str, mut command: Command, mut line_of: impl FnMut(&str)) -> Result<String, Error> {
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
        return Err(Error::Build { what, output: failure[failure.len().saturating_sub(20)..].join("\n") });
    }
    match output.join() {
        Ok(output) => Ok(output.map_err(Error::io("read from", &program))?.unwrap_or_default()),
        Err(panic) => std::panic::resume_unwind(panic),
    }
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
    use super::*;

    #[test]
    fn go_versions_are_compared_by_number() {
        for (version, expected) in [("1.26.0", (1, 26, 0)), ("1.9", (1, 9, 0)), ("1.27rc1", (1, 27, 0))] {
            assert_eq!(release(version), expected, "{version}");
        }
    }
}
