//! Executes a plan, resumes it, reports it.
//!
//! **In:** a plan, the Application it is for. **Out:** a changed cluster, wave by wave; the Application's status and
//! Events. **May not:** write anything but the plan's permitted steps, or decide outside its pure parts.
//!
//! Pure: [`decide`] (whether to sync), [`machine`] (what goes now, what is waited for), [`repair`] (what the API
//! server would refuse), [`status`] and [`event`] (the words). I/O: [`proof`] (what no apply is on record for), [`course`] (a
//! sync on its way), [`execute`] and [`apply`], one step each.

pub mod apply;
pub mod course;
pub mod decide;
pub mod event;
pub mod execute;
pub mod machine;
pub mod proof;
pub mod repair;
pub mod status;
