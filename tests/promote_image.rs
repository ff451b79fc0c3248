//! `leeboard promote image`: versions of images are written into environments, on disk and on branches that git itself has
//! written.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod harness;

use std::fs;
use std::process::{Command, Output};

use harness::{Cluster, Repo, install_crds};
use serde_json::json;

const KUSTOMIZATION: &str = "# The shop in dev.
namespace: shop-dev
resources:
  - ../../base   # all of it
images:
  - name: registry.example/web
    newTag: \"1.4\" # set by CI
  - {name: registry.example/api, newTag: v7}

replicas: [{name: web, count: 2}]
";

fn with_web(tag: &str) -> String {
    KUSTOMIZATION.replace("\"1.4\"", tag)
}

/// What `leeboard promote image` printed, and its exit code.
struct Said {
    out: String,
    error: String,
    code: i32,
}

impl Said {
    fn of(output: Output) -> Said {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { out: text(output.stdout), error: text(output.stderr), code: output.status.code().unwrap() }
    }

    /// Its output, when it did what it was asked to do.
    fn done(self) -> String {
        assert_eq!((self.code, self.error.as_str()), (0, ""), "{}", self.out);
        self.out
    }

    /// What it complained of.
    fn refused(self) -> String {
        assert_eq!((self.code, self.out.as_str()), (1, ""), "{}", self.error);
        self.error
    }
}

/// A repository with the shop, and a cache of its own for the commands.
struct Shop {
    repo: Repo,
    cache: tempfile::TempDir,
}

impl Shop {
    fn new(branch: &str) -> Shop {
        let shop = Shop { repo: Repo::new(), cache: tempfile::tempdir().unwrap() };
        shop.repo.commit("main", &[("README.md", "The shop.\n")]);
        shop.repo.commit(branch, &[("clusters/dev/kustomization.yaml", KUSTOMIZATION)]);
        shop
    }

    fn promote(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leeboard"));
        command.args(["promote", "image"]).args(arguments).current_dir(self.repo.clone_path());
        command.env("XDG_CACHE_HOME", self.cache.path()).env("KUBECONFIG", "/nowhere");
        command.env("GIT_AUTHOR_NAME", "CI").env("GIT_AUTHOR_EMAIL", "ci@example.com");
        Said::of(command.output().unwrap())
    }

    /// The same on the branch `env/dev`.
    fn promote_on_branch(&self, arguments: &[&str]) -> Said {
        let url = self.repo.url();
        let flags = ["dev", "--repo", &url, "--branch", "env/dev", "--path", "clusters/dev"];
        self.promote(&[&flags, arguments].concat())
    }

    fn on_branch(&self) -> String {
        self.repo.in_bare(&["show", "env/dev:clusters/dev/kustomization.yaml"])
    }
}

#[test]
fn a_file_on_disk_gets_the_tag_and_no_other_byte_changes() {
    let shop = Shop::new("main");
    let file = shop.repo.clone_path().join("clusters/dev/kustomization.yaml");
    let dry = shop.promote(&["clusters/dev", "registry.example/web=1.5.0", "--dry-run"]).done();
    let expected = "--- a/clusters/dev/kustomization.yaml
+++ b/clusters/dev/kustomization.yaml
@@ -4,7 +4,7 @@
   - ../../base   # all of it
 images:
   - name: registry.example/web
-    newTag: \"1.4\" # set by CI
+    newTag: \"1.5.0\" # set by CI
   - {name: registry.example/api, newTag: v7}
 
 replicas: [{name: web, count: 2}]
";
    assert_eq!(dry, expected);
    assert_eq!(fs::read_to_string(&file).unwrap(), KUSTOMIZATION);

    let done = shop.promote(&["clusters/dev", "registry.example/web=1.5.0", "registry.example/api=v7"]).done();
    let expected = "✓ registry.example/web 1.4 → 1.5.0 in clusters/dev/kustomization.yaml
✓ registry.example/api is v7 already in clusters/dev/kustomization.yaml
  next: git commit
";
    assert_eq!(done, expected);
    assert_eq!(fs::read_to_string(&file).unwrap(), with_web("\"1.5.0\""));
}

#[test]
fn any_field_of_any_file_can_be_the_place() {
    let shop = Shop::new("main");
    let values = "image:\n  repository: registry.example/web\n  tag: v1 # ours\n";
    shop.repo.commit("main", &[("values.yaml", values)]);
    let arguments = [".", "registry.example/web=1.5", "--file", "values.yaml", "--field", "image.tag"];
    shop.promote(&arguments).done();
    let file = shop.repo.clone_path().join("values.yaml");
    assert_eq!(fs::read_to_string(file).unwrap(), values.replace("v1", "\"1.5\""));
}

#[test]
fn what_cannot_be_done_says_where_and_what_to_do() {
    let shop = Shop::new("main");
    shop.repo.commit("main", &[("bad/kustomization.yaml", "images:\n- name: web\n  newTag: [v1]\n")]);
    let cases: [(&[&str], &[&str]); 6] = [
        (&["bad", "web=2"], &["`newTag` must be a scalar, found a list", "bad/kustomization.yaml:3:11"]),
        (&["clusters", "web=2"], &["there is no kustomization file in `clusters`", "help:"]),
        (&[".", "web=2", "--file", "none.yaml"], &["there is no file `none.yaml`"]),
        (&[".", "web=2", "--file", "../../x"], &["lies outside the repository"]),
        (&["dev", "web=2", "--repo", "/nowhere/x.git", "--branch", "b"], &["there is no repository at /nowhere/x.git"]),
        (&["dev", "web=2", "--repo", &shop.repo.url(), "--branch", "none"], &["has no branch or tag `none`"]),
    ];
    for (arguments, expected) in cases {
        let error = shop.promote(arguments).refused();
        for part in expected {
            assert!(error.contains(part), "{arguments:?}: {part} is not in\n{error}");
        }
    }
    let usage = shop.promote(&["clusters/dev", "web"]);
    assert_eq!(usage.code, 2);
    assert!(usage.error.contains("`web` says no version, or two: write NAME=TAG or NAME@DIGEST"), "{}", usage.error);
}

