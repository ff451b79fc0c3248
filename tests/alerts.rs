//! Notifications through the real binary and a real API server, to a mail server and to one that records what it is asked.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod harness;

use std::future::IntoFuture as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use harness::manifests::SETTINGS;
use harness::{A_WHILE, SOON, World, eventually, mailbox};
use serde_json::{Value, json};

/// A server that notes what it is told, and answers as the service whose path it is.
#[derive(Clone, Default)]
struct Recorder {
    told: Arc<Mutex<Vec<Told>>>,
    is_out_of_order: Arc<AtomicBool>,
}

#[derive(Clone, Debug)]
struct Told {
    /// Method and path.
    what: String,
    /// Headers that say who tells it.
    by: String,
    body: String,
    is_taken: bool,
}

impl Recorder {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let this = self.clone();
        let answer = async move |request: axum::extract::Request| this.answer(request).await;
        tokio::spawn(axum::serve(listener, axum::Router::new().fallback(answer)).into_future());
        address
    }

    async fn answer(&self, request: axum::extract::Request) -> Response {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let is_taken = !self.is_out_of_order.load(Ordering::Relaxed);
        let by = ["x-token", "authorization"].map(|name| parts.headers.get(name).map(|value| value.to_str().unwrap()));
        self.told.lock().unwrap().push(Told {
            what: format!("{} {}", parts.method, parts.uri.path()),
            by: by.into_iter().flatten().collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
            is_taken,
        });
        match parts.uri.path() {
            _ if !is_taken => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            "/slack/chat.postMessage" => r#"{"ok": true}"#.into_response(),
            "/teams" => "1".into_response(),
            path if path.starts_with("/api/v1/repos/") => (StatusCode::CREATED, Json(json!({"id": 1}))).into_response(),
            _ => StatusCode::OK.into_response(),
        }
    }

    /// The bodies that it took.
    fn taken(&self) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.iter().filter(|told| told.is_taken).map(|told| told.body.clone()).collect()
    }

    /// How often it refused a body.
    fn refused(&self, body: &str) -> usize {
        self.told.lock().unwrap().iter().filter(|told| !told.is_taken && told.body == body).count()
    }

    /// What it was told under this method and path.
    fn told(&self, what: &str) -> Vec<Told> {
        self.told.lock().unwrap().iter().filter(|told| told.what == what).cloned().collect()
    }
}

struct Stage {
    world: World,
    recorder: Recorder,
    /// The recorder's.
    address: String,
    mails: Arc<Mutex<String>>,
}

