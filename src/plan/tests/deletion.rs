//! What may be deleted.

use serde_json::json;

use super::*;
use crate::live::Record;
use crate::object::tracking::Tracking;
use crate::plan::prune::{Confirmation, Stays};

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
fn one_object_under_two_groups_is_not_pruned() {
    let old = ObjectKey { group: "extensions".into(), ..key("a") };
    let mut world = World::new().wants(config_map("a")).in_sync();
    let uid = world.live.records[&key("a")].uid.clone();
    world = world.holds(Record { uid, ..record(old) });
    assert_eq!(world.plan().counts().prune, 0);
}
