//! Leeboard's own kinds: `Environment`, the front door; and what carries commits from one to the next.

pub mod promotion;
pub mod signatures;
pub mod vulnerabilities;

mod images;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::promotion::{PromotionPolicy, PromotionTrack};
use super::argo::{Application, ApplicationSpec, Automated, Destination, HealthStatus, Source, SyncPolicy, SyncStatus};
use super::{LEEBOARD_GROUP, api_version, duration, impl_resource, is_false, kind, lenient, named};
use crate::object::annotation;

pub use images::{FollowedImage, ImagePolicy, ImageUpdates};

/// An environment branch, a cluster directory in it, and the cluster that it is for.
///
/// The cluster directory becomes one Application of the environment's name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// Always `leeboard.dev/v1alpha1`.
    #[serde(default = "api_version::<Environment>")]
    pub api_version: String,
    /// Always `Environment`.
    #[serde(default = "kind::<Environment>")]
    pub kind: String,
    /// Name, namespace.
    pub metadata: ObjectMeta,
    /// What a user wrote.
    pub spec: EnvironmentSpec,
    /// What was found; a subresource.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub status: Option<EnvironmentStatus>,
}

impl_resource!(Environment, LEEBOARD_GROUP, "Environment", "environments");

impl Environment {
    /// The environment with this name.
    pub fn new(name: &str, namespace: &str, spec: EnvironmentSpec) -> Self {
        Environment {
            api_version: api_version::<Self>(),
            kind: kind::<Self>(),
            metadata: named(name, namespace),
            spec,
            status: None,
        }
    }

    /// The Application that its cluster directory becomes.
    pub fn root_application(&self) -> Application {
        let spec = ApplicationSpec {
            source: Some(Source {
                repo_url: self.spec.repo_url.clone(),
                path: Some(self.spec.path().to_owned()),
                target_revision: Some(self.spec.branch().to_owned()),
                ..Source::default()
            }),
            destination: self.spec.destination(),
            project: self.spec.project().to_owned(),
            sync_policy: Some(self.spec.sync_policy()),
            ..ApplicationSpec::default()
        };
        let mut application = Application::new(self.name(), self.namespace(), spec);
        let mark = (annotation::ENVIRONMENT.to_owned(), self.name().to_owned());
        application.metadata.annotations = Some([mark].into());
        application
    }
}

/// What a user wrote about an [`Environment`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvironmentSpec {
    /// The repository: `https://…`, `ssh://…`, `git@host:path` or `file:///…`.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// The environment branch; the repository's default branch when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The cluster directory, relative to the repository's root; the root itself when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The cluster; the one that Leeboard runs in when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Destination>,
    /// The AppProject whose rules hold for what the cluster directory holds; `default` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// When and how to sync. When absent: automated, with self-heal and prune.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_policy: Option<SyncPolicy>,
    /// How often the branch is looked at when nobody notifies; 1m when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Leave the cluster as it is until this is false again.
    #[serde(skip_serializing_if = "is_false")]
    pub suspend: bool,
    /// What follows from canaries of this environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryPolicy>,
    /// What pull requests against the branch are told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previews: Option<PreviewPolicy>,
    /// Which images follow their registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<ImageUpdates>,
    /// How commits arrive on the branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion: Option<PromotionPolicy>,
}

/// What pull requests against an environment's branch are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PreviewPolicy {
    /// Whether they are looked at; when absent: as soon as there is a credential for the forge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The forge, where the installation's Secrets do not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forge: Option<ForgeReference>,
    /// Whether there is a comment; `update` when absent.
    pub comment: CommentMode,
    /// Which statuses there are on a head; `single` when absent.
    pub status: StatusMode,
    /// What makes the status a failure: `red`, `yellow`, or the number of a rule (`R11`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fail: Vec<String>,
    /// What becomes of pull requests from other repositories; `none` when absent.
    pub forks: ForkPolicy,
    /// Leave pull requests alone that are not meant to be merged yet.
    #[serde(skip_serializing_if = "is_false")]
    pub skip_drafts: bool,
    /// What the status says when a cluster does not answer; `neutral` when absent.
    pub unreachable: UnreachablePolicy,
    /// Bytes of a comment; may only lower what the forge takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u32>,
    /// How often the forge is asked when no webhook tells; 5m when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Also deploy each pull request into a namespace of its own, until it ends. Never those from other repositories.
    #[serde(skip_serializing_if = "is_false")]
    pub deploy: bool,
    /// What, where and for how long, with `deploy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<EphemeralPolicy>,
}

/// How pull requests are deployed before they are merged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EphemeralPolicy {
    /// The directory that is deployed, relative to the repository's root; the environment's own when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only pull requests with this label; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How long after its last push one is taken away; 24h when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// How many there may be at once; 5 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// What the namespace's name begins with; `pr-` when absent, as in `pr-7-dev`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[a-z0-9]([-a-z0-9]*)$"), length(max = 20))]
    pub namespace_prefix: Option<String>,
    /// `hard` of the namespace's ResourceQuota; when absent: 50 pods, 10 volume claims, no load balancer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub quota: BTreeMap<String, String>,
}

