//! The objects that deploy a pull request: a namespace with a quota, and an Application that may not leave it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Record;
use crate::api::argo::{
    AppProject, AppProjectSpec, Application, ApplicationSpec, Automated, Destination, Kustomize, NamespacedResource,
    ProjectDestination, Source, SyncPolicy,
};
use crate::api::leeboard::{Environment, EphemeralPolicy};
use crate::object::annotation;

/// One environment's pull request to be deployed.
#[derive(Clone, Copy, Debug)]
pub struct Deployment<'a> {
    /// Of this environment.
    pub environment: &'a Environment,
    /// As it asks for it.
    pub policy: &'a EphemeralPolicy,
    /// The pull request.
    pub record: &'a Record,
}

/// The name of the namespace's ResourceQuota.
pub const QUOTA: &str = "leeboard";
/// What Kubernetes takes for a namespace.
const LONGEST_NAME: usize = 63;

/// `pr-7-dev`: of the namespace, the AppProject and the Application.
///
/// # Errors
/// When that is longer than a namespace's name may be, in one sentence.
pub fn name(policy: &EphemeralPolicy, number: u64, environment: &str) -> Result<String, String> {
    let name = format!("{}{number}-{environment}", policy.namespace_prefix());
    match name.len() <= LONGEST_NAME {
        true => Ok(name),
        false => Err(format!(
            "`{name}` is longer than a namespace's name may be ({LONGEST_NAME}); choose a shorter \
             spec.previews.ephemeral.namespacePrefix"
        )),
    }
}

impl Deployment<'_> {
    /// The directory that is deployed.
    pub fn path(&self) -> &str {
        let own = self.policy.path.as_deref().map(|path| path.trim_end_matches('/')).filter(|path| !path.is_empty());
        own.unwrap_or_else(|| self.environment.spec.path())
    }

    fn marks(&self) -> BTreeMap<String, String> {
        [
            (annotation::EPHEMERAL.to_owned(), self.environment.name().to_owned()),
            (annotation::PULL.to_owned(), self.record.number.to_string()),
        ]
        .into()
    }

    /// Where it goes.
    pub fn destination(&self, name: &str) -> Destination {
        Destination { namespace: Some(name.into()), ..self.environment.spec.destination() }
    }

    /// The record; and the rules: as those of the environment's own project, in this namespace alone, and neither its quota
    /// nor anything of the whole cluster.
    pub fn project(&self, name: &str, own: &AppProjectSpec) -> AppProject {
        let Destination { server, name: cluster, namespace } = self.destination(name);
        let mut denied = own.namespace_resource_blacklist.clone();
        denied.extend(
            ["ResourceQuota", "LimitRange"].map(|kind| NamespacedResource { group: String::new(), kind: kind.into() }),
        );
        let spec = AppProjectSpec {
            description: Some(format!(
                "Pull request {} for {}, deployed before it is merged",
                self.record.number,
                self.environment.name()
            )),
            destinations: vec![ProjectDestination { server, name: cluster, namespace }],
            cluster_resource_whitelist: Vec::new(),
            namespace_resource_blacklist: denied,
            roles: Vec::new(),
            orphaned_resources: None,
            source_namespaces: Vec::new(),
            permit_only_project_scoped_clusters: false,
            ..own.clone()
        };
        let mut project = AppProject::new(name, self.environment.namespace(), spec);
        let mut marks = self.marks();
        marks.insert(annotation::HEAD.into(), self.record.head.to_string());
        marks.insert(annotation::SINCE.into(), self.record.since.to_string());
        marks.insert(annotation::OVER.into(), self.record.is_over.to_string());
        project.metadata.annotations = Some(marks);
        project
    }

    /// The namespace, in the environment's cluster.
    pub fn namespace(&self, name: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": self.marks()}})
    }

    /// The namespace's quota.
    pub fn quota(&self, namespace: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "ResourceQuota",
            "metadata": {"name": QUOTA, "namespace": namespace, "labels": self.marks()},
            "spec": {"hard": self.policy.quota()},
        })
    }

    /// What deploys the commit. The objects of a kustomization are moved into the namespace; other manifests have to
    /// leave open where they go.
    pub fn application(&self, name: &str, is_kustomization: bool) -> Application {
        let spec = ApplicationSpec {
            source: Some(Source {
                repo_url: self.environment.spec.repo_url.clone(),
                path: Some(self.path().to_owned()),
                target_revision: Some(self.record.head.to_string()),
                kustomize: is_kustomization.then(|| Kustomize { namespace: Some(name.into()), ..Kustomize::default() }),
                ..Source::default()
            }),
            destination: self.destination(name),
            project: name.to_owned(),
            sync_policy: Some(SyncPolicy {
                automated: Some(Automated { prune: true, self_heal: true, allow_empty: true, ..Automated::default() }),
                ..SyncPolicy::default()
            }),
            ..ApplicationSpec::default()
        };
        let mut application = Application::new(name, self.environment.namespace(), spec);
        application.metadata.annotations = Some(self.marks());
        application
    }
}

