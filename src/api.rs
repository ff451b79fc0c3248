//! The objects that users write: Argo CD's `Application` and `AppProject`, Flagger's `Canary`, and Leeboard's
//! `Environment`.
//!
//! **In:** JSON as an API server or a file holds it. **Out:** typed values, with every default resolved by a method.
//! **May not:** do I/O, read a clock, or refuse a field that Argo CD knows.
//!
//! Objects are decoded one by one with [`decode`], so that one that cannot be read does not hide the others; a bad
//! value in a status drops that field only. Semantics of the fields: Argo CD 3.x, `application.yaml` and `project.yaml`.

pub mod argo;
mod crd;
pub mod duration;
pub mod flagger;
pub mod leeboard;

pub use crd::{crds, file_name};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::Value;

use crate::error::Diagnostic;

/// The group of Argo CD's kinds.
pub const ARGO_GROUP: &str = "argoproj.io";
/// The group of Leeboard's own kinds.
pub const LEEBOARD_GROUP: &str = "leeboard.dev";
/// The group of Flagger's kinds.
pub const FLAGGER_GROUP: &str = "flagger.app";
/// The one version of Argo CD's and Leeboard's kinds.
pub const VERSION: &str = "v1alpha1";

/// Why an object could not be read as its kind.
#[derive(Debug, thiserror::Error)]
#[error("{kind} `{name}`: `{field}` cannot be read")]
pub struct Malformed {
    /// `kind` as the object says it.
    pub kind: String,
    /// `namespace/name`, or the name alone.
    pub name: String,
    /// Dotted path of the field; `.` when it is the object as a whole.
    pub field: String,
    /// What was expected there.
    #[source]
    pub source: serde_json::Error,
}

impl Malformed {
    /// As a person sees it, without a place.
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic::new(self.to_string()).with_note(self.source.to_string())
    }
}

/// Reads one object; fields of value `null` count as absent, as they do to Argo CD.
///
/// # Errors
/// When a field that steers Leeboard has a value of another type.
pub fn decode<T: DeserializeOwned>(object: &Value) -> Result<T, Malformed> {
    let object = if has_nulls(object) { &without_nulls(object) } else { object };
    serde_path_to_error::deserialize(object).map_err(|error| {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let metadata = object.get("metadata");
        let name = text(metadata.and_then(|m| m.get("name"))).unwrap_or_default();
        let namespace = text(metadata.and_then(|m| m.get("namespace")));
        Malformed {
            kind: text(object.get("kind")).unwrap_or_else(|| "object".into()),
            name: namespace.map(|namespace| format!("{namespace}/{name}")).unwrap_or(name),
            field: error.path().to_string(),
            source: error.into_inner(),
        }
    })
}

fn has_nulls(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.values().any(|value| value.is_null() || has_nulls(value)),
        Value::Array(items) => items.iter().any(has_nulls),
        _ => false,
    }
}

/// A copy without `null` fields. Values of a chart keep theirs: to Helm they mean “remove the default”.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| {
                    let value = if key == "valuesObject" { value.clone() } else { without_nulls(value) };
                    (key.clone(), value)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// For fields of a status: what cannot be read counts as absent, since a status is only a report.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(deserializer: D) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).unwrap_or_default())
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The `apiVersion` of a kind, for objects that leave it out.
fn api_version<K: Resource<DynamicType = ()>>() -> String {
    K::api_version(&()).into_owned()
}

/// The `kind` of a kind, for objects that leave it out.
fn kind<K: Resource<DynamicType = ()>>() -> String {
    K::kind(&()).into_owned()
}

/// The metadata of a new object.
fn named(name: &str, namespace: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.into()), namespace: Some(namespace.into()), ..ObjectMeta::default() }
}

