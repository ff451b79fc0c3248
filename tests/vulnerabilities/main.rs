//! The gate `vulnerabilities`: what each scanner's report says, and what a promotion is told for it.

#![expect(clippy::unwrap_used, reason = "a test that can't make its input fails")]

mod any_input;
mod classes;
mod reading;
mod reports;
mod waivers;

use jiff::Timestamp;
use leeboard::promote::vulnerability::{
    Case, CriticalWaivers, Delivery, Digest, Image, Report, Rules, Verdict, VulnerabilityGate, Waivers, judge,
};
use serde_json::{Value, json};

const NOW: &str = "2026-11-22T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// A digest of the same two digits all along: `sha256:a1a1…`.
fn digest(two: &str) -> String {
    format!("sha256:{}", two.repeat(32))
}

/// An image of the shop: `web a1` is `registry.example.com/shop/web:2.0@sha256:a1a1…`, and `web` has no digest.
fn image(text: &str) -> Image {
    let (name, two) = text.split_once(' ').unwrap_or((text, ""));
    let mut image = Image::new(&format!("registry.example.com/shop/{name}:2.0"));
    image.digest = Digest::parse(&digest(two));
    image
}

fn delivery<'a>(source: &'a str, bytes: &'a [u8]) -> Delivery<'a> {
    Delivery { source, bytes, scanner: None, asked_for: None, received: None }
}

fn fixture(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/vulnerabilities/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn rules(gate: &Value, critical_waivers: CriticalWaivers) -> Rules {
    let mut written = json!({"sources": [{"from": "cluster"}]});
    written.as_object_mut().unwrap().extend(gate.as_object().unwrap().clone());
    serde_json::from_value::<VulnerabilityGate>(written).unwrap().rules(critical_waivers).unwrap()
}

fn shown(verdict: &Verdict) -> String {
    let word = match verdict {
        Verdict::Pass(_) => "pass",
        Verdict::Wait(_) => "wait",
        Verdict::NeedsWaiver(_) => "needs waiver",
        Verdict::Refuse(_) => "refuse",
    };
    format!("{word}: {}", verdict.message())
}

/// A finding: its name, its score or the scanner's word for it, the package, the version without it.
type Found<'a> = (&'a str, &'a str, &'a str, &'a str);

/// A scan by Trivy: the image, when, and what was found.
type Scan<'a> = (&'a str, &'a str, &'a [Found<'a>]);

fn scan((of, at, findings): Scan<'_>) -> Report {
    let image = image(of);
    let vulnerabilities = findings.iter().map(|(id, bad, package, fixed)| {
        let score = bad.parse::<f64>().map_or(json!({}), |score| json!({"nvd": {"V3Score": score}}));
        json!({
            "VulnerabilityID": id, "PkgName": package, "InstalledVersion": "1.0", "FixedVersion": fixed, "Severity": bad,
            "CVSS": score,
        })
    });
    let document = json!({
        "SchemaVersion": 2, "CreatedAt": at, "ArtifactName": image.name,
        "Metadata": {"RepoDigests": [format!("{}@{}", image.repository(), image.digest.as_ref().unwrap())]},
        "Results": [{"Vulnerabilities": vulnerabilities.collect::<Vec<Value>>()}],
    });
    delivery("reports/web.json", document.to_string().as_bytes()).read().unwrap().remove(0)
}

const TODAY: &str = "2026-11-22T06:00:00Z";

/// A case of the gate, with what is said.
struct Scene<'a> {
    about: &'a str,
    images: &'a [&'a str],
    scans: &'a [Scan<'a>],
    waivers: &'a str,
    gate: Value,
    said: &'a str,
}

impl Default for Scene<'_> {
    fn default() -> Self {
        Scene { about: "", images: &["web a1"], scans: &[], waivers: "", gate: json!({}), said: "" }
    }
}

impl Scene<'_> {
    fn play(&self) -> String {
        let images: Vec<Image> = self.images.iter().map(|text| image(text)).collect();
        let reports: Vec<Report> = self.scans.iter().map(|one| scan(*one)).collect();
        let waivers = Waivers::read("waivers.yaml", self.waivers.as_bytes());
        let case = Case {
            images: &images,
            deployed: &[image("web d0")],
            reports: &reports,
            unreadable: &[],
            waivers: &waivers,
        };
        shown(&judge(&case, &rules(&self.gate, CriticalWaivers::Forbidden), now()))
    }
}

fn play(scenes: &[Scene<'_>]) {
    let wrong: Vec<String> = scenes
        .iter()
        .map(|scene| (scene, scene.play()))
        .filter(|(scene, said)| said != scene.said)
        .map(|(scene, said)| format!("{}\nexpected {}\nbut      {said}", scene.about, scene.said))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

const HIGH: &[Found<'_>] = &[("CVE-2026-1", "8.1", "curl", "1.1")];
const SCAN: &[Scan<'_>] = &[("web a1", TODAY, HIGH)];
