//! [`Stage`]: an environment on a branch of a real forge, and the daemon that previews its pull requests.

use std::time::Duration;

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use leeboard::sandbox::Member;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::{Cluster, Daemon, DaemonOptions, Namespace, Proxy, eventually, install_crds};
use crate::world::{Shop, World};

/// Until a pull request has been told something: a poll, a look, a sync.
const A_WHILE: Duration = Duration::from_secs(90);
/// Where links lead: what is there instead is asked of the daemon itself.
const LINKS: &str = "https://leeboard.example";
/// The secret of the webhooks.
const SECRET: &str = "a secret of hooks";

/// A Deployment in git.
pub fn web(image: &str, replicas: u32) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: {replicas}
  selector:
    matchLabels: {{app: web}}
  template:
    metadata:
      labels: {{app: web}}
    spec:
      containers:
      - name: web
        image: {image}
"
    )
}

/// Who says something.
#[derive(Clone, Copy)]
pub enum Who {
    /// May write to the repository.
    Writer,
    /// May do nothing.
    Stranger,
    /// We ourselves.
    Bot,
}

pub struct Stage {
    shop: Shop<'static>,
    /// Where the environment's objects go.
    pub target: Namespace<'static>,
    /// Where the daemon looks for Applications and projects.
    pub control: Namespace<'static>,
    daemon: Daemon,
}

impl Stage {
    /// An environment `dev` whose cluster directory, the root, has been synced.
    pub async fn start(name: &str) -> Stage {
        Stage::start_in(name, ".").await
    }

    /// The same with another cluster directory.
    pub async fn start_in(name: &str, directory: &str) -> Stage {
        Stage::start_with(name, directory, &[(format!("{directory}/web.yaml"), web("web:1", 2))]).await
    }

    /// The same with these files.
    pub async fn start_with(name: &str, directory: &str, files: &[(String, String)]) -> Stage {
        let (cluster, world) = (Cluster::shared().await, World::shared().await);
        install_crds(cluster).await;
        let shop = world.shop(name).await;
        shop.commit_all(files);
        shop.push(&world.jane, &format!("acme/{name}"), "main").unwrap();
        let (control, target) = tokio::join!(cluster.namespace("control"), cluster.namespace("target"));
        for secret in secrets(&shop, control.name()) {
            cluster.apply(&secret.to_string(), [""; 0]).await;
        }
        let options = DaemonOptions { arguments: vec!["--url".into(), LINKS.into()], ..DaemonOptions::default() };
        let daemon = Daemon::start(cluster, control.name(), options).await;
        daemon.ready().await;
        cluster.apply(&environment(&shop, directory, &control, &target).to_string(), [""; 0]).await;
        let stage = Stage { shop, target, control, daemon };
        stage.hook().await;
        stage.synced().await;
        stage
    }

    /// The repository's address.
    pub fn repository(&self) -> String {
        self.shop.url().to_string()
    }

