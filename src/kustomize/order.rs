//! In which order objects are printed.

use std::cmp::Ordering;
use std::sync::Arc;

use smol_str::SmolStr;

use super::error::{Error, Problem};
use super::file::SortOptions;
use super::resource::{Gvk, Resource};

/// In which order objects are printed, unless the kustomization says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reorder {
    /// By kind, so that what others need comes first.
    #[default]
    Legacy,
    /// As they were written.
    None,
}

const FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];

const LAST: [&str; 2] = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"];

/// True when the objects are sorted, and not left as they were written.
pub(super) fn is_by_kind(options: Option<&SortOptions>, reorder: Reorder) -> bool {
    match options {
        Some(options) => options.order.as_ref().is_none_or(|order| order.as_str() != "fifo"),
        None => reorder == Reorder::Legacy,
    }
}

/// Sorts as the root kustomization says, or else as the caller wants.
///
/// # Errors
/// When `sortOptions` names an order that does not exist, or lists kinds for one that has no use for them.
pub(super) fn sort(
    resources: &mut [Arc<Resource>],
    options: Option<&SortOptions>,
    reorder: Reorder,
) -> Result<(), Error> {
    let (mut first, mut last): (Vec<SmolStr>, Vec<SmolStr>) =
        (FIRST.map(SmolStr::new_static).to_vec(), LAST.map(SmolStr::new_static).to_vec());
    if let Some(options) = options {
        match options.order.as_ref().map(|order| order.as_str()) {
            Some("legacy") => {
                if let Some((orderly_first, orderly_last)) = &options.legacy {
                    (first, last) = (orderly_first.clone(), orderly_last.clone());
                }
            }
            Some("fifo") if options.legacy.is_some() => {
                let problem = Problem::Exclusive { one: "order: fifo", other: "legacySortOptions" };
                return Err(Error::at(&options.at, problem));
            }
            Some("fifo") => return Ok(()),
            other => {
                let value = other.unwrap_or_default().to_owned();
                let problem = Problem::WrongValue { field: "order".into(), value, expected: "`fifo` or `legacy`" };
                return Err(Error::at(&options.at, problem));
            }
        }
    } else if reorder == Reorder::None {
        return Ok(());
    }
    resources.sort_by_cached_key(|resource| Key::new(resource, place(resource.kind(), &first, &last)));
    Ok(())
}

/// What kinds are compared by: their place in the order that is built in, then their names.
pub(super) fn rank(gvk: &Gvk) -> (i64, String) {
    (place(&gvk.kind, &FIRST, &LAST), name(gvk))
}

/// A kind as kustomize names it to sort it.
fn name(gvk: &Gvk) -> String {
    format!("{}_{}_{}", or(&gvk.group, "~G"), or(&gvk.version, "~V"), or(&gvk.kind, "~K"))
}

fn or<'a>(text: &'a str, empty: &'static str) -> &'a str {
    if text.is_empty() { empty } else { text }
}

/// Below 0 for kinds that go first, above 0 for those that go last.
fn place<T: AsRef<str>>(kind: &str, first: &[T], last: &[T]) -> i64 {
    let position = |list: &[T]| list.iter().position(|known| known.as_ref() == kind);
    let signed = |at: usize| i64::try_from(at).unwrap_or(i64::MAX);
    match (position(first), position(last)) {
        (Some(at), _) => signed(at) - signed(first.len()),
        (None, Some(at)) => signed(at) + 1,
        (None, None) => 0,
    }
}

/// What two objects are compared by.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    rank: i64,
    gvk: String,
    id: String,
    /// Namespaces come sorted the other way round where their names say something.
    reversed: bool,
}

impl Key {
    fn new(resource: &Resource, rank: i64) -> Self {
        let id = resource.id();
        let Gvk { group, version, kind } = &id.gvk;
        Key {
            rank,
            gvk: name(&id.gvk),
            id: format!(
                "{}.{}.{}|{}|{}",
                or(kind, "[noKind]"),
                or(version, "[noVer]"),
                or(group, "[noGrp]"),
                or(&id.namespace, "~X"),
                or(&id.name, "~N")
            ),
            reversed: kind == "Namespace",
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank).then_with(|| {
            let by_kind = self.gvk.cmp(&other.gvk);
            let by_kind = if self.reversed && other.reversed { by_kind.reverse() } else { by_kind };
            by_kind.then_with(|| self.id.cmp(&other.id))
        })
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
