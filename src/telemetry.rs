//! Logs and metric names, in one place.
//!
//! **In:** how the process was started; what happened, by the methods of [`Metrics`]. **Out:** log lines on stderr,
//! the text that `/metrics` serves. **May not:** know what is measured beyond a name, a label and a number; take a
//! label whose values are unbounded (no names of objects, but in what Flagger's dashboards read: [`Canaries`]).
//!
//! | metric | labels | meaning |
//! | --- | --- | --- |
//! | `leeboard_fetch_duration_seconds` | `result` | one fetch of a repository, until its branches are known |
//! | `leeboard_render_duration_seconds` | `result` | one render of an application |
//! | `leeboard_renders_reused_total` | | renders that a commit did not touch and that were not made again |
//! | `leeboard_plan_duration_seconds` | | one comparison of a manifest with the live view |
//! | `leeboard_apply_duration_seconds` | `result` | one object: from when it is due to the API server's answer, its turn in the queue included |
//! | `leeboard_push_duration_seconds` | | from the notice of a push until all that it changes is applied |
//! | `leeboard_syncs_total` | `phase` | syncs that ended, by the phase in which they ended |
//! | `leeboard_queue_depth` | `priority` | applications that wait for a worker |
//! | `leeboard_api_requests_total` | `verb`, `code` | requests to API servers; code 0 means that no answer came |
//! | `leeboard_applications` | `sync`, `health` | applications by state |
//! | `leeboard_webhooks_total` | `provider`, `result` | webhook requests and what became of them |
//! | `leeboard_build_info` | `version` | always 1 |

mod canaries;

use std::io::{self, IsTerminal as _};
use std::sync::OnceLock;
use std::time::Duration;

pub use canaries::Canaries;
use jiff::Zoned;
use parking_lot::Mutex;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogStyle {
    /// For a person at a terminal.
    Pretty,
    /// The same without colour.
    Plain,
    /// One JSON object a line, for collectors.
    Json,
}

impl LogStyle {
    /// Pretty when stderr is a terminal, JSON otherwise.
    pub fn of_stderr() -> Self {
        if io::stderr().is_terminal() { LogStyle::Pretty } else { LogStyle::Json }
    }
}

/// Why the log can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not understood.
    #[error("the log filter `{filter}` is not understood")]
    Filter {
        /// As it was given.
        filter: String,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// A log was set up before.
    #[error("the log is set up already")]
    Twice,
}

/// Sends log lines to stderr.
///
/// The filter is a level (`debug`) or a list as `tracing` knows it (`leeboard::git=trace,info`); a bare level is about
/// Leeboard itself, the libraries beneath it stay at `warn`.
///
/// # Errors
/// When the filter is not understood, or a log was set up before.
pub fn init_logs(style: LogStyle, filter: &str) -> Result<(), Error> {
    let bare = filter.parse::<tracing::Level>().is_ok() || filter.eq_ignore_ascii_case("off");
    let directives = if bare { format!("warn,leeboard={filter}") } else { filter.to_owned() };
    let filter = EnvFilter::builder()
        .parse(&directives)
        .map_err(|source| Error::Filter { filter: filter.to_owned(), source })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let done = match style {
        LogStyle::Pretty => lines.with_target(false).with_timer(TimeOfDay).with_ansi(true).try_init(),
        LogStyle::Plain => lines.with_target(false).with_timer(TimeOfDay).with_ansi(false).try_init(),
        LogStyle::Json => lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
    };
    done.map_err(|_| Error::Twice)
}

/// What a person wants of a time who watches lines come: `14:03:07.125`.
struct TimeOfDay;

impl FormatTime for TimeOfDay {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{}", Zoned::now().strftime("%H:%M:%S%.3f"))
    }
}

/// How a piece of work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// As it should.
    Ok,
    /// With an error.
    Error,
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        let word = match self {
            Outcome::Ok => "ok",
            Outcome::Error => "error",
        };
        EncodeLabelValue::encode(&word, encoder)
    }
}

