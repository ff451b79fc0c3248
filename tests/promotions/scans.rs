//! What scanners have found in the images of a promotion: reports and waivers in the repository.

use serde_json::{Value, json};

use leeboard::sandbox::Admission;

use crate::harness::Images;
use crate::stage::{Pipeline, shop};

const DIGEST: &str = "sha256:3f9a1c20b7e4d5c6a1b2c3d4e5f60718293a4b5c6d7e8f901a2b3c4d5e6f7081";
const OTHER: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";

/// The shop with a pod whose image has this digest.
fn objects(digest: &str) -> String {
    with_image(&format!("registry.example/web:1.4@{digest}"))
}

/// The shop with a pod of this image.
pub fn with_image(image: &str) -> String {
    format!(
        "{}---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers: [{{name: web, image: \"{image}\"}}]
",
        shop("hello")
    )
}

/// A report as Trivy writes it, made just now.
fn report(digest: &str, findings: &[(&str, f64)]) -> String {
    let findings: Vec<Value> = findings
        .iter()
        .map(|(id, score)| {
            json!({"VulnerabilityID": id, "PkgName": "openssl", "InstalledVersion": "3.0.11-1", "FixedVersion": "3.0.13-1",
                "Severity": "HIGH", "CVSS": {"nvd": {"V3Score": score}}})
        })
        .collect();
    json!({
        "SchemaVersion": 2,
        "CreatedAt": jiff::Timestamp::now().to_string(),
        "ArtifactName": "registry.example/web:1.4",
        "Metadata": {"RepoDigests": [format!("registry.example/web@{digest}")]},
        "Results": [{"Target": "web", "Vulnerabilities": findings}],
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_critical_finding_never_enters_and_a_high_one_needs_a_waiver() {
    let gates = json!([{"vulnerabilities": {"sources": [{"from": "file", "path": "scans"}]}}]);
    let policy = json!({"from": [{"environment": "dev"}], "auto": true, "gates": gates});
    let pipeline = Pipeline::start(&[("dev", Value::Null), ("prod", policy)]).await;
    let refused = async |commit: &str, words: &str| {
        let failed = pipeline.reaches("prod", commit, "Failed").await;
        let message = failed["status"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("vulnerabilities: ") && message.contains(words), "{message}");
    };
    pipeline.write("env/dev", "apps/shop/shop.yaml", &objects(DIGEST));
    let none = pipeline.write("env/dev", "NOTES.md", "no report yet\n");
    refused(&none, "registry.example/web@sha256:3f9a1c20b7e4").await;

    // A report of another image under the same tag is none.
    let other = pipeline.write("env/dev", "scans/web.json", &report(OTHER, &[]));
    refused(&other, "registry.example/web@sha256:3f9a1c20b7e4").await;

    let critical = [("CVE-2026-1001", 9.8), ("CVE-2026-1002", 5.0)];
    let critical = pipeline.write("env/dev", "scans/web.json", &report(DIGEST, &critical));
    refused(&critical, "CVE-2026-1001 (9.8) in openssl 3.0.11-1 of registry.example/web@sha256:3f9a1c20b7e4").await;
    // Nobody can leave it out, whatever their rights.
    let (_, text, error) = pipeline
        .leeboard(&["promote", "prod", "--commit", &critical, "--skip", "vulnerabilities", "-m", "now", "--watch"])
        .await;
    assert!(text.contains("Failed") && text.contains("CVE-2026-1001 (9.8)"), "{text}{error}");

    let high = pipeline.write("env/dev", "scans/web.json", &report(DIGEST, &[("CVE-2026-1003", 8.1)]));
    refused(&high, "CVE-2026-1003 (8.1)").await;
    assert_eq!(pipeline.greeting("prod").await.unwrap(), "hello");

    let waiver =
        "- id: CVE-2026-1003\n  reason: not reachable\n  mitigation: the port is closed\n  author: ann\n  expires: ";
    let soon = jiff::Zoned::now().date().checked_add(jiff::Span::new().days(30)).unwrap();
    let waived = pipeline.write("env/dev", "clusters/prod/waivers.yaml", &format!("{waiver}{soon}\n"));
    let done = pipeline.reaches("prod", &waived, "Succeeded").await;
    let gates = done["status"]["gates"].as_array().unwrap();
    let gate = gates.iter().find(|gate| gate["name"] == "vulnerabilities").unwrap();
    assert!(gate["message"].as_str().unwrap().contains("1 waived, until "), "{gate}");

    // One that has ended is none. The commit that says so brings no image; the next one does.
    let ended = pipeline.write("env/dev", "clusters/prod/waivers.yaml", &format!("{waiver}2026-01-01\n"));
    pipeline.reaches("prod", &ended, "Succeeded").await;
    let next = pipeline.write("env/dev", "apps/shop/shop.yaml", &objects(DIGEST).replace("hello", "good day"));
    refused(&next, "waiver expired 2026-01-01").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_is_asked_for_its_digest_and_the_registry_for_the_report_that_is_attached_to_it() {
    let images = Images::start(Admission::Everybody).await;
    let digest = images.push("shop/web", "1.4", "2026-11-20T10:00:00Z").await;
    let image = format!("{}:1.4", images.name("shop/web"));
    let kind = "application/vnd.example.scan";
    let gates = json!([{"vulnerabilities": {"sources": [{"from": "oci", "artifactType": kind}], "missing": "wait"}}]);
    let policy = json!({"from": [{"environment": "dev"}], "auto": true, "gates": gates});
    let pipeline = Pipeline::start(&[("dev", Value::Null), ("prod", policy)]).await;
    let commit = pipeline.write("env/dev", "apps/shop/shop.yaml", &with_image(&image));
    pipeline
        .until("prod", &commit, "waits for the scanner", |one| {
            one["status"]["message"].as_str().is_some_and(|text| text.contains("no report"))
        })
        .await;
    let report = report(&digest, &[("CVE-2026-1004", 5.1)]);
    images.attach("shop/web", &digest, kind, &[&report]).await;
    // Something of the environment changes: it is looked at before the minute is over.
    pipeline.control.kubectl(["annotate", "environment", "prod", "look=now"]).await.unwrap();
    let done = pipeline.reaches("prod", &commit, "Succeeded").await;
    let gates = done["status"]["gates"].as_array().unwrap();
    let gate = gates.iter().find(|gate| gate["name"] == "vulnerabilities").unwrap();
    assert_eq!(gate["message"], "1 image: 1 medium", "{gate}");
    assert_eq!(gate["evidence"]["images"], format!("{}@{digest}", images.name("shop/web")));
}
