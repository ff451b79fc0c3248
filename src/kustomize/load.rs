//! Files of a build: read inside the tree, restricted as kustomize restricts them, and parsed.

use std::collections::VecDeque;
use std::sync::Arc;

use super::error::{Error, Problem, nearest};
use super::field::{Text, handed_over};
use super::go_json;
use super::place::typed;
use super::resource::Resource;
use crate::source::detect::KUSTOMIZATION_FILES;
use crate::source::remote::{NotRemote, is_remote};
use crate::source::{self, Entry, Files, Identified, Recording, RemoteBase, TreePath};
use crate::yaml::{self, CollectionStyle, Content, Document, Node, Plain, Resolve, Scalar, ScalarStyle, plain};

/// Where files that a kustomization names may lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LoadRestrictor {
    /// In or below the directory of the kustomization.
    #[default]
    RootOnly,
    /// Anywhere in the tree.
    None,
}

/// Reads files for a build.
#[derive(Clone, Copy)]
pub(super) struct Loader<'a> {
    files: Tree<'a>,
    restrictor: LoadRestrictor,
}

/// What is read.
#[derive(Clone, Copy)]
pub(super) enum Tree<'a> {
    /// Just the files.
    Files(&'a dyn Files),
    /// The files, and what is read of them is noted.
    Recorded(&'a Recording<'a>),
}

impl<'a> Tree<'a> {
    fn files(self) -> &'a dyn Files {
        match self {
            Tree::Files(files) => files,
            Tree::Recorded(recording) => recording,
        }
    }

    /// Where what is read is noted.
    pub(super) fn recording(self) -> Option<&'a Recording<'a>> {
        match self {
            Tree::Files(_) => None,
            Tree::Recorded(recording) => Some(recording),
        }
    }

    /// By what a base of an earlier build is found valid.
    pub(super) fn identified(self) -> Option<&'a dyn Identified> {
        self.recording().map(Recording::tree)
    }
}

/// What stands at an entry of `resources` or `components`.
pub(super) enum Found {
    File(TreePath),
    Directory(TreePath),
}

impl<'a> Loader<'a> {
    pub(super) fn new(files: Tree<'a>, restrictor: LoadRestrictor) -> Self {
        Loader { files, restrictor }
    }

