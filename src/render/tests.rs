use std::fs;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::api::argo::{Destination, SyncPolicy};
use crate::source::local::LocalFiles;

/// A directory with these files; `path -> target` makes a link.
fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, LocalFiles) {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), files);
    let local = LocalFiles::new(directory.path()).unwrap();
    (directory, local)
}

fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let (path, link) = match path.split_once(" -> ") {
            Some((path, target)) => (root.join(path), Some(target)),
            None => (root.join(path), None),
        };
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match link {
            Some(target) => std::os::unix::fs::symlink(target, &path).unwrap(),
            None => fs::write(&path, text).unwrap(),
        }
    }
}

fn request(source: &Source) -> Request<'_> {
    Request {
        application: "web",
        namespace: Some("shop"),
        project: "default",
        source,
        commit: "3f9a1c2b7d5e4f60718293a4b5c6d7e8f9012345",
        cluster_directory: None,
        limits: Limits::default(),
    }
}

/// A source as an Application writes it.
fn source(fields: serde_json::Value) -> Source {
    serde_json::from_value(fields).unwrap()
}

/// The names of the rendered objects, or the problems in one line each.
fn names(files: &[(&str, &str)], fields: serde_json::Value) -> Result<Vec<String>, Vec<String>> {
    let (_directory, local) = tree(files);
    match manifest(&local, &request(&source(fields)), &Bases::default()) {
        Ok(manifest) => Ok(manifest.objects.iter().map(|object| object.key.name.to_string()).collect()),
        Err(problems) => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n")
}

#[test]
fn a_directory_gives_its_manifests() {
    let (a, b, c) = (config_map("a"), config_map("b"), config_map("c"));
    let two = format!("{a}---\n---\n# nothing\n---\n{b}");
    let skipped = format!("# +argocd:skip-file-rendering\n{a}");
    let list = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "y"}}]}"#;
    let files: Vec<(&str, &str)> = vec![
        ("apps/b.yaml", &b),
        ("apps/a.yml", &a),
        ("apps/README.md", "kind: apiVersion: metadata:"),
        ("apps/sub/c.yaml", &c),
        ("apps/list.json", list),
        ("apps/values.yaml", "replicas: [1"),
        ("apps/empty.yaml", "\n# nothing\n"),
        ("apps/skipped.yaml", &skipped),
    ];
    let cases = [
        // the source's section                                   names
        (json!({}), vec!["a", "b", "x", "y"]),
        (json!({"recurse": true}), vec!["a", "b", "x", "y", "c"]),
        (json!({"recurse": true, "include": "*.yaml"}), vec!["b", "c"]),
        (json!({"recurse": true, "exclude": "sub/*"}), vec!["a", "b", "x", "y"]),
        (json!({"recurse": true, "include": "{a.yml,sub/*}"}), vec!["a", "c"]),
        (json!({"include": "*", "exclude": "*.json"}), vec!["a", "b"]),
        (json!({"exclude": ""}), vec!["a", "b", "x", "y"]),
        (json!({"include": "nothing"}), vec![]),
    ];
    for (section, expected) in cases {
        let found = names(&files, json!({"repoURL": "", "path": "apps", "directory": section.clone()}));
        assert_eq!(found.unwrap(), expected, "{section}");
    }
    assert_eq!(names(&files, json!({"repoURL": "", "path": "apps/"})).unwrap(), ["a", "b", "x", "y"]);
    assert_eq!(names(&[("all.yaml", &two)], json!({"repoURL": "", "path": "."})).unwrap(), ["a", "b"]);
    let any = json!({"repoURL": "", "path": ".", "directory": {"disableExtensionFilter": true}});
    assert_eq!(names(&[("a.tpl", &a), ("README", "hello")], any).unwrap(), ["a"]);
}

