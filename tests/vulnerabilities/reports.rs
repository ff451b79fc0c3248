//! Which reports count for an image, and for how long.

use leeboard::promote::vulnerability::{Case, CriticalWaivers, Delivery, Digest, Image, Report, Waivers, judge};
use serde_json::{Value, json};

use super::{HIGH, Scene, TODAY, delivery, digest, fixture, image, now, play, rules, scan, shown};

#[test]
fn a_report_counts_for_its_digest_and_for_its_time() {
    let missing = "refuse: registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: no report";
    let clean = "pass: 1 image: nothing found";
    play(&[
        Scene { about: "no report at all", said: missing, ..Scene::default() },
        Scene {
            about: "one of two images has none",
            images: &["init b2", "web a1"],
            scans: &[("init b2", TODAY, &[])],
            said: missing,
            ..Scene::default()
        },
        Scene {
            about: "a report of another digest by the same tag",
            scans: &[("web c3", TODAY, &[])],
            said: "refuse: registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: no report, the one of trivy by this name is of sha256:c3c3c3c3c3c3…",
            ..Scene::default()
        },
        Scene {
            about: "an image of which nobody knows the digest",
            images: &["web"],
            scans: &[("web a1", TODAY, &[])],
            said: "refuse: registry.example.com/shop/web:2.0: its digest is not known, so no report can be said to be of it",
            ..Scene::default()
        },
        Scene {
            about: "seven days old",
            scans: &[("web a1", "2026-11-15T12:00:00Z", &[])],
            said: clean,
            ..Scene::default()
        },
        Scene {
            about: "eight days old",
            scans: &[("web a1", "2026-11-14T12:00:00Z", &[])],
            said: "refuse: registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: the report of trivy is from 2026-11-14 12:00:00Z, more than 168h ago (reports/web.json)",
            ..Scene::default()
        },
        Scene {
            about: "an hour old, of which half is allowed",
            scans: &[("web a1", "2026-11-22T11:00:00Z", &[])],
            gate: json!({"maxAge": "30m"}),
            said: "refuse: registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: the report of trivy is from 2026-11-22 11:00:00Z, more than 30m ago (reports/web.json)",
            ..Scene::default()
        },
        Scene {
            about: "of next year",
            scans: &[("web a1", "2027-01-01T00:00:00Z", &[])],
            said: "refuse: registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: the report of trivy is from 2027-01-01, which is still to come (reports/web.json)",
            ..Scene::default()
        },
        Scene {
            about: "a clock that is ahead",
            scans: &[("web a1", "2026-11-22T12:04:00Z", &[])],
            said: clean,
            ..Scene::default()
        },
        Scene {
            about: "without a time",
            scans: &[("web a1", "", &[])],
            said: "refuse: registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: the report of trivy does not say when it was made (reports/web.json)",
            ..Scene::default()
        },
        Scene {
            about: "the newest counts",
            scans: &[
                ("web a1", "2026-11-20T00:00:00Z", HIGH),
                ("web a1", TODAY, &[]),
                ("web a1", "2026-11-21T00:00:00Z", HIGH),
            ],
            said: clean,
            ..Scene::default()
        },
        Scene {
            about: "who wants to wait for a scanner waits",
            gate: json!({"missing": "wait"}),
            said: "wait: registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: no report",
            ..Scene::default()
        },
        Scene {
            about: "what is refused is not waited for",
            images: &["web a1", "init b2"],
            scans: &[("init b2", TODAY, &[("CVE-2026-1", "9.8", "a", "")])],
            gate: json!({"missing": "wait"}),
            said: "refuse: CVE-2026-1 (9.8) in a 1.0 of registry.example.com/shop/init@sha256:b2b2b2b2b2b2…: critical is refused, not fixed yet; \
                   registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: no report",
            ..Scene::default()
        },
    ]);
}