    pub(super) fn tree(&self) -> Tree<'a> {
        self.files
    }

    pub(super) fn restrictor(&self) -> LoadRestrictor {
        self.restrictor
    }

    fn files(&self) -> &'a dyn Files {
        self.files.files()
    }

    /// The one kustomization file of a directory.
    ///
    /// # Errors
    /// When there is none, or more than one, or it is not YAML.
    pub(super) fn kustomization(&self, directory: &TreePath) -> Result<(TreePath, Node), Error> {
        let mut found = Vec::new();
        for name in KUSTOMIZATION_FILES {
            let path = directory.join(name).map_err(|error| Error::of_file(directory, Problem::Source(error)))?;
            match self.files().entry(&path) {
                Ok(Some(Entry::File)) => found.push((name, path)),
                Ok(_) => {}
                Err(error) => return Err(Error::of_file(&path, Problem::Source(error))),
            }
        }
        let Some((_, path)) = found.first().cloned() else {
            return Err(Error::of_file(directory, Problem::NoKustomization { directory: directory.clone() }));
        };
        if found.len() > 1 {
            let names = found.into_iter().map(|(name, _)| name).collect();
            let problem = Problem::ManyKustomizations { directory: directory.clone(), names };
            return Err(Error::of_file(directory, problem));
        }
        let bytes = self.files().read(&path).map_err(|error| Error::of_file(&path, Problem::Source(error)))?;
        match yaml::parse_first(&path.to_string().into(), &bytes, yaml::Resolve::V2)? {
            Some(document) => Ok((path, document.root)),
            None => Err(Error::of_file(&path, Problem::EmptyKustomization)),
        }
    }

    /// What an entry names, seen from a directory.
    ///
    /// # Errors
    /// When nothing is there, or it leads out of the tree.
    pub(super) fn find(&self, directory: &TreePath, entry: &Text) -> Result<Found, Error> {
        let path = self.path(directory, entry)?;
        let entry_at =
            |path: &TreePath| self.files().entry(path).map_err(|error| Error::at(&entry.node, Problem::Source(error)));
        match entry_at(&path)? {
            Some(Entry::File) => Ok(Found::File(path)),
            Some(Entry::Directory) => Ok(Found::Directory(path)),
            None if is_remote(entry.as_str()) => {
                let path = self.remote(entry)?;
                match entry_at(&path)? {
                    Some(Entry::Directory) => Ok(Found::Directory(path)),
                    _ => Err(Error::at(&entry.node, Problem::NotABase { path: entry.value.to_string() })),
                }
            }
            None => Err(self.missing(&path, entry)),
        }
    }

    /// Where the files of a base in another repository stand.
    fn remote(&self, entry: &Text) -> Result<TreePath, Error> {
        let refused = |problem| Error::at(&entry.node, problem);
        let path = entry.value.to_string();
        let base = RemoteBase::parse(entry.as_str())
            .map_err(|reason| refused(Problem::NotRemote { path: path.clone(), reason }))?;
        let point = self.files().mount_point(&base.remote).ok_or_else(|| refused(Problem::Remote { path }))?;
        point.join(base.directory.as_str()).map_err(|error| refused(Problem::Source(error)))
    }

    fn path(&self, directory: &TreePath, entry: &Text) -> Result<TreePath, Error> {
        let escapes = || source::Error::Escapes { path: entry.value.to_string(), from: directory.clone() };
        let joined = directory.join(entry.as_str()).and_then(|path| {
            let stays = self.files().root_of(&path) == self.files().root_of(directory);
            if stays { Ok(path) } else { Err(escapes()) }
        });
        joined.map_err(|error| Error::at(&entry.node, Problem::Source(error)))
    }

    fn missing(&self, path: &TreePath, entry: &Text) -> Error {
        if is_remote(entry.as_str()) {
            let problem = Problem::NotRemote { path: entry.value.to_string(), reason: NotRemote::File };
            return Error::at(&entry.node, problem);
        }
        let beside = path.parent().and_then(|parent| self.files().list(&parent).ok()).unwrap_or_default();
        let near = nearest(path.file_name(), beside.iter().map(|(name, _)| name.as_str()));
        let nearest = near.map(|name| match entry.as_str().rsplit_once('/') {
            Some((directory, _)) => format!("{directory}/{name}"),
            None => name.to_owned(),
        });
        Error::at(&entry.node, Problem::Missing { path: entry.value.to_string(), nearest })
    }

    /// The bytes of a file that an entry names, seen from the directory of a kustomization.
    ///
    /// # Errors
    /// When it does not exist, or lies outside of that directory and the restrictor forbids that.
    pub(super) fn read(&self, directory: &TreePath, entry: &Text) -> Result<(TreePath, Arc<[u8]>), Error> {
        let path = self.path(directory, entry)?;
        self.permit(directory, &path, entry)?;
        match self.files().read(&path) {
            Ok(bytes) => Ok((path, bytes)),
            Err(source::Error::NotFound { .. }) => Err(self.missing(&path, entry)),
            Err(error) => Err(Error::at(&entry.node, Problem::Source(error))),
        }
    }

    fn permit(&self, directory: &TreePath, path: &TreePath, entry: &Text) -> Result<(), Error> {
        if self.restrictor == LoadRestrictor::RootOnly && !path.is_within(directory) {
            return Err(Error::at(&entry.node, Problem::OutsideRoot { path: entry.value.to_string() }));
        }
        Ok(())
    }

    /// The first document of a file, unless it is empty: what follows is never read.
    ///
    /// # Errors
    /// Those of [`Loader::read`], and when it is not YAML.
    pub(super) fn document(&self, directory: &TreePath, entry: &Text) -> Result<Option<Document>, Error> {
        let (path, bytes) = self.read(directory, entry)?;
        Ok(yaml::parse_first(&path.to_string().into(), &bytes, yaml::Resolve::V3)?)
    }

    /// The objects of a file.
    ///
    /// # Errors
    /// When it is not YAML, or a document of it is not an object.
    pub(super) fn objects(
        &self,
        directory: &TreePath,
        path: &TreePath,
        entry: &Text,
    ) -> Result<Vec<Resource>, Vec<Error>> {
        self.permit(directory, path, entry).map_err(|error| vec![error])?;
        let bytes = self.files().read(path).map_err(|error| vec![Error::at(&entry.node, Problem::Source(error))])?;
        let documents = yaml::parse(&path.to_string().into(), &bytes).map_err(|error| vec![error.into()])?;
        objects(documents, &bytes)
    }
}

