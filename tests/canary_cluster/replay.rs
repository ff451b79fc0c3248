//! What a running Flagger did, recorded case by case in the folder `LEEBOARD_CORPUS`, done again by us: the same objects
//! are applied, the same image is changed, and the same states follow one another.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::recordings::recordings;
use crate::sink::Measured;
use crate::stage::{PUBLISHED, Scene, Stage};

/// One folder of the corpus.
pub struct Case {
    pub name: String,
    input: Vec<Value>,
    timeline: Vec<Value>,
}

/// Where Leeboard goes another way on purpose.
struct Deviation {
    case: &'static str,
    kind: &'static str,
    rule: &'static str,
    /// Makes what was recorded what is expected.
    expect: fn(&mut Vec<Value>),
}

const DEVIATIONS: [Deviation; 3] = [
    Deviation {
        case: "istio-ab",
        kind: "VirtualService",
        rule: "a single destination gets everything in Istio, so it says 100",
        expect: |states| {
            for state in states {
                state["spec"]["http"][1]["route"][0]["weight"] = json!(100);
            }
        },
    },
    Deviation {
        case: "contour",
        kind: "HTTPProxy",
        rule: "an empty word is refused by Contour's own definition",
        expect: |states| {
            for state in states {
                state["spec"]["routes"][0]["retryPolicy"].as_object_mut().unwrap().shift_remove("retryOn");
            }
        },
    },
    Deviation {
        case: "istio-skip",
        kind: "Canary",
        rule: "what is promoted without an analysis is promoted all the same: the target goes when the primary is ready",
        expect: |phases| {
            let at = phases.len() - 1;
            phases.splice(at..at, [json!("Promoting"), json!("Finalising")]);
        },
    },
];

/// All cases; none, with a printed line, where there is no corpus.
pub fn cases() -> Vec<Case> {
    recordings().iter().map(|folder| case(folder)).collect()
}

fn case(folder: &Path) -> Case {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let input =
        leeboard::yaml::objects(&"input.yaml".into(), read("input.yaml").as_bytes(), leeboard::yaml::Resolve::V2);
    Case {
        name: folder.file_name().unwrap().to_str().unwrap().to_owned(),
        input: input.unwrap().into_iter().map(|object| object.body).collect(),
        timeline: serde_yaml::from_str(&read("timeline.yaml")).unwrap(),
    }
}

