//! Over ssh.

use leeboard::git::{CredentialStore, LocalRepositories, Mirrors, RepoUrl};

use super::Bench;
use crate::repository::Repository;
use crate::sshd::Sshd;

#[tokio::test(flavor = "multi_thread")]
async fn ssh_reads_with_each_kind_of_key_and_checks_the_host() {
    let repository = Repository::new();
    let Some(sshd) = Sshd::start("AcceptEnv GIT_PROTOCOL") else {
        println!("left out: there is no sshd on this machine");
        return;
    };
    let url = RepoUrl::parse(&sshd.url(&repository.bare())).unwrap();
    let ok = repository.head();
    let cases = [
        // key       known host     set to true           commit, or what the error says
        ("ed25519", Some("host"), None, Ok(ok.as_str())),
        ("rsa", Some("host"), None, Ok(ok.as_str())),
        ("rsa_pem", Some("host_rsa"), None, Ok(ok.as_str())),
        ("ed25519", None, None, Err("the host key of")),
        ("ed25519", Some("stranger"), None, Err("the host key of")),
        ("ed25519", None, Some("insecureIgnoreHostKey"), Ok(ok.as_str())),
        ("ed25519", None, Some("insecure"), Ok(ok.as_str())),
        ("stranger", Some("host"), None, Err("refuses the configured credentials")),
        ("host.pub", Some("host"), None, Err("the ssh key cannot be read")),
    ];
    for (key, known, further, expected) in cases {
        let mut data = std::collections::BTreeMap::<String, Vec<u8>>::new();
        data.insert("url".into(), sshd.url(&repository.bare()).into_bytes());
        data.insert("sshPrivateKey".into(), sshd.key(key));
        data.extend(further.map(|key| (key.to_owned(), b"true".to_vec())));
        let mut store = CredentialStore::new();
        store.add_repository_secret(&data).unwrap();
        if let Some(known) = known {
            store.add_known_hosts(&String::from_utf8(sshd.known_host(known)).unwrap());
        }
        let folder = tempfile::tempdir().unwrap();
        let mirrors = Mirrors::new(folder.path().to_owned(), LocalRepositories::Refused);
        mirrors.set_credentials(store);
        let mirror = mirrors.mirror(&url);
        let found = mirror.refresh(&["main".into()]).await.map(|r| r.commit("main").unwrap().clone().unwrap().id);
        match expected {
            Ok(commit) => assert_eq!(found.unwrap().to_string(), commit, "{key}, {known:?}, {further:?}"),
            Err(words) => {
                let error = found.unwrap_err();
                assert!(error.to_string().contains(words), "{key}, {known:?}, {further:?}: {error}");
                assert!(!error.is_transient(), "{error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_follows_a_branch_in_both_versions_of_the_protocol() {
    let repository = Repository::new();
    for accepts in ["AcceptEnv GIT_PROTOCOL", ""] {
        let Some(sshd) = Sshd::start(accepts) else {
            println!("left out: there is no sshd on this machine");
            return;
        };
        let bench = Bench::new(&sshd.url(&repository.bare()));
        let mut store = CredentialStore::new();
        let secret = [("url", sshd.url(&repository.bare()).into_bytes()), ("sshPrivateKey", sshd.key("ed25519"))];
        store.add_repository_secret(&secret.map(|(key, value)| (key.to_owned(), value)).into()).unwrap();
        store.add_known_hosts(&String::from_utf8(sshd.known_host("host")).unwrap());
        bench.mirrors.set_credentials(store);
        for number in 0..3 {
            let commit = repository.commit("x", &format!("{accepts}{number}"));
            repository.push("main");
            assert_eq!(bench.follow("main").await, Ok(commit.clone()), "{accepts}");
            assert_eq!(bench.follow(&commit[..8]).await, Ok(commit.clone()), "{accepts}");
            assert_eq!(bench.follow("HEAD").await, Ok(commit), "{accepts}");
        }
        let mirrors = &bench.mirrors;
        let missing = RepoUrl::parse(&sshd.url(&repository.root().join("none.git"))).unwrap();
        let mut store = CredentialStore::new();
        store.add_known_hosts(&String::from_utf8(sshd.known_host("host")).unwrap());
        let secret = [("url", sshd.url(repository.root()).into_bytes()), ("sshPrivateKey", sshd.key("ed25519"))];
        store.add_template_secret(&secret.map(|(key, value)| (key.to_owned(), value)).into()).unwrap();
        mirrors.set_credentials(store);
        let error = mirrors.mirror(&missing).refresh(&["main".into()]).await.unwrap_err();
        assert!(error.to_string().contains("does not appear to be a git repository"), "{error}");
        assert_eq!(bench.follow("main").await, Ok(repository.head()), "{accepts}");
    }
}
