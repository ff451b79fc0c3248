//! Which kinds the cluster serves, under which names, and whether they live in namespaces.
//!
//! **In:** the API server's aggregated discovery (two requests, Kubernetes 1.26 and newer). **Out:** a [`Resource`] for
//! a kind. **May not:** take a group that does not answer for a group that is not there.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use smol_str::SmolStr;

use crate::object::GroupKind;

/// What asks for aggregated discovery, newest form first.
pub(super) const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
    application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
/// Where it is asked for: the core group, and all others.
pub(super) const PATHS: [&str; 2] = ["/api", "/apis"];

/// How a kind is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The name in URLs: `deployments`.
    pub plural: SmolStr,
    /// True when its objects live in namespaces.
    pub namespaced: bool,
    /// True when it can be listed and watched, so that what we apply of it can be seen.
    pub watchable: bool,
    /// True when it can be patched and deleted: not so for reviews.
    pub writable: bool,
}

/// What is known of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<'a> {
    /// It is served.
    Served(&'a Resource),
    /// Its group and version are known, and do not have it.
    NotServed,
    /// Its group does not answer: it may be there.
    Unknown,
}

/// The kinds of one cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    kinds: BTreeMap<(GroupKind, SmolStr), Resource>,
    /// By group, in the order in which the API server prefers them.
    versions: BTreeMap<SmolStr, Vec<SmolStr>>,
    /// Groups and versions whose server did not answer when it was asked last.
    stale: BTreeSet<(SmolStr, SmolStr)>,
}

impl Discovery {
    /// Reads the answers to the requests of [`PATHS`].
    pub(super) fn read(answers: &[impl AsRef<[u8]>]) -> Result<Self, serde_json::Error> {
        let mut discovery = Discovery::default();
        for answer in answers {
            let list: GroupList = serde_json::from_slice(answer.as_ref())?;
            if list.kind != "APIGroupDiscoveryList" {
                return Err(serde::de::Error::custom("aggregated discovery needs Kubernetes 1.26 or newer"));
            }
            for group in list.items {
                discovery.add(group);
            }
        }
        Ok(discovery)
    }

    fn add(&mut self, group: Group) {
        let name = group.metadata.name;
        for Version { version, freshness, resources } in group.versions {
            if freshness == "Stale" {
                self.stale.insert((name.clone(), version.clone()));
            }
            self.versions.entry(name.clone()).or_default().push(version.clone());
            for resource in resources {
                let Some(response) = resource.response_kind else { continue };
                let verb = |verb: &str| resource.verbs.iter().any(|known| known == verb);
                let found = Resource {
                    namespaced: resource.scope == "Namespaced",
                    watchable: verb("list") && verb("watch"),
                    writable: verb("patch") && verb("delete"),
                    plural: resource.resource,
                };
                self.kinds.insert((GroupKind::new(name.clone(), response.kind), version.clone()), found);
            }
        }
    }

    /// What is known of a kind in one version.
    pub fn kind(&self, kind: &GroupKind, version: &str) -> Known<'_> {
        let version = SmolStr::new(version);
        if let Some(resource) = self.kinds.get(&(kind.clone(), version.clone())) {
            return Known::Served(resource);
        }
        if self.stale.contains(&(kind.group.clone(), version)) { Known::Unknown } else { Known::NotServed }
    }

    /// The version in which the API server prefers to serve a kind.
    pub fn preferred_version(&self, kind: &GroupKind) -> Option<&SmolStr> {
        let versions = self.versions.get(&kind.group)?;
        versions.iter().find(|version| self.kinds.contains_key(&(kind.clone(), (*version).clone())))
    }

    /// Whether a kind is namespaced, whatever its version: `None` when no version is known.
    pub fn is_namespaced(&self, kind: &GroupKind) -> Option<bool> {
        let version = self.preferred_version(kind)?;
        self.kinds.get(&(kind.clone(), version.clone())).map(|resource| resource.namespaced)
    }

    /// Groups and versions that did not answer, as `group/version`.
    pub fn incomplete(&self) -> impl Iterator<Item = String> + '_ {
        self.stale.iter().map(|(group, version)| format!("{group}/{version}"))
    }

    /// All kinds with their versions.
    pub fn kinds(&self) -> impl Iterator<Item = (&GroupKind, &SmolStr, &Resource)> {
        self.kinds.iter().map(|((kind, version), resource)| (kind, version, resource))
    }
}

