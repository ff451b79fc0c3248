//! A version's way from one environment to the next.
//!
//! **In:** files and what is to be written into them. **Out:** the files with that and nothing else changed. **May not:** do
//! I/O, or read a clock.
//!
//! Read [`edit`], which changes a file.

pub mod edit;
