//! What was promoted is measured on: only when it has stood its time is it what can be gone back to.

use super::check::Checked;
use super::*;

impl Course<'_> {
    /// The primary serves the new version alone.
    pub(super) fn begin_verification(&mut self, versions: Versions, length: std::time::Duration) {
        self.tell(Event::Verifying(length));
        self.record.told.clear();
        self.record.state = State::Verifying(Run::new(versions, self.now));
    }

    /// One look at what was promoted. Nothing but a failure changes anything.
    pub(super) fn verify(&mut self, target: &Target, mut run: Run) -> Step {
        if self.went_back(target, &run.versions) {
            return Ok(());
        }
        if target.revision != run.versions.applied {
            // A newer version takes its place; nothing has spoken against this one.
            self.succeed(run.versions, false, false);
            return Ok(());
        }
        let primary = self.world.primary.as_ref();
        let Some(primary) = primary.filter(|it| it.revision.as_ref() == Some(&run.versions.applied)) else {
            // Deleted, or edited: it is promoted anew.
            self.record.state = State::Promoting(Promotion {
                versions: run.versions,
                since: self.now,
                iterations: run.iterations,
                skipped: false,
                returns: false,
                drain: Drain::Due,
                unready: None,
            });
            return Ok(());
        };
        self.stand(Part::Services, Action::EnsureServices);
        self.stand(Part::Apex, Action::LeadApexToPrimary);
        self.route_stands();
        if let Some(missing) = self.primary_missing(primary) {
            let since = *run.unready.get_or_insert(self.now);
            if self.is_past(since, primary) {
                let event = Event::DeadlineExceeded(missing.clone());
                self.alert(Severity::Error, &event);
                self.tell(event);
                self.turn_back(run.versions, Why::Deadline(short(&missing)));
                return Ok(());
            }
        } else {
            run.unready = None;
        }
        self.keep(run.clone());
        if self.measure_background(&run)? {
            return Ok(());
        }
        self.waits_for = Some("the verification of what was promoted".into());
        let end = self.settings.verify_after.map_or(run.started, |length| after(run.started, length));
        let due = after(run.since, self.settings.interval);
        // Its end is a check too.
        let due = if run.since < end { due.min(end) } else { due };
        if self.now < due {
            self.wake_at(due);
            return Ok(());
        }
        if let Some(why) = self.rollback_wanted(run.check)? {
            self.turn_back(run.versions, why);
            return Ok(());
        }
        match self.measure(&mut run)? {
            Checked::Failed(event) => self.fail_check(run, event),
            Checked::Passed if self.now >= end && run.unready.is_none() => self.succeed(run.versions, false, false),
            Checked::Passed => {
                self.record.told.clear();
                self.go_on(run);
            }
            // That nothing is known is no success: it takes longer, or a person.
            Checked::Silent(event) | Checked::Inconclusive(event) => {
                self.tell_once(event);
                self.go_on(run);
            }
        }
        Ok(())
    }

    fn go_on(&mut self, mut run: Run) {
        (run.since, run.check) = (self.now, run.check + 1);
        self.wake_at(after(self.now, self.settings.interval));
        self.keep(run);
    }
}
