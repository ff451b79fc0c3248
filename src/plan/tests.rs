//! What a plan says of one small world after another.

use serde_json::{Value, json};

use super::prune::{Confirmation, Stays};
use super::*;
use crate::api::argo::{AppProject, AppProjectSpec, ClusterResource, Destination, ProjectDestination};
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

#[test]
fn each_object_gets_one_verdict() {
    let applied = |desired, projection| Some(Baseline::Applied { desired, projection });
    let differs = |desired| Some(Baseline::Differs { desired });
    let cases = [
        // in git, on record,    live projection    verdict
        (1, None, None, Why::NotLive),
        (1, applied(1, 5), None, Why::NotLive),
        (1, applied(1, 5), Some(Some(5)), Why::InSync),
        (2, applied(1, 5), Some(Some(5)), Why::ManifestChanged),
        (1, applied(1, 5), Some(Some(9)), Why::Drifted),
        (2, applied(1, 5), Some(Some(9)), Why::ManifestChanged), // one apply repairs both
        (1, applied(1, 5), Some(None), Why::OwnershipLost),
        (1, None, Some(None), Why::OwnershipLost),
        (1, None, Some(Some(5)), Why::Unproven),
        (1, differs(1), Some(Some(5)), Why::Differs),
        (2, differs(1), Some(Some(5)), Why::ManifestChanged),
    ];
    for (hash, baseline, live, expected) in cases {
        let record = live.map(|projection| Record { projection, ..record(key("a")) });
        let why = compare::why(hash, record.as_ref(), baseline.as_ref(), None, &"web".into());
        assert_eq!(why, expected, "hash {hash}, {baseline:?}, live {live:?}");
    }
}

#[test]
fn what_is_in_sync_stays_as_it_is() {
    let world = World::new().wants(config_map("a")).wants(config_map("b")).in_sync();
    let plan = world.plan();
    assert_eq!(steps(&plan), ["keep a: in sync", "keep b: in sync"]);
    assert!(plan.is_noop());
    assert_eq!(plan.sync_status(), SyncStatus::Synced);
    assert_eq!(plan.counts(), Counts { apply: 0, prune: 0, kept: 2 });
}

#[test]
fn what_is_not_on_record_waits_for_a_dry_run() {
    let world = World::new().wants(config_map("a")).in_sync();
    let plan = World { baselines: BTreeMap::new(), ..world }.plan();
    assert_eq!(steps(&plan), ["keep a: not compared yet"]);
    assert_eq!(plan.unproven, [key("a")]);
    assert_eq!(plan.sync_status(), SyncStatus::Unknown);
    assert!(plan.is_noop(), "no write without knowing that there is something to write");
}

#[test]
fn a_deletion_needs_three_proofs() {
    let prunes = |change: &dyn Fn(&mut World)| -> (usize, String) {
        let mut world = World::new().wants(config_map("a")).in_sync().holds(record(key("old")));
        change(&mut world);
        let plan = world.plan();
        let pruned = plan.counts().prune;
        (pruned, stays(&plan).join(" "))
    };
    let untracked = |world: &mut World, tracking: Option<&str>| {
        let tracking = tracking.and_then(Tracking::parse);
        world.live.records.insert(key("old"), Arc::new(Record { tracking, ..record(key("old")) }));
    };
    assert_eq!(prunes(&|_| {}), (1, String::new()));
    assert_eq!(
        prunes(&|world| assert!(world.inventory.remove(&key("old")))),
        (0, "old: ignored (not applied by this application)".into())
    );
    assert_eq!(
        prunes(&|world| assert!(world.inventory.insert(&key("old"), "another uid"))),
        (0, "old: ignored (not applied by this application)".into())
    );
    assert_eq!(prunes(&|world| untracked(world, None)), (0, String::new()), "no tracking");
    assert_eq!(prunes(&|world| untracked(world, Some("api:/ConfigMap:shop/old"))), (0, String::new()), "another's");
    assert_eq!(prunes(&|world| untracked(world, Some("web:/ConfigMap:shop/a"))), (0, String::new()), "a copy");
    assert_eq!(
        prunes(&|world| world.live.incomplete.push("apps/Deployment: not listed yet".into())),
        (0, "old: ignored (not all is known: apps/Deployment: not listed yet)".into())
    );
    let duplicate = |world: &mut World| world.objects.push(world.objects[0].clone());
    assert_eq!(prunes(&duplicate).0, 0, "what git wants is not known");
    let widget = json!({"apiVersion": "x.io/v1", "kind": "Widget", "metadata": {"name": "w",
        "annotations": {"argocd.argoproj.io/sync-options": "SkipDryRunOnMissingResource=true"}}});
    let unknown_scope = |world: &mut World| world.objects.push(Object::from_value(widget.clone(), None).unwrap());
    assert_eq!(
        prunes(&unknown_scope),
        (0, "old: ignored (not all is known: the kind of shop/Widget/w is not known yet)".into())
    );
}

