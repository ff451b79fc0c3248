//! Images that follow their registries: new versions are committed to environment branches.
//!
//! **In:** what Environments say of images, Secrets labelled `leeboard.dev/secret-type: registry`, what registries have. **Out:** one
//! commit for each file with newer versions; what is in the way, for the Environment's conditions. **May not:** decide which version
//! is wanted (`promote::image` does), overwrite what a person has set, or write without the AppProject's permit.
//!
//! Each Environment has a task of its own, so that a registry that hangs holds up nobody else. A repository's tags are listed once for all
//! Environments that ask for them at about the same time.

mod look;
mod signed;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use smol_str::SmolStr;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::look::Trouble;
use super::Daemon;
use super::queue::Priority;
use crate::api::leeboard::promotion::Lock;
use crate::api::leeboard::{Environment, ImageUpdates};
use crate::object::annotation;
use crate::object::image::split;
use crate::registry::{Digest, Error, Keychain, Manifest, Registries, Repository, Settings, Tag};

/// Before a registry or a repository that did not answer is asked again; each failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// What is known of images.
#[derive(Default)]
pub struct Images {
    changed: Notify,
    keychain: RwLock<Arc<Keychain>>,
    registries: tokio::sync::OnceCell<Registries>,
    lists: Mutex<BTreeMap<Repository, Arc<tokio::sync::Mutex<Option<List>>>>>,
    running: Mutex<BTreeMap<SmolStr, Running>>,
    troubles: Mutex<BTreeMap<SmolStr, String>>,
}

/// The tags of a repository, and since when they are known.
struct List {
    at: Instant,
    tags: Arc<[Tag]>,
}

/// An Environment whose images are followed.
struct Running {
    /// What it was begun with: another one begins anew.
    wanted: Wanted,
    /// Rung when what was in the way may be gone.
    bell: Arc<Notify>,
    cancel: CancellationToken,
}

/// All of an Environment that matters here.
#[derive(Clone, Debug, PartialEq)]
struct Wanted {
    repo_url: String,
    branch: Option<String>,
    path: String,
    project: String,
    is_permitted: bool,
    /// A lock or a hold that goes makes another look worth while.
    locks: [Option<Lock>; 2],
    updates: ImageUpdates,
}

impl Images {
    /// Environments, AppProjects or the Secrets of registries have changed.
    pub fn look_again(&self) {
        self.changed.notify_one();
    }

    /// Takes in the Secrets of registries that there are now, by name.
    pub fn take_in(&self, secrets: &BTreeMap<String, BTreeMap<String, Vec<u8>>>) {
        let mut keychain = Keychain::default();
        for (name, data) in secrets {
            match Keychain::from_secret(data) {
                Ok(more) => keychain = keychain.and(more),
                Err(error) => warn!(secret = %name, %error, "Secret of a registry is no use"),
            }
        }
        *self.keychain.write() = Arc::new(keychain);
        self.running.lock().values().for_each(|running| running.bell.notify_one());
    }

    /// Why the images of an environment do not follow their registries as they should.
    pub fn trouble(&self, environment: &str) -> Option<String> {
        self.troubles.lock().get(environment).cloned()
    }

    fn keychain(&self) -> Arc<Keychain> {
        Arc::clone(&self.keychain.read())
    }

    async fn registries(&self) -> Result<&Registries, Error> {
        self.registries.get_or_try_init(async || Registries::new(Settings::default())).await
    }

    /// The tags of a repository, listed at most this long ago.
    async fn tags(&self, repository: &Repository, age: Duration) -> Result<Arc<[Tag]>, Error> {
        let list = Arc::clone(self.lists.lock().entry(repository.clone()).or_default());
        let mut list = list.lock().await;
        if let Some(known) = list.as_ref().filter(|known| known.at.elapsed() < age) {
            return Ok(Arc::clone(&known.tags));
        }
        let tags: Arc<[Tag]> = self.registries().await?.tags(repository, &self.keychain()).await?.into();
        *list = Some(List { at: Instant::now(), tags: Arc::clone(&tags) });
        Ok(tags)
    }
}

/// A document that refers to an image: whose it is said to be, and what it holds.
pub(super) struct Attached {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

impl Images {
    /// What the tag of an image means now; `None` when there is no such tag.
    ///
    /// # Errors
    /// When the registry does not tell; in a sentence.
    pub(super) async fn digest(&self, image: &str) -> Result<Option<Digest>, String> {
        let (repository, tag, _) = split(image);
        let repository = Repository::parse(repository).map_err(|error| error.to_string())?;
        let tag = Tag::new(tag.unwrap_or("latest")).map_err(|error| error.to_string())?;
        let registries = self.registries().await.map_err(|error| error.to_string())?;
        registries.digest(&repository, &tag, &self.keychain()).await.map_err(|error| error.to_string())
    }

