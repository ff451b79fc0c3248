//! What a person asks of an environment: which commit and which promotion they mean, where they do not name it in full.
//!
//! **In:** Environments and Promotions as they stand, a person's words. **Out:** a commit, a promotion, a name for a new one;
//! or what is unclear. **May not:** guess between two.

use std::collections::BTreeSet;

use super::message;
use crate::api::leeboard::Environment;
use crate::api::leeboard::promotion::{PlanSummary, Promotion, PromotionPhase, PromotionSpec, PromotionTrack};

/// Why it is not known what is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// The first digits of none.
    #[error("no environment has had a commit `{0}`")]
    NoCommit(String),
    /// The first digits of several.
    #[error("`{text}` is the beginning of several commits")]
    Several {
        /// The digits.
        text: String,
        /// Two of them.
        commits: [String; 2],
    },
    /// There is nothing new.
    #[error("there is nothing new for `{environment}`{}", .waits.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    NothingNew {
        /// Where.
        environment: String,
        /// What it waits for.
        waits: Option<String>,
    },
    /// There is nothing to go back to.
    #[error("`{0}` has had nothing before that was verified")]
    NothingBefore(String),
    /// The same is under way.
    #[error("{name} is under way: {}", .phase.as_str())]
    UnderWay {
        /// The promotion.
        name: String,
        /// Where it stands.
        phase: PromotionPhase,
    },
    /// There is nothing to say it to.
    #[error("nothing is under way into `{0}`")]
    NothingOpen(String),
    /// It cannot be judged yet.
    #[error("{name} has no plan yet: {message}")]
    NoPlan {
        /// The promotion.
        name: String,
        /// What it waits for.
        message: String,
    },
    /// It takes no more words.
    #[error("{name} has ended: {}{}", .phase.as_str(), if .message.is_empty() { String::new() } else { format!(": {message}") })]
    Ended {
        /// The promotion.
        name: String,
        /// Where it leads.
        environment: String,
        /// How.
        phase: PromotionPhase,
        /// In one sentence.
        message: String,
    },
}

impl Unclear {
    /// What to do about it, for somebody at a command line.
    pub fn hint(&self) -> Option<String> {
        match self {
            Unclear::NoCommit(_) => Some("Write it in full: 40 hexadecimal digits.".into()),
            Unclear::Several { commits: [one, other], .. } => Some(format!("Write more of it: {one} or {other}.")),
            Unclear::NothingNew { .. } => {
                Some("Name a commit with `--commit`, where you want one all the same.".into())
            }
            Unclear::NothingBefore(_) => Some("Name a commit of its branch with `--to`.".into()),
            Unclear::UnderWay { name, .. } => Some(format!("`leeboard promotion show {name} --watch` follows it.")),
            Unclear::NothingOpen(_) => None,
            Unclear::NoPlan { .. } => Some("Try again once it is planned.".into()),
            Unclear::Ended { environment, .. } => Some(format!("`leeboard promote {environment}` begins another one.")),
        }
    }
}

/// What an environment is known to have had.
pub fn track(environment: &Environment) -> PromotionTrack {
    environment.status.as_ref().and_then(|status| status.promotion.clone()).unwrap_or_default()
}

/// The whole commit that these first digits mean, of those that environments are known to have had.
///
/// # Errors
/// When they mean none, or several.
pub fn whole<'a>(text: &str, environments: impl IntoIterator<Item = &'a Environment>) -> Result<String, Unclear> {
    let is_hexadecimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let text = text.to_ascii_lowercase();
    if is_hexadecimal && text.len() == 40 {
        return Ok(text);
    }
    let mut found: BTreeSet<String> = BTreeSet::new();
    for environment in environments {
        let track = track(environment);
        let tenures = track.current.iter().chain(&track.previous).map(|tenure| tenure.commit.clone());
        let all = tenures.chain(track.candidate.clone());
        found.extend(all.filter(|commit| is_hexadecimal && commit.starts_with(&text)));
    }
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(commit), None) => Ok(commit),
        (Some(one), Some(other)) => Err(Unclear::Several { text, commits: [one, other] }),
        (None, _) => Err(Unclear::NoCommit(text)),
    }
}

