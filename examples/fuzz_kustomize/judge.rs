//! Builds a tree with both engines and compares what they say.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

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
    /// The reference panics: then nothing can be compared with it.
    ReferencePanics,
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
                (Err(why), Ok(_)) if why.contains("panic: ") => Verdict::ReferencePanics,
                (Ok(_), Ok(_)) => Verdict::Differs(Difference::Text),
                (Ok(_), Err(_)) => Verdict::Differs(Difference::RefusedByUs),
                (Err(_), Ok(_)) => Verdict::Differs(Difference::AcceptedByUs),
            },
        }
    }

    /// Why one of them refuses the tree, without what depends on the tree.
    pub(crate) fn gist(&self, tree: &Tree) -> Option<String> {
        let ours = catch_unwind(AssertUnwindSafe(|| ours(tree))).ok()?;
        let why = match (self.reference(tree), ours) {
            (Err(why), Ok(_)) | (Ok(_), Err(why)) => why,
            _ => return None,
        };
        let is_word = |word: &&str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
        let words = |part: &str| part.split_whitespace().filter(is_word).collect::<Vec<&str>>().join(" ");
        why.rsplit(": ").map(words).find(|words| words.contains(' '))
    }

    /// True when the reference says something else now and then: then nothing can be compared with it. It goes through
    /// maps in an order of chance, and sorts keys by a rule that runs in circles (`v2`, `v10`, `v1beta1`): of the orders
    /// that come of it one can be as frequent as four in five.
    pub(crate) fn is_unstable(&self, tree: &Tree) -> bool {
        const TRIES: usize = 60;
        let first = self.reference(tree);
        (0..TRIES).any(|_| match (&first, self.reference(tree)) {
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
        // It lives too briefly for its collector to be worth anything, and every core has a tree of its own. Where it
        // does not end by itself the collector keeps it within bounds until the other one ends it.
        command.env("GOGC", "off").env("GOMEMLIMIT", "512MiB").env("GOMAXPROCS", "1");
        let Some(output) = ended(command) else { return Err("it does not end".to_owned()) };
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}

/// What a program says that ends soon.
fn ended(mut command: Command) -> Option<Output> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    // Both are read while it runs: a full pipe would hold it up.
    let out = std::thread::spawn(move || read(&mut out));
    let err = std::thread::spawn(move || read(&mut err));
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if begun.elapsed() > PATIENCE => {
                child.kill().unwrap();
                child.wait().unwrap();
                return None;
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    Some(Output { status, stdout: out.join().unwrap(), stderr: err.join().unwrap() })
}

fn read(from: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    bytes
}

/// What our engine says about the tree.
pub(crate) fn ours(tree: &Tree) -> Outcome {
    let options = Options {
        load_restrictor: if tree.is_unrestricted { LoadRestrictor::None } else { LoadRestrictor::RootOnly },
        reorder: tree.is_unordered.then_some(Reorder::None),
        ..Options::default()
    };
    let root = TreePath::new(&tree.root).unwrap();
    let rendered = build(&InMemory(tree), &root, &options)
        .map_err(|errors| errors.iter().map(|error| format!("{error}\n")).collect::<String>())?;
    let texts: Vec<String> = rendered.objects.iter().map(|object| emit::to_string(&object.body)).collect();
    Ok(texts.join("---\n"))
}
