//! What a reader has to know before anything else: what a change destroys, interrupts, opens or cannot do.
//!
//! **In:** a [`Preview`] with its [`Facts`](super::Facts). **Out:** [`Risk`]s, the worst first. **May not:** do I/O, or
//! claim anything that the facts do not hold: where nothing is known, nothing is said.
//!
//! Each rule is a pure function over one change and its [`Scene`], numbered as PREVIEW.md §4 numbers it; rules over
//! several objects at once are in [`links`] and [`quota`]. What the API server refuses to change is in [`immutable`].

mod access;
mod admission;
mod body;
mod canary;
pub mod immutable;
mod links;
mod network;
mod policy;
mod quota;
mod references;
mod remark;
mod removal;
mod schema;
mod security;
mod storage;
mod verdict;
mod workload;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value;
use smol_str::SmolStr;

use crate::object::{Object, ObjectKey};

use super::phrase::Phrase;
use super::{ApplicationPreview, Change, ChangeKind, EnvironmentPreview, Facts, Preview};

pub(super) use self::quota::may_take_more;
pub(super) use self::schema::goes;
pub use self::workload::{Restart, restart};
pub(super) use self::workload::{image_changes, images};

/// How bad it may be. The worst comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Data, traffic or control may be lost, or nothing will be done at all.
    Red,
    /// Somebody should look.
    Yellow,
    /// Good to know.
    Info,
}

impl Severity {
    /// Counted as a risk: somebody should look.
    pub fn is_warning(self) -> bool {
        self <= Severity::Yellow
    }

    /// `red`, `yellow` or `info`.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Red => "red",
            Severity::Yellow => "yellow",
            Severity::Info => "info",
        }
    }
}

/// Which rule found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// By its number.
    R(u8),
    /// A Secret's values are in git, for everyone to read.
    PlainSecret,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::R(number) => write!(f, "R{number}"),
            Rule::PlainSecret => f.write_str("plainSecret"),
        }
    }
}

/// What makes a preview's status a failure: an entry of `previews.fail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failing {
    /// Each risk at least as bad.
    Severity(Severity),
    /// What this rule finds.
    Rule(Rule),
}

impl Failing {
    /// True when this risk makes the status a failure.
    pub fn includes(&self, risk: &Risk) -> bool {
        match self {
            Failing::Severity(severity) => risk.severity <= *severity,
            Failing::Rule(rule) => risk.rule == *rule,
        }
    }
}

/// A text names neither a severity nor a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither `red`, `yellow` nor the number of a rule (`R11`)")]
pub struct NotFailing(String);

impl FromStr for Failing {
    type Err = NotFailing;

    fn from_str(text: &str) -> Result<Self, NotFailing> {
        let number = |text: &str| text.strip_prefix('R')?.parse().ok().filter(|number| (1..=34).contains(number));
        match text {
            "red" => Ok(Failing::Severity(Severity::Red)),
            "yellow" => Ok(Failing::Severity(Severity::Yellow)),
            "plainSecret" => Ok(Failing::Rule(Rule::PlainSecret)),
            _ => number(text).map(|number| Failing::Rule(Rule::R(number))).ok_or_else(|| NotFailing(text.into())),
        }
    }
}

/// One thing that a reader has to know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Risk {
    /// How bad it may be.
    pub severity: Severity,
    /// The place of the environment in the preview.
    pub environment: usize,
    /// The application.
    pub application: SmolStr,
    /// The object, when it is about one.
    pub key: Option<ObjectKey>,
    /// Which rule found it.
    pub rule: Rule,
    /// What goes on: `deletes PersistentVolumeClaim …`.
    pub says: Phrase,
}

/// What the owner of an installation expects beyond what is always looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standards {
    /// A restart of so many pods is worth a look.
    pub pods: u64,
    /// Prefixes that images may have; any, when there is none.
    pub registries: Vec<String>,
    /// Whether images need a digest.
    pub digests: Digests,
}

/// Whether images need a digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Digests {
    /// They do not.
    #[default]
    Optional,
    /// They do.
    Required,
}

