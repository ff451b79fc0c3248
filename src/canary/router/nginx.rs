//! ingress-nginx: a copy of the user's Ingress that is marked as its canary.
//!
//! Writes `networking.k8s.io/v1` Ingress `<ingressRef>-canary` with annotations of
//! <https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/#canary>. Cannot: mirror, or
//! match a header by prefix or suffix. Test data: tests/fixtures/canary/nginx.yaml.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Abilities, Error, Kind, Mirror, Router, Split, Subject};
use crate::api::flagger::{HttpMatch, Provider, StringMatch};
use crate::canary::Weight;
use crate::canary::generated::{self, HANDS_OFF, Metadata};
use crate::object::{Object, ObjectKey};

const INGRESS: Kind = Kind { group: "networking.k8s.io", version: "v1", kind: "Ingress" };

/// See the module.
pub(super) struct Nginx;

impl Router for Nginx {
    fn needs(&self) -> &'static [Kind] {
        &[INGRESS]
    }

    fn abilities(&self) -> Abilities {
        Abilities { mirror: Mirror::Never, matches: true, headers: false, affinity: false }
    }

    fn reads(&self, subject: &Subject<'_>) -> Vec<ObjectKey> {
        let Ok(name) = reference(subject) else { return Vec::new() };
        vec![INGRESS.named(subject, name), INGRESS.named(subject, &format!("{name}-canary"))]
    }

    fn objects(&self, subject: &Subject<'_>, split: Split, live: &[Object]) -> Result<Vec<Object>, Error> {
        let name = reference(subject)?;
        let source = subject.demand(live, INGRESS, name)?;
        let mut spec = source.body["spec"].as_object().cloned().unwrap_or_default();
        let (apex, canary) = (subject.apex(), subject.canary());
        let mut is_found = false;
        for backend in backends(&mut spec) {
            if backend["service"]["name"] == apex {
                backend["service"]["name"] = canary.as_str().into();
                is_found = true;
            }
        }
        if !is_found {
            return Err(Error::NoBackend { service: apex, kind: "ingress", name: name.to_owned() });
        }
        let mut annotations = generated::copied(generated::texts(&source.body, "annotations"));
        let key = |suffix: &str| format!("{}/{suffix}", subject.flags.ingress_annotations_prefix);
        annotations.retain(|name, _| !name.starts_with(&key("canary")));
        annotations.extend(HANDS_OFF.map(|(name, value)| (name.to_owned(), value.to_owned())));
        annotations.insert(key("canary"), "true".to_owned());
        let matches = &subject.canary.spec.analysis().matches;
        if matches.is_empty() {
            annotations.insert(key("canary-weight"), split.canary.percent().to_string());
        } else {
            // A/B: all that match, none of the others.
            annotations.insert(key("canary-weight"), "0".to_owned());
            let conditions = conditions(matches)?;
            if split.canary.percent() > 0 {
                annotations.extend(conditions.into_iter().map(|(suffix, value)| (key(suffix), value)));
            }
        }
        let labels = generated::copied(generated::texts(&source.body, "labels"));
        let metadata = Metadata { labels, annotations };
        Ok(vec![subject.owned(INGRESS, &format!("{name}-canary"), metadata, spec)])
    }

    fn split(&self, subject: &Subject<'_>, live: &[Object]) -> Result<Split, Error> {
        let name = format!("{}-canary", reference(subject)?);
        let ingress = subject.find(live, INGRESS, &name).ok_or_else(|| subject.no_route(INGRESS, &name))?;
        let prefix = &subject.flags.ingress_annotations_prefix;
        let value = |suffix: &str| ingress.annotation(&format!("{prefix}/{suffix}"));
        if value("canary-by-header").is_some() || value("canary-by-cookie").is_some() {
            return Ok(Split::CANARY_ONLY);
        }
        let weight = value("canary-weight").and_then(|text| text.parse().ok()).and_then(Weight::new);
        weight.map(Split::to_canary).ok_or_else(|| subject.no_route(INGRESS, &name))
    }
}

fn reference<'a>(subject: &Subject<'a>) -> Result<&'a str, Error> {
    let reference = subject.canary.spec.ingress_ref.as_ref().filter(|reference| !reference.name.is_empty());
    reference.map(|reference| reference.name.as_str()).ok_or(Error::NoIngressReference)
}

fn backends(spec: &mut serde_json::Map<String, Value>) -> Vec<&mut Value> {
    let mut found = Vec::new();
    for (field, value) in spec {
        match field.as_str() {
            "defaultBackend" => found.push(value),
            "rules" => {
                for rule in value.as_array_mut().into_iter().flatten() {
                    let paths = rule.pointer_mut("/http/paths").and_then(Value::as_array_mut).into_iter().flatten();
                    found.extend(paths.filter_map(|path| path.get_mut("backend")));
                }
            }
            _ => {}
        }
    }
    found
}

/// nginx knows one header and one cookie; a later condition replaces an earlier one of its kind.
fn conditions(matches: &[HttpMatch]) -> Result<BTreeMap<&'static str, String>, Error> {
    let mut conditions = BTreeMap::new();
    for (name, value) in matches.iter().flat_map(|one| &one.headers) {
        match value {
            StringMatch { exact: Some(cookie), .. } if name == "cookie" => {
                conditions.insert("canary-by-cookie", cookie.clone());
            }
            StringMatch { exact: Some(exact), .. } => {
                conditions.insert("canary-by-header", name.clone());
                conditions.insert("canary-by-header-value", exact.clone());
            }
            StringMatch { regex: Some(regex), .. } if name != "cookie" => {
                conditions.insert("canary-by-header", name.clone());
                conditions.insert("canary-by-header-pattern", regex.clone());
            }
            _ => return Err(Error::Condition { field: format!("headers.{name}"), provider: Provider::Nginx }),
        }
    }
    Ok(conditions)
}
