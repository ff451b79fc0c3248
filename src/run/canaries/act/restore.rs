//! The primary gets back a version that it had, or that the target had: Kubernetes keeps the templates.

use serde_json::Value;
use tracing::warn;

use super::super::see::REVISION;
use super::{Hands, marked, rollout_id};
use crate::canary::Revision;
use crate::canary::generated::{Target, history, primary};
use crate::live::client::{Error, ListOptions};
use crate::object::{GroupKind, Object};

impl Hands<'_> {
    pub(super) async fn restore_primary(&self, revision: &Revision) -> Result<(), Error> {
        let restored = match &self.seen.primary {
            Some(primary) => self.gone_back(primary, revision).await?,
            None => self.made_again(revision).await?,
        };
        if !restored {
            warn!(canary = %self.target.primary_name(), %revision, "Nothing keeps the template any more");
        }
        Ok(())
    }

    /// From what is kept of the primary itself: its annotations are there too. False when nothing is.
    async fn gone_back(&self, primary: &Object, revision: &Revision) -> Result<bool, Error> {
        let marked = marked(revision);
        let kept = self.kept(&self.target.primary_value()).await?;
        let is_it = |kept: &&Value| kept["metadata"]["annotations"][REVISION] == marked.as_str();
        let Some(template) = kept.iter().find(is_it).and_then(history::template) else { return Ok(false) };
        let mut restored = primary.clone();
        restored.body["spec"]["template"] = template;
        restored.set_annotation(REVISION, &marked);
        if let Some(body) = restored.body.as_object_mut() {
            body.shift_remove("status");
        }
        self.replace(&restored).await?;
        Ok(true)
    }

    /// What was kept of a primary went with it; the target has run the same version before. False when nothing is kept of
    /// that either.
    async fn made_again(&self, revision: &Revision) -> Result<bool, Error> {
        let kept = self.kept(&self.target.value).await?;
        let Some(template) = kept.iter().filter_map(history::template).find(|kept| history::is_of(kept, revision))
        else {
            return Ok(false);
        };
        let mut object = self.target.object.clone();
        object.body["spec"]["template"] = template;
        let before = Target { object: &object, ..self.target.clone() };
        let primary = primary::created(self.canary, &before, &self.seen.tracked, self.flags, &rollout_id(revision));
        self.apply_primary(primary, revision).await?;
        Ok(true)
    }

    /// What Kubernetes keeps of the workload whose pods have this label value.
    async fn kept(&self, value: &str) -> Result<Vec<Value>, Error> {
        let Some(kind) = history::kind(self.target.kind) else { return Ok(Vec::new()) };
        let options = ListOptions {
            namespace: self.target.object.key.namespace.clone(),
            labels: Some(format!("{}={value}", self.target.label)),
            fields: None,
        };
        self.daemon.cluster.list(&GroupKind::new("apps", kind), "v1", &options).await
    }
}
