//! Mirrors against real repositories: on disk, behind `git http-backend`, and behind servers that misbehave.

#[path = "git/repository.rs"]
mod repository;
#[path = "git/server.rs"]
mod server;

use std::sync::Arc;
use std::time::Duration;

use leeboard::git::{
    Change, CredentialStore, Credentials, Error, Kind, LocalRepositories, Mirror, Mirrors, Refreshed, RepoUrl,
};
use repository::Repository;
use server::{Fault, GitServer};

struct Bench {
    _data: tempfile::TempDir,
    mirrors: Mirrors,
    mirror: Arc<Mirror>,
}

impl Bench {
    fn new(url: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::new(data.path().to_owned(), LocalRepositories::Allowed);
        let mirror = mirrors.mirror(&RepoUrl::parse(url).unwrap());
        Bench { _data: data, mirrors, mirror }
    }

    async fn refresh(&self, revisions: &[&str]) -> Result<Arc<Refreshed>, Error> {
        let revisions: Vec<String> = revisions.iter().map(|revision| (*revision).to_owned()).collect();
        self.mirror.refresh(&revisions).await
    }

    /// The commit that one revision means after a refresh, as text.
    async fn follow(&self, revision: &str) -> Result<String, Error> {
        let refreshed = self.refresh(&[revision]).await?;
        let commit = refreshed.commit(revision).unwrap().clone()?;
        assert_eq!(self.mirror.resolve(revision), Ok(commit.clone()), "{revision}");
        Ok(commit.id.to_string())
    }
}

/// Each way to the same repository; the server must be kept alive.
async fn ways(repository: &Repository) -> Vec<(&'static str, String, Option<GitServer>)> {
    let http = GitServer::start(repository.root()).await;
    let old = GitServer::start(repository.root()).await;
    old.set_fault(Some(Fault::Version0));
    vec![
        ("file", repository.bare().to_str().unwrap().into(), None),
        ("http", http.url("shop.git"), Some(http)),
        ("http, version 0", old.url("shop.git"), Some(old)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_revision_resolves_over_every_way() {
    let repository = Repository::new();
    let first = repository.head();
    repository.git(&["tag", "v1.0.0"]);
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
            (&second[..9], &second),
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
async fn a_snapshot_shows_the_tree_as_it_is() {
    let repository = Repository::new();
    repository.commit("base/web.yaml", "kind: Deployment\n");
    repository.commit("base-2/x", "");
    std::os::unix::fs::symlink("../base/web.yaml", repository.work().join("base/link")).unwrap();
    std::os::unix::fs::symlink("base", repository.work().join("alias")).unwrap();
    let submodule = format!("160000,{},vendor", repository.head());
    repository.commit("z", "z");
    repository.git(&["update-index", "--add", "--cacheinfo", &submodule]);
    repository.git(&["commit", "-q", "-m", "Add a submodule"]);
    repository.push("main");
    let bench = Bench::new(repository.bare().to_str().unwrap());
    bench.follow("main").await.unwrap();
    let commit = bench.mirror.resolve("main").unwrap();
    assert_eq!(&*commit.subject, "Add a submodule");
    let snapshot = bench.mirror.snapshot(&commit).unwrap();

    let list = |path: &str| -> Option<Vec<(String, Kind)>> {
        let list = snapshot.list(path).unwrap()?;
        Some(list.iter().map(|entry| (entry.name.to_string(), entry.kind)).collect())
    };
    let name = |name: &str, kind| (name.to_owned(), kind);
    assert_eq!(
        list("").unwrap(),
        [
            name("README.md", Kind::Blob),
            name("alias", Kind::Link),
            name("base", Kind::Tree),
            name("base-2", Kind::Tree),
            name("vendor", Kind::Submodule),
            name("z", Kind::Blob),
        ]
    );
    let cases = [
        // path              kind                  content
        ("base/web.yaml", Some(Kind::Blob), Some("kind: Deployment\n")),
        ("base/link", Some(Kind::Link), Some("../base/web.yaml")),
        ("base", Some(Kind::Tree), None),
        ("alias", Some(Kind::Link), Some("base")),
        ("alias/web.yaml", None, None),
        ("vendor", Some(Kind::Submodule), None),
        ("vendor/x", None, None),
        ("z/x", None, None),
        ("base/../z", None, None),
        ("nothing", None, None),
        ("", Some(Kind::Tree), None),
    ];
    for (path, kind, content) in cases {
        assert_eq!(snapshot.entry(path).unwrap().map(|(kind, _)| kind), kind, "{path}");
        assert_eq!(snapshot.read(path).unwrap().as_deref(), content.map(str::as_bytes), "{path}");
        assert_eq!(snapshot.size(path).unwrap(), content.map(|content| content.len() as u64), "{path}");
        let id = snapshot.id(path).unwrap().map(|id| id.to_string());
        let git = kind.map(|_| repository.git(&["rev-parse", &format!("HEAD:{path}")]));
        assert_eq!(id, git, "{path}");
    }
    assert_eq!(snapshot.root().to_string(), repository.git(&["rev-parse", "HEAD^{tree}"]));

    // Readers on many threads, while the mirror takes in new commits.
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let snapshot = snapshot.clone();
            std::thread::spawn(move || {
                for _ in 0..500 {
                    assert_eq!(snapshot.read("base/web.yaml").unwrap().as_deref(), Some(&b"kind: Deployment\n"[..]));
                    snapshot.list("base").unwrap().unwrap();
                }
            })
        })
        .collect();
    for number in 0..5 {
        let commit = repository.commit("z", &number.to_string());
        repository.push("main");
        assert_eq!(bench.follow("main").await, Ok(commit));
    }
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fetch_for_many_callers_and_one_request_when_nothing_moved() {
    let repository = Repository::new();
    let server = GitServer::start(repository.root()).await;
    let bench = Arc::new(Bench::new(&server.url("shop.git")));
    bench.follow("main").await.unwrap();
    let commands = |seen: Vec<server::Seen>| -> Vec<String> {
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
