//! A route that git has, and through which a canary leads traffic: git says whom its rules are for and what they do, the
//! canary where those lead that lead to its Services.
//!
//! **In:** the route as git wants it. **Out:** the same, with the split that is wanted now. **May not:** touch a route that
//! the canary has made itself: git knows nothing of it.

use std::fmt;
use std::sync::Arc;

use crate::api::flagger::Canary;
use crate::canary::generated::{self, Flags, Target};
use crate::canary::record::{Cookies, Record};
use crate::canary::router::{self, Subject};
use crate::canary::{Action, Split};
use crate::object::{Object, ObjectKey};

use super::see::Seen;

/// What a canary says of somebody else's route.
#[derive(Clone)]
pub struct Lane {
    canary: Arc<Canary>,
    target: Arc<Object>,
    flags: Flags,
    cookies: Cookies,
    split: Split,
}

impl Lane {
    /// Of a canary that leads traffic already, or begins to; with the routes that it has not made.
    pub(super) fn of(
        canary: &Arc<Canary>,
        seen: &Seen,
        record: &Record,
        actions: &[Action],
        starts: bool,
    ) -> Option<(Self, Vec<ObjectKey>)> {
        let leads = actions.iter().any(|action| matches!(action, Action::SetRoute(_)));
        if starts && !leads {
            return None;
        }
        let target = seen.target.clone()?;
        let (cookies, split) = (record.cookies.clone(), record.route.split);
        let lane = Lane { canary: canary.clone(), target: Arc::new(target), flags: Flags::default(), cookies, split };
        let written = lane.objects(&seen.routes)?;
        let is_foreign = |key: &ObjectKey| {
            let live = seen.routes.iter().find(|live| live.key == *key);
            live.is_some_and(|live| !generated::is_owned(live, canary))
        };
        let foreign: Vec<ObjectKey> = written.into_iter().map(|object| object.key).filter(is_foreign).collect();
        (!foreign.is_empty()).then_some((lane, foreign))
    }

    fn objects(&self, live: &[Object]) -> Option<Vec<Object>> {
        let router = router::for_provider(self.canary.spec.provider.unwrap_or(self.flags.provider)).ok()?;
        let target = Target::of(&self.canary, Some(&self.target), &self.flags).ok()?;
        let subject = Subject { canary: &self.canary, target: &target, flags: &self.flags, cookies: &self.cookies };
        router.objects(&subject, self.split, live).ok()
    }

    /// The route as git wants it, leading where the canary wants it to; as it is where the canary cannot say.
    pub(super) fn within(&self, route: &Object) -> Object {
        let mut led = route.clone();
        let written = self.objects(std::slice::from_ref(route)).unwrap_or_default();
        let Some(written) = written.into_iter().find(|object| object.key == route.key) else { return led };
        if let (Some(spec), Some(wanted)) =
            (led.body.get_mut("spec").and_then(|spec| spec.as_object_mut()), written.body["spec"].as_object())
        {
            spec.extend(wanted.iter().map(|(field, value)| (field.clone(), value.clone())));
        }
        led
    }
}

/// Two say the same of any route.
impl PartialEq for Lane {
    fn eq(&self, other: &Self) -> bool {
        (self.split, &self.cookies, &self.canary.spec) == (other.split, &other.cookies, &other.canary.spec)
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("split", &self.split).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::canary::Weight;

    fn object(body: Value) -> Object {
        Object::from_value(body, None).unwrap()
    }

    #[test]
    fn git_says_whom_a_rule_is_for_and_the_canary_where_it_leads() {
        let canary = json!({
            "apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "provider": "gatewayapi:v1", "targetRef": {"kind": "Deployment", "name": "web"},
                "service": {"port": 80}, "analysis": {"stepWeight": 10, "maxWeight": 50},
            },
        });
        let target = object(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "web", "image": "web:1"}]},
                },
            },
        }));
        let lane = Lane {
            canary: Arc::new(serde_json::from_value(canary).unwrap()),
            target: Arc::new(target),
            flags: Flags::default(),
            cookies: Cookies::default(),
            split: Split::to_canary(Weight::new(30).unwrap()),
        };
        let path = |value: &str| json!([{"path": {"type": "PathPrefix", "value": value}}]);
        let docs = json!({"matches": path("/docs"), "backendRefs": [{"name": "docs", "port": 80}]});
        let route = |rules: Value| {
            object(json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
                "metadata": {"name": "web", "namespace": "shop", "labels": {"team": "a"}},
                "spec": {"parentRefs": [{"name": "gate"}], "rules": rules},
            }))
        };
        let git = route(json!([docs, {"matches": path("/"), "backendRefs": [{"name": "web", "port": 80}]}]));
        let led = route(json!([docs, {
            "matches": path("/"),
            "backendRefs": [
                {"name": "web-primary", "port": 80, "weight": 70}, {"name": "web-canary", "port": 80, "weight": 30},
            ],
        }]));
        assert_eq!(lane.within(&git).body, led.body);
        assert_eq!(lane.within(&led).body, led.body, "what git copied from the cluster");
    }
}
