//! Open incidents of services of PagerDuty: nobody has resolved them yet.
//!
//! Documentation: <https://developer.pagerduty.com/api-reference/9d0b4b12e36f9-list-incidents>.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::settings::Refusal;
use super::super::world::Reading;
use super::{Request, Unfit, annotation, excerpt, firing, refused};
use crate::api::flagger::Canary;
use crate::object::secret::Masked;

/// Annotation: the services whose incidents are about this canary, as `PXPGF42,P5UM1MC`.
const SERVICES: &str = "canary.leeboard.dev/pagerduty-services";
/// Annotation: the Secret in the Canary's namespace with an API key under `token`; one that may only read is enough.
const SECRET: &str = "canary.leeboard.dev/pagerduty-secret";
/// Annotation: where the API is, when it is not [`API`].
const ADDRESS: &str = "canary.leeboard.dev/pagerduty-address";
const API: &str = "https://api.pagerduty.com";
/// In the Secret.
const TOKEN: &str = "token";

/// Which incidents are looked at, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PagerDuty {
    address: String,
    services: Vec<String>,
    secret: String,
}

impl PagerDuty {
    /// What a Canary says of incidents, if it does.
    ///
    /// # Errors
    /// When an annotation can't be read, or names no Secret.
    pub(super) fn of(canary: &Canary) -> Result<Option<Self>, Refusal> {
        let services = annotation(canary, SERVICES);
        if services.is_empty() {
            return Ok(None);
        }
        let (secret, address) = (annotation(canary, SECRET), annotation(canary, ADDRESS));
        let ids = services.split(',').map(str::trim);
        match PagerDuty::new(ids, secret, address) {
            Ok(pagerduty) => Ok(Some(pagerduty)),
            Err(Unfit::Which(expected)) => Err(refused(SERVICES, services, expected)),
            Err(Unfit::Address(expected)) => Err(refused(ADDRESS, address, expected)),
            Err(Unfit::Secret(expected)) => Err(refused(SECRET, secret, expected)),
        }
    }

    /// The incidents of these services; at PagerDuty's own address, where none is said.
    ///
    /// # Errors
    /// What would be right, where something is not.
    pub fn new<'a>(ids: impl IntoIterator<Item = &'a str>, secret: &str, address: &str) -> Result<Self, Unfit> {
        let services: Vec<String> = ids.into_iter().map(str::to_owned).collect();
        let is_id = |id: &String| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if services.is_empty() || !services.iter().all(is_id) {
            return Err(Unfit::Which("ids of services as `PXPGF42,P5UM1MC`"));
        }
        if secret.is_empty() {
            return Err(Unfit::Secret("the name of a Secret with an API key under `token`"));
        }
        let address = Some(address.trim_end_matches('/')).filter(|text| !text.is_empty()).unwrap_or(API);
        if !address.starts_with("https://") && !address.starts_with("http://") {
            return Err(Unfit::Address("an address as `https://api.eu.pagerduty.com`"));
        }
        Ok(PagerDuty { address: address.to_owned(), services, secret: secret.to_owned() })
    }

    pub(super) fn secret(&self) -> &str {
        &self.secret
    }

    pub(super) fn request(&self, secret: &BTreeMap<String, Masked>) -> Result<Request, String> {
        let token = secret.get(TOKEN).ok_or_else(|| format!("Secret {} has no key `{TOKEN}`", self.secret))?;
        let services: String = self.services.iter().map(|id| format!("&service_ids%5B%5D={id}")).collect();
        let key = [b"Token token=", token.expose().trim_ascii()].concat();
        Ok(Request {
            url: format!(
                "{}/incidents?limit=25&statuses%5B%5D=triggered&statuses%5B%5D=acknowledged{services}",
                self.address
            ),
            headers: vec![
                ("authorization", Masked::new(key)),
                ("accept", Masked::new(b"application/vnd.pagerduty+json;version=2")),
            ],
        })
    }
}

/// As much of an answer as is of interest.
#[derive(Deserialize)]
struct Incidents {
    incidents: Vec<Incident>,
}

#[derive(Deserialize)]
struct Incident {
    /// For people.
    #[serde(default)]
    incident_number: u64,
    title: String,
}

