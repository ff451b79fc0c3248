//! Which version of an image an environment is to have.
//!
//! **In:** a [`Policy`], what the environment has, what the registry has. **Out:** a [`Decision`] with its reason in one
//! sentence. **May not:** do I/O; or go back to an older version because a registry has lost a newer one.
//!
//! [`follow`] reads what an Environment says; [`target`] is the file that says it, [`propose`] the commit that changes it with its [`message`]; [`by_hand`] finds what people have set themselves.

pub mod by_hand;
pub mod follow;
pub mod message;
pub mod propose;
pub mod target;

use std::cmp::Ordering;

use jiff::Timestamp;
use regex::Regex;

use crate::registry::{Tag, Tagged, Version};
use crate::version::{self, Range};

/// How the version is chosen.
#[derive(Clone, Debug)]
pub struct Policy {
    rule: Rule,
    /// Of `semver` and `newest`: no other tag is looked at.
    allowed: Option<Regex>,
}

/// What makes one tag better than another.
#[derive(Clone, Debug)]
enum Rule {
    /// The highest version in a range. Only tags with all three numbers are versions: `1.4` and `1` move.
    Semver(Range),
    /// The last one of those that match, by what the groups of the pattern hold, or by the whole tag when it has none; two
    /// texts of digits are compared as numbers.
    Regex(Regex),
    /// The one whose image was built last.
    Newest,
    /// What a tag means at the moment, by its digest.
    Digest(Tag),
}

/// What has to be known of a registry to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The names of all tags.
    Tags,
    /// The tags, and when the images of those that [`Policy::allows`] were built.
    Times,
    /// What this tag means.
    Digest(Tag),
}

/// What is to be done about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It gets this version.
    Take {
        /// The version.
        version: Version,
        /// The reason.
        why: String,
    },
    /// It stays as it is.
    Keep {
        /// The reason.
        why: String,
    },
}

/// Why a policy is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPolicy {
    /// Not a range.
    #[error("`{0}` is not a range of versions such as `^1.2`, `1.x` or `>=1.0 <2`")]
    Range(String),
    /// Not a pattern.
    #[error("`{pattern}` is not a regular expression: {why}")]
    Pattern {
        /// As it was written.
        pattern: String,
        /// In the words of the parser, its last line.
        why: String,
    },
}

impl Policy {
    /// The highest version in a range.
    ///
    /// # Errors
    /// When it is none.
    pub fn semver(range: &str) -> Result<Self, BadPolicy> {
        let range = Range::parse_any(range).ok_or_else(|| BadPolicy::Range(range.to_owned()))?;
        Ok(Policy { rule: Rule::Semver(range), allowed: None })
    }

    /// The last one of the tags that match as a whole, by what the groups hold.
    ///
    /// # Errors
    /// When it is no regular expression.
    pub fn regex(pattern: &str) -> Result<Self, BadPolicy> {
        Ok(Policy { rule: Rule::Regex(whole(pattern)?), allowed: None })
    }

    /// The one whose image was built last.
    pub fn newest() -> Self {
        Policy { rule: Rule::Newest, allowed: None }
    }

    /// What a tag means at the moment.
    pub fn digest(tag: Tag) -> Self {
        Policy { rule: Rule::Digest(tag), allowed: None }
    }

    /// The same, of the tags that match as a whole.
    ///
    /// # Errors
    /// When it is no regular expression.
    pub fn of_tags(self, pattern: &str) -> Result<Self, BadPolicy> {
        Ok(Policy { allowed: Some(whole(pattern)?), ..self })
    }

    /// What has to be known.
    pub fn need(&self) -> Need {
        match &self.rule {
            Rule::Semver(_) | Rule::Regex(_) => Need::Tags,
            Rule::Newest => Need::Times,
            Rule::Digest(tag) => Need::Digest(tag.clone()),
        }
    }

    /// True for a tag that may be chosen.
    pub fn allows(&self, tag: &Tag) -> bool {
        let is_allowed = self.allowed.as_ref().is_none_or(|allowed| allowed.is_match(tag.as_str()));
        is_allowed
            && match &self.rule {
                Rule::Semver(range) => numbers(tag).is_some_and(|version| range.contains(&version)),
                Rule::Regex(pattern) => pattern.is_match(tag.as_str()),
                Rule::Newest => true,
                Rule::Digest(wanted) => tag == wanted,
            }
    }

