//! What a running Flagger was seen to do: a folder of the corpora for each case.

use std::path::PathBuf;

/// The folders of all recordings, by name; none where there are no corpora.
pub(crate) fn recordings() -> Vec<PathBuf> {
    let Some(corpus) = super::corpus::corpus("canary") else { return Vec::new() };
    let mut folders: Vec<PathBuf> = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|folder| folder.join("timeline.yaml").exists());
    folders.sort();
    folders
}
