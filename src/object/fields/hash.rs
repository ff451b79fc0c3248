//! The hashes that a projection is put together of.

pub(super) fn text_hash(text: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(text.as_bytes())
}

pub(super) fn pair(tag: u8, first: u64, second: u64) -> u64 {
    let mut bytes = [0; 17];
    bytes[0] = tag;
    bytes[1..9].copy_from_slice(&first.to_le_bytes());
    bytes[9..].copy_from_slice(&second.to_le_bytes());
    xxhash_rust::xxh3::xxh3_64(&bytes)
}
