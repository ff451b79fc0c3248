//! Scalars: ordinary ones, and those that are read or written in odd ways.

use serde_json::{Value, json};

use super::random::Random;
use super::style::plain;

/// Texts whose way out is interesting.
const TEXTS: &[&str] = &[
    "",
    " ",
    "a: b",
    "# x",
    "a # b",
    "line\n",
    "one\ntwo",
    "one\ntwo\n",
    "one\n\n\ntwo\n\n",
    "\n",
    "\nx",
    " lead\nx\n",
    "trail \nx",
    "tab\there",
    "carriage\r\nreturn\r\n",
    "ümlaut",
    "日本語 テキスト",
    "😀",
    "a😀b\nc",
    "yes",
    "No",
    "on",
    "y",
    "null",
    "~",
    "true",
    "0x1F",
    "010",
    "1e3",
    "1_000",
    "12:30:45",
    "190:20",
    "2020-01-01",
    "2001-12-14t21:59:43.10-05:00",
    "-",
    "- x",
    "? x",
    ":",
    ": x",
    "{a}",
    "[a]",
    "*a",
    "&a",
    "!a",
    "|",
    ">",
    "%x",
    "@x",
    "`x`",
    "'",
    "\"",
    "it's",
    "a\"b",
    "a\\b",
    "<<",
    "=",
    "---",
    "--- a",
    "...",
    "nbsp\u{a0}x",
    "a,b",
];

/// Scalars that are written without quotes and are not what they look like.
const WRITTEN: &[&str] = &[
    "yes",
    "No",
    "on",
    "OFF",
    "y",
    "true",
    "True",
    "FALSE",
    "tRue",
    "~",
    "null",
    "Null",
    "NULL",
    "010",
    "0o17",
    "0O17",
    "0x1F",
    "0X1f",
    "0b11",
    "08",
    "1_000",
    "1__0",
    "_1",
    "1e3",
    "1E+3",
    "1.e3",
    "5.",
    ".5",
    "+1.5",
    "1.50",
    "1.0",
    "-0",
    "-0.0",
    "+7",
    "-.5",
    "1e-7",
    "1.0000005e6",
    "999999.5",
    "1e20",
    "1e21",
    "12345678901234567890",
    "9007199254740993",
    "18446744073709551616",
    "-9223372036854775808",
    "1:30",
    "12:30:45",
    "190:20:30",
    "2020-01-01",
    "2020-1-1",
    "2020-13-01",
    "2001-12-14t21:59:43.10-05:00",
    "2020-01-01 10:00:00",
    "2020-01-01T10:00:00Z",
    "!!str 12",
    "!!str true",
    "!!int \"7\"",
    "!!float 3",
    "!!binary aGVsbG8=",
    "!foo x",
    "=",
    "NaN",
    "-1",
    "0",
    "a b c",
    "it's",
    "!!bool \"true\"",
];

const LONG: &str = "the quick brown fox jumps over the lazy dog and then some more words follow so that the line is folded somewhere near its end";

/// A text of any kind.
pub(crate) fn text(random: &mut Random) -> String {
    match random.below(10) {
        0..=5 => random.word(TEXTS),
        6 => {
            let start = random.below(40);
            let end = random.between(start + 60, LONG.len());
            let text = &LONG[start..end];
            if random.chance(30) {
                text.replace("the", "the:  x").replace("dog", "it's \"dog\"")
            } else {
                text.to_owned()
            }
        }
        7 => {
            const PIECES: &[&str] = &[
                "a", "b1", " ", "  ", "\n", ":", "#", "-", "'", "\"", "é", "a\t", "\\", ",", "{", "]", "0", "1.5",
                "$(V)",
            ];
            (0..random.between(1, 12)).map(|_| random.word(PIECES)).collect()
        }
        _ => word(random),
    }
}

/// A name that means nothing.
pub(crate) fn word(random: &mut Random) -> String {
    random.word(&["alpha", "beta", "gamma-2", "delta.x", "Epsilon", "zeta_z", "eta/theta", "v1", "x"])
}

/// Any scalar.
pub(crate) fn scalar(random: &mut Random) -> Value {
    match random.below(10) {
        0..=2 => text(random).into(),
        3..=5 => plain(&random.word(WRITTEN)),
        6 => random.chance(50).into(),
        7 => json!(random.below(1000)),
        // Only where nothing but the object holds them: kustomize writes and reads its own fields more than once.
        8 => random.word(&["\u{2028}sep", "a\u{2029}b c", "x\u{85}y"]).into(),
        _ => [Value::Null, json!({}), json!([]), json!(["a", 1]), json!({"k": "v"})][random.below(5)].clone(),
    }
}

/// A scalar that patches bring: text, a bool, or a small number.
pub(crate) fn ordinary(random: &mut Random) -> Value {
    match random.below(8) {
        0 => random.chance(50).into(),
        1 => json!(random.below(1000)),
        2 => Value::Null,
        3 | 4 => text(random).into(),
        _ => word(random).into(),
    }
}
