//! `get`: environments, applications, and what they hold, as their status says.

pub(super) mod row;
mod tree;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::row::Row;
use super::cluster::{Target, wait_for};
use super::nearest::nearest;
use super::subject::told;
use super::terminal::{Table, Terminal};
use super::{Exit, Failure, tree as local};
use crate::api::argo::Application;
use crate::api::leeboard::Environment;
use crate::api::{self, ARGO_GROUP, LEEBOARD_GROUP, VERSION};
use crate::error::Diagnostic;
use crate::live::client::{Cluster, Error, ListOptions};
use crate::object::{GroupKind, annotation};

/// Show environments and applications: where they stand, and what they wait for
///
/// For example: leeboard get dev --tree
#[derive(Debug, Args)]
pub(super) struct Get {
    /// One environment or application; `environments`: all of these
    name: Option<String>,
    /// Show what they hold; what is healthy is folded
    #[arg(long)]
    tree: bool,
    /// With --tree: unfold what is healthy too
    #[arg(long, requires = "tree")]
    all: bool,
    /// How to write it
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Output>,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table with more columns
    Wide,
    /// One JSON value
    Json,
    /// YAML
    Yaml,
}

/// What the cluster says, read at one time.
pub(super) struct View {
    environments: Vec<Environment>,
    applications: Vec<Application>,
    now: Timestamp,
}

impl Get {
    pub(super) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let mut view = wait_for("the API server", terminal, self.read())??;
        match self.name.as_deref() {
            Some(kind) if ENVIRONMENTS.contains(&kind) && !view.has(kind) => {
                view.applications.retain(|one| one.annotation(annotation::ENVIRONMENT).is_some())
            }
            Some(name) => view = view.of(name).map_err(told)?,
            None => {}
        }
        let text = match self.output {
            Some(Output::Json) => format!("{}\n", view.to_value()),
            Some(Output::Yaml) => local::to_yaml(&view.to_value())?,
            None if self.tree => view.roots().map(|root| tree::draw(root, &view, self.all, terminal)).collect(),
            None | Some(Output::Wide) => view.tables(self.output == Some(Output::Wide), terminal),
        };
        terminal.print(&text)?;
        if view.environments.is_empty() && view.applications.is_empty() {
            terminal.say("no environments and no applications\n");
        }
        Ok(Exit::Ok)
    }

    async fn read(&self) -> Result<View, Failure> {
        let cluster = self.target.connect().await?;
        let namespace = self.target.namespace.as_deref();
        let (environments, applications) = futures::try_join!(
            list(&cluster, LEEBOARD_GROUP, "Environment", namespace),
            list(&cluster, ARGO_GROUP, "Application", namespace),
        )?;
        Ok(View { environments, applications, now: Timestamp::now() })
    }
}

/// All objects of one of our kinds; none when the cluster does not know it.
async fn list<T: DeserializeOwned>(
    cluster: &Cluster,
    group: &str,
    kind: &str,
    namespace: Option<&str>,
) -> anyhow::Result<Vec<T>> {
    let options = ListOptions { namespace: namespace.map(Into::into), ..ListOptions::default() };
    match cluster.list(&GroupKind::new(group, kind), VERSION, &options).await {
        // One that can't be read does not hide the others.
        Ok(objects) => Ok(objects.iter().filter_map(|object| api::decode(object).ok()).collect()),
        Err(Error::NoKind { .. }) => Ok(Vec::new()),
        Err(error) => {
            Err(anyhow::Error::new(error).context(format!("cannot list the {kind}s of {}", cluster.server())))
        }
    }
}

/// How people call all environments.
const ENVIRONMENTS: [&str; 4] = ["environments", "environment", "envs", "env"];

impl View {
    /// True when something is called so.
    fn has(&self, name: &str) -> bool {
        self.environments.iter().any(|one| one.name() == name) || self.applications.iter().any(|one| one.name() == name)
    }

