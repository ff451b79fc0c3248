//! Carrying commits that have proved themselves from one environment to the next.
//!
//! **In:** what users wrote ([`crate::api::leeboard::promotion`]), and what was seen of git, the forge and the cluster, as
//! values. **Out:** which commit an environment takes next, what each gate says in one sentence, what is to be done now.
//! **May not:** do I/O or read a clock; take a gate's answer from memory instead of from what was seen; or let anything pass
//! for want of data.
//!
//! Read [`track`] (which commit has been where, and for how long), [`candidate`] (what comes next), [`gate`] (may it enter),
//! then [`machine`] (one promotion from its beginning to its end). [`graph`] refuses environments that lead in a circle,
//! [`vulnerability`] judges what scanners have found, [`signature`] who has signed what, [`window`] knows when a branch is closed,
//! [`message`] writes what git and people read.
//!
//! New versions come in otherwise: [`image`] chooses one of those that a registry has, [`edit`] writes it into a file and leaves
//! every other byte as it was.

pub mod asked;
pub mod candidate;
pub mod edit;
pub mod gate;
pub mod graph;
pub mod image;
pub mod machine;
pub mod message;
pub mod signature;
pub mod track;
pub mod vulnerability;
pub mod window;

#[cfg(test)]
mod tests;
