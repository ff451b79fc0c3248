//! Brings every change of the shop into the [`World`]: watches of the Environments and Applications, and of the
//! repository's branches.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use jiff::Timestamp;
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::shop::{self, ENVIRONMENTS};
use super::world::{Change, World};
use crate::api::argo::Application;
use crate::api::leeboard::Environment;
use crate::git::{RepoUrl, Watch, WatchError};

/// After a watch has broken.
const PAUSE: Duration = Duration::from_millis(200);

/// Follows until it is dropped.
pub(super) struct Follower {
    world: watch::Receiver<World>,
    _tasks: JoinSet<()>,
}

impl Follower {
    /// Begins to follow. Every environment's branch must be there.
    pub(super) fn start(
        client: &Client,
        namespace: &str,
        repository: PathBuf,
        url: &RepoUrl,
    ) -> Result<Self, WatchError> {
        let sender = Arc::new(watch::Sender::new(World::default()));
        let world = sender.subscribe();
        let mut tasks = JoinSet::new();

        let mut watch = Watch::new()?;
        watch.add(url)?;
        let told = sender.clone();
        tasks.spawn(async move {
            loop {
                for environment in ENVIRONMENTS {
                    if let Some(head) = shop::head(&repository, environment) {
                        told.send_modify(|world| world.pushed(environment, head));
                    }
                }
                watch.changed().await;
            }
        });
        let told = sender.clone();
        let environments: Api<Environment> = Api::namespaced(client.clone(), namespace);
        tasks.spawn(follow(environments, move |change| told.send_modify(|world| world.environment(change))));
        let applications: Api<Application> = Api::namespaced(client.clone(), namespace);
        tasks.spawn(follow(applications, move |change| {
            sender.send_modify(|world| world.application(change, Timestamp::now()));
        }));
        Ok(Follower { world, _tasks: tasks })
    }

    /// What is known, and will be.
    pub(super) fn world(&self) -> watch::Receiver<World> {
        self.world.clone()
    }
}

/// Lists, watches, and begins anew when the watch breaks: the API server may be restarted under us.
async fn follow<K>(api: Api<K>, tell: impl Fn(Change<K>))
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    loop {
        // What went wrong shows in what does not come; there is nothing to do but to try again.
        let _broken = follow_once(&api, &tell).await;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn follow_once<K>(api: &Api<K>, tell: &impl Fn(Change<K>)) -> Result<(), kube::Error>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let list = api.list(&ListParams::default()).await?;
    let version = list.metadata.resource_version.unwrap_or_default();
    tell(Change::All(list.items));
    let mut events = std::pin::pin!(api.watch(&WatchParams::default(), &version).await?);
    while let Some(event) = events.try_next().await? {
        match event {
            WatchEvent::Added(one) | WatchEvent::Modified(one) => tell(Change::Now(one)),
            WatchEvent::Deleted(one) => tell(Change::Gone(one)),
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(_) => return Ok(()),
        }
    }
    Ok(())
}
