//! What the forges take, and how their Markdown differs.

use super::super::escape;

/// Whose Markdown a comment is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// GitHub.
    GitHub,
    /// GitLab.
    GitLab,
    /// Gitea and Forgejo.
    Gitea,
    /// Bitbucket Cloud: no HTML.
    BitbucketCloud,
    /// Bitbucket Data Center: no HTML.
    BitbucketServer,
}

impl Flavour {
    /// All of them.
    pub const ALL: [Flavour; 5] =
        [Flavour::GitHub, Flavour::GitLab, Flavour::Gitea, Flavour::BitbucketCloud, Flavour::BitbucketServer];

    /// How many bytes a comment may have: some way below each forge's limit.
    pub fn budget(self) -> usize {
        match self {
            Flavour::GitHub | Flavour::Gitea => 60_000,
            Flavour::GitLab => 200_000,
            Flavour::BitbucketCloud | Flavour::BitbucketServer => 30_000,
        }
    }

    pub(super) fn has_html(self) -> bool {
        !matches!(self, Flavour::BitbucketCloud | Flavour::BitbucketServer)
    }

    /// A line that nobody sees.
    pub(super) fn hidden(self, text: &str) -> String {
        match self.has_html() {
            true => format!("<!-- {text} -->"),
            // A link reference that nothing refers to.
            false => format!("[//]: # ({text})"),
        }
    }

    /// What [`Flavour::hidden`] has hidden on a line.
    pub(super) fn revealed(line: &str) -> Option<&str> {
        let html = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
        html.or_else(|| line.strip_prefix("[//]: # (").and_then(|rest| rest.strip_suffix(')')))
    }

    pub(super) fn small(self, text: &str) -> String {
        if self.has_html() { format!("<sub>{text}</sub>\n") } else { format!("{text}\n") }
    }

    /// A name in a heading: of what can be folded, the heading is HTML, in which Markdown is not looked for.
    pub(super) fn in_heading(self, name: &str) -> String {
        match (escape::is_plain(name), self.has_html()) {
            (true, _) => name.to_owned(),
            (false, true) => escape::html_code(&escape::unmarked(name)),
            (false, false) => escape::code(&escape::unmarked(name)),
        }
    }

    /// What opens a section that can be folded.
    pub(super) fn open(self, heading: &str) -> String {
        match self.has_html() {
            true => format!("\n<details><summary>{heading}</summary>\n"),
            false => format!("\n#### {heading}\n"),
        }
    }

    /// What closes it.
    pub(super) fn close(self) -> &'static str {
        if self.has_html() { "\n</details>\n" } else { "" }
    }
}
