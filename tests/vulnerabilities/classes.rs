//! What becomes of a finding by how bad it is.

use leeboard::promote::vulnerability::{Case, CriticalWaivers, Waivers, judge};
use serde_json::json;

use super::{Found, SCAN, Scene, TODAY, image, now, play, rules, scan, shown};

#[test]
fn each_class_has_its_rule() {
    play(&[
        Scene {
            about: "what is critical is refused, with all that a person needs",
            images: &["web a1", "init b2"],
            scans: &[("web a1", TODAY, &[]), ("init b2", TODAY, &[("CVE-2026-1", "9.8", "openssl", "3.0.13-1")])],
            said: "refuse: CVE-2026-1 (9.8) in openssl 1.0 of registry.example.com/shop/init@sha256:b2b2b2b2b2b2…: critical is refused, fixed in 3.0.13-1",
            ..Scene::default()
        },
        Scene {
            about: "what is high needs a waiver",
            scans: SCAN,
            said: "needs waiver: CVE-2026-1 (8.1) in curl 1.0 of registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: no waiver, fixed in 1.1",
            ..Scene::default()
        },
        Scene {
            about: "what is medium or low is counted",
            scans: &[(
                "web a1",
                TODAY,
                &[("CVE-2026-1", "6.9", "a", ""), ("CVE-2026-2", "4.0", "a", ""), ("CVE-2026-3", "LOW", "a", "")],
            )],
            said: "pass: 1 image: 2 medium, 1 low",
            ..Scene::default()
        },
        Scene {
            about: "what nobody has judged needs a waiver",
            scans: &[("web a1", TODAY, &[("CVE-2026-1", "UNKNOWN", "a", "")])],
            said: "needs waiver: CVE-2026-1 (unknown, without a score) in a 1.0 of registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: no waiver, not fixed yet",
            ..Scene::default()
        },
        Scene {
            about: "nothing was found",
            scans: &[("web a1", TODAY, &[])],
            said: "pass: 1 image: nothing found",
            ..Scene::default()
        },
        Scene { about: "no image at all", images: &[], said: "pass: 0 images: nothing found", ..Scene::default() },
        Scene {
            about: "rules are what users write, but for what is critical",
            scans: &[(
                "web a1",
                TODAY,
                &[("CVE-2026-1", "9.0", "a", ""), ("CVE-2026-2", "8.9", "a", ""), ("CVE-2026-3", "5", "a", "2")],
            )],
            gate: json!({"critical": "waiver", "high": "pass", "medium": "refuse"}),
            waivers: "- {id: CVE-2026-1, reason: r, mitigation: m, expires: 2026-12-24}",
            said: "refuse: CVE-2026-1 (9.0) in a 1.0 of registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: critical is refused, the project allows no waiver for it, not fixed yet; \
                   CVE-2026-3 (5.0) in a 1.0 of registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: medium is refused, fixed in 2",
            ..Scene::default()
        },
        Scene {
            about: "what has no fix is let pass where that is wanted, but what is critical",
            scans: &[(
                "web a1",
                TODAY,
                &[("CVE-2026-1", "9.0", "a", ""), ("CVE-2026-2", "8.9", "a", ""), ("CVE-2026-3", "8.9", "b", "2")],
            )],
            gate: json!({"ignoreUnfixed": true}),
            said: "refuse: CVE-2026-1 (9.0) in a 1.0 of registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: critical is refused, not fixed yet; \
                   CVE-2026-3 (8.9) in b 1.0 of registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: no waiver, fixed in 2",
            ..Scene::default()
        },
        Scene {
            about: "what is deployed is let pass where that is wanted, but what is critical, or in another image",
            images: &["web a1", "init b2"],
            scans: &[
                (
                    "web a1",
                    TODAY,
                    &[("CVE-2026-1", "8", "a", ""), ("CVE-2026-2", "9.0", "a", ""), ("CVE-2026-3", "8", "new", "")],
                ),
                ("init b2", TODAY, &[("CVE-2026-1", "8", "a", "")]),
                (
                    "web d0",
                    "2026-01-01T00:00:00Z",
                    &[("CVE-2026-1", "8", "a", ""), ("CVE-2026-2", "9.0", "a", ""), ("CVE-2026-3", "8", "old", "")],
                ),
            ],
            gate: json!({"onlyNew": true}),
            said: "refuse: CVE-2026-2 (9.0) in a 1.0 of registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: critical is refused, not fixed yet; \
                   CVE-2026-1 (8.0) in a 1.0 of registry.example.com/shop/init@sha256:b2b2b2b2b2b2…: no waiver, not fixed yet; \
                   CVE-2026-3 (8.0) in new 1.0 of registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: no waiver, not fixed yet",
            ..Scene::default()
        },
        Scene {
            about: "what is let pass is counted",
            scans: &[
                ("web a1", TODAY, &[("CVE-2026-1", "8", "a", "2"), ("CVE-2026-2", "8", "b", "")]),
                ("web d0", TODAY, &[("CVE-2026-1", "8", "a", "2")]),
            ],
            gate: json!({"onlyNew": true, "ignoreUnfixed": true}),
            said: "pass: 1 image: 1 without a fix, 1 deployed already",
            ..Scene::default()
        },
    ]);
}

#[test]
fn of_many_objections_the_worst_are_told() {
    let names: Vec<String> = (10..30).map(|number| format!("CVE-2026-{number}")).collect();
    let mut found: Vec<Found<'_>> = names.iter().map(|name| (name.as_str(), "7.0", "a", "")).collect();
    found[17].1 = "9.9";
    let said = Scene { scans: &[("web a1", TODAY, &found)], ..Scene::default() }.play();
    assert!(said.starts_with("refuse: CVE-2026-27 (9.9)"), "{said}");
    assert!(said.contains("CVE-2026-18 (7.0)") && !said.contains("CVE-2026-19"), "{said}");
    assert!(said.ends_with("; and 10 more"), "{said}");
}

#[test]
fn who_may_allow_it_allows_a_waiver_for_what_is_critical() {
    let reports = [scan(("web a1", TODAY, &[("CVE-2026-1", "9.8", "a", "")]))];
    let waivers = Waivers::read("waivers.yaml", b"- {id: CVE-2026-1, reason: r, mitigation: m, expires: 2026-12-24}");
    let images = [image("web a1")];
    let said = |waivers, gate, allowed| {
        let case = Case { images: &images, deployed: &[], reports: &reports, unreadable: &[], waivers };
        shown(&judge(&case, &rules(&gate, allowed), now()))
    };
    let asked = json!({"critical": "waiver"});
    let refused = "refuse: CVE-2026-1 (9.8) in a 1.0 of registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: critical is refused, ";
    assert_eq!(said(&waivers, asked.clone(), CriticalWaivers::Allowed), "pass: 1 image: 1 waived, until 2026-12-24");
    assert!(said(&waivers, asked.clone(), CriticalWaivers::Forbidden).starts_with(refused));
    assert!(said(&waivers, json!({}), CriticalWaivers::Allowed).starts_with(refused));
    assert!(said(&Waivers::default(), asked, CriticalWaivers::Allowed).starts_with("needs waiver: CVE-2026-1"));
}
