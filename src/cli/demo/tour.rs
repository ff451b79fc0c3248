//! The tour: the demo plays by itself what a person would try, and checks what comes of it.
//!
//! Each step does one thing to git, to the cluster or to the daemon, and is over when the cluster is as it should be.

mod canary;
mod promotion;
mod pull;

use std::cell::RefCell;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;
use tokio::sync::watch;

use super::screen::{Screen, took_text};
use super::shop::{self, Checkout, ENVIRONMENTS, Edit};
use super::show;
use super::stage::{Stage, eventually};
use super::traffic::Trial;
use super::world::{World, short, unsettled};
use crate::api::argo::{ApplicationStatus, OperationPhase};

/// No step takes longer than this, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

const WEB: &str = "apps/web/overlays/dev/kustomization.yaml";

/// What a step has shown.
struct Shown {
    /// One line.
    detail: String,
    /// What was said, to the letter.
    quote: Option<String>,
}

impl Shown {
    fn new(detail: impl Into<String>) -> Self {
        Shown { detail: detail.into(), quote: None }
    }

    fn quoting(self, quote: impl Into<String>) -> Self {
        Shown { quote: Some(quote.into()), ..self }
    }
}

/// Plays all steps after the first sync, each of which must go well.
pub(super) async fn tour(
    screen: &mut Screen<'_>,
    stage: &mut Stage,
    world: watch::Receiver<World>,
) -> anyhow::Result<()> {
    let has_forge = stage.forge().is_ok();
    let checkout = Checkout::clone_of(&stage.repository(), &stage.directory().join("clone.git"))?;
    let mut guide = Guide { stage, world: world.clone(), checkout };
    let mut play = Play { screen, world };

    if has_forge {
        return pull::play(&mut guide, &mut play).await;
    }
    play.step("waves and hooks", guide.waves()).await?;
    let elsewhere = guide.operations(&ENVIRONMENTS[1..]);
    play.step("git push to dev", guide.raise_web()).await?;
    play.step("int and prod", guide.nothing_happened_elsewhere(&elsewhere)).await?;
    play.step("Deployment deleted", guide.delete_web()).await?;
    play.step("scaled by hand", guide.scale_web()).await?;
    play.step("broken YAML pushed", guide.break_yaml()).await?;
    play.step("repaired by a push", guide.repair_yaml()).await?;
    play.step("beyond its project", guide.reach_beyond_the_project()).await?;
    play.step("removed from git", guide.prune()).await?;
    play.step("kill -9 in a sync", guide.kill_the_daemon()).await?;

    let trial = RefCell::new(Trial::default());
    play.step("a canary for web", guide.add_canary()).await?;
    let customers = guide.stage.traffic()?.customers_of("dev");
    play.trial("web 1.6.0 on trial", &trial, guide.try_good(&trial, &customers)).await?;
    play.trial("web 1.7.0 on trial", &trial, guide.try_bad(&trial, &customers)).await?;
    play.step("taken back in git", guide.take_back(&customers)).await?;
    drop(customers);
    play.step("int and prod, again", guide.nothing_happened_elsewhere(&elsewhere)).await?;
    promotion::play(&mut guide, &mut play, &trial).await
}

/// Shows steps while they are played.
struct Play<'a, 'b> {
    screen: &'a mut Screen<'b>,
    world: watch::Receiver<World>,
}

impl Play<'_, '_> {
    async fn step(&mut self, title: &str, work: impl Future<Output = anyhow::Result<Shown>>) -> anyhow::Result<()> {
        self.drawn(title, Vec::new, work).await
    }

    /// A step with the weights of a version on trial.
    async fn trial(
        &mut self,
        title: &str,
        trial: &RefCell<Trial>,
        work: impl Future<Output = anyhow::Result<Shown>>,
    ) -> anyhow::Result<()> {
        let unicode = self.screen.terminal.unicode();
        self.drawn(title, || trial.borrow().draw(unicode), work).await?;
        self.screen.quote(&trial.borrow().draw(unicode).join("\n"))
    }

