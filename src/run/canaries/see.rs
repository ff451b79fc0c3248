//! What is there of a canary: its objects, read, and the [`World`] that its machine decides on.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use smol_str::SmolStr;

use super::super::Daemon;
use super::super::look::now;
use crate::api::flagger::Canary;
use crate::canary::adopt::adopt;
use crate::canary::generated::configs::{ConfigKey, ConfigKind, Lookup, Tracked, referenced};
use crate::canary::generated::services::{self, Role};
use crate::canary::generated::{Flags, Target, primary, rollout, scale, scaler, target};
use crate::canary::record::{Record, State};
use crate::canary::router::{self, Router, Subject};
use crate::canary::settings::TargetKind;
use crate::canary::world::{self, Answers, Part, Route, RouterProblem, Sighting, Wish, WishKind, Workload};
use crate::canary::{Revision, Settings, Split, World};
use crate::live::client::{self, Error};
use crate::live::record::KindVersion;
use crate::object::{GroupKind, Object, ObjectKey, split_api_version};

/// On a primary: the version that it was made from.
pub(super) const REVISION: &str = "canary.leeboard.dev/revision";
/// On a Canary: what a person wants.
pub(super) const ACTION: &str = "canary.leeboard.dev/action";
/// On a Canary: who wants it.
pub(super) const ACTOR: &str = "canary.leeboard.dev/actor";
/// On a target: how many replicas git wants, while the canary owns the field.
pub(super) const REPLICAS: &str = "canary.leeboard.dev/replicas";

/// All that was read of a canary.
pub(super) struct Seen {
    pub(super) world: World,
    /// The target; `None` when it is not there.
    pub(super) target: Option<Object>,
    pub(super) revision: Option<Revision>,
    pub(super) primary: Option<Object>,
    pub(super) tracked: Tracked,
    /// The primary's copies of configs, as they are.
    pub(super) copies: BTreeMap<ConfigKey, Object>,
    pub(super) scaler: Option<Object>,
    /// The three Services, as far as they exist.
    pub(super) services: Vec<Object>,
    /// What the router reads, as far as it exists.
    pub(super) routes: Vec<Object>,
    /// A change of one of these concerns the canary.
    pub(super) concerns: BTreeSet<ObjectKey>,
    /// Kinds of routes that are to be watched.
    pub(super) route_kinds: Vec<KindVersion>,
}

impl Seen {
    pub(super) fn service(&self, canary: &Canary, role: Role) -> Option<&Object> {
        let name = role.service_name(canary);
        self.services.iter().find(|service| service.key.name == name)
    }
}

