//! What the daemon remembers of one application between two looks. All of it can be lost: it costs a render, a dry
//! run, or a look at the Application's own annotation.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::remotes::Remotes;
use super::rendered::Rendered;
use super::stamped::Stamped;
use crate::api::argo::Application;
use crate::object::{ObjectKey, annotation};
use crate::plan::{Baseline, Inventory};
use crate::source::ReadSet;

/// What is remembered of one application.
#[derive(Default)]
pub struct Memory {
    /// By object: its last apply or dry run.
    pub baselines: BTreeMap<ObjectKey, Baseline>,
    /// What it has applied; durable in an annotation of the Application.
    pub inventory: Inventory,
    /// Why the annotation could not be read: then nothing is pruned.
    pub damaged_inventory: Option<String>,
    /// Where the sync under way stands; durable in an annotation of the Application.
    pub progress: Option<String>,
    /// The objects as they are applied, until what they depend on changes.
    pub stamped: Option<Stamped>,
    /// The other repositories that its bases are in.
    pub remotes: Remotes,
    /// Nothing follows from a look with it: see [`Memory::for_trial`].
    pub trial: Option<Trial>,
    renders: Vec<Rendered>,
}

/// A look at what might become of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// By somebody who may push to its repository: compared with the cluster.
    Own,
    /// By a stranger, from a fork: the cluster is not asked, and no repository is read that the application does not read
    /// already.
    Strangers,
}

/// What an application's renders have read.
#[derive(Clone, Default)]
pub struct Reads {
    /// One for each source; `None` where it was not rendered.
    pub sets: Vec<Option<Arc<ReadSet>>>,
    /// The other repositories that the bases are in.
    pub remotes: Remotes,
}

impl Memory {
    /// What a daemon knows that has just started.
    pub fn of(application: &Application) -> Self {
        let progress = application.annotation(annotation::PROGRESS).map(str::to_owned);
        let mut memory = Memory { progress, ..Memory::default() };
        if let Some(text) = application.annotation(annotation::INVENTORY) {
            match Inventory::parse(text) {
                Ok(inventory) => memory.inventory = inventory,
                Err(error) => memory.damaged_inventory = Some(error.to_string()),
            }
        }
        memory
    }

    /// For looks at what might become of the application. They know of its applies, and leave no trace: nobody hears what
    /// it would want then.
    pub fn for_trial(&self, trial: Trial) -> Self {
        Memory {
            baselines: self.baselines.clone(),
            inventory: self.inventory.clone(),
            remotes: self.remotes.clone(),
            trial: Some(trial),
            ..Memory::default()
        }
    }

    /// What its last renders have read.
    pub fn reads(&self) -> Reads {
        Reads { sets: self.renders.iter().map(Rendered::read_set).collect(), remotes: self.remotes.clone() }
    }

    /// Lends the render of a source to the pool that renders.
    pub fn take_render(&mut self, index: usize) -> Rendered {
        self.renders.resize_with(self.renders.len().max(index + 1), Rendered::default);
        std::mem::take(&mut self.renders[index])
    }

    /// Takes it back.
    pub fn put_render(&mut self, index: usize, render: Rendered) {
        self.renders[index] = render;
    }

    /// Forgets the repositories that no source reads from any more.
    pub fn forget_unused_remotes(&mut self) {
        let renders = &self.renders;
        self.remotes.retain(|remote| renders.iter().any(|render| render.reads_from(remote)));
    }

    /// Renders one source anew next time.
    pub fn forget_render(&mut self, index: usize) {
        if let Some(render) = self.renders.get_mut(index) {
            render.forget();
        }
    }

    /// Renders anew next time.
    pub fn forget_renders(&mut self) {
        self.renders.iter_mut().for_each(Rendered::forget);
    }
}
