//! What is deleted because git no longer has it: the safety rules (G3, G4).
//!
//! A deletion needs three proofs: our inventory has the object with this very uid, its tracking names this
//! application, and the set of what git wants is whole ([`Complete`]). Then the object's own options, the project and
//! the shrink guard have their say; what they hold back is listed with its reason, so that nothing is silent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use smol_str::SmolStr;

use crate::api::argo::{Consent, Propagation, SyncOptions};
use crate::live::{LiveView, Record};
use crate::object::ObjectKey;

use super::{Denial, Desired, Inventory, Owner, Permitted, PlanHash, Project, Scope, Wave};

/// A set that is known to be whole: the render succeeded, every watch has delivered its list, discovery had no gap.
/// Only it can say what is missing from it. A partial set cannot be made into one:
///
/// ```compile_fail
/// use leeboard::plan::prune::Complete;
/// fn claim(partial: std::collections::BTreeSet<leeboard::object::ObjectKey>) -> Complete<leeboard::object::ObjectKey> {
///     Complete(partial)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Complete<T>(BTreeSet<T>);

impl Complete<ObjectKey> {
    /// The keys that git wants, when both sides are known to be whole.
    ///
    /// # Errors
    /// With what is not known, a sentence each.
    pub fn of(desired: &Desired, live: &LiveView) -> Result<Self, Vec<String>> {
        // The key of an object of unknown scope may be wrong, so what it is the key of would look unwanted.
        let unknown = desired.objects.iter().filter(|wanted| wanted.scope.is_none());
        let unknown = unknown.map(|wanted| format!("the kind of {} is not known yet", wanted.object.key));
        let refusals = desired.refusals.iter().map(ToString::to_string);
        let gaps: Vec<String> = refusals.chain(unknown).chain(live.incomplete.iter().cloned()).collect();
        if !gaps.is_empty() {
            return Err(gaps);
        }
        Ok(Complete(desired.objects.iter().map(|wanted| wanted.object.key.clone()).collect()))
    }

    /// Puts the three proofs together.
    ///
    /// # Errors
    /// With the proof that is missing.
    pub fn prove(&self, record: &Record, owner: &Owner, inventory: &Inventory) -> Result<Victim, NoProof> {
        if self.0.contains(&record.key) {
            return Err(NoProof::Wanted);
        }
        if !owner.owns(record.tracking.as_ref(), &record.key) {
            return Err(NoProof::NotTracked);
        }
        if !inventory.contains(&record.key, &record.uid) {
            return Err(NoProof::NotApplied);
        }
        Ok(Victim::of(record))
    }
}

/// Which of the three proofs is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoProof {
    /// Git wants it.
    Wanted,
    /// Its tracking names no or another application.
    NotTracked,
    /// It is not in the inventory with this uid.
    NotApplied,
}

/// An object that may be deleted as far as this application is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Victim {
    key: ObjectKey,
    version: SmolStr,
    uid: SmolStr,
    propagation: Propagation,
    confirmation: Confirmation,
}

impl Victim {
    fn of(record: &Record) -> Self {
        Victim {
            key: record.key.clone(),
            version: record.version.clone(),
            uid: record.uid.clone(),
            propagation: Propagation::default(),
            confirmation: Confirmation::NotNeeded,
        }
    }

    /// Which object.
    pub fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// In which API version it is deleted.
    pub fn version(&self) -> &SmolStr {
        &self.version
    }

    /// The precondition of the deletion: a successor of the same name stays.
    pub fn uid(&self) -> &SmolStr {
        &self.uid
    }

    /// What becomes of its dependents.
    pub fn propagation(&self) -> Propagation {
        self.propagation
    }

    /// Whether a person's word is awaited.
    pub fn confirmation(&self) -> Confirmation {
        self.confirmation
    }
}

/// Whether a person has to approve a deletion (`Prune=confirm`, `Delete=confirm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// Nobody has to.
    NotNeeded,
    /// Somebody has.
    Given,
    /// Its whole wave waits for it.
    Awaited,
}

