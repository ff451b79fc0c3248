//! The gate `vulnerabilities`: what each scanner's report says, and what a promotion is told for it.

#![expect(clippy::unwrap_used, reason = "a test that can't make its input fails")]

mod reading;

use jiff::Timestamp;
use leeboard::promote::vulnerability::Delivery;

const NOW: &str = "2026-11-22T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// A digest of the same two digits all along: `sha256:a1a1…`.
fn digest(two: &str) -> String {
    format!("sha256:{}", two.repeat(32))
}

fn delivery<'a>(source: &'a str, bytes: &'a [u8]) -> Delivery<'a> {
    Delivery { source, bytes, scanner: None, asked_for: None, received: None }
}

fn fixture(file: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/vulnerabilities/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}
