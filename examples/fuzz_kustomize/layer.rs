//! Kustomizations, layer by layer: each lists bases, has objects of its own and changes them all.

use serde_json::{Map, Value, json};

use super::configurations;
use super::fields;
use super::generators;
use super::objects::{Copies, Known, Objects};
use super::random::Random;
use super::style::{self, Taste};
use super::tree::Tree;

/// The tree that belongs to a seed.
pub(crate) fn tree(seed: u64) -> Tree {
    let mut random = Random::new(seed);
    let objects = Objects::new(&mut random);
    let density = *random.pick(&[4, 10, 10, 18]);
    let mut maker = Maker { random, objects, tree: Tree::default(), layers: 0, touched: Vec::new(), vars: 0, density };
    let root = maker.directory("app");
    maker.layer(&root, &Place::Root);
    maker.tree.root = root;
    maker.flags();
    super::mistakes::maybe(&mut maker.random, &mut maker.tree);
    maker.tree
}

/// What a kustomization is for.
enum Place {
    Root,
    /// So deep below the root.
    Base(usize),
    /// A base that two others use; their prefixes part its copies.
    Shared,
    /// One of the users of a shared base: its directory, what it holds, and the prefix.
    Sharing(String, Vec<Known>, &'static str),
}

pub(crate) struct Maker {
    pub(crate) random: Random,
    pub(crate) objects: Objects,
    pub(crate) tree: Tree,
    layers: usize,
    /// Kind and name of what some patch has changed: what else says where its fields are may be wrong.
    touched: Vec<(String, String)>,
    /// Names of vars that are taken.
    pub(crate) vars: usize,
    /// How likely each field is, in percent.
    density: usize,
}

/// A kustomization that is being written.
pub(crate) struct Layer {
    pub(crate) directory: String,
    pub(crate) fields: Map<String, Value>,
    /// What its transformers work on.
    pub(crate) objects: Vec<Known>,
}

impl Layer {
    /// The objects that a selector by kind and name finds alone.
    pub(crate) fn unique(&self) -> Vec<Known> {
        let is_alone = |known: &&Known| self.objects.iter().filter(|other| other.is_like(known)).count() == 1;
        self.objects.iter().filter(is_alone).cloned().collect()
    }

    pub(crate) fn push(&mut self, field: &str, item: Value) {
        let list = self.fields.entry(field).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(item);
        }
    }
}

impl Maker {
    pub(crate) fn feature(&mut self, name: &'static str) {
        self.tree.features.insert(name);
    }

    fn directory(&mut self, name: &str) -> String {
        self.layers += 1;
        let nested = if self.random.chance(20) { "sub/" } else { "" };
        format!("{nested}{name}{}", self.layers)
    }

    fn flags(&mut self) {
        if self.random.chance(4) {
            self.tree.is_unrestricted = true;
            self.feature("--load-restrictor");
        }
        if self.random.chance(8) {
            self.tree.is_unordered = true;
            self.feature("--reorder");
        }
    }

    /// One of the objects, most often one that no patch has changed; from now on one has.
    pub(crate) fn touch(&mut self, objects: &[Known]) -> Option<Known> {
        let known = self.untouched(objects)?;
        self.touched.push((known.kind.clone(), known.name.clone()));
        Some(known)
    }

    /// One of the objects, most often one that no patch has changed.
    pub(crate) fn untouched(&mut self, objects: &[Known]) -> Option<Known> {
        let is_touched =
            |known: &Known| self.touched.iter().any(|(kind, name)| (kind, name) == (&known.kind, &known.name));
        let left: Vec<&Known> = objects.iter().filter(|known| !is_touched(known)).collect();
        if !left.is_empty() {
            return Some((*self.random.pick(&left)).clone());
        }
        (!objects.is_empty() && self.random.chance(8)).then(|| self.random.pick(objects).clone())
    }

    /// True in about as many cases as a field should be there.
    pub(crate) fn wants(&mut self, weight: usize) -> bool {
        let percent = (self.density * weight / 10).clamp(1, 90);
        self.random.chance(percent)
    }

