//! `promote`, `rollback`: a Promotion is made; the daemon does the rest.

use clap::Args;

use super::super::cluster::Target;
use super::super::terminal::{Symbol, Terminal, bold};
use super::super::{Exit, Failure};
use super::show::watch;
use super::{key, line, list, refused, track, waiting, whoami, whole};
use crate::api::leeboard::Environment;
use crate::api::leeboard::promotion::{Override, Promotion, PromotionKind, PromotionSpec};
use crate::api::{self, VERSION};
use crate::cli::subject::told;
use crate::error::Diagnostic;
use crate::live::client::{Cluster, Error, Part};
use crate::object::Object;
use crate::promote::candidate::short;
use crate::promote::message;
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
                Some(text) => whole(text, &environments)?,
                None => next(&environment, &environments)?,
            };
            let overrides = self
                .skip
                .iter()
                .map(|gate| Override { gate: gate.clone(), reason: line(self.reason.as_deref().unwrap_or_default()) });
            let spec = PromotionSpec {
                environment: environment.name().into(),
                from: source(&environment, &environments, &commit),
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
            let track = track(&environment);
            let commit = match &self.to {
                Some(text) => whole(text, std::slice::from_ref(&environment))?,
                None => match track.previous.iter().find(|tenure| tenure.verified_at.is_some()) {
                    Some(tenure) => tenure.commit.clone(),
                    None => {
                        let name = environment.name();
                        let problem = Diagnostic::new(format!("`{name}` has had nothing before that was verified"));
                        return Err(told(problem.with_hint("Name a commit of its branch with `--to`.")));
                    }
                },
            };
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

/// What comes next in an environment.
fn next(environment: &Environment, environments: &[Environment]) -> Result<String, Failure> {
    let track = track(environment);
    if let Some(candidate) = track.candidate {
        return Ok(candidate);
    }
    let from = environment.spec.promotion.iter().flat_map(|policy| &policy.from);
    let sources = from.filter_map(|source| source.environment.as_deref());
    let held = sources.filter_map(|name| {
        let source = environments.iter().find(|other| other.name() == name)?;
        self::track(source).current
    });
    let own = track.current.as_ref().map(|tenure| tenure.origin.clone()).unwrap_or_default();
    if let Some(tenure) = held.into_iter().find(|tenure| tenure.origin != own) {
        return Ok(tenure.commit);
    }
    let why = track.next.map(|why| format!(": {why}")).unwrap_or_default();
    let problem = Diagnostic::new(format!("there is nothing new for `{}`{why}", environment.name()));
    Err(told(problem.with_hint("Name a commit with `--commit`, where you want one all the same.")))
}

/// The source environment that has a commit.
fn source(environment: &Environment, environments: &[Environment], commit: &str) -> Option<String> {
    let from = environment.spec.promotion.iter().flat_map(|policy| &policy.from);
    let mut names = from.filter_map(|source| source.environment.clone());
    let has = |name: &String| {
        let source = environments.iter().find(|other| other.name() == name);
        let track = source.map(track).unwrap_or_default();
        track.current.iter().chain(&track.previous).any(|tenure| tenure.commit == commit)
    };
    names.find(has)
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
    let all: Vec<Promotion> = list(cluster, "Promotion", Some(environment.namespace())).await?;
    let names = (1..).map(|attempt| message::name(environment.name(), spec.kind, &spec.commit, attempt));
    for name in names {
        if let Some(known) = all.iter().find(|one| one.name() == name) {
            // One that leaves out gates takes the place of one that nobody has asked for.
            let is_other = known.spec.requested_by.is_none() && !spec.overrides.is_empty();
            if known.phase().is_final() || is_other {
                continue;
            }
            let problem = Diagnostic::new(format!("{name} is under way: {}", known.phase().as_str()));
            return Err(told(problem.with_hint(format!("`leeboard promotion show {name} --watch` follows it."))));
        }
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
    Ok(Exit::Ok)
}
