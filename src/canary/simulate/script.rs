//! The language of scripts: one thing that happens a line.
//!
//! Lines that are empty, or begin with `#` or a space, are kept and skipped: answers of an earlier run begin with a space.

use std::time::Duration;

use serde_json::Value;

use super::super::world::{HookAnswer, Reading, RouterProblem, Side, WishKind};
use super::super::{Split, Weight};
use crate::api::duration;
use crate::api::flagger::Phase;

/// One line of a script.
#[derive(Debug)]
pub struct Line<'a> {
    /// Counted from 1.
    pub number: u32,
    /// As it was written.
    pub text: &'a str,
    /// What happens; nothing in a comment.
    pub command: Option<Command>,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// The Canary is created, or seen for the first time.
    Start {
        /// It was initialised long ago: how is not told.
        initialized: bool,
    },
    /// Flagger has left it in that phase, with that split; the primary has the version before the newest commit.
    Adopt(Phase, Split),
    /// The time comes at which the machine wants to look again; that many times.
    Tick(u32),
    /// Time passes.
    Wait(Duration),
    /// A new version of the target is applied.
    Commit {
        /// Its name.
        version: String,
        /// `spec.replicas`, when it says something about it.
        replicas: Option<u32>,
    },
    /// A tracked config has other data; `None` when it is gone.
    Config {
        /// `configmap/NAME` or `secret/NAME`.
        name: String,
        /// Stands for its data.
        data: Option<String>,
    },
    /// How the pods of a workload are.
    Pods {
        /// Whose.
        of: Side,
        /// How.
        are: Pods,
    },
    /// What a metric is from now on.
    Metric(String, Reading),
    /// What a hook answers from now on.
    Hook(String, HookAnswer),
    /// A field of the Canary's spec is changed.
    Set(Vec<String>, Value),
    /// An annotation `canary.leeboard.dev/KEY` of the Canary is changed.
    Annotate(String, String),
    /// A person wants something.
    Want(WishKind, String),
    /// The spec's `suspend`.
    Suspend(bool),
    /// The process dies and starts again.
    Kill(Moment),
    /// The clock is set back.
    ClockBack(Duration),
    /// Someone edits the route.
    Route(Split),
    /// What is wrong with the router; nothing any more.
    Router(Option<RouterProblem>),
    /// Why the target cannot be seen; nothing any more.
    Unseen(Option<String>),
    /// An older canary has the target; no longer.
    Claim(Option<String>),
    /// The Canary is deleted.
    Delete,
    /// The least replicas of the target's scaler.
    Scaler(u32),
    /// Print the status.
    Status,
}

/// How pods are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pods {
    /// All are ready at once.
    Ready,
    /// Someone has deleted the workload.
    Deleted,
    /// Only some are available.
    Partly {
        /// How many.
        available: u32,
        /// Of how many.
        of: u32,
    },
}

/// Where a process dies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Now, while nothing is being done.
    Now,
    /// As soon as the record has been saved the next time, before anything is done.
    AfterSave,
    /// As soon as the next such action has been done: `set-route`, `promote`, `ask`.
    After(String),
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
    /// The line.
    pub text: String,
    /// What is wrong with it.
    pub what: String,
    /// The word that is not known, and those that are.
    pub word: Option<(String, Vec<&'static str>)>,
    /// How such a line is written.
    pub usage: Option<&'static str>,
}

impl Mistake {
    pub(super) fn at(line: &Line<'_>, what: String) -> Self {
        Mistake { line: line.number, column: 1, text: line.text.to_owned(), what, word: None, usage: None }
    }
}

