//! Routers: how traffic reaches the two versions. One file per mesh or ingress; no file knows another.
//!
//! **In:** a [`Subject`], the wanted [`Split`], the routing objects that are live. **Out:** the objects to apply, and the
//! split that live ones say. **May not:** do I/O; a router only computes objects.
//!
//! What is written is what Flagger 1.44 writes, as recorded, with one rule of ours: in an object that the canary did not
//! make, it owns only where the rules that lead to its Services lead, by which share. All other rules, and what else the
//! object says, stay as they are; a list that the API server replaces as a whole is then written with the
//! `resourceVersion` it was read at. Runs of A/B and session affinity need rules of their own, also there.
//!
//! Read [`Router`] and [`for_provider`], then [`gateway_api`] and [`istio`], which can do the most.

mod affinity;
mod apisix;
mod contour;
mod gateway_api;
mod gloo;
mod istio;
mod knative;
mod kubernetes;
mod kuma;
mod nginx;
mod skipper;
mod traefik;
mod traffic_split;

use std::fmt;

use serde_json::{Map, Value};

use super::generated::services::{self, Role};
use super::generated::{self, Flags, Metadata, Patch, Target};
use super::record::Cookies;
use super::{Copies, Split, Weight};
use crate::api::flagger::{Canary, HttpMatch, Provider, Step};
use crate::object::{Object, ObjectKey};

/// How traffic reaches the two versions of one workload.
pub trait Router: Send + Sync {
    /// Kinds that must exist; if one is missing the canary waits and says so.
    fn needs(&self) -> &'static [Kind];

    /// What this router can do besides weights.
    fn abilities(&self) -> Abilities;

    /// The objects that the two functions below have to be given, as far as they exist: those they write, and those
    /// that these are made of.
    fn reads(&self, subject: &Subject<'_>) -> Vec<ObjectKey>;

    /// The objects that route traffic as `split` says.
    ///
    /// # Errors
    /// When the canary asks for what cannot be written, or an object that is copied is missing.
    fn objects(&self, subject: &Subject<'_>, split: Split, live: &[Object]) -> Result<Vec<Object>, Error>;

    /// Reads the split back: the cluster is the truth, also after a restart or an edit by hand.
    ///
    /// # Errors
    /// When there is no route, it leads elsewhere, or nobody serves it.
    fn split(&self, subject: &Subject<'_>, live: &[Object]) -> Result<Split, Error>;

    /// What brings the user's own routing back when the Canary is deleted with `revertOnDeletion`.
    fn restored(&self, _subject: &Subject<'_>, _live: &[Object]) -> Vec<Restoration> {
        Vec::new()
    }
}

/// The router of a provider: the one place where a name decides.
///
/// # Errors
/// When nobody routes so any more.
pub fn for_provider(provider: Provider) -> Result<&'static dyn Router, Error> {
    Ok(match provider {
        Provider::Kubernetes => &kubernetes::Kubernetes,
        Provider::GatewayApiV1 => &gateway_api::GatewayApi { version: gateway_api::Version::V1 },
        Provider::GatewayApiV1Beta1 => &gateway_api::GatewayApi { version: gateway_api::Version::V1Beta1 },
        Provider::Istio => &istio::Istio,
        Provider::Nginx => &nginx::Nginx,
        Provider::Traefik => &traefik::Traefik,
        Provider::Contour => &contour::Contour,
        Provider::Skipper => &skipper::Skipper,
        Provider::Apisix => &apisix::Apisix,
        Provider::Gloo => &gloo::Gloo,
        Provider::Kuma => &kuma::Kuma,
        Provider::Knative => &knative::Knative,
        Provider::Linkerd | Provider::SmiV1Alpha1 => {
            &traffic_split::TrafficSplit { version: traffic_split::Version::V1Alpha1 }
        }
        Provider::Osm | Provider::SmiV1Alpha2 => {
            &traffic_split::TrafficSplit { version: traffic_split::Version::V1Alpha2 }
        }
        Provider::SmiV1Alpha3 => &traffic_split::TrafficSplit { version: traffic_split::Version::V1Alpha3 },
        Provider::AppMesh | Provider::AppMeshV1Beta2 => return Err(Error::Retired { provider }),
    })
}

/// A kind with the version in which it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Empty for the core group.
    pub group: &'static str,
    /// The version.
    pub version: &'static str,
    /// In CamelCase.
    pub kind: &'static str,
}

impl Kind {
    fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    fn named(&self, subject: &Subject<'_>, name: &str) -> ObjectKey {
        let namespace = Some(subject.namespace()).filter(|namespace| !namespace.is_empty()).map(Into::into);
        ObjectKey { group: self.group.into(), kind: self.kind.into(), namespace, name: name.into() }
    }
}

/// `HTTPRoute (gateway.networking.k8s.io)`
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind, if self.group.is_empty() { "core" } else { self.group })
    }
}

