//! What a canary says of objects that git wants: who counts a workload's pods, where its Service leads, and whether the
//! newest version has proved itself. The sync engine asks: it must neither fight over these fields nor go on before the
//! canary has ended.

use std::sync::Arc;

use serde_json::Value;
use smol_str::SmolStr;

use super::super::Daemon;
use super::super::queue::Priority;
use super::blame;
use super::guard::Guard;
use super::lane::Lane;
use super::see::{REPLICAS, Seen};
use crate::api::flagger::Canary;
use crate::canary::generated::services::Role;
use crate::canary::generated::target;
use crate::canary::record::{Record, State};
use crate::canary::settings::TargetKind;
use crate::canary::wave::{self, Progress};
use crate::canary::{Action, Revision};
use crate::git::Oid;
use crate::health::{Health, Verdict};
use crate::live::watch::{self, Judgement};
use crate::object::{Object, ObjectKey};

/// A canary's word about an object that git may want too.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Whose.
    pub canary: ObjectKey,
    /// What of it is the canary's business.
    pub owns: Fields,
}

/// The fields that a canary owns.
#[derive(Clone, Debug, PartialEq)]
pub enum Fields {
    /// The number of a target's pods.
    Replicas,
    /// Where the apex Service leads, and by which port.
    Lead {
        /// Its number.
        port: i32,
    },
    /// Where the rules of a route lead, by which share.
    Route(Box<Lane>),
}

/// An object as it is applied while a canary owns some of its fields: a field that nobody applies stays as it is. What git
/// says of the replicas is written beside, for the canary.
pub fn yielded(object: &Object, owns: &Fields) -> Object {
    if let Fields::Route(lane) = owns {
        return lane.within(object);
    }
    let mut yielded = object.clone();
    let Some(spec) = yielded.body.get_mut("spec").and_then(Value::as_object_mut) else { return yielded };
    match owns {
        Fields::Route(_) => {}
        Fields::Replicas => {
            if let Some(replicas) = spec.shift_remove("replicas") {
                yielded.set_annotation(REPLICAS, &replicas.to_string());
            }
        }
        Fields::Lead { port } => {
            spec.shift_remove("selector");
            if let Some(ports) = spec.get_mut("ports").and_then(Value::as_array_mut) {
                ports.retain(|other| other["port"] != *port);
                if ports.is_empty() {
                    spec.shift_remove("ports");
                }
            }
        }
    }
    yielded
}

/// What is known of a canary after a look at it.
pub(super) struct Looked<'a> {
    pub(super) canary: &'a Arc<Canary>,
    pub(super) seen: &'a Seen,
    pub(super) record: &'a Record,
    /// What is done next.
    pub(super) actions: &'a [Action],
}

/// Notes what a look means for the target, for the Service that leads to it, and for routes that the canary has not made.
pub(super) fn note(
    daemon: &Daemon,
    key: &ObjectKey,
    Looked { canary, seen, record, actions }: &Looked<'_>,
    brought_by: Option<Oid>,
) {
    let (Some(object), Some(revision)) = (&seen.target, &seen.revision) else { return };
    let Ok(kind) = target::kind(canary) else { return };
    let starts = matches!(record.state, State::Initializing { .. } | State::Stillborn { .. });
    let scales = actions.iter().any(|action| matches!(action, Action::ScaleTarget(_)));
    let owns_replicas = kind == TargetKind::Deployment && (!starts || scales);
    let pull = brought_by.and_then(|commit| blame::pull(canary, commit));
    let verdict = verdict(key, canary.spec.suspend, record, revision, pull);
    judge(daemon, key, seen, &verdict, (brought_by, pull));
    if owns_replicas {
        claim(daemon, &object.key, Claim { canary: key.clone(), owns: Fields::Replicas });
    }
    let leads = actions.contains(&Action::LeadApexToPrimary);
    if kind.is_scaled() && (!starts || leads) {
        let name = Role::Apex.service_name(canary).into();
        let apex = ObjectKey { group: "".into(), kind: "Service".into(), name, ..object.key.clone() };
        let owns = Fields::Lead { port: canary.spec.service.port };
        claim(daemon, &apex, Claim { canary: key.clone(), owns });
    }
    if let Some((lane, routes)) = Lane::of(canary, seen, record, actions, starts) {
        for route in routes {
            let owns = Fields::Route(Box::new(lane.clone()));
            claim(daemon, &route, Claim { canary: key.clone(), owns });
        }
    }
}

