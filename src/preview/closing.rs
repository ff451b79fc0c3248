//! The last edit of a comment: what became of the pull request.

use std::time::Duration;

use smol_str::SmolStr;

use super::comment::{Flavour, Notice, notice};
use super::{Pull, escape};

/// What became of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closing {
    /// It was merged and synced with the plans that were shown.
    AsPreviewed(Vec<Arrival>),
    /// It was merged and synced, and the plans were others.
    Differently {
        /// Where it is now.
        arrivals: Vec<Arrival>,
        /// Environment and application, and what is different there.
        differences: Vec<(String, String)>,
    },
    /// It was merged, and the result is another tree than the one that was previewed.
    MergedDifferently {
        /// The files that are others, as far as they are known.
        files: Vec<String>,
    },
    /// It was merged, and its sync failed.
    Failed {
        /// Where.
        environment: SmolStr,
        /// Why, in one sentence.
        reason: String,
    },
    /// It was closed without a merge.
    Closed,
    /// It is open, against another branch now.
    Retargeted {
        /// That branch.
        branch: String,
    },
}

/// An environment that a pull request has reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The environment.
    pub environment: SmolStr,
    /// From the merge to the end of the sync.
    pub after: Duration,
}

/// The comment with its last headline. `written` is what was written before, when the forge still has just that;
/// without it the comment says no more than the headline.
pub fn close(flavour: Flavour, instance: &str, pull: &Pull, written: Option<&str>, closing: &Closing) -> String {
    let body = written.map_or_else(|| notice(flavour, instance, pull, &Notice::Nothing).body, str::to_owned);
    let news = news(closing);
    let mut text = String::with_capacity(body.len() + news.len());
    let mut is_told = false;
    for line in body.lines() {
        let is_headline = line.starts_with("### ") || line == "No deployed manifest changes.";
        if is_headline && !is_told {
            text.push_str(&news);
            is_told = true;
            continue;
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn news(closing: &Closing) -> String {
    const MOST: usize = 20;
    let place = |arrival: &Arrival| format!("{} in {}", name(&arrival.environment), seconds(arrival.after));
    let places = |arrivals: &[Arrival]| arrivals.iter().map(place).collect::<Vec<_>>().join(", ");
    match closing {
        Closing::AsPreviewed(arrivals) => format!("### Leeboard: Deployed to {}, as previewed\n", places(arrivals)),
        Closing::Differently { arrivals, differences } => {
            let mut text = format!("### Leeboard: Deployed to {}\n\n", places(arrivals));
            text.push_str("Deployed with differences from the preview:\n\n");
            for (place, what) in differences.iter().take(MOST) {
                text.push_str(&format!("- {}: {}\n", escape::code(place), escape::code(what)));
            }
            if differences.len() > MOST {
                text.push_str(&format!("- and {} more\n", differences.len() - MOST));
            }
            text
        }
        Closing::MergedDifferently { files } => {
            let mut text = "### Leeboard: The merge result differs from what was previewed (base moved)\n".to_owned();
            if !files.is_empty() {
                text.push_str("\nThese files are others:\n\n");
            }
            for file in files.iter().take(MOST) {
                text.push_str(&format!("- {}\n", escape::code(file)));
            }
            if files.len() > MOST {
                text.push_str(&format!("- and {} more\n", files.len() - MOST));
            }
            text
        }
        Closing::Failed { environment, reason } => {
            format!("### Leeboard: Not deployed to {}\n\n{}\n", name(environment), escape::code(reason))
        }
        Closing::Closed => "### Leeboard: Closed, nothing deployed.\n".to_owned(),
        Closing::Retargeted { branch } => {
            format!("### Leeboard: Now against {}, of which nothing is previewed\n", escape::code(branch))
        }
    }
}

fn name(name: &str) -> String {
    if escape::is_plain(name) { name.to_owned() } else { escape::code(name) }
}

fn seconds(after: Duration) -> String {
    match after.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pull() -> Pull {
        Pull { number: 482, head: "3f9a1c2d".into(), base: "77c0de1f".into() }
    }

    #[test]
    fn each_end_has_its_headline() {
        let dev = || vec![Arrival { environment: "dev".into(), after: Duration::from_secs(41) }];
        let cases = [
            // what became of it, headline, below it
            (Closing::AsPreviewed(dev()), "### Leeboard: Deployed to dev in 41 s, as previewed", ""),
            (
                Closing::Differently {
                    arrivals: dev(),
                    differences: vec![("dev/eu-1".into(), "`@all` was there".into())],
                },
                "### Leeboard: Deployed to dev in 41 s",
                "Deployed with differences from the preview:\n\n- `dev/eu-1`: `` `@all` was there ``",
            ),
            (
                Closing::MergedDifferently { files: vec!["apps/`web`.yaml".into()] },
                "### Leeboard: The merge result differs from what was previewed (base moved)",
                "These files are others:\n\n- ``apps/`web`.yaml``",
            ),
            (
                Closing::Failed { environment: "dev".into(), reason: "web: 1 of 2 pods ready".into() },
                "### Leeboard: Not deployed to dev",
                "`web: 1 of 2 pods ready`",
            ),
            (Closing::Closed, "### Leeboard: Closed, nothing deployed.", ""),
            (
                Closing::Retargeted { branch: "next".into() },
                "### Leeboard: Now against `next`, of which nothing is previewed",
                "",
            ),
        ];
        let written = format!("{}\n### Leeboard: 1 environment\n\n| table |\n", "<!-- marker -->");
        for (closing, headline, below) in cases {
            let text = close(Flavour::GitHub, "hub", &pull(), Some(&written), &closing);
            assert!(text.starts_with(&format!("<!-- marker -->\n{headline}\n")), "{text}");
            assert!(text.contains(below) && text.ends_with("| table |\n"), "{text}");
            let short = close(Flavour::GitHub, "hub", &pull(), None, &closing);
            assert!(short.contains(headline) && short.starts_with("<!-- leeboard:preview v1 "), "{short}");
        }
    }
}