    /// What has this name, with all that hangs on it; when nothing has, the error says which name was meant.
    fn of(self, name: &str) -> Result<View, Diagnostic> {
        let is_wanted = |application: &Application| application.name() == name;
        if !self.environments.iter().any(|e| e.name() == name) && !self.applications.iter().any(is_wanted) {
            return Err(self.knows_no(name));
        }
        let environments = self.environments.into_iter().filter(|e| e.name() == name).collect();
        // Its children are looked up among all; the table shows the one alone.
        let mut applications = self.applications;
        applications.sort_by_key(|application| !is_wanted(application));
        let wanted = applications.iter().filter(|application| is_wanted(application)).count();
        let below = tree::below(&applications[..wanted], &applications);
        let applications = applications.into_iter().enumerate().filter(|(at, _)| below.contains(at));
        Ok(View { environments, applications: applications.map(|(_, a)| a).collect(), now: self.now })
    }

    fn knows_no(&self, name: &str) -> Diagnostic {
        let environments = self.environments.iter().map(Environment::name);
        let known: Vec<&str> = environments.chain(self.applications.iter().map(Application::name)).collect();
        let mut problem = Diagnostic::new(format!("there is no environment and no application `{name}`"));
        problem.hint = Some(match nearest(name, known.iter().copied()) {
            Some(near) => format!("Did you mean `{near}`?"),
            None if known.is_empty() => "There are none at all.".into(),
            None => "`leeboard get` lists them all.".into(),
        });
        problem
    }

    /// The applications that no other one holds.
    fn roots(&self) -> impl Iterator<Item = &Application> {
        let held = tree::held(&self.applications);
        self.applications.iter().filter(move |application| !held.contains(&tree::place(application)))
    }

    fn tables(&self, wide: bool, terminal: &Terminal) -> String {
        let mut text = String::new();
        if !self.environments.is_empty() {
            let mut table = Table::new(["ENVIRONMENT", "COMMIT", "SYNC", "HEALTH", "AGE", "WAITS FOR"]);
            for environment in &self.environments {
                let row = Row::of_environment(environment, &self.applications, self.now);
                table.row(row.cells(environment.name().to_owned()));
            }
            text.push_str(&table.draw(terminal));
        }
        let is_root = |application: &Application| {
            let same = |e: &Environment| e.name() == application.name() && e.namespace() == application.namespace();
            self.environments.iter().any(same)
        };
        let mut applications: Vec<&Application> = self.applications.iter().filter(|a| !is_root(a)).collect();
        applications.sort_by_key(|application| tree::place(application));
        if applications.is_empty() {
            return text;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        let mut table = match wide {
            true => Table::new(["APPLICATION", "COMMIT", "SYNC", "HEALTH", "AGE", "SOURCE", "WAITS FOR"]),
            false => Table::new(["APPLICATION", "COMMIT", "SYNC", "HEALTH", "AGE", "WAITS FOR"]),
        };
        for application in applications {
            let row = Row::of_application(application, self.now);
            if wide {
                let name = format!("{}/{}", application.namespace(), application.name());
                let [name, commit, sync, health, age, waits_for] = row.cells(name);
                table.row([name, commit, sync, health, age, row::source(application), waits_for]);
            } else {
                table.row(row.cells(application.name().to_owned()));
            }
        }
        text.push_str(&table.draw(terminal));
        text
    }

    fn to_value(&self) -> Value {
        let environments = self.environments.iter().map(|environment| {
            let row = Row::of_environment(environment, &self.applications, self.now);
            row.to_value(environment.namespace(), environment.name())
        });
        let applications = self.applications.iter().map(|application| {
            let mut value =
                Row::of_application(application, self.now).to_value(application.namespace(), application.name());
            let resources = application.status.as_ref().map(|status| status.resources.as_slice()).unwrap_or_default();
            value["resources"] = serde_json::to_value(resources).unwrap_or_default();
            value
        });
        json!({
            "environments": environments.collect::<Vec<_>>(),
            "applications": applications.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests;
