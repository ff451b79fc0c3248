//! A problem as a person sees it: the sentence, the line it is about, what to do.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin as Place, Renderer, Snippet};

use super::terminal::{Terminal, counted};
use crate::error::{Diagnostic, Origin};
use crate::source::{Files, TreePath, remote};

/// What is wrong in files, and how those files are called on the command line.
#[derive(Clone, Debug)]
pub struct Problems {
    /// Drawn sorted by file and line.
    pub found: Vec<Diagnostic>,
    /// Where the paths of their origins begin.
    pub paths: Paths,
}

impl Problems {
    /// Problems of files in a tree: those that came without the text of their line get it.
    pub fn in_tree(mut found: Vec<Diagnostic>, files: &dyn Files, paths: &Paths) -> Self {
        for problem in &mut found {
            if problem.line.is_none() {
                problem.line = problem.origin.as_ref().and_then(|origin| line(files, origin));
            }
        }
        Problems { found, paths: paths.clone() }
    }
}

fn line(files: &dyn Files, origin: &Origin) -> Option<String> {
    let index = (origin.line as usize).checked_sub(1)?;
    let bytes = files.read(&TreePath::new(&origin.file).ok()?).ok()?;
    Some(std::str::from_utf8(&bytes).ok()?.lines().nth(index)?.to_owned())
}

/// Turns paths inside a tree into paths as the person would write them.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    /// What stands before each: empty, `sub/`, `../`, or an absolute path.
    prefix: PathBuf,
    /// The part of the tree in which the person stands: taken off.
    inside: PathBuf,
}

impl Paths {
    /// For a tree whose root is `root`, seen from the directory `here`; both absolute and without links.
    pub fn new(root: &Path, here: &Path) -> Self {
        match (here.strip_prefix(root), root.strip_prefix(here)) {
            (Ok(inside), _) => Paths { prefix: PathBuf::new(), inside: inside.to_owned() },
            (_, Ok(below)) => Paths { prefix: below.to_owned(), inside: PathBuf::new() },
            _ => Paths { prefix: root.to_owned(), inside: PathBuf::new() },
        }
    }

    /// The path to show for one in the tree.
    pub fn show(&self, path: &str) -> String {
        if let Some(elsewhere) = remote::shown(path) {
            return elsewhere;
        }
        let path = Path::new(path);
        let inside: Vec<Component<'_>> = self.inside.components().collect();
        let common = path.components().zip(&inside).take_while(|(a, b)| a == *b).count();
        let up = std::iter::repeat_n(Component::ParentDir, inside.len() - common);
        let shown: PathBuf = self.prefix.components().chain(up).chain(path.components().skip(common)).collect();
        match shown.to_string_lossy() {
            shown if shown.is_empty() => ".".to_owned(),
            shown => shown.into_owned(),
        }
    }
}

impl Problems {
    /// All of them, sorted by place, with their number at the end.
    pub fn draw(&self, terminal: &Terminal) -> String {
        let mut sorted: Vec<&Diagnostic> = self.found.iter().collect();
        sorted.sort_by(|a, b| a.origin.cmp(&b.origin));
        sorted.dedup();
        let mut text = String::new();
        for problem in &sorted {
            text.push_str(&draw(problem, Level::ERROR, &self.paths, terminal));
            text.push_str("\n\n");
        }
        if sorted.len() > 1 {
            let files: BTreeSet<&str> = sorted.iter().filter_map(|p| p.origin.as_ref()).map(|o| &*o.file).collect();
            let places = if files.is_empty() { String::new() } else { format!(" in {}", counted(files.len(), "file")) };
            text.push_str(&format!("{}{places}\n", counted(sorted.len(), "problem")));
        } else {
            text.pop();
        }
        text
    }
}

/// A warning, drawn like an error.
pub fn warning(problem: &Diagnostic, paths: &Paths, terminal: &Terminal) -> String {
    draw(problem, Level::WARNING, paths, terminal) + "\n"
}

/// A failure that is no place in a file: the sentence and its causes.
pub fn failure(error: &anyhow::Error, terminal: &Terminal) -> String {
    let mut group = Group::with_title(Level::ERROR.primary_title(error.to_string()));
    // A cause that the sentence above it quotes already says nothing new.
    let mut above = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !above.contains(&cause) {
            group = group.element(Level::NOTE.with_name("because").message(cause.clone()));
        }
        above = cause;
    }
    renderer(terminal).render(&[group]) + "\n"
}

fn renderer(terminal: &Terminal) -> Renderer {
    let decor = if terminal.unicode() { DecorStyle::Unicode } else { DecorStyle::Ascii };
    Renderer::styled().decor_style(decor).term_width(terminal.width())
}

