//! `Canary`: a workload, how it is reached, and how a new version of it is tried.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Analysis, CanaryStatus, Service, VERSION};
use crate::api::{FLAGGER_GROUP, api_version, impl_resource, is_false, kind, lenient, named};

/// A workload of which new versions are tried on part of the traffic first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// Always `flagger.app/v1beta1`.
    #[serde(default = "api_version::<Canary>")]
    pub api_version: String,
    /// Always `Canary`.
    #[serde(default = "kind::<Canary>")]
    pub kind: String,
    /// Name, namespace.
    pub metadata: ObjectMeta,
    /// What a user wrote.
    pub spec: CanarySpec,
    /// What was found; a subresource.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub status: Option<CanaryStatus>,
}

impl_resource!(Canary, FLAGGER_GROUP, VERSION, "Canary", "canaries");

impl Canary {
    /// The canary with this name, not yet seen by anyone.
    pub fn new(name: &str, namespace: &str, spec: CanarySpec) -> Self {
        Canary {
            api_version: api_version::<Self>(),
            kind: kind::<Self>(),
            metadata: named(name, namespace),
            spec,
            status: None,
        }
    }
}

/// What a user wrote about a [`Canary`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CanarySpec {
    /// The mesh or ingress that splits the traffic; the daemon's setting when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// The Prometheus for built-in and inline queries of this canary; the daemon's setting when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_server: Option<String>,
    /// The workload: a Deployment, a DaemonSet, or a Service.
    pub target_ref: ObjectReference,
    /// What scales the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaler_ref: Option<AutoscalerReference>,
    /// The Ingress; providers nginx and skipper need it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress_ref: Option<ObjectReference>,
    /// The ApisixRoute; provider apisix needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_ref: Option<ObjectReference>,
    /// Gloo: the Upstream whose settings the generated ones take over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_ref: Option<ObjectReference>,
    /// The Services, and what the route to them says.
    pub service: Service,
    /// How the new version is tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,
    /// The former name of [`CanarySpec::analysis`]; read when that is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_analysis: Option<Analysis>,
    /// How many seconds a workload may be unready; 600 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_deadline_seconds: Option<i32>,
    /// Promote at once.
    #[serde(skip_serializing_if = "is_false")]
    pub skip_analysis: bool,
    /// Scale the target up again, and lead traffic back to it, when the canary is deleted.
    #[serde(skip_serializing_if = "is_false")]
    pub revert_on_deletion: bool,
    /// Do nothing at all; weights stay where they are.
    #[serde(skip_serializing_if = "is_false")]
    pub suspend: bool,
}

impl CanarySpec {
    /// The default of [`CanarySpec::progress_deadline_seconds`].
    pub const PROGRESS_DEADLINE: Duration = Duration::from_secs(600);

    /// The analysis under either of its names; all defaults when there is none.
    pub fn analysis(&self) -> std::borrow::Cow<'_, Analysis> {
        match self.analysis.as_ref().or(self.canary_analysis.as_ref()) {
            Some(analysis) => std::borrow::Cow::Borrowed(analysis),
            None => std::borrow::Cow::Owned(Analysis::default()),
        }
    }

    /// How long a workload may be unready.
    pub fn progress_deadline(&self) -> Duration {
        let seconds = self.progress_deadline_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        seconds.map_or(Self::PROGRESS_DEADLINE, Duration::from_secs)
    }

    /// The name of the apex Service: that of the service, else the target's.
    pub fn service_name(&self) -> &str {
        self.service.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(&self.target_ref.name)
    }
}

/// What splits the traffic between the two versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// An ApisixRoute.
    Apisix,
    /// AWS App Mesh, `v1beta1`.
    AppMesh,
    /// AWS App Mesh, `v1beta2`.
    #[serde(rename = "appmesh:v1beta2")]
    AppMeshV1Beta2,
    /// A Contour HTTPProxy.
    Contour,
    /// A Gateway API HTTPRoute, `v1`.
    #[serde(rename = "gatewayapi:v1", alias = "gatewayapi")]
    GatewayApiV1,
    /// A Gateway API HTTPRoute, `v1beta1`.
    #[serde(rename = "gatewayapi:v1beta1")]
    GatewayApiV1Beta1,
    /// A Gloo RouteTable.
    Gloo,
    /// An Istio VirtualService.
    Istio,
    /// The Knative Service itself.
    Knative,
    /// Nothing splits traffic: blue/green with plain Services.
    Kubernetes,
    /// A Kuma TrafficRoute.
    Kuma,
    /// A Linkerd TrafficSplit.
    Linkerd,
    /// A second Ingress for ingress-nginx.
    Nginx,
    /// An Open Service Mesh TrafficSplit.
    Osm,
    /// A second Ingress for Skipper.
    Skipper,
    /// A TrafficSplit, `v1alpha1`.
    #[serde(rename = "smi:v1alpha1")]
    SmiV1Alpha1,
    /// A TrafficSplit, `v1alpha2`.
    #[serde(rename = "smi:v1alpha2")]
    SmiV1Alpha2,
    /// A TrafficSplit, `v1alpha3`.
    #[serde(rename = "smi:v1alpha3")]
    SmiV1Alpha3,
    /// A TraefikService.
    Traefik,
}

