//! The one comment of a pull request: what would change, where, and what to know first.
//!
//! **In:** a [`Preview`], its risks, its [`Masks`], the forge's [`Flavour`] and how much it takes. **Out:** a
//! [`Comment`]. **May not:** depend on anything else: equal inputs give equal bytes, but for the footer's duration.
//!
//! Whatever comes from git or a cluster stands in a code span, a code element or a fence ([`super::escape`]). Headline,
//! table and risks always fit; the rest is shown in less and less detail, and what is left out is counted ([`budget`]).
//! Read [`marker`] for how a comment is found again.

mod budget;
mod flavour;
pub mod marker;
mod notice;
mod object;
mod overview;
mod section;

use std::time::Duration;

use smol_str::SmolStr;

use super::mask::Masks;
use super::phrase::{counted, grouped, short};
use super::risk::Risk;
use super::{Outcome, Preview, Pull, Reach, ephemeral, escape};

pub use self::flavour::Flavour;
pub use self::marker::{Data, Found, find, is_same};
pub use self::notice::{Notice, notice};
pub(super) use self::object::{Detail, Item, items};
use self::section::Section;
pub(super) use self::section::in_order;

/// How a comment is written.
#[derive(Clone, Debug)]
pub struct Options {
    /// For which forge.
    pub flavour: Flavour,
    /// Bytes; [`Options::new`] allows what the forge takes.
    pub most: usize,
    /// Where the full diff is, from configuration.
    pub link: Option<String>,
    /// How long the preview took.
    pub took: Option<Duration>,
}

impl Options {
    /// For a forge, as large as it takes, without a link.
    pub fn new(flavour: Flavour) -> Self {
        Options { flavour, most: flavour.budget(), link: None, took: None }
    }

    /// With no more bytes than these; they can't raise what the forge takes.
    pub fn lowered_to(self, most: Option<u32>) -> Self {
        /// Less holds no headline.
        const LEAST: usize = 1_000;
        let most = most.map_or(self.most, |most| usize::try_from(most).unwrap_or(LEAST).clamp(LEAST, self.most));
        Options { most, ..self }
    }
}

/// A finished comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Its text.
    pub body: String,
    /// The same without what is only there to find it again: what a reader is told.
    pub said: String,
    /// Where in `said` the changes begin: before them stands what is read first.
    pub changes: usize,
    /// Changed objects whose change is shown.
    pub shown: usize,
    /// Changed objects.
    pub of: usize,
}

impl Comment {
    /// What is read first, and the changes.
    pub fn parts(&self) -> (&str, &str) {
        self.said.split_at_checked(self.changes).unwrap_or((&self.said, ""))
    }
}

/// Writes the comment.
pub fn write(preview: &Preview, risks: &[Risk], masks: &Masks, options: &Options) -> Comment {
    let flavour = options.flavour;
    if !preview.is_news() {
        return notice(flavour, &preview.instance, &preview.pull, &Notice::Nothing);
    }
    let told: Vec<&Risk> = risks.iter().filter(|risk| risk.severity.is_warning()).collect();
    let sections = section::all(preview, risks, masks);
    let of: usize = objects(preview);

    let marker = marker::line(flavour, &preview.instance, preview.pull.number);
    let data = marker::data_line(flavour, &Data::of(preview), options.most / 8);
    let footer = footer(preview, options);
    let frame = [&marker, &footer, &data].iter().map(|part| part.len() + 2).sum::<usize>();

    let mut body = format!("### {}\n", headline(preview, told.len()));
    for note in notes(preview) {
        if body.len() + note.len() < options.most / 4 {
            body.push_str(&format!("\n{note}\n"));
        }
    }
    // A line on what is left out comes with the rest.
    const REST: usize = 300;
    let link = options.link.as_ref().map_or(0, String::len);
    let room = options.most.saturating_sub(frame + masks.bound(&body) + REST + link);
    let overview = overview::write(preview, &told, masks, &sections, room);
    body.push_str(&overview);

    let first = finished(masks, &body).len();

    let room = room.saturating_sub(masks.bound(&overview));
    let filled = budget::fill(preview, &sections, masks, flavour, room);
    body.push_str(&filled.text);
    if filled.shown < of {
        let (shown, of) = (grouped(filled.shown as u64), grouped(of as u64));
        let more = match &options.link {
            Some(link) => format!("[full diff]({link})"),
            None => {
                let Pull { head, base, .. } = &preview.pull;
                escape::code(&format!("leeboard preview --base {base} --head {head} --output json"))
            }
        };
        body.push_str(&format!("\nShown: {shown} of {of} changed objects. Full diff: {more}\n"));
    }
    let said = finished(masks, &body);
    // What frames it holds no marks; a name in it may still look like one.
    let [marker, footer, data] = [marker, footer, data].map(|part| finished(masks, &part));
    let parts = [marker.as_str(), &said, &footer, &data];
    let body = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n");
    let changes = first.min(said.len());
    Comment { body, said, changes, shown: filled.shown, of }
}

