//! What a person sees of a canary: a line of a table, or one screen; made from what its object says, without a request.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use owo_colors::{OwoColorize as _, Style};
use serde_json::{Value, json};

use super::super::terminal::{Symbol, Table, Terminal, age, bold, dim};
use super::subject::place;
use crate::api::flagger::{Canary, CanaryCondition, Phase, Provider};
use crate::canary::record::{self, Hold, Outcome, Record, State};
use crate::canary::settings::{MetricCheck, Settings, Step, Strategy, Weights};
use crate::canary::wave::{self, Progress};
use crate::canary::{Copies, Split, Weight, status, world};

/// How many Events are shown.
const SHOWN_EVENTS: usize = 5;
/// Columns of a bar.
const BAR: usize = 42;

/// One Event of a canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Happened {
    /// Of the Event object; with the time it gives the order.
    pub(super) name: String,
    pub(super) time: Timestamp,
    /// The word for programs.
    pub(super) action: String,
    pub(super) message: String,
    pub(super) is_warning: bool,
}

impl Happened {
    /// From the Event object; nothing when it has no time.
    pub(super) fn of(event: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let time = ["/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"].iter();
        let time = time.filter_map(|field| event.pointer(field)?.as_str()?.parse().ok()).next()?;
        Some(Happened {
            name: text(&event["metadata"]["name"])?,
            time,
            action: text(&event["action"]).unwrap_or_default(),
            message: text(&event["message"]).unwrap_or_default(),
            is_warning: event["type"] == "Warning",
        })
    }
}

/// How a canary stands to its newest version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The primary has it.
    Well,
    /// It was rolled back, or could not be made.
    Badly,
    /// It is on its way, or waits.
    NotYet,
}

/// Where a canary stands.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// `NAMESPACE/NAME`.
    pub(super) place: String,
    pub(super) phase: Option<Phase>,
    pub(super) record: Option<Record>,
    /// What keeps it from working, or a person has to know: it waits for this, or failed by it. Empty when all is well.
    pub(super) message: String,
    /// Record and status, which are written one after the other, say the same.
    is_settled: bool,
    /// The canary's share, and whether it gets copies.
    split: Split,
    settings: Option<Settings>,
    failed_checks: u32,
    iterations: u32,
    since: Option<Timestamp>,
    now: Timestamp,
    /// What the primary has and what is tried, as people call it.
    images: Option<(String, String)>,
    events: Vec<Happened>,
}

impl View {
    pub(super) fn new(canary: &Canary, now: Timestamp) -> Self {
        let reported = canary.status.clone().unwrap_or_default();
        let annotations = canary.metadata.annotations.as_ref();
        let text = annotations.and_then(|annotations| annotations.get(record::ANNOTATION));
        let record = text.and_then(|text| Record::read(text, &reported).ok());
        let settings = Settings::new(canary, Provider::Istio);
        let message = match (&settings, problem(&reported.conditions)) {
            (Err(refusal), _) => refusal.to_string(),
            (Ok(_), _) if canary.spec.suspend => {
                match annotations.and_then(|all| all.get("canary.leeboard.dev/reason")) {
                    Some(reason) => format!("suspended: {reason}"),
                    None => "suspended: nothing is done while `spec.suspend` is true".into(),
                }
            }
            (Ok(_), Some(problem)) => problem.message.clone(),
            (Ok(_), None) => record.as_ref().map(message).unwrap_or_else(|| "not looked at yet".into()),
        };
        let split = match &record {
            Some(record) => record.route.split,
            None => Split::to_canary(Weight::new(reported.canary_weight.into()).unwrap_or_default()),
        };
        View {
            place: place(canary),
            phase: record.as_ref().map(status::phase).or(reported.phase),
            is_settled: record.as_ref().is_none_or(|record| reported.phase == Some(status::phase(record))),
            record,
            message,
            split,
            settings: settings.ok(),
            failed_checks: reported.failed_checks.unsigned_abs(),
            iterations: u32::try_from(reported.iterations).unwrap_or(0),
            since: reported.last_transition_time.map(|time| time.0),
            now,
            images: None,
            events: Vec::new(),
        }
    }

