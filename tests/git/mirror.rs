//! Mirrors on disk: damaged, too large, left behind, or no longer wanted.

use leeboard::git::{Error, LocalRepositories, Mirrors, RepoUrl};

use super::{Bench, ways};
use crate::repository::Repository;
use crate::server::Fault;

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
