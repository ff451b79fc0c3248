//! The corpora: cases that are too many for this repository, in the folder that `LEEBOARD_CORPUS` names.

use std::path::PathBuf;

/// A part of the corpora; nothing, with a printed line, where they are not.
pub(crate) fn corpus(part: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("LEEBOARD_CORPUS") else {
        println!("left out: {part}: LEEBOARD_CORPUS names no folder");
        return None;
    };
    Some(PathBuf::from(folder).join(part))
}
