//! Hooks that are run as Jobs: the Job that asks, and what its end says.
//!
//! **In:** a hook with a `template`, and what is asked. **Out:** the Job; of a live one, the answer. **May not:** do I/O,
//! read a clock. A question has one name for ever, so that a Job is found again after a crash and never run twice.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::Weight;
use super::webhook::About;
use super::world::HookAnswer;
use crate::api::flagger::{HookType, Webhook};
use crate::object::Object;

/// How long a Job may take that says nothing else: pods have to be scheduled and images to be pulled.
pub const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(300);
/// How long a Job stays when it has ended, if it does not say: its logs are of interest until then.
const KEPT: u32 = 3600;
/// On a Job: the canary that asks.
pub const CANARY_LABEL: &str = "canary.leeboard.dev/canary";
/// On a Job: the hook that it answers.
const HOOK_ANNOTATION: &str = "canary.leeboard.dev/hook";
/// The longest name that a Job can have and still be a label of its pods.
const LONGEST_NAME: usize = 63;

/// Why a template makes no Job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its `template` has neither `spec.template.spec.containers` (a Job's) nor `spec.containers` (a pod's)")]
pub struct NoPods;

/// What is asked of a Job.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who asks, and where it stands.
    pub about: About<'a>,
    /// `metadata.uid` of the Canary.
    pub uid: &'a str,
    /// When the run began, or the canary came to where it stands.
    pub began: Timestamp,
    /// When the hook is asked.
    pub moment: HookType,
    /// Which check.
    pub check: u32,
    /// The canary's share of the traffic.
    pub weight: Weight,
    /// The apex Service.
    pub service: &'a str,
    /// Its port.
    pub port: i32,
}

/// True for a hook that is run and not called.
pub fn is_run(hook: &Webhook) -> bool {
    hook.moment == HookType::Job || (hook.url.is_empty() && hook.template.is_some())
}

/// How long a hook's Job may take.
pub fn timeout(hook: &Webhook) -> std::time::Duration {
    if hook.timeout.is_some() { hook.timeout() } else { TIMEOUT }
}

/// The Job that asks.
///
/// # Errors
/// When the template has no pods.
pub fn job(hook: &Webhook, asked: &Asked<'_>) -> Result<Object, NoPods> {
    let template = hook.template.clone().unwrap_or_default();
    let is_pods = template.get("spec").is_some_and(|spec| spec["containers"].is_array());
    let own = template.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    let (mut metadata, mut spec) = if is_pods {
        (Map::new(), Map::from_iter([("template".to_owned(), Value::from(template))]))
    } else {
        let spec = template.get("spec").and_then(Value::as_object).cloned().unwrap_or_default();
        (own, spec)
    };
    let pods = spec.get_mut("template").and_then(|pods| pods["spec"].as_object_mut()).ok_or(NoPods)?;
    if !pods.get("containers").is_some_and(Value::is_array) {
        return Err(NoPods);
    }
    pods.entry("restartPolicy").or_insert("Never".into());
    for containers in ["initContainers", "containers"] {
        for container in pods.get_mut(containers).and_then(Value::as_array_mut).into_iter().flatten() {
            tell(container, asked);
        }
    }
    let seconds = timeout(hook).as_secs().max(1);
    spec.entry("activeDeadlineSeconds").or_insert(seconds.into());
    spec.entry("backoffLimit").or_insert(hook.retries.max(0).into());
    spec.entry("ttlSecondsAfterFinished").or_insert(KEPT.into());

    let About { name, namespace, .. } = asked.about;
    let given = |metadata: &Map<String, Value>, field: &str| {
        metadata.get(field).and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let (mut labels, mut annotations) = (given(&metadata, "labels"), given(&metadata, "annotations"));
    if name.len() <= LONGEST_NAME {
        labels.insert(CANARY_LABEL.into(), name.into());
    }
    annotations.insert(HOOK_ANNOTATION.into(), format!("{} {}", asked.moment.as_str(), hook.name).into());
    metadata.clear();
    metadata.insert("name".into(), job_name(hook, asked).into());
    metadata.insert("namespace".into(), namespace.into());
    metadata.insert("labels".into(), labels.into());
    metadata.insert("annotations".into(), annotations.into());
    let owner = json!({"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": name, "uid": asked.uid});
    metadata.insert("ownerReferences".into(), json!([owner]));
    let body = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec});
    Object::from_value(body, None).map_err(|_| NoPods)
}

