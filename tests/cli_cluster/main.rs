//! What a person sees of a cluster: `get`, `diff` and `sync` through the real binary and a real API server.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod harness;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use harness::manifests::{SETTINGS, application, deployment, job, settings};
use harness::{Cluster, Namespace, SOON, World, eventually, install_crds};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// A person with a directory, a home of their own and a namespace to apply to.
struct Person {
    folder: TempDir,
    kubeconfig: PathBuf,
}

/// How a command ended, and what it said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(output: &Output) -> Said {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Asserts the exit code and that all of this was said, somewhere.
    #[track_caller]
    fn is(&self, code: i32, said: &[&str]) -> &Said {
        assert_eq!(self.code, Some(code), "{self}");
        for words in said {
            assert!(self.out.contains(words) || self.err.contains(words), "`{words}` is not said\n{self}");
        }
        self
    }

    #[track_caller]
    fn says_nothing_of(&self, words: &str) {
        assert!(!self.out.contains(words) && !self.err.contains(words), "`{words}` is said\n{self}");
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {:?}\n--- stdout\n{}--- stderr\n{}", self.code, self.out, self.err)
    }
}

impl Person {
    fn of(cluster: &Cluster) -> Person {
        Person { folder: tempfile::tempdir().unwrap(), kubeconfig: cluster.kubeconfig() }
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("shop")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.directory().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.directory().join(path)).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leeboard"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().env("LANG", "C.UTF-8").env("USER", "tess");
        command
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", &self.kubeconfig)
            .env("PATH", std::env::var_os("PATH").unwrap());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn runs(&self, arguments: &[&str]) -> Said {
        Said::of(&self.command(arguments).output().await.unwrap())
    }

    /// `leeboard <command> shop -n <namespace> <more>`.
    async fn shop(&self, command: &str, namespace: &Namespace<'_>, more: &[&str]) -> Said {
        let mut arguments = vec![command, "shop", "-n", namespace.name()];
        arguments.extend(more);
        self.runs(&arguments).await
    }
}

#[tokio::test]
async fn a_directory_differs_is_synced_and_is_the_same() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("config.yaml", SETTINGS);
    person.write("web.yaml", &deployment("web", "", ""));

    let said = person.shop("diff", &shop, &[]).await;
    said.is(1, &["2 to apply, 0 in sync", "ConfigMap/settings", "+ not in the cluster", "+  greeting: hello"]);
    said.is(1, &["shop/config.yaml:1", &format!("leeboard sync shop -n {}", shop.name())]);
    assert_eq!(said.err, "", "in a pipe nothing else is said");

    let said = person.shop("sync", &shop, &[]).await;
    said.is(0, &["applied ConfigMap/settings", "✓ shop is applied and healthy", "(2 applied)"]);
    assert_eq!(shop.field("deployment/web", "{.status.readyReplicas}").await.unwrap(), "2");
    person.shop("diff", &shop, &[]).await.is(0, &["2 in sync"]);
    person.shop("sync", &shop, &[]).await.is(0, &["✓ shop is in sync (2 objects)"]);

    shop.kubectl(["set", "image", "deployment/web", "main=registry.example/web:9"]).await.unwrap();
    person.write("config.yaml", &SETTINGS.replace("hello", "good day"));
    let said = person.shop("diff", &shop, &[]).await;
    said.is(1, &["Deployment/web", "~ changed in the cluster by kubectl-set", "will be put back", "rolls 2 pods"]);
    said.is(
        1,
        &[
            "~ changed in the directory",
            "-  greeting: hello",
            "+  greeting: good day",
            "-      - image: registry.example/web:9",
        ],
    );
    person.shop("sync", &shop, &[]).await.is(0, &["(2 applied)"]);
    assert_eq!(shop.field("configmap/settings", "{.data.greeting}").await.unwrap(), "good day");
}

