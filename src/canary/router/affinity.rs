//! Session affinity: a client that has met a version keeps it, by a cookie that the route sets and matches.

use crate::api::flagger::{HttpMatch, SameSite, SessionAffinity, StringMatch};
use crate::canary::record::Cookies;

/// The three cookies of a run, as far as there are any.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    /// Of clients that have met the canary.
    pub(super) canary: Option<&'a str>,
    /// Of clients that have met the primary.
    pub(super) primary: Option<&'a str>,
    /// Of a run that is over: clients that still have it lose it.
    pub(super) over: Option<&'a str>,
}

impl<'a> Given<'a> {
    pub(super) fn of(cookies: &'a Cookies) -> Self {
        let some = |text: &'a String| Some(text.as_str()).filter(|text| !text.is_empty());
        let canary = some(&cookies.canary);
        // As soon as no traffic reaches the canary, its own cookie is one to take back.
        Given { canary, primary: some(&cookies.primary), over: canary.or(some(&cookies.previous)) }
    }
}

/// The value of `Set-Cookie` that gives a cookie to a client.
pub(super) fn set_cookie(cookie: &str, max_age: i64, affinity: &SessionAffinity) -> String {
    let mut text = format!("{cookie}; Max-Age={max_age}");
    if let Some(domain) = &affinity.domain {
        text.push_str(&format!("; Domain={domain}"));
    }
    if affinity.http_only {
        text.push_str("; HttpOnly");
    }
    if affinity.partitioned {
        text.push_str("; Partitioned");
    }
    if let Some(path) = &affinity.path {
        text.push_str(&format!("; Path={path}"));
    }
    if let Some(same_site) = affinity.same_site {
        let word = match same_site {
            SameSite::Strict => "Strict",
            SameSite::Lax => "Lax",
            SameSite::None => "None",
        };
        text.push_str(&format!("; SameSite={word}"));
    }
    if affinity.secure {
        text.push_str("; Secure");
    }
    text
}

/// The value that takes a cookie back.
pub(super) fn delete_cookie(cookie: &str) -> String {
    format!("{cookie}; Max-Age=-1")
}

/// The pattern of a `Cookie` header that has this cookie.
fn pattern(cookie: &str) -> String {
    let (name, value) = cookie.split_once('=').unwrap_or((cookie, ""));
    format!(".*{name}.*{value}.*")
}

/// The canary's own conditions, and the cookie besides.
pub(super) fn matching(cookie: &str, matches: &[HttpMatch]) -> Vec<HttpMatch> {
    let header = || StringMatch { regex: Some(pattern(cookie)), ..StringMatch::default() };
    let with_cookie = |condition: &HttpMatch| {
        let mut condition = condition.clone();
        condition.headers.insert("Cookie".into(), header());
        condition
    };
    if matches.is_empty() {
        vec![with_cookie(&HttpMatch::default())]
    } else {
        matches.iter().map(with_cookie).collect()
    }
}

/// Each of the run's conditions together with each of the canary's own, so that both must hold.
pub(super) fn crossed(run: &[HttpMatch], own: &[HttpMatch]) -> Vec<HttpMatch> {
    if own.is_empty() {
        return run.to_vec();
    }
    let both = |run: &HttpMatch, own: &HttpMatch| {
        let mut both = own.clone();
        both.headers.extend(run.headers.clone());
        both.query_params.extend(run.query_params.clone());
        both.source_labels.extend(run.source_labels.clone());
        both
    };
    run.iter().flat_map(|run| own.iter().map(move |own| both(run, own))).collect()
}
