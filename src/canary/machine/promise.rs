//! What no decision may do, whatever is seen.

use super::*;

/// What a decision must never do, if it does; tests and simulations look at each one.
pub fn broken_promise(settings: &Settings, world: &World, before: &Record, decision: &Decision) -> Option<String> {
    let endpoints = |side: Option<&Workload>| side.map_or(0, |workload| workload.endpoints);
    let target = match &world.target {
        Sighting::Seen(target) => Some(target),
        Sighting::Unseen(_) => None,
    };
    let live = if let Route::Set(split) = world.route { split } else { Split::PRIMARY_ONLY };
    let known = decision.record.versions().or(before.versions());
    for action in &decision.actions {
        match action {
            Action::SetRoute(split) if settings.subject.kind.is_scaled() => {
                let canary = endpoints(target.map(|target| &target.workload));
                let is_led = split.header.is_some() && split.header != live.header;
                if (split.canary > live.canary || is_led) && canary == 0 {
                    return Some(format!("routes {split} to a canary without a ready endpoint"));
                }
                if split.canary < live.canary && endpoints(world.primary.as_ref()) == 0 && canary > 0 {
                    return Some(format!("routes {split} to a primary without a ready endpoint"));
                }
            }
            Action::Promote(revision) => {
                if target.is_none_or(|target| target.revision != *revision) {
                    return Some("promotes a version that the target does not have".into());
                }
                let is_run = known.is_some_and(|versions| versions.applied == *revision);
                if !is_run || !matches!(decision.record.state, State::Promoting(_)) {
                    return Some("promotes a version that was not tried".into());
                }
            }
            Action::RestorePrimary(revision) if known.is_none_or(|versions| versions.promoted != *revision) => {
                return Some("restores a version that was never promoted".into());
            }
            Action::MakePrimary(revision) if known.is_some_and(|versions| versions.promoted != *revision) => {
                return Some("makes a primary of a version that was never promoted".into());
            }
            Action::ScaleTarget(0) if live.is_answered_by_canary() && settings.has_route() => {
                return Some("scales down a canary that has traffic".into());
            }
            _ => {}
        }
    }
    let starts = matches!(decision.record.state, State::Analysing(_)) && matches!(before.state, State::Resting(_));
    let is_asked_for = world.wish.as_ref().is_some_and(|wish| wish.what == WishKind::Retry);
    if let (State::Resting(rest), State::Analysing(run)) = (&before.state, &decision.record.state)
        && starts
        && run.versions.applied == rest.versions.applied
        && !is_asked_for
    {
        return Some("runs a version again that has failed".into());
    }
    let is_rested = decision.actions.is_empty() && decision.record == *before && decision.waits_for.is_none();
    let ends = matches!(decision.record.state, State::Resting(_) | State::Terminating);
    (is_rested && !ends && decision.wake.is_none()).then(|| "waits for nothing".into())
}