    /// What is to be done about an image that has this version.
    pub fn choose(&self, current: Option<&Version>, candidates: &[Tagged]) -> Decision {
        if let Rule::Digest(tag) = &self.rule {
            return follow(tag, current, candidates);
        }
        let allowed = candidates.iter().filter(|candidate| self.allows(&candidate.tag));
        let known = allowed.filter(|candidate| !matches!(self.rule, Rule::Newest) || built(candidate).is_some());
        let Some(best) = known.max_by(|a, b| self.compare(a, b).then_with(|| prefer(current, a, b))) else {
            return Decision::Keep { why: self.nothing(candidates.len()) };
        };
        let why = self.reason(best);
        let Some(Version::Tag(current)) = current else {
            return Decision::Take { version: Version::Tag(best.tag.clone()), why };
        };
        if *current == best.tag {
            return Decision::Keep { why };
        }
        let of_current = candidates.iter().find(|candidate| candidate.tag == *current);
        let lost = Tagged { tag: current.clone(), built: None, digest: None };
        let of_current = of_current.unwrap_or(&lost);
        if self.allows(current) && self.compare(of_current, best).is_gt() {
            return Decision::Keep {
                why: format!("{current} comes after all that the registry has, up to {}", best.tag),
            };
        }
        Decision::Take { version: Version::Tag(best.tag.clone()), why }
    }

    /// Which of two tags that are allowed is better.
    fn compare(&self, a: &Tagged, b: &Tagged) -> Ordering {
        match &self.rule {
            Rule::Semver(_) => numbers(&a.tag).cmp(&numbers(&b.tag)),
            Rule::Regex(pattern) => by_groups(pattern, &a.tag, &b.tag),
            Rule::Newest => built(a).cmp(&built(b)),
            Rule::Digest(_) => Ordering::Equal,
        }
    }

    fn reason(&self, best: &Tagged) -> String {
        let tag = &best.tag;
        match &self.rule {
            Rule::Semver(range) => format!("{tag} is the highest version in `{}`", range.as_str()),
            Rule::Regex(pattern) => format!("{tag} comes last of the tags that match `{}`", written(pattern)),
            Rule::Newest => {
                let built = best.built.map_or_else(String::new, |built| format!(", at {built}"));
                format!("{tag} was built last{built}")
            }
            Rule::Digest(_) => String::new(),
        }
    }

    fn nothing(&self, candidates: usize) -> String {
        let of = match candidates {
            0 => return "the registry has no tags".into(),
            1 => "of 1 tag".to_owned(),
            many => format!("of {many} tags"),
        };
        match &self.rule {
            Rule::Semver(range) => format!("{of} none is a version in `{}`", range.as_str()),
            Rule::Regex(pattern) => format!("{of} none matches `{}`", written(pattern)),
            _ => format!("{of} none is allowed and tells when its image was built"),
        }
    }
}

/// The digest of a tag.
fn follow(tag: &Tag, current: Option<&Version>, candidates: &[Tagged]) -> Decision {
    let found = candidates.iter().find(|candidate| candidate.tag == *tag);
    let Some(digest) = found.and_then(|candidate| candidate.digest.clone()) else {
        return Decision::Keep { why: format!("the registry has no tag {tag}") };
    };
    let why = format!("{tag} is {} now", digest.short());
    match Version::Digest(digest) {
        version if current == Some(&version) => Decision::Keep { why },
        version => Decision::Take { version, why },
    }
}

/// Two tags that are equally good: the one that is there stays, else the texts decide.
fn prefer(current: Option<&Version>, a: &Tagged, b: &Tagged) -> Ordering {
    let is_current = |candidate: &Tagged| match current {
        Some(Version::Tag(tag)) => candidate.tag == *tag,
        _ => false,
    };
    is_current(a).cmp(&is_current(b)).then_with(|| a.tag.cmp(&b.tag))
}

fn numbers(tag: &Tag) -> Option<version::Version> {
    version::Version::parse_whole(tag.as_str())
}

/// When an image was built. What reproducible builds write in the place of a time is none.
fn built(candidate: &Tagged) -> Option<Timestamp> {
    candidate.built.filter(|built| *built > Timestamp::UNIX_EPOCH)
}

