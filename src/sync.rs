//! Executes a plan.

pub mod repair;
