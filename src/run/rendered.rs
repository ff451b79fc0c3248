//! What a source rendered to last, as far as it must be known to render again only what a commit touches.
//!
//! **In:** a snapshot and a request. **Out:** a new [`Manifest`], or the word that it is still the one from before.
//! **May not:** call anything the same whose read set no longer holds: a cached answer equals a fresh one (G10).
//!
//! The objects themselves are not kept here: `run::stamped` has them as they are applied, once.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::Diagnostic;
use crate::git::Snapshot;
use crate::kustomize::Bases;
use crate::render::{self, Manifest, Request};
use crate::source::snapshot::SnapshotFiles;
use crate::source::{Mounted, ReadSet, Remote};
use crate::telemetry::{Metrics, Outcome};

/// The last render of one source of one application.
#[derive(Default)]
pub struct Rendered {
    last: Option<Last>,
}

struct Last {
    /// All of the request but the commit.
    fingerprint: String,
    /// The commits it was rendered at, or found valid for: its own and those of bases in other repositories.
    commits: Vec<String>,
    read_set: Arc<ReadSet>,
}

/// What a look at a snapshot gave.
#[derive(Debug)]
pub enum Render {
    /// Nothing that the last render read has changed.
    Same,
    /// Rendered anew.
    New(Manifest),
}

/// Why nothing was rendered.
#[derive(Debug)]
pub struct Unrendered {
    /// What is wrong.
    pub problems: Vec<Diagnostic>,
    /// Other repositories that were asked for and not there: with them it may be another story.
    pub missed: BTreeSet<Remote>,
}

impl Rendered {
    /// Renders, unless nothing has changed. Blocks: for the pool of work that does.
    ///
    /// # Errors
    /// Every problem that was found; what was known of the last good render is kept for the next commit.
    pub fn at(
        &mut self,
        snapshot: &Snapshot,
        remotes: &[(Remote, Snapshot)],
        request: &Request<'_>,
        bases: &Bases,
        metrics: &Metrics,
    ) -> Result<Render, Unrendered> {
        // A render that names its commit says so in its read set.
        let fingerprint = format!("{} {:?}", snapshot.repository().normal(), Request { commit: "", ..*request });
        let own = SnapshotFiles::new(snapshot.clone());
        let others = remotes.iter().map(|(remote, snapshot)| (remote, SnapshotFiles::new(snapshot.clone())));
        let files = Mounted::new(&own, others);
        let of_remotes = remotes.iter().map(|(_, snapshot)| snapshot.commit().id.to_string());
        let commits: Vec<String> = std::iter::once(request.commit.to_owned()).chain(of_remotes).collect();
        if let Some(last) = &mut self.last
            && last.fingerprint == fingerprint
            && (last.commits == commits || last.read_set.is_valid_for(&files))
        {
            last.commits = commits;
            metrics.render_reused();
            return Ok(Render::Same);
        }
        let started = std::time::Instant::now();
        let rendered = render::manifest(&files, request, bases);
        let missed = files.missed();
        if !missed.is_empty() {
            return Err(Unrendered { problems: rendered.err().unwrap_or_default(), missed });
        }
        let outcome = if rendered.is_ok() { Outcome::Ok } else { Outcome::Error };
        metrics.rendered(outcome, started.elapsed());
        let manifest = rendered.map_err(|problems| Unrendered { problems, missed })?;
        let read_set = Arc::new(manifest.read_set.clone());
        self.last = Some(Last { fingerprint, commits, read_set });
        Ok(Render::New(manifest))
    }

    /// What the last render has read.
    pub fn read_set(&self) -> Option<Arc<ReadSet>> {
        Some(self.last.as_ref()?.read_set.clone())
    }

    /// True when the last render has read something of this repository.
    pub fn reads_from(&self, remote: &Remote) -> bool {
        let point = remote.mount_point();
        self.last.as_ref().is_some_and(|last| last.read_set.paths().any(|path| path.is_within(&point)))
    }

    /// Forgets the last render, so that the next look renders whatever has changed or not.
    pub fn forget(&mut self) {
        self.last = None;
    }
}
