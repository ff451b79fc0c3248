//! No secret is shown, whatever goes wrong.

use std::fs;

use serde_json::json;

use super::{Person, Said};
use crate::harness::Cluster;

/// Values that must not be seen, however they are written.
const PLANTED: [&str; 4] = ["hunter2-plain", "hunter2-encoded", "hunter2-file", "hunter2-live"];

#[tokio::test]
async fn no_way_shows_a_secret() {
    use base64::Engine as _;
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let secret =
        |name: &str, fields: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\n{fields}\n");
    let all = |said: &Said| {
        for planted in PLANTED {
            said.says_nothing_of(planted);
            said.says_nothing_of(base64(planted).trim_end_matches('='));
        }
    };
    person.write(
        "kustomization.yaml",
        "resources: [a.yaml, b.yaml, list.yaml]\nsecretGenerator:\n- name: generated\n  files: [token]\n",
    );
    person.write("token", "hunter2-file");
    person.write("a.yaml", &secret("plain", "stringData: {password: hunter2-plain}"));
    person.write("b.yaml", &secret("encoded", &format!("data: {{password: {}}}", base64("hunter2-encoded"))));
    person.write(
        "list.yaml",
        &format!("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {{name: listed}}\n  data: {{password: {}}}\n", base64("hunter2-encoded")),
    );
    // What is there already holds a value too, and kubectl's copy of it.
    let live = secret("plain", "stringData: {password: hunter2-live}");
    let file = person.folder.path().join("live.yaml");
    fs::write(&file, live).unwrap();
    shop.kubectl(["apply", "-f", file.to_str().unwrap()]).await.unwrap();

    for more in [&[][..], &["-o", "json"], &["-o", "yaml"], &["-U", "100"], &["--prune"]] {
        let said = person.shop("diff", &shop, more).await;
        all(said.is(1, &["plain"]));
    }
    person.shop("diff", &shop, &[]).await.is(1, &["-  password: •••••", "+  password: •••••"]);
    all(person.shop("sync", &shop, &["--dry-run"]).await.is(0, &[]));
    all(person.shop("sync", &shop, &[]).await.is(0, &["Secret/plain"]));
    shop.kubectl(["patch", "secret", "plain", "-p", &json!({"stringData": {"password": "hunter2-live"}}).to_string()])
        .await
        .unwrap();
    all(person.shop("diff", &shop, &[]).await.is(1, &["will be put back"]));

    // Deleted, and refused by the API server, which repeats what it refuses.
    person.write("kustomization.yaml", "resources: [a.yaml, b.yaml]\n");
    all(person.shop("diff", &shop, &["--prune"]).await.is(1, &["-  token: •••••"]));
    person.write("b.yaml", &secret("encoded", "data: {password: hunter2-encoded!}"));
    all(person.shop("diff", &shop, &[]).await.is(2, &["Secret"]));
    all(person.shop("sync", &shop, &[]).await.is(1, &["Secret"]));
    person.write("b.yaml", &secret("encoded", "data: {password: {nested: hunter2-encoded}}"));
    all(person.shop("diff", &shop, &[]).await.is(2, &["Secret"]));
    all(person.shop("sync", &shop, &["--prune"]).await.is(1, &["Secret"]));

    // A file that is no YAML.
    for broken in [
        "stringData:\n  a: 1\n password: hunter2-plain",
        "stringData: {password: hunter2-plain",
        "stringData:\n  p: hunter2-plain: x",
    ] {
        person.write("b.yaml", &secret("encoded", broken));
        all(person.shop("diff", &shop, &[]).await.is(2, &["b.yaml"]));
        all(person.shop("sync", &shop, &[]).await.is(1, &["b.yaml"]));
    }
    person.write("b.yaml", &secret("encoded", ""));
    person.write("kustomization.yaml", "resources: [a.yaml]\nsecretGenerator:\n- name: generated\n  envs: [env]\n");
    person.write("env", "=hunter2-file\n1 x=hunter2-file\nhunter2 file: hunter2-plain\n");
    all(&person.shop("diff", &shop, &[]).await);
    let literals =
        "resources: [a.yaml]\nsecretGenerator:\n- name: generated\n  literals:\n  - password=hunter2-plain\n bad: {\n";
    person.write("kustomization.yaml", literals);
    all(person.shop("diff", &shop, &[]).await.is(2, &["kustomization.yaml"]));
    person.write("kustomization.yaml", &literals.replace(" bad: {", "  nonsense: hunter2-file"));
    all(person.shop("diff", &shop, &[]).await.is(2, &["kustomization.yaml"]));
}
