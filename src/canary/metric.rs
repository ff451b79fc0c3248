//! Metrics of a canary: which query is asked, how, and what the answer says; the machine judges it.
//!
//! **In:** a check's settings, the bytes of an answer. **Out:** a query's text, a [`Request`] as data, a [`Reading`]. **May not:** do I/O, read a clock, or take silence for success.
//!
//! Semantics: Flagger 1.44, with two rules of ours: *no data* and *error* are readings of their own, and an answer
//! with several series is refused instead of decided by their order.
//! Read [`builtin`] and [`template`] for the query, then one file per [`Provider`], [`prometheus`] first.

pub mod aws;
pub mod builtin;
mod cloudwatch;
mod datadog;
mod dynatrace;
mod external_metrics;
pub mod google;
mod graphite;
mod influxdb;
mod keptn;
mod new_relic;
mod prometheus;
mod splunk;
mod stackdriver;
pub mod template;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use jiff::Timestamp;
use serde_json::Value;

use crate::api::flagger::{Canary, Metric, MetricProviderType, ObjectReference};
use crate::canary::world;
use crate::object::Object;
use crate::object::secret::Masked;

use self::template::Variables;

/// A system that can be asked for a number. One file per system; no file knows another.
pub trait Provider: Send + Sync {
    /// The request that asks the query.
    ///
    /// # Errors
    /// When the address, a key of the secret or another setting is missing, or the query cannot be sent so.
    fn request(&self, ask: &Ask<'_>) -> Result<Request, Error>;

    /// What a successful answer says.
    fn read(&self, body: &[u8]) -> Reading;

    /// What an answer says whose status is no success.
    fn read_refusal(&self, status: u16, body: &[u8]) -> Reading {
        Reading::Error(Problem::Status { status, message: excerpt(body) })
    }
}

/// The provider of a MetricTemplate's `type`.
pub fn provider(what: MetricProviderType) -> &'static dyn Provider {
    match what {
        MetricProviderType::Prometheus => &prometheus::Prometheus,
        MetricProviderType::Datadog => &datadog::Datadog,
        MetricProviderType::CloudWatch => &cloudwatch::CloudWatch,
        MetricProviderType::NewRelic => &new_relic::NewRelic,
        MetricProviderType::Graphite => &graphite::Graphite,
        MetricProviderType::InfluxDb => &influxdb::InfluxDb,
        MetricProviderType::Stackdriver => &stackdriver::Stackdriver,
        MetricProviderType::Dynatrace => &dynatrace::Dynatrace,
        MetricProviderType::Splunk => &splunk::Splunk,
        MetricProviderType::Keptn => &keptn::Keptn,
        MetricProviderType::ExternalMetrics => &external_metrics::ExternalMetrics,
    }
}

/// What the functions of a query's template answer for one check of a canary. `route` of a Knative target is its newest
/// revision, which the Canary does not say.
pub fn variables(canary: &Canary, metric: &Metric) -> Variables {
    let spec = &canary.spec;
    let target = &spec.target_ref.name;
    let named = |reference: &Option<ObjectReference>| {
        let reference = reference.as_ref().filter(|reference| !reference.name.is_empty());
        reference.map_or(target, |reference| &reference.name).clone()
    };
    Variables {
        name: canary.metadata.name.clone().unwrap_or_default(),
        namespace: canary.metadata.namespace.clone().unwrap_or_default(),
        target: target.clone(),
        service: spec.service_name().to_owned(),
        ingress: named(&spec.ingress_ref),
        route: named(&spec.route_ref),
        interval: metric.interval().to_owned(),
        variables: metric.template_variables.clone(),
    }
}

/// What a [`Reading`] is made of: the answer of a provider, success or not.
pub fn read(provider: &dyn Provider, status: u16, body: &[u8]) -> Reading {
    if (200..300).contains(&status) { provider.read(body) } else { provider.read_refusal(status, body) }
}

