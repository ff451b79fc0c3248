//! What a person asks for in a comment: `/leeboard preview` on its first line, and nothing else there.
//!
//! **In:** a comment's text. **Out:** a [`Command`], or the word that is none. **May not:** look at any other line: quotes,
//! fences and signatures are talk.

use super::escape;

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// What can be asked for.
    Help,
    /// Another look, also when nothing has changed.
    Preview,
    /// How an object, or a field of it, came to be what it is: `Kind/name`, `namespace/Kind/name`, each with `.field`.
    Explain(String),
}

/// A word that asks for nothing that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown(pub String);

impl Command {
    /// Reads a comment; `None` when it is not addressed to us. `bot` is our login, which may be called instead.
    pub fn parse(body: &str, bot: &str) -> Option<Result<Command, Unknown>> {
        let line = body.lines().next()?.trim_end();
        let rest = line.strip_prefix("/leeboard").or_else(|| line.strip_prefix('@')?.strip_prefix(bot))?;
        if !rest.is_empty() && !rest.starts_with(' ') {
            return None;
        }
        let mut words = rest.split_whitespace();
        Some(match (words.next(), words.next()) {
            (None | Some("help"), None) => Ok(Command::Help),
            (Some("preview" | "rerun"), None) => Ok(Command::Preview),
            (Some("explain"), Some(object)) if words.next().is_none() => Ok(Command::Explain(object.to_owned())),
            _ => Err(Unknown(rest.trim().to_owned())),
        })
    }
}

/// The answer to [`Command::Help`], and to a word that is no command.
pub fn help(unknown: Option<&Unknown>) -> String {
    let mut text = String::new();
    if let Some(Unknown(word)) = unknown {
        text.push_str(&format!("{} is none of these:\n\n", escape::code(word)));
    }
    text.push_str("| command | who | does |\n| --- | --- | --- |\n");
    text.push_str("| `/leeboard help` | who may read | shows this |\n");
    text.push_str("| `/leeboard preview` | who may write | compares again, also when nothing has changed |\n");
    text.push_str("| `/leeboard explain Kind/name.field` | who may write | says which file and which transformer it comes from |\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_of_a_comment_asks() {
        let unknown = |word: &str| Some(Err(Unknown(word.into())));
        let cases = [
            // comment, what it asks for
            ("/leeboard preview", Some(Ok(Command::Preview))),
            ("/leeboard rerun  \r\nplease", Some(Ok(Command::Preview))),
            ("@bot preview", Some(Ok(Command::Preview))),
            ("/leeboard", Some(Ok(Command::Help))),
            ("/leeboard help", Some(Ok(Command::Help))),
            ("/leeboard explain Deployment/web", Some(Ok(Command::Explain("Deployment/web".into())))),
            ("/leeboard explain", unknown("explain")),
            ("/leeboard explain this please", unknown("explain this please")),
            ("/leeboard merge", unknown("merge")),
            ("/leeboard preview now", unknown("preview now")),
            ("/leeboards preview", None),
            ("> /leeboard preview", None),
            ("  /leeboard preview", None),
            ("```\n/leeboard preview\n```", None),
            ("looks good\n/leeboard preview", None),
            ("@bottle preview", None),
            ("", None),
        ];
        for (body, expected) in cases {
            assert_eq!(Command::parse(body, "bot"), expected, "{body:?}");
        }
    }

    #[test]
    fn an_unknown_word_is_no_mention() {
        let text = help(Some(&Unknown("@org/team `x`".into())));
        assert!(text.starts_with("`` @org/team `x` `` is none of these:"), "{text}");
        assert!(!text.lines().any(|line| line.starts_with('/')));
    }
}
