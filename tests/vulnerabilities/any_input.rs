//! What holds of any input.

use leeboard::promote::vulnerability::{Case, CriticalWaivers, Verdict, Waivers, judge};
use proptest::prelude::*;
use serde_json::json;

use super::{Found, TODAY, delivery, fixture, image, now, rules, scan, shown};

proptest! {
    #[test]
    fn any_bytes_are_a_report_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(delivery("r.json", &bytes).read().map_or_else(|error| !error.to_string().is_empty(), |_| true));
        let _ = Waivers::read("waivers.yaml", &bytes);
    }

    /// Any part of a report may be replaced by anything.
    #[test]
    fn a_damaged_report_is_read_or_refused(file in 0usize..7, at in any::<prop::sample::Index>(), with in "[-\\[\\]{}\",:0-9a-z\u{e9}]{0,6}") {
        const FILES: [&str; 7] = ["trivy.json", "grype.json", "clair.json", "operator.json", "operator-list.json", "trivy.sarif", "grype.sarif"];
        let text = String::from_utf8(fixture(FILES[file])).unwrap();
        let at = at.index(text.len());
        let damaged = format!("{}{with}{}", &text[..at], text.get(at + with.len()..).unwrap_or_default());
        if let Err(error) = delivery(FILES[file], damaged.as_bytes()).read() {
            prop_assert!(error.to_string().starts_with(FILES[file]));
        }
    }

    /// Whatever users write and whoever finds it: what is critical passes with a waiver that the project allows, else never.
    #[test]
    fn what_is_critical_never_passes(
        score in 90u32..=100,
        others in proptest::collection::vec((0u32..100, 0usize..3, prop::bool::ANY), 0..6),
        place in any::<prop::sample::Index>(),
        words in proptest::collection::vec(0usize..3, 4),
        flags in proptest::collection::vec(prop::bool::ANY, 4),
        allowed in prop::bool::ANY,
    ) {
        const RULES: [&str; 3] = ["refuse", "waiver", "pass"];
        const PACKAGES: [&str; 3] = ["a", "b", "c"];
        let scores: Vec<(String, &str, &str)> = others
            .iter()
            .map(|(score, package, fixed)| (format!("{:.1}", f64::from(*score) / 10.0), PACKAGES[*package], if *fixed { "2" } else { "" }))
            .collect();
        let critical = format!("{:.1}", f64::from(score) / 10.0);
        let names: Vec<String> = (0..scores.len()).map(|number| format!("CVE-2026-{number}")).collect();
        let mut found: Vec<Found<'_>> =
            scores.iter().zip(&names).map(|((score, package, fixed), name)| (name.as_str(), score.as_str(), *package, *fixed)).collect();
        found.insert(place.index(found.len() + 1), ("CVE-2026-100", &critical, "a", if flags[0] { "2" } else { "" }));
        let gate = json!({
            "critical": if flags[1] { "waiver" } else { "refuse" },
            "high": RULES[words[0]], "medium": RULES[words[1]], "low": RULES[words[2]], "unknown": RULES[words[3]],
            "ignoreUnfixed": flags[2], "onlyNew": flags[3],
        });
        let reports = [scan(("web a1", TODAY, &found)), scan(("web d0", TODAY, &found))];
        let images = [image("web a1")];
        let all: String = names.iter().chain([&"CVE-2026-100".to_owned()]).fold(String::new(), |file, name| {
            file + &format!("- {{id: {name}, reason: r, mitigation: m, expires: 2026-12-24}}\n")
        });
        let critical_waivers = if allowed { CriticalWaivers::Allowed } else { CriticalWaivers::Forbidden };
        let rules = rules(&gate, critical_waivers);
        for (waivers, may_pass) in [(all.as_str(), allowed && flags[1]), ("", false)] {
            let waivers = Waivers::read("waivers.yaml", waivers.as_bytes());
            let case = Case { images: &images, deployed: &[image("web d0")], reports: &reports, unreadable: &[], waivers: &waivers };
            let verdict = judge(&case, &rules, now());
            let has_passed = matches!(verdict, Verdict::Pass(_));
            prop_assert!(!has_passed || may_pass, "{gate}: {}", shown(&verdict));
            prop_assert!(has_passed || may_pass || verdict.message().contains("CVE-2026-100"));
        }
    }
}
