//! Who has signed the images of a promotion: what cosign has written, in a real registry.

use leeboard::sandbox::Admission;
use serde_json::{Value, json};

use crate::harness::Images;
use crate::scans::with_image;
use crate::stage::Pipeline;

/// When the images of the fixtures were built: it makes them what they are.
const SIGNED: &str = "2026-11-20T10:00:00Z";
const UNSIGNED: &str = "2026-11-21T10:00:00Z";
const KEY: &str = include_str!("../fixtures/signatures/p256/cosign.pub");

fn gate_of(promotion: &Value) -> &Value {
    let gates = promotion["status"]["gates"].as_array().unwrap();
    gates.iter().find(|gate| gate["name"] == "signature").unwrap_or_else(|| panic!("no gate in {promotion}"))
}

async fn pipeline(signature: &Value) -> Pipeline {
    let policy = json!({"from": [{"environment": "dev"}], "auto": true, "gates": [{"signature": signature}]});
    Pipeline::start(&[("dev", Value::Null), ("prod", policy)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsigned_image_never_enters_and_a_signed_one_does_in_both_forms() {
    let images = Images::start(Admission::Everybody).await;
    let pipeline = pipeline(&json!({"keys": [{"pem": KEY}]})).await;
    let name = |repository: &str, tag: &str| format!("{}:{tag}", images.name(repository));
    let deployed = |image: &str| pipeline.write("env/dev", "apps/shop/shop.yaml", &with_image(image));
    let refused = async |commit: &str, words: &str| {
        let failed = pipeline.reaches("prod", commit, "Failed").await;
        let message = failed["status"]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with("signature: ") && message.contains(words), "{message}");
    };
    let unsigned = images.push("shop/web", "1.5", UNSIGNED).await;
    let web = images.name("shop/web");
    let commit = deployed(&name("shop/web", "1.5"));
    let short = &unsigned[..19];
    refused(&commit, &format!("{web}@{short}…: no signature")).await;
    // Nobody can leave it out, whatever their rights.
    let skip = ["promote", "prod", "--commit", &commit, "--skip", "signature", "-m", "now", "--watch"];
    let (_, text, error) = pipeline.leeboard(&skip).await;
    assert!(text.contains("Failed") && text.contains("no signature"), "{text}{error}");

    // Signed by somebody, but by nobody who was named.
    let digest = images.push("shop/stranger", "1.4", SIGNED).await;
    images.sign_by_tag("shop/stranger", &digest, "p384").await;
    refused(&deployed(&name("shop/stranger", "1.4")), "its signature is by none of the keys").await;

    // A signature that is for another image was put beside this one.
    let digest = images.push("shop/moved", "1.5", UNSIGNED).await;
    images.sign_by_tag("shop/moved", &digest, "p256").await;
    let of_another = "the signature is of another image, sha256:812cb54c3e0c";
    refused(&deployed(&name("shop/moved", "1.5")), of_another).await;

    // What is too large is not read.
    let digest = images.push("shop/large", "1.4", SIGNED).await;
    images.claim_by_tag("shop/large", &digest, &" ".repeat(50 << 20)).await;
    refused(&deployed(&name("shop/large", "1.4")), "its signature cannot be read: blob sha256:").await;
    assert_eq!(pipeline.greeting("prod").await.unwrap(), "hello");

    let digest = images.push("shop/web", "1.4", SIGNED).await;
    images.sign_by_tag("shop/web", &digest, "p256").await;
    let commit = deployed(&name("shop/web", "1.4"));
    let done = pipeline.reaches("prod", &commit, "Succeeded").await;
    let gate = gate_of(&done);
    assert_eq!(gate["message"], "1 image is signed", "{gate}");
    assert_eq!(gate["evidence"]["images"], format!("{web}@{digest}"));
    assert!(gate["evidence"]["keys"].as_str().unwrap().starts_with("sha256:"), "{gate}");

    images.push("shop/api", "1.4", SIGNED).await;
    images.sign_by_bundle("shop/api", &digest, "p256").await;
    let both = with_image(&name("shop/api", "1.4"));
    let with = |init: &str| {
        both.replace("containers:", &format!("initContainers: [{{name: i, image: \"{init}\"}}]\n      containers:"))
    };
    // A container that runs for a moment runs.
    let commit = pipeline.write("env/dev", "apps/shop/shop.yaml", &with(&name("shop/web", "1.5")));
    refused(&commit, &format!("{web}@{short}…: no signature")).await;
    let commit = pipeline.write("env/dev", "apps/shop/shop.yaml", &with(&name("shop/web", "1.4")));
    let done = pipeline.reaches("prod", &commit, "Succeeded").await;
    assert_eq!(gate_of(&done)["message"], "2 images are signed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_still_be_signed_is_waited_for_where_that_is_written() {
    let images = Images::start(Admission::Everybody).await;
    let digest = images.push("shop/web", "1.4", SIGNED).await;
    let pipeline = pipeline(&json!({"keys": [{"pem": KEY}], "missing": "wait"})).await;
    let image = format!("{}:1.4", images.name("shop/web"));
    let commit = pipeline.write("env/dev", "apps/shop/shop.yaml", &with_image(&image));
    let waits = |one: &Value| {
        let gates = one["status"]["gates"].as_array().into_iter().flatten();
        gates.into_iter().any(|gate| {
            gate["state"] == "wait" && gate["message"].as_str().is_some_and(|text| text.ends_with(": no signature"))
        })
    };
    pipeline.until("prod", &commit, "waits for the signature", waits).await;
    assert_eq!(pipeline.greeting("prod").await.unwrap(), "hello");
    images.sign_by_bundle("shop/web", &digest, "p256").await;
    let done = pipeline.reaches("prod", &commit, "Succeeded").await;
    assert_eq!(gate_of(&done)["message"], "1 image is signed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_no_yes_and_no_no() {
    let images = Images::start(Admission::SignedIn).await;
    let digest = images.push("shop/web", "1.4", SIGNED).await;
    images.sign_by_bundle("shop/web", &digest, "p256").await;
    let shop = format!("{}/**", images.name("shop"));
    let pipeline = pipeline(&json!({"images": [shop], "keys": [{"secretName": "cosign"}]})).await;
    let image = format!("{}@{digest}", images.name("shop/web"));
    let commit = pipeline.write("env/dev", "apps/shop/shop.yaml", &with_image(&image));
    let waits = async |words: &str| {
        let stands = |one: &Value| {
            let gates = one["status"]["gates"].as_array().into_iter().flatten();
            gates.into_iter().any(|gate| {
                gate["state"] == "error" && gate["message"].as_str().is_some_and(|text| text.contains(words))
            })
        };
        pipeline.until("prod", &commit, words, stands).await;
    };
    waits("there is no Secret `cosign`").await;
    let key = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cosign"}, "stringData": {"cosign.pub": KEY}});
    pipeline.control.apply(&key.to_string()).await;
    waits("its signatures are not known: ").await;
    assert_eq!(pipeline.greeting("prod").await.unwrap(), "hello");

    let registry = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": "registry", "labels": {"leeboard.dev/secret-type": "registry"}},
        "stringData": {".dockerconfigjson": images.docker_config()},
    });
    pipeline.control.apply(&registry.to_string()).await;
    let done = pipeline.reaches("prod", &commit, "Succeeded").await;
    assert_eq!(gate_of(&done)["message"], "1 image is signed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_not_count_is_refused_where_it_is_written() {
    let pipeline = Pipeline::start(&[("dev", Value::Null)]).await;
    let key = json!({"pem": KEY});
    let cases = [
        // field of the policy, what is written there, what the API server says
        ("gates", json!({"keys": []}), "should have at least 1 items"),
        ("gates", json!({"images": ["web"]}), "keys: Required value"),
        ("gates", json!({"keys": [{"pem": KEY, "secretName": "cosign"}]}), "write either `pem`, or `secretName`"),
        ("gates", json!({"keys": [{"key": "cosign.pub"}]}), "write either `pem`, or `secretName`"),
        (
            "gates",
            json!({"keys": [key], "identity": "ci@example.com", "issuer": "https://accounts.example.com"}),
            "signatures without a key (keyless) are not verified: name public keys in `keys`",
        ),
        ("after", json!({"keys": [key]}), "they are about what is not deployed yet"),
    ];
    for (field, signature, expected) in cases {
        let patch = json!({"spec": {"promotion": {"from": [{"branch": "main"}], field: [{"signature": signature}]}}});
        let patch = patch.to_string();
        let patch = ["patch", "environment.leeboard.dev/dev", "--type=merge", "--patch", &patch];
        let said = pipeline.control.kubectl(patch).await.unwrap_err().to_string();
        assert!(said.contains(expected), "{signature}: {said}");
    }
}