#[tokio::test]
async fn results_are_for_programs_too() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("config.yaml", SETTINGS);
    let kubeconfig = cluster.kubeconfig();
    let reached = ["--kubeconfig", kubeconfig.to_str().unwrap(), "--context", "leeboard-sandbox"];

    let said = person.shop("diff", &shop, &[&reached[..], &["-o", "json", "-U", "0"]].concat()).await;
    let value = said.is(1, &[]).json();
    assert_eq!((&value["differs"], &value["counts"]["apply"]), (&json!(true), &json!(1)));
    assert_eq!(value["steps"][0]["object"]["name"], "settings");
    assert_eq!(value["steps"][0]["action"], "create");
    let said = person.shop("diff", &shop, &["-o", "yaml"]).await;
    said.is(1, &["differs: true", "name: settings"]);
    person.shop("diff", &shop, &["--context", "nowhere"]).await.is(2, &["no cluster to ask", "--kubeconfig"]);

    person.shop("sync", &shop, &reached).await.is(0, &[]);
    person.write("config.yaml", &SETTINGS.replace("hello", "x"));
    let value = person.shop("diff", &shop, &["-o", "json", "--unified", "0"]).await.json();
    assert_eq!(value["steps"][0]["diff"], "@@ -3 +3 @@\n-  greeting: hello\n+  greeting: x\n");

    let coloured = person.shop("diff", &shop, &["--color", "always"]).await;
    coloured.is(1, &["\u{1b}[31m-  greeting"]);
    person.shop("diff", &shop, &[]).await.says_nothing_of("\u{1b}[");
}

#[tokio::test]
async fn what_has_gone_is_pruned_when_asked() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("config.yaml", SETTINGS);
    person.write("old.yaml", &settings("old"));
    person.write(
        "precious.yaml",
        &settings("precious")
            .replace("name: precious", "name: precious, annotations: {argocd.argoproj.io/sync-options: Prune=false}"),
    );
    person.shop("sync", &shop, &[]).await.is(0, &["(3 applied)"]);
    // Somebody copied it, with all that says whose it is.
    let mut copy = shop.object("configmap/old").await.unwrap();
    copy["metadata"] =
        json!({"name": "copy", "labels": copy["metadata"]["labels"], "annotations": copy["metadata"]["annotations"]});
    shop.apply(&copy.to_string()).await;

    person.remove("old.yaml");
    person.remove("precious.yaml");
    let said = person.shop("diff", &shop, &[]).await;
    said.is(1, &["stays", "ConfigMap/old", "stays without --prune"]).says_nothing_of("ConfigMap/copy");
    person.shop("sync", &shop, &[]).await.is(0, &["stays without --prune"]);
    shop.object("configmap/old").await.unwrap();

    let said = person.shop("diff", &shop, &["--prune"]).await;
    said.is(1, &["1 to prune", "- no longer in the directory", "-  greeting: hello", "ignored (no prune)"]);
    person.shop("sync", &shop, &["--prune", "--dry-run"]).await.is(0, &["nothing was changed"]);
    shop.object("configmap/old").await.unwrap();
    person.shop("sync", &shop, &["--prune"]).await.is(0, &["deleting ConfigMap/old", "1 pruned"]);
    assert!(shop.object("configmap/old").await.unwrap_err().contains("NotFound"));
    for kept in ["configmap/copy", "configmap/precious", "configmap/settings"] {
        shop.object(kept).await.unwrap();
    }
}

#[tokio::test]
async fn too_many_deletions_need_a_word() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    for number in 0..8 {
        person.write(&format!("{number}.yaml"), &settings(&format!("c{number}")));
    }
    person.shop("sync", &shop, &[]).await.is(0, &["(8 applied)"]);
    for number in 1..8 {
        person.remove(&format!("{number}.yaml"));
    }
    let said = person.shop("sync", &shop, &["--prune"]).await;
    said.is(0, &["7 of 8 objects would be pruned: confirm it with --yes"]);
    shop.object("configmap/c7").await.unwrap();
    person.shop("sync", &shop, &["--prune", "--yes"]).await.is(0, &["7 pruned"]);
    assert!(shop.object("configmap/c7").await.is_err());

    // Nothing left at all is taken for a mistake.
    person.remove("0.yaml");
    person.write("README.md", "moved");
    let said = person.shop("sync", &shop, &["--prune", "--yes"]).await;
    said.is(1, &["auto-sync will wipe out all resources", "is it the right directory?"]);
    shop.object("configmap/c0").await.unwrap();
}

