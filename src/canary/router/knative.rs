//! Knative: the two versions are revisions of one Service, which divides between them itself.
//!
//! Writes `spec.traffic` of the target, `serving.knative.dev/v1` Service; <https://knative.dev/docs/serving/traffic-management/>.
//! Which revision is the primary stands in an annotation of the target. Cannot: A/B, mirror.
//! Test data: tests/fixtures/canary/knative.yaml.

use serde_json::{Map, Value, json};

use super::{Abilities, Error, Kind, Restoration, Router, Split, Subject, of_weights};
use crate::canary::generated::Patch;
use crate::canary::generated::primary::PRIMARY_REVISION;
use crate::object::{Object, ObjectKey};

const SERVICE: Kind = Kind { group: "serving.knative.dev", version: "v1", kind: "Service" };

/// See the module.
pub(super) struct Knative;

impl Router for Knative {
    fn needs(&self) -> &'static [Kind] {
        &[SERVICE]
    }

    fn abilities(&self) -> Abilities {
        Abilities::WEIGHTS_ONLY
    }

    fn reads(&self, subject: &Subject<'_>) -> Vec<ObjectKey> {
        vec![SERVICE.named(subject, &subject.canary.spec.target_ref.name)]
    }

    fn objects(&self, subject: &Subject<'_>, split: Split, live: &[Object]) -> Result<Vec<Object>, Error> {
        let name = &subject.canary.spec.target_ref.name;
        let live = subject.demand(live, SERVICE, name)?;
        let newest = live.body["status"]["latestCreatedRevisionName"].as_str();
        let primary = live.annotation(PRIMARY_REVISION).or(newest);
        let primary = primary.ok_or_else(|| subject.no_route(SERVICE, name))?;
        let traffic = json!([
            {"latestRevision": true, "percent": split.canary.percent()},
            {"revisionName": primary, "percent": split.primary().percent()},
        ]);
        let mut spec = Map::new();
        spec.insert("traffic".into(), traffic);
        let mut object = subject.within(SERVICE, name, spec);
        object.set_annotation(PRIMARY_REVISION, primary);
        Ok(vec![object])
    }

    fn split(&self, subject: &Subject<'_>, live: &[Object]) -> Result<Split, Error> {
        let name = &subject.canary.spec.target_ref.name;
        let no_route = || subject.no_route(SERVICE, name);
        let live = subject.find(live, SERVICE, name).ok_or_else(no_route)?;
        let traffic = live.body["status"]["traffic"].as_array().ok_or_else(no_route)?;
        let primary = live.annotation(PRIMARY_REVISION);
        let percent = |is_one: &dyn Fn(&Value) -> bool| -> u64 {
            traffic.iter().filter(|one| is_one(one)).filter_map(|one| one["percent"].as_u64()).sum()
        };
        // While both are one revision, all traffic is the primary's.
        let of_primary = percent(&|one| one["latestRevision"] != true && one["revisionName"].as_str() == primary);
        let of_canary = percent(&|one| one["latestRevision"] == true);
        of_weights(of_primary, of_canary).ok_or_else(no_route)
    }

    fn restored(&self, subject: &Subject<'_>, live: &[Object]) -> Vec<Restoration> {
        let live = subject.find(live, SERVICE, &subject.canary.spec.target_ref.name);
        let body = json!({"metadata": {"annotations": {PRIMARY_REVISION: null}}});
        let patch = |live: &Object| Patch { key: live.key.clone(), api_version: live.api_version().into(), body };
        live.map(patch).map(Restoration::Patch).into_iter().collect()
    }
}
