//! What is told: Events and alerts, in Flagger's words where Flagger has some, since people search for them.

use std::fmt;
use std::time::Duration;

use smol_str::SmolStr;

use super::record::Doubt;
use super::settings::{Subject, TargetKind};
use super::{Revision, Split, Weight};
use crate::api::flagger::{HookType, Severity};

/// One thing that is told, as an Event of the Canary and to its `event` hooks.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The primary serves.
    Initialized,
    /// It is suspended.
    Suspended,
    /// The target cannot be seen; why, in a sentence.
    Unseen(String),
    /// The primary is not ready; what is missing.
    PrimaryNotReady(String),
    /// The canary is not ready; what is missing.
    CanaryNotReady(String),
    /// A run begins.
    NewRevision,
    /// A run begins again, on another version.
    Restarted,
    /// The checks begin.
    Starting,
    /// The canary has another weight.
    Advanced(Weight),
    /// The canary gets copies of that share of the requests.
    Mirrored(Weight),
    /// Requests that match this step go to the canary; those of none do any more.
    Led(Option<usize>),
    /// One more check has passed.
    Iterated {
        /// How many have.
        done: u32,
        /// Of how many.
        of: u32,
    },
    /// A step wants the canary to have so many pods.
    Scaled(u32),
    /// A hook said yes.
    HookPassed(HookType, SmolStr),
    /// A hook said no.
    HookRefused {
        /// When.
        moment: HookType,
        /// Its name.
        name: SmolStr,
        /// What it said.
        body: String,
    },
    /// A value is out of its bounds.
    OutOfBounds(Breach),
    /// A value is out of its bounds, and not so far that it fails.
    Inconclusive(Breach),
    /// So many inconclusive checks in a row that a person has to decide, at that weight.
    Undecided(u32, Weight),
    /// What was measured in the background last says neither.
    Doubted(SmolStr, Doubt),
    /// A metric that counts for nothing would have failed, or held the weight.
    DryRun {
        /// Its name.
        metric: SmolStr,
        /// What would have become of the check.
        would: &'static str,
        /// What was measured.
        what: String,
    },
    /// A metric has no value.
    NoData {
        /// Its name.
        metric: SmolStr,
        /// Its provider, for what is built in.
        provider: Option<String>,
        /// What was answered.
        why: String,
    },
    /// A metric's query failed.
    QueryFailed {
        /// Its name; nothing for what is built in.
        metric: Option<SmolStr>,
        /// What was answered.
        why: String,
    },
    /// All metrics have values again, after a query that failed.
    MeasuredAgain,
    /// An alert fires; its name.
    AlarmFires(String),
    /// A pause of the steps, or a person's.
    Paused(Weight),
    /// A pause has ended.
    Resumed,
    /// Too many checks have failed.
    ThresholdReached(u32),
    /// The canary was unready for too long; what is missing.
    DeadlineExceeded(String),
    /// A hook wants it back.
    RollbackAsked,
    /// A person wants it back.
    Aborted(SmolStr),
    /// Traffic is back on the primary, the target goes.
    ScalingDown,
    /// Git is back at what the primary has.
    WentBack,
    /// Git is back at what the primary had before.
    GoingBack(Revision),
    /// The primary has again what it had before.
    IsBack(Revision),
    /// The primary becomes the new version.
    Copying,
    /// Blue/green: all traffic to the canary.
    RoutingToCanary,
    /// The promotion's last route.
    RoutingToPrimary,
    /// The primary has another weight in a promotion.
    PrimaryAdvanced(Weight),
    /// The primary did not come up at the new version.
    PromotionFailed(String),
    /// The primary did not come up at all.
    InitializationFailed(String),
    /// What was promoted is measured on, for so long.
    Verifying(Duration),
    /// It is done.
    Promoted,
    /// It is done, without analysis.
    PromotedUnchecked,
    /// The route was edited by someone else, and is put back.
    RouteEdited {
        /// What was found.
        found: Split,
        /// What is put back.
        wanted: Split,
    },
    /// The route cannot be read or written; why.
    RouterUnavailable(String),
    /// A person tries a failed version again.
    Retried(SmolStr, Revision),
    /// A wish that means nothing now.
    Ignored(&'static str),
    /// It is being deleted.
    Terminating,
    /// It is deleted.
    Terminated,
    /// Another canary has the target.
    Claimed(SmolStr),
}