#[test]
fn a_branch_gets_one_commit_that_says_what_and_why() {
    let shop = Shop::new("env/dev");
    let before = shop.repo.in_bare(&["rev-parse", "env/dev"]);
    let dry = shop.promote_on_branch(&["registry.example/web=1.5.0", "--dry-run"]).done();
    assert!(dry.contains("+    newTag: \"1.5.0\" # set by CI"), "{dry}");
    assert_eq!(shop.repo.in_bare(&["rev-parse", "env/dev"]), before);

    let done = shop.promote_on_branch(&["registry.example/web=1.5.0", "-m", "Build 77 is green."]).done();
    let commit = shop.repo.in_bare(&["rev-parse", "--short=7", "env/dev"]);
    let expected = format!(
        "✓ registry.example/web 1.4 → 1.5.0 in clusters/dev/kustomization.yaml of env/dev\n  commit {commit} is on env/dev of {}\n",
        shop.repo.bare().display()
    );
    assert_eq!(done, expected);
    assert_eq!(shop.on_branch(), with_web("\"1.5.0\"").trim_end());
    assert_eq!(shop.repo.in_bare(&["rev-parse", "env/dev^"]), before);
    let message = shop.repo.in_bare(&["log", "-1", "--format=%an <%ae>%n%B", "env/dev"]);
    let start =
        "CI <ci@example.com>\nSet registry.example/web to 1.5.0 in dev\n\nBuild 77 is green.\n\nLeeboard-Change: ";
    assert!(message.starts_with(start), "{message}");
    assert!(message.ends_with("\nLeeboard-Image: registry.example/web=1.5.0"), "{message}");

    let again = shop.promote_on_branch(&["registry.example/web=1.5.0"]).done();
    assert_eq!(again, "✓ registry.example/web is 1.5.0 already in clusters/dev/kustomization.yaml of env/dev\n");
    assert_eq!(shop.repo.in_bare(&["rev-parse", "--short=7", "env/dev"]), commit);
}

#[test]
fn what_a_person_has_set_since_is_not_overwritten_without_a_word() {
    let shop = Shop::new("env/dev");
    shop.promote_on_branch(&["registry.example/web=1.5.0"]).done();
    shop.repo.git(&["pull", "--quiet", "origin", "env/dev"]);
    shop.repo.commit("env/dev", &[("clusters/dev/kustomization.yaml", &with_web("1.5.0-hotfix"))]);
    // Another image of the same file is nobody's business.
    shop.promote_on_branch(&["registry.example/api=v8"]).done();

    let error = shop.promote_on_branch(&["registry.example/web=1.6.0"]).refused();
    assert!(error.contains("dev: `registry.example/web` was set to 1.5.0-hotfix by "), "{error}");
    assert!(error.contains("--force-take"), "{error}");
    assert!(shop.on_branch().contains("1.5.0-hotfix"));

    shop.promote_on_branch(&["registry.example/web=1.6.0", "--force-take"]).done();
    let message = shop.repo.in_bare(&["log", "-1", "--format=%B", "env/dev"]);
    assert!(
        message.contains("Overwrites what was set by hand: `registry.example/web` was set to 1.5.0-hotfix by "),
        "{message}"
    );
    assert_eq!(shop.on_branch(), with_web("1.6.0").replace("v7", "v8").trim_end());
    shop.promote_on_branch(&["registry.example/web=1.7.0"]).done();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_of_the_cluster_says_where_it_is() {
    let cluster = Cluster::shared().await;
    install_crds(cluster).await;
    let control = cluster.namespace("leeboard").await;
    let shop = Shop::new("env/dev");
    let environment = |name: &str, branch: serde_json::Value| {
        json!({
            "apiVersion": "leeboard.dev/v1alpha1", "kind": "Environment",
            "metadata": {"name": name, "namespace": control.name()},
            "spec": {"repoURL": shop.repo.url(), "branch": branch, "path": "clusters/dev"},
        })
    };
    for (name, branch) in [("dev", json!("env/dev")), ("nameless", json!("HEAD"))] {
        cluster.apply(&environment(name, branch).to_string(), [""; 0]).await;
    }
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let promote = |environment: &str| {
        let at = ["--kubeconfig", &kubeconfig, "--namespace", control.name()];
        shop.promote(&[&[environment, "registry.example/web=1.5.0"], &at[..]].concat())
    };
    let kubectl = async |patch: serde_json::Value| {
        let patch = patch.to_string();
        control.kubectl(["patch", "environment.leeboard.dev", "dev", "--type=merge", "-p", &patch]).await.unwrap();
    };
    kubectl(json!({"spec": {"promotion": {"locked": {"reason": "audit", "by": "Ada"}}}})).await;
    assert!(promote("dev").refused().contains("dev is locked by Ada: audit"));
    kubectl(json!({"spec": {"promotion": null}})).await;
    promote("dev").done();
    assert_eq!(shop.on_branch(), with_web("\"1.5.0\"").trim_end());
    assert!(promote("nameless").refused().contains("the Environment `nameless` names no branch"));
    let error = promote("dew").refused();
    assert!(error.contains("there is no environment `dew`") && error.contains("Did you mean `dev`?"), "{error}");
}
