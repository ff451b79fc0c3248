//! What may be routed where. The route follows the record, never the other way round.

use super::super::Copies;
use super::super::settings::{self, Strategy};
use super::*;

impl Course<'_> {
    /// True when the route says what the record wants; else it is made to say so, where that does no harm.
    pub(super) fn route_stands(&mut self) -> bool {
        if !self.settings.has_route() {
            return true;
        }
        let wanted = self.record.route.split;
        let live = match &self.world.route {
            Route::Unavailable(problem) => {
                let (why, condition) = match problem {
                    RouterProblem::Missing(kind) => {
                        (format!("{kind} is not installed in the cluster"), "RouterMissing")
                    }
                    RouterProblem::NotAccepted(why) => (why.clone(), "RouteNotAccepted"),
                    RouterProblem::Failing(why) => (why.clone(), "RouterFailing"),
                };
                self.problem = Some(Problem::router(condition, &why));
                self.waits_for = Some(format!("the router: {why}"));
                self.tell_once(Event::RouterUnavailable(why));
                // A router that comes, or gets well, is no change of an object that anyone watches.
                self.wake_at(after(self.now, self.settings.interval));
                return false;
            }
            Route::Set(live) if *live == wanted => {
                self.record.route.is_confirmed = true;
                return true;
            }
            Route::Set(live) => Some(*live),
            Route::Absent => None,
        };
        if let Some(found) = live.filter(|_| self.record.route.is_confirmed) {
            self.tell(Event::RouteEdited { found, wanted });
            self.record.route.is_confirmed = false;
        }
        if let Some(backend) = self.backend_without_endpoints(live.unwrap_or(Split::PRIMARY_ONLY), wanted) {
            self.waits_for = Some(format!("a ready endpoint of the {backend}"));
            return false;
        }
        self.actions.push(Action::SetRoute(wanted));
        self.waits_for = Some("the route to be set".into());
        false
    }

    /// Wants another split from now on.
    pub(super) fn want(&mut self, split: Split) {
        if self.record.route.split != split {
            self.record.route.split = split;
            self.record.route.is_confirmed = false;
        }
        let cookies = &mut self.record.cookies;
        if split.canary == Weight::NONE && !cookies.canary.is_empty() {
            cookies.previous = std::mem::take(&mut cookies.canary);
            cookies.primary.clear();
        }
    }

    /// A step that was edited away leads nobody any more.
    pub(super) fn forget_lost_steps(&mut self) {
        let Split { canary, mirrored, header } = self.record.route.split;
        let steps = if let Strategy::Steps(steps) = &self.settings.strategy { Some(steps) } else { None };
        let found = header.and_then(|at| match steps?.get(at) {
            Some(settings::Step::Header(found)) => *found,
            _ => None,
        });
        let mirrored = match (mirrored, steps) {
            (Copies::Share(_), None) | (Copies::Configured, Some(_)) => Copies::None,
            _ => mirrored,
        };
        self.want(Split { canary, mirrored, header: found });
    }

    /// The backend that would get more than it has, and has no pod that could answer.
    fn backend_without_endpoints(&self, live: Split, wanted: Split) -> Option<&'static str> {
        if !self.settings.subject.kind.is_scaled() {
            return None;
        }
        let canary = self.canary_endpoints();
        let primary = self.world.primary.as_ref().map_or(0, |primary| primary.endpoints);
        let is_led = wanted.header.is_some() && wanted.header != live.header;
        if (wanted.canary > live.canary || is_led || (wanted.mirrored != Copies::None && live.mirrored == Copies::None))
            && canary == 0
        {
            return Some("canary");
        }
        // Where neither answers, nothing is lost by leading back to the one that will stay.
        (wanted.canary < live.canary && primary == 0 && canary > 0).then_some("primary")
    }

    fn canary_endpoints(&self) -> u32 {
        match &self.world.target {
            Sighting::Seen(target) => target.workload.endpoints,
            Sighting::Unseen(_) => 0,
        }
    }
}
