//! Two environments instead of a cluster: what of the one was never promoted to the other?
//!
//! What the overlays of two environments say differs on purpose, and tells nothing. So the second environment is compared
//! with itself: its cluster directory as its branch has it, and as the commit of the first environment has it, with the
//! image tags that run there. That is what a promotion of all of it would change.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::anyhow;
use clap::Args;
use serde_json::Value;
use smol_str::SmolStr;

use super::super::cluster_directories::cluster_directories;
use super::super::nearest::nearest;
use super::super::preview::{Written, differences, tell};
use super::super::remotes::{mirror_of, newest};
use super::super::report::{Paths, Problems};
use super::super::terminal::{Symbol, Terminal, counted};
use super::super::walk::{Applications, Place, walk};
use super::super::{Exit, Failure};
use super::{Output, runtime};
use crate::error::Diagnostic;
use crate::git::{self, Mirror, Snapshot};
use crate::object::{Object, image};
use crate::preview::{Outcome, Pull, risk};
use crate::source::TreePath;
use crate::source::snapshot::SnapshotFiles;

/// Environments to compare instead of a cluster's objects.
#[derive(Debug, Args)]
pub(super) struct Environments {
    /// Show what was never promoted from the first environment to the second; no cluster is asked. Each is a directory below
    /// `clusters`, at the branch `env/NAME` where there is one, else at HEAD, or at the revision that is named
    #[arg(long, num_args = 2, value_names = ["FROM[@REVISION]", "TO[@REVISION]"],
        conflicts_with_all = ["what", "live", "desired"])]
    env: Vec<String>,
    /// The repository of --env
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
}

impl Environments {
    /// `None` when no environments are named.
    pub(super) fn compared(&self, output: Output, terminal: &mut Terminal) -> Result<Option<Exit>, Failure> {
        let [from, to] = self.env.as_slice() else { return Ok(None) };
        let begun = Instant::now();
        let written = match output {
            Output::Json => Written::Json,
            Output::Markdown => Written::Markdown,
            Output::Terminal => Written::Terminal,
            Output::Yaml => return Err(anyhow!("--env is written for a terminal, as Markdown or as JSON").into()),
        };
        let (from, to) = runtime()?.block_on(async {
            let mirror = mirror_of(&self.repo)?;
            Ok::<_, anyhow::Error>((Side::of(&mirror, from).await?, Side::of(&mirror, to).await?))
        })?;
        let problem = |found| Failure::Problems(Problems { found: vec![found], paths: Paths::default() });
        let running = from.rendered(&from.name).map_err(problem)?;
        let now = to.rendered(&to.name).map_err(problem)?;
        let mut promoted = from.rendered(&to.name).map_err(problem)?;
        let names = Names { from: &from.name, to: &to.name };
        let meant = names.take_images(&running, &mut promoted);
        let about = Pull { number: 0, head: from.commit(), base: to.commit() };
        let found = differences(now, promoted, about);
        let risks = risk::assess(&found, &risk::Standards::default());
        tell(&found, &risks, written, begun, terminal)?;
        if meant > 0 {
            let note = terminal.symbol(Symbol::Note);
            let objects = counted(meant, "object");
            terminal.say(&format!(
                "{note} left out: {objects} in which {} and {} are meant to differ\n",
                from.name, to.name
            ));
        }
        let applications = || found.environments.iter().flat_map(|environment| &environment.applications);
        Ok(Some(match applications().any(|one| matches!(one.outcome, Outcome::Failed(_))) {
            true => Exit::Trouble,
            false if found.environments.is_empty() => Exit::Ok,
            false => Exit::Found,
        }))
    }
}

/// An environment, and where it stands.
struct Side {
    name: String,
    files: Snapshot,
}

impl Side {
    async fn of(mirror: &Mirror, text: &str) -> anyhow::Result<Side> {
        let (name, commit) = match text.split_once('@') {
            Some((name, revision)) => (name, newest(mirror, revision).await?),
            None => match newest(mirror, &format!("env/{text}")).await {
                Err(git::Error::NoRevision { .. }) => (text, newest(mirror, "HEAD").await?),
                found => (text, found?),
            },
        };
        Ok(Side { name: name.to_owned(), files: mirror.snapshot_at(commit.id)? })
    }

