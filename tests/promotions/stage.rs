//! [`Pipeline`]: environments one after another on branches of a repository, and the daemon that carries commits along.

use std::path::Path;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::world::{Shop, World};

use crate::harness::{Cluster, Daemon, DaemonOptions, Namespace, Repo, eventually, install_crds, leeboard};

/// Until something that takes a few syncs has happened.
pub const A_WHILE: Duration = Duration::from_secs(60);

/// The secret of the webhooks.
const HOOK: &str = "a secret of hooks";

/// Where the branches are.
enum Origin {
    /// A repository on this machine.
    Files(Repo),
    /// One of a real forge.
    Forge(Shop<'static>),
}

impl Origin {
    fn url(&self) -> String {
        match self {
            Origin::Files(repo) => repo.url(),
            Origin::Forge(shop) => shop.url().to_string(),
        }
    }

    fn git(&self, arguments: &[&str]) -> String {
        match self {
            Origin::Files(repo) => repo.git(arguments),
            Origin::Forge(shop) => shop.git(arguments),
        }
    }

    /// Where git pushes to and fetches from.
    fn remote(&self) -> String {
        match self {
            Origin::Files(_) => "origin".into(),
            Origin::Forge(shop) => shop.world.gitea.clone_url(&shop.world.jane, &format!("acme/{}", shop.name)),
        }
    }
}

pub struct Pipeline {
    pub cluster: &'static Cluster,
    origin: Origin,
    pub control: Namespace<'static>,
    pub target: Namespace<'static>,
    pub daemon: Daemon,
}

/// What the shop of an environment holds: one ConfigMap, named after the environment.
fn directory(environment: &str) -> Vec<(String, String)> {
    let kustomization = format!("resources: [../../apps/shop]\nnamePrefix: {environment}-\n");
    vec![(format!("clusters/{environment}/kustomization.yaml"), kustomization)]
}

pub fn shop(greeting: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: shop}}\ndata: {{greeting: \"{greeting}\"}}\n")
}

impl Pipeline {
    /// These environments, each on a branch `env/NAME` that begins with the same commit; with these policies.
    pub async fn start(environments: &[(&str, Value)]) -> Pipeline {
        Pipeline::on(Origin::Files(Repo::new()), environments).await
    }

    /// The same on a real forge.
    pub async fn on_forge(name: &str, environments: &[(&str, Value)]) -> Pipeline {
        Pipeline::on(Origin::Forge(World::shared().await.shop(name).await), environments).await
    }

