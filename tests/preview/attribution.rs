//! Which steps of a real plan are the pull request's, and which only wait.

use std::collections::BTreeMap;
use std::sync::Arc;

use leeboard::api::argo::{AppProject, Destination};
use leeboard::live::{LiveView, Record};
use leeboard::object::tracking::Tracking;
use leeboard::object::{GroupKind, Object, ObjectKey};
use leeboard::plan::{
    Baseline, Desired, Inputs, Inventory, Owner, Plan, PlanKey, Policy, Project, Run, Scope, desired, plan,
};
use leeboard::preview::attribute::{declared, planned};
use serde_json::{Value, json};

fn owner() -> Owner {
    let name = Some(Destination::IN_CLUSTER_NAME.into());
    let destination = Destination { name, namespace: Some("shop".into()), ..Destination::default() };
    Owner::new("web", "leeboard", "web", destination)
}

fn config(name: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": value}})
}

fn hook(value: &str) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "migrate-",
        "annotations": {"argocd.argoproj.io/hook": "PreSync"}}, "spec": {"a": value}})
}

fn stamped(bodies: &[Value]) -> Desired {
    let objects = bodies.iter().map(|body| Object::from_value(body.clone(), None).unwrap()).collect();
    let scope = |_: &GroupKind| Some(Scope::Namespaced);
    desired(objects, &owner(), &scope)
}

fn record(key: &ObjectKey, projection: u64) -> Record {
    Record {
        key: key.clone(),
        version: "v1".into(),
        uid: format!("uid-of-{key}").into(),
        resource_version: "1".into(),
        generation: 1,
        tracking: Some(Tracking { application: "web".into(), key: key.clone() }),
        part_of: Some(owner().part_of),
        projection: Some(projection),
        deleting: false,
        health: None,
        wave: 0,
        is_hook: false,
        sync_options: None,
        keep: false,
        compare_options: None,
        ignore_health: false,
        plan: None,
    }
}

/// The plan of the merge result, in a cluster where these objects were applied; those of `drifted` were changed since.
fn planned_on(applied: &[Value], drifted: &[&str], merged: &Desired, prune: bool) -> Plan {
    let (mut live, mut baselines, mut inventory) = (LiveView::default(), BTreeMap::new(), Inventory::default());
    for wanted in stamped(applied).objects {
        let key = &wanted.object.key;
        let record = record(key, if drifted.contains(&key.name.as_str()) { 2 } else { 1 });
        inventory.insert(key, &record.uid);
        live.records.insert(key.clone(), Arc::new(record));
        baselines.insert(key.clone(), Baseline::Applied { desired: wanted.hash, projection: 1 });
    }
    plan(&Inputs {
        owner: &owner(),
        desired: merged,
        live: &live,
        baselines: &baselines,
        inventory: &inventory,
        others: &BTreeMap::new(),
        project: &Project::new(&AppProject::permissive("leeboard")),
        policy: &Policy { prune, hooks: true, ..Policy::default() },
        run: &Run { revision: "0123456789".into(), started: 1_000, attempt: 0, resumed: None },
        key: &PlanKey::new([7; 32]),
    })
}

fn objects(desired: &Desired) -> Vec<Arc<Object>> {
    desired.objects.iter().map(|wanted| Arc::clone(&wanted.object)).collect()
}

/// What is shown, and what only waits; a line each.
fn told(base: &[Value], merged: &[Value], applied: &[Value], drifted: &[&str], prune: bool) -> Vec<String> {
    let (base, merged) = (stamped(base), stamped(merged));
    let plan = planned_on(applied, drifted, &merged, prune);
    let found = planned(declared(&objects(&base), &objects(&merged)), Some(&plan), BTreeMap::new());
    assert_eq!(found.hash, Some(plan.hash));
    let changes = found.changes.iter().map(|change| {
        let name = change.generated_name().unwrap_or(&change.key.name);
        format!("{} {name}: {:?}", change.phase, change.kind)
    });
    let pending = found.pending.iter().map(|one| format!("waits {}: {}", one.key.name, one.why));
    changes.chain(pending).collect()
}

#[test]
fn a_step_is_the_pull_requests_when_the_renders_differ() {
    let (a1, a2, b) = (config("a", "1"), config("a", "2"), config("b", "1"));
    let (old, new) = (config("g-5k2gm9bcht", "1"), config("g-722gm9bcht", "2"));
    let replaced = |value: &str| {
        let mut body = config("r", value);
        body["metadata"]["annotations"] = json!({"argocd.argoproj.io/sync-options": "Replace=true"});
        body
    };
    type Case<'a> = (&'a str, Vec<Value>, Vec<Value>, Vec<Value>, &'a [&'a str], bool, &'a [&'a str]);
    let cases: Vec<Case<'_>> = vec![
        // what, base, merged, in the cluster, of which changed there, prune, told
        ("changed", vec![a1.clone()], vec![a2.clone()], vec![a1.clone()], &[], true, &["Sync a: Change"]),
        ("so already", vec![a1.clone()], vec![a2.clone()], vec![a2.clone()], &[], true, &["Sync a: AlreadySo"]),
        ("new", vec![], vec![a1.clone()], vec![], &[], true, &["Sync a: Create"]),
        (
            "gone",
            vec![a1.clone(), b.clone()],
            vec![b.clone()],
            vec![a1.clone(), b.clone()],
            &[],
            true,
            &["Sync a: Delete"],
        ),
        (
            "gone, without prune",
            vec![a1.clone(), b.clone()],
            vec![b.clone()],
            vec![a1.clone(), b.clone()],
            &[],
            false,
            &["Sync a: Stays(NotRequested)"],
        ),
        (
            "drift of another object",
            vec![a1.clone(), b.clone()],
            vec![a2.clone(), b.clone()],
            vec![a1.clone(), b.clone()],
            &["b"],
            true,
            &["Sync a: Change", "waits b: changed in the cluster"],
        ),
        (
            "an earlier commit is not synced yet",
            vec![a1.clone(), b.clone()],
            vec![a2.clone(), b.clone()],
            vec![a1.clone()],
            &[],
            true,
            &["Sync a: Change", "waits b: not in the cluster"],
        ),
        ("nothing", vec![a1.clone()], vec![a1.clone()], vec![a1.clone()], &[], true, &[]),
        ("replaced", vec![replaced("1")], vec![replaced("2")], vec![replaced("1")], &[], true, &["Sync r: Replace"]),
        ("a generated name", vec![old.clone()], vec![new], vec![old], &[], true, &["Sync g-: Change"]),
        (
            "a hook",
            vec![a1.clone(), hook("1")],
            vec![a1.clone(), hook("2")],
            vec![a1.clone()],
            &[],
            true,
            &["PreSync : Change"],
        ),
        (
            "a hook that stays is no step that waits",
            vec![a1.clone(), hook("1")],
            vec![a2, hook("1")],
            vec![a1],
            &[],
            true,
            &["Sync a: Change"],
        ),
    ];
    for (what, base, merged, applied, drifted, prune, expected) in cases {
        assert_eq!(told(&base, &merged, &applied, drifted, prune), expected, "{what}");
    }
}
