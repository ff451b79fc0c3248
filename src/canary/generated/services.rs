//! The three Services: the apex that users know, and one for each version.
//!
//! An apex that was there before the canary stays its owner's: it gets the selector and the ports, and nothing else.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Map, Value, json};

use super::{
    CANARY_SUFFIX, Error, HANDS_OFF, Metadata, PRIMARY_SUFFIX, Patch, Target, TargetKind, copied, is_owned, new_object,
    owned, texts,
};
use crate::api::flagger::{Canary, CustomMetadata};
use crate::object::Object;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Known to users; its pods are the primary's.
    Apex,
    /// The version that has proved itself.
    Primary,
    /// The version under trial: the target's own pods.
    Canary,
}

impl Role {
    /// The Service's name.
    pub fn service_name(self, canary: &Canary) -> String {
        let apex = canary.spec.service_name();
        match self {
            Role::Apex => apex.to_owned(),
            Role::Primary => format!("{apex}{PRIMARY_SUFFIX}"),
            Role::Canary => format!("{apex}{CANARY_SUFFIX}"),
        }
    }
}

/// The Service of this role; `live` is the one of its name, if there is one.
///
/// # Errors
/// When `service.port` is absent.
pub fn service(canary: &Canary, target: &Target<'_>, role: Role, live: Option<&Object>) -> Result<Object, Error> {
    let service = &canary.spec.service;
    if service.port <= 0 {
        return Err(Error::NoPort);
    }
    let name = role.service_name(canary);
    let value = match role {
        Role::Apex | Role::Primary => target.primary_value(),
        Role::Canary => target.value.clone(),
    };
    let mut spec = Map::new();
    spec.insert("selector".into(), json!({&target.label: value}));
    spec.insert("ports".into(), ports(canary, target));
    if let Some(live) = live.filter(|live| !is_owned(live, canary)) {
        let content = [("spec".to_owned(), Value::Object(spec))].into_iter().collect();
        return Ok(new_object(canary, "v1", "Service", &live.key.name, Metadata::default(), content));
    }
    spec.insert("type".into(), "ClusterIP".into());
    if service.headless {
        spec.insert("clusterIP".into(), "None".into());
    }
    if let Some(distribution) = service.traffic_distribution.as_deref().filter(|text| !text.is_empty()) {
        spec.insert("trafficDistribution".into(), distribution.into());
    }
    let own = match role {
        Role::Apex => &service.apex,
        Role::Primary => &service.primary,
        Role::Canary => &service.canary,
    };
    let mut own = metadata(own.as_ref());
    own.labels.insert(target.label.clone(), name.clone());
    if let Some(unmanaged) = &service.unmanaged_metadata {
        own.labels.retain(|key, _| !unmanaged.labels.contains(key));
        own.annotations.retain(|key, _| !unmanaged.annotations.contains(key));
    }
    let content = [("spec".to_owned(), Value::Object(spec))].into_iter().collect();
    Ok(owned(canary, new_object(canary, "v1", "Service", &name, own, content)))
}

/// Leads an apex of the user's back to the target's pods when the Canary goes: by what `kubectl apply` wrote last, else by
/// the selector label. One that was made for the Canary goes with it; one that is the target never led
/// elsewhere.
pub fn lead_back(canary: &Canary, target: &Target<'_>, live: &Object) -> Option<Patch> {
    if is_owned(live, canary) || target.kind == TargetKind::Service {
        return None;
    }
    let last = live.annotation("kubectl.kubernetes.io/last-applied-configuration");
    let last = last.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let selector = last.map(|object| object["spec"]["selector"].clone()).filter(Value::is_object);
    let selector = selector.unwrap_or_else(|| json!({&target.label: target.value}));
    let mut change = live.body["spec"]["selector"].clone();
    // A merge keeps what it does not name.
    for (_, value) in change.as_object_mut().into_iter().flatten() {
        *value = Value::Null;
    }
    for (key, value) in selector.as_object().into_iter().flatten() {
        change[key] = value.clone();
    }
    Some(Patch::of(live, json!({"spec": {"selector": change}})))
}

/// What a Canary puts on a Service or route of its own.
pub(in crate::canary) fn metadata(own: Option<&CustomMetadata>) -> Metadata {
    let own = own.cloned().unwrap_or_default();
    let mut annotations = own.annotations;
    annotations.extend(HANDS_OFF.map(|(key, value)| (key.to_owned(), value.to_owned())));
    Metadata { labels: own.labels, annotations }
}

fn ports(canary: &Canary, target: &Target<'_>) -> Value {
    let service = &canary.spec.service;
    let target_port = match service.target_port() {
        IntOrString::Int(number) => json!(number),
        IntOrString::String(name) => json!(name),
    };
    let mut first =
        json!({"name": service.port_name(), "protocol": "TCP", "port": service.port, "targetPort": target_port});
    if let Some(protocol) = service.app_protocol.as_deref().filter(|text| !text.is_empty()) {
        first["appProtocol"] = protocol.into();
    }
    let discovered = target
        .ports
        .iter()
        .map(|port| json!({"name": port.name, "protocol": "TCP", "port": port.number, "targetPort": port.number}));
    std::iter::once(first).chain(discovered).collect()
}

/// A target that is a Service has one copy for each version, with the version's own selector and ports.
pub fn copy(canary: &Canary, target: &Target<'_>, role: Role) -> Object {
    debug_assert_eq!(target.kind, TargetKind::Service);
    const OF_THE_CLUSTER: [&str; 6] =
        ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort", "sessionAffinityConfig"];
    let mut spec = target.object.body["spec"].as_object().cloned().unwrap_or_default();
    spec.retain(|field, value| !OF_THE_CLUSTER.contains(&field.as_str()) || (field == "clusterIP" && value == "None"));
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(port) = port.as_object_mut() {
            port.shift_remove("nodePort");
        }
    }
    let name = match role {
        Role::Apex => target.object.key.name.to_string(),
        Role::Primary => target.primary_name(),
        Role::Canary => format!("{}{CANARY_SUFFIX}", target.object.key.name),
    };
    let own = Metadata {
        labels: copied(texts(&target.object.body, "labels")),
        annotations: copied(texts(&target.object.body, "annotations")),
    };
    let content = [("spec".to_owned(), Value::Object(spec))].into_iter().collect();
    owned(canary, new_object(canary, "v1", "Service", &name, own, content))
}
