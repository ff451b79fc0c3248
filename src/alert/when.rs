//! The language of conditions: the part of expr-lang that `when` and `oncePer` of triggers are written in.
//!
//! **In:** a text, the values that it names. **Out:** a value, or an error with line and column. **May not:** do I/O, run
//! or nest without bound.
//!
//! Documentation: <https://expr-lang.org/docs/language-definition>. Not there: `let`, comments, `sortBy`, `groupBy`,
//! `reduce` and what is rarer. What is not in a map is nil; a field of nil is an error, unless it is asked for by `?.`.

mod builtin;
mod eval;
mod lex;
mod operator;
mod parse;

use jiff::Timestamp;

use crate::template::{Error, Flaw, Value};

/// A parsed condition.
#[derive(Debug)]
pub struct Expression {
    text: String,
    root: parse::Node,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// When it is none, with the place.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let root = parse::parse(text).map_err(|flaw| flaw.of(text))?;
        Ok(Expression { text: text.to_owned(), root })
    }

    /// What it is worth where these names are known.
    ///
    /// # Errors
    /// When it asks for something that cannot be, or for too much.
    pub fn evaluate(&self, names: &Value, now: Timestamp) -> Result<Value, Error> {
        eval::evaluate(&self.root, names, now).map_err(|flaw| flaw.of(&self.text))
    }
}

#[cfg(test)]
mod tests;
