//! [`Binaries`]: the programs of a control plane; and [`Program`]s that are run beside one.
//!
//! `tests/cluster/go.mod` names the former as tools; each of the others has a module of its own, which is built when it is
//! first used.

use std::env;
use std::path::PathBuf;

use super::error::Error;
use super::workshop::{Module, Progress, Workshop};

/// The servers of a control plane.
const CONTROL_PLANE: Module = Module {
    directory: "control-plane",
    what: "the control plane",
    files: &[
        ("go.mod", include_str!("../../tests/cluster/go.mod")),
        ("go.sum", include_str!("../../tests/cluster/go.sum")),
    ],
    programs: &[
        ("etcd", "go.etcd.io/etcd/server/v3"),
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
        ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
        ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        ("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    ],
    copies: &[],
    tags: "",
    c_flags: None,
    stamps: kubernetes_stamps,
};

const SKIPPER: Module = Module {
    directory: "skipper",
    what: "Skipper",
    files: &[
        ("go.mod", include_str!("../../tests/skipper/go.mod")),
        ("go.sum", include_str!("../../tests/skipper/go.sum")),
        ("main.go", include_str!("../../tests/skipper/main.go")),
    ],
    programs: &[("skipper", "leeboard.dev/tests/skipper")],
    copies: &[],
    tags: "",
    c_flags: None,
    stamps: String::new,
};

const TRAEFIK: Module = Module {
    directory: "traefik",
    what: "Traefik",
    files: &[
        ("go.mod", include_str!("../../tests/traefik/go.mod")),
        ("go.sum", include_str!("../../tests/traefik/go.sum")),
    ],
    programs: &[("traefik", "github.com/traefik/traefik/v3/cmd/traefik")],
    copies: &[],
    tags: "",
    c_flags: None,
    stamps: String::new,
};

const PROMETHEUS: Module = Module {
    directory: "prometheus",
    what: "Prometheus",
    files: &[
        ("go.mod", include_str!("../../tests/prometheus/go.mod")),
        ("go.sum", include_str!("../../tests/prometheus/go.sum")),
    ],
    programs: &[("prometheus", "github.com/prometheus/prometheus/cmd/prometheus")],
    copies: &[],
    // All service discovery but files: nine tenths of what it is made of.
    tags: "remove_all_sd",
    c_flags: None,
    stamps: String::new,
};

/// Newer ones name modules that the module proxy does not have.
const GITEA_VERSION: &str = "1.26.0";

const GITEA: Module = Module {
    directory: "gitea",
    what: "Gitea",
    files: &[
        ("go.mod", include_str!("../../tests/gitea/go.mod")),
        ("go.sum", include_str!("../../tests/gitea/go.sum")),
    ],
    programs: &[("gitea", "code.gitea.io/gitea")],
    // What it reads at its start. Its pages have no style: that is built by other tools, and is in no module.
    copies: &[
        ("templates", "code.gitea.io/gitea", "templates"),
        ("options", "code.gitea.io/gitea", "options"),
        ("public", "code.gitea.io/gitea", "public"),
    ],
    tags: "sqlite,sqlite_unlock_notify",
    c_flags: Some("-O1 -DSQLITE_MAX_VARIABLE_NUMBER=32766"),
    stamps: gitea_stamps,
};

fn gitea_stamps() -> String {
    format!("-X main.Version={GITEA_VERSION}")
}

const REGISTRY: Module = Module {
    directory: "registry",
    what: "the registry",
    files: &[
        ("go.mod", include_str!("../../tests/registry/go.mod")),
        ("go.sum", include_str!("../../tests/registry/go.sum")),
    ],
    programs: &[("registry", "github.com/distribution/distribution/v3/cmd/registry")],
    copies: &[],
    tags: "",
    c_flags: None,
    stamps: String::new,
};

/// A program that is run beside a control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// A router that reads Ingresses.
    Skipper,
    /// A router that reads the Gateway API.
    Traefik,
    /// What measures the routers.
    Prometheus,
    /// A forge.
    Gitea,
    /// Where images are.
    Registry,
}

impl Program {
    /// Finds it in the cache, or builds it. Blocks while it builds.
    ///
    /// # Errors
    /// As [`Binaries::find_or_build`].
    pub fn find_or_build(self, report: impl FnMut(Progress)) -> Result<PathBuf, Error> {
        let module = self.module();
        let workshop = Workshop::of(module)?;
        let path_of = workshop.find_or_build(report)?;
        Ok(path_of(module.directory))
    }

    fn module(self) -> Module {
        match self {
            Program::Skipper => SKIPPER,
            Program::Traefik => TRAEFIK,
            Program::Prometheus => PROMETHEUS,
            Program::Gitea => GITEA,
            Program::Registry => REGISTRY,
        }
    }
}

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
        Binaries::of(&Workshop { assets, ..Workshop::of(CONTROL_PLANE)? }, report)
    }

    fn of(workshop: &Workshop, report: impl FnMut(Progress)) -> Result<Binaries, Error> {
        let path_of = workshop.find_or_build(report)?;
        Ok(Binaries {
            etcd: path_of("etcd"),
            kube_apiserver: path_of("kube-apiserver"),
            kube_controller_manager: path_of("kube-controller-manager"),
            kube_scheduler: path_of("kube-scheduler"),
            kubectl: path_of("kubectl"),
            kwok: path_of("kwok"),
        })
    }
}

