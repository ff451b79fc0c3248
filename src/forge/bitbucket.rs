//! Bitbucket: two forges of one name, whose APIs have little more in common than the words for builds.

mod cloud;
mod server;

pub(super) use cloud::Cloud;
pub(super) use server::Server;

use super::State;

/// The word for a state.
fn build_state(state: State) -> &'static str {
    match state {
        State::Success | State::Neutral => "SUCCESSFUL",
        State::Pending => "INPROGRESS",
        State::Failure | State::Error => "FAILED",
    }
}

/// What a word means; `STOPPED`, `CANCELLED` and `UNKNOWN` say that nothing was found out.
fn state_of_build(word: &str) -> State {
    match word {
        "SUCCESSFUL" => State::Success,
        "INPROGRESS" => State::Pending,
        "FAILED" => State::Failure,
        _ => State::Error,
    }
}