/// What comes next in an environment.
///
/// # Errors
/// When nothing does.
pub fn next<'a>(environment: &Environment, all: impl IntoIterator<Item = &'a Environment>) -> Result<String, Unclear> {
    let own = track(environment);
    if let Some(candidate) = own.candidate {
        return Ok(candidate);
    }
    let is_source = |other: &&Environment| sources(environment).any(|name| name == other.name());
    let held = all.into_iter().filter(is_source).filter_map(|source| track(source).current);
    let origin = own.current.as_ref().map(|tenure| tenure.origin.clone()).unwrap_or_default();
    let mut others = held.filter(|tenure| tenure.origin != origin);
    let nothing = || Unclear::NothingNew { environment: environment.name().to_owned(), waits: own.next.clone() };
    others.next().map(|tenure| tenure.commit).ok_or_else(nothing)
}

/// The source environment that has a commit.
pub fn source<'a>(
    environment: &Environment,
    all: impl IntoIterator<Item = &'a Environment>,
    commit: &str,
) -> Option<String> {
    let has = |other: &&Environment| {
        let track = track(other);
        let mut had = track.current.iter().chain(&track.previous);
        sources(environment).any(|name| name == other.name()) && had.any(|tenure| tenure.commit == commit)
    };
    all.into_iter().find(has).map(|source| source.name().to_owned())
}

fn sources(environment: &Environment) -> impl Iterator<Item = &str> {
    let from = environment.spec.promotion.iter().flat_map(|policy| &policy.from);
    from.filter_map(|source| source.environment.as_deref())
}

/// What an environment had before, and was verified there.
///
/// # Errors
/// When there is none.
pub fn before(environment: &Environment) -> Result<String, Unclear> {
    let previous = track(environment).previous;
    let verified = previous.into_iter().find(|tenure| tenure.verified_at.is_some());
    verified.map(|tenure| tenure.commit).ok_or_else(|| Unclear::NothingBefore(environment.name().to_owned()))
}

/// The promotion that is meant by an environment's name: the one that holds it, before one that waits for it.
pub fn open<'a>(promotions: impl IntoIterator<Item = &'a Promotion>, environment: &str) -> Option<&'a Promotion> {
    let of_it = |one: &&Promotion| one.spec.environment == environment && !one.phase().is_final();
    let open = promotions.into_iter().filter(of_it);
    open.min_by_key(|one| (!one.phase().holds_environment(), one.created().cloned()))
}

/// The name of the attempt that begins with this.
///
/// # Errors
/// When the same is under way.
pub fn attempt<'a>(
    promotions: impl IntoIterator<Item = &'a Promotion>,
    spec: &PromotionSpec,
) -> Result<String, Unclear> {
    let of_it: Vec<&Promotion> =
        promotions.into_iter().filter(|one| one.spec.environment == spec.environment).collect();
    let mut attempt = 1;
    loop {
        let name = message::name(&spec.environment, spec.kind, &spec.commit, attempt);
        let Some(known) = of_it.iter().find(|one| one.name() == name) else { return Ok(name) };
        // One that leaves out gates takes the place of one that nobody has asked for.
        let is_other = known.spec.requested_by.is_none() && !spec.overrides.is_empty();
        if !known.phase().is_final() && !is_other {
            return Err(Unclear::UnderWay { name, phase: known.phase() });
        }
        attempt += 1;
    }
}

/// The plan that a yes or no to a promotion is about.
///
/// # Errors
/// When it does not.
pub fn judged(promotion: &Promotion) -> Result<PlanSummary, Unclear> {
    ended(promotion)?;
    let status = promotion.status.clone().unwrap_or_default();
    let name = promotion.name().to_owned();
    status.plan.ok_or(Unclear::NoPlan { name, message: status.message })
}

/// What has come to an end takes no more words.
///
/// # Errors
/// When it has.
pub fn ended(promotion: &Promotion) -> Result<(), Unclear> {
    if !promotion.phase().is_final() {
        return Ok(());
    }
    Err(Unclear::Ended {
        name: promotion.name().to_owned(),
        environment: promotion.spec.environment.clone(),
        phase: promotion.phase(),
        message: promotion.status.as_ref().map(|status| status.message.clone()).unwrap_or_default(),
    })
}

/// The text of a reason, as one line.
pub fn line(reason: &str) -> String {
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}
