//! The built-in metrics `request-success-rate` and `request-duration`: PromQL for each router's own metrics.
//!
//! Semantics: the texts are those that Flagger 1.44 sends, character for character where they were recorded, so that
//! a person finds them in the log of their Prometheus. One difference: for a DaemonSet Flagger's pattern of pod names
//! matches none of its pods and all of the primary's; ours is that of a DaemonSet.

use super::template::Variables;
use crate::api::flagger::Provider;

/// The name of the built-in success rate, in percent.
pub const SUCCESS_RATE: &str = "request-success-rate";
/// The name of the built-in 99th percentile of the duration, in milliseconds.
pub const DURATION: &str = "request-duration";

/// A query, and what its answer has to be multiplied with to be in the metric's unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// PromQL.
    pub text: String,
    /// 1000 where the router counts seconds.
    pub factor: f64,
}

/// Whose pods a query is about: it decides how their names look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// `web-5d9c7b-x1y2z`.
    Deployment,
    /// `web-x1y2z`.
    DaemonSet,
    /// Pods that are nobody's business: the target is a Service.
    Service,
}

/// The query of the success rate.
pub fn success_rate(provider: Provider, workload: Workload, of: &Variables) -> Query {
    let family = Family::of(provider, workload, of);
    let text = match &family.style {
        Style::Plain => {
            let Requests { metric, selector, ok, rest } = &family.requests;
            let interval = &of.interval;
            let (good, all) = if let Some(rest) = rest {
                (format!("{selector}, {ok}, {rest}"), format!("{selector}, {rest}"))
            } else if family.trailing_comma {
                (format!("{selector}, {ok}"), format!("{selector},"))
            } else {
                (format!("{selector}, {ok}"), selector.clone())
            };
            format!(
                "sum( rate( {metric}{{ {good} }}[{interval}] ) ) / sum( rate( {metric}{{ {all} }}[{interval}] ) ) * 100"
            )
        }
        Style::Compact => {
            let Requests { metric, selector, ok, rest } = &family.requests;
            let rest = rest.unwrap_or_default();
            let rate = |labels: String| format!("sum(rate({metric}{{{labels}}}[{}]))", of.interval);
            let (good, all) = (format!("{selector},{ok},{rest}"), format!("{selector},{rest}"));
            format!("{} / {} * 100", rate(good), rate(all))
        }
    };
    Query { text, factor: 1.0 }
}

/// The query of the duration.
pub fn duration(provider: Provider, workload: Workload, of: &Variables) -> Query {
    let family = Family::of(provider, workload, of);
    let interval = &of.interval;
    let (text, factor) = match &family.duration {
        Duration::Quantile { bucket, selector, unit } => {
            let comma = if family.trailing_comma { "," } else { "" };
            let quantile = format!(
                "histogram_quantile( 0.99, sum( rate( {bucket}{{ {selector}{comma} }}[{interval}] ) ) by (le) )"
            );
            match unit {
                Unit::Milliseconds => (quantile, 1.0),
                Unit::Seconds => (quantile, 1000.0),
                Unit::SecondsInQuery => (format!("{quantile} * 1000"), 1.0),
            }
        }
        Duration::Mean { metric } => {
            let selector = &family.requests.selector;
            let rate = |part: &str| match family.style {
                Style::Plain => format!("sum( rate( {metric}_{part}{{ {selector} }}[{interval}] ) )"),
                Style::Compact => format!("sum(rate({metric}_{part}{{{selector}}}[{interval}]))"),
            };
            (format!("{} / {} * 1000", rate("sum"), rate("count")), 1.0)
        }
    };
    Query { text, factor }
}

/// The metrics of one router.
struct Family {
    requests: Requests,
    duration: Duration,
    style: Style,
    /// Flagger's queries on Envoy's clusters end their labels with a comma.
    trailing_comma: bool,
}

struct Requests {
    metric: &'static str,
    selector: String,
    ok: &'static str,
    /// Labels that come after those of success.
    rest: Option<&'static str>,
}

enum Duration {
    Quantile {
        bucket: &'static str,
        selector: String,
        unit: Unit,
    },
    /// The router has no buckets: the mean stands in.
    Mean {
        metric: &'static str,
    },
}

enum Unit {
    Milliseconds,
    /// The answer is multiplied.
    Seconds,
    /// The query multiplies.
    SecondsInQuery,
}

enum Style {
    Plain,
    Compact,
}

