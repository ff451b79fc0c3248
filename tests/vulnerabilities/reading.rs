//! From what scanners write to reports.

use std::fmt::Write as _;

use leeboard::promote::vulnerability::{Delivery, Digest, Scanner, VulnerabilityGate};
use serde_json::{Value, json};

use super::{NOW, delivery, digest, fixture, now};

#[test]
fn all_scanners_say_the_same_of_the_same_image() {
    let found = "\
CVE-2026-2001 critical 9.8: openssl 3.0.11-1, 3.0.13-1
CVE-2026-2002 high 8.1: curl 7.88.1-10, 7.88.1-11
CVE-2026-2003 medium 6.9: zlib1g 1:1.2.13, -
CVE-2026-2004 low -: coreutils 9.1-1, -
CVE-2026-2005 unknown -: tzdata 2024a, 2024b
";
    // Where nobody gives a score, Trivy writes one for its word into SARIF.
    let found_in_sarif = found.replace("low -", "low 2.0");
    let cases = [
        // file, scanner, when, findings
        ("trivy.json", Scanner::Trivy, "2026-11-20T06:00:00.123456789Z", found),
        ("grype.json", Scanner::Grype, "2026-11-20T06:00:00Z", found),
        ("clair.json", Scanner::Clair, NOW, found),
        ("operator.json", Scanner::TrivyOperator, "2026-11-20T06:00:00Z", found),
        ("trivy.sarif", Scanner::Sarif, NOW, &found_in_sarif),
        ("grype.sarif", Scanner::Sarif, NOW, found),
        ("clean.json", Scanner::Trivy, "2026-11-20T06:00:00Z", ""),
    ];
    for (file, scanner, at, expected) in cases {
        let bytes = fixture(file);
        let asked_for = (file == "grype.sarif").then(|| Digest::parse(&digest("3f")).unwrap());
        let received = Some(now());
        let reports = Delivery { received, asked_for, ..delivery(file, &bytes) }.read().unwrap();
        let [report] = reports.as_slice() else { panic!("{file}: {} reports", reports.len()) };
        let mut said = String::new();
        for finding in &report.findings {
            let choice = VulnerabilityGate::default().score;
            let score = finding.score(choice).map_or("-".to_owned(), |score| score.to_string());
            let (id, class) = (&finding.id, finding.class(choice));
            let (package, installed) = (&finding.package, &finding.installed);
            let fixed = finding.fixed.as_deref().unwrap_or("-");
            writeln!(said, "{id} {class} {score}: {package} {installed}, {fixed}").unwrap();
        }
        assert_eq!(said, expected, "{file}");
        assert_eq!((report.scanner, report.at), (scanner, Some(at.parse().unwrap())), "{file}");
        let digests: Vec<&str> = report.digests.iter().map(Digest::as_str).collect();
        assert_eq!(digests, [digest("3f")], "{file}");
    }
}

