//! What a running Flagger wrote, recorded case by case in the folder `LEEBOARD_CORPUS`: our objects are the same.
//!
//! Each recorded state of an object is computed anew from the input, what was live before it, and the split that it
//! shows. Where Leeboard differs on purpose, [`DEVIATIONS`] says by which rule.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/corpus.rs"]
mod corpus;
#[path = "harness/recordings.rs"]
mod recordings;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use leeboard::api::flagger::{Canary, Provider};
use leeboard::canary::generated::configs::{ConfigKey, ConfigKind, Lookup, Tracked};
use leeboard::canary::generated::services::Role;
use leeboard::canary::generated::{Flags, Patch, Target, primary, scale, scaler, services, target};
use leeboard::canary::metric;
use leeboard::canary::metric::builtin::{self, Workload};
use leeboard::canary::record::Cookies;
use leeboard::canary::router::{Router, Subject, for_provider};
use leeboard::canary::settings::TargetKind;
use leeboard::canary::{Copies, Split, Weight};
use leeboard::object::Object;
use leeboard::yaml::{self, Resolve};
use serde_json::{Value, json};

/// A field in which Leeboard writes something else, and the rule that says so.
struct Deviation {
    case: &'static str,
    kind: &'static str,
    pointer: &'static str,
    ours: fn() -> Value,
    rule: &'static str,
}

const DEVIATIONS: [Deviation; 2] = [
    Deviation {
        case: "istio-ab",
        kind: "VirtualService",
        pointer: "/spec/http/1/route/0/weight",
        ours: || json!(100),
        rule: "a single destination gets everything in Istio, so it says 100",
    },
    Deviation {
        case: "contour",
        kind: "HTTPProxy",
        pointer: "/spec/routes/0/retryPolicy/retryOn",
        ours: || Value::Null,
        rule: "an empty word is refused by Contour's own definition",
    },
];

/// Percent to the canary, state by state; `m` when its requests are copies.
const SPLITS: [(&str, &str); 20] = [
    ("apisix", "0 25 50 0"),
    ("contour", "0 25 50 0"),
    ("contour-ab", "0 100 0"),
    ("gateway", "0 25 50 0"),
    ("gateway-ab", "0 100 0"),
    ("gloo", "0 25 50 0"),
    ("istio", "0 25 50 0"),
    ("istio-ab", "0 100 0"),
    ("istio-fail", "0"),
    ("istio-mirror", "0 0m 25 50 0"),
    ("istio-session", "0 25 50 0"),
    ("istio-skip", "0"),
    ("istio-steps", "0 1 10 60 10 0"),
    ("kuma", "0 25 50 0"),
    ("linkerd", "0 25 50 0"),
    ("nginx", "0 25 50 0"),
    ("nginx-ab", "0 100 0"),
    ("skipper", "0 25 50 0"),
    ("smi3", "0 25 50 0"),
    ("traefik", "0 25 50 0"),
];

/// One folder of the corpus.
struct Case {
    name: String,
    canary: Canary,
    steps: Vec<Step>,
    queries: Vec<String>,
}

enum Step {
    /// An object changed.
    Object { at: String, object: Box<Object> },
    /// A person changed the image.
    Input,
}

impl Step {
    fn at(&self) -> Option<&str> {
        match self {
            Step::Object { at, .. } => Some(at),
            Step::Input => None,
        }
    }
}

fn cases() -> Vec<Case> {
    recordings::recordings().iter().map(|folder| case(folder)).collect()
}

fn case(folder: &Path) -> Case {
    let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let input = std::fs::read(folder.join("input.yaml")).unwrap();
    let mut objects = yaml::objects(&"input.yaml".into(), &input, Resolve::V2).unwrap();
    let canary = objects.iter_mut().find(|object| object.key.kind == "Canary").unwrap();
    canary.set_namespace(&name);
    let canary = leeboard::api::decode(&canary.body).unwrap();
    let timeline = std::fs::read_to_string(folder.join("timeline.yaml")).unwrap();
    let timeline: Vec<Value> = serde_yaml::from_str(&timeline).unwrap();
    let step = |step: Value| match step.get("object") {
        Some(body) => {
            let mut object = Object::from_value(body.clone(), None).unwrap();
            if object.key.kind != "TrafficRoute" {
                object.set_namespace(&name);
            }
            Step::Object { at: step["at"].to_string(), object: Box::new(object) }
        }
        None => Step::Input,
    };
    let steps = timeline.into_iter().map(step).collect();
    let queries = std::fs::read_to_string(folder.join("queries.txt")).unwrap_or_default();
    Case { name, canary, steps, queries: queries.lines().map(str::to_owned).collect() }
}