#[test]
fn what_the_live_object_says_of_its_own_deletion_counts() {
    let cases = [
        // sync-options on the live object, of the application, keep; what happens
        (None, &[][..], false, "pruned"),
        (Some("Prune=false"), &[], false, "ignored (no prune)"),
        (Some("Prune=true"), &["Prune=false"], false, "pruned"),
        (None, &["Prune=false"], false, "ignored (no prune)"),
        (None, &[], true, "ignored (no prune)"),
        (Some("Prune=confirm"), &[], false, "awaited"),
    ];
    for (own, application, keep, expected) in cases {
        let old = Record { sync_options: own.map(Into::into), keep, ..record(key("old")) };
        let plan = World::new().wants(config_map("a")).in_sync().holds(old).options(application).plan();
        let victims = plan.steps().filter_map(|(_, _, step)| match &step.action {
            Action::Prune(victim) => Some(victim.confirmation()),
            _ => None,
        });
        let happened = match victims.collect::<Vec<_>>()[..] {
            [Confirmation::NotNeeded] => "pruned".to_owned(),
            [Confirmation::Awaited] => "awaited".to_owned(),
            _ => plan.withheld[0].reason.to_string(),
        };
        assert_eq!(happened, expected, "{own:?} {application:?} keep {keep}");
    }
}

#[test]
fn too_many_prunes_wait_for_a_word() {
    let world = |kept: usize, gone: usize| {
        let world = (0..kept).fold(World::new(), |world, n| world.wants(config_map(&format!("kept-{n}")))).in_sync();
        (0..gone).fold(world, |world, n| world.holds(record(key(&format!("old-{n}")))))
    };
    let cases = [
        // stay, go, prunes that happen
        (10, 5, 5),
        (1, 5, 5),
        (10, 6, 0),
        (14, 6, 6),
        (13, 6, 0),
        (100, 40, 40),
    ];
    for (kept, gone, expected) in cases {
        let plan = world(kept, gone).plan();
        assert_eq!(plan.counts().prune, expected, "{gone} of {}", kept + gone);
    }
    let held = world(10, 6).plan();
    let Stays::Guarded(alarm) = &held.withheld[0].reason else { panic!("{:?}", held.withheld) };
    assert_eq!((alarm.prunes, alarm.of, alarm.hash), (6, 16, held.prune_hash));
    assert_eq!(held.withheld.len(), 6);

    for confirmed in [held.hash, held.prune_hash] {
        let plan = world(10, 6).policy(|policy| policy.confirmed = Some(confirmed)).plan();
        assert_eq!((plan.counts().prune, plan.hash), (6, held.hash), "confirmed, and still the same plan");
    }
    let grown = world(10, 7).policy(|policy| policy.confirmed = Some(held.prune_hash)).plan();
    assert_eq!(grown.counts().prune, 0, "another set of prunes is another question");
    let drifted =
        world(10, 6).wants(config_map("new")).policy(|policy| policy.confirmed = Some(held.prune_hash)).plan();
    assert_eq!(drifted.counts().prune, 6, "what else changes does not matter to the word on the prunes");
}

