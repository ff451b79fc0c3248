//! What a person asks for in a comment: `/leeboard preview` on its first line, and nothing else there.
//!
//! **In:** a comment's text. **Out:** a [`Command`], or the word that is none. **May not:** look at any other line: quotes,
//! fences and signatures are talk.

use super::escape;
use super::phrase::{Bit, Phrase};

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// What can be asked for.
    Help,
    /// Another look, also when nothing has changed.
    Preview,
    /// How an object, or a field of it, came to be what it is: `Kind/name`, `namespace/Kind/name`, each with `.field`.
    Explain(String),
    /// The risks of the plan that is shown are known, and taken: why.
    AcceptRisk(String),
    /// Something of an environment.
    Promotion(Wish),
}

/// Something of an environment that somebody wants: who may have it is the cluster's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What.
    pub verb: Verb,
    /// What follows: an environment's name, a commit, a reason.
    pub words: Vec<String>,
}

/// What can be wanted of an environment: as the commands of the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Yes to a promotion.
    Approve,
    /// No to a promotion.
    Reject,
    /// Begin one.
    Promote,
    /// Bring back what was there before.
    Rollback,
    /// End a promotion.
    Abort,
    /// Let nothing enter by itself.
    Hold,
    /// Let commits enter by themselves again.
    Resume,
    /// Let nothing enter.
    Lock,
    /// Let commits enter again.
    Unlock,
}

impl Verb {
    const ALL: [(&'static str, Verb); 9] = [
        ("approve", Verb::Approve),
        ("reject", Verb::Reject),
        ("promote", Verb::Promote),
        ("rollback", Verb::Rollback),
        ("abort", Verb::Abort),
        ("hold", Verb::Hold),
        ("resume", Verb::Resume),
        ("lock", Verb::Lock),
        ("unlock", Verb::Unlock),
    ];

    fn from_word(word: &str) -> Option<Verb> {
        Verb::ALL.into_iter().find(|(name, _)| *name == word).map(|(_, verb)| verb)
    }
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
        let words: Vec<&str> = rest.split_whitespace().collect();
        let (first, others) =
            words.split_first().map_or((None, words.as_slice()), |(first, rest)| (Some(*first), rest));
        let verb = first.and_then(Verb::from_word);
        Some(match (first, others) {
            (None | Some("help"), []) => Ok(Command::Help),
            (Some("preview" | "rerun"), []) => Ok(Command::Preview),
            (Some("explain"), [object]) => Ok(Command::Explain((*object).to_owned())),
            (Some("accept-risk"), [_, ..]) => Ok(Command::AcceptRisk(others.join(" "))),
            (_, words) => match verb {
                Some(verb) => {
                    Ok(Command::Promotion(Wish { verb, words: words.iter().map(|&word| word.to_owned()).collect() }))
                }
                None => Err(Unknown(rest.trim().to_owned())),
            },
        })
    }
}

/// Commands, the right that each needs in the cluster, and what each does.
const OF_THE_CLUSTER: [(&str, &str, &str); 10] = [
    ("approve ENV", "approve promotions", "says yes to the plan that waits there"),
    ("reject ENV REASON", "approve promotions", "says no to it"),
    ("accept-risk REASON", "approve promotions", "lets the status pass, for this very plan"),
    ("promote ENV [COMMIT]", "create promotions", "carries the next commit, or this one, there"),
    ("rollback ENV REASON", "create promotions", "brings back what was verified there before"),
    ("abort ENV REASON", "patch promotions", "ends the promotion that is under way"),
    ("hold ENV REASON", "patch environments", "lets nothing enter without a person"),
    ("resume ENV", "patch environments", "lets commits enter by themselves again"),
    ("lock ENV REASON", "patch environments", "lets nothing enter"),
    ("unlock ENV", "patch environments", "lets commits enter again"),
];

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
    for (command, right, does) in OF_THE_CLUSTER {
        text.push_str(&format!("| `/leeboard {command}` | who may `{right}` in the cluster | {does} |\n"));
    }
    text
}

/// The answer to somebody whose wish was heard: what came of it.
pub fn answer(what: &Phrase) -> String {
    let mut text = String::new();
    for bit in what.bits() {
        match bit {
            Bit::Words(words) => text.push_str(words),
            Bit::Name(name) => text.push_str(&escape::code(name)),
        }
    }
    text.push_str(".\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_of_a_comment_asks() {
        let unknown = |word: &str| Some(Err(Unknown(word.into())));
        let wish = |verb: Verb, words: &[&str]| {
            let words = words.iter().map(|&word| word.to_owned()).collect();
            Some(Ok(Command::Promotion(Wish { verb, words })))
        };
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
            ("/leeboard approve", wish(Verb::Approve, &[])),
            ("/leeboard  reject prod  too early\nreally", wish(Verb::Reject, &["prod", "too", "early"])),
            ("/leeboard promote prod 3f9a1c2", wish(Verb::Promote, &["prod", "3f9a1c2"])),
            ("/leeboard accept-risk we have a backup", Some(Ok(Command::AcceptRisk("we have a backup".into())))),
            ("/leeboard accept-risk", unknown("accept-risk")),
            ("> /leeboard approve prod", None),
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
