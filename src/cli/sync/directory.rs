//! A directory, applied from here.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;

use super::super::diff::show::{Report, Shown, object_name};
use super::super::report::Paths;
use super::super::subject::directory::{Local, Record};
use super::super::subject::{View, namespace_key};
use super::super::terminal::{Symbol, Terminal, bold, counted, dim};
use super::super::{Exit, Failure, report};
use super::Sync;
use super::changes::Changes;
use super::drive::{Done, Drive};
use super::progress::{Progress, took};
use crate::live::client::Cluster;
use crate::live::record::KindVersion;
use crate::plan::prune::Confirmation;
use crate::plan::{Action, Plan, Run};
use crate::sync::machine::End;

/// Which of the times that a directory is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    Only,
    /// The first one of a watch.
    First,
    /// After a change of a file.
    Again,
}

/// What came of it.
pub(super) struct Applied {
    pub(super) exit: Exit,
    /// The files that it was rendered from.
    pub(super) files: BTreeSet<std::path::PathBuf>,
}

impl Sync {
    /// Applies a directory once.
    pub(super) async fn apply_directory(
        &self,
        cluster: Cluster,
        local: &Local,
        round: Round,
        terminal: &mut Terminal,
    ) -> Result<Applied, Failure> {
        let started = Instant::now();
        terminal.paint(&[format!("asking {} …", cluster.server())]);
        let mut subject = local.subject(&cluster, self.namespace.as_deref()).await?;
        let files = subject.files.clone();
        if self.yes {
            subject.policy.shrink = None;
        }
        let run = Run { revision: "".into(), started: Timestamp::now().as_second(), attempt: 0, resumed: None };
        terminal.paint(&[format!("comparing {} …", counted(subject.desired.objects.len(), "object"))]);
        let mut view = subject.look(cluster).await?;
        let plan = view.proved_plan(&run).await?;
        terminal.wipe();
        for warning in view.subject.warnings.iter().chain(&plan.warnings) {
            let text = report::warning(warning, &Paths::default(), terminal);
            terminal.say(&text);
        }
        let exit = match self.checked(&view, &plan, round, terminal)? {
            Go::Not(exit) => exit,
            Go::On => {
                let plan = self.approved(&mut view, plan, &run, terminal)?;
                self.drive(view, plan, started, terminal).await?
            }
        };
        Ok(Applied { exit, files })
    }

    /// Shows the plan, and sees whether it is one to execute.
    fn checked(&self, view: &View, plan: &Plan, round: Round, terminal: &mut Terminal) -> Result<Go, Failure> {
        if let Some(wanted) = &self.plan
            && (wanted.len() < 8 || !plan.hash.to_string().starts_with(wanted.as_str()))
        {
            let now = plan.hash.short();
            return Err(
                anyhow!("the plan is {now} by now, no longer {wanted}: look at it again with `leeboard diff`").into()
            );
        }
        let is_noop = plan.is_noop() && plan.refusals.is_empty() && plan.withheld.is_empty();
        if is_noop && (round == Round::Again || plan.steps().all(|(_, _, step)| !step.action.is_hook())) {
            let (good, name) = (terminal.symbol(Symbol::Good), bold(&view.subject.name));
            terminal.print(&format!("{good} {name} is in sync ({})\n", counted(plan.counts().kept, "object")))?;
            return Ok(Go::Not(Exit::Ok));
        }
        let shown: Vec<Shown> = Shown::all(plan);
        let report = Report { view, plan, shown: &shown, now: Timestamp::now() };
        let text = report.headline() + &report.steps(terminal) + &report.refusals(terminal);
        terminal.print(&text)?;
        if !plan.refusals.is_empty() {
            return Ok(Go::Not(Exit::Trouble));
        }
        Ok(Go::On)
    }

    /// The plan with a person's word for its deletions.
    fn approved(&self, view: &mut View, plan: Plan, run: &Run, terminal: &mut Terminal) -> Result<Plan, Failure> {
        let home = view.subject.owner.namespace();
        let victims = |plan: &Plan| -> Vec<String> {
            let steps =
                plan.steps().filter(|(_, _, step)| matches!(step.action, Action::Prune(_) | Action::Recreate(_)));
            steps.map(|(_, _, step)| object_name(&step.key, home)).collect()
        };
        let is_awaited = |plan: &Plan| {
            plan.steps().any(|(_, _, step)| match &step.action {
                Action::Prune(victim) => victim.confirmation() == Confirmation::Awaited,
                _ => false,
            })
        };
        self.confirm(&victims(&plan), terminal)?;
        if !is_awaited(&plan) {
            return Ok(plan);
        }
        let is_asked = terminal.is_watched() && std::io::IsTerminal::is_terminal(&std::io::stdin());
        if !self.yes && !is_asked && !self.dry_run {
            return Err(anyhow!("objects with `Prune=confirm` would be deleted: confirm it with `--yes`").into());
        }
        view.subject.policy.deletion_approved = Some(run.started);
        Ok(view.plan(run))
    }