/// What an AppProject says of the pull request that it is the record of: the environment, and the record.
pub fn recorded(project: &AppProject) -> Option<(&str, Record)> {
    let marks = project.metadata.annotations.as_ref()?;
    let mark = |name: &str| marks.get(name).map(String::as_str);
    let record = Record {
        number: mark(annotation::PULL)?.parse().ok()?,
        head: mark(annotation::HEAD)?.into(),
        since: mark(annotation::SINCE)?.parse().ok()?,
        is_over: mark(annotation::OVER) == Some("true"),
    };
    Some((mark(annotation::EPHEMERAL)?, record))
}

/// True when an object in the cluster was made for this pull request of this environment.
pub fn is_of(marks: &Value, environment: &str, number: u64) -> bool {
    let pull = marks[annotation::PULL].as_str().and_then(|pull| pull.parse().ok());
    marks[annotation::EPHEMERAL] == environment && pull == Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::argo::ClusterResource;

    fn environment(spec: &Value) -> Environment {
        crate::api::decode(&json!({"metadata": {"name": "dev", "namespace": "leeboard"}, "spec": spec})).unwrap()
    }

    fn record() -> Record {
        Record {
            number: 7,
            head: "3".repeat(40).into(),
            since: "2026-11-22T14:00:00Z".parse().unwrap(),
            is_over: false,
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let environment = environment(&json!({"repoURL": "https://git.example/x", "path": "clusters/dev"}));
        let policy = EphemeralPolicy::default();
        for is_over in [false, true] {
            let record = Record { is_over, ..record() };
            let deployment = Deployment { environment: &environment, policy: &policy, record: &record };
            let project = deployment.project("pr-7-dev", &AppProjectSpec::default());
            assert_eq!(recorded(&project), Some(("dev", record)));
        }
        assert_eq!(recorded(&AppProject::permissive("leeboard")), None);
    }

    #[test]
    fn it_cannot_leave_its_namespace_nor_change_its_quota() {
        let environment = environment(&json!({
            "repoURL": "https://git.example/x", "path": "clusters/dev",
            "destination": {"name": "staging", "namespace": "shop"},
        }));
        let policy = EphemeralPolicy { path: Some("apps/shop/".into()), ..EphemeralPolicy::default() };
        let record = record();
        let deployment = Deployment { environment: &environment, policy: &policy, record: &record };
        let own = AppProject::permissive("leeboard").spec;
        let rules = deployment.project("pr-7-dev", &own).spec;
        assert_eq!(rules.cluster_resource_whitelist, Vec::<ClusterResource>::new());
        assert_eq!(
            serde_json::to_value(&rules.destinations).unwrap(),
            json!([{"name": "staging", "namespace": "pr-7-dev"}])
        );
        assert!(rules.namespace_resource_blacklist.iter().any(|denied| denied.kind == "ResourceQuota"));
        assert_eq!(rules.source_repos, own.source_repos);

        let application = deployment.application("pr-7-dev", true);
        assert_eq!((application.spec.project(), application.destination_namespace()), ("pr-7-dev", Some("pr-7-dev")));
        let source = application.spec.sources()[0].clone();
        assert_eq!((source.path(), source.revision()), (Some("apps/shop"), &*"3".repeat(40)));
        assert_eq!(source.kustomize.and_then(|kustomize| kustomize.namespace).as_deref(), Some("pr-7-dev"));
        assert_eq!(application.annotation(annotation::ENVIRONMENT), None, "its directories are no Applications");

        let (namespace, quota) = (deployment.namespace("pr-7-dev"), deployment.quota("pr-7-dev"));
        assert!(is_of(&namespace["metadata"]["labels"], "dev", 7));
        assert!(!is_of(&namespace["metadata"]["labels"], "dev", 77));
        assert_eq!(quota["spec"]["hard"]["services.loadbalancers"], "0");
    }

    #[test]
    fn a_name_that_is_too_long_is_refused() {
        let policy = EphemeralPolicy::default();
        assert_eq!(name(&policy, 7, "dev"), Ok("pr-7-dev".to_owned()));
        let refused = name(&policy, 7, &"x".repeat(60)).unwrap_err();
        assert!(refused.contains("namespacePrefix"), "{refused}");
    }
}
