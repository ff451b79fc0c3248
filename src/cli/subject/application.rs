//! An Application of the cluster as a subject: its sources are fetched and rendered here, on this machine.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::Failure;
use super::super::nearest::nearest;
use super::super::remotes::newest;
use super::super::report::{Paths, Problems};
use super::{Subject, state_directory, told, unreachable};
use crate::api::argo::{AppProject, Application};
use crate::api::leeboard::Environment;
use crate::api::{self, ARGO_GROUP, LEEBOARD_GROUP, VERSION};
use crate::error::Diagnostic;
use crate::git::{Commit, CredentialStore, LocalRepositories, Mirrors, RepoUrl};
use crate::kustomize::Bases;
use crate::live::client::{Cluster, Error, ListOptions};
use crate::live::record::KindVersion;
use crate::object::{GroupKind, Object, ObjectKey, annotation};
use crate::plan::{Inventory, Owner, Policy, Project, ShrinkGuard};
use crate::render::{self, ClusterDirectory, Limits, Request};
use crate::source::snapshot::SnapshotFiles;

/// What is asked of an Application where it is not what its spec says.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Asked {
    /// Branch, tag or commit.
    pub(in super::super) revision: Option<String>,
    /// Delete what git no longer has, whatever the policy says.
    pub(in super::super) prune: bool,
}

/// The Application of this name.
///
/// # Errors
/// When there is none, or several; with the name that was meant, if one is near.
pub(in super::super) async fn find(
    cluster: &Cluster,
    name: &str,
    namespace: Option<&str>,
) -> Result<Application, Failure> {
    super::reached(cluster).await?;
    let (namespace, name) = name.split_once('/').map_or((namespace, name), |(namespace, name)| (Some(namespace), name));
    let all = list(cluster, namespace).await?;
    let mut found: Vec<&Value> = all.iter().filter(|body| text(body, "/metadata/name") == name).collect();
    match (found.pop(), found.is_empty()) {
        (Some(body), true) => {
            Ok(api::decode(body).map_err(|error| anyhow!(error)).with_context(|| format!("cannot read `{name}`"))?)
        }
        (Some(_), false) => {
            let problem = Diagnostic::new(format!("there are several applications `{name}`"));
            Err(told(problem.with_hint("Say which with `--namespace`.")))
        }
        (None, _) => {
            let known: Vec<&str> = all.iter().map(|body| text(body, "/metadata/name")).collect();
            let mut problem = Diagnostic::new(format!("there is no application and no directory `{name}`"));
            problem.hint = match nearest(name, known.iter().copied()) {
                Some(near) => Some(format!("Did you mean `{near}`?")),
                None if known.is_empty() => Some("The cluster has no applications at all.".into()),
                None => Some("`leeboard get` lists the applications.".into()),
            };
            Err(told(problem))
        }
    }
}

async fn list(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<Value>, Failure> {
    let options = ListOptions { namespace: namespace.map(Into::into), ..ListOptions::default() };
    match cluster.list(&GroupKind::new(ARGO_GROUP, "Application"), VERSION, &options).await {
        Ok(all) => Ok(all),
        Err(Error::NoKind { .. }) => Err(told(
            Diagnostic::new(format!("the cluster at {} does not know Applications", cluster.server())).with_hint(
                "Install the kinds with `leeboard crds | kubectl apply --server-side -f -`, or name a directory.",
            ),
        )),
        Err(error) => Err(unreachable(cluster, &error)),
    }
}

fn text<'a>(body: &'a Value, pointer: &str) -> &'a str {
    body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Which objects the applications of a cluster say they have; nothing where there are none, or we may not know.
pub(in super::super) async fn claims(cluster: &Cluster) -> BTreeMap<ObjectKey, String> {
    let all = list(cluster, None).await.unwrap_or_default();
    let applications = all.iter().filter_map(|body| api::decode::<Application>(body).ok());
    let mut claims = BTreeMap::new();
    for application in applications {
        let name = application.tracking_name(control_namespace(&application));
        for resource in application.status.iter().flat_map(|status| &status.resources) {
            if !resource.requires_pruning {
                claims.insert(key_of(resource), name.clone());
            }
        }
    }
    claims
}

fn key_of(resource: &api::argo::ResourceStatus) -> ObjectKey {
    ObjectKey {
        group: (&*resource.group).into(),
        kind: (&*resource.kind).into(),
        namespace: Some(&*resource.namespace).filter(|namespace| !namespace.is_empty()).map(Into::into),
        name: (&*resource.name).into(),
    }
}

/// Where the daemon that looks after it is.
fn control_namespace(application: &Application) -> &str {
    let status = application.status.as_ref();
    status.and_then(|status| status.controller_namespace.as_deref()).unwrap_or(application.namespace())
}

