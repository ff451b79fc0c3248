//! Any request: address, headers and login from the configuration; method, path and body from the template.

use http::Method;
use serde::Deserialize;

use super::{Accepted, BasicAuth, Call, Content, Delivery};
use crate::object::secret::Masked;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::alert) struct Webhook {
    url: String,
    #[serde(default)]
    headers: Vec<Header>,
    basic_auth: Option<BasicAuth>,
    #[serde(default)]
    insecure_skip_verify: bool,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

impl Webhook {
    /// The section that is meant is the one of this name: several webhooks share a template.
    pub(super) fn delivery(&self, name: &str, content: &Content<'_>) -> Result<Delivery, String> {
        let own = content.section.get(name);
        let text = |field: &str| own.and_then(|own| own.get(field)?.as_str());
        let method = text("method").filter(|method| !method.is_empty()).unwrap_or("GET");
        let method = Method::from_bytes(method.trim().to_ascii_uppercase().as_bytes())
            .map_err(|_| format!("`{method}` is no method"))?;
        let url = match text("path").map(str::trim).filter(|path| !path.is_empty()) {
            Some(path) => format!("{}/{}", self.url.trim_end_matches('/'), path.trim_start_matches('/')),
            None => self.url.clone(),
        };
        let body = if own.is_some() { text("body").unwrap_or_default() } else { content.message() };
        let headers = self.headers.iter().map(|header| (header.name.clone(), Masked::new(&header.value)));
        Ok(Delivery::Requests(vec![Call {
            method,
            url: Masked::new(url),
            headers: headers.chain(self.basic_auth.as_ref().map(BasicAuth::header)).collect(),
            body: body.to_owned(),
            skips_tls_check: self.insecure_skip_verify,
            accepted: Accepted::ByStatus,
        }]))
    }
}