/// What a router can do besides weights. What a canary asks for beyond it, its settings refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Whether it can copy requests to the canary.
    pub mirror: Mirror,
    /// Whether single requests can be told apart (A/B).
    pub matches: bool,
    /// Whether they can while the others go by weight.
    pub headers: bool,
    /// Whether clients can be kept at one version.
    pub affinity: bool,
}

/// When a router can copy requests to the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mirror {
    /// Never.
    Never,
    /// In blue/green runs, and by steps.
    ButNotByWeights,
    /// In every strategy.
    Always,
}

impl Abilities {
    const WEIGHTS_ONLY: Abilities =
        Abilities { mirror: Mirror::Never, matches: false, headers: false, affinity: false };
}

/// What two weights of a live route say. Weights are shares: they need not add up to 100.
fn of_weights(primary: u64, canary: u64) -> Option<Split> {
    let sum = primary.checked_add(canary).filter(|sum| *sum > 0)?;
    let percent = (canary.checked_mul(100)?.checked_add(sum / 2)?) / sum;
    Some(Split::to_canary(Weight::new(i64::try_from(percent).ok()?)?))
}

/// What a router has to know of a canary.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The Canary.
    pub canary: &'a Canary,
    /// Its target.
    pub target: &'a Target<'a>,
    /// What holds for all canaries.
    pub flags: &'a Flags,
    /// The cookies of session affinity.
    pub cookies: &'a Cookies,
}