#[test]
fn links_are_followed_inside_the_tree_and_never_upwards() {
    let a = config_map("a");
    let files = [("real/a.yaml", &*a), ("apps/a.yaml -> ../real/a.yaml", ""), ("apps/gone.yaml -> nowhere", "")];
    let recurse = json!({"repoURL": "", "path": "apps", "directory": {"recurse": true}});
    assert_eq!(names(&files, recurse.clone()).unwrap(), ["a"]);
    let upwards = [("apps/a.yaml", &*a), ("apps/up -> .", ""), ("apps/all -> ..", "")];
    assert_eq!(names(&upwards, recurse.clone()).unwrap(), ["a"]);
    let out = [("apps/out.yaml -> ../../../etc/passwd", "")];
    let problems = names(&out, recurse).unwrap_err();
    assert!(problems[0].contains("leads out of the repository"), "{problems:?}");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let a = config_map("a");
    let no_name = "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n";
    let unclosed = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b\n";
    type Tree<'a> = &'a [(&'a str, &'a str)];
    let list: Tree<'_> = &[("kustomization.yaml", "resources: [a.yaml]"), ("a.yaml", "apiVersion: v1\nkind: AList\n")];
    let cases: [(Tree<'_>, serde_json::Value, &[&str]); 15] = [
        // files                                 source                  a part of each problem
        (&[("x.yaml", no_name)], json!({}), &["x.yaml:3:1: `metadata.name` is missing"]),
        (&[("x.yaml", unclosed), ("y.yaml", no_name)], json!({}), &["x.yaml:3:11: invalid YAML", "y.yaml:3:1"]),
        (&[("x.json", "{\"a\": 1,}")], json!({}), &["x.json:1:9: invalid JSON"]),
        (&[("x.json", "{}{}")], json!({}), &["x.json:1:3: invalid JSON"]),
        (&[("x.json", "{\"kind\": \"A\"}")], json!({}), &["`apiVersion` is missing", "`metadata.name` is missing"]),
        (&[("x.jsonnet", "{}")], json!({}), &["x.jsonnet: jsonnet is not evaluated"]),
        (&[("a.yaml", &a), ("b.yaml", &a)], json!({}), &["b.yaml:1:1: two objects with the identity `ConfigMap/a`"]),
        (&[("a.yaml", &a)], json!({"path": "none"}), &["`none` does not exist"]),
        (&[("a.yaml", &a)], json!({"path": "a.yaml"}), &["`a.yaml` is a file"]),
        (&[("a.yaml", &a)], json!({"path": "../other"}), &["`../other` lies outside"]),
        (&[("a.yaml", &a)], json!({"directory": {"include": "{a"}}), &["`directory.include` is no pattern"]),
        (&[("Chart.yaml", "")], json!({}), &["Chart.yaml: `.` is a Helm chart"]),
        (list, json!({}), &["a.yaml:1:1: an object of kind `AList` has no `metadata.name`"]),
        (&[("a.yaml", &a)], json!({"plugin": {}}), &["a config-management plugin"]),
        (&[("a.yaml", &a)], json!({"kustomize": {}, "helm": {}}), &["sources defined: Kustomize,Helm"]),
    ];
    for (files, mut fields, expected) in cases {
        fields["repoURL"] = "".into();
        let problems = names(files, fields.clone()).unwrap_err();
        assert_eq!(problems.len(), expected.len(), "{fields}: {problems:?}");
        for (problem, part) in problems.iter().zip(expected) {
            assert!(problem.contains(part), "{fields}: {problem}");
        }
    }
}

#[test]
fn a_render_costs_no_more_than_its_limits() {
    let (a, b) = (config_map("a"), config_map("b"));
    let (_directory, local) = tree(&[("a.yaml", &a), ("b.yaml", &b)]);
    let source = source(json!({"repoURL": "", "path": "."}));
    let cases = [
        (Limits { bytes: a.len(), objects: 9 }, "more than the limit of"),
        (Limits { bytes: 9999, objects: 1 }, "more than the limit of 1 objects"),
    ];
    for (limits, words) in cases {
        let problems = manifest(&local, &Request { limits, ..request(&source) }, &Bases::default()).unwrap_err();
        assert!(problems.len() == 1 && problems[0].title.contains(words), "{problems:?}");
        assert_eq!(problems[0].origin, Some(Origin::file("b.yaml")));
    }
}

#[test]
fn the_directory_itself_may_change_how_it_is_read() {
    let (a, b) = (config_map("a"), config_map("b"));
    let files = |one: &'static str, other: &'static str| {
        vec![
            ("apps/a.yaml", a.clone()),
            ("apps/sub/b.yaml", b.clone()),
            ("apps/.argocd-source.yaml", one.to_owned()),
            ("apps/.argocd-source-web.yaml", other.to_owned()),
            ("apps/.argocd-source-other.yaml", "directory: {exclude: '*'}".to_owned()),
        ]
    };
    let cases = [
        // for all             for this one                     names
        ("", "", Ok(vec!["a"])),
        ("directory: {recurse: true}", "", Ok(vec!["a", "b"])),
        ("directory: {recurse: true}", "directory: {recurse: null}", Ok(vec!["a"])),
        ("directory: {recurse: true, exclude: a.yaml}", "", Ok(vec!["b"])),
        ("path: elsewhere\nrepoURL: elsewhere\n", "", Ok(vec!["a"])),
        ("directory: {recurse: often}", "", Err("apps/.argocd-source.yaml: `directory.recurse` cannot be read")),
        ("- 1", "", Err("apps/.argocd-source.yaml:1:1: expected fields")),
        ("", "{", Err("apps/.argocd-source-web.yaml:")),
    ];
    for (one, other, expected) in cases {
        let files = files(one, other);
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, &**text)).collect();
        match (names(&files, json!({"repoURL": "x", "path": "apps"})), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{one} {other}"),
            (Err(found), Err(expected)) => assert!(found[0].contains(expected), "{one} {other}: {found:?}"),
            (found, expected) => panic!("{one} {other}: {found:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn an_application_may_change_what_its_kustomization_gives() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 1\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec: {containers: [{name: web, image: 'shop/web:1.4'}]}\n";
    let (_directory, local) =
        tree(&[("web/kustomization.yaml", "resources: [web.yaml]\nnamePrefix: old-\n"), ("web/web.yaml", deployment)]);
    let source = source(json!({"repoURL": "https://git.example.com/shop.git", "path": "web", "kustomize": {
        "namePrefix": "new-",
        "namespace": "shop-dev",
        "images": ["shop/web:1.5-$ARGOCD_APP_REVISION_SHORT"],
        "replicas": [{"name": "web", "count": "3"}],
        "commonLabels": {"app.kubernetes.io/instance": "$ARGOCD_APP_NAME"},
        "labelWithoutSelector": true,
        "commonAnnotations": {"at": "$ARGOCD_APP_REVISION", "kept": "$$"},
        "patches": [{"patch": "[{\"op\": \"add\", \"path\": \"/spec/paused\", \"value\": true}]", "target": {"kind": "Deployment"}}],
    }}));
    let manifest = manifest(&local, &request(&source), &Bases::default()).unwrap();
    assert_eq!(manifest.source_type, SourceType::Kustomize);
    let body = &manifest.objects[0].body;
    let cases = [
        ("/metadata/name", json!("new-web")),
        ("/metadata/namespace", json!("shop-dev")),
        ("/metadata/labels", json!({"app.kubernetes.io/instance": "web"})),
        ("/metadata/annotations", json!({"at": "$ARGOCD_APP_REVISION", "kept": "$$"})),
        ("/spec/replicas", json!(3)),
        ("/spec/paused", json!(true)),
        ("/spec/selector/matchLabels", json!({"app": "web"})),
        ("/spec/template/spec/containers/0/image", json!("shop/web:1.5-3f9a1c2")),
    ];
    for (pointer, expected) in cases {
        assert_eq!(body.pointer(pointer), Some(&expected), "{pointer}");
    }
}

fn cluster_directory() -> ClusterDirectory {
    ClusterDirectory {
        environment: "dev".into(),
        namespace: "leeboard".into(),
        repo_url: "https://git.example.com/shop.git".into(),
        revision: "env/dev".into(),
        destination: Destination { name: Some("in-cluster".into()), ..Destination::default() },
        project: "shop".into(),
        sync_policy: SyncPolicy::default(),
    }
}

#[test]
fn a_cluster_directory_becomes_one_application_per_sub_directory() {
    let (a, kustomization) = (config_map("a"), "resources: []\n");
    let (_directory, local) = tree(&[
        ("clusters/dev/web/deep/a.yaml", &a),
        ("clusters/dev/Api_V2/kustomization.yaml", kustomization),
        ("clusters/dev/namespace.yaml", &a),
        ("clusters/dev/.hidden/a.yaml", &a),
        ("clusters/dev/_lib/a.yaml", &a),
    ]);
    let source = source(json!({"repoURL": "x", "path": "clusters/dev"}));
    let cluster_directory = cluster_directory();
    let request = Request { cluster_directory: Some(&cluster_directory), ..request(&source) };
    let manifest = manifest(&local, &request, &Bases::default()).unwrap();
    let names: Vec<String> = manifest.objects.iter().map(|object| object.key.to_string()).collect();
    assert_eq!(names, ["ConfigMap/a", "leeboard/Application/dev-api-v2", "leeboard/Application/dev-web"]);
    let web = &manifest.objects[2].body;
    assert_eq!(
        web["spec"]["source"],
        json!({
            "repoURL": "https://git.example.com/shop.git",
            "path": "clusters/dev/web",
            "targetRevision": "env/dev",
            "directory": {"recurse": true},
        })
    );
    assert_eq!(web["spec"]["project"], "shop");
    assert_eq!(web["spec"]["destination"], json!({"name": "in-cluster"}));
    assert_eq!(manifest.objects[1].body["spec"]["source"].get("directory"), None);
}

#[test]
fn a_cluster_directory_with_applications_is_taken_as_it_is() {
    let application = "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: x}\nspec: {}\n";
    let (_directory, local) = tree(&[("dev/app.yaml", application), ("dev/web/a.yaml", &config_map("a"))]);
    let source = source(json!({"repoURL": "x", "path": "dev"}));
    let cluster_directory = cluster_directory();
    let request = Request { cluster_directory: Some(&cluster_directory), ..request(&source) };
    let names: Vec<String> = manifest(&local, &request, &Bases::default())
        .unwrap()
        .objects
        .iter()
        .map(|object| object.key.to_string())
        .collect();
    assert_eq!(names, ["Application/x"]);
}

/// G10: a render that is taken again is the one that would be made.
#[test]
fn a_render_is_valid_until_something_of_it_changes() {
    let (a, b) = (config_map("a"), config_map("b"));
    let kustomization = "resources: [a.yaml]\n";
    type Change<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Change<'_>, bool); 8] = [
        // path      the commit writes                                      still valid
        ("plain", &[("other/x.yaml", &b)], true),
        ("plain", &[("plain/README.md", "new")], false),
        ("plain", &[("plain/sub/b.yaml", &b)], true),
        ("plain", &[("plain/a.yaml", &b)], false),
        ("kustomized", &[("kustomized/b.yaml", &b)], true),
        ("kustomized", &[("kustomized/a.yaml", &b)], false),
        ("kustomized", &[("kustomized/Chart.yaml", "")], false),
        ("kustomized", &[("kustomized/.argocd-source.yaml", "")], false),
    ];
    for (path, change, valid) in cases {
        let (directory, local) = tree(&[
            ("plain/a.yaml", &a),
            ("plain/sub/a.yaml", &a),
            ("kustomized/kustomization.yaml", kustomization),
            ("kustomized/a.yaml", &a),
            ("other/a.yaml", &a),
        ]);
        let source = source(json!({"repoURL": "x", "path": path}));
        let before = manifest(&local, &request(&source), &Bases::default()).unwrap();
        write(directory.path(), change);
        let now = LocalFiles::new(directory.path()).unwrap();
        assert_eq!(before.read_set.is_valid_for(&now), valid, "{path}: {change:?}");
        let after = manifest(&now, &request(&source), &Bases::default()).map(|manifest| manifest.objects);
        assert!(!valid || after == Ok(before.objects), "{path}: {change:?}");
    }
}

/// G10 again: the same files at another commit are another manifest where they say which commit it is.
#[test]
fn a_render_that_names_its_commit_is_valid_for_no_other() {
    let says = "kustomize:\n  commonLabels: {commit: $ARGOCD_APP_REVISION_SHORT}\n";
    let knows = "kustomize:\n  commonLabels: {app: $ARGOCD_APP_NAME}\n";
    for (overrides, valid) in [(says, false), (knows, true)] {
        let (_directory, local) = tree(&[
            ("kustomization.yaml", "resources: [a.yaml]\n"),
            ("a.yaml", &config_map("a")),
            (".argocd-source.yaml", overrides),
        ]);
        let source = source(json!({"repoURL": "x", "path": "."}));
        let manifest = manifest(&local, &request(&source), &Bases::default()).unwrap();
        assert_eq!(manifest.read_set.is_valid_for(&local), valid, "{overrides}");
    }
}

/// Each directory lists two, and these the same two below them: 2^30 ways down to a file without an object.
#[test]
fn bases_that_multiply_without_an_object_end() {
    let level = |at: usize| format!("resources: [../a{at}, ../b{at}]\ncommonLabels: {{}}\n");
    let mut files: Vec<(String, String)> = vec![("end/kustomization.yaml".into(), "resources: [empty.yaml]\n".into())];
    files.push(("end/empty.yaml".into(), String::new()));
    for at in 0..30 {
        let text = if at == 29 { "resources: [../end]\n".to_owned() } else { level(at + 1) };
        files.extend(["a", "b"].map(|side| (format!("{side}{at}/kustomization.yaml"), text.clone())));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let problems = names(&files, json!({"path": "a0"})).unwrap_err();
    assert!(problems[0].contains("more than 10000 bases"), "{:?}", &problems[..1]);
    assert!(problems.len() < 100, "{} problems", problems.len());
}

#[test]
fn a_base_that_is_listed_twice_is_warned_of_once() {
    let base = "resources: [a.yaml]\ncommonLabels: {a: b}\n";
    let overlay = |prefix: &str| format!("resources: [../base]\nnamePrefix: {prefix}-\n");
    let (_directory, local) = tree(&[
        ("base/kustomization.yaml", base),
        ("base/a.yaml", &config_map("a")),
        ("one/kustomization.yaml", &overlay("one")),
        ("two/kustomization.yaml", &overlay("two")),
        ("all/kustomization.yaml", "resources: [../one, ../two]\n"),
    ]);
    let manifest =
        manifest(&local, &request(&source(json!({"repoURL": "x", "path": "all"}))), &Bases::default()).unwrap();
    assert_eq!((manifest.objects.len(), manifest.warnings.len()), (2, 1), "{:?}", manifest.warnings);
}
