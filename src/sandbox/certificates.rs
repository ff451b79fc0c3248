//! The keys of a control plane: an authority, the API server's certificate, the key that signs service account tokens.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
};

use super::error::Error;

/// Files in the control plane's directory.
#[derive(Clone, Debug)]
pub(super) struct Certificates {
    pub(super) authority: PathBuf,
    pub(super) server: PathBuf,
    pub(super) server_key: PathBuf,
    pub(super) token_key: PathBuf,
    pub(super) token_public_key: PathBuf,
}

impl Certificates {
    /// Those of this directory; made when it has none. Elliptic curves, so that it takes a millisecond.
    pub(super) fn in_directory(directory: &Path) -> Result<Certificates, Error> {
        let files = Certificates {
            authority: directory.join("ca.crt"),
            server: directory.join("server.crt"),
            server_key: directory.join("server.key"),
            token_key: directory.join("tokens.key"),
            token_public_key: directory.join("tokens.pub"),
        };
        // Written last, so the others are there when it is.
        if files.token_public_key.exists() {
            return Ok(files);
        }
        fs::create_dir_all(directory).map_err(Error::io("create", directory))?;

        let mut params = named("leeboard sandbox authority", Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let names = ["localhost", "kubernetes.default.svc", "127.0.0.1", "10.96.0.1"];
        let server_key = KeyPair::generate()?;
        let server = named("kube-apiserver", names.map(String::from).to_vec())?.signed_by(&server_key, &authority)?;
        let tokens = KeyPair::generate()?;

        for (path, text) in [
            (&files.authority, authority.pem()),
            (&files.server, server.pem()),
            (&files.server_key, server_key.serialize_pem()),
            (&files.token_key, tokens.serialize_pem()),
            (&files.token_public_key, tokens.public_key_pem()),
        ] {
            fs::write(path, text).map_err(Error::io("write", path))?;
        }
        Ok(files)
    }
}

fn named(name: &str, alternatives: Vec<String>) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(alternatives)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}