#[test]
fn empty_is_refused_unless_it_is_allowed() {
    let world = || World::new().holds(record(key("old")));
    assert_eq!(refusals(&world().plan()), ["auto-sync will wipe out all resources"]);
    let plan = world().policy(|policy| policy.allow_empty = true).plan();
    assert_eq!(steps(&plan), ["prune old: no longer in git"]);
    let plan = world().policy(|policy| policy.prune = false).plan();
    assert_eq!((refusals(&plan), stays(&plan)), (vec![], vec!["old: ignored (requires pruning)".to_owned()]));
}

#[test]
fn an_unknown_kind_is_waited_for() {
    let widget = |annotations: Value| json!({"apiVersion": "x.io/v1", "kind": "Widget", "metadata": {"name": "w", "annotations": annotations}});
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.x.io"}, "spec": {"group": "x.io", "scope": "Cluster", "names": {"kind": "Widget"}}});
    let plan = World::new().wants(widget(json!({}))).wants(config_map("a")).plan();
    assert_eq!(
        refusals(&plan),
        [
            "the cluster does not know the kind x.io/v1, Kind=Widget of shop/Widget/w, and no CRD of the manifest defines it"
        ]
    );
    assert!(plan.refusals[0].is_transient());

    let plan = World::new().wants(widget(json!({}))).wants(crd).plan();
    assert_eq!(steps(&plan), ["create widgets.x.io: not in the cluster", "create w: not in the cluster"]);
    assert!(
        plan.resources.iter().all(|resource| resource.key.namespace.is_none()),
        "the CRD says it is cluster-scoped"
    );

    let lenient = json!({"argocd.argoproj.io/sync-options": "SkipDryRunOnMissingResource=true"});
    assert_eq!(steps(&World::new().wants(widget(lenient)).plan()), ["create w: not in the cluster"]);
    let world = World::new().wants(widget(json!({}))).options(&["SkipDryRunOnMissingResource=true"]);
    assert_eq!(steps(&world.plan()), ["create w: not in the cluster"]);
}

#[test]
fn nothing_passes_the_project() {
    let team = |spec| Project::new(&AppProject::new("team", "leeboard", spec));
    let shop_only = || AppProjectSpec {
        destinations: vec![ProjectDestination {
            name: Some("in-cluster".into()),
            namespace: Some("shop".into()),
            ..ProjectDestination::default()
        }],
        ..AppProjectSpec::default()
    };
    let elsewhere = |mut body: Value| {
        body["metadata"]["namespace"] = "kube-system".into();
        body
    };
    let cluster_role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "r", "namespace": "shop", "annotations": {"argocd.argoproj.io/hook": "PreSync"}}});
    let hook = |phase: &str| job("h", &json!({"argocd.argoproj.io/hook": phase}));
    let namespace_denied = "namespace kube-system is not permitted in project 'team'";
    let kind_denied = "resource rbac.authorization.k8s.io:ClusterRole is not permitted in project team";
    let cases = [
        // object, why not
        (config_map("a"), None),
        (elsewhere(config_map("a")), Some(namespace_denied)),
        (elsewhere(hook("PreSync")), Some(namespace_denied)),
        (elsewhere(hook("Sync")), Some(namespace_denied)),
        (elsewhere(hook("PostSync")), Some(namespace_denied)),
        (elsewhere(hook("SyncFail")), Some(namespace_denied)),
        // A namespace stamped on it does not make a cluster-scoped hook a namespaced one.
        (cluster_role, Some(kind_denied)),
    ];
    for (object, expected) in cases {
        let plan = World { project: team(shop_only()), ..World::new() }.wants(object.clone()).plan();
        assert_eq!(refusals(&plan).first().map(String::as_str), expected, "{object}");
        assert_eq!(plan.steps().count(), usize::from(expected.is_none()), "{object}");
    }

    let namespace = World { project: team(shop_only()), ..World::new() }.options(&["CreateNamespace=true"]).plan();
    assert_eq!(refusals(&namespace), ["resource :Namespace is not permitted in project team"]);

    let old = ObjectKey { namespace: Some("kube-system".into()), ..key("old") };
    let world = World { project: team(shop_only()), ..World::new() }.wants(config_map("a")).in_sync();
    let plan = world.holds(record(old)).plan();
    assert_eq!(stays(&plan), [format!("old: {namespace_denied}")]);
    assert_eq!(plan.counts().prune, 0);
}

