//! What a run tells: Events on the Canary, its `event` hooks, its alerts, and what is counted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use parking_lot::Mutex;
use serde_json::Value;
use tracing::{info, warn};

use super::super::Daemon;
use super::super::aws;
use super::super::look::now;
use super::super::mail::{self, Mail};
use super::super::web::{self, Web};
use super::ask;
use crate::api::FLAGGER_GROUP;
use crate::api::flagger::{self, AlertProvider, AlertProviderType, Canary, HookType, Phase, VERSION, Webhook};
use crate::canary::event::{Alert, Event};
use crate::canary::metric::{Request, To, aws as aws_signature};
use crate::canary::record::Record;
use crate::canary::settings::{Settings, Strategy};
use crate::canary::world::HookAnswer;
use crate::canary::{alert, status, webhook};
use crate::object::event::{About, Severity};
use crate::object::secret::Masked;
use crate::object::{self, ObjectKey};

/// How much one canary may have to tell while nobody listens.
const BACKLOG: usize = 64;

/// Tells a canary's hooks and recipients of alerts, in the background and in order: who does not answer holds up no run.
/// While there is nothing to tell it costs nothing.
#[derive(Default)]
pub(super) struct Teller {
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    words: VecDeque<Word>,
    is_being_told: bool,
}

/// What is to be told, to whom.
enum Word {
    /// To an `event` hook.
    Hook { hook: Webhook, payload: Value },
    /// To who wants to hear of an alert.
    Alert { canary: Arc<Canary>, settings: Arc<Settings>, alert: Alert, recipient: flagger::Alert },
}

impl Teller {
    fn say(&self, daemon: &Arc<Daemon>, word: Word) {
        let mut queue = self.queue.lock();
        if queue.words.len() >= BACKLOG {
            warn!("Not told: too much waits to be told already");
            return;
        }
        queue.words.push_back(word);
        if std::mem::replace(&mut queue.is_being_told, true) {
            return;
        }
        let (daemon, queue) = (daemon.clone(), self.queue.clone());
        daemon.tasks.clone().spawn(async move {
            let telling = async {
                while let Some(word) = next(&queue) {
                    tell(&daemon, word).await;
                }
            };
            tokio::select! {
                () = daemon.shutdown.cancelled() => {}
                () = telling => {}
            }
        });
    }

    /// Tells one thing: in the log, as an Event, to the canary's `event` hooks.
    pub(super) async fn event(
        &self,
        daemon: &Arc<Daemon>,
        canary: &Canary,
        settings: &Settings,
        record: &Record,
        event: &Event,
    ) {
        let message = event.message(&settings.subject);
        let name = canary.metadata.name.as_deref().unwrap_or_default();
        if event.is_warning() {
            warn!(canary = name, namespace = %settings.subject.namespace, "{message}");
        } else {
            info!(canary = name, namespace = %settings.subject.namespace, "{message}");
        }
        let severity = if event.is_warning() { Severity::Warning } else { Severity::Normal };
        write(daemon, &synced(canary, event.reason(), severity, &message)).await;
        let analysis = canary.spec.analysis();
        for hook in analysis.webhooks.iter().filter(|hook| hook.moment == HookType::Event) {
            let payload = webhook::event_payload(ask::about(canary, record), hook, event, &settings.subject, now());
            self.say(daemon, Word::Hook { hook: hook.clone(), payload });
        }
    }

    /// Sends an alert to everyone who wants to hear of it.
    pub(super) fn alert(&self, daemon: &Arc<Daemon>, canary: &Arc<Canary>, settings: &Arc<Settings>, alert: &Alert) {
        for recipient in alert::recipients(settings, alert) {
            let (canary, settings) = (canary.clone(), settings.clone());
            self.say(daemon, Word::Alert { canary, settings, alert: alert.clone(), recipient: recipient.clone() });
        }
    }
}

/// The next word; without one nobody tells any more.
fn next(queue: &Mutex<Queue>) -> Option<Word> {
    let mut queue = queue.lock();
    let word = queue.words.pop_front();
    queue.is_being_told = word.is_some();
    word
}

/// Who cannot be reached is not tried again, unless the hook says so: the Event says the same.
async fn tell(daemon: &Daemon, word: Word) {
    match word {
        Word::Hook { hook, payload } => {
            if let HookAnswer::Refused(why) = ask::call(daemon, &hook, &payload).await {
                warn!(canary = %payload["name"], hook = hook.name, why, "Event hook not reached");
            }
        }
        Word::Alert { canary, settings, alert, recipient } => {
            if let Err(why) = send(daemon, &canary, &settings, &alert, &recipient).await {
                warn!(canary = canary.metadata.name, alert = recipient.name, why, "Alert not sent");
            }
        }
    }
}

