//! Messages that were not taken yet, kept over a restart: their condition may be over by then.
//!
//! **In:** what was to be told, and the application as it stood. **Out:** the same in the daemon's next life, from a file for
//! each in the data directory. **May not:** hold a message as it is sent: that may have secrets in it, and is made again by
//! the configuration of then.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::alert::due::Due;

/// Where the messages of one application are kept.
pub(super) struct Kept {
    directory: PathBuf,
}

/// A message that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) due: Due,
    /// The Application as it stood.
    pub(super) app: Json,
    /// Its AppProject.
    pub(super) project: Json,
    /// Since when, in seconds since 1970.
    pub(super) since: i64,
}

impl Kept {
    /// Of an application, whose name is one that Kubernetes takes: no path in it leads anywhere.
    pub(super) fn of(data_dir: &Path, application: &str) -> Self {
        Kept { directory: data_dir.join("alerts").join(application) }
    }

    /// As the daemon's last life left them; what can't be read is as good as nothing.
    pub(super) fn waiting(&self) -> Vec<Waiting> {
        let Ok(files) = fs::read_dir(&self.directory) else { return Vec::new() };
        let read = |path: PathBuf| -> Option<Waiting> {
            let is_whole = path.extension().is_some_and(|extension| extension == "json");
            is_whole.then(|| serde_json::from_slice(&fs::read(path).ok()?).ok())?
        };
        let mut waiting: Vec<Waiting> = files.flatten().filter_map(|file| read(file.path())).collect();
        waiting.sort_by(|one, other| one.since.cmp(&other.since).then_with(|| one.due.key.cmp(&other.due.key)));
        waiting
    }

    /// Keeps a message.
    ///
    /// # Errors
    /// When the directory can't be written.
    pub(super) fn keep(&self, waiting: &Waiting) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        let path = self.path(&waiting.due.key);
        // Whoever dies amid this leaves the one or the other.
        let new = path.with_extension("new");
        fs::write(&new, serde_json::to_vec(waiting)?)?;
        fs::rename(new, path)
    }

    /// A message was taken, or nobody wants it any more.
    ///
    /// # Errors
    /// When the directory can't be written.
    pub(super) fn drop(&self, key: &str) -> io::Result<()> {
        let removed = fs::remove_file(self.path(key)).and_then(|()| match fs::remove_dir(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
            _ => Ok(()),
        });
        removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
    }

    fn path(&self, key: &str) -> PathBuf {
        self.directory.join(format!("{:032x}.json", xxhash_rust::xxh3::xxh3_128(key.as_bytes())))
    }
}

/// Forgets what is kept of applications that there are no more.
pub(super) fn tidy(data_dir: &Path, is_there: impl Fn(&str) -> bool) {
    let Ok(directories) = fs::read_dir(data_dir.join("alerts")) else { return };
    for directory in directories.flatten() {
        if directory.file_name().to_str().is_none_or(|name| !is_there(name)) {
            // What stays is looked at again at the next start.
            let _ = fs::remove_dir_all(directory.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_waits_is_there_in_the_next_life_and_what_is_damaged_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let open = |application: &str| Kept::of(folder.path(), application);
        let waiting = |key: &str, since: i64| -> Waiting {
            let due = json!({"key": key, "trigger": "on-a", "destination": {"service": "slack", "recipient": "ops"}, "templates": ["a"]});
            serde_json::from_value(json!({"due": due, "app": {"a": 1}, "project": {}, "since": since})).unwrap()
        };
        let kept = open("web");
        assert_eq!(kept.waiting(), []);
        kept.keep(&waiting("second", 2)).unwrap();
        kept.keep(&waiting("first", 1)).unwrap();
        fs::write(kept.directory.join("odd.json"), "{\"due\": ").unwrap();
        assert_eq!(open("web").waiting(), [waiting("first", 1), waiting("second", 2)]);
        assert_eq!(open("cart").waiting(), []);
        kept.drop("first").unwrap();
        kept.drop("first").unwrap();
        assert_eq!(open("web").waiting(), [waiting("second", 2)]);
        tidy(folder.path(), |name| name == "web");
        assert_eq!(open("web").waiting(), [waiting("second", 2)]);
        tidy(folder.path(), |_| false);
        assert_eq!(open("web").waiting(), []);
    }
}
