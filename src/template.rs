//! Go's text/template with sprig's functions, as the templates of Argo CD's notifications are written in.
//!
//! **In:** a text, [`Value`]s, the time. **Out:** the text that they make, or an [`Error`] with line and column.
//! **May not:** do I/O, read the environment or a clock, but for the machine's time zone, which `date` and `.Local` mean; run,
//! grow or nest without bound.
//!
//! Read [`lex`] → [`parse`] → [`eval`]; [`function`] finds what is called: Go's own are in [`builtin`], sprig's in
//! [`sprig`]. What Go itself makes of the cases in `tests/fixtures/template` is compared by `tests/template.rs`.

mod builtin;
mod eval;
mod function;
mod lex;
mod moment;
mod parse;
mod print;
mod sprig;
mod value;

use jiff::Timestamp;

pub use self::moment::{Duration, parse_duration, parse_rfc3339};
pub use self::value::{Native, Value, method};

/// A parsed template.
#[derive(Debug)]
pub struct Template {
    text: String,
    parsed: parse::Parsed,
}

/// What is wrong with a template, or with what it was rendered from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Error {
    /// Counted from one.
    pub line: usize,
    /// In characters, counted from one.
    pub column: usize,
    /// In words.
    pub message: String,
}

impl Error {
    /// The error at a byte of a text.
    pub fn at(text: &str, byte: usize, message: impl Into<String>) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Error {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
        }
    }
}

/// An error that knows its byte only.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) at: usize,
    pub(crate) message: String,
}

impl Flaw {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Self {
        Flaw { at, message: message.into() }
    }

    /// The error in the text that it was found in.
    pub(crate) fn of(self, text: &str) -> Error {
        Error::at(text, self.at, self.message)
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When it is none, with the place.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let parsed = parse::parse(text).map_err(|flaw| flaw.of(text))?;
        Ok(Template { text: text.to_owned(), parsed })
    }

    /// Makes a text of it; `now` is the time that it is told.
    ///
    /// # Errors
    /// When it asks for something that cannot be, or for too much.
    pub fn render(&self, data: &Value, now: Timestamp) -> Result<String, Error> {
        eval::render(&self.parsed, data, now).map_err(|flaw| flaw.of(&self.text))
    }
}

#[cfg(test)]
mod tests;
