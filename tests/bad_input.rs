//! What git can hold that is not right, and how git itself can fail: each time a sentence that names the place, the last
//! good state untouched, and the repair let in. Through the real binary and a real API server.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod harness;

#[path = "git/server.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with tests/git")]
mod server;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use harness::manifests::{SETTINGS, settings};
use harness::{SOON, World, eventually};
use serde_json::{Value, json};
use server::{Fault, GitServer};

/// What all tests begin with: two ConfigMaps that are synced.
async fn synced_world(name: &str) -> World {
    let world = World::new().await;
    let head = world.repo.commit("main", &[("app/config.yaml", SETTINGS), ("app/other.yaml", &settings("other"))]);
    world.application(name, "app", &json!({})).await;
    world.synced(name, &head).await;
    world
}

/// The last good state is untouched: both are there, as they were first made.
async fn untouched(world: &World, before: &[String]) {
    assert_eq!(identities(world).await, before, "the last good state is untouched");
}

async fn identities(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for object in ["configmap/settings", "configmap/other"] {
        let object = world.there(object).await;
        all.push(format!("{} {}", object["metadata"]["uid"], object["metadata"]["resourceVersion"]));
    }
    all
}

async fn refresh(world: &World, application: &str) {
    let annotation = "argocd.argoproj.io/refresh=normal";
    let arguments = ["annotate", "--overwrite", "application.argoproj.io", application, annotation];
    world.control.kubectl(arguments).await.unwrap();
}

async fn point_to(world: &World, application: &str, url: &str, revision: &str) {
    let patch = json!({"spec": {"source": {"repoURL": url, "targetRevision": revision}}}).to_string();
    world
        .control
        .kubectl(["patch", "application.argoproj.io", application, "--type=merge", "-p", &patch])
        .await
        .unwrap();
}

