//! What Gitea sends, as the daemon's own server takes it.

use std::sync::Arc;

use http::Method;
use leeboard::git::RepoUrl;
use leeboard::server::webhook::Secret;
use leeboard::server::{self, PullHint, PushHint, Secrets};
use parking_lot::RwLock;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::world::{Shop, World, eventually};

/// The daemon's server, which a repository sends its events to.
struct Receiver {
    pushes: mpsc::Receiver<PushHint>,
    pulls: mpsc::Receiver<PullHint>,
    metrics: Arc<leeboard::telemetry::Metrics>,
    _shutdown: tokio_util::sync::DropGuard,
}

impl Receiver {
    async fn of(shop: &Shop<'_>, signed_with: &str) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/webhook", listener.local_addr().unwrap());
        let (hints, pushes) = mpsc::channel(64);
        let (sender, pulls) = mpsc::channel(64);
        let metrics: Arc<leeboard::telemetry::Metrics> = Arc::default();
        let secrets = Secrets { gitea: Some(Secret::new(b"another\ns3cret")), ..Secrets::default() };
        let state = server::State {
            metrics: metrics.clone(),
            readiness: Arc::default(),
            secrets: Arc::new(RwLock::new(secrets)),
            hints,
            pulls: Some(sender),
            pages: Arc::default(),
        };
        let shutdown = CancellationToken::new();
        tokio::spawn(server::serve(listener, state, shutdown.clone()));
        let hook = json!({
            "type": "gitea", "active": true, "events": EVENTS,
            "config": {"url": url, "content_type": "json", "secret": signed_with},
        });
        shop.ask(&shop.world.bot, Method::POST, "hooks", hook).await;
        Receiver { pushes, pulls, metrics, _shutdown: shutdown.drop_guard() }
    }

    /// The next hint on a pull request; a delivery takes a while.
    async fn pull(&mut self, what: &str) -> PullHint {
        eventually(what, async || self.pulls.try_recv()).await
    }
}

/// What a person ticks.
const EVENTS: [&str; 6] =
    ["push", "pull_request", "pull_request_label", "pull_request_comment", "pull_request_sync", "pull_request_review"];

#[tokio::test]
async fn what_gitea_sends_is_recognised_and_verified() {
    let world = World::shared().await;
    let shop = world.shop("hooked").await;
    let mut receiver = Receiver::of(&shop, "s3cret").await;
    let url = shop.url();
    shop.branch("change", "web.yaml", "replicas: 2\n");
    let number = shop.open("change", "main", "Scale web").await;
    // The first push was before the hook, and may be told after it.
    let push = eventually("the push comes", async || match receiver.pushes.try_recv() {
        Ok(push) if push.reference == "refs/heads/main" => Err("the first push".to_owned()),
        Ok(push) => Ok(push),
        Err(error) => Err(error.to_string()),
    })
    .await;
    assert!(push.concerns(&url) && push.reference == "refs/heads/change", "{push:?}");
    let opened = receiver.pull("it was opened").await;
    assert_eq!((opened.number, opened.comment), (number, None));
    assert!(opened.concerns(&url));
    assert!(!opened.concerns(&RepoUrl::parse(&format!("{}/acme/other", world.gitea.url())).unwrap()));

    let comment = json!({"body": "/leeboard preview"});
    let comment = shop.ask(&world.jane, Method::POST, &format!("issues/{number}/comments"), comment).await;
    let id = comment["id"].as_u64();
    let hint = receiver.pull("a comment was written").await;
    assert_eq!((hint.number, hint.comment), (number, id));
    let path = format!("issues/comments/{}", id.unwrap());
    shop.ask(&world.jane, Method::PATCH, &path, json!({"body": "/leeboard approve"})).await;
    let hint = receiver.pull("a comment was changed").await;
    assert_eq!((hint.number, hint.comment), (number, None), "a changed comment is no command");

    shop.commit("web.yaml", "replicas: 3\n");
    shop.push(&world.jane, "acme/hooked", "change").unwrap();
    assert_eq!(receiver.pull("a commit was pushed").await.number, number);
    let review = json!({"event": "APPROVED", "body": "Yes"});
    shop.ask(&world.bot, Method::POST, &format!("pulls/{number}/reviews"), review).await;
    assert_eq!(receiver.pull("it was approved").await.number, number);
    let label = shop.ask(&world.jane, Method::POST, "labels", json!({"name": "a", "color": "#00aabb"})).await;
    let labels = json!({"labels": [label["id"]]});
    shop.ask(&world.jane, Method::POST, &format!("issues/{number}/labels"), labels).await;
    assert_eq!(receiver.pull("it was labelled").await.number, number);
    shop.ask(&world.jane, Method::PATCH, &format!("pulls/{number}"), json!({"state": "closed"})).await;
    assert_eq!(receiver.pull("it was closed").await.number, number);
}

#[tokio::test]
async fn an_event_with_another_signature_is_refused() {
    let world = World::shared().await;
    for (name, key) in [("forged", "guess"), ("unsigned", "")] {
        let shop = world.shop(name).await;
        let mut receiver = Receiver::of(&shop, key).await;
        shop.branch("change", "web.yaml", "replicas: 2\n");
        shop.open("change", "main", "Scale web").await;
        let refused = r#"leeboard_webhooks_total{provider="gitea",result="unauthenticated"}"#;
        eventually("events were refused", async || {
            let text = receiver.metrics.to_text();
            if text.contains(refused) { Ok(()) } else { Err(text) }
        })
        .await;
        assert!(receiver.pulls.try_recv().is_err() && receiver.pushes.try_recv().is_err(), "{name}");
    }
}
