//! The gate `signature`: who has to have signed the images of a promotion.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::vulnerabilities::MissingRule;

/// Who has to have signed the images of a promotion, with cosign.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SignatureGate {
    /// Patterns of the images that have to be signed, such as `registry.example.com/shop/**`; all when absent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// Public keys. A signature by any of them will do.
    pub keys: Vec<KeySource>,
    /// What becomes of an image that none of them has signed: `wait` when it may yet be; `refuse` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<MissingRule>,
}

/// Where a public key is: here, or in a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct KeySource {
    /// The key itself: `-----BEGIN PUBLIC KEY-----`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pem: Option<String>,
    /// Name of a Secret of the same namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// With `secretName`: where in the Secret it is; `cosign.pub` when absent, as cosign has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl KeySource {
    /// The default of [`KeySource::key`].
    pub const KEY: &str = "cosign.pub";

    /// Where in the Secret it is.
    pub fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(Self::KEY)
    }
}
