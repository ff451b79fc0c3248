//! Images of a real registry.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod harness;

use harness::{Images, SOON, World, eventually};
use leeboard::promote::image::{Decision, Need, Policy};
use leeboard::registry::{Digest, Error, Keychain, Manifest, Registries, Repository, Settings, Tag, Tagged, Version};
use leeboard::sandbox::{Admission, Registry};
use serde_json::{Value, json};

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

/// A world in which the Environment `dev` follows images of a registry.
struct Following {
    world: World,
    images: Images,
}

impl Following {
    async fn new(admission: Admission) -> Following {
        let (world, images) = tokio::join!(World::new(), Images::start(admission));
        let this = Following { world, images };
        this.permit("allow").await;
        this.world.repo.commit(
            "env/dev",
            &[
                ("clusters/dev/web.yaml", &this.web()),
                ("clusters/dev/kustomization.yaml", &this.kustomization("1.4.1")),
            ],
        );
        this
    }

    /// A Deployment of the image.
    fn web(&self) -> String {
        let container = json!({"name": "web", "image": self.images.name("shop/web")});
        let labels = json!({"app": "web"});
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        })
        .to_string()
    }

    /// The file, with this tag of the image.
    fn kustomization(&self, tag: &str) -> String {
        let name = self.images.name("shop/web");
        format!("# The shop.\nresources:\n- web.yaml\nimages:\n- name: {name} # ours\n  newTag: {tag}\n")
    }

    async fn apply(&self, object: Value) {
        self.world.cluster.apply(&object.to_string(), [""; 0]).await;
    }

    /// What the AppProject says about commits that no person makes.
    async fn permit(&self, permit: &str) {
        let anything = json!({"namespace": "*", "server": "*"});
        self.apply(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
            "metadata": {
                "name": "default", "namespace": self.world.control.name(),
                "annotations": {"leeboard.dev/auto-promotion": permit},
            },
            "spec": {
                "sourceRepos": ["*"], "destinations": [anything],
                "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
            },
        }))
        .await;
    }

    /// What `docker login` writes, as a Secret of the installation.
    async fn sign_in(&self) {
        self.apply(json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {
                "name": "registry", "namespace": self.world.control.name(),
                "labels": {"leeboard.dev/secret-type": "registry"},
            },
            "stringData": {".dockerconfigjson": self.images.docker_config()},
        }))
        .await;
    }

    async fn follow(&self, policy: Value) {
        // Not empty: an apply that takes the last field out of a mapping leaves null behind.
        self.follow_while(policy, json!({"historyLimit": 50})).await;
    }

    /// The same, while this is said of promotion.
    async fn follow_while(&self, policy: Value, promotion: Value) {
        self.apply(json!({
            "apiVersion": "leeboard.dev/v1alpha1", "kind": "Environment",
            "metadata": {"name": "dev", "namespace": self.world.control.name()},
            "spec": {
                "repoURL": self.world.repo.url(), "branch": "env/dev", "path": "clusters/dev",
                "destination": {"name": "in-cluster", "namespace": self.world.shop.name()},
                "promotion": promotion,
                "images": {
                    "interval": "10s",
                    "follow": [{"name": self.images.name("shop/web"), "policy": policy}],
                },
            },
        }))
        .await;
    }

    /// The file on the branch.
    fn written(&self) -> String {
        self.world.repo.in_bare(&["show", "env/dev:clusters/dev/kustomization.yaml"])
    }

    /// Waits until the branch has this version, and nothing else has changed.
    async fn has(&self, expected: &str) {
        eventually("the branch has the version", SOON, async || {
            let written = self.written();
            if written == expected.trim_end() { Ok(()) } else { Err(format!("{written}\n{}", self.log())) }
        })
        .await;
    }

    /// Waits until the Environment says what is in the way.
    async fn complains(&self, expected: &str) {
        eventually("the Environment says what is in the way", SOON, async || {
            let environment = self.world.control.object("environment.leeboard.dev/dev").await?;
            let conditions = environment["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let said = conditions.iter().find(|condition| condition["type"] == "ImagesBlocked");
            let said = said.and_then(|condition| condition["message"].as_str()).unwrap_or("nothing");
            if said.contains(expected) { Ok(()) } else { Err(format!("{said}\n{}", self.log())) }
        })
        .await;
    }

    fn log(&self) -> String {
        self.world.daemon.log()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_tag_of_a_registry_is_committed_and_deployed() {
    let following = Following::new(Admission::SignedIn).await;
    let images = &following.images;
    for tag in ["1.4.1", "1.5.0", "2.0.0"] {
        images.push("shop/web", tag, "2026-11-01T10:00:00Z").await;
    }
    following.follow(json!({"semver": "^1.4"})).await;
    following.complains("wants credentials, none are configured for it").await;
    following.sign_in().await;
    following.has(&following.kustomization("1.5.0")).await;

    let name = images.name("shop/web");
    let message = following.world.repo.in_bare(&["log", "-1", "--format=%an%n%B", "env/dev"]);
    let start =
        format!("Leeboard\nSet {name} to 1.5.0 in dev\n\n1.5.0 is the highest version in `^1.4`\n\nLeeboard-Change: ");
    assert!(message.starts_with(&start) && message.ends_with(&format!("\nLeeboard-Image: {name}=1.5.0")), "{message}");
    let image = "{.spec.template.spec.containers[0].image}";
    following.world.field("deployment/web", image, &format!("{name}:1.5.0")).await;
    assert!(!following.log().contains(Registry::PASSWORD), "the password is in the log");

    images.push("shop/web", "1.10.0", "2026-11-02T10:00:00Z").await;
    following.has(&following.kustomization("1.10.0")).await;
    following.world.field("deployment/web", image, &format!("{name}:1.10.0")).await;
    let commits = following.world.repo.in_bare(&["rev-list", "--count", "env/dev"]);
    assert_eq!(commits, "3", "one commit for each version");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_has_set_stays_and_is_told() {
    let following = Following::new(Admission::Everybody).await;
    following.images.push("shop/web", "main-7", "2026-11-01T10:00:00Z").await;
    following.follow(json!({"newest": true, "allowTags": "main-.*"})).await;
    following.has(&following.kustomization("main-7")).await;

    following.world.repo.git(&["pull", "--quiet", "origin", "env/dev"]);
    let by_hand = following.kustomization("hotfix");
    let hotfix = following.world.repo.commit("env/dev", &[("clusters/dev/kustomization.yaml", &by_hand)]);
    following.images.push("shop/web", "main-8", "2026-11-02T10:00:00Z").await;
    following.complains("was set to hotfix by Tess Tester").await;
    assert_eq!(following.world.repo.head("env/dev"), hotfix);
    // Put back, it follows again.
    let back = following.kustomization("main-7");
    following.world.repo.commit("env/dev", &[("clusters/dev/kustomization.yaml", &back)]);
    following.has(&following.kustomization("main-8")).await;
    following.complains("nothing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_projects_permit_or_past_a_lock_nothing_is_committed() {
    let following = Following::new(Admission::Everybody).await;
    following.permit("no").await;
    let digest = following.images.push("shop/web", "stable", "2026-11-01T10:00:00Z").await;
    let policy = json!({"digest": "stable"});
    following.follow_while(policy.clone(), json!({"locked": {"reason": "audit", "by": "Ada"}})).await;
    following.complains("the AppProject `default` does not let commits be made without a person").await;
    following.permit("allow").await;
    following.complains("dev is locked by Ada: audit").await;
    following.follow_while(policy.clone(), json!({"hold": {"reason": "we look at it"}})).await;
    following.complains("dev is held: we look at it").await;
    assert_eq!(following.written(), following.kustomization("1.4.1").trim_end());
    following.follow(policy).await;
    following.has(&following.kustomization("1.4.1").replace("newTag: 1.4.1", &format!("digest: {digest}"))).await;
}