/// Says of target and configs how the version stands that is made of them; which commit brought it, and what asks to take
/// that back.
fn judge(
    daemon: &Daemon,
    key: &ObjectKey,
    seen: &Seen,
    verdict: &Verdict,
    (brought_by, pull): (Option<Oid>, Option<&str>),
) {
    let Some(target) = &seen.target else { return };
    let store = &daemon.destinations.own().store;
    let message = format!("canary {} has not looked at it yet", key.name).into();
    let unseen = Verdict { status: Health::Progressing, message };
    let say = |object: &ObjectKey, seen: watch::Seen, verdict: &Verdict| {
        store.judge(object, key, Some(Judgement { verdict: verdict.clone(), seen, unseen: unseen.clone() }));
    };
    let generation = target.body["metadata"]["generation"].as_i64().unwrap_or(0);
    say(&target.key, watch::Seen::Generation(generation), verdict);
    // That a version failed is said of the target alone: a config that stays is not to blame in the next one.
    let content = Verdict { status: Health::Healthy, message: "".into() };
    let of_configs = if verdict.status == Health::Degraded { &content } else { verdict };
    for config in seen.tracked.objects() {
        let version = config.body["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        say(&config.key, watch::Seen::ResourceVersion(version.into()), of_configs);
    }
    let configs = seen.tracked.objects().map(|config| config.key.clone()).collect();
    let guard = Guard { target: target.key.clone(), configs, brought_by, pull: pull.map(SmolStr::new) };
    for left in daemon.canaries.guards.lock().set(key, guard) {
        store.judge(&left, key, None);
    }
}

/// Who applies the object has to leave the fields alone from now on.
fn claim(daemon: &Daemon, object: &ObjectKey, claim: Claim) {
    if daemon.canaries.note(object.clone(), claim) {
        look_again(daemon, object);
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
/// `pull` asks to take back in git what has failed.
fn verdict(key: &ObjectKey, is_suspended: bool, record: &Record, revision: &Revision, pull: Option<&str>) -> Verdict {
    let name = format!("canary {}", key.name);
    let (status, message) = match wave::progress(record, revision) {
        _ if is_suspended => (Health::Suspended, format!("{name} is suspended")),
        Progress::Done => (Health::Healthy, String::new()),
        Progress::Failed(why) => {
            let answer = pull.map(|pull| format!("; {pull} asks to take it back")).unwrap_or_default();
            (Health::Degraded, format!("{name} failed: {why}{answer}"))
        }
        Progress::Underway { waits_for, .. } => (Health::Progressing, format!("{name} waits for {waits_for}")),
    };
    Verdict { status, message: message.into() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_canary_owns_is_left_to_it() {
        let port = |number: u32| json!({"port": number, "targetPort": 8080});
        let service =
            |spec: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec});
        let cases = [
            (json!({"replicas": 3, "paused": false}), Fields::Replicas, json!({"paused": false})),
            (
                json!({"selector": {"app": "web"}, "ports": [port(80), port(81)], "type": "NodePort"}),
                Fields::Lead { port: 80 },
                json!({"ports": [port(81)], "type": "NodePort"}),
            ),
            (json!({"selector": {"app": "web"}, "ports": [port(80)]}), Fields::Lead { port: 80 }, json!({})),
        ];
        for (spec, owns, left) in cases {
            let object = Object::from_value(service(spec), None).unwrap();
            let yielded = yielded(&object, &owns);
            assert_eq!(yielded.body["spec"], left, "{owns:?}");
            assert_eq!(yielded.annotation(REPLICAS), (owns == Fields::Replicas).then_some("3"));
        }
    }
}