impl Family {
    fn of(provider: Provider, workload: Workload, of: &Variables) -> Self {
        let Variables { namespace, target, service, ingress, route, .. } = of;
        // Flagger marks the provider of a Service target with a suffix; only what it compares by prefix is still known.
        let by_prefix = matches!(
            provider,
            Provider::AppMesh
                | Provider::AppMeshV1Beta2
                | Provider::Gloo
                | Provider::GatewayApiV1
                | Provider::GatewayApiV1Beta1
        );
        match if workload == Workload::Service && !by_prefix { Provider::Istio } else { provider } {
            Provider::Linkerd => Family {
                requests: Requests {
                    metric: "response_total",
                    selector: format!("namespace=\"{namespace}\", deployment=~\"{target}\""),
                    ok: "classification!=\"failure\"",
                    rest: Some("direction=\"inbound\""),
                },
                duration: Duration::Quantile {
                    bucket: "response_latency_ms_bucket",
                    selector: format!("namespace=\"{namespace}\", deployment=~\"{target}\", direction=\"inbound\""),
                    unit: Unit::Milliseconds,
                },
                style: Style::Plain,
                trailing_comma: false,
            },
            Provider::Kubernetes | Provider::GatewayApiV1 | Provider::GatewayApiV1Beta1 => {
                let selector = pods(workload, of);
                Family {
                    requests: Requests {
                        metric: "http_request_duration_seconds_count",
                        selector: selector.clone(),
                        ok: "status!~\"5.*\"",
                        rest: None,
                    },
                    duration: Duration::Quantile {
                        bucket: "http_request_duration_seconds_bucket",
                        selector,
                        unit: Unit::Seconds,
                    },
                    style: Style::Plain,
                    trailing_comma: false,
                }
            }
            Provider::Nginx => Family {
                requests: Requests {
                    metric: "nginx_ingress_controller_requests",
                    selector: format!("namespace=\"{namespace}\", ingress=\"{ingress}\", canary!=\"\""),
                    ok: "status!~\"5.*\"",
                    rest: None,
                },
                duration: Duration::Mean { metric: "nginx_ingress_controller_response_duration_seconds" },
                style: Style::Plain,
                trailing_comma: false,
            },
            Provider::Traefik => {
                let selector = format!("service=~\"{namespace}-{target}-canary-[0-9a-zA-Z-]+@kubernetescrd\"");
                Family {
                    requests: Requests {
                        metric: "traefik_service_request_duration_seconds_bucket",
                        selector: selector.clone(),
                        ok: "code!~\"5..\"",
                        rest: Some("le=\"+Inf\""),
                    },
                    duration: Duration::Quantile {
                        bucket: "traefik_service_request_duration_seconds_bucket",
                        selector,
                        unit: Unit::SecondsInQuery,
                    },
                    style: Style::Plain,
                    trailing_comma: false,
                }
            }
            Provider::Contour => envoy(format!("envoy_cluster_name=~\"{namespace}_{service}-canary_[0-9a-zA-Z-]+\"")),
            Provider::Gloo => envoy(format!(
                "envoy_cluster_name=~\"{namespace}-{target}-canaryupstream-[0-9a-zA-Z-]+_[0-9a-zA-Z-]+\""
            )),
            Provider::Kuma => envoy(format!("service=~\"{target}-canary_{namespace}_svc_[0-9a-zA-Z-]+\"")),
            Provider::Knative => envoy(format!("envoy_cluster_name=~\"{namespace}/{route}\"")),
            Provider::AppMesh | Provider::AppMeshV1Beta2 => {
                Family { trailing_comma: false, ..envoy(pods(workload, of)) }
            }
            Provider::Osm => {
                let selector = format!(
                    "destination_namespace=\"{namespace}\", destination_kind=\"Deployment\", destination_name=\"{target}\""
                );
                Family {
                    requests: Requests {
                        metric: "osm_request_total",
                        selector: selector.clone(),
                        ok: "response_code!~\"5.*\"",
                        rest: None,
                    },
                    duration: Duration::Quantile {
                        bucket: "osm_request_duration_ms_bucket",
                        selector,
                        unit: Unit::Milliseconds,
                    },
                    style: Style::Plain,
                    trailing_comma: false,
                }
            }
            Provider::Apisix => {
                let selector = format!("route=~\"{namespace}_{route}-{target}-canary_.+\"");
                Family {
                    requests: Requests {
                        metric: "apisix_http_status",
                        selector: selector.clone(),
                        ok: "code!~\"5..\"",
                        rest: None,
                    },
                    duration: Duration::Quantile {
                        bucket: "apisix_http_latency_bucket",
                        selector: format!("type=~\"request\", {selector}"),
                        unit: Unit::Milliseconds,
                    },
                    style: Style::Plain,
                    trailing_comma: false,
                }
            }
            Provider::Skipper => {
                let [namespace, ingress, service] = [namespace, ingress, service].map(|name| skipper_word(name));
                Family {
                    requests: Requests {
                        metric: "skipper_response_duration_seconds_bucket",
                        selector: format!(
                            "route=~\"kube(ew)?_{namespace}__{ingress}_canary__.*__{service}_canary(_[0-9]+)?\""
                        ),
                        ok: "code!~\"5..\"",
                        rest: Some("le=\"+Inf\""),
                    },
                    duration: Duration::Mean { metric: "skipper_serve_route_duration_seconds" },
                    style: Style::Compact,
                    trailing_comma: false,
                }
            }
            // SMI's TrafficSplit has no metrics of its own: Flagger asks Istio's.
            Provider::Istio | Provider::SmiV1Alpha1 | Provider::SmiV1Alpha2 | Provider::SmiV1Alpha3 => {
                let selector = format!(
                    "reporter=\"destination\", destination_workload_namespace=\"{namespace}\", destination_workload=~\"{target}\""
                );
                Family {
                    requests: Requests {
                        metric: "istio_requests_total",
                        selector: selector.clone(),
                        ok: "response_code!~\"5.*\"",
                        rest: None,
                    },
                    duration: Duration::Quantile {
                        bucket: "istio_request_duration_milliseconds_bucket",
                        selector,
                        unit: Unit::Milliseconds,
                    },
                    style: Style::Plain,
                    trailing_comma: false,
                }
            }
        }
    }
}

