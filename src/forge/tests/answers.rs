//! What is made of answers.

use super::super::call::{Next, Page, Unread};
use super::super::comment::Comment;
use super::super::dialect;
use super::super::kind::Kind;
use super::super::merge::{Merged, Method};
use super::super::pull::{Account, Opening, Pull, PullState, Sketch};
use super::super::review::{Permission, Verdict};
use super::super::status::{Check, State};
use super::super::{Access, Forge};
use super::{BASE, HEAD, MERGE, answer, comment, fixture, given, jane, read, shop};
use crate::git::{Oid, RepoUrl};

fn whole(sketch: Sketch) -> Pull {
    sketch.with_head(HEAD.parse().unwrap()).unwrap()
}

#[test]
fn open_pull_requests_are_read() {
    for kind in Kind::ALL {
        let list = given(kind, &dialect::of(kind).open_pulls(&shop(kind), Some("main")), "pulls");
        let pulls: Vec<Pull> = list.items.into_iter().map(whole).collect();
        let numbers: Vec<u64> = pulls.iter().map(|pull| pull.number).collect();
        let server = kind == Kind::BitbucketServer;
        assert_eq!(numbers, if server { vec![482, 483] } else { vec![482, 483, 484] }, "{kind}");
        let pull = &pulls[0];
        assert_eq!((pull.base.as_str(), pull.source_branch.as_str()), ("main", "raise-web"), "{kind}");
        assert_eq!((pull.is_fork, pull.is_draft, pull.is_open()), (false, false, true), "{kind}");
        assert_eq!(pull.author, jane(kind), "{kind}");
        assert_eq!(pull.updated.map(|at| at.as_second()), Some(1_795_168_800), "{kind}");
        assert!(pull.page.as_ref().is_some_and(|page| page.starts_with("http")), "{kind}");
        let has_labels = !matches!(kind, Kind::BitbucketCloud | Kind::BitbucketServer);
        assert_eq!(pull.labels, has_labels.then(|| vec!["leeboard/preview".to_owned()]), "{kind}");
        // What a list of GitLab does not tell, and what Bitbucket Cloud cuts short.
        let base = (!matches!(kind, Kind::GitLab | Kind::BitbucketCloud)).then(|| BASE.parse().unwrap());
        assert_eq!(pull.base_commit, base, "{kind}");
        // Of a fork; of one that is gone.
        assert_eq!((pulls[1].is_fork, pulls[1].is_draft), (true, true), "{kind}");
        if let Some(gone) = pulls.get(2) {
            assert_eq!((gone.is_fork, &gone.source_repository), (true, &None), "{kind}");
        }
    }
}

#[test]
fn git_can_have_every_head_that_is_there() {
    let cases: [(Kind, &str, &str, [Option<&str>; 3]); 5] = [
        // forge, its address, a repository, and from where a branch's, a fork's and a lost fork's heads come
        (Kind::GitHub, "https://github.com", "platform", [Some("refs/pull/N/head"); 3]),
        (Kind::GitLab, "https://h/gitlab", "gitlab/platform", [Some("refs/merge-requests/N/head"); 3]),
        (Kind::Gitea, "http://h:3000", "platform", [Some("refs/pull/N/head"); 3]),
        (
            Kind::BitbucketCloud,
            "https://bitbucket.org",
            "platform",
            [Some("refs/heads/raise-web"), Some("https://bitbucket.org/jane/shop.git refs/heads/raise-web"), None],
        ),
        (
            Kind::BitbucketServer,
            "https://h/stash",
            "stash/scm/PLAT",
            [Some("refs/heads/raise-web"), Some("https://h/stash/scm/~jane/shop.git refs/heads/raise-web"), None],
        ),
    ];
    for (kind, site, owner, expected) in cases {
        let forge = Forge::new(kind, site, &Access::default()).unwrap();
        let host = site.split('/').take(3).collect::<Vec<_>>().join("/");
        let repository = forge.repository(&RepoUrl::parse(&format!("{host}/{owner}/shop")).unwrap()).unwrap();
        let list = given(kind, &dialect::of(kind).open_pulls(&shop(kind), Some("main")), "pulls");
        for (pull, expected) in list.items.into_iter().map(whole).zip(expected) {
            let source = repository.source(&pull).map(|source| match source.repository {
                Some(url) => format!("{url} {}", source.reference),
                None => source.reference.replace(&pull.number.to_string(), "N"),
            });
            assert_eq!(source.as_deref(), expected, "{kind} {}", pull.number);
        }
    }
}

