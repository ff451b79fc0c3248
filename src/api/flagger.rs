//! Flagger's kinds, `flagger.app/v1beta1`: `Canary`, `MetricTemplate`, `AlertProvider`.
//!
//! **In, out:** JSON as Flagger's clients write and read it; what only Leeboard knows is optional and says so.
//! **May not:** refuse a field that no type here names, or hold behaviour beyond a field's default.
//!
//! Read [`canary`], then [`service`] and [`analysis`] for its spec and [`status`] for what is reported; [`template`] and
//! [`alert`] are the two other kinds. Semantics: docs/canary.md.

pub mod alert;
pub mod analysis;
pub mod canary;
pub mod service;
pub mod status;
pub mod template;

pub use alert::{AlertProvider, AlertProviderSpec, AlertProviderType};
pub use analysis::{
    Alert, Analysis, HookType, Metric, MetricMode, Pause, SameSite, SessionAffinity, Severity, Step, StepAnalysis,
    StepHeader, StepMirror, StepScale, ThresholdRange, Webhook,
};
pub use canary::{AutoscalerReference, Canary, CanarySpec, ObjectReference, Provider, ScalerReplicas};
pub use service::{
    CorsPolicy, CustomMetadata, HeaderOperations, Headers, HttpMatch, ParentReference, Retries, Rewrite, RewriteType,
    Service, StringMatch, UnmanagedMetadata,
};
pub use status::{CanaryCondition, CanaryStatus, Phase};
pub use template::{MetricProvider, MetricProviderType, MetricTemplate, MetricTemplateSpec};

/// The version of all kinds here.
pub const VERSION: &str = "v1beta1";
