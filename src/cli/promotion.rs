//! `promote`, `approve`, `reject`, `abort`, `lock`, `unlock`, `hold`, `resume`, `rollback`, `promotion show`: commits on their
//! way from environment to environment, and what people have to say to it.
//!
//! Each command writes an object that `kubectl` can write too; the API server knows who asks, and what they may. `promote image`
//! writes into git instead.

mod begin;
mod closed;
mod image;
mod show;
mod word;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::cluster::Target;
use super::diff::runtime;
use super::nearest::nearest;
use super::subject::{reached, told, unreachable};
use super::terminal::Terminal;
use super::{Exit, Failure};
use crate::api::leeboard::Environment;
use crate::api::leeboard::promotion::Promotion;
use crate::api::{self, LEEBOARD_GROUP, VERSION};
use crate::error::Diagnostic;
use crate::live::client::{Cluster, Error, ListOptions};
use crate::object::{GroupKind, ObjectKey};
use crate::promote::asked::{self, Unclear};

pub(super) use self::begin::Rollback;
pub(super) use self::closed::{Hold, Lock, Resume, Unlock};
pub(super) use self::show::PromotionArgs;
pub(super) use self::word::{Abort, Approve, Reject};

/// Carry a commit into an environment, past its gates
///
/// Or write new versions of images into one: leeboard promote image. For example: leeboard promote prod --watch
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct PromoteArgs {
    #[command(flatten)]
    commit: begin::Promote,
    #[command(subcommand)]
    other: Option<Other>,
}

/// What is promoted beside commits.
#[derive(Debug, Subcommand)]
enum Other {
    Image(image::ImageArgs),
}

impl PromoteArgs {
    pub(super) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        match &self.other {
            Some(Other::Image(command)) => command.run(terminal),
            None => self.commit.run(terminal),
        }
    }
}

/// Runs what has to wait for the cluster.
fn waiting<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = runtime()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

/// Who asks: the API server's name for them, and their groups.
async fn whoami(cluster: &Cluster) -> Result<(String, Vec<String>), Failure> {
    cluster.user().await.map_err(|error| unreachable(cluster, &error))
}

async fn list<T: DeserializeOwned>(cluster: &Cluster, kind: &str, namespace: Option<&str>) -> Result<Vec<T>, Failure> {
    reached(cluster).await?;
    let options = ListOptions { namespace: namespace.map(Into::into), ..ListOptions::default() };
    match cluster.list(&GroupKind::new(LEEBOARD_GROUP, kind), VERSION, &options).await {
        // One that can't be read does not hide the others.
        Ok(all) => Ok(all.iter().filter_map(|body| api::decode(body).ok()).collect()),
        Err(Error::NoKind { .. }) => Err(told(
            Diagnostic::new(format!("the cluster at {} does not know {kind}s", cluster.server()))
                .with_hint("Install the kinds with `leeboard crds | kubectl apply --server-side -f -`."),
        )),
        Err(error) => Err(unreachable(cluster, &error)),
    }
}

/// The Environment of this name.
async fn environment(cluster: &Cluster, target: &Target, name: &str) -> Result<Environment, Failure> {
    let all: Vec<Environment> = list(cluster, "Environment", target.namespace.as_deref()).await?;
    one(all, "environment", name, |one| (one.namespace().to_owned(), one.name().to_owned()))
}

/// The Promotion of this name; or the one that is under way into the environment of this name.
async fn promotion(cluster: &Cluster, target: &Target, name: &str) -> Result<Promotion, Failure> {
    let all: Vec<Promotion> = list(cluster, "Promotion", target.namespace.as_deref()).await?;
    if !all.iter().any(|one| one.name() == name)
        && let Some(open) = asked::open(&all, name)
    {
        return Ok(open.clone());
    }
    one(all, "promotion", name, |one| (one.namespace().to_owned(), one.name().to_owned()))
}

/// The one of this name; when there is none, or several, which one may be meant.
fn one<T>(all: Vec<T>, what: &str, name: &str, place: impl Fn(&T) -> (String, String)) -> Result<T, Failure> {
    let names: Vec<String> = all.iter().map(|one| place(one).1).collect();
    let mut found: Vec<T> = all.into_iter().filter(|one| place(one).1 == name).collect();
    if found.len() > 1 {
        let spaces: Vec<String> = found.iter().map(|one| format!("`--namespace {}`", place(one).0)).collect();
        let problem = Diagnostic::new(format!("there are several {what}s `{name}`"));
        return Err(told(problem.with_hint(format!("Say which: {}.", spaces.join(" or ")))));
    }
    found.pop().ok_or_else(|| {
        let mut problem = Diagnostic::new(format!("there is no {what} `{name}`"));
        problem.hint = Some(match nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("Did you mean `{near}`?"),
            None if names.is_empty() => "There are none at all.".into(),
            None if what == "promotion" => "`leeboard promotion list` lists them.".into(),
            None => format!("`leeboard get {what}s` lists them."),
        });
        told(problem)
    })
}

fn key(kind: &str, namespace: &str, name: &str) -> ObjectKey {
    ObjectKey { group: LEEBOARD_GROUP.into(), kind: kind.into(), namespace: Some(namespace.into()), name: name.into() }
}

/// A refusal of the API server: who may not do what is told so.
fn refused(cluster: &Cluster, error: &Error) -> Failure {
    match error {
        Error::Forbidden(_) | Error::AdmissionRefused { .. } | Error::Invalid { .. } => {
            let message = error.message().unwrap_or_default();
            let words = message.split_once("denied request: ").map_or(message, |(_, words)| words);
            told(Diagnostic::new(words.to_owned()))
        }
        error => unreachable(cluster, error),
    }
}

/// What a person has to say more clearly.
fn unclear(problem: &Unclear) -> Failure {
    let mut diagnostic = Diagnostic::new(problem.to_string());
    diagnostic.hint = problem.hint();
    told(diagnostic)
}

fn now() -> Value {
    json!(Timestamp::now().round(jiff::Unit::Second).unwrap_or_else(|_| Timestamp::now()).to_string())
}
