//! The second half of a plan's making: order, hash, permits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smol_str::SmolStr;

use crate::api::argo::SyncOptions;
use crate::live::Record;
use crate::object::{Object, ObjectKey, annotation};

use super::desired::{Scope, Wanted};
use super::draft::{Draft, Fate, Item};
use super::hash::Hasher;
use super::hook::{Hook, HookMark};
use super::order::{self, Task};
use super::prune::{self, ShrinkAlarm, Stays, Victim};
use super::{Action, Inputs, Phase, Plan, PlanHash, Refusal, Stage, Step, Wave, Why};

impl<'a> Draft<'a> {
    pub(super) fn into_plan(self, inputs: &Inputs<'a>) -> Plan {
        let Draft { tasks, refusals, resources, unproven, shared, warnings, live_objects } = self;
        let tasks = order::arrange(tasks);
        let (hash, prune_hash) = hashes(inputs, &tasks);
        let alarm = alarm(inputs, &tasks, live_objects, hash, prune_hash);
        let mut assembly = Assembly {
            inputs,
            plan: Plan {
                stages: BTreeMap::new(),
                refusals,
                withheld: Vec::new(),
                unproven,
                resources,
                shared,
                warnings,
                hash,
                prune_hash,
            },
            alarm,
            hooks_run: BTreeSet::new(),
        };
        for task in tasks {
            assembly.add(task);
        }
        assembly.plan
    }
}

/// A finished plan, as its steps get their permits one by one.
struct Assembly<'p, 'a> {
    inputs: &'p Inputs<'a>,
    plan: Plan,
    alarm: Option<ShrinkAlarm>,
    /// Hooks that a phase before this one runs already.
    hooks_run: BTreeSet<ObjectKey>,
}

impl<'a> Assembly<'_, 'a> {
    fn add(&mut self, task: Task<Item<'a>>) {
        let at = (task.phase, task.wave);
        match task.payload {
            Item::Object { object, scope, why, live } => self.add_object(at, object, scope, why, live),
            Item::Hook { wanted } => self.add_hook(at, task.key, wanted),
            Item::Prune { record, fate: Fate::Stays(stays) } => self.plan.withheld.push(prune::withheld(record, stays)),
            Item::Prune { record, fate: Fate::Pruned(victim) } => self.add_prune(at, record, victim),
        }
    }

    fn add_object(
        &mut self,
        at: (Phase, Wave),
        object: Arc<Object>,
        scope: Option<Scope>,
        why: Why,
        live: Option<&Record>,
    ) {
        let options = resolved(&self.inputs.policy.options, &object, live, self.inputs.policy.force);
        let (key, version) = (object.key.clone(), object.version.clone());
        let permitted = match self.inputs.project.permit(object, scope, &self.inputs.owner.destination) {
            Ok(permitted) => permitted,
            Err(denial) => {
                self.plan.refusals.push(Refusal::Denied { key, denial });
                return;
            }
        };
        let is_updated_only = matches!(&*key.kind, "CustomResourceDefinition" | "Namespace");
        let action = match why {
            Why::InSync | Why::Unproven if options.apply_out_of_sync_only => return,
            Why::InSync | Why::Unproven => Action::Keep,
            _ if live.is_none() => Action::Create(permitted),
            _ if options.replace && !is_updated_only && options.force => Action::Recreate(permitted),
            _ if options.replace => Action::Replace(permitted),
            _ => Action::Apply(permitted),
        };
        let health = live.and_then(|record| record.health.as_ref()).map(|verdict| verdict.status);
        self.push(at, Step { key, version, action, why, options, health });
    }

    fn add_hook(&mut self, at: (Phase, Wave), key: ObjectKey, wanted: &Wanted) {
        let (inputs, phase) = (self.inputs, at.0);
        let mark = HookMark::new(self.plan.hash, inputs.run, phase);
        let hook = Hook::new(&wanted.object, phase, mark, inputs.run);
        let version = wanted.object.version.clone();
        let options = resolved(&inputs.policy.options, &wanted.object, None, inputs.policy.force);
        let permitted = match inputs.project.permit(hook, wanted.scope, &inputs.owner.destination) {
            Ok(permitted) => permitted,
            Err(denial) => {
                self.plan.refusals.push(Refusal::Denied { key, denial });
                return;
            }
        };
        let ran_before = !self.hooks_run.insert(key.clone());
        let live = inputs.live.records.get(&key);
        if ran_before || live.is_some_and(|record| permitted.displaces(record)) {
            let clear = Step {
                key: key.clone(),
                version: version.clone(),
                action: Action::ClearHook(permitted.clone()),
                why: Why::OldHook,
                options: options.clone(),
                health: None,
            };
            self.plan.stages.entry(at).or_default().clears.push(clear);
        }
        let step =
            Step { key, version, action: Action::Hook(permitted), why: Why::HookOf(phase), options, health: None };
        self.push(at, step);
    }

    fn add_prune(&mut self, at: (Phase, Wave), record: &Record, victim: Victim) {
        let inputs = self.inputs;
        let victim = match inputs.project.permit(victim, Some(prune::scope(record)), &inputs.owner.destination) {
            Ok(victim) => victim,
            Err(denial) => {
                self.plan.withheld.push(prune::withheld(record, Stays::Denied(denial)));
                return;
            }
        };
        if let Some(alarm) = &self.alarm {
            self.plan.withheld.push(prune::withheld(record, Stays::Guarded(alarm.clone())));
            return;
        }
        let step = Step {
            key: record.key.clone(),
            version: record.version.clone(),
            action: Action::Prune(victim),
            why: Why::NotDesired,
            options: SyncOptions::default(),
            health: record.health.as_ref().map(|verdict| verdict.status),
        };
        self.plan.stages.entry(at).or_default().prunes.push(step);
    }

    /// Puts a step into the group of its predecessor when that is of the same kind.
    fn push(&mut self, at: (Phase, Wave), step: Step) {
        let Stage { groups, .. } = self.plan.stages.entry(at).or_default();
        match groups.last_mut() {
            Some(group) if group[0].key.kind == step.key.kind && group[0].key.group == step.key.group => {
                group.push(step)
            }
            _ => groups.push(vec![step]),
        }
    }
}

