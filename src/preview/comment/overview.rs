//! The table of what changes where, and the risks: what always fits.

use std::collections::BTreeMap;

use super::super::mask::Masks;
use super::super::phrase::{Bit, Phrase, counted, grouped};
use super::super::risk::{self, Risk, Severity};
use super::super::{ApplicationPreview, Change, ChangeKind, EnvironmentPreview, Outcome, Preview, escape};
use super::section::{self, Section};
use super::{cell, word};

/// Longer tables are no overview.
const MOST_ROWS: usize = 100;
/// Nor are longer lists.
const MOST_RISKS: usize = 50;
const HEAD: &str = "\n| environment | cluster | application | create | change | replace | delete | restarts |\n\
                    | --- | --- | --- | --: | --: | --: | --: | --: |\n";

pub(super) fn write(
    preview: &Preview,
    risks: &[&Risk],
    masks: &Masks,
    sections: &[Section<'_>],
    room: usize,
) -> String {
    let rows = rows(preview, sections);
    let lines = risk_lines(preview, risks, masks);
    let cost = |lines: &[String]| lines.iter().map(|line| masks.bound(line)).sum::<usize>();
    // Where not both fit, the risks get the larger part.
    let wanted = (cost(&rows), cost(&lines));
    let room_of_risks = room.saturating_sub(wanted.0.min(room * 4 / 10) + HEAD.len() + 60);
    let mut text = String::new();
    let listed = within(&lines, MOST_RISKS, room_of_risks, masks, |rest| format!("- and {} more\n", grouped(rest)));
    let room = room.saturating_sub(masks.bound(&listed) + HEAD.len() + 60);
    let table = within(&rows, MOST_ROWS, room, masks, |rest| format!("\nand {} more\n", grouped(rest)));
    if !table.is_empty() {
        text.push_str(HEAD);
        text.push_str(&table);
    }
    if !listed.is_empty() {
        text.push_str("\n**Read this first**\n\n");
        text.push_str(&listed);
    }
    text
}

/// As many lines as fit, and how many do not.
fn within(lines: &[String], most: usize, room: usize, masks: &Masks, more: impl Fn(u64) -> String) -> String {
    let mut text = String::new();
    let mut used = 0;
    for (at, line) in lines.iter().enumerate() {
        let cost = masks.bound(line);
        if at == most || used + cost + 30 > room {
            text.push_str(&more((lines.len() - at) as u64));
            break;
        }
        used += cost;
        text.push_str(line);
    }
    text
}

fn rows(preview: &Preview, sections: &[Section<'_>]) -> Vec<String> {
    let mut rows = Vec::new();
    for environment in section::in_order(preview) {
        let loud = environment.applications.iter().filter(|application| !application.outcome.is_quiet());
        let mut applications: Vec<&ApplicationPreview> = loud.collect();
        applications.sort_by(|a, b| a.name.cmp(&b.name));
        rows.extend(applications.into_iter().map(|application| row(environment, application, sections)));
    }
    rows
}

fn row(environment: &EnvironmentPreview, application: &ApplicationPreview, sections: &[Section<'_>]) -> String {
    let changes = application.outcome.changes();
    let count = |is_it: fn(&ChangeKind) -> bool| match changes.iter().filter(|change| is_it(&change.kind)).count() {
        0 => String::new(),
        count => grouped(count as u64),
    };
    let is_printed = sections.iter().any(|section| {
        section.application == application.name
            && section.environment == environment.name
            && section.clusters.contains(&environment.cluster.as_str())
    });
    let name = cell(&application.name);
    let name = if is_printed { format!("**{name}**") } else { name };
    let state = match &application.outcome {
        Outcome::Planned(_) => "",
        Outcome::Failed(_) => " (does not render)",
        Outcome::Held(_) => " (would be held)",
        Outcome::Removed(_) => " (removed)",
    };
    format!(
        "| {} | {} | {name}{state} | {} | {} | {} | {} | {} |\n",
        cell(&environment.name),
        cell(&environment.cluster),
        count(|kind| *kind == ChangeKind::Create),
        count(|kind| matches!(kind, ChangeKind::Change | ChangeKind::Transferred { .. })),
        count(|kind| *kind == ChangeKind::Replace),
        count(|kind| *kind == ChangeKind::Delete),
        restarts(changes),
    )
}

/// `12 pods`.
fn restarts(changes: &[Change]) -> String {
    let restarts: Vec<risk::Restart> = changes.iter().filter_map(risk::restart).collect();
    let known: u64 = restarts.iter().filter_map(|restart| restart.pods).sum();
    match (restarts.is_empty(), restarts.iter().any(|restart| restart.pods.is_none())) {
        (true, _) => String::new(),
        (false, false) => counted(known, "pod"),
        (false, true) if known == 0 => "pods".into(),
        (false, true) => format!("{known}+ pods"),
    }
}

/// A line for each risk; what is the same in several clusters of an environment is one.
fn risk_lines(preview: &Preview, risks: &[&Risk], masks: &Masks) -> Vec<String> {
    type Same<'a> = (usize, Vec<&'a str>);
    let mut groups: BTreeMap<(&str, &str, &Phrase), usize> = BTreeMap::new();
    let mut found: Vec<(&Risk, Same<'_>)> = Vec::new();
    for risk in risks {
        let Some(environment) = preview.environments.get(risk.environment) else { continue };
        let group = (environment.name.as_str(), risk.application.as_str(), &risk.says);
        let at = *groups.entry(group).or_insert_with(|| {
            found.push((risk, (risk.environment, Vec::new())));
            found.len() - 1
        });
        found[at].1.1.push(&environment.cluster);
    }
    let line = |(risk, (environment, mut clusters)): (&Risk, Same<'_>)| {
        let environment = &preview.environments[environment];
        let mark = match risk.severity {
            Severity::Red => "🔴",
            Severity::Yellow => "🟡",
            Severity::Info => "⚪",
        };
        let all = preview.environments.iter().filter(|one| one.name == environment.name).count();
        clusters.sort_unstable();
        clusters.dedup();
        let place = match clusters.as_slice() {
            _ if all == 1 => String::new(),
            [one] => format!(" in {}", word(one)),
            some => format!(" in {} of {all} clusters", some.len()),
        };
        let who = format!("{}/{}", environment.name, risk.application);
        let who = if escape::is_plain(&environment.name) && escape::is_plain(&risk.application) {
            who
        } else {
            escape::code(&escape::unmarked(&who))
        };
        format!("- {mark} {who}{place} {}\n", markdown(&masks.phrase(&risk.says)))
    };
    found.into_iter().map(line).collect()
}

/// A sentence with its names as code.
fn markdown(phrase: &Phrase) -> String {
    let bits = phrase.bits().iter().map(|bit| match bit {
        Bit::Words(words) => escape::prose(words),
        Bit::Name(name) => escape::code(name),
    });
    bits.collect()
}
