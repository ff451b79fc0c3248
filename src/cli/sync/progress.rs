//! How far a sync is: drawn in place for who watches, a line per change of state in a pipe.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smol_str::SmolStr;

use super::super::diff::show::object_name;
use super::super::terminal::{Symbol, Terminal, counted, dim};
use crate::health::Health;
use crate::live::{LiveView, Record};
use crate::object::ObjectKey;
use crate::plan::{Action, Phase, Plan, Step, Wave};
use crate::sync::machine::{End, Failure, Outcome, Terminator, Waiting};

/// Where one object stands.
#[derive(Clone, Debug)]
enum State {
    /// Its turn has not come.
    Ahead,
    /// The API server is being asked.
    Asked,
    /// Written; healthy as far as anybody waits for that.
    Done,
    /// Waited for: what it says of itself.
    Waits(String),
    /// Gone.
    Pruned,
    /// Refused, or failed.
    Failed,
}

struct Item {
    key: ObjectKey,
    is_hook: bool,
    state: State,
    /// When it came to be in this state.
    since: Instant,
}

struct Line {
    label: String,
    items: Vec<Item>,
}

/// The waves with their objects.
pub(super) struct Progress {
    lines: Vec<Line>,
    home: Option<SmolStr>,
    started: Instant,
    /// The last sentence about what is waited for.
    waits_for: String,
    notes: Vec<String>,
}

impl Progress {
    pub(super) fn new(plan: &Plan, home: Option<&str>) -> Self {
        let mut lines: Vec<Line> = Vec::new();
        let mut last: Option<(Phase, Wave)> = None;
        for (phase, wave, step) in plan.steps() {
            if matches!(step.action, Action::Keep | Action::ClearHook(_)) || phase == Phase::SyncFail {
                continue;
            }
            if last != Some((phase, wave)) {
                let label = match (phase, wave.0) {
                    (Phase::Sync, wave) => format!("wave {wave}"),
                    (phase, 0) => phase.to_string(),
                    (phase, wave) => format!("{phase} {wave}"),
                };
                lines.push(Line { label, items: Vec::new() });
                last = Some((phase, wave));
            }
            if let Some(line) = lines.last_mut() {
                let is_hook = step.action.is_hook();
                line.items.push(Item { key: step.key.clone(), is_hook, state: State::Ahead, since: Instant::now() });
            }
        }
        let home = home.map(SmolStr::new);
        Progress { lines, home, started: Instant::now(), waits_for: String::new(), notes: Vec::new() }
    }

    fn name(&self, key: &ObjectKey) -> String {
        object_name(key, self.home.as_deref())
    }

    fn set(&mut self, key: &ObjectKey, state: &State) {
        let items = self.lines.iter_mut().flat_map(|line| &mut line.items);
        for item in items.filter(|item| item.key == *key) {
            item.state = state.clone();
            item.since = Instant::now();
        }
    }

    fn state(&self, key: &ObjectKey) -> Option<&State> {
        self.lines.iter().flat_map(|line| &line.items).find(|item| item.key == *key).map(|item| &item.state)
    }

    pub(super) fn begins(&mut self, step: &Step) {
        self.set(&step.key, &State::Asked);
    }

    pub(super) fn finished(&mut self, step: &Step, result: &Result<Outcome, Failure>, terminal: &mut Terminal) {
        if matches!(step.action, Action::Keep | Action::ClearHook(_)) {
            return;
        }
        let name = self.name(&step.key);
        let (state, words) = match (result, &step.action) {
            (Ok(Outcome::Applied { .. }), Action::Hook(_)) => (State::Waits("runs".into()), format!("started {name}")),
            (Ok(Outcome::Applied { .. }), _) => (State::Done, format!("applied {name}")),
            (Ok(Outcome::Deleting { .. }), _) => (State::Waits("is being deleted".into()), format!("deleting {name}")),
            (Ok(Outcome::Gone), _) => (State::Pruned, format!("pruned {name}")),
            (Err(failure), _) => (State::Failed, format!("failed {}", failure.message)),
        };
        self.set(&step.key, &state);
        self.tell(&words, terminal);
    }