    /// A second environment, synced, in a cluster of the same name that is behind a proxy; its namespace there.
    pub async fn second(&self, name: &str, proxy: &Proxy, directory: &str) -> Namespace<'static> {
        let (server, authority) = proxy.behind_tls().await;
        let authority = base64::engine::general_purpose::STANDARD.encode(authority);
        let config = json!({"tlsClientConfig": {"caData": authority}}).to_string();
        let there = Cluster::shared().await.namespace(name).await;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": format!("cluster-{name}"), "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
            "stringData": {"name": name, "server": server, "config": config},
        });
        self.control.apply(&secret.to_string()).await;
        let mut second = environment(&self.shop, directory, &self.control, &there);
        second["metadata"]["name"] = json!(name);
        second["spec"]["destination"]["name"] = json!(name);
        self.control.apply(&second.to_string()).await;
        self.has(&format!("environment.leeboard.dev/{name}"), "{.status.sync}", "Synced").await;
        there
    }

    /// One more environment, with a namespace of its own.
    pub async fn environment(&self, name: &str, branch: &str, spec: &Value) {
        let there = Cluster::shared().await.namespace(name).await;
        let mut more = environment(&self.shop, ".", &self.control, &there);
        more["metadata"]["name"] = json!(name);
        more["spec"]["branch"] = json!(branch);
        for (field, value) in spec.as_object().unwrap() {
            more["spec"][field] = value.clone();
        }
        self.control.apply(&more.to_string()).await;
    }

    /// Pushes a branch.
    pub fn publish(&self, branch: &str) {
        self.shop.push(&self.shop.world.jane, &format!("acme/{}", self.shop.name), branch).unwrap();
    }

    /// Waits until a field of an object in the namespace of the control plane is this.
    pub async fn has(&self, object: &str, path: &str, expected: &str) {
        eventually(&format!("{object} has {path} {expected}"), A_WHILE, async || {
            let found = self.control.field(object, path).await?;
            if found == expected { Ok(()) } else { Err(format!("{found}\n{}", self.daemon.log())) }
        })
        .await;
    }

    /// A commit of several files on a new branch, which starts at `main`.
    pub fn branch(&self, branch: &str, files: &[(&str, &str)]) {
        self.shop.git(&["switch", "--quiet", "--force-create", branch, "main"]);
        self.shop
            .commit_all(&files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect::<Vec<_>>());
    }

    /// Opens a pull request of a branch.
    pub async fn open(&self, branch: &str) -> u64 {
        self.open_against(branch, "main").await
    }

    /// The same for another branch than `main`.
    pub async fn open_against(&self, branch: &str, base: &str) -> u64 {
        self.shop.open(branch, base, &format!("Change by {branch}")).await
    }

    async fn synced(&self) {
        eventually("the environment and all below it are synced", 4 * A_WHILE, async || {
            let found = self.control.object("environment.leeboard.dev/dev").await?;
            let all =
                self.control.kubectl(["get", "applications", "--output", "jsonpath={..status.sync.status}"]).await?;
            let are_synced = all.split_whitespace().all(|status| status == "Synced");
            let status = &found["status"];
            if status["sync"] == "Synced" && are_synced { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }

    /// Opens a pull request that writes a file.
    pub async fn pull(&self, branch: &str, file: &str, text: &str) -> u64 {
        self.shop.branch(branch, file, text);
        self.shop.open(branch, "main", &format!("Change by {branch}")).await
    }

    /// Kills the daemon and starts it again.
    pub async fn restart(&mut self) {
        self.kill();
        self.revive().await;
    }

    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Starts the daemon again.
    pub async fn revive(&mut self) {
        self.revive_unhooked().await;
        self.hook().await;
    }

    /// The same, and the forge does not call it.
    pub async fn revive_unhooked(&mut self) {
        self.daemon.restart().await;
        self.daemon.ready().await;
    }

    /// Has the forge call the daemon, which listens elsewhere in each of its lives.
    async fn hook(&self) {
        let hook = json!({
            "type": "gitea", "active": true,
            "events": ["push", "pull_request", "pull_request_sync", "pull_request_comment"],
            "config": {"url": self.daemon.url("/api/webhook"), "content_type": "json", "secret": SECRET},
        });
        self.shop.ask(&self.shop.world.bot, Method::POST, "hooks", hook).await;
    }

    /// The forge calls nobody any more.
    pub async fn unhook(&self) {
        let bot = &self.shop.world.bot;
        let hooks = self.shop.ask(bot, Method::GET, "hooks", Value::Null).await;
        for hook in hooks.as_array().unwrap() {
            self.shop.ask(bot, Method::DELETE, &format!("hooks/{}", hook["id"]), Value::Null).await;
        }
    }

    /// Changes what the environment wants of previews.
    pub async fn want(&self, previews: Value) {
        let patch = json!({"spec": {"previews": previews}}).to_string();
        self.control
            .kubectl(["patch", "environment.leeboard.dev/dev", "--type=merge", "--patch", &patch])
            .await
            .unwrap();
    }

    /// A Deployment's image in a namespace that the daemon has made.
    pub async fn runs(&self, namespace: &str, image: &str) {
        let namespace = self.control.cluster().existing_namespace(namespace);
        eventually(&format!("{} runs {image}", namespace.name()), A_WHILE, async || {
            let path = "{.spec.template.spec.containers[0].image}";
            let found = namespace.field("deployment/web", path).await;
            match found.as_deref() == Ok(image) {
                true => Ok(()),
                false => Err(format!("{found:?}\n{}", self.daemon.log())),
            }
        })
        .await;
    }

    /// Nothing of that name is there any more.
    pub async fn is_gone(&self, name: &str) {
        eventually(&format!("{name} is gone"), A_WHILE, async || {
            let namespace = self.control.cluster().kubectl(["get", "namespace", name, "--output", "name"]).await;
            let ours = self.control.kubectl(["get", "applications,appprojects", "--output", "name"]).await?;
            match namespace.is_err() && !ours.contains(name) {
                true => Ok(()),
                false => Err(format!("{namespace:?}\n{ours}\n{}", self.daemon.log())),
            }
        })
        .await;
    }

    /// The namespace of the control plane.
    pub fn control(&self) -> &Namespace<'static> {
        &self.control
    }

    /// Opens a pull request, on top of what was merged, that removes a file.
    pub async fn removal(&self, branch: &str, file: &str) -> u64 {
        let world = self.shop.world;
        let url = world.gitea.clone_url(&world.jane, &format!("acme/{}", self.shop.name));
        self.shop.git(&["fetch", "--quiet", &url, "main"]);
        self.shop.git(&["switch", "--quiet", "--force-create", branch, "FETCH_HEAD"]);
        self.shop.git(&["rm", "--quiet", file]);
        self.shop.git(&["commit", "--quiet", "--message", &format!("Remove {file}")]);
        self.shop.open(branch, "main", &format!("Remove {file}")).await
    }

    /// Opens a pull request from a fork of somebody who may do nothing here.
    pub async fn fork_pull(&self, file: &str, text: &str) -> u64 {
        let world = self.shop.world;
        // A private repository cannot be forked by strangers.
        world.administer(Method::PATCH, &self.shop.path(), json!({"private": false})).await;
        self.shop.ask(&world.mallory, Method::POST, "forks", json!({})).await;
        self.shop.branch("strange", file, text);
        self.shop.push(&world.mallory, &format!("mallory/{}", self.shop.name), "strange").unwrap();
        let path = format!("{}/pulls", self.shop.path());
        let wanted = json!({"title": "A gift", "head": "mallory:strange", "base": "main"});
        let pull = eventually("the pull request is opened", A_WHILE, async || {
            world.gitea.ask(&world.mallory, Method::POST, &path, Some(wanted.clone())).await
        });
        pull.await["number"].as_u64().unwrap()
    }

    /// Puts another commit in place of what the fork's pull request has.
    pub fn fork_push(&self, file: &str, text: &str) {
        self.shop.branch("strange", file, text);
        self.shop.push(&self.shop.world.mallory, &format!("mallory/{}", self.shop.name), "strange").unwrap();
    }

    /// Labels a pull request, as who may.
    pub async fn label(&self, pull: u64, label: &str) {
        let jane = &self.shop.world.jane;
        let made = self.shop.ask(jane, Method::POST, "labels", json!({"name": label, "color": "#00aabb"})).await;
        let labels = json!({"labels": [made["id"]]});
        self.shop.ask(jane, Method::POST, &format!("issues/{pull}/labels"), labels).await;
    }

    /// Puts another commit, on top of `main`, in place of what a branch has.
    pub fn push(&self, branch: &str, file: &str, text: &str) {
        self.shop.branch(branch, file, text);
        self.shop.push(&self.shop.world.jane, &format!("acme/{}", self.shop.name), branch).unwrap();
    }

    /// Our comments on a pull request.
    pub async fn comments(&self, pull: u64) -> Vec<Value> {
        let bot = &self.shop.world.bot;
        let all = self.shop.ask(bot, Method::GET, &format!("issues/{pull}/comments"), Value::Null).await;
        let ours = all.as_array().into_iter().flatten().filter(|comment| comment["user"]["login"] == *bot.login);
        ours.cloned().collect()
    }

    /// Comments on a pull request; the comment.
    pub async fn say(&self, pull: u64, who: Who, text: &str) -> Value {
        if matches!(who, Who::Stranger) {
            let body = json!({"private": false});
            self.shop.world.administer(Method::PATCH, &self.shop.path(), body).await;
        }
        let path = format!("issues/{pull}/comments");
        self.shop.ask(self.member(who), Method::POST, &path, json!({"body": text})).await
    }

    fn member(&self, who: Who) -> &'static Member {
        let world = self.shop.world;
        match who {
            Who::Writer => &world.jane,
            Who::Stranger => &world.mallory,
            Who::Bot => &world.bot,
        }
    }

    /// Whoever has written a comment writes it anew.
    pub async fn edit_comment(&self, comment: &Value, text: &str) {
        let path = format!("issues/comments/{}", comment["id"]);
        self.shop.ask(&self.shop.world.jane, Method::PATCH, &path, json!({"body": text})).await;
    }

    /// Calls the daemon, with the right signature, as if this comment were another's, and new.
    pub async fn pretend(&self, pull: u64, comment: &Value, who: Who) {
        let body = json!({
            "action": "created", "is_pull": true, "issue": {"number": pull, "pull_request": {}},
            "comment": {"id": comment["id"], "body": "/leeboard preview", "user": {"login": self.member(who).login}},
            "repository": {"clone_url": self.repository()},
        });
        let body = body.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let request = reqwest::Client::new().post(self.daemon.url("/api/webhook"));
        let request = request.header("X-Gitea-Event", "issue_comment").header("X-Gitea-Signature", signature);
        request.body(body).send().await.unwrap().error_for_status().unwrap();
    }

    /// Somebody deletes a comment of ours.
    pub async fn delete_comment(&self, comment: &Value) {
        let path = format!("issues/comments/{}", comment["id"]);
        self.shop.ask(&self.shop.world.bot, Method::DELETE, &path, Value::Null).await;
    }

    /// What the daemon has logged.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// The head of a pull request.
    pub async fn head(&self, pull: u64) -> String {
        let found = self.shop.ask(&self.shop.world.bot, Method::GET, &format!("pulls/{pull}"), Value::Null).await;
        found["head"]["sha"].as_str().unwrap().to_owned()
    }

    /// Gives the daemon another token for the forge; `None`: its own.
    pub async fn credential(&self, token: Option<&str>) {
        let token = token.unwrap_or(&self.shop.world.bot.token);
        let patch = json!({"stringData": {"token": token}}).to_string();
        self.control.kubectl(["patch", "secret", "forge", "--type=merge", "--patch", &patch]).await.unwrap();
    }

    /// Waits until a condition says what keeps pull requests from being told; `None`: that nothing does.
    pub async fn is_blocked(&self, words: Option<&str>) {
        eventually(&format!("blocked by {words:?}"), A_WHILE, async || {
            let path = "{.status.conditions[?(@.type==\"PreviewBlocked\")].message}";
            let found = self.control.field("environment.leeboard.dev/dev", path).await?;
            let is_so = words.map_or(found.is_empty(), |words| found.contains(words));
            if is_so { Ok(()) } else { Err(format!("{found}\n{}", self.daemon.log())) }
        })
        .await;
    }

    /// Gives the repository another name.
    pub async fn rename(&self, name: &str) {
        self.shop.world.administer(Method::PATCH, &self.shop.path(), json!({"name": name})).await;
    }

    /// Requests that the daemon has sent to API servers.
    pub async fn requests(&self) -> f64 {
        self.daemon.metric("leeboard_api_requests_total").await.unwrap_or(0.0)
    }

    /// What the daemon takes, in MiB.
    pub fn memory(&self) -> f64 {
        self.daemon.memory()
    }

    /// Waits for a comment of which this is true.
    pub async fn comment(&self, pull: u64, is_it: impl Fn(&str) -> bool) -> Value {
        eventually("the comment", A_WHILE, async || {
            let comments = self.comments(pull).await;
            let found = comments.iter().find(|comment| is_it(comment["body"].as_str().unwrap_or_default()));
            found.cloned().ok_or_else(|| format!("{}\n{}", json!(comments), self.daemon.log()))
        })
        .await
    }

    /// Waits until the head of a pull request has this status of ours.
    pub async fn status(&self, pull: u64, state: &str) -> Value {
        self.status_by(pull, "leeboard/preview", state).await
    }

    /// Waits until the status of a pull request's head says this.
    pub async fn status_saying(&self, pull: u64, words: &str) {
        eventually("the status says it", A_WHILE, async || {
            let status = self.status(pull, "skipped").await;
            let said = status["description"].as_str().unwrap_or_default();
            if said.contains(words) { Ok(()) } else { Err(status.to_string()) }
        })
        .await;
    }

    /// The same of a status that is known by another name.
    pub async fn status_by(&self, pull: u64, context: &str, state: &str) -> Value {
        eventually("the status", A_WHILE, async || {
            let bot = &self.shop.world.bot;
            let head =
                self.shop.ask(bot, Method::GET, &format!("pulls/{pull}"), Value::Null).await["head"]["sha"].clone();
            let path = format!("commits/{}/status", head.as_str().unwrap());
            let statuses = self.shop.ask(bot, Method::GET, &path, Value::Null).await;
            let ours = statuses["statuses"].as_array().into_iter().flatten();
            let found = ours.filter(|status| status["context"] == context).find(|one| one["status"] == state);
            found.cloned().ok_or_else(|| format!("{}\n{}", statuses["statuses"], self.daemon.log()))
        })
        .await
    }

    /// Where the page is that a comment links to.
    pub fn page(&self, comment: &Value) -> String {
        let body = comment["body"].as_str().unwrap();
        let (_, link) =
            body.split_once(&format!("[full diff]({LINKS}")).unwrap_or_else(|| panic!("no link in\n{body}"));
        self.daemon.url(link.split_once(')').unwrap().0)
    }

    /// What the forge makes of a comment's text.
    pub async fn drawn(&self, comment: &Value) -> String {
        let world = self.shop.world;
        let url = format!("{}/api/v1/markdown", world.gitea.url());
        let text = json!({"Text": comment["body"], "Mode": "gfm", "Context": format!("acme/{}", self.shop.name)});
        let request = reqwest::Client::new().post(url).bearer_auth(&world.bot.token).json(&text);
        request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
    }

    pub async fn merge(&self, pull: u64) {
        eventually("it is merged", A_WHILE, async || {
            let path = format!("{}/pulls/{pull}/merge", self.shop.path());
            let world = self.shop.world;
            world.gitea.ask(&world.jane, Method::POST, &path, Some(json!({"Do": "merge"}))).await
        })
        .await;
    }

    pub async fn close(&self, pull: u64) {
        self.shop.ask(&self.shop.world.jane, Method::PATCH, &format!("pulls/{pull}"), json!({"state": "closed"})).await;
    }
}