#[test]
fn an_unknown_scope_has_to_pass_both_rules() {
    let rules = |kind: &str| AppProjectSpec {
        destinations: vec![ProjectDestination {
            name: Some("*".into()),
            namespace: Some("*".into()),
            ..ProjectDestination::default()
        }],
        cluster_resource_whitelist: vec![ClusterResource { group: "*".into(), kind: kind.into(), name: None }],
        ..AppProjectSpec::default()
    };
    let widget = json!({"apiVersion": "x.io/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "shop"}});
    for (kind, expected) in [("*", 0), ("Namespace", 1)] {
        let project = Project::new(&AppProject::new("team", "leeboard", rules(kind)));
        let world = World { project, ..World::new() }.wants(widget.clone());
        let plan = world.options(&["SkipDryRunOnMissingResource=true"]).plan();
        assert_eq!(plan.refusals.len(), expected, "whitelist {kind}: {:?}", plan.refusals);
    }
}

#[test]
fn an_object_that_moves_is_taken_over_not_deleted() {
    let taken = World::new().wants(config_map("a")).other(key("a"), false, true).plan();
    assert_eq!(steps(&taken), ["create a: taken over from application `api`"]);

    let left =
        World::new().wants(config_map("b")).in_sync().holds(record(key("a"))).other(key("a"), true, false).plan();
    assert_eq!(left.counts().prune, 0);
    assert_eq!(stays(&left), ["a: goes to application `api`"]);

    let contested = || World::new().wants(config_map("a")).other(key("a"), true, true);
    let plan = contested().plan();
    assert_eq!(plan.shared, [(key("a"), SmolStr::new("api"))]);
    assert!(!plan.has_drift(), "two applications do not heal each other for ever");
    let plan = contested().options(&["FailOnSharedResource=true"]).plan();
    assert_eq!(refusals(&plan), ["Shared resource found: ConfigMap/a is part of applications web and api"]);
}

#[test]
fn a_plan_is_known_by_its_changes() {
    let base = || World::new().wants(config_map("a"));
    let hash = |world: World| world.plan().hash;
    let expected = hash(base());
    let later = Run { started: 9, attempt: 3, revision: "ffffffff".into(), resumed: None };
    assert_eq!(hash(World { run: later, ..base() }), expected, "whenever it is made");
    let beside = || World::new().wants(config_map("z")).in_sync().wants(config_map("a"));
    assert_eq!(hash(beside()), expected, "whatever is in sync beside it");

    let mut changed = config_map("a");
    changed["data"] = json!({"k": "v"});
    assert_ne!(hash(World::new().wants(changed)), expected, "another value");
    assert_ne!(hash(base().wants(config_map("b"))), expected, "one more object");
    assert_ne!(hash(base().holds(record(key("old")))), expected, "a prune");
    assert_ne!(hash(World { key: PlanKey::new([8; 32]), ..base() }), expected, "another key");
    let with_hook = || base().wants(job("h", &json!({"argocd.argoproj.io/hook": "PreSync"})));
    assert_ne!(hash(with_hook()), expected, "a hook");
    assert_eq!(hash(World { run: Run { started: 9, ..base().run }, ..with_hook() }), hash(with_hook()));
}

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

#[test]
fn objects_say_whose_they_are() {
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "r", "namespace": "shop"}});
    let desired = World::new().wants(config_map("a")).wants(role).desired();
    let body = |index: usize| &desired.objects[index].object.body["metadata"];
    assert_eq!(body(0)["namespace"], "shop");
    assert_eq!(body(0)["annotations"]["argocd.argoproj.io/tracking-id"], "web:/ConfigMap:shop/a");
    assert_eq!(body(0)["labels"]["applyset.kubernetes.io/part-of"], owner().part_of.as_str());
    assert_eq!(body(1)["namespace"], Value::Null, "cluster-scoped");
    let tracking = &body(1)["annotations"]["argocd.argoproj.io/tracking-id"];
    assert_eq!(tracking, "web:rbac.authorization.k8s.io/ClusterRole:shop/r");
}