/// Asks for a person's word when too much would go, unless the word has been given for just this.
fn alarm(
    inputs: &Inputs<'_>,
    tasks: &[Task<Item<'_>>],
    live_objects: usize,
    hash: PlanHash,
    prune_hash: PlanHash,
) -> Option<ShrinkAlarm> {
    let prunes = tasks.iter().filter(|task| matches!(task.payload, Item::Prune { fate: Fate::Pruned(_), .. })).count();
    let is_confirmed = inputs.policy.confirmed.is_some_and(|confirmed| confirmed == hash || confirmed == prune_hash);
    let trips = inputs.policy.shrink.is_some_and(|guard| guard.trips(prunes, live_objects));
    (trips && !is_confirmed).then_some(ShrinkAlarm { prunes, of: live_objects, hash: prune_hash })
}

/// Hashes what would change, and the prunes alone. What stays as it is takes no part: other objects may come and go
/// without making this another plan.
fn hashes(inputs: &Inputs<'_>, tasks: &[Task<Item<'_>>]) -> (PlanHash, PlanHash) {
    let (mut all, mut prunes) = (Hasher::new(inputs.key), Hasher::new(inputs.key));
    let identify = |hasher: &mut Hasher, key: &ObjectKey| {
        for part in [&key.group, &key.kind, key.namespace.as_ref().unwrap_or(&SmolStr::default()), &key.name] {
            hasher.text(part);
        }
    };
    let mut victims = BTreeMap::new();
    for task in tasks {
        match &task.payload {
            Item::Object { why: Why::InSync | Why::Unproven, .. } | Item::Prune { fate: Fate::Stays(_), .. } => {
                continue;
            }
            Item::Object { object, live, .. } => {
                let options = resolved(&inputs.policy.options, object, *live, inputs.policy.force);
                all.text(if live.is_some() { "apply" } else { "create" });
                all.number(i32::from(options.replace) * 2 + i32::from(options.force));
                identify(&mut all, &object.key);
                all.value(&object.body);
            }
            Item::Hook { wanted } => {
                all.text("hook");
                identify(&mut all, &wanted.object.key);
                all.value(&wanted.object.body);
            }
            Item::Prune { record, .. } => {
                all.text("prune");
                identify(&mut all, &record.key);
                all.text(&record.uid);
                victims.insert(&record.key, &record.uid);
            }
        }
        all.text(task.phase.as_str());
        all.number(task.wave.0);
    }
    for (key, uid) in victims {
        identify(&mut prunes, key);
        prunes.text(uid);
    }
    (all.finish(), prunes.finish())
}

pub(super) fn own_options(object: &Object) -> SyncOptions {
    object.annotation(annotation::SYNC_OPTIONS).map(SyncOptions::parse_annotation).unwrap_or_default()
}

/// The options that hold for one object: its own in git, those on the live object, the application's.
fn resolved(application: &SyncOptions, object: &Object, live: Option<&Record>, is_forced: bool) -> SyncOptions {
    let own = own_options(object);
    let live = live.and_then(|record| record.sync_options.as_deref()).map(SyncOptions::parse_annotation);
    let live = live.unwrap_or_default();
    SyncOptions {
        skips_validation: application.skips_validation || own.skips_validation,
        skip_dry_run_on_missing_resource: application.skip_dry_run_on_missing_resource
            || own.skip_dry_run_on_missing_resource,
        replace: application.replace || own.replace || live.replace,
        force: is_forced || application.force || own.force || live.force,
        unknown: own.unknown,
        ..application.clone()
    }
}
