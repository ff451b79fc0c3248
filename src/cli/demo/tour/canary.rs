//! The tour's customers: a version that is promoted while they shop, one that fails and is rolled back.

use std::cell::RefCell;
use std::time::Instant;

use anyhow::{bail, ensure};
use kube::api::Api;

use super::{Guide, SOON, Shown, WEB, since};
use crate::api::flagger::{self, Phase};
use crate::cli::demo::screen::took_text;
use crate::cli::demo::shop::Edit;
use crate::cli::demo::stage::eventually;
use crate::cli::demo::traffic::Trial;
use crate::cli::demo::world::short;
use crate::sandbox::{Load, Sample};

const CANARY: &str = "apps/web/canary/canary.yaml";

/// What makes the pods of web answer three requests of ten with 500.
const BUG: &str = "\
patches:
- target: {kind: Deployment, name: web}
  patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: web
    spec:
      template:
        metadata:
          annotations: {leeboard.test/error-rate: \"0.3\"}
";

impl Guide<'_> {
    /// The web front of dev gets a Canary, in git.
    pub(super) async fn add_canary(&mut self) -> anyhow::Result<Shown> {
        let address = self.stage.traffic()?.metrics_server();
        let edits = [
            Edit::Replace { path: CANARY, from: "http://prometheus:9090", to: &address },
            Edit::Replace { path: WEB, from: "- ../../base\n", to: "- ../../base\ncomponents:\n- ../../canary\n" },
        ];
        let (commit, pushed) = self.push("dev", "Try new versions of web on some customers first", &edits)?;
        self.canary_until("the canary is ready for a new version", |canary| match phase_of(canary) {
            Phase::Initialized => Ok(()),
            phase => Err(format!("it is {phase:?}")),
        })
        .await?;
        self.settled("dev-web", &commit).await?;
        let wire = self.stage.traffic()?.wire("dev");
        eventually("the router leads to web", SOON, async || match wire.ask(Instant::now()).await {
            Sample { result: Ok(200), version: Some(_), .. } => Ok(()),
            other => Err(other.text()),
        })
        .await?;
        Ok(Shown::new(format!(
            "10, 30, 60 % by Skipper, judged by Prometheus; ready after {}",
            took_text(since(pushed))
        )))
    }

    /// A good version gets more and more of the traffic, and then all of it.
    pub(super) async fn try_good(&mut self, trial: &RefCell<Trial>, customers: &Load) -> anyhow::Result<Shown> {
        let began = Instant::now();
        let edits = [Edit::Replace { path: WEB, from: "newTag: 1.5.1", to: "newTag: 1.6.0" }];
        let (commit, pushed) = self.push("dev", "Raise web to 1.6.0", &edits)?;
        let phase = self.watch_trial("1.6.0", trial, customers).await?;
        let took = since(pushed);
        ensure!(phase == Phase::Succeeded, "the canary is {phase:?}");
        let weights = trial.borrow().weights();
        ensure!(weights == [10, 30, 60], "the weights were {weights:?}");
        ensure!(trial.borrow().answered() > 0, "the new version got no requests");
        let samples = customers.since(began);
        if let Some(failed) = samples.iter().find(|sample| sample.result != Ok(200)) {
            bail!("a customer got {}", failed.text());
        }
        let everybody = samples.iter().rev().take(50).all(|sample| sample.version.as_deref() == Some("1.6.0"));
        ensure!(everybody, "not all customers have the new version");
        self.settled("dev-web", &commit).await?;
        Ok(Shown::new(format!("promoted after {}: {} requests, none failed", took_text(took), samples.len())))
    }

    /// A version that answers 500 is noticed by what Prometheus counts, and taken back.
    pub(super) async fn try_bad(&mut self, trial: &RefCell<Trial>, customers: &Load) -> anyhow::Result<Shown> {
        let began = Instant::now();
        let edits = [
            Edit::Replace { path: WEB, from: "newTag: 1.6.0", to: "newTag: 1.7.0" },
            Edit::Replace { path: WEB, from: "patches:\n", to: BUG },
        ];
        let (commit, pushed) = self.push("dev", "Raise web to 1.7.0", &edits)?;
        let phase = self.watch_trial("1.7.0", trial, customers).await?;
        let took = since(pushed);
        ensure!(phase == Phase::Failed, "the canary is {phase:?}");
        let blame = format!("sync of {} by Robin", short(&commit));
        let words = self.complaint("dev-web", |message| message.contains(&blame)).await?;
        ensure!(words.contains("canary web failed: success rate "), "another reason is told: {words}");
        let environment = self.until("the Environment says whose commit it was", SOON, |world| {
            let status = world.environments.get("dev").and_then(|environment| environment.status.as_ref());
            let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
            let message = conditions.iter().map(|condition| condition.message.as_str()).collect::<Vec<_>>().join(", ");
            if message.contains(&blame) { Ok(message) } else { Err(message) }
        });
        let words = environment.await?;
        let samples = customers.since(began);
        let (own, lost): (Vec<&Sample>, Vec<&Sample>) = samples
            .iter()
            .filter(|sample| sample.result != Ok(200))
            .partition(|sample| sample.result == Ok(500) && sample.version.as_deref() == Some("1.7.0"));
        if let Some(lost) = lost.first() {
            bail!("a customer got {}", lost.text());
        }
        ensure!(!own.is_empty(), "nobody has met the bug");
        let nobody = samples.iter().rev().take(50).all(|sample| sample.version.as_deref() == Some("1.6.0"));
        ensure!(nobody, "customers still get the bad version");
        let (met, all) = (own.len(), samples.len());
        Ok(Shown::new(format!("rolled back after {}: {met} of {all} requests failed", took_text(took))).quoting(words))
    }

    /// Git goes back to what runs: there is nothing to try.
    pub(super) async fn take_back(&mut self, customers: &Load) -> anyhow::Result<Shown> {
        let began = Instant::now();
        let edits = [
            Edit::Replace { path: WEB, from: "newTag: 1.7.0", to: "newTag: 1.6.0" },
            Edit::Replace { path: WEB, from: BUG, to: "patches:\n" },
        ];
        let (commit, pushed) = self.push("dev", "Take web back to 1.6.0", &edits)?;
        self.settled("dev-web", &commit).await?;
        self.canary_until("the canary is content again", |canary| match phase_of(canary) {
            Phase::Succeeded => Ok(()),
            phase => Err(format!("it is {phase:?}")),
        })
        .await?;
        if let Some(failed) = customers.since(began).iter().find(|sample| sample.result != Ok(200)) {
            bail!("a customer got {}", failed.text());
        }
        Ok(Shown::new(format!("1.6.0 is what runs: nothing to try, healthy after {}", took_text(since(pushed)))))
    }

    /// Follows a version from its first pod to its end: the phase in which it ended.
    async fn watch_trial(&mut self, version: &str, trial: &RefCell<Trial>, customers: &Load) -> anyhow::Result<Phase> {
        self.watch_trial_in("dev", version, trial, customers).await
    }

    /// The same in an environment.
    pub(super) async fn watch_trial_in(
        &mut self,
        environment: &str,
        version: &str,
        trial: &RefCell<Trial>,
        customers: &Load,
    ) -> anyhow::Result<Phase> {
        trial.borrow_mut().begin(version);
        self.canary_until_in(environment, "the new version is tried", |canary| match phase_of(canary) {
            Phase::Progressing => Ok(()),
            phase => Err(format!("it is {phase:?}")),
        })
        .await?;
        self.canary_until_in(environment, "the trial has ended", |canary| {
            let weight = canary.status.as_ref().map_or(0, |status| status.canary_weight);
            let phase = phase_of(canary);
            trial.borrow_mut().look(phase, u8::try_from(weight).unwrap_or(0), customers);
            match phase {
                Phase::Succeeded | Phase::Failed => Ok(phase),
                _ => Err(format!("it is {phase:?}, at weight {weight}")),
            }
        })
        .await
    }

    /// Waits until the Canary of web in dev is as it should be.
    async fn canary_until<T>(
        &mut self,
        what: &str,
        check: impl Fn(&flagger::Canary) -> Result<T, String>,
    ) -> anyhow::Result<T> {
        self.canary_until_in("dev", what, check).await
    }

    async fn canary_until_in<T>(
        &mut self,
        environment: &str,
        what: &str,
        check: impl Fn(&flagger::Canary) -> Result<T, String>,
    ) -> anyhow::Result<T> {
        let api: Api<flagger::Canary> = self.api(&format!("shop-{environment}"));
        let found = eventually(what, SOON, async || match api.get_opt("web").await {
            Ok(Some(canary)) => check(&canary),
            Ok(None) => Err("there is none".to_owned()),
            Err(error) => Err(error.to_string()),
        })
        .await?;
        self.stage.check_daemon()?;
        Ok(found)
    }
}

fn phase_of(canary: &flagger::Canary) -> Phase {
    canary.status.as_ref().and_then(|status| status.phase).unwrap_or(Phase::Initializing)
}
