//! `build --explain`: for each field of an object, which file and which transformer gave it its value.

use anyhow::anyhow;

use crate::cli::nearest::nearest;
use crate::cli::report::Paths;
use crate::cli::terminal::{Terminal, bold, dim};
use crate::kustomize::{Explained, Step};
use crate::object::Object;

/// Shows the fields of the object that is meant by `wanted`, or one of them and those below it.
///
/// # Errors
/// When no object, or no field of it, is called so.
pub(super) fn show(
    explained: &[Explained],
    wanted: &str,
    paths: &Paths,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    let (found, field) = find(explained, wanted)?;
    let mut text = String::new();
    for explained in found {
        let shown: Vec<_> = explained.fields.iter().filter(|(path, _)| is_below(path, field)).collect();
        if shown.is_empty() {
            let known = explained.fields.iter().map(|(path, _)| path.as_str());
            return Err(anyhow!("`{}` has no field `{field}`{}", explained.object.key, meant(field, known)));
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("{}\n", bold(explained.object.key.to_string())));
        for (path, steps) in shown {
            let value = steps.last().and_then(|last| last.value.as_deref());
            text.push_str(&format!("{}: {}\n", path, value.map_or_else(|| "taken away".to_owned(), one_line)));
            text.push_str(&table(steps, paths));
        }
    }
    terminal.print(&text)?;
    Ok(())
}

/// The objects that are called so, and the field behind their name.
fn find<'a>(explained: &'a [Explained], wanted: &'a str) -> anyhow::Result<(Vec<&'a Explained>, &'a str)> {
    // Names may hold dots: the longest one that is an object's is meant.
    let dots = wanted.char_indices().filter(|(_, letter)| *letter == '.').map(|(at, _)| at);
    let mut ends: Vec<usize> = dots.chain([wanted.len()]).collect();
    ends.reverse();
    for end in ends {
        let (name, field) = wanted.split_at(end);
        let found: Vec<&Explained> = explained.iter().filter(|one| is_called(one, name)).collect();
        if !found.is_empty() {
            return Ok((found, field.trim_start_matches('.')));
        }
    }
    let names = |one: &Explained| -> Vec<String> {
        let all = one.former_names.iter().chain([&one.object.key.name]);
        all.map(|name| format!("{}/{name}", one.object.key.kind)).collect()
    };
    let names: Vec<String> = explained.iter().flat_map(names).collect();
    Err(anyhow!("no object is called `{wanted}`{}", meant(wanted, names.iter().map(String::as_str))))
}

fn meant<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(wanted, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

/// By `Kind/name` or `namespace/Kind/name`, the name being what it is or was in a lower layer.
fn is_called(explained: &Explained, wanted: &str) -> bool {
    let Object { key, .. } = &explained.object;
    let names = explained.former_names.iter().chain([&key.name]);
    names.into_iter().any(|name| {
        let short = format!("{}/{name}", key.kind);
        let is_in =
            |namespace: &str| wanted.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('/')) == Some(&short);
        wanted == short || key.namespace.as_deref().is_some_and(is_in)
    })
}

fn is_below(path: &str, field: &str) -> bool {
    path.strip_prefix(field).is_some_and(|rest| field.is_empty() || rest.is_empty() || rest.starts_with('.'))
}

/// One line for each step: where, who, and what came of it.
fn table(steps: &[Step], paths: &Paths) -> String {
    let rows: Vec<[String; 3]> = steps
        .iter()
        .map(|step| {
            let shown = |origin: &crate::error::Origin| {
                let mut origin = origin.clone();
                origin.file = paths.show(&origin.file).into();
                origin.to_string()
            };
            let place = step.written_at.as_ref().or(step.at.as_ref()).map(shown).unwrap_or_default();
            // The value of a patch stands in one file, and the entry that names the patch in another.
            let via = step.at.as_ref().filter(|_| step.written_at.is_some()).map(shown);
            let by = via.map_or_else(|| step.by.to_string(), |via| format!("{} at {via}", step.by));
            let value = step.value.as_deref().map_or_else(|| "taken away".to_owned(), one_line);
            [place, value, by]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths = [width(0), width(1)];
    let line = |[place, value, by]: &[String; 3]| {
        let line = match rows.len() {
            // The value stands in the line above.
            1 => format!("  {place}  {by}"),
            _ => format!("  {place:<0$}  {value:<1$}  {by}", widths[0], widths[1]),
        };
        format!("{}\n", dim(&line))
    };
    rows.iter().map(line).collect()
}

/// A value on one line, cut where it is long.
fn one_line(value: &str) -> String {
    const LONGEST: usize = 60;
    let line = value.lines().next().unwrap_or_default();
    let is_cut = line.len() < value.trim_end().len() || line.chars().count() > LONGEST;
    let shown: String = line.chars().take(LONGEST).collect();
    if is_cut { format!("{shown} …") } else { shown }
}
