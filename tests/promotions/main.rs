//! Commits carried from environment to environment by the real daemon: real pushes, a real API server.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]
#![allow(unreachable_pub, reason = "a test has no one to reach")]

mod comments;
mod gates;
#[path = "../harness/mod.rs"]
mod harness;
mod outages;
mod pulls;
mod refusals;
mod scans;
mod signatures;
#[allow(dead_code, reason = "the bench asks it more")]
mod stage;
#[path = "../forge/world.rs"]
#[allow(dead_code, reason = "the forge's own tests ask it more")]
mod world;

use serde_json::{Value, json};

use stage::Pipeline;

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_goes_from_environment_to_environment_once_it_has_proved_itself() {
    let pipeline = Pipeline::start(&[
        ("dev", Value::Null),
        ("int", json!({"from": [{"environment": "dev"}], "auto": true})),
        (
            "prod",
            json!({
                "from": [{"environment": "int"}],
                "auto": true,
                "gates": [{"soak": {"duration": "3s"}}],
            }),
        ),
    ])
    .await;
    let commit = pipeline.push("dev", "good day");
    let done = pipeline.reaches("int", &commit, "Succeeded").await;
    assert_eq!(pipeline.greeting("int").await.unwrap(), "good day");
    let written = done["status"]["write"]["commit"].as_str().unwrap();
    assert_eq!(written, pipeline.head("int"));
    let message = pipeline.message(written);
    let short = &commit[..7];
    assert!(message.starts_with(&format!("Promote {short} from dev to int\n")), "{message}");
    for trailer in [
        format!("Leeboard-Promotion: {}/{}", pipeline.control.name(), done["metadata"]["name"].as_str().unwrap()),
        format!("Leeboard-Change: {commit}"),
        format!("Leeboard-From: dev@{commit}"),
        format!("Leeboard-Plan: {}", done["status"]["plan"]["hash"].as_str().unwrap()),
    ] {
        assert!(message.lines().any(|line| line == trailer), "{trailer} in {message}");
    }
    assert_eq!(done["status"]["plan"]["changed"], 1, "{done}");

    // What int has verified goes on, once it was healthy there for long enough.
    let done = pipeline.reaches("prod", written, "Succeeded").await;
    assert_eq!(pipeline.greeting("prod").await.unwrap(), "good day");
    let soak = &done["status"]["gates"].as_array().unwrap().iter().find(|gate| gate["name"] == "soak").unwrap();
    assert!(soak["message"].as_str().unwrap().starts_with("healthy in int for "), "{soak}");
    let steps: Vec<&str> =
        done["status"]["steps"].as_array().unwrap().iter().map(|step| step["to"].as_str().unwrap()).collect();
    let last = &steps[steps.len() - 3..];
    assert!(steps.contains(&"Writing") && last.contains(&"Succeeded"), "{steps:?}");
    let track = pipeline.tracked("prod", "has it verified", |track| !track["current"]["verifiedAt"].is_null()).await;
    assert_eq!(track["current"]["origin"], commit.as_str(), "{track}");
}

