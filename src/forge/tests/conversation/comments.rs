//! Our comment: one, whatever is there, and whatever becomes of a request.

use parking_lot::Mutex;

use super::super::super::played::{Played, Reply, say, with};
use super::super::super::{How, Kind};
use super::token;

const MARKER: &str = "<!-- leeboard:preview v1 instance=hub pr=482 -->";

/// A comment as Gitea gives it.
fn gitea_comment(id: u64, user: u64, body: &str) -> String {
    let at = format!("2026-11-20T10:00:{:02}Z", id % 60);
    serde_json::json!({
        "id": id, "user": {"id": user, "login": "jane"}, "body": body, "created_at": at, "updated_at": at, "html_url": "x",
    })
    .to_string()
}

/// What a forge with comments has: id, author, body.
type Comments = Vec<(u64, u64, String)>;

fn with_comments(comments: Comments, on_post: fn(usize) -> Reply) -> impl Fn(&str, &str) -> Reply {
    let state = Mutex::new((comments, 0_usize));
    move |line: &str, request: &str| {
        let mut state = state.lock();
        let body = request.split_once("\n\n").unwrap().1;
        let written = || serde_json::from_str::<serde_json::Value>(body).unwrap()["body"].as_str().unwrap().to_owned();
        let id = || line.rsplit('/').next().unwrap().parse::<u64>().unwrap();
        if line.ends_with("/user") {
            return say(200, r#"{"id": 7, "login": "leeboard"}"#);
        }
        if line.starts_with("GET") && line.ends_with("/comments") {
            let all: Vec<String> = state.0.iter().map(|(id, author, body)| gitea_comment(*id, *author, body)).collect();
            return say(200, &format!("[{}]", all.join(",")));
        }
        if line.starts_with("POST") {
            state.1 += 1;
            let id = 100 + state.1 as u64;
            let reply = on_post(state.1);
            let is_kept = !matches!(&reply, Reply::Say(503, ..));
            if is_kept {
                state.0.push((id, 7, written()));
            }
            return match reply {
                Reply::Say(201, ..) => say(201, &gitea_comment(id, 7, &written())),
                other => other,
            };
        }
        let id = id();
        let Some(found) = state.0.iter().position(|(known, ..)| *known == id) else { return say(404, "{}") };
        match line.split(' ').next().unwrap() {
            "PATCH" => state.0[found].2 = written(),
            "DELETE" => {
                state.0.remove(found);
                return say(204, "");
            }
            _ => {}
        }
        let (id, author, body) = &state.0[found];
        say(200, &gitea_comment(*id, *author, body))
    }
}

fn made(_: usize) -> Reply {
    say(201, "")
}

#[tokio::test]
async fn a_comment_is_put_whatever_is_there() {
    let body = format!("{MARKER}\n### Leeboard\n");
    let other = format!("{MARKER}\nold");
    type Case = (&'static str, Comments, Option<u64>, How, u64, &'static str);
    let cases: Vec<Case> = vec![
        // what is there, comments, remembered, what was done, the comment, writes
        ("nothing", vec![], None, How::Created, 101, "POST"),
        ("ours", vec![(1, 7, other.clone())], None, How::Edited, 1, "PATCH"),
        ("ours, remembered", vec![(1, 7, other.clone())], Some(1), How::Edited, 1, "PATCH"),
        ("ours, the same", vec![(1, 7, body.replace('\n', "\r\n"))], Some(1), How::Unchanged, 1, ""),
        ("a stranger's with our marker", vec![(1, 8, other.clone())], None, How::Created, 101, "POST"),
        ("a stranger's, remembered", vec![(1, 8, other.clone())], Some(1), How::Created, 101, "POST"),
        ("gone, remembered", vec![], Some(1), How::Created, 101, "POST"),
        ("two of ours", vec![(1, 7, other.clone()), (2, 7, body.clone())], None, How::Edited, 1, "DELETE PATCH"),
        ("another instance's", vec![(1, 7, other.replace("hub", "eu"))], None, How::Created, 101, "POST"),
    ];
    for (what, comments, known, how, id, writes) in cases {
        let forge = Played::start(with_comments(comments, made)).await;
        let repository = forge.repository(Kind::Gitea, &token());
        let put = repository.put_comment(482, known, MARKER, &body).await.unwrap();
        assert_eq!((put.how, put.comment.id), (how, id), "{what}");
        let seen = forge.seen();
        let made: Vec<&str> =
            seen.iter().filter_map(|line| line.split(' ').next()).filter(|method| *method != "GET").collect();
        assert_eq!(made.join(" "), writes, "{what}");
        if what.contains("remembered") && known.is_some() && how != How::Created {
            assert!(!seen.iter().any(|line| line.ends_with("/482/comments")), "{what}: {seen:?}");
        }
    }
}

#[tokio::test]
async fn a_comment_whose_answer_was_lost_is_not_written_twice() {
    let body = format!("{MARKER}\n### Leeboard\n");
    type Case = (&'static str, fn(usize) -> Reply, usize);
    let cases: [Case; 3] = [
        ("it was written, and the answer was lost", |_| Reply::HangUp, 1),
        ("it was written, and a proxy says no", |_| say(502, "<html>"), 1),
        ("it was not written", |time| if time == 1 { say(503, "") } else { say(201, "") }, 2),
    ];
    for (what, reply, posts) in cases {
        let forge = Played::start(with_comments(vec![], reply)).await;
        let put = forge.repository(Kind::Gitea, &token()).put_comment(482, None, MARKER, &body).await.unwrap();
        assert_eq!((put.how, put.comment.body.trim_end()), (How::Created, body.trim_end()), "{what}");
        let seen = forge.seen();
        assert_eq!(seen.iter().filter(|line| line.starts_with("POST")).count(), posts, "{what}: {seen:?}");
    }
}

#[tokio::test]
async fn our_comment_is_found_on_the_last_page() {
    const LINKS: [&str; 3] = ["page=2", "page=3", "page=4"];
    let body = format!("{MARKER}\n### Leeboard\n");
    let comment = |id: u64, user: u64, body: &str| gitea_comment(id, user, body);
    let own = body.clone();
    let script = move |line: &str, _: &str| {
        if line.ends_with("/user") {
            return say(200, r#"{"id": 7, "login": "leeboard"}"#);
        }
        let page = LINKS.iter().position(|page| line.contains(page)).map_or(0, |at| at + 1);
        let all = match LINKS.get(page) {
            Some(_) => comment(page as u64 + 1, 8, &own),
            None => comment(90, 7, &own),
        };
        match LINKS.get(page) {
            Some(next) => with(200, &[("link", &format!(r#"<https://x/?{next}>; rel="next""#))], &format!("[{all}]")),
            None => say(200, &format!("[{all}]")),
        }
    };
    let forge = Played::start(script).await;
    let put = forge.repository(Kind::GitHub, &token()).put_comment(482, None, MARKER, &body).await.unwrap();
    assert_eq!((put.how, put.comment.id), (How::Unchanged, 90));
    assert_eq!(forge.seen().iter().filter(|line| line.contains("/comments")).count(), 4, "{:?}", forge.seen());
}

#[tokio::test]
async fn a_stale_version_is_read_again_once() {
    let comment = |version: u64| {
        format!(
            r#"{{"id": 5001, "version": {version}, "text": "x", "author": {{"id": 7, "name": "jane"}}, "createdDate": 1}}"#
        )
    };
    let stale = r#"{"errors": [{"message": "stale", "exceptionName": "com.atlassian.bitbucket.comment.CommentOutOfDateException"}]}"#;
    let script = move |line: &str, request: &str| match line.split(' ').next().unwrap() {
        "GET" => say(200, &comment(5)),
        "PUT" if request.contains("\"version\":5") => say(200, &comment(6)),
        "DELETE" if line.ends_with("version=5") => say(204, ""),
        _ => say(409, stale),
    };
    let forge = Played::start(script).await;
    let repository = forge.repository(Kind::BitbucketServer, &token());
    let edited = repository.edit_comment(&super::super::comment(Kind::BitbucketServer), "new").await.unwrap();
    assert_eq!(edited.version, Some(6));
    repository.delete_comment(&super::super::comment(Kind::BitbucketServer)).await.unwrap();
    assert_eq!(forge.seen().len(), 6);
}
