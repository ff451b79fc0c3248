//! The questions of a run, asked: hooks by HTTP, metrics of their providers.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use futures::future::join_all;
use http::Method;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Notify;
use tracing::debug;

use super::super::aws;
use super::super::look::now;
use super::super::{Daemon, web};
use super::google;
use crate::api::flagger::{Canary, HookType, Metric, MetricTemplate, Phase, VERSION, Webhook};
use crate::api::{FLAGGER_GROUP, duration};
use crate::canary::alarm::Alarms;
use crate::canary::metric::{self, Ask, Credentials, Problem, Provider, Reading, To, builtin, template};
use crate::canary::record::{Record, State};
use crate::canary::settings::{self, MetricCheck, MetricSource, TargetKind};
use crate::canary::world::{self, Answers, HookAnswer, Question, Side};
use crate::canary::{Revision, Settings, job, status, webhook};
use crate::live::client::{self, DeleteOptions, ListOptions};
use crate::live::record::KindVersion;
use crate::live::watch::{Item, Target, typed};
use crate::object::secret::Masked;
use crate::object::{GroupKind, Object, ObjectKey};

/// Where metrics are asked when nobody says otherwise; Flagger's `-metrics-server`.
const METRICS_SERVER: &str = "http://prometheus:9090";
/// Between two tries of a hook.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long whoever has alarms may think.
const ALARM_PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at an object that was made for an answer.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// How much of a hook's answer is of interest.
const LONGEST_ANSWER: usize = 4096;

/// Who asks, about what.
pub(super) struct Asker<'a> {
    pub(super) daemon: &'a Daemon,
    pub(super) canary: &'a Canary,
    pub(super) settings: &'a Settings,
    pub(super) record: &'a Record,
    /// The version that git wants.
    pub(super) revision: Option<&'a Revision>,
    /// When something else is to be asked.
    pub(super) until: Option<Timestamp>,
    /// Rings when something of the canary has changed: a long wait is not worth it then.
    pub(super) bell: &'a Notify,
}