#[test]
fn the_end_of_a_pull_request_is_read() {
    for kind in Kind::ALL {
        let call = dialect::of(kind).pull(&shop(kind), 482);
        let merged = whole(given(kind, &call, "pull-merged"));
        // Bitbucket Cloud cuts it short: it is looked up in the branch.
        let commit = (kind != Kind::BitbucketCloud).then(|| MERGE.parse().unwrap());
        assert_eq!(merged.state, PullState::Merged { commit }, "{kind}");
        assert_eq!((merged.merged(), merged.is_open()), (commit, false), "{kind}");
        let closed = whole(given(kind, &call, "pull-closed"));
        assert_eq!((closed.state, closed.merged()), (PullState::Closed, None), "{kind}");
    }
    let call = dialect::of(Kind::GitLab).pull(&shop(Kind::GitLab), 482);
    let moved = whole(given(Kind::GitLab, &call, "pull-fast-forwarded"));
    assert_eq!(moved.merged(), Some(HEAD.parse().unwrap()));
}

#[test]
fn a_pull_request_that_is_there_is_not_opened_again() {
    let exists = r#"{"message": "Validation Failed", "errors": [{"message": "A pull request already exists for platform:raise-web."}]}"#;
    let duplicate = r#"{"errors": [{"message": "Only one", "exceptionName": "com.atlassian.bitbucket.pull.DuplicatePullRequestException"}]}"#;
    let cases = [
        (Kind::GitHub, 422, exists, true),
        (
            Kind::GitHub,
            422,
            r#"{"message": "Validation Failed", "errors": [{"message": "No commits between"}]}"#,
            false,
        ),
        (Kind::GitLab, 409, r#"{"message": ["Another open merge request already exists"]}"#, true),
        (Kind::Gitea, 409, r#"{"message": "pull request already exists for these targets"}"#, true),
        (Kind::Gitea, 404, r#"{"message": "the branch does not exist"}"#, true),
        (Kind::BitbucketServer, 409, duplicate, true),
        (
            Kind::BitbucketServer,
            409,
            r#"{"errors": [{"message": "no", "exceptionName": "x.EmptyPullRequestException"}]}"#,
            false,
        ),
    ];
    let text = String::from;
    let (head, base) = (text("raise-web"), text("main"));
    let opening = Opening { head, base, title: text("Raise web"), description: text("why") };
    for (kind, status, body, is_there) in cases {
        let call = dialect::of(kind).open_pull(&shop(kind), &opening);
        let read = read(&call, status, body.as_bytes());
        let is_known = matches!(read, Ok(None));
        assert_eq!((is_known, read.is_err()), (is_there, !is_there), "{kind} {status} {body}");
        assert_eq!(given(kind, &call, "pull-closed").unwrap().number, 482, "{kind}");
    }
}

#[test]
fn a_head_that_is_cut_short_is_none() {
    let cloud = dialect::of(Kind::BitbucketCloud);
    let sketch = given(Kind::BitbucketCloud, &cloud.pull(&shop(Kind::BitbucketCloud), 482), "pull-closed");
    assert_eq!(sketch.head, HEAD[..12]);
    assert!(matches!(sketch.pull(), Err(Unread::Malformed(_))));
    let call = cloud.whole_head(&shop(Kind::BitbucketCloud), 482).unwrap();
    assert_eq!(given(Kind::BitbucketCloud, &call, "commits"), HEAD.parse::<Oid>().unwrap());
    assert!(read(&call, 200, br#"{"values": []}"#).is_err());
}

#[test]
fn the_next_page_is_found() {
    let link = r#"<https://elsewhere.example/x?page=2&per_page=100>; rel="next""#;
    for kind in [Kind::GitHub, Kind::GitLab, Kind::Gitea] {
        let call = dialect::of(kind).open_pulls(&shop(kind), Some("main"));
        let page = (call.read)(&answer(200, &[("link", link)], &fixture(kind, "pulls"))).unwrap();
        let Next::Query(next) = page.next else { panic!("{kind}: {:?}", page.next) };
        assert!(next.contains(&("page".to_owned(), "2".to_owned())), "{kind} {next:?}");
    }
    for (kind, expected) in [(Kind::BitbucketCloud, ("page", "2")), (Kind::BitbucketServer, ("start", "100"))] {
        let call = dialect::of(kind).open_pulls(&shop(kind), Some("main"));
        let Next::Query(next) = given(kind, &call, "pulls").next else { panic!("{kind}") };
        assert!(next.contains(&(expected.0.to_owned(), expected.1.to_owned())), "{kind} {next:?}");
        let query = call.at(next).query;
        let limits = query.iter().filter(|(name, _)| matches!(name.as_str(), "limit" | "pagelen")).count();
        assert_eq!(limits, 1, "{kind}: the rest of the query stays: {query:?}");
    }
    // The comments of Gitea come all at once, whatever it is told.
    let call = dialect::of(Kind::Gitea).comments(&shop(Kind::Gitea), 482);
    let page = (call.read)(&answer(200, &[("link", link)], &fixture(Kind::Gitea, "comments"))).unwrap();
    assert_eq!(page.next, Next::End);
    // Its reviews have no links; how many there are is told, also of those that are none of ours.
    let call = dialect::of(Kind::Gitea).reviews(&shop(Kind::Gitea), 482);
    let page = (call.read)(&answer(200, &[("x-total-count", "7")], &fixture(Kind::Gitea, "reviews"))).unwrap();
    assert_eq!((page.items.len(), page.next), (3, Next::Counted { total: 7, here: 5 }));
}

#[test]
fn comments_are_read() {
    for kind in Kind::ALL {
        let Page { items, next } = given(kind, &dialect::of(kind).comments(&shop(kind), 482), "comments");
        assert_eq!(next, Next::End, "{kind}");
        let first = items.iter().find(|comment| comment.id == 5001).unwrap();
        let told = (first.body.as_str(), first.pull, first.created.as_second(), first.edited);
        assert_eq!(told, ("/leeboard preview", 482, 1_795_168_800, None), "{kind}");
        assert_eq!(first.author, jane(kind), "{kind}");
        let edited: Vec<&Comment> = items.iter().filter(|comment| comment.edited.is_some()).collect();
        let [edited] = edited.as_slice() else { panic!("{kind}: {items:?}") };
        let at = edited.edited.map(|at| at.as_second());
        assert_eq!((edited.body.as_str(), at), ("hello", Some(1_795_169_100)), "{kind}");
        let bots: Vec<u64> = items.iter().filter(|comment| comment.author.is_bot).map(|comment| comment.id).collect();
        let expected: &[u64] = match kind {
            Kind::GitHub | Kind::BitbucketServer => &[5002],
            Kind::BitbucketCloud => &[5003],
            Kind::GitLab | Kind::Gitea => &[],
        };
        assert_eq!(bots, expected, "{kind}");
    }
}

#[test]
fn a_comment_that_is_gone_is_no_error() {
    for kind in Kind::ALL {
        let dialect = dialect::of(kind);
        assert_eq!(read(&dialect.comment(&shop(kind), 482, 5001), 404, b"{}"), Ok(None), "{kind}");
        assert_eq!(read(&dialect.delete_comment(&shop(kind), &comment(kind)), 404, b"{}"), Ok(()), "{kind}");
        assert_eq!(read(&dialect.comment(&shop(kind), 482, 5001), 403, b"{}"), Err(Unread::Refused), "{kind}");
        let edit = dialect.edit_comment(&shop(kind), &comment(kind), "x");
        assert_eq!(read(&edit, 404, b"{}"), Err(Unread::Refused), "{kind}");
    }
}

#[test]
fn checks_are_read_from_wherever_they_are() {
    let cases: [(Kind, &[&str], &str); 5] = [
        // forge, answers, what they say
        (
            Kind::GitHub,
            &["status", "check-runs"],
            "ci/build Success, security Error, test Success, lint Neutral, e2e Pending, deploy Error",
        ),
        (Kind::GitLab, &["statuses"], "build Success, lint Neutral, e2e Pending, security Error"),
        (Kind::Gitea, &["status"], "build Success, lint Neutral, e2e Error"),
        (Kind::BitbucketCloud, &["statuses"], "build Success, e2e Pending, lint Error"),
        (Kind::BitbucketServer, &["statuses"], "build Success, e2e Pending, lint Failure"),
    ];
    for (kind, names, expected) in cases {
        let calls = dialect::of(kind).checks(&shop(kind), HEAD.parse().unwrap());
        assert_eq!(calls.len(), names.len(), "{kind}");
        let pages = calls.iter().zip(names).map(|(call, name)| given(kind, call, name).items);
        let checks: Vec<Check> = pages.flatten().collect();
        let shown: Vec<String> = checks.iter().map(|check| format!("{} {:?}", check.context, check.state)).collect();
        assert_eq!(shown.join(", "), expected, "{kind}");
        assert!(checks.iter().any(|check| check.updated.is_some()), "{kind}");
    }
    let gitea = dialect::of(Kind::Gitea).checks(&shop(Kind::Gitea), HEAD.parse().unwrap());
    assert!(given(Kind::Gitea, &gitea[0], "status-none").items.is_empty());
}

#[test]
fn our_report_is_the_one_of_our_app() {
    let bot = |login: &str| Account { login: login.into(), ..jane(Kind::GitHub) };
    let found = |context: &str, login: &str| {
        let call = dialect::of(Kind::GitHub).report(&shop(Kind::GitHub), HEAD.parse().unwrap(), context, &bot(login));
        given(Kind::GitHub, &call.unwrap(), "check-runs")
    };
    assert_eq!(found("test", "github-actions[bot]"), Some(4));
    assert_eq!(found("other", "github-actions[bot]"), None);
    assert_eq!(found("test", "leeboard[bot]"), None);
}

#[test]
fn reviews_are_read_with_the_head_that_they_are_of() {
    let head = Some(HEAD.parse().unwrap());
    let base = Some(BASE.parse().unwrap());
    let (approved, refused) = (Verdict::Approved, Verdict::ChangesRequested);
    type Told = (&'static str, Verdict, Option<Oid>, bool);
    let cases: [(Kind, &str, Vec<Told>); 5] = [
        (
            Kind::GitHub,
            "reviews",
            vec![
                ("joe", approved, head, false),
                ("ann", Verdict::Commented, head, true),
                ("ann", refused, base, false),
            ],
        ),
        (Kind::GitLab, "approvals", vec![("joe", approved, None, false)]),
        (
            Kind::Gitea,
            "reviews",
            vec![("joe", approved, head, false), ("joe", approved, base, true), ("joe", refused, head, true)],
        ),
        (Kind::BitbucketCloud, "pull-merged", vec![("joe", approved, None, false), ("ann", refused, None, false)]),
        (Kind::BitbucketServer, "pull-merged", vec![("joe", approved, head, false), ("ann", refused, base, false)]),
    ];
    for (kind, name, expected) in cases {
        let reviews = given(kind, &dialect::of(kind).reviews(&shop(kind), 482), name).items;
        let found: Vec<_> = reviews
            .iter()
            .map(|review| (review.author.login.as_str(), review.verdict, review.commit, review.is_stale))
            .collect();
        assert_eq!(found, expected, "{kind}");
    }
}

#[test]
fn permissions_are_those_of_the_account_with_that_id() {
    let another = |kind| Account { id: "8".into(), ..jane(kind) };
    for kind in [Kind::GitHub, Kind::GitLab, Kind::Gitea, Kind::BitbucketCloud] {
        let ask = |account: &Account| given(kind, &dialect::of(kind).permission(&shop(kind), account)[0], "permission");
        assert_eq!(ask(&jane(kind)), Some(Permission::Write), "{kind}");
        assert_eq!(ask(&another(kind)), None, "{kind}");
    }
    for kind in [Kind::GitHub, Kind::GitLab, Kind::Gitea] {
        let call = &dialect::of(kind).permission(&shop(kind), &jane(kind))[0];
        assert_eq!(read(call, 404, b"{}"), Ok(None), "{kind}");
        assert_eq!(read(call, 403, b"{}"), Err(Unread::Refused), "{kind}");
    }
    // Data Center is asked from the highest down.
    let kind = Kind::BitbucketServer;
    let calls = dialect::of(kind).permission(&shop(kind), &jane(kind));
    assert_eq!(calls.len(), 3);
    assert_eq!(given(kind, &calls[1], "users"), Some(Permission::Write));
    assert_eq!(given(kind, &calls[0], "users-none"), None);
    let doe = dialect::of(kind).permission(&shop(kind), &another(kind));
    assert_eq!(given(kind, &doe[0], "users"), None, "a name that only begins alike is another account");
}

#[test]
fn we_are_told_who_we_are() {
    for kind in [Kind::GitHub, Kind::GitLab, Kind::Gitea, Kind::BitbucketCloud] {
        assert_eq!(given(kind, &dialect::of(kind).myself(), "user"), jane(kind), "{kind}");
    }
    let kind = Kind::BitbucketServer;
    let body = fixture(kind, "application-properties");
    let call = dialect::of(kind).myself();
    let told = [("x-auserid", "7"), ("x-ausername", "jane")];
    assert_eq!((call.read)(&answer(200, &told, &body)), Ok(jane(kind)));
    // It tells everybody its version, and nobody's name.
    assert!(matches!((call.read)(&answer(200, &[], &body)), Err(Unread::Malformed(_))));
}

#[test]
fn a_merge_says_what_came_of_it() {
    let merge = Some(MERGE.parse().unwrap());
    let text = |said: &str| format!(r#"{{"message": "{said}"}}"#).into_bytes();
    let exception = |name: &str| {
        let name = format!("com.atlassian.bitbucket.pull.{name}");
        format!(r#"{{"errors": [{{"context": null, "message": "no", "exceptionName": "{name}"}}]}}"#).into_bytes()
    };
    let refused = |said: &str| Ok(Merged::Refused { said: said.into() });
    type Case = (Kind, u16, Vec<u8>, Result<Merged, Unread>);
    let cases: Vec<Case> = vec![
        (Kind::GitHub, 200, fixture(Kind::GitHub, "merge"), Ok(Merged::Done { commit: merge })),
        (Kind::GitHub, 405, text("Pull Request is not mergeable"), refused("Pull Request is not mergeable")),
        (Kind::GitHub, 409, text("Head branch was modified. Review and try the merge again."), Ok(Merged::HeadMoved)),
        (Kind::GitHub, 403, text("Resource not accessible by integration"), Err(Unread::Refused)),
        (Kind::GitLab, 200, fixture(Kind::GitLab, "pull-merged"), Ok(Merged::Done { commit: merge })),
        (Kind::GitLab, 405, text("405 Method Not Allowed"), refused("405 Method Not Allowed")),
        (Kind::GitLab, 409, text("SHA does not match HEAD of source branch"), Ok(Merged::HeadMoved)),
        (Kind::GitLab, 401, text("401 Unauthorized"), refused("401 Unauthorized")),
        (Kind::Gitea, 200, vec![], Ok(Merged::Done { commit: None })),
        (Kind::Gitea, 409, text("head out of date"), Ok(Merged::HeadMoved)),
        (
            Kind::Gitea,
            405,
            text("Please try again later"),
            Ok(Merged::NotYet { said: "Please try again later".into() }),
        ),
        (
            Kind::Gitea,
            405,
            text("Not all required status checks successful"),
            refused("Not all required status checks successful"),
        ),
        (Kind::BitbucketCloud, 200, fixture(Kind::BitbucketCloud, "pull-merged"), Ok(Merged::Done { commit: None })),
        (
            Kind::BitbucketCloud,
            400,
            br#"{"type": "error", "error": {"message": "You can't merge until you resolve all merge conflicts."}}"#
                .to_vec(),
            refused("You can't merge until you resolve all merge conflicts."),
        ),
        (Kind::BitbucketServer, 200, fixture(Kind::BitbucketServer, "pull-merged"), Ok(Merged::Done { commit: merge })),
        (Kind::BitbucketServer, 409, exception("PullRequestOutOfDateException"), Ok(Merged::HeadMoved)),
        (Kind::BitbucketServer, 409, exception("PullRequestMergeVetoedException"), refused("no")),
    ];
    for (kind, status, body, expected) in cases {
        let dialect = dialect::of(kind);
        let pull = whole(given(kind, &dialect.pull(&shop(kind), 482), "pull-closed"));
        let call = dialect.merge(&shop(kind), &pull, Method::Merge).unwrap();
        let said = String::from_utf8_lossy(&body).chars().take(60).collect::<String>();
        assert_eq!(read(&call, status, &body), expected, "{kind} {status} {said}");
    }
}

#[test]
fn what_gitlab_has_been_told_already_is_done() {
    let (dialect, repo) = (dialect::of(Kind::GitLab), shop(Kind::GitLab));
    let status = super::super::status::Status {
        commit: HEAD.parse().unwrap(),
        branch: None,
        context: "leeboard/preview".into(),
        state: State::Pending,
        description: String::new(),
        page: None,
    };
    let call = dialect.put_status(&repo, &status);
    let said = br#"{"message": "Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via \"enqueue\")"}"#;
    assert_eq!(read(&call, 400, said), Ok(()));
    assert_eq!(read(&call, 400, br#"{"message": "ref is invalid"}"#), Err(Unread::Refused));
    // Of a fork's head, which the project does not have: told as it is, and not tried again.
    assert_eq!(read(&call, 404, br#"{"message": "404 Commit Not Found"}"#), Err(Unread::Refused));
    let call = dialect.react(&repo, &comment(Kind::GitLab), super::super::comment::Reaction::Up).unwrap();
    let said = br#"{"message": "404 Award Emoji Name has already been taken Not Found"}"#;
    assert_eq!(read(&call, 404, said), Ok(()));
    assert_eq!(read(&call, 404, br#"{"message": "404 Not found"}"#), Err(Unread::Refused));
}

#[test]
fn the_missing_right_is_named() {
    let gitea = r#"{"message": "token does not have at least one of required scope(s), required=[write:issue], token scope=read:issue"}"#;
    let lab = r#"{"error": "insufficient_scope", "error_description": "The request requires more.", "scope": "api"}"#;
    let cloud = r#"{"type": "error", "error": {"message": "no", "detail": {"granted": ["pullrequest"], "required": ["pullrequest:write"]}}}"#;
    type Headers = &'static [(&'static str, &'static str)];
    let cases: [(Kind, Headers, &str, Option<&str>); 7] = [
        (Kind::Gitea, &[], gitea, Some("write:issue")),
        (Kind::Gitea, &[], r#"{"message": "no"}"#, None),
        (Kind::GitLab, &[], lab, Some("api")),
        (Kind::GitHub, &[("x-accepted-github-permissions", "issues=write; pull_requests=write")], "{}", {
            Some("issues=write; pull_requests=write")
        }),
        (Kind::GitHub, &[("x-accepted-oauth-scopes", "repo")], "{}", Some("repo")),
        (Kind::BitbucketCloud, &[], cloud, Some("pullrequest:write")),
        (Kind::BitbucketServer, &[], r#"{"errors": [{"message": "no"}]}"#, None),
    ];
    for (kind, headers, body, expected) in cases {
        let found = dialect::of(kind).missing_right(&answer(403, headers, body.as_bytes()));
        assert_eq!(found.as_deref(), expected, "{kind} {body}");
    }
}

#[test]
fn every_truncation_of_every_answer_is_refused() {
    for kind in Kind::ALL {
        let (dialect, repo) = (dialect::of(kind), shop(kind));
        let body = fixture(kind, "pulls");
        let body = body.trim_ascii_end();
        let call = dialect.open_pulls(&repo, Some("main"));
        for length in 0..body.len() {
            assert!(matches!(read(&call, 200, &body[..length]), Err(Unread::Malformed(_))), "{kind} cut at {length}");
        }
        let body = fixture(kind, "comments");
        let body = body.trim_ascii_end();
        let call = dialect.comments(&repo, 482);
        for length in 0..body.len() {
            assert!(matches!(read(&call, 200, &body[..length]), Err(Unread::Malformed(_))), "{kind} cut at {length}");
        }
    }
}

#[test]
fn a_branch_that_cannot_be_one_is_refused() {
    for kind in Kind::ALL {
        let body = String::from_utf8(fixture(kind, "pull-closed")).unwrap();
        for bad in ["--upload-pack=x", "a..b", "a\\nb", ""] {
            let body = body.replace("\"raise-web\"", &format!("\"{bad}\""));
            let sketch = read(&dialect::of(kind).pull(&shop(kind), 482), 200, body.as_bytes()).unwrap();
            let pull = sketch.with_head(HEAD.parse().unwrap());
            assert!(matches!(pull, Err(Unread::Malformed(_))), "{kind} {bad:?}: {pull:?}");
        }
    }
}