/// A value that is out of its bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Breach {
    /// The metric's name.
    pub metric: SmolStr,
    /// What was measured.
    pub value: f64,
    /// The bound that it passes.
    pub bound: Bound,
}

/// A bound that a value may not pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Not less.
    Min(f64),
    /// Not more.
    Max(f64),
}

/// As Flagger writes it: `success rate 98.00% < 99%`, `request duration 1.2s > 500ms`, `errors 7.00 > 5`.
impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, bound) = match self.bound {
            Bound::Min(bound) => ("<", bound),
            Bound::Max(bound) => (">", bound),
        };
        match &*self.metric {
            "request-success-rate" => write!(f, "success rate {:.2}% {sign} {bound}%", self.value),
            "request-duration" => {
                write!(f, "request duration {} {sign} {}", milliseconds(self.value), milliseconds(bound))
            }
            name => write!(f, "{name} {:.2} {sign} {bound}", self.value),
        }
    }
}

/// Whole milliseconds as Go writes a duration.
fn milliseconds(value: f64) -> String {
    let whole = value.trunc();
    if whole.abs() < 1000.0 {
        return if whole == 0.0 { "0s".into() } else { format!("{whole}ms") };
    }
    let seconds = whole / 1000.0;
    let minutes = (seconds / 60.0).floor();
    if minutes < 1.0 {
        format!("{seconds}s")
    } else {
        format!("{minutes}m{}s", ((seconds - minutes * 60.0) * 1000.0).round() / 1000.0)
    }
}

impl Event {
    /// True for what Kubernetes calls a Warning.
    pub fn is_warning(&self) -> bool {
        use Event as E;
        match self {
            E::Unseen(_) | E::PrimaryNotReady(_) | E::CanaryNotReady(_) | E::HookRefused { .. } | E::OutOfBounds(_) => {
                true
            }
            E::Inconclusive(_) | E::Undecided(..) | E::Doubted(..) => true,
            E::NoData { .. } | E::QueryFailed { .. } | E::AlarmFires(_) => true,
            E::ThresholdReached(_) | E::DeadlineExceeded(_) => true,
            E::RollbackAsked | E::Aborted(_) | E::ScalingDown | E::PromotionFailed(_) | E::InitializationFailed(_) => {
                true
            }
            E::RouteEdited { .. } | E::RouterUnavailable(_) | E::Ignored(_) | E::Claimed(_) => true,
            E::HookPassed(moment, _) => *moment == HookType::Rollback,
            _ => false,
        }
    }

