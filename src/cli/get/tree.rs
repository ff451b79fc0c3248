//! Applications as a tree: what holds what.

use std::collections::BTreeSet;

use super::View;
use super::row::{self, Row};
use crate::api::ARGO_GROUP;
use crate::api::argo::{Application, ResourceStatus, SyncStatus};
use crate::cli::terminal::{Symbol, Terminal, bold, counted, dim};

/// Namespace and name.
pub(super) fn place(application: &Application) -> (String, String) {
    (application.namespace().to_owned(), application.name().to_owned())
}

fn resources(application: &Application) -> &[ResourceStatus] {
    application.status.as_ref().map(|status| status.resources.as_slice()).unwrap_or_default()
}

/// The Application that a resource is, when it is one that was read.
fn child<'a>(resource: &ResourceStatus, parent: &Application, all: &'a [Application]) -> Option<&'a Application> {
    if resource.group != ARGO_GROUP || resource.kind != "Application" {
        return None;
    }
    let namespace = if resource.namespace.is_empty() { parent.namespace() } else { &resource.namespace };
    all.iter().find(|application| application.name() == resource.name && application.namespace() == namespace)
}

/// Where the applications are that another one holds.
pub(super) fn held(all: &[Application]) -> BTreeSet<(String, String)> {
    let children = |parent| resources(parent).iter().filter_map(move |resource| child(resource, parent, all));
    all.iter().flat_map(children).map(place).collect()
}

/// The indices in `all` of these and of what they hold, all the way down.
pub(super) fn below(roots: &[Application], all: &[Application]) -> BTreeSet<usize> {
    let index = |wanted: &Application| all.iter().position(|application| place(application) == place(wanted));
    let mut found = BTreeSet::new();
    let mut queue: Vec<usize> = roots.iter().filter_map(index).collect();
    while let Some(at) = queue.pop() {
        if found.insert(at) {
            let children = resources(&all[at]).iter().filter_map(|resource| child(resource, &all[at], all));
            queue.extend(children.filter_map(index));
        }
    }
    found
}

/// The strokes of a tree.
struct Strokes {
    branch: &'static str,
    last: &'static str,
    through: &'static str,
}

const UNICODE: Strokes = Strokes { branch: "├─ ", last: "└─ ", through: "│  " };
const ASCII: Strokes = Strokes { branch: "|- ", last: "`- ", through: "|  " };

/// A tree below one application; what is healthy is one line, unless all is asked for.
pub(super) fn draw(root: &Application, view: &View, all: bool, terminal: &Terminal) -> String {
    let strokes = if terminal.unicode() { &UNICODE } else { &ASCII };
    let mut drawing = Drawing { view, all, terminal, strokes, text: String::new(), seen: BTreeSet::new() };
    drawing.application(root, "", "");
    drawing.text
}

struct Drawing<'a> {
    view: &'a View,
    all: bool,
    terminal: &'a Terminal,
    strokes: &'static Strokes,
    text: String,
    /// Applications may hold each other.
    seen: BTreeSet<(String, String)>,
}

impl Drawing<'_> {
    fn application(&mut self, application: &Application, stem: &str, below: &str) {
        let row = Row::of_application(application, self.view.now);
        let resources = resources(application);
        let symbol = self.terminal.symbol(symbol(&row.health, row.sync));
        let name = bold(application.name());
        let count = counted(resources.len(), "object");
        let words = match (row.sync, row.health.as_str()) {
            ("synced", "healthy") => String::new(),
            (sync, health) => format!("  {sync}, {health}"),
        };
        let waits_for = row.waits_for.lines().next().map(|why| format!("  {why}")).unwrap_or_default();
        let commit = match row.short_commit() {
            "" => String::new(),
            commit => format!("{commit}  "),
        };
        self.text.push_str(format!("{stem}{symbol} {name}  {commit}{count}{words}{}", dim(waits_for)).trim_end());
        self.text.push('\n');
        if !self.seen.insert(place(application)) {
            return;
        }
        let shown: Vec<(&ResourceStatus, Option<&Application>)> = resources
            .iter()
            .map(|resource| (resource, child(resource, application, &self.view.applications)))
            .filter(|(resource, child)| self.all || child.is_some() || !is_settled(resource))
            .collect();
        let count = shown.len();
        for (at, (resource, child)) in shown.into_iter().enumerate() {
            let is_last = at + 1 == count;
            let stem = format!("{below}{}", if is_last { self.strokes.last } else { self.strokes.branch });
            match child {
                Some(child) => {
                    let below = format!("{below}{}", if is_last { "   " } else { self.strokes.through });
                    self.application(child, &stem, &below);
                }
                None => self.resource(resource, &stem),
            }
        }
    }

    fn resource(&mut self, resource: &ResourceStatus, stem: &str) {
        let health = resource.health.as_ref().and_then(|health| health.status.as_deref()).unwrap_or("Healthy");
        let sync = match resource.status {
            Some(SyncStatus::OutOfSync) => "out of sync",
            _ => "synced",
        };
        let symbol = self.terminal.symbol(symbol(&health.to_lowercase(), sync));
        let namespace = if resource.namespace.is_empty() { String::new() } else { format!("{}/", resource.namespace) };
        let mut facts = Vec::new();
        if resource.requires_pruning {
            facts.push("to be pruned".to_owned());
        } else if sync != "synced" {
            facts.push(sync.to_owned());
        }
        if row::is_unhealthy(resource) {
            let reason = row::reason(resource);
            facts
                .push(reason.split_once(": ").map_or("", |(_, why)| why).lines().next().unwrap_or_default().to_owned());
        }
        let (kind, name, facts) = (&resource.kind, &resource.name, dim(facts.join(", ")));
        self.text.push_str(format!("{stem}{symbol} {namespace}{kind}/{name}  {facts}").trim_end());
        self.text.push('\n');
    }
}

fn is_settled(resource: &ResourceStatus) -> bool {
    !row::is_unhealthy(resource) && resource.status != Some(SyncStatus::OutOfSync) && !resource.requires_pruning
}

fn symbol(health: &str, sync: &str) -> Symbol {
    match (health, sync) {
        ("degraded" | "missing", _) => Symbol::Bad,
        ("healthy", "synced") => Symbol::Good,
        ("progressing", _) | ("healthy", _) => Symbol::Going,
        _ => Symbol::Note,
    }
}