#[derive(Deserialize)]
struct GroupList {
    kind: SmolStr,
    #[serde(default)]
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    /// Absent for the core group.
    #[serde(default)]
    name: SmolStr,
}

#[derive(Deserialize)]
struct Version {
    version: SmolStr,
    #[serde(default)]
    freshness: SmolStr,
    #[serde(default)]
    resources: Vec<VersionResource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VersionResource {
    resource: SmolStr,
    #[serde(default)]
    response_kind: Option<ResponseKind>,
    #[serde(default)]
    scope: SmolStr,
    #[serde(default)]
    verbs: Vec<SmolStr>,
}

#[derive(Deserialize)]
struct ResponseKind {
    kind: SmolStr,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn discovery() -> Discovery {
        let resource = |plural: &str, kind: &str, scope: &str, verbs: &[&str]| {
            json!({"resource": plural, "responseKind": {"group": "", "version": "", "kind": kind}, "scope": scope,
                   "verbs": verbs, "subresources": [{"subresource": "status", "responseKind": {"kind": kind}}]})
        };
        let all = ["create", "delete", "get", "list", "patch", "update", "watch"];
        let core = json!({"kind": "APIGroupDiscoveryList", "items": [
            {"metadata": {}, "versions": [{"version": "v1", "freshness": "Current", "resources": [
                resource("services", "Service", "Namespaced", &all), resource("namespaces", "Namespace", "Cluster", &all)]}]}]});
        let groups = json!({"kind": "APIGroupDiscoveryList", "items": [
            {"metadata": {"name": "autoscaling"}, "versions": [
                {"version": "v2", "freshness": "Current", "resources": [
                    resource("horizontalpodautoscalers", "HorizontalPodAutoscaler", "Namespaced", &all)]},
                {"version": "v1", "freshness": "Current", "resources": [
                    resource("horizontalpodautoscalers", "HorizontalPodAutoscaler", "Namespaced", &all)]}]},
            {"metadata": {"name": "authorization.k8s.io"}, "versions": [{"version": "v1", "freshness": "Current",
                "resources": [resource("subjectaccessreviews", "SubjectAccessReview", "Cluster", &["create"])]}]},
            {"metadata": {"name": "metrics.k8s.io"}, "versions": [{"version": "v1beta1", "freshness": "Stale"}]}]});
        Discovery::read(&[core.to_string(), groups.to_string()]).unwrap()
    }

    #[test]
    fn a_kind_is_served_not_served_or_unknown() {
        let discovery = discovery();
        let known = |group: &str, kind: &str, version: &str| match discovery.kind(&GroupKind::new(group, kind), version)
        {
            Known::Served(resource) => {
                format!("{} {}", resource.plural, if resource.namespaced { "in" } else { "out" })
            }
            Known::NotServed => "not served".into(),
            Known::Unknown => "unknown".into(),
        };
        let cases = [
            ("", "Service", "v1", "services in"),
            ("", "Namespace", "v1", "namespaces out"),
            ("", "Service", "v2", "not served"),
            ("autoscaling", "HorizontalPodAutoscaler", "v1", "horizontalpodautoscalers in"),
            ("metrics.k8s.io", "PodMetrics", "v1beta1", "unknown"),
            ("metrics.k8s.io", "PodMetrics", "v1", "not served"),
            ("x.example.com", "Foo", "v1", "not served"),
        ];
        for (group, kind, version, expected) in cases {
            assert_eq!(known(group, kind, version), expected, "{group}/{version} {kind}");
        }
        assert_eq!(discovery.incomplete().collect::<Vec<_>>(), ["metrics.k8s.io/v1beta1"]);
    }

    #[test]
    fn the_api_servers_order_says_which_version_it_prefers() {
        let discovery = discovery();
        let hpa = GroupKind::new("autoscaling", "HorizontalPodAutoscaler");
        assert_eq!(discovery.preferred_version(&hpa).unwrap(), "v2");
        assert_eq!(discovery.is_namespaced(&hpa), Some(true));
        assert_eq!(discovery.is_namespaced(&GroupKind::new("x", "Y")), None);
        let Known::Served(review) =
            discovery.kind(&GroupKind::new("authorization.k8s.io", "SubjectAccessReview"), "v1")
        else {
            panic!("not served")
        };
        assert!(!review.watchable && !review.writable);
    }

    #[test]
    fn another_form_of_discovery_is_refused() {
        assert!(Discovery::read(&[r#"{"kind":"APIGroupList","groups":[]}"#]).is_err());
    }
}