    /// One word for programs.
    pub fn reason(&self) -> &'static str {
        use Event as E;
        match self {
            E::Initialized => "CanaryInitialized",
            E::Suspended => "CanarySuspended",
            E::Unseen(_) => "TargetUnseen",
            E::PrimaryNotReady(_) => "PrimaryNotReady",
            E::CanaryNotReady(_) => "CanaryNotReady",
            E::NewRevision | E::Restarted | E::Starting | E::Retried(..) => "CanaryStarted",
            E::Advanced(_)
            | E::Mirrored(_)
            | E::Led(_)
            | E::Scaled(_)
            | E::Iterated { .. }
            | E::RoutingToCanary
            | E::Resumed => "CanaryAdvanced",
            E::HookPassed(..) => "HookPassed",
            E::HookRefused { .. } | E::OutOfBounds(_) | E::NoData { .. } | E::QueryFailed { .. } | E::AlarmFires(_) => {
                "CanaryHalted"
            }
            E::DryRun { .. } => "MetricDryRun",
            E::MeasuredAgain => "MetricsMeasured",
            E::Inconclusive(_) | E::Doubted(..) => "CanaryInconclusive",
            E::Paused(_) | E::Undecided(..) => "CanaryPaused",
            E::ThresholdReached(_) | E::DeadlineExceeded(_) | E::RollbackAsked | E::Aborted(_) => "CanaryRolledBack",
            E::ScalingDown | E::PromotionFailed(_) | E::InitializationFailed(_) => "CanaryFailed",
            E::WentBack | E::GoingBack(_) | E::IsBack(_) => "CanaryWentBack",
            E::Copying | E::RoutingToPrimary | E::PrimaryAdvanced(_) | E::Verifying(_) => "CanaryPromoting",
            E::Promoted | E::PromotedUnchecked => "CanaryPromoted",
            E::RouteEdited { .. } => "RouteEdited",
            E::RouterUnavailable(_) => "RouterUnavailable",
            E::Ignored(_) => "ActionIgnored",
            E::Terminating | E::Terminated => "CanaryTerminating",
            E::Claimed(_) => "TargetClaimed",
        }
    }

    /// The sentence.
    pub fn message(&self, subject: &Subject) -> String {
        let Subject { kind, name, namespace } = subject;
        let word = kind.as_str().to_lowercase();
        let it = format!("{name}.{namespace}");
        let primary = format!("{name}-primary.{namespace}");
        match self {
            Event::Initialized => format!("Initialization done! {it}"),
            Event::Suspended => "skipping canary run as object is suspended".into(),
            Event::Unseen(why) | Event::RouterUnavailable(why) => why.clone(),
            Event::PrimaryNotReady(why) if *kind == TargetKind::DaemonSet => {
                format!("primary daemonset {primary} not ready: {why}")
            }
            Event::PrimaryNotReady(why) => format!("{primary} not ready: {why}"),
            Event::CanaryNotReady(why) => format!("canary {word} {it} not ready: {why}"),
            Event::NewRevision => format!("New revision detected! Scaling up {it}"),
            Event::Restarted => format!("New revision detected! Restarting analysis for {it}"),
            Event::Starting => format!("Starting canary analysis for {it}"),
            Event::Advanced(weight) => format!("Advance {it} canary weight {weight}"),
            Event::Mirrored(Weight::NONE) => format!("Mirroring requests to {it} canary has ended"),
            Event::Mirrored(share) => format!("Mirroring {share}% of requests to {it} canary"),
            Event::Led(Some(step)) => format!("Routing requests that match steps[{step}].header to {it} canary"),
            Event::Led(None) => format!("Routing requests by header to {it} canary has ended"),
            Event::Iterated { done, of } => format!("Advance {it} canary iteration {done}/{of}"),
            Event::Scaled(replicas) => format!("Scaling {it} to {replicas}"),
            Event::HookPassed(moment, name) => format!("{} check {name} passed", capital(moment.as_str())),
            Event::HookRefused { moment, name, body } => match moment {
                HookType::ConfirmRollout => format!("Halt {it} advancement waiting for approval {name}"),
                HookType::ConfirmPromotion => format!("Halt {it} advancement waiting for promotion approval {name}"),
                HookType::ConfirmTrafficIncrease => {
                    format!("Halt {it} advancement waiting for traffic increase approval {name}")
                }
                HookType::PreRollout => format!("Halt {it} advancement pre-rollout check {name} failed {body}"),
                HookType::PostRollout => format!("Post-rollout hook {name} failed {body}"),
                _ => format!("Halt {it} advancement external check {name} failed {body}"),
            },
            Event::OutOfBounds(breach) => format!("Halt {it} advancement {breach}"),
            Event::Inconclusive(breach) => format!("Halt {it} advancement inconclusive: {breach}"),
            Event::Doubted(metric, doubt) => {
                let what = match doubt {
                    Doubt::Silent => "had no value",
                    Doubt::Inconclusive => "was inconclusive",
                };
                format!("Halt {it} advancement: {metric}, measured in the background, {what}")
            }
            Event::DryRun { metric, would, what } => format!("Dry run of {metric} for {it} would have {would}: {what}"),
            Event::Undecided(checks, weight) => {
                format!("Halt {it} advancement paused at weight {weight}: {checks} checks in a row were inconclusive")
            }
            Event::NoData { metric, provider: Some(provider), why } => format!(
                "Halt advancement no values found for {provider} metric {metric} probably {it} is not receiving traffic: {why}"
            ),
            Event::NoData { metric, provider: None, why } => {
                format!("Halt advancement no values found for custom metric: {metric}: {why}")
            }
            Event::QueryFailed { metric: Some(metric), why } => format!("Metric query failed for {metric}: {why}"),
            Event::QueryFailed { metric: None, why } => format!("Prometheus query failed: {why}"),
            Event::MeasuredAgain => format!("Metrics of {it} are measured again"),
            Event::AlarmFires(alert) => format!("Halt {it} advancement alert {alert} fires"),
            Event::Paused(weight) => format!("Halt {it} advancement paused at weight {weight}"),
            Event::Resumed => format!("Resuming {it}"),
            Event::ThresholdReached(failed) => format!("Rolling back {it} failed checks threshold reached {failed}"),
            Event::DeadlineExceeded(why) => format!("Rolling back {it} progress deadline exceeded {why}"),
            Event::RollbackAsked => format!("Rolling back {it} manual webhook invoked"),
            Event::Aborted(by) => format!("Rolling back {it} aborted{}", by_whom(by)),
            Event::ScalingDown => format!("Canary failed! Scaling down {it}"),
            Event::WentBack => format!("Ending the analysis of {it}: the target is back at the promoted revision"),
            Event::GoingBack(revision) => {
                format!("Going back to revision {revision} of {it}, which was promoted before, without analysis")
            }
            Event::IsBack(revision) => format!("Rollback completed! {it} is back at revision {revision}"),
            Event::Copying => format!("Copying {it} template spec to {primary}"),
            Event::RoutingToCanary => "Routing all traffic to canary".into(),
            Event::RoutingToPrimary => "Routing all traffic to primary".into(),
            Event::PrimaryAdvanced(weight) => format!("Advance {it} primary weight {weight}"),
            Event::PromotionFailed(why) => {
                format!("Promotion of {it} failed, routing all traffic to canary: {primary} not ready: {why}")
            }
            Event::InitializationFailed(why) => format!("Initialization of {it} failed: {primary} not ready: {why}"),
            Event::Verifying(length) => format!("Promoted {it}, verifying it for {length:?}"),
            Event::Promoted => format!("Promotion completed! Scaling down {it}"),
            Event::PromotedUnchecked => format!("Promotion completed! Canary analysis was skipped for {it}"),
            Event::RouteEdited { found, wanted } => {
                format!("The route of {it} was edited to {found}, putting back {wanted}")
            }
            Event::Retried(by, revision) => format!("Trying revision {revision} of {it} again{}", by_whom(by)),
            Event::Ignored(wish) => format!("Nothing to {wish} for {it}"),
            Event::Terminating => format!("Terminating canary {it}"),
            Event::Terminated => format!("Terminated canary {it}"),
            Event::Claimed(other) => format!("{word} {it} belongs to the older canary {other}"),
        }
    }
}

