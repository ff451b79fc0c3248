//! What is shown when not everything fits: less of each change first, then fewer of them. Cuts fall between objects.

use std::collections::BTreeMap;

use crate::object::ObjectKey;

use super::super::mask::Masks;
use super::super::phrase::{counted, grouped};
use super::super::{EnvironmentPreview, Outcome, Preview, escape};
use super::flavour::Flavour;
use super::object::Detail;
use super::section::{self, Section};
use super::word;

/// The text below the overview, and how many changed objects it shows.
pub(super) struct Filled {
    pub(super) text: String,
    pub(super) shown: usize,
}

/// As much as there is room for.
pub(super) fn fill(
    preview: &Preview,
    sections: &[Section<'_>],
    masks: &Masks,
    flavour: Flavour,
    room: usize,
) -> Filled {
    let all: usize = sections.iter().map(|section| section.items.len() * section.weight()).sum();
    for detail in Detail::STEPS {
        let names = if detail.context == 3 { Names::Listed } else { Names::Counted };
        let mut text: String = sections.iter().map(|section| section.text(flavour, masks, detail)).collect();
        text.push_str(&pending(preview, masks, flavour, names));
        if masks.bound(&text) <= room {
            return Filled { text, shown: all };
        }
    }
    let pending = pending(preview, masks, flavour, Names::Counted);
    let pending = if pending.len() <= room / 4 { pending } else { String::new() };
    let mut filled = chosen(preview, sections, masks, flavour, room - pending.len());
    filled.text.push_str(&pending);
    filled
}

/// A section in one of its forms.
enum Form {
    /// A line of counts.
    Line(String),
    /// Its objects, as far as they fit.
    Opened { text: String, shown: usize },
}

impl Form {
    fn text(&self) -> &str {
        match self {
            Form::Line(text) | Form::Opened { text, .. } => text,
        }
    }
}

/// A line for each section at least; names, then changes, for those with the worst risks first.
fn chosen(preview: &Preview, sections: &[Section<'_>], masks: &Masks, flavour: Flavour, room: usize) -> Filled {
    let mut forms: Vec<Form> = sections.iter().map(|section| Form::Line(section.line())).collect();
    // The blank line that a list needs before it.
    const LIST: usize = 2;
    let cost = |text: &str| masks.bound(text) + LIST;
    let least: usize = forms.iter().map(|form| cost(form.text())).sum();
    if least > room {
        return Filled { text: counts(preview, room), shown: 0 };
    }
    let mut order: Vec<usize> = (0..sections.len()).collect();
    order.sort_by_key(|at| (sections[*at].worst.is_none(), sections[*at].worst, *at));
    let mut left = room - least;
    // Half is for names, so that the changes of one application do not hide what all others are about.
    let mut left_for_names = left / 2;
    for (done, at) in order.iter().enumerate() {
        let has = cost(forms[*at].text());
        let share = left_for_names / (order.len() - done);
        if let Some(form) = named(&sections[*at], masks, flavour, has + share) {
            let more = cost(form.text()).saturating_sub(has);
            left_for_names = left_for_names.saturating_sub(more);
            left = left.saturating_sub(more);
            forms[*at] = form;
        }
    }
    for at in &order {
        let has = cost(forms[*at].text());
        if let Some(form) = opened(&sections[*at], masks, flavour, (has + left).saturating_sub(LIST)) {
            left = (has + left).saturating_sub(cost(form.text()));
            forms[*at] = form;
        }
    }
    let mut filled = Filled { text: String::new(), shown: 0 };
    let mut was_line = false;
    for (form, section) in forms.iter().zip(sections) {
        let is_line = matches!(form, Form::Line(_));
        if is_line && !was_line {
            filled.text.push('\n');
        }
        was_line = is_line;
        filled.text.push_str(form.text());
        if let Form::Opened { shown, .. } = form {
            filled.shown += shown * section.weight();
        }
    }
    filled
}

/// The names of its objects, as far as they fit; `None` when not one does.
fn named(section: &Section<'_>, masks: &Masks, flavour: Flavour, room: usize) -> Option<Form> {
    if section.items.is_empty() {
        return None;
    }
    let mut text = section.head(flavour, masks);
    text.push('\n');
    const MORE: usize = 60;
    let frame = masks.bound(&text) + flavour.close().len() + MORE;
    let mut left = room.checked_sub(frame)?;
    let mut listed = 0;
    for item in &section.items {
        let line = item.line(masks);
        let Some(rest) = left.checked_sub(masks.bound(&line)) else { break };
        left = rest;
        text.push_str(&line);
        listed += 1;
    }
    if listed == 0 {
        return None;
    }
    let more = section.items.len() - listed;
    if more > 0 {
        text.push_str(&format!("- and {} more\n", grouped(more as u64)));
    }
    text.push_str(flavour.close());
    Some(Form::Opened { text, shown: 0 })
}

/// Its changes, as far as they fit, then names; `None` when not one change does.
fn opened(section: &Section<'_>, masks: &Masks, flavour: Flavour, room: usize) -> Option<Form> {
    let detail = Detail::STEPS[Detail::STEPS.len() - 1];
    let mut text = section.head(flavour, masks);
    const MORE: usize = 80;
    let mut left = room.checked_sub(masks.bound(&text) + flavour.close().len() + MORE)?;
    let (mut shown, mut others) = (0, Vec::new());
    for group in section.folded() {
        let told = section.group_text(&group, masks, detail);
        match left.checked_sub(masks.bound(&told)) {
            Some(rest) => {
                left = rest;
                text.push_str(&told);
                shown += group.len();
            }
            None => others.extend(group),
        }
    }
    if shown == 0 && !section.items.is_empty() {
        return None;
    }
    let mut named = 0;
    for item in others.iter().filter_map(|at| section.items.get(*at)) {
        let line = item.line(masks);
        let Some(rest) = left.checked_sub(masks.bound(&line) + 1) else { break };
        left = rest;
        if named == 0 {
            text.push('\n');
        }
        text.push_str(&line);
        named += 1;
    }
    if others.len() > named {
        let separator = if named == 0 { "\n" } else { "" };
        text.push_str(&format!("{separator}- and {} more\n", grouped((others.len() - named) as u64)));
    }
    text.push_str(flavour.close());
    Some(Form::Opened { text, shown })
}

/// One line for each environment, as far as they fit.
fn counts(preview: &Preview, room: usize) -> String {
    let mut sums: Vec<(&str, usize, usize)> = Vec::new();
    for environment in section::in_order(preview) {
        let changes = environment.applications.iter().map(|one| one.outcome.changes().len()).sum::<usize>();
        match sums.iter_mut().find(|(name, ..)| *name == environment.name) {
            Some((_, applications, count)) => {
                *applications += environment.applications.len();
                *count += changes;
            }
            None => sums.push((&environment.name, environment.applications.len(), changes)),
        }
    }
    let mut text = String::new();
    for (at, (name, applications, changes)) in sums.iter().enumerate() {
        let (applications, changes) =
            (counted(*applications as u64, "application"), counted(*changes as u64, "change"));
        let line = format!("- {}: {applications}, {changes}\n", word(name));
        if text.len() + line.len() + 40 > room {
            if room > text.len() + 30 {
                text.push_str(&format!("- and {} more\n", sums.len() - at));
            }
            break;
        }
        if text.is_empty() {
            text.push('\n');
        }
        text.push_str(&line);
    }
    text
}

/// `shop/Deployment/web`
fn named_key(masks: &Masks, key: &ObjectKey) -> String {
    ObjectKey { name: masks.name(key).into(), ..key.clone() }.to_string()
}

/// Whether the steps that wait already are named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Listed,
    Counted,
}

/// `3 more changes are pending in prod already, not from this pull request.`
fn pending(preview: &Preview, masks: &Masks, flavour: Flavour, names: Names) -> String {
    const MOST: usize = 20;
    let mut groups: BTreeMap<usize, (&EnvironmentPreview, Vec<String>)> = BTreeMap::new();
    let order = section::in_order(preview);
    for environment in &order {
        let first = order.iter().position(|one| one.name == environment.name).unwrap_or_default();
        let group = groups.entry(first).or_insert_with(|| (environment, Vec::new()));
        for application in &environment.applications {
            if let Outcome::Planned(planned) = &application.outcome {
                group.1.extend(planned.pending.iter().map(|one| {
                    format!("- {} {}\n", escape::code(&named_key(masks, &one.key)), escape::prose(&one.why))
                }));
            }
        }
    }
    let mut text = String::new();
    for (environment, lines) in groups.into_values().filter(|(_, lines)| !lines.is_empty()) {
        let changes = match lines.len() {
            1 => "1 more change is".to_owned(),
            count => format!("{} more changes are", grouped(count as u64)),
        };
        let sentence = format!("{changes} pending in {{}} already, not from this pull request");
        if names == Names::Counted || !flavour.has_html() {
            text.push_str(&format!("\n{}.\n", sentence.replace("{}", &word(&environment.name))));
            continue;
        }
        let name = flavour.in_heading(&environment.name);
        text.push_str(&flavour.open(&sentence.replace("{}", &name)));
        text.push('\n');
        lines.iter().take(MOST).for_each(|line| text.push_str(line));
        if lines.len() > MOST {
            text.push_str(&format!("- and {} more\n", lines.len() - MOST));
        }
        text.push_str(flavour.close());
    }
    text
}
