//! An Application's sync: asked of the daemon as Argo CD's clients do, and followed to its end.

use std::time::{Duration, Instant};

use anyhow::anyhow;
use jiff::Zoned;
use serde_json::{Value, json};

use super::super::subject::{self, application, told};
use super::super::terminal::{Symbol, Terminal, bold, counted};
use super::super::{Exit, Failure};
use super::Sync;
use super::progress::took;
use crate::api::argo::application::Strategy;
use crate::api::argo::{
    Application, Initiator, Operation, OperationPhase, OperationState, ResourceResult, SyncOperation, SyncStrategy,
};
use crate::api::{self, ARGO_GROUP, VERSION};
use crate::error::Diagnostic;
use crate::live::client::{Cluster, Error, Part};
use crate::object::ObjectKey;

/// How often the Application is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// After this somebody should have begun.
const TAKEN_UP: Duration = Duration::from_secs(10);

impl Sync {
    pub(super) async fn sync_application(
        &self,
        cluster: &Cluster,
        name: &str,
        terminal: &mut Terminal,
    ) -> Result<Exit, Failure> {
        let application = application::find(cluster, name, self.namespace.as_deref()).await?;
        if self.manner.prune {
            let resources = application.status.iter().flat_map(|status| &status.resources);
            let pruned = resources.filter(|resource| resource.requires_pruning);
            let names: Vec<String> = pruned.map(|resource| format!("{}/{}", resource.kind, resource.name)).collect();
            self.confirm(&names, terminal)?;
        }
        let key = ObjectKey {
            group: ARGO_GROUP.into(),
            kind: "Application".into(),
            namespace: Some(application.namespace().into()),
            name: application.name().into(),
        };
        self.ask(cluster, &key, &application).await?;
        follow(cluster, &key, self.timeout, terminal).await
    }

    /// Writes the operation, while there is none.
    async fn ask(&self, cluster: &Cluster, key: &ObjectKey, application: &Application) -> Result<(), Failure> {
        let state = application.status.as_ref().and_then(|status| status.operation_state.as_ref());
        if application.operation.is_some() || state.is_some_and(|state| !state.phase.is_completed()) {
            let problem = Diagnostic::new("another operation is already in progress");
            return Err(told(problem.with_hint(format!("`leeboard get {}` shows what it waits for.", key.name))));
        }
        let operation = serde_json::to_value(self.operation(application)).map_err(anyhow::Error::new)?;
        // Who changed the Application meanwhile may have written an operation.
        let patch = json!({
            "metadata": {"resourceVersion": application.metadata.resource_version},
            "operation": operation,
            "status": if application.status.is_some() { json!({"operationState": null}) } else { json!(null) },
        });
        match cluster.merge_patch(key, VERSION, Part::Whole, &patch).await {
            Ok(_) => Ok(()),
            Err(Error::Conflict(_)) => {
                let again = application::find(cluster, &key.name, key.namespace.as_deref()).await?;
                Box::pin(self.ask(cluster, key, &again)).await
            }
            Err(error) => Err(subject::unreachable(cluster, &error)),
        }
    }

    /// As Argo CD's clients write it: the spec's sync options copied, prune only as asked.
    fn operation(&self, application: &Application) -> Operation {
        let policy = application.spec.sync_policy.as_ref();
        Operation {
            sync: Some(SyncOperation {
                revision: self.revision.clone().unwrap_or_default(),
                prune: self.manner.prune,
                dry_run: self.dry_run,
                sync_options: policy.map(|policy| policy.sync_options.clone()).unwrap_or_default(),
                sync_strategy: Some(SyncStrategy { hook: Some(Strategy::default()), apply: None }),
                ..SyncOperation::default()
            }),
            initiated_by: Initiator { username: std::env::var("USER").unwrap_or_default(), automated: false },
            ..Operation::default()
        }
    }
}

/// Shows how the operation gets on until it has ended.
async fn follow(
    cluster: &Cluster,
    key: &ObjectKey,
    timeout: Duration,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let started = Instant::now();
    let mut seen = Seen::default();
    let mut is_told = false;
    loop {
        let body = match cluster.find(key, VERSION).await {
            Ok(Some(body)) => body,
            Ok(None) => return Err(anyhow!("application `{}` has gone meanwhile", key.name).into()),
            Err(error) => return Err(subject::unreachable(cluster, &error)),
        };
        let application: Application = api::decode(&body).map_err(|error| anyhow!(error))?;
        let state = application.status.as_ref().and_then(|status| status.operation_state.clone());
        match &state {
            Some(state) => {
                seen.show(state, terminal);
                if state.phase.is_completed() {
                    return ended(&application, state, started.elapsed(), terminal);
                }
            }
            None if started.elapsed() > TAKEN_UP && !is_told => {
                is_told = true;
                let note = terminal.symbol(Symbol::Note);
                terminal.say(&format!(
                    "{note} nobody has taken up the operation since {}: does `leeboard run` run?\n",
                    took(TAKEN_UP)
                ));
            }
            None => {}
        }
        terminal.paint(&lines(key, state.as_ref(), started.elapsed(), terminal));
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = tokio::signal::ctrl_c() => {
                return Err(anyhow!("no longer followed; the operation goes on (`leeboard get {}`)", key.name).into());
            }
        }
        if started.elapsed() >= timeout {
            let waits_for = state.map(|state| state.message).filter(|message| !message.is_empty());
            let waits_for = waits_for.map(|message| format!(": {message}")).unwrap_or_default();
            return Err(anyhow!("not ended after {}, and no longer followed{waits_for}", took(timeout)).into());
        }
    }
}