/// Without what the recording has not, what is empty, and what an API server fills in.
fn normalised(object: &Object) -> Value {
    fn without_empty(value: &Value) -> Option<Value> {
        match value {
            Value::Null => None,
            Value::Object(map) => {
                let map: serde_json::Map<String, Value> =
                    map.iter().filter_map(|(key, value)| Some((key.clone(), without_empty(value)?))).collect();
                (!map.is_empty()).then_some(map.into())
            }
            Value::Array(items) if items.is_empty() => None,
            Value::Array(items) => Some(items.iter().map(|item| without_empty(item).unwrap_or(json!({}))).collect()),
            other => Some(other.clone()),
        }
    }
    let mut body = object.body.clone();
    let metadata = body["metadata"].as_object_mut().unwrap();
    metadata.retain(|field, _| ["name", "labels", "annotations", "ownerReferences"].contains(&field.as_str()));
    body.as_object_mut().unwrap().shift_remove("status");
    if object.key.kind == "Service" {
        body["spec"].as_object_mut().unwrap().shift_remove("sessionAffinity");
    }
    sorted(&without_empty(&body).unwrap())
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, Value> = map.iter().map(|(key, value)| (key, sorted(value))).collect();
            json!(sorted)
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// What was live at one point of a recording.
#[derive(Default)]
struct World(Vec<Object>);

impl World {
    fn put(&mut self, object: &Object) {
        self.0.retain(|other| other.key != object.key);
        self.0.push(object.clone());
    }

    fn get(&self, kind: &str, name: &str) -> Option<&Object> {
        self.0.iter().find(|object| object.key.kind == kind && object.key.name == name)
    }
}

/// One recorded state that ours is not.
fn difference(case: &Case, ours: &Object, recorded: &Object) -> String {
    let text = |object: &Object| serde_json::to_string_pretty(&normalised(object)).unwrap();
    format!("{}: {} is\n{}\nrecorded is\n{}", case.name, recorded.key, text(ours), text(recorded))
}

/// The recorded object as Leeboard's rules want it.
fn deviated(case: &Case, recorded: &Object, used: &mut BTreeSet<&'static str>) -> Object {
    let mut object = recorded.clone();
    for deviation in DEVIATIONS.iter().filter(|it| it.case == case.name && recorded.key.kind == it.kind) {
        if let Some(field) = object.body.pointer_mut(deviation.pointer)
            && *field != (deviation.ours)()
        {
            *field = (deviation.ours)();
            used.insert(deviation.rule);
        }
    }
    object
}

fn provider(case: &Case) -> Provider {
    case.canary.spec.provider.unwrap()
}

#[test]
fn routes_are_those_of_flagger() {
    let cases = cases();
    let (mut used, mut wrong) = (BTreeSet::new(), Vec::new());
    for case in &cases {
        let router = for_provider(provider(case)).unwrap();
        let (splits, states) = routes(case, router, &mut used, &mut wrong);
        let expected = SPLITS.iter().find(|(name, _)| *name == case.name).map_or("", |(_, splits)| *splits);
        if splits.join(" ") != expected {
            wrong.push(format!("{}: splits are {splits:?}, expected {expected}", case.name));
        }
        println!("{}: {states} states of routing objects, splits {}", case.name, splits.join(" "));
    }
    if !cases.is_empty() {
        assert_eq!(used.len(), DEVIATIONS.len(), "some deviations are none: {used:?}");
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n\n"));
}

fn routes(
    case: &Case,
    router: &dyn Router,
    used: &mut BTreeSet<&'static str>,
    wrong: &mut Vec<String>,
) -> (Vec<String>, usize) {
    let flags = Flags::default();
    let cookie = case.steps.iter().find_map(|step| match step {
        Step::Object { object, .. } => object.body["status"]["sessionAffinityCookie"].as_str(),
        Step::Input => None,
    });
    let (mut world, mut cookies) = (World::default(), Cookies::default());
    let (mut splits, mut states): (Vec<String>, usize) = (Vec::new(), 0);
    let is_routing = |object: &Object| {
        let owner = &object.body["metadata"]["ownerReferences"][0]["kind"];
        let needs = router.needs().iter();
        (owner == "Canary" || object.key.kind == "TrafficRoute")
            && needs.clone().any(|kind| kind.kind == object.key.kind && kind.version == object.version)
    };
    for (at, step) in case.steps.iter().enumerate() {
        let Step::Object { object: recorded, .. } = step else { continue };
        // A CRD of several versions shows one object several times: the one that is written counts.
        if router.needs().iter().any(|kind| kind.kind == recorded.key.kind && kind.version != recorded.version) {
            continue;
        }
        if is_routing(recorded) {
            // What is written in one tick depends on each other: the input of a route may be listed after it.
            let inputs = case.steps[..at].iter().chain(&case.steps[at..(at + 3).min(case.steps.len())]);
            let mut target = inputs.filter_map(|step| match step {
                Step::Object { object, .. }
                    if object.key.name == case.canary.spec.target_ref.name.as_str()
                        && object.key.kind == case.canary.spec.target_ref.kind.as_str() =>
                {
                    Some(&**object)
                }
                _ => None,
            });
            let target = target.next_back().unwrap();
            let target = Target::of(&case.canary, Some(target), &flags).unwrap();
            let mut subject =
                Subject { canary: &case.canary, target: &target, flags: &flags, cookies: &Cookies::default() };
            let mut now = World(world.0.clone());
            now.put(recorded);
            let split = router.split(&subject, &now.0).unwrap_or(Split::PRIMARY_ONLY);
            let carries = router.split(&subject, std::slice::from_ref(&**recorded)).is_ok();
            if carries {
                let told = format!("{}{}", split.canary, if split.mirrored == Copies::None { "" } else { "m" });
                splits.push(told);
                match cookie {
                    Some(cookie) if split.canary > Weight::NONE => cookies.canary = cookie.to_owned(),
                    _ if cookies.canary.is_empty() => {}
                    _ => cookies.previous = std::mem::take(&mut cookies.canary),
                }
            }
            subject.cookies = &cookies;
            let ours = router.objects(&subject, split, &world.0).unwrap();
            let expected = deviated(case, recorded, used);
            match ours.iter().find(|object| object.key == recorded.key) {
                Some(ours) if normalised(ours) == normalised(&expected) => states += 1,
                Some(ours) => wrong.push(difference(case, ours, &expected)),
                None => wrong.push(format!("{}: {} is not written", case.name, recorded.key)),
            }
        }
        world.put(recorded);
    }
    (splits, states)
}

#[test]
fn generated_objects_are_those_of_flagger() {
    let mut wrong = Vec::new();
    for case in &cases() {
        let mut states = 0;
        let (mut world, mut is_input) = (World::default(), false);
        // What one tick wrote is listed by kind, not in order: all of it was made from what was there before.
        for tick in case.steps.chunk_by(|one, next| one.at().is_some() && one.at() == next.at()) {
            for step in tick {
                let Step::Object { object: recorded, .. } = step else {
                    is_input = true;
                    continue;
                };
                match generated(case, &world, recorded, is_input) {
                    Some(Ok(())) => states += 1,
                    Some(Err(difference)) => wrong.push(difference),
                    None => {}
                }
                let reference = &case.canary.spec.target_ref;
                if recorded.key.kind == reference.kind.as_str() && recorded.key.name == reference.name.as_str() {
                    is_input = false;
                }
            }
            for step in tick {
                if let Step::Object { object, .. } = step {
                    world.put(object);
                }
            }
        }
        println!("{}: {states} states of generated objects", case.name);
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// Compares one recorded state with ours; nothing where it is none of what a canary makes or changes.
fn generated(case: &Case, world: &World, recorded: &Object, is_input: bool) -> Option<Result<(), String>> {
    let flags = Flags::default();
    let canary = &case.canary;
    let reference = &canary.spec.target_ref;
    if recorded.key.kind == reference.kind.as_str() && recorded.key.name == reference.name.as_str() {
        let before = world.get(&reference.kind, &reference.name)?;
        return (!is_input).then(|| scaled(case, before, recorded));
    }
    if recorded.key.kind == "Canary" {
        return checksums(case, world, recorded);
    }
    if recorded.body["metadata"]["ownerReferences"][0]["kind"] != "Canary" {
        return None;
    }
    let target = world.get(&reference.kind, &reference.name)?;
    let of = Target::of(canary, Some(target), &flags).unwrap();
    let tracked = tracked(case, world, target);
    let ours = match recorded.key.kind.as_str() {
        "Deployment" | "DaemonSet" => {
            let id = recorded.body["spec"]["template"]["metadata"]["annotations"]["flagger-id"].as_str().unwrap();
            match world.get(&recorded.key.kind, &recorded.key.name) {
                None => primary::created(canary, &of, &tracked, &flags, id),
                Some(live) => primary::promoted(canary, &of, &tracked, &flags, live, id),
            }
        }
        "Service" => {
            let roles = [Role::Apex, Role::Primary, Role::Canary];
            let role = roles.into_iter().find(|role| role.service_name(canary) == *recorded.key.name).unwrap();
            services::service(canary, &of, role, world.get("Service", &recorded.key.name)).unwrap()
        }
        "ConfigMap" | "Secret" => {
            let copies = tracked.copies(canary, &flags, |_| None);
            copies.into_iter().find(|copy| copy.key == recorded.key)?
        }
        "HorizontalPodAutoscaler" => {
            let name = &canary.spec.autoscaler_ref.as_ref().unwrap().name;
            let own = world.get("HorizontalPodAutoscaler", name);
            scaler::primary(canary, &of, own, &flags).unwrap().unwrap()
        }
        _ => return None,
    };
    let same = normalised(&ours) == normalised(recorded);
    Some(if same { Ok(()) } else { Err(difference(case, &ours, recorded)) })
}

fn tracked(case: &Case, world: &World, target: &Object) -> Tracked {
    let look_up = |key: &ConfigKey| {
        let kind = if key.kind == ConfigKind::Secret { "Secret" } else { "ConfigMap" };
        world.get(kind, &key.name).map_or(Lookup::Absent, |object| Lookup::Found(object.clone()))
    };
    Tracked::of(&case.canary, target, &Flags::default(), look_up).unwrap()
}

/// A change of the target that no person made is one of ours.
fn scaled(case: &Case, before: &Object, recorded: &Object) -> Result<(), String> {
    let target = Target::of(&case.canary, Some(before), &Flags::default()).unwrap();
    let replicas = recorded.body["spec"]["replicas"].as_i64().unwrap_or(1);
    let patch = if scale::is_zero(&target) { scale::up(&target, replicas) } else { scale::to_zero(&target) };
    let mut ours = before.clone();
    merge(&mut ours.body, &patch.as_ref().map(|patch: &Patch| patch.body.clone()).unwrap());
    let same = normalised(&ours) == normalised(recorded);
    if same { Ok(()) } else { Err(difference(case, &ours, recorded)) }
}

/// RFC 7396.
fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    for (field, change) in patch {
        if change.is_null() {
            value.as_object_mut().unwrap().shift_remove(field);
        } else {
            merge(&mut value[field], change);
        }
    }
}

fn checksums(case: &Case, world: &World, recorded: &Object) -> Option<Result<(), String>> {
    let recorded = recorded.body["status"]["trackedConfigs"].as_object()?;
    let reference = &case.canary.spec.target_ref;
    let ours = tracked(case, world, world.get(&reference.kind, &reference.name)?).checksums();
    let same = sorted(&json!(ours)) == sorted(&json!(recorded));
    Some(if same { Ok(()) } else { Err(format!("{}: checksums {ours:?}, recorded {recorded:?}", case.name)) })
}

#[test]
fn queries_are_those_of_flagger() {
    let mut wrong = Vec::new();
    for case in &cases() {
        let workload = match target::kind(&case.canary).unwrap() {
            TargetKind::DaemonSet => Workload::DaemonSet,
            TargetKind::Service | TargetKind::KnativeService => Workload::Service,
            TargetKind::Deployment => Workload::Deployment,
        };
        let analysis = case.canary.spec.analysis();
        let queries: Vec<String> = analysis
            .metrics
            .iter()
            .map(|check| {
                let of = metric::variables(&case.canary, check);
                match check.name.as_str() {
                    builtin::SUCCESS_RATE => builtin::success_rate(provider(case), workload, &of).text,
                    builtin::DURATION => builtin::duration(provider(case), workload, &of).text,
                    other => panic!("{}: {other}", case.name),
                }
            })
            .collect();
        for recorded in &case.queries {
            // Flagger's pattern of a DaemonSet's pods is that of a Deployment's, which matches the primary's.
            let recorded = match workload {
                Workload::DaemonSet => recorded.replace("(-[0-9a-zA-Z]+)", ""),
                _ => recorded.clone(),
            };
            if !queries.contains(&recorded) {
                wrong.push(format!("{}: {recorded}\nis none of {queries:#?}", case.name));
            }
        }
        println!("{}: {} queries", case.name, case.queries.len());
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// Our own small cases, one file for each router: what no recording shows, and what must stand without the corpus.
#[test]
fn routes_are_those_of_the_fixtures() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/canary");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 12, "one for each router");
    let mut wrong = Vec::new();
    for file in files {
        let fixture: Value = serde_yaml::from_str(&std::fs::read_to_string(&file).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for case in fixture["cases"].as_array().unwrap() {
            if let Err(difference) = holds(&fixture, case) {
                wrong.push(format!("{}: {}: {difference}", file.display(), case["about"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// An object in the namespace of all fixtures.
fn in_shop(body: &Value) -> Object {
    let mut object = Object::from_value(body.clone(), None).unwrap();
    if object.key.kind != "TrafficRoute" {
        object.set_namespace("shop");
    }
    object
}

fn holds(fixture: &Value, case: &Value) -> Result<(), String> {
    let mut spec = case.get("spec").unwrap_or(&fixture["spec"]).clone();
    spec["provider"] = fixture["provider"].clone();
    if spec["targetRef"].is_null() {
        spec["targetRef"] = fixture["spec"]
            .get("targetRef")
            .cloned()
            .unwrap_or_else(|| json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}));
    }
    let canary = json!({"apiVersion": "flagger.app/v1beta1", "kind": "Canary",
                        "metadata": {"name": "web", "namespace": "shop"}, "spec": spec});
    let canary: Canary = leeboard::api::decode(&canary).unwrap();
    let flags = Flags::default();
    let deployment = in_shop(&json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
                                     "spec": {"selector": {"matchLabels": {"app": "web"}}}}));
    let target = Target::of(&canary, Some(&deployment), &flags).unwrap();
    let cookie = |name: &str| case["cookies"][name].as_str().unwrap_or_default().to_owned();
    let cookies = Cookies { canary: cookie("canary"), primary: cookie("primary"), previous: cookie("previous") };
    let subject = Subject { canary: &canary, target: &target, flags: &flags, cookies: &cookies };
    let live = case.get("live").or(fixture.get("live")).and_then(Value::as_array);
    let live: Vec<Object> = live.into_iter().flatten().map(in_shop).collect();
    let canary_share = Weight::new(case["split"].as_i64().unwrap()).unwrap();
    let mirrored = match &case["mirror"] {
        Value::Bool(true) => Copies::Configured,
        share => Copies::share(Weight::new(share.as_i64().unwrap_or(0)).unwrap()),
    };
    let header = case["header"].as_u64().map(|step| usize::try_from(step).unwrap());
    let split = Split { canary: canary_share, mirrored, header };
    let router = for_provider(canary.spec.provider.unwrap()).unwrap();

    let ours = router.objects(&subject, split, &live);
    if let Some(expected) = case["error"].as_str() {
        let said = ours.map_or_else(|error| error.to_string(), |_| "no error".to_owned());
        return if said == expected { Ok(()) } else { Err(format!("says {said:?}, expected {expected:?}")) };
    }
    let ours = ours.map_err(|error| error.to_string())?;
    for expected in case["objects"].as_array().unwrap().iter().map(in_shop) {
        let found = ours.iter().find(|object| object.key == expected.key);
        let found = found.ok_or_else(|| format!("{} is not written", expected.key))?;
        // Which owner and which of Flux' annotations an object has, the recordings show.
        let (mut found, mut wanted) = (normalised(found), normalised(&expected));
        if let Some(metadata) = found["metadata"].as_object_mut() {
            metadata.shift_remove("ownerReferences");
            let annotations = metadata.get_mut("annotations").and_then(Value::as_object_mut);
            if let Some(annotations) = annotations {
                annotations.retain(|key, _| !key.contains("toolkit.fluxcd.io"));
                if annotations.is_empty() {
                    metadata.shift_remove("annotations");
                }
            }
        }
        let version = |object: &Object| object.body["metadata"]["resourceVersion"].clone();
        wanted["metadata"]["resourceVersion"] = version(&expected);
        found["metadata"]["resourceVersion"] = version(ours.iter().find(|object| object.key == expected.key).unwrap());
        if found != wanted {
            return Err(format!("{} is\n{found:#}\nexpected is\n{wanted:#}", expected.key));
        }
    }
    // What was written is read back.
    let mut now = World(live);
    if canary.spec.provider != Some(Provider::Knative) {
        ours.iter().for_each(|object| now.put(object));
    }
    let read = router.split(&subject, &now.0).map_err(|error| error.to_string())?;
    if read == split { Ok(()) } else { Err(format!("reads back {read:?}")) }
}
