//! `health`: what the rules say of one object.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::json;

use super::report::{Paths, Problems};
use super::terminal::{Symbol, Terminal, dim};
use super::{Exit, Failure, Format, tree};
use crate::health::{self, Health};
use crate::yaml::{self, Resolve};

/// Say how healthy an object is, and why
///
/// For example: kubectl get deployment web -o yaml | leeboard health -f -
#[derive(Debug, Args)]
pub(super) struct HealthOf {
    /// File with one live object; `-` is stdin
    #[arg(short, long, value_name = "FILE")]
    filename: PathBuf,
    /// Write it for programs
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,
}

impl HealthOf {
    pub(super) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        let file: Arc<str> = self.filename.to_string_lossy().into();
        let bytes = read(&self.filename).with_context(|| format!("cannot read `{file}`"))?;
        let objects = yaml::objects(&file, &bytes, Resolve::V2)
            .map_err(|found| Failure::Problems(Problems { found, paths: Paths::default() }))?;
        let [object] = objects.as_slice() else {
            return Err(anyhow!("expected one object in `{file}`, found {}", objects.len()).into());
        };
        let verdict = health::verdict(&object.body);
        let status = verdict.as_ref().map(|verdict| verdict.status);
        let message = verdict.as_ref().map(|verdict| &*verdict.message).unwrap_or_default();
        let value = json!({ "status": status.map(Health::as_str), "message": message });
        let text = match (self.output, status) {
            (Some(Format::Json), _) => format!("{value}\n"),
            (Some(Format::Yaml), _) => tree::to_yaml(&value)?,
            (None, None) => format!("{} has no health: there is nothing to wait for\n", object.key),
            (None, Some(status)) => {
                let symbol = match status {
                    Health::Healthy => Symbol::Good,
                    Health::Progressing => Symbol::Going,
                    Health::Suspended | Health::Missing | Health::Unknown => Symbol::Note,
                    Health::Degraded => Symbol::Bad,
                };
                let (symbol, status) = (terminal.symbol(symbol), status.as_str().to_lowercase());
                format!("{} {} {}", symbol, object.key, format!("{status}  {}", dim(message)).trim_end()) + "\n"
            }
        };
        terminal.print(&text)?;
        Ok(Exit::Ok)
    }
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    std::fs::read(file)
}
