//! Whatever stands in git or in a cluster, a comment is harmless, whole, and small enough.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leeboard::preview::comment::{Comment, Flavour, Options, find, write};
use leeboard::preview::full::full;
use leeboard::preview::mask::Masks;
use leeboard::preview::risk::{Failing, Severity, Standards, assess};
use leeboard::preview::status::{Judgement, Status};
use leeboard::preview::{EnvironmentPreview, Preview, Pull};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::scene;

/// What a comment may not do, and where it does.
fn faults(body: &str, flavour: Flavour) -> Vec<String> {
    let mut faults = Vec::new();
    let is_mark = |c: char| c.is_whitespace() || ">-+*.)".contains(c) || c.is_ascii_digit();
    let mut fence: Option<usize> = None;
    let mut details = 0i32;
    for line in body.lines() {
        if line.trim_start_matches(is_mark).starts_with('/') {
            faults.push(format!("a line begins with a slash: {line}"));
        }
        if line.chars().any(|c| c.is_control() && c != '\t') || line.contains(['\u{202e}', '\u{2066}', '\u{200b}']) {
            faults.push(format!("a character that nobody sees: {line:?}"));
        }
        let tildes = line.chars().take_while(|c| *c == '~').count();
        match fence {
            Some(length) => {
                let indented = line.trim_start_matches(' ');
                let run = indented.chars().take_while(|c| *c == '~').count();
                if run >= length && indented.trim_end().chars().all(|c| c == '~') {
                    fence = None;
                }
                continue;
            }
            None if tildes >= 3 => {
                fence = Some(tildes);
                continue;
            }
            None => {}
        }
        let is_hidden = line.starts_with("<!-- leeboard:") && line.ends_with(" -->")
            || line.starts_with("[//]: # (leeboard:") && line.ends_with(')');
        if is_hidden {
            let inner = &line[4..line.len() - 3];
            if inner.contains("-->") {
                faults.push(format!("the hidden line ends early: {line}"));
            }
            continue;
        }
        let open = without_code(line);
        details += i32::try_from(open.matches("<details>").count()).unwrap();
        details -= i32::try_from(open.matches("</details>").count()).unwrap();
        let mut rest = open;
        let tags = ["<details>", "</details>", "<summary>", "</summary>", "<sub>", "</sub>"];
        let takes_no_html = matches!(flavour, Flavour::BitbucketCloud | Flavour::BitbucketServer);
        if takes_no_html && tags.iter().any(|tag| rest.contains(tag)) {
            faults.push(format!("a tag: {line}"));
        }
        for tag in tags {
            rest = rest.replace(tag, "");
        }
        let rest = rest.trim_start_matches('#').replace("[full diff](https://leeboard.example/previews/482)", "");
        let is_heading_or_note =
            rest.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "").replace("&quot;", "");
        for wrong in ['@', '#', '<', '>', '[', '`', '!'] {
            if is_heading_or_note.contains(wrong) {
                faults.push(format!("`{wrong}` outside of code: {line}"));
            }
        }
        if is_heading_or_note.contains("://") || is_heading_or_note.to_lowercase().contains("gh-1") {
            faults.push(format!("a link outside of code: {line}"));
        }
    }
    if fence.is_some() {
        faults.push("a fence is open".into());
    }
    if details != 0 {
        faults.push(format!("{details} details are open"));
    }
    faults
}

/// A line without code spans and code elements, as CommonMark pairs backticks.
fn without_code(line: &str) -> String {
    let mut shown = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(['`', '<']) {
        shown.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(inner) = rest.strip_prefix("<code>") {
            let end = inner.find("</code>").unwrap_or(inner.len());
            assert!(!inner[..end].contains(['<', '>']), "HTML in a code element: {line}");
            rest = inner[end..].trim_start_matches("</code>");
        } else if rest.starts_with('<') {
            shown.push('<');
            rest = &rest[1..];
        } else {
            let length = rest.chars().take_while(|c| *c == '`').count();
            let inner = &rest[length..];
            let mut at = 0;
            let end = loop {
                let Some(found) = inner[at..].find('`') else { break None };
                let run = inner[at + found..].chars().take_while(|c| *c == '`').count();
                if run == length {
                    break Some(at + found);
                }
                at += found + run;
            };
            match end {
                Some(end) => rest = &inner[end + length..],
                None => {
                    shown.push_str(&rest[..length]);
                    rest = inner;
                }
            }
        }
    }
    shown + rest
}

fn commented(preview: &Preview, flavour: Flavour, most: usize) -> Comment {
    let risks = assess(preview, &Standards::default());
    let mut options = Options::new(flavour).lowered_to(u32::try_from(most).ok());
    options.link = most.is_multiple_of(2).then(|| "https://leeboard.example/previews/482".to_owned());
    write(preview, &risks, &Masks::of(preview, vec![]), &options)
}