    /// The same, with the versions as the images of target and primary tell them, by container.
    pub(super) fn with_images(mut self, target: &BTreeMap<String, String>, primary: &BTreeMap<String, String>) -> Self {
        let differing = target.iter().filter_map(|(name, image)| Some((primary.get(name)?, image)));
        self.images = differing.filter(|(before, after)| before != after).map(|(a, b)| versions(a, b)).next();
        self
    }

    /// The same, with what happened, oldest first.
    pub(super) fn with_events(mut self, events: Vec<Happened>) -> Self {
        self.events = events;
        self
    }

    /// The same, at a later time.
    pub(super) fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    pub(super) fn events(&self) -> &[Happened] {
        &self.events
    }

    /// Whether its newest version has come to an end.
    pub(super) fn ended(&self) -> Ended {
        if !self.is_settled {
            return Ended::NotYet;
        }
        match (&self.record, self.phase) {
            (Some(Record { state: State::Stillborn { .. }, .. }), _) | (None, Some(Phase::Failed)) => Ended::Badly,
            (Some(Record { state: State::Resting(rest), .. }), _) => match rest.outcome {
                Outcome::Initialized | Outcome::Succeeded | Outcome::RolledBack => Ended::Well,
                Outcome::Failed(_) | Outcome::Stranded(_) => Ended::Badly,
            },
            (None, Some(Phase::Succeeded | Phase::Initialized)) => Ended::Well,
            _ => Ended::NotYet,
        }
    }