#[tokio::test]
async fn a_person_at_a_terminal_is_asked_before_anything_is_deleted() {
    if std::process::Command::new("script").arg("--version").output().is_err() {
        println!("skipped: there is no `script` to play a terminal");
        return;
    }
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("config.yaml", SETTINGS);
    person.write("old.yaml", &settings("old"));
    person.shop("sync", &shop, &[]).await.is(0, &[]);
    person.remove("old.yaml");
    let at_terminal = async |answer: &str, more: &str| {
        let line = format!("{} sync shop -n {} --prune {more}", env!("CARGO_BIN_EXE_leeboard"), shop.name());
        let mut script = Command::new("script");
        script
            .args(["-qec", &line, "/dev/null"])
            .current_dir(person.folder.path())
            .env("TERM", "xterm")
            .env("LANG", "C.UTF-8");
        script.env("HOME", person.folder.path()).env("KUBECONFIG", &person.kubeconfig).env("SHELL", "/bin/sh");
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = script.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut input, answer.as_bytes()).await.unwrap();
        let said = Said::of(&child.wait_with_output().await.unwrap());
        drop(input);
        said
    };
    at_terminal("n\n", "").await.is(1, &["y deletes for good", "ConfigMap/old", "nothing was changed"]);
    shop.object("configmap/old").await.unwrap();
    at_terminal("y\n", "").await.is(0, &["1 pruned"]);
    assert!(shop.object("configmap/old").await.is_err());
    person.write("old.yaml", &settings("old"));
    person.shop("sync", &shop, &[]).await.is(0, &[]);
    person.remove("old.yaml");
    at_terminal("", "--yes").await.is(0, &["1 pruned"]).says_nothing_of("Go on?");
}

/// Values that must not be seen, however they are written.
const PLANTED: [&str; 4] = ["hunter2-plain", "hunter2-encoded", "hunter2-file", "hunter2-live"];

