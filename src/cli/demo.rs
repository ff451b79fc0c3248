//! `demo`: the shop on a cluster of its own, to look at, to play with, and to check that all of it works.
//!
//! Read [`shop`] (what is in git), [`stage`] (what runs), [`world`] (what is seen), then [`tour`].

mod commands;
mod follow;
mod forge;
mod screen;
mod shop;
mod show;
mod stage;
mod tour;
mod traffic;
mod world;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use parking_lot::Mutex;
use tokio::signal::unix::{SignalKind, signal};

pub use commands::{commands, pull_commands};
pub use shop::{ENVIRONMENTS, branch, contents};

use self::follow::Follower;
use self::screen::Screen;
use self::show::Events;
use self::stage::{Afterwards, NAMESPACE, Stage, eventually};
use self::traffic::Programs;
use super::report::{Paths, Problems};
use super::terminal::Terminal;
use super::{Exit, Failure};
use crate::error::Diagnostic;
use crate::sandbox::{self, Binaries, Program, Progress};

/// Try Leeboard on a Kubernetes cluster of its own
///
/// Starts a real control plane on loopback, a git repository with three environments of a small shop, and the daemon.
/// Then it is your turn: push to the repository, break something in the cluster, and watch what happens. Your own
/// kubeconfig is neither read nor changed. The first start builds the control plane, which takes Go and some minutes.
///
/// Example: leeboard demo --tour
#[derive(Debug, Args)]
pub struct Demo {
    /// Play all of it alone, check each step, and end
    #[arg(long)]
    tour: bool,
    /// Have the shop on a real forge (Gitea), to open pull requests and read what they would change; with --tour: play one
    #[arg(long, conflicts_with = "keep")]
    forge: bool,
    /// Leave the directory at the end, for the next demo to go on from there
    #[arg(long)]
    keep: bool,
    /// The directory for all that the demo makes
    #[arg(long, value_name = "DIR", default_value = ".leeboard-demo")]
    dir: PathBuf,
}

