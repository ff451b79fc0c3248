//! A real Gitea, asked everything that a forge is asked: pull requests, comments, statuses, reviews, merges, webhooks.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod webhook;
mod world;

use http::Method as Verb;
use leeboard::forge::{
    Done, Error, How, Kind, Merged, Method, Opening, Permission, Pull, PullState, Reaction, State, Status, Verdict,
    probe,
};
use leeboard::git::Oid;
use serde_json::json;

use world::{Shop, World, eventually};

const MARKER: &str = "<!-- leeboard:preview v1 instance=hub pr=1 -->";

fn oid(text: &str) -> Oid {
    text.parse().unwrap()
}

/// The pull request, as soon as Gitea has looked whether it can be merged.
async fn looked_at(shop: &Shop<'_>, number: u64) -> Pull {
    let repository = shop.as_bot();
    eventually("Gitea has looked at the pull request", async || {
        let pull = repository.pull(number).await.unwrap();
        if pull.mergeable == Some(true) { Ok(pull) } else { Err("it is not mergeable yet") }
    })
    .await
}

#[tokio::test]
async fn it_is_recognised_and_knows_us() {
    let world = World::shared().await;
    let nobody = leeboard::forge::Access::default();
    assert_eq!(probe(&world.gitea.url(), &nobody).await.unwrap(), Some(Kind::Gitea));
    let me = world.forge(&world.bot).myself().await.unwrap();
    assert_eq!(me.login, "leeboard-bot");
}

#[tokio::test]
async fn pull_requests_are_as_they_were_opened() {
    let world = World::shared().await;
    let shop = world.shop("pulls").await;
    let repository = shop.as_bot();
    shop.push(&world.jane, "acme/pulls", "main:prod").unwrap();
    let mut numbers = Vec::new();
    for number in 1..=4 {
        let branch = format!("change-{number}");
        shop.branch(&branch, "web.yaml", &format!("replicas: {number}{number}\n"));
        numbers.push(shop.open(&branch, "main", "Scale web").await);
    }
    let head = shop.branch("draft", "web.yaml", "replicas: 9\n");
    let draft = shop.open("draft", "main", "WIP: think about it").await;
    shop.branch("other", "web.yaml", "replicas: 8\n");
    let other = shop.open("other", "prod", "Scale web in prod").await;

    // A page has two: these are three.
    let pulls = repository.open_pulls("main").await.unwrap();
    numbers.push(draft);
    assert_eq!(pulls.iter().map(|pull| pull.number).collect::<Vec<_>>(), numbers);
    let found = pulls.iter().find(|pull| pull.number == draft).unwrap();
    assert_eq!((found.head, found.is_draft, found.is_fork), (oid(&head), true, false));
    assert_eq!((found.source_branch.as_str(), found.base.as_str()), ("draft", "main"));
    assert_eq!(found.author.login, "jane");
    assert_eq!(found.source_repository.as_deref(), Some("acme/pulls"));
    assert!(found.page.as_ref().is_some_and(|page| page.ends_with(&format!("/acme/pulls/pulls/{draft}"))));
    let in_prod = repository.open_pulls("prod").await.unwrap();
    assert_eq!(in_prod.iter().map(|pull| pull.number).collect::<Vec<_>>(), [other]);

    let label =
        shop.ask(&world.jane, Verb::POST, "labels", json!({"name": "leeboard/preview", "color": "#00aabb"})).await;
    let path = format!("issues/{draft}/labels");
    shop.ask(&world.jane, Verb::POST, &path, json!({"labels": [label["id"]]})).await;
    let pull = repository.pull(draft).await.unwrap();
    assert_eq!(pull.labels, Some(vec!["leeboard/preview".to_owned()]));

    // Another push, and the end.
    let newer = shop.branch("draft", "web.yaml", "replicas: 10\n");
    shop.push(&world.jane, "acme/pulls", "draft").unwrap();
    eventually("the new head is there", async || {
        let head = repository.pull(draft).await.unwrap().head;
        if head == oid(&newer) { Ok(()) } else { Err(head) }
    })
    .await;
    shop.ask(&world.jane, Verb::PATCH, &format!("pulls/{draft}"), json!({"state": "closed"})).await;
    assert_eq!(repository.pull(draft).await.unwrap().state, PullState::Closed);
    assert!(matches!(repository.pull(999).await.unwrap_err(), Error::NotFound { .. }));
}

