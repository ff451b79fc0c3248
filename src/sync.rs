//! Executes a plan.

pub mod decide;
pub mod event;
pub mod machine;
pub mod repair;
pub mod status;