#[tokio::test]
async fn no_way_shows_a_secret() {
    use base64::Engine as _;
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let secret =
        |name: &str, fields: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\n{fields}\n");
    let all = |said: &Said| {
        for planted in PLANTED {
            said.says_nothing_of(planted);
            said.says_nothing_of(base64(planted).trim_end_matches('='));
        }
    };
    person.write(
        "kustomization.yaml",
        "resources: [a.yaml, b.yaml, list.yaml]\nsecretGenerator:\n- name: generated\n  files: [token]\n",
    );
    person.write("token", "hunter2-file");
    person.write("a.yaml", &secret("plain", "stringData: {password: hunter2-plain}"));
    person.write("b.yaml", &secret("encoded", &format!("data: {{password: {}}}", base64("hunter2-encoded"))));
    person.write(
        "list.yaml",
        &format!("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {{name: listed}}\n  data: {{password: {}}}\n", base64("hunter2-encoded")),
    );
    // What is there already holds a value too, and kubectl's copy of it.
    let live = secret("plain", "stringData: {password: hunter2-live}");
    let file = person.folder.path().join("live.yaml");
    fs::write(&file, live).unwrap();
    shop.kubectl(["apply", "-f", file.to_str().unwrap()]).await.unwrap();

    for more in [&[][..], &["-o", "json"], &["-o", "yaml"], &["-U", "100"], &["--prune"]] {
        let said = person.shop("diff", &shop, more).await;
        all(said.is(1, &["plain"]));
    }
    person.shop("diff", &shop, &[]).await.is(1, &["-  password: •••••", "+  password: •••••"]);
    all(person.shop("sync", &shop, &["--dry-run"]).await.is(0, &[]));
    all(person.shop("sync", &shop, &[]).await.is(0, &["Secret/plain"]));
    shop.kubectl(["patch", "secret", "plain", "-p", &json!({"stringData": {"password": "hunter2-live"}}).to_string()])
        .await
        .unwrap();
    all(person.shop("diff", &shop, &[]).await.is(1, &["will be put back"]));

    // Deleted, and refused by the API server, which repeats what it refuses.
    person.write("kustomization.yaml", "resources: [a.yaml, b.yaml]\n");
    all(person.shop("diff", &shop, &["--prune"]).await.is(1, &["-  token: •••••"]));
    person.write("b.yaml", &secret("encoded", "data: {password: hunter2-encoded!}"));
    all(person.shop("diff", &shop, &[]).await.is(2, &["Secret"]));
    all(person.shop("sync", &shop, &[]).await.is(1, &["Secret"]));
    person.write("b.yaml", &secret("encoded", "data: {password: {nested: hunter2-encoded}}"));
    all(person.shop("diff", &shop, &[]).await.is(2, &["Secret"]));
    all(person.shop("sync", &shop, &["--prune"]).await.is(1, &["Secret"]));

    // A file that is no YAML.
    for broken in [
        "stringData:\n  a: 1\n password: hunter2-plain",
        "stringData: {password: hunter2-plain",
        "stringData:\n  p: hunter2-plain: x",
    ] {
        person.write("b.yaml", &secret("encoded", broken));
        all(person.shop("diff", &shop, &[]).await.is(2, &["b.yaml"]));
        all(person.shop("sync", &shop, &[]).await.is(1, &["b.yaml"]));
    }
    person.write("b.yaml", &secret("encoded", ""));
    person.write("kustomization.yaml", "resources: [a.yaml]\nsecretGenerator:\n- name: generated\n  envs: [env]\n");
    person.write("env", "=hunter2-file\n1 x=hunter2-file\nhunter2 file: hunter2-plain\n");
    all(&person.shop("diff", &shop, &[]).await);
    let literals =
        "resources: [a.yaml]\nsecretGenerator:\n- name: generated\n  literals:\n  - password=hunter2-plain\n bad: {\n";
    person.write("kustomization.yaml", literals);
    all(person.shop("diff", &shop, &[]).await.is(2, &["kustomization.yaml"]));
    person.write("kustomization.yaml", &literals.replace(" bad: {", "  nonsense: hunter2-file"));
    all(person.shop("diff", &shop, &[]).await.is(2, &["kustomization.yaml"]));
}

#[tokio::test]
async fn waves_go_one_after_another() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    let wave = |number: i32| format!("argocd.argoproj.io/sync-wave: \"{number}\"");
    person.write("migrate.yaml", &job("migrate", "argocd.argoproj.io/hook: PreSync", ""));
    person.write("db.yaml", &deployment("db", &wave(1), "leeboard.test/delay: 1500ms"));
    person.write("web.yaml", &deployment("web", &wave(2), ""));
    let said = person.shop("diff", &shop, &[]).await;
    said.is(1, &["PreSync  Job/migrate", "runs before the roll-out", "wave  1", "wave  2"]);
    let said = person.shop("sync", &shop, &[]).await;
    said.is(0, &["waiting for Deployment/db", "applied and healthy"]);
    let at = |words: &str| said.err.find(words).unwrap_or_else(|| panic!("{words}\n{said}"));
    assert!(at("started Job/migrate") < at("applied Deployment/db"), "{said}");
    assert!(at("waiting for Deployment/db") < at("applied Deployment/web"), "{said}");
}

#[tokio::test]
async fn a_failure_names_its_cause_and_what_was_not_tried() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("migrate.yaml", &job("migrate", "argocd.argoproj.io/hook: PreSync", "leeboard.test/outcome: fail"));
    person.write("web.yaml", &deployment("web", "", ""));
    let said = person.shop("sync", &shop, &[]).await;
    said.is(1, &["✗ shop failed", "migrate", "not tried: Deployment/web"]);
    assert!(shop.object("deployment/web").await.is_err());

    person.remove("migrate.yaml");
    person.write("bad.yaml", &SETTINGS.replace("{greeting: hello}", "{greeting: 1}"));
    let said = person.shop("sync", &shop, &[]).await;
    said.is(1, &["✗ shop failed", "ConfigMap", "shop/bad.yaml:1"]);
    shop.object("deployment/web").await.expect("the others of the wave are tried");
    person.shop("diff", &shop, &[]).await.is(2, &["the API server would refuse it"]);
}