    /// The phase, in the word that clients of the object read.
    pub(super) fn phase_word(&self) -> &'static str {
        self.phase.map_or("new", Phase::as_str)
    }

    fn phase_colored(&self) -> String {
        let style = match self.ended() {
            Ended::Well => Style::new().green(),
            Ended::Badly => Style::new().red().bold(),
            Ended::NotYet => Style::new().yellow(),
        };
        self.phase_word().style(style).to_string()
    }

    fn age(&self) -> String {
        self.since.map(|since| age(self.now.duration_since(since).as_secs())).unwrap_or_default()
    }

    fn is_under_way(&self) -> bool {
        matches!(self.phase, Some(Phase::Progressing | Phase::WaitingPromotion | Phase::Promoting))
    }

    /// `1 of 5 failed`: of a run, those that have failed and those that end it.
    fn checks(&self) -> String {
        match &self.settings {
            Some(settings) if self.is_under_way() => {
                format!("{} of {} failed", self.failed_checks, settings.threshold)
            }
            _ => String::new(),
        }
    }

    /// `step 3 of 6`, while there are steps.
    fn step(&self) -> Option<String> {
        let settings = self.settings.as_ref()?;
        let Some(Record { state: State::Analysing(run), .. }) = &self.record else { return None };
        let (done, all) = match &settings.strategy {
            Strategy::Weights(weights) => position(weights, self.split.canary),
            Strategy::Steps(steps) => {
                (run.step.min(u32::try_from(steps.len()).ok()?), u32::try_from(steps.len()).ok()?)
            }
            Strategy::AbTest { iterations } | Strategy::BlueGreen { iterations, .. } => (self.iterations, *iterations),
        };
        let noun = match settings.strategy {
            Strategy::Weights(_) | Strategy::Steps(_) => "step",
            Strategy::AbTest { .. } | Strategy::BlueGreen { .. } => "iteration",
        };
        Some(format!("{noun} {done} of {all}"))
    }

    /// When it is looked at next, where that is known.
    fn next(&self) -> Option<Timestamp> {
        let settings = self.settings.as_ref()?;
        let later =
            |since: Timestamp, wait: Duration| since.checked_add(jiff::SignedDuration::try_from(wait).ok()?).ok();
        match &self.record.as_ref()?.state {
            State::Analysing(run) => match (run.hold, &settings.strategy) {
                (Hold::Step(since), Strategy::Steps(steps)) => {
                    let step = steps.get(usize::try_from(run.step).ok()?)?;
                    let Step::Pause(Some(pause)) = step else { return None };
                    later(since, *pause)
                }
                _ => later(run.since, settings.interval),
            },
            State::Waiting(candidate) => later(candidate.since, settings.interval),
            _ => None,
        }
    }

    /// What a person can do about it, when it waits for one or has ended badly.
    fn remedy(&self) -> Option<String> {
        let verb = match &self.record.as_ref()?.state {
            State::Waiting(_) => "promote",
            State::Analysing(run) => match run.hold {
                Hold::Promotion => "promote",
                Hold::Paused => "resume",
                Hold::Step(_) if self.next().is_none() => "promote",
                Hold::Step(_) | Hold::Free => return None,
            },
            State::Resting(rest) => match rest.outcome {
                Outcome::Failed(_) => "retry",
                Outcome::Stranded(_) => "promote",
                Outcome::Initialized | Outcome::Succeeded | Outcome::RolledBack => return None,
            },
            _ => return None,
        };
        Some(format!("leeboard canary {verb} {}", self.place))
    }

    /// One line, for where nothing can be painted.
    pub(super) fn line(&self) -> String {
        let mut parts = vec![self.phase_word().to_owned()];
        if self.has_weights() {
            parts.push(self.split.to_string());
        }
        parts.extend(self.step());
        parts.push(self.checks());
        parts.push(self.message.clone());
        parts.retain(|part| !part.is_empty());
        parts.join("  ")
    }

    fn has_weights(&self) -> bool {
        self.is_under_way() || matches!(self.phase, Some(Phase::Finalising)) || self.split != Split::PRIMARY_ONLY
    }

    /// The screen of one canary.
    pub(super) fn screen(&self, terminal: &Terminal) -> Vec<String> {
        let mut head = vec![bold(&self.place), self.phase_colored()];
        head.extend(self.images.as_ref().map(|(before, after)| {
            let arrow = if terminal.unicode() { "→" } else { "->" };
            if self.ended() == Ended::Badly {
                format!("{after}, back on {before}")
            } else {
                format!("{before} {arrow} {after}")
            }
        }));
        head.extend(self.step());
        head.extend(self.next().map(|next| match next.duration_since(self.now).as_secs() {
            ..=0 => "next now".to_owned(),
            seconds => format!("next in {}", age(seconds)),
        }));
        if self.ended() != Ended::NotYet {
            head.extend(self.since.map(|_| format!("since {}", self.age())));
        }
        let mut lines = vec![head.join("  ")];
        if self.has_weights() {
            let mut gets = match self.split.mirrored {
                Copies::None => String::new(),
                Copies::Configured => "   gets copies of its requests".to_owned(),
                Copies::Share(share) => format!("   gets copies of {share} % of the requests"),
            };
            if let Some(step) = self.split.header {
                gets.push_str(&format!("   gets the requests of steps[{step}].header"));
            }
            lines.push(format!("  primary  {}", bar(self.split.primary(), Style::new().blue(), terminal)));
            lines.push(format!("  canary   {}{gets}", bar(self.split.canary, Style::new().yellow(), terminal)));
        }
        if let (Some(settings), true) = (&self.settings, self.is_under_way()) {
            let bounds: Vec<String> = settings.metrics.iter().map(|metric| bound(metric, terminal)).collect();
            let passed = match &self.record {
                Some(Record { state: State::Analysing(run), .. }) => {
                    format!("{} passed, ", run.check.saturating_sub(run.failed_checks))
                }
                _ => String::new(),
            };
            let bounds = if bounds.is_empty() { String::new() } else { format!("   {}", bounds.join(", ")) };
            lines.push(format!("  checks   {passed}{}{bounds}", self.checks()));
        }
        if !self.message.is_empty() {
            let symbol = terminal.symbol(match self.ended() {
                Ended::Badly => Symbol::Bad,
                Ended::Well => Symbol::Note,
                Ended::NotYet => Symbol::Going,
            });
            lines.push(format!("  {symbol} {}", self.message));
        }
        if !self.events.is_empty() {
            lines.push(String::new());
            let first = self.events.len().saturating_sub(SHOWN_EVENTS);
            for event in &self.events[first..] {
                let symbol = if event.is_warning { terminal.symbol(Symbol::Note) } else { " ".into() };
                let ago = age(self.now.duration_since(event.time).as_secs());
                lines.push(format!("  {} {symbol} {}", dim(format!("{ago:>6}")), event.message));
            }
        }
        if let Some(remedy) = self.remedy() {
            lines.push(String::new());
            lines.push(format!("next: {remedy}"));
        }
        lines
    }

    /// For programs.
    pub(super) fn to_value(&self) -> Value {
        let (namespace, name) = self.place.split_once('/').unwrap_or_default();
        let versions = self.record.as_ref().and_then(Record::versions);
        json!({
            "namespace": namespace,
            "name": name,
            "phase": self.phase.map(Phase::as_str),
            "ended": match self.ended() { Ended::Well => json!("well"), Ended::Badly => json!("badly"), Ended::NotYet => Value::Null },
            "weights": {"primary": self.split.primary(), "canary": self.split.canary, "mirrored": self.split.mirrored != Copies::None},
            "failedChecks": self.failed_checks,
            "threshold": self.settings.as_ref().map(|settings| settings.threshold),
            "iterations": self.iterations,
            "since": self.since.map(|since| since.to_string()),
            "next": self.next().map(|next| next.to_string()),
            "message": self.message,
            "versions": versions.map(|versions| json!({"primary": versions.promoted, "tried": versions.applied})),
            "images": self.images.as_ref().map(|(primary, tried)| json!({"primary": primary, "tried": tried})),
            "events": self.events.iter().map(|event| json!({
                "time": event.time.to_string(), "action": event.action, "message": event.message,
                "isWarning": event.is_warning,
            })).collect::<Vec<_>>(),
        })
    }
}

