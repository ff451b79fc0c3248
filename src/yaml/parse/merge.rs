//! Merge keys: `<<: *defaults`.

use std::collections::HashMap;

use smol_str::SmolStr;

use crate::yaml::error::{Error, Problem};
use crate::yaml::node::{Content, Entry, Node, ScalarStyle};
use crate::yaml::resolve::Resolve;
use crate::yaml::text::Text;

/// Replaces `<<` entries by what they stand for.
///
/// v3: own keys win. v2: what comes later wins. In a list of mappings the earlier one wins in both.
///
/// # Errors
/// When something else than a mapping is to be merged in, or `<<` stands twice where that is refused.
pub(super) fn expand(entries: Vec<Entry>, mode: Resolve, text: &Text) -> Result<Vec<Entry>, Error> {
    let mut merged: Vec<Entry> = Vec::with_capacity(entries.len());
    let mut merge_key = None;
    // Where each key is, and whether it came through `<<`.
    let mut places: HashMap<SmolStr, (usize, bool)> = HashMap::new();
    if mode == Resolve::V3 {
        let own = entries.iter().filter(|entry| !is_merge(&entry.key)).filter_map(Entry::name);
        places.extend(own.map(|name| (SmolStr::new(name), (usize::MAX, false))));
    }
    for entry in entries {
        let name = entry.key.as_scalar().map(|scalar| scalar.text.clone());
        if !is_merge(&entry.key) {
            let place = name.as_ref().and_then(|name| places.get(name)).copied();
            match place.and_then(|(at, through_merge)| merged.get_mut(at).filter(|_| through_merge)) {
                Some(overridden) => *overridden = entry,
                None => {
                    if mode == Resolve::V2 {
                        places.extend(name.map(|name| (name, (merged.len(), false))));
                    }
                    merged.push(entry);
                }
            }
            continue;
        }
        if let Some(first) = merge_key.filter(|_| mode == Resolve::V3) {
            let first = text.origin(first).line;
            let problem = Problem::DuplicateKey { key: "<<".to_owned(), first };
            return Err(Error::at(problem, text, entry.key.span().start));
        }
        merge_key = Some(entry.key.span().start);
        let mut added = HashMap::new();
        for source in merged_mappings(entry.value, text)? {
            for entry in source {
                let Some(name) = entry.key.as_scalar().map(|scalar| scalar.text.clone()) else {
                    merged.push(entry);
                    continue;
                };
                if added.contains_key(&name) {
                    continue;
                }
                match places.get(&name) {
                    Some(_) if mode == Resolve::V3 => continue,
                    Some((at, _)) => {
                        added.insert(name, (*at, true));
                        if let Some(overridden) = merged.get_mut(*at) {
                            *overridden = entry;
                        }
                    }
                    None => {
                        added.insert(name, (merged.len(), true));
                        merged.push(entry);
                    }
                }
            }
        }
        places.extend(added);
    }
    Ok(merged)
}

/// The entries of the mapping, or of the list of mappings, under a `<<`.
fn merged_mappings(value: Node, text: &Text) -> Result<Vec<Vec<Entry>>, Error> {
    let sources = match value.content {
        Content::Sequence(sequence) => sequence.items,
        _ => vec![value],
    };
    let entries = |source: Node| {
        let (found, start) = (source.describe(), source.span().start);
        match source.content {
            Content::Mapping(mapping) => Ok(mapping.entries),
            _ => Err(Error::at(Problem::Merge { found }, text, start)),
        }
    };
    sources.into_iter().map(entries).collect()
}

/// `<<` without quotes.
pub(super) fn is_merge(key: &Node) -> bool {
    key.as_scalar().is_some_and(|scalar| {
        scalar.text == "<<"
            && match key.tag() {
                None | Some("!") => scalar.style == ScalarStyle::Plain,
                Some(tag) => tag == "!!merge",
            }
    })
}
