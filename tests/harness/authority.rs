//! [`Authority`]: certificates for servers and clients of a test.

/// A certificate authority, and certificates that it signs.
pub struct Authority {
    issuer: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

impl Authority {
    /// One that nobody trusts yet.
    pub fn new() -> Self {
        let mut parameters = rcgen::CertificateParams::new(vec![]).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = rcgen::CertifiedIssuer::self_signed(parameters, rcgen::KeyPair::generate().unwrap()).unwrap();
        Authority { issuer }
    }

    /// For this name, valid until this year.
    pub fn sign(&self, name: &str, until: i32) -> (rcgen::Certificate, rcgen::KeyPair) {
        let mut parameters = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        (parameters.signed_by(&key, &self.issuer).unwrap(), key)
    }

    /// What a server of this name, or address, shows to who connects to it.
    pub fn server(&self, name: &str, until: i32) -> rustls::ServerConfig {
        let (certificate, key) = self.sign(name, until);
        let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let builder = rustls::ServerConfig::builder().with_no_client_auth();
        builder.with_single_cert(vec![certificate.der().clone()], key).unwrap()
    }

    /// What who trusts it is given.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The same as it is on the wire.
    pub fn der(&self) -> &rustls::pki_types::CertificateDer<'static> {
        self.issuer.der()
    }
}
