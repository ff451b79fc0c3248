//! Notifications as Argo CD's users configure them: who is told what of an application, and when.
//!
//! **In:** the configuration, an application as it stands, what was told already. **Out:** what is to be told, as a
//! request, a mail or a commit status. **May not:** do I/O or read a clock: `run::alerts` sends, and remembers.
//!
//! Read [`config`] (what is configured), [`subscription`] (who wants to hear), [`due`] (what is to be told now, with the
//! conditions of [`when`] and what [`notified`] remembers), [`message`] and [`names`] (what is said), then [`service`] (in
//! which form). [`catalog`] is what there is without a word of configuration.

pub mod catalog;
pub mod config;
mod document;
pub mod due;
pub mod message;
pub mod names;
pub mod notified;
pub mod service;
pub mod subscription;
pub mod when;
