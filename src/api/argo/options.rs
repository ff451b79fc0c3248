//! Sync options: `Name=value`, of a whole sync or of one object, compared as exact strings.

/// Whether something may be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Consent {
    /// `=true`
    Yes,
    /// `=false`
    No,
    /// `=confirm`: only after a person approved it on the Application.
    Confirm,
}

/// What becomes of the dependents of a deleted object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Propagation {
    /// They go first.
    #[default]
    Foreground,
    /// They go later.
    Background,
    /// They stay.
    Orphan,
}

impl Propagation {
    /// The word of Kubernetes' `DeleteOptions`.
    pub fn as_str(self) -> &'static str {
        match self {
            Propagation::Foreground => "Foreground",
            Propagation::Background => "Background",
            Propagation::Orphan => "Orphan",
        }
    }
}

/// The options of a sync (`syncOptions` lists) or of one object (the annotation `argocd.argoproj.io/sync-options`).
///
/// As to Argo CD, `Prune = false` or `prune=false` are unknown; they are kept in [`SyncOptions::unknown`] so that
/// a person can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncOptions {
    /// Create the destination namespace first.
    pub create_namespace: bool,
    /// May what git no longer has be deleted.
    pub prune: Option<Consent>,
    /// May it be deleted with its application.
    pub delete: Option<Consent>,
    /// Prune after all waves.
    pub prune_last: bool,
    /// What becomes of the dependents of what is pruned.
    pub prune_propagation: Option<Propagation>,
    /// `Validate=false`: no schema validation.
    pub skips_validation: bool,
    /// A kind that the cluster does not know is no error in the dry run.
    pub skip_dry_run_on_missing_resource: bool,
    /// Leave alone what is in sync.
    pub apply_out_of_sync_only: bool,
    /// PUT instead of apply.
    pub replace: bool,
    /// Delete and create what cannot be changed in place.
    pub force: bool,
    /// Stated either way; an object's own word wins.
    pub server_side_apply: Option<bool>,
    /// `false`: leave the ownership of `kubectl apply` as it is.
    pub client_side_apply_migration: Option<bool>,
    /// Fail when an object belongs to another application.
    pub fail_on_shared_resource: bool,
    /// Ignored differences are not applied either.
    pub respect_ignore_differences: bool,
    /// What was not understood, as written.
    pub unknown: Vec<String>,
}

impl SyncOptions {
    /// Reads a `syncOptions` list.
    pub fn parse<S: AsRef<str>>(options: &[S]) -> Self {
        let mut parsed = SyncOptions::default();
        for option in options {
            parsed.add(option.as_ref());
        }
        parsed
    }

    /// Reads an object's annotation: a comma list, spaces around its entries allowed.
    pub fn parse_annotation(text: &str) -> Self {
        let mut parsed = SyncOptions::default();
        for option in text.split(',').map(str::trim).filter(|option| !option.is_empty()) {
            parsed.add(option);
        }
        parsed
    }

    fn add(&mut self, option: &str) {
        match option {
            "CreateNamespace=true" => self.create_namespace = true,
            "Prune=true" => self.prune = Some(Consent::Yes),
            "Prune=false" => self.prune = Some(Consent::No),
            "Prune=confirm" => self.prune = Some(Consent::Confirm),
            "Delete=true" => self.delete = Some(Consent::Yes),
            "Delete=false" => self.delete = Some(Consent::No),
            "Delete=confirm" => self.delete = Some(Consent::Confirm),
            "PruneLast=true" => self.prune_last = true,
            "PrunePropagationPolicy=foreground" => self.prune_propagation = Some(Propagation::Foreground),
            "PrunePropagationPolicy=background" => self.prune_propagation = Some(Propagation::Background),
            "PrunePropagationPolicy=orphan" => self.prune_propagation = Some(Propagation::Orphan),
            "Validate=false" => self.skips_validation = true,
            "SkipDryRunOnMissingResource=true" => self.skip_dry_run_on_missing_resource = true,
            "ApplyOutOfSyncOnly=true" => self.apply_out_of_sync_only = true,
            "Replace=true" => self.replace = true,
            "Force=true" => self.force = true,
            "ServerSideApply=true" => self.server_side_apply = Some(true),
            "ServerSideApply=false" => self.server_side_apply = Some(false),
            "ClientSideApplyMigration=true" => self.client_side_apply_migration = Some(true),
            "ClientSideApplyMigration=false" => self.client_side_apply_migration = Some(false),
            "FailOnSharedResource=true" => self.fail_on_shared_resource = true,
            "RespectIgnoreDifferences=true" => self.respect_ignore_differences = true,
            // The defaults, spelled out: known, and nothing to do.
            "CreateNamespace=false"
            | "PruneLast=false"
            | "Validate=true"
            | "SkipDryRunOnMissingResource=false"
            | "ApplyOutOfSyncOnly=false"
            | "Replace=false"
            | "Force=false"
            | "FailOnSharedResource=false"
            | "RespectIgnoreDifferences=false" => {}
            other => self.unknown.push(other.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_exact_strings() {
        let cases = [
            // annotation, prune, unknown
            ("Prune=false", Some(Consent::No), &[][..]),
            ("Prune=confirm,Delete=false", Some(Consent::Confirm), &[]),
            ("Replace=true, Prune=false", Some(Consent::No), &[]),
            ("Prune = false", None, &["Prune = false"]),
            ("prune=false", None, &["prune=false"]),
            ("", None, &[]),
        ];
        for (text, prune, unknown) in cases {
            let options = SyncOptions::parse_annotation(text);
            assert_eq!(options.prune, prune, "{text}");
            assert_eq!(options.unknown, unknown, "{text}");
        }
    }

    #[test]
    fn a_list_is_read_entry_by_entry() {
        let options = SyncOptions::parse(&["CreateNamespace=true", "PrunePropagationPolicy=orphan", "A=b"]);
        assert!(options.create_namespace);
        assert_eq!(options.prune_propagation, Some(Propagation::Orphan));
        assert_eq!(options.unknown, ["A=b"]);
    }
}
