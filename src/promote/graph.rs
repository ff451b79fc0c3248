//! Environments lead one way.
//!
//! **In:** which environment takes commits from which. **Out:** the circle that one of them is in. **May not:** know more of
//! them.

use std::collections::BTreeMap;

/// The way from an environment back to itself, if there is one: `prod → dev → prod`.
pub fn cycle(from: &BTreeMap<&str, Vec<&str>>, name: &str) -> Option<String> {
    let mut path = vec![name];
    find(from, name, &mut path).then(|| path.join(" → "))
}

fn find<'a>(from: &BTreeMap<&'a str, Vec<&'a str>>, name: &str, path: &mut Vec<&'a str>) -> bool {
    let Some(&at) = path.last() else { return false };
    for &source in from.get(at).into_iter().flatten() {
        if source == name {
            path.push(source);
            return true;
        }
        // A circle that this one is not in is that of others.
        if path.contains(&source) {
            continue;
        }
        path.push(source);
        if find(from, name, path) {
            return true;
        }
        path.pop();
    }
    false
}
