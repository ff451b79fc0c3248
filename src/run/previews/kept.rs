//! What open pull requests were told, kept over a restart: those that end meanwhile are told how.
//!
//! **In:** what was previewed, by pull request. **Out:** the same in the daemon's next life, from a file for each branch in
//! the data directory. **May not:** be missed: without it open pull requests are looked at as if they were new, and only
//! those that ended meanwhile hear nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::told::{Previewed, Reached};
use crate::preview::Pull;

/// The pull requests of one branch that wait for their end, and their file.
pub(super) struct Kept {
    path: PathBuf,
    told: BTreeMap<u64, Said>,
}

/// What one was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) previewed: Previewed,
    /// The comment's text, if there is one.
    pub(super) body: Option<String>,
}

/// A pull request in it.
#[derive(Serialize, Deserialize)]
struct Entry {
    head: SmolStr,
    base: SmolStr,
    tree: String,
    reaches: Vec<ReachedEntry>,
    body: Option<String>,
}

/// An application that it reaches.
#[derive(Serialize, Deserialize)]
struct ReachedEntry {
    environment: SmolStr,
    application: SmolStr,
    goes: bool,
    plan: Option<String>,
}

impl Kept {
    /// Of a branch of a repository, as the daemon's last life left it; what can't be read is as good as nothing.
    pub(super) fn of(data_dir: &Path, repository: &str, branch: &str) -> Self {
        let name = xxhash_rust::xxh3::xxh3_128(format!("{repository}\n{branch}").as_bytes());
        let path = data_dir.join("previews").join(format!("{name:032x}.json"));
        let text = fs::read(&path).unwrap_or_default();
        let entries: BTreeMap<u64, Entry> = serde_json::from_slice(&text).unwrap_or_default();
        let told = entries.into_iter().filter_map(|(number, entry)| Some((number, entry.said(number)?))).collect();
        Kept { path, told }
    }

    pub(super) fn told(&self) -> impl Iterator<Item = (u64, &Said)> {
        self.told.iter().map(|(number, said)| (*number, said))
    }

    /// Notes what a pull request was told; with `None` that it has been told its end.
    ///
    /// # Errors
    /// When the directory can't be written.
    pub(super) fn note(&mut self, number: u64, said: Option<Said>) -> io::Result<()> {
        if self.told.get(&number) == said.as_ref() {
            return Ok(());
        }
        match said {
            Some(said) => self.told.insert(number, said),
            None => self.told.remove(&number),
        };
        let entries: BTreeMap<u64, Entry> = self.told.iter().map(|(number, said)| (*number, Entry::of(said))).collect();
        fs::create_dir_all(self.path.parent().unwrap_or(&self.path))?;
        // Whoever dies amid this leaves the one or the other.
        let new = self.path.with_extension("new");
        fs::write(&new, serde_json::to_vec(&entries)?)?;
        fs::rename(new, &self.path)
    }
}

impl Entry {
    fn of(Said { previewed, body }: &Said) -> Self {
        let reached = |one: &Reached| ReachedEntry {
            environment: one.environment.clone(),
            application: one.application.clone(),
            goes: one.goes,
            plan: one.plan.map(|plan| plan.to_string()),
        };
        Entry {
            head: previewed.pull.head.clone(),
            base: previewed.pull.base.clone(),
            tree: previewed.tree.to_string(),
            reaches: previewed.reaches.iter().map(reached).collect(),
            body: body.clone(),
        }
    }

    fn said(self, number: u64) -> Option<Said> {
        let reached = |entry: ReachedEntry| {
            let ReachedEntry { environment, application, goes, plan } = entry;
            Reached { environment, application, goes, plan: plan.and_then(|plan| plan.parse().ok()) }
        };
        let previewed = Previewed {
            pull: Pull { number, head: self.head, base: self.base },
            tree: self.tree.parse().ok()?,
            reaches: self.reaches.into_iter().map(reached).collect(),
        };
        Some(Said { previewed, body: self.body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        };
        let said = Said { previewed, body: Some("<!-- marker -->\nwords\n".into()) };
        let mut kept = open("main");
        assert_eq!(kept.told().count(), 0);
        kept.note(7, Some(said.clone())).unwrap();
        assert_eq!(open("main").told().collect::<Vec<_>>(), [(7, &said)]);
        assert_eq!(open("next").told().count(), 0);
        kept.note(7, None).unwrap();
        assert_eq!(open("main").told().count(), 0);
        fs::write(&kept.path, "{\"7\": ").unwrap();
        assert_eq!(open("main").told().count(), 0);
    }
}
