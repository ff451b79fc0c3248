//! What `buildMetadata` writes into annotations: where an object came from, and what changed it.

use std::sync::Arc;

use crate::source::TreePath;
use crate::yaml;

/// The annotation that says where an object came from.
pub(super) const ORIGIN: &str = "config.kubernetes.io/origin";

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

    fn lines(&self) -> Vec<String> {
        match self {
            BuildOrigin::File(path) => vec![format!("path: {}", scalar(path))],
            BuildOrigin::Configured { file, api_version, kind, name, namespace } => {
                let mut lines = vec![format!("configuredIn: {}", scalar(file)), "configuredBy:".into()];
                let fields = [("apiVersion", api_version), ("kind", kind), ("name", name), ("namespace", namespace)];
                let filled = fields.into_iter().filter(|(_, value)| !value.is_empty());
                lines.extend(filled.map(|(field, value)| format!("  {field}: {}", scalar(value))));
                lines
            }
        }
    }

    /// As the annotation says it.
    pub(super) fn text(&self) -> String {
        self.lines().iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }
}

/// Text as YAML writes it, in quotes where it needs them.
fn scalar(text: &str) -> String {
    yaml::emit::to_string(&text.into()).trim_end().to_owned()
}

/// A list of transformers, as the annotation says it.
pub(super) fn list_text(origins: &[Arc<BuildOrigin>]) -> String {
    let mut text = String::new();
    for origin in origins {
        for (at, line) in origin.lines().iter().enumerate() {
            text.push_str(if at == 0 { "- " } else { "  " });
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// How paths are shown: from the root of the build, by the entries that lead to them. kustomize does not know what the
/// directories are called that these leave.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    root: TreePath,
    directory: String,
}

impl Shown {
    /// In the root of the build.
    pub(super) fn from(root: &TreePath) -> Self {
        Shown { root: root.clone(), directory: String::new() }
    }

    /// In the directory that an entry names.
    pub(super) fn below(&self, entry: &str) -> Self {
        Shown { root: self.root.clone(), directory: self.file(entry) }
    }

    /// In a directory that no path leads to.
    pub(super) fn elsewhere(&self, path: &TreePath) -> Self {
        Shown { root: self.root.clone(), directory: relative(&self.root, path) }
    }

    /// The file that an entry names.
    pub(super) fn file(&self, entry: &str) -> String {
        let mut parts: Vec<&str> = Vec::new();
        for part in self.directory.split('/').chain(entry.split('/')) {
            match part {
                "" | "." => {}
                ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        parts.join("/")
    }
}

/// The path to `path` as seen from the directory `from`.
fn relative(from: &TreePath, path: &TreePath) -> String {
    let parts = |path: &TreePath| -> Vec<String> {
        path.as_str().split('/').filter(|part| !part.is_empty()).map(Into::into).collect()
    };
    let (from, path) = (parts(from), parts(path));
    let shared = from.iter().zip(&path).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n("..", from.len() - shared);
    let down = path.iter().skip(shared).map(String::as_str);
    up.chain(down).collect::<Vec<&str>>().join("/")
}
