//! `canary promote`, `abort`, `retry`, `pause`, `resume`: what a person wants is written onto the Canary, and the daemon
//! does it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::super::cluster::Target;
use super::super::diff::runtime;
use super::super::subject::{told, unreachable};
use super::super::terminal::{Symbol, Terminal, age, bold};
use super::super::{Exit, Failure};
use super::subject::{self, Followed, find};
use super::view::{Happened, Needless, View, needless, verb};
use crate::api::duration;
use crate::api::flagger::{Canary, VERSION};
use crate::canary::world::WishKind;
use crate::error::Diagnostic;
use crate::live::client::{Cluster, Error, Part};
use crate::object::ObjectKey;

/// On a Canary: what a person wants.
const ACTION: &str = "canary.leeboard.dev/action";
/// On a Canary: who wants it.
const ACTOR: &str = "canary.leeboard.dev/actor";
/// The longest that is written of a person's words: they become part of Events.
const LONGEST_REASON: usize = 200;

/// Which canary, and why.
#[derive(Debug, Args)]
pub(super) struct Wish {
    /// The canary
    #[arg(value_name = "NAMESPACE/NAME")]
    name: String,
    /// Why: Events and alerts say it, with your name
    #[arg(short = 'm', long = "message", value_name = "REASON")]
    reason: Option<String>,
    /// Give up, and take it back, when the daemon has not begun after this time
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    target: Target,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).filter(|d| !d.is_zero()).ok_or_else(|| "a duration such as `30s` or `5m`".to_owned())
}

impl Wish {
    pub(super) fn run(&self, what: WishKind, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let runtime = runtime()?;
        let done = runtime.block_on(async {
            let cluster = self.target.connect().await?;
            self.make(&cluster, what, terminal).await
        });
        runtime.shutdown_background();
        done
    }

    async fn make(&self, cluster: &Cluster, what: WishKind, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let canary = find(cluster, &self.name, self.target.namespace.as_deref()).await?;
        let before = View::new(&canary, Timestamp::now());
        if canary.spec.suspend {
            let problem = Diagnostic::new(format!("{} is {}", before.place, before.message));
            return Err(told(problem.with_hint("Set `spec.suspend` to false in git first.")));
        }
        match needless(&before, what) {
            Some(Needless::IsSo(sentence)) => {
                terminal.print(&format!("{} {sentence}\n", terminal.symbol(Symbol::Good)))?;
                return Ok(Exit::Ok);
            }
            Some(Needless::Cannot(sentence)) => {
                let hint = format!("`leeboard canary status {}` shows where it stands.", before.place);
                return Err(told(Diagnostic::new(sentence).with_hint(hint)));
            }
            None => {}
        }
        let key = subject::key(&canary);
        let known: BTreeSet<String> = subject::events(cluster, &canary).await.into_iter().map(|e| e.name).collect();
        let patch = json!({"metadata": {"annotations": {ACTION: what.as_str(), ACTOR: self.actor()}}});
        cluster.merge_patch(&key, VERSION, Part::Whole, &patch).await.map_err(|error| unreachable(cluster, &error))?;
        let followed = Followed::new(cluster, key.clone());
        let taken = tokio::time::timeout(self.timeout, self.taken(&followed, terminal)).await;
        let Ok(taken) = taken else { return Err(self.given_up(cluster, &key, what).await) };
        let canary = taken?;
        let after = View::new(&canary, Timestamp::now());
        let happened = subject::events(cluster, &canary).await;
        let happened: Vec<Happened> = happened.into_iter().filter(|event| !known.contains(&event.name)).collect();
        if let Some(ignored) = happened.iter().find(|event| event.action == "ActionIgnored") {
            let hint = format!("`leeboard canary status {}` shows where it stands.", after.place);
            return Err(told(Diagnostic::new(ignored.message.clone()).with_hint(hint)));
        }
        let good = terminal.symbol(Symbol::Good);
        let what = done(what);
        let message = if after.message.is_empty() { String::new() } else { format!(", {}", after.message) };
        terminal.print(&format!("{good} {} {what}: {}{message}\n", bold(&after.place), after.phase_word()))?;
        terminal.print(&format!("  next: leeboard canary status {} --watch\n", after.place))?;
        Ok(Exit::Ok)
    }

    /// Who asks, and why: one text, since Events say it in one breath.
    fn actor(&self) -> String {
        let user = std::env::var("USER").unwrap_or_default();
        let reason: String = self.reason.iter().flat_map(|reason| reason.trim().chars()).take(LONGEST_REASON).collect();
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        match (user.is_empty(), reason.is_empty()) {
            (_, true) => user,
            (true, false) => format!("a person ({reason})"),
            (false, false) => format!("{user} ({reason})"),
        }
    }

    /// Waits until the daemon has taken the annotation away.
    async fn taken(&self, followed: &Followed, terminal: &mut Terminal) -> Result<Canary, Failure> {
        loop {
            let canary = followed.next().await?;
            if annotation(&canary, ACTION).is_none() {
                return Ok(canary);
            }
            terminal.paint(&[format!("{} waiting for the daemon", terminal.symbol(Symbol::Going))]);
        }
    }

    /// Nobody has begun: a wish that is done hours later is not what the person wants. It is taken back.
    async fn given_up(&self, cluster: &Cluster, key: &ObjectKey, what: WishKind) -> Failure {
        let waited = age(i64::try_from(self.timeout.as_secs()).unwrap_or(i64::MAX));
        match self.take_back(cluster, key, what).await {
            Ok(Some(view)) => {
                let problem =
                    Diagnostic::new(format!("nobody has begun to {} {} for {waited}", verb(what), view.place));
                let problem = problem.with_note("nothing was done; the request was taken back");
                let problem = if view.message.is_empty() { problem } else { problem.with_note(view.message) };
                told(problem.with_hint("Does `leeboard run` run, with the rights to write Canaries?"))
            }
            Ok(None) => anyhow!("taken up at the last moment; `leeboard canary status {}` shows it", self.name).into(),
            Err(failure) => failure,
        }
    }

    /// Takes the annotation away, if it still is there: what is said of the canary then.
    async fn take_back(&self, cluster: &Cluster, key: &ObjectKey, what: WishKind) -> Result<Option<View>, Failure> {
        loop {
            let found = cluster.find(key, VERSION).await.map_err(|error| unreachable(cluster, &error))?;
            let found = found.ok_or_else(|| anyhow!("canary `{}` has gone meanwhile", key.name))?;
            let canary: Canary = crate::api::decode(&found).map_err(|error| anyhow!(error))?;
            if annotation(&canary, ACTION) != Some(what.as_str()) {
                return Ok(None);
            }
            let patch = json!({"metadata": {
                "resourceVersion": canary.metadata.resource_version,
                "annotations": {ACTION: null, ACTOR: null},
            }});
            match cluster.merge_patch(key, VERSION, Part::Whole, &patch).await {
                Ok(_) => return Ok(Some(View::new(&canary, Timestamp::now()))),
                Err(Error::Conflict(_)) => {}
                Err(error) => return Err(unreachable(cluster, &error)),
            }
        }
    }
}

fn annotation<'a>(canary: &'a Canary, name: &str) -> Option<&'a str> {
    canary.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

/// What has come of a wish.
fn done(what: WishKind) -> &'static str {
    match what {
        WishKind::Abort => "is aborted",
        WishKind::Promote => "goes on",
        WishKind::PromoteFully => "is promoted",
        WishKind::Retry => "is tried again",
        WishKind::Pause => "is paused",
        WishKind::Resume => "is resumed",
    }
}