/// All that a request depends on.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The template's `provider.address`; empty when it is left to the provider.
    pub address: &'a str,
    /// The template's `provider.region`; empty when absent.
    pub region: &'a str,
    /// The template's `provider.headers`.
    pub headers: &'a BTreeMap<String, Vec<String>>,
    /// The data of the Secret that the template names; empty without one.
    pub secret: &'a BTreeMap<String, Masked>,
    /// The query, rendered.
    pub query: &'a str,
    /// The check's `interval`.
    pub interval: Duration,
    /// When it is asked.
    pub now: Timestamp,
}

/// How far back a provider looks that takes a window, in intervals: late points are still found.
const WINDOW_INTERVALS: u32 = 10;

impl<'a> Ask<'a> {
    /// The address, or the provider's own; without a slash at its end.
    fn address_or(&self, default: &'static str) -> Result<&'a str, Error> {
        let address = if self.address.is_empty() { default } else { self.address };
        let address = address.trim_end_matches('/');
        if address.is_empty() {
            return Err(Error::NoAddress);
        }
        if !address.contains("://") {
            return Err(Error::Address { address: address.to_owned() });
        }
        Ok(address)
    }

    /// A key of the secret that must be there.
    fn secret(&self, key: &'static str) -> Result<&'a str, Error> {
        self.optional_secret(key).ok_or(Error::NoSecretKey { key })
    }

    fn optional_secret(&self, key: &str) -> Option<&'a str> {
        self.secret.get(key).and_then(Masked::expose_text).map(str::trim_end)
    }

    /// The request with the name and password of the secret, when it has them.
    fn logged_in(&self, request: Request) -> Result<Request, Error> {
        match (self.optional_secret("username"), self.optional_secret("password")) {
            (Some(name), Some(password)) => Ok(request.with_header("Authorization", basic(name, password))),
            (None, None) => Ok(request),
            (None, _) => Err(Error::NoSecretKey { key: "username" }),
            (_, None) => Err(Error::NoSecretKey { key: "password" }),
        }
    }

    /// Start and end of the window, in seconds.
    fn window(&self) -> (i64, i64) {
        let end = self.now.as_second();
        let length = self.interval.saturating_mul(WINDOW_INTERVALS).as_secs();
        (end.saturating_sub(i64::try_from(length).unwrap_or(i64::MAX)), end)
    }

    /// The template's own headers.
    fn own_headers(&self) -> Vec<(String, Masked)> {
        let pairs = self.headers.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        pairs.map(|(name, value)| (name.clone(), Masked::new(value))).collect()
    }
}

/// The value of an `Authorization` header.
fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq)]
pub enum To {
    /// A URL, query string included.
    Url(String),
    /// A path of the cluster's own API server, asked with the daemon's credentials.
    ApiServer(String),
    /// An object of the cluster that is made, looked at until it has an answer, and deleted.
    Made(Box<Object>),
}

/// How a request proves who asks, where that is more than a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing more.
    None,
    /// AWS Signature Version 4 with the credentials of the environment, or those of the secret.
    AwsSignature {
        /// The region.
        region: String,
        /// The service's name in signatures.
        service: &'static str,
    },
    /// A Bearer token of Google, from a service account's key (JSON); without one, from the metadata server.
    Google {
        /// The key.
        service_account_key: Option<Masked>,
    },
}

/// One request, as data: whoever sends it adds nothing but its [`Credentials`].
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where it goes.
    pub to: To,
    /// Headers; their values are hidden since tokens are among them.
    pub headers: Vec<(String, Masked)>,
    /// Empty for a GET.
    pub body: String,
    /// What is to be signed or fetched first.
    pub credentials: Credentials,
    /// After this it is an error.
    pub timeout: Duration,
}

impl Request {
    /// Flagger's own bound for most providers.
    const TIMEOUT: Duration = Duration::from_secs(5);

    fn get(url: String) -> Self {
        Request {
            method: Method::GET,
            to: To::Url(url),
            headers: Vec::new(),
            body: String::new(),
            credentials: Credentials::None,
            timeout: Self::TIMEOUT,
        }
    }

