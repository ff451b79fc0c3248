//! What a snapshot shows of a tree, also of a hostile one.

use leeboard::git::{Error, Kind};

use super::{Bench, ways};
use crate::repository::Repository;

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
