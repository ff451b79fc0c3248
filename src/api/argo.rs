//! Argo CD's kinds, field by field as its clients write and read them.
//!
//! **In, out:** JSON exactly as Argo CD's: the same names, empty fields omitted. **May not:** lose a field that a
//! client wrote where Leeboard writes the object back (it writes status and `operation` only).
//!
//! Read [`application`], then [`source`], [`policy`] and [`options`] for its spec, [`status`] for what is reported;
//! [`glob`] has the patterns that fields hold.

pub mod application;
pub mod glob;
pub mod options;
pub mod policy;
pub mod project;
pub mod source;
pub mod status;

pub use application::{
    Application, ApplicationSpec, Destination, IgnoreDifference, Info, Initiator, Operation, SelectedResource,
    SyncOperation, SyncStrategy,
};
pub use options::{Consent, Propagation, SyncOptions};
pub use policy::{Automated, Backoff, ManagedNamespaceMetadata, Retry, SyncPolicy};
pub use project::{
    AppProject, AppProjectSpec, AppProjectStatus, ClusterResource, DestinationServiceAccount, NamespacedResource,
    OrphanedResources, PreviewRule, ProjectDestination, ProjectPreviews, ProjectRole, SyncWindow,
};
pub use source::{Directory, Helm, Kustomize, KustomizePatch, KustomizeSelector, Plugin, Source, SourceHydrator};
pub use status::{
    ApplicationStatus, ComparedTo, Condition, HealthStatus, HistoryEntry, OperationPhase, OperationState,
    ResourceResult, ResourceStatus, Summary, SyncResult, SyncState, SyncStatus,
};
