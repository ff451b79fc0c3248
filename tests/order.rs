//! The corpus of sync plans and project rules (`order/cases.yaml`, `order/projects.yaml`).
//!
//! The corpus lies in the folder that `LEEBOARD_CORPUS` names; without it these tests say so and pass.

#![allow(clippy::expect_used, reason = "a test fails by a panic")]

#[path = "harness/corpus.rs"]
mod corpus;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use smol_str::SmolStr;

use leeboard::api::argo::{AppProject, AppProjectSpec, Destination, SelectedResource, SyncOptions};
use leeboard::live::{LiveView, Record};
use leeboard::object::tracking::Tracking;
use leeboard::object::{GroupKind, Object, ObjectKey};
use leeboard::plan::prune::{Confirmation, deletion};
use leeboard::plan::{
    Action, Baseline, Denial, Inputs, Inventory, NamespaceState, Owner, Phase, Plan, PlanKey, Policy, Project, Run,
    Scope, desired, plan,
};

const NAMESPACE: &str = "demo";

/// One file of the corpus, case by case; nothing when there is no corpus.
fn corpus(file: &str) -> Vec<Value> {
    let Some(folder) = corpus::corpus("order") else { return Vec::new() };
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field).and_then(Value::as_str)
}

fn list(value: &Value, field: &str) -> Vec<Value> {
    value.get(field).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// The group in which the API server serves a kind that the corpus names without one.
fn group(kind: &str) -> &'static str {
    match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => "apps",
        "Job" | "CronJob" => "batch",
        "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding" => "rbac.authorization.k8s.io",
        "Ingress" | "IngressClass" | "NetworkPolicy" => "networking.k8s.io",
        "CustomResourceDefinition" => "apiextensions.k8s.io",
        "APIService" => "apiregistration.k8s.io",
        "HorizontalPodAutoscaler" => "autoscaling",
        "PodDisruptionBudget" => "policy",
        "StorageClass" => "storage.k8s.io",
        "PriorityClass" => "scheduling.k8s.io",
        "Widget" | "Gizmo" => "example.com",
        _ => "",
    }
}

fn scope(kind: &GroupKind) -> Option<Scope> {
    let is_cluster_scoped = kind.kind.starts_with("Cluster")
        || matches!(
            &*kind.kind,
            "Namespace"
                | "CustomResourceDefinition"
                | "APIService"
                | "PersistentVolume"
                | "StorageClass"
                | "IngressClass"
                | "PriorityClass"
        );
    Some(if is_cluster_scoped { Scope::Cluster } else { Scope::Namespaced })
}

/// `Kind/name`, or a mapping with `id` and annotations without their prefixes.
struct Entry(Value);

impl Entry {
    fn new(value: &Value) -> Self {
        Entry(if value.is_string() { json!({"id": value}) } else { value.clone() })
    }

    fn kind_and_name(&self) -> (&str, &str) {
        text(&self.0, "id").and_then(|id| id.split_once('/')).expect("an id is Kind/name")
    }

    fn object(&self) -> Object {
        let (kind, name) = self.kind_and_name();
        let group = text(&self.0, "group").unwrap_or(group(kind));
        let api_version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
        let mut metadata = json!({"annotations": self.annotations()});
        if !name.is_empty() {
            metadata["name"] = name.into();
        }
        for field in ["generateName", "namespace"] {
            if let Some(value) = self.0.get(field) {
                metadata[field] = value.clone();
            }
        }
        let mut body = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
        if let Some((group, kind)) = text(&self.0, "defines").and_then(|defines| defines.split_once('/')) {
            body["spec"] = json!({"group": group, "names": {"kind": kind}, "scope": "Namespaced"});
        }
        Object::from_value(body, None).expect("an object")
    }

