//! How an object came to be what it is, and which one a person means by a name.

use std::fmt;

use smol_str::SmolStr;

use super::error::nearest;
use super::story::Step;
use crate::object::Object;

/// An object, and how each of its fields came to be what it is.
#[derive(Clone, Debug)]
pub struct Explained {
    /// As it is printed.
    pub object: Object,
    /// What it was called in lower layers, first one first.
    pub former_names: Vec<SmolStr>,
    /// Each field with its steps, first one first; a field that a step took away is there, too. Fields are written as
    /// in the `fieldPaths` of a replacement.
    pub fields: Vec<(SmolStr, Vec<Step>)>,
}

/// Objects that are called as a person has called them, each with the fields that are meant.
#[derive(Clone, Debug)]
pub struct Meant<'a> {
    /// The object.
    pub object: &'a Object,
    /// Its fields, or the one that was named and those below it.
    pub fields: Vec<&'a (SmolStr, Vec<Step>)>,
}

/// Nothing is called so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSuch {
    /// `no object is called …`, or `… has no field …`.
    what: String,
    /// What is called nearly so.
    near: Option<String>,
    /// An object is called so, and has no such field.
    is_field: bool,
}

impl NoSuch {
    /// How near it is to what is there: the more, the more likely it was meant there.
    pub fn nearness(&self) -> (bool, bool) {
        (self.is_field, self.near.is_some())
    }
}

impl fmt::Display for NoSuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.near {
            Some(near) => write!(f, "; did you mean `{near}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for NoSuch {}

/// The objects that are meant by `Kind/name` or `namespace/Kind/name`, the name being what it is or was in a lower layer;
/// with a field behind a dot only that one and those below it.
///
/// # Errors
/// When no object, or no field of it, is called so.
pub fn find<'a>(explained: &'a [Explained], wanted: &str) -> Result<Vec<Meant<'a>>, NoSuch> {
    let (found, field) = objects(explained, wanted)?;
    found.into_iter().map(|explained| explained.meant(field)).collect()
}

/// The objects that are called so, and the field behind their name.
fn objects<'a, 'w>(explained: &'a [Explained], wanted: &'w str) -> Result<(Vec<&'a Explained>, &'w str), NoSuch> {
    // Names may hold dots: the longest one that is an object's is meant.
    let dots = wanted.char_indices().filter(|(_, letter)| *letter == '.').map(|(at, _)| at);
    let mut ends: Vec<usize> = dots.chain([wanted.len()]).collect();
    ends.reverse();
    for end in ends {
        let (name, field) = wanted.split_at(end);
        let found: Vec<&Explained> = explained.iter().filter(|one| one.is_called(name)).collect();
        if !found.is_empty() {
            return Ok((found, field.trim_start_matches('.')));
        }
    }
    let names: Vec<String> = explained.iter().flat_map(Explained::names).collect();
    let near = nearest(wanted, names.iter().map(String::as_str)).map(str::to_owned);
    Err(NoSuch { what: format!("no object is called `{wanted}`"), near, is_field: false })
}

impl Explained {
    fn meant(&self, field: &str) -> Result<Meant<'_>, NoSuch> {
        let fields: Vec<_> = self.fields.iter().filter(|(path, _)| is_below(path, field)).collect();
        if !fields.is_empty() {
            return Ok(Meant { object: &self.object, fields });
        }
        let near = nearest(field, self.fields.iter().map(|(path, _)| path.as_str())).map(str::to_owned);
        Err(NoSuch { what: format!("`{}` has no field `{field}`", self.object.key), near, is_field: true })
    }

    fn all_names(&self) -> impl Iterator<Item = &SmolStr> {
        self.former_names.iter().chain([&self.object.key.name])
    }

    /// As `Kind/name`.
    fn names(&self) -> Vec<String> {
        self.all_names().map(|name| format!("{}/{name}", self.object.key.kind)).collect()
    }

    fn is_called(&self, wanted: &str) -> bool {
        let key = &self.object.key;
        self.names().into_iter().any(|short| {
            let is_in = |namespace: &str| {
                wanted.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('/')) == Some(&*short)
            };
            wanted == short || key.namespace.as_deref().is_some_and(is_in)
        })
    }
}

fn is_below(path: &str, field: &str) -> bool {
    path.strip_prefix(field).is_some_and(|rest| field.is_empty() || rest.is_empty() || rest.starts_with('.'))
}