#[tokio::test]
async fn a_pull_request_is_opened_once() {
    let world = World::shared().await;
    let shop = world.shop("opened").await;
    let head = shop.branch("promote", "web.yaml", "replicas: 2\n");
    let repository = shop.as_bot();
    let opening = Opening {
        head: "promote".into(),
        base: "main".into(),
        title: "Promote web".into(),
        description: "From dev to prod".into(),
    };
    shop.push(&world.bot, "acme/opened", "promote").unwrap();
    // To Gitea a repository is empty, and can have none, until it has looked at the first push.
    eventually("Gitea has seen the first push", async || repository.open_pulls("main").await).await;
    let pull = repository.open_pull(&opening).await.unwrap();
    assert_eq!((pull.head, pull.author.login.as_str(), pull.is_open()), (oid(&head), "leeboard-bot", true));
    assert_eq!(repository.open_pull(&opening).await.unwrap().number, pull.number);
    let merged = repository.merge(pull.number, pull.head, Method::FastForward).await.unwrap();
    assert_eq!(merged, Merged::Done { commit: Some(oid(&head)) });
}

#[tokio::test]
async fn a_fork_is_told_also_when_it_is_gone() {
    let world = World::shared().await;
    let shop = world.shop("forked").await;
    shop.ask(&world.jane, Verb::POST, "forks", json!({})).await;
    let head = shop.branch("change", "web.yaml", "replicas: 2\n");
    shop.push(&world.jane, "jane/forked", "change").unwrap();
    let number = shop.open_from("jane:change", "main", "From afar").await;
    let repository = shop.as_bot();
    let pull = repository.pull(number).await.unwrap();
    assert!(pull.is_fork);
    assert_eq!((pull.head, pull.source_repository.as_deref()), (oid(&head), Some("jane/forked")));
    // A status of its head belongs to the repository that it is for.
    repository.put_status(&status(&head, "leeboard/preview", State::Neutral)).await.unwrap();
    assert_eq!(repository.checks(oid(&head)).await.unwrap().len(), 1);

    world.gitea.ask(&world.jane, Verb::DELETE, "repos/jane/forked", None).await.unwrap();
    let pull = repository.pull(number).await.unwrap();
    assert!(pull.is_fork && pull.source_repository.is_none());
    assert_eq!(pull.head, oid(&head));
}

#[tokio::test]
async fn our_comment_is_found_and_kept() {
    let world = World::shared().await;
    let shop = world.shop("comments").await;
    shop.branch("change", "web.yaml", "replicas: 2\n");
    let number = shop.open("change", "main", "Scale web").await;
    let repository = shop.as_bot();
    // Somebody pastes our marker, and says much.
    let path = format!("issues/{number}/comments");
    for text in [MARKER, "one", "two", "three"] {
        shop.ask(&world.jane, Verb::POST, &path, json!({"body": text})).await;
    }
    let body = |text: &str| format!("{MARKER}\n### Leeboard: {text}\n");
    let put = repository.put_comment(number, None, MARKER, &body("1")).await.unwrap();
    assert_eq!((put.how, put.comment.author.login.as_str()), (How::Created, "leeboard-bot"));
    assert_eq!(put.comment.edited, None);
    let id = put.comment.id;
    let again = repository.put_comment(number, None, MARKER, &body("1")).await.unwrap();
    assert_eq!((again.how, again.comment.id), (How::Unchanged, id));
    let edited = repository.put_comment(number, Some(id), MARKER, &body("2")).await.unwrap();
    assert_eq!((edited.how, edited.comment.id), (How::Edited, id));

    // A reaction is no edit.
    let comment = repository.comment(number, id).await.unwrap().unwrap();
    assert_eq!(comment.body.trim_end(), body("2").trim_end());
    let command = shop.ask(&world.jane, Verb::POST, &path, json!({"body": "/leeboard preview"})).await;
    let command = repository.comment(number, command["id"].as_u64().unwrap()).await.unwrap().unwrap();
    for reaction in [Reaction::Up, Reaction::Up, Reaction::Down] {
        assert_eq!(repository.react(&command, reaction).await.unwrap(), Done::Yes);
    }
    let command = repository.comment(number, command.id).await.unwrap().unwrap();
    assert_eq!((command.author.login.as_str(), command.edited), ("jane", None));

    // Who may push may put words into our mouth: it is still ours, and says again what we say.
    let path = format!("issues/comments/{id}");
    shop.ask(&world.jane, Verb::PATCH, &path, json!({"body": format!("{MARKER}\nApproved!")})).await;
    let repaired = repository.put_comment(number, Some(id), MARKER, &body("2")).await.unwrap();
    assert_eq!((repaired.how, repaired.comment.id), (How::Edited, id));

    // Two of them, as a crash leaves them: the older stays.
    let second = repository.create_comment(number, MARKER, &body("3")).await.unwrap();
    assert_ne!(second.id, id);
    let put = repository.put_comment(number, None, MARKER, &body("4")).await.unwrap();
    assert_eq!((put.how, put.comment.id), (How::Edited, id));
    assert_eq!(repository.comment(number, second.id).await.unwrap(), None);

    repository.delete_comment(&put.comment).await.unwrap();
    repository.delete_comment(&put.comment).await.unwrap();
    assert_eq!(repository.own_comments(number, MARKER).await.unwrap().comment, None);
    assert!(matches!(repository.edit_comment(&put.comment, "x").await.unwrap_err(), Error::NotFound { .. }));
    let anew = repository.put_comment(number, Some(id), MARKER, &body("5")).await.unwrap();
    assert_eq!(anew.how, How::Created);
}

