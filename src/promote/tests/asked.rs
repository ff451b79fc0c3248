//! What people mean who do not name it in full.

use super::super::asked::{Unclear, attempt, before, judged, next, open, source, whole};
use super::commit;
use crate::api::leeboard::promotion::{
    Override, PlanSummary, Promotion, PromotionKind, PromotionPhase, PromotionPolicy, PromotionSource, PromotionSpec,
    PromotionStatus, PromotionTrack, Tenure,
};
use crate::api::leeboard::{Environment, EnvironmentSpec, EnvironmentStatus, ForgeReference, ForgeUser};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// An environment that takes commits from these, and has had these: whether each was verified.
fn environment(name: &str, from: &[&str], had: &[(char, bool)]) -> Environment {
    let source = |name: &&str| PromotionSource { environment: Some((*name).into()), ..PromotionSource::default() };
    let policy = PromotionPolicy { from: from.iter().map(source).collect(), ..PromotionPolicy::default() };
    let spec = EnvironmentSpec { promotion: Some(policy), ..EnvironmentSpec::default() };
    let mut tenures = had.iter().map(|(digit, is_verified)| Tenure {
        commit: commit(*digit),
        origin: commit(*digit),
        verified_at: is_verified.then(|| Time(super::at(0))),
        ..Tenure::default()
    });
    let current = tenures.next();
    let track = PromotionTrack { current, previous: tenures.collect(), ..PromotionTrack::default() };
    let mut environment = Environment::new(name, "leeboard", spec);
    environment.status = Some(EnvironmentStatus { promotion: Some(track), ..EnvironmentStatus::default() });
    environment
}

fn promotion(name: &str, by: Option<&str>, phase: PromotionPhase) -> Promotion {
    let spec = PromotionSpec {
        environment: "prod".into(),
        commit: commit('a'),
        requested_by: by.map(str::to_owned),
        ..PromotionSpec::default()
    };
    let mut promotion = Promotion::new(name, "leeboard", spec);
    promotion.status = Some(PromotionStatus { phase, message: "so it is".into(), ..PromotionStatus::default() });
    promotion
}

#[test]
fn the_first_digits_of_a_commit_are_enough_when_they_mean_one() {
    let all = [environment("dev", &[], &[('a', true), ('b', true)]), environment("int", &["dev"], &[('b', true)])];
    let several = environment("odd", &[], &[('a', true)]);
    let mut other = several.clone();
    if let Some(track) = other.status.as_mut().and_then(|status| status.promotion.as_mut()) {
        track.candidate = Some(format!("aa{}", "1".repeat(38)));
    }
    let in_full = commit('9');
    assert_eq!(whole("aaaa", &all), Ok(commit('a')));
    assert_eq!(whole("BBB", &all), Ok(commit('b')));
    assert_eq!(whole(&in_full, &all), Ok(in_full));
    for nothing in ["c", "", "main", "@org"] {
        assert_eq!(whole(nothing, &all), Err(Unclear::NoCommit(nothing.into())));
    }
    let two = whole("aa", &[several, other]).unwrap_err();
    assert_eq!(two.to_string(), "`aa` is the beginning of several commits");
    assert_eq!(whole("aaa", &all), Ok(commit('a')));
}

#[test]
fn what_comes_next_is_the_candidate_or_what_a_source_has() {
    let dev = environment("dev", &[], &[('b', false), ('a', true)]);
    let behind = environment("int", &["dev"], &[('a', true)]);
    let level = environment("int", &["dev"], &[('b', true)]);
    let mut chosen = behind.clone();
    if let Some(track) = chosen.status.as_mut().and_then(|status| status.promotion.as_mut()) {
        (track.candidate, track.next) = (Some(commit('c')), Some("a window".into()));
    }
    assert_eq!(next(&behind, [&dev, &behind]), Ok(commit('b')));
    assert_eq!(next(&chosen, [&dev, &chosen]), Ok(commit('c')));
    assert_eq!(next(&level, [&dev, &level]).unwrap_err().to_string(), "there is nothing new for `int`");
    assert_eq!(next(&dev, [&dev, &behind]).unwrap_err().to_string(), "there is nothing new for `dev`");
    assert_eq!(source(&behind, [&behind, &dev], &commit('a')).as_deref(), Some("dev"));
    assert_eq!(source(&behind, [&behind, &dev], &commit('c')), None);
}

