//! Builds a tree with both engines and compares what they say.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;

use leeboard::kustomize::{LoadRestrictor, Options, Reorder, build};
use leeboard::source::TreePath;
use leeboard::yaml::emit;

use super::tree::{InMemory, Tree};

/// How an engine ended: with text, or with why there is none.
pub(crate) type Outcome = Result<String, String>;

/// How the two compare.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The same text.
    Accepted,
    /// Both refuse.
    Refused,
    Differs(Difference),
}

/// The ways in which the engines may differ, which shrinking must not mix up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Both print, but not the same.
    Text,
    /// Only the reference prints.
    RefusedByUs,
    /// Only ours prints.
    AcceptedByUs,
    Panic,
}

/// The reference, and where it may write.
#[derive(Clone)]
pub(crate) struct Judge {
    pub(crate) reference: PathBuf,
}

impl Judge {
    pub(crate) fn verdict(&self, tree: &Tree) -> Verdict {
        let expected = self.reference(tree);
        match catch_unwind(AssertUnwindSafe(|| ours(tree))) {
            Err(_) => Verdict::Differs(Difference::Panic),
            Ok(actual) => match (expected, actual) {
                (Ok(expected), Ok(actual)) if expected == actual => Verdict::Accepted,
                (Err(_), Err(_)) => Verdict::Refused,
                (Ok(_), Ok(_)) => Verdict::Differs(Difference::Text),
                (Ok(_), Err(_)) => Verdict::Differs(Difference::RefusedByUs),
                (Err(_), Ok(_)) => Verdict::Differs(Difference::AcceptedByUs),
            },
        }
    }

    /// True when the reference says something else each time, or panics: then nothing can be compared with it.
    pub(crate) fn is_unstable(&self, tree: &Tree) -> bool {
        let first = self.reference(tree);
        if first.as_ref().is_err_and(|said| said.contains("panic: ")) {
            return true;
        }
        (0..8).any(|_| match (&first, self.reference(tree)) {
            (Ok(one), Ok(other)) => *one != other,
            (one, other) => one.is_ok() != other.is_ok(),
        })
    }

    /// What the reference says about the tree.
    pub(crate) fn reference(&self, tree: &Tree) -> Outcome {
        let directory = tempfile::tempdir().unwrap();
        tree.write(directory.path()).unwrap();
        let mut command = Command::new(&self.reference);
        command.arg("build").arg(directory.path().join(&tree.root));
        if tree.is_unrestricted {
            command.args(["--load-restrictor", "LoadRestrictionsNone"]);
        }
        if tree.is_unordered {
            command.args(["--reorder", "none"]);
        }
        // It lives too briefly for its collector to be worth anything, and every core has a tree of its own.
        let output = command.env("GOGC", "off").env("GOMAXPROCS", "1").output().unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}

/// What our engine says about the tree.
pub(crate) fn ours(tree: &Tree) -> Outcome {
    let options = Options {
        load_restrictor: if tree.is_unrestricted { LoadRestrictor::None } else { LoadRestrictor::RootOnly },
        reorder: if tree.is_unordered { Reorder::None } else { Reorder::default() },
        ..Options::default()
    };
    let root = TreePath::new(&tree.root).unwrap();
    let rendered = build(&InMemory(tree), &root, &options)
        .map_err(|errors| errors.iter().map(|error| format!("{error}\n")).collect::<String>())?;
    let texts: Vec<String> = rendered.objects.iter().map(|object| emit::to_string(&object.body)).collect();
    Ok(texts.join("---\n"))
}
