//! The target: what of it decides how everything else looks.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use super::{Error, Flags, PRIMARY_SUFFIX, namespace_of, scale};
use crate::api::flagger::Canary;
use crate::canary::settings::TargetKind;
use crate::object::Object;

/// The kind of a canary's target.
///
/// # Errors
/// When it is another than the four; Flagger takes that for a Deployment.
pub fn kind(canary: &Canary) -> Result<TargetKind, Error> {
    let target = &canary.spec.target_ref;
    match (target.kind.as_str(), target.group()) {
        ("Deployment", _) => Ok(TargetKind::Deployment),
        ("DaemonSet", _) => Ok(TargetKind::DaemonSet),
        ("Service", "serving.knative.dev") => Ok(TargetKind::KnativeService),
        ("Service", _) => Ok(TargetKind::Service),
        (kind, _) => Err(Error::TargetKind { kind: kind.to_owned() }),
    }
}

/// As Events write it.
fn word(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Deployment => "deployment",
        TargetKind::DaemonSet => "daemonset",
        TargetKind::Service | TargetKind::KnativeService => "service",
    }
}

/// One port of the target's containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its own name, or one made of its container's.
    pub name: String,
    /// The number.
    pub number: i64,
}

/// A target that a canary can have.
#[derive(Clone, Debug, PartialEq)]
pub struct Target<'a> {
    /// What it is.
    pub kind: TargetKind,
    /// The object.
    pub object: &'a Object,
    /// The selector label that tells the pods of primary and canary apart; empty without pods of our own.
    pub label: String,
    /// Its value on the target's pods.
    pub value: String,
    /// The ports that `portDiscovery` adds.
    pub ports: Vec<Port>,
}

impl<'a> Target<'a> {
    /// Reads the target.
    ///
    /// # Errors
    /// When it does not exist, or is none that a canary can have.
    pub fn of(canary: &Canary, object: Option<&'a Object>, flags: &Flags) -> Result<Self, Error> {
        let kind = kind(canary)?;
        let (name, namespace) = (canary.spec.target_ref.name.clone(), namespace_of(canary).to_owned());
        let Some(object) = object else {
            let cause = match kind {
                TargetKind::Deployment => format!("deployments.apps \"{name}\" not found"),
                TargetKind::DaemonSet => format!("daemonsets.apps \"{name}\" not found"),
                TargetKind::Service => format!("services \"{name}\" not found"),
                TargetKind::KnativeService => format!("services.serving.knative.dev \"{name}\" not found"),
            };
            return Err(Error::Unreadable { kind: word(kind).to_owned(), name, namespace, cause });
        };
        if matches!(kind, TargetKind::Service | TargetKind::KnativeService) {
            return Ok(Target { kind, object, label: String::new(), value: String::new(), ports: Vec::new() });
        }
        let labels = &object.body["spec"]["selector"]["matchLabels"];
        let found = flags.selector_labels.iter().find_map(|key| Some((key, labels.get(key)?.as_str()?)));
        let Some((label, value)) = found else {
            let labels = flags.selector_labels.clone();
            return Err(Error::NoSelectorLabel { kind: word(kind), name, namespace, labels });
        };
        let strategy = object.body["spec"]["updateStrategy"]["type"].as_str().filter(|strategy| !strategy.is_empty());
        if let (TargetKind::DaemonSet, Some(found)) = (kind, strategy)
            && found != "RollingUpdate"
        {
            return Err(Error::UpdateStrategy { name, namespace, found: found.to_owned() });
        }
        let ports = if canary.spec.service.port_discovery { discovered(canary, object) } else { Vec::new() };
        Ok(Target { kind, object, label: label.clone(), value: value.to_owned(), ports })
    }

    /// The value of the selector label on the primary's pods.
    pub fn primary_value(&self) -> String {
        format!("{}{PRIMARY_SUFFIX}", self.value)
    }

    /// The primary's name.
    pub fn primary_name(&self) -> String {
        format!("{}{PRIMARY_SUFFIX}", self.object.key.name)
    }
}

/// The ports of all containers but proxies, without the one that `service` has already.
fn discovered(canary: &Canary, object: &Object) -> Vec<Port> {
    const PROXIES: [&str; 2] = ["istio-proxy", "envoy"];
    let target_port = canary.spec.service.target_port();
    let mut found: Vec<Port> = Vec::new();
    let containers = object.body["spec"]["template"]["spec"]["containers"].as_array();
    for container in containers.into_iter().flatten() {
        let container_name = container["name"].as_str().unwrap_or_default();
        if PROXIES.contains(&container_name) {
            continue;
        }
        for (index, port) in container["ports"].as_array().into_iter().flatten().enumerate() {
            let Some(number) = port["containerPort"].as_i64() else { continue };
            let own_name = port["name"].as_str().filter(|name| !name.is_empty());
            let is_known = match &target_port {
                IntOrString::Int(known) => number == i64::from(*known),
                IntOrString::String(known) => own_name == Some(known),
            };
            let name = own_name.map_or_else(|| format!("tcp-{container_name}-{index}"), str::to_owned);
            if !is_known && !found.iter().any(|other| other.name == name) {
                found.push(Port { name, number });
            }
        }
    }
    found
}

/// The pod template.
pub(super) fn template(object: &Object) -> &Value {
    &object.body["spec"]["template"]
}

/// What makes a version of the target: the pod template, a Service's spec, Knative's newest revision. How many pods there
/// are, and how a DaemonSet is kept at none, make no version.
///
/// Of the object as it was rendered, where that is known: an API server that learns a new default starts no run then.
pub fn version_subject(kind: TargetKind, object: &Value) -> Value {
    match kind {
        TargetKind::Deployment | TargetKind::DaemonSet => scale::without_zero(&object["spec"]["template"]),
        TargetKind::Service => object["spec"].clone(),
        TargetKind::KnativeService => object["status"]["latestCreatedRevisionName"].clone(),
    }
}
