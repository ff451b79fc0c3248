//! What an AppProject permits; the only place where permits are made (G6).
//!
//! Rules and sentences are Argo CD's (SEMANTICS e). An object whose scope is not known has to pass the rules of both:
//! a scope is never guessed from the presence of a namespace.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use regex::Regex;
use smol_str::SmolStr;

use crate::api::argo::glob::{self, Separator};
use crate::api::argo::{AppProject, AppProjectSpec, Destination};
use crate::object::{Object, ObjectKey};

use super::{Hook, Scope, Victim};

/// Something that the project allows to be written or deleted. A step takes nothing else, and nothing else makes one
/// than [`Project::permit`]:
///
/// ```compile_fail
/// use leeboard::plan::{Permitted, Victim};
/// fn around_the_check(victim: Victim) -> Permitted<Victim> {
///     Permitted(victim)
/// }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Permitted<T>(T);

impl<T> Deref for Permitted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// What needs a permit.
pub trait Subject {
    /// The object that is touched.
    fn key(&self) -> &ObjectKey;
}

impl Subject for Arc<Object> {
    fn key(&self) -> &ObjectKey {
        &self.key
    }
}

impl Subject for Hook {
    fn key(&self) -> &ObjectKey {
        &self.object.key
    }
}

impl Subject for Victim {
    fn key(&self) -> &ObjectKey {
        Victim::key(self)
    }
}

/// Why something is not permitted, in Argo CD's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The Application names a project that is not there.
    NoProject {
        /// The name.
        project: SmolStr,
    },
    /// Its source is not among `sourceRepos`.
    Source {
        /// As the Application writes it.
        repository: String,
        /// The project.
        project: SmolStr,
    },
    /// Its destination is not among `destinations`.
    Destination {
        /// URL, or name where there is none.
        server: String,
        /// The destination's namespace.
        namespace: String,
        /// The project.
        project: SmolStr,
    },
    /// The Application lives in a namespace that is not among `sourceNamespaces`.
    ApplicationNamespace {
        /// The Application.
        application: SmolStr,
        /// Its namespace.
        namespace: SmolStr,
        /// The project.
        project: SmolStr,
    },
    /// The kind of an object is not allowed.
    Kind {
        /// Empty for the core group.
        group: SmolStr,
        /// In CamelCase.
        kind: SmolStr,
        /// The project.
        project: SmolStr,
    },
    /// The namespace of an object is not allowed.
    Namespace {
        /// The object's own.
        namespace: SmolStr,
        /// The project.
        project: SmolStr,
    },
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denial::NoProject { project } => {
                write!(f, "Application referencing project {project} which does not exist")
            }
            Denial::Source { repository, project } => {
                write!(f, "application repo {repository} is not permitted in project '{project}'")
            }
            Denial::Destination { server, namespace, project } => write!(
                f,
                "application destination server '{server}' and namespace '{namespace}' do not match any of the \
                 allowed destinations in project '{project}'"
            ),
            Denial::ApplicationNamespace { application, namespace, project } => write!(
                f,
                "application '{application}' in namespace '{namespace}' is not permitted to use project '{project}'"
            ),
            Denial::Kind { group, kind, project } => {
                write!(f, "resource {group}:{kind} is not permitted in project {project}")
            }
            Denial::Namespace { namespace, project } => {
                write!(f, "namespace {namespace} is not permitted in project '{project}'")
            }
        }
    }
}

/// The rules of one AppProject.
#[derive(Clone, Debug)]
pub struct Project {
    name: SmolStr,
    rules: AppProjectSpec,
    clusters: Vec<Destination>,
}

impl Project {
    /// The rules as the AppProject has them.
    pub fn new(project: &AppProject) -> Self {
        Project { name: project.name().into(), rules: project.spec.clone(), clusters: Vec::new() }
    }

    /// The same, with the clusters that belong to this project alone (`permitOnlyProjectScopedClusters`).
    pub fn with_clusters(mut self, clusters: Vec<Destination>) -> Self {
        self.clusters = clusters;
        self
    }

    /// Its name.
    pub fn name(&self) -> &SmolStr {
        &self.name
    }