    fn annotations(&self) -> Value {
        let mut annotations = self.0.get("annotations").cloned().unwrap_or_else(|| json!({}));
        for (field, name) in [
            ("wave", "argocd.argoproj.io/sync-wave"),
            ("hook", "argocd.argoproj.io/hook"),
            ("helmHook", "helm.sh/hook"),
            ("helmWeight", "helm.sh/hook-weight"),
            ("options", "argocd.argoproj.io/sync-options"),
        ] {
            if let Some(value) = self.0.get(field) {
                annotations[name] = value.clone();
            }
        }
        annotations
    }
}

fn owner(namespace: &str) -> Owner {
    let destination = Destination { namespace: Some(namespace.into()), ..in_cluster() };
    Owner::new("app", "leeboard", "app", destination)
}

fn in_cluster() -> Destination {
    Destination { name: Some(Destination::IN_CLUSTER_NAME.into()), ..Destination::default() }
}

/// What the cluster would say of an object that was applied as it is.
fn record(object: &Object, owner: &Owner) -> Record {
    let mut key = object.key.clone();
    if scope(&key.group_kind()) == Some(Scope::Namespaced) && key.namespace.is_none() {
        key.namespace = owner.namespace().map(SmolStr::new);
    }
    Record {
        uid: format!("uid-of-{key}").into(),
        version: object.version.clone(),
        resource_version: "1".into(),
        generation: 1,
        tracking: Some(Tracking { application: owner.application.clone(), key: key.clone() }),
        part_of: Some(owner.part_of.clone()),
        projection: Some(1),
        deleting: false,
        health: None,
        wave: object.annotation("argocd.argoproj.io/sync-wave").and_then(|wave| wave.parse().ok()).unwrap_or(0),
        is_hook: object.annotation("argocd.argoproj.io/hook").is_some(),
        sync_options: object.annotation("argocd.argoproj.io/sync-options").map(Into::into),
        keep: object.annotation("helm.sh/resource-policy") == Some("keep"),
        compare_options: None,
        ignore_health: false,
        plan: None,
        key,
    }
}

struct Case {
    owner: Owner,
    live: LiveView,
    inventory: Inventory,
    baselines: BTreeMap<ObjectKey, Baseline>,
    policy: Policy,
    run: Run,
}

impl Case {
    fn new(case: &Value) -> Self {
        let namespace = text(case, "namespace").and_then(|text| text.split(' ').next()).unwrap_or(NAMESPACE);
        let owner = owner(namespace);
        let live =
            list(case, "live").iter().map(|entry| record(&Entry::new(entry).object(), &owner)).collect::<Vec<_>>();
        let options: Vec<String> =
            list(case, "syncOptions").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let selection = list(case, "resources");
        let applies_only = case.pointer("/syncStrategy/apply").is_some();
        let started = text(case, "startedAt")
            .map_or(1_000, |time| time.parse::<jiff::Timestamp>().expect("RFC 3339").as_second());
        let mut inventory = Inventory::default();
        for record in &live {
            inventory.insert(&record.key, &record.uid);
        }
        Case {
            live: LiveView {
                records: live.into_iter().map(|record| (record.key.clone(), Arc::new(record))).collect(),
                incomplete: Vec::new(),
            },
            inventory,
            baselines: BTreeMap::new(),
            policy: Policy {
                prune: case.get("prune") != Some(&json!(false)),
                allow_empty: true,
                options: SyncOptions::parse(&options),
                selection: selection
                    .iter()
                    .map(|selected| SelectedResource {
                        kind: text(selected, "kind").unwrap_or_default().into(),
                        name: text(selected, "name").unwrap_or_default().into(),
                        ..SelectedResource::default()
                    })
                    .collect(),
                hooks: !applies_only && selection.is_empty(),
                deletion_approved: case.get("deletionApproved").map(|_| started + 1),
                namespace: NamespaceState::Missing,
                ..Policy::default()
            },
            run: Run {
                revision: text(case, "revision").unwrap_or("0123456789").into(),
                started,
                attempt: 0,
                resumed: None,
            },
            owner,
        }
    }