/// The objects that documents hold, lists replaced by their items, which come after what is no list; `bytes` are what
/// was parsed.
///
/// # Errors
/// Every document that is not an object, or has no kind or name.
pub(super) fn objects(documents: Vec<Document>, bytes: &[u8]) -> Result<Vec<Resource>, Vec<Error>> {
    let mut resources = Vec::with_capacity(documents.len());
    let mut errors = Vec::new();
    let is_lone = documents.len() == 1
        && documents.iter().any(|document| is_plain_list(&document.root))
        && yaml::is_one_part(bytes);
    let mut queue: VecDeque<Node> = documents.into_iter().map(|document| document.root).collect();
    if is_lone && let Some(list) = queue.pop_front() {
        unpack(list, &mut queue, &mut errors);
    }
    while let Some(mut node) = queue.pop_front() {
        if is_empty(&node) {
            continue;
        }
        let is_list = node.get("kind").and_then(Node::as_str).is_some_and(|kind| kind.ends_with("List"));
        // kustomize reads the whole of it before it takes it apart.
        if is_list && let Some(key) = node.duplicate_keys().first() {
            errors.push(key.error().into());
            continue;
        }
        if is_list && let Some(items) = node.remove("items") {
            for mut item in taken(items, &mut errors) {
                decode(&mut item);
                unpack(item, &mut queue, &mut errors);
            }
            continue;
        }
        drop_quoted_merges(&mut node);
        match check(&node) {
            Ok(()) => resources.push(Resource::new(node)),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(resources) } else { Err(errors) }
}

/// True for what kustomize's reader takes apart by itself where it is all there is to read.
fn is_plain_list(node: &Node) -> bool {
    matches!(node.get("kind").and_then(Node::as_str), Some("List" | "ResourceList"))
}

fn is_empty(node: &Node) -> bool {
    node.is_null()
        || node.as_mapping().is_some_and(|entries| entries.is_empty())
        || node.as_sequence().is_some_and(|items| items.is_empty())
}

/// Appends the items of a plain list as they are written, or what else it is.
fn unpack(mut node: Node, queue: &mut VecDeque<Node>, errors: &mut Vec<Error>) {
    let items = if is_plain_list(&node) { node.remove("items") } else { None };
    match items {
        // Here it looks for what is below, and below a text there is nothing.
        Some(items) if items.is_scalar() || is_empty(&items) => {}
        Some(items) => queue.extend(taken(items, errors)),
        None => queue.push_back(node),
    }
}

/// What stands in `items`.
fn taken(mut items: Node, errors: &mut Vec<Error>) -> Vec<Node> {
    if !items.is_sequence() && !items.is_null() {
        let found = items.describe().to_owned();
        let problem = Problem::WrongType { field: "items".into(), expected: "a list", found };
        errors.push(Error::at(&items, problem));
    }
    items.as_sequence_mut().map(std::mem::take).unwrap_or_default()
}

/// Makes an item of a list what kustomize makes of it unless its reader has taken the list apart: it turns the item
/// into JSON on the way, in which every string is in quotes, collections are in braces, and nothing else remembers how
/// it was written.
fn decode(node: &mut Node) {
    if node.tag().is_some() {
        return;
    }
    if node.is_null() {
        // One that is written, unlike the nothing that may have stood there.
        *node = typed("null", "!!null");
        return;
    }
    match &mut node.content {
        Content::Sequence(sequence) => {
            sequence.style = CollectionStyle::Flow;
            sequence.items.iter_mut().for_each(decode);
        }
        Content::Mapping(mapping) => {
            mapping.style = CollectionStyle::Flow;
            for entry in &mut mapping.entries {
                entry.key.forget_comments();
                decode(&mut entry.value);
            }
        }
        Content::Scalar(scalar) => match plain(&scalar.text, Resolve::V3) {
            Plain::Time(time) if scalar.style == ScalarStyle::Plain => {
                *scalar = Scalar { text: time.into(), style: ScalarStyle::DoubleQuoted };
            }
            Plain::Text => *scalar = decoded(scalar),
            _ if scalar.style != ScalarStyle::Plain => *scalar = decoded(scalar),
            meaning => {
                if let Some(text) = json_text(&meaning) {
                    scalar.text = text.into();
                }
            }
        },
    }
}

/// A bool or a number as JSON writes it.
fn json_text(meaning: &Plain) -> Option<String> {
    let value = match *meaning {
        Plain::Bool(value) => value.into(),
        Plain::Int(number) => number.into(),
        Plain::Uint(number) => number.into(),
        Plain::Float(number) => yaml::number_from_f64(number)?,
        _ => return None,
    };
    let mut text = String::new();
    go_json::push(&mut text, &value);
    Some(text)
}

/// A string of JSON, once it is read as YAML.
fn decoded(scalar: &Scalar) -> Scalar {
    Scalar { text: handed_over(&scalar.text).into(), style: ScalarStyle::DoubleQuoted }
}

/// Takes out the keys `<<` that are left once merges are expanded: those in quotes, which kustomize loses.
fn drop_quoted_merges(node: &mut Node) {
    if let Some(items) = node.as_sequence_mut() {
        items.iter_mut().for_each(drop_quoted_merges);
    } else if let Some(entries) = node.as_mapping_mut() {
        entries.retain(|entry| !entry.is_under("<<"));
        entries.iter_mut().for_each(|entry| drop_quoted_merges(&mut entry.value));
    }
}

/// # Errors
/// When the node is no object, or has no kind or name. A list needs no name.
pub(super) fn check(node: &Node) -> Result<(), Error> {
    if !node.is_mapping() {
        return Err(Error::at(node, Problem::NotAnObject { found: node.describe() }));
    }
    let filled = |node: Option<&Node>| {
        node.is_some_and(|node| !node.is_null() && node.as_str().is_some_and(|text| !text.is_empty()))
    };
    if !filled(node.get("kind")) {
        return Err(Error::at(node, Problem::MissingIdentity { field: "kind" }));
    }
    let is_list = node.get("kind").and_then(Node::as_str).is_some_and(|kind| kind.ends_with("List"));
    if !is_list && !filled(node.get("metadata").and_then(|metadata| metadata.get("name"))) {
        let at = node.nearest(&["metadata".into()]);
        return Err(Error::at(at, Problem::MissingIdentity { field: "metadata.name" }));
    }
    Ok(())
}
