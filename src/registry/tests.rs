//! Registries that misbehave; a real one is asked in `tests/images.rs`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::json;

use super::client::Timing;
use super::*;

/// What a registry has been asked: `GET /v2/web/tags/list Bearer x`.
type Asked = Arc<Mutex<Vec<String>>>;

/// A registry on loopback that answers as `answer` says: status, headers, body.
struct Odd {
    address: SocketAddr,
    asked: Asked,
    task: tokio::task::JoinHandle<()>,
}

type Said = (u16, Vec<(&'static str, String)>, String);

impl Drop for Odd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Odd {
    async fn start(answer: impl Fn(SocketAddr, &str, usize) -> Said + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Asked::default();
        let (seen, answer) = (Arc::clone(&asked), Arc::new(answer));
        let app = axum::Router::new().fallback(move |request: Request| {
            let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
            async move {
                let authorization = request.headers().get("authorization").and_then(|value| value.to_str().ok());
                let line = format!("{} {} {}", request.method(), request.uri(), authorization.unwrap_or("-"));
                let number = {
                    let mut seen = seen.lock();
                    seen.push(line.clone());
                    seen.len()
                };
                let (status, headers, body) = answer(address, &line, number);
                let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(body)).unwrap()
            }
        });
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Odd { address, asked, task }
    }

    fn repository(&self) -> Repository {
        Repository::parse(&format!("{}/web", self.address)).unwrap()
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock())
    }
}

fn hurried() -> Registries {
    let milliseconds = Duration::from_millis;
    let timing = Timing { patience: milliseconds(300), pause: milliseconds(5), request: Duration::from_secs(5) };
    Registries::with_timing(Settings::default(), timing).unwrap()
}

fn keychain(registry: SocketAddr, entry: &serde_json::Value) -> Keychain {
    let file = json!({"auths": {registry.to_string(): entry}});
    Keychain::from_docker_config(file.to_string().as_bytes()).unwrap()
}

fn nobody() -> Keychain {
    Keychain::default()
}

fn ok(body: &str) -> Said {
    (200, vec![], body.into())
}

#[tokio::test]
async fn pages_of_tags_are_followed_on_the_same_server() {
    let registry = Odd::start(|_, line, _| match line.contains("last=b") {
        false => (
            200,
            vec![("link", "<https://evil.example/v2/web/tags/list?n=2&last=b>; rel=\"next\"".into())],
            json!({"name": "web", "tags": ["a", "b", "not a tag"]}).to_string(),
        ),
        true => ok(&json!({"name": "web", "tags": ["c"]}).to_string()),
    })
    .await;
    let tags = hurried().tags(&registry.repository(), &nobody()).await.unwrap();
    assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(registry.asked(), ["GET /v2/web/tags/list?n=1000 -", "GET /v2/web/tags/list?n=2&last=b -"]);
}

#[tokio::test]
async fn a_token_is_had_once_with_what_the_keychain_has() {
    let registry = Odd::start(|address, line, _| {
        let challenge = format!("Bearer realm=\"http://{address}/token\",service=\"s\",scope=\"repository:web:pull\"");
        if line.contains("/token") {
            return ok(&json!({"token": "t1", "expires_in": 300}).to_string());
        }
        match line.ends_with("Bearer t1") {
            true => ok(&json!({"tags": ["a"]}).to_string()),
            false => (401, vec![("www-authenticate", challenge)], String::new()),
        }
    })
    .await;
    let registries = hurried();
    let user = keychain(registry.address, &json!({"username": "u", "password": "p"}));
    for _ in 0..2 {
        registries.tags(&registry.repository(), &user).await.unwrap();
    }
    let list = "GET /v2/web/tags/list?n=1000";
    let token = "GET /token?service=s&scope=repository%3Aweb%3Apull Basic dTpw";
    let expected = [format!("{list} -"), token.into(), format!("{list} Bearer t1"), format!("{list} Bearer t1")];
    assert_eq!(registry.asked(), expected);
    // An identity is exchanged, and is in no address.
    let identity = keychain(registry.address, &json!({"identitytoken": "planted"}));
    registries.tags(&registry.repository(), &identity).await.unwrap();
    assert_eq!(registry.asked(), [format!("{list} -"), "POST /token -".into(), format!("{list} Bearer t1")]);
}