/// Reads everything.
///
/// # Errors
/// When the API server does not answer; what is missing or refused is part of the world.
pub(super) async fn see(
    daemon: &Daemon,
    canary: &Canary,
    settings: &Settings,
    flags: &Flags,
    record: &Record,
    answers: &Answers,
) -> Result<Seen, client::Error> {
    let reader = Reader { daemon, namespace: canary.metadata.namespace.as_deref().unwrap_or_default() };
    let mut seen = Seen {
        world: World::unseen(""),
        target: None,
        revision: None,
        primary: None,
        tracked: Tracked::default(),
        copies: BTreeMap::new(),
        scaler: None,
        services: Vec::new(),
        routes: Vec::new(),
        concerns: BTreeSet::new(),
        route_kinds: Vec::new(),
    };
    seen.world.answers = answers.clone();
    seen.world.wish = wish(canary);
    seen.world.is_deleted = canary.metadata.deletion_timestamp.is_some();
    let reference = &canary.spec.target_ref;
    let kind = settings.subject.kind;
    let (group, version) = match kind {
        TargetKind::Deployment | TargetKind::DaemonSet => ("apps", "v1"),
        TargetKind::Service => ("", "v1"),
        TargetKind::KnativeService => ("serving.knative.dev", "v1"),
    };
    let kind_name = if kind == TargetKind::KnativeService { "Service" } else { kind.as_str() };
    seen.target = reader.find(&mut seen.concerns, group, version, kind_name, &reference.name).await?;
    let primary_name = format!("{}-primary", reference.name);
    if kind.is_scaled() {
        seen.primary = reader.find(&mut seen.concerns, group, version, kind_name, &primary_name).await?;
    }
    for role in [Role::Apex, Role::Primary, Role::Canary] {
        let name = role.service_name(canary);
        seen.services.extend(reader.find(&mut seen.concerns, "", "v1", "Service", &name).await?);
    }
    let object = seen.target.clone();
    let target = match Target::of(canary, object.as_ref(), flags) {
        Ok(target) => target,
        Err(error) => {
            seen.world.target = Sighting::Unseen(error.to_string());
            return Ok(seen);
        }
    };
    let mut found = BTreeMap::new();
    for (key, _) in referenced(target.object) {
        let word = config_kind(key.kind);
        let lookup = match reader.find(&mut seen.concerns, "", "v1", word, &key.name).await {
            Ok(Some(object)) => Lookup::Found(object),
            Ok(None) => Lookup::Absent,
            Err(error) if error.is_transient() => return Err(error),
            Err(error) => Lookup::Failed(error.to_string()),
        };
        let copy = ConfigKey { kind: key.kind, name: format!("{}-primary", key.name) };
        if let Some(object) = reader.find(&mut seen.concerns, "", "v1", word, &copy.name).await? {
            seen.copies.insert(copy, object);
        }
        found.insert(key, lookup);
    }
    seen.tracked = match Tracked::of(canary, target.object, flags, |key| found.remove(key).unwrap_or(Lookup::Absent)) {
        Ok(tracked) => tracked,
        Err(error) => {
            seen.world.target = Sighting::Unseen(error.to_string());
            return Ok(seen);
        }
    };
    let configs = seen.tracked.checksums();
    let revision = Revision::of(&target::version_subject(kind, &target.object.body), &configs);
    seen.revision = Some(revision.clone());
    let mut made_from = None;
    if let Some(primary) = &seen.primary {
        let marked = primary.annotation(REVISION).and_then(|text| serde_json::from_str(text).ok());
        // One that another controller has made does not say it: what it was made from does.
        let known = canary.status.as_ref().and_then(|status| status.tracked_configs.clone()).unwrap_or_default();
        let keys = known.keys().map(String::as_str);
        made_from =
            marked.or_else(|| Some(Revision::of(&primary::origin(primary, canary, &target, keys, flags), &known)));
    }
    let (mut canary_endpoints, mut primary_endpoints) = (0, 0);
    if kind.is_scaled() {
        canary_endpoints = reader.endpoints(&Role::Canary.service_name(canary)).await?;
        primary_endpoints = reader.endpoints(&Role::Primary.service_name(canary)).await?;
    }
    let replicas = |object: &Object| replicas_of(kind, object);
    let primary_replicas = seen.primary.as_ref().map_or(0, replicas);
    let own = target.object.body["spec"]["replicas"].as_u64().and_then(|own| u32::try_from(own).ok()).unwrap_or(1);
    let in_git = target.object.annotation(REPLICAS).and_then(|text| text.parse().ok());
    let wanted = in_git.unwrap_or(if own > 0 { own } else { primary_replicas });
    let workload = Workload {
        revision: Some(revision.clone()),
        replicas: if kind == TargetKind::DaemonSet { u32::from(!scale::is_zero(&target)) } else { own },
        rollout: rollout::of(kind, target.object),
        endpoints: canary_endpoints,
    };
    seen.world.primary = match (&seen.primary, kind.is_scaled()) {
        (Some(object), _) => Some(Workload {
            revision: made_from,
            replicas: primary_replicas,
            rollout: rollout::of(kind, object),
            endpoints: primary_endpoints,
        }),
        (None, true) => None,
        // Of a Service both versions are other people's: there is nothing to wait for.
        (None, false) => Some(Workload {
            revision: Some(serving(record, &revision, made_of(kind, canary, &seen).as_ref())),
            replicas: 1,
            rollout: world::Rollout::complete(1),
            endpoints: 1,
        }),
    };
    standing(&reader, canary, &target, flags, &mut seen).await?;
    route(&reader, canary, &target, flags, settings, record, &mut seen).await?;
    seen.world.target = Sighting::Seen(world::Target { revision, configs, wanted_replicas: wanted, workload });
    Ok(seen)
}

/// Of a target without a primary of its own: the version that counts as the primary's; `made_of` is what was promoted last.
fn serving(record: &Record, newest: &Revision, made_of: Option<&Revision>) -> Revision {
    match &record.state {
        State::Finalising(promotion) => promotion.versions.applied.clone(),
        State::Promoting(promotion) if made_of == Some(&promotion.versions.applied) => {
            promotion.versions.applied.clone()
        }
        _ => record.versions().map_or_else(|| newest.clone(), |versions| versions.promoted.clone()),
    }
}

/// What was promoted last of a target without a primary of its own, as its objects say it.
fn made_of(kind: TargetKind, canary: &Canary, seen: &Seen) -> Option<Revision> {
    let marked = match kind {
        TargetKind::Service => seen.service(canary, Role::Primary),
        TargetKind::KnativeService => seen.target.as_ref(),
        TargetKind::Deployment | TargetKind::DaemonSet => None,
    };
    serde_json::from_str(marked?.annotation(REVISION)?).ok()
}