#[test]
fn what_was_there_before_is_what_was_verified_before() {
    let prod = environment("prod", &[], &[('d', true), ('c', false), ('b', true), ('a', true)]);
    assert_eq!(before(&prod), Ok(commit('b')));
    let young = environment("prod", &[], &[('b', true), ('a', false)]);
    assert_eq!(before(&young).unwrap_err().to_string(), "`prod` has had nothing before that was verified");
}

#[test]
fn an_attempt_has_the_first_name_that_is_free() {
    use PromotionPhase as P;
    let spec = |overrides: &[&str]| PromotionSpec {
        environment: "prod".into(),
        commit: commit('a'),
        overrides: overrides.iter().map(|gate| Override { gate: (*gate).into(), reason: String::new() }).collect(),
        ..PromotionSpec::default()
    };
    let first = "prod-aaaaaaaaaaaa";
    let ended = promotion(first, Some("jane"), P::Failed);
    let by_person = promotion(first, Some("jane"), P::Gated);
    let by_itself = promotion(first, None, P::Gated);
    type Case<'a> = (&'a [Promotion], &'a [&'a str], Result<&'a str, &'a str>);
    let cases: [Case<'_>; 6] = [
        // what there is, which gates are left out, the name or why there is none
        (&[], &[], Ok(first)),
        (std::slice::from_ref(&ended), &[], Ok("prod-aaaaaaaaaaaa-2")),
        (std::slice::from_ref(&by_person), &[], Err("prod-aaaaaaaaaaaa is under way: Gated")),
        (std::slice::from_ref(&by_person), &["soak"], Err("prod-aaaaaaaaaaaa is under way: Gated")),
        (std::slice::from_ref(&by_itself), &[], Err("prod-aaaaaaaaaaaa is under way: Gated")),
        (std::slice::from_ref(&by_itself), &["soak"], Ok("prod-aaaaaaaaaaaa-2")),
    ];
    for (known, overrides, expected) in cases {
        let found = attempt(known, &spec(overrides)).map_err(|unclear| unclear.to_string());
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{overrides:?}");
    }
    let back = PromotionSpec { kind: PromotionKind::Rollback, ..spec(&[]) };
    assert_eq!(attempt(&[by_person], &back).as_deref(), Ok("prod-back-aaaaaaaaaaaa"));
}

#[test]
fn words_are_for_what_is_under_way_and_has_a_plan() {
    use PromotionPhase as P;
    let waiting = promotion("prod-a", None, P::Pending);
    let mut holding = promotion("prod-b", None, P::PullRequest);
    let ended = promotion("prod-c", None, P::Aborted);
    assert_eq!(open([&waiting, &holding, &ended], "prod").map(Promotion::name), Some("prod-b"));
    assert_eq!(open([&ended, &waiting], "prod").map(Promotion::name), Some("prod-a"));
    assert_eq!(open([&ended], "prod").map(Promotion::name), None);
    assert_eq!(judged(&waiting).unwrap_err().to_string(), "prod-a has no plan yet: so it is");
    assert_eq!(judged(&ended).unwrap_err().to_string(), "prod-c has ended: Aborted: so it is");
    let plan = PlanSummary { hash: "h".into(), ..PlanSummary::default() };
    if let Some(status) = holding.status.as_mut() {
        status.plan = Some(plan.clone());
    }
    assert_eq!(judged(&holding), Ok(plan));
}

#[test]
fn an_account_is_who_the_environment_says_it_is() {
    let one = |id: Option<&str>, login: Option<&str>, user: &str| ForgeUser {
        id: id.map(str::to_owned),
        login: login.map(str::to_owned),
        user: user.into(),
        ..ForgeUser::default()
    };
    let forge = ForgeReference {
        user_map: vec![
            one(Some("7"), Some("jane"), "jane@example.com"),
            one(None, Some("Bob"), "bob@example.com"),
            one(None, None, "nobody@example.com"),
        ],
        ..ForgeReference::default()
    };
    let cases = [
        // number, name, who that is
        ("7", "renamed", Some("jane@example.com")),
        ("8", "jane", None),
        ("9", "bob", Some("bob@example.com")),
        ("9", "", None),
    ];
    for (id, login, expected) in cases {
        assert_eq!(forge.person(id, login).map(|person| person.user.as_str()), expected, "{id} {login}");
    }
}