    /// What refers to an image: the layers of all artifacts of a type, each of at most so many bytes.
    ///
    /// # Errors
    /// When the registry does not tell; in a sentence.
    pub(super) async fn attached(
        &self,
        image: &str,
        digest: &str,
        artifact_type: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Attached>, String> {
        let (repository, ..) = split(image);
        let repository = Repository::parse(repository).map_err(|error| error.to_string())?;
        let digest = Digest::new(digest).map_err(|error| error.to_string())?;
        let registries = self.registries().await.map_err(|error| error.to_string())?;
        let keychain = self.keychain();
        let told = |error: Error| error.to_string();
        let referrers = registries.referrers(&repository, &digest, artifact_type, &keychain).await.map_err(told)?;
        let mut found = Vec::new();
        for referrer in referrers {
            let manifest = registries.manifest(&repository, &referrer.digest, &keychain).await.map_err(told)?;
            let Manifest::Image { layers, .. } = manifest else { continue };
            for layer in layers {
                let bytes = registries.blob(&repository, &layer.digest, limit, &keychain).await.map_err(told)?;
                found.push(Attached { name: format!("{image}: {}", referrer.digest.short()), bytes });
            }
        }
        Ok(found)
    }
}

impl Wanted {
    /// `None` when no image of the Environment follows anything.
    fn of(daemon: &Daemon, environment: &Environment) -> Option<Self> {
        let spec = &environment.spec;
        let updates = spec.images.clone().filter(|updates| !updates.follow.is_empty() && !updates.suspend)?;
        if spec.suspend {
            return None;
        }
        let project = daemon.written.project(spec.project()).and_then(Result::ok);
        let is_permitted = project.is_some_and(|project| project.permits(annotation::AUTO_PROMOTION));
        let (repo_url, branch) = (spec.repo_url.clone(), spec.branch.clone());
        let (path, project) = (spec.path().to_owned(), spec.project().to_owned());
        let promotion = spec.promotion.clone().unwrap_or_default();
        let locks = [promotion.locked, promotion.hold];
        Some(Wanted { repo_url, branch, path, project, is_permitted, locks, updates })
    }
}

/// Follows the images of all environments until it is dropped.
pub(super) async fn work(daemon: Arc<Daemon>) {
    loop {
        follow(&daemon);
        daemon.images.changed.notified().await;
    }
}

/// Begins and ends to follow as the Environments want it now.
fn follow(daemon: &Arc<Daemon>) {
    let environments = daemon.written.environments();
    let of_name = environments.iter().map(|environment| (SmolStr::new(environment.name()), environment));
    let wanted: BTreeMap<SmolStr, Wanted> =
        of_name.filter_map(|(name, environment)| Some((name, Wanted::of(daemon, environment)?))).collect();
    let mut running = daemon.images.running.lock();
    running.retain(|name, running| {
        let stays = wanted.get(name) == Some(&running.wanted);
        if !stays {
            running.cancel.cancel();
            told(daemon, name, None);
        }
        stays
    });
    for (name, wanted) in wanted {
        running.entry(name).or_insert_with_key(|name| begin(daemon, name, wanted));
    }
}

fn begin(daemon: &Arc<Daemon>, name: &SmolStr, wanted: Wanted) -> Running {
    info!(environment = %name, images = wanted.updates.follow.len(), "Images follow their registries");
    let (cancel, bell) = (daemon.shutdown.child_token(), Arc::new(Notify::new()));
    let (this, name, work, end) = (Arc::clone(daemon), name.clone(), wanted.clone(), cancel.clone());
    let rung = Arc::clone(&bell);
    daemon.tasks.spawn(async move {
        tokio::select! {
            () = end.cancelled() => {}
            () = attend(&this, &name, &work, &rung) => {}
        }
    });
    Running { wanted, bell, cancel }
}

/// Looks at the images of one Environment at every interval.
async fn attend(daemon: &Daemon, name: &SmolStr, wanted: &Wanted, bell: &Notify) {
    let interval = wanted.updates.interval();
    let mut pause = FIRST_PAUSE;
    loop {
        let looked = look::look(daemon, name, wanted).await;
        let wait = match &looked {
            Err(Trouble::ForNow(_)) => {
                let wait = pause.min(interval);
                pause *= 2;
                wait
            }
            Ok(()) | Err(Trouble::ForGood(_)) => {
                pause = FIRST_PAUSE;
                interval
            }
        };
        told(daemon, name, looked.err().map(|trouble| trouble.to_string()));
        // Up to a tenth longer, different for each Environment, so that they don't all ask at once.
        let spread = xxhash_rust::xxh3::xxh3_64(name.as_bytes()) % 100;
        let wait = wait.mul_f64(1.0 + f64::from(u32::try_from(spread).unwrap_or(0)) / 1000.0);
        // It has rung, or the time is over: either way it is looked again.
        let _ = tokio::time::timeout(wait, bell.notified()).await;
    }
}

/// What is in the way now, for the Environment's conditions; said once in the log.
fn told(daemon: &Daemon, name: &SmolStr, trouble: Option<String>) {
    let mut troubles = daemon.images.troubles.lock();
    if troubles.get(name) == trouble.as_ref() {
        return;
    }
    match trouble {
        Some(why) => {
            warn!(environment = %name, why, "Images do not follow their registries");
            troubles.insert(name.clone(), why);
        }
        None => drop(troubles.remove(name)),
    }
    drop(troubles);
    daemon.environments.push(name, Priority::Timer);
}
