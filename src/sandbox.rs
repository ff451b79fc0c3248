//! A real control plane on loopback, for the demo and the tests: etcd, the API server, the controller manager and the
//! scheduler as plain processes, and kwok, which plays the nodes and their pods.
//!
//! **In:** nothing but Go, once, to build the servers ([`Binaries`]). **Out:** a [`ControlPlane`] with its kubeconfigs.
//! **May not:** read or change a kubeconfig of the person's own, listen on anything but loopback, or leave a process or
//! a directory behind, however its own process ends ([`Process`]).
//!
//! Nothing here is used by the daemon. Read [`control_plane`], then [`process`].

mod binaries;
mod certificates;
mod control_plane;
mod error;
mod ports;
mod process;
mod workshop;

pub use binaries::{Binaries, Program};
pub use control_plane::{ControlPlane, Controllers, Directory, Options, Pods};
pub use error::Error;
pub use process::{Process, Signal};
pub use workshop::Progress;
