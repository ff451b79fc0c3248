//! Mirrors against real repositories: on disk, behind `git http-backend`, and behind servers that misbehave.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "git/repository.rs"]
mod repository;
#[path = "git/server.rs"]
mod server;
#[path = "git/sshd.rs"]
mod sshd;

use std::sync::Arc;
use std::time::Duration;

use leeboard::git::{
    Change, CredentialStore, Credentials, Error, Kind, LocalRepositories, Mirror, Mirrors, Refreshed, RepoUrl, Watch,
};
use repository::Repository;
use server::{Fault, GitServer};
use sshd::Sshd;

struct Bench {
    data: tempfile::TempDir,
    mirrors: Mirrors,
    mirror: Arc<Mirror>,
}

impl Bench {
    fn new(url: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::new(data.path().to_owned(), LocalRepositories::Allowed);
        let mirror = mirrors.mirror(&RepoUrl::parse(url).unwrap());
        Bench { data, mirrors, mirror }
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
async fn credentials_go_to_their_server_only() {
    let repository = Repository::new();
    let server = GitServer::start(repository.root()).await;
    let other = GitServer::start(repository.root()).await;
    let expected = "Basic YWRhOnBsYW50ZWQ=";
    server.require(expected);
    let url = server.url("shop.git");
    let bench = Bench::new(&url);
    let error = bench.refresh(&["main"]).await.unwrap_err();
    assert!(matches!(error, Error::CredentialsMissing { .. }), "{error}");

    let with = |prefix: &str, password: &str| {
        let mut store = CredentialStore::new();
        store.add_template(prefix, Credentials::basic("ada", password)).unwrap();
        bench.mirrors.set_credentials(store);
    };
    let root = format!("http://{}", server.address);
    with(&root, "wrong");
    let error = bench.refresh(&["main"]).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("wrong"), "{error:?}");
    with(&root, "planted");
    assert_eq!(bench.follow("main").await, Ok(repository.head()));

    // In the address, which is shown without them.
    let inside = Bench::new(&url.replace("http://", "http://ada:planted@"));
    assert_eq!(inside.follow("main").await, Ok(repository.head()));
    assert!(!format!("{:?} {}", inside.mirror.url(), inside.mirror.url()).contains("planted"));

    // Neither to another port of the same host, nor along a redirect.
    let stranger = bench.mirrors.mirror(&RepoUrl::parse(&other.url("shop.git")).unwrap());
    stranger.refresh(&["main".into()]).await.unwrap();
    server.set_fault(Some(Fault::RedirectTo(format!("http://{}", other.address))));
    let error = bench.refresh(&["main"]).await.unwrap_err();
    assert!(matches!(error, Error::Redirected { .. }), "{error}");
    let seen = other.seen();
    assert!(!seen.is_empty() && seen.iter().all(|seen| seen.authorization.is_none()), "{seen:?}");
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

type Damage = fn(&std::path::Path);

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_mirror_is_fetched_anew() {
    let repository = Repository::new();
    repository.commit("a/b.yaml", "b: 1\n");
    repository.push("main");
    repository.push("env/dev");
    for (way, url, server) in ways(&repository).await {
        let damages: [(&str, Damage); 5] = [
            ("packs gone", |mirror| std::fs::remove_dir_all(mirror.join("objects/pack")).unwrap()),
            ("packs cut", |mirror| {
                for file in std::fs::read_dir(mirror.join("objects/pack")).unwrap().flatten() {
                    std::fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
                    let length = file.metadata().unwrap().len();
                    std::fs::OpenOptions::new().write(true).open(file.path()).unwrap().set_len(length / 2).unwrap();
                }
            }),
            ("HEAD gone", |mirror| std::fs::remove_file(mirror.join("HEAD")).unwrap()),
            ("a ref is rubbish", |mirror| std::fs::write(mirror.join("refs/heads/main"), "rubbish").unwrap()),
            ("config is rubbish", |mirror| std::fs::write(mirror.join("config"), "[[[").unwrap()),
        ];
        for (what, damage) in damages {
            let data = tempfile::tempdir().unwrap();
            let open = || {
                Mirrors::new(data.path().to_owned(), LocalRepositories::Allowed).mirror(&RepoUrl::parse(&url).unwrap())
            };
            open().refresh(&["main".into()]).await.unwrap();
            let mirror = std::fs::read_dir(data.path().join("repositories")).unwrap().next().unwrap().unwrap().path();
            damage(&mirror);
            let opened = open();
            if let Some(server) = &server {
                // While the server is away, the damage is no reason to throw away what may still be readable.
                let fault = if way == "http" { None } else { Some(Fault::Version0) };
                server.set_fault(Some(Fault::Status(503, None)));
                opened.refresh(&["main".into()]).await.unwrap_err();
                assert!(mirror.exists(), "{way}: {what}");
                server.set_fault(fault);
            }
            let refreshed = opened.refresh(&["main".into()]).await.unwrap();
            let commit = refreshed.commit("main").unwrap().clone().unwrap();
            assert_eq!(commit.id.to_string(), repository.head(), "{way}: {what}");
            let read = opened.snapshot(&commit).unwrap().read("a/b.yaml").unwrap();
            assert_eq!(read.as_deref(), Some(&b"b: 1\n"[..]), "{way}: {what}");
            let left: Vec<_> = std::fs::read_dir(data.path().join("repositories")).unwrap().flatten().collect();
            assert_eq!(left.len(), 1, "{way}: {what}: {left:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_left_behind_is_no_obstacle() {
    let repository = Repository::new();
    let url = RepoUrl::parse(repository.bare().to_str().unwrap()).unwrap();
    let data = tempfile::tempdir().unwrap();
    let open = || Mirrors::new(data.path().to_owned(), LocalRepositories::Allowed).mirror(&url);
    open().refresh(&["main".into()]).await.unwrap();
    let mirror = std::fs::read_dir(data.path().join("repositories")).unwrap().next().unwrap().unwrap().path();
    for left in ["HEAD.lock", "refs/heads/main.lock", "packed-refs.lock", "config.lock", "objects/pack/pack_git2_abc"] {
        std::fs::write(mirror.join(left), "").unwrap();
    }
    let commit = repository.commit("x", "1\n");
    repository.push("main");
    let refreshed = open().refresh(&["main".into(), "HEAD".into()]).await.unwrap();
    assert_eq!(refreshed.commit("main").unwrap().as_ref().unwrap().id.to_string(), commit);
    assert!(!mirror.join("objects/pack/pack_git2_abc").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_above_the_limit_is_refused_and_leaves_nothing() {
    let repository = Repository::new();
    for (way, url, _server) in ways(&repository).await {
        let bench = Bench::new(&url);
        bench.follow("main").await.unwrap();
        bench.mirrors.set_max_fetch_bytes(50_000);
        // Text that does not compress.
        let mut state = 1u64;
        let noise: String = (0..200_000)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                char::from(b'!' + (state >> 58) as u8)
            })
            .collect();
        let before = repository.head();
        repository.commit("noise", &format!("{way}{noise}"));
        repository.push("main");
        let error = bench.refresh(&["main"]).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 50_000, .. }), "{way}: {error}");
        assert_eq!(bench.mirror.resolve("main").unwrap().id.to_string(), before, "{way}");
        bench.mirrors.set_max_fetch_bytes(1 << 30);
        assert_eq!(bench.follow("main").await, Ok(repository.head()), "{way}");
        repository.git(&["reset", "-q", "--hard", &before]);
        repository.push("main");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_fetches_do_not_pile_up_packs() {
    let repository = Repository::new();
    let bench = Bench::new(repository.bare().to_str().unwrap());
    let mut first = None;
    for number in 0..60 {
        // Every commit replaces the one before, so that no ref reaches it any longer.
        repository.git(&["commit", "-q", "--amend", "--allow-empty", "-m", &number.to_string()]);
        std::fs::write(repository.work().join("n"), number.to_string()).unwrap();
        repository.git(&["add", "-A"]);
        repository.git(&["commit", "-q", "--amend", "--no-edit"]);
        repository.push("main");
        let commit = bench.follow("main").await.unwrap();
        first.get_or_insert(commit);
    }
    let mirror = std::fs::read_dir(bench.data.path().join("repositories")).unwrap().next().unwrap().unwrap().path();
    let packs = std::fs::read_dir(mirror.join("objects/pack")).unwrap().flatten();
    let packs = packs.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "pack")).count();
    assert!(packs < 45, "{packs} packs");
    let snapshot = bench.mirror.snapshot_at(first.unwrap().parse().unwrap()).unwrap();
    assert_eq!(snapshot.read("n").unwrap().as_deref(), Some(&b"0"[..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_reads_with_each_kind_of_key_and_checks_the_host() {
    let repository = Repository::new();
    let Some(sshd) = Sshd::start("AcceptEnv GIT_PROTOCOL") else {
        println!("left out: there is no sshd on this machine");
        return;
    };
    let url = RepoUrl::parse(&sshd.url(&repository.bare())).unwrap();
    let ok = repository.head();
    let cases = [
        // key       known host     set to true           commit, or what the error says
        ("ed25519", Some("host"), None, Ok(ok.as_str())),
        ("rsa", Some("host"), None, Ok(ok.as_str())),
        ("rsa_pem", Some("host_rsa"), None, Ok(ok.as_str())),
        ("ed25519", None, None, Err("the host key of")),
        ("ed25519", Some("stranger"), None, Err("the host key of")),
        ("ed25519", None, Some("insecureIgnoreHostKey"), Ok(ok.as_str())),
        ("ed25519", None, Some("insecure"), Ok(ok.as_str())),
        ("stranger", Some("host"), None, Err("refuses the configured credentials")),
        ("host.pub", Some("host"), None, Err("the ssh key cannot be read")),
    ];
    for (key, known, further, expected) in cases {
        let mut data = std::collections::BTreeMap::<String, Vec<u8>>::new();
        data.insert("url".into(), sshd.url(&repository.bare()).into_bytes());
        data.insert("sshPrivateKey".into(), sshd.key(key));
        data.extend(further.map(|key| (key.to_owned(), b"true".to_vec())));
        let mut store = CredentialStore::new();
        store.add_repository_secret(&data).unwrap();
        if let Some(known) = known {
            store.add_known_hosts(&String::from_utf8(sshd.known_host(known)).unwrap());
        }
        let folder = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::new(folder.path().to_owned(), LocalRepositories::Refused);
        mirrors.set_credentials(store);
        let mirror = mirrors.mirror(&url);
        let found = mirror.refresh(&["main".into()]).await.map(|r| r.commit("main").unwrap().clone().unwrap().id);
        match expected {
            Ok(commit) => assert_eq!(found.unwrap().to_string(), commit, "{key}, {known:?}, {further:?}"),
            Err(words) => {
                let error = found.unwrap_err();
                assert!(error.to_string().contains(words), "{key}, {known:?}, {further:?}: {error}");
                assert!(!error.is_transient(), "{error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_follows_a_branch_in_both_versions_of_the_protocol() {
    let repository = Repository::new();
    for accepts in ["AcceptEnv GIT_PROTOCOL", ""] {
        let Some(sshd) = Sshd::start(accepts) else {
            println!("left out: there is no sshd on this machine");
            return;
        };
        let bench = Bench::new(&sshd.url(&repository.bare()));
        let mut store = CredentialStore::new();
        let secret = [("url", sshd.url(&repository.bare()).into_bytes()), ("sshPrivateKey", sshd.key("ed25519"))];
        store.add_repository_secret(&secret.map(|(key, value)| (key.to_owned(), value)).into()).unwrap();
        store.add_known_hosts(&String::from_utf8(sshd.known_host("host")).unwrap());
        bench.mirrors.set_credentials(store);
        for number in 0..3 {
            let commit = repository.commit("x", &format!("{accepts}{number}"));
            repository.push("main");
            assert_eq!(bench.follow("main").await, Ok(commit.clone()), "{accepts}");
            assert_eq!(bench.follow(&commit[..8]).await, Ok(commit.clone()), "{accepts}");
            assert_eq!(bench.follow("HEAD").await, Ok(commit), "{accepts}");
        }
        let mirrors = &bench.mirrors;
        let missing = RepoUrl::parse(&sshd.url(&repository.root().join("none.git"))).unwrap();
        let mut store = CredentialStore::new();
        store.add_known_hosts(&String::from_utf8(sshd.known_host("host")).unwrap());
        let secret = [("url", sshd.url(repository.root()).into_bytes()), ("sshPrivateKey", sshd.key("ed25519"))];
        store.add_template_secret(&secret.map(|(key, value)| (key.to_owned(), value)).into()).unwrap();
        mirrors.set_credentials(store);
        let error = mirrors.mirror(&missing).refresh(&["main".into()]).await.unwrap_err();
        assert!(error.to_string().contains("does not appear to be a git repository"), "{error}");
        assert_eq!(bench.follow("main").await, Ok(repository.head()), "{accepts}");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_tree_is_told_and_is_no_reason_to_fetch_anew() {
    let repository = Repository::new();
    let blob = repository.git(&["rev-parse", "HEAD:README.md"]);
    let bytes: Vec<u8> = (0..20).map(|at| u8::from_str_radix(&blob[at * 2..at * 2 + 2], 16).unwrap()).collect();
    std::fs::write(repository.work().join("tree"), [&b"100644 ../../x\0"[..], &bytes].concat()).unwrap();
    let tree = repository.git(&["hash-object", "--literally", "-w", "-t", "tree", "tree"]);
    let commit = repository.git(&["commit-tree", "-m", "hostile", &tree]);
    repository.git(&["push", "-q", "-f", "origin", &format!("{commit}:refs/heads/hostile")]);
    for (way, url, server) in ways(&repository).await {
        let bench = Bench::new(&url);
        assert_eq!(bench.follow("hostile").await, Ok(commit.clone()), "{way}");
        let snapshot = bench.mirror.snapshot_at(commit.parse().unwrap()).unwrap();
        for error in [snapshot.list("").unwrap_err(), snapshot.read("x").unwrap_err()] {
            assert!(matches!(error, Error::Malformed { .. }) && !error.is_transient(), "{way}: {error}");
        }
        if let Some(server) = server {
            server.seen();
            bench.follow("hostile").await.unwrap();
            assert!(server.seen().len() == 1, "{way}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_that_cannot_be_written_is_told() {
    let repository = Repository::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mirrors = Mirrors::new(file, LocalRepositories::Allowed);
    let mirror = mirrors.mirror(&RepoUrl::parse(repository.bare().to_str().unwrap()).unwrap());
    let error = mirror.refresh(&["main".into()]).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot keep the mirror of") && error.is_transient(), "{error}");
}

/// A certificate authority, and certificates that it signs.
struct Authority {
    issuer: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut parameters = rcgen::CertificateParams::new(vec![]).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = rcgen::CertifiedIssuer::self_signed(parameters, rcgen::KeyPair::generate().unwrap()).unwrap();
        Authority { issuer }
    }

    /// For this name, valid until this year.
    fn sign(&self, name: &str, until: i32) -> (rcgen::Certificate, rcgen::KeyPair) {
        let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        (parameters.signed_by(&key, &self.issuer).unwrap(), key)
    }

    fn server(&self, name: &str, until: i32) -> rustls::ServerConfig {
        let (certificate, key) = self.sign(name, until);
        let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let builder = rustls::ServerConfig::builder().with_no_client_auth();
        builder.with_single_cert(vec![certificate.der().clone()], key).unwrap()
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_who_it_claims_to_be_is_not_trusted() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let repository = Repository::new();
    let server = GitServer::start(repository.root()).await;
    let (ours, other) = (Authority::new(), Authority::new());
    let cases = [
        // certificate                        trusted          set to true       why it is not trusted
        (ours.server("localhost", 2100), Some(&ours), None, None),
        (ours.server("localhost", 2100), None, None, Some("signed by no authority")),
        (ours.server("localhost", 2100), Some(&other), None, Some("signed by no authority")),
        (ours.server("elsewhere.example", 2100), Some(&ours), None, Some("is for another name")),
        (ours.server("localhost", 2010), Some(&ours), None, Some("has expired")),
        (ours.server("localhost", 2100), None, Some("insecure"), None),
        (ours.server("localhost", 2100), None, Some("insecureIgnoreHostKey"), Some("signed by no authority")),
    ];
    for (number, (config, trusted, setting, refusal)) in cases.into_iter().enumerate() {
        let tls = server.behind_tls(config).await;
        let url = format!("https://localhost:{}/shop.git", tls.port);
        let bench = Bench::new(&url);
        let mut store = CredentialStore::new();
        let mut data = std::collections::BTreeMap::from([("url".to_owned(), url.into_bytes())]);
        data.extend(setting.map(|key: &str| (key.to_owned(), b"true".to_vec())));
        store.add_repository_secret(&data).unwrap();
        if let Some(authority) = trusted {
            store.add_certificates("localhost", authority.pem().as_bytes());
        }
        bench.mirrors.set_credentials(store);
        let found = bench.follow("main").await;
        match refusal {
            None => assert_eq!(found, Ok(repository.head()), "case {number}"),
            Some(words) => {
                let error = found.unwrap_err();
                let is_distrust = matches!(error, Error::Untrusted { .. });
                assert!(is_distrust && error.to_string().contains(words), "case {number}: {error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let repository = Repository::new();
    let server = GitServer::start(repository.root()).await;
    let authority = Authority::new();
    let (certificate, key) = authority.sign("localhost", 2100);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.issuer.der().clone()).unwrap();
    let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let builder = rustls::ServerConfig::builder().with_client_cert_verifier(verifier);
    let tls = server.behind_tls(builder.with_single_cert(vec![certificate.der().clone()], private).unwrap()).await;

    let url = format!("https://localhost:{}/shop.git", tls.port);
    let bench = Bench::new(&url);
    let (certificate, key) = authority.sign("leeboard", 2100);
    let secret = [
        ("url", url),
        ("ca.crt", authority.pem()),
        ("tlsClientCertData", certificate.pem()),
        ("tlsClientCertKey", key.serialize_pem()),
    ];
    let mut store = CredentialStore::new();
    store.add_repository_secret(&secret.map(|(key, value)| (key.to_owned(), value.into_bytes())).into()).unwrap();
    bench.mirrors.set_credentials(store);
    assert_eq!(bench.follow("main").await, Ok(repository.head()));
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
async fn mirrors_that_nobody_uses_leave_the_disk() {
    let (one, two) = (Repository::new(), Repository::new());
    let bench = Bench::new(one.bare().to_str().unwrap());
    let other = RepoUrl::parse(two.bare().to_str().unwrap()).unwrap();
    bench.follow("main").await.unwrap();
    bench.mirrors.mirror(&other).refresh(&["main".into()]).await.unwrap();
    let folders = || std::fs::read_dir(bench.data.path().join("repositories")).unwrap().count();
    assert_eq!(folders(), 2);
    bench.mirrors.keep_only(&[other.clone()].into()).unwrap();
    assert_eq!(folders(), 1);
    bench.mirrors.mirror(&other).resolve("main").unwrap();
}

/// Run with `--ignored --nocapture`: how long a refresh takes after a push of one commit.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures"]
async fn figures() {
    let repository = Repository::new();
    for number in 0..300 {
        std::fs::create_dir_all(repository.work().join(format!("apps/{number}"))).unwrap();
        std::fs::write(repository.work().join(format!("apps/{number}/web.yaml")), number.to_string()).unwrap();
    }
    repository.commit("x", "0");
    repository.push("main");
    let mut ways = ways(&repository).await;
    let sshd = Sshd::start("AcceptEnv GIT_PROTOCOL");
    if let Some(sshd) = &sshd {
        ways.push(("ssh", sshd.url(&repository.bare()), None));
    }
    for (way, url, _server) in ways {
        let bench = Bench::new(&url);
        if let Some(sshd) = &sshd {
            let mut store = CredentialStore::new();
            let secret = [("url", url.clone().into_bytes()), ("sshPrivateKey", sshd.key("ed25519"))];
            store.add_repository_secret(&secret.map(|(key, value)| (key.to_owned(), value)).into()).unwrap();
            store.add_known_hosts(&String::from_utf8(sshd.known_host("host")).unwrap());
            bench.mirrors.set_credentials(store);
        }
        let mut times = [const { Vec::new() }; 4];
        let time = std::time::Instant::now;
        bench.refresh(&["main"]).await.unwrap();
        for number in 0..30 {
            repository.commit("apps/7/web.yaml", &format!("{way}{number}"));
            repository.push("main");
            let start = time();
            bench.refresh(&["main"]).await.unwrap();
            times[0].push(start.elapsed());
            let start = time();
            bench.refresh(&["main"]).await.unwrap();
            times[1].push(start.elapsed());
            let start = time();
            let commit = bench.mirror.resolve("main").unwrap();
            times[2].push(start.elapsed());
            let start = time();
            let snapshot = bench.mirror.snapshot(&commit).unwrap();
            for number in 0..300 {
                snapshot.read(&format!("apps/{number}/web.yaml")).unwrap().unwrap();
            }
            times[3].push(start.elapsed());
        }
        for (what, times) in ["fetch after a push", "nothing moved", "resolve", "read 300 files"].iter().zip(&mut times)
        {
            times.sort();
            println!("{way:>16}  {what:<20} p50 {:>9.2?}  max {:>9.2?}", times[15], times[29]);
        }
    }
    let url = RepoUrl::parse(repository.bare().to_str().unwrap()).unwrap();
    let mut watch = Watch::new().unwrap();
    watch.add(&url).unwrap();
    let mut times = Vec::new();
    for number in 0..20 {
        repository.commit("x", &number.to_string());
        let bare = repository.bare();
        let (name, head) = (bare.join("refs/heads/main"), repository.head());
        std::fs::write(bare.join("refs/heads/main.lock"), head).unwrap();
        let start = std::time::Instant::now();
        std::fs::rename(bare.join("refs/heads/main.lock"), name).unwrap();
        watch.changed().await;
        times.push(start.elapsed());
    }
    times.sort();
    println!("{:>16}  {:<20} p50 {:>9.2?}  max {:>9.2?}", "file", "push noticed", times[10], times[19]);
}
