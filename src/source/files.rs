//! [`Files`]: the one way in which anything that renders sees a tree.

use std::fmt;
use std::sync::Arc;

use super::remote::Remote;

/// A path inside a tree: slash-separated, without `.`, `..`, empty parts or a leading slash. The root is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreePath(Arc<str>);

impl TreePath {
    /// The tree itself.
    pub fn root() -> Self {
        TreePath::default()
    }

    /// Normalises a path that starts at the tree's root.
    ///
    /// # Errors
    /// [`Error::Escapes`] when it is absolute, climbs above the root, or holds a NUL or a backslash-free oddity that
    /// no git tree can hold.
    pub fn new(path: &str) -> Result<Self, Error> {
        TreePath::root().join(path)
    }

    /// The path that `relative` names, seen from this directory.
    ///
    /// # Errors
    /// [`Error::Escapes`] when `relative` is absolute or leaves the tree.
    pub fn join(&self, relative: &str) -> Result<Self, Error> {
        let escapes = || Error::Escapes { path: relative.into(), from: self.clone() };
        if relative.starts_with('/') || relative.contains('\0') {
            return Err(escapes());
        }
        // Most paths say nothing but where to go down.
        if relative.split('/').all(|part| !matches!(part, "" | "." | "..")) {
            return Ok(TreePath(if self.0.is_empty() {
                relative.into()
            } else {
                format!("{}/{relative}", self.0).into()
            }));
        }
        let mut parts: Vec<&str> = self.0.split('/').filter(|part| !part.is_empty()).collect();
        for part in relative.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop().ok_or_else(escapes)?),
                part => parts.push(part),
            }
        }
        Ok(TreePath(parts.join("/").into()))
    }

    /// The directory that holds it; `None` for the root.
    pub fn parent(&self) -> Option<TreePath> {
        match self.0.rsplit_once('/') {
            Some((parent, _)) => Some(TreePath(parent.into())),
            None if self.0.is_empty() => None,
            None => Some(TreePath::root()),
        }
    }

    /// The last part; empty for the root.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The path from `ancestor` to this; `None` when it does not lie there.
    pub fn below(&self, ancestor: &TreePath) -> Option<TreePath> {
        if !self.is_within(ancestor) {
            return None;
        }
        let rest = self.0.get(ancestor.0.len()..).unwrap_or_default();
        Some(TreePath(rest.trim_start_matches('/').into()))
    }

    /// True when this is `ancestor` or lies below it.
    pub fn is_within(&self, ancestor: &TreePath) -> bool {
        ancestor.0.is_empty()
            || self.0 == ancestor.0
            || self.0.strip_prefix(&*ancestor.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// As text, without a leading slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "." } else { &self.0 })
    }
}

/// What stands at a path, symbolic links already followed inside the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// What is read of a tree. Every path that is asked for, found or not, belongs to the read set.
///
/// Implementations follow symbolic links inside the tree themselves and refuse those that leave it; a submodule is
/// an empty directory. Names and file contents are bytes a stranger chose.
pub trait Files: Send + Sync {
    /// What stands at `path`; `None` when nothing does (also for a dangling link).
    ///
    /// # Errors
    /// When the path leads out of the tree through a link, or the tree can't be read.
    fn entry(&self, path: &TreePath) -> Result<Option<Entry>, Error>;

    /// The bytes of the file at `path`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotAFile`], [`Error::TooLarge`] and those of [`Files::entry`].
    fn read(&self, path: &TreePath) -> Result<Arc<[u8]>, Error>;

    /// The names in the directory at `path` with what they are, sorted bytewise; dangling links are left out.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotADirectory`] and those of [`Files::entry`].
    fn list(&self, path: &TreePath) -> Result<Vec<(String, Entry)>, Error>;

    /// Where the files of another repository stand in this tree; `None` when they don't, and then whoever made the tree
    /// knows that they were asked for.
    fn mount_point(&self, _remote: &Remote) -> Option<TreePath> {
        None
    }

    /// The root of the repository that `path` is in: nothing leads from one repository into another.
    fn root_of(&self, _path: &TreePath) -> TreePath {
        TreePath::root()
    }
}

/// The largest file that is read, in bytes: far above any manifest, far below what hurts.
pub const MAX_FILE_BYTES: u64 = 16 << 20;

/// Why something of a tree could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The path leaves the tree.
    #[error("`{path}` lies outside the repository (seen from `{from}`)")]
    Escapes {
        /// As it was written.
        path: String,
        /// The directory it was written in.
        from: TreePath,
    },
    /// A symbolic link leads out of the tree.
    #[error("the symbolic link `{link}` leads out of the repository, to `{target}`")]
    LinkEscapes {
        /// The link.
        link: TreePath,
        /// What it says.
        target: String,
    },
    /// Links lead in a circle.
    #[error("the symbolic link `{link}` leads in a circle")]
    LinkLoop {
        /// The link.
        link: TreePath,
    },
    /// Nothing is there.
    #[error("`{path}` does not exist")]
    NotFound {
        /// What was asked for.
        path: TreePath,
    },
    /// A directory where a file is wanted.
    #[error("`{path}` is a directory, expected a file")]
    NotAFile {
        /// What was asked for.
        path: TreePath,
    },
    /// A file where a directory is wanted.
    #[error("`{path}` is a file, expected a directory")]
    NotADirectory {
        /// What was asked for.
        path: TreePath,
    },
    /// Larger than [`MAX_FILE_BYTES`].
    #[error("`{path}` has {bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// The file.
        path: TreePath,
        /// Its size.
        bytes: u64,
        /// The limit in force.
        limit: u64,
    },
    /// The disk or the object store failed; trying again can help.
    #[error("cannot read `{path}`: {message}")]
    Unreadable {
        /// What was asked for.
        path: TreePath,
        /// What the system said.
        message: String,
    },
}

impl Error {
    /// True when trying again can help without a new commit.
    pub fn is_transient(&self) -> bool {
        matches!(self, Error::Unreadable { .. })
    }
}

/// For the tests of every kind of tree: each path with the content that it has, or words of the error.
#[cfg(test)]
pub(super) fn assert_reads(files: &dyn Files, cases: &[(&str, Result<&str, &str>)]) {
    for (asked, expected) in cases {
        let found = TreePath::new(asked).and_then(|path| files.read(&path));
        match (&found, expected) {
            (Ok(bytes), Ok(text)) => assert_eq!(&**bytes, text.as_bytes(), "{asked}"),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{asked}: {error}"),
            _ => panic!("{asked}: {found:?}, expected {expected:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_and_never_leave_the_tree() {
        let cases = [
            // from          relative        result
            ("", "a/b", Some("a/b")),
            ("a", "../b", Some("b")),
            ("a/b", "./../c//d/.", Some("a/c/d")),
            ("a", "..", Some("")),
            ("a", "../..", None),
            ("", "/etc/passwd", None),
            ("a/b", "../../../etc/passwd", None),
        ];
        for (from, relative, expected) in cases {
            let from = TreePath::new(from).unwrap();
            let joined = from.join(relative).ok();
            assert_eq!(joined.as_ref().map(TreePath::as_str), expected, "{from} + {relative}");
        }
    }
}