    fn plan(&mut self, case: &Value) -> Plan {
        let entries: Vec<Entry> = list(case, "objects").iter().map(Entry::new).collect();
        let objects = entries.iter().map(Entry::object).collect();
        let desired = desired(objects, &self.owner, &scope);
        // `diff: false`: in the cluster as git has it; `diff: true`: there, and another.
        for (entry, wanted) in entries.iter().zip(&desired.objects) {
            let Some(differs) = entry.0.get("diff").and_then(Value::as_bool) else { continue };
            let record = record(&wanted.object, &self.owner);
            let applied = Baseline::Applied { desired: wanted.hash ^ u64::from(differs), projection: 1 };
            self.baselines.insert(record.key.clone(), applied);
            self.live.records.insert(record.key.clone(), Arc::new(record));
        }
        plan(&Inputs {
            owner: &self.owner,
            desired: &desired,
            live: &self.live,
            baselines: &self.baselines,
            inventory: &self.inventory,
            others: &BTreeMap::new(),
            project: &Project::new(&AppProject::permissive("leeboard")),
            policy: &self.policy,
            run: &self.run,
            key: &PlanKey::new([7; 32]),
        })
    }
}

fn label(key: &ObjectKey) -> String {
    format!("{}/{}", key.kind, key.name)
}

/// The stages of a plan as the corpus writes them; those after a failure apart.
fn printed(plan: &Plan, after_failure: bool) -> Vec<Value> {
    let stages = plan.stages.iter().filter(|((phase, _), _)| (*phase == Phase::SyncFail) == after_failure);
    stages
        .filter_map(|((phase, wave), stage)| {
            let prunes: Vec<_> = stage.prunes.iter().map(|step| label(&step.key)).collect();
            let groups: Vec<Vec<_>> = stage
                .groups
                .iter()
                .map(|group| group.iter().filter(|step| step.action != Action::Keep))
                .map(|group| group.map(|step| label(&step.key)).collect::<Vec<_>>())
                .filter(|group| !group.is_empty())
                .collect();
            let mut line = json!({"phase": phase.as_str(), "wave": wave.0});
            if !prunes.is_empty() {
                line["prune"] = json!(prunes);
            }
            if !groups.is_empty() {
                line["apply"] = json!(groups);
            }
            // A wave that waits for a person's word does nothing yet, and none after it.
            let awaits = stage.prunes.iter().any(
                |step| matches!(&step.action, Action::Prune(victim) if victim.confirmation() == Confirmation::Awaited),
            );
            (!awaits && line.as_object().is_some_and(|line| line.len() > 2)).then_some(line)
        })
        .collect()
}

/// The corpus writes what is equal in rank as one group; kinds differ, so they are groups of their own.
fn expected(case: &Value, field: &str) -> Vec<Value> {
    let mut stages = list(case, field);
    for stage in &mut stages {
        let mut groups: Vec<Vec<Value>> = Vec::new();
        for group in list(stage, "apply") {
            for (index, name) in group.as_array().expect("a group is a list").iter().enumerate() {
                let kind = |name: &Value| name.as_str().and_then(|name| name.split('/').next()).map(str::to_owned);
                match groups.last_mut() {
                    Some(last) if index > 0 && kind(&last[0]) == kind(name) => last.push(name.clone()),
                    _ => groups.push(vec![name.clone()]),
                }
            }
        }
        if !groups.is_empty() {
            stage["apply"] = json!(groups);
        }
    }
    stages
}

#[test]
fn plans_are_in_the_order_of_argo_cd() {
    for case in corpus("cases.yaml") {
        let name = text(&case, "name").expect("a case has a name");
        if case.get("delete").is_some() {
            continue;
        }
        let plan = Case::new(&case).plan(&case);
        assert_eq!(plan.refusals, [], "{name}");
        assert_eq!(printed(&plan, false), expected(&case, "expected"), "{name}");
        assert_eq!(printed(&plan, true), expected(&case, "onFailure"), "{name}, after a failure");
        if let Some(warning) = text(&case, "warning") {
            assert!(plan.warnings.iter().any(|given| given.title == warning), "{name}: {:?}", plan.warnings);
        }
        for (object, result) in case.get("results").and_then(Value::as_object).into_iter().flatten() {
            let withheld = plan.withheld.iter().find(|withheld| label(&withheld.key) == *object);
            let message = withheld.map(|withheld| withheld.reason.to_string());
            assert_eq!(message.as_deref(), text(result, "message"), "{name}: {object}");
        }
    }
}

