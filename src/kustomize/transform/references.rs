//! Names that other objects hold follow the objects whose names have changed.
//!
//! Runs once, over everything, after the hashes. A field's text is looked up among all names that objects had; what
//! is found is narrowed down by kind, namespace, and the prefixes and suffixes that tell one overlay from another.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};
use smol_str::SmolStr;

use super::shape;
use super::specs::Specs;
use crate::in_order;
use crate::kustomize::error::{Error, Problem};
use crate::kustomize::place::{Make, Place, settle_untyped, untyped, write_text};
use crate::kustomize::resource::{Gvk, Id, Resource};
use crate::kustomize::set::Set;
use crate::yaml::{Node, Plain, Resolve};

/// What is known of an object that may be referred to.
struct Referral {
    id: Id,
    formers: Vec<Id>,
    prefixes: Vec<SmolStr>,
    suffixes: Vec<SmolStr>,
}

/// Rewrites all references, on so many threads.
///
/// # Errors
/// Every reference that could mean several objects.
pub(in crate::kustomize) fn apply(set: &mut Set, specs: &Specs, workers: usize) -> Result<(), Vec<Error>> {
    let blank: Vec<Error> = set.iter().filter_map(|resource| account_namespaces(resource).err()).collect();
    if !blank.is_empty() {
        return Err(blank);
    }
    if set.iter().all(|resource| resource.formers.is_empty()) {
        return shape::check(set, specs, workers);
    }
    let mut referrals: Vec<Referral> = Vec::new();
    let mut named: HashMap<SmolStr, Vec<usize>> = HashMap::new();
    let mut written_in: HashMap<SmolStr, HashSet<Whereabouts>> = HashMap::new();
    for resource in set.iter() {
        let id = resource.id();
        written_in.entry(resource.original_id().effective_namespace()).or_default().insert(Whereabouts::of(&id));
        // Most objects of a large tree are nothing that a reference could mean.
        let could_be = |former: Id| specs.references.iter().any(|to| former.gvk.is_selected_by(&to.target));
        if !resource.former_ids().any(could_be) {
            continue;
        }
        let at = referrals.len();
        for former in &resource.formers {
            let found = named.entry(former.name.clone()).or_insert_with(|| Vec::with_capacity(1));
            if found.last() != Some(&at) {
                found.push(at);
            }
        }
        referrals.push(Referral::of(resource));
    }
    let mut places: HashMap<SmolStr, Vec<(&Gvk, Place)>> = HashMap::new();
    for references in &specs.references {
        for spec in &references.from {
            // References never make fields.
            let mut place = Place::new(spec);
            place.spec.create = false;
            places.entry(spec.gvk.kind.clone()).or_default().push((&references.target, place));
        }
    }
    let any_kind = places.remove("").unwrap_or_default();
    let rewritten = in_order::map_mut(workers, set.shared_mut(), |shared| {
        let resource = Arc::make_mut(shared);
        let referrer = Referral::of(resource);
        // Rules name the kind that a referrer had where it was written.
        let written = resource.original_id().gvk;
        let of_kind = places.get(&written.kind).into_iter().flatten();
        let accounts = account_namespaces(resource).unwrap_or_default();
        let mut errors = Vec::new();
        for (target, place) in of_kind.chain(&any_kind) {
            if !written.is_selected_by(&place.spec.gvk) {
                continue;
            }
            let role = if place.spec.path.ends_with("roleRef/name") { role_kind(&resource.node) } else { None };
            let search = Search {
                referrals: &referrals,
                named: &named,
                written_in: &written_in,
                referrer: &referrer,
                target,
                role: role.as_ref(),
                accounts: &accounts,
                field: &place.spec.path,
            };
            errors.extend(place.visit(&mut resource.node, Make::Nothing, &mut |node| search.rewrite(node)).err());
        }
        errors
    });
    let errors: Vec<Error> = rewritten.into_iter().flatten().collect();
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// Where an object lives.
#[derive(PartialEq, Eq, Hash)]
struct Whereabouts {
    namespace: SmolStr,
    effective_namespace: SmolStr,
    is_cluster_scoped: bool,
}

impl Whereabouts {
    fn of(id: &Id) -> Self {
        Whereabouts {
            namespace: id.namespace.clone(),
            effective_namespace: id.effective_namespace(),
            is_cluster_scoped: id.is_cluster_scoped(),
        }
    }
}

impl Referral {
    fn of(resource: &Resource) -> Self {
        Referral {
            id: resource.id(),
            formers: resource.former_ids().collect(),
            prefixes: resource.prefixes.clone(),
            suffixes: resource.suffixes.clone(),
        }
    }

    /// True when this was of the same overlays as the referrer.
    fn shares_affixes(&self, referrer: &Referral, empty: Empty) -> bool {
        let shared = |one: &[SmolStr], other: &[SmolStr]| {
            (empty == Empty::Fits && (one.is_empty() || other.is_empty())) || same_ending(one, other)
        };
        shared(&self.prefixes, &referrer.prefixes) && shared(&self.suffixes, &referrer.suffixes)
    }
}

/// Whether an object without any prefix fits one that has some.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Empty {
    Fits,
    Differs,
}

