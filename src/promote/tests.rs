mod asked;
mod gates;
mod machine;
mod tracks;

use jiff::Timestamp;

/// So many seconds after the beginning of these tests.
fn at(seconds: i64) -> Timestamp {
    let begin: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
    Timestamp::from_second(begin.as_second() + seconds).unwrap()
}

/// A commit of one digit, in full.
fn commit(digit: char) -> String {
    digit.to_string().repeat(40)
}
