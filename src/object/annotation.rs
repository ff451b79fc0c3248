//! The names of annotations and labels that steer Leeboard, in one list.
//!
//! Argo CD's keep their names, so that manifests work unchanged (SEMANTICS: Argo CD 3.x `sync-options.md`,
//! `sync-waves.md`, `resource_hooks.md`); Leeboard's own begin with `leeboard.dev/`.

/// Integer; objects of one wave are applied together, the next wave waits for their health.
pub const SYNC_WAVE: &str = "argocd.argoproj.io/sync-wave";
/// Comma list of phases.
pub const HOOK: &str = "argocd.argoproj.io/hook";
/// Comma list of `HookSucceeded`, `HookFailed`, `BeforeHookCreation`.
pub const HOOK_DELETE_POLICY: &str = "argocd.argoproj.io/hook-delete-policy";
/// Helm's spelling of [`HOOK`].
pub const HELM_HOOK: &str = "helm.sh/hook";
/// Helm's spelling of [`HOOK_DELETE_POLICY`].
pub const HELM_HOOK_DELETE_POLICY: &str = "helm.sh/hook-delete-policy";
/// The wave of a hook that has no [`SYNC_WAVE`].
pub const HELM_HOOK_WEIGHT: &str = "helm.sh/hook-weight";
/// `keep`: never pruned, never deleted with the application.
pub const HELM_RESOURCE_POLICY: &str = "helm.sh/resource-policy";
/// Comma list of `Prune=false`, `Replace=true` …
pub const SYNC_OPTIONS: &str = "argocd.argoproj.io/sync-options";
/// Comma list; `IgnoreExtraneous`.
pub const COMPARE_OPTIONS: &str = "argocd.argoproj.io/compare-options";
/// `true`: the object's health does not count for the application's.
pub const IGNORE_HEALTHCHECK: &str = "argocd.argoproj.io/ignore-healthcheck";
/// `true`: a Pod that is not restarted is judged like a long-running one.
pub const IGNORE_RESTART_POLICY: &str = "argocd.argoproj.io/ignore-restart-policy";
/// `<app>:<group>/<Kind>:<namespace>/<name>`: whose an object is.
pub const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
/// On an Application: `normal` or `hard`; removed when done.
pub const REFRESH: &str = "argocd.argoproj.io/refresh";
/// On an Application: a boolean-true string makes the daemon leave it alone.
pub const SKIP_RECONCILE: &str = "argocd.argoproj.io/skip-reconcile";
/// On an Application: when a person approved what `Prune=confirm` and `Delete=confirm` guard.
pub const DELETION_APPROVED: &str = "argocd.argoproj.io/deletion-approved";
/// Keeps a hook until its result has been seen.
pub const HOOK_FINALIZER: &str = "argocd.argoproj.io/hook-finalizer";
/// On an Application: delete its objects with it.
pub const RESOURCES_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

/// Label on everything that Leeboard applies: the ApplySet it belongs to (KEP-3659). Watches select on it.
pub const PART_OF: &str = "applyset.kubernetes.io/part-of";
/// On an Application: the uids of what it has applied (`plan::inventory`).
pub const INVENTORY: &str = "leeboard.dev/inventory";
/// On a hook: the hash of the plan that runs it.
pub const PLAN: &str = "leeboard.dev/plan";
/// On a root Application: the environment whose cluster directory it is.
pub const ENVIRONMENT: &str = "leeboard.dev/environment";
/// On what a pull request is deployed with before it is merged: the environment that it is for.
pub const EPHEMERAL: &str = "leeboard.dev/ephemeral";
/// On the same: the pull request's number.
pub const PULL: &str = "leeboard.dev/pull";
/// On its AppProject: the commit that is deployed.
pub const HEAD: &str = "leeboard.dev/head";
/// On its AppProject: since when.
pub const SINCE: &str = "leeboard.dev/since";
/// On its AppProject: `true` when its time is over, and it was taken away.
pub const OVER: &str = "leeboard.dev/over";
/// On an AppProject: [`ALLOW`] lets commits be made in its environments without a person.
pub const AUTO_PROMOTION: &str = "leeboard.dev/auto-promotion";
/// On an AppProject: [`ALLOW`] lets waivers count for what is critical.
pub const CRITICAL_WAIVERS: &str = "leeboard.dev/critical-waivers";
/// The word that permits.
pub const ALLOW: &str = "allow";
/// On an Application: `<plan> <phase> <wave>`, where the sync under way stands.
pub const PROGRESS: &str = "leeboard.dev/progress";
/// On an Application: the hash of a plan whose prunes a person confirmed, beyond the shrink guard.
pub const CONFIRM_PRUNE: &str = "leeboard.dev/confirm-prune";
