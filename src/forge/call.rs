//! [`Call`]: a request that is not sent yet, together with how its answer is read. Pure, so that every forge is tested
//! without one.

use http::{HeaderMap, Method, StatusCode};
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A request, and how to read what comes back.
pub(super) struct Call<T> {
    /// `read pull request 7`: what an error says could not be done.
    pub(super) action: String,
    pub(super) method: Method,
    /// Below the API's root; each is escaped as a whole.
    pub(super) segments: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Value>,
    /// Whether twice is as good as once.
    pub(super) repeat: Repeat,
    /// Reads every answer but those that mean the same on all forges: a credential that is refused, a limit, a redirect,
    /// a server in trouble.
    pub(super) read: Reader<T>,
}

/// What makes a value of an answer.
type Reader<T> = Box<dyn Fn(&Answer) -> Result<T, Unread> + Send + Sync>;

/// Whether a request may be sent again when nobody knows what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    Safe,
    /// It would make a second one.
    Unsafe,
}

/// What came back.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why an answer is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// Its status says why.
    Refused,
    /// It says yes, and is not what the API gives.
    Malformed(String),
}

impl Unread {
    pub(super) fn malformed(problem: impl Into<String>) -> Unread {
        Unread::Malformed(problem.into())
    }
}

/// A part of a list, and where the next one is.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Next,
}

/// Where the next part of a list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// There is none.
    End,
    /// The query of the next page: its path and host are ours to say, not the answer's.
    Query(Vec<(String, String)>),
    /// Nobody says, but how many there are in all, and how many of them were here.
    Counted { total: u64, here: u64 },
}

impl Next {
    /// What a query leads to, if there is one.
    pub(super) fn query(query: Option<Vec<(String, String)>>) -> Next {
        query.map_or(Next::End, Next::Query)
    }
}

impl<T> Page<T> {
    /// The whole list.
    pub(super) fn whole(items: Vec<T>) -> Page<T> {
        Page { items, next: Next::End }
    }
}

impl Call<()> {
    fn new(action: impl Into<String>, method: Method, segments: &[&str]) -> Call<()> {
        let repeat = if method == Method::POST { Repeat::Unsafe } else { Repeat::Safe };
        Call {
            action: action.into(),
            method,
            segments: segments.iter().map(|&segment| segment.to_owned()).collect(),
            query: Vec::new(),
            body: None,
            repeat,
            read: Box::new(|answer| if answer.status.is_success() { Ok(()) } else { Err(Unread::Refused) }),
        }
    }

    pub(super) fn get(action: impl Into<String>, segments: &[&str]) -> Call<()> {
        Call::new(action, Method::GET, segments)
    }

    pub(super) fn post(action: impl Into<String>, segments: &[&str], body: Value) -> Call<()> {
        Call { body: Some(body), ..Call::new(action, Method::POST, segments) }
    }

    pub(super) fn put(action: impl Into<String>, segments: &[&str], body: Value) -> Call<()> {
        Call { body: Some(body), ..Call::new(action, Method::PUT, segments) }
    }

    pub(super) fn patch(action: impl Into<String>, segments: &[&str], body: Value) -> Call<()> {
        Call { body: Some(body), ..Call::new(action, Method::PATCH, segments) }
    }

    /// A deletion; what is gone already is as good as deleted.
    pub(super) fn delete(action: impl Into<String>, segments: &[&str]) -> Call<()> {
        let gone = |answer: &Answer| matches!(answer.status.as_u16(), 404 | 410);
        Call::new(action, Method::DELETE, segments).reads(move |answer| match answer.status.is_success() {
            true => Ok(()),
            false if gone(answer) => Ok(()),
            false => Err(Unread::Refused),
        })
    }