fn by_groups(pattern: &Regex, a: &Tag, b: &Tag) -> Ordering {
    let (Some(of_a), Some(of_b)) = (pattern.captures(a.as_str()), pattern.captures(b.as_str())) else {
        return Ordering::Equal;
    };
    // The group that has no number is the whole.
    let skipped = usize::from(of_a.len() > 1);
    let pairs = of_a.iter().zip(of_b.iter()).skip(skipped);
    let text = |group: Option<regex::Match<'_>>| group.map_or("", |group| group.as_str()).to_owned();
    let mut orders = pairs.map(|(a, b)| by_number(&text(a), &text(b)));
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Digits by their value, however many there are; anything else by its bytes.
fn by_number(a: &str, b: &str) -> Ordering {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !(is_number(a) && is_number(b)) {
        return a.cmp(b);
    }
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// A pattern for a whole tag.
fn whole(pattern: &str) -> Result<Regex, BadPolicy> {
    let bad = |why: String| BadPolicy::Pattern { pattern: pattern.to_owned(), why };
    // By itself, so that brackets that end too early do not end ours.
    let last_line = |error: regex::Error| {
        let error = error.to_string();
        bad(error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned())
    };
    Regex::new(pattern).map_err(last_line)?;
    Regex::new(&format!("^(?:{pattern})$")).map_err(last_line)
}

/// A pattern as it was given.
fn written(pattern: &Regex) -> &str {
    let text = pattern.as_str();
    text.strip_prefix("^(?:").and_then(|text| text.strip_suffix(")$")).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::registry::Digest;

    const HASH: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn tag(text: &str) -> Tag {
        Tag::new(text).unwrap()
    }

    fn tags(names: &[&str]) -> Vec<Tagged> {
        names.iter().map(|name| Tagged { tag: tag(name), built: None, digest: None }).collect()
    }

    fn at(text: &str) -> Option<Version> {
        (!text.is_empty()).then(|| Digest::new(text).map_or_else(|_| Version::Tag(tag(text)), Version::Digest))
    }

    /// The version that is taken, or `-`, and why.
    fn chosen(policy: &Policy, current: &str, candidates: &[Tagged]) -> (String, String) {
        match policy.choose(at(current).as_ref(), candidates) {
            Decision::Take { version, why } => (version.to_string(), why),
            Decision::Keep { why } => ("-".into(), why),
        }
    }

    #[test]
    fn semver_takes_the_highest_version_in_the_range() {
        let all = ["1.2.3", "v1.4.0", "1.4.1", "1.10.0", "1.11.0-rc.1", "2.0.0", "1.12", "3", "latest", "1.4.2-alpine"];
        let cases = [
            // range, what is there, what is taken, why
            ("^1.2", "1.2.3", "1.10.0", "1.10.0 is the highest version in `^1.2`"),
            ("^1.2", "", "1.10.0", "1.10.0 is the highest version in `^1.2`"),
            ("^1.2", "latest", "1.10.0", "1.10.0 is the highest version in `^1.2`"),
            ("^1.2", HASH, "1.10.0", "1.10.0 is the highest version in `^1.2`"),
            ("^1.2", "1.10.0", "-", "1.10.0 is the highest version in `^1.2`"),
            ("1.4.x", "1.4.0", "1.4.1", "1.4.1 is the highest version in `1.4.x`"),
            (">=1.0 <2", "1.2.3", "1.10.0", "1.10.0 is the highest version in `>=1.0 <2`"),
            ("^1.11.0-rc.0", "1.10.0", "1.11.0-rc.1", "1.11.0-rc.1 is the highest version in `^1.11.0-rc.0`"),
            ("*", "1.2.3", "2.0.0", "2.0.0 is the highest version in `*`"),
            // A range that people have changed leads back too; a registry that has lost a version does not.
            ("1.4.x", "2.0.0", "1.4.1", "1.4.1 is the highest version in `1.4.x`"),
            ("^1.2", "1.99.0", "-", "1.99.0 comes after all that the registry has, up to 1.10.0"),
            (">=4", "1.2.3", "-", "of 10 tags none is a version in `>=4`"),
        ];
        for (range, current, taken, why) in cases {
            let found = chosen(&Policy::semver(range).unwrap(), current, &tags(&all));
            assert_eq!(found, (taken.into(), why.into()), "{range} from {current:?}");
        }
        let same = tags(&["1.0.0", "v1.0.0"]);
        assert_eq!(
            chosen(&Policy::semver("1.x").unwrap(), "1.0.0", &same).0,
            "-",
            "another spelling is no newer version"
        );
        let policy = Policy::semver("1.x").unwrap().of_tags("v.*").unwrap();
        assert_eq!(chosen(&policy, "1.2.3", &tags(&all)).0, "v1.4.0");
        assert_eq!(chosen(&policy, "", &[]).1, "the registry has no tags");
        assert_eq!(chosen(&policy, "", &tags(&["a"])).1, "of 1 tag none is a version in `1.x`");
    }

    #[test]
    fn regex_orders_by_what_the_groups_hold() {
        let all = ["main-9-abc", "main-10-abd", "main-010-aaa", "dev-99-abc", "main-x", "2026-01-02", "2025-12-31"];
        let cases = [
            // pattern, what is there, what is taken
            (r"main-(\d+)-[0-9a-f]+", "main-9-abc", "main-10-abd"),
            (r"main-(\d+)-[0-9a-f]+", "main-10-abd", "-"),
            // Equal numbers: what is there stays.
            (r"main-(\d+)-[0-9a-f]+", "main-010-aaa", "-"),
            (r"main-(\d+)-[0-9a-f]+", "main-11-fff", "-"),
            (r"main-(\d+)-([0-9a-f]+)", "main-010-aaa", "main-10-abd"),
            (r"[a-z]+-(\d+)-.*", "main-9-abc", "dev-99-abc"),
            (r"\d{4}-\d\d-\d\d", "2025-12-31", "2026-01-02"),
            // A part of a tag does not match.
            (r"main-\d+", "main-x", "-"),
        ];
        for (pattern, current, taken) in cases {
            let (found, why) = chosen(&Policy::regex(pattern).unwrap(), current, &tags(&all));
            assert_eq!(found, taken, "{pattern} from {current}: {why}");
            assert!(why.contains(pattern) || why.contains("comes after all"), "{why}");
        }
        let huge = tags(&["n-99999999999999999999999999", "n-100000000000000000000000000"]);
        assert_eq!(chosen(&Policy::regex(r"n-(\d+)").unwrap(), "", &huge).0, "n-100000000000000000000000000");
    }

    #[test]
    fn newest_takes_what_was_built_last() {
        let built = |name: &str, time: &str| Tagged {
            tag: tag(name),
            built: (!time.is_empty()).then(|| time.parse().unwrap()),
            digest: None,
        };
        let all = [
            built("b", "2026-11-01T10:00:00Z"),
            built("a", "2026-11-02T10:00:00Z"),
            built("untold", ""),
            built("reproducible", "1970-01-01T00:00:00Z"),
        ];
        let newest = Policy::newest();
        assert_eq!(chosen(&newest, "b", &all), ("a".into(), "a was built last, at 2026-11-02T10:00:00Z".into()));
        assert_eq!(chosen(&newest, "a", &all).0, "-");
        assert_eq!(chosen(&newest, "gone", &all).0, "a");
        assert_eq!(chosen(&newest.clone().of_tags("b|untold").unwrap(), "untold", &all).0, "b");
        let untold = chosen(&newest, "x", &all[2..]);
        assert_eq!(untold, ("-".into(), "of 2 tags none is allowed and tells when its image was built".into()));
        assert_eq!(newest.need(), Need::Times);
    }

    #[test]
    fn digest_follows_a_tag() {
        let policy = Policy::digest(tag("stable"));
        let mut all = tags(&["other", "stable"]);
        assert_eq!(chosen(&policy, "", &all), ("-".into(), "the registry has no tag stable".into()));
        all[1].digest = Some(Digest::new(HASH).unwrap());
        let why = "stable is sha256:0123456789ab now";
        assert_eq!(chosen(&policy, "stable", &all), (HASH.into(), why.into()));
        assert_eq!(chosen(&policy, &HASH.replace('0', "1"), &all), (HASH.into(), why.into()));
        assert_eq!(chosen(&policy, HASH, &all), ("-".into(), why.into()));
        assert_eq!(policy.need(), Need::Digest(tag("stable")));
    }

    #[test]
    fn what_is_no_policy_says_why() {
        let range = Policy::semver("latest").unwrap_err().to_string();
        assert_eq!(range, "`latest` is not a range of versions such as `^1.2`, `1.x` or `>=1.0 <2`");
        for pattern in ["(", "a)|(b", "*"] {
            let error = Policy::regex(pattern).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{pattern}` is not a regular expression: ")), "{error}");
            assert!(Policy::newest().of_tags(pattern).is_err(), "{pattern}");
        }
    }
}