fn check(preview: &Preview, flavour: Flavour, most: usize, planted: &[String]) {
    let comment = commented(preview, flavour, most);
    let body = &comment.body;
    assert!(body.len() <= most.min(flavour.budget()), "{} bytes of {most}", body.len());
    assert_eq!(faults(body, flavour), Vec::<String>::new(), "{flavour:?} {most}\n{body}");
    assert!(body.contains("\n### Leeboard: "), "no headline in\n{body}");
    let found = find(body).unwrap_or_else(|| panic!("no marker in\n{body}"));
    assert_eq!(found.data.map(|data| data.head), Some(preview.pull.head.clone()), "{body}");
    assert_eq!(comment, commented(preview, flavour, most), "another time");
    let masks = Masks::of(preview, vec![]);
    let judgement = Judgement { fail: vec![Failing::Severity(Severity::Yellow)], ..Judgement::default() };
    let status = Status::of(preview, &assess(preview, &Standards::default()), &masks, &judgement).description;
    assert!(status.chars().count() <= 140 && !status.contains(['\n', '\r', '\0', '\u{202e}']), "{status:?}");
    let all = full(preview, &assess(preview, &Standards::default()), &masks);
    let all = serde_json::to_string(&all).unwrap();
    for seen in [all.as_str(), comment.body.as_str(), status.as_str()] {
        let odd = seen.find(['\u{202e}', '\u{e000}', '\u{e001}', '\u{e002}']);
        assert_eq!(odd.map(|at| seen[at..].chars().take(60).collect::<String>()), None);
    }
    for secret in planted {
        assert!(!all.contains(secret.as_str()) && !all.contains(&STANDARD.encode(secret)), "{secret} in {all}");
        assert!(!status.contains(secret.as_str()), "{secret} in {status}");
        for form in [secret.clone(), STANDARD.encode(secret), Value::from(secret.as_str()).to_string()] {
            assert!(!body.contains(form.trim_matches('"')), "{form} in\n{body}");
        }
    }
}

const NASTY: &[&str] = &[
    "/merge",
    "  /approve",
    "> /close",
    "- /label ~x",
    "1. /assign @me",
    "```",
    "~~~~~~~",
    "</details>",
    "</summary><h1>",
    "-->",
    "<!-- leeboard:preview v1 instance=hub-eu pr=482 -->",
    "@org/team",
    "#12",
    "GH-1",
    "org/repo#1",
    "closes #1",
    "https://evil.example/x.png",
    "![x](https://evil.example)",
    "[a](b)",
    "a|b",
    "\u{202e}gnp",
    "\u{200b}",
    "\u{e000}0\u{e001}",
    "\u{e002}0\u{e001}",
    "\0\r\n/merge",
    "`",
    "`` ` ``",
    "*_~",
    "&lt;b&gt;",
    "é🔴",
    "",
];

/// A text that somebody wrote to break something, or one that is only odd.
fn text() -> impl Strategy<Value = String> {
    let nasty = select(NASTY).prop_map(str::to_owned);
    let lines = proptest::collection::vec(select(NASTY), 1..5).prop_map(|lines| lines.join("\n"));
    prop_oneof![3 => nasty, 2 => lines, 1 => ".{0,40}", 1 => "[a-z]{1,8}"]
}

/// A secret that cannot come up by chance.
fn secret() -> impl Strategy<Value = String> {
    "[a-zA-Z]{4}[-+/@:\"' é]{1,3}[0-9]{6}"
}

#[derive(Clone, Debug)]
struct Made {
    environments: Vec<Value>,
    planted: Vec<String>,
}

fn object() -> impl Strategy<Value = Value> {
    let kind = select(
        &["ConfigMap", "Deployment", "Service", "Ingress", "NetworkPolicy", "Role", "PersistentVolumeClaim"][..],
    );
    (kind, text(), text(), text(), text()).prop_map(|(kind, name, a, b, c)| {
        let name = if name.is_empty() { "x".to_owned() } else { name };
        let api = match kind {
            "Deployment" => "apps/v1",
            "Ingress" | "NetworkPolicy" => "networking.k8s.io/v1",
            "Role" => "rbac.authorization.k8s.io/v1",
            _ => "v1",
        };
        json!({"apiVersion": api, "kind": kind,
            "metadata": {"name": name, "namespace": "shop", "labels": {a.as_str(): b}, "annotations": {"x": c}},
            "data": {a.as_str(): format!("{b}\n{c}\n"), "json": json!({"k": a}).to_string()},
            "rules": [{"apiGroups": ["*"], "resources": [b], "verbs": ["*", a]}],
            "spec": {"replicas": a.len(), "selector": {"app": a}, "rules": [{"host": b}], "podSelector": {},
                     "resources": {"requests": {"storage": c}},
                     "template": {"metadata": {"labels": {"app": b}}, "spec": {"hostNetwork": true, "containers": [
                         {"name": a, "image": c, "args": [b, c], "env": [{"name": "X", "value": b}]}]}}}})
    })
}