impl Subject<'_> {
    fn namespace(&self) -> &str {
        generated::namespace_of(self.canary)
    }

    fn apex(&self) -> String {
        Role::Apex.service_name(self.canary)
    }

    fn primary(&self) -> String {
        Role::Primary.service_name(self.canary)
    }

    fn canary(&self) -> String {
        Role::Canary.service_name(self.canary)
    }

    fn port(&self) -> i32 {
        self.canary.spec.service.port
    }

    /// Labels and annotations of a route of its own.
    fn metadata(&self) -> Metadata {
        let apex = self.canary.spec.service.apex.as_ref();
        let mut own = services::metadata(apex);
        if apex.is_some() && !self.target.label.is_empty() {
            own.labels.insert(self.target.label.clone(), self.apex());
        }
        own
    }

    /// The live object of this kind and name.
    fn find<'o>(&self, live: &'o [Object], kind: Kind, name: &str) -> Option<&'o Object> {
        let key = kind.named(self, name);
        live.iter().find(|object| {
            (&object.key.group, &object.key.kind, &object.key.name) == (&key.group, &key.kind, &key.name)
                && (object.key.namespace.is_none() || object.key.namespace == key.namespace)
        })
    }

    /// The same where it must exist.
    fn demand<'o>(&self, live: &'o [Object], kind: Kind, name: &str) -> Result<&'o Object, Error> {
        self.find(live, kind, name).ok_or_else(|| Error::Missing {
            kind: kind.kind,
            name: name.to_owned(),
            namespace: self.namespace().to_owned(),
        })
    }

    /// An object of the canary's own.
    fn owned(&self, kind: Kind, name: &str, metadata: Metadata, spec: Map<String, Value>) -> Object {
        let content = [("spec".to_owned(), Value::Object(spec))].into_iter().collect();
        let object = generated::new_object(self.canary, &kind.api_version(), kind.kind, name, metadata, content);
        generated::owned(self.canary, object)
    }

    /// What the canary has to say in an object that is not its own: no labels, no owner.
    fn within(&self, kind: Kind, name: &str, spec: Map<String, Value>) -> Object {
        let content = [("spec".to_owned(), Value::Object(spec))].into_iter().collect();
        generated::new_object(self.canary, &kind.api_version(), kind.kind, name, Metadata::default(), content)
    }

    fn is_owned(&self, object: &Object) -> bool {
        generated::is_owned(object, self.canary)
    }

    /// Whom each of the steps leads that lead by header, with its number.
    fn headers(&self) -> Vec<(usize, Vec<HttpMatch>)> {
        let analysis = self.canary.spec.analysis();
        let matches = |step: &Step| step.header.as_ref().map(|header| header.matches.clone());
        let headers = analysis.steps.iter().enumerate().filter_map(|(at, step)| Some((at, matches(step)?)));
        headers.filter(|(_, matches)| !matches.is_empty()).collect()
    }

    /// Whom this step leads.
    fn header(&self, step: Option<usize>) -> Option<Vec<HttpMatch>> {
        self.headers().into_iter().find(|(at, _)| Some(*at) == step).map(|(_, matches)| matches)
    }

    /// Copies that a live rule sends to the canary; all that pass by, where it does not say how many percent.
    fn copies(&self, percent: Option<f64>) -> Copies {
        if self.canary.spec.analysis().steps.is_empty() {
            return Copies::Configured;
        }
        // A share that we never wrote is none of ours.
        let share = percent.map_or(Some(Weight::ALL), |percent| Weight::new(percent.round() as i64));
        Copies::Share(share.unwrap_or(Weight::ALL))
    }

    fn no_route(&self, kind: Kind, name: &str) -> Error {
        Error::NoRoute { kind: kind.kind, name: name.to_owned(), namespace: self.namespace().to_owned() }
    }
}

/// Puts our rules where they stood; behind all of others when they are new, so that they take nobody's traffic. Others
/// keep their order.
///
/// Tells too whether any are of others: then the list must not be written over a newer one.
fn merged(live: Option<&Value>, ours: Vec<Value>, is_ours: impl Fn(&Value) -> bool) -> (Vec<Value>, bool) {
    let live = live.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    // None before the first is ours, so the place is the same among those that are left.
    let first = live.iter().position(&is_ours);
    let mut rules: Vec<Value> = live.iter().filter(|rule| !is_ours(rule)).cloned().collect();
    let has_others = !rules.is_empty();
    let at = first.unwrap_or(rules.len());
    rules.splice(at..at, ours);
    (rules, has_others)
}

/// Rules of the user's own route: those that lead to the apex or to a version are changed by `within`, the others stay.
/// `None` when there is none of the former.
fn changed_within(
    live: Option<&Value>,
    is_ours: impl Fn(&Value) -> bool,
    within: impl Fn(&Value) -> Value,
) -> Option<Vec<Value>> {
    let live = live.and_then(Value::as_array)?;
    let change = |rule: &Value| if is_ours(rule) { within(rule) } else { rule.clone() };
    live.iter().any(&is_ours).then(|| live.iter().map(change).collect())
}