fn secrets(shop: &Shop<'_>, namespace: &str) -> [Value; 3] {
    let world = shop.world;
    let secret = |name: &str, label: [&str; 2], data: Value| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "stringData": data,
            "metadata": {"name": name, "namespace": namespace, "labels": {label[0]: label[1]}},
        })
    };
    let git =
        json!({"type": "git", "url": shop.url().to_string(), "username": world.bot.login, "password": world.bot.token});
    let forge = json!({"url": world.gitea.url(), "type": "gitea", "token": world.bot.token});
    [
        secret("repository", ["argocd.argoproj.io/secret-type", "repository"], git),
        secret("forge", ["leeboard.dev/secret-type", "forge"], forge),
        secret(
            "argocd-secret",
            ["part", "hooks"],
            json!({"webhook.gitea.secret": SECRET, "webhook.gogs.secret": SECRET}),
        ),
    ]
}

fn environment(shop: &Shop<'_>, directory: &str, control: &Namespace<'_>, target: &Namespace<'_>) -> Value {
    json!({
        "apiVersion": "leeboard.dev/v1alpha1", "kind": "Environment",
        "metadata": {"name": "dev", "namespace": control.name()},
        "spec": {
            "repoURL": shop.url().to_string(), "branch": "main", "path": directory,
            "destination": {"name": "in-cluster", "namespace": target.name()},
            "previews": {"interval": "10s"},
        },
    })
}
