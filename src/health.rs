//! Is an object healthy: one verdict from what it says of itself.
//!
//! **In:** a live object as JSON; only `metadata` (without its managed fields), `spec` and `status` are read.
//! **Out:** a [`Verdict`], or nothing for kinds that have no health. **May not:** do I/O, read a clock.
//!
//! Rules: Argo CD 3.x for built-in kinds (`builtin`), word for word, since people search for the messages; a
//! table of well-known custom kinds (`table`); kstatus for all others (`kstatus`). One deviation: a child Application has a health, its own, so that waves of an app of
//! apps wait for it without a setting.

mod builtin;
mod fields;
mod kstatus;
mod table;

use std::fmt;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::Value;

use self::fields::Fields;
use crate::api::argo::HealthStatus;
use crate::object::{ObjectKey, annotation};

/// From best to worst; an application is as healthy as its worst object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// Does what it should.
    Healthy,
    /// Paused by a person.
    Suspended,
    /// On its way.
    Progressing,
    /// Not in the cluster.
    Missing,
    /// Failed, and won't get better by waiting.
    Degraded,
    /// Could not be judged.
    Unknown,
}

impl Health {
    /// Reads the word of Argo CD's status fields.
    pub fn parse(word: &str) -> Option<Self> {
        use Health::{Degraded, Healthy, Missing, Progressing, Suspended, Unknown};
        [Healthy, Suspended, Progressing, Missing, Degraded, Unknown].into_iter().find(|health| health.as_str() == word)
    }

    /// The word of Argo CD's status fields.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Healthy => "Healthy",
            Health::Suspended => "Suspended",
            Health::Progressing => "Progressing",
            Health::Missing => "Missing",
            Health::Degraded => "Degraded",
            Health::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How an object is, and the sentence that says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The state.
    pub status: Health,
    /// Empty when there is nothing to add.
    pub message: Box<str>,
}

impl FromStr for Health {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Health::parse(word).ok_or(UnknownWord)
    }
}

/// A word that is no [`Health`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `Healthy`, `Suspended`, `Progressing`, `Missing`, `Degraded` or `Unknown`")]
pub struct UnknownWord;

impl Verdict {
    /// A state and the sentence that says why; an empty one where there is nothing to add.
    pub fn new(status: Health, message: impl Into<Box<str>>) -> Self {
        Verdict { status, message: message.into() }
    }

    /// As an Application's status reports it.
    pub fn to_status(&self, since: Option<Time>) -> HealthStatus {
        HealthStatus {
            status: Some(self.status.as_str().to_owned()),
            message: self.message.to_string(),
            last_transition_time: since,
        }
    }
}

/// How a live object is; `None` for kinds that have no health, as a ConfigMap.
pub fn verdict(object: &Value) -> Option<Verdict> {
    let object = Fields(object);
    if object.is_deleting() && !object.has_finalizer(annotation::HOOK_FINALIZER) {
        return Some(Verdict::new(Health::Progressing, "Pending deletion"));
    }
    builtin::verdict(object).unwrap_or_else(|| Some(table::verdict(object).unwrap_or_else(|| kstatus::verdict(object))))
}

/// One managed object, as far as its application's health goes. Hooks are no parts, nor is the application itself.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Which object.
    pub key: &'a ObjectKey,
    /// Whether the cluster has it.
    pub is_live: bool,
    /// Annotation `argocd.argoproj.io/ignore-healthcheck: "true"` on the live object.
    pub is_ignored: bool,
    /// `None` for kinds that have no health, and for objects that are not live.
    pub verdict: Option<&'a Verdict>,
}

/// How an application is: as its worst part, with the names of those that are so.
///
/// Objects that the cluster does not have count only when it has none at all: that it lacks some is what the sync
/// status says. A child Application that is missing or unknown does not count either.
pub fn application<'a>(parts: impl IntoIterator<Item = Part<'a>>) -> Verdict {
    let (mut worst, mut causes) = (Health::Healthy, Vec::new());
    let (mut any, mut any_live) = (false, false);
    for part in parts {
        any = true;
        any_live |= part.is_live;
        let Some(verdict) = part.verdict.filter(|_| part.is_live && !part.is_ignored) else { continue };
        if is_child_application(part.key) && matches!(verdict.status, Health::Missing | Health::Unknown) {
            continue;
        }
        if verdict.status > worst {
            worst = verdict.status;
            causes.clear();
        }
        if verdict.status == worst && worst != Health::Healthy {
            causes.push(part.key);
        }
    }
    if any && !any_live {
        return Verdict::new(Health::Missing, "");
    }
    Verdict::new(worst, blame(&causes))
}

