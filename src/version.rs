//! Versions with numbers, and ranges of them.
//!
//! **In:** what people write as a tag or as a range. **Out:** an order, and whether a version lies in a range. **May not:** do
//! I/O.
//!
//! Versions are those of semver 2.0, ranges those of Masterminds' semver, which Argo CD follows.

/// A version: three numbers and maybe a pre-release; what follows a `+` does not order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    numbers: [u64; 3],
    pre: Option<String>,
}

impl Version {
    /// `1.2.3`, `v1.2.3-rc.1+build`, `1.2`, `1`.
    pub fn parse(text: &str) -> Option<Self> {
        let (numbers, pre) = Partial::parse(text)?.whole()?;
        Some(Version { numbers, pre })
    }

    /// `1.2.3`, `v1.2.3-rc.1`: all three numbers are written.
    pub fn parse_whole(text: &str) -> Option<Self> {
        let partial = Partial::parse(text)?;
        let is_whole = partial.depth() == Some(2);
        partial.whole().filter(|_| is_whole).map(|(numbers, pre)| Version { numbers, pre })
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        use std::cmp::Ordering::{Equal, Greater, Less};
        self.numbers.cmp(&other.numbers).then_with(|| match (&self.pre, &other.pre) {
            (None, None) => Equal,
            (None, Some(_)) => Greater,
            (Some(_), None) => Less,
            (Some(left), Some(right)) => compare_pre(left, right),
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Numbers before words, numbers by value, more parts after fewer (semver 2.0, rule 11).
fn compare_pre(left: &str, right: &str) -> std::cmp::Ordering {
    use std::cmp::Ordering::{Greater, Less};
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return std::cmp::Ordering::Equal,
            (None, Some(_)) => Less,
            (Some(_), None) => Greater,
            (Some(left), Some(right)) => match (left.parse::<u64>(), right.parse::<u64>()) {
                (Ok(left), Ok(right)) => left.cmp(&right),
                (Ok(_), Err(_)) => Less,
                (Err(_), Ok(_)) => Greater,
                (Err(_), Err(_)) => left.cmp(right),
            },
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// A version of which parts are left open: `1.2`, `1.x`, `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Partial {
    /// `None` from the first part on that is left out or a wildcard.
    numbers: [Option<u64>; 3],
    has_wildcard: bool,
    pre: Option<String>,
}

impl Partial {
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let text = text.split_once('+').map_or(text, |(version, _)| version);
        let (numbers, pre) = match text.split_once('-') {
            Some((numbers, pre)) => (numbers, Some(pre)),
            None => (text, None),
        };
        let word = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
        if pre.is_some_and(|pre| !pre.split('.').all(word)) {
            return None;
        }
        let mut parsed = Partial { numbers: [None; 3], has_wildcard: false, pre: pre.map(str::to_owned) };
        for (place, part) in numbers.split('.').enumerate() {
            let slot = parsed.numbers.get_mut(place)?;
            if matches!(part, "x" | "X" | "*") {
                parsed.has_wildcard = true;
            } else if parsed.has_wildcard || part.is_empty() || !part.bytes().all(|c| c.is_ascii_digit()) {
                return None;
            } else {
                *slot = Some(part.parse().ok()?);
            }
        }
        Some(parsed)
    }

    fn whole(self) -> Option<([u64; 3], Option<String>)> {
        (!self.has_wildcard).then(|| (self.lowest(), self.pre))
    }

    fn lowest(&self) -> [u64; 3] {
        self.numbers.map(Option::unwrap_or_default)
    }

    /// The lowest version above all that share the written parts, up to and including the part at `place`.
    fn above(&self, place: usize) -> Option<[u64; 3]> {
        let mut numbers = [0; 3];
        for (slot, number) in numbers.iter_mut().zip(self.numbers).take(place + 1) {
            *slot = number?;
        }
        numbers[place] = numbers[place].checked_add(1)?;
        Some(numbers)
    }

    /// The last part that is written.
    fn depth(&self) -> Option<usize> {
        self.numbers.iter().rposition(Option::is_some)
    }
}

/// A range of versions, with the rules of Masterminds' semver that Argo CD follows: comparisons joined by blanks or
/// commas, alternatives by `||`, `^`, `~`, wildcards and `a - b`. A pre-release is in it only if the range names one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    text: String,
    alternatives: Vec<Vec<Bounds>>,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bounds {
    /// From here on.
    from: Option<Version>,
    /// Is `from` itself left out?
    after: bool,
    /// Up to here.
    to: Option<Version>,
    /// Is `to` itself in it?
    through: bool,
    /// The opposite.
    negated: bool,
    allows_pre: bool,
}

impl Range {
    /// `None` when the text is no range: a branch, or one exact version, which is a tag's name.
    pub fn parse(text: &str) -> Option<Self> {
        let is_word = matches!(text, "x" | "X") || Version::parse(text).is_some();
        if is_word || !text.contains(['*', '<', '>', '=', '^', '~', '|', 'x', 'X', ' ', ',', '!']) {
            return None;
        }
        let alternatives: Option<Vec<_>> = text.split("||").map(all_of).collect();
        Some(Range { text: text.into(), alternatives: alternatives? })
    }

    /// The same, but one version is a range too: `1.2.3` holds that version, `1.2` all that begin so.
    pub fn parse_any(text: &str) -> Option<Self> {
        let text = text.trim();
        match Version::parse(text) {
            Some(_) => Some(Range { text: text.into(), alternatives: vec![all_of(text)?] }),
            None => Range::parse(text),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The newest of these tags that lies in the range.
    pub fn newest<'a, T>(&self, tags: impl Iterator<Item = (&'a str, T)>) -> Option<(&'a str, T)> {
        let versions = tags.filter_map(|(tag, what)| Some((Version::parse(tag)?, tag, what)));
        let within = versions.filter(|(version, ..)| self.contains(version));
        within.max_by(|left, right| left.0.cmp(&right.0).then(left.1.cmp(right.1))).map(|(_, tag, what)| (tag, what))
    }

    /// True for a version that lies in it.
    pub fn contains(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|all| all.iter().all(|bounds| bounds.contain(version)))
    }
}

impl Bounds {
    fn contain(&self, version: &Version) -> bool {
        if version.pre.is_some() && !self.allows_pre {
            return false;
        }
        let above = self.from.as_ref().is_none_or(|from| if self.after { version > from } else { version >= from });
        let below = self.to.as_ref().is_none_or(|to| if self.through { version <= to } else { version < to });
        (above && below) != self.negated
    }
}

/// Comparisons that must all hold.
fn all_of(text: &str) -> Option<Vec<Bounds>> {
    let text = text.trim();
    if let Some((from, to)) = text.split_once(" - ") {
        return Some(vec![bounds(">=", from.trim())?, bounds("<=", to.trim())?]);
    }
    let mut comparisons = Vec::new();
    let mut operator = String::new();
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        let version = word.trim_start_matches(['<', '>', '=', '!', '^', '~']);
        operator.push_str(&word[..word.len() - version.len()]);
        // `>= 1.0`: the operator stands apart from its version.
        if version.is_empty() {
            continue;
        }
        comparisons.push(bounds(&std::mem::take(&mut operator), version)?);
    }
    (operator.is_empty() && !comparisons.is_empty()).then_some(comparisons)
}

fn bounds(operator: &str, version: &str) -> Option<Bounds> {
    let partial = Partial::parse(version)?;
    let pre = partial.pre.clone();
    let lowest = Version { numbers: partial.lowest(), pre: pre.clone() };
    let release = |numbers| Version { numbers, pre: None };
    let depth = partial.depth();
    let is_whole = depth == Some(2);
    // What lies just above everything that the written parts cover.
    let above = depth.and_then(|depth| partial.above(depth)).map(release);
    let bounds = |from: Option<Version>, after, to: Option<Version>, through| Bounds {
        from,
        after,
        to,
        through,
        negated: false,
        allows_pre: pre.is_some(),
    };
    Some(match operator {
        "" | "=" | "==" if is_whole => bounds(Some(lowest.clone()), false, Some(lowest), true),
        "" | "=" | "==" => bounds(Some(lowest), false, above, false),
        "!=" | "!" => {
            let to = if is_whole { Some(lowest.clone()) } else { above };
            Bounds { negated: true, allows_pre: false, ..bounds(Some(lowest), false, to, is_whole) }
        }
        ">" if is_whole => bounds(Some(lowest), true, None, false),
        ">" => bounds(Some(above?), false, None, false),
        ">=" | "=>" => bounds(Some(lowest), false, None, false),
        "<" => bounds(None, false, Some(lowest), false),
        "<=" | "=<" if is_whole => bounds(None, false, Some(lowest), true),
        "<=" | "=<" => bounds(None, false, above, false),
        // The same minor version, or the same major one when no minor is written.
        "~" | "~>" => {
            let place = depth.map(|depth| depth.min(1));
            bounds(Some(lowest), false, place.and_then(|place| partial.above(place)).map(release), false)
        }
        // The same left-most part that is not zero.
        "^" => {
            let written = partial.numbers.iter().take(depth.map_or(0, |depth| depth + 1));
            let place = written.clone().position(|number| *number != Some(0)).or(depth);
            bounds(Some(lowest), false, place.and_then(|place| partial.above(place)).map(release), false)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_means_its_newest_tag() {
        let tags = [
            "v0.2.3",
            "v0.2.9",
            "v0.3.0",
            "1.0.0",
            "v1.2.0",
            "v1.2.3",
            "v1.2.10",
            "v1.3.0-rc.1",
            "v1.3.0-rc.2",
            "v1.3.0",
            "v2.0.0-beta",
            "v2.0.0",
            "v2.1.0-alpha",
            "latest",
            "v3.0",
            "not-1.9",
        ];
        let cases = [
            // range            newest tag in it
            ("*", Some("v3.0")),
            ("1.2.*", Some("v1.2.10")),
            ("1.x", Some("v1.3.0")),
            ("v1.*", Some("v1.3.0")),
            (">=1.0 <2", Some("v1.3.0")),
            (">= 1.0, < 1.3", Some("v1.2.10")),
            (">=1.2.0 <1.2.10", Some("v1.2.3")),
            ("~1.2.0", Some("v1.2.10")),
            ("~1", Some("v1.3.0")),
            ("^1.2", Some("v1.3.0")),
            ("^0.2.3", Some("v0.2.9")),
            ("^0", Some("v0.3.0")),
            ("1.0 - 1.2", Some("v1.2.10")),
            (">1.2", Some("v3.0")),
            ("<=1.2", Some("v1.2.10")),
            ("<1.0.0 || =2.0.0", Some("v2.0.0")),
            (">=1.3.0-rc.1 <1.3.0", None),
            (">=1.3.0-rc.1 <1.3.0-rc.9", Some("v1.3.0-rc.2")),
            (">=1.2 !=1.3.0 <2", Some("v1.2.10")),
            (">=4", None),
        ];
        for (range, newest) in cases {
            let parsed = Range::parse(range).unwrap_or_else(|| panic!("{range} is no range"));
            let found = parsed.newest(tags.iter().map(|tag| (*tag, ())));
            assert_eq!(found.map(|(tag, ())| tag), newest, "{range}");
        }
    }

    #[test]
    fn branches_and_exact_versions_are_no_ranges() {
        for text in ["main", "1.2.3", "v1.2.3-rc.1", "1", "feature/x", "x", "xx", "next", "a,b", "<", "1.2 ||", ">=a"] {
            assert!(Range::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn one_version_is_a_range_where_it_is_asked_for() {
        let versions =
            ["1.2.3", "1.2.4", "1.3.0", "1.3.0-rc.1"].map(|text| (text, Version::parse_whole(text).unwrap()));
        let cases = [
            ("1.2.3", vec!["1.2.3"]),
            ("v1.2", vec!["1.2.3", "1.2.4"]),
            ("1", vec!["1.2.3", "1.2.4", "1.3.0"]),
            ("1.3.0-rc.1", vec!["1.3.0-rc.1"]),
            ("^1.3", vec!["1.3.0"]),
        ];
        for (range, expected) in cases {
            let range = Range::parse_any(range).unwrap();
            let within = versions.iter().filter(|(_, version)| range.contains(version)).map(|(text, _)| *text);
            assert_eq!(within.collect::<Vec<_>>(), expected, "{range:?}");
        }
        assert_eq!(Range::parse_any("latest"), None);
        for part in ["1", "1.2", "1.2.x", "v1"] {
            assert_eq!(Version::parse_whole(part), None, "{part}");
        }
    }
}
