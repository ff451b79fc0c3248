//! Which steps of a plan a pull request causes, and which would be taken anyway.
//!
//! **In:** what an application renders to at the base and at the merge result, both stamped as [`crate::plan::desired`]
//! does; the plan of the latter; the live bodies that were read. **Out:** [`Planned`]. What differs between the renders
//! is the pull request's; every other step is pending: drift, or commits that have not been synced yet.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use smol_str::SmolStr;

use crate::object::{Object, ObjectKey, annotation};
use crate::plan::hook::Role;
use crate::plan::prune::Stays;
use crate::plan::{Action, Phase, Plan, Step, Wave, Why};

use super::{ApplicationPreview, Change, ChangeKind, Held, HeldBecause, Live, Outcome, Pending, Planned};
use super::{generated, shape};

/// An object that differs between two renders.
#[derive(Clone, PartialEq)]
pub struct Declared {
    /// Which object.
    pub key: ObjectKey,
    /// As the base renders it.
    pub before: Option<Arc<Object>>,
    /// As the merge result renders it.
    pub after: Option<Arc<Object>>,
}

/// What differs between two renders, by key. What is stamped on objects does not count.
pub fn declared(base: &[Arc<Object>], merged: &[Arc<Object>]) -> Vec<Declared> {
    let mut pairs: BTreeMap<&ObjectKey, Pair<'_>> = BTreeMap::new();
    for object in base {
        pairs.entry(&object.key).or_default().0 = Some(object);
    }
    for object in merged {
        pairs.entry(&object.key).or_default().1 = Some(object);
    }
    let differing = pairs.into_iter().filter(|(_, pair)| differs(*pair));
    differing
        .map(|(key, (before, after))| Declared { key: key.clone(), before: before.cloned(), after: after.cloned() })
        .collect()
}

/// One object at the base and at the merge result.
type Pair<'a> = (Option<&'a Arc<Object>>, Option<&'a Arc<Object>>);

fn differs(pair: Pair<'_>) -> bool {
    match pair {
        (Some(before), Some(after)) => {
            !Arc::ptr_eq(before, after)
                && before.body != after.body
                && shape::readable(&before.body) != shape::readable(&after.body)
        }
        _ => true,
    }
}

/// The changes of one application. Without a plan (nobody asked the cluster) they are what the renders say.
pub fn planned(declared: Vec<Declared>, plan: Option<&Plan>, mut live: BTreeMap<ObjectKey, Live>) -> Planned {
    let steps = Steps::of(plan);
    let mut found: Vec<(usize, Change)> = Vec::with_capacity(declared.len());
    for (at, one) in declared.into_iter().enumerate() {
        let place = steps.of_object(&one);
        let kind = kind(&one, place.map(|place| place.step), plan);
        let Some(version) = one.after.as_ref().or(one.before.as_ref()).map(|object| object.version.clone()) else {
            continue;
        };
        let wave = place.map_or_else(|| written_wave(&one), |place| place.wave);
        let change = Change {
            version,
            phase: place.map_or(Phase::Sync, |place| place.phase),
            wave,
            kind,
            live: live.remove(&one.key).unwrap_or_default(),
            key: one.key,
            before: one.before,
            after: one.after,
            refused: None,
            verdicts: Vec::new(),
            remarks: Vec::new(),
        };
        // Those without a step come last, in the order of their keys.
        found.push((place.map_or(steps.count() + at, |place| place.at), change));
    }
    found.sort_by_key(|(at, _)| *at);
    let mut changes: Vec<Change> = found.into_iter().map(|(_, change)| change).collect();
    let pending = steps.besides(&changes);
    pair_generated(&mut changes);
    Planned {
        changes,
        pending,
        refusals: plan.map(|plan| plan.refusals.clone()).unwrap_or_default(),
        guarded: plan.and_then(guarded),
        hash: plan.map(|plan| plan.hash),
    }
}

