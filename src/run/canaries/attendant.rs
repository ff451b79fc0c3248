//! Who looks after one canary: looks when something of it has changed, or when its machine wants to be asked again.
//!
//! **In:** a canary's name, its bell. **Out:** what [`decide`] decides, saved, done and told, in this order: who starts again
//! after `kill -9` knows what was decided. **May not:** decide.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use smol_str::SmolStr;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::super::Daemon;
use super::super::look::now;
use super::attending::Signals;
use super::claim::{self, Looked};
use super::tell::{self, Teller};
use super::{act, ask, blame, heed, rollback, see};
use crate::api::flagger::{Canary, CanaryStatus, VERSION};
use crate::canary::generated::Flags;
use crate::canary::record::{self, Record};
use crate::canary::world::Answers;
use crate::canary::{Action, Decision, Refusal, Settings, decide, status};
use crate::git::Oid;
use crate::live::client::{self, Part};
use crate::object::ObjectKey;

/// After a failed request, and while it fails again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Between a change and the look at it.
const QUIET: Duration = Duration::from_millis(50);

/// How old what was seen may be when the next question about it is decided.
const FRESH: Duration = Duration::from_secs(1);

/// Looks after a canary until it is gone.
pub(super) fn spawn(daemon: &Arc<Daemon>, key: ObjectKey, Signals { bell, gone }: Signals) {
    let attendant = Attendant {
        daemon: daemon.clone(),
        key,
        answers: Answers::default(),
        teller: Teller::default(),
        taken_back: None,
    };
    daemon.tasks.spawn(async move {
        tokio::select! {
            () = gone.cancelled() => {}
            () = attendant.attend(&bell) => {}
        }
    });
}

/// Who looks after one canary.
struct Attendant {
    daemon: Arc<Daemon>,
    key: ObjectKey,
    /// To the questions of the record that is in force.
    answers: Answers,
    teller: Teller,
    /// The commit that was taken back last, or cannot be: that is told once.
    taken_back: Option<Oid>,
}

/// When a canary is looked at again although nothing has changed.
enum Again {
    Now,
    At(Timestamp),
    WhenItChanges,
}

impl Again {
    fn after(wait: Duration) -> Self {
        Again::At(now() + SignedDuration::try_from(wait).unwrap_or_default())
    }
}