    /// Writes a file beside the kustomization and returns the name by which that refers to it.
    pub(crate) fn file(&mut self, directory: &str, name: &str, bytes: impl Into<Vec<u8>>) -> String {
        let folder = if self.random.chance(10) { "parts/" } else { "" };
        let mut relative = format!("{folder}{name}");
        let mut count = 1;
        while self.tree.files.contains_key(&format!("{directory}/{relative}")) {
            count += 1;
            relative = format!("{folder}{count}-{name}");
        }
        self.tree.files.insert(format!("{directory}/{relative}"), bytes.into());
        if self.random.chance(5) { format!("./{relative}") } else { relative }
    }

    /// A file of documents.
    pub(crate) fn documents(&mut self, directory: &str, name: &str, documents: &[Value], taste: Taste) -> String {
        let configures = ["configuration", "crds", "replacement"].iter().any(|start| name.starts_with(start));
        let text = match documents {
            [one] if configures => style::document(&mut self.random, one, taste),
            _ => self.stream(documents, taste),
        };
        self.file(directory, name, text)
    }

    /// Documents with what separates them.
    pub(crate) fn stream(&mut self, documents: &[Value], taste: Taste) -> String {
        let mut text = String::new();
        let is_alone = documents.len() == 1;
        for (at, value) in documents.iter().enumerate() {
            let separator = match self.random.below(if is_alone { 60 } else { 12 }) {
                0 => "---\n# a comment\n",
                1 => "---\n---\n",
                2 => "--- # comment\n",
                3 if at > 0 => "\n---\n\n",
                _ if at > 0 => "---\n",
                _ => "",
            };
            text.push_str(if !matches!(taste, Taste::Plain) || documents.len() > 1 { separator } else { "" });
            text.push_str(&style::document(&mut self.random, value, taste));
        }
        if !matches!(taste, Taste::Plain) {
            match self.random.below(40) {
                0 => text = text.replace('\n', "\r\n"),
                1 => text.insert(0, '\u{feff}'),
                2 => text.push_str("---\n"),
                3 => text.push_str("# the end"),
                4 => text.insert_str(0, "# the start\n\n"),
                _ => {}
            }
        }
        text
    }

    /// Writes a kustomization and all that it lists; its objects as upper layers know them.
    fn layer(&mut self, directory: &str, place: &Place) -> Vec<Known> {
        let mut layer = Layer { directory: directory.to_owned(), fields: Map::new(), objects: Vec::new() };
        self.bases(&mut layer, place);
        let copies = if matches!(place, Place::Shared) { Copies::Prefixed } else { Copies::None };
        self.resources(&mut layer, copies);
        configurations::add(self, &mut layer);
        generators::add(self, &mut layer);
        self.components(&mut layer);
        fields::transform(self, &mut layer);
        if !matches!(place, Place::Shared | Place::Sharing(..)) {
            fields::vars(self, &mut layer);
        }
        if let Place::Sharing(_, _, prefix) = place {
            layer.fields.insert("namePrefix".into(), (*prefix).into());
        }
        fields::presentation(self, &mut layer);
        self.kustomization(directory, layer.fields, "Kustomization");
        layer.objects
    }

    /// Writes the file itself.
    fn kustomization(&mut self, directory: &str, fields: Map<String, Value>, kind: &str) {
        let mut entries: Vec<(String, Value)> = fields.into_iter().collect();
        if kind == "Component" || self.random.chance(60) {
            let version = if kind == "Component" { "v1alpha1" } else { "v1beta1" };
            entries.insert(0, ("apiVersion".into(), format!("kustomize.config.k8s.io/{version}").into()));
            entries.insert(1, ("kind".into(), kind.into()));
        }
        if self.random.chance(3) {
            entries.push(("metadata".into(), json!({"name": "whatever", "labels": {"a": "b"}})));
        }
        if self.random.chance(50) {
            self.random.shuffle(&mut entries);
        }
        if self.random.chance(2)
            && let Some((field, _)) = entries.iter_mut().find(|(field, _)| field.starts_with("name"))
        {
            *field = field.to_ascii_lowercase();
            self.feature("field name in another case");
        }
        let value = Value::Object(entries.into_iter().collect());
        let text = style::document(&mut self.random, &value, Taste::Exact);
        let name = *self.random.pick(&[
            "kustomization.yaml",
            "kustomization.yaml",
            "kustomization.yaml",
            "kustomization.yml",
            "Kustomization",
        ]);
        self.tree.files.insert(format!("{directory}/{name}"), text.into_bytes());
    }