/// Marks what moves from one application of a cluster to another: it is no creation there and no deletion here.
pub fn transfer(applications: &mut [ApplicationPreview]) {
    let mut givers: HashMap<ObjectKey, SmolStr> = HashMap::new();
    for application in applications.iter() {
        for change in application.outcome.changes().iter().filter(|change| change.after.is_none()) {
            givers.insert(change.key.clone(), application.name.clone());
        }
    }
    let mut taken: HashMap<ObjectKey, SmolStr> = HashMap::new();
    for application in applications.iter_mut() {
        for change in application.outcome.changes_mut().iter_mut().filter(|change| change.before.is_none()) {
            if let Some(from) = givers.get(&change.key).filter(|from| **from != application.name) {
                change.kind = ChangeKind::Transferred { from: from.clone() };
                taken.insert(change.key.clone(), application.name.clone());
            }
        }
    }
    for application in applications.iter_mut() {
        let name = application.name.clone();
        if let Some(changes) = application.outcome.changes_vec() {
            let goes =
                |change: &Change| change.after.is_none() && taken.get(&change.key).is_some_and(|taker| *taker != name);
            changes.retain(|change| !goes(change));
        }
    }
}

impl Outcome {
    fn changes_vec(&mut self) -> Option<&mut Vec<Change>> {
        match self {
            Outcome::Planned(planned) => Some(&mut planned.changes),
            Outcome::Removed(removal) => Some(&mut removal.changes),
            Outcome::Failed(_) | Outcome::Held(_) => None,
        }
    }

    fn changes_mut(&mut self) -> &mut [Change] {
        self.changes_vec().map(Vec::as_mut_slice).unwrap_or_default()
    }
}

/// Where a step stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    at: usize,
    phase: Phase,
    wave: Wave,
    step: &'a Step,
}

/// The steps of a plan, to be found by object.
struct Steps<'a> {
    places: Vec<Place<'a>>,
    by_key: HashMap<&'a ObjectKey, usize>,
}

impl<'a> Steps<'a> {
    fn of(plan: Option<&'a Plan>) -> Self {
        let all = plan.into_iter().flat_map(Plan::steps).filter(|(_, _, step)| !is_clear(step));
        let places: Vec<Place<'a>> =
            all.enumerate().map(|(at, (phase, wave, step))| Place { at, phase, wave, step }).collect();
        // The first of several, when a hook runs in several phases.
        let by_key = places.iter().rev().map(|place| (&place.step.key, place.at)).collect();
        Steps { places, by_key }
    }

    fn count(&self) -> usize {
        self.places.len()
    }

    fn of_object(&self, one: &Declared) -> Option<Place<'a>> {
        if !one.key.name.is_empty() {
            return self.by_key.get(&one.key).and_then(|at| self.places.get(*at)).copied();
        }
        // A hook gets its name with the run.
        let prefix = one.after.as_ref()?.body.pointer("/metadata/generateName")?.as_str()?;
        let is_it = |place: &&Place<'_>| {
            let key = &place.step.key;
            matches!(place.step.action, Action::Hook(_))
                && (&key.group, &key.kind, &key.namespace) == (&one.key.group, &one.key.kind, &one.key.namespace)
                && key.name.starts_with(prefix)
        };
        self.places.iter().find(is_it).copied()
    }

    /// What would be done besides. Hooks run with a sync and are no reason for one.
    fn besides(&self, changes: &[Change]) -> Vec<Pending> {
        let declared: BTreeSet<&ObjectKey> = changes.iter().map(|change| &change.key).collect();
        let others = self.places.iter().filter(|place| {
            place.step.action != Action::Keep && !place.step.action.is_hook() && !declared.contains(&place.step.key)
        });
        others
            .map(|place| Pending {
                key: place.step.key.clone(),
                kind: of_action(place.step),
                why: place.step.why.to_string(),
            })
            .collect()
    }
}

