//! What is written about promotions: the objects themselves, their status, what Environments say, Events.
//!
//! **In:** decisions. **Out:** requests to the API server. **May not:** write what is written already; or make a second
//! promotion of the same commit by itself.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ask::{PROMOTION_VERSION, key};
use super::see::has_brought;
use super::{Subject, log};
use crate::api::leeboard::promotion::{
    Promotion, PromotionKind, PromotionPhase, PromotionSpec, PromotionStatus, PromotionTrack,
};
use crate::live::client::{DeleteOptions, Error, Part};
use crate::object::event::{About, Event, Severity};
use crate::object::{Object, ObjectKey, annotation};
use crate::promote::candidate::{Offer, short};
use crate::promote::message;
use crate::promote::track::Sight;
use crate::sync::status::merge_patch;

/// Begins the promotion of a candidate, where nobody has to; or what is waited for.
pub(super) async fn begun(subject: &Subject<'_>, offer: &Offer) -> Result<Option<String>, String> {
    let environment = subject.environment.name();
    let known = subject.daemon.promotions.of(environment);
    let of_it = || known.iter().filter(|one| one.spec.commit == offer.commit);
    if of_it().any(|one| !one.phase().is_final()) {
        return Ok(None);
    }
    if let Some(last) = of_it().next_back() {
        let message = last.status.as_ref().map(|status| status.message.clone()).unwrap_or_default();
        let phase = last.phase().as_str();
        return Ok(Some(format!("{} is {phase}: {message}; a person may try again", last.name())));
    }
    let command = format!("`leeboard promote {environment}`");
    let short = short(&offer.commit);
    if !subject.policy.auto {
        return Ok(Some(format!("{short} from {} may enter: {command} begins it", offer.source)));
    }
    let project = subject.environment.spec.project();
    let known = subject.daemon.written.project(project).and_then(Result::ok);
    if !known.is_some_and(|known| known.permits(annotation::AUTO_PROMOTION)) {
        return Ok(Some(format!(
            "{short} from {} may enter: {command} begins it (AutoNotAllowed: AppProject {project} has no annotation \
             {}: allow)",
            offer.source,
            annotation::AUTO_PROMOTION
        )));
    }
    if let Some(hold) = subject.policy.hold.as_ref().filter(|hold| hold.holds(subject.now)) {
        return Ok(Some(format!("held: {}; {command} begins {short} all the same", hold.reason)));
    }
    let spec = PromotionSpec {
        environment: environment.into(),
        commit: offer.commit.clone(),
        from: Some(offer.source.clone()),
        ..PromotionSpec::default()
    };
    make(subject, &message::name(environment, PromotionKind::Promote, &offer.commit, 1), spec).await?;
    Ok(None)
}

/// What a person pushed to a branch with gates after it is looked at as what was promoted is.
pub(super) async fn pushed(subject: &Subject<'_>, sight: &Sight, track: &PromotionTrack) -> Result<(), String> {
    if subject.policy.after.is_empty() {
        return Ok(());
    }
    let Some(held) = &sight.commit else { return Ok(()) };
    let is_known = track.current.as_ref().is_some_and(|current| current.verified_at.is_some());
    let environment = subject.environment.name();
    let all = subject.daemon.promotions.of(environment);
    let has_one = all.iter().any(|one| one.phase().holds_environment() || has_brought(one, &held.commit));
    if is_known || has_one {
        return Ok(());
    }
    let spec = PromotionSpec {
        environment: environment.into(),
        commit: held.commit.clone(),
        kind: PromotionKind::Push,
        ..PromotionSpec::default()
    };
    make(subject, &message::name(environment, PromotionKind::Push, &held.commit, 1), spec).await
}

async fn make(subject: &Subject<'_>, name: &str, spec: PromotionSpec) -> Result<(), String> {
    let promotion = Promotion::owned_by(subject.environment, name, spec);
    let body = serde_json::to_value(&promotion).map_err(|error| error.to_string())?;
    let object = Object::from_value(body, None).map_err(|error| error.to_string())?;
    match subject.daemon.cluster.create(&object).await {
        Ok(applied) => {
            if let Some(Ok(made)) = applied.body.as_ref().map(crate::api::decode::<Promotion>) {
                log(&made, PromotionPhase::Pending, "Promotion begins");
                subject.daemon.promotions.see(made);
            }
            Ok(())
        }
        Err(Error::AlreadyExists(_)) => Ok(()),
        Err(error) => Err(format!("promotion {name} not made: {error} {}", error.message().unwrap_or_default())),
    }
}