    /// Checks all that an Application says of itself; empty when it may use the project.
    pub fn denials<'a>(
        &self,
        application: &str,
        namespace: &str,
        control_plane_namespace: &str,
        repositories: impl IntoIterator<Item = &'a str>,
        destination: &Destination,
    ) -> Vec<Denial> {
        let mut denials = Vec::new();
        if namespace != control_plane_namespace && !self.permits_application_namespace(namespace) {
            denials.push(Denial::ApplicationNamespace {
                application: application.into(),
                namespace: namespace.into(),
                project: self.name.clone(),
            });
        }
        denials.extend(
            repositories
                .into_iter()
                .filter(|url| !self.permits_source(url))
                .map(|url| Denial::Source { repository: url.to_owned(), project: self.name.clone() }),
        );
        if !self.permits_destination(destination) {
            denials.push(Denial::Destination {
                server: destination.server.clone().or_else(|| destination.name.clone()).unwrap_or_default(),
                namespace: destination.namespace.clone().unwrap_or_default(),
                project: self.name.clone(),
            });
        }
        denials
    }

    /// May applications of a namespace other than the control plane's use the project.
    pub fn permits_application_namespace(&self, namespace: &str) -> bool {
        self.rules.source_namespaces.iter().any(|pattern| {
            match pattern.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
                Some(regex) => Regex::new(regex).is_ok_and(|regex| regex.is_match(namespace)),
                None => glob::matches(pattern, namespace, Separator::None),
            }
        })
    }

    /// May sources come from a repository.
    pub fn permits_source(&self, repository: &str) -> bool {
        let url = normalised(repository);
        let mut permitted = false;
        for pattern in &self.rules.source_repos {
            let (denies, pattern) = negated(pattern);
            let matches = pattern == "*" || glob::matches(&normalised(pattern), &url, Separator::Slash);
            // As in Argo CD, a denial that does not hold is an allowance of all the rest.
            if matches == denies {
                if denies {
                    return false;
                }
            } else {
                permitted = true;
            }
        }
        permitted
    }

    /// May objects go to a namespace of a cluster.
    pub fn permits_destination(&self, destination: &Destination) -> bool {
        let server = destination.server.as_deref().unwrap_or_default();
        let cluster = destination.name.as_deref().unwrap_or_default();
        let namespace = destination.namespace.as_deref().unwrap_or_default();
        let matches = |pattern: Option<&str>, text: &str| {
            let (denies, pattern) = negated(pattern.unwrap_or_default());
            (denies, glob::matches(pattern, text, Separator::None) != denies)
        };
        let mut permitted = false;
        for rule in &self.rules.destinations {
            let (server_denies, server_matches) = matches(rule.server.as_deref(), server);
            let (cluster_denies, cluster_matches) = matches(rule.name.as_deref(), cluster);
            let (namespace_denies, namespace_matches) = matches(rule.namespace.as_deref(), namespace);
            let server_matches = server_matches && !server.is_empty();
            let cluster_matches = cluster_matches && !cluster.is_empty();
            let there = server_matches || cluster_matches;
            if there && namespace_matches {
                permitted = true;
            } else if there && namespace_denies
                || namespace_matches && (server_denies && !server_matches || cluster_denies && !cluster_matches)
            {
                return false;
            }
        }
        permitted && (!self.rules.permit_only_project_scoped_clusters || self.owns_cluster(destination))
    }

    fn owns_cluster(&self, destination: &Destination) -> bool {
        let same = |own: &Option<String>, other: &Option<String>| own.is_some() && own == other;
        self.clusters.iter().any(|own| same(&own.server, &destination.server) || same(&own.name, &destination.name))
    }

    /// May objects of a kind be touched, wherever they are.
    pub fn permits_kind(&self, key: &ObjectKey, scope: Scope) -> bool {
        let matches =
            |group: &str, kind: &str| glob::matches_path(group, &key.group) && glob::matches_path(kind, &key.kind);
        let rules = &self.rules;
        match scope {
            Scope::Cluster => {
                let named = |name: &Option<String>| match name.as_deref() {
                    None | Some("") => true,
                    Some(pattern) => glob::matches_path(pattern, &key.name),
                };
                let listed = |list: &[crate::api::argo::ClusterResource]| {
                    list.iter().any(|rule| matches(&rule.group, &rule.kind) && named(&rule.name))
                };
                listed(&rules.cluster_resource_whitelist) && !listed(&rules.cluster_resource_blacklist)
            }
            Scope::Namespaced => {
                let listed = |list: &[crate::api::argo::NamespacedResource]| {
                    list.iter().any(|rule| matches(&rule.group, &rule.kind))
                };
                rules.namespace_resource_whitelist.as_deref().is_none_or(listed)
                    && !listed(&rules.namespace_resource_blacklist)
            }
        }
    }

    /// The permit to touch one object in a cluster.
    ///
    /// # Errors
    /// With the rule that stands against it.
    pub fn permit<T: Subject>(
        &self,
        subject: T,
        scope: Option<Scope>,
        cluster: &Destination,
    ) -> Result<Permitted<T>, Denial> {
        let key = subject.key();
        let as_cluster_scoped = scope != Some(Scope::Namespaced);
        let as_namespaced = scope != Some(Scope::Cluster);
        if as_cluster_scoped && !self.permits_kind(key, Scope::Cluster)
            || as_namespaced && !self.permits_kind(key, Scope::Namespaced)
        {
            let (group, kind) = (key.group.clone(), key.kind.clone());
            return Err(Denial::Kind { group, kind, project: self.name.clone() });
        }
        if as_namespaced {
            let namespace = key.namespace.clone().unwrap_or_default();
            let place = Destination { namespace: Some(namespace.as_str().to_owned()), ..cluster.clone() };
            if !self.permits_destination(&place) {
                return Err(Denial::Namespace { namespace, project: self.name.clone() });
            }
        }
        Ok(Permitted(subject))
    }

    /// The account as which a destination's requests are made; the first rule that matches.
    ///
    /// Its namespace is the destination's, else the Application's, unless the rule names one.
    pub fn service_account(&self, destination: &Destination, application_namespace: &str) -> Option<String> {
        let server = destination.server.as_deref().unwrap_or_default();
        let namespace = destination.namespace.as_deref().unwrap_or_default();
        let rule = self.rules.destination_service_accounts.iter().find(|rule| {
            glob::matches(&rule.server, server, Separator::None)
                && glob::matches(rule.namespace.as_deref().unwrap_or_default(), namespace, Separator::None)
        })?;
        let account = &rule.default_service_account;
        let default = if namespace.is_empty() { application_namespace } else { namespace };
        let (namespace, name) = account.split_once(':').unwrap_or((default, account));
        Some(format!("system:serviceaccount:{namespace}:{name}"))
    }
}

fn negated(pattern: &str) -> (bool, &str) {
    match pattern.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    }
}

/// A repository URL as rules compare it: `git@host:path` and `ssh://git@host/path` are one, https is another.
fn normalised(url: &str) -> String {
    let url = url.trim().to_lowercase();
    let url = url.strip_suffix(".git").unwrap_or(&url);
    match url.strip_prefix("ssh://") {
        Some(rest) => rest.to_owned(),
        None if url.contains("://") => url.to_owned(),
        None => url.replacen(':', "/", 1),
    }
}