    /// Reads the answer, whatever its status.
    pub(super) fn reads<T>(self, read: impl Fn(&Answer) -> Result<T, Unread> + Send + Sync + 'static) -> Call<T> {
        let Call { action, method, segments, query, body, repeat, read: _ } = self;
        Call { action, method, segments, query, body, repeat, read: Box::new(read) }
    }

    /// Reads the JSON of an answer that says yes.
    pub(super) fn gives<A: DeserializeOwned, T>(
        self,
        then: impl Fn(A) -> Result<T, Unread> + Send + Sync + 'static,
    ) -> Call<T> {
        self.reads(move |answer| then(answer.json()?))
    }
}

impl<T> Call<T> {
    pub(super) fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Twice is as good as once, though it is a POST: the second overwrites the first.
    pub(super) fn repeatable(mut self) -> Self {
        self.repeat = Repeat::Safe;
        self
    }

    /// Twice is not as good as once, though it is a PUT: the second is told that there is nothing left to do.
    pub(super) fn once(mut self) -> Self {
        self.repeat = Repeat::Unsafe;
        self
    }

    /// Where it goes, below the API's root.
    pub(super) fn url(&self, api: &Url) -> Url {
        let mut url = api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(&self.segments);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }

    /// True of a request that changes something.
    pub(super) fn is_write(&self) -> bool {
        self.method != Method::GET
    }
}

impl<T: 'static> Call<Page<T>> {
    /// The same for another page; what the next page does not name again stays as it is.
    pub(super) fn at(mut self, next: Vec<(String, String)>) -> Self {
        self.query.retain(|(name, _)| next.iter().all(|(other, _)| other != name));
        self.query.extend(next);
        self
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
    }

    /// The body of an answer that says yes.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Unread> {
        if !self.status.is_success() {
            return Err(Unread::Refused);
        }
        let mut json = serde_json::Deserializer::from_slice(&self.body);
        serde_path_to_error::deserialize(&mut json).map_err(|error| match error.inner().classify() {
            // A sign-in page, or the page of a proxy.
            serde_json::error::Category::Syntax | serde_json::error::Category::Eof if !self.is_json() => {
                Unread::malformed("it is no JSON: a page for people, perhaps of a proxy")
            }
            _ => Unread::malformed(plain(&error.to_string(), 200)),
        })
    }

    fn is_json(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.contains("json"))
    }

    /// The query of `rel="next"` in the header `Link`.
    pub(super) fn linked(&self) -> Option<Vec<(String, String)>> {
        let links = self.header("link")?.split(", ");
        let mut next = links.filter(|link| link.contains(r#"rel="next""#));
        let url = next.next()?.split_once('<')?.1.split_once('>')?.0;
        query_of(url)
    }

    /// What the forge says about an answer that is no success.
    pub(super) fn said(&self) -> String {
        let said = serde_json::from_slice::<Value>(&self.body).ok().and_then(|body| sentence(&body));
        plain(&said.unwrap_or_default(), 300)
    }
}

/// The query of a URL, which need not be one that we would ask.
pub(super) fn query_of(url: &str) -> Option<Vec<(String, String)>> {
    let url = Url::parse(url).ok()?;
    let query: Vec<_> = url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    (!query.is_empty()).then_some(query)
}

/// The sentence in an error, wherever a forge puts it.
fn sentence(body: &Value) -> Option<String> {
    let texts = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => items.first().and_then(sentence),
        // GitLab: which field is wrong, and why.
        Value::Object(_) => sentence(value).or_else(|| Some(value.to_string())),
        _ => None,
    };
    match body {
        Value::String(text) => Some(text.clone()),
        Value::Object(fields) => {
            let told = ["message", "error_description", "error", "errors"].iter().find_map(|key| fields.get(*key));
            let details = fields.get("errors").filter(|_| fields.contains_key("message")).and_then(texts);
            let told = told.and_then(texts)?;
            // GitHub says "Validation Failed", and beside it what failed.
            Some(match details.filter(|details| !details.is_empty() && *details != told) {
                Some(details) => format!("{told}: {details}"),
                None => told,
            })
        }
        _ => None,
    }
}