async fn send(
    daemon: &Daemon,
    canary: &Canary,
    settings: &Settings,
    alert: &Alert,
    recipient: &flagger::Alert,
) -> Result<(), String> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let reference = &recipient.provider_ref;
    let namespace = reference.namespace.as_deref().or(canary.metadata.namespace.as_deref());
    let key = ObjectKey {
        group: FLAGGER_GROUP.into(),
        kind: "AlertProvider".into(),
        namespace: namespace.map(Into::into),
        name: reference.name.as_str().into(),
    };
    let found = daemon.cluster.find(&key, VERSION).await.map_err(|error| error.to_string())?;
    let found = found.ok_or_else(|| format!("AlertProvider {} not found", reference.name))?;
    let provider: AlertProvider = crate::api::decode(&found).map_err(|error| error.to_string())?;
    let secret = match &provider.spec.secret_ref {
        Some(secret) => ask::find_secret(daemon, &secret.name, namespace).await.map_err(|error| error.to_string())?,
        None => None,
    };
    let secret = secret.unwrap_or_default();
    let text = |key: &str| secret.get(key).and_then(Masked::expose_text).map(str::trim);
    let address = provider.spec.address.as_deref().or_else(|| text("address")).ok_or("it has no address")?;
    let details = alert::details(settings, alert);
    if provider.spec.what == AlertProviderType::Sns {
        let endpoint = std::env::var("AWS_ENDPOINT_URL_SNS").ok();
        let request = alert::sns(address, endpoint.as_deref(), alert, settings, &details)?;
        return publish(daemon, request, &secret).await;
    }
    let Some(body) = alert::body(&provider.spec, alert, settings, &details) else {
        let login = text("username").zip(text("password"));
        let mail = Mail {
            from: provider.spec.username(),
            to: provider.spec.channel(),
            subject: alert::subject(alert, settings),
            text: alert::text(alert, &details),
            is_html: false,
        };
        return mail::Server::parse(address)?.send(login, mail).await;
    };
    let url = alert::url(&provider.spec, address);
    let call = match provider.spec.proxy.as_deref().filter(|proxy| !proxy.is_empty()) {
        Some(proxy) => Web::request_through(proxy, Method::POST, &url)?,
        None => daemon.web.request(Method::POST, &url, false)?,
    };
    let mut call = call.json(&body);
    if let Some(token) = text("token") {
        call = call.bearer_auth(token);
    }
    // The address may hold a token: no error names it.
    let answer = tokio::time::timeout(PATIENCE, call.send()).await.map_err(|_| "no answer within 5s".to_owned())?;
    let answer = answer.map_err(|error| web::cause(&error.without_url()))?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("the answer was {}", answer.status())) }
}

/// Publishes to an SNS topic.
async fn publish(daemon: &Daemon, request: Request, secret: &BTreeMap<String, Masked>) -> Result<(), String> {
    let key = aws::access_key(daemon, secret).await?;
    let request = aws_signature::signed(request, &key, now());
    let To::Url(url) = &request.to else { return Ok(()) };
    let mut call = daemon.web.request(request.method.clone(), url, false)?.timeout(request.timeout);
    for (name, value) in &request.headers {
        call = call.header(name, value.expose());
    }
    let answer = call.body(request.body.clone()).send().await.map_err(|error| web::cause(&error))?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("the answer was {}", answer.status())) }
}

/// Counts what dashboards made for Flagger show.
pub(super) fn count(daemon: &Daemon, settings: &Settings, record: &Record, before: &Record) {
    let subject = &settings.subject;
    let (phase, was) = (status::phase(record), status::phase(before));
    let gauge = match phase {
        Phase::Progressing => 0,
        Phase::Failed => 2,
        _ => 1,
    };
    let weight = record.route.split.canary.percent();
    daemon.metrics.canaries().stands(&subject.name, &subject.namespace, gauge, weight);
    if phase != was && matches!(phase, Phase::Succeeded | Phase::Failed) {
        let strategy = match settings.strategy {
            Strategy::AbTest { .. } => "ab-testing",
            Strategy::BlueGreen { .. } => "blue-green",
            Strategy::Weights(_) | Strategy::Steps(_) => "canary",
        };
        let how = if settings.skip_analysis { "skipped" } else { "completed" };
        daemon.metrics.canaries().ended(&subject.name, &subject.namespace, phase == Phase::Succeeded, strategy, how);
    }
}

/// Tells why a Canary is not acted on.
pub(super) async fn refusal(daemon: &Daemon, canary: &Canary, why: &str) {
    warn!(canary = canary.metadata.name, why, "Canary refused");
    write(daemon, &synced(canary, "InvalidSpec", Severity::Warning, why)).await;
}

/// An Event as Flagger's: all have the reason `Synced`; the word for programs is its `action`.
pub(super) fn synced<'a>(
    canary: &'a Canary,
    word: &'a str,
    severity: Severity,
    message: &'a str,
) -> object::event::Event<'a> {
    let about = About {
        api_version: &canary.api_version,
        kind: &canary.kind,
        name: canary.metadata.name.as_deref().unwrap_or_default(),
        namespace: canary.metadata.namespace.as_deref().unwrap_or_default(),
        uid: canary.metadata.uid.as_deref().unwrap_or_default(),
    };
    object::event::Event { about, reason: "Synced", action: Some(word), severity, message }
}

/// Writes an Event. One that cannot be written is lost: the log has the same words.
pub(super) async fn write(daemon: &Daemon, event: &object::event::Event<'_>) {
    if let Err(error) = daemon.cluster.create(&event.at(now())).await {
        warn!(%error, "Event not written");
    }
}