    async fn drive(&self, view: View, plan: Plan, started: Instant, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let counts = plan.counts();
        let progress = Progress::new(&plan, view.subject.owner.namespace());
        let deadline = started + self.timeout;
        let mut drive = Drive::new(view, plan, progress, self.dry_run, deadline);
        let done = drive.run(terminal).await;
        terminal.wipe();
        let name = bold(&drive.view.subject.name);
        let (good, bad) = (terminal.symbol(Symbol::Good), terminal.symbol(Symbol::Bad));
        let time = took(started.elapsed());
        match done {
            Done { end: End::Succeeded, unhealthy } if unhealthy.is_empty() => {
                let parts = [(counts.apply, "applied"), (counts.prune, "pruned"), (counts.kept, "untouched")];
                let parts: Vec<String> = parts
                    .iter()
                    .filter(|(count, _)| *count > 0)
                    .map(|(count, what)| format!("{count} {what}"))
                    .collect();
                let state =
                    if self.dry_run { "would be applied; nothing was changed" } else { "is applied and healthy" };
                terminal.print(&format!("{good} {name} {state}, in {time} ({})\n", parts.join(", ")))?;
                Ok(Exit::Ok)
            }
            Done { end: End::Succeeded, unhealthy } => {
                terminal.print(&format!("{bad} {name} is applied, but not healthy after {time}\n"))?;
                for line in unhealthy {
                    terminal.print(&format!("  {line}\n"))?;
                }
                Ok(Exit::Trouble)
            }
            Done { end, .. } => {
                let why = drive.progress.why(&end);
                terminal.print(&format!("{bad} {name} failed after {time}: {why}\n"))?;
                for line in drive.progress.failures(&end) {
                    terminal.print(&format!("  {bad} {line}\n"))?;
                }
                let left = drive.progress.not_tried();
                if !left.is_empty() {
                    terminal.print(&format!("  {} {}\n", dim("not tried:"), left.join(", ")))?;
                }
                if lacks_namespace(&drive.view).await {
                    terminal.print("  next: the same with `--create-namespace`\n")?;
                }
                Ok(Exit::Trouble)
            }
        }
    }

    /// Applies a directory now and whenever its files change.
    pub(super) async fn watch_directory(
        &self,
        cluster: Cluster,
        path: &Path,
        terminal: &mut Terminal,
    ) -> Result<Exit, Failure> {
        let local = Local::open(path, &self.manner)?;
        let mut changes = Changes::new(path).context("cannot watch files")?;
        let mut round = Round::First;
        loop {
            let applied = tokio::select! {
                applied = self.apply_directory(cluster.clone(), &local, round, terminal) => applied,
                _ = tokio::signal::ctrl_c() => return Ok(Exit::Ok),
            };
            match applied {
                Ok(applied) => changes.also(&applied.files),
                // It may be right after the next change.
                Err(Failure::Problems(problems)) => terminal.say(&problems.draw(terminal)),
                Err(Failure::Other(error)) => terminal.say(&report::failure(&error, terminal)),
            }
            terminal.say(&format!("{}\n", dim(format!("watching {} (Ctrl-C ends it)", path.display()))));
            tokio::select! {
                () = changes.next() => {}
                _ = tokio::signal::ctrl_c() => return Ok(Exit::Ok),
            }
            round = Round::Again;
        }
    }
}

enum Go {
    On,
    Not(Exit),
}

/// True when the namespace of a directory is not there, and was not asked for.
async fn lacks_namespace(view: &View) -> bool {
    let asked = view.subject.policy.options.create_namespace;
    let Some(namespace) = view.subject.owner.namespace().filter(|_| !asked) else { return false };
    matches!(view.cluster.find(&namespace_key(namespace), "v1").await, Ok(None))
}

/// Writes down what is applied by now; a namespace that is not there yet gets its record later.
pub(super) async fn remember(view: &View) -> Result<(), crate::live::client::Error> {
    let Some(namespace) = view.subject.owner.namespace() else { return Ok(()) };
    let live = view.live();
    let owned = live.records.values().filter(|record| view.subject.owner.owns(record.tracking.as_ref(), &record.key));
    let kinds: BTreeSet<KindVersion> = owned
        .map(|record| KindVersion::new(record.key.group_kind(), record.version.clone()))
        .chain(view.subject.desired.objects.iter().map(|wanted| KindVersion::of(&wanted.object)))
        .collect();
    Record::write(&view.cluster, &view.subject.name, namespace, &view.subject.inventory, &kinds).await
}
