//! Executes a plan.

pub mod event;
pub mod repair;
