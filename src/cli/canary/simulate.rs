//! `canary simulate`: a canary on paper.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::super::nearest::nearest;
use super::super::report::{Paths, Problems};
use super::super::terminal::{Terminal, bold, dim};
use super::super::{Exit, Failure};
use crate::api;
use crate::api::flagger::{Canary, Provider};
use crate::canary::simulate::script::{Mistake, VERBS};
use crate::canary::simulate::{self, example};
use crate::error::{Diagnostic, Origin};
use crate::yaml::{self, Resolve};

/// Play a canary on paper, without a cluster
///
/// The script says what happens, one thing a line; what is printed is the script with what Leeboard would do, indented:
/// phase and weights first, then hooks and metrics that are asked (?), Events (- and !), alerts (@) and actions (>).
/// What the script does not mention goes well. See the commands with: leeboard canary simulate --commands
///
/// For example: leeboard canary simulate -f canary.yaml --script failing.txt
#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// File with one Canary; `-` is stdin; without it, an example that is tried by weights behind Istio
    #[arg(short, long, value_name = "FILE")]
    filename: Option<PathBuf>,
    /// File with what happens; `-` is stdin
    #[arg(long, value_name = "FILE", required_unless_present = "commands")]
    script: Option<PathBuf>,
    /// What splits the traffic when the Canary does not say so
    #[arg(long, value_name = "NAME", default_value = "istio", value_parser = provider)]
    provider: Provider,
    /// List the commands of a script
    #[arg(long)]
    commands: bool,
}

fn provider(name: &str) -> Result<Provider, String> {
    let known = Provider::ALL.into_iter().find(|provider| provider.as_str() == name);
    known.ok_or_else(|| {
        let names: Vec<&str> = Provider::ALL.iter().map(|provider| provider.as_str()).collect();
        match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("one of {} is needed", names.join(", ")),
        }
    })
}

impl Simulate {
    pub(super) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let Some(script) = self.script.as_deref().filter(|_| !self.commands) else {
            terminal.print(&commands())?;
            return Ok(Exit::Ok);
        };
        if self.filename.as_deref() == Some(script) && script == Path::new("-") {
            return Err(anyhow!("the Canary and the script cannot both be read from stdin").into());
        }
        let canary = self.filename.as_deref().map_or_else(|| Ok(example()), canary)?;
        let text =
            String::from_utf8(read(script)?).with_context(|| format!("`{}` is not text in UTF-8", script.display()))?;
        let played = simulate::play(&canary, self.provider, &text)
            .map_err(|mistakes| Failure::Problems(problems(script, &mistakes)))?;
        terminal.print(&styled(&played.transcript))?;
        Ok(Exit::Ok)
    }
}

fn canary(file: &Path) -> Result<Canary, Failure> {
    let name: Arc<str> = file.to_string_lossy().into();
    let objects = yaml::objects(&name, &read(file)?, Resolve::V2)
        .map_err(|found| Failure::Problems(Problems { found, paths: Paths::default() }))?;
    let mut canaries = objects.iter().filter(|object| object.key.kind == "Canary");
    let (Some(object), None) = (canaries.next(), canaries.next()) else {
        let found = objects.iter().filter(|object| object.key.kind == "Canary").count();
        return Err(anyhow!("expected one Canary in `{name}`, found {found}").into());
    };
    let decoded = api::decode(&object.body).map_err(|malformed| {
        let problem = match &object.origin {
            Some(origin) => malformed.diagnostic().at(origin.clone()),
            None => malformed.diagnostic().at(Origin::file(name.clone())),
        };
        Failure::Problems(Problems { found: vec![problem], paths: Paths::default() })
    });
    let mut canary: Canary = decoded?;
    canary.metadata.namespace.get_or_insert_with(|| "default".to_owned());
    Ok(canary)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let done = if file == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(file).map(|read| bytes = read)
    };
    done.with_context(|| format!("cannot read `{}`", file.display()))?;
    Ok(bytes)
}

fn problems(file: &Path, mistakes: &[Mistake]) -> Problems {
    let file: Arc<str> = file.to_string_lossy().into();
    let problem = |mistake: &Mistake| {
        let problem = Diagnostic::new(mistake.what.clone())
            .at(Origin::new(file.clone(), mistake.line, mistake.column))
            .with_line(mistake.text.clone());
        let meant = mistake.word.as_ref().and_then(|(word, known)| nearest(word, known.iter().copied()));
        match (meant, &mistake.word, mistake.usage) {
            (Some(meant), ..) => problem.with_hint(format!("did you mean `{meant}`?")),
            (None, _, Some(usage)) => problem.with_hint(format!("write: {usage}")),
            (None, Some((_, known)), None) => problem.with_hint(format!("one of these: {}", known.join(", "))),
            (None, None, None) => problem,
        }
    };
    Problems { found: mistakes.iter().map(problem).collect(), paths: Paths::default() }
}

fn commands() -> String {
    let lines = VERBS.iter().map(|(_, usage, meaning)| format!("{usage}\n    {}\n", dim(meaning)));
    lines.collect()
}

/// What happens stands out from what is answered.
fn styled(transcript: &str) -> String {
    let style = |line: &str| match line {
        line if line.starts_with(' ') => line.to_owned(),
        line if line.starts_with('#') => dim(line),
        line => bold(line),
    };
    transcript.lines().map(|line| style(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(script: &str) -> Vec<(String, Option<String>)> {
        let mistakes = simulate::play(&example(), Provider::Istio, script).unwrap_err();
        let problems = problems(Path::new("script.txt"), &mistakes);
        problems.found.iter().map(|it| (it.origin.as_ref().unwrap().to_string(), it.hint.clone())).collect()
    }

    #[test]
    fn a_wrong_line_is_told_with_its_place_and_what_may_have_been_meant() {
        let cases = [
            // script, place, hint
            ("start\ncomit B\n", "script.txt:2:1", "did you mean `commit`?"),
            ("kill -9 after setroute\n", "script.txt:1:15", "did you mean `set-route`?"),
            ("adopt Progresing 30\n", "script.txt:1:7", "did you mean `Progressing`?"),
            ("wait long\n", "script.txt:1:6", "write: wait DURATION"),
        ];
        for (script, place, hint) in cases {
            assert_eq!(told(script), [(place.to_owned(), Some(hint.to_owned()))], "{script}");
        }
        assert_eq!(told("tick\n")[0].0, "script.txt:1:1", "nothing has started");
    }

    #[test]
    fn a_provider_that_nobody_knows_is_refused_with_the_nearest() {
        assert_eq!(provider("gatewayapi:v1"), Ok(Provider::GatewayApiV1));
        assert_eq!(provider("istoi"), Err("did you mean `istio`?".into()));
        assert!(provider("envoy").unwrap_err().starts_with("one of apisix, "));
    }
}