impl Stage {
    /// A world with services, a trigger and a template; mails are told by what there is without configuration.
    async fn new() -> Stage {
        let (recorder, mails) = (Recorder::default(), Arc::default());
        let (address, mail) = (recorder.start().await, mailbox(Arc::clone(&mails)).await);
        let world = World::new().await;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "argocd-notifications-secret"},
            "stringData": {"hook-token": "s3cret"},
        });
        let config = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-notifications-cm"},
            "data": {
                "service.email": format!("{{host: {}, port: {}, from: leeboard@example.com}}", mail.ip(), mail.port()),
                "service.webhook.recorder": format!("url: {address}\nheaders:\n- name: X-Token\n  value: $hook-token\n"),
                "template.told": "webhook:\n  recorder:\n    method: POST\n    path: /told\n    body: \
                    '{{.app.metadata.name}} {{.app.status.operationState.syncResult.revision}} \
                    {{(call .repo.GetCommitMetadata .app.status.sync.revision).Author}}'\n",
                "trigger.on-told": "- when: app.status.operationState.phase in ['Succeeded']\n  \
                    oncePer: app.status.operationState?.syncResult?.revision\n  send: [told]\n",
            },
        });
        world.control.apply(&secret.to_string()).await;
        world.control.apply(&config.to_string()).await;
        Stage { world, recorder, address, mails }
    }

    async fn configure(&self, data: &Value) {
        let patch = json!({"data": data}).to_string();
        let patch = ["patch", "configmap", "argocd-notifications-cm", "--type=merge", "-p", &patch];
        self.world.control.kubectl(patch).await.unwrap();
    }

    async fn subscribed(&self, name: &str, annotations: &Value) {
        let mut application = self.world.manifest(name, "app", &json!({}));
        application["metadata"]["annotations"] = annotations.clone();
        self.world.cluster.apply(&application.to_string(), [""; 0]).await;
    }

    fn commit(&self, greeting: &str) -> String {
        self.world.repo.commit("main", &[("app/config.yaml", &SETTINGS.replace("hello", greeting))])
    }

    /// What the recorder is told of a commit.
    fn word(&self, name: &str, commit: &str) -> String {
        let author = self.world.repo.git(&["log", "-1", "--format=%an <%ae>", commit]);
        format!("{name} {commit} {}", author.trim())
    }

    async fn taken(&self, expected: &[String]) {
        eventually(&format!("{expected:?} is taken"), SOON, async || {
            let taken = self.recorder.taken();
            if taken == expected { Ok(()) } else { Err(format!("{taken:?}\n{}", self.world.tail())) }
        })
        .await;
    }

    async fn mailed(&self, times: usize) {
        eventually(&format!("{times} mails are taken"), SOON, async || {
            let mails = self.mails();
            if mails == times { Ok(()) } else { Err(format!("{mails}\n{}", self.world.tail())) }
        })
        .await;
    }

    fn mails(&self) -> usize {
        self.mails.lock().unwrap().matches("Subject: Application web is deployed").count()
    }

    /// Waits until it is noted on the Application that something was told about a commit.
    async fn noted(&self, name: &str, key: &str) {
        eventually(&format!("{key} is noted"), SOON, async || {
            let application = self.world.control.object(&format!("application.argoproj.io/{name}")).await?;
            let text = application["metadata"]["annotations"]["notified.notifications.argoproj.io"].as_str();
            let noted: Value = serde_json::from_str(text.ok_or("nothing is noted")?).unwrap();
            let is_noted = noted.as_object().unwrap().iter().any(|(known, at)| known.contains(key) && at.is_i64());
            if is_noted { Ok(()) } else { Err(noted.to_string()) }
        })
        .await;
    }

    async fn killed_and_started_again(&mut self) {
        self.world.daemon.kill();
        self.world.daemon.restart().await;
        self.world.daemon.ready().await;
        eventually("the configuration is read", SOON, async || {
            let log = self.world.daemon.log();
            if log.contains("Notifications configured") { Ok(()) } else { Err(log) }
        })
        .await;
    }
}

#[tokio::test]
async fn what_happens_is_told_once_also_after_a_restart() {
    let mut stage = Stage::new().await;
    let first = stage.commit("hello");
    let annotations = json!({
        "notifications.argoproj.io/subscribe.on-deployed.email": "dev@example.com",
        "notifications.argoproj.io/subscribe.on-told.recorder": "",
    });
    stage.subscribed("web", &annotations).await;
    stage.world.synced("web", &first).await;
    let mut expected = vec![stage.word("web", &first)];
    stage.taken(&expected).await;
    stage.mailed(1).await;
    assert_eq!(stage.recorder.told("POST /told")[0].by, "s3cret");
    let mail = stage.mails.lock().unwrap().clone();
    for words in ["RCPT TO:<dev@example.com>", "MAIL FROM:<leeboard@example.com>", &first[..7]] {
        assert!(mail.contains(words), "{words}: {mail}");
    }
    stage.noted("web", &format!("{first}:on-deployed:[0].")).await;
    stage.noted("web", &format!("{first}:on-told:[0].")).await;

    stage.killed_and_started_again().await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!((stage.recorder.taken(), stage.mails()), (expected.clone(), 1), "{}", stage.world.tail());

    // A newer commit is another reason; and the daemon that was started again tells it.
    let second = stage.commit("good day");
    stage.world.synced("web", &second).await;
    expected.push(stage.word("web", &second));
    stage.taken(&expected).await;
    stage.mailed(2).await;
    stage.noted("web", &format!("{second}:on-deployed:[0].")).await;

    // Who wants to hear it again takes the note away.
    let removal = "notified.notifications.argoproj.io-";
    stage.world.control.kubectl(["annotate", "application.argoproj.io", "web", removal]).await.unwrap();
    stage.mailed(3).await;
}