/// Those that count by Envoy's clusters.
fn envoy(selector: String) -> Family {
    Family {
        requests: Requests {
            metric: "envoy_cluster_upstream_rq",
            selector: selector.clone(),
            ok: "envoy_response_code!~\"5.*\"",
            rest: None,
        },
        duration: Duration::Quantile {
            bucket: "envoy_cluster_upstream_rq_time_bucket",
            selector,
            unit: Unit::Milliseconds,
        },
        style: Style::Plain,
        trailing_comma: true,
    }
}

/// The canary's pods by name, and not the primary's: Prometheus anchors the pattern at both ends.
fn pods(workload: Workload, of: &Variables) -> String {
    let suffix = match workload {
        Workload::Deployment | Workload::Service => "[0-9a-zA-Z]+(-[0-9a-zA-Z]+)",
        Workload::DaemonSet => "[0-9a-zA-Z]+",
    };
    format!("kubernetes_namespace=\"{}\", kubernetes_pod_name=~\"{}-{suffix}\"", of.namespace, of.target)
}

/// As Skipper writes names into the ids of its routes.
fn skipper_word(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of() -> Variables {
        let [name, namespace, target, service] = ["web", "shop", "web", "web-service"].map(String::from);
        let (ingress, route, interval) = ("web-in".into(), "web-route".into(), "1m".into());
        Variables { name, namespace, target, service, ingress, route, interval, ..Variables::default() }
    }

    fn named(name: &str) -> Provider {
        serde_json::from_value(name.into()).unwrap()
    }

    #[test]
    fn a_daemon_sets_pods_are_told_from_its_primarys() {
        let pattern = |workload| {
            let selector = pods(workload, &of());
            let start = selector.find("=~\"").unwrap() + 3;
            regex::Regex::new(&format!("^(?:{})$", selector[start..].trim_end_matches('"'))).unwrap()
        };
        let cases = [
            // workload, pod, measured?
            (Workload::Deployment, "web-5d9c7b-x1y2z", true),
            (Workload::Deployment, "web-primary-5d9c7b-x1y2z", false),
            (Workload::DaemonSet, "web-x1y2z", true),
            (Workload::DaemonSet, "web-primary-x1y2z", false),
        ];
        for (workload, pod, measured) in cases {
            assert_eq!(pattern(workload).is_match(pod), measured, "{workload:?} {pod}");
        }
    }

    #[test]
    fn each_router_has_its_own_metrics() {
        let cases = [
            // provider, workload, the metric of requests, its selector
            (
                "istio",
                Workload::Deployment,
                "istio_requests_total{ reporter=\"destination\", destination_workload_namespace=\"shop\"",
            ),
            ("smi:v1alpha3", Workload::Deployment, "istio_requests_total{ reporter=\"destination\""),
            (
                "gatewayapi:v1beta1",
                Workload::Deployment,
                "http_request_duration_seconds_count{ kubernetes_namespace=\"shop\"",
            ),
            (
                "contour",
                Workload::Deployment,
                "envoy_cluster_upstream_rq{ envoy_cluster_name=~\"shop_web-service-canary_",
            ),
            ("apisix", Workload::Deployment, "apisix_http_status{ route=~\"shop_web-route-web-canary_.+\""),
            (
                "skipper",
                Workload::Deployment,
                "{route=~\"kube(ew)?_shop__web_in_canary__.*__web_service_canary(_[0-9]+)?\",",
            ),
            ("knative", Workload::Service, "istio_requests_total{"),
            ("contour", Workload::Service, "istio_requests_total{"),
            ("gloo", Workload::Service, "envoy_cluster_upstream_rq{ envoy_cluster_name=~\"shop-web-canaryupstream-"),
            (
                "osm",
                Workload::Deployment,
                "osm_request_total{ destination_namespace=\"shop\", destination_kind=\"Deployment\"",
            ),
        ];
        for (provider, workload, part) in cases {
            let query = success_rate(named(provider), workload, &of());
            assert!(query.text.contains(part), "{provider}: {}", query.text);
        }
    }

    #[test]
    fn seconds_become_milliseconds_once() {
        let cases = [
            // provider, factor of the answer, whether the query multiplies
            ("istio", 1.0, false),
            ("kubernetes", 1000.0, false),
            ("gatewayapi:v1", 1000.0, false),
            ("traefik", 1.0, true),
            ("nginx", 1.0, true),
            ("skipper", 1.0, true),
        ];
        for (provider, factor, in_query) in cases {
            let query = duration(named(provider), Workload::Deployment, &of());
            assert_eq!((query.factor, query.text.ends_with("* 1000")), (factor, in_query), "{provider}");
        }
    }
}