impl Asker<'_> {
    /// Asks, and notes what was answered. Nothing is noted, and the result is false, when the canary has changed
    /// meanwhile: it is asked again, and who can be asked again without harm is asked only then.
    ///
    /// # Errors
    /// When the API server does not answer; whatever hooks and providers do is an answer.
    pub(super) async fn answer(&self, question: &Question, answers: &mut Answers) -> Result<bool, client::Error> {
        match question {
            Question::Hook { moment, name, check } => {
                let answered = match self.hook(*moment, name) {
                    Some(hook) if job::is_run(&hook) => match self.run(&hook, *moment, *check).await? {
                        Some(answered) => answered,
                        None => return Ok(false),
                    },
                    Some(hook) => {
                        let about = webhook::About {
                            phase: phase_told(self.record, *moment),
                            ..about(self.canary, self.record)
                        };
                        call(self.daemon, &hook, &webhook::payload(about, &hook)).await
                    }
                    None => HookAnswer::Refused("the hook is not there any more".into()),
                };
                debug!(canary = %self.settings.subject.name, hook = %name, ?answered, "Hook answered");
                answers.hooks.insert(question.clone(), answered);
            }
            Question::Metrics { of, which, .. } => {
                let analysis = self.canary.spec.analysis();
                let checks: Vec<&MetricCheck> = which.iter().filter_map(|at| self.settings.metrics.get(*at)).collect();
                let asked = checks.iter().map(|check| async {
                    if let MetricSource::Alarms(at) = check.source {
                        return match self.settings.alarms.get(at) {
                            Some(alarms) => {
                                look_for_alarms(self.daemon, self.canary.metadata.namespace.as_deref(), alarms).await
                            }
                            None => Ok(world::Reading::Error("its alarms are not named any more".into())),
                        };
                    }
                    let metric = analysis.metrics.iter().find(|metric| metric.name == check.name.as_str());
                    match metric {
                        Some(metric) => {
                            measure(self.daemon, self.canary, self.settings, metric, (check.source, *of)).await
                        }
                        None => Ok(world::Reading::Error("the metric is not there any more".into())),
                    }
                });
                let readings = join_all(asked).await.into_iter().collect::<Result<Vec<_>, _>>()?;
                debug!(canary = %self.settings.subject.name, ?readings, "Measured");
                self.count(&checks, &readings);
                answers.metrics.insert(question.clone(), readings);
            }
        }
        Ok(true)
    }

    /// Dashboards that were made for Flagger have durations in seconds.
    fn count(&self, checks: &[&MetricCheck], readings: &[world::Reading]) {
        let subject = &self.settings.subject;
        for (check, reading) in checks.iter().zip(readings) {
            let world::Reading::Value(value) = reading else { continue };
            let is_duration = check.source == MetricSource::BuiltIn && check.name == builtin::DURATION;
            let value = if is_duration { value / 1000.0 } else { *value };
            self.daemon.metrics.canaries().measured(&subject.name, &subject.namespace, &check.name, value);
        }
    }

    fn hook(&self, moment: HookType, name: &str) -> Option<Webhook> {
        let analysis = self.canary.spec.analysis();
        let is_asked =
            |hook: &&Webhook| (settings::moment(hook.moment) == moment || hook.moment == moment) && hook.name == name;
        analysis.webhooks.iter().find(is_asked).cloned()
    }

    /// Runs a hook's Job to its end, or finds it where it is. Nothing when the canary has changed meanwhile.
    async fn run(&self, hook: &Webhook, moment: HookType, check: u32) -> Result<Option<HookAnswer>, client::Error> {
        let metadata = &self.canary.metadata;
        let about = webhook::About {
            phase: phase_told(self.record, moment),
            revision: self.revision.or(about(self.canary, self.record).revision),
            ..about(self.canary, self.record)
        };
        let asked = job::Asked {
            about,
            uid: metadata.uid.as_deref().unwrap_or_default(),
            began: match &self.record.state {
                State::Analysing(run) => run.started,
                _ => self.record.changed,
            },
            moment,
            check,
            weight: self.record.route.split.canary,
            service: self.canary.spec.service_name(),
            port: self.canary.spec.service.port,
        };
        let wanted = match job::job(hook, &asked) {
            Ok(wanted) => wanted,
            Err(error) => return Ok(Some(HookAnswer::Refused(error.to_string()))),
        };
        match self.daemon.cluster.create(&wanted).await {
            Ok(_) | Err(client::Error::AlreadyExists(_)) => {}
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => {
                let words = error.message().map(|message| format!(": {message}")).unwrap_or_default();
                return Ok(Some(HookAnswer::Refused(format!("Job {}: {error}{words}", wanted.key.name))));
            }
        }
        let answered = self.ended(&wanted.key, hook).await;
        let Some(HookAnswer::Refused(why)) = answered else { return Ok(answered) };
        let pods = ListOptions {
            namespace: wanted.key.namespace.clone(),
            labels: Some(format!("batch.kubernetes.io/job-name={}", wanted.key.name)),
            fields: None,
        };
        let pods = self.daemon.cluster.list(&GroupKind::new("", "Pod"), "v1", &pods).await;
        // Without them it is said that it failed, only not how.
        let words = job::last_words(&pods.unwrap_or_default());
        Ok(Some(HookAnswer::Refused(words.map_or(why.clone(), |words| format!("{why}: {words}")))))
    }

    /// Waits for the end of a Job by a watch.
    async fn ended(&self, key: &ObjectKey, hook: &Webhook) -> Option<HookAnswer> {
        let options = ListOptions {
            namespace: key.namespace.clone(),
            labels: None,
            fields: Some(format!("metadata.name={}", key.name)),
        };
        let end = self.daemon.shutdown.child_token();
        let target = Target { kind: KindVersion::new(key.group_kind(), "v1"), options };
        let (jobs, watch) = typed::<Value>(self.daemon.cluster.clone(), target, end.clone());
        let _end = end.drop_guard();
        self.daemon.tasks.spawn(watch);
        let mut deadline = None;
        loop {
            let wait = deadline.map_or(LONGEST_PAUSE, |deadline: Timestamp| {
                Duration::try_from(deadline.duration_since(now())).unwrap_or_default()
            });
            let interruption = self
                .until
                .map_or(Duration::MAX, |until| Duration::try_from(until.duration_since(now())).unwrap_or_default());
            tokio::select! {
                _ = jobs.changed() => {}
                () = tokio::time::sleep(wait) => {}
                () = tokio::time::sleep(interruption) => return None,
                () = self.bell.notified() => return None,
            }
            if let Some(Item::Decoded(job)) = jobs.get(key) {
                if let Some(answered) = job::answer(&job, hook, now()) {
                    return Some(answered);
                }
                deadline = Some(job::deadline(&job, hook));
            } else if jobs.is_complete() {
                return Some(HookAnswer::Refused(format!("Job {} was deleted before it had ended", key.name)));
            }
        }
    }
}

