//! What a decision wants done, done: each action can be done twice.

mod restore;

use serde_json::json;

use super::super::Daemon;
use super::see::{REVISION, Seen, version_of};
use crate::api::FLAGGER_GROUP;
use crate::api::flagger::{Canary, VERSION};
use crate::canary::generated::services::{self, Role};
use crate::canary::generated::{Flags, Patch, Target, disruption, primary, scale, scaler};
use crate::canary::record::Record;
use crate::canary::router::{self, Restoration, Subject};
use crate::canary::settings::TargetKind;
use crate::canary::world::Question;
use crate::canary::{Action, Decision, Revision, Split};
use crate::live::client::{self, ApplyOptions, DeleteOptions, ListOptions, Part};
use crate::object::{GroupKind, Object, ObjectKey};

/// Holds a Canary until traffic is back on its target; Flagger's.
pub(super) const FINALIZER: &str = "finalizer.flagger.app";
/// Who owns the fields of generated objects.
const MANAGER: &str = "leeboard-canary";

/// What a decision asks; then nothing else of it counts.
pub(super) fn question(decision: &Decision) -> Option<&Question> {
    decision.actions.iter().find_map(|action| match action {
        Action::Ask(question) => Some(question),
        _ => None,
    })
}

/// Does one action.
///
/// # Errors
/// When the API server refuses it or does not answer: it is decided anew then.
pub(super) async fn act(
    daemon: &Daemon,
    canary: &Canary,
    seen: &Seen,
    flags: &Flags,
    record: &Record,
    action: &Action,
) -> Result<(), client::Error> {
    if *action == Action::RemoveFinalizer {
        let finalizers = canary.metadata.finalizers.iter().flatten();
        let left: Vec<&String> = finalizers.filter(|finalizer| *finalizer != FINALIZER).collect();
        let patch = json!({"metadata": {"finalizers": left}});
        let key = own_key(canary);
        let write = daemon.cluster.merge_patch(&key, VERSION, Part::Whole, &patch);
        return daemon.canaries.sights.write(&key, write).await.map(drop);
    }
    let Some(object) = &seen.target else { return Ok(()) };
    // What could not be read of the target was told already; nothing is decided about it then.
    let Ok(target) = Target::of(canary, Some(object), flags) else { return Ok(()) };
    let hands = Hands { daemon, canary, seen, flags, record, target: &target };
    match action {
        Action::EnsureServices if target.kind == TargetKind::Service => hands.copies().await,
        Action::EnsureServices => {
            hands.service(Role::Canary).await?;
            hands.service(Role::Primary).await
        }
        Action::LeadApexToPrimary => hands.service(Role::Apex).await,
        Action::MakePrimary(revision) => hands.make_primary(revision).await,
        Action::Promote(revision) => hands.promote(revision).await,
        Action::RestorePrimary(revision) => hands.restore_primary(revision).await,
        Action::EnsurePrimaryScaler => hands.scaler().await,
        Action::SetRoute(split) => hands.set_route(*split).await,
        Action::ScaleTarget(replicas) => hands.scale_target(*replicas).await,
        Action::ScalePrimary(replicas) => match &seen.primary {
            Some(primary) => hands.patch(&hands.replicas(primary, *replicas)).await,
            None => Ok(()),
        },
        Action::LeadBackToTarget => hands.lead_back().await,
        // A wish went with the record that follows from it: nobody gets it twice.
        Action::Ask(_) | Action::ClearWish | Action::RemoveFinalizer => Ok(()),
    }
}

/// The key of the Canary itself.
pub(super) fn own_key(canary: &Canary) -> ObjectKey {
    ObjectKey {
        group: FLAGGER_GROUP.into(),
        kind: "Canary".into(),
        namespace: canary.metadata.namespace.as_deref().map(Into::into),
        name: canary.metadata.name.as_deref().unwrap_or_default().into(),
    }
}

struct Hands<'a> {
    daemon: &'a Daemon,
    canary: &'a Canary,
    seen: &'a Seen,
    flags: &'a Flags,
    record: &'a Record,
    target: &'a Target<'a>,
}

