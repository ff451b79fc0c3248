//! Executes a plan.

pub mod apply;
pub mod decide;
pub mod event;
pub mod execute;
pub mod machine;
pub mod repair;
pub mod status;
