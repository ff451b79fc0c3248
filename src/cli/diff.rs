//! `diff`: what a sync would change, and in which order, before it does.

mod environments;
mod files;
pub(super) mod show;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use futures::StreamExt as _;
use jiff::Timestamp;

use self::show::{Report, Shown};
use super::cluster::Connection;
use super::report::Paths;
use super::subject::change;
use super::subject::{View, application, directory, random};
use super::terminal::Terminal;
use super::{Exit, Failure, report, tree};
use crate::object::secret::MaskKey;
use crate::plan::{Action, Plan, Run};

/// Show what a sync would change: the plan, and each object's difference
///
/// For a directory or an application of the cluster; a directory of that name wins. Exits with 0 when nothing would
/// change, with 1 when something would, and with 2 when that cannot be told. Values of Secrets are never shown. For
/// example: leeboard diff apps/web/overlays/dev -n shop
#[derive(Debug, Args)]
pub(super) struct Diff {
    /// A directory, or an application's name
    #[arg(value_name = "DIR|APP", required_unless_present_any = ["live", "desired", "env"])]
    what: Option<String>,
    #[command(flatten)]
    manner: directory::Manner,
    /// For an application: branch, tag or commit instead of its own
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// Where a directory's objects go that name no namespace; or where the Application is
    #[arg(short, long)]
    namespace: Option<String>,
    /// Lines around each change
    #[arg(short = 'U', long, value_name = "LINES", default_value_t = 3)]
    unified: usize,
    /// How the result is written
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Output::Terminal)]
    output: Output,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    files: files::Files,
    #[command(flatten)]
    environments: environments::Environments,
}

/// How a difference is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One JSON value
    Json,
    /// YAML; not for --env
    Yaml,
    /// As in a pull request; only for --env
    Markdown,
    /// For a person at a terminal
    Terminal,
}

/// What a person names on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    Directory(PathBuf),
    Application(String),
}

impl What {
    /// A directory that is there, or that can only be meant as one; else an application.
    pub(super) fn of(text: &str) -> Self {
        let looks_like_a_path =
            text.starts_with(['.', '/', '~']) || text.ends_with('/') || text.matches('/').count() > 1;
        if looks_like_a_path || Path::new(text).is_dir() {
            What::Directory(text.into())
        } else {
            What::Application(text.to_owned())
        }
    }
}

impl Diff {
    pub(super) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        if let Some(exit) = self.files.compared()? {
            return Ok(exit);
        }
        if let Some(exit) = self.environments.compared(self.output, terminal)? {
            return Ok(exit);
        }
        if self.output == Output::Markdown {
            return Err(anyhow!("a plan is written for a terminal, as JSON or as YAML; Markdown is for --env").into());
        }
        let runtime = runtime()?;
        let done = runtime.block_on(self.compare(terminal));
        // What still waits for an answer is not waited for.
        runtime.shutdown_background();
        done
    }

    async fn compare(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let cluster = directory::connect(&self.connection).await?;
        terminal.paint(&[format!("asking {} …", cluster.server())]);
        let namespace = self.namespace.as_deref();
        let subject = match What::of(self.what.as_deref().unwrap_or_default()) {
            What::Directory(path) => directory::Local::open(&path, &self.manner)?.subject(&cluster, namespace).await?,
            What::Application(name) => {
                let found = application::find(&cluster, &name, namespace).await?;
                let asked = application::Asked { revision: self.revision.clone(), prune: self.manner.prune };
                application::subject(&cluster, &found, &asked).await?
            }
        };
        terminal.paint(&[format!("comparing {} objects …", subject.desired.objects.len())]);
        let run = Run { revision: subject.revision.as_str().into(), started: 0, attempt: 0, resumed: None };
        let mut view = subject.look(cluster).await?;
        let plan = view.proved_plan(&run).await?;
        let shown = shown(&view, &plan).await?;
        let report = Report { view: &view, plan: &plan, shown: &shown, now: Timestamp::now() };
        for warning in view.subject.warnings.iter().chain(&plan.warnings) {
            let text = report::warning(warning, &Paths::default(), terminal);
            terminal.say(&text);
        }
        match self.output {
            Output::Json => terminal.print(&format!("{}\n", report.to_value(self.unified)))?,
            Output::Yaml => terminal.print(&tree::to_yaml(&report.to_value(self.unified))?)?,
            Output::Markdown | Output::Terminal => {
                let text = report.draw(self.unified, &self.next(), terminal);
                terminal.print(&text)?;
            }
        }
        Ok(report.exit())
    }
}

impl Diff {
    /// The command that does what was shown.
    fn next(&self) -> String {
        let mut words = vec!["leeboard sync".to_owned(), self.what.clone().unwrap_or_default()];
        let valued = [("-n", &self.namespace), ("--revision", &self.revision)];
        words.extend(valued.iter().filter_map(|(flag, value)| Some(format!("{flag} {}", value.as_ref()?))));
        words.extend(self.manner.words());
        words.join(" ")
    }
}

/// A runtime for commands that talk to a cluster.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the part that waits for the network")
}

/// Asks what becomes of each object that a plan touches.
///
/// # Errors
/// When the system has no randomness to hide secrets with.
async fn shown(view: &View, plan: &Plan) -> anyhow::Result<Vec<Shown>> {
    const AT_ONCE: usize = 16;
    let mask = MaskKey::new(random()?);
    let asked = Shown::all(plan).into_iter().map(|mut shown| {
        let mask = mask.clone();
        async move {
            match (&shown.step.action, shown.step.action.object()) {
                (Action::Prune(victim), _) => {
                    shown.gone = change::deleted(view, victim.key(), victim.version(), &mask).await;
                }
                (_, Some(object)) => shown.foretold = Some(change::applied(view, object, &mask).await),
                (_, None) => {}
            }
            shown
        }
    });
    Ok(futures::stream::iter(asked).buffered(AT_ONCE).collect().await)
}