/// A part of a body, with all marks resolved and no line that a forge would execute.
fn finished(masks: &Masks, part: &str) -> String {
    // A name may still hold what looks like half a mark.
    let text = masks.finish(part.trim_end_matches('\n')).replace(escape::is_reserved, "\u{fffd}");
    let mut guarded = String::with_capacity(text.len());
    for line in text.lines() {
        guarded.push_str(&escape::guarded(line));
        guarded.push('\n');
    }
    guarded
}

/// How many objects a pull request changes.
fn objects(preview: &Preview) -> usize {
    let applications = preview.environments.iter().flat_map(|environment| &environment.applications);
    applications.map(|application| application.outcome.changes().len()).sum()
}

/// `Leeboard: 2 environments, 3 applications, 1 risk`
fn headline(preview: &Preview, risks: usize) -> String {
    let mut applications: Vec<(&SmolStr, &SmolStr)> = Vec::new();
    for environment in &preview.environments {
        let loud = environment.applications.iter().filter(|application| !application.outcome.is_quiet());
        applications.extend(loud.map(|application| (&environment.name, &application.name)));
    }
    applications.sort_unstable();
    applications.dedup();
    let mut names: Vec<&SmolStr> = applications.iter().map(|(environment, _)| *environment).collect();
    names.dedup();
    let failed = preview
        .environments
        .iter()
        .flat_map(|environment| &environment.applications)
        .filter(|application| matches!(application.outcome, Outcome::Failed(_)))
        .count() as u64;
    let mut parts = vec![
        counted(names.len() as u64, "environment"),
        counted(applications.len() as u64, "application"),
        match risks {
            0 => "no risks".to_owned(),
            risks => counted(risks as u64, "risk"),
        },
    ];
    match failed {
        0 => {}
        1 => parts.push("1 application does not render".into()),
        failed => parts.push(format!("{failed} applications do not render")),
    }
    match applications.is_empty() {
        true if preview.is_empty() => "Leeboard: nothing is deployed from this branch itself".to_owned(),
        true => "Leeboard: not compared".to_owned(),
        false => format!("Leeboard: {}", parts.join(", ")),
    }
}

/// What holds for whole environments.
fn notes(preview: &Preview) -> Vec<String> {
    let mut notes = Vec::new();
    for environment in &preview.environments {
        match &environment.reach {
            Reach::Compared => {}
            Reach::Unreachable(_) => notes.push(format!(
                "cluster {} not reachable: comparison with the base branch only",
                word(&environment.cluster)
            )),
            Reach::NotAsked => {
                let note = "from a fork: comparison with the base branch only".to_owned();
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
        }
    }
    const MOST: usize = 10;
    if notes.len() > MOST {
        let rest = notes.split_off(MOST).len();
        notes.push(format!("and {rest} more"));
    }
    notes.extend(preview.deployed.iter().take(MOST).map(ephemeral::Deployed::told));
    if !preview.carried.is_empty() {
        let step = |names: &Vec<SmolStr>| names.iter().map(|name| word(name)).collect::<Vec<_>>().join(", ");
        let steps: Vec<String> = preview.carried.iter().map(step).collect();
        notes.push(format!("Then carried to: {}", steps.join(" → ")));
    }
    notes
}

/// `head 3f9a1c2 on base 77c0de1 · plan 9a1b2c3d4e5f · 0.41 s · full diff · /leeboard help`
fn footer(preview: &Preview, options: &Options) -> String {
    let Pull { head, base, .. } = &preview.pull;
    let mut parts = vec![format!("head {} on base {}", escape::code(short(head)), escape::code(short(base)))];
    if let Some(plan) = Data::of(preview).plan {
        parts.push(format!("plan {}", escape::code(plan.get(..12).unwrap_or(&plan))));
    }
    if let Some(took) = options.took {
        parts.push(marker::duration(took));
    }
    if let Some(link) = &options.link {
        parts.push(format!("[full diff]({link})"));
    }
    parts.push("`/leeboard help`".into());
    options.flavour.small(&parts.join(" · "))
}

/// The name of an environment, a cluster or an application.
fn word(name: &str) -> String {
    if escape::is_plain(name) { name.to_owned() } else { escape::code(&escape::unmarked(name)) }
}

/// The same in a table.
fn cell(name: &str) -> String {
    if escape::is_plain(name) { name.to_owned() } else { escape::code_in_cell(&escape::unmarked(name)) }
}

/// Where a section is about: `prod · web`.
fn label(section: &Section<'_>) -> String {
    format!("{} · {}", word(section.environment), word(section.application))
}
