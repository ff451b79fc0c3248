//! What an application has applied: the first of the three proofs that a deletion needs (G4).
//!
//! Its durable form is the annotation `leeboard.dev/inventory` on the Application: `v1:` and the base64 of one
//! entry of 24 bytes per object, the hash of its key and its uid: 160 KB for 5,000 objects, below the 256 KB that
//! all annotations of an object may take.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::{Desired, Owner};
use crate::live::LiveView;
use crate::object::ObjectKey;

const PREFIX: &str = "v1:";
const ENTRY: usize = 24;

/// Keys with the uids under which this application has applied them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    entries: BTreeSet<[u8; ENTRY]>,
}

/// Why an annotation is not an inventory. Such an application prunes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Written by another version.
    #[error("the inventory does not begin with `v1:`")]
    Version,
    /// Cut off, or edited.
    #[error("the inventory is not whole")]
    Damaged,
}

impl Inventory {
    /// The largest number of objects whose inventory fits an annotation beside others.
    pub const MAX: usize = 6_000;

    /// Reads the annotation.
    ///
    /// # Errors
    /// When it is of another version, or not whole.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let body = text.strip_prefix(PREFIX).ok_or(Malformed::Version)?;
        let bytes = STANDARD_NO_PAD.decode(body).map_err(|_| Malformed::Damaged)?;
        let (entries, rest) = bytes.as_chunks::<ENTRY>();
        if !rest.is_empty() {
            return Err(Malformed::Damaged);
        }
        Ok(Inventory { entries: entries.iter().copied().collect() })
    }

    /// The annotation: equal inventories give equal texts.
    pub fn encode(&self) -> String {
        let bytes: Vec<u8> = self.entries.iter().flatten().copied().collect();
        let mut text = PREFIX.to_owned();
        STANDARD_NO_PAD.encode_string(bytes, &mut text);
        text
    }

    /// True when this application has applied the object that has this uid.
    pub fn contains(&self, key: &ObjectKey, uid: &str) -> bool {
        self.entries.contains(&entry(key, uid))
    }

    /// Takes in what is wanted, is tracked as this owner's, and has fields that were applied under our name: who died in
    /// a sync has applied it and could not say so.
    pub fn take_stock(&mut self, desired: &Desired, owner: &Owner, live: &LiveView) {
        for wanted in &desired.objects {
            let key = &wanted.object.key;
            let Some(record) = live.records.get(key).filter(|record| !record.is_hook) else { continue };
            if record.projection.is_some() && owner.owns(record.tracking.as_ref(), key) {
                self.insert(key, &record.uid);
            }
        }
    }

    /// Takes note of an apply; a predecessor of the same key is forgotten. True when that changed anything.
    pub fn insert(&mut self, key: &ObjectKey, uid: &str) -> bool {
        let entry = entry(key, uid);
        if self.entries.contains(&entry) {
            return false;
        }
        self.remove(key);
        self.entries.insert(entry)
    }

    /// Forgets an object, whatever its uid. True when it was there.
    pub fn remove(&mut self, key: &ObjectKey) -> bool {
        let hash = key_hash(key);
        let (mut first, mut last) = ([0; ENTRY], [u8::MAX; ENTRY]);
        first[..8].copy_from_slice(&hash);
        last[..8].copy_from_slice(&hash);
        let found: Vec<_> = self.entries.range(first..=last).copied().collect();
        for entry in &found {
            self.entries.remove(entry);
        }
        !found.is_empty()
    }

    /// How many objects it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when nothing was applied yet.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

fn entry(key: &ObjectKey, uid: &str) -> [u8; ENTRY] {
    let mut entry = [0; ENTRY];
    entry[..8].copy_from_slice(&key_hash(key));
    entry[8..].copy_from_slice(&uid_bytes(uid));
    entry
}

/// Stored, hence written out: the parts in this order, each ended by a byte that no name holds.
fn key_hash(key: &ObjectKey) -> [u8; 8] {
    let namespace = key.namespace.as_deref().unwrap_or_default();
    xxh3_64(format!("{}\0{}\0{namespace}\0{}\0", key.group, key.kind, key.name).as_bytes()).to_be_bytes()
}

/// The API server's uids are UUIDs; anything else is hashed to the same size.
fn uid_bytes(uid: &str) -> [u8; 16] {
    let digits: String = uid.chars().filter(|c| *c != '-').collect();
    match u128::from_str_radix(&digits, 16) {
        Ok(number) if digits.len() == 32 && uid.len() == 36 => number.to_be_bytes(),
        _ => xxh3_128(uid.as_bytes()).to_be_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "0b1f7c1e-6d1c-4b52-9f1a-0d6a7f6a2b11";
    const NEXT: &str = "ffffffff-6d1c-4b52-9f1a-0d6a7f6a2b11";

    fn key(name: &str) -> ObjectKey {
        ObjectKey { group: "apps".into(), kind: "Deployment".into(), namespace: Some("shop".into()), name: name.into() }
    }

    #[test]
    fn an_entry_is_a_key_and_a_uid() {
        let mut inventory = Inventory::default();
        assert!(inventory.insert(&key("web"), UID));
        assert!(!inventory.insert(&key("web"), UID), "nothing new");
        assert!(inventory.contains(&key("web"), UID));
        assert!(!inventory.contains(&key("web"), NEXT), "a successor of the same name is another object");
        assert!(!inventory.contains(&key("api"), UID));
        assert!(inventory.insert(&key("web"), NEXT));
        assert_eq!(inventory.len(), 1, "the predecessor is forgotten");
        assert!(inventory.remove(&key("web")));
        assert!(inventory.is_empty());
    }

    #[test]
    fn the_annotation_reads_back_and_fits() {
        let mut inventory = Inventory::default();
        for n in 0..5_000 {
            inventory.insert(&key(&format!("web-{n}")), &format!("{n:08x}-6d1c-4b52-9f1a-0d6a7f6a2b11"));
        }
        let text = inventory.encode();
        assert!(text.len() < 200_000, "{} bytes", text.len());
        assert_eq!(Inventory::parse(&text), Ok(inventory));
    }

    #[test]
    fn the_stored_form_stays() {
        let mut inventory = Inventory::default();
        inventory.insert(&key("web"), UID);
        assert_eq!(inventory.encode(), "v1:QAhJx7pKVsoLH3webRxLUp8aDWp/aisR");
    }

    #[test]
    fn what_is_damaged_is_no_inventory() {
        let cases = [
            // annotation, why not
            ("", Malformed::Version),
            ("v2:AAAA", Malformed::Version),
            ("v1:AAAA", Malformed::Damaged),
            ("v1:*", Malformed::Damaged),
        ];
        for (text, expected) in cases {
            assert_eq!(Inventory::parse(text), Err(expected), "{text}");
        }
        assert_eq!(Inventory::parse("v1:"), Ok(Inventory::default()));
    }
}
