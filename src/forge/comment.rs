//! [`Comment`]s, and which of them is our own.

use jiff::Timestamp;

use super::pull::Account;

/// A comment on a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// The pull request.
    pub pull: u64,
    /// Its id in the repository.
    pub id: u64,
    /// Who wrote it.
    pub author: Account,
    /// What it says.
    pub body: String,
    /// When it was written.
    pub created: Timestamp,
    /// When it was last changed, if it ever was: by its author, or by somebody else with the right to.
    pub edited: Option<Timestamp>,
    /// Its page.
    pub page: Option<String>,
    /// What Bitbucket Data Center wants to hear with a change.
    pub(super) version: Option<u64>,
}

/// A word of thanks or of refusal that needs no comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// 👍
    Up,
    /// 👎
    Down,
}

/// Whether something was done that not every forge offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was.
    Yes,
    /// This forge has no such thing.
    NotOffered,
}

/// The comments that we have written under one marker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// The oldest: the one that stays.
    pub comment: Option<Comment>,
    /// More of them, left by a crash between two requests: to be deleted.
    pub surplus: Vec<Comment>,
}

/// Our comments among those of a pull request: written by our account, with the marker on a line of its own. A marker
/// in somebody else's comment means nothing, because anybody can paste it.
pub fn own(comments: Vec<Comment>, me: &Account, marker: &str) -> Own {
    let is_own =
        |comment: &Comment| comment.author.id == me.id && comment.body.lines().any(|line| line.trim() == marker.trim());
    let mut own: Vec<Comment> = comments.into_iter().filter(is_own).collect();
    own.sort_by_key(|comment| (comment.created, comment.id));
    let mut own = own.into_iter();
    Own { comment: own.next(), surplus: own.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str) -> Account {
        Account { id: id.into(), login: "bot".into(), is_bot: false }
    }

    #[test]
    fn the_oldest_of_our_own_stays() {
        let marker = "<!-- leeboard:preview v1 instance=hub pr=7 -->";
        let comment = |id: u64, author: &str, body: &str, second: i64| Comment {
            pull: 7,
            id,
            author: account(author),
            body: body.into(),
            created: Timestamp::from_second(second).unwrap(),
            edited: None,
            page: None,
            version: None,
        };
        let marked = format!("{marker}\r\n### Leeboard");
        let comments = vec![
            comment(1, "stranger", &marked, 1),
            comment(5, "me", &marked, 5),
            comment(3, "me", &marked, 4),
            comment(2, "me", "no marker", 2),
            comment(4, "me", &format!("quoted: `{marker}`"), 3),
        ];
        let own = own(comments, &account("me"), marker);
        assert_eq!(own.comment.map(|comment| comment.id), Some(3));
        assert_eq!(own.surplus.iter().map(|comment| comment.id).collect::<Vec<_>>(), [5]);
    }
}
