//! `spec.service`: the three Services, and what the route to them says.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::is_false;

/// The Services that lead to both versions, and what the route to them says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Service {
    /// The apex Service; the target's name when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The port of the Services; required, 0 when it was left out.
    pub port: i32,
    /// The name of that port; `http` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_name: Option<String>,
    /// Number or name of the pods' port; that of the Service when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_port: Option<IntOrString>,
    /// On the first port; `tcp` makes Istio's routes TCP routes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_protocol: Option<String>,
    /// `PreferClose`, `PreferSameZone` or `PreferSameNode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_distribution: Option<String>,
    /// Add the other ports of the target's containers.
    #[serde(skip_serializing_if = "is_false")]
    pub port_discovery: bool,
    /// Services without an address of their own.
    #[serde(skip_serializing_if = "is_false")]
    pub headless: bool,
    /// How long a request may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// How long one try of a request may take; Gateway API `v1` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_timeout: Option<String>,
    /// Istio: gateways; `mesh` when there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
    /// Gateway API: `parentRefs` of the route.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateway_refs: Vec<ParentReference>,
    /// Host names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Istio: a VirtualService that another one delegates to, without hosts and gateways.
    #[serde(skip_serializing_if = "is_false")]
    pub delegation: bool,
    /// Istio: `trafficPolicy` of the DestinationRules, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_policy: Option<Map<String, Value>>,
    /// Which requests are meant; any when empty.
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<HttpMatch>,
    /// What a request is rewritten to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// How often a request is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// Headers that are added and removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<Headers>,
    /// Gateway API: RequestMirror filters to a third backend, as written; not the mirroring to the canary.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirror: Vec<Value>,
    /// Which other sites may call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors_policy: Option<CorsPolicy>,
    /// App Mesh: the mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh_name: Option<String>,
    /// App Mesh: virtual services that the workload calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<String>,
    /// Metadata of the apex Service and of the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apex: Option<CustomMetadata>,
    /// Metadata of the primary's Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<CustomMetadata>,
    /// Metadata of the canary's Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<CustomMetadata>,
    /// Keys that are left as they are found on the Services.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unmanaged_metadata: Option<UnmanagedMetadata>,
}

impl Service {
    /// The name of the first port.
    pub fn port_name(&self) -> &str {
        self.port_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("http")
    }

    /// The pods' port.
    pub fn target_port(&self) -> IntOrString {
        match &self.target_port {
            Some(IntOrString::Int(0)) | None => IntOrString::Int(self.port),
            Some(IntOrString::String(name)) if name.is_empty() => IntOrString::Int(self.port),
            Some(port) => port.clone(),
        }
    }
}

/// What a route of the Gateway API is attached to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentReference {
    /// `gateway.networking.k8s.io` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// `Gateway` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The route's own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// One listener of a Gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
    /// One port of a Gateway or Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
}

/// Which requests are meant: all that is said must hold. The fields are Istio's; what a router cannot express it refuses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpMatch {
    /// A name for statistics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<StringMatch>,
    /// `http` or `https`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<StringMatch>,
    /// The method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<StringMatch>,
    /// The host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<StringMatch>,
    /// Headers by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, StringMatch>,
    /// Headers by name that must not match.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub without_headers: BTreeMap<String, StringMatch>,
    /// Parameters of the query by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query_params: BTreeMap<String, StringMatch>,
    /// The port that was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u32>,
    /// Labels of the calling workload.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub source_labels: BTreeMap<String, String>,
    /// Namespace of the calling workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_namespace: Option<String>,
    /// Gateways through which the request came.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
    /// Upper and lower case are the same in the path.
    #[serde(skip_serializing_if = "is_false")]
    pub ignore_uri_case: bool,
}

/// How a text is compared; one of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StringMatch {
    /// Is this text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// Begins so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Ends so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// Matches as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
}

/// What a request is rewritten to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Rewrite {
    /// The path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// Gateway API: what of the path is replaced; all when absent.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub what: Option<RewriteType>,
}

/// What of a path is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RewriteType {
    /// All of it.
    #[default]
    ReplaceFullPath,
    /// The prefix that was matched.
    ReplacePrefixMatch,
}

/// How often a request is tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Retries {
    /// Tries after the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i32>,
    /// How long one try may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_try_timeout: Option<String>,
    /// What counts as a failure, separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_on: Option<String>,
    /// Try also in other localities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_remote_localities: Option<bool>,
}

/// Headers that are added and removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Headers {
    /// On the way to the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<HeaderOperations>,
    /// On the way back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<HeaderOperations>,
}

/// What happens to headers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HeaderOperations {
    /// Added to what is there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub add: BTreeMap<String, String>,
    /// Put in place of what is there.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// Taken away.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// Which other sites may call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CorsPolicy {
    /// The former form of [`CorsPolicy::allow_origins`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_origin: Vec<String>,
    /// Sites.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_origins: Vec<StringMatch>,
    /// Methods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_methods: Vec<String>,
    /// Headers that a request may have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_headers: Vec<String>,
    /// Headers that a browser may show to its page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expose_headers: Vec<String>,
    /// How long a browser may rely on this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
    /// May a request carry cookies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_credentials: Option<bool>,
}

/// Metadata that is put on a generated object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CustomMetadata {
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Keys of metadata that are left as they are found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UnmanagedMetadata {
    /// Keys of labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Keys of annotations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_default_to_each_other() {
        let service = |value| serde_json::from_value::<Service>(value).unwrap();
        let cases = [
            // service                                     name of the port, target port
            (json!({"port": 80}), "http", IntOrString::Int(80)),
            (json!({"port": 80, "targetPort": 9898}), "http", IntOrString::Int(9898)),
            (json!({"port": 80, "targetPort": "web", "portName": "grpc"}), "grpc", IntOrString::String("web".into())),
            (json!({"port": 80, "targetPort": 0, "portName": ""}), "http", IntOrString::Int(80)),
        ];
        for (value, name, port) in cases {
            let service = service(value);
            assert_eq!((service.port_name(), service.target_port()), (name, port), "{service:?}");
        }
    }

    #[test]
    fn a_service_is_written_as_it_was_read() {
        let value = json!({
            "port": 80,
            "gatewayRefs": [{"name": "gw", "namespace": "gw", "sectionName": "https"}],
            "hosts": ["app.example.com"],
            "match": [{"uri": {"prefix": "/api"}, "headers": {"x-a": {"exact": "b"}}, "queryParams": {"q": {"regex": ".*"}}}],
            "rewrite": {"uri": "/x", "type": "ReplacePrefixMatch"},
            "retries": {"attempts": 3, "perTryTimeout": "1s", "retryOn": "gateway-error"},
            "headers": {"request": {"add": {"x-a": "b"}, "remove": ["x-c"]}},
            "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}},
            "corsPolicy": {"allowOrigins": [{"exact": "https://example.com"}], "maxAge": "24h", "allowCredentials": true},
            "apex": {"labels": {"l": "1"}, "annotations": {"a": "1"}},
        });
        let service: Service = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(service).unwrap(), value);
    }
}
