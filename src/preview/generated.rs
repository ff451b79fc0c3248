//! Names that a generator made: `web-config-5k2gm9bcht` is `web-config` with a hash of its contents.

use crate::object::ObjectKey;

/// How many characters of hash kustomize appends.
const HASH: usize = 10;
/// The characters of that hash: hexadecimal digits without vowels and what looks like one.
const ALPHABET: &[u8] = b"2456789bcdfghkmt";

/// The name without its hash, with the dash before it.
pub(super) fn stem(key: &ObjectKey) -> Option<&str> {
    let is_generated = key.group.is_empty() && matches!(key.kind.as_str(), "ConfigMap" | "Secret");
    is_generated.then(|| stem_of_name(&key.name)).flatten()
}

/// The same of a name whose kind is known to be generated.
pub(super) fn stem_of_name(name: &str) -> Option<&str> {
    let (stem, hash) = name.split_at_checked(name.len().checked_sub(HASH)?)?;
    let is_hash = hash.bytes().all(|byte| ALPHABET.contains(&byte));
    (stem.len() > 1 && stem.ends_with('-') && is_hash).then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ends_in_a_hash_is_a_generated_name() {
        let cases = [
            // name                    without its hash
            ("web-config-5k2gm9bcht", Some("web-config-")),
            ("web-config", None),
            ("web-config-5k2gm9bch", None),
            ("web-config-a000000000", None),
            ("-5k2gm9bcht", None),
            ("5k2gm9bcht", None),
            ("", None),
            ("ééééééé", None),
        ];
        for (name, stem) in cases {
            assert_eq!(stem_of_name(name), stem, "{name}");
        }
        let key = |kind: &str| ObjectKey {
            group: "".into(),
            kind: kind.into(),
            namespace: None,
            name: "a-5k2gm9bcht".into(),
        };
        assert_eq!((stem(&key("Secret")), stem(&key("Service"))), (Some("a-"), None));
    }
}
