//! Images of a real registry.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod harness;

use harness::Images;
use leeboard::promote::image::{Decision, Need, Policy};
use leeboard::registry::{Digest, Error, Keychain, Manifest, Registries, Repository, Settings, Tag, Tagged, Version};
use leeboard::sandbox::Admission;

fn tag(text: &str) -> Tag {
    Tag::new(text).unwrap()
}

/// What is asked of a real registry, by whom.
struct Asking {
    registries: Registries,
    repository: Repository,
    keychain: Keychain,
}

impl Asking {
    fn new(images: &Images, repository: &str) -> Asking {
        let repository = Repository::parse(&images.name(repository)).unwrap();
        let registries = Registries::new(Settings::default()).unwrap();
        Asking { registries, repository, keychain: Keychain::default() }
    }

    fn signed_in(self, images: &Images) -> Asking {
        let keychain = Keychain::from_docker_config(images.docker_config().as_bytes()).unwrap();
        Asking { keychain, ..self }
    }

    async fn tags(&self) -> Result<Vec<String>, Error> {
        let tags = self.registries.tags(&self.repository, &self.keychain).await?;
        Ok(tags.iter().map(ToString::to_string).collect())
    }

    async fn digest(&self, tag: &Tag) -> Option<Digest> {
        self.registries.digest(&self.repository, tag, &self.keychain).await.unwrap()
    }

    /// What a policy has to know, and what it says then.
    async fn choose(&self, policy: &Policy, current: &str) -> String {
        let bare = |tag: Tag| Tagged { tag, built: None, digest: None };
        let tags = self.registries.tags(&self.repository, &self.keychain).await.unwrap();
        let known = match policy.need() {
            Need::Tags => tags.into_iter().map(bare).collect(),
            Need::Times => {
                let allowed: Vec<Tag> = tags.into_iter().filter(|tag| policy.allows(tag)).collect();
                self.registries.images(&self.repository, &allowed, &self.keychain).await.unwrap()
            }
            Need::Digest(tag) => vec![Tagged { digest: self.digest(&tag).await, ..bare(tag) }],
        };
        match policy.choose(Some(&Version::Tag(tag(current))), &known) {
            Decision::Take { version, .. } => version.to_string(),
            Decision::Keep { why } => why,
        }
    }
}

#[tokio::test]
async fn a_registry_is_asked_for_tags_digests_and_times() {
    let images = Images::start(Admission::Everybody).await;
    let first = images.push("shop/web", "1.4.1", "2026-11-01T10:00:00Z").await;
    images.push("shop/web", "1.10.0", "2026-11-03T10:00:00Z").await;
    let several = images.push_index("shop/web", "1.9.0", "2026-11-04T10:00:00Z").await;
    images.push("shop/web", "2.0.0-rc.1", "2026-11-02T10:00:00Z").await;
    let web = Asking::new(&images, "shop/web");

    let mut tags = web.tags().await.unwrap();
    tags.sort();
    assert_eq!(tags, ["1.10.0", "1.4.1", "1.9.0", "2.0.0-rc.1"]);
    assert_eq!(web.digest(&tag("1.4.1")).await.unwrap().as_str(), first);
    assert_eq!(web.digest(&tag("1.9.0")).await.unwrap().as_str(), several);
    assert_eq!(web.digest(&tag("3")).await, None);

    let cases = [
        (Policy::semver("^1.4").unwrap(), "1.10.0".to_owned()),
        (Policy::semver(">=2.0.0-0").unwrap(), "2.0.0-rc.1".into()),
        (Policy::regex(r"1\.(\d)\..*").unwrap(), "1.9.0".into()),
        (Policy::newest(), "1.9.0".into()),
        (Policy::newest().of_tags(r"1\.\d\d\..*|1.4.1").unwrap(), "1.10.0".into()),
        (Policy::digest(tag("1.9.0")), several.clone()),
    ];
    for (policy, expected) in cases {
        assert_eq!(web.choose(&policy, "1.4.1").await, expected, "{policy:?}");
    }

    // A tag that moves means something else at once.
    let moved = images.push("shop/web", "1.9.0", "2026-11-05T10:00:00Z").await;
    assert_eq!(web.choose(&Policy::digest(tag("1.9.0")), "1.4.1").await, moved);
    assert_ne!(moved, several);

    let none = Asking::new(&images, "shop/none").tags().await.unwrap_err();
    assert!(matches!(&none, Error::NotFound { .. }), "{none}");
}

