//! Pages for people: HTML without a script, every word of it a text node.
//!
//! **In:** finished values, as [`Full`]. **Out:** a document and the headers that it is served with. **May not:** mark any
//! text as safe but our own style sheet, link to anything outside the page, or show what the value does not hold.

use std::sync::LazyLock;

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::preview::full::{Full, FullEnvironment};
use crate::preview::phrase;

const STYLE: &str = include_str!("ui/style.css");
/// Of so many changed objects all diffs are unfolded at once.
const SHORT: usize = 25;

/// Nothing is loaded, run, framed or sent; of styles just ours.
pub(super) static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
});

/// All that a pull request would change, on one page.
///
/// # Errors
/// None that is known: the template writes into memory.
pub fn preview(full: &Full, repository: &str) -> Result<String, askama::Error> {
    PreviewPage { full, repository, style: STYLE }.render()
}

/// What the template asks for.
#[derive(Template)]
#[template(path = "preview.html", config = "src/server/ui/askama.toml")]
struct PreviewPage<'a> {
    full: &'a Full,
    repository: &'a str,
    style: &'static str,
}

impl PreviewPage<'_> {
    fn is_short(&self) -> bool {
        self.full.environments.iter().map(changed).sum::<usize>() <= SHORT
    }

    /// `2 environments, 3 changed objects, 1 risk`
    fn summary(&self) -> String {
        let Full { environments, risks, .. } = self.full;
        if environments.is_empty() {
            return "No deployed manifest changes.".to_owned();
        }
        let objects = environments.iter().map(changed).sum();
        // As the comment counts them.
        let risks = risks.iter().filter(|risk| risk.severity.is_warning()).count();
        let parts = [(environments.len(), "environment"), (objects, "changed object"), (risks, "risk")];
        let parts = parts.map(|(count, what)| phrase::counted(count as u64, what));
        parts.join(", ")
    }

    fn changes(&self, environment: &FullEnvironment) -> usize {
        changed(environment)
    }

    fn names(&self, environment: &FullEnvironment) -> String {
        let names: Vec<&str> = environment.applications.iter().map(|one| one.name.as_str()).collect();
        names.join(", ")
    }

    fn short<'t>(&self, commit: &'t str) -> &'t str {
        phrase::short(commit)
    }

    /// A sentence in pieces; those that stood in backticks are names.
    fn pieces<'t>(&self, says: &'t str) -> Vec<(bool, &'t str)> {
        says.split('`').enumerate().map(|(at, piece)| (at % 2 == 1, piece)).collect()
    }

    fn class(&self, line: &str) -> &'static str {
        match line.as_bytes().first() {
            Some(b'+') => "add",
            Some(b'-') => "del",
            Some(b'@') => "at",
            _ => "same",
        }
    }
}

fn changed(environment: &FullEnvironment) -> usize {
    environment.applications.iter().map(|application| application.changes.len()).sum()
}