/// `<canary>-<hook>-<hash>`, where the hash is of all that makes the question this one.
fn job_name(hook: &Webhook, asked: &Asked<'_>) -> String {
    let mut hash = Sha256::new();
    let run = format!("{} {}", asked.began, asked.about.revision.map(super::Revision::checksum).unwrap_or_default());
    for part in [asked.uid, &run, asked.moment.as_str(), &hook.name, &asked.check.to_string()] {
        hash.update(part);
        hash.update([0]);
    }
    let hash: String = hash.finalize().iter().take(5).map(|byte| format!("{byte:02x}")).collect();
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let readable: String = format!("{}-{}", asked.about.name, hook.name).chars().map(plain).collect();
    let room = LONGEST_NAME - hash.len() - 1;
    let readable = readable[..readable.len().min(room)].trim_matches('-');
    format!("{readable}-{hash}")
}

/// Tells a container what it is asked. What the user has set under such a name stays.
fn tell(container: &mut Value, asked: &Asked<'_>) {
    let Some(container) = container.as_object_mut() else { return };
    let env = container.entry("env").or_insert_with(|| json!([]));
    let Some(env) = env.as_array_mut() else { return };
    let About { name, namespace, phase, revision } = asked.about;
    let url = |role: &str| format!("http://{}-{role}.{namespace}:{}", asked.service, asked.port);
    let told = [
        ("CANARY", name.to_owned()),
        ("NAMESPACE", namespace.to_owned()),
        ("PHASE", phase.as_str().to_owned()),
        ("CHECKSUM", revision.map(super::Revision::checksum).unwrap_or_default()),
        ("WEIGHT", asked.weight.to_string()),
        ("PRIMARY_URL", url("primary")),
        ("CANARY_URL", url("canary")),
        ("REVISION", revision.map(ToString::to_string).unwrap_or_default()),
    ];
    let is_set = |name: &str, env: &[Value]| env.iter().any(|variable| variable["name"] == name);
    let mut ours = Vec::new();
    for (name, value) in told {
        let name = format!("LEEBOARD_{name}");
        if !is_set(&name, env) {
            ours.push(json!({"name": name, "value": value}));
        }
    }
    // First, since the user's own may refer to them.
    env.splice(0..0, ours);
}

/// What a Job says; nothing while it runs.
pub fn answer(job: &Value, hook: &Webhook, now: Timestamp) -> Option<HookAnswer> {
    let name = job["metadata"]["name"].as_str().unwrap_or_default();
    for condition in job["status"]["conditions"].as_array().into_iter().flatten() {
        match (condition["type"].as_str(), condition["status"].as_str()) {
            (Some("Complete"), Some("True")) => return Some(HookAnswer::Passed),
            (Some("Failed"), Some("True")) => {
                let text = |field: &str| condition[field].as_str().unwrap_or_default();
                return Some(HookAnswer::Refused(format!("Job {name}: {}: {}", text("reason"), text("message"))));
            }
            _ => {}
        }
    }
    (now >= deadline(job, hook))
        .then(|| HookAnswer::Refused(format!("timeout: Job {name} has not ended within {:?}", timeout(hook))))
}