    async fn on(origin: Origin, environments: &[(&str, Value)]) -> Pipeline {
        let cluster = Cluster::shared().await;
        install_crds(cluster).await;
        cluster.kubectl(["apply", "--server-side", "-f", "deploy/promotion-policy.yaml"]).await.unwrap();
        let (control, target) = tokio::join!(cluster.namespace("control"), cluster.namespace("target"));
        let mut files = vec![
            ("apps/shop/kustomization.yaml".to_owned(), "resources: [shop.yaml]\n".to_owned()),
            ("apps/shop/shop.yaml".to_owned(), shop("hello")),
        ];
        files.extend(environments.iter().flat_map(|(name, _)| directory(name)));
        let (first, _) = environments[0];
        match &origin {
            Origin::Files(repo) => {
                let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (&**path, &**text)).collect();
                repo.commit(&branch(first), &files);
            }
            Origin::Forge(shop) => {
                shop.git(&["switch", "--quiet", "--create", &branch(first)]);
                shop.commit_all(&files);
                shop.git(&["push", "--quiet", &origin.remote(), &branch(first)]);
                for secret in secrets(shop, control.name()) {
                    cluster.apply(&secret.to_string(), [""; 0]).await;
                }
            }
        }
        for (name, _) in &environments[1..] {
            origin.git(&["branch", &branch(name), &branch(first)]);
            origin.git(&["push", "--quiet", &origin.remote(), &branch(name)]);
        }
        let project = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {
                "name": "default",
                "namespace": control.name(),
                "annotations": {"leeboard.dev/auto-promotion": "allow"},
            },
            "spec": {
                "sourceRepos": ["*"],
                "destinations": [{"server": "*", "namespace": "*"}],
                "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
            },
        });
        cluster.apply(&project.to_string(), [""; 0]).await;
        let daemon = Daemon::start(cluster, control.name(), DaemonOptions::default()).await;
        daemon.ready().await;
        let pipeline = Pipeline { cluster, origin, control, target, daemon };
        for (name, policy) in environments {
            pipeline.environment(name, policy).await;
        }
        for (name, _) in environments {
            pipeline.deployed(name, "hello").await;
        }
        pipeline
    }

    /// Makes an Environment, or changes it.
    pub async fn environment(&self, name: &str, policy: &Value) {
        let mut environment = json!({
            "apiVersion": "leeboard.dev/v1alpha1",
            "kind": "Environment",
            "metadata": {"name": name, "namespace": self.control.name()},
            "spec": {
                "repoURL": self.origin.url(),
                "branch": branch(name),
                "interval": "10s",
                "previews": {"enabled": false, "interval": "10s"},
                "path": format!("clusters/{name}"),
                "destination": {"name": "in-cluster", "namespace": self.target.name()},
            },
        });
        if !policy.is_null() {
            environment["spec"]["promotion"] = policy.clone();
        }
        self.cluster.apply(&environment.to_string(), [""; 0]).await;
    }

    /// Changes what an environment wants of previews.
    pub async fn want(&self, environment: &str, previews: &Value) {
        let patch = json!({"spec": {"previews": previews}}).to_string();
        let environment = format!("environment.leeboard.dev/{environment}");
        self.control.kubectl(["patch", &environment, "--type=merge", "--patch", &patch]).await.unwrap();
    }

    /// Has the forge call the daemon.
    pub async fn hook(&self) {
        let hook = json!({
            "type": "gitea", "active": true,
            "events": ["push", "pull_request", "pull_request_sync", "pull_request_comment"],
            "config": {"url": self.daemon.url("/api/webhook"), "content_type": "json", "secret": HOOK},
        });
        self.shop().ask(&self.shop().world.bot, Method::POST, "hooks", hook).await;
    }

    /// Pushes another greeting to an environment's branch: the commit.
    pub fn push(&self, environment: &str, greeting: &str) -> String {
        self.write(&branch(environment), "apps/shop/shop.yaml", &shop(greeting))
    }

    /// Pushes a file to a branch, on top of what Leeboard has written there meanwhile: the commit.
    pub fn write(&self, branch: &str, path: &str, text: &str) -> String {
        self.fetch();
        self.git(&["switch", "--quiet", "--force-create", branch, &format!("there/{branch}")]);
        match &self.origin {
            Origin::Files(repo) => repo.commit(branch, &[(path, text)]),
            Origin::Forge(shop) => {
                let commit = shop.commit(path, text);
                self.git(&["push", "--quiet", &self.origin.remote(), branch]);
                commit
            }
        }
    }

    /// Git in a person's clone; panics when it fails.
    pub fn git(&self, arguments: &[&str]) -> String {
        self.origin.git(arguments)
    }

    /// Brings what is on the server, as `there/BRANCH`.
    pub fn fetch(&self) {
        self.git(&["fetch", "--quiet", "--force", &self.origin.remote(), "refs/heads/*:refs/remotes/there/*"]);
    }

    /// Pushes what is checked out.
    pub fn push_branch(&self, branch: &str) {
        self.git(&["push", "--quiet", &self.origin.remote(), branch]);
    }

    /// The repository on its forge.
    pub fn shop(&self) -> &Shop<'static> {
        match &self.origin {
            Origin::Forge(shop) => shop,
            Origin::Files(_) => panic!("it is on no forge"),
        }
    }

    /// Waits until the cluster holds this greeting in an environment.
    pub async fn deployed(&self, environment: &str, greeting: &str) {
        eventually(&format!("{environment} says {greeting}"), A_WHILE, async || {
            let found = self.greeting(environment).await?;
            if found == greeting { Ok(()) } else { Err(format!("{found}\n{}", self.tail())) }
        })
        .await;
    }

    pub async fn greeting(&self, environment: &str) -> Result<String, String> {
        self.target.field(&format!("configmap/{environment}-shop"), "{.data.greeting}").await
    }

    /// All Promotions into an environment.
    pub async fn promotions(&self, environment: &str) -> Vec<Value> {
        let list = self.control.kubectl(["get", "promotions", "--output", "json"]).await.unwrap();
        let list: Value = serde_json::from_str(&list).unwrap();
        let mut all: Vec<Value> = list["items"].as_array().unwrap().clone();
        all.retain(|one| one["spec"]["environment"] == environment);
        all.sort_by_key(|one| one["metadata"]["creationTimestamp"].to_string());
        all
    }

    /// Waits until a promotion of a commit into an environment stands so; the promotion.
    pub async fn reaches(&self, environment: &str, commit: &str, phase: &str) -> Value {
        self.until(environment, commit, &format!("is {phase}"), |one| one["status"]["phase"] == phase).await
    }

    /// Waits until a promotion of a commit into an environment is as it should be.
    pub async fn until(&self, environment: &str, commit: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("the promotion of {commit} into {environment} {what}"), A_WHILE, async || {
            let all = self.promotions(environment).await;
            let of_it: Vec<&Value> = all.iter().filter(|one| one["spec"]["commit"] == commit).collect();
            match of_it.iter().find(|one| is_so(one)) {
                Some(found) => Ok((*found).clone()),
                None => {
                    let seen: Vec<String> = of_it.iter().map(|one| one["status"].to_string()).collect();
                    let status = self.track(environment).await;
                    Err(format!("{}\n{status}\n{}", seen.join("\n"), self.tail()))
                }
            }
        })
        .await
    }

    /// What an Environment says of promotion.
    pub async fn track(&self, environment: &str) -> Value {
        let object = self.control.object(&format!("environment.leeboard.dev/{environment}")).await.unwrap();
        object["status"]["promotion"].clone()
    }

    /// Waits until what an Environment says of promotion is as it should be.
    pub async fn tracked(&self, environment: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{environment} {what}"), A_WHILE, async || {
            let track = self.track(environment).await;
            if is_so(&track) { Ok(track) } else { Err(format!("{track}\n{}", self.tail())) }
        })
        .await
    }

    /// Runs a command of the program as the administrator: exit code, standard output, standard error.
    pub async fn leeboard(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        self.leeboard_as(&self.cluster.kubeconfig(), arguments).await
    }

    /// The same as somebody else.
    pub async fn leeboard_as(&self, kubeconfig: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut all = arguments.to_vec();
        all.extend(["--namespace", self.control.name()]);
        leeboard(&all, &[("KUBECONFIG", &kubeconfig.display().to_string()), ("LC_ALL", "C.UTF-8")]).await
    }

    /// The commit that an environment's branch stands on.
    pub fn head(&self, environment: &str) -> String {
        self.fetch();
        self.git(&["rev-parse", &format!("refs/remotes/there/{}", branch(environment))])
    }

    /// The same of a repository on this machine, without a fetch.
    pub fn bare_head(&self, environment: &str) -> String {
        match &self.origin {
            Origin::Files(repo) => repo.head(&branch(environment)),
            Origin::Forge(_) => self.head(environment),
        }
    }

    /// The message of a commit of the server.
    pub fn message(&self, commit: &str) -> String {
        self.fetch();
        self.git(&["log", "-1", "--format=%B", commit])
    }

    pub fn tail(&self) -> String {
        let log = self.daemon.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

pub fn branch(environment: &str) -> String {
    format!("env/{environment}")
}

/// What opens the repository, and the forge.
fn secrets(shop: &Shop<'_>, namespace: &str) -> [Value; 3] {
    let world = shop.world;
    let secret = |name: &str, label: &str, kind: &str, data: Value| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": data,
            "metadata": {"name": name, "namespace": namespace, "labels": {label: kind}},
        })
    };
    let git =
        json!({"type": "git", "url": shop.url().to_string(), "username": world.bot.login, "password": world.bot.token});
    let forge = json!({"url": world.gitea.url(), "type": "gitea", "token": world.bot.token});
    [
        secret("repository", "argocd.argoproj.io/secret-type", "repository", git),
        secret("forge", "leeboard.dev/secret-type", "forge", forge),
        secret("argocd-secret", "part", "hooks", json!({"webhook.gitea.secret": HOOK, "webhook.gogs.secret": HOOK})),
    ]
}