#[test]
fn what_several_scanners_find_counts_together() {
    let read = |file| delivery(file, &fixture(file)).read().unwrap().remove(0);
    let both = [read("trivy.json"), read("grype.json")];
    let mut image = image("web 3f");
    let waivers = Waivers::read("waivers.yaml", &fixture("waivers.yaml"));
    let judged = |image: &Image, reports: &[Report], gate| {
        let case =
            Case { images: std::slice::from_ref(image), deployed: &[], reports, unreadable: &[], waivers: &waivers };
        judge(&case, &rules(&gate, CriticalWaivers::Forbidden), now())
    };
    let critical = "CVE-2026-2001 (9.8) in openssl 3.0.11-1 of registry.example.com/shop/web@sha256:3f3f3f3f3f3f…: critical is refused, fixed in 3.0.13-1";
    let unknown = "CVE-2026-2005 (unknown, without a score) in tzdata 2024a of registry.example.com/shop/web@sha256:3f3f3f3f3f3f…: no waiver, fixed in 2024b";
    let verdict = judged(&image, &both, json!({}));
    assert_eq!(shown(&verdict), format!("refuse: {critical}; {unknown}"));
    assert_eq!(verdict.objections()[0].image, format!("registry.example.com/shop/web@{}", digest("3f")));

    // A list of manifests is as good as its platforms, if all of them were scanned.
    image.digest = Digest::parse(&digest("11"));
    image.platforms = [digest("3f"), digest("7e")].iter().filter_map(|digest| Digest::parse(digest)).collect();
    let half = shown(&judged(&image, &both, json!({})));
    assert!(half.contains("web@sha256:111111111111… (platform sha256:7e7e7e7e7e7e…): no report"), "{half}");
    image.platforms.pop();
    assert_eq!(shown(&judged(&image, &both, json!({}))).matches("CVE-2026-2001").count(), 1);
}

#[test]
fn a_document_that_is_no_report_is_told_where_one_is_missing() {
    let unreadable = [delivery("reports/web.json", b"<html>").read().unwrap_err()];
    let images = [image("web a1")];
    let said = |reports: &[Report]| {
        let waivers = Waivers::default();
        let case = Case { images: &images, deployed: &[], reports, unreadable: &unreadable, waivers: &waivers };
        shown(&judge(&case, &rules(&json!({}), CriticalWaivers::Forbidden), now()))
    };
    assert_eq!(
        said(&[]),
        "refuse: registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: no report; \
         reports/web.json: the report is no JSON: expected value at line 1 column 1"
    );
    assert_eq!(said(&[scan(("web a1", TODAY, &[]))]), "pass: 1 image: nothing found");
}

#[test]
fn the_runs_of_a_document_count_together() {
    let images = [image("web 3f")];
    let run = |tool: &str, finding: Option<&str>, digests: Value| {
        let text = |id: &str| json!([{"ruleId": id, "message": {"text": "Package: p\nSeverity: CRITICAL"}}]);
        json!({
            "tool": {"driver": {"name": tool}},
            "results": finding.map_or(json!([]), text),
            "properties": {"repoDigests": digests},
        })
    };
    let of_it = json!([format!("web@{}", digest("3f"))]);
    let said = |documents: &[Value]| {
        let mut reports = Vec::new();
        for runs in documents {
            let bytes = json!({"version": "2.1.0", "runs": runs}).to_string();
            let delivery = Delivery { received: Some(now()), ..delivery("r.sarif", bytes.as_bytes()) };
            match delivery.read() {
                Ok(read) => reports.extend(read),
                Err(error) => return error.to_string(),
            }
        }
        let waivers = Waivers::default();
        let case = Case { images: &images, deployed: &[], reports: &reports, unreadable: &[], waivers: &waivers };
        shown(&judge(&case, &rules(&json!({}), CriticalWaivers::Forbidden), now()))
    };
    let critical = "refuse: CVE-2026-1 (critical, without a score) in p of registry.example.com/shop/web@sha256:3f3f3f3f3f3f…: critical is refused, not fixed yet";
    let clean = run("Trivy", None, of_it.clone());
    let bad = run("Trivy", Some("CVE-2026-1"), of_it.clone());
    let cases = [
        // documents, what is said
        (vec![json!([clean, bad])], critical),
        (vec![json!([bad, clean])], critical),
        (vec![json!([clean]), json!([bad])], critical),
        (vec![json!([clean]), json!([run("Grype", Some("CVE-2026-1"), of_it)])], critical),
        (
            vec![json!([clean, run("Trivy", Some("CVE-2026-1"), json!([]))])],
            "r.sarif: the report does not say by a digest which image it is of",
        ),
        (vec![json!([clean])], "pass: 1 image: nothing found"),
    ];
    for (documents, expected) in cases {
        assert_eq!(said(&documents), expected, "{documents:?}");
    }
}
