//! What a canary says of a workload that git wants: who counts its pods, and whether its newest version has proved
//! itself. The sync engine asks: it must neither fight over replicas nor go on before the canary has ended.

use super::super::Daemon;
use super::super::queue::Priority;
use super::see::{REPLICAS, Seen};
use crate::api::flagger::Canary;
use crate::canary::generated::target;
use crate::canary::record::{Record, State};
use crate::canary::settings::TargetKind;
use crate::canary::wave::{self, Progress};
use crate::canary::{Action, Decision, Revision};
use crate::health::{Health, Verdict};
use crate::live::watch::Judgement;
use crate::object::{Object, ObjectKey};

/// A canary's word about its target.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Whose.
    pub canary: ObjectKey,
    /// The target's number of pods is the canary's business.
    pub owns_replicas: bool,
}

/// An object as it is applied while a canary counts its pods: what git says of them is written beside, for the canary.
/// A field that nobody applies stays as it is.
pub fn yielded(object: &Object) -> Object {
    let mut yielded = object.clone();
    let spec = yielded.body.get_mut("spec").and_then(serde_json::Value::as_object_mut);
    if let Some(replicas) = spec.and_then(|spec| spec.shift_remove("replicas")) {
        yielded.set_annotation(REPLICAS, &replicas.to_string());
    }
    yielded
}

/// Notes what a decision means for the target.
pub(super) fn note(daemon: &Daemon, key: &ObjectKey, canary: &Canary, seen: &Seen, decision: &Decision) {
    let (Some(object), Some(revision)) = (&seen.target, &seen.revision) else { return };
    let Ok(kind) = target::kind(canary) else { return };
    let record = &decision.record;
    let starts = matches!(record.state, State::Initializing { .. } | State::Stillborn { .. });
    let scales = decision.actions.iter().any(|action| matches!(action, Action::ScaleTarget(_)));
    let owns_replicas = kind == TargetKind::Deployment && (!starts || scales);
    let word = |verdict| Judgement {
        verdict,
        generation: object.body["metadata"]["generation"].as_i64().unwrap_or(0),
        unseen: Verdict {
            status: Health::Progressing,
            message: format!("canary {} has not looked at it yet", key.name).into(),
        },
    };
    let judgement = word(verdict(key, canary.spec.suspend, record, revision));
    daemon.destinations.own().store.judge(&object.key, Some(judgement));
    if daemon.canaries.note(object.key.clone(), Claim { canary: key.clone(), owns_replicas }) {
        // Whoever applies the target has to leave the field alone from now on.
        look_again(daemon, &object.key);
    }
}

/// Has the application looked at that applies an object.
pub(super) fn look_again(daemon: &Daemon, object: &ObjectKey) {
    let record = daemon.destinations.own().store.get(object);
    let part_of = record.as_deref().and_then(|record| record.part_of.as_deref());
    if let Some(application) = part_of.and_then(|part_of| daemon.application_of(part_of)) {
        daemon.queue.push(&application, Priority::Drift);
    }
}

/// How the target counts in this version: a canary knows whether it has proved itself, the target only that it is there.
fn verdict(key: &ObjectKey, is_suspended: bool, record: &Record, revision: &Revision) -> Verdict {
    let name = format!("canary {}", key.name);
    let (status, message) = match wave::progress(record, revision) {
        _ if is_suspended => (Health::Suspended, format!("{name} is suspended")),
        Progress::Done => (Health::Healthy, String::new()),
        Progress::Failed(why) => (Health::Degraded, format!("{name} failed: {why}")),
        Progress::Underway { waits_for, .. } => (Health::Progressing, format!("{name} waits for {waits_for}")),
    };
    Verdict { status, message: message.into() }
}