#[tokio::test]
async fn patience_ends() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("web.yaml", &deployment("web", "", "leeboard.test/outcome: stuck"));
    let started = Instant::now();
    let said = person.shop("sync", &shop, &["--timeout", "2s"]).await;
    said.is(1, &["✗ shop is applied, but not healthy", "Deployment/web"]);
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    person.shop("sync", &shop, &["--timeout", "soon"]).await.is(2, &["a duration such as"]);

    // Between waves, too.
    person.write(
        "later.yaml",
        &SETTINGS.replace("name: settings", "name: settings, annotations: {argocd.argoproj.io/sync-wave: \"1\"}"),
    );
    let said = person.shop("sync", &shop, &["--timeout", "2s"]).await;
    said.is(1, &["out of time, waiting for Deployment/web", "not tried: ConfigMap/settings"]);
}

#[tokio::test]
async fn only_the_plan_that_was_shown_is_executed() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("config.yaml", SETTINGS);
    let plan = person.shop("diff", &shop, &["-o", "json"]).await.json()["plan"].as_str().unwrap().to_owned();
    person.write("config.yaml", &SETTINGS.replace("hello", "good day"));
    let said = person.shop("sync", &shop, &["--plan", &plan[..12]]).await;
    said.is(1, &["no longer", "leeboard diff"]);
    assert!(shop.object("configmap/settings").await.is_err());
    person.write("config.yaml", SETTINGS);
    person.shop("sync", &shop, &["--plan", &plan[..12]]).await.is(0, &[]);
}

#[tokio::test]
async fn names_namespaces_and_subdirectories() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("config.yaml", SETTINGS);
    person.write("below/more.yaml", &settings("more"));
    person.shop("diff", &shop, &[]).await.is(1, &["1 to apply"]);
    person.shop("diff", &shop, &["-R"]).await.is(1, &["2 to apply"]);
    person.shop("sync", &shop, &["--recursive", "--name", "front"]).await.is(0, &["front is applied"]);
    shop.object("configmap/leeboard-front").await.unwrap();
    // Under another name they are another's, and nothing of the first is touched.
    let said = person.shop("sync", &shop, &["--name", "back", "--prune"]).await;
    said.is(1, &["Shared resource found", "--take-over"]);
    person.shop("sync", &shop, &["--name", "back", "--prune", "--take-over"]).await.is(0, &[]);
    shop.object("configmap/more").await.unwrap();
    person.shop("sync", &shop, &["--name", "Not_A_Name"]).await.is(1, &["cannot name", "--name"]);

    let fresh = format!("{}-fresh", shop.name());
    let said = person.runs(&["sync", "shop", "-n", &fresh]).await;
    said.is(1, &["namespace", &fresh, "next: the same with `--create-namespace`"]);
    let said = person.runs(&["diff", "shop", "-n", &fresh, "--create-namespace"]).await;
    said.is(1, &["Namespace/", "the destination namespace"]);
    person.runs(&["sync", "shop", "-n", &fresh, "--create-namespace"]).await.is(0, &[]);
    person.runs(&["diff", "shop", "-n", &fresh, "--create-namespace"]).await.is(0, &["1 in sync"]);
    cluster.kubectl(["delete", "namespace", &fresh, "--wait=false"]).await.unwrap();
}

