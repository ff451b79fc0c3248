//! Hooks, and by what they are known.

use serde_json::{Value, json};

use super::*;
use crate::live::Record;

#[test]
fn a_hook_of_another_sync_never_counts() {
    let mark = |run: &Run, phase| {
        let world = World { run: run.clone(), ..World::new() };
        let plan = world.wants(job("h", &json!({"argocd.argoproj.io/hook": phase}))).plan();
        plan.steps().find_map(|(_, _, step)| match &step.action {
            Action::Hook(hook) => Some(hook.mark.as_str().to_owned()),
            _ => None,
        })
    };
    let run = World::new().run;
    let first = mark(&run, "PreSync").unwrap();
    assert_ne!(mark(&Run { started: 1, ..run.clone() }, "PreSync").unwrap(), first, "another operation");
    assert_ne!(mark(&Run { attempt: 1, ..run.clone() }, "PreSync").unwrap(), first, "a retry");
    assert_ne!(mark(&run, "PostSync").unwrap(), first, "another phase");

    let policy =
        |policy: &str| json!({"argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/hook-delete-policy": policy});
    let config = |policy: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "h", "annotations": {
            "argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/hook-delete-policy": policy}}})
    };
    let cases = [
        // hook, mark on the live instance, steps
        (job("h", &policy("")), None, vec!["run"]),
        (job("h", &policy("")), Some("another"), vec!["clear", "run"]),
        (job("h", &policy("BeforeHookCreation")), Some("another"), vec!["clear", "run"]),
        (job("h", &policy("HookSucceeded")), Some("another"), vec!["clear", "run"]), // its result would count
        (config("HookSucceeded"), Some("another"), vec!["run"]),                     // it has no result
        (config("BeforeHookCreation"), Some("another"), vec!["clear", "run"]),
    ];
    for (hook, live, expected) in cases {
        let mut world = World::new().wants(hook.clone());
        if let Some(mark) = live {
            let key = world.desired().objects[0].object.key.clone();
            world = world.holds(Record { is_hook: true, plan: Some(mark.into()), ..record(key) });
        }
        let plan = world.plan();
        let verbs: Vec<_> = steps(&plan).iter().map(|step| step.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(verbs, expected, "{hook} over {live:?}");
    }
}

#[test]
fn after_a_restart_the_hooks_are_the_same() {
    let hook = job("h", &json!({"argocd.argoproj.io/hook": "Sync"}));
    let begun = World::new().wants(hook.clone()).wants(config_map("a")).plan();
    let mark = |plan: &Plan| {
        plan.steps().find_map(|(_, _, step)| match &step.action {
            Action::Hook(hook) => Some(hook.mark.clone()),
            _ => None,
        })
    };
    let mut world = World::new().wants(config_map("a")).in_sync().wants(hook);
    world.run.resumed = Some(begun.hash);
    let job = ObjectKey { group: "batch".into(), kind: "Job".into(), ..key("h") };
    let plan_mark = mark(&begun).map(|mark| SmolStr::new(mark.as_str()));
    let resumed = world.holds(Record { is_hook: true, plan: plan_mark, ..record(job) }).plan();
    assert_ne!(resumed.hash, begun.hash, "part of it is done");
    assert_eq!(mark(&resumed), mark(&begun));
    assert!(!steps(&resumed).iter().any(|step| step.starts_with("clear")), "{:?}", steps(&resumed));
}

#[test]
fn a_hook_is_stamped() {
    let annotations = json!({"argocd.argoproj.io/hook": "PostSync"});
    let body = json!({"apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"generateName": "smoke-", "annotations": annotations, "finalizers": ["x/y"]}});
    let plan = World::new().wants(body).plan();
    let (_, _, step) = plan.steps().next().unwrap();
    let metadata = &step.action.object().unwrap().body["metadata"];
    assert_eq!(metadata["name"], "smoke-0123456-postsync-1000");
    assert_eq!(metadata["generateName"], Value::Null);
    assert_eq!(metadata["finalizers"], json!(["x/y", "argocd.argoproj.io/hook-finalizer"]));
    assert_eq!(metadata["annotations"]["leeboard.dev/plan"], format!("{}-1000-0-postsync", plan.hash));
    assert_eq!(metadata["namespace"], "shop");
}
