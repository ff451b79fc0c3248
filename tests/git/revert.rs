//! A commit is taken back by another one, over each way to a repository.

use jiff::Timestamp;
use leeboard::git::{CredentialStore, Error, LocalRepositories, Mirrors, Oid, RepoUrl, Reverted};

use super::{Bench, ways};
use crate::repository::Repository;
use crate::sshd::Sshd;

const REASON: &str = "Canary shop/web failed: success rate 50.00% < 99% at weight 50";

impl Bench {
    async fn revert(&self, branch: &str, commit: &str) -> Result<Reverted, Error> {
        self.mirror.revert(branch, commit.parse().unwrap(), REASON, Timestamp::UNIX_EPOCH).await
    }
}

/// A repository that takes pushes over HTTP, with a good commit and a bad one.
fn with_bad_commit() -> (Repository, String) {
    let repository = Repository::new();
    repository.configure("http.receivepack", "true");
    repository.commit("app/web.yaml", "image: web:1\n");
    repository.commit("app/other.yaml", "image: other:1\n");
    let bad = repository.commit("app/web.yaml", "image: web:2\n");
    repository.push("main");
    (repository, bad)
}

fn web(repository: &Repository) -> String {
    repository.in_bare(&["show", "main:app/web.yaml"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_taken_back_once_and_later_ones_stay() {
    for way in 0..3 {
        let (repository, bad) = with_bad_commit();
        repository.commit("app/other.yaml", "image: other:2\n");
        repository.push("main");
        let (name, url, _server) = ways(&repository).await.swap_remove(way);
        let bench = Bench::new(&url);
        let reverted = bench.revert("main", &bad).await.unwrap();
        let Reverted::By(id) = reverted else { panic!("{name}: {reverted:?}") };
        assert_eq!(repository.in_bare(&["rev-parse", "main"]), id.to_string(), "{name}");
        assert_eq!(repository.in_bare(&["rev-parse", "main^"]), repository.head(), "{name}");
        assert_eq!(web(&repository), "image: web:1", "{name}");
        assert_eq!(repository.in_bare(&["show", "main:app/other.yaml"]), "image: other:2", "{name}");
        let message = repository.in_bare(&["log", "-1", "--format=%an <%ae>%n%B", "main"]);
        let expected = format!(
            "Leeboard <leeboard@localhost>\nRevert \"Change app/web.yaml\"\n\n{REASON}\n\nThis reverts commit {bad}."
        );
        assert_eq!(message, expected, "{name}");
        repository.in_bare(&["fsck", "--strict"]);
        // Also by a daemon that knows nothing of it.
        assert_eq!(bench.revert("main", &bad).await, Ok(Reverted::Already), "{name}");
        assert_eq!(Bench::new(&url).revert("main", &bad).await, Ok(Reverted::Already), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_leaves_the_branch_alone_and_is_made_once() {
    for way in 0..3 {
        let (repository, bad) = with_bad_commit();
        let (name, url, _server) = ways(&repository).await.swap_remove(way);
        let propose = async |bench: &Bench| {
            let (commit, now) = (bad.parse().unwrap(), Timestamp::UNIX_EPOCH);
            bench.mirror.propose_revert("main", "leeboard/revert-it", commit, REASON, now).await.unwrap()
        };
        let bench = Bench::new(&url);
        let Reverted::By(id) = propose(&bench).await else { panic!("{name}: nothing is proposed") };
        assert_eq!(repository.in_bare(&["rev-parse", "leeboard/revert-it"]), id.to_string(), "{name}");
        assert_eq!(repository.in_bare(&["rev-parse", "leeboard/revert-it^"]), bad, "{name}");
        assert_eq!(repository.in_bare(&["rev-parse", "main"]), bad, "{name}");
        assert_eq!(repository.in_bare(&["show", "leeboard/revert-it:app/web.yaml"]), "image: web:1", "{name}");
        // Also by a daemon that knows nothing of it, and when the branch has moved on.
        repository.commit("app/other.yaml", "image: other:2\n");
        repository.push("main");
        assert_eq!(propose(&Bench::new(&url)).await, Reverted::By(id), "{name}");
        repository.in_bare(&["update-ref", "refs/heads/main", "leeboard/revert-it"]);
        assert_eq!(propose(&bench).await, Reverted::Already, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_back_says_why() {
    let (repository, bad) = with_bad_commit();
    let url = repository.bare().to_str().unwrap().to_owned();
    let bench = Bench::new(&url);
    repository.commit("app/web.yaml", "image: web:3\n");
    repository.push("main");
    let conflict = bench.revert("main", &bad).await.unwrap_err();
    assert!(conflict.to_string().ends_with("cannot be taken back: app/web.yaml was changed since"), "{conflict}");
    assert!(!conflict.is_transient() && conflict.hint().is_some());

    repository.commit("app/web.yaml", "image: web:1\n");
    repository.push("main");
    assert_eq!(bench.revert("main", &bad).await, Ok(Reverted::Already), "somebody has done it by hand");

    repository.git(&["reset", "-q", "--hard", &format!("{bad}^")]);
    repository.push("main");
    assert_eq!(bench.revert("main", &bad).await, Ok(Reverted::Gone), "the branch was pushed back");

    let head = repository.head();
    repository.git(&["checkout", "-q", "main"]);
    let work = Bench::new(repository.work().to_str().unwrap());
    let refused = work.revert("main", &head).await.unwrap_err();
    assert!(refused.to_string().ends_with("refuses a push to main: the branch is checked out there"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_is_taken_back_with_all_that_it_brought() {
    let (repository, _) = with_bad_commit();
    repository.git(&["checkout", "-q", "-b", "feature", "HEAD^"]);
    repository.commit("app/new.yaml", "a: 1\n");
    repository.git(&["checkout", "-q", "main"]);
    repository.git(&["merge", "-q", "--no-ff", "-m", "Merge feature", "feature"]);
    repository.push("main");
    let bench = Bench::new(repository.bare().to_str().unwrap());
    assert!(matches!(bench.revert("main", &repository.head()).await, Ok(Reverted::By(_))));
    assert_eq!(repository.in_bare(&["ls-tree", "-r", "--name-only", "main", "app"]), "app/other.yaml\napp/web.yaml");
    assert_eq!(web(&repository), "image: web:2");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_words_of_a_server_that_refuses_are_told() {
    let (repository, bad) = with_bad_commit();
    repository.hook("pre-receive", "echo 'main is protected: open a pull request' >&2; exit 1");
    let (_, url, _server) = ways(&repository).await.swap_remove(1);
    let refused = Bench::new(&url).revert("main", &bad).await.unwrap_err();
    let expected = "refuses a push to main: pre-receive hook declined: main is protected: open a pull request";
    assert!(refused.to_string().ends_with(expected), "{refused}");
    assert!(!refused.is_transient());
    assert_eq!(repository.in_bare(&["rev-parse", "main"]), bad);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lets_nobody_push_says_so() {
    let (repository, bad) = with_bad_commit();
    repository.configure("http.receivepack", "false");
    let (_, url, _server) = ways(&repository).await.swap_remove(1);
    let refused = Bench::new(&url).revert("main", &bad).await.unwrap_err();
    assert!(refused.to_string().ends_with("denies access"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_ssh_too() {
    let (repository, bad) = with_bad_commit();
    let Some(sshd) = Sshd::start("") else {
        println!("left out: there is no sshd on this machine");
        return;
    };
    let url = sshd.url(&repository.bare());
    let data = std::collections::BTreeMap::from([
        ("url".to_owned(), url.clone().into_bytes()),
        ("sshPrivateKey".to_owned(), sshd.key("ed25519")),
    ]);
    let mut store = CredentialStore::new();
    store.add_repository_secret(&data).unwrap();
    store.add_known_hosts(&String::from_utf8(sshd.known_host("host")).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mirrors = Mirrors::new(folder.path().to_owned(), LocalRepositories::Refused);
    mirrors.set_credentials(store);
    let mirror = mirrors.mirror(&RepoUrl::parse(&url).unwrap());
    let bad: Oid = bad.parse().unwrap();
    for expected in ["By", "Already"] {
        let reverted = mirror.revert("main", bad, REASON, Timestamp::UNIX_EPOCH).await.unwrap();
        assert!(format!("{reverted:?}").starts_with(expected), "{reverted:?}");
    }
    assert_eq!(web(&repository), "image: web:1");
    repository.hook("update", "echo 'not on a Friday' >&2; exit 1");
    let head: Oid = repository.in_bare(&["rev-parse", "main"]).parse().unwrap();
    let refused = mirror.revert("main", head, REASON, Timestamp::UNIX_EPOCH).await.unwrap_err();
    assert!(refused.to_string().contains("hook declined: not on a Friday"), "{refused}");
}
