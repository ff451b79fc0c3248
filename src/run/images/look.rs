//! One look at the images of an Environment: what git has, what registries have, and a commit where they differ.

use std::time::Duration;

use smol_str::SmolStr;
use tracing::info;

use super::super::Daemon;
use super::super::look::now;
use super::Wanted;
use crate::git::{self, Author, Changed, RepoUrl, Snapshot};
use crate::object::annotation;
use crate::object::event::{About, Event, Severity};
use crate::promote::edit::{Found, Image};
use crate::promote::image::Need;
use crate::promote::image::follow::Follow;
use crate::promote::image::message::short;
use crate::promote::image::propose::{self, Taking, Wish};
use crate::promote::image::target::Target;
use crate::promote::window::{self, Gateway};
use crate::registry::{self, Repository, Tag, Tagged};
use crate::source::snapshot::SnapshotFiles;

/// Why there is no newer version where there should be one.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// Asking again may help.
    #[error("{0}")]
    ForNow(String),
    /// Somebody has to change something.
    #[error("{0}")]
    ForGood(String),
}

/// The versions for one file, and the reasons.
type Changes = Vec<(Target, Vec<Image>, Vec<String>)>;

/// Looks, and commits what is newer.
///
/// # Errors
/// The first thing that was in the way; what was not concerned is committed nevertheless.
pub(super) async fn look(daemon: &Daemon, name: &SmolStr, wanted: &Wanted) -> Result<(), Trouble> {
    if !wanted.is_permitted {
        let why = format!(
            "the AppProject `{}` does not let commits be made without a person: it lacks the annotation `{}: allow`",
            wanted.project,
            annotation::AUTO_PROMOTION
        );
        return Err(Trouble::ForGood(why));
    }
    let branch = wanted.branch.as_deref().filter(|branch| !matches!(*branch, "" | "HEAD"));
    let branch = branch.ok_or_else(|| Trouble::ForGood("the Environment names no branch".into()))?;
    let url = RepoUrl::parse(&wanted.repo_url).map_err(|error| Trouble::ForGood(error.to_string()))?;
    let head = daemon.repositories.commit(&url, branch).await?;
    let snapshot = daemon.repositories.mirrors().mirror(&url).snapshot(&head)?;
    let mut trouble = None;
    let mut changes: Changes = Vec::new();
    for written in &wanted.updates.follow {
        match newer(daemon, written, wanted, &snapshot).await {
            Ok(Some((target, image, why))) => match changes.iter_mut().find(|(known, ..)| *known == target) {
                Some((_, images, whys)) => {
                    images.push(image);
                    whys.push(why);
                }
                None => changes.push((target, vec![image], vec![why])),
            },
            Ok(None) => {}
            Err(error) => drop(trouble.get_or_insert(error)),
        }
    }
    if let Some(why) = shut(daemon, name).filter(|_| !changes.is_empty()) {
        return Err(Trouble::ForGood(why));
    }
    for (target, images, whys) in changes {
        if let Err(error) = commit(daemon, name, &url, branch, target, images, whys).await {
            trouble.get_or_insert(error);
        }
    }
    trouble.map_or(Ok(()), Err)
}

/// Why nothing enters the environment now without a person.
fn shut(daemon: &Daemon, name: &SmolStr) -> Option<String> {
    let environment = daemon.written.environment(name)?;
    if let Gateway::Closed { why, .. } = window::of(&environment, false, now()) {
        return Some(why);
    }
    let hold = environment.spec.promotion.as_ref()?.hold.as_ref().filter(|hold| hold.holds(now()))?;
    Some(format!("{name} is held: {}", hold.reason))
}

/// The version that one image is to get, and where.
async fn newer(
    daemon: &Daemon,
    written: &crate::api::leeboard::FollowedImage,
    wanted: &Wanted,
    snapshot: &Snapshot,
) -> Result<Option<(Target, Image, String)>, Trouble> {
    let for_good = |error: &dyn std::fmt::Display| Trouble::ForGood(error.to_string());
    let follow = Follow::read(written, &wanted.path).map_err(|error| for_good(&error))?;
    let (files, target, name) =
        (SnapshotFiles::new(snapshot.clone()), follow.target().clone(), follow.name().to_owned());
    let found = daemon.renders.run(move || target.find(&files, &name)).await;
    let found: Option<Found> = found.map_err(|error| for_good(&error))?;
    let repository = follow.repository(found.as_ref()).map_err(|error| for_good(&error))?;
    let tags = known(daemon, &follow, &repository, wanted.updates.interval() / 2).await?;
    Ok(follow.choose(found.as_ref(), &tags).map(|(image, why)| (follow.target().clone(), image, why)))
}

