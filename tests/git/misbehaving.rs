//! Servers that misbehave, have moved, or are not there: never read as an empty repository.

use std::time::Duration;

use leeboard::git::{Error, LocalRepositories, Mirrors, RepoUrl};

use super::{Bench, ways};
use crate::repository::Repository;
use crate::server::{Fault, GitServer};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_misbehaves_is_an_error_of_its_own_and_changes_nothing() {
    let repository = Repository::new();
    let server = GitServer::start(repository.root()).await;
    let elsewhere = GitServer::start(repository.root()).await;
    let url = server.url("shop.git");
    let kept = Bench::new(&url);
    let first = kept.follow("main").await.unwrap();
    repository.commit("x", "1\n");
    repository.push("main");
    let cases: Vec<(Fault, bool, String)> = vec![
        // fault             is transient   what a person reads
        (Fault::LoginPage, true, format!("{url} does not answer as a git server: the content is `text/html`")),
        (Fault::EmptyAnswer, true, format!("the answer of {url} was cut off")),
        (Fault::EmptyAdvertisement, true, format!("{url} does not follow git's protocol: the advertisement is empty")),
        (Fault::CutRefs, true, format!("the answer of {url} was cut off")),
        (Fault::CutPack, true, format!("the answer of {url} was cut off")),
        (Fault::Status(401, None), false, format!("{url} wants credentials, none are configured for it")),
        (Fault::Status(403, None), false, format!("{url} denies access")),
        (Fault::Status(404, None), false, format!("there is no repository at {url}")),
        (Fault::Status(429, Some(7)), true, format!("the server of {url} answered 429")),
        (Fault::Status(500, None), true, format!("the server of {url} answered 500")),
        (Fault::Status(503, Some(7)), true, format!("the server of {url} answered 503")),
        (
            Fault::Status(302, None),
            true,
            format!("{url} does not follow git's protocol: a redirect without an address"),
        ),
        (
            Fault::RedirectTo(format!("http://localhost:{}", elsewhere.address.port())),
            false,
            format!("{url} redirects to another server, `http://localhost`"),
        ),
        (
            Fault::RedirectTo(format!("http://{}", server.address)),
            true,
            format!("{url} does not follow git's protocol: too many redirects"),
        ),
    ];
    for (fault, is_transient, sentence) in cases {
        server.set_fault(Some(fault.clone()));
        // One that knows the server from before, and one that meets it now.
        for bench in [&kept, &Bench::new(&url)] {
            let error = bench.refresh(&["main"]).await.unwrap_err();
            assert_eq!(error.to_string(), sentence, "{fault:?}");
            assert_eq!(error.is_transient(), is_transient, "{fault:?}");
            let wait = matches!(fault, Fault::Status(_, Some(_))).then_some(Duration::from_secs(7));
            assert_eq!(error.retry_after(), wait, "{fault:?}");
        }
        let commit = kept.mirror.resolve("main").unwrap();
        assert_eq!(commit.id.to_string(), first, "{fault:?}");
        let readme = kept.mirror.snapshot(&commit).unwrap().read("README.md").unwrap();
        assert_eq!(readme.as_deref(), Some(&b"hello\n"[..]), "{fault:?}");
    }
    assert!(elsewhere.seen().is_empty());
    server.set_fault(None);
    assert_eq!(kept.follow("main").await, Ok(repository.head()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_on_the_same_server_is_followed_and_remembered() {
    let repository = Repository::new();
    let server = GitServer::start(repository.root()).await;
    server.set_fault(Some(Fault::Moved));
    let bench = Bench::new(&server.url("old/shop.git"));
    assert_eq!(bench.follow("main").await, Ok(repository.head()));
    server.seen();
    bench.follow("main").await.unwrap();
    let paths: Vec<String> = server.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/shop.git/git-upload-pack"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_or_missing_repository_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}/shop.git", listener.local_addr().unwrap());
    drop(listener);
    let nowhere = folder.path().join("nowhere.git").to_str().unwrap().to_owned();
    let server = GitServer::start(folder.path()).await;
    let cases = [
        // url                                     is transient   what a person reads
        (closed.clone(), true, format!("cannot reach {closed}: Connection refused (os error 111)")),
        (nowhere.clone(), false, format!("there is no repository at {nowhere}")),
        (server.url("nowhere.git"), false, format!("there is no repository at {}", server.url("nowhere.git"))),
    ];
    for (url, is_transient, sentence) in cases {
        let error = Bench::new(&url).refresh(&["main"]).await.unwrap_err();
        assert_eq!(error.to_string(), sentence);
        assert_eq!(error.is_transient(), is_transient, "{url}");
    }
    let refused = Mirrors::new(folder.path().join("data"), LocalRepositories::Refused);
    let error = refused.mirror(&RepoUrl::parse(&nowhere).unwrap()).refresh(&["main".into()]).await.unwrap_err();
    assert!(matches!(error, Error::LocalRefused { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_repository_is_said_to_be_empty_and_deletes_nothing() {
    let repository = Repository::empty();
    for (way, url, _server) in ways(&repository).await {
        let bench = Bench::new(&url);
        let is_told = async || match bench.refresh(&["main"]).await {
            Err(Error::Empty { .. }) => true,
            // In version 0 a server has no way to say it that differs from saying nothing.
            Err(Error::Protocol { .. }) => way == "http, version 0",
            _ => false,
        };
        assert!(is_told().await, "{way}");

        let commit = repository.commit("x", way);
        repository.push("main");
        assert_eq!(bench.follow("main").await, Ok(commit.clone()), "{way}");
        repository.git(&["push", "-q", "origin", ":refs/heads/main"]);
        assert!(is_told().await, "{way}");
        assert_eq!(bench.mirror.resolve("main").unwrap().id.to_string(), commit, "{way}");
    }
}
