//! Which objects of a kind change, and nothing else about them: for kinds of which a cluster has many and we need few.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::follow::{Shown, Sink, Target, follow};
use crate::live::client::{Cluster, Error, Shape};
use crate::object::{GroupKind, ObjectKey};

/// The keys of objects that have changed. For one reader.
#[derive(Clone)]
pub struct Pulse {
    shared: Arc<Shared>,
}

/// What has changed of a kind.
#[derive(Debug, Default)]
pub struct Beat {
    /// The objects that have. A list counts as a change of all that it holds.
    pub changed: BTreeSet<ObjectKey>,
    /// A list was complete. What is not in it is gone, or was never there: that is not told.
    pub is_listed: bool,
}

struct Shared {
    kind: GroupKind,
    beat: Mutex<Beat>,
    notify: Notify,
}

/// Watches the target until it is cancelled; the future does the work and ends then.
pub fn pulse(
    cluster: Cluster,
    target: Target,
    cancel: CancellationToken,
) -> (Pulse, impl Future<Output = ()> + Send + 'static) {
    let kind = target.kind.kind.clone();
    let shared = Arc::new(Shared { kind, beat: Mutex::default(), notify: Notify::new() });
    let pulse = Pulse { shared: Arc::clone(&shared) };
    let work = async move { follow(&cluster, &target, &mut Keys { shared }, &cancel).await };
    (pulse, work)
}

impl Pulse {
    /// Waits until something has changed; changes add up while nobody asks. Cancelling loses nothing.
    pub async fn beat(&self) -> Beat {
        loop {
            {
                let mut beat = self.shared.beat.lock();
                if beat.is_listed || !beat.changed.is_empty() {
                    return std::mem::take(&mut beat);
                }
            }
            self.shared.notify.notified().await;
        }
    }
}

struct Keys {
    shared: Arc<Shared>,
}

impl Keys {
    fn note(&self, object: &Shown<'_>) {
        let key = object.key(&self.shared.kind);
        self.shared.beat.lock().changed.insert(key);
        self.shared.notify.notify_one();
    }
}

impl Sink for Keys {
    /// No Secret's content is sent for a name.
    const SHAPE: Shape = Shape::Metadata;

    fn begin(&mut self) {}

    fn seen(&mut self, object: &Shown<'_>) {
        self.note(object);
    }

    fn removed(&mut self, object: &Shown<'_>) {
        self.note(object);
    }

    fn listed(&mut self, _version: &str) {
        self.shared.beat.lock().is_listed = true;
        self.shared.notify.notify_one();
    }

    fn passed(&mut self, _version: &str) {}

    fn failed(&mut self, _error: &Error) {}

    fn unserved(&mut self) {}
}
