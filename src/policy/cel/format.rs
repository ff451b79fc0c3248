//! Formats by name: `format.dns1123Label().validate(…)`.

use std::sync::LazyLock;

use regex::Regex;

/// One that Kubernetes has a name for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The name of a Service, a Namespace.
    Label,
    /// The name of most objects.
    Subdomain,
    /// The value of a label.
    LabelValue,
    /// The name of a label.
    QualifiedName,
}

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

impl Format {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "format.dns1123Label" => Format::Label,
            "format.dns1123Subdomain" => Format::Subdomain,
            "format.labelValue" => Format::LabelValue,
            "format.qualifiedName" => Format::QualifiedName,
            _ => return None,
        })
    }

    /// What is wrong with a text, in Kubernetes' words where there is one way to be wrong only.
    pub(super) fn faults(self, text: &str) -> Vec<String> {
        let long = |most: usize| (text.len() > most).then(|| format!("must be no more than {most} characters"));
        let odd = |is_right: bool, says: &str| (!is_right).then(|| says.to_owned());
        let (long, odd) = match self {
            Format::Label => (long(63), odd(is_match(&LABELS, text), LABEL)),
            Format::Subdomain => (long(253), odd(is_match(&SUBDOMAINS, text), SUBDOMAIN)),
            Format::LabelValue => (
                long(63),
                odd(
                    text.is_empty() || is_match(&NAMES, text),
                    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
                ),
            ),
            Format::QualifiedName => {
                let (prefix, name) = text.split_once('/').unwrap_or(("a", text));
                let is_right = is_match(&SUBDOMAINS, prefix) && is_match(&NAMES, name) && name.len() <= 63;
                (
                    None,
                    odd(
                        is_right,
                        "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character, with an optional DNS subdomain prefix and '/'",
                    ),
                )
            }
        };
        long.into_iter().chain(odd).collect()
    }
}

type Lazy = LazyLock<Option<Regex>>;

static LABELS: Lazy = LazyLock::new(|| Regex::new("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$").ok());
static SUBDOMAINS: Lazy =
    LazyLock::new(|| Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$").ok());
static NAMES: Lazy = LazyLock::new(|| Regex::new("^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$").ok());

fn is_match(pattern: &Lazy, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}
