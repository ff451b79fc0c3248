//! Argo CD's cluster Secrets: where a cluster is, and who we are to it.
//!
//! **In:** the data of a Secret. **Out:** a [`ClusterSecret`], in which what can't be used is refused in one sentence.
//! **May not:** run a program or read a file that a Secret names, or repeat any of its values but name and server.
//! Semantics: SEMANTICS g.3.

use std::collections::BTreeMap;

use base64::Engine as _;
use http::Uri;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::Value;

use crate::api::argo::Destination;

/// One cluster, as a Secret describes it. It has no `Debug`: most of it is nobody's business.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterSecret {
    /// The name by which Applications call it: the server's address where the Secret has none.
    pub name: String,
    /// Its API server's address, without a slash at the end.
    pub server: String,
    /// The AppProject whose own it is.
    pub project: Option<String>,
    /// True when somebody said hands off, of the whole cluster.
    pub is_paused: bool,
    /// How it is reached, or why it can't be.
    pub access: Result<Access, Refusal>,
}

/// Why a Secret is no use. None of its values is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing says where the cluster is.
    #[error("it has no `server`")]
    NoServer,
    /// The address is none, or not one that credentials may be sent to.
    #[error("`server` is not of the form https://host:port")]
    Server,
    /// `config` can't be read.
    #[error("`config` is not the JSON of a cluster: line {line}, column {column}")]
    Config {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// It wants a program to be run for credentials.
    #[error("`{0}` would run a program, which Leeboard never does; use a bearerToken or a client certificate")]
    Program(&'static str),
    /// It names a file of the machine that Leeboard runs on.
    #[error("`{0}` names a file of the machine that Leeboard runs on; write the data into the Secret")]
    File(&'static str),
    /// What should be base64 of PEM is not.
    #[error("`tlsClientConfig.{0}` is not the base64 of PEM")]
    Pem(&'static str),
    /// Half a client certificate.
    #[error("`tlsClientConfig.certData` and `keyData` belong together")]
    HalfCertificate,
    /// A certificate is to be checked and not to be checked.
    #[error("`tlsClientConfig` has both `insecure` and `caData`")]
    InsecureAuthority,
    /// The proxy's address is none.
    #[error("`proxyUrl` is not an address")]
    Proxy,
    /// Only some namespaces are ours.
    #[error(
        "`namespaces` restricts it to some namespaces, which Leeboard cannot watch one by one; use a project's destinations"
    )]
    Namespaces,
}

/// Credentials and how the server proves itself.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Access {
    username: Option<String>,
    password: Option<String>,
    bearer_token: Option<String>,
    tls_client_config: Tls,
    proxy_url: Option<String>,
    disable_compression: bool,
    aws_auth_config: Option<Value>,
    exec_provider_config: Option<Value>,
    bearer_token_file: Option<Value>,
}

#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Tls {
    insecure: bool,
    server_name: Option<String>,
    ca_data: Option<String>,
    cert_data: Option<String>,
    key_data: Option<String>,
    ca_file: Option<Value>,
    cert_file: Option<Value>,
    key_file: Option<Value>,
}

