//! The Environment that a person names.

use anyhow::{Context as _, anyhow};
use serde_json::Value;

use super::super::Failure;
use super::super::nearest::nearest;
use super::super::subject::{reached, told, unreachable};
use crate::api::leeboard::Environment;
use crate::api::{self, LEEBOARD_GROUP, VERSION};
use crate::error::Diagnostic;
use crate::live::client::{Cluster, Error, ListOptions};
use crate::object::GroupKind;

/// The Environment of this name.
///
/// # Errors
/// When there is none, or several; with the name that was meant, if one is near.
pub(super) async fn find(cluster: &Cluster, name: &str, namespace: Option<&str>) -> Result<Environment, Failure> {
    reached(cluster).await?;
    let (namespace, name) = name.split_once('/').map_or((namespace, name), |(namespace, name)| (Some(namespace), name));
    let options = ListOptions { namespace: namespace.map(Into::into), ..ListOptions::default() };
    let all = match cluster.list(&GroupKind::new(LEEBOARD_GROUP, "Environment"), VERSION, &options).await {
        Ok(all) => all,
        Err(Error::NoKind { .. }) => {
            let problem = Diagnostic::new(format!("the cluster at {} does not know Environments", cluster.server()));
            let hint = "Name a directory, or the repository with `--repo`, `--branch` and `--path`.";
            return Err(told(problem.with_hint(hint)));
        }
        Err(error) => return Err(unreachable(cluster, &error)),
    };
    let name_of = |body: &Value| body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut found = all.iter().filter(|body| name_of(body) == name);
    match (found.next(), found.next()) {
        (Some(body), None) => {
            Ok(api::decode(body).map_err(|error| anyhow!(error)).with_context(|| format!("cannot read `{name}`"))?)
        }
        (Some(_), Some(_)) => {
            let problem = Diagnostic::new(format!("there are several environments `{name}`"));
            Err(told(problem.with_hint("Say which with `--namespace`.")))
        }
        (None, _) => {
            let known: Vec<String> = all.iter().map(name_of).collect();
            let mut problem = Diagnostic::new(format!("there is no environment and no directory `{name}`"));
            problem.hint = match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => Some(format!("Did you mean `{near}`?")),
                None => Some("Name a directory, or the repository with `--repo`, `--branch` and `--path`.".into()),
            };
            Err(told(problem))
        }
    }
}
