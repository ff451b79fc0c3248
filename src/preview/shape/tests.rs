use serde_json::json;

use super::*;

fn diff(before: &Value, after: &Value, context: usize) -> String {
    lines(Some(before), Some(after), Texts::Whole).hunks(context)
}

fn deployment(containers: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
           "spec": {"replicas": 3, "template": {"spec": {"containers": containers}}}})
}

#[test]
fn a_changed_field_is_shown_where_it_is() {
    let container = |image: &str| json!([{"image": image, "name": "web", "ports": [{"containerPort": 80}]}]);
    let shown = diff(&deployment(&container("web:1.4")), &deployment(&container("web:1.5")), 1);
    assert_eq!(
        shown,
        "@@ spec.template.spec.containers[web] @@\n       - name: web\n-        image: web:1.4\n+        image: web:1.5\n         ports:\n"
    );
}

#[test]
fn an_inserted_item_is_an_insertion() {
    let web = json!({"name": "web", "image": "web:1"});
    let proxy = json!({"name": "proxy", "image": "proxy:1", "args": ["/bin/proxy", "-v"]});
    let shown = diff(&deployment(&json!([web])), &deployment(&json!([proxy, web])), 0);
    assert_eq!(
        shown,
        "@@ spec.template.spec.containers @@\n+      - name: proxy\n+        args:\n+        - \"/bin/proxy\"\n+        - \"-v\"\n+        image: proxy:1\n"
    );
}

#[test]
fn a_text_of_many_lines_is_compared_line_by_line() {
    let config = |text: &str| json!({"data": {"nginx.conf": text}});
    let shown = diff(&config("a\nb\nc\n"), &config("a\n/merge\nc\n"), 1);
    assert_eq!(shown, "@@ data[nginx.conf] @@\n     a\n-    b\n+    · /merge\n     c\n");
    let sizes = lines(Some(&config("a\nb\n")), Some(&config("a\n")), Texts::Sizes).hunks(0);
    assert_eq!(sizes, "@@ data @@\n+  nginx.conf: changed (4 → 2 bytes)\n");
}

#[test]
fn json_in_a_text_is_compared_as_what_it_says() {
    let body = |text: &str| json!({"metadata": {"annotations": {"policy": text}}});
    let shown = diff(&body(r#"{"a":1,"b":[1]}"#), &body(r#"{"b":[1],"a":2}"#), 0);
    assert_eq!(shown, "@@ metadata.annotations.policy @@\n-      a: 1\n+      a: 2\n");
    let text = diff(&body(r#"{"a":1}"#), &body("{broken"), 0);
    assert_eq!(text, "@@ metadata.annotations @@\n-    policy: \"{\\\"a\\\":1}\"\n+    policy: \"{broken\"\n");
}

#[test]
fn what_could_be_mistaken_is_in_quotes() {
    let cases = [
        // value           shown
        (json!("1.4.1"), "1.4.1"),
        (json!("1.4"), "\"1.4\""),
        (json!("yes"), "\"yes\""),
        (json!(""), "\"\""),
        (json!("/healthz"), "\"/healthz\""),
        (json!("a: b"), "\"a: b\""),
        (json!("a #b"), "\"a #b\""),
        (json!("image:1@sha256:ab"), "image:1@sha256:ab"),
        (json!(true), "true"),
        (json!(null), "null"),
        (json!([]), "[]"),
        (json!({}), "{}"),
        (json!("a\u{202e}b"), "\"a\\u{202e}b\""),
    ];
    for (value, shown) in cases {
        let text = lines(None, Some(&json!({"k": value})), Texts::Whole).hunks(0);
        assert_eq!(text, format!("+k: {shown}\n"), "{value}");
    }
}

#[test]
fn what_the_server_writes_is_no_difference() {
    let live =
        json!({"metadata": {"name": "a", "uid": "u", "annotations": {annotation::TRACKING_ID: "x"}}, "status": {}});
    assert_eq!(readable(&live), json!({"metadata": {"name": "a"}}));
}

#[test]
fn only_the_lines_that_differ_make_two_changes_equal() {
    let change = |replicas: i64| {
        let body = |image: &str| json!({"spec": {"replicas": replicas, "image": image}});
        let lines = lines(Some(&body("a")), Some(&body("b")), Texts::Whole);
        lines.essence().map(|(sign, text, path)| format!("{sign:?}{text}{path}")).collect::<Vec<_>>()
    };
    assert_eq!(change(1), change(2));
}

#[test]
fn a_long_line_is_cut_and_the_rest_counted() {
    let shown = lines(None, Some(&json!({"k": "x".repeat(400)})), Texts::Whole).hunks(0);
    assert!(shown.ends_with("… (+104)\n") && shown.chars().count() < 320, "{shown}");
}

#[test]
fn drift_is_what_git_says_otherwise_and_does_not_change() {
    let body = |replicas: i64, image: &str, cpu: &str| json!({"spec": {"replicas": replicas, "containers": [{"name": "web", "image": image, "cpu": cpu}]}});
    let mut live = body(5, "web:0", "1000m");
    live["spec"]["paused"] = true.into();
    let found = drifted(&body(3, "web:1", "1"), &live, Some(&body(3, "web:2", "1")));
    assert_eq!(found, ["spec.replicas"]);
}

#[test]
fn long_lists_are_compared_in_time() {
    let items = |from: u64| Value::from((0..20_000).map(|at| Value::from(at * 2 + from)).collect::<Vec<_>>());
    let shown = lines(Some(&json!({"a": items(0)})), Some(&json!({"a": items(1)})), Texts::Whole);
    assert_eq!(shown.counts(), (20_000, 20_000));
    let mut longer = items(0);
    longer.as_array_mut().unwrap().insert(7, "new".into());
    let shown = lines(Some(&json!({"a": items(0)})), Some(&json!({"a": longer})), Texts::Whole);
    assert_eq!(shown.counts(), (0, 1));
}
