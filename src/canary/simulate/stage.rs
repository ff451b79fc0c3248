//! The world of a script: it obeys the machine at once, and shows it what the script says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use smol_str::SmolStr;

use super::super::adopt::adopt;
use super::super::alarm;
use super::super::machine::{Action, Decision, decide};
use super::super::record::Record;
use super::super::settings::{MetricCheck, Settings};
use super::super::status;
use super::super::world::{
    Answers, HookAnswer, Part, Question, Reading, Rollout, Route, RouterProblem, Side, Sighting, Target, Wish,
    Workload, World, after,
};
use super::super::{Revision, Split};
use super::script::{Command, Moment, Pods};
use crate::api::flagger::{Canary, CanaryStatus, Phase, Provider, Severity};

/// More decisions than that without rest are a machine that runs in circles.
const MOST_DECISIONS: usize = 200;

/// The world, the machine's record, and what is to be printed.
pub(super) struct Stage {
    canary: Canary,
    provider: Provider,
    record: Option<Record>,
    status: CanaryStatus,
    answers: Answers,
    wake: Option<Timestamp>,
    waits_for: Option<String>,
    began: Timestamp,
    /// As the machine's clock shows it.
    now: Timestamp,
    /// How much that clock was set back.
    behind: Duration,
    target: TargetOnStage,
    primary: Option<PrimaryOnStage>,
    pods: BTreeMap<&'static str, Pods>,
    standing: BTreeSet<Part>,
    route: Option<Split>,
    router: Option<RouterProblem>,
    unseen: Option<String>,
    wish: Option<Wish>,
    claimed_by: Option<SmolStr>,
    scaler_minimum: Option<u32>,
    is_deleted: bool,
    is_gone: bool,
    metrics: BTreeMap<String, Reading>,
    hooks: BTreeMap<String, HookAnswer>,
    kill: Option<Moment>,
    names: BTreeMap<Revision, String>,
    notes: Vec<String>,
    printed: String,
    statuses: Vec<CanaryStatus>,
    events: Vec<String>,
    /// The last line about where it stands.
    told: String,
    must_tell: bool,
}

struct TargetOnStage {
    version: String,
    wanted: u32,
    replicas: u32,
    configs: BTreeMap<String, String>,
}

struct PrimaryOnStage {
    revision: Revision,
    replicas: u32,
}

impl Stage {
    pub(super) fn new(canary: Canary, provider: Provider) -> Self {
        // Some moment; only differences are shown.
        let began = Timestamp::from_second(1_800_000_000).unwrap_or_default();
        Stage {
            canary,
            provider,
            record: None,
            status: CanaryStatus::default(),
            answers: Answers::default(),
            wake: None,
            waits_for: None,
            began,
            now: began,
            behind: Duration::ZERO,
            target: TargetOnStage { version: "A".into(), wanted: 3, replicas: 3, configs: BTreeMap::new() },
            primary: None,
            pods: BTreeMap::new(),
            standing: BTreeSet::new(),
            route: None,
            router: None,
            unseen: None,
            wish: None,
            claimed_by: None,
            scaler_minimum: None,
            is_deleted: false,
            is_gone: false,
            metrics: BTreeMap::new(),
            hooks: BTreeMap::new(),
            kill: None,
            names: BTreeMap::new(),
            notes: Vec::new(),
            printed: String::new(),
            statuses: Vec::new(),
            events: Vec::new(),
            told: String::new(),
            must_tell: false,
        }
    }