/// Renders an Application as the daemon would.
///
/// # Errors
/// What stands in the way of the daemon too.
pub(in super::super) async fn subject(
    cluster: &Cluster,
    application: &Application,
    asked: &Asked,
) -> Result<Subject, Failure> {
    let spec = &application.spec;
    let destination = &spec.destination;
    if !destination.is_in_cluster() && destination.server.as_deref() != Some(cluster.server()) {
        let other = destination.name.as_deref().or(destination.server.as_deref()).unwrap_or("nothing");
        let problem = Diagnostic::new(format!("`{}` goes to another cluster: {other}", application.name()));
        return Err(told(problem.with_hint("Only the cluster that has the Application can be compared.")));
    }
    let control = control_namespace(application);
    let owner = Owner::new(
        application.name(),
        application.namespace(),
        &application.tracking_name(control),
        destination.clone(),
    );
    let project = project(cluster, application, control, &owner).await?;
    let (objects, commit, from, warnings) = rendered(cluster, application, asked, control).await?;
    let desired = Subject::desired(cluster, objects, &owner).await?;
    let automated = spec.automated();
    let status = application.status.as_ref();
    let before = status.into_iter().flat_map(|status| &status.resources);
    let kinds_before: BTreeSet<KindVersion> = before
        .filter(|resource| !resource.kind.is_empty() && !resource.version.is_empty())
        .map(|resource| KindVersion::new(GroupKind::new(&*resource.group, &*resource.kind), &*resource.version))
        .collect();
    let inventory = application.annotation(annotation::INVENTORY).map(Inventory::parse);
    Ok(Subject {
        name: application.name().to_owned(),
        from,
        revision: commit,
        owner,
        project,
        policy: Policy {
            prune: asked.prune || automated.is_some_and(|automated| automated.prune),
            allow_empty: automated.is_none_or(|automated| automated.allow_empty),
            options: spec.sync_options(),
            hooks: true,
            shrink: Some(ShrinkGuard::default()),
            namespace_metadata: spec.sync_policy.as_ref().and_then(|policy| policy.managed_namespace_metadata.clone()),
            ..Policy::default()
        },
        desired,
        inventory: inventory.and_then(Result::ok).unwrap_or_default(),
        claims: claims(cluster).await,
        kinds_before,
        warnings,
        files: BTreeSet::new(),
    })
}

async fn project(
    cluster: &Cluster,
    application: &Application,
    control: &str,
    owner: &Owner,
) -> Result<Project, Failure> {
    let name = application.spec.project();
    let key = ObjectKey {
        group: ARGO_GROUP.into(),
        kind: "AppProject".into(),
        namespace: Some(control.into()),
        name: name.into(),
    };
    let project = match cluster.find(&key, VERSION).await {
        Ok(Some(body)) => Project::new(&api::decode::<AppProject>(&body).map_err(|error| anyhow!(error))?),
        Ok(None) | Err(Error::NoKind { .. }) if name == "default" => Project::new(&AppProject::permissive(control)),
        Ok(None) | Err(Error::NoKind { .. }) => {
            return Err(anyhow!("`{}` is of the project `{name}`, which does not exist", application.name()).into());
        }
        Err(error) => return Err(unreachable(cluster, &error)),
    };
    let repositories = application.spec.sources().into_iter().map(|source| source.repo_url.as_str());
    let denials =
        project.denials(application.name(), application.namespace(), control, repositories, &owner.destination);
    match denials.as_slice() {
        [] => Ok(project),
        denials => Err(Failure::Problems(Problems {
            found: denials.iter().map(|denial| Diagnostic::new(denial.to_string())).collect(),
            paths: Paths::default(),
        })),
    }
}

type Rendered = (Vec<Object>, String, String, Vec<Diagnostic>);