/// Who is asked about, and where it stands.
pub(super) fn about<'a>(canary: &'a Canary, record: &'a Record) -> webhook::About<'a> {
    webhook::About {
        name: canary.metadata.name.as_deref().unwrap_or_default(),
        namespace: canary.metadata.namespace.as_deref().unwrap_or_default(),
        phase: status::phase(record),
        revision: record.versions().map(|versions| &versions.applied),
    }
}

/// Calls a hook, as often as it may be tried.
pub(super) async fn call(daemon: &Daemon, hook: &Webhook, payload: &Value) -> HookAnswer {
    let mut pause = FIRST_PAUSE;
    let mut tries = u32::try_from(hook.retries).unwrap_or(0);
    loop {
        let refusal = match post(daemon, hook, payload).await {
            Ok((status, _)) if (200..300).contains(&status) => return HookAnswer::Passed,
            Ok((status, body)) => {
                let is_worth_it = status == 429 || (status >= 500 && status != 501);
                let text = if body.is_empty() { format!("status {status}") } else { body };
                (is_worth_it, text)
            }
            Err(error) => (true, error),
        };
        match refusal {
            (true, _) if tries > 0 => {
                tries -= 1;
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            (_, text) => return HookAnswer::Refused(text),
        }
    }
}

/// The phase as hooks know it: gates before a run and after it hear where it is, all others that it goes on.
fn phase_told(record: &Record, moment: HookType) -> Phase {
    match moment {
        HookType::PreRollout | HookType::Rollout | HookType::ConfirmTrafficIncrease | HookType::ConfirmPromotion => {
            Phase::Progressing
        }
        _ => status::phase(record),
    }
}

async fn post(daemon: &Daemon, hook: &Webhook, payload: &Value) -> Result<(u16, String), String> {
    let call = async {
        let request = daemon.web.request(Method::POST, &hook.url, hook.disable_tls)?.json(payload);
        let (status, body) = web::answer(request).await?;
        let body = String::from_utf8_lossy(&body[..body.len().min(LONGEST_ANSWER)]).trim().to_owned();
        Ok((status, body))
    };
    let timeout = hook.timeout();
    tokio::time::timeout(timeout, call)
        .await
        .unwrap_or_else(|_| Err(format!("timeout: no answer from {} within {timeout:?}", hook.url)))
}

/// Whether an alarm is on.
///
/// # Errors
/// When the Secret cannot be read.
pub(in crate::run) async fn look_for_alarms(
    daemon: &Daemon,
    namespace: Option<&str>,
    alarms: &Alarms,
) -> Result<world::Reading, client::Error> {
    let secret = match alarms.secret() {
        None => BTreeMap::new(),
        Some(name) => match find_secret(daemon, name, namespace).await? {
            Some(secret) => secret,
            None => return Ok(world::Reading::Error(format!("secrets \"{name}\" not found"))),
        },
    };
    let asked = async {
        let request = alarms.request(&secret)?;
        let mut call = daemon.web.request(Method::GET, &request.url, false)?;
        for (name, value) in &request.headers {
            call = call.header(*name, value.expose());
        }
        web::answer(call).await
    };
    Ok(match tokio::time::timeout(ALARM_PATIENCE, asked).await {
        Ok(Ok((status, body))) => alarms.read(status, &body),
        Ok(Err(cause)) => world::Reading::Error(cause),
        Err(_) => world::Reading::Error(format!("no answer of {} within {ALARM_PATIENCE:?}", alarms.check())),
    })
}

/// Measures one metric.
async fn measure(
    daemon: &Daemon,
    canary: &Canary,
    settings: &Settings,
    metric: &Metric,
    (source, of): (MetricSource, Side),
) -> Result<world::Reading, client::Error> {
    let mut variables = metric::variables(canary, metric);
    if of == Side::Primary {
        variables.target.push_str("-primary");
    }
    let interval = duration::parse(metric.interval()).unwrap_or(Duration::from_secs(60));
    let server = canary.spec.metrics_server.clone().unwrap_or_else(|| METRICS_SERVER.to_owned());
    let workload = match settings.subject.kind {
        TargetKind::DaemonSet => builtin::Workload::DaemonSet,
        TargetKind::Service => builtin::Workload::Service,
        TargetKind::Deployment | TargetKind::KnativeService => builtin::Workload::Deployment,
    };
    let nothing = BTreeMap::new();
    let ask = |query| Ask {
        address: &server,
        region: "",
        headers: &NO_HEADERS,
        secret: &nothing,
        query,
        interval,
        now: now(),
    };
    let prometheus = crate::api::flagger::MetricProviderType::Prometheus;
    match source {
        MetricSource::BuiltIn => {
            let query = if metric.name == builtin::DURATION {
                builtin::duration(settings.provider, workload, &variables)
            } else {
                builtin::success_rate(settings.provider, workload, &variables)
            };
            let reading = send(daemon, prometheus, &ask(&query.text), false).await;
            Ok(match reading {
                Reading::Value(value) => world::Reading::Value(value * query.factor),
                other => other.into(),
            })
        }
        MetricSource::Inline => match template::render(metric.query.as_deref().unwrap_or_default(), &variables) {
            Ok(query) => Ok(send(daemon, prometheus, &ask(&query), false).await.into()),
            Err(error) => Ok(world::Reading::Error(error.to_string())),
        },
        // Asked elsewhere: they have no query.
        MetricSource::Alarms(_) => Ok(world::Reading::NoData("alarms are no metric".into())),
        MetricSource::Template => {
            let Some(reference) = &metric.template_ref else {
                return Ok(world::Reading::Error("no template is named".into()));
            };
            let namespace = reference.namespace.clone().or_else(|| canary.metadata.namespace.clone());
            by_template(daemon, &reference.name, namespace.as_deref(), &variables, interval).await
        }
    }
}

/// Measures by a MetricTemplate.
///
/// # Errors
/// When the API server cannot be asked for it.
pub(in crate::run) async fn by_template(
    daemon: &Daemon,
    name: &str,
    namespace: Option<&str>,
    variables: &template::Variables,
    interval: Duration,
) -> Result<world::Reading, client::Error> {
    let found = match find_template(daemon, name, namespace).await? {
        Ok(found) => found,
        Err(why) => return Ok(world::Reading::Error(why)),
    };
    let spec = &found.spec;
    let query = match template::render(&spec.query, variables) {
        Ok(query) => query,
        Err(error) => return Ok(world::Reading::Error(format!("MetricTemplate {name}: {error}"))),
    };
    let secret = match &spec.provider.secret_ref {
        Some(secret) => match find_secret(daemon, &secret.name, namespace).await? {
            Some(secret) => secret,
            None => return Ok(world::Reading::Error(format!("secrets \"{}\" not found", secret.name))),
        },
        None => BTreeMap::new(),
    };
    let ask = Ask {
        address: &spec.provider.address,
        region: spec.provider.region.as_deref().unwrap_or_default(),
        headers: &spec.provider.headers,
        secret: &secret,
        query: &query,
        interval,
        now: now(),
    };
    Ok(send(daemon, spec.provider.what, &ask, spec.provider.insecure_skip_verify).await.into())
}

static NO_HEADERS: BTreeMap<String, Vec<String>> = BTreeMap::new();

async fn find_template(
    daemon: &Daemon,
    name: &str,
    namespace: Option<&str>,
) -> Result<Result<MetricTemplate, String>, client::Error> {
    let key = ObjectKey {
        group: FLAGGER_GROUP.into(),
        kind: "MetricTemplate".into(),
        namespace: namespace.map(Into::into),
        name: name.into(),
    };
    let place = format!("MetricTemplate {name}.{}", namespace.unwrap_or_default());
    Ok(match daemon.cluster.find(&key, VERSION).await? {
        Some(body) => crate::api::decode(&body).map_err(|error| format!("{place}: {error}")),
        None => Err(format!("{place} not found")),
    })
}

/// The data of a Secret; `None` when there is none.
///
/// # Errors
/// When the API server does not answer.
pub(in crate::run) async fn find_secret(
    daemon: &Daemon,
    name: &str,
    namespace: Option<&str>,
) -> Result<Option<BTreeMap<String, Masked>>, client::Error> {
    let key =
        ObjectKey { group: "".into(), kind: "Secret".into(), namespace: namespace.map(Into::into), name: name.into() };
    let Some(body) = daemon.cluster.find(&key, "v1").await? else { return Ok(None) };
    let data = body["data"].as_object().into_iter().flatten();
    let decoded = data.filter_map(|(key, value)| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(value.as_str()?).ok()?;
        Some((key.clone(), Masked::new(bytes)))
    });
    Ok(Some(decoded.collect()))
}

