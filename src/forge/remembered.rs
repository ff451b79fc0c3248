//! [`Remembered`]: answers that a forge may say are still the same, which then costs nothing against its limit.

use std::collections::HashMap;

use http::{HeaderValue, StatusCode};

use super::call::Answer;

/// Of one credential at one forge; a list of a hundred pull requests is some two megabytes.
const MOST_BYTES: usize = 4 << 20;

/// Answers by the URL that was asked.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    answers: HashMap<String, (HeaderValue, Answer)>,
    bytes: usize,
}

impl Remembered {
    /// What is said to be known, when the same is asked again.
    pub(super) fn tag(&self, url: &str) -> Option<HeaderValue> {
        self.answers.get(url).map(|(tag, _)| tag.clone())
    }

    /// The answer to go by: the one that came, or the one that it says is still right. `None`: it says so of one that is
    /// forgotten.
    pub(super) fn resolve(&mut self, url: &str, came: Answer) -> Option<Answer> {
        if came.status == StatusCode::NOT_MODIFIED {
            let (_, known) = self.answers.get(url)?;
            let mut answer = known.clone();
            // What it says of limits is about this request.
            for (name, value) in &came.headers {
                answer.headers.insert(name.clone(), value.clone());
            }
            return Some(answer);
        }
        self.forget(url);
        if let Some(tag) = came.headers.get("etag").filter(|_| came.status == StatusCode::OK) {
            if came.body.len() > MOST_BYTES / 2 {
                return Some(came);
            }
            if self.bytes + came.body.len() > MOST_BYTES {
                // What is asked often is soon known again.
                *self = Remembered::default();
            }
            self.bytes += came.body.len();
            self.answers.insert(url.to_owned(), (tag.clone(), came.clone()));
        }
        Some(came)
    }

    fn forget(&mut self, url: &str) {
        if let Some((_, answer)) = self.answers.remove(url) {
            self.bytes -= answer.body.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Answer {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: body.to_vec() }
    }

    #[test]
    fn what_is_still_the_same_is_answered_from_memory() {
        let mut remembered = Remembered::default();
        let first = [("etag", "W/\"1\""), ("link", "<x>"), ("x-ratelimit-remaining", "10")];
        remembered.resolve("a", answer(200, &first, b"one")).unwrap();
        assert_eq!(remembered.tag("a").unwrap(), "W/\"1\"");
        assert_eq!(remembered.tag("b"), None);
        let again = remembered.resolve("a", answer(304, &[("x-ratelimit-remaining", "9")], b"")).unwrap();
        let told = (again.status.as_u16(), again.body.as_slice(), again.header("link"));
        assert_eq!((told, again.header("x-ratelimit-remaining")), ((200, &b"one"[..], Some("<x>")), Some("9")));
        assert!(remembered.resolve("b", answer(304, &[], b"")).is_none());
        // Gone, or given without a tag: there is nothing to ask for again.
        remembered.resolve("a", answer(404, &[("etag", "x")], b"")).unwrap();
        assert_eq!((remembered.tag("a"), remembered.bytes), (None, 0));
    }

    #[test]
    fn memory_has_a_limit() {
        let mut remembered = Remembered::default();
        for number in 0..100 {
            let body = vec![b' '; MOST_BYTES / 10];
            remembered.resolve(&number.to_string(), answer(200, &[("etag", "x")], &body)).unwrap();
            assert!(remembered.bytes <= MOST_BYTES && remembered.answers.len() <= 10);
        }
        remembered.resolve("large", answer(200, &[("etag", "x")], &vec![b' '; MOST_BYTES])).unwrap();
        assert_eq!(remembered.tag("large"), None);
    }
}
