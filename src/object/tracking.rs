//! Whose an object is: Argo CD's tracking annotation, and the ApplySet label.
//!
//! Semantics: Argo CD 3.x `resource_tracking.md` (SEMANTICS a.7) and KEP-3659.

use std::fmt;

use sha2::{Digest, Sha256};
use smol_str::SmolStr;

use super::ObjectKey;

/// The application an object says it belongs to, and the identity it had when that was written.
///
/// Another controller may copy annotations to objects of its own; [`Tracking::is_of`] tells such copies apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tracking {
    /// `<app>`, or `<app-namespace>_<app>` when the Application lives outside the control-plane namespace.
    pub application: SmolStr,
    /// The identity that the annotation names.
    pub key: ObjectKey,
}

impl Tracking {
    /// Reads `<app>:<group>/<Kind>:<namespace>/<name>`; `None` when it has another shape.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (application, group_kind, place) = (parts.next()?, parts.next()?, parts.next()?);
        let (group, kind) = group_kind.split_once('/')?;
        let (namespace, name) = place.split_once('/')?;
        Some(Tracking {
            application: application.into(),
            key: ObjectKey {
                group: group.into(),
                kind: kind.into(),
                namespace: (!namespace.is_empty()).then(|| namespace.into()),
                name: name.into(),
            },
        })
    }

    /// True when the annotation was written for this very object; a cluster-scoped one may name any namespace.
    pub fn is_of(&self, live: &ObjectKey) -> bool {
        self.key.group == live.group
            && self.key.kind == live.kind
            && self.key.name == live.name
            && (live.namespace.is_none() || self.key.namespace == live.namespace)
    }
}

/// As the annotation is written.
impl fmt::Display for Tracking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ObjectKey { group, kind, namespace, name } = &self.key;
        let namespace = namespace.as_deref().unwrap_or_default();
        write!(f, "{}:{group}/{kind}:{namespace}/{name}", self.application)
    }
}

/// The value of the label `applyset.kubernetes.io/part-of` on all objects of one application.
///
/// `applyset-<base64url(sha256("<name>.<namespace>.<kind>.<group>"))>-v1`, the parent being the Application.
pub fn part_of(application: &str, namespace: &str) -> SmolStr {
    applyset(application, namespace, "Application", "argoproj.io")
}

/// The id of the ApplySet whose parent is this object.
pub fn applyset(name: &str, namespace: &str, kind: &str, group: &str) -> SmolStr {
    use base64::Engine as _;
    let parent = format!("{name}.{namespace}.{kind}.{group}");
    let hash = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(parent.as_bytes()));
    smol_str::format_smolstr!("applyset-{hash}-v1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotation_reads_back_as_written() {
        for text in [
            "guestbook:/Service:default/web",
            "shop:apps/Deployment:shop/api",
            "team_shop:rbac.authorization.k8s.io/ClusterRole:shop/x",
        ] {
            assert_eq!(Tracking::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "web", "a:b:c", "a:/Service:web"] {
            assert_eq!(Tracking::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_copied_annotation_does_not_count() {
        let key = |namespace: Option<&str>, name: &str| ObjectKey {
            group: "".into(),
            kind: "Service".into(),
            namespace: namespace.map(Into::into),
            name: name.into(),
        };
        let tracking = Tracking::parse("web:/Service:default/web").unwrap();
        assert!(tracking.is_of(&key(Some("default"), "web")));
        assert!(!tracking.is_of(&key(Some("other"), "web")));
        assert!(!tracking.is_of(&key(Some("default"), "copy")));
        assert!(tracking.is_of(&key(None, "web")), "a cluster-scoped object names its application's namespace");
    }

    #[test]
    fn the_label_fits_a_label_value() {
        let label = part_of("shop", "leeboard");
        assert_eq!(label.len(), 55);
        assert!(label.starts_with("applyset-") && label.ends_with("-v1"));
    }
}