#[tokio::test]
async fn a_watched_directory_is_applied_at_each_change() {
    let cluster = Cluster::shared().await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    person.write("kustomization.yaml", "resources: [../base]\n");
    fs::create_dir_all(person.folder.path().join("base")).unwrap();
    let base = person.folder.path().join("base");
    fs::write(base.join("kustomization.yaml"), "resources: [config.yaml]\n").unwrap();
    fs::write(base.join("config.yaml"), SETTINGS).unwrap();
    fs::create_dir_all(person.folder.path().join(".git")).unwrap();
    let mut command = person.command(&["sync", "shop", "-n", shop.name(), "--watch"]);
    let log = person.folder.path().join("log");
    command.stderr(fs::File::create(&log).unwrap());
    let mut child = command.spawn().unwrap();
    let greets = async |expected: &str| {
        eventually(&format!("the greeting is {expected}"), SOON, async || {
            let found = shop.field("configmap/settings", "{.data.greeting}").await?;
            if found == expected { Ok(()) } else { Err(format!("{found}\n{}", fs::read_to_string(&log).unwrap())) }
        })
        .await;
    };
    greets("hello").await;
    let watches = async |times: usize| {
        eventually("it watches", SOON, async || {
            let said = fs::read_to_string(&log).unwrap();
            if said.matches("watching shop").count() >= times { Ok(()) } else { Err(said) }
        })
        .await;
    };
    watches(1).await;
    fs::write(base.join("config.yaml"), SETTINGS.replace("hello", "good day")).unwrap();
    greets("good day").await;
    watches(2).await;
    fs::write(base.join("config.yaml"), "{").unwrap();
    eventually("the mistake is told", SOON, async || {
        let said = fs::read_to_string(&log).unwrap();
        if said.contains("config.yaml") { Ok(()) } else { Err(said) }
    })
    .await;
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    fs::write(base.join("config.yaml"), SETTINGS.replace("hello", "good night")).unwrap();
    greets("good night").await;
    child.kill().await.unwrap();
    person.shop("sync", &shop, &["--watch", "--dry-run"]).await.is(2, &["--watch"]);
}

#[tokio::test]
async fn what_can_not_be_reached_or_is_not_there_is_explained() {
    let cluster = Cluster::shared().await;
    install_crds(cluster).await;
    let (person, shop) = (Person::of(cluster), cluster.namespace("shop").await);
    let application = application(shop.name(), "storefront", "file:///nowhere.git", ".", shop.name());
    shop.apply(&application.to_string()).await;
    for command in ["diff", "sync"] {
        let code = if command == "diff" { 2 } else { 1 };
        let said = person.runs(&[command, "storefrnt", "-n", shop.name()]).await;
        said.is(code, &["there is no application and no directory `storefrnt`", "Did you mean `storefront`?"]);
        person.runs(&[command, "./nowhere"]).await.is(code, &["cannot read the directory"]);
        let kubeconfig = unreachable(person.folder.path());
        let started = Instant::now();
        let said = person.runs(&[command, "storefront", "--kubeconfig", &kubeconfig]).await;
        said.is(code, &["cannot reach the cluster at", "--context"]);
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }
    person.runs(&["diff", "storefront", "-n", shop.name()]).await.is(2, &["nowhere.git"]);
    person.runs(&["diff"]).await.is(2, &["Usage"]);
}

