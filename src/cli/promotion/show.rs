//! `promotion show`, `promotion list`: where a promotion stands, what each gate says, what happened.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use owo_colors::{OwoColorize as _, Style};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::super::cluster::Target;
use super::super::terminal::{Symbol, Table, Terminal, age, bold, dim};
use super::super::{Exit, Failure, Format, tree};
use super::{key, list, promotion, waiting};
use crate::api::leeboard::promotion::{GateState, PlanSummary, Promotion, PromotionPhase};
use crate::api::{self, LEEBOARD_GROUP, VERSION};
use crate::live::client::{Cluster, ListOptions};
use crate::live::record::KindVersion;
use crate::live::watch::{Item, typed};
use crate::object::GroupKind;
use crate::promote::candidate::short;
use crate::promote::message::counts;

/// Look at promotions
///
/// For example: leeboard promotion show prod --watch
#[derive(Debug, Args)]
pub(in crate::cli) struct PromotionArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Show(Show),
    List(List),
}

/// Show where a promotion stands, what each gate says, and what happened
///
/// For example: leeboard promotion show prod
#[derive(Debug, Args)]
struct Show {
    /// The promotion, or the environment that it leads to
    name: String,
    /// Follow it to its end
    #[arg(short, long)]
    watch: bool,
    /// How to write it
    #[arg(short, long, value_name = "FORMAT", conflicts_with = "watch")]
    output: Option<Format>,
    #[command(flatten)]
    target: Target,
}

/// List promotions, the newest first
///
/// For example: leeboard promotion list --environment prod
#[derive(Debug, Args)]
struct List {
    /// Only those into this environment
    #[arg(short, long)]
    environment: Option<String>,
    /// How to write it
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
    #[command(flatten)]
    target: Target,
}

impl PromotionArgs {
    pub(in crate::cli) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        match &self.command {
            Command::Show(show) => waiting(show.run(terminal)),
            Command::List(list) => waiting(list.run(terminal)),
        }
    }
}

impl Show {
    async fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let cluster = self.target.connect().await?;
        let found = promotion(&cluster, &self.target, &self.name).await?;
        if self.watch {
            return watch(&cluster, &found, terminal).await;
        }
        let text = match self.output {
            Some(Format::Json) => format!("{}\n", serde_json::to_value(&found)?),
            Some(Format::Yaml) => tree::to_yaml(&serde_json::to_value(&found)?)?,
            None => drawn(&found, Timestamp::now(), terminal).join("\n") + "\n",
        };
        terminal.print(&text)?;
        Ok(Exit::Ok)
    }
}

impl List {
    async fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let cluster = self.target.connect().await?;
        let mut all: Vec<Promotion> = list(&cluster, "Promotion", self.target.namespace.as_deref()).await?;
        all.retain(|one| self.environment.as_ref().is_none_or(|name| one.spec.environment == *name));
        all.sort_by(|a, b| (b.created(), a.name()).cmp(&(a.created(), b.name())));
        let now = Timestamp::now();
        let text = match self.output {
            Some(Format::Json) => format!("{}\n", serde_json::to_value(&all)?),
            Some(Format::Yaml) => tree::to_yaml(&serde_json::to_value(&all)?)?,
            None if all.is_empty() => String::new(),
            None => {
                let mut table = Table::new(["PROMOTION", "ENV", "COMMIT", "PHASE", "AGE", "BY", "MESSAGE"]);
                for one in &all {
                    let status = one.status.clone().unwrap_or_default();
                    table.row([
                        one.name().to_owned(),
                        one.spec.environment.clone(),
                        short(&one.spec.commit).to_owned(),
                        one.phase().as_str().style(style(one.phase())).to_string(),
                        one.created().map(|Time(at)| age(now.duration_since(*at).as_secs())).unwrap_or_default(),
                        one.spec.requested_by.clone().unwrap_or_else(|| "leeboard".into()),
                        status.message,
                    ]);
                }
                table.draw(terminal)
            }
        };
        terminal.print(&text)?;
        if all.is_empty() {
            terminal.say("no promotions\n");
        }
        Ok(Exit::Ok)
    }
}

fn style(phase: PromotionPhase) -> Style {
    use PromotionPhase as P;
    match phase {
        P::Succeeded => Style::new().green(),
        P::Failed | P::RolledBack => Style::new().red(),
        P::Aborted | P::Superseded => Style::new().dimmed(),
        _ => Style::new().yellow(),
    }
}

/// `~1 object, plan 3f9a1c2d4e5f`.
pub(super) fn summary(plan: &PlanSummary) -> String {
    let counts = counts(plan);
    let what = if counts.is_empty() { "no object changes".to_owned() } else { format!("{counts} objects") };
    format!("{what}, plan {}", plan.hash.get(..12).unwrap_or(&plan.hash))
}