/// Every verb, how its line is written, and what it means: the table of the documentation.
pub const VERBS: [(&str, &str, &str); 24] = [
    ("start", "start [initialized]", "the Canary is created; `initialized`: long ago"),
    (
        "adopt",
        "adopt PHASE [PERCENT]",
        "in place of `start`: Flagger left it so, the canary with that share; its primary has version A",
    ),
    ("tick", "tick [COUNT]", "the time comes at which Leeboard looks again"),
    ("wait", "wait DURATION", "time passes"),
    ("commit", "commit VERSION [replicas COUNT]", "git brings another version of the target"),
    ("replicas", "replicas COUNT", "git brings another number of replicas, and nothing else"),
    ("config", "config configmap/NAME DATA|gone", "a ConfigMap or Secret that the target reads has other data"),
    ("canary", "canary ready | canary not ready COUNT of COUNT", "how the canary's pods are from now on"),
    ("primary", "primary ready | primary not ready COUNT of COUNT | primary deleted", "how the primary is from now on"),
    (
        "metric",
        "metric NAME VALUE|none|error TEXT | metric alertmanager|pagerduty firing ALERT",
        "what a metric is from now on",
    ),
    ("hook", "hook NAME STATUS [BODY] | hook NAME timeout", "what a hook answers from now on"),
    ("set", "set FIELD VALUE", "a field below the Canary's spec is changed: set analysis.stepWeight 10"),
    (
        "annotate",
        "annotate action=abort [by=NAME] | annotate KEY=VALUE",
        "an annotation canary.leeboard.dev/KEY is written",
    ),
    ("suspend", "suspend", "`spec.suspend` becomes true"),
    ("unsuspend", "unsuspend", "`spec.suspend` becomes false"),
    ("kill", "kill -9 [after ACTION|save|ask]", "Leeboard dies, there or now, and starts again"),
    ("clock", "clock back DURATION", "the clock is set back"),
    ("route", "route PERCENT", "someone gives the canary that share by hand"),
    ("router", "router missing KIND | router refuses TEXT | router back", "the route cannot be used; it can again"),
    ("target", "target missing | target error TEXT | target back", "the target cannot be seen; it can again"),
    ("claim", "claim NAME | claim none", "an older canary has the target; no longer"),
    ("scaler", "scaler COUNT", "the least replicas that the target's scaler asks for"),
    ("delete", "delete", "the Canary is deleted"),
    ("status", "status", "print what clients read"),
];

/// The names by which [`Command::Kill`] knows actions.
pub const ACTIONS: [&str; 12] = [
    "ensure-services",
    "make-primary",
    "ensure-primary-scaler",
    "lead-apex-to-primary",
    "set-route",
    "scale-target",
    "scale-primary",
    "promote",
    "restore-primary",
    "clear-wish",
    "lead-back-to-target",
    "remove-finalizer",
];

/// Reads a script.
///
/// # Errors
/// With every line that cannot be read.
pub fn parse(script: &str) -> Result<Vec<Line<'_>>, Vec<Mistake>> {
    let mut lines = Vec::new();
    let mut mistakes = Vec::new();
    for (number, text) in (1..).zip(script.lines()) {
        if text.starts_with([' ', '\t']) {
            continue;
        }
        let mut words = Words { text, at: 0 };
        let command = match words.next() {
            None => None,
            Some((_, verb)) if verb.starts_with('#') => None,
            Some((at, verb)) => match read(at, verb, &mut words).and_then(|command| words.end(command)) {
                Ok(command) => Some(command),
                Err(wrong) => {
                    mistakes.push(wrong.mistake(number, text, verb));
                    continue;
                }
            },
        };
        lines.push(Line { number, text, command });
    }
    if mistakes.is_empty() { Ok(lines) } else { Err(mistakes) }
}

/// What is wrong, and where in its line.
struct Wrong {
    at: usize,
    what: String,
    word: Option<(String, Vec<&'static str>)>,
}

impl Wrong {
    fn new(at: usize, what: impl Into<String>) -> Self {
        Wrong { at, what: what.into(), word: None }
    }

    fn unknown(at: usize, word: &str, what: &str, known: Vec<&'static str>) -> Self {
        Wrong { at, what: format!("`{word}` is no {what}"), word: Some((word.to_owned(), known)) }
    }