fn is_clear(step: &Step) -> bool {
    matches!(step.action, Action::ClearHook(_))
}

fn of_action(step: &Step) -> ChangeKind {
    match (&step.action, &step.why) {
        (Action::Keep, Why::Unproven) => ChangeKind::Change,
        (Action::Keep, _) => ChangeKind::AlreadySo,
        (Action::Create(_) | Action::Apply(_), Why::TransferredFrom(from)) => {
            ChangeKind::Transferred { from: from.clone() }
        }
        (Action::Create(_), _) => ChangeKind::Create,
        (Action::Apply(_) | Action::Hook(_) | Action::ClearHook(_), _) => ChangeKind::Change,
        (Action::Replace(_) | Action::Recreate(_), _) => ChangeKind::Replace,
        (Action::Prune(_), _) => ChangeKind::Delete,
    }
}

fn kind(one: &Declared, step: Option<&Step>, plan: Option<&Plan>) -> ChangeKind {
    let by_render = match (&one.before, &one.after) {
        (None, _) => ChangeKind::Create,
        (_, None) => ChangeKind::Delete,
        _ => ChangeKind::Change,
    };
    match (step, plan) {
        (Some(step), _) if step.action.is_hook() => by_render,
        (Some(step), _) => of_action(step),
        // A plan that is refused has no steps, and nothing in the cluster is as git wants it.
        (None, Some(plan)) if plan.refusals.is_empty() => {
            let withheld = plan.withheld.iter().find(|withheld| withheld.key == one.key);
            match withheld {
                Some(withheld) => ChangeKind::Stays(withheld.reason.clone()),
                None if is_run(one) => by_render,
                None => ChangeKind::AlreadySo,
            }
        }
        (None, _) => by_render,
    }
}

/// A hook: what is run is never "so already".
fn is_run(one: &Declared) -> bool {
    let object = one.after.as_ref().or(one.before.as_ref());
    object.is_some_and(|object| Role::of(object) != Role::Kept)
}

fn guarded(plan: &Plan) -> Option<Held> {
    plan.withheld.iter().find_map(|withheld| match &withheld.reason {
        Stays::Guarded(alarm) => Some(Held { because: HeldBecause::Shrunk, prunes: alarm.prunes, of: alarm.of }),
        _ => None,
    })
}

/// The wave that an object asks for, when no plan says where it comes.
fn written_wave(one: &Declared) -> Wave {
    let object = one.after.as_ref().or(one.before.as_ref());
    let wave = object.and_then(|object| object.annotation(annotation::SYNC_WAVE));
    Wave(wave.and_then(|wave| wave.parse().ok()).unwrap_or_default())
}

/// Makes a creation and a deletion whose names differ in their hash only one change.
fn pair_generated(changes: &mut Vec<Change>) {
    type Stem = (SmolStr, Option<SmolStr>, SmolStr);
    let mut stems: BTreeMap<Stem, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (at, change) in changes.iter().enumerate() {
        let Some(stem) = generated::stem(&change.key) else { continue };
        let (created, deleted) =
            stems.entry((change.key.kind.clone(), change.key.namespace.clone(), stem.into())).or_default();
        match (&change.before, &change.after) {
            (None, Some(_)) => created.push(at),
            (Some(_), None) => deleted.push(at),
            _ => {}
        }
    }
    let mut gone: BTreeSet<usize> = BTreeSet::new();
    for (created, deleted) in stems.into_values() {
        if let ([new], [old]) = (created.as_slice(), deleted.as_slice()) {
            changes[*new].before = changes[*old].before.take();
            if changes[*new].kind == ChangeKind::Create {
                changes[*new].kind = ChangeKind::Change;
            }
            gone.insert(*old);
        }
    }
    let mut at = 0;
    changes.retain(|_| {
        at += 1;
        !gone.contains(&(at - 1))
    });
}
