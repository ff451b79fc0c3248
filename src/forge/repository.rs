//! [`Repository`]: what can be asked of one repository on a forge.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::budget::Urgency;
use super::call::{Call, Next, Page, Unread};
use super::comment::{Comment, Done, Own, Reaction, own};
use super::error::Error;
use super::failure::Failure;
use super::http::Forge;
use super::kind::RepoName;
use super::merge::{Merged, Method};
use super::pull::{Account, Opening, Pull, PullState, Sketch, Source};
use super::review::{Permission, Review};
use super::status::{Check, Report, Status};
use crate::git::Oid;

/// No list of a repository has more; one that goes on and on is none.
const MOST_PAGES: usize = 200;
/// Heads that are remembered on a forge that cuts them short.
const MOST_HEADS: usize = 1024;

/// One repository on a forge. Cheap to clone; the clones know of each other's discoveries.
#[derive(Clone)]
pub struct Repository {
    shared: Arc<Shared>,
    urgency: Urgency,
}

struct Shared {
    forge: Arc<Forge>,
    configured: RepoName,
    /// Another one after it was renamed.
    name: Mutex<RepoName>,
    heads: Mutex<BTreeMap<ShortHead, Oid>>,
}

/// A head that is cut short means one commit only as long as nothing of the pull request changes: whoever opens it can
/// make two commits that begin alike.
type ShortHead = (u64, Option<Timestamp>, String);

/// A comment that was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// As it is now.
    pub comment: Comment,
    /// What had to be done.
    pub how: How,
}

/// What had to be done to have a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// There was none.
    Created,
    /// There was one with another text.
    Edited,
    /// It was there.
    Unchanged,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository")
            .field("forge", &self.shared.forge)
            .field("name", &*self.shared.name.lock())
            .finish_non_exhaustive()
    }
}

impl Repository {
    pub(super) fn new(forge: Arc<Forge>, name: RepoName) -> Repository {
        let shared = Shared { forge, configured: name.clone(), name: Mutex::new(name), heads: Mutex::default() };
        Repository { shared: Arc::new(shared), urgency: Urgency::Routine }
    }

    /// The same, for what does not wait when few requests are left: answers to people.
    pub fn urgent(&self) -> Repository {
        Repository { shared: self.shared.clone(), urgency: Urgency::Urgent }
    }

    /// The forge that it is on.
    pub fn forge(&self) -> &Arc<Forge> {
        &self.shared.forge
    }

    /// Its name, as the forge has it.
    pub fn name(&self) -> RepoName {
        self.shared.name.lock().clone()
    }

    /// Its new name, when it was renamed: the configured address should be changed.
    pub fn moved_to(&self) -> Option<RepoName> {
        let name = self.name();
        (name != self.shared.configured).then_some(name)
    }

    /// All open pull requests that are for this branch.
    ///
    /// # Errors
    /// When the list is not whole: nothing can then be concluded of a pull request that is not in it.
    pub async fn open_pulls(&self, base: &str) -> Result<Vec<Pull>, Error> {
        self.listed(Some(base)).await
    }

    /// All open pull requests, whatever branch they are for.
    ///
    /// # Errors
    /// As of [`Repository::open_pulls`].
    pub async fn all_open_pulls(&self) -> Result<Vec<Pull>, Error> {
        self.listed(None).await
    }

    async fn listed(&self, base: Option<&str>) -> Result<Vec<Pull>, Error> {
        let dialect = self.forge().dialect();
        let sketches = self.all(|repo| dialect.open_pulls(repo, base)).await?;
        let mut pulls = Vec::with_capacity(sketches.len());
        for sketch in sketches {
            pulls.push(self.whole(sketch).await?);
        }
        // A list that moves while it is read has some twice.
        pulls.sort_by_key(|pull| pull.number);
        pulls.dedup_by_key(|pull| pull.number);
        Ok(pulls)
    }

