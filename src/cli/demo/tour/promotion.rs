//! The tour of a commit: from dev by int to prod, past what scanners found, a test that fails, people, and customers who try
//! it first; and back.

use std::cell::RefCell;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use jiff::{Span, Timestamp, Zoned};
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::{Guide, Play, SOON, Shown, since, took_text};
use crate::api::argo::AppProject;
use crate::api::flagger::Phase;
use crate::api::leeboard::Environment;
use crate::api::leeboard::promotion::{Promotion, PromotionPhase};
use crate::cli::demo::shop::Edit;
use crate::cli::demo::stage::{NAMESPACE, eventually};
use crate::cli::demo::traffic::Trial;
use crate::cli::demo::world::short;
use crate::sandbox::Load;

const DEV: &str = "apps/web/overlays/dev/kustomization.yaml";
const INT: &str = "apps/web/overlays/int/kustomization.yaml";
const PROD: &str = "apps/web/overlays/prod/kustomization.yaml";
const SMOKE_TEST: &str = "apps/web/base/smoke-test.yaml";
const WAIVERS: &str = "clusters/int/waivers.yaml";

/// dev takes each version at once: what its customers think of it has been seen.
const AT_ONCE: &str = "\
patches:
- target: {kind: Canary, name: web}
  patch: |-
    - op: add
      path: /spec/skipAnalysis
      value: true
";

