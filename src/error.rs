//! Where a problem is and what to do about it.
//!
//! **In:** the typed errors of all modules. **Out:** a [`Diagnostic`], which `cli::report` draws and conditions,
//! Events and logs quote. **May not:** decide about retries; that is what each error's `is_transient` says.

use std::fmt;
use std::sync::Arc;

/// A place in a file that a person wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Slash-separated path: from the repository's root, or as the person gave it on the command line.
    pub file: Arc<str>,
    /// Counted from 1; 0 means the file as a whole.
    pub line: u32,
    /// Counted from 1 in characters; 0 means the line as a whole.
    pub column: u32,
}

impl Origin {
    /// The file as a whole.
    pub fn file(file: impl Into<Arc<str>>) -> Self {
        Origin { file: file.into(), line: 0, column: 0 }
    }

    /// A line and column in a file, both counted from 1.
    pub fn new(file: impl Into<Arc<str>>, line: u32, column: u32) -> Self {
        Origin { file: file.into(), line, column }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}", self.file),
            (line, 0) => write!(f, "{}:{line}", self.file),
            (line, column) => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

/// One problem as a person sees it: a sentence, where, the line it is about, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Lower case, no full stop, names in backticks: ``unknown field `resource` in a kustomization``.
    pub title: String,
    /// Where it is, when it is in a file.
    pub origin: Option<Origin>,
    /// The text of that line, without its line break.
    pub line: Option<String>,
    /// What is written under the marked place; may be empty.
    pub label: String,
    /// One imperative sentence, when there is something sure to say.
    pub hint: Option<String>,
    /// Further facts, one a line: other places involved, what stays applied.
    pub notes: Vec<String>,
}

impl Diagnostic {
    /// A problem that is no place in a file.
    pub fn new(title: impl Into<String>) -> Self {
        Diagnostic {
            title: readable(title.into()),
            origin: None,
            line: None,
            label: String::new(),
            hint: None,
            notes: Vec::new(),
        }
    }

    /// The same, at a place.
    pub fn at(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// The same, with the text of the line at which it is.
    pub fn with_line(mut self, line: impl Into<String>) -> Self {
        self.line = Some(line.into());
        self
    }

    /// The same, with words under the marked place.
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same, with what to do.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, with one more fact.
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(readable(note.into()));
        self
    }
}

/// What quotes a name or a value of a million letters loses its middle.
fn readable(text: String) -> String {
    const MOST: usize = 2_000;
    const ENDS: usize = 300;
    if text.len() <= MOST {
        return text;
    }
    let head: String = text.chars().take(ENDS).collect();
    let mut tail: Vec<char> = text.chars().rev().take(ENDS).collect();
    tail.reverse();
    format!("{head}…{}", tail.into_iter().collect::<String>())
}

/// One line: what conditions, Events and logs say.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        f.write_str(&self.title)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}
