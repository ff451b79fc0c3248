//! What a source rendered to last, as far as it must be known to render again only what a commit touches.
//!
//! **In:** a snapshot and a request. **Out:** a new [`Manifest`], or the word that it is still the one from before.
//! **May not:** call anything the same whose read set no longer holds: a cached answer equals a fresh one (G10).
//!
//! The objects themselves are not kept here: `run::stamped` has them as they are applied, once.

use crate::error::Diagnostic;
use crate::git::Snapshot;
use crate::kustomize::Bases;
use crate::render::{self, Manifest, Request};
use crate::source::ReadSet;
use crate::source::snapshot::SnapshotFiles;
use crate::telemetry::{Metrics, Outcome};

/// The last render of one source of one application.
#[derive(Default)]
pub struct Rendered {
    last: Option<Last>,
}

struct Last {
    /// All of the request but the commit.
    fingerprint: String,
    /// The commit it was rendered at, or found valid for.
    commit: String,
    read_set: ReadSet,
}

/// What a look at a snapshot gave.
#[derive(Debug)]
pub enum Render {
    /// Nothing that the last render read has changed.
    Same,
    /// Rendered anew.
    New(Manifest),
}

impl Rendered {
    /// Renders, unless nothing has changed. Blocks: for the pool of work that does.
    ///
    /// # Errors
    /// Every problem that was found; what was known of the last good render is kept for the next commit.
    pub fn at(
        &mut self,
        snapshot: &Snapshot,
        request: &Request<'_>,
        bases: &Bases,
        metrics: &Metrics,
    ) -> Result<Render, Vec<Diagnostic>> {
        // A render that names its commit says so in its read set.
        let fingerprint = format!("{} {:?}", snapshot.repository().normal(), Request { commit: "", ..*request });
        let files = SnapshotFiles::new(snapshot.clone());
        if let Some(last) = &mut self.last
            && last.fingerprint == fingerprint
            && (last.commit == request.commit || last.read_set.is_valid_for(&files))
        {
            last.commit = request.commit.to_owned();
            metrics.render_reused();
            return Ok(Render::Same);
        }
        let started = std::time::Instant::now();
        let rendered = render::manifest(&files, request, bases);
        let outcome = if rendered.is_ok() { Outcome::Ok } else { Outcome::Error };
        metrics.rendered(outcome, started.elapsed());
        let manifest = rendered?;
        let read_set = manifest.read_set.clone();
        self.last = Some(Last { fingerprint, commit: request.commit.to_owned(), read_set });
        Ok(Render::New(manifest))
    }

    /// Forgets the last render, so that the next look renders whatever has changed or not.
    pub fn forget(&mut self) {
        self.last = None;
    }
}