#[tokio::test]
async fn who_is_not_let_in_learns_why() {
    let user = |address| keychain(address, &json!({"username": "u", "password": "planted"}));
    let basic = || vec![("www-authenticate", "Basic realm=\"x\"".to_owned())];
    let refuses = Odd::start(move |_, _, _| (401, basic(), String::new())).await;
    let error = hurried().tags(&refuses.repository(), &user(refuses.address)).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    assert!(!format!("{error:?}").contains("planted"));
    let error = hurried().tags(&refuses.repository(), &nobody()).await.unwrap_err();
    assert!(matches!(error, Error::CredentialsMissing { .. }) && error.hint().is_some(), "{error}");

    let denies = Odd::start(|_, _, _| (403, vec![], String::new())).await;
    let error = hurried().tags(&denies.repository(), &nobody()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{}/web denies access", denies.address));

    for realm in ["https://169.254.169.254/token", "ftp://h/token", "/token"] {
        let leads = Odd::start(move |_, _, _| {
            (401, vec![("www-authenticate", format!("Bearer realm=\"{realm}\""))], String::new())
        })
        .await;
        let error = hurried().tags(&leads.repository(), &user(leads.address)).await.unwrap_err();
        assert!(matches!(error, Error::Redirected { .. } | Error::Odd { .. }), "{realm}: {error}");
    }
}

#[tokio::test]
async fn credentials_stay_behind_where_a_blob_is_elsewhere_and_nothing_else_may_be() {
    let store = Odd::start(|_, _, _| ok("bytes")).await;
    let to = store.address;
    let registry = Odd::start(move |_, line, _| match line.ends_with("Basic dTpw") {
        true => (307, vec![("location", format!("http://{to}/there"))], String::new()),
        false => (401, vec![("www-authenticate", "Basic".into())], String::new()),
    })
    .await;
    let user = keychain(registry.address, &json!({"username": "u", "password": "p"}));
    let hash = "277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9";
    let digest = Digest::new(&format!("sha256:{hash}")).unwrap();
    let registries = hurried();
    let blob = registries.blob(&registry.repository(), &digest, 100, &user).await;
    assert_eq!(blob, Ok(b"bytes".to_vec()));
    assert_eq!(store.asked(), ["GET /there -"]);
    let other = Digest::new(&format!("sha256:{}", "0".repeat(64))).unwrap();
    let mismatch = registries.blob(&registry.repository(), &other, 100, &user).await.unwrap_err();
    assert!(matches!(mismatch, Error::Mismatch { .. }), "{mismatch}");
    let large = registries.blob(&registry.repository(), &digest, 4, &user).await.unwrap_err();
    assert!(large.to_string().ends_with("is larger than the limit of 4 bytes"), "{large}");
    store.asked();
    let tags = registries.tags(&registry.repository(), &user).await.unwrap_err();
    assert_eq!(tags, Error::Redirected { registry: registry.address.to_string(), to: format!("http://{to}") });
    assert_eq!(store.asked(), [""; 0]);
}

#[tokio::test]
async fn a_registry_that_wants_a_pause_gets_it() {
    let busy = Odd::start(|_, _, number| match number {
        1 => (429, vec![], String::new()),
        2 => (503, vec![], String::new()),
        _ => ok(&json!({"tags": ["a"]}).to_string()),
    })
    .await;
    assert_eq!(hurried().tags(&busy.repository(), &nobody()).await.unwrap().len(), 1);
    assert_eq!(busy.asked().len(), 3);

    let closed = Odd::start(|_, _, _| (429, vec![("retry-after", "3600".into())], String::new())).await;
    let registries = hurried();
    for _ in 0..2 {
        let error = registries.tags(&closed.repository(), &nobody()).await.unwrap_err();
        let until = error.until().unwrap();
        assert!(until > Timestamp::now() + Duration::from_secs(3500) && error.is_transient(), "{error}");
    }
    assert_eq!(closed.asked().len(), 1, "it is not asked again before");

    let broken = Odd::start(|_, _, _| (500, vec![], String::new())).await;
    let error = hurried().tags(&broken.repository(), &nobody()).await.unwrap_err();
    assert_eq!(error, Error::Unavailable { registry: broken.address.to_string(), status: 500 });

    let gone = hurried().tags(&Repository::parse("127.0.0.1:1/web").unwrap(), &nobody()).await.unwrap_err();
    assert!(matches!(gone, Error::Unreachable { .. }) && gone.is_transient(), "{gone}");
}

#[tokio::test]
async fn what_is_no_registry_says_so() {
    let page = Odd::start(|_, _, _| ok("<html>Please sign in</html>")).await;
    let (registries, repository) = (hurried(), page.repository());
    let error = registries.tags(&repository, &nobody()).await.unwrap_err();
    assert!(error.to_string().ends_with("does not answer as a registry: its tags are no list"), "{error}");
    let digest = registries.digest(&repository, &Tag::new("a").unwrap(), &nobody()).await.unwrap_err();
    assert!(matches!(digest, Error::Odd { .. }), "{digest}");
    let endless = Odd::start(|_, _, number| {
        let link = format!("</v2/web/tags/list?last={number}>; rel=\"next\"");
        let tags: Vec<String> = (0..20_000).map(|tag| format!("t{tag}")).collect();
        (200, vec![("link", link)], json!({"tags": tags}).to_string())
    })
    .await;
    let error = registries.tags(&endless.repository(), &nobody()).await.unwrap_err();
    assert!(matches!(error, Error::TooMany { .. }), "{error}");
    let teapot =
        Odd::start(|_, _, _| (418, vec![], json!({"errors": [{"message": "short and stout"}]}).to_string())).await;
    let error = registries.tags(&teapot.repository(), &nobody()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{} answered 418: short and stout", teapot.address));
}

#[tokio::test]
async fn referrers_are_those_of_the_asked_type() {
    let digest = |digit: char| format!("sha256:{}", digit.to_string().repeat(64));
    let list = json!({"manifests": [
        {"digest": digest('a'), "size": 1, "artifactType": "application/vnd.x.signature"},
        {"digest": digest('b'), "size": 1, "artifactType": "application/vnd.x.report", "annotations": {"k": "v"}},
    ]});
    let registry = Odd::start(move |_, _, _| ok(&list.to_string())).await;
    let (registries, subject) = (hurried(), Digest::new(&digest('0')).unwrap());
    let of = async |artifact_type| {
        registries.referrers(&registry.repository(), &subject, artifact_type, &nobody()).await.unwrap()
    };
    assert_eq!(of(None).await.len(), 2);
    let reports = of(Some("application/vnd.x.report")).await;
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].annotations, BTreeMap::from([("k".to_owned(), "v".to_owned())]));
    assert!(registry.asked()[0].starts_with("GET /v2/web/referrers/sha256:0000"));
}
