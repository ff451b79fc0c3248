//! Which commit was where, what comes next, and environments that lead in a circle.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::super::candidate::{Next, Offer, next};
use super::super::graph::cycle;
use super::super::track::{Held, Sight, seen, soaked};
use super::super::window::{Gateway, look};
use super::{at, commit};
use crate::api::leeboard::promotion::{PromotionTrack, Require, Select, Window, WindowKind};

/// What is seen at a time: the commit, whether it is healthy.
type Look = (i64, Option<char>, bool);

fn walk(steps: &[Look], tolerance: i64) -> PromotionTrack {
    let mut track = PromotionTrack::default();
    for (seconds, digit, is_healthy) in steps {
        let sight = Sight {
            commit: digit.map(|digit| Held { commit: commit(digit), subject: String::new(), origin: commit(digit) }),
            unhealthy: (!is_healthy).then(|| "web is Degraded".to_owned()),
            is_verified: true,
            tolerance: SignedDuration::from_secs(tolerance),
        };
        track = seen(&track, &sight, at(*seconds));
    }
    track
}

#[test]
fn a_commit_soaks_while_it_is_healthy() {
    let cases: &[(&str, &[Look], i64, i64, i64)] = &[
        // what happens, what was seen when, tolerance, asked at, soaked then
        ("healthy from the beginning", &[(0, Some('a'), true)], 0, 600, 600),
        ("not before it is healthy", &[(0, Some('a'), false), (100, Some('a'), true)], 0, 600, 500),
        (
            "again after it was unhealthy",
            &[(0, Some('a'), true), (540, Some('a'), false), (600, Some('a'), true)],
            0,
            700,
            540,
        ),
        ("the longer time counts", &[(0, Some('a'), true), (60, Some('a'), false), (90, Some('a'), true)], 0, 700, 610),
        (
            "within the tolerance nothing happens",
            &[(0, Some('a'), true), (60, Some('a'), false), (90, Some('a'), true)],
            30,
            700,
            700,
        ),
        ("while it is unhealthy the clock stands", &[(0, Some('a'), true), (60, Some('a'), false)], 0, 700, 60),
        (
            "a sync of the same commit is a break",
            &[(0, Some('a'), true), (60, None, true), (70, Some('a'), true)],
            0,
            100,
            60,
        ),
        (
            "what was completed stays when it comes back",
            &[(0, Some('a'), true), (300, Some('b'), true), (400, Some('a'), true)],
            0,
            410,
            300,
        ),
    ];
    for (what, steps, tolerance, when, expected) in cases {
        let track = walk(steps, *tolerance);
        assert_eq!(soaked(track.current.as_ref().unwrap(), at(*when)).as_secs(), *expected, "{what}");
    }
}

#[test]
fn what_was_replaced_keeps_its_time() {
    let track = walk(&[(0, Some('a'), true), (600, Some('b'), true)], 0);
    let old = &track.previous[0];
    assert_eq!((old.commit.as_str(), soaked(old, at(9999)).as_secs()), (commit('a').as_str(), 600));
    assert!(old.verified_at.is_some() && old.until.is_some());
    let many: Vec<_> = ('a'..='f').chain('0'..='9').zip(0..).map(|(digit, n)| (n, Some(digit), true)).collect();
    assert_eq!(walk(&many, 0).previous.len(), 10);
}

/// An offer: commit, verified, there already, rejected.
fn offer(source: &str, digit: char, verified: bool, there: bool, rejected: bool) -> Offer {
    Offer {
        commit: format!("{source}{}", commit(digit)),
        origin: commit(digit),
        source: source.into(),
        unverified: (!verified).then(|| "web is Progressing".into()),
        is_there: there,
        rejected: rejected.then(|| "it is bad".into()),
    }
}

#[test]
fn the_next_commit_is_chosen_by_policy() {
    let verified = |digit| offer("dev", digit, true, false, false);
    type Case = (&'static str, Vec<Vec<Offer>>, Require, Select, Result<char, &'static str>);
    let cases: Vec<Case> = vec![
        ("nothing", vec![vec![]], Require::Any, Select::Latest, Err("")),
        ("the newest", vec![vec![verified('c'), verified('b')]], Require::Any, Select::Latest, Ok('c')),
        (
            "the oldest that waits",
            vec![vec![verified('c'), verified('b'), offer("dev", 'a', true, true, false)]],
            Require::Any,
            Select::Queue,
            Ok('b'),
        ),
        (
            "what is there is not taken, nor what is older",
            vec![vec![offer("dev", 'c', true, true, false), verified('b')]],
            Require::Any,
            Select::Latest,
            Err(""),
        ),
        (
            "the newest that is verified",
            vec![vec![offer("dev", 'c', false, false, false), verified('b')]],
            Require::Any,
            Select::Latest,
            Ok('b'),
        ),
        (
            "none is",
            vec![vec![offer("dev", 'c', false, false, false)]],
            Require::Any,
            Select::Latest,
            Err("dev has not verified devcccc: web is Progressing"),
        ),
        (
            "a rejected one is left out",
            vec![vec![offer("dev", 'c', true, false, true), verified('b')]],
            Require::Any,
            Select::Latest,
            Ok('b'),
        ),
        (
            "one of two sources will do",
            vec![vec![offer("dev", 'c', false, false, false)], vec![offer("qa", 'c', true, false, false)]],
            Require::Any,
            Select::Latest,
            Ok('c'),
        ),
        (
            "both are asked for",
            vec![vec![verified('c')], vec![offer("qa", 'c', false, false, false)]],
            Require::All,
            Select::Latest,
            Err("qa has not verified ccccccc: web is Progressing"),
        ),
        (
            "both have it",
            vec![vec![verified('c')], vec![offer("qa", 'c', true, false, false)]],
            Require::All,
            Select::Latest,
            Ok('c'),
        ),
        (
            "one has not seen it",
            vec![vec![verified('c')], vec![offer("qa", 'b', true, false, false)]],
            Require::All,
            Select::Latest,
            Err("qa has not seen ccccccc"),
        ),
    ];
    for (what, sources, require, select, expected) in cases {
        let found = match next(&sources, require, select) {
            Next::Take(offer) => Ok(offer.origin.chars().next().unwrap()),
            Next::Wait(why) => Err(why),
            Next::Nothing => Err(String::new()),
        };
        assert_eq!(found, expected.map_err(str::to_owned), "{what}");
    }
}