impl Default for Standards {
    fn default() -> Self {
        Standards { pods: 50, registries: Vec::new(), digests: Digests::Optional }
    }
}

/// All that a preview's rules find, the worst first, then the environment that is reached last.
pub fn assess(preview: &Preview, standards: &Standards) -> Vec<Risk> {
    let mut risks = Vec::new();
    for (at, environment) in preview.environments.iter().enumerate() {
        let scene = Scene::of(environment, standards);
        let mut add = |application: &SmolStr, key: Option<&ObjectKey>, found: Vec<Finding>| {
            risks.extend(found.into_iter().map(|finding| Risk {
                severity: finding.severity,
                environment: at,
                application: application.clone(),
                key: key.cloned(),
                rule: finding.rule,
                says: finding.says,
            }));
        };
        for application in &environment.applications {
            add(&application.name, None, removal::of_application(application));
            add(&application.name, None, policy::refusals(application));
            for change in application.outcome.changes() {
                let case = Case::of(change, &scene);
                let found = RULES.iter().flat_map(|rule| rule(&case)).collect();
                add(&application.name, Some(&change.key), found);
                add(&application.name, None, verdict::untold(&case));
                add(&application.name, None, remark::untold(&case));
            }
        }
        if let (Some(first), Some(finding)) = (environment.applications.first(), verdict::unread(environment)) {
            add(&first.name, None, vec![finding]);
        }
        for (key, finding) in links::broken(&scene).into_iter().chain(quota::exceeded(&scene)) {
            if let Some(application) = scene.cause(&key) {
                add(&application.name, Some(&key), vec![finding]);
            }
        }
    }
    risks.sort_by(|a, b| {
        (a.severity, std::cmp::Reverse(a.environment), &a.application, &a.key, a.rule, &a.says).cmp(&(
            b.severity,
            std::cmp::Reverse(b.environment),
            &b.application,
            &b.key,
            b.rule,
            &b.says,
        ))
    });
    risks.dedup();
    risks
}

/// What one rule says of one change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    rule: Rule,
    severity: Severity,
    says: Phrase,
}

impl Finding {
    fn new(rule: u8, severity: Severity, says: Phrase) -> Self {
        Finding { rule: Rule::R(rule), severity, says }
    }

    fn red(rule: u8, says: Phrase) -> Self {
        Finding::new(rule, Severity::Red, says)
    }

    fn yellow(rule: u8, says: Phrase) -> Self {
        Finding::new(rule, Severity::Yellow, says)
    }

    fn info(rule: u8, says: Phrase) -> Self {
        Finding::new(rule, Severity::Info, says)
    }
}

/// The rules over one change, in the order of their numbers.
const RULES: &[fn(&Case<'_>) -> Vec<Finding>] = &[
    storage::volumes_deleted,
    removal::namespace,
    removal::definition,
    immutable::fields,
    workload::replicas_of,
    workload::restarts,
    access::rights,
    security::loosened,
    admission::blocking,
    network::policies,
    network::services,
    network::hosts,
    storage::classes,
    storage::resized,
    canary::deleted,
    canary::weakened,
    policy::weakened,
    schema::served,
    schema::refused,
    schema::undeclared,
    policy::foreign,
    references::needed,
    workload::images_of,
    workload::safeguards,
    policy::marks,
    workload::nodes,
    policy::plain_secret,
    verdict::verdicts,
    remark::remarks,
];

/// One change, as rules look at it.
struct Case<'a> {
    change: &'a Change,
    key: &'a ObjectKey,
    /// As the base renders it.
    old: Option<&'a Value>,
    /// As the merge result renders it.
    new: Option<&'a Value>,
    /// As the cluster has it.
    live: Option<&'a Value>,
    scene: &'a Scene<'a>,
}

impl<'a> Case<'a> {
    fn of(change: &'a Change, scene: &'a Scene<'a>) -> Self {
        Case {
            change,
            key: &change.key,
            old: change.before_body(),
            new: change.after_body(),
            live: change.live(),
            scene,
        }
    }

