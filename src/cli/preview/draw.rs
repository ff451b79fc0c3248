//! A preview as a person reads it in a terminal.

use super::super::terminal::{Symbol, Terminal, bold, counted, dim, painted};
use crate::preview::full::{Full, FullApplication, FullChange, FullEnvironment, FullRisk};
use crate::preview::risk::Severity;

/// The answer first, then risks, then each object.
pub(super) fn draw(full: &Full, terminal: &Terminal) -> String {
    if full.environments.is_empty() {
        return format!("{} nothing that is deployed changes\n", terminal.symbol(Symbol::Good));
    }
    let mut text = String::new();
    for environment in &full.environments {
        let changed = environment.applications.iter().map(|one| one.changes.len()).sum();
        let applications = counted(environment.applications.len(), "application");
        let objects = counted(changed, "changed object");
        text.push_str(&format!("{}   {applications}, {objects}\n", bold(&environment.name)));
    }
    for risk in &full.risks {
        text.push_str(&self::risk(risk, terminal));
    }
    for environment in &full.environments {
        environment.applications.iter().for_each(|one| text.push_str(&application(environment, one, terminal)));
    }
    text
}

fn risk(risk: &FullRisk, terminal: &Terminal) -> String {
    let symbol = match risk.severity {
        Severity::Red => terminal.symbol(Symbol::Bad),
        Severity::Yellow => terminal.symbol(Symbol::Note),
        Severity::Info => " ".to_owned(),
    };
    let FullRisk { rule, environment, application, says, .. } = risk;
    format!("{symbol} {environment} · {application}: {says} {}\n", dim(rule))
}

fn application(environment: &FullEnvironment, application: &FullApplication, terminal: &Terminal) -> String {
    let restarts = match application.restarts {
        0 => String::new(),
        pods => {
            format!("   {}", dim(format!("restarts {}", counted(usize::try_from(pods).unwrap_or(usize::MAX), "pod"))))
        }
    };
    let mut text = format!("\n{}{restarts}\n", bold(format!("{} · {}", environment.name, application.name)));
    for problem in &application.problems {
        text.push_str(&format!("{} {problem}\n", terminal.symbol(Symbol::Bad)));
    }
    application.changes.iter().for_each(|one| text.push_str(&change(one, terminal)));
    text
}

fn change(change: &FullChange, terminal: &Terminal) -> String {
    let FullChange { kind, object, what, wave, source, refused, diff, .. } = change;
    let source = source.as_ref().map(|source| format!(" · {source}")).unwrap_or_default();
    let mut text = format!("\n{} {what} {}\n", bold(format!("{kind} {object}")), dim(format!("{wave}{source}")));
    if let Some(refused) = refused {
        text.push_str(&format!("{} {refused}\n", terminal.symbol(Symbol::Bad)));
    }
    text.push_str(&painted(diff));
    text
}