fn draw(problem: &Diagnostic, level: Level<'_>, paths: &Paths, terminal: &Terminal) -> String {
    let mut elements: Vec<Element<'_>> = Vec::new();
    if let Some(origin) = &problem.origin {
        elements.push(place(problem, origin, paths.show(&origin.file)));
    }
    if !problem.label.is_empty() && (problem.origin.is_none() || problem.line.is_none()) {
        elements.push(Level::NOTE.message(&*problem.label).into());
    }
    elements
        .extend(problem.notes.iter().filter(|note| !note.is_empty()).map(|note| Level::NOTE.message(&**note).into()));
    elements.extend(problem.hint.iter().map(|hint| Level::HELP.message(&**hint).into()));
    let group = Group::with_title(level.primary_title(&*problem.title)).elements(elements);
    renderer(terminal).render(&[group])
}

/// The file with the line, when its text is known.
fn place<'a>(problem: &'a Diagnostic, origin: &Origin, file: String) -> Element<'a> {
    match &problem.line {
        Some(line) if origin.line > 0 => {
            let span = marked(line, origin.column);
            let label = (!problem.label.is_empty()).then(|| Cow::Borrowed(&*problem.label));
            Snippet::source(&**line)
                .line_start(origin.line as usize)
                .path(file)
                .fold(false)
                .annotation(AnnotationKind::Primary.span(span).label(label))
                .into()
        }
        _ => {
            let mut place = Place::path(file);
            if origin.line > 0 {
                place = place.line(origin.line as usize);
            }
            if origin.column > 0 {
                place = place.char_column(origin.column as usize);
            }
            place.into()
        }
    }
}

/// The bytes of a line to mark: the word that begins at a column; the whole line when none is known.
fn marked(line: &str, column: u32) -> std::ops::Range<usize> {
    let Some(before) = (column as usize).checked_sub(1) else {
        let indent = line.len() - line.trim_start().len();
        return indent..line.trim_end().len().max(indent);
    };
    let start = line.char_indices().nth(before).map_or(line.len(), |(at, _)| at);
    let rest = &line[start..];
    let quoted = rest.chars().next().filter(|first| matches!(first, '"' | '\''));
    let length = match quoted.and_then(|quote| rest[1..].find(quote)) {
        Some(end) => end + 2,
        None => {
            rest.find(|character: char| character.is_whitespace() || ",:]}".contains(character)).unwrap_or(rest.len())
        }
    };
    // At least one character, if there is one.
    start..start + length.max(rest.chars().next().map_or(0, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::super::terminal::ColorChoice;
    use super::*;

    #[test]
    fn paths_are_shown_from_where_the_person_stands() {
        let cases = [
            // root         here                  path                   shown
            ("/r", "/r", "apps/a.yaml", "apps/a.yaml"),
            ("/r", "/r/apps", "apps/a.yaml", "a.yaml"),
            ("/r", "/r/clusters/dev", "apps/a.yaml", "../../apps/a.yaml"),
            ("/r/apps", "/r", "a.yaml", "apps/a.yaml"),
            ("/r", "/other", "apps/a.yaml", "/r/apps/a.yaml"),
            ("/", "/r/apps", "r/apps/a.yaml", "a.yaml"),
            ("/r", "/r/apps", "apps", "."),
        ];
        for (root, here, path, shown) in cases {
            assert_eq!(Paths::new(Path::new(root), Path::new(here)).show(path), shown, "{path} in {root} from {here}");
        }
    }

    #[test]
    fn the_word_at_a_column_is_marked() {
        let cases = [
            // line              column  marked
            ("resource:", 1, "resource"),
            ("- name: web", 3, "name"),
            ("a: \"b c\" # d", 4, "\"b c\""),
            ("a: [b, c]", 5, "b"),
            ("  key: value", 0, "key: value"),
            ("é: x", 4, "x"),
            (": x", 1, ":"),
            ("a", 9, ""),
        ];
        for (line, column, expected) in cases {
            assert_eq!(&line[marked(line, column)], expected, "{line} at {column}");
        }
    }

    #[test]
    fn problems_are_drawn_sorted_and_counted() {
        let problem = |title: &str, file: &str, line| Diagnostic::new(title).at(Origin::new(file, line, 1));
        let problems = Problems {
            found: vec![
                problem("second", "b.yaml", 2),
                problem("first", "a.yaml", 9).with_line("resource: x").with_label("expected").with_hint("Try it."),
                problem("second", "b.yaml", 2),
            ],
            paths: Paths::default(),
        };
        let drawn = problems.draw(&Terminal::new(ColorChoice::Never));
        let plain = anstream::adapter::strip_str(&drawn).to_string();
        let (first, second) = (plain.find("error: first").unwrap(), plain.find("error: second").unwrap());
        assert!(first < second && plain.matches("second").count() == 1, "{plain}");
        for part in ["a.yaml:9:1", "resource: x", "expected", "help: Try it.", "b.yaml:2:1"] {
            assert!(plain.contains(part), "{part} is not in\n{plain}");
        }
        assert!(plain.ends_with("2 problems in 2 files\n"), "{plain}");
    }
}
