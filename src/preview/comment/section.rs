//! What is told of one application in one environment; equal changes once, however many clusters have them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hasher as _;

use xxhash_rust::xxh3::Xxh3Default;

use super::super::mask::Masks;
use super::super::phrase::counted;
use super::super::risk::{Risk, Severity};
use super::super::{ApplicationPreview, EnvironmentPreview, Outcome, Preview, escape};
use super::flavour::Flavour;
use super::object::{self, Detail, Item};
use super::word;

/// More are named by their number.
const MOST_NAMES: usize = 12;

/// One application's changes, as they are in one or more clusters.
pub(super) struct Section<'a> {
    pub(super) environment: &'a str,
    pub(super) application: &'a str,
    /// The clusters of the environment in which it is just so.
    pub(super) clusters: Vec<&'a str>,
    /// In how many clusters of the environment it is at all.
    pub(super) of_clusters: usize,
    /// Where in the environment it is different; told by the first of them only.
    different: Vec<&'a str>,
    /// Other environments and applications with the very same changes, with their number of clusters.
    also: Vec<(String, usize)>,
    outcome: &'a Outcome,
    pub(super) items: Vec<Item<'a>>,
    pub(super) worst: Option<Severity>,
}

/// Environments in the order in which a reader wants them: what is reached last comes first.
pub(in super::super) fn in_order(preview: &Preview) -> Vec<&EnvironmentPreview> {
    let mut order: Vec<&str> = Vec::new();
    for environment in &preview.environments {
        if !order.contains(&environment.name.as_str()) {
            order.push(&environment.name);
        }
    }
    let place: BTreeMap<&str, usize> = order.into_iter().rev().enumerate().map(|(at, name)| (name, at)).collect();
    let mut environments: Vec<&EnvironmentPreview> = preview.environments.iter().collect();
    environments.sort_by_key(|environment| (place.get(environment.name.as_str()), &environment.cluster));
    environments
}

/// All sections, in the order in which they are shown.
pub(super) fn all<'a>(preview: &'a Preview, risks: &[Risk], masks: &Masks) -> Vec<Section<'a>> {
    let mut sections: Vec<Section<'a>> = Vec::new();
    let mut seen: BTreeMap<u64, usize> = BTreeMap::new();
    let mut printed: BTreeMap<u64, String> = BTreeMap::new();
    for (environment, application, variants) in variants(preview, masks) {
        let of_clusters = variants.iter().map(|variant| variant.clusters.len()).sum();
        let most = variants.first().map(|variant| variant.clusters.clone()).unwrap_or_default();
        for (at, variant) in variants.into_iter().enumerate() {
            let Variant { essence, clusters, outcome, items } = variant;
            let label = match at {
                0 => format!("{} · {}", word(environment), word(application)),
                _ => format!("{} ({}) · {}", word(environment), names(&clusters), word(application)),
            };
            if let Some(section) = seen.get(&essence).and_then(|at| sections.get_mut(*at)) {
                section.also.push((label, clusters.len()));
                continue;
            }
            seen.insert(essence, sections.len());
            let different = match at {
                0 => different(preview, environment, application, &most),
                _ => vec![],
            };
            let worst = worst(preview, risks, environment, application, &clusters);
            let mut items = items;
            for item in items.iter_mut().filter(|item| item.has_lines()) {
                match printed.get(&item.essence) {
                    Some(there) if *there != label => item.same_as = Some(there.clone()),
                    Some(_) => {}
                    None => drop(printed.insert(item.essence, label.clone())),
                }
            }
            // Other objects with just the changes of another section: said there.
            let there = items.first().and_then(|item| item.same_as.clone());
            if there.is_some()
                && items.iter().all(|item| item.same_as == there)
                && let Some(section) = sections.iter_mut().find(|section| Some(section.label()) == there)
                && section.items.len() == items.len()
            {
                section.also.push((label, clusters.len()));
                continue;
            }
            let also = Vec::new();
            sections.push(Section {
                environment,
                application,
                clusters,
                of_clusters,
                different,
                also,
                outcome,
                items,
                worst,
            });
        }
    }
    sections
}

/// One way in which an application changes.
struct Variant<'a> {
    essence: u64,
    clusters: Vec<&'a str>,
    outcome: &'a Outcome,
    items: Vec<Item<'a>>,
}

type Variants<'a> = (&'a str, &'a str, Vec<Variant<'a>>);