fn same_ending(one: &[SmolStr], other: &[SmolStr]) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    if short.is_empty() { long.is_empty() } else { long.ends_with(short) }
}

/// The kind that a role binding's `roleRef` names.
fn role_kind(node: &Node) -> Option<Gvk> {
    let role = node.get("roleRef")?;
    let text = |field| role.get(field).and_then(Node::as_str);
    Some(Gvk::new(text("apiGroup")?, "", text("kind")?))
}

/// The namespaces of the accounts that a RoleBinding binds: it may refer to them.
fn account_namespaces(resource: &Resource) -> Result<HashSet<SmolStr>, Error> {
    let mut namespaces = HashSet::new();
    if resource.kind() != "RoleBinding" {
        return Ok(namespaces);
    }
    for subject in resource.node.get("subjects").and_then(Node::as_sequence).unwrap_or_default() {
        let is_account = subject.get("kind").and_then(Node::as_str) == Some("ServiceAccount");
        if let (true, Some(namespace)) = (is_account, subject.get("namespace")) {
            if !matches!(namespace.resolve(Resolve::V3), Ok(Some(Plain::Text))) {
                let referrer = resource.id().to_string();
                return Err(Error::at(namespace, Problem::BlankNamespace { referrer }));
            }
            namespaces.extend(namespace.as_str().map(SmolStr::new));
        }
    }
    Ok(namespaces)
}

/// The search for what one field refers to.
struct Search<'a> {
    referrals: &'a [Referral],
    named: &'a HashMap<SmolStr, Vec<usize>>,
    /// Where the objects live that were first written in a namespace.
    written_in: &'a HashMap<SmolStr, HashSet<Whereabouts>>,
    referrer: &'a Referral,
    target: &'a Gvk,
    role: Option<&'a Gvk>,
    accounts: &'a HashSet<SmolStr>,
    field: &'a str,
}

