//! The gates of a promotion, asked.
//!
//! **In:** what users wrote of gates, what was seen. **Out:** their answers. **May not:** decide what a no means; ask somebody
//! again before the time that the last answer named; or take an answer of another plan.

use std::collections::BTreeMap;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::super::canaries::{by_template, find_secret, look_for_alarms};
use super::super::web;
use super::Subject;
use super::plan::Planned;
use super::see::Source;
use crate::api::leeboard::promotion::{
    AlarmsGate, Approval, Checks, Gate, GateState, GateStatus, JobGate, MetricGate, Promotion, PromotionKind,
    WebhookGate, Word, WordVerdict,
};
use crate::api::{VERSION, duration};
use crate::canary::alarm::{Alarms, Alertmanager, PagerDuty, Unfit};
use crate::canary::job::last_words;
use crate::canary::metric::template::Variables;
use crate::canary::world::Reading;
use crate::forge::Verdict;
use crate::git::Oid;
use crate::live::client::{self, ListOptions};
use crate::object::secret::Masked;
use crate::object::{GroupKind, Object, ObjectKey};
use crate::promote::candidate::short;
use crate::promote::gate::{self, Answer, Asker, Kind};
use crate::promote::machine::Proposal;
use crate::promote::message;

/// How often a forge, an endpoint or a Job is asked that has not decided yet.
const CHECKS_AGAIN: SignedDuration = SignedDuration::from_secs(20);
const WEBHOOK_AGAIN: SignedDuration = SignedDuration::from_secs(30);
const JOB_AGAIN: SignedDuration = SignedDuration::from_secs(2);
/// How long an endpoint may think.
const WEBHOOK_PATIENCE: Duration = Duration::from_secs(10);

/// What gates are asked about.
pub(super) struct About<'a> {
    pub(super) subject: &'a Subject<'a>,
    pub(super) promotion: &'a Promotion,
    pub(super) proposal: &'a Proposal,
    pub(super) sources: &'a [Source],
    /// The commit that would be, or was, written.
    pub(super) commit: &'a str,
    /// The open pull request.
    pub(super) pull: Option<u64>,
    /// Who made what is carried.
    pub(super) authors: &'a [String],
    /// What was planned; nothing after the deployment.
    pub(super) planned: Option<&'a Planned>,
}

/// Answers, and whether some of those that wait, wait for people.
pub(super) struct Answers {
    pub(super) gates: Vec<GateStatus>,
    pub(super) waits_for_people: bool,
}