async fn rendered(
    cluster: &Cluster,
    application: &Application,
    asked: &Asked,
    control: &str,
) -> Result<Rendered, Failure> {
    let sources = application.spec.sources();
    if asked.revision.is_some() && sources.len() > 1 {
        return Err(anyhow!("`{}` has several sources: `--revision` cannot say which", application.name()).into());
    }
    let mirrors = Mirrors::new(state_directory(), LocalRepositories::Allowed);
    mirrors.set_credentials(credentials(cluster, control).await);
    let cluster_directory = environment(cluster, application).await.as_ref().map(ClusterDirectory::of);
    let mut manifests = Vec::new();
    let (mut first, mut from): (Option<Commit>, Vec<String>) = (None, Vec::new());
    for source in sources.iter().filter(|source| !source.is_reference_only()) {
        let url = RepoUrl::parse(&source.repo_url).map_err(|error| anyhow!("{error}"))?;
        let revision = asked.revision.as_deref().unwrap_or(source.revision());
        let failed = |error: crate::git::Error| told(Diagnostic::from(&error));
        let mirror = mirrors.mirror(&url);
        let commit = newest(&mirror, revision).await.map_err(failed)?;
        let files = SnapshotFiles::new(mirror.snapshot(&commit).map_err(failed)?);
        let id = commit.id.to_string();
        let request = Request {
            application: application.name(),
            namespace: application.destination_namespace(),
            project: application.spec.project(),
            source,
            commit: &id,
            cluster_directory: cluster_directory.as_ref(),
            limits: Limits::default(),
        };
        let manifest = render::manifest(&files, &request, &Bases::default()).map_err(|mut found| {
            let at = format!("in: {revision} at {} \"{}\"", commit.short(), commit.subject);
            for problem in &mut found {
                // A line of a file may be a secret's value.
                problem.line = None;
                problem.notes.push(at.clone());
            }
            Failure::Problems(Problems { found, paths: Paths::default() })
        })?;
        from.push(format!("{revision} {} \"{}\"", commit.short(), commit.subject));
        first.get_or_insert(commit);
        manifests.push(manifest);
    }
    let mut warnings: Vec<Diagnostic> = manifests.iter().flat_map(|manifest| manifest.warnings.clone()).collect();
    let all = manifests.into_iter().map(|manifest| manifest.objects);
    let (mut objects, repeated) = render::concatenate(all, application.destination_namespace());
    warnings.extend(repeated);
    if cluster_directory.is_some() {
        objects.iter_mut().for_each(|object| bring_home(object, control));
    }
    let commit = first.map(|commit| commit.id.to_string()).unwrap_or_default();
    Ok((objects, commit, from.join(", "), warnings))
}

/// Applications and projects of a cluster directory belong to the control plane's namespace when they name none.
fn bring_home(object: &mut Object, control: &str) {
    let is_ours = object.key.group == ARGO_GROUP || object.key.group == LEEBOARD_GROUP;
    if is_ours && object.key.namespace.is_none() {
        object.set_namespace(control);
    }
}

/// The Environment whose cluster directory an Application is.
async fn environment(cluster: &Cluster, application: &Application) -> Option<Environment> {
    let name = application.annotation(annotation::ENVIRONMENT)?;
    let key = ObjectKey {
        group: LEEBOARD_GROUP.into(),
        kind: "Environment".into(),
        namespace: Some(application.namespace().into()),
        name: name.into(),
    };
    api::decode(&cluster.find(&key, VERSION).await.ok()??).ok()
}

/// What opens repositories, as far as this person may read it.
pub(in super::super) async fn credentials(cluster: &Cluster, control: &str) -> CredentialStore {
    let mut store = CredentialStore::new();
    let options = ListOptions {
        namespace: Some(control.into()),
        labels: Some("argocd.argoproj.io/secret-type in (repository,repo-creds)".into()),
        fields: None,
    };
    let secrets = cluster.list(&GroupKind::new("", "Secret"), "v1", &options).await.unwrap_or_default();
    for secret in &secrets {
        let data = decoded(secret);
        let labels = secret.pointer("/metadata/labels");
        let kind = labels.and_then(|labels| labels.get("argocd.argoproj.io/secret-type")).and_then(Value::as_str);
        // What a Secret lacks shows when the repository does not open.
        let _ = match kind {
            Some("repo-creds") => store.add_template_secret(&data),
            _ => store.add_repository_secret(&data).map(drop),
        };
    }
    for (name, is_hosts) in [("argocd-ssh-known-hosts-cm", true), ("argocd-tls-certs-cm", false)] {
        let key = ObjectKey {
            group: "".into(),
            kind: "ConfigMap".into(),
            namespace: Some(control.into()),
            name: name.into(),
        };
        let Ok(Some(map)) = cluster.find(&key, "v1").await else { continue };
        for (name, value) in map.get("data").and_then(Value::as_object).into_iter().flatten() {
            match value.as_str() {
                Some(text) if is_hosts && name == "ssh_known_hosts" => store.add_known_hosts(text),
                Some(pem) if !is_hosts => store.add_certificates(name, pem.as_bytes()),
                _ => {}
            }
        }
    }
    store
}

fn decoded(secret: &Value) -> BTreeMap<String, Vec<u8>> {
    let data = secret.get("data").and_then(Value::as_object).into_iter().flatten();
    data.filter_map(|(name, value)| Some((name.clone(), STANDARD.decode(value.as_str()?).ok()?))).collect()
}
