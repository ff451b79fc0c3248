//! Addresses: of the network, and of the web.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr as _;

/// A network: its address as it was written, and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    pub(super) ip: IpAddr,
    pub(super) prefix: u8,
}

/// An address; those of version 4 in the clothes of version 6 are refused, as are zones.
pub(super) fn ip(text: &str) -> Option<IpAddr> {
    let ip = IpAddr::from_str(text).ok()?;
    let is_mapped = matches!(ip, IpAddr::V6(six) if six.to_ipv4_mapped().is_some());
    (!is_mapped).then_some(ip)
}

pub(super) fn bits(ip: &IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

impl Cidr {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let ip = ip(address)?;
        let is_plain = prefix == "0" || (!prefix.starts_with('0') && prefix.bytes().all(|byte| byte.is_ascii_digit()));
        let prefix = prefix.parse().ok().filter(|prefix| is_plain && *prefix <= bits(&ip))?;
        Some(Cidr { ip, prefix })
    }

    /// With nothing in the bits that do not count.
    pub(super) fn masked(self) -> Self {
        let cut = |ip: IpAddr| match ip {
            IpAddr::V4(four) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V4((u32::from(four) & mask).into())
            }
            IpAddr::V6(six) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V6((u128::from(six) & mask).into())
            }
        };
        Cidr { ip: cut(self.ip), prefix: self.prefix }
    }

    pub(super) fn contains(self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.ip.is_ipv4() && Cidr { ip, prefix: self.prefix }.masked() == self.masked()
    }

    pub(super) fn covers(self, other: Cidr) -> bool {
        self.prefix <= other.prefix && self.contains(other.ip)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

/// An absolute address, or a path from the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    pub(super) scheme: String,
    pub(super) host: String,
    pub(super) path: String,
    query: String,
}

impl Url {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return None;
        }
        let (rest, query) = text.split_once('?').unwrap_or((text, ""));
        let (scheme, rest) = match rest.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
            _ if rest.starts_with('/') => (String::new(), rest),
            _ => return None,
        };
        let (host, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
                (host.rsplit_once('@').map_or(host, |(_, host)| host), path)
            }
            None if rest.starts_with('/') => ("", rest),
            None => return None,
        };
        let port = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        let has_odd_port = port.is_some_and(|(_, port)| !port.bytes().all(|byte| byte.is_ascii_digit()));
        let is_closed = host.starts_with('[') == host.contains(']');
        (!has_odd_port && is_closed).then(|| Url { scheme, host: host.into(), path: path.into(), query: query.into() })
    }

    pub(super) fn port(&self) -> &str {
        let port = self.host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
        port.map_or("", |(_, port)| port)
    }

    pub(super) fn hostname(&self) -> &str {
        let name = match self.port() {
            "" => self.host.trim_end_matches(':'),
            port => &self.host[..self.host.len() - port.len() - 1],
        };
        name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name)
    }

    pub(super) fn query(&self) -> BTreeMap<String, Vec<String>> {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pair in self.query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if let (Some(key), Some(value)) = (unescaped(key), unescaped(value)) {
                found.entry(key).or_default().push(value);
            }
        }
        found
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                (digit(rest.next())? * 16 + digit(rest.next())?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}
