//! Plain manifests: the YAML and JSON files of a directory.
//!
//! As Argo CD reads them (SEMANTICS a.2): YAML files hold any number of objects, a JSON file exactly one; lists are
//! expanded; a file with the skip marker is left out, and so is a YAML file that neither parses as objects nor looks
//! as if it were meant to. Files come in the order of a depth-first walk by name.

use std::sync::Arc;

use serde::de::IgnoredAny;

use super::{Limits, unreadable};
use crate::api::argo::Directory;
use crate::api::argo::glob::{Glob, Separator};
use crate::error::{Diagnostic, Origin};
use crate::object::Object;
use crate::source::{Entry, Error as ReadError, Files as _, Recording, TreePath};
use crate::yaml::{self, Resolve};

/// A file with this text is left out.
const SKIP_MARKER: &str = "+argocd:skip-file-rendering";

/// The objects of a directory.
pub(super) fn objects(
    files: &Recording<'_>,
    root: &TreePath,
    options: &Directory,
    limits: Limits,
) -> Result<Vec<Object>, Vec<Diagnostic>> {
    let glob = |field: &str, pattern: &Option<String>| match pattern.as_deref() {
        None | Some("") => Ok(None),
        Some(pattern) => glob(field, pattern).map(Some),
    };
    let one = |problem| vec![problem];
    let mut walk = Walk {
        files,
        root,
        options,
        include: glob("directory.include", &options.include).map_err(one)?,
        exclude: glob("directory.exclude", &options.exclude).map_err(one)?,
        limits,
        bytes: 0,
        objects: Vec::new(),
        problems: Vec::new(),
    };
    walk.directory(root).map_err(one)?;
    if walk.problems.is_empty() { Ok(walk.objects) } else { Err(walk.problems) }
}

/// A pattern on paths below the source. To Argo CD one that is malformed fits nothing, and nobody is told.
fn glob(field: &str, pattern: &str) -> Result<Glob, Diagnostic> {
    Glob::new(pattern, Separator::None).map_err(|malformed| {
        let reason = malformed.to_string();
        Diagnostic::new(format!("`{field}` is no pattern: `{pattern}`")).with_label(reason.clone()).with_note(reason)
    })
}

struct Walk<'a> {
    files: &'a Recording<'a>,
    root: &'a TreePath,
    options: &'a Directory,
    include: Option<Glob>,
    exclude: Option<Glob>,
    limits: Limits,
    bytes: usize,
    objects: Vec<Object>,
    problems: Vec<Diagnostic>,
}

/// What a file is by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Yaml,
    Json,
    Jsonnet,
}

impl Walk<'_> {
    /// An error ends the walk; what is wrong in one file is collected and the walk goes on.
    fn directory(&mut self, directory: &TreePath) -> Result<(), Diagnostic> {
        for (name, entry) in self.files.list(directory).map_err(|error| unreadable(&error))? {
            let path = directory.join(&name).map_err(|error| unreadable(&error))?;
            match entry {
                // A link to a directory is not followed: it could lead back up.
                Entry::Directory if self.options.recurse => {
                    if !self.files.is_link(&path).map_err(|error| unreadable(&error))? {
                        self.directory(&path)?;
                    }
                }
                Entry::Directory => {}
                Entry::File => {
                    if let Some(format) = self.format(&path) {
                        self.file(&path, format)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// How a file is read; `None` when it is none of the manifests.
    fn format(&self, path: &TreePath) -> Option<Format> {
        let format = match path.file_name().rsplit_once('.').map(|(_, extension)| extension) {
            Some("yaml" | "yml") => Format::Yaml,
            Some("json") => Format::Json,
            Some("jsonnet") => Format::Jsonnet,
            _ if self.options.disable_extension_filter => Format::Yaml,
            _ => return None,
        };
        let below = path.as_str().strip_prefix(self.root.as_str()).unwrap_or_default().trim_start_matches('/');
        let excluded = self.exclude.as_ref().is_some_and(|glob| glob.matches(below));
        let included = self.include.as_ref().is_none_or(|glob| glob.matches(below));
        (included && !excluded).then_some(format)
    }

    fn file(&mut self, path: &TreePath, format: Format) -> Result<(), Diagnostic> {
        let origin = || Origin::file(path.as_str());
        let bytes = match self.files.read(path) {
            Ok(bytes) => bytes,
            Err(error @ (ReadError::TooLarge { .. } | ReadError::NotFound { .. })) => {
                self.problems.push(unreadable(&error));
                return Ok(());
            }
            Err(error) => return Err(unreadable(&error)),
        };
        self.bytes += bytes.len();
        if self.bytes > self.limits.bytes {
            let limit = self.limits.bytes;
            let title = format!("the manifests of `{}` have more than the limit of {limit} bytes", self.root);
            return Err(Diagnostic::new(title).at(origin()).with_label("here the limit is reached"));
        }
        let text = String::from_utf8_lossy(&bytes);
        if text.contains(SKIP_MARKER) {
            return Ok(());
        }
        let name: Arc<str> = path.as_str().into();
        let read = match format {
            Format::Yaml => yaml::objects(&name, &bytes, Resolve::V2),
            Format::Json => json_objects(&name, &bytes),
            Format::Jsonnet => Err(vec![
                Diagnostic::new("jsonnet is not evaluated here")
                    .at(origin())
                    .with_hint("Commit what it gives, or leave it out with `directory.exclude`."),
            ]),
        };
        match read {
            Ok(objects) => self.objects.extend(objects),
            // Values of charts, configuration of other tools: directories hold much that was never a manifest.
            Err(_) if format == Format::Yaml && !looks_like_manifest(&text) => {}
            Err(problems) => self.problems.extend(problems),
        }
        if self.objects.len() > self.limits.objects {
            let limit = self.limits.objects;
            let title = format!("`{}` has more than the limit of {limit} objects", self.root);
            return Err(Diagnostic::new(title).at(origin()).with_label("here the limit is reached"));
        }
        Ok(())
    }
}

/// True when a person meant the file to be a manifest, whatever became of it.
fn looks_like_manifest(text: &str) -> bool {
    ["apiVersion", "kind", "metadata"].iter().all(|field| {
        text.match_indices(field).any(|(at, found)| {
            let after = &text[at + found.len()..];
            after.starts_with(':') || after.starts_with("\":") || after.starts_with("':")
        })
    })
}

/// A JSON file is exactly one value, which is an object or a list of objects.
fn json_objects(file: &Arc<str>, bytes: &[u8]) -> Result<Vec<Object>, Vec<Diagnostic>> {
    let origin = |line, column| Origin::new(Arc::clone(file), line, column);
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(bytes) {
        let number = |number: usize| u32::try_from(number).unwrap_or_default();
        let words = error.to_string();
        let reason = words.split(" at line ").next().unwrap_or_default();
        let text = String::from_utf8_lossy(bytes);
        let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
        return Err(vec![
            Diagnostic::new("invalid JSON")
                .at(origin(number(error.line()), number(error.column().max(1))))
                .with_line(line)
                .with_label(reason),
        ]);
    }
    yaml::objects(file, bytes, Resolve::V2).map_err(|mut problems| {
        for problem in &mut problems {
            let hint = "Leave the file out with `directory.exclude` if it is no manifest.";
            problem.hint.get_or_insert_with(|| hint.into());
        }
        problems
    })
}
