//! A plan as a person reads it, and as a program does.

use jiff::Timestamp;
use owo_colors::{OwoColorize as _, Style};
use serde_json::{Value, json};

use super::super::Exit;
use super::super::subject::View;
use super::super::subject::change::{Foretold, Hand};
use super::super::terminal::{Symbol, Terminal, age, bold, dim, painted};
use crate::api::argo::SyncStatus;
use crate::object::ObjectKey;
use crate::plan::diff::Change;
use crate::plan::prune::Stays;
use crate::plan::{Action, Phase, Plan, Step, Wave, Why};

/// One step of a plan, with what a dry run says of it.
pub(in super::super) struct Shown {
    pub(in super::super) phase: Phase,
    pub(in super::super) wave: Wave,
    pub(in super::super) step: Step,
    pub(in super::super) foretold: Option<Foretold>,
    /// What is deleted.
    pub(in super::super) gone: Option<Change>,
}

impl Shown {
    /// The steps of a plan that do something; nobody was asked about them yet.
    pub(in super::super) fn all(plan: &Plan) -> Vec<Self> {
        let steps = plan.steps().filter(|(_, _, step)| step.action != Action::Keep);
        steps.map(|(phase, wave, step)| Shown { phase, wave, step: step.clone(), foretold: None, gone: None }).collect()
    }

    fn change(&self) -> Option<&Change> {
        self.gone.as_ref().or(self.foretold.as_ref().map(|foretold| &foretold.change))
    }

    fn sign(&self) -> &'static str {
        match self.step.action {
            Action::Create(_) | Action::Hook(_) => "+",
            Action::Prune(_) | Action::ClearHook(_) => "-",
            Action::Apply(_) | Action::Replace(_) | Action::Recreate(_) | Action::Keep => "~",
        }
    }

    fn refused(&self) -> Option<&str> {
        self.foretold.as_ref()?.refused.as_deref()
    }

    /// The sentence beside it.
    fn why(&self, view: &View, now: Timestamp) -> String {
        let mut words = match (&self.step.action, &self.step.why) {
            _ if self.refused().is_some() => "the API server would refuse it".to_owned(),
            (Action::Hook(_), Why::HookOf(phase)) => hook_words(*phase),
            (Action::Create(_) | Action::Apply(_), Why::OwnershipLost | Why::NotLive)
                if view.is_foreign(&self.step.key) =>
            {
                "is there already and becomes ours".to_owned()
            }
            (_, Why::Differs | Why::Drifted | Why::ManifestChanged) => {
                match self.foretold.as_ref().map(|foretold| foretold.by.as_ref()) {
                    // Nobody was asked what exactly.
                    None => "differs".to_owned(),
                    Some(Some(hand)) => format!("changed in the cluster by {}, will be put back", named(hand, now)),
                    Some(None) if view.subject.revision.is_empty() => "changed in the directory".to_owned(),
                    Some(None) => "changed in git".to_owned(),
                }
            }
            (_, Why::NotDesired) if view.subject.revision.is_empty() => "no longer in the directory".to_owned(),
            (_, why) => why.to_string(),
        };
        match &self.step.action {
            Action::Recreate(_) => words.push_str("; deleted and made anew"),
            Action::Replace(_) => words.push_str("; replaced as a whole"),
            _ => {}
        }
        if let Some(rolls) = self.change().and_then(|change| rolls(&self.step.key, change)) {
            words.push_str(&format!("; {rolls}"));
        }
        words
    }
}

fn hook_words(phase: Phase) -> String {
    match phase {
        Phase::PreSync => "runs before the roll-out".into(),
        Phase::Sync => "runs with the roll-out".into(),
        Phase::PostSync => "runs when all is healthy".into(),
        Phase::SyncFail => "runs if the sync fails".into(),
    }
}

fn named(hand: &Hand, now: Timestamp) -> String {
    match hand.at {
        Some(at) => format!("{} {} ago", hand.manager, age(now.duration_since(at).as_secs().max(0))),
        None => hand.manager.clone(),
    }
}

/// What a changed pod template leads to.
fn rolls(key: &ObjectKey, change: &Change) -> Option<String> {
    let (before, after) = (change.before.as_ref()?, change.after.as_ref()?);
    let template = |body: &Value| body.pointer("/spec/template").cloned();
    if key.group != "apps" || template(before) == template(after) {
        return None;
    }
    match (key.kind.as_str(), after.pointer("/spec/replicas").and_then(Value::as_i64)) {
        ("Deployment" | "StatefulSet", Some(0)) => None,
        ("Deployment" | "StatefulSet", Some(1)) => Some("rolls 1 pod".into()),
        ("Deployment" | "StatefulSet", Some(count)) => Some(format!("rolls {count} pods")),
        ("Deployment" | "StatefulSet" | "DaemonSet", _) => Some("rolls its pods".into()),
        _ => None,
    }
}

