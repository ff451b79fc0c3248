//! All of a preview, for programs and pages: what a comment has no room for.
//!
//! **In:** a [`Preview`], its risks, its [`Masks`]. **Out:** a [`Full`], which serializes. Nothing is left out and nothing
//! is escaped for a markup language: characters that nobody sees are spelled out, values of secrets are `••• n`, numbered
//! by first appearance over the whole. Whoever draws it puts texts where texts belong.

use serde::Serialize;

use super::comment::{Detail, Item, items};
use super::mask::{Finishing, Masks};
use super::risk::{self, Risk, Severity};
use super::{ApplicationPreview, EnvironmentPreview, Outcome, Preview, Reach, escape};

/// A preview with everything in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Full {
    /// The pull request's number.
    pub pull: u64,
    /// The commit that it proposes.
    pub head: String,
    /// The commit that it was merged with.
    pub base: String,
    /// What to know first, the worst first.
    pub risks: Vec<FullRisk>,
    /// What is reached last comes first.
    pub environments: Vec<FullEnvironment>,
}

/// A risk, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FullRisk {
    /// `red`, `yellow` or `info`.
    pub severity: Severity,
    /// `R4`.
    pub rule: String,
    /// The environment.
    pub environment: String,
    /// The cluster.
    pub cluster: String,
    /// The application.
    pub application: String,
    /// What goes on; names in backticks.
    pub says: String,
}

/// One environment in one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FullEnvironment {
    /// The environment.
    pub name: String,
    /// The cluster.
    pub cluster: String,
    /// Why the cluster says nothing here.
    pub not_compared: Option<&'static str>,
    /// Those of which there is something to say.
    pub applications: Vec<FullApplication>,
}

/// One application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FullApplication {
    /// Its name.
    pub name: String,
    /// `planned`, `failed`, `held` or `removed`.
    pub outcome: &'static str,
    /// The hash of the plan that a sync would execute.
    pub plan: Option<String>,
    /// Pods that restart, as far as their number is known.
    pub restarts: u64,
    /// Why it does not render, or would not be synced.
    pub problems: Vec<String>,
    /// What the pull request changes, in the order of the plan.
    pub changes: Vec<FullChange>,
    /// What waits already.
    pub pending: Vec<String>,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FullChange {
    /// Its kind.
    pub kind: String,
    /// Its group; empty for the core.
    pub group: String,
    /// Namespace and name.
    pub object: String,
    /// `created`, `changed`, `replaced`, `deleted`, `already so`, `stays`, `transferred`.
    pub what: &'static str,
    /// The phase and wave in which a sync comes to it.
    pub wave: String,
    /// `apps/web/base/deployment.yaml:14`
    pub source: Option<String>,
    /// Why the API server would refuse it.
    pub refused: Option<String>,
    /// Fields that are put back besides.
    pub drift: Vec<String>,
    /// The hunks of a unified diff.
    pub diff: String,
}

/// Everything that a preview says.
pub fn full(preview: &Preview, risks: &[Risk], masks: &Masks) -> Full {
    let mut told = Told { masks, finishing: Finishing::default() };
    let risks = risks.iter().filter_map(|risk| told.risk(preview, risk)).collect();
    let environments = super::comment::in_order(preview).into_iter().map(|one| told.environment(one)).collect();
    Full {
        pull: preview.pull.number,
        head: preview.pull.head.to_string(),
        base: preview.pull.base.to_string(),
        risks,
        environments,
    }
}

struct Told<'a> {
    masks: &'a Masks,
    finishing: Finishing,
}

impl Told<'_> {
    /// A text that has been masked.
    fn text(&mut self, text: &str) -> String {
        escape::visible(&self.finishing.finish(text)).into_owned()
    }

    /// A text that has not.
    fn foreign(&mut self, text: &str) -> String {
        let masked = self.masks.text(text);
        self.text(&masked)
    }

    /// A name: it stays as it is.
    fn name(&self, name: &str) -> String {
        escape::visible(&escape::unmarked(name)).into_owned()
    }

    fn risk(&mut self, preview: &Preview, risk: &Risk) -> Option<FullRisk> {
        let environment = preview.environments.get(risk.environment)?;
        let says = self.masks.phrase(&risk.says).to_string();
        Some(FullRisk {
            severity: risk.severity,
            rule: risk.rule.to_string(),
            environment: self.name(&environment.name),
            cluster: self.name(&environment.cluster),
            application: self.name(&risk.application),
            says: self.text(&says),
        })
    }

    fn environment(&mut self, environment: &EnvironmentPreview) -> FullEnvironment {
        let mut loud: Vec<&ApplicationPreview> = environment
            .applications
            .iter()
            .filter(|application| !application.outcome.is_quiet() || !pending(application).is_empty())
            .collect();
        loud.sort_by(|a, b| a.name.cmp(&b.name));
        FullEnvironment {
            name: self.name(&environment.name),
            cluster: self.name(&environment.cluster),
            not_compared: match environment.reach {
                Reach::Compared => None,
                Reach::Unreachable(_) => Some("the cluster is not reachable: comparison with the base branch only"),
                Reach::NotAsked => Some("from a fork: comparison with the base branch only"),
            },
            applications: loud.into_iter().map(|application| self.application(application)).collect(),
        }
    }

    fn application(&mut self, application: &ApplicationPreview) -> FullApplication {
        let outcome = &application.outcome;
        let problems: Vec<String> = match outcome {
            Outcome::Failed(problems) => problems.iter().map(ToString::to_string).collect(),
            Outcome::Planned(planned) => planned.refusals.iter().map(ToString::to_string).collect(),
            Outcome::Held(_) | Outcome::Removed(_) => vec![],
        };
        let restarts = outcome.changes().iter().filter_map(risk::restart).filter_map(|restart| restart.pods).sum();
        let waits = pending(application).iter().map(|one| {
            let key = crate::object::ObjectKey { name: self.masks.name(&one.key).into(), ..one.key.clone() };
            format!("{}: {}", self.name(&key.to_string()), one.why)
        });
        let pending = waits.collect();
        FullApplication {
            name: self.name(&application.name),
            outcome: match outcome {
                Outcome::Planned(_) => "planned",
                Outcome::Failed(_) => "failed",
                Outcome::Held(_) => "held",
                Outcome::Removed(_) => "removed",
            },
            plan: outcome.hash().map(|hash| hash.to_string()),
            restarts,
            problems: problems.iter().map(|problem| self.foreign(problem)).collect(),
            changes: items(application, self.masks).iter().map(|item| self.change(item)).collect(),
            pending,
        }
    }

    fn change(&mut self, item: &Item<'_>) -> FullChange {
        let change = item.change;
        let refused = change.refused.as_ref().map(|answer| self.masks.answer(&change.key, answer));
        let hunks = item.hunks(Detail::STEPS[0]);
        FullChange {
            kind: self.name(&change.key.kind),
            group: self.name(&change.key.group),
            object: self.name(&item.place),
            what: item.verb(),
            wave: match change.phase {
                crate::plan::Phase::Sync => format!("wave {}", change.wave),
                phase => format!("{phase} {}", change.wave),
            },
            source: change.source().map(|origin| self.name(&origin.to_string())),
            refused: refused.map(|answer| self.text(&answer)),
            drift: item.drift.iter().map(|path| self.name(path)).collect(),
            diff: self.text(&hunks),
        }
    }
}

fn pending(application: &ApplicationPreview) -> &[super::Pending] {
    match &application.outcome {
        Outcome::Planned(planned) => &planned.pending,
        Outcome::Failed(_) | Outcome::Held(_) | Outcome::Removed(_) => &[],
    }
}
