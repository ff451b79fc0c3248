//! What kind of source a directory is, when the Application does not say.
//!
//! As Argo CD tells: a chart, else a kustomization, else plain manifests.

use super::{Entry, Error, Files, TreePath};

/// The file names that make a directory a kustomization, as kustomize knows them.
pub const KUSTOMIZATION_FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The file name that makes a directory a Helm chart.
pub const CHART_FILE: &str = "Chart.yaml";

/// What a directory holds, told by the names of its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    /// A kustomization file is there.
    Kustomization,
    /// A Helm chart.
    Chart,
    /// Anything else: its manifests are taken as they are.
    Plain,
}

/// Looks which of the telling files is in `directory`.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::NotADirectory`] when `directory` is none; those of [`Files::entry`].
pub fn detect(files: &dyn Files, directory: &TreePath) -> Result<Detected, Error> {
    match files.entry(directory)? {
        Some(Entry::Directory) => {}
        Some(Entry::File) => return Err(Error::NotADirectory { path: directory.clone() }),
        None => return Err(Error::NotFound { path: directory.clone() }),
    }
    if files.entry(&directory.join(CHART_FILE)?)? == Some(Entry::File) {
        return Ok(Detected::Chart);
    }
    for name in KUSTOMIZATION_FILES {
        if files.entry(&directory.join(name)?)? == Some(Entry::File) {
            return Ok(Detected::Kustomization);
        }
    }
    Ok(Detected::Plain)
}

#[cfg(test)]
mod tests {
    use super::super::local::LocalFiles;
    use super::*;

    #[test]
    fn the_names_of_the_files_tell_the_kind() {
        let cases = [
            // files                                        kind
            (vec!["a.yaml"], Detected::Plain),
            (vec!["kustomization.yaml"], Detected::Kustomization),
            (vec!["kustomization.yml"], Detected::Kustomization),
            (vec!["Kustomization"], Detected::Kustomization),
            (vec!["Chart.yaml", "kustomization.yaml"], Detected::Chart),
        ];
        for (names, expected) in cases {
            let directory = tempfile::tempdir().unwrap();
            for name in &names {
                std::fs::write(directory.path().join(name), "").unwrap();
            }
            let files = LocalFiles::new(directory.path()).unwrap();
            assert_eq!(detect(&files, &TreePath::root()).unwrap(), expected, "{names:?}");
        }
    }

    #[test]
    fn a_path_that_is_no_directory_is_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a"), "").unwrap();
        let files = LocalFiles::new(directory.path()).unwrap();
        let error = |at: &str| detect(&files, &TreePath::new(at).unwrap()).unwrap_err().to_string();
        assert_eq!(error("b"), "`b` does not exist");
        assert_eq!(error("a"), "`a` is a file, expected a directory");
    }
}
