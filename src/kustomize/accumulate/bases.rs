//! How a layer comes by its bases: known from before, built ahead on another thread, or built now.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Build, GivenSchema, Layer, MAX_DEPTH, Target};
use crate::in_order;
use crate::kustomize::base::{Base, Met};
use crate::kustomize::configuration;
use crate::kustomize::error::Error;
use crate::kustomize::field::Text;
use crate::kustomize::file::Kind;
use crate::kustomize::load::{Found, Loader, Tree};
use crate::kustomize::transform::variables;
use crate::source::{Recording, TreePath};

/// What is there of a base before its turn.
pub(super) type Ahead = Option<Result<Base, Vec<Error>>>;

impl Build<'_> {
    /// Adds what a base gives: as it was known before, as it was built ahead, or built now.
    pub(super) fn take_base(
        &mut self,
        target: &Target,
        path: &TreePath,
        entry: &Text,
        ahead: Ahead,
        layer: &mut Layer,
    ) -> Result<(), Vec<Error>> {
        let base = match self.known_base(path) {
            Some(base) => {
                self.count_layers(base.met.layers, target)?;
                base
            }
            None => {
                // Another schema than the one that it was built with may be in force by now.
                let holds = |base: &Result<Base, _>| base.as_ref().is_ok_and(|base| !base.met.brings_schema);
                let ahead = ahead.filter(|base| self.schema.is_none() && (base.is_err() || holds(base)));
                let base = Arc::new(ahead.unwrap_or_else(|| self.built_base(path, entry))?);
                self.met.layers += base.met.layers;
                if self.is_shared(&base.met) {
                    self.bases.built(path, self.loader.restrictor(), &base);
                }
                base
            }
        };
        self.absorb(&base);
        let Layer { set, specs, variables } = match Arc::try_unwrap(base) {
            Ok(base) => base.layer,
            Err(shared) => shared.layer.clone(),
        };
        let errors: Vec<Error> =
            set.into_vec().into_iter().filter_map(|resource| layer.set.append(resource).err()).collect();
        layer.specs = configuration::merge(&layer.specs, &specs, entry)?;
        variables::merge(&mut layer.variables, &variables)?;
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// True when what was built is the same for everybody.
    fn is_shared(&self, met: &Met) -> bool {
        !met.brings_schema && self.may_share()
    }

    /// True when nothing that only this build knows goes into its bases.
    fn may_share(&self) -> bool {
        self.schema.is_none() && self.shown.is_none() && !self.tells
    }

    /// A base from before that is the one which would be built now.
    fn known_base(&self, path: &TreePath) -> Option<Arc<Base>> {
        if !self.may_share() {
            return None;
        }
        let base = self.bases.find(path, self.loader.restrictor(), self.loader.tree().identified())?;
        let leads_back = |built: &TreePath| self.stack.iter().any(|visited| visited.is_within(built));
        let fits = self.stack.len() + base.met.depth <= MAX_DEPTH && !base.met.directories.iter().any(leads_back);
        fits.then_some(base)
    }

    /// Builds a base from nothing but its directory.
    fn built_base(&mut self, path: &TreePath, entry: &Text) -> Result<Base, Vec<Error>> {
        let (base, schema) = self.base_by_itself(path, entry, self.workers)?;
        self.schema = schema;
        Ok(base)
    }

    /// `workers`: whether other threads may work on what lies below, as in [`in_order::map`].
    fn base_by_itself(&self, path: &TreePath, entry: &Text, workers: usize) -> Result<(Base, GivenSchema), Vec<Error>> {
        let recording = self.loader.tree().recording().map(Recording::part);
        let tree = recording.as_ref().map_or(self.loader.tree(), Tree::Recorded);
        let mut build = Build {
            loader: Loader::new(tree, self.loader.restrictor()),
            bases: self.bases,
            workers,
            stack: self.stack.clone(),
            met: Met::default(),
            layers: Arc::clone(&self.layers),
            kept_built_in_before: self.keeps_built_in(),
            told: HashSet::new(),
            schema: self.schema.clone(),
            shown: self.shown_below(path, entry),
            tells: self.tells,
        };
        let built = build.directory(path, entry, Kind::Kustomization).and_then(|target| build.layer(&target, None));
        let Build { mut met, schema, .. } = build;
        met.depth = met.depth.saturating_sub(self.stack.len());
        let read_set = recording.map(Recording::into_read_set);
        match built {
            Ok(layer) => Ok((Base { layer, met, read_set }, schema)),
            Err(errors) => {
                if let (Some(recording), Some(read_set)) = (self.loader.tree().recording(), &read_set) {
                    recording.absorb(read_set);
                }
                Err(errors)
            }
        }
    }

    /// Builds the bases among the entries side by side, each as if it was the first.
    pub(super) fn bases_ahead(&self, entries: &[Text], found: &[Result<Found, Error>]) -> Vec<Ahead> {
        let mut ahead: Vec<Ahead> = found.iter().map(|_| None).collect();
        let bases: Vec<(usize, &TreePath, &Text)> = found
            .iter()
            .zip(entries)
            .enumerate()
            .filter_map(|(at, (found, entry))| match found {
                Ok(Found::Directory(path)) => Some((at, path, entry)),
                _ => None,
            })
            .collect();
        if self.workers < 2 || bases.len() < 2 || !self.schema.is_none() {
            return ahead;
        }
        let built = in_order::map(self.workers, &bases, |(_, path, entry)| {
            self.known_base(path).is_none().then(|| self.base_by_itself(path, entry, 1).map(|(base, _)| base))
        });
        for ((at, ..), built) in bases.into_iter().zip(built) {
            if let Some(place) = ahead.get_mut(at) {
                *place = built;
            }
        }
        ahead
    }

    /// Takes over what building a base came across.
    fn absorb(&mut self, base: &Base) {
        self.warn(base.met.warnings.iter().cloned());
        self.met.directories.extend(base.met.directories.iter().cloned());
        self.met.depth = self.met.depth.max(self.stack.len() + base.met.depth);
        self.met.brings_schema |= base.met.brings_schema;
        self.met.keeps_built_in |= base.met.keeps_built_in;
        if let (Some(recording), Some(read_set)) = (self.loader.tree().recording(), &base.read_set) {
            recording.absorb(read_set);
        }
    }
}