    /// A step; meanwhile `picture` is drawn above what happens.
    async fn drawn(
        &mut self,
        title: &str,
        picture: impl Fn() -> Vec<String>,
        work: impl Future<Output = anyhow::Result<Shown>>,
    ) -> anyhow::Result<()> {
        const NEWEST: usize = 6;
        let told = self.world.borrow().news.len();
        let world = self.world.clone();
        let doing = || {
            let world = world.borrow();
            let new = &world.news[told.min(world.news.len())..];
            let newest = new.iter().skip(new.len().saturating_sub(NEWEST));
            let lines = newest.map(|news| format!("{:<15} {}", news.about, news.what));
            [String::new()].into_iter().chain(picture()).chain(lines).collect()
        };
        match self.screen.during(title, doing, work).await {
            Ok(done) => {
                self.screen.good(title, &done.value.detail, Some(done.took))?;
                done.value.quote.map_or(Ok(()), |quote| self.screen.quote(&quote))
            }
            Err(error) => {
                self.screen.bad(title, &format!("{error:#}"))?;
                let news: Vec<String> = {
                    let world = self.world.borrow();
                    world.news.iter().skip(told).map(|news| show::line(news, self.screen.terminal)).collect()
                };
                self.screen.quote(&news.join("\n"))?;
                Err(error.context(format!("the tour ended at “{title}”")))
            }
        }
    }
}

/// Does what a person would do.
struct Guide<'a> {
    stage: &'a mut Stage,
    world: watch::Receiver<World>,
    checkout: Checkout,
}

/// When each Application's last operation began.
type Operations = Vec<(String, Option<Timestamp>)>;