impl Hands<'_> {
    async fn apply(&self, object: &Object) -> Result<(), client::Error> {
        let options = ApplyOptions { force: true, manager: Some(MANAGER.into()), ..ApplyOptions::default() };
        let write = self.daemon.cluster.apply(object, &options);
        self.daemon.canaries.sights.write(&object.key, write).await.map(drop)
    }

    async fn patch(&self, patch: &Patch) -> Result<(), client::Error> {
        let version = version_of(&patch.api_version);
        let write = self.daemon.cluster.merge_patch(&patch.key, version, Part::Whole, &patch.body);
        self.daemon.canaries.sights.write(&patch.key, write).await.map(drop)
    }

    async fn replace(&self, object: &Object) -> Result<(), client::Error> {
        let write = self.daemon.cluster.replace(object, Part::Whole);
        self.daemon.canaries.sights.write(&object.key, write).await.map(drop)
    }

    async fn delete(&self, key: &ObjectKey, version: &str) -> Result<(), client::Error> {
        let options = DeleteOptions::default();
        let write = self.daemon.cluster.delete(key, version, &options);
        match self.daemon.canaries.sights.write(key, write).await {
            Ok(_) | Err(client::Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn service(&self, role: Role) -> Result<(), client::Error> {
        // A port that is missing was refused with the settings.
        match services::service(self.canary, self.target, role, self.seen.service(self.canary, role)) {
            Ok(service) => self.apply(&service).await,
            Err(_) => Ok(()),
        }
    }

    /// Of a target that is a Service itself.
    async fn copies(&self) -> Result<(), client::Error> {
        if self.seen.service(self.canary, Role::Primary).is_none()
            && let Some(revision) = &self.seen.revision
        {
            let primary = services::copy(self.canary, self.target, Role::Primary);
            self.apply_primary(primary, revision).await?;
        }
        self.apply(&services::copy(self.canary, self.target, Role::Canary)).await
    }

    /// True when the target still is what was decided about.
    fn is_current(&self, revision: &Revision) -> bool {
        self.seen.revision.as_ref() == Some(revision)
    }

    async fn copy_configs(&self) -> Result<(), client::Error> {
        let live = |key: &_| self.seen.copies.get(key).cloned();
        for copy in self.seen.tracked.copies(self.canary, self.flags, live) {
            self.apply(&copy).await?;
        }
        Ok(())
    }

    async fn apply_primary(&self, mut primary: Object, revision: &Revision) -> Result<(), client::Error> {
        primary.set_annotation(REVISION, &marked(revision));
        self.apply(&primary).await
    }

    async fn make_primary(&self, revision: &Revision) -> Result<(), client::Error> {
        if !self.is_current(revision) || !self.target.kind.is_scaled() {
            return Ok(());
        }
        self.copy_configs().await?;
        let primary = primary::created(self.canary, self.target, &self.seen.tracked, self.flags, &rollout_id(revision));
        self.apply_primary(primary, revision).await
    }

    async fn promote(&self, revision: &Revision) -> Result<(), client::Error> {
        if !self.is_current(revision) {
            return Ok(());
        }
        if let Some(mut patch) = primary::promoted_revision(self.target) {
            patch.body["metadata"]["annotations"][REVISION] = marked(revision).into();
            return self.patch(&patch).await;
        }
        if self.target.kind == TargetKind::Service {
            let primary = services::copy(self.canary, self.target, Role::Primary);
            return self.apply_primary(primary, revision).await;
        }
        let Some(live) = &self.seen.primary else { return self.make_primary(revision).await };
        self.copy_configs().await?;
        let tracked = &self.seen.tracked;
        let id = rollout_id(revision);
        let primary = primary::promoted(self.canary, self.target, tracked, self.flags, live, &id);
        self.apply_primary(primary, revision).await
    }

    async fn scaler(&self) -> Result<(), client::Error> {
        if let Ok(Some(scaler)) = scaler::primary(self.canary, self.target, self.seen.scaler.as_ref(), self.flags) {
            self.apply(&scaler).await?;
        }
        let options = ListOptions { namespace: self.target.object.key.namespace.clone(), ..ListOptions::default() };
        let budgets = GroupKind::new("policy", "PodDisruptionBudget");
        let budgets = self.daemon.cluster.list(&budgets, "v1", &options).await?;
        let budgets: Vec<Object> = budgets.into_iter().filter_map(|body| Object::from_value(body, None).ok()).collect();
        for copy in disruption::copies(self.canary, self.target, &budgets, self.flags) {
            self.apply(&copy).await?;
        }
        Ok(())
    }

    async fn set_route(&self, split: Split) -> Result<(), client::Error> {
        let Ok(router) = router::for_provider(self.canary.spec.provider.unwrap_or(self.flags.provider)) else {
            return Ok(());
        };
        let subject =
            Subject { canary: self.canary, target: self.target, flags: self.flags, cookies: &self.record.cookies };
        // What cannot be written was part of the world already.
        for object in router.objects(&subject, split, &self.seen.routes).unwrap_or_default() {
            self.apply(&object).await?;
        }
        Ok(())
    }

    async fn scale_target(&self, replicas: u32) -> Result<(), client::Error> {
        let scaler = self.seen.scaler.as_ref();
        let change = if replicas == 0 { scale::to_zero(self.target) } else { scale::up(self.target, replicas.into()) };
        if let Some(pause) =
            scaler.and_then(|scaler| if replicas == 0 { scale::pause(scaler) } else { scale::resume(scaler) })
        {
            self.patch(&pause).await?;
        }
        match change {
            Some(change) => self.patch(&change).await,
            None => Ok(()),
        }
    }

    fn replicas(&self, primary: &Object, replicas: u32) -> Patch {
        Patch {
            key: primary.key.clone(),
            api_version: primary.api_version().into(),
            body: json!({"spec": {"replicas": replicas}}),
        }
    }

    async fn lead_back(&self) -> Result<(), client::Error> {
        if let Some(apex) = self.seen.service(self.canary, Role::Apex)
            && let Some(patch) = services::lead_back(self.canary, self.target, apex)
        {
            self.patch(&patch).await?;
        }
        let Ok(router) = router::for_provider(self.canary.spec.provider.unwrap_or(self.flags.provider)) else {
            return Ok(());
        };
        let subject =
            Subject { canary: self.canary, target: self.target, flags: self.flags, cookies: &self.record.cookies };
        for restoration in router.restored(&subject, &self.seen.routes) {
            match restoration {
                Restoration::Replace(object) => self.replace(&object).await?,
                Restoration::Patch(patch) => self.patch(&patch).await?,
                Restoration::Delete(key) => {
                    let live = self.seen.routes.iter().find(|object| object.key == key);
                    let version = live.map_or_else(|| "v1".into(), |object| object.version.clone());
                    self.delete(&key, &version).await?;
                }
            }
        }
        Ok(())
    }
}

/// A revision as a primary's annotation has it.
fn marked(revision: &Revision) -> String {
    // A value of our own types always has a JSON form.
    serde_json::to_string(revision).unwrap_or_default()
}

/// Flagger puts a random number there; the version says as much, and says the same after a crash.
fn rollout_id(revision: &Revision) -> String {
    revision.checksum()
}
