//! `MetricTemplate`: a query, and whom to ask.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ObjectReference, VERSION};
use crate::api::{FLAGGER_GROUP, api_version, impl_resource, is_false, kind};

/// A query with holes for what a canary fills in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricTemplate {
    /// Always `flagger.app/v1beta1`.
    #[serde(default = "api_version::<MetricTemplate>")]
    pub api_version: String,
    /// Always `MetricTemplate`.
    #[serde(default = "kind::<MetricTemplate>")]
    pub kind: String,
    /// Name, namespace.
    pub metadata: ObjectMeta,
    /// What a user wrote.
    pub spec: MetricTemplateSpec,
    /// Nobody writes it; kept as found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
}

impl_resource!(MetricTemplate, FLAGGER_GROUP, VERSION, "MetricTemplate", "metrictemplates");

/// What a user wrote about a [`MetricTemplate`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricTemplateSpec {
    /// Whom to ask.
    pub provider: MetricProvider,
    /// In Go's template language, in the provider's query language.
    pub query: String,
}

/// Who answers a query.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricProvider {
    /// Prometheus when absent.
    #[serde(rename = "type")]
    pub what: MetricProviderType,
    /// Where it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// The Secret with what it asks for; in the template's namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<ObjectReference>,
    /// CloudWatch: the region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Do not look at the server's certificate.
    #[serde(skip_serializing_if = "is_false")]
    pub insecure_skip_verify: bool,
    /// Sent along, several values a name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Vec<String>>,
}

/// The kind of who answers a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetricProviderType {
    /// Prometheus, and what speaks as it does.
    #[default]
    #[serde(alias = "")]
    Prometheus,
    /// Datadog.
    Datadog,
    /// AWS CloudWatch.
    CloudWatch,
    /// New Relic Insights.
    NewRelic,
    /// Graphite.
    Graphite,
    /// InfluxDB 2.
    InfluxDb,
    /// Google Cloud Monitoring.
    Stackdriver,
    /// Dynatrace.
    Dynatrace,
    /// Splunk Observability.
    Splunk,
    /// Keptn.
    Keptn,
    /// The cluster's `external.metrics.k8s.io`.
    ExternalMetrics,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api;

    #[test]
    fn a_template_is_written_as_it_was_read() {
        let object = json!({
            "apiVersion": "flagger.app/v1beta1",
            "kind": "MetricTemplate",
            "metadata": {"name": "errors", "namespace": "shop"},
            "spec": {
                "provider": {"type": "influxdb", "address": "http://influx", "secretRef": {"name": "influx"},
                             "headers": {"X-Scope-OrgID": ["shop"]}},
                "query": "from(bucket: \"{{ variables.bucket }}\")",
            },
        });
        let template: MetricTemplate = api::decode(&object).unwrap();
        assert_eq!(serde_json::to_value(&template).unwrap(), object);
    }
}
