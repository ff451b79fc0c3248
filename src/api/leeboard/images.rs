//! `Environment.spec.images`: which images follow their registry.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{duration, is_false};

/// Images that follow their registry: new versions are committed to the environment branch. Only where the AppProject has the
/// annotation `leeboard.dev/auto-promotion: allow`, and the branch is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ImageUpdates {
    /// How often registries are asked; 5m when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Nothing is committed until this is false again.
    #[serde(skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// The images.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub follow: Vec<FollowedImage>,
}

/// An image that follows its registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FollowedImage {
    /// What manifests call it; where no other name takes its place, also where the registry is.
    pub name: String,
    /// The name that takes its place, and where the registry is; when absent: as the file says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_name: Option<String>,
    /// Which version is wanted.
    pub policy: ImagePolicy,
    /// The file that says the version, seen from the cluster directory; its kustomization when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The field of that file: `image.tag`, `/image/tag`; the `images` of a kustomization when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// Which version of an image is wanted. One of `semver`, `regex`, `newest` and `digest` is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ImagePolicy {
    /// The highest version in this range: `^1.2`, `1.x`, `>=1.0 <2`. Tags with three numbers are versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semver: Option<String>,
    /// The last of the tags that match as a whole: by what the groups hold, digits as numbers; by the tag without groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// The one that was built last.
    #[serde(skip_serializing_if = "is_false")]
    pub newest: bool,
    /// What this tag means at the moment, by its digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// For `semver` and `newest`: only tags that match this regular expression as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_tags: Option<String>,
}

impl ImageUpdates {
    /// The default of [`ImageUpdates::interval`].
    pub const INTERVAL: Duration = Duration::from_secs(300);
    /// What [`ImageUpdates::interval`] may not go below.
    pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(10);

    /// How often registries are asked; never more often than is allowed.
    pub fn interval(&self) -> Duration {
        let asked = self.interval.as_deref().and_then(duration::parse);
        asked.map_or(Self::INTERVAL, |interval| interval.max(Self::SHORTEST_INTERVAL))
    }
}
