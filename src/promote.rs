//! A version's way from one environment to the next.
//!
//! **In:** what a registry has, files and what is to be written into them. **Out:** which version an environment is to have, the
//! files with that and nothing else changed. **May not:** do I/O, or read a clock.
//!
//! Read [`image`], which chooses a version, and [`edit`], which changes a file.

pub mod edit;
pub mod image;
