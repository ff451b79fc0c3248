//! On-call alarms: what wakes a person while a version is checked is a failed check.
//!
//! **In:** annotations of a Canary, the bytes of an answer. **Out:** where is asked, and what fires. **May not:** do I/O.

mod alertmanager;
mod pagerduty;

use std::collections::BTreeMap;

pub use self::alertmanager::Alertmanager;
pub use self::pagerduty::PagerDuty;
use super::settings::Refusal;
use super::world::Reading;
use crate::api::flagger::Canary;
use crate::object::secret::Masked;

/// What Events call the checks: one for each that can be asked.
pub const CHECKS: [&str; 2] = ["alertmanager", "pagerduty"];

/// Whose alarms are looked at, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarms {
    /// Alerts.
    Alertmanager(Alertmanager),
    /// Incidents.
    PagerDuty(PagerDuty),
}

/// What is written is no use; each with what would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Where is asked.
    Address(&'static str),
    /// Which alarms are meant: all would be, also those that always fire.
    Which(&'static str),
    /// The Secret's name.
    Secret(&'static str),
}

/// A request.
#[derive(Debug)]
pub struct Request {
    /// Where to.
    pub url: String,
    /// Its headers.
    pub headers: Vec<(&'static str, Masked)>,
}

impl Alarms {
    /// All that a Canary names.
    ///
    /// # Errors
    /// When an annotation can't be read, or it is not said which alarms are meant: all would be, also those that always
    /// fire.
    pub fn of(canary: &Canary) -> Result<Vec<Self>, Refusal> {
        let alerts = Alertmanager::of(canary)?.map(Alarms::Alertmanager);
        let incidents = PagerDuty::of(canary)?.map(Alarms::PagerDuty);
        Ok(alerts.into_iter().chain(incidents).collect())
    }

    /// What Events call the check.
    pub fn check(&self) -> &'static str {
        match self {
            Alarms::Alertmanager(_) => CHECKS[0],
            Alarms::PagerDuty(_) => CHECKS[1],
        }
    }

    /// The Secret beside the Canary that a request takes, if it takes one.
    pub fn secret(&self) -> Option<&str> {
        match self {
            Alarms::Alertmanager(_) => None,
            Alarms::PagerDuty(pagerduty) => Some(pagerduty.secret()),
        }
    }

    /// What is asked, with the data of the Secret.
    ///
    /// # Errors
    /// What the Secret does not hold.
    pub fn request(&self, secret: &BTreeMap<String, Masked>) -> Result<Request, String> {
        match self {
            Alarms::Alertmanager(alertmanager) => Ok(Request { url: alertmanager.url(), headers: Vec::new() }),
            Alarms::PagerDuty(pagerduty) => pagerduty.request(secret),
        }
    }

    /// What an answer says: no alarm is a value of 0.
    pub fn read(&self, status: u16, body: &[u8]) -> Reading {
        match self {
            Alarms::Alertmanager(_) => alertmanager::read(status, body),
            Alarms::PagerDuty(_) => pagerduty::read(status, body),
        }
    }
}

/// An annotation without the spaces around it; nothing where it is not there.
fn annotation<'a>(canary: &'a Canary, name: &str) -> &'a str {
    let annotations = canary.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(name)).map(|text| text.trim()).unwrap_or_default()
}

fn refused(name: &'static str, value: &str, expected: &'static str) -> Refusal {
    Refusal::Annotation { name, value: value.to_owned(), expected }
}

/// Of names in any order: the order of an answer is nobody's promise.
fn firing(mut names: Vec<String>) -> Reading {
    names.sort();
    match names.as_slice() {
        [] => Reading::Value(0.0),
        [one] => Reading::Firing(one.clone()),
        [first, others @ ..] => Reading::Firing(format!("{first} and {} more", others.len())),
    }
}

/// The beginning of an answer that cannot be read.
fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(200)]).trim().to_owned()
}
