//! ConfigMaps and Secrets that the target's pods use: which of them the primary has for itself, and their checksums.
//!
//! Not copied, so shared: Secrets of types that belong to somebody (tokens, registry credentials), objects annotated
//! `flagger.app/config-tracking: disabled`, and Secrets that a controller keeps up to date: a copy would go stale.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    Error, Flags, Metadata, PRIMARY_SUFFIX, included, namespace_of, new_object, owner_reference, target, texts,
};
use crate::api::flagger::Canary;
use crate::object::Object;

/// `flagger.app/config-tracking: disabled` keeps an object shared.
pub const TRACKING: &str = "flagger.app/config-tracking";

/// The two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

/// One of them, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigKey {
    /// Which kind.
    pub kind: ConfigKind,
    /// Which name.
    pub name: String,
}

/// `configmap/web`: the key in `status.trackedConfigs`.
impl fmt::Display for ConfigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.word(), self.name)
    }
}

impl ConfigKind {
    fn word(self) -> &'static str {
        match self {
            ConfigKind::ConfigMap => "configmap",
            ConfigKind::Secret => "secret",
        }
    }
}

/// Whether the pods can do without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Every reference says `optional: true`.
    Optional,
    /// One does not.
    Required,
}

/// What the cluster says of one of them.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// It is there.
    Found(Object),
    /// It is not.
    Absent,
    /// Nobody knows: never the same as absent.
    Failed(String),
}

/// What the target's pods refer to.
pub fn referenced(target: &Object) -> BTreeMap<ConfigKey, Need> {
    let mut found = BTreeMap::new();
    let mut template = target::template(target).clone();
    each_reference(&mut template, &mut |kind, name, is_optional| {
        let need = found.entry(ConfigKey { kind, name: name.clone() }).or_insert(Need::Optional);
        if !is_optional {
            *need = Need::Required;
        }
    });
    found
}

/// The ConfigMaps and Secrets of which the primary has copies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tracked(BTreeMap<ConfigKey, Object>);

impl Tracked {
    /// Looks each of them up.
    ///
    /// # Errors
    /// When one that is needed is absent, or one cannot be read.
    pub fn of(
        canary: &Canary,
        target: &Object,
        flags: &Flags,
        mut look_up: impl FnMut(&ConfigKey) -> Lookup,
    ) -> Result<Self, Error> {
        let mut tracked = BTreeMap::new();
        if !flags.tracks_configs {
            return Ok(Tracked(tracked));
        }
        for (key, need) in referenced(target) {
            let unreadable = |cause: String| Error::Unreadable {
                kind: key.kind.word().to_owned(),
                name: key.name.clone(),
                namespace: namespace_of(canary).to_owned(),
                cause,
            };
            match (look_up(&key), need) {
                (Lookup::Found(object), _) => {
                    if is_copied(key.kind, &object) {
                        tracked.insert(key, object);
                    }
                }
                (Lookup::Absent, Need::Optional) => {}
                (Lookup::Absent, Need::Required) => {
                    return Err(unreadable(format!("{}s \"{}\" not found", key.kind.word(), key.name)));
                }
                (Lookup::Failed(cause), _) => return Err(unreadable(cause)),
            }
        }
        Ok(Tracked(tracked))
    }

    /// Their keys.
    pub fn keys(&self) -> BTreeSet<&ConfigKey> {
        self.0.keys().collect()
    }

    /// As `status.trackedConfigs` has them.
    pub fn checksums(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(key, object)| (key.to_string(), checksum(object))).collect()
    }

    /// They themselves, as they were read.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.0.values()
    }

    /// The primary's copies, with the owners that they have by now; `live` is asked by the copy's own name.
    pub fn copies(&self, canary: &Canary, flags: &Flags, live: impl Fn(&ConfigKey) -> Option<Object>) -> Vec<Object> {
        let copy = |(key, object): (&ConfigKey, &Object)| {
            let name = format!("{}{PRIMARY_SUFFIX}", key.name);
            let mut content = Map::new();
            for field in ["data", "binaryData", "type"] {
                let value = object.body.get(field).filter(|value| !value.is_null());
                if let Some(value) = value.filter(|_| field != "binaryData" || key.kind == ConfigKind::ConfigMap) {
                    content.insert(field.into(), value.clone());
                }
            }
            let kind = match key.kind {
                ConfigKind::ConfigMap => "ConfigMap",
                ConfigKind::Secret => "Secret",
            };
            let own = Metadata { labels: included(texts(&object.body, "labels"), flags), ..Metadata::default() };
            let mut copy = new_object(canary, "v1", kind, &name, own, content);
            let there = live(&ConfigKey { kind: key.kind, name });
            copy.metadata_mut().insert("ownerReferences".into(), owners(canary, there.as_ref()));
            copy
        };
        self.0.iter().map(copy).collect()
    }
}