/// What a scanner has found in an image: at most one thing, with its score.
struct Scan {
    image: &'static str,
    version: &'static str,
    digest: &'static str,
    finding: Option<(&'static str, f64)>,
}

const SMOKE: Scan = Scan {
    image: "registry.example.com/shop/smoke-test",
    version: "1.2.0",
    digest: "sha256:5b0e8f0a6f8d4f4d0c6c1a4c9a1d7f6a2e3b4c5d6e7f8091a2b3c4d5e6f70812",
    finding: None,
};
const CRITICAL: Scan = web("1.8.0", "sha256:1a", Some(("CVE-2026-1001", 9.8)));
const HIGH: Scan = web("1.8.1", "sha256:2b", Some(("CVE-2026-1003", 8.1)));
const MENDED: Scan = web("1.8.2", "sha256:3c", Some(("CVE-2026-1003", 8.1)));

const fn web(version: &'static str, digest: &'static str, finding: Option<(&'static str, f64)>) -> Scan {
    Scan { image: "registry.example.com/shop/web", version, digest, finding }
}

impl Scan {
    /// In full: `sha256:` and 64 digits.
    fn digest(&self) -> String {
        format!("{:0<71}", self.digest)
    }

    /// As `trivy image --format json` writes it.
    fn report(&self) -> String {
        let Scan { image, version, .. } = self;
        let findings: Vec<Value> = self
            .finding
            .iter()
            .map(|(id, score)| {
                json!({"VulnerabilityID": id, "PkgName": "openssl", "InstalledVersion": "3.0.11-1",
                    "FixedVersion": "3.0.13-1", "Severity": "HIGH", "CVSS": {"nvd": {"V3Score": score}}})
            })
            .collect();
        json!({
            "SchemaVersion": 2,
            "CreatedAt": Timestamp::now().to_string(),
            "ArtifactName": format!("{image}:{version}"),
            "Metadata": {"RepoDigests": [format!("{image}@{}", self.digest())]},
            "Results": [{"Target": image, "Vulnerabilities": findings}],
        })
        .to_string()
    }
}

/// Plays all of it, once dev is at rest.
pub(super) async fn play(guide: &mut Guide<'_>, play: &mut Play<'_, '_>, trial: &RefCell<Trial>) -> anyhow::Result<()> {
    play.step("promotion", guide.begin_promotion()).await?;
    play.step("a critical finding", guide.find_critical()).await?;
    play.step("a high one", guide.find_high()).await?;
    play.step("waived, but it fails", guide.waive()).await?;
    play.step("mended", guide.mend()).await?;
    let customers = guide.stage.traffic()?.customers_of("prod");
    play.trial("approved for prod", trial, guide.approve(trial, &customers)).await?;
    play.step("and back", guide.roll_back(&customers)).await
}

impl Guide<'_> {
    /// int takes what dev has verified, prod what int has; and prod gets customers who try versions first.
    async fn begin_promotion(&mut self) -> anyhow::Result<Shown> {
        let permit = json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {
                "name": "default",
                "namespace": NAMESPACE,
                "annotations": {"leeboard.dev/auto-promotion": "allow"},
            },
            "spec": AppProject::permissive(NAMESPACE).spec,
        });
        let projects: Api<AppProject> = self.api(NAMESPACE);
        projects.patch("default", &PatchParams::apply("robin").force(), &Patch::Apply(permit)).await?;
        self.ask_for("int", json!({"from": [{"environment": "dev"}], "auto": true})).await?;
        self.ask_for("prod", json!({"from": [{"environment": "int"}], "auto": true})).await?;
        let pinned = format!("{}:{}@{}", SMOKE.image, SMOKE.version, SMOKE.digest());
        let edits = [
            Edit::Replace { path: DEV, from: "patches:\n", to: AT_ONCE },
            Edit::Replace { path: PROD, from: "- ../../base\n", to: "- ../../base\ncomponents:\n- ../../canary\n" },
            Edit::Replace { path: SMOKE_TEST, from: &format!("{}:{}", SMOKE.image, SMOKE.version), to: &pinned },
            Edit::Add { path: "scans/smoke-test.json", text: &SMOKE.report() },
        ];
        let (commit, pushed) = self.push("dev", "Let prod try new versions on some customers first", &edits)?;
        let int = self.promoted("int", &commit, PromotionPhase::Succeeded).await?;
        let written = written(&int)?;
        self.promoted("prod", &written, PromotionPhase::Succeeded).await?;
        let took = took_text(since(pushed));
        Ok(Shown::new(format!("int and prod have what dev has proved, {took} after its push")))
    }

    /// What nobody may deploy goes no further than dev.
    async fn find_critical(&mut self) -> anyhow::Result<Shown> {
        self.set_gates(Some("fail")).await?;
        let commit = self.raise_everywhere(&CRITICAL, ["1.6.0", "1.4.1", "1.4.0"], None)?;
        let failed = self.promoted("int", &commit, PromotionPhase::Failed).await?;
        let words = message(&failed);
        ensure!(words.contains("CVE-2026-1001 (9.8)"), "another reason is told: {words}");
        self.image("int", "web", ":1.4.1").await?;
        Ok(Shown::new("web 1.8.0 runs in dev and stays out of int").quoting(words))
    }

    /// What may be deployed with a waiver has none yet.
    async fn find_high(&mut self) -> anyhow::Result<Shown> {
        let commit = self.raise_everywhere(&HIGH, [CRITICAL.version; 3], Some(&CRITICAL))?;
        let failed = self.promoted("int", &commit, PromotionPhase::Failed).await?;
        let words = message(&failed);
        ensure!(words.contains("CVE-2026-1003 (8.1)"), "another reason is told: {words}");
        Ok(Shown::new("web 1.8.1 needs somebody who answers for it").quoting(words))
    }

    /// With a waiver it enters, its acceptance test fails, and git goes back.
    async fn waive(&mut self) -> anyhow::Result<Shown> {
        let expires = Zoned::now().date().checked_add(Span::new().days(30))?;
        let waiver = format!(
            "- id: CVE-2026-1003\n  reason: the parser is not reachable\n  mitigation: requests are checked before it\n  \
             author: robin\n  expires: {expires}\n"
        );
        let edits = [Edit::Add { path: WAIVERS, text: &waiver }];
        let (commit, _) = self.push("dev", "Answer for CVE-2026-1003", &edits)?;
        let back = self.promoted("int", &commit, PromotionPhase::RolledBack).await?;
        let gates = back.status.iter().flat_map(|status| &status.gates);
        let scan = gates.filter(|gate| gate.kind == "vulnerabilities").map(|gate| gate.message.clone()).next();
        let scan = scan.context("nobody has looked for vulnerabilities")?;
        ensure!(scan.contains("1 waived"), "the waiver did not count: {scan}");
        self.image("int", "web", ":1.4.1").await?;
        let head = self.head("int")?;
        ensure!(written(&back)? != head.commit, "nothing was taken back");
        Ok(Shown::new("its acceptance test says no: int runs 1.4.1 again").quoting(format!(
            "vulnerabilities: {scan}\n{}\n{} {}",
            message(&back),
            short(&head.commit),
            head.subject
        )))
    }

    /// The next commit brings all of it again, and the test is content.
    async fn mend(&mut self) -> anyhow::Result<Shown> {
        self.set_gates(None).await?;
        let commit = self.raise_everywhere(&MENDED, [HIGH.version; 3], Some(&HIGH))?;
        let int = self.promoted("int", &commit, PromotionPhase::Succeeded).await?;
        self.image("int", "web", &format!(":1.8.2@{}", MENDED.digest())).await?;
        let carried = written(&int)?;
        let is_asked = |one: &Promotion| message(one).contains("waits for 1 approval");
        let words = message(&self.promotion_until("prod", &carried, "waits for people", is_asked).await?);
        Ok(Shown::new("web 1.8.2 is verified in int; prod asks people").quoting(words))
    }

    /// A person says yes; customers of prod get more and more of it.
    async fn approve(&mut self, trial: &RefCell<Trial>, customers: &Load) -> anyhow::Result<Shown> {
        let began = Instant::now();
        self.leeboard(&["approve", "prod", "-m", "the numbers look good"]).await?;
        let phase = self.watch_trial_in("prod", MENDED.version, trial, customers).await?;
        ensure!(phase == Phase::Succeeded, "the canary is {phase:?}");
        let int = self.head("int")?.commit;
        let done = self.promoted("prod", &int, PromotionPhase::Succeeded).await?;
        let failed = customers.since(began).into_iter().find(|sample| sample.result != Ok(200));
        ensure!(failed.is_none(), "a customer got {}", failed.map(|sample| sample.text()).unwrap_or_default());
        let by = done.spec.approvals.first().map(|word| word.user.clone()).unwrap_or_default();
        Ok(Shown::new(format!("web 1.8.2 is verified in prod, approved by {by}")))
    }

    /// Git goes back to what was there before, and customers are led there as carefully.
    async fn roll_back(&mut self, customers: &Load) -> anyhow::Result<Shown> {
        let began = Instant::now();
        self.leeboard(&["rollback", "prod", "-m", "checkout is slow"]).await?;
        let back = eventually("prod is back", SOON, async || {
            let all = self.promotions("prod").await.map_err(|error| error.to_string())?;
            let back = all.into_iter().find(|one| one.name().starts_with("prod-back-"));
            let back = back.ok_or("there is no Promotion")?;
            if back.phase() == PromotionPhase::Succeeded { Ok(back) } else { Err(message(&back)) }
        })
        .await?;
        self.image("prod", "web-primary", ":1.4.0").await?;
        let failed = customers.since(began).into_iter().find(|sample| sample.result != Ok(200));
        ensure!(failed.is_none(), "a customer got {}", failed.map(|sample| sample.text()).unwrap_or_default());
        ensure!(written(&back)? == self.head("prod")?.commit, "another commit came meanwhile");
        let took = took_text(began.elapsed());
        let table = self.leeboard(&["get", "environments"]).await?;
        Ok(Shown::new(format!("web 1.4.0 after {took}, no customer noticed")).quoting(table))
    }

    /// Changes how commits arrive in an environment.
    async fn ask_for(&self, environment: &str, promotion: Value) -> anyhow::Result<()> {
        let environments: Api<Environment> = self.api(NAMESPACE);
        let patch = Patch::Merge(json!({"spec": {"promotion": promotion}}));
        environments.patch(environment, &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// int wants images scanned, and an acceptance test, of which this is the outcome; prod wants a person's word.
    async fn set_gates(&self, outcome: Option<&str>) -> anyhow::Result<()> {
        let test = json!({
            "metadata": {"annotations": {"leeboard.test/outcome": outcome.unwrap_or("succeed")}},
            "spec": {"containers": [{"name": "test", "image": "registry.example.com/shop/acceptance:7"}]},
        });
        let scans = json!({"vulnerabilities": {"sources": [{"type": "trivy", "from": "file", "path": "scans"}]}});
        self.ask_for(
            "int",
            json!({"gates": [scans], "after": [{"name": "acceptance", "job": {"template": test}}], "rollback": "revert"}),
        )
        .await?;
        self.ask_for("prod", json!({"gates": [{"approval": {}}]})).await
    }

    /// Writes a version of web, with what its scanner says, into the overlays of all environments: on the branch of dev.
    fn raise_everywhere(&self, to: &Scan, from: [&str; 3], was: Option<&Scan>) -> anyhow::Result<String> {
        let (report, new) = (to.report(), format!("newTag: {}\n  digest: {}\n", to.version, to.digest()));
        let old = from.map(|tag| match was {
            Some(was) => format!("newTag: {tag}\n  digest: {}\n", was.digest()),
            None => format!("newTag: {tag}\n"),
        });
        let replaced = [DEV, INT, PROD].into_iter().zip(&old);
        let mut edits: Vec<Edit<'_>> = replaced.map(|(path, from)| Edit::Replace { path, from, to: &new }).collect();
        edits.push(Edit::Add { path: "scans/web.json", text: &report });
        Ok(self.push("dev", &format!("Raise web to {}", to.version), &edits)?.0)
    }

    async fn promotions(&self, environment: &str) -> anyhow::Result<Vec<Promotion>> {
        let api: Api<Promotion> = self.api(NAMESPACE);
        let all = api.list(&ListParams::default()).await?.items;
        Ok(all.into_iter().filter(|one| one.spec.environment == environment).collect())
    }

    /// Waits until the Promotion of a commit into an environment stands so.
    async fn promoted(&mut self, environment: &str, commit: &str, phase: PromotionPhase) -> anyhow::Result<Promotion> {
        self.promotion_until(environment, commit, phase.as_str(), |one| one.phase() == phase).await
    }

    async fn promotion_until(
        &mut self,
        environment: &str,
        commit: &str,
        what: &str,
        is_so: impl Fn(&Promotion) -> bool,
    ) -> anyhow::Result<Promotion> {
        let title = format!("{} into {environment}: {what}", short(commit));
        let found = eventually(&title, SOON, async || {
            let all = self.promotions(environment).await.map_err(|error| error.to_string())?;
            let one = all.into_iter().find(|one| one.spec.commit == commit).ok_or("there is no Promotion")?;
            if is_so(&one) { Ok(one) } else { Err(format!("{}: {}", one.phase().as_str(), message(&one))) }
        })
        .await?;
        self.stage.check_daemon()?;
        Ok(found)
    }

    /// Runs a command as the person who has the kubeconfig: what it printed.
    async fn leeboard(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
        command.args(arguments).args(["--namespace", NAMESPACE]);
        command.env("KUBECONFIG", self.stage.control_plane().admin_kubeconfig()).env("NO_PROXY", "127.0.0.1");
        let done = tokio::task::spawn_blocking(move || command.output()).await??;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "leeboard {}: {said}", arguments.join(" "));
        Ok(String::from_utf8_lossy(&done.stdout).trim_end().to_owned())
    }
}

/// The commit on the branch that a promotion has made.
fn written(promotion: &Promotion) -> anyhow::Result<String> {
    let write = promotion.status.as_ref().and_then(|status| status.write.as_ref());
    write.and_then(|write| write.commit.clone()).with_context(|| format!("{} has written nothing", promotion.name()))
}

fn message(promotion: &Promotion) -> String {
    promotion.status.as_ref().map(|status| status.message.clone()).unwrap_or_default()
}
