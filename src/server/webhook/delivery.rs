//! [`Deliveries`]: which events were taken already, so that one that is sent twice, by the forge or by somebody who has
//! seen it pass, is taken once.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use axum::http::HeaderMap;

use super::Provider;

/// How many are remembered, and for how long.
const MOST: usize = 4096;
const REMEMBERED: Duration = Duration::from_secs(3600);

/// No forge has longer ids.
const LONGEST: usize = 200;

/// The events of the last hour.
#[derive(Debug, Default)]
pub(in super::super) struct Deliveries {
    known: HashSet<(Provider, String)>,
    /// The oldest first.
    order: VecDeque<(Instant, (Provider, String))>,
}

/// What a forge calls this one event, if it does; the same when it sends it again.
pub fn delivery(provider: Provider, headers: &HeaderMap) -> Option<&str> {
    let names: &[&str] = match provider {
        Provider::Gitea => &["x-gitea-delivery", "x-forgejo-delivery"],
        Provider::Gogs => &["x-gogs-delivery"],
        Provider::GitHub => &["x-github-delivery"],
        // Its `X-Gitlab-Event-UUID` is that of the first event of a chain: what our answer to one causes has it too.
        Provider::GitLab => &["idempotency-key"],
        Provider::BitbucketCloud => &["x-request-uuid"],
        Provider::BitbucketServer => &["x-request-id"],
    };
    let told = names.iter().find_map(|name| headers.get(*name))?.to_str().ok()?.trim();
    (!told.is_empty() && told.len() <= LONGEST).then_some(told)
}

impl Deliveries {
    /// Remembers an event; `false` when it is remembered already. Only what is authentic may get here.
    pub(in super::super) fn is_new(&mut self, provider: Provider, id: &str, now: Instant) -> bool {
        let is_old = |taken: Instant| now.saturating_duration_since(taken) > REMEMBERED;
        while self.order.len() >= MOST || self.order.front().is_some_and(|(taken, _)| is_old(*taken)) {
            if let Some((_, oldest)) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
        let event = (provider, id.to_owned());
        if !self.known.insert(event.clone()) {
            return false;
        }
        self.order.push_back((now, event));
        true
    }

    /// Forgets an event that could not be taken: it will be sent again.
    pub(in super::super) fn forget(&mut self, provider: Provider, id: &str) {
        self.known.remove(&(provider, id.to_owned()));
        self.order.retain(|(_, (other, known))| *other != provider || known != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_new_once_an_hour() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut deliveries = Deliveries::default();
        assert!(deliveries.is_new(Provider::GitHub, "a", at(0)));
        assert!(!deliveries.is_new(Provider::GitHub, "a", at(3600)));
        assert!(deliveries.is_new(Provider::Gitea, "a", at(3600)), "another forge");
        assert!(deliveries.is_new(Provider::GitHub, "a", at(3601)));
        deliveries.forget(Provider::GitHub, "a");
        assert!(deliveries.is_new(Provider::GitHub, "a", at(3602)));
    }

    #[test]
    fn memory_has_a_limit() {
        let now = Instant::now();
        let mut deliveries = Deliveries::default();
        for id in 0..2 * MOST {
            assert!(deliveries.is_new(Provider::GitHub, &id.to_string(), now));
        }
        assert_eq!((deliveries.known.len(), deliveries.order.len()), (MOST, MOST));
        assert!(!deliveries.is_new(Provider::GitHub, &(2 * MOST - 1).to_string(), now));
    }

    #[test]
    fn every_forge_names_its_events() {
        let headers = HeaderMap::from_iter([
            ("x-gitea-delivery".parse().unwrap(), "gitea".parse().unwrap()),
            ("x-github-delivery".parse().unwrap(), "hub".parse().unwrap()),
            ("x-gitlab-event-uuid".parse().unwrap(), "chain".parse().unwrap()),
            ("x-request-id".parse().unwrap(), " ".parse().unwrap()),
        ]);
        let cases = [
            (Provider::Gitea, Some("gitea")),
            (Provider::GitHub, Some("hub")),
            (Provider::GitLab, None),
            (Provider::BitbucketServer, None),
        ];
        for (provider, expected) in cases {
            assert_eq!(delivery(provider, &headers), expected, "{provider}");
        }
    }
}
