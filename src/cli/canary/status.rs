//! `canary status`: where canaries stand, and how one of them gets on.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use jiff::{Timestamp, Zoned};
use serde_json::json;

use super::super::cluster::Target;
use super::super::diff::runtime;
use super::super::terminal::Terminal;
use super::super::{Exit, Failure, Format, tree};
use super::subject::{self, Followed, find, list};
use super::view::{Ended, View, table};
use crate::live::client::Cluster;

/// Between two pictures of a canary that has not changed: the countdown goes on.
const FRAME: Duration = Duration::from_secs(1);

/// Show where canaries stand, and what they wait for
///
/// With a name: one canary, its weights, what happened last, and what can be done. Exits with 1 when it has failed.
/// For example: leeboard canary status shop/web --watch
#[derive(Debug, Args)]
pub(super) struct Status {
    /// One canary
    #[arg(value_name = "NAMESPACE/NAME")]
    name: Option<String>,
    /// Show how it gets on until it has ended
    #[arg(short, long, requires = "name", conflicts_with = "output")]
    watch: bool,
    /// How to write it
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
    #[command(flatten)]
    target: Target,
}

impl Status {
    pub(super) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let runtime = runtime()?;
        let done = runtime.block_on(async {
            let cluster = self.target.connect().await?;
            match &self.name {
                Some(name) => self.one(&cluster, name, terminal).await,
                None => self.all(&cluster, terminal).await,
            }
        });
        runtime.shutdown_background();
        done
    }

    async fn all(&self, cluster: &Cluster, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let now = Timestamp::now();
        let canaries = list(cluster, self.target.namespace.as_deref()).await?;
        let mut views: Vec<View> = canaries.iter().map(|canary| View::new(canary, now)).collect();
        views.sort_by(|a, b| a.place.cmp(&b.place));
        let value = || json!({"canaries": views.iter().map(View::to_value).collect::<Vec<_>>()});
        let text = match self.output {
            Some(Format::Json) => format!("{}\n", value()),
            Some(Format::Yaml) => tree::to_yaml(&value())?,
            None if views.is_empty() => {
                terminal.say("no canaries\n");
                String::new()
            }
            None => table(&views, terminal),
        };
        terminal.print(&text)?;
        Ok(Exit::Ok)
    }

    async fn one(&self, cluster: &Cluster, name: &str, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let canary = find(cluster, name, self.target.namespace.as_deref()).await?;
        let view = match self.watch {
            true => follow(cluster, subject::key(&canary), terminal).await?,
            false => subject::view(cluster, &canary).await,
        };
        let text = match self.output {
            Some(Format::Json) => format!("{}\n", view.to_value()),
            Some(Format::Yaml) => tree::to_yaml(&view.to_value())?,
            None => view.screen(terminal).join("\n") + "\n",
        };
        terminal.print(&text)?;
        Ok(if view.ended() == Ended::Badly { Exit::Trouble } else { Exit::Ok })
    }
}

/// Shows how a canary gets on until it has ended.
async fn follow(cluster: &Cluster, key: crate::object::ObjectKey, terminal: &mut Terminal) -> Result<View, Failure> {
    let followed = Followed::new(cluster, key);
    let mut told = Told::default();
    let mut view: Option<View> = None;
    loop {
        tokio::select! {
            canary = followed.next() => {
                let seen = subject::view(cluster, &canary?).await;
                if seen.ended() != Ended::NotYet {
                    told.tell(&seen, terminal);
                    return Ok(seen);
                }
                told.tell(&seen, terminal);
                view = Some(seen);
            }
            () = tokio::time::sleep(FRAME), if view.is_some() => {}
            _ = tokio::signal::ctrl_c() => return Err(anyhow!("no longer followed; the canary goes on").into()),
        }
        if let Some(view) = &view {
            terminal.paint(&view.clone().at(Timestamp::now()).screen(terminal));
        }
    }
}

/// What was told already, for a pipe.
#[derive(Default)]
struct Told {
    line: String,
    /// Names of Events; `None` before the first look, which tells of none: they are old.
    events: Option<BTreeSet<String>>,
}

impl Told {
    fn tell(&mut self, view: &View, terminal: &mut Terminal) {
        if terminal.is_watched() {
            return;
        }
        let clock = Zoned::now().strftime("%H:%M:%S").to_string();
        let names = view.events().iter().map(|event| event.name.clone()).collect();
        if let Some(known) = self.events.replace(names) {
            for event in view.events().iter().filter(|event| !known.contains(&event.name)) {
                terminal.say(&format!("{clock}  {}\n", event.message));
            }
        }
        let line = view.line();
        if line != self.line {
            terminal.say(&format!("{clock}  {line}\n"));
            self.line = line;
        }
    }
}