fn status(commit: &str, context: &str, state: State) -> Status {
    Status {
        commit: oid(commit),
        branch: None,
        context: context.into(),
        state,
        description: "3 apps, 2 envs: ~5 +1 -1".into(),
        page: Some("https://leeboard.example.com/previews/1".into()),
    }
}

#[tokio::test]
async fn a_protected_branch_wants_a_status_and_a_review() {
    let world = World::shared().await;
    let shop = world.shop("protected").await;
    let head = shop.branch("change", "web.yaml", "replicas: 2\n");
    let number = shop.open("change", "main", "Scale web").await;
    let repository = shop.as_bot();
    let rule = json!({
        "rule_name": "main", "enable_push": false, "enable_status_check": true,
        "status_check_contexts": ["leeboard/preview"], "required_approvals": 1, "dismiss_stale_approvals": false,
    });
    shop.ask(&world.bot, Verb::POST, "branch_protections", rule).await;
    let refused = shop.push(&world.jane, "acme/protected", "change:main").unwrap_err();
    assert!(refused.contains("protected branch"), "{refused}");

    looked_at(&shop, number).await;
    let merge = async |head: &str| repository.merge(number, oid(head), Method::Squash).await.unwrap();
    let Merged::Refused { said } = merge(&head).await else { panic!("it was merged") };
    assert!(!said.is_empty());

    for (context, state) in [("leeboard/preview", State::Pending), ("ci", State::Failure), ("lint", State::Neutral)] {
        repository.put_status(&status(&head, context, state)).await.unwrap();
    }
    repository.put_status(&status(&head, "leeboard/preview", State::Success)).await.unwrap();
    let mut checks = repository.checks(oid(&head)).await.unwrap();
    checks.sort_by(|one, other| one.context.cmp(&other.context));
    let said: Vec<_> = checks.iter().map(|check| (check.context.as_str(), check.state)).collect();
    assert_eq!(said, [("ci", State::Failure), ("leeboard/preview", State::Success), ("lint", State::Neutral)]);
    let author = checks[1].author.as_ref().map(|author| author.login.as_str());
    assert_eq!((author, checks[1].description.as_str()), (Some("leeboard-bot"), "3 apps, 2 envs: ~5 +1 -1"));

    assert!(matches!(merge(&head).await, Merged::Refused { .. }), "nobody has approved it");
    let path = format!("pulls/{number}/reviews");
    shop.ask(&world.bot, Verb::POST, &path, json!({"event": "COMMENT", "body": "Looking"})).await;
    shop.ask(&world.bot, Verb::POST, &path, json!({"event": "REQUEST_CHANGES", "body": "No"})).await;
    let review =
        shop.ask(&world.bot, Verb::POST, &path, json!({"event": "APPROVED", "body": "Yes", "commit_id": head}));
    review.await;
    let reviews = repository.reviews(number).await.unwrap();
    let verdicts: Vec<_> = reviews.iter().map(|review| review.verdict).collect();
    assert_eq!(verdicts, [Verdict::Commented, Verdict::ChangesRequested, Verdict::Approved]);
    assert!(reviews.iter().all(|review| review.author.login == "leeboard-bot" && review.commit == Some(oid(&head))));

    // A push makes the approval stale, and the head that we know is not merged any more.
    let newer = shop.commit("web.yaml", "replicas: 3\n");
    shop.push(&world.jane, "acme/protected", "change").unwrap();
    eventually("the approval is stale", async || {
        let reviews = repository.reviews(number).await.unwrap();
        let is_stale = reviews.iter().any(|review| review.verdict == Verdict::Approved && review.is_stale);
        if is_stale { Ok(()) } else { Err(format!("{reviews:?}")) }
    })
    .await;
    assert_eq!(merge(&head).await, Merged::HeadMoved);

    repository.put_status(&status(&newer, "leeboard/preview", State::Success)).await.unwrap();
    shop.ask(&world.bot, Verb::POST, &path, json!({"event": "APPROVED", "body": "Yes"})).await;
    // Gitea still looks whether it can: that is waited for.
    let Merged::Done { commit: Some(commit) } = merge(&newer).await else { panic!("it was not merged") };
    let pull = repository.pull(number).await.unwrap();
    assert_eq!((pull.merged(), pull.is_open()), (Some(commit), false));
    assert_eq!(merge(&newer).await, Merged::Done { commit: Some(commit) }, "once more is as good");
}