    /// Lets one thing happen, and the machine act until it rests.
    pub(super) fn change(&mut self, command: &Command) -> Result<(), String> {
        match command {
            Command::Start { initialized } => return self.start(*initialized),
            Command::Adopt(phase, split) => return self.adopt(*phase, *split),
            Command::Tick(count) => return self.tick(*count),
            Command::Wait(length) => return self.wait(*length),
            Command::Status => {
                self.print_status();
                return Ok(());
            }
            Command::Set(path, value) => self.set(path, value)?,
            Command::Commit { version, replicas } => self.commit(version, *replicas),
            Command::Config { name, data } => match data {
                Some(data) => drop(self.target.configs.insert(name.clone(), data.clone())),
                None => drop(self.target.configs.remove(name)),
            },
            Command::Pods { are: Pods::Deleted, .. } => self.primary = None,
            Command::Pods { of, are } => drop(self.pods.insert(word(*of), *are)),
            Command::Metric(name, reading) => {
                let analysis = self.canary.spec.analysis();
                let names = analysis.metrics.iter().map(|it| it.name.clone());
                self.known("metric", name, names.chain(alarm::CHECKS.map(str::to_owned)))?;
                self.metrics.insert(name.clone(), reading.clone());
            }
            Command::Hook(name, answer) => {
                self.known("hook", name, self.canary.spec.analysis().webhooks.iter().map(|it| it.name.clone()))?;
                self.hooks.insert(name.clone(), answer.clone());
            }
            Command::Annotate(key, value) => {
                let annotations = self.canary.metadata.annotations.get_or_insert_default();
                annotations.insert(format!("canary.leeboard.dev/{key}"), value.clone());
            }
            Command::Want(what, by) => self.wish = Some(Wish { what: *what, by: by.into() }),
            Command::Suspend(suspend) => self.canary.spec.suspend = *suspend,
            Command::Kill(Moment::Now) => self.restart("killed, started again"),
            Command::Kill(moment) => self.kill = Some(moment.clone()),
            Command::ClockBack(length) => self.set_back(*length),
            Command::Route(split) => self.route = Some(*split),
            Command::Router(problem) => self.router = problem.clone(),
            Command::Unseen(why) => self.unseen = why.as_ref().map(|why| self.why_unseen(why)),
            Command::Claim(name) => self.claimed_by = name.as_deref().map(SmolStr::new),
            Command::Scaler(least) => self.scaler_minimum = Some(*least),
            Command::Delete => self.is_deleted = true,
        }
        // Before the start it only sets the stage.
        if self.record.is_some() { self.settle() } else { Ok(()) }
    }

    /// What is to be printed since the last time.
    pub(super) fn answer(&mut self) -> String {
        self.print();
        std::mem::take(&mut self.printed)
    }

    /// One line about where it stands now, and what led there; nothing when nothing is new.
    fn print(&mut self) {
        let Some(record) = &self.record else { return };
        let mut head = format!("{}  {}", status::phase(record), record.route.split);
        let counted = [("iteration", self.status.iterations), ("failed", self.status.failed_checks)];
        for (what, count) in counted {
            if count != 0 {
                head.push_str(&format!("  {what} {count}"));
            }
        }
        if let Some(waits_for) = self.waits_for.as_deref().filter(|waits| *waits != "the next check") {
            head.push_str(&format!("  waits for {waits_for}"));
        }
        let is_news = std::mem::take(&mut self.must_tell) || !self.notes.is_empty() || head != self.told;
        if !is_news {
            return;
        }
        self.printed.push_str(&format!("{}  {head}\n", self.elapsed()));
        for note in self.notes.drain(..) {
            self.printed.push_str(&format!("  {note}\n"));
        }
        self.told = head;
    }

    /// All statuses and the sentences of all Events.
    pub(super) fn history(self) -> (Vec<CanaryStatus>, Vec<String>) {
        (self.statuses, self.events)
    }

    fn start(&mut self, initialized: bool) -> Result<(), String> {
        if self.record.is_some() {
            return Err("it has started already".into());
        }
        self.record = Some(Record::new(self.now));
        self.settle()?;
        if initialized {
            self.notes.clear();
        }
        Ok(())
    }

    /// As Flagger leaves it: all that it makes is there, and a status with hashes that nobody else can make.
    fn adopt(&mut self, phase: Phase, split: Split) -> Result<(), String> {
        if self.record.is_some() {
            return Err("it has started already".into());
        }
        let revision = Revision::of(&json!({"version": "A"}), &self.target.configs);
        self.names.insert(revision.clone(), "A".into());
        self.primary = Some(PrimaryOnStage { revision, replicas: self.target.wanted });
        self.standing = [Part::Services, Part::Apex, Part::PrimaryScaler].into();
        self.route = Some(split);
        let has_pods =
            matches!(phase, Phase::Progressing | Phase::WaitingPromotion | Phase::Promoting | Phase::Finalising);
        self.target.replicas = if has_pods { self.target.wanted } else { 0 };
        let status = CanaryStatus {
            phase: Some(phase),
            canary_weight: split.canary.percent().into(),
            last_applied_spec: "5d97878757".into(),
            last_promoted_spec: "758df7c9fc".into(),
            ..CanaryStatus::default()
        };
        let world = self.world();
        self.record = Some(adopt(&status, &world, self.now).unwrap_or_else(|| Record::new(self.now)));
        self.must_tell = true;
        self.settle()
    }

    fn tick(&mut self, count: u32) -> Result<(), String> {
        for _ in 0..count {
            self.started()?;
            let interval = self.canary.spec.analysis().interval();
            let wake = self.wake.filter(|wake| *wake > self.now);
            self.now = wake.unwrap_or_else(|| after(self.now, interval));
            self.settle()?;
            self.must_tell = true;
            self.print();
        }
        Ok(())
    }