/// Plays a case; what differs, in words.
pub async fn replay(case: &Case) -> Vec<String> {
    let scene = Stage::shared().await.scene_in(&case.name).await;
    if case.name.ends_with("-fail") {
        scene.stage.sink.measures(&case.name, Measured::Percent(50.0));
    }
    let mut kind = "Deployment";
    for object in &case.input {
        let mut object = object.clone();
        if object["kind"] == "DaemonSet" {
            kind = "DaemonSet";
        }
        if object["kind"] == "Canary" {
            object["metadata"]["annotations"] = json!({"canary.leeboard.dev/scale-down-delay": "0s"});
            object["spec"]["metricsServer"] = scene.stage.sink.url(&case.name).into();
            let hooks = object["spec"]["analysis"].get_mut("webhooks").and_then(Value::as_array_mut);
            for hook in hooks.into_iter().flatten() {
                let path = hook["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
                hook["url"] = format!("{}/{path}", scene.stage.sink.url(&case.name)).into();
            }
        }
        scene.apply(&object).await;
    }
    scene.phase("Initialized").await;
    scene.image(kind, "web:2").await;
    let end = phases(case).pop().unwrap();
    scene.phase(&end).await;
    // What ends with the run is written with its end, or right after it.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    differences(case, &scene)
}

/// What Flagger wrote and the router's own definition refuses: case, kind, and what the refusal says. It was recorded
/// before stubs that keep all fields.
const REFUSED: [(&str, &str, &str); 1] = [
    // Contour is right: it lists the words for when to try again, and none is empty. Flagger writes an empty one for
    // `retries` without `retryOn`; we write none.
    ("contour", "HTTPProxy", "spec.routes[0].retryPolicy.retryOn[0]: Unsupported value: \"\""),
];

/// Shows a case's routes to the definitions that their projects publish; what was not expected, in words.
pub async fn shown_to_routers(case: &Case) -> Vec<String> {
    let scene = Stage::shared().await.scene(&format!("shown-{}", case.name)).await;
    let (mut surprises, mut shown) = (Vec::new(), 0);
    let mut expected: Vec<_> = REFUSED.into_iter().filter(|refused| refused.0 == case.name).collect();
    for (at, step) in case.timeline.iter().enumerate() {
        let mut object = step["object"].clone();
        let Some(kind) = PUBLISHED.into_iter().find(|kind| object["kind"] == *kind) else { continue };
        object.as_object_mut().unwrap().shift_remove("status");
        // The recordings have no uids.
        object["metadata"].as_object_mut().unwrap().shift_remove("ownerReferences");
        shown += 1;
        let Some(refusal) = scene.refusal(&object).await else { continue };
        let is_known = |(_, of, why): &(&str, &str, &str)| *of == kind && refusal.contains(why);
        if !REFUSED.iter().any(|refused| refused.0 == case.name && is_known(refused)) {
            surprises.push(format!("{}: step {at}: {refusal}", case.name));
        }
        expected.retain(|refused| !is_known(refused));
    }
    if shown > 0 {
        println!("{}: {shown} routes shown", case.name);
    }
    surprises.extend(expected.iter().map(|(case, kind, why)| format!("{case}: {kind} is not refused for {why}")));
    surprises
}

/// The phases of a recording.
fn phases(case: &Case) -> Vec<String> {
    let states = case.timeline.iter().filter(|step| step["object"]["kind"] == "Canary");
    let mut phases: Vec<String> =
        states.filter_map(|step| Some(step["object"]["status"]["phase"].as_str()?.to_owned())).collect();
    phases.dedup();
    phases
}

fn differences(case: &Case, scene: &Scene) -> Vec<String> {
    let mut recorded: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
    for step in &case.timeline {
        let Some(object) = step.get("object") else { continue };
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let key = (text(&object["kind"]), text(&object["metadata"]["name"]));
        // A kind of several versions was recorded once in each.
        let is_written = key.0 != "TrafficSplit" || object["apiVersion"] == "split.smi-spec.io/v1alpha3";
        if key.0 != "Canary" && is_written {
            recorded.entry(key).or_default().push(normalised(object));
        }
    }
    let mut differences = Vec::new();
    let ours: Vec<Value> = scene.phases().into_iter().map(Value::from).collect();
    let theirs = deviated(case, "Canary", phases(case).into_iter().map(Value::from).collect());
    if ours != theirs {
        differences.push(format!("{}: phases are {ours:?}, recorded {theirs:?}", case.name));
    }
    for ((kind, name), mut theirs) in recorded {
        theirs.dedup();
        let theirs = deviated(case, &kind, theirs);
        let states = scene.states(&kind, &name);
        let mut ours: Vec<Value> = states.iter().filter_map(|state| Some(normalised(state.body.as_ref()?))).collect();
        ours.dedup();
        if ours != theirs {
            let lines = |states: &[Value]| states.iter().map(Value::to_string).collect::<Vec<_>>().join("\n    ");
            differences.push(format!(
                "{}: {kind} {name}: states are\n    {}\n  recorded\n    {}",
                case.name,
                lines(&ours),
                lines(&theirs)
            ));
        }
    }
    differences
}

/// What was recorded of a kind, as our rules want it.
fn deviated(case: &Case, kind: &str, mut states: Vec<Value>) -> Vec<Value> {
    for deviation in DEVIATIONS.iter().filter(|it| it.case == case.name && it.kind == kind) {
        println!("{}: {}", case.name, deviation.rule);
        (deviation.expect)(&mut states);
    }
    states
}

/// Without what the recording has not, what is empty, what an API server fills in, and what each controller writes for
/// itself alone.
fn normalised(object: &Value) -> Value {
    fn cleaned(value: &Value) -> Option<Value> {
        match value {
            Value::Null => None,
            Value::Object(map) => {
                let map: BTreeMap<&String, Value> =
                    map.iter().filter_map(|(key, value)| Some((key, cleaned(value)?))).collect();
                (!map.is_empty()).then(|| json!(map))
            }
            Value::Array(items) if items.is_empty() => None,
            Value::Array(items) => Some(items.iter().map(|item| cleaned(item).unwrap_or(json!({}))).collect()),
            other => Some(other.clone()),
        }
    }
    let mut object = object.clone();
    let remove = |value: &mut Value, fields: &[&str]| {
        if let Some(map) = value.as_object_mut() {
            fields.iter().for_each(|field| drop(map.shift_remove(*field)));
        }
    };
    remove(&mut object, &["status", "apiVersion"]);
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|field, _| ["name", "labels", "annotations", "ownerReferences"].contains(&field.as_str()));
    }
    let own = [
        "deployment.kubernetes.io/revision",
        "deprecated.daemonset.template.generation",
        "canary.leeboard.dev/revision",
        "canary.leeboard.dev/replicas",
    ];
    remove(&mut object["metadata"]["annotations"], &own);
    for owner in object["metadata"]["ownerReferences"].as_array_mut().into_iter().flatten() {
        remove(owner, &["uid"]);
    }
    if object["kind"] == "Service" {
        let filled =
            ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy", "sessionAffinity"];
        remove(&mut object["spec"], &filled);
    }
    let template = &mut object["spec"]["template"];
    if template.is_object() {
        remove(&mut template["metadata"], &["creationTimestamp"]);
        if let Some(id) = template["metadata"]["annotations"].get_mut("flagger-id") {
            *id = "some".into();
        }
        let filled =
            ["dnsPolicy", "restartPolicy", "schedulerName", "securityContext", "terminationGracePeriodSeconds"];
        remove(&mut template["spec"], &filled);
        for container in template["spec"]["containers"].as_array_mut().into_iter().flatten() {
            let filled = ["imagePullPolicy", "resources", "terminationMessagePath", "terminationMessagePolicy"];
            remove(container, &filled);
        }
    }
    let text = object.to_string();
    // A cookie's value is new in each run.
    if let Some((_, value)) =
        text.split_once(".*flagger-cookie.*").and_then(|(before, rest)| Some((before, rest.split_once(".*")?.0)))
    {
        object = serde_json::from_str(&text.replace(value, "some")).unwrap();
    }
    cleaned(&object).unwrap_or(Value::Null)
}
