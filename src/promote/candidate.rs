//! What an environment takes next.
//!
//! **In:** what its sources offer, the newest first. **Out:** at most one commit, and why not the others. **May not:** take
//! what is not verified where that is asked for, what was rejected, or what is there already.

use crate::api::leeboard::promotion::{Require, Select};
pub(crate) use crate::preview::phrase::short;

/// A commit that a source has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// In full.
    pub commit: String,
    /// The commit of the first environment that it came from.
    pub origin: String,
    /// Environment, or `branch NAME`.
    pub source: String,
    /// Why it is not verified there; `None` when it is.
    pub unverified: Option<String>,
    /// The target branch has it.
    pub is_there: bool,
    /// Why it must not enter.
    pub rejected: Option<String>,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// This one may begin.
    Take(&'a Offer),
    /// There is one, and this is waited for.
    Wait(String),
    /// There is nothing that the environment does not have.
    Nothing,
}

/// What an environment takes next of what its `sources` offer, each the newest first.
pub fn next<'a>(sources: &'a [Vec<Offer>], require: Require, select: Select) -> Next<'a> {
    let mut reasons = Vec::new();
    let mut wanted = Vec::new();
    for offers in sources {
        // What is older than what is there has been left out, or was taken back.
        let newer = offers.iter().take_while(|offer| !offer.is_there);
        for offer in newer {
            match why_not(offer, sources, require) {
                None => wanted.push(offer),
                Some(why) => reasons.push(why),
            }
        }
    }
    let taken = match select {
        Select::Latest => wanted.first(),
        Select::Queue => wanted.last(),
    };
    match (taken, reasons.into_iter().next()) {
        (Some(offer), _) => Next::Take(offer),
        (None, Some(why)) => Next::Wait(why),
        (None, None) => Next::Nothing,
    }
}

fn why_not(offer: &Offer, sources: &[Vec<Offer>], require: Require) -> Option<String> {
    if let Some(why) = &offer.rejected {
        return Some(format!("{} is rejected: {why}", short(&offer.commit)));
    }
    if let Some(why) = &offer.unverified {
        return Some(format!("{} has not verified {}: {why}", offer.source, short(&offer.commit)));
    }
    if require == Require::Any {
        return None;
    }
    sources.iter().find_map(|offers| {
        let same = offers.iter().find(|other| other.origin == offer.origin);
        match same {
            Some(other) => other
                .unverified
                .as_ref()
                .map(|why| format!("{} has not verified {}: {why}", other.source, short(&offer.origin))),
            None => {
                let source = offers.first().map_or("a source", |other| other.source.as_str());
                Some(format!("{source} has not seen {}", short(&offer.origin)))
            }
        }
    })
}
