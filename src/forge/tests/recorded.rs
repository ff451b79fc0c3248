//! Answers and events that others have recorded of the real forges. They are not ours to copy: they are read from the
//! folder `forge` in the one that `LEEBOARD_CORPUS` names, which also says where each is from.

use std::path::{Path, PathBuf};

use super::super::call::{Answer, Call};
use super::super::dialect;
use super::super::kind::Kind;
use super::super::pull::Sketch;
use super::{answer, jane, shop};

fn folder() -> Option<PathBuf> {
    let corpus = std::env::var_os("LEEBOARD_CORPUS");
    let folder = corpus.map(|corpus| Path::new(&corpus).join("forge")).filter(|folder| folder.is_dir());
    if folder.is_none() {
        println!("skipped: LEEBOARD_CORPUS names no folder with recorded answers of forges");
    }
    folder
}

fn recorded<T>(folder: &Path, file: &str, call: &Call<T>) -> T {
    let path = folder.join(file);
    let body = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let answer: Answer = answer(200, &[], &body);
    (call.read)(&answer).unwrap_or_else(|unread| panic!("{file}: {unread:?}"))
}

/// File, number, head, base, author, from a fork.
type Expected = (Kind, &'static str, u64, &'static str, &'static str, &'static str, bool);

const STASH: &str = "131cb13f4aed12e725177bc4b7c28db67839bf9f";
const PULLS: [Expected; 6] = [
    (Kind::GitHub, "github/pr.json", 1347, "6dcb09b5b57875f334f61aebed695e2e4193db5e", "master", "octocat", false),
    (Kind::GitLab, "gitlab/merge.json", 1, "12d65c8dd2b2676fa3ac47d955accc085a37a9c1", "master", "dblessing", false),
    (Kind::Gitea, "gitea/pr.json", 1, "4f5e7d8f15cf79387cfd8a0d30c58855ab61e138", "master", "jcitizen", false),
    (Kind::BitbucketCloud, "bitbucket/pr.json", 4982, "31c54529bd80", "master", "", true),
    (Kind::BitbucketServer, "stash/pr.json", 1, STASH, "master", "jcitizen", false),
    (Kind::BitbucketServer, "stash/pr_iso_dates.json", 1, STASH, "master", "jcitizen", false),
];

#[test]
fn recorded_pull_requests_are_read() {
    let Some(folder) = folder() else { return };
    for (kind, file, number, head, base, author, is_fork) in PULLS {
        let sketch = recorded(&folder, file, &dialect::of(kind).pull(&shop(kind), 1));
        let found = (sketch.number, sketch.head.as_str(), sketch.base.as_str(), sketch.is_fork);
        assert_eq!(found, (number, head, base, is_fork), "{file}");
        assert!(author.is_empty() || sketch.author.login == author, "{file}: {:?}", sketch.author);
        assert!(sketch.updated.is_some(), "{file}: {sketch:?}");
    }
}

#[test]
fn recorded_lists_are_read() {
    let Some(folder) = folder() else { return };
    let lists = [
        (Kind::GitHub, "github/pulls.json"),
        (Kind::GitLab, "gitlab/merges.json"),
        (Kind::Gitea, "gitea/prs.json"),
        (Kind::BitbucketCloud, "bitbucket/prs.json"),
        (Kind::BitbucketServer, "stash/prs.json"),
    ];
    for (kind, file) in lists {
        let base = "master";
        let sketches: Vec<Sketch> =
            recorded(&folder, file, &dialect::of(kind).open_pulls(&shop(kind), Some(base))).items;
        assert!(!sketches.is_empty(), "{file}");
    }
    let comments = [
        (Kind::GitHub, "github/issue_comments.json"),
        (Kind::GitLab, "gitlab/merge_notes.json"),
        (Kind::BitbucketCloud, "bitbucket/prcomments.json"),
    ];
    for (kind, file) in comments {
        let comments = recorded(&folder, file, &dialect::of(kind).comments(&shop(kind), 1)).items;
        assert!(comments.iter().all(|comment| comment.id > 0 && !comment.author.id.is_empty()), "{file}");
        assert!(!comments.is_empty(), "{file}");
    }
    for file in ["stash/pr_comment.json", "stash/pr_comment_iso_dates.json"] {
        let kind = Kind::BitbucketServer;
        let comment = recorded(&folder, file, &dialect::of(kind).comment(&shop(kind), 1, 1)).unwrap();
        assert_eq!((comment.id, comment.edited), (1, None), "{file}");
    }
}

#[test]
fn recorded_words_on_commits_and_people_are_read() {
    let Some(folder) = folder() else { return };
    let commit = super::HEAD.parse().unwrap();
    let statuses = [(Kind::GitLab, "gitlab/statuses.json"), (Kind::BitbucketCloud, "bitbucket/statuses.json")];
    for (kind, file) in statuses {
        let checks = recorded(&folder, file, &dialect::of(kind).checks(&shop(kind), commit)[0]).items;
        assert!(checks.iter().all(|check| !check.context.is_empty()) && !checks.is_empty(), "{file}");
    }
    for (kind, file) in [
        (Kind::GitHub, "github/user.json"),
        (Kind::GitLab, "gitlab/user.json"),
        (Kind::Gitea, "gitea/user.json"),
        (Kind::BitbucketCloud, "bitbucket/user.json"),
    ] {
        let account = recorded(&folder, file, &dialect::of(kind).myself());
        assert!(!account.id.is_empty() && !account.login.is_empty(), "{file}: {account:?}");
        assert_ne!(account, jane(kind));
    }
}
