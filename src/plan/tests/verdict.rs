//! What is to be done with an object, and why.

use serde_json::{Value, json};

use super::*;
use crate::live::Record;

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
fn an_extra_object_may_be_no_difference() {
    for (options, expected) in [(None, SyncStatus::OutOfSync), (Some("IgnoreExtraneous"), SyncStatus::Synced)] {
        let old = Record { compare_options: options.map(Into::into), ..record(key("old")) };
        let plan = World::new().wants(config_map("a")).in_sync().holds(old).plan();
        assert_eq!(plan.sync_status(), expected, "{options:?}");
        assert_eq!(plan.counts().prune, 1, "a sync prunes it all the same");
    }
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