impl Guide<'_> {
    async fn waves(&mut self) -> anyhow::Result<Shown> {
        for environment in ENVIRONMENTS {
            self.check_waves(environment)?;
            self.check_migration(environment).await?;
        }
        Ok(Shown::new("each application after the waves before it, each migration before its api"))
    }

    /// No Application was made before those of the waves before it had ended their syncs.
    fn check_waves(&self, environment: &str) -> anyhow::Result<()> {
        let world = self.world.borrow();
        let root = world.status(environment).context("there is no root application")?;
        let mut children = Vec::new();
        for resource in root.resources.iter().filter(|resource| resource.kind == "Application") {
            let application = world.applications.get(&resource.name).context("an application is missing")?;
            let made = application.metadata.creation_timestamp.as_ref().context("it has no date")?.0;
            let operation = application.status.as_ref().and_then(|status| status.operation_state.as_ref());
            let synced = operation
                .and_then(|operation| Some(operation.finished_at.as_ref()?.0))
                .context("it has not been synced")?;
            children.push((resource.sync_wave.unwrap_or(0), &resource.name, made, synced));
        }
        ensure!(children.len() == 7, "{environment} has {} applications", children.len());
        for (wave, name, made, _) in &children {
            for (earlier, other, _, synced) in &children {
                // Kubernetes writes whole seconds.
                let in_order = earlier >= wave || synced.as_second() <= made.as_second();
                ensure!(in_order, "{name} (wave {wave}) was made before {other} (wave {earlier}) was synced");
            }
        }
        Ok(())
    }

    async fn check_migration(&self, environment: &str) -> anyhow::Result<()> {
        let job: Job = self.api(&format!("shop-{environment}")).get("migrate").await.context("no migration")?;
        let ended = job.status.and_then(|status| status.completion_time).context("the migration has not ended")?;
        let deployment = self.deployment(environment, "api").await?;
        let made = deployment.metadata.creation_timestamp.context("it has no date")?;
        ensure!(ended.0 <= made.0, "the migration of {environment} ended after its api was made");
        Ok(())
    }

    async fn raise_web(&mut self) -> anyhow::Result<Shown> {
        let edits = [Edit::Replace { path: WEB, from: "newTag: 1.4.1", to: "newTag: 1.5.0" }];
        let (commit, pushed) = self.push("dev", "Raise web to 1.5.0", &edits)?;
        self.image("dev", "web", ":1.5.0").await?;
        let live = since(pushed);
        self.settled("dev-web", &commit).await?;
        Ok(Shown::new(format!(
            "web 1.4.1 → 1.5.0: in the cluster after {}, healthy after {}",
            took_text(live),
            took_text(since(pushed))
        )))
    }

    async fn nothing_happened_elsewhere(&mut self, before: &Operations) -> anyhow::Result<Shown> {
        let now = self.operations(&ENVIRONMENTS[1..]);
        let touched = now.iter().zip(before).find(|(now, before)| now != before);
        if let Some(((name, _), _)) = touched {
            bail!("{name} was synced, and nobody pushed to its branch");
        }
        for (environment, tag) in [("int", ":1.4.1"), ("prod", ":1.4.0")] {
            let image = image_of(&self.deployment(environment, "web").await?);
            ensure!(image.ends_with(tag), "web of {environment} runs {image}");
        }
        Ok(Shown::new("untouched: no sync has begun there"))
    }

    async fn delete_web(&mut self) -> anyhow::Result<Shown> {
        let deployments: Api<Deployment> = self.api("shop-dev");
        let old = deployments.get("web").await?.metadata.uid;
        deployments.delete("web", &DeleteParams::background()).await?;
        let deleted = SystemTime::now();
        self.deployment_until("another Deployment web is there", |web| {
            if web.metadata.uid == old { Err("it is still the old one".into()) } else { Ok(()) }
        })
        .await?;
        let back = since(deleted);
        self.deployment_until("its pods are ready", |web| {
            let ready = web.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
            if ready > 0 { Ok(()) } else { Err("no pod is ready".into()) }
        })
        .await?;
        Ok(Shown::new(format!("back after {}, its pod ready after {}", took_text(back), took_text(since(deleted)))))
    }

    async fn scale_web(&mut self) -> anyhow::Result<Shown> {
        // The last repair must be over: what comes too soon after it waits a little.
        let commit = self.head("dev")?.commit;
        self.settled("dev-web", &commit).await?;
        let hand = PatchParams { field_manager: Some("kubectl-edit".into()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({"spec": {"replicas": 7}}));
        let edited: Deployment = self.api("shop-dev").patch("web", &hand, &patch).await?;
        let edited_at = SystemTime::now();
        let replicas = |web: &Deployment| web.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        ensure!(replicas(&edited) == 7, "the edit did not get through");
        self.deployment_until("web has 1 replica", |web| match replicas(web) {
            1 => Ok(()),
            count => Err(format!("it has {count}")),
        })
        .await?;
        Ok(Shown::new(format!("7 replicas instead of 1, put back after {}", took_text(since(edited_at)))))
    }

    async fn break_yaml(&mut self) -> anyhow::Result<Shown> {
        let before = self.deployment("dev", "web").await?;
        let edits = [Edit::Replace { path: WEB, from: "replicas:\n", to: "replicas\n" }];
        let (_, pushed) = self.push("dev", "Give web a replica more", &edits)?;
        let words = self.complaint("dev-web", |message| message.contains(&format!("{WEB}:"))).await?;
        let told = since(pushed);
        let line =
            words.split(&format!("{WEB}:")).nth(1).and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
        ensure!(line.is_some_and(|line| !line.is_empty()), "no line is named: {words}");
        let after = self.deployment("dev", "web").await?;
        ensure!(after.metadata.uid == before.metadata.uid, "Deployment web is another one");
        ensure!(after.spec == before.spec, "Deployment web was changed");
        Ok(Shown::new(format!("named after {}, and the cluster left as it was", took_text(told))).quoting(words))
    }

    async fn repair_yaml(&mut self) -> anyhow::Result<Shown> {
        let edits = [
            Edit::Replace { path: WEB, from: "replicas\n", to: "replicas:\n" },
            Edit::Replace { path: WEB, from: "newTag: 1.5.0", to: "newTag: 1.5.1" },
        ];
        let (commit, pushed) = self.push("dev", "Write YAML, and raise web to 1.5.1", &edits)?;
        self.image("dev", "web", ":1.5.1").await?;
        let live = since(pushed);
        self.settled("dev-web", &commit).await?;
        Ok(Shown::new(format!("web 1.5.1: in the cluster after {}, and the error is gone", took_text(live))))
    }

    async fn reach_beyond_the_project(&mut self) -> anyhow::Result<Shown> {
        const GREED: &str = "\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: payments-everywhere
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: cluster-admin
subjects:
- apiGroup: rbac.authorization.k8s.io
  kind: Group
  name: payments
";
        const LIST: &str = "apps/payments/base/kustomization.yaml";
        let before = self.deployment_in("payments-dev", "ledger").await?;
        let edits = [
            Edit::Add { path: "apps/payments/base/everywhere.yaml", text: GREED },
            Edit::Replace { path: LIST, from: "- settlement.yaml\n", to: "- settlement.yaml\n- everywhere.yaml\n" },
        ];
        let (_, pushed) = self.push("dev", "Let payments do everything", &edits)?;
        let words = self.complaint("dev-payments", |message| message.contains("is not permitted in project")).await?;
        let refused = since(pushed);
        let bindings: Api<ClusterRoleBinding> = Api::all(self.stage.client().clone());
        ensure!(bindings.get_opt("payments-everywhere").await?.is_none(), "the ClusterRoleBinding was made");
        let after = self.deployment_in("payments-dev", "ledger").await?;
        ensure!(after.spec == before.spec, "Deployment ledger was changed");

        let edits = [
            Edit::Remove { path: "apps/payments/base/everywhere.yaml" },
            Edit::Replace { path: LIST, from: "- everywhere.yaml\n", to: "" },
        ];
        let (commit, _) = self.push("dev", "Let payments do its own", &edits)?;
        self.settled("dev-payments", &commit).await?;
        Ok(Shown::new(format!("the payments team asks to be cluster-admin: refused after {}", took_text(refused)))
            .quoting(words))
    }

    async fn prune(&mut self) -> anyhow::Result<Shown> {
        let edits = [
            Edit::Remove { path: "apps/web/base/disruption.yaml" },
            Edit::Replace { path: "apps/web/base/kustomization.yaml", from: "- disruption.yaml\n", to: "" },
        ];
        let (commit, pushed) = self.push("dev", "Drop the disruption budget of web", &edits)?;
        let budgets: Api<PodDisruptionBudget> = self.api("shop-dev");
        eventually("PodDisruptionBudget web is gone", SOON, async || match budgets.get_opt("web").await {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err("it is still there".to_owned()),
            Err(error) => Err(error.to_string()),
        })
        .await?;
        let gone = since(pushed);
        let elsewhere: Api<PodDisruptionBudget> = self.api("shop-int");
        ensure!(elsewhere.get_opt("web").await?.is_some(), "that of int is gone, too");
        self.settled("dev-web", &commit).await?;
        Ok(Shown::new(format!("PodDisruptionBudget web: pruned after {}", took_text(gone))))
    }

    async fn kill_the_daemon(&mut self) -> anyhow::Result<Shown> {
        let jobs: Api<Job> = self.api("shop-dev");
        let old = jobs.get("migrate").await?.metadata.uid;
        let edits = [
            Edit::Replace { path: "apps/api/overlays/dev/kustomization.yaml", from: "newTag: ", to: "newTag: 9." },
            Edit::Replace {
                path: "apps/api/base/migrate.yaml",
                from: "  template:\n    spec:\n",
                to: "  template:\n    metadata:\n      annotations: {leeboard.test/delay: 3s}\n    spec:\n",
            },
        ];
        let (commit, _) = self.push("dev", "Raise api, with a slow migration", &edits)?;
        let running = eventually("the slow migration runs", SOON, async || {
            let job = jobs.get("migrate").await.map_err(|error| error.to_string())?;
            let active = job.status.as_ref().and_then(|status| status.active).unwrap_or(0);
            if job.metadata.uid != old && active > 0 { Ok(job) } else { Err("it does not".to_owned()) }
        })
        .await?;
        let phase = |world: &World| world.status("dev-api")?.operation_state.as_ref().map(|operation| operation.phase);
        self.until("the sync of dev-api is on record", SOON, |world| match phase(world) {
            Some(OperationPhase::Running) => Ok(()),
            phase => Err(format!("it is {phase:?}")),
        })
        .await?;
        self.stage.kill_daemon()?;
        let killed = SystemTime::now();
        self.stage.start_daemon().await?;
        let ready = since(killed);
        self.settled("dev-api", &commit).await?;
        let image = image_of(&self.deployment("dev", "api").await?);
        ensure!(image.contains(":9."), "api runs {image}");
        let job = jobs.get("migrate").await?;
        ensure!(job.metadata.uid == running.metadata.uid, "the migration was run a second time");
        Ok(Shown::new(format!(
            "ready again after {}, sync done after {}, migration run once",
            took_text(ready),
            took_text(since(killed))
        )))
    }

    fn operations(&self, environments: &[&str]) -> Operations {
        let world = self.world.borrow();
        let began = |status: &ApplicationStatus| Some(status.operation_state.as_ref()?.started_at.as_ref()?.0);
        let all = environments.iter().flat_map(|environment| world.of(environment));
        all.map(|(application, status)| (application.name().to_owned(), began(status))).collect()
    }

    /// Commits and pushes: the commit, and when the branch moved.
    fn push(&self, environment: &str, subject: &str, edits: &[Edit<'_>]) -> anyhow::Result<(String, SystemTime)> {
        let commit = self.checkout.push(environment, subject, edits).context("cannot push")?;
        Ok((commit, self.head(environment)?.pushed))
    }

    fn head(&self, environment: &str) -> anyhow::Result<shop::Head> {
        shop::head(&self.stage.repository(), environment).with_context(|| format!("{environment} has no branch"))
    }

    fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.stage.client().clone(), namespace)
    }

    async fn deployment(&self, environment: &str, name: &str) -> anyhow::Result<Deployment> {
        self.deployment_in(&format!("shop-{environment}"), name).await
    }

    async fn deployment_in(&self, namespace: &str, name: &str) -> anyhow::Result<Deployment> {
        self.api(namespace).get(name).await.with_context(|| format!("cannot read Deployment {name} in {namespace}"))
    }

    /// Waits until Deployment web of dev is as it should be.
    async fn deployment_until(
        &self,
        what: &str,
        check: impl Fn(&Deployment) -> Result<(), String>,
    ) -> anyhow::Result<()> {
        let api: Api<Deployment> = self.api("shop-dev");
        eventually(what, SOON, async || match api.get_opt("web").await {
            Ok(Some(deployment)) => check(&deployment),
            Ok(None) => Err("there is none".to_owned()),
            Err(error) => Err(error.to_string()),
        })
        .await
    }

    async fn image(&self, environment: &str, name: &str, tag: &str) -> anyhow::Result<()> {
        eventually(&format!("{name} of {environment} runs {tag}"), SOON, async || {
            let deployment = self.deployment(environment, name).await.map_err(|error| error.to_string())?;
            let image = image_of(&deployment);
            if image.ends_with(tag) { Ok(()) } else { Err(format!("it runs {image}")) }
        })
        .await
    }

    async fn settled(&mut self, application: &str, commit: &str) -> anyhow::Result<()> {
        self.until(&format!("{application} is at {} and healthy", short(commit)), SOON, |world| {
            let status = world.status(application).ok_or("it has no status")?;
            unsettled(status, commit).map_or(Ok(()), Err)
        })
        .await
    }

    /// Waits until an application complains, in a condition or about its last sync: the words.
    async fn complaint(&mut self, application: &str, is_it: impl Fn(&str) -> bool) -> anyhow::Result<String> {
        self.until(&format!("{application} says what is wrong"), SOON, |world| {
            let status = world.status(application).ok_or("it has no status")?;
            let conditions = status.conditions.iter().map(|condition| &condition.message);
            let operation = status.operation_state.iter().map(|operation| &operation.message);
            let mut messages = conditions.chain(operation);
            let found = messages.find(|message| is_it(message)).cloned();
            found.ok_or_else(|| unsettled(status, "").unwrap_or_default())
        })
        .await
    }

    /// Waits until the world is as it should be.
    async fn until<T>(
        &mut self,
        what: &str,
        within: Duration,
        check: impl Fn(&World) -> Result<T, String>,
    ) -> anyhow::Result<T> {
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let last = match check(&self.world.borrow_and_update()) {
                Ok(value) => return Ok(value),
                Err(last) => last,
            };
            self.stage.check_daemon()?;
            if tokio::time::timeout_at(deadline, self.world.changed()).await.is_err() {
                bail!("{what}: not within {} s: {last}", within.as_secs());
            }
        }
    }
}

fn image_of(deployment: &Deployment) -> String {
    let containers =
        deployment.spec.iter().filter_map(|spec| spec.template.spec.as_ref()).flat_map(|pod| &pod.containers);
    containers.filter_map(|container| container.image.clone()).next().unwrap_or_default()
}

fn since(then: SystemTime) -> Duration {
    SystemTime::now().duration_since(then).unwrap_or_default()
}
