//! Comments without a plan: nothing to deploy, conflicts, and what is too large.

use super::super::Pull;
use super::super::escape;
use super::super::phrase::grouped;
use super::Comment;
use super::flavour::Flavour;
use super::marker::{self, Data};

/// Why there is no plan to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Nothing that is deployed changes; said only where a comment is already.
    Nothing,
    /// It cannot be merged.
    Conflict {
        /// Where.
        files: Vec<String>,
    },
    /// It costs more than a preview may.
    TooLarge {
        /// Objects that it renders to.
        objects: usize,
    },
}

/// More are counted.
const MOST_FILES: usize = 20;

/// The comment.
pub fn notice(flavour: Flavour, instance: &str, pull: &Pull, notice: &Notice) -> Comment {
    let said = match notice {
        Notice::Nothing => "No deployed manifest changes.\n".to_owned(),
        Notice::Conflict { files } => {
            let mut said = "### Leeboard: Cannot be merged\n\nCannot be merged: conflicts in\n\n".to_owned();
            for file in files.iter().take(MOST_FILES) {
                said.push_str(&format!("- {}\n", escape::code(file)));
            }
            if files.len() > MOST_FILES {
                said.push_str(&format!("- and {} more\n", files.len() - MOST_FILES));
            }
            said
        }
        Notice::TooLarge { objects } => {
            let count = grouped(*objects as u64);
            format!("### Leeboard: too large to preview\n\nToo large to preview: {count} objects.\n")
        }
    };
    let Pull { number, head, base } = pull;
    let footer = flavour.small(&format!(
        "head {} on base {} · `/leeboard help`",
        escape::code(super::short(head)),
        escape::code(super::short(base))
    ));
    let data = Data { head: head.clone(), base: base.clone(), v: 1, ..Data::default() };
    let data = marker::data_line(flavour, &data, usize::MAX);
    let text = format!("{}\n\n{said}\n{footer}\n{data}\n", marker::line(flavour, instance, *number));
    let guarded = |text: &str| text.lines().map(|line| format!("{}\n", escape::guarded(line))).collect();
    let said: String = guarded(&said);
    Comment { body: guarded(&text), changes: said.len(), said, shown: 0, of: 0 }
}