/// A Job, whose fate is what the annotation says.
fn job(outcome: &str) -> Value {
    let annotations = if outcome.is_empty() { json!({}) } else { json!({"leeboard.test/outcome": outcome}) };
    json!({
        "metadata": {"annotations": annotations},
        "spec": {"containers": [{"name": "check", "image": "registry.example/check:1"}]},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn people_approve_the_plan_that_is_applied() {
    let pipeline = Pipeline::start(&[
        ("dev", Value::Null),
        ("prod", json!({"from": [{"environment": "dev"}], "auto": true, "gates": [{"approval": {}}]})),
    ])
    .await;
    let first = pipeline.push("dev", "one");
    let waits = pipeline
        .until("prod", &first, "waits for people", |one| one["status"]["message"] == "approval: waits for 1 approval");
    let name = waits.await["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(name, format!("prod-{}", &first[..12]));
    let table = pipeline.control.kubectl(["get", "promotions"]).await.unwrap();
    assert!(table.contains("Gated") && table.contains("approval: waits for 1 approval"), "{table}");

    // A newer commit takes the place of one that nobody has asked for.
    let second = pipeline.push("dev", "two");
    let gone = pipeline.reaches("prod", &first, "Superseded").await;
    let taken = format!("prod-{} has taken its place", &second[..12]);
    assert_eq!(gone["status"]["message"], taken.as_str());
    pipeline.until("prod", &second, "waits for people", |one| !one["status"]["plan"].is_null()).await;

    // Who has no right to approve is told so by the API server.
    let rights = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "clerk"},
        "rules": [{"apiGroups": ["leeboard.dev"], "resources": ["promotions", "environments"], "verbs": ["get", "list", "patch", "create"]}]});
    pipeline.control.apply(&rights.to_string()).await;
    pipeline.control.kubectl(["create", "rolebinding", "clerk", "--role=clerk", "--user=plain"]).await.unwrap();
    let clerk = pipeline.cluster.control_plane().plain_kubeconfig();
    let (code, _, error) = pipeline.leeboard_as(&clerk, &["approve", "prod"]).await;
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("user plain cannot `approve` promotions.leeboard.dev into prod"), "{error}");
    let (code, _, error) = pipeline.leeboard_as(&clerk, &["promote", "prod", "--skip", "approval", "-m", "now"]).await;
    assert!(code == Some(1) && error.contains("cannot `override` promotions.leeboard.dev"), "{error}");

    // Who may approve cannot do so in another's name.
    let may = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "approver"},
        "rules": [{"apiGroups": ["leeboard.dev"], "resources": ["promotions"], "resourceNames": ["prod"], "verbs": ["approve"]}]});
    pipeline.control.apply(&may.to_string()).await;
    pipeline.control.kubectl(["create", "rolebinding", "approver", "--role=approver", "--user=plain"]).await.unwrap();
    let forged = json!({"spec": {"approvals": [{"user": "boss", "verdict": "approve", "planHash": "x"}]}}).to_string();
    let name = format!("prod-{}", &second[..12]);
    let patch = ["--namespace", pipeline.control.name(), "patch", "promotion", &name, "--type=merge", "-p", &forged];
    let refused = pipeline.cluster.kubectl_as(&clerk, patch).await.unwrap_err();
    assert!(refused.contains("only plain can speak for plain"), "{refused}");

    let (code, text, error) = pipeline.leeboard_as(&clerk, &["approve", "prod", "-m", "looks good"]).await;
    assert_eq!(code, Some(0), "{error}");
    assert!(text.contains("approved: ~1 objects, plan "), "{text}");
    let done = pipeline.reaches("prod", &second, "Succeeded").await;
    assert_eq!(pipeline.greeting("prod").await.unwrap(), "two");
    let approval = &done["status"]["gates"].as_array().unwrap().iter().find(|gate| gate["name"] == "approval").unwrap();
    assert!(approval["message"].as_str().unwrap().starts_with("approved by plain"), "{approval}");
    assert_eq!(approval["evidence"]["plan"], done["status"]["plan"]["hash"]);
    let (_, text, _) = pipeline.leeboard(&["promotion", "show", &name]).await;
    assert!(text.contains("✓ approval") && text.contains("verified in prod"), "{text}");

    // A no ends it, and the next commit is another question.
    let third = pipeline.push("dev", "three");
    pipeline.until("prod", &third, "waits for people", |one| !one["status"]["plan"].is_null()).await;
    let (code, _, error) = pipeline.leeboard(&["reject", "prod", "-m", "not on a Friday"]).await;
    assert_eq!(code, Some(0), "{error}");
    let failed = pipeline.reaches("prod", &third, "Failed").await;
    let message = failed["status"]["message"].as_str().unwrap();
    assert!(message.contains("rejected by ") && message.contains("not on a Friday"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_after_the_deployment_is_taken_back_and_the_next_commit_goes_on() {
    let acceptance = |outcome: &str| {
        json!({
            "from": [{"environment": "dev"}],
            "auto": true,
            "after": [{"name": "acceptance", "job": {"template": job(outcome)}}],
            "rollback": "revert",
        })
    };
    let pipeline = Pipeline::start(&[("dev", Value::Null), ("int", acceptance("fail"))]).await;
    // What was there from the beginning is looked at too: nobody promoted it, so it stays.
    let begin = pipeline.head("dev");
    let looked = pipeline.reaches("int", &begin, "Failed").await;
    assert_eq!(looked["spec"]["type"], "push");
    let bad = pipeline.push("dev", "bad");
    let failed = pipeline.reaches("int", &bad, "RolledBack").await;
    let message = failed["status"]["message"].as_str().unwrap();
    assert!(message.starts_with("acceptance: Job int-") && message.contains(" failed: "), "{message}");
    assert!(message.contains("; taken back by "), "{message}");
    pipeline.deployed("int", "hello").await;
    let reverting = pipeline.head("int");
    assert_eq!(failed["status"]["write"]["takenBack"], reverting.as_str());
    assert!(pipeline.message(&reverting).contains("This reverts commit "));
    let track = pipeline.tracked("int", "remembers it", |track| !track["rejected"][&bad].is_null()).await;
    assert!(track["candidate"].is_null(), "{track}");

    // The next commit brings what it was verified with, also what was taken back before.
    pipeline.environment("int", &acceptance("")).await;
    let next = pipeline.write("env/dev", "README.md", "a word\n");
    pipeline.reaches("int", &next, "Succeeded").await;
    pipeline.deployed("int", "bad").await;
    pipeline.fetch();
    let twice = pipeline.git(&["log", "--format=%s", "there/env/int"]);
    assert_eq!(twice.lines().filter(|subject| subject.starts_with("Revert ")).count(), 1, "{twice}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_named_and_nothing_is_pushed_until_somebody_settles_it() {
    let pipeline =
        Pipeline::start(&[("dev", Value::Null), ("int", json!({"from": [{"environment": "dev"}], "auto": true}))])
            .await;
    let own = pipeline.push("int", "by hand");
    pipeline.deployed("int", "by hand").await;
    let commit = pipeline.push("dev", "good day");
    let waits = pipeline.until("int", &commit, "names the conflict", |one| {
        one["status"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("conflict: both have changed apps/shop/shop.yaml"))
    });
    let message = waits.await["status"]["message"].as_str().unwrap().to_owned();
    let ours =
        format!("last changed on env/int by {} by Tess Tester, and by {} by Tess Tester", &own[..7], &commit[..7]);
    assert!(message.contains(&ours), "{message}");
    assert_eq!(pipeline.head("int"), own, "nothing is pushed");

    // A person merges it on the branch: the promotion sees that it is there.
    pipeline.fetch();
    pipeline.git(&["switch", "--quiet", "--force-create", "env/int", "there/env/int"]);
    pipeline.git(&["merge", "--quiet", "-X", "theirs", "--no-edit", "there/env/dev"]);
    pipeline.push_branch("env/int");
    let done = pipeline.reaches("int", &commit, "Succeeded").await;
    let message = done["status"]["message"].as_str().unwrap();
    assert!(message.starts_with("nothing to do: env/int has "), "{message}");
    pipeline.deployed("int", "good day").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_environment_takes_nothing_until_it_opens() {
    let pipeline =
        Pipeline::start(&[("dev", Value::Null), ("int", json!({"from": [{"environment": "dev"}], "auto": true}))])
            .await;
    let (code, text, error) = pipeline.leeboard(&["lock", "int", "-m", "audit", "--for", "1h"]).await;
    assert!(code == Some(0) && text.contains("int is locked: audit"), "{text}{error}");
    let commit = pipeline.push("dev", "good day");
    let waits = pipeline.until("int", &commit, "waits for the lock", |one| {
        one["status"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("int is locked by ") && text.contains("audit, opens at "))
    });
    waits.await;
    let (_, text, _) = pipeline.leeboard(&["get", "environments"]).await;
    assert!(text.contains("int is locked by "), "{text}");
    assert_eq!(pipeline.greeting("int").await.unwrap(), "hello");
    let (code, _, error) = pipeline.leeboard(&["unlock", "int"]).await;
    assert_eq!(code, Some(0), "{error}");
    pipeline.reaches("int", &commit, "Succeeded").await;

    // Held, it takes only what a person asks for.
    let (code, _, error) = pipeline.leeboard(&["hold", "int", "-m", "we look first"]).await;
    assert_eq!(code, Some(0), "{error}");
    let next = pipeline.push("dev", "good evening");
    pipeline
        .tracked("int", "says that it is held", |track| {
            track["next"].as_str().is_some_and(|text| text.starts_with("held: we look first"))
        })
        .await;
    let (code, text, error) = pipeline.leeboard(&["promote", "int", "-m", "it is fine", "--watch"]).await;
    assert!(code == Some(0) && text.contains("verified in int"), "{text}{error}");
    let done = pipeline.reaches("int", &next, "Succeeded").await;
    assert_eq!(done["spec"]["reason"], "it is fine");
    let message = pipeline.message(done["status"]["write"]["commit"].as_str().unwrap());
    assert!(message.contains("\n\nit is fine\n"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_writes_git_and_what_it_took_away_stays_away() {
    let pipeline =
        Pipeline::start(&[("dev", Value::Null), ("int", json!({"from": [{"environment": "dev"}], "auto": true}))])
            .await;
    let good = pipeline.push("dev", "good");
    let good_there = pipeline.reaches("int", &good, "Succeeded").await["status"]["write"]["commit"].clone();
    let bad = pipeline.push("dev", "bad");
    pipeline.reaches("int", &bad, "Succeeded").await;
    let (code, text, error) = pipeline.leeboard(&["rollback", "int", "-m", "checkout is slow", "--watch"]).await;
    assert!(code == Some(0), "{text}{error}");
    pipeline.deployed("int", "good").await;
    let head = pipeline.head("int");
    let message = pipeline.message(&head);
    assert!(message.starts_with("Roll int back to "), "{message}");
    assert!(message.contains(&format!("Leeboard-Restores: {}", good_there.as_str().unwrap())), "{message}");
    let track = pipeline.tracked("int", "keeps the bad one out", |track| !track["rejected"][&bad].is_null()).await;
    assert_eq!(track["current"]["commit"], head.as_str(), "{track}");

    // It does not come again by itself; what is newer does.
    let newer = pipeline.push("dev", "better");
    pipeline.reaches("int", &newer, "Succeeded").await;
    pipeline.deployed("int", "better").await;
    let all = pipeline.promotions("int").await;
    assert_eq!(all.iter().filter(|one| one["spec"]["commit"] == bad.as_str()).count(), 1, "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_killed_at_any_time_writes_each_promotion_once() {
    let mut pipeline =
        Pipeline::start(&[("dev", Value::Null), ("int", json!({"from": [{"environment": "dev"}], "auto": true}))])
            .await;
    let mut commits = Vec::new();
    for round in 0..6u64 {
        let commit = pipeline.push("dev", &format!("round {round}"));
        // Each time a little later: while it is planned, written, synced.
        tokio::time::sleep(std::time::Duration::from_millis(120 * round)).await;
        pipeline.daemon.kill();
        pipeline.daemon.restart().await;
        pipeline.reaches("int", &commit, "Succeeded").await;
        commits.push(commit);
    }
    pipeline.fetch();
    let log = pipeline.git(&["log", "--format=%(trailers:key=Leeboard-Change,valueonly,separator=)", "there/env/int"]);
    for commit in &commits {
        assert_eq!(log.lines().filter(|line| line.trim() == commit).count(), 1, "{commit} in\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_said_in_one_sentence() {
    let pipeline = Pipeline::start(&[
        ("dev", Value::Null),
        ("one", json!({"from": [{"environment": "two"}], "auto": true})),
        ("two", json!({"from": [{"environment": "one"}]})),
        ("lost", json!({"from": [{"environment": "nowhere"}]})),
        ("own", json!({"from": [{"branch": "env/own"}]})),
        ("fast", json!({"from": [{"environment": "dev"}], "write": {"mode": "fastForward"}})),
        ("shy", json!({"from": [{"environment": "dev"}]})),
    ])
    .await;
    let cases = [
        ("one", "promotion.from forms a cycle: one → two → one"),
        ("lost", "there is no Environment `nowhere` to take commits from"),
        ("own", "`env/own` is the environment's own branch: there is nothing to carry"),
    ];
    for (environment, words) in cases {
        pipeline.tracked(environment, "says why", |track| track["next"] == words).await;
    }
    let own = pipeline.push("fast", "by hand");
    pipeline.deployed("fast", "by hand").await;
    let commit = pipeline.push("dev", "good day");
    let offered = format!("{} from dev may enter: `leeboard promote shy` begins it", &commit[..7]);
    pipeline.tracked("shy", "waits for a person", |track| track["next"] == offered.as_str()).await;
    let (code, text, _) = pipeline.leeboard(&["promote", "fast", "--watch"]).await;
    assert_eq!(code, Some(1), "{text}");
    let failed = pipeline.reaches("fast", &commit, "Failed").await;
    let message = failed["status"]["message"].as_str().unwrap();
    assert!(message.contains("not a fast-forward: 1 commit only on env/fast: A change"), "{message}");
    assert_eq!(pipeline.head("fast"), own);

    // A commit that an environment does not take.
    let (code, _, error) = pipeline.leeboard(&["reject", "shy", "--commit", &commit, "-m", "it leaks"]).await;
    assert_eq!(code, Some(0), "{error}");
    let refused = format!("{} is rejected: it leaks", &commit[..7]);
    pipeline
        .tracked("shy", "refuses it", |track| track["next"].as_str().is_some_and(|text| text.starts_with(&refused)))
        .await;

    // What nobody can mean.
    for (arguments, words) in [
        (&["promote", "shi"][..], "Did you mean `shy`?"),
        (&["promote", "shy", "--commit", "fffffff"][..], "no environment has had a commit `fffffff`"),
        (&["approve", "nothing"][..], "there is no promotion `nothing`"),
        (&["rollback", "dev"][..], "`dev` has had nothing before that was verified"),
        (&["lock", "-m", "audit"][..], "which environment?"),
    ] {
        let (code, _, error) = pipeline.leeboard(arguments).await;
        assert!(code == Some(1) && error.contains(words), "{arguments:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_of_an_environment_goes_through_it_to_those_behind() {
    let pipeline = Pipeline::start(&[
        ("dev", Value::Null),
        ("int", json!({"from": [{"environment": "dev"}], "auto": true, "gates": [{"approval": {}}]})),
        ("prod", json!({"from": [{"environment": "int"}], "auto": true})),
    ])
    .await;
    let text = "resources: [../../apps/shop]\nnamePrefix: prod-\ncommonAnnotations: {note: new}\n";
    let commit = pipeline.write("env/dev", "clusters/prod/kustomization.yaml", text);
    let done = pipeline.reaches("int", &commit, "Succeeded").await;
    let gates = done["status"]["gates"].as_array().unwrap();
    let approval = gates.iter().find(|gate| gate["name"] == "approval").unwrap();
    assert_eq!(approval["message"], "nothing to approve: no object changes");
    let there = done["status"]["write"]["commit"].as_str().unwrap().to_owned();
    pipeline.reaches("prod", &there, "Succeeded").await;
    let note = pipeline.target.field("configmap/prod-shop", "{.metadata.annotations.note}").await;
    assert_eq!(note.as_deref(), Ok("new"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hotfix_leaves_out_what_its_author_may_leave_out_and_says_so() {
    let pipeline = Pipeline::start(&[
        ("dev", Value::Null),
        ("int", json!({"from": [{"environment": "dev"}]})),
        ("prod", json!({"from": [{"environment": "int"}], "gates": [{"soak": {"duration": "24h"}}]})),
    ])
    .await;
    let commit = pipeline.push("dev", "mended");
    pipeline.deployed("dev", "mended").await;
    let hotfix =
        ["promote", "prod", "--commit", &commit, "--hotfix", "--skip", "source,soak", "-m", "it burns", "--watch"];
    let (code, text, error) = pipeline.leeboard(&hotfix).await;
    assert_eq!(code, Some(0), "{text}{error}");
    pipeline.deployed("prod", "mended").await;
    let done = pipeline.reaches("prod", &commit, "Succeeded").await;
    assert_eq!((&done["spec"]["type"], &done["spec"]["reason"]), (&json!("hotfix"), &json!("it burns")));
    for name in ["source", "soak"] {
        let gate = done["status"]["gates"].as_array().unwrap().iter().find(|gate| gate["name"] == name).unwrap();
        assert_eq!(gate["state"], "overridden", "{gate}");
        assert!(gate["message"].as_str().unwrap().starts_with("overridden: it burns (it said: "), "{gate}");
    }
    assert_eq!(pipeline.greeting("int").await.unwrap(), "hello", "int has not asked for it");
}