/// What has to be known of a registry to decide.
async fn known(
    daemon: &Daemon,
    follow: &Follow,
    repository: &Repository,
    age: Duration,
) -> Result<Vec<Tagged>, registry::Error> {
    let bare = |tag: Tag| Tagged { tag, built: None, digest: None };
    let keychain = daemon.images.keychain();
    match follow.policy().need() {
        Need::Tags => Ok(daemon.images.tags(repository, age).await?.iter().cloned().map(bare).collect()),
        Need::Times => {
            let tags = daemon.images.tags(repository, age).await?;
            let allowed: Vec<Tag> = tags.iter().filter(|tag| follow.policy().allows(tag)).cloned().collect();
            daemon.images.registries().await?.images(repository, &allowed, &keychain).await
        }
        Need::Digest(tag) => {
            let digest = daemon.images.registries().await?.digest(repository, &tag, &keychain).await?;
            Ok(vec![Tagged { digest, ..bare(tag) }])
        }
    }
}

/// Commits the versions of one file.
async fn commit(
    daemon: &Daemon,
    name: &SmolStr,
    url: &RepoUrl,
    branch: &str,
    target: Target,
    images: Vec<Image>,
    whys: Vec<String>,
) -> Result<(), Trouble> {
    let words: Vec<String> = images.iter().map(|image| format!("{} to {}", image.name(), short(image))).collect();
    let words = words.join(", ");
    let wish = Wish {
        environment: name.to_string(),
        target,
        images,
        why: whys.join("\n"),
        taking: Taking::Unless,
        author: Author::default(),
        at: now(),
    };
    let mirror = daemon.repositories.mirrors().mirror(url);
    let changed = mirror.change(branch, move |snapshot| propose::propose(&wish, snapshot)).await;
    let Changed::By(commit) = changed? else { return Ok(()) };
    info!(environment = %name, commit = %commit.short(), branch, "Images set: {words}");
    daemon.repositories.hint(|other| other.is_same_repository(url));
    if let Some(environment) = daemon.written.environment(name) {
        let about = About {
            api_version: &environment.api_version,
            kind: &environment.kind,
            name: environment.name(),
            namespace: environment.namespace(),
            uid: environment.metadata.uid.as_deref().unwrap_or_default(),
        };
        let message = format!("commit {} on {branch} sets {words}", commit.short());
        let severity = Severity::Normal;
        let event = Event { about, reason: "ImagesSet", action: None, severity, message: &message };
        if let Err(error) = daemon.cluster.create(&event.at(now())).await {
            tracing::warn!(%error, "Event not written");
        }
    }
    Ok(())
}

impl From<git::Error> for Trouble {
    fn from(error: git::Error) -> Self {
        let words = match error.hint() {
            Some(hint) => format!("{error}. {hint}"),
            None => error.to_string(),
        };
        if error.is_transient() { Trouble::ForNow(words) } else { Trouble::ForGood(words) }
    }
}

impl From<registry::Error> for Trouble {
    fn from(error: registry::Error) -> Self {
        let words = match error.hint() {
            Some(hint) => format!("{error}. {hint}"),
            None => error.to_string(),
        };
        if error.is_transient() { Trouble::ForNow(words) } else { Trouble::ForGood(words) }
    }
}

impl From<propose::Error> for Trouble {
    fn from(error: propose::Error) -> Self {
        match error {
            propose::Error::Git(error) => error.into(),
            propose::Error::ByHand(by_hand) => {
                Trouble::ForGood(format!("{by_hand}. `leeboard promote image --force-take` overwrites it."))
            }
            error => Trouble::ForGood(error.to_string()),
        }
    }
}