/// What every kind here has, whatever its spec: its name, and the traits by which `kube` finds it. The types are
/// written out by hand, since a status that cannot be read must not hide the object.
macro_rules! impl_resource {
    ($type:ty, $group:expr, $kind:literal, $plural:literal) => {
        crate::api::impl_resource!($type, $group, crate::api::VERSION, $kind, $plural);
    };
    ($type:ty, $group:expr, $version:expr, $kind:literal, $plural:literal) => {
        impl $type {
            /// `metadata.name`; empty only before the API server has seen it.
            pub fn name(&self) -> &str {
                self.metadata.name.as_deref().unwrap_or_default()
            }

            /// `metadata.namespace`; empty only before the API server has seen it.
            pub fn namespace(&self) -> &str {
                self.metadata.namespace.as_deref().unwrap_or_default()
            }
        }

        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = kube::core::NamespaceResourceScope;

            fn kind(_: &()) -> std::borrow::Cow<'_, str> {
                $kind.into()
            }

            fn group(_: &()) -> std::borrow::Cow<'_, str> {
                $group.into()
            }

            fn version(_: &()) -> std::borrow::Cow<'_, str> {
                $version.into()
            }

            fn plural(_: &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &kube::core::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut kube::core::ObjectMeta {
                &mut self.metadata
            }
        }
    };
}
use impl_resource;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::argo::{AppProject, Application, SyncStatus};
    use super::leeboard::Environment;
    use super::*;

    /// As Argo CD's clients write it: every field that steers Leeboard, and most others.
    fn full_application() -> Value {
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": "shop", "namespace": "leeboard", "finalizers": ["resources-finalizer.argocd.argoproj.io"]},
            "spec": {
                "source": {
                    "repoURL": "https://git.example.com/shop.git",
                    "path": "apps/shop",
                    "targetRevision": "main",
                    "helm": {
                        "valueFiles": ["values.yaml"],
                        "parameters": [{"name": "a.b", "value": "1", "forceString": true}],
                        "valuesObject": {"keep": null, "list": [null]},
                    },
                    "kustomize": {
                        "namePrefix": "p-",
                        "images": ["web=registry.example.com/web:1"],
                        "commonLabels": {"team": "shop"},
                        "replicas": [{"name": "web", "count": 3}, {"name": "api", "count": "2"}],
                        "patches": [{"patch": "- op: remove", "target": {"kind": "Deployment"}, "options": {"allowNameChange": true}}],
                    },
                    "directory": {"recurse": true, "jsonnet": {"tlas": [{"name": "a", "value": "b"}]}, "exclude": "x*"},
                    "plugin": {"name": "p", "env": [{"name": "A", "value": "b"}], "parameters": [{"name": "x", "array": ["y"]}]},
                    "ref": "values",
                },
                "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"},
                "project": "shop",
                "syncPolicy": {
                    "automated": {"prune": true, "selfHeal": true, "enabled": true},
                    "syncOptions": ["CreateNamespace=true"],
                    "retry": {"limit": -1, "backoff": {"duration": "5s", "factor": 2, "maxDuration": "3m"}, "refresh": true},
                    "managedNamespaceMetadata": {"labels": {"a": "b"}},
                },
                "ignoreDifferences": [{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}],
                "info": [{"name": "url", "value": "https://example.com"}],
                "revisionHistoryLimit": 3,
            },
            "status": {
                "resources": [{"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop", "name": "web",
                               "status": "Synced", "health": {"status": "Healthy"}, "syncWave": 1}],
                "sync": {
                    "status": "Synced",
                    "comparedTo": {"source": {"repoURL": "https://git.example.com/shop.git"}, "destination": {"name": "in-cluster"}},
                    "revision": "3f9a",
                },
                "health": {"status": "Healthy", "lastTransitionTime": "2026-01-02T03:04:05Z"},
                "history": [{"revision": "3f9a", "deployedAt": "2026-01-02T03:04:05Z", "id": 0,
                             "source": {"repoURL": "https://git.example.com/shop.git"},
                             "deployStartedAt": "2026-01-02T03:04:00Z", "initiatedBy": {"automated": true}}],
                "conditions": [{"type": "SharedResourceWarning", "message": "m", "lastTransitionTime": "2026-01-02T03:04:05Z"}],
                "reconciledAt": "2026-01-02T03:04:05Z",
                "operationState": {
                    "operation": {"sync": {"revision": "3f9a", "prune": true}, "initiatedBy": {"username": "alice"}},
                    "phase": "Succeeded",
                    "message": "successfully synced (all tasks run)",
                    "syncResult": {
                        "resources": [{"group": "", "version": "v1", "kind": "Service", "namespace": "shop", "name": "web",
                                       "status": "Synced", "message": "service/web configured", "hookPhase": "Running",
                                       "syncPhase": "Sync"}],
                        "revision": "3f9a",
                        "source": {"repoURL": "https://git.example.com/shop.git"},
                    },
                    "startedAt": "2026-01-02T03:04:00Z",
                    "finishedAt": "2026-01-02T03:04:05Z",
                },
                "sourceType": "Kustomize",
                "summary": {"externalURLs": ["https://example.com"], "images": ["web:1"]},
                "controllerNamespace": "leeboard",
            },
            "operation": {
                "sync": {
                    "revision": "main",
                    "syncStrategy": {"hook": {"force": true}},
                    "resources": [{"group": "apps", "kind": "Deployment", "name": "web"}],
                    "syncOptions": ["Prune=false"],
                    "autoHealAttemptsCount": 2,
                },
                "initiatedBy": {"username": "alice"},
                "info": [{"name": "reason", "value": "test"}],
                "retry": {"limit": 3},
            },
        })
    }

    #[test]
    fn an_application_is_written_as_it_was_read() {
        let object = full_application();
        let application: Application = decode(&object).unwrap();
        assert_eq!(serde_json::to_value(&application).unwrap(), object);
    }

    #[test]
    fn a_project_is_written_as_it_was_read() {
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": "shop", "namespace": "leeboard"},
            "spec": {
                "sourceRepos": ["*"],
                "destinations": [{"server": "*", "namespace": "shop-*"}],
                "roles": [{"name": "ci", "policies": ["p, proj:shop:ci, applications, sync, shop/*, allow"], "jwtTokens": [{"iat": 1}]}],
                "clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}],
                "orphanedResources": {"warn": false, "ignore": [{"kind": "Secret"}]},
                "syncWindows": [{"kind": "deny", "schedule": "0 22 * * *", "duration": "1h", "namespaces": ["*"], "manualSync": true}],
                "namespaceResourceWhitelist": [],
                "signatureKeys": [{"keyID": "4AEE18F83AFDEB23"}],
                "destinationServiceAccounts": [{"server": "*", "namespace": "shop", "defaultServiceAccount": "deployer"}],
            },
        });
        let project: AppProject = decode(&object).unwrap();
        assert_eq!(serde_json::to_value(&project).unwrap(), object);
    }

    #[test]
    fn an_environment_is_written_as_it_was_read() {
        let object = json!({
            "apiVersion": "leeboard.dev/v1alpha1",
            "kind": "Environment",
            "metadata": {"name": "dev", "namespace": "leeboard"},
            "spec": {"repoURL": "file:///srv/shop.git", "branch": "env/dev", "path": "clusters/dev", "destination": {"name": "in-cluster"}, "suspend": true},
            "status": {"commit": "3f9a", "subject": "Raise replicas", "sync": "Synced", "health": {"status": "Healthy"}, "application": "dev"},
        });
        let environment: Environment = decode(&object).unwrap();
        assert_eq!(serde_json::to_value(&environment).unwrap(), object);
    }

    #[test]
    fn null_counts_as_absent_but_in_the_values_of_a_chart() {
        let mut object = full_application();
        object["spec"]["syncPolicy"]["syncOptions"] = Value::Null;
        object["spec"]["syncPolicy"]["automated"]["prune"] = Value::Null;
        object["status"] = Value::Null;
        let application: Application = decode(&object).unwrap();
        assert!(application.spec.sync_options() == Default::default() && application.status.is_none());
        let helm = application.spec.source.unwrap().helm.unwrap();
        assert_eq!(Value::from(helm.values_object.unwrap()), json!({"keep": null, "list": [null]}));
    }

    #[test]
    fn a_bad_field_of_a_spec_is_named() {
        let mut object = full_application();
        object["spec"]["syncPolicy"]["automated"]["prune"] = "yes".into();
        let error = decode::<Application>(&object).unwrap_err();
        assert_eq!(error.to_string(), "Application `leeboard/shop`: `spec.syncPolicy.automated.prune` cannot be read");
    }

    #[test]
    fn a_bad_field_of_a_status_is_dropped() {
        let mut object = full_application();
        object["status"]["history"] = "gone".into();
        object["status"]["sync"]["status"] = "Wobbly".into();
        object["status"]["newerField"] = 1.into();
        let status = decode::<Application>(&object).unwrap().status.unwrap();
        assert!(status.history.is_empty());
        assert_eq!(status.sync.status, SyncStatus::Unknown);
        assert_eq!((status.sync.revision.as_str(), status.resources.len()), ("3f9a", 1));
    }

    #[test]
    fn an_application_resolves_its_defaults() {
        let object = json!({"metadata": {"name": "shop", "namespace": "team"}, "spec": {"destination": {}}});
        let application: Application = decode(&object).unwrap();
        assert_eq!(application.spec.project(), "default");
        assert_eq!(application.spec.history_limit(), 10);
        assert_eq!(application.destination_namespace(), None);
        assert!(!application.spec.is_automated() && application.spec.sources().is_empty());
        assert_eq!(application.tracking_name("team"), "shop");
        assert_eq!(application.tracking_name("leeboard"), "team_shop");
    }
}
