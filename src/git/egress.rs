//! Which addresses are asked at all: never link-local ones, behind which clouds keep the credentials of machines.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::error::Error;
use super::url::RepoUrl;

/// Looks names up, and gives no link-local address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver;

/// All addresses of a name are link-local.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the address is link-local")]
pub(crate) struct LinkLocal;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is put in later by whoever connects.
            let addresses = lookup(name.as_str(), 0).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The addresses of a host, which may be an address itself.
pub(crate) async fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let all: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    let allowed: Vec<SocketAddr> = all.into_iter().filter(|address| !is_link_local(address.ip())).collect();
    if allowed.is_empty() {
        return Err(io::Error::other(LinkLocal));
    }
    Ok(allowed)
}

/// Refuses a host that is written as a link-local address: no name is looked up for it.
pub(super) fn permit(url: &RepoUrl) -> Result<(), Error> {
    let host = url.host().trim_start_matches('[').trim_end_matches(']');
    let host = host.split('%').next().unwrap_or_default();
    match host.parse::<IpAddr>() {
        Ok(address) if is_link_local(address) => Err(Error::AddressRefused { url: url.clone() }),
        _ => Ok(()),
    }
}

/// True of addresses that reach no further than the machine's own link.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            let inner = address.to_ipv4_mapped();
            // The one address of AWS' metadata service that is not link-local by its bits.
            let metadata = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
            address.is_unicast_link_local() || address == metadata || inner.is_some_and(|inner| inner.is_link_local())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_addresses_are_refused_however_they_are_written() {
        let cases = [
            ("http://169.254.169.254/latest", true),
            ("https://[fe80::1]/a", true),
            ("https://[fe80::1%25eth0]/a", true),
            ("https://[::ffff:169.254.169.254]/a", true),
            ("ssh://git@169.254.1.1/a", true),
            ("http://[fd00:ec2::254]/a", true),
            ("http://10.96.0.1/a", false),
            ("http://127.0.0.1/a", false),
            ("https://git.example.com/a", false),
            ("/srv/a", false),
        ];
        for (url, refused) in cases {
            assert_eq!(permit(&RepoUrl::parse(url).unwrap()).is_err(), refused, "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_means_only_link_local_addresses_has_none() {
        let refused = lookup("169.254.169.254", 80).await.unwrap_err();
        assert!(refused.get_ref().is_some_and(|inner| inner.is::<LinkLocal>()));
        assert_eq!(lookup("127.0.0.1", 80).await.unwrap(), [SocketAddr::from(([127, 0, 0, 1], 80))]);
    }
}