#[test]
fn lists_are_expanded() {
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"name": "l"},
        "items": [config_map("a"), config_map("b"), {"kind": "ConfigMap"}]});
    let plan = World::new().wants(list).plan();
    assert_eq!(plan.steps().count(), 2);
    assert_eq!(
        refusals(&plan),
        ["web.yaml:3:1: an item of List/l is no object: `apiVersion` is missing or not a string"]
    );
}

#[test]
fn what_is_wrong_in_git_is_said_with_its_place() {
    let waved = |wave: &str| {
        let mut body = config_map("a");
        body["metadata"]["annotations"] = json!({"argocd.argoproj.io/sync-wave": wave});
        body
    };
    let plan = World::new().wants(waved("first")).plan();
    let warning = "web.yaml:3:1: the sync wave `first` of shop/ConfigMap/a is no number: it counts as 0 \
                   (Write an integer in quotes, for example \"5\".)";
    assert_eq!(plan.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), [warning]);
    assert!(World::new().wants(waved("-3")).plan().warnings.is_empty());

    let mut explicit = config_map("a");
    explicit["metadata"]["namespace"] = "shop".into();
    let plan = World::new().wants(config_map("a")).wants(explicit).plan();
    assert_eq!(refusals(&plan), ["web.yaml:3:1: two objects with the identity shop/ConfigMap/a"]);

    let nowhere = Owner::new("web", "leeboard", "web", in_cluster());
    let object = Object::from_value(config_map("a"), None).unwrap();
    let desired = desired(vec![object], &nowhere, &|_| Some(Scope::Namespaced));
    assert_eq!(desired.refusals[0].to_string(), "Namespace for a /v1, Kind=ConfigMap is missing.");

    let plan = World::new().options(&["Prune = false"]).plan();
    assert_eq!(plan.warnings[0].title, "`Prune = false` in `syncOptions` is no sync option: it has no effect");
}

#[test]
fn options_choose_how_an_object_is_written() {
    let annotated = |options: &str| {
        let mut body = config_map("a");
        body["metadata"]["annotations"] = json!({"argocd.argoproj.io/sync-options": options});
        body
    };
    let cases = [
        // on the object, of the application, what is done
        ("", &[][..], "apply"),
        ("Replace=true", &[], "replace"),
        ("", &["Replace=true"], "replace"),
        ("Replace=true,Force=true", &[], "recreate"),
        ("Replace=true", &["Force=true"], "recreate"),
        ("Force=true", &[], "apply"),
    ];
    for (own, application, expected) in cases {
        let mut world = World::new().wants(annotated(own)).in_sync().options(application);
        world.live.records.insert(key("a"), Arc::new(Record { projection: Some(2), ..record(key("a")) }));
        let plan = world.plan();
        assert_eq!(steps(&plan), [format!("{expected} a: changed in the cluster")], "{own} {application:?}");
        assert!(plan.has_drift());
    }
}

#[test]
fn an_extra_object_may_be_no_difference() {
    for (options, expected) in [(None, SyncStatus::OutOfSync), (Some("IgnoreExtraneous"), SyncStatus::Synced)] {
        let old = Record { compare_options: options.map(Into::into), ..record(key("old")) };
        let plan = World::new().wants(config_map("a")).in_sync().holds(old).plan();
        assert_eq!(plan.sync_status(), expected, "{options:?}");
        assert_eq!(plan.counts().prune, 1, "a sync prunes it all the same");
    }
}

#[test]
fn one_object_under_two_groups_is_not_pruned() {
    let old = ObjectKey { group: "extensions".into(), ..key("a") };
    let mut world = World::new().wants(config_map("a")).in_sync();
    let uid = world.live.records[&key("a")].uid.clone();
    world = world.holds(Record { uid, ..record(old) });
    assert_eq!(world.plan().counts().prune, 0);
}
