//! Why a file is not changed.

use std::sync::Arc;

use crate::error::{Diagnostic, Origin};
use crate::yaml::{self, Node};

/// A problem with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {problem}")]
pub struct Error {
    /// What is wrong.
    pub problem: Problem,
    /// Where.
    pub origin: Origin,
    /// The text of that line.
    pub line: Option<Box<str>>,
}

/// What can be wrong. Each says in one sentence what is; [`Problem::hint`] says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the sentence above each variant says what its fields are")]
pub enum Problem {
    #[error(transparent)]
    Yaml(#[from] yaml::Problem),
    #[error("the file is not UTF-8 text")]
    NotUtf8,
    #[error("the file holds nothing")]
    Nothing,
    #[error("a kustomization is one document, this file has {documents}")]
    ManyDocuments { documents: usize },
    #[error("{documents} documents of this file have a field `{field}`")]
    Ambiguous { field: String, documents: usize },
    #[error("`{field}` must be {expected}, found {found}")]
    WrongType { field: String, expected: &'static str, found: &'static str },
    #[error("there is no `{field}`")]
    Missing { field: String },
    #[error("two entries of `images` are called `{name}`")]
    Twice { name: String },
    #[error("`imageTags` names `{name}` too, and wins over `images`")]
    Deprecated { name: String },
    #[error("`{field}` is an alias: its value is written elsewhere")]
    Alias { field: String },
    #[error("the value of `{field}` is written on lines of its own")]
    OwnLines { field: String },
    #[error("`{field}` holds {found}, and is to hold {wanted}")]
    OtherKind { field: String, found: &'static str, wanted: &'static str },
    #[error("`{field}` holds another image, `{found}`")]
    OtherImage { field: String, found: String },
    #[error("a new version of `{image}` would change another value too, which is written here")]
    Elsewhere { image: String },
    #[error("the version of `{image}` can't be changed in the way in which this file is written")]
    Unsure { image: String },
}

impl Problem {
    /// One imperative sentence, when there is something sure to say.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Problem::Yaml(_) | Problem::Nothing | Problem::WrongType { .. } => return None,
            Problem::NotUtf8 => "Save the file as UTF-8.",
            Problem::ManyDocuments { .. } => "Leave one document, and remove the `---` lines.",
            Problem::Ambiguous { .. } => "Put the documents into files of their own.",
            Problem::Missing { .. } => "Write the field once by hand, or name another one.",
            Problem::Twice { .. } => "Make one entry of the two.",
            Problem::Deprecated { .. } => "Move the entries of `imageTags` to `images`.",
            Problem::Alias { .. } => "Write the value itself in the place of the alias.",
            Problem::OwnLines { .. } => "Write the value behind its key.",
            Problem::OtherKind { .. } => "Name the field that holds what is to be written, or a whole reference.",
            Problem::OtherImage { .. } => "Name the field of this image.",
            Problem::Elsewhere { .. } => "Write out what an anchor stands for, or end the file with a line break.",
            Problem::Unsure { .. } => "Change it once by hand, one key to a line.",
        })
    }
}

impl Error {
    /// A problem at a node, or at its file where no text stands for it.
    pub(super) fn at(problem: Problem, node: &Node) -> Self {
        let origin = node.origin().unwrap_or_else(|| Origin::file(""));
        Error { problem, origin, line: node.line_text().map(Into::into) }
    }

    /// A problem of a whole file.
    pub(super) fn of_file(problem: Problem, file: &Arc<str>) -> Self {
        Error { problem, origin: Origin::file(Arc::clone(file)), line: None }
    }

    /// As a person sees it.
    pub fn diagnostic(&self) -> Diagnostic {
        if let Problem::Yaml(problem) = &self.problem {
            let (problem, origin, line) = (problem.clone(), self.origin.clone(), self.line.clone());
            return yaml::Error { problem, origin, line }.diagnostic();
        }
        let mut diagnostic = Diagnostic::new(self.problem.to_string()).at(self.origin.clone());
        if let Some(line) = &self.line {
            diagnostic = diagnostic.with_line(&**line);
        }
        match self.problem.hint() {
            Some(hint) => diagnostic.with_hint(hint),
            None => diagnostic,
        }
    }
}

impl From<yaml::Error> for Error {
    fn from(error: yaml::Error) -> Self {
        Error { problem: error.problem.into(), origin: error.origin, line: error.line }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        error.diagnostic()
    }
}
