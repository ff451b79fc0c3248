//! `preview`: what a branch would change in each cluster directory, without a cluster and without a daemon.

mod draw;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};

use self::draw::draw;
use super::cluster::Connection;
use super::cluster_directories::cluster_directories;
use super::diff::runtime;
use super::remotes::{mirror_of, newest};
use super::report::{Paths, Problems};
use super::terminal::Terminal;
use super::walk::{Applications, Place, Rendered, walk};
use super::{Exit, Failure};
use crate::api::argo::{AppProject, Application, PreviewRule};
use crate::error::Diagnostic;
use crate::git::{Merged, Snapshot};
use crate::object::Object;
use crate::preview::comment::{self, Comment, Flavour, Notice, Options, notice};
use crate::preview::full::full;
use crate::preview::mask::Masks;
use crate::preview::policies::Renders;
use crate::preview::risk::{self, Failing, Risk, Standards};
use crate::preview::rules;
use crate::preview::{
    ApplicationPreview, EnvironmentPreview, Facts, Outcome, Preview as Found, Pull, Reach, attribute,
};
use crate::run::previews::policies::{Asked, judge_with};
use crate::source::TreePath;
use crate::source::snapshot::SnapshotFiles;

/// Bytes of text: more than anybody reads.
const MOST: usize = 16 << 20;

/// Show what a branch would change once it was merged; needs no cluster
///
/// Merges the two branches in memory, renders every directory below `clusters` and all Applications that these lead to, as
/// far as their files are in this repository, and prints what differs: the text that the daemon comments, as far as no
/// cluster is needed for it. Admission policies of the repository are evaluated on what changes; with `--kubeconfig` or
/// `--context` also those of that cluster, which is asked for nothing else. Exits with 0 when nothing changes, with 2 when something does, with 3 when a risk is found
/// that `--fail` names
#[derive(Debug, Args)]
pub(super) struct Preview {
    /// The branch that is merged into
    #[arg(long, value_name = "REVISION", default_value = "main")]
    base: String,
    /// The branch that is merged
    #[arg(long, value_name = "REVISION", default_value = "HEAD")]
    head: String,
    /// The repository
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
    /// What makes it fail: `red`, `yellow`, or the number of a rule (`R11`)
    #[arg(long, value_name = "RISK")]
    fail: Vec<Failing>,
    /// How the result is written
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Written::Markdown)]
    output: Written,
    #[command(flatten)]
    connection: Connection,
}

/// How a preview is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Written {
    /// The text of a comment
    Markdown,
    /// One JSON value
    Json,
    /// For a person at a terminal
    Terminal,
}

impl Preview {
    pub(super) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let begun = Instant::now();
        let runtime = runtime()?;
        let (base, merged) = match runtime.block_on(self.merged())? {
            (base, Merged::Clean(merged)) => (base, merged),
            (base, Merged::Conflict { paths }) => {
                let about = Pull { number: 0, head: "".into(), base: base.commit().id.to_string().into() };
                let conflict = notice(Flavour::GitHub, "", &about, &Notice::Conflict { files: paths });
                terminal.print(&readable(&conflict))?;
                return Ok(Exit::Trouble);
            }
        };
        let (mut preview, renders) = compared(&base, &merged)
            .map_err(|problem| Failure::Problems(Problems { found: vec![problem], paths: Paths::default() }))?;
        runtime.block_on(self.judge(&mut preview, &renders))?;
        let risks = risk::assess(&preview, &Standards::default());
        tell(&preview, &risks, self.output, begun, terminal)?;
        let fails = risks.iter().any(|risk| self.fail.iter().any(|failing| failing.includes(risk)));
        let broken = |environment: &EnvironmentPreview| {
            environment.applications.iter().any(|one| matches!(one.outcome, Outcome::Failed(_)))
        };
        Ok(match preview.environments.is_empty() {
            true => Exit::Ok,
            false if preview.environments.iter().any(broken) => Exit::Trouble,
            false if fails => Exit::Told(3),
            false => Exit::Told(2),
        })
    }

    /// Notes what admission policies say to each change.
    async fn judge(&self, preview: &mut Found, renders: &AllRenders) -> anyhow::Result<()> {
        let cluster = if self.connection.is_named() { Some(self.connection.connect().await?) } else { None };
        let none = <(Vec<Arc<Object>>, Vec<Arc<Object>>)>::default();
        let projects = projects(renders);
        for environment in &mut preview.environments {
            let (base, merged) = renders.get(environment.name.as_str()).unwrap_or(&none);
            rules::remark_all(environment, |name| Some(projects.get(&project_of(name, base, merged))?.as_slice()));
            let asked = Asked { cluster: cluster.clone(), ..Asked::default() };
            judge_with(environment, &Renders { base, merged }, asked).await;
        }
        Ok(())
    }

    /// The files of the base, and those of the merge result.
    async fn merged(&self) -> anyhow::Result<(Snapshot, Merged)> {
        let mirror = mirror_of(&self.repo)?;
        let base = newest(&mirror, &self.base).await?;
        let head = newest(&mirror, &self.head).await?;
        Ok((mirror.snapshot_at(base.id)?, mirror.merged(base.id, head.id).await?))
    }
}