impl Attendant {
    async fn attend(mut self, bell: &Notify) {
        let mut pause = FIRST_PAUSE;
        loop {
            // Nobody closes it; without a permit it would only look at the same time as others.
            let permit = self.daemon.canaries.eyes.clone().acquire_owned().await.ok();
            // On the heap, and only while it looks: of a thousand that wait each would hold the room for a look.
            let looked = Box::pin(self.look(bell, permit)).await;
            self.daemon.canaries.attending.lock().know(&self.key);
            let again = match looked {
                Ok(again) => {
                    pause = FIRST_PAUSE;
                    again
                }
                Err(error) => {
                    let namespace = self.key.namespace.as_deref().unwrap_or_default();
                    warn!(canary = %self.key.name, namespace, %error, "Canary not looked at");
                    let again = Again::after(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    again
                }
            };
            match again {
                Again::Now => continue,
                Again::WhenItChanges => bell.notified().await,
                Again::At(time) => {
                    let wait = Duration::try_from(time.duration_since(now())).unwrap_or_default();
                    tokio::select! {
                        () = bell.notified() => {}
                        () = tokio::time::sleep(wait) => continue,
                    }
                }
            }
            // A roll-out changes many objects at once: one look sees them all.
            tokio::time::sleep(QUIET).await;
        }
    }

    /// Looks once: sees, decides, saves, acts, tells.
    async fn look(&mut self, bell: &Notify, mut permit: Option<OwnedSemaphorePermit>) -> Result<Again, client::Error> {
        let begun = Instant::now();
        let Some(canary) = self.canary().await? else { return Ok(Again::WhenItChanges) };
        let flags = Flags::default();
        let may_act = self.daemon.canaries.may_be_acted_on();
        let settings = match Settings::new(&canary, flags.provider) {
            Ok(settings) => Arc::new(settings),
            Err(refusal) => {
                if may_act {
                    self.refuse(&canary, &refusal).await?;
                }
                return Ok(Again::WhenItChanges);
            }
        };
        let record = self.record(&canary, &settings, &flags).await?;
        let seen = see::see(&self.daemon, &canary, &settings, &flags, &record, &self.answers).await?;
        self.concern(&seen);
        let seen_at = Instant::now();
        let mut world = seen.world.clone();
        world.claimed_by = self.daemon.canaries.attending.lock().claimant(&self.key).map(SmolStr::new);
        if !may_act {
            if world.claimed_by.is_none() {
                let looked = Looked { canary: &canary, seen: &seen, record: &record, actions: &[] };
                claim::note(&self.daemon, &self.key, &looked, blame::noted(&canary));
            }
            return Ok(Again::WhenItChanges);
        }
        let decision = loop {
            let decision = decide(&settings, &record, &world, now());
            debug!(canary = %self.key.name, ?decision, "Decided");
            let Some(question) = act::question(&decision) else { break decision };
            drop(permit.take());
            let asker = ask::Asker {
                daemon: &self.daemon,
                canary: &canary,
                settings: &settings,
                record: &record,
                revision: seen.revision.as_ref(),
                until: decision.wake,
                bell,
            };
            let is_answered = asker.answer(question, &mut self.answers).await?;
            if !is_answered || seen_at.elapsed() > FRESH {
                return Ok(Again::Now);
            }
            world.answers.clone_from(&self.answers);
        };
        let commit = match &seen.target {
            Some(target) if blame::begins(&record, &decision.record) => blame::brought_by(&self.daemon, &target.key),
            _ => blame::noted(&canary),
        };
        let changed = self.save(&canary, &record, &decision, commit).await?;
        self.answers = Answers::default();
        // Of a target that an older canary has only that one speaks.
        if world.claimed_by.is_none() {
            let Decision { record, actions, .. } = &decision;
            claim::note(&self.daemon, &self.key, &Looked { canary: &canary, seen: &seen, record, actions }, commit);
        }
        // Requests that fail meanwhile cannot be taken back, a word that comes later can wait.
        let acted = self.act(&canary, &seen, &flags, &decision).await;
        for event in &decision.events {
            self.teller.event(&self.daemon, &canary, &settings, &decision.record, event).await;
        }
        for alert in &decision.alerts {
            self.teller.alert(&self.daemon, &canary, &settings, alert);
        }
        tell::count(&self.daemon, &settings, &decision.record, &record);
        let subject = &settings.subject;
        self.daemon.metrics.canaries().looked(&subject.name, &subject.namespace, begun.elapsed());
        acted?;
        let handled = &mut self.taken_back;
        if let Err(rollback::TooEarly) =
            rollback::take_back(&self.daemon, &canary, &seen, &decision.record, handled).await
        {
            return Ok(Again::after(rollback::PAUSE));
        }
        Ok(match decision.wake {
            // What was written comes back as a change; what was only decided does not.
            _ if changed && decision.actions.is_empty() => Again::Now,
            Some(time) => Again::At(time),
            None => Again::WhenItChanges,
        })
    }

    /// Does what was decided, up to the first action that is refused.
    async fn act(
        &self,
        canary: &Canary,
        seen: &see::Seen,
        flags: &Flags,
        decision: &Decision,
    ) -> Result<(), client::Error> {
        for action in &decision.actions {
            act::act(&self.daemon, canary, seen, flags, &decision.record, action).await?;
        }
        Ok(())
    }

    /// The canary as it was written last.
    async fn canary(&self) -> Result<Option<Arc<Canary>>, client::Error> {
        let Some(body) = self.daemon.canaries.sights.find(&self.daemon.cluster, &self.key, VERSION).await? else {
            return Ok(None);
        };
        match crate::api::decode::<Canary>(&body) {
            Ok(canary) => Ok(Some(Arc::new(canary))),
            Err(error) => {
                warn!(canary = %self.key.name, %error, "Canary cannot be read");
                Ok(None)
            }
        }
    }

    /// What is remembered of it; of one that another controller has looked after, what its objects say.
    async fn record(&self, canary: &Canary, settings: &Settings, flags: &Flags) -> Result<Record, client::Error> {
        let status = canary.status.clone().unwrap_or_default();
        let annotations = canary.metadata.annotations.as_ref();
        if let Some(text) = annotations.and_then(|annotations| annotations.get(record::ANNOTATION)) {
            match Record::read(text, &status) {
                Ok(record) => return Ok(record),
                Err(error) => warn!(canary = %self.key.name, %error, "Looked at anew"),
            }
        }
        match see::adopted(&self.daemon, canary, settings, flags).await? {
            Some(record) => Ok(record),
            None => Ok(Record::new(now())),
        }
    }

    /// From now on these objects ring for it.
    fn concern(&self, seen: &see::Seen) {
        self.daemon.canaries.attending.lock().concern(&self.key, &seen.concerns);
        for kind in &seen.route_kinds {
            if self.daemon.canaries.routes.lock().insert(kind.clone()) {
                heed(&self.daemon, kind.clone());
            }
        }
    }

    async fn refuse(&self, canary: &Canary, refusal: &Refusal) -> Result<(), client::Error> {
        let before = canary.status.clone().unwrap_or_default();
        let status = status::refused(&before, refusal, now());
        if status != before {
            self.write_status(&before, &status).await?;
            tell::refusal(&self.daemon, canary, &refusal.to_string()).await;
        }
        Ok(())
    }

    /// Writes what has changed of record and status, and the commit whose version is tried; clears a wish that is granted.
    /// True when the record has changed.
    async fn save(
        &self,
        canary: &Canary,
        before: &Record,
        Decision { record, status, actions, .. }: &Decision,
        commit: Option<Oid>,
    ) -> Result<bool, client::Error> {
        let text = record.to_annotation();
        let annotations = canary.metadata.annotations.as_ref();
        let known = annotations.and_then(|annotations| annotations.get(record::ANNOTATION));
        let mut patch = json!({});
        if known != Some(&text) {
            patch["metadata"]["annotations"][record::ANNOTATION] = text.into();
        }
        if commit != blame::noted(canary) {
            patch["metadata"]["annotations"][blame::COMMIT] = commit.map(|commit| commit.to_string()).into();
        }
        if actions.contains(&Action::ClearWish) {
            for annotation in [see::ACTION, see::ACTOR] {
                patch["metadata"]["annotations"][annotation] = Value::Null;
            }
            // A wish that came meanwhile must not be lost: then all is decided anew.
            patch["metadata"]["resourceVersion"] = json!(canary.metadata.resource_version);
        }
        let finalizers = canary.metadata.finalizers.clone().unwrap_or_default();
        let is_held = finalizers.iter().any(|finalizer| finalizer == act::FINALIZER);
        if canary.spec.revert_on_deletion && !is_held && canary.metadata.deletion_timestamp.is_none() {
            patch["metadata"]["finalizers"] = finalizers.into_iter().chain([act::FINALIZER.to_owned()]).collect();
        }
        let changed = patch != json!({});
        if changed {
            self.write(Part::Whole, &patch).await?;
        }
        let known = canary.status.clone().unwrap_or_default();
        if known != *status {
            self.write_status(&known, status).await?;
        }
        Ok(changed && before != record)
    }

    async fn write_status(&self, before: &CanaryStatus, status: &CanaryStatus) -> Result<(), client::Error> {
        let as_value = |status: &CanaryStatus| serde_json::to_value(status).unwrap_or(Value::Null);
        let Some(change) = crate::sync::status::merge_patch(&as_value(before), &as_value(status)) else {
            return Ok(());
        };
        let patch = json!({"status": change});
        self.write(Part::Status, &patch).await
    }

    async fn write(&self, part: Part, patch: &Value) -> Result<(), client::Error> {
        let write = self.daemon.cluster.merge_patch(&self.key, VERSION, part, patch);
        self.daemon.canaries.sights.write(&self.key, write).await.map(drop)
    }
}
