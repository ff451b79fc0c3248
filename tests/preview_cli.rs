//! `leeboard preview`: what a branch would change, on a repository that git itself has written.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(unreachable_pub, reason = "a test has no one to reach")]

#[path = "harness/mod.rs"]
mod harness;

use std::process::Command;

use harness::Repo;

const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: web
        image: registry.example/web:1.4.1
";

/// A base that two cluster directories use, on `main` and on a branch `feature`.
fn repository() -> Repo {
    let repo = Repo::new();
    let overlay = |name: &str| format!("namespace: shop-{name}\nresources: [../../base]\n");
    let files = [
        ("base/web.yaml", WEB.to_owned()),
        ("base/kustomization.yaml", "resources: [web.yaml]\n".to_owned()),
        ("clusters/dev/kustomization.yaml", overlay("dev")),
        ("clusters/prod/kustomization.yaml", overlay("prod")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    repo.commit("main", &files);
    repo.git(&["branch", "feature", "main"]);
    repo
}

/// What is printed, and the exit code.
fn preview(repo: &Repo, arguments: &[&str]) -> (String, String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leeboard"));
    command.arg("preview").args(arguments).args(["--head", "feature"]).current_dir(repo.clone_path());
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

#[test]
fn a_change_of_a_base_is_shown_once_for_all_that_use_it() {
    let repo = repository();
    assert_eq!(preview(&repo, &[]), ("No deployed manifest changes.\n".into(), String::new(), 0));
    repo.commit("feature", &[("base/web.yaml", &WEB.replace("1.4.1", "1.5.0"))]);
    let expected = "### Leeboard: 2 environments, 2 applications, no risks

| environment | cluster | application | create | change | replace | delete | restarts |
| --- | --- | --- | --: | --: | --: | --: | --: |
| prod | prod | **prod** |  | 1 |  |  | 2 pods |
| dev | dev | dev |  | 1 |  |  | 2 pods |

<details><summary>prod · prod: 1 change, wave 0</summary>

Also the same change in dev · dev.

Deployment `shop-prod/web` (`base/web.yaml:1`)

~~~diff
@@ spec.template @@
     spec:
       containers:
       - name: web
-        image: registry.example/web:1.4.1
+        image: registry.example/web:1.5.0
~~~

</details>
";
    assert_eq!(preview(&repo, &[]), (expected.into(), String::new(), 2));
    let (json, _, code) = preview(&repo, &["-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let change = json.pointer("/environments/0/applications/0/changes/0").unwrap();
    assert_eq!((change["object"].as_str(), change["what"].as_str(), code), (Some("shop-prod/web"), Some("changed"), 2));
}

/// A comment that is cut names both commits.
#[test]
fn commits_stand_for_branches() {
    let repo = repository();
    repo.commit("feature", &[("base/web.yaml", &WEB.replace("1.4.1", "1.5.0"))]);
    let commit = |branch: &str| repo.git(&["rev-parse", branch]).trim().to_owned();
    let (base, head) = (commit("main"), commit("feature"));
    let by_name = preview(&repo, &[]);
    repo.git(&["switch", "--quiet", "main"]);
    repo.git(&["branch", "--delete", "--force", "feature"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_leeboard"));
    command.args(["preview", "--base", &base, "--head", &head]).current_dir(repo.clone_path());
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), by_name.0, "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_first_cluster_directory_of_a_repository_is_new() {
    let repo = Repo::new();
    repo.commit("main", &[("README.md", "shop\n"), ("web.yaml", WEB)]);
    repo.git(&["branch", "feature", "main"]);
    repo.commit("feature", &[("clusters/dev/web.yaml", WEB)]);
    let (output, errors, exit) = preview(&repo, &[]);
    assert!(exit == 2 && output.contains("| dev | dev | **dev** | 1 |"), "{output}{errors}");
    assert!(!output.contains("environment |  |"), "{output}");
}

#[test]
fn the_exit_code_tells_what_was_found() {
    let repo = repository();
    let cases = [
        // what the branch has in base/web.yaml, arguments, exit code, in the output
        (WEB.replace("replicas: 2", "replicas: 0"), vec![], 2, "scales Deployment `shop-prod/web` from 2 to 0 pods"),
        (WEB.replace("replicas: 2", "replicas: 0"), vec!["--fail", "red"], 3, "🔴"),
        (WEB.replace("replicas: 2", "replicas: 0"), vec!["--fail", "R1"], 2, "🔴"),
        (WEB.replace("name: web", "name: [web"), vec![], 1, "base/web.yaml:"),
    ];
    for (text, arguments, code, said) in cases {
        repo.commit("feature", &[("base/web.yaml", &text)]);
        let (output, errors, exit) = preview(&repo, &arguments);
        assert_eq!(exit, code, "{arguments:?}\n{output}{errors}");
        assert!(output.contains(said), "{arguments:?}\n{output}");
    }
    let (_, errors, exit) = preview(&repo, &["--base", "nothing"]);
    assert!(exit == 1 && errors.contains("has no branch or tag `nothing`"), "{errors}");
}

/// A policy that wants images of a version, and what puts it in force.
fn policy(version: &str) -> String {
    format!(
        "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {{name: versions}}
spec:
  matchConstraints:
    resourceRules:
    - {{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}}
  variables:
  - {{name: images, expression: 'object.spec.template.spec.containers.map(c, c.image)'}}
  validations:
  - expression: variables.images.all(i, i.contains('{version}'))
    messageExpression: \"'not {version}: ' + variables.images.join(', ')\"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {{name: versions}}
spec: {{policyName: versions, validationActions: [Deny]}}
"
    )
}

#[test]
fn policies_of_the_repository_are_evaluated_as_they_will_be() {
    let repo = repository();
    let change = ("base/web.yaml", WEB.replace("1.4.1", "2.0.0"));
    let (rules, file) = (policy(":1."), "clusters/prod/policy.yaml");
    let with_rules = "namespace: shop-prod\nresources: [../../base, policy.yaml]\n";
    let without_rules = "namespace: shop-prod\nresources: [../../base]\n";
    let kustomization = "clusters/prod/kustomization.yaml";
    let refused = "prod/prod Deployment `shop-prod/web` would be refused by policy `versions` (binding `versions`)";

    // It comes with the change.
    repo.commit("feature", &[(file, &rules), (kustomization, with_rules), (change.0, &change.1)]);
    let (output, errors, exit) = preview(&repo, &["--fail", "R33"]);
    let said = " of this pull request: `not :1.: registry.example/web:2.0.0` (`base/web.yaml:1";
    assert!(exit == 3 && output.contains(&format!("- 🔴 {refused}{said}")), "{output}{errors}");
    assert!(!output.contains("shop-dev/web` would be refused"), "it is in force in one environment only: {output}");

    // It is there already, in an application that does not change otherwise.
    repo.commit("main", &[(file, &rules), (kustomization, with_rules)]);
    let (output, errors, _) = preview(&repo, &[]);
    assert!(output.contains(&format!("- 🔴 {refused}: `not :1.: ")), "{output}{errors}");

    // It goes with the change.
    let repo = repository();
    repo.commit("main", &[(file, &rules), (kustomization, with_rules)]);
    repo.git(&["branch", "--force", "feature", "main"]);
    repo.commit("feature", &[(kustomization, without_rules), (change.0, &change.1)]);
    let (output, errors, exit) = preview(&repo, &["--fail", "R33"]);
    assert!(exit == 2 && !output.contains("would be refused"), "{output}{errors}");
}

#[test]
fn rules_of_a_project_are_those_of_the_base() {
    let repo = repository();
    let project = |rules: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {{name: default, namespace: leeboard}}\n\
             spec: {{previews: {{rules: [{rules}]}}}}\n"
        )
    };
    let rule =
        "{name: images, severity: red, expression: \"plan.kind == 'Deployment' && new != old\", message: tell jane}";
    let project_at = "clusters/prod/project.yaml";
    let with_project = "namespace: shop-prod\nresources: [../../base, project.yaml]\n";
    repo.commit("main", &[(project_at, &project(rule)), ("clusters/prod/kustomization.yaml", with_project)]);
    repo.git(&["branch", "--force", "feature", "main"]);
    repo.commit("feature", &[(project_at, &project("")), ("base/web.yaml", &WEB.replace("1.4.1", "1.5.0"))]);
    let (output, errors, exit) = preview(&repo, &["--fail", "R34"]);
    assert!(
        exit == 3 && output.contains("Deployment `shop-prod/web`: `tell jane` (rule `images`)"),
        "{output}{errors}"
    );
}

#[test]
fn a_conflict_names_the_files_and_a_base_that_went_on_is_not_taken_back() {
    let repo = repository();
    repo.commit("feature", &[("base/web.yaml", &WEB.replace("1.4.1", "1.5.0"))]);
    repo.commit("main", &[("base/web.yaml", &WEB.replace("replicas: 2", "replicas: 4"))]);
    let (output, _, exit) = preview(&repo, &[]);
    assert!(exit == 2 && !output.contains("replicas"), "{output}");
    repo.commit("main", &[("base/web.yaml", &WEB.replace("1.4.1", "1.4.2"))]);
    let (output, _, exit) = preview(&repo, &[]);
    assert!(exit == 1 && output.contains("base/web.yaml"), "{output}");
}

#[test]
fn a_person_at_a_terminal_reads_the_answer_first() {
    let repo = repository();
    let terminal = ["-o", "terminal"];
    assert_eq!(preview(&repo, &terminal), ("✓ nothing that is deployed changes\n".into(), String::new(), 0));
    repo.commit("feature", &[("base/web.yaml", &WEB.replace("replicas: 2", "replicas: 0"))]);
    let expected = "prod   1 application, 1 changed object
dev   1 application, 1 changed object
✗ prod · prod: scales Deployment `shop-prod/web` from 2 to 0 pods R7
✗ dev · dev: scales Deployment `shop-dev/web` from 2 to 0 pods R7

prod · prod

Deployment shop-prod/web changed wave 0 · base/web.yaml:1:1
@@ metadata @@
   name: web
   namespace: shop-prod
 spec:
-  replicas: 2
+  replicas: 0
   selector:
     matchLabels:
       app: web
";
    let (output, errors, exit) = preview(&repo, &terminal);
    assert!(output.starts_with(expected), "{output}{errors}");
    assert_eq!(exit, 2);
}

/// Two environments, each a branch, whose overlays differ on purpose: by a namespace and by replicas.
fn environments() -> Repo {
    let repo = Repo::new();
    let overlay = |name: &str, replicas: u8| {
        format!(
            "namespace: shop-{name}\nresources: [../../base]\nreplicas: [{{name: web, count: {replicas}}}]\n\
             images: [{{name: registry.example/web, newTag: 1.4.1}}]\n"
        )
    };
    let files = [
        ("base/web.yaml", WEB.to_owned()),
        ("base/kustomization.yaml", "resources: [web.yaml]\n".to_owned()),
        ("clusters/dev/kustomization.yaml", overlay("dev", 1)),
        ("clusters/prod/kustomization.yaml", overlay("prod", 3)),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    repo.commit("main", &files);
    repo.git(&["branch", "env/dev", "main"]);
    repo.git(&["branch", "env/prod", "main"]);
    repo
}

fn never_promoted(repo: &Repo, arguments: &[&str]) -> (String, String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leeboard"));
    command.arg("diff").args(arguments).current_dir(repo.clone_path());
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

#[test]
fn what_was_never_promoted_is_shown_and_what_overlays_intend_is_not() {
    let repo = environments();
    let ask = ["--env", "dev", "prod"];
    let meant = "! left out: 1 object in which dev and prod are meant to differ\n";
    let nothing = "✓ nothing that is deployed changes\n";
    assert_eq!(never_promoted(&repo, &ask), (nothing.into(), meant.into(), 0));

    // The tag that runs in dev is in dev's overlay.
    let dev = repo.git(&["show", "env/dev:clusters/dev/kustomization.yaml"]).replace("1.4.1", "1.5.0");
    repo.commit("env/dev", &[("clusters/dev/kustomization.yaml", &dev)]);
    let (output, errors, exit) = never_promoted(&repo, &ask);
    assert_eq!((errors.as_str(), exit), (meant, 1), "{output}");
    assert!(output.starts_with("prod   1 application, 1 changed object\n"), "{output}");
    let is_shown =
        |text: &str, lines: &[&str]| lines.iter().all(|line| text.lines().any(|own| own.trim_end() == *line));
    let lines =
        ["Deployment shop-prod/web changed wave 0 · base/web.yaml:1:1", "-        image: registry.example/web:1.4.1"];
    assert!(is_shown(&output, &lines) && output.contains("+        image: registry.example/web:1.5.0\n"), "{output}");
    assert!(!output.contains("replicas: 1") && !output.contains("shop-dev"), "{output}");

    // What all environments share is as new in prod as it is in dev.
    let base = WEB.replace("      - name: web\n", "      - name: web\n        args: [--cache]\n");
    repo.commit("env/dev", &[("base/web.yaml", &base)]);
    let (output, _, exit) = never_promoted(&repo, &ask);
    assert!(exit == 1 && output.contains("+        - \"--cache\"\n") && output.contains("web:1.5.0\n"), "{output}");
    let (markdown, _, exit) = never_promoted(&repo, &[&ask[..], &["-o", "markdown"]].concat());
    assert!(exit == 1 && markdown.starts_with("### Leeboard: 1 environment, 1 application, "), "{markdown}");
    let (json, _, _) = never_promoted(&repo, &[&ask[..], &["-o", "json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["environments"][0]["applications"][0]["changes"][0]["object"], "shop-prod/web");

    repo.git(&["fetch", "--quiet", ".", "env/dev:env/prod"]);
    repo.git(&["push", "--quiet", "origin", "env/prod"]);
    assert_eq!(never_promoted(&repo, &["--env", "dev@env/dev", "prod"]).2, 1, "its own overlay has the old tag");
    let prod = repo.git(&["show", "env/prod:clusters/prod/kustomization.yaml"]).replace("1.4.1", "1.5.0");
    repo.commit("env/prod", &[("clusters/prod/kustomization.yaml", &prod)]);
    assert_eq!(never_promoted(&repo, &ask), (nothing.into(), meant.into(), 0));
}

#[test]
fn environments_that_are_not_there_are_named() {
    let repo = environments();
    let cases = [
        // arguments, what is said
        (vec!["--env", "dev", "prd"], "has no cluster directory `clusters/prd`"),
        (vec!["--env", "dev", "prd"], "Did you mean `prod`?"),
        (vec!["--env", "dev", "elsewhere"], "There are: dev, prod."),
        (vec!["--env", "dev@nothing", "prod"], "has no branch or tag `nothing`"),
        (vec!["--env", "dev", "prod", "-o", "yaml"], "--env is written for a terminal, as Markdown or as JSON"),
        (vec!["web", "-o", "markdown"], "Markdown is for --env"),
        (vec!["--env", "dev"], "2 values required"),
    ];
    for (arguments, said) in cases {
        let (output, errors, exit) = never_promoted(&repo, &arguments);
        assert!(exit == 2 && errors.contains(said), "{arguments:?}: {exit}\n{output}{errors}");
    }
}
