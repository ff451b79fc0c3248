//! Previews as the fixtures write them down.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use leeboard::api::argo::PreviewRule;
use leeboard::error::{Diagnostic, Origin};
use leeboard::object::{GroupKind, Object, ObjectKey};
use leeboard::plan::project::Denial;
use leeboard::plan::{PlanHash, Refusal};
use leeboard::preview::attribute::{declared, planned, transfer};
use leeboard::preview::policies::{Known, Renders, in_force, judge};
use leeboard::preview::risk::{Digests, Standards};
use leeboard::preview::rules::remark_all;
use leeboard::preview::{
    ApplicationPreview, Change, ChangeKind, EnvironmentPreview, Facts, Held, HeldBecause, Leftovers, Live, Manager,
    Outcome, Pending, Preview, Pull, Reach, Removal, Served,
};
use serde_json::Value;

/// The documents of a file.
pub(crate) fn documents(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    let documents =
        text.split("\n---\n").filter(|part| part.lines().any(|line| !line.starts_with('#') && !line.is_empty()));
    documents
        .map(|part| serde_yaml::from_str(part).unwrap_or_else(|error| panic!("{}: {error}\n{part}", file.display())))
        .collect()
}

pub(crate) fn texts<'a>(value: &'a Value, field: &str) -> Vec<&'a str> {
    value[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn objects(value: &Value, field: &str, application: &str) -> Vec<Arc<Object>> {
    let bodies = value[field].as_array().into_iter().flatten();
    let object = |body: &Value| {
        let kind = body["kind"].as_str().unwrap().to_lowercase();
        let origin = Origin::new(format!("apps/{application}/{kind}.yaml"), 14, 1);
        Arc::new(Object::from_value(body.clone(), Some(origin)).unwrap_or_else(|error| panic!("{error}: {body}")))
    };
    bodies.map(object).collect()
}

fn map<T>(value: &Value, read: impl Fn(&Value) -> T) -> BTreeMap<String, T> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), read(value))).collect()
}

/// A number of 32 digits, of which each environment has its own.
fn hash(seed: &str) -> PlanHash {
    let digits: String = seed.bytes().cycle().take(16).map(|byte| format!("{byte:02x}")).collect();
    digits.parse().unwrap()
}

fn held(value: &Value) -> Option<Held> {
    let number = |field: &str| usize::try_from(value[field].as_u64().unwrap()).unwrap();
    let because = match value["because"].as_str()? {
        "directoryGone" => HeldBecause::DirectoryGone,
        "empty" => HeldBecause::Empty,
        _ => HeldBecause::Shrunk,
    };
    Some(Held { because, prunes: number("prunes"), of: number("of") })
}

/// What is live, by the key as people write it.
fn live(value: &Value, application: &str) -> BTreeMap<ObjectKey, Live> {
    let bodies = objects(value, "live", application).into_iter();
    bodies.map(|object| (object.key.clone(), Live::Ours(object.body.clone()))).collect()
}

fn settle(change: &mut Change, value: &Value) {
    let name = change.key.to_string();
    if let Some(hidden) = value["hidden"].get(&name) {
        let manager = match (hidden["application"].as_str(), hidden["tool"].as_str()) {
            (Some(application), _) => Manager::Application(application.into()),
            (_, Some(tool)) => Manager::Tool(tool.into()),
            _ => Manager::Nobody,
        };
        change.live = Live::Hidden(manager);
    }
    change.refused = value["refused"].get(&name).and_then(Value::as_str).map(str::to_owned);
    match value["kinds"].get(&name).and_then(Value::as_str) {
        Some("replace") => change.kind = ChangeKind::Replace,
        Some("alreadySo") => change.kind = ChangeKind::AlreadySo,
        _ => {}
    }
}

/// One application of an environment.
fn application(value: &Value, environment: &str) -> (ApplicationPreview, Vec<Arc<Object>>, Vec<Arc<Object>>) {
    let name = value["name"].as_str().unwrap_or("web");
    let (base, merged) = (objects(value, "base", name), objects(value, "merged", name));
    let mut found = planned(declared(&base, &merged), None, live(value, name));
    found.changes.iter_mut().for_each(|change| settle(change, value));
    found.hash = Some(hash(&format!("{environment}/{name}")));
    found.guarded = held(&value["guarded"]);
    found.pending = texts(value, "pending")
        .into_iter()
        .map(|name| Pending {
            key: ObjectKey {
                group: "apps".into(),
                kind: "Deployment".into(),
                namespace: Some("shop".into()),
                name: name.into(),
            },
            kind: ChangeKind::Change,
            why: "changed in the cluster".into(),
        })
        .collect();
    if let Some(key) = value["denied"].get("key") {
        let text = |field: &str| key[field].as_str().unwrap_or_default();
        let key = ObjectKey {
            group: text("group").into(),
            kind: text("kind").into(),
            namespace: None,
            name: text("name").into(),
        };
        let denial = Denial::Kind { group: key.group.clone(), kind: key.kind.clone(), project: "shop".into() };
        found.refusals.push(Refusal::Denied { key, denial });
    }
    let outcome = if let Some(held) = held(&value["held"]) {
        Outcome::Held(held)
    } else if let Some(problems) = value["problems"].as_array() {
        let problem =
            |text: &Value| Diagnostic::new(text.as_str().unwrap()).at(Origin::new("apps/web/kustomization.yaml", 4, 1));
        Outcome::Failed(problems.iter().map(problem).collect())
    } else if let Some(removed) = value.get("removed") {
        Outcome::Removed(Removal {
            changes: found.changes,
            objects: if removed["objects"] == "stay" { Leftovers::Stay } else { Leftovers::Go },
            moves_to: removed["movesTo"].as_str().map(Into::into),
            hash: found.hash,
        })
    } else {
        Outcome::Planned(found)
    };
    (ApplicationPreview { name: name.into(), outcome }, base, merged)
}