    fn mistake(self, line: u32, text: &str, verb: &str) -> Mistake {
        let column = text[..self.at.min(text.len())].chars().count() + 1;
        let usage = VERBS.iter().find(|(known, ..)| *known == verb).map(|(_, usage, _)| *usage);
        Mistake {
            line,
            column: u32::try_from(column).unwrap_or(u32::MAX),
            text: text.to_owned(),
            what: self.what,
            word: self.word,
            usage,
        }
    }
}

/// The words of a line, with the bytes at which they begin.
struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<(usize, &'a str)> {
        let rest = &self.text[self.at..];
        let begin = self.at + (rest.len() - rest.trim_start().len());
        let word = self.text[begin..].split_whitespace().next()?;
        self.at = begin + word.len();
        Some((begin, word))
    }

    fn need(&mut self, what: &str) -> Result<(usize, &'a str), Wrong> {
        let end = self.text.len();
        self.next().ok_or_else(|| Wrong::new(end, format!("{what} is missing")))
    }

    fn count(&mut self) -> Result<u32, Wrong> {
        let (at, word) = self.need("a number")?;
        word.parse().map_err(|_| Wrong::new(at, format!("`{word}` is no number")))
    }

    fn duration(&mut self) -> Result<Duration, Wrong> {
        let (at, word) = self.need("a duration")?;
        duration::parse(word).ok_or_else(|| Wrong::new(at, format!("`{word}` is no duration as 30s, 5m or 1h")))
    }

    fn share(&mut self) -> Result<Split, Wrong> {
        let (at, word) = self.need("a percentage")?;
        let weight = word.parse().ok().and_then(Weight::new);
        let weight = weight.ok_or_else(|| Wrong::new(at, format!("`{word}` is no percentage from 0 to 100")))?;
        Ok(Split::to_canary(weight))
    }