impl EphemeralPolicy {
    /// The default of [`EphemeralPolicy::ttl`].
    pub const TTL: Duration = Duration::from_secs(24 * 3600);
    /// What [`EphemeralPolicy::ttl`] may not go below.
    pub const SHORTEST_TTL: Duration = Duration::from_secs(60);
    /// The default of [`EphemeralPolicy::max`].
    pub const MAX: u32 = 5;

    /// How long after its last push one is taken away; never at once.
    pub fn ttl(&self) -> Duration {
        let asked = self.ttl.as_deref().and_then(duration::parse);
        asked.map_or(Self::TTL, |ttl| ttl.max(Self::SHORTEST_TTL))
    }

    /// How many there may be at once.
    pub fn max(&self) -> usize {
        usize::try_from(self.max.unwrap_or(Self::MAX)).unwrap_or(usize::MAX)
    }

    /// What the namespace's name begins with.
    pub fn namespace_prefix(&self) -> &str {
        self.namespace_prefix.as_deref().unwrap_or("pr-")
    }

    /// `hard` of the namespace's ResourceQuota.
    pub fn quota(&self) -> BTreeMap<String, String> {
        if !self.quota.is_empty() {
            return self.quota.clone();
        }
        let few = [("pods", "50"), ("persistentvolumeclaims", "10"), ("services.loadbalancers", "0")];
        few.map(|(what, many)| (what.to_owned(), many.to_owned())).into()
    }
}

impl PreviewPolicy {
    /// The default of [`PreviewPolicy::interval`].
    pub const INTERVAL: Duration = Duration::from_secs(300);
    /// What [`PreviewPolicy::interval`] may not go below.
    pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(10);

    /// How often the forge is asked when no webhook tells; never more often than is allowed.
    pub fn interval(&self) -> Duration {
        let asked = self.interval.as_deref().and_then(duration::parse);
        asked.map_or(Self::INTERVAL, |interval| interval.max(Self::SHORTEST_INTERVAL))
    }
}

/// Where pull requests are.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ForgeReference {
    /// `github`, `gitlab`, `gitea`, `forgejo`, `bitbucket` or `bitbucketserver`; when absent the host says it.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The address at which people find it; when absent that of the repository's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Name of a Secret in the same namespace, with `token`, or a GitHub App's keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
    /// Who of the forge is whom in the cluster: what they ask for in comments, and say in reviews, is theirs there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub user_map: Vec<ForgeUser>,
}

impl ForgeReference {
    /// Who an account of the forge is in the cluster.
    pub fn person(&self, id: &str, login: &str) -> Option<&ForgeUser> {
        self.user_map.iter().find(|one| match (&one.id, &one.login) {
            (Some(known), _) => known == id,
            (None, Some(known)) => known.eq_ignore_ascii_case(login),
            (None, None) => false,
        })
    }
}

/// An account of a forge, and who that is in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ForgeUser {
    /// The account's name. Whoever gets that name later is taken for the same person, unless `id` is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The account's number (of Bitbucket Cloud its UUID), which no other account ever gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The API server's name for them.
    pub user: String,
    /// The groups that they are of there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
}

/// Whether a preview is commented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CommentMode {
    /// One comment, edited in place.
    #[default]
    Update,
    /// No comment, only a status.
    None,
}

/// Which statuses there are on a pull request's head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StatusMode {
    /// One, `leeboard/preview`.
    #[default]
    Single,
    /// One for each Environment of the branch, `leeboard/preview/NAME`: each can be required by itself.
    PerEnvironment,
    /// None.
    None,
}

/// What becomes of pull requests from other repositories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ForkPolicy {
    /// They are not looked at.
    #[default]
    None,
    /// Those with the label `leeboard/preview` are compared with the target branch, until there is another push.
    Label,
    /// Those of people who may write to the repository are compared with the target branch.
    Members,
    /// All are compared with the target branch.
    All,
}

/// What a status says when a cluster does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum UnreachablePolicy {
    /// That nothing was found out.
    #[default]
    Neutral,
    /// A failure.
    Fail,
    /// A success.
    Success,
}

/// What follows from canaries of an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CanaryPolicy {
    /// What is done in git about a commit whose version failed; `none` when absent. For `revert` and `pr` the branch has to be
    /// named, and the credentials of its repository have to allow a push; `pr` needs the forge's Secret too.
    pub rollback: Rollback,
}

/// What is done in git about a commit whose version failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Rollback {
    /// Nothing: it is reported.
    #[default]
    None,
    /// Another commit on the environment branch takes it back.
    Revert,
    /// A pull request asks to take it back.
    #[serde(rename = "pr")]
    PullRequest,
}