impl<T, E> From<&Result<T, E>> for Outcome {
    fn from(result: &Result<T, E>) -> Self {
        if result.is_ok() { Outcome::Ok } else { Outcome::Error }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    result: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPhase {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByPriority {
    priority: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRequest {
    verb: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    sync: &'static str,
    health: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByWebhook {
    provider: &'static str,
    result: &'static str,
}

type Durations = Family<ByResult, Histogram, fn() -> Histogram>;

/// All that Leeboard counts. One per process, handed around in an `Arc`.
///
/// Labels are `&'static str` so that nothing unbounded can become one.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    fetches: Durations,
    renders: Durations,
    renders_reused: Counter,
    plans: Histogram,
    applies: Durations,
    pushes: Histogram,
    syncs: Family<ByPhase, Counter>,
    queue_depth: Family<ByPriority, Gauge>,
    api_requests: Family<ByRequest, Counter>,
    applications: Family<ByState, Gauge>,
    /// The states that were reported last, so that those that are empty now are set to 0.
    states: Mutex<Vec<ByState>>,
    webhooks: Family<ByWebhook, Counter>,
    canaries: Canaries,
    observer: Observer,
}

/// Reads what is counted elsewhere, or is a state and no count: asked at each scrape, so that it costs nothing between.
#[derive(Default)]
struct Observer(OnceLock<Box<Observe>>);

type Observe = dyn Fn(&Metrics) + Send + Sync;

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Observer").field(&self.0.get().is_some()).finish()
    }
}

/// From 0.5 ms (a small render) to about 65 s (a slow fetch).
fn durations() -> Histogram {
    Histogram::new((0..18).map(|doubling| 0.0005 * f64::from(1u32 << doubling)))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("leeboard");
        let family = || Durations::new_with_constructor(durations);
        let metrics = Metrics {
            fetches: family(),
            renders: family(),
            renders_reused: Counter::default(),
            plans: durations(),
            applies: family(),
            pushes: durations(),
            syncs: Family::default(),
            queue_depth: Family::default(),
            api_requests: Family::default(),
            applications: Family::default(),
            states: Mutex::default(),
            webhooks: Family::default(),
            canaries: Canaries::default(),
            observer: Observer::default(),
            registry: Registry::default(),
        };
        let mut timed = |name, help, metric: Durations| registry.register_with_unit(name, help, Unit::Seconds, metric);
        timed("fetch_duration", "One fetch of a repository", metrics.fetches.clone());
        timed("render_duration", "One render of an application", metrics.renders.clone());
        timed("apply_duration", "One object, from when it is due to the answer", metrics.applies.clone());
        let mut timed = |name, help, metric: Histogram| registry.register_with_unit(name, help, Unit::Seconds, metric);
        timed("plan_duration", "One comparison of a manifest with the live view", metrics.plans.clone());
        timed("push_duration", "From the notice of a push until all is applied", metrics.pushes.clone());
        registry.register("renders_reused", "Renders that a commit did not touch", metrics.renders_reused.clone());
        registry.register("syncs", "Syncs that ended, by phase", metrics.syncs.clone());
        registry.register("queue_depth", "Applications that wait for a worker", metrics.queue_depth.clone());
        registry.register("api_requests", "Requests to API servers", metrics.api_requests.clone());
        registry.register("applications", "Applications by state", metrics.applications.clone());
        registry.register("webhooks", "Webhook requests and what became of them", metrics.webhooks.clone());
        let version = [("version".into(), env!("CARGO_PKG_VERSION").into())];
        registry.sub_registry_with_labels(version.into_iter()).register(
            "build_info",
            "Always 1",
            ConstGauge::new(1i64),
        );
        Metrics { registry, ..metrics }
    }
}

impl Metrics {
    /// A fetch of a repository ended.
    pub fn fetched(&self, outcome: Outcome, took: Duration) {
        self.fetches.get_or_create(&ByResult { result: outcome }).observe(took.as_secs_f64());
    }

    /// A render of an application ended.
    pub fn rendered(&self, outcome: Outcome, took: Duration) {
        self.renders.get_or_create(&ByResult { result: outcome }).observe(took.as_secs_f64());
    }

    /// A commit left an earlier render valid.
    pub fn render_reused(&self) {
        self.renders_reused.inc();
    }

    /// A plan was made.
    pub fn planned(&self, took: Duration) {
        self.plans.observe(took.as_secs_f64());
    }

    /// The API server answered to the apply of one object.
    pub fn applied(&self, outcome: Outcome, took: Duration) {
        self.applies.get_or_create(&ByResult { result: outcome }).observe(took.as_secs_f64());
    }

    /// All that a push changes was applied, this long after the push was noticed.
    pub fn push_applied(&self, took: Duration) {
        self.pushes.observe(took.as_secs_f64());
    }

    /// A sync ended in this phase (`Succeeded`, `Failed`, `Error`, `Superseded`).
    pub fn synced(&self, phase: &'static str) {
        self.syncs.get_or_create(&ByPhase { phase }).inc();
    }

    /// So many applications wait for a worker at this priority.
    pub fn queued(&self, priority: &'static str, depth: usize) {
        let depth = i64::try_from(depth).unwrap_or(i64::MAX);
        self.queue_depth.get_or_create(&ByPriority { priority }).set(depth);
    }

