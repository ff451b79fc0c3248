//! What each gate says of a promotion: yes, not yet, or no, in one sentence that a person understands.
//!
//! **In:** what users wrote of a gate, and what was seen. **Out:** an [`Answer`]. **May not:** pass for want of data; or
//! count what was said to another plan.

mod approval;
mod checks;
mod measured;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::candidate::short;
use super::track;
use crate::api::duration;
use crate::api::leeboard::promotion::{Gate, GateState, GateStatus, Override, PromotionTrack, Soak};

pub use self::approval::{Asker, approval};
pub use self::checks::checks;
pub use self::measured::{alarms, metric};

/// What a gate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The word.
    pub state: GateState,
    /// The sentence.
    pub message: String,
    /// When it may say something else, where a time is known.
    pub next_check: Option<Timestamp>,
    /// Where it can be seen.
    pub evidence: BTreeMap<String, String>,
    /// Nobody can leave it out.
    pub must_hold: bool,
}

impl Answer {
    fn new(state: GateState, message: impl Into<String>) -> Self {
        Answer { state, message: message.into(), next_check: None, evidence: BTreeMap::new(), must_hold: false }
    }

    /// The same, which nobody can leave out.
    #[must_use]
    pub fn binding(mut self) -> Self {
        self.must_hold = true;
        self
    }

    /// Yes.
    pub fn pass(message: impl Into<String>) -> Self {
        Answer::new(GateState::Pass, message)
    }

    /// Not yet.
    pub fn wait(message: impl Into<String>) -> Self {
        Answer::new(GateState::Wait, message)
    }

    /// No.
    pub fn fail(message: impl Into<String>) -> Self {
        Answer::new(GateState::Fail, message)
    }

    /// It could not be asked.
    pub fn error(message: impl Into<String>) -> Self {
        Answer::new(GateState::Error, message)
    }

    /// The same with something to look at.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.evidence.insert(name.into(), value.into());
        self
    }

    /// The same, to be asked again at a time.
    #[must_use]
    pub fn again(mut self, at: Timestamp) -> Self {
        self.next_check = Some(at);
        self
    }
}

/// Which kind of gate was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// [`Gate::soak`].
    Soak,
    /// [`Gate::approval`].
    Approval,
    /// [`Gate::job`].
    Job,
    /// [`Gate::checks`].
    Checks,
    /// [`Gate::webhook`].
    Webhook,
    /// [`Gate::metric`].
    Metric,
    /// [`Gate::alarms`].
    Alarms,
    /// [`Gate::vulnerabilities`].
    Vulnerabilities,
    /// [`Gate::signature`].
    Signature,
}

impl Kind {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Soak => "soak",
            Kind::Approval => "approval",
            Kind::Job => "job",
            Kind::Checks => "checks",
            Kind::Webhook => "webhook",
            Kind::Metric => "metric",
            Kind::Alarms => "alarms",
            Kind::Vulnerabilities => "vulnerabilities",
            Kind::Signature => "signature",
        }
    }

    /// The kind of a gate; `None` when none, or several, are written.
    pub fn of(gate: &Gate) -> Option<Kind> {
        let written = [
            gate.soak.as_ref().map(|_| Kind::Soak),
            gate.approval.as_ref().map(|_| Kind::Approval),
            gate.job.as_ref().map(|_| Kind::Job),
            gate.checks.as_ref().map(|_| Kind::Checks),
            gate.webhook.as_ref().map(|_| Kind::Webhook),
            gate.metric.as_ref().map(|_| Kind::Metric),
            gate.alarms.as_ref().map(|_| Kind::Alarms),
            gate.vulnerabilities.as_ref().map(|_| Kind::Vulnerabilities),
            gate.signature.as_ref().map(|_| Kind::Signature),
        ];
        let mut written = written.into_iter().flatten();
        let first = written.next()?;
        written.next().is_none().then_some(first)
    }

    /// People decide it: the time that they take is not the promotion's.
    pub fn is_for_people(self) -> bool {
        self == Kind::Approval
    }
}