    fn word(&mut self, known: &[&'static str]) -> Result<&'static str, Wrong> {
        let (at, word) = self.need(&known.join(" or "))?;
        let found = known.iter().find(|candidate| **candidate == word).copied();
        found.ok_or_else(|| Wrong::unknown(at, word, "word that can stand here", known.to_vec()))
    }

    /// All that is left of the line.
    fn rest(&mut self) -> &'a str {
        let rest = self.text[self.at..].trim();
        self.at = self.text.len();
        rest
    }

    fn end(&mut self, command: Command) -> Result<Command, Wrong> {
        match self.next() {
            Some((at, word)) => Err(Wrong::new(at, format!("`{word}` is one word too many"))),
            None => Ok(command),
        }
    }
}

fn read(at: usize, verb: &str, words: &mut Words<'_>) -> Result<Command, Wrong> {
    Ok(match verb {
        "start" => match words.next() {
            None => Command::Start { initialized: false },
            Some((_, "initialized")) => Command::Start { initialized: true },
            Some((at, word)) => {
                return Err(Wrong::unknown(at, word, "word that can stand here", vec!["initialized"]));
            }
        },
        "adopt" => {
            let (at, word) = words.need("a phase")?;
            let phase = Phase::ALL.into_iter().find(|phase| phase.as_str() == word);
            let known = Phase::ALL.iter().map(|phase| phase.as_str()).collect();
            let phase = phase.ok_or_else(|| Wrong::unknown(at, word, "phase", known))?;
            let is_last = words.text[words.at..].trim().is_empty();
            Command::Adopt(phase, if is_last { Split::PRIMARY_ONLY } else { words.share()? })
        }
        "tick" if words.text[words.at..].trim().is_empty() => Command::Tick(1),
        "tick" => Command::Tick(words.count()?),
        "wait" => Command::Wait(words.duration()?),
        "commit" => commit(words)?,
        "replicas" => Command::Commit { version: String::new(), replicas: Some(words.count()?) },
        "config" => config(words)?,
        "canary" => Command::Pods { of: Side::Canary, are: pods(words, &["ready", "not"])? },
        "primary" => Command::Pods { of: Side::Primary, are: pods(words, &["ready", "not", "deleted"])? },
        "metric" => metric(words)?,
        "hook" => hook(words)?,
        "set" => set(words)?,
        "annotate" => annotate(words)?,
        "suspend" => Command::Suspend(true),
        "unsuspend" => Command::Suspend(false),
        "kill" => kill(words)?,
        "clock" => {
            words.word(&["back"])?;
            Command::ClockBack(words.duration()?)
        }
        "route" => Command::Route(words.share()?),
        "router" => match words.word(&["missing", "refuses", "back"])? {
            "missing" => Command::Router(Some(RouterProblem::Missing(words.rest().to_owned()))),
            "refuses" => Command::Router(Some(RouterProblem::NotAccepted(words.rest().to_owned()))),
            _ => Command::Router(None),
        },
        "target" => match words.word(&["missing", "error", "back"])? {
            "missing" => Command::Unseen(Some(String::new())),
            "error" => Command::Unseen(Some(words.rest().to_owned())),
            _ => Command::Unseen(None),
        },
        "claim" => match words.need("the name of a canary, or `none`")? {
            (_, "none") => Command::Claim(None),
            (_, name) => Command::Claim(Some(name.to_owned())),
        },
        "scaler" => Command::Scaler(words.count()?),
        "delete" => Command::Delete,
        "status" => Command::Status,
        unknown => {
            let known = VERBS.iter().map(|(verb, ..)| *verb).collect();
            return Err(Wrong::unknown(at, unknown, "command", known));
        }
    })
}

fn commit(words: &mut Words<'_>) -> Result<Command, Wrong> {
    let (_, version) = words.need("a version")?;
    let replicas = match words.next() {
        None => None,
        Some((_, "replicas")) => Some(words.count()?),
        Some((at, word)) => return Err(Wrong::unknown(at, word, "word that can stand here", vec!["replicas"])),
    };
    Ok(Command::Commit { version: version.to_owned(), replicas })
}

fn config(words: &mut Words<'_>) -> Result<Command, Wrong> {
    let (at, name) = words.need("a name")?;
    if !name.starts_with("configmap/") && !name.starts_with("secret/") {
        return Err(Wrong::new(at, format!("`{name}` is neither configmap/NAME nor secret/NAME")));
    }
    let (_, data) = words.need("its data, or `gone`,")?;
    Ok(Command::Config { name: name.to_owned(), data: (data != "gone").then(|| data.to_owned()) })
}

fn pods(words: &mut Words<'_>, known: &[&'static str]) -> Result<Pods, Wrong> {
    match words.word(known)? {
        "ready" => return Ok(Pods::Ready),
        "deleted" => return Ok(Pods::Deleted),
        _ => {}
    }
    words.word(&["ready"])?;
    let available = words.count()?;
    words.word(&["of"])?;
    Ok(Pods::Partly { available, of: words.count()? })
}

fn metric(words: &mut Words<'_>) -> Result<Command, Wrong> {
    let (_, name) = words.need("the name of a metric")?;
    let (at, value) = words.need("a value, `none` or `error`,")?;
    let reading = match value {
        "none" => Reading::NoData("no values found".into()),
        "error" => Reading::Error(words.rest().to_owned()),
        "firing" => Reading::Firing(words.rest().to_owned()),
        number => {
            let read =
                number.parse().map_err(|_| Wrong::unknown(at, number, "number", vec!["none", "error", "firing"]));
            Reading::Value(read?)
        }
    };
    Ok(Command::Metric(name.to_owned(), reading))
}

fn hook(words: &mut Words<'_>) -> Result<Command, Wrong> {
    let (_, name) = words.need("the name of a hook")?;
    let (at, status) = words.need("a status, or `timeout`,")?;
    let answer = match (status, status.parse::<u16>()) {
        ("timeout", _) => HookAnswer::Refused("timeout".into()),
        (_, Ok(status)) if (200..300).contains(&status) => HookAnswer::Passed,
        (_, Ok(status)) if (100..600).contains(&status) => match words.rest() {
            "" => HookAnswer::Refused(status.to_string()),
            body => HookAnswer::Refused(body.to_owned()),
        },
        _ => return Err(Wrong::unknown(at, status, "status of HTTP", vec!["timeout"])),
    };
    if answer == HookAnswer::Passed {
        words.rest();
    }
    Ok(Command::Hook(name.to_owned(), answer))
}