/// A kubeconfig of a port at which nobody listens.
fn unreachable(folder: &Path) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{{name: x, context: {{cluster: x, user: x}}}}]\nusers: [{{name: x, user: {{}}}}]\nclusters: [{{name: x, cluster: {{server: \"https://127.0.0.1:{port}\"}}}}]\n"
    );
    let path = folder.join("unreachable");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn without_our_kinds_directories_still_work() {
    let cluster = Cluster::start(leeboard::sandbox::Options::default()).await;
    let (person, shop) = (Person::of(&cluster), cluster.namespace("shop").await);
    person.write("config.yaml", SETTINGS);
    person.runs(&["diff", "storefront"]).await.is(2, &["does not know Applications", "leeboard crds"]);
    person.runs(&["sync", "storefront"]).await.is(1, &["does not know Applications", "leeboard crds"]);
    person.shop("sync", &shop, &[]).await.is(0, &["applied and healthy"]);
    // A definition and an object of it in one directory: nothing can be asked of the object before.
    person.write(
        "crd.yaml",
        "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
",
    );
    person.write("widget.yaml", "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: one}\nspec: {size: 3}\n");
    person.shop("diff", &shop, &[]).await.is(1, &["2 to apply", "Widget/one", "+  size: 3"]);
    person.shop("sync", &shop, &[]).await.is(0, &["2 applied"]);
    person.shop("diff", &shop, &[]).await.is(0, &["3 in sync"]);
}

#[tokio::test]
async fn an_application_is_compared_and_synced() {
    let world = World::new().await;
    let person = Person::of(world.cluster);
    world.repo.commit("main", &[("app/config.yaml", SETTINGS)]);
    world.application("web", "app", &json!({"syncPolicy": null})).await;
    world.until("web", "looked at", |status| status["sync"]["status"] == "OutOfSync").await;
    let control = world.control.name();

    let said = person.runs(&["diff", "web", "-n", control]).await;
    said.is(
        1,
        &["main ", "\"A change\"", "1 to apply", "+  greeting: hello", "app/config.yaml:1", "leeboard sync web -n"],
    );
    let said = person.runs(&["sync", "web", "-n", control, "--dry-run"]).await;
    said.is(0, &["nothing was changed"]);
    assert!(world.shop.object("configmap/settings").await.is_err());
    let said = person.runs(&["sync", &format!("{control}/web")]).await;
    said.is(0, &["ConfigMap/settings synced", "✓ web is at", "1 synced"]);
    person.runs(&["diff", "web", "-n", control]).await.is(0, &["1 in sync"]);
    let state = world.status("web").await.unwrap()["operationState"].clone();
    assert_eq!(state["operation"]["initiatedBy"]["username"], "tess");

    // Another revision, then one without an object.
    world.repo.commit(
        "next",
        &[("app/config.yaml", &SETTINGS.replace("hello", "good day")), ("app/more.yaml", &settings("more"))],
    );
    let said = person.runs(&["diff", "web", "-n", control, "--revision", "next"]).await;
    said.is(1, &["next ", "+  greeting: good day", "2 to apply"]);
    let said = person.runs(&["sync", "web", "-n", control, "--revision", "next"]).await;
    said.is(0, &["2 synced"]);
    world.field("configmap/settings", "{.data.greeting}", "good day").await;
    person.runs(&["diff", "web", "-n", control, "--revision", "nowhere"]).await.is(2, &["nowhere"]);
    person.runs(&["sync", "web", "-n", control]).await.is(0, &["stays: ignored (requires pruning)"]);
    person.runs(&["diff", "web", "-n", control, "--prune"]).await.is(1, &["1 to prune", "no longer in git"]);
    person.runs(&["sync", "web", "-n", control, "--prune"]).await.is(0, &["1 pruned"]);
    world.gone("configmap/more").await;

    // Refused by the API server.
    world.repo.commit("main", &[("app/config.yaml", &SETTINGS.replace("{greeting: hello}", "{greeting: 1}"))]);
    person.runs(&["diff", "web", "-n", control]).await.is(2, &["the API server would refuse it"]);
    let head = world.repo.head("main");
    let said = person.runs(&["sync", "web", "-n", control, "--revision", &head]).await;
    said.is(1, &["✗ web failed", "ConfigMap/settings", "leeboard get web --tree"]);

    // An object of an application is not a directory's.
    person.write("config.yaml", SETTINGS);
    let said = person.runs(&["sync", "./shop", "-n", world.shop.name()]).await;
    said.is(1, &["Shared resource found", "--take-over"]);
}

#[tokio::test]
async fn an_operation_under_way_is_not_disturbed() {
    let world = World::new().await;
    let person = Person::of(world.cluster);
    let hook = job("slow", "argocd.argoproj.io/hook: PreSync", "leeboard.test/outcome: stuck");
    world.repo.commit("main", &[("app/config.yaml", SETTINGS), ("app/slow.yaml", &hook)]);
    world.application("web", "app", &json!({"syncPolicy": null})).await;
    world.until("web", "looked at", |status| status["sync"]["status"] == "OutOfSync").await;
    let said = person.runs(&["sync", "web", "-n", world.control.name(), "--timeout", "2s"]).await;
    said.is(1, &["not ended after 2.0 s", "completion of hook"]);
    let said = person.runs(&["sync", "web", "-n", world.control.name()]).await;
    said.is(1, &["another operation is already in progress", "leeboard get web"]);
}

#[tokio::test]
async fn environments_and_applications_are_listed() {
    let world = World::new().await;
    let person = Person::of(world.cluster);
    let control = world.control.name();
    let application = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "web"},
        "spec": {"project": "default", "source": {"repoURL": world.repo.url(), "path": "apps/web", "targetRevision": "env/dev"},
                 "destination": {"name": "in-cluster", "namespace": world.shop.name()}, "syncPolicy": {"automated": {}}},
    });
    let head = world
        .repo
        .commit("env/dev", &[("clusters/dev/web.yaml", &application.to_string()), ("apps/web/config.yaml", SETTINGS)]);
    world.environment().await;
    world.synced("web", &head).await;
    let short = &head[..7];
    let get = async |more: &[&str]| person.runs(&[&["get", "-n", control], more].concat()).await;
    eventually("the environment is synced", SOON, async || {
        let said = get(&[]).await;
        if said.out.contains("healthy") && said.out.matches("synced").count() == 2 { Ok(()) } else { Err(said) }
    })
    .await;
    get(&[]).await.is(0, &["ENVIRONMENT", "WAITS FOR", "dev", short, "APPLICATION", "web"]);
    get(&["-o", "wide"]).await.is(0, &["SOURCE", &world.repo.url()]);
    get(&["dev", "--tree"]).await.is(0, &["✓ dev", "└─ ✓ web"]).says_nothing_of("ConfigMap/settings");
    get(&["web", "--tree", "--all"]).await.is(0, &["ConfigMap/settings"]);
    let value = get(&["-o", "json"]).await.json();
    assert_eq!(value["environments"][0]["commit"], head.as_str());
    get(&["-o", "yaml"]).await.is(0, &["environments:"]);
    get(&["wbe"]).await.is(1, &["`wbe`"]);
    let kubeconfig = world.cluster.kubeconfig();
    let reached = ["--kubeconfig", kubeconfig.to_str().unwrap(), "--context", "leeboard-sandbox"];
    get(&reached).await.is(0, &["web"]);
}

#[test]
fn two_files_are_compared_as_the_corpus_says() {
    let Some(corpus) = std::env::var_os("LEEBOARD_CORPUS").map(PathBuf::from) else {
        println!("skipped: LEEBOARD_CORPUS is not set");
        return;
    };
    /// Whose an object is that git does not have: the case's Application has another name than the object's, or none.
    const UNDECIDABLE: [&str; 2] = ["extra-live-ignore-extraneous", "extra-live-tracking-of-another-application"];
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    let mut cases: Vec<PathBuf> =
        fs::read_dir(corpus.join("diff/cases")).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    for path in cases {
        let case: Value = serde_yaml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let name = case["name"].as_str().unwrap();
        if case.get("needs").is_some() || UNDECIDABLE.contains(&name) {
            continue;
        }
        let file = |side: &str, value: &Value| {
            let path = folder.path().join(side);
            fs::write(&path, if value.is_null() { String::new() } else { value.to_string() }).unwrap();
            path
        };
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_leeboard"));
        command.arg("diff").arg("--live").arg(file("live", &case["live"]));
        command.arg("--desired").arg(file("desired", &case["desired"]));
        if case.get("options").is_some_and(|options| !options.is_null()) {
            let mut spec = json!({"project": "default", "source": {"repoURL": "https://git.example.com/a.git", "path": "."},
                "destination": {"name": "in-cluster", "namespace": "demo"}});
            for (field, value) in case["options"].as_object().unwrap() {
                spec[field] = value.clone();
            }
            let application = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
                "metadata": {"name": "app", "namespace": "leeboard"}, "spec": spec});
            command.arg("--app").arg(file("app", &application));
        }
        let expected = match case["expected"].as_str().unwrap() {
            "in-sync" => 0,
            "out-of-sync" => 1,
            _ => 2,
        };
        let found = command.output().unwrap().status.code();
        if found != Some(expected) {
            wrong.push(format!("{name}: exit {found:?} instead of {expected}: {}", case["why"]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