impl Demo {
    pub(super) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let done = runtime.block_on(self.play(&mut Screen { terminal }));
        // A build of the control plane may still be under way: it ends with us.
        runtime.shutdown_background();
        match done {
            Ok(()) => Ok(Exit::Ok),
            Err(error) => Err(with_advice(error)),
        }
    }

    async fn play(&self, screen: &mut Screen<'_>) -> anyhow::Result<()> {
        // Set up first: a signal in the meantime is not lost.
        let mut signals = Signals::new()?;
        let set_up = tokio::select! {
            stage = self.set_up(screen) => Some(stage?),
            () = signals.come() => None,
        };
        let Some((mut stage, follower, began)) = set_up else { return self.interrupted(screen) };
        let world = follower.world();
        let played = tokio::select! {
            played = async {
                let events = if self.tour { Events::Kept } else { Events::Told };
                show::first_sync(screen, &mut stage, &world, began, events).await?;
                if self.tour {
                    tour::tour(screen, &mut stage, world).await
                } else {
                    screen.terminal.print(&format!("\n{}\n", self.explanation(&stage)))?;
                    show::show(screen, &mut stage, world).await
                }
            } => Some(played),
            () = signals.come() => None,
        };
        drop(follower);
        if let Some(Err(_)) = &played {
            screen.bad("the daemon's log", "ends with")?;
            screen.quote(&stage.last_words())?;
        }
        let ended = self.end(screen, stage).await;
        match played {
            Some(played) => played.and(ended),
            None if self.tour => ended.and_then(|()| self.interrupted(screen)),
            None => ended,
        }
    }

    fn interrupted(&self, screen: &mut Screen<'_>) -> anyhow::Result<()> {
        screen.terminal.wipe();
        bail!("interrupted")
    }

    /// All that has to run before there is something to see.
    async fn set_up(&self, screen: &mut Screen<'_>) -> anyhow::Result<(Stage, Follower, Instant)> {
        let afterwards = self.afterwards()?;
        let binaries = find_or_build(screen, "control plane", |report| Binaries::find_or_build(report)).await?;
        let gitea = match self.forge {
            true => Some(find_or_build(screen, "forge", |report| Program::Gitea.find_or_build(report)).await?),
            false => None,
        };
        let programs = match self.tour && !self.forge {
            true => Some(find_or_build(screen, "router", |report| Programs::find_or_build(report)).await?),
            false => None,
        };

        let nothing = || vec!["starting".to_owned()];
        let done = screen.during("control plane", nothing, Stage::set_up(&binaries, &self.dir, afterwards)).await?;
        let (mut stage, took) = (done.value, done.took);
        let control_plane = stage.control_plane();
        let detail = format!("Kubernetes {} on 127.0.0.1:{}", control_plane.version(), control_plane.port());
        screen.good("control plane", &detail, Some(took))?;

        if let Some(program) = gitea {
            let doing = || vec!["Gitea, with the shop's repository".to_owned()];
            let took = screen.during("forge", doing, stage.start_forge(&program)).await?.took;
            let detail = stage.forge()?.clone_url();
            screen.good("forge", &format!("Gitea, {detail}"), Some(took))?;
        } else {
            self.make_repository(screen, &stage)?;
        }
        let path = stage.repository();

        let doing = || vec!["defining its kinds, starting the daemon".to_owned()];
        let work = async {
            stage.install().await?;
            if self.forge {
                stage.introduce_forge().await?;
            }
            stage.start_daemon().await
        };
        let took = screen.during("leeboard", doing, work).await?.took;
        let address = stage.address().map(|address| address.to_string()).unwrap_or_default();
        screen.good("leeboard", &format!("listening on {address}"), Some(took))?;

        if let Some(programs) = programs {
            let doing = || vec!["Skipper, and Prometheus to measure it".to_owned()];
            let took = screen.during("router", doing, stage.start_traffic(programs)).await?.took;
            let traffic = stage.traffic()?;
            let detail = format!("Skipper on {}, Prometheus on {}", traffic.url(), traffic.metrics_server());
            screen.good("router", &detail.replace("http://", ""), Some(took))?;
        }

        let follower = Follower::start(stage.client(), NAMESPACE, path, &stage.repository_url()?)?;
        let began = Instant::now();
        stage.make_environments().await?;
        Ok((stage, follower, began))
    }

    fn make_repository(&self, screen: &mut Screen<'_>, stage: &Stage) -> anyhow::Result<()> {
        let path = stage.repository();
        let was_there = path.exists();
        let start = Instant::now();
        shop::create(&path).with_context(|| format!("cannot make the repository {}", path.display()))?;
        let branches = ENVIRONMENTS.map(branch).join(" ");
        let kept = if was_there { ", as it was left" } else { "" };
        let detail = format!("{}, branches {branches}{kept}", self.dir.join("shop.git").display());
        screen.good("git repository", &detail, Some(start.elapsed()))
    }

    /// What becomes of the directory. One that was kept is not removed by a later demo that goes on from it.
    fn afterwards(&self) -> anyhow::Result<Afterwards> {
        let text = self.dir.to_string_lossy();
        // It becomes a part of addresses in YAML.
        let unfit = text.chars().find(|character| character.is_control() || "'\"#:*?[]{}".contains(*character));
        if let Some(character) = unfit {
            bail!("the demo can't use the directory {text}: its name has a {character:?}");
        }
        let was_kept = self.dir.exists();
        ensure!(
            !(was_kept && self.tour),
            "the tour begins from nothing, and {text} is there already: remove it, or name another directory with --dir"
        );
        ensure!(
            !(was_kept && self.forge),
            "a forge begins from nothing, and {text} is there already: remove it, or name another directory with --dir"
        );
        Ok(if self.keep || was_kept { Afterwards::Keep } else { Afterwards::Remove })
    }

    fn explanation(&self, stage: &Stage) -> String {
        let end = match stage.afterwards() {
            Afterwards::Keep => "Ctrl-C ends it and keeps the directory.",
            Afterwards::Remove => "Ctrl-C ends it and leaves nothing behind.",
        };
        let commands = match stage.forge() {
            Ok(forge) => pull_commands(&forge.push_url(), &forge.page(1), forge.sign_in()),
            Err(_) => commands(&self.dir),
        };
        format!("{commands}\nThis window shows what happens. {end}\n")
    }

    /// Ends all, and looks whether anything is left.
    async fn end(&self, screen: &mut Screen<'_>, stage: Stage) -> anyhow::Result<()> {
        const GONE_WITHIN: Duration = Duration::from_secs(5);
        let afterwards = stage.afterwards();
        let traces = stage.traces()?;
        let doing = || vec!["the daemon, then the control plane".to_owned()];
        let ended = tokio::task::spawn_blocking(move || stage.end());
        let done = screen.during("ending", doing, async { ended.await? }).await?;
        let Some(status) = done.value else { bail!("the daemon had to be killed") };
        ensure!(status.success(), "the daemon ended badly: {status}");
        if afterwards == Afterwards::Keep {
            return screen.good("ended", &format!("{} stays", self.dir.display()), Some(done.took));
        }
        eventually("nothing is left", GONE_WITHIN, async || match traces.left() {
            left if left.is_empty() => Ok(()),
            left => Err(left.join(", ")),
        })
        .await?;
        screen.good("ended", "no process and no file is left", Some(done.took))
    }
}

/// What a person can do about an error of the control plane stands with it.
fn with_advice(error: anyhow::Error) -> Failure {
    let advice =
        error.chain().filter_map(|cause| cause.downcast_ref::<sandbox::Error>()).find_map(sandbox::Error::hint);
    match advice {
        Some(advice) => {
            let problem = Diagnostic::new(format!("{error:#}")).with_hint(advice);
            Failure::Problems(Problems { found: vec![problem], paths: Paths::default() })
        }
        None => Failure::Other(error),
    }
}

/// Programs; a first build takes minutes.
async fn find_or_build<T: Send + 'static>(
    screen: &mut Screen<'_>,
    title: &str,
    find: impl FnOnce(&mut dyn FnMut(Progress)) -> Result<T, sandbox::Error> + Send + 'static,
) -> anyhow::Result<T> {
    let latest = Arc::new(Mutex::new(None));
    let told = latest.clone();
    let work = tokio::task::spawn_blocking(move || find(&mut |progress| *told.lock() = Some(progress)));
    let doing = || latest.lock().iter().map(ToString::to_string).collect();
    let done = screen.during(title, doing, async { anyhow::Ok(work.await??) }).await?;
    if latest.lock().is_some() {
        screen.good(title, "built, once for all", Some(done.took))?;
    }
    Ok(done.value)
}

/// What ends the demo from outside.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn come(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
