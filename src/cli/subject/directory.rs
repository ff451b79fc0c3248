//! A directory on disk as a subject, and the record in the cluster of what was applied from it.
//!
//! The record is a ConfigMap `leeboard-<name>` in the destination namespace: the parent of an ApplySet (KEP-3659), with
//! the same inventory that the daemon keeps in an Application's annotation. Nothing is pruned that is not in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::{Value, json};
use smol_str::{SmolStr, format_smolstr};

use super::super::cluster::Connection;
use super::super::remotes::with_remotes;
use super::super::report::Problems;
use super::super::{Failure, tree};
use super::{Subject, told};
use crate::api::argo::{AppProject, Destination, Directory, Source, SyncOptions};
use crate::error::{Diagnostic, Origin};
use crate::kustomize::Bases;
use crate::live::client::{self, ApplyOptions, Cluster};
use crate::live::record::KindVersion;
use crate::object::{GroupKind, Object, ObjectKey, tracking};
use crate::plan::{Inventory, Owner, Policy, Project, ShrinkGuard};
use crate::render::{self, Limits, Manifest, Request};
use crate::source::detect::{Detected, detect};
use crate::source::{Files as _, TreePath};

/// How a directory is applied.
#[derive(Clone, Debug, Args)]
pub(in super::super) struct Manner {
    /// For a directory: the name under which its objects are remembered [default: the directory's]
    #[arg(long)]
    name: Option<String>,
    /// Delete what is no longer there
    #[arg(long)]
    pub(in super::super) prune: bool,
    /// For a directory: make the namespace if it is not there
    #[arg(long)]
    create_namespace: bool,
    /// For a directory: also apply objects that belong to an application
    #[arg(long)]
    take_over: bool,
    /// For a directory of plain manifests: read its sub-directories too
    #[arg(long, short = 'R')]
    recursive: bool,
}

impl Manner {
    /// The flags again, as they would be written.
    pub(in super::super) fn words(&self) -> Vec<String> {
        let set = [
            ("--prune", self.prune),
            ("--create-namespace", self.create_namespace),
            ("--take-over", self.take_over),
            ("-R", self.recursive),
        ];
        let name = self.name.iter().map(|name| format!("--name {name}"));
        name.chain(set.iter().filter(|(_, given)| *given).map(|(flag, _)| (*flag).to_owned())).collect()
    }
}

/// A directory, opened and named, whether or not a cluster was asked yet.
pub(in super::super) struct Local {
    opened: tree::Opened,
    /// As the person wrote it.
    written: PathBuf,
    name: String,
    manner: Manner,
}

impl Local {
    /// Opens a directory.
    ///
    /// # Errors
    /// When it can't be read, or no name can be made of its own.
    pub(in super::super) fn open(directory: &Path, manner: &Manner) -> Result<Self, Failure> {
        let opened = tree::open(directory, tree::Reach::FileSystem)?;
        let name = match &manner.name {
            Some(name) => name.clone(),
            None => {
                let absolute =
                    directory.canonicalize().with_context(|| format!("cannot read `{}`", directory.display()))?;
                absolute.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
            }
        };
        if !is_name(&name) {
            let problem = Diagnostic::new(format!("`{name}` cannot name what is applied from this directory"));
            return Err(told(problem.with_hint(
                "Give one with `--name`: lower-case letters, digits and `-`, at most 50, a letter or digit at both ends.",
            )));
        }
        Ok(Local { opened, written: directory.to_owned(), name, manner: manner.clone() })
    }