fn message(status: &Value, kind: &str) -> String {
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.iter().find(|condition| condition["type"] == kind);
    found.and_then(|condition| condition["message"].as_str()).unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_named() {
    let world = synced_world("lost").await;
    let before = identities(&world).await;
    let cases = [
        ("file:///srv/git/nowhere.git", "main", "there is no repository at /srv/git/nowhere.git"),
        ("http://127.0.0.1:1/shop.git", "main", "cannot reach http://127.0.0.1:1/shop.git"),
        ("not a url", "main", "a repository's address must not hold"),
        (&world.repo.url(), "nope", "has no branch or tag `nope`"),
        (&world.repo.url(), "0123456789012345678901234567890123456789", "has no commit"),
    ];
    for (url, revision, expected) in cases {
        point_to(&world, "lost", url, revision).await;
        eventually(expected, SOON, async || {
            let status = world.status("lost").await?;
            let said = message(&status, "ComparisonError") + &message(&status, "InvalidSpecError");
            let is_named = url.contains(' ') || said.contains(url.trim_start_matches("file://"));
            if said.contains(expected) && is_named { Ok(()) } else { Err(format!("{said}\n{}", world.tail())) }
        })
        .await;
        untouched(&world, &before).await;
    }
    // Told as an Event too, in the same words.
    eventually("an Event tells it", SOON, async || {
        let events = world.control.kubectl(["get", "events", "-o", "json"]).await?;
        if events.contains("has no branch or tag `nope`") { Ok(()) } else { Err(events) }
    })
    .await;
    point_to(&world, "lost", &world.repo.url(), "main").await;
    let head = world.repo.commit("main", &[("app/config.yaml", &SETTINGS.replace("hello", "again"))]);
    world.synced("lost", &head).await;
}

#[tokio::test]
async fn an_empty_repository_prunes_nothing() {
    let world = World::new().await;
    world.application("empty", "app", &json!({})).await;
    world.complains("empty", "ComparisonError", "is empty").await;
    let head = world.repo.commit("main", &[("app/config.yaml", SETTINGS), ("app/other.yaml", &settings("other"))]);
    world.synced("empty", &head).await;
    let before = identities(&world).await;

    // A server that has lost all of it.
    fs::remove_dir_all(world.repo.bare().join("refs")).unwrap();
    fs::create_dir_all(world.repo.bare().join("refs/heads")).unwrap();
    refresh(&world, "empty").await;
    world
        .until("empty", "said to be empty", |status| {
            let message = message(status, "ComparisonError");
            message.contains("is empty") || message.contains("was deleted")
        })
        .await;
    untouched(&world, &before).await;
    world.repo.git(&["push", "--quiet", "origin", "main"]);
    let head = world.repo.commit("main", &[("app/config.yaml", &SETTINGS.replace("hello", "again"))]);
    world.synced("empty", &head).await;
}

#[tokio::test]
async fn branches_come_and_go() {
    let world = synced_world("branches").await;
    let before = identities(&world).await;
    let last = world.repo.head("main");
    world.repo.git(&["push", "--quiet", "origin", "main:spare"]);
    world.repo.delete_branch("main");
    let status = world.complains("branches", "ComparisonError", "`main` was deleted from").await;
    assert!(message(&status, "ComparisonError").contains(&last[..7]), "{status}");
    untouched(&world, &before).await;

    world.repo.git(&["push", "--quiet", "origin", "main"]);
    world.until("branches", "in sync again", |s| s["sync"]["status"] == "Synced" && s["conditions"].is_null()).await;
    untouched(&world, &before).await;

    world.repo.commit("main", &[("app/config.yaml", &SETTINGS.replace("hello", "one"))]);
    world.field("configmap/settings", "{.data.greeting}", "one").await;
    let head = world.repo.force_push("main", &[("app/config.yaml", &SETTINGS.replace("hello", "two"))]);
    world.synced("branches", &head).await;
    world.field("configmap/settings", "{.data.greeting}", "two").await;
}

#[tokio::test]
async fn a_git_server_that_talks_nonsense_prunes_nothing() {
    let world = World::new().await;
    let server = GitServer::start(world.repo.bare().parent().unwrap()).await;
    let url = server.url("origin.git");
    let head = world.repo.commit("main", &[("app/config.yaml", SETTINGS), ("app/other.yaml", &settings("other"))]);
    world.application("served", "app", &json!({"source": {"repoURL": url}})).await;
    world.synced("served", &head).await;
    let greeting = |n: usize| SETTINGS.replace("hello", &format!("hello {n}"));
    let cases = [
        (Fault::LoginPage, "does not answer as a git server: the content is `text/html"),
        (Fault::EmptyAnswer, ""),
        (Fault::EmptyAdvertisement, ""),
        (Fault::CutRefs, "was cut off"),
        (Fault::CutPack, ""),
        (Fault::Status(503, None), "answered 503"),
    ];
    for (n, (fault, expected)) in cases.into_iter().enumerate() {
        let before = identities(&world).await;
        server.set_fault(Some(fault.clone()));
        let head = world.repo.commit("main", &[("app/config.yaml", &greeting(n))]);
        refresh(&world, "served").await;
        let status = world
            .until("served", &format!("{fault:?}"), |status| {
                let message = message(status, "ComparisonError");
                message.contains(expected) && message.contains(&url)
            })
            .await;
        assert_eq!(status["sync"]["status"], "Unknown", "{fault:?}: {status}");
        assert_eq!(status["resources"].as_array().unwrap().len(), 2, "{fault:?}: {status}");
        untouched(&world, &before).await;
        // Nobody tells the daemon that the server is well again, but for the sake of speed.
        server.set_fault(None);
        if n > 0 {
            refresh(&world, "served").await;
        }
        world.synced("served", &head).await;
    }
}

#[tokio::test]
async fn a_damaged_mirror_is_fetched_anew() {
    let mut world = synced_world("mirror").await;
    world.daemon.kill();
    let mirrors = world.daemon.data().join("repositories");
    let mut damaged = 0;
    spoil(&mirrors, &mut damaged);
    assert!(damaged > 0, "there are files to damage in {}", mirrors.display());
    world.daemon.restart().await;
    let head = world.repo.commit("main", &[("app/config.yaml", &SETTINGS.replace("hello", "again"))]);
    world.synced("mirror", &head).await;
    world.field("configmap/settings", "{.data.greeting}", "again").await;
}

/// Overwrites all packs and loose objects with as many zeros.
fn spoil(directory: &Path, damaged: &mut usize) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            spoil(&path, damaged);
        } else if path.components().any(|part| part.as_os_str() == "objects") {
            let size = usize::try_from(entry.metadata().unwrap().len()).unwrap();
            fs::remove_file(&path).unwrap();
            fs::write(&path, vec![0; size]).unwrap();
            *damaged += 1;
        }
    }
}

/// One push after another that can't be rendered. Each is put right by the next.
async fn refuses(name: &str, cases: &[Case<'_>]) {
    let world = synced_world(name).await;
    let before = identities(&world).await;
    let repository = world.repo.bare().display().to_string();
    for case in cases {
        world.repo.git(&["checkout", "--quiet", "main"]);
        (case.make)(&world.repo.clone_path());
        let commit = world.repo.commit("main", &[]);
        let status = eventually(case.expected.join(" … ").as_str(), SOON, async || {
            let status = world.status(name).await?;
            let said = message(&status, "ComparisonError");
            let fits = case.expected.iter().all(|part| said.contains(part));
            if fits && said.contains(&commit[..7]) { Ok(status) } else { Err(format!("{said}\n{}", world.tail())) }
        })
        .await;
        let said = message(&status, "ComparisonError");
        assert!(said.starts_with(&repository), "it names the repository: {said}");
        assert_eq!(status["sync"]["status"], "Unknown", "{said}");
        assert_eq!(status["resources"].as_array().unwrap().len(), 2, "{said}");
        untouched(&world, &before).await;
        world.repo.git(&["revert", "--no-edit", "HEAD"]);
    }
    let head = world.repo.commit("main", &[("app/config.yaml", &SETTINGS.replace("hello", "again"))]);
    let status = world.synced(name, &head).await;
    assert_eq!(status["conditions"], Value::Null);
}

struct Case<'a> {
    /// Changes the clone.
    make: &'a dyn Fn(&Path),
    /// What the condition says, in parts.
    expected: &'a [&'a str],
}

