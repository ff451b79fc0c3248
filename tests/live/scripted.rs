//! What a watch makes of an API server of few words: it answers requests for ConfigMaps with a script, in order.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use futures::stream::{self, StreamExt as _};
use leeboard::live::client::Cluster;
use leeboard::live::watch::LiveStore;
use serde_json::{Value, json};

use super::{PART_OF, eventually, kind, names};

/// One answer.
struct Answer {
    /// What the request's query must hold.
    query: &'static str,
    status: u16,
    lines: Vec<Value>,
    then: Then,
}

#[derive(Clone, Copy)]
enum Then {
    Close,
    Stay,
}

#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    surprises: Arc<Mutex<Vec<String>>>,
}

async fn serve(answers: Vec<Answer>) -> (Script, String) {
    let script = Script { answers: Arc::new(Mutex::new(answers.into())), surprises: Arc::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(answer).with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (script, url)
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let (path, query) = (request.uri().path().to_owned(), request.uri().query().unwrap_or_default().to_owned());
    let verbs = ["list", "watch", "patch", "delete"];
    let resources = json!([{"resource": "configmaps", "responseKind": {"kind": "ConfigMap"}, "scope": "Namespaced", "verbs": verbs}]);
    let versions = json!([{"version": "v1", "freshness": "Current", "resources": resources}]);
    let discovery =
        |items: Value| Response::new(Body::from(json!({"kind": "APIGroupDiscoveryList", "items": items}).to_string()));
    match path.as_str() {
        "/api" => return discovery(json!([{"metadata": {}, "versions": versions}])),
        "/apis" => return discovery(json!([])),
        _ => {}
    }
    let next = script.answers.lock().unwrap().pop_front();
    let Some(Answer { query: expected, status, lines, then }) = next else {
        return Response::new(Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()));
    };
    if !query.contains(expected) {
        script.surprises.lock().unwrap().push(format!("expected {expected}, was asked {path}?{query}"));
    }
    let lines: Vec<Result<Bytes, std::io::Error>> =
        lines.iter().map(|line| Ok(Bytes::from(format!("{line}\n")))).collect();
    let body = match then {
        Then::Close => Body::from_stream(stream::iter(lines)),
        Then::Stay => Body::from_stream(stream::iter(lines).chain(stream::pending())),
    };
    Response::builder().status(status).body(body).unwrap()
}

#[tokio::test]
async fn a_watch_resumes_relists_and_falls_back_as_the_api_server_wants() {
    let item = |name: &str, version: u64| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "n", "uid": name,
               "resourceVersion": version.to_string(), "labels": {PART_OF: "app"}}})
    };
    let event = |what: &str, object: Value| json!({"type": what, "object": object});
    let bookmark = |version: &str, end: bool| {
        let annotations = if end { json!({"k8s.io/initial-events-end": "true"}) } else { json!({}) };
        event(
            "BOOKMARK",
            json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"resourceVersion": version, "annotations": annotations}}),
        )
    };
    let status = |code: u16, reason: &str| json!({"kind": "Status", "code": code, "reason": reason, "message": "no"});
    let list = |items: Vec<Value>, next: &str| json!({"kind": "ConfigMapList", "metadata": {"resourceVersion": "40", "continue": next}, "items": items});
    let answer = |query, status, lines, then| Answer { query, status, lines, then };
    let script = vec![
        // The first list breaks off: it says nothing about what is missing.
        answer("sendInitialEvents=true", 200, vec![event("ADDED", item("a", 1))], Then::Close),
        answer(
            "sendInitialEvents=true",
            200,
            vec![
                event("ADDED", item("a", 1)),
                event("ADDED", item("b", 2)),
                bookmark("10", true),
                event("ADDED", json!({"metadata": {}, "broken": true})),
                bookmark("11", false),
            ],
            Then::Close,
        ),
        // It resumes where it was.
        answer("resourceVersion=11", 200, vec![event("MODIFIED", item("a", 12))], Then::Close),
        answer("resourceVersion=12", 200, vec![event("ERROR", status(410, "Expired"))], Then::Close),
        // An API server that lost the feature meanwhile: a list in pages, of which one fails.
        answer("sendInitialEvents=true", 422, vec![status(422, "Invalid")], Then::Close),
        answer("limit=500", 200, vec![list(vec![item("a", 30)], "next")], Then::Close),
        answer("continue=next", 410, vec![status(410, "Expired")], Then::Close),
        answer("limit=500", 200, vec![list(vec![item("a", 30)], "next")], Then::Close),
        answer("continue=next", 200, vec![list(vec![item("c", 31)], "")], Then::Close),
        answer("resourceVersion=40", 200, vec![event("ADDED", item("d", 41))], Then::Stay),
    ];
    let (script, url) = serve(script).await;
    let cluster = Cluster::of(kube::Config::new(url.parse().unwrap())).unwrap();
    let store = LiveStore::new(cluster);
    let kinds = BTreeSet::from([kind("", "ConfigMap", "v1")]);
    store.watch(&kinds);
    let mut complete = BTreeSet::new();
    eventually("the last event has arrived", async || {
        let view = store.view("app", [], &kinds);
        if view.incomplete.is_empty() {
            complete.insert(names(&store, "app"));
        }
        (names(&store, "app") == ["a", "c", "d"]).then_some(())
    })
    .await;
    assert!(!complete.contains(&vec!["a".to_owned()]), "a list that broke off was taken for complete");
    assert_eq!(script.surprises.lock().unwrap().as_slice(), [] as [String; 0]);
    assert!(script.answers.lock().unwrap().is_empty());
    store.shutdown().await;
}
