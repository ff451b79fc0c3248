//! What is deployed although it was found.

use jiff::Timestamp;
use leeboard::promote::vulnerability::{Case, CriticalWaivers, Verdict, VulnerabilityGate, Waivers, judge, lapsed};
use leeboard::yaml::{self, Resolve};
use serde_json::json;

use super::{HIGH, NOW, SCAN, Scene, TODAY, image, now, rules, scan, shown};

#[test]
fn a_waiver_counts_for_what_it_says_and_until_it_ends() {
    const HEAD: &str =
        "needs waiver: CVE-2026-1 (8.1) in curl 1.0 of registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: ";
    let cases = [
        // waivers, what is said
        (
            "- {id: CVE-2026-1, reason: r, mitigation: m, expires: 2026-12-24}",
            "pass: 1 image: 1 waived, until 2026-12-24",
        ),
        (
            "- {id: cve-2026-1, reason: r, mitigation: m, expires: '2026-11-22T12:00:01Z'}",
            "pass: 1 image: 1 waived, until 2026-11-22 12:00:01Z",
        ),
        ("", "no waiver"),
        ("- {id: CVE-2026-2, reason: r, mitigation: m, expires: 2026-12-24}", "no waiver"),
        ("- {id: CVE-2026-1, reason: r, mitigation: m, expires: 2026-10-01}", "waiver expired 2026-10-01"),
        // A day ends a waiver when it begins.
        ("- {id: CVE-2026-1, reason: r, mitigation: m, expires: 2026-11-22}", "waiver expired 2026-11-22"),
        (
            "- {id: CVE-2026-1, reason: r, mitigation: m, expires: 2027-02-20}",
            "pass: 1 image: 1 waived, until 2027-02-20",
        ),
        (
            "- {id: CVE-2026-1, reason: r, mitigation: m, expires: 2027-02-21}",
            "the waiver expires 2027-02-21, later than is allowed",
        ),
        (
            "- {id: CVE-2026-1, reason: r, mitigation: m, expires: soon}",
            "the waiver expires `soon`, which is no date such as 2026-12-31 (waivers.yaml:1:3)",
        ),
        ("- {id: CVE-2026-1, reason: r, mitigation: m}", "the waiver has no `expires` (waivers.yaml:1:3)"),
        ("- {id: CVE-2026-1, mitigation: m, expires: 2026-12-24}", "the waiver has no `reason` (waivers.yaml:1:3)"),
        (
            "- {id: CVE-2026-1, reason: ' ', mitigation: m, expires: 2026-12-24}",
            "the waiver has no `reason` (waivers.yaml:1:3)",
        ),
        (
            "\n- id: CVE-2026-1\n  reason: r\n  expires: 2026-12-24\n",
            "the waiver has no `mitigation` (waivers.yaml:2:3)",
        ),
        (
            "- {id: CVE-2026-1, image: registry.example.com/shop/*, reason: r, mitigation: m, expires: 2026-12-24}",
            "pass: 1 image: 1 waived, until 2026-12-24",
        ),
        (
            "- {id: CVE-2026-1, image: '**/web:2.0', reason: r, mitigation: m, expires: 2026-12-24}",
            "pass: 1 image: 1 waived, until 2026-12-24",
        ),
        (
            "- {id: CVE-2026-1, image: 'registry.example.com/*', reason: r, mitigation: m, expires: 2026-12-24}",
            "the waiver is for `registry.example.com/*`",
        ),
        (
            "- {id: CVE-2026-1, image: registry.example.com/shop/api, reason: r, mitigation: m, expires: 2026-12-24}",
            "the waiver is for `registry.example.com/shop/api`",
        ),
        (
            "- {id: CVE-2026-1, image: '[', reason: r, mitigation: m, expires: 2026-12-24}",
            "the waiver's `image` is no pattern: a `[` is not closed, or empty (waivers.yaml:1:3)",
        ),
        (
            "- {id: CVE-2026-1, package: curl, reason: r, mitigation: m, expires: 2026-12-24}",
            "pass: 1 image: 1 waived, until 2026-12-24",
        ),
        (
            "- {id: CVE-2026-1, package: openssl, reason: r, mitigation: m, expires: 2026-12-24}",
            "the waiver is for the package openssl",
        ),
        // Of several that do not count the nearest is told; one that counts is enough.
        (
            "- {id: CVE-2026-1, image: x, reason: r, mitigation: m, expires: 2026-12-24}\n\
             - {id: CVE-2026-1, reason: r, mitigation: m, expires: 2026-10-01}\n\
             - {id: CVE-2026-1, package: x, reason: r, mitigation: m, expires: 2026-12-24}",
            "waiver expired 2026-10-01",
        ),
        (
            "- {id: CVE-2026-1, reason: r, mitigation: m, expires: 2026-10-01}\n\
             - {id: CVE-2026-1, reason: r, mitigation: m, expires: 2026-12-24}",
            "pass: 1 image: 1 waived, until 2026-12-24",
        ),
    ];
    for (waivers, expected) in cases {
        let said = Scene { scans: SCAN, waivers, ..Scene::default() }.play();
        let expected = match expected.starts_with("pass") {
            true => expected.to_owned(),
            false => format!("{HEAD}{expected}, fixed in 1.1"),
        };
        assert_eq!(said, expected, "{waivers}");
    }
}