fn replicas_of(kind: TargetKind, object: &Object) -> u32 {
    match kind {
        TargetKind::Deployment => {
            object.body["spec"]["replicas"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(1)
        }
        _ => 1,
    }
}

pub(super) fn config_kind(kind: ConfigKind) -> &'static str {
    match kind {
        ConfigKind::ConfigMap => "ConfigMap",
        ConfigKind::Secret => "Secret",
    }
}

fn wish(canary: &Canary) -> Option<Wish> {
    let annotations = canary.metadata.annotations.as_ref()?;
    let what = WishKind::parse(annotations.get(ACTION)?)?;
    Some(Wish { what, by: annotations.get(ACTOR).map(SmolStr::new).unwrap_or_default() })
}

/// Which generated objects are as they should be.
async fn standing(
    reader: &Reader<'_>,
    canary: &Canary,
    target: &Target<'_>,
    flags: &Flags,
    seen: &mut Seen,
) -> Result<(), client::Error> {
    let stands = |role: Role| {
        let live = seen.service(canary, role);
        let wanted = services::service(canary, target, role, live).ok();
        live.zip(wanted).is_some_and(|(live, wanted)| serves(&live.body, &wanted.body))
    };
    let (versions, apex) = match target.kind {
        TargetKind::Deployment | TargetKind::DaemonSet => {
            (stands(Role::Primary) && stands(Role::Canary), stands(Role::Apex))
        }
        // It is the apex itself. The canary's copy follows it, the primary's only a promotion.
        TargetKind::Service => {
            let wanted = services::copy(canary, target, Role::Canary);
            let follows = seen.service(canary, Role::Canary).is_some_and(|live| covers(&live.body, &wanted.body));
            (follows && seen.service(canary, Role::Primary).is_some(), true)
        }
        // Knative leads to its revisions itself.
        TargetKind::KnativeService => (true, true),
    };
    if versions {
        seen.world.standing.insert(Part::Services);
    }
    if apex {
        seen.world.standing.insert(Part::Apex);
    }
    let Some(reference) = &canary.spec.autoscaler_ref else { return Ok(()) };
    let (group, version) =
        if reference.kind == "ScaledObject" { ("keda.sh", "v1alpha1") } else { ("autoscaling", "v2") };
    seen.scaler = reader.find(&mut seen.concerns, group, version, &reference.kind, &reference.name).await?;
    let name = format!("{}-primary", reference.name);
    let live = reader.find(&mut seen.concerns, group, version, &reference.kind, &name).await?;
    let field = if reference.kind == "ScaledObject" { "minReplicaCount" } else { "minReplicas" };
    let least = seen.scaler.as_ref().and_then(|scaler| scaler.body["spec"][field].as_u64());
    seen.world.scaler_minimum = least.and_then(|least| u32::try_from(least).ok());
    match scaler::primary(canary, target, seen.scaler.as_ref(), flags) {
        Ok(Some(wanted)) => {
            if live.is_some_and(|live| covers(&live.body, &wanted.body)) {
                seen.world.standing.insert(Part::PrimaryScaler);
            }
        }
        Ok(None) => {}
        Err(error) => seen.world.target = Sighting::Unseen(error.to_string()),
    }
    Ok(())
}

/// What the router does.
async fn route(
    reader: &Reader<'_>,
    canary: &Canary,
    target: &Target<'_>,
    flags: &Flags,
    settings: &Settings,
    record: &Record,
    seen: &mut Seen,
) -> Result<(), client::Error> {
    if !settings.has_route() {
        return Ok(());
    }
    let problem = |problem| Ok(Route::Unavailable(problem));
    let read: Result<Route, client::Error> = match router::for_provider(settings.provider) {
        Err(error) => problem(RouterProblem::Failing(error.to_string())),
        Ok(router) => {
            let subject = Subject { canary, target, flags, cookies: &record.cookies };
            match lookups(reader, router, &subject, seen).await {
                Ok(()) => Ok(judged(router, &subject, record.route.split, &seen.routes)),
                Err(Error::NoKind { kind, .. } | Error::KindUnknown { kind }) => {
                    problem(RouterProblem::Missing(format!("{} ({})", kind.kind, kind.group)))
                }
                Err(error) if error.is_transient() => Err(error),
                Err(error) => problem(RouterProblem::Failing(error.to_string())),
            }
        }
    };
    seen.world.route = read?;
    Ok(())
}

