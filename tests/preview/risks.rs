//! Every rule on risks, by what it finds.

use std::collections::BTreeSet;

use leeboard::preview::risk::{Failing, Rule, Severity, assess};

use super::{expect, fixture, scene};

#[test]
fn each_rule_finds_what_it_is_for() {
    let mut found = String::new();
    let mut silent: BTreeSet<String> = (1..=34).map(|number| format!("R{number}")).collect();
    let mut wrong = Vec::new();
    for case in scene::documents(&fixture("risks.yaml")) {
        let name = case["case"].as_str().unwrap();
        let rule = name.split(' ').next().unwrap();
        let preview = scene::preview(vec![scene::environment(&case)]);
        let risks = assess(&preview, &scene::standards(&case));
        found.push_str(&format!("{name}\n"));
        for risk in &risks {
            found.push_str(&format!("  {:?} {}: {}\n", risk.severity, risk.rule, risk.says));
        }
        let is_found = risks.iter().any(|risk| risk.rule.to_string() == rule);
        if is_found == (case["nothing"] == true) {
            wrong.push(format!("{name}: {risks:?}"));
        }
        silent.remove(rule);
        assert_eq!(risks, assess(&preview, &scene::standards(&case)), "{name}: another time");
    }
    assert_eq!(silent, BTreeSet::new(), "rules without a case");
    expect(&fixture("risks.txt"), &found, &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_fails_a_status_is_read_from_words() {
    let cases = [
        // text          what
        ("red", Some(Failing::Severity(Severity::Red))),
        ("yellow", Some(Failing::Severity(Severity::Yellow))),
        ("R11", Some(Failing::Rule(Rule::R(11)))),
        ("plainSecret", Some(Failing::Rule(Rule::PlainSecret))),
        ("R0", None),
        ("R35", None),
        ("blue", None),
        ("", None),
    ];
    for (text, what) in cases {
        assert_eq!(text.parse::<Failing>().ok(), what, "{text}");
    }
}