/// The table of many.
pub(super) fn table(views: &[View], terminal: &Terminal) -> String {
    let mut table = Table::new(["CANARY", "PHASE", "WEIGHT", "CHECKS", "SINCE", "MESSAGE"]);
    for view in views {
        let weight = if view.has_weights() { format!("{} %", view.split.canary) } else { String::new() };
        let message = view.message.clone();
        table.row([view.place.clone(), view.phase_colored(), weight, view.checks(), view.age(), message]);
    }
    table.draw(terminal)
}

/// The condition that says what is wrong. Flagger's is about the phase, and one is a warning for later.
fn problem(conditions: &[CanaryCondition]) -> Option<&CanaryCondition> {
    let is_one = |condition: &&CanaryCondition| {
        condition.status == "False" && !matches!(condition.name.as_str(), "Promoted" | "RevertsOnDeletion")
    };
    conditions.iter().find(is_one)
}

/// What it waits for, or why it failed.
fn message(record: &Record) -> String {
    let applied = match &record.state {
        State::Stillborn { revision, .. } => Some(revision),
        _ => record.versions().map(|versions| &versions.applied),
    };
    let told = record.told.as_str();
    let progress = match applied {
        Some(applied) => wave::progress(record, applied),
        None if matches!(record.state, State::Terminating) => return "it is being deleted".into(),
        None => Progress::Underway { waits_for: "the primary to be made".into(), for_a_person: false },
    };
    match progress {
        Progress::Done => told.to_owned(),
        Progress::Failed(why) => why,
        Progress::Underway { waits_for, .. } if told.is_empty() => format!("waits for {waits_for}"),
        Progress::Underway { waits_for, .. } => format!("waits for {waits_for}: {told}"),
    }
}

/// How far a weight is on the way to the promotion, in steps.
fn position(weights: &Weights, reached: Weight) -> (u32, u32) {
    let (mut at, mut done, mut all) = (Weight::NONE, 0, 0);
    while at < weights.max && at < Weight::ALL {
        at = weights.after(at);
        all += 1;
        done += u32::from(at <= reached);
    }
    (done, all)
}