fn write(root: &Path, path: &str, text: &str) {
    fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
    fs::write(root.join(path), text).unwrap();
}

/// Nine generations of ten children each.
fn alias_bomb() -> String {
    let mut text = String::from("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\na0: &a0 [x]\n");
    for generation in 1..10 {
        let child = format!("*a{}", generation - 1);
        text.push_str(&format!("a{generation}: &a{generation} [{}]\n", vec![child; 10].join(", ")));
    }
    text
}

#[tokio::test]
async fn plain_manifests_that_are_wrong_are_named_by_their_place() {
    let cases = [
        Case {
            make: &|root| {
                write(root, "app/config.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: [settings\n")
            },
            expected: &["app/config.yaml:", "invalid YAML"],
        },
        Case {
            make: &|root| write(root, "app/config.yaml", &SETTINGS.replace("data:", "data: {a: b}\ndata:")),
            expected: &["app/config.yaml:5", "the key `data` is already defined at line 4"],
        },
        Case {
            make: &|root| write(root, "app/more.yaml", &settings("other")),
            expected: &["app/more.yaml:1", "app/other.yaml:1", "two objects with the identity `ConfigMap/other`"],
        },
        Case {
            make: &|root| {
                write(root, "app/more.yaml", &format!("{}---\nkind: ConfigMap\nmetadata: {{name: a}}\n", settings("b")))
            },
            expected: &["app/more.yaml:", "apiVersion"],
        },
        Case {
            make: &|root| write(root, "app/more.yaml", &alias_bomb()),
            expected: &["app/more.yaml:", "values when its aliases are expanded"],
        },
        Case {
            make: &|root| write(root, "app/more.yaml", &format!("{SETTINGS}#{}", "x".repeat(16 << 20))),
            expected: &["app/more.yaml", "bytes, more than the limit of"],
        },
        Case {
            make: &|root| symlink("../../../../../etc/passwd", root.join("app/more.yaml")).unwrap(),
            expected: &["app/more.yaml", "leads out of the repository"],
        },
        Case { make: &|root| fs::remove_dir_all(root.join("app")).unwrap(), expected: &["`app`", "does not exist"] },
    ];
    refuses("plain", &cases).await;
}

#[tokio::test]
async fn kustomizations_that_are_wrong_are_named_by_their_place() {
    let good = "resources:\n- config.yaml\n- other.yaml\n";
    let kustomization = |text: &'static str| move |root: &Path| write(root, "app/kustomization.yaml", text);
    let missing = kustomization("resources:\n- config.yaml\n- others.yaml\n");
    let typo = kustomization("resource:\n- config.yaml\n");
    let escape = kustomization("resources:\n- config.yaml\n- ../../../elsewhere\n");
    let twice = |root: &Path| {
        write(root, "app/kustomization.yaml", "resources:\n- config.yaml\n- more.yaml\n");
        write(root, "app/more.yaml", SETTINGS);
    };
    let cycle = |root: &Path| {
        write(root, "app/kustomization.yaml", &format!("{good}- ../base\n"));
        write(root, "base/kustomization.yaml", "resources:\n- ../app\n");
    };
    let link = |root: &Path| {
        write(root, "app/kustomization.yaml", &format!("{good}- secret.yaml\n"));
        symlink("/etc/passwd", root.join("app/secret.yaml")).unwrap();
    };
    let cases = [
        Case { make: &missing, expected: &["app/kustomization.yaml:3", "`others.yaml` does not exist", "other.yaml"] },
        Case { make: &typo, expected: &["app/kustomization.yaml:1", "unknown field `resource`", "`resources`"] },
        Case { make: &escape, expected: &["app/kustomization.yaml:3", "elsewhere", "outside"] },
        Case { make: &twice, expected: &["app/more.yaml:1", "two objects are"] },
        Case { make: &cycle, expected: &["kustomization.yaml:", "leads back to a directory that is being built"] },
        Case { make: &link, expected: &["app/", "leads out of the repository"] },
    ];
    refuses("kustomized", &cases).await;
}