    /// What is waited for, as the live view has it.
    pub(super) fn waits(&mut self, waiting: &Waiting, live: &LiveView, terminal: &mut Terminal) {
        for key in &waiting.objects {
            let verdict = live.records.get(key).and_then(|record| record.health.as_ref());
            let words = match verdict {
                Some(verdict) if !verdict.message.is_empty() => verdict.message.to_string(),
                Some(verdict) => verdict.status.to_string().to_lowercase(),
                None => "waited for".to_owned(),
            };
            if !matches!(self.state(key), Some(State::Waits(known)) if *known == words) {
                self.set(key, &State::Waits(words));
            }
        }
        // What is no longer waited for has come through.
        let through: Vec<ObjectKey> = self
            .lines
            .iter()
            .flat_map(|line| &line.items)
            .filter(|item| matches!(item.state, State::Waits(_)) && !waiting.objects.contains(&item.key))
            .map(|item| item.key.clone())
            .collect();
        through.iter().for_each(|key| self.set(key, &State::Done));
        let names: Vec<String> = waiting.objects.iter().take(3).map(|key| self.name(key)).collect();
        let more = waiting.objects.len().saturating_sub(names.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let reason = waiting.objects.first().and_then(|key| match self.state(key) {
            Some(State::Waits(words)) => Some(format!(": {words}")),
            _ => None,
        });
        let sentence = format!("waiting for {}{more}{}", names.join(", "), reason.unwrap_or_default());
        if sentence != self.waits_for {
            self.tell(&sentence, terminal);
            self.waits_for = sentence;
        }
    }

    /// All is applied; who is not healthy yet is waited for.
    pub(super) fn settles(&mut self, records: &[Arc<Record>], terminal: &mut Terminal) {
        let mut first: Option<String> = None;
        for record in records {
            let words = match &record.health {
                Some(verdict) if !matches!(verdict.status, Health::Healthy | Health::Suspended) => {
                    if verdict.message.is_empty() {
                        verdict.status.to_string().to_lowercase()
                    } else {
                        verdict.message.to_string()
                    }
                }
                _ => {
                    if matches!(self.state(&record.key), Some(State::Waits(_))) {
                        self.set(&record.key, &State::Done);
                    }
                    continue;
                }
            };
            first.get_or_insert_with(|| {
                format!("waiting for {}: {words}", object_name(&record.key, self.home.as_deref()))
            });
            if !matches!(self.state(&record.key), Some(State::Waits(known)) if *known == words) {
                self.set(&record.key, &State::Waits(words));
            }
        }
        if let Some(sentence) = first.filter(|sentence| *sentence != self.waits_for) {
            self.tell(&sentence, terminal);
            self.waits_for = sentence;
        }
    }

    pub(super) fn unhealthy(&self, record: &Record) -> String {
        let words = match &record.health {
            Some(verdict) if !verdict.message.is_empty() => verdict.message.to_string(),
            Some(verdict) => verdict.status.to_string().to_lowercase(),
            None => String::new(),
        };
        format!("{}: {words}", self.name(&record.key))
    }

    /// Something that a person should know at the end.
    pub(super) fn note(&mut self, words: String) {
        if !self.notes.contains(&words) {
            self.notes.push(words);
        }
    }

    /// One line in a pipe; who watches sees it drawn.
    fn tell(&self, words: &str, terminal: &mut Terminal) {
        if !terminal.is_watched() {
            let clock = jiff::Zoned::now().strftime("%H:%M:%S");
            terminal.say(&format!("{clock}  {words}\n"));
        }
    }

    /// Draws it, where somebody watches.
    pub(super) fn paint(&self, terminal: &mut Terminal) {
        let lines = self.draw(terminal);
        terminal.paint(&lines);
    }

    fn draw(&self, terminal: &Terminal) -> Vec<String> {
        let labels = self.lines.iter().map(|line| line.label.chars().count()).max().unwrap_or(0);
        let mut drawn = vec![String::new()];
        for line in &self.lines {
            let mut parts = Vec::new();
            let mut count: BTreeMap<&str, usize> = BTreeMap::new();
            for item in &line.items {
                let name = self.name(&item.key);
                match &item.state {
                    State::Ahead => *count.entry("ahead").or_default() += 1,
                    State::Asked => *count.entry("asked").or_default() += 1,
                    State::Done if item.is_hook => parts.push(format!("{} {name}", terminal.symbol(Symbol::Good))),
                    State::Done => *count.entry("applied").or_default() += 1,
                    State::Pruned => *count.entry("pruned").or_default() += 1,
                    State::Waits(words) => {
                        let since = took(item.since.elapsed());
                        parts.push(format!("{} {name}  {words}, {since}", terminal.symbol(Symbol::Going)));
                    }
                    State::Failed => parts.push(format!("{} {name}", terminal.symbol(Symbol::Bad))),
                }
            }
            let mut text = Vec::new();
            for done in ["applied", "pruned"] {
                if let Some(count) = count.get(done) {
                    text.push(format!("{} {count} {done}", terminal.symbol(Symbol::Good)));
                }
            }
            if let Some(count) = count.get("asked") {
                text.push(format!("{} {count} being applied", terminal.symbol(Symbol::Going)));
            }
            text.extend(parts);
            if let Some(count) = count.get("ahead") {
                text.push(dim(format!("{} to come", counted(*count, "object"))));
            }
            drawn.push(format!("  {:<labels$}  {}", line.label, text.join("   ")));
        }
        drawn.push(dim(format!("  {}", took(self.started.elapsed()))));
        drawn
    }

    /// The end in a few words.
    pub(super) fn why(&self, end: &End) -> String {
        match end {
            End::Failed(failed) => counted(failed.len(), "object") + " failed",
            End::Terminated(Terminator::Person) => "interrupted; run it again to go on".into(),
            End::Terminated(Terminator::Timeout) if !self.waits_for.is_empty() => {
                format!("out of time, {}", self.waits_for)
            }
            End::Terminated(Terminator::Timeout) => "out of time".into(),
            End::Superseded => "superseded".into(),
            End::Refused { .. } => "the plan is refused".into(),
            End::Succeeded => "done".into(),
        }
    }

    /// Every failed object with its reason.
    pub(super) fn failures(&self, end: &End) -> Vec<String> {
        let mut lines: Vec<String> = match end {
            End::Failed(failed) => failed.iter().map(|failed| failed.failure.message.clone()).collect(),
            _ => Vec::new(),
        };
        lines.extend(self.notes.iter().cloned());
        lines
    }

    /// What the sync has not come to.
    pub(super) fn not_tried(&self) -> Vec<String> {
        let items = self.lines.iter().flat_map(|line| &line.items);
        items.filter(|item| matches!(item.state, State::Ahead)).map(|item| self.name(&item.key)).collect()
    }
}

/// `340 ms`, `4.1 s`, `2 min 5 s`.
pub(super) fn took(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds if seconds < 60 => format!("{:.1} s", time.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}