/// Something that is not pruned, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// Which object.
    pub key: ObjectKey,
    /// In which version.
    pub version: SmolStr,
    /// Why it stays.
    pub reason: Stays,
}

/// Why something that git no longer has stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stays {
    /// `prune` is not asked for.
    NotRequested,
    /// `Prune=false`, or `helm.sh/resource-policy: keep`.
    Forbidden,
    /// What git wants or what the cluster holds is not wholly known.
    Incomplete(Vec<String>),
    /// It says it is ours, but it is not on record that we applied it.
    NotApplied,
    /// Another application wants it now and takes it over.
    GoesTo(SmolStr),
    /// The project does not permit its deletion.
    Denied(Denial),
    /// Too many would go at once.
    Guarded(ShrinkAlarm),
}

/// Argo CD's messages, where it has one.
impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stays::NotRequested => f.write_str("ignored (requires pruning)"),
            Stays::Forbidden => f.write_str("ignored (no prune)"),
            Stays::Incomplete(gaps) => write!(f, "ignored (not all is known: {})", gaps.join("; ")),
            Stays::NotApplied => f.write_str("ignored (not applied by this application)"),
            Stays::GoesTo(application) => write!(f, "goes to application `{application}`"),
            Stays::Denied(denial) => denial.fmt(f),
            Stays::Guarded(alarm) => alarm.fmt(f),
        }
    }
}

/// When deletions need a person's word: both limits have to be passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShrinkGuard {
    /// More than this share of the application's objects.
    pub percent: usize,
    /// And more than this many.
    pub objects: usize,
}

impl Default for ShrinkGuard {
    fn default() -> Self {
        ShrinkGuard { percent: 30, objects: 5 }
    }
}

/// How much would go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShrinkAlarm {
    /// How many would be pruned.
    pub prunes: usize,
    /// How many objects the application has in the cluster.
    pub of: usize,
    /// What a person confirms.
    pub hash: PlanHash,
}

impl fmt::Display for ShrinkAlarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShrinkAlarm { prunes, of, hash } = self;
        write!(f, "{prunes} of {of} objects would be pruned: confirm with the annotation ")?;
        write!(f, "{}: {hash}", crate::object::annotation::CONFIRM_PRUNE)
    }
}

impl ShrinkGuard {
    pub(super) fn trips(&self, prunes: usize, of: usize) -> bool {
        prunes > self.objects && prunes.saturating_mul(100) > of.saturating_mul(self.percent)
    }
}

/// Live objects that say they are this application's and that git does not have; hooks are never among them, nor
/// objects that git has under another API group (one uid, two names).
pub(super) fn extras<'a>(desired: &Desired, live: &'a LiveView, owner: &Owner) -> Vec<&'a Record> {
    let wanted: BTreeSet<&ObjectKey> = desired.objects.iter().map(|wanted| &wanted.object.key).collect();
    let uids: BTreeSet<&SmolStr> = wanted.iter().filter_map(|key| Some(&live.records.get(*key)?.uid)).collect();
    let records = live.records.values().map(AsRef::as_ref);
    records
        .filter(|record| {
            !record.is_hook
                && !wanted.contains(&record.key)
                && !uids.contains(&record.uid)
                && owner.owns(record.tracking.as_ref(), &record.key)
        })
        .collect()
}

/// What an object's own word, over the application's, says of its deletion. The live object's options count.
pub(super) struct Terms {
    consent: Consent,
    pub(super) last: bool,
    propagation: Propagation,
}

impl Terms {
    pub(super) fn of(record: &Record, application: &SyncOptions) -> Self {
        let own = record.sync_options.as_deref().map(SyncOptions::parse_annotation).unwrap_or_default();
        Terms {
            consent: own.prune.or(application.prune).unwrap_or(Consent::Yes),
            last: own.prune_last || application.prune_last,
            propagation: application.prune_propagation.unwrap_or_default(),
        }
    }