    fn post(url: String, content_type: &str, body: String) -> Self {
        Request { method: Method::POST, body, ..Request::get(url) }.with_header("Content-Type", content_type)
    }

    fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), Masked::new(value)));
        self
    }

    fn with_headers(mut self, headers: Vec<(String, Masked)>) -> Self {
        self.headers.extend(headers);
        self
    }
}

/// Why a query cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `provider.address` is empty, and the provider has no address of its own.
    #[error("`provider.address` is missing")]
    NoAddress,
    /// It is no URL.
    #[error("`provider.address` is no URL: {address}")]
    Address {
        /// What it is.
        address: String,
    },
    /// `provider.region` is empty.
    #[error("`provider.region` is missing")]
    NoRegion,
    /// The secret lacks a key.
    #[error("the secret that `provider.secretRef` names has no key `{key}`")]
    NoSecretKey {
        /// Which.
        key: &'static str,
    },
    /// The query is not what this provider asks for.
    #[error("the query is not {expected}: {query}")]
    Query {
        /// With its article.
        expected: &'static str,
        /// As rendered.
        query: String,
    },
}

/// What one measurement found.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// A number.
    Value(f64),
    /// The question was answered, and there is no number: no series, no point, or a division of nothing by nothing.
    NoData,
    /// There is no answer to the question.
    Error(Problem),
}

impl Reading {
    /// NaN is what a division of nothing by nothing gives: no data.
    fn of(value: f64) -> Self {
        if value.is_nan() { Reading::NoData } else { Reading::Value(value) }
    }
}

/// What Flagger says where a query has no value.
const NO_VALUES: &str = "no values found";

impl From<Reading> for world::Reading {
    fn from(reading: Reading) -> Self {
        match reading {
            Reading::Value(value) => world::Reading::Value(value),
            Reading::NoData => world::Reading::NoData(NO_VALUES.into()),
            Reading::Error(problem) => world::Reading::Error(problem.to_string()),
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The request got no answer; whoever sent it says so.
    #[error("{url}: {cause}")]
    Unreachable {
        /// Where it went, without its query string.
        url: String,
        /// What happened.
        cause: String,
    },
    /// Another status than success.
    #[error("error response: {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The provider's own words, or the start of the body.
        message: String,
    },
    /// The provider says that the query failed.
    #[error("{message}")]
    Refused {
        /// Its own words.
        message: String,
    },
    /// The answer is no JSON, or lacks what every answer has.
    #[error("the answer is not {expected}: {found}")]
    Shape {
        /// With its article.
        expected: &'static str,
        /// The start of what came.
        found: String,
    },
    /// The query has more than one series, and nothing says which of them is meant.
    #[error("the query returns {count} series where one is expected: {first} and {second}")]
    ManySeries {
        /// How many.
        count: usize,
        /// What names the first.
        first: String,
        /// What names the second.
        second: String,
    },
}

/// The start of an answer, on one line.
fn excerpt(body: &[u8]) -> String {
    const SHOWN: usize = 200;
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * SHOWN)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "(empty)".to_owned() } else { line.chars().take(SHOWN).collect() }
}

/// Reads an answer as JSON.
fn json(body: &[u8], expected: &'static str) -> Result<Value, Reading> {
    serde_json::from_slice(body).map_err(|_| shape(body, expected))
}

fn shape(body: &[u8], expected: &'static str) -> Reading {
    Reading::Error(Problem::Shape { expected, found: excerpt(body) })
}

/// A number that may be written as a text: Prometheus, Stackdriver and Kubernetes do so.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "+Inf" | "Inf" => Some(f64::INFINITY),
            "-Inf" => Some(f64::NEG_INFINITY),
            text => text.parse().ok(),
        },
        _ => None,
    }
}

/// A text inside a URL's path or query string.
pub(crate) struct Encoded<'a>(pub(crate) &'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => write!(f, "{}", byte as char)?,
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

/// One line, as Flagger sends queries: its templates are written over many.
pub(crate) fn squeezed(query: &str) -> String {
    query.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