/// Asks the cluster's own API server, with the daemon's credentials.
async fn ask_api_server(daemon: &Daemon, provider: &dyn Provider, path: &str, timeout: Duration) -> Reading {
    let unreachable = |cause: String| {
        let url = path.split('?').next().unwrap_or_default().to_owned();
        Reading::Error(Problem::Unreachable { url, cause })
    };
    match tokio::time::timeout(timeout, daemon.cluster.get_path(path)).await {
        Ok(Ok(body)) => provider.read(&body),
        Ok(Err(error)) => {
            let words = error.message().map(|message| format!(": {message}")).unwrap_or_default();
            unreachable(format!("{error}{words}"))
        }
        Err(_) => unreachable(format!("no answer within {timeout:?}")),
    }
}

/// Makes an object, looks at it until it has an answer, and deletes it.
async fn made(daemon: &Daemon, provider: &dyn Provider, object: &Object, timeout: Duration) -> Reading {
    let (kind, name) = (&object.key.kind, &object.key.name);
    let refused = |message: String| Reading::Error(Problem::Refused { message });
    let failed = |error: &client::Error| {
        let words = error.message().map(|message| format!(": {message}")).unwrap_or_default();
        refused(format!("{kind} {name}: {error}{words}"))
    };
    match daemon.cluster.create(object).await {
        Ok(_) | Err(client::Error::AlreadyExists(_)) => {}
        Err(error) => return failed(&error),
    }
    let ended = async {
        loop {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            let reading = match daemon.cluster.get(&object.key, &object.version).await {
                Ok(body) => provider.read(body.to_string().as_bytes()),
                Err(error) => failed(&error),
            };
            if reading != Reading::NoData {
                return reading;
            }
        }
    };
    let reading = tokio::time::timeout(timeout, ended).await;
    if let Err(error) = daemon.cluster.delete(&object.key, &object.version, &DeleteOptions::default()).await {
        debug!(%kind, %name, %error, "Left behind");
    }
    reading.unwrap_or_else(|_| refused(format!("{kind} {name} has not ended within {timeout:?}")))
}

