//! Why a directory could not be rendered.

use smol_str::SmolStr;

use crate::error::{Diagnostic, Origin};
use crate::source::{self, TreePath};
use crate::yaml::{self, Node};

/// A problem with its place.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{problem}")]
pub struct Error {
    /// What is wrong.
    pub problem: Box<Problem>,
    /// Where, when it is in a file.
    pub origin: Option<Origin>,
    /// The text of that line.
    pub line: Option<Box<str>>,
}

/// What can be wrong. Each says in one sentence what is; [`Problem::hint`] says what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the sentence above each variant says what its fields are")]
pub enum Problem {
    #[error(transparent)]
    Yaml(#[from] yaml::Problem),
    #[error(transparent)]
    Source(source::Error),

    #[error("no kustomization file in `{directory}`")]
    NoKustomization { directory: TreePath },
    #[error("more than one kustomization file in `{directory}`: {}", list(names))]
    ManyKustomizations { directory: TreePath, names: Vec<&'static str> },
    #[error("the kustomization file is empty")]
    EmptyKustomization,
    #[error("unknown field `{field}` in {of}")]
    UnknownField { field: String, of: &'static str, nearest: Option<&'static str> },
    #[error("`{field}` must be {expected}, found {found}")]
    WrongType { field: String, expected: &'static str, found: String },
    #[error("{of} must be a mapping, found {found}")]
    NotAMapping { of: &'static str, found: String },
    #[error("`{field}` is missing in {of}")]
    MissingField { field: &'static str, of: &'static str },
    #[error("`{field}` can't be `{value}`")]
    WrongValue { field: String, value: String, expected: &'static str },
    #[error("`{one}` and `{other}` can't be set together")]
    Exclusive { one: &'static str, other: &'static str },
    #[error("one of `{one}` and `{other}` must be set in {of}")]
    OneOf { one: &'static str, other: &'static str, of: &'static str },

    #[error("`{field}` is deprecated")]
    Deprecated { field: &'static str, successor: &'static str },
    #[error("`sortOptions` holds, and not the order that was asked for")]
    OrderTwice,
    #[error("`{path}` does not exist")]
    Missing { path: String, nearest: Option<String> },
    #[error("`{path}` lies outside of the directory of its kustomization")]
    OutsideRoot { path: String },
    #[error("`{path}` is a directory without a kustomization file")]
    NotABase { path: String },
    #[error("`{path}` leads back to a directory that is being built")]
    Cycle { path: String, chain: Vec<TreePath> },
    #[error("bases are nested more than {limit} levels deep")]
    TooDeep { limit: usize },
    #[error("the build takes more than {limit} bases and components")]
    TooManyLayers { limit: usize },
    #[error("the build has more than {limit} objects")]
    TooMany { limit: usize },
    #[error("the build holds more than {limit} values")]
    TooManyValues { limit: usize },
    #[error("the build makes more than {limit} bytes of text")]
    TooMuchText { limit: usize },
    #[error("`{field}` has {length} bytes, more than the limit of {limit}")]
    TooLong { field: String, length: usize, limit: usize },
    #[error("nested more than {limit} levels deep")]
    TooNested { limit: usize },
    #[error("`{path}` is in another repository, which was not read")]
    Remote { path: String },
    #[error("`{path}` names no base in another repository: {reason}")]
    NotRemote { path: String, reason: source::remote::NotRemote },
    #[error("`{path}` is a Component, expected a Kustomization")]
    ComponentAsResource { path: String },
    #[error("`{path}` is a Kustomization, expected a Component")]
    ResourceAsComponent { path: String },
    #[error("{what} run a program and are refused")]
    Program { what: &'static str },
    #[error("`{kind}` is no transformer or generator that is built in")]
    UnknownPlugin { kind: SmolStr },
    #[error("a validator changes {id}")]
    ValidatorChanges { id: String },
    #[error("Helm charts can't be rendered yet")]
    Helm,

    #[error("expected a Kubernetes object, found {found}")]
    NotAnObject { found: &'static str },
    #[error("`{field}` is missing in an object")]
    MissingIdentity { field: &'static str },
    #[error("two objects are {id}")]
    Duplicate { id: String, first: Option<Origin> },
    #[error("setting the namespace makes two objects {id}")]
    NamespaceClash { id: String, first: Option<Origin> },
    #[error("the generated {id} exists already")]
    GeneratedExists { id: String, first: Option<Origin> },
    #[error("there is no {id} to merge with or to replace")]
    NothingToMerge { id: String },
    #[error("`stringData` of {id} can't be merged: {found}")]
    PlainData { id: String, found: String },
    #[error("several objects could be the {id} to merge with")]
    ManyToMerge { id: String },

    #[error("what {id} was called before can't be told: it had an empty name, or one with a comma")]
    UnsureFormers { id: String },
    #[error("no object is {id}, which this patch is for")]
    NoPatchTarget { id: String, candidates: Vec<String> },
    #[error("several objects are {id}, which this patch is for")]
    ManyPatchTargets { id: String, candidates: Vec<String> },
    #[error("this is neither an object nor a list of JSON 6902 operations")]
    NotAPatch,
    #[error("a patch of operations needs a `target`")]
    PatchWithoutTarget,
    #[error("a patch with a `target` can't hold several objects")]
    ManyPatchesForTarget,
    #[error("the patch is empty")]
    EmptyPatch,
    #[error("kustomize can set no field whose name is empty")]
    NamelessField,
    #[error("unknown patch directive `{directive}`")]
    Directive { directive: String },
    #[error("the patch has {patch} where the object has {object}")]
    PatchKind { patch: &'static str, object: &'static str },
    #[error("{found} can't stand in a list whose elements are merged one by one")]
    ElementKind { found: &'static str },
    #[error("a list of more than {limit} elements can't be merged by key")]
    ListTooLong { limit: usize },
    #[error("operation `{operation}` on `{path}`: {reason}")]
    Operation { operation: String, path: String, reason: String },
    #[error("it begins with a brace, but is no JSON: {reason}")]
    NotJson { reason: String },
    #[error("invalid regular expression `{pattern}`")]
    Regex { pattern: String, reason: String },
    #[error("invalid selector `{selector}`")]
    Selector { selector: String },

    #[error("`{pair}` is no `key=value`")]
    NotAPair { pair: String },
    #[error("`{pair}` has more than one `=`")]
    ManyEquals { pair: String },
    #[error("the key `{key}` is given twice")]
    RepeatedKey { key: String },
    #[error("line {line} of `{path}` has a value without a key and is left out")]
    EnvWithoutKey { path: String, line: usize },
    #[error("`{path}` is not UTF-8 text")]
    EnvNotText { path: String },
    #[error("the name `{name}` has {} characters with its hash, more than 253", name.len())]
    NameTooLong { name: String },

    #[error("no {kinds} is called `{name}`")]
    NoReplicas { name: SmolStr, kinds: String },
    #[error("the name `{name}` in `{field}` of {referrer} could be any of {}", list(candidates))]
    Ambiguous { name: String, field: String, referrer: String, candidates: Vec<String> },
    #[error("a subject of {referrer} has a blank namespace")]
    BlankNamespace { referrer: String },
    #[error("`{field}` of {of} leads to {found}, expected {expected}")]
    FieldKind { field: String, of: String, found: &'static str, expected: &'static str },
    #[error("the path `{path}` leads to a field without a name: write what the field is called")]
    FieldName { path: String },
    #[error("the path `{path}` leads to an element of a list, and there is a mapping: write what the field is called")]
    FieldElement { path: String },
    #[error("`{path}` is said to be created and not to be created by two field specs")]
    FieldSpecConflict { path: String },

    #[error("no object is selected by {selector}")]
    NoSource { selector: String, candidates: Vec<String> },
    #[error("several objects are selected by {selector}: {}", list(candidates))]
    ManySources { selector: String, candidates: Vec<String> },
    #[error("{of} has no field `{path}`")]
    NoField { path: String, of: String },
    #[error("`{text}`, the value of the variable `{name}`, can't be read as a number: write it in decimal digits")]
    VariableNumber { name: SmolStr, text: SmolStr },
    #[error("`{path}` is no valid field path")]
    FieldPath { path: String },
    #[error("part {index} of `{value}` does not exist")]
    Index { index: i64, value: String },
    #[error("the variable `{name}` is defined twice")]
    RepeatedVariable { name: SmolStr },
    #[error("the variable `{name}` stands nowhere")]
    UnusedVariable { name: SmolStr },
    #[error("the object of the variable `{name}` does not exist")]
    NoVariableSource { name: SmolStr },
    #[error("several objects could be that of the variable `{name}`: {}", list(candidates))]
    ManyVariableSources { name: SmolStr, candidates: Vec<String> },

    #[error("the schema of Kubernetes {version} is not built in")]
    SchemaVersion { version: String },
    #[error("`{path}` is no OpenAPI document")]
    Schema { path: String },

    #[error("expected an integer number of replicas for `{name}`, found `{count}`")]
    OverrideReplicas { name: String, count: String },
    #[error("the kustomization already has the {what} `{key}`")]
    OverrideExists { what: &'static str, key: String },
}

impl Error {
    /// A problem at a place in a file.
    pub(super) fn at(node: &Node, problem: Problem) -> Self {
        Error { problem: Box::new(problem), origin: node.origin(), line: node.line_text().map(Into::into) }
    }

    /// A problem of a whole file or directory.
    pub(super) fn of_file(path: &TreePath, problem: Problem) -> Self {
        Error { problem: Box::new(problem), origin: Some(Origin::file(path.to_string())), line: None }
    }

    /// A problem of a place that is known without its text.
    pub(super) fn from_origin(origin: Option<&Origin>, problem: Problem) -> Self {
        Error { problem: Box::new(problem), origin: origin.cloned(), line: None }
    }

    /// True when trying again can help without a new commit.
    pub fn is_transient(&self) -> bool {
        matches!(&*self.problem, Problem::Source(source) if source.is_transient())
    }

    /// As a person sees it.
    pub fn diagnostic(&self) -> Diagnostic {
        let mut diagnostic = Diagnostic::new(self.problem.to_string());
        diagnostic.origin.clone_from(&self.origin);
        diagnostic.line = self.line.as_deref().map(Into::into);
        diagnostic.label = self.problem.label();
        diagnostic.hint = self.problem.hint();
        self.problem.notes().into_iter().fold(diagnostic, Diagnostic::with_note)
    }
}

impl From<yaml::Error> for Error {
    fn from(error: yaml::Error) -> Self {
        Error { problem: Box::new(error.problem.into()), origin: Some(error.origin), line: error.line }
    }
}

impl Problem {
    /// What is written under the marked place.
    fn label(&self) -> String {
        match self {
            Problem::UnknownField { of, .. } => format!("expected one of the fields of {of}"),
            Problem::WrongType { expected, .. } => format!("expected {expected}"),
            Problem::WrongValue { expected, .. } => format!("expected {expected}"),
            Problem::NotAMapping { .. } => "expected a mapping".into(),
            Problem::Regex { reason, .. } => reason.clone(),
            _ => String::new(),
        }
    }

    /// One imperative sentence, when there is something sure to say.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Problem::UnknownField { nearest: Some(name), .. } => format!("Did you mean `{name}`?"),
            Problem::Missing { nearest: Some(name), .. } => format!("Did you mean `{name}`?"),
            Problem::WrongType { expected: "a string", .. } => "Put the value into quotes.".into(),
            Problem::Deprecated { successor, .. } => format!("Use `{successor}` instead."),
            Problem::OutsideRoot { .. } => {
                "Move the file, or make its directory a base and list that under `resources`.".into()
            }
            Problem::NoPatchTarget { candidates, .. } if candidates.is_empty() => {
                "This kustomization has no objects; list the base under `resources`.".into()
            }
            Problem::ManyPatchTargets { .. } => "Give the patch a `target` that says which one.".into(),
            Problem::ComponentAsResource { .. } => "List it under `components`.".into(),
            Problem::ResourceAsComponent { .. } => "List it under `resources`.".into(),
            Problem::GeneratedExists { .. } => "Set `behavior` to `merge` or `replace`.".into(),
            Problem::NothingToMerge { .. } => "Remove `behavior`, or add the object that it is merged with.".into(),
            Problem::NoKustomization { .. } | Problem::NotABase { .. } => "Add a `kustomization.yaml`.".into(),
            Problem::ManyKustomizations { .. } => "Keep one of them.".into(),
            Problem::NameTooLong { .. } => "Shorten the name; no cluster takes it.".into(),
            Problem::Ambiguous { .. } => "Write the new name of the one that is meant.".into(),
            Problem::ValidatorChanges { .. } => "List what changes objects under `transformers`.".into(),
            Problem::NotAPair { .. } => "Write it as `key=value`.".into(),
            Problem::OverrideExists { .. } => "Set the force option, or remove one of the two.".into(),
            _ => return None,
        })
    }

    fn notes(&self) -> Vec<String> {
        match self {
            Problem::Duplicate { first: Some(first), .. }
            | Problem::NamespaceClash { first: Some(first), .. }
            | Problem::GeneratedExists { first: Some(first), .. } => vec![format!("the other one is at {first}")],
            Problem::Cycle { chain, .. } => {
                let chain: Vec<String> = chain.iter().map(ToString::to_string).collect();
                vec![format!("it is reached by {}", chain.join(" → "))]
            }
            Problem::NoPatchTarget { candidates, .. }
            | Problem::ManyPatchTargets { candidates, .. }
            | Problem::NoSource { candidates, .. }
                if !candidates.is_empty() =>
            {
                vec![format!("there are {}", candidates.join(", "))]
            }
            _ => Vec::new(),
        }
    }
}

fn list<T: AsRef<str>>(items: &[T]) -> String {
    items.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(", ")
}

/// The candidate that a person most likely meant; `None` when none is close.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Nobody means a known name by more letters than this.
    const LONGEST: usize = 64;
    let word = word.to_lowercase();
    if word.chars().nth(LONGEST).is_some() {
        return None;
    }
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be changed, added or removed to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.chars().take(64).enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        for (cell, wanted) in row.iter_mut().skip(1).zip(&other) {
            let cost = (diagonal + usize::from(letter != *wanted)).min(*cell + 1).min(left + 1);
            diagonal = std::mem::replace(cell, cost);
            left = cost;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_or_none() {
        let fields = ["resources", "replicas", "replacements", "nameSuffix"];
        let cases = [
            ("resource", Some("resources")),
            ("resourcez", Some("resources")),
            ("namesufix", Some("nameSuffix")),
            ("replica", Some("replicas")),
            ("completelyElse", None),
        ];
        for (word, expected) in cases {
            assert_eq!(nearest(word, fields), expected, "{word}");
        }
    }
}