/// All that is to be seen of a promotion, line by line.
fn drawn(promotion: &Promotion, now: Timestamp, terminal: &Terminal) -> Vec<String> {
    let status = promotion.status.clone().unwrap_or_default();
    let spec = &promotion.spec;
    let phase = status.phase;
    let mut lines = Vec::new();
    let from = spec.from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
    let commit = short(&spec.commit);
    lines.push(format!("{}  {} {commit}{from} to {}", bold(promotion.name()), spec.kind.as_str(), spec.environment));
    lines.push(format!("{}  {}", phase.as_str().style(style(phase)), status.message));
    let by = spec.requested_by.as_deref().unwrap_or("leeboard");
    let since = status.started_at.as_ref().map(|Time(at)| format!(", {} ago", age(now.duration_since(*at).as_secs())));
    let reason = spec.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    lines.push(dim(format!("by {by}{}{reason}", since.unwrap_or_default())).to_string());
    if let Some(plan) = &status.plan {
        lines.push(dim(summary(plan)).to_string());
    }
    for after in [false, true] {
        let gates: Vec<_> = status.gates.iter().filter(|gate| gate.after == after).collect();
        if gates.is_empty() {
            continue;
        }
        lines.push(String::new());
        lines.push(dim(if after { "after the deployment" } else { "before the write" }).to_string());
        let width = gates.iter().map(|gate| gate.name.chars().count()).max().unwrap_or(0);
        for gate in gates {
            let symbol = terminal.symbol(match gate.state {
                GateState::Pass | GateState::Overridden => Symbol::Good,
                GateState::Fail => Symbol::Bad,
                GateState::Wait | GateState::Error => Symbol::Going,
            });
            lines.push(format!("  {symbol} {:width$}  {}", gate.name, gate.message));
        }
    }
    if let Some(write) = &status.write {
        lines.push(String::new());
        if let (Some(number), url) = (write.pull_request, write.url.as_deref().unwrap_or_default()) {
            lines.push(format!("  pull request #{number} {url}").trim_end().to_owned());
        }
        if let Some(commit) = write.commit.as_ref().filter(|_| status.written_at.is_some()) {
            lines.push(format!("  written as {}", short(commit)));
        }
        if let Some(back) = &write.taken_back {
            lines.push(format!("  taken back by {}", short(back)));
        }
    }
    if !status.steps.is_empty() {
        lines.push(String::new());
        for step in status.steps.iter().rev().take(10).rev() {
            let at = step.at.as_ref().map(|Time(at)| at.strftime("%H:%M:%S").to_string()).unwrap_or_default();
            lines.push(format!("  {} {:<11} {}", dim(at), step.to.as_str(), step.why));
        }
    }
    lines
}

/// Follows a promotion to its end.
pub(super) async fn watch(cluster: &Cluster, found: &Promotion, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let key = key("Promotion", found.namespace(), found.name());
    let options = ListOptions {
        namespace: key.namespace.clone(),
        labels: None,
        fields: Some(format!("metadata.name={}", key.name)),
    };
    let kind = KindVersion::new(GroupKind::new(LEEBOARD_GROUP, "Promotion"), VERSION);
    let target = crate::live::watch::Target { kind, options };
    let end = CancellationToken::new();
    let (collection, work) = typed::<Value>(cluster.clone(), target, end.clone());
    let _end = end.drop_guard();
    tokio::spawn(work);
    let mut last = String::new();
    loop {
        collection.changed().await;
        let Some(item) = collection.get(&key) else {
            if collection.is_complete() {
                terminal.wipe();
                return Err(anyhow::anyhow!("promotion `{}` has gone meanwhile", key.name).into());
            }
            continue;
        };
        let Item::Decoded(body) = item else { continue };
        let promotion: Promotion = api::decode(&body).map_err(|error| anyhow::anyhow!(error))?;
        let phase = promotion.phase();
        if phase.is_final() {
            terminal.wipe();
            let text = drawn(&promotion, Timestamp::now(), terminal).join("\n");
            terminal.print(&format!("{text}\n"))?;
            return Ok(if phase == PromotionPhase::Succeeded { Exit::Ok } else { Exit::Found });
        }
        if terminal.is_watched() {
            terminal.paint(&drawn(&promotion, Timestamp::now(), terminal));
        } else {
            let message = promotion.status.as_ref().map(|status| status.message.clone()).unwrap_or_default();
            let now = format!("{}  {message}\n", phase.as_str());
            if now != last {
                terminal.print(&now)?;
                last = now;
            }
        }
    }
}
