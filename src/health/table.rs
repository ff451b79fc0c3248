//! Kinds of well-known controllers, as a table: which conditions and fields say how an object of the kind is.
//!
//! The table is `kinds.txt`; how it is written stands at its head. Its facts are those that Argo CD ships rules for.
//! Kinds that are in no table go by kstatus.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::fields::{Condition, Fields};
use super::{Health, Verdict};

#[expect(clippy::expect_used, reason = "the table is a constant; a test reads it")]
static TABLE: LazyLock<Table> = LazyLock::new(|| Table::parse(include_str!("kinds.txt")).expect("a table"));

/// `None`: the kind is not in the table.
pub(super) fn verdict(object: Fields) -> Option<Verdict> {
    TABLE.rule(object.group(), object.kind()).map(|rule| rule.verdict(object))
}

#[derive(Default)]
struct Table {
    rules: Vec<Rule>,
    exact: HashMap<(&'static str, &'static str), usize>,
    /// Group and kind may be globs.
    globs: Vec<(&'static str, &'static str, usize)>,
}

impl Table {
    fn parse(text: &'static str) -> Result<Self, String> {
        let mut table = Table::default();
        let mut rule = Rule::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let bad = |what: &str| format!("{what}: {line}");
            if line.is_empty() {
                continue;
            }
            if let Some(kinds) = line.strip_prefix("  ") {
                let (group, kinds) = kinds.split_once(": ").ok_or_else(|| bad("no kinds"))?;
                if !rule.is_empty() {
                    table.rules.push(std::mem::take(&mut rule));
                }
                let index = table.rules.len().checked_sub(1).ok_or_else(|| bad("no rule"))?;
                for kind in kinds.split(' ') {
                    if group.contains('*') || kind.contains('*') {
                        table.globs.push((group, kind, index));
                    } else {
                        table.exact.insert((group, kind), index);
                    }
                }
                continue;
            }
            let (word, when) = line.split_once(": ").ok_or_else(|| bad("no state"))?;
            if word == "else" {
                rule.otherwise = Some(when.parse().map_err(|_| bad("no state"))?);
                continue;
            }
            let health: Health = word.parse().map_err(|_| bad("no state"))?;
            for all in when.split(" ; ") {
                let terms: Option<Vec<Term>> = all.split(" & ").map(Term::parse).collect();
                rule.cases.push((health, terms.ok_or_else(|| bad("no term"))?));
            }
        }
        Ok(table)
    }

    fn rule(&self, group: &str, kind: &str) -> Option<&Rule> {
        let glob = || {
            let fits = self.globs.iter().filter(|(groups, kinds, _)| is_like(group, groups) && is_like(kind, kinds));
            // The longest says the most.
            fits.max_by_key(|(groups, kinds, _)| groups.len() + kinds.len()).map(|(.., index)| *index)
        };
        let index = self.exact.get(&(group, kind)).copied().or_else(glob)?;
        self.rules.get(index)
    }
}

/// The first case that holds decides.
#[derive(Default)]
struct Rule {
    cases: Vec<(Health, Vec<Term>)>,
    otherwise: Option<Health>,
}

impl Rule {
    fn is_empty(&self) -> bool {
        self.cases.is_empty() && self.otherwise.is_none()
    }

    fn verdict(&self, object: Fields) -> Verdict {
        let scope = Scope { root: object, item: object, conditions: "status.conditions", only_current: false };
        for (health, terms) in &self.cases {
            let mut message = "";
            let holds = terms.iter().all(|term| {
                term.holds(scope).is_some_and(|said| {
                    if message.is_empty() {
                        message = said;
                    }
                    true
                })
            });
            if holds {
                let message = if message.is_empty() { object.text("status.message") } else { message };
                return Verdict::new(*health, message);
            }
        }
        let message = object.condition("Ready").map_or(object.text("status.message"), |ready| ready.message);
        Verdict::new(self.otherwise.unwrap_or(Health::Progressing), message)
    }
}

/// Where a term looks: the object, or one item in it.
#[derive(Clone, Copy)]
struct Scope<'a> {
    root: Fields<'a>,
    item: Fields<'a>,
    conditions: &'static str,
    only_current: bool,
}