    fn wait(&mut self, length: Duration) -> Result<(), String> {
        self.started()?;
        let end = after(self.now, length);
        while let Some(wake) = self.wake.filter(|wake| *wake > self.now && *wake <= end) {
            self.now = wake;
            self.settle()?;
            self.print();
        }
        self.must_tell = self.now != end;
        self.now = end;
        self.settle()?;
        Ok(())
    }

    fn started(&self) -> Result<(), String> {
        if self.record.is_some() { Ok(()) } else { Err("nothing has started yet: write `start` above".into()) }
    }

    fn set(&mut self, path: &[String], value: &Value) -> Result<(), String> {
        let mut spec = serde_json::to_value(&self.canary.spec).map_err(|error| error.to_string())?;
        let mut at = &mut spec;
        for field in path {
            if at.is_null() {
                *at = json!({});
            }
            let Value::Object(map) = at else { return Err(format!("`{field}` is not in a mapping")) };
            at = map.entry(field.as_str()).or_insert(Value::Null);
        }
        *at = value.clone();
        let (name, namespace) = (self.canary.name(), self.canary.namespace());
        let object = json!({"kind": "Canary", "metadata": {"name": name, "namespace": namespace}, "spec": spec});
        let read = crate::api::decode::<Canary>(&object).map_err(|error| format!("{error}: {}", error.source))?;
        // What a type does not know is left out when it is written again.
        let written = serde_json::to_value(&read.spec).unwrap_or_default();
        let pointer = path.iter().fold(String::new(), |pointer, field| pointer + "/" + field);
        let is_default = matches!(value, Value::Null | Value::Bool(false)) || value == &json!(0) || value == &json!([]);
        if written.pointer(&pointer).is_none() && !is_default {
            return Err(format!("a Canary has no field `spec.{}`", path.join(".")));
        }
        self.canary.spec = read.spec;
        Ok(())
    }

    fn commit(&mut self, version: &str, replicas: Option<u32>) {
        if !version.is_empty() {
            self.target.version = version.to_owned();
        }
        self.target.wanted = replicas.unwrap_or(self.target.wanted);
    }

    fn known(&self, what: &str, name: &str, known: impl Iterator<Item = String>) -> Result<(), String> {
        let known: Vec<String> = known.collect();
        if known.iter().any(|known| known == name) {
            return Ok(());
        }
        let has = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(format!("the Canary has no {what} `{name}`; it has {has}"))
    }

    fn set_back(&mut self, length: Duration) {
        self.behind += length;
        let back = jiff::SignedDuration::try_from(length).unwrap_or_default();
        self.now = self.now.checked_sub(back).unwrap_or(Timestamp::MIN);
    }

    fn why_unseen(&self, why: &str) -> String {
        let target = &self.canary.spec.target_ref;
        let (kind, name, namespace) = (target.kind.to_lowercase(), &target.name, self.canary.namespace());
        if why.is_empty() {
            format!("{kind} {name}.{namespace} get query error: {kind}s.apps \"{name}\" not found")
        } else {
            why.to_owned()
        }
    }