/// Reads what the router reads.
async fn lookups(
    reader: &Reader<'_>,
    router: &dyn Router,
    subject: &Subject<'_>,
    seen: &mut Seen,
) -> Result<(), client::Error> {
    for kind in router.needs() {
        let kind = KindVersion::new(GroupKind::new(kind.group, kind.kind), kind.version);
        reader.daemon.cluster.resource(&kind.kind, &kind.version).await?;
        seen.route_kinds.push(kind);
    }
    for key in router.reads(subject) {
        let version = router.needs().iter().find(|kind| kind.kind == key.kind).map_or("v1", |kind| kind.version);
        seen.concerns.insert(key.clone());
        if let Some(body) = reader.look_at(&key, version).await? {
            seen.routes.extend(Object::from_value(body, None).ok());
        }
    }
    Ok(())
}

/// The split, where the route is all that it should be; else it counts as not there, and is written again.
fn judged(router: &dyn Router, subject: &Subject<'_>, wanted: Split, live: &[Object]) -> Route {
    let split = match router.split(subject, live) {
        Ok(split) => split,
        Err(router::Error::NoRoute { .. }) => return Route::Absent,
        Err(error @ router::Error::NotAccepted { .. }) => {
            return Route::Unavailable(RouterProblem::NotAccepted(error.to_string()));
        }
        Err(error) => return Route::Unavailable(RouterProblem::Failing(error.to_string())),
    };
    if split != wanted {
        return Route::Set(split);
    }
    match router.objects(subject, wanted, live) {
        Ok(objects) => {
            let stands = |wanted: &Object| {
                live.iter().any(|live| live.key == wanted.key && covers(&live.body, &without_version(wanted)))
            };
            if objects.iter().all(stands) { Route::Set(split) } else { Route::Absent }
        }
        Err(error) => Route::Unavailable(RouterProblem::Failing(error.to_string())),
    }
}

fn without_version(object: &Object) -> Value {
    let mut body = object.body.clone();
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("resourceVersion");
    }
    body
}

/// Whether a Service is as it is wanted; a user's own may have more ports than those that lead to the versions.
fn serves(live: &Value, wanted: &Value) -> bool {
    let ports = |service: &Value| service["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let found = ports(live);
    let mut rest = wanted.clone();
    if let Some(spec) = rest["spec"].as_object_mut() {
        spec.shift_remove("ports");
    }
    let is_there = |wanted: &Value| found.iter().any(|live| covers(live, wanted));
    covers(live, &rest) && ports(wanted).iter().all(is_there)
}

/// Whether an object has all that is wanted of it; what the API server or others have added does not matter.
fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().all(|(field, wanted)| {
            let is_nothing = wanted.is_null() || wanted.as_object().is_some_and(serde_json::Map::is_empty);
            live.get(field).map_or(is_nothing, |live| covers(live, wanted))
        }),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| covers(live, wanted))
        }
        (live, wanted) => live == wanted,
    }
}

/// Reads objects of one namespace.
struct Reader<'a> {
    daemon: &'a Daemon,
    namespace: &'a str,
}

impl Reader<'_> {
    async fn find(
        &self,
        concerns: &mut BTreeSet<ObjectKey>,
        group: &str,
        version: &str,
        kind: &str,
        name: &str,
    ) -> Result<Option<Object>, client::Error> {
        let key = ObjectKey {
            group: group.into(),
            kind: kind.into(),
            namespace: Some(self.namespace.into()),
            name: name.into(),
        };
        let found = self.look_at(&key, version).await;
        concerns.insert(key);
        Ok(found?.and_then(|body| Object::from_value(body, None).ok()))
    }

    async fn look_at(&self, key: &ObjectKey, version: &str) -> Result<Option<Value>, client::Error> {
        self.daemon.canaries.sights.find(&self.daemon.cluster, key, version).await
    }

    /// How many ready endpoints a Service has.
    async fn endpoints(&self, service: &str) -> Result<u32, client::Error> {
        self.daemon.canaries.sights.endpoints(&self.daemon.cluster, self.namespace, service).await
    }
}

/// What is remembered of a canary that Flagger has looked after: read from the status it left and from the objects.
pub(super) async fn adopted(
    daemon: &Daemon,
    canary: &Canary,
    settings: &Settings,
    flags: &Flags,
) -> Result<Option<Record>, client::Error> {
    let Some(status) = canary.status.as_ref().filter(|status| status.phase.is_some()) else { return Ok(None) };
    let seen = see(daemon, canary, settings, flags, &Record::new(now()), &Answers::default()).await?;
    Ok(adopt(status, &seen.world, now()))
}

/// The version of an `apiVersion`.
pub(super) fn version_of(api_version: &str) -> &str {
    split_api_version(api_version).1
}