impl<'a> Scope<'a> {
    fn conditions(self) -> impl DoubleEndedIterator<Item = Condition<'a>> {
        self.item
            .conditions_at(self.conditions)
            .filter(move |condition| !self.only_current || self.is_current(condition))
    }

    /// True unless it says that it is of another generation.
    fn is_current(self, condition: &Condition) -> bool {
        let generation = self.root.integer("metadata.generation");
        generation.zip(condition.fields.integer("observedGeneration")).is_none_or(|(now, then)| now == then)
    }
}

type Words = Vec<&'static str>;

/// One thing that must hold.
enum Term {
    /// `stale`: the controller has not seen the newest generation.
    Stale,
    /// `deleting`
    Deleting,
    /// `no conditions`
    NoConditions,
    /// `no T`
    NoCondition(&'static str),
    /// `T stale`: the condition is of another generation.
    ConditionStale(&'static str),
    /// `T=True|False`, `T not True`, `T reason R`, each with `reason`, `message` or `severity` words after it.
    Condition { which: Which, kind: &'static str, statuses: Option<Is>, with: Option<(&'static str, Is)> },
    /// `… current`: the same of conditions that are of the newest generation.
    Current(Box<Term>),
    /// `label k=v`, `annotation k=v`
    Metadata { list: &'static str, key: &'static str, value: &'static str },
    /// `.path set`
    Set(&'static str),
    /// `no .path`, `.path=`
    Unset(&'static str),
    /// `.path=a|b`, `.path!=a|b`
    Field(&'static str, Is),
    /// `.a=.b`, `.a!=.b`, `.a<.b`, `.a>0`, `#.list>0`, `.a<+.list[].b`
    Compare(Operand, Comparison, Operand),
    /// `in .path: term`: holds for an item of a list or mapping, or for what is there.
    In(&'static str, Box<Term>),
}

/// Which of the conditions that are there.
#[derive(Clone, Copy, PartialEq)]
enum Which {
    Any,
    First,
    Last,
}

/// One of these words, or none of them.
struct Is {
    negated: bool,
    words: Words,
}

impl Is {
    /// `a|b` or `not a|b`
    fn parse(text: &'static str) -> Self {
        let (negated, words) = text.strip_prefix("not ").map_or((false, text), |words| (true, words));
        Is { negated, words: words.split('|').collect() }
    }

    fn holds(&self, text: &str) -> bool {
        self.words.iter().any(|word| is_like(text, word)) != self.negated
    }
}

enum Operand {
    Field(&'static str),
    Length(&'static str),
    Sum(&'static str),
    Number(i64),
}

#[derive(Clone, Copy)]
enum Comparison {
    Equal,
    Differs,
    Less,
    Greater,
}

impl Term {
    fn parse(text: &'static str) -> Option<Self> {
        if let Some((path, term)) = text.strip_prefix("in .").and_then(|rest| rest.split_once(": ")) {
            return Some(Term::In(path, Box::new(Term::parse(term)?)));
        }
        for (word, list) in [("label ", "metadata.labels"), ("annotation ", "metadata.annotations")] {
            if let Some((key, value)) = text.strip_prefix(word).and_then(|rest| rest.split_once('=')) {
                return Some(Term::Metadata { list, key, value });
            }
        }
        match text {
            "stale" => return Some(Term::Stale),
            "deleting" => return Some(Term::Deleting),
            "no conditions" => return Some(Term::NoConditions),
            _ => {}
        }
        if let Some(absent) = text.strip_prefix("no ") {
            return Some(absent.strip_prefix('.').map_or(Term::NoCondition(absent), Term::Unset));
        }
        if text.starts_with(['.', '#']) { Term::parse_field(text) } else { Term::parse_condition(text) }
    }

    fn parse_field(text: &'static str) -> Option<Self> {
        if let Some(path) = text.strip_suffix(" set") {
            return path.strip_prefix('.').map(Term::Set);
        }
        let at = text.find(['=', '!', '<', '>'])?;
        let (left, rest) = text.split_at(at);
        let (comparison, right) = match rest.strip_prefix("!=") {
            Some(right) => (Comparison::Differs, right),
            None => match rest.split_at(1) {
                ("=", right) => (Comparison::Equal, right),
                ("<", right) => (Comparison::Less, right),
                (_, right) => (Comparison::Greater, right),
            },
        };
        let is_compared = left.starts_with('#')
            || right.starts_with(['.', '#', '+'])
            || matches!(comparison, Comparison::Less | Comparison::Greater);
        if is_compared {
            return Some(Term::Compare(Operand::parse(left)?, comparison, Operand::parse(right)?));
        }
        let path = left.strip_prefix('.')?;
        if right.is_empty() {
            return Some(Term::Unset(path));
        }
        let negated = matches!(comparison, Comparison::Differs);
        Some(Term::Field(path, Is { negated, words: right.split('|').collect() }))
    }

    fn parse_condition(text: &'static str) -> Option<Self> {
        if let Some(kind) = text.strip_suffix(" stale") {
            return Some(Term::ConditionStale(kind));
        }
        if let Some(term) = text.strip_suffix(" current") {
            return Some(Term::Current(Box::new(Term::parse_condition(term)?)));
        }
        let (which, text) = match text.split_once(' ') {
            Some(("first", rest)) => (Which::First, rest),
            Some(("last", rest)) => (Which::Last, rest),
            _ => (Which::Any, text),
        };
        let mut with = None;
        let mut head = text;
        for attribute in [" reason ", " message ", " severity "] {
            if let Some((before, words)) = text.split_once(attribute) {
                head = before;
                with = Some((attribute.trim(), Is::parse(words)));
            }
        }
        let (kind, statuses) = match (head.split_once('='), head.split_once(" not ")) {
            (Some((kind, words)), _) => (kind, Some(Is::parse(words))),
            (None, Some((kind, word))) => (kind, Some(Is { negated: true, words: vec![word] })),
            (None, None) => (head, None),
        };
        let is_whole = !kind.contains(' ') && (statuses.is_some() || with.is_some());
        is_whole.then_some(Term::Condition { which, kind, statuses, with })
    }

    /// What is said about it, when it holds; often nothing.
    fn holds<'a>(&self, scope: Scope<'a>) -> Option<&'a str> {
        let plain = |holds: bool| holds.then_some("");
        match self {
            Term::Stale => plain(is_stale(scope.root)),
            Term::Deleting => plain(scope.root.is_deleting()),
            Term::NoConditions => plain(scope.conditions().next().is_none()),
            Term::NoCondition(kind) => plain(!scope.conditions().any(|c| c.kind == *kind)),
            Term::ConditionStale(kind) => {
                plain(scope.conditions().any(|condition| condition.kind == *kind && !scope.is_current(&condition)))
            }
            Term::Condition { which, kind, statuses, with } => {
                let fits = |condition: &Condition| {
                    is_like(condition.kind, kind)
                        && statuses.as_ref().is_none_or(|statuses| statuses.holds(condition.status))
                        && with.as_ref().is_none_or(|(attribute, is)| is.holds(condition.fields.text(attribute)))
                };
                let found = match which {
                    Which::Any => scope.conditions().find(fits),
                    Which::First => scope.conditions().next().filter(fits),
                    Which::Last => scope.conditions().next_back().filter(fits),
                };
                found.map(|condition| condition.message)
            }
            Term::Current(term) => term.holds(Scope { only_current: true, ..scope }),
            Term::Metadata { list, key, value } => {
                let found = scope.root.at(list).and_then(|list| list.get(key));
                plain(found.and_then(Value::as_str) == Some(value))
            }
            Term::Set(path) => plain(any(scope.item.0, path, &mut is_set)),
            Term::Unset(path) => plain(!any(scope.item.0, path, &mut is_set)),
            Term::Field(path, is) => plain(any(scope.item.0, path, &mut |value| match value {
                Value::String(text) => is.holds(text),
                Value::Null => false,
                other => is.holds(&other.to_string()),
            })),
            Term::Compare(left, comparison, right) => {
                plain(compare(left.value(scope), *comparison, right.value(scope)))
            }
            Term::In(path, term) => {
                let mut said = None;
                any(scope.item.0, path, &mut |value| {
                    said = term.holds(Scope { item: Fields(value), conditions: "conditions", ..scope });
                    said.is_some()
                });
                said
            }
        }
    }
}

impl Operand {
    fn parse(text: &'static str) -> Option<Self> {
        match text.split_once('.') {
            Some(("", path)) => Some(Operand::Field(path)),
            Some(("#", path)) => Some(Operand::Length(path)),
            Some(("+", path)) => Some(Operand::Sum(path)),
            _ => text.parse().ok().map(Operand::Number),
        }
    }

    fn value<'a>(&self, scope: Scope<'a>) -> Option<Compared<'a>> {
        match self {
            Operand::Number(number) => Some(Compared::Number(*number)),
            Operand::Length(path) => {
                let length = scope.item.at(path).map_or(0, |value| match value {
                    Value::Array(items) => items.len(),
                    Value::Object(map) => map.len(),
                    _ => 0,
                });
                i64::try_from(length).ok().map(Compared::Number)
            }
            Operand::Sum(path) => {
                let mut sum = 0i64;
                any(scope.item.0, path, &mut |value| {
                    sum = sum.saturating_add(number(value).unwrap_or(0));
                    false
                });
                Some(Compared::Number(sum))
            }
            Operand::Field(path) => {
                let value = scope.item.at(path).or_else(|| scope.root.at(path))?;
                Some(number(value).map_or(Compared::Value(value), Compared::Number))
            }
        }
    }
}

#[derive(PartialEq)]
enum Compared<'a> {
    Number(i64),
    Value(&'a Value),
}

fn compare(left: Option<Compared>, comparison: Comparison, right: Option<Compared>) -> bool {
    let order = |left: Option<Compared>, right: Option<Compared>| match (left, right) {
        // An absent count is none: controllers omit zeros.
        (None, Some(Compared::Number(right))) => Some(0.cmp(&right)),
        (Some(Compared::Number(left)), Some(Compared::Number(right))) => Some(left.cmp(&right)),
        _ => None,
    };
    match comparison {
        Comparison::Equal => left.is_some() && left == right,
        Comparison::Differs => left != right,
        Comparison::Less => order(left, right) == Some(Ordering::Less),
        Comparison::Greater => order(left, right) == Some(Ordering::Greater),
    }
}

/// Some controllers write generations as texts.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn is_stale(object: Fields) -> bool {
    let observed = object.at("status.observedGeneration").and_then(number);
    observed.is_some_and(|observed| observed < object.count("metadata.generation"))
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// True when it holds for a value at the path; `name[]` stands for each item of a list or mapping.
fn any<'a>(value: &'a Value, path: &str, holds: &mut dyn FnMut(&'a Value) -> bool) -> bool {
    if path.is_empty() {
        return holds(value);
    }
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    match name.strip_suffix("[]") {
        None => value.get(name).is_some_and(|inner| any(inner, rest, holds)),
        Some(name) => match value.get(name) {
            Some(Value::Array(items)) => items.iter().any(|item| any(item, rest, holds)),
            Some(Value::Object(map)) => map.values().any(|item| any(item, rest, holds)),
            _ => false,
        },
    }
}

/// True when the text is the word; `*` at either end of the word stands for anything, `?*` for a text that is not empty.
fn is_like(text: &str, word: &str) -> bool {
    match (word.strip_prefix('*'), word.strip_suffix('*')) {
        (Some(""), _) => true,
        (None, Some("?")) => !text.is_empty(),
        (Some(end), None) => text.ends_with(end),
        (None, Some(start)) => text.starts_with(start),
        (Some(rest), Some(_)) => text.contains(&rest[..rest.len() - 1]),
        (None, None) => text == word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_table_can_be_read() {
        let table = Table::parse(include_str!("kinds.txt")).unwrap_or_else(|error| panic!("{error}"));
        assert!(table.exact.len() > 200);
        for (index, rule) in table.rules.iter().enumerate() {
            assert!(!rule.is_empty(), "rule {index}");
        }
    }

    #[test]
    fn bad_lines_are_found() {
        for text in [
            "Fine: Ready=True\n  a: B",
            "Healthy Ready=True\n  a: B",
            "Healthy: Ready\n  a: B",
            "Healthy: Ready and True\n  a: B",
            "Healthy: .status.phase\n  a: B",
            "  a: B",
        ] {
            assert!(Table::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn terms_read_conditions_and_fields() {
        let object = json!({
            "metadata": {"generation": 3, "labels": {"a.b/c": "d"}},
            "spec": {"replicas": 2},
            "status": {
                "observedGeneration": "2",
                "phase": "Cluster in healthy state",
                "ready": 2,
                "empty": [],
                "pods": [{"state": "up", "weight": 2}, {"state": "down", "weight": 1, "conditions": [{"type": "Up", "status": "False"}]}],
                "byName": {"x": {"state": "on"}},
                "conditions": [
                    {"type": "Ready", "status": "False", "reason": "Waiting", "message": "m", "observedGeneration": 2},
                    {"type": "Synced", "status": "True", "severity": "Info"},
                ],
            },
        });
        let cases = [
            // term, holds?
            ("stale", true),
            ("deleting", false),
            ("no conditions", false),
            ("no Healthy", true),
            ("no Ready", false),
            ("Ready=False", true),
            ("Ready=True|False", true),
            ("Ready not True", true),
            ("Healthy not True", false),
            ("Ready reason Waiting", true),
            ("Ready=False reason Wait*|Other", true),
            ("Ready=False reason not Waiting", false),
            ("Ready=False message m", true),
            ("*=True", true),
            ("*=True severity Info", true),
            ("*=Unknown", false),
            ("first *=True", false),
            ("last Synced=True", true),
            ("Ready stale", true),
            ("Synced stale", false),
            ("Ready=False current", false),
            ("Synced=True current", true),
            ("label a.b/c=d", true),
            ("annotation a.b/c=d", false),
            (".status.phase=Cluster in healthy state|x", true),
            (".status.phase!=x|y", true),
            (".status.absent!=x", false),
            (".status.empty set", false),
            ("no .status.empty", true),
            (".status.phase=", false),
            (".status.ready=.spec.replicas", true),
            (".status.ready!=.spec.replicas", false),
            (".status.available<.spec.replicas", true),
            (".status.ready>1", true),
            ("#.status.pods>1", true),
            ("#.status.absent=0", true),
            (".status.pods[].state=down", true),
            (".status.ready<+.status.pods[].weight", true),
            (".status.phase=?*", true),
            ("Synced reason ?*", false),
            (".status.byName[].state=on", true),
            ("in .status.pods[]: Up=False", true),
            ("in .status.pods[]: Up=True", false),
            ("in .status.pods[]: no .state", false),
        ];
        let root = Fields(&object);
        let scope = Scope { root, item: root, conditions: "status.conditions", only_current: false };
        for (text, expected) in cases {
            let term = Term::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(term.holds(scope).is_some(), expected, "{text}");
        }
        assert_eq!(Term::parse("Ready=False").unwrap().holds(scope), Some("m"));
    }

    #[test]
    fn exact_kinds_win_over_globs() {
        let state = |api_version: &str, kind: &str, conditions: Value| {
            let object = json!({"apiVersion": api_version, "kind": kind, "status": {"conditions": conditions}});
            verdict(Fields(&object)).map(|verdict| verdict.status)
        };
        let synced = json!([{"type": "Synced", "status": "True"}, {"type": "Ready", "status": "False"}]);
        assert_eq!(state("s3.aws.crossplane.io/v1", "Bucket", synced), Some(Health::Progressing));
        let failed = json!([{"type": "Synced", "status": "False"}]);
        assert_eq!(state("ec2.aws.crossplane.io/v1", "VPC", failed), Some(Health::Degraded));
        assert_eq!(state("example.com/v1", "Widget", json!([])), None);
    }
}