    fn commit(&self) -> SmolStr {
        self.files.commit().id.to_string().into()
    }

    /// What an environment's cluster directory renders to at this commit.
    fn rendered(&self, environment: &str) -> Result<Applications, Diagnostic> {
        let files = SnapshotFiles::new(self.files.clone());
        let root = TreePath::new(".").map_err(|error| Diagnostic::new(error.to_string()))?;
        let all = cluster_directories(&files, &root)?;
        let names: Vec<&str> = all.iter().map(TreePath::file_name).collect();
        let Some(at) = names.iter().position(|name| *name == environment) else {
            let commit = self.files.commit().id.short();
            let missing = Diagnostic::new(format!("commit {commit} has no cluster directory `clusters/{environment}`"));
            return Err(match nearest(environment, names.iter().copied()) {
                Some(name) => missing.with_hint(format!("Did you mean `{name}`?")),
                None => missing.with_hint(format!("There are: {}.", names.join(", "))),
            });
        };
        walk(&files, &all[at..=at])
    }
}

/// How the names of the first environment's objects become those of the second.
struct Names<'a> {
    from: &'a str,
    to: &'a str,
}

impl Names<'_> {
    /// Gives what would be promoted the tags of the images that run in the first environment, and counts the objects in
    /// which the two differ all the same: their overlays say so.
    fn take_images(&self, running: &Applications, promoted: &mut Applications) -> usize {
        let mut meant = 0;
        for (place, objects) in running {
            let Ok(objects) = objects else { continue };
            let there = |application| Place { environment: self.to.to_owned(), application };
            let there = self.readings(&place.application).map(there).find(|place| promoted.contains_key(place));
            let Some(Ok(others)) = there.and_then(|there| promoted.get_mut(&there)) else { continue };
            for object in objects {
                let is_it = |other: &Arc<Object>, name: &str| {
                    other.key.name == name && other.key.group == object.key.group && other.key.kind == object.key.kind
                };
                let at =
                    self.readings(&object.key.name).find_map(|name| others.iter().position(|one| is_it(one, &name)));
                let Some(other) = at.map(|at| &mut others[at]) else { continue };
                take_tags(&object.body, other);
                meant += usize::from(!self.is_same(&object.body, &other.body));
            }
        }
        meant
    }

    /// What something of the first environment may be called in the second.
    fn readings(&self, name: &str) -> impl Iterator<Item = String> {
        [name.to_owned(), self.of(name)].into_iter()
    }

    fn of(&self, name: &str) -> String {
        name.replace(self.from, self.to)
    }

    /// Equal but for the environments' names.
    fn is_same(&self, from: &Value, to: &Value) -> bool {
        match (from, to) {
            (Value::String(from), Value::String(to)) => from == to || self.of(from) == *to,
            (Value::Array(from), Value::Array(to)) => {
                from.len() == to.len() && from.iter().zip(to).all(|(from, to)| self.is_same(from, to))
            }
            (Value::Object(from), Value::Object(to)) => {
                from.len() == to.len()
                    && from.iter().all(|(key, from)| to.get(key).is_some_and(|to| self.is_same(from, to)))
            }
            (from, to) => from == to,
        }
    }
}

/// Containers of the same name take the tags of images that are the same but for it.
fn take_tags(running: &Value, promoted: &mut Arc<Object>) {
    const PODS: [&str; 4] = ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec", "/template/spec", "/spec"];
    for place in PODS.iter().flat_map(|pod| [format!("{pod}/containers"), format!("{pod}/initContainers")]) {
        for container in running.pointer(&place).and_then(Value::as_array).into_iter().flatten() {
            let Some(new) = container["image"].as_str() else { continue };
            let is_same_image = |old: &str| old != new && image::split(old).0 == image::split(new).0;
            let takes_it = |other: &Value| {
                other["name"] == container["name"] && other["image"].as_str().is_some_and(is_same_image)
            };
            let others = promoted.body.pointer(&place).and_then(Value::as_array);
            let Some(at) = others.and_then(|others| others.iter().position(takes_it)) else { continue };
            if let Some(old) = Arc::make_mut(promoted).body.pointer_mut(&format!("{place}/{at}/image")) {
                *old = new.into();
            }
        }
    }
}
