//! Two files instead of a cluster: would an apply change the live object? Answered without asking anybody.
//!
//! [`compare`] holds the one against the other, [`owned`] reads who owns which field, [`ignore`] takes out what an
//! Application says does not count.

mod compare;
mod ignore;
mod owned;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::Value;

use super::super::{Exit, Failure};
use crate::api;
use crate::api::argo::Application;
use crate::object::tracking::Tracking;
use crate::object::{Object, annotation};
use crate::plan::hook::Role;

/// Files to compare instead of a cluster's objects.
#[derive(Debug, Args)]
pub(super) struct Files {
    /// Compare this object, as the API server returns it, with --desired; no cluster is asked
    #[arg(long, value_name = "FILE", requires = "desired", conflicts_with = "what")]
    live: Option<PathBuf>,
    /// Compare --live with this manifest
    #[arg(long, value_name = "FILE", requires = "live")]
    desired: Option<PathBuf>,
    /// The Application whose options hold for --live and --desired
    #[arg(long, value_name = "FILE", requires = "live")]
    app: Option<PathBuf>,
}

impl Files {
    /// `None` when no files are given.
    pub(super) fn compared(&self) -> Result<Option<Exit>, Failure> {
        let (Some(live), Some(desired)) = (&self.live, &self.desired) else { return Ok(None) };
        let application = match &self.app {
            Some(path) => read(path)?.map(|body| api::decode::<Application>(&body)).transpose(),
            None => Ok(None),
        };
        let application = application.map_err(|error| anyhow!(error))?;
        let (live, desired) = (object(live)?, object(desired)?);
        let differs = differs(live.as_ref(), desired.as_ref(), application.as_ref())?;
        Ok(Some(if differs { Exit::Found } else { Exit::Ok }))
    }
}

/// An empty file is no object.
fn read(path: &Path) -> anyhow::Result<Option<Value>> {
    let unreadable = || format!("cannot read `{}`", path.display());
    let text = std::fs::read_to_string(path).with_context(unreadable)?;
    if text.trim().is_empty() {
        return Ok(None);
    }
    let value: Value = serde_yaml::from_str(&text).map_err(|error| anyhow!("{error}")).with_context(unreadable)?;
    Ok((!value.is_null()).then_some(value))
}

fn object(path: &Path) -> anyhow::Result<Option<Object>> {
    let Some(body) = read(path)? else { return Ok(None) };
    let object = Object::from_value(body, None).with_context(|| format!("`{}` holds no object", path.display()))?;
    Ok(Some(object))
}

fn differs(live: Option<&Object>, desired: Option<&Object>, app: Option<&Application>) -> anyhow::Result<bool> {
    let name = app.map(Application::name);
    match (live, desired) {
        (None, None) => Ok(false),
        (_, Some(desired)) if Role::of(desired) != Role::Kept => Ok(false),
        (None, Some(_)) => Ok(true),
        // Git does not have it: it matters when it is ours, for then it would be pruned.
        (Some(live), None) => Ok(tracked_by(live).is_some_and(|tracking| {
            Role::of(live) == Role::Kept
                && tracking.is_of(&live.key)
                && name.is_none_or(|name| tracking.application == name)
        })),
        (Some(live), Some(desired)) => {
            let rules = app.map(|app| app.spec.ignore_differences.as_slice()).unwrap_or_default();
            let ignored = ignore::Ignored::of(rules, &desired.key);
            compare::differs(live, desired, &ignored)
        }
    }
}

fn tracked_by(live: &Object) -> Option<Tracking> {
    Tracking::parse(live.annotation(annotation::TRACKING_ID)?)
}
