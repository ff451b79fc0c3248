//! How a plan is made: collect what would happen, put it in order, hash it, and ask for the permits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use smol_str::SmolStr;

use crate::api::argo::{SelectedResource, SyncOptions};
use crate::error::Diagnostic;
use crate::live::Record;
use crate::object::{Object, ObjectKey, annotation};

use super::desired::{Scope, Wanted, defines};
use super::hash::Hasher;
use super::hook::{self, Hook, HookMark, Role};
use super::order::{self, Provision, Task};
use super::prune::{self, Complete, NoProof, ShrinkAlarm, Stays, Terms, Victim};
use super::{
    Action, Comparison, Inputs, NamespaceState, Phase, Plan, PlanHash, Refusal, Stage, Step, Wave, Why, compare,
};

/// What would happen to one object, before it has a permit.
enum Item<'a> {
    Object { object: Arc<Object>, scope: Option<Scope>, why: Why, live: Option<&'a Record> },
    Hook { wanted: &'a Wanted },
    Prune { record: &'a Record, fate: Fate },
}

/// What becomes of an object that git no longer has.
enum Fate {
    Pruned(Victim),
    Stays(Stays),
}

/// The plan in the making.
pub(super) struct Draft<'a> {
    tasks: Vec<Task<Item<'a>>>,
    refusals: Vec<Refusal>,
    resources: Vec<Comparison>,
    unproven: Vec<ObjectKey>,
    shared: Vec<(ObjectKey, SmolStr)>,
    warnings: Vec<Diagnostic>,
    /// Objects of the application that the cluster holds: what the shrink guard measures against.
    live_objects: usize,
}

impl<'a> Draft<'a> {
    pub(super) fn of(inputs: &Inputs<'a>) -> Self {
        let mut draft = Draft {
            tasks: Vec::with_capacity(inputs.desired.objects.len()),
            refusals: inputs.desired.refusals.clone(),
            resources: Vec::new(),
            unproven: Vec::new(),
            shared: Vec::new(),
            warnings: inputs.desired.warnings.clone(),
            live_objects: 0,
        };
        draft.add_unknown_options(inputs);
        for wanted in &inputs.desired.objects {
            match Role::of(&wanted.object) {
                Role::Skipped => {}
                Role::Run(phases) => draft.add_hook(inputs, wanted, &phases),
                Role::Kept => draft.add_object(inputs, wanted),
            }
        }
        draft.add_namespace(inputs);
        draft.add_prunes(inputs);
        draft.resources.sort_by(|a, b| a.key.cmp(&b.key));
        draft
    }

    /// Options are exact strings: a typo is told, not guessed at.
    fn add_unknown_options(&mut self, inputs: &Inputs<'a>) {
        let unknown = inputs.policy.options.unknown.iter();
        self.warnings.extend(
            unknown.map(|option| {
                Diagnostic::new(format!("`{option}` in `syncOptions` is no sync option: it has no effect"))
            }),
        );
    }

    fn add_object(&mut self, inputs: &Inputs<'a>, wanted: &'a Wanted) {
        let object = &wanted.object;
        let key = &object.key;
        let live = inputs.live.records.get(key).map(AsRef::as_ref);
        let other = inputs.others.get(key);
        let why = compare::why(wanted.hash, live, inputs.baselines.get(key), other, &inputs.owner.application);
        self.live_objects += usize::from(live.is_some());
        self.resources.push(Comparison {
            key: key.clone(),
            version: object.version.clone(),
            status: why.status(),
            why: why.clone(),
            requires_pruning: false,
            requires_confirmation: false,
            wave: wanted.wave,
            health: live.and_then(|record| record.health.clone()),
            is_live: live.is_some(),
            counts: true,
            health_counts: !live.is_some_and(|record| record.ignore_health),
        });
        if let Why::Shared(other) = &why {
            self.shared.push((key.clone(), other.clone()));
            if inputs.policy.options.fail_on_shared_resource {
                let (application, other) = (inputs.owner.application.clone(), other.clone());
                self.refusals.push(Refusal::Shared { key: key.clone(), application, other });
            }
        }
        if why == Why::Unproven {
            self.unproven.push(key.clone());
        }
        if !is_selected(&inputs.policy.selection, key) {
            return;
        }
        if wanted.scope.is_none() && !self.is_skipped_when_unknown(inputs, wanted) {
            return;
        }
        let provides = provision(object);
        let item = Item::Object { object: object.clone(), scope: wanted.scope, why, live };
        self.add(Phase::Sync, wanted.wave, key.clone(), provides, item);
    }

    /// A kind that nobody knows stands against the whole sync, unless its objects say that it may be missing.
    fn is_skipped_when_unknown(&mut self, inputs: &Inputs<'a>, wanted: &Wanted) -> bool {
        let own = own_options(&wanted.object);
        if own.skip_dry_run_on_missing_resource || inputs.policy.options.skip_dry_run_on_missing_resource {
            return true;
        }
        let kind = wanted.object.key.group_kind();
        let is_told =
            self.refusals.iter().any(|refusal| matches!(refusal, Refusal::NoKind { kind: told, .. } if *told == kind));
        if !is_told {
            let (key, version) = (wanted.object.key.clone(), wanted.object.version.clone());
            self.refusals.push(Refusal::NoKind { key, kind, version });
        }
        false
    }

    fn add_hook(&mut self, inputs: &Inputs<'a>, wanted: &'a Wanted, phases: &[Phase]) {
        if !inputs.policy.hooks || !inputs.policy.selection.is_empty() {
            return;
        }
        if wanted.scope.is_none() && !self.is_skipped_when_unknown(inputs, wanted) {
            return;
        }
        for &phase in phases {
            let name = hook::name(&wanted.object, phase, inputs.run);
            let key = ObjectKey { name, ..wanted.object.key.clone() };
            self.add(phase, wanted.wave, key, None, Item::Hook { wanted });
        }
    }

    fn add_namespace(&mut self, inputs: &Inputs<'a>) {
        let policy = inputs.policy;
        let Some(namespace) = inputs.owner.namespace().filter(|_| policy.options.create_namespace) else { return };
        let metadata = policy.namespace_metadata.as_ref();
        if policy.namespace == NamespaceState::Exists && metadata.is_none() || !policy.selection.is_empty() {
            return;
        }
        let Some(object) = namespace_object(namespace, metadata) else { return };
        // One that git has itself wins.
        if inputs.desired.objects.iter().any(|wanted| wanted.object.key == object.key) {
            return;
        }
        let object = Arc::new(object);
        let baseline = inputs.baselines.get(&object.key);
        let is_applied =
            matches!(baseline, Some(compare::Baseline::Applied { desired, .. }) if *desired == object.content_hash());
        let why = if is_applied { Why::InSync } else { Why::NamespaceWanted };
        let (key, provides) = (object.key.clone(), provision(&object));
        let item = Item::Object { object, scope: Some(Scope::Cluster), why, live: None };
        self.add(Phase::PreSync, Wave::default(), key, provides, item);
    }

    fn add_prunes(&mut self, inputs: &Inputs<'a>) {
        let extras = prune::extras(inputs.desired, inputs.live, inputs.owner);
        self.live_objects += extras.len();
        let complete = Complete::of(inputs.desired, inputs.live);
        let is_approved = inputs.policy.deletion_approved.is_some_and(|at| at >= inputs.run.started);
        let (mut all_stay, mut last) = (Vec::new(), Vec::new());
        for record in extras {
            let terms = Terms::of(record, &inputs.policy.options);
            self.resources.push(extra(record, &terms));
            if !is_selected(&inputs.policy.selection, &record.key) {
                continue;
            }
            let fate = match self::fate(inputs, &complete, record, &terms) {
                Ok(victim) => Fate::Pruned(terms.applied_to(victim, is_approved)),
                Err(stays) => Fate::Stays(stays),
            };
            if terms.last { &mut last } else { &mut all_stay }.push((record, fate));
        }
        let waves = all_stay.iter().chain(&last).map(|(record, _)| Wave(record.wave));
        let mirrored = prune::mirrored(waves);
        for (record, fate) in all_stay {
            let wave = mirrored.get(&Wave(record.wave)).copied().unwrap_or_default();
            self.add(Phase::Sync, wave, record.key.clone(), None, Item::Prune { record, fate });
        }
        let in_sync = self.tasks.iter().filter(|task| task.phase == Phase::Sync);
        let after_all = Wave(in_sync.map(|task| task.wave.0).max().unwrap_or(0).max(0).saturating_add(1));
        for (record, fate) in last {
            self.add(Phase::Sync, after_all, record.key.clone(), None, Item::Prune { record, fate });
        }
        self.refuse_to_empty(inputs);
    }

    fn refuse_to_empty(&mut self, inputs: &Inputs<'a>) {
        let prunes = self.tasks.iter().any(|task| matches!(task.payload, Item::Prune { fate: Fate::Pruned(_), .. }));
        let leaves_nothing = self.resources.iter().all(|resource| resource.requires_pruning);
        if prunes && leaves_nothing && !inputs.policy.allow_empty {
            self.refusals.push(Refusal::WouldEmpty);
        }
    }

    fn add(&mut self, phase: Phase, wave: Wave, key: ObjectKey, provides: Option<Provision>, payload: Item<'a>) {
        let needs = !matches!(payload, Item::Prune { .. });
        self.tasks.push(Task { phase, wave, key, provides, needs, payload });
    }

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

/// The proofs, then what the options say.
fn fate(
    inputs: &Inputs<'_>,
    complete: &Result<Complete<ObjectKey>, Vec<String>>,
    record: &Record,
    terms: &Terms,
) -> Result<Victim, Stays> {
    if let Some(other) = inputs.others.get(&record.key).filter(|other| other.wants) {
        return Err(Stays::GoesTo(other.application.clone()));
    }
    if !inputs.policy.prune {
        return Err(Stays::NotRequested);
    }
    if terms.forbid(record) {
        return Err(Stays::Forbidden);
    }
    let complete = complete.as_ref().map_err(|gaps| Stays::Incomplete(gaps.clone()))?;
    complete.prove(record, inputs.owner, inputs.inventory).map_err(|missing| match missing {
        NoProof::NotApplied | NoProof::NotTracked | NoProof::Wanted => Stays::NotApplied,
    })
}

fn extra(record: &Record, terms: &Terms) -> Comparison {
    let ignored = record.compare_options.as_deref().unwrap_or_default();
    Comparison {
        key: record.key.clone(),
        version: record.version.clone(),
        status: Why::NotDesired.status(),
        why: Why::NotDesired,
        requires_pruning: true,
        requires_confirmation: terms.needs_confirmation(),
        wave: Wave(record.wave),
        health: record.health.clone(),
        is_live: true,
        counts: !ignored.split(',').any(|option| option.trim() == "IgnoreExtraneous"),
        health_counts: !record.ignore_health,
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

fn own_options(object: &Object) -> SyncOptions {
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

fn is_selected(selection: &[SelectedResource], key: &ObjectKey) -> bool {
    let same = |selected: &SelectedResource| {
        selected.group == key.group
            && selected.kind == key.kind
            && selected.name == key.name
            && (selected.namespace.is_empty() || Some(selected.namespace.as_str()) == key.namespace.as_deref())
    };
    selection.is_empty() || selection.iter().any(same)
}

fn provision(object: &Object) -> Option<Provision> {
    match (&*object.key.group, &*object.key.kind) {
        ("", "Namespace") => Some(Provision::Namespace(object.key.name.clone())),
        _ => defines(object).map(Provision::Kind),
    }
}

/// The namespace that `CreateNamespace=true` makes: it is not tracked, never pruned, and not deleted with the
/// application.
fn namespace_object(name: &str, metadata: Option<&crate::api::argo::ManagedNamespaceMetadata>) -> Option<Object> {
    let mut body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    if let Some(metadata) = metadata {
        let strings = |map: &BTreeMap<String, String>| -> Value {
            map.iter()
                .map(|(name, value)| (name.clone(), Value::String(value.clone())))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        body["metadata"]["labels"] = strings(&metadata.labels);
        body["metadata"]["annotations"] = strings(&metadata.annotations);
    }
    Object::from_value(body, None).ok()
}
