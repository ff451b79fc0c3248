//! HTTP to what users name: hooks, metric providers, receivers of alerts.
//!
//! Redirects are followed, as Flagger does; whoever names an address waits for it with a deadline of its own.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::Client;

/// The clients; made when they are first used.
#[derive(Default)]
pub struct Web {
    checked: OnceLock<Client>,
    unchecked: OnceLock<Client>,
}

impl Web {
    /// The client that looks at certificates, or the one that does not.
    pub fn client(&self, skips_tls_check: bool) -> &Client {
        let cell = if skips_tls_check { &self.unchecked } else { &self.checked };
        cell.get_or_init(|| {
            // Whoever runs the binary has set it already; a library's test has not.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let builder = Client::builder()
                .user_agent(concat!("leeboard/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(Duration::from_secs(5))
                .pool_idle_timeout(Duration::from_secs(90))
                .tls_danger_accept_invalid_certs(skips_tls_check);
            // Nothing of what is asked for depends on the outside but the system's certificates.
            builder.build().unwrap_or_default()
        })
    }
}