#[tokio::test]
async fn what_is_not_taken_is_tried_again_also_after_a_restart() {
    let mut stage = Stage::new().await;
    stage.recorder.is_out_of_order.store(true, Ordering::Relaxed);
    let first = stage.commit("hello");
    stage.subscribed("web", &json!({"notifications.argoproj.io/subscribe.on-told.recorder": ""})).await;
    stage.world.synced("web", &first).await;
    let word = stage.word("web", &first);
    let tries = async |stage: &Stage, word: &str, times: usize| {
        eventually("it is tried", SOON, async || {
            let refused = stage.recorder.refused(word);
            if refused >= times { Ok(()) } else { Err(format!("{refused}\n{}", stage.world.tail())) }
        })
        .await;
    };
    tries(&stage, &word, 2).await;
    stage.killed_and_started_again().await;
    tries(&stage, &word, 3).await;
    stage.recorder.is_out_of_order.store(false, Ordering::Relaxed);
    stage.taken(std::slice::from_ref(&word)).await;
    stage.noted("web", &format!("{first}:on-told:[0].")).await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(stage.recorder.taken(), [word.as_str()]);

    // Also when what was to be told is over by then, as a label that is taken away again is.
    let labelled = "- {when: app.metadata.labels.loud == 'yes', send: [loud]}";
    stage
        .configure(&json!({
            "trigger.loud": labelled,
            "template.loud": "webhook: {recorder: {method: POST, path: /told, body: loud}}",
            "subscriptions": "- {recipients: [recorder], triggers: [loud]}",
        }))
        .await;
    stage.recorder.is_out_of_order.store(true, Ordering::Relaxed);
    let label = async |stage: &Stage, label: &str| {
        stage.world.control.kubectl(["label", "--overwrite", "application.argoproj.io", "web", label]).await.unwrap();
    };
    label(&stage, "loud=yes").await;
    tries(&stage, "loud", 1).await;
    label(&stage, "loud=no").await;
    stage.killed_and_started_again().await;
    stage.recorder.is_out_of_order.store(false, Ordering::Relaxed);
    stage.taken(&[word.clone(), "loud".to_owned()]).await;
    stage.killed_and_started_again().await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(stage.recorder.taken().len(), 2, "{}", stage.world.tail());
    label(&stage, "loud=yes").await;
    stage.taken(&[word, "loud".to_owned(), "loud".to_owned()]).await;

    // What was wrong may be the address: a message that waits goes where the configuration says now.
    stage.recorder.is_out_of_order.store(true, Ordering::Relaxed);
    let second = stage.commit("good day");
    let word = stage.word("web", &second);
    tries(&stage, &word, 1).await;
    let other = Recorder::default();
    stage.configure(&json!({"service.webhook.recorder": format!("url: {}", other.start().await)})).await;
    eventually("it is taken elsewhere", SOON, async || {
        let taken = other.taken();
        if taken == [word.as_str()] { Ok(()) } else { Err(format!("{taken:?}\n{}", stage.world.tail())) }
    })
    .await;
}

