//! What a branch would hold once another was merged into it.

use leeboard::git::{Merged, Oid};

use super::Bench;
use crate::repository::Repository;

/// A repository whose `main` and `feature` have parted, each with these changes.
async fn parted(main: &[(&str, &str)], feature: &[(&str, &str)]) -> (Repository, Bench, Oid, Oid) {
    let repository = Repository::new();
    repository.commit("app/web.yaml", "replicas: 1\n\n\n\nimage: web:1\n");
    repository.commit("app/old.yaml", "kind: Service\n");
    let tip = |branch: &str, changes: &[(&str, &str)]| {
        for (path, content) in changes {
            repository.commit(path, content);
        }
        repository.push(branch);
        repository.head().parse().unwrap()
    };
    repository.git(&["checkout", "-q", "-b", "feature"]);
    let head = tip("feature", feature);
    repository.git(&["checkout", "-q", "main"]);
    let base = tip("main", main);
    let bench = Bench::new(repository.bare().to_str().unwrap());
    for branch in ["main", "feature"] {
        bench.follow(branch).await.unwrap();
    }
    (repository, bench, base, head)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_holds_what_both_sides_have_changed() {
    let (repository, bench, base, head) = parted(
        &[("app/web.yaml", "replicas: 3\n\n\n\nimage: web:1\n")],
        &[("app/web.yaml", "replicas: 1\n\n\n\nimage: web:2\n"), ("app/new.yaml", "kind: ConfigMap\n")],
    )
    .await;
    let Merged::Clean(merged) = bench.mirror.merged(base, head).await.unwrap() else { panic!("a conflict") };
    let read = |path: &str| merged.read(path).unwrap().map(|content| String::from_utf8(content.to_vec()).unwrap());
    assert_eq!(read("app/web.yaml").as_deref(), Some("replicas: 3\n\n\n\nimage: web:2\n"));
    assert_eq!(read("app/new.yaml").as_deref(), Some("kind: ConfigMap\n"));
    let Merged::Clean(again) = bench.mirror.merged(base, head).await.unwrap() else { panic!("a conflict") };
    assert_eq!(merged.commit().id, again.commit().id, "the same every time");
    // The same tree as git's own merge.
    repository.git(&["merge", "-q", "feature"]);
    assert_eq!(merged.root().to_string(), repository.git(&["rev-parse", "HEAD^{tree}"]));
    assert_eq!(repository.in_bare(&["rev-parse", "main"]), base.to_string(), "nothing has moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_ahead_is_what_would_be_there() {
    let (_repository, bench, base, head) = parted(&[], &[("app/web.yaml", "replicas: 2\n")]).await;
    for (base, head, expected) in [(base, head, head), (head, base, head)] {
        let Merged::Clean(merged) = bench.mirror.merged(base, head).await.unwrap() else { panic!("a conflict") };
        assert_eq!(merged.commit().id, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_names_its_files() {
    let change = |content: &'static str| [("app/web.yaml", content), ("app/old.yaml", content), ("x", "both\n")];
    let (_repository, bench, base, head) = parted(&change("a\n"), &change("b\n")).await;
    let Merged::Conflict { paths } = bench.mirror.merged(base, head).await.unwrap() else { panic!("no conflict") };
    assert_eq!(paths, ["app/old.yaml", "app/web.yaml"]);
    let nowhere = "0123456789012345678901234567890123456789".parse().unwrap();
    let error = bench.mirror.merged(base, nowhere).await.unwrap_err();
    assert!(error.to_string().contains("0123456"), "{error}");
}
