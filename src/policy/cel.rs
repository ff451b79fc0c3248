//! The expression language of Kubernetes' policies, with its libraries, as far as they are used.
//!
//! **In:** an [`Expression`], values by their names, a [`Budget`]. **Out:** a [`Value`] or a [`Fault`]: what the language
//! calls an error, or that something is not known here. **May not:** do I/O, read a clock, or work without end: each step
//! counts, and what copies or compares much counts as much.
//!
//! The text is read by the crate `cel`; what it means is said here, for three things depend on it: steps are counted, so
//! that an expression of a stranger ends soon and with the same word each time; what is not known before a merge (who
//! asks, what an authorizer would say) is told apart from what is wrong; and errors are worded as the API server words
//! them. Source: the language's definition, and Kubernetes' page "Common Expression Language in Kubernetes".
//!
//! Read [`expression`], [`evaluate`], then [`functions`].

mod evaluate;
pub mod expression;
pub mod format;
mod functions;
mod lists;
pub mod network;
mod pattern;
mod strings;
mod time;
pub mod value;

#[cfg(test)]
mod tests;

pub use self::evaluate::{Budget, Fault, Run, Variable};
pub use self::expression::{Expression, Unreadable};
pub use self::value::Value;
