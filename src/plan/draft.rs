//! The first half of a plan's making: collect what would happen, each with its reason; [`super::assemble`] has the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use smol_str::SmolStr;

use crate::api::argo::{ManagedNamespaceMetadata, SelectedResource};
use crate::error::Diagnostic;
use crate::live::Record;
use crate::object::{Object, ObjectKey};

use super::desired::{Scope, Wanted, defines};
use super::hook::{self, Role};
use super::order::{Provision, Task};
use super::prune::{self, Complete, NoProof, Stays, Terms, Victim};
use super::{Comparison, Inputs, NamespaceState, Phase, Refusal, Wave, Why, assemble, compare};

/// What would happen to one object, before it has a permit.
pub(super) enum Item<'a> {
    Object { object: Arc<Object>, scope: Option<Scope>, why: Why, live: Option<&'a Record> },
    Hook { wanted: &'a Wanted },
    Prune { record: &'a Record, fate: Fate },
}

/// What becomes of an object that git no longer has.
pub(super) enum Fate {
    Pruned(Victim),
    Stays(Stays),
}

/// The plan in the making.
pub(super) struct Draft<'a> {
    pub(super) tasks: Vec<Task<Item<'a>>>,
    pub(super) refusals: Vec<Refusal>,
    pub(super) resources: Vec<Comparison>,
    pub(super) unproven: Vec<ObjectKey>,
    pub(super) shared: Vec<(ObjectKey, SmolStr)>,
    pub(super) warnings: Vec<Diagnostic>,
    /// Objects of the application that the cluster holds: what the shrink guard measures against.
    pub(super) live_objects: usize,
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
        let own = assemble::own_options(&wanted.object);
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
        // It may have been deleted since it was applied: nothing of ours watches it.
        let is_applied = policy.namespace != NamespaceState::Missing
            && matches!(baseline, Some(compare::Baseline::Applied { desired, .. }) if *desired == object.content_hash());
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
fn namespace_object(name: &str, metadata: Option<&ManagedNamespaceMetadata>) -> Option<Object> {
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