impl EnvironmentSpec {
    /// The default of [`EnvironmentSpec::interval`].
    pub const INTERVAL: Duration = Duration::from_secs(60);
    /// What [`EnvironmentSpec::interval`] may not go below.
    pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(10);

    /// The branch, or `HEAD` for the repository's default branch.
    pub fn branch(&self) -> &str {
        self.branch.as_deref().filter(|branch| !branch.is_empty()).unwrap_or("HEAD")
    }

    /// The cluster directory; `.` is the repository's root.
    pub fn path(&self) -> &str {
        self.path.as_deref().map(|path| path.trim_end_matches('/')).filter(|path| !path.is_empty()).unwrap_or(".")
    }

    /// The cluster.
    pub fn destination(&self) -> Destination {
        self.destination.clone().filter(|d| d.server.is_some() || d.name.is_some()).unwrap_or_else(|| Destination {
            name: Some(Destination::IN_CLUSTER_NAME.into()),
            namespace: self.destination.as_ref().and_then(|d| d.namespace.clone()),
            server: None,
        })
    }

    /// The AppProject's name.
    pub fn project(&self) -> &str {
        self.project.as_deref().filter(|project| !project.is_empty()).unwrap_or("default")
    }

    /// When and how to sync; while it is suspended, only a person starts a sync.
    pub fn sync_policy(&self) -> SyncPolicy {
        let mut policy = self.policy_of_children();
        if let Some(automated) = policy.automated.as_mut().filter(|_| self.suspend) {
            automated.enabled = Some(false);
        }
        policy
    }

    /// The same while it is not suspended: what Applications that are made of its sub-directories get.
    pub fn policy_of_children(&self) -> SyncPolicy {
        let by_itself = || SyncPolicy {
            automated: Some(Automated { prune: true, self_heal: true, ..Automated::default() }),
            ..SyncPolicy::default()
        };
        self.sync_policy.clone().unwrap_or_else(by_itself)
    }

    /// How often the branch is looked at when nobody notifies; never shorter than the shortest allowed.
    pub fn interval(&self) -> Duration {
        self.interval
            .as_deref()
            .and_then(duration::parse)
            .map_or(Self::INTERVAL, |interval| interval.max(Self::SHORTEST_INTERVAL))
    }
}

/// What was found about an [`Environment`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvironmentStatus {
    /// The `metadata.generation` that this status is about.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub observed_generation: Option<i64>,
    /// The branch's newest commit that was seen.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub commit: Option<String>,
    /// The first line of its message.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub subject: Option<String>,
    /// Of its Application.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub sync: Option<SyncStatus>,
    /// The worst of its Application and that one's children.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub health: Option<HealthStatus>,
    /// As Kubernetes writes them; `Ready` sums up.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "lenient")]
    pub conditions: Vec<Condition>,
    /// Name of its Application, in the same namespace.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub application: Option<String>,
    /// Which commits it has and had, and what it takes next.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "lenient")]
    pub promotion: Option<PromotionTrack>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn environment(spec: &serde_json::Value) -> Environment {
        crate::api::decode(&json!({"metadata": {"name": "dev", "namespace": "leeboard"}, "spec": spec})).unwrap()
    }

    #[test]
    fn little_needs_to_be_written() {
        let spec = environment(&json!({"repoURL": "https://git.example.com/x.git"})).spec;
        assert_eq!((spec.branch(), spec.path(), spec.project()), ("HEAD", ".", "default"));
        assert_eq!(spec.interval(), EnvironmentSpec::INTERVAL);
        assert!(spec.destination().is_in_cluster());
        let automated = spec.sync_policy().automated.unwrap();
        assert!(automated.is_on() && automated.prune && automated.self_heal && !automated.allow_empty);
    }

    #[test]
    fn an_interval_is_never_too_short() {
        for (text, seconds) in [("5m", 300), ("10s", 10), ("1s", 10), ("soon", 60)] {
            let spec = environment(&json!({"repoURL": "x", "interval": text})).spec;
            assert_eq!(spec.interval().as_secs(), seconds, "{text}");
        }
    }

    #[test]
    fn the_cluster_directory_becomes_an_application() {
        let environment = environment(&json!({
            "repoURL": "file:///srv/x.git", "branch": "env/dev", "path": "clusters/dev/", "suspend": true,
            "destination": {"server": "https://10.0.0.1:6443", "namespace": "shop"}, "project": "team",
        }));
        let application = environment.root_application();
        assert_eq!((application.name(), application.namespace()), ("dev", "leeboard"));
        assert_eq!(application.annotation(annotation::ENVIRONMENT), Some("dev"));
        assert_eq!(application.destination_namespace(), Some("shop"));
        assert_eq!(application.spec.project(), "team");
        assert!(!application.spec.is_automated(), "it is suspended");
        let sources = application.spec.sources();
        assert_eq!((sources[0].path(), sources[0].revision()), (Some("clusters/dev"), "env/dev"));
    }
}
