//! What open pull requests were told, kept over a restart: those that end meanwhile are told how.
//!
//! **In:** what was previewed, by pull request. **Out:** the same in the daemon's next life, from a file for each in the
//! data directory. **May not:** be missed: without it open pull requests are looked at as if they were new, and only those
//! that ended meanwhile hear nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::told::Previewed;

/// Where the pull requests of one branch are kept that wait for their end.
pub(super) struct Kept {
    directory: PathBuf,
}

/// What one was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) previewed: Previewed,
    /// The comment's text, if there is one.
    pub(super) body: Option<String>,
}

impl Kept {
    /// Of a branch of a repository.
    pub(super) fn of(data_dir: &Path, repository: &str, branch: &str) -> Self {
        let name = xxhash_rust::xxh3::xxh3_128(format!("{repository}\n{branch}").as_bytes());
        Kept { directory: data_dir.join("previews").join(format!("{name:032x}")) }
    }

    /// As the daemon's last life left them; what can't be read is as good as nothing.
    pub(super) fn told(&self) -> Vec<(u64, Said)> {
        let Ok(files) = fs::read_dir(&self.directory) else { return Vec::new() };
        let read = |path: PathBuf| -> Option<(u64, Said)> {
            let number = path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok()?;
            Some((number, serde_json::from_slice(&fs::read(path).ok()?).ok()?))
        };
        files.flatten().filter_map(|file| read(file.path())).collect()
    }

    /// Notes what a pull request was told; with `None` that it has been told its end.
    ///
    /// # Errors
    /// When the directory can't be written.
    pub(super) fn note(&self, number: u64, said: Option<&Said>) -> io::Result<()> {
        let path = self.directory.join(format!("{number}.json"));
        let Some(said) = said else {
            return fs::remove_file(path).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            });
        };
        fs::create_dir_all(&self.directory)?;
        // Whoever dies amid this leaves the one or the other.
        let new = path.with_extension("new");
        fs::write(&new, serde_json::to_vec(said)?)?;
        fs::rename(new, path)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::told::Reached;
    use super::*;
    use crate::preview::Pull;

    #[test]
    fn what_was_noted_is_there_in_the_next_life_and_what_is_damaged_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let open = |branch: &str| Kept::of(folder.path(), "https://forge.example/acme/shop", branch);
        let reached = |application: &str, plan: Option<&str>| Reached {
            environment: "dev".into(),
            application: application.into(),
            goes: plan.is_none(),
            plan: plan.map(|digit| digit.repeat(32).parse().unwrap()),
        };
        let previewed = Previewed {
            pull: Pull { number: 7, head: "3".repeat(40).into(), base: "4".repeat(40).into() },
            tree: "5".repeat(40).parse().unwrap(),
            reaches: vec![reached("web", Some("a")), reached("cart", None)],
            plan: Some("b".repeat(12)),
            since: Some(Timestamp::UNIX_EPOCH),
            accepted: None,
        };
        let said = Said { previewed, body: Some("<!-- marker -->\nwords\n".into()) };
        let kept = open("main");
        assert_eq!(kept.told(), []);
        kept.note(7, Some(&said)).unwrap();
        assert_eq!(open("main").told(), [(7, said.clone())]);
        assert_eq!(open("next").told(), []);
        kept.note(7, None).unwrap();
        assert_eq!(open("main").told(), []);
        kept.note(7, None).unwrap();
        kept.note(8, Some(&said)).unwrap();
        fs::write(kept.directory.join("9.json"), "{\"previewed\": ").unwrap();
        assert_eq!(open("main").told(), [(8, said)]);
    }
}
