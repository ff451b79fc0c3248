//! `AlertProvider`: where alerts are sent.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ObjectReference, VERSION};
use crate::api::{FLAGGER_GROUP, api_version, impl_resource, kind};

/// A place that alerts are sent to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertProvider {
    /// Always `flagger.app/v1beta1`.
    #[serde(default = "api_version::<AlertProvider>")]
    pub api_version: String,
    /// Always `AlertProvider`.
    #[serde(default = "kind::<AlertProvider>")]
    pub kind: String,
    /// Name, namespace.
    pub metadata: ObjectMeta,
    /// What a user wrote.
    pub spec: AlertProviderSpec,
    /// Nobody writes it; kept as found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
}

impl_resource!(AlertProvider, FLAGGER_GROUP, VERSION, "AlertProvider", "alertproviders");

/// What a user wrote about an [`AlertProvider`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertProviderSpec {
    /// Whose form a message has.
    #[serde(rename = "type")]
    pub what: AlertProviderType,
    /// `general` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Who it is from; `flagger` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The URL; either this or a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// A proxy on the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// The Secret with `address`, and `token` for Slack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<ObjectReference>,
}

impl AlertProviderSpec {
    /// The channel.
    pub fn channel(&self) -> &str {
        self.channel.as_deref().filter(|channel| !channel.is_empty()).unwrap_or("general")
    }

    /// Who it is from. Flagger's name, also here: channels and their filters know it.
    pub fn username(&self) -> &str {
        self.username.as_deref().filter(|username| !username.is_empty()).unwrap_or("flagger")
    }
}

/// Whose form a message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AlertProviderType {
    /// Slack.
    Slack,
    /// Microsoft Teams.
    MsTeams,
    /// Discord.
    Discord,
    /// Rocket.Chat.
    Rocket,
    /// Google Chat.
    GChat,
    /// AWS SNS (Leeboard's).
    Sns,
    /// A POST of the alert as JSON (Leeboard's).
    Webhook,
    /// E-mail (Leeboard's).
    Email,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api;

    #[test]
    fn a_provider_is_written_as_it_was_read() {
        let object = json!({
            "apiVersion": "flagger.app/v1beta1",
            "kind": "AlertProvider",
            "metadata": {"name": "on-call", "namespace": "shop"},
            "spec": {"type": "slack", "channel": "on-call", "secretRef": {"name": "slack"}},
        });
        let provider: AlertProvider = api::decode(&object).unwrap();
        assert_eq!(serde_json::to_value(&provider).unwrap(), object);
        assert_eq!((provider.spec.channel(), provider.spec.username()), ("on-call", "flagger"));
    }
}
