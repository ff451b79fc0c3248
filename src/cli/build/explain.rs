//! `build --explain`: for each field of an object, which file and which transformer gave it its value.

use crate::cli::report::Paths;
use crate::cli::terminal::{Terminal, bold, dim};
use crate::kustomize::explained::{Meant, find};
use crate::kustomize::{Explained, Step};

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
    let mut text = String::new();
    for Meant { object, fields } in find(explained, wanted)? {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("{}\n", bold(&object.key)));
        for (path, steps) in fields {
            let value = steps.last().and_then(|last| last.value.as_deref());
            text.push_str(&format!("{}: {}\n", path, value.map_or_else(|| "taken away".to_owned(), one_line)));
            text.push_str(&table(steps, paths));
        }
    }
    terminal.print(&text)?;
    Ok(())
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