impl Search<'_> {
    fn rewrite(&self, node: &mut Node) -> Result<(), Error> {
        if node.is_null() {
            return Ok(());
        }
        if let Some(items) = node.as_sequence_mut() {
            return items.iter_mut().try_for_each(|item| self.rewrite(item));
        }
        if node.is_mapping() { self.rewrite_mapping(node) } else { self.rewrite_name(node) }
    }

    fn rewrite_name(&self, node: &mut Node) -> Result<(), Error> {
        let Some(name) = node.as_scalar().map(|scalar| scalar.text.clone()) else { return Ok(()) };
        let found = self.find(&name, None, |one, other| one.name == other.name, node)?;
        if let Some(found) = found.filter(|found| found.id.name != name) {
            write_text(node, found.id.name.clone());
        }
        Ok(())
    }

    fn rewrite_mapping(&self, node: &mut Node) -> Result<(), Error> {
        let Some(name) = node.get("name").and_then(Node::as_scalar).map(|scalar| scalar.text.clone()) else {
            let problem = Problem::MissingField { field: "name", of: "a reference" };
            return Err(Error::at(node, problem));
        };
        let namespace = node.get("namespace").and_then(Node::as_scalar).map(|scalar| scalar.text.clone());
        let same = |one: &Id, other: &Id| one.name == other.name && one.namespace == other.namespace;
        let Some(found) = self.find(&name, namespace.as_ref(), same, node)? else { return Ok(()) };
        let (new_name, new_namespace) = (found.id.name.clone(), found.id.namespace.clone());
        if new_name == name && new_namespace.is_empty() {
            return Ok(());
        }
        for (field, value) in [("name", new_name), ("namespace", new_namespace)] {
            match node.get_mut(field) {
                _ if value.is_empty() => {}
                Some(place) => write_text(place, value),
                None => {
                    let mut made = untyped(value);
                    settle_untyped(&mut made);
                    node.insert(field, made);
                }
            }
        }
        Ok(())
    }

    fn find(
        &self,
        name: &SmolStr,
        namespace: Option<&SmolStr>,
        same: impl Fn(&Id, &Id) -> bool,
        at: &Node,
    ) -> Result<Option<&Referral>, Error> {
        let all = self.named.get(name).map(Vec::as_slice).unwrap_or_default();
        let all: Vec<&Referral> = all.iter().filter_map(|at| self.referrals.get(*at)).collect();
        let mut found: Vec<&Referral> =
            all.iter().copied().filter(|referral| self.could_be(referral, namespace)).collect();
        if found.len() > 1 {
            found.retain(|referral| referral.shares_affixes(self.referrer, Empty::Fits));
        }
        if found.len() > 1 {
            found.retain(|referral| referral.shares_affixes(self.referrer, Empty::Differs));
        }
        let Some((first, others)) = found.split_first() else { return Ok(None) };
        if others.iter().all(|other| same(&first.id, &other.id)) {
            return Ok(Some(first));
        }
        let problem = Problem::Ambiguous {
            name: name.to_string(),
            field: self.field.to_owned(),
            referrer: self.referrer.id.to_string(),
            candidates: found.iter().map(|referral| referral.id.to_string()).collect(),
        };
        Err(Error::at(at, problem))
    }

    fn could_be(&self, referral: &Referral, namespace: Option<&SmolStr>) -> bool {
        let had = |kind: &Gvk| referral.formers.iter().any(|former| former.gvk.is_selected_by(kind));
        if !had(self.target) || self.role.is_some_and(|role| !had(role)) {
            return false;
        }
        let cluster_scoped = referral.id.is_cluster_scoped() || self.referrer.id.is_cluster_scoped();
        let same_namespace = referral.id.effective_namespace() == self.referrer.id.effective_namespace();
        let bound_account = referral.id.gvk.kind == "ServiceAccount" && self.accounts.contains(&referral.id.namespace);
        if !(cluster_scoped || same_namespace || bound_account) {
            return false;
        }
        let Some(wanted) = namespace else { return true };
        let first = referral.formers.first().unwrap_or(&referral.id);
        first.effective_namespace() == *wanted
            || (referral.id.effective_namespace() == *wanted && !self.known_first(wanted))
    }

    /// True when some object that the referrer sees was written in this namespace; then what lives there now does not
    /// count.
    fn known_first(&self, namespace: &SmolStr) -> bool {
        let own = &self.referrer.id;
        self.written_in.get(namespace).into_iter().flatten().any(|other| {
            own.is_cluster_scoped()
                || other.is_cluster_scoped
                || own.effective_namespace() == other.effective_namespace
                || self.accounts.contains(&other.namespace)
        })
    }
}
