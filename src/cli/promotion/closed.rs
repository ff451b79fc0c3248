//! `lock`, `unlock`, `hold`, `resume`: an environment takes nothing, or nothing by itself.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::cluster::Target;
use super::super::terminal::{Symbol, Terminal, bold};
use super::super::{Exit, Failure};
use super::{environment, key, list, now, refused, waiting, whoami};
use crate::api::leeboard::Environment;
use crate::api::{VERSION, duration};
use crate::cli::subject::told;
use crate::error::Diagnostic;
use crate::live::client::{Cluster, Part};
use crate::promote::asked::line;

/// Let nothing enter an environment
///
/// What is in git goes on being synced. For example: leeboard lock prod -m "audit" --for 2h
#[derive(Debug, Args)]
pub(in crate::cli) struct Lock {
    #[command(flatten)]
    which: Which,
    /// All environments
    #[arg(long, conflicts_with = "environment")]
    all: bool,
}

/// Let commits enter an environment again
///
/// For example: leeboard unlock prod
#[derive(Debug, Args)]
pub(in crate::cli) struct Unlock {
    /// The environment
    #[arg(required_unless_present = "all")]
    environment: Option<String>,
    /// All environments
    #[arg(long, conflicts_with = "environment")]
    all: bool,
    #[command(flatten)]
    target: Target,
}

/// Let nothing enter an environment without a person
///
/// For example: leeboard hold prod -m "we look at the numbers first"
#[derive(Debug, Args)]
pub(in crate::cli) struct Hold {
    #[command(flatten)]
    which: Which,
}

/// Let commits enter an environment by themselves again
///
/// For example: leeboard resume prod
#[derive(Debug, Args)]
pub(in crate::cli) struct Resume {
    /// The environment
    environment: String,
    #[command(flatten)]
    target: Target,
}

/// Which environment, why, and for how long.
#[derive(Debug, Args)]
struct Which {
    /// The environment
    environment: Option<String>,
    /// Why: everybody who waits is told
    #[arg(short = 'm', long = "message", visible_alias = "reason", value_name = "REASON")]
    reason: String,
    /// Until it ends by itself
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    lasts: Option<Duration>,
    #[command(flatten)]
    target: Target,
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).filter(|d| !d.is_zero()).ok_or_else(|| "a duration such as `30m` or `8h`".to_owned())
}

impl Lock {
    pub(in crate::cli) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        waiting(self.which.write("locked", "is locked", self.all, terminal))
    }
}

impl Hold {
    pub(in crate::cli) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        waiting(self.which.write("hold", "is held", false, terminal))
    }
}

impl Unlock {
    pub(in crate::cli) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        waiting(clear(&self.target, self.environment.as_deref(), "locked", "is open", terminal))
    }
}

impl Resume {
    pub(in crate::cli) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        waiting(clear(&self.target, Some(&self.environment), "hold", "goes on by itself", terminal))
    }
}

impl Which {
    async fn write(&self, field: &str, done: &str, all: bool, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let cluster = self.target.connect().await?;
        let (user, _) = whoami(&cluster).await?;
        let mut lock = json!({"reason": line(&self.reason), "by": user, "since": now(), "until": null});
        if let Some(until) = self.lasts.and_then(|lasts| Timestamp::now().checked_add(lasts).ok()) {
            lock["until"] = json!(until.round(jiff::Unit::Second).unwrap_or(until).to_string());
        }
        for environment in named(&cluster, &self.target, self.environment.as_deref(), all).await? {
            let mut fields = serde_json::Map::new();
            fields.insert(field.to_owned(), lock.clone());
            change(&cluster, &environment, &json!({"spec": {"promotion": fields}})).await?;
            let good = terminal.symbol(Symbol::Good);
            terminal.print(&format!("{good} {} {done}: {}\n", bold(environment.name()), line(&self.reason)))?;
        }
        Ok(Exit::Ok)
    }
}

async fn clear(
    target: &Target,
    name: Option<&str>,
    field: &str,
    done: &str,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let cluster = target.connect().await?;
    for environment in named(&cluster, target, name, name.is_none()).await? {
        let policy = environment.spec.promotion.clone().unwrap_or_default();
        let is_there = if field == "locked" { policy.locked.is_some() } else { policy.hold.is_some() };
        if is_there {
            let mut fields = serde_json::Map::new();
            fields.insert(field.to_owned(), Value::Null);
            change(&cluster, &environment, &json!({"spec": {"promotion": fields}})).await?;
        }
        let good = terminal.symbol(Symbol::Good);
        terminal.print(&format!("{good} {} {done}\n", bold(environment.name())))?;
    }
    Ok(Exit::Ok)
}

async fn named(cluster: &Cluster, target: &Target, name: Option<&str>, all: bool) -> Result<Vec<Environment>, Failure> {
    match name {
        Some(name) => Ok(vec![environment(cluster, target, name).await?]),
        None if all => list(cluster, "Environment", target.namespace.as_deref()).await,
        None => Err(told(Diagnostic::new("which environment?").with_hint("Name it, or take `--all`."))),
    }
}

async fn change(cluster: &Cluster, environment: &Environment, patch: &Value) -> Result<(), Failure> {
    let key = key("Environment", environment.namespace(), environment.name());
    let written = cluster.merge_patch(&key, VERSION, Part::Whole, patch).await;
    written.map(drop).map_err(|error| refused(cluster, &error))
}