/// The names of gates, in their order: what is written, else the kind, with a number where it would come twice.
pub fn names(gates: &[Gate]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for gate in gates {
        let kind = Kind::of(gate).map_or("gate", Kind::as_str);
        let plain = gate.name.clone().unwrap_or_else(|| kind.to_owned());
        let mut name = plain.clone();
        let mut number = 2;
        while names.contains(&name) {
            name = format!("{plain}-{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}

/// An answer as the status has it; what was said before keeps its time.
pub fn noted(name: &str, kind: &str, after: bool, answer: Answer, before: &[GateStatus], now: Timestamp) -> GateStatus {
    let known = before.iter().find(|gate| gate.name == name && gate.after == after);
    let since = known.filter(|known| known.state == answer.state).and_then(|known| known.since.clone());
    GateStatus {
        name: name.into(),
        kind: kind.into(),
        after,
        state: answer.state,
        message: answer.message,
        since: Some(since.unwrap_or(Time(now))),
        next_check: answer.next_check.map(Time),
        evidence: answer.evidence,
    }
}

/// A gate that a person has decided not to wait for; never one that must hold.
pub fn overridden(name: &str, overrides: &[Override], answer: Answer) -> Answer {
    let Some(chosen) = overrides.iter().find(|chosen| chosen.gate == name) else { return answer };
    if answer.state == GateState::Pass || answer.must_hold {
        return answer;
    }
    let message = format!("overridden: {} (it said: {})", chosen.reason.trim(), answer.message);
    Answer { state: GateState::Overridden, message, next_check: None, ..answer }
}

/// An answer of a gate that has waited too long is a no.
pub fn timed_out(gate: &Gate, before: Option<&GateStatus>, answer: Answer, now: Timestamp) -> Answer {
    let Some(limit) = gate.timeout.as_deref().and_then(duration::parse).filter(|limit| !limit.is_zero()) else {
        return answer;
    };
    let waits = matches!(answer.state, GateState::Wait | GateState::Error);
    let since = before.filter(|known| known.state == answer.state).and_then(|known| known.since.as_ref());
    let (true, Some(Time(since)), Ok(limit)) = (waits, since, SignedDuration::try_from(limit)) else { return answer };
    let ends = since.checked_add(limit).unwrap_or(Timestamp::MAX);
    if now >= ends {
        let text = gate.timeout.as_deref().unwrap_or_default();
        return Answer { state: GateState::Fail, message: format!("not within {text}: {}", answer.message), ..answer };
    }
    let next = answer.next_check.map_or(ends, |next| next.min(ends));
    Answer { next_check: Some(next), ..answer }
}

/// [`Gate::soak`]: the commit has been verified and healthy in its source environment for a time.
pub fn soak(soak: &Soak, commit: &str, origin: &str, sources: &[(&str, &PromotionTrack)], now: Timestamp) -> Answer {
    let Some(wanted) = duration::parse(&soak.duration).and_then(|wanted| SignedDuration::try_from(wanted).ok()) else {
        return Answer::fail(format!("`{}` is no duration", soak.duration));
    };
    let mut best: Option<(SignedDuration, &str, bool, Option<&Time>)> = None;
    for (name, track) in sources {
        let Some(tenure) = track::tenure(track, commit, origin) else { continue };
        let done = track::soaked(tenure, now);
        let is_running = tenure.healthy_since.is_some() && tenure.unhealthy_since.is_none();
        if best.as_ref().is_none_or(|(known, ..)| done > *known) {
            best = Some((done, name, is_running, tenure.unhealthy_since.as_ref()));
        }
    }
    let Some((done, name, is_running, unhealthy)) = best else {
        return Answer::wait(format!("{} is not verified in any source environment", short(commit)));
    };
    let evidence = |answer: Answer| answer.with("environment", name).with("seconds", done.as_secs().to_string());
    if done >= wanted {
        return evidence(Answer::pass(format!("healthy in {name} for {}, {} asked", text(done), soak.duration)));
    }
    if is_running {
        let ends = now.checked_add(wanted.saturating_sub(done)).unwrap_or(Timestamp::MAX);
        let message = format!("healthy in {name} for {} of {}: until {}", text(done), soak.duration, minute(ends));
        return evidence(Answer::wait(message).again(ends));
    }
    let since = unhealthy.map(|Time(since)| format!(" since {}", minute(*since))).unwrap_or_default();
    evidence(Answer::wait(format!("{name} is not healthy{since}: the {} begin anew then", soak.duration)))
}

/// A time as people read it: `2026-11-22 17:04:05Z`.
pub fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A length as people read it: `1h5m`, `42s`.
pub fn text(length: SignedDuration) -> String {
    let seconds = length.as_secs().max(0);
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, rest) {
        (0, 0, rest) => format!("{rest}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, rest) => format!("{minutes}m{rest}s"),
        (hours, 0, _) => format!("{hours}h"),
        (hours, minutes, _) => format!("{hours}h{minutes}m"),
    }
}
