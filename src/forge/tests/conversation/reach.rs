//! How a forge is reached, who we are there, and where a token never goes.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::super::played::{BOT, HURRY, Played, app, say, signs_in, with};
use super::super::super::{Access, Done, Error, Forge, Kind, Report, probe};
use super::{status, text, token};
use crate::git::RepoUrl;

/// A certificate that nobody knows, and what it takes to serve with it: certificate in PEM, acceptor.
fn authority() -> (String, tokio_rustls::TlsAcceptor) {
    let _done_before = rustls::crypto::ring::default_provider().install_default();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let server = rustls::ServerConfig::builder().with_no_client_auth();
    let server = server.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    (made.cert.pem(), Arc::new(server).into())
}

#[tokio::test]
async fn a_forge_behind_an_authority_of_ones_own_is_trusted_when_it_is_named() {
    let (certificate, acceptor) = authority();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let body = text(Kind::Gitea, "pull-closed");
            let head = "HTTP/1.1 200 X\r\nconnection: close\r\ncontent-type: application/json";
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    let read = async |access: Access| {
        let forge = Arc::new(Forge::with_timing(Kind::Gitea, &url, &access, HURRY).unwrap());
        forge.repository(&RepoUrl::parse(&format!("{url}/platform/shop")).unwrap()).unwrap().pull(482).await
    };
    let error = read(token()).await.unwrap_err();
    let is_distrust = matches!(&error, Error::Unreachable { reason, .. } if reason.contains("certificate"));
    assert!(is_distrust, "{error}");
    read(Access { certificates: certificate.into_bytes(), ..token() }).await.unwrap();
    read(Access { skips_tls_check: true, ..token() }).await.unwrap();
    let bad = Forge::new(Kind::Gitea, &url, &Access { certificates: b"planted".to_vec(), ..token() });
    assert!(!bad.unwrap_err().to_string().contains("planted"));
    served.abort();
}

#[tokio::test]
async fn a_forge_is_reached_through_its_proxy() {
    let proxy = Played::start(|line, _| match line {
        "GET http://git.example.com/api/v1/repos/platform/shop/pulls/482" => {
            say(200, &text(Kind::Gitea, "pull-closed"))
        }
        _ => say(404, "{}"),
    });
    let proxy = proxy.await;
    let address = crate::git::Secret::new(proxy.url.clone().into_bytes());
    let access = Access { proxy: Some(address), ..token() };
    let url = "http://git.example.com";
    let forge = Arc::new(Forge::with_timing(Kind::Gitea, url, &access, HURRY).unwrap());
    let repository = forge.repository(&RepoUrl::parse(&format!("{url}/platform/shop.git")).unwrap()).unwrap();
    assert_eq!(repository.pull(482).await.unwrap().number, 482);

    let near = Played::start(|_, _| say(200, &text(Kind::Gitea, "pull-closed"))).await;
    let access = Access { no_proxy: "127.0.0.1".into(), ..access };
    near.repository(Kind::Gitea, &access).pull(482).await.unwrap();
    assert_eq!((near.seen().len(), proxy.seen().len()), (1, 1));
}

#[tokio::test]
async fn a_token_goes_to_its_forge_alone() {
    let other = Played::start(|_, _| say(200, "{}")).await;
    let elsewhere = other.url.clone();
    let forge = Played::start(move |_, _| with(302, &[("location", &format!("{elsewhere}/api/v1/x"))], "")).await;
    let repository = forge.repository(Kind::Gitea, &token());
    let error = repository.pull(482).await.unwrap_err();
    assert!(matches!(&error, Error::Redirected { to, .. } if *to == other.url), "{error}");
    let error = repository.put_status(&status()).await.unwrap_err();
    assert!(matches!(&error, Error::Redirected { to, .. } if *to == other.url), "{error}");
    assert!(other.seen().is_empty());
}

#[tokio::test]
async fn an_app_gets_a_token_for_an_hour_and_another_when_it_is_refused() {
    let access = app();
    let given = Mutex::new(0);
    let script = move |line: &str, request: &str| {
        let mut given = given.lock();
        *given += usize::from(line.ends_with("access_tokens"));
        if let Some(reply) = signs_in(line, request, &format!("ghs_{given}")) {
            return reply;
        }
        let header = request.lines().find(|line| line.starts_with("authorization: ")).unwrap_or_default();
        match line.split_once("/api/v3/").unwrap().1 {
            "users/leeboard[bot]" | "users/leeboard%5Bbot%5D" => say(200, BOT),
            "repos/platform/shop/check-runs" if line.starts_with("POST") => say(201, "{}"),
            path if path.contains("/check-runs?") => say(200, &text(Kind::GitHub, "check-runs")),
            // The first token is taken back at once.
            _ if header.ends_with("Bearer ghs_2") => say(200, &text(Kind::GitHub, "pull-closed")),
            _ => say(401, r#"{"message": "Bad credentials"}"#),
        }
    };
    let forge = Played::start(script).await;
    let repository = forge.repository(Kind::GitHub, &access);
    for _ in 0..2 {
        repository.pull(482).await.unwrap();
    }
    let tokens = forge.seen().iter().filter(|line| line.ends_with("access_tokens")).count();
    assert_eq!(tokens, 2, "{:?}", forge.seen());
    let me = repository.forge().myself().await.unwrap();
    assert_eq!((me.id.as_str(), me.login.as_str(), me.is_bot), ("99", "leeboard[bot]", true));
    let report = Report { status: status(), summary: "short".into(), text: String::new(), annotations: vec![] };
    assert_eq!(repository.put_report(&report).await.unwrap(), Done::Yes);
    assert_eq!(forge.seen().last().unwrap(), "POST /api/v3/repos/platform/shop/check-runs");
    let before = forge.seen().len();
    assert_eq!(forge.repository(Kind::GitHub, &token()).put_report(&report).await.unwrap(), Done::NotOffered);
    assert_eq!(forge.seen().len(), before);
}

#[tokio::test]
async fn a_host_is_asked_which_forge_it_is() {
    let cases: [(&str, &str, Option<Kind>); 5] = [
        ("GET /api/v1/version", r#"{"version": "1.26.0"}"#, Some(Kind::Gitea)),
        ("GET /api/v4/version", r#"{"version": "18.2.0", "revision": "6a1b2c3"}"#, Some(Kind::GitLab)),
        ("GET /api/v3/meta", r#"{"verifiable_password_authentication": true}"#, Some(Kind::GitHub)),
        (
            "GET /rest/api/1.0/application-properties",
            r#"{"version": "9.4.0", "displayName": "Bitbucket"}"#,
            Some(Kind::BitbucketServer),
        ),
        ("GET /", "<html>", None),
    ];
    for (asked, body, expected) in cases {
        let forge = Played::start(move |line, request| {
            assert!(!request.contains("planted"), "{request}");
            if line == asked { say(200, body) } else { say(404, "<html>") }
        });
        let forge = forge.await;
        assert_eq!(probe(&forge.url, &token()).await.unwrap(), expected, "{asked}");
    }
}
