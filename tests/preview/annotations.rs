//! What is said at lines of files.

use leeboard::preview::annotation::{Annotation, annotations};
use leeboard::preview::mask::Masks;
use leeboard::preview::risk::{Severity, Standards, assess};
use serde_json::{Value, json};

use super::scene;

fn deployment(name: &str, replicas: u64, env: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"name": "web", "image": env}]}}}})
}

#[test]
fn risks_are_said_where_they_were_written_the_worst_first_and_once() {
    let secret = |value: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop"}, "stringData": {"p": value}});
    let base = json!([deployment("web", 3, "web:1"), deployment("gone", 1, "gone:1"), secret("planted-old")]);
    let merged = json!([deployment("web", 0, "web:1"), secret("planted-new")]);
    let environment = |name: &str| scene::environment(&json!({"environment": name, "base": base, "merged": merged}));
    let broken = scene::environment(&json!({"environment": "int", "applications": [
        {"name": "broken", "problems": ["the value `planted-new` is no number"]},
        {"name": "db", "base": [secret("planted-old")], "merged": [secret("planted-new")]},
    ]}));
    let preview = scene::preview(vec![environment("dev"), environment("prod"), broken]);
    let masks = Masks::of(&preview, vec![]);
    let found = annotations(&preview, &assess(&preview, &Standards::default()), &masks);
    let said: Vec<(&str, u32, Severity)> =
        found.iter().map(|Annotation { file, line, severity, .. }| (file.as_str(), *line, *severity)).collect();
    let expected = [
        ("apps/web/kustomization.yaml", 4, Severity::Red),
        ("apps/web/deployment.yaml", 14, Severity::Red),
        ("apps/db/secret.yaml", 14, Severity::Yellow),
        ("apps/web/secret.yaml", 14, Severity::Yellow),
    ];
    assert_eq!(said, expected, "{found:#?}");
    assert_eq!(found[0].says, "the value `••• 1` is no number");
    assert_eq!(found[1].says, "scales Deployment `shop/web` from 3 to 0 pods");
}