#[test]
fn a_list_of_reports_has_those_that_say_which_image_they_are_of() {
    let bytes = fixture("operator-list.json");
    let reports = delivery("shop", &bytes).read().unwrap();
    let found: Vec<(String, usize)> =
        reports.iter().map(|report| (report.digests.first().unwrap().to_string(), report.findings.len())).collect();
    assert_eq!(found, [(digest("3f"), 5), (digest("7e"), 0)]);
    assert_eq!(delivery("empty", br#"{"apiVersion": "v1", "kind": "List", "items": []}"#).read().unwrap(), []);
}

#[test]
fn what_is_no_report_is_refused_with_its_source_and_the_field() {
    let trivy = |change: &dyn Fn(&mut Value)| {
        let mut document: Value = serde_json::from_slice(&fixture("trivy.json")).unwrap();
        change(&mut document);
        document.to_string()
    };
    let grype: Value = serde_json::from_slice(&fixture("grype.json")).unwrap();
    let cases = [
        // what it is, bytes, what is said
        ("nothing", String::new(), "r.json: the report is no JSON: EOF while parsing a value at line 1 column 0"),
        (
            "half of one",
            "{\"SchemaVersion\": 2,\n\"Art".into(),
            "r.json: the report is no JSON: EOF while parsing a string at line 2 column 4",
        ),
        (
            "two in one",
            format!("{0}{0}", trivy(&|_| {})),
            "r.json: the report is no JSON: trailing characters at line 1",
        ),
        ("a page", "<html>".into(), "r.json: the report is no JSON: expected value at line 1 column 1"),
        ("a list", "[]".into(), "r.json: this is no report of a scanner that is known"),
        ("other JSON", "{\"matches\": []}".into(), "r.json: this is no report of a scanner that is known"),
        (
            "another schema",
            trivy(&|document| document["SchemaVersion"] = 3.into()),
            "r.json: `SchemaVersion` is 3, and only 2 is known",
        ),
        (
            "another version of SARIF",
            "{\"version\": \"2.0.0\", \"runs\": []}".into(),
            "r.json: `version` is \"2.0.0\", and only 2.1.0 is known",
        ),
        (
            "a field of another type",
            trivy(&|document| document["Results"][0]["Vulnerabilities"][1]["VulnerabilityID"] = 5.into()),
            "r.json: `Results[0].Vulnerabilities[1].VulnerabilityID` of the report can't be read: invalid type: integer `5`, expected a string at line 1 column",
        ),
        (
            "a finding without a package",
            trivy(&|document| {
                drop(document["Results"][0]["Vulnerabilities"][0].as_object_mut().unwrap().remove("PkgName"))
            }),
            "r.json: `Results[0].Vulnerabilities[0]` of the report can't be read: missing field `PkgName` at line 1 column",
        ),
        (
            "a score off the scale",
            trivy(&|document| document["Results"][0]["Vulnerabilities"][0]["CVSS"]["nvd"]["V3Score"] = 98.into()),
            "r.json: `Results[0].Vulnerabilities[0].CVSS.nvd.V3Score` of the report is no score from 0 to 10",
        ),
        (
            "no time",
            trivy(&|document| document["CreatedAt"] = "yesterday".into()),
            "r.json: `CreatedAt` of the report is no time: `yesterday`",
        ),
        (
            "a directory that was scanned",
            trivy(&|document| document["Metadata"] = json!({})),
            "r.json: the report does not say by a digest which image it is of",
        ),
        (
            "an image that was known by its tag only",
            trivy(&|document| document["Metadata"]["RepoDigests"] = json!(["registry.example.com/shop/web:2.0"])),
            "r.json: the report does not say by a digest which image it is of",
        ),
        (
            "one without its matches",
            json!({"descriptor": grype["descriptor"], "source": grype["source"], "matches": null}).to_string(),
            "r.json: this is no report of a scanner that is known",
        ),
        (
            "SARIF of Grype, which knows no digests",
            String::from_utf8(fixture("grype.sarif")).unwrap(),
            "r.json: the report does not say by a digest which image it is of",
        ),
        (
            "a package that no table has",
            json!({"manifest_hash": digest("3f"), "package_vulnerabilities": {"1": ["2"]}}).to_string(),
            "r.json: `packages` of the report has no `1`, which `package_vulnerabilities` names",
        ),
        (
            "a scan that did not take place",
            json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Trivy"}}, "results": null}]}).to_string(),
            "r.json: `runs[0].results` of the report can't be read: invalid type: null, expected a sequence at line 1 column",
        ),
        (
            "something else in a list",
            json!({"apiVersion": "v1", "kind": "List", "items": [{"kind": "Pod"}]}).to_string(),
            "r.json: `items[0].kind` of the report is `Pod`, which is no report",
        ),
    ];
    for (about, bytes, expected) in cases {
        let error = delivery("r.json", bytes.as_bytes()).read().unwrap_err();
        assert!(error.to_string().starts_with(expected), "{about}\nexpected {expected}\nbut      {error}");
        assert!(!error.hint().is_empty(), "{about}");
    }
}

#[test]
fn a_report_of_another_scanner_than_the_source_says_is_refused() {
    let bytes = fixture("grype.json");
    let error = Delivery { scanner: Some(Scanner::Trivy), ..delivery("r.json", &bytes) }.read().unwrap_err();
    assert_eq!(error.to_string(), "r.json: this is a report of grype, and the source is said to be of trivy");
}

#[test]
fn a_report_of_fifty_megabytes_is_refused_before_it_is_read() {
    let mut bytes = fixture("trivy.json");
    bytes.resize(50 << 20, b' ');
    let error = delivery("r.json", &bytes).read().unwrap_err();
    assert_eq!(error.to_string(), "r.json: the report has 52428800 bytes, more than the limit of 33554432");
}
