//! Executes a plan.

pub mod apply;
pub mod decide;
pub mod event;
<<<<<<< HEAD
pub mod execute;
=======
>>>>>>> plan
pub mod machine;
pub mod repair;
pub mod status;