impl ClusterSecret {
    /// Reads the decoded data of a Secret.
    pub fn read(data: &BTreeMap<String, Vec<u8>>, annotations: &BTreeMap<String, String>) -> Self {
        let text = |key: &str| {
            let bytes = data.get(key)?;
            let text = String::from_utf8_lossy(bytes).trim().to_owned();
            (!text.is_empty()).then_some(text)
        };
        let server = text("server").map(|server| server.trim_end_matches('/').to_owned()).unwrap_or_default();
        let is_true = |value: &String| matches!(value.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True");
        ClusterSecret {
            name: text("name").unwrap_or_else(|| server.clone()),
            project: text("project"),
            is_paused: annotations.get("argocd.argoproj.io/skip-reconcile").is_some_and(is_true),
            access: access(&server, text("config").as_deref(), text("namespaces").as_deref()),
            server,
        }
    }

    /// True when it gives our own cluster another name, and nothing else: no credentials for it.
    pub fn is_own(&self) -> bool {
        let is_ourselves = |access: &Access| !access.says_who_we_are();
        self.server == Destination::IN_CLUSTER_SERVER && self.access.as_ref().is_ok_and(is_ourselves)
    }
}

fn access(server: &str, config: Option<&str>, namespaces: Option<&str>) -> Result<Access, Refusal> {
    if server.is_empty() {
        return Err(Refusal::NoServer);
    }
    address(server)?;
    if namespaces.is_some() {
        return Err(Refusal::Namespaces);
    }
    // The parser's own words may repeat a value.
    let place = |error: serde_json::Error| Refusal::Config { line: error.line(), column: error.column() };
    let access: Access = config.map_or_else(|| Ok(Access::default()), serde_json::from_str).map_err(place)?;
    let programs = [("execProviderConfig", &access.exec_provider_config), ("awsAuthConfig", &access.aws_auth_config)];
    if let Some((field, _)) = programs.into_iter().find(|(_, value)| value.is_some()) {
        return Err(Refusal::Program(field));
    }
    let tls = &access.tls_client_config;
    let files = [
        ("bearerTokenFile", &access.bearer_token_file),
        ("caFile", &tls.ca_file),
        ("certFile", &tls.cert_file),
        ("keyFile", &tls.key_file),
    ];
    if let Some((field, _)) = files.into_iter().find(|(_, value)| value.is_some()) {
        return Err(Refusal::File(field));
    }
    // Whatever makes no sense is said when the Secret is seen, not when it is first needed.
    access.config(server)?;
    Ok(access)
}

fn address(server: &str) -> Result<Uri, Refusal> {
    let uri: Uri = server.parse().map_err(|_| Refusal::Server)?;
    let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if uri.scheme_str() != Some("https") || uri.host().is_none_or(str::is_empty) || has_user || uri.query().is_some() {
        return Err(Refusal::Server);
    }
    Ok(uri)
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

fn pem(field: &'static str, text: &str) -> Result<Vec<u8>, Refusal> {
    base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| Refusal::Pem(field))
}

impl Access {
    /// As the client takes it.
    ///
    /// # Errors
    /// With what makes no sense.
    pub(super) fn config(&self, server: &str) -> Result<kube::Config, Refusal> {
        let tls = &self.tls_client_config;
        let mut config = kube::Config::new(address(server)?);
        config.default_retry = false;
        config.disable_compression = self.disable_compression;
        config.accept_invalid_certs = tls.insecure;
        config.tls_server_name = given(tls.server_name.as_ref()).map(str::to_owned);
        if let Some(authority) = given(tls.ca_data.as_ref()) {
            if tls.insecure {
                return Err(Refusal::InsecureAuthority);
            }
            let bytes = pem("caData", authority)?;
            let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
            let certificates = read.ok().filter(|all| !all.is_empty()).ok_or(Refusal::Pem("caData"))?;
            config.root_cert = Some(certificates.iter().map(|certificate| certificate.to_vec()).collect());
        }
        match (given(tls.cert_data.as_ref()), given(tls.key_data.as_ref())) {
            (None, None) => {}
            (Some(certificate), Some(key)) => {
                pem("certData", certificate)?;
                pem("keyData", key)?;
                config.auth_info.client_certificate_data = Some(certificate.to_owned());
                config.auth_info.client_key_data = Some(key.to_owned().into());
            }
            _ => return Err(Refusal::HalfCertificate),
        }
        config.auth_info.token = given(self.bearer_token.as_ref()).map(|token| token.to_owned().into());
        if let Some(user) = given(self.username.as_ref()) {
            config.auth_info.username = Some(user.to_owned());
            config.auth_info.password = Some(self.password.clone().unwrap_or_default().into());
        }
        if let Some(proxy) = given(self.proxy_url.as_ref()) {
            config.proxy_url = Some(proxy.parse().map_err(|_| Refusal::Proxy)?);
        }
        Ok(config)
    }