/// Writes a promotion's status, and tells what has happened; the promotion as it is then.
pub(super) async fn status(
    subject: &Subject<'_>,
    promotion: &Promotion,
    after: &PromotionStatus,
) -> Result<Promotion, String> {
    let as_value = |status: &PromotionStatus| serde_json::to_value(status).unwrap_or(Value::Null);
    let before = promotion.status.as_ref().map_or_else(|| json!({}), as_value);
    let Some(change) = merge_patch(&before, &as_value(after)) else { return Ok(promotion.clone()) };
    // Who else writes it meanwhile wins: all is looked at again.
    let patch = json!({"metadata": {"resourceVersion": promotion.metadata.resource_version}, "status": change});
    let written = subject.daemon.cluster.merge_patch(&key(promotion), PROMOTION_VERSION, Part::Status, &patch).await;
    let newest = match written {
        Ok(applied) => applied.body.as_ref().and_then(|body| crate::api::decode::<Promotion>(body).ok()),
        Err(error) => return Err(format!("status of {} not written: {error}", promotion.name())),
    };
    let Some(newest) = newest else { return Err(format!("{} cannot be read", promotion.name())) };
    subject.daemon.promotions.see(newest.clone());
    if promotion.phase() != newest.phase() || promotion.status.is_none() {
        log(promotion, after.phase, &after.message);
        event(subject, promotion, after).await;
    }
    Ok(newest)
}

async fn event(subject: &Subject<'_>, promotion: &Promotion, status: &PromotionStatus) {
    use PromotionPhase as P;
    let severity = match status.phase {
        P::Failed | P::Aborted | P::RolledBack => Severity::Warning,
        _ => Severity::Normal,
    };
    let environment = subject.environment;
    let about_promotion = About {
        api_version: &promotion.api_version,
        kind: &promotion.kind,
        name: promotion.name(),
        namespace: promotion.namespace(),
        uid: promotion.metadata.uid.as_deref().unwrap_or_default(),
    };
    let about_environment = About {
        api_version: &environment.api_version,
        kind: &environment.kind,
        name: environment.name(),
        namespace: environment.namespace(),
        uid: environment.metadata.uid.as_deref().unwrap_or_default(),
    };
    let reason = format!("Promotion{}", status.phase.as_str());
    let long = format!("{}: {}", promotion.name(), status.message);
    let told = [(about_promotion, status.message.as_str()), (about_environment, long.as_str())];
    // An Environment is told of what has come to an end.
    let told = told.into_iter().take(if status.phase.is_final() { 2 } else { 1 });
    for (about, message) in told {
        let event = Event { about, reason: &reason, action: None, severity, message };
        let event = event.at(Timestamp::now());
        let cluster = subject.daemon.cluster.clone();
        subject.daemon.tasks.spawn(async move {
            if let Err(error) = cluster.create(&event).await {
                tracing::debug!(%error, "Event not written");
            }
        });
    }
}

/// Writes what an environment is known to have had, when it has changed.
pub(super) async fn tracked(
    subject: &Subject<'_>,
    before: &PromotionTrack,
    after: &PromotionTrack,
) -> Result<(), String> {
    let as_value = |track: &PromotionTrack| serde_json::to_value(track).unwrap_or(Value::Null);
    let Some(change) = merge_patch(&as_value(before), &as_value(after)) else { return Ok(()) };
    let environment = subject.environment;
    let key = ObjectKey {
        group: crate::api::LEEBOARD_GROUP.into(),
        kind: "Environment".into(),
        namespace: Some(environment.namespace().into()),
        name: environment.name().into(),
    };
    let patch = json!({"status": {"promotion": change}});
    match subject.daemon.cluster.merge_patch(&key, crate::api::VERSION, Part::Status, &patch).await {
        Ok(_) | Err(Error::NotFound(_)) => Ok(()),
        Err(error) => Err(format!("status not written: {error}")),
    }
}

/// Deletes the oldest ended promotions above the limit.
pub(super) async fn history(subject: &Subject<'_>) -> Result<(), String> {
    let ended: Vec<Arc<Promotion>> = subject.daemon.promotions.of(subject.environment.name());
    let ended: Vec<_> = ended.into_iter().filter(|one| one.phase().is_final()).collect();
    let excess = ended.len().saturating_sub(subject.policy.history_limit().max(1));
    for old in ended.iter().take(excess) {
        let options = DeleteOptions { uid: old.metadata.uid.as_deref().map(Into::into), ..DeleteOptions::default() };
        match subject.daemon.cluster.delete(&key(old), PROMOTION_VERSION, &options).await {
            Ok(_) | Err(Error::NotFound(_)) => {
                subject.daemon.promotions.forget(old.name());
            }
            Err(error) => return Err(format!("{} not deleted: {error}", old.name())),
        }
    }
    Ok(())
}