/// For each environment and application the ways in which it changes, the most frequent first.
fn variants<'a>(preview: &'a Preview, masks: &Masks) -> Vec<Variants<'a>> {
    let mut found: Vec<Variants<'a>> = Vec::new();
    for environment in in_order(preview) {
        let mut applications: Vec<&ApplicationPreview> = environment.applications.iter().collect();
        applications.sort_by(|a, b| a.name.cmp(&b.name));
        for application in applications {
            let has_nothing_to_show =
                application.outcome.changes().is_empty() && !matches!(&application.outcome, Outcome::Failed(_));
            if has_nothing_to_show {
                continue;
            }
            let items = object::items(application, masks);
            let essence = essence(&application.outcome, &items);
            let is_it = |one: &&mut Variants<'_>| one.0 == environment.name && one.1 == application.name;
            let at = match found.iter_mut().find(is_it) {
                Some(found) => found,
                None => {
                    found.push((&environment.name, &application.name, Vec::new()));
                    let last = found.len() - 1;
                    &mut found[last]
                }
            };
            match at.2.iter_mut().find(|variant| variant.essence == essence) {
                Some(variant) => variant.clusters.push(&environment.cluster),
                None => at.2.push(Variant {
                    essence,
                    clusters: vec![&environment.cluster],
                    outcome: &application.outcome,
                    items,
                }),
            }
        }
    }
    for (_, _, variants) in &mut found {
        variants.sort_by_key(|variant| std::cmp::Reverse(variant.clusters.len()));
    }
    // Environments stay in their order; the applications of one are those of all its clusters.
    let place = |name: &str| found_place(preview, name);
    found.sort_by(|a, b| (place(a.0), a.1).cmp(&(place(b.0), b.1)));
    found
}

fn found_place(preview: &Preview, name: &str) -> std::cmp::Reverse<Option<usize>> {
    std::cmp::Reverse(preview.environments.iter().position(|environment| environment.name == name))
}

/// Equal for what reads the same.
fn essence(outcome: &Outcome, items: &[Item<'_>]) -> u64 {
    let mut hasher = Xxh3Default::new();
    match outcome {
        Outcome::Planned(_) => hasher.update(b"planned"),
        Outcome::Failed(problems) => problems.iter().for_each(|problem| hasher.update(problem.to_string().as_bytes())),
        Outcome::Held(held) => hasher.update(format!("{held:?}").as_bytes()),
        Outcome::Removed(removal) => {
            hasher.update(format!("{:?} {:?}", removal.objects, removal.moves_to).as_bytes());
        }
    }
    for item in items {
        hasher.write_u64(item.essence);
        hasher.update(item.change.key.name.as_bytes());
    }
    hasher.digest()
}

/// Clusters of the environment in which the application changes in another way than in `most`.
fn different<'a>(preview: &'a Preview, environment: &str, application: &str, most: &[&str]) -> Vec<&'a str> {
    let others = preview.environments.iter().filter(|one| one.name == environment);
    let others = others.filter(|one| one.applications.iter().any(|one| one.name == application));
    let mut names: Vec<&str> = others.map(|one| one.cluster.as_str()).filter(|name| !most.contains(name)).collect();
    names.sort_unstable();
    names
}

fn worst(
    preview: &Preview,
    risks: &[Risk],
    environment: &str,
    application: &str,
    clusters: &[&str],
) -> Option<Severity> {
    let is_here = |risk: &&Risk| {
        preview.environments.get(risk.environment).is_some_and(|one| {
            one.name == environment && clusters.contains(&one.cluster.as_str()) && risk.application == application
        })
    };
    risks.iter().filter(is_here).map(|risk| risk.severity).filter(|severity| *severity != Severity::Info).min()
}

fn names(clusters: &[&str]) -> String {
    let shown: Vec<String> = clusters.iter().take(MOST_NAMES).map(|name| word(name)).collect();
    match clusters.len() - shown.len() {
        0 => shown.join(", "),
        rest => format!("{} and {rest} more", shown.join(", ")),
    }
}