#[tokio::test]
async fn who_may_what_is_told_to_those_who_may_ask() {
    let world = World::shared().await;
    let shop = world.shop("rights").await;
    let repository = shop.as_bot();
    let jane = world.forge(&world.jane).myself().await.unwrap();
    let mallory = world.forge(&world.mallory).myself().await.unwrap();
    let me = world.forge(&world.bot).myself().await.unwrap();
    assert_eq!(repository.permission(&jane).await.unwrap(), Permission::Write);
    assert_eq!(repository.permission(&mallory).await.unwrap(), Permission::None);
    assert_eq!(repository.permission(&me).await.unwrap(), Permission::Admin);
    let gone = leeboard::forge::Account { login: "nobody".into(), ..jane.clone() };
    assert_eq!(repository.permission(&gone).await.unwrap(), Permission::None);
    // A login that was given to another.
    let other = leeboard::forge::Account { id: "4242".into(), ..jane.clone() };
    assert_eq!(repository.permission(&other).await.unwrap(), Permission::None);
    let error = shop.as_member(&world.jane).permission(&mallory).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
}

#[tokio::test]
async fn a_token_without_rights_says_which_is_missing() {
    let world = World::shared().await;
    let shop = world.shop("tokens").await;
    shop.branch("change", "web.yaml", "replicas: 2\n");
    let number = shop.open("change", "main", "Scale web").await;
    let weak = world.gitea.add_member("weak", &["read:issue", "read:repository", "read:user"]).await.unwrap();
    shop.ask(&world.bot, Verb::PUT, "collaborators/weak", json!({"permission": "write"})).await;
    let repository = shop.as_member(&weak);
    assert_eq!(repository.pull(number).await.unwrap().number, number);
    let error = repository.create_comment(number, MARKER, MARKER).await.unwrap_err();
    assert!(matches!(&error, Error::Forbidden { right: Some(right), .. } if right == "write:issue"), "{error}");
    assert_eq!(error.hint().as_deref(), Some("Give the token the right `write:issue`."));
    assert!(!error.is_transient());

    // A private repository looks like none to who may not see it.
    let error = shop.as_member(&world.mallory).pull(number).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    let wrong = leeboard::sandbox::Member { token: "0".repeat(40), ..weak };
    let error = shop.as_member(&wrong).pull(number).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
}

#[tokio::test]
async fn a_repository_that_was_renamed_is_written_to_under_its_new_name() {
    let world = World::shared().await;
    let shop = world.shop("old-name").await;
    shop.branch("change", "web.yaml", "replicas: 2\n");
    let number = shop.open("change", "main", "Scale web").await;
    let (reading, writing) = (shop.as_bot(), shop.as_bot());
    shop.ask(&world.bot, Verb::PATCH, "", json!({"name": "new-name"})).await;

    let put = writing.create_comment(number, MARKER, MARKER).await.unwrap();
    assert_eq!(writing.moved_to().map(|name| name.to_string()).as_deref(), Some("acme/new-name"));
    assert_eq!(reading.pull(number).await.unwrap().number, number);
    assert_eq!(reading.moved_to().map(|name| name.to_string()).as_deref(), Some("acme/new-name"));
    let all = reading.comments(number).await.unwrap();
    assert_eq!(all.iter().map(|comment| comment.id).collect::<Vec<_>>(), [put.id], "it was written once");
}

#[tokio::test]
async fn an_outage_loses_nothing_and_doubles_nothing() {
    let mut world = World::start().await;
    let (number, repository) = {
        let shop = world.shop("outage").await;
        shop.branch("change", "web.yaml", "replicas: 2\n");
        (shop.open("change", "main", "Scale web").await, shop.as_bot())
    };
    let body = |text: &str| format!("{MARKER}\n### Leeboard: {text}\n");
    let first = repository.put_comment(number, None, MARKER, &body("1")).await.unwrap();
    world.gitea.stop().unwrap();
    // Asked while it is down, answered when it is there again.
    let waiting = tokio::spawn({
        let (repository, body) = (repository.clone(), body("2"));
        async move { repository.put_comment(number, None, MARKER, &body).await }
    });
    world.gitea.start_again().await.unwrap();
    let put = waiting.await.unwrap().unwrap();
    assert_eq!((put.how, put.comment.id), (How::Edited, first.comment.id));
    assert_eq!(repository.comments(number).await.unwrap().len(), 1);
}
