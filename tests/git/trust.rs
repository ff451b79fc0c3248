//! Who is shown what, and who is believed.

use std::sync::Arc;

use leeboard::git::{CredentialStore, Credentials, Error, RepoUrl};

use super::Bench;
use crate::authority::Authority;
use crate::repository::Repository;
use crate::server::{Fault, GitServer};

#[tokio::test(flavor = "multi_thread")]
async fn credentials_go_to_their_server_only() {
    let repository = Repository::new();
    let server = GitServer::start(repository.root()).await;
    let other = GitServer::start(repository.root()).await;
    let expected = "Basic YWRhOnBsYW50ZWQ=";
    server.require(expected);
    let url = server.url("shop.git");
    let bench = Bench::new(&url);
    let error = bench.refresh(&["main"]).await.unwrap_err();
    assert!(matches!(error, Error::CredentialsMissing { .. }), "{error}");

    let with = |prefix: &str, password: &str| {
        let mut store = CredentialStore::new();
        store.add_template(prefix, Credentials::basic("ada", password)).unwrap();
        bench.mirrors.set_credentials(store);
    };
    let root = format!("http://{}", server.address);
    with(&root, "wrong");
    let error = bench.refresh(&["main"]).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("wrong"), "{error:?}");
    with(&root, "planted");
    assert_eq!(bench.follow("main").await, Ok(repository.head()));

    // In the address, which is shown without them.
    let inside = Bench::new(&url.replace("http://", "http://ada:planted@"));
    assert_eq!(inside.follow("main").await, Ok(repository.head()));
    assert!(!format!("{:?} {}", inside.mirror.url(), inside.mirror.url()).contains("planted"));

    // Neither to another port of the same host, nor along a redirect.
    let stranger = bench.mirrors.mirror(&RepoUrl::parse(&other.url("shop.git")).unwrap());
    stranger.refresh(&["main".into()]).await.unwrap();
    server.set_fault(Some(Fault::RedirectTo(format!("http://{}", other.address))));
    let error = bench.refresh(&["main"]).await.unwrap_err();
    assert!(matches!(error, Error::Redirected { .. }), "{error}");
    let seen = other.seen();
    assert!(!seen.is_empty() && seen.iter().all(|seen| seen.authorization.is_none()), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_who_it_claims_to_be_is_not_trusted() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let repository = Repository::new();
    let server = GitServer::start(repository.root()).await;
    let (ours, other) = (Authority::new(), Authority::new());
    let cases = [
        // certificate                        trusted          set to true       why it is not trusted
        (ours.server("localhost", 2100), Some(&ours), None, None),
        (ours.server("localhost", 2100), None, None, Some("signed by no authority")),
        (ours.server("localhost", 2100), Some(&other), None, Some("signed by no authority")),
        (ours.server("elsewhere.example", 2100), Some(&ours), None, Some("is for another name")),
        (ours.server("localhost", 2010), Some(&ours), None, Some("has expired")),
        (ours.server("localhost", 2100), None, Some("insecure"), None),
        (ours.server("localhost", 2100), None, Some("insecureIgnoreHostKey"), Some("signed by no authority")),
    ];
    for (number, (config, trusted, setting, refusal)) in cases.into_iter().enumerate() {
        let tls = server.behind_tls(config).await;
        let url = format!("https://localhost:{}/shop.git", tls.port);
        let bench = Bench::new(&url);
        let mut store = CredentialStore::new();
        let mut data = std::collections::BTreeMap::from([("url".to_owned(), url.into_bytes())]);
        data.extend(setting.map(|key: &str| (key.to_owned(), b"true".to_vec())));
        store.add_repository_secret(&data).unwrap();
        if let Some(authority) = trusted {
            store.add_certificates("localhost", authority.pem().as_bytes());
        }
        bench.mirrors.set_credentials(store);
        let found = bench.follow("main").await;
        match refusal {
            None => assert_eq!(found, Ok(repository.head()), "case {number}"),
            Some(words) => {
                let error = found.unwrap_err();
                let is_distrust = matches!(error, Error::Untrusted { .. });
                assert!(is_distrust && error.to_string().contains(words), "case {number}: {error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_shown() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let repository = Repository::new();
    let server = GitServer::start(repository.root()).await;
    let authority = Authority::new();
    let (certificate, key) = authority.sign("localhost", 2100);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let builder = rustls::ServerConfig::builder().with_client_cert_verifier(verifier);
    let tls = server.behind_tls(builder.with_single_cert(vec![certificate.der().clone()], private).unwrap()).await;

    let url = format!("https://localhost:{}/shop.git", tls.port);
    let bench = Bench::new(&url);
    let (certificate, key) = authority.sign("leeboard", 2100);
    let secret = [
        ("url", url),
        ("ca.crt", authority.pem()),
        ("tlsClientCertData", certificate.pem()),
        ("tlsClientCertKey", key.serialize_pem()),
    ];
    let mut store = CredentialStore::new();
    store.add_repository_secret(&secret.map(|(key, value)| (key.to_owned(), value.into_bytes())).into()).unwrap();
    bench.mirrors.set_credentials(store);
    assert_eq!(bench.follow("main").await, Ok(repository.head()));
}