/// Sends a request as its provider describes it.
async fn send(
    daemon: &Daemon,
    what: crate::api::flagger::MetricProviderType,
    ask: &Ask<'_>,
    skips_tls_check: bool,
) -> Reading {
    let provider = metric::provider(what);
    let request = match provider.request(ask) {
        Ok(request) => request,
        Err(error) => return Reading::Error(Problem::Refused { message: error.to_string() }),
    };
    let refused = |message: &str| Reading::Error(Problem::Refused { message: message.to_owned() });
    let request = match &request.credentials {
        Credentials::None => request,
        Credentials::AwsSignature { .. } => match aws::access_key(daemon, ask.secret).await {
            Ok(key) => metric::aws::signed(request, &key, ask.now),
            Err(why) => return refused(&why),
        },
        Credentials::Google { .. } => match google::authorized(daemon, request).await {
            Ok(request) => request,
            Err(why) => return refused(&why),
        },
    };
    let url = match &request.to {
        To::Url(url) => url.clone(),
        To::ApiServer(path) => return ask_api_server(daemon, provider, path, request.timeout).await,
        To::Made(object) => return made(daemon, provider, object, request.timeout).await,
    };
    let shown = url.split('?').next().unwrap_or_default().to_owned();
    let unreachable = |cause: String| Reading::Error(Problem::Unreachable { url: shown.clone(), cause });
    let mut call = match daemon.web.request(request.method.clone(), &url, skips_tls_check) {
        Ok(call) => call,
        Err(why) => return refused(&why),
    };
    for (name, value) in &request.headers {
        call = call.header(name, value.expose());
    }
    match tokio::time::timeout(request.timeout, web::answer(call.body(request.body.clone()))).await {
        Ok(Ok((status, body))) => metric::read(provider, status, &body),
        Ok(Err(cause)) => unreachable(cause),
        Err(_) => unreachable(format!("no answer within {:?}", request.timeout)),
    }
}