#[tokio::test]
async fn long_lists_of_tags_come_in_pages() {
    let images = Images::start(Admission::Everybody).await;
    for number in 0..1100 {
        images.push("many", &format!("main-{number}"), "2026-11-01T10:00:00Z").await;
    }
    let many = Asking::new(&images, "many");
    assert_eq!(many.tags().await.unwrap().len(), 1100);
    assert_eq!(many.choose(&Policy::regex(r"main-(\d+)").unwrap(), "main-7").await, "main-1099");
}

#[tokio::test]
async fn manifests_blobs_and_what_refers_to_them_are_read() {
    let images = Images::start(Admission::Everybody).await;
    let subject = images.push("web", "1", "2026-11-01T10:00:00Z").await;
    let report = images.refer("web", &subject, "application/vnd.example.report").await;
    let Asking { registries, repository, keychain } = Asking::new(&images, "web");
    let subject = Digest::new(&subject).unwrap();

    let manifest = registries.manifest(&repository, &subject, &keychain).await.unwrap();
    let Manifest::Image { config, .. } = manifest else { panic!("{manifest:?}") };
    let blob = registries.blob(&repository, &config.digest, 1000, &keychain).await.unwrap();
    assert!(String::from_utf8(blob).unwrap().contains("2026-11-01"));

    let of = async |artifact_type| registries.referrers(&repository, &subject, artifact_type, &keychain).await.unwrap();
    let digests: Vec<String> = of(None).await.iter().map(|found| found.digest.to_string()).collect();
    assert_eq!(digests, [report.as_str()]);
    assert_eq!(of(Some("application/vnd.example.report")).await.len(), 1);
    assert_eq!(of(Some("application/vnd.example.signature")).await, []);
    let nothing = registries.referrers(&repository, &Digest::new(&report).unwrap(), None, &keychain).await.unwrap();
    assert_eq!(nothing, []);
}

#[tokio::test]
async fn a_registry_that_asks_who_asks_is_told() {
    let images = Images::start(Admission::SignedIn).await;
    images.push("web", "1", "2026-11-01T10:00:00Z").await;
    let nobody = Asking::new(&images, "web").tags().await.unwrap_err();
    assert!(matches!(&nobody, Error::CredentialsMissing { .. }), "{nobody}");
    let signed_in = Asking::new(&images, "web").signed_in(&images);
    assert_eq!(signed_in.tags().await.unwrap(), ["1"]);
    let config = images.docker_config().replace("\"password\":\"sandbox\"", "\"password\":\"wrong\"");
    let keychain = Keychain::from_docker_config(config.as_bytes()).unwrap();
    let wrong = Asking { keychain, ..Asking::new(&images, "web") }.tags().await.unwrap_err();
    assert!(matches!(&wrong, Error::Unauthorized { .. }), "{wrong}");
}

#[tokio::test]
async fn a_registry_that_is_gone_and_comes_back_is_asked_again() {
    let mut images = Images::start(Admission::Everybody).await;
    images.push("web", "1", "2026-11-01T10:00:00Z").await;
    let web = Asking::new(&images, "web");
    images.registry().stop().unwrap();
    let asked = web.tags();
    let (tags, started) = tokio::join!(asked, images.registry().start_again());
    started.unwrap();
    assert_eq!(tags.unwrap(), ["1"]);
}
