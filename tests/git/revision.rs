//! What a revision means, and what it means after a push.

use std::sync::Arc;
use std::time::Duration;

use leeboard::git::{Change, Error, RepoUrl, Watch};

use super::{Bench, ways};
use crate::repository::Repository;
use crate::server::{GitServer, Seen};

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_revision_resolves_over_every_way() {
    let repository = Repository::new();
    let first = repository.head();
    repository.git(&["tag", "v1.0.0"]);
    let between = repository.commit("a/b.yaml", "b: 0\n");
    let second = repository.commit("a/b.yaml", "b: 1\n");
    repository.git(&["tag", "-a", "-m", "one", "v1.1.0"]);
    repository.push("env/dev");
    let third = repository.commit("c.yaml", "c: 1\n");
    repository.git(&["tag", "v2.0.0"]);
    repository.git(&["push", "-q", "origin", "--tags"]);
    for (way, url, _server) in ways(&repository).await {
        let cases = [
            // revision       commit
            ("", &first),
            ("HEAD", &first),
            ("main", &first),
            ("refs/heads/main", &first),
            ("env/dev", &second),
            ("v1.0.0", &first),
            ("v1.1.0", &second),
            ("refs/tags/v1.1.0", &second),
            ("1.*", &second),
            (">=1.0 <1.1", &first),
            ("*", &third),
            (&first, &first),
            (&between, &between),
            (&second[..9], &second),
            (&between[..7], &between),
        ];
        // Each alone in a new mirror, and all together in one.
        let together = Bench::new(&url);
        let all: Vec<&str> = cases.iter().map(|(revision, _)| *revision).collect();
        let refreshed = together.refresh(&all).await.unwrap();
        for (revision, commit) in cases {
            let alone = Bench::new(&url);
            assert_eq!(alone.follow(revision).await.as_ref(), Ok(commit), "{way}: `{revision}`");
            let found = refreshed.commit(revision).unwrap().as_ref().unwrap();
            assert_eq!(found.id.to_string(), *commit, "{way}: `{revision}` among others");
            assert_eq!(&*found.author, "Ada <ada@example.com>");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told_by_name() {
    let repository = Repository::new();
    for (way, url, _server) in ways(&repository).await {
        let bench = Bench::new(&url);
        let shown = bench.mirror.url().to_string();
        let missing = "0123456789012345678901234567890123456789";
        let cases = [
            ("env/prod", format!("{shown} has no branch or tag `env/prod`")),
            ("2.*", format!("{shown} has no tag in the range `2.*`")),
            (missing, format!("{shown} has no commit `{missing}`")),
            ("abcdef0", format!("{shown} has no branch or tag `abcdef0`")),
            ("a..b", "`a..b` is not a revision: git does not allow such a name".into()),
        ];
        for (revision, expected) in cases {
            let refreshed = bench.refresh(&[revision, "main"]).await.unwrap();
            let told = refreshed.commit(revision).unwrap().as_ref().unwrap_err();
            assert_eq!(told.to_string(), expected, "{way}: `{revision}`");
            assert!(refreshed.commit("main").unwrap().is_ok(), "{way}: `main` beside `{revision}`");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_is_followed_forward_rewritten_and_deleted() {
    let repository = Repository::new();
    for (way, url, _server) in ways(&repository).await {
        repository.git(&["checkout", "-q", "-B", "work", "main"]);
        let first = repository.commit("x", way);
        repository.push("env/dev");
        let bench = Bench::new(&url);
        let change = async || {
            let refreshed = bench.refresh(&["env/dev"]).await.unwrap();
            let followed = refreshed.revisions["env/dev"].clone();
            (followed.commit.map(|commit| commit.id.to_string()), followed.change)
        };
        assert_eq!(change().await, (Ok(first.clone()), Change::First), "{way}");
        assert_eq!(change().await, (Ok(first.clone()), Change::None), "{way}");

        let second = repository.commit("y", "2\n");
        repository.push("env/dev");
        let from = first.parse().unwrap();
        assert_eq!(change().await, (Ok(second.clone()), Change::Forward { from }), "{way}");

        repository.git(&["reset", "-q", "--hard", &first]);
        let third = repository.commit("y", "3\n");
        repository.push("env/dev");
        let from = second.parse().unwrap();
        assert_eq!(change().await, (Ok(third.clone()), Change::Rewritten { from }), "{way}");

        repository.git(&["push", "-q", "origin", ":refs/heads/env/dev"]);
        let (commit, _) = change().await;
        let last = third.parse().unwrap();
        assert!(matches!(&commit, Err(Error::Deleted { last: told, .. }) if *told == last), "{way}: {commit:?}");
        // What stood there stays readable, also what was pushed away.
        for id in [&third, &second] {
            let snapshot = bench.mirror.snapshot_at(id.parse().unwrap()).unwrap();
            assert_eq!(snapshot.read("x").unwrap().as_deref(), Some(way.as_bytes()), "{way}");
        }

        // A folder of branches where a branch was.
        repository.git(&["push", "-q", "origin", "HEAD:refs/heads/env/dev/eu"]);
        assert_eq!(bench.follow("env/dev/eu").await, Ok(third.clone()), "{way}");
        repository.git(&["push", "-q", "origin", ":refs/heads/env/dev/eu"]);
        repository.push("env/dev");
        assert_eq!(change().await.0, Ok(third), "{way}");
        repository.git(&["push", "-q", "origin", ":refs/heads/env/dev"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fetch_for_many_callers_and_one_request_when_nothing_moved() {
    let repository = Repository::new();
    let server = GitServer::start(repository.root()).await;
    let bench = Arc::new(Bench::new(&server.url("shop.git")));
    bench.follow("main").await.unwrap();
    let commands = |seen: Vec<Seen>| -> Vec<String> {
        seen.into_iter().map(|seen| seen.command.unwrap_or("greeting".into())).collect()
    };
    assert_eq!(commands(server.seen()), ["greeting", "ls-refs", "fetch"]);

    bench.follow("main").await.unwrap();
    assert_eq!(commands(server.seen()), ["ls-refs"]);

    let commit = repository.commit("x", "1\n");
    repository.push("main");
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let bench = bench.clone();
            tokio::spawn(async move { bench.follow("main").await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Ok(commit.clone()));
    }
    let seen = commands(server.seen());
    assert_eq!(seen.iter().filter(|command| *command == "fetch").count(), 1, "{seen:?}");
    assert!(seen.len() <= 4, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_branch_that_does_not_exist_hides_no_other() {
    let repository = Repository::empty();
    let commit = repository.commit("x", "1\n");
    repository.push("env/dev");
    for (way, url, _server) in ways(&repository).await {
        let bench = Bench::new(&url);
        assert_eq!(bench.follow("env/dev").await, Ok(commit.clone()), "{way}");
        let refreshed = bench.refresh(&["", "env/prod"]).await.unwrap();
        for revision in ["", "env/prod"] {
            let error = refreshed.commit(revision).unwrap().as_ref().unwrap_err();
            assert!(matches!(error, Error::NoRevision { .. }), "{way}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_branch_that_is_gone_is_not_followed_further() {
    let repository = Repository::new();
    repository.push("other");
    for (way, url, _server) in ways(&repository).await {
        let bench = Bench::new(&url);
        bench.follow("HEAD").await.unwrap();
        repository.git(&["push", "-q", "origin", ":refs/heads/main"]);
        let error = bench.follow("HEAD").await.unwrap_err();
        assert!(matches!(error, Error::Deleted { .. }), "{way}: {error}");
        assert!(error.to_string().starts_with("`HEAD` was deleted from"), "{way}: {error}");
        repository.push("main");
        assert_eq!(bench.follow("").await, Ok(repository.head()), "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_to_a_local_repository_is_noticed_at_once() {
    let repository = Repository::new();
    let quiet = Repository::new();
    let urls = [&repository, &quiet].map(|repository| RepoUrl::parse(repository.bare().to_str().unwrap()).unwrap());
    let mut watch = Watch::new().unwrap();
    for url in &urls {
        watch.add(url).unwrap();
        watch.add(url).unwrap();
    }
    watch.add(&RepoUrl::parse("https://git.example.com/a/b").unwrap()).unwrap();
    let pushes: [(&str, &[&str]); 7] = [
        ("a commit", &["push", "-q", "origin", "HEAD:main"]),
        ("a branch in a new folder", &["push", "-q", "origin", "HEAD:refs/heads/env/dev"]),
        ("another one beside it", &["push", "-q", "origin", "HEAD:refs/heads/env/int"]),
        ("refs being packed", &["-C", "../shop.git", "pack-refs", "--all"]),
        ("a deleted branch", &["push", "-q", "origin", ":refs/heads/env/dev"]),
        ("the last one of a folder", &["push", "-q", "origin", ":refs/heads/env/int"]),
        ("the folder being there again", &["push", "-q", "origin", "HEAD:refs/heads/env/dev"]),
    ];
    for (what, arguments) in pushes {
        repository.commit("x", what);
        repository.git(arguments);
        let noticed = tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.expect(what);
        assert_eq!(noticed.into_iter().collect::<Vec<_>>(), [urls[0].clone()], "{what}");
    }
    let missing = RepoUrl::parse(repository.root().join("none.git").to_str().unwrap()).unwrap();
    assert!(watch.add(&missing).unwrap_err().to_string().starts_with("there is no repository at"));
    watch.remove(&urls[0]);
    quiet.commit("x", "1");
    repository.push("main");
    quiet.push("main");
    let noticed = tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.unwrap();
    assert_eq!(noticed.into_iter().collect::<Vec<_>>(), [urls[1].clone()]);
}
