//! How a comment is known as ours, and what it remembers.
//!
//! The marker is the first line, the data block the last. Whoever may write to the repository can edit both, and anyone
//! can paste them: they save requests and are evidence of nothing. Whose comment it is the forge tells, by account.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use smol_str::SmolStr;

use super::super::Preview;
use super::flavour::Flavour;

const MARKER: &str = "leeboard:preview v1";
const DATA: &str = "leeboard:data ";

/// What a comment remembers of the preview that it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Data {
    /// The commit that was previewed.
    pub head: SmolStr,
    /// The commit that it was merged with.
    pub base: SmolStr,
    /// All plans together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The plans of each environment and cluster, where there is room: `prod/eu-1`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub plans: BTreeMap<String, String>,
    /// Of this block.
    pub v: u32,
}

impl Data {
    /// Of a preview.
    pub fn of(preview: &Preview) -> Self {
        let mut plans: BTreeMap<String, String> = BTreeMap::new();
        for environment in &preview.environments {
            let hashes: Vec<String> = environment
                .applications
                .iter()
                .filter_map(|one| Some(format!("{}={}", one.name, one.outcome.hash()?)))
                .collect();
            if !hashes.is_empty() {
                plans.insert(format!("{}/{}", environment.name, environment.cluster), digest(&hashes));
            }
        }
        let all: Vec<String> = plans.iter().map(|(name, hash)| format!("{name}={hash}")).collect();
        Data {
            head: preview.pull.head.clone(),
            base: preview.pull.base.clone(),
            plan: (!all.is_empty()).then(|| digest(&all)),
            plans,
            v: 1,
        }
    }
}

/// Of hashes that are keyed already: nobody can test a guess against them, so none against this.
fn digest(hashes: &[String]) -> String {
    let mut hasher = Sha256::new();
    for hash in hashes {
        hasher.update((hash.len() as u64).to_le_bytes());
        hasher.update(hash.as_bytes());
    }
    hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// A comment that carries a marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The installation that it names.
    pub instance: SmolStr,
    /// The pull request that it names.
    pub pull: u64,
    /// What it remembers, when that can be read.
    pub data: Option<Data>,
}

/// The marker's line.
pub(super) fn line(flavour: Flavour, instance: &str, pull: u64) -> String {
    flavour.hidden(&format!("{MARKER} instance={} pr={pull}", encoded(instance)))
}

/// Letters and digits only: it ends at a space, and stands in a comment of HTML.
fn encoded(instance: &str) -> String {
    let mut text = String::new();
    for byte in instance.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' => text.push(byte.into()),
            // One dash is a part of names, two end a comment of HTML.
            b'-' if !text.ends_with('-') => text.push('-'),
            other => text.push_str(&format!("%{other:02x}")),
        }
    }
    text
}

fn decoded(text: &str) -> Option<SmolStr> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok().map(SmolStr::from)
}

/// The data block's line; without the single plans when it would be longer than this.
pub(super) fn data_line(flavour: Flavour, data: &Data, most: usize) -> String {
    let written = |data: &Data| flavour.hidden(&format!("{DATA}{}", escaped(data)));
    let whole = written(data);
    if whole.len() <= most || data.plans.is_empty() {
        return whole;
    }
    written(&Data { plans: BTreeMap::new(), ..data.clone() })
}

/// JSON that can neither end what it is hidden in nor hold another marker.
fn escaped(data: &Data) -> String {
    let json = serde_json::to_string(data).unwrap_or_default();
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '-' | '&' | '(' | ')' | '[' | ']' | '@' | '#' | '/' | '`' => {
                text.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c if c.is_ascii() && !c.is_ascii_control() => text.push(c),
            c => {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
            }
        }
    }
    text
}

/// Reads the marker and the data block of a comment; whose it is, is not said by them.
pub fn find(body: &str) -> Option<Found> {
    let mut lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
    let marker = Flavour::revealed(lines.next()?)?.strip_prefix(MARKER)?;
    let mut words = marker.split_whitespace();
    let instance = decoded(words.next()?.strip_prefix("instance=")?)?;
    let pull = words.next()?.strip_prefix("pr=")?.parse().ok()?;
    let data = lines.next_back().and_then(Flavour::revealed).and_then(|line| line.strip_prefix(DATA));
    Some(Found { instance, pull, data: data.and_then(|json| serde_json::from_str(json).ok()) })
}

/// A duration as a person says it.
pub(super) fn duration(took: Duration) -> String {
    match took.as_millis() {
        0..100 => format!("{} ms", took.as_millis()),
        100..60_000 => format!("{:.2} s", took.as_secs_f64()),
        _ => format!("{} min", took.as_secs() / 60),
    }
}

static TOOK: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r" · [0-9.]+ (?:ms|s|min) · ").ok());

/// True when a comment needs no edit: forges change line breaks, and how long a preview took is no news.
pub fn is_same(written: &str, there: &str) -> bool {
    let essence = |body: &str| -> Vec<String> {
        let lines = body.trim().lines().map(str::trim_end);
        let footer = |line: &str| match &*TOOK {
            Some(took) if line.trim_start_matches("<sub>").starts_with("head `") => {
                took.replace(line, " · ").into_owned()
            }
            _ => line.to_owned(),
        };
        lines.map(footer).collect()
    };
    essence(written) == essence(there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_back_as_written() {
        for flavour in Flavour::ALL {
            for instance in ["hub-eu", "a--b", "x -->", "ä(b)", "a%20"] {
                let data = Data {
                    head: "3f".into(),
                    plans: [("prod/--> <b>é🔴".to_owned(), "9a".to_owned())].into(),
                    v: 1,
                    ..Data::default()
                };
                let body =
                    format!("{}\n\ntext\n\n{}\n", line(flavour, instance, 482), data_line(flavour, &data, usize::MAX));
                let hidden: String = body.lines().filter_map(Flavour::revealed).collect();
                assert!(!hidden.contains("--") && !hidden.contains(['<', '>', '(', ')']), "{hidden}");
                assert_eq!(find(&body), Some(Found { instance: instance.into(), pull: 482, data: Some(data) }));
            }
        }
    }

    #[test]
    fn what_is_no_comment_of_ours_is_not_found() {
        for body in [
            "",
            "Leeboard: nothing",
            "> <!-- leeboard:preview v1 instance=a pr=1 -->",
            "see <!-- leeboard:preview v1 instance=a pr=1 -->",
            "first\n<!-- leeboard:preview v1 instance=a pr=1 -->",
            "<!-- leeboard:preview v1 instance=a pr=x -->",
            "<!-- leeboard:preview v1 instance=%zz pr=1 -->",
        ] {
            assert_eq!(find(body), None, "{body}");
        }
        let broken = "<!-- leeboard:preview v1 instance=a pr=1 -->\n<!-- leeboard:data {broken -->";
        assert_eq!(find(broken).map(|found| found.data), Some(None));
    }

    #[test]
    fn only_the_duration_is_no_difference() {
        let footer = |took: &str| format!("text\n<sub>head `1` on base `2` · {took} · `/leeboard help`</sub>\n");
        assert!(is_same(&footer("0.41 s"), &footer("12 ms").replace('\n', "\r\n")));
        assert!(!is_same(&footer("0.41 s"), &footer("0.41 s").replace("text", "texts")));
        assert!(!is_same("a · 1 s · b", "a · 2 s · b"));
    }
}