pub(super) fn read(status: u16, body: &[u8]) -> Reading {
    if !(200..300).contains(&status) {
        return Reading::Error(format!("PagerDuty: error response: {status}: {}", excerpt(body)));
    }
    let Ok(Incidents { incidents }) = serde_json::from_slice(body) else {
        return Reading::Error(format!("PagerDuty: the answer is not a list of incidents: {}", excerpt(body)));
    };
    let name = |one: &Incident| format!("incident #{} ({})", one.incident_number, one.title.trim());
    firing(incidents.iter().map(name).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(annotations: &Value) -> Result<Option<PagerDuty>, String> {
        let object = json!({"kind": "Canary", "metadata": {"name": "web", "namespace": "shop", "annotations": annotations},
            "spec": {"targetRef": {"kind": "Deployment", "name": "web"}, "service": {"port": 80}, "analysis": {}}});
        PagerDuty::of(&crate::api::decode(&object).unwrap()).map_err(|refusal| refusal.to_string())
    }

    fn secret(key: &str) -> BTreeMap<String, Masked> {
        BTreeMap::from([(key.to_owned(), Masked::new(b"y_NbAkKc66ryYTWUXYEu\n"))])
    }

    #[test]
    fn open_incidents_of_the_services_are_asked_for_with_the_key() {
        const ASKED: &str = "incidents?limit=25&statuses%5B%5D=triggered&statuses%5B%5D=acknowledged";
        let cases = [
            // address, services, url
            ("", "PXPGF42", format!("https://api.pagerduty.com/{ASKED}&service_ids%5B%5D=PXPGF42")),
            (
                "https://api.eu.pagerduty.com/",
                " P1 , P2",
                format!("https://api.eu.pagerduty.com/{ASKED}&service_ids%5B%5D=P1&service_ids%5B%5D=P2"),
            ),
        ];
        for (address, services, url) in cases {
            let annotations = json!({SERVICES: services, SECRET: "on-call", ADDRESS: address});
            let pagerduty = of(&annotations).unwrap().unwrap();
            let request = pagerduty.request(&secret("token")).unwrap();
            assert_eq!(request.url, url);
            assert_eq!(request.headers[0].1.expose(), b"Token token=y_NbAkKc66ryYTWUXYEu");
            assert_eq!(pagerduty.request(&secret("key")).unwrap_err(), "Secret on-call has no key `token`");
        }
    }

    #[test]
    fn what_names_no_incidents_is_refused() {
        assert_eq!(of(&json!({})), Ok(None));
        assert_eq!(of(&json!({SECRET: "on-call"})), Ok(None));
        let cases = [
            // annotations, words of the refusal
            (json!({SERVICES: "P1,", SECRET: "on-call"}), "ids of services as"),
            (json!({SERVICES: "P1&urgencies[]=low", SECRET: "on-call"}), "ids of services as"),
            (json!({SERVICES: "P1"}), "the name of a Secret with an API key under `token`"),
            (json!({SERVICES: "P1", SECRET: "on-call", ADDRESS: "pagerduty"}), "an address as"),
        ];
        for (annotations, words) in cases {
            let refused = of(&annotations).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn an_open_incident_is_named() {
        // The fields of an incident as the documentation has them, less those that nobody reads.
        let incident = |number: u32, title: &str| {
            json!({
                "id": "PT4KHLK", "type": "incident", "summary": format!("[#{number}] {title}"), "incident_number": number,
                "title": title, "created_at": "2026-11-21T10:00:00Z", "status": "triggered", "urgency": "high",
                "service": {"id": "PXPGF42", "type": "service_reference", "summary": "Shop"},
            })
        };
        let list = |incidents: Value| json!({"incidents": incidents, "limit": 25, "offset": 0, "more": false});
        let firing = |text: &str| Reading::Firing(text.into());
        let error = |text: &str| Reading::Error(text.into());
        let cases = [
            // status, body, reading
            (200, list(json!([])).to_string(), Reading::Value(0.0)),
            (200, list(json!([incident(1234, "Cart is down")])).to_string(), firing("incident #1234 (Cart is down)")),
            (
                200,
                list(json!([incident(12, "B"), incident(11, "A")])).to_string(),
                firing("incident #11 (A) and 1 more"),
            ),
            (401, "denied".into(), error("PagerDuty: error response: 401: denied")),
            (200, "[]".into(), error("PagerDuty: the answer is not a list of incidents: []")),
        ];
        for (status, body, expected) in cases {
            assert_eq!(read(status, body.as_bytes()), expected, "{body}");
        }
    }
}