/// Two images as versions: their tags, when nothing else differs.
fn versions(before: &str, after: &str) -> (String, String) {
    let split = |image: &str| {
        let at = image.rfind(':').filter(|at| !image[*at..].contains('/'))?;
        Some((image[..at].to_owned(), image[at + 1..].to_owned()))
    };
    match (split(before), split(after)) {
        (Some((a, old)), Some((b, new))) if a == b && !a.contains('@') => (old, new),
        _ => (before.to_owned(), after.to_owned()),
    }
}

/// `request-success-rate ≥ 99`.
fn bound(metric: &MetricCheck, terminal: &Terminal) -> String {
    let (least, most) = if terminal.unicode() { ("≥", "≤") } else { (">=", "<=") };
    let least = metric.bounds.min.map(|min| format!(" {least} {min}")).unwrap_or_default();
    let most = metric.bounds.max.map(|max| format!(" {most} {max}")).unwrap_or_default();
    format!("{}{least}{most}", metric.name)
}

fn bar(weight: Weight, style: Style, terminal: &Terminal) -> String {
    let full = usize::from(weight.percent()) * BAR / 100;
    let (on, off) = if terminal.unicode() { ("█", "░") } else { ("#", ".") };
    format!("{}{} {:>3} %", on.repeat(full).style(style), dim(off.repeat(BAR - full)), weight.percent())
}

/// What a wish would do nothing about, before it is written: why. What only the daemon can tell is left to it.
pub(super) fn needless(view: &View, wish: world::WishKind) -> Option<Needless> {
    use world::WishKind as W;
    let state = &view.record.as_ref()?.state;
    let is_so = |what: &str| Some(Needless::IsSo(format!("{} {what}", view.place)));
    let cannot = |what: &str| Some(Needless::Cannot(format!("nothing to {} of {}: {what}", verb(wish), view.place)));
    match (wish, state) {
        (W::Pause, State::Analysing(run)) if run.hold == Hold::Paused => is_so("is paused already"),
        (W::Resume, State::Analysing(run)) if run.hold != Hold::Paused => is_so("is not paused"),
        (W::Abort, State::RollingBack(_)) => is_so("is being rolled back already"),
        (W::Promote | W::PromoteFully, State::Promoting(_) | State::Finalising(_)) => {
            is_so("is being promoted already")
        }
        (W::Promote, State::Analysing(run)) if run.hold == Hold::Free => {
            cannot("it waits for nobody; `--full` promotes it now, whatever is left to be checked")
        }
        (W::Promote | W::PromoteFully | W::Abort, State::Resting(rest)) => match &rest.outcome {
            Outcome::Stranded(_) if wish != W::PromoteFully => None,
            Outcome::Stranded(_) => cannot("its promotion got stuck; `promote` without `--full` lets it go on"),
            Outcome::Initialized => cannot("no version is being tried"),
            Outcome::Succeeded => cannot("the last version was promoted, and no other one is being tried"),
            Outcome::RolledBack => cannot("it was rolled back to an earlier version, and no other one is being tried"),
            Outcome::Failed(why) => cannot(&format!("the last version was rolled back: {why}")),
        },
        (W::Retry, State::Resting(rest)) if matches!(rest.outcome, Outcome::Failed(_)) => None,
        (W::Retry, _) => cannot("its last version has not failed"),
        (W::Pause | W::Resume, State::Analysing(_)) => None,
        (W::Pause | W::Resume, _) => cannot("no version is being checked"),
        (_, State::Initializing { .. }) => cannot("the primary is still being made"),
        (_, State::Stillborn { why, .. }) => cannot(&format!("the primary could not be made: {why}")),
        (_, State::Terminating) => cannot("it is being deleted"),
        _ => None,
    }
}

/// Why a wish needs not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Needless {
    /// It is as the person wants it.
    IsSo(String),
    /// It makes no sense now.
    Cannot(String),
}

/// The word a person types.
pub(super) fn verb(wish: world::WishKind) -> &'static str {
    match wish {
        world::WishKind::PromoteFully => "promote",
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests;