/// Without these the API server calls itself v0.0.0-master.
fn kubernetes_stamps() -> String {
    let version = kubernetes_version();
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let package = "k8s.io/component-base/version";
    format!("-X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}")
}

/// As go.mod pins it: `v1.36.3`.
fn kubernetes_version() -> &'static str {
    let requirement =
        CONTROL_PLANE.definition().lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "));
    requirement.and_then(|rest| rest.split(' ').next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A directory in which `go` is this script, and nothing is built yet.
    fn workshop(script: &str) -> (tempfile::TempDir, Workshop) {
        let folder = tempfile::tempdir().unwrap();
        let go = folder.path().join("go");
        fs::write(&go, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
        let cache = folder.path().join("cache");
        (folder, Workshop { go, assets: None, cache, module: CONTROL_PLANE })
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
        let left_behind = workshop.cache.join("control-plane").join(CONTROL_PLANE.build_key()).join("fresh-0");
        fs::create_dir_all(&left_behind).unwrap();
        let mut seen = Vec::new();
        let binaries = Binaries::of(&workshop, |progress| seen.push(progress)).unwrap();
        assert_eq!(fs::read_to_string(&binaries.etcd).unwrap(), "go.etcd.io/etcd/server/v3\n");
        assert_eq!(fs::read_to_string(&binaries.kwok).unwrap(), "sigs.k8s.io/kwok/cmd/kwok\n");
        let what = CONTROL_PLANE.what;
        let compiling = |done| Progress::Compiling { what, done, total: 2 };
        let expected =
            [Progress::Downloading { what, modules: 1 }, compiling(0), compiling(1), compiling(2), compiling(2)];
        assert_eq!(seen, expected);
        assert!(!left_behind.exists());

        let mut again = Vec::new();
        Binaries::of(&workshop, |progress| again.push(progress)).unwrap();
        assert_eq!(again, []);
    }

    #[test]
    fn what_kubebuilder_assets_has_is_taken_and_the_rest_is_built() {
        let (folder, mut workshop) = workshop(GO);
        let assets = folder.path().join("assets");
        fs::create_dir(&assets).unwrap();
        fs::write(assets.join("etcd"), "").unwrap();
        workshop.assets = Some(assets.clone());
        let binaries = Binaries::of(&workshop, |_| {}).unwrap();
        assert_eq!(binaries.etcd, assets.join("etcd"));
        assert!(binaries.kwok.starts_with(&workshop.cache));
        assert!(!workshop.cache.join("control-plane").join(CONTROL_PLANE.build_key()).join("etcd").exists());
    }

    #[test]
    fn a_go_that_cannot_build_is_named() {
        let cases = [
            // what `go` does                                           what a person reads
            (
                "echo go version go1.25.1 linux/amd64",
                "building the control plane takes Go 1.26.0, this is go version go1.25.1 linux/amd64",
            ),
            (
                "echo 'go: go.mod requires go >= 1.26.0 (running go 1.25.1; GOTOOLCHAIN=local)' >&2; exit 1",
                "building the control plane takes Go 1.26.0, this is go: go.mod requires go >= 1.26.0 (running go 1.25.1; GOTOOLCHAIN=local)",
            ),
            (
                "[ $1 = version ] && echo go version go1.27rc1 x/y && exit; echo 'go: downloading x' >&2; echo 'no network' >&2; exit 1",
                "building the control plane failed: no network",
            ),
        ];
        for (script, expected) in cases {
            let (_folder, workshop) = workshop(script);
            let error = Binaries::of(&workshop, |_| {}).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{script}: {error}");
        }
    }

    #[test]
    fn a_missing_go_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let workshop = Workshop {
            go: "go-that-is-nowhere".into(),
            assets: None,
            cache: folder.path().into(),
            module: CONTROL_PLANE,
        };
        let error = Binaries::of(&workshop, |_| {}).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no Go to build the control plane with: `go-that-is-nowhere` was not found"
        );
        assert!(error.hint().is_some());
    }

    #[test]
    fn a_module_without_code_names_every_program_as_a_tool() {
        for module in [CONTROL_PLANE, TRAEFIK, PROMETHEUS, GITEA, REGISTRY] {
            for (_, package) in module.programs {
                let names_it = |line: &str| line.trim().trim_start_matches("tool ") == *package;
                assert!(module.definition().lines().any(names_it), "{package}");
            }
        }
        assert!(kubernetes_version().starts_with("v1."), "{}", kubernetes_version());
        assert!(GITEA.definition().contains(&format!("code.gitea.io/gitea v{GITEA_VERSION}\n")));
    }
}