/// `Kind/name` inside the subject's namespace, `namespace/Kind/name` elsewhere.
pub(in super::super) fn object_name(key: &ObjectKey, home: Option<&str>) -> String {
    match key.namespace.as_deref().filter(|namespace| Some(*namespace) != home) {
        Some(namespace) => format!("{namespace}/{}/{}", key.kind, key.name),
        None => format!("{}/{}", key.kind, key.name),
    }
}

/// All that is said of a subject.
pub(in super::super) struct Report<'a> {
    pub(in super::super) view: &'a View,
    pub(in super::super) plan: &'a Plan,
    pub(in super::super) shown: &'a [Shown],
    pub(in super::super) now: Timestamp,
}

impl Report<'_> {
    pub(in super::super) fn exit(&self) -> Exit {
        let is_refused = self.shown.iter().any(|shown| shown.refused().is_some());
        if is_refused || !self.plan.refusals.is_empty() || !self.plan.unproven.is_empty() {
            Exit::Trouble
        } else if self.plan.is_noop() && self.plan.sync_status() == SyncStatus::Synced {
            Exit::Ok
        } else {
            Exit::Found
        }
    }

    /// For a person; `next` is the command that does it.
    pub(in super::super) fn draw(&self, context: usize, next: &str, terminal: &Terminal) -> String {
        let mut text = self.headline();
        text.push_str(&self.steps(terminal));
        text.push_str(&self.refusals(terminal));
        for shown in self.shown.iter().filter(|shown| shown.change().is_some_and(|change| !change.is_empty())) {
            text.push('\n');
            text.push_str(&self.difference(shown, context));
        }
        if self.exit() == Exit::Found {
            text.push_str(&format!("\n{} {} · {next}\n", dim("plan"), self.plan.hash.short()));
        }
        text
    }

    /// Name, revision, counts: the answer.
    pub(in super::super) fn headline(&self) -> String {
        let subject = &self.view.subject;
        let counts = self.plan.counts();
        let numbers = match (counts.apply, counts.prune, counts.kept) {
            (0, 0, 0) => "no objects".to_owned(),
            (0, 0, kept) => format!("{kept} in sync"),
            (apply, 0, kept) => format!("{apply} to apply, {kept} in sync"),
            (apply, prune, kept) => format!("{apply} to apply, {prune} to prune, {kept} in sync"),
        };
        format!("{}  {}   {numbers}\n", bold(&subject.name), subject.from)
    }

    /// The wave plan.
    pub(in super::super) fn steps(&self, terminal: &Terminal) -> String {
        let home = self.view.subject.owner.namespace();
        let mut rows: Vec<[String; 4]> = Vec::new();
        let (prunes, others): (Vec<&Shown>, Vec<&Shown>) =
            self.shown.iter().partition(|shown| matches!(shown.step.action, Action::Prune(_)));
        let label = |shown: &Shown| match (&shown.step.action, shown.phase, shown.wave.0) {
            (Action::Prune(_), _, _) => "prune".to_owned(),
            (_, Phase::Sync, wave) => format!("wave {wave:>2}"),
            (_, phase, 0) => phase.to_string(),
            (_, phase, wave) => format!("{phase} {wave}"),
        };
        for shown in others.into_iter().chain(prunes) {
            if matches!(shown.step.action, Action::ClearHook(_)) {
                continue;
            }
            let sign = shown.sign();
            let sign = sign.style(sign_style(sign)).to_string();
            let name = object_name(&shown.step.key, home);
            rows.push([label(shown), name, sign, shown.why(self.view, self.now)]);
        }
        for withheld in &self.plan.withheld {
            let sign = terminal.symbol(Symbol::Note);
            rows.push(["stays".into(), object_name(&withheld.key, home), sign, stays(&withheld.reason)]);
        }
        draw_rows(rows)
    }

    /// Why nothing would be written, and what would be refused.
    pub(in super::super) fn refusals(&self, terminal: &Terminal) -> String {
        let bad = terminal.symbol(Symbol::Bad);
        let mut text = String::new();
        for refusal in &self.plan.refusals {
            text.push_str(&format!("\n{bad} {refusal}\n"));
            if let Some(hint) = refusal_hint(refusal) {
                text.push_str(&format!("  {}\n", dim(hint)));
            }
        }
        for refused in self.shown.iter().filter_map(Shown::refused) {
            text.push_str(&format!("\n{bad} {refused}\n"));
        }
        for (shown, foretold) in self.shown.iter().filter_map(|shown| Some((shown, shown.foretold.as_ref()?))) {
            for field in &foretold.dropped {
                let name = object_name(&shown.step.key, self.view.subject.owner.namespace());
                let note = terminal.symbol(Symbol::Note);
                text.push_str(&format!("\n{note} {name}: the field {field} is in no schema and would be left out\n"));
            }
        }
        text
    }

    fn difference(&self, shown: &Shown, context: usize) -> String {
        let Some(change) = shown.change() else { return String::new() };
        let key = &change.key;
        let place = key.namespace.as_deref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let origin = self.origin(&shown.step.key).map(|origin| format!("   {}", dim(origin))).unwrap_or_default();
        let mut text = format!("{}{origin}\n", bold(format!("{} {place}{}", key.kind, key.name)));
        text.push_str(&painted(&change.unified(context)));
        text
    }

    fn origin(&self, key: &ObjectKey) -> Option<String> {
        let origin = self.view.wanted(key)?.object.origin.as_ref()?;
        let file = &origin.file;
        Some(if origin.line > 0 { format!("{file}:{}", origin.line) } else { file.to_string() })
    }

    /// For programs.
    pub(in super::super) fn to_value(&self, context: usize) -> Value {
        let counts = self.plan.counts();
        let steps = self.shown.iter().map(|shown| {
            json!({
                "phase": shown.phase.as_str(),
                "wave": shown.wave.0,
                "action": action_word(&shown.step.action),
                "object": identity(&shown.step.key),
                "why": shown.why(self.view, self.now),
                "origin": self.origin(&shown.step.key),
                "refused": shown.refused(),
                "diff": shown.change().map(|change| change.unified(context)),
            })
        });
        let withheld = self.plan.withheld.iter();
        json!({
            "name": self.view.subject.name,
            "from": self.view.subject.from,
            "commit": self.view.subject.revision,
            "plan": self.plan.hash.to_string(),
            "differs": self.exit() != Exit::Ok,
            "counts": {"apply": counts.apply, "prune": counts.prune, "inSync": counts.kept},
            "steps": steps.collect::<Vec<_>>(),
            "stays": withheld
                .map(|withheld| json!({"object": identity(&withheld.key), "why": stays(&withheld.reason)}))
                .collect::<Vec<_>>(),
            "refusals": self.plan.refusals.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    }
}

fn identity(key: &ObjectKey) -> Value {
    json!({"group": key.group, "kind": key.kind, "namespace": key.namespace, "name": key.name})
}

fn action_word(action: &Action) -> &'static str {
    match action {
        Action::Create(_) => "create",
        Action::Apply(_) => "apply",
        Action::Replace(_) => "replace",
        Action::Recreate(_) => "recreate",
        Action::Hook(_) => "hook",
        Action::ClearHook(_) => "clearHook",
        Action::Prune(_) => "prune",
        Action::Keep => "keep",
    }
}