impl Section<'_> {
    /// As other sections refer to it.
    fn label(&self) -> String {
        super::label(self)
    }

    /// How many times its changes are made.
    pub(super) fn weight(&self) -> usize {
        self.clusters.len() + self.also.iter().map(|(_, clusters)| clusters).sum::<usize>()
    }

    /// What opens it, with all that is said before its objects.
    pub(super) fn head(&self, flavour: Flavour, masks: &Masks) -> String {
        // The way of most clusters stands for the environment, where there is one.
        let is_most = !self.different.is_empty() && self.clusters.len() * 2 > self.of_clusters;
        let is_variant = self.clusters.len() < self.of_clusters && !is_most;
        let mut heading = flavour.in_heading(self.environment);
        if is_variant {
            let shown: Vec<String> =
                self.clusters.iter().take(MOST_NAMES).map(|name| flavour.in_heading(name)).collect();
            let more = match self.clusters.len() - shown.len() {
                0 => String::new(),
                rest => format!(" and {rest} more"),
            };
            heading.push_str(&format!(" ({}{more})", shown.join(", ")));
        }
        heading.push_str(&format!(" · {}: {}", flavour.in_heading(self.application), self.summary()));
        let mut text = flavour.open(&heading);
        if is_most {
            let (here, of) = (self.clusters.len(), self.of_clusters);
            text.push_str(&format!("\nIn {here} of {of} clusters; different in {}.\n", self::names(&self.different)));
        }
        if !self.also.is_empty() {
            let shown: Vec<&str> = self.also.iter().take(MOST_NAMES).map(|(label, _)| label.as_str()).collect();
            let more = match self.also.len() - shown.len() {
                0 => String::new(),
                rest => format!(" and {rest} more"),
            };
            text.push_str(&format!("\nAlso the same change in {}{more}.\n", shown.join(", ")));
        }
        if let Outcome::Failed(problems) = self.outcome {
            text.push('\n');
            text.push_str(&problems_text(problems, masks));
        }
        text
    }

    /// `2 changes, wave 0`
    fn summary(&self) -> String {
        let count = self.items.len() as u64;
        let changes = counted(count, "change");
        match self.outcome {
            Outcome::Failed(problems) => {
                format!("does not render, {}", counted(problems.len() as u64, "problem"))
            }
            Outcome::Held(_) => "would be held: needs confirmation".into(),
            Outcome::Removed(_) => format!("removed, {}", counted(count, "object")),
            Outcome::Planned(_) => format!("{changes}, {}", self.waves()),
        }
    }

    fn waves(&self) -> String {
        let steps: BTreeSet<_> = self.items.iter().map(|item| (item.change.phase, item.change.wave)).collect();
        let words = steps.iter().map(|(phase, wave)| match phase {
            crate::plan::Phase::Sync => format!("wave {wave}"),
            phase => phase.to_string(),
        });
        let mut words: Vec<String> = words.collect();
        words.dedup();
        if words.len() > 6 {
            return format!("{} waves", words.len());
        }
        words.join(", ")
    }

    /// Its whole text.
    pub(super) fn text(&self, flavour: Flavour, masks: &Masks, detail: Detail) -> String {
        let mut text = self.head(flavour, masks);
        match detail.is_folded {
            false => self.items.iter().for_each(|item| text.push_str(&item.text(masks, detail))),
            true => self.folded().iter().for_each(|group| text.push_str(&self.group_text(group, masks, detail))),
        }
        text.push_str(flavour.close());
        text
    }

    /// Objects by what changes of them, in the order of the first.
    pub(super) fn folded(&self) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut by_essence: BTreeMap<(u64, &str), usize> = BTreeMap::new();
        for (at, item) in self.items.iter().enumerate() {
            let group = *by_essence.entry((item.essence, item.change.key.kind.as_str())).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups[group].push(at);
        }
        groups
    }

    /// The first object of a group with its change, and the others by name.
    pub(super) fn group_text(&self, group: &[usize], masks: &Masks, detail: Detail) -> String {
        let mut items = group.iter().filter_map(|at| self.items.get(*at));
        let Some(first) = items.next() else { return String::new() };
        let mut text = first.text(masks, detail);
        let rest: Vec<&Item<'_>> = items.collect();
        if !rest.is_empty() {
            let shown: Vec<String> = rest.iter().take(MOST_NAMES).map(|item| escape::code(&item.place)).collect();
            let more = match rest.len() - shown.len() {
                0 => String::new(),
                count => format!(" and {count} more"),
            };
            let kinds = counted(rest.len() as u64, &first.kind());
            text.push_str(&format!("\nThe same change in {kinds}: {}{more}\n", shown.join(", ")));
        }
        text
    }

    /// One line, when nothing else fits.
    pub(super) fn line(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for item in &self.items {
            *counts.entry(item.verb()).or_default() += 1;
        }
        let counts: Vec<String> = counts.into_iter().map(|(verb, count)| format!("{count} {verb}")).collect();
        let counts = if counts.is_empty() { String::new() } else { format!(" ({})", counts.join(", ")) };
        format!("- {}: {}{counts}\n", super::label(self), self.summary())
    }
}

/// What does not render, as files and lines.
fn problems_text(problems: &[crate::error::Diagnostic], masks: &Masks) -> String {
    const MOST: usize = 10;
    let mut lines = String::new();
    for problem in problems.iter().take(MOST) {
        let mut told = vec![problem.to_string()];
        told.extend(problem.notes.iter().map(|note| format!("  {note}")));
        for line in told.iter().flat_map(|text| text.lines()) {
            let shown = masks.text(line);
            let shown = escape::visible(&shown).into_owned();
            lines.push_str(&escape::guarded(&escape::cut(&shown, escape::LONGEST_LINE)));
            lines.push('\n');
        }
    }
    if problems.len() > MOST {
        lines.push_str(&format!("and {} more\n", problems.len() - MOST));
    }
    escape::fence("", &lines)
}
