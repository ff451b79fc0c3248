//! `leeboard canary status|promote|abort|retry|pause|resume`: what a person sees and does, through the real binary, a real
//! API server and a running daemon; kwok plays the pods.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod harness;

use harness::{Cluster, SOON, World, eventually, leeboard};
use serde_json::{Value, json};

/// How a command ended, and what it said.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    /// Asserts the exit code and that all of this was said, somewhere.
    #[track_caller]
    fn is(self, code: i32, said: &[&str]) -> Said {
        let all = format!("{}\n{}", self.out, self.err);
        assert_eq!(self.code, Some(code), "{all}");
        for words in said {
            assert!(all.contains(words), "`{words}` is not said:\n{all}");
        }
        self
    }
}

/// `leeboard canary …`, as alice.
async fn canary<const N: usize>(cluster: &Cluster, arguments: [&str; N]) -> Said {
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let arguments: Vec<&str> = ["canary"].into_iter().chain(arguments).collect();
    let environment = [("KUBECONFIG", kubeconfig.as_str()), ("USER", "alice"), ("NO_COLOR", "1")];
    let (code, out, err) = leeboard(&arguments, &environment).await;
    Said { code, out, err }
}

fn web(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": image, "ports": [{"containerPort": 8080}]}]},
            },
        },
    })
}

/// A canary that is checked for longer than any test takes.
fn endless() -> Value {
    json!({
        "apiVersion": "flagger.app/v1beta1", "kind": "Canary",
        "metadata": {"name": "web", "annotations": {"canary.leeboard.dev/scale-down-delay": "0"}},
        "spec": {
            "provider": "kubernetes",
            "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "service": {"port": 80, "targetPort": 8080},
            "analysis": {"interval": "10s", "threshold": 3, "iterations": 1000},
        },
    })
}

async fn phase(world: &World, expected: &str) {
    eventually(&format!("the canary is {expected}"), 2 * SOON, async || {
        let phase = world.shop.field("canary/web", "{.status.phase}").await?;
        if phase == expected { Ok(()) } else { Err(format!("{phase}\n{}", world.tail())) }
    })
    .await;
}

async fn set_image(world: &World, image: &str) {
    world.shop.kubectl(["set", "image", "deployment/web", &format!("web={image}")]).await.unwrap();
}

#[tokio::test]
async fn a_person_leads_a_canary() {
    let mut world = World::new().await;
    let cluster = world.cluster;
    let name = format!("{}/web", world.shop.name());
    canary(cluster, ["status"]).await.is(0, &["no canaries"]);
    canary(cluster, ["abort", &name]).await.is(1, &["there is no canary `web`", "There are none at all."]);

    world.shop.apply(&web("web:1").to_string()).await;
    world.shop.apply(&endless().to_string()).await;
    let initialized = canary(cluster, ["status", &name, "--watch"]);
    eventually("the Canary is there", SOON, async || world.shop.object("canary/web").await).await;
    initialized.await.is(0, &["Initialized  since"]);
    canary(cluster, ["status"]).await.is(0, &["CANARY", &name, "Initialized"]);
    let typo = format!("{}/wbe", world.shop.name());
    canary(cluster, ["pause", &typo]).await.is(1, &["there is no canary `wbe`", &format!("Did you mean `{name}`?")]);
    canary(cluster, ["status", "elsewhere/web"]).await.is(1, &[&format!("Did you mean `{name}`?")]);
    canary(cluster, ["retry", &name]).await.is(1, &["its last version has not failed"]);

    set_image(&world, "web:2").await;
    phase(&world, "Progressing").await;
    let running = canary(cluster, ["status", "web", "-n", world.shop.name()]).await;
    running.is(0, &["Progressing  1 → 2  iteration 0 of 1000  next", "0 of 3 failed", "New revision detected!"]);
    canary(cluster, ["promote", &name]).await.is(1, &["it waits for nobody", "`--full`"]);
    canary(cluster, ["resume", &name]).await.is(0, &["is not paused"]);
    canary(cluster, ["pause", &name, "-m", "lunch"]).await.is(0, &["is paused: Progressing"]);
    canary(cluster, ["pause", &name]).await.is(0, &["is paused already"]);
    canary(cluster, ["status", &name]).await.is(0, &[&format!("next: leeboard canary resume {name}")]);
    canary(cluster, ["resume", &name]).await.is(0, &["is resumed: Progressing"]);
    canary(cluster, ["abort", &name, "-m", "checkout is slow"]).await.is(0, &["is aborted"]);

    let failed = canary(cluster, ["status", &name, "-w"]).await;
    failed.is(1, &["Failed", "✗ aborted by alice (checkout is slow)", &format!("next: leeboard canary retry {name}")]);
    let told: Value = serde_json::from_str(&canary(cluster, ["status", &name, "-o", "json"]).await.out).unwrap();
    assert_eq!((&told["ended"], &told["phase"]), (&json!("badly"), &json!("Failed")), "{told:#}");
    assert_eq!(told["images"], json!({"primary": "1", "tried": "2"}));
    canary(cluster, ["abort", &name]).await.is(1, &["the last version was rolled back: aborted by alice"]);

    canary(cluster, ["retry", &name]).await.is(0, &["is tried again: Progressing"]);
    eventually("the canary is ready", 2 * SOON, async || {
        let said = canary(cluster, ["promote", &name, "--full"]).await;
        if said.code == Some(0) { Ok(()) } else { Err(said.err) }
    })
    .await;
    canary(cluster, ["status", &name, "-w"]).await.is(0, &["Succeeded  since", "Copying web."]);
    world.field("deployment/web-primary", "{.spec.template.spec.containers[0].image}", "web:2").await;
    let annotations = world.shop.object("canary/web").await.unwrap()["metadata"]["annotations"].clone();
    assert_eq!(
        (&annotations["canary.leeboard.dev/action"], &annotations["canary.leeboard.dev/actor"]),
        (&Value::Null, &Value::Null)
    );

    // A wish that nobody grants is taken back: it must not be granted hours later.
    set_image(&world, "web:3").await;
    phase(&world, "Progressing").await;
    world.daemon.kill();
    let refused = canary(cluster, ["abort", &name, "--timeout", "2s"]).await;
    refused.is(1, &["nobody has begun to abort", "the request was taken back", "Does `leeboard run` run"]);
    let annotations = world.shop.object("canary/web").await.unwrap()["metadata"]["annotations"].clone();
    assert_eq!(annotations["canary.leeboard.dev/action"], Value::Null, "{annotations}");
    world.shop.kubectl(["patch", "canary", "web", "--type=merge", "-p", r#"{"spec":{"suspend":true}}"#]).await.unwrap();
    canary(cluster, ["abort", &name]).await.is(1, &["is suspended", "Set `spec.suspend` to false in git first."]);
}