fn set(words: &mut Words<'_>) -> Result<Command, Wrong> {
    let (_, path) = words.need("a field")?;
    let rest = words.text[words.at..].trim_start();
    let at = words.text.len() - rest.len();
    if words.rest().is_empty() {
        return Err(Wrong::new(at, "a value is missing"));
    }
    let value = serde_yaml::from_str(rest.trim_end());
    let value: Value = value.map_err(|_| Wrong::new(at, "this is no value as YAML writes it"))?;
    Ok(Command::Set(path.split('.').map(str::to_owned).collect(), value))
}

fn annotate(words: &mut Words<'_>) -> Result<Command, Wrong> {
    let (at, word) = words.need("KEY=VALUE")?;
    let Some((key, value)) = word.split_once('=') else {
        return Err(Wrong::new(at, format!("`{word}` is not KEY=VALUE")));
    };
    if key != "action" {
        return Ok(Command::Annotate(key.to_owned(), value.to_owned()));
    }
    let wish = WishKind::parse(value).ok_or_else(|| {
        let known = WishKind::ALL.iter().map(|(word, _)| *word).collect();
        Wrong::unknown(at + "action=".len(), value, "action", known)
    })?;
    let by = match words.next() {
        None => "",
        Some((_, word)) if word.starts_with("by=") => &word["by=".len()..],
        Some((at, word)) => return Err(Wrong::new(at, format!("`{word}` is not by=NAME"))),
    };
    Ok(Command::Want(wish, by.to_owned()))
}

fn kill(words: &mut Words<'_>) -> Result<Command, Wrong> {
    words.word(&["-9"])?;
    Ok(Command::Kill(match words.next() {
        None => Moment::Now,
        Some((_, "after")) => {
            let known: Vec<&'static str> = ACTIONS.into_iter().chain(["save", "ask"]).collect();
            match words.word(&known)? {
                "save" => Moment::AfterSave,
                action => Moment::After(action.to_owned()),
            }
        }
        Some((at, word)) => return Err(Wrong::unknown(at, word, "word that can stand here", vec!["after"])),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_read_and_explained() {
        for (verb, usage, _) in VERBS {
            assert!(usage.starts_with(verb), "{usage}");
            let mut words = Words { text: verb, at: verb.len() };
            if let Err(wrong) = read(0, verb, &mut words) {
                assert!(!wrong.what.ends_with("is no command"), "{verb} is not read");
            }
        }
    }

    #[test]
    fn a_wrong_line_is_told_with_its_place_and_what_was_meant() {
        let cases = [
            // line, column, what is wrong
            ("tik", 1, "`tik` is no command"),
            ("tick two", 6, "`two` is no number"),
            ("metric errors lots", 15, "`lots` is no number"),
            ("metric errors", 14, "a value, `none` or `error`, is missing"),
            ("hook gate 900", 11, "`900` is no status of HTTP"),
            ("canary not ready 2 from 3", 20, "`from` is no word that can stand here"),
            ("route 120", 7, "`120` is no percentage from 0 to 100"),
            ("annotate action=stop", 17, "`stop` is no action"),
            ("annotate é action", 10, "`é` is not KEY=VALUE"),
            ("delete it", 8, "`it` is one word too many"),
            ("set analysis.stepWeight", 24, "a value is missing"),
            ("wait long", 6, "`long` is no duration as 30s, 5m or 1h"),
            ("config web x", 8, "`web` is neither configmap/NAME nor secret/NAME"),
        ];
        for (text, column, what) in cases {
            let mistakes = parse(text).unwrap_err();
            let found: Vec<_> = mistakes.iter().map(|it| (it.line, it.column, it.what.as_str())).collect();
            assert_eq!(found, [(1, column, what)], "{text}");
        }
    }

    #[test]
    fn all_wrong_lines_are_told_and_answers_are_skipped() {
        let mistakes = parse("# why\ntick\n    0:10 Progressing\nfoo\n\nbar\n").unwrap_err();
        assert_eq!(mistakes.iter().map(|mistake| mistake.line).collect::<Vec<_>>(), [4, 6]);
    }
}