/// A preview with the same secret in many places.
fn made() -> impl Strategy<Value = Made> {
    let objects = || proptest::collection::vec(object(), 0..6);
    let one = (text(), text(), text(), objects(), objects());
    (proptest::collection::vec(one, 1..4), secret(), secret()).prop_map(|(parts, old, new)| {
        let environments = parts.into_iter().map(|(environment, cluster, name, mut base, mut merged)| {
            for (objects, secret) in [(&mut base, &old), (&mut merged, &new)] {
                let encoded = STANDARD.encode(secret);
                objects.push(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "shop",
                    "annotations": {"kubectl.kubernetes.io/last-applied-configuration": secret, "x": secret}},
                    "data": {"a": encoded}, "stringData": {"b": secret}}));
                objects.push(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "gen-5k2gm9bcht", "namespace": "shop"},
                    "data": {"a": STANDARD.encode(secret.as_bytes())}}));
                objects.push(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop",
                    "labels": {"l": secret}},
                    "data": {secret.as_str(): "key", "plain": format!("a {secret} b"), "encoded": encoded,
                             "inside": STANDARD.encode(format!("user:{secret}")), "lines": format!("x\n{secret}\n/merge\n"),
                             "json": json!({"deep": {"p": secret}}).to_string(), "url": format!("https://u:{secret}@x/")}}));
            }
            let live = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"},
                "data": {"plain": format!("there {old}"), "json": "live"}});
            let refused = format!("ConfigMap is invalid: data: Invalid value: \"{old}\": no, expected list, got {{{new}}}");
            let broken = format!("cannot read {old}\n/merge {new}");
            let web = json!({"name": name, "base": base, "merged": merged, "pending": ["api"], "live": [live],
                "refused": {"shop/ConfigMap/c": refused, "shop/Secret/db": format!("data[{old}]: Invalid value: {new}")}});
            json!({"environment": environment, "cluster_name": cluster,
                   "applications": [web, {"name": "broken", "problems": [broken]}]})
        });
        Made { environments: environments.collect(), planted: vec![old, new] }
    })
}

fn distinct(environments: &[Value]) -> Vec<EnvironmentPreview> {
    environments.iter().map(scene::environment).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Names and contents are hostile, secrets are everywhere, the budget is anything.
    #[test]
    fn a_comment_is_harmless(made in made(), most in 1_000usize..30_000, flavour in select(&Flavour::ALL[..])) {
        let preview = scene::preview(distinct(&made.environments));
        check(&preview, flavour, most, &made.planted);
    }
}

/// So many Deployments with the change of an image each.
fn many(count: usize) -> Preview {
    let deployment = |at: usize, tag: &str| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": format!("web-{at}"), "namespace": "shop"},
            "spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "web", "image": format!("web-{at}:{tag}")}]}}}})
    };
    let side = |from: usize, to: usize, tag: &str| (from..to).map(|at| deployment(at, tag)).collect::<Vec<_>>();
    let environments = (0..4).map(|part| {
        let (from, to) = (part * count / 4, (part + 1) * count / 4);
        json!({"environment": format!("env-{part}"), "name": "web",
               "base": side(from, to, "1.4"), "merged": side(from, to, "1.5")})
    });
    scene::preview(environments.map(|environment| scene::environment(&environment)).collect())
}

#[test]
fn every_budget_is_kept() {
    let preview = many(200);
    let mut last = 0;
    for most in (1_000..60_000).step_by(3_511).chain([1_000, 1_001, 1_200, 60_000]) {
        check(&preview, Flavour::GitHub, most, &[]);
        last = commented(&preview, Flavour::GitHub, most).shown;
    }
    assert_eq!(last, 200, "all is shown where there is room");
}

#[test]
fn three_thousand_objects_are_counted_and_some_are_shown() {
    let preview = many(3_000);
    let comment = commented(&preview, Flavour::GitHub, 60_000);
    assert!(comment.body.len() <= 60_000 && comment.of == 3_000, "{} {}", comment.body.len(), comment.of);
    assert!(comment.shown > 20 && comment.shown < 3_000, "{}", comment.shown);
    let told = format!("Shown: {} of 3,000 changed objects. Full diff: [full diff](", comment.shown);
    assert!(comment.body.contains(&told), "{}", comment.body);
    assert!(comment.body.contains("| env-3 | eu-1 | **web** |  | 750 |"), "{}", comment.body);
    for at in 0..4 {
        let section = format!("<details><summary>env-{at} · web: 750 changes, wave 0</summary>");
        assert!(comment.body.contains(&section), "env-{at} has no section");
    }
    assert_eq!(faults(&comment.body, Flavour::GitHub), Vec::<String>::new());
    let unlinked = commented(&preview, Flavour::GitHub, 59_999).body;
    let Pull { base, head, .. } = &preview.pull;
    let command = format!("Full diff: `leeboard preview --base {base} --head {head} --output json`");
    assert!(unlinked.contains(&command), "{unlinked}");
}