/// A stranger's words on one line, and not too many.
pub(super) fn plain(text: &str, most: usize) -> String {
    let line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= most {
        return line;
    }
    line.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        Answer { status: StatusCode::from_u16(status).unwrap(), headers: headers.collect(), body: body.into() }
    }

    #[test]
    fn every_segment_is_escaped_as_a_whole() {
        let api = Url::parse("https://h/sub/api/v4/").unwrap();
        let call = Call::get("read", &["projects", "a/b c", "x?y#z"]).query("q", "a&b=c");
        assert_eq!(call.url(&api).as_str(), "https://h/sub/api/v4/projects/a%2Fb%20c/x%3Fy%23z?q=a%26b%3Dc");
    }

    #[test]
    fn a_segment_of_dots_leads_nowhere_else() {
        let api = Url::parse("https://h/api/v1/").unwrap();
        let call = Call::get("read", &["repos", "..", "..", "admin"]);
        assert!(call.url(&api).path().starts_with("/api/v1/repos"), "{}", call.url(&api));
    }

    #[test]
    fn only_the_query_of_the_next_page_is_taken() {
        let link = r#"<http://evil.example/other?page=2&limit=50>; rel="next",<http://h/?page=9>; rel="last""#;
        let two = vec![("page".to_owned(), "2".to_owned()), ("limit".to_owned(), "50".to_owned())];
        assert_eq!(answer(200, &[("link", &link.replace(",<", ", <"))], "").linked(), Some(two.clone()));
        assert_eq!(answer(200, &[("link", r#"<http://h/?page=1>; rel="prev""#)], "").linked(), None);
        assert_eq!(answer(200, &[], "").linked(), None);
        let call = Call::get("list", &["x"]).query("page", "1").gives(|items: Vec<u8>| Ok(Page::whole(items)));
        assert_eq!(call.at(two).url(&Url::parse("https://h/").unwrap()).as_str(), "https://h/x?page=2&limit=50");
    }

    #[test]
    fn every_forges_words_are_found() {
        let cases = [
            (r#"{"message": "Not Found", "documentation_url": "x"}"#, "Not Found"),
            (
                r#"{"message": "Validation Failed", "errors": [{"message": "Body is too long"}]}"#,
                "Validation Failed: Body is too long",
            ),
            (r#"{"message": {"base": ["is wrong"]}}"#, r#"{"base":["is wrong"]}"#),
            (r#"{"error": "insufficient_scope", "error_description": "needs api"}"#, "needs api"),
            (r#"{"type": "error", "error": {"message": "gone"}}"#, "gone"),
            (r#"{"errors": [{"context": null, "message": "stale", "exceptionName": null}]}"#, "stale"),
            ("<html>secret</html>", ""),
            (r#"{"message": "two\nlines"}"#, "two lines"),
        ];
        for (body, said) in cases {
            assert_eq!(answer(400, &[], body).said(), said, "{body}");
        }
        assert_eq!(answer(400, &[], &format!(r#"{{"message": "{}"}}"#, "x".repeat(999))).said().chars().count(), 300);
    }

    #[test]
    fn an_answer_that_is_none_of_the_api_is_told() {
        let json = [("content-type", "application/json; charset=utf-8")];
        let read = |answer: &Answer| answer.json::<Vec<u8>>().unwrap_err();
        assert_eq!(read(&answer(404, &json, "[]")), Unread::Refused);
        let Unread::Malformed(page) = read(&answer(200, &[("content-type", "text/html")], "<html>")) else { panic!() };
        assert!(page.contains("a page for people"), "{page}");
        let Unread::Malformed(odd) = read(&answer(200, &json, r#"[1, "x"]"#)) else { panic!() };
        assert!(odd.starts_with("[1]: "), "{odd}");
    }
}