/// What was told already, for a pipe.
#[derive(Default)]
struct Seen {
    message: String,
    results: Vec<(String, String)>,
}

impl Seen {
    fn show(&mut self, state: &OperationState, terminal: &mut Terminal) {
        if terminal.is_watched() {
            return;
        }
        let clock = Zoned::now().strftime("%H:%M:%S").to_string();
        for result in state.sync_result.iter().flat_map(|result| &result.resources) {
            let line = (name(result), outcome(result));
            if !self.results.contains(&line) {
                terminal.say(&format!("{clock}  {} {}\n", line.0, line.1));
                self.results.push(line);
            }
        }
        if state.message != self.message && !state.phase.is_completed() {
            terminal.say(&format!("{clock}  {}\n", state.message));
            self.message.clone_from(&state.message);
        }
    }
}

fn name(result: &ResourceResult) -> String {
    format!("{}/{}", result.kind, result.name)
}

/// `synced`, `failed: …`.
fn outcome(result: &ResourceResult) -> String {
    let word = match result.status.as_str() {
        "SyncFailed" => "failed",
        "PruneSkipped" => "stays",
        "Pruned" => "pruned",
        "Synced" => "synced",
        _ => "begun",
    };
    match (word, result.message.lines().next()) {
        ("failed" | "stays", Some(message)) => format!("{word}: {message}"),
        _ => word.to_owned(),
    }
}

fn lines(key: &ObjectKey, state: Option<&OperationState>, elapsed: Duration, terminal: &Terminal) -> Vec<String> {
    let mut lines = vec![format!("{}  {}", bold(&key.name), took(elapsed))];
    let Some(state) = state else {
        lines.push(format!("  {} waiting for the daemon", terminal.symbol(Symbol::Going)));
        return lines;
    };
    let results = state.sync_result.as_ref().map(|result| result.resources.as_slice()).unwrap_or_default();
    let done = results.iter().filter(|result| matches!(result.status.as_str(), "Synced" | "Pruned")).count();
    lines.push(format!(
        "  {} {} of {} in this wave and before",
        terminal.symbol(Symbol::Good),
        done,
        counted(results.len(), "object")
    ));
    for result in results.iter().filter(|result| result.status == "SyncFailed") {
        lines.push(format!("  {} {} {}", terminal.symbol(Symbol::Bad), name(result), outcome(result)));
    }
    lines.push(format!("  {} {}", terminal.symbol(Symbol::Going), state.message));
    lines
}

fn ended(
    application: &Application,
    state: &OperationState,
    elapsed: Duration,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let result = state.sync_result.clone().unwrap_or_default();
    let count = |word: &str| result.resources.iter().filter(|result| result.status == word).count();
    let revision = result.revision.get(..7).unwrap_or(&result.revision).to_owned();
    let (name, time) = (bold(application.name()), took(elapsed));
    if state.phase == OperationPhase::Succeeded {
        let good = terminal.symbol(Symbol::Good);
        let at = if revision.is_empty() { String::new() } else { format!(" is at {revision}") };
        let counts = format!("{} synced, {} pruned", count("Synced"), count("Pruned"));
        let is_dry = state.operation.sync.as_ref().is_some_and(|sync| sync.dry_run);
        let text = if is_dry { format!(" would be at {revision}; nothing was changed") } else { at };
        terminal.print(&format!("{good} {name}{text}, in {time} ({counts})\n"))?;
        for result in result.resources.iter().filter(|result| result.status == "PruneSkipped") {
            let note = terminal.symbol(Symbol::Note);
            terminal.print(&format!("  {note} {} {}\n", self::name(result), outcome(result)))?;
        }
        return Ok(Exit::Ok);
    }
    let bad = terminal.symbol(Symbol::Bad);
    terminal.print(&format!("{bad} {name} failed after {time}: {}\n", state.message))?;
    for result in &result.resources {
        let is_bad = result.status == "SyncFailed"
            || matches!(result.hook_phase, Some(OperationPhase::Failed | OperationPhase::Error));
        if is_bad {
            terminal.print(&format!("  {bad} {}: {}\n", self::name(result), result.message))?;
        }
    }
    let next: Value = json!(application.name());
    terminal.print(&format!("  next: leeboard get {} --tree\n", next.as_str().unwrap_or_default()))?;
    Ok(Exit::Trouble)
}