    fn bases(&mut self, layer: &mut Layer, place: &Place) {
        let depth = match place {
            Place::Root => 0,
            Place::Base(depth) => *depth,
            Place::Shared => return,
            Place::Sharing(shared, known, _) => {
                layer.push("resources", Tree::relative(&layer.directory, shared).into());
                layer.objects.extend(known.iter().cloned());
                return;
            }
        };
        if depth == 0 && self.random.chance(15) {
            return self.diamond(layer);
        }
        if !self.random.chance([65, 35, 20, 0][depth.min(3)]) {
            return;
        }
        for _ in 0..self.random.between(1, 2) {
            let directory = match self.random.chance(15) {
                true => format!("{}/nested{}", layer.directory, self.layers),
                false => self.directory("base"),
            };
            self.layers += 1;
            let known = self.layer(&directory, &Place::Base(depth + 1));
            layer.objects.extend(known);
            self.feature("base");
            self.list_directory(layer, &directory);
        }
    }

    fn list_directory(&mut self, layer: &mut Layer, directory: &str) {
        let field = if self.random.chance(8) { "bases" } else { "resources" };
        self.feature(field);
        let relative = Tree::relative(&layer.directory, directory);
        layer.push(field, if self.random.chance(10) { format!("{relative}/") } else { relative }.into());
    }

    fn diamond(&mut self, layer: &mut Layer) {
        self.feature("diamond");
        let shared = self.directory("shared");
        let base = self.layer(&shared, &Place::Shared);
        for prefix in ["one-", "two-"] {
            let directory = self.directory("user");
            let known = self.layer(&directory, &Place::Sharing(shared.clone(), base.clone(), prefix));
            layer.objects.extend(known);
            self.list_directory(layer, &directory);
        }
    }

    fn resources(&mut self, layer: &mut Layer, copies: Copies) {
        let files = if layer.objects.is_empty() { self.random.between(1, 3) } else { self.random.below(3) };
        for _ in 0..files {
            let count = self.random.between(1, 4);
            let known: Vec<Known> = (0..count).map(|_| self.objects.make(&mut self.random, copies)).collect();
            let mut documents: Vec<Value> = known.iter().map(|known| known.body.clone()).collect();
            if self.random.chance(12) {
                self.feature("List");
                let kind = self.random.word(&["List", "WidgetList"]);
                documents = vec![json!({"apiVersion": "v1", "kind": kind, "items": documents})];
            }
            layer.objects.extend(known);
            let name = self.random.word(&["objects.yaml", "all.yml", "app.yaml"]);
            let entry = self.documents(&layer.directory, &name, &documents, Taste::Wild);
            layer.push("resources", entry.into());
        }
        if self.random.chance(2) {
            let nothing = self.random.word(&["", "---\n", "# nothing\n"]);
            let entry = self.file(&layer.directory, "empty.yaml", nothing);
            layer.push("resources", entry.into());
        }
    }

    fn components(&mut self, layer: &mut Layer) {
        if !self.wants(8) {
            return;
        }
        self.feature("components");
        let directory = self.directory("component");
        let objects = std::mem::take(&mut layer.objects);
        let mut component = Layer { directory: directory.clone(), fields: Map::new(), objects };
        if self.random.chance(40) {
            self.resources(&mut component, Copies::Prefixed);
        }
        generators::add(self, &mut component);
        fields::transform(self, &mut component);
        layer.objects = component.objects;
        if component.fields.is_empty() {
            component.fields.insert("commonAnnotations".into(), json!({"component": "empty"}));
        }
        let entry = Tree::relative(&layer.directory, &directory);
        layer.push("components", entry.into());
        self.kustomization(&directory, component.fields, "Component");
    }
}