    /// An API server answered, or did not (`code` 0). Verbs are Kubernetes' own: `get`, `list`, `watch`, `patch` …
    pub fn requested(&self, verb: &'static str, code: u16) {
        self.api_requests.get_or_create(&ByRequest { verb, code }).inc();
    }

    /// Asks this at each scrape; only the first that is set counts.
    pub fn observe_with(&self, observer: impl Fn(&Metrics) + Send + Sync + 'static) {
        let _set_before = self.observer.0.set(Box::new(observer));
    }

    /// The states of all applications, one item for each.
    pub fn applications(&self, states: impl IntoIterator<Item = (&'static str, &'static str)>) {
        let mut known = self.states.lock();
        let mut counts: Vec<(ByState, i64)> = known.drain(..).map(|state| (state, 0)).collect();
        for (sync, health) in states {
            let state = ByState { sync, health };
            match counts.iter_mut().find(|(known, _)| *known == state) {
                Some((_, count)) => *count += 1,
                None => counts.push((state, 1)),
            }
        }
        for (state, count) in counts {
            self.applications.get_or_create(&state).set(count);
            known.push(state);
        }
    }

    /// A webhook request was answered.
    pub fn webhook(&self, provider: &'static str, result: &'static str) {
        self.webhooks.get_or_create(&ByWebhook { provider, result }).inc();
    }

    /// What is counted of canaries, under Flagger's names.
    pub fn canaries(&self) -> &Canaries {
        &self.canaries
    }

    /// All metrics in the OpenMetrics text format.
    pub fn to_text(&self) -> String {
        if let Some(observe) = self.observer.0.get() {
            observe(self);
        }
        let mut text = String::new();
        // Writing to a string can't fail, and a metric that could not be written is missing, not wrong.
        let _ = encode_registry(&mut text, &self.registry);
        let _ = encode_registry(&mut text, self.canaries.registry());
        let _ = encode_eof(&mut text);
        text
    }
}

/// The content type of [`Metrics::to_text`].
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// One of each, so that every metric and label shows.
    fn used() -> Metrics {
        let metrics = Metrics::default();
        let took = Duration::from_millis(3);
        metrics.fetched(Outcome::Ok, took);
        metrics.rendered(Outcome::Error, took);
        metrics.render_reused();
        metrics.planned(took);
        metrics.applied(Outcome::Ok, took);
        metrics.push_applied(took);
        metrics.synced("Succeeded");
        metrics.queued("webhook", 2);
        metrics.requested("patch", 200);
        metrics.applications([("Synced", "Healthy"), ("Synced", "Healthy"), ("OutOfSync", "Missing")]);
        metrics.webhook("github", "accepted");
        metrics
    }

    /// Names with their labels, as a scrape shows them.
    fn scraped(text: &str) -> BTreeSet<String> {
        let sample = |line: &str| {
            let (name, rest) = line.split_once(['{', ' '])?;
            let name = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            let labels = rest.split_once('}').map_or("", |(labels, _)| labels);
            let labels: BTreeSet<&str> =
                labels.split(',').filter_map(|label| Some(label.split_once('=')?.0)).filter(|l| *l != "le").collect();
            Some(format!("{name} {labels:?}"))
        };
        text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect()
    }

    #[test]
    fn the_table_lists_every_metric_with_its_labels() {
        let rows = include_str!("telemetry.rs").lines().filter_map(|line| line.strip_prefix("//! | `leeboard_"));
        let documented: BTreeSet<String> = rows
            .map(|row| {
                let mut cells = row.split('|').map(str::trim);
                let name = cells.next().unwrap().trim_end_matches('`');
                let labels = cells.next().unwrap().split(',').map(|label| label.trim().trim_matches('`'));
                let labels: BTreeSet<&str> = labels.filter(|label| !label.is_empty()).collect();
                format!("leeboard_{name} {labels:?}")
            })
            .collect();
        assert_eq!(scraped(&used().to_text()), documented);
    }

    #[test]
    fn a_state_that_no_application_has_any_more_counts_zero() {
        let metrics = used();
        metrics.applications([("Synced", "Healthy")]);
        let text = metrics.to_text();
        for line in [
            r#"leeboard_applications{sync="Synced",health="Healthy"} 1"#,
            r#"leeboard_applications{sync="OutOfSync",health="Missing"} 0"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_filter_that_is_not_understood_is_named() {
        let error = init_logs(LogStyle::Json, "leeboard=loud").unwrap_err();
        assert_eq!(error.to_string(), "the log filter `leeboard=loud` is not understood");
    }
}
