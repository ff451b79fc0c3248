//! Customers of the shop, for the tour: a real router leads their requests to pods that answer, a real Prometheus measures
//! it, and what they got is counted while a version is on trial.
//!
//! Read [`Traffic`] (what runs), then [`Trial`] (what is counted and drawn).

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::api::flagger::Phase;
use crate::sandbox::{ControlPlane, Error, Load, PodHost, Program, Progress, Prometheus, Router, Sample, Wire};

/// Where the customers of an environment go.
fn host(environment: &str) -> String {
    match environment {
        "prod" => "shop.example.com".into(),
        other => format!("shop.{other}.example.com"),
    }
}

/// Requests per second.
const RATE: u32 = 200;
/// After a weight has changed, until every request follows it: the router asks in turns.
const LAG: Duration = Duration::from_millis(900);
/// Columns of a bar.
const BAR: usize = 30;

/// The programs.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    skipper: PathBuf,
    prometheus: PathBuf,
}

impl Programs {
    /// Those in the cache; what is missing is built.
    pub(super) fn find_or_build(mut report: impl FnMut(Progress)) -> Result<Programs, Error> {
        let skipper = Program::Skipper.find_or_build(&mut report)?;
        Ok(Programs { skipper, prometheus: Program::Prometheus.find_or_build(report)? })
    }

    /// Their paths.
    pub(super) fn all(&self) -> [&PathBuf; 2] {
        [&self.skipper, &self.prometheus]
    }
}

/// What stands between customers and pods. Dropping it ends it.
pub(super) struct Traffic {
    pub(super) programs: Programs,
    prometheus: Prometheus,
    router: Router,
    _pods: PodHost,
}

impl Traffic {
    pub(super) async fn start(programs: Programs, control_plane: &ControlPlane) -> Result<Traffic, Error> {
        let pods = PodHost::start(control_plane).await?;
        let router = Router::skipper(&programs.skipper, control_plane, &pods).await?;
        let prometheus = Prometheus::start(&programs.prometheus, control_plane, &[router.metrics()]).await?;
        Ok(Traffic { programs, prometheus, router, _pods: pods })
    }

    /// What a Canary writes as its `metricsServer`.
    pub(super) fn metrics_server(&self) -> String {
        self.prometheus.url()
    }

    /// The router's address.
    pub(super) fn url(&self) -> String {
        self.router.url()
    }

    /// The way of a customer of an environment.
    pub(super) fn wire(&self, environment: &str) -> Wire {
        Wire::new(&self.router.url(), &host(environment))
    }

    /// Customers of an environment who come from now on.
    pub(super) fn customers_of(&self, environment: &str) -> Load {
        Load::start(self.wire(environment), RATE)
    }
}

/// A version on trial, as its customers see it.
#[derive(Debug, Default)]
pub(super) struct Trial {
    version: String,
    rungs: Vec<Rung>,
}

/// One weight of a trial.
#[derive(Debug)]
struct Rung {
    weight: u8,
    since: Instant,
    until: Option<Instant>,
    /// Answers since the router knew the weight; those of the new version, those that were failures.
    all: usize,
    new: usize,
    failed: usize,
}

impl Trial {
    pub(super) fn begin(&mut self, version: &str) {
        *self = Trial { version: version.to_owned(), rungs: Vec::new() };
    }

    /// Takes note of what the Canary says, and of what customers got.
    pub(super) fn look(&mut self, phase: Phase, weight: u8, load: &Load) {
        let now = Instant::now();
        let on_trial = phase == Phase::Progressing && weight > 0;
        let last = self.rungs.last_mut().filter(|rung| rung.until.is_none());
        match last {
            Some(rung) if !on_trial || rung.weight != weight => rung.until = Some(now),
            Some(_) => {}
            None if on_trial => self.rungs.push(Rung::new(weight, now)),
            None => {}
        }
        if let Some(rung) = self.rungs.last_mut() {
            rung.count(&self.version, &load.since(rung.since + LAG));
        }
        if on_trial && self.rungs.last().is_some_and(|rung| rung.until.is_some()) {
            self.rungs.push(Rung::new(weight, now));
        }
    }

    /// The weights that the version had.
    pub(super) fn weights(&self) -> Vec<u8> {
        self.rungs.iter().map(|rung| rung.weight).collect()
    }

    /// How many requests the version has answered.
    pub(super) fn answered(&self) -> usize {
        self.rungs.iter().map(|rung| rung.new).sum()
    }

    /// A bar for each weight.
    pub(super) fn draw(&self, unicode: bool) -> Vec<String> {
        self.rungs.iter().map(|rung| rung.draw(unicode)).collect()
    }
}

impl Rung {
    fn new(weight: u8, since: Instant) -> Rung {
        Rung { weight, since, until: None, all: 0, new: 0, failed: 0 }
    }

    fn count(&mut self, version: &str, samples: &[Sample]) {
        let own = samples.iter().filter(|sample| self.until.is_none_or(|until| sample.sent < until));
        (self.all, self.new, self.failed) = (0, 0, 0);
        for sample in own {
            self.all += 1;
            self.new += usize::from(sample.version.as_deref() == Some(version));
            self.failed += usize::from(sample.result != Ok(200));
        }
    }

    fn draw(&self, unicode: bool) -> String {
        let (on, off) = if unicode { ("█", "░") } else { ("#", ".") };
        let full = usize::from(self.weight) * BAR / 100;
        let bar = format!("{}{}", on.repeat(full), off.repeat(BAR - full));
        let share = Share { part: self.new, of: self.all };
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        format!("{:>3} %  {bar}  {share}{failed}", self.weight)
    }
}

/// A part of some requests.
struct Share {
    part: usize,
    of: usize,
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.of == 0 {
            return f.write_str("nobody yet");
        }
        let percent = self.part as f64 * 100.0 / self.of as f64;
        write!(f, "{percent:.1} % of {} requests", self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_drawn_with_what_was_counted() {
        let rung = |all, new, failed| Rung { all, new, failed, ..Rung::new(10, Instant::now()) };
        let cases = [
            // counted           drawn
            (rung(0, 0, 0), " 10 %  ###...........................  nobody yet"),
            (rung(400, 39, 0), " 10 %  ###...........................  9.8 % of 400 requests"),
            (rung(400, 40, 12), " 10 %  ###...........................  10.0 % of 400 requests, 12 failed"),
        ];
        for (rung, expected) in cases {
            assert_eq!(rung.draw(false), expected);
        }
        assert!(rung(1, 1, 0).draw(true).starts_with(" 10 %  ███░"));
    }
}
