//! `approve`, `reject`, `abort`: what people say to a promotion, written onto it.

use clap::Args;
use serde_json::{Value, json};

use super::super::cluster::Target;
use super::super::terminal::{Symbol, Terminal, bold};
use super::super::{Exit, Failure};
use super::show::summary;
use super::{environment, key, list, now, promotion, refused, unclear, waiting, whoami};
use crate::api::VERSION;
use crate::api::leeboard::Environment;
use crate::api::leeboard::promotion::{Promotion, WordVerdict};
use crate::cli::subject::told;
use crate::error::Diagnostic;
use crate::live::client::{Cluster, Error, Part};
use crate::promote::asked::{self, line};
use crate::promote::candidate::short;

/// Say yes to a promotion
///
/// The plan that is approved is the one that is applied: when it changes, you are asked again. For example: leeboard approve prod
#[derive(Debug, Args)]
pub(in crate::cli) struct Approve {
    #[command(flatten)]
    word: Word,
}

/// Say no: to a promotion, or with --commit to a commit
///
/// For example: leeboard reject prod -m "the migration is missing"
#[derive(Debug, Args)]
pub(in crate::cli) struct Reject {
    #[command(flatten)]
    word: Word,
    /// Let this commit not enter the environment NAME, nor any that takes its commits from it
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,
}

/// End a promotion where it stands
///
/// For example: leeboard abort prod -m "not today"
#[derive(Debug, Args)]
pub(in crate::cli) struct Abort {
    #[command(flatten)]
    word: Word,
}

/// Which promotion, and why.
#[derive(Debug, Args)]
struct Word {
    /// The promotion, or the environment that it leads to
    name: String,
    /// Why: it becomes part of the record
    #[arg(short = 'm', long = "message", visible_alias = "reason", value_name = "REASON")]
    reason: Option<String>,
    #[command(flatten)]
    target: Target,
}

impl Approve {
    pub(in crate::cli) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        waiting(self.word.say(WordVerdict::Approve, terminal))
    }
}

impl Reject {
    pub(in crate::cli) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        match &self.commit {
            None => waiting(self.word.say(WordVerdict::Reject, terminal)),
            Some(commit) => waiting(self.word.refuse(commit, terminal)),
        }
    }
}

impl Abort {
    pub(in crate::cli) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        waiting(async {
            let cluster = self.word.target.connect().await?;
            let found = promotion(&cluster, &self.word.target, &self.word.name).await?;
            asked::ended(&found).map_err(|problem| unclear(&problem))?;
            let (user, _) = whoami(&cluster).await?;
            let reason = line(self.word.reason.as_deref().unwrap_or_default());
            let patch = json!({"spec": {"abort": {"reason": reason, "by": user, "since": now()}}});
            write(&cluster, &found, &patch).await?;
            let good = terminal.symbol(Symbol::Good);
            terminal.print(&format!("{good} {} is ended where it stands\n", bold(found.name())))?;
            Ok(Exit::Ok)
        })
    }
}

async fn write(cluster: &Cluster, found: &Promotion, patch: &Value) -> Result<(), Failure> {
    let key = key("Promotion", found.namespace(), found.name());
    let written = cluster.merge_patch(&key, VERSION, Part::Whole, patch).await;
    written.map(drop).map_err(|error| refused(cluster, &error))
}

impl Word {
    async fn say(&self, verdict: WordVerdict, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let cluster = self.target.connect().await?;
        let (user, groups) = whoami(&cluster).await?;
        // Others may say something at the same time.
        for _ in 0..5 {
            let found = promotion(&cluster, &self.target, &self.name).await?;
            let plan = asked::judged(&found).map_err(|problem| unclear(&problem))?;
            let mut words = serde_json::to_value(&found.spec.approvals)?;
            if let Value::Array(words) = &mut words {
                let mut word = json!({
                    "user": user,
                    "groups": groups,
                    "verdict": match verdict { WordVerdict::Approve => "approve", WordVerdict::Reject => "reject" },
                    "planHash": plan.hash,
                    "at": now(),
                });
                if let Some(reason) = &self.reason {
                    word["comment"] = line(reason).into();
                }
                words.push(word);
            }
            let version = &found.metadata.resource_version;
            let patch = json!({"metadata": {"resourceVersion": version}, "spec": {"approvals": words}});
            let key = key("Promotion", found.namespace(), found.name());
            match cluster.merge_patch(&key, VERSION, Part::Whole, &patch).await {
                Ok(_) => {
                    let good = terminal.symbol(Symbol::Good);
                    let done = match verdict {
                        WordVerdict::Approve => "approved",
                        WordVerdict::Reject => "rejected",
                    };
                    terminal.print(&format!("{good} {} {done}: {}\n", bold(found.name()), summary(&plan)))?;
                    return Ok(Exit::Ok);
                }
                Err(Error::Conflict(_)) => {}
                Err(error) => return Err(refused(&cluster, &error)),
            }
        }
        Err(told(Diagnostic::new(format!("`{}` changes faster than a word can be written", self.name))))
    }

    async fn refuse(&self, commit: &str, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let cluster = self.target.connect().await?;
        let Some(reason) = &self.reason else {
            return Err(told(Diagnostic::new("a commit is rejected for a reason").with_hint("Say it with `-m`.")));
        };
        let environments: Vec<Environment> = list(&cluster, "Environment", self.target.namespace.as_deref()).await?;
        let commit = asked::whole(commit, &environments).map_err(|problem| unclear(&problem))?;
        let (user, _) = whoami(&cluster).await?;
        let found = environment(&cluster, &self.target, &self.name).await?;
        let mut rejected = found.spec.promotion.clone().unwrap_or_default().rejected;
        rejected.retain(|one| one.commit != commit);
        rejected.push(crate::api::leeboard::promotion::Rejected {
            commit: commit.clone(),
            reason: line(reason),
            by: user,
        });
        let patch = json!({
            "metadata": {"resourceVersion": found.metadata.resource_version},
            "spec": {"promotion": {"rejected": rejected}},
        });
        let key = key("Environment", found.namespace(), found.name());
        let written = cluster.merge_patch(&key, VERSION, Part::Whole, &patch).await;
        written.map_err(|error| refused(&cluster, &error))?;
        let good = terminal.symbol(Symbol::Good);
        let name = bold(found.name());
        terminal
            .print(&format!("{good} {} does not enter {name}, nor what takes its commits from it\n", short(&commit)))?;
        Ok(Exit::Ok)
    }
}