    /// One pull request.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn pull(&self, number: u64) -> Result<Pull, Error> {
        let dialect = self.forge().dialect();
        let sketch = self.run(|repo| dialect.pull(repo, number)).await?;
        self.whole(sketch).await
    }

    /// Opens a pull request from one of its branches to another, if there is none yet. A branch that was pushed a moment
    /// ago is waited for.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the forge does not know one of the branches.
    pub async fn open_pull(&self, opening: &Opening) -> Result<Pull, Error> {
        let dialect = self.forge().dialect();
        let timing = self.forge().timing;
        let deadline = Instant::now() + timing.merge;
        let mut wait = timing.merge_poll;
        loop {
            let is_it = |pull: &Pull| pull.source_branch == opening.head && !pull.is_fork;
            if let Some(pull) = self.open_pulls(&opening.base).await?.into_iter().find(is_it) {
                return Ok(pull);
            }
            let last = match self.run(|repo| dialect.open_pull(repo, opening)).await {
                Ok(Some(sketch)) => return self.whole(sketch).await,
                Ok(None) => {
                    let action = format!("open a pull request of {}", self.name());
                    Error::NotFound { action, forge: self.forge().address() }
                }
                // It may have been opened: the next look tells.
                Err(error @ Error::Lost { .. }) => error,
                Err(error) => return Err(error),
            };
            if Instant::now() + wait > deadline {
                return Err(last);
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(5));
        }
    }

    /// Closes a pull request without a merge; one that is not open stays as it is.
    ///
    /// # Errors
    /// When the forge does not do it.
    pub async fn close(&self, number: u64) -> Result<(), Error> {
        let pull = self.pull(number).await?;
        if !pull.is_open() {
            return Ok(());
        }
        let dialect = self.forge().dialect();
        self.run(|repo| dialect.close_pull(repo, &pull)).await
    }

    /// From where git can have the head of a pull request; `None` when its repository is gone, on a forge that keeps none
    /// of it.
    pub fn source(&self, pull: &Pull) -> Option<Source> {
        if let Some(reference) = self.forge().kind().head_reference(pull.number) {
            return Some(Source { repository: None, reference });
        }
        let repository = match (pull.is_fork, &pull.source_repository) {
            (false, _) => None,
            (true, Some(name)) => Some(self.forge().clone_url(name)?),
            (true, None) => return None,
        };
        Some(Source { repository, reference: format!("refs/heads/{}", pull.source_branch) })
    }

    /// All comments on a pull request.
    ///
    /// # Errors
    /// When the list is not whole.
    pub async fn comments(&self, pull: u64) -> Result<Vec<Comment>, Error> {
        let dialect = self.forge().dialect();
        let mut comments = self.all(|repo| dialect.comments(repo, pull)).await?;
        comments.sort_by_key(|comment| comment.id);
        comments.dedup_by_key(|comment| comment.id);
        Ok(comments)
    }

    /// One comment; `None` when it is gone.
    ///
    /// # Errors
    /// When the forge does not tell.
    pub async fn comment(&self, pull: u64, id: u64) -> Result<Option<Comment>, Error> {
        let dialect = self.forge().dialect();
        self.run(|repo| dialect.comment(repo, pull, id)).await
    }

    /// Our comments with this marker.
    ///
    /// # Errors
    /// When the list of comments is not whole, or the forge does not tell who we are.
    pub async fn own_comments(&self, pull: u64, marker: &str) -> Result<Own, Error> {
        let me = self.forge().myself().await?;
        Ok(own(self.comments(pull).await?, &me, marker))
    }

    /// Makes our comment with this marker say this, whether there is one or not. `known` is its id, if it is remembered.
    /// Of several, which a crash may leave, one stays. `body` has the marker on a line of its own.
    ///
    /// # Errors
    /// When the forge does not do it.
    pub async fn put_comment(&self, pull: u64, known: Option<u64>, marker: &str, body: &str) -> Result<Put, Error> {
        let me = self.forge().myself().await?;
        let remembered = match known {
            Some(id) => self.comment(pull, id).await?,
            None => None,
        };
        let ours = remembered.and_then(|comment| own(vec![comment], &me, marker).comment);
        let found = match ours {
            Some(comment) => Some(comment),
            None => {
                let own = self.own_comments(pull, marker).await?;
                for comment in &own.surplus {
                    self.delete_comment(comment).await?;
                }
                own.comment
            }
        };
        let Some(comment) = found else {
            let comment = self.create_comment(pull, marker, body).await?;
            return Ok(Put { comment, how: How::Created });
        };
        if is_same_text(&comment.body, body) {
            return Ok(Put { comment, how: How::Unchanged });
        }
        let comment = self.edit_comment(&comment, body).await?;
        Ok(Put { comment, how: How::Edited })
    }

    /// Writes a new comment, which has this marker on a line of its own. When no answer comes it is looked for before
    /// it is written again.
    ///
    /// # Errors
    /// When the forge does not do it.
    pub async fn create_comment(&self, pull: u64, marker: &str, body: &str) -> Result<Comment, Error> {
        let dialect = self.forge().dialect();
        let create = |repo: &RepoName| dialect.create_comment(repo, pull, body);
        match self.run(create).await {
            Err(Error::Lost { .. }) => match self.own_comments(pull, marker).await?.comment {
                Some(comment) => Ok(comment),
                None => self.run(create).await,
            },
            created => created,
        }
    }

    /// Gives a comment another text.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is gone.
    pub async fn edit_comment(&self, comment: &Comment, body: &str) -> Result<Comment, Error> {
        let dialect = self.forge().dialect();
        match self.run(|repo| dialect.edit_comment(repo, comment, body)).await {
            // Somebody was faster: it has another version now.
            Err(Error::Refused { status: 409, action, forge, .. }) => {
                let now = self.comment(comment.pull, comment.id).await?;
                let now = now.ok_or(Error::NotFound { action, forge })?;
                self.run(|repo| dialect.edit_comment(repo, &now, body)).await
            }
            edited => edited,
        }
    }

    /// Deletes a comment; one that is gone already is as good.
    ///
    /// # Errors
    /// When the forge does not do it.
    pub async fn delete_comment(&self, comment: &Comment) -> Result<(), Error> {
        let dialect = self.forge().dialect();
        match self.run(|repo| dialect.delete_comment(repo, comment)).await {
            Err(Error::Refused { status: 409, .. }) => match self.comment(comment.pull, comment.id).await? {
                Some(now) => self.run(|repo| dialect.delete_comment(repo, &now)).await,
                None => Ok(()),
            },
            deleted => deleted,
        }
    }

    /// Reacts to a comment.
    ///
    /// # Errors
    /// When the forge does not do it.
    pub async fn react(&self, comment: &Comment, reaction: Reaction) -> Result<Done, Error> {
        let dialect = self.forge().dialect();
        let done = self.run_if(|repo| dialect.react(repo, comment, reaction)).await?;
        Ok(done.map_or(Done::NotOffered, |()| Done::Yes))
    }

    /// Says something of a commit. What others wait for goes before what can wait.
    ///
    /// # Errors
    /// When the forge does not do it.
    pub async fn put_status(&self, status: &Status) -> Result<(), Error> {
        let dialect = self.forge().dialect();
        self.urgent().run(|repo| dialect.put_status(repo, status)).await
    }

    /// Says something of a commit at length, where there is a place for it: on GitHub, as an App. It is then said there,
    /// not as a status.
    ///
    /// # Errors
    /// When the forge does not do it.
    pub async fn put_report(&self, report: &Report) -> Result<Done, Error> {
        if !self.forge().is_app() {
            return Ok(Done::NotOffered);
        }
        let me = self.forge().myself().await?;
        let (dialect, urgent, status) = (self.forge().dialect(), self.urgent(), &report.status);
        let given = urgent.run_if(|repo| dialect.report(repo, status.commit, &status.context, &me)).await?;
        let Some(id) = given else { return Ok(Done::NotOffered) };
        let done = urgent.run_if(|repo| dialect.put_report(repo, report, id)).await?;
        Ok(done.map_or(Done::NotOffered, |()| Done::Yes))
    }

    /// Everything that is said of a commit.
    ///
    /// # Errors
    /// When the list is not whole.
    pub async fn checks(&self, commit: Oid) -> Result<Vec<Check>, Error> {
        let dialect = self.forge().dialect();
        let lists = dialect.checks(&self.name(), commit).len();
        let mut checks = Vec::new();
        for list in 0..lists {
            checks.extend(self.all(|repo| dialect.checks(repo, commit).swap_remove(list)).await?);
        }
        Ok(checks)
    }

    /// The reviews of a pull request, in the forge's order.
    ///
    /// # Errors
    /// When the list is not whole.
    pub async fn reviews(&self, pull: u64) -> Result<Vec<Review>, Error> {
        let dialect = self.forge().dialect();
        self.all(|repo| dialect.reviews(repo, pull)).await
    }

    /// What an account may do here.
    ///
    /// # Errors
    /// When the forge does not tell: most want an administrator to ask.
    pub async fn permission(&self, account: &Account) -> Result<Permission, Error> {
        let dialect = self.forge().dialect();
        let levels = dialect.permission(&self.name(), account).len();
        for level in 0..levels {
            let asked = self.run(|repo| dialect.permission(repo, account).swap_remove(level)).await?;
            if let Some(permission) = asked {
                return Ok(permission);
            }
        }
        Ok(Permission::None)
    }

    /// Merges a pull request, if its head is this one. While the forge looks whether it can, it is waited for.
    ///
    /// # Errors
    /// When the forge does not answer. That it does not merge is no error.
    pub async fn merge(&self, number: u64, head: Oid, method: Method) -> Result<Merged, Error> {
        let dialect = self.forge().dialect();
        let timing = self.forge().timing;
        let deadline = Instant::now() + timing.merge;
        let mut wait = timing.merge_poll;
        loop {
            let pull = self.pull(number).await?;
            match pull.state {
                PullState::Merged { commit } => return Ok(Merged::Done { commit }),
                PullState::Closed => return Ok(Merged::Refused { said: "it is closed".into() }),
                PullState::Open if pull.head != head => return Ok(Merged::HeadMoved),
                PullState::Open => {}
            }
            let last = match self.run_if(|repo| dialect.merge(repo, &pull, method)).await {
                Ok(None) => return Ok(Merged::NotOffered),
                Ok(Some(Merged::Done { commit: None })) => {
                    let commit = self.pull(number).await?.merged();
                    return Ok(Merged::Done { commit });
                }
                // The version of a pull request also moves without its head: the next look tells.
                Ok(Some(last @ (Merged::NotYet { .. } | Merged::HeadMoved))) => Ok(last),
                Ok(Some(merged)) => return Ok(merged),
                // It may have been merged: the next look tells.
                Err(error @ Error::Lost { .. }) => Err(error),
                Err(error) => return Err(error),
            };
            if Instant::now() + wait > deadline {
                return last;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(5));
        }
    }

    /// A pull request with its whole head.
    async fn whole(&self, sketch: Sketch) -> Result<Pull, Error> {
        let dialect = self.forge().dialect();
        let (number, short) = (sketch.number, sketch.head.clone());
        let action = format!("read pull request {number} of {}", self.name());
        let odd = |unread| match unread {
            Unread::Malformed(problem) => {
                Error::NotTheApi { action: action.clone(), forge: self.forge().address(), problem }
            }
            Unread::Refused => Error::NotFound { action: action.clone(), forge: self.forge().address() },
        };
        let is_whole = short.len() == 40 || dialect.whole_head(&self.name(), number).is_none();
        if is_whole {
            return sketch.pull().map_err(odd);
        }
        let key = (number, sketch.updated, short.clone());
        if let Some(head) = self.shared.heads.lock().get(&key).copied() {
            return sketch.with_head(head).map_err(odd);
        }
        let head = self.run_if(|repo| dialect.whole_head(repo, number)).await?;
        let head = head.filter(|head| head.to_string().starts_with(&short));
        let head = head.ok_or_else(|| odd(Unread::malformed("its head moved while it was read")))?;
        let mut heads = self.shared.heads.lock();
        if heads.len() >= MOST_HEADS {
            heads.clear();
        }
        heads.insert(key, head);
        drop(heads);
        sketch.with_head(head).map_err(odd)
    }

    /// A list with all its pages.
    async fn all<T: 'static>(&self, list: impl Fn(&RepoName) -> Call<Page<T>>) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        let mut next: Option<Vec<(String, String)>> = None;
        let mut seen = 0;
        for number in 1..=MOST_PAGES {
            let page = self
                .run(|repo| match &next {
                    None => list(repo),
                    Some(next) => list(repo).at(next.clone()),
                })
                .await?;
            items.extend(page.items);
            match page.next {
                Next::End => return Ok(items),
                // A page that is its own successor has none.
                Next::Query(after) if Some(&after) == next.as_ref() => break,
                Next::Query(after) => next = Some(after),
                Next::Counted { total, here } => {
                    seen += here;
                    // An empty one is the last, whatever was counted.
                    if seen >= total || here == 0 {
                        return Ok(items);
                    }
                    next = Some(vec![("page".into(), (number + 1).to_string())]);
                }
            }
        }
        let (action, forge) = (list(&self.name()).action, self.forge().address());
        Err(Error::NotTheApi { action, forge, problem: "the list does not end".into() })
    }

    async fn run<T>(&self, call: impl Fn(&RepoName) -> Call<T>) -> Result<T, Error> {
        let name = self.name();
        self.follow(&name, call(&name), |repo| Some(call(repo))).await
    }

    /// The same of what not every forge offers.
    async fn run_if<T>(&self, call: impl Fn(&RepoName) -> Option<Call<T>>) -> Result<Option<T>, Error> {
        let name = self.name();
        match call(&name) {
            Some(first) => self.follow(&name, first, call).await.map(Some),
            None => Ok(None),
        }
    }

    /// Sends a call; when the repository has another name, once more under that one. A forge that renames answers a
    /// write with a redirect, which would become a read of the same address for whoever follows it.
    async fn follow<T>(
        &self,
        name: &RepoName,
        first: Call<T>,
        again: impl Fn(&RepoName) -> Option<Call<T>>,
    ) -> Result<T, Error> {
        let failure = match self.forge().send(&first, self.urgency).await {
            Ok(read) => {
                // It is there, under whatever name; that the new one is not told yet is no failure of this call.
                if read.was_moved {
                    let _unknown = self.learn_name(name).await;
                }
                return Ok(read.value);
            }
            Err(Failure::Error(error)) => return Err(error),
            Err(moved @ Failure::Moved { .. }) => moved,
        };
        let new = self.learn_name(name).await?;
        match again(&new).filter(|_| new != *name) {
            Some(second) => match self.forge().send(&second, self.urgency).await {
                Ok(read) => Ok(read.value),
                Err(failure) => Err(self.forge().told(failure, &second.action)),
            },
            None => Err(self.forge().told(failure, &first.action)),
        }
    }

    /// Asks what the repository is called now.
    async fn learn_name(&self, old: &RepoName) -> Result<RepoName, Error> {
        let call = self.forge().dialect().name(old);
        let read = self.forge().send(&call, self.urgency).await;
        let new = read.map_err(|failure| self.forge().told(failure, &call.action))?.value;
        let mut name = self.shared.name.lock();
        if *name != new {
            self.forge().note_move(&name, &new);
            *name = new.clone();
        }
        Ok(new)
    }
}

/// Forges differ in how they keep the ends of lines and of texts.
fn is_same_text(one: &str, other: &str) -> bool {
    one.replace("\r\n", "\n").trim_end() == other.replace("\r\n", "\n").trim_end()
}