fn is_child_application(key: &ObjectKey) -> bool {
    key.group == "argoproj.io" && key.kind == "Application"
}

/// `Caused by apps/Deployment:shop/web, Pod:shop/x and 2 more`
fn blame(causes: &[&ObjectKey]) -> String {
    const SHOWN: usize = 3;
    if causes.is_empty() {
        return String::new();
    }
    let mut text = "Caused by ".to_owned();
    for (index, key) in causes.iter().take(SHOWN).enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        if !key.group.is_empty() {
            text.push_str(&key.group);
            text.push('/');
        }
        text.push_str(&key.kind);
        text.push(':');
        if let Some(namespace) = &key.namespace {
            text.push_str(namespace);
            text.push('/');
        }
        text.push_str(&key.name);
    }
    if causes.len() > SHOWN {
        text.push_str(&format!(" and {} more", causes.len() - SHOWN));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(group: &str, kind: &str, name: &str) -> ObjectKey {
        ObjectKey { group: group.into(), kind: kind.into(), namespace: Some("shop".into()), name: name.into() }
    }

    #[test]
    fn the_states_are_ordered_from_best_to_worst() {
        use Health::*;
        let order = [Healthy, Suspended, Progressing, Missing, Degraded, Unknown];
        assert!(order.is_sorted());
        for health in order {
            assert_eq!(health.as_str().parse(), Ok(health));
        }
        assert_eq!("healthy".parse::<Health>(), Err(UnknownWord));
    }

    #[test]
    fn an_application_is_as_its_worst_object() {
        use Health::*;
        let web = key("apps", "Deployment", "web");
        let child = key("argoproj.io", "Application", "child");
        let config = key("", "ConfigMap", "config");
        // Per object: key, live, ignored, health.
        type Given<'a> = &'a [(&'a ObjectKey, bool, bool, Option<Health>)];
        let cases: &[(Given, Health, &str)] = &[
            (&[], Healthy, ""),
            (&[(&config, true, false, None)], Healthy, ""),
            (&[(&web, true, false, Some(Healthy))], Healthy, ""),
            (&[(&web, true, false, Some(Degraded))], Degraded, "Caused by apps/Deployment:shop/web"),
            (&[(&web, true, true, Some(Degraded))], Healthy, ""),
            (
                &[(&web, true, false, Some(Progressing)), (&child, true, false, Some(Degraded))],
                Degraded,
                "Caused by argoproj.io/Application:shop/child",
            ),
            (&[(&child, true, false, Some(Unknown)), (&web, true, false, Some(Healthy))], Healthy, ""),
            (&[(&child, true, false, Some(Missing))], Healthy, ""),
            (&[(&web, false, false, None), (&config, true, false, None)], Healthy, ""),
            (&[(&web, false, false, None), (&config, false, false, None)], Missing, ""),
            (
                &[
                    (&web, true, false, Some(Progressing)),
                    (&config, true, false, Some(Progressing)),
                    (&web, true, false, Some(Progressing)),
                    (&web, true, false, Some(Progressing)),
                    (&web, true, false, Some(Suspended)),
                ],
                Progressing,
                "Caused by apps/Deployment:shop/web, ConfigMap:shop/config, apps/Deployment:shop/web and 1 more",
            ),
        ];
        for (given, status, message) in cases {
            let verdicts: Vec<Option<Verdict>> =
                given.iter().map(|(.., health)| health.map(|health| Verdict::new(health, ""))).collect();
            let parts = given.iter().zip(&verdicts).map(|((key, is_live, is_ignored, _), verdict)| Part {
                key,
                is_live: *is_live,
                is_ignored: *is_ignored,
                verdict: verdict.as_ref(),
            });
            assert_eq!(application(parts), Verdict::new(*status, *message), "{given:?}");
        }
    }

    #[test]
    fn what_is_being_deleted_is_waited_for() {
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "web", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"paused": true},
        });
        assert_eq!(verdict(&object), Some(Verdict::new(Health::Progressing, "Pending deletion")));
        // A hook whose result was not seen yet is still judged.
        object["metadata"]["finalizers"] = json!([annotation::HOOK_FINALIZER]);
        assert_eq!(verdict(&object).unwrap().status, Health::Suspended);
    }
}
