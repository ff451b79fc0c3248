//! `promote`, `rollback`: a Promotion is made; the daemon does the rest.

use clap::Args;

use super::super::cluster::Target;
use super::super::terminal::{Symbol, Terminal, bold};
use super::super::{Exit, Failure};
use super::show::watch;
use super::{key, list, refused, unclear, waiting, whoami};
use crate::api::leeboard::Environment;
use crate::api::leeboard::promotion::{Override, Promotion, PromotionKind, PromotionSpec};
use crate::api::{self, VERSION};
use crate::live::client::{Cluster, Error, Part};
use crate::object::Object;
use crate::promote::asked::{self, line};
use crate::promote::candidate::short;
use serde_json::json;

/// Carry a commit into an environment, past its gates
///
/// For example: leeboard promote prod --watch
#[derive(Debug, Args)]
pub(in crate::cli) struct Promote {
    /// The environment that gets it
    #[arg(required = true)]
    environment: Option<String>,
    /// The commit [default: what comes next]
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,
    /// By the shortest way: also what its source environments have not verified yet
    #[arg(long, requires = "reason")]
    hotfix: bool,
    /// Gates that are not waited for, by their names; each needs the right to override it
    #[arg(long, value_name = "GATE", value_delimiter = ',', requires = "reason")]
    skip: Vec<String>,
    /// Why: it becomes part of the record, and of the commit
    #[arg(short = 'm', long = "message", visible_alias = "reason", id = "reason", value_name = "REASON")]
    reason: Option<String>,
    /// Follow it to its end
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    target: Target,
}

impl Promote {
    pub(in crate::cli) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        waiting(async {
            let cluster = self.target.connect().await?;
            let environments: Vec<Environment> =
                list(&cluster, "Environment", self.target.namespace.as_deref()).await?;
            let environment = super::one(
                environments.clone(),
                "environment",
                self.environment.as_deref().unwrap_or_default(),
                place,
            )?;
            let commit = match &self.commit {
                Some(text) => asked::whole(text, &environments),
                None => asked::next(&environment, &environments),
            }
            .map_err(|problem| unclear(&problem))?;
            let overrides = self
                .skip
                .iter()
                .map(|gate| Override { gate: gate.clone(), reason: line(self.reason.as_deref().unwrap_or_default()) });
            let spec = PromotionSpec {
                environment: environment.name().into(),
                from: asked::source(&environment, &environments, &commit),
                commit,
                kind: if self.hotfix { PromotionKind::Hotfix } else { PromotionKind::Promote },
                reason: self.reason.as_deref().map(line),
                overrides: overrides.collect(),
                ..PromotionSpec::default()
            };
            begin(&cluster, &environment, spec, self.watch, terminal).await
        })
    }
}

/// Bring back what an environment had before
///
/// A commit with those files is written to its branch: git and the cluster say the same. For example: leeboard rollback prod -m "checkout is slow"
#[derive(Debug, Args)]
pub(in crate::cli) struct Rollback {
    /// The environment
    environment: String,
    /// To this commit of its branch [default: the last that was verified before]
    #[arg(long, value_name = "COMMIT")]
    to: Option<String>,
    /// Why: it becomes part of the record, and of the commit
    #[arg(short = 'm', long = "message", visible_alias = "reason", id = "reason", value_name = "REASON")]
    reason: Option<String>,
    /// Let nothing enter without a person until `leeboard resume`
    #[arg(long)]
    hold: bool,
    /// Follow it to its end
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    target: Target,
}

impl Rollback {
    pub(in crate::cli) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        waiting(async {
            let cluster = self.target.connect().await?;
            let environments: Vec<Environment> =
                list(&cluster, "Environment", self.target.namespace.as_deref()).await?;
            let environment = super::one(environments, "environment", &self.environment, place)?;
            let commit = match &self.to {
                Some(text) => asked::whole(text, [&environment]),
                None => asked::before(&environment),
            }
            .map_err(|problem| unclear(&problem))?;
            let reason = self.reason.as_deref().map(line);
            if self.hold {
                let (user, _) = whoami(&cluster).await?;
                let why = reason.clone().unwrap_or_else(|| "after a rollback".into());
                let patch =
                    json!({"spec": {"promotion": {"hold": {"reason": why, "by": user, "since": super::now()}}}});
                let key = key("Environment", environment.namespace(), environment.name());
                let written = cluster.merge_patch(&key, VERSION, Part::Whole, &patch).await;
                written.map_err(|error| refused(&cluster, &error))?;
            }
            let spec = PromotionSpec {
                environment: environment.name().into(),
                commit,
                kind: PromotionKind::Rollback,
                reason,
                ..PromotionSpec::default()
            };
            begin(&cluster, &environment, spec, self.watch, terminal).await
        })
    }
}

fn place(environment: &Environment) -> (String, String) {
    (environment.namespace().to_owned(), environment.name().to_owned())
}

async fn begin(
    cluster: &Cluster,
    environment: &Environment,
    mut spec: PromotionSpec,
    follow: bool,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let (user, _) = whoami(cluster).await?;
    spec.requested_by = Some(user);
    loop {
        let all: Vec<Promotion> = list(cluster, "Promotion", Some(environment.namespace())).await?;
        let name = asked::attempt(&all, &spec).map_err(|problem| unclear(&problem))?;
        let promotion = Promotion::owned_by(environment, &name, spec.clone());
        let body = serde_json::to_value(&promotion)?;
        let object = Object::from_value(body, None)?;
        match cluster.create(&object).await {
            Ok(made) => {
                let made: Option<Promotion> = made.body.as_ref().and_then(|body| api::decode(body).ok());
                let good = terminal.symbol(Symbol::Good);
                let what = bold(&name);
                let commit = short(&spec.commit);
                terminal.print(&format!("{good} {what} begins: {commit} into {}\n", environment.name()))?;
                if follow && let Some(made) = made {
                    return watch(cluster, &made, terminal).await;
                }
                terminal.print(&format!("  next: leeboard promotion show {name} --watch\n"))?;
                return Ok(Exit::Ok);
            }
            // Somebody was faster.
            Err(Error::AlreadyExists(_)) => {}
            Err(error) => return Err(refused(cluster, &error)),
        }
    }
}