#[test]
fn an_application_is_deleted_from_its_last_wave_to_its_first() {
    for case in corpus("cases.yaml").iter().filter(|case| case.get("delete").is_some()) {
        let name = text(case, "name").expect("a case has a name");
        let Case { owner, live, inventory, .. } = Case::new(case);
        let project = Project::new(&AppProject::permissive("leeboard"));
        let deletion =
            deletion(&live, &owner, &inventory, &project, &SyncOptions::default(), false).expect("all known");
        let waves: Vec<_> = deletion
            .waves
            .iter()
            .map(|(wave, victims)| {
                let prunes: Vec<_> = victims.iter().map(|victim| label(victim.key())).collect();
                json!({"wave": wave.0, "prune": prunes})
            })
            .collect();
        assert_eq!(waves, list(case, "expected"), "{name}");
        let kept: Vec<Value> = deletion.kept.iter().map(|kept| label(&kept.key).into()).collect();
        assert_eq!(sorted(kept), sorted(list(case, "kept")), "{name}");
    }
}

fn sorted(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_by_key(Value::to_string);
    values
}

#[test]
fn projects_permit_what_argo_cd_permits() {
    for case in corpus("projects.yaml") {
        let name = text(&case, "name").expect("a case has a name");
        let spec: AppProjectSpec = serde_json::from_value(case["spec"].clone()).expect("rules");
        let clusters = list(&case, "projectClusters").iter().map(destination).collect();
        let project = Project::new(&AppProject::new("p", "leeboard", spec)).with_clusters(clusters);
        for check in list(&case, "checks") {
            check_project(&project, &check, name);
        }
    }
}

fn destination(check: &Value) -> Destination {
    let field = |name| text(check, name).map(str::to_owned);
    Destination {
        server: field("server"),
        name: field("cluster").or_else(|| field("name")),
        namespace: field("namespace"),
    }
}

fn check_project(project: &Project, check: &Value, name: &str) {
    let context = format!("{name}: {check}");
    if let Some(account) = text(check, "impersonates") {
        assert_eq!(project.service_account(&destination(check), "leeboard").as_deref(), Some(account), "{context}");
        return;
    }
    let permitted = if let Some(url) = text(check, "repo") {
        project.permits_source(url)
    } else if let Some(namespace) = text(check, "appNamespace") {
        let denials = project.denials("app", namespace, "CONTROL-PLANE", [], &Destination::default());
        !denials.iter().any(|denial| matches!(denial, Denial::ApplicationNamespace { .. }))
    } else if let Some(object) = check.get("object") {
        let field = |name| SmolStr::new(text(object, name).unwrap_or_default());
        let namespace = text(object, "namespace").map(SmolStr::new);
        let scope = if namespace.is_some() { Scope::Namespaced } else { Scope::Cluster };
        let key = ObjectKey { group: field("group"), kind: field("kind"), namespace, name: field("name") };
        if check.get("kindOnly").is_some() {
            project.permits_kind(&key, scope)
        } else {
            let api_version = if key.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", key.group) };
            let body = json!({"apiVersion": api_version, "kind": &*key.kind,
                "metadata": {"name": &*key.name, "namespace": key.namespace.as_deref()}});
            let object = Arc::new(Object::from_value(body, None).expect("an object"));
            let cluster = Destination { server: Some("https://10.0.0.1".into()), ..destination(check) };
            let verdict = project.permit(object, Some(scope), &cluster);
            if let (Err(denial), Some(message)) = (&verdict, text(check, "message")) {
                assert_eq!(denial.to_string(), message, "{context}");
            }
            verdict.is_ok()
        }
    } else {
        project.permits_destination(&destination(check))
    };
    assert_eq!(Some(permitted), check["permitted"].as_bool(), "{context}");
}