/// Puts both versions in the place of what is ours in a list of backends; `version` makes one of what stood there.
fn versions_within(
    backends: Option<&mut Value>,
    is_ours: impl Fn(&Value) -> bool,
    versions: impl FnOnce(&Value) -> [Value; 2],
) {
    let Some(backends) = backends.and_then(Value::as_array_mut) else { return };
    let Some(at) = backends.iter().position(&is_ours) else { return };
    let both = versions(&backends[at]);
    backends.retain(|backend| !is_ours(backend));
    backends.splice(at..at, both);
}

/// Marks an object as made from a live one: the API server refuses it when that has changed meanwhile.
fn pin(object: &mut Object, live: Option<&Object>) {
    let version = live.and_then(|live| live.body["metadata"].get("resourceVersion")).cloned();
    if let Some(version) = version {
        object.metadata_mut().insert("resourceVersion".into(), version);
    }
}

/// Of a list of `{name, weight}`: the split between two names.
fn weights(items: &Value, primary: &str, canary: &str, name: impl Fn(&Value) -> Option<&str>) -> Option<Split> {
    let items = items.as_array()?;
    let weight = |wanted: &str| {
        let item = items.iter().find(|item| name(item) == Some(wanted))?;
        item.get("weight").map_or(Some(0), |weight| weight.as_u64().or_else(|| weight.as_str()?.parse().ok()))
    };
    match (weight(primary), weight(canary)) {
        (None, None) => None,
        (primary, canary) => of_weights(primary.unwrap_or(0), canary.unwrap_or(0)),
    }
}

/// What brings a user's own routing back.
#[derive(Clone, Debug, PartialEq)]
pub enum Restoration {
    /// Replace the `spec` of an object.
    Replace(Object),
    /// Change some fields.
    Patch(Patch),
    /// Delete it.
    Delete(ObjectKey),
}

/// Why traffic cannot be routed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody routes so any more.
    #[error("{provider} is not supported: AWS has ended App Mesh; move to another provider, as gatewayapi:v1")]
    Retired {
        /// Whose router.
        provider: Provider,
    },
    /// nginx and Skipper copy an Ingress.
    #[error("ingress selector is empty")]
    NoIngressReference,
    /// APISIX copies an ApisixRoute.
    #[error("apisix route selector is empty")]
    NoRouteReference,
    /// Gateway API needs a parent.
    #[error("GatewayRefs must be specified when using Gateway API as a provider.")]
    NoGatewayReferences,
    /// Istio's delegates have neither.
    #[error("VirtualService {name}.{namespace} cannot have hosts and gateways when delegation enabled")]
    Delegation {
        /// The VirtualService's name.
        name: String,
        /// Its namespace.
        namespace: String,
    },
    /// A condition that this router cannot express.
    #[error("`{field}` of a match cannot be expressed by {provider}")]
    Condition {
        /// Which part of it.
        field: String,
        /// Whose router.
        provider: Provider,
    },
    /// An object that is copied does not exist.
    #[error("{kind} {name}.{namespace} get query error: not found")]
    Missing {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
    },
    /// The object that is copied does not lead to the apex Service.
    #[error("backend {service} not found in {kind} {name}")]
    NoBackend {
        /// The apex Service.
        service: String,
        /// In lower case.
        kind: &'static str,
        /// The object's name.
        name: String,
    },
    /// A rule that is copied has several backends.
    #[error("{kind} {name}: a rule that leads to {service} must have no other backend")]
    ManyBackends {
        /// The apex Service.
        service: String,
        /// Its kind.
        kind: &'static str,
        /// The object's name.
        name: String,
    },
    /// The route does not exist, or leads to neither version.
    #[error("{kind} {name}.{namespace} does not route to the canary's Services")]
    NoRoute {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
    },
    /// Nobody serves the route.
    #[error("{kind} {name}.{namespace} is not accepted by {parent}: {reason}")]
    NotAccepted {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Its namespace.
        namespace: String,
        /// Who should serve it.
        parent: String,
        /// What it says.
        reason: String,
    },
}

#[cfg(test)]
mod tests;
