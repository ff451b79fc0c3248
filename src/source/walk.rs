//! Resolves symbolic links inside a tree, one component at a time: the kernel never follows one.

use super::{Entry, Error, TreePath};

/// What stands directly at a path, links not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    File,
    Directory,
    Link(Target),
}

/// What a symbolic link says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A path as written, to be read from the link's directory.
    Relative(String),
    /// A path from the root of the tree: the link was absolute, and the tree knows that it lies inside.
    FromRoot(String),
    /// An absolute path out of the tree.
    Outside(String),
}

/// A tree in which every directory on the way to a path that is asked for is a real one.
pub(super) trait Nodes {
    fn node(&self, path: &TreePath) -> Result<Option<Node>, Error>;
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The path without links; what was reached when nothing is there.
    pub(super) path: TreePath,
    /// `None` when nothing is there.
    pub(super) entry: Option<Entry>,
    /// True when a link was followed.
    pub(super) through_link: bool,
}

/// As many as Linux follows.
const MAX_LINKS: usize = 40;

/// Follows the links on the way to `path`.
pub(super) fn resolve(tree: &dyn Nodes, path: &TreePath) -> Result<Resolved, Error> {
    let mut pending: Vec<String> = path.as_str().split('/').rev().map(str::to_owned).collect();
    let mut at = TreePath::root();
    let mut entry = Entry::Directory;
    let mut links = 0;
    // The link whose target is being walked: the one to name when a `..` leads out.
    let mut last_link: Option<(TreePath, String)> = None;
    while let Some(part) = pending.pop() {
        if part.is_empty() || part == "." {
            continue;
        }
        if entry == Entry::File {
            return Ok(Resolved { path: at, entry: None, through_link: links > 0 });
        }
        if part == ".." {
            at = match (at.parent(), &last_link) {
                (Some(parent), _) => parent,
                (None, Some((link, target))) => {
                    return Err(Error::LinkEscapes { link: link.clone(), target: target.clone() });
                }
                (None, None) => {
                    return Err(Error::Escapes { path: path.as_str().to_owned(), from: TreePath::root() });
                }
            };
            continue;
        }
        let next = at.join(&part)?;
        match tree.node(&next)? {
            None => return Ok(Resolved { path: next, entry: None, through_link: links > 0 }),
            Some(Node::File) => (at, entry) = (next, Entry::File),
            Some(Node::Directory) => at = next,
            Some(Node::Link(target)) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Error::LinkLoop { link: next });
                }
                let written = match target {
                    Target::Outside(target) => return Err(Error::LinkEscapes { link: next, target }),
                    Target::Relative(written) => written,
                    Target::FromRoot(written) => {
                        at = TreePath::root();
                        written
                    }
                };
                pending.extend(written.split('/').rev().map(str::to_owned));
                last_link = Some((next, written));
            }
        }
    }
    Ok(Resolved { path: at, entry: Some(entry), through_link: links > 0 })
}

/// True when `path` itself is a link, whatever stands above it.
pub(super) fn is_link(tree: &dyn Nodes, path: &TreePath) -> Result<bool, Error> {
    let Some(parent) = path.parent() else { return Ok(false) };
    let directory = resolve(tree, &parent)?;
    match directory.entry {
        Some(Entry::Directory) => {
            Ok(matches!(tree.node(&directory.path.join(path.file_name())?)?, Some(Node::Link(_))))
        }
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct Tree(BTreeMap<&'static str, Node>);

    impl Nodes for Tree {
        fn node(&self, path: &TreePath) -> Result<Option<Node>, Error> {
            Ok(self.0.get(path.as_str()).cloned())
        }
    }

    fn link(target: &str) -> Node {
        Node::Link(Target::Relative(target.into()))
    }

    #[test]
    fn links_are_followed_inside_the_tree_only() {
        let tree = Tree(BTreeMap::from([
            ("apps", Node::Directory),
            ("apps/web", Node::Directory),
            ("apps/web/a.yaml", Node::File),
            ("apps/b.yaml", link("web/a.yaml")),
            ("apps/up.yaml", link("../apps/./web//a.yaml")),
            ("current", link("apps/web")),
            ("deep", link("current/../b.yaml")),
            ("dangling", link("nowhere")),
            ("loop", link("pool")),
            ("pool", link("loop")),
            ("self", link("self/x")),
            ("apps/out", link("../../etc/passwd")),
            ("out", link("..")),
            ("absolute", Node::Link(Target::Outside("/etc/passwd".into()))),
            ("rooted", Node::Link(Target::FromRoot("apps/web".into()))),
        ]));
        let cases = [
            // asked for            leads to, or why not
            ("", Ok(Some(""))),
            ("apps/web/a.yaml", Ok(Some("apps/web/a.yaml"))),
            ("apps/b.yaml", Ok(Some("apps/web/a.yaml"))),
            ("apps/up.yaml", Ok(Some("apps/web/a.yaml"))),
            ("current", Ok(Some("apps/web"))),
            ("current/a.yaml", Ok(Some("apps/web/a.yaml"))),
            ("deep", Ok(Some("apps/web/a.yaml"))),
            ("rooted/a.yaml", Ok(Some("apps/web/a.yaml"))),
            ("dangling", Ok(None)),
            ("missing/x", Ok(None)),
            ("apps/web/a.yaml/x", Ok(None)),
            ("loop", Err("circle")),
            ("self", Err("circle")),
            ("apps/out", Err("leads out")),
            ("out/x", Err("leads out")),
            ("absolute", Err("leads out")),
        ];
        for (asked, expected) in cases {
            let found = resolve(&tree, &TreePath::new(asked).unwrap());
            match (&found, expected) {
                (Ok(found), Ok(expected)) => {
                    let path = found.entry.map(|_| found.path.as_str());
                    assert_eq!(path, expected, "{asked}");
                }
                (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{asked}: {error}"),
                _ => panic!("{asked}: {found:?}, expected {expected:?}"),
            }
        }
    }
}
