//! Figures, for who asks for them.

use leeboard::git::{CredentialStore, RepoUrl, Watch};

use super::{Bench, ways};
use crate::repository::Repository;
use crate::sshd::Sshd;

/// Run with `--ignored --nocapture`: how long a refresh takes after a push of one commit.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures"]
async fn figures() {
    let repository = Repository::new();
    for number in 0..300 {
        std::fs::create_dir_all(repository.work().join(format!("apps/{number}"))).unwrap();
        std::fs::write(repository.work().join(format!("apps/{number}/web.yaml")), number.to_string()).unwrap();
    }
    repository.commit("x", "0");
    repository.push("main");
    let mut ways = ways(&repository).await;
    let sshd = Sshd::start("AcceptEnv GIT_PROTOCOL");
    if let Some(sshd) = &sshd {
        ways.push(("ssh", sshd.url(&repository.bare()), None));
    }
    for (way, url, _server) in ways {
        let bench = Bench::new(&url);
        if let Some(sshd) = &sshd {
            let mut store = CredentialStore::new();
            let secret = [("url", url.clone().into_bytes()), ("sshPrivateKey", sshd.key("ed25519"))];
            store.add_repository_secret(&secret.map(|(key, value)| (key.to_owned(), value)).into()).unwrap();
            store.add_known_hosts(&String::from_utf8(sshd.known_host("host")).unwrap());
            bench.mirrors.set_credentials(store);
        }
        let mut times = [const { Vec::new() }; 4];
        let time = std::time::Instant::now;
        bench.refresh(&["main"]).await.unwrap();
        for number in 0..30 {
            repository.commit("apps/7/web.yaml", &format!("{way}{number}"));
            repository.push("main");
            let start = time();
            bench.refresh(&["main"]).await.unwrap();
            times[0].push(start.elapsed());
            let start = time();
            bench.refresh(&["main"]).await.unwrap();
            times[1].push(start.elapsed());
            let start = time();
            let commit = bench.mirror.resolve("main").unwrap();
            times[2].push(start.elapsed());
            let start = time();
            let snapshot = bench.mirror.snapshot(&commit).unwrap();
            for number in 0..300 {
                snapshot.read(&format!("apps/{number}/web.yaml")).unwrap().unwrap();
            }
            times[3].push(start.elapsed());
        }
        for (what, times) in ["fetch after a push", "nothing moved", "resolve", "read 300 files"].iter().zip(&mut times)
        {
            times.sort();
            println!("{way:>16}  {what:<20} p50 {:>9.2?}  max {:>9.2?}", times[15], times[29]);
        }
    }
    let url = RepoUrl::parse(repository.bare().to_str().unwrap()).unwrap();
    let mut watch = Watch::new().unwrap();
    watch.add(&url).unwrap();
    let mut times = Vec::new();
    for number in 0..20 {
        repository.commit("x", &number.to_string());
        let bare = repository.bare();
        let (name, head) = (bare.join("refs/heads/main"), repository.head());
        std::fs::write(bare.join("refs/heads/main.lock"), head).unwrap();
        let start = std::time::Instant::now();
        std::fs::rename(bare.join("refs/heads/main.lock"), name).unwrap();
        watch.changed().await;
        times.push(start.elapsed());
    }
    times.sort();
    println!("{:>16}  {:<20} p50 {:>9.2?}  max {:>9.2?}", "file", "push noticed", times[10], times[19]);
}