    /// Renders it and looks up what was applied from it before.
    ///
    /// # Errors
    /// What is wrong in its files, or with the way to the cluster.
    pub(in super::super) async fn subject(
        &self,
        cluster: &Cluster,
        namespace: Option<&str>,
    ) -> Result<Subject, Failure> {
        let namespace = namespace.unwrap_or(cluster.default_namespace());
        let mut manifest = self.render(namespace)?;
        let owner = owner(&self.name, namespace);
        let shown = |origin: &mut Option<Origin>| {
            if let Some(origin) = origin {
                origin.file = self.opened.paths.show(&origin.file).into();
            }
        };
        manifest.objects.iter_mut().for_each(|object| shown(&mut object.origin));
        manifest.warnings.iter_mut().for_each(|warning| shown(&mut warning.origin));
        let desired = Subject::desired(cluster, manifest.objects, &owner).await?;
        let record = Record::read(cluster, &self.name, namespace).await?;
        let root = self.opened.files.root();
        let files = manifest.read_set.paths().map(|path| root.join(path.as_str())).collect();
        let mut warnings = manifest.warnings;
        warnings.extend(record.damaged.map(|why| {
            Diagnostic::new(format!("the record of what was applied is not used: {why}"))
                .with_hint("Nothing is pruned that was applied before; a sync makes a new record.")
        }));
        let options = SyncOptions {
            create_namespace: self.manner.create_namespace,
            fail_on_shared_resource: !self.manner.take_over,
            ..SyncOptions::default()
        };
        Ok(Subject {
            name: self.name.clone(),
            from: self.written.display().to_string(),
            revision: String::new(),
            owner,
            project: Project::new(&AppProject::permissive(namespace)),
            policy: Policy {
                prune: self.manner.prune,
                options,
                hooks: true,
                shrink: Some(ShrinkGuard::default()),
                ..Policy::default()
            },
            desired,
            inventory: record.inventory,
            claims: super::application::claims(cluster).await,
            kinds_before: record.kinds,
            warnings,
            files,
        })
    }

    fn render(&self, namespace: &str) -> Result<Manifest, Failure> {
        let (files, directory) = (&self.opened.files, &self.opened.directory);
        let kind = detect(files, directory).map_err(|error| anyhow!(error.to_string()))?;
        let source = Source {
            path: Some(directory.as_str().to_owned()),
            directory: (kind == Detected::Plain)
                .then(|| Directory { recurse: self.manner.recursive, ..Directory::default() }),
            ..Source::default()
        };
        let request = Request {
            application: &self.name,
            namespace: Some(namespace),
            project: "default",
            source: &source,
            commit: "",
            cluster_directory: None,
            limits: Limits::default(),
        };
        let problems = |found| {
            let mut problems = Problems::in_tree(found, files, &self.opened.paths);
            // A line of a Secret may be a value.
            problems.found.iter_mut().for_each(|problem| self.hide_secret(problem));
            Failure::Problems(problems)
        };
        with_remotes(files, |tree| render::manifest(tree, &request, &Bases::default())).map_err(problems)
    }

    /// Takes away the line of a problem that may be a secret's value: all but those of manifests without Secrets.
    fn hide_secret(&self, problem: &mut Diagnostic) {
        let Some(origin) = &problem.origin else { return };
        let is_manifest =
            Path::new(&*origin.file).extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
        let text = TreePath::new(&origin.file).ok().and_then(|path| self.opened.files.read(&path).ok());
        let is_harmless = text.is_some_and(|text| {
            let text = String::from_utf8_lossy(&text).to_lowercase();
            is_manifest && !text.contains("secret")
        });
        if !is_harmless {
            problem.line = None;
        }
    }
}