impl Provider {
    /// Every provider, in the order of their names.
    pub const ALL: [Provider; 19] = [
        Provider::Apisix,
        Provider::AppMesh,
        Provider::AppMeshV1Beta2,
        Provider::Contour,
        Provider::GatewayApiV1,
        Provider::GatewayApiV1Beta1,
        Provider::Gloo,
        Provider::Istio,
        Provider::Knative,
        Provider::Kubernetes,
        Provider::Kuma,
        Provider::Linkerd,
        Provider::Nginx,
        Provider::Osm,
        Provider::Skipper,
        Provider::SmiV1Alpha1,
        Provider::SmiV1Alpha2,
        Provider::SmiV1Alpha3,
        Provider::Traefik,
    ];

    /// As a manifest says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Provider::Apisix => "apisix",
            Provider::AppMesh => "appmesh",
            Provider::AppMeshV1Beta2 => "appmesh:v1beta2",
            Provider::Contour => "contour",
            Provider::GatewayApiV1 => "gatewayapi:v1",
            Provider::GatewayApiV1Beta1 => "gatewayapi:v1beta1",
            Provider::Gloo => "gloo",
            Provider::Istio => "istio",
            Provider::Knative => "knative",
            Provider::Kubernetes => "kubernetes",
            Provider::Kuma => "kuma",
            Provider::Linkerd => "linkerd",
            Provider::Nginx => "nginx",
            Provider::Osm => "osm",
            Provider::Skipper => "skipper",
            Provider::SmiV1Alpha1 => "smi:v1alpha1",
            Provider::SmiV1Alpha2 => "smi:v1alpha2",
            Provider::SmiV1Alpha3 => "smi:v1alpha3",
            Provider::Traefik => "traefik",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Names an object in the canary's namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectReference {
    /// Group and version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// Kind.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Name.
    pub name: String,
    /// Another namespace; only Upstreams are looked for elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

impl ObjectReference {
    /// The group; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

/// What scales the target, and how the primary's copy of it differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AutoscalerReference {
    /// Group and version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// `HorizontalPodAutoscaler` or KEDA's `ScaledObject`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// KEDA: the query of the primary's trigger with that name. When absent, `<target>-canary` and `<target>` become
    /// `<target>-primary` in every trigger's query.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub primary_scaler_queries: BTreeMap<String, String>,
    /// Bounds of the primary's scaler; those of the target's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_scaler_replicas: Option<ScalerReplicas>,
}

/// Bounds of a scaler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ScalerReplicas {
    /// At least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_replicas: Option<i32>,
    /// At least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_replicas: Option<i32>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api;

    fn canary(spec: &serde_json::Value) -> Canary {
        let object = json!({"apiVersion": "flagger.app/v1beta1", "kind": "Canary",
                            "metadata": {"name": "web", "namespace": "shop"}, "spec": spec});
        api::decode(&object).unwrap()
    }

    #[test]
    fn every_provider_is_written_as_it_is_read() {
        for provider in Provider::ALL {
            assert_eq!(serde_json::to_value(provider).unwrap(), json!(provider.as_str()));
            assert_eq!(serde_json::from_value::<Provider>(json!(provider.as_str())).unwrap(), provider);
        }
    }

    #[test]
    fn the_former_name_of_the_analysis_counts_when_the_new_one_is_absent() {
        let former =
            canary(&json!({"targetRef": {"kind": "Deployment", "name": "web"}, "canaryAnalysis": {"stepWeight": 5}}));
        assert_eq!(former.spec.analysis().step_weight, 5);
        let both =
            json!({"targetRef": {"name": "web"}, "canaryAnalysis": {"stepWeight": 5}, "analysis": {"stepWeight": 7}});
        assert_eq!(canary(&both).spec.analysis().step_weight, 7);
    }

    #[test]
    fn absent_fields_have_their_defaults() {
        let spec =
            canary(&json!({"targetRef": {"apiVersion": "apps/v1", "name": "web"}, "unknown": {"field": 1}})).spec;
        assert_eq!((spec.progress_deadline(), spec.service_name()), (Duration::from_secs(600), "web"));
        assert_eq!(spec.target_ref.group(), "apps");
        assert_eq!(spec.analysis().interval(), Duration::from_secs(60));
    }

    #[test]
    fn a_provider_that_nobody_knows_is_named() {
        let object = json!({"kind": "Canary", "metadata": {"name": "web"}, "spec": {"provider": "envoy"}});
        let error = api::decode::<Canary>(&object).unwrap_err();
        assert_eq!(error.to_string(), "Canary `web`: `spec.provider` cannot be read");
    }
}
