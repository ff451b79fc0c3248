//! Leeboard keeps Kubernetes clusters from drifting from git.
//!
//! Data flows one way, and so do the imports: a module may use those above it in this list, never those below
//! (`tests/layers.rs` reads the `use` lines and fails on an arrow that points back).
//!
//! An empty line stands between all of them so that no tool sorts them.

/// Where a problem is and what to do about it: what every module's error becomes at the edge.
pub mod error;

/// Logs and metric names, in one place.
pub mod telemetry;

/// Versions with numbers, and ranges of them.
pub mod version;

/// Work on several threads whose results come in the order of what they were made of.
pub mod in_order;

/// Regular expressions as Go reads them.
pub mod pattern;

/// One Kubernetes object: its key, its order, whose it is, which of its fields are ours.
pub mod object;

/// YAML as the ecosystem reads and writes it, with spans, comments and styles kept.
pub mod yaml;

/// Go's text/template with sprig's functions: what texts for people are made of.
pub mod template;

/// The objects that users write: Argo CD's, and Leeboard's own.
pub mod api;

/// Mirrors of repositories, and snapshots of their commits.
pub mod git;

/// Pull requests, comments and statuses of GitHub, GitLab, Gitea and Bitbucket.
pub mod forge;

/// Images and the registries that have them.
pub mod registry;

/// From an application to the files it is rendered from.
pub mod source;

/// The native kustomize engine.
pub mod kustomize;

/// From files to a manifest: the objects that git wants.
pub mod render;

/// Is an object healthy.
pub mod health;

/// New versions tried on part of the traffic first, then promoted or rolled back.
pub mod canary;

/// Notifications: who is told what of an application, and when.
pub mod alert;

/// What the cluster holds of what we manage, from watches; and how requests reach it.
pub mod live;

/// The pure function from manifest and live view to a plan.
pub mod plan;

/// What admission policies would say to an object.
pub mod policy;

/// What a pull request would change, as its readers see it.
pub mod preview;

/// Carrying what has proved itself from one environment to the next: commits, and versions of images.
pub mod promote;

/// Executes a plan, resumes it, reports it.
pub mod sync;

/// HTTP: webhooks, health, metrics.
pub mod server;

/// The daemon: controllers, queue, lease, shutdown.
pub mod run;

/// A real control plane on loopback, for the demo and the tests.
pub mod sandbox;

/// The command line.
pub mod cli;
