//! What people ask of environments in comments on a real Gitea: theirs, when the cluster lets them.

use http::Method;
use serde_json::{Value, json};

use crate::harness::eventually;
use crate::stage::{A_WHILE, Pipeline};

impl Pipeline {
    /// Comments on a pull request, as somebody: the comment's number.
    async fn say(&self, who: &str, pull: u64, text: &str) -> u64 {
        let world = self.shop().world;
        let member = [&world.jane, &world.mallory].into_iter().find(|member| member.login == who).unwrap();
        self.shop().ask(member, Method::POST, &format!("issues/{pull}/comments"), json!({"body": text})).await["id"]
            .as_u64()
            .unwrap()
    }

    /// Our answers on a pull request.
    async fn answers(&self, pull: u64) -> Vec<String> {
        let bot = &self.shop().world.bot;
        let all = self.shop().ask(bot, Method::GET, &format!("issues/{pull}/comments"), Value::Null).await;
        let ours = all.as_array().unwrap().iter().filter(|comment| comment["user"]["login"] == *bot.login);
        let texts = ours.map(|comment| comment["body"].as_str().unwrap().to_owned());
        texts.filter(|body| body.contains("leeboard:answer")).collect()
    }

    /// Waits until an answer says this.
    async fn answered(&self, pull: u64, words: &str) {
        eventually(&format!("an answer says {words}"), A_WHILE, async || {
            let answers = self.answers(pull).await;
            let found = answers.iter().any(|body| body.contains(words));
            if found { Ok(()) } else { Err(format!("{answers:#?}\n{}", self.tail())) }
        })
        .await;
    }

    /// Lets somebody do this with promotions and environments.
    async fn allow(&self, role: &str, user: &str, rules: Value) {
        let role_of = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": role}, "rules": rules,
        });
        self.control.apply(&role_of.to_string()).await;
        let binding = ["create", "rolebinding", role, &format!("--role={role}"), &format!("--user={user}")];
        self.control.kubectl(binding).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_with_rights_are_heard_in_comments_and_strangers_are_not() {
    let gates = json!([{"approval": {"groups": ["sre"]}}]);
    let prod = json!({"from": [{"environment": "dev"}], "auto": true, "gates": gates});
    let pipeline = Pipeline::on_forge("spoken", &[("dev", Value::Null), ("prod", prod)]).await;
    let shop = pipeline.shop();
    shop.world.administer(Method::PATCH, &shop.path(), json!({"private": false})).await;
    pipeline.hook().await;
    let jane = json!({"login": "jane", "user": "jane@example.com", "groups": ["sre"]});
    let follow = async |people: &Value| {
        let previews = json!({"enabled": true, "interval": "10s", "forge": {"userMap": people}});
        for environment in ["dev", "prod"] {
            pipeline.want(environment, &previews).await;
        }
    };
    follow(&json!([jane])).await;
    let commit = pipeline.push("dev", "one");
    let waits = "approval: waits for 1 approval of sre";
    pipeline.until("prod", &commit, "waits for people", |one| one["status"]["message"] == waits).await;
    pipeline.fetch();
    shop.git(&["switch", "--quiet", "--force-create", "talk", "there/env/prod"]);
    shop.commit("NOTES.md", "let us talk\n");
    let pull = shop.open("talk", "env/prod", "A place to talk").await;

    // Who is nobody in the cluster hears nothing, and who has no right there hears which one is missing.
    let strange = pipeline.say("mallory", pull, "/leeboard approve prod").await;
    pipeline.say("jane", pull, "/leeboard approve prod").await;
    pipeline.answered(pull, "user `jane@example.com` may not `approve` `promotions.leeboard.dev` of `prod`").await;
    assert_eq!(pipeline.answers(pull).await.len(), 1);
    let path = format!("issues/comments/{strange}");
    shop.ask(&shop.world.mallory, Method::DELETE, &path, Value::Null).await;

    // What she has committed herself is for others to approve.
    let promotions =
        json!({"apiGroups": ["leeboard.dev"], "resources": ["promotions"], "verbs": ["approve", "create"]});
    let environments = json!({"apiGroups": ["leeboard.dev"], "resources": ["environments"], "verbs": ["patch"]});
    pipeline.allow("speaker", "jane@example.com", json!([promotions, environments])).await;
    pipeline.allow("approver", "mallory@example.com", json!([promotions])).await;
    follow(&json!([jane, {"login": "Mallory", "user": "mallory@example.com", "groups": ["sre"]}])).await;
    pipeline.say("jane", pull, "/leeboard approve nowhere").await;
    pipeline.answered(pull, "say which environment: `dev prod`").await;
    pipeline.say("jane", pull, "/leeboard approve prod").await;
    pipeline.answered(pull, "`jane@example.com` does not count: what").await;
    pipeline.say("mallory", pull, "/leeboard approve prod").await;
    let name = format!("prod-{}", &commit[..12]);
    pipeline.answered(pull, &format!("`{name}` is approved: `~1`")).await;
    let done = pipeline.reaches("prod", &commit, "Succeeded").await;
    let word = &done["spec"]["approvals"][0];
    assert_eq!((&word["user"], &word["account"]), (&json!("mallory@example.com"), &json!("mallory")), "{done}");
    assert!(word["via"].as_str().unwrap().contains("#issuecomment-"), "{word}");
    assert_eq!(done["spec"]["approvals"].as_array().unwrap().len(), 1, "{done}");

    // Nothing enters by itself while it is held, and a person may all the same.
    pipeline.say("jane", pull, "/leeboard hold prod").await;
    pipeline.answered(pull, "say why: everybody who waits is told").await;
    pipeline.say("jane", pull, "/leeboard hold prod we look at\nthe numbers").await;
    pipeline.answered(pull, "`prod` is held").await;
    let second = pipeline.push("dev", "two");
    let held = format!("held: we look at; `leeboard promote prod` begins {} all the same", &second[..7]);
    pipeline.tracked("prod", "is held", |track| track["next"] == held.as_str()).await;
    pipeline.say("jane", pull, &format!("/leeboard promote prod {}", &second[..7])).await;
    pipeline.answered(pull, &format!("`prod-{}` begins", &second[..12])).await;
    let begun = pipeline.until("prod", &second, "waits for people", |one| one["status"]["message"] == waits).await;
    assert_eq!(begun["spec"]["requestedBy"], "jane@example.com", "{begun}");
    pipeline.say("mallory", pull, "/leeboard lock prod mine").await;
    pipeline.answered(pull, "user `mallory@example.com` may not `patch` `environments.leeboard.dev` of `prod`").await;
    pipeline.say("mallory", pull, "/leeboard reject prod it is late").await;
    let ended = pipeline.reaches("prod", &second, "Failed").await;
    assert_eq!(ended["status"]["message"], "approval: rejected by mallory@example.com: it is late");

    // And back.
    pipeline.say("jane", pull, "/leeboard rollback prod").await;
    pipeline.answered(pull, "begins").await;
    eventually("prod is back", A_WHILE, async || match pipeline.greeting("prod").await?.as_str() {
        "hello" => Ok(()),
        other => Err(format!("{other}\n{}", pipeline.tail())),
    })
    .await;
}
