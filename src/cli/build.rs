//! `build`: what `kustomize build` prints; with `--plain` the manifests of a plain directory.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::{ArgAction, Args, ValueEnum};

use super::report::{self, Problems};
use super::terminal::Terminal;
use super::{Exit, Failure, tree};
use crate::api::argo::Source;
use crate::error::Diagnostic;
use crate::kustomize::{self, Bases, LoadRestrictor, Options, Reorder};
use crate::object::Object;
use crate::render::{self, Limits, Request};
use crate::source::detect::{Detected, detect};

/// Print the objects of a kustomization
///
/// The output is byte for byte that of `kustomize build`, whose flags are taken too. No program is ever run: flags that
/// would let a kustomization run one are refused. For example: leeboard build apps/web/overlays/dev
#[derive(Debug, Args)]
pub(super) struct Build {
    /// The directory
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where the files of a kustomization may lie
    #[arg(long, value_name = "RULE", default_value = "LoadRestrictionsRootOnly", value_enum)]
    load_restrictor: Restriction,
    /// The order of the output, where the kustomization does not say it
    #[arg(long, value_name = "ORDER", default_value = "legacy", value_enum)]
    reorder: Order,
    /// Print the manifests of a directory without a kustomization
    #[arg(long)]
    plain: bool,
    /// Read sub-directories of a plain directory too
    #[arg(long, short = 'R', requires = "plain")]
    recursive: bool,
    #[command(flatten)]
    refused: Refused,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Restriction {
    /// In or below the kustomization's directory
    #[value(name = "LoadRestrictionsRootOnly", alias = "rootOnly")]
    RootOnly,
    /// Anywhere
    #[value(name = "LoadRestrictionsNone", alias = "none")]
    None,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Order {
    /// By kind, what others need first
    Legacy,
    /// As written
    None,
}

/// Flags of kustomize that let a kustomization run programs, and those that only matter then.
#[derive(Debug, Args)]
struct Refused {
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    enable_alpha_plugins: bool,
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    enable_exec: bool,
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    enable_star: bool,
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    enable_helm: bool,
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    network: bool,
    #[arg(long, hide = true)]
    mount: Vec<String>,
    /// Says as whom programs run: there are none.
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    as_current_user: bool,
}

impl Refused {
    fn check(&self) -> anyhow::Result<()> {
        let programs = [
            ("--enable-alpha-plugins", self.enable_alpha_plugins),
            ("--enable-exec", self.enable_exec),
            ("--enable-star", self.enable_star),
            ("--network", self.network),
            ("--mount", !self.mount.is_empty()),
        ];
        if let Some((flag, _)) = programs.iter().find(|(_, given)| *given) {
            return Err(anyhow!("`{flag}` is refused: rendering never runs a program"));
        }
        if self.enable_helm {
            return Err(anyhow!("`--enable-helm` is refused: this version renders no charts"));
        }
        Ok(())
    }
}

/// As many threads as there are cores.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Build {
    pub(super) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        self.refused.check()?;
        let opened = match self.load_restrictor {
            Restriction::RootOnly => tree::open(&self.directory, tree::Reach::FileSystem)?,
            Restriction::None => tree::open_alone(&self.directory, tree::Reach::FileSystem)?,
        };
        let problems = |found| Failure::Problems(Problems::in_tree(found, &opened.files, &opened.paths));
        let (objects, warnings) = self.rendered(&opened).map_err(problems)?;
        for warning in &warnings {
            let text = report::warning(warning, &opened.paths, terminal);
            terminal.say(&text);
        }
        let text = kustomize::print(&objects, workers());
        // The process ends here: to give back each value by itself would take longer than to print them all.
        std::mem::forget(objects);
        match &self.output {
            Some(file) => {
                let write = |file| text.iter().try_for_each(|piece| io::Write::write_all(&mut &file, piece.as_bytes()));
                File::create(file).and_then(write).with_context(|| format!("cannot write `{}`", file.display()))?;
            }
            None => text.iter().try_for_each(|piece| terminal.print_raw(piece.as_bytes()))?,
        }
        Ok(Exit::Ok)
    }

    fn rendered(&self, opened: &tree::Opened) -> Result<(Vec<Object>, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (files, directory) = (&opened.files, &opened.directory);
        let kind = detect(files, directory).map_err(|error| vec![Diagnostic::new(error.to_string())])?;
        if kind == Detected::Kustomization {
            let options = Options {
                load_restrictor: match self.load_restrictor {
                    Restriction::RootOnly => LoadRestrictor::RootOnly,
                    Restriction::None => LoadRestrictor::None,
                },
                reorder: match self.reorder {
                    Order::Legacy => Reorder::Legacy,
                    Order::None => Reorder::None,
                },
                workers: workers(),
                ..Options::default()
            };
            let rendered = kustomize::build(files, directory, &options)?;
            return Ok((rendered.objects, rendered.warnings));
        }
        // As kustomize: a script that names a wrong directory must not go on with what happens to lie there.
        if kind == Detected::Plain && !self.plain {
            let names = "'kustomization.yaml', 'kustomization.yml' or 'Kustomization'";
            let title = format!("unable to find one of {names} in directory `{directory}`");
            let hint = "Give `--plain` to print the manifests of a directory without a kustomization.";
            return Err(vec![Diagnostic::new(title).with_hint(hint)]);
        }
        let source = Source {
            path: Some(directory.as_str().to_owned()),
            directory: (kind == Detected::Plain)
                .then(|| crate::api::argo::Directory { recurse: self.recursive, ..Default::default() }),
            ..Source::default()
        };
        let request = Request {
            application: directory.file_name(),
            namespace: None,
            project: "default",
            source: &source,
            commit: "",
            cluster_directory: None,
            limits: Limits::default(),
        };
        let manifest = render::manifest(files, &request, &Bases::default())?;
        Ok((manifest.objects, manifest.warnings))
    }
}
