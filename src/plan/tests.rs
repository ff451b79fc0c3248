//! What a plan says of one small world after another.

mod deletion;
mod desired;
mod hook;
mod project;
mod verdict;

use serde_json::{Value, json};

use super::*;
use crate::api::argo::{AppProject, Destination};
use crate::error::Origin;
use crate::live::Record;
use crate::object::tracking::Tracking;

/// All that a plan depends on, with an application `web` in the namespace `shop`.
struct World {
    objects: Vec<Object>,
    live: LiveView,
    baselines: BTreeMap<ObjectKey, Baseline>,
    inventory: Inventory,
    others: BTreeMap<ObjectKey, Other>,
    project: Project,
    policy: Policy,
    run: Run,
    key: PlanKey,
}

impl World {
    fn new() -> Self {
        World {
            objects: Vec::new(),
            live: LiveView::default(),
            baselines: BTreeMap::new(),
            inventory: Inventory::default(),
            others: BTreeMap::new(),
            project: Project::new(&AppProject::permissive("leeboard")),
            policy: Policy { prune: true, hooks: true, shrink: Some(ShrinkGuard::default()), ..Policy::default() },
            run: Run { revision: "0123456789".into(), started: 1_000, attempt: 0, resumed: None },
            key: PlanKey::new([7; 32]),
        }
    }

    /// Git has it.
    fn wants(mut self, body: Value) -> Self {
        self.objects.push(Object::from_value(body, Some(Origin::new("web.yaml", 3, 1))).unwrap());
        self
    }

    /// The cluster has it, and it was applied by `web`.
    fn holds(mut self, record: Record) -> Self {
        self.inventory.insert(&record.key, &record.uid);
        self.live.records.insert(record.key.clone(), Arc::new(record));
        self
    }

    /// Another application wants or holds it.
    fn other(mut self, key: ObjectKey, wants: bool, holds: bool) -> Self {
        self.others.insert(key, Other { application: "api".into(), wants, holds });
        self
    }

    fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(&mut self.policy);
        self
    }

    fn options(self, options: &[&str]) -> Self {
        self.policy(|policy| policy.options = SyncOptions::parse(options))
    }

    fn desired(&self) -> Desired {
        let scope = |kind: &GroupKind| match &*kind.kind {
            "ConfigMap" | "Deployment" | "Job" | "Pod" => Some(Scope::Namespaced),
            "ClusterRole" | "CustomResourceDefinition" | "Namespace" => Some(Scope::Cluster),
            _ => None,
        };
        desired(self.objects.clone(), &owner(), &scope)
    }

    /// What git wants is in the cluster, applied by us, and was not touched since.
    fn in_sync(mut self) -> Self {
        for wanted in self.desired().objects {
            let key = wanted.object.key.clone();
            self.baselines.insert(key.clone(), Baseline::Applied { desired: wanted.hash, projection: 1 });
            self = self.holds(record(key));
        }
        self
    }

    fn plan(&self) -> Plan {
        plan(&Inputs {
            owner: &owner(),
            desired: &self.desired(),
            live: &self.live,
            baselines: &self.baselines,
            inventory: &self.inventory,
            others: &self.others,
            project: &self.project,
            policy: &self.policy,
            run: &self.run,
            key: &self.key,
        })
    }
}

fn owner() -> Owner {
    let destination = Destination { namespace: Some("shop".into()), ..in_cluster() };
    Owner::new("web", "leeboard", "web", destination)
}

fn in_cluster() -> Destination {
    Destination { name: Some("in-cluster".into()), ..Destination::default() }
}

fn key(name: &str) -> ObjectKey {
    ObjectKey { group: "".into(), kind: "ConfigMap".into(), namespace: Some("shop".into()), name: name.into() }
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
}

fn job(name: &str, annotations: &Value) -> Value {
    json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "annotations": annotations}})
}

fn record(key: ObjectKey) -> Record {
    Record {
        version: "v1".into(),
        uid: format!("uid-of-{key}").into(),
        resource_version: "1".into(),
        generation: 1,
        tracking: Some(Tracking { application: "web".into(), key: key.clone() }),
        part_of: Some(owner().part_of),
        projection: Some(1),
        deleting: false,
        health: None,
        wave: 0,
        is_hook: false,
        sync_options: None,
        keep: false,
        compare_options: None,
        ignore_health: false,
        plan: None,
        key,
    }
}

/// One line per step: what is done to what, and why.
fn steps(plan: &Plan) -> Vec<String> {
    plan.steps()
        .map(|(_, _, step)| {
            let action = match step.action {
                Action::Create(_) => "create",
                Action::Apply(_) => "apply",
                Action::Replace(_) => "replace",
                Action::Recreate(_) => "recreate",
                Action::Hook(_) => "run",
                Action::ClearHook(_) => "clear",
                Action::Prune(_) => "prune",
                Action::Keep => "keep",
            };
            format!("{action} {}: {}", step.key.name, step.why)
        })
        .collect()
}

fn stays(plan: &Plan) -> Vec<String> {
    plan.withheld.iter().map(|withheld| format!("{}: {}", withheld.key.name, withheld.reason)).collect()
}

fn refusals(plan: &Plan) -> Vec<String> {
    plan.refusals.iter().map(ToString::to_string).collect()
}