/// Room is left for what stands before it in the name of its record.
fn is_name(name: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty() && name.len() <= 50 && name.chars().all(is_inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// How the tracking names of directories begin.
const TRACKED: &str = "dir_";

/// True when this tracking name is a directory's.
pub(super) fn is_directory(application: &str) -> bool {
    application.starts_with(TRACKED) && application.matches('_').count() == 2
}

/// Tracked as no Application can be: none has two underscores in its tracking name.
fn owner(name: &str, namespace: &str) -> Owner {
    Owner {
        application: format_smolstr!("{TRACKED}{namespace}_{name}"),
        part_of: tracking::applyset(&record_name(name), namespace, "ConfigMap", ""),
        destination: Destination {
            server: Some(Destination::IN_CLUSTER_SERVER.into()),
            name: Some(Destination::IN_CLUSTER_NAME.into()),
            namespace: Some(namespace.into()),
        },
    }
}

fn record_name(name: &str) -> String {
    format!("leeboard-{name}")
}

fn record_key(name: &str, namespace: &str) -> ObjectKey {
    ObjectKey {
        group: SmolStr::default(),
        kind: "ConfigMap".into(),
        namespace: Some(namespace.into()),
        name: record_name(name).into(),
    }
}

/// What was applied from a directory, as the cluster remembers it.
#[derive(Debug, Default)]
pub(in super::super) struct Record {
    inventory: Inventory,
    kinds: BTreeSet<KindVersion>,
    damaged: Option<String>,
}

impl Record {
    async fn read(cluster: &Cluster, name: &str, namespace: &str) -> Result<Self, Failure> {
        match cluster.find(&record_key(name, namespace), "v1").await {
            Ok(body) => Ok(body.as_ref().map(Record::of).unwrap_or_default()),
            Err(error) => Err(super::unreachable(cluster, &error)),
        }
    }

    fn of(body: &Value) -> Self {
        let text = |field: &str| body.pointer("/data").and_then(|data| data.get(field)).and_then(Value::as_str);
        let inventory = text("inventory").map_or(Ok(Inventory::default()), Inventory::parse);
        let (inventory, damaged) = match inventory {
            Ok(inventory) => (inventory, None),
            Err(error) => (Inventory::default(), Some(error.to_string())),
        };
        let kinds = text("kinds").unwrap_or_default().lines().filter_map(parse_kind).collect();
        Record { inventory, kinds, damaged }
    }

    /// Writes what is applied by now.
    ///
    /// # Errors
    /// The API server's refusal.
    pub(in super::super) async fn write(
        cluster: &Cluster,
        name: &str,
        namespace: &str,
        inventory: &Inventory,
        kinds: &BTreeSet<KindVersion>,
    ) -> Result<(), client::Error> {
        let group_kinds: BTreeSet<String> = kinds.iter().map(|kind| kubectl_name(&kind.kind)).collect();
        let versions: Vec<String> = kinds.iter().map(written_kind).collect();
        let body = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": record_name(name),
                "namespace": namespace,
                "labels": {"applyset.kubernetes.io/id": owner(name, namespace).part_of},
                "annotations": {
                    "applyset.kubernetes.io/tooling": concat!("leeboard/v", env!("CARGO_PKG_VERSION")),
                    "applyset.kubernetes.io/contains-group-kinds":
                        group_kinds.into_iter().collect::<Vec<_>>().join(","),
                },
            },
            "data": {"inventory": inventory.encode(), "kinds": versions.join("\n")},
        });
        let Ok(object) = Object::from_value(body, None) else { return Ok(()) };
        let options = ApplyOptions { force: true, ..ApplyOptions::default() };
        cluster.apply(&object, &options).await.map(drop)
    }
}

/// `Deployment.apps`, as KEP-3659 has it.
fn kubectl_name(kind: &GroupKind) -> String {
    if kind.group.is_empty() { kind.kind.to_string() } else { format!("{}.{}", kind.kind, kind.group) }
}

/// `apps/v1/Deployment`, `v1/Service`.
fn written_kind(kind: &KindVersion) -> String {
    let GroupKind { group, kind: name } = &kind.kind;
    if group.is_empty() { format!("{}/{name}", kind.version) } else { format!("{group}/{}/{name}", kind.version) }
}

fn parse_kind(line: &str) -> Option<KindVersion> {
    let (api_version, kind) = line.rsplit_once('/')?;
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    Some(KindVersion::new(GroupKind::new(group, kind), version))
}

/// A cluster, for a directory.
pub(in super::super) async fn connect(connection: &Connection) -> Result<Cluster, Failure> {
    connection.connect().await.map_err(|error| {
        let mut problem = Diagnostic::new("no cluster to ask")
            .with_hint("Name one with `--kubeconfig` and `--context`, or set `KUBECONFIG`.");
        problem.notes.extend(error.chain().map(ToString::to_string));
        told(problem)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_reads_back() {
        let kinds = [("apps", "v1", "Deployment"), ("", "v1", "Service")]
            .map(|(group, version, kind)| KindVersion::new(GroupKind::new(group, kind), version));
        for kind in kinds {
            assert_eq!(parse_kind(&written_kind(&kind)), Some(kind));
        }
        let record = Record::of(&json!({"data": {"inventory": "v9:", "kinds": "v1/Service\nnonsense"}}));
        assert!(record.damaged.is_some() && record.inventory.is_empty());
        assert_eq!(record.kinds.len(), 1);
    }

    #[test]
    fn names_leave_room_and_fit_an_object_name() {
        for (name, expected) in [("shop", true), ("Shop", false), ("", false), ("-a", false), ("a_b", false)] {
            assert_eq!(is_name(name), expected, "{name}");
        }
    }

    #[test]
    fn no_application_is_tracked_like_a_directory() {
        assert_eq!(owner("web", "shop").application, "dir_shop_web");
    }
}