#[tokio::test]
async fn the_configuration_is_followed_and_its_mistakes_are_told() {
    let stage = Stage::new().await;
    let head = stage.commit("hello");
    stage.subscribed("web", &json!({})).await;
    stage.world.synced("web", &head).await;
    // Subscribed by the configuration, by a trigger that was not there when the daemon began.
    let body = "webhook: {recorder: {method: POST, path: /told, body: 'late {{.context.region}}'}}";
    stage
        .configure(&json!({
            "context": "region: east",
            "template.late": body,
            "trigger.late": "- {when: app.status.sync.status == 'Synced', send: [late]}",
            "subscriptions": "- {recipients: [recorder], triggers: [late], selector: '!quiet'}",
            "trigger.bad": "- when: app.status ==\n  send: [late]",
        }))
        .await;
    stage.taken(&["late east".to_owned()]).await;
    eventually("an Event says what is wrong", SOON, async || {
        let selector = "involvedObject.name=argocd-notifications-cm";
        let events = stage.world.control.kubectl(["get", "events", "--field-selector", selector, "-o", "json"]).await?;
        let place = "trigger.bad: line 1, column 22: when: the expression ends too early";
        if events.matches(place).count() == 1 { Ok(()) } else { Err(events) }
    })
    .await;

    // What has ended and begins again is told again.
    stage.configure(&json!({"trigger.late": "- {when: app.metadata.labels.loud == 'yes', send: [late]}"})).await;
    for (label, times) in [("loud=yes", 2), ("loud=no", 2), ("loud=yes", 3)] {
        let label = ["label", "--overwrite", "application.argoproj.io", "web", label];
        stage.world.control.kubectl(label).await.unwrap();
        stage.taken(&vec!["late east".to_owned(); times]).await;
        stage.world.daemon.ready().await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn each_service_is_told_by_a_project_and_the_end_of_an_application_too() {
    let stage = Stage::new().await;
    let (address, namespace) = (&stage.address, stage.world.control.name());
    let host = address.trim_start_matches("http://");
    let forge = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "forge", "labels": {"leeboard.dev/secret-type": "forge"}},
        "stringData": {"url": address, "type": "gitea", "token": "t0ken"},
    });
    stage.world.control.apply(&forge.to_string()).await;
    let template = format!(
        "message: '{{{{.app.metadata.name}}}} is done'\n\
        gitea: {{repoURLPath: '{address}/shop/web.git', status: {{state: success, label: deploy}}}}\n\
        pagerdutyv2: {{summary: done, severity: info, source: web}}\n\
        alertmanager: {{labels: {{alertname: Done}}}}\n"
    );
    stage
        .configure(&json!({
            "service.slack": format!("{{token: $hook-token, apiURL: {address}/slack}}"),
            "service.teams": format!("recipientUrls: {{ops: {address}/teams}}"),
            "service.teams-workflows": format!("recipientUrls: {{ops: {address}/workflows}}"),
            "service.alertmanager": format!("targets: [{host}, '127.0.0.1:1']"),
            "service.pagerdutyv2": format!("{{apiURL: {address}/pager, serviceKeys: {{ops: $hook-token}}}}"),
            "service.awssqs": format!("{{endpointUrl: {address}, region: eu-west-1, account: '123', key: AKID, secret: $hook-token}}"),
            "service.gitea": "{}",
            "template.done": template,
            "trigger.done": "- {when: app.status.sync.status == 'Synced', send: [done]}",
        }))
        .await;
    let project = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
        "metadata": {"name": "shop", "namespace": namespace, "annotations": {
            "notifications.argoproj.io/subscribe.done.slack": "general",
            "notifications.argoproj.io/subscribe.done.teams": "ops",
            "notifications.argoproj.io/subscribe.done.teams-workflows": "ops",
            "notifications.argoproj.io/subscribe.done.alertmanager": "",
            "notifications.argoproj.io/subscribe.done.pagerdutyv2": "ops",
            "notifications.argoproj.io/subscribe.done.awssqs": "queue",
            "notifications.argoproj.io/subscribe.done.gitea": "",
        }},
        "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "name": "*", "namespace": "*"}]},
    });
    stage.world.cluster.apply(&project.to_string(), [""; 0]).await;
    let head = stage.commit("hello");
    let mut application = stage.world.manifest("web", "app", &json!({"project": "shop"}));
    application["metadata"]["annotations"] = json!({"notifications.argoproj.io/subscribe.on-deleted.slack": "general"});
    application["metadata"]["finalizers"] = json!(["resources-finalizer.argocd.argoproj.io"]);
    stage.world.cluster.apply(&application.to_string(), [""; 0]).await;
    stage.world.synced("web", &head).await;
    let status = format!("POST /api/v1/repos/shop/web/statuses/{head}");
    let expected = [
        // method and path, by whom, in its body
        ("POST /slack/chat.postMessage", "Bearer s3cret", r#""channel":"general""#),
        ("POST /teams", "", "MessageCard"),
        ("POST /workflows", "", "AdaptiveCard"),
        ("POST /api/v2/alerts", "", r#""alertname":"Done""#),
        ("POST /pager/v2/enqueue", "", r#""routing_key":"s3cret""#),
        ("POST /123/queue", "AWS4-HMAC-SHA256 Credential=AKID/", "MessageBody=web%20is%20done"),
        (&status, "token t0ken", r#""context":"deploy""#),
    ];
    for (what, by, body) in expected {
        eventually(&format!("{what} is asked once"), SOON, async || match stage.recorder.told(what).as_slice() {
            [told] if told.by.contains(by) && told.body.contains(body) => Ok(()),
            told => Err(format!("{told:?}\n{}", stage.world.tail())),
        })
        .await;
    }
    stage.world.control.kubectl(["delete", "application.argoproj.io", "web", "--wait=false"]).await.unwrap();
    eventually("the end is told", SOON, async || {
        let told = stage.recorder.told("POST /slack/chat.postMessage");
        if told.iter().any(|told| told.body.contains("web is being deleted")) {
            Ok(())
        } else {
            Err(stage.world.tail())
        }
    })
    .await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(stage.recorder.told("POST /slack/chat.postMessage").len(), 2, "{}", stage.world.tail());
}