    pub(super) fn needs_confirmation(&self) -> bool {
        self.consent == Consent::Confirm
    }

    pub(super) fn forbid(&self, record: &Record) -> bool {
        self.consent == Consent::No || record.keep
    }

    /// The victim under these terms.
    pub(super) fn applied_to(&self, victim: Victim, is_approved: bool) -> Victim {
        let confirmation = match self.consent {
            Consent::Confirm if is_approved => Confirmation::Given,
            Consent::Confirm => Confirmation::Awaited,
            Consent::Yes | Consent::No => Confirmation::NotNeeded,
        };
        Victim { propagation: self.propagation, confirmation, ..victim }
    }
}

/// The waves in which objects of these waves are pruned: the distinct waves, swapped end for end.
pub(super) fn mirrored(waves: impl IntoIterator<Item = Wave>) -> BTreeMap<Wave, Wave> {
    let waves: BTreeSet<Wave> = waves.into_iter().collect();
    waves.iter().copied().zip(waves.iter().rev().copied()).collect()
}

/// What is deleted with its application: one wave at a time, the highest first; a wave goes when all of the one
/// before has gone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deletion {
    /// In order.
    pub waves: Vec<(Wave, Vec<Permitted<Victim>>)>,
    /// What stays.
    pub kept: Vec<Withheld>,
}

/// Plans the deletion of all that an application has applied (SEMANTICS a.8).
///
/// CRDs stay, for their objects would go with them; so does what `Delete=false` or Helm's `keep` protects, and what
/// the project does not permit. `is_approved`: a person has approved what `Delete=confirm` guards.
///
/// # Errors
/// With what is not known of the cluster: then nothing is deleted yet.
pub fn deletion(
    live: &LiveView,
    owner: &Owner,
    inventory: &Inventory,
    project: &Project,
    options: &SyncOptions,
    is_approved: bool,
) -> Result<Deletion, Vec<String>> {
    // Git wants nothing of an application that is being deleted.
    let nothing = Complete::of(&Desired::default(), live)?;
    let mut waves: BTreeMap<Wave, Vec<Permitted<Victim>>> = BTreeMap::new();
    let mut deletion = Deletion::default();
    for record in live.records.values() {
        let victim = match nothing.prove(record, owner, inventory) {
            Ok(victim) => victim,
            Err(NoProof::Wanted | NoProof::NotTracked) => continue,
            // Hooks are not recorded; their tracking and our label are theirs only.
            Err(NoProof::NotApplied) if record.is_hook => Victim::of(record),
            Err(NoProof::NotApplied) => {
                deletion.kept.push(withheld(record, Stays::NotApplied));
                continue;
            }
        };
        let own = record.sync_options.as_deref().map(SyncOptions::parse_annotation).unwrap_or_default();
        let consent = own.delete.or(options.delete).unwrap_or(Consent::Yes);
        if consent == Consent::No || record.keep || record.key.kind == "CustomResourceDefinition" {
            deletion.kept.push(withheld(record, Stays::Forbidden));
            continue;
        }
        let propagation = options.prune_propagation.unwrap_or_default();
        let terms = Terms { consent, last: false, propagation };
        match project.permit(terms.applied_to(victim, is_approved), Some(scope(record)), &owner.destination) {
            Ok(victim) => waves.entry(Wave(record.wave)).or_default().push(victim),
            Err(denial) => deletion.kept.push(withheld(record, Stays::Denied(denial))),
        }
    }
    deletion.waves = waves.into_iter().rev().collect();
    Ok(deletion)
}

/// The live object itself says where it lives.
pub(super) fn scope(record: &Record) -> Scope {
    if record.key.namespace.is_some() { Scope::Namespaced } else { Scope::Cluster }
}

pub(super) fn withheld(record: &Record, reason: Stays) -> Withheld {
    Withheld { key: record.key.clone(), version: record.version.clone(), reason }
}