impl About<'_> {
    fn known(&self) -> &[GateStatus] {
        self.promotion.status.as_ref().map(|status| status.gates.as_slice()).unwrap_or_default()
    }

    /// The hash of the plan that is asked about.
    fn plan(&self) -> Option<(&str, bool)> {
        match self.proposal {
            Proposal::Ready(plan) => Some((&plan.hash, plan.added + plan.changed + plan.removed + plan.replaced > 0)),
            _ => None,
        }
    }

    /// What the gates before the write say.
    pub(super) async fn before(&self) -> Answers {
        let (now, known) = (self.subject.now, self.known());
        let mut gates = Vec::new();
        if let Some(answer) = self.source() {
            let answer = gate::overridden("source", &self.promotion.spec.overrides, answer);
            gates.push(gate::noted("source", "source", false, answer, known, now));
        }
        gates.push(gate::noted("plan", "plan", false, self.planned(), known, now));
        // A rollback goes back to what has passed them.
        if self.promotion.spec.kind == PromotionKind::Rollback {
            return Answers { gates, waits_for_people: false };
        }
        let answers = self.all(&self.subject.policy.gates, false).await;
        gates.extend(answers.gates);
        Answers { gates, waits_for_people: answers.waits_for_people }
    }

    /// What the gates after the deployment say.
    pub(super) async fn after(&self) -> Answers {
        self.all(&self.subject.policy.after, true).await
    }

    async fn all(&self, gates: &[Gate], after: bool) -> Answers {
        let names = gate::names(gates);
        let asked = gates.iter().zip(&names).map(|(gate, name)| self.one(gate, name, after));
        let found = futures::future::join_all(asked).await;
        let waits_for_people = gates
            .iter()
            .zip(&found)
            .any(|(gate, status)| status.state == GateState::Wait && Kind::of(gate).is_some_and(Kind::is_for_people));
        Answers { gates: found, waits_for_people }
    }

    async fn one(&self, gate: &Gate, name: &str, after: bool) -> GateStatus {
        let (now, known) = (self.subject.now, self.known());
        let before = known.iter().find(|status| status.name == name && status.after == after);
        let (kind, answer) = match Kind::of(gate) {
            None => ("gate", Answer::fail("no kind, or several, are written: write exactly one")),
            Some(kind) => (kind.as_str(), self.answer(gate, name, before, after).await),
        };
        let answer = gate::timed_out(gate, before, answer, now);
        let answer = gate::overridden(name, &self.promotion.spec.overrides, answer);
        let answer = match (gate.optional, answer.state) {
            (true, GateState::Fail | GateState::Wait | GateState::Error) => {
                Answer { state: GateState::Pass, message: format!("optional: {}", answer.message), ..answer }
            }
            _ => answer,
        };
        gate::noted(name, kind, after, answer, known, now)
    }

    async fn answer(&self, gate: &Gate, name: &str, before: Option<&GateStatus>, after: bool) -> Answer {
        if let Some(soak) = &gate.soak {
            let tracks: Vec<_> =
                self.sources.iter().filter_map(|source| Some((source.name.as_str(), source.track.as_ref()?))).collect();
            return gate::soak(soak, &self.promotion.spec.commit, self.origin(), &tracks, self.subject.now);
        }
        if let Some(approval) = &gate.approval {
            return self.approval(approval).await;
        }
        if gate.vulnerabilities.is_some() || gate.signature.is_some() {
            // Images, waivers and reports may come by the branch alone.
            let base = self.planned.map(|planned| planned.base.to_string()).unwrap_or_default();
            let is_of_base = |known: &&GateStatus| known.evidence.get("base") == Some(&base);
            let answer = match self.still_so(before.filter(is_of_base)) {
                Some(known) => known,
                None => self.about_it(self.images(gate).await).with("base", base),
            };
            return answer.binding();
        }
        if let Some(known) = self.still_so(before) {
            return known;
        }
        self.about_it(match gate {
            Gate { job: Some(job), .. } => self.job(job, gate, name).await,
            Gate { checks: Some(checks), .. } => self.checks(checks).await,
            Gate { webhook: Some(webhook), .. } => self.webhook(webhook, name).await,
            Gate { metric: Some(metric), .. } => self.metric(metric, before).await,
            Gate { alarms: Some(alarms), .. } => self.alarms(alarms, before, after).await,
            _ => Answer::fail("no kind is written"),
        })
    }

    /// What is said of the images: nobody can leave that out.
    async fn images(&self, gate: &Gate) -> Answer {
        match gate {
            Gate { vulnerabilities: Some(vulnerabilities), .. } => self.vulnerabilities(vulnerabilities).await,
            Gate { signature: Some(signature), .. } => self.signature(signature).await,
            _ => Answer::fail("no kind is written"),
        }
    }

    /// The answer, with what it is an answer to.
    fn about_it(&self, answer: Answer) -> Answer {
        answer.with("commit", self.commit).with("plan", self.plan().map(|(hash, _)| hash).unwrap_or_default())
    }

    /// The commit of the first environment that the promotion's came from.
    fn origin(&self) -> &str {
        let commit = &self.promotion.spec.commit;
        let offers = self.sources.iter().flat_map(|source| &source.offers);
        let known = offers.into_iter().find(|offer| offer.commit == *commit).map(|offer| offer.origin.as_str());
        known.unwrap_or(commit)
    }

    /// The last answer, while it is too early to ask again, or when it was the last word on this very commit and plan.
    fn still_so(&self, before: Option<&GateStatus>) -> Option<Answer> {
        let before = before?;
        let is = |name: &str, value: &str| before.evidence.get(name).is_some_and(|known| known == value);
        let plan = self.plan().map(|(hash, _)| hash).unwrap_or_default();
        if !is("commit", self.commit) || !is("plan", plan) {
            return None;
        }
        let is_early = before.next_check.as_ref().is_some_and(|Time(at)| *at > self.subject.now);
        let is_last = before.next_check.is_none() && matches!(before.state, GateState::Pass | GateState::Fail);
        (is_early || is_last).then(|| Answer {
            state: before.state,
            message: before.message.clone(),
            next_check: before.next_check.as_ref().map(|Time(at)| *at),
            evidence: before.evidence.clone(),
            must_hold: false,
        })
    }

    /// The commit is verified where it comes from.
    fn source(&self) -> Option<Answer> {
        let spec = &self.promotion.spec;
        if !matches!(spec.kind, PromotionKind::Promote | PromotionKind::Hotfix) || self.sources.is_empty() {
            return None;
        }
        let offers = || self.sources.iter().flat_map(|source| &source.offers);
        let Some(offer) = offers().find(|offer| offer.commit == spec.commit) else {
            let names: Vec<&str> = self.sources.iter().map(|source| source.name.as_str()).collect();
            return Some(Answer::wait(format!("{} has not been in {}", short(&spec.commit), names.join(", "))));
        };
        Some(match &offer.unverified {
            None => Answer::pass(format!("verified in {}", offer.source)),
            Some(why) => Answer::wait(format!("{} has not verified {}: {why}", offer.source, short(&spec.commit))),
        })
    }

    fn planned(&self) -> Answer {
        match self.proposal {
            Proposal::Unknown(why) => Answer::wait(why.clone()),
            Proposal::Needless(why) => Answer::pass(why.clone()),
            Proposal::Conflict(why) => Answer::wait(format!("conflict: {why}")),
            Proposal::Broken(why) => Answer::fail(why.clone()),
            Proposal::Ready(plan) => {
                let counts = message::counts(plan);
                let text = if counts.is_empty() { "no object changes".to_owned() } else { counts };
                Answer::pass(text).with("plan", &plan.hash)
            }
        }
    }

    async fn approval(&self, gate: &Approval) -> Answer {
        let Some((plan, changes)) = self.plan() else { return Answer::wait("there is no plan to approve yet") };
        let mut words = self.promotion.spec.approvals.clone();
        let mut trouble = None;
        if let Some(number) = self.pull {
            match self.reviews(number, plan).await {
                Ok(reviews) => words.extend(reviews),
                Err(error) => trouble = Some(error),
            }
        }
        let asker = Asker { requested_by: self.promotion.spec.requested_by.clone(), authors: self.authors.to_vec() };
        let answer = gate::approval(gate, &words, plan, changes, &asker, self.subject.now);
        match trouble {
            Some(why) if answer.state == GateState::Wait => {
                Answer { message: format!("{}; reviews are not known: {why}", answer.message), ..answer }
            }
            _ => answer,
        }
    }

    /// Reviews of the pull request as it is now: they are of this plan.
    async fn reviews(&self, number: u64, plan: &str) -> Result<Vec<Word>, String> {
        let forge = self.subject.forge().await?;
        let head: Option<Oid> = self.commit.parse().ok();
        let people = self.subject.environment.spec.previews.as_ref().and_then(|previews| previews.forge.as_ref());
        let reviews = forge.reviews(number).await.map_err(|error| error.to_string())?;
        Ok(reviews
            .into_iter()
            .filter(|review| !review.is_stale && review.commit.is_some() && review.commit == head)
            .filter_map(|review| {
                let verdict = match review.verdict {
                    Verdict::Approved => WordVerdict::Approve,
                    Verdict::ChangesRequested => WordVerdict::Reject,
                    Verdict::Commented => return None,
                };
                let account = &review.author;
                let person = people.and_then(|people| people.person(&account.id, &account.login));
                let login = account.login.clone();
                let (user, groups) =
                    person.map_or((login, Vec::new()), |person| (person.user.clone(), person.groups.clone()));
                Some(Word {
                    user,
                    groups,
                    account: Some(review.author.login),
                    verdict,
                    plan_hash: plan.to_owned(),
                    at: Some(Time(review.submitted.unwrap_or(self.subject.now))),
                    ..Word::default()
                })
            })
            .collect())
    }

    async fn checks(&self, checks: &Checks) -> Answer {
        let forge = match self.subject.forge().await {
            Ok(forge) => forge,
            Err(why) => return Answer::error(why).again(self.at(CHECKS_AGAIN)),
        };
        let Ok(commit) = self.promotion.spec.commit.parse::<Oid>() else { return Answer::fail("it is no commit") };
        match forge.checks(commit).await {
            // Also a green one may turn red.
            Ok(found) => gate::checks(checks, &found).again(self.at(CHECKS_AGAIN)),
            Err(error) => Answer::error(error.to_string()).again(self.at(CHECKS_AGAIN)),
        }
    }

    fn at(&self, later: SignedDuration) -> Timestamp {
        self.subject.now.checked_add(later).unwrap_or(Timestamp::MAX)
    }

    /// What every question says of itself.
    fn question(&self, gate: &str) -> Value {
        let spec = &self.promotion.spec;
        json!({
            "promotion": format!("{}/{}", self.promotion.namespace(), self.promotion.name()),
            "environment": spec.environment,
            "from": spec.from,
            "type": spec.kind.as_str(),
            "gate": gate,
            "commit": spec.commit,
            "planHash": self.plan().map(|(hash, _)| hash),
            "requestedBy": spec.requested_by,
        })
    }

    async fn webhook(&self, webhook: &WebhookGate, name: &str) -> Answer {
        let body = self.question(name).to_string();
        let request = match self.subject.daemon.web.request(Method::POST, &webhook.url, false) {
            Ok(request) => request,
            Err(why) => return Answer::fail(why),
        };
        let mut request = request.timeout(WEBHOOK_PATIENCE).header("content-type", "application/json");
        if let Some(secret) = &webhook.secret_name {
            let key = match self.secret(secret).await {
                Ok(key) => key,
                Err(why) => return Answer::error(why).again(self.at(WEBHOOK_AGAIN)),
            };
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose()) else {
                return Answer::fail("the key is no key");
            };
            mac.update(body.as_bytes());
            let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            request = request.header("x-leeboard-signature-256", format!("sha256={signature}"));
        }
        let answered = request.body(body).send().await;
        let (status, after) = match answered {
            Ok(answer) => {
                let after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok());
                let after = after.and_then(|value| value.trim().parse::<i64>().ok()).map(SignedDuration::from_secs);
                (answer.status().as_u16(), after)
            }
            Err(error) => return Answer::error(web::cause(&error)).again(self.at(WEBHOOK_AGAIN)),
        };
        let later =
            self.at(after.unwrap_or(WEBHOOK_AGAIN).clamp(SignedDuration::from_secs(1), SignedDuration::from_hours(1)));
        match status {
            202 => Answer::wait(format!("{} has not decided yet", webhook.url)).again(later),
            200..=299 => Answer::pass(format!("{} says yes", webhook.url)),
            400..=499 if status != 408 && status != 429 => Answer::fail(format!("{} says no ({status})", webhook.url)),
            _ => Answer::error(format!("{} answers {status}", webhook.url)).again(later),
        }
        .with("url", &webhook.url)
        .with("status", status.to_string())
    }

    /// What was found so far of this very commit and plan.
    fn so_far(&self, before: Option<&GateStatus>) -> BTreeMap<String, String> {
        let plan = self.plan().map(|(hash, _)| hash).unwrap_or_default();
        let is =
            |known: &GateStatus, name: &str, value: &str| known.evidence.get(name).is_some_and(|text| text == value);
        let of_it = before.filter(|known| is(known, "commit", self.commit) && is(known, "plan", plan));
        of_it.map(|known| known.evidence.clone()).unwrap_or_default()
    }

    async fn metric(&self, metric: &MetricGate, before: Option<&GateStatus>) -> Answer {
        let (environment, namespace) = (&self.promotion.spec.environment, self.promotion.namespace());
        let variables = Variables {
            name: environment.clone(),
            namespace: namespace.to_owned(),
            target: environment.clone(),
            interval: metric.interval.clone().unwrap_or_else(|| "1m".into()),
            variables: metric.template_variables.clone(),
            ..Variables::default()
        };
        let reference = &metric.template_ref;
        let namespace = reference.namespace.as_deref().unwrap_or(namespace);
        let reading =
            by_template(self.subject.daemon, &reference.name, Some(namespace), &variables, metric.interval()).await;
        let reading = reading.unwrap_or_else(|error| Reading::Error(error.to_string()));
        gate::metric(metric, &reading, &self.so_far(before), self.subject.now)
    }

    async fn alarms(&self, alarms: &AlarmsGate, before: Option<&GateStatus>, after: bool) -> Answer {
        let mut asked = Vec::new();
        if let Some(written) = &alarms.alertmanager {
            match Alertmanager::new(&written.url, &written.matchers) {
                Ok(alertmanager) => asked.push(Alarms::Alertmanager(alertmanager)),
                Err(unfit) => return Answer::fail(format!("alertmanager: write {}", expected(unfit))),
            }
        }
        if let Some(written) = &alarms.pagerduty {
            let ids = written.service_ids.iter().map(String::as_str);
            match PagerDuty::new(ids, &written.secret_name, written.url.as_deref().unwrap_or_default()) {
                Ok(pagerduty) => asked.push(Alarms::PagerDuty(pagerduty)),
                Err(unfit) => return Answer::fail(format!("pagerduty: write {}", expected(unfit))),
            }
        }
        let mut readings = Vec::new();
        for one in &asked {
            let reading = look_for_alarms(self.subject.daemon, Some(self.promotion.namespace()), one).await;
            readings.push(reading.unwrap_or_else(|error| Reading::Error(error.to_string())));
        }
        gate::alarms(alarms, &readings, &self.so_far(before), after, self.subject.now)
    }

    async fn secret(&self, name: &str) -> Result<Masked, String> {
        let found = find_secret(self.subject.daemon, name, Some(self.promotion.namespace())).await;
        let found = found.map_err(|error| error.to_string())?;
        let mut found = found.ok_or_else(|| format!("there is no Secret `{name}`"))?;
        found.remove("key").ok_or_else(|| format!("the Secret `{name}` has no `key`"))
    }

    async fn job(&self, gate: &JobGate, written: &Gate, name: &str) -> Answer {
        let timeout = written.timeout.as_deref().and_then(duration::parse).unwrap_or(JobGate::TIMEOUT);
        let wanted = match self.wanted(gate, name, timeout) {
            Ok(wanted) => wanted,
            Err(why) => return Answer::fail(why),
        };
        let cluster = &self.subject.daemon.cluster;
        let found = match cluster.find(&wanted.key, "v1").await {
            Ok(Some(found)) => found,
            Ok(None) => match cluster.create(&wanted).await {
                Ok(_) | Err(client::Error::AlreadyExists(_)) => {
                    return Answer::wait(format!("Job {} has begun", wanted.key.name)).again(self.at(JOB_AGAIN));
                }
                Err(error) if error.is_transient() => {
                    return Answer::error(error.to_string()).again(self.at(JOB_AGAIN));
                }
                Err(error) => {
                    let words = error.message().map(|words| format!(": {words}")).unwrap_or_default();
                    return Answer::fail(format!("Job {}: {error}{words}", wanted.key.name));
                }
            },
            Err(error) => return Answer::error(error.to_string()).again(self.at(JOB_AGAIN)),
        };
        let place = format!("{}/{}", wanted.key.namespace.as_deref().unwrap_or_default(), wanted.key.name);
        for condition in found["status"]["conditions"].as_array().into_iter().flatten() {
            match (condition["type"].as_str(), condition["status"].as_str()) {
                (Some("Complete"), Some("True")) => {
                    return Answer::pass(format!("Job {} completed", wanted.key.name)).with("job", place);
                }
                (Some("Failed"), Some("True")) => {
                    let pods = ListOptions {
                        namespace: wanted.key.namespace.clone(),
                        labels: Some(format!("batch.kubernetes.io/job-name={}", wanted.key.name)),
                        fields: None,
                    };
                    let pods = cluster.list(&GroupKind::new("", "Pod"), "v1", &pods).await.unwrap_or_default();
                    let words = last_words(&pods).map(|words| format!(": {words}")).unwrap_or_default();
                    let why = condition["message"].as_str().unwrap_or_default();
                    return Answer::fail(format!("Job {} failed: {why}{words}", wanted.key.name)).with("job", place);
                }
                _ => {}
            }
        }
        Answer::wait(format!("Job {} runs", wanted.key.name)).again(self.at(JOB_AGAIN)).with("job", place)
    }

    /// The Job of a gate: one for each promotion, gate and plan.
    fn wanted(&self, gate: &JobGate, name: &str, timeout: Duration) -> Result<Object, String> {
        let template = Value::Object(gate.template.clone());
        let no_pods =
            || "the template has no pods: write `spec.template.spec.containers`, or `spec.containers`".to_owned();
        let mut spec = match (&template["spec"]["containers"], &template["spec"]["template"]["spec"]["containers"]) {
            (Value::Array(_), _) => Map::from_iter([("template".to_owned(), template.clone())]),
            (_, Value::Array(_)) => template["spec"].as_object().cloned().unwrap_or_default(),
            _ => return Err(no_pods()),
        };
        let pods = spec.get_mut("template").and_then(|pods| pods["spec"].as_object_mut()).ok_or_else(no_pods)?;
        pods.entry("restartPolicy").or_insert("Never".into());
        for containers in ["initContainers", "containers"] {
            for container in pods.get_mut(containers).and_then(Value::as_array_mut).into_iter().flatten() {
                self.introduce(container, name);
            }
        }
        spec.entry("activeDeadlineSeconds").or_insert(timeout.as_secs().max(1).into());
        spec.entry("backoffLimit").or_insert(gate.backoff_limit.unwrap_or(0).into());
        // Longer than anybody takes to read what it said.
        spec.entry("ttlSecondsAfterFinished").or_insert((24 * 3600).into());
        let promotion = self.promotion;
        let namespace = gate.namespace.as_deref().unwrap_or(promotion.namespace());
        let mut metadata = json!({
            "name": self.job_name(name),
            "namespace": namespace,
            "labels": {"leeboard.dev/promotion": promotion.name(), "leeboard.dev/gate": name},
        });
        if namespace == promotion.namespace() {
            metadata["ownerReferences"] = json!([{
                "apiVersion": promotion.api_version,
                "kind": promotion.kind,
                "name": promotion.name(),
                "uid": promotion.metadata.uid,
            }]);
        }
        let body = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec});
        Object::from_value(body, None).map_err(|error| error.to_string())
    }

    fn job_name(&self, gate: &str) -> String {
        let mut hash = Sha256::new();
        let plan = self.plan().map(|(hash, _)| hash).unwrap_or_default();
        let uid = self.promotion.metadata.uid.as_deref().unwrap_or_default();
        for part in [uid, gate, self.commit, plan] {
            hash.update(part);
            hash.update([0]);
        }
        let hash: String = hash.finalize().iter().take(5).map(|byte| format!("{byte:02x}")).collect();
        let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
        let readable: String = format!("{}-{gate}", self.promotion.name()).chars().map(plain).collect();
        let readable = readable[..readable.len().min(52)].trim_matches('-');
        format!("{readable}-{hash}")
    }

    /// Tells a container what it is asked. What the user has set under such a name stays.
    fn introduce(&self, container: &mut Value, gate: &str) {
        let Some(container) = container.as_object_mut() else { return };
        let Some(env) = container.entry("env").or_insert_with(|| json!([])).as_array_mut() else { return };
        let question = self.question(gate);
        let told: BTreeMap<&str, &str> = [
            ("LEEBOARD_PROMOTION", "promotion"),
            ("LEEBOARD_ENVIRONMENT", "environment"),
            ("LEEBOARD_COMMIT", "commit"),
            ("LEEBOARD_GATE", "gate"),
        ]
        .into();
        let ours: Vec<Value> = told
            .into_iter()
            .filter(|(name, _)| !env.iter().any(|variable| variable["name"] == *name))
            .map(|(name, field)| json!({"name": name, "value": question[field]}))
            .collect();
        // First, since the user's own may refer to them.
        env.splice(0..0, ours);
    }
}

impl Subject<'_> {
    /// The environment's repository on its forge.
    pub(super) async fn forge(&self) -> Result<crate::forge::Repository, String> {
        let reference = self.environment.spec.previews.as_ref().and_then(|previews| previews.forge.as_ref());
        let forge = self.daemon.previews.forges.repository(&self.url, reference).await;
        forge.map_err(|error| error.to_string())
    }
}

/// What would be right in place of what is written.
fn expected(unfit: Unfit) -> &'static str {
    match unfit {
        Unfit::Address(expected) | Unfit::Which(expected) | Unfit::Secret(expected) => expected,
    }
}

/// The key of a Promotion.
pub(super) fn key(promotion: &Promotion) -> ObjectKey {
    ObjectKey {
        group: crate::api::LEEBOARD_GROUP.into(),
        kind: "Promotion".into(),
        namespace: Some(promotion.namespace().into()),
        name: promotion.name().into(),
    }
}

/// The version of the API that Promotions are of.
pub(super) const PROMOTION_VERSION: &str = VERSION;
