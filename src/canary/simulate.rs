//! A canary on paper: a script says what happens, the machine answers, and a small world in memory obeys it.
//!
//! **In:** a Canary and the text of a script. **Out:** the same text with the answers in it, indented: a transcript, that
//! is a script again. **May not:** know better than the machine: what is printed is what it decided.
//!
//! The machine's record goes through its annotation after each decision, as it does in a cluster. What a script does not
//! mention goes well: pods become ready, metrics keep within their bounds, hooks answer 200. Read [`script`], the
//! language, then [`stage`], the world.

pub mod script;
mod stage;

use std::fmt::Write as _;

use serde_json::json;

use crate::api::flagger::{Canary, CanaryStatus, Provider};
use script::{Command, Mistake};
use stage::Stage;

/// What a transcript's answers begin with.
const INDENT: &str = "    ";

/// The canary of a script that brings none: a Deployment `web` with three replicas in the namespace `shop`, behind Istio.
pub fn example() -> Canary {
    let spec = json!({
        "provider": "istio",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "progressDeadlineSeconds": 60,
        "service": {"port": 80},
        "analysis": {"interval": "10s", "threshold": 3, "stepWeight": 20, "maxWeight": 60},
    });
    // Every field above is one that the type has; what is left out has a default.
    let spec = serde_json::from_value(spec).unwrap_or_default();
    Canary::new("web", "shop", spec)
}

/// What became of a canary on paper.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Played {
    /// The script with its answers.
    pub transcript: String,
    /// Every status that was written, one after the other.
    pub statuses: Vec<CanaryStatus>,
    /// The sentence of every Event.
    pub events: Vec<String>,
}

/// Plays a script.
///
/// # Errors
/// With everything that is wrong with the script, when something is: then nothing is played.
pub fn play(canary: &Canary, provider: Provider, script: &str) -> Result<Played, Vec<Mistake>> {
    let lines = script::parse(script)?;
    let mut stage = Stage::new(canary.clone(), provider);
    let mut transcript = String::new();
    for line in &lines {
        transcript.push_str(line.text);
        transcript.push('\n');
        let Some(command) = &line.command else { continue };
        match perform(&mut stage, command) {
            Ok(answer) => {
                for line in answer.lines() {
                    let _ = writeln!(transcript, "{INDENT}{line}");
                }
            }
            Err(what) => return Err(vec![Mistake::at(line, what)]),
        }
    }
    let (statuses, events) = stage.history();
    Ok(Played { transcript, statuses, events })
}

fn perform(stage: &mut Stage, command: &Command) -> Result<String, String> {
    stage.change(command)?;
    Ok(stage.answer())
}