    /// True for a kind of a group; the group of the core is empty.
    fn is(&self, group: &str, kind: &str) -> bool {
        self.key.group == group && self.key.kind == kind
    }

    /// True when the object goes.
    fn is_deleted(&self) -> bool {
        self.change.kind == ChangeKind::Delete
    }

    /// As it is: in the cluster, else at the base.
    fn was(&self) -> Option<&'a Value> {
        self.live.or(self.old)
    }

    /// `namespace/name`.
    fn place(&self) -> String {
        place(self.key)
    }

    /// The kind as a word of a sentence.
    fn kind(&self) -> &str {
        kind_word(self.key)
    }
}

/// `namespace/name`.
fn place(key: &ObjectKey) -> String {
    match &key.namespace {
        Some(namespace) => format!("{namespace}/{}", key.name),
        None => key.name.to_string(),
    }
}

/// A kind of letters only is a word like any other; what is none comes from somebody who plays.
fn kind_word(key: &ObjectKey) -> &str {
    let is_word = key.kind.len() <= 63 && key.kind.bytes().all(|byte| byte.is_ascii_alphabetic());
    if is_word && !key.kind.is_empty() { &key.kind } else { "object" }
}

/// What stands around a change: all that its environment's applications render to, by kind.
struct Scene<'a> {
    environment: &'a EnvironmentPreview,
    standards: &'a Standards,
    base: Index<'a>,
    merged: Index<'a>,
}

impl<'a> Scene<'a> {
    fn of(environment: &'a EnvironmentPreview, standards: &'a Standards) -> Self {
        let Facts { base, merged, .. } = &environment.facts;
        let index = |objects: &'a [std::sync::Arc<Object>]| Index::of(objects.iter().map(std::sync::Arc::as_ref));
        Scene { environment, standards, base: index(base), merged: index(merged) }
    }

    fn facts(&self) -> &'a Facts {
        &self.environment.facts
    }

    /// A live object beside the changed ones, else as it is rendered.
    fn find(&self, group: &str, kind: &str, name: &str) -> Option<&'a Value> {
        let live =
            self.facts().cluster.iter().find(|(key, _)| key.group == group && key.kind == kind && key.name == name);
        let rendered = || self.merged.of_kind(group, kind).find(|object| object.key.name == name);
        live.map(|(_, body)| body).or_else(|| rendered().map(|object| &object.body))
    }

    /// The application whose change is behind something that happens to an object.
    fn cause(&self, key: &ObjectKey) -> Option<&'a ApplicationPreview> {
        let with = |is_it: &dyn Fn(&Change) -> bool| {
            let mut applications = self.environment.applications.iter();
            applications.find(|application| application.outcome.changes().iter().any(is_it))
        };
        with(&|change| change.key == *key)
            .or_else(|| with(&|change| change.key.namespace == key.namespace))
            .or_else(|| self.environment.applications.first())
    }
}

/// Objects by kind.
#[derive(Default)]
struct Index<'a> {
    kinds: BTreeMap<(&'a str, &'a str), Vec<&'a Object>>,
}

impl<'a> Index<'a> {
    fn of(objects: impl Iterator<Item = &'a Object>) -> Self {
        let mut index = Index::default();
        for object in objects {
            index.kinds.entry((&object.key.group, &object.key.kind)).or_default().push(object);
        }
        index
    }

    fn of_kind(&self, group: &str, kind: &str) -> impl Iterator<Item = &'a Object> + use<'a, '_> {
        let key = self.kinds.keys().find(|(g, k)| *g == group && *k == kind);
        key.and_then(|key| self.kinds.get(key)).into_iter().flatten().copied()
    }

    fn get(&self, key: &ObjectKey) -> Option<&'a Object> {
        self.of_kind(&key.group, &key.kind).find(|object| object.key == *key)
    }

    /// Everything that makes pods, with its pods' template.
    fn workloads(&self) -> impl Iterator<Item = (&'a Object, &'a Value)> + use<'a, '_> {
        self.kinds.values().flatten().filter_map(|object| Some((*object, body::template(&object.body)?)))
    }
}