#[test]
fn a_mistake_in_the_file_of_waivers_is_told_to_who_needs_one() {
    let cases = [
        // file, what is said of it
        ("{}", "waivers.yaml:1:1: a file of waivers is a list, found a mapping"),
        ("- CVE-2026-1", "waivers.yaml:1:3: a waiver is a mapping, found a scalar"),
        ("- {reason: r}", "waivers.yaml:1:3: a waiver needs an `id`, for example `id: CVE-2026-1001`"),
        (
            "- {id: CVE-2026-1, expire: 2026-12-24}",
            "waivers.yaml:1:20: unknown field `expire` in a waiver: there are id, image, package, reason, mitigation, author, approvedBy, expires",
        ),
        ("- {id: CVE-2026-1, id: CVE-2026-2}", "waivers.yaml:1:20: the field `id` is there twice"),
        ("- {id: CVE-2026-1, reason: [r]}", "waivers.yaml:1:28: `reason` of a waiver is a text, found a list"),
        ("- {id: CVE-2026-1", "waivers.yaml:1:3: invalid YAML: unclosed bracket '{'"),
    ];
    for (waivers, expected) in cases {
        let said = Scene { scans: SCAN, waivers, ..Scene::default() }.play();
        let told = said.split_once("; ").map(|(_, told)| told).unwrap_or_default();
        assert!(told.starts_with(expected), "{waivers}\nexpected {expected}\nbut      {said}");
        let nobody = Scene { scans: &[("web a1", TODAY, &[])], waivers, ..Scene::default() }.play();
        assert_eq!(nobody, "pass: 1 image: nothing found", "{waivers}");
    }
}

#[test]
fn what_passes_is_to_be_judged_again_when_a_waiver_or_a_report_ends() {
    let reports = [scan(("web a1", TODAY, HIGH))];
    let images = [image("web a1")];
    let at = |text: &str| -> Timestamp { text.parse().unwrap() };
    let cases = [
        // the waiver's end, when to judge again
        ("2026-11-25", "2026-11-25T00:00:00Z"),
        ("2026-12-24", "2026-11-29T06:00:00Z"),
    ];
    for (expires, until) in cases {
        let file = format!("- {{id: CVE-2026-1, reason: r, mitigation: m, author: ada, expires: {expires}}}");
        let waivers = Waivers::read("waivers.yaml", file.as_bytes());
        let rules = rules(&json!({}), CriticalWaivers::Forbidden);
        let case = Case { images: &images, deployed: &[], reports: &reports, unreadable: &[], waivers: &waivers };
        let Verdict::Pass(passed) = judge(&case, &rules, now()) else { panic!("{expires} does not pass") };
        assert_eq!(passed.until, Some(at(until)), "{expires}");

        // Deployed, it lapses when it ends, unless there is another by then.
        let end = passed.waived[0].expires;
        assert_eq!(lapsed(&passed.waived, &waivers, &rules, at(NOW)), [] as [&str; 0]);
        let said = format!(
            "CVE-2026-1 (8.1) in curl 1.0 of registry.example.com/shop/web@sha256:a1a1a1a1a1a1…: waiver expired {expires}, fixed in 1.1"
        );
        assert_eq!(lapsed(&passed.waived, &waivers, &rules, end), [said]);
        let renewed =
            Waivers::read("waivers.yaml", b"- {id: CVE-2026-1, reason: r, mitigation: m, expires: 2027-01-31}");
        assert_eq!(lapsed(&passed.waived, &renewed, &rules, end), [] as [&str; 0]);
    }
}

#[test]
fn the_examples_of_the_documentation_are_read() {
    let text = std::fs::read_to_string(format!("{}/docs/vulnerabilities.md", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let blocks: Vec<&str> = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [gate, waivers] = blocks.as_slice() else { panic!("{} blocks", blocks.len()) };
    let document = yaml::parse(&"gate.yaml".into(), gate.as_bytes()).unwrap().remove(0);
    let gate = document.root.to_value(Resolve::V3).unwrap();
    let fields: Vec<&String> = gate["vulnerabilities"].as_object().unwrap().keys().collect();
    let gate: VulnerabilityGate = serde_json::from_value(gate["vulnerabilities"].clone()).unwrap();
    assert!(gate.rules(CriticalWaivers::Forbidden).is_ok());
    let known = serde_json::to_value(&gate).unwrap();
    let unknown: Vec<&&String> = fields.iter().filter(|field| known.get(field).is_none()).collect();
    assert!(unknown.is_empty() && fields.len() == known.as_object().unwrap().len(), "{fields:?}, unknown {unknown:?}");
    let waivers = Waivers::read("waivers.yaml", waivers.as_bytes());
    assert_eq!(waivers.errors, []);
    let reports = [scan(("web a1", TODAY, &[("CVE-2026-2002", "8.1", "curl", "")]))];
    let images = [image("web a1")];
    let case = Case { images: &images, deployed: &[], reports: &reports, unreadable: &[], waivers: &waivers };
    let verdict = judge(&case, &gate.rules(CriticalWaivers::Forbidden).unwrap(), now());
    assert_eq!(shown(&verdict), "pass: 1 image: 1 waived, until 2026-12-24");
}
