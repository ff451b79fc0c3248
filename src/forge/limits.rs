//! [`Limits`]: what an answer's headers say of the requests that are left. One way of saying it per forge.

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

use super::call::Answer;
use super::kind::Kind;

/// What was said; a forge that says nothing has no limit that we know of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// Requests in a window, and how many of them are left.
    pub(super) window: Option<Window>,
    /// Before this there is no use in asking.
    pub(super) closed_until: Option<Timestamp>,
}

/// The requests of a window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) limit: u64,
    pub(super) remaining: u64,
    /// When there are more again.
    pub(super) resets: Timestamp,
}

/// How long a forge is left alone that says "too many" and not until when.
const UNTOLD: Duration = Duration::from_secs(60);

/// No forge means more than this; a header that says so is wrong.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What an answer says of the requests that are left.
pub(super) fn limits(kind: Kind, answer: &Answer, now: Timestamp) -> Limits {
    let headers = &answer.headers;
    let window = match kind {
        Kind::GitHub => window(headers, ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"], now),
        Kind::GitLab => window(headers, ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"], now),
        Kind::BitbucketCloud => nearly(headers, now),
        Kind::BitbucketServer => bucket(headers, now),
        Kind::Gitea => None,
    };
    let closed_until = is_limited(kind, answer).then(|| {
        let told = retry_after(headers, now);
        let exhausted = window.filter(|window| window.remaining == 0).map(|window| window.resets);
        told.or(exhausted).unwrap_or_else(|| later(now, UNTOLD))
    });
    Limits { window, closed_until }
}

/// Whether an answer says "too many": with a status of its own, or as GitHub does, with that of a missing right.
fn is_limited(kind: Kind, answer: &Answer) -> bool {
    match (answer.status.as_u16(), kind) {
        (429, _) => true,
        (403, Kind::GitHub) => {
            answer.headers.contains_key("retry-after")
                || answer.header("x-ratelimit-remaining") == Some("0")
                // The secondary limits have no status, no header and no code of their own.
                || answer.said().to_ascii_lowercase().contains("rate limit")
        }
        _ => false,
    }
}

/// `Retry-After` in seconds, or as a date.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let value = headers.get("retry-after")?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(later(now, Duration::from_secs(seconds)));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(date.clamp(now, later(now, LONGEST)))
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Limit, what is left, and the second of the epoch at which it begins anew.
fn window(headers: &HeaderMap, names: [&str; 3], now: Timestamp) -> Option<Window> {
    let [limit, remaining, resets] = names.map(|name| number(headers, name));
    let resets = Timestamp::from_second(i64::try_from(resets?).ok()?).ok()?;
    Some(Window { limit: limit?, remaining: remaining?, resets: resets.min(later(now, LONGEST)) })
}

/// Bitbucket Cloud says no more than that a fifth is left.
fn nearly(headers: &HeaderMap, now: Timestamp) -> Option<Window> {
    let limit = number(headers, "x-ratelimit-limit")?;
    let near = headers.get("x-ratelimit-nearlimit")?.to_str().ok()?.eq_ignore_ascii_case("true");
    // Its hour moves along: some are there again soon.
    near.then(|| Window { limit, remaining: (limit / 5).saturating_sub(1), resets: later(now, 5 * UNTOLD) })
}

/// Bitbucket Data Center has a bucket that is filled all the time: it is as good as new when a fifth is in it again.
fn bucket(headers: &HeaderMap, now: Timestamp) -> Option<Window> {
    let names = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-fillrate", "x-ratelimit-interval-seconds"];
    let [limit, remaining, fill, interval] = names.map(|name| number(headers, name));
    let (limit, remaining) = (limit?, remaining?);
    let missing = (limit / 5 + 1).saturating_sub(remaining);
    let intervals = missing.div_ceil(fill.unwrap_or(1).max(1));
    let resets = later(now, Duration::from_secs(intervals.saturating_mul(interval.unwrap_or(1).max(1))));
    Some(Window { limit, remaining, resets })
}

/// A time from now on, within reason.
pub(super) fn later(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(wait.min(LONGEST)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    const NOW: i64 = 1_795_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(NOW + seconds).unwrap()
    }

    fn heard(kind: Kind, status: u16, headers: &[(&'static str, &str)], body: &str) -> Limits {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let answer = Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: body.into() };
        limits(kind, &answer, at(0))
    }

    #[test]
    fn every_forge_says_it_in_its_own_way() {
        let window = |limit, remaining, seconds| Some(Window { limit, remaining, resets: at(seconds) });
        let hub = |remaining: &'static str| {
            [("x-ratelimit-limit", "5000"), ("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", "1795000900")]
        };
        let lab = [("ratelimit-limit", "600"), ("ratelimit-remaining", "599"), ("ratelimit-reset", "1795000060")];
        let bucket = [
            ("x-ratelimit-limit", "60"),
            ("x-ratelimit-remaining", "3"),
            ("x-ratelimit-fillrate", "5"),
            ("x-ratelimit-interval-seconds", "1"),
        ];
        let near = [("x-ratelimit-limit", "1000"), ("x-ratelimit-nearlimit", "true")];
        let far = [("x-ratelimit-limit", "1000"), ("x-ratelimit-nearlimit", "false")];
        let odd = [("x-ratelimit-limit", "many"), ("x-ratelimit-remaining", "1"), ("x-ratelimit-reset", "never")];
        assert_eq!(heard(Kind::GitHub, 200, &hub("4321"), "").window, window(5000, 4321, 900));
        assert_eq!(heard(Kind::GitLab, 200, &lab, "").window, window(600, 599, 60));
        assert_eq!(heard(Kind::BitbucketServer, 200, &bucket, "").window, window(60, 3, 2));
        assert_eq!(heard(Kind::BitbucketCloud, 200, &near, "").window, window(1000, 199, 300));
        assert_eq!(heard(Kind::BitbucketCloud, 200, &far, "").window, None);
        assert_eq!(heard(Kind::Gitea, 200, &hub("1"), "").window, None);
        assert_eq!(heard(Kind::GitHub, 200, &odd, "").window, None);
    }

    #[test]
    fn too_many_is_heard_with_the_time_that_is_told() {
        const SECONDARY: &str = r#"{"message": "You have exceeded a secondary rate limit. Please wait."}"#;
        const EXHAUSTED: &[(&str, &str)] =
            &[("x-ratelimit-limit", "5000"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1795000900")];
        type Case = (Kind, u16, &'static [(&'static str, &'static str)], &'static str, Option<i64>);
        let cases: [Case; 9] = [
            // forge, status, headers, body, closed for
            (Kind::GitHub, 403, &[("retry-after", "30")], SECONDARY, Some(30)),
            (Kind::GitHub, 403, &[], SECONDARY, Some(60)),
            (Kind::GitHub, 403, EXHAUSTED, "", Some(900)),
            (Kind::GitHub, 403, &[], r#"{"message": "Resource not accessible by integration"}"#, None),
            (Kind::GitLab, 429, &[], "Retry later", Some(60)),
            (Kind::GitLab, 403, &[], SECONDARY, None),
            (Kind::Gitea, 429, &[("retry-after", "7")], "", Some(7)),
            (Kind::BitbucketServer, 429, &[("retry-after", "999999999")], "", Some(24 * 3600)),
            (Kind::Gitea, 200, &[("retry-after", "7")], "", None),
        ];
        for (kind, status, headers, body, expected) in cases {
            let until = heard(kind, status, headers, body).closed_until;
            assert_eq!(until, expected.map(at), "{kind} {status} {headers:?} {body}");
        }
    }

    #[test]
    fn a_date_is_a_time_too() {
        let headers = |value: &str| HeaderMap::from_iter([(http::header::RETRY_AFTER, value.parse().unwrap())]);
        let date = at(120).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        assert_eq!(retry_after(&headers(&date), at(0)), Some(at(120)));
        assert_eq!(retry_after(&headers("soon"), at(0)), None);
    }
}