fn stays(reason: &Stays) -> String {
    match reason {
        Stays::NotRequested => "no longer wanted; stays without --prune".into(),
        Stays::Guarded(alarm) => {
            format!("{} of {} objects would be pruned: confirm it with --yes", alarm.prunes, alarm.of)
        }
        reason => reason.to_string(),
    }
}

fn refusal_hint(refusal: &crate::plan::Refusal) -> Option<&'static str> {
    use crate::plan::Refusal;
    match refusal {
        Refusal::Shared { .. } => Some("`--take-over` makes it this directory's."),
        Refusal::WouldEmpty => Some("Nothing would be left: is it the right directory?"),
        Refusal::NoKind { .. } => Some("Install the kind's definition first."),
        _ => None,
    }
}

fn sign_style(sign: &str) -> Style {
    match sign {
        "+" => Style::new().green(),
        "-" => Style::new().red(),
        _ => Style::new().yellow(),
    }
}

/// Aligned columns, a label only where it changes.
fn draw_rows(rows: Vec<[String; 4]>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let width = |at: usize| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let (labels, names) = (width(0), width(1).min(48));
    let mut text = String::from("\n");
    let mut last = String::new();
    for [label, name, sign, why] in rows {
        let shown = if label == last { "" } else { label.as_str() };
        text.push_str(&format!("{shown:<labels$}  {name:<names$}  {sign} {why}\n"));
        last = label;
    }
    text
}