fn by_whom(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" by {name}") }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What is sent to AlertProviders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// How much it matters.
    pub severity: Severity,
    /// The sentence.
    pub message: String,
    /// With the target, the threshold, the deadline and the strategy.
    pub has_details: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaches_are_told_in_flaggers_words() {
        let cases = [
            // metric, value, bound, text
            ("request-success-rate", 98.0, Bound::Min(99.0), "success rate 98.00% < 99%"),
            ("request-success-rate", 98.456, Bound::Min(99.5), "success rate 98.46% < 99.5%"),
            ("request-duration", 1234.9, Bound::Max(500.0), "request duration 1.234s > 500ms"),
            ("request-duration", 0.4, Bound::Min(1.0), "request duration 0s < 1ms"),
            ("request-duration", 90_000.0, Bound::Max(60_000.0), "request duration 1m30s > 1m0s"),
            ("errors", 7.0, Bound::Max(5.0), "errors 7.00 > 5"),
        ];
        for (metric, value, bound, expected) in cases {
            assert_eq!(Breach { metric: metric.into(), value, bound }.to_string(), expected);
        }
    }

    #[test]
    fn events_are_told_in_flaggers_words() {
        let subject = Subject { kind: TargetKind::Deployment, name: "web".into(), namespace: "shop".into() };
        let cases = [
            (Event::Initialized, "Initialization done! web.shop"),
            (Event::NewRevision, "New revision detected! Scaling up web.shop"),
            (Event::HookPassed(HookType::ConfirmRollout, "gate".into()), "Confirm-rollout check gate passed"),
            (Event::Iterated { done: 1, of: 2 }, "Advance web.shop canary iteration 1/2"),
            (Event::ThresholdReached(2), "Rolling back web.shop failed checks threshold reached 2"),
            (Event::Copying, "Copying web.shop template spec to web-primary.shop"),
        ];
        for (event, expected) in cases {
            assert_eq!(event.message(&subject), expected);
        }
    }
}
