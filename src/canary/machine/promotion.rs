//! A version is taken over by the primary, or traffic goes back to it.

use super::super::record::{Drain, RollBack};
use super::super::settings::Strategy;
use super::*;

impl Course<'_> {
    /// All that had to be checked was.
    pub(super) fn begin_promotion(&mut self, run: Run, skipped: bool) {
        self.tell(Event::Copying);
        self.record.told.clear();
        let promotion = Promotion {
            versions: run.versions,
            since: self.now,
            iterations: run.iterations,
            skipped,
            returns: false,
            drain: Drain::Due,
            unready: None,
        };
        self.record.state = State::Promoting(promotion);
        self.waits_for = Some("the primary to become the new version".into());
    }

    /// The primary becomes the new version while the canary serves as it did; then traffic goes back.
    pub(super) fn promote(&mut self, target: &Target, mut promotion: Promotion) {
        let Some(primary) = &self.world.primary else {
            // Deleted meanwhile, and what it was made of went with it: it is made of what has passed, if that is still there.
            let Versions { applied, promoted } = promotion.versions;
            let is_there = target.revision == applied;
            self.actions.push(if is_there { Action::Promote(applied) } else { Action::RestorePrimary(promoted) });
            self.waits_for = Some("the primary to be made again".into());
            return;
        };
        if primary.revision.as_ref() != Some(&promotion.versions.applied) {
            if target.revision != promotion.versions.applied {
                if self.was_promoted(&target.revision) {
                    return self.go_back(target, promotion.versions.promoted);
                }
                // What has passed is gone; what is there now has not.
                self.tell(Event::Restarted);
                self.want(Split::PRIMARY_ONLY);
                return self.start_over(target, promotion.versions.promoted);
            }
            self.actions.push(Action::Promote(promotion.versions.applied.clone()));
            self.waits_for = Some("the primary to become the new version".into());
            return;
        }
        let missing = self.primary_missing(primary).or_else(|| {
            let is_silent = self.settings.subject.kind.is_scaled() && primary.endpoints == 0;
            is_silent.then(|| "waiting for rollout to finish: the primary has no ready endpoints".to_owned())
        });
        if let Some(missing) = missing {
            let since = *promotion.unready.get_or_insert(self.now);
            self.record.state = State::Promoting(promotion.clone());
            let is_past = self.is_past(since, primary);
            if is_past && promotion.returns {
                let event = Event::DeadlineExceeded(missing.clone());
                self.alert(Severity::Error, &event);
                self.tell(event);
                return self.turn_back(promotion.versions, Why::Deadline(short(&missing)));
            }
            if is_past {
                return self.strand(promotion.versions, &missing);
            }
            self.tell_once(Event::PrimaryNotReady(missing));
            self.waits_for = Some("the primary to be ready with the new version".into());
            return;
        }
        promotion.unready = None;
        self.record.state = State::Promoting(promotion.clone());
        if self.settings.has_scaler {
            self.stand(Part::PrimaryScaler, Action::EnsurePrimaryScaler);
        }
        self.shift_back(promotion);
    }

    fn shift_back(&mut self, mut promotion: Promotion) {
        if !self.route_stands() {
            return;
        }
        let weight = self.record.route.split.canary;
        let by_weights = matches!(self.settings.strategy, Strategy::Weights(_) | Strategy::Steps(_));
        if let Some(step) = self.settings.promotion_step.filter(|_| by_weights && weight > Weight::NONE) {
            let due = after(promotion.since, self.settings.interval);
            if self.now < due {
                self.wake_at(due);
                self.waits_for = Some("the next step of the promotion".into());
                return;
            }
            let split = Split::to_canary(weight.lowered_by(step));
            self.want(split);
            self.tell(Event::PrimaryAdvanced(split.primary()));
            promotion.since = self.now;
            self.record.state = if split == Split::PRIMARY_ONLY {
                State::Finalising(promotion)
            } else {
                self.wake_at(after(self.now, self.settings.interval));
                State::Promoting(promotion)
            };
        } else {
            let had_traffic = self.record.route.split != Split::PRIMARY_ONLY;
            if had_traffic {
                self.tell(Event::RoutingToPrimary);
            }
            self.want(Split::PRIMARY_ONLY);
            promotion.since = self.now;
            // Amid a run it had some not long ago.
            let has_pods = matches!(&self.world.target, Sighting::Seen(target) if target.workload.replicas > 0);
            let is_due = had_traffic || (promotion.returns && has_pods);
            promotion.drain = match promotion.drain {
                _ if is_due => Drain::Due,
                // The primary was promoted anew while the target drained.
                begun @ Drain::Since(_) => begun,
                Drain::Due | Drain::Needless => Drain::Needless,
            };
            self.record.state = State::Finalising(promotion);
        }
        self.route_stands();
    }

    /// Traffic is on the primary alone: the target goes when everyone who routes has heard of it.
    pub(super) fn finalise(&mut self, target: &Target, mut promotion: Promotion) {
        if self.world.primary.is_none() {
            // Deleted, and what it had become went with it: it is promoted anew.
            promotion.since = self.now;
            self.record.state = State::Promoting(promotion.clone());
            return self.promote(target, promotion);
        }
        if !self.route_stands() {
            return;
        }
        promotion.drain = self.drained(promotion.drain);
        self.record.state = State::Finalising(promotion.clone());
        if self.drains(promotion.drain) {
            return;
        }
        if target.workload.replicas > 0 && self.settings.subject.kind.is_scaled() {
            self.actions.push(Action::ScaleTarget(0));
            self.waits_for = Some("the target to be scaled down".into());
            return;
        }
        let Promotion { versions, skipped, returns, .. } = promotion;
        match self.settings.verify_after {
            Some(length) if !skipped => self.begin_verification(versions, length),
            _ => self.succeed(versions, skipped, returns),
        }
    }

    /// The primary has it for good.
    pub(super) fn succeed(&mut self, versions: Versions, skipped: bool, returns: bool) {
        self.remember(&versions, returns);
        let promoted = versions.applied;
        self.record.told.clear();
        self.record.state = State::Resting(Rest {
            versions: Versions { applied: promoted.clone(), promoted },
            outcome: if returns { Outcome::RolledBack } else { Outcome::Succeeded },
            farewell: Farewell::Owed { skipped },
            unready: None,
        });
    }

    /// True when the primary had this version before, not too long ago.
    pub(super) fn was_promoted(&self, revision: &Revision) -> bool {
        self.record.earlier.iter().take(self.settings.rollback_window).any(|earlier| earlier == revision)
    }

    /// Git went back to what the primary had before: that was tried already.
    pub(super) fn go_back(&mut self, target: &Target, promoted: Revision) {
        let event = Event::GoingBack(target.revision.clone());
        self.alert(Severity::Info, &event);
        self.tell(event);
        self.record.told.clear();
        self.record.configs = target.configs.clone();
        self.want(Split::PRIMARY_ONLY);
        self.record.state = State::Promoting(Promotion {
            versions: Versions { applied: target.revision.clone(), promoted },
            since: self.now,
            iterations: 0,
            skipped: true,
            returns: true,
            drain: Drain::Due,
            unready: None,
        });
        self.waits_for = Some("the primary to become the old version again".into());
    }

    /// What the primary had can be gone back to; what was left by going back cannot: it was left for a reason.
    fn remember(&mut self, Versions { applied, promoted }: &Versions, returns: bool) {
        let earlier = &mut self.record.earlier;
        if returns {
            let known = earlier.iter().position(|known| known == applied).map_or(0, |at| at + 1);
            earlier.drain(..known);
        } else {
            earlier.retain(|known| known != applied && known != promoted);
            earlier.insert(0, promoted.clone());
            earlier.truncate(self.settings.rollback_window);
        }
    }

    /// True when git wants what serves already: what was begun with another version ends.
    pub(super) fn went_back(&mut self, target: &Target, versions: &Versions) -> bool {
        let went_back = target.revision == versions.promoted;
        if went_back {
            self.tell(Event::WentBack);
            self.turn_back(versions.clone(), Why::WentBack);
        }
        went_back
    }

    /// Ends a run without success.
    pub(super) fn turn_back(&mut self, versions: Versions, why: Why) {
        let (failed_checks, iterations) = match &self.record.state {
            State::Analysing(run) | State::Verifying(run) => (run.failed_checks, run.iterations),
            _ => (0, 0),
        };
        let had_traffic = self.record.route.split != Split::PRIMARY_ONLY;
        let primary = self.world.primary.as_ref().and_then(|primary| primary.revision.as_ref());
        let restores = primary.is_some_and(|revision| *revision != versions.promoted);
        let drain = if had_traffic { Drain::Due } else { Drain::Needless };
        self.record.told.clear();
        self.want(Split::PRIMARY_ONLY);
        self.record.state = State::RollingBack(RollBack { versions, why, failed_checks, iterations, restores, drain });
        self.waits_for = Some("traffic to be back on the primary".into());
        // At once, not at the next look: these are the requests that fail.
        if !restores {
            self.route_stands();
        }
    }

    /// Traffic goes back to the primary, at the version that it had; then the target goes.
    pub(super) fn roll_back(&mut self, target: &Target, mut back: RollBack) {
        let Some(primary) = &self.world.primary else {
            self.actions.push(Action::RestorePrimary(back.versions.promoted));
            return;
        };
        let is_restored = primary.revision.as_ref().is_none_or(|revision| *revision == back.versions.promoted);
        if !is_restored {
            self.actions.push(Action::RestorePrimary(back.versions.promoted));
            self.waits_for = Some("the primary to become the old version again".into());
            return;
        }
        // The canary is not what failed: there is time until all pods of the primary are what they were.
        if back.restores && self.world_splits() && self.primary_missing(primary).is_some() {
            self.waits_for = Some("the primary to be ready with the old version".into());
            return;
        }
        if !self.route_stands() {
            return;
        }
        back.drain = self.drained(back.drain);
        self.record.state = State::RollingBack(back.clone());
        if self.drains(back.drain) {
            return;
        }
        if target.workload.replicas > 0 && self.settings.subject.kind.is_scaled() {
            self.actions.push(Action::ScaleTarget(0));
            self.waits_for = Some("the target to be scaled down".into());
            return;
        }
        if back.why == Why::WentBack {
            let promoted = back.versions.promoted;
            self.come_to_rest(Versions { applied: promoted.clone(), promoted }, Outcome::Succeeded);
        } else {
            self.fail(back.versions, back.why);
        }
    }

    /// True while the live route gives the canary a share.
    fn world_splits(&self) -> bool {
        matches!(self.world.route, Route::Set(split) if split.is_answered_by_canary())
    }

    /// A version has failed; traffic is on the primary.
    pub(super) fn fail(&mut self, versions: Versions, why: Why) {
        self.tell(Event::ScalingDown);
        self.want(Split::PRIMARY_ONLY);
        self.record.told.clear();
        self.record.state = State::Resting(Rest {
            versions,
            outcome: Outcome::Failed(why),
            farewell: Farewell::Owed { skipped: false },
            unready: None,
        });
    }

    /// A good version that the primary cannot run: the canary goes on serving it until a person or a commit decides.
    fn strand(&mut self, versions: Versions, missing: &str) {
        let event = Event::PromotionFailed(missing.to_owned());
        self.alert(Severity::Error, &event);
        self.tell(event);
        if self.settings.has_route() {
            self.want(Split::CANARY_ONLY);
        }
        self.record.told.clear();
        self.record.state = State::Resting(Rest {
            versions,
            outcome: Outcome::Stranded(short(missing)),
            farewell: Farewell::Owed { skipped: false },
            unready: None,
        });
        self.route_stands();
    }

    fn start_over(&mut self, target: &Target, promoted: Revision) {
        self.start(target, promoted);
        // `start` tells of a new revision; the restart was told already.
        self.events.retain(|event| *event != Event::NewRevision);
    }

    /// From the moment on in which the route no longer leads to the target, requests on their way to it end.
    fn drained(&self, drain: Drain) -> Drain {
        if drain == Drain::Due { Drain::Since(self.now) } else { drain }
    }

    /// True while requests may still be on their way to the target.
    fn drains(&mut self, drain: Drain) -> bool {
        let Drain::Since(since) = drain else { return false };
        let end = after(since, self.settings.scale_down_delay);
        if self.now >= end {
            return false;
        }
        self.wake_at(end);
        self.waits_for = Some("requests on their way to the target to end".into());
        true
    }
}
