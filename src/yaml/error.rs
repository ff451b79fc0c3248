//! Why a file could not be read as YAML, or a tree not as values.

use super::text::Text;
use crate::error::{Diagnostic, Origin};

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

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Not YAML.
    #[error("invalid YAML: {reason}")]
    Syntax {
        /// The parser's words.
        reason: String,
    },
    /// Text after a document's `---`.
    #[error("a document separator can be followed by a comment only")]
    Separator,
    /// Bytes that are no UTF-8.
    #[error("the file is not UTF-8 text")]
    NotText,
    /// A character that YAML does not allow.
    #[error("the control character U+{character:04X} is not allowed")]
    ControlCharacter {
        /// Its number.
        character: u32,
    },
    /// A line that starts with `%`.
    #[error("YAML directives are not supported")]
    Directive,
    /// An alias without its anchor.
    #[error("the anchor `{name}` is not defined above this alias")]
    UnknownAnchor {
        /// The anchor's name.
        name: String,
    },
    /// An alias inside of what it stands for.
    #[error("the anchor `{name}` contains itself")]
    AnchorContainsItself {
        /// The anchor's name.
        name: String,
    },
    /// `<<` over something that is neither a mapping nor a list of mappings.
    #[error("`<<` needs a mapping or a list of mappings, found {found}")]
    Merge {
        /// What it is.
        found: &'static str,
    },
    /// The file is larger than the limit.
    #[error("the file has {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Nested too deeply, aliases expanded.
    #[error("nested more than {limit} levels deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// Too many nodes, aliases expanded.
    #[error("more than {limit} values{}", if *.by_alias { " when its aliases are expanded" } else { "" })]
    TooMany {
        /// The limit.
        limit: usize,
        /// True when the limit was passed by copying what an alias stands for.
        by_alias: bool,
    },
    /// A key that occurs twice in one mapping.
    #[error("the key `{key}` is already defined at line {first}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Line of the first one.
        first: u32,
    },
    /// A key that is no string.
    #[error("the key `{key}` is {found}, not a string")]
    KeyNotString {
        /// The key as written.
        key: String,
        /// What it is.
        found: &'static str,
    },
    /// A quoted key that a transformer has written anew, and that is no string without its quotes.
    #[error("kustomize writes the key `{key}` without its quotes, and then it is {found}, not a string")]
    KeyWithoutQuotes {
        /// The key.
        key: String,
        /// What it is.
        found: &'static str,
    },
    /// A comment between a key and what has become empty.
    #[error(
        "kustomize can't read what it writes for `{key}`: a comment comes to stand behind the key, and its value is empty"
    )]
    Comment {
        /// The key.
        key: String,
    },
    /// A comment between the `-` of an item and its braces.
    #[error(
        "kustomize can't read what it writes for this item: a patch has a comment behind the braces in the place of what \
         stands above it"
    )]
    CommentOfItem,
    /// Text on lines of its own that begins with a tab.
    #[error("kustomize can't read what it writes for lines of text of which the first one begins with a tab")]
    LeadingTab,
    /// A number that JSON cannot hold.
    #[error("`{text}` is no number that JSON can hold")]
    NotFinite {
        /// The text.
        text: String,
    },
    /// A tag that its scalar can't have.
    #[error("`{text}` is not a valid `{tag}`")]
    Tag {
        /// The scalar.
        text: String,
        /// The tag.
        tag: String,
    },
}

impl Error {
    /// A problem at a byte of a text.
    pub(super) fn at(problem: Problem, text: &Text, byte: u32) -> Self {
        let origin = text.origin(byte);
        let line = text.line(origin.line).map(Into::into);
        Error { problem, origin, line }
    }

    /// As a person sees it.
    pub fn diagnostic(&self) -> Diagnostic {
        let mut diagnostic = Diagnostic::new(self.problem.to_string()).at(self.origin.clone()).with_label(self.label());
        if let Some(line) = &self.line {
            diagnostic = diagnostic.with_line(&**line);
        }
        if let Some(hint) = self.hint() {
            diagnostic = diagnostic.with_hint(hint);
        }
        diagnostic
    }

    /// One imperative sentence, when there is something sure to say.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match &self.problem {
            Problem::DuplicateKey { .. } => "Remove one of the two.",
            Problem::KeyNotString { .. } => "Put the key into quotes.",
            Problem::KeyWithoutQuotes { .. } => "Choose a name that needs no quotes.",
            Problem::LeadingTab => "Put the text into quotes, or another line in front of it.",
            Problem::Separator => "Put what follows `---` on a line of its own.",
            Problem::Directive => "Remove this line.",
            Problem::NotText => "Save the file as UTF-8.",
            Problem::TooLarge { .. } | Problem::TooMany { .. } => "Split the file.",
            _ => return None,
        })
    }

    fn label(&self) -> &'static str {
        match &self.problem {
            Problem::DuplicateKey { .. } => "second definition",
            Problem::KeyNotString { .. } | Problem::KeyWithoutQuotes { .. } => "not a string",
            Problem::UnknownAnchor { .. } => "unknown anchor",
            Problem::TooMany { by_alias: true, .. } => "expanded here",
            _ => "",
        }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        error.diagnostic()
    }
}
