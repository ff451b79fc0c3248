//! The objects of one layer, in order, found by what they are or were called.

use std::sync::Arc;

use hashbrown::HashMap;
use smol_str::SmolStr;

use super::error::{Error, Problem};
use super::resource::{Id, Resource};

/// More objects than any cluster directory has; a bound on what a diamond of bases can multiply to.
const MAX_OBJECTS: usize = 200_000;

/// More values than any cluster directory has; bases that are used again and again multiply.
const MAX_VALUES: usize = 10_000_000;

/// Objects with two indexes, each made when it is first asked for and forgotten when objects change.
///
/// A base's objects are those of all overlays that use it until one of these changes them: then it gets its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    list: Vec<Arc<Resource>>,
    /// The values in all objects that were ever added.
    values: usize,
    current: Option<HashMap<Id, usize>>,
    any: Option<HashMap<Id, Vec<usize>>>,
    /// True when two objects may be called the same: names have changed and nobody has looked since.
    renamed: bool,
}

impl Set {
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Resource> {
        self.list.iter().map(|resource| &**resource)
    }

    pub(super) fn get(&self, at: usize) -> Option<&Resource> {
        self.list.get(at).map(|resource| &**resource)
    }

    /// How many values all objects held when they were added.
    pub(super) fn values(&self) -> usize {
        self.values
    }

    /// What objects are called has changed, or will.
    pub(super) fn names_change(&mut self) {
        self.forget_places();
        self.renamed = true;
    }

    /// Objects have forgotten what they were called.
    pub(super) fn forget_places(&mut self) {
        (self.current, self.any) = (None, None);
    }

    /// All objects, to change what they are called.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Resource> {
        self.names_change();
        self.list.iter_mut().map(Arc::make_mut)
    }

    /// One object, to change what it is called.
    pub(super) fn one_mut(&mut self, at: usize) -> Option<&mut Resource> {
        self.names_change();
        self.body_mut(at)
    }

    /// One object, to change anything but what it is called.
    pub(super) fn body_mut(&mut self, at: usize) -> Option<&mut Resource> {
        self.list.get_mut(at).map(Arc::make_mut)
    }

    /// All objects that this is true of, to change anything but what they are called.
    pub(super) fn bodies_mut(&mut self, wanted: impl Fn(&Resource) -> bool) -> impl Iterator<Item = &mut Resource> {
        self.list.iter_mut().filter(move |resource| wanted(resource)).map(Arc::make_mut)
    }

    /// Takes out the objects at these places, which are sorted.
    pub(super) fn remove(&mut self, places: &[usize]) {
        self.forget_places();
        let mut at = 0;
        self.list.retain(|_| {
            at += 1;
            places.binary_search(&(at - 1)).is_err()
        });
    }

    /// All objects as they are shared.
    pub(super) fn shared(&self) -> &[Arc<Resource>] {
        &self.list
    }

    /// The same, to change anything but what they are called.
    pub(super) fn shared_mut(&mut self) -> &mut [Arc<Resource>] {
        &mut self.list
    }

    pub(super) fn into_vec(self) -> Vec<Arc<Resource>> {
        self.list
    }

    /// Adds an object.
    ///
    /// # Errors
    /// When one is called the same now.
    pub(super) fn append(&mut self, resource: impl Into<Arc<Resource>>) -> Result<(), Error> {
        let resource = resource.into();
        if self.list.len() >= MAX_OBJECTS {
            return Err(Error::at(&resource.node, Problem::TooMany { limit: MAX_OBJECTS }));
        }
        self.values = self.values.saturating_add(resource.values);
        if self.values > MAX_VALUES {
            return Err(Error::at(&resource.node, Problem::TooManyValues { limit: MAX_VALUES }));
        }
        let id = resource.id();
        if let Some(first) = self.current().get(&id).copied() {
            let first = self.list.get(first).and_then(|first| first.origin.clone());
            return Err(Error::at(&resource.node, Problem::Duplicate { id: id.to_string(), first }));
        }
        let at = self.list.len();
        if let Some(any) = &mut self.any {
            for id in resource.ids() {
                let found = any.entry(id).or_default();
                if found.last() != Some(&at) {
                    found.push(at);
                }
            }
        }
        if let Some(current) = &mut self.current {
            current.insert(id, at);
        }
        self.list.push(resource);
        Ok(())
    }

    /// # Errors
    /// When two objects are called the same now.
    pub(super) fn check(&mut self) -> Result<(), Error> {
        if !self.renamed {
            return Ok(());
        }
        self.forget_places();
        self.renamed = false;
        let list = std::mem::take(&mut self.list);
        self.values = 0;
        list.into_iter().try_for_each(|resource| self.append(resource))
    }

    /// The objects that are or were called so.
    pub(super) fn with_any_id(&mut self, id: &Id) -> Vec<usize> {
        let list = &self.list;
        let any = self.any.get_or_insert_with(|| {
            let mut any: HashMap<Id, Vec<usize>> = HashMap::with_capacity(list.len());
            for (at, resource) in list.iter().enumerate() {
                for id in resource.ids() {
                    let found = any.entry(id).or_default();
                    if found.last() != Some(&at) {
                        found.push(at);
                    }
                }
            }
            any
        });
        any.get(id).cloned().unwrap_or_default()
    }

    fn current(&mut self) -> &HashMap<Id, usize> {
        let list = &self.list;
        self.current.get_or_insert_with(|| list.iter().enumerate().map(|(at, resource)| (resource.id(), at)).collect())
    }

    /// Names of objects of a kind, for messages.
    pub(super) fn candidates(&self, kind: &SmolStr) -> Vec<String> {
        const SHOWN: usize = 8;
        let of_kind = self.list.iter().filter(|resource| kind.is_empty() || resource.kind() == kind);
        let mut names: Vec<String> = of_kind.map(|resource| resource.id().to_string()).collect();
        if names.is_empty() {
            names = self.list.iter().map(|resource| resource.id().to_string()).collect();
        }
        if names.len() > SHOWN {
            let more = names.len() - SHOWN;
            names.truncate(SHOWN);
            names.push(format!("{more} more"));
        }
        names
    }
}
