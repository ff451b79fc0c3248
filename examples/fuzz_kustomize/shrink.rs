//! Makes a tree on which the engines differ as small as it gets while they still differ in the same way.

use super::judge::{Difference, Judge, Verdict};
use super::tree::Tree;

/// Removes files, then blocks of lines, then lines, until nothing more can go.
pub(crate) fn shrink(judge: &Judge, tree: &Tree, difference: Difference, attempts: usize) -> Tree {
    let mut tree = tree.clone();
    let mut left = attempts;
    let gist = judge.gist(&tree);
    let mut still_differs = |tree: &Tree| {
        left = left.saturating_sub(1);
        left > 0 && judge.verdict(tree) == Verdict::Differs(difference) && judge.gist(tree) == gist
    };
    loop {
        let before = tree.files.clone();
        for path in before.keys() {
            let mut smaller = tree.clone();
            smaller.files.remove(path);
            if still_differs(&smaller) {
                tree = smaller;
            }
        }
        for path in before.keys() {
            shrink_file(&mut tree, path, &mut still_differs);
        }
        if tree.files == before {
            return tree;
        }
    }
}

fn shrink_file(tree: &mut Tree, path: &str, still_differs: &mut impl FnMut(&Tree) -> bool) {
    let Some(text) = tree.files.get(path).and_then(|bytes| String::from_utf8(bytes.clone()).ok()) else { return };
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    let mut at = 0;
    while at < lines.len() {
        // The line with all that stands below it, then a document, then the line alone.
        let indent = indentation(&lines[at]);
        let below =
            lines[at + 1..].iter().take_while(|line| indentation(line) > indent || line.trim().is_empty()).count();
        let document = lines[at + 1..].iter().position(|line| line.starts_with("---")).unwrap_or(lines.len() - at - 1);
        let mut sizes = vec![below + 1, 1];
        if at == 0 || lines[at].starts_with("---") {
            sizes.insert(0, document + 1);
        }
        let removed = sizes.into_iter().any(|size| {
            let kept: Vec<String> = lines[..at].iter().chain(&lines[at + size..]).cloned().collect();
            let mut smaller = tree.clone();
            smaller.files.insert(path.to_owned(), kept.concat().into_bytes());
            let differs = still_differs(&smaller);
            if differs {
                *tree = smaller;
                lines = kept;
            }
            differs
        });
        if !removed {
            at += 1;
        }
    }
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '-']).len()
}
