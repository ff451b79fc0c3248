//! What is told of one changed object.

use xxhash_rust::xxh3::Xxh3Default;

use super::super::mask::{Masks, Shown};
use super::super::risk;
use super::super::shape::{self, Lines, Sign, Texts};
use super::super::{ApplicationPreview, Change, ChangeKind, escape};

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Detail {
    /// Lines around each change.
    pub(super) context: usize,
    /// Equal changes of several objects once.
    pub(super) is_folded: bool,
    /// Texts of many lines.
    pub(super) texts: Texts,
}

impl Detail {
    /// From all to little; each only where the one before does not fit.
    pub(in super::super) const STEPS: [Detail; 5] = [
        Detail { context: 3, is_folded: false, texts: Texts::Whole },
        Detail { context: 1, is_folded: false, texts: Texts::Whole },
        Detail { context: 0, is_folded: false, texts: Texts::Whole },
        Detail { context: 0, is_folded: true, texts: Texts::Whole },
        Detail { context: 0, is_folded: true, texts: Texts::Sizes },
    ];
}

/// A changed object, ready to be shown.
pub(in super::super) struct Item<'a> {
    pub(in super::super) change: &'a Change,
    /// The application that it is in.
    to: &'a str,
    /// Namespace and name, without what may not be seen.
    pub(in super::super) place: String,
    shown: Shown,
    lines: Lines,
    /// Fields that the cluster has otherwise than the base, and that stay as they are in git.
    pub(in super::super) drift: Vec<String>,
    /// Equal for changes that read the same.
    pub(super) essence: u64,
    /// Where the same change is shown already.
    pub(super) same_as: Option<String>,
}

/// The objects of an application, in the order of the plan.
pub(in super::super) fn items<'a>(application: &'a ApplicationPreview, masks: &Masks) -> Vec<Item<'a>> {
    application.outcome.changes().iter().map(|change| Item::of(change, &application.name, masks)).collect()
}

impl<'a> Item<'a> {
    fn of(change: &'a Change, to: &'a str, masks: &Masks) -> Self {
        let mut shown = masks.change(change);
        if let Some(stem) = change.generated_name() {
            // The hash in it changes with the contents, which are shown.
            for body in [&mut shown.before, &mut shown.after].into_iter().flatten() {
                if let Some(name) = body.pointer_mut("/metadata/name") {
                    *name = format!("{stem}*").into();
                }
            }
        }
        let lines = shape::lines(shown.before.as_ref(), shown.after.as_ref(), Texts::Whole);
        let name = match change.generated_name() {
            Some(stem) => format!("{stem}*"),
            None => masks.name(&change.key),
        };
        let place = match &change.key.namespace {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name,
        };
        let mut hasher = Xxh3Default::new();
        hasher.update(change.key.kind.as_bytes());
        hasher.update(verb(&change.kind).as_bytes());
        for (sign, text, path) in lines.essence() {
            hasher.update(if sign == Sign::Added { b"+" } else { b"-" });
            hasher.update(text.as_bytes());
            hasher.update(path.as_bytes());
        }
        let drift = match (change.live(), shown.before.as_ref(), &change.kind) {
            (Some(live), Some(before), ChangeKind::Change | ChangeKind::Replace) => {
                shape::drifted(before, &masks.live(change, live), shown.after.as_ref())
            }
            _ => vec![],
        };
        drift.iter().for_each(|path| hasher.update(path.as_bytes()));
        Item { change, to, place, shown, lines, drift, essence: hasher.digest(), same_as: None }
    }

    /// True when there is something to show.
    pub(super) fn has_lines(&self) -> bool {
        self.lines.counts() != (0, 0)
    }

    /// The kind as a word, or as code.
    pub(super) fn kind(&self) -> String {
        let kind = self.change.key.kind.as_str();
        let is_word = !kind.is_empty() && kind.len() <= 63 && kind.bytes().all(|byte| byte.is_ascii_alphabetic());
        if is_word { kind.to_owned() } else { escape::code(kind) }
    }

    /// What happens to it, in a word.
    pub(in super::super) fn verb(&self) -> &'static str {
        verb(&self.change.kind)
    }

    /// `Deployment shop/web (apps/web/base/deployment.yaml:14)`
    fn head(&self) -> String {
        let mut head = format!("{} {}", self.kind(), escape::code(&self.place));
        match &self.change.kind {
            ChangeKind::Change => {}
            ChangeKind::Create | ChangeKind::Replace | ChangeKind::Delete => {
                head.push_str(&format!(" is {}", self.verb()));
            }
            ChangeKind::AlreadySo => head.push_str(": already so in the cluster"),
            ChangeKind::Stays(why) => {
                head.push_str(&format!(" is no longer in git, and stays: {}", escape::code(&why.to_string())));
            }
            ChangeKind::Transferred { from } => {
                head.push_str(&format!(
                    ": transferred from app {} to app {}",
                    escape::code(from),
                    escape::code(self.to)
                ));
            }
        }
        if let Some(origin) = self.change.source() {
            let place = match origin.line {
                0 => origin.file.to_string(),
                line => format!("{}:{line}", origin.file),
            };
            head.push_str(&format!(" ({})", escape::code(&place)));
        }
        head
    }

    /// Its head and its change.
    pub(super) fn text(&self, masks: &Masks, detail: Detail) -> String {
        let mut text = format!("\n{}\n", self.head());
        if let Some(answer) = &self.change.refused {
            let answer = masks.answer(&self.change.key, answer);
            text.push_str(&format!("\nwould be refused by the API server: {}\n", escape::code(&answer)));
        }
        if !self.drift.is_empty() {
            const MOST: usize = 5;
            let shown: Vec<String> = self.drift.iter().take(MOST).map(|path| escape::code(path)).collect();
            let more = match self.drift.len() - shown.len() {
                0 => String::new(),
                rest => format!(" and {rest} more"),
            };
            text.push_str(&format!(
                "\nPut back besides, as the cluster has it otherwise: {}{more}\n",
                shown.join(", ")
            ));
        }
        if !self.has_lines() {
            return text;
        }
        if let Some(there) = &self.same_as {
            text.push_str(&format!("\nThe same change as in {there}.\n"));
            return text;
        }
        text.push('\n');
        text.push_str(&escape::fence("diff", &self.hunks(detail)));
        text
    }

    /// Its change as a unified diff.
    pub(in super::super) fn hunks(&self, detail: Detail) -> String {
        match detail.texts {
            Texts::Whole => self.lines.hunks(detail.context),
            Texts::Sizes => {
                let (before, after) = (self.shown.before.as_ref(), self.shown.after.as_ref());
                shape::lines(before, after, Texts::Sizes).hunks(detail.context)
            }
        }
    }

    /// One line: what happens to it, and its images.
    pub(super) fn line(&self, masks: &Masks) -> String {
        const MOST: usize = 3;
        let mut line = format!("- {} {}: {}", self.kind(), escape::code(&self.place), self.verb());
        for (old, new) in risk::image_changes(self.change).into_iter().take(MOST) {
            let (old, new) = (escape::code(&masks.text(&old)), escape::code(&masks.text(&new)));
            line.push_str(&format!(", {old} → {new}"));
        }
        line.push('\n');
        line
    }
}

fn verb(kind: &ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Create => "created",
        ChangeKind::Change => "changed",
        ChangeKind::Replace => "replaced",
        ChangeKind::Delete => "deleted",
        ChangeKind::AlreadySo => "already so",
        ChangeKind::Stays(_) => "stays",
        ChangeKind::Transferred { .. } => "transferred",
    }
}
