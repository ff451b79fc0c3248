//! Finds the values of Secrets inside other texts: plain, in base64, escaped, or line by line.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::object::secret::Masked;

/// A shorter value is found everywhere: masking it would tell more than it hides.
const SHORTEST: usize = 6;

/// The forms in which values may come up, to be found by how they begin.
#[derive(Default)]
pub(super) struct Known {
    by_start: HashMap<[u8; SHORTEST], Vec<Form>>,
}

struct Form {
    text: Box<str>,
    /// The number of the value.
    number: usize,
    is_base64: bool,
}

impl Known {
    /// Values in the order of their numbers.
    pub(super) fn of<'a>(values: impl Iterator<Item = &'a Masked>) -> Self {
        let mut known = Known::default();
        for (number, value) in values.enumerate().filter(|(_, value)| value.expose().len() >= SHORTEST) {
            for (text, is_base64) in forms(value) {
                let Some(start) = start(text.as_bytes()) else { continue };
                let forms = known.by_start.entry(start).or_default();
                if !forms.iter().any(|form| *form.text == *text) {
                    forms.push(Form { text: text.into(), number, is_base64 });
                }
            }
        }
        // The longest first: a value may be the beginning of another.
        known.by_start.values_mut().for_each(|forms| forms.sort_by_key(|form| std::cmp::Reverse(form.text.len())));
        known
    }

    /// The text with `mark` in place of each value.
    pub(super) fn masked<'t>(&self, text: &'t str, mark: &dyn Fn(usize) -> String) -> Cow<'t, str> {
        if self.by_start.is_empty() || text.len() < SHORTEST {
            return Cow::Borrowed(text);
        }
        let mut shown = String::new();
        let mut done = 0;
        let mut at = 0;
        while let Some(start) = start(&text.as_bytes()[at..]) {
            let form = self
                .by_start
                .get(&start)
                .and_then(|forms| forms.iter().find(|form| text.as_bytes()[at..].starts_with(form.text.as_bytes())));
            let Some(form) = form else {
                at += 1;
                continue;
            };
            let (mut from, mut to) = (at, at + form.text.len());
            if form.is_base64 {
                // What encodes the bytes around it tells of its first and last ones.
                from -= text[done..from].bytes().rev().take_while(|byte| is_base64(*byte)).count();
                to += text[to..].bytes().take_while(|byte| is_base64(*byte)).count();
            }
            shown.push_str(&text[done..from]);
            shown.push_str(&mark(form.number));
            done = to;
            at = to;
        }
        if done == 0 {
            return Cow::Borrowed(text);
        }
        shown.push_str(&text[done..]);
        Cow::Owned(shown)
    }
}

fn start(bytes: &[u8]) -> Option<[u8; SHORTEST]> {
    bytes.get(..SHORTEST)?.try_into().ok()
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte)
}

/// How a value may be written, and whether that is base64.
fn forms(value: &Masked) -> Vec<(String, bool)> {
    let bytes = value.expose();
    let mut forms: Vec<(String, bool)> = Vec::new();
    if let Some(plain) = value.expose_text() {
        let once = quoted(plain);
        forms.push((quoted(&once), false));
        forms.push((once, false));
        forms.push((percent(plain), false));
        let lines = plain.lines().map(str::trim).filter(|line| line.len() >= 2 * SHORTEST && *line != plain);
        // The frame of a PEM block is no secret; what is inside is.
        forms.extend(lines.filter(|line| !line.starts_with("-----")).map(|line| (line.to_owned(), false)));
        forms.push((plain.to_owned(), false));
        // `echo` leaves a line break at the end of many a value.
        forms.push((plain.trim().to_owned(), false));
    }
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        forms.push((engine.encode(bytes), true));
    }
    // Inside a longer text that is encoded as a whole (`user:password`), what stands before decides the digits.
    for skip in 0..3usize {
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let padded: Vec<u8> = std::iter::repeat_n(0, skip).chain(bytes.iter().copied()).collect();
            let whole = padded.len() / 3 * 4;
            let digits = engine.encode(&padded);
            let first = [0, 2, 3][skip];
            if let Some(inner) = digits.get(first..whole) {
                forms.push((inner.to_owned(), true));
            }
        }
    }
    forms.retain(|(text, _)| text.len() >= SHORTEST);
    forms
}

/// As it stands between the quotes of a JSON text.
fn quoted(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As it stands in a URL.
fn percent(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => shown.push(byte.into()),
            other => shown.push_str(&format!("%{other:02X}")),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_however_it_is_written() {
        let secret = "p4ss/w0rd \"x\"";
        let values = [
            Masked::new(secret),
            Masked::new("short"),
            Masked::new("first line 1\nsecond line\n"),
            Masked::new("ending\n"),
        ];
        let known = Known::of(values.iter());
        let encoded = |text: String| STANDARD.encode(text);
        let cases = [
            // text, shown
            (format!("a {secret} b"), "a <0> b".to_owned()),
            (format!("a {} b", quoted(secret)), "a <0> b".into()),
            (format!("https://x/?p={}&y", percent(secret)), "https://x/?p=<0>&y".into()),
            (encoded(secret.into()), "<0>".into()),
            (encoded(format!("a{secret}")), "<0>".into()),
            (encoded(format!("ab{secret}cd")), "<0>".into()),
            (encoded(format!("user:{secret}")), "<0>".into()),
            ("a short one".into(), "a short one".into()),
            ("x first line 1 y".into(), "x <2> y".into()),
            ("é second line".into(), "é second line".into()),
            ("an ending of lines".into(), "an <3> of lines".into()),
            (String::new(), String::new()),
        ];
        for (text, shown) in cases {
            assert_eq!(known.masked(&text, &|number| format!("<{number}>")), shown, "{text}");
        }
    }

    #[test]
    fn the_longest_value_wins() {
        let values = [Masked::new("password"), Masked::new("password1234")];
        let known = Known::of(values.iter());
        assert_eq!(known.masked("password1234 password", &|number| number.to_string()), "1 0");
    }
}
