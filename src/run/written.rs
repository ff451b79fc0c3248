//! What users wrote, as it was last seen: Applications, AppProjects, Environments.
//!
//! **In:** the events of their watches, and the answers to our own status patches. **Out:** the newest state of each,
//! and whether a change is one that somebody asked something with. **May not:** talk to the API server.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use parking_lot::RwLock;
use smol_str::SmolStr;

use crate::api::argo::{AppProject, Application, OperationPhase};
use crate::api::leeboard::Environment;

/// The newest state of everything users wrote; readers get cheap copies.
#[derive(Default)]
pub struct Written {
    applications: RwLock<BTreeMap<SmolStr, Read<Application>>>,
    projects: RwLock<BTreeMap<SmolStr, Read<AppProject>>>,
    environments: RwLock<BTreeMap<SmolStr, Read<Environment>>>,
}

/// An object, or why it can't be read: one that is malformed degrades nothing but itself.
pub type Read<T> = Result<Arc<T>, String>;

/// What a change of an Application means for the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing: older than what is known, or the echo of our own status.
    None,
    /// A person, or a parent application, wants something.
    Asked,
}

impl Written {
    /// Takes in what a watch saw.
    pub fn see_application(&self, seen: Application) -> Change {
        let mut applications = self.applications.write();
        let name = SmolStr::new(seen.name());
        let change = match applications.get(&name) {
            Some(Ok(known)) if !is_newer(&seen.metadata, &known.metadata) => return Change::None,
            Some(Ok(known)) if asks_the_same(known, &seen) => Change::None,
            _ => Change::Asked,
        };
        applications.insert(name, Ok(Arc::new(seen)));
        change
    }

    /// Takes in the answer to a patch of ours; what it changes is no news to us.
    pub fn wrote_application(&self, written: Application) {
        let mut applications = self.applications.write();
        let name = SmolStr::new(written.name());
        match applications.get(&name) {
            Some(Ok(known)) if !is_newer(&written.metadata, &known.metadata) => {}
            // Gone meanwhile: an answer must not bring it back.
            None => {}
            _ => drop(applications.insert(name, Ok(Arc::new(written)))),
        }
    }

    /// An Application that can't be read.
    pub fn malformed_application(&self, name: &str, why: String) {
        self.applications.write().insert(name.into(), Err(why));
    }

    /// An Application is gone.
    pub fn forget_application(&self, name: &str) {
        self.applications.write().remove(name);
    }

    /// Keeps those of these names only: a watch has begun anew and has listed them all.
    pub fn retain_applications(&self, names: &[SmolStr]) -> Vec<SmolStr> {
        let mut applications = self.applications.write();
        let gone: Vec<_> = applications.keys().filter(|name| !names.contains(name)).cloned().collect();
        gone.iter().for_each(|name| drop(applications.remove(name)));
        gone
    }

    /// One Application; `None` when there is none of that name, or it can't be read.
    pub fn application(&self, name: &str) -> Option<Arc<Application>> {
        self.applications.read().get(name)?.clone().ok()
    }

    /// True when an Application is known in this version.
    pub fn has(&self, name: &str, version: &str) -> bool {
        let applications = self.applications.read();
        let Some(Ok(known)) = applications.get(name) else { return false };
        known.metadata.resource_version.as_deref() == Some(version)
    }

    /// All of them that can be read.
    pub fn applications(&self) -> Vec<Arc<Application>> {
        self.applications.read().values().filter_map(|read| read.clone().ok()).collect()
    }

    /// Takes in an AppProject, readable or not.
    pub fn see_project(&self, name: &str, project: Read<AppProject>) {
        self.projects.write().insert(name.into(), project);
    }

    /// An AppProject is gone.
    pub fn forget_project(&self, name: &str) {
        self.projects.write().remove(name);
    }

    /// One AppProject.
    pub fn project(&self, name: &str) -> Option<Read<AppProject>> {
        self.projects.read().get(name).cloned()
    }

    /// All AppProjects that can be read.
    pub fn projects(&self) -> Vec<Arc<AppProject>> {
        self.projects.read().values().filter_map(|read| read.clone().ok()).collect()
    }

    /// Takes in an Environment, readable or not.
    pub fn see_environment(&self, name: &str, environment: Read<Environment>) {
        self.environments.write().insert(name.into(), environment);
    }

    /// An Environment is gone.
    pub fn forget_environment(&self, name: &str) {
        self.environments.write().remove(name);
    }

    /// True when there is an Environment of this name, also one that can't be read.
    pub fn has_environment(&self, name: &str) -> bool {
        self.environments.read().contains_key(name)
    }

    /// All Environments that can be read.
    pub fn environments(&self) -> Vec<Arc<Environment>> {
        self.environments.read().values().filter_map(|read| read.clone().ok()).collect()
    }

    /// One Environment; `None` when there is none of that name, or it can't be read.
    pub fn environment(&self, name: &str) -> Option<Arc<Environment>> {
        self.environments.read().get(name)?.clone().ok()
    }
}

/// What was seen is newer than what is known, or another object.
pub(super) fn is_newer(seen: &ObjectMeta, known: &ObjectMeta) -> bool {
    let number = |meta: &ObjectMeta| meta.resource_version.as_ref()?.parse::<u64>().ok();
    seen.uid != known.uid || number(seen).zip(number(known)).is_none_or(|(seen, known)| seen > known)
}

/// True when nothing changed that anybody but the daemon writes.
fn asks_the_same(known: &Application, seen: &Application) -> bool {
    let (a, b) = (&known.metadata, &seen.metadata);
    a.uid == b.uid
        && a.deletion_timestamp == b.deletion_timestamp
        && a.finalizers == b.finalizers
        && a.annotations == b.annotations
        && known.spec == seen.spec
        && known.operation == seen.operation
        && !(phase(seen) == Some(OperationPhase::Terminating) && phase(known) != phase(seen))
        // Somebody cleared the status, as Argo CD's clients do when they write an operation.
        && (phase(seen).is_some() || phase(known).is_none())
}

fn phase(application: &Application) -> Option<OperationPhase> {
    Some(application.status.as_ref()?.operation_state.as_ref()?.phase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn application(version: u64, spec: &Value, status: &Value) -> Application {
        serde_json::from_value(json!({
            "metadata": {"name": "a", "uid": "u", "resourceVersion": version.to_string()}, "spec": spec, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn only_what_somebody_asks_is_a_change() {
        let written = Written::default();
        let (spec, other) = (json!({"project": "a"}), json!({"project": "b"}));
        let running = json!({"operationState": {"phase": "Running", "operation": {}}});
        let terminating = json!({"operationState": {"phase": "Terminating", "operation": {}}});
        let cases = [
            // version, spec, status, what it means
            (5, &spec, &Value::Null, Change::Asked),
            (6, &spec, &running, Change::None),
            (4, &other, &running, Change::None),
            (7, &other, &running, Change::Asked),
            (8, &other, &terminating, Change::Asked),
            (9, &other, &Value::Null, Change::Asked),
        ];
        for (version, spec, status, expected) in cases {
            assert_eq!(written.see_application(application(version, spec, status)), expected, "version {version}");
        }
    }

    #[test]
    fn an_answer_does_not_bring_back_what_is_gone() {
        let written = Written::default();
        written.see_application(application(5, &json!({}), &Value::Null));
        written.wrote_application(application(6, &json!({}), &Value::Null));
        assert_eq!(written.application("a").unwrap().metadata.resource_version.as_deref(), Some("6"));
        written.forget_application("a");
        written.wrote_application(application(7, &json!({}), &Value::Null));
        assert!(written.application("a").is_none());
    }
}
