//! What `get` shows, as a person sees it.

use serde_json::json;

use super::*;
use crate::cli::terminal::ColorChoice;

fn view() -> View {
    let application = |name: &str, sync: &str, health: Value, resources: Value, message: &str| -> Application {
        let value = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {"name": name, "namespace": "leeboard"},
            "spec": {"source": {"repoURL": "https://git.example.com/shop.git", "path": name, "targetRevision": "env/dev"}},
            "status": {
                "sync": {"status": sync, "revision": "3f9a1c2b7d5e4f60718293a4b5c6d7e8f9012345"},
                "health": health,
                "resources": resources,
                "operationState": {
                    "phase": if message.is_empty() { "Succeeded" } else { "Running" },
                    "message": message,
                    "startedAt": "2026-11-21T09:00:00Z",
                    "operation": {},
                },
            },
        });
        api::decode(&value).unwrap()
    };
    let healthy = || json!({"status": "Healthy"});
    let child = |name: &str| json!({"group": "argoproj.io", "kind": "Application", "namespace": "leeboard", "name": name, "status": "Synced"});
    let object = |kind: &str, name: &str, status: &str, health: Value| json!({"kind": kind, "namespace": "shop", "name": name, "status": status, "health": health});
    let waits = json!({"status": "Progressing", "message": "1 of 2 pods ready"});
    let environment = json!({
        "apiVersion": "leeboard.dev/v1alpha1",
        "kind": "Environment",
        "metadata": {"name": "dev", "namespace": "leeboard"},
        "spec": {"repoURL": "https://git.example.com/shop.git"},
        "status": {
            "commit": "3f9a1c2b7d5e4f60718293a4b5c6d7e8f9012345",
            "subject": "Raise web to 1.5",
            "sync": "OutOfSync",
            "health": {"status": "Progressing"},
        },
    });
    View {
        environments: vec![api::decode(&environment).unwrap()],
        applications: vec![
            application("dev", "Synced", healthy(), json!([child("web"), child("worker"), child("db")]), ""),
            application("web", "Synced", healthy(), json!([object("Service", "web", "Synced", healthy())]), ""),
            application(
                "worker",
                "OutOfSync",
                waits.clone(),
                json!([
                    object("Deployment", "worker", "Synced", waits),
                    object("ConfigMap", "settings", "OutOfSync", Value::Null),
                    object("Service", "worker", "Synced", healthy()),
                ]),
                "",
            ),
            application("db", "Synced", healthy(), json!([child("dev")]), "waits for wave 1\nand more"),
        ],
        now: "2026-11-21T09:04:10Z".parse().unwrap(),
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn the_table_answers_first_and_tells_what_is_waited_for() {
    let drawn = plain(&view().tables(false, &Terminal::new(ColorChoice::Never)));
    let expected = "\
ENVIRONMENT  COMMIT                    SYNC         HEALTH       AGE    WAITS FOR
dev          3f9a1c2 Raise web to 1.5  out of sync  progressing  4 min

APPLICATION  COMMIT   SYNC         HEALTH       AGE    WAITS FOR
db           3f9a1c2  synced       healthy      4 min  waits for wave 1
web          3f9a1c2  synced       healthy      4 min
worker       3f9a1c2  out of sync  progressing  4 min  Deployment/worker: 1 of 2 pods ready
";
    assert_eq!(drawn, expected);
}

#[test]
fn the_tree_folds_what_is_healthy_and_ends_where_it_comes_round() {
    let (view, terminal) = (view(), Terminal::new(ColorChoice::Never));
    let root = &view.applications[0];
    let drawn = plain(&tree::draw(root, &view, false, &terminal));
    let expected = "\
✓ dev  3f9a1c2  3 objects
├─ ✓ web  3f9a1c2  1 object
├─ ◐ worker  3f9a1c2  3 objects  out of sync, progressing  Deployment/worker: 1 of 2 pods ready
│  ├─ ◐ shop/Deployment/worker  1 of 2 pods ready
│  └─ ◐ shop/ConfigMap/settings  out of sync
└─ ✓ db  3f9a1c2  1 object  waits for wave 1
   └─ ✓ dev  3f9a1c2  3 objects
";
    assert_eq!(drawn, expected);
    let unfolded = plain(&tree::draw(root, &view, true, &terminal));
    assert!(unfolded.contains("│  └─ ✓ shop/Service/web\n"), "{unfolded}");
    assert!(!unfolded.lines().any(|line| line.ends_with(' ')), "{unfolded}");
}

#[test]
fn one_name_brings_what_hangs_on_it() {
    let names = |name: &str| {
        let found = view().of(name).ok()?;
        Some(found.applications.iter().map(|application| application.name().to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(names("worker"), Some(vec!["worker".to_owned()]));
    assert_eq!(names("dev").map(|names| names.len()), Some(4));
    assert_eq!(names("none"), None);
}

#[test]
fn programs_read_exact_values() {
    let value = view().to_value();
    assert_eq!(
        value["environments"][0],
        json!({
            "namespace": "leeboard", "name": "dev",
            "commit": "3f9a1c2b7d5e4f60718293a4b5c6d7e8f9012345", "subject": "Raise web to 1.5",
            "sync": "out of sync", "health": "progressing", "ageSeconds": 250, "waitsFor": "",
        })
    );
    assert_eq!(value["applications"][2]["resources"][0]["name"], "worker");
}

#[test]
fn a_wrong_name_is_told_with_the_nearest_one() {
    let nothing = || View { environments: Vec::new(), applications: Vec::new(), now: view().now };
    let cases = [
        // what is there, the name, the hint
        (view(), "dve", "Did you mean `dev`?"),
        (view(), "wokrer", "Did you mean `worker`?"),
        (view(), "monitoring", "`leeboard get` lists them all."),
        (nothing(), "dev", "There are none at all."),
    ];
    for (view, name, expected) in cases {
        let Err(problem) = view.of(name) else { panic!("{name} is there") };
        assert_eq!(problem.title, format!("there is no environment and no application `{name}`"));
        assert_eq!(problem.hint.as_deref(), Some(expected), "{name}");
    }
}
