//! `build`: what `kustomize build` prints; with `--plain` the manifests of a plain directory.

mod explain;
mod output;

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::{ArgAction, Args, ValueEnum};

use super::remotes::with_remotes;
use super::report::{self, Problems};
use super::terminal::Terminal;
use super::{Exit, Failure, tree};
use crate::api::argo::Source;
use crate::error::Diagnostic;
use crate::in_order;
use crate::kustomize::{self, Bases, LoadRestrictor, Options, Reorder};
use crate::object::Object;
use crate::render::{self, Limits, Request};
use crate::source::detect::{Detected, detect};

/// Print the objects of a kustomization
///
/// The output is byte for byte that of `kustomize build`, whose flags are taken too. No program is ever run: flags that
/// would let a kustomization run one are refused. `-` reads a kustomization from stdin, as if it stood in the working
/// directory. For example: leeboard build apps/web/overlays/dev
#[derive(Debug, Args)]
pub(super) struct Build {
    /// The directory
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// Write to this file instead of stdout; into a directory, one file for each object
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Tell which files and transformers gave the fields of an object their values
    ///
    /// For example: --explain Deployment/web, or a field of it: --explain Deployment/web.spec.replicas
    #[arg(long, value_name = "OBJECT[.FIELD]", conflicts_with_all = ["output", "plain"])]
    explain: Option<String>,
    /// Where the files of a kustomization may lie
    #[arg(long, value_name = "RULE", default_value = "LoadRestrictionsRootOnly", value_enum)]
    load_restrictor: Restriction,
    /// The order of the output, where the kustomization does not say it; legacy if not given
    #[arg(long, value_name = "ORDER", value_enum)]
    reorder: Option<Order>,
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
    #[command(flatten)]
    _of_programs: OfPrograms,
}

/// Flags that say how programs run: there are none, so they change nothing.
#[derive(Debug, Args)]
struct OfPrograms {
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    as_current_user: bool,
    #[arg(long, short, hide = true)]
    env: Vec<String>,
    #[arg(long, hide = true)]
    network_name: Option<String>,
    #[arg(long, hide = true)]
    helm_command: Option<String>,
    #[arg(long, hide = true)]
    helm_api_versions: Vec<String>,
    #[arg(long, hide = true)]
    helm_kube_version: Option<String>,
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    helm_debug: bool,
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

/// What was built.
enum Built {
    /// The text of a kustomization, object by object.
    Text(Vec<String>),
    Objects(Vec<Object>),
}

impl Build {
    pub(super) fn run(&self, terminal: &mut Terminal) -> Result<Exit, Failure> {
        self.refused.check()?;
        let opened = self.open()?;
        let problems = |found| Failure::Problems(Problems::in_tree(found, &opened.files, &opened.paths));
        if let Some(wanted) = &self.explain {
            let explained =
                with_remotes(&opened.files, |tree| kustomize::explain(tree, &opened.directory, &self.options()));
            let explained = explained.map_err(problems)?;
            explain::show(&explained, wanted, &opened.paths, terminal)?;
            return Ok(Exit::Ok);
        }
        let (built, mut warnings) = self.built(&opened).map_err(problems)?;
        if self.reorder.is_some() {
            let deprecated = Diagnostic::new("`--reorder` is deprecated");
            warnings.insert(0, deprecated.with_hint("Write `sortOptions` into the kustomization."));
        }
        for warning in &warnings {
            let text = report::warning(warning, &opened.paths, terminal);
            terminal.say(&text);
        }
        match (&self.output, built) {
            (None, Built::Text(documents)) => output::in_chunks(&documents, |chunk| terminal.print_raw(chunk))?,
            (None, Built::Objects(objects)) => terminal.print_raw(output::text(&objects).as_bytes())?,
            (Some(path), Built::Text(documents)) => output::write_file(path, &documents)?,
            (Some(path), Built::Objects(objects)) if path.is_dir() => output::write_files(path, &objects)?,
            (Some(path), Built::Objects(objects)) => output::write_file(path, &[output::text(&objects)])?,
        }
        Ok(Exit::Ok)
    }

    fn open(&self) -> anyhow::Result<tree::Opened> {
        let from_stdin = self.directory == Path::new("-");
        let directory = if from_stdin { Path::new(".") } else { &self.directory };
        let mut opened = match self.load_restrictor {
            Restriction::RootOnly => tree::open(directory, tree::Reach::FileSystem)?,
            Restriction::None => tree::open_alone(directory, tree::Reach::FileSystem)?,
        };
        if from_stdin {
            opened.read_kustomization_from(std::io::stdin().lock())?;
        }
        Ok(opened)
    }

    fn options(&self) -> Options {
        Options {
            load_restrictor: match self.load_restrictor {
                Restriction::RootOnly => LoadRestrictor::RootOnly,
                Restriction::None => LoadRestrictor::None,
            },
            reorder: self.reorder.map(|order| match order {
                Order::Legacy => Reorder::Legacy,
                Order::None => Reorder::None,
            }),
            workers: in_order::workers(),
            ..Options::default()
        }
    }

    fn built(&self, opened: &tree::Opened) -> Result<(Built, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (files, directory) = (&opened.files, &opened.directory);
        let kind = detect(files, directory).map_err(|error| vec![Diagnostic::new(error.to_string())])?;
        if kind == Detected::Kustomization {
            let options = self.options();
            if self.output.as_ref().is_some_and(|output| output.is_dir()) {
                let rendered = with_remotes(files, |tree| kustomize::build(tree, directory, &options))?;
                return Ok((Built::Objects(rendered.objects), rendered.warnings));
            }
            let printed = with_remotes(files, |tree| {
                in_order::enter(options.workers, || kustomize::print(tree, directory, &options))
            })?;
            return Ok((Built::Text(printed.documents), printed.warnings));
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
        Ok((Built::Objects(manifest.objects), manifest.warnings))
    }
}
