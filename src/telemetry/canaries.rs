//! What Flagger counts of canaries, under Flagger's names: dashboards that were made for it go on working.
//!
//! These are the only metrics with names of objects in their labels. A canary's go when it goes.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The metrics, in a registry of their own since they have a prefix of their own.
#[derive(Debug)]
pub struct Canaries {
    registry: Registry,
    info: Family<Info, Gauge>,
    total: Family<Place, Gauge>,
    /// Whom [`Canaries::total`] counts: namespace and target.
    known: Mutex<BTreeSet<(String, String)>>,
    looks: Family<Name, Histogram, fn() -> Histogram>,
    status: Family<Name, Gauge>,
    weight: Family<Workload, Gauge>,
    analysis: Family<Measured, Gauge<f64, AtomicU64>>,
    /// Whose values [`Canaries::analysis`] holds, to take them away.
    measured: Mutex<BTreeSet<Measured>>,
    successes: Family<Ended, Counter>,
    failures: Family<Ended, Counter>,
}

/// Upper bounds of how long a look takes, in seconds; Prometheus' own.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Info {
    version: &'static str,
    mesh_provider: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Place {
    namespace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Name {
    name: String,
    namespace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Workload {
    workload: String,
    namespace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct Measured {
    name: String,
    namespace: String,
    metric: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    name: String,
    namespace: String,
    deployment_strategy: &'static str,
    analysis_status: &'static str,
}

impl Default for Canaries {
    fn default() -> Self {
        let mut whole = Registry::with_prefix("flagger");
        let (info, total) = (Family::default(), Family::default());
        let looks = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        whole.register("info", "Who looks after canaries", info.clone());
        let registry = whole.sub_registry_with_prefix("canary");
        registry.register("total", "How many there are", total.clone());
        registry.register("duration_seconds", "How long a look at a canary takes", looks.clone());
        let (status, weight, analysis) = (Family::default(), Family::default(), Family::default());
        let (successes, failures) = (Family::default(), Family::default());
        registry.register("status", "0 while it is analysed, 2 when it failed, else 1", status.clone());
        registry.register("weight", "Percent of the traffic", weight.clone());
        registry.register("metric_analysis", "What the last check measured; durations in seconds", analysis.clone());
        registry.register("successes", "Versions that were promoted", successes.clone());
        registry.register("failures", "Versions that were rolled back", failures.clone());
        let (known, measured) = (Mutex::default(), Mutex::default());
        Canaries { registry: whole, info, total, known, looks, status, weight, analysis, measured, successes, failures }
    }
}

impl Canaries {
    /// Canaries are looked after from now on; who routes where none of them says.
    pub fn serves(&self, mesh_provider: &'static str) {
        self.info.get_or_create(&Info { version: env!("CARGO_PKG_VERSION"), mesh_provider }).set(1);
    }

    /// A canary was looked at, with all that came of it.
    pub fn looked(&self, target: &str, namespace: &str, took: Duration) {
        self.looks
            .get_or_create(&Name { name: target.into(), namespace: namespace.into() })
            .observe(took.as_secs_f64());
    }

    /// Where a canary stands; `target` is the name of its workload, as Flagger has it.
    pub fn stands(&self, target: &str, namespace: &str, status: i64, weight: u8) {
        let name = Name { name: target.into(), namespace: namespace.into() };
        self.status.get_or_create(&name).set(status);
        if self.known.lock().insert((namespace.into(), target.into())) {
            self.total.get_or_create(&Place { namespace: namespace.into() }).inc();
        }
        for (workload, weight) in self.workloads(target, namespace).into_iter().zip([weight, 100 - weight.min(100)]) {
            self.weight.get_or_create(&workload).set(weight.into());
        }
    }

    fn workloads(&self, target: &str, namespace: &str) -> [Workload; 2] {
        [target.to_owned(), format!("{target}-primary")]
            .map(|workload| Workload { workload, namespace: namespace.to_owned() })
    }

    /// What a check has measured.
    pub fn measured(&self, target: &str, namespace: &str, metric: &str, value: f64) {
        let measured = Measured { name: target.into(), namespace: namespace.into(), metric: metric.into() };
        self.analysis.get_or_create(&measured).set(value);
        self.measured.lock().insert(measured);
    }

    /// A run has ended.
    pub fn ended(&self, target: &str, namespace: &str, succeeded: bool, strategy: &'static str, how: &'static str) {
        let (name, namespace) = (target.to_owned(), namespace.to_owned());
        let ended = Ended { name, namespace, deployment_strategy: strategy, analysis_status: how };
        let family = if succeeded { &self.successes } else { &self.failures };
        family.get_or_create(&ended).inc();
    }

    /// A canary is gone.
    pub fn gone(&self, target: &str, namespace: &str) {
        let name = Name { name: target.into(), namespace: namespace.into() };
        self.status.remove(&name);
        self.looks.remove(&name);
        if self.known.lock().remove(&(namespace.into(), target.into())) {
            self.total.get_or_create(&Place { namespace: namespace.into() }).dec();
        }
        for workload in self.workloads(target, namespace) {
            self.weight.remove(&workload);
        }
        let is_its = |measured: &Measured| measured.name == target && measured.namespace == namespace;
        for measured in self.measured.lock().extract_if(.., is_its) {
            self.analysis.remove(&measured);
        }
    }

    /// For the text that is served.
    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(canaries: &Canaries) -> Vec<String> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, canaries.registry()).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn the_dashboard_shows_what_there_is() {
        let canaries = Canaries::default();
        canaries.stands("web", "shop", 2, 0);
        canaries.measured("web", "shop", "mine", 1.0);
        canaries.ended("web", "shop", true, "canary", "completed");
        canaries.ended("web", "shop", false, "canary", "completed");
        let known = text(&canaries);
        let dashboard = include_str!("../../deploy/components/grafana/canaries.json");
        let dashboard: serde_json::Value = serde_json::from_str(dashboard).unwrap();
        let shown =
            dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap());
        for expression in shown.map(|target| target["expr"].as_str().unwrap()) {
            for part in expression.split("flagger_").skip(1) {
                let end = part.find('{').unwrap();
                let name = format!("flagger_{}{{", &part[..end]);
                assert!(known.iter().any(|line| line.starts_with(&name)), "{name} of {expression}: {known:?}");
            }
        }
    }

    #[test]
    fn names_are_those_of_flagger_and_go_with_the_canary() {
        let canaries = Canaries::default();
        canaries.stands("web", "shop", 0, 30);
        canaries.measured("web", "shop", "request-success-rate", 99.5);
        canaries.measured("api", "shop", "mine", 1.0);
        let mut found = text(&canaries);
        found.sort();
        assert_eq!(
            found,
            [
                r#"flagger_canary_metric_analysis{name="api",namespace="shop",metric="mine"} 1.0"#,
                r#"flagger_canary_metric_analysis{name="web",namespace="shop",metric="request-success-rate"} 99.5"#,
                r#"flagger_canary_status{name="web",namespace="shop"} 0"#,
                r#"flagger_canary_total{namespace="shop"} 1"#,
                r#"flagger_canary_weight{workload="web",namespace="shop"} 30"#,
                r#"flagger_canary_weight{workload="web-primary",namespace="shop"} 70"#,
            ]
        );
        canaries.looked("web", "shop", Duration::from_millis(20));
        let counted = r#"flagger_canary_duration_seconds_count{name="web",namespace="shop"} 1"#;
        assert!(text(&canaries).iter().any(|line| line == counted), "{:#?}", text(&canaries));
        canaries.gone("web", "shop");
        canaries.gone("web", "shop");
        let mut left = text(&canaries);
        left.sort();
        assert_eq!(
            left,
            [
                r#"flagger_canary_metric_analysis{name="api",namespace="shop",metric="mine"} 1.0"#,
                r#"flagger_canary_total{namespace="shop"} 0"#,
            ]
        );
        canaries.serves("istio");
        let info = format!(r#"flagger_info{{version="{}",mesh_provider="istio"}} 1"#, env!("CARGO_PKG_VERSION"));
        assert!(text(&canaries).contains(&info), "{:#?}", text(&canaries));
    }
}
