//! What `buildMetadata` writes into annotations: where an object came from, and what changed it.

use crate::source::TreePath;

/// Where an object was written, or what made or changed it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum BuildOrigin {
    /// A file with objects, from the root of the build.
    File(String),
    /// A generator or transformer.
    Configured {
        /// The file that configures it, from the root of the build.
        file: String,
        /// The plugin: apiVersion, kind, and the name of its object when it has one.
        api_version: String,
        /// Its kind.
        kind: String,
        /// The name of the object that configures it; empty for fields of a kustomization.
        name: String,
        /// The namespace of that object.
        namespace: String,
    },
}

impl BuildOrigin {
    /// A generator or transformer that a field of a kustomization asks for.
    pub(super) fn builtin(file: String, kind: &str) -> Self {
        BuildOrigin::Configured {
            file,
            api_version: "builtin".into(),
            kind: kind.into(),
            name: String::new(),
            namespace: String::new(),
        }
    }
}

/// The path to `path` as seen from the directory `from`.
pub(super) fn relative(from: &TreePath, path: &TreePath) -> String {
    let parts = |path: &TreePath| -> Vec<String> {
        path.as_str().split('/').filter(|part| !part.is_empty()).map(Into::into).collect()
    };
    let (from, path) = (parts(from), parts(path));
    let shared = from.iter().zip(&path).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n("..", from.len() - shared);
    let down = path.iter().skip(shared).map(String::as_str);
    up.chain(down).collect::<Vec<&str>>().join("/")
}