/// When nobody waits for a Job any longer.
pub fn deadline(job: &Value, hook: &Webhook) -> Timestamp {
    let made = job["metadata"]["creationTimestamp"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let patience = SignedDuration::try_from(timeout(hook)).unwrap_or(SignedDuration::MAX);
    made.and_then(|made| made.checked_add(patience).ok()).unwrap_or(Timestamp::MAX)
}

/// How the last of a Job's pods ended: `exit code 1: message`.
pub fn last_words(pods: &[Value]) -> Option<String> {
    let ended = pods.iter().flat_map(|pod| {
        let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
        statuses.filter_map(|status| status["state"]["terminated"].as_object())
    });
    let failed = ended.filter(|ended| ended.get("exitCode").and_then(Value::as_i64).is_some_and(|code| code != 0));
    let last = failed.max_by_key(|ended| ended.get("finishedAt").and_then(Value::as_str).map(str::to_owned))?;
    let message = last.get("message").and_then(Value::as_str).unwrap_or_default().trim();
    let code = last.get("exitCode").and_then(Value::as_i64).unwrap_or_default();
    Some(if message.is_empty() { format!("exit code {code}") } else { format!("exit code {code}: {message}") })
}

#[cfg(test)]
mod tests {
    use super::super::Revision;
    use super::*;
    use crate::api::flagger::Phase;

    const NOW: &str = "2026-11-21T10:00:00Z";

    fn asked(revision: &Revision, check: u32) -> Asked<'_> {
        Asked {
            about: About { name: "web", namespace: "shop", phase: Phase::Progressing, revision: Some(revision) },
            uid: "0-1",
            began: NOW.parse().unwrap(),
            moment: HookType::Rollout,
            check,
            weight: Weight::new(30).unwrap(),
            service: "web",
            port: 80,
        }
    }

    fn hook(template: &Value) -> Webhook {
        let template = template.as_object().cloned();
        Webhook { moment: HookType::Job, name: "Load test".into(), template, ..Webhook::default() }
    }

    fn revision() -> Revision {
        Revision { template: "lb1:b".into(), configs: "".into() }
    }

    #[test]
    fn a_template_becomes_a_job_that_knows_what_it_is_asked() {
        let env = json!([{"name": "LEEBOARD_WEIGHT", "value": "mine"}]);
        let pod = json!({"spec": {"containers": [{"name": "k6", "image": "k6:1", "env": env}]}});
        let revision = revision();
        let expected = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {
                "name": "web-load-test-a5dc6f0c40", "namespace": "shop",
                "labels": {CANARY_LABEL: "web"}, "annotations": {HOOK_ANNOTATION: "rollout Load test"},
                "ownerReferences": [{"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "name": "web", "uid": "0-1"}],
            },
            "spec": {
                "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "k6", "image": "k6:1", "env": [
                    {"name": "LEEBOARD_CANARY", "value": "web"},
                    {"name": "LEEBOARD_NAMESPACE", "value": "shop"},
                    {"name": "LEEBOARD_PHASE", "value": "Progressing"},
                    {"name": "LEEBOARD_CHECKSUM", "value": revision.checksum()},
                    {"name": "LEEBOARD_PRIMARY_URL", "value": "http://web-primary.shop:80"},
                    {"name": "LEEBOARD_CANARY_URL", "value": "http://web-canary.shop:80"},
                    {"name": "LEEBOARD_REVISION", "value": "lb1:b"},
                    {"name": "LEEBOARD_WEIGHT", "value": "mine"},
                ]}]}},
                "activeDeadlineSeconds": 300, "backoffLimit": 0, "ttlSecondsAfterFinished": 3600,
            },
        });
        let made = job(&hook(&pod), &asked(&revision, 4)).unwrap();
        assert_eq!(made.body, expected);
        // The same in a Job's own form.
        let made = job(&hook(&json!({"spec": {"template": pod}})), &asked(&revision, 4)).unwrap();
        assert_eq!(made.body, expected);
    }

    #[test]
    fn what_a_template_says_itself_counts() {
        let template = json!({
            "metadata": {"name": "mine", "labels": {"team": "a"}},
            "spec": {"backoffLimit": 3, "ttlSecondsAfterFinished": 5, "activeDeadlineSeconds": 7,
                     "template": {"spec": {"restartPolicy": "OnFailure", "containers": []}}},
        });
        let body = job(&hook(&template), &asked(&revision(), 0)).unwrap().body;
        assert_eq!(body["metadata"]["labels"], json!({"team": "a", CANARY_LABEL: "web"}));
        assert!(body["metadata"]["name"].as_str().unwrap().starts_with("web-load-test-"), "{body}");
        let spec = &body["spec"];
        let found = (&spec["backoffLimit"], &spec["ttlSecondsAfterFinished"], &spec["activeDeadlineSeconds"]);
        assert_eq!(found, (&json!(3), &json!(5), &json!(7)));
        assert_eq!(spec["template"]["spec"]["restartPolicy"], "OnFailure");
    }

    #[test]
    fn what_has_no_pods_is_refused() {
        for template in
            [json!({}), json!({"spec": {}}), json!({"spec": {"template": {"spec": {}}}}), json!({"spec": 1})]
        {
            assert_eq!(job(&hook(&template), &asked(&revision(), 0)), Err(NoPods), "{template}");
        }
    }

    #[test]
    fn each_question_has_a_name_of_its_own_and_keeps_it() {
        let (first, other) = (revision(), Revision { template: "lb1:c".into(), configs: "".into() });
        let hook = hook(&json!({}));
        let name = job_name(&hook, &asked(&first, 1));
        assert_eq!(name, job_name(&hook, &asked(&first, 1)));
        let later = Asked { began: Timestamp::UNIX_EPOCH, ..asked(&first, 1) };
        let gate = Asked { moment: HookType::ConfirmRollout, ..asked(&first, 1) };
        let another = Webhook { name: "load-test".into(), ..hook.clone() };
        for found in [
            job_name(&hook, &asked(&first, 2)),
            job_name(&hook, &asked(&other, 1)),
            job_name(&hook, &later),
            job_name(&hook, &gate),
            job_name(&another, &asked(&first, 1)),
        ] {
            assert_ne!(found, name);
        }
        let long = Webhook { name: "ä".repeat(80), ..hook };
        assert!(job_name(&long, &asked(&first, 1)).len() <= LONGEST_NAME);
    }

    #[test]
    fn the_end_of_a_job_is_the_answer() {
        let refused = |text: &str| Some(HookAnswer::Refused(text.into()));
        let failed =
            json!([{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "too often"}]);
        let cases = [
            // conditions, made before so many seconds, answer
            (json!([]), 10, None),
            (json!([{"type": "Complete", "status": "True"}]), 500, Some(HookAnswer::Passed)),
            (json!([{"type": "SuccessCriteriaMet", "status": "True"}]), 10, None),
            (failed, 10, refused("Job j: BackoffLimitExceeded: too often")),
            (json!([{"type": "Failed", "status": "False"}]), 10, None),
            (json!([]), 300, refused("timeout: Job j has not ended within 300s")),
        ];
        let now: Timestamp = NOW.parse().unwrap();
        for (conditions, seconds, expected) in cases {
            let made = now - SignedDuration::from_secs(seconds);
            let job = json!({"metadata": {"name": "j", "creationTimestamp": made.to_string()},
                             "status": {"conditions": conditions}});
            assert_eq!(answer(&job, &hook(&json!({})), now), expected, "{job}");
        }
    }

    #[test]
    fn the_last_failed_container_has_the_last_word() {
        let pod = |code: i64, message: &str, at: &str| {
            json!({"status": {"containerStatuses": [
                {"state": {"terminated": {"exitCode": code, "message": message, "finishedAt": at}}}]}})
        };
        let pods = [pod(2, "slow", "2026-11-21T10:00:05Z"), pod(1, "", "2026-11-21T10:00:01Z"), pod(0, "", NOW)];
        assert_eq!(last_words(&pods).as_deref(), Some("exit code 2: slow"));
        assert_eq!(last_words(&pods[1..]).as_deref(), Some("exit code 1"));
        assert_eq!(last_words(&pods[2..]), None);
    }
}
