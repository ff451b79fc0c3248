//! What applications rendered to, kept until a commit touches something that the render really read.
//!
//! **In:** a snapshot and a request. **Out:** a [`Manifest`], new or the one from before. **May not:** keep a result
//! whose read set no longer holds: a cached answer equals a fresh one (G10).

use std::sync::Arc;

use crate::error::Diagnostic;
use crate::git::Snapshot;
use crate::render::{self, Manifest, Request};
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
    manifest: Arc<Manifest>,
}

impl Rendered {
    /// The manifest at this snapshot. Blocks: for the pool of work that does.
    ///
    /// # Errors
    /// Every problem that was found; the last good render is kept for the next commit.
    pub fn at(
        &mut self,
        snapshot: &Snapshot,
        request: &Request<'_>,
        metrics: &Metrics,
    ) -> Result<Arc<Manifest>, Vec<Diagnostic>> {
        // The commit is a variable of the build environment: only who uses it depends on it.
        let names_commit = format!("{:?}", request.source).contains("ARGOCD_APP_REVISION");
        let commit = if names_commit { request.commit } else { "" };
        let fingerprint = format!("{} {:?}", snapshot.repository().normal(), Request { commit, ..*request });
        let files = SnapshotFiles::new(snapshot.clone());
        if let Some(last) = &mut self.last
            && last.fingerprint == fingerprint
            && (last.commit == request.commit || last.manifest.read_set.is_valid_for(&files))
        {
            last.commit = request.commit.to_owned();
            metrics.render_reused();
            return Ok(last.manifest.clone());
        }
        let started = std::time::Instant::now();
        let rendered = render::manifest(&files, request);
        let outcome = if rendered.is_ok() { Outcome::Ok } else { Outcome::Error };
        metrics.rendered(outcome, started.elapsed());
        let manifest = Arc::new(rendered?);
        self.last = Some(Last { fingerprint, commit: request.commit.to_owned(), manifest: manifest.clone() });
        Ok(manifest)
    }

    /// Forgets the last render: a person asked for a hard refresh.
    pub fn forget(&mut self) {
        self.last = None;
    }
}
