//! What a person wants, by annotation.

use super::*;

impl Course<'_> {
    /// Does what a person wants. True when that is all for now.
    pub(super) fn obey(&mut self, target: &Target) -> bool {
        let Some(wish) = &self.world.wish else { return false };
        self.actions.push(Action::ClearWish);
        let by = wish.by.clone();
        match (wish.what, self.record.state.clone()) {
            (WishKind::Abort, State::Waiting(candidate)) => {
                self.tell(Event::Aborted(by.clone()));
                let versions = Versions { applied: candidate.revision, promoted: candidate.versions.promoted };
                self.fail(versions, Why::Aborted(by));
                return true;
            }
            (WishKind::Abort, State::Analysing(Run { versions, .. }) | State::Verifying(Run { versions, .. }))
            | (WishKind::Abort, State::Promoting(Promotion { versions, .. }))
            | (WishKind::Abort, State::Finalising(Promotion { versions, .. }))
            | (WishKind::Abort, State::Resting(Rest { versions, outcome: Outcome::Stranded(_), .. })) => {
                self.tell(Event::Aborted(by.clone()));
                self.turn_back(versions, Why::Aborted(by));
                return true;
            }
            (WishKind::Promote, State::Resting(Rest { versions, outcome: Outcome::Stranded(_), .. })) => {
                self.tell(Event::Resumed);
                self.record.state = State::Promoting(Promotion {
                    versions,
                    since: self.now,
                    iterations: 0,
                    skipped: false,
                    returns: false,
                    drain: Drain::Due,
                    unready: None,
                });
                return true;
            }
            (WishKind::Retry, State::Resting(Rest { versions, outcome: Outcome::Failed(_), .. }))
                if target.revision == versions.applied =>
            {
                self.tell(Event::Retried(by, versions.applied.clone()));
                self.start(target, versions.promoted);
                return true;
            }
            (WishKind::Pause, State::Analysing(run)) if run.hold != Hold::Paused => {
                self.tell(Event::Paused(self.record.route.split.canary));
                self.record.state = State::Analysing(Run { hold: Hold::Paused, ..run });
            }
            (WishKind::Resume | WishKind::Promote, State::Analysing(run)) if run.hold == Hold::Paused => {
                self.tell(Event::Resumed);
                // Whoever resumes it knows what was told, and wants to hear it anew when it is so again.
                self.record.told.clear();
                self.record.state = State::Analysing(Run { hold: Hold::Free, inconclusive: 0, silent: None, ..run });
            }
            (WishKind::Promote, State::Analysing(run)) => match run.hold {
                Hold::Step(_) => {
                    self.tell(Event::Resumed);
                    self.record.state = State::Analysing(Run { hold: Hold::Free, step: run.step + 1, ..run });
                }
                Hold::Promotion => {
                    self.begin_promotion(run, false);
                    return true;
                }
                Hold::Free | Hold::Paused => self.tell(Event::Ignored("promote")),
            },
            (WishKind::Promote | WishKind::PromoteFully, State::Waiting(candidate)) => {
                self.start(target, candidate.versions.promoted);
                return true;
            }
            (WishKind::Promote | WishKind::PromoteFully, State::Verifying(run)) => {
                self.succeed(run.versions, false, false);
                return true;
            }
            (WishKind::PromoteFully, State::Analysing(run)) if run.versions.applied == target.revision => {
                if self.canary_missing(target).is_none() {
                    self.begin_promotion(run, true);
                    return true;
                }
                self.tell(Event::Ignored("promote: the canary is not ready"));
            }
            (what, _) => self.tell(Event::Ignored(what.as_str())),
        }
        false
    }
}
