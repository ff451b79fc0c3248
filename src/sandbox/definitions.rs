//! [`Definitions`]: the kinds of routers, as the projects themselves define them.
//!
//! A stub that keeps all fields takes what the real definition refuses. So tests take the real ones, out of the Go modules
//! of the projects: `tests/crds/go.mod` pins them, nothing of them is built, and only the definitions stay in the cache.

use std::path::PathBuf;

use super::error::Error;
use super::workshop::{Module, Progress, Workshop};

const DEFINITIONS: Module = Module {
    directory: "definitions",
    what: "the definitions of routers",
    files: &[("go.mod", include_str!("../../tests/crds/go.mod")), ("go.sum", include_str!("../../tests/crds/go.sum"))],
    programs: &[],
    copies: &[
        ("contour.yaml", "github.com/projectcontour/contour", "examples/contour/01-crds.yaml"),
        ("istio.yaml", "istio.io/api", "kubernetes/customresourcedefinitions.gen.yaml"),
        (
            "traefikservices.yaml",
            "github.com/traefik/traefik/v3",
            "docs/content/reference/dynamic-configuration/traefik.io_traefikservices.yaml",
        ),
        (
            "backendtlspolicies.yaml",
            GATEWAY_API,
            "config/crd/standard/gateway.networking.k8s.io_backendtlspolicies.yaml",
        ),
        ("gatewayclasses.yaml", GATEWAY_API, "config/crd/standard/gateway.networking.k8s.io_gatewayclasses.yaml"),
        ("gateways.yaml", GATEWAY_API, "config/crd/standard/gateway.networking.k8s.io_gateways.yaml"),
        ("grpcroutes.yaml", GATEWAY_API, "config/crd/standard/gateway.networking.k8s.io_grpcroutes.yaml"),
        ("httproutes.yaml", GATEWAY_API, "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"),
        ("referencegrants.yaml", GATEWAY_API, "config/crd/standard/gateway.networking.k8s.io_referencegrants.yaml"),
    ],
    tags: "",
    c_flags: None,
    stamps: String::new,
};

const GATEWAY_API: &str = "sigs.k8s.io/gateway-api";

/// See the module.
#[derive(Clone, Debug)]
pub struct Definitions {
    /// YAML files, each with one CustomResourceDefinition or more: of Contour, Gateway API, Istio and Traefik.
    pub files: Vec<PathBuf>,
}

impl Definitions {
    /// Finds them in the cache, or downloads them. Blocks meanwhile.
    ///
    /// # Errors
    /// As [`super::Binaries::find_or_build`].
    pub fn find_or_download(report: impl FnMut(Progress)) -> Result<Definitions, Error> {
        let workshop = Workshop::of(DEFINITIONS)?;
        let path_of = workshop.find_or_build(report)?;
        Ok(Definitions { files: DEFINITIONS.copies.iter().map(|(name, ..)| path_of(name)).collect() })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn every_module_is_pinned() {
        for (name, module, _) in DEFINITIONS.copies {
            let pins_it = |line: &str| line.trim().starts_with(&format!("{module} v"));
            assert!(DEFINITIONS.definition().lines().any(pins_it), "{name}");
        }
    }

    #[test]
    fn definitions_are_copied_once() {
        let folder = tempfile::tempdir().unwrap();
        let go = folder.path().join("go");
        // Each module lies in a folder named after it.
        let script = format!(
            r#"#!/bin/sh
            case $1 in
            version) echo "go version go1.26.8 linux/amd64";;
            list) shift 4; for module; do echo "$module {}/$module"; done;;
            esac"#,
            folder.path().display()
        );
        fs::write(&go, script).unwrap();
        fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
        for (name, module, path) in DEFINITIONS.copies {
            let path = folder.path().join(module).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        let workshop = Workshop { go, assets: None, cache: folder.path().join("cache"), module: DEFINITIONS };
        let mut seen = Vec::new();
        for _ in 0..2 {
            let path_of = workshop.find_or_build(|progress| seen.push(progress)).unwrap();
            for (name, ..) in DEFINITIONS.copies {
                assert_eq!(fs::read_to_string(path_of(name)).unwrap(), *name);
            }
        }
        assert_eq!(seen, [Progress::Downloading { what: DEFINITIONS.what, modules: 4 }]);
    }
}
