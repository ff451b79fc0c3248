//! [`Manifest`]: what an image is made of, and what belongs to it (OCI image specification 1.1, Docker's schema 2).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::reference::Digest;

/// When an image was built, where nothing else says it.
const CREATED: &str = "org.opencontainers.image.created";

/// What a request for a manifest takes.
pub(super) const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// What a tag or a digest stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// One image, or another artifact.
    Image {
        /// Its configuration.
        config: Descriptor,
        /// Its layers.
        layers: Vec<Descriptor>,
        /// What is noted on it.
        annotations: BTreeMap<String, String>,
    },
    /// The images of several platforms.
    Index {
        /// In the order in which a client looks through them.
        manifests: Vec<Descriptor>,
        /// What is noted on it.
        annotations: BTreeMap<String, String>,
    },
}

/// Points to a manifest or a blob.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    #[serde(default)]
    pub media_type: String,
    /// Its hash.
    pub digest: Digest,
    /// Its length.
    #[serde(default)]
    pub size: u64,
    /// What kind of artifact it is: of signatures, reports and such.
    #[serde(default)]
    pub artifact_type: Option<String>,
    /// What is noted on it.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Of an image in an index: where it runs.
    #[serde(default)]
    pub platform: Option<Platform>,
}

/// Where an image runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Platform {
    /// `linux`
    pub os: String,
    /// `amd64`
    pub architecture: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let written: Written =
            serde_json::from_slice(bytes).map_err(|error| format!("the manifest is none: {error}"))?;
        let annotations = written.annotations.unwrap_or_default();
        match (written.manifests, written.config) {
            (Some(manifests), None) => Ok(Manifest::Index { manifests, annotations }),
            (None, Some(config)) => Ok(Manifest::Image { config, layers: written.layers, annotations }),
            _ => Err("the manifest is neither that of an image nor an index".into()),
        }
    }

    /// When it was built, as far as it says so itself.
    pub(super) fn noted_time(&self) -> Option<Timestamp> {
        let (Manifest::Image { annotations, .. } | Manifest::Index { annotations, .. }) = self;
        annotations.get(CREATED)?.parse().ok()
    }

    /// Of an index: the image that stands for all, that of the most common platform if there is one.
    pub(super) fn representative(&self) -> Option<&Descriptor> {
        let Manifest::Index { manifests, .. } = self else { return None };
        let is_common = |platform: &Platform| platform.os == "linux" && platform.architecture == "amd64";
        // What was built beside the images, attestations, is of an unknown platform.
        let is_known = |platform: &Platform| !matches!(platform.os.as_str(), "" | "unknown");
        let common = manifests.iter().find(|descriptor| descriptor.platform.as_ref().is_some_and(is_common));
        let known = || manifests.iter().find(|descriptor| descriptor.platform.as_ref().is_some_and(is_known));
        common.or_else(known).or_else(|| manifests.first())
    }
}

/// When an image was built, as its configuration has it.
pub(super) fn built(config: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Config {
        created: Option<String>,
    }
    let config: Config = serde_json::from_slice(config).ok()?;
    config.created?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn digest(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    fn read(value: &Value) -> Result<Manifest, String> {
        Manifest::parse(value.to_string().as_bytes())
    }

    #[test]
    fn of_several_platforms_the_most_common_one_stands_for_all() {
        let image = |digit, os: &str, architecture: &str| json!({"digest": digest(digit), "size": 1, "platform": {"os": os, "architecture": architecture}});
        let (amd, arm, windows) =
            (image('a', "linux", "amd64"), image('b', "linux", "arm64"), image('c', "windows", "amd64"));
        let attestation = image('d', "unknown", "unknown");
        let cases = [
            (vec![&attestation, &arm, &amd], 'a'),
            (vec![&attestation, &windows, &arm], 'c'),
            (vec![&attestation], 'd'),
        ];
        for (manifests, expected) in cases {
            let index = read(&json!({"manifests": manifests})).unwrap();
            assert_eq!(index.representative().unwrap().digest.as_str(), digest(expected));
        }
        assert_eq!(read(&json!({"manifests": []})).unwrap().representative(), None);
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let descriptor = json!({"digest": digest('a'), "size": 1});
        for wrong in [
            json!({}),
            json!([]),
            json!({"config": {"digest": "sha256:../../x", "size": 1}}),
            json!({"config": descriptor, "manifests": [descriptor]}),
            json!({"schemaVersion": 1, "fsLayers": []}),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
        assert!(read(&json!({"config": descriptor, "layers": [descriptor], "annotations": null})).is_ok());
    }

    #[test]
    fn the_time_is_that_of_the_configuration_or_of_a_note() {
        let at: Timestamp = "2026-11-02T10:00:00Z".parse().unwrap();
        assert_eq!(built(b"{\"created\": \"2026-11-02T10:00:00Z\"}"), Some(at));
        assert_eq!(built(b"{\"created\": \"2026-11-02T12:00:00+02:00\"}"), Some(at));
        for untold in [&b"{}"[..], b"{\"created\": null}", b"{\"created\": \"yesterday\"}", b"[]", b"\x00"] {
            assert_eq!(built(untold), None);
        }
        let noted = json!({"manifests": [], "annotations": {CREATED: "2026-11-02T10:00:00Z"}});
        assert_eq!(read(&noted).unwrap().noted_time(), Some(at));
    }
}