    fn says_who_we_are(&self) -> bool {
        let tls = &self.tls_client_config;
        [&self.username, &self.bearer_token, &tls.cert_data].into_iter().any(|text| given(text.as_ref()).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "hunter2";

    fn read(entries: &[(&str, &str)]) -> ClusterSecret {
        let data = entries.iter().map(|(key, text)| ((*key).to_owned(), text.as_bytes().to_vec())).collect();
        ClusterSecret::read(&data, &BTreeMap::new())
    }

    fn refusal(config: &str) -> Option<Refusal> {
        read(&[("name", "b"), ("server", "https://b.example.com"), ("config", config)]).access.err()
    }

    #[test]
    fn a_cluster_is_known_by_name_and_server() {
        let cluster = read(&[("name", "b"), ("server", "https://b.example.com:6443/"), ("project", "team")]);
        assert_eq!((&*cluster.name, &*cluster.server), ("b", "https://b.example.com:6443"));
        assert_eq!(cluster.project.as_deref(), Some("team"));
        assert!(cluster.access.is_ok() && !cluster.is_paused && !cluster.is_own());
        assert_eq!(read(&[("server", "https://b.example.com")]).name, "https://b.example.com");
        assert!(read(&[("name", "home"), ("server", "https://kubernetes.default.svc/")]).is_own());
        let paused = [("argocd.argoproj.io/skip-reconcile".to_owned(), "true".to_owned())].into();
        assert!(ClusterSecret::read(&BTreeMap::new(), &paused).is_paused);
    }

    #[test]
    fn credentials_are_taken() {
        let config = r#"{"bearerToken": "hunter2", "tlsClientConfig": {"insecure": true, "serverName": "b"}}"#;
        let access = read(&[("server", "https://b.example.com"), ("config", config)]).access.ok().unwrap();
        let config = access.config("https://b.example.com").unwrap();
        assert!(config.auth_info.token.is_some() && config.accept_invalid_certs);
        assert_eq!(config.tls_server_name.as_deref(), Some("b"));
        assert!(!format!("{config:?}").contains(SECRET));

        let config = r#"{"username": "u", "password": "hunter2", "execProviderConfig": null}"#;
        let access = read(&[("server", "https://b.example.com"), ("config", config)]).access.ok().unwrap();
        assert_eq!(access.config("https://b.example.com").unwrap().auth_info.username.as_deref(), Some("u"));
    }

    #[test]
    fn what_cannot_be_used_is_refused_and_not_repeated() {
        let cases = [
            (r#"{"execProviderConfig": {"command": "hunter2"}}"#, Refusal::Program("execProviderConfig")),
            (r#"{"awsAuthConfig": {"clusterName": "hunter2"}}"#, Refusal::Program("awsAuthConfig")),
            (r#"{"bearerTokenFile": "/hunter2"}"#, Refusal::File("bearerTokenFile")),
            (r#"{"tlsClientConfig": {"caFile": "/hunter2"}}"#, Refusal::File("caFile")),
            (r#"{"tlsClientConfig": {"certFile": "/hunter2"}}"#, Refusal::File("certFile")),
            (r#"{"tlsClientConfig": {"keyFile": "/hunter2"}}"#, Refusal::File("keyFile")),
            (r#"{"tlsClientConfig": {"caData": "hunter2!"}}"#, Refusal::Pem("caData")),
            (r#"{"tlsClientConfig": {"caData": "aHVudGVyMg=="}}"#, Refusal::Pem("caData")),
            (r#"{"tlsClientConfig": {"certData": "aHVudGVyMg=="}}"#, Refusal::HalfCertificate),
            (r#"{"tlsClientConfig": {"insecure": true, "caData": "aHVudGVyMg=="}}"#, Refusal::InsecureAuthority),
            (r#"{"tlsClientConfig": "hunter2"}"#, Refusal::Config { line: 1, column: 29 }),
            ("{\n\"bearerToken\": hunter2}", Refusal::Config { line: 2, column: 16 }),
            (r#"{"proxyUrl": "hunter2 "}"#, Refusal::Proxy),
        ];
        for (config, expected) in cases {
            let refusal = refusal(config).unwrap_or_else(|| panic!("{config} is taken"));
            assert_eq!(refusal, expected, "{config}");
            assert!(!refusal.to_string().contains(SECRET), "{refusal}");
        }
    }

    #[test]
    fn credentials_go_to_https_only() {
        let cases = [
            ("https://b.example.com", None),
            ("https://10.0.0.1:6443", None),
            ("https://gate.example.com/clusters/b", None),
            ("http://b.example.com", Some(Refusal::Server)),
            ("b.example.com", Some(Refusal::Server)),
            ("https://me:hunter2@b.example.com", Some(Refusal::Server)),
            ("https://b.example.com?token=hunter2", Some(Refusal::Server)),
            ("file:///etc/passwd", Some(Refusal::Server)),
            ("", Some(Refusal::NoServer)),
        ];
        for (server, expected) in cases {
            assert_eq!(read(&[("server", server)]).access.err(), expected, "{server}");
        }
        let own = [("server", "https://kubernetes.default.svc"), ("config", r#"{"bearerToken": "hunter2"}"#)];
        assert!(!read(&own).is_own(), "somebody wants Leeboard to be another one there");
        let some = [("server", "https://b.example.com"), ("namespaces", "shop")];
        assert_eq!(read(&some).access.err(), Some(Refusal::Namespaces));
    }
}