/// One environment in one cluster; a value without `applications` is one application itself.
pub(crate) fn environment(value: &Value) -> EnvironmentPreview {
    let name = value["environment"].as_str().unwrap_or("prod");
    let cluster = value["cluster_name"].as_str().unwrap_or("eu-1");
    let alone = [value.clone()];
    let applications = value["applications"].as_array().map_or(alone.as_slice(), Vec::as_slice);
    let mut facts = Facts::default();
    let mut previews = Vec::new();
    for one in applications {
        let (preview, base, merged) = application(one, name);
        facts.base.extend(base);
        facts.merged.extend(merged);
        previews.push(preview);
    }
    transfer(&mut previews);
    facts.cluster =
        objects(value, "cluster", "x").into_iter().map(|object| (object.key.clone(), object.body.clone())).collect();
    facts.instances =
        map(&value["instances"], |count| count.as_u64().unwrap()).into_iter().map(|(n, c)| (n.into(), c)).collect();
    let counts =
        |kinds: &Value| map(kinds, |count| count.as_u64().unwrap()).into_iter().map(|(k, c)| (k.into(), c)).collect();
    facts.managed = map(&value["managed"], counts).into_iter().map(|(n, c)| (n.into(), c)).collect();
    facts.nodes = value["nodes"].as_u64();
    let key = |name: &str| {
        let mut parts = name.split('/').map(Into::into);
        let (namespace, kind, name) = (parts.next(), parts.next().unwrap(), parts.next().unwrap());
        ObjectKey { group: "apps".into(), kind, namespace, name }
    };
    let undeclared = map(&value["undeclared"], |paths| serde_json::from_value(paths.clone()).unwrap());
    facts.undeclared = undeclared.into_iter().map(|(name, paths)| (key(&name), paths)).collect();
    if value.get("served").is_some() {
        let kind = |text: &str| {
            let parts: Vec<&str> = text.split('/').collect();
            match parts.as_slice() {
                [group, version, kind] => (GroupKind::new(*group, *kind), (*version).into()),
                [version, kind] => (GroupKind::new("", *kind), (*version).into()),
                _ => panic!("{text}"),
            }
        };
        let minor = value["minor"].as_u64().map(|minor| u32::try_from(minor).unwrap());
        facts.served = Some(Served { kinds: texts(value, "served").into_iter().map(kind).collect(), minor });
    }
    let reach = match value["reach"].as_str() {
        Some("unreachable") => Reach::Unreachable("connection refused".into()),
        Some("notAsked") => Reach::NotAsked,
        _ => Reach::Compared,
    };
    facts.unread_policies = value["unread"].as_str().map(str::to_owned);
    let (base, merged) = (facts.base.clone(), facts.merged.clone());
    let mut environment =
        EnvironmentPreview { name: name.into(), cluster: cluster.into(), reach, applications: previews, facts };
    let known = Known { policies: value["policies"].as_array().cloned().unwrap_or_default(), ..Known::default() };
    let renders = Renders { base: &base, merged: &merged };
    let rules: Vec<PreviewRule> = serde_json::from_value(value["rules"].clone()).unwrap_or_default();
    remark_all(&mut environment, |_| Some(rules.as_slice()));
    let policies = in_force(&environment, &renders, &known.policies);
    judge(&mut environment, &policies, &renders, known);
    environment
}

/// A pull request with these environments.
pub(crate) fn preview(environments: Vec<EnvironmentPreview>) -> Preview {
    Preview {
        instance: "hub-eu".into(),
        pull: Pull {
            number: 482,
            head: "3f9a1c2d00000000000000000000000000000000".into(),
            base: "77c0de1f00000000000000000000000000000000".into(),
        },
        environments,
        deployed: vec![],
        carried: vec![],
    }
}

pub(crate) fn standards(value: &Value) -> Standards {
    Standards {
        registries: texts(value, "registries").into_iter().map(str::to_owned).collect(),
        digests: Digests::Optional,
        ..Standards::default()
    }
}