/// Ours first; another Canary may use the same config, and only one owner can be the controller.
fn owners(canary: &Canary, live: Option<&Object>) -> Value {
    let own = owner_reference(canary);
    let mut owners = vec![own.clone()];
    let others = live.and_then(|object| object.body["metadata"]["ownerReferences"].as_array());
    for other in others.into_iter().flatten() {
        if (&other["kind"], &other["name"]) == (&own["kind"], &own["name"]) {
            continue;
        }
        let mut other = other.clone();
        other["controller"] = false.into();
        owners.push(other);
    }
    owners.into()
}

/// The first eight bytes of the SHA-256 of its data as Go writes them, in hex.
pub fn checksum(object: &Object) -> String {
    let data = match &object.body["data"] {
        // Go writes a map that was never made so.
        Value::Null => "null".to_owned(),
        data => go_json(data),
    };
    Sha256::digest(data.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn go_json(data: &Value) -> String {
    let sorted: BTreeMap<&String, &Value> = data.as_object().into_iter().flatten().collect();
    let text = json!(sorted).to_string();
    // What Go's encoder escapes and serde's does not; outside of strings none of them occurs.
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => escaped.push_str(&format!("\\u{:04x}", u32::from(character))),
            other => escaped.push(other),
        }
    }
    escaped
}

fn is_copied(kind: ConfigKind, object: &Object) -> bool {
    const TYPES: [&str; 4] = ["Opaque", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls"];
    let tracking = object.annotation(TRACKING).unwrap_or_default();
    if tracking.starts_with("disable") {
        return false;
    }
    match kind {
        ConfigKind::ConfigMap => true,
        ConfigKind::Secret => {
            let is_kept = object.body["metadata"]["ownerReferences"].as_array().is_some_and(|owners| {
                owners.iter().any(|owner| owner["controller"] == true && owner["kind"] != "Canary")
            });
            TYPES.contains(&object.body["type"].as_str().unwrap_or("Opaque"))
                && !is_kept
                && object.annotation("cert-manager.io/certificate-name").is_none()
        }
    }
}

/// Points the references to tracked objects at the primary's copies.
pub(super) fn redirect(template: &mut Value, tracked: &Tracked) {
    each_reference(template, &mut |kind, name, _| {
        if tracked.0.contains_key(&ConfigKey { kind, name: name.clone() }) {
            name.push_str(PRIMARY_SUFFIX);
        }
    });
}

/// The way back: `tracked` are keys as `status.trackedConfigs` has them.
pub(super) fn restore(template: &mut Value, tracked: &BTreeSet<&str>) {
    each_reference(template, &mut |kind, name, _| {
        if let Some(own) = name.strip_suffix(PRIMARY_SUFFIX)
            && tracked.contains(format!("{}/{own}", kind.word()).as_str())
        {
            *name = own.to_owned();
        }
    });
}

/// Visits every reference in a pod template: its kind, its name, and whether it is optional.
fn each_reference(template: &mut Value, visit: &mut dyn FnMut(ConfigKind, &mut String, bool)) {
    let Some(spec) = template.get_mut("spec") else { return };
    for volume in items(spec, "volumes") {
        reference(volume.get_mut("configMap"), "name", ConfigKind::ConfigMap, visit);
        reference(volume.get_mut("secret"), "secretName", ConfigKind::Secret, visit);
        if let Some(projected) = volume.get_mut("projected") {
            for source in items(projected, "sources") {
                reference(source.get_mut("configMap"), "name", ConfigKind::ConfigMap, visit);
                reference(source.get_mut("secret"), "name", ConfigKind::Secret, visit);
            }
        }
    }
    for list in ["containers", "initContainers"] {
        for container in items(spec, list) {
            for variable in items(container, "env") {
                let Some(source) = variable.get_mut("valueFrom") else { continue };
                reference(source.get_mut("configMapKeyRef"), "name", ConfigKind::ConfigMap, visit);
                reference(source.get_mut("secretKeyRef"), "name", ConfigKind::Secret, visit);
            }
            for source in items(container, "envFrom") {
                reference(source.get_mut("configMapRef"), "name", ConfigKind::ConfigMap, visit);
                reference(source.get_mut("secretRef"), "name", ConfigKind::Secret, visit);
            }
        }
    }
}

fn items<'a>(value: &'a mut Value, list: &str) -> &'a mut [Value] {
    value.get_mut(list).and_then(Value::as_array_mut).map_or(&mut [], Vec::as_mut_slice)
}

fn reference(
    value: Option<&mut Value>,
    field: &str,
    kind: ConfigKind,
    visit: &mut dyn FnMut(ConfigKind, &mut String, bool),
) {
    let Some(value) = value else { return };
    let is_optional = value["optional"] == true;
    if let Some(Value::String(name)) = value.get_mut(field)
        && !name.is_empty()
    {
        visit(kind, name, is_optional);
    }
}