    /// Decides and acts until nothing is left to do.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..MOST_DECISIONS {
            if self.is_gone {
                return Ok(());
            }
            let Some(record) = self.record.clone() else { return Ok(()) };
            let settings = match Settings::new(&self.canary, self.provider) {
                Ok(settings) => settings,
                Err(refusal) => {
                    self.status = status::refused(&self.status, &refusal, self.now);
                    self.waits_for = Some(format!("a correct spec: {}: {refusal}", refusal.reason()));
                    self.wake = None;
                    return Ok(());
                }
            };
            let world = self.world();
            let decision = decide(&settings, &record, &world, self.now);
            if let Some(wrong) = super::super::machine::broken_promise(&settings, &world, &record, &decision) {
                return Err(format!("the machine is broken: {wrong}"));
            }
            let is_quiet = decision.record == record && decision.actions.is_empty();
            self.obey(&settings, decision)?;
            if is_quiet {
                return Ok(());
            }
        }
        Err("the machine runs in circles".into())
    }

    fn obey(&mut self, settings: &Settings, decision: Decision) -> Result<(), String> {
        self.wake = decision.wake;
        self.waits_for = decision.waits_for;
        if let Some(Action::Ask(question)) = decision.actions.first() {
            self.reply(settings, question.clone());
            if self.kill == Some(Moment::After("ask".into())) {
                self.restart("killed after asking, started again");
            }
            return Ok(());
        }
        self.answers = Answers::default();
        // The way that it goes in a cluster.
        let annotation = decision.record.to_annotation();
        self.record = Some(Record::read(&annotation, &decision.status).map_err(|error| error.to_string())?);
        if self.statuses.last() != Some(&decision.status) {
            self.statuses.push(decision.status.clone());
        }
        self.status = decision.status;
        for event in &decision.events {
            self.events.push(event.message(&settings.subject));
            let sign = if event.is_warning() { "!" } else { "-" };
            self.notes.push(format!("{sign} {}", event.message(&settings.subject)));
        }
        for alert in &decision.alerts {
            let severity = match alert.severity {
                Severity::Info => "info",
                Severity::Warn => "warn",
                Severity::Error => "error",
            };
            self.notes.push(format!("@ {severity}: {}", alert.message));
        }
        if self.kill == Some(Moment::AfterSave) {
            self.restart("killed after the record was saved, started again");
            return Ok(());
        }
        for action in &decision.actions {
            self.act(action);
            if self.kill == Some(Moment::After(name(action).into())) {
                self.restart(&format!("killed after {}, started again", name(action)));
                return Ok(());
            }
        }
        Ok(())
    }

    /// What was not saved is lost.
    fn restart(&mut self, why: &str) {
        self.kill = None;
        self.answers = Answers::default();
        self.notes.push(format!("x {why}"));
    }

    fn reply(&mut self, settings: &Settings, question: Question) {
        match &question {
            Question::Hook { moment, name, .. } => {
                let answer = self.hooks.get(name.as_str()).cloned().unwrap_or(match moment {
                    // To these, yes is the exception.
                    crate::api::flagger::HookType::Rollback => HookAnswer::Refused("403".into()),
                    _ => HookAnswer::Passed,
                });
                let said = match &answer {
                    HookAnswer::Passed => "yes".to_owned(),
                    HookAnswer::Refused(body) => format!("no ({body})"),
                };
                self.notes.push(format!("? {} {name}: {said}", moment.as_str()));
                self.answers.hooks.insert(question, answer);
            }
            Question::Metrics { of, which, .. } => {
                let asked: Vec<&MetricCheck> = which.iter().filter_map(|at| settings.metrics.get(*at)).collect();
                let readings: Vec<Reading> = asked.iter().map(|metric| self.reading(metric)).collect();
                let said: Vec<String> = asked.iter().zip(&readings).map(|(metric, it)| tell(metric, it)).collect();
                let whose = if *of == Side::Primary { "of the primary: " } else { "" };
                self.notes.push(format!("? {whose}{}", said.join(", ")));
                self.answers.metrics.insert(question, readings);
            }
        }
    }

    fn reading(&self, metric: &MetricCheck) -> Reading {
        let good = metric.bounds.max.or(metric.bounds.min).unwrap_or(0.0);
        self.metrics.get(metric.name.as_str()).cloned().unwrap_or(Reading::Value(good))
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::EnsureServices => drop(self.standing.insert(Part::Services)),
            Action::EnsurePrimaryScaler => drop(self.standing.insert(Part::PrimaryScaler)),
            Action::LeadApexToPrimary => drop(self.standing.insert(Part::Apex)),
            Action::MakePrimary(revision) => {
                let replicas = self.target.wanted.max(1);
                self.primary = Some(PrimaryOnStage { revision: revision.clone(), replicas });
            }
            Action::Promote(revision) | Action::RestorePrimary(revision) => {
                let replicas = self.primary.as_ref().map_or(self.target.wanted, |primary| primary.replicas);
                self.primary = Some(PrimaryOnStage { revision: revision.clone(), replicas });
            }
            Action::SetRoute(split) => self.route = Some(*split),
            Action::ScaleTarget(replicas) => self.target.replicas = *replicas,
            Action::ScalePrimary(replicas) => {
                self.primary.iter_mut().for_each(|primary| primary.replicas = *replicas);
            }
            Action::ClearWish => self.wish = None,
            Action::LeadBackToTarget => {
                self.route = None;
                self.standing.remove(&Part::Apex);
            }
            Action::RemoveFinalizer => self.is_gone = true,
            Action::Ask(_) => {}
        }
        let what = match action {
            Action::MakePrimary(revision) | Action::Promote(revision) | Action::RestorePrimary(revision) => {
                format!(" {}", self.names.get(revision).map_or("?", String::as_str))
            }
            Action::SetRoute(split) => format!(" {split}"),
            Action::ScaleTarget(replicas) | Action::ScalePrimary(replicas) => format!(" {replicas}"),
            _ => String::new(),
        };
        self.notes.push(format!("> {}{what}", name(action)));
    }

    fn world(&mut self) -> World {
        let template = json!({"version": self.target.version});
        let revision = Revision::of(&template, &self.target.configs);
        let mut name = self.target.version.clone();
        for data in self.target.configs.values() {
            name.push_str(&format!("+{data}"));
        }
        self.names.insert(revision.clone(), name);
        let target = Target {
            workload: self.workload(Side::Canary, Some(revision.clone()), self.target.replicas),
            revision,
            configs: self.target.configs.clone(),
            wanted_replicas: self.target.wanted,
        };
        let primary = self.primary.as_ref();
        World {
            target: match &self.unseen {
                Some(why) => Sighting::Unseen(why.clone()),
                None => Sighting::Seen(target),
            },
            primary: primary.map(|it| self.workload(Side::Primary, Some(it.revision.clone()), it.replicas)),
            standing: self.standing.clone(),
            route: match (&self.router, self.route) {
                (Some(problem), _) => Route::Unavailable(problem.clone()),
                (None, Some(split)) => Route::Set(split),
                (None, None) => Route::Absent,
            },
            answers: self.answers.clone(),
            wish: self.wish.clone(),
            is_deleted: self.is_deleted,
            claimed_by: self.claimed_by.clone(),
            scaler_minimum: self.scaler_minimum,
        }
    }

    fn workload(&self, side: Side, revision: Option<Revision>, replicas: u32) -> Workload {
        let rollout = match self.pods.get(word(side)) {
            Some(Pods::Partly { available, of }) if replicas > 0 => {
                Rollout { desired: *of, updated: *of, total: *of, available: *available, ..Rollout::complete(*of) }
            }
            _ => Rollout::complete(replicas),
        };
        Workload { revision, replicas, endpoints: rollout.available, rollout }
    }

    fn print_status(&mut self) {
        let status = &self.status;
        let name = |hash: &str| {
            let known = self.names.iter().find(|(revision, _)| revision.template == hash);
            known.map_or_else(|| hash.to_owned(), |(_, name)| name.clone())
        };
        self.notes.push(format!(
            "phase {}, failedChecks {}, canaryWeight {}, iterations {}, lastAppliedSpec {}, lastPromotedSpec {}",
            status.phase.map_or("", Phase::as_str),
            status.failed_checks,
            status.canary_weight,
            status.iterations,
            name(&status.last_applied_spec),
            name(&status.last_promoted_spec),
        ));
        for condition in &status.conditions {
            self.notes
                .push(format!("{}={} {}: {}", condition.name, condition.status, condition.reason, condition.message));
        }
        let cookies = [
            ("sessionAffinityCookie", &status.session_affinity_cookie),
            ("primarySessionAffinityCookie", &status.primary_session_affinity_cookie),
            ("previousSessionAffinityCookie", &status.previous_session_affinity_cookie),
        ];
        for (field, cookie) in cookies.into_iter().filter(|(_, cookie)| !cookie.is_empty()) {
            self.notes.push(format!("{field} {cookie}"));
        }
    }

    fn elapsed(&self) -> String {
        let clock = self.now.duration_since(self.began).as_secs();
        let seconds = clock + i64::try_from(self.behind.as_secs()).unwrap_or(0);
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }
}

fn word(side: Side) -> &'static str {
    match side {
        Side::Canary => "canary",
        Side::Primary => "primary",
    }
}

fn tell(metric: &MetricCheck, reading: &Reading) -> String {
    let value = match reading {
        Reading::Value(value) => value.to_string(),
        Reading::NoData(_) => "none".into(),
        Reading::Error(why) => format!("error {why}"),
        Reading::Firing(alert) => format!("firing {alert}"),
    };
    format!("{} {value}", metric.name)
}

fn name(action: &Action) -> &'static str {
    match action {
        Action::EnsureServices => "ensure-services",
        Action::MakePrimary(_) => "make-primary",
        Action::EnsurePrimaryScaler => "ensure-primary-scaler",
        Action::LeadApexToPrimary => "lead-apex-to-primary",
        Action::SetRoute(_) => "set-route",
        Action::ScaleTarget(_) => "scale-target",
        Action::ScalePrimary(_) => "scale-primary",
        Action::Promote(_) => "promote",
        Action::RestorePrimary(_) => "restore-primary",
        Action::Ask(_) => "ask",
        Action::ClearWish => "clear-wish",
        Action::LeadBackToTarget => "lead-back-to-target",
        Action::RemoveFinalizer => "remove-finalizer",
    }
}