/// The rules of all projects that stand at the base: a branch may not change what it is judged by.
fn projects(renders: &AllRenders) -> BTreeMap<String, Vec<PreviewRule>> {
    let objects = renders.values().flat_map(|(base, _)| base).filter(|object| object.key.kind == "AppProject");
    let projects = objects.filter_map(|object| crate::api::decode::<AppProject>(&object.body).ok());
    projects.map(|project| (project.name().to_owned(), project.spec.previews.unwrap_or_default().rules)).collect()
}

/// The project of an application, as the base says it; as the branch says it where it is new.
fn project_of(name: &str, base: &[Arc<Object>], merged: &[Arc<Object>]) -> String {
    let mut objects = base.iter().chain(merged).filter(|object| object.key.kind == "Application");
    let found = objects.find(|object| object.key.name == name);
    let application = found.and_then(|object| crate::api::decode::<Application>(&object.body).ok());
    application.map_or_else(|| "default".to_owned(), |application| application.spec.project().to_owned())
}

/// Prints what was found.
pub(super) fn tell(
    preview: &Found,
    risks: &[Risk],
    written: Written,
    begun: Instant,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let masks = Masks::of(preview, Vec::new());
    let text = match written {
        Written::Markdown => {
            let options = Options { most: MOST, took: Some(begun.elapsed()), ..Options::new(Flavour::GitHub) };
            readable(&comment::write(preview, risks, &masks, &options))
        }
        Written::Json => format!("{}\n", serde_json::to_string(&full(preview, risks, &masks))?),
        Written::Terminal => draw(&full(preview, risks, &masks), terminal),
    };
    terminal.print(&text)?;
    Ok(())
}

/// All that is rendered at the base and at the merge result, by environment: policies may be where nothing changes.
type AllRenders = BTreeMap<String, (Vec<Arc<Object>>, Vec<Arc<Object>>)>;

/// Renders both trees, and says what differs.
fn compared(base: &Snapshot, merged: &Snapshot) -> Result<(Found, AllRenders), Diagnostic> {
    let (was, is) = (SnapshotFiles::new(base.clone()), SnapshotFiles::new(merged.clone()));
    let root = TreePath::new(".").map_err(|error| Diagnostic::new(error.to_string()))?;
    let mut directories = cluster_directories(&was, &root)?;
    directories.extend(cluster_directories(&is, &root)?);
    directories.sort();
    directories.dedup();
    // A side that has no `clusters` at all has nothing to compare the other side's with.
    if directories.len() > 1 {
        directories.retain(|directory| *directory != root);
    }
    let commit = |snapshot: &Snapshot| snapshot.commit().id.to_string().into();
    let about = Pull { number: 0, head: commit(merged), base: commit(base) };
    let (was, is) = (walk(&was, &directories)?, walk(&is, &directories)?);
    let mut renders = AllRenders::new();
    for (place, objects) in &was {
        renders.entry(place.environment.clone()).or_default().0.extend(objects.iter().flatten().cloned());
    }
    for (place, objects) in &is {
        renders.entry(place.environment.clone()).or_default().1.extend(objects.iter().flatten().cloned());
    }
    Ok((differences(was, is, about), renders))
}

/// What differs between two renders of the same cluster directories.
pub(super) fn differences(mut before: Applications, mut after: Applications, about: Pull) -> Found {
    let places: BTreeSet<_> = before.keys().chain(after.keys()).cloned().collect();
    let mut environments: BTreeMap<String, EnvironmentPreview> = BTreeMap::new();
    for place in places {
        let (was, is) = (taken(&mut before, &place), taken(&mut after, &place));
        let was = was.unwrap_or_default();
        let (outcome, is) = match is {
            Ok(is) => {
                let changes = attribute::declared(&was, &is);
                if changes.is_empty() {
                    continue;
                }
                (Outcome::Planned(attribute::planned(changes, None, BTreeMap::new())), is)
            }
            Err(problems) => (Outcome::Failed(problems), Vec::new()),
        };
        let environment = environments.entry(place.environment.clone()).or_insert_with(|| EnvironmentPreview {
            name: place.environment.as_str().into(),
            cluster: place.environment.as_str().into(),
            reach: Reach::Compared,
            applications: Vec::new(),
            facts: Facts::default(),
        });
        environment.facts.base.extend(was);
        environment.facts.merged.extend(is);
        environment.applications.push(ApplicationPreview { name: place.application.as_str().into(), outcome });
    }
    for environment in environments.values_mut() {
        attribute::transfer(&mut environment.applications);
    }
    let environments = environments.into_values().collect();
    Found { instance: "cli".into(), pull: about, environments, deployed: Vec::new(), carried: Vec::new() }
}

/// What an application renders to; nothing where it is not.
fn taken(applications: &mut Applications, place: &Place) -> Rendered {
    applications.remove(place).unwrap_or_else(|| Ok(Vec::new()))
}

/// What it says, without what only a forge's comment needs.
fn readable(comment: &Comment) -> String {
    format!("{}\n", comment.said.trim_matches('\n'))
}
