//! The variables that a source may use in its `kustomize` section, under the names of Argo CD's build environment.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::Request;

/// Values by name, and whether one that tells the commit was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Variables {
    values: BTreeMap<&'static str, String>,
    named_commit: Cell<bool>,
}

/// How the names of those begin that tell the commit.
const REVISION: &str = "ARGOCD_APP_REVISION";

/// The build environment of a request.
pub(super) fn variables(request: &Request<'_>) -> Variables {
    let source = request.source;
    let first = |length: usize| request.commit.get(..length).unwrap_or(request.commit);
    let values = [
        ("ARGOCD_APP_NAME", request.application),
        ("ARGOCD_APP_NAMESPACE", request.namespace.unwrap_or_default()),
        ("ARGOCD_APP_PROJECT_NAME", request.project),
        ("ARGOCD_APP_REVISION", request.commit),
        ("ARGOCD_APP_REVISION_SHORT", first(7)),
        ("ARGOCD_APP_REVISION_SHORT_8", first(8)),
        ("ARGOCD_APP_SOURCE_REPO_URL", &source.repo_url),
        ("ARGOCD_APP_SOURCE_PATH", source.path().unwrap_or_default()),
        ("ARGOCD_APP_SOURCE_TARGET_REVISION", source.target_revision.as_deref().unwrap_or_default()),
    ];
    Variables::new(values.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
}

impl Variables {
    fn new(values: BTreeMap<&'static str, String>) -> Self {
        Variables { values, named_commit: Cell::new(false) }
    }

    /// True once a value was put in that is another one at every commit.
    pub(super) fn named_commit(&self) -> bool {
        self.named_commit.get()
    }

    /// Puts values in place of `$NAME` and `${NAME}`; `$$` is a dollar sign, an unknown name is nothing.
    pub(super) fn substitute(&self, text: &str) -> String {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            result.push_str(before);
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                result.push('$');
                rest = after;
            } else if let Some((name, after)) = rest.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
                result.push_str(self.value(name));
                rest = after;
            } else {
                let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
                let end = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                if name.is_empty() {
                    result.push('$');
                }
                result.push_str(self.value(name));
                rest = after;
            }
        }
        result.push_str(rest);
        result
    }

    fn value(&self, name: &str) -> &str {
        if name.starts_with(REVISION) {
            self.named_commit.set(true);
        }
        self.values.get(name).map(String::as_str).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_values() {
        let variables = Variables::new(BTreeMap::from([
            ("ARGOCD_APP_NAME", "web".to_owned()),
            ("ARGOCD_APP_REVISION_SHORT", "3f9a1c2".to_owned()),
        ]));
        let cases = [
            // text                                     result
            ("plain", "plain"),
            ("$ARGOCD_APP_NAME-$ARGOCD_APP_REVISION_SHORT", "web-3f9a1c2"),
            ("${ARGOCD_APP_NAME}x", "webx"),
            ("$$ARGOCD_APP_NAME", "$ARGOCD_APP_NAME"),
            ("$HOME/x", "/x"),
            ("5$", "5$"),
            ("a$-b", "a$-b"),
            ("${ARGOCD_APP_NAME", "${ARGOCD_APP_NAME"),
        ];
        for (text, expected) in cases {
            assert_eq!(variables.substitute(text), expected, "{text}");
        }
        assert!(variables.named_commit());
    }
}
