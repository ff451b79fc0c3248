//! Files of a branch are changed by a commit on top of it, over each way to a repository.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use leeboard::git::{Author, Changed, Error, Proposal, Snapshot};

use super::{Bench, ways};
use crate::repository::Repository;

/// `image: web:2` in the file that says `image: web:1`; nothing when it says so already.
fn second(snapshot: &Snapshot) -> Result<Option<Proposal>, Error> {
    let bytes = snapshot.read("app/web.yaml")?.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let edited = text.replace("web:1", "web:2");
    Ok((edited != text).then(|| Proposal {
        files: vec![("app/web.yaml".into(), edited.into_bytes())],
        message: "Set web to 2\n\nLeeboard-Image: web=2\n".into(),
        author: Author { name: "Ada".into(), email: "ada@example.com".into() },
        at: Timestamp::UNIX_EPOCH,
    }))
}

fn with_app() -> Repository {
    let repository = Repository::new();
    repository.configure("http.receivepack", "true");
    repository.commit("app/web.yaml", "image: web:1\n");
    repository.commit("app/other.yaml", "image: other:1\n");
    repository.push("main");
    repository
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_changed_once_in_a_commit_of_its_own() {
    let mut made = Vec::new();
    for way in 0..3 {
        let repository = with_app();
        let (name, url, _server) = ways(&repository).await.swap_remove(way);
        let bench = Bench::new(&url);
        let Ok(Changed::By(id)) = bench.mirror.change("main", second).await else { panic!("{name}") };
        assert_eq!(repository.in_bare(&["rev-parse", "main"]), id.to_string(), "{name}");
        assert_eq!(repository.in_bare(&["rev-parse", "main^"]), repository.head(), "{name}");
        assert_eq!(
            repository.in_bare(&["diff", "--stat=80", "--summary", "main^", "main"]).lines().count(),
            2,
            "{name}"
        );
        assert_eq!(repository.in_bare(&["show", "main:app/web.yaml"]), "image: web:2", "{name}");
        let message = repository.in_bare(&["log", "-1", "--format=%an <%ae> %cn %at%n%B", "main"]);
        assert_eq!(message, "Ada <ada@example.com> Ada 0\nSet web to 2\n\nLeeboard-Image: web=2", "{name}");
        repository.in_bare(&["fsck", "--strict"]);
        // Also by a daemon that knows nothing of it.
        assert_eq!(Bench::new(&url).mirror.change("refs/heads/main", second).await, Ok(Changed::Already), "{name}");
        made.push(repository.in_bare(&["rev-parse", "main^{tree}"]));
    }
    assert!(made.iter().all(|tree| *tree == made[0]), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_has_moved_meanwhile_is_looked_at_again() {
    for way in 0..3 {
        let repository = with_app();
        let (name, url, _server) = ways(&repository).await.swap_remove(way);
        let (asked, repository) = (Arc::new(AtomicUsize::new(0)), Arc::new(repository));
        let (times, meanwhile) = (Arc::clone(&asked), Arc::clone(&repository));
        let bench = Bench::new(&url);
        let changed = bench.mirror.change("main", move |snapshot| {
            if times.fetch_add(1, Ordering::Relaxed) == 0 {
                meanwhile.commit("app/web.yaml", "# by hand\nimage: web:1\n");
                meanwhile.push("main");
            }
            second(snapshot)
        });
        assert!(matches!(changed.await, Ok(Changed::By(_))), "{name}");
        assert_eq!(asked.load(Ordering::Relaxed), 2, "{name}");
        assert_eq!(repository.in_bare(&["show", "main:app/web.yaml"]), "# by hand\nimage: web:2", "{name}");
        assert_eq!(repository.in_bare(&["rev-parse", "main^"]), repository.head(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_is_asked_twice_at_most_and_says_why() {
    let repository = with_app();
    repository.hook("pre-receive", "echo 'main is protected' >&2; exit 1");
    let (_, url, _server) = ways(&repository).await.swap_remove(1);
    let bench = Bench::new(&url);
    let refused = bench.mirror.change("main", second).await.unwrap_err();
    assert!(refused.to_string().ends_with("pre-receive hook declined: main is protected"), "{refused}");
    let missing = bench.mirror.change("env/prod", second).await.unwrap_err();
    assert!(matches!(missing, Error::NoRevision { .. }), "{missing}");
    let url = bench.mirror.url().clone();
    let stopped = bench.mirror.change("main", move |_| Err(Error::Empty { url: url.clone() })).await;
    assert!(matches!(stopped, Err(Error::Empty { .. })), "{stopped:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_stays_one() {
    let repository = with_app();
    repository.git(&["update-index", "--chmod=+x", "app/web.yaml"]);
    repository.git(&["commit", "-q", "-m", "executable"]);
    repository.git(&["checkout", "-q", "--", "."]);
    repository.push("main");
    let bench = Bench::new(repository.bare().to_str().unwrap());
    assert!(matches!(bench.mirror.change("main", second).await, Ok(Changed::By(_))));
    assert!(repository.in_bare(&["ls-tree", "main", "app/web.yaml"]).starts_with("100755"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commits_that_changed_a_file_are_found() {
    let repository = with_app();
    let by_hand = repository.commit("app/web.yaml", "image: web:hotfix\n");
    repository.commit("app/other.yaml", "image: other:2\n");
    repository.push("main");
    let bench = Bench::new(repository.bare().to_str().unwrap());
    let head = bench.refresh(&["main"]).await.unwrap().commit("main").unwrap().clone().unwrap();
    let snapshot = bench.mirror.snapshot(&head).unwrap();
    let touches = |far| {
        let found = snapshot.touches("app/web.yaml", far).unwrap();
        found.into_iter().map(|touch| (touch.commit.id.to_string(), touch.message)).collect::<Vec<_>>()
    };
    let all = touches(100);
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(all[0], (by_hand, "Change app/web.yaml\n".into()));
    assert_eq!(touches(2), all[..1]);
    assert_eq!(snapshot.touches("nowhere", 100), Ok(vec![]));
    let oldest = &snapshot.touches("app/web.yaml", 100).unwrap()[1].commit;
    assert_eq!(snapshot.read_at(oldest, "app/web.yaml").unwrap().as_deref(), Some(&b"image: web:1\n"[..]));
}
