//! A real control plane on loopback, for the demo and the tests: etcd, the API server, the controller manager and the
//! scheduler as plain processes, and kwok, which plays the nodes and their pods.
//!
//! **In:** nothing but Go, once, to build the servers ([`Binaries`]). **Out:** a [`ControlPlane`] with its kubeconfigs.
//! **May not:** read or change a kubeconfig of the person's own, listen on anything but loopback, or leave a process or
//! a directory behind, however its own process ends ([`Process`]).
//!
//! Beside it, for tests of traffic: a real [`Router`], a real [`Prometheus`], the [`PodHost`] that answers for the
//! pods, the [`Load`] of clients, and the [`Definitions`] of the kinds that routers read. For tests of previews: a real
//! forge, [`Gitea`]; for tests of images a real [`Registry`].
//!
//! Nothing here is used by the daemon. Read [`control_plane`], then [`process`], [`pod_host`] and [`router`].

mod binaries;
mod certificates;
mod control_plane;
mod definitions;
mod error;
mod forge;
mod load;
mod pod_host;
mod ports;
mod probe;
mod process;
mod prometheus;
mod registry;
mod router;
mod workshop;

pub use binaries::{Binaries, Program};
pub use control_plane::{ControlPlane, Controllers, Directory, Options, Pods};
pub use definitions::Definitions;
pub use error::Error;
pub use forge::{Gitea, Member};
pub use load::{Load, Sample, Wire, by_version};
pub use pod_host::{PodHost, Tally};
pub use process::{Process, Signal};
pub use prometheus::Prometheus;
pub use registry::{Admission, Registry};
pub use router::Router;
pub use workshop::Progress;