#[test]
fn a_circle_of_environments_is_named() {
    let from = BTreeMap::from([
        ("dev", vec!["prod"]),
        ("int", vec!["dev"]),
        ("prod", vec!["int", "load"]),
        ("load", vec!["load"]),
        ("eu", vec!["prod"]),
    ]);
    let cases = [
        ("prod", Some("prod → int → dev → prod")),
        ("dev", Some("dev → prod → int → dev")),
        ("load", Some("load → load")),
        ("eu", None),
        ("other", None),
    ];
    for (name, expected) in cases {
        assert_eq!(cycle(&from, name).as_deref(), expected, "{name}");
    }
}

fn window(kind: WindowKind, schedule: &str, duration: &str) -> Window {
    Window { kind, schedule: schedule.into(), duration: duration.into(), ..Window::default() }
}

#[test]
fn windows_open_and_close() {
    use WindowKind::{Allow, Deny};
    // These tests begin on Sunday, 2026-11-22, at 10:00 UTC.
    let cases = [
        // windows, by a person, what is said, when it opens
        (vec![], false, None, None),
        (vec![window(Allow, "0 9 * * *", "2h")], false, None, None),
        (
            vec![window(Allow, "0 9 * * *", "1h")],
            false,
            Some("outside of the window `0 9 * * *` for 1h"),
            Some("2026-11-23T09:00:00Z"),
        ),
        (vec![window(Allow, "0 9 * * 1-5", "8h")], false, Some("outside of the window"), Some("2026-11-23T09:00:00Z")),
        (vec![window(Allow, "0 9 * * mon", "8h"), window(Allow, "*/30 10 * * 0", "10m")], false, None, None),
        (
            vec![window(Allow, "0 * * * *", "1h"), window(Deny, "0 0 * * SUN", "24h")],
            false,
            Some("the window `0 0 * * SUN` for 24h takes no promotions"),
            Some("2026-11-23T00:00:00Z"),
        ),
        (vec![window(Deny, "0 22 21 * *", "12h1m")], false, Some("takes no promotions"), Some("2026-11-22T10:01:00Z")),
        (
            vec![Window { time_zone: Some("America/New_York".into()), ..window(Allow, "0 5 * * *", "1h") }],
            false,
            None,
            None,
        ),
        (vec![Window { manual: true, ..window(Deny, "0 0 * * *", "24h") }], true, None, None),
        (
            vec![Window { manual: true, reason: Some("Christmas".into()), ..window(Deny, "0 0 22 * *", "24h") }],
            false,
            Some("takes no promotions: Christmas"),
            Some("2026-11-23T00:00:00Z"),
        ),
        (
            vec![window(Allow, "0 25 * * *", "1h")],
            false,
            Some("the window `0 25 * * *` cannot be read: `25` is not 0 to 23"),
            None,
        ),
        (vec![window(Allow, "0 9 * *", "1h")], false, Some("it has 4 fields of five"), None),
        (vec![window(Allow, "0 9 * * *", "soon")], false, Some("`soon` is no duration of a window"), None),
        (
            vec![Window { time_zone: Some("Mars/Base".into()), ..window(Allow, "* * * * *", "1h") }],
            false,
            Some("`Mars/Base` is no time zone"),
            None,
        ),
        // Either kind of day will do, where both are given.
        (vec![window(Allow, "0 10 1 * 0", "1h")], false, None, None),
    ];
    for (windows, by_person, expected, opening) in cases {
        match (look(&windows, by_person, at(0)), expected) {
            (Gateway::Open, None) => {}
            (Gateway::Closed { why, opens }, Some(expected)) => {
                assert!(why.contains(expected), "{windows:?}: {why}");
                assert_eq!(opens.map(|opens| opens.to_string()).as_deref(), opening, "{windows:?}");
            }
            (found, _) => panic!("{windows:?}: {found:?}"),
        }
    }
}
